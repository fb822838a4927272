/* SPDX-License-Identifier: MIT
 *
 * invariants_values.c - who lives (invariant 5), and whose a gauge's cells are (invariant 6).
 */
#include "support/invariants_parts.h"

#include <fcntl.h>

static uint64_t state_of(const struct invariants *v, uint32_t slot)
{
    return invariants_word(v, v->header.slots_at + (uint64_t)slot * sizeof(struct smx__slot));
}

/* The process that holds a slot's lock; 0 none. */
static pid_t holder(const struct invariants *v, uint32_t slot)
{
    struct flock lock = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = SMX__LOCK_AT + slot, .l_len = 1};
    return fcntl(v->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type == F_WRLCK ? lock.l_pid : 0;
}

static bool check_slot(struct invariants *v, uint32_t slot)
{
    uint64_t state = state_of(v, slot);
    uint32_t generation = (uint32_t)(state >> 32);
    uint64_t phase = state & 0xff;
    if (phase > SMX__SLOT_LIVE || (state && generation < SMX__FIRST_GENERATION) ||
        (phase == SMX__SLOT_FREE) != ((state & 0xffffff00) == 0))
        return invariants_say(v, 5, slot, "a slot in a state that does not exist");
    uint32_t used = 0;
    (void)invariants_get(v, offsetof(struct smx__header, slots_used), &used, sizeof used);
    if (state && slot >= used)
        return invariants_say(v, 5, slot, "a slot was claimed that no reader looks at");
    if (generation < v->generation[slot])
        return invariants_say(v, 5, slot, "a slot's generation went back");
    v->generation[slot] = generation;
    pid_t pid = holder(v, slot);
    if (phase != SMX__SLOT_LIVE || !pid || state_of(v, slot) != state)
        return true;
    if ((uint64_t)pid != (state & 0xffffffff) >> 8)
        return invariants_say(v, 5, slot, "a live slot whose lock another process holds");
    v->use.live++;
    return true;
}

bool invariants_slots(struct invariants *v)
{
    for (uint32_t slot = 0; slot < v->header.slots; slot++)
        if (!check_slot(v, slot))
            return false;
    return true;
}

static bool check_row(struct invariants *v, uint64_t at, uint32_t row)
{
    struct smx_cell cell = {0, 0};
    if (!invariants_get(v, at, &cell, sizeof cell))
        return invariants_say(v, 6, at, "a cell behind the file's end");
    if (cell.owner == 0)
        /* The two words may have come together while they were copied one after the other. */
        return cell.value == 0 || invariants_word(v, at) != 0 ||
               invariants_say(v, 6, at, "a value that belongs to nobody");
    if (row == 0)
        return cell.owner == SMX__SHARED_WORD || invariants_say(v, 6, at, "row 0 has an owner");
    /* Generations only grow: this one was given out before the slot's is read. */
    uint64_t generation = state_of(v, row - 1) >> 32;
    return ((uint32_t)cell.owner == row && cell.owner >> 32 >= SMX__FIRST_GENERATION &&
            cell.owner >> 32 <= generation) ||
           invariants_say(v, 6, at, "a cell whose owner never had its row");
}

bool invariants_gauge(struct invariants *v, uint64_t cell, bool last)
{
    for (uint32_t row = 0; row <= (last ? 0 : v->header.slots); row++)
        if (!check_row(v, cell + (uint64_t)row * 64, row))
            return false;
    return true;
}
