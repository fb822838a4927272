#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-exec.bats - how tests/run runs a test: it ends in time, with all that it started.

setup() {
    exec=$BATS_TEST_DIRNAME/support/exec
    program=$BATS_TEST_TMPDIR/program
}

# What the rest of the standard input says, run by `exec`.
program() {
    { echo '#!/bin/bash' && cat; } >"$program"
    chmod +x "$program"
}

@test "the exit status of a test is passed on" {
    program <<<'exit 3'
    run "$exec" "$program"
    [ "$status" -eq 3 ]
}

@test "a test that does not end is ended, and so is what it left, be it deaf" {
    # Both hold the pipe that `run` reads to its end.
    program <<<'(trap "" TERM; sleep 100) & sleep 100'
    SECONDS=0
    SMX_TIMEOUT=1 run "$exec" "$program"
    [ "$status" -eq 124 ]
    [ "$SECONDS" -lt 60 ]
}

@test "SIGTERM ends a test, which has time to clean up" {
    program <<<'trap "sleep 0.5; echo clean; exit" TERM; echo begun; sleep 1000 & wait'
    "$exec" "$program" >"$program.out" 3>&- &
    until [[ -s $program.out ]]; do sleep 0.05; done
    kill -TERM "$!"
    wait "$!" || true
    [[ $(tail -n 1 "$program.out") == clean ]]
}
