#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 60-container.bats - the image and the manifests for Kubernetes, without an engine: the Dockerfile's
# steps are done in a chroot, what comes out runs in namespaces of its own as an engine would have it,
# the manifests are judged by the API's schema, and what they say is done.

bats_require_minimum_version 1.5.0
load support/live
load support/debian

dockerfile=packaging/container/Dockerfile

setup_file() {
    [[ $(id -u) -eq 0 ]] || return 0
    cd "$root"
    export image=$BATS_FILE_TMPDIR/image
    local base
    base=$(debian_base)
    unshare --mount "$root/tests/support/image.py" build $dockerfile "$root" "$base" "$image" \
        >"$BATS_FILE_TMPDIR/log" 2>&1 || { tail -n 40 "$BATS_FILE_TMPDIR/log" && return 1; }
    cp "$build/tests/puppet" "$image/root"
}

setup() {
    live_setup
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    # unshare(1) itself does not end by a signal.
    [[ ! ${agent-} ]] || kill -KILL "$agent" || true
    live_teardown
    [[ ! -e volume ]] || umount --quiet volume || true
}

need_image() {
    [[ ${image-} ]] || skip "needs root to make the image"
}

config() {
    jq -r "$1" "$image/config.json"
}

# The first pod template of a manifest, as JSON.
pod_of() {
    /usr/bin/python3 -c 'import json, sys, yaml
print(json.dumps(yaml.safe_load(open(sys.argv[1]))["spec"]["template"]["spec"]))' \
        "$root/packaging/kubernetes/$1.yaml"
}

# start_image USER GROUP VOLUME [COMMAND...]: the image as a user, its tree read-only, a directory of
# ours as its /run/smx, in a network and among processes of its own, without io_uring.
start_image() {
    local environment=()
    mapfile -t environment < <(config '.env | to_entries[] | "\(.key)=\(.value)"')
    start container unshare --mount --net --pid --fork --kill-child bash -ec '
        root=$1 user=$2 group=$3 volume=$4 deny=$5
        ip link set lo up
        mount --bind "$root" "$root"
        mount -t proc proc "$root/proc"
        mkdir -p "$root/dev"
        mount --rbind /dev "$root/dev"
        mount --bind "$volume" "$root/run/smx"
        mount -o remount,bind,ro "$root"
        exec setpriv --no-new-privs "$deny" env -i PATH=/usr/sbin:/usr/bin "${@:6}"' - \
        "$image/root" "$1" "$2" "$3" "$build/tests/deny-uring" "${environment[@]}" \
        chroot --userspec="$1:$2" --groups="$2" "$image/root" $(config '.entrypoint[]')
    eventually find_agent
}

find_agent() {
    agent=$(pgrep --parent "${pids[container]}") && grep -q smx-agent "/proc/$agent/comm"
}

# enter USER GROUP COMMAND...: in the container.
enter() {
    nsenter --target "$agent" --mount --net --pid --root --wd --setuid="$1" --setgid="$2" -- \
        "${@:3}"
}

get() {
    enter 65532 65532 /bin/busybox wget -q -O - "http://127.0.0.1:9745$1"
}

healthy() {
    local check
    mapfile -t check < <(config '.check[]')
    timeout "$(config .check_timeout)" nsenter --target "$agent" --mount --net --pid --root --wd \
        --setuid="$(config .user)" --setgid="$(config .group)" -- "${check[@]}" 2>/dev/null
}

# start_application USER: in the container, with a counter.
start_application() {
    start application env -u SMX_DIR nsenter --target "$agent" --mount --net --pid --root --wd --setuid="$1" \
        --setgid="$1" -- /bin/busybox sh -c \
        '(echo "counter orders_total 41"; exec /bin/busybox sleep 600) | /puppet shop'
}

page_has() {
    get /metrics | grep -qE "$1"
}

@test "the manifests are what the API knows, and ask for no privileges" {
    "$root/tests/support/manifests.py" "$root"/packaging/kubernetes/*.yaml
}

@test "manifests that are not are found out" {
    sed 's/medium: Memory/mediun: Memory/; s/containerPort: 9745/containerPort: x/
        s/drop: \[ALL\]/drop: [NET_RAW]/; s/shareProcessNamespace/hostPID/' \
        "$root/packaging/kubernetes/sidecar.yaml" >bad.yaml
    run "$root/tests/support/manifests.py" bad.yaml
    [ "$status" -eq 1 ]
    for what in mediun containerPort capabilities hostPID; do
        [[ $output == *"$what"* ]]
    done
}

@test "the image is built from what the Debian packages are built from" {
    "$root/tests/support/image.py" packages "$root/$dockerfile" | grep -- '-dev$' |
        grep -v libc6-dev | sort >image
    sed -n '/^Build-Depends:/,/^[A-Z].*:/p' "$root/packaging/debian/control" |
        grep -oE '\blib[a-z0-9-]+-dev\b' | sort >package
    diff image package
}

@test "the image has the agent, smx-dump, their libraries, and is small" {
    need_image
    [[ $(du --summarize --block-size=M "$image/root" | cut -f 1 | tr -d M) -lt 20 ]]
    [[ $(stat -c '%a %g' "$image/root/run/smx") == '3777 65532' ]]
    for program in smx-agent smx-dump; do
        [[ $(chroot "$image/root" "/usr/bin/$program" --version) == "$program "* ]]
    done
}

@test "the image runs as nobody in particular, read-only, and its health check tells" {
    need_image
    mkdir -m 3777 volume
    chgrp 65532 volume
    start_image "$(config .user)" "$(config .group)" "$PWD/volume"
    eventually healthy
    get /health | jq -e '.components.agent | .loop == "epoll" and .sandbox.seccomp == "on"'
    kill -STOP "$agent"
    run ! healthy
    kill -CONT "$agent"
    kill -TERM "$agent"
    stop container 0
    [ "$ended" -eq 0 ]
}

@test "beside an application, as sidecar.yaml says, the agent shows it and its workers" {
    need_image
    local user group path
    pod_of sidecar >pod
    user=$(jq .securityContext.runAsUser pod) group=$(jq .securityContext.fsGroup pod)
    # As the kubelet makes a volume for a pod with an fsGroup.
    mkdir volume
    chgrp "$group" volume
    chmod 2777 volume
    mount -t tmpfs -o "size=$(jq -r '.volumes[0].emptyDir.sizeLimit' pod | tr -d i),mode=2777,gid=$group" \
        tmpfs volume
    start_image "$user" "$group" "$PWD/volume"
    eventually healthy
    start_application "$user"
    eventually page_has '^orders_total\{app="shop"\} 41$'
    page_has '^smx_process_.*app="shop"'
    # Of both containers: an application that is live, and ready.
    jq -r '.containers[] | .livenessProbe, .readinessProbe | .httpGet.path // empty' pod >paths
    [[ $(wc -l <paths) -eq 3 ]]
    while read -r path; do
        get "$path"
    done <paths
}

@test "on a node, as daemonset.yaml says, the agent serves applications of other users" {
    need_image
    local command
    pod_of daemonset >pod
    mkdir -m 755 volume
    mount -t tmpfs -o mode=755 tmpfs volume
    mapfile -t command < <(jq -r '.initContainers[0].command[]' pod)
    # Root without a right of root's but to get there.
    unshare --mount bash -ec '
        mount --bind "$2" "$1/run/smx"
        exec setpriv --regid="$3" --clear-groups --bounding-set=-all,+sys_chroot --no-new-privs \
            chroot "$1" "${@:4}"' - "$image/root" "$PWD/volume" \
        "$(jq '.initContainers[0].securityContext.runAsGroup' pod)" "${command[@]}"
    [[ $(stat -c '%a %u %g' volume) == '3777 0 65532' ]]
    start_image "$(jq .securityContext.runAsUser pod)" "$(jq .securityContext.runAsGroup pod)" \
        "$PWD/volume"
    eventually healthy
    start_application 1234
    eventually page_has '^orders_total\{app="shop"\} 41$'
}
