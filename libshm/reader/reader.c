/* SPDX-License-Identifier: MIT
 *
 * reader.c - the reader as an object: opens a segment, takes snapshots, returns them. An update
 * works aside, in the other one of two sets of numbers and, when names moved, in a new registry;
 * only when all of it was read does the new take the place of the old. So a failed update changes
 * nothing that a caller can see.
 *
 * It keeps to one thread; it neither maps nor locks nor writes the file.
 */
#include "libshm/reader/reader.h"

#include "libshm/diag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* How often names that seem unsound are read again. */
enum { REREADS = 8 };

/* The numbers of one snapshot. */
struct side {
    struct smx__values values;
    size_t words_room;
    struct smx__processes processes;
};

/* An update that has begun. */
struct coming {
    bool begun;
    struct smx__build *build; /* while names are read */
    int tries;                /* before this one, and what the last one found */
    uint64_t errors;
    size_t n_series;
    struct smx__header header;
    struct stat st;
    struct smx__registry *registry; /* the reader's, or a new one */
    struct smx__pass pass;
};

struct smx_reader {
    char *path;
    struct smx__source file;
    struct smx__registry *registry; /* NULL before the first update */
    struct side side[2];
    unsigned shown; /* the side that the snapshot is in */
    uint64_t epoch;
    uint64_t capacity; /* as of the last good header */
    uint64_t bound;    /* of what is allocated; 0: none */
    struct smx_segment_info info;
    struct coming coming;
};

int smx_reader_open(const char *path, smx_reader **out, struct smx_diag *diag)
{
    struct smx__header header;
    struct stat st;
    smx_reader *reader = calloc(1, sizeof *reader);
    if (!reader || !(reader->path = strdup(path))) {
        free(reader);
        return smx__fail(diag, -ENOMEM, "%s: %s", path, smx_strerror(-ENOMEM));
    }
    int result = smx__source_open(&reader->file, path, diag);
    if (result == 0) {
        result = smx__header_read(&reader->file, path, &header, &st, diag);
        if (result != 0)
            smx__source_close(&reader->file);
    }
    if (result != 0) {
        free(reader->path);
        free(reader);
        return result;
    }
    reader->capacity = header.capacity;
    reader->info.path = reader->path;
    reader->info.device = st.st_dev;
    reader->info.inode = st.st_ino;
    *out = reader;
    return 0;
}

static void drop_coming(struct smx_reader *reader)
{
    struct coming *c = &reader->coming;
    smx__build_free(c->build, NULL);
    if (c->begun && c->registry != reader->registry)
        smx__registry_free(c->registry);
    *c = (struct coming){0};
}

void smx_reader_close(smx_reader *reader)
{
    if (!reader)
        return;
    drop_coming(reader);
    smx__source_close(&reader->file);
    smx__registry_free(reader->registry);
    for (int i = 0; i < 2; i++) {
        free(reader->side[i].values.words);
        free(reader->side[i].values.each);
        smx__exemplars_free(&reader->side[i].values.exemplars);
        smx__checks_free(&reader->side[i].values.checks);
        smx__processes_free(&reader->side[i].processes);
    }
    free(reader->path);
    free(reader);
}

void smx_reader_bound(smx_reader *reader, uint64_t max_bytes)
{
    reader->bound = max_bytes;
}

static int reserve_words(struct side *side, uint64_t n)
{
    if (n <= side->words_room)
        return 0;
    uint64_t *words = reallocarray(NULL, n, sizeof *words);
    if (!words)
        return -ENOMEM;
    free(side->values.words);
    side->values.words = words;
    side->words_room = n;
    return 0;
}

static int begin_numbers(struct smx_reader *reader, struct side *side, struct coming *c)
{
    int result = reserve_words(side, c->registry->n_words);
    smx__source_forget(&reader->file);
    if (result == 0)
        result = smx__processes_read(&side->processes, &reader->file, &c->header);
    c->pass = (struct smx__pass){.registry = c->registry,
                                 .file = &reader->file,
                                 .processes = &side->processes,
                                 .values = &side->values};
    if (result == 0)
        result = smx__values_begin(&c->pass);
    if (result == 0)
        result = smx__exemplars_begin(&side->values.exemplars, c->registry);
    if (result == 0)
        result = smx__checks_begin(&side->values.checks, c->registry, &side->processes);
    return result;
}

static uint64_t errors_of(const struct smx__registry *registry)
{
    uint64_t errors = 0;
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        errors += registry->unsound[i];
    return errors;
}

static void fill_info(struct smx_reader *reader, const struct smx__header *h, const struct stat *st)
{
    const struct smx__registry *registry = reader->registry;
    const size_t unasked = reader->side[reader->shown].processes.n_unasked;
    reader->info = (struct smx_segment_info){
        .path = reader->path,
        .app = registry->app,
        .instance = registry->instance,
        .labels = registry->labels,
        .n_labels = registry->n_labels,
        .major = h->major,
        .minor = h->minor,
        .kind = (enum smx_kind)h->kind,
        .rows = h->rows,
        .counter_stripes = h->counter_stripes,
        .hist_stripes = h->hist_stripes,
        .slots = h->slots,
        .capacity_bytes = h->capacity,
        .max_bytes = h->max_bytes,
        .allocated_bytes = h->allocated,
        .reserved_bytes = (uint64_t)st->st_blocks * 512,
        .created_ns = h->created_ns,
        .errors = errors_of(registry) + unasked,
        .unsound_named = registry->named,
        .n_unsound_named = registry->n_named,
        .n_families = registry->n_families,
        .n_series = registry->n_series,
        .n_live = reader->side[reader->shown].processes.n_live,
        .n_checks = registry->n_checks,
        .device = st->st_dev,
        .inode = st->st_ino,
        .owner = st->st_uid,
        .mode = st->st_mode,
        .looked_ns = reader->side[reader->shown].processes.looked_ns,
    };
    _Static_assert((int)SMX_LOST_COUNT <= (int)SMX__MAX_LOST, "more reasons than words");
    memcpy(reader->info.lost, h->lost, sizeof reader->info.lost);
    memcpy(reader->info.unsound, registry->unsound, sizeof reader->info.unsound);
    reader->info.unsound[SMX_UNSOUND_PROCESS] = unasked;
}

/* Make what was read the snapshot. */
static void show(struct smx_reader *reader, struct smx__registry *registry,
                 const struct smx__header *header, const struct stat *st)
{
    if (registry != reader->registry) {
        smx__registry_free(reader->registry);
        reader->registry = registry;
        reader->epoch++;
    }
    reader->shown = !reader->shown;
    reader->capacity = header->capacity;
    smx__values_show(&reader->side[reader->shown].values, registry);
    smx__exemplars_show(&reader->side[reader->shown].values.exemplars, registry);
    smx__checks_show(&reader->side[reader->shown].values.checks, registry);
    fill_info(reader, header, st);
}

static int read_header(struct smx_reader *reader, struct smx__header *header, struct stat *st,
                       struct smx_diag *diag)
{
    *st = (struct stat){0};
    int result = smx__header_read(&reader->file, reader->path, header, st, diag);
    if (result == 0 && reader->bound)
        result = smx__header_bound(&reader->file, header, reader->bound, reader->path, diag);
    if (result == -EPROTO && (uint64_t)st->st_size < reader->capacity)
        return smx__fail(diag, -EIO, "%s: the file was truncated", reader->path);
    return result;
}

/* Give up what was begun, because of an error. */
static int fail(struct smx_reader *reader, int result, struct smx_diag *diag)
{
    drop_coming(reader);
    (void)smx__fail(diag, result, "%s: %s", reader->path, smx_strerror(result));
    return result;
}

/* Until it is shown the info says how much is allocated in it, if that is more than before. */
static int begin_names(struct smx_reader *reader, struct coming *c)
{
    if (reader->info.allocated_bytes < c->header.allocated)
        reader->info.allocated_bytes = c->header.allocated;
    c->registry = NULL;
    return smx__build_new(&c->build, &reader->file, &c->header);
}

/* Whether names that have errors are to be read again, which is then counted: a record that was
 * being made as the header was read may lie in a block that was read before it was complete, and
 * then looks unsound. So as long as there is movement in the header or in what was found. Bounded,
 * for whoever damages a file may keep it moving. */
static bool try_again(struct coming *c, const struct smx__header *next)
{
    const uint64_t errors = errors_of(c->registry), n_series = c->registry->n_series;
    /* Once in any case: a record is seen before `published` moves. */
    bool moved = c->tries == 0 || errors != c->errors || n_series != c->n_series ||
                 next->allocated != c->header.allocated || smx__header_moved(next, &c->header);
    c->errors = errors;
    c->n_series = n_series;
    return errors && moved && c->tries++ < REREADS;
}

/* What was not there yet when the header was read is there by a later one, and comes with the next
 * names; what is not there by that one either is nowhere. */
static void judge_later(struct smx__registry *registry, const struct smx__header *next)
{
    if (registry->later_at >= next->allocated)
        registry->unsound[SMX_UNSOUND_CHAIN] += registry->n_later;
    registry->n_later = 0;
}

/* Take the names that were read, or read them again. */
static int take_names(struct smx_reader *reader, struct coming *c, struct smx_diag *diag)
{
    struct smx__header next;
    smx__build_free(c->build, &c->registry);
    c->build = NULL;
    if (errors_of(c->registry) + c->registry->n_later > 0) {
        int result = read_header(reader, &next, &c->st, diag);
        if (result != 0) {
            drop_coming(reader);
            return result;
        }
        judge_later(c->registry, &next);
        if (try_again(c, &next)) {
            c->header = next;
            smx__registry_free(c->registry);
            result = begin_names(reader, c);
            return result == 0 ? 0 : fail(reader, result, diag);
        }
    }
    int result = begin_numbers(reader, &reader->side[!reader->shown], c);
    return result == 0 ? 0 : fail(reader, result, diag);
}

int smx_reader_begin(smx_reader *reader, struct smx_diag *diag)
{
    struct coming *c = &reader->coming;
    drop_coming(reader);
    int result = read_header(reader, &c->header, &c->st, diag);
    if (result != 0)
        return result;
    c->begun = true;
    c->registry = reader->registry;
    if (!c->registry || smx__header_moved(&c->registry->header, &c->header))
        result = begin_names(reader, c);
    else
        result = begin_numbers(reader, &reader->side[!reader->shown], c);
    return result == 0 ? 0 : fail(reader, result, diag);
}

static int step_numbers(struct smx_reader *reader, uint64_t max_bytes, struct smx_diag *diag)
{
    const struct coming *c = &reader->coming;
    struct side *side = &reader->side[!reader->shown];
    int result = smx__values_step(&reader->coming.pass, max_bytes);
    if (result == 0)
        result =
            smx__exemplars_step(&side->values.exemplars, c->registry, &reader->file, max_bytes);
    if (result == 0)
        result = smx__checks_step(&side->values.checks, c->registry, &side->processes,
                                  &reader->file, max_bytes);
    return result < 0 ? fail(reader, result, diag) : result;
}

/* Returns as smx_reader_step(). */
static int step(struct smx_reader *reader, uint64_t max_bytes, struct smx_diag *diag)
{
    struct coming *c = &reader->coming;
    if (!c->build)
        return step_numbers(reader, max_bytes, diag);
    int result = smx__build_step(c->build, max_bytes);
    if (result < 0)
        return fail(reader, result, diag);
    if (result == 0)
        result = take_names(reader, c, diag);
    return result < 0 ? result : 1;
}

int smx_reader_step(smx_reader *reader, uint64_t max_bytes, struct smx_diag *diag)
{
    int result = reader->coming.begun;
    while (result > 0) {
        result = step(reader, max_bytes, diag);
        if (max_bytes < UINT64_MAX)
            break;
    }
    return result;
}

int smx_reader_update(smx_reader *reader, struct smx_diag *diag)
{
    struct coming *c = &reader->coming;
    int result = c->begun ? 0 : smx_reader_begin(reader, diag);
    if (result == 0)
        result = smx_reader_step(reader, UINT64_MAX, diag);
    if (result != 0)
        return result;
    c->begun = false;
    show(reader, c->registry, &c->header, &c->st);
    return 0;
}

uint64_t smx_reader_epoch(const smx_reader *reader)
{
    return reader->epoch;
}

const struct smx_segment_info *smx_reader_info(const smx_reader *reader)
{
    return &reader->info;
}

const struct smx_family_info *smx_reader_family(const smx_reader *reader, size_t index)
{
    if (!reader->registry || index >= reader->registry->n_families)
        return NULL;
    return &reader->registry->families[index];
}

const struct smx_check_info *smx_reader_check(const smx_reader *reader, size_t index)
{
    if (!reader->registry || index >= reader->registry->n_checks)
        return NULL;
    return &reader->registry->checks[index];
}

const struct smx_process_info *smx_reader_processes(const smx_reader *reader, size_t *count)
{
    const struct smx__processes *processes = &reader->side[reader->shown].processes;
    *count = processes->n;
    return processes->info;
}
