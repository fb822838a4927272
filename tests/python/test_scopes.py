# SPDX-License-Identifier: MIT
"""Blocks and functions that are timed, tracked, and whose exceptions are counted."""
import asyncio
import inspect
import unittest

import smx
from smx import _scopes

smx.open("unit")
TOOK = smx.Histogram("took_seconds", "")
ACTIVE = smx.Gauge("active", "")
FAILED = smx.Counter("failed", "")


class Scopes(unittest.TestCase):
    def setUp(self):
        self.count, self.sum = TOOK.get()
        self.failed = FAILED.get()

    def timed(self):
        count, total = TOOK.get()
        return count - self.count, total - self.sum

    def test_blocks_are_measured(self):
        with TOOK.time(), ACTIVE.track_inprogress(), FAILED.count_exceptions():
            self.assertEqual(ACTIVE.get(), 1)
        self.assertEqual((ACTIVE.get(), self.timed()[0], FAILED.get() - self.failed), (0, 1, 0))
        with self.assertRaises(KeyError), TOOK.time(), ACTIVE.track_inprogress(), \
                FAILED.count_exceptions():
            raise KeyError
        self.assertEqual((ACTIVE.get(), self.timed()[0], FAILED.get() - self.failed), (0, 2, 1))

    def test_functions_are_measured_and_stay_what_they_are(self):
        @TOOK.time()
        @ACTIVE.track_inprogress()
        @FAILED.count_exceptions()
        def function(value, *, fail=False):
            """Its text."""
            self.assertEqual(ACTIVE.get(), 1)
            if fail:
                raise ValueError
            return value

        self.assertEqual((function(3), function.__name__, function.__doc__),
                         (3, "function", "Its text."))
        self.assertRaises(ValueError, function, 3, fail=True)
        self.assertEqual((ACTIVE.get(), self.timed()[0], FAILED.get() - self.failed), (0, 2, 1))

    def test_only_the_named_exceptions_are_counted(self):
        for kinds in (KeyError, (KeyError, IndexError)):
            with self.assertRaises(ValueError), FAILED.count_exceptions(kinds):
                raise ValueError
            with self.assertRaises(KeyError), FAILED.count_exceptions(kinds):
                raise KeyError
        self.assertEqual(FAILED.get() - self.failed, 2)

    def test_a_coroutine_function_is_measured_until_it_is_done(self):
        async def main():
            begun, go_on = asyncio.Event(), asyncio.Event()

            @TOOK.time()
            @ACTIVE.track_inprogress()
            @FAILED.count_exceptions()
            async def function():
                begun.set()
                await go_on.wait()
                raise ValueError

            self.assertTrue(inspect.iscoroutinefunction(function))
            tasks = [asyncio.create_task(function()) for _ in range(3)]
            await begun.wait()
            self.assertEqual((ACTIVE.get(), self.timed()[0]), (3, 0))
            go_on.set()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run(main())
        self.assertEqual((ACTIVE.get(), self.timed()[0], FAILED.get() - self.failed), (0, 3, 3))

    def test_a_cancelled_coroutine_is_timed_and_active_no_more(self):
        async def main():
            @TOOK.time()
            @ACTIVE.track_inprogress()
            async def function():
                await asyncio.Event().wait()

            task = asyncio.create_task(function())
            await asyncio.sleep(0)
            self.assertEqual(ACTIVE.get(), 1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        asyncio.run(main())
        self.assertEqual((ACTIVE.get(), self.timed()[0]), (0, 1))

    def test_an_object_whose_call_is_a_coroutine_is_measured_until_it_is_done(self):
        class Handler:
            async def __call__(self):
                await asyncio.sleep(0)
                return ACTIVE.get()

        self.assertEqual(asyncio.run(ACTIVE.track_inprogress()(Handler())()), 1)

    def test_asynchronous_blocks_are_measured(self):
        async def main():
            async with TOOK.time(), ACTIVE.track_inprogress(), FAILED.count_exceptions():
                self.assertEqual(ACTIVE.get(), 1)
                raise ValueError

        self.assertRaises(ValueError, asyncio.run, main())
        self.assertEqual((ACTIVE.get(), self.timed()[0], FAILED.get() - self.failed), (0, 1, 1))

    def test_a_generator_function_is_measured_until_its_generator_is_done(self):
        @TOOK.time()
        def generate():
            yield ACTIVE.get()
            return "end"

        generator = generate()
        next(generator)
        self.assertEqual(self.timed()[0], 0)
        with self.assertRaises(StopIteration) as end:
            next(generator)
        self.assertEqual((end.exception.value, self.timed()[0]), ("end", 1))

    def test_an_asynchronous_generator_is_refused(self):
        async def generate():
            yield 1

        self.assertRaises(TypeError, TOOK.time(), generate)

    def test_what_is_timed_is_the_time_of_each_call(self):
        clock = iter((5_000_000_000, 5_250_000_000, 5_500_000_000, 6_000_000_000, 1, 250_000_001))
        rough = smx.Histogram("rough", "", digits=3)

        @TOOK.time()
        def depth(n):
            return n and 1 + depth(n - 1)

        before, _scopes.perf_counter_ns = _scopes.perf_counter_ns, lambda: next(clock)
        try:
            depth(1)
            with rough.time():
                pass
        finally:
            _scopes.perf_counter_ns = before
        self.assertEqual(self.timed()[0], 2)
        self.assertAlmostEqual(self.timed()[1], 1.25, 12)
        self.assertEqual(rough.get(), (1, 0.25))

    def test_a_gauge_is_set_to_the_time(self):
        last = smx.Gauge("last_seconds", "")
        with last.time():
            pass
        self.assertGreater(last.get(), 0)
        self.assertLess(last.get(), 30)

    def test_labels_may_be_told_in_the_block(self):
        took = smx.Histogram("later_seconds", "", ["status"])
        with took.time() as timer:
            timer.labels("200")
        self.assertEqual(took.labels("200").get()[0], 1)
        with self.assertRaises(ValueError), took.time():
            pass
