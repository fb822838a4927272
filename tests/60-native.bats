#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A real Prometheus takes protocol buffers where native histograms are switched on, OpenMetrics
# where they are not; both times what it then says agrees with the segment. It keeps exemplars, too.

load support/live

bats_require_minimum_version 1.5.0

setup() {
    live_setup
    start_puppet shop shop
    # 12 observations: of zero, one below and one above the range, some in one bucket.
    [ "$(tell shop 'exponential latency_seconds 0 1e-9 0.001 0.0011 0.02 0.02 0.02')" = ok ]
    [ "$(tell shop 'exponential latency_seconds 0.5 0.7 3 15 100000')" = ok ]
    [ "$(tell shop 'histogram size_bytes 3 1 2.5 4')" = ok ]
    [ "$(tell shop 'labelled orders_total "a,b}\\ 9007199254740991')" = ok ]
    start agent "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address=127.0.0.1:0
    eventually file_says "$scratch/agent.err" address=127.0.0.1:
    agent=$(grep -o '127\.0\.0\.1:[0-9]*' "$scratch/agent.err" | head -n 1)
}

teardown() {
    live_teardown
}

# start_prometheus ARGUMENT...: on a free port, scraping the agent five times a second.
start_prometheus() {
    cat >"$scratch/prometheus.yml" <<END
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs: [{job_name: smx, static_configs: [{targets: ['$agent']}]}]
END
    start prometheus prometheus --config.file="$scratch/prometheus.yml" \
        --storage.tsdb.path="$scratch/tsdb" --web.listen-address=127.0.0.1:0 "$@"
    eventually file_says "$scratch/prometheus.err" 'msg="Listening on"\|msg="Start listening'
    eventually find_prometheus
    eventually is_up
}

# It does not say which port it was given.
find_prometheus() {
    prometheus=$(ss -Hltnp | grep "pid=${pids[prometheus]}," | grep -o '127\.0\.0\.1:[0-9]*' |
        head -n 1)
    [[ $prometheus ]]
}

ask() {
    curl -sf --data-urlencode "query=$1" "http://$prometheus/api/v1/query" |
        jq -r '.data.result[0].value[1] // empty'
}

answer_is() {
    [[ $(ask "$1") == "$2" ]]
}

# Scraped, and without an error of the parser.
is_up() {
    curl -sf "http://$prometheus/api/v1/targets" |
        jq -e '.data.activeTargets[0] | .health == "up" and .lastError == ""'
}

served() {
    curl -sf "http://$agent/metrics" |
        awk -v name="smx_agent_scrapes_total{format=\"$1\"}" '$1 == name { print $2 }'
}

# What the segment says of the histogram: p50, p90, sum.
dump_of() {
    "$bin/smx-dump" --json --family=latency_seconds shop | jq ".families[0].series[0].$1"
}

@test "with native histograms Prometheus scrapes protobuf, and its quantiles are the segment's" {
    start_prometheus --enable-feature=native-histograms
    eventually answer_is 'histogram_count(latency_seconds{app="shop"})' 12
    answer_is 'latency_seconds_bucket' ''
    answer_is 'orders_total{kind="\"a,b}\\\\"}' 9007199254740991
    answer_is 'size_bytes_bucket{le="4.0"}' 1
    [[ $(served protobuf) -gt 0 ]]
    local q
    for q in 0.5 0.9; do
        # Within a bucket's width, 2^(1/8).
        jq -en --argjson theirs "$(ask "histogram_quantile($q, latency_seconds)")" \
            --argjson ours "$(dump_of "$([[ $q == 0.5 ]] && echo p50 || echo p90)")" \
            '$theirs / $ours | . > 0.917 and . < 1.0906'
    done
    jq -en --argjson theirs "$(ask 'histogram_sum(latency_seconds)')" \
        --argjson ours "$(dump_of sum)" '($theirs - $ours) | fabs < 1e-9'
    is_up
}

@test "without them it scrapes OpenMetrics, and the classic series are the segment's" {
    start_prometheus
    eventually answer_is 'latency_seconds_count{app="shop"}' 12
    answer_is 'latency_seconds_bucket{le="+Inf"}' 12
    answer_is 'count(latency_seconds_bucket) > 8' "$(curl -sf "http://$agent/metrics" |
        grep -c '^latency_seconds_bucket')"
    answer_is 'orders_total{kind="\"a,b}\\\\"}' 9007199254740991
    answer_is 'size_bytes_bucket{le="4.0"}' 1
    [[ $(served openmetrics) -gt 0 ]]
    [[ $(served protobuf) -eq 0 ]]
    is_up
}

# The exemplars of a query in the last minute, as lines: series le trace value.
exemplars() {
    curl -sf --data-urlencode "query=$1" -d "start=$(($(date +%s) - 60))" \
        -d "end=$(($(date +%s) + 60))" "http://$prometheus/api/v1/query_exemplars" |
        jq -r '.data[] | .seriesLabels as $s | .exemplars[] |
            "\($s.__name__) \($s.le // "-") \(.labels.trace_id) \(.value)"' | sort
}

exemplars_are() {
    [[ $(exemplars "$1") == "$2" ]]
}

@test "what it keeps of exemplars are the segment's, of counters and of buckets" {
    [ "$(tell shop 'example sold_total 3 5b8aa5a2d2c872e8')" = ok ]
    [ "$(tell shop 'slow latency_seconds 0.02 00f067aa0ba902b7')" = ok ]
    [ "$(tell shop 'slow latency_seconds 15 4bf92f3577b34da6')" = ok ]
    start_prometheus --enable-feature=exemplar-storage
    eventually exemplars_are '{app="shop"}' "latency_seconds_bucket 0.03125 00f067aa0ba902b7 0.02
latency_seconds_bucket 16.0 4bf92f3577b34da6 15
sold_total - 5b8aa5a2d2c872e8 3"
    [ "$(tell shop 'example sold_total 4 fffffffffffffffe')" = ok ]
    eventually exemplars_are 'sold_total' "sold_total - 5b8aa5a2d2c872e8 3
sold_total - fffffffffffffffe 4"
    is_up
}

@test "exemplars go with native histograms, too" {
    [ "$(tell shop 'slow latency_seconds 15 4bf92f3577b34da6')" = ok ]
    [ "$(tell shop 'example sold_total 3 5b8aa5a2d2c872e8')" = ok ]
    start_prometheus --enable-feature=native-histograms,exemplar-storage
    eventually exemplars_are 'sold_total' 'sold_total - 5b8aa5a2d2c872e8 3'
    eventually exemplars_are 'latency_seconds' 'latency_seconds - 4bf92f3577b34da6 15'
    is_up
}
