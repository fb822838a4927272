# SPDX-License-Identifier: MIT
"""libshm through ctypes: its structs, and the functions that this package calls.

libshm is looked for in $SMX_LIBRARY, beside this file, and where the loader looks. Where there is
none the functions are there all the same and do nothing: `missing` then says why.
"""
from __future__ import annotations

import ctypes
import os
from ctypes import POINTER, Structure, c_bool, c_char_p, c_double, c_int, c_size_t, c_uint, c_uint32
from ctypes import c_uint64, c_void_p
from pathlib import Path
from typing import Any, Optional

SONAME = "libshm.so.1"  # another one has other handles
LABELS_MAX = 16
STRING_MAX = 65535
WHOLE = -1  # SMX_WHOLE
SCHEMA_0 = 100  # SMX_SCHEMA_0
CONTINUE, RESERVE_NOW = 1, 2

Strings = POINTER(c_char_p)


class Options(Structure):
    _fields_ = [
        ("app", c_char_p), ("instance", c_char_p), ("directory", c_char_p), ("role", c_char_p),
        ("name_prefix", c_char_p), ("constant_labels", Strings), ("max_bytes", c_uint64),
        ("slots", c_uint32), ("max_series", c_uint32), ("rows", c_uint32), ("kind", c_uint),
        ("flags", c_uint),
    ]


class Diag(Structure):
    _fields_ = [("code", c_int), ("_text", ctypes.c_char * 252)]

    @property
    def text(self) -> str:
        return self._text.decode(errors="replace")


class Metric(Structure):
    _fields_ = [
        ("name", c_char_p), ("help", c_char_p), ("unit", c_char_p),
        ("labels", c_char_p * LABELS_MAX), ("max_series", c_uint32), ("digits", c_int),
        ("mode", c_uint), ("states", Strings), ("bounds", POINTER(c_double)),
        ("n_bounds", c_size_t), ("schema", c_int), ("min", c_double), ("max", c_double),
    ]


class Family(Structure):
    _fields_ = [("segment", c_void_p), ("record", c_void_p)]


class CounterHandle(Structure):
    _fields_ = [("base", c_void_p), ("rows", c_uint32), ("mask", c_uint32)]


class HistogramHandle(Structure):
    _fields_ = [("base", c_void_p), ("hist", c_void_p)]


class GaugeHandle(Structure):
    """Of struct smx_fgauge, and of struct smx_stateset."""

    _fields_ = [("base", c_void_p), ("proc", c_void_p)]


class CheckOptions(Structure):
    _fields_ = [("name", c_char_p), ("help", c_char_p), ("interval_ms", c_uint32),
                ("critical", c_bool)]


class CheckHandle(Structure):
    _fields_ = [("base", c_void_p), ("proc", c_void_p), ("record", c_void_p)]


_register = (Family, [c_void_p, POINTER(Metric), POINTER(Diag)])
_FUNCTIONS: dict[str, tuple[Any, list[Any]]] = {
    "smx_open": (c_int, [POINTER(Options), POINTER(c_void_p), POINTER(Diag)]),
    "smx_close": (None, [c_void_p]),
    "smx_path": (c_char_p, [c_void_p]),
    "smx_set_role": (None, [c_void_p, c_char_p]),
    "smx_heartbeat": (None, [c_void_p]),
    "smx_worker": (c_int, [c_void_p]),
    "smx_counter_family": _register,
    "smx_fgauge_family": _register,
    "smx_histogram_family": _register,
    "smx_stateset_family": _register,
    "smx_info": (Family, [c_void_p, POINTER(Metric), Strings, POINTER(Diag)]),
    "smx_counter_with": (CounterHandle, [Family, Strings]),
    "smx_fgauge_with": (GaugeHandle, [Family, Strings]),
    "smx_histogram_with": (HistogramHandle, [Family, Strings]),
    "smx_stateset_with": (GaugeHandle, [Family, Strings]),
    "smx_series_remove": (c_int, [Family, Strings]),
    "smx_counter_add_fn": (None, [CounterHandle, c_uint64]),
    "smx_histogram_record_fn": (None, [HistogramHandle, c_uint64]),
    "smx_fgauge_set_fn": (None, [GaugeHandle, c_double]),
    "smx_fgauge_add_fn": (None, [GaugeHandle, c_double]),
    "smx_stateset_enter_fn": (None, [GaugeHandle, c_uint]),
    "smx_counter_add_exemplar": (None, [CounterHandle, c_uint64, Strings]),
    "smx_histogram_record_exemplar": (None, [HistogramHandle, c_uint64, Strings]),
    "smx_counter_value": (c_uint64, [CounterHandle]),
    "smx_histogram_count": (c_uint64, [HistogramHandle]),
    "smx_histogram_sum": (c_uint64, [HistogramHandle]),
    "smx_fgauge_value": (c_double, [GaugeHandle]),
    "smx_stateset_value": (c_uint64, [GaugeHandle]),
    "smx_check_new": (CheckHandle, [c_void_p, POINTER(CheckOptions), POINTER(Diag)]),
    "smx_check_report": (None, [CheckHandle, c_uint, c_char_p]),
    "smx_check_reported": (c_uint, [CheckHandle]),
}


class _Nowhere:
    """In place of a libshm that is not there."""

    def __init__(self) -> None:
        for name, (result, _) in _FUNCTIONS.items():
            setattr(self, name, self._function(result))

    @staticmethod
    def _function(result: Any) -> Any:
        nothing = result() if result else None
        return lambda *_: getattr(nothing, "value", nothing)


def _candidates() -> list[str]:
    beside = Path(__file__).with_name(SONAME)
    named = os.environ.get("SMX_LIBRARY")
    return [named] if named else ([str(beside)] if beside.exists() else []) + [SONAME]


def _load() -> tuple[Any, Optional[str]]:
    reason = None
    for name in _candidates():
        try:
            # Global: the extension has no other way to find it.
            library = ctypes.CDLL(name, mode=ctypes.RTLD_GLOBAL)
            for function, (result, arguments) in _FUNCTIONS.items():
                getattr(library, function).restype = result
                getattr(library, function).argtypes = arguments
            return library, None
        except (OSError, AttributeError) as error:
            reason = reason or str(error)
    return _Nowhere(), reason


lib, missing = _load()


def text(value: Any) -> bytes:
    """A string for C, of what str() makes of the value."""
    # A member of a str enumeration is its value, whatever its str() says.
    encoded = (str.__str__(value) if isinstance(value, str) else str(value)).encode()
    if b"\0" in encoded:
        raise ValueError(f"{value!r} has a NUL character")
    return encoded


def strings(values: Any) -> Any:
    """A NULL-terminated array of strings; None if there are none."""
    encoded = [text(value) for value in values]
    return (c_char_p * (len(encoded) + 1))(*encoded) if encoded else None
