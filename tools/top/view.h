/* SPDX-License-Identifier: MIT
 *
 * view.h - what smx-top shows, as text: the same lines on a screen and in a pipe.
 */
#ifndef SMX_TOP_VIEW_H
#define SMX_TOP_VIEW_H

#include "watch.h"

#include <stdio.h>

/* Write a segment: a heading, its checks, then its series, those with the highest rate first.
 * Returns: 0 or -ENOMEM. */
int view_write(FILE *out, const struct watch *watch);

#endif
