/* SPDX-License-Identifier: MIT
 *
 * worker.h - child processes of a test. A child must never run into cmocka's assertions, whose
 * longjmp would let it go on with the parent's tests: it returns 0, or CHECK() says what failed.
 */
#ifndef SMX_TESTS_WORKER_H
#define SMX_TESTS_WORKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

/* In a child's body: return 1 with the line unless the condition holds. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "# %s:%d: %s\n", __FILE__, __LINE__, #condition);                      \
            return 1;                                                                              \
        }                                                                                          \
    } while (0)

/* Fork a child that ends with body's result, without exit handlers, and dies with its parent. */
pid_t worker_start(int (*body)(void *argument), void *argument);

/* Wait for a child. Returns its exit status, or minus the signal that ended it. */
int worker_wait(pid_t pid);

/* Both. */
int worker_run(int (*body)(void *argument), void *argument);

/* Zeroed memory that children share. NULL if there is none. */
void *worker_shared(size_t size);

/* Poll until *word is at least `value`; false after PATIENCE_MS. */
bool worker_reach(const uint32_t *word, uint32_t value);

/* Add one to a shared word. */
void worker_arrive(uint32_t *word);

/* Nanoseconds of the monotonic clock. */
uint64_t worker_now_ns(void);

#endif
