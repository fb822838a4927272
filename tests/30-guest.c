/* SPDX-License-Identifier: MIT
 *
 * 30-guest.c - libshm is a guest, also where its segment is damaged under it: a live segment is
 * spoilt, field by field and then everywhere at random, beneath a server that goes on registering,
 * finding, updating, reading back and forking. It must come through each of these alive. What it
 * then counts may be lost; that it takes no page that is not reserved is shown on a tmpfs that is
 * full, where such a page is a SIGBUS.
 */
#include "support/tap.h"

#include "support/bytetable.h"
#include "support/cells.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/worker.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_BYTES = 1 << 20, OLD_SERIES = 3 };

static char directory[SCRATCH_SIZE];

/* What is being tried, for whoever finds the server dead. */
struct note {
    const char *table, *field; /* constants: the same in every child of fork() */
    uint64_t at, value;
    uint64_t rounds;
    uint64_t lost; /* to damage, where the server could say so */
};
static struct note *note;

/* A server with metrics of all types, and handles that it keeps. */
struct server {
    smx_segment *segment;
    smx_family counters, gauges, last, real, explicit, exponential;
    smx_counter counter;
    smx_gauge gauge;
    smx_fgauge fgauge;
    smx_histogram histogram;
};

static const double bounds[] = {0.5, 1, 2};

static const struct smx_metric counters = {.name = "c_total", .labels = {"code", "path"}};
static const struct smx_metric gauges = {.name = "g", .help = "Help.", .labels = {"code"}};
static const struct smx_metric last = {.name = "l", .mode = SMX_LAST, .labels = {"code"}};
static const struct smx_metric real = {.name = "f", .labels = {"code"}};
static const struct smx_metric explicit = {
    .name = "h_seconds", .unit = "seconds", .labels = {"code"}, .bounds = bounds, .n_bounds = 3};
static const struct smx_metric exponential = {.name = "e", .labels = {"code"}};

static void register_all(struct server *s)
{
    s->counters = smx_counter_family(s->segment, &counters, NULL);
    s->gauges = smx_gauge_family(s->segment, &gauges, NULL);
    s->last = smx_gauge_family(s->segment, &last, NULL);
    s->real = smx_fgauge_family(s->segment, &real, NULL);
    s->explicit = smx_histogram_family(s->segment, &explicit, NULL);
    s->exponential = smx_histogram_family(s->segment, &exponential, NULL);
}

static void use(smx_counter c, smx_gauge g, smx_fgauge f, smx_histogram h, uint64_t n)
{
    smx_counter_add(c, n);
    smx_counter_add_fn(c, n);
    smx_counter_add_signed(c, -1);
    smx_gauge_set(g, (int64_t)n);
    smx_gauge_add(g, 2);
    smx_fgauge_add(f, 0.5);
    smx_histogram_record(h, n);
    smx_histogram_record(h, UINT64_MAX - n);
    smx_histogram_observe(h, 0.7);
    smx_histogram_observe(h, -1);
    (void)(smx_counter_value(c) + smx_histogram_count(h) + smx_histogram_sum(h));
    (void)((double)smx_gauge_value(g) + smx_fgauge_value(f));
}

/* Find, or make, the series of a value in each family and use them. */
static void use_series(const struct server *s, const char *value, uint64_t n)
{
    const char *const one[] = {value, NULL};
    smx_counter c = smx_counter_with(s->counters, SMX_VALUES(value, "a path of some length"));
    use(c, smx_gauge_with(s->gauges, one), smx_fgauge_with(s->real, one),
        smx_histogram_with(s->explicit, one), n);
    use(c, smx_gauge_with(s->last, one), smx_fgauge_with(s->real, one),
        smx_histogram_with(s->exponential, one), n);
}

/* It goes on with what its parent knows, then as if it had come to the segment just now. */
static void serve_in_child(struct server *s)
{
    pid_t pid = fork();
    if (pid == 0) {
        use_series(s, "0", 1);
        memset(s->segment->known, 0, sizeof s->segment->known);
        register_all(s);
        use_series(s, "0", 1);
        use_series(s, "more than there is room for", 1);
        _exit(0);
    }
    int status = 0;
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status != 0)
        raise(SIGABRT); /* our parent looks for how we ended */
}

/* A request, as servers make them: old handles, old series, new series, the same families again,
 * new families, and whatever else a server calls. */
static void serve(struct server *s, bool with_child)
{
    char name[32], value[32];
    uint64_t n = ++note->rounds;
    use(s->counter, s->gauge, s->fgauge, s->histogram, n);
    for (unsigned i = 0; i < OLD_SERIES; i++)
        use_series(s, (char[]){(char)('0' + i), 0}, n);
    snprintf(value, sizeof value, "new %ju", (uintmax_t)n % 64);
    use_series(s, value, n);
    register_all(s);
    snprintf(name, sizeof name, "new_%ju", (uintmax_t)n % 64);
    (void)smx_histogram_new(s->segment, &(struct smx_metric){.name = name}, NULL);
    smx_heartbeat(s->segment);
    smx_set_role(s->segment, "guest");
    (void)smx_worker(s->segment);
    (void)smx_series_remove(s->gauges, SMX_VALUES("1"));
    note->lost += cells_lost(s->segment, SMX_LOST_DAMAGED) > 0;
    if (with_child)
        serve_in_child(s);
}

/* Whose handles were had before the damage. */
static int start(struct server *s)
{
    struct smx_options options = {
        .app = "guest", .directory = directory, .max_bytes = MAX_BYTES, .slots = 8, .rows = 2};
    struct smx_diag diag;
    *s = (struct server){0};
    if (smx_open(&options, &s->segment, &diag) != 0) {
        fprintf(stderr, "# %s\n", diag.text);
        return -1;
    }
    register_all(s);
    s->counter = smx_counter_with(s->counters, SMX_VALUES("0", "a path of some length"));
    s->gauge = smx_gauge_with(s->gauges, SMX_VALUES("0"));
    s->fgauge = smx_fgauge_with(s->real, SMX_VALUES("0"));
    s->histogram = smx_histogram_with(s->explicit, SMX_VALUES("0"));
    serve(s, false);
    return s->histogram.base ? 0 : -1;
}

/* The bytes of the segment, as one who maps it sees them. */
static unsigned char *bytes_of(const struct server *s)
{
    return (unsigned char *)s->segment->header;
}

struct target {
    const struct byte_table *table;
    uint64_t at;
};

/* Each structure of the segment that there is, once for each type of family. */
static size_t find_targets(const struct server *s, struct target targets[32])
{
    const smx_family families[] = {s->counters, s->gauges,   s->last,
                                   s->real,     s->explicit, s->exponential};
    const struct smx__header *h = s->segment->header;
    size_t n = 0;
    targets[n++] = (struct target){&byte_header, 0};
    for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
        const struct smx__family *f = cells_family(families[i]);
        uint64_t at = (uint64_t)((const unsigned char *)f - bytes_of(s));
        uint32_t bucket = f->record.hash & (h->n_buckets - 1);
        targets[n++] = (struct target){&byte_buckets, h->buckets_at + (bucket & ~3u) * 4};
        targets[n++] = (struct target){&byte_family, at};
        targets[n++] = (struct target){&byte_series, f->overflow};
        if (f->type == SMX_HISTOGRAM)
            targets[n++] = (struct target){&byte_hist, f->hist};
    }
    /* The records behind the overflow series of the counters: its first ones. */
    for (uint64_t at = 4096; at < h->allocated && n < 31; at += 8) {
        const struct smx__series *r = (const struct smx__series *)(const void *)(bytes_of(s) + at);
        if (r->record.kind == SMX__RECORD_SERIES && r->record.size > sizeof *r &&
            r->record.size < 256 && r->state == SMX__ANNOUNCED && r->cell < h->allocated &&
            r->family >= 512)
            targets[n++] = (struct target){&byte_series, at};
    }
    targets[n++] = (struct target){&byte_slot, h->slots_at};
    return n;
}

static void put(unsigned char *at, uint64_t value, unsigned size)
{
    memcpy(at, &value, size);
}

/* What one spoils by. */
struct damage {
    uint64_t places[10];  /* offsets that lead to every kind of structure, and to none */
    unsigned char *image; /* of the segment before */
    uint64_t used;        /* bytes of it */
    bool claims_all;      /* the cursors, too, say that all there can be is allocated */
};

/* The numbers of the header that were written once are never written again, also by one who was
 * sent there by a damaged cursor. */
static bool header_stands(const struct server *s, const struct damage *d, uint64_t but)
{
    const size_t constant = offsetof(struct smx__header, allocated);
    for (size_t i = 0; i < constant; i++)
        if (bytes_of(s)[i] != d->image[i] && i / 8 != but / 8)
            return false;
    return true;
}

/* Spoil a field by one value after the other. After each the segment is again as it was. */
static int spoil_field(struct server *s, const struct target *t, const struct byte_field *f,
                       const struct damage *d)
{
    struct smx__header *h = s->segment->header;
    unsigned length = f->size < 64 ? f->size : 64;
    for (unsigned from = 0; from < length; from += 8) {
        uint64_t sound = 0, values[BYTE_VALUES];
        unsigned size = length - from < 8 ? length - from : 8;
        unsigned char *at = bytes_of(s) + t->at + f->at + from;
        memcpy(&sound, at, size);
        size_t n =
            byte_values(sound, size, d->places, sizeof d->places / sizeof *d->places, values);
        for (size_t i = 0; i < n; i++) {
            note->table = t->table->name;
            note->field = f->name;
            note->at = t->at + f->at + from;
            note->value = values[i];
            if (d->claims_all)
                h->allocated = h->reserved_to = MAX_BYTES;
            put(at, values[i], size);
            serve(s, i == 0 || (t->table == &byte_family && i % 3 == 0));
            CHECK(header_stands(s, d, note->at));
            memcpy(bytes_of(s), d->image, d->used);
        }
    }
    return 0;
}

/* Whether the server can still count: in a series that was there, and in one of a new family. */
static bool still_counts(struct server *s)
{
    uint64_t before = smx_counter_value(s->counter);
    smx_counter_add(s->counter, 7);
    smx_family again = smx_counter_family(s->segment, &counters, NULL);
    smx_counter c = smx_counter_with(again, SMX_VALUES("0", "a path of some length"));
    return c.base == s->counter.base && smx_counter_value(c) == before + 7;
}

static int spoil_all(void *argument)
{
    struct server s;
    struct target targets[32];
    bool *claims_all = argument;
    alarm(ALARM_S);
    CHECK(start(&s) == 0);
    size_t n = find_targets(&s, targets);
    CHECK(n >= 24);
    const struct smx__header *h = s.segment->header;
    struct damage d = {.places = {h->allocated, h->reserved_to, MAX_BYTES, MAX_BYTES - 4096,
                                  targets[2].at, targets[3].at, h->buckets_at, h->slots_at,
                                  targets[n - 2].at, h->capacity},
                       .used = h->allocated,
                       .claims_all = *claims_all};
    d.image = malloc(d.used);
    CHECK(d.image);
    memcpy(d.image, h, d.used);
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < targets[i].table->n; k++) {
            CHECK(spoil_field(&s, &targets[i], &targets[i].table->fields[k], &d) == 0);
            CHECK(still_counts(&s));
        }
    free(d.image);
    return 0;
}

static void check_end(int ended)
{
    if (ended != 0)
        fail_msg("ended with %d; the last was %s.%s at %#jx = %#jx", ended, note->table,
                 note->field, (uintmax_t)note->at, (uintmax_t)note->value);
}

static void report(void)
{
    assert_true(note->lost > 0);
    print_message("# %ju rounds, in %ju of them a loss by damage\n", (uintmax_t)note->rounds,
                  (uintmax_t)note->lost);
}

static void a_server_outlives_each_damaged_field(void **state)
{
    (void)state;
    bool claims_all = false;
    check_end(worker_run(spoil_all, &claims_all));
    report();
}

/* The same on a tmpfs without a free page: a touch of a hole ends the server. */
static int spoil_on_full_tmpfs(void *argument)
{
    struct server s;
    char path[64];
    static const char zeros[4096];
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("none", directory, "tmpfs", 0, "size=1m") != 0)
        return 77;
    CHECK(start(&s) == 0);
    snprintf(path, sizeof path, "%s/filler", directory);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    while (write(fd, zeros, sizeof zeros) > 0)
        ;
    close(fd);
    CHECK(s.segment->reserved < MAX_BYTES);
    return spoil_all(argument);
}

static void it_never_touches_what_is_not_reserved(void **state)
{
    (void)state;
    bool claims_all = true;
    int ended = worker_run(spoil_on_full_tmpfs, &claims_all);
    if (ended == 77) {
        print_message("# no right to mount a file system: not tested\n");
        return;
    }
    check_end(ended);
    report();
}

/* A cursor that leads astray costs an extent, not the series that come after. */
static int damage_cursors(void *argument)
{
    static const uint64_t astray[] = {8, MAX_BYTES + 16, MAX_BYTES - 16, UINT64_MAX - 15, 9};
    struct server s;
    (void)argument;
    CHECK(start(&s) == 0);
    for (size_t i = 0; i < sizeof astray / sizeof *astray; i++) {
        const char value[] = {(char)('a' + i), 0};
        for (unsigned k = 0; k < 3; k++)
            s.segment->header->next_cell[k] = astray[i];
        smx_counter c = smx_counter_with(s.counters, SMX_VALUES(value, ""));
        smx_gauge g = smx_gauge_with(s.gauges, SMX_VALUES(value));
        smx_gauge l = smx_gauge_with(s.last, SMX_VALUES(value));
        CHECK(c.base && g.base && l.base);
        smx_counter_add(c, 3);
        smx_gauge_set(g, 4);
        smx_gauge_set(l, 5);
        CHECK(smx_counter_value(c) == 3 && smx_gauge_value(g) == 4 && smx_gauge_value(l) == 5);
    }
    return 0;
}

static void new_series_get_cells_whatever_the_cursors_say(void **state)
{
    (void)state;
    assert_int_equal(worker_run(damage_cursors, NULL), 0);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* One who may write to the segment, and does: words that look like offsets, refs, counts, and
 * pieces of what is there in other places. The rest of its life. */
static int scribble(void *argument)
{
    const struct server *s = argument;
    unsigned char *bytes = bytes_of(s);
    uint64_t seed = 0x736d78 + (uint64_t)getpid(), values[BYTE_VALUES];
    for (;;) {
        uint64_t end = next_random(&seed) % 4 ? 1 << 17 : MAX_BYTES / 2;
        uint64_t at = next_random(&seed) % (end / 8) * 8;
        /* The hash table is most of what there is: the rest would get too little. */
        const uint64_t places[] = {at, next_random(&seed) % MAX_BYTES, end};
        size_t n = byte_values(0, 8, places, 3, values);
        if (next_random(&seed) % 3 == 0)
            memmove(bytes + at, bytes + next_random(&seed) % (end / 64) * 64, 64);
        else
            put(bytes + at + next_random(&seed) % 2 * 4, values[next_random(&seed) % n],
                next_random(&seed) % 2 ? 4 : 8);
    }
    return 0;
}

static int serve_while_scribbled(void *argument)
{
    struct server s;
    size_t *rounds = argument;
    alarm(ALARM_S);
    CHECK(start(&s) == 0);
    pid_t scribbler = worker_start(scribble, &s);
    for (size_t i = 0; i < *rounds; i++)
        serve(&s, i % 64 == 0);
    kill(scribbler, SIGKILL);
    CHECK(worker_wait(scribbler) == -SIGKILL);
    return 0;
}

static void a_server_outlives_one_who_scribbles_all_over_its_segment(void **state)
{
    (void)state;
    /* Many short lives: after a while all is damage, and nothing new. */
    for (size_t i = 0; i < scaled(40); i++) {
        size_t rounds = 600;
        scratch_remove(directory);
        assert_int_equal(scratch_make(directory), 0);
        check_end(worker_run(serve_while_scribbled, &rounds));
    }
    report();
}

static int set_up(void **state)
{
    (void)state;
    note = worker_shared(sizeof *note);
    return note && scratch_make(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    scratch_remove(directory);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_server_outlives_each_damaged_field),
        TEST(it_never_touches_what_is_not_reserved),
        TEST(new_series_get_cells_whatever_the_cursors_say),
        TEST(a_server_outlives_one_who_scribbles_all_over_its_segment),
    };
    return RUN_TESTS(tests);
}
