# SPDX-License-Identifier: MIT
"""Metrics of a server with many processes, in one shared segment: the writing side of smx.

    from smx import Counter, Histogram

    ORDERS = Counter("orders", "Orders accepted.", ["payment"])
    LATENCY = Histogram("order_duration_seconds", "From order to answer.")

    @LATENCY.time()
    def order(payment):
        ORDERS.labels(payment).inc()

Make metrics when modules are imported. Every process of the application writes to the same segment;
what was counted stays when a process ends, gauges of the dead go. smx-agent serves it all. A Check
tells it what the application needs and whether it has it.
"""
from ._cells import extension
from ._health import Check
from ._metrics import Counter, Enum, Gauge, Histogram, Info
from ._segment import Segment, open

__all__ = ["Check", "Counter", "Enum", "Gauge", "Histogram", "Info", "Segment", "extension", "open"]
__version__ = "0.1.0"
