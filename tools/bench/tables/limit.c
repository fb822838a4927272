/* SPDX-License-Identifier: MIT
 *
 * limit.c - the least that a scrape of counters can take: numbers in plain memory, two rows of
 * them, are added and written as text behind names that are ready. No file, no registry.
 */
#include "run/page.h"
#include "run/sample.h"
#include "tables/tables.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 64, LINE_SIZE = NAME_SIZE + 24 };

struct page {
    uint64_t n;
    uint64_t *rows[2];
    char (*names)[NAME_SIZE];
    char *text;
    uint64_t total;
};

static int make(struct page *page, uint64_t n, struct bench_result *result)
{
    *page = (struct page){.n = n};
    page->rows[0] = calloc(n, sizeof **page->rows);
    page->rows[1] = calloc(n, sizeof **page->rows);
    page->names = calloc(n, sizeof *page->names);
    page->text = calloc(n + 1, LINE_SIZE);
    if (!page->rows[0] || !page->rows[1] || !page->names || !page->text)
        return bench_fail(result, -ENOMEM, "no memory for the page");
    for (uint64_t i = 0; i < n; i++) {
        snprintf(page->names[i], NAME_SIZE,
                 "bench_requests_total{method=\"PROPFIND\",r=\"l%07u\"} ", (unsigned)i);
        page->rows[0][i] = i * 2654435761u % 100000000;
        page->rows[1][i] = (i * 2654435761u + 40503u) % 100000000;
        page->total += page->rows[0][i] + page->rows[1][i];
    }
    return 0;
}

static void drop(struct page *page)
{
    free(page->rows[0]);
    free(page->rows[1]);
    free(page->names);
    free(page->text);
}

/* Two digits at a time, from the end. Copies of a constant size are two instructions, so more than
 * the number is copied. */
static char *put_number(char *to, const char pairs[200], uint64_t value)
{
    enum { DIGITS = 16 };
    char digits[2 * DIGITS];
    char *at = digits + DIGITS;
    for (; value >= 10; value /= 100)
        memcpy(at -= 2, pairs + value % 100 * 2, 2);
    if (value || at == digits + DIGITS)
        *--at = (char)('0' + value);
    memcpy(to, at, DIGITS);
    return to + (digits + DIGITS - at);
}

static size_t write_page(struct page *page, const char pairs[200])
{
    char *to = page->text;
    const size_t length = strlen(page->names[0]);
    for (uint64_t i = 0; i < page->n; i++) {
        memcpy(to, page->names[i], NAME_SIZE);
        to = put_number(to + length, pairs, page->rows[0][i] + page->rows[1][i]);
        *to++ = '\n';
    }
    return (size_t)(to - page->text);
}

static int run(const struct bench_case *bench, const struct bench_place *place,
               struct bench_result *result)
{
    char pairs[200];
    struct page page;
    struct sample sample = {0};
    int code = make(&page, bench->series, result);
    for (unsigned i = 0; i < 100; i++) {
        pairs[2 * i] = (char)('0' + i / 10);
        pairs[2 * i + 1] = (char)('0' + i % 10);
    }
    for (unsigned i = 0; i <= place->repeats && code == 0; i++) {
        uint64_t start = sample_cpu_ns();
        size_t length = write_page(&page, pairs);
        double ms = (double)(sample_cpu_ns() - start) / 1e6;
        if (i > 0)
            sample_put(&sample, ms);
        page.text[length] = '\0';
    }
    result->counts = true;
    if (code == 0)
        result->lost = (int64_t)(page.total - page_total(page.text, "bench_requests_total{"));
    drop(&page);
    if (code == 0)
        sample_conclude(&sample, result);
    return code;
}

const struct bench_case gather_limit[] = {
    {"gather", "memory_to_text", BENCH_MS, .exact = true, .series = 10000, .beside = "scrape",
     .run = run},
    {"gather", "memory_to_text", BENCH_MS, .exact = true, .series = 100000, .beside = "scrape",
     .run = run},
    {0},
};
