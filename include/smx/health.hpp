/* SPDX-License-Identifier: MIT
 *
 * health.hpp - the application's own checks as values. Included by <smx/smx.hpp>, whose head is the
 * introduction; <smx/health.h> says what reports amount to.
 *
 *       smx::check database{
 *           segment, smx::check_options("database").every(30s).critical_if(true), &why};
 *       database.failed("connection refused");
 *       database.ok();
 */
#ifndef SMX_HEALTH_HPP
#define SMX_HEALTH_HPP

#include <smx/health.h>
#include <smx/segment.hpp>

#include <chrono>

namespace smx
{

/* What a check is: struct smx_check_options, all zero but the name. */
struct check_options : smx_check_options {
    explicit check_options(const char *check) noexcept : smx_check_options{}
    {
        name = check;
    }
    check_options &helped(const char *text) noexcept
    {
        help = text;
        return *this;
    }
    /* How long a report holds; by default as long as its process lives. */
    check_options &every(std::chrono::milliseconds interval) noexcept
    {
        const auto most = std::chrono::milliseconds(UINT32_MAX);
        const auto least = std::chrono::milliseconds(0);
        interval_ms = static_cast<std::uint32_t>((interval < least  ? least
                                                  : interval < most ? interval
                                                                    : most)
                                                     .count());
        return *this;
    }
    check_options &critical_if(bool is) noexcept
    {
        critical = is;
        return *this;
    }
};

/* A handle: trivially copied, good for ever, in every thread and every child of fork(). */
class check
{
  public:
    check() noexcept = default;
    check(const segment &in, const smx_check_options &options, diag *why = nullptr) noexcept
        : check_(smx_check_new(in.get(), &options, detail::kept(why)))
    {
    }
    void report(smx_check_state state, const char *message = nullptr) const noexcept
    {
        smx_check_report(check_, state, message);
    }
    void ok(const char *message = nullptr) const noexcept
    {
        report(SMX_CHECK_OK, message);
    }
    void degraded(const char *message = nullptr) const noexcept
    {
        report(SMX_CHECK_DEGRADED, message);
    }
    void failed(const char *message = nullptr) const noexcept
    {
        report(SMX_CHECK_FAILED, message);
    }
    /* What this process has reported last. */
    smx_check_state reported() const noexcept
    {
        return smx_check_reported(check_);
    }
    smx_check get() const noexcept
    {
        return check_;
    }

  private:
    smx_check check_{};
};

} // namespace smx

#endif
