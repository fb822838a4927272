/* SPDX-License-Identifier: MIT
 *
 * segwriter.h - writes segment files for tests, byte by byte and without libshm: a second reading
 * of the byte table in libshm/layout.h, so that a field which moves in one of the two shows. It
 * knows no atomics and no other processes. What it built can be spoilt on purpose: every function
 * returns the file offset of what it wrote, segwriter_put() overwrites any byte.
 *
 *       struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = "shop", .rows = 2});
 *       uint64_t family = segwriter_family(w, &(struct segwriter_family){
 *           .name = "orders_total", .type = SEGWRITER_COUNTER});
 *       uint64_t series = segwriter_series(w, family, NULL);
 *       segwriter_count(w, series, 0, 41);
 *       segwriter_save(w, directory, path);
 *       segwriter_free(w);
 *
 * A call that cannot be served (out of capacity, no such row) is a bug of the test and aborts.
 */
#ifndef SMX_TESTS_SEGWRITER_H
#define SMX_TESTS_SEGWRITER_H

#include <stddef.h>
#include <stdint.h>

enum {
    SEGWRITER_COUNTER = 1,
    SEGWRITER_GAUGE = 2,
    SEGWRITER_HISTOGRAM = 3,
    SEGWRITER_INFO = 4,
    SEGWRITER_STATESET = 5
};
enum { SEGWRITER_SUM, SEGWRITER_MIN, SEGWRITER_MAX, SEGWRITER_AVG, SEGWRITER_LAST, SEGWRITER_EACH };
enum { SEGWRITER_FREE = 0, SEGWRITER_CLAIMING = 1, SEGWRITER_LIVE = 2 };
enum { SEGWRITER_PATH_SIZE = 256, SEGWRITER_LABELS_MAX = 16 };

/* Where slot i of a file is locked by its live process: one byte at SEGWRITER_LOCK_AT + i. */
#define SEGWRITER_LOCK_AT (INT64_C(1) << 62)
/* The owner word of spill rows and of gauges of mode `last`. */
#define SEGWRITER_SHARED_WORD (UINT64_C(1) << 32)

/* All but app may be left zero: then 2 rows, 1 stripe, 8 slots, 16 hash buckets, 1 MiB. */
struct segwriter_options {
    const char *app;
    const char *instance;
    const char *const *labels; /* constant labels: name, value, ..., NULL */
    uint16_t rows;
    uint16_t counter_stripes;
    uint16_t hist_stripes;
    int striped; /* kind 2, with 0 rows; the stripes default to 8 */
    uint32_t slots;
    uint32_t n_buckets;
    uint64_t capacity;
};

struct segwriter_family {
    const char *name;
    const char *help;
    const char *unit;
    const char *labels[SEGWRITER_LABELS_MAX + 1];
    uint8_t type;
    uint8_t mode;
    uint8_t is_double;
    uint8_t digits;
    const char *const *states; /* statesets: up to a NULL */
    /* histograms: explicit bounds in the exposed unit, or, if n_bounds is 0, exponential ones:
     * a zero bucket, n_exponential buckets from first_index on, and the last one */
    const double *bounds;
    uint32_t n_bounds;
    int8_t schema;
    int32_t first_index;
    uint32_t n_exponential;
};

struct segwriter_process {
    uint32_t generation; /* 0: 2 */
    uint32_t pid;
    uint32_t phase;
    uint64_t pid_ns;
    uint64_t start;
    uint64_t heartbeat;
    const char *role;
};

struct segwriter *segwriter_new(const struct segwriter_options *options);
void segwriter_free(struct segwriter *w);

/* Add a record of any kind, `size` zeroed bytes of it behind its head; returns its offset. */
uint64_t segwriter_record(struct segwriter *w, uint16_t kind, size_t size);

/* Add a family; returns the offset of its record. */
uint64_t segwriter_family(struct segwriter *w, const struct segwriter_family *family);

/* Add a series with these label values (NULL for none); returns the offset of its record. */
uint64_t segwriter_series(struct segwriter *w, uint64_t family, const char *const values[]);

/* Add the overflow series of a family; not in the hash table but in the family's record. */
uint64_t segwriter_overflow(struct segwriter *w, uint64_t family);

/* Add the places of a series' exemplars, n of them; returns the offset of the record. */
uint64_t segwriter_exemplars(struct segwriter *w, uint64_t series, uint32_t n);

/* Put a sealed exemplar in one of the places that a record leads to; returns its offset. labels:
 * name, value, ..., NULL. segwriter_seal() seals whatever is at an offset. */
uint64_t segwriter_exemplar(struct segwriter *w, uint64_t record, uint32_t group, uint64_t value,
                            uint64_t time_ns, const char *const labels[]);
void segwriter_seal(struct segwriter *w, uint64_t exemplar);

/* Add a check; returns the offset of its record. */
struct segwriter_check {
    const char *name;
    const char *help;
    uint32_t interval_ms;
    int critical;
};
uint64_t segwriter_check(struct segwriter *w, const struct segwriter_check *check);

/* Put a report of a state, 1 to 3, into a row of a check; and, unless it is NULL, seal what goes
 * with it. Returns the offset of the latter. */
struct segwriter_report {
    uint32_t row;
    uint64_t owner;
    uint64_t time_ms;
    uint8_t state;
    const char *message;
};
uint64_t segwriter_report(struct segwriter *w, uint64_t check,
                          const struct segwriter_report *report);

/* Hide a series, or show it again; moves `published`. */
void segwriter_hide(struct segwriter *w, uint64_t series, int hidden);

/* The offset of a series' cell (of a histogram: of its first word) in a row. */
uint64_t segwriter_cell(const struct segwriter *w, uint64_t series, uint32_t row);

/* Set a counter's cell; a gauge's owner and value; a double gauge's; one bucket of a histogram. */
void segwriter_count(struct segwriter *w, uint64_t series, uint32_t row, uint64_t count);
void segwriter_gauge(struct segwriter *w, uint64_t series, uint32_t row, uint64_t owner,
                     int64_t value);
void segwriter_fgauge(struct segwriter *w, uint64_t series, uint32_t row, uint64_t owner,
                      double value);
void segwriter_bucket(struct segwriter *w, uint64_t series, uint32_t row, uint32_t bucket,
                      uint64_t count);

/* Set the sum, the minimum and the maximum of one row of a histogram. */
void segwriter_limits(struct segwriter *w, uint64_t series, uint32_t row, uint64_t sum,
                      uint64_t min, uint64_t max);

/* Fill a process slot. Returns the owner word of its gauge cells, generation << 32 | slot + 1. */
uint64_t segwriter_process(struct segwriter *w, uint32_t slot,
                           const struct segwriter_process *process);

/* Count losses in the header, by the index of their reason. */
void segwriter_lost(struct segwriter *w, unsigned reason, uint64_t count);

/* Read or overwrite `size` (1, 2, 4 or 8) bytes of the file. */
uint64_t segwriter_get(const struct segwriter *w, uint64_t offset, unsigned size);
void segwriter_put(struct segwriter *w, uint64_t offset, unsigned size, uint64_t value);

/* The bytes handed out so far: [0, allocated). */
uint64_t segwriter_allocated(const struct segwriter *w);

/* Write <directory>/<app>[@<instance>].v1.smx as a new file, which is there whole or not at all
 * (the one before is unlinked), and tell its path; or rewrite the file in place, as a live writer
 * does. Return 0 or a negative errno. */
int segwriter_save(struct segwriter *w, const char *directory, char path[SEGWRITER_PATH_SIZE]);
int segwriter_rewrite(const struct segwriter *w, const char *path);

/* The same for the header alone, whose numbers may be out of range. */
int segwriter_rewrite_header(const struct segwriter *w, const char *path);

#endif
