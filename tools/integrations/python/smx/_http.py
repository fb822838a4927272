# SPDX-License-Identifier: MIT
"""What the middlewares measure of a request, and the values that its labels can have."""
from __future__ import annotations

from typing import Any, Callable, Optional

from ._metrics import Counter, Gauge, Histogram
from ._requests import RequestsCell
from ._segment import log

_METHODS = frozenset("GET HEAD POST PUT DELETE CONNECT OPTIONS TRACE PATCH".split())
_STATUSES = frozenset(map(str, range(100, 600)))

_KEPT = 2000  # series that are found at once

# Tells the route of a request: a pattern of the application's, never what the client has sent.
Route = Callable[[Any], Optional[str]]


def _method(method: str) -> str:
    """A method that can be a label."""
    return method if method in _METHODS else "other"


def _clean(route: str) -> str:
    """A route, or a name, that can be a label: no request shall fail for its metrics."""
    return route.encode(errors="replace")[:1000].decode(errors="replace").replace("\0", "?")


def _guarded(route: Route) -> Callable[[Any], str]:
    """A function of the user's, that no request shall fail for: the log says once that it does."""
    said = False

    def told(source: Any) -> str:
        nonlocal said
        try:
            text = route(source) or ""
            return text if isinstance(text, str) else str(text)
        except Exception:
            if not said:
                said = True
                log.warning("requests are counted without a route", exc_info=True)
            return ""

    return told


class Requests(RequestsCell):
    """The metrics of an HTTP server; their names begin with `namespace`, if there is one.

    http_requests_total by method, status, route; counted before the answer's first byte leaves.
    http_request_duration_seconds by method, route; recorded at the answer's end.
    http_in_flight_requests. http_request_exceptions_total by method, route, exception.
    """

    __slots__ = ("_total", "_duration", "_exceptions", "_known", "_route")

    def __init__(self, namespace: str, kind: type[Any], usual: Route,
                 route: Optional[Route]) -> None:
        """`usual` tells a route if there is no other `route`; "smx.route" comes first in it."""
        self._total = Counter("http_requests", "Requests that were answered.",
                              ["method", "status", "route"], namespace)
        self._duration = Histogram("http_request_duration_seconds",
                                   "From the request to its answer's end.",
                                   ["method", "route"], namespace)
        in_flight = Gauge("http_in_flight_requests", "Requests that are being answered.",
                          namespace=namespace)
        self._exceptions = Counter("http_request_exceptions",
                                   "Exceptions that the application has not caught.",
                                   ["method", "route", "exception"], namespace)
        self._known: dict[tuple[str, str, str], tuple[Counter, Histogram]] = {}
        self._route = _guarded(route or usual)
        self._bind(in_flight, kind, self._known, route is None)

    def _find(self, method: str, status: str, source: Any) -> tuple[Counter, Histogram]:
        """What counts such requests, and what times them."""
        route = self._route(source)
        known = self._known.get((method, status, route))
        if known:
            return known
        label = _method(method)
        code = status if status in _STATUSES else "other"
        made = (self._total.labels(label, code, _clean(route)),
                self._duration.labels(label, _clean(route)))
        if len(self._known) >= _KEPT:
            self._known.clear()
        if label == method and code == status:  # or else a client could fill it
            self._known[method, status, route] = made
        return made

    def _timer(self, method: str, source: Any) -> Histogram:
        """What times such requests, which were answered with nothing."""
        return self._duration.labels(_method(method), _clean(self._route(source)))

    def _fail(self, method: str, source: Any, error: BaseException) -> None:
        """Count an exception."""
        route = _clean(self._route(source))
        self._exceptions.labels(_method(method), route, _clean(type(error).__name__)).inc()
