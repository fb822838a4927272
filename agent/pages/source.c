/* SPDX-License-Identifier: MIT
 *
 * source.c - read, then gather: the readers have two sets of numbers, so that the next snapshot is
 * read, which for a million series takes tens of milliseconds, while this one stands. A snapshot is
 * of all segments; the numbers of those that nobody has asked for lately are older.
 */
#include "agent/pages/source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What is read in a turn is not read again in it. */
static void begin_turn(struct source *s)
{
    if (s->turn == loop_turns(s->loop))
        return;
    s->turn = loop_turns(s->loop);
    s->turn_ns = loop_now_ns();
}

static bool is_recent(const struct source *s, uint64_t then_ns, uint64_t most_ns)
{
    return then_ns >= s->turn_ns || loop_now_ns() - then_ns < most_ns;
}

/* Where nothing is wanted of what there is, it matters when that was found out. */
bool source_is_young(struct source *s, const struct segments_wish *wish, uint64_t least_ns)
{
    uint64_t most = s->max_age_ns > least_ns ? s->max_age_ns : least_ns;
    uint64_t oldest = UINT64_MAX;
    size_t n;
    const struct segment *list = segments_list(s->segments, &n);
    begin_turn(s);
    for (size_t i = 0; i < n; i++) {
        bool there = list[i].reader || list[i].state == SEGMENT_NEW;
        if (there && segments_wanted(&list[i], wish) && list[i].read_ns < oldest)
            oldest = list[i].read_ns;
    }
    if (oldest == UINT64_MAX)
        oldest = s->gathered_ns;
    return s->snapshot && oldest && is_recent(s, oldest, most);
}

static void log_conflicts(struct source *s)
{
    size_t n;
    const struct gather_conflict *list = gather_conflicts(s->gather, &n);
    for (size_t i = 0; i < n; i++) {
        char key[512];
        snprintf(key, sizeof key, "%s %s %s %s", list[i].name, list[i].app, list[i].instance,
                 list[i].reason);
        if (once_is_new(&s->conflicts, key))
            LOG_WARN(s->log, "family left out", "family", list[i].name, "app", list[i].app,
                     "instance", list[i].instance[0] ? list[i].instance : NULL, "reason",
                     list[i].why, "do", "rename it in one of the applications, or make it smaller");
    }
}

static int collect_sources(struct source *s, size_t *n)
{
    size_t n_segments;
    const struct segment *list = segments_list(s->segments, &n_segments);
    struct gather_source *readers = realloc(s->readers, (n_segments + 1) * sizeof *s->readers);
    if (!readers)
        return -ENOMEM;
    s->readers = readers;
    *n = 0;
    for (size_t i = 0; i < n_segments; i++)
        if (list[i].state == SEGMENT_SERVED && list[i].read_ns)
            readers[(*n)++].reader = list[i].reader;
    return 0;
}

static void measure(struct source *s)
{
    s->self.segments = segments_by_state(s->segments, &s->self.n_segments);
    s->self.errors = segments_errors(s->segments, &s->self.n_errors);
    s->self.segments_left_out = segments_left_out(s->segments);
    s->self.lines_dropped = s->log->memory ? s->log->memory->dropped : 0;
    if (s->http)
        s->self.connections = http_connections(s->http);
    if (s->measure)
        s->measure(s->measured, &s->self.web);
    self_measure(&s->self.process);
}

static void begin_refresh(struct source *s, const struct segments_wish *wish)
{
    uint64_t begin = loop_now_ns();
    begin_turn(s);
    s->snapshot = NULL;
    segments_read(s->segments, wish);
    s->begun = true;
    s->updated_ns = loop_now_ns();
    s->self.phase_ns[SELF_UPDATE] = s->updated_ns - begin;
    s->self.phase_ns[SELF_PROCESSES] = 0;
    if (s->workers)
        workers_begin(s->workers, s->segments);
}

static int gather(struct source *s)
{
    size_t n, n_processes = 0;
    uint64_t begin = loop_now_ns();
    int rc = collect_sources(s, &n);
    if (rc < 0)
        return rc;
    s->self.gathers++;
    measure(s);
    struct processes *const *processes = s->workers ? workers_list(s->workers, &n_processes) : NULL;
    gather_processes(s->gather, processes, n_processes);
    rc = vitals_take(&s->vitals, s->segments, &s->health_rules);
    if (rc < 0)
        return rc;
    gather_health(s->gather, &s->vitals.health);
    rc = gather_run(s->gather, s->readers, n, &s->self, &s->snapshot);
    if (rc < 0)
        return rc;
    s->gathered_ns = s->updated_ns;
    s->serial++;
    s->self.phase_ns[SELF_GATHER] = loop_now_ns() - begin;
    log_conflicts(s);
    return 0;
}

int source_refresh(struct source *s, const struct segments_wish *wish)
{
    if (!s->begun)
        begin_refresh(s, wish);
    uint64_t begin = loop_now_ns();
    bool more = s->workers && workers_step(s->workers);
    s->self.phase_ns[SELF_PROCESSES] += loop_now_ns() - begin;
    if (more)
        return 1;
    s->begun = false;
    return gather(s);
}

void source_want(struct source *s, enum exposition format, enum escaping escaping)
{
    if (format == EXPOSITION_PROTOBUF) {
        gather_messages(s->gather);
        s->has.messages = true;
    }
    if (escaping != ESCAPING_UNDERSCORES) {
        gather_escaping(s->gather, escaping);
        s->has.escapings[escaping] = true;
    }
}

bool source_has(const struct source *s, enum exposition format, enum escaping escaping)
{
    return (format != EXPOSITION_PROTOBUF || s->has.messages) &&
           (escaping == ESCAPING_UNDERSCORES || s->has.escapings[escaping]);
}

bool source_read_ahead(struct source *s, const struct segments_wish *wish)
{
    return segments_step(s->segments, wish);
}

void source_give_up(struct source *s)
{
    segments_give_up(s->segments);
}

void source_look(struct source *s)
{
    s->looking(s->context);
    segments_scan(s->segments);
}

void source_begin_anew(struct source *s)
{
    s->snapshot = NULL;
    s->begun = false;
}

void source_forget(struct source *s, smx_reader *reader)
{
    s->snapshot = NULL;
    gather_forget(s->gather, reader);
}

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int source_init(struct source *s)
{
    s->self = (struct self_stats){
        .version = SMX_VERSION, .revision = SMX_REVISION, .started_ns = wall_clock_ns()};
    return gather_new(&s->gather);
}

void source_fini(struct source *s)
{
    gather_free(s->gather);
    vitals_fini(&s->vitals);
    once_fini(&s->conflicts);
    free(s->readers);
}
