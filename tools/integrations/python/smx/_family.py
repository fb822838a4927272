# SPDX-License-Identifier: MIT
"""A metric's name and description, as libshm has it registered; gives its series."""
from __future__ import annotations

import errno
from ctypes import byref, c_double
from typing import Any, Iterable, Optional, Sequence

from ._lib import LABELS_MAX, SCHEMA_0, STRING_MAX, WHOLE, Diag, Metric, lib, strings, text
from ._segment import default, log

# prometheus_client's names of how the values of processes become one; enum smx_mode.
MODES = {"livesum": 0, "livemin": 1, "livemax": 2, "liveavg": 3, "mostrecent": 4, "liveall": 5}
_OTHERS = {"sum": "livesum", "min": "livemin", "max": "livemax", "all": "liveall",
           "livemostrecent": "mostrecent"}


def mode_of(name: str, mode: str, possible: Iterable[str] = MODES) -> int:
    """The number of a mode. Raises ValueError for one that there is not."""
    if mode in possible:
        return MODES[mode]
    if mode in _OTHERS and _OTHERS[mode] in possible:
        why = ("the value that was written last stays when its process ends"
               if mode == "livemostrecent" else "a gauge's value goes with its process")
        raise ValueError(f"{name}: there is no multiprocess_mode {mode!r}, for {why}: "
                         f"use {_OTHERS[mode]!r}")
    raise ValueError(f"{name}: multiprocess_mode is {mode!r}, possible are {', '.join(possible)}")


def full_name(kind: str, name: str, namespace: str, subsystem: str, unit: str) -> str:
    """A name with all its parts, as prometheus_client makes it."""
    if not name:
        raise ValueError("a metric without a name")
    name = "_".join(part for part in (namespace, subsystem, name) if part)
    if kind == "counter":
        name = name.removesuffix("_total")
    if unit and not name.endswith("_" + unit):
        name += "_" + unit
    return name + "_total" if kind == "counter" else name


def unit_of(name: str, unit: str) -> str:
    """The unit of a counter or a histogram: a name tells of seconds even if nobody says so."""
    seconds = name.removesuffix("_total").endswith("_seconds")
    return unit or ("seconds" if seconds else "")


def label_key(name: str, labelnames: Sequence[str], values: Sequence[Any],
              named: dict[str, Any]) -> tuple[str, ...]:
    """Label values in the order of the names. Raises ValueError if they are not all there."""
    if not labelnames:
        raise ValueError(f"{name} has no labels")
    if values and named:
        raise ValueError(f"{name}: labels are either positional or by keyword")
    if named:
        if named.keys() != set(labelnames):
            raise ValueError(f"{name}: labels are {', '.join(labelnames)}, "
                             f"not {', '.join(named)}")
        values = [named[label] for label in labelnames]
    if len(values) != len(labelnames):
        raise ValueError(f"{name}: {len(labelnames)} label values are wanted, not {len(values)}")
    encoded = [text(value) for value in values]
    if any(len(value) > STRING_MAX for value in encoded):
        raise ValueError(f"{name}: a label value is longer than {STRING_MAX} bytes")
    return tuple(value.decode() for value in encoded)


def describe(name: str, documentation: str, labelnames: Sequence[str] = (),
             **fields: Any) -> Metric:
    """A struct smx_metric."""
    if len(labelnames) > LABELS_MAX:
        raise ValueError(f"{name}: at most {LABELS_MAX} labels are possible")
    metric = Metric(name=text(name), help=text(documentation), **fields)
    for i, label in enumerate(labelnames):
        metric.labels[i] = text(label)
    return metric


def refused(name: str, there: Any, diag: Diag) -> None:
    """Raise ValueError for what breaks a rule; say in the log what else is in its way."""
    if there or diag.code in (0, -errno.ENOENT):  # there is no segment: said before
        return
    if diag.code == -errno.EINVAL:
        raise ValueError(diag.text)
    log.warning("%s goes nowhere: %s", name, diag.text)


def check(name: str, family: Any, diag: Diag) -> None:
    """The same of a family that was registered."""
    refused(name, family.record, diag)


class Family:
    """A registered metric."""

    __slots__ = ("name", "labelnames", "scale", "max_children", "states", "_handle", "_with")

    def __init__(self, kind: str, name: str, documentation: str, labelnames: Iterable[str],
                 unit: str = "", digits: Optional[int] = 0, max_series: int = 0,
                 **fields: Any) -> None:
        if isinstance(labelnames, str):
            raise ValueError(f"{name}: labelnames is a string, not a list of them")
        self.name = name
        self.labelnames = tuple(labelnames)
        self.states: tuple[str, ...] = ()
        if digits is None:
            digits = 9 if unit == "seconds" else 0
        if not 0 <= digits <= 9:
            raise ValueError(f"{name}: digits is {digits}, 0 to 9 are possible")
        self.scale = 10 ** digits
        self.max_children = max_series or 2000
        metric = describe(name, documentation, self.labelnames, unit=text(unit) or None,
                          digits=digits or WHOLE, max_series=max_series, **fields)
        segment, diag = default(), Diag()
        self._with = getattr(lib, f"smx_{kind}_with")
        self._handle = getattr(lib, f"smx_{kind}_family")(segment._at, byref(metric), byref(diag))
        check(name, self._handle, diag)

    def series(self, values: Sequence[str]) -> Any:
        """The handle of the series with these label values; made if need be."""
        return self._with(self._handle, strings(values))

    def remove(self, values: Sequence[str]) -> None:
        """Hide a series from readers until somebody asks for it again."""
        lib.smx_series_remove(self._handle, strings(values))


def bucket_fields(name: str, bounds: Optional[Sequence[float]], schema: Optional[int],
            low: Optional[float], high: Optional[float]) -> dict[str, Any]:
    """The fields of a struct smx_metric that say what a histogram's buckets are."""
    if bounds is None:
        return {"schema": SCHEMA_0 if schema == 0 else schema or 0, "min": low or 0.0,
                "max": high or 0.0}
    if schema is not None or low is not None or high is not None:
        raise ValueError(f"{name}: buckets are either given, or by schema, min and max")
    numbers = [float(bound) for bound in bounds]
    if not numbers:
        raise ValueError(f"{name}: no buckets")
    return {"bounds": (c_double * len(numbers))(*numbers), "n_bounds": len(numbers)}
