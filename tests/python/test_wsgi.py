# SPDX-License-Identifier: MIT
"""The middleware of WSGI, without a server: wsgiref's validator in its place."""
import contextlib
import gc
import io
import sys
import weakref
from pathlib import Path
from wsgiref.util import FileWrapper, setup_testing_defaults
from wsgiref.validate import validator

import smx
import smx.wsgi
from measured import Requests  # which opens the segment


class Wsgi(Requests):
    def begin(self, application, method="GET", route=None, valid=True, **environ):
        """Call an application as a server does; gives the body, and the list of statuses."""
        self.written, self.statuses = [], []
        environ.update(REQUEST_METHOD=method, QUERY_STRING="")
        if route:
            environ["smx.route"] = route
        setup_testing_defaults(environ)
        measured = smx.wsgi.Middleware(validator(application) if valid else application,
                                       self.namespace)

        def start_response(status, headers, exc_info=None):
            self.statuses.append(status)
            return self.written.append

        return (validator(measured) if valid else measured)(environ, start_response)

    def answer(self, *arguments, **named):
        body = self.begin(*arguments, **named)
        try:
            return b"".join(body)
        finally:
            if hasattr(body, "close"):
                body.close()

    def test_an_answer_is_counted_and_timed(self):
        def application(environ, start_response):
            self.assertEqual(self.in_flight(), 1)
            start_response("201 Created", [("Content-Type", "text/plain")])
            return [b"a", b"b"]

        for _ in range(3):
            self.assertEqual(self.answer(application, route="/orders/{id}"), b"ab")
        self.assertEqual(self.counted(), {("GET", "201", "/orders/{id}"): 3})
        self.assertEqual((self.timed(method="GET", route="/orders/{id}"), self.in_flight()), (3, 0))

    def test_a_list_is_counted_before_the_server_has_it_and_stays_a_list(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return [b"a"]

        self.assertEqual(self.begin(application, valid=False), [b"a"])
        self.assertEqual((self.counted(), self.timed()), ({("GET", "200", ""): 1}, 1))

    def test_a_streamed_answer_is_counted_before_its_first_byte_and_timed_to_its_end(self):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b""
            yield b"a"
            yield b"b"

        body = iter(answer := self.begin(application, valid=False))
        self.assertEqual((next(body), self.counted()), (b"", {}))
        self.assertEqual((next(body), self.counted()), (b"a", {("GET", "200", ""): 1}))
        self.assertEqual((next(body), self.timed(), self.in_flight()), (b"b", 0, 1))
        answer.close()
        self.assertEqual((self.counted(), self.timed(), self.in_flight()),
                         ({("GET", "200", ""): 1}, 1, 0))

    def test_an_answer_without_a_body_is_counted(self):
        def application(environ, start_response):
            start_response("204 No Content", [])
            return iter(())

        self.assertEqual(self.answer(application), b"")
        self.assertEqual((self.counted(), self.timed()), ({("GET", "204", ""): 1}, 1))

    def test_the_status_that_replaces_another_is_counted(self):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            try:
                raise KeyError
            except KeyError:
                start_response("503 Busy", [("Content-Type", "text/plain")], sys.exc_info())
            return [b"busy"]

        self.answer(application)
        self.assertEqual(self.counted(), {("GET", "503", ""): 1})

    def test_exc_info_may_be_given_by_name(self):
        def application(environ, start_response):
            start_response("503 Busy", headers=[], exc_info=None)
            return []

        self.answer(application, valid=False)
        self.assertEqual(self.counted(), {("GET", "503", ""): 1})

    def test_what_the_servers_start_response_raises_is_the_applications(self):
        def application(environ, start_response):
            with self.assertRaises(KeyError):
                start_response("200 OK", [])
            return []

        def start_response(status, headers):
            raise KeyError

        measured = smx.wsgi.Middleware(application, self.namespace)
        self.assertEqual(measured({"REQUEST_METHOD": "GET"}, start_response), [])
        self.assertEqual((self.counted(), self.in_flight()), ({("GET", "200", ""): 1}, 0))

    def test_exceptions_are_counted_as_a_500_if_nothing_was_answered(self):
        def application(environ, start_response):
            raise KeyError("x")

        self.assertRaises(KeyError, self.begin, application, route="/x")
        self.assertEqual(self.counted(), {("GET", "500", "/x"): 1})
        self.assertEqual(self.failed(), {("GET", "/x", "KeyError"): 1})
        self.assertEqual((self.timed(), self.in_flight()), (1, 0))

    def test_exceptions_in_the_midst_of_an_answer_are_counted(self):
        def application(environ, start_response):
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"a"
            raise ValueError

        with self.assertRaises(ValueError):
            self.answer(application)
        self.assertEqual(self.counted(), {("GET", "200", ""): 1})
        self.assertEqual(self.failed(), {("GET", "", "ValueError"): 1})
        self.assertEqual((self.timed(), self.in_flight()), (1, 0))

    def test_labels_do_not_grow_with_what_clients_send(self):
        def application(environ, start_response):
            start_response(environ["PATH_INFO"][1:] + " Odd", [])
            return []

        for i in range(20):
            self.answer(application, method=f"M{i}", valid=False, PATH_INFO=f"/{600 + i}")
        self.assertEqual(self.counted(), {("other", "other", ""): 20})

    def test_requests_are_told_apart_by_each_of_their_labels(self):
        def application(environ, start_response):
            start_response(environ["smx.status"] + " Said", [])
            return []

        measured = smx.wsgi.Middleware(application, self.namespace)
        kinds = [(method, status, route) for method in ("GET", "POST")
                 for status in ("200", "404") for route in ("/a", "/b")]
        for kind in kinds + kinds[::-1] + kinds[::3]:
            for _ in range(2):
                measured(dict(zip(("REQUEST_METHOD", "smx.status", "smx.route"), kind)),
                         lambda status, headers: None)
        self.assertEqual(self.counted(),
                         {kind: 6 if i % 3 == 0 else 4 for i, kind in enumerate(kinds)})

    def test_no_request_fails_for_the_text_of_its_route(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        for route in ("/a\0b", "/\udc80", "/" + "x" * 70000):
            self.answer(application, valid=False, route=route)
        self.assertEqual({labels[2][:4] for labels in self.counted()}, {"/a?b", "/?", "/xxx"})
        self.assertEqual(self.timed(), 3)

    def test_no_request_fails_for_a_route_that_is_no_text(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        self.answer(application, valid=False, route=Path("/orders"))
        self.assertEqual(self.counted(), {("GET", "200", "/orders"): 1})
        self.assertEqual((self.timed(), self.in_flight()), (1, 0))

    def test_no_request_fails_for_a_route_that_cannot_be_looked_up(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        for _ in range(2):
            self.answer(application, valid=False, route=["a"])
        self.assertEqual((self.counted(), self.timed()), ({("GET", "200", "['a']"): 2}, 2))

    def test_no_request_fails_for_who_should_tell_its_route(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        measured = smx.wsgi.Middleware(application, self.namespace,
                                       route=lambda environ: environ["no.such"])
        with self.assertLogs("smx", "WARNING") as said:
            for _ in range(3):
                measured({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
        self.assertEqual(len(said.output), 1)
        self.assertIn("no.such", said.output[0])
        self.assertEqual((self.counted(), self.timed(), self.in_flight()),
                         ({("GET", "200", ""): 3}, 3, 0))

    def test_what_is_written_by_the_old_way_is_counted_before(self):
        def application(environ, start_response):
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            self.assertEqual(self.counted(), {})
            write(b"a")
            self.assertEqual(self.counted(), {("GET", "200", ""): 1})
            return iter([b"b"])

        self.answer(application)
        self.assertEqual((self.written, self.counted()), ([b"a"], {("GET", "200", ""): 1}))

    def test_a_file_stays_the_servers_own(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return environ["wsgi.file_wrapper"](io.BytesIO(b"file"))

        named = {"wsgi.file_wrapper": FileWrapper}
        self.assertIs(type(self.begin(application, valid=False, **named)), FileWrapper)
        self.assertEqual((self.counted(), self.timed()), ({("GET", "200", ""): 1}, 1))
        self.assertEqual(self.answer(application, valid=False,
                                     **{"wsgi.file_wrapper": lambda f: [f.read()]}), b"file")

    def test_the_body_is_closed_once_also_if_that_fails(self):
        closed = []

        class Body:
            def __iter__(self):
                return iter([b"a"])

            def close(self):
                closed.append(1)
                raise OSError

        def application(environ, start_response):
            start_response("200 OK", [])
            return Body()

        body = self.begin(application, valid=False)
        self.assertRaises(OSError, body.close)
        self.assertEqual((closed, self.timed(), self.in_flight()), ([1], 1, 0))

    def test_it_is_called_by_who_passes_on_what_it_was_given(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        def passing(*given, **named):
            return measured(*given, **named)

        measured = smx.wsgi.Middleware(application, self.namespace)
        passing({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
        self.assertEqual((self.counted(), self.timed()), ({("GET", "200", ""): 1}, 1))
        for given, named in (({},), {}), (({"REQUEST_METHOD": "GET"},), {"start_response": 1}):
            self.assertRaises(TypeError, passing, *given, **named)

    def test_a_request_within_another_has_its_own(self):
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/":
                for i in range(2):
                    measured({"REQUEST_METHOD": "PUT", "PATH_INFO": "/within"}, server)
            within.append(self.in_flight())
            start_response("200 OK" if environ["PATH_INFO"] == "/" else "404 None", [])
            return []

        def server(status, headers):
            return None

        within = []
        measured = smx.wsgi.Middleware(application, self.namespace)
        for _ in range(2):
            measured({"REQUEST_METHOD": "GET", "PATH_INFO": "/"}, server)
        self.assertEqual(within, [2, 2, 1] * 2)
        self.assertEqual(self.counted(), {("GET", "200", ""): 2, ("PUT", "404", ""): 4})
        self.assertEqual((self.timed(), self.in_flight()), (6, 0))

    def test_what_an_application_keeps_of_a_request_is_that_requests_for_ever(self):
        def application(environ, start_response):
            kept.append(start_response)
            if len(kept) == 2:
                kept[0]("500 Late", [])
            kept_write.append(start_response("200 OK", []))
            if len(kept) == 2:
                kept_write[0](b"late")
            return []

        def server(number):
            def start_response(status, headers):
                told.append((number, status))
                return lambda data: told.append((number, data))
            return start_response

        kept, kept_write, told = [], [], []
        measured = smx.wsgi.Middleware(application, self.namespace)
        for number in range(3):
            measured({"REQUEST_METHOD": "GET"}, server(number))
        self.assertEqual(told, [(0, "200 OK"), (0, "500 Late"), (1, "200 OK"), (0, b"late"),
                                (2, "200 OK")])
        self.assertEqual((self.counted(), self.in_flight()), ({("GET", "200", ""): 3}, 0))

    def test_what_is_written_while_an_answer_is_made_is_the_servers(self):
        def application(environ, start_response):
            write = start_response("200 OK", [])
            yield b"a"
            write(b"b")

        body = self.begin(application, valid=False)
        self.assertEqual((list(body), self.written), ([b"a"], [b"b"]))
        body.close()
        self.assertEqual((self.timed(), self.in_flight()), (1, 0))

    def test_what_start_response_gives_is_no_body(self):
        class Body:
            def __init__(self, body):
                self.body = body

            def __iter__(self):
                return (part for part in self.body)

            def close(self):
                self.body.close()

        for within in (lambda body: body, Body):
            def application(environ, start_response):
                return within(start_response("200 OK", []))

            body = self.begin(application, valid=False)
            self.assertRaises(TypeError, list, body)
            with contextlib.suppress(TypeError, AttributeError):
                body.close()
        self.assertEqual(self.failed(), {("GET", "", "TypeError"): 2})
        self.assertEqual((self.counted(), self.timed(), self.in_flight()),
                         ({("GET", "500", ""): 2}, 2, 0))

    def test_what_is_told_while_a_request_is_counted_is_taken(self):
        class Environ(dict):
            told = 0

            def get(self, key, default=None):
                if not self.told:
                    self.told = 1
                    self.start_response("".join(["404", " None"]), [])
                    self.others = [write() for _ in range(100)]
                return super().get(key, default)

        def application(environ, start_response):
            environ.start_response = start_response
            start_response("".join(["200", " OK"]), [])(b"a")
            return []

        def write():
            return lambda data: told.append(data)

        told = []
        measured = smx.wsgi.Middleware(application, self.namespace)
        for i in range(20):
            measured(Environ({"REQUEST_METHOD": "GET", "smx.route": f"/{i}"}),
                     lambda status, headers: write())
        self.assertEqual(told, [b"a"] * 20)
        self.assertEqual((sum(self.counted().values()), self.timed()), (20, 20))

    def test_a_request_that_is_told_while_it_is_counted_is_counted_once(self):
        class Environ(dict):
            told = 0

            def get(self, key, default=None):
                if not self.told:
                    self.told = 1
                    self.write(b"b")
                return super().get(key, default)

        def application(environ, start_response):
            environ.write = start_response("200 OK", [])
            environ.write(b"a")
            return []

        measured = smx.wsgi.Middleware(application, self.namespace)
        measured(Environ({"REQUEST_METHOD": "GET"}), lambda status, headers: lambda data: None)
        self.assertEqual((self.counted(), self.timed()), ({("GET", "200", ""): 1}, 1))

    def test_what_no_server_has_called_for_is_no_request(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        measured = smx.wsgi.Middleware(application, self.namespace)
        measured({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
        kind = smx._requests.WsgiRequest
        spare = [one for requests in gc.get_referents(measured)
                 for one in gc.get_referents(requests) if type(one) is kind]
        for one in [kind(), *spare] if smx._cells.extension else []:
            for use in (lambda: one("500 Late", []), lambda: one("500 Late", [], None),
                        lambda: next(one), one.close):
                self.assertRaises(RuntimeError, use)
        measured({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
        self.assertEqual((self.counted(), self.in_flight()), ({("GET", "200", ""): 2}, 0))

    def test_no_request_is_lost_for_an_exceptions_name(self):
        def application(environ, start_response):
            raise type("X" * 70000, (Exception,), {})

        self.assertRaises(Exception, self.begin, application, valid=False)
        self.assertEqual(self.failed(), {("GET", "", "X" * 1000): 1})
        self.assertEqual((self.counted(), self.timed(), self.in_flight()),
                         ({("GET", "500", ""): 1}, 1, 0))

    def test_a_status_is_needed(self):
        def application(environ, start_response):
            for arguments, named in ((), {}), ((), {"headers": []}), (("200 OK",), {}), (
                    ("200 OK", [], None, None), {}):
                with self.assertRaises(TypeError):
                    start_response(*arguments, **named)
            start_response(status="200 OK", headers=[])
            return []

        measured = smx.wsgi.Middleware(application, self.namespace)
        measured({"REQUEST_METHOD": "GET"}, lambda status, headers, exc_info=None: None)
        self.assertEqual(self.counted(), {("GET", "200", ""): 1})
        self.assertRaises(KeyError, measured, {}, None)
        self.assertEqual(self.in_flight(), 0)

    def test_nothing_of_a_request_outlives_it(self):
        class Something:
            pass

        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        def start_response(status, headers, something=None):
            return something.append

        measured = smx.wsgi.Middleware(application, self.namespace)
        for _ in range(2):
            something, server = Something(), Something()
            measured({"REQUEST_METHOD": "GET", "something": something},
                     lambda status, headers, server=server: lambda data: server)
            references = [weakref.ref(something), weakref.ref(server)]
            del something, server
            self.assertEqual([reference() for reference in references], [None, None])

    def test_a_middleware_leaves_nothing_behind(self):
        def application(environ, start_response):
            start_response("200 OK", [])
            return []

        def middlewares():
            gc.collect()
            return sum(isinstance(one, smx._http.Requests) for one in gc.get_objects())

        before = middlewares()
        measured = smx.wsgi.Middleware(application, self.namespace)
        measured({"REQUEST_METHOD": "GET"}, lambda status, headers: None)
        self.assertEqual(middlewares(), before + 1)
        del measured
        self.assertEqual(middlewares(), before)

    def test_requests_leave_nothing_behind(self):
        def application(environ, start_response):
            if environ["PATH_INFO"] == "/fails":
                raise KeyError
            start_response("200 OK", [])(b"a")
            return [] if environ["PATH_INFO"] == "/list" else streamed(start_response)

        def streamed(start_response):  # a ring: the answer is what it was begun by
            yield b"a"

        measured = smx.wsgi.Middleware(application, self.namespace)

        def requests(n):
            for i in range(n):
                path = ("/fails", "/list", "/streamed", "/left")[i % 4]
                try:
                    body = measured({"REQUEST_METHOD": "GET", "PATH_INFO": path},
                                    lambda status, headers: lambda data: None)
                    if path == "/streamed":
                        list(body)
                        body.close()
                except KeyError:
                    pass
            gc.collect()
            return sys.getallocatedblocks()

        requests(4000)
        before = requests(4000)
        self.assertLess(requests(8000) - before, 100)
