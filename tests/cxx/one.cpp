/* SPDX-License-Identifier: MIT
 *
 * one.cpp - opens a segment, updates it in two translation units and in a block that is left by an
 * exception, and checks what was counted. $SMX_DIR is where. Exit status 0: all is right.
 */
#include "updates.h"

#include <cstdio>
#include <stdexcept>

static int mistakes;

static void expect(const char *what, uint64_t is, uint64_t should)
{
    if (is == should)
        return;
    std::fprintf(stderr, "%s is %llu, not %llu\n", what, static_cast<unsigned long long>(is),
                 static_cast<unsigned long long>(should));
    mistakes++;
}

static smx_metric metric(const char *name)
{
    smx_metric m{};
    m.name = name;
    return m;
}

static void fail(smx_counter failures)
{
    SMX_FAIL_SCOPE(outcome, failures);
    throw std::runtime_error("left early");
}

int main()
{
    smx_options options{};
    options.app = "cxx";
    smx_segment *segment = nullptr;
    smx_diag diag{};
    if (smx_open(&options, &segment, &diag) != 0) {
        std::fprintf(stderr, "%s\n", diag.text);
        return 1;
    }
    const smx_metric counted = metric("counted_total"), recorded = metric("recorded"),
                     level = metric("level"), failed = metric("failed_total");
    const updates u{smx_counter_new(segment, &counted, nullptr),
                    smx_histogram_new(segment, &recorded, nullptr),
                    smx_gauge_new(segment, &level, nullptr)};

    update_all(u, 2);
    update_as(u, 4);
    updater<unsigned>{u}.times(3, 1000);
    uint64_t total = 2 + 4 + 1000 * (3 + 1) + update_in_two(u);
    expect("the counter", smx_counter_value(u.counter), total);
    expect("the count of the histogram", smx_histogram_count(u.histogram), 1002 + 12);
    expect("the sum of the histogram", smx_histogram_sum(u.histogram), total - 1010);
    expect("the gauge", static_cast<uint64_t>(smx_gauge_value(u.gauge)), 5);

    smx_metric labelled = metric("labelled_total");
    labelled.labels[0] = "method";
    labelled.labels[1] = "status";
    const smx_family family = smx_counter_family(segment, &labelled, nullptr);
    smx_counter_add(smx_counter_with(family, SMX_VALUES("GET", "200")), 3);
    smx_counter_inc(smx_counter_with(family, SMX_VALUES("GET", "404")));
    expect("a series by its values",
           smx_counter_value(smx_counter_with(family, SMX_VALUES("GET", "200"))), 3);

    const smx_counter failures = smx_counter_new(segment, &failed, nullptr);
    try {
        fail(failures);
    } catch (const std::runtime_error &) {
    }
    expect("the failures", smx_counter_value(failures), 1);
    return mistakes != 0;
}
