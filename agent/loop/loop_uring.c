/* SPDX-License-Identifier: MIT
 *
 * loop_uring.c - the loop's back end on io_uring; the only file that knows liburing.
 *
 * Each watch is a one-shot poll request that is made anew when the loop next waits; the request is
 * sent by the io_uring_enter(2) that waits, so it costs no system call. Multishot polls were
 * dropped: they report edges (a descriptor that is left readable is not reported again), so the two
 * back ends would differ, and they need Linux 5.13. libmicrohttpd happened to work with them, but
 * nothing promises that it drains its epoll descriptor; throughput was the same.
 */
#include "agent/loop/loop_backend.h"

#include <errno.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>

/* Room for a poll and a cancellation of every watch. */
enum { ENTRIES = 2 * LOOP_WATCHES_MAX };

struct request {
    uint64_t tag; /* 0: no watch in this slot */
    int fd;
    bool armed; /* the kernel has the poll request */
};

struct uring_backend {
    struct loop_backend base;
    struct io_uring ring;
    struct request requests[LOOP_WATCHES_MAX];
};

static struct uring_backend *of(struct loop_backend *backend)
{
    return (struct uring_backend *)backend;
}

static struct io_uring_sqe *next_entry(struct uring_backend *uring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(&uring->ring);
    if (entry)
        return entry;
    io_uring_submit(&uring->ring);
    return io_uring_get_sqe(&uring->ring);
}

static int uring_watch(struct loop_backend *backend, int fd, uint64_t tag)
{
    of(backend)->requests[loop_tag_slot(tag)] = (struct request){.tag = tag, .fd = fd};
    return 0;
}

/* Cancel at once: until then the request holds a reference to the file, and a listening socket
 * would go on listening after its close(2). The cancellation's own completion bears the tag 0. */
static void uring_unwatch(struct loop_backend *backend, int fd, uint64_t tag)
{
    struct uring_backend *uring = of(backend);
    struct request *request = &uring->requests[loop_tag_slot(tag)];
    (void)fd;
    if (request->armed) {
        struct io_uring_sqe *entry = next_entry(uring);
        if (entry) {
            io_uring_prep_poll_remove(entry, tag);
            io_uring_sqe_set_data64(entry, 0);
            io_uring_submit(&uring->ring);
        }
    }
    *request = (struct request){0};
}

static int arm(struct uring_backend *uring)
{
    for (size_t i = 0; i < LOOP_WATCHES_MAX; i++) {
        struct request *request = &uring->requests[i];
        if (request->tag == 0 || request->armed)
            continue;
        struct io_uring_sqe *entry = next_entry(uring);
        if (!entry)
            return -EBUSY;
        io_uring_prep_poll_add(entry, request->fd, POLLIN);
        io_uring_sqe_set_data64(entry, request->tag);
        request->armed = true;
    }
    return 0;
}

/* Take what has completed. A slot has at most one request that bears its tag, so n stays within
 * the array. A failed poll is reported as readiness: reading the descriptor then says why. */
static int reap(struct uring_backend *uring, uint64_t tags[LOOP_WATCHES_MAX])
{
    struct io_uring_cqe *completion;
    unsigned head, seen = 0;
    int n = 0;
    io_uring_for_each_cqe(&uring->ring, head, completion)
    {
        uint64_t tag = completion->user_data;
        uint32_t slot = loop_tag_slot(tag);
        seen++;
        if (tag == 0 || slot >= LOOP_WATCHES_MAX || uring->requests[slot].tag != tag)
            continue;
        uring->requests[slot].armed = false;
        tags[n++] = tag;
    }
    io_uring_cq_advance(&uring->ring, seen);
    return n;
}

static int uring_wait(struct loop_backend *backend, uint64_t timeout_ns,
                      uint64_t tags[LOOP_WATCHES_MAX])
{
    struct uring_backend *uring = of(backend);
    int rc = arm(uring);
    if (rc < 0)
        return rc;
    struct __kernel_timespec timeout = {.tv_sec = (long long)(timeout_ns / 1000000000),
                                        .tv_nsec = (long long)(timeout_ns % 1000000000)};
    struct io_uring_cqe *first;
    rc = io_uring_submit_and_wait_timeout(&uring->ring, &first, 1,
                                          timeout_ns == UINT64_MAX ? NULL : &timeout, NULL);
    if (rc < 0 && rc != -ETIME && rc != -EINTR && rc != -EAGAIN && rc != -EBUSY)
        return rc;
    return reap(uring, tags);
}

static void uring_close(struct loop_backend *backend)
{
    io_uring_queue_exit(&of(backend)->ring);
    free(backend);
}

/* One request there and back: a seccomp filter may let the ring be made and refuse its use. */
static int probe(struct io_uring *ring)
{
    struct io_uring_sqe *entry = io_uring_get_sqe(ring);
    struct io_uring_cqe *completion;
    if (!entry)
        return -EBUSY;
    io_uring_prep_nop(entry);
    io_uring_sqe_set_data64(entry, 0);
    int rc = io_uring_submit_and_wait(ring, 1);
    if (rc < 0)
        return rc;
    rc = io_uring_peek_cqe(ring, &completion);
    if (rc < 0)
        return rc;
    io_uring_cqe_seen(ring, completion);
    return 0;
}

/* The ring outlives the agent's system calls being filtered, and what is asked through it passes no
 * filter: so it takes these requests alone, and no more registrations. (TIMEOUT: how liburing waits
 * with one before Linux 5.11.) */
static int open_restricted(struct io_uring *ring)
{
    static const unsigned char allowed[] = {IORING_OP_NOP, IORING_OP_POLL_ADD,
                                            IORING_OP_POLL_REMOVE, IORING_OP_TIMEOUT};
    struct io_uring_restriction restrictions[sizeof allowed] = {{0}};
    for (size_t i = 0; i < sizeof allowed; i++)
        restrictions[i] = (struct io_uring_restriction){.opcode = IORING_RESTRICTION_SQE_OP,
                                                        .sqe_op = allowed[i]};
    int rc = io_uring_queue_init(ENTRIES, ring, IORING_SETUP_R_DISABLED);
    if (rc < 0)
        return rc;
    /* liburing 2.3 has functions for the two and forgot to export them. */
    rc = io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_RESTRICTIONS, restrictions,
                           sizeof allowed);
    if (rc == 0)
        rc = io_uring_register((unsigned)ring->ring_fd, IORING_REGISTER_ENABLE_RINGS, NULL, 0);
    if (rc == 0)
        rc = probe(ring);
    if (rc < 0)
        io_uring_queue_exit(ring);
    return rc;
}

int loop_uring_open(struct loop_backend **out)
{
    struct uring_backend *uring = calloc(1, sizeof *uring);
    if (!uring)
        return -ENOMEM;
    uring->base = (struct loop_backend){.name = "io_uring",
                                        .watch = uring_watch,
                                        .unwatch = uring_unwatch,
                                        .wait = uring_wait,
                                        .close = uring_close};
    int rc = open_restricted(&uring->ring);
    if (rc < 0) {
        free(uring);
        return rc;
    }
    *out = &uring->base;
    return 0;
}
