/* SPDX-License-Identifier: MIT
 *
 * descriptors.h - what the process's limit of open files is spent on: each segment and each
 * connection takes a descriptor, and neither may take those that the other needs. What is left is
 * for processes, which can do without.
 */
#ifndef SMX_AGENT_DESCRIPTORS_H
#define SMX_AGENT_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

struct descriptors {
    size_t segments, connections;
    size_t processes; /* whose files stay open */
};

/* Raise the soft limit to the hard one. */
void descriptors_raise(void);

/* Divide what a limit allows, with no more connections than that. Of the customary 1024 connections
 * get 236 and segments 708; the processes none. */
struct descriptors descriptors_divide(uint64_t limit, uint64_t connections);

/* The same of the limit in force. */
struct descriptors descriptors_share(uint64_t connections);

#endif
