#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 00-crash-points.bats - the places where tests let a process die (libshm/crash.h) leave nothing in
# an ordinary build: its code is that of sources that have none.

setup() {
    root=$(dirname "$BATS_TEST_DIRNAME")
    build=${SMX_BUILD:-$root/build/release}
    cd "$BATS_TEST_TMPDIR"
}

points() {
    grep -rhoP 'SMX__CRASH_POINT\("\K[a-z.]+(?="\);)' "$root/libshm"
}

# compile OBJECT SOURCE FLAG...: a source of a tree's libshm, without what names its place.
compile() {
    local object=$1 source=$2 tree=${2%/libshm/*}
    shift 2
    gcc -std=c17 -O2 -D_GNU_SOURCE -I "$tree" -I "$tree/include" "$@" -c -o "$object" "$source"
}

# What a file says of crash points: their names, the hook, the section.
traces() {
    local names
    names=$(points | sed 's/\./\\./' | paste -s -d '|')
    strings -a "$@" | grep -cE "^($names)$|crash_point" || true
}

@test "each crash point is named once" {
    [[ $(points | wc -l) -gt 50 ]]
    [[ -z $(points | sort | uniq -d) ]]
    # None of them in another form, which the lists would miss.
    [[ $(grep -rh 'SMX__CRASH_POINT(' "$root/libshm" | grep -vc define) -eq $(points | wc -l) ]]
}

@test "an ordinary build has the code of sources without crash points, a crash build has not" {
    local source n=0
    mkdir tree
    cp -r "$root/libshm" "$root/include" tree
    find tree -name '*.c' -exec sed -i '/SMX__CRASH_POINT(/d; /libshm\/crash\.h/d' {} +
    for source in $(grep -rl SMX__CRASH_POINT --include='*.c' "$root/libshm"); do
        compile with.o "$source"
        compile without.o "tree/libshm/${source#"$root/libshm/"}"
        compile crash.o "$source" -DSMX_CRASH_POINTS
        cmp with.o without.o
        [[ $(cmp with.o crash.o 2>&1) ]]
        n=$((n + 1))
    done
    [[ $n -gt 5 ]]
}

@test "no name of a crash point is in the libraries; it would be found" {
    local library=("$build"/lib/libshm.a "$build"/lib/libshm.so)
    ls -l "${library[@]}"
    if grep -q '^SMX_CRASH_POINTS:[A-Z]*=\(ON\|true\)' "$build/CMakeCache.txt"; then
        skip "they are there on purpose"
    fi
    [[ $(traces "${library[@]}") -eq 0 ]]
    compile crash.o "$root/libshm/metric/series.c" -DSMX_CRASH_POINTS
    [[ $(traces crash.o) -gt 5 ]]
}
