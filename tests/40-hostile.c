/* SPDX-License-Identifier: MIT
 *
 * 40-hostile.c - a running smx-agent, and smx-dump, over a segment that is spoilt: field by field
 * of the byte table, and then by somebody who scribbles all over it while it is read. Each moment
 * the agent answers with all of the sound segments beside it, says by reason what it leaves out,
 * and at the end it has read no more than so much a scrape and is no larger than so much.
 */
#include "support/tap.h"

#include "support/process.h"
#include "support/scratch.h"
#include "support/victim.h"
#include "support/worker.h"

#include <smx/smx.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BODY_SIZE = 8 << 20, MIB = 1 << 20 };

/* What one scrape of these few hundred KiB may read, and what the agent may take at its largest.
 * Unsound names are read up to nine times while they move. */
enum { READ_MOST = 6 * MIB, CALLS_MOST = 4000, PEAK_MOST = 48 * MIB };

static char directory[SCRATCH_SIZE], address[64];
static char body[BODY_SIZE];
static struct victim victim;
static pid_t agent;
static unsigned scrapes, dumps;

/* A segment that stays sound. */
static void write_sound(const char *app, uint64_t count)
{
    char path[SEGWRITER_PATH_SIZE];
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app});
    uint64_t family = segwriter_family(
        w, &(struct segwriter_family){.name = "sound_total", .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, family, NULL), 1, count);
    assert_int_equal(segwriter_save(w, directory, path), 0);
    segwriter_free(w);
}

static int connect_to_agent(void)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, address, strlen(address));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&a, sizeof a) == 0)
        return fd;
    close(fd);
    return -1;
}

static bool is_listening(void *unused)
{
    (void)unused;
    int fd = connect_to_agent();
    close(fd);
    return fd >= 0;
}

/* Read to the end. */
static size_t drain(int fd)
{
    size_t length = 0;
    for (ssize_t n; (n = read(fd, body + length, BODY_SIZE - 1 - length)) > 0;)
        length += (size_t)n;
    body[length] = 0;
    close(fd);
    return length;
}

/* GET a path into body[], the status line and the headers before it. */
static void get(const char *path)
{
    char request[128];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: agent\r\nConnection: close\r\n\r\n", path);
    int fd = connect_to_agent();
    assert_true(fd >= 0);
    assert_int_equal(write(fd, request, (size_t)n), n);
    assert_true(drain(fd) > 0);
    if (strncmp(body, "HTTP/1.1 200 ", 13) != 0)
        fail_msg("%s: %.60s", path, body);
}

/* Not by strstr(): ASan measures the rest of the body at each call. */
static const char *find(const char *text, const char *from, const char *end)
{
    return memmem(from, (size_t)(end - from), text, strlen(text));
}

/* The sum of the lines in body[] that begin so. */
static uint64_t sum_of(const char *prefix)
{
    uint64_t sum = 0;
    const char *end = body + strlen(body);
    for (const char *line = body; (line = find(prefix, line, end)); line += strlen(prefix))
        if (line[-1] == '\n')
            sum += strtoull(strchr(line, ' '), NULL, 10);
    return sum;
}

static bool has_line(const char *line)
{
    const char *at = find(line, body, body + strlen(body));
    return at && at[-1] == '\n' && at[strlen(line)] == '\n';
}

/* Scrape: the sound segments are there. */
static void scrape(void)
{
    get("/metrics");
    scrapes++;
    if (!has_line("sound_total{app=\"bank\"} 41") || !has_line("sound_total{app=\"till\"} 5"))
        fail_msg("a sound segment is not served:\n%s", body);
    assert_int_equal(sum_of("smx_agent_segments{state=\"served\"}") +
                         sum_of("smx_agent_segments{state=\"damaged\"}") +
                         sum_of("smx_agent_segments{state=\"refused\"}") +
                         sum_of("smx_agent_segments{state=\"unsupported\"}"),
                     3);
}

/* smx-dump of a file ends by itself, with 0 or 1. What it says of damage is not for our output. */
static void dump(const char *path)
{
    const char *const argv[] = {"smx-dump", "--json", path, NULL};
    int out, status = -1, errors = dup(STDERR_FILENO);
    int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    dup2(nowhere, STDERR_FILENO);
    pid_t pid = process_start(argv, &out);
    dup2(errors, STDERR_FILENO);
    close(nowhere);
    close(errors);
    assert_true(pid > 0);
    drain(out);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    dumps++;
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1)
        fail_msg("smx-dump ended with %#x", status);
}

/* A number that the kernel keeps of the agent. */
static uint64_t kernel_says(const char *file, const char *name)
{
    char path[64], line[128];
    unsigned long long value = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)agent, file);
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof line, f))
        if (strncmp(line, name, strlen(name)) == 0)
            value = strtoull(line + strlen(name) + 1, NULL, 10);
    fclose(f);
    return value;
}

static void expect_modest(uint64_t read_before, uint64_t calls_before)
{
    uint64_t bytes = kernel_says("io", "rchar") - read_before;
    uint64_t calls = kernel_says("io", "syscr") - calls_before;
    uint64_t peak = kernel_says("status", "VmHWM") * 1024;
    print_message("# %u dumps, %u scrapes: %ju KiB and %ju reads each, at most %ju KiB resident\n",
                  dumps, scrapes, (uintmax_t)bytes / scrapes / 1024, (uintmax_t)calls / scrapes,
                  (uintmax_t)peak / 1024);
    assert_in_range(bytes / scrapes, 1, READ_MOST);
    assert_in_range(calls / scrapes, 1, CALLS_MOST);
#if !defined(__SANITIZE_ADDRESS__)
    assert_in_range(peak, 1, PEAK_MOST);
#endif
}

static int set_up(void **state)
{
    char directories[64], listen[96];
    (void)state;
    alarm(ALARM_S);
    scrapes = dumps = 0;
    if (scratch_make(directory) != 0)
        return -1;
    snprintf(address, sizeof address, "%s/agent.sock", directory);
    snprintf(directories, sizeof directories, "--segments.dir=%s", directory);
    snprintf(listen, sizeof listen, "--web.listen-address=unix:%s", address);
    write_sound("bank", 41);
    write_sound("till", 5);
    const char *const argv[] = {"smx-agent",         directories,          listen,
                                "--log.level=error", "--scrape.max-age=0", NULL};
    agent = process_start(argv, NULL);
    return agent > 0 && eventually(is_listening, NULL) ? 0 : -1;
}

/* It is still the agent of the beginning, and ends as it should: under a sanitizer, without a
 * finding. */
static int tear_down(void **state)
{
    (void)state;
    int status = process_stop(agent, SIGTERM);
    scratch_remove(directory);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

static void spoil_field(const struct victim_target *t, const struct byte_field *f)
{
    uint64_t values[BYTE_VALUES];
    unsigned size = f->size < 8 ? f->size : 8;
    size_t n = victim_values(&victim, t->at + f->at, size, values);
    for (size_t i = 0; i < n; i++) {
        char reason[64];
        uint64_t before = sum_of("smx_segment_errors_total{");
        victim_spoil(&victim, t->at + f->at, size, values[i]);
        scrape();
        uint64_t left_out = sum_of("smx_segment_errors_total{") - before;
        bool served = has_line("smx_agent_segments{state=\"served\"} 3");
        if (!served && left_out == 0)
            fail_msg("%s.%s = %#jx: left out, and not counted", t->table->name, f->name,
                     (uintmax_t)values[i]);
        /* What reasons a reader gives is the affair of 30-hostile.c; here, that they arrive. */
        snprintf(reason, sizeof reason, "smx_segment_errors_total{reason=\"%s\"}",
                 served ? "link" : "truncated");
        if (served && sum_of(reason) != 0)
            fail_msg("%s.%s = %#jx: a wrong reason", t->table->name, f->name, (uintmax_t)values[i]);
        if (i % 8 == 0)
            dump(victim.path);
        victim_restore(&victim);
    }
}

/* Which of the families and series are tried in the usual run. */
static bool is_chosen(const struct victim_target *t)
{
    uint64_t family = t->at;
    if (t->table != &byte_family && t->table != &byte_series)
        return true;
    if (t->table == &byte_series)
        family = segwriter_get(victim.w, t->at + 16, 4) * 8;
    uint64_t type = segwriter_get(victim.w, family + 16, 1);
    bool exponential = segwriter_get(victim.w, family + 21, 1) != 0;
    return type == SEGWRITER_COUNTER || (type == SEGWRITER_HISTOGRAM && !exponential);
}

/* All that can be wrong with one segment's bytes has been. */
static void check_reasons(void)
{
    static const char *const reasons[] = {
        "version", "not_a_segment", "header",  "truncated", "misnamed", "chain",   "record",
        "family",  "text",          "buckets", "orphan",    "cell",     "overlap", "constant"};
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) {
        char line[64];
        snprintf(line, sizeof line, "smx_segment_errors_total{reason=\"%s\"}", reasons[i]);
        if (sum_of(line) == 0)
            fail_msg("no damage was ever counted as %s", reasons[i]);
    }
}

static void every_field_may_be_wrong(void **state)
{
    (void)state;
    victim_make(&victim, directory);
    scrape();
    assert_int_equal(sum_of("smx_segment_errors_total{"), 0);
    uint64_t bytes = kernel_says("io", "rchar"), calls = kernel_says("io", "syscr");
    /* Of the families and the series those of a counter and of a histogram; in a longer run all. */
    for (size_t i = 0; i < victim.n_targets; i++)
        if (victim.targets[i].first && (scaled(1) > 1 || is_chosen(&victim.targets[i])))
            for (size_t k = 0; k < victim.targets[i].table->n; k++)
                spoil_field(&victim.targets[i], &victim.targets[i].table->fields[k]);
    scrape();
    check_reasons();
    expect_modest(bytes, calls);
    assert_true(has_line("c_total{app=\"victim\",region=\"eu\",code=\"200\"} 44"));
    victim_end(&victim);
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Scribble over a file through a mapping, until killed: words that look like something, pieces of
 * other places, and now and then the sound header again, or else nobody would look further. */
static int scribble(void *argument)
{
    enum { LENGTH = 1 << 18 };
    const char *path = argument;
    static unsigned char header[4096];
    int fd = open(path, O_RDWR | O_CLOEXEC);
    CHECK(fd >= 0);
    unsigned char *bytes = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(bytes != MAP_FAILED);
    memcpy(header, bytes, sizeof header);
    uint64_t seed = 0x736d78 + (uint64_t)getpid(), values[BYTE_VALUES];
    for (unsigned round = 0;; round++) {
        uint64_t at = next_random(&seed) % (LENGTH / 8) * 8;
        const uint64_t places[] = {at, next_random(&seed) % LENGTH, LENGTH};
        size_t n = byte_values(0, 8, places, 3, values);
        if (round % 2)
            at = 4096 + at % 32768; /* where the tables and the records are */
        if (next_random(&seed) % 3 == 0)
            memmove(bytes + at % (LENGTH - 64), bytes + next_random(&seed) % (LENGTH - 64), 64);
        else
            memcpy(bytes + at, &values[next_random(&seed) % n], next_random(&seed) % 2 ? 4 : 8);
        if (round % 64 == 0)
            memcpy(bytes, header, sizeof header);
    }
    return 0;
}

/* Scrape and dump a file while somebody scribbles over it. Each second it is made sound again, for
 * what has been spoilt all over is soon left out at the first look. */
static void look_while_scribbled(char *path, void (*renew)(void))
{
    uint64_t bytes = kernel_says("io", "rchar"), calls = kernel_says("io", "syscr");
    for (size_t second = 0; second < scaled(3); second++) {
        if (renew)
            renew();
        pid_t scribbler = worker_start(scribble, path);
        uint64_t end = now_ms() + 1000;
        for (unsigned i = 0; now_ms() < end; i++) {
            scrape();
            if (i % 8 == 0)
                dump(path);
            if (i % 64 == 0)
                get("/health");
        }
        kill(scribbler, SIGKILL);
        assert_int_equal(worker_wait(scribbler), -SIGKILL);
    }
    expect_modest(bytes, calls);
}

static void renew_victim(void)
{
    assert_int_equal(segwriter_rewrite(victim.w, victim.path), 0);
}

static void somebody_may_scribble_over_a_segment(void **state)
{
    (void)state;
    victim_make(&victim, directory);
    look_while_scribbled(victim.path, renew_victim);
    victim_end(&victim);
}

/* A server that goes on counting and making series until it is killed. */
static int serve(void *argument)
{
    uint32_t *ready = argument;
    smx_segment *segment;
    struct smx_options options = {.app = "victim", .directory = directory, .max_bytes = MIB};
    CHECK(smx_open(&options, &segment, NULL) == 0);
    for (uint32_t i = 0;; i++) {
        char value[16];
        snprintf(value, sizeof value, "%u", i % 100);
        smx_family family = smx_histogram_family(
            segment, &(struct smx_metric){.name = "h", .labels = {"code"}}, NULL);
        smx_histogram_record(smx_histogram_with(family, SMX_VALUES(value)), i);
        smx_counter c = smx_counter_new(segment, &(struct smx_metric){.name = "c_total"}, NULL);
        smx_counter_inc(c);
        smx_gauge_set(smx_gauge_new(segment, &(struct smx_metric){.name = "g"}, NULL), i);
        smx_heartbeat(segment);
        __atomic_store_n(ready, i, __ATOMIC_RELAXED);
    }
    return 0;
}

static void somebody_may_scribble_over_a_segment_in_use(void **state)
{
    char path[64];
    (void)state;
    uint32_t *ready = worker_shared(sizeof *ready);
    pid_t server = worker_start(serve, ready);
    assert_true(worker_reach(ready, 100));
    snprintf(path, sizeof path, "%s/victim.v1.smx", directory);
    look_while_scribbled(path, NULL);
    uint32_t seen = __atomic_load_n(ready, __ATOMIC_RELAXED);
    assert_true(worker_reach(ready, seen + 100));
    kill(server, SIGKILL);
    assert_int_equal(worker_wait(server), -SIGKILL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_may_be_wrong),
        TEST(somebody_may_scribble_over_a_segment),
        TEST(somebody_may_scribble_over_a_segment_in_use),
    };
    return RUN_TESTS(tests);
}
