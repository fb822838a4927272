/* SPDX-License-Identifier: MIT
 *
 * children.c - says what children and their workers do, from the scoreboard. The parent does so
 * when it looks after its children anyway, about every 10 seconds: that costs requests nothing, and
 * shows what lasts, not what flickers. A worker is a thread, or with prefork a child.
 */
#include "config.h"
#include "hooks.h"

#include <scoreboard.h>

static enum child_state state_of(const process_score *child, ap_generation_t running)
{
    if (child->quiescing || child->generation != running)
        return CHILD_STOPPING;
    return child->not_accepting ? CHILD_FULL : CHILD_SERVING;
}

int children_count(apr_pool_t *pool, server_rec *server)
{
    (void)pool;
    const struct metrics *metrics = config_of(server)->metrics;
    if (!metrics->segment || !ap_exists_scoreboard_image())
        return DECLINED;
    const global_score *global = ap_get_scoreboard_global();
    int children[N_CHILD_STATES] = {0};
    int workers[SERVER_NUM_STATUS] = {0};
    for (int i = 0; i < global->server_limit; i++) {
        const process_score *child = ap_get_scoreboard_process(i);
        if (child->pid)
            children[state_of(child, global->running_generation)]++;
        for (int j = 0; j < global->thread_limit; j++) {
            unsigned status = ap_scoreboard_image->servers[i][j].status;
            if (status < SERVER_NUM_STATUS)
                workers[status]++;
        }
    }
    for (int i = 0; i < N_CHILD_STATES; i++)
        smx_gauge_set(metrics->children[i], children[i]);
    for (int i = SERVER_DEAD + 1; i < SERVER_NUM_STATUS; i++)
        smx_gauge_set(metrics->workers[i], workers[i]);
    return DECLINED;
}
