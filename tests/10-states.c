/* SPDX-License-Identifier: MIT
 *
 * 10-states.c - infos and statesets: what is refused, what a reader sees of one process and of
 * several, and that a state is never seen half changed.
 */
#include "support/cells.h"
#include "support/family.h"
#include "support/scratch.h"
#include "support/tap.h"
#include "support/worker.h"

#include <smx/reader.h>

#include <errno.h>
#include <string.h>

static char directory[SCRATCH_SIZE];
static smx_segment *segment;
static smx_reader *reader;

static const char *const states[] = {"idle", "busy", "stuck", NULL};

typedef smx_family registrar(smx_segment *, const struct smx_metric *, struct smx_diag *);

static int start(void)
{
    static const char *const labels[] = {"zone", "eu", NULL};
    const struct smx_options options = {
        .app = "states", .directory = directory, .constant_labels = labels};
    if (scratch_make(directory) != 0 || smx_open(&options, &segment, NULL) != 0)
        return -1;
    return smx_reader_open(smx_path(segment), &reader, NULL);
}

/* A family as a reader sees it now; NULL if it does not. */
static const struct smx_family_info *see(const char *name)
{
    struct smx_diag diag;
    if (smx_reader_update(reader, &diag) != 0)
        fail_msg("%s", diag.text);
    assert_int_equal(smx_reader_info(reader)->errors, 0);
    return family_named(reader, name);
}

static void refuse(registrar *with, const struct smx_metric *metric, int code, const char *word)
{
    struct smx_diag diag = {0, ""};
    enum smx_lost reason = code == -EINVAL ? SMX_LOST_INVALID : SMX_LOST_CONFLICT;
    uint64_t before = cells_lost(segment, reason);
    smx_family family = with(segment, metric, &diag);
    if (family.record || diag.code != code || !strstr(diag.text, word))
        fail_msg("%s: expected %d and \"%s\", got %d and \"%s\"", metric->name, code, word,
                 diag.code, diag.text);
    assert_true(cells_lost(segment, reason) == before + 1);
}

static void names_units_modes_and_states_follow_their_rules(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    static const char *const empty[] = {"a", "", NULL};
    static const char *const twice[] = {"a", "b", "a", NULL};
    static const char *const bytes[] = {"\xff", NULL};
    static const char *many[SMX_STATES_MAX + 2];
    static char texts[SMX_STATES_MAX + 1][16], long_state[SMX_NAME_MAX + 2];
    for (int i = 0; i <= SMX_STATES_MAX; i++) {
        snprintf(texts[i], sizeof texts[i], "s%d", i);
        many[i] = texts[i];
    }
    memset(long_state, 's', SMX_NAME_MAX + 1);
    const char *const longest[] = {long_state, NULL};
    const struct {
        struct smx_metric metric;
        const char *word;
    } cases[] = {
        {{.name = "s"}, "1 to 64 states"},
        {{.name = "s", .states = none}, "1 to 64 states"},
        {{.name = "s", .states = many}, "1 to 64 states"},
        {{.name = "s", .states = empty}, "state 1 is empty"},
        {{.name = "s", .states = bytes}, "not UTF-8"},
        {{.name = "s", .states = longest}, "over 1000"},
        {{.name = "s", .states = twice}, "\"a\" twice"},
        {{.name = "__s", .states = states}, "also a label's"},
        {{.name = "app", .states = states}, "reserved"},
        {{.name = "zone", .states = states}, "constant label"},
        {{.name = "s", .labels = {"s"}, .states = states}, "reserved"},
        {{.name = "s", .labels = {"worker"}, .mode = SMX_EACH, .states = states}, "reserved"},
        {{.name = "s_seconds", .unit = "seconds", .states = states}, "no unit"},
        {{.name = "s", .mode = SMX_MIN, .states = states}, "max, last, each"},
        {{.name = "s", .mode = SMX_AVG, .states = states}, "max, last, each"},
        {{.name = "s", .mode = (enum smx_mode)6, .states = states}, "unknown mode"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refuse(smx_stateset_family, &cases[i].metric, -EINVAL, cases[i].word);
    refuse(smx_info_family, &(struct smx_metric){.name = "i_bytes_info", .unit = "bytes"}, -EINVAL,
           "no unit");
    refuse(smx_info_family, &(struct smx_metric){.name = "i", .mode = SMX_AVG}, -EINVAL, "each");
    many[SMX_STATES_MAX] = NULL;
    assert_non_null(
        smx_stateset_family(segment, &(struct smx_metric){.name = "full", .states = many}, NULL)
            .record);
    assert_int_equal(see("full")->n_states, SMX_STATES_MAX);
    assert_string_equal(see("full")->states[SMX_STATES_MAX - 1].at, "s63");
}

static void other_states_or_another_type_contradict(void **state)
{
    (void)state;
    static const char *const less[] = {"idle", "busy", NULL};
    static const char *const order[] = {"busy", "idle", "stuck", NULL};
    struct smx_metric m = {.name = "phase", .labels = {"part"}, .states = states};
    smx_family family = smx_stateset_family(segment, &m, NULL);
    assert_non_null(family.record);
    assert_ptr_equal(smx_stateset_family(segment, &m, NULL).record, family.record);
    refuse(smx_gauge_family, &m, -EEXIST, "another type");
    m.states = less;
    refuse(smx_stateset_family, &m, -EEXIST, "another states");
    m.states = order;
    refuse(smx_stateset_family, &m, -EEXIST, "another states");
    m.mode = SMX_LAST;
    m.states = states;
    refuse(smx_stateset_family, &m, -EEXIST, "another mode");
    assert_null(smx_gauge_with(family, SMX_VALUES("a")).base);
    assert_non_null(smx_stateset_with(family, SMX_VALUES("a")).bits.base);
    assert_ptr_equal(smx_stateset_with(family, SMX_VALUES("a")).bits.base,
                     smx_stateset_with(family, SMX_VALUES("a")).bits.base);
}

static void an_info_is_one_and_gets_its_suffix_once(void **state)
{
    (void)state;
    struct smx_metric m = {.name = "build", .help = "What runs.", .labels = {"version"}};
    smx_family family = smx_info(segment, &m, SMX_VALUES("1.0"), NULL);
    assert_non_null(family.record);
    m.name = "build_info";
    assert_ptr_equal(smx_info(segment, &m, SMX_VALUES("1.0"), NULL).record, family.record);
    assert_null(see("build"));
    const struct smx_family_info *f = see("build_info");
    assert_int_equal(f->type, SMX_INFO);
    assert_int_equal(f->n_series, 2); /* and the overflow's, which nobody needed */
    const struct smx_series_info *s = &f->series[f->series[0].overflow];
    assert_string_equal(s->values[0].at, "1.0");
    assert_true(s->present);
    assert_int_equal(s->integer, 1);
    assert_int_equal(smx_series_remove(family, SMX_VALUES("1.0")), 0);
    assert_int_equal(see("build_info")->n_series, 1);
    struct smx_diag diag = {0, ""};
    assert_null(smx_info(segment, &m, SMX_VALUES("a", "b"), &diag).record);
    assert_int_equal(diag.code, -EINVAL);
    assert_null(smx_info(NULL, &m, SMX_VALUES("a"), &diag).record);
    assert_int_equal(diag.code, -ENOENT);
}

static void a_state_that_there_is_not_does_not_show(void **state)
{
    (void)state;
    smx_stateset s = smx_stateset_new(
        segment, &(struct smx_metric){.name = "wide", .mode = SMX_LAST, .states = states}, NULL);
    assert_false(see("wide")->series[0].present);
    smx_stateset_set(s, UINT64_MAX);
    assert_int_equal(see("wide")->series[0].integer, 7);
    smx_stateset_enter(s, 1);
    assert_int_equal(see("wide")->series[0].integer, 2);
    assert_int_equal(smx_stateset_value(s), 2);
    smx_stateset_enter(s, 3);
    assert_int_equal(see("wide")->series[0].integer, 0);
    smx_stateset_enter(s, 64);
    assert_int_equal(see("wide")->series[0].integer, 0);
    assert_true(see("wide")->series[0].present);
    smx_stateset_enter_fn(s, 2);
    smx_stateset_set_fn((smx_stateset){{NULL, NULL}}, 1);
    assert_int_equal(see("wide")->series[0].integer, 4);
}

struct child {
    smx_stateset sets[3];
    uint32_t ready, end;
};

/* Be in a state of each of the statesets and have an info until told to end. */
static int be_busy(void *argument)
{
    struct child *child = argument;
    for (int i = 0; i < 3; i++)
        smx_stateset_enter(child->sets[i], 1);
    (void)smx_info(segment, &(struct smx_metric){.name = "child", .labels = {"version"}},
                   SMX_VALUES("2.0"), NULL);
    worker_arrive(&child->ready);
    CHECK(worker_reach(&child->end, 1));
    return 0;
}

static uint64_t bits_of(const char *name)
{
    return (uint64_t)see(name)->series[0].integer;
}

static void states_of_several_processes_join_and_end_with_them(void **state)
{
    (void)state;
    struct child *child = worker_shared(sizeof *child);
    static const char *const names[] = {"any_phase", "last_phase", "each_phase"};
    static const enum smx_mode modes[] = {SMX_SUM, SMX_LAST, SMX_EACH};
    for (int i = 0; i < 3; i++) {
        child->sets[i] = smx_stateset_new(
            segment, &(struct smx_metric){.name = names[i], .mode = modes[i], .states = states},
            NULL);
        smx_stateset_enter(child->sets[i], 0);
    }
    pid_t pid = worker_start(be_busy, child);
    assert_true(worker_reach(&child->ready, 1));
    assert_int_equal(see("any_phase")->mode, SMX_MAX);
    assert_int_equal(bits_of("any_phase"), 3);
    assert_int_equal(bits_of("last_phase"), 2);
    const struct smx_series_info *each = &see("each_phase")->series[0];
    assert_int_equal(each->each.n, 2);
    assert_int_equal(each->each.at[0].value.integer + each->each.at[1].value.integer, 3);
    assert_true(see("child_info")->series[1].present);
    worker_arrive(&child->end);
    assert_int_equal(worker_wait(pid), 0);
    assert_int_equal(bits_of("any_phase"), 1);
    assert_int_equal(bits_of("last_phase"), 2);
    assert_int_equal(see("each_phase")->series[0].each.n, 1);
    assert_false(see("child_info")->series[1].present);
}

int main(void)
{
    if (start() != 0)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_units_modes_and_states_follow_their_rules),
        cmocka_unit_test(other_states_or_another_type_contradict),
        cmocka_unit_test(an_info_is_one_and_gets_its_suffix_once),
        cmocka_unit_test(a_state_that_there_is_not_does_not_show),
        cmocka_unit_test(states_of_several_processes_join_and_end_with_them),
    };
    int status = RUN_TESTS(tests);
    smx_reader_close(reader);
    scratch_remove(directory);
    return status;
}
