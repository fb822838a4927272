# SPDX-License-Identifier: MIT
"""What bench/servers serves: applications that do next to nothing, bare and measured."""


def plain(environ, start_response):
    environ["smx.route"] = "/"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


def measured():
    from smx.wsgi import Middleware
    return Middleware(plain)


async def plain_asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http alone is served here")
    scope["smx.route"] = "/"
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain"), (b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


def measured_asgi():
    from smx.asgi import Middleware
    return Middleware(plain_asgi)
