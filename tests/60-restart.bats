#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What happens to totals and descriptions when an application starts again: cold, reloaded, or
# beside its predecessor.

load support/live

setup() {
    live_setup
}

teardown() {
    live_teardown
}

once() {
    printf '%s\n' "$@" | "$build/tests/puppet" shop
}

inode() {
    stat -c %i "$SMX_DIR/$1.v1.smx"
}

@test "a cold start replaces yesterday's segment, and a changed description is no conflict" {
    [ "$(once 'histogram latency 3 1 2 4' 'counter jobs_total 5')" = $'ok\nok' ]
    dumped_is jobs_total 5 shop
    # Kept open, so that the new file cannot get the old one's inode.
    exec {yesterday}<"$SMX_DIR/shop.v1.smx"
    before=$(inode shop)

    [ "$(once 'histogram latency 3 1 8' 'labelled jobs_total night 1')" = $'ok\nok' ]
    [ "$(inode shop)" != "$before" ]
    dumped_is jobs_total 1 shop
    "$bin/smx-dump" --json shop |
        jq -e '.families[] | select(.name == "latency") | .bounds == [1, 8]'
    "$bin/smx-dump" --json shop | jq -e '[.segment.lost[]] | add == 0'
    exec {yesterday}<&-
}

@test "while an application lives, a changed description is refused for that metric alone" {
    start_puppet old shop
    [ "$(tell old 'histogram latency 3 1 2 4')" = ok ]
    [ "$(tell old 'counter jobs_total 5')" = ok ]
    before=$(inode shop)

    run once 'histogram latency 3 1 8' 'counter jobs_total 2'
    [ "$status" -eq 0 ]
    [[ ${lines[0]} == *latency* ]]
    [ "${lines[1]}" = ok ]
    [ "$(inode shop)" = "$before" ]
    dumped_is jobs_total 7 shop
    dumped_is latency 1 shop
    "$bin/smx-dump" --json shop | jq -e '.segment.lost.conflict == 1'
}

@test "a reload by SIGHUP replaces every worker and continues the totals" {
    start_demo demo --workers 3
    request 20 /fast
    dumped_is demo_http_requests_total 20
    before=$(inode demo)
    old=$(pgrep -P "${pids[demo]}" | sort)

    kill -HUP "${pids[demo]}"
    eventually all_replaced "$old"
    eventually dumped_is demo_table_entries 3
    request 20 /fast
    dumped_is demo_http_requests_total 40
    dumped_is demo_http_request_duration_seconds 40
    dumped_is demo_worker_restarts_total 0
    [ "$(inode demo)" = "$before" ]
    "$bin/smx-dump" --json demo | jq -e '[.processes[] | select(.live)] | length == 4'
}

all_replaced() {
    local now
    now=$(pgrep -P "${pids[demo]}" | sort)
    [[ $(wc -l <<<"$now") -eq 3 && -z $(comm -12 <(echo "$1") <(echo "$now")) ]]
}

@test "no request fails while the server reloads again and again" {
    start_demo demo --workers 3
    start reloads bash -c 'while kill -HUP "$0"; do sleep 0.1; done' "${pids[demo]}"
    request 300 /fast
    stop reloads
    dumped_is demo_http_requests_total 300
    eventually dumped_is demo_table_entries 3
    stop demo
    [ "$ended" -eq 0 ]
}

@test "a new server beside the old one continues its segment, and the old one may leave" {
    start_demo old --workers 2
    request 10 /fast
    start_demo new --workers 2
    request 5 /fast
    dumped_is demo_http_requests_total 15
    stop old
    [ "$ended" -eq 0 ]
    request 5 /fast
    dumped_is demo_http_requests_total 20
    eventually dumped_is demo_table_entries 2
    "$bin/smx-dump" --json demo | jq -e '[.processes[] | select(.live)] | length == 3'
}

@test "a server that was killed with all its workers starts cold" {
    start_demo demo --workers 2
    request 10 /fast
    dumped_is demo_http_requests_total 10
    workers=$(pgrep -P "${pids[demo]}")
    stop demo KILL
    # Unquoted: one argument a worker.
    eventually all_gone $workers
    start_demo demo --workers 2
    request 3 /fast
    dumped_is demo_http_requests_total 3
}

all_gone() {
    ! kill -0 "$@" 2>/dev/null
}
