/* SPDX-License-Identifier: MIT
 *
 * shape.c - decides what a new segment looks like: options, defaults, and the limits of this
 * process and machine. Touches no file of smx.
 */
#include "libshm/segment/cpu.h"
#include "libshm/diag.h"
#include "libshm/header.h"
#include "libshm/segment/file.h"
#include "libshm/names.h"
#include "libshm/segment/rseq.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define MIB (UINT64_C(1) << 20)

enum { DEFAULT_SLOTS = 1024, DEFAULT_SERIES = 2000 };
/* Atomic rows. In a per-CPU segment they are for threads without rseq: a few, so that processes
 * seldom meet. A histogram, whose row may be large, has one if whoever makes the segment has rseq,
 * as then all will. */
enum { STRIPES = 4, HIST_STRIPES_BESIDE_RSEQ = 1, STRIPED_STRIPES = 8 };

static uint64_t new_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) == (ssize_t)sizeof seed)
        return seed;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((uint64_t)now.tv_sec << 30 ^ (uint64_t)now.tv_nsec) * UINT64_C(0x9e3779b97f4a7c15) ^
           (uint64_t)getpid();
}

static uint32_t power_of_two_below(uint64_t n)
{
    return n < 256 ? 256 : n > 1u << 22 ? 1u << 22 : 1u << (63 - __builtin_clzll(n));
}

static uint64_t page_down(uint64_t bytes)
{
    return bytes & ~(uint64_t)(SMX__PAGE - 1);
}

static int fit(uint64_t wanted, struct smx__shape *shape, struct smx_diag *diag)
{
    struct rlimit file = {RLIM_INFINITY, RLIM_INFINITY};
    struct rlimit space = {RLIM_INFINITY, RLIM_INFINITY};
    (void)getrlimit(RLIMIT_FSIZE, &file);
    (void)getrlimit(RLIMIT_AS, &space);
    uint64_t capacity = wanted > 1024 * MIB ? wanted : 1024 * MIB;
    if (file.rlim_cur != RLIM_INFINITY && file.rlim_cur < capacity)
        capacity = file.rlim_cur;
    if (space.rlim_cur != RLIM_INFINITY && space.rlim_cur / 4 < capacity)
        capacity = space.rlim_cur / 4;
    shape->capacity = page_down(capacity);
    shape->max_bytes = wanted < shape->capacity ? wanted : shape->capacity;
    shape->n_buckets = power_of_two_below(shape->max_bytes / 1024);
    uint64_t least = SMX__PAGE + (uint64_t)shape->slots * sizeof(struct smx__slot) +
                     (uint64_t)shape->n_buckets * sizeof(uint32_t) + 16 * SMX__PAGE;
    if (shape->max_bytes >= least)
        return 0;
    if (wanted < least)
        return smx__fail(diag, -EINVAL, "max_bytes is %llu, but %u slots need %llu at least",
                         (unsigned long long)wanted, shape->slots, (unsigned long long)least);
    return page_down(file.rlim_cur) < least
               ? smx__fail(diag, -EFBIG, "RLIMIT_FSIZE is %llu bytes, a segment needs %llu",
                           (unsigned long long)file.rlim_cur, (unsigned long long)least)
               : smx__fail(diag, -ENOMEM,
                           "RLIMIT_AS is %llu bytes; a segment takes a quarter of "
                           "it and needs %llu",
                           (unsigned long long)space.rlim_cur, (unsigned long long)least);
}

static int choose_rows(const struct smx_options *options, struct smx__shape *shape,
                       struct smx_diag *diag)
{
    if (options->rows > SMX__MAX_ROWS)
        return smx__fail(diag, -EINVAL, "rows is %u, at most %d are possible", options->rows,
                         SMX__MAX_ROWS);
    unsigned rows = options->rows ? options->rows : smx__cpu_rows();
    bool striped =
        options->kind == SMX_KIND_STRIPED || (options->kind == SMX_KIND_AUTO && !options->rows &&
                                              !smx__cpu_rows_pay(rows, smx__cpu_allowed()));
    shape->kind = striped ? SMX__KIND_STRIPED : SMX__KIND_PERCPU;
    shape->rows = striped ? 0 : (uint16_t)rows;
    shape->counter_stripes = striped ? STRIPED_STRIPES : STRIPES;
    shape->hist_stripes = shape->counter_stripes;
    if (!striped && smx__rseq_works())
        shape->hist_stripes = HIST_STRIPES_BESIDE_RSEQ;
    return 0;
}

static int add_text(struct smx__shape *shape, const char *text, size_t length)
{
    if (length + 2 > sizeof shape->labels - shape->labels_len)
        return -EINVAL;
    uint16_t stored = (uint16_t)length;
    memcpy(shape->labels + shape->labels_len, &stored, sizeof stored);
    memcpy(shape->labels + shape->labels_len + 2, text, length);
    shape->labels_len = (uint16_t)(shape->labels_len + 2 + length);
    return 0;
}

static int pack_labels(const char *const *labels, struct smx__shape *shape, struct smx_diag *diag)
{
    for (size_t i = 0; labels && labels[i]; i += 2) {
        const char *name = labels[i];
        const char *value = labels[i + 1];
        if (!value || !smx__is_label_name(name, strlen(name)) ||
            !smx__is_utf8(value, strlen(value)))
            return smx__fail(diag, -EINVAL,
                             "constant label \"%.64s\": names and values are UTF-8, names not "
                             "empty and without a leading __",
                             name);
        /* It stands in every line, beside the labels that the exposition itself adds. */
        if (smx__is_reserved_label(name) || strcmp(name, "le") == 0 ||
            strcmp(name, "worker") == 0 || smx__has_label(shape->labels, shape->labels_len, name))
            return smx__fail(diag, -EINVAL, "constant label \"%.64s\": reserved, or twice", name);
        if (add_text(shape, name, strlen(name)) != 0 || add_text(shape, value, strlen(value)) != 0)
            return smx__fail(diag, -EINVAL, "constant labels: at \"%.64s\" they exceed %d bytes",
                             name, SMX__LABELS_SIZE);
    }
    return 0;
}

int smx__shape(const struct smx_options *options, struct smx__shape *out, struct smx_diag *diag)
{
    struct smx__shape shape = {
        .seed = new_seed(),
        .slots = options->slots ? options->slots : DEFAULT_SLOTS,
        .max_series = options->max_series ? options->max_series : DEFAULT_SERIES,
        .reserve_now = (options->flags & SMX_RESERVE_NOW) != 0,
        .app = options->app,
        .instance = options->instance ? options->instance : "",
    };
    if (shape.slots > SMX__MAX_SLOTS)
        return smx__fail(diag, -EINVAL, "slots is %u, at most %d are possible", shape.slots,
                         SMX__MAX_SLOTS);
    int error = choose_rows(options, &shape, diag);
    if (!error)
        error = pack_labels(options->constant_labels, &shape, diag);
    /* A ref has 32 bits and counts in units of 8 bytes. */
    uint64_t wanted = options->max_bytes ? options->max_bytes : 64 * MIB;
    if (!error && wanted > 32 * 1024 * MIB)
        error = smx__fail(diag, -EINVAL, "max_bytes is above 32 GiB");
    if (!error)
        error = fit((wanted + SMX__PAGE - 1) & ~(uint64_t)(SMX__PAGE - 1), &shape, diag);
    if (!error)
        *out = shape;
    return error;
}
