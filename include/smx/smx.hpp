/* SPDX-License-Identifier: MIT
 *
 * smx.hpp - libshm for C++17: values around the handles of <smx/smx.h>, label sets that the
 * compiler checks, and guards for a scope. All of it is inline: there is nothing more to link.
 *
 *       #include <smx/smx.hpp>
 *
 *       enum class method { get, post, other };
 *       template <> struct smx::label_values<method> {
 *           static constexpr const char *names[] = {"GET", "POST", "other"};
 *       };
 *
 *       struct metrics {
 *           smx::diag why; // the first thing that went wrong, if any did
 *           smx::segment segment{smx::options("shop"), &why};
 *           smx::family<smx::counter, method, int> requests{
 *               segment, {"http_requests_total", "Requests."}, {"method", "status"}, &why};
 *           smx::histogram duration{
 *               segment, smx::metric("http_duration_seconds", "Time.").unit("seconds"), &why};
 *       };
 *
 *       void serve(const metrics &m)
 *       {
 *           smx::scoped_timer timer(m.duration); // whichever way the block is left
 *           m.requests.with(method::get, 200).inc();
 *       }
 *
 * What a host can rely on is what smx.h says: nothing throws, allocates on the heap (with one
 * exception, see family), prints or waits but for opening; whatever could not be had is a value
 * whose updates go nowhere. It may be compiled without exceptions and RTTI.
 * counter, gauge, fgauge, histogram, stateset, info and check are handles: as large as those of C,
 * trivially copied, good for ever, in every thread and in every child of fork(). Their members are
 * the C functions of the same name, and their Context is what smx.h, update.h and scope.h say of
 * those; an update compiles to the same instructions.
 *
 * Durations are ticks of families whose unit is "seconds" and whose digits are the default, 9. Only
 * those of std::chrono that are a whole number of nanoseconds by their type are taken: the
 * conversion is exact, and another one does not compile.
 */
#ifndef SMX_SMX_HPP
#define SMX_SMX_HPP

#include <smx/guards.hpp>
#include <smx/health.hpp>
#include <smx/labels.hpp>
#include <smx/segment.hpp>
#include <smx/series.hpp>

#include <type_traits>

namespace smx::detail
{

template <typename Value, typename Handle>
inline constexpr bool
    is_thin = sizeof(Value) == sizeof(Handle) &&
              std::is_trivially_copyable_v<Value> &&std::is_standard_layout_v<Value>;
static_assert(is_thin<counter, smx_counter> && is_thin<gauge, smx_gauge> &&
              is_thin<fgauge, smx_fgauge> && is_thin<histogram, smx_histogram> &&
              is_thin<info, smx_family> && is_thin<family<counter, int>, smx_family> &&
              is_thin<check, smx_check>);

} // namespace smx::detail

#endif
