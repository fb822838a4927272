#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 90-bench.bats - smx-bench measures all that others rely on, loses nothing, and leaves nothing
# behind. Times are not looked at, but for ratios that no noise turns round.

load support/live

setup_file() {
    export bench=$bin/smx-bench
    export quick=$BATS_FILE_TMPDIR/quick.json
    "$bench" --quick --json >"$quick" 2>"$BATS_FILE_TMPDIR/notes" || echo "$?" >"$quick.status"
    cat "$BATS_FILE_TMPDIR/notes"
}

setup() {
    scratch=$(mktemp -d /dev/shm/smx-test-XXXXXX)
}

teardown() {
    [[ -z ${pid:-} ]] || kill -KILL "$pid" 2>/dev/null || true
    rm -rf "$scratch"
}

# Prints the value of a jq filter over all lines.
of() {
    jq --slurp --raw-output "$@" "$quick"
}

@test "a quick run ends well, and every line is an object with numbers" {
    [[ ! -e $quick.status ]]
    [[ $(of 'length') -eq $(wc -l <"$quick") ]]
    [[ $(of 'map(select((.name | type) != "string" or (.min | type) != "number" or
        (.max | type) != "number" or .min > .max)) | length') -eq 0 ]]
    [[ $(of 'map(select([.ns_per_op, .ms, .bytes] | map(numbers) | length != 1)) | length') -eq 0 ]]
}

@test "every name that others rely on is there, with 1, 2 and 8 processes" {
    local name procs
    for name in plain_add lock_xadd counter_add series_find_add histogram_exp histogram_bounds11 \
        gauge_set gauge_add timed_scope; do
        for procs in 1 2 8; do
            [[ $(of --arg name "$name" --argjson procs "$procs" 'map(select(.name == $name and
                .procs == $procs and .series >= 1 and (.ns_per_op | type) == "number" and
                (.lost | type) == "number")) | length >= 1') == true ]]
        done
    done
    [[ $(of 'map(select(.name == "gather_text" and .ms > 0) | [.series, .rows]) | sort | tojson') \
        == '[[1000,2],[10000,2],[10000,192],[100000,2]]' ]]
    [[ $(of 'map(select(.name == "gzip_text" and .series == 100000 and .ms > 0)) | length') -eq 1 ]]
}

@test "PCP's values are rows, with what they lose, where the build found its library" {
    grep -qE '^PCP_INCLUDE:.*=/' "$build/CMakeCache.txt" || skip "built without PCP"
    [[ $(of 'map(select(.name == "pcp_mmv" and .ratio > 0 and .lost >= 0) | .procs) | tojson') \
        == '[1,2,8]' ]]
}

@test "smx loses nothing" {
    [[ $(of 'map(select(.group != "peers" and has("lost"))) | length') -gt 30 ]]
    [[ $(of 'map(select(.group != "peers" and .lost? != 0 and has("lost")) | .name) |
        join(" ")') == "" ]]
}

@test "a counter costs less than a locked add when two processes use it" {
    if grep -qiE '^CMAKE_C_FLAGS:STRING=.*sanitize|^SMX_NO_RSEQ:.*=(true|on)$' \
        "$build/CMakeCache.txt"; then
        skip "not a build for speed"
    fi
    [[ $(of 'map(select(.procs == 2 and .series == 1)) |
        (map(select(.name == "counter_add")) | .[0].ratio) <
        (map(select(.name == "lock_xadd")) | .[0].ratio)') == true ]]
}

@test "updates, scrapes and forks have a ratio to their limit, and what is wanted is judged" {
    local name
    for name in counter_add histogram_exp timed_scope python_multiprocess register fork \
        gather_text gather_histograms scrape_http; do
        [[ $(of --arg name "$name" 'map(select(.name == $name)) | length > 0 and
            all(.ratio > 0)') == true ]]
    done
    [[ $(of 'map(select(has("reach"))) | length') -gt 20 ]]
    [[ $(of 'map(select(has("reach") and .reached !=
        ((.ratio // .ms // .bytes) <= .reach)) | .name) | join(" ")') == "" ]]
    # The limit beside itself, which no noise makes another one.
    run "$bench" --json --filter '*/plain_add_private'
    jq --slurp --exit-status 'all(.ratio > 0.4 and .ratio < 4)' <<<"$output"
}

@test "an operation that is lost is reported, and the run fails" {
    # A shared library that forgets what it is told stands in for ours.
    echo 'void smx_counter_add_fn(void) {}' >"$BATS_TEST_TMPDIR/lossy.c"
    gcc -shared -fPIC -Wl,-soname,libshm.so.1 -o "$BATS_TEST_TMPDIR/libshm.so.1" \
        "$BATS_TEST_TMPDIR/lossy.c"
    LD_LIBRARY_PATH=$BATS_TEST_TMPDIR run "$bench" --quick --filter counter_add_fn
    echo "$output"
    [[ $status -eq 1 ]]
    [[ $output == *'update/counter_add_fn lost '* ]]
}

@test "a peer that loses does not fail the run" {
    [[ $(nproc) -ge 2 ]] || skip "one CPU"
    run "$bench" --json --filter '*/plain_add' --directory "$scratch"
    echo "$output"
    [[ $status -eq 0 ]]
    jq --slurp --exit-status 'map(select(.procs == 2 and .lost > 0)) | length > 0' <<<"$output"
}

@test "a directory that is not there is an error, a peer that is not there is left out" {
    run "$bench" --quick update --filter histogram_exp --directory /sys
    [[ $status -eq 1 && $output == *'smx-bench: /sys/'* ]]
    # No Python is on this path.
    mkdir "$BATS_TEST_TMPDIR/empty"
    PATH=$BATS_TEST_TMPDIR/empty run "$bench" --quick --filter python
    [[ $status -eq 0 && $output == *'left out: '*'prometheus_client is not installed'* ]]
}

@test "the choice is by group, part of a name, or pattern" {
    run "$bench" --list update --filter gauge
    [[ $status -eq 0 && ${#lines[@]} -eq 6 ]]
    [[ ${lines[0]} == 'update/gauge_set procs=1 series=1' ]]
    # What a scrape is compared with is there, too, but in a run of all groups once.
    run "$bench" --list scrape
    [[ $(grep -c '^scrape/' <<<"$output") -eq 5 ]]
    [[ $(grep -c '^gather/memory_to_text\|^gather/gather_python' <<<"$output") -eq 3 ]]
    [[ $("$bench" --list | grep -c memory_to_text) -eq 2 ]]
    run "$bench" --list --filter 'memory_c*' --filter '*/attach'
    [[ $status -eq 0 && ${#lines[@]} -eq 6 ]]
    [[ $("$bench" --list --full | wc -l) -gt $("$bench" --list | wc -l) ]]
    [[ $("$bench" --list | wc -l) -gt $("$bench" --list --quick | wc -l) ]]
    # --help names them all, in their order.
    [[ $("$bench" --list | cut -d / -f 1 | uniq | xargs) == \
        $("$bench" --help | sed -n 's/^Groups: \(.*\); default.*/\1/p') ]]
}

@test "the table and the Markdown name the machine, and have a row for each case" {
    run "$bench" --quick --filter lock_xadd_private
    [[ $status -eq 0 && ${#lines[@]} -eq 8 && ${lines[0]} == *' CPU'*Linux* ]]
    [[ ${lines[1]} == *'x limit'*wanted* && ${lines[3]} == *lock_xadd_private*=* ]]
    run "$bench" --quick --filter lock_xadd_private --markdown
    [[ $status -eq 0 && $output == "Measured on $(date -u +%Y)-"*' CPU'*Linux* ]]
    [[ $(grep -c '^| lock_xadd_private | [128] | 1 | ' <<<"$output") -eq 3 ]]
}

# A segment of process $pid is there, and its worker. Between two cases there is neither.
measures() {
    worker=$(<"/proc/$pid/task/$pid/children")
    [[ -n $worker && -n $(ls "$scratch") ]]
}

@test "an interrupted run leaves nothing behind" {
    for signal in INT TERM; do
        "$bench" --directory "$scratch" update >"$BATS_TEST_TMPDIR/out" 3>&- &
        pid=$!
        eventually grep -q counter_add "$BATS_TEST_TMPDIR/out"
        eventually measures
        kill -s "$signal" "$pid"
        status=0
        wait "$pid" || status=$?
        [[ $status -eq $((128 + $(kill -l "$signal"))) ]]
        [[ -z $(ls "$scratch") ]]
        for worker in $worker; do
            [[ -z $(pgrep -g "$worker") ]]
        done
    done
}

@test "what does not exist is a usage error, and it explains itself" {
    run "$bench" --no-such-option
    [[ $status -eq 2 ]]
    run "$bench" nonsense
    [[ $status -eq 2 && $output == *'no group "nonsense"'* ]]
    run "$bench" --filter nonsense
    [[ $status -eq 2 && $output == *'no case is left'* ]]
    run "$bench" --help
    [[ $status -eq 0 && $output == Usage:*--markdown* ]]
    run "$bench" --version
    [[ $status -eq 0 && $output == 'smx-bench '[0-9]* ]]
}
