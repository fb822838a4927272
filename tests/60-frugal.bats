#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# An agent that has nothing to do does nothing: it is woken by scrapes, takes little memory however
# many series there are, and writes no byte to a disk. What is judged are counts, not times.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    start crowd "$build/tests/crowd" "$SMX_DIR" 0 1 10000
    eventually file_says "$scratch/crowd.out" ready
}

teardown() {
    live_teardown
}

# number FILE KEY: of /proc/<agent>/FILE.
number() {
    awk -v key="$2:" '$1 == key { print $2 }' "/proc/${pids[agent]}/$1"
}

# A scrape as Prometheus asks for one, on a connection that it keeps: that is idle, too, then.
scrape_and_stay() {
    exec {wire}<>"/dev/tcp/127.0.0.1/${agent##*:}"
    cat <&$wire >"$scratch/page" 3>&- &
    pids[page]=$!
    printf 'GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n' >&$wire
    eventually page_is_whole
}

page_is_whole() {
    local length
    length=$(tr -d '\r' <"$scratch/page" | sed -n 's/^Content-Length: //p; /^$/q')
    [[ $length && $(sed '1,/^\r$/d' "$scratch/page" | wc -c) -eq $length ]]
}

# Hundredths of a second since the start of the machine.
uptime() {
    tr -d . </proc/uptime | cut -d ' ' -f 1
}

# Ten seconds between two scrapes, the connection of the first kept: woken twice a second at most.
idles() {
    local woken written ticks began
    scrape_and_stay
    grep -q '^items_total{.*item/9999"' "$scratch/page"
    began=$(uptime)
    woken=$(number status voluntary_ctxt_switches)
    written=$(number io wchar)
    ticks=$(($(awk '{ print $14 + $15 }' "/proc/${pids[agent]}/stat")))
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1 # nothing is waited for: this is the time that is looked at
    done
    woken=$(($(number status voluntary_ctxt_switches) - woken))
    began=$(($(uptime) - began)) # on a busy machine it is longer
    echo "woken $woken times in $began / 100 s, $(($(awk '{ print $14 + $15 }' "/proc/${pids[agent]}/stat") - ticks)) ticks"
    [ "$woken" -le $((began / 50)) ]
    [ "$(number io wchar)" -eq "$written" ]
    curl -sf -o /dev/null "http://$agent/metrics"
    [ "$(number io write_bytes)" -eq 0 ]
    [ "$(number status RssAnon)" -le $((12 * 1024)) ]
}

@test "with ten thousand series and nobody who asks the agent sleeps, on io_uring" {
    start_tcp_agent agent --loop=auto
    idles
}

@test "and on epoll" {
    start_tcp_agent agent --loop=epoll
    idles
}

@test "asking for memory and bytes of processes does not keep it awake" {
    start_tcp_agent agent --workers.memory --workers.io
    idles
}
