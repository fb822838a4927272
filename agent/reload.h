/* SPDX-License-Identifier: MIT
 *
 * reload.h - another configuration in place of the one in force: read and checked first, against
 * what can be done without a restart, too, then put in force as a whole or not at all, and the web
 * configuration with it. Listeners and whatever only the command line says are not touched.
 */
#ifndef SMX_AGENT_RELOAD_H
#define SMX_AGENT_RELOAD_H

#include "agent/config/config.h"
#include "agent/gather/self.h"
#include "agent/pages/pages.h"
#include "agent/system/sandbox.h"
#include "agent/segments/dirwatch.h"
#include "agent/segments/segments.h"
#include "agent/web/web.h"
#include "agent/workers/workers.h"

/* What is made by a configuration. */
struct reload {
    const struct options *options;
    const struct log *log;
    struct config *config; /* in force; owned */
    struct segments *segments;
    struct dirwatch *dirwatch; /* or NULL */
    struct workers *workers;
    struct pages *pages;
    struct web *web; /* NULL: nothing is served */
    const struct sandbox *sandbox;
    struct self_config result; /* of the last reload */
};

/* Take a configuration that was read at the start; the parts are filled in as they are made. */
void reload_init(struct reload *out, const struct options *options, const struct log *log,
                 struct config *config);
void reload_fini(struct reload *reload);

/* The rules that pages are made by. */
struct gather_rules reload_rules(const struct config *config);

/* Read the files again. Returns: 0, or a negative errno and why, as is logged; everything is as it
 * was then. */
int reload_run(struct reload *reload, char why[CONFIG_WHY_SIZE]);

#endif
