/* SPDX-License-Identifier: MIT
 *
 * 40-promtool.c - the real promtool on what the agent exposes. It must say nothing at all; if
 * it is not installed, that is a failure too (tests/run installs it).
 */
#include "support/scrape.h"
#include "support/tap.h"

#include <stdbool.h>
#include <string.h>

static void assert_silent(struct scrape *s)
{
    char path[SCRATCH_SIZE + 16], command[2 * sizeof path + 64];
    snprintf(path, sizeof path, "%s/body", s->directory);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fwrite(s->text.at, 1, s->text.length, file), s->text.length);
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof command, "promtool check metrics <%s 2>&1", path);
    /* The command is made of constants and mkdtemp()'s letters. */
    FILE *pipe = popen(command, "r"); /* NOLINT(cert-env33-c) */
    assert_non_null(pipe);
    char line[512];
    bool silent = true;
    while (fgets(line, sizeof line, pipe)) {
        printf("# %s", line);
        silent = false;
    }
    assert_int_equal(pclose(pipe), 0);
    assert_true(silent);
}

static void promtool_is_silent_on_one_family_of_every_kind(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    self_measure(&s.self.process);
    static const struct self_count counts[] = {{"ok", 1}, {"damaged", 0}};
    s.self.segments = s.self.errors = counts;
    s.self.n_segments = s.self.n_errors = 2;
    scrape_shop(&s);
    scrape_run(&s);
    assert_silent(&s);
    scrape_end(&s);
}

static void promtool_is_silent_with_two_applications_that_contradict_each_other(void **state)
{
    (void)state;
    struct scrape s;
    scrape_start(&s);
    scrape_shop(&s);
    smx_segment *other = scrape_open(&s, &(struct smx_options){.app = "other"});
    smx_counter_inc(smx_counter_new(
        other, &(struct smx_metric){.name = "http_requests_total", .help = "Other requests."},
        NULL));
    (void)smx_counter_new(
        other, &(struct smx_metric){.name = "in_flight_total", .help = "A counter here."}, NULL);
    smx_gauge_inc(smx_gauge_new(
        other, &(struct smx_metric){.name = "wait_seconds", .help = "A gauge here."}, NULL));
    scrape_run(&s);
    size_t n;
    (void)gather_conflicts(s.gather, &n);
    assert_int_equal(n, 2);
    assert_non_null(strstr(scrape_only(&s, &s.text, "http_requests_total"),
                           "http_requests_total{app=\"other\"} 1\n"));
    assert_silent(&s);
    scrape_end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(promtool_is_silent_on_one_family_of_every_kind),
        cmocka_unit_test(promtool_is_silent_with_two_applications_that_contradict_each_other),
    };
    return RUN_TESTS(tests);
}
