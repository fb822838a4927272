/* SPDX-License-Identifier: MIT
 *
 * bytetable.h - the byte table of the format as data, for tests that spoil each field of it. A
 * third reading of libshm/layout.h, by hand: the fields of a structure cover each of its bytes
 * once, which 00-format.c checks.
 */
#ifndef SMX_TESTS_BYTETABLE_H
#define SMX_TESTS_BYTETABLE_H

#include <stddef.h>
#include <stdint.h>

/* A field, and the reasons that a reader may give for what is left out because of its damage:
 * names of enum smx_unsound, or "header", "version", ... for the segment as a whole; none if no
 * value of it is wrong. */
struct byte_field {
    uint16_t at;
    uint16_t size;
    const char *name;
    const char *reasons;
};

struct byte_table {
    const char *name;
    size_t size;
    const struct byte_field *fields;
    size_t n;
};

extern const struct byte_table byte_header;
extern const struct byte_table byte_family;
extern const struct byte_table byte_series;
extern const struct byte_table byte_hist;
extern const struct byte_table byte_exemplars;
extern const struct byte_table byte_exemplar;
extern const struct byte_table byte_check;
extern const struct byte_table byte_report;
extern const struct byte_table byte_slot;
/* Four refs of the hash table. */
extern const struct byte_table byte_buckets;

/* Values that are worth a try in a field of 1 to 8 bytes: none, one, most, negative, off by one,
 * misaligned; and these places, as offsets and as refs, exactly and missed by little.
 * Returns how many; none is the sound one. */
enum { BYTE_VALUES = 96 };
size_t byte_values(uint64_t sound, unsigned size, const uint64_t places[], size_t n_places,
                   uint64_t values[BYTE_VALUES]);

#endif
