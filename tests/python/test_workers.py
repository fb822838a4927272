# SPDX-License-Identifier: MIT
"""A thousand workers that come and go, as a preloaded master's: nothing grows."""
import os
import signal
import unittest
from pathlib import Path

import smx
import smx.wsgi
from support import SCALE, Agent, total

APP = smx.open("recycled", role="master").app
WORKERS = 1000 * SCALE
BUSY = smx.Gauge("busy", "Workers that are busy.")
PEERS = smx.Gauge("peers", "Workers, one by one.", multiprocess_mode="liveall")


def application(environ, start_response):
    environ["smx.route"] = "/"
    start_response("200 OK", [])
    if environ["PATH_INFO"] == "/dies":
        os.kill(os.getpid(), signal.SIGKILL)
    return [b"done"]


measured = smx.wsgi.Middleware(application)


def work(number):
    """A worker's life: two requests. Every tenth is killed in the midst of a third."""
    PEERS.set(number)
    for path in ("/", "/", "/dies" if number % 10 == 0 else None):
        if path:
            with BUSY.track_inprogress():
                measured({"REQUEST_METHOD": "GET", "PATH_INFO": path}, lambda *_: None)


def recycle(n):
    """Workers that live two at a time."""
    alive = []
    for number in range(n):
        pid = os.fork()
        if pid == 0:
            try:
                work(number)
            finally:
                os._exit(0)
        alive.append(pid)
        if len(alive) == 2:
            os.waitpid(alive.pop(0), 0)
    for pid in alive:
        os.waitpid(pid, 0)


class Recycled(unittest.TestCase):
    def read(self, agent):
        """A scrape's page, without what changes in any, and the bytes that were read for it."""
        def so_far():
            text = Path(f"/proc/{agent.process.pid}/io").read_text()
            return int(text.split("rchar:")[1].split()[0])

        agent.metrics()  # what is new has been read
        before = so_far()
        page = agent.metrics()
        lines = [line.rsplit(" ", 1)[0] for line in page.splitlines() if 'app="recycled"' in line]
        return lines, so_far() - before

    def left_behind(self):
        files = list(Path(os.environ["SMX_DIR"]).iterdir())
        return len(files), sum(path.stat().st_blocks for path in files)

    def test_a_thousand_recycled_workers_leave_nothing_and_a_scrape_reads_no_more(self):
        with Agent() as agent:
            recycle(20)
            page, read = self.read(agent)
            left = self.left_behind()
            recycle(WORKERS)
            self.assertEqual(self.left_behind(), left)
            self.assertEqual(list(Path(os.environ["SMX_DIR"]).glob(f"{APP}*")),
                             [Path(smx.open("recycled").path)])
            page_then, read_then = self.read(agent)
            self.assertEqual(page_then, page)
            self.assertLess(abs(read_then - read), 256)  # but for numbers that are longer now
        requests = 2 * (20 + WORKERS)
        self.assertEqual(total(APP, "http_requests_total", route="/"), requests)
        self.assertEqual(total(APP, "http_request_duration_seconds", route="/"), requests)
        self.assertEqual((total(APP, "busy"), total(APP, "http_in_flight_requests")), (0, 0))
        self.assertFalse([line for line in page if line.startswith("peers")])
