#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What the agent serves, judged by promtool: with two applications attached, of which one describes
# a family otherwise than the other.

load support/live

setup() {
    live_setup
    start_demo demo --workers 2
    request 3 /fast
    request 2 /work
    request 1 /error
    # Two families that the demo has too: one of the same type, one of another.
    start_puppet shop shop
    [ "$(tell shop 'counter demo_worker_restarts_total 4')" = ok ]
    [ "$(tell shop 'histogram demo_table_entries 3 1 2 4')" = ok ]
    [ "$(tell shop 'gauge depth -3')" = ok ]
    [ "$(tell shop 'histogram size_bytes 3 1 2.5 4')" = ok ]
    start_agent
    eventually scraped_is depth -3
}

teardown() {
    live_teardown
}

# promtool says nothing and agrees.
promtool_is_silent() {
    local verdict=0
    promtool check metrics <"$1" >"$scratch/promtool" 2>&1 || verdict=$?
    cat "$scratch/promtool"
    [ "$verdict" -eq 0 ]
    [ ! -s "$scratch/promtool" ]
}

@test "promtool check metrics is silent on all that is served" {
    agent_get /metrics >"$scratch/scrape"
    grep -q '^demo_http_request_duration_seconds_bucket{' "$scratch/scrape"
    grep -q '^smx_agent_' "$scratch/scrape"
    promtool_is_silent "$scratch/scrape"
}

@test "families that agree are merged under the label app" {
    agent_get /metrics >"$scratch/scrape"
    grep -q '^demo_worker_restarts_total{app="demo"} 0$' "$scratch/scrape"
    grep -q '^demo_worker_restarts_total{app="shop"} 4$' "$scratch/scrape"
    [ "$(grep -c '^# TYPE demo_worker_restarts_total ' "$scratch/scrape")" -eq 1 ]
}

@test "a conflicting family is served once, counted, and named in the log once" {
    local i
    for i in 1 2 3 4 5; do
        agent_get /metrics >"$scratch/scrape"
    done
    [ "$(grep -c '^# TYPE demo_table_entries ' "$scratch/scrape")" -eq 1 ]
    scraped_is smx_agent_family_conflicts 1
    cat "$scratch/agent.err"
    [ "$(grep -c demo_table_entries "$scratch/agent.err")" -eq 1 ]
    # The rest of both applications is there.
    scraped_is depth -3
    grep -q '^size_bytes_bucket{app="shop",le="2.5"} 0$' "$scratch/scrape"
    grep -q '^demo_http_in_flight_requests{app="demo"} 0$' "$scratch/scrape"
}
