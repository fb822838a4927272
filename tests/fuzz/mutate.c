/* SPDX-License-Identifier: MIT
 *
 * mutate.c - how libFuzzer changes an input of steps: one step at a time, words of a write by
 * values that offsets and counts break at, so that the input stays one of steps. Every fourth time
 * libFuzzer's own mutations go over all of it. AFL++ does without.
 */
#include "fuzz/require.h"
#include "fuzz/steps.h"

#include <string.h>

enum { STEPS_MAX = 2048 };

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

/* An input, and where each of its steps begins. */
struct input {
    uint8_t *data;
    size_t size, max_size;
    size_t at[STEPS_MAX + 1];
    size_t n;
    uint64_t random;
};

static uint32_t pick(struct input *in, uint32_t n)
{
    in->random = in->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return n ? (uint32_t)(in->random >> 33) % n : 0;
}

static void split(struct input *in)
{
    const uint8_t *at = in->data, *end = in->data + in->size;
    struct step step;
    in->n = 0;
    do
        in->at[in->n] = (size_t)(at - in->data);
    while (in->n < STEPS_MAX && step_take(&at, end, &step) && ++in->n);
}

/* Replace `old` bytes by others. Nothing happens where they do not fit. */
static void splice(struct input *in, size_t at, size_t old, const uint8_t *bytes, size_t n)
{
    if (in->size - old + n > in->max_size)
        return;
    memmove(in->data + at + n, in->data + at + old, in->size - at - old);
    memcpy(in->data + at, bytes, n);
    in->size = in->size - old + n;
}

/* The payload of a write that is picked; 0 bytes if the step is another. */
static uint8_t *pick_payload(struct input *in, size_t *n, uint32_t *offset)
{
    struct step step;
    const uint8_t *at = in->data + in->at[pick(in, (uint32_t)in->n)];
    *n = 0;
    if (!step_take(&at, in->data + in->size, &step) || step.kind != STEP_WRITE)
        return NULL;
    *n = step.n;
    *offset = step.number;
    return in->data + (step.bytes - in->data);
}

/* A value that something may break at. */
static uint64_t pick_value(struct input *in, uint64_t old, size_t width)
{
    static const uint64_t values[] = {
        0,    1,    2,      7,      0x7f,    0x80,       0xff,       0x7fff,
        4096, 4095, 0x8000, 0xffff, 1 << 20, UINT32_MAX, UINT64_MAX, UINT64_C(1) << 63};
    switch (pick(in, 5)) {
    case 0:
        return values[pick(in, sizeof values / sizeof *values)];
    case 1:
        return old + pick(in, 33) - 16;
    case 2:
        return old ^ UINT64_C(1) << pick(in, (uint32_t)width * 8);
    case 3:
        return (uint64_t)pick(in, STEPS_FILE_MAX / 8) << pick(in, 4);
    default:
        return old << pick(in, 9) >> pick(in, 9);
    }
}

/* Change an aligned word of a write. */
static void change_word(struct input *in)
{
    uint32_t offset;
    size_t n;
    uint8_t *bytes = pick_payload(in, &n, &offset);
    size_t width = (size_t)1 << pick(in, 4);
    if (n < width)
        return;
    size_t at = pick(in, (uint32_t)(n - width + 1));
    size_t aligned = at - (offset + at) % width;
    at = aligned < at ? aligned : at;
    uint64_t value = 0;
    memcpy(&value, bytes + at, width);
    value = pick_value(in, value, width);
    memcpy(bytes + at, &value, width);
}

/* A word of one write becomes one of another. */
static void copy_word(struct input *in)
{
    uint32_t offset;
    size_t n, m;
    const uint8_t *from = pick_payload(in, &n, &offset);
    uint8_t *to = pick_payload(in, &m, &offset);
    size_t width = (size_t)1 << pick(in, 5);
    if (n < width || m < width)
        return;
    memmove(to + pick(in, (uint32_t)(m / width)) * width,
            from + pick(in, (uint32_t)(n / width)) * width, width);
}

static void insert_step(struct input *in)
{
    uint64_t value = pick_value(in, pick(in, 256), sizeof value);
    uint8_t bytes[STEP_SIZE_MAX];
    struct step step = {.kind = (enum step_kind)pick(in, STEP_KINDS),
                        .number = pick(in, 4) ? pick(in, 1024) * 8 : pick(in, STEPS_FILE_MAX),
                        .n = (uint8_t)(1 << pick(in, 4)),
                        .bytes = (const uint8_t *)&value};
    if (step.kind == STEP_LOCK)
        step.number %= 16;
    splice(in, in->at[pick(in, (uint32_t)in->n + 1)], 0, bytes, step_put(bytes, &step));
}

/* Drop a step, or have one again somewhere else, perhaps at another offset. */
static void move_step(struct input *in)
{
    uint8_t bytes[STEP_SIZE_MAX];
    size_t which = pick(in, (uint32_t)in->n);
    size_t n = in->at[which + 1] - in->at[which];
    if (n > sizeof bytes)
        return;
    memcpy(bytes, in->data + in->at[which], n);
    if (pick(in, 2))
        splice(in, in->at[which], n, bytes, 0);
    else if (n > 1 && pick(in, 2))
        bytes[1] ^= (uint8_t)(8u << pick(in, 5));
    splice(in, in->at[pick(in, (uint32_t)which + 1)], 0, bytes, n);
}

static void drop_step(struct input *in)
{
    uint8_t nothing = 0;
    size_t which = pick(in, (uint32_t)in->n);
    splice(in, in->at[which], in->at[which + 1] - in->at[which], &nothing, 0);
}

static void mutate_payload(struct input *in)
{
    uint32_t offset;
    size_t n;
    uint8_t *bytes = pick_payload(in, &n, &offset);
    if (n)
        (void)LLVMFuzzerMutate(bytes, n, n);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
    static void (*const ways[])(struct input *) = {change_word, change_word,   change_word,
                                                   copy_word,   insert_step,   move_step,
                                                   drop_step,   mutate_payload};
    static struct input in;
    in = (struct input){.data = data, .size = size, .max_size = max_size, .random = seed};
    (void)pick(&in, 1);
    if (size == 0 || pick(&in, 4) == 0)
        return LLVMFuzzerMutate(data, size, max_size);
    for (uint32_t i = 0, n = 1 + pick(&in, 3); i < n && in.size; i++) {
        split(&in);
        ways[pick(&in, sizeof ways / sizeof *ways)](&in);
    }
    return in.size;
}
