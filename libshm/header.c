/* SPDX-License-Identifier: MIT
 *
 * header.c - the rules of a header, the same for the writer that attaches and for the reader. What
 * passes is sound in itself: no later check has to think about overflow of these numbers. Pure;
 * what the file behind it has to be like is for the two to ask.
 */
#include "libshm/header.h"

#include "libshm/names.h"

#include <string.h>

static bool is_power_of_two(uint64_t n)
{
    return n && (n & (n - 1)) == 0;
}

/* Whether [at, at + size) lies between the header and the allocated bytes' end. */
static bool in_bounds(const struct smx__header *h, uint64_t at, uint64_t size)
{
    return at >= SMX__PAGE && at % 8 == 0 && at <= h->allocated && size <= h->allocated - at;
}

static bool is_known_layout(const struct smx__header *h)
{
    return h->header_size == sizeof(struct smx__header) &&
           h->record_size == sizeof(struct smx__record) &&
           h->family_size == sizeof(struct smx__family) &&
           h->series_size == sizeof(struct smx__series) &&
           h->hist_size == sizeof(struct smx_hist) && h->slot_size == sizeof(struct smx__slot);
}

bool smx__header_is_foreign(const struct smx__header *h)
{
    return h->major != SMX__MAJOR || (h->minor > SMX__MINOR && !is_known_layout(h));
}

static bool has_sound_rows(const struct smx__header *h)
{
    if (h->kind != (h->rows ? SMX__KIND_PERCPU : SMX__KIND_STRIPED))
        return false;
    return h->rows <= SMX__MAX_ROWS && is_power_of_two(h->counter_stripes) &&
           h->counter_stripes <= SMX__MAX_STRIPES && is_power_of_two(h->hist_stripes) &&
           h->hist_stripes <= SMX__MAX_STRIPES;
}

static bool has_sound_tables(const struct smx__header *h)
{
    return h->slots >= 1 && h->slots <= SMX__MAX_SLOTS &&
           in_bounds(h, h->slots_at, (uint64_t)h->slots * sizeof(struct smx__slot)) &&
           is_power_of_two(h->n_buckets) &&
           in_bounds(h, h->buckets_at, (uint64_t)h->n_buckets * sizeof(uint32_t));
}

/* Sections may come with a newer minor version; even unknown ones must lie in the file. */
static bool has_sound_sections(const struct smx__header *h)
{
    if (h->n_sections > SMX__MAX_SECTIONS)
        return false;
    for (uint32_t i = 0; i < h->n_sections; i++)
        if (h->sections[i].at > h->capacity ||
            h->sections[i].length > h->capacity - h->sections[i].at)
            return false;
    return true;
}

static bool is_padded_name(const char *name, bool required)
{
    size_t length = strnlen(name, SMX__APP_SIZE);
    if (length == 0)
        return !required;
    return length < SMX__APP_SIZE && smx__is_app_name(name, length);
}

const char *smx__header_broken_rule(const struct smx__header *h)
{
    if (!is_known_layout(h))
        return "the sizes of its structures are not those of its version";
    if (h->allocated > h->capacity || h->allocated < sizeof *h || h->max_bytes > h->capacity)
        return "more is allocated than its capacity";
    if (!has_sound_rows(h))
        return "its rows or stripes are out of range";
    if (!has_sound_tables(h))
        return "its slot table or hash table is out of bounds";
    if (!has_sound_sections(h))
        return "its sections are out of bounds";
    if (!is_padded_name(h->app, true) || !is_padded_name(h->instance, false))
        return "its application or instance name is not legal";
    return NULL;
}
