#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What the agent serves is read by others: Python's parsers of both text formats, and protobuf's of
# the messages (tests/judges). All formats have to say the same, sample by sample.

load support/live

messages='application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited'

setup_file() {
    export modules=$BATS_FILE_TMPDIR
    protoc --python_out="$modules" -I "$BATS_TEST_DIRNAME/judges" metrics.proto
}

setup() {
    live_setup
    start_agent
}

teardown() {
    live_teardown
}

get() {
    curl -sf --unix-socket "$scratch/agent.sock" -H "Accept: $1" http://agent/metrics
}

# get_all [SCHEME]: one scrape in each format, and the messages with names as they are.
get_all() {
    local escaping=${1:+;escaping=$1}
    get "text/plain;version=1.0.0$escaping" >"$scratch/text"
    get "application/openmetrics-text;version=1.0.0$escaping" >"$scratch/openmetrics"
    get "$messages$escaping" >"$scratch/protobuf"
    get "$messages;escaping=allow-utf-8" >"$scratch/raw"
}

# They are compared.
compare() {
    /usr/bin/python3 "$BATS_TEST_DIRNAME/judges/compare.py" "$modules" "${1:-underscores}" \
        "$scratch/text" "$scratch/openmetrics" "$scratch/protobuf" "$scratch/raw"
}

judge() {
    get_all "$@"
    compare "$@"
}

served() {
    get text/plain | grep -q "app=\"$1\",app_instance=\"$2\""
}

@test "random families, labels and values are the same in every format, names in every escaping" {
    local seed scheme
    for ((seed = 1; seed <= 3 * ${SMX_TEST_SCALE:-1}; seed++)); do
        rm -f "$SMX_DIR"/*
        "$build/tests/segment-random" "$SMX_DIR" "$seed" >"$scratch/path"
        eventually served random "$seed"
        echo "seed $seed"
        [ "$(get text/plain | grep -c '^smx_agent_family_conflicts{.* [1-9]')" -eq 0 ]
        judge
        for scheme in underscores dots values allow-utf-8; do
            judge "$scheme"
        done
    done
}

@test "so is what a demo server has, with gauges of each worker and after a worker was killed" {
    start_demo demo --workers 3
    request 5 /fast
    request 3 /work
    kill -KILL "$(pgrep -P "${pids[demo]}" | head -n 1)"
    eventually scraped_is demo_worker_restarts_total 1
    request 2 /error
    # What the kernel counts of them shall be the same in every scrape.
    eventually has_workers 3
    freeze "${pids[demo]}" $(pgrep -P "${pids[demo]}")
    judge
    kill -CONT "${pids[demo]}" $(pgrep -P "${pids[demo]}")
}

@test "OpenMetrics says since when counters count where that is wanted, and only there" {
    local ns
    stop agent
    start_agent --openmetrics.created-samples
    "$build/tests/segment-random" "$SMX_DIR" 5 >"$scratch/path"
    eventually served random 5
    get_all
    [ "$(grep -c '_created{' "$scratch/text")" -eq 0 ]
    ns=$("$bin/smx-dump" --json "$(<"$scratch/path")" | jq -r .segment.created_ns)
    [[ $(sed -n 's/^[a-z0-9_:]*_created{.* //p' "$scratch/openmetrics" | sort -u) == \
        $(sed -E 's/(.{9})$/.\1/; s/0+$//; s/\.$/.0/' <<<"$ns") ]]
    /usr/bin/python3 - "$scratch/openmetrics" <<'JUDGE'
import sys
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse

page, seen = open(sys.argv[1], newline="\n").read(), 0
for family in parse(page):
    names = [s.name for s in family.samples if s.labels.get("app") == "random"]
    own = family.name.startswith("smx_")
    if names and not own and family.type in ("counter", "histogram"):
        last = family.name + ("_total" if family.type == "counter" else "_count")
        assert names.count(family.name + "_created") == names.count(last) > 0, family.name
        seen += names.count(last)
assert seen > 10, seen
JUDGE
    sed -i '/^[a-z0-9_:]*_created{/d' "$scratch/openmetrics"
    compare
}

# Of the random families some have explicit bounds, which a wish does not touch.
@test "classic counts are exactly smx-dump's, by powers of two and by bounds that were asked for" {
    local wish seed
    for wish in family_9999=1 0.001,0.3,5,2e3,1e5,1e12 0.1,0.2,0.30,0.31,0.315,0.32,0.4,1,2.5,1e300; do
        stop agent
        start_agent "--histogram.bounds=$wish"
        for ((seed = 1; seed <= 3 * ${SMX_TEST_SCALE:-1}; seed++)); do
            rm -f "$SMX_DIR"/*
            "$build/tests/segment-random" "$SMX_DIR" "$seed" >"$scratch/path"
            eventually served random "$seed"
            get_all
            "$bin/smx-dump" --json "$(<"$scratch/path")" >"$scratch/dump" || [[ $? -eq 1 ]]
            echo "bounds $wish, seed $seed"
            PYTHONDONTWRITEBYTECODE=1 /usr/bin/python3 "$BATS_TEST_DIRNAME/judges/classic.py" \
                "$modules" "$scratch/dump" "$scratch/text" "$scratch/openmetrics" \
                "$scratch/protobuf"
        done
    done
}

@test "an agent without a segment serves a message of its own" {
    get "$messages" >"$scratch/protobuf"
    [[ $(head -c 100000 "$scratch/protobuf" | grep -c smx_agent_build_info) -ge 1 ]]
    [[ $(get text/plain | grep 'scrapes_total{format="protobuf"}') == *' 1' ]]
}

# Those of a process that is stopped do not change from scrape to scrape.
@test "the numbers of processes are the same in every format" {
    start_puppet app shop
    tell app "counter orders_total 1"
    freeze "${pids[app]}"
    judge
    grep -q '^smx_process_cpu_seconds_total{app="shop",worker="0"} ' "$scratch/text"
    grep -q '^smx_app_context_switches_total{app="shop",type="voluntary"} ' "$scratch/openmetrics"
    kill -CONT "${pids[app]}"
}
