# SPDX-License-Identifier: MIT
"""Counter, Gauge, Histogram, Info and Enum, as a user of prometheus_client knows them.

Here is everything but the shortest way of an update: names, labels, checks and refusals, and the
updates themselves where the extension was not built. Nothing is locked, so that threads, signal
handlers and finalizers may all write: two that ask for one series at once get the same one.
"""
from __future__ import annotations

import math
import operator
import re
import time
from ctypes import byref
from typing import Any, Iterable, Mapping, Optional, Sequence, Type, TypeVar, Union

from ._cells import CounterCell, Exemplar, GaugeCell, HistogramCell, Number, _Cell
from ._family import Family, bucket_fields, check, describe, full_name, label_key, mode_of, unit_of
from ._lib import Diag, lib, strings
from ._scopes import Exceptions, InProgress, Timer
from ._segment import default

M = TypeVar("M", bound="_Metric")
_SLOTS = ("_family", "_children", "_handle", "__weakref__")
_NO_HANDLE = bytes(16)
_WHOLE_FROM = 2.0 ** 52  # doubles are whole numbers from here on
_EXEMPLAR_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


def _real(amount: Any) -> float:
    """Like float(), but for strings, which are no numbers."""
    return math.ldexp(amount, 0)


class _Metric:
    """A family, and its only series if it has no labels; or a series of one with labels."""

    # The slots are in the classes: they have another base, with a layout of its own.
    __slots__ = ()
    _family: Family
    _children: Optional[dict[tuple[Any, ...], Any]]
    _handle: Any
    _bind: Any  # the cell's

    def _register(self, family: Family) -> None:
        self._family = family  # type: ignore[misc]
        if family.labelnames:
            self._children = {}  # type: ignore[misc]
            self._handle = None
            self._bind(_NO_HANDLE, 0)
        else:
            self._become(())

    def _become(self, values: Sequence[str]) -> None:
        self._children = None  # type: ignore[misc]
        self._handle = self._family.series(values)
        self._bind(bytes(self._handle), self._family.scale)

    def labels(self: M, *values: Any, **named: Any) -> M:
        """The series with these label values, one for each label, by position or by name."""
        try:
            if not named:
                return self._children[values]  # type: ignore[index]
            if not values and len(named) == len(self._family.labelnames):
                key = tuple([named[label] for label in self._family.labelnames])
                return self._children[key]  # type: ignore[index]
        except (KeyError, TypeError):  # new; or not strings, or there are no labels
            pass
        return self._child(values, named)

    def _child(self: M, values: Sequence[Any], named: dict[str, Any]) -> M:
        family, children = self._family, self._children
        if children is None:
            raise ValueError(f"{family.name} has no labels, or has their values already")
        key = label_key(family.name, family.labelnames, values, named)
        child = children.get(key)
        if child is None:
            child = type(self).__new__(type(self))
            child._family = family
            child._become(key)
            # A bound: libshm's own makes one series of all that are too many.
            if len(children) >= family.max_children:
                children.clear()
            children[key] = child
        return child

    def remove(self, *values: Any) -> None:
        """Hide the series with these label values until labels() asks for it again.

        Then it goes on with its value. Other processes that have asked for it before write to it
        unseen.
        """
        key = label_key(self._family.name, self._family.labelnames, values, {})
        if self._children is not None:
            self._children.pop(key, None)
        self._family.remove(key)

    def _series(self) -> Any:
        """The handle. Raises ValueError if labels are missing."""
        if self._handle is None:
            raise ValueError(f"{self._family.name} is missing label values: "
                             f"{', '.join(self._family.labelnames)}")
        return self._handle

    def _ticks(self, amount: Any) -> int:
        """An amount as ticks, rounded to the nearest; whole numbers are exact.

        Raises ValueError for what has none: see Counter.
        """
        scale = self._family.scale
        try:
            ticks = operator.index(amount) * scale
        except TypeError:
            product = _real(amount) * scale
            if not 0 <= product < math.inf:
                raise ValueError(f"{self._family.name}: {amount} cannot be added") from None
            ticks = int(product + 0.5) if product < _WHOLE_FROM else int(product)
            if scale == 1 and ticks != product:
                raise ValueError(
                    f"{self._family.name} counts whole numbers, and {amount} is none: give it "
                    f"digits=, decimal places to keep, or the unit 'seconds'") from None
        if not 0 <= ticks < 2 ** 64:
            raise ValueError(f"{self._family.name}: {amount} cannot be added")
        return ticks

    def _exemplar(self, labels: Mapping[str, str]) -> Any:
        """An exemplar's labels for C. Raises ValueError for what OpenMetrics does not allow."""
        for name in labels:
            if not _EXEMPLAR_NAME.fullmatch(name):
                raise ValueError(f"{self._family.name}: an exemplar's label {name!r}")
        words = [word for label in labels.items() for word in label]
        if len(words) > 32 or sum(map(len, words)) > 128:
            raise ValueError(f"{self._family.name}: an exemplar has up to 16 labels, of 128 "
                             "characters together")
        return strings(words)

    def __str__(self) -> str:
        return self._family.name

    def __repr__(self) -> str:
        return f"<smx.{type(self).__name__} {self._family.name}>"


class Counter(_Metric, CounterCell):
    """A count of events, or a running total. It only goes up, and outlives its processes.

    unit: "seconds", "bytes"; the name then ends with it. `_total` is appended to every name.
    digits: decimal places that are kept, 0 to 9; default 9 for seconds, else 0.

    Values are integers in ticks of 10^-digits, so that totals are exact. inc() takes integers as
    they are; a float is rounded to the nearest tick. ValueError is raised for a negative amount,
    NaN and infinity, for one that is not 0 and less than half a tick, and, where digits is 0, for
    one that is not whole.
    """

    __slots__ = _SLOTS

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (),
                 namespace: str = "", subsystem: str = "", unit: str = "", *,
                 digits: Optional[int] = None, max_series: int = 0) -> None:
        name = full_name("counter", name, namespace, subsystem, unit)
        self._register(Family("counter", name, documentation, labelnames, unit_of(name, unit),
                              digits, max_series))

    def _inc(self, amount: Number = 1, exemplar: Exemplar = None) -> None:
        handle = self._series()
        ticks = self._ticks(amount)
        if not ticks and amount:
            raise ValueError(f"{self._family.name}: {amount} is less than half of its tick, "
                             f"1/{self._family.scale}")
        if exemplar:
            lib.smx_counter_add_exemplar(handle, ticks, self._exemplar(exemplar))
        else:
            lib.smx_counter_add_fn(handle, ticks)

    def count_exceptions(self, exception: Union[Type[BaseException],
                                                tuple[Type[BaseException], ...]] = Exception
                         ) -> Exceptions:
        """Count the exceptions that a block, or a function, ends with."""
        return Exceptions(self, exception)

    def get(self) -> Union[int, float]:
        """The total over all processes; for tests."""
        ticks = lib.smx_counter_value(self._series())
        return ticks if self._family.scale == 1 else ticks / self._family.scale


class Gauge(_Metric, GaugeCell):
    """A value that goes up and down: a float of each process, which goes when the process ends.

    multiprocess_mode: how they become one. livesum (default), livemin, livemax, liveavg; liveall,
    one series a process, labelled `worker`; mostrecent, one value for all that outlives its writer.
    """

    __slots__ = _SLOTS

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (),
                 namespace: str = "", subsystem: str = "", unit: str = "", *,
                 multiprocess_mode: str = "livesum", max_series: int = 0) -> None:
        name = full_name("gauge", name, namespace, subsystem, unit)
        self._register(Family("fgauge", name, documentation, labelnames, unit,
                              max_series=max_series, mode=mode_of(name, multiprocess_mode)))

    def _add(self, amount: Number = 1) -> None:
        lib.smx_fgauge_add_fn(self._series(), _real(amount))

    def _sub(self, amount: Number = 1) -> None:
        self._add(-_real(amount))

    def _set(self, value: Number) -> None:
        lib.smx_fgauge_set_fn(self._series(), _real(value))

    def set_to_current_time(self) -> None:
        """Set to the seconds since the Epoch."""
        self.set(time.time())

    def _took_ns(self, ns: int) -> None:
        self.set(ns / 1e9)

    def time(self) -> Timer:
        """Set to the seconds that a block, or a function, takes."""
        return Timer(self)

    def track_inprogress(self) -> InProgress:
        """Count a block, or a function, while it is being executed."""
        return InProgress(self)

    def get(self) -> float:
        """The value of this process alone; for tests."""
        return lib.smx_fgauge_value(self._series())


class Histogram(_Metric, HistogramCell):
    """How values are distributed: their number, their sum, and buckets. Outlives its processes.

    unit: "seconds", "bytes"; the name then ends with it.
    buckets: upper bounds, up to 64. Default: exponential buckets, which are those of Prometheus'
    native histograms, 2^schema (schema is 3: 8) for each doubling from min to max; for seconds from
    1e-6 to 128, else from 10^-digits to 2^32.
    digits: decimal places of the sum; default 9 for seconds, 6 where bounds are no whole numbers,
    else 0. observe() raises ValueError for a negative value, NaN and infinity, and, where digits is
    0, for one that is not whole.
    """

    __slots__ = _SLOTS
    # prometheus_client's, for who names them.
    DEFAULT_BUCKETS = (.005, .01, .025, .05, .075, .1, .25, .5, .75, 1.0, 2.5, 5.0, 7.5, 10.0,
                       math.inf)

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (),
                 namespace: str = "", subsystem: str = "", unit: str = "", *,
                 buckets: Optional[Sequence[float]] = None, schema: Optional[int] = None,
                 min: Optional[float] = None, max: Optional[float] = None,
                 digits: Optional[int] = None, max_series: int = 0) -> None:
        name = full_name("histogram", name, namespace, subsystem, unit)
        unit = unit_of(name, unit)
        if digits is None and unit != "seconds":
            limits = [*(buckets or ()), min or 1, max or 1]
            whole = all(math.isinf(limit) or limit % 1 == 0 for limit in limits)
            digits = 0 if whole else 6
        if digits and unit != "seconds" and buckets is None:
            min = min or 10.0 ** -digits
        self._register(Family("histogram", name, documentation, labelnames, unit, digits,
                              max_series, **bucket_fields(name, buckets, schema, min, max)))

    def _observe(self, amount: Number, exemplar: Exemplar = None) -> None:
        handle = self._series()
        self._record(handle, self._ticks(amount), exemplar)

    def _record(self, handle: Any, ticks: int, exemplar: Exemplar) -> None:
        if exemplar:
            lib.smx_histogram_record_exemplar(handle, ticks, self._exemplar(exemplar))
        else:
            lib.smx_histogram_record_fn(handle, ticks)

    def _took(self, ns: int) -> None:
        self._record(self._series(), ns * self._family.scale // 10 ** 9, None)

    def time(self) -> Timer:
        """Record the seconds that a block, or a function, takes."""
        if self._family.scale == 1:
            raise ValueError(f"{self._family.name} cannot tell parts of a second: give it the unit "
                             "'seconds'")
        return Timer(self)

    def get(self) -> tuple[int, Union[int, float]]:
        """The number and the sum over all processes; for tests."""
        total = lib.smx_histogram_sum(self._series())
        scale = self._family.scale
        return (lib.smx_histogram_count(self._series()),
                total if scale == 1 else total / scale)


class Info:
    """What does not change: a version, a build. It is there while a process that says it lives.

    multiprocess_mode: livemax (default), liveall, mostrecent; see Gauge.
    """

    __slots__ = ("_description", "_mode", "_labelnames", "_labelvalues", "_children", "_said")

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (),
                 namespace: str = "", subsystem: str = "", *,
                 multiprocess_mode: str = "livemax") -> None:
        name = full_name("info", name, namespace, subsystem, "")
        self._mode = mode_of(name, multiprocess_mode, ("livemax", "liveall", "mostrecent"))
        self._description = (name, documentation)
        self._labelnames = tuple(labelnames)
        self._labelvalues: tuple[str, ...] = ()
        self._children: dict[tuple[str, ...], Info] = {}
        self._said: Optional[tuple[Any, Any]] = None

    def labels(self, *values: Any, **named: Any) -> Info:
        """An info with these label values besides its own; the same one for the same values."""
        name, documentation = self._description
        key = label_key(name, self._labelnames, values, named)
        if key in self._children:
            return self._children[key]
        child = Info(name, documentation)
        child._labelvalues = key
        child._labelnames = self._labelnames
        child._mode = self._mode
        return self._children.setdefault(key, child)

    def info(self, val: Mapping[str, Any]) -> None:
        """Say it, in the place of what this object has said before."""
        name, documentation = self._description
        if len(self._labelvalues) != len(self._labelnames):
            raise ValueError(f"{name} is missing label values: {', '.join(self._labelnames)}")
        if set(self._labelnames) & val.keys():
            raise ValueError(f"{name}: a label is in both, the info and its labels")
        metric = describe(name, documentation, (*self._labelnames, *val), mode=self._mode)
        values = strings((*self._labelvalues, *val.values()))
        diag = Diag()
        family = lib.smx_info(default()._at, byref(metric), values, byref(diag))
        check(name, family, diag)
        if self._said and bytes(self._said[0]) == bytes(family) and \
                list(self._said[1]) != list(values):
            lib.smx_series_remove(*self._said)
        self._said = (family, values)


class Enum(_Metric, _Cell):
    """Which of several states something is in, as a living process has said.

    multiprocess_mode: livemax (default), a state is on if one process is in it; liveall, a series
    for each process; mostrecent, what was said last. Before the first state() there is none.
    """

    __slots__ = _SLOTS

    def __init__(self, name: str, documentation: str, labelnames: Iterable[str] = (),
                 namespace: str = "", subsystem: str = "", *, states: Sequence[str],
                 multiprocess_mode: str = "livemax", max_series: int = 0) -> None:
        name = full_name("enum", name, namespace, subsystem, "")
        mode = mode_of(name, multiprocess_mode, ("livemax", "liveall", "mostrecent"))
        family = Family("stateset", name, documentation, labelnames, max_series=max_series,
                        mode=mode, states=strings(states))
        family.states = tuple(states)
        self._register(family)

    def state(self, state: str) -> None:
        """Be in this state, and in no other."""
        handle, states = self._series(), self._family.states
        if state not in states:
            raise ValueError(f"{self._family.name}: {state!r} is none of {', '.join(states)}")
        lib.smx_stateset_enter_fn(handle, states.index(state))

    def get(self) -> Optional[str]:
        """The state of this process alone; for tests."""
        bits = lib.smx_stateset_value(self._series())
        return self._family.states[bits.bit_length() - 1] if bits else None
