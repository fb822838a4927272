/* SPDX-License-Identifier: MIT
 *
 * steps.h - a fuzzer's input as steps that are taken with a segment's file: bytes are written,
 * somebody reads, bytes are written over, somebody reads again. Holes cost the input nothing, so a
 * seed is a few hundred bytes, and a mutation hits bytes that mean something.
 *
 *   byte 0, mod 5   operands
 *   0  write        at u24, n u8, n bytes
 *   1  read
 *   2  publish      add 1 to the header's `published`, as a writer does
 *   3  set length   length u24
 *   4  lock         slot u8: take a process slot's write lock, or let go of it
 *
 * Numbers are little-endian and taken modulo STEPS_FILE_MAX; what is missing at the end is zero.
 */
#ifndef SMX_FUZZ_STEPS_H
#define SMX_FUZZ_STEPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STEPS_FILE_MAX = 1 << 20, STEPS_READS_MAX = 8, STEPS_PATH_SIZE = 256, STEP_SIZE_MAX = 260 };

/* Where the header has `published`. */
enum { PUBLISHED_AT = 1088 };

enum step_kind { STEP_WRITE, STEP_READ, STEP_PUBLISH, STEP_LENGTH, STEP_LOCK, STEP_KINDS };

struct step {
    enum step_kind kind;
    uint32_t number; /* the offset, the length, the slot */
    uint8_t n;       /* bytes to write */
    const uint8_t *bytes;
};

/* Take the next step off [*at, end). False at the end. */
bool step_take(const uint8_t **at, const uint8_t *end, struct step *out);

/* Write a step, at most STEP_SIZE_MAX bytes. Returns how many. */
size_t step_put(uint8_t *to, const struct step *step);

/* A file that steps are taken with. */
struct steps {
    const uint8_t *at, *end;
    int fd;
    unsigned reads;
    uint64_t locked[4]; /* a bit for every slot */
    char path[STEPS_PATH_SIZE];
};

/* Make the file, empty, in $TMPDIR or else /dev/shm. */
void steps_begin(struct steps *steps, const uint8_t *data, size_t size);

/* Take steps up to the next read and return true; false when there is none any more. */
bool steps_until_read(struct steps *steps);

/* Take a step of one's own. */
void steps_do(struct steps *steps, const struct step *step);

/* Remove the file. */
void steps_end(struct steps *steps);

/* The directory for files: $TMPDIR or /dev/shm. */
const char *steps_directory(void);

#endif
