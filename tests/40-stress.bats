#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 40-stress.bats - smx-agent among clients that mean it no good, or are many: whatever they do, a
# well-behaved scraper gets every answer, whole and in time, and what the agent holds is bounded.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    # Without the sanitizer's quarantine, which grows as freed memory passes through it.
    export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0
    client=$BATS_TEST_DIRNAME/support/client.py
    scale=${SMX_TEST_SCALE:-1}
    patience=60 # of a scraper, where the machine is busy with other tests
}

teardown() {
    live_teardown
}

# start_stressed [COMMAND...]: an agent, started by a command, at $tcp and $scratch/agent.sock.
start_stressed() {
    start agent "$@" "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address="${tcp:-127.0.0.1:0}" \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/ready
    tcp=$(sed -n 's/.*address=\(127\.0\.0\.1:[0-9]*\).*/\1/p' "$scratch/agent.err" | head -n 1)
}

# The agent ends by itself, and with ASan nothing has leaked.
ends_well() {
    stop agent
    cat "$scratch/agent.err"
    [ "$ended" -eq 0 ]
}

# watch NAME [ARGUMENT...]: a good scraper, until `was_served NAME`.
watch() {
    start "$1" "$client" watch "$tcp" --limit="$patience" "${@:2}"
    eventually file_says "$scratch/$1.out" watching
}

was_served() {
    stop "$1"
    echo "# $1: $(tail -n 1 "$scratch/$1.out")" >&3
    cat "$scratch/$1.out"
    [ "$ended" -eq 0 ]
}

# hold NAME ARGUMENT...: bad clients, until `stop NAME`.
hold() {
    start "$1" "$client" hold "${@:2}"
    eventually file_says "$scratch/$1.out" held
}

descriptors() {
    ls "/proc/${pids[agent]}/fd" | wc -l
}

memory_kib() {
    awk '/^RssAnon/ { print $2 }' "/proc/${pids[agent]}/status"
}

# Hundredths of a second of the processor.
cpu_ticks() {
    awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/${pids[agent]}/stat"
}

descriptors_are() {
    [[ $(descriptors) -eq $1 ]]
}

dropped_for() {
    agent_get /metrics | awk -v name="smx_agent_http_dropped_connections_total{reason=\"$1\"}" \
        '$1 == name { print $2 }'
}

scraped_reaches() {
    [[ $(scraped "$1") -ge $2 ]]
}

@test "ten thousand connections opened and left, thousands half asked or reset keep nobody out" {
    local what before
    start "crowd" "$build/tests/crowd" "$SMX_DIR" 0 1 1000
    start_stressed
    before=$(memory_kib)
    # From the address of the flood a connection may be dropped before it has asked.
    watch neighbour --pause=0.01 --forgive=closed
    watch other --pause=0.01 --from=127.0.0.2
    for what in open:10000 half:3000; do
        hold many "${what%:*}" "$tcp" $((${what#*:} * scale)) --limit=60
        echo "# $what: $(descriptors) descriptors, $(memory_kib) KiB" >&3
        [ "$(descriptors)" -le 600 ]
        stop many
    done
    "$client" reset "$tcp" $((3000 * scale))
    was_served neighbour
    was_served other
    eventually scraped_is smx_agent_http_connections 1
    echo "# dropped for their address: $(dropped_for address)" >&3
    # The others on a slow machine for their 30 s, or not accepted before their client has gone.
    [ "$(dropped_for address)" -gt $((1000 * scale)) ]
    [ $(($(memory_kib) - before)) -le 24576 ]
    ends_well
}

@test "who sends a byte now and then, of a header or of a body, keeps nobody out" {
    start_puppet shop shop
    start_stressed
    watch other --pause=0.01 --from=127.0.0.2
    hold slow drip "$tcp" 1000
    eventually scraped_reaches smx_agent_http_accepted_total 1000
    [ "$(descriptors)" -le 600 ]
    was_served other
    ends_well
}

# The status that a request must get, and the request: lines for client.py.
odd_requests() {
    local long tls='\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'
    long=$(printf '%020000d' 0)
    cat <<END
414 GET /$long HTTP/1.1\r\nHost: localhost\r\n\r\n
431 GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: $long\r\n\r\n
431 GET /metrics HTTP/1.1\r\nHost: localhost\r\n$(printf 'X: y\\r\\n%.0s' {1..4000})\r\n
405 POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n$long
405 POST /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n4e20\r\n$long\r\n0\r\n\r\n
405 DELETE / HTTP/1.0\r\n\r\n
405 CONNECT / HTTP/1.0\r\nHost: localhost\r\n\r\n
200 GET /metrics HTTP/1.0\r\n\r\n
404 GET http://elsewhere/metrics HTTP/1.0\r\n\r\n
- GET /metrics HTTP/1.1\r\n\r\n
400 POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n
400 POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n
- POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n
- POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nabcde
- POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n
- GET /metrics\r\n
- GET /metrics HTTP/9.9\r\nHost: localhost\r\n\r\n
- GET /metrics HTTP/1.1\nHost: localhost\n\n
- GET\r\n\r\n
- $tls
- \x00\x00\x00\x00\r\n\r\n
- GET /metrics\x00/../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n
- GET /%00%ff%zz/../metrics HTTP/1.1\r\nHost: localhost\r\nAccept: \xff\xfe;q=;;,,,\r\n\r\n
- \r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost : a\r\n folded\r\n\r\n
END
}

@test "odd, oversized and unfinished requests get an error or nothing, and hurt nobody" {
    start_stressed
    watch neighbour --pause=0.01
    run "$client" odd "$tcp" --limit="$patience" < <(odd_requests)
    echo "$output"
    [ "$status" -eq 0 ]
    "$client" rubbish "$tcp" $((20 * scale))
    was_served neighbour
    eventually scraped_is smx_agent_http_connections 1
    ends_well
}

@test "requests in a pipeline are answered one after the other" {
    start_stressed
    for _ in $(seq $((500 * scale))); do
        printf 'GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n'
    done >"$scratch/pipeline"
    printf 'GET /health/live HTTP/1.0\r\n\r\n' >>"$scratch/pipeline"
    "$client" send "$tcp" --limit="$patience" <"$scratch/pipeline" >"$scratch/answers"
    [ "$(grep -c '^live' "$scratch/answers")" -eq $((500 * scale + 1)) ]
}

@test "two hundred scrape at once and each gets everything" {
    local turn
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 2000
    eventually file_says "$scratch/crowd.out" ready
    start_stressed
    for turn in $(seq "$scale"); do
        run "$client" burst "$tcp" 200 --limit="$patience"
        echo "# $output" >&3
        [ "$status" -eq 0 ]
        [[ $output == "scrapes=200 "* ]]
    done
    ends_well
}

# Two scrapes, one after the other, are the same bytes; else they would count each other.
shares_a_scrape() {
    agent_get /metrics >"$scratch/first"
    agent_get /metrics >"$scratch/second"
    cmp -s "$scratch/first" "$scratch/second"
}

@test "scrapers that stop reading hold bounded memory and keep nobody out" {
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 100000
    eventually file_says "$scratch/crowd.out" ready
    start_stressed
    watch neighbour --pause=0.3
    hold stalled stall "$tcp" $((100 * scale)) --from=127.0.0.2 --pause=0.03
    eventually shares_a_scrape
    echo "# with them: $(memory_kib) KiB" >&3
    [ "$(memory_kib)" -le 262144 ] # a body of 5.4 MB for each would be 540 MB
    was_served neighbour
    stop stalled
    eventually scraped_is smx_agent_http_connections 1
    echo "# without them: $(memory_kib) KiB" >&3
    [ "$(memory_kib)" -le 102400 ]
    ends_well
}

# ask PATH: on descriptor 7, a connection that is kept. Prints the answer.
ask() {
    local line length
    printf 'GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n' "$1" >&7
    while read -r -t 90 line <&7 && [[ $line != $'\r' ]]; do
        echo "${line%$'\r'}"
        [[ $line != Content-Length:* ]] || length=$(tr -dc 0-9 <<<"$line")
    done
    head -c "$length" <&7
}

# The number that the next descriptor will have.
first_free() {
    local n=0
    while [[ -e /proc/${pids[agent]}/fd/$n ]]; do
        n=$((n + 1))
    done
    echo "$n"
}

only_asked() {
    [[ $(ask /metrics) == *$'\nsmx_agent_http_connections 1\n'* ]]
}

@test "without descriptors it neither spins nor lies, and it recovers" {
    local before limit
    start_puppet shop shop
    tell shop "counter orders_total 41"
    start_stressed
    eventually scraped_is orders_total 41
    exec 7<>"/dev/tcp/${tcp/://}"
    eventually only_asked
    limit=$(prlimit --pid "${pids[agent]}" --nofile --output SOFT --noheadings)
    prlimit --pid "${pids[agent]}" --nofile="$(first_free):"

    # What it knew it still serves, but it says that it could not look.
    [[ $(ask /health/ready) == *'503 Service'* ]]
    [[ $(ask /health) == *'"status": "unavailable"'*'Too many open files'* ]]
    [[ $(ask /metrics) == *$'\norders_total{app="shop"} 41' ]]
    exec 7>&-

    hold many half "$tcp" 50
    before=$(cpu_ticks)
    sleep 2 # the measure, not a wait
    echo "# $(($(cpu_ticks) - before)) ticks of 200 with 50 at the door" >&3
    [ $(($(cpu_ticks) - before)) -lt 50 ]
    prlimit --pid "${pids[agent]}" --nofile="$limit:"
    eventually agent_get /-/ready
    scraped_is orders_total 41
    stop many
    ends_well
}

@test "segments past what descriptors allow are left out, named and counted" {
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 50 1
    eventually file_says "$scratch/crowd.out" ready
    start_stressed prlimit --nofile=128:128
    watch neighbour --from=127.0.0.2
    agent_get /metrics | grep -qx 'smx_agent_segments{state="served"} 36'
    scraped_is smx_agent_left_out_segments 14
    agent_get /health | jq -e '.status == "degraded" and .components.agent.segments_left_out == 14'
    [ "$(grep -c 'more than the agent looks at' "$scratch/agent.err")" -eq 14 ]
    hold many open "$tcp" 100
    agent_get /-/ready
    [ "$(descriptors)" -le 128 ]
    rm "$SMX_DIR"/crowd[0-2]?.v1.smx
    eventually scraped_is smx_agent_left_out_segments 0
    agent_get /metrics | grep -qx 'smx_agent_segments{state="served"} 30'
    agent_get /health | jq -e '.status == "ok"'
    [ "$(grep -c 'more than the agent looks at' "$scratch/agent.err")" -eq 14 ]
    stop many
    was_served neighbour
    ends_well
}

@test "five hundred segments appear and vanish" {
    local turn i before
    start_puppet shop shop
    tell shop "counter orders_total 41"
    start_stressed
    eventually is_alone
    before=$(descriptors)
    watch neighbour --pause=0.02
    for turn in $(seq "$scale"); do
        for i in {0..9}; do
            start "crowd$i" "$build/tests/crowd" "$SMX_DIR" $((i * 50)) 50 3
        done
        eventually scraped_is smx_agent_segments 501
        eventually scraped_is smx_segment_processes 501
        for i in {0..9}; do
            stop "crowd$i" KILL
        done
        eventually scraped_is smx_segment_processes 1
        find "$SMX_DIR" -name 'crowd*' -delete
        eventually scraped_is smx_agent_segments 1
    done
    was_served neighbour
    scraped_is orders_total 41
    eventually descriptors_are "$before"
    ends_well
}

@test "killed at any moment and started again on its port, no total goes down" {
    local turn
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 3 300
    eventually file_says "$scratch/crowd.out" ready
    # No port of those that the kernel gives to clients, while there is no agent.
    tcp=127.0.0.1:$((21500 + RANDOM % 100))
    start_stressed
    watch neighbour --forgive=cut --pause=0.005
    watch other --forgive=cut --pause=0.005
    for turn in $(seq $((6 * scale))); do
        sleep "0.$((RANDOM % 30 + 10))" # any moment
        stop agent KILL
        start_stressed
    done
    was_served neighbour
    was_served other
    scraped_is smx_agent_segments 3
    ends_well
}

@test "SIGHUP under load changes nothing, SIGTERM ends it when all that has begun is answered" {
    local turn
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 10000
    eventually file_says "$scratch/crowd.out" ready
    start_stressed
    for turn in $(seq "$scale"); do
        watch one --forgive=closed
        watch two --forgive=closed
        hold bad drip "$tcp" 20
        for _ in 1 2 3 4 5; do
            eventually scraped_reaches smx_agent_scrapes_total \
                $(($(scraped smx_agent_scrapes_total) + 4))
            kill -HUP "${pids[agent]}"
        done
        stop bad
        ends_well
        was_served one
        was_served two
        start_stressed
    done
}

peak_kib() {
    awk '/^VmHWM/ { print $2 }' "/proc/${pids[agent]}/status"
}

# scrape_at_once N: print the status and the size of each answer.
scrape_at_once() {
    curl -sS --parallel --parallel-immediate --parallel-max "$1" -o /dev/null \
        -w '%{http_code} %{size_download}\n' "http://$tcp/metrics?n=[1-$1]"
}

# Forty pages would be 650 MB.
@test "forty who scrape a long page at once take little more memory than one" {
    local one forty
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 300000
    eventually file_says "$scratch/crowd.out" ready
    start_stressed
    scrape_at_once 1
    scrape_at_once 1
    one=$(peak_kib)
    scrape_at_once 40 >"$scratch/answers"
    forty=$(peak_kib)
    echo "# with one: $one KiB, with forty: $forty KiB" >&3
    [ "$(awk '$1 == 200 && $2 > 16000000' "$scratch/answers" | wc -l)" -eq 40 ]
    [ $((forty - one)) -le 65536 ]
    ends_well
}

# Until the agent has read the request of curl's trace: it answers one that came later. Without a
# process, which might come to a CPU when the page is made.
has_been_read() {
    local line deadline=$((SECONDS + 90)) later
    until [[ $(<"$scratch/trace") == *'GET /metrics'* ]]; do
        [ "$SECONDS" -lt "$deadline" ]
    done
    exec {later}<>"/dev/tcp/${agent/://}"
    printf 'GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&"$later"
    read -r -t 90 line <&"$later"
    exec {later}>&-
}

# start_long SERIES: a page of so many.
start_long() {
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 "$1"
    eventually file_says "$scratch/crowd.out" ready
}

# Again until it came in the middle, which is the rule: the first page takes longest.
@test "SIGTERM while a long page is made ends it when that is sent, whole" {
    local caught= turn began status series=300000
    start_long "$series"
    for turn in {1..20}; do
        rm -f "$scratch/page"
        : >"$scratch/trace"
        start_tcp_agent agent --web.listen-address="unix:$scratch/agent.sock"
        start scrape curl -sS --fail --no-buffer --trace-ascii "$scratch/trace" \
            -o "$scratch/page" --unix-socket "$scratch/agent.sock" http://agent/metrics
        has_been_read
        ((turn % 2)) || sleep "0.0$((RANDOM % 10))" # any moment
        began=${EPOCHREALTIME/[.,]/} status=0
        kill -TERM "${pids[agent]}"
        eventually file_says "$scratch/agent.err" stopping
        [ -s "$scratch/page" ] || caught=1
        wait "${pids[scrape]}" || status=$?
        unset "pids[scrape]"
        ends_well
        if [ "$status" -ne 0 ]; then
            # On a busy machine it takes longer than the five seconds that it is given: a shorter one.
            [ $((${EPOCHREALTIME/[.,]/} - began)) -ge 5000000 ]
            stop crowd KILL
            rm "$SMX_DIR"/crowd0.v1.smx
            caught= series=$((series / 2))
            start_long "$series"
            continue
        fi
        [ "$(grep -c '^items_total{' "$scratch/page")" -eq "$series" ]
        [ -z "$caught" ] || break
    done
    [ "$caught" ]
}

# health_says STATE: 200, every segment in that state, and nothing wrong.
health_says() {
    agent_get /health >"$scratch/health"
    agent_get / >/dev/null
    jq -e --arg state "$1" '.status == "ok" and
        ([.components.segments[].state] | unique) == [$state]' "$scratch/health"
}

@test "while a large segment is read for the first time, who asks how it goes is told so" {
    local seen=
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 300000
    eventually file_says "$scratch/crowd.out" ready
    for _ in {1..20}; do
        start agent "$bin/smx-agent" --segments.dir="$SMX_DIR" \
            --web.listen-address="unix:$scratch/agent.sock"
        eventually file_says "$scratch/agent.err" listening
        ! health_says new || seen=1
        eventually health_says served
        [ "$(jq '.components.segments[].series' "$scratch/health")" -ge 300000 ]
        agent_get / | grep -q 30000
        ends_well
        [ -z "$seen" ] || break
    done
    [ "$seen" ]
}
