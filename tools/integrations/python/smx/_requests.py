# SPDX-License-Identifier: MIT
"""What the middlewares, and gunicorn's hooks, do for each request: by the extension (requests.c,
wsgi.c, asgi.c, gunicorn.c) where it was built, which does the same, and calls what is written once:
_http.Requests._find, _timer, _fail.

Each end of a request may be told more than once; the first time counts.
"""
from __future__ import annotations

import sys
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any, Awaitable, Callable, Iterable, Iterator, Optional

from ._cells import extension

if TYPE_CHECKING:
    from ._metrics import Counter, Gauge, Histogram


Application = Callable[..., Iterable[bytes]]
AsgiApplication = Callable[..., Awaitable[None]]


class RequestsCell:
    """The base of _http.Requests: what a request needs of it."""

    __slots__ = ("_in_flight", "_kind")

    def _bind(self, in_flight: Gauge, kind: type[Any], known: dict[Any, Any],
              usual: bool) -> None:
        """Take the gauge, and what a request is. For the extension besides: series that were found,
        by method, status and route; whether a route is told in the usual way."""
        self._in_flight = in_flight
        self._kind = kind

    def _begin(self, method: str, source: Any, server: Any) -> Any:
        """A request that begins now."""
        return self._kind(self, method, source, server)

    def pre_request(self, worker: Any, req: Any, /) -> None:
        """gunicorn's hook: a request begins."""
        req._smx_began = perf_counter_ns()
        self._in_flight.inc()

    def post_request(self, worker: Any, req: Any, environ: dict[str, Any], resp: Any, /) -> None:
        """gunicorn's hook: it was answered, or is ended by the exception that is under way."""
        start = req._smx_began
        try:
            if resp is not None and isinstance(resp.status, str) and not sys.exc_info()[1]:
                status = resp.status[:3]
            else:
                status = self._status_of(req, environ, resp)
            counter, timer = self._find(req.method, status, environ)
            counter.inc()
            timer._took_ns(perf_counter_ns() - start)
        finally:
            self._in_flight.dec()

    if TYPE_CHECKING:
        def _find(self, method: str, status: str, source: Any) -> tuple[Counter, Histogram]: ...
        def _timer(self, method: str, source: Any) -> Histogram: ...
        def _fail(self, method: str, source: Any, error: BaseException) -> None: ...
        def _status_of(self, req: Any, environ: dict[str, Any], resp: Any) -> str: ...


class Request:
    """What both kinds have in common."""

    __slots__ = ("_requests", "_method", "_source", "_server", "_status", "_timer", "_start")

    def __init__(self, requests: RequestsCell, method: str, source: Any, server: Any) -> None:
        self._requests = requests
        self._method = method
        self._source = source
        self._server = server
        self._status = ""
        self._timer: Optional[Histogram] = None
        requests._in_flight.inc()
        self._start = perf_counter_ns()

    def count(self) -> None:
        """Its status is known, and nothing of the answer has left."""
        if self._timer is None:
            counter, timer = self._requests._find(self._method, self._status, self._source)
            if self._timer is None:  # or else another thread has counted it
                self._timer = timer
                counter.inc()

    def fail(self, error: BaseException) -> None:
        """An exception has left the application."""
        self._requests._fail(self._method, self._source, error)
        if self._timer is None:
            self._status = "500"
            self.count()

    def end(self) -> None:
        """All of the answer has been given to the server, or nobody wants the rest."""
        if self._start:
            ns = perf_counter_ns() - self._start
            self._start = 0
            self._requests._in_flight.dec()
            timer = self._timer or self._requests._timer(self._method, self._source)
            timer._took_ns(ns)


class WsgiRequest(Request):
    """Is start_response() for the application, and for the server an answer that is made while it
    is sent."""

    __slots__ = ("_write", "_body", "_chunks")
    _write: Callable[[bytes], Any]

    def _answer(self, application: Application) -> Iterable[bytes]:
        """Call the application; gives what the server is to send."""
        try:
            body = application(self._source, self)
        except BaseException as error:
            self.fail(error)
            self.end()
            raise
        wrapper = self._source.get("wsgi.file_wrapper")
        if type(body) is list or type(body) is tuple or (  # all is there
                # As it is, for the server sends it its own way: what begins now is not measured.
                isinstance(wrapper, type) and isinstance(body, wrapper)):
            self.count()
            self.end()
            return body
        self._body = body
        self._chunks: Optional[Iterator[bytes]] = None
        return self

    def __call__(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], Any]:
        self._status = status[:3]
        self._write = (self._server(status, headers, exc_info) if exc_info
                       else self._server(status, headers))
        return self.write

    def write(self, data: bytes) -> None:
        self.count()
        self._write(data)

    def __iter__(self) -> WsgiRequest:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            chunk = next(self._chunks)
        except StopIteration:
            self.count()
            raise
        except BaseException as error:
            self.fail(error)
            raise
        if chunk:
            self.count()
        return chunk

    def close(self) -> None:
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            # What nobody wanted to have, a HEAD's body say, was answered nevertheless.
            self.count()
            self.end()


class WsgiMiddleware:
    """The base of wsgi.Middleware."""

    __slots__ = ("_requests", "_application")

    def _bind(self, requests: RequestsCell, application: Application) -> None:
        self._requests = requests
        self._application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any], /
                 ) -> Iterable[bytes]:
        request = self._requests._begin(environ["REQUEST_METHOD"], environ, start_response)
        return request._answer(self._application)


class AsgiRequest(Request):
    """Is send() for the application."""

    __slots__ = ()

    async def __call__(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            self._status = str(int(message["status"]))  # an enumeration's str() is its name
            self.count()
        await self._server(message)
        if kind == "http.response.body" and not message.get("more_body"):
            self.end()  # what the application does from here on is its own business


class AsgiMiddleware:
    """The base of asgi.Middleware."""

    _requests: RequestsCell
    _application: AsgiApplication

    def _bind(self, requests: RequestsCell, application: AsgiApplication) -> None:
        self._requests = requests
        self._application = application

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Any],
                       send: Callable[..., Any]) -> None:
        if scope["type"] != "http":
            return await self._application(scope, receive, send)
        request = self._requests._begin(scope["method"], scope, send)
        try:
            await self._application(scope, receive, request)
        except Exception as error:  # but a cancellation is the client's
            request.fail(error)
            raise
        finally:
            request.end()


if not TYPE_CHECKING and extension:
    from ._fast import (AsgiMiddleware, AsgiRequest, RequestsCell,  # noqa: F811
                        WsgiMiddleware, WsgiRequest)
