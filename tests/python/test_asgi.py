# SPDX-License-Identifier: MIT
"""The middleware of ASGI, without a server: a few lines in its place."""
import asyncio
import enum
import functools
import gc
import inspect
import sys
import weakref

import smx
import smx.asgi
from measured import Requests  # which opens the segment


class Asgi(Requests):
    def run_one(self, application, method="GET", kind="http", **scope):
        """Gives the messages that were sent."""
        sent = []

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request"}

        measured = smx.asgi.Middleware(application, self.namespace)
        asyncio.run(measured({"type": kind, "method": method, **scope}, receive, send))
        return sent

    @staticmethod
    async def start(send, status=200):
        await send({"type": "http.response.start", "status": status, "headers": []})

    def test_an_answer_is_counted_first_and_timed_to_its_last_part(self):
        async def application(scope, receive, send):
            self.assertEqual((self.counted(), self.in_flight()), ({}, 1))
            await self.start(send, 202)
            self.assertEqual(self.counted(), {("POST", "202", "/x"): 1})
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
            self.assertEqual((self.timed(), self.in_flight()), (0, 1))
            await send({"type": "http.response.body", "body": b"b"})
            self.assertEqual((self.timed(), self.in_flight()), (1, 0))
            # What it does now is its own business.

        sent = self.run_one(application, "POST", **{"smx.route": "/x"})
        self.assertEqual(len(sent), 3)
        self.assertEqual((self.counted(), self.timed()), ({("POST", "202", "/x"): 1}, 1))

    def test_the_servers_send_may_give_any_awaitable(self):
        waited = []

        class Sending:
            def __await__(self):
                waited.append(self_.timed())
                yield from asyncio.sleep(0).__await__()

        self_ = self

        async def application(scope, receive, send):
            await self.start(send)
            await send({"type": "http.response.body"})

        measured = smx.asgi.Middleware(application, self.namespace)
        asyncio.run(measured({"type": "http", "method": "GET"}, None, lambda message: Sending()))
        self.assertEqual((waited, self.timed(), self.in_flight()), ([0, 0], 1, 0))

    def test_what_the_servers_send_raises_is_the_applications(self):
        async def send(message):
            raise OSError

        async def application(scope, receive, send):
            await self.start(send)

        measured = smx.asgi.Middleware(application, self.namespace)
        self.assertRaises(OSError, asyncio.run,
                          measured({"type": "http", "method": "GET"}, None, send))
        self.assertEqual((self.counted(), self.failed(), self.timed(), self.in_flight()),
                         ({("GET", "200", ""): 1}, {("GET", "", "OSError"): 1}, 1, 0))

    def test_servers_see_that_it_is_asgi_3(self):
        async def application(scope, receive, send):
            pass

        measured = smx.asgi.Middleware(application, self.namespace)
        self.assertTrue(inspect.iscoroutinefunction(measured.__call__))
        self.assertTrue(asyncio.iscoroutinefunction(measured.__call__))
        self.assertFalse(hasattr(measured, "__await__"))
        asyncio.run(measured.__call__({"type": "http", "method": "GET"}, None, None))
        self.assertEqual((self.timed(), self.in_flight()), (1, 0))

    def test_all_of_it_may_be_a_task_that_is_cancelled(self):
        async def send(message):
            if message.get("body") == b"slow":
                await asyncio.sleep(3600)

        async def application(scope, receive, send):
            await asyncio.create_task(self.start(send))
            try:
                await asyncio.wait_for(
                    send({"type": "http.response.body", "body": b"slow"}), 0.001)
            except asyncio.TimeoutError:
                self.assertEqual((self.timed(), self.in_flight()), (0, 1))
                await asyncio.create_task(send({"type": "http.response.body"}))
                self.assertEqual((self.timed(), self.in_flight()), (1, 0))
            await asyncio.sleep(3600)

        async def main():
            measured = smx.asgi.Middleware(application, self.namespace)
            task = asyncio.create_task(measured({"type": "http", "method": "GET"}, None, send))
            while not self.timed():
                await asyncio.sleep(0.001)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        asyncio.run(main())
        self.assertEqual((self.counted(), self.failed(), self.timed(), self.in_flight()),
                         ({("GET", "200", ""): 1}, {}, 1, 0))

    def test_what_it_waits_for_may_be_a_plain_iterator(self):
        class Plain:
            def __await__(self):
                return iter([None] * 3)

        def begin():
            return measured({"type": "http", "method": "GET"}, None, None)

        async def main():
            task = asyncio.create_task(begin())
            await asyncio.sleep(0)
            task.cancel()
            with self.assertRaises(asyncio.CancelledError):
                await task

        measured = smx.asgi.Middleware(lambda scope, receive, send: Plain(), self.namespace)
        asyncio.run(main())
        coroutine = begin()
        coroutine.send(None)
        coroutine.close()
        for error in (KeyError("x"), KeyError):
            coroutine = begin()
            coroutine.send(None)
            self.assertRaises(KeyError, coroutine.throw, error)
        self.assertEqual(self.failed(), {("GET", "", "KeyError"): 2})
        self.assertEqual((self.timed(), self.in_flight()), (4, 0))

    def test_an_exception_that_is_thrown_into_it_comes_to_the_application(self):
        async def application(scope, receive, send):
            try:
                await asyncio.sleep(3600)
            except KeyError:
                await self.start(send)

        async def send(message):
            pass

        async def main():
            coroutine = smx.asgi.Middleware(application, self.namespace)(
                {"type": "http", "method": "GET"}, None, send)
            coroutine.send(None)
            self.assertRaises(StopIteration, coroutine.throw, KeyError())
            self.assertRaises((RuntimeError, AttributeError), coroutine.send, None)

        asyncio.run(main())
        self.assertEqual((self.counted(), self.failed(), self.timed(), self.in_flight()),
                         ({("GET", "200", ""): 1}, {}, 1, 0))

    def test_what_is_closed_or_given_up_is_not_in_flight(self):
        async def application(scope, receive, send):
            await asyncio.sleep(3600)

        async def main():
            measured = smx.asgi.Middleware(application, self.namespace)
            for _ in range(2):
                coroutine = measured({"type": "http", "method": "GET"}, None, None)
                coroutine.send(None)
                self.assertEqual(self.in_flight(), 1)
                if self.timed():
                    del coroutine
                else:
                    coroutine.close()
                self.assertEqual(self.in_flight(), 0)

        asyncio.run(main())
        self.assertEqual((self.counted(), self.failed(), self.timed()), ({}, {}, 2))

    def test_it_is_called_by_who_passes_on_what_it_was_given(self):
        async def application(scope, receive, send):
            def sending(*given, **named):
                return send(*given, **named)

            await self.start(sending)
            await sending({"type": "http.response.body"})
            for given, named in ((), {}), ((), {"body": b""}), (({}, {}), {}):
                with self.assertRaises(TypeError):
                    await sending(*given, **named)

        async def send(message):
            pass

        async def passing(*given, **named):
            await measured(*given, **named)

        measured = smx.asgi.Middleware(application, self.namespace)
        asyncio.run(passing({"type": "http", "method": "GET"}, None, send))
        self.assertEqual((self.counted(), self.failed(), self.timed()),
                         ({("GET", "200", ""): 1}, {}, 1))
        self.assertRaises(TypeError, asyncio.run, passing({}, None))

    def test_it_is_called_by_names_as_daphne_does(self):
        async def application(scope, receive, send):
            passed.append(scope["type"])
            await send(message={"type": "http.response.start", "status": 200, "headers": []})
            await functools.partial(send, message={"type": "http.response.body"})()

        async def send(message):
            pass

        passed = []
        measured = smx.asgi.Middleware(application, self.namespace)
        for kind in ("http", "websocket"):
            asyncio.run(measured(scope={"type": kind, "method": "GET"}, receive=None, send=send))
        asyncio.run(measured({"type": "http", "method": "GET"}, send=send, receive=None))
        self.assertEqual((passed, self.counted(), self.timed(), self.in_flight()),
                         (["http", "websocket", "http"], {("GET", "200", ""): 2}, 2, 0))
        for named in ({}, {"sending": send}, {"send": send, "scope": {}}):
            with self.assertRaises(TypeError):
                asyncio.run(measured({"type": "http", "method": "GET"}, None, **named))

    def test_it_cannot_be_given_a_turn_while_it_has_one(self):
        async def application(scope, receive, send):
            for turn in (coroutine[0].close, lambda: coroutine[0].send(None),
                         lambda: coroutine[0].throw(KeyError())):
                with self.assertRaisesRegex(ValueError, "already executing"):
                    turn()
            self.assertEqual(self.in_flight(), 1)
            await self.start(send)
            await send({"type": "http.response.body"})

        async def send(message):
            pass

        measured = smx.asgi.Middleware(application, self.namespace)
        for _ in range(2):
            coroutine = [measured({"type": "http", "method": "GET"}, None, send)]
            self.assertRaises(StopIteration, coroutine[0].send, None)
            self.assertRaises(RuntimeError, coroutine[0].send, None)
            self.assertRaises(RuntimeError, coroutine[0].throw, KeyError())
            self.assertIsNone(coroutine[0].close())
        self.assertEqual((self.counted(), self.failed(), self.timed(), self.in_flight()),
                         ({("GET", "200", ""): 2}, {}, 2, 0))

    def test_requests_at_the_same_time_and_what_is_kept_of_them_do_not_meet(self):
        async def application(scope, receive, send):
            kept.append(send)
            await self.start(send, 200 + scope["number"])
            await asyncio.sleep(0)
            if scope["number"] % 2:
                await kept[0]({"type": "http.response.body", "body": scope["number"]})
            await send({"type": "http.response.body", "body": b"own"})

        def server(number):
            async def send(message):
                await asyncio.sleep(0)
                told.append((number, message.get("status", message.get("body"))))
            return send

        async def main():
            measured = smx.asgi.Middleware(application, self.namespace)
            tasks = []
            for first in range(0, 8, 4):
                tasks += [asyncio.create_task(measured(
                    {"type": "http", "method": "GET", "number": number}, None, server(number)))
                    for number in range(first, first + 4)]
                await asyncio.gather(*tasks)

        kept, told = [], []
        asyncio.run(main())
        self.assertEqual(sorted(told, key=repr), sorted([
            *((number, 200 + number) for number in range(8)),
            *((number, b"own") for number in range(8)), *((0, odd) for odd in (1, 3, 5, 7)),
        ], key=repr))
        self.assertEqual(self.counted(), {("GET", str(200 + number), ""): 1 for number in range(8)})
        self.assertEqual((self.timed(), self.in_flight()), (8, 0))

    def test_nothing_of_a_request_outlives_it(self):
        class Something:
            pass

        async def application(scope, receive, send):
            await self.start(send)
            await send({"type": "http.response.body"})

        async def one(measured):
            something, server = Something(), Something()

            async def send(message, server=server):
                pass

            references = [weakref.ref(something), weakref.ref(server)]
            await measured({"type": "http", "method": "GET", "something": something}, None, send)
            return references

        async def main():
            measured = smx.asgi.Middleware(application, self.namespace)
            for _ in range(2):
                self.assertEqual([reference() for reference in await one(measured)], [None, None])

        asyncio.run(main())

    def test_the_type_of_a_message_is_told_by_its_letters(self):
        class Text(str):
            pass

        async def application(scope, receive, send):
            for text in str, Text, lambda text: "".join(list(text)):
                await send({"type": text("http.response.early"), "status": 103})
                await send({"type": text("http.response.start"), "status": 200})
            for text in str, Text, lambda text: "".join(list(text)):
                await send({"type": text("http.response.body"), "more_body": True})
            self.assertEqual(self.in_flight(), 1)
            await send({"type": "".join(["http.response.", "body"])})
            self.assertEqual(self.in_flight(), 0)

        for kind in "http", "".join(["ht", "tp"]):
            self.assertEqual(len(self.run_one(application, kind=kind)), 10)
        self.assertEqual((self.counted(), self.timed()), ({("GET", "200", ""): 2}, 2))

    def test_what_is_no_coroutine_cannot_be_served(self):
        self.assertRaises(TypeError, self.run_one, lambda scope, receive, send: None)
        self.assertEqual((self.counted(), self.timed(), self.in_flight()),
                         ({("GET", "500", ""): 1}, 1, 0))

    def test_requests_leave_nothing_behind(self):
        async def application(scope, receive, send):
            if scope["path"] == "/fails":
                raise KeyError
            await self.start(send)
            if scope["path"] == "/waits":
                await asyncio.sleep(0)
            scope["ring"] = send
            await send({"type": "http.response.body"})

        async def send(message):
            pass

        measured = smx.asgi.Middleware(application, self.namespace)

        async def requests(n):
            for i in range(n):
                scope = {"type": "http", "method": "GET", "path": ("/fails", "/waits", "/")[i % 3]}
                try:
                    await measured(scope, None, send)
                except KeyError:
                    pass
            gc.collect()
            return sys.getallocatedblocks()

        asyncio.run(requests(3000))
        before = asyncio.run(requests(3000))
        self.assertLess(asyncio.run(requests(6000)) - before, 200)

    def test_a_message_that_is_none_is_the_applications_error(self):
        async def application(scope, receive, send):
            await send({"type": "http.response.start"})

        self.assertRaises(KeyError, self.run_one, application)
        self.assertEqual((self.counted(), self.in_flight()), ({("GET", "500", ""): 1}, 0))

    def test_a_status_may_be_of_an_enumeration(self):
        class Status(int, enum.Enum):  # as http.HTTPStatus is in Python 3.10
            CREATED = 201

        async def application(scope, receive, send):
            await self.start(send, Status.CREATED)

        self.run_one(application)
        self.assertEqual(self.counted(), {("GET", "201", ""): 1})

    def test_the_route_is_that_of_the_framework(self):
        class Route:
            path = "/orders/{id}"

        async def application(scope, receive, send):
            scope["route"] = Route
            await self.start(send)
            await send({"type": "http.response.body"})

        self.run_one(application)
        self.assertEqual(self.counted(), {("GET", "200", "/orders/{id}"): 1})

    def test_exceptions_are_counted(self):
        async def early(scope, receive, send):
            raise KeyError

        async def late(scope, receive, send):
            await self.start(send)
            raise ValueError

        self.assertRaises(KeyError, self.run_one, early)
        self.assertRaises(ValueError, self.run_one, late, "BREW")
        self.assertEqual(self.counted(), {("GET", "500", ""): 1, ("other", "200", ""): 1})
        self.assertEqual(self.failed(),
                         {("GET", "", "KeyError"): 1, ("other", "", "ValueError"): 1})
        self.assertEqual((self.timed(), self.in_flight()), (2, 0))

    def test_a_cancellation_is_no_exception_of_the_application(self):
        async def application(scope, receive, send):
            raise asyncio.CancelledError

        self.assertRaises(asyncio.CancelledError, self.run_one, application)
        self.assertEqual((self.counted(), self.failed(), self.timed(), self.in_flight()),
                         ({}, {}, 1, 0))

    def test_other_scopes_pass(self):
        passed = []

        async def application(scope, receive, send):
            passed.append(scope["type"])

        self.run_one(application, kind="lifespan")
        self.run_one(application, kind="websocket")
        self.assertEqual((passed, self.counted()), (["lifespan", "websocket"], {}))
