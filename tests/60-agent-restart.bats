#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# smx-agent comes and goes while an application works: before it, during its life, after it, killed.
# No total that a scrape shows goes down, and the application notices nothing.

load support/live

setup() {
    live_setup
}

teardown() {
    live_teardown
}

# Scrape until told to stop; whenever an agent answers, write its totals as one line.
watch_totals() {
    while [[ ! -e $scratch/enough ]]; do
        agent_get /metrics >"$scratch/watched" &&
            awk '$1 ~ /^demo_.*(_total|_count|_sum|_bucket)(\{|$)/ { print $1, $NF }' \
                "$scratch/watched" && echo end
        sleep 0.02
    done
}

# Every number of the log is at least that of the same series before. Prints how many it compared.
never_down() {
    awk '$1 == "end" { next }
        ($1 in last) { compared++; if ($2 + 0 < last[$1]) { print "down:", $0, last[$1]; bad = 1 } }
        { last[$1] = $2 + 0 }
        END { print compared + 0; exit bad }' "$1"
}

@test "an agent that starts first finds the application when it comes" {
    rmdir "$SMX_DIR"
    start_agent
    [ -z "$(scraped demo_http_requests_total)" ]
    mkdir "$SMX_DIR"
    start_demo demo --workers 2
    request 7 /fast
    eventually scraped_is demo_http_requests_total 7
}

@test "an agent that starts later has the totals from the beginning" {
    start_demo demo --workers 2
    request 7 /fast
    start_agent
    eventually scraped_is demo_http_requests_total 7
}

@test "an agent that starts after the application's end still has its totals" {
    start_demo demo --workers 2
    request 7 /fast
    stop demo
    start_agent
    eventually scraped_is demo_http_requests_total 7
    [ -z "$(scraped demo_http_in_flight_requests)" ] || scraped_is demo_http_in_flight_requests 0
}

@test "no total goes down while the agent is killed and restarted and workers die" {
    start_demo demo --workers 4
    master=${pids[demo]}
    start load wrk --threads 1 --connections 16 --duration 10m "$demo_url/fast"
    watch_totals >"$scratch/totals" 3>&- &
    pids[watcher]=$!
    local turn
    for turn in 1 2 3 4 5; do
        start_agent
        eventually scrapes_after "$(grep -c end "$scratch/totals")"
        kill -KILL "$(pgrep -P "$master" | head -n 1)"
        eventually dumped_is demo_worker_restarts_total "$turn" # or the next one is a zombie
        eventually scrapes_after "$(grep -c end "$scratch/totals")"
        stop agent KILL
    done
    start_agent
    stop load
    eventually dumped_is demo_worker_connections 0
    eventually dumped_is demo_http_in_flight_requests 0
    # What waited to be accepted is served yet.
    eventually totals_agree
    touch "$scratch/enough"
    eventually not running watcher

    run never_down "$scratch/totals"
    echo "$output"
    [ "$status" -eq 0 ]
    [ "$output" -gt 0 ]
    # The application: the same master, as many replaced workers as were killed, no word about it.
    kill -0 "$master"
    dumped_is demo_worker_restarts_total 5
    [ ! -s "$scratch/demo.err" ]
    stop demo
    [ "$ended" -eq 0 ]
}

not() {
    ! "$@"
}

totals_agree() {
    scraped_is demo_http_requests_total "$(dumped demo_http_requests_total)"
}

scrapes_after() {
    [[ $(grep -c end "$scratch/totals") -gt $(($1 + 3)) ]]
}

@test "a cold start shows as a new segment: totals begin again, and are exact" {
    start_agent
    start_demo demo --workers 2
    request 9 /fast
    eventually scraped_is demo_http_requests_total 9
    stop demo
    start_demo demo --workers 2
    request 4 /fast
    eventually scraped_is demo_http_requests_total 4
}
