/* SPDX-License-Identifier: MIT
 *
 * configuration.h - the web configuration in force: read at the start, again when somebody comes
 * and its files have changed, or a reload asks for it; replaced as a whole or not at all.
 */
#ifndef SMX_AGENT_WEB_CONFIGURATION_H
#define SMX_AGENT_WEB_CONFIGURATION_H

#include "agent/log/log.h"
#include "agent/web/materials.h"

enum { CONFIGURATION_WHY_SIZE = MATERIALS_WHY_SIZE };

/* In the caller's memory; fill in the first three, leave the rest zero. */
struct configuration {
    const struct log *log;
    /* It is another one now; what there was before goes when this returns. */
    void (*changed)(void *context, const struct materials *before);
    void *context;

    struct materials materials;    /* in force; all-zero: there is no file */
    char *path;                    /* of the file, absolute, or NULL */
    uint64_t loaded_ns, looked_ns; /* CLOCK_REALTIME, CLOCK_MONOTONIC */
    bool is_good;                  /* what the file said when it was last read */

    struct materials read;            /* aside, while a reload is decided */
    bool waits;                       /* what the file says now: it may not be all of it */
    char why[CONFIGURATION_WHY_SIZE]; /* it is not good, as was logged */
};

/* Read a file for the first time. Returns: 0, or a negative errno; the log then says why. */
int configuration_open(struct configuration *configuration, const char *path);
void configuration_close(struct configuration *configuration);

/* Look at the files, once a second at most, and read them again if they have changed. */
void configuration_look(struct configuration *configuration);

/* Read the file, if there is one, and keep aside what it says. Returns: 0, or a negative errno and
 * what is wrong, which the log says, too. */
int configuration_read(struct configuration *configuration, char why[CONFIGURATION_WHY_SIZE]);

/* Put in force what was read, or forget it. */
void configuration_use(struct configuration *configuration);
void configuration_forget(struct configuration *configuration);

#endif
