# SPDX-License-Identifier: MIT
"""How a segment is found, named and done without: each in a program of its own."""
import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

from support import BUILD, ROOT, python, total

USE = """
import smx
counter = smx.Counter("used", "", ["a"])
counter.labels("x").inc()
counter.labels("x").inc(2.0, exemplar={"trace_id": "1"})
histogram = smx.Histogram("used_seconds", "")
histogram.observe(0.5)
with histogram.time(), smx.Gauge("used_now", "").track_inprogress():
    smx.Info("used", "").info({"version": "1"})
    smx.Enum("used_state", "", states=["on", "off"]).state("on")
counter.remove("x")
segment = smx.open()
segment.set_role("worker")
segment.heartbeat()
print(segment.path or "nowhere")
"""


class Start(unittest.TestCase):
    def test_an_application_is_named_by_the_environment_or_its_script(self):
        environment = {name: value for name, value in os.environ.items() if name != "SMX_APP"}
        with tempfile.TemporaryDirectory() as folder:
            script = Path(folder, "my server.py")
            script.write_text(USE)

            def run(*arguments):
                return subprocess.run([sys.executable, *arguments], env=environment, cwd=folder,
                                      check=True, capture_output=True, text=True).stdout

            self.assertIn("/my_server.v1.smx", run(script))
            self.assertIn("/my_server.v1.smx", run("-m", "my server"))
            self.assertIn("/python.v1.smx", run("-c", USE))
            package = Path(folder, "package")
            package.mkdir()
            (package / "__main__.py").write_text(USE)
            for way in (["-m", "package"], [package], [package / "__main__.py"]):
                self.assertIn("/package.v1.smx", run(*way))
        self.assertIn("/shop.v1.smx", python(USE, SMX_APP="shop")[0])
        self.assertIn("/shop@2.v1.smx", python(USE, SMX_APP="shop", SMX_INSTANCE="2")[0])

    def test_all_can_be_told(self):
        out, err = python("""
import smx, subprocess, sys
segment = smx.open("told", instance="1", directory=sys.argv[1], role="master", name_prefix="p",
                   constant_labels={"zone": "a"}, max_bytes=8 << 20, slots=4, max_series=3)
counter = smx.Counter("c", "", ["a"])
for i in range(5):
    counter.labels(i).inc()
print(segment.worker, segment.path)
print(subprocess.run([sys.argv[2], segment.path], capture_output=True, text=True).stdout)
""", os.environ["SMX_DIR"], str(BUILD / "bin/smx-dump"), SMX_DIR="/nonexistent")
        self.assertEqual(err, "")
        for part in ("0 ", "told@1.v1.smx", "p_c_total", 'zone="a"', "otel_metric_overflow"):
            self.assertIn(part, out)

    def test_without_a_segment_the_program_runs_and_says_so_once(self):
        out, err = python(USE, SMX_APP="none", SMX_DIR="/proc/nowhere")
        self.assertEqual(out, "nowhere")
        self.assertEqual(err.count("runs without metrics"), 2)  # the second is the program's own
        for setting in ({"SMX_APP": "no/name"}, {"SMX_APP": "x" * 80}, {"SMX_APP": "\udcff"},
                        {"SMX_INSTANCE": "\udcff"}):
            out, err = python(USE.replace("smx.open()", "smx._segment.default()"), **setting)
            self.assertEqual((out, err.count("runs without metrics")), ("nowhere", 1))
            self.assertEqual(err.count("\n"), 0)

    def test_without_libshm_the_program_runs_and_says_what_to_do(self):
        code = USE.replace("smx.open()", "smx._segment.default()")
        out, err = python(code, SMX_APP="none", SMX_LIBRARY="/nonexistent.so")
        self.assertEqual(out, "nowhere")
        self.assertEqual(err.count("\n"), 0)
        self.assertIn("SMX_LIBRARY", err)
        # One that is not ours: it has our name, in another package.
        out, err = python(code, SMX_APP="none", SMX_LIBRARY="libc.so.6")
        self.assertEqual(out, "nowhere")
        self.assertIn("smx_open", err)

    def test_amounts_are_checked_where_there_is_no_segment_too(self):
        python("""
import smx
for wrong in (lambda: smx.Counter("a", "").inc(-1), lambda: smx.Counter("b", "").inc(0.5),
              lambda: smx.Counter("c", "", ["x"]).inc(), lambda: smx.Gauge("d", "", ["x"]).set(1),
              lambda: smx.Histogram("e", "").observe(float("nan"))):
    try:
        wrong()
    except ValueError:
        continue
    raise SystemExit("not refused")
""", SMX_LIBRARY="/nonexistent.so")

    def test_a_segment_that_is_opened_after_the_first_metric_is_warned_about(self):
        out, err = python("import smx; smx.Counter('a', ''); smx.open('late')", SMX_APP="early")
        self.assertIn("'early'", err)
        self.assertIn("before the first metric", err)

    def test_metrics_may_be_written_while_the_interpreter_ends(self):
        code = """
import atexit, smx, threading
counter = smx.Counter("ending", "")
class Last:
    def __del__(self, counter=counter):
        counter.inc()
last = Last()
atexit.register(counter.inc)
"""
        self.assertEqual(python(code, SMX_APP="ending"), ("", ""))
        self.assertEqual(total("ending", "ending_total"), 2)
        code += """
def on():
    while True:
        counter.inc()
threading.Thread(target=on, daemon=True).start()
"""
        self.assertEqual(python(code, SMX_APP="ending"), ("", ""))

    def test_totals_can_be_kept_from_one_life_to_the_next(self):
        for keep, expected in ((True, 1), (True, 2), (False, 1)):
            python(f"import smx; smx.open('kept', keep_totals={keep}); smx.Counter('a', '').inc()")
            self.assertEqual(total("kept", "a_total"), expected)

    def test_the_soname_is_that_of_the_library(self):
        from smx import _lib
        self.assertEqual((BUILD / "lib/libshm.so.1").resolve().parent, BUILD.resolve() / "lib")
        dynamic = subprocess.run(["readelf", "-d", BUILD / "lib/libshm.so.1"], check=True,
                                 capture_output=True, text=True).stdout
        self.assertIn(f"soname: [{_lib.SONAME}]", dynamic)

    def test_the_structs_have_the_sizes_of_the_headers(self):
        from ctypes import sizeof

        from smx import _lib
        names = {"smx_options": _lib.Options, "smx_diag": _lib.Diag, "smx_metric": _lib.Metric,
                 "smx_family": _lib.Family, "smx_counter": _lib.CounterHandle,
                 "smx_histogram": _lib.HistogramHandle, "smx_fgauge": _lib.GaugeHandle,
                 "smx_stateset": _lib.GaugeHandle}
        program = "#include <smx/smx.h>\n#include <stdio.h>\nint main(void) {\n" + "".join(
            f'printf("%zu\\n", sizeof(struct {name}));' for name in names) + "}\n"
        with tempfile.TemporaryDirectory() as folder:
            subprocess.run(["cc", "-x", "c", "-", "-o", f"{folder}/sizes",
                            f"-I{ROOT}/include"], input=program, text=True, check=True)
            sizes = subprocess.run([f"{folder}/sizes"], capture_output=True, text=True).stdout
        self.assertEqual([int(size) for size in sizes.split()],
                         [sizeof(kind) for kind in names.values()])
