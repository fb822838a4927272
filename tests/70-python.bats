#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The Python package of tools/integrations/python, as the build has put it together: its tests are
# in tests/python. Debian's Python, for which the extension is built.

load support/live

setup() {
    live_setup
    export PYTHONPATH=$build/lib/python:$root/tests/python PYTHONDONTWRITEBYTECODE=1
}

teardown() {
    live_teardown
}

# python_tests MODULE: where every warning of Python is an error.
python_tests() {
    /usr/bin/python3 -X dev -W error -m unittest "$@"
}

has_extension() {
    [[ $(/usr/bin/python3 -c 'import smx; print(smx.extension)') == "$1" ]]
}

@test "metrics do what they say, with the extension" {
    has_extension True
    python_tests test_metrics
}

@test "metrics do what they say, without the extension" {
    export SMX_NO_EXTENSION=1
    has_extension False
    python_tests test_metrics
}
