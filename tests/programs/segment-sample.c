/* SPDX-License-Identifier: MIT
 *
 * segment-sample.c - writes one of several known segments, for scripts: segment-sample DIRECTORY
 * VARIANT prints the path. Uses the segment writer, not libshm, so every value in it is exact.
 */
#include "support/segwriter.h"

#include <stdio.h>
#include <string.h>

static const char *const one_label[] = {"GET", NULL};

static void add_counters(struct segwriter *w)
{
    uint64_t requests = segwriter_family(w, &(struct segwriter_family){
                                                .name = "http_requests_total",
                                                .help = "Requests served.",
                                                .labels = {"method"},
                                                .type = SEGWRITER_COUNTER,
                                            });
    uint64_t get = segwriter_series(w, requests, one_label);
    segwriter_count(w, get, 0, UINT64_MAX - 10);
    segwriter_count(w, get, 1, 10);
    segwriter_overflow(w, requests);
    uint64_t busy = segwriter_family(w, &(struct segwriter_family){
                                            .name = "busy_seconds_total",
                                            .help = "Time spent on requests.",
                                            .unit = "seconds",
                                            .type = SEGWRITER_COUNTER,
                                            .digits = 9,
                                        });
    segwriter_count(w, segwriter_series(w, busy, NULL), 0, UINT64_C(9007199254740993000));
}

static void add_histogram(struct segwriter *w)
{
    static const double bounds[] = {0.1, 0.2, 0.4};
    uint64_t family = segwriter_family(w, &(struct segwriter_family){
                                              .name = "duration_seconds",
                                              .help = "Time of a request.",
                                              .unit = "seconds",
                                              .type = SEGWRITER_HISTOGRAM,
                                              .digits = 9,
                                              .bounds = bounds,
                                              .n_bounds = 3,
                                          });
    uint64_t series = segwriter_series(w, family, NULL);
    segwriter_bucket(w, series, 0, 0, 2);
    segwriter_bucket(w, series, 1, 1, 2);
    segwriter_limits(w, series, 0, 500000001, 50000000, 190000000);
}

static void add_gauges(struct segwriter *w, uint64_t owner)
{
    uint64_t last = segwriter_family(w, &(struct segwriter_family){
                                            .name = "table_entries",
                                            .help = "Entries of the table.",
                                            .type = SEGWRITER_GAUGE,
                                            .mode = SEGWRITER_LAST,
                                        });
    segwriter_gauge(w, segwriter_series(w, last, NULL), 0, SEGWRITER_SHARED_WORD, -7);
    uint64_t ratio = segwriter_family(w, &(struct segwriter_family){
                                             .name = "load_ratio",
                                             .help = "Load.",
                                             .type = SEGWRITER_GAUGE,
                                             .mode = SEGWRITER_LAST,
                                             .is_double = 1,
                                         });
    segwriter_fgauge(w, segwriter_series(w, ratio, NULL), 0, SEGWRITER_SHARED_WORD, 0.1);
    uint64_t busy = segwriter_family(w, &(struct segwriter_family){
                                            .name = "in_flight",
                                            .help = "Requests in flight.",
                                            .type = SEGWRITER_GAUGE,
                                        });
    /* The process is dead: no lock can say otherwise, so its value must not show. */
    segwriter_gauge(w, segwriter_series(w, busy, NULL), 1, owner, 3);
}

/* A segment with one of everything. */
static void fill_plain(struct segwriter *w)
{
    uint64_t owner = segwriter_process(w, 0,
                                       &(struct segwriter_process){
                                           .pid = 4242,
                                           .phase = SEGWRITER_LIVE,
                                           .role = "worker",
                                           .heartbeat = UINT64_C(1700000000000000001),
                                       });
    add_counters(w);
    add_histogram(w);
    add_gauges(w, owner);
    segwriter_lost(w, 0, 12);
}

/* Strings that would repaint a terminal: escape sequences, a forged line, C1 and bidi controls. The
 * last is written as bytes: compilers rightly warn of it in a literal. */
static void fill_hostile(struct segwriter *w)
{
    static const char *const values[] = {"\x1b[2J\nforged 1\"\\", NULL};
    char help[64] = "\x1b]0;title\x07 \xc2\x9b"
                    "31m caf\xc3\xa9 ";
    static const unsigned char override[] = {0xe2, 0x80, 0xae, 0};
    memcpy(help + strlen(help), override, sizeof override);
    uint64_t family = segwriter_family(w, &(struct segwriter_family){
                                              .name = "events_total",
                                              .help = help,
                                              .labels = {"kind"},
                                              .type = SEGWRITER_COUNTER,
                                          });
    segwriter_count(w, segwriter_series(w, family, values), 0, 1);
}

/* Names past the old alphabet; the last would forge a line. */
static void fill_names(struct segwriter *w)
{
    static const char *const values[] = {"/a", NULL};
    uint64_t family = segwriter_family(w, &(struct segwriter_family){
                                              .name = "http.requests_total",
                                              .help = "Requests served.",
                                              .labels = {"http.p\xc3\xa4th"},
                                              .type = SEGWRITER_COUNTER,
                                          });
    segwriter_count(w, segwriter_series(w, family, values), 0, 3);
    uint64_t evil = segwriter_family(w, &(struct segwriter_family){
                                            .name = "\x1b[2J\nforged 1\"",
                                            .help = "Evil.",
                                            .type = SEGWRITER_GAUGE,
                                            .mode = SEGWRITER_LAST,
                                        });
    segwriter_gauge(w, segwriter_series(w, evil, NULL), 0, SEGWRITER_SHARED_WORD, 5);
}

/* Two families that are fine, but for a second series of the same labels, among broken ones. */
static void fill_broken(struct segwriter *w)
{
    static const double falling[] = {2, 1};
    uint64_t fine =
        segwriter_family(w, &(struct segwriter_family){
                                .name = "fine_total", .help = "Fine.", .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, fine, NULL), 0, 1);
    segwriter_family(w, &(struct segwriter_family){.name = "caf\xff", .type = SEGWRITER_GAUGE});
    segwriter_family(w, &(struct segwriter_family){.name = "fine_total", .type = SEGWRITER_GAUGE});
    segwriter_family(
        w, &(struct segwriter_family){
               .name = "h<b>", .type = SEGWRITER_HISTOGRAM, .bounds = falling, .n_bounds = 2});
    uint64_t twice = segwriter_family(w, &(struct segwriter_family){.name = "twice_total",
                                                                    .help = "Twice.",
                                                                    .labels = {"method"},
                                                                    .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, twice, one_label), 0, 2);
    segwriter_count(w, segwriter_series(w, twice, one_label), 0, 3);
}

/* Names that break every convention. */
static void fill_lint(struct segwriter *w)
{
    static const struct segwriter_family families[] = {
        {.name = "requests", .help = "No total.", .type = SEGWRITER_COUNTER},
        {.name = "sizeGauge", .help = "Type, case.", .type = SEGWRITER_GAUGE},
        {.name = "queue_gauge", .help = "Type.", .type = SEGWRITER_GAUGE},
        {.name = "wait_milliseconds", .help = "Unit.", .unit = "milliseconds", .type = 2},
        {.name = "uptime_seconds", .help = "Unit not given.", .type = SEGWRITER_GAUGE},
        {.name = "silent_total", .type = SEGWRITER_COUNTER},
    };
    for (size_t i = 0; i < sizeof families / sizeof *families; i++)
        segwriter_series(w, segwriter_family(w, &families[i]), NULL);
}

/* A family whose labels overflowed: one update is in the overflow series. */
static void fill_overflow(struct segwriter *w)
{
    uint64_t family = segwriter_family(w, &(struct segwriter_family){
                                              .name = "hits_total",
                                              .help = "Hits.",
                                              .labels = {"page"},
                                              .type = SEGWRITER_COUNTER,
                                          });
    segwriter_series(w, family, one_label);
    segwriter_count(w, segwriter_overflow(w, family), 0, 5);
}

/* Two families, the record of one of which claims to be of an unknown type. */
static void fill_corrupt(struct segwriter *w)
{
    fill_overflow(w);
    uint64_t bad = segwriter_family(
        w, &(struct segwriter_family){.name = "bad_total", .type = SEGWRITER_COUNTER});
    segwriter_put(w, bad + 16, 1, 99);
}

/* An info and two statesets; one of them a circuit that is open and slow, with a value of a process
 * that is dead beside it. */
static void fill_states(struct segwriter *w)
{
    static const char *const states[] = {"open", "slow", "shut", NULL};
    static const char *const versions[] = {"1.4.2", NULL};
    uint64_t build = segwriter_family(w, &(struct segwriter_family){
                                             .name = "build_info",
                                             .help = "What runs.",
                                             .labels = {"version"},
                                             .type = SEGWRITER_INFO,
                                             .mode = SEGWRITER_LAST,
                                         });
    segwriter_gauge(w, segwriter_series(w, build, versions), 0, SEGWRITER_SHARED_WORD, 1);
    struct segwriter_family f = {.name = "circuit",
                                 .help = "The circuit breaker.",
                                 .type = SEGWRITER_STATESET,
                                 .mode = SEGWRITER_LAST,
                                 .states = states};
    segwriter_gauge(w, segwriter_series(w, segwriter_family(w, &f), NULL), 0, SEGWRITER_SHARED_WORD,
                    3);
    f.name = "lamp";
    segwriter_gauge(w, segwriter_series(w, segwriter_family(w, &f), NULL), 0, SEGWRITER_SHARED_WORD,
                    0);
    f.name = "door";
    segwriter_series(w, segwriter_family(w, &f), NULL);
}

/* What a newer minor version may leave: the same, among what is unknown. */
static void fill_minor(struct segwriter *w)
{
    segwriter_put(w, 14, 2, 7);
    segwriter_put(w, 112, 4, 1);
    segwriter_put(w, 120, 4, 77);
    segwriter_put(w, 128, 8, segwriter_allocated(w));
    segwriter_record(w, 9, 4096);
    fill_plain(w);
    segwriter_record(w, UINT16_MAX, 0);
}

static void fill_major(struct segwriter *w)
{
    segwriter_put(w, 12, 2, 2);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*fill)(struct segwriter *w);
    } variants[] = {
        {"plain", fill_plain},       {"hostile", fill_hostile}, {"lint", fill_lint},
        {"overflow", fill_overflow}, {"corrupt", fill_corrupt}, {"minor", fill_minor},
        {"major", fill_major},       {"names", fill_names},     {"states", fill_states},
        {"broken", fill_broken},
    };
    static const char *const labels[] = {"env", "test", NULL};
    for (size_t i = 0; argc == 3 && i < sizeof variants / sizeof *variants; i++) {
        if (strcmp(argv[2], variants[i].name) != 0)
            continue;
        char path[SEGWRITER_PATH_SIZE];
        struct segwriter *w = segwriter_new(
            &(struct segwriter_options){.app = argv[2], .instance = "one", .labels = labels});
        variants[i].fill(w);
        int result = segwriter_save(w, argv[1], path);
        segwriter_free(w);
        if (result == 0)
            return puts(path) < 0;
        fprintf(stderr, "segment-sample: cannot write: %s\n", strerror(-result));
        return 1;
    }
    fprintf(stderr, "usage: segment-sample DIRECTORY VARIANT\n");
    return 2;
}
