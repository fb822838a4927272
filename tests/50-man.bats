#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# 50-man.bats - the man pages are sound, and say what the programs and the layout say.

bats_require_minimum_version 1.5.0

setup() {
    root=$(cd "$BATS_TEST_DIRNAME/.." && pwd)
    build=${SMX_BUILD:-$root/build/release}
    man=$root/packaging/man
}

@test "mandoc has no warning for any page" {
    run -0 mandoc -T lint -W warning "$man"/*.[1-8]
    [ -z "$output" ]
}

@test "every option that smx-dump and smx-top know is in their page" {
    for program in smx-dump smx-top; do
        "$build/bin/$program" --help >"$BATS_TEST_TMPDIR/help"
        mandoc -T utf8 "$man/$program.1" | col -b >"$BATS_TEST_TMPDIR/page"
        options=$(grep -oE -- '--[a-z]+' "$BATS_TEST_TMPDIR/help" | sort -u)
        [ -n "$options" ]
        for option in $options; do
            grep -qF -- "$option" "$BATS_TEST_TMPDIR/page" || {
                echo "$program: $option is not described"
                false
            }
        done
    done
}

@test "smx-segment(5) has every field at the offset that layout.h asserts" {
    fields=$(sed -nE 's/^SMX__AT\((smx_[a-z_]+), ([a-z_0-9]+), ([0-9]+)\);.*/\3 \2/p' \
        "$root/libshm/layout.h")
    [ "$(wc -l <<<"$fields")" -ge 60 ]
    while read -r offset field; do
        grep -qE "^\.It $offset Ta [^T]+ Ta $field Ta" "$man/smx-segment.5" || {
            echo "$field is not at $offset in smx-segment(5)"
            false
        }
    done <<<"$fields"
}

@test "smx(3) and its pages name every function of the writing and of the reading side" {
    functions=$(cat "$root"/include/smx/{smx,health,reader}.h |
        grep -oE '^[a-z][a-z_0-9 *]*\bsmx_[a-z_]+\(' | grep -oE 'smx_[a-z_]+\(' | tr -d '(' |
        grep -vE '_fn$|^smx_(gauge|fgauge|histogram|stateset)_(family|with|new)$' | sort -u)
    [ "$(wc -l <<<"$functions")" -ge 30 ]
    for function in $functions; do
        grep -qE "^\.F[no] $function( |$)" "$man"/smx*.3 || {
            echo "$function is in no page"
            false
        }
    done
}
