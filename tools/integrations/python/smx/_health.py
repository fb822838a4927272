# SPDX-License-Identifier: MIT
"""The application's own health checks: what each process found, for /health of smx-agent.

A report belongs to the process that made it and holds for the check's interval; the worst of those
that hold counts, and where none does the check is silent, which is as bad as failed.
"""
from __future__ import annotations

from ctypes import byref
from datetime import timedelta
from typing import Any, Union

from ._family import refused
from ._lib import CheckOptions, Diag, lib, text
from ._segment import default

_OK, _DEGRADED, _FAILED = 1, 2, 3
_STATES = ("silent", "ok", "degraded", "failed")
_INTERVAL_MAX = 0xFFFFFFFF  # milliseconds


class Check:
    """Something that the application needs, by name: a database, a queue, space on a disk.

        DATABASE = Check("database", "No order is accepted without it.", interval=30, critical=True)

        try:
            connection.ping()
            DATABASE.ok()
        except OperationalError as error:
            DATABASE.failed(error)

    interval: how long a report holds, seconds or a timedelta; 0: as long as its process lives.
    critical: the application is not ready without it, nor before the first report.
    Interval and criticality are those of who declared the check last.
    """

    __slots__ = ("name", "_handle")

    def __init__(self, name: str, documentation: str = "", *,
                 interval: Union[float, timedelta] = 0, critical: bool = False) -> None:
        seconds = interval.total_seconds() if isinstance(interval, timedelta) else interval
        milliseconds = round(seconds * 1000)
        if not 0 <= milliseconds <= _INTERVAL_MAX or (seconds > 0 and milliseconds == 0):
            raise ValueError(f"check {name}: the interval is {seconds} s, 0 or 0.001 to "
                             f"{_INTERVAL_MAX / 1000:.0f} are possible")
        self.name = name
        diag = Diag()
        options = CheckOptions(name=text(name), help=text(documentation),
                               interval_ms=milliseconds, critical=critical)
        self._handle = lib.smx_check_new(default()._at, byref(options), byref(diag))
        refused(f"check {name}", self._handle.base, diag)

    def ok(self, message: Any = None) -> None:
        """Report that it is there and well."""
        self._report(_OK, message)

    def degraded(self, message: Any = None) -> None:
        """Report that it works, but not as it should. message: one line, of what str() makes."""
        self._report(_DEGRADED, message)

    def failed(self, message: Any = None) -> None:
        """Report that it does not work."""
        self._report(_FAILED, message)

    @property
    def reported(self) -> str:
        """What this process has reported last: "ok", "degraded", "failed"; "silent" if nothing."""
        return _STATES[lib.smx_check_reported(self._handle)]

    def _report(self, state: int, message: Any) -> None:
        # Where the reason for a failure cannot be told, that there is one still can.
        line = None if message is None else str(message).encode(errors="replace")
        lib.smx_check_report(self._handle, state, line and line.replace(b"\0", b"?"))

    def __repr__(self) -> str:
        return f"<smx.Check {self.name!r}: {self.reported}>"
