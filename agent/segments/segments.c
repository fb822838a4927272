/* SPDX-License-Identifier: MIT
 *
 * segments.c - the table of segments. Owns the readers. What directory.c finds is matched with the
 * table by path, device and inode; what follows from it is decided and logged here.
 *
 * The table is in the order of the names, and of those of one name in that of their directories: to
 * find one takes a few steps, and those that may shadow it are beside it.
 */
#include "agent/segments/segments.h"
#include "agent/once.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DEFAULT_OWNER_BYTES (UINT64_C(1) << 30)

/* Why a whole file is left out. */
enum fault {
    FAULT_LINK,
    FAULT_NOT_REGULAR,
    FAULT_OWNER,
    FAULT_MISNAMED,
    FAULT_PERMISSION,
    FAULT_REPLACED,
    FAULT_UNREADABLE,
    FAULT_VERSION,
    FAULT_NOT_A_SEGMENT,
    FAULT_HEADER,
    FAULT_TRUNCATED,
    FAULT_HOLES,
    FAULT_TOO_LARGE,
    FAULTS
};

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

/* Whole files, then records. */
enum { ERRORS = (int)FAULTS + (int)SMX_UNSOUND_COUNT };

/* What is left to be read of one user's segments in the update that runs. */
struct share {
    uid_t owner;
    uint64_t left;
};

struct segments {
    struct segments_options options;
    struct directory *directories;
    size_t n_directories;
    struct segment *list;
    size_t n, size;
    size_t n_ordered; /* behind these are those that the running scan has added */
    size_t n_left_out;
    struct once left_out; /* the paths of those that have been named */
    struct self_count by_state[SEGMENT_STATES - 1];
    struct self_count errors[ERRORS];
    struct directory *scanned; /* while directory_scan() runs */
    struct share shares[SEGMENTS_MAX];
    size_t n_shares;
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
static void settle(struct segments *segments, struct segment *segment, enum segment_state state,
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
}

static void fail(struct segments *segments, struct segment *segment, enum fault fault,
                 const char *why)
{
    close_reader(segments, segment);
    segments->errors[fault].n++;
    settle(segments, segment, faults[fault].state, why);
}

/* The same for what the reader says of it. */
static void fail_code(struct segments *segments, struct segment *segment, int code,
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
    fail(segments, segment, fault, diag->text[0] ? diag->text : smx_strerror(code));
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
        segment->device = entry->st->st_dev;
        segment->inode = entry->st->st_ino;
    }
    segment->owner = entry->st->st_uid;
    const char *refusal = directory_refuses(segments->scanned, entry->st);
    if (refusal)
        fail(segments, segment,
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

static void forget_unseen(struct segments *segments)
{
    size_t kept = 0;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        if (segment->seen || segment->directory->unsure) {
            segments->list[kept++] = *segment;
            continue;
        }
        LOG_INFO(segments->options.log, "segment is gone", "path", segment->path);
        close_reader(segments, segment);
        free(segment->path);
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
        qsort(segments->list, segments->n, sizeof segments->list[0], by_name);
    segments->n_ordered = segments->n;
}

static void open_reader(struct segments *segments, struct segment *segment)
{
    struct smx_diag diag = {0};
    int rc = smx_reader_open(segment->path, &segment->reader, &diag);
    if (rc == 0)
        return;
    segment->reader = NULL;
    fail_code(segments, segment, rc, &diag);
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
static void report_unsound(struct segments *segments, struct segment *segment,
                           const struct smx_segment_info *info)
{
    char n[24], reasons[256] = "";
    size_t length = 0;
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++) {
        segments->errors[FAULTS + i].n += info->unsound[i];
        if (info->unsound[i])
            length += (size_t)snprintf(reasons + length, sizeof reasons - length, "%s%s",
                                       length ? "," : "", smx_unsound_name(i));
    }
    if (info->errors == 0 || segment->reported_unsound)
        return;
    segment->reported_unsound = true;
    snprintf(n, sizeof n, "%" PRIu64, info->errors);
    LOG_WARN(segments->options.log, "segment has unsound records, which are left out", "path",
             segment->path, "records", n, "reasons", reasons, "do", "look at it with smx-dump");
}

static struct share *share_of(struct segments *segments, uid_t owner)
{
    size_t i = 0;
    while (i < segments->n_shares && segments->shares[i].owner != owner)
        i++;
    if (i == segments->n_shares)
        segments->shares[segments->n_shares++] =
            (struct share){.owner = owner, .left = segments->options.owner_bytes};
    return &segments->shares[i];
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
        fail(segments, segment, FAULT_REPLACED, "replaced while it was opened");
        return;
    }
    struct smx_diag diag = {0};
    struct share *share = share_of(segments, segment->owner);
    smx_reader_bound(segment->reader, share->left + 1); /* 0 is no bound */
    int rc = smx_reader_update(segment->reader, &diag);
    if (rc < 0) {
        fail_code(segments, segment, rc, &diag);
        return;
    }
    const struct smx_segment_info *info = smx_reader_info(segment->reader);
    share->left -= info->allocated_bytes < share->left ? info->allocated_bytes : share->left;
    if (!is_named_right(segment, info))
        fail(segments, segment, FAULT_MISNAMED, "its header names another application");
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

/* Whether another of its name is preferred: they lie beside it, from `step` on. */
static bool is_beaten(const struct segments *segments, size_t i, size_t step)
{
    const struct segment *segment = &segments->list[i];
    for (size_t k = i + step; k < segments->n; k += step) {
        const struct segment *other = &segments->list[k];
        if (strcmp(other->name, segment->name) != 0)
            return false;
        if (other->reader && rank(segments, other) < rank(segments, segment))
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
        /* (size_t)-1 steps to the left; past the first place it leads behind the last. */
        if (segment->reader && (is_beaten(segments, i, 1) || is_beaten(segments, i, (size_t)-1)))
            settle(segments, segment, SEGMENT_SHADOWED, "another file of this name is served");
        else if (segment->reader)
            settle(segments, segment, SEGMENT_SERVED, "");
        segments->by_state[segment->state - 1].n++;
    }
}

/* What fails here fails again in segments_update(), which says so. */
void segments_begin(struct segments *segments)
{
    for (size_t i = 0; i < segments->n; i++)
        if (segments->list[i].reader)
            (void)smx_reader_begin(segments->list[i].reader, NULL);
}

bool segments_step(struct segments *segments)
{
    enum { BYTES = 1 << 19 };
    for (size_t i = 0; i < segments->n; i++)
        if (segments->list[i].reader && smx_reader_step(segments->list[i].reader, BYTES, NULL) > 0)
            return true;
    return false;
}

void segments_update(struct segments *segments)
{
    segments_scan(segments);
    segments->n_shares = 0;
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
    if (!segments->options.owner_bytes)
        segments->options.owner_bytes = DEFAULT_OWNER_BYTES;
    if (options->most == 0 || options->most > SEGMENTS_MAX)
        segments->options.most = SEGMENTS_MAX;
    for (unsigned i = 0; i < SEGMENT_STATES - 1; i++)
        segments->by_state[i].name = segment_state_name(i + 1);
    for (unsigned i = 0; i < FAULTS; i++)
        segments->errors[i].name = faults[i].name;
    for (unsigned i = 0; i < SMX_UNSOUND_COUNT; i++)
        segments->errors[FAULTS + i].name = smx_unsound_name(i);
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
    once_fini(&segments->left_out);
    free(segments->directories);
    free(segments->list);
    free(segments);
}
