/* SPDX-License-Identifier: MIT
 *
 * 40-listen.c - listening sockets: who may connect to one in the file system, from where one can be
 * reached, and those that somebody else has opened.
 */
#include "agent/http/listen.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char directory[SCRATCH_SIZE];

static void open_as(const char *format, struct listen_socket *out)
{
    char address[256], why[LISTEN_WHY_SIZE] = "";
    snprintf(address, sizeof address, format, directory);
    int rc = listen_open(address, out, why);
    if (rc < 0)
        fail_msg("%s: %s", address, why);
}

static void a_file_is_its_owners_unless_told(void **state)
{
    static const struct {
        const char *address;
        mode_t mode;
    } cases[] = {{"unix:%s/a", 0600},
                 {"unix:%s/a?mode=0660", 0660},
                 {"unix:%s/a?mode=777", 0777},
                 {"unix:%s/a?mode=0606", 0606}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (mode_t mask = 0; mask <= 077; mask += 077) {
            struct listen_socket socket;
            struct stat st;
            mode_t before = umask(mask);
            open_as(cases[i].address, &socket);
            assert_int_equal(umask(before), mask);
            char path[SCRATCH_SIZE + 8];
            snprintf(path, sizeof path, "%s/a", directory);
            assert_string_equal(listen_path(&socket), path);
            assert_int_equal(stat(path, &st), 0);
            assert_int_equal(st.st_mode & 0777, cases[i].mode);
            assert_int_equal(socket.scope, LISTEN_FILE_SYSTEM);
            listen_close(&socket);
            assert_int_equal(access(path, F_OK), -1);
        }
}

static void a_group_is_given_by_name(void **state)
{
    (void)state;
    char address[512], why[LISTEN_WHY_SIZE];
    struct listen_socket socket;
    struct stat st;
    gid_t gid = getuid() == 0 ? 1 : getgid(); /* daemon has it everywhere */
    const struct group *group = getgrgid(gid);
    if (!group) {
        fprintf(stderr, "# the group %u has no name\n", (unsigned)gid);
        return;
    }
    snprintf(address, sizeof address, "unix:%s/a?mode=0660&group=%s", directory, group->gr_name);
    assert_int_equal(listen_open(address, &socket, why), 0);
    assert_int_equal(stat(listen_path(&socket), &st), 0);
    assert_int_equal(st.st_gid, gid);
    assert_int_equal(st.st_mode & 0777, 0660);
    listen_close(&socket);
    snprintf(address, sizeof address, "unix:%s/a?group=nobody-has-this-name", directory);
    assert_int_equal(listen_open(address, &socket, why), -ENOENT);
    assert_non_null(strstr(why, "no such group"));
}

static void what_is_no_socket_is_not_replaced(void **state)
{
    (void)state;
    char address[512], why[LISTEN_WHY_SIZE];
    struct listen_socket socket;
    snprintf(address, sizeof address, "unix:%s/file", directory);
    const char *path = address + strlen("unix:");
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(listen_open(address, &socket, why), -EEXIST);
    assert_non_null(strstr(why, "no socket"));
    assert_int_equal(unlink(path), 0);
}

static void a_url_is_no_address(void **state)
{
    (void)state;
    char why[LISTEN_WHY_SIZE];
    assert_int_equal(listen_check("http://127.0.0.1:9745", why), -EINVAL);
    assert_non_null(strstr(why, "no scheme"));
}

static void what_follows_a_path_is_checked(void **state)
{
    static const char *const wrong[] = {
        "unix:/a?",          "unix:/a?mode",      "unix:/a?mode=",          "unix:/a?mode=8",
        "unix:/a?mode=0400", "unix:/a?mode=1777", "unix:/a?mode=0660&",     "unix:/a?group=",
        "unix:/a?user=x",    "unix:/a?mode=-1",   "unix:/a?mode=0660,group"};
    (void)state;
    char why[LISTEN_WHY_SIZE];
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        if (listen_check(wrong[i], why) != -EINVAL)
            fail_msg("%s was taken", wrong[i]);
    assert_int_equal(listen_check("unix:/a?mode=0660&group=smx", why), 0);
}

static void the_loopback_is_told_from_the_network(void **state)
{
    static const struct {
        const char *address;
        enum listen_scope scope;
    } cases[] = {{"127.0.0.1:0", LISTEN_LOOPBACK}, {"127.9.9.9:0", LISTEN_LOOPBACK},
                 {"[::1]:0", LISTEN_LOOPBACK},     {"localhost:0", LISTEN_LOOPBACK},
                 {":0", LISTEN_NETWORK},           {"0.0.0.0:0", LISTEN_NETWORK},
                 {"[::]:0", LISTEN_NETWORK}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listen_socket socket;
        char why[LISTEN_WHY_SIZE];
        int rc = listen_open(cases[i].address, &socket, why);
        if (rc == -EAFNOSUPPORT || rc == -EADDRNOTAVAIL) {
            fprintf(stderr, "# %s: %s\n", cases[i].address, why);
            continue;
        }
        assert_int_equal(rc, 0);
        assert_int_equal(socket.scope, cases[i].scope);
        assert_null(listen_path(&socket));
        listen_close(&socket);
    }
}

static bool is_set_up(int fd)
{
    return fcntl(fd, F_GETFL) & O_NONBLOCK && fcntl(fd, F_GETFD) & FD_CLOEXEC;
}

/* As systemd hands them over: blocking, inherited. */
static void a_socket_of_somebody_else_is_taken_and_its_file_stays(void **state)
{
    (void)state;
    struct listen_socket socket, tcp, adopted;
    char why[LISTEN_WHY_SIZE];
    open_as("unix:%s/a", &socket);
    open_as("127.0.0.1:0", &tcp);
    assert_int_equal(fcntl(socket.fd, F_SETFL, 0) | fcntl(socket.fd, F_SETFD, 0), 0);
    assert_int_equal(listen_adopt(dup(socket.fd), &adopted, why), 0);
    assert_string_equal(adopted.name, socket.name);
    assert_true(is_set_up(adopted.fd));
    assert_null(listen_path(&adopted));
    listen_close(&adopted);
    assert_int_equal(access(listen_path(&socket), F_OK), 0);
    assert_int_equal(listen_adopt(dup(tcp.fd), &adopted, why), 0);
    assert_string_equal(adopted.name, tcp.name);
    assert_int_equal(adopted.scope, LISTEN_LOOPBACK);
    listen_close(&adopted);
    listen_close(&socket);
    listen_close(&tcp);
}

static void what_is_no_listening_socket_is_not_taken(void **state)
{
    (void)state;
    struct listen_socket out;
    char why[LISTEN_WHY_SIZE];
    int ends[2], datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    assert_int_equal(listen_adopt(ends[0], &out, why), -EINVAL);
    assert_non_null(strstr(why, "Accept=no"));
    assert_int_equal(listen_adopt(datagrams, &out, why), -EINVAL);
    assert_int_equal(listen_adopt(STDERR_FILENO, &out, why), -EINVAL);
    close(ends[0]);
    close(ends[1]);
    close(datagrams);
}

static void an_abstract_address_has_a_name(void **state)
{
    (void)state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct listen_socket out;
    char why[LISTEN_WHY_SIZE];
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address.sun_family), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(listen_adopt(fd, &out, why), 0);
    assert_memory_equal(out.name, "unix:@", 6);
    assert_int_equal(strlen(out.name), 11);
    listen_close(&out);
}

int main(void)
{
    if (scratch_make(directory) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_its_owners_unless_told),
        cmocka_unit_test(a_group_is_given_by_name),
        cmocka_unit_test(what_is_no_socket_is_not_replaced),
        cmocka_unit_test(a_url_is_no_address),
        cmocka_unit_test(what_follows_a_path_is_checked),
        cmocka_unit_test(the_loopback_is_told_from_the_network),
        cmocka_unit_test(a_socket_of_somebody_else_is_taken_and_its_file_stays),
        cmocka_unit_test(what_is_no_listening_socket_is_not_taken),
        cmocka_unit_test(an_abstract_address_has_a_name),
    };
    int status = RUN_TESTS(tests);
    scratch_remove(directory);
    return status;
}
