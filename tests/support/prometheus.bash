# SPDX-License-Identifier: MIT
#
# prometheus.bash - for bats scripts that let a real Prometheus scrape an agent: start_tcp_agent, then
# start_prometheus, then ask. `load support/live` comes first.

# start_prometheus ARGUMENT...: on a free port, scraping the agent five times a second, with what
# $scrape_settings has, as a flow mapping has it, and evaluating $rules, files with commas between,
# as often.
start_prometheus() {
    cat >"$scratch/prometheus.yml" <<END
global: {scrape_interval: 200ms, scrape_timeout: 200ms, evaluation_interval: 200ms}
rule_files: [${rules-}]
scrape_configs: [{job_name: smx, static_configs: [{targets: ['$agent']}],
  ${scrape_settings-}}]
END
    start prometheus prometheus --config.file="$scratch/prometheus.yml" \
        --storage.tsdb.path="$scratch/tsdb" --web.listen-address=127.0.0.1:0 \
        --log.level=debug "$@"
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

# No scrape was answered by an error, or not at all, or not understood. One that came late on a busy
# machine, or that the agent has counted as one that would, is a matter of time, and of none of these.
was_never_refused() {
    local late
    grep -E 'msg="(Scrape|Append) failed"' "$scratch/prometheus.err" |
        grep -v 'context deadline exceeded\|: i/o timeout' >"$scratch/refused" || return 0
    cat "$scratch/refused"
    late=$(curl -sf "http://$agent/metrics" | sed -n 's/^smx_agent_late_scrapes_total //p')
    [[ $(grep -vc 'HTTP status 503' "$scratch/refused") -eq 0 &&
        $(wc -l <"$scratch/refused") -le ${late:-0} ]]
}
