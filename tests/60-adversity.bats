#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The demo server where its metrics cannot be had, or only in part: it serves on, says why once, and
# nothing crashes.

load support/live

setup() {
    live_setup
}

teardown() {
    live_teardown
}

need_mounts() {
    unshare --mount true 2>/dev/null || skip "no right to mount a file system"
}

# serves_on LEAST MOST: all routes answer as ever, no worker was lost, and the reason was given as
# often as that.
serves_on() {
    local least=$1 most=${2-$1} workers lines
    eventually has_children "${pids[demo]}" 2
    workers=$(pgrep -P "${pids[demo]}" | sort)
    request 20 /fast
    [ "$(curl -s "$demo_url/fast")" = ok ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$demo_url/error")" = 500 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$demo_url/nowhere")" = 404 ]
    [ "$(curl -s -o /dev/null -w '%{http_code}' "$demo_url/work")" = 200 ]
    [ "$(pgrep -P "${pids[demo]}" | sort)" = "$workers" ]
    stop demo
    [ "$ended" -eq 0 ]
    cat "$scratch/demo.err"
    lines=$(wc -l <"$scratch/demo.err")
    [ "$lines" -ge "$least" ]
    [ "$lines" -le "$most" ]
    [ "$(grep -c "^smx-demo: serving without all metrics: " "$scratch/demo.err")" -eq "$lines" ]
}

says() {
    grep -qF -- "$1" "$scratch/demo.err"
}

# The demo in a mount namespace of its own, where SMX_DIR is prepared by a command. The server takes
# the shell's place, so that its pid is known.
start_demo_in() {
    start demo unshare --mount bash -c "$1"'
        exec "$0" --listen 127.0.0.1:0 --workers 2' "$bin/smx-demo"
    demo_serves demo
}

@test "on a tmpfs of 1 MiB" {
    need_mounts
    start_demo_in 'mount -t tmpfs -o size=1m none "$SMX_DIR"'
    serves_on 0 1
}

@test "on a tmpfs of 1 MiB that is full to any degree" {
    need_mounts
    local free complete=0
    # In KiB, closer where the segment fits and not everything in it.
    for free in 4 100 300 390 400 430 460 490 520 545 600 800; do
        start_demo_in "mount -t tmpfs -o size=1m none \"\$SMX_DIR\"
            head -c $(((1024 - free) * 1024)) /dev/zero >\"\$SMX_DIR/filler\""
        serves_on 0 1
        [ -s "$scratch/demo.err" ] || complete=$((complete + 1))
    done
    # Both have happened: some had room for all, some had not.
    [ "$complete" -gt 0 ]
    [ "$complete" -lt 12 ]
}

@test "on a tmpfs without a single free page" {
    need_mounts
    start_demo_in 'mount -t tmpfs -o size=1m none "$SMX_DIR"
        head -c 1M /dev/zero >"$SMX_DIR/filler"'
    serves_on 1
    says 'no space left'
}

@test "a tmpfs that fills up under a running server" {
    need_mounts
    start_demo_in 'mount -t tmpfs -o size=4m none "$SMX_DIR"'
    request 5 /fast
    nsenter --target "${pids[demo]}" --mount bash -c 'cat /dev/zero >"$0/filler"' "$SMX_DIR" || true
    serves_on 0
}

@test "without the directory" {
    export SMX_DIR=$scratch/missing
    start_demo demo --workers 2
    serves_on 1
    says "$SMX_DIR"
}

@test "where the directory is a file" {
    touch "$scratch/file"
    export SMX_DIR=$scratch/file
    start_demo demo --workers 2
    serves_on 1
    says "$SMX_DIR"
}

@test "in a read-only directory" {
    if [ "$(id -u)" -eq 0 ]; then
        need_mounts
        start_demo_in 'mount -t tmpfs -o ro none "$SMX_DIR"'
    else
        chmod 500 "$SMX_DIR"
        start_demo demo --workers 2
    fi
    serves_on 1
    says "$SMX_DIR"
}

@test "on a disk file system" {
    export SMX_DIR=$BATS_TEST_TMPDIR
    [ "$(stat -f -c %T "$SMX_DIR")" != tmpfs ] || skip "the temporary directory is on tmpfs"
    start_demo demo --workers 2
    serves_on 1
    says "$SMX_DIR"
}

@test "with garbage in the way" {
    local size
    for size in 0 1 100 4096 65536; do
        head -c "$size" /dev/urandom >"$SMX_DIR/demo.v1.smx"
        cp "$SMX_DIR/demo.v1.smx" "$scratch/garbage"
        start_demo demo --workers 2
        serves_on 1
        says "$SMX_DIR/demo.v1.smx"
        # It may be somebody's: it is left alone.
        cmp "$SMX_DIR/demo.v1.smx" "$scratch/garbage"
    done
}

@test "with a directory, a pipe or a link in the way" {
    touch "$scratch/elsewhere"
    local make
    for make in mkdir mkfifo "ln -s $scratch/elsewhere"; do
        # Unquoted: a command with its arguments.
        $make "$SMX_DIR/demo.v1.smx"
        start_demo demo --workers 2
        serves_on 1
        says "$SMX_DIR/demo.v1.smx"
        rm -rf "$SMX_DIR/demo.v1.smx"
    done
    [ ! -s "$scratch/elsewhere" ]
}

@test "with a segment of another major version in the way" {
    echo 'counter jobs_total 1' | "$build/tests/puppet" demo
    # The word at offset 12 (libshm/layout.h).
    printf '\x02' | dd of="$SMX_DIR/demo.v1.smx" bs=1 seek=12 conv=notrunc status=none
    start_demo demo --workers 2
    serves_on 1
    says "$SMX_DIR/demo.v1.smx: format 2.1"
}

@test "with a file size limit that the segment does not fit" {
    start demo bash -c 'ulimit -f 4; exec "$0" --listen 127.0.0.1:0 --workers 2' "$bin/smx-demo"
    demo_serves demo
    serves_on 1
}
