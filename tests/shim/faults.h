/* SPDX-License-Identifier: MIT
 *
 * faults.h - makes chosen system calls (and, in C tests, allocations) fail. Two ways in:
 * a test that is linked to the object library `faults` has its own calls and those of every static
 * library wrapped by the linker; a program started with LD_PRELOAD=libfaults.so and SMX_FAULTS=FILE
 * has those of all its libraries, and is told by the bytes of the file what shall fail.
 */
#ifndef SMX_TESTS_FAULTS_H
#define SMX_TESTS_FAULTS_H

#include <stdint.h>

enum { FAULTS_NAME = 24, FAULTS_FOR_EVER = INT32_MAX };

struct faults {
    uint32_t first; /* the call that fails first, counted from 1; 0: none is counted */
    uint32_t last;  /* and the last one */
    int32_t error;
    uint32_t calls;         /* so many there were */
    char only[FAULTS_NAME]; /* only calls of this name are counted; "": all */
    char name[FAULTS_NAME]; /* of the last call that failed */
    uint32_t later_s;       /* the clocks of a C test are so much ahead */
};

/* What shall fail; all zero at first. Where children shall see the same: in shared memory. */
extern struct faults *faults;

/* From now on the calls from `first` to `last` fail. */
void faults_arm(uint32_t first, uint32_t last, int error);

/* Nothing fails any more. Returns: how many calls there were since faults_arm(). */
uint32_t faults_end(void);

#endif
