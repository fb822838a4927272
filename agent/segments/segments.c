/* SPDX-License-Identifier: MIT
 *
 * segments.c - the table of segments. Owns the readers. What directory.c finds is matched with the
 * table by path, device and inode; what follows from it is decided and logged here.
 */
#include "agent/segments/segments.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The states that are errors are the last ones. */
enum { ERRORS = SEGMENT_STATES - SEGMENT_UNSUPPORTED };
enum { INDEX_SIZE = 2 * SEGMENTS_MAX };

struct segments {
    struct segments_options options;
    struct directory *directories;
    size_t n_directories;
    struct segment *list;
    size_t n, size;
    uint16_t index[INDEX_SIZE]; /* while they are scanned: by name, place in list + 1 */
    bool overflowed;            /* said that there are more than SEGMENTS_MAX */
    struct self_count by_state[SEGMENT_STATES - 1];
    struct self_count errors[ERRORS];
    struct directory *scanned; /* while directory_scan() runs */
};

const char *segment_state_name(enum segment_state state)
{
    static const char *const names[SEGMENT_STATES] = {
        "new", "served", "shadowed", "unsupported", "refused", "unreadable", "damaged"};
    return names[state];
}

const struct segment *segments_list(const struct segments *segments, size_t *n)
{
    *n = segments->n;
    return segments->list;
}

const struct directory *segments_directories(const struct segments *segments, size_t *n)
{
    *n = segments->n_directories;
    return segments->directories;
}

const struct self_count *segments_by_state(const struct segments *segments, size_t *n)
{
    *n = SEGMENT_STATES - 1;
    return segments->by_state;
}

const struct self_count *segments_errors(const struct segments *segments, size_t *n)
{
    *n = ERRORS;
    return segments->errors;
}

static const char *advice(enum segment_state state)
{
    switch (state) {
    case SEGMENT_UNSUPPORTED:
        return "run an agent and an application of the same format";
    case SEGMENT_SHADOWED:
        return "give one of the two another instance name";
    case SEGMENT_REFUSED:
        return "remove the file, or name its directory with --segments.dir";
    case SEGMENT_UNREADABLE:
        return "add the agent's user to the file's group";
    default:
        return "remove the file; its application makes a new one when it starts";
    }
}

/* Enter a state. It is logged when it, or its reason, is another than before: so once for each
 * inode and reason, for a replaced file starts as new. */
static void settle(struct segments *segments, struct segment *segment, enum segment_state state,
                   const char *why)
{
    if (state >= SEGMENT_UNSUPPORTED)
        segments->errors[state - SEGMENT_UNSUPPORTED].n++;
    if (segment->state == state && strcmp(segment->why, why) == 0)
        return;
    segment->state = state;
    snprintf(segment->why, sizeof segment->why, "%s", why);
    if (state == SEGMENT_SERVED)
        LOG_INFO(segments->options.log, "serving segment", "path", segment->path);
    else
        LOG_WARN(segments->options.log, "segment left out", "path", segment->path, "state",
                 segment_state_name(state), "reason", why, "do", advice(state));
}

static void close_reader(struct segments *segments, struct segment *segment)
{
    if (!segment->reader)
        return;
    if (segments->options.closing)
        segments->options.closing(segments->options.context, segment->reader);
    smx_reader_close(segment->reader);
    segment->reader = NULL;
}

static void fail(struct segments *segments, struct segment *segment, enum segment_state state,
                 const char *why)
{
    close_reader(segments, segment);
    settle(segments, segment, state, why);
}

/* The segment at a place of the index, NULL if the place is free. */
static struct segment *indexed(const struct segments *segments, uint16_t place)
{
    return place && segments->list ? &segments->list[place - 1] : NULL;
}

/* Where the index has, or would have, the segment of this name in the directory that is scanned.
 * There is always a free place: it has twice as many as there can be segments. */
static uint16_t *place_of(struct segments *segments, const struct directory *directory,
                          const char *name)
{
    uint32_t hash = (uint32_t)(directory - segments->directories);
    for (const char *c = name; *c; c++)
        hash = (hash ^ (unsigned char)*c) * 16777619u;
    for (uint32_t i = hash;; i++) {
        uint16_t *place = &segments->index[i % INDEX_SIZE];
        const struct segment *segment = indexed(segments, *place);
        if (!segment || (segment->directory == directory && strcmp(segment->name, name) == 0))
            return place;
    }
}

static void make_index(struct segments *segments)
{
    memset(segments->index, 0, sizeof segments->index);
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        segment->seen = false;
        *place_of(segments, segment->directory, segment->name) = (uint16_t)(i + 1);
    }
}

/* Root, ourselves, and who owns the directory may fill the table; another user may not, or nobody
 * else's segment would be found in a directory that he fills with files. */
static bool may_add(const struct segments *segments, const struct stat *st)
{
    size_t n = 0;
    if (segments->n == SEGMENTS_MAX)
        return false;
    if (st->st_uid == 0 || st->st_uid == geteuid() || st->st_uid == segments->scanned->owner)
        return true;
    for (size_t i = 0; i < segments->n; i++)
        n += segments->list[i].owner == st->st_uid;
    return n < SEGMENTS_OWNER_MAX;
}

static int grow(struct segments *segments)
{
    if (segments->n < segments->size)
        return 0;
    size_t size = segments->size ? 2 * segments->size : 16;
    struct segment *list = realloc(segments->list, size * sizeof *list);
    if (!list)
        return -ENOMEM;
    segments->list = list;
    segments->size = size;
    return 0;
}

static void say_full(struct segments *segments, const struct stat *st)
{
    char owner[16];
    snprintf(owner, sizeof owner, "%u", (unsigned)st->st_uid);
    if (!segments->overflowed)
        LOG_WARN(segments->options.log, "too many segments: the rest is left out", "directory",
                 segments->scanned->path, "owner", owner);
    segments->overflowed = true;
}

static struct segment *add(struct segments *segments, const char *name, uint16_t *place)
{
    char *path;
    if (grow(segments) < 0 || asprintf(&path, "%s/%s", segments->scanned->path, name) < 0)
        return NULL;
    struct segment *segment = &segments->list[segments->n++];
    *segment = (struct segment){
        .path = path, .name = path + strlen(path) - strlen(name), .directory = segments->scanned};
    *place = (uint16_t)segments->n;
    return segment;
}

static void found(void *context, const struct directory_entry *entry)
{
    struct segments *segments = context;
    uint16_t *place = place_of(segments, segments->scanned, entry->name);
    struct segment *segment = indexed(segments, *place);
    if (!segment && !may_add(segments, entry->st)) {
        say_full(segments, entry->st);
        return;
    }
    if (!segment)
        segment = add(segments, entry->name, place);
    if (!segment)
        return;
    segment->seen = true;
    if (segment->device != entry->st->st_dev || segment->inode != entry->st->st_ino) {
        close_reader(segments, segment);
        segment->state = SEGMENT_NEW;
        segment->why[0] = 0;
        segment->reported_unsound = false;
        segment->device = entry->st->st_dev;
        segment->inode = entry->st->st_ino;
    }
    segment->owner = entry->st->st_uid;
    const char *refusal = directory_refuses(segments->scanned, entry->st);
    if (refusal)
        fail(segments, segment, SEGMENT_REFUSED, refusal);
    else if (segment->state == SEGMENT_REFUSED)
        segment->state = SEGMENT_NEW;
}

static void log_directory(const struct segments *segments, const struct directory *directory)
{
    const struct log *log = segments->options.log;
    if (directory->state == DIRECTORY_READ)
        LOG_INFO(log, "watching for segments", "directory", directory->path);
    else if (directory->state == DIRECTORY_REFUSED)
        LOG_ERROR(log, "directory refused", "directory", directory->path, "reason", directory->why);
    else if (directory->by_default)
        LOG_DEBUG(log, "directory does not exist yet", "directory", directory->path);
    else
        LOG_WARN(log, "directory does not exist yet", "directory", directory->path, "do",
                 "make it, or correct --segments.dir");
}

static void forget_unseen(struct segments *segments)
{
    size_t kept = 0;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        if (segment->seen) {
            segments->list[kept++] = *segment;
            continue;
        }
        LOG_INFO(segments->options.log, "segment is gone", "path", segment->path);
        close_reader(segments, segment);
        free(segment->path);
    }
    segments->n = kept;
}

void segments_scan(struct segments *segments)
{
    make_index(segments);
    for (size_t i = 0; i < segments->n_directories; i++) {
        segments->scanned = &segments->directories[i];
        if (directory_scan(segments->scanned, found, segments))
            log_directory(segments, segments->scanned);
    }
    forget_unseen(segments);
}

static void open_reader(struct segments *segments, struct segment *segment)
{
    struct smx_diag diag = {0};
    int rc = smx_reader_open(segment->path, &segment->reader, &diag);
    if (rc == 0)
        return;
    segment->reader = NULL;
    const char *why = diag.text[0] ? diag.text : smx_strerror(rc);
    if (rc == -EPROTONOSUPPORT)
        settle(segments, segment, SEGMENT_UNSUPPORTED, why);
    else if (rc == -EPROTO)
        settle(segments, segment, SEGMENT_DAMAGED, why);
    else if (rc == -ELOOP)
        settle(segments, segment, SEGMENT_REFUSED, "a symbolic link is not followed");
    else
        settle(segments, segment, SEGMENT_UNREADABLE, why);
}

/* A file may call itself what it likes; only its name is protected by the directory. */
static bool is_named_right(const struct segment *segment, const struct smx_segment_info *info)
{
    char expected[NAME_MAX + 1];
    bool instance = info->instance.length > 0;
    int n = snprintf(expected, sizeof expected, "%s%s%s.v%u.smx", info->app.at, instance ? "@" : "",
                     instance ? info->instance.at : "", info->major);
    return n > 0 && (size_t)n < sizeof expected && strcmp(expected, segment->name) == 0;
}

/* The reader has left out what is unsound and counted it; the rest is served. Said once an inode.
 */
static void report_unsound(const struct segments *segments, struct segment *segment,
                           const struct smx_segment_info *info)
{
    char n[24];
    if (info->errors == 0 || segment->reported_unsound)
        return;
    segment->reported_unsound = true;
    snprintf(n, sizeof n, "%" PRIu64, info->errors);
    LOG_WARN(segments->options.log, "segment has unsound records, which are left out", "path",
             segment->path, "records", n, "do", "look at it with smx-dump");
}

/* Between directory_scan() and smx_reader_open() the path may have come to lead elsewhere; what was
 * opened must be what was examined, and is read no further if not. */
static bool is_what_was_found(const struct segment *segment)
{
    const struct smx_segment_info *info = smx_reader_info(segment->reader);
    return info->device == segment->device && info->inode == segment->inode;
}

static void read_segment(struct segments *segments, struct segment *segment)
{
    if (!segment->reader && segment->state != SEGMENT_REFUSED)
        open_reader(segments, segment);
    if (!segment->reader)
        return;
    if (!is_what_was_found(segment)) {
        fail(segments, segment, SEGMENT_UNREADABLE, "replaced while it was opened");
        return;
    }
    struct smx_diag diag = {0};
    int rc = smx_reader_update(segment->reader, &diag);
    if (rc < 0) {
        fail(segments, segment, rc == -ENOMEM ? SEGMENT_UNREADABLE : SEGMENT_DAMAGED,
             diag.text[0] ? diag.text : smx_strerror(rc));
        return;
    }
    const struct smx_segment_info *info = smx_reader_info(segment->reader);
    if (!is_named_right(segment, info))
        fail(segments, segment, SEGMENT_REFUSED, "its header names another application");
    else
        report_unsound(segments, segment, info);
}

/* Lower wins: root's and our own before other users', held ones before abandoned ones, then the
 * order of the directories. */
static unsigned rank(const struct segments *segments, const struct segment *segment)
{
    bool foreign = segment->owner != 0 && segment->owner != geteuid();
    bool abandoned = smx_reader_info(segment->reader)->n_live == 0;
    size_t place = (size_t)(segment->directory - segments->directories);
    return (foreign ? 0x20000u : 0u) + (abandoned ? 0x10000u : 0u) + (unsigned)place;
}

static bool is_shadowed(const struct segments *segments, const struct segment *segment)
{
    for (size_t i = 0; i < segments->n; i++) {
        const struct segment *other = &segments->list[i];
        if (other != segment && other->reader && strcmp(other->name, segment->name) == 0 &&
            rank(segments, other) < rank(segments, segment))
            return true;
    }
    return false;
}

static void choose(struct segments *segments)
{
    for (size_t i = 0; i < SEGMENT_STATES - 1; i++)
        segments->by_state[i].n = 0;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        if (segment->reader && is_shadowed(segments, segment))
            settle(segments, segment, SEGMENT_SHADOWED, "another file of this name is served");
        else if (segment->reader)
            settle(segments, segment, SEGMENT_SERVED, "");
        segments->by_state[segment->state - 1].n++;
    }
}

void segments_update(struct segments *segments)
{
    segments_scan(segments);
    for (size_t i = 0; i < segments->n; i++)
        read_segment(segments, &segments->list[i]);
    choose(segments);
}

static int set_directories(struct segments *segments, const char *const paths[], size_t n,
                           bool by_default)
{
    segments->directories = calloc(n + 1, sizeof *segments->directories);
    if (!segments->directories)
        return -ENOMEM;
    segments->n_directories = n;
    for (size_t i = 0; i < n; i++) {
        segments->directories[i].by_default = by_default;
        segments->directories[i].path = strdup(paths[i]);
        if (!segments->directories[i].path)
            return -ENOMEM;
    }
    return 0;
}

static int choose_directories(struct segments *segments)
{
    enum { MOST = 4 };
    const struct segments_options *options = &segments->options;
    char path[MOST][PATH_MAX];
    const char *paths[MOST];
    size_t n = 0;
    if (options->n_directories > 0)
        return set_directories(segments, options->directories, options->n_directories, false);
    for (; n < MOST && smx_directory((unsigned)n, path[n], sizeof path[n]) == 0; n++)
        paths[n] = path[n];
    return set_directories(segments, paths, n, true);
}

int segments_new(const struct segments_options *options, struct segments **out)
{
    struct segments *segments = calloc(1, sizeof *segments);
    if (!segments)
        return -ENOMEM;
    segments->options = *options;
    for (unsigned i = 0; i < SEGMENT_STATES - 1; i++)
        segments->by_state[i].name = segment_state_name(i + 1);
    for (unsigned i = 0; i < ERRORS; i++)
        segments->errors[i].name = segment_state_name(i + SEGMENT_UNSUPPORTED);
    if (choose_directories(segments) < 0) {
        segments_free(segments);
        return -ENOMEM;
    }
    *out = segments;
    return 0;
}

void segments_free(struct segments *segments)
{
    if (!segments)
        return;
    for (size_t i = 0; i < segments->n; i++) {
        close_reader(segments, &segments->list[i]);
        free(segments->list[i].path);
    }
    for (size_t i = 0; i < segments->n_directories; i++)
        free(segments->directories[i].path);
    free(segments->directories);
    free(segments->list);
    free(segments);
}
