# SPDX-License-Identifier: MIT
"""The configuration of the gunicorn that bench/servers measures with smx's hooks."""
from smx.gunicorn import post_request, pre_request  # noqa: F401
