/* SPDX-License-Identifier: MIT
 *
 * steps.c - takes the steps of a fuzzer's input with a file on tmpfs.
 */
#include "fuzz/steps.h"

#include "fuzz/require.h"
#include "support/segwriter.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A number of n bytes; those that are missing are zero. */
static uint32_t take_number(const uint8_t **at, const uint8_t *end, unsigned n)
{
    uint32_t number = 0;
    for (unsigned i = 0; i < n && *at < end; i++)
        number |= (uint32_t) * (*at)++ << 8 * i;
    return number % STEPS_FILE_MAX;
}

bool step_take(const uint8_t **at, const uint8_t *end, struct step *out)
{
    if (*at == end)
        return false;
    *out = (struct step){.kind = *(*at)++ % STEP_KINDS};
    if (out->kind == STEP_WRITE || out->kind == STEP_LENGTH)
        out->number = take_number(at, end, 3);
    else if (out->kind == STEP_LOCK)
        out->number = take_number(at, end, 1);
    if (out->kind == STEP_WRITE) {
        out->n = (uint8_t)take_number(at, end, 1);
        if (out->n > end - *at)
            out->n = (uint8_t)(end - *at);
        out->bytes = *at;
        *at += out->n;
    }
    return true;
}

size_t step_put(uint8_t *to, const struct step *step)
{
    uint8_t *at = to;
    *at++ = (uint8_t)step->kind;
    unsigned n = step->kind == STEP_WRITE || step->kind == STEP_LENGTH ? 3
                 : step->kind == STEP_LOCK                             ? 1
                                                                       : 0;
    for (unsigned i = 0; i < n; i++)
        *at++ = (uint8_t)(step->number >> 8 * i);
    if (step->kind == STEP_WRITE) {
        *at++ = step->n;
        memcpy(at, step->bytes, step->n);
        at += step->n;
    }
    return (size_t)(at - to);
}

const char *steps_directory(void)
{
    const char *directory = getenv("TMPDIR");
    return directory && *directory ? directory : "/dev/shm";
}

void steps_begin(struct steps *steps, const uint8_t *data, size_t size)
{
    *steps = (struct steps){.at = data, .end = data + size};
    (void)snprintf(steps->path, sizeof steps->path, "%s/smx-fuzz-%d", steps_directory(),
                   (int)getpid());
    steps->fd = open(steps->path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    require(steps->fd >= 0, "the file cannot be made");
}

static void publish(struct steps *steps)
{
    uint64_t published = 0;
    (void)!pread(steps->fd, &published, sizeof published, PUBLISHED_AT);
    published++;
    (void)!pwrite(steps->fd, &published, sizeof published, PUBLISHED_AT);
}

/* Locks of the open file description, so that the reader, which closes another of the same file,
 * does not drop them. It takes them for those of a process in another namespace. One's own locks
 * cannot be asked for: what is taken is remembered. */
static void lock(struct steps *steps, uint32_t slot)
{
    uint64_t bit = UINT64_C(1) << slot % 64;
    steps->locked[slot / 64] ^= bit;
    struct flock lock = {.l_type = steps->locked[slot / 64] & bit ? F_WRLCK : F_UNLCK,
                         .l_whence = SEEK_SET,
                         .l_start = SEGWRITER_LOCK_AT + (int64_t)slot,
                         .l_len = 1};
    (void)fcntl(steps->fd, F_OFD_SETLK, &lock);
}

void steps_do(struct steps *steps, const struct step *step)
{
    switch (step->kind) {
    case STEP_WRITE:
        (void)!pwrite(steps->fd, step->bytes, step->n, step->number);
        break;
    case STEP_PUBLISH:
        publish(steps);
        break;
    case STEP_LENGTH:
        (void)!ftruncate(steps->fd, step->number);
        break;
    case STEP_LOCK:
        lock(steps, step->number);
        break;
    default:
        break;
    }
}

bool steps_until_read(struct steps *steps)
{
    struct step step;
    while (step_take(&steps->at, steps->end, &step)) {
        if (step.kind == STEP_READ && steps->reads++ < STEPS_READS_MAX)
            return true;
        steps_do(steps, &step);
    }
    return false;
}

void steps_end(struct steps *steps)
{
    unlink(steps->path);
    close(steps->fd);
}
