#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 10-cxx.bats - <smx/smx.hpp>: values, label sets that the compiler checks, guards; what they
# compile to, what they allocate, what a storm of kills leaves.

load support/live

setup() {
    live_setup
    cd "$BATS_TEST_TMPDIR"
}

teardown() {
    live_teardown
}

strict=(-Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wold-style-cast -Werror)

# compile NAME COMPILER FLAG...: tests/cxx/NAME.cpp with the static library.
compile() {
    local name=$1
    shift
    "$@" "${strict[@]}" -I "$root/include" -o "$name" "$root/tests/cxx/$name.cpp" \
        "$build/lib/libshm.a"
}

# run_values COMPILER FLAG...: and what was refused is counted, no more and no less.
run_values() {
    compile values "$@"
    ./values
    "$bin/smx-dump" --json values >dump.json
    jq -c .segment.lost dump.json
    [[ $(jq -c '.segment.lost | [.negative, .invalid, .gauge, add]' dump.json) == '[6,4,1,11]' ]]
}

@test "every member counts what it says: g++, C++17" {
    run_values g++ -std=c++17 -O2
}

@test "every member counts what it says: clang++, C++20" {
    run_values clang++ -std=c++20
}

@test "all of it without exceptions and RTTI; AddressSanitizer and UBSan find nothing" {
    run_values g++ -std=c++17 -fno-exceptions -fno-rtti -O1 -ftrivial-auto-var-init=pattern \
        -fsanitize=address,undefined -fno-sanitize-recover=all
}

# compile_use STATEMENT: in a function that has r, t, h and s; what the compiler says goes to
# `said`. The header is compiled once.
compile_use() {
    if [[ ! -e uses.hpp ]]; then
        cat >uses.hpp <<'END'
#include <smx/smx.hpp>
using namespace std::chrono_literals;
enum class method { get, post };
template <> struct smx::label_values<method> {
    static constexpr const char *names[] = {"GET", "POST"};
};
enum class unnamed { one };
using requests = smx::family<smx::counter, method, int>;
END
        g++ -std=gnu++17 -I "$root/include" -x c++-header -o uses.hpp.gch uses.hpp
    fi
    cat >use.cpp <<END
void use(requests r, smx::table<smx::counter, method> t, smx::histogram h, smx::segment &s)
{
    r.with(method::get, 200).inc();
    t.with(method::get).inc();
    h.observe(1ms);
    requests again(s, {"again_total", ""}, {"method", "status"});
    $1
}
END
    g++ -std=gnu++17 -I "$root/include" -include uses.hpp -fsyntax-only use.cpp >said 2>&1
}

# misuse REASON STATEMENT: does not compile, for this reason.
misuse() {
    run compile_use "$2"
    cat said
    [[ $status -ne 0 ]] && grep -qE "error: .*($1)" said
}

@test "a label set of the wrong number, order or type does not compile" {
    compile_use ''
    misuse 'no matching' 'r.with(method::get).inc();'
    misuse 'no matching' 'r.with(method::get, 200, 1).inc();'
    misuse 'cannot convert' 'r.with(200, method::get).inc();'
    misuse 'invalid conversion' 'r.with(method::get, "200").inc();'
    misuse 'cannot convert' 't.with(0).inc();'
    misuse 'as many names' 'requests(s, {"again_total", ""}, {"method"});'
    misuse 'as many names' 'requests(s, {"again_total", ""}, {"method", "status", "more"});'
}

@test "what is no label, and what is no number of nanoseconds, does not compile" {
    misuse 'a label is an enumeration' 'smx::family<smx::counter, double>().with(1);'
    misuse 'a label is an enumeration' 'smx::family<smx::counter, bool>().with(true);'
    misuse 'a label is an enumeration' 'smx::family<smx::counter, __int128>().with(1);'
    misuse 'label_values<unnamed>' 'smx::family<smx::counter, unnamed>().with(unnamed::one);'
    misuse 'no matching' 'h.observe(std::chrono::duration<double>(1));'
    misuse 'no matching' 'h.observe(std::chrono::duration<long, std::pico>(1));'
    misuse 'deleted' 'smx::segment copy(s);'
}

# Updates in C and in C++; handles are passed by value.
write_updates() {
    cat >c.c <<'END'
#include <smx/scope.h>
#include <smx/smx.h>
void a_inc(smx_counter c) { smx_counter_inc(c); }
void b_add(smx_counter c, uint64_t n) { smx_counter_add(c, n); }
void c_constant(smx_counter c) { smx_counter_add(c, 5); }
void d_record(smx_histogram h, uint64_t n) { smx_histogram_record(h, n); }
void e_set(smx_gauge g, int64_t n) { smx_gauge_set(g, n); }
void f_add(smx_gauge g, int64_t n) { smx_gauge_add(g, n); }
void g_fset(smx_fgauge g, double n) { smx_fgauge_set(g, n); }
void h_enter(smx_stateset s) { smx_stateset_enter(s, 1); }
END
    cat >cxx.cpp <<'END'
#include <smx/smx.hpp>
enum class state { off, on };
template <> struct smx::label_values<state> {
    static constexpr const char *names[] = {"off", "on"};
};
extern "C" {
void a_inc(smx::counter c) { c.inc(); }
void b_add(smx::counter c, std::uint64_t n) { c.add(n); }
void c_constant(smx::counter c) { c.add(5); }
void d_record(smx::histogram h, std::uint64_t n) { h.record(n); }
void e_set(smx::gauge g, std::int64_t n) { g.set(n); }
void f_add(smx::gauge g, std::int64_t n) { g.add(n); }
void g_fset(smx::fgauge g, double n) { g.set(n); }
void h_enter(smx::stateset<state> s) { s.enter(state::on); }
}
END
}

# compile_updates C-COMPILER C++-COMPILER: to c.text and cxx.text, all their instructions.
compile_updates() {
    "$1" -O2 -I "$root/include" -c -o c.o c.c
    "$2" -std=c++17 -O2 -I "$root/include" -c -o cxx.o cxx.cpp
    [[ $(nm c.o | grep -c ' T [a-h]_') -eq 8 && $(nm cxx.o | grep -c ' T [a-h]_') -eq 8 ]]
    objdump -dr --no-show-raw-insn c.o | grep -v 'file format' >c.text
    objdump -dr --no-show-raw-insn cxx.o | grep -v 'file format' >cxx.text
    [[ $(wc -l <c.text) -gt 100 ]]
}

@test "an update is the same instructions as by C, with gcc and with clang" {
    write_updates
    compile_updates gcc g++
    diff c.text cxx.text
    compile_updates clang clang++
    diff c.text cxx.text
    # An instruction more would be seen.
    sed -i 's/c\.add(n); }/if (n) c.add(n); }/' cxx.cpp
    compile_updates clang clang++
    run diff c.text cxx.text
    [[ $status -eq 1 ]]
}

@test "updates and lookups allocate nothing, but for a label of 128 bytes" {
    compile allocations g++ -std=c++17 -O2 -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc
    ./allocations
}

@test "four processes that are killed all the time lose at most what was in flight" {
    compile storm g++ -std=c++17 -O2
    ./storm $((100 * ${SMX_TEST_SCALE:-1}))
    [[ $(dumped busy storm) -eq 0 ]]
}
