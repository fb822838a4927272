/* SPDX-License-Identifier: MIT
 *
 * hosts.c - names and addresses in the header Host. Pure.
 *
 * An address in digits is what the browser went to by itself: nobody can make it lead elsewhere.
 */
#include "agent/web/hosts.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

enum { HOST_MAX = 255 };

static bool is_ipv6(const char *host, size_t length)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr address;
    if (length < 2 || length - 2 >= sizeof text || host[0] != '[' || host[length - 1] != ']')
        return false;
    memcpy(text, host + 1, length - 2);
    text[length - 2] = 0;
    return inet_pton(AF_INET6, text, &address) == 1;
}

static bool is_name(const char *host, const char *name)
{
    size_t length = strlen(host), n = strlen(name);
    if (length > 0 && host[length - 1] == '.')
        length--;
    return length == n && strncasecmp(host, name, n) == 0;
}

/* Resolvers keep what is below localhost on this machine. */
static bool is_localhost(const char *host)
{
    static const char suffix[] = ".localhost";
    size_t length = strlen(host), n = sizeof suffix - 1;
    return is_name(host, "localhost") || (length > n && strcasecmp(host + length - n, suffix) == 0);
}

/* Cut off the port. Returns false if that is none. */
static bool take_host(const char *text, char out[HOST_MAX + 1])
{
    size_t length = text[0] == '[' ? strcspn(text, "]") : strcspn(text, ":");
    if (text[0] == '[' && text[length])
        length++;
    if (length == 0 || length > HOST_MAX)
        return false;
    const char *port = text + length;
    if (*port && (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1)))
        return false;
    memcpy(out, text, length);
    out[length] = 0;
    return true;
}

bool hosts_know(const char *text, const char *const names[], size_t n)
{
    char host[HOST_MAX + 1];
    struct in_addr ipv4;
    if (!take_host(text, host))
        return false;
    if (is_localhost(host) || inet_pton(AF_INET, host, &ipv4) == 1 || is_ipv6(host, strlen(host)))
        return true;
    for (size_t i = 0; i < n; i++)
        if (is_name(host, names[i]))
            return true;
    return false;
}

bool hosts_check(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._";
    size_t length = strlen(name);
    return length > 0 && length <= HOST_MAX && strspn(name, letters) == length;
}
