#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# Three users in one directory of segments like /run/smx: the agent's, an application's, and a
# hostile one, who can neither read, replace nor shadow what is the application's, nor make the
# agent read a file of his choosing. And what the agent's process may still do.

bats_require_minimum_version 1.5.0
load support/live

# No entries in any database are needed for these.
group=61000 agent=61001 victim=61002 hostile=61003

setup() {
    live_setup
    rounds=$((30 * ${SMX_TEST_SCALE:-1}))
    [[ $BATS_TEST_TAGS == anybody ]] && return
    [ "$(id -u)" -eq 0 ] || skip "needs root to be several users"
    chmod 755 "$scratch"
    chown 0:$group "$SMX_DIR"
    chmod 3777 "$SMX_DIR"
}

teardown() {
    live_teardown
    [ -z "$per_user" ] || rm -rf "$per_user"
}

# as USER COMMAND...; the agent's user is alone in the group.
as() {
    setpriv --reuid="$1" --regid="$(($1 == agent ? group : $1))" --clear-groups --pdeathsig TERM \
        "${@:2}"
}

start_agent_as() {
    mkdir -p "$scratch/socket"
    chown "$1" "$scratch/socket"
    start agent setpriv --reuid="$1" --regid=$group --clear-groups --pdeathsig TERM \
        "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 --log.level=debug \
        --web.listen-address="unix:$scratch/socket/agent.sock" "${@:2}"
    ln -sf socket/agent.sock "$scratch/agent.sock"
    eventually agent_get /-/ready >/dev/null
}

start_puppet_as() {
    start_puppet "$2" "$3" setpriv --reuid="$1" --regid="$1" --clear-groups --pdeathsig TERM
}

# Unlike `!`, whose answer bats does not see.
not() {
    ! "$@"
}

status_is() {
    [[ $(awk -v key="$1:" '$1 == key { print $2 }' "/proc/${pids[agent]}/status") == "$2" ]]
}

# The state and the owner that /health gives a file.
health_of() {
    agent_get /health | jq -r --arg file "$SMX_DIR/$1" \
        '.components.segments[] | select(.path == $file) | "\(.state) \(.owner)"'
}

# A segment that only the agent's group may read, where nobody told the agent to look.
hide_a_secret() {
    mkdir "$scratch/vault"
    chown "$victim:$group" "$scratch/vault"
    chmod 2750 "$scratch/vault"
    echo 'counter secret_total 7' |
        SMX_DIR=$scratch/vault as $victim "$build/tests/puppet" "$1" >/dev/null
    secret=$scratch/vault/$1.v1.smx
    as $agent test -r "$secret"
    not as $hostile test -r "$secret"
}

# bats test_tags=anybody
@test "the agent gives up its privileges on either loop, and says so" {
    local kind
    for kind in auto epoll; do
        start_agent --loop=$kind
        status_is NoNewPrivs 1
        status_is Seccomp 2
        status_is CapInh 0000000000000000
        [ "$(id -u)" -eq 0 ] || status_is CapEff 0000000000000000
        file_says "$scratch/agent.err" 'msg=sandboxed seccomp=on landlock='
        agent_get /health | jq -e '.components.agent.sandbox.seccomp == "on"'
        stop agent
        [ "$ended" -eq 0 ]
    done
}

# bats test_tags=anybody
@test "where the sandbox is not wanted there is none" {
    start_agent --sandbox=off
    [ "$(awk '$1 == "Seccomp:" { print $2 }' /proc/self/status)" -ne 0 ] || status_is Seccomp 0
    not file_says "$scratch/agent.err" sandboxed
    agent_get /health | jq -e '.components.agent.sandbox == {"seccomp": "off", "landlock": "off"}'
    run "$bin/smx-agent" --sandbox=maybe
    [ "$status" -eq 2 ]
}

@test "an agent of root says so, and keeps the right to read alone" {
    start_puppet_as $victim app shop
    tell app "counter orders_total 41"
    start_agent
    file_says "$scratch/agent.err" 'level=warn msg="running as root'
    status_is CapEff 0000000000000004
    status_is CapBnd 0000000000000000
    scraped_is orders_total 41
}

@test "an agent without privileges serves every user of the directory" {
    start_puppet_as $victim app shop
    tell app "counter orders_total 41"
    start_agent_as $agent
    status_is Uid $agent
    status_is CapEff 0000000000000000
    scraped_is orders_total 41
    [ "$(health_of shop.v1.smx)" = "served $victim" ]
    stop agent
    [ "$ended" -eq 0 ]
    [ ! -e "$scratch/socket/agent.sock" ]
}

@test "nobody but its owner and the agent gets at a segment" {
    start_puppet_as $victim app shop
    tell app "counter orders_total 41"
    start_agent_as $agent
    local file=$SMX_DIR/shop.v1.smx before
    [ "$(stat -c '%u %g %a' "$file")" = "$victim $group 640" ]
    echo 'counter orders_total 1000000' | as $hostile "$build/tests/puppet" bank
    before=$(stat -c '%i %h' "$file")
    for attempt in "cat $file" "truncate -s 0 $file" "chmod 666 $file" "rm -f $file" \
        "mv $file $SMX_DIR/mine" "mv -f $SMX_DIR/bank.v1.smx $file" "ln -sfn /dev/null $file" \
        "rmdir $SMX_DIR" "mv $SMX_DIR $scratch/mine" "chmod 777 $SMX_DIR" \
        "$bin/smx-dump $file"; do
        # Unquoted: a command with its arguments.
        run as $hostile $attempt
        echo "$attempt: $status $output"
        [ "$status" -ne 0 ]
    done
    [ "$(cat /proc/sys/fs/protected_hardlinks)" -eq 0 ] ||
        not as $hostile ln "$file" "$SMX_DIR/mine.v1.smx"
    [ "$(stat -c '%i %h' "$file")" = "$before" ]
    tell app "counter orders_total 1"
    agent_get /metrics | grep -qx 'orders_total{app="shop"} 42'
}

@test "an application attaches to nobody else's segment, says why, and serves on" {
    start_agent_as $agent
    start_puppet_as $hostile squatter demo
    tell squatter "counter orders_total 5"
    start_victims_demo
    file_says "$scratch/demo.err" "demo.v1.smx: belongs to user $hostile, we are $victim"
    [ "$(curl -s "$demo_url/fast")" = ok ]
    [ "$(health_of demo.v1.smx)" = "served $hostile" ]
    scraped_is orders_total 5
    stop demo
    [ "$ended" -eq 0 ]
}

start_victims_demo() {
    start demo setpriv --reuid=$victim --regid=$victim --clear-groups --pdeathsig TERM \
        "$bin/smx-demo" --listen 127.0.0.1:0 --workers 1
    demo_serves demo
}

@test "whatever lies in the way under its name, an application neither follows nor harms it" {
    hide_a_secret demo
    cp --preserve=all "$secret" "$scratch/secret"
    local make file=$SMX_DIR/demo.v1.smx
    for make in "ln -s $secret" "ln -s $scratch/nowhere" mkdir mkfifo touch; do
        as $hostile $make "$file"
        start_victims_demo
        eventually file_says "$scratch/demo.err" "serving without all metrics: $file"
        [ "$(curl -s "$demo_url/fast")" = ok ]
        stop demo
        [ "$ended" -eq 0 ]
        rm -rf "$file"
    done
    # Its own file, by a hard link, which fs.protected_hardlinks keeps a stranger from making.
    echo precious >"$SMX_DIR/precious"
    chown $victim "$SMX_DIR/precious"
    ln "$SMX_DIR/precious" "$file"
    start_victims_demo
    eventually file_says "$scratch/demo.err" "$file: not an smx segment"
    [ "$(cat "$SMX_DIR/precious")" = precious ]
    cmp "$secret" "$scratch/secret"
    [ ! -e "$scratch/nowhere" ]
}

@test "a per-user directory that another user made first is used by nobody" {
    [ ! -e /run/smx ] || skip "/run/smx is there"
    per_user=/dev/shm/smx-$victim
    [ ! -e "$per_user" ] || skip "$per_user is there"
    as $hostile mkdir -m 777 "$per_user"
    unset SMX_DIR
    start_victims_demo
    file_says "$scratch/demo.err" "$per_user: belongs to user $hostile"
    [ -z "$(ls -A "$per_user")" ]
    echo 'counter orders_total 5' |
        SMX_DIR=$per_user as $hostile "$build/tests/puppet" shop
    run as $victim "$bin/smx-agent" --once
    [[ $output == *"directory refused"*"$per_user"*"belongs to another user"* ]]
    [[ $output != *orders_total* ]]
}

@test "a per-user directory that others may write to is not used" {
    [ ! -e /run/smx ] || skip "/run/smx is there"
    per_user=/dev/shm/smx-$victim
    [ ! -e "$per_user" ] || skip "$per_user is there"
    unset SMX_DIR
    for mode in 777 770 702; do
        as $victim mkdir "$per_user"
        as $victim chmod $mode "$per_user"
        start_victims_demo
        file_says "$scratch/demo.err" "$per_user: .* mode $mode, not to us alone"
        [ -z "$(ls -A "$per_user")" ]
        stop demo
        rm -rf "$per_user"
    done
}

@test "what another user puts in the per-user directory's place does not make the agent unready" {
    [ ! -e /run/smx ] || skip "/run/smx is there"
    per_user=/dev/shm/smx-$agent
    [ ! -e "$per_user" ] || skip "$per_user is there"
    unset SMX_DIR
    mkdir "$scratch/socket"
    chown $agent "$scratch/socket"
    for make in "mkdir -m 777" "mkdir -m 700" "ln -s $scratch" "touch"; do
        as $hostile $make "$per_user"
        start agent setpriv --reuid=$agent --regid=$group --clear-groups --pdeathsig TERM \
            "$bin/smx-agent" --web.listen-address="unix:$scratch/socket/agent.sock"
        ln -sf socket/agent.sock "$scratch/agent.sock"
        eventually agent_get /-/ready
        agent_get /health | jq -e --arg path "$per_user" '.status == "degraded" and
            (.components.directories[] | select(.path == $path) |
                .state == "refused" and (.reason | test("another user")))'
        stop agent
        rm -rf "$per_user"
    done
}

@test "the agent follows no link and takes no segment for another" {
    hide_a_secret bank
    start_puppet_as $victim app shop
    tell app "counter orders_total 41"
    start_agent_as $agent
    as $hostile ln -s "$secret" "$SMX_DIR/bank.v1.smx"
    as $hostile ln -s /etc/passwd "$SMX_DIR/passwd.v1.smx"
    as $hostile ln -s "$SMX_DIR/shop.v1.smx" "$SMX_DIR/again.v1.smx"
    as $hostile mkfifo -m 666 "$SMX_DIR/fifo.v1.smx"
    # As a stranger may where fs.protected_hardlinks is off.
    ln "$SMX_DIR/shop.v1.smx" "$SMX_DIR/twice.v1.smx"
    local name
    for name in bank passwd again fifo twice; do
        [[ $(health_of $name.v1.smx) == refused* ]]
    done
    [ -z "$(scraped secret_total)" ]
    agent_get /metrics | grep -qx 'orders_total{app="shop"} 41'
    [ "$(agent_get /metrics | grep -c '^orders_total')" -eq 1 ]
}

# A directory in a place that is all his, with a segment that everybody may read.
make_his_place() {
    place=$scratch/his
    mkdir "$place"
    chown $hostile "$place"
    as $hostile mkdir -m 755 "$place/segments"
    echo 'counter own_total 5' |
        SMX_DIR=$place/segments as $hostile "$build/tests/puppet" bank >/dev/null
    chmod 644 "$place/segments/bank.v1.smx"
}

# For ever: a name is by turns a segment of his own, a link to the secret, a pipe.
race() {
    exec perl -e 'my ($own, $secret, $name) = @ARGV;
        while (1) {
            link $own, "copy"; rename "copy", $name;
            symlink $secret, "link"; rename "link", $name;
            system "mkfifo pipe; mv -f pipe $name" if ++$n % 1000 == 0;
        }' "$@"
}

# Not in the sticky directory, where fs.protected_symlinks may keep the kernel from following.
@test "no race of renames makes the agent show what is behind a link" {
    hide_a_secret bank
    make_his_place
    start_puppet_as $victim app shop
    tell app "counter orders_total 41"
    as $hostile mv "$place/segments/bank.v1.smx" "$place/own"
    start_agent_as $agent --log.level=error --segments.dir="$place/segments"
    export -f race
    start racer setpriv --reuid=$hostile --regid=$hostile --clear-groups --pdeathsig TERM \
        bash -c 'cd "$1" && race own "$0" segments/bank.v1.smx' "$secret" "$place"
    local n own=0 deadline=$((SECONDS + 60))
    for ((n = 0; n < rounds || own == 0 || own == n; n++)); do
        [ "$SECONDS" -lt "$deadline" ] || [ "$n" -lt "$rounds" ]
        agent_get /metrics >"$scratch/scrape"
        not grep -q secret "$scratch/scrape"
        grep -qx 'orders_total{app="shop"} 41' "$scratch/scrape"
        own=$((own + $(grep -c '^own_total{' "$scratch/scrape" || true)))
    done
    running racer
    agent_get /-/ready
    echo "# found its own segment in $own of $n scrapes" >&3
}

@test "a directory that becomes a link leads nowhere, and is read again when it is one again" {
    hide_a_secret bank
    make_his_place
    SMX_DIR=$place/segments
    local sandbox
    for sandbox in auto off; do
        start_agent_as $agent --sandbox=$sandbox
        scraped_is own_total 5
        as $hostile mv "$SMX_DIR" "$place/aside"
        as $hostile ln -s "$scratch/vault" "$SMX_DIR"
        [ -z "$(scraped secret_total)" ]
        [ -z "$(scraped own_total)" ]
        agent_get /health | jq -e '.components.directories[0] |
            .state == "refused" and (.reason | startswith("a symbolic link is not followed"))'
        as $hostile rm "$SMX_DIR"
        as $hostile mv "$place/aside" "$SMX_DIR"
        scraped_is own_total 5
        stop agent
    done
}

@test "a link further up is out of bounds: the agent may read the place that it knew" {
    hide_a_secret bank
    make_his_place
    SMX_DIR=$place/segments
    start_agent_as $agent
    agent_get /health | jq -e '.components.agent.sandbox.landlock == "on"' || skip "no Landlock"
    scraped_is own_total 5
    mv "$place" "$scratch/aside"
    mkdir "$scratch/elsewhere"
    cp -a "$scratch/vault" "$scratch/elsewhere/segments"
    ln -s "$scratch/elsewhere" "$place"
    [ -z "$(scraped secret_total)" ]
    [ -z "$(scraped own_total)" ]
    rm "$place"
    mv "$scratch/aside" "$place"
    scraped_is own_total 5
}

@test "modes that change under the agent are the owner's affair" {
    start_puppet_as $victim app shop
    tell app "counter orders_total 41"
    start_agent_as $agent
    scraped_is orders_total 41
    as $victim chmod 000 "$SMX_DIR/shop.v1.smx"
    tell app "counter orders_total 1"
    # It is open, and stays so; another agent is refused and says what it needs.
    scraped_is orders_total 42
    run as $agent "$bin/smx-agent" --segments.dir="$SMX_DIR" --once
    [[ $output == *"state=unreadable"*"permission denied"* ]]
    as $victim chmod 666 "$SMX_DIR/shop.v1.smx"
    scraped_is orders_total 42
    [ "$(health_of shop.v1.smx)" = "served $victim" ]
    as $hostile truncate -s 100 "$SMX_DIR/shop.v1.smx"
    [ "$(health_of shop.v1.smx)" = "damaged $victim" ]
    agent_get /-/ready
}
