/* SPDX-License-Identifier: MIT
 *
 * values.cpp - each member of each class of <smx/smx.hpp>, and what was counted by it; then the
 * same without a segment. $SMX_DIR is where. Exit status 0: all is right.
 */
#include <smx/smx.hpp>

#include <array>
#include <cstdio>
#include <string>

using namespace std::chrono_literals;

enum class method { get, post, other };
template <> struct smx::label_values<method> {
    static constexpr const char *names[] = {"GET", "POST", "other"};
};

namespace host
{
enum class side { left, right };
/* What lookups must not find. */
[[maybe_unused]] static int index_of(side)
{
    return 7;
}
} // namespace host
template <> struct smx::label_values<host::side> {
    static constexpr const char *names[] = {"left", "right"};
};

enum class phase : unsigned char { idle, reading, writing };
template <> struct smx::label_values<phase> {
    static constexpr std::array names = {"idle", "reading", "writing"};
};

/* Copied as the C handles are. */
static_assert(std::is_trivially_copyable_v<smx::stateset<phase>> &&
              sizeof(smx::stateset<phase>) == sizeof(smx_stateset));
static_assert(!std::is_copy_constructible_v<smx::segment> &&
              std::is_nothrow_move_constructible_v<smx::segment> &&
              !std::is_copy_constructible_v<smx::scoped_timer> &&
              !std::is_copy_constructible_v<smx::in_progress>);

static int mistakes;

static void expect(const char *what, double is, double should)
{
    if (is == should)
        return;
    std::fprintf(stderr, "%s is %.17g, not %.17g\n", what, is, should);
    mistakes++;
}

template <typename Number> static double number(Number n)
{
    return static_cast<double>(n);
}

/* A series as C finds it; 0 in a run without a segment. */
static double total(smx_family family, const char *first, const char *second)
{
    return number(smx_counter_value(smx_counter_with(family, SMX_VALUES(first, second))));
}

static void use_counters(const smx::segment &in, int there)
{
    const smx::counter plain(in, {"plain_total", "Plain."});
    plain.inc();
    plain.add(4);
    plain.add(5U);
    plain.add(-3); /* dropped */
    plain.add(std::uint8_t{200});
    plain.add_exemplar(2, "trace_id", "4711");
    expect("a counter", number(plain.value()), 212 * there);
    const smx::counter busy(in, smx::metric("busy_seconds_total", "Busy.").unit("seconds"));
    busy.add(3ns);
    busy.add(2us);
    busy.add(1s);
    busy.add(-1s); /* dropped */
    expect("a counter of durations", number(busy.value()), 1000002003.0 * there);
}

static void use_gauges(const smx::segment &in, int there)
{
    const smx::gauge level(in, smx::metric("level", "Level.").combine(smx::mode::max));
    level.set(10);
    level.add(5);
    level.sub(3);
    level.inc();
    level.dec();
    expect("a gauge", number(level.value()), 12 * there);
    level.set(1us);
    expect("a gauge of durations", number(level.value()), 1000 * there);
    level.set_to_current_time();
    expect("a gauge of time is late", level.value() > 1600000000, there);
    {
        smx::in_progress first(level);
        level.set(0);
        const smx::in_progress moved(std::move(first));
        const smx::in_progress another(level);
        expect("a gauge while one is in progress", number(level.value()), there);
    }
    expect("a gauge when nothing is in progress", number(level.value()), -1 * there);
    const smx::fgauge load(in, {"load", "Load."});
    load.set(1.5);
    load.add(1);
    load.sub(0.25);
    expect("a gauge of doubles", load.value(), 2.25 * there);
}

static void use_histograms(const smx::segment &in, int there)
{
    const smx::histogram time(in, smx::metric("time_seconds", "Time.").unit("seconds"));
    time.observe(1ms);
    time.observe(0.25);
    time.observe(-1ns); /* dropped, as the next two are */
    time.observe(-1.0);
    time.record(-1);
    time.record(7);
    time.record_exemplar(1, "trace_id", "1");
    time.observe_exemplar(1e-9, "trace_id", "2");
    expect("the count of a histogram", number(time.count()), 5 * there);
    expect("the sum of a histogram", number(time.sum()), 251000009.0 * there);
    const smx::histogram coarse(
        in, smx::metric("coarse_seconds", "In ms.").unit("seconds").digits(3).bounds({0.01, 0.1}));
    coarse.observe(1500us);
    coarse.observe(50ms);
    coarse.observe(-1ns); /* dropped, not rounded to 0 */
    expect("the count of a histogram in ms", number(coarse.count()), 2 * there);
    expect("the sum of a histogram in ms", number(coarse.sum()), 51 * there);
    std::uint64_t passed = 0;
    {
        const smx::scoped_timer unnoticed(time);
        smx::scoped_timer first(time);
        smx::scoped_timer second(std::move(first));
        smx::scoped_timer third(time);
        third.dismiss();
        while (second.elapsed() < 10us)
            continue;
        passed = static_cast<std::uint64_t>(second.stop().count());
        expect("a histogram at the stop", number(time.count()), 6 * there);
        expect("a timer that ran 10 us", passed >= 10000, 1);
    }
    expect("a histogram at the end of the block", number(time.count()), 7 * there);
    expect("no less than what was timed", number(time.sum()) >= 251000009.0 + number(passed),
           there);
}

static void use_labels(const smx::segment &in, int there)
{
    const smx::family<smx::counter, method, int> requests(in, {"requests_total", "Requests."},
                                                          {"method", "status"});
    expect("a family", static_cast<bool>(requests), there);
    requests.with(method::get, 200).add(3);
    requests.with(method::other, -1).inc();
    expect("a series of an enumeration and a number", total(requests.get(), "GET", "200"),
           3 * there);
    expect("a series of a negative number", total(requests.get(), "other", "-1"), there);
    requests.with(static_cast<method>(3), 200).inc();
    requests.with(static_cast<method>(-1), 200).inc();
    expect("what is not of an enumeration", total(requests.get(), "GET", "200"), 3 * there);
    expect("a removal", requests.remove(method::get, 200), there);
    expect("a removal of what is not there", requests.remove(method::post, 500), 0);
    expect("a series that comes back", number(requests.with(method::get, 200).value()), 3 * there);

    const smx::family<smx::counter, host::side> sides(in, {"sides_total", "Sides."}, {"side"});
    sides.with(host::side::right).inc();
    expect("an enumeration with functions of its own", total(sides.get(), "right", nullptr), there);

    const smx::family<smx::counter, std::string_view, const char *> texts(
        in, {"texts_total", "Texts."}, {"a", "b"});
    const std::string seven_bits("0123456789");
    texts.with(std::string_view(seven_bits).substr(2, 3), "end").inc();
    expect("a series of a part of a string", total(texts.get(), "234", "end"), there);
    texts.with({}, "").add(2);
    expect("a series of empty strings", total(texts.get(), "", ""), 2 * there);
    for (const std::size_t size : {126U, 127U, 128U, 129U, 5000U, 65535U}) {
        const std::string text(size, 'x');
        texts.with(text, "long").add(size);
        expect("a series of a long string", total(texts.get(), text.c_str(), "long"),
               number(size) * there);
    }
    texts.with(std::string_view("cut\0off", 7), "nul").inc();
    expect("a string with a NUL is cut off", total(texts.get(), "cut", "nul"), 0);

    const smx::family<smx::counter, std::uint64_t, signed char> numbers(
        in, {"numbers_total", "Numbers."}, {"a", "b"});
    numbers.with(UINT64_MAX, -128).inc();
    expect("a series of the largest number", total(numbers.get(), "18446744073709551615", "-128"),
           there);
    for (const std::uint64_t n :
         {0U, 9U, 10U, 1234567U, 9999999U, 10000000U, 87654321U, 987654321U}) {
        numbers.with(n, 1).inc();
        expect("a series of a number", total(numbers.get(), std::to_string(n).c_str(), "1"), there);
    }
    const smx::family<smx::counter, std::int64_t, unsigned> lowest(in, {"lowest_total", "Lowest."},
                                                                   {"a", "b"});
    lowest.with(INT64_MIN, 0).inc();
    expect("a series of the smallest number", total(lowest.get(), "-9223372036854775808", "0"),
           there);
}

static void use_tables(const smx::segment &in, int there)
{
    const smx::table<smx::counter, method, phase> table(in, {"table_total", "Table."},
                                                        {"method", "phase"});
    unsigned n = 0;
    for (const method m : {method::get, method::post, method::other})
        for (const phase p : {phase::idle, phase::reading, phase::writing})
            table.with(m, p).add(++n);
    const smx::family<smx::counter, method, phase> same(in, {"table_total", "Table."},
                                                        {"method", "phase"});
    n = 0;
    for (const method m : {method::get, method::post, method::other})
        for (const phase p : {phase::idle, phase::reading, phase::writing})
            expect("a table's series", number(same.with(m, p).value()), ++n * number(there));
    table.with(static_cast<method>(3), phase::idle).inc();
    table.with(method::get, static_cast<phase>(200)).inc();
    expect("the first of a table", total(same.get(), "GET", "idle"), there);
}

static void use_states(const smx::segment &in, int there)
{
    const smx::stateset<phase> state(in, {"phase", "Phase."});
    state.enter(phase::reading);
    expect("the state that was entered", state.is(phase::reading), there);
    expect("another state", state.is(phase::idle), 0);
    state.set(phase::idle, phase::writing);
    expect("the first of two states", state.is(phase::idle), there);
    expect("the second of two states", state.is(phase::writing), there);
    expect("the state that was left", state.is(phase::reading), 0);
    state.set();
    expect("no state", state.is(phase::idle), 0);
    const smx::family<smx::stateset<phase>, int> states(in, {"phases", "Phases."}, {"thread"});
    states.with(1).enter(phase::writing);
    expect("a state of a series", states.with(1).is(phase::writing), there);
    expect("a state of another series", states.with(2).is(phase::writing), 0);
    const smx::info build(in, {"build", "What runs."}, {{"version", "1.4.2"}, {"commit", "abc"}});
    expect("an info", build.get().record != nullptr, there);
}

static void use_guards(const smx::segment &in, int there)
{
    const smx::counter failures(in, {"failures_total", "Failures."});
    {
        const smx::count_failure fails(failures);
        smx::count_failure works(failures);
        works.ok();
        smx::count_failure first(failures);
        const smx::count_failure moved(std::move(first));
    }
    expect("the failures", number(failures.value()), 2 * there);
}

static void use_checks(const smx::segment &in, int there)
{
    const smx::check_options options =
        smx::check_options("database").helped("Orders need it.").every(30s).critical_if(true);
    expect("an interval", options.interval_ms, 30000);
    expect("one that is too long", smx::check_options("a").every(1200h).interval_ms, 4294967295);
    expect("one that is negative", smx::check_options("a").every(-1s).interval_ms, 0);
    const smx::check database(in, options);
    expect("a check before a report", database.reported(), SMX_CHECK_SILENT);
    database.failed("refused");
    expect("a check that failed", database.reported(), SMX_CHECK_FAILED * there);
    database.degraded();
    expect("a check that is degraded", database.reported(), SMX_CHECK_DEGRADED * there);
    const smx::check copy = database;
    copy.ok();
    expect("a check that is well", database.reported(), SMX_CHECK_OK * there);
    smx::diag why;
    smx::check(in, smx::check_options("no name"), &why).failed();
    expect("a check that is refused", static_cast<bool>(why), 1);
}

static void use_all(const smx::segment &in, int there)
{
    use_counters(in, there);
    use_gauges(in, there);
    use_histograms(in, there);
    use_labels(in, there);
    use_tables(in, there);
    use_states(in, there);
    use_guards(in, there);
    use_checks(in, there);
}

/* The first of several errors is kept, and names its place. */
static void use_diag()
{
    smx::diag why;
    smx::options nowhere("values");
    nowhere.directory = "/nonexistent";
    smx::segment none(nowhere, &why);
    expect("a segment in no directory", static_cast<bool>(none), 0);
    expect("its error", why.error() == std::errc::no_such_file_or_directory, 1);
    const smx::counter more(none, {"", ""}, &why);
    expect("the first error", why.error() == std::errc::no_such_file_or_directory, 1);
    expect("the error of another opening",
           none.open(smx::options("/")) == std::errc::invalid_argument, 1);
    use_all(none, 0);
    use_all(smx::segment(), 0);
}

int main()
{
    smx::diag why;
    smx::segment opened(smx::options("values"), &why);
    if (why) {
        std::fprintf(stderr, "%s\n", why.text);
        return 1;
    }
    smx::segment segment(std::move(opened));
    expect("a segment that was moved from", static_cast<bool>(opened), 0);
    expect("the worker's number", segment.worker(), 0);
    expect("the path", std::string_view(segment.path()).find("values") != std::string::npos, 1);
    segment.set_role("tester");
    segment.heartbeat();
    use_all(segment, 1);
    const smx::gauge gone(segment, {"gone", "Gone."});
    segment = smx::segment();
    gone.set(1);
    expect("a gauge of a segment that is closed", number(gone.value()), 0);
    use_diag();
    return mistakes != 0;
}
