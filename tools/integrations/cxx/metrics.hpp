/* SPDX-License-Identifier: MIT
 *
 * metrics.hpp - the server's metrics: every name, help text and label stands here and nowhere else.
 * The master makes one object of them before it forks; the workers inherit it. And the same
 * interface without metrics, to measure what they cost.
 */
#ifndef SMX_CXX_METRICS_HPP
#define SMX_CXX_METRICS_HPP

#include <smx/smx.hpp>

#include <cstddef>
#include <cstdint>

enum class method { get, head, other };
template <> struct smx::label_values<method> {
    static constexpr const char *names[] = {"GET", "HEAD", "other"};
};

enum class route { root, item, other };
template <> struct smx::label_values<route> {
    static constexpr const char *names[] = {"/", "/item", "other"};
};

enum class status { ok, not_found, not_allowed };
template <> struct smx::label_values<status> {
    static constexpr const char *names[] = {"200", "404", "405"};
};

class metrics
{
  public:
    /* Lives as long as a request: its duration, and that it is in progress. */
    struct request {
        smx::scoped_timer timer;
        smx::in_progress counted;
    };
    request begin(route r) const noexcept
    {
        return {smx::scoped_timer(duration_.with(r)), smx::in_progress(in_progress_)};
    }
    void answer(method m, route r, status s, std::size_t bytes) const noexcept
    {
        requests_.with(m, r, s).inc();
        bytes_.with(r).add(bytes);
    }
    void connections(std::size_t n) const noexcept
    {
        connections_.set(static_cast<std::int64_t>(n));
    }
    void start_worker() const noexcept
    {
        segment_.set_role("worker");
        in_progress_.set(0); /* a gauge is there from its first write on */
        connections_.set(0);
    }
    /* Why there are no metrics, or not all; NULL if nothing is wrong. */
    const char *complaint() const noexcept
    {
        return why_ ? why_.text : nullptr;
    }

  private:
    smx::diag why_;
    smx::segment segment_{smx::options("cxx-server"), &why_};
    smx::table<smx::counter, method, route, status> requests_{
        segment_,
        {"http_requests_total", "Requests answered, by method, route and status."},
        {"method", "route", "status"},
        &why_};
    smx::table<smx::histogram, route> duration_{
        segment_,
        smx::metric("http_request_duration_seconds", "Time from a request to its answer.")
            .unit("seconds")
            .range(1e-6, 16),
        {"route"},
        &why_};
    smx::table<smx::counter, route> bytes_{
        segment_,
        smx::metric("http_response_bytes_total", "Bytes of answers, headers included.")
            .unit("bytes"),
        {"route"},
        &why_};
    smx::gauge in_progress_{
        segment_, {"http_requests_in_progress", "Requests that are being answered."}, &why_};
    smx::gauge connections_{segment_,
                            smx::metric("worker_connections", "Connections that a worker holds.")
                                .combine(smx::mode::each),
                            &why_};
    smx::info build_{segment_, {"build", "What runs."}, {{"version", SMX_VERSION}}, &why_};
};

struct no_metrics {
    struct request {
    };
    request begin(route) const noexcept
    {
        return {};
    }
    void answer(method, route, status, std::size_t) const noexcept
    {
    }
    void connections(std::size_t) const noexcept
    {
    }
    void start_worker() const noexcept
    {
    }
    const char *complaint() const noexcept
    {
        return nullptr;
    }
};

#endif
