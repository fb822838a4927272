/* SPDX-License-Identifier: MIT
 *
 * dump.h - what the files of smx-dump agree on: main parses the options and opens the segment,
 * text and document write the same facts in two forms, with checks and age, lint judges names,
 * list looks for segments.
 */
#ifndef SMX_DUMP_H
#define SMX_DUMP_H

#include <smx/reader.h>
#include <stdio.h>

/* The version of the JSON documents, their member "schema". */
enum { DUMP_SCHEMA = 1 };

struct dump_options {
    const char *directory;       /* NULL: the default ones */
    const char *const *families; /* the only ones wanted; none: all */
    size_t n_families;
    bool json;
    bool processes; /* the processes, and else no more than the families named */
    bool lint;
};

/* Which parts to write. */
bool dump_wants_segment(const struct dump_options *options);
bool dump_wants_families(const struct dump_options *options);
bool dump_wants_processes(const struct dump_options *options);
bool dump_wants_family(const struct dump_options *options, const struct smx_family_info *family);

/* Nanoseconds of CLOCK_REALTIME, which segments use for the times in them. */
uint64_t dump_now_ns(void);

/* Write a snapshot. Returns: 0 or -ENOMEM; errors of `out` are for the caller to see there. */
int text_write(FILE *out, smx_reader *reader, const struct dump_options *options);
int json_write(FILE *out, smx_reader *reader, const struct dump_options *options);

/* Write what breaks the naming conventions, *found of it. Returns: 0 or -ENOMEM. */
int lint_write(FILE *out, smx_reader *reader, const struct dump_options *options, size_t *found);

/* List the segments there are. Those that cannot be read are named on stderr and counted.
 * Returns: 0, or a negative errno with a line on stderr. */
int list_write(FILE *out, const struct dump_options *options, size_t *damaged);

#endif
