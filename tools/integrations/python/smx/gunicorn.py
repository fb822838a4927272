# SPDX-License-Identifier: MIT
"""gunicorn: a line of its configuration, and the application stays as it is.

    from smx.gunicorn import post_request, pre_request

As smx.wsgi.Middleware, for less: gunicorn itself tells what it has answered. So a request is
counted when its answer has been sent. Not for asynchronous applications, whose workers do not call
hooks.
"""
from __future__ import annotations

import ssl
import sys
from typing import Any, Optional

from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkSize, NoMoreData

from ._http import Requests, Route
from ._requests import WsgiRequest
from .wsgi import route_of

_GONE = (ConnectionError, ssl.SSLError, NoMoreData, InvalidChunkSize, ChunkMissingTerminator)


def _is_clients(error: BaseException) -> bool:
    """Whether gunicorn met it where it reads a request or writes an answer: the client has gone, or
    sends what is no body. A database may reset a connection, too, and that is to be told."""
    at = error.__traceback__ if isinstance(error, _GONE) else None
    while at and not at.tb_frame.f_globals.get("__name__", "").startswith("gunicorn.http."):
        at = at.tb_next
    return at is not None


class Hooks(Requests):
    """Its pre_request() and post_request() are gunicorn's, which measure the requests.

    route: a function that tells the route from the environ; default smx.wsgi.route_of.
    """

    __slots__ = ()

    def __init__(self, namespace: str = "", route: Optional[Route] = None) -> None:
        super().__init__(namespace, WsgiRequest, route_of, route)

    def _status_of(self, req: Any, environ: dict[str, Any], resp: Any) -> str:
        """What the client was answered, where an exception ended the request or nothing was said.
        Counts the exception."""
        error = sys.exc_info()[1]
        begun = resp and resp.headers_sent
        if begun and isinstance(error, StopIteration):  # gunicorn's own, that closes the connection
            error = error.__context__
        if error and not _is_clients(error):
            self._fail(req.method, environ, error)
            if not begun:
                return "500"
        return str(resp.status or "")[:3] if resp else ""


_hooks = Hooks()
pre_request = _hooks.pre_request
post_request = _hooks.post_request
