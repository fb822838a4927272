#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-tidy.bats - clang-tidy, with the checks of .clang-tidy, has nothing to say of any source that is
# built here; 00-tidy-agent has those of the agent. Of the tests it says only what clang warns of: it
# does not know that a failed assertion of cmocka ends them. Those of classes 10 to 30 and what is
# linked into them are not looked at here: the stage of tests/run that builds by clang builds them,
# where a warning is an error.

load support/tidy

@test "clang-tidy finds nothing in the library and the tools" {
    run analyze '^(libshm|tools)/.*[.]c$'
    echo "$output"
    [[ $status -eq 0 ]]
    run tidy '[.]cpp$' "${budget[@]}"
    echo "$output"
    [[ $status -eq 0 ]]
}

@test "every source is somebody's" {
    [[ -z $(jq -r '.[].file' "$build/compile_commands.json" | sed "s|^$root/||" |
        grep -vE '^(libshm|tools|tests|agent)/.*[.]c$|[.]cpp$') ]]
}

# Of the tests, what the stage that builds by clang does not build, and what it builds.
here='^tests/([04-9][0-9]-|programs/|shim/)'
there='^tests/([123]0-|support/)'

@test "clang has no warning for any test that is not built by clang" {
    [[ -z $(jq -r '.[].file' "$build/compile_commands.json" | sed "s|^$root/||" | grep '^tests/' |
        grep -vE "$here|$there") ]]
    grep -F '*) printf' "$root/tests/run" | grep -F 'tests/[123]0-*.c'
    run tidy "$here" "$only_warnings"
    echo "$output"
    [[ $status -eq 0 ]]
}

@test "clang-tidy would find something" {
    cp "$root/.clang-tidy" "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR"
    printf 'int f(int *p);\nint f(int *p) { if (!p) return *p; return 0; }\n' >a.c
    printf 'int g(long n);\nint g(long n) { return n; }\n' >b.c
    printf 'int __h(void);\nint __h(void) { return 0; }\n' >c.c
    printf '{"directory": "%s", "file": "%s.c", "command": "cc -Wconversion %s.c"}\n' \
        "$PWD" "$PWD/a" a "$PWD" "$PWD/b" b "$PWD" "$PWD/c" c | jq -s . >compile_commands.json
    root=$PWD build=$PWD
    run analyze '^a.c$'
    [[ $status -ne 0 && $output == *a.c*NullDereference* && $output != *b.c* ]]
    run analyze '^c.c$'
    [[ $status -ne 0 && $output == *c.c*reserved-identifier* ]]
    run tidy '^b.c$' "$only_warnings"
    [[ $status -ne 0 && $output == *clang-diagnostic-shorten-64-to-32* ]]
}
