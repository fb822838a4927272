/* SPDX-License-Identifier: MIT
 *
 * limit.c - the least that an update and a scrape can take. What smx does is measured by it, so it
 * is as fast as we can make it, and does nothing that smx has to do besides.
 */
#include "run/limit.h"
#include "run/sample.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = sizeof((struct limit_page *)0)->names[0], LINE_SIZE = NAME_SIZE + 24 };

double limit_add(uint64_t for_ns)
{
    /* A line of its own, found by a pointer that is read for each add, as a handle is. */
    _Alignas(128) uint64_t word[16] = {0};
    uint64_t *cell = word;
    const uint64_t n = for_ns * 3;
    uint64_t start = sample_cpu_ns();
    for (uint64_t i = 0; i < n; i++) {
        LIMIT_ADD(*cell);
        __asm__ __volatile__("" : "+m"(cell));
    }
    return (double)(sample_cpu_ns() - start) / (double)n;
}

int limit_page_init(struct limit_page *page, uint64_t series)
{
    *page = (struct limit_page){.n = series};
    page->rows[0] = calloc(series, sizeof **page->rows);
    page->rows[1] = calloc(series, sizeof **page->rows);
    page->names = calloc(series, sizeof *page->names);
    page->text = calloc(series + 1, LINE_SIZE);
    if (!page->rows[0] || !page->rows[1] || !page->names || !page->text)
        return -ENOMEM;
    for (uint64_t i = 0; i < series; i++) {
        snprintf(page->names[i], NAME_SIZE,
                 "bench_requests_total{method=\"PROPFIND\",r=\"l%07u\"} ", (unsigned)i);
        page->rows[0][i] = i * 2654435761u % 100000000;
        page->rows[1][i] = (i * 2654435761u + 40503u) % 100000000;
        page->total += page->rows[0][i] + page->rows[1][i];
    }
    return 0;
}

void limit_page_fini(struct limit_page *page)
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

static double write_page(struct limit_page *page, const char pairs[200])
{
    char *to = page->text;
    const size_t length = strlen(page->names[0]);
    uint64_t start = sample_cpu_ns();
    for (uint64_t i = 0; i < page->n; i++) {
        memcpy(to, page->names[i], NAME_SIZE);
        to = put_number(to + length, pairs, page->rows[0][i] + page->rows[1][i]);
        *to++ = '\n';
    }
    *to = '\0';
    return (double)(sample_cpu_ns() - start) / 1e6;
}

double limit_page_write(struct limit_page *page)
{
    char pairs[200];
    for (unsigned i = 0; i < 100; i++) {
        pairs[2 * i] = (char)('0' + i / 10);
        pairs[2 * i + 1] = (char)('0' + i % 10);
    }
    write_page(page, pairs);
    return write_page(page, pairs);
}
