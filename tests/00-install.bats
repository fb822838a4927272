#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-install.bats - what `cmake --install` leaves behind is what a stranger needs: the README's
# example builds against it, and the library exports what it promises and nothing else.

setup_file() {
    local root
    root=$(dirname "$BATS_TEST_DIRNAME")
    export prefix=$BATS_FILE_TMPDIR/prefix
    cmake --install "${SMX_BUILD:-$root/build/release}" --prefix "$prefix"
    library=$(find "$prefix" -name libshm.so)
    export library
    export PKG_CONFIG_PATH=${library%/*}/pkgconfig
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

# The first C program of the README.
write_example() {
    awk '/^```c$/ { on = 1; next } /^```$/ { if (on) exit } on' "$root/README.md" >shop.c
    [[ -s shop.c ]]
}

# Four workers with a thousand orders each, every third by invoice.
check_example() {
    "$prefix/bin/smx-dump" --json shop >dump.json
    jq . dump.json
    [[ $(jq '[.. | objects | select(.name? == "shop_orders_total").series[].value] | add' \
        dump.json) -eq 4000 ]]
    [[ $(jq '.. | objects | select(.name? == "shop_order_duration_seconds").series[0].count' \
        dump.json) -eq 4000 ]]
}

@test "the README's example builds and counts with the installed shared library" {
    write_example
    gcc -Wall -Wextra -Werror -o shop shop.c $(pkg-config --cflags --libs libshm)
    LD_LIBRARY_PATH=${library%/*} ./shop
    check_example
}

@test "the README's example builds and counts with the installed static library" {
    write_example
    gcc -Wall -Wextra -Werror -static -o shop shop.c $(pkg-config --static --cflags --libs libshm)
    ./shop
    check_example
}

@test "what public headers declare, and nothing else, is exported or inline" {
    gcc -E -P -I "$prefix/include" - >preprocessed \
        <<<$'#include <smx/reader.h>\n#include <smx/scope.h>'
    grep -oE '^[a-zA-Z_][a-zA-Z0-9_ *]*\bsmx_[a-z0-9_]+\(' preprocessed | grep -v '^static' |
        grep -oE 'smx_[a-z0-9_]+\($' | tr -d '(' >declared
    grep -oE '^extern [a-z0-9_ ]+ smx_[a-z0-9_]+;' preprocessed | grep -oE 'smx_[a-z0-9_]+;$' |
        tr -d ';' >>declared
    sort -u -o declared declared
    nm --dynamic --defined-only --format=posix "$library" | sed 's/[@ ].*//' |
        grep -vx SMX_1 | sort -u >exported
    [[ $(wc -l <declared) -gt 40 ]]
    diff declared exported
}

@test "the library is libshm.so.1, is never unloaded, and needs libc alone" {
    readelf --dynamic --wide "$library" >dynamic
    cat dynamic
    grep -F 'Library soname: [libshm.so.1]' dynamic
    grep -E 'FLAGS_1.*NODELETE' dynamic
    # The loader is part of libc, and has __rseq_offset.
    [[ -z $(grep -F '(NEEDED)' dynamic | grep -vE '\[(libc|libm|ld-linux-.*)\.so\.[0-9]\]') ]]
}

@test "the static library brings no global name but the library's own" {
    nm --defined-only --extern-only --format=posix "${library%.so}.a" 2>/dev/null |
        awk 'NF > 2 && $1 !~ /^smx_/ { print $1; bad = 1 } END { exit bad }'
}

@test "headers, programs and man pages are installed" {
    local page program
    for header in smx update scope reader health; do
        [[ -e $prefix/include/smx/$header.h ]]
    done
    g++ -std=c++17 -fsyntax-only $(pkg-config --cflags libshm) -x c++ - <<<'#include <smx/smx.hpp>'
    for program in smx-dump smx-top smx-agent; do
        [[ $("$prefix/bin/$program" --version) == *"$(pkg-config --modversion libshm)"* ]]
    done
    for page in man1/smx-dump.1 man1/smx-top.1 man3/smx.3 man3/smx_check.3 man5/smx-segment.5 \
        man8/smx-agent.8; do
        [[ -e $prefix/share/man/$page ]]
    done
    jq -e .title "$prefix/share/doc/smx-agent/health.schema.json"
}

@test "every function has a page by its name" {
    local name
    cd "$prefix/share/man"
    nm --dynamic --defined-only --format=posix "$library" | sed 's/[@ ].*//' |
        grep -vE '^smx__|^SMX_1$|^smx_rseq_offset$' >"$BATS_TEST_TMPDIR/names"
    # And some that are inline, or macros.
    printf '%s\n' smx_counter_inc smx_timer_stop SMX_VALUES SMX_TIME_SCOPE >>"$BATS_TEST_TMPDIR/names"
    [[ $(wc -l <"$BATS_TEST_TMPDIR/names") -gt 60 ]]
    while read -r name; do
        mandoc -T utf8 "man3/$name.3" | col -b | grep -q "$name" || {
            echo "there is no $name(3)"
            false
        }
    done <"$BATS_TEST_TMPDIR/names"
}

@test "what Prometheus and Grafana load is installed, and all of it together" {
    # As they lie in the tree, where 60-rules and 60-grafana judge them.
    for part in prometheus grafana; do
        diff -r "$root/packaging/$part" "$prefix/share/smx/$part"
    done
    promtool check rules "$prefix"/share/smx/prometheus/{rules,alerts}.yml
    jq -e .uid "$prefix"/share/smx/grafana/*.json
}

@test "mandoc finds nothing wrong with the man pages" {
    mandoc -T lint -W warning "$prefix"/share/man/man?/*
}

@test "systemd accepts the agent's unit, its user and the directory of the segments" {
    command -v systemd-analyze && command -v systemd-sysusers && command -v systemd-tmpfiles ||
        skip "no systemd here"
    mkdir -p root/etc root/run
    grep -xF "ExecStart=$prefix/bin/smx-agent" "$prefix/lib/systemd/system/smx-agent.service"
    systemd-analyze --man=no verify "$prefix"/lib/systemd/system/smx-agent.{service,socket}
    systemd-sysusers --root=root "$prefix/lib/sysusers.d/smx.conf"
    grep '^smx:' root/etc/passwd root/etc/group
    systemd-tmpfiles --root=root --create "$prefix/lib/tmpfiles.d/smx.conf"
    [[ $(stat -c %a root/run/smx) == 3777 ]]
}
