#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""manager.py - a service manager as small as can be: runs a command as systemd does a service of
Type=notify with WatchdogSec= and Restart=on-watchdog.

  manager.py [--watchdog=S] SOCKET COMMAND...

SOCKET is a path, or an abstract name behind '@'. Prints a line for all that happens: "start PID",
"PID NAME=VALUE..." for each message, and "watchdog PID" when there was none in time; then it aborts
the command, kills it, and starts it anew. Messages of other processes are not accepted, as with
NotifyAccess=main; they are printed as "stranger PID". SIGTERM and SIGHUP go to the command. Ends with
it, by its exit status.
"""
import argparse
import os
import signal
import socket
import struct
import subprocess
import sys
import time


def say(*words):
    print(*words, flush=True)


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument('--watchdog', type=float, default=0)
    parser.add_argument('socket')
    parser.add_argument('command', nargs=argparse.REMAINDER)
    return parser.parse_args()


class Service:
    def __init__(self, arguments):
        self.arguments = arguments
        self.environment = dict(os.environ, NOTIFY_SOCKET=arguments.socket)
        self.start()
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, lambda number, _: self.process.send_signal(number))

    def start(self):
        if self.arguments.watchdog:
            self.environment['WATCHDOG_USEC'] = str(int(self.arguments.watchdog * 1e6))
        # A shell knows its pid, and exec() keeps it.
        self.process = subprocess.Popen(
            ['setpriv', '--pdeathsig', 'KILL', 'sh', '-c', 'WATCHDOG_PID=$$ exec "$@"', 'sh',
             *self.arguments.command], env=self.environment)
        self.heard = time.monotonic()
        say('start', self.process.pid)

    def hear(self, pid, message):
        if pid != self.process.pid:
            say('stranger', pid)
            return
        say(pid, *message.decode().split('\n'))
        if b'WATCHDOG=1' in message.split(b'\n'):
            self.heard = time.monotonic()

    def watch(self):
        watchdog = self.arguments.watchdog
        if not watchdog or time.monotonic() - self.heard < watchdog:
            return
        say('watchdog', self.process.pid)
        self.process.send_signal(signal.SIGABRT)
        try:
            self.process.wait(0.2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.start()


def listen(name):
    mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mailbox.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
    mailbox.bind('\0' + name[1:] if name.startswith('@') else name)
    mailbox.settimeout(0.05)
    return mailbox


def main():
    arguments = parse()
    mailbox = listen(arguments.socket)
    service = Service(arguments)
    while True:
        ended = service.process.poll() is not None
        try:
            message, ancillary, _, _ = mailbox.recvmsg(4096, 256)
            pid = struct.unpack('3i', ancillary[0][2])[0]
            service.hear(pid, message)
        except TimeoutError:
            if ended:
                return service.process.returncode
        if not ended:
            service.watch()


sys.exit(main())
