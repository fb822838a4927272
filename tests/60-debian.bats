#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-debian.bats - the Debian packages: built from this tree, judged by lintian, installed on a
# machine that has nothing but Debian and a real systemd, used as their users would, and purged.

bats_require_minimum_version 1.5.0
load support/live
load support/debian

url=http://127.0.0.1:9745

setup_file() {
    export debs=$BATS_FILE_TMPDIR/deb
    # As users build them, but for what only debuggers read and the time that small files take.
    DEB_BUILD_OPTIONS=noautodbgsym DEB_CFLAGS_STRIP=-g DPKG_DEB_COMPRESSOR_TYPE=gzip \
        DPKG_DEB_COMPRESSOR_LEVEL=1 "$root/packaging/build-deb" "$debs" \
        >"$BATS_FILE_TMPDIR/log" 2>&1 || { tail -n 40 "$BATS_FILE_TMPDIR/log" && return 1; }
    [[ $(id -u) -eq 0 ]] || return 0
    export debian memory
    debian=$(debian_base)
    memory=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    export place=$memory/machine
    debian_root "$place" "$debs"/{libshm1,libshm-dev,smx-agent,smx-tools}_*.deb \
        >"$BATS_FILE_TMPDIR/log" 2>&1 || { tail -n 40 "$BATS_FILE_TMPDIR/log" && return 1; }
    mkdir -p "$place.over/opt"
    cp "$debs"/{libshm1,libshm-dev,smx-agent,smx-tools}_*.deb "$build/tests/puppet" \
        "$root/packaging/debian/tests/service" "$place.over/opt"
    boot "$place"
}

teardown_file() {
    [[ ! ${machine-} ]] || power_off
    [[ ! ${memory-} ]] || rm -rf "$memory"
}

setup() {
    live_setup
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    live_teardown
}

# Skipped is what needs the machine.
need_machine() {
    [[ ${machine-} ]] || skip "needs root to start a machine"
}

status_is() {
    [[ $(inside systemctl show -P "$1" smx-agent.service) == "$2" ]]
}

ready() {
    inside curl -sf "$url/-/ready" >/dev/null
}

health_has() {
    inside curl -s "$url/health" | jq -e "$1"
}

page_has() {
    inside curl -s "$url/metrics" | grep -qE "$1"
}

# All files of the machine but those that a running system writes to, dpkg's own, and copies.
list_files() {
    nsenter --target "$nspawn" --mount --wd="$place" -- \
        find . -path ./proc -prune -o -path ./sys -prune -o -path ./dev -prune -o \
        -path ./tmp -prune -o -path ./var/log -prune -o -path ./var/lib/dpkg -prune -o \
        -path ./var/lib/systemd/timers -prune -o -path ./opt -prune -o -path './etc/*-' -o \
        -path './var/cache/ldconfig/*' -o -print | sort
}

@test "lintian has neither errors nor warnings" {
    lintian --allow-root --fail-on error,warning "$debs"/*.changes
}

@test "each package has what it should" {
    local name
    [[ $(cd "$debs" && ls ./*.deb | sed 's|^\./||; s/_.*//' | grep -v dbgsym | paste -sd ' ') == \
        "libshm-dev libshm1 smx-agent smx-tools" ]]
    for name in libshm1:lib/.*/libshm.so.1 libshm-dev:include/smx/smx.hpp \
        libshm-dev:lib/.*/libshm.so libshm-dev:man5/smx-segment.5.gz smx-tools:bin/smx-top \
        smx-agent:lib/systemd/system/smx-agent.socket smx-agent:man8/smx-agent.8.gz \
        smx-agent:etc/smx/agent.yaml smx-agent:share/smx/grafana/.*.json; do
        dpkg-deb --contents "$debs/${name%%:*}"_*.deb | grep -E "${name#*:}( ->.*)?$"
    done
}

@test "libshm-dev does not go with libtorch-dev, libshm1 does with libtorch" {
    [[ $(dpkg-deb --field "$debs"/libshm-dev_*.deb Conflicts) == libtorch-dev ]]
    run ! apt-get --simulate install "$debs"/libshm{1,-dev}_*.deb libtorch-dev
    [[ $output == *"Conflicts: libtorch-dev"* ]]
}

@test "a program is built with libshm-dev and runs with libshm1" {
    need_machine
    # This machine, which has a compiler, with what is written kept in memory.
    unshare --mount --propagation=slave bash -euc '
        mount -t tmpfs none "$1"
        mkdir "$1"/{over,work,root}
        mount -t overlay none -o "lowerdir=/,upperdir=$1/over,workdir=$1/work" "$1/root"
        for place in dev proc tmp; do mount --rbind /$place "$1/root/$place"; done
        cp "$2"/{libshm,smx-tools}*.deb "$3" "$1/root/opt"
        chroot "$1/root" sh -euc "dpkg -i /opt/*.deb; /opt/compile"
    ' - "$BATS_TEST_TMPDIR" "$debs" "$root/packaging/debian/tests/compile"
}

@test "by the unit systemd sees the agent exposed to little" {
    dpkg-deb --extract "$debs"/smx-agent_*.deb root
    systemd-analyze security --offline=true --threshold=15 \
        root/lib/systemd/system/smx-agent.service
}

@test "installed, the agent is started by systemd, as its user, and answers" {
    need_machine
    list_files >"$BATS_FILE_TMPDIR/before"
    inside sh -c 'dpkg --install /opt/*.deb'
    inside sh /opt/service
    inside systemd-analyze --man=no verify smx-agent.service smx-agent.socket
    eventually status_is StatusText "serving at 127.0.0.1:9745"
    # What it gives up by itself works under the unit, too.
    health_has '.components.agent | .sandbox.seccomp == "on" and .sandbox.landlock == "on"'
}

@test "an application of another user in /run/smx is served" {
    need_machine
    # It stays, for the tests behind this one.
    inside systemd-run --quiet --uid=nobody --gid=nogroup --setenv=SMX_DIR=/run/smx --unit=shop sh -c '
        (echo "counter orders_total 41"; exec sleep 600) | /opt/puppet shop'
    eventually page_has '^orders_total\{app="shop"\} 41$'
    page_has '^smx_segment_processes\{app="shop"\} 1$'
    # From /proc of another user.
    page_has '^smx_process_.*app="shop"'
    [[ $(inside stat -c '%U %G %a' /run/smx/shop.v1.smx) == 'nobody smx 640' ]]
}

# The journal hears of things when it comes to them.
journal_has() {
    inside journalctl --unit=smx-agent.service --output=json | jq -se "$1"
}

@test "an option in /etc/default/smx-agent counts, and a bad one is in the journal as an error" {
    need_machine
    inside sh -c 'echo SMX_AGENT_LOG_LEVEL=loud >>/etc/default/smx-agent'
    run ! inside systemctl restart smx-agent.service
    inside sed -i '$d' /etc/default/smx-agent
    inside sh -c 'echo SMX_AGENT_WEB_LISTEN_ADDRESS=unix:/nowhere/socket >>/etc/default/smx-agent'
    run ! inside systemctl restart smx-agent.service
    inside sed -i '$s|:.*|:/run/smx-agent/http.sock|' /etc/default/smx-agent
    inside systemctl reset-failed smx-agent.service
    inside systemctl restart smx-agent.service
    inside curl -sf --unix-socket /run/smx-agent/http.sock http://agent/-/ready
    inside sed -i '$d' /etc/default/smx-agent
    inside systemctl restart smx-agent.service
    eventually ready
    eventually journal_has 'map(select(.MESSAGE | test("cannot listen")))[0] | .PRIORITY == "3"
        and (.MESSAGE | test("^ts="))'
    eventually journal_has 'map(select(.MESSAGE | test("listening")))[0].PRIORITY == "6"'
}

@test "the configuration file counts, and is read again by a reload" {
    need_machine
    inside sed -i 's/^  # cluster: eu1/  cluster: eu2/' /etc/smx/agent.yaml
    inside systemctl reload smx-agent.service
    eventually page_has '^orders_total\{.*cluster="eu2"'
    inside sed -i 's/^  cluster: eu2/  # cluster: eu1/' /etc/smx/agent.yaml
    inside systemctl reload smx-agent.service
    eventually page_has '^orders_total\{app="shop"\} 41$'
    run ! page_has 'cluster="eu2"'
}

@test "where the socket unit listens, the agent comes when it is asked" {
    need_machine
    inside systemctl stop smx-agent.service
    inside systemctl start smx-agent.socket
    status_is ActiveState inactive
    ready
    eventually status_is ActiveState active # it may answer before systemd has heard that it is ready
    # Nobody is refused while it is restarted.
    inside systemctl restart smx-agent.service
    ready
    inside systemctl stop smx-agent.service smx-agent.socket
    inside systemctl start smx-agent.service
}

@test "an agent that hangs is ended by systemd and started anew" {
    need_machine
    local first
    inside mkdir -p /run/systemd/system/smx-agent.service.d
    printf '[Service]\nWatchdogSec=3\nTimeoutAbortSec=1\n' |
        inside tee /run/systemd/system/smx-agent.service.d/watchdog.conf
    inside systemctl daemon-reload
    inside systemctl restart smx-agent.service
    first=$(inside systemctl show -P MainPID smx-agent.service)
    inside kill -STOP "$first"
    eventually status_is NRestarts 1
    eventually ready
    eventually journal_has 'any(.MESSAGE | test("Watchdog timeout"))'
    inside rm -r /run/systemd/system/smx-agent.service.d
    inside systemctl daemon-reload
}

install_again() {
    inside sh -c 'dpkg --install /opt/*.deb'
}

@test "upgraded while an application counts, the agent is started again and tells the same" {
    need_machine
    local before
    before=$(inside systemctl show -P MainPID smx-agent.service)
    install_again
    eventually page_has '^orders_total\{app="shop"\} 41$'
    [[ $(inside systemctl show -P MainPID smx-agent.service) != "$before" ]]
    page_has '^smx_segment_processes\{app="shop"\} 1$'
}

socket_is() {
    [[ $(inside systemctl show -P ActiveState smx-agent.socket) == "$1" ]]
}

@test "a socket unit that was enabled listens through an upgrade, and not without the package" {
    need_machine
    # As smx-agent(8) has it.
    inside systemctl stop smx-agent.service
    inside systemctl enable --now smx-agent.socket
    inside systemctl start smx-agent.service
    ready
    install_again
    socket_is active
    eventually ready
    inside dpkg --remove smx-agent
    socket_is inactive
    status_is ActiveState inactive
    install_again
    eventually ready
    inside systemctl disable --now smx-agent.socket
    inside systemctl restart smx-agent.service
    eventually ready
}

@test "purged while an application counts, it keeps its segment, and the next agent finds it" {
    need_machine
    inside dpkg --purge smx-agent smx-tools libshm-dev libshm1
    run ! ready
    [[ $(inside systemctl show -P ActiveState shop.service) == active ]]
    [[ $(inside stat -c '%U %G %a' /run/smx/shop.v1.smx) == 'nobody smx 640' ]]
    install_again
    eventually page_has '^orders_total\{app="shop"\} 41$'
}

@test "purged, nothing is left but the user" {
    need_machine
    inside systemctl stop shop.service
    inside rm -f /run/smx/shop.v1.smx
    inside dpkg --purge smx-agent smx-tools libshm-dev libshm1
    run ! ready
    list_files >after
    diff "$BATS_FILE_TMPDIR/before" after | tee left
    [[ $(grep -c '^[<>]' left) -eq 0 ]]
    inside getent passwd smx
}
