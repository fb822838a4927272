/* SPDX-License-Identifier: MIT
 *
 * cost.cpp - what an update by <smx/smx.hpp> takes, in ns: the median of some batches, and the
 * fastest. In a segment of its own below $SMX_DIR, or the default directory. What counts for less
 * than it should is said, and is exit status 1.
 */
#include "metrics.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>

namespace
{

constexpr std::uint64_t rounds = 2000000;
constexpr std::size_t batches = 9;
constexpr std::array statuses = {200, 404, 405};
constexpr std::array status_texts = {"200", "404", "405"};

struct samples {
    smx::diag why;
    smx::segment segment{smx::options("cxx-cost"), &why};
    smx::family<smx::counter, method, int> requests{
        segment, {"requests_total", "Requests."}, {"method", "status"}, &why};
    smx::family<smx::counter, std::string_view, std::string_view> texts{
        segment, {"texts_total", "Texts."}, {"method", "status"}, &why};
    smx::table<smx::counter, method> table{segment, {"table_total", "Table."}, {"method"}, &why};
    smx::histogram time{segment, smx::metric("time_seconds", "Time.").unit("seconds"), &why};
    smx::gauge level{segment, {"level", "Level."}, &why};
};

template <typename Update> void measure(const char *what, Update update)
{
    std::array<double, batches> ns{};
    for (double &batch : ns) {
        const std::uint64_t start = smx_now_ns();
        for (std::uint64_t i = 0; i < rounds; i++)
            update(i);
        batch = static_cast<double>(smx_now_ns() - start) / static_cast<double>(rounds);
    }
    std::sort(ns.begin(), ns.end());
    std::printf("%-42s %7.2f %7.2f\n", what, ns[batches / 2], ns[0]);
}

/* A number that differs from round to round, so that no branch is foreseen. */
std::size_t pick(std::uint64_t i)
{
    return static_cast<std::size_t>((i * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % 3;
}

const char *label(std::size_t i)
{
    return smx::label_values<method>::names[i];
}

} // namespace

int main()
{
    const samples m;
    if (m.why) {
        std::fprintf(stderr, "smx-cxx-cost: %s\n", m.why.text);
        return EXIT_FAILURE;
    }
    const smx::counter cached = m.requests.with(method::get, 200);
    std::printf("%-42s %7s %7s\n", "ns", "median", "fastest");
    measure("counter.inc()", [&](std::uint64_t) { cached.inc(); });
    measure("table.with(method).inc()",
            [&](std::uint64_t i) { m.table.with(static_cast<method>(pick(i))).inc(); });
    measure("family.with(method, status).inc()", [&](std::uint64_t i) {
        m.requests.with(static_cast<method>(pick(i)), statuses[pick(i + 1)]).inc();
    });
    measure("the same in C, by strings", [&](std::uint64_t i) {
        smx_counter_inc(smx_counter_with(m.requests.get(),
                                         SMX_VALUES(label(pick(i)), status_texts[pick(i + 1)])));
    });
    measure("family.with(string_view, string_view).inc()", [&](std::uint64_t i) {
        m.texts.with(label(pick(i)), status_texts[pick(i + 1)]).inc();
    });
    measure("histogram.observe(1us)",
            [&](std::uint64_t) { m.time.observe(std::chrono::microseconds(1)); });
    measure("scoped_timer", [&](std::uint64_t) { const smx::scoped_timer timer(m.time); });
    measure("in_progress", [&](std::uint64_t) { const smx::in_progress counted(m.level); });
    const metrics server;
    measure("all that smx-cxx-server counts of a request", [&](std::uint64_t i) {
        const auto life = server.begin(static_cast<route>(pick(i)));
        server.answer(method::get, static_cast<route>(pick(i)), status::ok, 100);
    });
    std::uint64_t table = 0;
    for (const method x : {method::get, method::head, method::other})
        table += m.table.with(x).value();
    return table == rounds * batches ? EXIT_SUCCESS : EXIT_FAILURE;
}
