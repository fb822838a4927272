#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 30-sequence.bats - the machine code of smx_counter_add(): what the kernel wants of a sequence, and
# that the hot part has no call, no lock and no use of the stack. For each machine and compiler.

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    cd "$BATS_TEST_TMPDIR"
    source "$root/tests/support/sequence.bash"
}

# The commit is the last instruction inside; then rseq_cs is emptied.
check_sequence() {
    read_descriptor
    [[ -n $(at hot "$start") && -n $(at hot "$end") && -n $(at cold "$abort") ]]
    [[ $(before hot "$start") =~ $announce && $(before hot "$end") =~ $commit ]]
    [[ $(at hot "$end") =~ $clear ]]
    [[ $(signature) == "$signature" ]]
    # Within it nothing else is written.
    [[ $(awk -v from="$(printf %x "$start")" -v to="$(printf %x "$end")" '
        $1 == from { on = 1 } $1 == to { on = 0 } on' hot | grep -cE "$write") -eq 1 ]]
    [[ -z $(grep -E "$forbidden" hot) && -n $(grep -E "$atomic" cold) ]]
    [[ $(wc -l <hot) -le $most ]]
}

describe_x86_64() {
    machine=x86_64 signature=53053053 most=16
    announce='^mov +%r[a-z0-9]+,%fs:0x8\(%r'
    commit='^add +%r[a-z0-9]+,\(%r[a-z0-9]+,%r[a-z0-9]+'
    clear='^movq +\$0x0,%fs:0x8\(%r'
    write='[a-z]+ .*,(%fs:.*)?\(.*\)$|^[0-9a-f]+ (xchg|push)'
    forbidden='call|lock|push|pop|%[er]sp|%[er]bp'
    atomic='lock add'
}

check_x86_64() {
    describe_x86_64
    compile_sequence "$@"
    check_sequence
}

check_aarch64() {
    machine=aarch64 signature=d428bc00 most=24
    announce='^str\s+x[0-9]+, \[x[0-9]+, #8\]'
    commit='^str\s+x[0-9]+, \[x[0-9]+\]$'
    clear='^str\s+xzr, \[x[0-9]+, #8\]'
    write=' (st|cas|swp|ld[a-z]*(add|set|clr))'
    forbidden='\s(bl|blr|ldxr|stxr|ldaxr|stlxr|ldadd.*|cas.*)\s|\bsp\b'
    compile_sequence "$@"
    check_sequence
}

cross_clang=(clang --target=aarch64-linux-gnu -I /usr/aarch64-linux-gnu/include)

@test "x86-64, gcc" {
    check_x86_64 gcc
    check_x86_64 gcc -fPIC
}

@test "x86-64, clang" {
    check_x86_64 clang
    check_x86_64 clang -fPIC
}

@test "aarch64, gcc, with exclusive loads and stores and with atomic instructions" {
    atomic='stxr'
    check_aarch64 aarch64-linux-gnu-gcc
    check_aarch64 aarch64-linux-gnu-gcc -fPIC
    atomic='stadd'
    check_aarch64 aarch64-linux-gnu-gcc -march=armv8.1-a
}

@test "aarch64, clang, with exclusive loads and stores and with atomic instructions" {
    atomic='stxr'
    check_aarch64 "${cross_clang[@]}"
    check_aarch64 "${cross_clang[@]}" -fPIC
    atomic='stadd'
    check_aarch64 "${cross_clang[@]}" -march=armv8.1-a
}

@test "a call, a lock or a spill in the hot part would be seen" {
    local bad
    for bad in 'call 1f; 1:' 'lock incl (%rdi)' 'push %rax' 'mov %rax, -8(%rsp)'; do
        # A compiler that inserts it into the function.
        cat >worse <<END
#!/bin/bash
gcc "\${@/#-c/-S}" && sed '/^add:/a $bad' adding.o | gcc -x assembler -c -o worse.o - &&
    mv worse.o adding.o
END
        chmod +x worse
        describe_x86_64
        compile_sequence ./worse
        grep -E "$forbidden" hot
    done
}

# Which registers there are, and where the rest lies, is the compiler's and the linker's.
normalise() {
    sed -E 's/[^ ]*\(%rip\)/(%rip)/; s/^(jae) .*/\1/; s/%[a-z0-9]+/%r/g; s/ +/ /'
}

@test "the annotated listing in the header is what the compiler makes" {
    echo '#include <smx/smx.h>
        void add(smx_counter c);
        void add(smx_counter c) { smx_counter_add(c, 1); }' >adding.c
    gcc -O2 -I "$root/include" -c -o linked adding.c
    disassemble .text | cut -d ' ' -f 2- | grep -v '^ret' | sed 's/ *#.*//' | normalise >made
    # An instruction, its operands, and behind some spaces what it does.
    sed -nE 's/^ \*     ([a-z]+ +[^ ]+)   .*/\1/p' "$root/include/smx/rseq-x86_64.h" |
        normalise >listed
    diff listed made
    [[ $(wc -l <made) -eq 9 ]]
}

@test "aarch64: in a C++ inline function the sequence's sections are in the function's group" {
    cat >inline.cpp <<'END'
#include <smx/smx.h>
inline void add(smx_counter c) { smx_counter_inc(c); }
void (*pointer)(smx_counter) = add;
END
    "${cross_clang[@]}" -O2 -I "$root/include" -c -o inline.o inline.cpp
    run aarch64-linux-gnu-readelf -gW inline.o
    echo "$output"
    [[ $output == *__rseq_cs* && $output == *__rseq_failure* && $output == *.text._Z3add* ]]
}

@test "aarch64: the cold part of a large program may be far away" {
    machine=aarch64
    compile_sequence aarch64-linux-gnu-gcc
    # 200 MiB: a plain branch does not reach it, the linker's veneers do.
    aarch64-linux-gnu-ld --unresolved-symbols=ignore-all -e add -o far adding.o \
        --section-start=__rseq_failure=0x10000000
    aarch64-linux-gnu-objdump -d far | grep veneer
}
