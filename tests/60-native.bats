#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# A real Prometheus takes protocol buffers where native histograms are switched on, OpenMetrics
# where they are not; both times what it then says agrees with the segment. It keeps exemplars, too.

load support/live
load support/prometheus

bats_require_minimum_version 1.5.0

setup() {
    live_setup
    start_puppet shop shop
    # 12 observations: of zero, one below and one above the range, some in one bucket.
    [ "$(tell shop 'exponential latency_seconds 0 1e-9 0.001 0.0011 0.02 0.02 0.02')" = ok ]
    [ "$(tell shop 'exponential latency_seconds 0.5 0.7 3 15 100000')" = ok ]
    [ "$(tell shop 'histogram size_bytes 3 1 2.5 4')" = ok ]
    [ "$(tell shop 'labelled orders_total "a,b}\\ 9007199254740991')" = ok ]
    start_tcp_agent
}

teardown() {
    live_teardown
}

served() {
    curl -sf "http://$agent/metrics" |
        awk -v name="smx_agent_scrapes_total{format=\"$1\"}" '$1 == name { print $2 }'
}

# agrees QUERY OURS FILTER: what Prometheus answers, by a filter of $theirs and $ours.
agrees() {
    jq -en --argjson theirs "$(ask "$1")" --argjson ours "$2" "$3"
}

# What the segment says of the histogram: p50, p90, sum.
dump_of() {
    "$bin/smx-dump" --json --family=latency_seconds shop | jq ".families[0].series[0].$1"
}

@test "with native histograms Prometheus scrapes protobuf, and its quantiles are the segment's" {
    start_prometheus --enable-feature=native-histograms
    eventually answer_is 'histogram_count(latency_seconds{app="shop"})' 12
    eventually answer_is 'size_bytes_bucket{le="4.0"}' 1
    answer_is 'count_over_time(latency_seconds_bucket[1h])' ''
    eventually answer_is 'orders_total{kind="\"a,b}\\\\"}' 9007199254740991
    [[ $(served protobuf) -gt 0 ]]
    # Within a bucket's width, 2^(1/8).
    eventually agrees 'histogram_quantile(0.5, latency_seconds)' "$(dump_of p50)" \
        '$theirs / $ours | . > 0.917 and . < 1.0906'
    eventually agrees 'histogram_quantile(0.9, latency_seconds)' "$(dump_of p90)" \
        '$theirs / $ours | . > 0.917 and . < 1.0906'
    eventually agrees 'histogram_sum(latency_seconds)' "$(dump_of sum)" \
        '($theirs - $ours) | fabs < 1e-9'
    eventually is_up
}

@test "without them it scrapes OpenMetrics, and the classic series are the segment's" {
    start_prometheus
    eventually answer_is 'latency_seconds_count{app="shop"}' 12
    eventually answer_is 'latency_seconds_bucket{le="+Inf"}' 12
    eventually answer_is 'count(latency_seconds_bucket) > 8' "$(curl -sf "http://$agent/metrics" |
        grep -c '^latency_seconds_bucket')"
    eventually answer_is 'orders_total{kind="\"a,b}\\\\"}' 9007199254740991
    eventually answer_is 'size_bytes_bucket{le="4.0"}' 1
    [[ $(served openmetrics) -gt 0 ]]
    [[ $(served protobuf) -eq 0 ]]
    eventually is_up
}

# The exemplars of a query in the last hour, as lines: series le trace value.
exemplars() {
    curl -sf --data-urlencode "query=$1" -d "start=$(($(date +%s) - 3600))" \
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
    eventually is_up
}

@test "exemplars go with native histograms, too" {
    [ "$(tell shop 'slow latency_seconds 15 4bf92f3577b34da6')" = ok ]
    [ "$(tell shop 'example sold_total 3 5b8aa5a2d2c872e8')" = ok ]
    start_prometheus --enable-feature=native-histograms,exemplar-storage
    eventually exemplars_are 'sold_total' 'sold_total - 5b8aa5a2d2c872e8 3'
    eventually exemplars_are 'latency_seconds' 'latency_seconds - 4bf92f3577b34da6 15'
    eventually is_up
}
