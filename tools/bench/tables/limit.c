/* SPDX-License-Identifier: MIT
 *
 * limit.c - the least that a scrape of counters can take, as a row of its own; its text is read
 * again as that of the others is.
 */
#include "run/limit.h"
#include "run/page.h"
#include "run/sample.h"
#include "tables/tables.h"

#include <errno.h>

static int run(const struct bench_case *bench, const struct bench_place *place,
               struct bench_result *result)
{
    struct limit_page page;
    struct sample sample = {0};
    int code = limit_page_init(&page, bench->series);
    if (code < 0)
        bench_fail(result, code, "no memory for the page");
    for (unsigned i = 0; i < place->repeats && code == 0; i++)
        sample_put(&sample, limit_page_write(&page), 0);
    if (code == 0) {
        sample_conclude(&sample, result);
        result->counts = true;
        result->lost = (int64_t)(page.total - page_total(page.text, "bench_requests_total{"));
    }
    limit_page_fini(&page);
    return code;
}

const struct bench_case gather_limit[] = {
    {"gather", "memory_to_text", BENCH_MS, .exact = true, .series = 10000, .beside = "scrape",
     .run = run},
    {"gather", "memory_to_text", BENCH_MS, .exact = true, .series = 100000, .beside = "scrape",
     .run = run},
    {0},
};
