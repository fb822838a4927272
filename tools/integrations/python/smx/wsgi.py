# SPDX-License-Identifier: MIT
"""WSGI: `application = smx.wsgi.Middleware(application)`.

The route is what the application, or a hook of its framework, has put into environ["smx.route"], as
for Flask:

    @app.url_value_preprocessor
    def tell_route(endpoint, values):
        if flask.request.url_rule:
            flask.request.environ["smx.route"] = flask.request.url_rule.rule
"""
from __future__ import annotations

from typing import Any, Callable, Iterable, Iterator, Optional

from ._http import Request, Requests, Route, guarded


def route_of(environ: dict[str, Any]) -> Optional[str]:
    """The route that the application has named."""
    return environ.get("smx.route")


class Middleware:
    """Measures the requests of a WSGI application; see smx._http.Requests for the metrics."""

    def __init__(self, application: Callable[..., Iterable[bytes]], namespace: str = "",
                 route: Route = route_of) -> None:
        self._application = application
        self._metrics = Requests(namespace)
        self._route = route if route is route_of else guarded(route)

    def __call__(self, environ: dict[str, Any],
                 start_response: Callable[..., Any]) -> Iterable[bytes]:
        request = _Request(self._metrics, environ["REQUEST_METHOD"], environ, self._route)
        request.server = start_response
        try:
            body = self._application(environ, request.start)
        except BaseException as error:
            request.fail(error)
            request.end()
            raise
        if type(body) is list or type(body) is tuple:  # all is there
            request.done()
            return body
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(wrapper, type) and isinstance(body, wrapper):
            # As it is, for the server sends it its own way: what begins now is not measured.
            request.done()
            return body
        return _Body(body, request)


class _Request(Request):
    """With the start_response() of its server."""

    __slots__ = ("server", "_write")
    server: Callable[..., Any]
    _write: Callable[[bytes], Any]

    def start(self, status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], Any]:
        self.status = status[:3]
        self._write = (self.server(status, headers, exc_info) if exc_info
                       else self.server(status, headers))
        return self.write

    def write(self, data: bytes) -> None:
        self.count()
        self._write(data)


class _Body:
    """An answer that is made while it is sent."""

    __slots__ = ("_body", "_chunks", "_request")

    def __init__(self, body: Iterable[bytes], request: Request) -> None:
        self._body = body
        self._chunks: Optional[Iterator[bytes]] = None
        self._request = request

    def __iter__(self) -> _Body:
        return self

    def __next__(self) -> bytes:
        try:
            if self._chunks is None:
                self._chunks = iter(self._body)
            chunk = next(self._chunks)
        except StopIteration:
            self._request.count()
            raise
        except BaseException as error:
            self._request.fail(error)
            raise
        if chunk:
            self._request.count()
        return chunk

    def close(self) -> None:
        try:
            if hasattr(self._body, "close"):
                self._body.close()
        finally:
            # What nobody wanted to have, a HEAD's body say, was answered nevertheless.
            self._request.count()
            self._request.end()
