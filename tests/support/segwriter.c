/* SPDX-License-Identifier: MIT
 *
 * segwriter.c - the header, the records and the cells of a segment, in a buffer that becomes a
 * file. Written from the byte table alone: it must not include libshm/layout.h, and holds the
 * offsets a second time on purpose. The histograms' descriptors are in segwriter_hist.c.
 */
#include "support/segwriter_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void segwriter_require(int condition, const char *what)
{
    if (condition)
        return;
    fprintf(stderr, "segwriter: %s\n", what);
    abort();
}

uint64_t segwriter_get(const struct segwriter *w, uint64_t offset, unsigned size)
{
    uint64_t value = 0;
    segwriter_require(offset + size <= w->capacity, "read past the capacity");
    memcpy(&value, w->bytes + offset, size);
    return value;
}

void segwriter_put(struct segwriter *w, uint64_t offset, unsigned size, uint64_t value)
{
    segwriter_require(offset + size <= w->capacity, "write past the capacity");
    memcpy(w->bytes + offset, &value, size);
}

uint64_t segwriter_allocated(const struct segwriter *w)
{
    return segwriter_get(w, 1024, 8);
}

uint64_t segwriter_allocate(struct segwriter *w, uint64_t size, uint64_t alignment)
{
    uint64_t at = (segwriter_allocated(w) + alignment - 1) & ~(alignment - 1);
    segwriter_require(at + size <= w->capacity, "the segment is full: raise .capacity");
    segwriter_put(w, 1024, 8, at + size);
    segwriter_put(w, 1032, 8, (at + size + 4095) & ~UINT64_C(4095));
    return at;
}

static void publish(struct segwriter *w)
{
    segwriter_put(w, 1088, 8, segwriter_get(w, 1088, 8) + 1);
}

/* Append (length u16, bytes). Returns the offset behind it. */
static uint64_t put_counted(struct segwriter *w, uint64_t at, const char *string)
{
    size_t length = strlen(string);
    segwriter_put(w, at, 2, length);
    memcpy(w->bytes + at + 2, string, length);
    return at + 2 + length;
}

static uint64_t put_bytes(struct segwriter *w, uint64_t at, const char *string)
{
    memcpy(w->bytes + at, string, strlen(string));
    return at + strlen(string);
}

static void put_constant_labels(struct segwriter *w, const char *const *labels)
{
    uint64_t at = 2050;
    for (; labels && *labels; labels++)
        at = put_counted(w, at, *labels);
    segwriter_put(w, 2048, 2, at - 2050);
}

static void put_header(struct segwriter *w, const struct segwriter_options *o)
{
    static const uint16_t sizes[5] = {16, 72, 40, 64, 128};
    uint16_t stripes = o->striped ? 8 : 1;
    memcpy(w->bytes, "SMXSEG\r\n", 8);
    segwriter_put(w, 8, 4, 0x01020304);
    segwriter_put(w, 12, 2, 1);
    segwriter_put(w, 14, 2, 1);
    segwriter_put(w, 16, 2, 4096);
    for (unsigned i = 0; i < 5; i++)
        segwriter_put(w, 18 + 2 * i, 2, sizes[i]);
    segwriter_put(w, 28, 2, o->striped ? 2 : 1);
    segwriter_put(w, 30, 2, o->striped ? 0 : o->rows ? o->rows : 2);
    segwriter_put(w, 32, 2, o->counter_stripes ? o->counter_stripes : stripes);
    segwriter_put(w, 34, 2, o->hist_stripes ? o->hist_stripes : stripes);
    segwriter_put(w, 36, 4, o->slots ? o->slots : 8);
    segwriter_put(w, 40, 8, w->capacity);
    segwriter_put(w, 48, 8, w->capacity);
    segwriter_put(w, 56, 8, UINT64_C(0x5eed5eed5eed5eed));
    segwriter_put(w, 64, 8, UINT64_C(1700000000000000000));
    segwriter_put(w, 96, 4, o->n_buckets ? o->n_buckets : 16);
    segwriter_put(w, 100, 4, 2000);
    strncpy((char *)w->bytes + 320, o->app, 63);
    strncpy((char *)w->bytes + 384, o->instance ? o->instance : "", 63);
    put_constant_labels(w, o->labels);
}

struct segwriter *segwriter_new(const struct segwriter_options *options)
{
    struct segwriter *w = calloc(1, sizeof *w);
    segwriter_require(w != NULL, "out of memory");
    w->capacity = options->capacity ? options->capacity : UINT64_C(1) << 20;
    w->bytes = calloc(1, w->capacity);
    segwriter_require(w->bytes != NULL, "out of memory");
    put_header(w, options);
    segwriter_put(w, 1024, 8, 4096);
    segwriter_put(w, 88, 8, segwriter_allocate(w, segwriter_get(w, 96, 4) * 4, 64));
    segwriter_put(w, 104, 8, segwriter_allocate(w, segwriter_get(w, 36, 4) * 128, 128));
    return w;
}

void segwriter_free(struct segwriter *w)
{
    if (w)
        free(w->bytes);
    free(w);
}

/* Put a record at the end of the chain of its hash, as a CAS on the last `next` does. */
static void link_record(struct segwriter *w, uint64_t record)
{
    uint32_t hash = (uint32_t)segwriter_get(w, record + 4, 4);
    uint64_t n_buckets = segwriter_get(w, 96, 4);
    uint64_t link = segwriter_get(w, 88, 8) + (hash & (n_buckets - 1)) * 4;
    for (uint64_t next; (next = segwriter_get(w, link, 4)) != 0;)
        link = next * 8;
    segwriter_put(w, link, 4, record / 8);
    publish(w);
}

/* Start a record of `size` bytes. The hash is of the record's own offset: a reader has no use for
 * it, and any function spreads the records over the chains. */
static uint64_t new_record(struct segwriter *w, uint16_t kind, size_t size)
{
    size = (size + 7) & ~(size_t)7;
    uint64_t at = segwriter_allocate(w, size, 8);
    segwriter_put(w, at + 4, 4, (uint32_t)(at * UINT64_C(0x9e3779b97f4a7c15) >> 32));
    segwriter_put(w, at + 8, 2, kind);
    segwriter_put(w, at + 12, 4, size);
    return at;
}

uint64_t segwriter_record(struct segwriter *w, uint16_t kind, size_t size)
{
    uint64_t at = new_record(w, kind, 16 + size);
    link_record(w, at);
    return at;
}

static const char *text(const char *string)
{
    return string ? string : "";
}

static size_t family_size(const struct segwriter_family *f)
{
    size_t size = 72 + strlen(f->name) + strlen(text(f->unit)) + strlen(text(f->help));
    for (const char *const *label = f->labels; *label; label++)
        size += 2 + strlen(*label);
    for (const char *const *state = f->states; state && *state; state++)
        size += 2 + strlen(*state);
    return size;
}

static void put_family_strings(struct segwriter *w, uint64_t at, const struct segwriter_family *f)
{
    segwriter_put(w, at + 52, 2, strlen(f->name));
    segwriter_put(w, at + 54, 2, strlen(text(f->unit)));
    segwriter_put(w, at + 56, 4, strlen(text(f->help)));
    uint64_t to = put_bytes(w, at + 72, f->name);
    to = put_bytes(w, to, text(f->unit));
    to = put_bytes(w, to, text(f->help));
    uint64_t n_labels = 0;
    for (const char *const *label = f->labels; *label; label++, n_labels++)
        to = put_counted(w, to, *label);
    uint64_t n_states = 0;
    for (const char *const *state = f->states; state && *state; state++, n_states++)
        to = put_counted(w, to, *state);
    segwriter_put(w, at + 20, 1, n_labels);
    segwriter_put(w, at + 23, 1, n_states);
}

uint64_t segwriter_family(struct segwriter *w, const struct segwriter_family *family)
{
    uint64_t at = new_record(w, 1, family_size(family));
    segwriter_put(w, at + 16, 1, family->type);
    segwriter_put(w, at + 17, 1, family->is_double);
    segwriter_put(w, at + 18, 1, family->mode);
    segwriter_put(w, at + 19, 1, family->digits);
    segwriter_put(w, at + 24, 4, 2000);
    put_family_strings(w, at, family);
    if (family->type == SEGWRITER_HISTOGRAM)
        segwriter_describe(w, at, family);
    link_record(w, at);
    return at;
}

/* A counter's cell: 512 of them share an extent of one page a row. */
static uint64_t counter_cell(struct segwriter *w)
{
    if (w->counters_left == 0) {
        uint64_t rows = segwriter_get(w, 30, 2) + segwriter_get(w, 32, 2);
        w->counters_at = segwriter_allocate(w, rows * 4096, 4096);
        w->counters_left = 512;
    }
    return w->counters_at + 8 * (512 - w->counters_left--);
}

/* Four of them share an extent of one cache line a row. */
uint64_t segwriter_gauge_cell(struct segwriter *w)
{
    if (w->gauges_left == 0) {
        w->gauges_at = segwriter_allocate(w, (segwriter_get(w, 36, 4) + 1) * 64, 64);
        w->gauges_left = 4;
    }
    return w->gauges_at + 16 * (4 - w->gauges_left--);
}

static uint64_t new_cell(struct segwriter *w, uint64_t family)
{
    uint64_t type = segwriter_get(w, family + 16, 1);
    if (type == SEGWRITER_COUNTER)
        return counter_cell(w);
    if (type == SEGWRITER_HISTOGRAM)
        return segwriter_hist_cell(w, family);
    if (segwriter_get(w, family + 18, 1) == SEGWRITER_LAST)
        return segwriter_allocate(w, 16, 16);
    return segwriter_gauge_cell(w);
}

static uint64_t new_series(struct segwriter *w, uint64_t family, const char *const values[])
{
    size_t size = 40;
    for (const char *const *value = values; value && *value; value++)
        size += strlen(*value) / 8 * 8 + 8;
    uint64_t cell = new_cell(w, family);
    uint64_t at = new_record(w, 2, size);
    segwriter_put(w, at + 16, 4, family / 8);
    segwriter_put(w, at + 24, 8, cell);
    uint64_t to = at + 40;
    for (const char *const *value = values; value && *value; value++) {
        memcpy(w->bytes + to, *value, strlen(*value));
        to += strlen(*value) / 8 * 8 + 8;
    }
    return at;
}

uint64_t segwriter_series(struct segwriter *w, uint64_t family, const char *const values[])
{
    uint64_t at = new_series(w, family, values);
    segwriter_put(w, family + 28, 4, segwriter_get(w, family + 28, 4) + 1);
    link_record(w, at);
    return at;
}

uint64_t segwriter_overflow(struct segwriter *w, uint64_t family)
{
    uint64_t at = new_series(w, family, NULL);
    segwriter_put(w, family + 40, 8, at);
    publish(w);
    return at;
}

uint64_t segwriter_exemplars(struct segwriter *w, uint64_t series, uint32_t n)
{
    uint64_t places = segwriter_allocate(w, UINT64_C(544) * n, 8);
    uint64_t at = new_record(w, 3, 40);
    segwriter_put(w, at + 16, 8, segwriter_get(w, series + 24, 8));
    segwriter_put(w, at + 24, 8, places);
    segwriter_put(w, at + 32, 4, n);
    segwriter_put(w, at + 36, 4, 1);
    link_record(w, at);
    return at;
}

__extension__ typedef unsigned __int128 u128;

void segwriter_seal(struct segwriter *w, uint64_t exemplar)
{
    uint64_t hash = exemplar;
    uint64_t length = segwriter_get(w, exemplar + 24, 8);
    for (uint64_t at = exemplar + 8; at < exemplar + 32 + (length < 512 ? length : 512); at += 8) {
        u128 product = (u128)(hash ^ segwriter_get(w, at, 8)) * UINT64_C(0xa0761d6478bd642f);
        hash = (uint64_t)product ^ (uint64_t)(product >> 64);
    }
    segwriter_put(w, exemplar, 8, hash | 1);
}

uint64_t segwriter_exemplar(struct segwriter *w, uint64_t record, uint32_t group, uint64_t value,
                            uint64_t time_ns, const char *const labels[])
{
    uint64_t at = segwriter_get(w, record + 24, 8) + UINT64_C(544) * group, length = 0;
    segwriter_put(w, at + 8, 8, time_ns);
    segwriter_put(w, at + 16, 8, value);
    for (; *labels; labels++) {
        segwriter_require(length + strlen(*labels) < 512, "labels of an exemplar are too long");
        memcpy(w->bytes + at + 32 + length, *labels, strlen(*labels) + 1);
        length += strlen(*labels) + 1;
    }
    segwriter_put(w, at + 24, 8, length);
    segwriter_seal(w, at);
    return at;
}

void segwriter_hide(struct segwriter *w, uint64_t series, int hidden)
{
    segwriter_put(w, series + 20, 4, hidden ? 1 : 0);
    publish(w);
}

uint64_t segwriter_cell(const struct segwriter *w, uint64_t series, uint32_t row)
{
    uint64_t family = segwriter_get(w, series + 16, 4) * 8;
    uint64_t distance = 64, rows = segwriter_get(w, 36, 4) + 1;
    uint64_t type = segwriter_get(w, family + 16, 1);
    if (type == SEGWRITER_COUNTER) {
        distance = 4096;
        rows = segwriter_get(w, 30, 2) + segwriter_get(w, 32, 2);
    } else if (type == SEGWRITER_HISTOGRAM) {
        distance = segwriter_get(w, segwriter_get(w, family + 32, 8) + 8, 4);
        rows = segwriter_get(w, 30, 2) + segwriter_get(w, 34, 2);
    } else if (segwriter_get(w, family + 18, 1) == SEGWRITER_LAST) {
        rows = 1;
    }
    segwriter_require(row < rows, "no such row");
    return segwriter_get(w, series + 24, 8) + row * distance;
}

void segwriter_count(struct segwriter *w, uint64_t series, uint32_t row, uint64_t count)
{
    segwriter_put(w, segwriter_cell(w, series, row), 8, count);
}

void segwriter_gauge(struct segwriter *w, uint64_t series, uint32_t row, uint64_t owner,
                     int64_t value)
{
    uint64_t cell = segwriter_cell(w, series, row);
    segwriter_put(w, cell, 8, owner);
    segwriter_put(w, cell + 8, 8, (uint64_t)value);
}

void segwriter_fgauge(struct segwriter *w, uint64_t series, uint32_t row, uint64_t owner,
                      double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    segwriter_gauge(w, series, row, owner, bits);
}

uint64_t segwriter_process(struct segwriter *w, uint32_t slot,
                           const struct segwriter_process *process)
{
    uint64_t generation = process->generation ? process->generation : 2;
    segwriter_require(slot < segwriter_get(w, 36, 4), "no such slot");
    uint64_t at = segwriter_get(w, 104, 8) + slot * 128;
    if (segwriter_get(w, 1096, 4) <= slot)
        segwriter_put(w, 1096, 4, slot + 1);
    segwriter_put(w, at, 8, generation << 32 | (uint64_t)process->pid << 8 | process->phase);
    segwriter_put(w, at + 8, 8, process->pid_ns);
    segwriter_put(w, at + 16, 8, process->start);
    segwriter_put(w, at + 24, 8, process->heartbeat);
    strncpy((char *)w->bytes + at + 32, text(process->role), 31);
    return generation << 32 | (slot + 1);
}

void segwriter_lost(struct segwriter *w, unsigned reason, uint64_t count)
{
    segwriter_require(reason < 16, "no such reason");
    segwriter_put(w, 1152 + 8 * reason, 8, count);
}

static int write_all(int fd, const struct segwriter *w)
{
    uint64_t length = (segwriter_allocated(w) + 4095) & ~UINT64_C(4095);
    if (length > w->capacity)
        length = w->capacity;
    if (ftruncate(fd, (off_t)w->capacity) != 0)
        return -errno;
    for (uint64_t done = 0; done < length;) {
        ssize_t n = pwrite(fd, w->bytes + done, length - done, (off_t)done);
        if (n < 0)
            return -errno;
        done += (uint64_t)n;
    }
    return 0;
}

static int write_file(const struct segwriter *w, const char *path, int flags)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | flags, 0640);
    if (fd < 0)
        return -errno;
    int result = write_all(fd, w);
    close(fd);
    return result;
}

int segwriter_save(struct segwriter *w, const char *directory, char path[SEGWRITER_PATH_SIZE])
{
    const char *instance = (const char *)w->bytes + 384;
    int n = snprintf(path, SEGWRITER_PATH_SIZE, "%s/%s%s%s.v1.smx", directory,
                     (const char *)w->bytes + 320, *instance ? "@" : "", instance);
    if (n < 0 || n >= SEGWRITER_PATH_SIZE)
        return -ENAMETOOLONG;
    char draft[SEGWRITER_PATH_SIZE + 8];
    snprintf(draft, sizeof draft, "%s.draft", path);
    int result = write_file(w, draft, O_CREAT | O_EXCL);
    if (result == 0 && rename(draft, path) != 0)
        result = -errno;
    if (result != 0)
        unlink(draft);
    return result;
}

int segwriter_rewrite(const struct segwriter *w, const char *path)
{
    return write_file(w, path, 0);
}

int segwriter_rewrite_header(const struct segwriter *w, const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n = pwrite(fd, w->bytes, 4096, 0);
    close(fd);
    return n == 4096 ? 0 : -EIO;
}
