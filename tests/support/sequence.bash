# SPDX-License-Identifier: MIT
#
# sequence.bash - takes the machine code of a restartable sequence apart, for 30-sequence.bats.
# The machine is $machine, x86_64 or aarch64.

# compile_sequence COMPILER FLAG...: adding.c, one function that updates a counter, is linked to
# `linked`, and its parts are written: hot (address, instruction), cold, words (the descriptor).
compile_sequence() {
    local tools=
    [[ $machine == x86_64 ]] || tools=aarch64-linux-gnu-
    cat >adding.c <<'END'
#include <smx/smx.h>
void add(smx_counter c, uint64_t n);
void add(smx_counter c, uint64_t n) { smx_counter_add(c, n); }
END
    "$@" -O2 -Wall -Wextra -Werror -I "$root/include" -c -o adding.o adding.c
    "${tools}ld" --unresolved-symbols=ignore-all -e add -o linked adding.o
    disassemble .text >hot
    disassemble __rseq_failure >cold
    "${tools}objcopy" -O binary -j __rseq_cs linked descriptors
    od -A n -t x8 -v -w32 descriptors >words
    "${tools}objcopy" -O binary -j __rseq_failure linked failure
    "${tools}readelf" -SW linked >sections
    cat hot cold words
}

disassemble() {
    "${tools}objdump" -d --no-show-raw-insn -j "$1" linked |
        sed -nE 's/^ *([0-9a-f]+):\t(.*)$/\1 \2/p'
}

section_address() {
    awk -v name="$1" '{ sub(/^ *\[ *[0-9]+\] */, "") } $1 == name { print $3 }' sections
}

# The descriptor: aligned, version and flags 0, and sets start, end, abort.
read_descriptor() {
    local zero length
    [[ $(wc -l <words) -eq 1 ]]
    read -r zero start length abort <words
    [[ $zero == 0000000000000000 ]]
    [[ $((16#$(section_address __rseq_cs) % 32)) -eq 0 ]]
    start=$((16#$start)) abort=$((16#$abort))
    end=$((start + 16#$length))
}

# at FILE ADDRESS: the instruction there; before: the one in front of it.
at() {
    grep "^$(printf %x "$2") " "$1" | cut -d' ' -f2-
}
before() {
    grep -B 1 "^$(printf %x "$2") " "$1" | head -n 1 | cut -d' ' -f2-
}

# The four bytes before the kernel's landing place.
signature() {
    local offset=$((abort - 4 - 16#$(section_address __rseq_failure)))
    od -A n -t x4 -j "$offset" -N 4 failure | tr -d ' '
}
