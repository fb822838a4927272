#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-rules.bats - packaging/prometheus: what Prometheus is configured with, and that each alert fires
# when it should and not otherwise, by promtool's unit tests and by a real Prometheus.

load support/live
load support/pki
load support/prometheus

bats_require_minimum_version 1.5.0

setup() {
    live_setup
    files=$root/packaging/prometheus
}

teardown() {
    live_teardown
}

@test "promtool takes the scrape configurations and the rules" {
    run -0 promtool check config --syntax-only "$files/scrape.yml"
    run -0 promtool check config --syntax-only "$files/scrape-tls.yml"
    run -0 promtool check rules "$files"/{rules,alerts,example-application}.yml
    [[ $output == *'alerts.yml'*'rules found'* && $output != *duplicate* ]]
}

# The containers of the manifests as the discovery of pods has them, for file_sd_configs.
discovered_pods() {
    /usr/bin/python3 - "$agent" "$root"/packaging/kubernetes/*.yaml <<'END'
import json, os, sys, yaml
found = []
for path in sys.argv[2:]:
    pod = yaml.safe_load(open(path))["spec"]["template"]["spec"]
    for container in pod.get("initContainers", []) + pod["containers"]:
        for port in container.get("ports", [{}]):
            labels = {"namespace": "default", "pod_name": os.path.basename(path),
                      "pod_container_name": container["name"],
                      "pod_container_port_name": port.get("name", "")}
            found.append({"targets": [sys.argv[1]], "labels": {
                "__meta_kubernetes_" + name: value for name, value in labels.items()}})
print(json.dumps(found))
END
}

# The pods that are scraped, one a line.
scraped_pods() {
    curl -sf "http://$prometheus/api/v1/targets" | jq -r '.data.activeTargets[].labels.pod' | sort
}

scraped_pods_are() {
    [[ $(scraped_pods | paste -sd ' ') == "$1" ]]
}

@test "in Kubernetes the agents of the manifests are scraped, and nothing else of their pods" {
    local relabeling
    start_tcp_agent
    discovered_pods >"$scratch/pods.json"
    [[ $(jq length "$scratch/pods.json") -eq 4 ]]
    # The Prometheus here is built without Kubernetes: the rest of the job, with a file.
    relabeling=$(/usr/bin/python3 -c 'import json, sys, yaml
print(json.dumps(yaml.safe_load(open(sys.argv[1]))["scrape_configs"][0]["relabel_configs"]))' \
        "$files/scrape-kubernetes.yml")
    scrape_settings="file_sd_configs: [{files: ['$scratch/pods.json']}], relabel_configs: $relabeling"
    start_prometheus
    eventually scraped_pods_are 'daemonset.yaml sidecar.yaml'
}

@test "each alert fires when it should, and not otherwise" {
    run -0 promtool test rules "$files/tests.yml" "$files/example-application-tests.yml"
}

@test "an alert that fires too late, or for nothing, is seen" {
    cp "$files"/*.yml "$scratch"
    sed -i 's/ratio > 0.85/ratio > 0.95/' "$scratch/alerts.yml"
    run ! promtool test rules "$scratch/tests.yml"
    [[ $output == *SmxSegmentNearlyFull* ]]
    cp "$files/alerts.yml" "$scratch"
    sed -i 's/unsound_records > 0/unsound_records >= 0/' "$scratch/alerts.yml"
    run ! promtool test rules "$scratch/tests.yml"
    [[ $output == *SmxUnsoundRecords* ]]
}

alerts() {
    sed -n 's/^ *- alert: //p' "$files/alerts.yml"
}

@test "no alert is without a case where it fires and one where it does not" {
    [[ $(alerts | wc -l) -ge 20 ]]
    local alert
    for alert in $(alerts); do
        grep -q "alertname=\"$alert\",alertstate=\"firing\"" "$files/tests.yml"
        # An expectation without samples: the next line does not begin them.
        grep -A 2 "expr: ALERTS{alertname=\"$alert\"}" "$files/tests.yml" | grep -v '^--' |
            awk '/exp_samples/ { n-- } /expr: ALERTS/ { n++ } END { exit n <= 0 }'
    done
}

@test "each alert says how bad it is, what it is, what to do, and where that is written" {
    local n page section
    n=$(alerts | wc -l)
    [[ $(grep -c '^        labels: {severity: \(page\|ticket\)}$' "$files/alerts.yml") -eq $n ]]
    [[ $(grep -c "^          summary: '" "$files/alerts.yml") -eq $n ]]
    [[ $(grep -c '^          description: >-' "$files/alerts.yml") -eq $n ]]
    # A page of ours, and a section or subsection of it.
    sed -n "s/^          runbook: 'man \([1-8]\) \([a-z_-]*\)\(, \(.*\)\)\{0,1\}'/\2.\1|\4/p" \
        "$files/alerts.yml" >"$scratch/runbooks"
    [[ $(wc -l <"$scratch/runbooks") -eq $n ]]
    sort -u "$scratch/runbooks" | while IFS='|' read -r page section; do
        [[ -e $root/packaging/man/$page ]]
        [[ ! $section ]] || grep -qxiE "\.S[hs] \"?$section\"?" "$root/packaging/man/$page" || {
            echo "$page has no section $section"
            false
        }
    done
}

# The names of metrics in the expressions of the rules, recorded ones left out.
metrics_of_rules() {
    promtool check rules "$@" >/dev/null
    sed -E '/^ *(summary|description|runbook|- record|- alert):/d; /^ {12}/d; /^ *#/d' "$@" |
        grep -oE '[a-z_:]+' | grep -E '^(smx|process)_[a-z_]+$' | sort -u
}

@test "a real Prometheus evaluates them all on a healthy application, and no alert stirs" {
    rules=$files/rules.yml,$files/alerts.yml,$files/example-application.yml
    start_demo demo --workers 2
    request 3 /fast
    printf 'health: {rules: [{name: working, workers: {role: worker, min: 1}}]}\n' \
        >"$scratch/agent.yaml"
    make_ca
    make_certificate server
    printf 'tls_server_config: {cert_file: pki/server.crt, key_file: pki/server.key}\n' \
        >"$scratch/web.yml"
    start_tcp_agent agent --config.file="$scratch/agent.yaml" --web.config.file="$scratch/web.yml"
    # Every name is one that the agent exports.
    curl -sf --cacert "$pki/ca.crt" "https://$agent/metrics" >"$scratch/page"
    metrics_of_rules "$files/rules.yml" "$files/alerts.yml" >"$scratch/names"
    [[ $(wc -l <"$scratch/names") -ge 20 ]]
    while read -r name; do
        grep -q "^# TYPE $name " "$scratch/page" || echo "$name is not exported"
    done <"$scratch/names" >"$scratch/missing"
    cat "$scratch/missing"
    [[ ! -s $scratch/missing ]]
    scrape_settings="scheme: https, tls_config: {ca_file: '$pki/ca.crt'}"
    start_prometheus
    eventually rules_are_healthy
    eventually no_alert_stirs # a machine may be so busy that a scrape or a request is late once
    # Each record is there, but for the one of overflow series.
    local record
    for record in $(sed -n 's/^ *- record: //p' "$files"/{rules,example-application}.yml |
        grep -v overflow); do
        eventually has_answer "$record"
    done
    # And it does stir when the application ends.
    stop demo
    eventually alert_stirs SmxNoLiveProcess
}

has_answer() {
    [[ $(ask "$1") ]]
}

rules_of_prometheus() {
    curl -sf "http://$prometheus/api/v1/rules" | jq -c '.data.groups[].rules[]'
}

rules_are_healthy() {
    [[ $(rules_of_prometheus | jq -r .health | sort -u) == ok ]]
}

alerts_stirring() {
    rules_of_prometheus | jq -r 'select(.type == "alerting" and .state != "inactive") | .name'
}

no_alert_stirs() {
    [[ -z $(alerts_stirring) ]]
}

alert_stirs() {
    alerts_stirring | grep -qx "$1"
}
