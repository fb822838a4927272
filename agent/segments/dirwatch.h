/* SPDX-License-Identifier: MIT
 *
 * dirwatch.h - says when directories, or the files named as segments in them, come, go or change.
 *
 * A directory that does not exist is waited for in its nearest existing parent. It is only a hint
 * that looking is worthwhile: who relies on the answer must look (scrapes do), for a watch may be
 * refused (fs.inotify.max_user_watches) and its queue may overflow.
 */
#ifndef SMX_AGENT_DIRWATCH_H
#define SMX_AGENT_DIRWATCH_H

#include "agent/loop/loop.h"

#include <stddef.h>

struct dirwatch;

/* Watch n directories, whose paths are copied, and call changed(context) in the loop.
 * Returns: 0, -EMFILE, -ENOMEM, -ENOSPC. */
int dirwatch_new(struct loop *loop, const char *const paths[], size_t n,
                 void (*changed)(void *context), void *context, struct dirwatch **out);
void dirwatch_free(struct dirwatch *watch);

/* Watch other directories, from the next dirwatch_arm() on.
 * Returns: 0, -ENOMEM: nothing has changed. */
int dirwatch_set(struct dirwatch *watch, const char *const paths[], size_t n);

/* Put the watches where they belong now. Call it before looking, so that nothing falls between.
 * Returns: 0, or the negative errno of a watch that was refused. */
int dirwatch_arm(struct dirwatch *watch);

#endif
