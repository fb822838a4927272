# SPDX-License-Identifier: MIT
#
# models.bash - runs Spin on the models in a folder, for 30-models.bats. The head of a model says in
# which forms it holds and in which it fails, a line each: "holds: NAME=VALUE...", "fails: ...".

# The forms of the models, one a line: model, holds or fails, definitions.
forms_of() {
    local file
    for file in "$1"/*.pml; do
        sed -nE 's/^ \*   (holds|fails): +(([A-Z_]+=[0-9]+ ?)+).*/\1 \2/p' "$file" |
            sed "s|^|$(basename "$file" .pml) |; s| *$||"
    done
}

# Search all states of one form. Leaves in a folder of its name: what the compilers and the search
# said, and the lines of which a statement was not reached. Spin's -o3: or else it would merge
# statements, and not tell.
search() {
    local models=$1 model=$2
    mkdir -p "$3" && cd "$3" || return
    shift 3
    # tcc: what most searches would gain by a better compiler, it takes longer to compile.
    {
        spin -a -o3 "${@/#/-D}" "$models/$model.pml" &&
            tcc -w -DSAFETY -DNOCLAIM -DMEMLIM=900 -o pan pan.c && ./pan -w22 -m10000
    } >said 2>&1
    awk '/^unreached in/ { where = $NF }
         /^\t[^ ]*\.pml:/ { sub(/.*\.pml:/, ""); sub(/,.*/, ""); print where, $0 }' said |
        sort -u >unreached
    rm -f pan pan.*
}

# Search all forms of the models in $1, as many at once as there are processors, and one line at a
# time to standard output: "model wanted definitions: errors, states, MiB". $2: a folder to work in.
search_all() {
    local models=$1 work=$2 form
    export -f search
    forms_of "$models" | while read -r form; do
        printf '%s\0' "$form"
    done | xargs -0 -P "$(nproc)" -I{} bash -c \
        'read -ra words <<<"$3"; search "$1" "${words[0]}" "$2/${3// /,}" "${words[@]:2}"' \
        search "$models" "$work" {}
    forms_of "$models" | while read -r form; do
        awk -v form="$form" '/errors:/ { errors = $NF } /states, stored/ { states = $1 }
            /total actual memory/ { mib = $1 } /not completed/ { partial = ", not completed" }
            END { print form ": " (errors == "" ? "no result" : errors " errors") ", " states \
                " states, " mib " MiB" partial }' "$work/${form// /,}/said"
    done
}

# The statements, as "model process line", that are reached in no form that holds; but for lines that
# say "unreached:" and why.
never_reached() {
    local models=$1 work=$2 model n process line
    for model in $(forms_of "$models" | cut -d' ' -f1 | sort -u); do
        n=$(forms_of "$models" | grep -c "^$model holds ")
        cat "$work/$model,holds,"*/unreached | sort | uniq -c |
            while read -r count process line; do
                [[ $count -eq $n ]] || continue
                sed -n "${line}p" "$models/$model.pml" | grep -q 'unreached: ' ||
                    echo "$model $process $line"
            done
    done
}

# The functions that the models stand for, as "model function", that are not in libshm any more.
missing_functions() {
    local models=$1 sources=$2 file name
    for file in "$models"/*.pml; do
        for name in $(awk '/^ \* Stands for:/ { on = 1; sub(/.*for:/, "") }
            /^ \*$/ { on = 0 } on { sub(/^ \* +/, ""); print }' "$file"); do
            grep -rqE "^([A-Za-z_].*[ *])?$name\(" --include='*.[ch]' "$sources"/libshm "$sources"/include ||
                echo "$(basename "$file" .pml) $name"
        done
    done
}
