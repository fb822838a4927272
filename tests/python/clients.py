# SPDX-License-Identifier: MIT
"""clients.py SOCKET REQUESTS [--path=PATH] [--kill=PID --kills=N]

Send requests, each on a connection of its own, from eight threads; meanwhile kill children of a
process, one each time when another part of the requests is sent. Prints an object: requests
that were sent, those that were answered in full and with status 200, children that were killed.
"""
import argparse
import json
import os
import random
import signal
import socket
import threading
import time
from pathlib import Path

HEAD, BODY = b"HTTP/1.1 200", b"done"


def request(path, options):
    """Whether it was answered."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(90)
        try:
            sock.connect(options.socket)
            sock.sendall(f"GET {path} HTTP/1.1\r\nHost: app\r\nConnection: close\r\n\r\n".encode())
            answer = b""
            while part := sock.recv(65536):
                answer += part
        except OSError:
            return False
    return answer.startswith(HEAD) and answer.endswith(BODY)


class Load:
    def __init__(self, options):
        self.options = options
        self.lock = threading.Lock()
        self.sent = self.answered = self.killed = 0

    def due(self):
        """How many should have been killed by now."""
        return min(self.sent * (self.options.kills + 1) // self.options.requests,
                   self.options.kills)

    def client(self):
        while True:
            with self.lock:
                if self.sent == self.options.requests:
                    return
                wait = self.killed < self.due()  # or else the last kills might have no load
                self.sent += not wait
            if wait:
                time.sleep(0.001)
            elif request(self.options.path, self.options):
                with self.lock:
                    self.answered += 1

    def kill_one(self):
        children = Path(f"/proc/{self.options.kill}/task/{self.options.kill}/children")
        pids = children.read_text().split()
        if pids:
            try:
                os.kill(int(random.choice(pids)), signal.SIGKILL)
            except ProcessLookupError:
                return  # it has just ended by itself: another one, next time
            self.killed += 1

    def run(self):
        threads = [threading.Thread(target=self.client) for _ in range(8)]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            if self.killed < self.due():
                self.kill_one()
            time.sleep(0.001)
        print(json.dumps({"sent": self.sent, "answered": self.answered, "killed": self.killed}))


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("socket")
    parser.add_argument("requests", type=int)
    parser.add_argument("--path", default="/")
    parser.add_argument("--kill", type=int)
    parser.add_argument("--kills", type=int, default=0)
    Load(parser.parse_args()).run()


if __name__ == "__main__":
    main()
