/* SPDX-License-Identifier: MIT
 *
 * segment.hpp - the segment as an object that owns it, and what describes a segment and a
 * metric. Included by <smx/smx.hpp>, whose head is the introduction.
 */
#ifndef SMX_SEGMENT_HPP
#define SMX_SEGMENT_HPP

#include <smx/smx.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <system_error>
#include <utility>

namespace smx
{

/* Why something was refused; keeps the first reason of all that it is passed to, which is often the
 * cause of the others. */
struct diag : smx_diag {
    diag() noexcept : smx_diag()
    {
    }
    explicit operator bool() const noexcept
    {
        return code != 0;
    }
    std::error_code error() const noexcept
    {
        return {-code, std::generic_category()};
    }
};

/* How to open a segment: the fields of struct smx_options, all zero but the name. */
struct options : smx_options {
    explicit options(const char *application) noexcept : smx_options{}
    {
        app = application;
    }
};

namespace detail
{
inline smx_diag *kept(diag *why) noexcept
{
    return why && !why->code ? why : nullptr;
}
} // namespace detail

/* An open segment, or none: then what is registered in it goes nowhere. Closed with the object:
 * this process' gauges then stop counting, its counters and handles do not. Opening the same one
 * twice in a process gives the same segment, which the first close closes for both. */
class segment
{
  public:
    segment() noexcept = default;
    explicit segment(const smx_options &options, diag *why = nullptr) noexcept
    {
        (void)open(options, why);
    }
    segment(segment &&other) noexcept : segment_(std::exchange(other.segment_, nullptr))
    {
    }
    segment &operator=(segment &&other) noexcept
    {
        if (this != &other) {
            close();
            segment_ = std::exchange(other.segment_, nullptr);
        }
        return *this;
    }
    ~segment()
    {
        close();
    }

    /* Close what is open, and open another. */
    std::error_code open(const smx_options &options, diag *why = nullptr) noexcept
    {
        close();
        return {-smx_open(&options, &segment_, detail::kept(why)), std::generic_category()};
    }
    void close() noexcept
    {
        smx_close(std::exchange(segment_, nullptr));
    }
    explicit operator bool() const noexcept
    {
        return segment_ != nullptr;
    }
    const char *path() const noexcept
    {
        return smx_path(segment_);
    }
    int worker() const noexcept
    {
        return smx_worker(segment_);
    }
    void set_role(const char *role) const noexcept
    {
        smx_set_role(segment_, role);
    }
    void heartbeat() const noexcept
    {
        smx_heartbeat(segment_);
    }
    smx_segment *get() const noexcept
    {
        return segment_;
    }

  private:
    smx_segment *segment_ = nullptr;
};

enum class mode {
    sum = SMX_SUM,
    min = SMX_MIN,
    max = SMX_MAX,
    avg = SMX_AVG,
    last = SMX_LAST,
    each = SMX_EACH,
};

/* The description of a family, in the words of struct smx_metric but for its labels and states,
 * which are types. Strings are not copied before the family is registered. */
class metric
{
  public:
    metric(const char *name, const char *help) noexcept
    {
        metric_.name = name;
        metric_.help = help;
    }
    metric &unit(const char *unit) noexcept
    {
        metric_.unit = unit;
        return *this;
    }
    metric &digits(int digits) noexcept
    {
        metric_.digits = digits;
        return *this;
    }
    metric &combine(mode mode) noexcept
    {
        metric_.mode = static_cast<smx_mode>(mode);
        return *this;
    }
    metric &max_series(std::uint32_t n) noexcept
    {
        metric_.max_series = n;
        return *this;
    }
    /* Exponential buckets over a range, in the exposed unit. */
    metric &range(double min, double max, int schema = 0) noexcept
    {
        metric_.min = min;
        metric_.max = max;
        metric_.schema = schema;
        return *this;
    }
    /* Explicit bounds, copied; more than SMX_BOUNDS_MAX are refused at registration. */
    metric &bounds(std::initializer_list<double> bounds) noexcept
    {
        metric_.n_bounds = bounds.size();
        for (std::size_t i = 0; i < bounds.size() && i < SMX_BOUNDS_MAX; i++)
            bounds_[i] = bounds.begin()[i];
        return *this;
    }
    /* For C; good as long as this object. */
    smx_metric get() const noexcept
    {
        smx_metric copy = metric_;
        copy.bounds = copy.n_bounds ? bounds_ : nullptr;
        return copy;
    }

  private:
    smx_metric metric_{};
    double bounds_[SMX_BOUNDS_MAX]{};
};

} // namespace smx

#endif
