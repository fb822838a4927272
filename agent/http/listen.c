/* SPDX-License-Identifier: MIT
 *
 * listen.c - listening sockets, TCP and in the file system. Called at start and at the end only:
 * resolving a name may block.
 */
#include "agent/http/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
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
    if (strstr(address, "://"))
        return refuse(why, -EINVAL, "no scheme or path belongs there, only host:port");
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

/* Where a socket lies in the file system, and who may connect to it. */
struct unix_place {
    struct sockaddr_un address;
    mode_t mode;
    char group[64]; /* "": the process' own */
};

static int set_mode(struct unix_place *out, const char *text, char why[LISTEN_WHY_SIZE])
{
    char *end;
    unsigned long mode = strtoul(text, &end, 8);
    if (text[0] < '0' || text[0] > '7' || *end || mode > 0777 || (mode & 0600) != 0600)
        return refuse(why, -EINVAL, "mode= must be octal, 0600 to 0777, and let its owner in");
    out->mode = (mode_t)mode;
    return 0;
}

static int set_group(struct unix_place *out, const char *text, char why[LISTEN_WHY_SIZE])
{
    if (!text[0] || strlen(text) >= sizeof out->group)
        return refuse(why, -EINVAL, "group= must be the name of a group");
    strcpy(out->group, text);
    return 0;
}

static int set_rights(struct unix_place *out, const char *query, char why[LISTEN_WHY_SIZE])
{
    char text[128], *rest = text, *word;
    int rc = 0;
    if (strlen(query) >= sizeof text)
        return refuse(why, -EINVAL, "what follows the path is too long");
    strcpy(text, query);
    while (rc == 0 && (word = strsep(&rest, "&"))) {
        if (strncmp(word, "mode=", 5) == 0)
            rc = set_mode(out, word + 5, why);
        else if (strncmp(word, "group=", 6) == 0)
            rc = set_group(out, word + 6, why);
        else
            rc = refuse(why, -EINVAL, "after the path only ?mode=OCTAL and &group=NAME may follow");
    }
    return rc;
}

static int parse_unix(const char *text, struct unix_place *out, char why[LISTEN_WHY_SIZE])
{
    const char *query = strchrnul(text, '?');
    size_t length = (size_t)(query - text);
    *out = (struct unix_place){.address.sun_family = AF_UNIX, .mode = 0600};
    if (text[0] != '/')
        return refuse(why, -EINVAL, "the path must be absolute");
    if (length >= sizeof out->address.sun_path)
        return refuse(why, -EINVAL, "the path is longer than the 107 bytes of a socket's");
    memcpy(out->address.sun_path, text, length);
    return *query ? set_rights(out, query + 1, why) : 0;
}

int listen_check(const char *address, char why[LISTEN_WHY_SIZE])
{
    struct unix_place place;
    struct host_port tcp;
    return is_unix(address) ? parse_unix(address + strlen(UNIX_PREFIX), &place, why)
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

static bool is_loopback(const struct sockaddr_storage *bound)
{
    if (bound->ss_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)bound)->sin_addr.s_addr) >> 24 == 127;
    const struct in6_addr *address = &((const struct sockaddr_in6 *)bound)->sin6_addr;
    return IN6_IS_ADDR_LOOPBACK(address) ||
           (IN6_IS_ADDR_V4MAPPED(address) && address->s6_addr[12] == 127);
}

static int name_tcp(const struct sockaddr_storage *bound, socklen_t length,
                    struct listen_socket *out)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    if (getnameinfo((const struct sockaddr *)bound, length, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return -EINVAL;
    const char *form = bound->ss_family == AF_INET6 ? "[%.120s]:%.6s" : "%.120s:%.6s";
    snprintf(out->name, sizeof out->name, form, host, port);
    out->scope = is_loopback(bound) ? LISTEN_LOOPBACK : LISTEN_NETWORK;
    return 0;
}

/* An address that is no path begins with a NUL, which is written as @. */
static void name_unix(const struct sockaddr_un *bound, socklen_t length, struct listen_socket *out)
{
    size_t n = length > offsetof(struct sockaddr_un, sun_path)
                   ? length - offsetof(struct sockaddr_un, sun_path)
                   : 0;
    bool abstract = n > 0 && !bound->sun_path[0];
    snprintf(out->name, sizeof out->name, UNIX_PREFIX "%s%.*s", abstract ? "@" : "",
             (int)(abstract ? n - 1 : n), bound->sun_path + abstract);
    out->scope = LISTEN_FILE_SYSTEM;
}

/* Fill in what it is bound to. */
static int describe(struct listen_socket *socket)
{
    struct sockaddr_storage bound = {0};
    socklen_t length = sizeof bound;
    if (getsockname(socket->fd, (struct sockaddr *)&bound, &length) < 0)
        return -errno;
    if (bound.ss_family == AF_UNIX)
        name_unix((const struct sockaddr_un *)&bound, length, socket);
    else if (bound.ss_family == AF_INET || bound.ss_family == AF_INET6)
        return name_tcp(&bound, length, socket);
    else
        return -EAFNOSUPPORT;
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
    rc = describe(out);
    if (rc < 0) {
        close(fd);
        return refuse(why, rc, strerror(-rc));
    }
    return 0;
}

/* Remove a socket that an agent left behind when it was killed: one that refuses connections. What
 * is no socket stays: -EEXIST. Of any other trouble bind(2) tells. */
static int remove_stale(const struct sockaddr_un *address)
{
    struct stat st;
    if (lstat(address->sun_path, &st) < 0)
        return 0;
    if (!S_ISSOCK(st.st_mode))
        return -EEXIST;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return 0;
    if (connect(fd, (const struct sockaddr *)address, sizeof *address) < 0 && errno == ECONNREFUSED)
        unlink(address->sun_path);
    close(fd);
    return 0;
}

static int find_group(const char *name, gid_t *out, char why[LISTEN_WHY_SIZE])
{
    *out = (gid_t)-1;
    if (!name[0])
        return 0;
    const struct group *group = getgrnam(name);
    if (!group)
        return refuse(why, -ENOENT, "there is no such group");
    *out = group->gr_gid;
    return 0;
}

/* Nobody can connect before listen(2), and by then it has its mode. */
static int bind_unix(int fd, const struct unix_place *place, gid_t group)
{
    const char *path = place->address.sun_path;
    mode_t before = umask(0177);
    int rc = bind(fd, (const struct sockaddr *)&place->address, sizeof place->address);
    umask(before);
    if (rc < 0)
        return -errno;
    if ((group != (gid_t)-1 && lchown(path, (uid_t)-1, group) < 0) ||
        chmod(path, place->mode) < 0 || listen(fd, BACKLOG) < 0) {
        rc = -errno;
        unlink(path);
    }
    return rc;
}

static int refuse_unix(char why[LISTEN_WHY_SIZE], int code)
{
    if (code == -EPERM)
        return refuse(why, code,
                      "the group can only be one that the agent is in; a socket unit "
                      "of systemd can give others, by SocketGroup=");
    if (code == -EEXIST)
        return refuse(why, code,
                      "what has this name is no socket; remove it or choose another path");
    return code == -EADDRINUSE ? refuse_bind(why, code) : refuse(why, code, strerror(-code));
}

static int open_unix(const char *text, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    struct unix_place place;
    struct stat st = {0};
    gid_t group = (gid_t)-1;
    int rc = parse_unix(text, &place, why);
    if (rc == 0)
        rc = find_group(place.group, &group, why);
    if (rc < 0)
        return rc;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return refuse(why, -errno, strerror(errno));
    rc = remove_stale(&place.address);
    if (rc == 0)
        rc = bind_unix(fd, &place, group);
    if (rc == 0 && lstat(place.address.sun_path, &st) < 0)
        rc = -errno;
    if (rc < 0) {
        close(fd);
        return refuse_unix(why, rc);
    }
    *out = (struct listen_socket){.fd = fd, .device = st.st_dev, .inode = st.st_ino};
    return describe(out);
}

int listen_adopt(int fd, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    int type = 0, accepts = 0;
    socklen_t length = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) < 0 || type != SOCK_STREAM)
        return refuse(why, -EINVAL, "not a stream socket");
    length = sizeof accepts;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &length) < 0 || !accepts)
        return refuse(why, -EINVAL, "not a listening socket; its unit needs Accept=no");
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return refuse(why, -errno, strerror(errno));
    *out = (struct listen_socket){.fd = fd};
    int rc = describe(out);
    return rc < 0 ? refuse(why, rc, "neither TCP nor a socket in the file system") : 0;
}

int listen_open(const char *address, struct listen_socket *out, char why[LISTEN_WHY_SIZE])
{
    return is_unix(address) ? open_unix(address + strlen(UNIX_PREFIX), out, why)
                            : open_tcp(address, out, why);
}

const char *listen_path(const struct listen_socket *socket)
{
    return socket->inode ? socket->name + strlen(UNIX_PREFIX) : NULL;
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
