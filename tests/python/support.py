# SPDX-License-Identifier: MIT
"""What the tests of the Python package share: other processes, and what smx-dump says."""
import http.client
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("SMX_BUILD", ROOT / "build/release"))
SCALE = int(os.environ.get("SMX_TEST_SCALE", 1))


def dump(app):
    """The families of a segment, by name."""
    text = subprocess.run([BUILD / "bin/smx-dump", "--json", app], check=True,
                          capture_output=True, text=True).stdout
    return {family["name"]: family for family in json.loads(text)["families"]}


def series(app, name, /, **labels):
    """The series of a family that have these labels, and perhaps others."""
    return [one for one in dump(app).get(name, {"series": []})["series"]
            if labels.items() <= one["labels"].items()]


def total(app, name, /, **labels):
    """The sum of what they have counted."""
    return sum(one.get("value", one.get("count", 0)) or 0 for one in series(app, name, **labels))


def python(code, *arguments, **environment):
    """Run a program; every warning of Python is an error. Returns its output and its errors."""
    done = subprocess.run([sys.executable, "-X", "dev", "-W", "error", "-c", code, *arguments],
                          env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), done.stderr.strip()


def eventually(condition, what):
    """Wait until it holds."""
    deadline = time.monotonic() + float(os.environ.get("SMX_PATIENCE", 90))
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for: {what}"
        time.sleep(0.02)


class Agent:
    """smx-agent, on a socket beside the segments."""

    def __init__(self):
        self.socket = os.environ["SMX_DIR"] + "/../agent.sock"
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "TERM", BUILD / "bin/smx-agent", "--scrape.max-age=0",
             "--segments.dir", os.environ["SMX_DIR"], f"--web.listen-address=unix:{self.socket}"],
            stderr=subprocess.DEVNULL)

    def __enter__(self):
        eventually(self.listens, "the agent")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def listens(self):
        try:
            self.connect().close()
            return True
        except OSError:
            return False

    def connect(self):
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(self.socket)
        except OSError:
            sock.close()
            raise
        return sock

    def metrics(self):
        """A scrape in the OpenMetrics format."""
        connection = http.client.HTTPConnection("agent")
        connection.sock = self.connect()
        connection.request("GET", "/metrics", headers={
            "Accept": "application/openmetrics-text;version=1.0.0"})
        page = connection.getresponse().read().decode()
        connection.close()
        return page


def in_children(n, work):
    """Fork n children that do some work and end; work is given the child's number."""
    pids = []
    for i in range(n):
        pid = os.fork()
        if pid == 0:
            try:
                work(i)
                os._exit(0)
            finally:
                os._exit(1)
        pids.append(pid)
    for pid in pids:
        assert os.waitpid(pid, 0)[1] == 0
