#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 40-reload.bats - the configuration file of a running agent: read again at SIGHUP and at POST
# /-/reload, in force as a whole or not at all.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    mkdir "$scratch/etc"
    file=$scratch/etc/agent.yaml
    start_puppet app shop
    tell app "counter orders_total 41"
    tell app "counter returns_total 1"
}

teardown() {
    live_teardown
}

# start_configured [ARGUMENT...]: an agent that reads $file, whose directories are the file's.
start_configured() {
    start agent "$bin/smx-agent" --config.file="$file" --web.enable-lifecycle \
        --web.listen-address="unix:$scratch/agent.sock" "$@"
    eventually agent_get /-/healthy >/dev/null
}

# write [LINE...]: the file, with the directory of the segments and no age.
write() {
    printf '%s\n' "segments: {directories: [$SMX_DIR]}" 'scrape: {max_age: 0}' "$@" >"$file.new"
    mv "$file.new" "$file"
}

# reload [ARGUMENT...]: leaves the answer's status in $status, its body in $output.
reload() {
    run --separate-stderr curl -s -X POST -w '%{http_code}' --unix-socket "$scratch/agent.sock" \
        "$@" http://agent/-/reload
    status=${lines[-1]}
    output=${output%$'\n'*}
}

metrics() {
    agent_get /metrics >"$scratch/page"
}

page_has() {
    grep -q "$1" "$scratch/page"
}

page_lacks() {
    run -1 grep -q "$1" "$scratch/page"
}

scrape_has() {
    metrics && page_has "$1"
}

@test "a reload puts labels, rules, bounds and created samples in force at once" {
    write 'labels: {cluster: eu1}'
    start_configured
    metrics
    page_has '^orders_total{app="shop",cluster="eu1"} 41$'
    page_has '^returns_total'
    page_has '^smx_process_'
    page_has '^smx_agent_config_last_reload_successful 1$'
    write 'labels: {cluster: us2}' 'metrics: {deny: [returns_total]}' \
        'openmetrics: {created_samples: true}' 'workers: {detail: "off"}'
    reload
    [[ $status == 200 ]]
    metrics
    page_has '^orders_total{app="shop",cluster="us2"} 41$'
    page_lacks returns_total
    page_lacks '^smx_process_'
    curl -s --unix-socket "$scratch/agent.sock" -H 'Accept: application/openmetrics-text' \
        http://agent/metrics | grep -q '^orders_created{app="shop",cluster="us2"} '
}

@test "what is exposed of processes is by the new rules, too" {
    write
    start_configured
    metrics
    page_has 'smx_process_[a-z_]*{app="shop"'
    write "series: {deny: ['app=shop']}"
    reload
    [[ $status == 200 ]]
    metrics
    page_lacks 'smx_process_[a-z_]*{app="shop"'
    page_lacks orders_total
}

@test "a bad file leaves the one before in force, and is told in the answer, the log and a metric" {
    write 'labels: {cluster: eu1}'
    start_configured
    metrics
    local before
    before=$(grep ^smx_agent_config_last_reload_success_timestamp_seconds "$scratch/page")
    write 'labels: {cluster: us2}' 'metric: {deny: [orders_total]}'
    reload
    [[ $status == 400 ]]
    [[ $output == "$file:4: metric: unknown key; did you mean metrics?" ]]
    metrics
    page_has '^orders_total{app="shop",cluster="eu1"} 41$'
    page_has '^smx_agent_config_last_reload_successful 0$'
    page_has "^$before\$"
    grep -q 'level=error.*refused.*metric: unknown key' "$scratch/agent.err"
    write 'labels: {cluster: us2}'
    reload
    [[ $status == 200 ]]
    metrics
    page_has '^orders_total{app="shop",cluster="us2"} 41$'
    page_has '^smx_agent_config_last_reload_successful 1$'
    page_lacks "^$before\$"
}

@test "what cannot be changed without a restart is told, and nothing changes" {
    write
    start_configured
    write 'workers: {memory: true}' 'labels: {cluster: us2}'
    reload
    [[ $status == 400 ]]
    [[ $output == "$file:3: workers.memory: cannot be changed without a restart of the agent" ]]
    metrics
    page_lacks us2
    stop agent
    start_configured
    metrics
    page_has us2
    write
    reload
    [[ $status == 400 && $output == "$file: workers.memory: cannot be changed without"* ]]
    write 'workers: {memory: true, detail: "off"}'
    reload
    [[ $status == 400 && $output == "$file:3: workers.detail: cannot be changed without"* ]]
}

@test "SIGHUP does the same, and goes on when the file is bad or gone" {
    write
    start_configured
    write 'labels: {cluster: us2}'
    kill -HUP "${pids[agent]}"
    eventually scrape_has '^orders_total{app="shop",cluster="us2"} 41$'
    rm "$file"
    kill -HUP "${pids[agent]}"
    eventually scrape_has '^smx_agent_config_last_reload_successful 0$'
    page_has '^orders_total{app="shop",cluster="us2"} 41$'
    reload
    [[ $status == 400 && $output == "$file: No such file or directory" ]]
    mkdir "$file"
    reload
    [[ $status == 400 && $output == "$file: is a directory, and not a file" ]]
}

@test "without --config.file a reload is a look at the segments" {
    start_agent --web.enable-lifecycle
    reload
    [[ $status == 200 ]]
    metrics
    page_has '^smx_agent_config_last_reload_successful 1$'
}

@test "POST and PUT alone reload, not for a browser's page, and only if that is enabled" {
    write
    start_configured
    [[ $(curl -s -o /dev/null -w '%{http_code}' -X PUT --unix-socket "$scratch/agent.sock" \
        http://agent/-/reload) == 200 ]]
    run curl -si --unix-socket "$scratch/agent.sock" http://agent/-/reload
    [[ $output == *' 405 '* && $output == *'Allow: POST, PUT'* ]]
    run curl -si -X POST --unix-socket "$scratch/agent.sock" http://agent/metrics
    [[ $output == *' 405 '* && $output == *'Allow: GET, HEAD'* ]]
    write 'labels: {cluster: us2}'
    reload -H 'Origin: http://example.com'
    [[ $status == 403 ]]
    metrics
    page_lacks us2
    stop agent
    start_agent
    reload
    [[ $status == 403 && $output == *--web.enable-lifecycle* ]]
}

@test "directories come and go by a reload, where the sandbox reaches" {
    mkdir "$scratch/other" "$scratch/segments/below"
    start_puppet second till
    tell second "counter till_total 1"
    local segment
    segment=$(basename "$SMX_DIR"/till*)
    write
    start_configured
    metrics
    page_has 'app="till"'
    mv "$SMX_DIR/$segment" "$scratch/segments/below"
    write
    sed -i "s|directories: .*|directories: [$SMX_DIR, $SMX_DIR/below, $scratch/later]}|" "$file"
    reload
    echo "$status $output"
    [[ $status == 200 ]]
    metrics
    page_has 'app="till"'
    page_has 'app="shop"'
    sed -i "s|directories: .*|directories: [$SMX_DIR/below]}|" "$file"
    reload
    [[ $status == 200 ]]
    metrics
    page_has 'app="till"'
    page_lacks 'app="shop"'
}

@test "a directory out of the sandbox's reach, or unfit, is told with its line, and nothing changes" {
    write
    start_configured
    local out
    out=$(mktemp -d "$BATS_TEST_TMPDIR/out-XXXXXX")
    printf '%s\n' 'segments:' '  directories:' "    - $SMX_DIR" "    - $scratch/agent.sock" \
        'labels: {cluster: us2}' >"$file"
    reload
    [[ $status == 400 ]]
    [[ $output == "$file:4: segments.directories[1]: not a directory" ]]
    metrics
    page_lacks us2
    grep -q 'landlock=on' "$scratch/agent.err" || skip "no Landlock here"
    sed -i "4s|.*|    - $out|" "$file"
    reload
    [[ $status == 400 ]]
    [[ $output == "$file:4: segments.directories[1]: out of reach of the sandbox, which was closed at the start: restart the agent" ]]
    metrics
    page_lacks us2
    page_has 'app="shop"'
    # After a restart it can be read.
    stop agent
    start_configured
    metrics
    page_has us2
}

# As Kubernetes mounts a ConfigMap: the file is a link through a link that is replaced.
config_map() {
    mkdir "$scratch/map/$1"
    printf '%s\n' "segments: {directories: [$SMX_DIR]}" 'scrape: {max_age: 0}' \
        "labels: {version: '$1'}" >"$scratch/map/$1/agent.yaml"
    ln -s "$1" "$scratch/map/..data_tmp"
    mv -T "$scratch/map/..data_tmp" "$scratch/map/..data"
}

@test "a ConfigMap's file is read again through its links" {
    mkdir "$scratch/map"
    file=$scratch/map/agent.yaml
    config_map ..1
    ln -s ..data/agent.yaml "$file"
    start_configured
    metrics
    page_has 'version="..1"'
    config_map ..2
    rm -r "$scratch/map/..1"
    reload
    [[ $status == 200 ]]
    metrics
    page_has 'version="..2"'
}

@test "a file that has become a link to elsewhere is refused, and why is said" {
    local out
    out=$(mktemp -d "$BATS_TEST_TMPDIR/out-XXXXXX")
    write
    start_configured
    grep -q 'landlock=on' "$scratch/agent.err" || skip "no Landlock here"
    write 'labels: {cluster: us2}'
    mv "$file" "$out/agent.yaml"
    ln -s "$out/agent.yaml" "$file"
    reload
    [[ $status == 400 ]]
    [[ $output == "$file: Permission denied; if its mode lets the agent read it, it has come to lie out of reach of the sandbox, which was closed at the start: restart the agent" ]]
}

@test "a file by a relative path is read again" {
    write
    cd "$scratch/etc"
    start agent "$bin/smx-agent" --config.file=agent.yaml --web.enable-lifecycle \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/healthy >/dev/null
    write 'labels: {cluster: us2}'
    reload
    [[ $status == 200 ]]
    metrics
    page_has us2
}

# Scrapes until $scratch/enough is there, each kept.
scrape_on() {
    local n=0
    until [[ -e $scratch/enough ]]; do
        agent_get /metrics >"$scratch/page-$1-$((n++))" || return
    done
}

@test "no scrape is half by one file and half by another, under reloads" {
    local i version scrapers=()
    for ((i = 0; i < 50; i++)); do
        tell app "labelled many_total n$i 1" >/dev/null
    done
    write 'labels: {version: "1"}'
    start_configured
    for i in 1 2 3; do
        scrape_on "$i" 3>&- &
        scrapers+=($!)
    done
    # Not i: bats' run has one, too.
    for ((version = 2; version < 42; version++)); do
        write "labels: {version: \"$version\"}"
        reload
        [[ $status == 200 ]]
        scrape_has "^orders_total{app=\"shop\",version=\"$version\"} 41\$"
    done
    for i in 1 2 3; do eventually test -e "$scratch/page-$i-1"; done
    touch "$scratch/enough"
    for i in "${scrapers[@]}"; do wait "$i"; done
    [[ $(ls "$scratch"/page-* | wc -l) -ge 3 ]]
    for page in "$scratch"/page-*; do
        [[ $(grep '^[a-z]*_total{app="shop"' "$page" | grep -v ^smx_ | grep -o 'version="[0-9]*"' |
            sort -u | wc -l) -eq 1 ]]
    done
}

@test "an option overrules the file, also after a reload" {
    write 'labels: {cluster: eu1}'
    start_configured --labels.add=cluster=here
    write 'labels: {cluster: us2}' 'metrics: {deny: [returns_total]}'
    reload
    [[ $status == 200 ]]
    metrics
    page_has '^orders_total{app="shop",cluster="here"} 41$'
    page_lacks returns_total
}
