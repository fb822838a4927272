#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The numbers of processes as whoever runs the agent sees them: of a real server, as ps(1) has them;
# of another user's and in other namespaces; in every format; and what a thousand of them cost.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    mine=61001 other=61002
}

teardown() {
    local name
    # unshare(1) lets its child have no SIGTERM.
    for name in "${!pids[@]}"; do
        [[ $name != *inside* ]] || stop "$name" KILL
    done
    live_teardown
}

# value LINE: of the sample with this name and labels.
value() {
    agent_get /metrics | awk -v line="$1" '$1 == line { print $2 }'
}

value_is() {
    [[ $(value "$1") == "$2" ]]
}

has_line() {
    [[ -n $(value "$1") ]]
}

hidden_is() {
    local told
    told=$(agent_get /health | jq -r --arg app "$1" '.components.segments[] | select(.app == $app) |
        .hidden_processes | map("\(.reason) \(.processes)") | join(" ")')
    [[ $told == "$2" ]]
}

start_agent_as() {
    mkdir -p "$scratch/socket"
    chown "$1" "$scratch/socket"
    start agent setpriv --reuid="$1" --regid="$1" --clear-groups --pdeathsig TERM \
        "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address="unix:$scratch/socket/agent.sock" "${@:2}"
    ln -sf socket/agent.sock "$scratch/agent.sock"
    eventually agent_get /-/ready >/dev/null
}

# pid_of WORKER: of a slot of the demo's segment.
pid_of() {
    "$bin/smx-dump" --json demo | jq -r --argjson worker "$1" \
        '.processes[] | select(.worker == $worker and .live) | .pid'
}

@test "a server's processes are those that ps shows" {
    local worker pid labels
    start_demo demo --workers 2
    request 200 /work
    start_agent
    eventually value_is 'smx_role_processes{app="demo",role="worker"}' 2
    value_is 'smx_app_processes{app="demo"}' 3
    for worker in 0 1 2; do
        pid=$(pid_of $worker)
        freeze "$pid"
        labels="{app=\"demo\",role=\"$([ $worker = 0 ] && echo master || echo worker)\",worker=\"$worker\"}"
        [ "$(($(value "smx_process_resident_memory_bytes$labels") / 1024))" -eq \
            "$(ps -o rss= -p "$pid")" ]
        value_is "smx_process_threads$labels" "$(($(ps -o nlwp= -p "$pid")))"
        value_is "smx_process_open_fds$labels" "$(find "/proc/$pid/fd" -mindepth 1 | wc -l)"
        value_is "smx_process_max_fds$labels" \
            "$(awk '/^Max open files/ { print $4 }' "/proc/$pid/limits")"
        value_is "smx_process_context_switches_total${labels%\}},type=\"voluntary\"}" \
            "$(awk '/^voluntary/ { print $2 }' "/proc/$pid/status")"
        # In ticks of 10 ms, user and system, each rounded down.
        awk -v cpu="$(value "smx_process_cpu_seconds_total$labels")" \
            '{ exit !(cpu >= ($14 + $15) / 100 && cpu < ($14 + $15 + 2) / 100) }' "/proc/$pid/stat"
        [[ $(value "smx_process_start_time_seconds$labels") == \
            "$(date -d "$(ps -o lstart= -p "$pid")" +%s)".* ]] ||
            [[ $(value "smx_process_start_time_seconds$labels") == \
                "$(($(date -d "$(ps -o lstart= -p "$pid")" +%s) + 1))".* ]]
        kill -CONT "$pid"
    done
    hidden_is demo ""
}

@test "a worker that is killed leaves the page, and stays in the sums" {
    local before
    start_agent
    start_demo demo --workers 2
    eventually has_workers 2
    request 300 /work
    before=$(value 'smx_role_context_switches_total{app="demo",role="worker",type="voluntary"}')
    kill -KILL "$(pid_of 1)"
    eventually dumped_is demo_worker_restarts_total 1
    eventually value_is 'smx_role_processes{app="demo",role="worker"}' 2 # it is replaced
    [ "$(value 'smx_role_context_switches_total{app="demo",role="worker",type="voluntary"}')" \
        -ge "$before" ]
    stop demo
    eventually value_is 'smx_role_processes{app="demo",role="worker"}' 0
    not_shown() { ! agent_get /metrics | grep -q '^smx_process_.*app="demo"'; }
    not_shown
    [ "$(value 'smx_role_context_switches_total{app="demo",role="worker",type="voluntary"}')" \
        -ge "$before" ]
}

@test "each process, only sums, or nothing" {
    start_demo demo --workers 2
    eventually has_workers 2
    start_agent --workers.detail=sums
    has_line 'smx_role_threads{app="demo",role="worker"}'
    [ -z "$(agent_get /metrics | grep '^smx_process_[^l]' || true)" ]
    stop agent
    SMX_AGENT_WORKERS_DETAIL=off start_agent
    [ -z "$(agent_get /metrics | grep -E '^smx_(process|role|app)_(processes|cpu|resident|threads|open)' || true)" ]
    agent_get /health | jq -e '.components.segments[0] | has("hidden_processes") | not'
    stop agent
    start_agent --metrics.deny='smx_role_.*' --labels.deny=worker=1
    has_line 'smx_app_threads{app="demo"}'
    has_line 'smx_process_threads{app="demo",role="worker",worker="2"}'
    [ -z "$(agent_get /metrics | grep -E "^smx_role_|^smx_process_threads.*worker=\"1\"" || true)" ]
    run "$bin/smx-agent" --workers.detail=all
    [ "$status" -eq 2 ]
    [[ $output == *"--workers.detail 'all': must be each, sums or off"* ]]
}

@test "the page is good in every format, and in part" {
    local parts
    start_demo demo --workers 2
    eventually has_workers 2
    start_agent
    agent_get /metrics | promtool check metrics
    curl -sf --unix-socket "$scratch/agent.sock" -H 'Accept: application/openmetrics-text' \
        http://agent/metrics >"$scratch/openmetrics"
    grep -qx '# TYPE smx_process_cpu_seconds counter' "$scratch/openmetrics"
    grep -qx '# UNIT smx_role_resident_memory_bytes bytes' "$scratch/openmetrics"
    /usr/bin/python3 - "$scratch/openmetrics" <<'END'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse
names = {family.name for family in parse(open(sys.argv[1]).read())}
assert "smx_process_context_switches" in names and "smx_app_worst_fd_ratio" in names, names
END
    parts=$(agent_get '/metrics?app=demo&name[]=smx_process_threads')
    [ "$(grep -vc '^#' <<<"$parts")" -eq 3 ]
    [ -z "$(agent_get '/metrics?app=nobody&name[]=smx_process_threads')" ]
}

@test "memory and bytes only when they are asked for, and only where they may be seen" {
    local labels='{app="demo",role="worker",worker="1"}'
    start_demo demo --workers 2
    eventually has_workers 2
    start_agent
    has_line "smx_process_threads$labels"
    [ -z "$(agent_get /metrics | grep -E '^smx_.*(proportional_memory|read_bytes|written_bytes)' || true)" ]
    stop agent
    start_agent --workers.memory --workers.io
    eventually has_line "smx_process_proportional_memory_bytes$labels"
    has_line "smx_process_read_bytes_total$labels"
    has_line 'smx_role_written_bytes_total{app="demo",role="worker"}'
    has_line 'smx_app_proportional_memory_bytes{app="demo"}'
    local prober
    prober=$(pgrep -P "${pids[agent]}")
    [ "$(<"/proc/$prober/comm")" = smx-prober ]
    stop agent
    gone() { [ ! -e "/proc/$prober" ]; }
    eventually gone
    run --separate-stderr "$bin/smx-agent" --once --workers.memory --segments.dir="$SMX_DIR"
    [[ $output == *"smx_process_proportional_memory_bytes$labels "* ]]
    [ "$(id -u)" -eq 0 ] || return 0
    chmod 755 "$scratch"
    chmod 1777 "$SMX_DIR"
    chmod 644 "$SMX_DIR/demo.v1.smx"
    start_agent_as $mine --workers.memory --workers.io
    eventually has_line "smx_process_threads$labels"
    eventually hidden_is demo "memory 3 io 3"
    [ -z "$(agent_get /metrics | grep -E '^smx_.*(proportional_memory|read_bytes|written_bytes)' || true)" ]
}

@test "labels that the agent adds are on the numbers of processes, too" {
    start_demo demo --workers 2
    eventually has_workers 2
    start_agent --labels.add=dc=eu --labels.add=role=mine
    has_line 'smx_process_threads{app="demo",role="worker",worker="1",dc="eu"}'
    has_line 'smx_app_threads{app="demo",dc="eu",role="mine"}'
}

@test "an agent without privileges sees another user's processes" {
    [ "$(id -u)" -eq 0 ] || skip "not root: no other user"
    chmod 755 "$scratch"
    chmod 1777 "$SMX_DIR"
    start_puppet app shop setpriv --reuid=$other --regid=$other --clear-groups --pdeathsig TERM
    tell app "counter orders_total 1"
    chmod 644 "$SMX_DIR/shop.v1.smx"
    start_agent_as $mine
    eventually has_line 'smx_process_threads{app="shop",worker="0"}'
    has_line 'smx_process_cpu_seconds_total{app="shop",worker="0"}'
    # Descriptors only where the kernel counts them.
    if [ "$(stat -c %s /proc/self/fd)" -gt 0 ]; then
        has_line 'smx_process_open_fds{app="shop",worker="0"}'
        hidden_is shop ""
    else
        hidden_is shop "fds 1"
    fi
}

@test "processes of a namespace below the agent's are seen, others are hidden" {
    local apart=(unshare --user --map-root-user --pid --fork --kill-child --mount --mount-proc)
    "${apart[@]}" true 2>/dev/null || skip "no right to make namespaces"
    mkfifo "$scratch/live.fifo"
    exec {live_in}<>"$scratch/live.fifo"
    start inside bash -c 'exec "$@" <"$0"' "$scratch/live.fifo" \
        "${apart[@]}" "$build/tests/segment-live" "$SMX_DIR" inside
    eventually file_says "$scratch/inside.out" inside.v1.smx
    start_agent
    eventually has_line 'smx_process_threads{app="inside",role="worker",worker="1"}'
    hidden_is inside ""
    stop agent
    rm -f "$scratch/agent.sock"
    start agent_inside "${apart[@]}" "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --scrape.max-age=0 --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/healthy >/dev/null
    start_puppet app beside
    tell app "counter orders_total 1"
    eventually hidden_is beside "namespace 1"
    hidden_is inside "namespace 2"
    [ -z "$(agent_get /metrics | grep '^smx_process_[^l]' || true)" ]
    agent_get /metrics | grep -qx 'smx_segment_processes{app="beside"} 1'
}

# start_herd N
start_herd() {
    mkfifo "$scratch/herd.fifo"
    exec {herd_in}<>"$scratch/herd.fifo"
    start herd bash -c 'exec "$@" <"$0"' "$scratch/herd.fifo" \
        "$build/tests/herd" "$SMX_DIR" herd "$1"
    eventually file_says "$scratch/herd.out" ready
}

# What it costs is printed, not judged: it is the benchmark's to tell.
@test "a thousand workers are read in pieces, while other pages come" {
    local n=$((250 * ${SMX_TEST_SCALE:-4})) i jobs=()
    start_herd $n
    start_agent
    eventually value_is 'smx_role_processes{app="herd",role="worker"}' $n
    [ "$(agent_get '/metrics?name[]=smx_process_start_time_seconds' | grep -vc '^#')" -eq $((n + 1)) ]
    [ "$(agent_get /metrics | grep -c '^smx_process_.*role="worker"')" -eq $((n * 8)) ]
    for ((i = 0; i < 6; i++)); do
        # Of different families, so that none waits for another's page.
        agent_get "/metrics?app=herd&name[]=smx_process_threads&name[]=x$i" >"$scratch/page$i" &
        jobs+=($!)
        agent_get /health/live >/dev/null
    done
    wait "${jobs[@]}"
    for ((i = 0; i < 6; i++)); do
        [ "$(grep -c '^smx_process_threads{' "$scratch/page$i")" -eq $((n + 1)) ]
    done
    agent_get /metrics | grep '^smx_agent_scrape_duration_seconds' | sed 's/^/# /' >&3
    # Another look at all of them, with hardly any descriptors.
    stop agent
    start agent bash -c 'ulimit -n 160; exec "$@"' - "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --scrape.max-age=0 --web.listen-address="unix:$scratch/agent.sock"
    eventually value_is 'smx_role_processes{app="herd",role="worker"}' $n
    hidden_is herd ""
    [ "$(scraped process_open_fds)" -lt 160 ]
    stop herd
    eventually value_is 'smx_role_processes{app="herd",role="worker"}' 0
}
