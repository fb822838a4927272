/* SPDX-License-Identifier: MIT
 *
 * bytetable.c - what lies where. Must not include libshm/layout.h.
 */
#include "support/bytetable.h"

#define TABLE(fields, size)                                                                        \
    {                                                                                              \
#fields, size, fields, sizeof(fields) / sizeof *(fields)                                   \
    }

static const struct byte_field header[] = {
    {0, 8, "magic", "not_a_segment"},
    {8, 4, "byte_order", "not_a_segment"},
    {12, 2, "major", "version"},
    {14, 2, "minor", ""},
    {16, 2, "header_size", "header"},
    {18, 2, "record_size", "header"},
    {20, 2, "family_size", "header"},
    {22, 2, "series_size", "header"},
    {24, 2, "hist_size", "header"},
    {26, 2, "slot_size", "header"},
    {28, 2, "kind", "header"},
    {30, 2, "rows", "header buckets orphan cell overlap"},
    {32, 2, "counter_stripes", "header cell overlap"},
    {34, 2, "hist_stripes", "header buckets orphan"},
    {36, 4, "slots", "header cell overlap check"},
    {40, 8, "capacity", "header truncated"},
    {48, 8, "max_bytes", "header"},
    {56, 8, "hash_seed", ""},
    {64, 8, "created_ns", ""},
    {72, 16, "boot_id", ""},
    {88, 8, "buckets_at", "header chain record family text orphan"},
    {96, 4, "n_buckets", "header chain record orphan"},
    {100, 4, "max_series", ""},
    {104, 8, "slots_at", "header"},
    {112, 4, "n_sections", "header"},
    {116, 4, "reserved0", ""},
    {120, 192, "sections", ""},
    {312, 8, "reserved1", ""},
    {320, 64, "app", "header misnamed"},
    {384, 64, "instance", "header misnamed"},
    {448, 576, "reserved2", ""},
    {1024, 8, "allocated", "header holes chain record oversize buckets orphan cell exemplar check"},
    {1032, 8, "reserved_to", ""},
    {1040, 48, "reserved3", ""},
    {1088, 8, "published", ""},
    {1096, 4, "slots_used", ""},
    {1100, 52, "reserved4", ""},
    {1152, 128, "lost", ""},
    {1280, 32, "next_cell", ""},
    {1312, 736, "reserved5", ""},
    {2048, 2, "labels_len", "constant"},
    {2050, 2046, "labels", "constant"},
};

#define RECORD(what)                                                                               \
    {0, 4, what ".next", "chain record family text orphan duplicate"}, {4, 4, what ".hash", ""},   \
        {8, 2, what ".kind", "record family text orphan buckets exemplar check"},                  \
        {10, 2, what ".reserved", ""},                                                             \
    {                                                                                              \
        12, 4, what ".size", "record oversize text orphan exemplar check"                          \
    }

static const struct byte_field family[] = {
    RECORD("family"),
    {16, 1, "type", "family buckets text cell overlap orphan exemplar"},
    {17, 1, "is_double", "family orphan"},
    {18, 1, "mode", "family orphan cell overlap text"},
    {19, 1, "digits", "family orphan"},
    {20, 1, "n_labels", "family text orphan duplicate"},
    {21, 1, "exponential", "family buckets orphan"},
    {22, 1, "schema", "buckets orphan"},
    {23, 1, "n_states", "family text orphan"},
    {24, 4, "max_series", ""},
    {28, 4, "n_series", ""},
    {32, 8, "hist", "buckets orphan cell overlap exemplar"},
    {40, 8, "overflow", "chain record text orphan duplicate"},
    {48, 4, "first_index", "buckets orphan"},
    {52, 2, "name_len", "text orphan duplicate"},
    {54, 2, "unit_len", "family text orphan"},
    {56, 4, "help_len", "text orphan"},
    {60, 4, "n_bounds", "buckets orphan"},
    {64, 8, "hist_bounds", "buckets orphan"},
};

static const struct byte_field series[] = {
    RECORD("series"),        {16, 4, "family", "orphan text duplicate cell overlap exemplar"},
    {20, 4, "state", ""},    {24, 8, "cell", "cell overlap exemplar duplicate"},
    {32, 8, "baseline", ""},
};

static const struct byte_field hist[] = {
    {0, 4, "rows", "buckets orphan"},
    {4, 4, "mask", "buckets orphan"},
    {8, 4, "stride", "buckets orphan cell overlap"},
    {12, 4, "n_buckets", "buckets orphan cell overlap exemplar"},
    {16, 4, "shift", ""},
    {20, 4, "digits", ""},
    {24, 8, "key_base", ""},
    {32, 8, "key_count", ""},
    {40, 8, "ns_per_tick", ""},
    {48, 8, "thresholds_at", ""},
    {56, 8, "reserved", ""},
};

static const struct byte_field exemplars[] = {
    RECORD("exemplars"),       {16, 8, "cell", "exemplar duplicate"},
    {24, 8, "at", "exemplar"}, {32, 4, "n", "exemplar"},
    {36, 4, "announced", ""},
};

static const struct byte_field exemplar[] = {
    {0, 8, "seal", ""},    {8, 8, "time_ns", ""},   {16, 8, "value", ""},
    {24, 8, "length", ""}, {32, 512, "labels", ""},
};

static const struct byte_field check[] = {
    RECORD("check"),
    {16, 8, "cell", "check overlap"},
    {24, 2, "name_len", "check duplicate"},
    {26, 2, "help_len", "check"},
    {28, 4, "announced", ""},
    {32, 8, "terms", ""},
    {40, 256, "reports", ""},
    {296, 256, "reports", ""},
    {552, 256, "reports", ""},
};

static const struct byte_field report[] = {
    {0, 8, "seal", ""},    {8, 8, "owner", ""},   {16, 8, "value", ""},
    {24, 8, "length", ""}, {32, 224, "text", ""},
};

static const struct byte_field slot[] = {
    {0, 8, "state", ""},      {8, 8, "pid_ns", ""}, {16, 8, "start", ""},
    {24, 8, "heartbeat", ""}, {32, 32, "role", ""}, {64, 64, "reserved0", ""},
};

static const struct byte_field buckets[] = {
    {0, 4, "head", "chain record family text orphan"},
    {4, 4, "head", "chain record family text orphan"},
    {8, 4, "head", "chain record family text orphan"},
    {12, 4, "head", "chain record family text orphan"},
};

const struct byte_table byte_header = TABLE(header, 4096);
const struct byte_table byte_family = TABLE(family, 72);
const struct byte_table byte_series = TABLE(series, 40);
const struct byte_table byte_hist = TABLE(hist, 64);
const struct byte_table byte_exemplars = TABLE(exemplars, 40);
const struct byte_table byte_exemplar = TABLE(exemplar, 544);
const struct byte_table byte_check = TABLE(check, 808);
const struct byte_table byte_report = TABLE(report, 256);
const struct byte_table byte_slot = TABLE(slot, 128);
const struct byte_table byte_buckets = TABLE(buckets, 16);

static uint64_t cut(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << 8 * size) - 1);
}

/* Values so far, without the sound one and without repetitions. */
struct list {
    uint64_t sound, *values;
    size_t n;
    unsigned size;
};

static void add(struct list *list, uint64_t value)
{
    value = cut(value, list->size);
    for (size_t i = 0; i < list->n; i++)
        if (list->values[i] == value)
            return;
    if (value != list->sound && list->n < BYTE_VALUES)
        list->values[list->n++] = value;
}

size_t byte_values(uint64_t sound, unsigned size, const uint64_t places[], size_t n_places,
                   uint64_t values[BYTE_VALUES])
{
    const uint64_t tried[] = {
        0,         1,         2,          3,          8,          UINT64_MAX,
        ~7ULL,     INT64_MAX, 1ULL << 63, 0x7fffffff, 0x80000000, 0xfffffff8,
        0x7fff,    0x8000,    0x7f,       0x80,       4088,       4096,
        4104,      1 << 18,   sound + 1,  sound - 1,  sound + 4,  sound - 4,
        sound + 8, sound - 8, sound * 2,  sound / 2,  ~sound,     sound + 4096,
    };
    struct list list = {.sound = sound, .values = values, .size = size};
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++)
        add(&list, tried[i]);
    for (size_t i = 0; i < n_places; i++) {
        add(&list, places[i]);
        add(&list, places[i] / 8);
        add(&list, places[i] - 8);
        add(&list, places[i] - 1);
    }
    return list.n;
}
