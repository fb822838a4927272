/* SPDX-License-Identifier: MIT
 *
 * passwords.h - checks passwords against bcrypt hashes, one at a time, in a thread of its own: a
 * check takes from 50 ms to seconds by intent, and the loop would stand still for it.
 *
 * A thread and not a process, because it cannot die alone and needs nobody to reap it; it is made
 * before the sandbox, from which no thread can be made, and gives up all but what it does: read a
 * pipe, compute, write a pipe.
 */
#ifndef SMX_AGENT_PASSWORDS_H
#define SMX_AGENT_PASSWORDS_H

#include "agent/loop/loop.h"

#include <stdbool.h>

/* Of a hash, of a password; a NUL included. */
enum { PASSWORDS_HASH_SIZE = 64, PASSWORDS_SIZE = 512 };

/* The greatest cost of a hash, with which a check takes some ten seconds. */
enum { PASSWORDS_COST_MAX = 18 };

struct passwords;

/* One check, in the caller's memory. Fill in all but right and next. A password that is wrong takes
 * as long as one whose hash has the cost `at_least`, or that of its own if that is greater: where
 * that is the greatest of all users' hashes, time does not tell whose was checked. */
struct passwords_check {
    char hash[PASSWORDS_HASH_SIZE];
    char password[PASSWORDS_SIZE];
    unsigned at_least; /* 0: as long as it takes */
    bool right;        /* once it is done */
    void (*done)(void *context, struct passwords_check *check);
    void *context;
    struct passwords_check *next;
};

/* Whether a text is a hash by bcrypt, and of what cost; 0: it is none. */
unsigned passwords_cost(const char *hash);

/* Make the thread; sandboxed: it gives up what it does not need. Returns: 0, or a negative errno.
 */
int passwords_new(struct loop *loop, bool sandboxed, struct passwords **out);

/* Check; done() is called in the loop. The check must stay until then, or passwords_free(). */
void passwords_start(struct passwords *passwords, struct passwords_check *check);

/* What has not been done is not done any more. A check that runs is left to itself. NULL is fine.
 */
void passwords_free(struct passwords *passwords);

#endif
