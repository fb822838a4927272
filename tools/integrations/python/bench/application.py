# SPDX-License-Identifier: MIT
"""What bench/servers serves: an application that does next to nothing, bare and measured."""


def plain(environ, start_response):
    environ["smx.route"] = "/"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


def measured():
    from smx.wsgi import Middleware
    return Middleware(plain)
