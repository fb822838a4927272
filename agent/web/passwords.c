/* SPDX-License-Identifier: MIT
 *
 * passwords.c - the thread that computes bcrypt, by libcrypt, and the queue before it. The queue is
 * the loop's; the thread has one job at a time, which goes to it and comes back through a
 * socket pair: no lock, and either end sees when the other has gone.
 */
#include "agent/web/passwords.h"
#include "agent/system/sandbox.h"

#include <crypt.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* libcrypt's state takes 32 KiB of it. */
enum { STACK_SIZE = 256 << 10 };

enum { HASH_LENGTH = 60, HASH_PREFIX = 7 };

/* What goes to the thread, and comes back. It outlives us if it is at work when we go. */
struct work {
    int fd; /* the thread's end */
    bool sandboxed;
    char hash[PASSWORDS_HASH_SIZE], password[PASSWORDS_SIZE];
    unsigned at_least;
    struct crypt_data data;
};

struct passwords {
    struct loop *loop;
    struct work *work;
    pthread_t thread;
    int fd;
    struct passwords_check *first, **last; /* the first is at work */
};

unsigned passwords_cost(const char *hash)
{
    static const char letters[] =
        "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (strlen(hash) != HASH_LENGTH || memcmp(hash, "$2", 2) != 0 || !strchr("aby", hash[2]) ||
        hash[3] != '$' || hash[6] != '$' || strspn(hash + HASH_PREFIX, letters) != 53)
        return 0;
    if (hash[4] < '0' || hash[4] > '3' || hash[5] < '0' || hash[5] > '9')
        return 0;
    unsigned cost = (unsigned)(hash[4] - '0') * 10 + (unsigned)(hash[5] - '0');
    return cost >= 4 && cost <= 31 ? cost : 0;
}

/* Of equal length, in a time that does not tell where they differ. */
static bool is_equal(const char *a, const char *b)
{
    unsigned difference = 0;
    if (!a || strlen(a) != HASH_LENGTH)
        return false;
    for (size_t i = 0; i < HASH_LENGTH; i++)
        difference |= (unsigned)(a[i] ^ b[i]);
    return difference == 0;
}

/* A cost is the logarithm of the rounds. Those of a cost, and again as many, twice, four times as
 * many and so on, are together those of a greater one. */
static void compute_in_vain(struct work *work, unsigned cost)
{
    char hash[PASSWORDS_HASH_SIZE];
    memcpy(hash, work->hash, sizeof hash);
    for (; cost < work->at_least; cost++) {
        hash[4] = (char)('0' + cost / 10);
        hash[5] = (char)('0' + cost % 10);
        crypt_r(work->password, hash, &work->data);
    }
}

static bool check(struct work *work)
{
    unsigned cost = passwords_cost(work->hash);
    bool right = is_equal(crypt_r(work->password, work->hash, &work->data), work->hash);
    if (!right && cost > 0)
        compute_in_vain(work, cost);
    return right;
}

static void *serve(void *argument)
{
    struct work *work = argument;
    char byte;
    if (work->sandboxed)
        sandbox_enter_to_compute();
    while (read(work->fd, &byte, 1) == 1) {
        char right = (char)check(work);
        explicit_bzero(work->password, sizeof work->password);
        explicit_bzero(&work->data, sizeof work->data);
        if (write(work->fd, &right, 1) != 1)
            break;
    }
    close(work->fd);
    free(work);
    return NULL;
}

/* Signals are the loop's. */
static int make_thread(struct passwords *p)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    int rc = pthread_attr_init(&attributes);
    if (rc != 0)
        return -rc;
    pthread_attr_setstacksize(&attributes, STACK_SIZE);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    rc = pthread_create(&p->thread, &attributes, serve, p->work);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    return -rc;
}

static void begin(struct passwords *p, struct passwords_check *check)
{
    static const char byte = 1;
    memcpy(p->work->hash, check->hash, sizeof check->hash);
    memcpy(p->work->password, check->password, sizeof check->password);
    p->work->at_least = check->at_least;
    explicit_bzero(check->password, sizeof check->password);
    ssize_t ignored = send(p->fd, &byte, 1, MSG_NOSIGNAL); /* it waits for nothing else */
    (void)ignored;
}

static void finish(void *context)
{
    struct passwords *p = context;
    char right;
    struct passwords_check *check = p->first;
    if (!check || recv(p->fd, &right, 1, MSG_DONTWAIT) != 1)
        return;
    p->first = check->next;
    if (!p->first)
        p->last = &p->first;
    check->right = right;
    if (p->first)
        begin(p, p->first);
    check->done(check->context, check);
}

static int open_ends(struct passwords *p)
{
    int ends[2];
    p->work = calloc(1, sizeof *p->work);
    if (!p->work)
        return -ENOMEM;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0)
        return -errno;
    p->fd = ends[0];
    p->work->fd = ends[1];
    return loop_watch(p->loop, p->fd, finish, p);
}

int passwords_new(struct loop *loop, bool sandboxed, struct passwords **out)
{
    struct passwords *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->loop = loop;
    p->fd = -1;
    p->last = &p->first;
    int rc = open_ends(p);
    if (rc == 0) {
        p->work->sandboxed = sandboxed;
        rc = make_thread(p);
    }
    if (rc == 0) {
        *out = p;
        return 0;
    }
    if (p->work && p->fd >= 0)
        close(p->work->fd);
    free(p->work);
    passwords_free(p);
    return rc;
}

void passwords_start(struct passwords *p, struct passwords_check *check)
{
    bool idle = !p->first;
    check->next = NULL;
    *p->last = check;
    p->last = &check->next;
    if (idle)
        begin(p, check);
}

/* The thread sees that our end is closed, and takes its own with it. */
void passwords_free(struct passwords *p)
{
    if (!p)
        return;
    if (p->fd >= 0) {
        loop_unwatch(p->loop, p->fd);
        close(p->fd);
    }
    free(p);
}
