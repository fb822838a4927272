/* SPDX-License-Identifier: MIT
 *
 * victim.c - makes the segment and spoils it. What a snapshot of it must be is in victim_judge.c.
 */
#include "support/victim.h"

#include "support/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUCKETS_AT = 88, N_BUCKETS = 96, SLOTS_AT = 104, ALLOCATED = 1024, PUBLISHED = 1088 };
enum { HIST = 32, CELL = 24, SLOTS = 4, LIVE_SLOT = 1 };

static void aim(struct victim *v, const struct byte_table *table, uint64_t at)
{
    bool first = true;
    for (size_t i = 0; i < v->n_targets; i++)
        first = first && v->targets[i].table != table;
    /* One family and one series of each type differ enough to be tried in full. */
    if (table == &byte_family || table == &byte_series)
        first = true;
    assert_true(v->n_targets < VICTIM_TARGETS);
    v->targets[v->n_targets++] = (struct victim_target){table, at, first};
}

static uint64_t add_family(struct victim *v, const struct segwriter_family *family)
{
    uint64_t at = segwriter_family(v->w, family);
    aim(v, &byte_family, at);
    if (family->type == SEGWRITER_HISTOGRAM)
        aim(v, &byte_hist, segwriter_get(v->w, at + HIST, 8));
    v->n_families++;
    return at;
}

/* Of a counter 1; the histograms here have fewer buckets than 16. */
static uint32_t groups_of(const struct victim *v, uint64_t family)
{
    uint64_t hist = segwriter_get(v->w, family + HIST, 8);
    return hist ? (uint32_t)segwriter_get(v->w, hist + 12, 4) : 1;
}

/* The places of the exemplars of a series, with one in the first and one in the last of them. */
static void add_exemplars(struct victim *v, uint64_t series, uint32_t n)
{
    static const char *const labels[] = {"trace_id", "4bf92f3577b34da6", "span", "\xc3\xa4", NULL};
    uint64_t at = segwriter_exemplars(v->w, series, n);
    aim(v, &byte_exemplars, at);
    aim(v, &byte_exemplar,
        segwriter_exemplar(v->w, at, 0, 0, UINT64_C(1700000000123456789), labels));
    if (n > 1)
        (void)segwriter_exemplar(v->w, at, n - 1, UINT64_MAX, 1, labels);
}

/* Two series, one of them with a value in every row that counts. */
static void add_series(struct victim *v, uint64_t family, uint8_t type, uint64_t word)
{
    static const char *const values[2][2] = {{"200", NULL}, {"500", NULL}};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t at = segwriter_series(v->w, family, values[i]);
        if (i == 0)
            aim(v, &byte_series, at);
        v->n_series++;
        if (type == SEGWRITER_COUNTER) {
            segwriter_count(v->w, at, 0, 40 + i);
            segwriter_count(v->w, at, 2, 4);
        } else if (type == SEGWRITER_HISTOGRAM) {
            segwriter_bucket(v->w, at, 0, 2, 9 + i);
            segwriter_bucket(v->w, at, 1, 0, 3);
            segwriter_limits(v->w, at, 1, 17, 1, 9);
        } else {
            segwriter_gauge(v->w, at, 0, SEGWRITER_SHARED_WORD, -5);
            if (segwriter_get(v->w, family + 18, 1) != SEGWRITER_LAST)
                segwriter_gauge(v->w, at, LIVE_SLOT + 1, word, 3 + (int64_t)i);
        }
    }
}

/* An info and statesets, in the modes that they have. */
static void fill_states(struct victim *v, uint64_t word)
{
    static const char *const states[] = {"up", "down", "\xc3\xa4", NULL};
    struct segwriter_family f = {.labels = {"code"}, .help = "What it is.", .states = states};
    f.name = "s_max";
    f.type = SEGWRITER_STATESET;
    f.mode = SEGWRITER_MAX;
    add_series(v, add_family(v, &f), f.type, word);
    f.name = "s_each";
    f.mode = SEGWRITER_EACH;
    add_series(v, add_family(v, &f), f.type, word);
    f.name = "i_info";
    f.type = SEGWRITER_INFO;
    f.mode = SEGWRITER_LAST;
    f.states = NULL;
    add_series(v, add_family(v, &f), f.type, word);
}

static void fill(struct victim *v, uint64_t word)
{
    static const double bounds[] = {0.5, 1, 2};
    static const char *const names[] = {"g_sum", "g_min", "g_max", "g_avg", "g_last", "g_each"};
    struct segwriter_family f = {.help = "What it is.", .labels = {"code"}};
    f.name = "c_total";
    f.type = SEGWRITER_COUNTER;
    uint64_t counters = add_family(v, &f);
    add_series(v, counters, f.type, word);
    segwriter_overflow(v->w, counters);
    v->n_series++;
    for (uint8_t mode = 0; mode < 6; mode++) {
        f.name = names[mode];
        f.type = SEGWRITER_GAUGE;
        f.mode = mode;
        add_series(v, add_family(v, &f), f.type, word);
    }
    fill_states(v, word);
    f = (struct segwriter_family){.name = "h_seconds",
                                  .unit = "seconds",
                                  .labels = {"code"},
                                  .type = SEGWRITER_HISTOGRAM,
                                  .digits = 3,
                                  .bounds = bounds,
                                  .n_bounds = 3};
    add_series(v, add_family(v, &f), f.type, word);
    f = (struct segwriter_family){.name = "e",
                                  .labels = {"code"},
                                  .type = SEGWRITER_HISTOGRAM,
                                  .schema = 1,
                                  .n_exponential = 6};
    add_series(v, add_family(v, &f), f.type, word);
}

/* Of one series of each family that can have them, behind all other bytes. */
static void fill_exemplars(struct victim *v)
{
    const size_t n = v->n_targets;
    for (size_t i = 0; i < n; i++) {
        if (v->targets[i].table != &byte_series)
            continue;
        uint64_t family = segwriter_get(v->w, v->targets[i].at + 16, 4) * 8;
        uint64_t type = segwriter_get(v->w, family + 16, 1);
        if (type == SEGWRITER_COUNTER || type == SEGWRITER_HISTOGRAM)
            add_exemplars(v, v->targets[i].at, groups_of(v, family));
    }
}

/* One that the live process finds failed, another of which nobody says anything. */
static void fill_checks(struct victim *v, uint64_t word)
{
    uint64_t at =
        segwriter_check(v->w, &(struct segwriter_check){.name = "database",
                                                        .help = "Orders need it: \xc3\xa4.",
                                                        .interval_ms = 30000,
                                                        .critical = 1});
    aim(v, &byte_check, at);
    for (uint8_t state = 1; state <= 3; state++)
        aim(v, &byte_report,
            segwriter_report(v->w, at,
                             &(struct segwriter_report){.row = LIVE_SLOT + 1,
                                                        .owner = word,
                                                        .time_ms = UINT64_C(1700000000123),
                                                        .state = state,
                                                        .message = "no route to \xe2\x82\xac"}));
    aim(v, &byte_check, segwriter_check(v->w, &(struct segwriter_check){.name = "redis"}));
    v->n_checks = 2;
}

/* A child that holds the lock of the live slot until it is killed. */
static pid_t hold(const char *path)
{
    int ready[2];
    char byte = 0;
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct flock lock = {.l_type = F_WRLCK,
                             .l_whence = SEEK_SET,
                             .l_start = SEGWRITER_LOCK_AT + LIVE_SLOT,
                             .l_len = 1};
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int fd = open(path, O_RDWR | O_CLOEXEC);
        byte = fd >= 0 && fcntl(fd, F_SETLK, &lock) == 0;
        (void)!write(ready[1], &byte, 1);
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(byte, 1);
    close(ready[0]);
    close(ready[1]);
    return pid;
}

void victim_make(struct victim *v, const char *directory)
{
    static const char *const labels[] = {"region", "eu", NULL};
    struct stat ns;
    *v = (struct victim){.w = segwriter_new(&(struct segwriter_options){.app = "victim",
                                                                        .labels = labels,
                                                                        .slots = SLOTS,
                                                                        .n_buckets = 64,
                                                                        .capacity = 1 << 18})};
    aim(v, &byte_header, 0);
    for (uint64_t i = 0; i < segwriter_get(v->w, N_BUCKETS, 4); i += 4)
        aim(v, &byte_buckets, segwriter_get(v->w, BUCKETS_AT, 8) + 4 * i);
    aim(v, &byte_slot, segwriter_get(v->w, SLOTS_AT, 8) + UINT64_C(128) * LIVE_SLOT);
    const uint64_t word = UINT64_C(2) << 32 | (LIVE_SLOT + 1);
    fill(v, word);
    fill_exemplars(v);
    fill_checks(v, word);
    assert_int_equal(segwriter_save(v->w, directory, v->path), 0);
    v->file = open(v->path, O_RDWR | O_CLOEXEC);
    assert_true(v->file >= 0);
    v->holder = hold(v->path);
    assert_int_equal(stat("/proc/self/ns/pid", &ns), 0);
    v->pid_ns = ns.st_ino;
    (void)segwriter_process(v->w, LIVE_SLOT,
                            &(struct segwriter_process){.pid = (uint32_t)v->holder,
                                                        .pid_ns = v->pid_ns,
                                                        .phase = SEGWRITER_LIVE,
                                                        .role = "worker"});
    assert_int_equal(segwriter_rewrite(v->w, v->path), 0);
}

void victim_end(struct victim *v)
{
    kill(v->holder, SIGKILL);
    waitpid(v->holder, NULL, 0);
    close(v->file);
    segwriter_free(v->w);
}

static void put(struct victim *v, uint64_t at, unsigned size, uint64_t value)
{
    segwriter_put(v->w, at, size, value);
    assert_int_equal(pwrite(v->file, &value, size, (off_t)at), size);
}

static void publish(struct victim *v)
{
    put(v, PUBLISHED, 8, segwriter_get(v->w, PUBLISHED, 8) + 1);
}

void victim_spoil(struct victim *v, uint64_t at, unsigned size, uint64_t value)
{
    publish(v);
    v->at = at;
    v->size = size;
    v->sound = segwriter_get(v->w, at, size);
    put(v, at, size, value);
}

void victim_restore(struct victim *v)
{
    put(v, v->at, v->size, v->sound);
    publish(v);
}

size_t victim_values(const struct victim *v, uint64_t at, unsigned size,
                     uint64_t values[BYTE_VALUES])
{
    /* The end, and the middle of every other kind of structure. */
    uint64_t places[12] = {segwriter_allocated(v->w)};
    size_t n = 1;
    for (size_t i = 1; i < v->n_targets && n < sizeof places / sizeof *places; i++)
        if (v->targets[i].first)
            places[n++] = v->targets[i].at;
    return byte_values(segwriter_get(v->w, at, size), size, places, n, values);
}

bool victim_allows(const struct byte_field *field, const char *reason)
{
    size_t length = strlen(reason);
    for (const char *at = field->reasons; (at = strstr(at, reason)); at += length)
        if ((at == field->reasons || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0))
            return true;
    return false;
}

const char *victim_reason(int code)
{
    switch (code) {
    case -EPROTO:
        return "not_a_segment";
    case -EPROTONOSUPPORT:
        return "version";
    case -EBADMSG:
        return "header";
    case -EIO:
        return "truncated";
    case -EFBIG:
        return "holes";
    default:
        return "unreadable";
    }
}
