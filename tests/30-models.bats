#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 30-models.bats - the models of libshm in tests/models hold, in every state that Spin finds; and
# they would not if libshm did otherwise.

setup_file() {
    source "$BATS_TEST_DIRNAME/support/models.bash"
    export models=$BATS_TEST_DIRNAME/models root=${BATS_TEST_DIRNAME%/*}
    export work=$BATS_FILE_TMPDIR/all
    search_all "$models" "$work" >"$BATS_FILE_TMPDIR/results"
}

setup() {
    source "$BATS_TEST_DIRNAME/support/models.bash"
    results=$BATS_FILE_TMPDIR/results
}

# The results of the forms that hold, or fail, which are `least` at least.
results_of() {
    local least=$2
    grep "^[a-z]* $1 " "$results"
    [[ $(grep -c "^[a-z]* $1 " "$results") -ge $least ]]
}

@test "the models hold, whoever is killed wherever" {
    run results_of holds 12
    echo "$output" | sed 's/^/# /' >&3
    [[ $status -eq 0 && $output != *"no result"* && $output != *"not completed"* ]]
    [[ -z $(grep -v ': 0 errors, ' <<<"$output") ]]
}

@test "each change that libshm must not make breaks its model" {
    run results_of fails 30
    echo "$output"
    [[ $status -eq 0 && -z $(grep -v ': 1 errors, ' <<<"$output") ]]
    # By an assertion, not since the model comes to a halt.
    run grep -L 'assertion violated' "$work"/*,fails,*/said
    [[ -z $output ]]
}

@test "no statement of a model is there for nothing" {
    run never_reached "$models" "$work"
    echo "$output"
    [[ -z $output ]]
}

@test "every model stands for functions that are in libshm" {
    run missing_functions "$models" "$root"
    echo "$output"
    [[ -z $output ]]
}

@test "a model that errs, what it never does and what it does not stand for any more are seen" {
    mkdir -p "$BATS_TEST_TMPDIR/models" && cd "$BATS_TEST_TMPDIR"
    cat >models/bad.pml <<'END'
/* bad.pml
 *
 * Stands for: smx__allocate
 *   smx__no_more
 *
 *   holds: A=1
 *   fails: A=2
 */
bool other, once;
init
{
    if
    :: once = true; assert(A == 1)
    :: other -> once = false
    fi
}
END
    run search_all "$BATS_TEST_TMPDIR/models" "$BATS_TEST_TMPDIR/work"
    echo "$output"
    [[ ${lines[0]} == "bad holds A=1: 0 errors, "* && ${lines[1]} == "bad fails A=2: 1 errors, "* ]]
    run never_reached "$BATS_TEST_TMPDIR/models" "$BATS_TEST_TMPDIR/work"
    [[ $output == *"bad init 14"* && $output != *"bad init 13"* ]]
    run missing_functions "$BATS_TEST_TMPDIR/models" "$root"
    [[ $output == "bad smx__no_more" ]]
}
