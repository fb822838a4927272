#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 50-dump.bats - what smx-dump shows of known segments, live ones and spoilt ones, and how it ends.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    build=${SMX_BUILD:-$root/build/release}
    dump=$build/bin/smx-dump
    unset SMX_DIR
    dir=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    live=
}

teardown() {
    stop_live
    rm -rf "$dir"
}

sample() {
    "$build/tests/segment-sample" "$dir" "$1"
}

# Start a forking program that counts; $path is its segment, descriptor 8 keeps it alive.
start_live() {
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

json() {
    "$dump" --json --directory "$dir" "$1" | jq -r "$2"
}

@test "help and version go to stdout and end with 0" {
    run -0 "$dump" --help
    [[ "$output" == Usage:* ]]
    run -0 "$dump" --version
    [[ "$output" == "smx-dump "[0-9]* ]]
}

@test "unknown options, two segments and a filter without a segment are usage errors" {
    run -2 "$dump" --frobnicate
    run -2 "$dump" --directory "$dir" a b
    [[ "$output" == *"more than one segment: b"* ]]
    run -2 "$dump" --family
    run -2 "$dump" --directory "$dir" --lint
    [[ "$output" == *"need a segment"* ]]
}

@test "a missing file and a missing application end with 1 and name what is missing" {
    run -1 "$dump" "$dir/nothing.smx"
    [[ "$output" == *"$dir/nothing.smx"* ]]
    run -1 "$dump" --directory "$dir" nothing
    [[ "$output" == *nothing* ]]
    touch "$BATS_TEST_TMPDIR/here.smx"
    cd "$BATS_TEST_TMPDIR"
    run -1 "$dump" --directory "$dir" here.smx
    [[ "$output" == *"here.smx: no such application; for the file write it with ./"* ]]
}

@test "a file of garbage, an empty file and a directory are refused" {
    head -c 100000 /dev/urandom >"$dir/garbage.v1.smx"
    : >"$dir/empty.v1.smx"
    run -1 "$dump" "$dir/garbage.v1.smx"
    [[ "$output" == *"not a segment"* ]]
    run -1 "$dump" "$dir/empty.v1.smx"
    [[ "$output" == *"not a segment"* ]]
    run -1 "$dump" "$dir/"
}

@test "a segment of another major version is refused, with both versions named" {
    sample major
    run -1 "$dump" "$dir/major@one.v1.smx"
    [[ "$output" == *"2.1"*"1"* ]]
}

@test "a segment is found by its path, by its name, and by SMX_DIR" {
    path=$(sample plain)
    run -0 "$dump" "$path"
    [ "${lines[0]}" = "$path" ]
    run -0 "$dump" --directory "$dir" plain@one
    [ "${lines[0]}" = "$path" ]
    SMX_DIR=$dir run -0 "$dump" plain@one
    [ "${lines[0]}" = "$path" ]
}

@test "the header, the usage, the losses and the constant labels are shown" {
    path=$(sample plain)
    run -0 "$dump" "$path"
    [[ "$output" =~ application\ +plain ]]
    [[ "$output" =~ instance\ +one ]]
    [[ "$output" == *'env="test"'* ]]
    [[ "$output" == *"used of 1048576"* ]]
    [[ "$output" =~ lost\ +series_cap\ 12 ]]
}

@test "a counter of 2^64-1 is exact in text and in JSON" {
    sample plain
    run -0 "$dump" --directory "$dir" plain@one
    [[ "$output" =~ \{method=\"GET\"\}\ +18446744073709551615$'\n' ]]
    [ "$(json plain@one '.families[] | select(.name == "http_requests_total").series[0].ticks')" \
        = 18446744073709551615 ]
}

@test "seconds of nine digits are shifted, not divided" {
    sample plain
    run -0 "$dump" --directory "$dir" --family busy_seconds_total plain@one
    [[ "$output" == *"  9007199254.740993" ]]
    [ "$(json plain@one '.families[] | select(.name == "busy_seconds_total").series[0].ticks')" \
        = 9007199254740993000 ]
}

@test "a histogram shows count, sum, min, avg, quantiles and max" {
    sample plain
    run -0 "$dump" --directory "$dir" --family duration_seconds plain@one
    [[ "${lines[2]}" =~ count\ +sum\ +min\ +avg\ +p50\ +p90\ +p99\ +max ]]
    [[ "${lines[3]}" =~ \ 4\ +0.500000001\ +0.05\ +0.125\ +0.1\ +0.18\ +0.198\ +0.19$ ]]
}

@test "the JSON of a histogram has bounds, buckets, ticks and quantiles" {
    sample plain
    run -0 json plain@one '.families[] | select(.type == "histogram") | .bounds, .series[0] |
        if type == "array" then tojson
        else ([.count, .sum_ticks, .min_ticks, .max_ticks, .p50, .buckets] | tojson) end'
    [ "${lines[0]}" = "[0.1,0.2,0.4]" ]
    [ "${lines[1]}" = '[4,"500000001","50000000","190000000",0.1,[2,2,0,0]]' ]
}

@test "gauges are shown, those of dead processes as absent" {
    sample plain
    run -0 json plain@one '[.families[] | select(.type == "gauge") | {(.name): .series[0].value}]
        | add | tojson'
    [ "$output" = '{"table_entries":-7,"load_ratio":0.1,"in_flight":null}' ]
    run -0 "$dump" --directory "$dir" --family in_flight plain@one
    [ "${lines[2]}" = "  -" ]
}

@test "a dead process is listed as dead, with role and pid" {
    sample plain
    run -0 "$dump" --directory "$dir" --processes plain@one
    [ "${lines[0]}" = processes ]
    [[ "${lines[2]}" =~ 0\ +4242\ +dead\ +worker ]]
    [ "$(json plain@one '.processes[0] | [.worker, .live, .pid, .role, .heartbeat_ns] | tojson')" \
        = '[0,false,4242,"worker","1700000000000000001"]' ]
}

@test "the JSON document has the promised members, with and without filters" {
    sample plain
    [ "$(json plain@one 'keys | tojson')" = '["checks","families","processes","schema","segment"]' ]
    [ "$(json plain@one '.schema')" = 1 ]
    [ "$(json plain@one '.segment.lost | keys | length')" = 8 ]
    run -0 "$dump" --json --directory "$dir" --processes plain@one
    [ "$(jq 'has("families")' <<<"$output")" = false ]
    run -0 "$dump" --json --directory "$dir" --family in_flight plain@one
    [ "$(jq -r '[.families[].name, has("processes")] | tojson' <<<"$output")" = \
        '["in_flight",false]' ]
}

@test "--family may be repeated, and one that does not exist ends with 1" {
    sample plain
    run -0 "$dump" --directory "$dir" --family in_flight --family load_ratio plain@one
    [[ "$output" == *in_flight* && "$output" == *load_ratio* && "$output" != *table_entries* ]]
    run -1 "$dump" --directory "$dir" --family no_such plain@one
    [[ "$output" == *"no such family: no_such"* ]]
}

@test "escape sequences, forged lines and bidi controls never reach the terminal" {
    sample hostile
    "$dump" --directory "$dir" hostile@one >"$dir/text"
    run -1 grep -P '[\x00-\x09\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80\xae' "$dir/text"
    run -1 grep -a "^forged" "$dir/text"
    grep -q 'kind="\\x1b\[2J\\nforged 1\\"\\\\"' "$dir/text"
    grep -q 'café \\u{202e}$' "$dir/text"
}

@test "a name that would forge a line does not either, and JSON has it as it is" {
    sample names
    "$dump" --directory "$dir" names@one >"$dir/text"
    run -1 grep -P '[\x00-\x09\x0b-\x1f\x7f]' "$dir/text"
    run -1 grep -a "^forged" "$dir/text"
    grep -q '^http.requests_total{http.päth}' "$dir/text"
    run -0 "$dump" --json --directory "$dir" names@one
    [ "$(jq -r '.families[0].name' <<<"$output")" = http.requests_total ]
    [ "$(jq -r '.families[0].label_names[0]' <<<"$output")" = http.päth ]
    [ "$(jq -r '.families[1].name' <<<"$output")" = $'\e[2J\nforged 1"' ]
    run -0 "$dump" --directory "$dir" --family http.requests_total names@one
    [[ "$output" == *'http.päth="/a"'* ]]
}

@test "hostile strings are intact in JSON, which is pure ASCII" {
    sample hostile
    "$dump" --json --directory "$dir" hostile@one >"$dir/json"
    LC_ALL=C run -1 grep -P '[^\x0a\x20-\x7e]' "$dir/json"
    [ "$(jq '.families[0].series[0].labels.kind | length' "$dir/json")" = 15 ]
}

@test "an unsound record is left out, counted, and ends with 1" {
    sample corrupt
    run -1 "$dump" --directory "$dir" corrupt@one
    [[ "$output" == *"records left out as unsound (family): 1 of "* ]]
    [[ "$output" == *hits_total* && "$output" != *bad_total* ]]
    run -1 --separate-stderr "$dump" --json --directory "$dir" corrupt@one
    [ "$(jq '.segment.errors' <<<"$output")" = 1 ]
}

@test "a truncated copy ends with 1 and says so" {
    path=$(sample plain)
    head -c 9000 "$path" >"$dir/short.smx"
    run -1 "$dump" "$dir/short.smx"
    [[ "$output" == *truncated* ]]
}

@test "the overflow series is shown once it is used, and not before" {
    sample plain
    sample overflow
    run -0 "$dump" --directory "$dir" overflow@one
    [[ "$output" =~ \{otel_metric_overflow=\"true\"\}\ +5 ]]
    run -0 "$dump" --directory "$dir" plain@one
    [[ "$output" != *otel_metric_overflow* ]]
}

@test "lint names the family and the rule, and ends with 1 only when it found something" {
    sample lint
    sample plain
    run -1 "$dump" --lint --directory "$dir" lint@one
    [[ "$output" == *"requests: total:"* ]]
    [[ "$output" == *"sizeGauge: case:"* ]]
    [[ "$output" == *"queue_gauge: type:"* ]]
    [[ "$output" == *"wait_milliseconds: base-unit:"* ]]
    [[ "$output" == *"uptime_seconds: unit:"* ]]
    [[ "$output" == *"silent_total: help:"* ]]
    run -0 "$dump" --lint --directory "$dir" plain@one
    [ -z "$output" ]
    sample names
    run -1 "$dump" --lint --directory "$dir" names@one
    [[ "$output" == *"http.requests_total: alphabet:"*"the label http.päth escaped"* ]]
}

@test "lint as JSON has the same findings, and reports overflowing labels" {
    sample lint
    sample overflow
    run -1 "$dump" --lint --json --directory "$dir" lint@one
    [ "$(jq -r '[.findings[].rule] | unique | join(" ")' <<<"$output")" = \
        "base-unit case help total type unit" ]
    run -1 "$dump" --lint --json --directory "$dir" overflow@one
    [ "$(jq -r '.findings[0] | .family + " " + .rule' <<<"$output")" = "hits_total cardinality" ]
}

@test "without an argument the segments are listed, and unreadable ones named" {
    run -0 "$dump" --directory "$dir"
    [[ "$output" == *"no segments"* ]]
    sample plain
    sample overflow
    run -0 "$dump" --directory "$dir"
    [[ "${lines[0]}" =~ path\ +application\ +instance\ +live ]]
    [[ "${lines[2]}" =~ plain@one.v1.smx\ +plain\ +one\ +0 ]]
    run -0 "$dump" --json --directory "$dir"
    [ "$(jq -r '[.segments[].app] | join(" ")' <<<"$output")" = "overflow plain" ]
    sample major
    run -1 "$dump" --directory "$dir"
    [[ "$output" == *"major@one.v1.smx: format 2.1"* ]]
    run -1 "$dump" --directory "$dir/nowhere"
}

@test "a live segment shows its processes by role, and the gauge of the live worker" {
    start_live
    run -0 "$dump" "$path"
    [[ "$output" == *"2 live processes"* ]]
    [[ "$output" =~ live\ +master ]]
    [[ "$output" =~ live\ +worker ]]
    [ "$(json live '.segment.live_processes')" = 2 ]
    [ "$(json live '.processes[1].heartbeat_age >= 0')" = true ]
    [ "$(json live '.families[] | select(.name == "active").series[0].value')" = 3 ]
}

# puppet_says COMMAND...: have the puppet of this file obey, line by line.
puppet_says() {
    local answer command
    for command; do
        echo "$command" >&"${PUPPET[1]}"
        read -r answer <&"${PUPPET[0]}"
        [ "$answer" = ok ]
    done
}

@test "checks are shown with what they amount to and with who says so" {
    export SMX_DIR=$dir
    coproc PUPPET { exec "$build/tests/puppet" checked; }
    puppet_says 'check database 60000 1 3 refused' 'check redis 0 0' 'check queue 1 0 2 slow'
    until queue_expires; do :; done # a millisecond
    run -0 "$dump" --directory "$dir" checked
    [[ "$output" == *'database  check, critical, a report holds 60 s: failed'* ]]
    [[ "$output" =~ 'worker  state   reported'.*0\ \ failed\ .*' s ago'.*'"refused"' ]]
    [[ "$output" == *'redis  check: silent'* ]]
    [[ "$output" =~ 'queue  check, a report holds 0.001 s: silent'.*degraded.*expired.*'"slow"' ]]
    run -0 json checked '.checks[0] | del(.reports[].time_ns, .reports[].age) | tojson'
    [ "$output" = '{"name":"database","help":"A check of a test.","critical":true,"interval":60,'"\
"'"state":"failed","message":"refused","reports":'"\
"'[{"worker":0,"state":"failed","holds":true,"message":"refused"}]}' ]
    [ "$(json checked '.checks[1] | [.state, .interval, .message, .reports] | tojson')" = \
        '["silent",null,null,[]]' ]
    [ "$(json checked '.checks[0].reports[0] | .age >= 0 and (.time_ns | length == 19)')" = true ]
    run -0 "$dump" --json --directory "$dir" --processes checked
    [ "$(jq 'has("checks")' <<<"$output")" = false ]
    puppet_says beat
    [ "$(json checked '.processes[0].heartbeat_age >= 0')" = true ]
    eval "exec ${PUPPET[1]}>&-"
}

queue_expires() {
    [ "$(json checked '.checks[2].state')" = silent ]
}

@test "counters outlive their processes, gauges do not" {
    start_live
    stop_live
    [ "$(json live '.segment.live_processes')" = 0 ]
    [ "$(json live '.families[] | select(.name == "ticks_total").series[0].value > 0')" = true ]
    [ "$(json live '.families[] | select(.name == "active").series[0].value')" = null ]
}

@test "a copy on disk of a live segment is readable, and has no live processes" {
    start_live
    copy=$BATS_TEST_TMPDIR/copy.smx
    cp --sparse=always "$path" "$copy"
    stop_live
    run -0 "$dump" "$copy"
    [[ "$output" == *ticks_total* ]]
    [[ "$output" == *"0 live processes"* ]]
    rm "$copy"
}

@test "a full disk and a closed pipe are reported and end with 1" {
    path=$(sample plain)
    run -1 bash -c '"$1" "$2" 2>&1 >/dev/full' - "$dump" "$path"
    [[ "$output" == *"cannot write the output"* ]]
    run -1 bash -c '"$1" --json "$2" 2>&1 >/dev/full' - "$dump" "$path"
    [[ "$output" == *"cannot write the output"* ]]
    mkfifo "$dir/pipe"
    run -1 bash -c 'exec 7<>"$3"; exec 9>"$3"; exec 7<&-; "$1" "$2" 2>&1 >&9' - \
        "$dump" "$path" "$dir/pipe"
    [[ "$output" == *"Broken pipe"* ]]
}

@test "infos and statesets are shown by the states that are on, and as JSON by every state" {
    sample states
    run -0 "$dump" --directory "$dir" states@one
    [[ "$output" == *'build_info{version}  info, last'* ]]
    [[ "$output" =~ \{version=\"1.4.2\"\}\ +1 ]]
    [[ "$output" == *'circuit  stateset, last'* ]]
    [[ "$(grep -A 2 ^circuit <<<"$output" | tail -n 1)" =~ ^\ +open,slow$ ]]
    [[ "$(grep -A 2 ^lamp <<<"$output" | tail -n 1)" =~ ^\ +none$ ]]
    [[ "$(grep -A 2 ^door <<<"$output" | tail -n 1)" =~ ^\ +-$ ]]
    [ "$(json states@one '.families[1].series[0].value | tojson')" = \
        '{"open":true,"slow":true,"shut":false}' ]
    [ "$(json states@one '[.families[] | .type] | join(" ")')" = "info stateset stateset stateset" ]
    [ "$(json states@one '[.families[].series[0].value | type] | join(" ")')" = \
        "number object object null" ]
}

@test "exemplars stand under their family, and in the document with their series" {
    printf '%s\n' 'example orders_total 3 abc' 'slow latency_seconds 0.25 d"e' |
        SMX_DIR=$dir "$build/tests/puppet" demo >"$dir/answers"
    run -0 "$dump" --directory "$dir" demo
    echo "$output"
    [[ "$output" =~ orders_total.*$'\n'.*' 3'$'\n''   # {trace_id="abc"} 3 '[0-9]{10}\.[0-9]{9}$'\n' ]]
    [[ "$output" == *$'\n   # {trace_id="d\\"e"} 0.25 '* ]]
    [ "$(grep -c '# {' <<<"$output")" -eq 2 ]
    [ "$(json demo '.families[0].series[0].exemplars[0] | [.labels.trace_id, .value, .ticks] | @csv')" = \
        '"abc",3,"3"' ]
    [ "$(json demo '.families[0].series[0].exemplars[0].time_ns | length')" -eq 19 ]
    # In the bucket whose bounds are around it.
    [ "$(json demo '.families[1] | .bounds as $b | .series[0].exemplars[] |
        [.labels.trace_id, .ticks, $b[.bucket - 1] < .value, .value <= $b[.bucket]] | @csv')" = \
        '"d""e","250000000",true,true' ]
    [ "$(json demo '[.families[].series[].exemplars | length] | @csv')" = 1,1 ]
}
