#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Programs of different ages in one segment. The old ones are built from the commit that last
# touched the description of the format, so that they grow older while the format stays.

bats_require_minimum_version 1.5.0
load support/live

setup_file() {
    local root commit
    root=$(dirname "$BATS_TEST_DIRNAME")
    export old=$BATS_FILE_TMPDIR/old
    commit=$(git -C "$root" log -1 --format=%H -- libshm/layout.h) && [ -n "$commit" ] &&
        git -C "$root" diff --quiet HEAD -- libshm/layout.h || return 0
    mkdir "$old"
    git -C "$root" archive "$commit" -- . ':!tools/integrations' | tar -x -C "$old"
    cmake -S "$old" -B "$old/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG= \
        -DSMX_INTEGRATIONS=OFF >/dev/null
    cmake --build "$old/build" --target puppet smx-agent >/dev/null
}

setup() {
    live_setup
}

teardown() {
    live_teardown
}

need_old() {
    [ -x "$old/build/bin/smx-agent" ] || skip "no history to build an old version from"
}

# The samples of an application, as an agent exposes them.
exposed_by() {
    "$1" --segments.dir="$SMX_DIR" --once --log.level=error | grep "^[a-z_]*{app=\"$2\"" |
        grep -v ^smx_
}

# Both agents see the same, and that there is this.
both_expose() {
    local now then
    now=$(exposed_by "$bin/smx-agent" shop)
    then=$(exposed_by "$old/build/bin/smx-agent" shop)
    diff <(echo "$then") <(echo "$now")
    echo "$now"
    grep -qxF -- "$1" <<<"$now"
}

# start_as NAME PUPPET: like start_puppet, of a build of one's choice.
start_as() {
    build=$2 start_puppet "$1" shop
}

@test "an old and a new program count into one segment, whoever made it" {
    need_old
    local first second
    for first in "$build" "$old/build"; do
        second=$old/build
        [ "$first" = "$build" ] || second=$build
        start_as one "$first"
        [ "$(tell one 'counter jobs_total 5')" = ok ]
        [ "$(tell one 'labelled by_kind_total night 3')" = ok ]
        [ "$(tell one 'histogram latency 3 1 2 4')" = ok ]
        start_as two "$second"
        [ "$(tell two 'counter jobs_total 2')" = ok ]
        [ "$(tell two 'labelled by_kind_total night 4')" = ok ]
        [ "$(tell two 'labelled by_kind_total day 1')" = ok ]
        [ "$(tell two 'histogram latency 1.5 1 2 4')" = ok ]
        [ "$(tell one 'gauge depth 3')" = ok ]
        [ "$(tell two 'gauge depth 8')" = ok ]
        [ "$(tell two 'counter added_total 9')" = ok ]
        both_expose 'jobs_total{app="shop"} 7'
        both_expose 'by_kind_total{app="shop",kind="night"} 7'
        both_expose 'by_kind_total{app="shop",kind="day"} 1'
        both_expose 'latency_count{app="shop"} 2'
        both_expose 'depth{app="shop"} 11'
        both_expose 'added_total{app="shop"} 9'
        stop one KILL
        [ "$(tell two 'counter jobs_total 1')" = ok ]
        both_expose 'jobs_total{app="shop"} 8'
        both_expose 'depth{app="shop"} 8'
        stop two
        rm "$scratch"/*.fifo "$SMX_DIR"/*
    done
}

@test "what contradicts is refused in either, for that metric alone, and counted" {
    need_old
    local first second
    for first in "$build" "$old/build"; do
        second=$old/build
        [ "$first" = "$build" ] || second=$build
        start_as one "$first"
        tell one 'histogram latency 3 1 2 4'
        tell one 'counter jobs_total 5'
        start_as two "$second"
        [[ $(tell two 'histogram latency 3 1 8') == *latency* ]]
        [[ $(tell two 'gauge jobs_total 5') == *jobs_total* ]]
        [ "$(tell two 'counter added_total 2')" = ok ]
        both_expose 'latency_count{app="shop"} 1'
        both_expose 'jobs_total{app="shop"} 5'
        both_expose 'added_total{app="shop"} 2'
        "$bin/smx-dump" --json shop | jq -e '.segment.lost.conflict == 2'
        stop one
        stop two
        rm "$scratch"/*.fifo "$SMX_DIR"/*
    done
}

@test "a cold start by either replaces what the other left" {
    need_old
    echo 'counter jobs_total 5' | "$old/build/tests/puppet" shop
    echo 'counter jobs_total 2' | "$build/tests/puppet" shop
    both_expose 'jobs_total{app="shop"} 2'
    echo 'counter jobs_total 3' | "$old/build/tests/puppet" shop
    both_expose 'jobs_total{app="shop"} 3'
}

@test "of a newer minor version all is shown that is known" {
    "$build/tests/segment-sample" "$SMX_DIR" plain
    "$build/tests/segment-sample" "$SMX_DIR" minor
    diff <(exposed_by "$bin/smx-agent" plain | sed s/plain/minor/) \
        <(exposed_by "$bin/smx-agent" minor)
    exposed_by "$bin/smx-agent" minor | grep -q '^http_requests_total'
    start_agent
    agent_get /health | jq -e '.status == "ok" and
        (.components.segments | map(.errors) | add == 0)'
    run --separate-stderr "$bin/smx-dump" "$SMX_DIR/minor@one.v1.smx"
    [ "$status" -eq 0 ]
    [ -z "$stderr" ]
}

@test "a segment of another major version is named and counted, the rest is served" {
    "$build/tests/segment-sample" "$SMX_DIR" plain
    "$build/tests/segment-sample" "$SMX_DIR" major
    mv "$SMX_DIR/major@one.v1.smx" "$SMX_DIR/major@one.v2.smx"
    start_puppet app major
    [ "$(tell app 'counter jobs_total 4')" = ok ]
    start_agent
    agent_get /metrics >"$scratch/scrape"
    grep -qx 'smx_agent_segments{state="unsupported"} 1' "$scratch/scrape"
    grep -qx 'smx_agent_segments{state="served"} 2' "$scratch/scrape"
    grep -q '^smx_segment_errors_total{reason="version"} [1-9]' "$scratch/scrape"
    grep -qx 'jobs_total{app="major"} 4' "$scratch/scrape"
    grep -q '^http_requests_total{app="plain"' "$scratch/scrape"
    [ "$(grep -c 'major@one.v2.smx.*format 2.1, this library reads 1' "$scratch/agent.err")" -eq 1 ]
    agent_get /-/ready
}
