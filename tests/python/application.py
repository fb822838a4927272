# SPDX-License-Identifier: MIT
"""A web application for gunicorn and uvicorn: `wsgi`, `asgi` in smx's middlewares, `bare` in none.

/ answers, /stream does in parts, /boom fails, /hang never answers in full.
"""
import asyncio
import signal

import smx
import smx.asgi
import smx.wsgi

HITS = smx.Counter("app_hits", "What the application itself has counted.", ["path"])
SPENT = smx.Histogram("app_seconds", "What the application itself has timed.")
BUSY = smx.Gauge("app_busy", "What the application does now.")
WORKERS = smx.Gauge("app_workers", "Processes that have answered.", multiprocess_mode="liveall")


def _answer(path):
    HITS.labels(path).inc()
    SPENT.observe(0.5)
    WORKERS.set(1)
    if path == "/boom":
        raise RuntimeError("boom")


@BUSY.track_inprogress()
def bare(environ, start_response):
    path = environ["PATH_INFO"]
    _answer(path)
    environ["smx.route"] = path
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "4")])
    if path == "/hang":
        signal.pause()
    return (part for part in (b"do", b"ne")) if path == "/stream" else [b"done"]


@BUSY.track_inprogress()
async def _asgi(scope, receive, send):
    if scope["type"] != "http":
        raise RuntimeError("http alone is served here")
    path = scope["path"]
    _answer(path)
    scope["smx.route"] = path
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"4")]})
    while path == "/hang" and (await receive())["type"] != "http.disconnect":
        pass
    for part in (b"do", b"ne"):
        await send({"type": "http.response.body", "body": part, "more_body": part == b"do"})
        await asyncio.sleep(0)


wsgi = smx.wsgi.Middleware(bare)
asgi = smx.asgi.Middleware(_asgi)
