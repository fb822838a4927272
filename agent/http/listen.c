/* SPDX-License-Identifier: MIT
 *
 * listen.c - listening sockets, TCP and in the file system. Called at start and at the end only:
 * resolving a name may block.
 */
#include "agent/http/listen.h"

#include <errno.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define UNIX_PREFIX "unix:"

/* As long as the system lets it be: a flood of connections must leave room for a scraper's. */
enum { BACKLOG = SOMAXCONN };

struct host_port {
    char host[256]; /* "": every address */
    char port[6];
};

static int refuse(char why[LISTEN_WHY_SIZE], int code, const char *text)
{
    snprintf(why, LISTEN_WHY_SIZE, "%s", text);
    return code;
}

static bool is_unix(const char *address)
{
    return strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0;
}

static bool is_port(const char *text)
{
    size_t length = strlen(text);
    return length >= 1 && length <= 5 && strspn(text, "0123456789") == length &&
           strtoul(text, NULL, 10) <= 65535;
}

/* The last colon ends the host; only a bracketed host may have colons itself. */
static int split(const char *address, struct host_port *out, char why[LISTEN_WHY_SIZE])
{
    const char *colon = strrchr(address, ':');
    if (!colon || !is_port(colon + 1))
        return refuse(why, -EINVAL, "must end in a port, :0 to :65535 (or begin with unix:)");
    const char *host = address;
    size_t length = (size_t)(colon - address);
    if (length >= 2 && host[0] == '[' && host[length - 1] == ']') {
        host++;
        length -= 2;
    } else if (memchr(host, ':', length) || memchr(host, '[', length)) {
        return refuse(why, -EINVAL, "an IPv6 address must be in brackets");
    }
    if (length >= sizeof out->host)
        return refuse(why, -EINVAL, "the host is too long");
    memcpy(out->host, host, length);
    out->host[length] = 0;
    strcpy(out->port, colon + 1);
    return 0;
}

static int check_unix(const char *path, struct sockaddr_un *out, char why[LISTEN_WHY_SIZE])
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    if (path[0] != '/')
        return refuse(why, -EINVAL, "the path must be absolute");
    if (strlen(path) >= sizeof out->sun_path)
        return refuse(why, -EINVAL, "the path is longer than the 107 bytes of a socket's");
    strcpy(out->sun_path, path);
    return 0;
}

int listen_check(const char *address, char why[LISTEN_WHY_SIZE])
{
    struct sockaddr_un path;
    struct host_port tcp;
    return is_unix(address) ? check_unix(address + strlen(UNIX_PREFIX), &path, why)
                            : split(address, &tcp, why);
}

static int refuse_bind(char why[LISTEN_WHY_SIZE], int code)
{
    if (code == -EADDRINUSE)
        return refuse(why, code, "in use by another process; stop it or choose another address");
    if (code == -EACCES)
        return refuse(why, code, "permission denied; ports below 1024 need CAP_NET_BIND_SERVICE");
    return refuse(why, code, strerror(-code));
}

static int name_of(int fd, char name[LISTEN_NAME_SIZE])
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getsockname(fd, (struct sockaddr *)&bound, &length) < 0)
        return -errno;
    if (getnameinfo((struct sockaddr *)&bound, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -EINVAL;
    const char *form = bound.ss_family == AF_INET6 ? "[%.120s]:%.6s" : "%.120s:%.6s";
    snprintf(name, LISTEN_NAME_SIZE, form, host, port);
    return 0;
}

/* A [::] socket takes IPv4 too only with IPV6_V6ONLY off, whatever the system's default is. */
static int bind_tcp(const struct addrinfo *info, bool every_address)
{
    int on = 1, only = !every_address;
    int fd = socket(info->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (info->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &only, sizeof only);
    if (bind(fd, info->ai_addr, info->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0) {
        int rc = -errno;
        close(fd);
        return rc;
    }
    return fd;
}

/* With no host: [::] first, which takes IPv4 too; 0.0.0.0 on a machine without IPv6. */
static int bind_every(const struct addrinfo *list)
{
    int fd = -EAFNOSUPPORT;
    for (int family = AF_INET6; family != 0; family = family == AF_INET6 ? AF_INET : 0)
        for (const struct addrinfo *info = list; info; info = info->ai_next) {
            if (info->ai_family != family)
                continue;
            fd = bind_tcp(info, true);
            if (fd >= 0 || fd == -EADDRINUSE)
                return fd;
        }
    return fd;
}

static int open_tcp(const char *address, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    struct host_port at = {0};
    int rc = split(address, &at, why);
    if (rc < 0)
        return rc;
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int error = getaddrinfo(at.host[0] ? at.host : NULL, at.port, &hints, &list);
    if (error != 0)
        return refuse(why, -EINVAL, gai_strerror(error));
    int fd = at.host[0] ? bind_tcp(list, false) : bind_every(list);
    freeaddrinfo(list);
    if (fd < 0)
        return refuse_bind(why, fd);
    *out = (struct listen_socket){.fd = fd};
    rc = name_of(fd, out->name);
    if (rc < 0) {
        close(fd);
        return refuse(why, rc, strerror(-rc));
    }
    return 0;
}

/* Remove a socket that an agent left behind when it was killed: one that refuses connections. What
 * is no socket stays, and bind(2) says that the address is in use. */
static void remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
}

static int open_unix(const char *path, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    struct sockaddr_un address;
    struct stat st;
    int rc = check_unix(path, &address, why);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return refuse(why, -errno, strerror(errno));
    remove_stale(&address);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) < 0 || listen(fd, BACKLOG) < 0 ||
        lstat(path, &st) < 0) {
        rc = -errno;
        close(fd);
        return rc == -EADDRINUSE ? refuse_bind(why, rc) : refuse(why, rc, strerror(-rc));
    }
    *out = (struct listen_socket){.fd = fd, .device = st.st_dev, .inode = st.st_ino};
    snprintf(out->name, sizeof out->name, UNIX_PREFIX "%s", path);
    return 0;
}

int listen_open(const char *address, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    return is_unix(address) ? open_unix(address + strlen(UNIX_PREFIX), out, why)
                            : open_tcp(address, out, why);
}

const char *listen_path(const struct listen_socket *socket)
{
    return is_unix(socket->name) ? socket->name + strlen(UNIX_PREFIX) : NULL;
}

void listen_close(struct listen_socket *socket)
{
    struct stat st;
    const char *path = listen_path(socket);
    close(socket->fd);
    socket->fd = -1;
    if (path && lstat(path, &st) == 0 && st.st_dev == socket->device && st.st_ino == socket->inode)
        unlink(path);
}
