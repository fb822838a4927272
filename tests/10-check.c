/* SPDX-License-Identifier: MIT
 *
 * 10-check.c - checks as a reader sees them: declared once by many, reported by each process for
 * itself, and what that amounts to at a time. Kills are in 30-check.c and 30-crash.c.
 */
#include "libshm/layout.h"
#include "libshm/metric/check.h"
#include "support/cells.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <errno.h>
#include <string.h>
#include <time.h>

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_reader *reader;

static uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static const struct smx_check_info *find(const char *name)
{
    for (size_t i = 0; i < smx_reader_info(reader)->n_checks; i++)
        if (strcmp(smx_reader_check(reader, i)->name.at, name) == 0)
            return smx_reader_check(reader, i);
    return NULL;
}

static const struct smx_check_info *see(const char *name)
{
    struct smx_diag diag;
    if (smx_reader_update(reader, &diag) != 0)
        fail_msg("%s", diag.text);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    if (!find(name))
        fail_msg("no check %s", name);
    return find(name);
}

static enum smx_check_state state_of(const char *name)
{
    return smx_check_combine(see(name), now_ns()).state;
}

static const char *message_of(const char *name)
{
    struct smx_check_result r = smx_check_combine(see(name), now_ns());
    return r.message ? r.message->text.at : "";
}

static smx_check declare(const char *name)
{
    return smx_check_new(segment, &(struct smx_check_options){.name = name}, NULL);
}

static void a_check_is_silent_until_somebody_reports_and_then_in_that_state(void **state)
{
    (void)state;
    smx_check c = smx_check_new(
        segment,
        &(struct smx_check_options){
            .name = "database", .help = "Orders need it.", .interval_ms = 30000, .critical = true},
        NULL);
    assert_non_null(c.base);
    const struct smx_check_info *info = see("database");
    assert_string_equal(info->help.at, "Orders need it.");
    assert_true(info->critical);
    assert_int_equal(info->interval_ns, 30000000000);
    assert_int_equal(info->n_reports, 0);
    struct smx_check_result r = smx_check_combine(info, now_ns());
    assert_int_equal(r.state, SMX_CHECK_SILENT);
    assert_null(r.by);
    assert_null(r.message);
    assert_int_equal(r.newest_ns, 0);
    assert_int_equal(smx_check_reported(c), SMX_CHECK_SILENT);

    uint64_t before = now_ns() / 1000000 * 1000000;
    errno = 99;
    smx_check_report(c, SMX_CHECK_FAILED, "connection refused");
    assert_int_equal(errno, 99);
    r = smx_check_combine(see("database"), now_ns());
    assert_int_equal(r.state, SMX_CHECK_FAILED);
    assert_int_equal(r.by->worker, smx_worker(segment));
    assert_true(r.newest_ns >= before && r.newest_ns <= now_ns());
    assert_string_equal(r.message->text.at, "connection refused");
    assert_int_equal(r.message->worker, smx_worker(segment));
    assert_int_equal(smx_check_reported(c), SMX_CHECK_FAILED);
    smx_check_report(c, SMX_CHECK_OK, NULL);
    assert_int_equal(state_of("database"), SMX_CHECK_OK);
    assert_string_equal(message_of("database"), "");
}

static void the_same_name_is_the_same_check_whose_terms_the_last_one_says(void **state)
{
    (void)state;
    struct smx_check_options o = {.name = "terms", .help = "First."};
    smx_check first = smx_check_new(segment, &o, NULL);
    unsigned records = cells_records(segment, SMX__RECORD_CHECK);
    o.help = "Second.";
    o.interval_ms = UINT32_MAX;
    o.critical = true;
    smx_check second = smx_check_new(segment, &o, NULL);
    assert_ptr_equal(first.base, second.base);
    assert_int_equal(cells_records(segment, SMX__RECORD_CHECK), records);
    assert_string_equal(see("terms")->help.at, "First.");
    assert_true(see("terms")->critical);
    assert_int_equal(see("terms")->interval_ns, UINT64_C(4294967295000000));
    o.interval_ms = 0;
    o.critical = false;
    (void)smx_check_new(segment, &o, NULL);
    assert_false(see("terms")->critical);
    assert_int_equal(see("terms")->interval_ns, 0);
    /* A family of the same name is another matter. */
    assert_non_null(smx_gauge_new(segment, &(struct smx_metric){.name = "terms"}, NULL).base);
    assert_int_equal(state_of("terms"), SMX_CHECK_SILENT);
}

static void what_breaks_a_rule_is_refused_and_its_handle_does_nothing(void **state)
{
    static char long_name[65], long_help[SMX_CHECK_HELP_MAX + 2];
    (void)state;
    memset(long_name, 'n', sizeof long_name - 1);
    memset(long_help, 'h', sizeof long_help - 1);
    const struct smx_check_options broken[] = {
        {.name = NULL},
        {.name = ""},
        {.name = ".hidden"},
        {.name = "a b"},
        {.name = "\xc3\xa4"},
        {.name = long_name},
        {.name = "a", .help = "\xff"},
        {.name = "a", .help = long_help},
    };
    uint64_t before = cells_lost(segment, SMX_LOST_INVALID);
    const size_t n = sizeof broken / sizeof *broken;
    for (size_t i = 0; i < n; i++) {
        struct smx_diag diag = {0};
        smx_check c = smx_check_new(segment, &broken[i], &diag);
        assert_null(c.base);
        assert_int_equal(diag.code, -EINVAL);
        assert_non_null(strstr(diag.text, "check "));
        smx_check_report(c, SMX_CHECK_FAILED, "nowhere");
        assert_int_equal(smx_check_reported(c), SMX_CHECK_SILENT);
    }
    assert_null(smx_check_new(segment, NULL, NULL).base);
    assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), before + n + 1);
    struct smx_diag diag = {0};
    assert_null(smx_check_new(NULL, &(struct smx_check_options){.name = "a"}, &diag).base);
    assert_int_equal(diag.code, -ENOENT);
    long_name[63] = 0;
    long_help[SMX_CHECK_HELP_MAX] = 0;
    assert_non_null(smx_check_new(segment,
                                  &(struct smx_check_options){.name = long_name, .help = long_help},
                                  NULL)
                        .base);
    assert_string_equal(see(long_name)->help.at, long_help);

    smx_check c = declare("states");
    smx_check_report(c, SMX_CHECK_OK, NULL);
    smx_check_report(c, SMX_CHECK_SILENT, NULL);
    smx_check_report(c, (enum smx_check_state)4, NULL);
    assert_int_equal(cells_lost(segment, SMX_LOST_INVALID), before + n + 3);
    assert_int_equal(state_of("states"), SMX_CHECK_OK);
}

static void a_message_is_a_line_of_text_that_is_cut_off_between_characters(void **state)
{
    char message[400];
    (void)state;
    smx_check c = declare("message");
    smx_check_report(c, SMX_CHECK_DEGRADED, "two\nlines \xff \x1b[31m");
    assert_string_equal(message_of("message"), "two?lines ? ?[31m");
    memset(message, 'x', sizeof message);
    message[SMX_CHECK_MESSAGE_MAX] = 0;
    smx_check_report(c, SMX_CHECK_DEGRADED, message);
    assert_string_equal(message_of("message"), message);
    /* The last character has a byte too much. */
    memcpy(message + SMX_CHECK_MESSAGE_MAX - 2, "\xe2\x82\xac", 4);
    smx_check_report(c, SMX_CHECK_DEGRADED, message);
    assert_int_equal(strlen(message_of("message")), SMX_CHECK_MESSAGE_MAX - 2);
    memset(message, 0x80, sizeof message);
    message[sizeof message - 1] = 0;
    smx_check_report(c, SMX_CHECK_DEGRADED, message);
    assert_int_equal(strspn(message_of("message"), "?"), SMX_CHECK_MESSAGE_MAX - 3);
    smx_check_report(c, SMX_CHECK_DEGRADED, "short");
    assert_string_equal(message_of("message"), "short");
    /* Nothing said is nothing said. */
    smx_check_report(c, SMX_CHECK_DEGRADED, NULL);
    assert_string_equal(message_of("message"), "");
}

/* Other processes, each in a state of its own, that wait for their end. */
struct others {
    uint32_t *turn;
    smx_check check;
    enum smx_check_state state;
    const char *message;
};

static int report_and_wait(void *argument)
{
    const struct others *o = argument;
    CHECK(smx_check_reported(o->check) == SMX_CHECK_SILENT);
    smx_check_report(o->check, o->state, o->message);
    worker_arrive(&o->turn[0]);
    CHECK(worker_reach(&o->turn[1], 1));
    return 0;
}

static void the_worst_of_those_who_live_counts_and_goes_with_them(void **state)
{
    (void)state;
    struct others o = {.turn = worker_shared(2 * sizeof(uint32_t)), .check = declare("worst")};
    pid_t pids[3];
    smx_check_report(o.check, SMX_CHECK_OK, "fine");
    for (unsigned i = 0; i < 3; i++) {
        o.state = (enum smx_check_state[]){SMX_CHECK_DEGRADED, SMX_CHECK_FAILED, SMX_CHECK_OK}[i];
        o.message = (const char *[]){"slow", "down", NULL}[i];
        pids[i] = worker_start(report_and_wait, &o);
        assert_true(worker_reach(&o.turn[0], i + 1));
    }
    struct smx_check_result r = smx_check_combine(see("worst"), now_ns());
    assert_int_equal(find("worst")->n_reports, 4);
    assert_int_equal(r.state, SMX_CHECK_FAILED);
    assert_int_equal(r.n_holding, 4);
    assert_string_equal(r.message->text.at, "down");
    assert_int_not_equal(r.message->worker, smx_worker(segment));
    /* Each state has its own words; a process that says nothing takes nobody's away. */
    assert_string_equal(find("worst")->messages[SMX_CHECK_DEGRADED].text.at, "slow");
    assert_string_equal(find("worst")->messages[SMX_CHECK_OK].text.at, "fine");
    worker_arrive(&o.turn[1]);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(worker_wait(pids[i]), 0);
    r = smx_check_combine(see("worst"), now_ns());
    assert_int_equal(find("worst")->n_reports, 1);
    assert_int_equal(r.state, SMX_CHECK_OK);
    assert_string_equal(r.message->text.at, "fine");
    assert_int_equal(find("worst")->messages[SMX_CHECK_FAILED].text.length, 0);
    smx_close(segment);
    assert_int_equal(state_of("worst"), SMX_CHECK_SILENT);
    smx_check_report(o.check, SMX_CHECK_OK, "into the void");
    assert_int_equal(state_of("worst"), SMX_CHECK_SILENT);
    struct smx_options options = {.app = "check", .directory = directory};
    assert_int_equal(smx_open(&options, &segment, NULL), 0);
    smx_check_report(o.check, SMX_CHECK_OK, NULL);
    assert_int_equal(state_of("worst"), SMX_CHECK_OK);
}

/* Pure: a table of who reported what how long ago, and what that amounts to. */
static void a_report_holds_for_its_interval_and_where_none_does_the_check_is_silent(void **state)
{
    enum { O = SMX_CHECK_OK, D = SMX_CHECK_DEGRADED, F = SMX_CHECK_FAILED };
    static const uint64_t now = 1000000;
    static const struct {
        uint64_t interval;
        struct {
            int state;
            int64_t age;
        } reports[3];
        enum smx_check_state expected;
        size_t holding;
        int worker;  /* who says so; -1 nobody */
        int message; /* whether his words are shown */
    } table[] = {
        {100, {{0, 0}}, SMX_CHECK_SILENT, 0, -1, 0},
        {100, {{O, 100}}, SMX_CHECK_OK, 1, 0, 1},
        {100, {{O, 101}}, SMX_CHECK_SILENT, 0, -1, 0},
        {0, {{O, 999999}}, SMX_CHECK_OK, 1, 0, 1},
        {100, {{F, 101}, {O, 5}}, SMX_CHECK_OK, 1, 1, 1},
        {100, {{F, 101}, {F, 5}}, SMX_CHECK_FAILED, 1, 1, 0},
        {100, {{F, 100}, {O, 5}}, SMX_CHECK_FAILED, 2, 0, 1},
        {0, {{F, 500000}, {O, 5}}, SMX_CHECK_FAILED, 2, 0, 1},
        {100, {{D, 50}, {O, 5}, {D, 40}}, SMX_CHECK_DEGRADED, 3, 2, 1},
        {100, {{O, 101}, {F, 200}, {D, 900}}, SMX_CHECK_SILENT, 0, -1, 0},
        {100, {{O, -100}}, SMX_CHECK_OK, 1, 0, 1},
        {100, {{O, -101}}, SMX_CHECK_SILENT, 0, -1, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct smx_check_report_info reports[3];
        struct smx_check_info c = {.interval_ns = table[i].interval, .reports = reports};
        for (; c.n_reports < 3 && table[i].reports[c.n_reports].state; c.n_reports++) {
            const enum smx_check_state s =
                (enum smx_check_state)table[i].reports[c.n_reports].state;
            reports[c.n_reports] = (struct smx_check_report_info){
                .worker = (uint32_t)c.n_reports,
                .state = s,
                .time_ns = now - (uint64_t)table[i].reports[c.n_reports].age};
            if (!c.messages[s].text.length)
                c.messages[s] =
                    (struct smx_check_message){.text = {"x", 1}, .worker = (uint32_t)c.n_reports};
        }
        struct smx_check_result r = smx_check_combine(&c, now);
        if (r.state != table[i].expected || r.n_holding != table[i].holding ||
            (r.by ? (int)r.by->worker : -1) != table[i].worker ||
            (r.message != NULL) != table[i].message)
            fail_msg("case %zu: state %d of %zu", i, (int)r.state, r.n_holding);
    }
}

static void where_there_is_no_room_a_check_is_refused_and_counted(void **state)
{
    (void)state;
    smx_segment *small;
    struct smx_options options = {
        .app = "small", .directory = directory, .max_bytes = 128 << 10, .slots = 8, .rows = 1};
    assert_int_equal(smx_open(&options, &small, NULL), 0);
    uint64_t free_bytes = (128 << 10) - small->header->allocated;
    __atomic_fetch_add(&small->header->allocated, free_bytes - 904, __ATOMIC_RELAXED);
    struct smx_diag diag;
    smx_check c = smx_check_new(small, &(struct smx_check_options){.name = "database"}, &diag);
    assert_null(c.base);
    assert_int_equal(diag.code, -ENOSPC);
    assert_int_equal(cells_lost(small, SMX_LOST_SPACE), 1);
    /* The record was given back when the cell was not to be had. */
    assert_int_equal(small->header->allocated, (128 << 10) - 904);
}

static int report_from_the_spill_row(void *argument)
{
    smx_check *c = argument;
    smx_check_report(*c, SMX_CHECK_FAILED, "no slot");
    CHECK(smx_check_reported(*c) == SMX_CHECK_SILENT);
    return 0;
}

static void a_process_without_a_slot_cannot_report_and_that_is_counted(void **state)
{
    (void)state;
    smx_segment *narrow;
    struct smx_options options = {.app = "narrow", .directory = directory, .slots = 1};
    assert_int_equal(smx_open(&options, &narrow, NULL), 0);
    smx_check c = smx_check_new(narrow, &(struct smx_check_options){.name = "database"}, NULL);
    smx_check_report(c, SMX_CHECK_OK, NULL);
    assert_int_equal(worker_run(report_from_the_spill_row, &c), 0);
    assert_int_equal(cells_lost(narrow, SMX_LOST_GAUGE), 1);
    assert_int_equal(smx_check_reported(c), SMX_CHECK_OK);
}

/* What an older libshm made; its readers must not take the record for damage. */
static void a_check_raises_the_minor_version_of_its_segment_but_never_lowers_it(void **state)
{
    (void)state;
    smx_segment *old;
    struct smx_options options = {.app = "old", .directory = directory};
    assert_int_equal(smx_open(&options, &old, NULL), 0);
    old->header->minor = 0;
    (void)smx_counter_new(old, &(struct smx_metric){.name = "a_total"}, NULL);
    assert_int_equal(old->header->minor, 0);
    (void)smx_check_new(old, &(struct smx_check_options){.name = "a"}, NULL);
    assert_int_equal(old->header->minor, SMX__MINOR);
    old->header->minor = 7;
    (void)smx_check_new(old, &(struct smx_check_options){.name = "b"}, NULL);
    assert_int_equal(old->header->minor, 7);
}

static void damage_that_a_writer_meets_is_counted_and_touches_nothing(void **state)
{
    (void)state;
    smx_segment *torn;
    struct smx_options options = {.app = "torn", .directory = directory};
    assert_int_equal(smx_open(&options, &torn, NULL), 0);
    smx_check c = smx_check_new(torn, &(struct smx_check_options){.name = "a"}, NULL);
    struct smx__check *record = c.record;
    const uint64_t cells[] = {0, 8, record->cell + 8, UINT64_MAX - 15, torn->max_bytes};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++) {
        struct smx_diag diag;
        record->cell = cells[i];
        smx_check again = smx_check_new(torn, &(struct smx_check_options){.name = "a"}, &diag);
        assert_null(again.base);
        assert_int_equal(diag.code, -EPROTO);
        assert_int_equal(cells_lost(torn, SMX_LOST_DAMAGED), i + 1);
    }
    /* The handle from before goes where it went. */
    smx_check_report(c, SMX_CHECK_OK, "still here");
    assert_int_equal(smx_check_reported(c), SMX_CHECK_OK);
}

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(smx_check_state_name(SMX_CHECK_SILENT), "silent");
    assert_string_equal(smx_check_state_name(SMX_CHECK_OK), "ok");
    assert_string_equal(smx_check_state_name(SMX_CHECK_DEGRADED), "degraded");
    assert_string_equal(smx_check_state_name(SMX_CHECK_FAILED), "failed");
    assert_null(smx_check_state_name(4));
}

int main(void)
{
    struct smx_options options = {.app = "check", .directory = directory};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0 ||
        smx_reader_open(smx_path(segment), &reader, NULL) != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_check_is_silent_until_somebody_reports_and_then_in_that_state),
        cmocka_unit_test(the_same_name_is_the_same_check_whose_terms_the_last_one_says),
        cmocka_unit_test(what_breaks_a_rule_is_refused_and_its_handle_does_nothing),
        cmocka_unit_test(a_message_is_a_line_of_text_that_is_cut_off_between_characters),
        cmocka_unit_test(the_worst_of_those_who_live_counts_and_goes_with_them),
        cmocka_unit_test(a_report_holds_for_its_interval_and_where_none_does_the_check_is_silent),
        cmocka_unit_test(where_there_is_no_room_a_check_is_refused_and_counted),
        cmocka_unit_test(a_process_without_a_slot_cannot_report_and_that_is_counted),
        cmocka_unit_test(a_check_raises_the_minor_version_of_its_segment_but_never_lowers_it),
        cmocka_unit_test(damage_that_a_writer_meets_is_counted_and_touches_nothing),
        cmocka_unit_test(states_have_names),
    };
    int status = RUN_TESTS(tests);
    smx_reader_close(reader);
    scratch_remove(directory);
    return status;
}
