#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The application and the agent in different PID, mount and user namespaces, as in containers that
# share a directory: who lives is asked of the kernel, so pids mean nothing.

load support/live

apart=(unshare --user --map-root-user --pid --fork --kill-child --mount --mount-proc)

setup() {
    live_setup
    "${apart[@]}" true 2>/dev/null || skip "no right to make namespaces"
}

# unshare(1) lets its child have no SIGTERM.
teardown() {
    local name
    for name in "${!pids[@]}"; do
        stop "$name" KILL
    done
    live_teardown
}

# start_app NAME COMMAND...: segment-live under the command, two processes; it ends with app_in.
start_app() {
    local name=$1
    shift
    mkfifo "$scratch/$name.fifo"
    # Opened for both, or else each end would wait for the other.
    eval "exec {${name}_in}<>\"\$scratch/$name.fifo\""
    start "$name" bash -c 'exec "$@" <"$0"' "$scratch/$name.fifo" \
        "$@" "$build/tests/segment-live" "$SMX_DIR" "$name"
    eventually file_says "$scratch/$name.out" "$name.v1.smx"
}

start_agent_in() {
    start agent "$@" "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/healthy >/dev/null
}

# children DEPTH PID: descendants of that degree.
children() {
    local depth pids=$2
    for ((depth = 0; depth < $1; depth++)); do
        # Unquoted: a list.
        pids=$(for pid in $pids; do pgrep -P "$pid"; done)
    done
    echo "$pids"
}

scraped_line() {
    agent_get /metrics | grep -qF -- "$1"
}

# lives_and_dies NAME DEPTH: the agent sees two processes and the worker's gauge; then its death,
# and that of the other. What they counted stays.
lives_and_dies() {
    local worker ticks
    eventually scraped_line "smx_segment_processes{app=\"$1\"} 2"
    eventually scraped_line "active{app=\"$1\"} 3"
    worker=$(children "$2" "${pids[$1]}")
    freeze "$worker"
    scraped_line "active{app=\"$1\"} 3"
    scraped_line "smx_segment_processes{app=\"$1\"} 2"
    kill -KILL "$worker"
    eventually scraped_line "smx_segment_processes{app=\"$1\"} 1"
    [ -z "$(scraped active)" ]
    ticks=$(scraped ticks_total)
    [ "$ticks" -gt 0 ]
    stop "$1" KILL
    eventually scraped_line "smx_segment_processes{app=\"$1\"} 0"
    [ "$(scraped ticks_total)" = "$ticks" ]
}

@test "an application in namespaces of its own" {
    start_agent_in
    start_app inside "${apart[@]}"
    lives_and_dies inside 2
}

@test "an agent in namespaces of its own" {
    start_agent_in "${apart[@]}"
    start_app outside
    lives_and_dies outside 1
}

@test "both in namespaces of their own, the agent there first" {
    start_agent_in "${apart[@]}"
    start_app inside "${apart[@]}"
    lives_and_dies inside 2
}

# The same pids, 1 and 2 or so, in both.
@test "two servers in namespaces of their own share a segment" {
    start_app shared "${apart[@]}"
    mkfifo "$scratch/other.fifo"
    exec {other_in}<>"$scratch/other.fifo"
    start other bash -c 'exec "$@" <"$0"' "$scratch/other.fifo" \
        "${apart[@]}" "$build/tests/segment-live" "$SMX_DIR" shared
    eventually file_says "$scratch/other.out" shared.v1.smx
    start_agent_in
    eventually scraped_line 'smx_segment_processes{app="shared"} 4'
    eventually scraped_line 'active{app="shared"} 6'
    stop shared KILL
    eventually scraped_line 'smx_segment_processes{app="shared"} 2'
    scraped_line 'active{app="shared"} 3'
}

@test "a server of another user attaches to nothing of ours" {
    [ "$(id -u)" -eq 0 ] || skip "not root: no other user"
    chmod 1777 "$SMX_DIR"
    chmod 711 "$scratch"
    start_app ours
    run setpriv --reuid 65534 --regid 65534 --clear-groups \
        "$build/tests/segment-live" "$SMX_DIR" ours </dev/null
    echo "$status: $output"
    [ "$status" -eq 1 ]
    [[ $output == *"$SMX_DIR/ours.v1.smx"* ]]
}
