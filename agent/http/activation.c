/* SPDX-License-Identifier: MIT
 *
 * activation.c - LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES. Called at start, before there is
 * another thread: it changes the environment.
 */
#include "agent/http/activation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FIRST = 3 }; /* behind the standard streams */

/* A number that is all of a variable; -1: there is none. */
static long number_of(const char *variable)
{
    const char *text = getenv(variable);
    char *end;
    if (!text || text[0] < '0' || text[0] > '9')
        return -1;
    errno = 0;
    long n = strtol(text, &end, 10);
    return errno || *end ? -1 : n;
}

/* The nth of the names, which colons separate. */
static void name_of(size_t nth, char out[ACTIVATION_NAME_SIZE])
{
    const char *name = getenv("LISTEN_FDNAMES");
    for (; name && nth > 0; nth--) {
        name = strchr(name, ':');
        name = name ? name + 1 : NULL;
    }
    snprintf(out, ACTIVATION_NAME_SIZE, "%.*s", name ? (int)strcspn(name, ":") : 0,
             name ? name : "");
}

static int take(struct activation out[], size_t n, char why[LISTEN_WHY_SIZE])
{
    for (size_t i = 0; i < n; i++) {
        char rule[LISTEN_WHY_SIZE];
        int fd = FIRST + (int)i;
        if (listen_adopt(fd, &out[i].socket, rule) < 0) {
            snprintf(why, LISTEN_WHY_SIZE, "descriptor %d is %.200s", fd, rule);
            return -EINVAL;
        }
        name_of(i, out[i].name);
    }
    return (int)n;
}

int activation_take(struct activation out[], size_t most, char why[LISTEN_WHY_SIZE])
{
    long n = number_of("LISTEN_FDS");
    int rc = 0;
    if (number_of("LISTEN_PID") != (long)getpid())
        n = 0; /* they are of a process that we are a child of */
    if (n > (long)most) {
        snprintf(why, LISTEN_WHY_SIZE, "there are %ld sockets, %zu are the most", n, most);
        rc = -EINVAL;
    } else if (n > 0) {
        rc = take(out, (size_t)n, why);
    }
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
    return rc;
}
