# SPDX-License-Identifier: MIT
"""The extension: left out, without a word, where there is no compiler or no <smx/smx.h>."""
import shlex
import subprocess
from pathlib import Path

from setuptools import Extension, setup

HEADERS = Path(__file__).resolve().parents[2] / "../include"  # in a tree of smx


def cflags():
    """What libshm's users are compiled with."""
    if (HEADERS / "smx/smx.h").exists():
        return [f"-I{HEADERS.resolve()}"]
    try:
        found = subprocess.run(["pkg-config", "--cflags", "libshm"], capture_output=True, text=True)
        return shlex.split(found.stdout)
    except OSError:
        return []


setup(ext_modules=[Extension(
    "smx._fast", ["fast.c", "requests.c", "middleware.c", "wsgi.c", "asgi.c", "gunicorn.c"],
    depends=["fast.h"], optional=True, py_limited_api=True,
    define_macros=[("Py_LIMITED_API", "0x030A0000"), ("_GNU_SOURCE", None)],
    extra_compile_args=["-std=c17", "-O2", "-fno-plt", "-fvisibility=hidden", *cflags()],
)])
