/* SPDX-License-Identifier: MIT
 *
 * 40-gather-owner.c - whose word on a name is taken: a stranger's file in a shared directory may
 * claim any age, and must not take the names of root's and our own applications.
 */
#include "support/scrape.h"
#include "support/tap.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

/* Offset of created_ns in the header. */
enum { CREATED_AT = 64, STRANGER = 12345 };

static struct segwriter *segment_of(const char *app, uint8_t type, uint64_t created)
{
    struct segwriter *w = segwriter_new(&(struct segwriter_options){.app = app});
    struct segwriter_family family = {.name = "orders_total", .type = type};
    uint64_t series = segwriter_series(w, segwriter_family(w, &family), NULL);
    if (type == SEGWRITER_COUNTER)
        segwriter_count(w, series, 0, 7);
    segwriter_put(w, CREATED_AT, 8, created);
    return w;
}

/* Make the files, the stranger's first, and tell whose family is left out. */
static const char *left_out(bool belongs_to_stranger)
{
    static char app[64];
    char path[SEGWRITER_PATH_SIZE];
    struct scrape s;
    size_t n;
    scrape_start(&s);
    scrape_save(&s, segment_of("stranger", SEGWRITER_GAUGE, 1));
    scrape_save(&s, segment_of("shop", SEGWRITER_COUNTER, 1000));
    snprintf(path, sizeof path, "%s/stranger.v1.smx", s.directory);
    if (belongs_to_stranger)
        assert_int_equal(chown(path, STRANGER, STRANGER), 0);
    scrape_run(&s);
    const struct gather_conflict *conflicts = gather_conflicts(s.gather, &n);
    assert_int_equal(n, 1);
    snprintf(app, sizeof app, "%s", conflicts->app);
    scrape_end(&s);
    return app;
}

static void among_our_own_the_oldest_stays(void **state)
{
    (void)state;
    assert_string_equal(left_out(false), "shop");
}

/* Only root can give a file away; others cannot have this enemy in a test. */
static void a_strangers_file_takes_no_name_however_old_it_claims_to_be(void **state)
{
    (void)state;
    assert_string_equal(left_out(true), "stranger");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(among_our_own_the_oldest_stays),
        cmocka_unit_test(a_strangers_file_takes_no_name_however_old_it_claims_to_be),
    };
    const struct CMUnitTest unprivileged[] = {
        cmocka_unit_test(among_our_own_the_oldest_stays),
    };
    if (geteuid() != 0)
        return RUN_TESTS(unprivileged);
    return RUN_TESTS(tests);
}
