# SPDX-License-Identifier: MIT
"""What is called a million times: the updates, by the extension (fast.c) where it was built.

The extension's cells keep a copy of a series' handle and its scale, the ticks of one unit (0: no
series, for labels are missing). They do what is common and leave the rest, and every refusal, to
the method whose name begins with an underscore, which is written once, in _metrics.py.
"""
from __future__ import annotations

import os
from typing import TYPE_CHECKING, Mapping, Optional, Union

from . import _lib  # noqa: F401 - the extension's functions are there once this is loaded

Number = Union[int, float]
Exemplar = Optional[Mapping[str, str]]


class _Cell:
    __slots__ = ()

    def _bind(self, handle: bytes, scale: int) -> None:
        """Take a series. Nothing to do here: the methods of _metrics.py know it."""


class CounterCell(_Cell):
    __slots__ = ()

    def inc(self, amount: Number = 1, exemplar: Exemplar = None) -> None:
        """Add an amount, in the counter's unit; see Counter for which can be."""
        self._inc(amount, exemplar)

    if TYPE_CHECKING:
        def _inc(self, amount: Number, exemplar: Exemplar) -> None: ...


class HistogramCell(_Cell):
    __slots__ = ()

    def observe(self, amount: Number, exemplar: Exemplar = None) -> None:
        """Record a value, in the histogram's unit; see Histogram for which can be."""
        self._observe(amount, exemplar)

    def _took_ns(self, ns: int) -> None:
        self._took(ns)

    if TYPE_CHECKING:
        def _took(self, ns: int) -> None: ...
        def _observe(self, amount: Number, exemplar: Exemplar) -> None: ...


class GaugeCell(_Cell):
    __slots__ = ()

    def inc(self, amount: Number = 1) -> None:
        """Add to this process' value."""
        self._add(amount)

    def dec(self, amount: Number = 1) -> None:
        """Subtract from this process' value."""
        self._sub(amount)

    def set(self, value: Number) -> None:
        """Set this process' value."""
        self._set(value)

    if TYPE_CHECKING:
        def _add(self, amount: Number) -> None: ...
        def _sub(self, amount: Number) -> None: ...
        def _set(self, value: Number) -> None: ...


extension = False
if not TYPE_CHECKING and not os.environ.get("SMX_NO_EXTENSION"):
    try:
        from ._fast import CounterCell, GaugeCell, HistogramCell  # noqa: F811
        extension = True
    except ImportError:  # not built, or no libshm
        pass
