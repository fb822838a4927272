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

from typing import Any, Optional

from ._http import Requests, Route
from ._requests import Application, WsgiMiddleware, WsgiRequest


def route_of(environ: dict[str, Any]) -> Optional[str]:
    """The route that the application has named."""
    return environ.get("smx.route")


class Middleware(WsgiMiddleware):
    """Measures the requests of a WSGI application; see smx._http.Requests for the metrics.

    route: a function that tells the route from the environ; default route_of.
    """

    def __init__(self, application: Application, namespace: str = "",
                 route: Optional[Route] = None) -> None:
        self._bind(Requests(namespace, WsgiRequest, route_of, route), application)
