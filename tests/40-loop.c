/* SPDX-License-Identifier: MIT
 *
 * 40-loop.c - the event loop, each test on both back ends. io_uring is skipped where it is refused.
 */
#include "agent/loop/loop.h"
#include "support/tap.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define MS       UINT64_C(1000000)
#define DEADLINE (UINT64_C(10000) * MS)

static struct loop *make(enum loop_kind kind)
{
    struct loop *loop = NULL;
    assert_int_equal(loop_new(kind, &loop), 0);
    return loop;
}

struct seen {
    struct loop *loop;
    int fd;
    unsigned calls;
    bool drain; /* read the descriptor */
    int other;  /* unwatch this one too */
};

static void see(void *context)
{
    struct seen *seen = context;
    uint64_t value;
    seen->calls++;
    if (seen->drain)
        assert_int_equal(read(seen->fd, &value, sizeof value), sizeof value);
    if (seen->other >= 0)
        loop_unwatch(seen->loop, seen->other);
}

static int event(unsigned value)
{
    int fd = eventfd(value, EFD_NONBLOCK | EFD_CLOEXEC);
    assert_true(fd >= 0);
    return fd;
}

static void raise_event(int fd)
{
    uint64_t one = 1;
    assert_int_equal(write(fd, &one, sizeof one), sizeof one);
}

/* Turn until a count is reached, not longer than the deadline. */
static void turn_until(struct loop *loop, const unsigned *count, unsigned wanted)
{
    uint64_t end = loop_now_ns() + DEADLINE;
    while (*count < wanted && loop_now_ns() < end)
        assert_int_equal(loop_turn(loop, 100 * MS), 0);
    assert_true(*count >= wanted);
}

static void a_descriptor_is_reported_when_it_becomes_readable(void **state)
{
    enum loop_kind kind = *(enum loop_kind *)*state;
    struct loop *loop = make(kind);
    struct seen seen = {.loop = loop, .fd = event(0), .drain = true, .other = -1};
    assert_int_equal(loop_watch(loop, seen.fd, see, &seen), 0);
    assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(seen.calls, 0);
    for (unsigned i = 1; i <= 100; i++) {
        raise_event(seen.fd);
        turn_until(loop, &seen.calls, i);
        assert_int_equal(seen.calls, i);
    }
    assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(seen.calls, 100);
    close(seen.fd);
    loop_free(loop);
}

static void a_descriptor_left_readable_is_reported_again(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct seen seen = {.loop = loop, .fd = event(1), .other = -1};
    assert_int_equal(loop_watch(loop, seen.fd, see, &seen), 0);
    turn_until(loop, &seen.calls, 5);
    close(seen.fd);
    loop_free(loop);
}

static void what_is_unwatched_is_not_reported_even_in_the_same_turn(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct seen one = {.loop = loop, .fd = event(1)};
    struct seen two = {.loop = loop, .fd = event(1), .other = one.fd};
    one.other = two.fd;
    assert_int_equal(loop_watch(loop, one.fd, see, &one), 0);
    assert_int_equal(loop_watch(loop, two.fd, see, &two), 0);
    unsigned calls = 0;
    for (uint64_t end = loop_now_ns() + DEADLINE; calls < 3 && loop_now_ns() < end;) {
        assert_int_equal(loop_turn(loop, 100 * MS), 0);
        calls = one.calls + two.calls;
    }
    assert_true(calls >= 3);
    assert_true(one.calls == 0 || two.calls == 0);
    close(one.fd);
    close(two.fd);
    loop_free(loop);
}

static void a_slot_used_again_does_not_see_the_events_of_its_predecessor(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct seen old = {.loop = loop, .fd = event(0), .other = -1};
    struct seen new = {.loop = loop, .fd = event(0), .drain = true, .other = -1};
    uint64_t value;
    for (unsigned i = 1; i <= 200; i++) {
        assert_int_equal(loop_watch(loop, old.fd, see, &old), 0);
        assert_int_equal(loop_turn(loop, 0), 0); /* the back end now waits for it */
        raise_event(old.fd);
        loop_unwatch(loop, old.fd);
        assert_int_equal(read(old.fd, &value, sizeof value), sizeof value);
        assert_int_equal(loop_watch(loop, new.fd, see, &new), 0);
        raise_event(new.fd);
        turn_until(loop, &new.calls, i);
        loop_unwatch(loop, new.fd);
    }
    assert_int_equal(old.calls, 0);
    close(old.fd);
    close(new.fd);
    loop_free(loop);
}

static void watches_are_limited_and_unique(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct seen seen = {.loop = loop, .other = -1};
    int fds[LOOP_WATCHES_MAX], extra = event(0);
    for (size_t i = 0; i < LOOP_WATCHES_MAX; i++) {
        fds[i] = event(0);
        assert_int_equal(loop_watch(loop, fds[i], see, &seen), 0);
    }
    assert_int_equal(loop_watch(loop, fds[3], see, &seen), -EEXIST);
    assert_int_equal(loop_watch(loop, extra, see, &seen), -ENOSPC);
    loop_unwatch(loop, fds[3]);
    assert_int_equal(loop_watch(loop, extra, see, &seen), 0);
    for (size_t i = 0; i < LOOP_WATCHES_MAX; i++)
        raise_event(fds[i]);
    turn_until(loop, &seen.calls, LOOP_WATCHES_MAX - 1);
    for (size_t i = 0; i < LOOP_WATCHES_MAX; i++)
        close(fds[i]);
    close(extra);
    loop_free(loop);
}

struct tick {
    struct loop *loop;
    struct loop_timer timer;
    unsigned fired, again; /* set anew so many times */
    char name, *log;
};

static void tick(void *context)
{
    struct tick *t = context;
    t->fired++;
    if (t->log)
        strncat(t->log, &t->name, 1);
    if (t->again > 0) {
        t->again--;
        loop_timer_set(t->loop, &t->timer, 0);
    }
}

static struct tick make_tick(struct loop *loop, char name, char *log)
{
    return (struct tick){.loop = loop, .name = name, .log = log, .timer.fire = tick};
}

static void timers_fire_once_in_the_order_in_which_they_are_due(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    char log[16] = "";
    struct tick a = make_tick(loop, 'a', log), b = make_tick(loop, 'b', log),
                c = make_tick(loop, 'c', log), d = make_tick(loop, 'd', log);
    struct tick *all[] = {&a, &b, &c, &d};
    for (size_t i = 0; i < 4; i++)
        all[i]->timer.context = all[i];
    uint64_t begin;
    do { /* each counts from the moment when it is set: again, if that took too long */
        begin = loop_now_ns();
        loop_timer_set(loop, &c.timer, 30 * MS);
        loop_timer_set(loop, &a.timer, 10 * MS);
        loop_timer_set(loop, &b.timer, 20 * MS);
        loop_timer_set(loop, &d.timer, 5 * MS);
        loop_timer_set(loop, &d.timer, 40 * MS); /* set anew: the later counts */
    } while (loop_now_ns() - begin > 9 * MS);
    turn_until(loop, &d.fired, 1);
    assert_string_equal(log, "abcd");
    assert_int_equal(loop_turn(loop, MS), 0);
    assert_string_equal(log, "abcd");
    loop_free(loop);
}

static void a_timer_never_fires_early(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct tick t = make_tick(loop, 't', NULL);
    t.timer.context = &t;
    for (unsigned i = 1; i <= 20; i++) {
        uint64_t begin = loop_now_ns();
        loop_timer_set(loop, &t.timer, 1500000);
        turn_until(loop, &t.fired, i);
        assert_true(loop_now_ns() - begin >= 1500000);
    }
    loop_free(loop);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct tick a = make_tick(loop, 'a', NULL), b = make_tick(loop, 'b', NULL);
    a.timer.context = &a;
    b.timer.context = &b;
    loop_timer_set(loop, &a.timer, 1 * MS);
    loop_timer_set(loop, &b.timer, 2 * MS);
    loop_timer_cancel(loop, &a.timer);
    loop_timer_cancel(loop, &a.timer);
    turn_until(loop, &b.fired, 1);
    assert_int_equal(a.fired, 0);
    loop_free(loop);
}

static void a_timer_that_sets_itself_at_once_does_not_starve_descriptors(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct seen seen = {.loop = loop, .fd = event(1), .other = -1};
    struct tick t = make_tick(loop, 't', NULL);
    t.timer.context = &t;
    t.again = 1000000;
    assert_int_equal(loop_watch(loop, seen.fd, see, &seen), 0);
    loop_timer_set(loop, &t.timer, 0);
    turn_until(loop, &seen.calls, 3);
    turn_until(loop, &t.fired, 3);
    loop_timer_cancel(loop, &t.timer);
    close(seen.fd);
    loop_free(loop);
}

struct caught {
    struct loop *loop;
    int signals[4];
    unsigned n;
};

static void catch (void *context, int signal)
{
    struct caught *caught = context;
    caught->signals[caught->n++] = signal;
    if (signal == SIGUSR2)
        loop_stop(caught->loop);
}

static void signals_arrive_in_the_loop_and_stop_it(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    struct caught caught = {.loop = loop};
    sigset_t set, before;
    sigprocmask(SIG_SETMASK, NULL, &before);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigaddset(&set, SIGUSR2);
    assert_int_equal(loop_signals(loop, &set, catch, &caught), 0);
    assert_int_equal(loop_signals(loop, &set, catch, &caught), -EALREADY);
    kill(getpid(), SIGUSR1);
    turn_until(loop, &caught.n, 1);
    kill(getpid(), SIGUSR2);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(caught.n, 2);
    assert_int_equal(caught.signals[0], SIGUSR1);
    assert_int_equal(caught.signals[1], SIGUSR2);
    loop_free(loop);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void turns_are_counted(void **state)
{
    struct loop *loop = make(*(enum loop_kind *)*state);
    for (uint64_t i = 0; i < 10; i++) {
        assert_true(loop_turns(loop) == i);
        assert_int_equal(loop_turn(loop, 0), 0);
    }
    loop_free(loop);
}

static void the_automatic_choice_always_gives_a_loop(void **state)
{
    (void)state;
    struct loop *loop = make(LOOP_AUTO);
    assert_true(strcmp(loop_name(loop), "io_uring") == 0 || strcmp(loop_name(loop), "epoll") == 0);
    loop_free(loop);
    loop = make(LOOP_EPOLL);
    assert_string_equal(loop_name(loop), "epoll");
    loop_free(loop);
}

static enum loop_kind epoll_kind = LOOP_EPOLL, uring_kind = LOOP_URING;

#define ON(kind, text, f)                                                                          \
    {                                                                                              \
        "on " text ": " #f, f, NULL, NULL, &(kind)                                                 \
    }
#define ALL_ON(kind, text)                                                                         \
    ON(kind, text, a_descriptor_is_reported_when_it_becomes_readable),                             \
        ON(kind, text, a_descriptor_left_readable_is_reported_again),                              \
        ON(kind, text, what_is_unwatched_is_not_reported_even_in_the_same_turn),                   \
        ON(kind, text, a_slot_used_again_does_not_see_the_events_of_its_predecessor),              \
        ON(kind, text, watches_are_limited_and_unique),                                            \
        ON(kind, text, timers_fire_once_in_the_order_in_which_they_are_due),                       \
        ON(kind, text, a_timer_never_fires_early),                                                 \
        ON(kind, text, a_cancelled_timer_does_not_fire),                                           \
        ON(kind, text, a_timer_that_sets_itself_at_once_does_not_starve_descriptors),              \
        ON(kind, text, signals_arrive_in_the_loop_and_stop_it), ON(kind, text, turns_are_counted)

int main(void)
{
    const struct CMUnitTest everywhere[] = {
        ALL_ON(epoll_kind, "epoll"),
        cmocka_unit_test(the_automatic_choice_always_gives_a_loop),
    };
    const struct CMUnitTest both[] = {
        ALL_ON(epoll_kind, "epoll"),
        ALL_ON(uring_kind, "io_uring"),
        cmocka_unit_test(the_automatic_choice_always_gives_a_loop),
    };
    struct loop *loop;
    if (loop_new(LOOP_URING, &loop) < 0) {
        puts("# io_uring is refused here: its back end is not tested");
        return RUN_TESTS(everywhere);
    }
    loop_free(loop);
    return RUN_TESTS(both);
}
