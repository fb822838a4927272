#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 30-aarch64.bats - libshm for aarch64 under qemu's user emulation, which has no rseq: hosts count in
# the atomic rows there; and the sequences run with the kernel's part played by a test.

setup_file() {
    local root
    root=$(dirname "$BATS_TEST_DIRNAME")
    export library=$BATS_FILE_TMPDIR/aarch64
    cmake -S "$root" -B "$library" -G Ninja -DSMX_LIBRARY_ONLY=ON -DSMX_WERROR=ON \
        -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_SYSTEM_NAME=Linux \
        -DCMAKE_SYSTEM_PROCESSOR=aarch64 -DCMAKE_C_COMPILER=aarch64-linux-gnu-gcc
    cmake --build "$library"
}

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    export SMX_DIR
    SMX_DIR=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    rm -rf "$SMX_DIR"
}

# compile SOURCE FLAG...: one of tests/hosts, to ./host.
compile() {
    aarch64-linux-gnu-gcc -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -I "$root/include" -static \
        -o host "$root/tests/hosts/$1" "$library/lib/libshm.a" "${@:2}"
}

@test "one thread's updates are in the atomic rows, none is lost" {
    compile counting.c
    run timeout 120 qemu-aarch64 ./host 10000
    echo "$output"
    [[ $status -eq 0 && $output == 'percpu=0 atomic=10000' ]]
}

@test "updates of threads and forked processes are in the atomic rows, none is lost" {
    compile registering.c
    run timeout 120 qemu-aarch64 ./host 2 3 20000
    echo "$output"
    [[ $status -eq 0 && $output == 'percpu=0 atomic=160000 left=0 '* ]]
}

@test "so are those of a libshm whose registration is refused" {
    compile registering.c -DSMX_REGISTER_RSEQ
    run timeout 120 qemu-aarch64 ./host 2 3 20000
    echo "$output"
    [[ $status -eq 0 && $output == 'percpu=0 atomic=160000 left=0 '* ]]
}

# What the program prints is TAP of its own.
play_the_kernel() {
    compile faking.c "$@"
    run timeout 120 qemu-aarch64 ./host
    echo "$output"
    [[ $status -eq 0 && $output == *'1..11' && $output != *'not ok'* ]]
}

@test "the sequences commit, abort and leave as the kernel expects" {
    play_the_kernel
}

@test "and those with atomic instructions" {
    play_the_kernel -march=armv8.1-a
}

@test "and those of clang" {
    aarch64-linux-gnu-gcc() {
        clang --target=aarch64-linux-gnu -I /usr/aarch64-linux-gnu/include \
            -L /usr/aarch64-linux-gnu/lib "$@"
    }
    play_the_kernel
}
