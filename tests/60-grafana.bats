#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-grafana.bats - packaging/grafana: the dashboards are what Grafana takes, as far as a schema can
# say, and a real Prometheus that scraped the demo server has an answer for every panel, whether it takes
# native histograms or not. No Grafana runs here.

load support/live
load support/prometheus

bats_require_minimum_version 1.5.0

setup() {
    live_setup
    boards=$root/packaging/grafana
    judge=$BATS_TEST_DIRNAME/judges/dashboard.py
}

teardown() {
    live_teardown
}

@test "the dashboards are valid" {
    run -0 "$judge" check "$boards"/*.json
    [[ ! $output && $(ls "$boards" | wc -l) -ge 2 ]]
}

# changed FILTER SAID [BOARD]: what jq makes of a dashboard is refused so.
changed() {
    jq "$1" "$boards/${3-smx-application}.json" >"$scratch/changed.json"
    run -1 "$judge" check "$scratch/changed.json"
    echo "$output"
    [[ $output == *"$2"* ]]
}

@test "a mistake in a dashboard is seen" {
    changed '.panels[1].gridPoss = {}' gridPoss
    changed 'del(.panels[1].targets[0].expr)' "'expr' is a required property"
    changed '.panels[1].targets[0].datasource.uid = "abc"' 'datasource'
    changed '.panels[2].id = .panels[1].id' 'two panels have the id'
    changed '.panels[2].gridPos = .panels[1].gridPos' 'lies on'
    changed '.panels[1].targets[0].expr = "up{a=\"$nobody\"}"' '$nobody is not there'
    changed '.panels[1].options.colourMode = "value"' colourMode
    changed '.panels[1].fieldConfig.defaults.unit = "rps"' rps
    changed '.panels[8].fieldConfig.defaults.custom.fillOpacity = "20"' "'20' is not of type"
    changed '.panels[8].targets[0] |= (del(.range) | .instant = true)' "'range' is a required"
    changed '(.panels[] | select(.type == "heatmap")).targets[0].format = "time_series"' heatmap
    changed '.panels[2].fieldConfig.defaults.thresholds.steps[1].value = 0.5' 'thresholds do not ascend'
    changed '(.panels[] | select(.title == "Applications")).targets[0].expr = "up{job=\"smx\"}"' \
        "query A in rows of its own" smx-agents
    changed '.panels |= map(if .title == "Applications" then .targets |= .[:5] else . end)' \
        'no column Value #F' smx-agents
    changed '.templating.list += [.templating.list[-1] | .name = "idle"]' 'nothing uses $idle'
}

values=(app=demo app_instance='.*' instance='.*' job=smx requests=demo_http_requests_total
    'errors=status=~"5.."' by=route histogram=demo_http_request_duration_seconds
    in_flight=demo_http_in_flight_requests counter=demo_http_requests_total __rate_interval=30s)

# Some answer that is a number, or a histogram. (jq takes longer to start than all else here.)
answered() {
    curl -sf --data-urlencode "query=$1" "http://$prometheus/api/v1/query" |
        grep -E '"histogram":\[|"value":\[[0-9.e+]+,"[^N]'
}

# With requests that go on, so that rates are of something.
answered_or_request() {
    curl -s -o /dev/null "$demo_url"/{fast,error} && answered "$1"
}

# Every panel of all dashboards has an answer, but for those whose title has $1, which have none.
every_panel_is_filled() {
    local board title expression n=0
    for board in "$boards"/*.json; do
        "$judge" expressions "$board" "${values[@]}" >"$scratch/expressions"
        while IFS=$'\t' read -r title expression; do
            echo "$title: $expression"
            n=$((n + 1))
            case $title in
            *"$1"*) run ! answered "$expression" ;;
            annotation*) curl -sf --data-urlencode "query=$expression" \
                "http://$prometheus/api/v1/query" >/dev/null ;;
            *) eventually answered_or_request "$expression" >/dev/null ;;
            esac
        done <"$scratch/expressions"
    done
    [[ $n -ge 50 ]]
}

# Every variable has something to choose from, and what the demo has is among it.
every_variable_has_values() {
    local board name selector label regex found
    for board in "$boards"/*.json; do
        "$judge" variables "$board" "${values[@]}" >"$scratch/variables"
        while IFS=$'\t' read -r name selector label regex; do
            found=$(curl -sfG --data-urlencode "match[]=$selector" \
                "http://$prometheus/api/v1/label/$label/values" |
                jq -r --arg regex "${regex:-(.*)}" '.data[] | capture("(?<all>" + $regex + ")").all')
            echo "$name: $found"
            case $name in
            app) grep -qx demo <<<"$found" ;;
            app_instance) [[ ! $found ]] ;; # the demo server has none
            requests | counter) grep -qx demo_http_requests_total <<<"$found" ;;
            histogram) grep -q '^demo_http_request_duration_seconds' <<<"$found" ;;
            in_flight) grep -qx demo_http_in_flight_requests <<<"$found" ;;
            *) [[ $found ]] ;;
            esac
        done <"$scratch/variables"
    done
}

start_all() {
    start_demo demo --workers 2
    request 3 /fast
    request 1 /error
    start_tcp_agent
    start_prometheus "$@"
    eventually answered smx_segment_processes >/dev/null
}

@test "every panel has an answer where Prometheus takes classic histograms" {
    start_all
    every_variable_has_values
    every_panel_is_filled ', native histogram'
}

@test "and where it takes native ones" {
    start_all --enable-feature=native-histograms
    every_variable_has_values
    every_panel_is_filled ', classic buckets'
}

@test "promtool parses every expression as that of a recording rule" {
    local board title expression n=0
    echo 'groups: [{name: panels, rules: [' >"$scratch/panels.yml"
    for board in "$boards"/*.json; do
        "$judge" expressions "$board" "${values[@]}" >"$scratch/expressions"
        while IFS=$'\t' read -r title expression; do
            n=$((n + 1))
            jq -n -c --arg record "panel:$n" --arg expr "$expression" '{$record, $expr}' | tr '\n' ,
        done <"$scratch/expressions"
    done >>"$scratch/panels.yml"
    echo ']}]' >>"$scratch/panels.yml"
    run -0 promtool check rules "$scratch/panels.yml"
    [[ $output == *"$(grep -o '"record"' "$scratch/panels.yml" | wc -l) rules found"* ]]
}
