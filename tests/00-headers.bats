#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-headers.bats - the public headers in other people's builds: each alone, in every language they
# are for, free of warnings; and the update path in C++ inline functions of two translation units.

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

strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Werror)

# compile_headers LANGUAGE COMPILER FLAG...: every public header as the only line of a file, and
# twice; a machine's rseq-*.h comes with rseq.h.
compile_headers() {
    local language=$1 header
    shift
    for header in "$root"/include/smx/*.h; do
        [[ $header != */rseq-* ]] || continue
        printf '#include <smx/%s>\n' "${header##*/}" "${header##*/}" |
            "$@" "${strict[@]}" -I "$root/include" -x "$language" -c -o header.o -
    done
}

@test "each header compiles alone as C11" {
    compile_headers c gcc -std=c11
    compile_headers c clang -std=c11
}

@test "each header compiles alone as C17, also without rseq" {
    compile_headers c gcc -std=c17
    compile_headers c clang -std=c17
    compile_headers c gcc -std=c17 -DSMX_NO_RSEQ
    compile_headers c gcc -std=c17 -DSMX_REGISTER_RSEQ
    compile_headers c aarch64-linux-gnu-gcc -std=c17
}

@test "each header compiles alone as C++17, also optimised and without rseq" {
    compile_headers c++ g++ -std=c++17
    compile_headers c++ clang++ -std=c++17
    compile_headers c++ g++ -std=c++17 -O2
    compile_headers c++ g++ -std=c++17 -DSMX_NO_RSEQ
    compile_headers c++ g++ -std=c++17 -DSMX_REGISTER_RSEQ
}

@test "each header for C++ alone compiles without exceptions and RTTI" {
    local header
    for header in "$root"/include/smx/*.hpp; do
        printf '#include <smx/%s>\n' "${header##*/}" "${header##*/}" |
            g++ -std=c++17 -fno-exceptions -fno-rtti "${strict[@]}" -I "$root/include" -x c++ \
                -fsyntax-only -
    done
    clang++ -std=c++20 -fno-exceptions -fno-rtti "${strict[@]}" -I "$root/include" -x c++ \
        -fsyntax-only - <<<'#include <smx/smx.hpp>'
}

@test "a warning in a header would be seen" {
    mkdir -p smx
    echo 'static inline int narrow(long n) { return n; }' >smx/narrow.h
    run gcc "${strict[@]}" -I . -x c -c -o header.o - <<<'#include <smx/narrow.h>'
    [[ $status -ne 0 && $output == *narrow.h* ]]
}

# build_updates COMPILER FLAG...: both units, linked by either linker with either library; each
# program runs and finds its totals right.
build_updates() {
    local linker library unit
    for unit in one two; do
        "$@" -std=c++17 "${strict[@]}" -fPIC -I "$root/include" -c -o "$unit.o" \
            "$root/tests/cxx/$unit.cpp"
    done
    for linker in bfd gold; do
        for library in libshm.a libshm.so; do
            "$@" -fuse-ld="$linker" -o updates one.o two.o "$build/lib/$library" \
                -Wl,-rpath,"$build/lib"
            echo "$* $linker $library"
            ./updates
        done
    done
}

@test "two C++ units that update in inline and template functions count right with g++ -O0" {
    build_updates g++ -O0
}

@test "two C++ units that update in inline and template functions count right with g++ -O2" {
    build_updates g++ -O2
}

@test "two C++ units that update in inline and template functions count right with clang++ -O0" {
    build_updates clang++ -O0
}

@test "two C++ units that update in inline and template functions count right with clang++ -O2" {
    build_updates clang++ -O2
}

@test "the update path survives the linker's garbage collection" {
    build_updates g++ -O2 -ffunction-sections -Wl,--gc-sections
}
