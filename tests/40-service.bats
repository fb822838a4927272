#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 40-service.bats - smx-agent under a service manager: what it tells it, and when; what becomes of a
# loop that hangs; how it logs to the journal.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    notify=$scratch/notify
}

teardown() {
    live_teardown
}

# start_managed [OPTION...] [-- ARGUMENT...]: the agent under support/manager.py.
start_managed() {
    local options=()
    while [[ $# -gt 0 && $1 != -- ]]; do
        options+=("$1")
        shift
    done
    start manager "$root/tests/support/manager.py" "${options[@]}" "$notify" \
        "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --web.listen-address="unix:$scratch/agent.sock" "${@:2}"
    eventually told READY=1
}

told() {
    file_says "$scratch/manager.out" "$1"
}

never_told() {
    ! told "$1"
}

times_told() {
    [[ $(grep -c "$1" "$scratch/manager.out") -ge $2 ]]
}

has_lines_of() {
    [[ $(grep -c "$2" "$scratch/agent.err") -ge $1 ]]
}

agent_pid() {
    awk '$1 == "start" { pid = $2 } END { print pid }' "$scratch/manager.out"
}

@test "the manager hears that the agent is ready once it serves, and that it stops" {
    local kind
    for kind in auto epoll; do
        start_managed -- --loop=$kind
        agent_get /-/ready
        grep -F "READY=1 STATUS=serving at unix:$scratch/agent.sock" "$scratch/manager.out"
        stop manager
        [ "$ended" -eq 0 ]
        [[ $(tail -n 1 "$scratch/manager.out") == *" STOPPING=1 STATUS="* ]]
        never_told stranger
        rm "$notify"
    done
}

@test "the manager's socket may have an abstract name" {
    notify=@smx-test-$$-$RANDOM
    start_managed
    stop manager
    told STOPPING=1
}

@test "a reload begins and ends in the manager's eyes" {
    start_managed
    kill -HUP "${pids[manager]}"
    eventually times_told READY=1 2
    [[ $(grep -oE '(READY|RELOADING)=1( MONOTONIC_USEC=[0-9]+)?' "$scratch/manager.out") == \
        READY=1$'\n'RELOADING=1\ MONOTONIC_USEC=+([0-9])$'\n'READY=1 ]]
}

@test "the manager hears that a configuration was refused, and that the next one is fine" {
    echo 'scrape: {max_age: 1s}' >"$scratch/agent.yaml"
    start_managed -- --config.file="$scratch/agent.yaml"
    echo 'scrape: {max_age: never}' >"$scratch/agent.yaml"
    kill -HUP "${pids[manager]}"
    eventually told "STATUS=serving at .*; the configuration was refused: $scratch/agent.yaml:1"
    echo 'scrape: {max_age: 2s}' >"$scratch/agent.yaml"
    kill -HUP "${pids[manager]}"
    eventually times_told READY=1 3
    [[ $(grep READY=1 "$scratch/manager.out" | tail -n 1) != *refused* ]]
}

@test "a loop that turns tells the watchdog, one that hangs is ended and started anew" {
    local first
    # The agent tells it after half of that: the other half is for a machine that is busy.
    start_managed --watchdog=8
    first=$(agent_pid)
    # In the sandbox, over more than the time that the manager would wait.
    eventually times_told WATCHDOG=1 4
    never_told "^watchdog"
    kill -STOP "$first"
    eventually told "watchdog $first"
    eventually times_told READY=1 2
    [ "$(agent_pid)" -ne "$first" ]
    agent_get /-/ready
}

@test "what systemd-notify says of itself is heard as what the agent says" {
    start manager "$root/tests/support/manager.py" "$notify" \
        sh -c 'systemd-notify --no-block --ready --status=fine'
    eventually told 'READY=1'
    told 'STATUS=fine'
}

@test "a manager that is not there is a warning and no failure" {
    start agent env NOTIFY_SOCKET="$scratch/none" "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/ready
    grep -F "socket=$scratch/none" "$scratch/agent.err"
    stop agent
    [ "$ended" -eq 0 ]
    start agent env NOTIFY_SOCKET="relative" "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/ready
    grep -F "level=warn" "$scratch/agent.err" | grep -F socket=relative
}

# once_to FILE FORMAT: what the agent logs when its standard error is that file, and is the journal.
once_to() {
    JOURNAL_STREAM=$(stat -c %d:%i "$1") "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --web.listen-address="unix:/nowhere/agent.sock" --log.format="$2" 2>>"$1" || true
}

@test "lines to the journal begin with their priority, others do not" {
    : >"$scratch/log"
    once_to "$scratch/log" logfmt
    grep -E '^<3>ts=.* level=error msg="cannot listen"' "$scratch/log"
    : >"$scratch/log"
    once_to "$scratch/log" json
    sed -n 's/^<3>//p' "$scratch/log" | jq -e '.level == "error"'
    JOURNAL_STREAM=1:1 "$bin/smx-agent" --web.listen-address="unix:/nowhere/x" 2>"$scratch/log" ||
        true
    grep -E '^ts=.* level=error' "$scratch/log"
}

@test "what was repeated is told when its time is over, though nothing else happens" {
    local said='the service manager does not listen'
    start mailbox socat -u "UNIX-RECV:$notify" -
    eventually test -S "$notify"
    start agent env NOTIFY_SOCKET="$notify" "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually file_says "$scratch/mailbox.out" READY=1
    stop mailbox
    # Neither that it reads again nor that it is ready can be told: first the peer is found gone,
    # then there is none.
    kill -HUP "${pids[agent]}"
    eventually has_lines_of 2 "$said"
    kill -HUP "${pids[agent]}"
    eventually file_says "$scratch/agent.err" "$said.*repeated=2"
    [[ $(grep -c "$said" "$scratch/agent.err") -eq 3 ]]
}
