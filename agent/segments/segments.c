/* SPDX-License-Identifier: MIT
 *
 * segments.c - the table of segments. Owns the readers. What directory.c finds is matched with the
 * table by path, device and inode; what follows from it is decided and logged here. reading.c
 * reads.
 *
 * The table is in the order of the names, and of those of one name in that of their directories: to
 * find one takes a few steps, and those that may shadow it are beside it.
 */
#include "agent/segments/table.h"

#include "agent/loop/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
    const char *name; /* the label `reason` */
    enum segment_state state;
} faults[FAULTS] = {
    [FAULT_LINK] = {"link", SEGMENT_REFUSED},
    [FAULT_NOT_REGULAR] = {"not_regular", SEGMENT_REFUSED},
    [FAULT_OWNER] = {"owner", SEGMENT_REFUSED},
    [FAULT_MISNAMED] = {"misnamed", SEGMENT_REFUSED},
    [FAULT_PERMISSION] = {"permission", SEGMENT_UNREADABLE},
    [FAULT_REPLACED] = {"replaced", SEGMENT_UNREADABLE},
    [FAULT_UNREADABLE] = {"unreadable", SEGMENT_UNREADABLE},
    [FAULT_VERSION] = {"version", SEGMENT_UNSUPPORTED},
    [FAULT_NOT_A_SEGMENT] = {"not_a_segment", SEGMENT_DAMAGED},
    [FAULT_HEADER] = {"header", SEGMENT_DAMAGED},
    [FAULT_TRUNCATED] = {"truncated", SEGMENT_DAMAGED},
    [FAULT_HOLES] = {"holes", SEGMENT_DAMAGED},
    [FAULT_TOO_LARGE] = {"too_large", SEGMENT_UNREADABLE},
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

size_t segments_left_out(const struct segments *segments)
{
    return segments->n_left_out;
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
void table_settle(struct segments *segments, struct segment *segment, enum segment_state state,
                  const char *why)
{
    segment->state = state;
    if (segment->said == state && strcmp(segment->why, why) == 0)
        return;
    segment->said = state;
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
    segment->read_ns = 0;
}

void table_fail(struct segments *segments, struct segment *segment, enum fault fault,
                const char *why)
{
    close_reader(segments, segment);
    segments->errors[fault].n++;
    table_settle(segments, segment, faults[fault].state, why);
}

/* The same for what the reader says of it. */
void table_fail_code(struct segments *segments, struct segment *segment, int code,
                     const struct smx_diag *diag)
{
    static const struct {
        int code;
        enum fault fault;
    } known[] = {
        {-ELOOP, FAULT_LINK},           {-EACCES, FAULT_PERMISSION},
        {-EPERM, FAULT_PERMISSION},     {-EPROTONOSUPPORT, FAULT_VERSION},
        {-EPROTO, FAULT_NOT_A_SEGMENT}, {-EBADMSG, FAULT_HEADER},
        {-EIO, FAULT_TRUNCATED},        {-EFBIG, FAULT_HOLES},
        {-E2BIG, FAULT_TOO_LARGE},
    };
    enum fault fault = FAULT_UNREADABLE;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].code == code)
            fault = known[i].fault;
    table_fail(segments, segment, fault, diag->text[0] ? diag->text : smx_strerror(code));
}

static int by_name(const void *left, const void *right)
{
    const struct segment *a = left, *b = right;
    int order = strcmp(a->name, b->name);
    if (order != 0 || a->directory == b->directory)
        return order;
    return a->directory < b->directory ? -1 : 1;
}

/* A directory that changes while it is read may show a name twice: the added ones are looked at,
 * too. */
static struct segment *find(const struct segments *segments, const char *name)
{
    const struct segment key = {.name = name, .directory = segments->scanned};
    if (segments->n_ordered > 0) {
        struct segment *segment =
            bsearch(&key, segments->list, segments->n_ordered, sizeof key, by_name);
        if (segment)
            return segment;
    }
    for (size_t i = segments->n_ordered; i < segments->n; i++)
        if (by_name(&key, &segments->list[i]) == 0)
            return &segments->list[i];
    return NULL;
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

/* Count a file that there is no place for. Each is named once, and not all of a million. */
static void leave_out(struct segments *segments, const char *name)
{
    char path[PATH_MAX], most[24];
    segments->n_left_out++;
    snprintf(path, sizeof path, "%s/%s", segments->scanned->path, name);
    snprintf(most, sizeof most, "%zu", segments->options.most);
    if (once_is_new(&segments->left_out, path))
        LOG_WARN(segments->options.log, "segment left out", "path", path, "reason",
                 "there are more than the agent looks at, or of one user", "most", most, "do",
                 "remove what nobody uses, or raise the limit of open files (LimitNOFILE=)");
}

/* Root, ourselves, and who owns the directory may fill the table; another user only three quarters
 * of it, or nobody else's segment would be found in a directory that he fills with files. */
static bool has_place(const struct segments *segments, uid_t owner)
{
    size_t n = 0, most = segments->options.most;
    if (segments->n >= most)
        return false;
    if (owner == 0 || owner == geteuid() || owner == segments->scanned->owner)
        return true;
    for (size_t i = 0; i < segments->n; i++)
        n += segments->list[i].owner == owner;
    return n < most - most / 4;
}

/* APP.vN.smx or APP@INSTANCE.vN.smx; a file of any other name is never served. */
static void name_app(struct segment *segment)
{
    const char *name = segment->name, *end = strrchr(name, '.');
    const char *at = strchr(name, '@');
    const char *version = end ? memrchr(name, '.', (size_t)(end - name)) : NULL;
    end = at ? at : version;
    if (end && (size_t)(end - name) < sizeof segment->app)
        memcpy(segment->app, name, (size_t)(end - name));
}

static struct segment *add(struct segments *segments, const struct directory_entry *entry)
{
    const char *name = entry->name;
    if (!has_place(segments, entry->st->st_uid)) {
        leave_out(segments, name);
        return NULL;
    }
    char *path;
    if (grow(segments) < 0 || asprintf(&path, "%s/%s", segments->scanned->path, name) < 0) {
        segments->errors[SEGMENT_UNREADABLE - SEGMENT_UNSUPPORTED].n++;
        return NULL;
    }
    struct segment *segment = &segments->list[segments->n++];
    *segment = (struct segment){
        .path = path, .name = path + strlen(path) - strlen(name), .directory = segments->scanned};
    name_app(segment);
    return segment;
}

static void found(void *context, const struct directory_entry *entry)
{
    struct segments *segments = context;
    struct segment *segment = find(segments, entry->name);
    if (!segment)
        segment = add(segments, entry);
    if (!segment)
        return;
    segment->seen = true;
    if (segment->device != entry->st->st_dev || segment->inode != entry->st->st_ino) {
        close_reader(segments, segment);
        segment->state = SEGMENT_NEW;
        segment->said = SEGMENT_NEW;
        segment->why[0] = 0;
        segment->reported_unsound = false;
        table_forget_ahead(segment);
        segment->found_ns = loop_now_ns();
        segment->device = entry->st->st_dev;
        segment->inode = entry->st->st_ino;
    }
    segment->owner = entry->st->st_uid;
    const char *refusal = directory_refuses(segments->scanned, entry->st);
    if (refusal)
        table_fail(segments, segment,
                   S_ISLNK(entry->st->st_mode)   ? FAULT_LINK
                   : S_ISREG(entry->st->st_mode) ? FAULT_OWNER
                                                 : FAULT_NOT_REGULAR,
                   refusal);
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
    else if (directory->state == DIRECTORY_FAILED)
        LOG_WARN(log, "directory cannot be looked at: what is known of it stays", "directory",
                 directory->path, "reason", directory->why);
    else if (directory->by_default)
        LOG_DEBUG(log, "directory does not exist yet", "directory", directory->path);
    else
        LOG_WARN(log, "directory does not exist yet", "directory", directory->path, "do",
                 "make it, or correct --segments.dir");
}

void table_remove(struct segments *segments, struct segment *segment, const char *why)
{
    LOG_INFO(segments->options.log, "segment is gone", "path", segment->path, "reason", why);
    close_reader(segments, segment);
    free(segment->path);
}

void table_order(struct segments *segments)
{
    if (segments->n)
        qsort(segments->list, segments->n, sizeof segments->list[0], by_name);
    segments->n_ordered = segments->n;
}

static void forget_unseen(struct segments *segments)
{
    size_t kept = 0;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        if (segment->seen || segment->directory->unsure) {
            segments->list[kept++] = *segment;
            continue;
        }
        table_remove(segments, segment, NULL);
    }
    segments->n = kept;
}

/* For want of a descriptor, say: segments that we have open are served on. */
static void keep_unseen(struct segments *segments)
{
    segments->errors[SEGMENT_UNREADABLE - SEGMENT_UNSUPPORTED].n++;
    for (size_t i = 0; i < segments->n; i++)
        if (segments->list[i].directory == segments->scanned)
            segments->list[i].seen = true;
}

void segments_scan(struct segments *segments)
{
    for (size_t i = 0; i < segments->n; i++)
        segments->list[i].seen = false;
    segments->n_left_out = 0;
    for (size_t i = 0; i < segments->n_directories; i++) {
        segments->scanned = &segments->directories[i];
        if (directory_scan(segments->scanned, found, segments))
            log_directory(segments, segments->scanned);
        if (segments->scanned->state == DIRECTORY_FAILED)
            keep_unseen(segments);
    }
    bool added = segments->n > segments->n_ordered;
    forget_unseen(segments);
    if (added)
        table_order(segments);
    segments->n_ordered = segments->n;
}

int segments_new(const struct segments_options *options, struct segments **out)
{
    struct segments *segments = calloc(1, sizeof *segments);
    if (!segments)
        return -ENOMEM;
    segments->options = *options;
    if (options->most == 0 || options->most > SEGMENTS_MAX)
        segments->options.most = SEGMENTS_MAX;
    for (unsigned i = 0; i < SEGMENT_STATES - 1; i++)
        segments->by_state[i].name = segment_state_name(i + 1);
    for (unsigned i = 0; i < FAULTS; i++)
        segments->errors[i].name = faults[i].name;
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        segments->errors[FAULTS + i].name = smx_unsound_name(i);
    struct places *places;
    if (places_new(options->directories, options->n_directories, &places) < 0) {
        segments_free(segments);
        return -ENOMEM;
    }
    segments_set(segments, places, options->owner_bytes);
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
    once_fini(&segments->left_out);
    free(segments->directories);
    free(segments->list);
    free(segments);
}
