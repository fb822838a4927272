/* SPDX-License-Identifier: MIT
 *
 * corpus.c - writes the seeds of the fuzzers into DIRECTORY/{segment,accept,http,options,config}:
 * segments by the tests' own writer, as the steps that make them; the rest by hand. What lies there
 * under other names are inputs that once showed a bug, and stay.
 */
#include "fuzz/require.h"
#include "fuzz/steps.h"
#include "support/segwriter.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { CAPACITY = 1 << 16, SEED_MAX = 1 << 17, GAP = 6 };

static const char *root;

/* One seed: the steps so far, and the file as they leave it. */
struct seed {
    struct segwriter *w;
    uint8_t file[CAPACITY];
    uint8_t steps[SEED_MAX];
    size_t n;
};

static void save(const char *kind, const char *name, const void *bytes, size_t n)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s/%s", root, kind);
    require(mkdir(path, 0777) == 0 || errno == EEXIST, path);
    (void)snprintf(path, sizeof path, "%s/%s/%s", root, kind, name);
    FILE *file = fopen(path, "we");
    require(file && fwrite(bytes, 1, n, file) == n && fclose(file) == 0, path);
}

static void put(struct seed *s, enum step_kind kind, uint32_t number)
{
    require(s->n + STEP_SIZE_MAX <= sizeof s->steps, "a seed that is too large");
    s->n += step_put(s->steps + s->n, &(struct step){.kind = kind, .number = number});
}

/* Write [from, to), which is at most 255 bytes. */
static void put_write(struct seed *s, uint32_t from, uint32_t to)
{
    struct step step = {
        .kind = STEP_WRITE, .number = from, .n = (uint8_t)(to - from), .bytes = s->file + from};
    require(s->n + STEP_SIZE_MAX <= sizeof s->steps, "a seed that is too large");
    s->n += step_put(s->steps + s->n, &step);
}

/* Write what is other than it was; bytes that are not for a few come along. */
static void put_changes(struct seed *s)
{
    uint8_t before[CAPACITY];
    memcpy(before, s->file, sizeof before);
    for (uint32_t i = 0; i < CAPACITY; i += 8) {
        uint64_t word = segwriter_get(s->w, i, 8);
        memcpy(s->file + i, &word, sizeof word);
    }
    for (uint32_t i = 0; i < CAPACITY;) {
        if (s->file[i] == before[i]) {
            i++;
            continue;
        }
        uint32_t from = i, end = i + 1;
        for (; i < CAPACITY && i - end < GAP && i - from < UINT8_MAX; i++)
            if (s->file[i] != before[i])
                end = i + 1;
        put_write(s, from, end);
        i = end;
    }
}

/* Write the changes, and read. */
static void put_read(struct seed *s)
{
    put_changes(s);
    put(s, STEP_READ, 0);
}

static void begin(struct seed *s, struct segwriter_options options)
{
    options.app = options.app ? options.app : "a";
    options.rows = options.striped ? 0 : 1;
    options.slots = options.slots ? options.slots : 2;
    options.n_buckets = 2;
    options.capacity = CAPACITY;
    *s = (struct seed){.w = segwriter_new(&options)};
    put(s, STEP_LENGTH, CAPACITY);
}

static void end(struct seed *s, const char *name)
{
    save("segment", name, s->steps, s->n);
    segwriter_free(s->w);
}

static uint64_t add(struct seed *s, struct segwriter_family family, const char *const values[])
{
    return segwriter_series(s->w, segwriter_family(s->w, &family), values);
}

/* The least there is: a header, one slot, one bucket. */
static void smallest(struct seed *s)
{
    static const struct segwriter_options options = {
        .app = "a", .rows = 1, .slots = 1, .n_buckets = 1, .capacity = CAPACITY};
    *s = (struct seed){.w = segwriter_new(&options)};
    uint64_t allocated = segwriter_allocated(s->w);
    segwriter_put(s->w, 40, 8, allocated);
    segwriter_put(s->w, 48, 8, allocated);
    put(s, STEP_LENGTH, (uint32_t)allocated);
    put_read(s);
    end(s, "smallest");
}

static void counters(struct seed *s)
{
    static const char *const constant[] = {"zone", "eu", NULL};
    begin(s, (struct segwriter_options){.instance = "b", .labels = constant});
    uint64_t requests =
        segwriter_family(s->w, &(struct segwriter_family){.name = "requests_total",
                                                          .help = "Requests.\n\\\"",
                                                          .labels = {"method", "path"},
                                                          .type = SEGWRITER_COUNTER});
    uint64_t get = segwriter_series(s->w, requests, (const char *const[]){"GET", "/", NULL});
    uint64_t post =
        segwriter_series(s->w, requests, (const char *const[]){"POST", "a\\b\"c\n\xc3\xa9", NULL});
    uint64_t other = segwriter_overflow(s->w, requests);
    uint64_t busy = add(s,
                        (struct segwriter_family){.name = "busy_seconds_total",
                                                  .unit = "seconds",
                                                  .digits = 9,
                                                  .type = SEGWRITER_COUNTER},
                        NULL);
    segwriter_count(s->w, get, 0, 41);
    segwriter_count(s->w, get, 1, 1);
    segwriter_count(s->w, busy, 0, 1500000001);
    put_read(s);
    segwriter_count(s->w, post, 0, UINT64_MAX);
    segwriter_count(s->w, other, 1, 3);
    segwriter_hide(s->w, get, 1);
    segwriter_lost(s->w, 1, 3);
    put_read(s);
    end(s, "counters");
}

static void gauges(struct seed *s, bool is_double)
{
    static const char *const names[] = {"sum", "min", "max", "avg", "last", "each"};
    begin(s, (struct segwriter_options){0});
    uint64_t series[6], words[2];
    for (uint8_t mode = SEGWRITER_SUM; mode <= SEGWRITER_EACH; mode++)
        series[mode] = add(
            s,
            (struct segwriter_family){
                .name = names[mode], .type = SEGWRITER_GAUGE, .mode = mode, .is_double = is_double},
            NULL);
    /* While nobody lives, the list of mode `each` was once taken from no memory. */
    put_read(s);
    for (uint32_t slot = 0; slot < 2; slot++) {
        words[slot] = segwriter_process(
            s->w, slot,
            &(struct segwriter_process){
                .pid = 70 + slot, .phase = SEGWRITER_LIVE, .role = "worker", .heartbeat = 1});
        put(s, STEP_LOCK, slot);
    }
    for (uint8_t mode = SEGWRITER_SUM; mode <= SEGWRITER_EACH; mode++) {
        bool last = mode == SEGWRITER_LAST;
        for (uint32_t slot = 0; slot < (last ? 1 : 2); slot++) {
            uint64_t owner = last ? SEGWRITER_SHARED_WORD : words[slot];
            if (is_double)
                segwriter_fgauge(s->w, series[mode], last ? 0 : slot + 1, owner, -0.5 - slot);
            else
                segwriter_gauge(s->w, series[mode], last ? 0 : slot + 1, owner, -2 - (int)slot);
        }
    }
    put_read(s);
    put(s, STEP_LOCK, 1);
    put(s, STEP_READ, 0);
    end(s, is_double ? "gauges-double" : "gauges-integer");
}

static void histograms(struct seed *s, bool striped)
{
    static const double bounds[] = {0.05, 1, 2.5};
    begin(s, (struct segwriter_options){
                 .striped = striped, .counter_stripes = striped ? 2 : 0, .hist_stripes = 2});
    uint64_t wait = add(s,
                        (struct segwriter_family){.name = "wait_seconds",
                                                  .unit = "seconds",
                                                  .digits = 9,
                                                  .labels = {"queue"},
                                                  .type = SEGWRITER_HISTOGRAM,
                                                  .bounds = bounds,
                                                  .n_bounds = 3},
                        (const char *const[]){"in", NULL});
    uint64_t sizes = add(s,
                         (struct segwriter_family){.name = "size_bytes",
                                                   .type = SEGWRITER_HISTOGRAM,
                                                   .schema = 1,
                                                   .first_index = -3,
                                                   .n_exponential = 6},
                         NULL);
    segwriter_bucket(s->w, wait, 0, 1, 2);
    segwriter_bucket(s->w, wait, 1, 3, 1);
    segwriter_limits(s->w, wait, 0, 2500000000, 50000000, 3000000000);
    put_read(s);
    segwriter_bucket(s->w, sizes, 0, 0, 1);
    segwriter_bucket(s->w, sizes, 0, 2, 5);
    segwriter_bucket(s->w, sizes, 0, 3, 2);
    segwriter_bucket(s->w, sizes, 1, 5, 3);
    segwriter_bucket(s->w, sizes, 1, 7, UINT64_MAX);
    segwriter_limits(s->w, sizes, 1, 5, 0, 9);
    put_read(s);
    end(s, striped ? "histograms-striped" : "histograms");
}

/* Families that are left out: by their names, their labels, by contradiction. */
static void conflicts(struct seed *s)
{
    begin(s, (struct segwriter_options){.app = "neighbour", .instance = "b"});
    static const struct segwriter_family families[] = {
        {.name = "requests_total", .type = SEGWRITER_GAUGE},
        {.name = "wait_seconds_count", .type = SEGWRITER_COUNTER},
        {.name = "smx_agent_x", .type = SEGWRITER_GAUGE},
        {.name = "taken", .type = SEGWRITER_GAUGE, .labels = {"app"}},
        {.name = "x_total", .type = SEGWRITER_COUNTER},
        {.name = "x", .type = SEGWRITER_GAUGE},
        {.name = "requests_total", .help = "Another.", .type = SEGWRITER_COUNTER},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        (void)add(s, families[i], families[i].labels[0] ? (const char *const[]){"", NULL} : NULL);
    put_read(s);
    end(s, "conflicts");
}

/* Names of one letter, of which a bit makes two one; values that fill their words but for the
 * NUL. */
static void letters(struct seed *s)
{
    static const char *const constant[] = {"h", "1", "i", "2", NULL};
    static const struct segwriter_family families[] = {
        {.name = "a", .unit = "g", .labels = {"b", "c"}, .type = SEGWRITER_COUNTER},
        {.name = "b",
         .help = "h",
         .labels = {"d", "e"},
         .type = SEGWRITER_GAUGE,
         .mode = SEGWRITER_LAST},
        {.name = "c", .labels = {"d"}, .type = SEGWRITER_HISTOGRAM, .n_exponential = 2},
    };
    begin(s, (struct segwriter_options){.instance = "i", .labels = constant});
    for (size_t i = 0; i < 3; i++) {
        uint64_t family = segwriter_family(s->w, &families[i]);
        for (int k = 0; k < 2; k++) {
            const char *const values[] = {k ? "x" : "y", i < 2 ? "seven.." : NULL, NULL};
            uint64_t series = segwriter_series(s->w, family, values);
            if (families[i].type == SEGWRITER_COUNTER)
                segwriter_count(s->w, series, 0, 1);
            else if (families[i].type == SEGWRITER_GAUGE)
                segwriter_gauge(s->w, series, 0, SEGWRITER_SHARED_WORD, 1);
            else
                segwriter_bucket(s->w, series, 0, 1, 1);
        }
        (void)segwriter_overflow(s->w, family);
    }
    put_read(s);
    end(s, "letters");
}

/* The registry grows between two looks, and the file is cut off before the third. */
static void growth(struct seed *s)
{
    begin(s, (struct segwriter_options){0});
    uint64_t family = segwriter_family(
        s->w,
        &(struct segwriter_family){.name = "a_total", .labels = {"l"}, .type = SEGWRITER_COUNTER});
    put_read(s);
    for (int i = 0; i < 40; i++) {
        char value[8];
        (void)snprintf(value, sizeof value, "%d", i);
        uint64_t one = segwriter_series(s->w, family, (const char *const[]){value, NULL});
        segwriter_count(s->w, one, 0, (uint64_t)i);
        if (i % 20 == 10)
            put_read(s);
    }
    put_read(s);
    put(s, STEP_LENGTH, 8192);
    put(s, STEP_READ, 0);
    put(s, STEP_LENGTH, CAPACITY);
    put(s, STEP_READ, 0);
    end(s, "growth");
}

/* A newer minor version, with a record and a section that this one does not know. */
static void newer(struct seed *s)
{
    begin(s, (struct segwriter_options){0});
    uint64_t unknown =
        add(s, (struct segwriter_family){.name = "unknown", .type = SEGWRITER_GAUGE}, NULL);
    (void)add(s, (struct segwriter_family){.name = "a_total", .type = SEGWRITER_COUNTER}, NULL);
    segwriter_put(s->w, 14, 2, 9);
    segwriter_put(s->w, unknown + 8, 2, 7);
    segwriter_put(s->w, 112, 4, 1);
    segwriter_put(s->w, 120, 4, 3);
    segwriter_put(s->w, 128, 8, 4096);
    segwriter_put(s->w, 136, 8, 64);
    put_read(s);
    end(s, "newer-minor");
}

/* Checks, with what is said of them; who says it does not live. */
static void checks(struct seed *s)
{
    begin(s, (struct segwriter_options){0});
    uint64_t at = segwriter_check(
        s->w, &(struct segwriter_check){
                  .name = "database", .help = "Orders.", .interval_ms = 30000, .critical = 1});
    (void)segwriter_report(s->w, at,
                           &(struct segwriter_report){.row = 1,
                                                      .owner = UINT64_C(2) << 32 | 1,
                                                      .time_ms = UINT64_C(1700000000123),
                                                      .state = 3,
                                                      .message = "refused"});
    (void)segwriter_check(s->w, &(struct segwriter_check){.name = "redis"});
    put_read(s);
    end(s, "checks");
}

static void segments(void)
{
    static struct seed seed;
    smallest(&seed);
    counters(&seed);
    gauges(&seed, false);
    gauges(&seed, true);
    histograms(&seed, false);
    histograms(&seed, true);
    conflicts(&seed);
    letters(&seed);
    growth(&seed);
    newer(&seed);
    checks(&seed);
}

struct line {
    const char *name, *text;
};

static void lines(const char *kind, const struct line *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        save(kind, list[i].name, list[i].text, strlen(list[i].text));
}

static void headers(void)
{
    static const struct line list[] = {
        {"any", "*/*"},
        {"codings", "gzip;q=0.5, identity;q=0, br, *;q=0.1"},
        {"browser", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"},
        {"prometheus-2.42", "application/openmetrics-text;version=1.0.0,application/"
                            "openmetrics-text;version=0.0.1;q=0.75,text/"
                            "plain;version=0.0.4;q=0.5,*/*;q=0.1"},
        {"prometheus-2.42-messages",
         "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
         "encoding=delimited,application/openmetrics-text;version=1.0.0;q=0.8,"
         "text/plain;version=0.0.4;q=0.5,*/*;q=0.1"},
        {"quoted", "application/openmetrics-text; version=\"1.0.0\"; x=\"a,\\\"b;\" ;q=0.001"},
        {"refused", "application/*;q=0, text/*;q=-1, text/plain;q=1.5.5"},
    };
    lines("accept", list, sizeof list / sizeof *list);
}

static void requests(void)
{
    static const struct line list[] = {
        {"body", "POST /metrics HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
        {"chunked", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                    "3\r\nabc\r\n0\r\n\r\n\xff"
                    "GET /-/ready HTTP/1.1\r\nHost: a\r\n\r\n"},
        {"continue", "PUT /health HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                     "Content-Length: 1\r\n\r\n\xff"
                     "a"},
        {"credentials", "GET /metrics HTTP/1.1\r\nHost: a:80\r\n"
                        "Authorization: Basic YWxpY2U6c2VjcmV0\r\n\r\n"},
        {"elsewhere", "GET / HTTP/1.1\r\nHost: [::1]:9\r\n\r\n"
                      "GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n"
                      "GET / HTTP/1.1\r\nHost: b.localhost\r\n\r\n"},
        {"escaped", "GET /%6detrics?a=%00&b HTTP/1.1\r\nHost: a\r\n"
                    "Accept: application/openmetrics-text;version=1.0.0\r\n"
                    "Accept-Encoding: gzip\r\nCookie: a=b; c\r\n\r\n"},
        {"head", "HEAD /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"},
        {"old", "GET /health/ready HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
                "GET /health/live HTTP/1.0\r\n\r\n"},
        {"pieces", "GE\xffT / HTTP/1.1\r\xff\nHost: \xff"
                   "a\r\n\r\n\xfe"
                   "GET /metrics HTTP/1.1\r\nHos"},
        {"pipelined", "GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n"
                      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET /no HTTP/1.1\r\nHost: a\r\n\r\n"},
    };
    lines("http", list, sizeof list / sizeof *list);
}

static void command_lines(void)
{
    static const struct line list[] = {
        {"all", "--web.listen-address=127.0.0.1:0\n--web.listen-address\n[::1]:9745\n"
                "--web.l=unix:/run/a.sock\n--web.listen-address=:80\n--segments.dir=/run/smx\n"
                "--segments.dir=/run/smx\n--log.level=debug\n--log.format=json\n--loop=epoll\n"
                "--once"},
        {"config", "--config.file=/etc/a\n--web.config.file=b"},
        {"ends", "--check-config\n--\n-h\nx"},
        {"help", "-hV"},
        {"wrong", "--loop=none\n--log.level="},
    };
    lines("options", list, sizeof list / sizeof *list);
}

static void configurations(void)
{
    static const struct line list[] = {
        {"all", "segments:\n  directories: [/run/smx, /a]\n  max_bytes: 256M\n"
                "scrape: {max_age: 2s}\nopenmetrics: {created_samples: yes}\n"
                "labels:\n  cluster: eu1\n  zone: \"a\"\n"
                "metrics:\n  allow: [http_.*]\n  deny: ['x{1,2}']\n"
                "series: {allow: [app=shop|cart], deny: [code=5..]}\n"
                "histograms:\n- bounds: [0.1, 1]\n- family: latency\n  bounds:\n  - 5\n"
                "workers: {detail: sums}\n"},
        {"bomb", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"},
        {"deep", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"},
        {"empty", "segments:\nmetrics: {allow: ~}\nhistograms: []\n"},
        {"keys", "{? a : b, ? [c] : d}"},
        {"nothing", "--- # nothing\n...\n"},
        {"quoted", "labels: {'a': \"\\x41\\u00e9\\n\", b: |-\n  x\n}\n"},
        {"tab", "scrape:\n\tmax_age: 1s\n"},
        {"twice", "%YAML 1.1\n---\nscrape: {}\nscrape: {}\n--- {}\n"},
        {"typed", "scrape: !!map {max_age: !!str 1m}\n"},
    };
    lines("config", list, sizeof list / sizeof *list);
}

int main(int argc, char **argv)
{
    require(argc == 2, "usage: fuzz-corpus DIRECTORY");
    root = argv[1];
    segments();
    headers();
    requests();
    command_lines();
    configurations();
    return 0;
}
