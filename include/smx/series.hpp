/* SPDX-License-Identifier: MIT
 *
 * series.hpp - counters, gauges and histograms as values: handles with members. Included by
 * <smx/smx.hpp>, whose head is the introduction.
 */
#ifndef SMX_SERIES_HPP
#define SMX_SERIES_HPP

#include <smx/segment.hpp>

#include <chrono>
#include <cstdint>
#include <type_traits>

namespace smx
{

namespace detail
{

/* What the handles of all kinds have in common, given the C functions of theirs. */
template <typename Handle, Handle (*New)(smx_segment *, const smx_metric *, smx_diag *),
          smx_family (*Declare)(smx_segment *, const smx_metric *, smx_diag *),
          Handle (*With)(smx_family, const char *const[])>
class series
{
  public:
    series() noexcept = default;
    explicit series(Handle handle) noexcept : handle_(handle)
    {
    }
    /* Of a metric without labels. */
    series(const segment &in, const metric &what, diag *why = nullptr) noexcept
    {
        const smx_metric description = what.get();
        handle_ = New(in.get(), &description, kept(why));
    }
    Handle get() const noexcept
    {
        return handle_;
    }

    /* What a family asks of the type of its series. */
    static smx_family declare(const segment &in, const smx_metric &what, diag *why) noexcept
    {
        return Declare(in.get(), &what, kept(why));
    }
    static Handle find(smx_family family, const char *const values[]) noexcept
    {
        return With(family, values);
    }

  private:
    Handle handle_{};
};

using counter_series = series<smx_counter, smx_counter_new, smx_counter_family, smx_counter_with>;
using gauge_series = series<smx_gauge, smx_gauge_new, smx_gauge_family, smx_gauge_with>;
using fgauge_series = series<smx_fgauge, smx_fgauge_new, smx_fgauge_family, smx_fgauge_with>;
using histogram_series =
    series<smx_histogram, smx_histogram_new, smx_histogram_family, smx_histogram_with>;

} // namespace detail

/* A counter. Negative amounts are dropped, and counted by the segment. */
class counter : public detail::counter_series
{
  public:
    using series::series;

    void inc() const noexcept
    {
        smx_counter_inc(get());
    }
    template <typename Integer>
    std::enable_if_t<std::is_integral_v<Integer>> add(Integer ticks) const noexcept
    {
        if constexpr (std::is_signed_v<Integer>)
            if (ticks < 0)
                return smx_counter_add_signed(get(), ticks);
        smx_counter_add(get(), static_cast<std::uint64_t>(ticks));
    }
    void add(std::chrono::nanoseconds duration) const noexcept
    {
        add(duration.count());
    }
    /* The labels are names and values in turn. */
    template <typename... Strings>
    void add_exemplar(std::uint64_t ticks, Strings... labels) const noexcept
    {
        static_assert(sizeof...(Strings) % 2 == 0, "smx: a label is a name and a value");
        smx_counter_add_exemplar(get(), ticks, SMX_VALUES(labels...));
    }
    std::uint64_t value() const noexcept
    {
        return smx_counter_value(get());
    }
};

/* A gauge of integers. */
class gauge : public detail::gauge_series
{
  public:
    using series::series;

    void set(std::int64_t ticks) const noexcept
    {
        smx_gauge_set(get(), ticks);
    }
    void set(std::chrono::nanoseconds duration) const noexcept
    {
        smx_gauge_set(get(), duration.count());
    }
    void add(std::int64_t ticks) const noexcept
    {
        smx_gauge_add(get(), ticks);
    }
    void sub(std::int64_t ticks) const noexcept
    {
        smx_gauge_sub(get(), ticks);
    }
    void inc() const noexcept
    {
        smx_gauge_inc(get());
    }
    void dec() const noexcept
    {
        smx_gauge_dec(get());
    }
    void set_to_current_time() const noexcept
    {
        smx_gauge_set_to_current_time(get());
    }
    std::int64_t value() const noexcept
    {
        return smx_gauge_value(get());
    }
};

/* A gauge of doubles. */
class fgauge : public detail::fgauge_series
{
  public:
    using series::series;

    void set(double value) const noexcept
    {
        smx_fgauge_set(get(), value);
    }
    void add(double n) const noexcept
    {
        smx_fgauge_add(get(), n);
    }
    void sub(double n) const noexcept
    {
        smx_fgauge_sub(get(), n);
    }
    void set_to_current_time() const noexcept
    {
        smx_fgauge_set_to_current_time(get());
    }
    double value() const noexcept
    {
        return smx_fgauge_value(get());
    }
};

/* A histogram. Negative values are dropped, and counted by the segment. */
class histogram : public detail::histogram_series
{
  public:
    using series::series;

    /* In ticks. */
    template <typename Integer>
    std::enable_if_t<std::is_integral_v<Integer>> record(Integer ticks) const noexcept
    {
        if constexpr (std::is_signed_v<Integer>)
            if (ticks < 0)
                return smx_histogram_observe(get(), -1);
        smx_histogram_record(get(), static_cast<std::uint64_t>(ticks));
    }
    /* In the exposed unit, rounded to the nearest tick. */
    void observe(double value) const noexcept
    {
        smx_histogram_observe(get(), value);
    }
    /* Also where a tick is more than a nanosecond: in whole ticks, as a timer records. */
    void observe(std::chrono::nanoseconds duration) const noexcept
    {
        const std::uint64_t per_tick = get().base ? get().hist->ns_per_tick : 1;
        if (duration.count() < 0 || per_tick == 1)
            record(duration.count());
        else
            record(static_cast<std::uint64_t>(duration.count()) / per_tick);
    }
    template <typename... Strings>
    void record_exemplar(std::uint64_t ticks, Strings... labels) const noexcept
    {
        static_assert(sizeof...(Strings) % 2 == 0, "smx: a label is a name and a value");
        smx_histogram_record_exemplar(get(), ticks, SMX_VALUES(labels...));
    }
    template <typename... Strings>
    void observe_exemplar(double value, Strings... labels) const noexcept
    {
        static_assert(sizeof...(Strings) % 2 == 0, "smx: a label is a name and a value");
        smx_histogram_observe_exemplar(get(), value, SMX_VALUES(labels...));
    }
    std::uint64_t count() const noexcept
    {
        return smx_histogram_count(get());
    }
    std::uint64_t sum() const noexcept
    {
        return smx_histogram_sum(get());
    }
};

} // namespace smx

#endif
