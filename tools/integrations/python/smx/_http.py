# SPDX-License-Identifier: MIT
"""What the middlewares measure of a request, and the values that its labels can have."""
from __future__ import annotations

from time import perf_counter_ns
from typing import Any, Callable, Optional

from ._metrics import Counter, Gauge, Histogram
from ._segment import log

_METHODS = frozenset("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split())
_STATUSES = frozenset(map(str, range(100, 600)))

_KEPT = 2000  # series that are found at once

# Tells the route of a request: a pattern of the application's, never what the client has sent.
Route = Callable[[Any], Optional[str]]


def _clean(route: Any) -> str:
    """A route that can be a label: no request shall fail for its metrics."""
    route = route if isinstance(route, str) else str(route)
    return route.encode(errors="replace")[:1000].decode(errors="replace").replace("\0", "?")


def guarded(route: Route) -> Route:
    """A function of the user's, that no request shall fail for: the log says once that it does."""
    said = False

    def told(source: Any) -> Optional[str]:
        nonlocal said
        try:
            return route(source)
        except Exception:
            if not said:
                said = True
                log.warning("requests are counted without a route", exc_info=True)
            return None

    return told


class Requests:
    """The metrics of an HTTP server; their names begin with `namespace`, if there is one.

    http_requests_total by method, status, route; counted before the answer's first byte leaves.
    http_request_duration_seconds by method, route; recorded at the answer's end.
    http_in_flight_requests. http_request_exceptions_total by method, route, exception.
    """

    def __init__(self, namespace: str) -> None:
        self._total = Counter("http_requests", "Requests that were answered.",
                              ["method", "status", "route"], namespace)
        self._duration = Histogram("http_request_duration_seconds",
                                   "From the request to its answer's end.",
                                   ["method", "route"], namespace)
        self.in_flight = Gauge("http_in_flight_requests", "Requests that are being answered.",
                               namespace=namespace)
        self._exceptions = Counter("http_request_exceptions",
                                   "Exceptions that the application has not caught.",
                                   ["method", "route", "exception"], namespace)
        self._series: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}

    def series(self, method: str, status: str, route: str) -> tuple[Counter, Histogram]:
        """What counts such requests, and what times them."""
        known = self._series.get((method, status, route))
        if known:
            return known
        label = method if method in _METHODS else "other"
        code = status if status in _STATUSES else "other"
        made = self._total.labels(label, code, _clean(route)), self.timer(method, route)
        if len(self._series) >= _KEPT:
            self._series.clear()
        if label == method and code == status:  # or else a client could fill it
            self._series[method, status, route] = made
        return made

    def timer(self, method: str, route: str) -> Histogram:
        """What times such requests."""
        return self._duration.labels(method if method in _METHODS else "other", _clean(route))

    def fail(self, method: str, route: str, error: BaseException) -> None:
        """Count an exception."""
        label = method if method in _METHODS else "other"
        self._exceptions.labels(label, _clean(route), type(error).__name__).inc()


class Request:
    """One request. Each of its ends may be told more than once; the first time counts."""

    __slots__ = ("_metrics", "_start", "_method", "_source", "_route", "status", "_timer")

    def __init__(self, metrics: Requests, method: str, source: Any, route: Route) -> None:
        self._metrics = metrics
        self._method = method
        self._source = source
        self._route = route
        self.status = ""
        self._timer: Optional[Histogram] = None
        metrics.in_flight.inc()
        self._start = perf_counter_ns()

    def count(self) -> None:
        """Its status is known, and nothing of the answer has left."""
        if self._timer is None:
            counter, self._timer = self._metrics.series(self._method, self.status,
                                                        self._route(self._source) or "")
            counter.inc()

    def done(self) -> None:
        """count() and end() at once, for an answer that is all there; nothing is told after it."""
        timer = self._timer
        if timer is None:
            counter, timer = self._metrics.series(self._method, self.status,
                                                  self._route(self._source) or "")
            counter.inc()
        timer._took_ns(perf_counter_ns() - self._start)
        self._metrics.in_flight.dec()

    def fail(self, error: BaseException) -> None:
        """An exception has left the application."""
        self._metrics.fail(self._method, self._route(self._source) or "", error)
        if self._timer is None:
            self.status = "500"
            self.count()

    def end(self) -> None:
        """All of the answer has been given to the server, or nobody wants the rest."""
        if self._start:
            ns = perf_counter_ns() - self._start
            self._start = 0
            timer = self._timer or self._metrics.timer(self._method,
                                                       self._route(self._source) or "")
            timer._took_ns(ns)
            self._metrics.in_flight.dec()
