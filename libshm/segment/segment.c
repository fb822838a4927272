/* SPDX-License-Identifier: MIT
 *
 * segment.c - opens segments: attach, create or replace, so that of any number of processes that
 * start together exactly one creates and all agree. Runs in the host's start-up, serialised within
 * the process. It knows files by their directory entry and inode; bytes are file.c's.
 *
 * The rules that make it safe: a file is published with its maker's hold and slot already locked,
 * so it is never seen without a live process; whoever opens an existing file holds the record lock
 * SMX__LOCK_OPEN on it from before it judges whether anybody lives until its own slot is locked;
 * and after getting that lock it looks again whether the entry still names this file. A slot is one
 * process' and goes with it; the hold is all processes' that share a mapping, so that the segment
 * stays between a parent's end and its child's claim, and for those who have no slot.
 */
#include "libshm/crash.h"
#include "libshm/diag.h"
#include "libshm/segment/clock.h"
#include "libshm/segment/directory.h"
#include "libshm/segment/file.h"
#include "libshm/names.h"
#include "libshm/segment/rseq.h"
#include "libshm/segment/slot.h"
#include "libshm/segment/space.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* What one smx_open() works on. */
struct opening {
    const struct smx_options *options;
    struct smx_diag *diag;
    int directory;
    const char *directory_path;
    char name[NAME_MAX + 1];
    char path[PATH_MAX];
    struct smx__shape shape;
};

static void set_role(struct smx_segment *segment, const char *role)
{
    char padded[sizeof segment->role] = {0};
    size_t length = role ? strnlen(role, sizeof padded - 1) : 0;
    if (length && smx__is_utf8(role, length))
        memcpy(padded, role, length);
    memcpy(segment->role, padded, sizeof padded);
}

/* How many records a chain can have that is none too many: 64 times as many as all that fit into
 * the budget give on average. A longer one is a circle. */
static uint32_t chain_limit(const struct smx__header *h)
{
    uint64_t most = h->max_bytes / sizeof(struct smx__series) / h->n_buckets;
    return most < 1u << 20 ? 1024 + 64 * (uint32_t)most : UINT32_MAX;
}

/* Enter a mapped file into the process' table and claim a slot in it. `checked` is a copy of the
 * header that nobody else can write to. */
static int adopt(const struct opening *o, const struct smx__file *file,
                 const struct smx__header *checked, struct smx_segment **out)
{
    struct stat st;
    struct smx_segment *segment = smx__process_next();
    if (!segment)
        return smx__fail(o->diag, -EMFILE, "%s: this process has %d segments open, the limit",
                         o->path, SMX__MAX_SEGMENTS);
    if (fstat(file->fd, &st) != 0)
        return smx__fail(o->diag, -errno, "%s: %s", o->path, smx_strerror(errno));
    segment->header = file->header;
    segment->length = file->length;
    segment->buckets = (uint32_t *)((char *)file->header + checked->buckets_at);
    segment->bucket_mask = checked->n_buckets - 1;
    segment->chain_limit = chain_limit(checked);
    segment->counter_mask = checked->counter_stripes - 1u;
    segment->hist_mask = (uint16_t)(checked->hist_stripes - 1u);
    segment->rows = checked->rows;
    segment->seed = checked->hash_seed;
    segment->max_bytes = checked->max_bytes;
    segment->slot_table = (struct smx__slot *)(void *)((char *)file->header + checked->slots_at);
    segment->slots = checked->slots;
    smx__reserve_note(segment, checked->reserved_to);
    /* Not without rseq: the process may be run by valgrind, which takes reading behind a string's
     * end for an error of the host's. */
    segment->by_words = smx__rseq_works();
    segment->fd = file->fd;
    segment->device = st.st_dev;
    segment->inode = st.st_ino;
    memcpy(segment->path, o->path, sizeof segment->path);
    if (o->options->name_prefix)
        memcpy(segment->prefix, o->options->name_prefix, strlen(o->options->name_prefix) + 1);
    set_role(segment, o->options->role);
    SMX__CRASH_POINT("adopt.entered");
    smx__segment_hold(segment->fd, o->shape.seed);
    SMX__CRASH_POINT("adopt.held");
    smx__slot_claim(segment);
    SMX__CRASH_POINT("adopt.claimed");
    *out = segment;
    return 0;
}

/* Whether the directory entry is this segment's file. */
static bool is_entry(const struct opening *o, const struct smx_segment *segment)
{
    struct stat st;
    return fstatat(o->directory, o->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           /* Not null: smx__fail() returns the error that it is given. */
           /* NOLINTNEXTLINE(clang-analyzer-core.NullDereference) */
           st.st_ino == segment->inode && st.st_dev == segment->device;
}

/* Make a new file, and publish it. -EAGAIN: somebody else was faster. */
static int create(const struct opening *o, bool replace, struct smx_segment **out)
{
    struct smx__file file;
    struct smx_segment *segment = NULL;
    int error = smx__file_make(o->directory, o->name, &o->shape, &file, o->diag);
    if (error)
        return error;
    const struct smx__header made = *file.header; /* it has no name yet: nobody else has it */
    error = adopt(o, &file, &made, &segment);
    if (!error) {
        error = smx__file_publish(o->directory, o->name, replace, &file);
        /* Where a reader's lock kept us from the opener's lock, another may have replaced it. */
        if (!error && !is_entry(o, segment))
            error = -EEXIST;
        if (error && error != -EEXIST)
            (void)smx__fail(o->diag, error, "%s: cannot be published: %s", o->path,
                            smx_strerror(error));
    }
    if (error) {
        if (segment)
            segment->proc->word = 0;
        smx__file_discard(o->directory, &file);
        return error == -EEXIST ? -EAGAIN : error;
    }
    SMX__CRASH_POINT("create.published");
    smx__process_commit();
    SMX__CRASH_POINT("create.done");
    *out = segment;
    return 0;
}

static int check_entry(const struct opening *o, const struct stat *st)
{
    if (!S_ISREG(st->st_mode))
        return smx__fail(o->diag, -EPROTO, "%s: in the way, and not a regular file; remove it",
                         o->path);
    bool allowed = st->st_uid == geteuid() || st->st_uid == 0 ||
                   (geteuid() == 0 && (o->options->flags & SMX_ALLOW_FOREIGN) != 0);
    if (!allowed)
        return smx__fail(o->diag, -EPERM,
                         "%s: belongs to user %u, we are %u; give each its own instance name or "
                         "directory",
                         o->path, (unsigned)st->st_uid, (unsigned)geteuid());
    return 0;
}

static bool same_boot(const struct smx__header *h)
{
    static const uint8_t unknown[16];
    uint8_t id[16];
    smx__boot_id(id);
    return memcmp(id, h->boot_id, sizeof id) == 0 || memcmp(id, unknown, sizeof id) == 0 ||
           memcmp(h->boot_id, unknown, sizeof id) == 0;
}

static int cannot_reserve(const struct opening *o, int error, uint64_t bytes)
{
    return smx__fail(o->diag, error, "%s: %llu bytes cannot be reserved: %s", o->path,
                     (unsigned long long)bytes, smx_strerror(error));
}

/* So many bytes of the file are there, as the kernel says. A fallocate(2) over them does nothing,
 * and takes three times as long: 0.5 ms for 100,000 series. A file system that knows nothing of
 * holes says the end of the file. */
static uint64_t present(int fd, uint64_t capacity)
{
    off_t hole = lseek(fd, 0, SEEK_HOLE);
    return hole > 0 && (uint64_t)hole < capacity ? (uint64_t)hole : 0;
}

/* Have reserved what the header says is, or with SMX_RESERVE_NOW all; then we know that it is. */
static int reserve_known(const struct opening *o, int fd, struct smx__header *h)
{
    bool all = (o->options->flags & SMX_RESERVE_NOW) != 0 || h->reserved_to > h->max_bytes;
    if (all)
        h->reserved_to = h->max_bytes;
    else if (h->reserved_to < h->allocated)
        h->reserved_to = h->allocated;
    uint64_t have = present(fd, h->capacity);
    int error = have < h->reserved_to ? smx__reserve(fd, have, h->reserved_to - have) : 0;
    return error ? cannot_reserve(o, error, h->reserved_to) : 0;
}

static int attach(const struct opening *o, int fd, struct smx__header *h, struct smx_segment **out)
{
    struct smx__file file;
    int error = smx__file_map(fd, h->capacity, &file);
    if (error)
        return smx__fail(o->diag, error, "%s: %llu bytes of address space: %s", o->path,
                         (unsigned long long)h->capacity, smx_strerror(error));
    SMX__CRASH_POINT("attach.mapped");
    error = reserve_known(o, fd, h);
    if (!error)
        error = adopt(o, &file, h, out);
    if (error) {
        munmap(file.header, file.length);
        return error;
    }
    smx__process_commit();
    SMX__CRASH_POINT("attach.done");
    return 0;
}

/* A hard link, or a file that was moved, may be another application's segment. */
static int check_names(const struct opening *o, const struct smx__header *h)
{
    if (strncmp(h->app, o->shape.app, sizeof h->app) == 0 &&
        strncmp(h->instance, o->shape.instance, sizeof h->instance) == 0)
        return 0;
    return smx__fail(o->diag, -EPROTO,
                     "%s: in the way, and the segment of another application, \"%.63s%s%.63s\"; "
                     "remove it",
                     o->path, h->app, h->instance[0] ? "@" : "", h->instance);
}

/* With SMX__LOCK_OPEN held on the file that the entry names: attach, or replace what nobody holds.
 * *keep: the descriptor has become the segment's. */
static int judge(const struct opening *o, int fd, bool *keep, struct smx_segment **out)
{
    struct smx__header h;
    int error = smx__file_check(fd, o->path, &h, o->diag);
    if (!error)
        error = check_names(o, &h);
    if (error)
        return error;
    bool live = smx__segment_is_held(fd);
    bool go_on = (o->options->flags & SMX_CONTINUE) != 0;
    /* A lock that is held proves the same boot, whatever the ids say: a container manager may give
     * each container an id of its own. */
    if (!live && !(go_on && same_boot(&h)))
        return create(o, true, out);
    error = attach(o, fd, &h, out);
    *keep = error == 0;
    return error;
}

/* Take the opener's lock on an existing file and decide. -EAGAIN: try again. */
static int enter(const struct opening *o, int fd, bool *keep, struct smx_segment **out)
{
    struct stat now;
    struct stat opened;
    int error = smx__lock_byte(fd, SMX__LOCK_OPEN, F_WRLCK);
    /* A read lock, which any reader of the file may have placed, must not keep us out. */
    if (error == -EAGAIN && !smx__lock_is_held(fd, SMX__LOCK_OPEN))
        error = 0;
    if (error)
        return error == -EAGAIN ? error
                                : smx__fail(o->diag, error, "%s: record locks do not work here: %s",
                                            o->path, smx_strerror(error));
    SMX__CRASH_POINT("open.locked");
    bool same = fstat(fd, &opened) == 0 &&
                fstatat(o->directory, o->name, &now, AT_SYMLINK_NOFOLLOW) == 0 &&
                now.st_ino == opened.st_ino && now.st_dev == opened.st_dev;
    error = same ? judge(o, fd, keep, out) : -EAGAIN;
    (void)smx__lock_byte(fd, SMX__LOCK_OPEN, F_UNLCK);
    SMX__CRASH_POINT("open.unlocked");
    return error;
}

static int reuse(const struct opening *o, struct smx_segment *segment, struct smx_segment **out)
{
    int error = (o->options->flags & SMX_RESERVE_NOW) != 0 ? smx__reserve_all(segment) : 0;
    if (error)
        return cannot_reserve(o, error, segment->max_bytes);
    __atomic_store_n(&segment->closed, 0, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("open.again");
    smx__slot_claim(segment);
    *out = segment;
    return 0;
}

/* One try. -EAGAIN: others are at it, or the entry changed meanwhile. */
static int try_open(const struct opening *o, struct smx_segment **out)
{
    struct stat st;
    if (fstatat(o->directory, o->name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? create(o, false, out)
                               : smx__fail(o->diag, -errno, "%s: %s", o->path, smx_strerror(errno));
    int error = check_entry(o, &st);
    if (error)
        return error;
    /* Before any open(): closing a second descriptor would drop this process' locks. */
    struct smx_segment *known = smx__process_find(st.st_dev, st.st_ino);
    if (known)
        return reuse(o, known, out);
    int fd = openat(o->directory, o->name, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? -EAGAIN
                               : smx__fail(o->diag, -errno, "%s: %s", o->path, smx_strerror(errno));
    bool keep = false;
    error = fstat(fd, &st) == 0 ? check_entry(o, &st) : -errno;
    if (!error)
        error = enter(o, fd, &keep, out);
    if (!keep)
        smx__fd_drop(fd);
    return error;
}

static int open_in(struct opening *o, struct smx_segment **out)
{
    int length = snprintf(o->path, sizeof o->path, "%s/%s", o->directory_path, o->name);
    if (length < 0 || (size_t)length >= sizeof o->path)
        return smx__fail(o->diag, -ENAMETOOLONG, "the path of %s is too long", o->name);
    bool allow_disk = (o->options->flags & SMX_ALLOW_DISK) != 0;
    o->directory = smx__directory_open(o->directory_path, allow_disk, o->diag);
    if (o->directory < 0)
        return o->directory;
    int error = -EAGAIN;
    for (int tries = 0; error == -EAGAIN && tries < 500; tries++) {
        if (tries)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        error = try_open(o, out);
    }
    if (error == -EAGAIN)
        error = smx__fail(o->diag, -EBUSY, "%s: others were opening it for half a second", o->path);
    close(o->directory);
    return error;
}

static int check_options(const struct smx_options *options, struct smx_diag *diag)
{
    const char *prefix = options->name_prefix;
    if (prefix && *prefix &&
        (strlen(prefix) >= sizeof((struct smx_segment *)0)->prefix ||
         !smx__is_metric_name(prefix, strlen(prefix))))
        return smx__fail(diag, -EINVAL, "name_prefix \"%.64s\": 1 to 63 bytes of UTF-8 are allowed",
                         prefix);
    return 0;
}

/* Try the directories in order; the error of the last one is the answer. */
static int open_any(struct opening *o, struct smx_segment **out)
{
    struct smx__directories directories;
    int error = check_options(o->options, o->diag);
    if (!error)
        error = smx__file_name(o->options->app, o->options->instance, o->name, o->diag);
    if (!error)
        error = smx__directories(o->options->directory, &directories, o->diag);
    if (error)
        return error;
    error = smx__process_init();
    if (error)
        return smx__fail(o->diag, error, "no memory for the table of segments");
    error = smx__shape(o->options, &o->shape, o->diag);
    if (error)
        return error;
    for (unsigned i = 0; i < directories.n; i++) {
        o->directory_path = directories.path[i];
        error = open_in(o, out);
        /* Only a directory that cannot be used sends us to the next one. */
        if (error != -ENOENT && error != -EACCES && error != -EROFS && error != -ENOTDIR)
            break;
    }
    return error;
}

int smx_open(const struct smx_options *options, smx_segment **out, struct smx_diag *diag)
{
    int saved = errno;
    struct smx_segment *segment = NULL;
    /* Of its own: that the first of two directories was no good is nobody's error. */
    struct smx_diag why = {0, ""};
    struct opening o = {.options = options, .diag = &why};
    int error = -EINVAL;
    if (!options)
        (void)smx__fail(&why, error, "no options: the application's name is needed");
    else if (!smx__process_lock())
        error = smx__fail(&why, -EBUSY, "other threads were opening segments for half a second");
    else {
        error = open_any(&o, &segment);
        smx__process_unlock();
    }
    if (error && diag)
        *diag = why;
    *out = error ? NULL : segment;
    errno = saved;
    return error;
}

void smx_close(smx_segment *segment)
{
    int saved = errno;
    if (segment)
        smx__slot_release(segment);
    errno = saved;
}

const char *smx_path(const smx_segment *segment)
{
    return segment ? segment->path : "";
}

void smx_set_role(smx_segment *segment, const char *role)
{
    if (!segment)
        return;
    set_role(segment, role);
    smx__slot_set_role(segment);
}

void smx_heartbeat(smx_segment *segment)
{
    if (!segment)
        return;
    int saved = errno;
    smx__slot_keep(segment);
    errno = saved;
    struct smx__slot *slot = smx__slot_own(segment);
    if (!slot)
        return;
    __atomic_store_n(&slot->heartbeat, smx__clock_ns(CLOCK_REALTIME), __ATOMIC_RELAXED);
    SMX__CRASH_POINT("heartbeat.written");
}

int smx_worker(smx_segment *segment)
{
    uint64_t word = segment ? __atomic_load_n(&segment->proc->word, __ATOMIC_RELAXED) : 0;
    return (int)(uint32_t)word - 1;
}
