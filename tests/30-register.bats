#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 30-register.bats - a libshm that registers threads for rseq itself: with musl, and with glibc when
# its own registration is switched off. Beside others that register; in hosts that were compiled
# without; as a plug-in's library.

# build_library NAME CMAKE_ARGUMENT...: libshm alone, installed in $BATS_FILE_TMPDIR/NAME.
build_library() {
    local name=$1
    shift
    cmake -S "$root" -B "$BATS_FILE_TMPDIR/build-$name" -G Ninja -DSMX_LIBRARY_ONLY=ON \
        -DSMX_WERROR=ON -DCMAKE_BUILD_TYPE=RelWithDebInfo -DCMAKE_INSTALL_LIBDIR=lib "$@"
    cmake --build "$BATS_FILE_TMPDIR/build-$name"
    cmake --install "$BATS_FILE_TMPDIR/build-$name" --prefix "$BATS_FILE_TMPDIR/$name"
}

# musl-gcc leaves out the headers of the kernel together with those of glibc.
setup_file() {
    local root
    root=$(dirname "$BATS_TEST_DIRNAME")
    export kernel=$BATS_FILE_TMPDIR/kernel
    mkdir "$kernel"
    ln -s /usr/include/linux /usr/include/asm-generic \
        "/usr/include/$(gcc -print-multiarch)/asm" "$kernel"
    build_library musl -DCMAKE_C_COMPILER=musl-gcc -DCMAKE_C_FLAGS="-idirafter $kernel"
    build_library glibc -DSMX_REGISTER_RSEQ=ON
}

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    build=${SMX_BUILD:-$root/build/release}
    export SMX_DIR
    SMX_DIR=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    cd "$BATS_TEST_TMPDIR"
    source "$root/tests/support/architecture.bash"
    strict=(-D_GNU_SOURCE -O2 -Wall -Wextra -Werror)
    off=GLIBC_TUNABLES=glibc.pthread.rseq=0
}

teardown() {
    rm -rf "$SMX_DIR"
}

# flags NAME [--static]: what pkg-config says of that libshm.
flags() {
    PKG_CONFIG_PATH=$BATS_FILE_TMPDIR/$1/lib/pkgconfig pkg-config --cflags --libs "${@:2}" libshm
}

static_flags() {
    flags "$1" --static | sed 's/-lshm/-l:libshm.a/'
}

build_musl() {
    musl-gcc "${strict[@]}" -idirafter "$kernel" -o registering "$@" \
        "$root/tests/hosts/registering.c" $(static_flags musl)
}

build_glibc() {
    gcc "${strict[@]}" -o registering "$root/tests/hosts/registering.c" "$@" $(flags glibc) \
        -Wl,-rpath,"$BATS_FILE_TMPDIR/glibc/lib"
}

# run_host ENV_ARGUMENT... ./registering...: it fails by itself if a count is lost.
run_host() {
    run timeout 120 env "$@"
    echo "status $status: $output"
    [[ $status -eq 0 ]]
    [[ $output =~ percpu=([0-9]+)\ atomic=([0-9]+)\ left=([0-9]+) ]]
    percpu=${BASH_REMATCH[1]}
    atomic=${BASH_REMATCH[2]}
    left=${BASH_REMATCH[3]}
}

# A thread's first update, and the few that a signal or a migration aborted.
nearly_all_per_cpu() {
    [[ $((percpu + atomic)) -eq $1 && $atomic -lt $((percpu / 100)) ]]
}

@test "musl, static: threads and forked processes count in the rows of the CPUs, and leave" {
    build_musl -static
    run_host ./registering 2 3 500000
    nearly_all_per_cpu 4000000
    [[ $left -eq 6 ]]
}

@test "musl, dynamic: threads and forked processes count in the rows of the CPUs, and leave" {
    build_musl
    run_host ./registering 2 3 500000
    nearly_all_per_cpu 4000000
    [[ $left -eq 6 ]]
}

@test "glibc whose rseq is off: threads count in the rows of the CPUs, and leave" {
    build_glibc
    run_host "$off" ./registering 2 3 500000
    nearly_all_per_cpu 4000000
    [[ $left -eq 6 ]]
}

@test "glibc whose rseq is off, libshm linked into the host: the same" {
    build_glibc -static
    run_host "$off" ./registering 2 3 500000
    nearly_all_per_cpu 4000000
    [[ $left -eq 6 ]]
}

@test "glibc whose rseq is on: its registration is used, and left alone" {
    build_glibc
    run_host ./registering 2 3 500000
    nearly_all_per_cpu 4000000
    [[ $left -eq 0 ]]
}

@test "threads that somebody else registered count in the atomic rows, and stay registered" {
    build_musl -static
    run_host ./registering 2 3 50000 taken
    [[ $((percpu + atomic)) -eq 400000 && $atomic -ge 300000 && $percpu -gt 90000 ]]
    build_glibc
    run_host "$off" ./registering 2 3 50000 taken
    [[ $((percpu + atomic)) -eq 400000 && $atomic -ge 300000 && $percpu -gt 90000 ]]
}

# A file for each thread: in one for all, what others do meanwhile breaks a call's line in two. And no
# signal, whose handler in the midst of a thread's try would have one of its own.
@test "a thread that was refused does not try again" {
    build_musl -static
    timeout 120 strace -ff -o trace -e trace=rseq \
        env --block-signal=PROF ./registering 1 1 50000 taken
    run cat trace.*
    echo "$output"
    [[ $(grep -c 'rseq(.*EINVAL' <<<"$output") -eq 1 ]]
}

@test "a host that was compiled without counts in the atomic rows" {
    musl-gcc "${strict[@]}" -idirafter "$kernel" -static -DSMX_NO_RSEQ -o registering \
        "$root/tests/hosts/registering.c" $(static_flags musl)
    run_host ./registering 2 3 50000
    [[ $atomic -eq 400000 ]]
    gcc "${strict[@]}" -DSMX_NO_RSEQ -o registering "$root/tests/hosts/registering.c" \
        $(flags glibc) -Wl,-rpath,"$BATS_FILE_TMPDIR/glibc/lib"
    run_host "$off" ./registering 2 3 50000
    [[ $atomic -eq 400000 ]]
}

# load_plugin FLAG...: a plug-in of musl, and a host that loads it.
load_plugin() {
    musl-gcc "${strict[@]}" -idirafter "$kernel" -fPIC -shared -o plugin.so \
        "$root/tests/hosts/plugin.c" "$@" -Wl,-rpath,"$BATS_FILE_TMPDIR/musl/lib"
    musl-gcc "${strict[@]}" -o loading "$root/tests/hosts/loading-once.c"
    run timeout 60 ./loading "$PWD/plugin.so"
    echo "status $status: $output"
}

@test "a plug-in with the shared library loads on musl and counts" {
    load_plugin $(flags musl)
    [[ $status -eq 0 && $output == 1000 ]]
}

@test "a host on musl with the shared library counts in the atomic rows" {
    musl-gcc "${strict[@]}" -idirafter "$kernel" -o registering \
        "$root/tests/hosts/registering.c" $(flags musl) -Wl,-rpath,"$BATS_FILE_TMPDIR/musl/lib"
    run_host ./registering 2 3 50000
    [[ $atomic -eq 400000 ]]
}

@test "a host that expects libshm to register works with one that does not" {
    gcc "${strict[@]}" -DSMX_REGISTER_RSEQ -I "$root/include" -o registering \
        "$root/tests/hosts/registering.c" "$build/lib/libshm.so" -Wl,-rpath,"$build/lib"
    run_host ./registering 2 3 500000
    nearly_all_per_cpu 4000000
    run_host "$off" ./registering 2 3 50000
    [[ $atomic -eq 400000 && $left -eq 6 ]]
}

@test "a plug-in with the static library does not load on musl: hence the shared one is another" {
    load_plugin $(static_flags musl)
    [[ $status -ne 0 && $output == *initial-exec* ]]
}

@test "the threads' areas are the one state more, and in rseq.c" {
    local objects=$BATS_FILE_TMPDIR/build-glibc/libshm/CMakeFiles/shm_objects.dir
    run stateful $(find "$objects" -name '*.o')
    echo "$output"
    [[ ${#lines[@]} -eq 2 && $output == *process.c.o* && $output == *rseq.c.o* ]]
    [[ -z $(size -A "$objects/segment/rseq.c.o" | awk '$1 ~ /^\.(data|bss)/ && $2 > 0') ]]
}
