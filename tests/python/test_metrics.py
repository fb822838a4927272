# SPDX-License-Identifier: MIT
"""The metrics of the Python package, read back through smx-dump."""
import enum
import os
import signal
import threading
import unittest
from decimal import Decimal

import smx
from support import SCALE, Agent, dump, in_children, series, total

APP = smx.open("unit").app


class Counters(unittest.TestCase):
    def test_a_counter_counts_and_its_name_ends_in_total(self):
        counter = smx.Counter("plain", "What it is.")
        counter.inc()
        counter.inc(4)
        counter.inc(amount=2)
        self.assertEqual(counter.get(), 7)
        self.assertEqual(total(APP, "plain_total"), 7)
        self.assertEqual(dump(APP)["plain_total"]["help"], "What it is.")

    def test_names_are_put_together_as_prometheus_client_does(self):
        smx.Counter("work_total", "", namespace="shop", subsystem="db", unit="seconds")
        self.assertIn("shop_db_work_seconds_total", dump(APP))

    def test_labels_by_position_and_by_name_are_one_series(self):
        counter = smx.Counter("labelled", "", ["method", "status"])
        counter.labels("GET", 200).inc()
        counter.labels("GET", "200").inc()
        counter.labels(status=200, method="GET").inc()
        counter.labels(status="200", method="GET").inc()
        self.assertIs(counter.labels("GET", "200"), counter.labels(status="200", method="GET"))
        self.assertEqual(total(APP, "labelled_total", method="GET", status="200"), 4)
        self.assertEqual(len(series(APP, "labelled_total")), 1)

    def test_values_that_are_equal_but_read_differently_are_different_labels(self):
        counter = smx.Counter("readings", "", ["value"])
        for value in (1, True, 1.0):
            counter.labels(value).inc()
        self.assertEqual({one["labels"]["value"] for one in series(APP, "readings_total")},
                         {"1", "True", "1.0"})

    def test_a_string_enumeration_is_labelled_by_its_value(self):
        class Colour(str, enum.Enum):
            RED = "red"

        counter = smx.Counter("coloured", "", ["colour"])
        counter.labels(Colour.RED).inc()
        counter.labels("red").inc()
        counter.labels(Colour.RED).inc()
        self.assertEqual(total(APP, "coloured_total", colour="red"), 3)

    def test_wrong_labels_are_refused(self):
        counter = smx.Counter("refusing", "", ["method", "status"])
        for values, named in ((("GET",), {}), ((), {"method": "GET"}), (("GET", "200", "x"), {}),
                              (("GET",), {"status": "200"}), ((), {"method": "GET", "state": "1"}),
                              ((), {}), (("GET", "a\0b"), {}), (("GET", "\udc80"), {}),
                              (("GET", "x" * 65536), {})):
            with self.assertRaises(ValueError, msg=(values, named)):
                counter.labels(*values, **named)
        for wrong in (counter.inc, lambda: counter.inc(2), counter.get,
                      lambda: smx.Counter("none", "").labels("x"),
                      lambda: counter.labels("GET", "200").labels("GET", "200"),
                      lambda: smx.Counter("string", "", "method"),
                      lambda: smx.Counter("many", "", [f"l{i}" for i in range(17)])):
            self.assertRaises(ValueError, wrong)

    def test_a_name_that_is_none_is_refused(self):
        for name, labels in (("", []), ("a", ["__b"]), ("b", ["otel_metric_overflow"])):
            self.assertRaises(ValueError, smx.Counter, name, "", labels)

    def test_amounts_that_cannot_be_are_refused_and_leave_nothing(self):
        whole = smx.Counter("whole", "")
        tenths = smx.Counter("tenths", "", digits=1)
        for amount in (-1, -0.5, 0.5, 1.5, float("nan"), float("inf"), 2 ** 64, 1e30, -2 ** 70,
                       Decimal("0.5")):
            self.assertRaises(ValueError, whole.inc, amount)
        for amount in (-0.1, 0.04, 1e-300, float("nan"), float("inf"), 2 ** 61, 2.0 ** 62):
            self.assertRaises(ValueError, tenths.inc, amount)
        for amount in ("1", None, b"1", [1]):
            self.assertRaises(TypeError, whole.inc, amount)
        self.assertEqual((whole.get(), tenths.get()), (0, 0))

    def test_amounts_are_exact(self):
        whole = smx.Counter("exactly", "")
        for amount in (2.0, True, 2 ** 53 + 1, Decimal(3), 0, 0.0):
            whole.inc(amount)
        self.assertEqual(whole.get(), 2 ** 53 + 7)
        cents = smx.Counter("cents", "", digits=2)
        for amount in (1.1, 0.01, 0.07, 0.29, 3, Decimal("0.29")):
            cents.inc(amount)
        self.assertEqual(cents.get(), 4.76)
        self.assertEqual(series(APP, "cents_total")[0]["ticks"], "476")

    def test_seconds_are_told_by_the_name_and_kept_in_nanoseconds(self):
        seconds = smx.Counter("busy_seconds", "")
        for _ in range(10):
            seconds.inc(0.1)
        seconds.inc(1)
        self.assertEqual(series(APP, "busy_seconds_total")[0]["ticks"], "2000000000")

    def test_an_exemplar_is_kept(self):
        counter = smx.Counter("exemplary", "")
        counter.inc(3, exemplar={"trace_id": "abc"})
        counter.inc(exemplar=None)
        with Agent() as agent:
            self.assertRegex(agent.metrics(), r'exemplary_total\{.*\} 4 # \{trace_id="abc"\} 3 ')
        self.assertEqual(counter.get(), 4)
        for labels in ({"trace_id": "x" * 121}, {"0": "x"}, {f"l{i}": "" for i in range(17)}):
            self.assertRaises(ValueError, counter.inc, 1, exemplar=labels)
        self.assertEqual(counter.get(), 4)

    def test_a_removed_series_is_hidden_and_comes_back_with_its_value(self):
        counter = smx.Counter("removed", "", ["a"])
        counter.labels("x").inc(5)
        counter.remove("x")
        self.assertEqual(series(APP, "removed_total"), [])
        counter.labels("x").inc()
        self.assertEqual(total(APP, "removed_total", a="x"), 6)

    def test_labels_without_bound_stay_within_one_in_the_process_and_in_the_segment(self):
        counter = smx.Counter("unbounded", "", ["a"], max_series=10)
        for i in range(100):
            counter.labels(f"{i}").inc()
            self.assertLessEqual(len(counter._children), 10)
        self.assertLessEqual(len(series(APP, "unbounded_total")), 11)
        self.assertEqual(total(APP, "unbounded_total"), 100)

    def test_the_same_description_twice_is_the_same_counter_and_another_goes_nowhere(self):
        smx.Counter("twice", "").inc()
        smx.Counter("twice", "").inc()
        self.assertEqual(total(APP, "twice_total"), 2)
        with self.assertLogs("smx", "WARNING") as log:
            other = smx.Counter("twice", "", ["a"])
        self.assertIn("twice_total", log.output[0])
        other.labels("x").inc()
        self.assertEqual(total(APP, "twice_total"), 2)


class Gauges(unittest.TestCase):
    def test_a_gauge_is_set_and_moved(self):
        gauge = smx.Gauge("depth", "")
        gauge.set(2.5)
        gauge.inc()
        gauge.inc(0.25)
        gauge.dec()
        gauge.dec(amount=0.5)
        self.assertEqual(gauge.get(), 2.25)
        self.assertEqual(total(APP, "depth"), 2.25)
        self.assertRaises(TypeError, gauge.set, "1")
        self.assertRaises(TypeError, gauge.inc, None)
        self.assertRaises(TypeError, gauge.set)
        gauge.set_to_current_time()
        self.assertGreater(gauge.get(), 1.6e9)
        parent = smx.Gauge("depths", "", ["a"])
        for wrong in (parent.inc, parent.dec, lambda: parent.set(1)):
            self.assertRaises(ValueError, wrong)

    def test_each_mode_combines_the_living(self):
        modes = {"livesum": 6 + 10, "livemin": 1, "livemax": 10, "liveavg": 4, "mostrecent": 10}
        gauges = {mode: smx.Gauge(f"mode_{mode}", "", multiprocess_mode=mode) for mode in modes}
        each = smx.Gauge("mode_liveall", "", multiprocess_mode="liveall")
        written, go_r = os.pipe(), os.pipe()
        pids = []
        for number in (1, 2, 3):
            pid = os.fork()
            if pid == 0:
                for gauge in (*gauges.values(), each):
                    gauge.set(number)
                os.write(written[1], b".")
                os.read(go_r[0], 1)
                os._exit(0)
            pids.append(pid)
        for _ in pids:
            os.read(written[0], 1)
        for gauge in gauges.values():
            gauge.set(10)
        families = dump(APP)
        self.assertEqual({mode: families[f"mode_{mode}"]["series"][0]["value"] for mode in modes},
                         modes)
        each_of = families["mode_liveall"]["series"][0]["each"]
        self.assertEqual(sorted(one["value"] for one in each_of), [1, 2, 3])
        # What a killed process said is gone, in each mode but the last.
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        families = dump(APP)
        self.assertEqual({families[f"mode_{mode}"]["series"][0]["value"] for mode in modes}, {10})
        self.assertFalse(families["mode_liveall"]["series"][0].get("each"))
        for end in (*written, *go_r):
            os.close(end)

    def test_one_value_for_all_is_moved_by_each_and_nothing_is_lost(self):
        gauge = smx.Gauge("shared", "", multiprocess_mode="mostrecent")
        gauge.set(0)
        pids = []
        for _ in range(4):
            pid = os.fork()
            if pid == 0:
                for _ in range(50000):
                    gauge.inc(2)
                    gauge.dec()
                os._exit(0)
            pids.append(pid)
        for pid in pids:
            self.assertEqual(os.waitpid(pid, 0)[1], 0)
        self.assertEqual(gauge.get(), 4 * 50000)

    def test_modes_of_dead_processes_are_refused_by_naming_the_other(self):
        for mode, other in {"all": "liveall", "sum": "livesum", "min": "livemin",
                            "max": "livemax", "livemostrecent": "mostrecent",
                            "median": "livesum"}.items():
            with self.assertRaisesRegex(ValueError, f"\\b{other}\\b"):
                smx.Gauge("dead", "", multiprocess_mode=mode)
        self.assertRaises(ValueError, smx.Enum, "dead", "", states=["a"], multiprocess_mode="sum")


class Histograms(unittest.TestCase):
    def test_exponential_buckets_are_the_default(self):
        histogram = smx.Histogram("latency_seconds", "")
        for value in (0.001, 0.5, 1, Decimal("0.25")):
            histogram.observe(value)
        self.assertEqual(histogram.get(), (4, 1.751))
        family = dump(APP)["latency_seconds"]
        self.assertEqual((family["unit"], family["digits"]), ("seconds", 9))
        self.assertGreater(len(family["bounds"]), 200)

    def test_buckets_can_be_given(self):
        histogram = smx.Histogram("given", "", ["a"], buckets=(0.1, 1, 10, float("inf")))
        for value in (0.05, 0.1, 0.7, 10, 11):
            histogram.labels("x").observe(value)
        family = dump(APP)["given"]
        self.assertEqual(family["bounds"], [0.1, 1, 10])
        self.assertEqual(family["series"][0]["buckets"], [2, 1, 1, 1])
        self.assertEqual(histogram.labels("x").get(), (5, 21.85))

    def test_schema_and_range_can_be_given(self):
        smx.Histogram("ranged", "", schema=0, min=1, max=1024)
        self.assertEqual(dump(APP)["ranged"]["bounds"], [2.0 ** i for i in range(-1, 11)])
        for wrong in ({"schema": 0, "buckets": [1]}, {"buckets": []}, {"buckets": [2, 1]},
                      {"schema": 99}, {"digits": 10}, {"digits": -1}):
            self.assertRaises(ValueError, smx.Histogram, "wrong", "", **wrong)
        with self.assertRaisesRegex(ValueError, "bound 0 is nan"):
            smx.Histogram("nan", "", buckets=[float("nan")])

    def test_parts_of_a_unit_have_buckets_of_their_own(self):
        ratio = smx.Histogram("ratio", "", digits=3)
        ratio.observe(0.013)
        ratio.observe(0.027)
        family = dump(APP)["ratio"]
        self.assertLessEqual(family["bounds"][0], 0.001)
        self.assertEqual(sorted(family["series"][0]["buckets"])[-3:], [0, 1, 1])
        smx.Histogram("known", "", buckets=smx.Histogram.DEFAULT_BUCKETS).observe(0.013)
        self.assertEqual(dump(APP)["known"]["digits"], 6)

    def test_values_that_cannot_be_are_refused(self):
        histogram = smx.Histogram("entries", "")
        for value in (-1, 0.5, float("nan"), float("inf"), 2 ** 64):
            self.assertRaises(ValueError, histogram.observe, value)
        self.assertRaises(TypeError, histogram.observe)
        self.assertRaises(TypeError, histogram.observe, "1")
        self.assertRaises(ValueError, histogram.time)
        self.assertRaises(ValueError, smx.Histogram("parent", "", ["a"]).observe, 1)
        self.assertEqual(histogram.get(), (0, 0))
        histogram.observe(2 ** 63)
        self.assertEqual(histogram.get(), (1, 2 ** 63))

    def test_an_exemplar_is_kept(self):
        histogram = smx.Histogram("exemplary_seconds", "")
        histogram.observe(0.25, exemplar={"trace_id": "abc"})
        with Agent() as agent:
            self.assertRegex(agent.metrics(),
                             r'exemplary_seconds_bucket\{.*\} 1 # \{trace_id="abc"\} 0.25 ')


class InfosAndEnums(unittest.TestCase):
    def test_an_info_says_one_thing_at_a_time(self):
        info = smx.Info("build", "")
        info.info({"version": "1"})
        info.info({"version": "2"})
        info.info({"version": "2"})
        self.assertEqual([one["labels"] for one in series(APP, "build_info")], [{"version": "2"}])

    def test_an_info_can_have_labels(self):
        info = smx.Info("part", "", ["name"])
        info.labels("engine").info({"version": "1"})
        info.labels(name="gears").info({"version": "2"})
        self.assertEqual(len(series(APP, "part_info", name="gears", version="2")), 1)
        self.assertEqual(len(series(APP, "part_info")), 2)
        self.assertRaises(ValueError, info.info, {"version": "3"})
        self.assertRaises(ValueError, info.labels("x").info, {"name": "3"})

    def test_a_labelled_info_says_one_thing_at_a_time_too(self):
        info = smx.Info("wheel", "", ["side"])
        info.labels("left").info({"version": "1"})
        info.labels("right").info({"version": "1"})
        info.labels(side="left").info({"version": "2"})
        self.assertEqual(sorted(tuple(one["labels"].values()) for one in
                                series(APP, "wheel_info")), [("left", "2"), ("right", "1")])

    def test_an_enum_is_in_one_state(self):
        state = smx.Enum("phase", "", ["part"], states=["starting", "running"])
        self.assertIsNone(state.labels("x").get())
        state.labels("x").state("starting")
        state.labels("x").state("running")
        self.assertEqual(state.labels("x").get(), "running")
        self.assertEqual(dump(APP)["phase"]["series"][0]["value"],
                         {"starting": False, "running": True})
        self.assertRaises(ValueError, state.labels("x").state, "gone")
        self.assertRaises(ValueError, state.state, "running")


class Processes(unittest.TestCase):
    def test_threads_lose_nothing(self):
        counter = smx.Counter("threads", "", ["i"])
        histogram = smx.Histogram("threads_seconds", "")
        n = 5000 * SCALE

        def work():
            for i in range(n):
                counter.labels(str(i % 50)).inc()
                histogram.observe(0.5)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(total(APP, "threads_total"), 8 * n)
        self.assertEqual(histogram.get(), (8 * n, 8 * n / 2))

    def test_children_lose_nothing_and_may_ask_for_series_of_their_own(self):
        counter = smx.Counter("children", "", ["i"])
        before = counter.labels("before")
        n = 2000 * SCALE

        def work(i):
            for _ in range(n):
                before.inc()
                counter.labels(f"child {i % 3}").inc()

        in_children(8, work)
        self.assertEqual(total(APP, "children_total", i="before"), 8 * n)
        self.assertEqual(total(APP, "children_total"), 16 * n)
        self.assertEqual(len(series(APP, "children_total")), 4)

    def test_signal_handlers_may_write_what_they_interrupt(self):
        counter = smx.Counter("signals", "", ["i"])
        handled = 0

        def handler(*_):
            nonlocal handled
            counter.labels(str(handled % 7)).inc()
            handled += 1

        n = 200 * SCALE
        before = signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, 1e-4, 1e-4)
        own = 0
        while handled < n:
            counter.labels(str(own % 7)).inc()
            own += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        self.assertEqual(total(APP, "signals_total"), own + handled)


if __name__ == "__main__":
    unittest.main()
