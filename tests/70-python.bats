#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The Python package of tools/integrations/python, as the build has put it together: its tests are
# in tests/python. Debian's Python, for which the extension is built; where smx-dump reads, and a
# real Prometheus, what gunicorn's workers have counted that came and went.

bats_require_minimum_version 1.5.0
load support/live
load support/prometheus

setup() {
    live_setup
    export PYTHONPATH=$build/lib/python:$root/tests/python PYTHONDONTWRITEBYTECODE=1 SMX_APP=web
}

teardown() {
    live_teardown
}

# python_tests MODULE: where every warning of Python is an error.
python_tests() {
    /usr/bin/python3 -X dev -W error -m unittest "$@"
}

has_extension() {
    [[ $(/usr/bin/python3 -c 'import smx; print(smx.extension)') == "$1" ]]
}

# start_server MODULE [ARGUMENT...]: of Python, and wait until it serves.
start_server() {
    start server /usr/bin/python3 -m "$@"
    eventually serves
}

start_gunicorn() {
    start_server gunicorn --bind "unix:$scratch/app.sock" "$@"
}

serves() {
    [[ $(curl -s --unix-socket "$scratch/app.sock" http://app/probe) == done ]]
}

# clients REQUESTS [ARGUMENT...]: sets sent, answered, killed.
clients() {
    local result
    result=$(/usr/bin/python3 "$root/tests/python/clients.py" "$scratch/app.sock" "$@")
    echo "$result"
    read -r sent answered killed < <(jq -r '"\(.sent) \(.answered) \(.killed)"' <<<"$result")
}

# counted FAMILY PATH: of a family with the label path, or route.
counted() {
    "$bin/smx-dump" --json --family="$1" web |
        jq --arg path "$2" '[.families[].series[] | select(.labels | .path == $path or
            .route == $path) | .value, .count | numbers] | add // 0'
}

# A request is counted when its answer has been sent already.
counted_is() {
    [ "$(counted "$1" "$2")" -eq "$3" ]
}

# So many workers have begun, as the log comes to say.
has_booted() {
    [ "$(grep -c 'Booting worker' "$scratch/server.err")" -gt "$1" ]
}

@test "metrics do what they say, with the extension" {
    has_extension True
    python_tests test_metrics test_scopes test_wsgi test_asgi test_gunicorn
    python_tests test_health
    python_tests test_workers
}

@test "metrics do what they say, without the extension" {
    export SMX_NO_EXTENSION=1
    has_extension False
    python_tests test_metrics test_scopes test_wsgi test_asgi test_gunicorn
    python_tests test_health
    python_tests test_workers
}

@test "a program finds its segment, and does without one, with the extension" {
    unset SMX_APP
    python_tests test_start
}

# install_package: as a user does from a copy of the sources, into $scratch/site.
install_package() {
    mkdir -p "$scratch/sources/tools/integrations"
    cp -r "$root/include" "$scratch/sources"
    cp -r "$root/tools/integrations/python" "$scratch/sources/tools/integrations"
    /usr/bin/python3 -m pip --disable-pip-version-check install --quiet --root-user-action=ignore \
        --no-build-isolation --no-index --no-deps --target "$scratch/site" \
        "$scratch/sources/tools/integrations/python"
    export PYTHONPATH=$scratch/site:$root/tests/python SMX_LIBRARY=$build/lib/libshm.so.1
    cd "$scratch"
    [[ $(/usr/bin/python3 -c 'import smx; print(smx.__file__)') == "$scratch"/site/* ]]
}

@test "pip installs it with its extension where there is a compiler" {
    install_package
    has_extension True
    python_tests test_metrics
}

@test "pip installs it without its extension where there is no compiler" {
    mkdir "$scratch/bin"
    ln -s /usr/bin/{mkdir,cp} "$scratch/bin"
    PATH=$scratch/bin install_package
    has_extension False
    python_tests test_scopes
}

@test "workers that gunicorn recycles lose and double nothing" {
    start_gunicorn --preload --workers 4 --max-requests 50 --max-requests-jitter 20 application:wsgi
    clients $((600 * ${SMX_TEST_SCALE:-1}))
    [ "$answered" -eq "$sent" ]
    [ "$(counted app_hits_total /)" -eq "$sent" ]
    eventually counted_is http_requests_total / "$sent"
    eventually counted_is http_request_duration_seconds / "$sent"
    eventually dumped_is http_in_flight_requests 0 web
    eventually has_booted $((4 + sent / 100))
    [ "$(find "$SMX_DIR" -type f | wc -l)" -eq 1 ]
}

@test "every answer of workers that are killed is counted, and Prometheus sees no total go down" {
    start_gunicorn --preload --workers 4 --max-requests 100 application:wsgi
    start_tcp_agent
    start_prometheus
    local kills=$((20 * ${SMX_TEST_SCALE:-1}))
    clients $((50 * kills)) --kill="${pids[server]}" --kills=$kills
    [ "$killed" -eq $kills ]
    eventually dumped_is http_in_flight_requests 0 web
    local family total
    for family in app_hits_total http_requests_total http_request_duration_seconds; do
        total=$(counted $family /)
        echo "$family $total"
        # A worker answers one request at a time, and what it dies of is answered by nobody.
        [ "$total" -ge "$answered" ]
        [ "$total" -le $((answered + killed)) ]
    done
    eventually answer_is 'sum(http_requests_total{route="/"})' "$(counted http_requests_total /)"
    eventually answer_is 'sum(app_seconds_count)' "$(dumped app_seconds web)"
    answer_is 'sum(resets(http_requests_total[1h]))' 0
    answer_is 'sum(resets(app_seconds_count[1h]))' 0
}

# start_hooked WORKER_CLASS: gunicorn with smx's hooks, its application bare.
start_hooked() {
    printf 'import smx\nsmx.open("web")\nfrom smx.gunicorn import post_request, pre_request\n' \
        >"$scratch/gunicorn.conf.py"
    start_gunicorn --config "$scratch/gunicorn.conf.py" --worker-class "$1" --workers 4 \
        --max-requests 100 --access-logfile "$scratch/access" application:bare
}

@test "gunicorn's own hooks count what its access log has, and lose nothing of what is recycled" {
    local class n=$((400 * ${SMX_TEST_SCALE:-1}))
    for class in sync gthread; do
        start_hooked $class
        clients $n
        [ "$answered" -eq $n ]
        eventually dumped_is http_in_flight_requests 0 web
        [ "$(counted http_requests_total /)" -eq "$(grep -c 'GET / ' "$scratch/access")" ]
        [ "$(counted http_requests_total /)" -eq $n ]
        [ "$(counted http_request_duration_seconds /)" -eq $n ]
        curl -s --unix-socket "$scratch/app.sock" http://app/boom
        eventually dumped_is http_request_exceptions_total 1 web
        eventually dumped_is http_in_flight_requests 0 web
        [ "$("$bin/smx-dump" --json --family=http_requests_total web |
            jq '.families[].series[] | select(.labels.status == "500") | .value')" -eq 1 ]
        stop server
        rm "$scratch/access"
    done
}

@test "by the hooks all answers but the last of those that are killed are counted" {
    start_hooked sync
    local kills=$((20 * ${SMX_TEST_SCALE:-1}))
    clients $((50 * kills)) --kill="${pids[server]}" --kills=$kills
    [ "$killed" -eq $kills ]
    eventually dumped_is http_in_flight_requests 0 web
    local total
    total=$(counted http_requests_total /)
    echo "$total"
    [ "$total" -ge $((answered - killed)) ]
    [ "$total" -le $((answered + killed)) ]
}

# gunicorn aborts a worker whose request hangs, and kills it if it has not ended a second later: that
# may come of a busy machine, and then, once more.
aborts_alone() {
    start_gunicorn --config "$scratch/gunicorn.conf.py" --preload --timeout 5 application:bare &&
        run -52 curl -s --unix-socket "$scratch/app.sock" http://app/hang && eventually serves &&
        [ -z "$(grep 'due to signal 9' "$scratch/server.err")" ] && return
    stop server
    return 1
}

@test "a worker that gunicorn aborts leaves its request counted, and none in flight" {
    printf '%s\n' 'import smx.gunicorn' 'hooks = smx.gunicorn.Hooks()' \
        'def pre_request(worker, req): hooks.pre_request(worker, req)' \
        'def post_request(worker, req, env, resp): hooks.post_request(worker, req, env, resp)' \
        >"$scratch/gunicorn.conf.py"
    eventually aborts_alone
    [ "$("$bin/smx-dump" --json --family=http_request_exceptions_total web |
        jq -c '.families[].series[] | [.labels.route, .labels.exception, .value]')" == \
        '["/hang","SystemExit",1]' ]
    [ "$(counted http_requests_total /hang)" -eq 1 ]
    eventually dumped_is http_in_flight_requests 0 web
}

@test "a gauge of a killed worker is gone, and one of the living is not" {
    start_gunicorn --preload --workers 2 --timeout 0 application:wsgi
    start first curl -s --unix-socket "$scratch/app.sock" http://app/hang
    start second curl -s --unix-socket "$scratch/app.sock" http://app/hang
    eventually dumped_is app_busy 2 web
    eventually dumped_is http_in_flight_requests 2 web
    kill -KILL "$(pgrep -P "${pids[server]}" | head -n 1)"
    eventually dumped_is app_busy 1 web
    eventually dumped_is http_in_flight_requests 1 web
}

@test "without preload a master that opens the segment keeps the totals of its one worker" {
    printf 'import smx\nsmx.open("web", role="master")\n' >"$scratch/gunicorn.conf.py"
    start_gunicorn --config "$scratch/gunicorn.conf.py" --workers 1 --max-requests 10 \
        application:wsgi
    clients 100
    [ "$answered" -eq 100 ]
    eventually counted_is http_requests_total / 100
    eventually has_booted 8
}

@test "without a segment gunicorn serves, and says so once" {
    SMX_DIR=$scratch/nowhere start_gunicorn --preload --workers 2 application:wsgi
    clients 20
    [ "$answered" -eq 20 ]
    [ "$(grep -c 'runs without metrics' "$scratch/server.err")" -eq 1 ]
}

@test "uvicorn's requests are counted, and timed to the end" {
    start_server uvicorn --uds "$scratch/app.sock" --log-level warning application:asgi
    clients 300
    [ "$answered" -eq 300 ]
    eventually counted_is http_requests_total / 300
    eventually counted_is http_request_duration_seconds / 300
    start hanging curl -s --unix-socket "$scratch/app.sock" http://app/hang
    eventually dumped_is http_in_flight_requests 1 web
    eventually counted_is http_requests_total /hang 1
    [ "$(counted http_request_duration_seconds /hang)" -eq 0 ]
    stop hanging
    eventually dumped_is http_in_flight_requests 0 web
}

@test "the benchmark compares what both libraries have counted, left behind, and say of the dead" {
    unset PYTHONPATH
    "$root/tools/integrations/python/bench/compare" --repeat 1 --workers 20 \
        --json "$scratch/figures"
    jq -e '.updates_ns | length == 5 and all(.[]; length == 3 and all(.[]; . > 0))' \
        "$scratch/figures"
    jq -e '.recycled["20"] | .smx.counted == 20 and .prometheus_client.counted == 20 and
        .smx.files == 1 and .prometheus_client.files > 20' "$scratch/figures"
    jq -e '.killed == {smx: {before: 2, after: 1}, prometheus_client: {before: 2, after: 2}}' \
        "$scratch/figures"
    [ -z "$(compgen -G '/dev/shm/smx-compare-*')" ]
}

@test "the benchmark of the middlewares has figures of both, with the extension and without" {
    "$root/tools/integrations/python/bench/middleware" --rounds 1 --json >"$scratch/figures"
    jq -e 'keys == ["ASGI", "WSGI"] and all(.[]; length == 2 and all(.[]; type == "number"))' \
        "$scratch/figures"
}
