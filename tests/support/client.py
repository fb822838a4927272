#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""client.py - clients of smx-agent, good and bad, for scripts.

  client.py watch ADDRESS [--pause=S]    scrape on and on, in both formats and by new and kept
                                         connections, and check every answer; say "watching" when
                                         the first has come
  client.py burst ADDRESS N              scrape N times at once and check every answer
  client.py hold WHAT,... ADDRESS N      open N connections for each WHAT, do with each what follows,
                                         say "held", and leave them open
      open                               send nothing
      half                               send half a request
      stall                              ask for /metrics and read nothing
      drip                               send a byte of a header, or of a body, again and again;
                                         connect anew when dropped
  client.py reset ADDRESS N              connect N times, send half a request, reset
  client.py send ADDRESS                 send the standard input, print what is answered
  client.py odd ADDRESS                  send the request in each line of the standard input, with
                                         escapes as in C, behind the status that it must get, or -
                                         where any and none will do; print and count what it gets
  client.py rubbish ADDRESS N            send N times random bytes

ADDRESS is HOST:PORT or unix:PATH; --from=HOST says where TCP connections come from, --limit=S how
long a scrape may take (10, as Prometheus has it). `watch` and `hold` go on until SIGTERM. `watch`
and `burst` print "scrapes=N refused=N failed=N slowest_ms=N bytes=N" at the end, and before it a
line for each answer that was incomplete, invalid or late, or in which a total of an application had
gone down; the exit status is then 1. A connection that is refused is no failure; nor is, with
--forgive=closed, one that ends before it is answered, or with --forgive=cut in the middle of that;
what the agent has counted itself since it began (smx_role_*, smx_app_*) may then begin anew.
"""
import argparse
import itertools
import random
import re
import resource
import signal
import socket
import struct
import sys
import threading
import time

EXPOSITION = re.compile(r'(?:#[^\n]*\n|[a-zA-Z_:][a-zA-Z0-9_:]*(?:\{[^\n]*\})? [^ \n]+\n)*\Z')
TOTAL = re.compile(r'^((?!smx_agent|process_)\w+_total(?:\{[^\n]*\})?) (\d+)$', re.M)
OWN_COUNTS = ('smx_role_', 'smx_app_')
ACCEPT = ('text/plain', 'application/openmetrics-text;version=1.0.0')
HALF = b'GET /metrics HTTP/1.1\r\nHost: localhost\r\nX-Half'
FORGIVEN = {'none': 0, 'closed': 1, 'cut': 1 << 40}
REFUSED = (ConnectionRefusedError, FileNotFoundError)


class Bad(Exception):
    """An answer is not what it must be."""


class Cut(Bad):
    """It ended too early."""


def connect(options):
    if options.address.startswith('unix:'):
        sock = socket.socket(socket.AF_UNIX)
        target = options.address[5:]
    else:
        sock = socket.socket(socket.AF_INET)
        if options.source:
            # Or a port of the few there are is taken for each source address, whatever the target.
            sock.setsockopt(socket.IPPROTO_IP, 24, 1)  # IP_BIND_ADDRESS_NO_PORT
            sock.bind((options.source, 0))
        host, port = options.address.rsplit(':', 1)
        target = (host, int(port))
    sock.settimeout(options.limit)
    try:
        sock.connect(target)
    except BaseException:
        sock.close()
        raise
    return sock


def receive(sock, deadline, data, enough):
    """Read until enough(data) bytes are there; None means unknown yet."""
    while enough(data) is None or len(data) < enough(data):
        left = deadline - time.monotonic()
        if left <= 0:
            raise Bad('late')
        sock.settimeout(left)
        try:
            piece = sock.recv(1 << 20)
        except TimeoutError:
            raise Bad('late')
        except ConnectionError:
            piece = None
        if not piece:
            raise Cut(len(data))
        data += piece
    return data


def whole_length(data):
    end = data.find(b'\r\n\r\n')
    if end < 0:
        return None
    length = re.search(rb'\r\nContent-Length: (\d+)\r\n', data[:end + 2])
    if not length:
        raise Bad('no length')
    return end + 4 + int(length[1])


def check(body, openmetrics):
    if openmetrics != body.endswith('# EOF\n'):
        raise Bad('not the format that was asked for, or not all of it')
    if '\nsmx_agent_build_info{' not in body or not EXPOSITION.match(body):
        raise Bad('no exposition')


class Scraper:
    """Scrapes, counts, and remembers the totals."""

    def __init__(self, options):
        self.options, self.lock, self.kept = options, threading.Lock(), None
        self.scrapes = self.refused = self.failed = self.bytes = 0
        self.slowest, self.totals = 0.0, {}

    def connect(self):
        try:
            return connect(self.options)
        except ConnectionResetError:
            raise Cut(0)  # it was in the queue of an agent that died

    def ask(self, sock, openmetrics, deadline):
        try:
            sock.sendall(f'GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: {ACCEPT[openmetrics]}'
                         '\r\n\r\n'.encode())
        except ConnectionError:
            raise Cut(0)
        data = receive(sock, deadline, bytearray(), whole_length)
        if not data.startswith(b'HTTP/1.1 200 '):
            raise Bad(data.split(b'\r\n', 1)[0].decode(errors='replace'))
        return data[data.find(b'\r\n\r\n') + 4:].decode()

    def scrape(self, openmetrics, keep=False):
        begin = time.monotonic()
        try:
            # A kept connection may have been closed meanwhile: then, as HTTP has it, once more.
            sock, self.kept = self.kept or self.connect(), None
            try:
                body = self.ask(sock, openmetrics, begin + self.options.limit)
            except (Bad, OSError):
                if not keep:
                    raise
                sock = self.connect()
                body = self.ask(sock, openmetrics, begin + self.options.limit)
            if keep:
                self.kept = sock
            else:
                sock.close()
            check(body, openmetrics)
            with self.lock:
                self.compare(body)
                self.scrapes += 1
                self.bytes += len(body)
                self.slowest = max(self.slowest, time.monotonic() - begin)
        except REFUSED:
            self.refused += 1
        except (Bad, OSError, UnicodeError) as why:
            if isinstance(why, Cut) and why.args[0] < FORGIVEN[self.options.forgive]:
                self.refused += 1
                return
            self.failed += 1
            print(f'failed: {why!r} after {time.monotonic() - begin:.3f} s', flush=True)

    def compare(self, body):
        totals = {name: int(value) for name, value in TOTAL.findall(body)}
        for name, value in totals.items():
            if self.options.forgive == 'cut' and name.startswith(OWN_COUNTS):
                continue
            if value < self.totals.get(name, 0):
                raise Bad(f'{name} went down from {self.totals[name]} to {value}')
        self.totals = totals

    def report(self):
        print(f'scrapes={self.scrapes} refused={self.refused} failed={self.failed} '
              f'slowest_ms={self.slowest * 1000:.0f} bytes={self.bytes}', flush=True)
        sys.exit(1 if self.failed or not self.scrapes else 0)


class Told(Exception):
    """SIGTERM came."""


def tell(*_):
    raise Told


def watch(options):
    scraper, turn = Scraper(options), 0
    try:
        while True:
            seen = scraper.scrapes
            scraper.scrape(turn % 2, keep=turn % 4 < 2)
            turn += 1
            if seen == 0 < scraper.scrapes:
                print('watching', flush=True)
            time.sleep(options.pause)
    except Told:
        scraper.report()


def burst(options):
    scraper = Scraper(options)
    scraper.compare = lambda body: None  # they end in any order
    threads = [threading.Thread(target=scraper.scrape, args=(i % 2,)) for i in range(options.n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    scraper.report()


DRIPS = (HALF + b': ', b'POST /metrics HTTP/1.1\r\nContent-Length: 1000000\r\n\r\n',
         b'POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n')


def begin(options, what, i):
    sock = connect(options)
    if what == 'half':
        sock.sendall(HALF)
    elif what == 'stall':
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(HALF + b': x\r\n\r\n')
    elif what == 'drip':
        sock.sendall(DRIPS[i % len(DRIPS)])
    return sock


def drip(options, socks):
    while True:
        for i, sock in enumerate(socks):
            try:
                sock.sendall(b'1\r\nx\r\n' if i % len(DRIPS) == 2 else b'x')
            except OSError:
                sock.close()
                try:
                    socks[i] = begin(options, 'drip', i)
                except OSError:
                    pass
            time.sleep(0.0005)


def kinds(text):
    found = text.split(',')
    if not {'open', 'half', 'stall', 'drip'}.issuperset(found):
        raise ValueError
    return found


def hold(options):
    socks = {what: [] for what in options.what}
    try:
        for what, i in itertools.product(socks, range(options.n)):
            try:
                socks[what].append(begin(options, what, i))
            except OSError as why:
                print(f'connection {what} {i}: {why!r}', flush=True)
            time.sleep(options.pause)
        print(f'held {sum(map(len, socks.values()))}', flush=True)
        if 'drip' in socks:
            drip(options, socks['drip'])
        signal.pause()
    except Told:
        pass


def reset(options):
    for _ in range(options.n):
        with connect(options) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            sock.sendall(HALF)


def send(options):
    request = sys.stdin.buffer.read()
    with connect(options) as sock:
        try:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # it has heard enough; the answer is there all the same
        try:
            while piece := sock.recv(1 << 16):
                sys.stdout.buffer.write(piece)
        except OSError as why:
            print(f'[{why!r}]')


def answer_to(options, request, limit):
    """The first line of what is answered."""
    with connect(options) as sock:
        try:
            sock.sendall(request)
        except OSError:
            pass  # it has heard enough; the answer is there all the same
        try:
            sock.settimeout(limit)
            return sock.recv(1 << 16).split(b'\r\n', 1)[0].decode(errors='replace')
        except OSError as why:
            return repr(why)


def odd(options):
    wrong = 0
    for line in sys.stdin:
        status, request = line.rstrip('\n').split(' ', 1)
        raw = request.encode().decode('unicode_escape').encode('latin-1')
        any_will_do = status == '-'
        answer = answer_to(options, raw, 0.2 if any_will_do else options.limit)
        print(f'{request[:70]} ... gets: {answer}', flush=True)
        wrong += not any_will_do and answer.split(' ')[1:2] != [status]
    sys.exit(1 if wrong else 0)


def rubbish(options):
    for _ in range(options.n):
        answer_to(options, random.randbytes(3000), 0.2)


def main():
    parser = argparse.ArgumentParser(allow_abbrev=False)
    actions = parser.add_subparsers(required=True)
    for action in watch, burst, hold, reset, send, odd, rubbish:
        sub = actions.add_parser(action.__name__)
        sub.set_defaults(run=action)
        if action is hold:
            sub.add_argument('what', type=kinds)
        sub.add_argument('address')
        if action in (burst, hold, reset, rubbish):
            sub.add_argument('n', type=int)
        sub.add_argument('--from', dest='source')
        sub.add_argument('--limit', type=float, default=10)
        sub.add_argument('--pause', type=float, default=0)
        sub.add_argument('--forgive', choices=FORGIVEN, default='none')
    options = parser.parse_args()
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    signal.signal(signal.SIGTERM, tell)
    options.run(options)


main()
