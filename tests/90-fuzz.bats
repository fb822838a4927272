#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 90-fuzz.bats - the corpus of the fuzzers, and libFuzzer on every harness.
# It builds them itself: in build/fuzz, by clang, whatever $SMX_BUILD is. AFL++ is in 90-fuzz-afl.

setup_file() {
    SMX_FUZZ_HARNESSES=$("$BATS_TEST_DIRNAME/fuzz/run" build)
    export SMX_FUZZ_HARNESSES
}

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    fuzz=$root/tests/fuzz
}

# What a script says, as comments.
show() {
    sed 's/^/# /' <<<"$output" >&3
}

@test "the seeds are what their generator writes, and no larger than a MiB" {
    "$fuzz/run" seeds "$BATS_TEST_TMPDIR"
    run diff -rq "$BATS_TEST_TMPDIR" "$fuzz/corpus"
    echo "$output"
    # What was found once lies there besides.
    [[ -z $(grep -v "^Only in $fuzz/corpus/[a-z]*: found-" <<<"$output") ]]
    [[ $(find "$fuzz/corpus" -type f -printf '%s\n' | paste -sd+ | bc) -lt $((1 << 20)) ]]
}

@test "every harness takes every file of the corpus" {
    run "$fuzz/run" replay fuzz
    echo "$output"
    [[ $status -eq 0 && ${#lines[@]} -eq 6 ]]
}

@test "libFuzzer finds nothing" {
    [[ ${SMX_FUZZ_SECONDS:-} != 0 ]] || skip "SMX_FUZZ_SECONDS is 0"
    run "$fuzz/run" libfuzzer
    show
    [[ $status -eq 0 && ${#lines[@]} -eq 6 ]]
}

@test "what a fuzzer finds fails the run and is kept" {
    local harness=$BATS_TEST_TMPDIR/fuzz-accept input=smx-90-fuzz-$$
    # A harness that does not like what it is given, as libFuzzer would say it.
    printf '#!/bin/bash
        for argument; do [[ $argument != -artifact_prefix=* ]] || prefix=${argument#*=}; done
        [[ ! ${prefix:-} ]] || echo %s >"${prefix}crash"
        exit 77' "$input" >"$harness"
    chmod +x "$harness"
    SMX_FUZZ_HARNESSES=$BATS_TEST_TMPDIR run "$fuzz/run" replay fuzz
    [[ $status -eq 1 && $output == *'accept: failed'* ]]
    SMX_FUZZ_SECONDS=1 SMX_FUZZ_HARNESSES=$BATS_TEST_TMPDIR run "$fuzz/run" libfuzzer accept
    echo "$output"
    [[ $status -eq 1 && $output == *"$(base64 <<<"$input")"* ]]
    local kept
    kept=$root/$(grep -o 'build/found/accept-[0-9a-f]*' <<<"$output")
    [[ $(<"$kept") == "$input" ]]
    rm "$kept"
}
