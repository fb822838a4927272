/* SPDX-License-Identifier: MIT
 *
 * 40-reload-faults.c - a reload in which any one system call or allocation fails, or every one from
 * there on: the configuration before or the new one is in force, as a whole and as the result says,
 * and the next reload succeeds.
 */
#include "agent/reload.h"
#include "shim/faults.h"
#include "support/scratch.h"
#include "support/segwriter.h"
#include "support/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

static const int errors[] = {ENOMEM, EMFILE, EIO, EINTR, EACCES};
enum { ERRORS = sizeof errors / sizeof errors[0], PATH_SIZE = SCRATCH_SIZE + 16, ENDLESS = 10000 };

static char first[SCRATCH_SIZE], second[SCRATCH_SIZE], path[PATH_SIZE];
static struct log quiet;
static struct options options;
static struct sandbox sandbox = {.landlock = "off"};
static struct loop *loop;
static struct reload reload;

static void write_file(const char *cluster, bool both)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fprintf(file, "segments: {directories: [%s%s%s], max_bytes: %s}\n", first, both ? ", " : "",
            both ? second : "", both ? "64M" : "32M");
    fprintf(file, "scrape: {max_age: 0}\nlabels: {cluster: %s}\n", cluster);
    fprintf(file, "metrics: {deny: [smx_.*, process_.*]}\nhistograms: [{bounds: [1]}]\n");
    assert_int_equal(fclose(file), 0);
}

static void write_segment(const char *directory, const char *app)
{
    char ignored[SEGWRITER_PATH_SIZE];
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app});
    uint64_t family = segwriter_family(
        w, &(struct segwriter_family){.name = "orders_total", .type = SEGWRITER_COUNTER});
    segwriter_count(w, segwriter_series(w, family, NULL), 0, 41);
    assert_int_equal(segwriter_save(w, directory, ignored), 0);
    segwriter_free(w);
}

static void ignore(void *context)
{
    (void)context;
}

static void forget(void *context, smx_reader *reader)
{
    (void)context;
    pages_forget(reload.pages, reader);
}

static void make_parts(void)
{
    char why[CONFIG_WHY_SIZE];
    struct config *config;
    assert_int_equal(config_load(&options, &config, why), 0);
    reload_init(&reload, &options, &quiet, config);
    reload.sandbox = &sandbox;
    const struct settings *s = &config->settings;
    assert_int_equal(loop_new(LOOP_EPOLL, &loop), 0);
    const struct segments_options segments = {.directories = s->directories,
                                              .n_directories = s->n_directories,
                                              .owner_bytes = s->max_bytes,
                                              .log = &quiet,
                                              .closing = forget};
    assert_int_equal(segments_new(&segments, &reload.segments), 0);
    assert_int_equal(
        workers_new(&(struct workers_options){.log = &quiet, .loop = loop}, &reload.workers), 0);
    const struct pages_options pages = {.loop = loop,
                                        .log = &quiet,
                                        .segments = reload.segments,
                                        .workers = reload.workers,
                                        .rules = reload_rules(config),
                                        .config = &reload.result,
                                        .looking = ignore};
    assert_int_equal(pages_new(&pages, &reload.pages), 0);
    assert_int_equal(
        dirwatch_new(loop, s->directories, s->n_directories, ignore, NULL, &reload.dirwatch), 0);
}

static void free_parts(void)
{
    pages_stop(reload.pages);
    dirwatch_free(reload.dirwatch);
    segments_free(reload.segments);
    pages_free(reload.pages);
    workers_free(reload.workers);
    loop_free(loop);
    reload_fini(&reload);
}

/* The configuration, the directories and the page are of one file. */
static void expect(bool is_new)
{
    static const char *const pages[] = {
        "# TYPE orders_total counter\norders_total{app=\"shop\",cluster=\"old\"} 41\n",
        "# TYPE orders_total counter\norders_total{app=\"shop\",cluster=\"new\"} 41\n"
        "orders_total{app=\"till\",cluster=\"new\"} 41\n"};
    struct accepted text = accept_choose(NULL);
    size_t n;
    segments_directories(reload.segments, &n);
    assert_int_equal(n, is_new ? 2 : 1);
    assert_int_equal(reload.config->settings.max_bytes, is_new ? 64 << 20 : 32 << 20);
    struct body *body = pages_make(reload.pages, &text);
    assert_non_null(body);
    if (body->bytes.length != strlen(pages[is_new]))
        fail_msg("%.*s", (int)body->bytes.length, body->bytes.at);
    assert_memory_equal(body->bytes.at, pages[is_new], body->bytes.length);
    body_unref(body);
}

/* Returns how many calls there were. */
static uint32_t reload_under(uint32_t from, uint32_t to, int error)
{
    char why[CONFIG_WHY_SIZE] = "";
    write_file("new", true);
    faults_arm(from, to, error);
    int rc = reload_run(&reload, why);
    uint32_t calls = faults_end();
    if (calls >= ENDLESS)
        fail_msg("call %u, %s: %s was repeated %u times", from, faults->name, strerror(error),
                 calls);
    if ((rc == 0) != reload.result.successful || (rc < 0 && !why[0]))
        fail_msg("call %u, %s: %d, %d, \"%s\"", from, faults->name, rc, reload.result.successful,
                 why);
    expect(rc == 0);
    write_file("old", false);
    assert_int_equal(reload_run(&reload, why), 0);
    expect(false);
    return calls;
}

static void any_call_may_fail(void **state)
{
    (void)state;
    uint32_t tried = 0;
    for (int once = 0; once < 2; once++)
        for (size_t e = 0; e < ERRORS; e++) {
            uint32_t n = 1;
            while (reload_under(n, once ? n : FAULTS_FOR_EVER, errors[e]) >= n)
                n++;
            tried += n;
        }
    assert_true(tried > 2 * ERRORS * 20);
    print_message("# %u reloads\n", tried);
}

static int set_up(void **state)
{
    (void)state;
    if (scratch_make(first) != 0 || scratch_make(second) != 0)
        return -1;
    if (strcmp(first, second) > 0) { /* of segments of one age the path decides which comes first */
        char swap[SCRATCH_SIZE];
        strcpy(swap, first);
        strcpy(first, second);
        strcpy(second, swap);
    }
    snprintf(path, sizeof path, "%s/agent.yaml", first);
    quiet = (struct log){.fd = open("/dev/null", O_WRONLY | O_CLOEXEC)};
    write_segment(first, "shop");
    write_segment(second, "till");
    options_init(&options);
    options.config_file = path;
    write_file("old", false);
    make_parts();
    expect(false);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free_parts();
    scratch_remove(first);
    scratch_remove(second);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(any_call_may_fail, set_up, tear_down),
    };
    return RUN_TESTS(tests);
}
