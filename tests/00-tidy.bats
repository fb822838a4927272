#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-tidy.bats - clang-tidy, with the checks of .clang-tidy, has nothing to say of any source that is
# built here. Of the tests it says only what clang warns of: it does not know that a failed assertion of
# cmocka ends them. (The stage of tests/run that builds by clang builds only what it runs.)
# The analyzer follows a third of its usual number of paths through each function, which takes a third
# of the time; SMX_TEST_SCALE=3 lets it follow all.

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    build=${SMX_BUILD:-$root/build/release}
}

@test "clang-tidy finds nothing" {
    local nodes=$((75000 * ${SMX_TEST_SCALE:-1})) option extra=()
    for option in -Xclang -analyzer-config -Xclang "max-nodes=$nodes"; do
        extra+=("--extra-arg=$option")
    done
    # One file a process: with several the analyzer takes va_lists of the second for uninitialised.
    run bash -c 'jq -r .[].file "$1/compile_commands.json" | sort -u | grep -v /tests/ |
        xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p "$@" 2>/dev/null' - "$build" "${extra[@]}"
    grep -E 'error:|warning:' <<<"$output" | sort -u || true
    [[ $status -eq 0 ]]
}

@test "clang has no warning for any test" {
    # clang-tidy wants a check, too.
    run bash -c 'jq -r .[].file "$1/compile_commands.json" | sort -u | grep /tests/ |
        xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p "$@" 2>/dev/null' - "$build" \
        --checks='-*,clang-diagnostic-*,misc-static-assert'
    grep -E 'error:|warning:' <<<"$output" | sort -u || true
    [[ $status -eq 0 ]]
}

@test "clang-tidy would find something" {
    cp "$root/.clang-tidy" "$BATS_TEST_TMPDIR"
    printf 'int f(int *p);\nint f(int *p) { if (!p) return *p; return 0; }\n' \
        >"$BATS_TEST_TMPDIR/a.c"
    run clang-tidy --quiet "$BATS_TEST_TMPDIR/a.c" --
    [[ $status -ne 0 && $output == *NullDereference* ]]
    printf 'int f(long n);\nint f(long n) { return n; }\n' >"$BATS_TEST_TMPDIR/a.c"
    run clang-tidy --quiet --checks='-*,clang-diagnostic-*,misc-static-assert' \
        "$BATS_TEST_TMPDIR/a.c" -- -Wconversion
    [[ $status -ne 0 && $output == *clang-diagnostic-shorten-64-to-32* ]]
}
