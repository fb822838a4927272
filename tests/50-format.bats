#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 50-format.bats - smx-segment(5) says all that there is to say: a reader in Python, whose layout is the
# page's tables and whose rules are its text, reads what smx-dump reads out of live segments that
# have everything in them, and out of those that nobody holds any more.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    judge=$BATS_TEST_DIRNAME/judges/segment.py
    page=$root/packaging/man/smx-segment.5
}

teardown() {
    [[ ! ${everything_in-} ]] || exec {everything_in}>&-
    live_teardown
}

# An application of everything, in a segment of this kind; its path is left in $path.
start_everything() {
    mkfifo "$scratch/fifo"
    start everything bash -c 'exec "$0" "$1" "$2" <"$3"' "$build/tests/segment-everything" \
        "$SMX_DIR" "$1" "$scratch/fifo"
    exec {everything_in}>"$scratch/fifo"
    eventually test -s "$scratch/everything.out"
    path=$(<"$scratch/everything.out")
}

judged() {
    "$bin/smx-dump" --json "$path" >"$scratch/dump.json"
    "$judge" "${1-$page}" "$path" "$scratch/dump.json"
}

# What there is to be read, and was not left out by both.
everything_is_there() {
    jq -e '.segment.live_processes == $live and .segment.errors == 0 and
        ([.families[].type] | unique) == ["counter", "gauge", "histogram", "info", "stateset"] and
        ([.families[].mode // empty] | unique) == ["avg", "each", "last", "max", "min", "sum"] and
        ([.families[].series[] | select(.overflow)] | length) == $overflow and
        ([.families[].series[].exemplars // [] | .[]] | length) >= 10 and
        (.checks | length) == 2 and .segment.kind == $kind and .segment.lost.negative == 1' \
        --argjson live "$2" --argjson overflow "$3" --arg kind "$1" "$scratch/dump.json"
}

judge_kind() {
    start_everything "$1"
    run -0 judged
    everything_is_there "$1" 3 3
    exec {everything_in}>&-
    unset everything_in
    wait "${pids[everything]}"
    run -0 judged
    everything_is_there "$1" 0 2 # the overflow of gauges is gone with the processes
    jq -e '[.families[] | select(.mode == "sum").series[].value] | all(. == null)' \
        "$scratch/dump.json"
}

@test "a segment with rows for CPUs, with live processes and without" {
    judge_kind percpu
}

@test "a striped segment, with live processes and without" {
    judge_kind striped
}

# otherwise SED-SCRIPT: a page that says so does not lead to what is in the segment.
otherwise() {
    sed "$1" "$page" >"$scratch/page.5"
    run ! cmp "$page" "$scratch/page.5"
    run ! judged "$scratch/page.5"
}

@test "a page that says it wrongly is seen" {
    start_everything percpu
    run -0 judged
    otherwise 's/^\.It 24 Ta 8 Ta cell Ta C/.It 32 Ta 8 Ta cell Ta C/'
    otherwise 's/^\.It 19 Ta 1 Ta digits/.It 20 Ta 1 Ta digits/'
    otherwise 's/^\.It 30 Ta 2 Ta rows/.It 32 Ta 2 Ta rows/'
    otherwise 's/^\.It 1152 Ta 128 Ta lost/.It 1160 Ta 128 Ta lost/'
    otherwise 's/^\.It 8 Ta 4 Ta stride/.It 12 Ta 4 Ta stride/'
    otherwise 's/^\.It 24 Ta 8 Ta heartbeat/.It 16 Ta 8 Ta heartbeat/'
    otherwise 's/^\.It 8 Ta 8 Ta time_ns/.It 16 Ta 8 Ta time_ns/'
    otherwise 's/^\.It 32 Ta 8 Ta terms/.It 28 Ta 8 Ta terms/'
}
