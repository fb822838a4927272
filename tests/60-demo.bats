#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The demo server as a server, and what it counts.

load support/live

setup() {
    live_setup
}

teardown() {
    live_teardown
}

# Send bytes on one connection, show what comes back until the server closes.
send() {
    local host=${demo_url#http://} to
    exec {to}<>"/dev/tcp/${host%:*}/${host##*:}"
    printf "$1" >&"$to"
    timeout 90 cat <&"$to" || true
    exec {to}>&-
}

# The value of the requests counter for method, route and status.
requests() {
    "$bin/smx-dump" --json --family=demo_http_requests_total demo |
        jq --arg m "$1" --arg r "$2" --arg s "$3" '[.families[].series[] |
            select(.labels == {method: $m, route: $r, status: $s}) | .value] | add // 0'
}

@test "every route is answered and counted by method, route and status" {
    start_demo demo --workers 2
    [ "$(curl -s "$demo_url/fast?a=b")" = ok ]
    [ "$(curl -s -o /dev/null -w '%{http_code} %{http_code}' "$demo_url/work")" = '200 200' ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$demo_url/error")" = 500 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$demo_url/")" = 200 ]
    curl -sI "$demo_url/fast" | grep -q '^Content-Length: 3'
    [ "$(requests GET /fast 200)" -eq 1 ]
    [ "$(requests HEAD /fast 200)" -eq 1 ]
    [ "$(requests GET /work 200)" -eq 1 ]
    [ "$(requests GET /error 500)" -eq 1 ]
    [ "$(requests GET / 200)" -eq 1 ]
    dumped_is demo_http_requests_total 5
    dumped_is demo_http_request_duration_seconds 5
    eventually dumped_is demo_http_in_flight_requests 0
}

@test "a client cannot invent label values" {
    start_demo demo --workers 1
    local i
    for i in 1 2 3; do
        curl -s -o /dev/null "$demo_url/nowhere/$i"
        curl -s -o /dev/null -X "METHOD$i" "$demo_url/fast"
    done
    [ "$(requests GET other 404)" -eq 3 ]
    [ "$(requests other /fast 405)" -eq 3 ]
}

@test "pipelined requests are answered in order, and all bytes are counted" {
    start_demo demo --workers 1
    send 'GET /fast HTTP/1.1\r\n\r\nGET /error HTTP/1.1\r\n\r\nHEAD / HTTP/1.0\r\n\r\n' \
        >"$scratch/answers"
    [ "$(grep -a '^HTTP/1.1 ' "$scratch/answers" | cut -d ' ' -f 2 | xargs)" = '200 500 200' ]
    dumped_is demo_http_response_bytes_total "$(stat -c %s "$scratch/answers")"
}

@test "what is no request gets a 400 and the connection is closed" {
    start_demo demo --workers 1
    send 'hello\r\n\r\n' | grep -q '^HTTP/1.1 400 '
    send "GET /$(printf '%05000d' 0) HTTP/1.1\r\n\r\n" | grep -q '^HTTP/1.1 400 '
    [ "$(requests other other 400)" -eq 2 ]
}

@test "a killed worker is replaced, its counts stay and its gauges go" {
    start_demo demo --workers 2
    request 10 /fast
    # A connection that its worker holds when it dies.
    exec {held}<>"/dev/tcp/127.0.0.1/${demo_url##*:}"
    eventually dumped_is demo_worker_connections 1
    # Unquoted: a pid each.
    kill -KILL $(pgrep -P "${pids[demo]}")
    eventually dumped_is demo_worker_restarts_total 2
    exec {held}>&-
    eventually dumped_is demo_worker_connections 0
    request 10 /fast
    dumped_is demo_http_requests_total 20
    dumped_is demo_table_entries 2
}

@test "workers end with a master that was killed" {
    start_demo demo --workers 2
    workers=$(pgrep -P "${pids[demo]}")
    stop demo KILL
    # Unquoted: one argument a worker.
    eventually all_gone $workers
}

all_gone() {
    ! kill -0 "$@" 2>/dev/null
}

@test "bad arguments and an address in use are one clear line and a failure" {
    run "$bin/smx-demo" --help
    [ "$status" -eq 0 ]
    [[ $output == *--tally* ]]
    run "$bin/smx-demo" --version
    [[ $status -eq 0 && $output == 'smx-demo '* ]]
    run "$bin/smx-demo" --workers 0
    [[ $status -eq 2 && ${#lines[@]} -eq 1 && $output == *--workers* ]]
    run "$bin/smx-demo" --listen nonsense
    [[ $status -eq 1 && ${#lines[@]} -eq 1 && $output == *nonsense* ]]
    start_demo demo --workers 1
    run "$bin/smx-demo" --listen "${demo_url#http://}"
    [[ $status -eq 1 && ${#lines[@]} -eq 1 && $output == *'in use'* ]]
}
