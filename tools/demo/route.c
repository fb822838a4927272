/* SPDX-License-Identifier: MIT
 *
 * route.c - what the server has to say. Runs in a worker; knows nothing of sockets and metrics.
 */
#include "route.h"

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { WORK_NS = 1000 * 1000, WORK_CHUNK = 20000 };

static const char *const names[ROUTES] = {
    [ROUTE_ROOT] = "/",       [ROUTE_FAST] = "/fast",  [ROUTE_WORK] = "/work",
    [ROUTE_ERROR] = "/error", [ROUTE_OTHER] = "other",
};

const char *route_name(enum route route)
{
    return names[route];
}

enum route route_find(const char *path, size_t length)
{
    for (enum route r = ROUTE_ROOT; r < ROUTE_OTHER; r++)
        if (strlen(names[r]) == length && memcmp(names[r], path, length) == 0)
            return r;
    return ROUTE_OTHER;
}

static uint64_t cpu_time_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* A millisecond of this thread's own CPU time, however often it is preempted. */
static uint64_t burn(void)
{
    uint64_t x = 88172645463325252u;
    for (uint64_t end = cpu_time_ns() + WORK_NS; cpu_time_ns() < end;)
        for (int i = 0; i < WORK_CHUNK; i++) {
            x ^= x << 13;
            x ^= x >> 7;
            x ^= x << 17;
        }
    return x;
}

enum http_status route_answer(enum route route, enum http_method method, char body[ROUTE_BODY_SIZE])
{
    if (method == HTTP_OTHER) {
        strcpy(body, "GET and HEAD are served here.\n");
        return HTTP_405;
    }
    switch (route) {
    case ROUTE_ROOT:
        strcpy(body, "smx-demo: try /fast, /work (a millisecond of CPU), /error (a 500).\n");
        return HTTP_200;
    case ROUTE_FAST:
        strcpy(body, "ok\n");
        return HTTP_200;
    case ROUTE_WORK:
        snprintf(body, ROUTE_BODY_SIZE, "%016" PRIx64 "\n", burn());
        return HTTP_200;
    case ROUTE_ERROR:
        strcpy(body, "This failed, as asked.\n");
        return HTTP_500;
    default:
        strcpy(body, "There is no such page.\n");
        return HTTP_404;
    }
}
