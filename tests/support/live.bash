# SPDX-License-Identifier: MIT
#
# live.bash - for bats scripts that run the real programs: a private directory, programs started in
# the background and ended with the test, waiting for states. `load support/live`, then live_setup
# and live_teardown in setup() and teardown().

root=$(dirname "$BATS_TEST_DIRNAME")
build=${SMX_BUILD:-$root/build/release}
bin=$build/bin
declare -gA pids # what runs, by name; -g: `load` is a function
demo_url=

live_setup() {
    scratch=$(mktemp -d /dev/shm/smx-test-XXXXXX)
    mkdir "$scratch/segments"
    export SMX_DIR=$scratch/segments
}

live_teardown() {
    local name
    for name in "${!pids[@]}"; do
        stop "$name"
    done
    # A child of what was stopped may still make a file: then once more.
    eventually rm -rf "$scratch"
}

# start NAME COMMAND...: in the background, output to NAME.out and NAME.err. Dies with the test.
start() {
    local name=$1
    shift
    # Now, and not when the command comes to run: somebody may wait for what it says.
    : >"$scratch/$name.out"
    : >"$scratch/$name.err"
    # Else bats waits for whoever holds its descriptor 3.
    setpriv --pdeathsig TERM "$@" >"$scratch/$name.out" 2>"$scratch/$name.err" </dev/null 3>&- &
    pids[$name]=$!
}

# stop NAME [SIGNAL]: and wait. The exit status is left in $ended. 0 for what ends by itself; never
# CONT, which takes from LeakSanitizer the stop that it waits for: both would hang.
# shellcheck disable=SC2034
stop() {
    ended=0
    kill -"${2-TERM}" "${pids[$1]}" 2>/dev/null || true
    wait "${pids[$1]}" 2>/dev/null || ended=$?
    unset "pids[$1]"
}

running() {
    kill -0 "${pids[$1]}" 2>/dev/null
}

# eventually COMMAND...: until it succeeds; fails after 90 seconds, or $SMX_PATIENCE. What does not come
# soon is asked for less often: a query costs more than the pause.
eventually() {
    local tries=0 deadline=$((SECONDS + ${SMX_PATIENCE:-90}))
    until "$@"; do
        if [[ $SECONDS -ge $deadline ]]; then
            echo "waited in vain for: $*" >&2
            return 1
        fi
        tries=$((tries + 1))
        if [[ $tries -le 10 ]]; then sleep 0.05; else sleep 0.25; fi
    done
}

file_says() {
    grep -q "$2" "$1" 2>/dev/null
}

# freeze PID...: SIGSTOP, and wait: a process that is not on a CPU stops when it comes to run.
freeze() {
    local pid
    kill -STOP "$@"
    for pid; do
        eventually is_frozen "$pid"
    done
}

is_frozen() {
    [[ $(sed 's/.*) //' "/proc/$1/stat") == T* ]]
}

# start_demo NAME --workers N [ARGUMENT...]: a demo server with its workers; sets demo_url.
start_demo() {
    local name=$1
    shift
    start "$name" "$bin/smx-demo" --listen 127.0.0.1:0 "$@"
    demo_serves "$name"
    [[ " $*" =~ " --workers "([0-9]+) ]]
    eventually has_children "${pids[$name]}" "${BASH_REMATCH[1]}"
}

# The address is told before there are workers.
demo_serves() {
    eventually file_says "$scratch/$1.out" :
    demo_url=http://$(head -n 1 "$scratch/$1.out")
}

has_children() {
    [[ $(pgrep -c -P "$1") -eq $2 ]]
}

# has_workers N: so many live in the demo's segment, and say what they are.
has_workers() {
    "$bin/smx-dump" --json demo | jq -e --argjson n "$1" \
        '[.processes[] | select(.live and .role == "worker")] | length == $n' >/dev/null
}

# request N PATH: that many requests, each on a connection of its own.
request() {
    local i
    for ((i = 0; i < $1; i++)); do
        curl -s -o /dev/null "$demo_url$2" || return
    done
}

# start_agent [ARGUMENT...]: on a socket in the scratch directory.
start_agent() {
    rm -f "$scratch/agent.sock"
    start agent "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address="unix:$scratch/agent.sock" "$@"
    eventually agent_get /-/healthy >/dev/null
}

# start_tcp_agent [NAME [ARGUMENT...]]: on a free port; its address is left in $agent.
start_tcp_agent() {
    local name=${1-agent}
    start "$name" "$bin/smx-agent" --segments.dir="$SMX_DIR" --scrape.max-age=0 \
        --web.listen-address=127.0.0.1:0 "${@:2}"
    eventually file_says "$scratch/$name.err" sandboxed # by then it listens at all its addresses
    agent=$(grep -o '127\.0\.0\.1:[0-9]*' "$scratch/$name.err" | head -n 1)
}

agent_get() {
    curl -sf --unix-socket "$scratch/agent.sock" "http://agent$1"
}

# What the agent has accepted is closed: its descriptors are its own.
is_alone() {
    [[ -z $(ss -Hxtnp state established | grep -F "pid=${pids[agent]},") ]]
}

# scraped FAMILY...: of each the sum over its series, one a line; nothing if there is none.
scraped() {
    local scrape
    scrape=$(agent_get /metrics) || return
    awk -v names="$*" 'BEGIN { split(names, order, " ") }
        { name = $1; sub(/\{.*/, "", name); sum[name] += $NF }
        END { for (i = 1; i in order; i++) if (order[i] in sum) printf "%.0f\n", sum[order[i]] }' \
        <<<"$scrape"
}

scraped_is() {
    [[ $(scraped "$1") == "$2" ]]
}

# The same from the segment, by smx-dump; 0 if there is no series.
dumped() {
    "$bin/smx-dump" --json --family="$1" "${2-demo}" |
        jq '[.families[].series[] | .value, .count, (.each // [])[].value | numbers] | add // 0'
}

dumped_is() {
    [[ $(dumped "$1" "${3-demo}") == "$2" ]]
}

# start_puppet NAME APPLICATION [PREFIX...]: an application that stays, and does what `tell` says.
# The prefix is a command that runs it, as another user say.
start_puppet() {
    mkfifo --mode=666 "$scratch/$1.fifo"
    start "$1" "${@:3}" bash -c 'exec "$0" "$1" <"$2"' "$build/tests/puppet" "$2" "$scratch/$1.fifo"
    eval "exec {${1}_in}>\"\$scratch/$1.fifo\""
}

# tell NAME COMMAND: and wait for the answer, which is printed.
tell() {
    local lines in=${1}_in
    lines=$(wc -l <"$scratch/$1.out")
    echo "$2" >&"${!in}"
    eventually has_lines "$scratch/$1.out" $((lines + 1))
    tail -n 1 "$scratch/$1.out"
}

has_lines() {
    [[ $(wc -l <"$1") -ge $2 ]]
}
