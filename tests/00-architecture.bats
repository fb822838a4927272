#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-architecture.bats - the rules on how the tree looks hold; and each of them can fail.

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    build=${SMX_BUILD:-$root/build/release}
    broken=$BATS_TEST_TMPDIR
    source "$root/tests/support/architecture.bash"
}

# Nothing may be printed by the rule about the tree.
holds() {
    local places
    places=$("$@") || true
    echo "$places"
    [[ -z $places ]]
}

# The rule, applied to $broken, names the place.
fires() {
    local places
    places=$("$1" "$broken") || true
    echo "$1 says: $places"
    [[ $places == *"$2"* ]]
}

# A source of a tree that breaks rules: its preamble, and standard input.
write_source() {
    mkdir -p "$broken/$(dirname "$1")"
    {
        printf '/* SPDX-License-Identifier: MIT\n *\n * %s - a fixture.\n */\n' "${1##*/}"
        cat
    } >"$broken/$1"
}

@test "nothing lies at the top level but what belongs there" {
    holds stray_entries "$root"
    touch "$broken/notes.txt"
    fires stray_entries notes.txt
}

@test "includes follow the arrows: include <- libshm <- agent, tools <- tests" {
    holds wrong_includes "$root"
    write_source include/smx/a.h <<<'#include "layout.h"'
    write_source include/smx/g.h <<<'#include <vector>'
    write_source include/smx/h.hpp <<<'#include "agent/h.hpp"'
    write_source libshm/b.c <<<'#include "agent/loop/loop.h"'
    write_source agent/c.c <<<'#include "../libshm/layout.h"'
    write_source tools/dump/d.c <<<'#include "agent/encode/text.h"'
    write_source agent/e.c <<<'#include "smx/smx.h"'
    write_source tools/bench/f.c <<<'#include "agent/encode/text.h"'
    for place in include/smx/a.h:5 include/smx/g.h:5 include/smx/h.hpp:5 libshm/b.c:5 agent/c.c:5 tools/dump/d.c:5 agent/e.c:5 \
        tools/bench/f.c:5; do
        fires wrong_includes "$place"
    done
}

@test "each library is known by one file alone" {
    holds wrong_dependencies "$root"
    write_source agent/loop.c <<<'#include <liburing.h>'
    write_source tools/demo/demo.c <<<'#include <microhttpd.h>'
    write_source agent/main.c <<<'#include <seccomp.h>'
    write_source agent/config/load.c <<<'#include <yaml.h>'
    write_source agent/web/web.c <<<'#include <cyaml/cyaml.h>'
    fires wrong_dependencies agent/config/load.c:5
    fires wrong_dependencies agent/web/web.c:5
    write_source agent/log/log.c <<<'#include <gnutls/gnutls.h>'
    fires wrong_dependencies agent/loop.c:5
    fires wrong_dependencies agent/main.c:5
    fires wrong_dependencies agent/log/log.c:5
    fires wrong_dependencies tools/demo/demo.c:5
}

@test "every source begins with its licence and a paragraph on itself" {
    holds missing_preambles "$root"
    mkdir -p "$broken/tools"
    printf 'int a;\nint b;\nint c;\n' >"$broken/tools/a.c"
    printf '#!/bin/bash\n' >"$broken/tools/b.bats"
    fires missing_preambles 'a.c:1: no SPDX line'
    fires missing_preambles 'a.c:3: no paragraph on a.c'
    fires missing_preambles 'b.bats:1: no SPDX line'
}

@test "no file has more than 600 lines, no line more than 100 columns" {
    holds long_files "$root"
    holds wide_lines "$root"
    seq -f '/* %g */' 600 | write_source libshm/long.c
    fires long_files 'libshm/long.c: 604 lines'
    printf '/* %97s */' | write_source libshm/wide.c
    fires wide_lines libshm/wide.c:5
    mkdir "$broken/tools"
    printf '#!/bin/bash\n# %99s\n' >"$broken/tools/wide"
    chmod +x "$broken/tools/wide"
    fires wide_lines tools/wide:2
}

@test "a function over 60 lines says why" {
    holds long_functions "$root"
    body=$(printf 'void f(void)\n{\n'; seq -f '    f(); /* %g */' 61; printf '}\n')
    write_source libshm/long.c <<<$'\n'"$body"
    fires long_functions 'libshm/long.c:7: 62 lines'
    write_source libshm/long.c <<<$'\n/* A table of cases, easier to read in one piece. */\n'"$body"
    holds long_functions "$broken"
}

@test "no source says volatile, none has work left to do" {
    holds volatile_words "$root"
    holds unfinished_work "$root"
    write_source agent/a.c <<<'static volatile int x; /* TO''DO: drop */'
    fires volatile_words agent/a.c:5
    fires unfinished_work agent/a.c:5
}

@test "no test of a script negates a command where nobody looks at the answer" {
    holds unseen_negations "$root"
    mkdir -p "$broken/tests"
    printf '    ! true\n    true\n' >"$broken/tests/a.bats"
    printf '    ! true\n}\n' >"$broken/tests/b.bats"
    fires unseen_negations a.bats:1
    [[ $(unseen_negations "$broken" | wc -l) -eq 1 ]]
}

@test "clang-format would change nothing" {
    holds unformatted "$root"
    cp "$root/.clang-format" "$broken"
    write_source agent/a.c <<<'int  x;'
    fires unformatted agent/a.c:5
}

@test "exactly one file of libshm owns mutable state" {
    # Where libshm registers threads, rseq.c has each thread's area besides: 30-register.
    run stateful $(objects "$build" libshm)
    echo "$output"
    [[ ${#lines[@]} -eq 1 ]]
}

@test "agent and tools keep mutable globals in the files of their main functions alone" {
    local all
    all=$(objects "$build" agent tools)
    [[ $(wc -w <<<"$all") -gt 20 ]]
    holds state_outside_main $all
    echo 'static int n; int count(void); int count(void) { return n++; }' >"$broken/a.c"
    gcc -c -o "$broken/a.o" "$broken/a.c"
    [[ $(state_outside_main "$broken/a.o") == *a.o ]]
    echo 'int a_module = 1; static int n; int count(void); int count(void) { return n++; }' \
        >"$broken/a.c"
    gcc -c -o "$broken/a.o" "$broken/a.c"
    holds state_outside_main "$broken/a.o"
}
