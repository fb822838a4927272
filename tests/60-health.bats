#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-health.bats - the health of real applications as an orchestrator and a person at night see it:
# started, with checks that fail and fall silent, killed, stopped, and gone.

bats_require_minimum_version 1.5.0

setup() {
    . "$BATS_TEST_DIRNAME/support/live.bash"
    live_setup
}

teardown() {
    live_teardown
}

# The status of an answer, and in $answer what it says.
probe() {
    curl -s -o "$scratch/answer" -w '%{http_code}' --unix-socket "$scratch/agent.sock" "http://agent$1"
}

probe_is() {
    [ "$(probe "$1")" = "$2" ]
}

# health FILTER: of the whole document, which fits its schema, with nothing in it but that.
health() {
    agent_get /health >"$scratch/health.json"
    fits "$scratch/health.json"
    jq -e "$1" "$scratch/health.json"
}

# fits FILE [DEFINITION]
fits() {
    /usr/bin/python3 - "$root/packaging/health.schema.json" "$@" <<'END'
import json, sys
import jsonschema

def close(schema):
    if isinstance(schema, dict):
        if "properties" in schema:
            schema.setdefault("additionalProperties", False)
        for value in schema.values():
            close(value)
    elif isinstance(schema, list):
        for value in schema:
            close(value)

schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
close(schema)
if len(sys.argv) > 3:
    schema = {"$ref": "#/$defs/" + sys.argv[3], "$defs": schema["$defs"]}
jsonschema.Draft202012Validator(schema).validate(json.load(open(sys.argv[2])))
END
}

# app NAME FILTER: of one application's part.
app() {
    health ".components.applications[] | select(.app == \"$1\") | $2"
}

@test "an application is unknown until it is there, ready once it has looked, and stopped when it is gone" {
    start_agent
    probe_is /health/shop/ready 404
    fits "$scratch/answer" probe
    probe_is /health/shop/live 404
    health '.status == "ok" and .components.applications == []'
    start_puppet shop shop
    tell shop 'check database 60000 1'
    eventually probe_is /health/shop/live 200
    probe_is /health/shop/ready 503
    fits "$scratch/answer" probe
    jq -e '.status == "unready" and .applications[0].reasons ==
        ["check database is silent: no process that lives has reported"]' "$scratch/answer"
    tell shop 'check database 60000 1 1'
    probe_is /health/shop/ready 200
    fits "$scratch/answer" probe
    app shop '.status == "ok" and .ready and .live and .processes.live == 1 and
        .checks[0].status == "ok" and .checks[0].interval_seconds == 60'
    health '.status == "ok"'
    stop shop KILL
    eventually probe_is /health/shop/live 503
    jq -e '.status == "dead" and .applications[0].reasons == ["none of its processes lives"]' \
        "$scratch/answer"
    probe_is /health/shop/ready 503
    app shop '.status == "stopped"'
    health '.status == "ok"'
    # That one application is not well is none of the agent's business.
    probe_is /health/ready 200
    rm "$SMX_DIR/shop.v1.smx"
    eventually probe_is /health/shop/live 404
}

@test "a check that fails takes its application out, and says why; another only degrades it" {
    start_puppet shop shop
    start_agent
    tell shop 'check database 0 1 1'
    tell shop 'check redis 0 0 1'
    probe_is /health/shop/ready 200
    tell shop 'check redis 0 0 3 refused'
    probe_is /health/shop/ready 200
    app shop '.status == "degraded" and .reasons == ["check redis is failed: refused"]'
    health '.status == "degraded"'
    tell shop 'check database 0 1 3 gone'
    probe_is /health/shop/ready 503
    probe_is /health/shop/live 200
    app shop '.status == "failed" and
        .reasons == ["check database is failed: gone", "check redis is failed: refused"]'
    scraped_is 'smx_check_status' 2
    agent_get /metrics >"$scratch/scrape"
    grep -qx 'smx_check_status{app="shop",check="database",critical="true",status="failed"} 1' \
        "$scratch/scrape"
    grep -qx 'smx_app_ready{app="shop"} 0' "$scratch/scrape"
    grep -qx 'smx_app_live{app="shop"} 1' "$scratch/scrape"
    promtool check metrics <"$scratch/scrape"
    tell shop 'check database 0 1 1'
    tell shop 'check redis 0 0 1'
    probe_is /health/shop/ready 200
    app shop '.status == "ok" and .reasons == []'
}

@test "a check of which nothing is heard for its interval fails, and one report brings it back" {
    start_puppet shop shop
    start_agent
    tell shop 'check database 300 1 1'
    eventually probe_is /health/shop/ready 503
    jq -e '.applications[0].reasons[] | test("^check database is silent: last reported [0-9.]+ s ago, a report holds 0.3 s$")' \
        "$scratch/answer"
    app shop '.checks[0] | .status == "silent" and .reports == 1 and .reports_that_hold == 0 and
        .newest_report_age_seconds > 0.3'
    tell shop 'check database 60000 1 1'
    probe_is /health/shop/ready 200
}

@test "of two processes the one that fails counts until it is killed" {
    start_agent
    start_puppet one shop
    tell one 'check database 0 1 1'
    start_puppet two shop
    tell two 'check database 0 1 3 refused'
    probe_is /health/shop/ready 503
    app shop '.processes.live == 2 and .checks[0].reports == 2 and .checks[0].worker == 1'
    stop two KILL
    eventually probe_is /health/shop/ready 200
    app shop '.processes.live == 1 and .checks[0].reports == 1'
}

@test "instances of an application are probed together and each by its name" {
    start_agent
    "$build/tests/segment-sample" "$SMX_DIR" plain # plain@one, in which nobody lives
    eventually probe_is /health/plain@one/live 503
    probe_is /health/plain/live 503
    probe_is /health/plain@two/live 404
    probe_is /health/plain@/live 404
    probe_is /health//live 404
    probe_is /health/plain@one/ 404
    probe_is /health/plain@one/alive 404
    probe_is "/health/plain%40one/live" 503
    [ "$(curl -s -o /dev/null -w '%{http_code}' -X POST --unix-socket "$scratch/agent.sock" \
        http://agent/health/plain/live)" = 405 ]
    [ "$(curl -sI -o /dev/null -w '%{http_code}' --unix-socket "$scratch/agent.sock" \
        http://agent/health/plain/live)" = 503 ]
}

@test "a segment that cannot be read makes its application unknown, and nobody starts it anew" {
    start_agent
    head -c 65536 /dev/urandom >"$SMX_DIR/shop@eu.v1.smx"
    eventually probe_is /health/shop/ready 503
    fits "$scratch/answer" probe
    probe_is /health/shop@eu/live 200
    app shop '.status == "unknown" and .instance == "eu" and (.reasons[0] | test("not a segment"))'
    health '.status == "degraded"'
    probe_is /health/ready 200
}

@test "a server is seen by role, with its heartbeats, and its check of its workers follows them" {
    start_demo demo --workers 2
    eventually has_workers 2
    start_agent --labels.add=region=eu
    eventually probe_is /health/demo/ready 200
    app demo '.status == "ok" and .processes.live == 3 and
        ([.processes.roles[] | [.role, .live, .hung]] | sort) ==
            [["master", 1, 0], ["worker", 2, 0]] and
        .processes.newest_heartbeat_age_seconds < 30 and .checks[0].name == "workers"'
    agent_get /metrics >"$scratch/page"
    local beats=smx_process_last_heartbeat_timestamp_seconds
    [ "$(grep -c "^$beats"'{app="demo",role="worker",worker="[0-9]*",region="eu"}' \
        "$scratch/page")" = 2 ]
    stop demo
    eventually probe_is /health/demo/live 503
}

@test "an application's health has the labels that its series get, and is not told where they are not" {
    start_puppet shop shop
    start_puppet secret secret
    start_agent --labels.add=region=eu --labels.deny='app=secret' --labels.allow='status=5..'
    for app in shop secret; do
        tell $app 'check database 0 1 3 down'
        tell $app beat
    done
    app secret '.status == "failed"' # to people all is told
    agent_get /metrics >"$scratch/page"
    agent_get '/metrics?app=shop&app=secret' >"$scratch/part"
    for page in page part; do
        grep -qxF 'smx_app_ready{app="shop",region="eu"} 0' "$scratch/$page"
        grep -qxF 'smx_app_live{app="shop",region="eu"} 1' "$scratch/$page"
        grep '^smx_check_status{app="shop",check="database",' "$scratch/$page" |
            grep -qF ',status="failed",region="eu"} 1'
        grep -q '^smx_check_last_report_timestamp_seconds{app="shop",check="database",region="eu"}' \
            "$scratch/$page"
        grep -qxF 'smx_segment_processes{app="shop"} 1' "$scratch/$page"
        [ "$(grep -c 'app="secret"' "$scratch/$page")" = 0 ]
    done
}

@test "while a probe asks all the time, every answer is one that was true" {
    start_puppet shop shop
    start_agent
    tell shop 'check database 0 1 1'
    eventually probe_is /health/shop/ready 200
    (while curl -s -o /dev/null -w '%{http_code}\n' --unix-socket "$scratch/agent.sock" \
        http://agent/health/shop/ready; do :; done >"$scratch/probes") 3>&- &
    prober=$!
    for _ in {1..20}; do
        tell shop 'check database 0 1 3 down'
        probe_is /health/shop/ready 503
        tell shop 'check database 0 1 1'
        probe_is /health/shop/ready 200
    done
    # On a busy machine the prober may have met but one of them by now.
    eventually file_says "$scratch/probes" 200
    tell shop 'check database 0 1 3 down'
    eventually file_says "$scratch/probes" 503
    kill $prober
    wait $prober || true
    [ "$(sort -u "$scratch/probes" | tr '\n' ' ')" = "200 503 " ]
}

# start_ruled_agent: with the rules on the standard input.
start_ruled_agent() {
    cat >"$scratch/agent.yaml"
    start_agent --config.file="$scratch/agent.yaml"
}

@test "rules say how many workers have to live, and that an application has to be there at all" {
    start_ruled_agent <<'END'
health:
  rules:
    - workers: {role: worker, min: 2}
      app: shop
      critical: true
    - workers:
      app: bank
END
    probe_is /health/shop/ready 503
    fits "$scratch/answer" probe
    jq -e '.applications[0].reasons[0] == "there is no segment of this name"' "$scratch/answer"
    app bank '.status == "failed" and .segment == null and .rules[0].kind == "workers"'
    health '.status == "degraded"'
    start_puppet one shop
    start_puppet two shop
    tell one 'role worker'
    tell two 'role worker'
    probe_is /health/shop/ready 200
    stop two KILL
    eventually probe_is /health/shop/ready 503
    jq -e '.applications[0].reasons ==
        ["rule workers worker of shop is failed: 1 worker process lives, 2 needed"]' "$scratch/answer"
    probe_is /health/shop/live 200
    agent_get /metrics | grep -qxF \
        'smx_rule_status{app="shop",rule="workers worker of shop",critical="true",status="failed"} 1'
    probe_is /health/ready 200
}

@test "a server that hangs is dead by a critical rule, and lives again when it goes on" {
    start_ruled_agent <<'END'
health:
  rules:
    - heartbeat: {max_age: 1s}
      app: shop
      critical: true
END
    start_puppet one shop
    tell one 'gauge up 1'
    start_puppet two shop
    tell two 'gauge up 1'
    probe_is /health/shop/live 200 # who never sends a heartbeat is not judged
    tell one beat
    start beats bash -c 'while echo beat; do sleep 0.1; done >"$0"' "$scratch/two.fifo"
    eventually app shop '.status == "degraded" and .processes.hung == 1'
    jq -e '.components.applications[0].reasons ==
        ["rule heartbeat of shop is degraded: 1 of 2 processes without a heartbeat for 1 s, number 0 for the longest"]' \
        "$scratch/health.json"
    eventually probe_is /health/shop/live 200 # on a busy machine a beat may be late
    eventually probe_is /health/shop/ready 200
    kill -STOP "${pids[two]}"
    eventually probe_is /health/shop/live 503
    jq -e '.status == "dead"' "$scratch/answer"
    probe_is /health/shop/ready 503
    app shop '.status == "failed" and .processes.live == 2 and .processes.hung == 2'
    kill -CONT "${pids[two]}"
    eventually probe_is /health/shop/live 200
    stop beats
}

@test "a rule on a metric holds it within bounds, and a metric that is not there fails it" {
    start_ruled_agent <<'END'
health:
  rules:
    - name: mail waits
      metric: {family: waiting_total, labels: {kind: mail}, max: 10}
      critical: true
    - metric: {family: sometimes, min: 1, absent: ok}
END
    start_puppet shop shop
    tell shop beat
    probe_is /health/shop/ready 503
    jq -e '.applications[0].reasons == ["rule mail waits is failed: waiting_total: no such metric"]' \
        "$scratch/answer"
    tell shop 'labelled waiting_total mail 10'
    tell shop 'labelled waiting_total web 1000'
    probe_is /health/shop/ready 200
    tell shop 'labelled waiting_total mail 1'
    probe_is /health/shop/ready 503
    jq -e '.applications[0].reasons ==
        ["rule mail waits is failed: waiting_total of \"mail\" is 11, above 10"]' "$scratch/answer"
    tell shop 'gauge sometimes 0'
    app shop '[.rules[] | [.name, .status]] ==
        [["mail waits", "failed"], ["metric sometimes", "failed"]]'
}

@test "rules that are read again are in force at once, and the ones before are gone" {
    start_ruled_agent <<'END'
health: {rules: [{name: two, workers: {min: 2}, critical: true}]}
END
    start_puppet shop shop
    eventually probe_is /health/shop/ready 503
    agent_get /metrics | grep -q '^smx_rule_status{app="shop",rule="two",'
    echo 'health: {rules: [{name: one, workers: {min: 1}, critical: true}]}' >"$scratch/agent.yaml"
    kill -HUP "${pids[agent]}"
    eventually probe_is /health/shop/ready 200
    app shop '[.rules[].name] == ["one"]'
    agent_get /metrics >"$scratch/scrape"
    grep -q '^smx_rule_status{app="shop",rule="one",' "$scratch/scrape"
    [ "$(grep -c '^smx_rule_status{app="shop",rule="two",' "$scratch/scrape")" = 0 ]
    echo 'health: {rules: [{workers: {min: none}}]}' >"$scratch/agent.yaml"
    kill -HUP "${pids[agent]}"
    eventually file_says "$scratch/agent.err" 'health.rules\[0\].workers.min: expected a whole number'
    app shop '[.rules[].name] == ["one"]'
}
