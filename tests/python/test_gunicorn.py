# SPDX-License-Identifier: MIT
"""gunicorn's hooks, called as its workers call them."""
import errno
import gc
import socket
import ssl
import sys
import time
import unittest
from types import SimpleNamespace

from gunicorn.config import validate_callable
from gunicorn.http.body import ChunkedReader
from gunicorn.http.unreader import IterUnreader
from gunicorn.http.wsgi import Response

from measured import APP, Requests  # which opens the segment
from support import series

import smx.gunicorn


class Gunicorn(Requests):
    def setUp(self):
        super().setUp()
        self.hooks = smx.gunicorn.Hooks(self.namespace)

    def serve(self, status, method="GET", error=None, sent=False, **environ):
        """One request, as a worker does it: the answer, or an error, which is raised."""
        req = SimpleNamespace(method=method)
        resp = SimpleNamespace(status=status, headers_sent=sent)
        self.hooks.pre_request(None, req)
        self.assertEqual(self.in_flight(), 1)
        try:
            if error and sent and not isinstance(error, OSError):
                try:
                    raise error
                except Exception:
                    raise StopIteration
            if error:
                raise error
        finally:
            self.hooks.post_request(None, req, environ, resp)
            self.assertEqual(self.in_flight(), 0)

    def test_gunicorn_takes_them(self):
        for hooks in self.hooks, smx.gunicorn:
            validate_callable(2)(hooks.pre_request)
            validate_callable(4)(hooks.post_request)

    def test_an_answer_is_counted_and_timed(self):
        self.serve("200 OK", **{"smx.route": "/a"})
        self.serve("200 OK", **{"smx.route": "/a"})
        self.serve("404 Not Found", "HEAD")
        self.serve("999 Beyond", "BREW")
        self.assertEqual(self.counted(), {("GET", "200", "/a"): 2, ("HEAD", "404", ""): 1,
                                          ("other", "other", ""): 1})
        self.assertEqual((self.timed(), self.timed(route="/a"), self.failed()), (4, 2, {}))

    def test_an_exception_is_counted_with_what_the_client_was_told(self):
        self.assertRaises(KeyError, self.serve, None, error=KeyError())
        self.assertRaises(ValueError, self.serve, "200 OK", error=ValueError())
        self.assertRaises(StopIteration, self.serve, "200 OK", error=LookupError(), sent=True)
        self.assertEqual(self.counted(), {("GET", "500", ""): 2, ("GET", "200", ""): 1})
        self.assertEqual(self.failed(), {("GET", "", "KeyError"): 1, ("GET", "", "ValueError"): 1,
                                         ("GET", "", "LookupError"): 1})

    @staticmethod
    def met(call):
        """What it meets; assertRaises() would forget where."""
        try:
            call()
        except OSError as error:
            return error

    @staticmethod
    def answer_to(sock):
        """gunicorn's own answer to a client."""
        req = SimpleNamespace(method="GET", version=(1, 1), should_close=lambda: True)
        answer = Response(req, sock, None)
        answer.start_response("200 OK", [])
        answer.write(b"done")

    def test_a_client_that_has_gone_is_no_exception(self):
        ours, theirs = socket.socketpair()
        theirs.close()
        with ours:
            for goes in (lambda: self.answer_to(ours),
                         lambda: ChunkedReader(None, IterUnreader([b"5\r\nab"])).read(5),
                         lambda: ChunkedReader(None, IterUnreader([b"rubbish\r\n"])).read(5)):
                self.assertRaises(OSError, self.serve, "200 OK", error=self.met(goes))
        self.assertEqual((self.counted(), self.failed()), ({("GET", "200", ""): 3}, {}))

    def test_a_client_that_has_gone_without_goodbye_to_tls_is_no_exception(self):
        def sendall(data):
            raise ssl.SSLEOFError(ssl.SSL_ERROR_EOF, "EOF occurred in violation of protocol")

        gone = self.met(lambda: self.answer_to(SimpleNamespace(sendall=sendall)))
        self.assertRaises(ssl.SSLError, self.serve, "200 OK", error=gone, sent=True)
        self.assertEqual((self.counted(), self.failed()), ({("GET", "200", ""): 1}, {}))

    def test_a_database_that_has_gone_is_an_exception(self):
        gone = OSError(errno.ECONNRESET, "")
        self.assertRaises(OSError, self.serve, None, error=gone)
        self.assertRaises(OSError, self.serve, None, error=OSError(errno.ENOENT, ""))
        self.assertEqual(self.counted(), {("GET", "500", ""): 2})
        self.assertEqual(self.failed(), {("GET", "", "ConnectionResetError"): 1,
                                         ("GET", "", "FileNotFoundError"): 1})

    def test_an_iterator_that_has_run_out_is_an_exception(self):
        self.assertRaises(StopIteration, self.serve, "200 OK", error=StopIteration())
        self.assertEqual(self.failed(), {("GET", "", "StopIteration"): 1})
        # gunicorn's own, of workers that close a connection by it
        self.assertRaises(StopIteration, self.close_by_exception)
        self.assertEqual(self.counted(), {("GET", "500", ""): 1, ("GET", "200", ""): 1})
        self.assertEqual(self.failed(), {("GET", "", "StopIteration"): 1})

    def close_by_exception(self):
        req = SimpleNamespace(method="GET")
        resp = SimpleNamespace(status="200 OK", headers_sent=True)
        self.hooks.pre_request(None, req)
        try:
            raise StopIteration
        finally:
            self.hooks.post_request(None, req, {}, resp)

    def test_what_was_not_answered_is_counted(self):
        self.serve(None)
        req = SimpleNamespace(method="GET")
        self.hooks.pre_request(None, req)
        self.hooks.post_request(None, req, {}, None)
        self.assertEqual(self.counted(), {("GET", "other", ""): 2})

    def test_the_route_may_be_told_by_a_function(self):
        self.hooks = smx.gunicorn.Hooks(self.namespace, route=lambda environ: environ["PATH"])
        self.serve("200 OK", PATH="/b")
        with self.assertLogs("smx", "WARNING"):
            self.serve("200 OK")  # which it fails for
        self.assertEqual(self.counted(), {("GET", "200", "/b"): 1, ("GET", "200", ""): 1})

    def test_one_hook_alone_is_an_error(self):
        with self.assertRaisesRegex(AttributeError, "_smx_began"):
            self.hooks.post_request(None, SimpleNamespace(method="GET"), {}, None)
        self.assertRaises(TypeError, self.hooks.pre_request, None)
        self.assertRaises(TypeError, self.hooks.post_request, None)
        self.assertEqual(self.in_flight(), 0)

    def test_what_cannot_be_counted_is_not_in_flight_for_ever(self):
        for answer, kind in (SimpleNamespace(), AttributeError), (SimpleNamespace(status=""), None):
            req = SimpleNamespace(method="GET" if kind else ["GET"])
            self.hooks.pre_request(None, req)
            with self.assertRaises(kind or TypeError):
                self.hooks.post_request(None, req, {}, answer)
        self.assertEqual((self.in_flight(), self.counted()), (0, {}))

    def test_hooks_of_two_kinds_may_follow_each_other(self):
        names = self.namespace, self.namespace + "_too"
        both = [smx.gunicorn.Hooks(name) for name in names]
        req = SimpleNamespace(method="GET")
        for hooks in both:
            hooks.pre_request(None, req)
        for hooks in both:
            hooks.post_request(None, req, {}, SimpleNamespace(status="200 OK"))
        for self.namespace in names:
            self.assertEqual((self.in_flight(), self.counted()), (0, {("GET", "200", ""): 1}))

    def test_requests_that_overlap_are_each_timed(self):
        reqs = [SimpleNamespace(method=method) for method in ("GET", "PUT", "POST")]
        start = time.perf_counter()
        for req in reqs:
            self.hooks.pre_request(None, req)
        self.assertEqual(self.in_flight(), 3)
        for n, i in enumerate((1, 0, 2)):
            self.hooks.post_request(None, reqs[i], {}, SimpleNamespace(status="200 OK"))
            self.assertEqual(self.in_flight(), 2 - n)
        longest = 1.01 * (time.perf_counter() - start)  # by one clock, and by another
        self.assertEqual((len(self.counted()), self.timed()), (3, 3))
        for one in series(APP, self.namespace + "_http_request_duration_seconds"):
            self.assertLess(one["sum"], longest, one["labels"])

    def test_a_request_that_is_never_ended_is_in_no_others_way(self):
        self.hooks.pre_request(None, SimpleNamespace(method="GET"))
        for method in "GET", "PUT", "GET":
            req = SimpleNamespace(method=method)
            self.hooks.pre_request(None, req)
            self.hooks.post_request(None, req, {}, SimpleNamespace(status="200 OK"))
        self.assertEqual((self.timed(), self.timed(method="PUT"), self.in_flight()), (3, 1, 1))

    def test_what_is_kept_of_one_request_is_of_no_other(self):
        routes = ["", *(f"/{i}" for i in range(30))]  # more than are kept at hand
        kinds = [(method, status, route) for method in ("GET", "PUT")
                 for status in ("200", "404") for route in routes]
        for method, status, route in kinds + kinds[::-1]:
            for line in status + " OK", status + " Fine":
                req = SimpleNamespace(method="".join(method))
                self.hooks.pre_request(None, req)
                self.hooks.post_request(None, req, {"smx.route": route} if route else {},
                                        SimpleNamespace(status=line))
        self.assertEqual(self.counted(), {kind: 4 for kind in kinds})

    def test_requests_leave_nothing_behind(self):
        def serve(n):
            for i in range(n):
                req = SimpleNamespace(method="GET")
                self.hooks.pre_request(None, req)
                try:
                    if i % 2:
                        raise KeyError
                except KeyError:
                    self.hooks.post_request(None, req, {}, None)
                else:
                    self.hooks.post_request(
                        None, req, {}, SimpleNamespace(status=f"{200 + i % 4} OK"))
            gc.collect()
            return sys.getallocatedblocks()

        serve(4000)
        before = serve(4000)
        self.assertLess(serve(8000) - before, 100)


if __name__ == "__main__":
    unittest.main()
