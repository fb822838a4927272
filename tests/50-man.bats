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

teardown() {
    [[ ! ${scratch-} ]] || rm -rf "$scratch"
}

# The options that a program has and those that its page has an entry for, one a line.
options_of() {
    "$build/bin/$1" --help | grep -oE '^  (-., )?--[a-z.-]+' | grep -oE -- '--.*' | sort
}

options_in() {
    mandoc -T utf8 "$man/$1" | col -bx | grep -oE '^     (-., )?--[a-z.-]+' |
        grep -oE -- '--.*' | sort
}

@test "mandoc has nothing to say of any page" {
    # Which pages of others are installed here is not about ours.
    run bash -c 'mandoc -T lint -W style "$@" 2>/dev/null | grep -v "referenced manual not found"' \
        - "$man"/*.[1-8]
    echo "$output"
    [ -z "$output" ]
}

@test "the page of a program has an entry for each of its options, and for no other" {
    local page
    for page in smx-agent.8 smx-dump.1 smx-top.1 smx-bench.1; do
        diff <(options_of "${page%.*}") <(options_in "$page")
    done
    [ "$(options_of smx-agent | wc -l)" -ge 25 ]
    # Nor do the texts speak of others.
    diff <(grep -ohE '\bFl -[a-z][a-z.-]+' "$man"/smx-agent* | sed 's/^Fl -/--/' | sort -u) \
        <(options_of smx-agent)
}

@test "every metric that the agent makes is in its page, with the values of its labels" {
    local name
    scratch=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    export SMX_DIR=$scratch
    "$build/tests/puppet" shop <<<'counter orders_total 1'
    "$build/bin/smx-agent" --once >"$BATS_TEST_TMPDIR/metrics"
    mandoc -T utf8 "$man/smx-agent.8" | col -bx >"$BATS_TEST_TMPDIR/page"
    {
        sed -n 's/^# TYPE \([a-z_]*\) .*/\1/p' "$BATS_TEST_TMPDIR/metrics" | grep -v '^orders_total$'
        grep -oE '(state|reason|phase|format)="[a-z_]+"' "$BATS_TEST_TMPDIR/metrics" | cut -d '"' -f 2
    } | sort -u >"$BATS_TEST_TMPDIR/names"
    [ "$(wc -l <"$BATS_TEST_TMPDIR/names")" -ge 80 ]
    while read -r name; do
        grep -qw -- "$name" "$BATS_TEST_TMPDIR/page" || {
            echo "$name is not described"
            false
        }
    done <"$BATS_TEST_TMPDIR/names"
}

@test "every key of the agent's file is in the page of the file" {
    keys=$(sed -nE 's/.*(CONFIG|CYAML_FIELD)_[A-Z_]+\("([a-z_]+)",.*/\2/p' "$root"/agent/config/load.c \
        "$root"/agent/config/sections/*.c | sort -u)
    [ "$(wc -l <<<"$keys")" -ge 14 ]
    for key in $keys; do
        grep -qE "^\.(Ss|It Ic) $key( |$)" "$man/smx-agent.yaml.5" || {
            echo "$key is not described"
            false
        }
    done
}

@test "the example of smx-agent.yaml(5) is the installed one, and what is commented out in it counts" {
    example=$root/packaging/examples/agent.yaml
    diff "$example" <(sed -n '/^\.Sh EXAMPLES/,/^\.Ed/p' "$man/smx-agent.yaml.5" | sed '1,/^\.Bd/d; $d')
    run -0 "$build/bin/smx-agent" --check-config --config.file="$example"
    sed -E 's/^( *)# ((- )?[a-z_]+:|- | +[a-z_]+:)/\1\2/; s/^histograms: \[\]/histograms:/; s/^  rules: \[\]/  rules:/; /^  (allow|deny): \[\]/d' \
        "$example" >"$BATS_TEST_TMPDIR/all.yaml"
    run -0 "$build/bin/smx-agent" --check-config --config.file="$BATS_TEST_TMPDIR/all.yaml"
    grep -q '^  cluster: eu1$' "$BATS_TEST_TMPDIR/all.yaml"
    grep -q '^  allow: ' "$BATS_TEST_TMPDIR/all.yaml"
    sed -i 's/^    bounds:/    bound:/' "$BATS_TEST_TMPDIR/all.yaml"
    run -1 "$build/bin/smx-agent" --check-config --config.file="$BATS_TEST_TMPDIR/all.yaml"
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

@test "every public function is named, declared and explained in a page, every constant in some" {
    run -0 "$BATS_TEST_DIRNAME/judges/manual.py" "$root/include" "$man"
    echo "$output"
}

@test "what is missing in a page is seen" {
    cp -r "$man" "$BATS_TEST_TMPDIR"
    local page=$BATS_TEST_TMPDIR/man/smx_counter.3
    sed -i 's/^\.Nm smx_counter_inc ,$//; s/"uint64_t n"/"uint32_t n"/; /^\.Fn smx_counter_value$/d' \
        "$page"
    sed -i '/^\.It Va max_bytes$/d; s/SMX_ALLOW_DISK//' "$BATS_TEST_TMPDIR/man/smx_open.3"
    run -1 "$BATS_TEST_DIRNAME/judges/manual.py" "$root/include" "$BATS_TEST_TMPDIR/man"
    echo "$output"
    local said
    for said in 'smx_counter_inc is named in the heads of 0 pages' \
        'void smx_counter_add(smx_counter c, uint32_t n), but the header' \
        'nothing is said of smx_counter_value' 'max_bytes of struct smx_options is in no page' \
        'SMX_ALLOW_DISK is in no page'; do
        [[ $output == *"$said"* ]]
    done
}

@test "what a page of ours refers to is there, and refers to others" {
    local page
    grep -hE '^\.Xr smx' "$man"/*.[1-8] | awk '{ print $2 "." $3 }' | sort -u | while read -r page; do
        [[ -e $man/$page ]] || {
            echo "there is no $page"
            false
        }
    done
    [[ -z $(grep -LE '^\.Sh SEE ALSO' "$man"/*.[1-8]) ]]
    # From the README one gets to each.
    for page in "$man"/*.[1-8]; do
        page=${page##*/}
        grep -qF "(packaging/man/$page)" "$root/README.md" || {
            echo "the README does not link $page"
            false
        }
    done
}

@test "what a README links is there" {
    local readme target
    cd "$root"
    find . -name README.md -not -path './build/*' >"$BATS_TEST_TMPDIR/readmes"
    while read -r readme; do
        grep -oE '\]\([^)]+\)' "$readme" | sed 's/^](//; s/)$//; s/#.*//' | grep -v '^http' |
            while read -r target; do
                [[ -e ${readme%/*}/$target ]] || {
                    echo "$readme: there is no $target"
                    false
                }
            done
    done <"$BATS_TEST_TMPDIR/readmes"
}

@test "the examples of the pages of functions compile" {
    local page
    for page in "$man"/smx*.3; do
        awk '/^\.Bd -literal/ { on = 1; next } /^\.Ed/ { on = 0 } on' "$page" |
            sed 's/\\en/\\n/g; s/\\-/-/g' >"$BATS_TEST_TMPDIR/example"
        [[ -s $BATS_TEST_TMPDIR/example ]]
        {
            printf '#include <smx/%s>\n' smx.h health.h scope.h reader.h
            printf '#include <%s>\n' syslog.h unistd.h stdio.h
            if grep -q '^int main' "$BATS_TEST_TMPDIR/example"; then
                cat "$BATS_TEST_TMPDIR/example"
            elif grep -q '^int ' "$BATS_TEST_TMPDIR/example"; then # a function of its own
                echo 'struct request; int parse(struct request *r);'
                echo 'static smx_histogram duration; static smx_gauge in_flight;'
                echo 'static smx_counter failures;'
                cat "$BATS_TEST_TMPDIR/example"
            else
                echo 'enum { CONNECTION_OK }; int PQstatus(void *c); char *PQerrorMessage(void *c);'
                echo 'static smx_histogram duration;'
                echo 'void example(smx_segment *seg, smx_segment *segment, void *connection, char *id);'
                echo 'void example(smx_segment *seg, smx_segment *segment, void *connection, char *id) {'
                echo '(void)seg; (void)segment; (void)connection; (void)id; (void)duration;'
                echo '{'
                cat "$BATS_TEST_TMPDIR/example"
                echo '} }'
            fi
        } >"$BATS_TEST_TMPDIR/example.c"
        echo "$page"
        gcc -std=gnu11 -Wall -Wextra -Wno-unused-variable -Wno-shadow -Werror -fsyntax-only \
            -I "$root/include" "$BATS_TEST_TMPDIR/example.c"
    done
}
