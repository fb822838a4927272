# SPDX-License-Identifier: MIT
#
# architecture.bash - the rules on how the tree looks, one function each, for 00-architecture.bats.
# Each is given the root of a tree and prints every place that breaks the rule, nothing if none does.

# The C and C++ sources of a tree, or of the named folders of it.
sources() {
    local root=$1
    shift
    [[ $# -gt 0 ]] || set -- include libshm agent tools tests
    (cd "$root" && find "$@" -name '*.[ch]' -o -name '*.[ch]pp') 2>/dev/null | sort
}

# "file:line: header" for every #include in the sources of the named folders.
includes() {
    local root=$1
    (cd "$root" && sources . "${@:2}" | xargs -r grep -Hn '^ *# *include') |
        sed -E 's/^([^:]*:[0-9]+): *# *include */\1: /'
}

# The top level shows the architecture: nothing lies there but what belongs.
stray_entries() {
    local root=$1 name
    for name in "$root"/*; do
        case ${name##*/} in
        CMakeLists.txt | CMakePresets.json | LICENSE | README.md) ;;
        agent | include | libshm | packaging | tests | tools | build) ;;
        *) echo "${name##*/}" ;;
        esac
    done
}

# include/smx <- libshm <- agent, tools <- tests.
wrong_includes() {
    local root=$1
    includes "$root" include | grep -vE ': <(smx/)?[a-z0-9_-]+(/[a-z0-9_]+)?\.h>' |
        grep -vE '\.hpp:[0-9]+: <([a-z_]+|smx/[a-z]+\.hpp)>'
    includes "$root" include libshm | grep -E '[<"](\.\./)*(agent|tools|tests|support)/'
    includes "$root" agent tools | grep -E '[<"](\.\./)*(libshm|tests|support)/'
    includes "$root" agent | grep -E '[<"](\.\./)*tools/'
    # A benchmark of the agent is its client.
    includes "$root" tools | grep -E '[<"](\.\./)*agent/' | grep -v '^tools/bench/tables/gather\.c:'
    includes "$root" libshm agent tools | grep -E ': "smx/'
}

# Only loop_uring.c knows liburing, only http.c and exchange.c libmicrohttpd, only tls.c and secrets.c
# GnuTLS, only sandbox.c libseccomp, only config/yaml/outline.c libyaml, only config/ libcyaml.
wrong_dependencies() {
    local root=$1
    includes "$root" include libshm agent tools | grep -F 'liburing.h' |
        grep -v '^agent/loop/loop_uring\.c:'
    includes "$root" include libshm agent tools | grep -F 'microhttpd.h' | grep -vE '^agent/http/(http\.c|exchange\.[ch]):'
    includes "$root" include libshm agent tools | grep -F '<gnutls/' | grep -vE '^agent/(http/tls|web/secrets)\.c:'
    includes "$root" include libshm agent tools | grep -F 'seccomp.h' | grep -v '^agent/system/sandbox\.c:'
    includes "$root" include libshm agent tools | grep -F '<yaml.h' | grep -v '^agent/config/yaml/outline\.c:'
    includes "$root" include libshm agent tools | grep -F 'cyaml.h' | grep -v '^agent/config/'
    includes "$root" include libshm | grep -F 'jansson.h'
}

# A source begins with its licence, and a paragraph that starts with its name.
missing_preambles() {
    local root=$1 file
    for file in $(sources "$root"); do
        awk -v name="${file##*/}" -v file="$file" '
            NR == 1 && $0 !~ /^\/\* SPDX-License-Identifier: MIT/ { print file ":1: no SPDX line" }
            NR == 3 && index($0, " * " name " - ") != 1 { print file ":3: no paragraph on " name }
            END { if (NR < 3) print file ":1: empty" }' "$root/$file"
    done
    for file in $(cd "$root" && find . -path ./build -prune -o -name .git -prune -o \
        \( -name CMakeLists.txt -o -name '*.bats' -o -name '*.bash' -o -perm -u+x -type f \) -print); do
        head -n 2 "$root/$file" | grep -q '^# SPDX-License-Identifier: MIT$' ||
            echo "$file:1: no SPDX line"
    done
}

long_files() {
    local root=$1
    (cd "$root" && sources . | xargs -r wc -l) |
        awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines" }'
}

# The shell's programs, which have no ending.
shell_programs() {
    (cd "$1" && find . -path ./build -prune -o -name .git -prune -o -type f -perm -u+x \
        ! -name '*.*' -exec grep -lE -m 1 '^#!/bin/(ba)?sh$' {} +) | sort
}

wide_lines() {
    { sources "$1" && shell_programs "$1"; } |
        (cd "$1" && xargs -r awk 'length > 100 { print FILENAME ":" FNR }')
}

# Over 60 lines a function says why, in a comment right above it.
long_functions() {
    local root=$1 file
    for file in $(sources "$root"); do
        awk -v file="$file" '
            /^$/ { paragraph = NR + 1 }
            NR == paragraph { commented = /^\/\*/ }
            /^\{$/ { start = NR; excused = commented }
            /^\}$/ && start {
                if (NR - start > 60 && !excused) print file ":" start ": " NR - start " lines"
                start = 0
            }' "$root/$file"
    done
}

# `volatile` orders nothing between processes. (The __volatile__ of an asm is another thing.)
volatile_words() {
    (cd "$1" && sources . | xargs -r grep -Hnw volatile)
}

# Negations whose answer bats does not see: a command behind `!` ends no test but as its last one.
unseen_negations() {
    find "$1/tests" -name '*.bats' -exec awk '
        FNR == 1 { at = "" }
        at && !/^}/ { print at }
        { at = /^ *! / && !/ \|\| / ? FILENAME ":" FNR : "" }' {} +
}

unfinished_work() {
    (cd "$1" && sources . | xargs -r grep -HnE '\b(TODO|FIXME|XXX|HACK)\b')
}

unformatted() {
    (cd "$1" && sources . | xargs -r clang-format --dry-run -Werror 2>&1 | grep 'error:')
}

# The objects of a build directory whose sources are in the named folders. (Others may lie there of
# sources that have moved.)
objects() {
    local build=$1 folder
    shift
    for folder; do
        jq -r '.[].command | capture(" -o (?<object>[^ ]+) -c ").object' \
            "$build/compile_commands.json" | grep "^$folder/"
    done | sort -u | sed "s|^|$build/|"
}

# Those of the objects that own data they may write to.
stateful() {
    local object
    for object; do
        [[ -e $object ]] || continue
        size -A "$object" | awk -v object="$object" '
            $1 ~ /^\.(data|bss|tdata|tbss)/ && $1 !~ /^\.data\.rel\.ro/ { n += $2 }
            END { if (n) print object }'
    done
}

# Programs may keep mutable globals in the file of their main() alone, a module for Python in that
# of its PyInit_NAME(), a server's in that of the record by which the server knows it.
state_outside_main() {
    local object
    for object in $(stateful "$@"); do
        nm --defined-only "$object" | grep -qE ' (T (main|PyInit_\w+)|D [a-z_]*_module)$' ||
            echo "$object"
    done
}
