#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-web.bats - TLS and users with a real Prometheus, and for an agent without privileges, in its
# sandbox, whose certificates are renewed as certbot, Kubernetes and people do it.

bats_require_minimum_version 1.5.0
load support/live
load support/pki
load support/prometheus

# No entries in any database are needed for these.
group=61000 agent_user=61001

setup() {
    live_setup
    mkdir "$scratch/config"
    make_ca
    make_certificate server
}

teardown() {
    live_teardown
    [ -z "$elsewhere" ] || rm -rf "$elsewhere"
}

not() {
    ! "$@"
}

write_web() {
    {
        printf 'tls_server_config:\n  cert_file: %s\n  key_file: %s\n' "$1" "$2"
        printf '  client_ca_file: %s\n  client_auth_type: VerifyClientCertIfGiven\n' "$pki/ca.crt"
        printf 'basic_auth_users:\n  prometheus: %s\n' "$(htpasswd -nbBC 10 '' "$3" | tr -d ':\n')"
    } >"$scratch/config/web.yml.new"
    mv "$scratch/config/web.yml.new" "$scratch/config/web.yml"
}

@test "a real Prometheus scrapes over TLS with a password, before and after both change" {
    start_puppet app shop
    tell app "counter orders_total 41"
    write_web "$pki/server.crt" "$pki/server.key" secret
    start_tcp_agent agent --web.config.file="$scratch/config/web.yml"
    make_certificate client
    printf secret >"$scratch/password"
    scrape_settings="scheme: https, basic_auth: {username: prometheus,
        password_file: '$scratch/password'}, tls_config: {ca_file: '$pki/ca.crt',
        server_name: localhost, cert_file: '$pki/client.crt', key_file: '$pki/client.key'}"
    start_prometheus
    eventually answer_is 'orders_total{app="shop"}' 41
    eventually answer_is smx_agent_web_config_last_reload_successful 1
    make_certificate next server
    cp "$pki/next.crt" "$pki/server.crt"
    cp "$pki/next.key" "$pki/server.key"
    eventually shows_next
    eventually has_scraped_since "$(date +%s.%N)"
    was_never_refused
    write_web "$pki/server.crt" "$pki/server.key" hidden
    # Of those that follow it most are told to wait, and some are late: its last answer is a moment's.
    eventually file_says "$scratch/prometheus.err" 'msg="Scrape failed".*HTTP status 401'
    run ! was_never_refused
    printf hidden >"$scratch/password"
    tell app "counter orders_total 1"
    eventually is_up
    eventually answer_is 'orders_total{app="shop"}' 42
    # Its first connection was cut off by nobody: what it lost are the scrapes with the old password.
    [ "$(curl -sk -u prometheus:hidden "https://$agent/metrics" | grep -c '^smx_agent_build_info')" \
        -eq 1 ]
}

shows_next() {
    [ "$(serial_at "$agent")" = "$(serial_of "$pki/next.crt")" ]
}

has_scraped_since() {
    answer_is "timestamp(smx_agent_build_info) > bool $1" 1
}

start_agent_as() {
    start agent setpriv --reuid="$1" --regid=$group --clear-groups --pdeathsig TERM \
        "$bin/smx-agent" --segments.dir="$SMX_DIR" --web.listen-address=127.0.0.1:0 \
        --web.config.file="$scratch/config/web.yml"
    eventually file_says "$scratch/agent.err" "listening.*127\.0\.0\.1:"
    agent=$(grep -o '127\.0\.0\.1:[0-9]*' "$scratch/agent.err" | head -n 1)
    port=${agent#*:}
}

# Ask, so that the files are looked at, and see which certificate is shown.
shows() {
    curl -sf --cacert "$pki/ca.crt" -u prometheus:secret "https://localhost:$port/metrics" \
        >"$scratch/page" || return
    [ "$(serial_at "localhost:$port")" = "$(serial_of "$1")" ]
}

# release NAME DIRECTORY: a new certificate in a directory of its own.
release() {
    make_certificate "$1" server
    mkdir -p "$2"
    cp "$pki/$1.crt" "$2/tls.crt"
    cp "$pki/$1.key" "$2/tls.key"
    chmod 644 "$2"/tls.*
    chmod 755 "$2"
}

@test "an agent without privileges goes on reading what is renewed, in its sandbox" {
    [ "$(id -u)" -eq 0 ] || skip "needs root to be another user"
    local mounted=$scratch/mounted name
    chmod 755 "$scratch" "$pki"
    mkdir "$mounted"
    release first "$mounted/..first"
    # As Kubernetes mounts a secret: a link to a directory, that is replaced.
    ln -s ..first "$mounted/..data"
    ln -s ..data/tls.crt "$mounted/tls.crt"
    ln -s ..data/tls.key "$mounted/tls.key"
    write_web "$mounted/tls.crt" "$mounted/tls.key" secret
    start_agent_as $agent_user
    eventually shows "$pki/first.crt"
    grep -qx 'process_threads 2' "$scratch/page"
    [ "$(awk '$1 == "Seccomp:" { print $2 }' "/proc/${pids[agent]}/task"/*/status | xargs)" = "2 2" ]
    [ "$(awk '$1 == "CapEff:" { print $2 }' "/proc/${pids[agent]}/task"/*/status | sort -u)" = \
        0000000000000000 ]
    [ "$(awk '$1 == "NoNewPrivs:" { print $2 }' "/proc/${pids[agent]}/task"/*/status | xargs)" = \
        "1 1" ]
    for name in second third; do
        release $name "$mounted/..$name"
        ln -s "..$name" "$mounted/..tmp"
        mv -T "$mounted/..tmp" "$mounted/..data"
        eventually shows "$pki/$name.crt"
    done
    # A new password, in a new file.
    write_web "$mounted/tls.crt" "$mounted/tls.key" hidden
    eventually curl -sf --cacert "$pki/ca.crt" -u prometheus:hidden \
        "https://localhost:$port/metrics" >/dev/null
    not curl -sf --cacert "$pki/ca.crt" -u prometheus:secret "https://localhost:$port/metrics"
    not grep -q 'level=error' "$scratch/agent.err"
    # One that lies where it may not look is told of; the old one stays in force. What lies beside
    # the directory of segments it may read.
    elsewhere=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    release away "$elsewhere"
    write_web "$elsewhere/tls.crt" "$elsewhere/tls.key" hidden
    eventually says_restart
    [ "$(serial_at "localhost:$port")" = "$(serial_of "$pki/third.crt")" ]
    stop agent
    [ "$ended" -eq 0 ]
}

says_restart() {
    curl -s -o /dev/null --cacert "$pki/ca.crt" "https://localhost:$port/-/healthy"
    # Without Landlock it may look everywhere.
    file_says "$scratch/agent.err" '/tls.crt: .*do=.*a new directory needs a restart' ||
        file_says "$scratch/agent.err" 'landlock="not offered'
}
