/* SPDX-License-Identifier: MIT
 *
 * health.h - libshm, the writing side: an application's own health checks.
 *
 * A *check* is something that an application needs, by name: a database, a queue, space on a disk.
 * Any process of it declares a check and reports what it found: a state, and in words what is
 * wrong. A *report* belongs to the process that made it and goes with it, as a gauge's value does.
 * It holds for the check's interval, or, if that is 0, as long as its process lives. The state of a
 * check is the worst of the reports that hold. Where none holds the check is silent, and that
 * counts as failed: nobody who lives has looked lately. So not all processes need report, nor
 * always the same ones.
 *
 *       #include <smx/health.h>
 *
 *       smx_check database = smx_check_new(seg, &(struct smx_check_options){
 *           .name = "database", .help = "No order is accepted without it.",
 *           .interval_ms = 30000, .critical = true}, NULL);
 *       ...
 *       smx_check_report(database, SMX_CHECK_OK, NULL);
 *       smx_check_report(database, SMX_CHECK_FAILED, "connection refused by 10.0.0.7:5432");
 *
 * smx-agent tells of them at /health, by /health/<app>/ready to an orchestrator, and as metrics;
 * smx-dump and smx-top show them; smx_reader_check() of <smx/reader.h> reads them. That a process
 * hangs is no matter for a check: it says by smx_heartbeat() that it does not.
 */
#ifndef SMX_HEALTH_H
#define SMX_HEALTH_H

#include <smx/smx.h>
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* The bytes of a check's help, and of a message, at most. */
#define SMX_CHECK_HELP_MAX    1000
#define SMX_CHECK_MESSAGE_MAX 224
/* Checks of a segment, at most; readers show no more. */
#define SMX_CHECKS_MAX 1024

enum smx_check_state {
    SMX_CHECK_SILENT = 0, /* nobody says anything; cannot be reported */
    SMX_CHECK_OK = 1,
    SMX_CHECK_DEGRADED = 2, /* works, but not as it should */
    SMX_CHECK_FAILED = 3,
};

/* The name of a state ("silent", "ok", "degraded", "failed"); NULL past the last.
 * Context: signal=safe. */
const char *smx_check_state_name(unsigned state);

/* A check's handle. All-zero is valid: its reports go nowhere. */
typedef struct smx_check {
    struct smx_cell *base; /* of its reports, row 0, or NULL */
    const struct smx_proc *proc;
    void *record;
} smx_check;

/* The description of a check. All but `name` may be left zero. Strings are copied. */
struct smx_check_options {
    const char *name;     /* 1..63 of A-Z a-z 0-9 _ . -, not starting with a dot */
    const char *help;     /* UTF-8, one sentence: what does not work without it */
    uint32_t interval_ms; /* how long a report holds; 0: as long as its process lives */
    bool critical;        /* without it the application is not ready */
};

/* Declare a check, or find it: the same name gives the same check in every process. The first help
 * stays; interval and criticality are those of who declared it last, so that a new release may
 * change them while an old one still runs.
 * Until the first report the check is silent: an application is ready when it has looked.
 * Returns: the check; all-zero when refused, with diag (if not NULL) saying why and the segment
 *   counting the loss by its reason.
 * Context: threads=any fork=any signal=no blocks=no (at most a fallocate(2) on tmpfs). */
smx_check smx_check_new(smx_segment *segment, const struct smx_check_options *options,
                        struct smx_diag *diag);

/* Report what this process found, now. message: what is wrong, one line of UTF-8, NULL for nothing;
 * cut off past SMX_CHECK_MESSAGE_MAX bytes, with question marks for what is no text. Of the
 * messages of processes in one state the last one is kept. It may be missing where two are written
 * at once, until the next report; the state never is.
 * A process without a slot (SMX_LOST_SLOTS) cannot report: that is counted as SMX_LOST_GAUGE. A
 * state that is none is dropped, and counted as SMX_LOST_INVALID.
 * Context: threads=any fork=any signal=safe blocks=never; not between vfork() and exec. */
void smx_check_report(smx_check check, enum smx_check_state state, const char *message);

/* The state that this process has reported last, SMX_CHECK_SILENT if it has not.
 * Context: threads=any fork=any signal=safe blocks=never. */
enum smx_check_state smx_check_reported(smx_check check);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
