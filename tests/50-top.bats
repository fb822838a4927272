#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 50-top.bats - smx-top: rates of live segments, printed and on a terminal, and how it ends.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    build=${SMX_BUILD:-$root/build/release}
    top=$build/bin/smx-top
    unset SMX_DIR
    dir=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    live=
    pid=
}

teardown() {
    [ -z "$pid" ] || kill "$pid" 2>/dev/null || true
    stop_live
    rm -rf "$dir"
}

# Start a forking program that counts; descriptor 8 keeps it alive.
start_live() {
    rm -f "$dir/in" "$dir/out"
    mkfifo "$dir/in" "$dir/out"
    "$build/tests/segment-live" "$dir" live <"$dir/in" >"$dir/out" 3>&- &
    live=$!
    exec 8>"$dir/in"
    read -r path <"$dir/out"
}

stop_live() {
    [ -n "$live" ] || return 0
    exec 8>&-
    wait "$live" || true
    live=
}

# Wait until a file holds a text: wait_for FILE TEXT.
wait_for() {
    local deadline=$((SECONDS + 90))
    until grep -qF -- "$2" "$1" 2>/dev/null; do
        ((SECONDS < deadline)) || return 1
        sleep 0.02
    done
}

# The number in one column of the line of a series: column SERIES INDEX.
column() {
    awk -v series="$1" -v index_="$2" '$NF == series { print $index_ }' <<<"$output"
}

# Start smx-top on a terminal of its own, made by script(1). Its screen goes to $dir/screen, what is
# written to descriptor 9 is typed.
start_screen() {
    mkfifo "$dir/keys"
    TERM=xterm script -qefc "exec '$top' -d '$dir' -i 0.05" "$dir/log" \
        <"$dir/keys" >"$dir/screen" 3>&- 8>&- &
    terminal=$!
    exec 9>"$dir/keys"
}

@test "help, version and usage errors end as they should" {
    run -0 "$top" --help
    [[ "$output" == Usage:* ]]
    run -0 "$top" --version
    run -2 "$top" --frobnicate
    run -2 "$top" --interval 0
    run -2 "$top" --interval 1x
    [[ "$output" == *"--interval takes seconds"* ]]
}

# Once more if the worker did not come to a CPU all the while, or only between its two: a rate is 0
# then.
show_live() {
    local deadline=$((SECONDS + 90))
    until run -0 "$top" --once --interval 0.3 --directory "$dir" live &&
        has_rate ticks_total && has_rate size_bytes; do
        ((SECONDS < deadline)) || return 1
    done
}

has_rate() {
    awk -v rate="$(column "$1" 1)" 'BEGIN { exit !(rate > 0) }'
}

@test "once shows a rate, and the statistics of the interval and in total" {
    start_live
    show_live
    [[ "$output" == *"live: 2 live processes, 3 series"* ]]
    has_rate ticks_total
    [[ "$(column ticks_total 2)" =~ ^[1-9][0-9]*$ ]]
    has_rate size_bytes
    [ "$(column size_bytes 2)" = 100 ]
    [ "$(column size_bytes 6)" = 100 ]
}

@test "a gauge has a value and no rate, and comes after what has one" {
    start_live
    show_live
    [ "$(column active 1)" = - ]
    [ "$(column active 2)" = 3 ]
    [[ "${lines[-1]}" == *active ]]
}

@test "what nobody writes has the rate 0 and no statistics of the interval" {
    "$build/tests/segment-sample" "$dir" plain
    run -0 "$top" --once --interval 0.02 --directory "$dir" plain@one
    [ "$(column busy_seconds_total 1)" = 0 ]
    [[ "$(grep duration_seconds <<<"$output")" =~ ^\ +0\ +-\ +-\ +-\ +4\ +125\ ms\ +100\ ms ]]
    [[ "$output" == *"12 lost"* ]]
}

# An application that does what it is told, and says "ok"; descriptor 8 keeps it alive.
start_puppet() {
    mkfifo "$dir/in" "$dir/out"
    SMX_DIR=$dir "$build/tests/puppet" "$1" <"$dir/in" >"$dir/out" 3>&- &
    live=$!
    exec 8>"$dir/in"
    exec 6<"$dir/out"
}

tell() {
    local answer
    echo "$1" >&8
    read -r -t 90 answer <&6
    [ "$answer" = ok ]
}

@test "an application's checks come first, and of these the ones that are wrong" {
    start_puppet shop
    tell 'counter orders_total 1'
    run -0 "$top" --once --interval 0.02 --directory "$dir" shop
    [[ "${lines[2]}" == *rate/s* ]]
    tell 'check well 0 1 1'
    tell 'check slow 60000 1 2 cold'
    tell 'check minor 0 0 3 gone'
    tell 'check quiet 0 1'
    tell 'check odd 0 1 3 "odd"'
    run -0 "$top" --once --interval 0.02 --directory "$dir" shop
    diff <(sed -E '1,2d; s/[0-9]+\.[0-9] s ago/N ago/; s/series, .*/series, N/; s/ +/ /g; s/ $//; /^$/Q' <<<"$output") - <<'END'
shop: 1 live processes, 1 series, N
 state reported check
 silent - critical quiet
 failed N ago critical odd "\"odd\""
 failed N ago minor "gone"
 degraded N ago critical slow "cold"
 ok N ago critical well
END
    [[ "${lines[-1]}" == *orders_total ]]
    stop_live
    run -0 "$top" --once --interval 0.02 --directory "$dir" shop
    [[ "$output" == *"shop: 0 live processes"* && "$output" != *minor* ]]
}

@test "all segments of a directory are shown when none is named" {
    "$build/tests/segment-sample" "$dir" plain
    "$build/tests/segment-sample" "$dir" overflow
    run -0 "$top" --once --interval 0.02 --directory "$dir"
    [[ "$output" == *"2 segments"* ]]
    [[ "$output" == *"plain@one:"* && "$output" == *"overflow@one:"* ]]
    [[ "$output" == *'otel_metric_overflow="true"'* ]]
}

@test "a segment that is not there is named, and ends once with 1" {
    run -1 "$top" --once --interval 0.02 --directory "$dir" nothing
    [[ "$output" == *nothing* ]]
    run -1 "$top" --once --interval 0.02 --directory "$dir/nowhere"
}

@test "without a terminal interval after interval is printed, until the reader goes" {
    start_live
    run -0 bash -c '"$1" -i 0.02 -d "$2" live 2>"$2/errors" | grep -m 3 -c "over [0-9]"' - "$top" "$dir"
    [ "$output" = 3 ]
}

@test "a full disk is reported and ends with 1" {
    "$build/tests/segment-sample" "$dir" plain
    run -1 bash -c '"$1" -1 -i 0.02 -d "$2" 2>&1 >/dev/full' - "$top" "$dir"
    [[ "$output" == *"cannot write the output"* ]]
}

@test "a segment that another one replaced is opened anew" {
    start_live
    "$top" --interval 0.05 --directory "$dir" live >"$dir/log" 3>&- 8>&- &
    pid=$!
    wait_for "$dir/log" "live: 2 live processes"
    first=$(stat -c %i "$path")
    stop_live
    wait_for "$dir/log" "live: 0 live processes"
    start_live
    [ "$(stat -c %i "$path")" != "$first" ]
    before=$(stat -c %s "$dir/log")
    deadline=$((SECONDS + 90))
    until tail -c +"$((before + 1))" "$dir/log" | grep -q "live: 2 live processes.*over"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.02
    done
}

@test "on a terminal q leaves and gives the screen back" {
    start_live
    start_screen
    wait_for "$dir/screen" ticks_total
    printf q >&9
    wait "$terminal"
    exec 9>&-
    # The last thing a full-screen program does is to switch back to the normal screen.
    grep -qF "$(printf '\033[?1049h')" "$dir/screen"
    grep -qF "$(printf '\033[?1049l')" "$dir/screen"
}

@test "on a terminal SIGTERM gives the screen back, and ends by that signal" {
    start_live
    start_screen
    wait_for "$dir/screen" ticks_total
    pid=$(pgrep -P "$terminal" smx-top)
    kill -TERM "$pid"
    pid=
    status=0
    wait "$terminal" || status=$?
    [ "$status" = 143 ]
    exec 9>&-
    grep -qF "$(printf '\033[?1049l')" "$dir/screen"
}

@test "a terminal that curses does not know is an error, not a crash" {
    run -1 env TERM=no-such-terminal script -qefc "'$top' -d '$dir'" "$dir/log" </dev/null
    [[ "$output" == *"cannot use this terminal (TERM=no-such-terminal)"* ]]
}
