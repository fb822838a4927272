/* SPDX-License-Identifier: MIT
 *
 * values.c - reads the cells and combines their rows, row by row as they lie in the file.
 * Runs at every update, so it allocates only when more processes live than before. It fills the
 * words of a snapshot that nobody sees yet; smx__values_show() then shows them.
 *
 * Writers go on meanwhile. A cell is an aligned word and is read whole; two cells may be of
 * slightly different moments, so a histogram's count is the sum of its buckets and nothing else.
 */
#include "libshm/reader/reader.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE_WORDS = SMX__PAGE / sizeof(uint64_t) };
/* A snapshot's words of a histogram; the buckets follow. In the file SMX_HIST_SPARE is unused. */
enum { WORD_COUNT = SMX_HIST_SPARE };
/* Gauges that share a cache line. */
enum { LINE_CELLS = (1 << SMX_GAUGE_SHIFT) / sizeof(struct smx_cell) };

static void add_words(uint64_t *restrict total, const uint64_t *restrict row, size_t n)
{
    for (size_t i = 0; i < n; i++)
        total[i] += row[i];
}

static int read_counters(struct smx__pass *p, const struct smx__block *b)
{
    uint64_t total[PAGE_WORDS] = {0};
    for (uint64_t at = b->at; at < b->end; at += SMX__PAGE) {
        const uint64_t *row = smx__source_view(p->file, at, SMX__PAGE, b->run_end);
        if (!row)
            return -EIO;
        add_words(total, row, PAGE_WORDS);
    }
    for (const struct smx__place *place = &p->registry->places[b->first], *end = place + b->n;
         place < end; place++)
        p->values->words[place->word] = total[(place->cell - b->at) / sizeof(uint64_t)];
    return 0;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static int read_histogram(struct smx__pass *p, const struct smx__block *b)
{
    const struct smx__place *place = &p->registry->places[b->first];
    const struct smx_family_info *family = &p->registry->families[place->family];
    uint64_t stride = p->registry->shapes[place->family].stride;
    size_t size = (SMX_HIST_BUCKETS + family->n_buckets) * sizeof(uint64_t);
    uint64_t *words = &p->values->words[place->word];
    memset(words, 0, size);
    for (uint64_t at = b->at; at < b->end; at += stride) {
        const uint64_t *row = smx__source_view(p->file, at, size, b->run_end);
        if (!row)
            return -EIO;
        words[SMX_HIST_SUM] += row[SMX_HIST_SUM];
        words[SMX_HIST_MIN_INVERTED] =
            larger(words[SMX_HIST_MIN_INVERTED], row[SMX_HIST_MIN_INVERTED]);
        words[SMX_HIST_MAX] = larger(words[SMX_HIST_MAX], row[SMX_HIST_MAX]);
        add_words(words + SMX_HIST_BUCKETS, row + SMX_HIST_BUCKETS, family->n_buckets);
    }
    for (size_t i = 0; i < family->n_buckets; i++)
        words[WORD_COUNT] += words[SMX_HIST_BUCKETS + i];
    return 0;
}

/* The integer in a cell, whatever its writer thinks of infos and states. */
static uint64_t integer_of(const struct smx_family_info *family, uint64_t value)
{
    if (family->type == SMX_INFO)
        return 1;
    return family->type == SMX_STATESET ? value & UINT64_MAX >> (64 - family->n_states) : value;
}

static int read_last(struct smx__pass *p, const struct smx__block *b)
{
    const struct smx_cell *cell = smx__source_view(p->file, b->at, sizeof *cell, b->run_end);
    if (!cell)
        return -EIO;
    const struct smx__place *place = &p->registry->places[b->first];
    uint64_t *words = &p->values->words[place->word];
    words[0] = cell->owner == SMX__SHARED_WORD;
    words[1] = integer_of(&p->registry->families[place->family], cell->value);
    return 0;
}

/* What the writers of one gauge amount to so far. */
struct gauge {
    const struct smx_family_info *family;
    enum smx_mode mode;
    bool is_double; /* the cells are doubles */
    bool mean;      /* of integers, exposed as a double */
    uint64_t n;
    uint64_t integer;
    double real;
    struct smx_each *each; /* room for one entry a live process */
};

static double to_double(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t to_bits(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void combine_double(struct gauge *g, double value)
{
    if (g->n && (g->mode == SMX_SUM || g->mode == SMX_AVG))
        g->real += value;
    else if (g->n == 0 || (g->mode == SMX_MIN ? value < g->real : value > g->real))
        g->real = value;
}

/* Sums wrap as the hardware's do: unsigned, so that it is defined. */
static void combine_integer(struct gauge *g, int64_t value)
{
    int64_t so_far = (int64_t)g->integer;
    if (g->family->type == SMX_STATESET)
        g->integer |= (uint64_t)value;
    else if (g->n && g->mode == SMX_SUM)
        g->integer += (uint64_t)value;
    else if (g->n == 0 || (g->mode == SMX_MIN ? value < so_far : value > so_far))
        g->integer = (uint64_t)value;
}

static void combine(struct gauge *g, const struct smx_cell *cell, uint32_t row)
{
    uint64_t value = integer_of(g->family, cell->value);
    if (g->mode == SMX_EACH) {
        /* The spill row is of several processes, none of which has a number. */
        if (row == 0)
            return;
        struct smx_each *each = &g->each[g->n];
        each->worker = row - 1;
        memcpy(&each->value, &value, sizeof each->value);
    } else if (g->is_double) {
        combine_double(g, to_double(value));
    } else if (g->mean) {
        combine_double(g, (double)(int64_t)value);
    } else {
        combine_integer(g, (int64_t)value);
    }
    g->n++;
}

static struct gauge start_gauge(struct smx__pass *p, const struct smx__place *place)
{
    const struct smx_family_info *family = &p->registry->families[place->family];
    bool mean = p->registry->shapes[place->family].mean;
    struct gauge g = {.family = family,
                      .mode = family->mode,
                      .is_double = family->is_double && !mean,
                      .mean = mean};
    /* Where nobody lives there is no list either. */
    if (g.mode == SMX_EACH && p->processes->n_live) {
        g.each = p->values->each + p->n_each;
        p->n_each += p->processes->n_live;
    }
    return g;
}

static void finish_gauge(struct smx__pass *p, const struct smx__place *place, const struct gauge *g)
{
    uint64_t *words = &p->values->words[place->word];
    double real = g->mode == SMX_AVG && g->n ? g->real / (double)g->n : g->real;
    words[0] = g->n;
    if (g->mode == SMX_EACH)
        words[1] = g->n ? (uint64_t)(g->each - p->values->each) : 0;
    else
        words[1] = g->is_double || g->mean ? to_bits(real) : g->integer;
}

/* Take from one row what its occupant has written. */
static int read_row(struct smx__pass *p, const struct smx__block *b, uint64_t word,
                    struct gauge gauges[LINE_CELLS])
{
    uint64_t row = (uint32_t)word;
    /* No row past the highest live one is asked for. */
    uint64_t last =
        p->processes->n_live ? (uint32_t)p->processes->live[p->processes->n_live - 1].word : 0;
    const struct smx_cell *line =
        smx__source_view(p->file, b->at + (row << SMX_GAUGE_SHIFT), 1 << SMX_GAUGE_SHIFT,
                         b->at + ((last + 1) << SMX_GAUGE_SHIFT));
    if (!line)
        return -EIO;
    for (size_t i = 0; i < b->n; i++) {
        const struct smx__place *place = &p->registry->places[b->first + i];
        const struct smx_cell *cell = &line[(place->cell - b->at) / sizeof *line];
        if (cell->owner == word)
            combine(&gauges[i], cell, (uint32_t)row);
    }
    return 0;
}

static int read_gauges(struct smx__pass *p, const struct smx__block *b)
{
    struct gauge gauges[LINE_CELLS];
    const struct smx__place *places = &p->registry->places[b->first];
    for (size_t i = 0; i < b->n; i++)
        gauges[i] = start_gauge(p, &places[i]);
    int result = read_row(p, b, SMX__SHARED_WORD, gauges);
    for (size_t k = 0; result == 0 && k < p->processes->n_live; k++)
        result = read_row(p, b, p->processes->live[k].word, gauges);
    for (size_t i = 0; i < b->n; i++)
        finish_gauge(p, &places[i], &gauges[i]);
    return result;
}

static int read_block(struct smx__pass *p, const struct smx__block *b)
{
    switch (b->kind) {
    case SMX__BLOCK_COUNTERS:
        return read_counters(p, b);
    case SMX__BLOCK_GAUGES:
        return read_gauges(p, b);
    case SMX__BLOCK_LAST:
        return read_last(p, b);
    default:
        return read_histogram(p, b);
    }
}

/* Room for every live process in every gauge of mode `each`. The pages are touched only where
 * values are, and the product is bounded by the gauges' own bytes in the file. */
static int reserve_each(struct smx__values *values, size_t n)
{
    if (n <= values->each_room)
        return 0;
    struct smx_each *each = reallocarray(values->each, n, sizeof *each);
    if (!each)
        return -ENOMEM;
    values->each = each;
    values->each_room = n;
    return 0;
}

int smx__values_begin(struct smx__pass *pass)
{
    pass->n_each = 0;
    pass->next = 0;
    return reserve_each(pass->values, pass->registry->n_each * pass->processes->n_live);
}

/* What a block costs, in bytes of the file. */
static uint64_t cost_of(const struct smx__pass *p, const struct smx__block *b)
{
    if (b->kind == SMX__BLOCK_GAUGES)
        return (p->processes->n_live + 1) << SMX_GAUGE_SHIFT;
    return b->end - b->at;
}

int smx__values_step(struct smx__pass *pass, uint64_t max_bytes)
{
    const struct smx__registry *registry = pass->registry;
    int result = 0;
    for (uint64_t done = 0; result == 0 && pass->next < registry->n_blocks && done < max_bytes;) {
        const struct smx__block *block = &registry->blocks[pass->next++];
        result = read_block(pass, block);
        done += cost_of(pass, block);
    }
    return result < 0 ? result : pass->next < registry->n_blocks;
}

static void show_histogram(const uint64_t *words, const struct smx_histogram_info *shown)
{
    /* The info lies in the registry's own memory; the public view of it is const. */
    struct smx_histogram_info *info = (struct smx_histogram_info *)(uintptr_t)shown;
    bool known = words[WORD_COUNT] != 0 && words[SMX_HIST_MIN_INVERTED] != 0;
    info->count = words[WORD_COUNT];
    info->sum = words[SMX_HIST_SUM];
    info->min = known ? ~words[SMX_HIST_MIN_INVERTED] : 0;
    info->max = known ? words[SMX_HIST_MAX] : 0;
    info->buckets = words + SMX_HIST_BUCKETS;
}

static void show_gauge(const struct smx__values *values, const uint64_t *words,
                       const struct smx_family_info *family, struct smx_series_info *series)
{
    series->present = words[0] != 0;
    if (family->mode == SMX_EACH)
        series->each = (struct smx_each_list){.at = words[0] ? values->each + words[1] : NULL,
                                              .n = (size_t)words[0]};
    else if (family->is_double)
        series->real = words[0] ? to_double(words[1]) : 0;
    else
        series->integer = words[0] ? (int64_t)words[1] : 0;
}

void smx__values_show(const struct smx__values *values, struct smx__registry *registry)
{
    for (size_t i = 0; i < registry->n_series; i++) {
        const struct smx__place *place = &registry->places[i];
        const struct smx_family_info *family = &registry->families[place->family];
        struct smx_series_info *series = &registry->series[place->series];
        const uint64_t *words = &values->words[place->word];
        if (SMX__HAS_GAUGE_CELLS(family->type)) {
            show_gauge(values, words, family, series);
            continue;
        }
        if (family->type == SMX_COUNTER)
            series->count = words[0];
        else
            show_histogram(words, series->histogram);
        /* Every family with labels has an overflow series from the start; most never need it. */
        series->present =
            !series->overflow || words[family->type == SMX_COUNTER ? 0 : WORD_COUNT] != 0;
    }
}
