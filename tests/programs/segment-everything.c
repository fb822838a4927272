/* SPDX-License-Identifier: MIT
 *
 * segment-everything.c - an application that uses all that libshm has, for scripts that read its
 * segment: segment-everything DIRECTORY percpu|striped. Every type and mode, series past the cap,
 * removed ones, exemplars, checks, losses, children of which one is dead. Prints the path once
 * nobody writes any more, and ends with its standard input.
 */
#include <smx/health.h>
#include <smx/smx.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 3 };

static const char *const phases[] = {"starting", "serving", "draining", NULL};

struct everything {
    smx_family orders, levels, loads, sizes, phase;
    smx_gauge modes[SMX_EACH + 1];
    smx_fgauge real;
    smx_histogram durations;
    smx_check check, silent;
};

static void open_families(struct everything *e, smx_segment *s)
{
    static const double bounds[] = {0.5, 1, 2.5, 1e6};
    e->orders = smx_counter_family(
        s, &(struct smx_metric){.name = "orders_total", .labels = {"kind", "how"}, .max_series = 3},
        NULL);
    e->levels = smx_gauge_family(
        s, &(struct smx_metric){.name = "levels", .labels = {"of"}, .max_series = 1}, NULL);
    e->loads = smx_fgauge_family(
        s, &(struct smx_metric){.name = "loads", .labels = {"of"}, .mode = SMX_AVG}, NULL);
    e->sizes = smx_histogram_family(s,
                                    &(struct smx_metric){.name = "sizes_bytes",
                                                         .unit = "bytes",
                                                         .help = "Sizes, \303\244 la carte.",
                                                         .labels = {"of"},
                                                         .max_series = 1,
                                                         .bounds = bounds,
                                                         .n_bounds = 4},
                                    NULL);
    e->phase = smx_stateset_family(
        s, &(struct smx_metric){.name = "phase", .states = phases, .labels = {"of"}}, NULL);
    e->durations = smx_histogram_new(
        s,
        &(struct smx_metric){.name = "duration_seconds", .unit = "seconds", .schema = 5, .max = 60},
        NULL);
}

static void open_single(struct everything *e, smx_segment *s)
{
    static const char *const names[] = {"sum", "min", "max", "avg", "last", "each"};
    for (int mode = SMX_SUM; mode <= SMX_EACH; mode++)
        e->modes[mode] = smx_gauge_new(
            s, &(struct smx_metric){.name = names[mode], .mode = (enum smx_mode)mode}, NULL);
    e->real = smx_fgauge_new(s, &(struct smx_metric){.name = "real_each", .mode = SMX_EACH}, NULL);
    smx_info(s, &(struct smx_metric){.name = "build", .labels = {"version"}}, SMX_VALUES("1.2"),
             NULL);
    e->check = smx_check_new(s,
                             &(struct smx_check_options){.name = "database",
                                                         .help = "Without it nothing works.",
                                                         .interval_ms = 3600000,
                                                         .critical = true},
                             NULL);
    e->silent = smx_check_new(s, &(struct smx_check_options){.name = "queue"}, NULL);
}

static void count(const struct everything *e)
{
    static const char *const kinds[] = {"gift", "card", "", "more", "most"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        smx_counter_add(smx_counter_with(e->orders, SMX_VALUES(kinds[i], "by \"mail\"")), 1000 + i);
        smx_histogram_observe(smx_histogram_with(e->sizes, SMX_VALUES(kinds[i])), 1.5 * (double)i);
        smx_gauge_add(smx_gauge_with(e->levels, SMX_VALUES(kinds[i])), 3);
    }
    smx_series_remove(e->orders, SMX_VALUES("card", "by \"mail\""));
    smx_counter_add_signed(smx_counter_with(e->orders, SMX_VALUES("gift", "by \"mail\"")), -1);
    smx_counter_add_exemplar(smx_counter_with(e->orders, SMX_VALUES("gift", "by \"mail\"")), 7,
                             SMX_VALUES("trace_id", "4bf92f3577b34da6", "span", "7"));
    for (uint64_t ticks = 1; ticks < UINT64_C(1) << 40; ticks *= 3)
        smx_histogram_record_exemplar(e->durations, ticks, SMX_VALUES("id", "x"));
    smx_histogram_record(e->durations, 0);
}

/* What a process says of itself; `child` is 0 for the first one. */
static void say(const struct everything *e, smx_segment *s, int child)
{
    for (int mode = SMX_SUM; mode <= SMX_EACH; mode++)
        smx_gauge_set(e->modes[mode], 10 * child - 5);
    smx_fgauge_set(e->real, child / 8.0);
    smx_fgauge_set(smx_fgauge_with(e->loads, SMX_VALUES("cpu")), child / 4.0);
    smx_stateset_enter(smx_stateset_with(e->phase, SMX_VALUES("us")), (unsigned)child % 3);
    if (child % 2)
        smx_check_report(e->check, SMX_CHECK_DEGRADED, "it takes a second");
    else
        smx_check_report(e->check, SMX_CHECK_OK, NULL);
    if (child)
        smx_set_role(s, "worker");
    smx_heartbeat(s);
}

static int fork_child(const struct everything *e, smx_segment *s, int child)
{
    int ready[2];
    if (pipe(ready) < 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        say(e, s, child);
        if (write(ready[1], "", 1) == 1)
            pause();
        _exit(1);
    }
    char byte;
    close(ready[1]);
    if (pid > 0 && read(ready[0], &byte, 1) != 1)
        return -1;
    close(ready[0]);
    return pid;
}

int main(int argc, char **argv)
{
    static const char *const constant[] = {"env", "test", "zone", "b \303\237", NULL};
    struct smx_diag diag;
    struct everything e;
    smx_segment *s;
    if (argc != 3 ||
        smx_open(&(struct smx_options){.app = "everything",
                                       .instance = argv[2],
                                       .directory = argv[1],
                                       .role = "master",
                                       .constant_labels = constant,
                                       .slots = 8,
                                       .kind = strcmp(argv[2], "striped") == 0 ? SMX_KIND_STRIPED
                                                                               : SMX_KIND_PERCPU},
                 &s, &diag) < 0)
        return fprintf(stderr, "usage: segment-everything DIRECTORY percpu|striped\n"), 2;
    open_families(&e, s);
    open_single(&e, s);
    count(&e);
    say(&e, s, 0);
    pid_t last = 0;
    for (int child = 1; child <= CHILDREN; child++)
        if ((last = fork_child(&e, s, child)) < 0)
            return 1;
    kill(last, SIGKILL);
    waitpid(last, NULL, 0);
    if (puts(smx_path(s)) < 0 || fflush(stdout) != 0)
        return 1;
    return getchar() == EOF ? 0 : 1;
}
