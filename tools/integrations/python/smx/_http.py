# SPDX-License-Identifier: MIT
"""What the middlewares measure of a request, and the values that its labels can have."""
from __future__ import annotations

from time import perf_counter_ns
from typing import Any, Callable, Optional

from ._metrics import Counter, Gauge, Histogram

_METHODS = frozenset("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split())
_STATUSES = frozenset(map(str, range(100, 600)))

# Tells the route of a request: a pattern of the application's, never what the client has sent.
Route = Callable[[Any], Optional[str]]


class Requests:
    """The metrics of an HTTP server; their names begin with `namespace`, if there is one.

    http_requests_total by method, status, route; counted before the answer's first byte leaves.
    http_request_duration_seconds by method, route; recorded at the answer's end.
    http_in_flight_requests. http_request_exceptions_total by method, route, exception.
    """

    def __init__(self, namespace: str) -> None:
        self.total = Counter("http_requests", "Requests that were answered.",
                             ["method", "status", "route"], namespace)
        self.duration = Histogram("http_request_duration_seconds",
                                  "From the request to its answer's end.",
                                  ["method", "route"], namespace)
        self.in_flight = Gauge("http_in_flight_requests", "Requests that are being answered.",
                               namespace=namespace)
        self.exceptions = Counter("http_request_exceptions",
                                  "Exceptions that the application has not caught.",
                                  ["method", "route", "exception"], namespace)


class Request:
    """One request. Each of its ends may be told more than once; the first time counts."""

    __slots__ = ("_metrics", "_start", "_method", "_source", "_route", "status", "_counted",
                 "_done")

    def __init__(self, metrics: Requests, method: str, source: Any, route: Route) -> None:
        self._metrics = metrics
        self._method = method if method in _METHODS else "other"
        self._source = source
        self._route = route
        self.status = ""
        self._counted = self._done = False
        metrics.in_flight.inc()
        self._start = perf_counter_ns()

    def count(self) -> None:
        """Its status is known, and nothing of the answer has left."""
        if not self._counted:
            self._counted = True
            status = self.status if self.status in _STATUSES else "other"
            route = self._route(self._source) or ""
            self._metrics.total.labels(self._method, status, route).inc()

    def fail(self, error: BaseException) -> None:
        """An exception has left the application."""
        route = self._route(self._source) or ""
        name = type(error).__name__
        self._metrics.exceptions.labels(self._method, route, name).inc()
        if not self._counted:
            self.status = "500"
            self.count()

    def end(self) -> None:
        """All of the answer has been given to the server, or nobody wants the rest."""
        if not self._done:
            self._done = True
            ns = perf_counter_ns() - self._start
            route = self._route(self._source) or ""
            self._metrics.duration.labels(self._method, route)._took_ns(ns)
            self._metrics.in_flight.dec()
