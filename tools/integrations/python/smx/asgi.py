# SPDX-License-Identifier: MIT
"""ASGI: `application = smx.asgi.Middleware(application)`. Other scopes than http pass unmeasured.

The route is what the application has put into scope["smx.route"], or the path of what its framework
has put into scope["route"], as FastAPI does.
"""
from __future__ import annotations

from typing import Any, Awaitable, Callable, Optional

from ._http import Request, Requests, Route, guarded

Message = dict[str, Any]


def route_of(scope: dict[str, Any]) -> Optional[str]:
    """The route that the framework or the application has named."""
    return scope.get("smx.route") or getattr(scope.get("route"), "path", None)


class Middleware:
    """Measures the requests of an ASGI application; see smx._http.Requests for the metrics."""

    def __init__(self, app: Callable[..., Awaitable[None]], namespace: str = "",
                 route: Route = route_of) -> None:
        self._app = app
        self._metrics = Requests(namespace)
        self._route = route if route is route_of else guarded(route)

    async def __call__(self, scope: dict[str, Any], receive: Callable[..., Awaitable[Message]],
                       send: Callable[[Message], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        request = Request(self._metrics, scope["method"], scope, self._route)

        async def measured(message: Message) -> None:
            kind = message["type"]
            if kind == "http.response.start":
                request.status = str(int(message["status"]))  # an enumeration's str() is its name
                request.count()
            await send(message)
            if kind == "http.response.body" and not message.get("more_body"):
                request.end()  # what the application does from here on is its own business

        try:
            await self._app(scope, receive, measured)
        except Exception as error:  # but a cancellation is the client's
            request.fail(error)
            raise
        finally:
            request.end()
