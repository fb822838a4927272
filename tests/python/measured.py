# SPDX-License-Identifier: MIT
"""What the tests of the middlewares and of gunicorn's hooks share: metrics of requests, read back."""
import unittest
from itertools import count

import smx
from support import series, total

APP = smx.open("unit").app
numbers = count()


class Requests(unittest.TestCase):
    """Each test has metrics of its own."""

    def setUp(self):
        self.namespace = f"{type(self).__name__.lower()}_{next(numbers)}"

    def counted(self):
        return {tuple(one["labels"].values()): one["value"]
                for one in series(APP, self.namespace + "_http_requests_total")}

    def timed(self, **labels):
        return total(APP, self.namespace + "_http_request_duration_seconds", **labels)

    def failed(self):
        return {tuple(one["labels"].values()): one["value"]
                for one in series(APP, self.namespace + "_http_request_exceptions_total")}

    def in_flight(self):
        return total(APP, self.namespace + "_http_in_flight_requests")
