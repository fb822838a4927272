/* SPDX-License-Identifier: MIT
 *
 * loop_backend.h - what loop.c asks of loop_uring.c and loop_epoll.c: wait for descriptors.
 *
 * A tag names a watch: its slot (below LOOP_WATCHES_MAX) in the low 32 bits and a generation, never
 * 0, in the high ones, so that what a back end reports late about an earlier watch of the slot is
 * told apart.
 */
#ifndef SMX_AGENT_LOOP_BACKEND_H
#define SMX_AGENT_LOOP_BACKEND_H

#include "agent/loop/loop.h"

struct loop_backend {
    const char *name;
    int (*watch)(struct loop_backend *backend, int fd, uint64_t tag);
    void (*unwatch)(struct loop_backend *backend, int fd, uint64_t tag);
    /* Wait for at most timeout_ns (UINT64_MAX: for ever). Writes the tags of the readable
     * descriptors, each once. Returns their number or a negative errno; an interruption is 0. */
    int (*wait)(struct loop_backend *backend, uint64_t timeout_ns, uint64_t tags[LOOP_WATCHES_MAX]);
    void (*close)(struct loop_backend *backend);
};

/* Returns: 0 or a negative errno. Owns: the caller, by close(). */
int loop_uring_open(struct loop_backend **out);
int loop_epoll_open(struct loop_backend **out);

static inline uint32_t loop_tag_slot(uint64_t tag)
{
    return (uint32_t)tag;
}

#endif
