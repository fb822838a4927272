#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 40-web.bats - how the agent is reached: TLS, client certificates, users, probes, sockets of
# systemd, names, limits and headers, with real clients.

bats_require_minimum_version 1.5.0
load support/live
load support/pki

setup() {
    live_setup
}

teardown() {
    live_teardown
}

not() {
    ! "$@"
}

# Of the password "secret", which the agent takes seconds to check, as htpasswd to make it.
slow_hash='$2y$15$4Sp4htqIyUPS6lsSohPAhOzfUwXW4QutNs6u9O9F99x9xYwbQ/Cku'

# hash PASSWORD [COST]
hash() {
    htpasswd -nbBC "${2-4}" '' "$1" | tr -d ':\n'
}

# write_web LINE...: the web configuration file, at once.
write_web() {
    printf '%s\n' "$@" >"$scratch/web.new"
    mv "$scratch/web.new" "$scratch/web.yml"
}

tls_lines() {
    printf 'tls_server_config:\n  cert_file: %s.crt\n  key_file: %s.key\n' "$pki/$1" "$pki/$1"
}

# start_web [ARGUMENT...]: with that file; its address is left in $agent, its port in $port.
start_web() {
    start_tcp_agent agent --web.config.file="$scratch/web.yml" "$@"
    port=${agent#*:}
    eventually answers 127.0.0.1
}

answers() {
    [ "$(status -k "https://$1:$port/-/healthy")" = 200 ] ||
        [ "$(status "http://$1:$port/-/healthy")" = 200 ]
}

status() {
    curl -s -o /dev/null -w '%{http_code}' "$@"
}

# status_is STATUS [ARGUMENT...]
status_is() {
    [ "$(status "${@:2}")" = "$1" ]
}

# Ask, so that the files are looked at, until the log says something.
log_says() {
    answers 127.0.0.1
    file_says "$scratch/agent.err" "$1"
}

headers() {
    curl -s -o /dev/null -D - "$@" | tr -d '\r'
}

# Of one more listener, the port.
other_port() {
    sed -En "s/.*msg=\"?$1\"? address=[^ ]*:([0-9]+) .*/\1/p" "$scratch/agent.err" | tail -n 1
}

metric() {
    curl -s "$@" | awk -v name="$name" '$1 == name { print $2 }'
}

metric_is() {
    local name=$1 value=$2
    shift 2
    [ "$(metric "$@")" = "$value" ]
}

@test "over TLS, with a user and without" {
    make_ca
    make_certificate server
    write_web "$(tls_lines server)" "basic_auth_users:" "  alice: $(hash secret)"
    start_web
    local https=https://localhost:$port ca=(--cacert "$pki/ca.crt")
    [ "$(status "${ca[@]}" "$https/metrics")" = 401 ]
    headers "${ca[@]}" "$https/metrics" | grep -qx 'WWW-Authenticate: Basic realm="smx-agent", charset="UTF-8"'
    for user in alice:wrong alice: bob:secret :; do
        [ "$(status "${ca[@]}" -u "$user" "$https/metrics")" = 401 ]
    done
    for path in /metrics /health /; do
        [ "$(status "${ca[@]}" -u alice:secret "$https$path")" = 200 ]
        [ "$(status "${ca[@]}" "$https$path")" = 401 ]
    done
    [ "$(status "${ca[@]}" -u alice:secret "$https/nothing")" = 404 ]
    [ "$(status "${ca[@]}" "$https/nothing")" = 401 ]
    # Who does not know the CA does not connect, nor does who speaks plainly.
    not curl -s "$https/metrics"
    not curl -s "http://localhost:$port/metrics"
    metric_is smx_agent_http_unauthorized_total 10 "${ca[@]}" -u alice:secret "$https/metrics"
    metric_is 'smx_agent_tls_handshake_errors_total{reason="no_tls"}' 1 \
        "${ca[@]}" -u alice:secret "$https/metrics"
    metric_is 'smx_agent_tls_handshake_errors_total{reason="failed"}' 1 \
        "${ca[@]}" -u alice:secret "$https/metrics"
    local end
    end=$(date -d "$(openssl x509 -in "$pki/server.crt" -noout -enddate | cut -d= -f2)" +%s)
    metric_is smx_agent_tls_certificate_not_after_timestamp_seconds "$end" \
        "${ca[@]}" -u alice:secret "$https/metrics"
}

@test "probes need no credentials, and may have a listener of their own" {
    make_ca
    make_certificate server
    make_certificate client
    write_web "$(tls_lines server)" "  client_auth_type: RequireAndVerifyClientCert" \
        "  client_ca_file: $pki/ca.crt" "basic_auth_users:" "  alice: $(hash secret)"
    start_tcp_agent agent --web.config.file="$scratch/web.yml" --web.probe-address=127.0.0.1:0 \
        --web.probe-address="unix:$scratch/probe.sock?mode=0666"
    port=${agent#*:}
    local probes path client=(--cacert "$pki/ca.crt" --cert "$pki/client.crt"
        --key "$pki/client.key")
    probes=$(other_port 'listening for probes')
    for path in /-/healthy /-/ready /health/live /health/ready; do
        status_is 200 "http://127.0.0.1:$probes$path"
        [ "$(status --unix-socket "$scratch/probe.sock" "http://x$path")" = 200 ]
        [ "$(status "${client[@]}" "https://localhost:$port$path")" = 200 ]
        not curl -sk "https://localhost:$port$path"
    done
    for path in /metrics /health / /nothing; do
        [ "$(status "http://127.0.0.1:$probes$path")" = 404 ]
        [ "$(status "${client[@]}" "https://localhost:$port$path")" = 401 ]
        [ "$(status "${client[@]}" -u alice:secret "https://localhost:$port/metrics")" = 200 ]
    done
    stop agent
    [ "$ended" -eq 0 ]
    [ ! -e "$scratch/probe.sock" ]
}

@test "a client shows a certificate of the CA with a name that is allowed" {
    make_ca
    make_ca other
    make_certificate server
    make_certificate prometheus
    make_certificate grafana
    make_certificate stranger prometheus other
    write_web "$(tls_lines server)" "  client_auth_type: RequireAndVerifyClientCert" \
        "  client_ca_file: pki/ca.crt" "  client_allowed_sans: [prometheus]"
    start_tcp_agent agent --web.config.file="$scratch/web.yml"
    port=${agent#*:}
    with() {
        curl -s --cacert "$pki/ca.crt" --cert "$pki/$1.crt" --key "$pki/$1.key" "${@:2}" \
            "https://localhost:$port/metrics"
    }
    eventually with prometheus >/dev/null
    # Who has sent a request before he was refused may see a reset instead of the alert, which
    # 40-tls.c looks for.
    for client in grafana stranger; do
        not with $client
    done
    not curl -s --cacert "$pki/ca.crt" "https://localhost:$port/metrics"
    # TLS 1.2 has another handshake.
    with prometheus --tls-max 1.2 >/dev/null
    not with stranger --tls-max 1.2
    with prometheus |
        grep -qxF 'smx_agent_tls_handshake_errors_total{reason="client_certificate"} 4'
}

@test "versions and suites of TLS are those of the file" {
    make_ca
    make_certificate server
    write_web "$(tls_lines server)" "  min_version: TLS13"
    start_web
    local https=https://localhost:$port/-/healthy
    [ "$(status --cacert "$pki/ca.crt" "$https")" = 200 ]
    not curl -s --cacert "$pki/ca.crt" --tls-max 1.2 "$https"
    stop agent
    write_web "$(tls_lines server)" "  max_version: TLS12" \
        "  cipher_suites: [TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256]"
    start_web
    https=https://localhost:$port/-/healthy
    not curl -s --cacert "$pki/ca.crt" --tlsv1.3 "$https"
    not curl -s --cacert "$pki/ca.crt" --tls-max 1.2 --ciphers ECDHE-ECDSA-AES128-GCM-SHA256 "$https"
    curl -s --cacert "$pki/ca.crt" --tls-max 1.2 --ciphers ECDHE-ECDSA-CHACHA20-POLY1305 "$https"
}

# Ask until told to stop; what fails is written down.
keep_asking() {
    while [ ! -e "$scratch/enough" ]; do
        curl -s -o /dev/null --cacert "$pki/ca.crt" -u alice:secret \
            "https://localhost:$port/metrics" || echo failed
        echo asked
    done
}

@test "a certificate is renewed under load, and nobody is turned away" {
    make_ca
    make_certificate server
    write_web "$(tls_lines server)" "basic_auth_users:" "  alice: $(hash secret)"
    start_web
    export -f keep_asking
    export scratch pki port
    for i in 1 2 3; do
        start "load$i" bash -c keep_asking
    done
    for i in 1 2 3 4; do
        make_certificate "next$i" server
        # The one after the other, as most who renew them do it.
        cp "$pki/next$i.crt" "$pki/server.crt.new"
        mv "$pki/server.crt.new" "$pki/server.crt"
        cp "$pki/next$i.key" "$pki/server.key"
        eventually shows "next$i"
    done
    for i in 1 2 3; do
        eventually has_lines "$scratch/load$i.out" 4
    done
    touch "$scratch/enough"
    for i in 1 2 3; do
        stop "load$i" 0
        not grep -q failed "$scratch/load$i.out"
        [ "$(wc -l <"$scratch/load$i.out")" -gt 3 ]
    done
}

shows() {
    [ "$(serial_at "localhost:$port")" = "$(serial_of "$pki/$1.crt")" ]
}

@test "a bad certificate leaves the old one in force, and is told once" {
    make_ca
    make_certificate server
    cp "$pki/server.crt" "$pki/first.crt"
    make_certificate next server
    write_web "$(tls_lines server)"
    start_web
    local ask=(--cacert "$pki/ca.crt" "https://localhost:$port/metrics")
    metric_is smx_agent_web_config_last_reload_successful 1 "${ask[@]}"
    echo nonsense >"$pki/server.crt"
    eventually metric_is smx_agent_web_config_last_reload_successful 0 "${ask[@]}"
    shows first
    # The new certificate without its key is no better, but another thing to say.
    cp "$pki/next.crt" "$pki/server.crt"
    eventually log_says 'the key is not that of the certificate'
    rm "$pki/server.key"
    eventually log_says 'server.key: .*o such file'
    shows first
    [ "$(grep -c 'level=error' "$scratch/agent.err")" -eq 3 ]
    cp "$pki/next.key" "$pki/server.key"
    eventually metric_is smx_agent_web_config_last_reload_successful 1 "${ask[@]}"
    shows next
    [ "$(grep -c 'web configuration in force' "$scratch/agent.err")" -eq 2 ]
}

@test "users and headers change with the file, at once and at SIGHUP" {
    write_web "basic_auth_users:" "  alice: $(hash secret)"
    start_web
    local url=http://127.0.0.1:$port/metrics
    [ "$(status -u alice:secret "$url")" = 200 ]
    write_web "basic_auth_users:" "  bob: $(hash hidden)" \
        "http_server_config: {headers: {X-Frame-Options: sameorigin}}"
    kill -HUP "${pids[agent]}"
    eventually status_is 200 -u bob:hidden "$url"
    [ "$(status -u alice:secret "$url")" = 401 ]
    headers -u bob:hidden "$url" | grep -qx 'X-Frame-Options: sameorigin'
    # Without a signal.
    write_web "basic_auth_users:" "  carol: $(hash third)"
    eventually frames_are_denied # not by a password that is wrong yet: there are but 16 tries
    metric_is smx_agent_web_config_last_reload_successful 1 -u carol:third "$url"
    [ "$(status -u bob:hidden "$url")" = 401 ]
    # What is wrong changes nothing.
    write_web "basic_auth_users:" "  carol: third"
    kill -HUP "${pids[agent]}"
    eventually metric_is smx_agent_web_config_last_reload_successful 0 -u carol:third "$url"
    file_says "$scratch/agent.err" 'web.yml:2: basic_auth_users.carol: expected a hash by bcrypt'
    not grep -q 'third' "$scratch/agent.err"
    # TLS cannot come under way.
    make_ca
    make_certificate server
    write_web "$(tls_lines server)"
    eventually log_says 'TLS can be switched on by a restart'
    [ "$(status -u carol:third "$url")" = 200 ]
    # Everybody may come again.
    write_web ""
    eventually status_is 200 "$url"
}

frames_are_denied() {
    headers "http://127.0.0.1:$port/-/healthy" | grep -qx 'X-Frame-Options: DENY'
}

@test "POST /-/reload reads the web configuration, of those who may, and answers what is wrong" {
    write_web "basic_auth_users:" "  alice: $(hash secret)"
    echo 'labels: {cluster: eu1}' >"$scratch/agent.yaml"
    start_web --web.enable-lifecycle --config.file="$scratch/agent.yaml"
    local url=http://127.0.0.1:$port
    start_puppet app shop
    tell app "counter orders_total 41"
    [ "$(status -X POST "$url/-/reload")" = 401 ]
    [ "$(status -X POST -u alice:secret "$url/-/reload")" = 200 ]
    eventually scrapes 'orders_total{app="shop",cluster="eu1"} 41'
    # What is wrong with the one is no reason to use the other.
    write_web "basic_auth_users: [alice]"
    echo 'labels: {cluster: eu2}' >"$scratch/agent.yaml"
    run curl -s -w '%{http_code}' -X POST -u alice:secret "$url/-/reload"
    [[ $output == *"web.yml:1: basic_auth_users: expected a mapping"*400 ]]
    scrapes 'orders_total{app="shop",cluster="eu1"} 41'
    scrapes 'smx_agent_config_last_reload_successful 0'
    write_web "basic_auth_users:" "  alice: $(hash secret)"
    [ "$(status -X POST -u alice:secret "$url/-/reload")" = 200 ]
    eventually scrapes 'orders_total{app="shop",cluster="eu2"} 41'
    scrapes 'smx_agent_config_last_reload_successful 1'
    # Nor is what is wrong with the other a reason to use this one.
    echo 'labels: [eu3]' >"$scratch/agent.yaml"
    run curl -s -w '%{http_code}' -X POST -u alice:secret "$url/-/reload"
    [[ $output == *"agent.yaml:1: labels: expected a mapping"*400 ]]
    scrapes 'smx_agent_config_last_reload_successful 0'
    scrapes 'smx_agent_web_config_last_reload_successful 1'
    [ "$(status -X POST -u alice:secret -H 'Host: evil.com' "$url/-/reload")" = 421 ]
}

scrapes() {
    curl -s -u alice:secret "http://127.0.0.1:$port/metrics" | grep -qxF "$1"
}

@test "a file of users that is being written over lets nobody in" {
    write_web "basic_auth_users:" "  alice: $(hash secret)"
    start_web
    local url=http://127.0.0.1:$port/metrics before took nobody alice
    local -i turn quick=0 deadline=$((SECONDS + 300))
    [ "$(status -u alice:secret "$url")" = 200 ]
    # For four seconds, in each of which the agent looks once.
    for ((turn = 0; quick < 4000; turn++)); do
        [ "$SECONDS" -lt "$deadline" ]
        before=$(date +%s%3N)
        echo "# $turn" >"$scratch/web.yml"
        nobody=$(status "$url")
        alice=$(status -u alice:secret "$url")
        # A file that nobody has touched for a second or two was meant so.
        took=$(($(date +%s%3N) - before))
        if ((took > 900)); then
            write_web "basic_auth_users:" "  alice: $(hash secret)"
            kill -HUP "${pids[agent]}"
            eventually status_is 401 "$url"
            continue
        fi
        quick+=took
        [ "$nobody$alice" = 401200 ]
    done
    echo "# $turn" >"$scratch/web.yml"
    # It was meant so.
    kill -HUP "${pids[agent]}"
    eventually status_is 200 "$url"
}

@test "a web configuration that is wrong is no start, and --check-config tells why" {
    make_ca
    make_certificate server
    make_certificate other
    write_web "$(tls_lines server)"
    "$bin/smx-agent" --check-config --web.config.file="$scratch/web.yml" |
        grep -qx "$scratch/web.yml is fine"
    check() {
        run "$bin/smx-agent" --check-config --web.config.file="$scratch/web.yml"
        echo "$output"
        [ "$status" -eq 1 ]
        [[ $output == *"$1"* ]]
        run "$bin/smx-agent" --segments.dir="$SMX_DIR" --web.config.file="$scratch/web.yml" \
            --web.listen-address=127.0.0.1:0
        [ "$status" -eq 1 ]
        [[ $output == *"$1"* ]]
    }
    write_web "tls_server_config:" "  cert_file: $pki/server.crt" "  key_file: $pki/other.key"
    check "web.yml:2: tls_server_config: the key is not that of the certificate"
    write_web "tls_server_config:" "  cert_file: $pki/absent.crt" "  key_file: $pki/other.key"
    check "web.yml:2: tls_server_config.cert_file: $pki/absent.crt: No such file or directory"
    write_web "tls_server_config:" "  cert_file: server.crt" "  key_file: $pki"
    cp "$pki/server.crt" "$scratch"
    check "web.yml:3: tls_server_config.key_file: $pki: is a directory, and not a file"
    write_web "tls_server_config:" "  cert: nonsense" "  key: nonsense"
    check "web.yml:2: tls_server_config: no certificate and key in PEM"
    write_web "basic_auth_users: {alice: secret}"
    check "web.yml:1: basic_auth_users.alice: expected a hash by bcrypt"
    rm "$scratch/web.yml"
    check "web.yml: "
    run "$bin/smx-agent" --web.config.file=
    [ "$status" -eq 2 ]
}

@test "paths in the file are relative to it, and it may be relative itself" {
    make_ca
    make_certificate server
    write_web "tls_server_config:" "  cert_file: pki/server.crt" "  key_file: ./pki/server.key"
    start_web
    stop agent
    cd "$scratch"
    start_tcp_agent agent --web.config.file=web.yml
    port=${agent#*:}
    eventually answers 127.0.0.1
    make_certificate next server
    cp "$pki/next.crt" "$pki/server.crt"
    cp "$pki/next.key" "$pki/server.key"
    eventually shows next
}

# Order and not time: a check of that cost takes seconds, some scrapes do not; or else once more.
@test "while a password is checked, others are served" {
    write_web "basic_auth_users:" "  alice: $(hash secret)" "  slow: $slow_hash"
    start_web
    local url=http://127.0.0.1:$port
    [ "$(status -u alice:secret "$url/metrics")" = 200 ]
    local try meanwhile=
    for try in 1 2 3 4 5; do
        start slow curl -s -o /dev/null -w '%{http_code}' -u "slow:wrong$try" "$url/metrics"
        start slower curl -s -o /dev/null -w '%{http_code}' -u slow:secret "$url/metrics"
        for i in 1 2 3 4 5; do
            [ "$(status -u alice:secret "$url/metrics")" = 200 ]
            [ "$(status "$url/-/healthy")" = 200 ]
            [ "$(status "$url/metrics")" = 401 ]
            ! { running slow && running slower; } || meanwhile=1
        done
        stop slow 0
        stop slower 0
        [ "$(cat "$scratch/slow.out")" = 401 ]
        [ "$(cat "$scratch/slower.out")" = 200 ]
        [ -z "$meanwhile" ] || break
        stop agent # which knows slow by now
        start_web
        url=http://127.0.0.1:$port
    done
    [ "$meanwhile" ]
}

@test "wrong passwords at volume are refused, and keep out nobody who was let in" {
    write_web "basic_auth_users:" "  alice: $(hash secret 10)"
    start_web
    local url=http://127.0.0.1:$port/metrics guesses=() began=$SECONDS
    [ "$(status -u alice:secret "$url")" = 200 ]
    for ((i = 0; i < 200; i++)); do
        guesses+=(-o /dev/null "http://user$i:guess@127.0.0.1:$port/metrics")
    done
    start guesser curl -s -Z --parallel-max 50 -w '%{http_code}\n' "${guesses[@]}"
    while running guesser; do
        [ "$(status -u alice:secret "$url")" = 200 ]
        [ "$(status "http://127.0.0.1:$port/health/ready")" = 200 ]
    done
    stop guesser 0
    sort "$scratch/guesser.out" | uniq -c
    [ "$(grep -c 429 "$scratch/guesser.out")" -ge 150 ]
    [ "$(grep -c 401 "$scratch/guesser.out")" -ge 1 ]
    not grep -qv '401\|429' "$scratch/guesser.out"
    eventually is_put_off
    # Once a minute.
    [ "$(grep -c 'wrong user or password' "$scratch/agent.err")" -le $((1 + (SECONDS - began) / 60)) ]
    file_says "$scratch/agent.err" 'wrong user or password.*address=127.0.0.1'
}

# Where a token has come meanwhile it is used up.
is_put_off() {
    headers -u eve:guess "http://127.0.0.1:$port/metrics" | grep -qx 'Retry-After: [1-9][0-9]*'
}

@test "many who come with the same password wait for one check" {
    write_web "basic_auth_users:" "  alice: $(hash secret 12)"
    start_web
    local urls=()
    for ((i = 0; i < 40; i++)); do
        urls+=(-o /dev/null "http://alice:secret@127.0.0.1:$port/metrics")
    done
    [ "$(curl -s -Z --parallel-max 40 --parallel-immediate -w '%{http_code}\n' "${urls[@]}" |
        sort | uniq -c | xargs)" = "40 200" ]
}

@test "an agent that is asked to end does so while passwords are checked" {
    write_web "basic_auth_users:" "  alice: $slow_hash"
    start_web
    start asker curl -s -o /dev/null -w '%{http_code}' -u alice:secret \
        "http://127.0.0.1:$port/metrics"
    eventually metric_of_connections
    stop agent TERM
    [ "$ended" -eq 0 ]
    stop asker 0
    [[ $(cat "$scratch/asker.out") == @(200|503|000) ]]
}

metric_of_connections() {
    [ "$(ss -Htn state established "( sport = :$port )" | wc -l)" -ge 1 ]
}

# On a port that nobody has; another one, if somebody does.
activate() {
    port=$((24000 + RANDOM % 6000))
    start activate systemd-socket-activate --listen="127.0.0.1:$port" --listen="$scratch/sd.sock" \
        --listen="$scratch/probe.sock" --fdname=http --fdname=http --fdname=probe \
        "$bin/smx-agent" --segments.dir="$SMX_DIR"
    until [ -S "$scratch/probe.sock" ]; do
        running activate || return
        sleep 0.05
    done
}

@test "sockets of systemd are served, and stay when the agent goes" {
    eventually activate
    curl -s --retry 50 --retry-all-errors --retry-delay 0 --unix-socket "$scratch/sd.sock" \
        http://x/metrics >"$scratch/page"
    grep -q '^smx_agent_build_info' "$scratch/page"
    [ "$(status "http://127.0.0.1:$port/metrics")" = 200 ]
    [ "$(status --unix-socket "$scratch/probe.sock" http://x/metrics)" = 404 ]
    [ "$(status --unix-socket "$scratch/probe.sock" http://x/health/ready)" = 200 ]
    not grep -q 'address=127.0.0.1:9745' "$scratch/activate.err"
    stop activate
    [ "$ended" -eq 0 ]
    [ -S "$scratch/sd.sock" ]
}

@test "addresses that are given are listened at beside sockets of systemd" {
    start activate systemd-socket-activate --listen="$scratch/sd.sock" \
        "$bin/smx-agent" --segments.dir="$SMX_DIR" --web.systemd-socket \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually test -S "$scratch/sd.sock"
    curl -s --retry 50 --retry-all-errors --retry-delay 0 --unix-socket "$scratch/sd.sock" \
        http://x/-/healthy
    eventually agent_get /-/healthy
}

@test "sockets that cannot be used, or are not there, are a failure" {
    run "$bin/smx-agent" --segments.dir="$SMX_DIR" --web.systemd-socket
    [ "$status" -eq 1 ]
    [[ $output == *"no socket of systemd"* ]]
    # Those of another process are not ours.
    run env LISTEN_FDS=1 LISTEN_PID=1 "$bin/smx-agent" --segments.dir="$SMX_DIR" \
        --web.systemd-socket
    [ "$status" -eq 1 ]
    run bash -c 'exec 3</dev/null; LISTEN_FDS=1 LISTEN_PID=$BASHPID exec "$0" --segments.dir="$1"' \
        "$bin/smx-agent" "$SMX_DIR"
    [ "$status" -eq 1 ]
    [[ $output == *"descriptor 3 is not a stream socket"* ]]
    run bash -c 'LISTEN_FDS=17 LISTEN_PID=$BASHPID exec "$0" --segments.dir="$1"' \
        "$bin/smx-agent" "$SMX_DIR"
    [ "$status" -eq 1 ]
    [[ $output == *"16 are the most"* ]]
}

@test "a socket in the file system has the mode and the group that were asked for" {
    local group
    group=$(id -gn)
    [ "$(id -u)" -ne 0 ] || group=daemon
    start_tcp_agent agent --web.listen-address="unix:$scratch/default.sock" \
        --web.listen-address="unix:$scratch/shared.sock?mode=0660&group=$group"
    eventually test -S "$scratch/shared.sock"
    [ "$(stat -c %a "$scratch/default.sock")" = 600 ]
    [ "$(stat -c '%a %G' "$scratch/shared.sock")" = "660 $group" ]
    [ "$(status --unix-socket "$scratch/shared.sock" http://x/metrics)" = 200 ]
    run "$bin/smx-agent" --web.listen-address="unix:/x?mode=9"
    [ "$status" -eq 2 ]
    [[ $output == *"mode= must be octal"* ]]
}

@test "IPv6 is listened at, alone and with IPv4" {
    [ -e /proc/net/if_inet6 ] || skip "no IPv6"
    start_tcp_agent agent --web.listen-address='[::1]:0' --web.listen-address=:0
    local six both
    eventually file_says "$scratch/agent.err" 'address=\[::\]'
    six=$(sed -En 's/.*address=\[::1\]:([0-9]+).*/\1/p' "$scratch/agent.err" | head -n 1)
    both=$(sed -En 's/.*msg=listening address=\[::\]:([0-9]+).*/\1/p' "$scratch/agent.err")
    [ "$(status "http://[::1]:$six/metrics")" = 200 ]
    [ "$(status "http://localhost:$six/metrics" --resolve "localhost:$six:[::1]")" = 200 ]
    [ "$(status "http://[::1]:$both/metrics")" = 200 ]
    [ "$(status "http://127.0.0.1:$both/metrics")" = 200 ]
    not curl -s "http://127.0.0.1:$six/metrics"
}

@test "an address that the network reaches is told of, unless it is guarded" {
    make_ca
    make_certificate server
    start_web_at() {
        start agent "$bin/smx-agent" --segments.dir="$SMX_DIR" "$@"
        eventually file_says "$scratch/agent.err" 'sandboxed'
        stop agent
        cat "$scratch/agent.err" # shown if the test fails
    }
    local open='level=warn msg="whoever reaches this address can read all metrics" address='
    local clear='level=warn msg="passwords come to this address as they are typed" address='
    start_web_at --web.listen-address=0.0.0.0:0 --web.listen-address=127.0.0.1:0
    [ "$(grep -c "$open" "$scratch/agent.err")" -eq 1 ]
    file_says "$scratch/agent.err" "${open}0.0.0.0:[0-9]* do=.*web.config.file"
    start_web_at --web.listen-address=127.0.0.1:0 --web.listen-address="unix:$scratch/a.sock"
    not file_says "$scratch/agent.err" "$open"
    write_web "$(tls_lines server)"
    start_web_at --web.listen-address=0.0.0.0:0 --web.config.file="$scratch/web.yml"
    file_says "$scratch/agent.err" "${open}0.0.0.0:[0-9]* do=\"give basic_auth_users or "
    write_web "basic_auth_users: {alice: $(hash secret)}"
    start_web_at --web.listen-address=0.0.0.0:0 --web.config.file="$scratch/web.yml"
    file_says "$scratch/agent.err" "$clear"
    not file_says "$scratch/agent.err" "$open"
    write_web "$(tls_lines server)" "basic_auth_users: {alice: $(hash secret)}"
    start_web_at --web.listen-address=0.0.0.0:0 --web.config.file="$scratch/web.yml"
    not file_says "$scratch/agent.err" "$open"
    not file_says "$scratch/agent.err" "$clear"
    write_web "$(tls_lines server)" "  client_ca_file: $pki/ca.crt" \
        "  client_auth_type: RequireAndVerifyClientCert"
    start_web_at --web.listen-address=0.0.0.0:0 --web.config.file="$scratch/web.yml"
    not file_says "$scratch/agent.err" "$open"
}

@test "an address that the network reaches is told of when the file changes, too" {
    local open='level=warn msg="whoever reaches this address can read all metrics" address=0.0.0.0:'
    local clear='level=warn msg="passwords come to this address as they are typed" address=0.0.0.0:'
    write_web "basic_auth_users: {alice: $(hash secret)}"
    start_web --web.listen-address=0.0.0.0:0
    eventually file_says "$scratch/agent.err" "$clear"
    not file_says "$scratch/agent.err" "$open"
    write_web ""
    kill -HUP "${pids[agent]}"
    eventually file_says "$scratch/agent.err" "$open"
    stop agent
    start_web --web.listen-address=0.0.0.0:0
    eventually file_says "$scratch/agent.err" "$open"
    not file_says "$scratch/agent.err" "$clear"
    write_web "basic_auth_users: {alice: $(hash secret)}"
    kill -HUP "${pids[agent]}"
    eventually file_says "$scratch/agent.err" "$clear"
}

@test "on the loopback a request must ask for a name of it" {
    start_tcp_agent agent --web.listen-address="unix:$scratch/agent.sock" \
        --web.listen-address=0.0.0.0:0
    port=${agent#*:}
    local all
    eventually file_says "$scratch/agent.err" 'address=0\.0\.0\.0'
    all=$(sed -En 's/.*msg=listening address=0.0.0.0:([0-9]+).*/\1/p' "$scratch/agent.err")
    for host in localhost 127.0.0.1 "localhost:$port" '[::1]:9745' app.localhost; do
        [ "$(status -H "Host: $host" "http://127.0.0.1:$port/metrics")" = 200 ]
    done
    for path in / /metrics /health; do
        [ "$(status -H 'Host: evil.com' "http://127.0.0.1:$port$path")" = 421 ]
        [ "$(status -H "Host: evil.com:$port" "http://127.0.0.1:$port$path")" = 421 ]
    done
    curl -s -H 'Host: evil.com' "http://127.0.0.1:$port/" | grep -q 'web.allowed-hosts'
    [ "$(status -H 'Host: evil.com' "http://127.0.0.1:$port/health/ready")" = 200 ]
    # Old clients have none; scrapers come to other addresses by any name.
    [ "$(status -0 -H 'Host:' "http://127.0.0.1:$port/metrics")" = 200 ]
    [ "$(status -H 'Host: node7.example.com:9745' "http://127.0.0.1:$all/metrics")" = 200 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' -H 'Host: any' --unix-socket \
        "$scratch/agent.sock" http://x/metrics)" = 200 ]
    metric_is smx_agent_http_misdirected_total 7 "http://127.0.0.1:$port/metrics"
}

@test "names that are allowed are asked for at all addresses" {
    start_tcp_agent agent --web.listen-address=0.0.0.0:0 \
        --web.allowed-hosts=agent.example.com --web.allowed-hosts=metrics
    port=${agent#*:}
    local all
    eventually file_says "$scratch/agent.err" 'address=0\.0\.0\.0'
    all=$(sed -En 's/.*msg=listening address=0.0.0.0:([0-9]+).*/\1/p' "$scratch/agent.err")
    for at in "$port" "$all"; do
        for host in agent.example.com:80 METRICS localhost 127.0.0.1; do
            [ "$(status -H "Host: $host" "http://127.0.0.1:$at/metrics")" = 200 ]
        done
        [ "$(status -H 'Host: evil.com' "http://127.0.0.1:$at/metrics")" = 421 ]
    done
    run "$bin/smx-agent" --web.allowed-hosts=a:80
    [ "$status" -eq 2 ]
}

# start_far [ARGUMENT...]: an agent in a network of its own, whose address is not of the loopback.
start_far() {
    [ "$(id -u)" -eq 0 ] || skip "needs root for a network of its own"
    start agent unshare -n bash -c 'ip link set lo up && ip address add 10.9.9.1/32 dev lo &&
        ip address add 10.9.9.2/32 dev lo && exec "$@"' - "$bin/smx-agent" \
        --segments.dir="$SMX_DIR" --web.listen-address=10.9.9.1:9745 \
        --web.listen-address=127.0.0.1:9745 --web.listen-address="unix:$scratch/agent.sock" "$@"
    eventually file_says "$scratch/agent.err" sandboxed
}

# far N [ARGUMENT...]: the statuses of N requests there, counted.
far() {
    local urls=() i
    for ((i = 0; i < $1; i++)); do
        urls+=(-o /dev/null "${url-http://10.9.9.1:9745/metrics}")
    done
    nsenter -t "${pids[agent]}" -n curl -s -w '%{http_code}\n' "${@:2}" "${urls[@]}" |
        sort | uniq -c | xargs
}

# Until it does: there is a token each second.
is_far_too_often() {
    nsenter -t "${pids[agent]}" -n curl -s -o /dev/null -D - http://10.9.9.1:9745/metrics |
        tr -d '\r' | grep -qx 'Retry-After: [12]'
}

@test "an address that asks too often has to wait, the others do not" {
    start_far --web.rate-limit=1
    local statuses
    statuses=$(far 40)
    # Four, and one more for each second that it took.
    [[ $statuses =~ ^([0-9]+)\ 200\ ([0-9]+)\ 429$ && ${BASH_REMATCH[1]} -ge 4 ]]
    local refused=${BASH_REMATCH[2]}
    eventually is_far_too_often
    [ "$(far 4 --interface 10.9.9.2)" = "4 200" ]
    # Probes, this machine and sockets in the file system have no limit.
    [ "$(url=http://10.9.9.1:9745/health/live far 40)" = "40 200" ]
    [ "$(url=http://127.0.0.1:9745/metrics far 40)" = "40 200" ]
    for i in 1 2 3 4 5 6 7 8 9; do
        agent_get /metrics >/dev/null
    done
    [ "$(scraped smx_agent_http_rate_limited_total)" -gt "$refused" ]
}

@test "an address that shakes hands too often is not let in" {
    make_ca
    make_certificate server
    write_web "$(tls_lines server)"
    start_far --web.rate-limit=1 --web.config.file="$scratch/web.yml"
    # Four are answered, as many are told why not, and the others not even shaken hands with; some
    # more where this took longer than a second.
    local statuses
    statuses=$(url=https://10.9.9.1:9745/metrics far 40 -k -H 'Connection: close')
    [[ $statuses == *" 000 "*" 200 "*" 429" ]]
    [ "$(url=https://10.9.9.1:9745/metrics far 1 -k --interface 10.9.9.2)" = "1 200" ]
    [ "$(url=https://127.0.0.1:9745/metrics far 40 -k)" = "40 200" ]
    curl -sk --unix-socket "$scratch/agent.sock" https://agent/metrics >"$scratch/page"
    [ "$(awk '$1 == "smx_agent_http_rate_limited_total" { print $2 }' "$scratch/page")" -ge 8 ]
}

@test "how often an address may ask can change by a reload" {
    echo 'limits: {requests_per_second: 1}' >"$scratch/agent.yaml"
    start_far --config.file="$scratch/agent.yaml" --web.enable-lifecycle
    [[ $(far 40) == *" 429" ]]
    echo 'limits: {requests_per_second: 0}' >"$scratch/agent.yaml"
    curl -sf -X POST --unix-socket "$scratch/agent.sock" http://agent/-/reload
    [ "$(far 1000)" = "1000 200" ]
    echo 'limits: {requests_per_second: 1}' >"$scratch/agent.yaml"
    curl -sf -X POST --unix-socket "$scratch/agent.sock" http://agent/-/reload
    [[ $(far 40) == *" 429" ]]
}

@test "how many connections there may be is said by the file or an option, and at the start only" {
    printf 'limits:\n  connections: 40\n' >"$scratch/agent.yaml"
    start_agent --config.file="$scratch/agent.yaml" --web.enable-lifecycle
    [ "$(scraped smx_agent_http_max_connections)" = 40 ]
    printf 'limits:\n  connections: 41\n' >"$scratch/agent.yaml"
    run curl -s -X POST --unix-socket "$scratch/agent.sock" http://agent/-/reload
    [ "$output" = "$scratch/agent.yaml:2: limits.connections: cannot be changed without a restart of the agent" ]
    stop agent
    start_agent --config.file="$scratch/agent.yaml" --web.max-connections=42
    [ "$(scraped smx_agent_http_max_connections)" = 42 ]
    not file_says "$scratch/agent.err" 'fewer connections'
    stop agent
    # Where there are not the descriptors it is told.
    (ulimit -n 1024 && start_agent --web.max-connections=300 && stop agent)
    file_says "$scratch/agent.err" 'level=warn msg="fewer connections than were asked for.*connections=236'
}

@test "forty scrapers of one address are never bothered" {
    start_far
    [ "$(far 120)" = "120 200" ]
    stop agent
    start_far --web.rate-limit=0
    [ "$(far 1000)" = "1000 200" ]
}

@test "rate_limit of the file is one for all" {
    write_web "rate_limit: {interval: 1h, burst: 5}"
    start_web
    local statuses
    statuses=$(for i in 1 2 3 4 5 6 7; do status "http://127.0.0.1:$port/metrics"; echo; done | xargs)
    [ "$statuses" = "200 200 200 200 200 429 429" ]
    [ "$(status "http://127.0.0.1:$port/-/ready")" = 200 ]
    headers "http://127.0.0.1:$port/metrics" | grep -qx 'Retry-After: 3[0-9][0-9][0-9]'
    write_web "rate_limit: {interval: 0, burst: 5}"
    eventually status_is 200 "http://127.0.0.1:$port/metrics"
}

@test "answers tell browsers to keep, frame and guess nothing" {
    start_tcp_agent
    local path
    for path in / /metrics /health /health/live /nothing; do
        headers "http://$agent$path" >"$scratch/headers"
        grep -qx 'Cache-Control: no-store' "$scratch/headers"
        grep -qx 'X-Content-Type-Options: nosniff' "$scratch/headers"
        grep -qx 'X-Frame-Options: DENY' "$scratch/headers"
        grep -qx 'Referrer-Policy: no-referrer' "$scratch/headers"
        grep -qx "Content-Security-Policy: default-src 'none';.*frame-ancestors 'none'.*" \
            "$scratch/headers"
    done
    headers "http://$agent/" | grep -q "^Content-Security-Policy:.*style-src 'unsafe-inline'"
}

@test "a line, headers and a body that are too large are refused" {
    start_tcp_agent
    local long
    long=$(printf 'x%.0s' {1..20000})
    [ "$(status "http://$agent/metrics?$long")" = 414 ]
    [ "$(status -H "X-Long: $long" "http://$agent/metrics")" = 431 ]
    [ "$(status -H "X-Long: ${long:0:10000}" "http://$agent/metrics")" = 200 ]
    head -c 5000000 /dev/zero >"$scratch/body"
    [[ $(status --data-binary "@$scratch/body" "http://$agent/metrics") == @(405|413) ]]
    [ "$(status "http://$agent/metrics")" = 200 ]
}
