#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-soak.bats - smx-agent under everything at once, round after round: scrapes of every format by
# the thousand, applications that come, are killed and vanish, clients that stall, drip, idle and
# reset, health checks. After each round, when all of them are gone, it must hold as much memory and
# as many descriptors as after the others.
#
# 14 rounds, times SMX_TEST_SCALE, which take some 40 seconds; or as many as go in SMX_SOAK_SECONDS,
# and then it rests four times as long as it works, so that an hour of it does no harm. What it has
# measured goes to SMX_SOAK_LOG, too: seconds, scrapes, KiB, descriptors.

load support/live

bats_require_minimum_version 1.5.0

# What memory may grow by for each scrape, and the scrapes there must be to judge by: a leak of 100
# bytes a scrape is found. However many there are, it may not grow by more than a MiB.
most_bytes=80
least_scrapes=8000
protobuf='proto=io.prometheus.client.MetricFamily;encoding=delimited'

setup() {
    live_setup
    # The sanitizer's allocator keeps freed memory: in a quarantine, and then for some seconds.
    export ASAN_OPTIONS=quarantine_size_mb=0:thread_local_quarantine_size_kb=0:exitcode=23
    ASAN_OPTIONS+=:allocator_release_to_os_interval_ms=0
    client=$BATS_TEST_DIRNAME/support/client.py
    address=unix:$scratch/agent.sock
    scrapes=500 # of each format, in a round
}

teardown() {
    live_teardown
}

# ab has no unix: sockets.
start_soaked_agent() {
    start agent "$@" "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address=127.0.0.1:0 --web.listen-address="$address" \
        --sandbox="${sandbox-auto}"
    eventually agent_get /-/ready
    tcp=$(sed -n 's/.*address=\(127\.0\.0\.1:[0-9]*\).*/\1/p' "$scratch/agent.err" | head -n 1)
}

in_base_state() {
    [[ $(scraped smx_agent_http_connections smx_agent_segments) == $'1\n1' ]]
}

# many_scrapes HEADER: $scrapes of them, by four connections at a time. That each comes in time is
# what `watch` looks at.
many_scrapes() {
    ab -q -l -k -c 4 -s 300 -n "$scrapes" -H "$1" "http://$tcp/metrics" >"$scratch/ab.out"
    grep -qE "^Complete requests: +$scrapes$" "$scratch/ab.out"
    grep -qE '^Failed requests: +0$' "$scratch/ab.out"
    ! grep -E '^(Non-2xx|Write errors)' "$scratch/ab.out"
}

# What happens in a round; nothing of it is left at its end.
round() {
    local what
    start crowd "$build/tests/crowd" "$SMX_DIR" 1 20 20
    start held "$client" hold open,half,stall,drip "$tcp" 20 --from=127.0.0.2
    start watch "$client" watch "$address" --pause=0.02 --limit="${SMX_PATIENCE:-60}"
    for what in crowd held watch; do
        eventually test -s "$scratch/$what.out"
    done
    eventually scraped_is smx_agent_segments 21
    many_scrapes 'Accept: text/plain'
    many_scrapes 'Accept: application/openmetrics-text'
    many_scrapes 'Accept: application/vnd.google.protobuf;'$protobuf
    many_scrapes 'Accept-Encoding: gzip'
    "$client" reset "$tcp" 20
    printf 'rubbish\r\n\r\n' | "$client" send "$tcp" >"$scratch/rubbish.out"
    curl -s -o "$scratch/page" --unix-socket "$scratch/agent.sock" \
        "http://agent/"{,health,health/live,health/ready,nothing}
    stop crowd KILL
    rm "$SMX_DIR"/crowd{?,??}.v1.smx
    stop held
    stop watch
    [ "$ended" -eq 0 ]
    eventually in_base_state
}

# goes_on ROUNDS: after so many.
goes_on() {
    if [[ ${SMX_SOAK_SECONDS-} ]]; then
        [[ $SECONDS -lt $SMX_SOAK_SECONDS ]]
    else
        [[ $1 -lt $((14 * ${SMX_TEST_SCALE:-1})) ]]
    fi
}

# A line of what the agent holds: seconds, scrapes, KiB of memory, descriptors.
measure() {
    local pid=$1 scrapes
    scrapes=$(scraped smx_agent_scrapes_total)
    eventually is_alone
    echo "$SECONDS $scrapes" "$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status")" \
        "$(ls "/proc/$pid/fd" | wc -l)"
}

# Judge those lines, without the first half, while buffers still find their size: the least memory
# and the fewest descriptors of the last third of the others against those of their first.
is_flat() {
    tail -n "+$(($(wc -l <"$1") / 2 + 1))" "$1" |
        awk -v most="$most_bytes" -v least="$least_scrapes" '
        function lowest(of, from, to,   i, low) {
            for (i = low = from; i <= to; i++) if (of[i] < of[low]) low = i
            return of[low]
        }
        function grown(of) { return lowest(of, NR - third + 1, NR) - lowest(of, 1, third) }
        { scrapes[NR] = $2; kib[NR] = $3; fds[NR] = $4 }
        END {
            third = int(NR / 3)
            between = scrapes[NR - third + 1] - scrapes[third]
            allowed = between * most / 1024 < 1024 ? between * most / 1024 : 1024
            printf "%d rounds, %d scrapes, %d KiB: %d KiB more over %d scrapes, %d are allowed;" \
                " %d descriptors, %d more\n",
                NR, scrapes[NR], kib[NR], grown(kib), between, allowed, fds[NR], grown(fds)
            exit !(third > 0 && grown(kib) <= allowed && between >= least && grown(fds) == 0)
        }'
}

# made_up BYTES FDS: the lines of fourteen rounds of 2500 scrapes, each of which leaks so many bytes, and
# each round so many descriptors.
made_up() {
    local i
    for i in {1..14}; do
        echo "$i $((i * 2500)) $((8000 + i * 2500 * $1 / 1024)) $((14 + i * $2))"
    done >"$scratch/made_up"
}

@test "the rule passes what is flat, and neither 100 bytes a scrape nor a descriptor a round" {
    made_up 0 0
    is_flat "$scratch/made_up"
    made_up 20 0
    is_flat "$scratch/made_up"
    made_up 100 0
    run ! is_flat "$scratch/made_up"
    made_up 0 1
    run ! is_flat "$scratch/made_up"
}

@test "memory and descriptors are the same after every round" {
    start_puppet base shop
    tell base "counter orders_total 41"
    start_soaked_agent
    local pid=${pids[agent]} rounds=0 began
    SECONDS=0
    while goes_on "$rounds"; do
        began=$SECONDS
        round
        measure "$pid" >>"$scratch/measured"
        rounds=$((rounds + 1))
        [[ ! ${SMX_SOAK_SECONDS-} ]] || sleep $(((SECONDS - began) * 4))
    done
    [[ ! ${SMX_SOAK_LOG-} ]] || cp "$scratch/measured" "$SMX_SOAK_LOG"
    cat "$scratch/measured"
    run is_flat "$scratch/measured"
    echo "# $output" | tee /dev/fd/3
    [ "$status" -eq 0 ]
    scraped_is orders_total 41
    stop agent
    cat "$scratch/agent.err"
    [ "$ended" -eq 0 ] # with ASan: no error, and nothing leaked
}

@test "valgrind finds no error and no leak after a round of everything" {
    # It knows neither a program built with ASan nor its own descriptors from the program's.
    ! grep -q __asan_init "$bin/smx-agent" || skip "built with ASan, which looks itself"
    start_puppet base shop
    tell base "counter orders_total 41"
    # What valgrind does for itself the agent may not.
    sandbox=off
    start_soaked_agent valgrind --quiet --leak-check=full --error-exitcode=9 \
        --errors-for-leak-kinds=definite,indirect,possible
    scrapes=100
    round
    stop agent
    cat "$scratch/agent.err"
    [ "$ended" -eq 0 ]
    ! grep -q '^==' "$scratch/agent.err"
}
