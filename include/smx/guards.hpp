/* SPDX-License-Identifier: MIT
 *
 * guards.hpp - guards for a scope: its time, that it is being executed, whether it failed.
 * Included by <smx/smx.hpp>, whose head is the introduction.
 */
#ifndef SMX_GUARDS_HPP
#define SMX_GUARDS_HPP

#include <smx/scope.h>
#include <smx/series.hpp>

#include <chrono>
#include <cstdint>
#include <utility>

namespace smx
{

/* Records how long it lived in a histogram whose unit is seconds, unless it was stopped, which
 * records then, or dismissed. */
class [[nodiscard]] scoped_timer
{
  public:
    explicit scoped_timer(histogram into) noexcept : timer_(smx_timer_start(into.get()))
    {
    }
    scoped_timer(scoped_timer &&other) noexcept : timer_(other.timer_)
    {
        other.dismiss();
    }
    scoped_timer &operator=(scoped_timer &&) = delete;
    ~scoped_timer()
    {
        if (timer_.histogram.base)
            (void)smx_timer_stop(&timer_);
    }

    std::chrono::nanoseconds stop() noexcept
    {
        const std::uint64_t passed = smx_timer_stop(&timer_);
        dismiss();
        return std::chrono::nanoseconds(passed);
    }
    void dismiss() noexcept
    {
        timer_.histogram.base = nullptr;
    }
    std::chrono::nanoseconds elapsed() const noexcept
    {
        return std::chrono::nanoseconds(smx_timer_elapsed_ns(&timer_));
    }

  private:
    smx_timer timer_;
};

/* Counts its life in a gauge. */
class [[nodiscard]] in_progress
{
  public:
    explicit in_progress(gauge of) noexcept : gauge_(of)
    {
        gauge_.inc();
    }
    in_progress(in_progress &&other) noexcept : gauge_(std::exchange(other.gauge_, gauge()))
    {
    }
    in_progress &operator=(in_progress &&) = delete;
    ~in_progress()
    {
        gauge_.dec();
    }

  private:
    gauge gauge_;
};

/* Counts a failure, unless told before it ends that all is well. */
class [[nodiscard]] count_failure
{
  public:
    explicit count_failure(counter failures) noexcept : failures_(failures)
    {
    }
    count_failure(count_failure &&other) noexcept
        : failures_(std::exchange(other.failures_, counter()))
    {
    }
    count_failure &operator=(count_failure &&) = delete;
    ~count_failure()
    {
        failures_.inc();
    }
    void ok() noexcept
    {
        failures_ = counter();
    }

  private:
    counter failures_;
};

} // namespace smx

#endif
