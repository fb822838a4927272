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
#include "agent/workers/probing.h"
#include "agent/workers/roster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Processes in a step, some 20 us each. */
enum { BATCH = 16 };

/* Limits are hardly ever changed. */
#define LIMIT_NS UINT64_C(60000000000)

/* What the prober said is told until it must have said more, several times: it may be stuck. */
#define PROBE_INTERVAL_NS UINT64_C(60000000000)
enum { PROBES_MISSED = 3 };

/* The time of boot is the difference of two clocks: that of two readings is no news, that somebody
 * has set the clock is. It is told in whole ticks, as the start after it is. */
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
    struct probing *probing; /* or NULL */
};

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* A pause between the two readings makes it earlier: the latest of three is right. */
static int64_t boot_now(void)
{
    int64_t boot = INT64_MIN;
    for (int i = 0; i < 3; i++) {
        int64_t now = clock_ns(CLOCK_REALTIME), then = now - clock_ns(CLOCK_BOOTTIME);
        boot = then > boot ? then : boot;
    }
    return boot;
}

static void find_boot(struct workers *w)
{
    int64_t boot = boot_now();
    int64_t step = boot - w->boot_ns;
    if (step > BOOT_STEP_NS || step < -BOOT_STEP_NS)
        w->boot_ns = boot - boot % (int64_t)w->tick_ns;
}

/* The prober. */

/* What cannot be asked now, for want of memory, is asked the next time. */
static void ask_prober(struct workers *w)
{
    struct probe_process *list = calloc(WORKERS_MAX, sizeof *list);
    size_t n = 0;
    for (size_t i = 0; list && i < w->n; i++) {
        const struct application *a = w->applications[i];
        for (size_t k = 0; k < a->n && n < WORKERS_MAX; k++)
            if (a->workers[k].read)
                list[n++] = (struct probe_process){.pid = a->workers[k].pid,
                                                   .owner = a->workers[k].owner,
                                                   .start_ticks = a->workers[k].start_ticks};
    }
    if (list)
        probing_begin(w->probing, list, n);
}

/* A process may be in several applications. */
static void take_answer(void *context, const struct probe_process *answer)
{
    struct workers *w = context;
    for (size_t i = 0; i < w->n; i++) {
        for (size_t k = 0; k < w->applications[i]->n; k++) {
            struct worker *p = &w->applications[i]->workers[k];
            if (p->pid != answer->pid || p->start_ticks != answer->start_ticks)
                continue;
            p->probed_ns = loop_now_ns();
            p->proportional_bytes = answer->proportional_bytes;
            p->read_bytes = answer->read_bytes;
            p->written_bytes = answer->written_bytes;
        }
    }
}

static int start_prober(struct workers *w)
{
    const struct probing_options options = {.loop = w->options.loop,
                                            .log = w->options.log,
                                            .what = w->options.probe,
                                            .interval_ns = w->options.probe_interval_ns,
                                            .answered = take_answer,
                                            .context = w};
    return probing_new(&options, &w->probing);
}

int workers_new(const struct workers_options *options, struct workers **out)
{
    struct workers *w = calloc(1, sizeof *w);
    if (!w)
        return -ENOMEM;
    w->options = *options;
    if (w->options.most == 0)
        w->options.most = WORKERS_MAX;
    if (w->options.probe_interval_ns == 0)
        w->options.probe_interval_ns = PROBE_INTERVAL_NS;
    w->tick_ns = UINT64_C(1000000000) / (uint64_t)sysconf(_SC_CLK_TCK);
    w->began_ticks = (uint64_t)clock_ns(CLOCK_BOOTTIME) / w->tick_ns;
    int rc = options->probe && options->detail != WORKERS_OFF ? start_prober(w) : 0;
    if (rc < 0) {
        workers_free(w);
        return rc;
    }
    *out = w;
    return 0;
}

void workers_free(struct workers *w)
{
    if (!w)
        return;
    probing_free(w->probing);
    for (size_t i = 0; i < w->n; i++)
        application_free(w->applications[i]);
    free(w->applications);
    free(w->list);
    free(w);
}

/* Who is there. */

/* Also what is closed by and by: it is counted anew. */
static void count_kept(struct workers *w)
{
    w->kept = 0;
    for (size_t i = 0; i < w->n; i++)
        for (size_t k = 0; k < w->applications[i]->n; k++)
            w->kept += w->applications[i]->workers[k].proc.status >= 0;
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

void workers_set(struct workers *w, enum workers_detail detail)
{
    w->options.detail = detail;
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
    size_t n = roster_take(w->applications, w->n, list, n_segments, applications);
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
    roster_apply_quotas(w->applications, w->n, w->options.most);
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

/* Another process than the last time: it has its slot and its pid. */
static void forget_predecessor(struct worker *p)
{
    p->counted = 0;
    memset(p->upto, 0, sizeof p->upto);
    p->probed_ns = 0;
    p->limit_ns = 0;
}

static bool open_worker(const struct workers *w, const struct application *a, struct worker *p)
{
    struct proc_identity who;
    int rc = w->ours ? proc_open(&p->proc, p->pid, &who) : -EACCES;
    if (rc < 0) {
        miss(p, rc);
        return false;
    }
    if (who.owner != a->owner && roster_is_stranger(a->owner))
        p->hidden = HIDDEN_OWNER;
    else if (p->start && p->start != who.start_ticks)
        p->hidden = HIDDEN_START;
    if (p->start_ticks != who.start_ticks)
        forget_predecessor(p);
    p->owner = who.owner;
    p->start_ticks = who.start_ticks;
    if (p->hidden)
        proc_close(&p->proc);
    return !p->hidden;
}

static void put_row(const struct workers *w, struct worker *p, const struct proc_numbers *n)
{
    const uint64_t kib = n->resident_kib;
    const bool fresh =
        p->probed_ns && loop_now_ns() - p->probed_ns < PROBES_MISSED * w->options.probe_interval_ns;
    const struct {
        enum process_value value;
        uint64_t n;
    } values[] = {{PROCESS_CPU, n->cpu_ns},
                  {PROCESS_RESIDENT, kib < UINT64_MAX >> 10 ? kib << 10 : UINT64_MAX},
                  {PROCESS_THREADS, n->threads},
                  {PROCESS_OPEN_FDS, n->open_fds},
                  {PROCESS_MAX_FDS, p->max_fds},
                  {PROCESS_VOLUNTARY, n->voluntary_switches},
                  {PROCESS_INVOLUNTARY, n->involuntary_switches},
                  {PROCESS_PROPORTIONAL, fresh ? p->proportional_bytes : UINT64_MAX},
                  {PROCESS_READ, fresh ? p->read_bytes : UINT64_MAX},
                  {PROCESS_WRITTEN, fresh ? p->written_bytes : UINT64_MAX}};
    p->row.known = 0;
    process_row_set(&p->row, PROCESS_START, (uint64_t)w->boot_ns + p->start_ticks * w->tick_ns);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        if (values[i].n != UINT64_MAX)
            process_row_set(&p->row, values[i].value, values[i].n);
}

static void read_worker(struct workers *w, const struct application *a, struct worker *p)
{
    struct proc_numbers numbers;
    bool opened = p->proc.status < 0;
    uint64_t now = loop_now_ns();
    if (p->hidden || (opened && !open_worker(w, a, p)))
        return;
    if (!p->limit_ns || now - p->limit_ns >= LIMIT_NS) {
        p->max_fds = proc_max_fds(p->pid);
        p->limit_ns = now;
    }
    int rc = proc_read(&p->proc, &numbers);
    p->read = rc == 0;
    if (rc == 0) {
        p->missed = 0;
        put_row(w, p, &numbers);
    } else {
        miss(p, rc);
    }
    if (p->read && opened && w->kept < w->options.kept)
        w->kept++;
    else if (!p->read || opened)
        proc_close(&p->proc);
}

bool workers_probing(const struct workers *w)
{
    return w->probing && probing_is_busy(w->probing);
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
            application_sum(a, w->began_ticks, &w->options);
        w->application++;
        w->worker = 0;
    }
    if (w->application < w->n)
        return true;
    if (w->probing && probing_is_due(w->probing))
        ask_prober(w);
    return false;
}

struct processes *const *workers_list(const struct workers *w, size_t *n)
{
    *n = w->n;
    return w->list;
}

/* What is hidden. */

const uint32_t *workers_hidden(const struct workers *w, struct smx_str app, struct smx_str instance)
{
    size_t i = roster_find(w->applications, w->n, 0, app, instance);
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
    [HIDDEN_MEMORY] = {"memory", "its proportional memory is hidden from the agent's user"},
    [HIDDEN_IO] = {"io", "the bytes that it reads and writes are hidden from the agent's user"},
};

const char *workers_hidden_name(enum workers_hidden hidden)
{
    return reasons[hidden].name;
}

const char *workers_hidden_text(enum workers_hidden hidden)
{
    return reasons[hidden].text;
}
