/* SPDX-License-Identifier: MIT
 *
 * 30-storm.c - the demo server under load while its workers are killed, one every 20 ms. What the
 * segment says is compared with the tally that each worker keeps by itself, which loses at most the
 * one request in flight for each kill.
 * SMX_STORM_SECONDS: how long, 10 by default. What goes wrong at a death shows at the first few.
 */
#include "support/family.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "tools/demo/tally.h"

#include <smx/reader.h>

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { WORKERS = 64, KILL_EVERY_MS = 20, LOOK_EVERY = 25, ANSWER_MAX = 4096, CHILDREN_MAX = 256 };

/* The label values, written down a second time: the test takes nothing from the server's code. */
static const char *const methods[HTTP_METHODS] = {"GET", "HEAD", "other"};
static const char *const codes[HTTP_STATUSES] = {"200", "400", "404", "405", "500"};
static const char *const routes[ROUTES] = {"/", "/fast", "/work", "/error", "other"};

/* The load: a wrk for each path, keep-alive, so that every worker has some of each. */
static const struct {
    const char *path;
    const char *connections;
} loads[] = {{"/fast", "64"}, {"/work", "16"}, {"/error", "16"}, {"/missing", "16"}};
enum { LOADS = sizeof loads / sizeof *loads };

struct storm {
    char directory[SCRATCH_SIZE];
    char address[80];
    pid_t master;
    pid_t wrk[LOADS];
    const struct tally *tally;
    smx_reader *reader;
    struct stat file; /* the segment's, when everything had been used once */
    uint64_t allocated;
    uint64_t kills;
    uint64_t first;         /* requests of each load that came before the load */
    uint64_t last_requests; /* of the last look: totals never go down */
};

static const struct smx_family_info *family(const struct storm *s, const char *name)
{
    const struct smx_family_info *found = family_named(s->reader, name);
    if (!found)
        fail_msg("no family %s", name);
    return found;
}

static const struct smx_series_info *only_series(const struct storm *s, const char *name)
{
    assert_int_equal(family(s, name)->n_series, 1);
    return &family(s, name)->series[0];
}

static uint64_t total(const struct storm *s, const char *name)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < family(s, name)->n_series; i++)
        sum += family(s, name)->series[i].count;
    return sum;
}

static unsigned find(const char *value, const char *const list[], unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (strcmp(list[i], value) == 0)
            return i;
    fail_msg("a label value nobody gave: %s", value);
    return 0;
}

static uint64_t lives(const struct storm *s)
{
    assert_true(s->tally->lives <= TALLY_LIVES);
    return s->tally->lives;
}

static uint64_t tallied(const struct storm *s, unsigned method, unsigned route, unsigned status)
{
    uint64_t sum = 0;
    for (uint64_t i = 0; i < lives(s); i++)
        sum += s->tally->life[i].requests[method][route][status];
    return sum;
}

/* The series for what is past the cap: nothing may have gone there. */
static bool is_unused_overflow(const struct smx_series_info *series)
{
    assert_true(!series->overflow || series->count == 0);
    return series->overflow;
}

static uint64_t distance(uint64_t a, uint64_t b)
{
    return a > b ? a - b : b - a;
}

/* Requests: each series, and all of them together, so that the losses do not add up unseen. */
static void check_requests(const struct storm *s)
{
    const struct smx_family_info *f = family(s, "demo_http_requests_total");
    uint64_t off = 0, all = 0, all_tallied = 0;
    for (size_t i = 0; i < f->n_series; i++) {
        const struct smx_str *values = f->series[i].values;
        if (is_unused_overflow(&f->series[i]))
            continue;
        uint64_t theirs =
            tallied(s, find(values[0].at, methods, HTTP_METHODS),
                    find(values[1].at, routes, ROUTES), find(values[2].at, codes, HTTP_STATUSES));
        off += distance(f->series[i].count, theirs);
        all += f->series[i].count;
    }
    for (unsigned m = 0; m < HTTP_METHODS; m++)
        for (unsigned r = 0; r < ROUTES; r++)
            for (unsigned c = 0; c < HTTP_STATUSES; c++)
                all_tallied += tallied(s, m, r, c);
    print_message("# %" PRIu64 " requests, %" PRIu64 " kills, %" PRIu64 " apart\n", all, s->kills,
                  off);
    assert_true(all_tallied > 0);
    assert_true(off <= s->kills);
    assert_true(distance(all, all_tallied) <= s->kills);
}

static void check_bytes(const struct storm *s)
{
    const struct smx_family_info *f = family(s, "demo_http_response_bytes_total");
    for (size_t i = 0; i < f->n_series; i++) {
        if (is_unused_overflow(&f->series[i]))
            continue;
        unsigned route = find(f->series[i].values[0].at, routes, ROUTES);
        uint64_t sum = 0;
        for (uint64_t life = 0; life < lives(s); life++)
            sum += s->tally->life[life].bytes[route];
        assert_true(distance(f->series[i].count, sum) <= s->kills * ANSWER_MAX);
    }
}

static void check_histograms(const struct storm *s)
{
    const struct smx_family_info *f = family(s, "demo_http_request_duration_seconds");
    uint64_t off = 0;
    for (size_t i = 0; i < f->n_series; i++) {
        const struct smx_histogram_info *h = f->series[i].histogram;
        if (f->series[i].overflow) {
            assert_int_equal(h->count, 0);
            continue;
        }
        unsigned route = find(f->series[i].values[0].at, routes, ROUTES);
        uint64_t buckets = 0, requests = 0;
        for (size_t b = 0; b < f->n_buckets; b++)
            buckets += h->buckets[b];
        assert_int_equal(h->count, buckets);
        for (unsigned m = 0; m < HTTP_METHODS; m++)
            for (unsigned c = 0; c < HTTP_STATUSES; c++)
                requests += tallied(s, m, route, c);
        off += distance(h->count, requests);
        if (h->count) {
            assert_true(h->min <= h->max);
            /* A kill may leave a part of the sum without its count, never the reverse. */
            assert_true(h->sum >= h->count * h->min);
        }
    }
    assert_true(off <= s->kills);
}

static void look(struct storm *s)
{
    struct smx_diag diag = {0};
    if (smx_reader_update(s->reader, &diag) != 0)
        fail_msg("a snapshot failed: %s", diag.text);
    uint64_t requests = total(s, "demo_http_requests_total");
    assert_true(requests >= s->last_requests);
    s->last_requests = requests;
    assert_int_equal(smx_reader_info(s->reader)->errors, 0);
}

/* Every slot that counts as alive is one of the server's processes, and none is missing. */
static bool the_living_are_listed(void *argument)
{
    struct storm *s = argument;
    pid_t children[CHILDREN_MAX];
    size_t n = process_children(s->master, children, CHILDREN_MAX), found = 0, count;
    look(s);
    const struct smx_process_info *processes = smx_reader_processes(s->reader, &count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; processes[i].live && k < n; k++)
            found += processes[i].pid == children[k] && strcmp(processes[i].role, "worker") == 0;
    return n == WORKERS && found == WORKERS && smx_reader_info(s->reader)->n_live == WORKERS + 1;
}

static bool it_is_quiet(void *argument)
{
    struct storm *s = argument;
    int64_t connections = 0;
    look(s);
    const struct smx_each_list each = only_series(s, "demo_worker_connections")->each;
    for (size_t i = 0; i < each.n; i++)
        connections += each.at[i].value.integer;
    return each.n == WORKERS && connections == 0 &&
           only_series(s, "demo_http_in_flight_requests")->integer == 0 &&
           only_series(s, "demo_table_entries")->integer == WORKERS;
}

static bool every_load_arrives(void *argument)
{
    struct storm *s = argument;
    look(s);
    const struct smx_family_info *f = family(s, "demo_http_requests_total");
    size_t n = 0;
    for (size_t i = 0; i < f->n_series; i++)
        n += f->series[i].count > s->first;
    return n == LOADS;
}

static void read_line(int fd, char *line, size_t size)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
    ssize_t n = read(fd, line, size - 1);
    assert_true(n > 1);
    line[n - 1] = '\0';
}

static void map_tally(struct storm *s, const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    void *map = mmap(NULL, sizeof *s->tally, PROT_READ, MAP_SHARED, fd, 0);
    assert_true(map != MAP_FAILED);
    s->tally = map;
    close(fd);
}

static void start_server(struct storm *s)
{
    char tally[SCRATCH_SIZE + 16], segment[PATH_MAX];
    int out;
    assert_int_equal(setenv("SMX_DIR", s->directory, 1), 0);
    snprintf(tally, sizeof tally, "%s/tally", s->directory);
    s->master = process_start((const char *const[]){"smx-demo", "--listen", "127.0.0.1:0",
                                                    "--workers", "64", "--tally", tally, NULL},
                              &out);
    assert_true(s->master > 0);
    read_line(out, s->address, sizeof s->address);
    close(out);
    map_tally(s, tally);
    struct smx_diag diag = {0};
    assert_int_equal(smx_find("demo", NULL, s->directory, segment, sizeof segment, &diag), 0);
    assert_int_equal(smx_reader_open(segment, &s->reader, &diag), 0);
    assert_true(eventually(the_living_are_listed, s));
}

/* One request of each load after the other: of workers that come to a new series together all but
 * one may leave a record behind, even later. */
static void make_series(struct storm *s)
{
    for (int i = 0; i < LOADS; i++) {
        char url[128];
        snprintf(url, sizeof url, "http://%s%s", s->address, loads[i].path);
        pid_t client = process_start((const char *const[]){"curl", "-s", url, NULL}, NULL);
        assert_true(client > 0);
        assert_int_equal(process_stop(client, 0), 0);
    }
    assert_true(eventually(every_load_arrives, s));
    assert_int_equal(stat(smx_reader_info(s->reader)->path, &s->file), 0);
    s->allocated = smx_reader_info(s->reader)->allocated_bytes;
    s->first = 1;
}

static void start_load(struct storm *s)
{
    make_series(s);
    for (int i = 0; i < LOADS; i++) {
        char url[128];
        snprintf(url, sizeof url, "http://%s%s", s->address, loads[i].path);
        s->wrk[i] = process_start(
            (const char *const[]){"wrk", "-t1", "-c", loads[i].connections, "-d", "10m", url, NULL},
            NULL);
        assert_true(s->wrk[i] > 0);
    }
    assert_true(eventually(every_load_arrives, s));
}

static void kill_one(struct storm *s)
{
    pid_t children[CHILDREN_MAX];
    size_t n = process_children(s->master, children, CHILDREN_MAX);
    if (n && kill(children[(size_t)random() % n], SIGKILL) == 0)
        s->kills++;
}

static void rage(struct storm *s, unsigned seconds, bool kills)
{
    uint64_t end = now_ms() + seconds * UINT64_C(1000);
    for (unsigned turn = 0; now_ms() < end; turn++) {
        if (kills)
            kill_one(s);
        if (turn % LOOK_EVERY == 0)
            look(s);
        pause_ms(KILL_EVERY_MS);
    }
}

static void stop_load(struct storm *s)
{
    for (int i = 0; i < LOADS; i++) {
        pid_t wrk = s->wrk[i];
        s->wrk[i] = 0;
        assert_true(process_stop(wrk, SIGINT) >= 0);
    }
    assert_true(eventually(the_living_are_listed, s));
    assert_true(eventually(it_is_quiet, s));
}

static void check_size(const struct storm *s)
{
    struct stat file;
    assert_int_equal(stat(smx_reader_info(s->reader)->path, &file), 0);
    assert_int_equal(file.st_size, s->file.st_size);
    assert_int_equal(file.st_blocks, s->file.st_blocks);
    assert_int_equal(smx_reader_info(s->reader)->allocated_bytes, s->allocated);
    for (int reason = 0; reason < SMX_LOST_COUNT; reason++)
        assert_int_equal(smx_reader_info(s->reader)->lost[reason], 0);
}

static void stop_server(struct storm *s)
{
    pid_t master = s->master;
    s->master = 0;
    assert_int_equal(process_stop(master, SIGTERM), 0);
}

static int set_up(void **state)
{
    struct storm *s = calloc(1, sizeof *s);
    *state = s;
    return s ? scratch_make(s->directory) : -1;
}

/* Also after a failure: nothing of it may run on beside the next test. */
static int tear_down(void **state)
{
    struct storm *s = *state;
    for (int i = 0; i < LOADS; i++)
        if (s->wrk[i] > 0)
            process_stop(s->wrk[i], SIGKILL);
    if (s->master > 0)
        process_stop(s->master, SIGTERM);
    smx_reader_close(s->reader);
    if (s->tally)
        munmap((void *)(uintptr_t)s->tally, sizeof *s->tally);
    scratch_remove(s->directory);
    free(s);
    return 0;
}

static unsigned storm_seconds(void)
{
    const char *text = getenv("SMX_STORM_SECONDS");
    int seconds = text ? atoi(text) : 10;
    return seconds > 0 ? (unsigned)seconds : 1;
}

static void run(struct storm *s, unsigned seconds, bool kills)
{
    start_server(s);
    start_load(s);
    rage(s, seconds, kills);
    stop_load(s);
    check_requests(s);
    check_bytes(s);
    check_histograms(s);
    check_size(s);
    uint64_t restarts = only_series(s, "demo_worker_restarts_total")->count;
    assert_int_equal(restarts, lives(s) - WORKERS);
    assert_true(kills ? restarts > 0 && restarts <= s->kills : restarts == 0);
    stop_server(s);
}

static void without_a_kill_segment_and_tally_are_equal(void **state)
{
    run(*state, 2, false);
}

static void with_a_kill_every_20_ms_they_differ_by_at_most_the_requests_in_flight(void **state)
{
    run(*state, storm_seconds(), true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(without_a_kill_segment_and_tally_are_equal, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            with_a_kill_every_20_ms_they_differ_by_at_most_the_requests_in_flight, set_up,
            tear_down),
    };
    return RUN_TESTS(tests);
}
