# SPDX-License-Identifier: MIT
"""The segment that metrics are written to: opened once, before the first metric or by it.

What cannot be had is said once, in the log `smx`, and keeps nobody from starting: metrics then go
nowhere.
"""
from __future__ import annotations

import errno
import logging
import os
import re
import sys
from ctypes import byref, c_void_p
from pathlib import Path
from typing import Mapping, Optional

from ._lib import CONTINUE, RESERVE_NOW, Diag, Options, lib, missing, strings, text

log = logging.getLogger("smx")

_ADVICE = {
    "ENOENT": "make /run/smx or /dev/shm available, or name a directory on a tmpfs in SMX_DIR",
    "ENOSPC": "the tmpfs is full: free some of it, or mount a larger one",
    "LIBRARY": "install libshm, or name the file in SMX_LIBRARY",
}


class Segment:
    """An application's segment, as this process has it open. Make one with smx.open()."""

    __slots__ = ("app", "_at")

    def __init__(self, app: str, at: Optional[int]) -> None:
        self.app = app
        self._at = at

    @property
    def path(self) -> str:
        """The segment's file; "" where there is none, and metrics go nowhere."""
        return os.fsdecode(lib.smx_path(self._at) or b"") if self._at else ""

    @property
    def worker(self) -> int:
        """The small stable number of this process, as in the label `worker`; -1 without one."""
        return lib.smx_worker(self._at) if self._at else -1

    def set_role(self, role: str) -> None:
        """Say what this process is ("master", "worker"), in its metrics of /proc."""
        lib.smx_set_role(self._at, text(role))

    def heartbeat(self) -> None:
        """Say that this process is alive and well, now. Takes a slot if there was none free."""
        lib.smx_heartbeat(self._at)

    def close(self) -> None:
        """Give back this process' slot: its gauges stop counting, as if it had ended."""
        lib.smx_close(self._at)

    def __repr__(self) -> str:
        return f"<smx.Segment {self.app!r} at {self.path or 'nowhere'}>"


_default: Optional[Segment] = None


def default() -> Segment:
    """The segment of this process; opens it if nobody has."""
    return _default or open()


def _own_name() -> str:
    """What to call an application that does not say: its script's or its module's name."""
    spec = getattr(sys.modules.get("__main__"), "__spec__", None)
    name = spec.name.removesuffix(".__main__") if spec else ""
    if name in ("", "__main__"):
        path = Path((getattr(sys, "argv", None) or [""])[0])
        name = path.parent.name if path.stem == "__main__" else path.stem
    if name in ("", "-", "-c"):
        return "python"
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".")[:63] or "python"


def open(app: Optional[str] = None, *, instance: Optional[str] = None,
         directory: Optional[str] = None, role: Optional[str] = None,
         name_prefix: Optional[str] = None, constant_labels: Optional[Mapping[str, str]] = None,
         max_bytes: int = 0, slots: int = 0, max_series: int = 0, keep_totals: bool = False,
         reserve_now: bool = False) -> Segment:
    """Open the segment of this application, and make it the one of all metrics from now on.

    Call it before the first metric is made, in the process that outlives its workers: a segment
    that no process holds is begun anew (unless keep_totals). Who does not call it has a segment
    named by $SMX_APP, or else by the script, and $SMX_INSTANCE.

    app, instance: 1..63 of A-Z a-z 0-9 _ . -
    directory: default $SMX_DIR, /run/smx, /dev/shm/smx-<uid>.
    max_bytes: the budget, default 64 MiB. slots: processes at a time, default 1024.
    max_series: series of a metric, default 2000; what is more shares one overflow series.
    reserve_now: take all of max_bytes at once, for workers that enter a sandbox.

    Never fails: where a segment cannot be had the log says so once, and metrics go nowhere.
    """
    global _default
    name = app or os.environ.get("SMX_APP") or _own_name()
    instance = instance or os.environ.get("SMX_INSTANCE") or ""
    words = [word for label in (constant_labels or {}).items() for word in label]
    options = Options(
        app=os.fsencode(name), instance=os.fsencode(instance),
        directory=os.fsencode(directory or "") or None, role=text(role or "") or None,
        name_prefix=text(name_prefix or "") or None, constant_labels=strings(words),
        max_bytes=max_bytes, slots=slots, max_series=max_series,
        flags=(CONTINUE if keep_totals else 0) | (RESERVE_NOW if reserve_now else 0),
    )
    at, diag = c_void_p(), Diag()
    if missing:
        _warn(name, missing, "LIBRARY")
    elif (code := lib.smx_open(byref(options), byref(at), byref(diag))) < 0:
        _warn(name, diag.text, errno.errorcode.get(-code, ""))
    if _default and _default.app != name:
        log.warning("smx.open(%r) comes after metrics that were made in %r, and stay there: "
                    "open before the first metric", name, _default.app)
    _default = Segment(name, at.value)
    return _default


def _warn(app: str, reason: str, kind: str) -> None:
    advice = f" ({_ADVICE[kind]})" if kind in _ADVICE else ""
    log.warning("%s runs without metrics: %s%s", app, reason, advice)
