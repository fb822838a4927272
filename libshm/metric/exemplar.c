/* SPDX-License-Identifier: MIT
 *
 * exemplar.c - keeps the last exemplar of a series, or of a group of a histogram's buckets. The
 * places are made at a series' first exemplar, as a record of the registry that is found by the
 * cell; so updates without one know nothing of it. How one is written is seal.c's.
 */
#include "libshm/metric/exemplar.h"

#include "libshm/crash.h"
#include "libshm/metric/registry.h"
#include "libshm/segment/clock.h"

#include <errno.h>

static size_t characters(const char *text, size_t length)
{
    size_t n = 0;
    for (size_t i = 0; i < length; i++)
        n += ((unsigned char)text[i] & 0xc0) != 0x80;
    return n;
}

/* Append a string with its NUL, if it has its place. */
static bool put(struct smx__exemplar *e, const char *text, bool is_name, size_t *room)
{
    size_t length = strnlen(text, sizeof e->labels + 1);
    if (length + 1 > sizeof e->labels - e->length ||
        !(is_name ? smx__exemplar_is_name(text, length) : smx__is_utf8(text, length)))
        return false;
    size_t n = characters(text, length);
    if (n > *room)
        return false;
    *room -= n;
    memcpy(e->labels + e->length, text, length);
    e->length += length + 1;
    return true;
}

/* Fill in the labels. False if they break a rule. */
static bool pack(struct smx__exemplar *e, const char *const labels[])
{
    size_t room = SMX_EXEMPLAR_CHARACTERS;
    unsigned n = 0;
    for (; labels && labels[n]; n += 2) {
        if (n == (unsigned)SMX_LABELS_MAX * 2 || !labels[n + 1] || !put(e, labels[n], true, &room))
            return false;
        for (unsigned i = 0; i < n; i += 2)
            if (strcmp(labels[i], labels[n]) == 0)
                return false;
        if (!put(e, labels[n + 1], false, &room))
            return false;
    }
    return true;
}

struct wanted {
    uint64_t cell;
    uint32_t n;
};

static bool same_cell(const struct smx__record *record, const void *what)
{
    const struct smx__exemplars *places = (const struct smx__exemplars *)(const void *)record;
    const struct wanted *wanted = what;
    return record->kind == SMX__RECORD_EXEMPLARS && places->cell == wanted->cell;
}

static int make(struct smx_segment *segment, const struct wanted *wanted, uint32_t hash,
                uint64_t *at)
{
    uint64_t slots = sizeof(struct smx__exemplars);
    int error = smx__allocate(segment, slots + wanted->n * sizeof(struct smx__exemplar), 8, at);
    if (error)
        return error;
    SMX__CRASH_POINT("exemplars.allocated");
    struct smx__exemplars *places = smx__at(segment, *at);
    places->record.hash = hash;
    places->record.kind = SMX__RECORD_EXEMPLARS;
    places->cell = wanted->cell;
    places->at = *at + slots;
    places->n = wanted->n;
    smx__record_complete(&places->record, sizeof *places);
    SMX__CRASH_POINT("exemplars.complete");
    return 0;
}

/* Who finds it unsaid says it: its maker may have been killed. */
static void announce(const struct smx_segment *segment, struct smx__exemplars *places)
{
    /* Relaxed: twice does no harm. */
    if (__atomic_load_n(&places->announced, __ATOMIC_RELAXED))
        return;
    smx__announce(segment);
    SMX__CRASH_POINT("exemplars.announced");
    __atomic_store_n(&places->announced, 1, __ATOMIC_RELAXED);
}

/* The places of a series, found or made; NULL if there is no room, or the segment is damaged. */
static struct smx__exemplar *find(struct smx_segment *segment, const struct wanted *wanted)
{
    bool broken = false;
    struct smx__key key = {.hash = smx__mixed(smx__mix(segment->seed, wanted->cell)),
                           .size = sizeof(struct smx__exemplars),
                           .same = same_cell,
                           .what = wanted};
    struct smx__record *found = smx__registry_walk(segment, &key, 0, &broken);
    if (!found && !broken) {
        uint64_t at;
        int error = make(segment, wanted, key.hash, &at);
        if (error) {
            smx__lose(segment, error == -EPROTO ? SMX_LOST_DAMAGED : SMX_LOST_SPACE);
            return NULL;
        }
        found = smx__registry_walk(segment, &key, smx__ref(at), &broken);
        SMX__CRASH_POINT("exemplars.published");
    }
    struct smx__exemplars *places = (struct smx__exemplars *)(void *)found;
    uint64_t at = places ? places->at : 0;
    if (!places || places->n != wanted->n || at % 8 ||
        !smx__reach(segment, at, wanted->n * sizeof(struct smx__exemplar))) {
        smx__lose(segment, SMX_LOST_DAMAGED);
        return NULL;
    }
    announce(segment, places);
    return smx__at(segment, at);
}

void smx__exemplar_keep(const uint64_t *base, uint32_t n_groups, uint32_t group, uint64_t n,
                        const char *const labels[])
{
    struct smx_segment *segment = smx__process_at(base);
    if (!segment)
        return;
    struct smx__exemplar e = {.time_ns = smx__clock_ns(CLOCK_REALTIME), .value = n};
    if (!pack(&e, labels)) {
        smx__lose(segment, SMX_LOST_INVALID);
        return;
    }
    int saved = errno;
    const struct wanted wanted = {smx__offset(segment, base), n_groups};
    struct smx__exemplar *slots = find(segment, &wanted);
    errno = saved;
    if (!slots)
        return;
    e.seal = smx__seal(&e, smx__offset(segment, &slots[group]));
    smx__sealed_write(&slots[group], &e);
}
