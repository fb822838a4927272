#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
#
# The module for nginx in Debian's nginx: what it counts is what nginx's own log says, however nginx
# is reloaded, replaced and killed meanwhile. nginx runs as root with workers of www-data where the
# test is root, and as whoever runs the test where not.

bats_require_minimum_version 1.5.0
load support/live

setup() {
    [[ -e $build/lib/ngx_http_smx_module.so ]] || skip "the module is not built: no nginx-dev"
    live_setup
    port=$((23000 + 10 * BATS_TEST_NUMBER))
    # The workers of www-data make their files here.
    chmod 755 "$scratch"
    locations='' http='smx on;' main=''
}

teardown() {
    [[ ! -d ${scratch-} ]] || stop_nginx
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
error_log $scratch/error.log notice;
events { worker_connections 256; }
http {
    $(for path in client_body proxy fastcgi uwsgi scgi; do
        echo "${path}_temp_path $scratch/$path;"
    done)
    log_format line '\$server_name \$status \$uri';
    access_log $scratch/access.log line;
    smx_directory $SMX_DIR;
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

# Until its end nginx is known by its pid file: a new binary has another pid.
start_nginx() {
    configure
    start nginx nginx -c "$scratch/nginx.conf" -e "$scratch/early.log" -g 'daemon off;'
    eventually answers
}

answers() {
    [[ -s $scratch/nginx.pid ]] && (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
}

gone() {
    ! kill -0 "$1" 2>/dev/null
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
        sed -n 's/app="nginx",\?//; /^smx_\|^process_\|^#/d; p'
}

has() {
    exposed >"$scratch/exposed"
    grep -qxF -- "$1" "$scratch/exposed" || {
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

@test "requests are counted by server, location and status, each that the log has" {
    locations='location = /exact { return 204; }
        location ~ \.php$ { return 403; }
        location /files/ { root /nonexistent; if ($arg_a) { return 418; } }
        location /off/ { smx off; return 200; access_log off; }'
    start_nginx
    get / /a /b /exact /x.php /x.php /files/a '/files/?a=1' /off/
    printf 'nonsense\r\n\r\n' >"/dev/tcp/127.0.0.1/$port"
    eventually file_says "$scratch/access.log" ' 400 '
    has 'nginx_http_requests_total{server="one",location="/",status="200"} 3'
    has 'nginx_http_requests_total{server="one",location="= /exact",status="204"} 1'
    has 'nginx_http_requests_total{server="one",location="~ \\.php$",status="403"} 2'
    has 'nginx_http_requests_total{server="one",location="/files/",status="404"} 1'
    has 'nginx_http_requests_total{server="one",location="/files/",status="418"} 1'
    has 'nginx_http_requests_total{server="one",location="-",status="400"} 1'
    has 'nginx_http_request_duration_seconds_count{server="one",location="/"} 3'
    log_is_counted
    [[ $(wc -l <"$scratch/access.log") -eq 9 ]]
}
