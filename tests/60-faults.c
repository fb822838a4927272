/* SPDX-License-Identifier: MIT
 *
 * 60-faults.c - programs in which system calls fail: shim/faults.c is loaded before all other
 * libraries. smx-agent, where any one call that it or its libraries make for a scrape fails, or
 * every one from there on: it lives on, and the scrape after that is whole. And the demo server,
 * where no call succeeds that a segment needs: it serves on.
 */
#include "shim/faults.h"
#include "support/process.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/smx.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

static const int errors[] = {EIO, ENOMEM, EMFILE, EINTR, ENFILE, ECONNABORTED};
enum { ERRORS = sizeof errors / sizeof errors[0], SHORT_MS = 100 };

static char directory[SCRATCH_SIZE], control[96], address[96];
static uint32_t *ready;
static pid_t agent;

static int be_application(void *argument)
{
    smx_segment *segment;
    struct smx_options options = {.app = "shop", .directory = directory};
    (void)argument;
    CHECK(smx_open(&options, &segment, NULL) == 0);
    smx_counter_add(smx_counter_new(segment, &(struct smx_metric){.name = "orders_total"}, NULL),
                    41);
    smx_gauge_set(smx_gauge_new(segment, &(struct smx_metric){.name = "busy"}, NULL), 7);
    worker_arrive(ready);
    return pause(); /* it dies with the test */
}

/* A connection to "unix:PATH" or to a port of 127.0.0.1. */
static int dial(const char *to, unsigned wait_ms)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval wait = {wait_ms / 1000, wait_ms % 1000 * 1000};
    bool local = strncmp(to, "unix:", 5) == 0;
    snprintf(path.sun_path, sizeof path.sun_path, "%s", to + 5);
    port.sin_port = htons((uint16_t)atoi(local ? "0" : strrchr(to, ':') + 1));
    int fd = socket(local ? AF_UNIX : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait) == 0 &&
        (local ? connect(fd, (struct sockaddr *)&path, sizeof path)
               : connect(fd, (struct sockaddr *)&port, sizeof port)) == 0)
        return fd;
    close(fd);
    return -1;
}

/* What comes for a request until the end, a reset or a while without anything. */
static const char *get(const char *to, const char *page, unsigned wait_ms)
{
    static char answer[1 << 17];
    char request[128];
    int n = snprintf(request, sizeof request,
                     "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", page);
    size_t length = 0;
    int fd = dial(to, wait_ms);
    if (fd >= 0 && send(fd, request, (size_t)n, MSG_NOSIGNAL) == n)
        for (ssize_t more; (more = read(fd, answer + length, sizeof answer - 1 - length)) > 0;)
            length += (size_t)more;
    close(fd);
    answer[length] = '\0';
    return answer;
}

static bool is_complete(const char *answer)
{
    return strncmp(answer, "HTTP/1.1 200 ", 13) == 0 &&
           strstr(answer, "\norders_total{app=\"shop\"} 41\n") &&
           strstr(answer, "\nbusy{app=\"shop\"} 7\n");
}

static bool is_up(void *unused)
{
    (void)unused;
    return is_complete(get(address, "/metrics", PATIENCE_MS));
}

static unsigned open_fds(void)
{
    char path[64];
    unsigned n = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)agent);
    DIR *dir = opendir(path);
    while (dir && readdir(dir))
        n++;
    if (dir)
        closedir(dir);
    return n;
}

static bool has_fds(void *number)
{
    return open_fds() <= *(unsigned *)number;
}

/* Start an agent under the shim, which finds the file by the environment. */
static void start(const char *loop)
{
    char segments[96], listen[128], option[32];
    snprintf(segments, sizeof segments, "--segments.dir=%s", directory);
    snprintf(listen, sizeof listen, "--web.listen-address=%s", address);
    snprintf(option, sizeof option, "--loop=%s", loop);
    agent = process_start((const char *const[]){"smx-agent", segments, listen, option,
                                                "--log.level=error", "--scrape.max-age=0", NULL},
                          NULL);
    assert_true(agent > 0 && eventually(is_up, NULL));
}

/* Scrape while calls fail, waiting so long for an answer, then once more. Returns: the calls there
 * were. */
static uint32_t try(uint32_t first, uint32_t last, int error, unsigned wait_ms)
{
    faults_arm(first, last, error);
    (void)get(address, "/metrics", wait_ms);
    uint32_t calls = faults_end();
    assert_int_equal(kill(agent, 0), 0);
    const char *answer = get(address, "/metrics", PATIENCE_MS);
    if (!is_complete(answer))
        fail_msg("calls %u to %u fail with %s (%s), the next scrape is: %.1000s", first, last,
                 strerrorname_np(error), faults->name, answer);
    return calls;
}

static void sweep(const char *loop)
{
    start(loop);
    unsigned fds = open_fds();
    size_t turn = 0, each = scaled(1) < ERRORS ? scaled(1) : ERRORS, runs = 0;
    uint32_t calls = try(UINT32_MAX, UINT32_MAX, EIO, PATIENCE_MS);
    assert_in_range(calls, 20, 1000);
    for (uint32_t n = 1; n <= calls; n++)
        for (size_t i = 0; i < each; i++, runs += 2) {
            (void)try(n, n, errors[turn % ERRORS], SHORT_MS);
            (void)try(n, FAULTS_FOR_EVER, errors[turn % ERRORS], SHORT_MS);
            turn++;
        }
    print_message("# %u calls, %zu runs\n", calls, runs);
    assert_true(eventually(has_fds, &fds));
    assert_int_equal(process_stop(agent, SIGTERM), 0);
}

static void calls_of_an_agent_on_epoll_can_fail(void **state)
{
    (void)state;
    sweep("epoll");
}

static void calls_of_an_agent_on_io_uring_can_fail(void **state)
{
    (void)state;
    sweep("auto");
}

/* Start the demo while all calls of a name fail, and have it serve. */
static void serve_without(const char *call, int error)
{
    char where[64] = "";
    int out;
    snprintf(faults->only, sizeof faults->only, "%s", call);
    faults_arm(1, FAULTS_FOR_EVER, error);
    pid_t demo = process_start(
        (const char *const[]){"smx-demo", "--listen", "127.0.0.1:0", "--workers", "2", NULL}, &out);
    assert_true(demo > 0 && read(out, where, sizeof where - 1) > 0);
    for (int i = 0; i < 5; i++)
        if (!strstr(get(where, "/fast", PATIENCE_MS), "\r\n\r\nok"))
            fail_msg("%s fails with %s: no answer", call, strerrorname_np(error));
    assert_true(faults_end() > 0);
    faults->only[0] = '\0';
    assert_int_equal(process_stop(demo, SIGTERM), 0);
    close(out);
}

static void a_server_serves_on_where_its_segment_cannot_be_had(void **state)
{
    static const char *const calls[] = {"fallocate", "ftruncate", "fchmod", "linkat",
                                        "mprotect",  "fstatfs",   "openat", "fstatat"};
    (void)state;
    assert_int_equal(setenv("SMX_DIR", directory, 1), 0);
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        serve_without(calls[i], ENOSPC);
        serve_without(calls[i], EIO);
    }
}

/* The shim lies beside this program. */
static void set_environment(void)
{
    char path[PATH_MAX], library[PATH_MAX + 16];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    if (strrchr(path, '/'))
        *strrchr(path, '/') = '\0';
    snprintf(library, sizeof library, "%s/libfaults.so", path);
    setenv("LD_PRELOAD", library, 1);
    setenv("SMX_FAULTS", control, 1);
    /* The sanitizer's library does not mind. */
    setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
}

static int set_up(void **state)
{
    (void)state;
    assert_int_equal(scratch_make(directory), 0);
    snprintf(control, sizeof control, "%s/faults", directory);
    snprintf(address, sizeof address, "unix:%s/socket", directory);
    int fd = open(control, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(ftruncate(fd, sizeof *faults), 0);
    faults = mmap(NULL, sizeof *faults, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    assert_true(faults != MAP_FAILED);
    assert_true(worker_start(be_application, NULL) > 0 && worker_reach(ready, 1));
    set_environment();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    unsetenv("LD_PRELOAD");
    scratch_remove(directory);
    return 0;
}

int main(void)
{
    ready = worker_shared(sizeof *ready);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_of_an_agent_on_epoll_can_fail),
        cmocka_unit_test(calls_of_an_agent_on_io_uring_can_fail),
        cmocka_unit_test(a_server_serves_on_where_its_segment_cannot_be_had),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return ready && !cmocka_run_group_tests(tests, set_up, tear_down) ? 0 : 1;
}
