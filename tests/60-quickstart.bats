#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# tools/quickstart as a whole, with a real Prometheus.

load support/live

setup() {
    live_setup
    # The script builds and runs the release preset, whatever is being tested here.
    [ "$build" -ef "$root/build/release" ] || skip "quickstart is about the release build"
}

teardown() {
    live_teardown
}

# Directories of quickstarts, and processes that use them.
leftovers() {
    ls -d /dev/shm/smx-quickstart-* 2>/dev/null || true
    pgrep -f 'smx-quickstart-[A-Za-z0-9]{6}/' || true
}

@test "quickstart --once shows a scrape, Prometheus' answers and a dump, and equal totals" {
    before=$(leftovers)
    # A port that it would like is taken.
    start other "$bin/smx-demo" --listen 127.0.0.1:22080 --workers 1
    cd /
    run "$root/tools/quickstart" --once
    echo "$output"
    [ "$status" -eq 0 ]
    [[ $output == *'# TYPE demo_'* ]]
    [[ $output == *'sum(rate(demo_http_requests_total'* ]]
    [[ $output == *'histogram_quantile(0.99, '* ]]
    [[ $output == *'demo_http_in_flight_requests'* ]]
    [[ $output == *'"app":"demo"'*'"ready":true'* ]]
    [[ $output == *'They are equal.'* ]]
    [ "$(leftovers)" = "$before" ]
}

@test "quickstart ends with all that it started when it is interrupted" {
    before=$(leftovers)
    start quickstart bash "$root/tools/quickstart"
    eventually file_says "$scratch/quickstart.out" 'smx-dump demo'
    [ "$(leftovers)" != "$before" ]
    stop quickstart TERM
    [ "$ended" -eq 130 ]
    [ "$(leftovers)" = "$before" ]
}

@test "quickstart explains itself and refuses what it does not know" {
    run "$root/tools/quickstart" --help
    [ "$status" -eq 0 ]
    [[ $output == *--once* ]]
    run "$root/tools/quickstart" --twice
    [ "$status" -eq 2 ]
}
