#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-run.bats - tests/run, in a tree of its own with nothing to build: it takes a signal at once, at a
# build and at a test, and leaves nothing of what it began.

setup() {
    tree=$BATS_TEST_TMPDIR/tree
    mkdir -p "$tree"/{tests/support,tools,bin}
    cp "$BATS_TEST_DIRNAME/run" "$tree/tests"
    cp "$BATS_TEST_DIRNAME/support/exec" "$tree/tests/support"
    program tools/install-packages <<<:
    program bin/cmake <<<:
    export PATH=$tree/bin:$PATH TMPDIR=$tree/tmp
    mkdir "$TMPDIR"
}

# What the rest of the standard input says, as a program of the tree.
program() {
    { echo '#!/bin/bash' && cat; } >"$tree/$1"
    chmod +x "$tree/$1"
}

# A script that stays in its only test until a signal ends it, with a child that takes a second to clean
# up and a deaf one. Not by a teardown: bats leaves that out at times, if a signal ends it.
write_test() {
    # bats would take the word for a test of this script.
    sed 's/^TEST/@test/' >"$tree/tests/60-stays.bats" <<'END_OF_TEST'
TEST "stays" {
    (trap 'sleep 1; rm "$TREE/untidy"; exit' TERM; touch "$TREE/untidy"; sleep 1000 & wait) 3>&- &
    until [[ -e $TREE/untidy ]]; do sleep 0.1; done
    (trap "" TERM; echo "$BASHPID" >"$TREE/begun"; exec sleep 1000) 3>&- &
    wait
}
END_OF_TEST
}

# Signals are taken that the shell of a test ignores for what is in the background.
start_run() {
    TREE=$tree setpriv --pdeathsig TERM env --default-signal=INT \
        "$tree/tests/run" "$@" >"$tree/said" 2>&1 3>&- &
    run=$!
    within_a_minute test -s "$tree/begun"
}

# end_run SIGNAL STATUS: by a signal, and this is its exit status.
end_run() {
    local status=0
    kill -"$1" "$run"
    within_a_minute has_ended "$run"
    wait "$run" || status=$?
    cat "$tree/said"
    [[ $status -eq $2 ]]
    within_a_minute has_ended "$(<"$tree/begun")"
    [[ -z $(compgen -G "$TMPDIR/tmp.*") ]]
}

# A zombie has, too.
has_ended() {
    [[ ! -e /proc/$1 || $(ps -o state= -p "$1") == Z ]]
}

within_a_minute() {
    local deadline=$((SECONDS + 60))
    until "$@"; do
        [[ $SECONDS -lt $deadline ]] || { kill -KILL "$run" || true && return 1; }
        sleep 0.05
    done
}

@test "SIGTERM ends a test, which has time to clean up, and what is deaf" {
    write_test
    start_run stays
    end_run TERM 143
    [[ ! -e $tree/untidy ]]
}

@test "SIGINT does, too, with the status of its own" {
    write_test
    start_run --asan stays
    end_run INT 130
    [[ ! -e $tree/untidy ]]
}

@test "a second signal changes nothing, with nobody there to read of it" {
    write_test
    cd "$tree"
    TREE=$tree setpriv --pdeathsig TERM tests/support/exec build/release/tests/60-stays.bats \
        > >(:) 2>&1 3>&- &
    run=$!
    within_a_minute test -s begun
    leader=$(pgrep -P "$run")
    kill -TERM "$run"
    within_a_minute has_ended "$leader"
    kill -TERM "$run"
    within_a_minute has_ended "$(<begun)"
    [[ ! -e untidy ]]
}

@test "a signal ends a build" {
    write_test
    program bin/cmake <<<'echo $$ >"$TREE/begun"; sleep 1000 & wait'
    start_run stays
    end_run TERM 143
}

@test "what cannot be built is a failure, with what was said" {
    program bin/cmake <<<'echo no rule to make it; exit 1'
    touch "$tree/tests/10-program.c"
    run "$tree/tests/run" program
    echo "$output"
    [[ $status -eq 1 && $output == *"no rule to make it"*"failed: release: the build"* ]]
    [[ ${lines[-1]} == '0 passed, 1 failed' ]]
}

@test "packages that cannot be had end the run, and the build that has begun" {
    program tools/install-packages <<'END'
[[ $1 == build ]] && exit
until [[ -s $TREE/begun ]]; do sleep 0.05; done
exit 1
END
    program bin/cmake <<<'echo $$ >"$TREE/begun"; sleep 1000 & wait'
    TREE=$tree run "$tree/tests/run"
    echo "$output"
    [[ $status -eq 1 ]]
    has_ended "$(<"$tree/begun")"
}
