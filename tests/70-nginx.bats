#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The module for nginx in Debian's nginx: what it counts is what nginx's own log says, however nginx
# is reloaded, replaced and killed meanwhile. nginx runs as root with workers of www-data where the
# test is root, and as whoever runs the test where not.

bats_require_minimum_version 1.5.0
load support/live
load support/prometheus

setup() {
    [[ -e $build/lib/ngx_http_smx_module.so ]] || skip "the module is not built: no nginx-dev"
    live_setup
    eventually find_ports
    # The workers of www-data make their files here.
    chmod 755 "$scratch"
    locations='' http='smx on;' main='' level=notice directive="smx_directory $SMX_DIR;"
}

# Three in a row that nobody listens on, for whoever runs these tests besides.
find_ports() {
    port=$((23000 + 10 * (RANDOM % 100)))
    [[ -z $(ss -Hltn "sport >= :$port and sport <= :$((port + 2))") ]]
}

teardown() {
    [[ ! -d ${scratch-} ]] || stop_nginx || true
    umount "$scratch/small" 2>/dev/null || true
    live_teardown
}

# The configuration: `locations` are put into the server `one`, `http` and `main` where they say.
configure() {
    local user='' path
    [[ $(id -u) -ne 0 ]] || user='user www-data;'
    cat >"$scratch/nginx.conf" <<END
load_module $build/lib/ngx_http_smx_module.so;
$user $main
worker_processes 2;
pid $scratch/nginx.pid;
lock_file $scratch/nginx.lock;
error_log $scratch/error.log $level;
events { worker_connections 256; }
http {
    $(for path in client_body proxy fastcgi uwsgi scgi; do
        echo "${path}_temp_path $scratch/$path;"
    done)
    log_format line '\$server_name \$status \$uri';
    access_log $scratch/access.log line;
    $directive
    $http
    server {
        listen 127.0.0.1:$port;
        server_name one another;
        location / { return 200 "ok\n"; }
        $locations
    }
}
END
}

# As a daemon, for nginx replaces its binary in no other case; known by its pid file until its end.
# The new binary is found by the path that the old one was called by. It listens before it has
# workers: what is reloaded then would have old ones that nobody has seen.
start_nginx() {
    configure
    "$(command -v nginx)" -p "$scratch" -c nginx.conf -e early.log 2>"$scratch/nginx.err" 3>&- || {
        cat "$scratch/nginx.err"
        false
    }
    eventually answers
    [[ $main == *master_process* ]] || eventually workers_are_others ''
}

answers() {
    [[ -s $scratch/nginx.pid ]] && (exec 4<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

# Or a zombie, where nobody waits for orphans.
gone() {
    [[ ! -e /proc/$1 || $(ps -o state= -p "$1") == Z ]]
}

stop_nginx() {
    local pid
    pid=$(cat "$scratch/nginx.pid" 2>/dev/null) || return 0
    kill -"${1-TERM}" "$pid" 2>/dev/null || return 0
    eventually gone "$pid"
}

get() {
    local path
    for path; do
        curl -s -o /dev/null "http://127.0.0.1:$port$path"
    done
}

# The samples of nginx' segment, without the label app.
exposed() {
    "$bin/smx-agent" --segments.dir="$SMX_DIR" --once --log.level=error |
        sed -n 's/app="nginx",\?//; s/{}//; /^smx_\|^process_\|^#/d; p'
}

exposes() {
    exposed >"$scratch/exposed"
    grep -qxF -- "$1" "$scratch/exposed"
}

# The same, soon: a request is counted when its response has been sent already. Or what there is
# instead.
has() {
    eventually exposes "$1" || {
        grep "^${1%%[{ ]*}" "$scratch/exposed"
        false
    }
}

# By server and status, how many requests the log has, and how many were counted.
logged() {
    awk '{ n[$1 " " $2]++ } END { for (i in n) print i, n[i] }' "$scratch/access.log" | sort
}

counted() {
    exposed | sed -n 's/^nginx_http_requests_total{server="\(.*\)",location=".*",status="\(.*\)"} /\1 \2 /p' |
        awk '{ n[$1 " " $2] += $3 } END { for (i in n) if (n[i]) print i, n[i] }' | sort
}

log_is_counted() {
    diff <(logged) <(counted)
}

workers() {
    pgrep -P "$(cat "$scratch/nginx.pid")" -f 'nginx: worker process$' | sort
}

# Two new workers: the old ones may still be there, shutting down.
workers_are_others() {
    [[ $(workers | wc -l) -eq 2 && -z $(comm -12 <(workers) <(echo "$1")) ]]
}

reload() {
    local before
    before=$(workers)
    kill -HUP "$(cat "$scratch/nginx.pid")"
    eventually workers_are_others "$before"
}

@test "requests are counted by server, location and status, each that the log has" {
    locations='location = /exact { return 204; }
        location ~ \.php$ { return 403; }
        location /files/ { root /nonexistent; if ($arg_a) { return 418; } }
        location = /both { if ($arg_a) { return 500; } return 404; }
        location /nginx.conf { root '$scratch'; }
        location /off/ { smx off; return 200; access_log off; }'
    start_nginx
    get / /a /b /exact /x.php /x.php /files/a '/files/?a=1' /off/
    get /both '/both?a=1'
    # In one worker, as it is one connection.
    curl -s "http://127.0.0.1:$port/nginx.conf" -H 'Range: bytes=1000000-' --next \
        -s "http://127.0.0.1:$port/nginx.conf" -z "$scratch/nginx.conf" >"$scratch/answers"
    printf 'nonsense\r\n\r\n' >"/dev/tcp/127.0.0.1/$port"
    eventually file_says "$scratch/access.log" ' 400 '
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 3'
    has 'nginx_http_requests_total{server="one",location="= /exact",status="204"} 1'
    has 'nginx_http_requests_total{server="one",location="~ \\.php$",status="403"} 2'
    has 'nginx_http_requests_total{server="one",location="/files/",status="404"} 1'
    has 'nginx_http_requests_total{server="one",location="/files/",status="418"} 1'
    has 'nginx_http_requests_total{server="one",location="= /both",status="500"} 1'
    has 'nginx_http_requests_total{server="one",location="= /both",status="404"} 1'
    has 'nginx_http_requests_total{server="one",location="/nginx.conf",status="416"} 1'
    has 'nginx_http_requests_total{server="one",location="/nginx.conf",status="304"} 1'
    has 'nginx_http_requests_total{server="one",location="-",status="400"} 1'
    has 'nginx_http_request_duration_seconds_count{server="one",location="/"} 3'
    eventually log_is_counted
    [[ $(wc -l <"$scratch/access.log") -eq 13 ]]
}

@test "what upstream servers take is counted by server and status, and what the cache says" {
    local peer=127.0.0.1:$((port + 1)) dead=127.0.0.1:$((port + 2))
    http="smx on;
        proxy_cache_path $scratch/cache keys_zone=things:1m;
        upstream live { server $peer; }
        upstream half { server $dead; server $peer backup; }
        server { listen $peer; server_name back; smx off; access_log off;
            location / { return 200 thing; }
            location /missing { return 404; } }"
    locations="location /live/ { proxy_pass http://live/; }
        location /half/ { proxy_pass http://half/; }
        location /dead/ { proxy_pass http://$dead/; }
        location /twice { proxy_pass http://live/missing; proxy_intercept_errors on;
            error_page 404 = @second; }
        location @second { proxy_pass http://$peer; }
        location /cached/ { proxy_cache things; proxy_cache_valid 200 1h;
            proxy_cache_bypass \$arg_fresh; proxy_pass http://live/; }"
    start_nginx
    get /live/ /live/missing /half/ /dead/ /twice /cached/a /cached/a /cached/a '/cached/a?fresh=1'
    eventually log_is_counted
    has "nginx_upstream_responses_total{upstream=\"live\",peer=\"$peer\",status=\"200\"} 3"
    has "nginx_upstream_responses_total{upstream=\"live\",peer=\"$peer\",status=\"404\"} 1"
    has "nginx_upstream_responses_total{upstream=\"half\",peer=\"$dead\",status=\"502\"} 1"
    has "nginx_upstream_responses_total{upstream=\"half\",peer=\"$peer\",status=\"200\"} 1"
    has "nginx_upstream_responses_total{upstream=\"$dead\",peer=\"$dead\",status=\"502\"} 1"
    # Two upstreams for one request: of the first the name is lost.
    has "nginx_upstream_responses_total{upstream=\"-\",peer=\"$peer\",status=\"404\"} 1"
    has "nginx_upstream_responses_total{upstream=\"$peer\",peer=\"$peer\",status=\"200\"} 1"
    has 'nginx_http_requests_total{server="one",location="@second",status="200"} 1'
    # Nobody was connected to where nobody listens.
    has 'nginx_upstream_connect_seconds_count{upstream="live"} 4'
    has 'nginx_upstream_connect_seconds_count{upstream="half"} 1'
    has 'nginx_upstream_header_seconds_count{upstream="live"} 4'
    has 'nginx_upstream_response_seconds_count{upstream="half"} 2'
    has 'nginx_cache_requests_total{server="one",location="/cached/",status="MISS"} 1'
    has 'nginx_cache_requests_total{server="one",location="/cached/",status="HIT"} 2'
    has 'nginx_cache_requests_total{server="one",location="/cached/",status="BYPASS"} 1'
}

@test "times of upstream servers are those of nginx" {
    local peer=127.0.0.1:$((port + 1))
    head -c 40000 /dev/zero >"$scratch/large"
    http="smx on;
        server { listen $peer; smx off; access_log off; root $scratch; limit_rate 100k; }
        log_format times '\$upstream_response_time \$request_time';
        access_log $scratch/times.log times;"
    locations="location /large { proxy_pass http://$peer; proxy_limit_rate 0; }"
    start_nginx
    get /large
    eventually has_lines "$scratch/times.log" 1
    read -r response request <"$scratch/times.log"
    [[ $(jq -n "$request > 0.1") == true ]]
    has "nginx_upstream_response_seconds_sum{upstream=\"$peer\"} $(jq -n "$response")"
    has "nginx_http_request_duration_seconds_sum{server=\"one\",location=\"/large\"} $(
        jq -n "$request")"
}

# A certificate of its own making, and a server that listens with it.
secure() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 1 -subj /CN=one \
        -keyout "$scratch/key.pem" -out "$scratch/cert.pem" 2>/dev/null
    http="smx on;
        ssl_certificate $scratch/cert.pem;
        ssl_certificate_key $scratch/key.pem;
        ssl_session_cache shared:tls:1m;
        ssl_protocols TLSv1.2 TLSv1.3;
        server { listen 127.0.0.1:$((port + 1)) ssl http2; server_name secure; return 200; }
        server { listen 127.0.0.1:$((port + 1)) ssl; server_name other; return 204; }"
}

# shake ARGUMENT...: a handshake, and a request on it.
shake() {
    printf 'GET / HTTP/1.0\r\nHost: secure\r\n\r\n' |
        openssl s_client -quiet -connect "127.0.0.1:$((port + 1))" "$@" >/dev/null 2>&1 || true
}

@test "TLS handshakes are counted: new ones, reused sessions, failed ones" {
    secure
    start_nginx
    shake -tls1_3 -sess_out "$scratch/session"
    shake -tls1_3 -servername other
    shake -tls1_2 -sess_out "$scratch/session2"
    shake -tls1_2 -sess_in "$scratch/session2"
    # It begins, and finds no cipher in common; one that does not begin; one that is none.
    shake -tls1_2 -cipher ECDHE-RSA-AES128-SHA
    exec 4<>"/dev/tcp/127.0.0.1/$((port + 1))"
    exec 4>&-
    curl -s -o /dev/null "http://127.0.0.1:$((port + 1))/"
    curl -sk -o /dev/null --http2 "https://127.0.0.1:$((port + 1))/" \
        "https://127.0.0.1:$((port + 1))/again"
    has 'nginx_ssl_handshakes_total{protocol="TLSv1.3",session="new"} 3'
    has 'nginx_ssl_handshakes_total{protocol="TLSv1.2",session="new"} 1'
    has 'nginx_ssl_handshakes_total{protocol="TLSv1.2",session="reused"} 1'
    eventually exposes 'nginx_ssl_handshakes_failed_total 1'
    has 'nginx_http_requests_total{server="secure",location="-",status="400"} 1'
    eventually log_is_counted
}

@test "counters and histograms of a configuration have labels and values of variables" {
    http='smx on;
        map $arg_kind $odd { default 0; odd 1; "" ""; }
        smx_counter all_total "help=All of them." method=$request_method fixed=yes;'
    locations='location /plain { return 200; }
        location /own {
            smx_counter odd_total if=$odd "kind=$arg_kind/$server_name";
            smx_counter own_bytes_total value=$arg_n unit=bytes;
            smx_histogram size_bytes value=$arg_n unit=bytes buckets=10,20.5,1e3 who=$arg_who;
            return 200; }'
    start_nginx
    get /plain /plain '/own?kind=odd' '/own?kind=even&n=20' '/own?n=30&who=me' '/own?n=none'
    get '/own?n=-4' '/own?n=5,%206&who=%FF' '/own?n=1001'
    # Bytes as they come: of UTF-8, and not.
    printf 'GET /own?n=1&who=a\xc3\xa9\xff\xc3 HTTP/1.0\r\n\r\n' >"/dev/tcp/127.0.0.1/$port"
    eventually log_is_counted
    # Where a location has its own, those of the level above are not counted.
    has 'all_total{method="GET",fixed="yes"} 2'
    has 'odd_total{kind="odd/one"} 1'
    has 'own_bytes_total 1057'
    has 'size_bytes_bucket{who="",le="20.5"} 1'
    has 'size_bytes_count{who=""} 2'
    has 'size_bytes_sum{who="me"} 30'
    has 'size_bytes_sum{who="%FF"} 5'
    has 'size_bytes_sum{who="aé??"} 1'
    [[ $(grep -c '^odd_total' "$scratch/exposed") -eq 1 ]]
}

@test "what a configuration counts in parts of a unit is not rounded away" {
    http='smx on;'
    locations='location /own {
            smx_counter busy_seconds_total value=$arg_n;
            smx_counter idle_seconds_total value=$arg_n unit=seconds;
            smx_counter whole_total value=$arg_n;
            smx_histogram wait_seconds value=$arg_n buckets=0.1,0.5,1;
            smx_histogram ratio value=$arg_n buckets=0.1,0.5,1;
            smx_histogram size value=$arg_n buckets=1,2;
            return 200; }'
    start_nginx
    get '/own?n=0.3' '/own?n=0.4' '/own?n=1.2'
    eventually log_is_counted
    has 'busy_seconds_total 1.9'
    has 'idle_seconds_total 1.9'
    has 'whole_total 1'
    has 'wait_seconds_bucket{le="0.1"} 0'
    has 'wait_seconds_bucket{le="0.5"} 2'
    has 'wait_seconds_bucket{le="1.0"} 2'
    has 'wait_seconds_sum 1.9'
    has 'ratio_bucket{le="0.1"} 0'
    has 'ratio_bucket{le="0.5"} 2'
    has 'ratio_bucket{le="1.0"} 2'
    has 'ratio_sum 1.9'
    has 'size_bucket{le="1.0"} 3'
    has 'size_sum 1'
}

# An error of the configuration: what is said, and where.
refuses() {
    http=$1
    configure
    run nginx -t -c "$scratch/nginx.conf" -e "$scratch/early.log"
    echo "$output"
    [[ $status -ne 0 && $output == *"nginx: [emerg] "*"$2 in $scratch/nginx.conf:"* ]]
}

@test "what is wrong in a directive is said as nginx says it, with the line" {
    refuses 'smx maybe;' 'invalid value "maybe" in "smx" directive, it must be "on" or "off"'
    refuses 'smx_app a; smx_app b;' '"smx_app" directive is duplicate'
    local names='is to be 1 to 63 of A-Z a-z 0-9 _ . -, not starting with a dot'
    refuses 'smx_app a/b;' '"smx_app" directive '"$names"
    refuses 'smx_instance "";' '"smx_instance" directive '"$names"
    refuses 'smx_counter;' 'invalid number of arguments in "smx_counter" directive'
    refuses 'smx_counter 9x;' 'metric "9x" is no name of a metric'
    refuses 'smx_counter nginx_x;' 'metric "nginx_x" begins like the metrics that are always there'
    refuses 'smx_counter x label;' 'metric "x" has a parameter without "="'
    refuses 'smx_counter x 1=a;' 'metric "x" has a label whose name is no [a-zA-Z_][a-zA-Z0-9_]*'
    refuses 'smx_counter x buckets=1;' 'metric "x" has no buckets'
    refuses 'smx_histogram x a=1;' 'metric "x" has no value='
    refuses 'smx_histogram x value=1 buckets=1,b;' 'metric "x" has buckets that are no numbers'
    refuses 'smx_histogram x value=1 buckets=2,1;' 'metric "x" has buckets that do not ascend'
    refuses 'smx_histogram x value=1 buckets=1,nan;' 'metric "x" has buckets that are no numbers'
    refuses 'smx_histogram x value=1 buckets=-1,1;' 'metric "x" has a bucket below 0'
    refuses 'smx_counter x a=1 a=2;' 'metric "x" has a label twice'
    refuses "smx_histogram x value=1 buckets=$(seq -s , 65);" 'metric "x" has too many buckets'
    refuses "smx_counter x $(seq -f 'l%g=1' -s ' ' 17);" 'metric "x" has too many labels'
    local others='has another type, unit, buckets or labels elsewhere'
    refuses 'smx_counter x a=1; smx_counter x b=1;' "metric \"x\" $others"
    refuses 'smx_counter x a=1; smx_counter x;' "metric \"x\" $others"
    refuses 'smx_histogram x value=1; smx_counter x;' "metric \"x\" $others"
    refuses 'smx_counter x unit=a; smx_counter x unit=b;' "metric \"x\" $others"
    refuses 'smx_histogram x value=1 buckets=1; smx_histogram x value=1;' "metric \"x\" $others"
    refuses 'smx_histogram x value=1 buckets=1; smx_histogram x value=1 buckets=2;' \
        "metric \"x\" $others"
}

idle() {
    exposes 'nginx_connections_active 0'
}

# What is in the segment's registry, and who has opened it.
described() {
    stat -c %i "$SMX_DIR/nginx.v1.smx"
    "$bin/smx-dump" --json nginx |
        jq '.segment.families, .segment.series, .families[].name, [.processes[].pid]'
}

@test "a test of the configuration makes no segment, and does not touch one" {
    configure
    nginx -t -c "$scratch/nginx.conf" -e "$scratch/early.log"
    [[ -z $(ls "$SMX_DIR") ]]
    start_nginx
    get /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 1'
    eventually idle
    eventually roles_are '1 master 2 worker'
    described >"$scratch/before"
    http='smx on; smx_counter another_total;'
    configure
    nginx -t -c "$scratch/nginx.conf" -e "$scratch/early.log"
    nginx -s reopen -c "$scratch/nginx.conf" -e "$scratch/early.log"
    described | diff "$scratch/before" -
    # A reload, after all, does.
    reload
    described | grep another_total
}

@test "where there can be no segment nginx starts and serves, and says once what to do" {
    SMX_DIR=$scratch/missing directive="smx_directory $scratch/missing;"
    start_nginx
    get / / /
    eventually has_lines "$scratch/access.log" 3
    cat "$scratch/nginx.err" "$scratch/error.log"
    [[ $(grep -c 'smx: ' "$scratch/error.log") -eq 1 ]]
    grep -q "\[warn\].* smx: nginx runs without metrics: .*$SMX_DIR.*smx_directory" \
        "$scratch/error.log"
    # On the terminal, too, and there whatever the log is for.
    [[ $(grep -c "nginx: \[warn\] smx: " "$scratch/nginx.err") -eq 1 ]]
    stop_nginx
    level=crit
    start_nginx
    [[ $(grep -c "nginx: \[warn\] smx: " "$scratch/nginx.err") -eq 1 ]]
    # And after what to do was done.
    mkdir "$SMX_DIR"
    reload
    get / /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 2'
}

# start_load: requests of every kind until `stop load`, on connections that are kept and that are not.
start_load() {
    cat >"$scratch/load.lua" <<'END'
local paths = {"/", "/a", "/exact", "/x.php", "/", "/"}
local n = 0
request = function()
    n = n + 1
    local headers = {}
    if n % 7 == 0 then headers["Connection"] = "close" end
    return wrk.format("GET", paths[n % #paths + 1], headers)
end
END
    locations='location = /exact { return 204; }
        location ~ \.php$ { return 403; }
        location /large { root '$scratch'; send_timeout 1h; }'
    head -c 20M /dev/zero >"$scratch/large"
    [[ -e $scratch/nginx.pid ]] || start_nginx
    start load wrk -t1 -c8 -d10m -s "$scratch/load.lua" "http://127.0.0.1:$port"
    eventually has_lines "$scratch/access.log" 100
}

more_lines() {
    has_lines "$scratch/access.log" $(($1 + 100))
}

# A while, by what is done in it.
go_on() {
    eventually more_lines "$(wc -l <"$scratch/access.log")"
}

is_shutting_down() {
    "$bin/smx-dump" --processes nginx | grep -q 'live *worker shutting down'
}

@test "a reload loses nothing and doubles nothing, and its old workers count to their end" {
    start_load
    local round
    # A response that is not read yet.
    exec 5<>"/dev/tcp/127.0.0.1/$port"
    printf 'GET /large HTTP/1.0\r\n\r\n' >&5
    read -r <&5
    for ((round = 0; round < 4 * ${SMX_TEST_SCALE:-1}; round++)); do
        reload
        go_on
    done
    # One of the first workers is at it still, and says what it is.
    eventually is_shutting_down
    [[ $(grep -c /large "$scratch/access.log") -eq 0 ]]
    [[ $(cat <&5 | wc -c) -gt 20000000 ]]
    exec 5>&-
    stop load
    eventually log_is_counted
    has 'nginx_http_requests_total{server="one",location="/large",status="200"} 1'
    [[ $(ls "$SMX_DIR") == nginx.v1.smx ]]
}

has_no_workers() {
    ! pgrep -P "$1" -f 'nginx: worker process$' >/dev/null
}

# The documented sequence: USR2, and when the new master has workers, WINCH, QUIT to the old one.
upgrade() {
    local old
    old=$(cat "$scratch/nginx.pid")
    kill -USR2 "$old"
    eventually new_master_serves "$old"
    go_on
    kill -WINCH "$old"
    eventually has_no_workers "$old"
    go_on
    kill -QUIT "$old"
    eventually gone "$old"
}

new_master_serves() {
    local new
    new=$(cat "$scratch/nginx.pid" 2>/dev/null)
    [[ $new && $new != "$1" && $(workers | wc -l) -eq 2 ]]
}

@test "a binary upgrade loses nothing and doubles nothing" {
    local round inode
    start_load
    inode=$(stat -c %i "$SMX_DIR/nginx.v1.smx")
    for ((round = 0; round < 2 * ${SMX_TEST_SCALE:-1}; round++)); do
        upgrade
        go_on
    done
    stop load
    eventually log_is_counted
    [[ $(stat -c %i "$SMX_DIR/nginx.v1.smx") -eq $inode ]]
}

@test "a new binary finds the segment by SMX_DIR, too" {
    local old
    directive=
    start_nginx
    get / /
    old=$(cat "$scratch/nginx.pid")
    kill -USR2 "$old"
    eventually new_master_serves "$old"
    kill -QUIT "$old"
    eventually gone "$old"
    get /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 3'
}

# What was counted is what was logged, but for one request of each worker that was killed: of that
# the line may be written already.
counted_within() {
    local lines count
    lines=$(wc -l <"$scratch/access.log")
    count=$(exposed | awk '/^nginx_http_requests_total/ { n += $NF } END { print n + 0 }')
    echo "$lines lines, $count counted, $1 killed"
    ((count <= lines && count >= lines - $1))
}

@test "under a storm of kills, reloads and an upgrade the totals are the log's, and go up only" {
    local round kills=0
    start_load
    start_tcp_agent
    start_prometheus
    for ((round = 1; round <= 24 * ${SMX_TEST_SCALE:-1}; round++)); do
        # Any worker, also one that is shutting down.
        kill -KILL "$(pgrep -P "$(cat "$scratch/nginx.pid")" -f 'nginx: worker' | shuf -n 1)" 2>/dev/null &&
            kills=$((kills + 1))
        ((round % 6)) || kill -HUP "$(cat "$scratch/nginx.pid")"
        ((round % 12)) || upgrade
        go_on
    done
    stop load
    eventually idle
    eventually counted_within "$kills"
    # Prometheus has the same in the end, and has seen no counter go down.
    eventually answer_is 'sum(nginx_http_requests_total)' "$(
        exposed | awk '/^nginx_http_requests_total/ { n += $NF } END { printf "%.0f", n }')"
    answer_is 'sum(resets(nginx_http_requests_total[10m]))' 0
    was_never_refused
    # Durations are counted with the requests.
    eventually answer_is "sum(nginx_http_requests_total) -
        sum(nginx_http_request_duration_seconds_count) <= bool $kills" 1
}

@test "open connections are counted while they are open, and not those of a killed worker" {
    local fd
    start_nginx
    for fd in 5 6 7; do
        eval "exec $fd<>/dev/tcp/127.0.0.1/$port"
        printf 'GET / HTTP/1.1\r\nHost: one\r\n\r\n' >&"$fd"
    done
    eventually exposes 'nginx_connections_active 3'
    eventually exposes 'nginx_connections_waiting 3'
    has 'nginx_connections_accepted_total 4'
    exec 5>&-
    eventually exposes 'nginx_connections_active 2'
    kill -KILL $(workers)
    eventually exposes 'nginx_connections_active 0'
    eventually exposes 'nginx_connections_waiting 0'
    exec 6>&- 7>&-
}

@test "the segment's name and place are the configuration's, and an installed module loads" {
    http='smx on; smx_app shop; smx_instance two;'
    directive='smx_directory segments;' # below nginx's prefix
    start_nginx
    get /
    [[ $(ls "$SMX_DIR") == shop@two.v1.smx ]]
    cmake --install "$build" --prefix "$scratch/prefix" >/dev/null
    sed -i "s|$build|$scratch/prefix|; s|lib/ngx|lib/nginx/modules/ngx|" "$scratch/nginx.conf"
    grep load_module "$scratch/nginx.conf"
    nginx -t -c "$scratch/nginx.conf" -e "$scratch/early.log"
}

@test "past the cap of a family requests are counted in its overflow series" {
    http='smx on; smx_max_series 2; smx_max_bytes 8m;'
    locations='location /exact { return 204; } location /other { return 403; }'
    start_nginx
    # A request is counted when its response has been sent: who comes first is to be first.
    get /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 1'
    get /exact
    eventually log_is_counted
    get /other /other /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 2'
    has 'nginx_http_requests_total{otel_metric_overflow="true"} 2'
    [[ $("$bin/smx-dump" --json nginx | jq .segment.bytes.budget) -eq 8388608 ]]
}

# A location that is first asked for while there is no room, and then counted by itself.
late_is_counted() {
    get "/$late"
    exposed | grep -q "^nginx_http_requests_total{.*location=\"/$late\",status=\"200\"}"
}

nothing_overflows_any_more() {
    local before
    before=$(exposed | grep '^nginx_.*overflow')
    get "/$late" "/$late"
    [[ $(exposed | grep '^nginx_.*overflow') == "$before" ]]
}

overflows() {
    exposed | grep -q "^$1{otel_metric_overflow=\"true\"}"
}

@test "a location that found no room for its series has one when there is, without a reload" {
    [[ $(id -u) -eq 0 ]] || skip "it takes root to mount a small tmpfs"
    local i filler
    late=$(printf 'late%.0s' {1..100}) filler=$(printf 'x%.0s' {1..200})
    mkdir "$scratch/small"
    mount -t tmpfs -o size=4m smx-test "$scratch/small"
    export SMX_DIR=$scratch/small
    directive="smx_directory $SMX_DIR;" main='master_process off;'
    locations="location /$late { return 200; }
        location /filler { smx_counter filler_total x=$filler-\$arg_x; return 200; }"
    start_nginx
    get /
    eventually log_is_counted
    # Take what tmpfs has, and then what was reserved before.
    cat /dev/zero >"$scratch/small/filler" 2>/dev/null || true
    for ((i = 0; i < 600; i++)); do
        echo "url=http://127.0.0.1:$port/filler?x=$i"
        echo output=/dev/null
    done >"$scratch/urls"
    curl -s -K "$scratch/urls"
    overflows filler_total
    get "/$late"
    eventually overflows nginx_http_requests_total
    rm "$scratch/small/filler"
    eventually late_is_counted
    eventually nothing_overflows_any_more
}

@test "a metric that is redefined is refused alone, and named in the log" {
    http='smx on; smx_counter own_total a=1;'
    start_nginx
    get /
    http='smx on; smx_counter own_total b=1; smx_counter wrong value=1 unit=bytes;'
    configure
    reload
    get /
    has 'own_total{a="1"} 1'
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 2'
    grep 'smx: ' "$scratch/error.log"
    [[ $(grep -c '\[warn\].* smx: own_total is not counted: ' "$scratch/error.log") -eq 1 ]]
    [[ $(grep -c '\[warn\].* smx: wrong is not counted: ' "$scratch/error.log") -eq 1 ]]
    [[ $(grep -c 'smx: ' "$scratch/error.log") -eq 2 ]]
}

roles_are() {
    [[ $("$bin/smx-dump" --json nginx | jq -r '.processes[] | select(.live).role' |
        sort | uniq -c | xargs) == "$1" ]]
}

@test "the module can go and come with a reload, and does without a master process" {
    start_nginx
    get /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 1'
    eventually roles_are '1 master 2 worker'
    sed -i '/load_module/d; /smx on/d; /smx_directory/d' "$scratch/nginx.conf"
    reload
    get /
    [[ $(curl -s "http://127.0.0.1:$port/") == ok ]]
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 1'
    configure
    reload
    get /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 2'
    stop_nginx QUIT
    rm "$SMX_DIR/nginx.v1.smx"
    main='master_process off;'
    start_nginx
    get / /
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 2'
}
