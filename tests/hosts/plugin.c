/* SPDX-License-Identifier: MIT
 *
 * plugin.c - a plug-in with metrics: opens a segment, updates a counter, a histogram and a gauge,
 * and leaves them to be. loading.c loads, calls and unloads it.
 */
#include <smx/scope.h>
#include <smx/smx.h>
#include <stdio.h>

int plugin_run(int rounds);

/* Update `rounds` times. Returns how many times the counter was ever updated, -1 without one. */
__attribute__((visibility("default"))) int plugin_run(int rounds)
{
    smx_segment *segment;
    struct smx_diag diag;
    if (smx_open(&(struct smx_options){.app = "plugin"}, &segment, &diag) < 0) {
        fprintf(stderr, "%s\n", diag.text);
        return -1;
    }
    smx_counter runs = smx_counter_new(segment, &(struct smx_metric){.name = "runs_total"}, NULL);
    smx_gauge active = smx_gauge_new(segment, &(struct smx_metric){.name = "active"}, NULL);
    smx_histogram duration = smx_histogram_new(
        segment, &(struct smx_metric){.name = "run_duration_seconds", .unit = "seconds"}, NULL);
    for (int i = 0; i < rounds; i++) {
        SMX_ACTIVE_SCOPE(active);
        SMX_TIME_SCOPE(duration);
        smx_counter_inc(runs);
    }
    return (int)smx_counter_value(runs);
}
