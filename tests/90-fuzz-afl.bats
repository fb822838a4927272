#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 90-fuzz-afl.bats - AFL++ on every harness, from the same corpus as libFuzzer.
# It builds them itself, with those of 90-fuzz. A script of its own, which runs beside the other.

setup_file() {
    SMX_FUZZ_HARNESSES=$("$BATS_TEST_DIRNAME/fuzz/run" build)
    export SMX_FUZZ_HARNESSES
}

setup() {
    fuzz=$BATS_TEST_DIRNAME/fuzz
}

@test "every harness takes every file of the corpus in AFL++'s build, too" {
    run "$fuzz/run" replay afl
    echo "$output"
    [[ $status -eq 0 && ${#lines[@]} -eq 6 ]]
}

@test "AFL++ finds nothing" {
    [[ ${SMX_FUZZ_SECONDS:-} != 0 ]] || skip "SMX_FUZZ_SECONDS is 0"
    run "$fuzz/run" afl
    sed 's/^/# /' <<<"$output" >&3
    [[ $status -eq 0 && ${#lines[@]} -eq 6 ]]
}
