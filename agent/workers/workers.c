/* SPDX-License-Identifier: MIT
 *
 * workers.c - reads the processes of the applications, some at a time. Owns their descriptors.
 *
 * Nothing that a segment says opens a file: the pids are those that the kernel gives for the
 * holders of locks. Between that and the opening the process may end and its pid be another's: so
 * its start is compared, where the slot tells it, and always its user. From then on the descriptors
 * are that process's.
 */
#include "agent/workers/workers.h"

#include "agent/loop/loop.h"
#include "agent/workers/application.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Processes in a step, some 20 us each. */
enum { BATCH = 16 };

/* Limits are hardly ever changed. */
#define LIMIT_NS UINT64_C(60000000000)

/* The time of boot is the difference of two clocks: that of two readings is no news, that somebody
 * has set the clock is. */
#define BOOT_STEP_NS INT64_C(500000000)

struct workers {
    struct workers_options options;
    struct application **applications; /* as their segments are ordered */
    struct processes **list;
    size_t n;
    size_t application, worker; /* the next to read */
    size_t kept;
    uint64_t tick_ns;
    uint64_t began_ticks; /* after boot */
    int64_t boot_ns;      /* CLOCK_REALTIME */
    bool ours;            /* /proc is */
    bool said;
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void find_boot(struct workers *w)
{
    int64_t boot = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_BOOTTIME);
    int64_t step = boot - w->boot_ns;
    if (step > BOOT_STEP_NS || step < -BOOT_STEP_NS)
        w->boot_ns = boot;
}

int workers_new(const struct workers_options *options, struct workers **out)
{
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->options = *options;
    if (w->options.most == 0)
        w->options.most = WORKERS_MAX;
    w->tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    w->began_ticks = (uint64_t)clock_ns(CLOCK_BOOTTIME) / w->tick_ns;
    *out = w;
    return 0;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    for (size_t i = 0; i < w->n; i++)
        application_free(w->applications[i]);
    free(w->applications);
    free(w->list);
    free(w);
}

/* Who is there. */

static bool is_of(const struct application *a, struct smx_str app, struct smx_str instance)
{
    return a->shown.app.length == app.length && a->shown.instance.length == instance.length &&
           memcmp(a->shown.app.at, app.at, app.length) == 0 &&
           memcmp(a->shown.instance.at, instance.at, instance.length) == 0;
}

/* Mostly it is where it was, the next one. Returns n if there is none. */
static size_t find(struct application *const list[], size_t n, size_t from, struct smx_str app,
                   struct smx_str instance)
{
    for (size_t step = 0; step < n; step++) {
        size_t i = (from + step) % n;
        if (list[i] && is_of(list[i], app, instance))
            return i;
    }
    return n;
}

static bool is_served(const struct segment *segment)
{
    return segment->state == SEGMENT_SERVED && segment->read_ns;
}

/* The application of a segment, which is taken out of the list, or made. NULL: it has been met in
 * this look, or there is no memory. */
static struct application *take(struct workers *w, const struct smx_segment_info *info,
                                size_t *from, struct application *const met[], size_t n_met)
{
    size_t i = find(w->applications, w->n, *from, info->app, info->instance);
    if (i == w->n)
        return find(met, n_met, 0, info->app, info->instance) < n_met ? NULL
                                                                      : application_new(info);
    struct application *a = w->applications[i];
    w->applications[i] = NULL;
    *from = i + 1;
    return a;
}

/* The applications of the segments that are served, in their order. Returns their number. */
static size_t collect(struct workers *w, const struct segment *segments, size_t n_segments,
                      struct application **out)
{
    size_t n = 0, from = 0;
    for (size_t i = 0; i < n_segments; i++) {
        if (!is_served(&segments[i]))
            continue;
        const struct smx_segment_info *info = smx_reader_info(segments[i].reader);
        struct application *a = take(w, info, &from, out, n);
        if (!a)
            continue;
        a->due = a->read_ns != segments[i].read_ns;
        a->owner = info->owner;
        a->read_ns = segments[i].read_ns;
        if (a->due)
            a->due = application_take(a, segments[i].reader) == 0;
        out[n++] = a;
    }
    return n;
}

static bool is_stranger(uid_t owner)
{
    return owner != 0 && owner != geteuid();
}

/* How many processes of an application are read, with those before it. */
static size_t quota(const struct workers *w, size_t index)
{
    const struct application *a = w->applications[index];
    size_t of_all = 0, of_owner = 0;
    for (size_t i = 0; i < index; i++) {
        of_all += w->applications[i]->n;
        if (w->applications[i]->owner == a->owner)
            of_owner += w->applications[i]->n;
    }
    const size_t most = w->options.most;
    const size_t most_owner = is_stranger(a->owner) ? most - most / 4 : most;
    size_t left = of_all < most ? most - of_all : 0;
    size_t left_owner = of_owner < most_owner ? most_owner - of_owner : 0;
    return left < left_owner ? left : left_owner;
}

static void apply_quotas(struct workers *w)
{
    for (size_t i = 0; i < w->n; i++) {
        struct application *a = w->applications[i];
        for (size_t k = quota(w, i); k < a->n; k++)
            a->workers[k].hidden = HIDDEN_TOO_MANY;
    }
}

/* Also what is closed by and by: it is counted anew. */
static void count_kept(struct workers *w)
{
    w->kept = 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->applications[i]->n; k++)
            w->kept += w->applications[i]->workers[k].proc.stat >= 0;
}

/* The same pids mean other processes, or none, in a /proc of another PID namespace. */
static void check_proc(struct workers *w)
{
    w->ours = proc_is_ours();
    if (w->ours || w->said)
        return;
    w->said = true;
    LOG_WARN(w->options.log, "no numbers of processes: /proc is not of the agent's PID namespace",
             "do", "mount a /proc of its own (unshare --mount-proc)");
}

void workers_begin(struct workers *w, const struct segments *segments)
{
    size_t n_segments = 0;
    const struct segment *list = segments_list(segments, &n_segments);
    if (w->options.detail == WORKERS_OFF)
        n_segments = 0;
    struct application **applications = calloc(n_segments + 1, sizeof *applications);
    struct processes **shown = calloc(n_segments + 1, sizeof *shown);
    if (!applications || !shown) {
        free(applications);
        free(shown);
        return;
    }
    size_t n = collect(w, list, n_segments, applications);
    for (size_t i = 0; i < w->n; i++)
        if (w->applications[i])
            application_free(w->applications[i]);
    for (size_t i = 0; i < n; i++)
        shown[i] = &applications[i]->shown;
    free(w->applications);
    free(w->list);
    w->applications = applications;
    w->list = shown;
    w->n = n;
    w->application = 0;
    w->worker = 0;
    check_proc(w);
    find_boot(w);
    apply_quotas(w);
    count_kept(w);
}

/* What they do. */

static enum workers_hidden why_not(int rc)
{
    return rc == -EMFILE || rc == -ENFILE ? HIDDEN_LIMIT : HIDDEN_PROC;
}

/* It may just have ended; that it still is not there at the next look means that it is hidden: the
 * kernel says that it holds its lock. */
static void miss(struct worker *p, int rc)
{
    bool gone = rc == -ENOENT || rc == -ESRCH;
    if (!gone || p->missed)
        p->hidden = why_not(rc);
    p->missed = 1;
}

static bool open_worker(const struct workers *w, const struct application *a, struct worker *p)
{
    uid_t owner;
    int rc = w->ours ? proc_open(&p->proc, p->pid, &owner) : -EACCES;
    if (rc < 0) {
        miss(p, rc);
        return false;
    }
    if (owner == a->owner || !is_stranger(a->owner))
        return true;
    p->hidden = HIDDEN_OWNER;
    proc_close(&p->proc);
    return false;
}

static void put_row(const struct workers *w, struct worker *p, const struct proc_numbers *n)
{
    const struct {
        enum process_value value;
        uint64_t n;
    } values[] = {{PROCESS_OPEN_FDS, n->open_fds},
                  {PROCESS_MAX_FDS, p->max_fds},
                  {PROCESS_VOLUNTARY, n->voluntary_switches},
                  {PROCESS_INVOLUNTARY, n->involuntary_switches}};
    p->row.known = 0;
    if (n->resident_kib != UINT64_MAX)
        process_row_set(&p->row, PROCESS_RESIDENT, n->resident_kib << 10);
    process_row_set(&p->row, PROCESS_CPU, n->cpu_ticks * w->tick_ns);
    process_row_set(&p->row, PROCESS_THREADS, n->threads);
    process_row_set(&p->row, PROCESS_START, (uint64_t)w->boot_ns + n->start_ticks * w->tick_ns);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (values[i].n != UINT64_MAX)
            process_row_set(&p->row, values[i].value, values[i].n);
}

static void read_worker(struct workers *w, const struct application *a, struct worker *p)
{
    struct proc_numbers numbers;
    bool opened = p->proc.stat < 0;
    uint64_t now = loop_now_ns();
    if (p->hidden || (opened && !open_worker(w, a, p)))
        return;
    if (!p->limit_ns || now - p->limit_ns >= LIMIT_NS) {
        p->max_fds = proc_max_fds(p->pid);
        p->limit_ns = now;
    }
    int rc = proc_read(&p->proc, &numbers);
    if (rc < 0)
        miss(p, rc);
    else if (p->start && p->start != numbers.start_ticks)
        p->hidden = HIDDEN_START;
    else if (p->start_ticks != numbers.start_ticks)
        p->counted = 0; /* another process than the last time */
    p->start_ticks = rc == 0 ? numbers.start_ticks : 0;
    p->read = rc == 0 && !p->hidden;
    if (p->read) {
        p->missed = 0;
        put_row(w, p, &numbers);
    }
    if (p->read && opened && w->kept < w->options.kept)
        w->kept++;
    else if (!p->read || opened)
        proc_close(&p->proc);
}

/* Behind the last of an application it is summed. */
bool workers_step(struct workers *w)
{
    for (unsigned i = 0; i < BATCH && w->application < w->n; i++) {
        struct application *a = w->applications[w->application];
        if (a->due && w->worker < a->n) {
            read_worker(w, a, &a->workers[w->worker++]);
            continue;
        }
        if (a->due)
            application_sum(a, w->began_ticks, w->options.detail);
        w->application++;
        w->worker = 0;
    }
    return w->application < w->n;
}

struct processes *const *workers_list(const struct workers *w, size_t *n)
{
    *n = w->n;
    return w->list;
}

/* What is hidden. */

const uint32_t *workers_hidden(const struct workers *w, struct smx_str app, struct smx_str instance)
{
    size_t i = find(w->applications, w->n, 0, app, instance);
    return i < w->n ? w->applications[i]->hidden : NULL;
}

static const struct {
    const char *name, *text;
} reasons[HIDDEN_COUNT] = {
    [HIDDEN_NAMESPACE] = {"namespace", "of a PID namespace that is not below the agent's"},
    [HIDDEN_OWNER] = {"owner", "of another user than the segment"},
    [HIDDEN_START] = {"start", "began at another time than its slot says"},
    [HIDDEN_DUPLICATE] = {"duplicate", "holds another slot already"},
    [HIDDEN_PROC] = {"proc", "not to be seen in the agent's /proc"},
    [HIDDEN_LIMIT] = {"limit", "the agent has no descriptor left to look at it"},
    [HIDDEN_TOO_MANY] = {"too_many", "there are more than the agent looks at, or of one user"},
    [HIDDEN_FDS] = {"fds", "the number of its descriptors is hidden from the agent's user"},
};

const char *workers_hidden_name(enum workers_hidden hidden)
{
    return reasons[hidden].name;
}

const char *workers_hidden_text(enum workers_hidden hidden)
{
    return reasons[hidden].text;
}
