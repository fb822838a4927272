/* SPDX-License-Identifier: MIT
 *
 * reader.h - what the files of the reading side share. Private; the interface is <smx/reader.h>.
 *
 *   reader.c            the object: open, update, what it returns
 *   source.c      the only place that reads the file: bounded preads into private memory
 *   arena.c      memory that is freed as a whole
 *   header.c     checks the header
 *   records.c    walks the hash table, copies each record once
 *   family.c     a record becomes a family
 *   registry.c   the records become families; duplicates are left out
 *   series.c     and series
 *   order.c      sorts them, in pieces
 *   cells.c      which bytes hold the values; overlaps are left out
 *   values.c     reads those bytes and combines the rows
 *   exemplars.c  finds the places of exemplars, and reads them
 *   checks.c     finds checks, and reads who has reported what
 *   result.c     what the reports of a check amount to
 *   processes.c  slots and who lives
 *   quantile.c   mean and quantiles of a histogram
 *
 * The rule: a byte of the file is copied once, checked in the copy, and used from there.
 *
 * Names are read in pieces. Functions that take a struct smx__build * and return 1 have more to do:
 * they have used up the budget, and go on from build->next when they are called again.
 */
#ifndef SMX_READER_PARTS_H
#define SMX_READER_PARTS_H

#include "libshm/layout.h"

#include <smx/reader.h>
#include <sys/stat.h>

/* What a sound segment never exceeds. */
enum { SMX__MAX_STRIDE = 1 << 20 };

/* arena.c */

struct smx__arena {
    struct smx__chunk *chunks;
};

/* Zeroed bytes, aligned for anything; NULL without memory. */
void *smx__arena_take(struct smx__arena *arena, size_t size);
/* The same for an array. */
void *smx__arena_array(struct smx__arena *arena, size_t n, size_t size);
/* A copy with a NUL behind it. False without memory. */
bool smx__arena_string(struct smx__arena *arena, const void *bytes, size_t length,
                       struct smx_str *out);
void smx__arena_free(struct smx__arena *arena);
/* Free a chunk, whatever is in it. Returns how many bytes; 0: there is none. */
size_t smx__arena_drop(struct smx__arena *arena);

/* source.c */

struct smx__source {
    int fd;
    dev_t device;
    ino_t inode;
    unsigned char *window; /* the last bytes that smx__source_view() read */
    uint64_t window_at;
    uint64_t window_length;
};

/* Recently read blocks, for reading in no order. Lives during one reading of the registry. */
struct smx__cache {
    struct smx__source *file;
    uint64_t limit; /* no byte at or behind it is read */
    struct smx__cache_block *blocks;
    size_t n_blocks;
    uint64_t n_read; /* bytes of the file, in all */
};

/* Open a regular file. Returns as smx_reader_open(). */
int smx__source_open(struct smx__source *file, const char *path, struct smx_diag *diag);
void smx__source_close(struct smx__source *file);

/* Read exactly these bytes. Returns 0 or -EIO when they are not all there. */
int smx__source_read(struct smx__source *file, uint64_t at, void *to, size_t size);

/* Bytes in private memory, valid until the next call; reads on up to `ahead`, the end of what will
 * be asked for in rising order. size is at most SMX__VIEW_MAX. NULL when they are not all there. */
enum { SMX__VIEW_MAX = 256 * 1024 };
const void *smx__source_view(struct smx__source *file, uint64_t at, size_t size, uint64_t ahead);

/* Check the copy of something sealed (metric/seal.h) of this room at an offset, and copy it again a
 * few times while it fits no seal. Returns 1, 0 if there is none, -EIO. */
int smx__source_sealed(struct smx__source *file, uint64_t at, void *copy, size_t room);

/* Drop the window: what it held is of an earlier update. */
void smx__source_forget(struct smx__source *file);

/* Returns 0 or -ENOMEM. The last two free the memory: of one block, of all. */
int smx__cache_init(struct smx__cache *cache, struct smx__source *file, uint64_t limit);
void smx__cache_drop(struct smx__cache *cache, size_t block);
void smx__cache_fini(struct smx__cache *cache);

/* Copy bytes out of the file. The range must lie below cache->limit. Returns 0, -EIO, -ENOMEM. */
int smx__cache_copy(struct smx__cache *cache, uint64_t at, void *to, size_t size);

/* header.c */

/* Read and check the header. Returns 0, -EPROTO, -EPROTONOSUPPORT, -EBADMSG, -EIO, -EFBIG. */
int smx__header_read(struct smx__source *file, const char *path, struct smx__header *out,
                     struct stat *st, struct smx_diag *diag);

/* Whether so much is allocated, and there. Returns 0, -E2BIG, -EFBIG. */
int smx__header_bound(const struct smx__source *file, const struct smx__header *header,
                      uint64_t bound, const char *path, struct smx_diag *diag);

/* Whether what the registry was built from has changed: everything but usage and losses. */
bool smx__header_moved(const struct smx__header *a, const struct smx__header *b);

/* records.c */

/* The private copy of one record: struct smx__family or struct smx__series and its strings. */
struct smx__raw {
    uint64_t at;
    const unsigned char *bytes;
    uint32_t size;
    uint16_t kind;
};

struct smx__records {
    struct smx__arena arena;
    struct smx__raw *raw;
    size_t n;
    size_t n_sorted; /* of them are ascending by offset; the rest was added */
    size_t n_families, n_exemplars, n_checks;
    size_t room;
    uint64_t *seen;  /* a bit for every ref */
    uint64_t budget; /* bytes that records may still claim; bounds memory and time */
    uint64_t *unsound;
};

struct smx__build;

/* Find every record that the hash table leads to, then copy them; what cannot be one is counted in
 * unsound[], by enum smx_unsound. Return 1, 0, -EIO, -ENOMEM. */
int smx__records_walk(struct smx__build *build);
int smx__records_copy(struct smx__build *build);
/* Copy one record that no chain leads to, unless it was copied already. Returns as above. */
int smx__records_add(struct smx__records *records, struct smx__cache *cache, uint64_t at);
/* Put what was added where it belongs. Returns 0 or -ENOMEM. */
int smx__records_sort(struct smx__records *records);
void smx__records_free(struct smx__records *records);

/* family.c */

/* What a family's record says beyond its public description. */
struct smx__origin {
    uint64_t at;              /* of the record */
    uint64_t overflow;        /* of the overflow series' record, or 0 */
    uint64_t stride;          /* histograms: from row to row */
    bool mean;                /* gauges of integers that become their mean, a double */
    bool twice;               /* another one of its name comes first */
    enum smx_unsound unsound; /* if the family is left out */
};

/* Turn a record into a family. Returns 1, 0 if it is unsound (it is counted), -EIO, -ENOMEM. */
int smx__family_parse(const struct smx__raw *raw, struct smx__records *records,
                      struct smx__cache *cache, const struct smx__header *header,
                      struct smx__arena *arena, struct smx_family_info *out,
                      struct smx__origin *shape);

/* Take (length u16, bytes) off the front of [*at, end): UTF-8. False if it is not there. */
bool smx__take_string(const unsigned char **at, const unsigned char *end, const char **string,
                      size_t *length);

/* registry.c */

enum smx__block_kind {
    SMX__BLOCK_COUNTERS,
    SMX__BLOCK_GAUGES,
    SMX__BLOCK_LAST,
    SMX__BLOCK_HISTOGRAM
};

/* Where the value of one series lies, in the file and among the words of a snapshot. */
struct smx__place {
    uint64_t cell;
    uint64_t word;
    uint32_t series;
    uint32_t family;
};

/* Bytes of the file that hold the cells of some series: one page a row for counters, one cache
 * line a row for gauges, one cell, or the rows of one histogram. */
struct smx__block {
    uint64_t at;
    uint64_t end;
    uint64_t run_end; /* of the blocks that follow without a gap */
    size_t first;     /* of the places */
    size_t n;
    enum smx__block_kind kind;
};

/* The places of one series' exemplars. */
struct smx__examples {
    uint64_t at;
    uint32_t series; /* in the registry */
    uint32_t family;
    uint32_t n;
};

/* Where a check lies. */
struct smx__watched {
    uint64_t at; /* the record */
    uint64_t cell;
};

/* Names and places, read when `published` moved. */
struct smx__registry {
    struct smx__arena arena;
    struct smx__header header;
    struct smx_str app;
    struct smx_str instance;
    struct smx_label *labels;
    size_t n_labels;
    struct smx_family_info *families;
    struct smx__origin *shapes;
    size_t n_families;
    struct smx_series_info *series;
    size_t n_series;
    struct smx__place *places; /* ascending by cell */
    struct smx__block *blocks; /* ascending, apart */
    size_t n_blocks;
    uint64_t n_words;               /* of one snapshot's values */
    struct smx__examples *examples; /* ascending by series */
    size_t n_examples;
    size_t n_exemplars; /* places in all of them */
    size_t n_each;      /* gauges of mode `each` */
    struct smx_check_info *checks;
    struct smx__watched *watched; /* of each */
    size_t n_checks;
    uint64_t n_later;  /* refs to records behind all that was allocated when it was begun */
    uint64_t later_at; /* the last of these */
    uint64_t unsound[SMX_UNSOUND_COUNT];
    struct smx_unsound_info named[SMX_UNSOUND_NAMED_MAX];
    size_t n_named;
};

/* Remember the family of an unsound record that was counted. */
void smx__registry_name_unsound(struct smx__registry *registry, enum smx_unsound reason,
                                const char *family, size_t length);

/* Begin to read the registry. Returns 0 or -ENOMEM. */
int smx__build_new(struct smx__build **out, struct smx__source *file,
                   const struct smx__header *header);
/* Read on, about so many bytes. Returns 1 when there are more, 0, -EIO, -ENOMEM. */
int smx__build_step(struct smx__build *build, uint64_t max_bytes);
/* End; what was read, if all was, is the caller's. NULL is fine for `out` and for the build. */
void smx__build_free(struct smx__build *build, struct smx__registry **out);
void smx__registry_free(struct smx__registry *registry);

/* The place of the series whose cell this is, NULL if no series is shown that has it. */
const struct smx__place *smx__place_find(const struct smx__registry *registry, uint64_t cell);

/* series.c */

/* A series that is sound so far. */
struct smx__candidate {
    const struct smx__raw *raw;
    uint64_t cell;
    uint64_t key; /* hash of the label values */
    uint32_t family;
    uint32_t series; /* its index in the registry */
    bool overflow;
    bool dropped;
};

/* A candidate's place in an order: by number, then tie, then record. A value of its own, since
 * sorting pointers waits for memory at every comparison. */
struct smx__order {
    uint64_t number;
    uint32_t tie;
    uint32_t candidate;
};

/* order.c */

/* A merge sort that can be left at any element. All-zero has not begun. */
struct smx__sort {
    struct smx__order *other; /* as long as what is sorted */
    size_t width;             /* of the runs that are merged in pairs; 0: none yet */
    size_t at;                /* the pair begins there */
    size_t left, right;       /* taken of its runs */
};

/* Heads of chains that are read at a time. */
enum { SMX__HEADS = 1024 };

/* What lives only while a registry is built. */
struct smx__build {
    unsigned phase;
    size_t next;                /* in it */
    uint64_t left;              /* of this step's bytes */
    uint64_t paid;              /* of cache.n_read */
    uint32_t heads[SMX__HEADS]; /* of the table, those around `next` */
    uint64_t chain;             /* what is left of one */
    struct smx__sort sort;
    struct smx__block last; /* of the cells that were checked */
    uint64_t last_cell;
    struct smx__registry *registry;
    struct smx__records records;
    struct smx__cache cache;
    struct smx__candidate *candidates; /* ascending by record */
    struct smx__order *by_values;      /* before: families by their names */
    struct smx__order *by_cell;        /* those that were not dropped before the cells were seen */
    size_t n;
    size_t n_by_cell;
    size_t n_placed;
    size_t n_kept; /* of the families */
};

/* What a look at a record, or at what was made of it, is charged with. */
enum { SMX__LOOK_BYTES = 64 };

/* Whether the step may go on; if so it is charged, also with what was read from the file. */
static inline bool smx__build_spend(struct smx__build *build, uint64_t bytes)
{
    if (build->left == 0)
        return false;
    bytes += build->cache.n_read - build->paid;
    build->paid = build->cache.n_read;
    build->left -= bytes < build->left ? bytes : build->left;
    return true;
}

/* Sort, by number, then tie, then candidate. Returns 1, 0, -ENOMEM. */
int smx__order_sort(struct smx__build *build, struct smx__order **order, size_t n);

/* Go on with a hash; the first goes on from the basis. What has equal ones is taken for the same:
 * by accident that happens to one segment of 2^64, and on purpose it only hides what is the
 * author's own. */
#define SMX__HASH_BASIS UINT64_C(0xcbf29ce484222325)
uint64_t smx__hash_bytes(uint64_t hash, const void *bytes, size_t length);

/* Remember the family of a series that was counted as unsound. */
void smx__series_name_unsound(struct smx__registry *registry, enum smx_unsound reason,
                              const struct smx__candidate *series);

/* Make candidates of the records; mark those that must not be served, which takes an order by
 * values; then put the rest, but for what smx__cells_check() drops in the order of their cells,
 * into the registry, with their places but not yet their words. Return 1, 0, -EIO, -ENOMEM. */
int smx__series_take(struct smx__build *build);
int smx__series_by_values(struct smx__build *build);
int smx__series_drop_duplicates(struct smx__build *build);
int smx__series_by_cell(struct smx__build *build);
int smx__series_fill(struct smx__build *build);
int smx__series_place(struct smx__build *build);

/* cells.c */

/* Drop candidates, which come in the order of their cells, whose cells are out of bounds or
 * another's. */
int smx__cells_check(struct smx__build *build);

/* Make the blocks of the registry's places, which are ascending and were checked, and give every
 * place its words. Returns 1, 0, -EIO, -ENOMEM. */
int smx__cells_group(struct smx__build *build);

/* exemplars.c */

/* Find the places of the registry's exemplars among the records. Returns 1, 0, -ENOMEM. */
int smx__exemplars_find(struct smx__build *build);

/* The exemplars of one snapshot. */
struct smx__exemplar_values {
    struct smx_exemplar *at;
    size_t n;
    uint32_t *family; /* of each */
    struct smx_label *labels;
    struct smx__exemplar *raw;
    size_t room;           /* of all but `labels`, which has SMX_LABELS_MAX times as many */
    size_t next, next_raw; /* while they are read: of the registry's, and of raw */
};

/* Begin to read them. Returns 0, -ENOMEM. */
int smx__exemplars_begin(struct smx__exemplar_values *values, const struct smx__registry *registry);
/* Read about so many bytes; what is being written for longer than it takes, or fits no seal, is
 * left out. Returns 1 when there are more, 0, -EIO. */
int smx__exemplars_step(struct smx__exemplar_values *values, const struct smx__registry *registry,
                        struct smx__source *file, uint64_t max_bytes);

/* Show them in the registry's families. */
void smx__exemplars_show(const struct smx__exemplar_values *values, struct smx__registry *registry);
void smx__exemplars_free(struct smx__exemplar_values *values);

/* processes.c */

struct smx__live {
    uint64_t word; /* generation << 32 | row */
};

struct smx__processes {
    struct smx_process_info *info;
    size_t n;
    struct smx__live *live; /* ascending by row */
    size_t n_live;
    size_t n_unasked;
    uint64_t looked_ns; /* CLOCK_REALTIME when that was so */
    size_t room;        /* of both */
};

/* Read the slots and ask the kernel who lives. Returns 0, -EIO, -ENOMEM. */
int smx__processes_read(struct smx__processes *processes, struct smx__source *file,
                        const struct smx__header *header);
void smx__processes_free(struct smx__processes *processes);

/* checks.c */

/* Find the registry's checks among the records. Returns 1, 0, -ENOMEM. */
int smx__checks_find(struct smx__build *build);

/* What changes of one check. */
struct smx__check_value {
    uint64_t terms;
    size_t first, n;                  /* of the reports */
    size_t length[SMX__CHECK_STATES]; /* of the texts */
    uint32_t worker[SMX__CHECK_STATES];
};

/* The reports of one snapshot. */
struct smx__check_values {
    struct smx__check_value *of;
    char (*text)[SMX__REPORT_TEXT + 1]; /* SMX__CHECK_STATES for each check */
    size_t room;                        /* checks */
    struct smx_check_report_info *reports;
    size_t n_reports, reports_room;
    size_t next; /* while they are read: of the checks */
};

/* Begin to read them. Returns 0, -ENOMEM. */
int smx__checks_begin(struct smx__check_values *values, const struct smx__registry *registry,
                      const struct smx__processes *processes);
/* Read about so many bytes. Returns 1 when there are more, 0, -EIO. */
int smx__checks_step(struct smx__check_values *values, const struct smx__registry *registry,
                     const struct smx__processes *processes, struct smx__source *file,
                     uint64_t max_bytes);

/* Show them in the registry's checks. */
void smx__checks_show(const struct smx__check_values *values, struct smx__registry *registry);
void smx__checks_free(struct smx__check_values *values);

/* values.c */

/* The numbers of one snapshot. Words of a place: a counter's total; a gauge's number of writers
 * and its value; for `each` the number and the first index in each[]; a histogram's sum, inverted
 * minimum, maximum, count and buckets. */
struct smx__values {
    uint64_t *words;
    struct smx_each *each;
    size_t each_room;
    struct smx__exemplar_values exemplars;
    struct smx__check_values checks;
};

/* One reading of the values; the first four are the caller's. */
struct smx__pass {
    const struct smx__registry *registry;
    struct smx__source *file;
    const struct smx__processes *processes;
    struct smx__values *values;
    size_t n_each; /* of values->each, filled so far */
    size_t next;   /* of registry->blocks */
};

/* Begin. values->words must hold registry->n_words. Returns 0, -ENOMEM. */
int smx__values_begin(struct smx__pass *pass);
/* Read about so many bytes. Returns 1 when there are more, 0, -EIO. */
int smx__values_step(struct smx__pass *pass, uint64_t max_bytes);

/* Show a snapshot's numbers in the registry's series. */
void smx__values_show(const struct smx__values *values, struct smx__registry *registry);

#endif
