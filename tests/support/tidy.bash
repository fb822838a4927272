# SPDX-License-Identifier: MIT
#
# tidy.bash - runs clang-tidy on sources that are built, for 00-tidy and 00-tidy-agent: two scripts,
# since together they take longer than one may.

root=$(dirname "$BATS_TEST_DIRNAME")
build=${SMX_BUILD:-$root/build/release}

# tidy PATTERN ARGUMENT...: on the sources whose path in the tree matches, one a process: with several the
# analyzer takes va_lists of the second for uninitialised. Prints each finding once.
tidy() {
    local pattern=$1 status=0
    shift
    jq -r '.[].file' "$build/compile_commands.json" | sort -u | sed "s|^$root/||" | grep -E "$pattern" |
        (cd "$root" && xargs -n 1 -P "$(nproc)" clang-tidy --quiet -p "$build" "$@") \
            >"$BATS_TEST_TMPDIR/said" 2>"$BATS_TEST_TMPDIR/counted" || status=$?
    grep -E 'error:|warning:' "$BATS_TEST_TMPDIR/said" | sort -u || true
    return "$status"
}

# The analyzer follows a sixth of its usual number of paths through each function, which takes a fifth
# of the time and finds as many mutants as with a third; SMX_TEST_SCALE=6 lets it follow all.
budget=()
for option in -Xclang -analyzer-config -Xclang "max-nodes=$((37500 * ${SMX_TEST_SCALE:-1}))"; do
    budget+=("--extra-arg=$option")
done

# Everything that .clang-tidy asks for, of sources in C. clang itself warns of reserved names: it sees
# as much as the check, which takes longer than all others together.
analyze() {
    tidy "$1" "${budget[@]}" --extra-arg=-Wreserved-identifier \
        --checks=-bugprone-reserved-identifier,-misc-unused-using-decls
}

# Only what clang itself warns of; clang-tidy wants a check, too.
only_warnings=--checks='-*,clang-diagnostic-*,misc-static-assert'
