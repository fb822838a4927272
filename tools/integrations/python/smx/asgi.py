# SPDX-License-Identifier: MIT
"""ASGI: `application = smx.asgi.Middleware(application)`. Other scopes than http pass unmeasured.

The route is what the application has put into scope["smx.route"], or the path of what its framework
has put into scope["route"], as FastAPI does.
"""
from __future__ import annotations

from typing import Any, Awaitable, Callable, Optional

from ._http import Requests, Route
from ._requests import AsgiRequest

Message = dict[str, Any]


def route_of(scope: dict[str, Any]) -> Optional[str]:
    """The route that the framework or the application has named."""
    return scope.get("smx.route") or getattr(scope.get("route"), "path", None)


class Middleware:
    """Measures the requests of an ASGI application; see smx._http.Requests for the metrics.

    route: a function that tells the route from the scope; default route_of.
    """

    def __init__(self, app: Callable[..., Awaitable[None]], namespace: str = "",
                 route: Optional[Route] = None) -> None:
        self._app = app
        self._begin = Requests(namespace, AsgiRequest, route_of, route)._begin

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Awaitable[Message]],
                       send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = self._begin(scope["method"], scope, send)
        try:
            await self._app(scope, receive, request)
        except Exception as error:  # but a cancellation is the client's
            request.fail(error)
            raise
        finally:
            request.end()
