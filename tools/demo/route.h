/* SPDX-License-Identifier: MIT
 *
 * route.h - what the server has to say: its paths, and the answer of each.
 */
#ifndef SMX_DEMO_ROUTE_H
#define SMX_DEMO_ROUTE_H

#include "http.h"

/* Paths that do not exist share one label value: paths come from clients, and labels must not. */
enum route { ROUTE_ROOT, ROUTE_FAST, ROUTE_WORK, ROUTE_ERROR, ROUTE_OTHER, ROUTES };

enum { ROUTE_BODY_SIZE = 512 };

/* The route of a path. */
enum route route_find(const char *path, size_t length);

/* The label value: "/work", or "other". */
const char *route_name(enum route route);

/* Answer a request. The body is written to body; /work burns a millisecond of CPU time. */
enum http_status route_answer(enum route route, enum http_method method,
                              char body[ROUTE_BODY_SIZE]);

#endif
