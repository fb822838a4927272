/* SPDX-License-Identifier: MIT
 *
 * 40-reread.c - the web configuration file in two steps, as a reload takes it: what was read is in
 * force when it is used, and forgotten without a trace when it is not.
 */
#include "agent/web/web.h"
#include "support/scratch.h"
#include "support/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define HASH "$2y$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S"

static char directory[SCRATCH_SIZE], path[SCRATCH_SIZE + 16];
static struct log quiet;
static struct options options;
static struct loop *loop;
static struct web *web;

static void write_file(const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static struct self_web measure(void)
{
    struct self_web out = {0};
    web_measure(web, &out);
    return out;
}

static int set_up(void **state)
{
    (void)state;
    options_init(&options);
    options.web_config_file = path;
    options.no_sandbox = true;
    write_file("basic_auth_users: {alice: " HASH "}\n");
    const struct web_options all = {
        .loop = loop, .log = &quiet, .options = &options, .connections = 8};
    return web_new(&all, &web);
}

static int tear_down(void **state)
{
    (void)state;
    web_free(web);
    return 0;
}

static void what_was_read_is_in_force_when_it_is_used(void **state)
{
    (void)state;
    char why[WEB_WHY_SIZE];
    const uint64_t before = measure().loaded_ns;
    write_file("basic_auth_users: {bob: " HASH "}\n");
    assert_int_equal(web_read(web, why), 0);
    assert_int_equal(measure().loaded_ns, before);
    web_use(web);
    const uint64_t then = measure().loaded_ns;
    assert_int_not_equal(then, before);
    web_use(web); /* nothing more is there */
    assert_int_equal(measure().loaded_ns, then);
}

static void what_was_read_can_be_forgotten(void **state)
{
    (void)state;
    char why[WEB_WHY_SIZE];
    const uint64_t before = measure().loaded_ns;
    write_file("");
    assert_int_equal(web_read(web, why), 0);
    web_forget(web);
    web_use(web);
    assert_int_equal(measure().loaded_ns, before);
    assert_true(measure().is_good);
}

static void what_is_wrong_is_not_kept(void **state)
{
    (void)state;
    char why[WEB_WHY_SIZE], expected[WEB_WHY_SIZE];
    const uint64_t before = measure().loaded_ns;
    write_file("tls_server_config: 1\n");
    assert_int_equal(web_read(web, why), -EINVAL);
    snprintf(expected, sizeof expected, "%s:1: tls_server_config: expected a mapping, got \"1\"",
             path);
    assert_string_equal(why, expected);
    web_use(web);
    assert_int_equal(measure().loaded_ns, before);
    assert_false(measure().is_good);
}

/* The leak checker sees whether all of it goes. */
static void what_is_kept_goes_with_the_server(void **state)
{
    (void)state;
    char why[WEB_WHY_SIZE];
    write_file("basic_auth_users: {bob: " HASH "}\n");
    assert_int_equal(web_read(web, why), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_was_read_is_in_force_when_it_is_used),
        TEST(what_was_read_can_be_forgotten),
        TEST(what_is_wrong_is_not_kept),
        TEST(what_is_kept_goes_with_the_server),
    };
    quiet = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    if (scratch_make(directory) != 0 || loop_new(LOOP_EPOLL, &loop) != 0)
        return 1;
    snprintf(path, sizeof path, "%s/web.yml", directory);
    int rc = RUN_TESTS(tests);
    loop_free(loop);
    scratch_remove(directory);
    return rc;
}
