# SPDX-License-Identifier: MIT
"""What bench/servers serves: applications that do next to nothing, bare, and in a middleware: one that
only learns the status, what is the least, smx's, and one that does what smx's does with
prometheus_client. page.py has another application, of these names."""
import time


def plain(environ, start_response):
    environ["smx.route"] = "/"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "3")])
    return [b"ok\n"]


def told():
    """Where its route is a label: here it always is."""
    return plain


def passed(application=plain):
    def middleware(environ, start_response):
        status = None

        def start(line, headers, exc_info=None):
            nonlocal status
            status = line
            return start_response(line, headers, exc_info)
        return application(environ, start)
    return middleware


def measured(application=plain):
    from smx.wsgi import Middleware
    return Middleware(application)


def prometheus_metrics():
    from prometheus_client import Counter, Gauge, Histogram
    return (Counter("http_requests", "Requests.", ["method", "status", "route"]),
            Histogram("http_request_duration_seconds", "Times.", ["method", "status", "route"]),
            Gauge("http_in_flight_requests", "In flight.", multiprocess_mode="livesum"))


def prometheus(application=plain):
    requests, duration, in_flight = prometheus_metrics()

    def middleware(environ, start_response):
        status = None

        def start(line, headers, exc_info=None):
            nonlocal status
            status = line[:3]
            return start_response(line, headers, exc_info)
        in_flight.inc()
        began = time.perf_counter()
        body = application(environ, start)
        labels = environ["REQUEST_METHOD"], status, environ.get("smx.route", "")
        requests.labels(*labels).inc()
        duration.labels(*labels).observe(time.perf_counter() - began)
        in_flight.dec()
        return body
    return middleware


async def plain_asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http alone is served here")
    scope["smx.route"] = "/"
    await send({"type": "http.response.start", "status": 200, "headers": [
        (b"content-type", b"text/plain"), (b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"ok\n"})


def passed_asgi():
    async def middleware(scope, receive, send):
        status = None

        async def sent(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
        await plain_asgi(scope, receive, sent)
    return middleware


def measured_asgi():
    from smx.asgi import Middleware
    return Middleware(plain_asgi)


def prometheus_asgi():
    requests, duration, in_flight = prometheus_metrics()

    async def middleware(scope, receive, send):
        status = None

        async def sent(message):
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)
        in_flight.inc()
        began = time.perf_counter()
        await plain_asgi(scope, receive, sent)
        labels = scope["method"], status, scope["smx.route"]
        requests.labels(*labels).inc()
        duration.labels(*labels).observe(time.perf_counter() - began)
        in_flight.dec()
    return middleware
