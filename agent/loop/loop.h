/* SPDX-License-Identifier: MIT
 *
 * loop.h - the event loop: descriptors to read, timers, signals; one thread, callbacks.
 *
 * Two back ends behind one interface, loop_uring.c and loop_epoll.c; most container runtimes forbid
 * io_uring, so the choice is made at start. Readiness is level-triggered in both: a descriptor that
 * a callback leaves readable is reported again in the next turn.
 *
 * Callbacks may watch, unwatch, set and cancel anything, their own included.
 */
#ifndef SMX_AGENT_LOOP_H
#define SMX_AGENT_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

struct loop;

enum loop_kind {
    LOOP_AUTO, /* io_uring, or epoll where io_uring is refused */
    LOOP_URING,
    LOOP_EPOLL,
};

enum { LOOP_WATCHES_MAX = 64 };

/* A timer in the caller's memory. Fill in the first two, leave the rest zero. */
struct loop_timer {
    void (*fire)(void *context);
    void *context;
    uint64_t due_ns;
    struct loop_timer *next;
    bool set;
};

/* Make a loop. Returns: 0, -ENOMEM, -EMFILE; with LOOP_URING what io_uring_setup(2) was refused
 * with (-ENOSYS, -EPERM, -EACCES, ...). */
int loop_new(enum loop_kind kind, struct loop **out);

/* Free a loop; what is still watched is forgotten, not closed. NULL is fine. */
void loop_free(struct loop *loop);

/* "io_uring" or "epoll". */
const char *loop_name(const struct loop *loop);

/* Call ready(context) in each turn in which fd can be read. The descriptor stays the caller's, who
 * must unwatch it before closing it.
 * Returns: 0, -ENOSPC (LOOP_WATCHES_MAX), -EEXIST (already watched), -EPERM (epoll cannot wait for
 *   it), -ENOMEM. */
int loop_watch(struct loop *loop, int fd, void (*ready)(void *context), void *context);

/* Stop watching; a descriptor that is not watched is fine. */
void loop_unwatch(struct loop *loop, int fd);

/* Have a timer fire once, delay_ns from now; one that is set already is set anew. It must stay in
 * memory until it fired or was cancelled. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ns);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* Block the signals of a set in the calling thread and call caught(context, signal) in the loop
 * instead. Once per loop. Returns: 0, -EALREADY, -EMFILE, -ENOMEM. */
int loop_signals(struct loop *loop, const sigset_t *set, void (*caught)(void *context, int signal),
                 void *context);

/* Wait until something happens, at most for max_ns (UINT64_MAX: for ever), and call what it
 * concerns. Returns: 0, or a negative errno of the back end, with which the loop is unusable. */
int loop_turn(struct loop *loop, uint64_t max_ns);

/* Turn until loop_stop(). Returns: as loop_turn. */
int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* The number of turns so far: what two callbacks of one turn have in common. */
uint64_t loop_turns(const struct loop *loop);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t loop_now_ns(void);

#endif
