#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# What may lie in a directory of segments and is none, or no longer: the agent serves what is sound
# beside it at every scrape, names the reason in smx_segment_errors_total, opens nothing that it
# should not, and waits for nothing; smx-dump says what is wrong and ends.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    live_setup
    sample plain
    start_agent
    serves
}

teardown() {
    live_teardown
}

# sample VARIANT: a known segment, VARIANT@one.v1.smx.
sample() {
    "$build/tests/segment-sample" "$SMX_DIR" "$1" >/dev/null
}

# put COPY FILE: whole or not at all, as a segment comes to be. What the agent found half copied it
# would go on to take for all.
put() {
    cp "$1" "$SMX_DIR/.draft"
    mv -T "$SMX_DIR/.draft" "$2"
}

# The sound segment is served, all of it.
serves() {
    scrape=$(agent_get /metrics)
    grep -qxF 'http_requests_total{app="plain",app_instance="one",env="test",method="GET"} 18446744073709551615' <<<"$scrape"
    grep -qxF 'duration_seconds_count{app="plain",app_instance="one",env="test"} 4' <<<"$scrape"
    grep -qxF 'table_entries{app="plain",app_instance="one",env="test"} -7' <<<"$scrape"
    running agent
}

count_of() {
    sed -n "s/^smx_segment_errors_total{reason=\"$1\"} //p" <<<"$scrape"
}

# leaves_out REASON [FILE]: one more scrape counts it once more, under that reason alone; and
# smx-dump of the file ends by itself, with 1.
leaves_out() {
    local before after
    serves
    before=$(grep '^smx_segment_errors_total' <<<"$scrape")
    serves
    after=$(grep '^smx_segment_errors_total' <<<"$scrape")
    [ "$(diff <(echo "$before") <(echo "$after") | grep -c '^>')" -eq 1 ]
    [ "$(count_of "$1")" -gt "$(sed -n "s/.*\"$1\"} //p" <<<"$before")" ]
    [ $# -lt 2 ] || refuses_dump "$2"
}

refuses_dump() {
    run timeout 90 "$bin/smx-dump" "$1"
    [ "$status" -eq 1 ]
    [ -n "$output" ]
}

evil() {
    echo "$SMX_DIR/evil.v1.smx"
}

need_root() {
    [ "$(id -u)" -eq 0 ] || skip 'needs root'
}

@test "a pipe is not waited for" {
    mkfifo "$(evil)"
    leaves_out not_regular "$(evil)"
}

@test "a directory, a socket" {
    mkdir "$(evil)"
    leaves_out not_regular "$(evil)"
    rmdir "$(evil)"
    /usr/bin/python3 -c \
        'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$(evil)"
    leaves_out not_regular "$(evil)"
}

@test "a device" {
    need_root
    mknod "$(evil)" c 1 5 || skip 'no right to make a device'
    leaves_out not_regular "$(evil)"
}

@test "a link, whatever it leads to" {
    local target
    mv "$SMX_DIR/plain@one.v1.smx" "$scratch/elsewhere"
    for target in "$scratch/elsewhere" /dev/zero /etc/passwd /nonexistent "$(evil)"; do
        ln -s "$target" "$(evil)"
        put "$scratch/elsewhere" "$SMX_DIR/plain@one.v1.smx"
        leaves_out link "$(evil)"
        rm "$(evil)" "$SMX_DIR/plain@one.v1.smx"
    done
}

@test "a text, an empty file, and a tebibyte of nothing" {
    cp /etc/passwd "$(evil)"
    leaves_out not_a_segment "$(evil)"
    run -1 grep root: <<<"$scrape"
    : >"$(evil)"
    leaves_out not_a_segment "$(evil)"
    truncate -s 1T "$(evil)" || skip 'no file can be so long here'
    leaves_out not_a_segment "$(evil)"
}

# poke FILE OFFSET BYTES: as printf has them.
poke() {
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}

@test "a tebibyte of holes that says it is in use" {
    sample overflow
    local file=$SMX_DIR/overflow@one.v1.smx
    truncate -s 1T "$file" || skip 'no file can be so long here'
    poke "$file" 40 '\0\0\0\0\0\001\0\0'
    serves
    grep -q '^hits_total' <<<"$scrape"
    poke "$file" 1024 '\0\0\0\0\0\001\0\0'
    leaves_out holes "$file"
}

@test "a file of another user, one that may not be read, one of another name" {
    need_root
    local dir=$scratch/theirs
    mkdir -m 755 "$dir"
    chmod 755 "$scratch"
    stop agent
    sample overflow
    # As nobody, in a directory of root's: root's files are served, those of others are not.
    rm -f "$scratch/agent.sock"
    chmod 644 "$SMX_DIR"/*
    chmod 777 "$scratch"
    start agent setpriv --reuid=65534 --regid=65534 --clear-groups "$bin/smx-agent" \
        --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address="unix:$scratch/agent.sock"
    eventually agent_get /-/healthy >/dev/null
    serves
    chown 12345 "$SMX_DIR/overflow@one.v1.smx"
    leaves_out owner
    # In this order: a file that may be read is opened at once, and then stays.
    chmod 600 "$SMX_DIR/overflow@one.v1.smx"
    chown 0 "$SMX_DIR/overflow@one.v1.smx"
    leaves_out permission
    chmod 644 "$SMX_DIR/overflow@one.v1.smx"
    mv "$SMX_DIR/overflow@one.v1.smx" "$(evil)"
    leaves_out misnamed
}

@test "a second name of a segment" {
    ln "$SMX_DIR/plain@one.v1.smx" "$(evil)"
    leaves_out misnamed
    # The first one is not lost with the second, whose descriptor was closed.
    rm "$(evil)"
    serves
}

@test "a file on disk is read like any other" {
    [ "$(stat -f -c %T "$BATS_TEST_TMPDIR")" != tmpfs ] || skip 'the temporary directory is a tmpfs'
    stop agent
    cp --sparse=never "$SMX_DIR/plain@one.v1.smx" "$BATS_TEST_TMPDIR/"
    SMX_DIR=$BATS_TEST_TMPDIR
    start_agent
    serves
    truncate -s 5000 "$SMX_DIR/plain@one.v1.smx"
    agent_get /metrics | grep -q '^smx_segment_errors_total{reason="truncated"} 1$'
}

@test "odd names" {
    local name long
    long=$(printf 'x%.0s' {1..248})
    for name in $'two\nlines.v1.smx' $'\xff\xfe.v1.smx' "$long.v1.smx" '...v1.smx' $'\e[2J.v1.smx' \
        '{__name__="x"}.v1.smx' '%s%n.v1.smx' ' .v1.smx'; do
        put "$SMX_DIR/plain@one.v1.smx" "$SMX_DIR/$name"
    done
    leaves_out misnamed
    # None of them is the file of the application that its header names, and the one with a leading
    # dot is none at all.
    agent_get /health >"$scratch/health"
    jq -e '.components.segments | length == 8' "$scratch/health" >/dev/null
    jq -e '[.components.segments[] | select(.state == "refused")] | length == 7' "$scratch/health"
    agent_get / >/dev/null
    # What is wrong with a file is said once, in one line, and no byte of a name is a command to a
    # terminal.
    [ "$(grep -c 'header names another' "$scratch/agent.err")" -eq 7 ]
    run -1 grep -v '^ts=' "$scratch/agent.err"
    LC_ALL=C run -1 grep -P '[\x00-\x09\x0b-\x1f\x7f]' "$scratch/agent.err"
    run "$bin/smx-dump" --directory "$SMX_DIR"
    LC_ALL=C run -1 grep -P '[\x00-\x09\x0b-\x1f\x7f]' <<<"$output"
}

@test "cut at every page, in the middle of a record, to nothing; grown; made whole" {
    sample overflow
    local file=$SMX_DIR/overflow@one.v1.smx length
    local size
    size=$(stat -c %s "$file")
    cp "$file" "$scratch/whole"
    serves
    for ((length = size - 1; length >= 0; length -= length % 4096 ? (length > 65536 ? 16385 : 4095) : 1)); do
        truncate -s "$length" "$file"
        serves
        [ "$(grep -c '^hits_total' <<<"$scrape" || true)" -eq 0 ]
        [ "$length" -gt 20480 ] || refuses_dump "$file"
    done
    serves
    [ "$(count_of truncated)" -gt 0 ]
    [ "$(count_of not_a_segment)" -gt 0 ]
    put "$scratch/whole" "$file"
    truncate -s +1M "$file"
    serves
    grep -q '^hits_total' <<<"$scrape"
}

@test "unlinked, replaced, and both all the time" {
    sample overflow
    local file=$SMX_DIR/overflow@one.v1.smx i
    cp "$file" "$scratch/whole"
    serves
    grep -q '^hits_total' <<<"$scrape"
    rm "$file"
    serves
    [ "$(grep -c '^hits_total' <<<"$scrape" || true)" -eq 0 ]
    start changing bash -c 'cd "$0" && while :; do
        cp "$1" "$2.new"; mv "$2.new" "$2"; rm "$2"; mkfifo "$2"; rm "$2"; ln -s /dev/zero "$2"; rm "$2"
        mkdir "$2"; rmdir "$2"; head -c 9000 "$1" >"$2"; done' "$SMX_DIR" "$scratch/whole" "$file"
    for ((i = 0; i < 100 * ${SMX_TEST_SCALE:-1}; i++)); do
        serves
    done
    timeout 90 "$bin/smx-dump" "$file" >/dev/null 2>&1 || [ $? -eq 1 ]
    stop changing
}
