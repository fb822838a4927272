# SPDX-License-Identifier: MIT
"""The checks of the Python package, read back through smx-dump."""
import json
import os
import signal
import subprocess
import unittest
from datetime import timedelta

import smx
from support import BUILD

APP = smx.open("health").app


def checks():
    document = json.loads(subprocess.run([BUILD / "bin/smx-dump", "--json", APP], check=True,
                                         capture_output=True).stdout)
    return {check["name"]: check for check in document["checks"]}


class Checks(unittest.TestCase):
    def test_a_check_is_silent_until_a_report_and_says_why(self):
        check = smx.Check("database", "Orders need it.", interval=30, critical=True)
        seen = checks()["database"]
        self.assertEqual((seen["state"], seen["critical"], seen["interval"], seen["help"]),
                         ("silent", True, 30, "Orders need it."))
        self.assertEqual(check.reported, "silent")
        check.failed(ConnectionRefusedError("no route\nto \udcff host\0"))
        self.assertEqual(checks()["database"]["message"], "no route?to ? host?")
        self.assertEqual((checks()["database"]["state"], check.reported), ("failed", "failed"))
        check.degraded()
        self.assertEqual((checks()["database"]["state"], checks()["database"]["message"]),
                         ("degraded", None))
        check.ok()
        self.assertEqual(checks()["database"]["state"], "ok")
        self.assertEqual(repr(check), "<smx.Check 'database': ok>")

    def test_who_declares_it_last_decides_on_its_terms(self):
        smx.Check("terms", interval=timedelta(minutes=1), critical=True)
        self.assertEqual(checks()["terms"]["interval"], 60)
        smx.Check("terms")
        self.assertEqual((checks()["terms"]["interval"], checks()["terms"]["critical"]),
                         (None, False))

    def test_a_name_or_an_interval_that_breaks_a_rule_is_refused(self):
        for name in ("", "a b", ".a", "x" * 64):
            with self.assertRaisesRegex(ValueError, "names are 1 to 63"):
                smx.Check(name)
        for interval in (-1, 0.0001, 2.0 ** 32, timedelta(days=50)):
            with self.assertRaisesRegex(ValueError, "the interval is"):
                smx.Check("a", interval=interval)

    def test_each_child_reports_for_itself_and_takes_its_report_with_it(self):
        check = smx.Check("children")
        check.ok()

        def fail():
            assert check.reported == "silent"
            check.failed("down")
            seen = checks()["children"]
            assert (seen["state"], seen["message"]) == ("failed", "down"), seen
            os.kill(os.getpid(), signal.SIGKILL)

        for _ in range(3):
            pid = os.fork()
            if pid == 0:
                try:
                    fail()
                finally:
                    os._exit(1)
            self.assertEqual(os.waitpid(pid, 0)[1], signal.SIGKILL)
        self.assertEqual(checks()["children"]["state"], "ok")
        self.assertEqual(len(checks()["children"]["reports"]), 1)


if __name__ == "__main__":
    unittest.main()
