#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# mod_smx in Debian's httpd, with each MPM: what it counts is what the access log has, line for line,
# over graceful restarts, recycled children, and children that are killed.
#
# A request is counted right before its line is written. So a child that is killed can leave one
# request for each of its threads that was counted and not logged; none is ever logged and not
# counted. Where nobody is killed, counts and lines are equal.

load support/live
load support/prometheus

setup() {
    [[ -e $build/lib/mod_smx.so ]] || skip "mod_smx is not built: no apache2-dev"
    live_setup
    # The children are another user.
    chmod 711 "$scratch"
    mkdir "$scratch/www"
    echo hello >"$scratch/www/index.html"
    echo gone >"$scratch/www/missing.html"
    head -c 20000 /dev/zero | tr '\0' x >"$scratch/www/big.txt"
    export ROOT=$scratch MODULE=$build/lib/mod_smx.so MODULES=/usr/lib/apache2/modules
    export MPM=prefork RECYCLE=0 PORT
    PORT=$(free_port)
    url=http://127.0.0.1:$PORT
    app=apache2
}

teardown() {
    [[ ${scratch-} ]] || return 0
    cat "$scratch/difference" 2>/dev/null || true
    [[ ! ${pids[httpd]-} ]] || stop httpd
    umount "$scratch/small" 2>/dev/null || true
    live_teardown
}

free_port() {
    local port=$((21000 + RANDOM % 500)) # 60-quickstart's are from 22080 on
    while [[ $(ss -Hltn "sport = :$port") ]]; do
        port=$((21000 + RANDOM % 500))
    done
    echo "$port"
}

# start_httpd [ARGUMENT...]: in a process group of its own, for it sends signals to all of its group.
start_httpd() {
    start httpd setsid apache2 -f "$root/tests/support/apache.conf" -DFOREGROUND "$@"
    eventually file_says "$scratch/error.log" 'resuming normal operations'
}

# By a signal that is not the last thing it does: USR1 gracefully, HUP at once.
restart_httpd() {
    local before
    before=$(grep -c 'resuming normal operations' "$scratch/error.log")
    kill -"${1-USR1}" "${pids[httpd]}"
    eventually has_started "$before"
}

has_started() {
    [[ $(grep -c 'resuming normal operations' "$scratch/error.log") -gt $1 ]]
}

start_load() {
    start load wrk --threads 1 --connections 8 --duration 10m -s "$root/tests/support/apache.lua" \
        "$url/"
    eventually lines_after 0
}

lines() {
    wc -l <"$scratch/access.log"
}

lines_after() {
    [[ $(lines) -gt $(($1 + 100)) ]]
}

# Go on for a while under load.
work() {
    eventually lines_after "$(lines)"
}

# The access log by what is counted: "count vhost method status handler", sorted.
logged() {
    awk '{
        method = $2 ~ /^(GET|HEAD|POST|OPTIONS)$/ ? $2 : "other"
        handler = $4 ~ /^proxy:/ ? "proxy-server" : $4 ~ /^-$|\// ? "default-handler" : $4
        n[$1 " " method " " $3 " " handler]++
    } END { for (key in n) print key, n[key] }' "$scratch/access.log" | sort
}

counted() {
    "$bin/smx-dump" --json --family=apache_http_requests_total "$app" |
        jq -r '.families[].series[] |
            "\(.labels.vhost) \(.labels.method) \(.labels.status) \(.labels.handler) \(.value)"' |
        sort
}

# Every line of the log is counted under its labels, and nothing else is.
counts_are_lines() {
    diff <(logged) <(counted) >"$scratch/difference"
}

# Of a family's histograms.
sum_of() {
    "$bin/smx-dump" --json --family="$1" "$app" | jq '[.families[].series[].sum] | add // 0'
}

# The sum of a column of the access log.
column() {
    awk -v column="$1" '{ n += $column } END { print n }' "$scratch/access.log"
}

apache_is() {
    dumped_is "$1" "$2" "$app"
}

# The load, and httpd when all of it is served: what waits to be accepted would be so at any time.
end_gracefully() {
    stop load
    eventually apache_is apache_open_connections 0
    eventually apache_is apache_http_in_flight_requests 0
    stop httpd WINCH
    [[ $ended -eq 0 ]]
}

# exactly_counts MPM N: under load, with restarts, each with another configuration, and children that
# end after N connections.
exactly_counts() {
    local round received labels=('vhost handler' none 'method status')
    export MPM=$1 RECYCLE=$2
    start_httpd
    curl -sI "$url/big.txt"
    start_load
    for ((round = 0; round < 3 * ${SMX_TEST_SCALE:-1}; round++)); do
        work
        echo "SmxHistogramLabels ${labels[round % 3]}" >"$scratch/extra.conf"
        restart_httpd
    done
    work
    end_gracefully
    counts_are_lines
    [[ $(sum_of apache_http_response_size_bytes) -eq $(column 5) ]]
    # mod_logio also adds the byte at which httpd peeks to see whether another request is there.
    received=$(sum_of apache_http_request_size_bytes)
    echo "received $received, with peeked ones $(column 6), $(lines) lines"
    [[ $received -le $(column 6) && $received -ge $(($(column 6) - $(lines))) ]]
    apache_is apache_http_request_duration_seconds "$(lines)"
    apache_is apache_http_request_size_bytes "$(lines)"
}

@test "prefork: counts are the lines of the access log, and sizes their sums" {
    exactly_counts prefork 20
}

@test "worker: counts are the lines of the access log, and sizes their sums" {
    exactly_counts worker 60
}

@test "event: counts are the lines of the access log, and sizes their sums" {
    exactly_counts event 60
}

@test "sizes and bytes are those that a client has sent and received" {
    local request requests=
    for request in GET HEAD; do
        requests+=$request$' / HTTP/1.1\r\nHost: first.test\r\n\r\n'
    done
    requests+=$'POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello'
    local to
    start_httpd
    exec {to}<>"/dev/tcp/127.0.0.1/$PORT"
    printf %s "$requests" >&"$to"
    cat <&"$to" >"$scratch/answers"
    exec {to}>&-
    eventually apache_is apache_http_requests_total 3
    eventually counts_are_lines
    eventually apache_is apache_open_connections 0
    [[ $(sum_of apache_http_request_size_bytes) -eq ${#requests} ]]
    [[ $(sum_of apache_http_response_size_bytes) -eq 12 ]]
    eventually apache_is apache_received_bytes_total ${#requests}
    apache_is apache_sent_bytes_total "$(wc -c <"$scratch/answers")"
    apache_is apache_connections_total 1
}

has_received() {
    [[ $(dumped apache_received_bytes_total "$app") -ge $1 ]]
}

@test "bytes are counted while their request goes on, and the last when the connection ends" {
    local request=$'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n' to
    start_httpd
    exec {to}<>"/dev/tcp/127.0.0.1/$PORT"
    printf %s "$request" >&"$to"
    head -c 40000 /dev/zero >&"$to"
    eventually has_received 24000
    apache_is apache_http_requests_total 0
    exec {to}>&-
    eventually apache_is apache_http_requests_total 1
    eventually apache_is apache_received_bytes_total $((${#request} + 40000))
    exec {to}<>"/dev/tcp/127.0.0.1/$PORT"
    printf 'GET' >&"$to"
    exec {to}>&-
    eventually apache_is apache_connections_total 2
    eventually apache_is apache_open_connections 0
    eventually apache_is apache_received_bytes_total $((${#request} + 40003))
}

@test "a stream of HTTP/2 is a request, and a proxy's own connection is no client's" {
    cat >"$scratch/extra.conf" <<END
LoadModule http2_module $MODULES/mod_http2.so
LoadModule proxy_module $MODULES/mod_proxy.so
LoadModule proxy_http_module $MODULES/mod_proxy_http.so
Protocols h2c http/1.1
<Location /proxied>
    SetHandler proxy:http://127.0.0.1:$PORT
</Location>
END
    export MPM=event
    start_httpd
    curl -s -o /dev/null --http2-prior-knowledge "$url/missing"
    eventually apache_is apache_http_requests_total 1
    eventually apache_is apache_http_in_flight_requests 0
    apache_is apache_connections_total 1
    curl -s -o /dev/null "$url/proxied"
    eventually apache_is apache_http_requests_total 3
    counted | grep ' GET 404 proxy-server 1'
    # Of curl, and of the proxy, as the server that it asks.
    apache_is apache_connections_total 3
    eventually counts_are_lines
    eventually apache_is apache_open_connections 0
}

@test "a request is counted before its line is written: a child killed in between leaves it" {
    local full
    mkfifo "$scratch/full"
    exec {full}<>"$scratch/full"
    dd if=/dev/zero of="$scratch/full" bs=4096 oflag=nonblock 2>/dev/null || true
    echo "CustomLog $scratch/full smx" >"$scratch/extra.conf"
    start_httpd
    start client curl -s -o /dev/null "$url/index.html"
    eventually apache_is apache_http_requests_total 1
    kill -KILL $(pgrep -P "${pids[httpd]}")
    stop client
    apache_is apache_http_requests_total 1
    exec {full}>&-
}

# What was counted more often than logged, over all labels. Fails if anything was less often.
unlogged() {
    awk 'FNR == NR { logged[$1, $2, $3, $4] = $5; next }
        { more = $5 - logged[$1, $2, $3, $4]; delete logged[$1, $2, $3, $4]
          if (more < 0) { print "not counted:", $0; bad = 1 }
          n += more }
        END { for (key in logged) bad = 1; print n + 0; exit bad }' <(logged) <(counted)
}

# Another one, if it has just ended by itself.
kill_a_child() {
    eventually kill_any_child 2>/dev/null
}

kill_any_child() {
    kill -KILL "$(pgrep -P "${pids[httpd]}" | shuf -n 1)"
}

# survives_storm MPM THREADS: a child has so many. An instance of its own, so that totals go on.
survives_storm() {
    local round rounds=$((2 * ${SMX_TEST_SCALE:-1})) total
    export MPM=$1 RECYCLE=100
    app=apache2@$1
    echo "SmxInstance $1" >"$scratch/extra.conf"
    rm -f "$scratch"/*.log
    start_httpd
    start_load
    for ((round = 0; round < rounds; round++)); do
        kill_a_child
        work
        restart_httpd
        kill_a_child
        work
    done
    restart_httpd HUP
    work
    end_gracefully
    run unlogged
    echo "$1: counted and not logged: $output, of $(lines)"
    # HUP ends up to 16 threads wherever they are.
    [[ $status -eq 0 && $output -le $((2 * rounds * $2 + 16)) ]]
    total=$(dumped apache_http_requests_total "$app")
    eventually answer_is "sum(apache_http_requests_total{app_instance=\"$1\"})" "$total"
}

@test "under a storm of kills and restarts no line is uncounted, and Prometheus sees no reset" {
    start_tcp_agent
    start_prometheus
    survives_storm prefork 1
    survives_storm worker 4
    survives_storm event 4
    answer_is 'sum(resets(apache_http_requests_total[1h]))' 0
    answer_is 'sum(resets(apache_http_request_duration_seconds_count[1h]))' 0
    was_never_refused
}

# The first line of extra.conf is refused, and httpd says why.
refuses() {
    echo "$1" >"$scratch/extra.conf"
    run apache2 -f "$root/tests/support/apache.conf" -t
    echo "$output"
    [[ $status -ne 0 && $output == *"line 1 of $scratch/extra.conf"*"$2"* ]]
}

@test "a wrong directive is refused by configtest, with its line and what is allowed" {
    local name
    refuses 'SmxEngine Maybe' 'SmxEngine must be On or Off'
    refuses 'SmxLabels vhost colour' "'colour' is not a label; use vhost, method, status, handler"
    refuses 'SmxLabels' 'which labels'
    refuses 'SmxHistogramLabels none vhost' "'none' is not a label"
    for name in '"a b"' .hidden "$(printf 'x%.0s' {1..64})"; do
        refuses "SmxApplication $name" 'SmxApplication: '
    done
    refuses 'SmxInstance a/b' "SmxInstance: 'a/b' must be 1 to 63"
    refuses 'SmxDirectory run/smx' 'must be an absolute path'
    refuses 'SmxDurationBounds 1 2 two' "'two' must be a number of seconds"
    refuses 'SmxDurationBounds 1 1' "'1' must be a number of seconds, above"
    refuses "SmxDurationBounds $(seq -s ' ' 64)" 'takes 1 to 63 bounds'
    refuses "$(printf '<VirtualHost *>\nSmxDirectory /run/smx\n</VirtualHost>')" '' || true
    [[ $output == *'SmxDirectory cannot occur within <VirtualHost> section'* ]]
    : >"$scratch/extra.conf"
    apache2 -f "$root/tests/support/apache.conf" -t
}

get() {
    curl -s -o /dev/null --resolve "$1:$PORT:127.0.0.1" "http://$1:$PORT$2"
}

@test "a virtual host is not counted where it is off, and labelled by what was chosen for it" {
    echo 'SmxLabels vhost status' >"$scratch/extra.conf"
    echo 'SmxEngine Off' >"$scratch/second.conf"
    start_httpd
    get first.test /
    get second.test /
    eventually apache_is apache_http_requests_total 1
    counted
    [[ $(counted) == "first.test:$PORT  200  1" ]]
    eventually apache_is apache_http_request_duration_seconds 1
    printf 'SmxEngine On\nSmxLabels none\nSmxHistogramLabels method' >"$scratch/second.conf"
    restart_httpd
    get second.test /
    eventually apache_is apache_http_requests_total 2
    [[ $(counted | head -n 1) == "    1" ]]
    "$bin/smx-dump" --json --family=apache_http_request_duration_seconds apache2 |
        jq -e '[.families[].series[] | select(.count > 0).labels | {vhost, method}] | sort ==
            ([{vhost: "", method: "GET"}, {vhost: "first.test:'"$PORT"'", method: ""}] | sort)'
}

@test "without a segment httpd serves, says so once, and counts when it can, after a reload" {
    export SMX_DIR=$scratch/later
    start_httpd
    [[ $(curl -s "$url/index.html") == hello ]]
    cat "$scratch/error.log"
    [[ $(grep -c smx: "$scratch/error.log") -eq 1 ]]
    grep -q ':warn\].*smx: httpd runs without metrics: .*later.*SmxDirectory' "$scratch/error.log"
    mkdir "$SMX_DIR"
    restart_httpd
    [[ $(curl -s "$url/index.html") == hello ]]
    eventually apache_is apache_http_requests_total 1
    [[ $(grep -c smx: "$scratch/error.log") -eq 1 ]]
}

second_is_measured() {
    get second.test /
    "$bin/smx-dump" --json --family=apache_http_request_duration_seconds apache2 |
        jq -e --arg vhost "second.test:$PORT" \
            '[.families[].series[] | select(.labels.vhost == $vhost).count] | add > 0' >/dev/null
}

@test "a virtual host that found no room for its series has them when there is, without a reload" {
    [[ $(id -u) -eq 0 ]] || skip "it takes root to mount a small tmpfs"
    local i long
    long=$(printf 'x%.0s' {1..200})
    mkdir "$scratch/small"
    mount -t tmpfs -o size=4m smx-test "$scratch/small"
    export SMX_DIR=$scratch/small
    echo "AliasMatch ^/h $scratch/www/index.html" >"$scratch/extra.conf"
    for ((i = 0; i < 600; i++)); do
        printf '<Location /h%d>\nSetHandler %s\n</Location>\n' "$i" "$long$i" >>"$scratch/extra.conf"
        printf 'url=%s/h%d\noutput=/dev/null\n' "$url" "$i" >>"$scratch/urls"
    done
    echo 'SmxEngine Off' >"$scratch/second.conf"
    start_httpd
    # Take what tmpfs has, and then what was reserved before, by series of other handlers.
    cat /dev/zero >"$scratch/small/filler" 2>/dev/null || true
    curl -s -K "$scratch/urls"
    "$bin/smx-dump" apache2 | grep 'lost *space'
    : >"$scratch/second.conf"
    restart_httpd
    run second_is_measured
    [[ $status -ne 0 ]]
    rm "$scratch/small/filler"
    eventually second_is_measured
}

@test "bounds are those of the start until httpd is stopped, and it says so" {
    echo 'SmxDurationBounds 0.5 30' >"$scratch/extra.conf"
    start_httpd
    get first.test /
    eventually apache_is apache_http_request_duration_seconds 1
    echo 'SmxDurationBounds 0.1 30' >"$scratch/extra.conf"
    restart_httpd
    grep -q ':warn\].*SmxDurationBounds has changed' "$scratch/error.log"
    get first.test /
    eventually apache_is apache_http_request_duration_seconds 2
    [[ $(grep -c smx: "$scratch/error.log") -eq 1 ]]
}

@test "a segment of another name and place, as the directives say" {
    mkdir "$scratch/elsewhere"
    printf '%s\n' "SmxDirectory $scratch/elsewhere" 'SmxApplication web' 'SmxInstance blue' \
        >"$scratch/extra.conf"
    start_httpd
    get first.test /
    ls "$scratch/elsewhere"
    [[ -e $(echo "$scratch/elsewhere/web@blue".v*.smx) ]]
    [[ ! $(ls "$SMX_DIR") ]]
}

# "level count" of the error log, and of what was counted.
levels_logged() {
    grep -oE '\[[a-z0-9_]+:[a-z]+[0-9]?\]' "$scratch/error.log" |
        sed -E 's/.*:([a-z]+).*/\1/' | sort | uniq -c | awk '{ print $2, $1 }'
}

levels_counted() {
    "$bin/smx-dump" --json --family=apache_error_log_messages_total apache2 |
        jq -r '.families[].series[] | select(.value > 0) | "\(.labels.level) \(.value)"' | sort
}

levels_are_equal() {
    diff <(levels_logged) <(levels_counted) >"$scratch/difference"
}

@test "messages of the error log are counted by level" {
    echo 'LogLevel debug' >"$scratch/extra.conf"
    start_httpd
    get first.test /forbidden
    get first.test /forbidden
    eventually levels_are_equal
    levels_logged | grep -qx 'error 2'
    levels_logged | grep -q debug
    levels_logged | grep -q notice
}

# By the name of the state.
states() {
    "$bin/smx-dump" --json --family="$1" apache2 |
        jq -c '[.families[].series[] | {key: .labels.state, value}] | from_entries'
}

has_children() {
    [[ $(pgrep -c -P "${pids[httpd]}") -eq $1 ]]
}

children_are_counted() {
    [[ $(states apache_children) == '{"serving":4,"full":0,"stopping":0}' ]] &&
        states apache_workers | jq -e '.ready == 4 and add == 4'
}

# The parent looks at every tenth of its turns, of which it has one a second, and one for each child
# that ends: soon after eight of twelve.
@test "children and their workers are counted by state" {
    printf '%s\n' 'StartServers 12' 'MaxSpareServers 16' >"$scratch/extra.conf"
    start_httpd
    eventually has_children 12
    kill -KILL $(pgrep -P "${pids[httpd]}" | head -n 8)
    eventually children_are_counted
}

has_files() {
    [[ $(ls "$1/fd" | wc -l) -eq $2 ]]
}

@test "a reload leaves nothing behind in the parent" {
    start_httpd
    restart_httpd
    local parent=/proc/${pids[httpd]} files mapped i
    files=$(ls "$parent/fd" | wc -l)
    mapped=$(grep -c smx "$parent/maps")
    for ((i = 0; i < 5; i++)); do
        restart_httpd
    done
    cat "$parent/maps" | grep smx
    eventually has_files "$parent" "$files"
    [[ $(grep -c smx "$parent/maps") -eq $mapped ]]
}
