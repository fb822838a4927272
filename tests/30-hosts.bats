#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 30-hosts.bats - libshm as a guest: in plug-ins that come and go, under a debugger, under valgrind,
# in a thread without rseq. Nothing is lost, and nobody hangs or dies.

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    build=${SMX_BUILD:-$root/build/release}
    export SMX_DIR
    SMX_DIR=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    rm -rf "$SMX_DIR"
}

# compile OUTPUT SOURCE ARGUMENT...: one of tests/hosts.
compile() {
    local output=$1 source=$2
    shift 2
    gcc -D_GNU_SOURCE -Wall -Wextra -Werror -g -I "$root/include" -o "$output" \
        "$root/tests/hosts/$source" "$@"
}

# load_plugin LIBRARY: run the host with a plug-in linked to that library.
load_plugin() {
    compile plugin.so plugin.c -O2 -fPIC -fvisibility=hidden -shared "$build/lib/$1" \
        -Wl,-rpath,"$build/lib"
    compile loading loading.c -O2
    run timeout 60 ./loading "$PWD/plugin.so"
    echo "status $status: $output"
    [[ $status -eq 0 && $output == alive ]]
}

@test "a host outlives a plug-in that updated metrics, libshm shared" {
    load_plugin libshm.so
}

@test "a host outlives a plug-in that updated metrics, libshm linked into it" {
    load_plugin libshm.a
}

@test "a process lives on when a second copy of libshm in it fails, reads, opens" {
    compile twice twice.c -O2 "$build/lib/libshm.a" -ldl
    run timeout 60 ./twice "$build/lib/libshm.so"
    echo "status $status: $output"
    [[ $status -eq 0 && $output == alive ]]
}

# count_by N COMMAND...: run counting under a command and set percpu and atomic. It itself fails if
# a count is lost.
count_by() {
    local n=$1
    shift
    run timeout 120 "$@" ./counting "$n"
    echo "status $status: $output"
    [[ $status -eq 0 ]]
    read_rows
}

read_rows() {
    [[ $output =~ percpu=([0-9]+)\ atomic=([0-9]+) ]]
    percpu=${BASH_REMATCH[1]}
    atomic=${BASH_REMATCH[2]}
}

@test "a thread with rseq counts in the rows of the CPUs" {
    compile counting counting.c -O2 "$build/lib/libshm.a"
    count_by 1000000 env
    [[ $percpu -gt 0 ]]
    # An abort is for preemption, migration, signals: rare.
    [[ $percpu -gt $atomic ]]
}

@test "without glibc's rseq every count goes to the atomic row, none is lost" {
    compile counting counting.c -O2 "$build/lib/libshm.a"
    count_by 10000 env GLIBC_TUNABLES=glibc.pthread.rseq=0
    [[ $percpu -eq 0 && $atomic -eq 10000 ]]
}

@test "without glibc's rseq processes are spread over the atomic rows" {
    compile registering registering.c -O2 "$build/lib/libshm.a"
    # Of few, all may have even pids, where something else forks as often.
    run env GLIBC_TUNABLES=glibc.pthread.rseq=0 ./registering 32 1 1000
    echo "$output"
    # One for each CPU, by the process; 4 at most.
    [[ $status -eq 0 && $output =~ percpu=0\ .*rows=([0-9]+) ]]
    [[ ${BASH_REMATCH[1]} -ge 2 || $(getconf _NPROCESSORS_CONF) -eq 1 ]]
}

@test "under valgrind every count goes to the atomic row, none is lost" {
    compile counting counting.c -O2 "$build/lib/libshm.a"
    count_by 1000 valgrind --quiet --error-exitcode=9
    [[ $percpu -eq 0 && $atomic -eq 1000 ]]
}

# step_with COMMAND: stop in the loop that updates, let gdb do the command, go on to the end.
step_with() {
    run timeout 120 gdb --batch --nx -ex 'set debuginfod enabled off' \
        -ex 'set disable-randomization off' -ex 'break count' -ex 'run 1000' -ex "$1" \
        -ex 'info source' -ex 'delete' -ex 'continue' ./counting
    echo "status $status: $output"
    [[ $status -eq 0 ]]
    [[ $output == *'exited normally'* ]]
    read_rows
}

@test "next in gdb steps over updates" {
    compile counting counting.c -O0 "$build/lib/libshm.a"
    step_with 'next 100'
    [[ $output == *counting.c* ]]
}

@test "next in gdb steps over updates that are inlined" {
    compile counting counting.c -O2 "$build/lib/libshm.a"
    step_with 'next 100'
    # Every step aborts the sequence it is in: that count is in the atomic row.
    [[ $atomic -gt 0 ]]
}

@test "single instructions can be stepped through updates" {
    compile counting counting.c -O2 "$build/lib/libshm.a"
    step_with 'stepi 2000'
    [[ $atomic -gt 0 ]]
}
