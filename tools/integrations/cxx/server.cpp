/* SPDX-License-Identifier: MIT
 *
 * server.cpp - a small prefork HTTP server, to show what metrics add to one: see metrics.hpp, and
 * where `metrics` is used below. A master forks workers and replaces those that end; each worker is
 * an epoll loop over the shared listening socket and its connections, which stay open. It speaks
 * GET and HEAD without bodies, pipelined too, and gives up on a client that does not read.
 */
#include "metrics.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <unordered_map>

namespace
{

constexpr std::size_t max_head = 8192;
constexpr std::size_t max_path = 1024;

struct request {
    method what;
    route where;
    std::string_view path;
    bool last; /* the connection closes behind its answer */
};

request parse(std::string_view head)
{
    const std::string_view line = head.substr(0, head.find("\r\n"));
    const std::size_t space = line.find(' ');
    const std::string_view name = line.substr(0, space);
    std::string_view path = space == line.npos ? "" : line.substr(space + 1);
    path = path.substr(0, path.find(' '));
    const method what = name == "GET" ? method::get : name == "HEAD" ? method::head : method::other;
    const route where = path == "/"                                                ? route::root
                        : path.substr(0, 6) == "/item/" && path.size() <= max_path ? route::item
                                                                                   : route::other;
    const bool old = line.size() < 8 || line.substr(line.size() - 8) != "HTTP/1.1";
    return {what, where, path, old || what == method::other};
}

/* Send it, or give up. */
template <typename Metrics> bool answer(int fd, std::string_view head, const Metrics &metrics)
{
    const request r = parse(head);
    [[maybe_unused]] const auto life = metrics.begin(r.where);
    const status result = r.what == method::other   ? status::not_allowed
                          : r.where == route::other ? status::not_found
                                                    : status::ok;
    const char *const code = smx::label_values<status>::names[static_cast<int>(result)];
    char body[max_path + 8];
    const int length = result == status::ok && r.where == route::item
                           ? std::snprintf(body, sizeof body, "item %.*s\n",
                                           static_cast<int>(r.path.size() - 6), r.path.data() + 6)
                           : std::snprintf(body, sizeof body, "%s\n", code);
    char text[sizeof body + 128];
    int n =
        std::snprintf(text, sizeof text, "HTTP/1.1 %s %s\r\nContent-Length: %d\r\n%s\r\n%s", code,
                      result == status::ok ? "OK" : "Error", length,
                      r.last ? "Connection: close\r\n" : "", r.what == method::head ? "" : body);
    /* Before it is sent: every answer that a client has got is counted, whatever happens next. */
    metrics.answer(r.what, r.where, result, static_cast<std::size_t>(n));
    return send(fd, text, static_cast<std::size_t>(n), MSG_NOSIGNAL | MSG_DONTWAIT) == n && !r.last;
}

/* Answer what has arrived. False: the connection is to be closed. */
template <typename Metrics> bool serve(int fd, std::string &arrived, const Metrics &metrics)
{
    char some[4096];
    const ssize_t n = recv(fd, some, sizeof some, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && (errno == EAGAIN || errno == EINTR);
    arrived.append(some, static_cast<std::size_t>(n));
    std::size_t done = 0;
    for (std::size_t end; (end = arrived.find("\r\n\r\n", done)) != arrived.npos; done = end + 4)
        if (!answer(fd, std::string_view(arrived).substr(done, end + 2 - done), metrics))
            return false;
    arrived.erase(0, done);
    return arrived.size() <= max_head;
}

bool watch(int epoll, int fd)
{
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

/* A worker's life: until a signal ends it. */
template <typename Metrics> int work(int listener, const Metrics &metrics)
{
    std::unordered_map<int, std::string> arrived; /* by connection */
    const int epoll = epoll_create1(EPOLL_CLOEXEC);
    if (epoll < 0 || !watch(epoll, listener))
        return EXIT_FAILURE;
    metrics.start_worker();
    for (;;) {
        epoll_event events[64];
        const int n = epoll_wait(epoll, events, 64, -1);
        for (int i = 0; i < n; i++) {
            const int fd = events[i].data.fd;
            if (fd != listener && !serve(fd, arrived[fd], metrics)) {
                arrived.erase(fd);
                close(fd);
            } else if (fd == listener) {
                const int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
                if (client >= 0 && watch(epoll, client))
                    arrived[client];
                else if (client >= 0)
                    close(client);
            } else {
                continue;
            }
            metrics.connections(arrived.size());
        }
    }
}

template <typename Metrics> pid_t spawn(int listener, const sigset_t &none, const Metrics &metrics)
{
    const pid_t master = getpid();
    const pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigprocmask(SIG_SETMASK, &none, nullptr);
    _exit(getppid() == master ? work(listener, metrics) : EXIT_FAILURE);
}

/* The master's life: until SIGTERM or SIGINT, or a worker that cannot even start. */
template <typename Metrics> int run(int listener, int workers, const Metrics &metrics)
{
    if (metrics.complaint())
        std::fprintf(stderr, "smx-cxx-server: metrics: %s\n", metrics.complaint());
    sigset_t signals;
    sigset_t before;
    sigemptyset(&signals);
    for (const int signo : {SIGCHLD, SIGTERM, SIGINT})
        sigaddset(&signals, signo);
    sigprocmask(SIG_BLOCK, &signals, &before);
    for (int i = 0; i < workers; i++)
        spawn(listener, before, metrics);
    for (int signo = 0; signo != SIGTERM && signo != SIGINT;) {
        signo = sigwaitinfo(&signals, nullptr);
        for (int status; waitpid(-1, &status, WNOHANG) > 0;) {
            if (WIFEXITED(status))
                return EXIT_FAILURE;
            spawn(listener, before, metrics);
        }
    }
    return EXIT_SUCCESS; /* the workers end with their parent */
}

int listen_on(unsigned short port)
{
    sockaddr_in address{};
    socklen_t size = sizeof address;
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto *const generic = reinterpret_cast<sockaddr *>(&address);
    const int on = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0 ||
        bind(fd, generic, size) < 0 || listen(fd, 512) < 0 || getsockname(fd, generic, &size) < 0)
        return -1;
    std::printf("http://127.0.0.1:%d\n", ntohs(address.sin_port));
    std::fflush(stdout);
    return fd;
}

} // namespace

int main(int argc, char **argv)
{
    const bool without = argc == 4 && std::strcmp(argv[3], "--no-metrics") == 0;
    const int port = argc >= 3 ? std::atoi(argv[1]) : -1;
    const int workers = argc >= 3 ? std::atoi(argv[2]) : 0;
    if (port < 0 || port > 65535 || workers < 1 || workers > 1000 || (argc != 3 && !without)) {
        std::fputs("usage: smx-cxx-server PORT WORKERS [--no-metrics]\n", stderr);
        return 2;
    }
    const int listener = listen_on(static_cast<unsigned short>(port));
    if (listener < 0) {
        std::perror("smx-cxx-server");
        return EXIT_FAILURE;
    }
    if (without)
        return run(listener, workers, no_metrics());
    return run(listener, workers, metrics());
}
