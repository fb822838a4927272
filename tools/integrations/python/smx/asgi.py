# SPDX-License-Identifier: MIT
"""ASGI: `application = smx.asgi.Middleware(application)`. Other scopes than http pass unmeasured.

The route is what the application has put into scope["smx.route"], or the path of what its framework
has put into scope["route"], as FastAPI does.
"""
from __future__ import annotations

from typing import Any, Optional

from ._cells import extension
from ._http import Requests, Route
from ._requests import AsgiApplication, AsgiMiddleware, AsgiRequest


def route_of(scope: dict[str, Any]) -> Optional[str]:
    """The route that the framework or the application has named."""
    return scope.get("smx.route") or getattr(scope.get("route"), "path", None)


class Middleware(AsgiMiddleware):
    """Measures the requests of an ASGI application; see smx._http.Requests for the metrics.

    route: a function that tells the route from the scope; default route_of.
    """

    def __init__(self, app: AsgiApplication, namespace: str = "",
                 route: Optional[Route] = None) -> None:
        self._bind(Requests(namespace, AsgiRequest, route_of, route), app)
        if extension:
            # Servers look here whether this is ASGI 3; the call itself is the extension's, which
            # is no coroutine function.
            self.__call__ = self._call  # type: ignore[method-assign]

    async def _call(self, scope: Any, receive: Any, send: Any) -> None:
        await self(scope, receive, send)
