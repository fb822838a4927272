#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 40-agent.bats - smx-agent as a program: its options, its sockets, its pages, how it ends.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
}

teardown() {
    live_teardown
}

# The same as start_tcp_agent; the port is left in $port.
start_tcp() {
    start_tcp_agent "$@"
    port=${agent#*:}
}

refuses_connections() {
    ! (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# The status of a request, then its headers, without carriage returns.
headers() {
    curl -s -o /dev/null -D - --unix-socket "$scratch/agent.sock" "$@" | tr -d '\r'
}

status() {
    curl -s -o /dev/null -w '%{http_code}' --unix-socket "$scratch/agent.sock" "$@"
}

@test "--help and --version go to the standard output and are no failure" {
    run --separate-stderr "$bin/smx-agent" --help
    [ "$status" -eq 0 ]
    [[ $output == "Usage: smx-agent"* ]]
    [ -z "$stderr" ]
    run --separate-stderr "$bin/smx-agent" --version
    [ "$status" -eq 0 ]
    [[ $output =~ ^smx-agent\ [0-9]+\.[0-9]+\.[0-9]+$ ]]
}

@test "a bad option is a usage error that names the option" {
    while read -r option name; do
        run "$bin/smx-agent" $option
        echo "$option: $status $output"
        [ "$status" -eq 2 ]
        [[ ${lines[0]} == *"$name"* ]]
    done <<'OPTIONS'
--nonsense nonsense
--loop=kqueue loop
--log.level=loud log.level
--log.format=xml log.format
--segments.dir=relative segments.dir
--segments.max-bytes=0 segments.max-bytes
--segments.max-bytes=M segments.max-bytes
--segments.max-bytes=-1 segments.max-bytes
--segments.max-bytes=1MM segments.max-bytes
--segments.max-bytes=1T segments.max-bytes
--segments.max-bytes=9999999999G segments.max-bytes
--segments.max-bytes=99999999999999999999 segments.max-bytes
--histogram.bounds= histogram.bounds
--histogram.bounds=x= histogram.bounds
--histogram.bounds=1,1 histogram.bounds
--web.listen-address=nowhere web.listen-address
--web.listen-address=::1:80 web.listen-address
--web.listen-address=:65536 web.listen-address
--web.listen-address=unix:relative web.listen-address
--config.file= config.file
--scrape.max-age=1h scrape.max-age
--scrape.max-age=61s scrape.max-age
--scrape.max-age=5 scrape.max-age
--scrape.max-age=-1s scrape.max-age
--metrics.allow=a( regular
--metrics.deny=[ metrics.deny
--labels.allow=code LABEL=REGEX
--labels.deny==x labels.deny
--labels.add=a labels.add
--labels.add=app=x labels.add
--labels.add=a= labels.add
--web.config.file= web.config.file
--web.probe-address=nowhere web.probe-address
--web.listen-address=unix:/a?mode=9 web.listen-address
--web.allowed-hosts=a:1 web.allowed-hosts
--web.rate-limit=-1 web.rate-limit
--web.rate-limit=fast web.rate-limit
--web.max-connections=0 web.max-connections
--web.systemd-socket=maybe web.systemd-socket
surplus surplus
OPTIONS
}

@test "the environment is read for what no option says, and what is wrong in it is told" {
    SMX_AGENT_LOOP=kqueue run "$bin/smx-agent" --check-config
    [ "$status" -eq 2 ]
    [[ ${lines[0]} == "smx-agent: SMX_AGENT_LOOP 'kqueue': must be auto, uring or epoll" ]]
    SMX_AGENT_LOOP=kqueue run "$bin/smx-agent" --check-config --loop=epoll
    [ "$status" -eq 0 ]
    SMX_AGENT_LOOP=kqueue run "$bin/smx-agent" --help
    [ "$status" -eq 0 ]
    # What Kubernetes sets for a service named smx-agent.
    SMX_AGENT_PORT=tcp://10.0.0.1:9745 SMX_AGENT_SERVICE_HOST=10.0.0.1 SMX_AGENT_LOG_LEVEL= \
        run "$bin/smx-agent" --check-config
    [ "$status" -eq 0 ]
    start_puppet app shop
    tell app "counter orders_total 41"
    SMX_AGENT_SEGMENTS_DIR=$SMX_DIR SMX_AGENT_METRICS_DENY=$'x{1,2}\nprocess_.*' SMX_AGENT_ONCE=true \
        run --separate-stderr "$bin/smx-agent"
    [ "$status" -eq 0 ]
    [[ $output == *'orders_total{app="shop"} 41'* && $output != *[$'\n ']process_* ]]
}

@test "--check-config judges the options and serves nothing" {
    run "$bin/smx-agent" --check-config --web.listen-address=[::1]:0
    [ "$status" -eq 0 ]
    run "$bin/smx-agent" --check-config --web.listen-address=x
    [ "$status" -eq 2 ]
}

@test "--once prints one scrape of what is there" {
    start_puppet app shop
    tell app "counter orders_total 41"
    run --separate-stderr "$bin/smx-agent" --segments.dir="$SMX_DIR" --once
    [ "$status" -eq 0 ]
    [[ $output == *'orders_total{app="shop"} 41'* ]]
}

@test "what is in use in one user's segments has a limit, which is an option" {
    start_puppet app shop
    tell app "counter orders_total 41"
    for size in 1G 1024M 8388607K 1073741824; do
        "$bin/smx-agent" --segments.dir="$SMX_DIR" --once --segments.max-bytes=$size \
            >"$scratch/page"
        grep -qxF 'orders_total{app="shop"} 41' "$scratch/page"
    done
    for size in 1K 1000; do
        run "$bin/smx-agent" --segments.dir="$SMX_DIR" --once --segments.max-bytes=$size
        [ "$status" -eq 0 ]
        [[ $output != *orders_total* ]]
        [[ $output == *'smx_segment_errors_total{reason="too_large"} 1'* ]]
    done
}

@test "a scrape that cannot be written is a failure" {
    run bash -c '"$0" --segments.dir="$1" --once >/dev/full' "$bin/smx-agent" "$SMX_DIR"
    [ "$status" -eq 1 ]
    [[ $output == *"cannot write the scrape"* ]]
}

@test "a port in use is one line and a failure" {
    start_tcp first
    run "$bin/smx-agent" --log.level=warn --segments.dir="$SMX_DIR" \
        --web.listen-address=127.0.0.1:"$port"
    [ "$status" -eq 1 ]
    [ "${#lines[@]}" -eq 1 ]
    [[ $output == *"127.0.0.1:$port"*"in use"* ]]
}

@test "a directory that was asked for and is none is one line and a failure" {
    touch "$scratch/file"
    ln -s "$SMX_DIR" "$scratch/link"
    for path in "$scratch/file" "$scratch/link"; do
        run "$bin/smx-agent" --segments.dir="$path" --web.listen-address=127.0.0.1:0
        [ "$status" -eq 1 ]
        [ "${#lines[@]}" -eq 1 ]
        [[ $output == *"directory refused"*"$path"* ]]
    done
}

@test "the log is JSON where that is asked for" {
    start_tcp agent --log.format=json
    jq -e -s 'map(select(.msg == "listening" and .level == "info")) | length == 1' \
        "$scratch/agent.err"
}

# A FIFO of 8192 bytes, which descriptor 8 keeps open.
make_narrow_pipe() {
    mkfifo "$1"
    exec 8<>"$1"
    /usr/bin/python3 -c 'import fcntl; fcntl.fcntl(8, fcntl.F_SETPIPE_SZ, 8192)' 8>&8
}

# What is in it.
drain() {
    dd bs=8192 iflag=nonblock status=none <&8 2>/dev/null || true
}

@test "a log that nobody reads stops nothing: what it does not take is counted, and told of" {
    local loop
    for loop in auto epoll; do
        make_narrow_pipe "$scratch/$loop"
        rm -f "$scratch/agent.sock"
        start agent bash -c 'exec "$@" 2>"$0" 8>&-' "$scratch/$loop" "$bin/smx-agent" --loop=$loop \
            --segments.dir="$SMX_DIR" --web.listen-address="unix:$scratch/agent.sock"
        eventually agent_get /-/ready
        scraped_is smx_agent_log_dropped_lines_total 0
        for i in {1..80}; do
            echo garbage >"$SMX_DIR/$loop-$i.v1.smx"
        done
        eventually eval '[ "$(scraped smx_agent_log_dropped_lines_total)" -gt 0 ]'
        drain >"$scratch/read"
        [ "$(grep -c '^ts=[^ ]* level=[^ ]* msg=' "$scratch/read")" = "$(wc -l <"$scratch/read")" ]
        stop agent
        [ "$ended" -eq 0 ]
        # It is told as soon as anything is logged: that may have been while we read.
        drain >>"$scratch/read"
        grep -q 'level=warn msg="lines of the log were dropped, since nobody took them" lines=[0-9]' \
            "$scratch/read"
        exec 8>&-
        rm "$SMX_DIR"/*
    done
}

@test "every page answers, unknown ones are 404, other methods 405" {
    start_agent
    for path in / /metrics /health /health/live /health/ready /-/healthy /-/ready; do
        [ "$(status "http://agent$path")" = 200 ]
        for method in POST PUT DELETE OPTIONS; do
            [ "$(status -X "$method" "http://agent$path")" = 405 ]
        done
    done
    [ "$(status -d x=y "http://agent/metrics?debug=1")" = 405 ]
    headers -X POST http://agent/metrics | grep -qx 'Allow: GET, HEAD'
    for path in /nothing /metrics/ /health/ready/ // /metrics%00 /%00metrics /metrics%00x; do
        [ "$(status "http://agent$path")" = 404 ]
        [ "$(status -X POST "http://agent$path")" = 404 ]
    done
}

@test "HEAD has the headers of GET and no body" {
    start_agent
    for path in / /health/live; do
        diff <(headers "http://agent$path" | grep -v ^Date) \
            <(headers -I "http://agent$path" | grep -v ^Date)
        [ "$(curl -s -I --unix-socket "$scratch/agent.sock" "http://agent$path" | tr -d '\r' |
            sed '1,/^$/d' | wc -c)" -eq 0 ]
    done
    headers -I http://agent/metrics | grep -q '^Content-Length: [1-9]'
}

@test "the format follows the Accept header" {
    start_agent
    headers http://agent/metrics | grep -qx 'Content-Type: text/plain; version=0.0.4; charset=utf-8'
    headers -H 'Accept: application/openmetrics-text;version=1.0.0' http://agent/metrics |
        grep -qx 'Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8'
    agent_get /metrics | promtool check metrics
}

# A media type as short as it is in the table below.
expand() {
    sed -e 's/PB/application\/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;/' \
        -e 's/MetricFamily;/&encoding=delimited/' -e 's/TEXT/text\/plain;version=/g' \
        -e 's/OM/application\/openmetrics-text;version=/g' -e 's/UTF8/;escaping=allow-utf-8/g' \
        <<<"$1"
}

# The Accept headers that these scrapers send (tests/40-accept.c has more of them), the type of the
# answer, and how it begins a sample whose name not all of them know.
@test "every scraper gets the type and the names that it ranks first" {
    local client accept type sample
    "$build/tests/segment-sample" "$SMX_DIR" names
    start_agent
    while IFS='|' read client accept type sample; do
        type=$(expand "$type" | sed -e 's/;/; /g' -e 's/\.[0-9]\.[0-9]/&; charset=utf-8/')
        echo "$client: $(expand "$accept") should give $type"
        curl -s -D "$scratch/head" -o "$scratch/body" --unix-socket "$scratch/agent.sock" \
            -H "Accept: $(expand "$accept")" http://agent/metrics
        grep -i '^content-type' "$scratch/head"
        tr -d '\r' <"$scratch/head" | grep -qxF "Content-Type: $type"
        grep -aqF "$sample" "$scratch/body"
    done <<'SCRAPERS'
Prometheus 2.42|OM1.0.0,OM0.0.1;q=0.75,TEXT0.0.4;q=0.5,*/*;q=0.1|OM1.0.0|\
http_requests_total{app="names"
Prometheus 2.42, native|PB,OM1.0.0;q=0.8,OM0.0.1;q=0.75,TEXT0.0.4;q=0.5,*/*;q=0.1|PB|\
http_requests_total
Prometheus 2.49.0|OM1.0.0;q=0.5,OM0.0.1;q=0.4,TEXT0.0.4;q=0.3,*/*;q=2|OM1.0.0|\
http_requests_total{app="names"
Prometheus 3.0|OM1.0.0UTF8;q=0.6,OM0.0.1UTF8;q=0.5,TEXT1.0.0UTF8UTF8;q=0.4,TEXT0.0.4UTF8;q=0.3,\
*/*;q=0.2|OM1.0.0UTF8|{"http.requests_total",app="names"
Prometheus 3.4|OM1.0.0UTF8;q=0.6,OM0.0.1;q=0.5,TEXT1.0.0UTF8;q=0.4,TEXT0.0.4;q=0.3,*/*;q=0.2|\
OM1.0.0UTF8|{"http.requests_total",app="names"
Prometheus 3.4, native|PB;q=0.6,OM1.0.0UTF8;q=0.5,OM0.0.1;q=0.4,TEXT1.0.0UTF8;q=0.3,TEXT0.0.4;\
q=0.2,*/*;q=0.1|PB|http_requests_total
Telegraf|PB;q=0.7,TEXT0.0.4;q=0.3|PB|http_requests_total
vmagent|TEXT0.0.4;q=1,*/*;q=0.1|TEXT0.0.4|http_requests_total{app="names"
text 1.0.0|TEXT1.0.0UTF8|TEXT1.0.0UTF8|{"http.requests_total",app="names"
values|TEXT1.0.0;escaping=values|TEXT1.0.0;escaping=values|U__http_2e_requests__total{app="names"
an older OpenMetrics|OM0.0.1;escaping=dots|OM0.0.1;escaping=dots|\
http_dot_requests__total{app="names"
messages in UTF-8|PBUTF8|PBUTF8|http.requests_total
SCRAPERS
    agent_get /metrics | promtool check metrics
}

@test "what is broken is left out alone, counted, and named on the page for people" {
    local page format
    "$build/tests/segment-sample" "$SMX_DIR" broken
    "$build/tests/segment-sample" "$SMX_DIR" names
    start_agent
    for format in text/plain 'application/openmetrics-text;version=1.0.0'; do
        [ "$(status -H "Accept: $format" http://agent/metrics)" -eq 200 ]
        curl -s --unix-socket "$scratch/agent.sock" -H "Accept: $format" http://agent/metrics \
            >"$scratch/body"
        grep -q '^fine_total{app="broken",.*} 1$' "$scratch/body"
        [ "$(grep -c '^twice_total{.*} 2$' "$scratch/body")" -eq 1 ]
        [ "$(grep -c '^twice_total{' "$scratch/body")" -eq 1 ]
        grep -q '^http_requests_total{app="names"' "$scratch/body"
        grep -q '^smx_segment_unsound_records{app="broken",app_instance="one"} 4$' "$scratch/body"
    done
    agent_get /metrics | promtool check metrics
    page=$(agent_get /)
    [[ $page == *'<td>caf?</td><td>broken</td><td>a record of it is unsound: text</td>'* ]]
    [[ $page == *'<td>fine_total</td><td>broken</td><td>a record of it is unsound: duplicate<'* ]]
    [[ $page == *'<td>twice_total</td><td>broken</td><td>a record of it is unsound: duplicate<'* ]]
    [[ $page == *'<td>h&lt;b&gt;</td><td>broken</td><td>a record of it is unsound: buckets<'* ]]
}

@test "a scrape is compressed for who asks for that, and only then" {
    local format
    start_puppet app shop
    tell app "labelled orders_total x 7"
    start_agent
    for format in text/plain 'application/openmetrics-text;version=1.0.0'; do
        headers -H "Accept: $format" http://agent/metrics >"$scratch/plain"
        headers -H "Accept: $format" -H 'Accept-Encoding: gzip' http://agent/metrics >"$scratch/gzip"
        run ! grep -q '^Content-Encoding:' "$scratch/plain"
        grep -qx 'Content-Encoding: gzip' "$scratch/gzip"
        grep -qx 'Vary: Accept, Accept-Encoding' "$scratch/plain"
        grep -qx 'Vary: Accept, Accept-Encoding' "$scratch/gzip"
        curl -s --unix-socket "$scratch/agent.sock" -H "Accept: $format" \
            -H 'Accept-Encoding: gzip' http://agent/metrics | gzip -dc >"$scratch/body"
        grep -qx 'orders_total{app="shop",kind="x"} 7' "$scratch/body"
    done
    headers -H 'Accept-Encoding: gzip;q=0.5, identity' http://agent/metrics >"$scratch/plain"
    run ! grep -q '^Content-Encoding:' "$scratch/plain"
    [ "$(status -H 'Accept-Encoding: identity;q=0, br' http://agent/metrics)" -eq 406 ]
    agent_get /metrics | grep 'scrape_duration_seconds{phase="compress"}' | grep -v ' 0.0$'
}

@test "a connection serves many requests" {
    start_agent
    run curl -sv --unix-socket "$scratch/agent.sock" http://agent/health/live \
        http://agent/metrics http://agent/health/live -o /dev/null -o /dev/null -o /dev/null
    [ "$(grep -c 'Re-using existing connection' <<<"$output")" -eq 2 ]
}

@test "health tells of every segment, and a bad one degrades without taking the agent out" {
    start_puppet app shop
    tell app "gauge up 1"
    start_agent
    agent_get /health | jq -e '.status == "ok" and .components.agent.status == "ok" and
        (.components.segments | length == 1) and
        (.components.segments[0] | .app == "shop" and .live_processes == 1 and
            .state == "served" and .dropped.series_cap == 0 and .max_bytes > .allocated_bytes)'
    echo garbage >"$SMX_DIR/bad<script>.v1.smx"
    agent_get /health | jq -e '.status == "degraded" and
        (.components.segments | map(.state) | sort == ["damaged", "served"])'
    agent_get /-/ready
    agent_get / | grep -q 'bad&lt;script&gt;.v1.smx'
    agent_get /metrics | grep -qx 'smx_agent_segments{state="damaged"} 1'
    agent_get /metrics | grep -qx 'up{app="shop"} 1'
    [ "$(grep -c 'segment left out' "$scratch/agent.err")" -eq 1 ]
}

@test "a new segment is noticed without a scrape" {
    start_agent
    start_puppet app shop
    tell app "counter orders_total 1"
    eventually file_says "$scratch/agent.err" 'serving segment.*shop.v1.smx'
}

@test "several addresses are served at once" {
    start_tcp agent --web.listen-address="unix:$scratch/agent.sock" --web.listen-address=:0
    other=$(sed -En 's/.*msg=listening address=(\[::\]|0\.0\.0\.0):([0-9]+).*/\2/p' "$scratch/agent.err")
    [ "$(agent_get /health/live)" = live ]
    [ "$(curl -s "http://127.0.0.1:$port/health/live")" = live ]
    [ "$(curl -s "http://127.0.0.1:$other/health/live")" = live ]
}

@test "where io_uring is refused the agent takes epoll, unless told otherwise" {
    run "$build/tests/deny-uring" "$bin/smx-agent" --segments.dir="$SMX_DIR" --loop=uring
    [ "$status" -eq 1 ]
    [[ $output == *"io_uring is refused here"* ]]
    start denied "$build/tests/deny-uring" "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --scrape.max-age=0 \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/ready
    agent_get /health | jq -e '.components.agent.loop == "epoll"'
    stop denied
    [ "$ended" -eq 0 ]
}

@test "SIGTERM and SIGINT end an idle agent at once and remove its socket" {
    for signal in TERM INT; do
        start_agent
        curl -s --unix-socket "$scratch/agent.sock" http://agent/metrics >/dev/null
        [ -S "$scratch/agent.sock" ]
        stop agent "$signal"
        [ "$ended" -eq 0 ]
        [ ! -e "$scratch/agent.sock" ]
    done
}

# ask_while_it_drains PATH [ARGUMENT...]: an agent is told to end in the middle of a request, whose
# answer is left in $answer. Once more where a busy machine took the five seconds that it gives.
ask_while_it_drains() {
    local began
    for _ in {1..20}; do
        start_tcp agent "${@:2}"
        exec 7<>"/dev/tcp/127.0.0.1/$port"
        printf 'GET %s HTTP/1.1\r\n' "$1" >&7
        curl -s "http://127.0.0.1:$port/health/live" # what came before it has been read now
        began=${EPOCHREALTIME/[.,]/}
        kill -TERM "${pids[agent]}"
        eventually refuses_connections "$port"
        (printf 'Host: localhost\r\n\r\n' >&7) || true # it may have gone: a SIGPIPE
        answer=$(timeout 30 cat <&7) || true
        exec 7>&-
        stop agent 0
        [ $((${EPOCHREALTIME/[.,]/} - began)) -ge 5000000 ] || return 0
    done
    return 1
}

@test "a request that has begun is answered after SIGTERM, new ones are not taken" {
    for kind in uring epoll; do
        $bin/smx-agent --segments.dir="$SMX_DIR" --loop=$kind --once >/dev/null 2>&1 || continue
        ask_while_it_drains /metrics --loop=$kind
        [[ $answer == "HTTP/1.1 200 OK"* ]]
        [[ $answer == *"Connection: close"* ]]
        [[ $answer == *smx_agent_build_info* ]]
        [ "$ended" -eq 0 ]
    done
}

@test "an agent that is draining is not ready" {
    ask_while_it_drains /health/ready
    [[ $answer == "HTTP/1.1 503 "* ]]
    [ "$ended" -eq 0 ]
}

@test "a request that never ends does not keep the agent" {
    start_tcp agent
    exec 7<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /metrics HTTP/1.1\r\n' >&7
    curl -s "http://127.0.0.1:$port/health/live"
    stop agent TERM
    exec 7>&-
    [ "$ended" -eq 0 ]
}

@test "an agent killed with -9 is replaced by another on the same socket, totals stand" {
    start_puppet app shop
    tell app "counter orders_total 41"
    start_agent
    eventually scraped_is orders_total 41
    stop agent KILL
    [ "$ended" -ne 0 ]
    tell app "counter orders_total 1"
    start agent "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/ready
    scraped_is orders_total 42
}

@test "a socket somebody listens on, or a file in its place, is left alone" {
    start_agent
    run "$bin/smx-agent" --segments.dir="$SMX_DIR" --web.listen-address="unix:$scratch/agent.sock"
    [ "$status" -eq 1 ]
    [ "$(agent_get /health/live)" = live ]
    echo precious >"$scratch/file"
    run "$bin/smx-agent" --segments.dir="$SMX_DIR" --web.listen-address="unix:$scratch/file"
    [ "$status" -eq 1 ]
    [ "$(cat "$scratch/file")" = precious ]
}
