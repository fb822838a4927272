#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 70-cxx.bats - smx-cxx-server, a prefork server in C++17 with the metrics of <smx/smx.hpp>: what it
# counts, also while its workers are killed and Prometheus scrapes, and what it does without.

load support/live
load support/prometheus

setup() {
    live_setup
}

teardown() {
    live_teardown
}

# start_server ARGUMENT...: on a free port; sets url.
start_server() {
    start server "$bin/smx-cxx-server" 0 "$@"
    eventually file_says "$scratch/server.out" http
    url=$(head -n 1 "$scratch/server.out")
}

# status METHOD PATH: of the answer.
status() {
    curl -s -o /dev/null -w '%{http_code}' -X "$1" "$url$2"
}

@test "the server counts what it answers, by method, route and status" {
    start_server 2
    [[ $(curl -s "$url/" "$url/item/7") == $'200\nitem 7' ]]
    [[ $(status GET /none) == 404 && $(status DELETE /) == 405 ]]
    curl -sI "$url/" | grep '200 OK'
    "$bin/smx-dump" --json cxx-server >"$scratch/dump.json"
    jq -r '.families[] | select(.name == "http_requests_total").series[] |
        select(.value > 0) | "\(.labels.method) \(.labels.route) \(.labels.status) \(.value)"' "$scratch/dump.json" |
        sort >"$scratch/requests"
    diff - "$scratch/requests" <<'END'
GET / 200 1
GET /item 200 1
GET other 404 1
HEAD / 200 1
other / 405 1
END
    eventually dumped_is http_request_duration_seconds 5 cxx-server
    [[ $(dumped http_response_bytes_total cxx-server) -gt 200 ]]
    [[ $(dumped build_info cxx-server) -eq 1 ]]
    eventually dumped_is worker_connections 0 cxx-server
    [[ $(dumped http_requests_in_progress cxx-server) -eq 0 ]]
}

has_counted() {
    [[ $(dumped http_requests_total cxx-server) -ge $1 ]]
}

# Of those that were killed before some are zombies, or just gone.
kill_a_worker() {
    eventually kill_any_worker 2>/dev/null
}

kill_any_worker() {
    kill -9 "$(pgrep -P "${pids[server]}" | shuf -n 1)"
}

# Nobody is connected, or waits to be; nor is what the client has closed still the server's.
is_quiet() {
    [[ -z $(ss -Htn state established state close-wait "sport = :${url##*:}") ]] &&
        dumped_is worker_connections 0 cxx-server
}

@test "of workers that are killed under load, and scraped by Prometheus, no answer is uncounted" {
    local answered counted turn
    start_server 4
    start_tcp_agent
    start_prometheus
    start load wrk -t1 -c8 -d10m "$url/item/1"
    for turn in {1..20}; do
        eventually has_counted $((turn * 100))
        kill_a_worker
    done
    eventually has_counted $(($(dumped http_requests_total cxx-server) + 1000))
    stop load INT
    answered=$(sed -nE 's/^ *([0-9]+) requests in.*/\1/p' "$scratch/load.out")
    eventually is_quiet
    counted=$(dumped http_requests_total cxx-server)
    echo "$answered answered, $counted counted"
    # What a killed worker has counted, and its client not got, is one answer; so with what is on
    # its way when the load ends, on each connection.
    [[ $answered -gt 1000 && $counted -ge $answered && $counted -le $((answered + 20 + 8)) ]]
    eventually answer_is 'sum(http_requests_total)' "$counted"
    answer_is 'sum(resets(http_requests_total[5m]))' 0
    eventually answer_is 'sum(worker_connections)' 0
    eventually answer_is 'http_requests_in_progress' 0
}

@test "a server that cannot have a segment says so, and serves" {
    export SMX_DIR=/nonexistent
    start_server 2
    grep /nonexistent "$scratch/server.err"
    [[ $(curl -s "$url/" "$url/item/7") == $'200\nitem 7' ]]
    [[ $(status GET /none) == 404 && $(status DELETE /) == 405 ]]
}

@test "the README's example counts" {
    awk '/^```cpp$/ { on = 1; next } /^```$/ { on = 0 } on' \
        "$root/tools/integrations/cxx/README.md" >"$scratch/shop.cpp"
    g++ -std=c++17 -Wall -Wextra -Werror -I "$root/include" -o "$scratch/shop" "$scratch/shop.cpp" \
        "$build/lib/libshm.a"
    "$scratch/shop"
    [[ $(dumped orders_total shop) -eq 4000 && $(dumped order_duration_seconds shop) -eq 4000 ]]
}
