/* SPDX-License-Identifier: MIT
 *
 * file.c - makes, publishes, checks and maps a segment's file. A file gets its name last, when it
 * is complete (invariant 8): until then it has none, and dies with its maker; where /proc is
 * missing it has a private name, which the next maker sweeps away.
 */
#include "libshm/segment/file.h"

#include "libshm/crash.h"
#include "libshm/diag.h"
#include "libshm/header.h"
#include "libshm/segment/clock.h"
#include "libshm/segment/slot.h"
#include "libshm/segment/space.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* An empty file with a private name that is older than this is the leftover of a killed process. */
enum { STALE_SECONDS = 60 };

void smx__boot_id(uint8_t id[16])
{
    char text[64];
    memset(id, 0, 16);
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return;
    ssize_t n = read(fd, text, sizeof text);
    close(fd);
    int digits = 0;
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        char c = text[i];
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (value < 0)
            continue;
        id[digits / 2] = (uint8_t)(id[digits / 2] << 4 | value);
        digits++;
    }
}

/* The size of what every segment starts with, and where its parts lie. */
static uint64_t lay_out(const struct smx__shape *shape, uint64_t *slots_at, uint64_t *buckets_at)
{
    *slots_at = SMX__PAGE;
    *buckets_at = *slots_at + (uint64_t)shape->slots * sizeof(struct smx__slot);
    uint64_t end = *buckets_at + (uint64_t)shape->n_buckets * sizeof(uint32_t);
    return (end + SMX__PAGE - 1) & ~(uint64_t)(SMX__PAGE - 1);
}

/* The bytes are zero: the file is new. */
static void fill_header(struct smx__header *h, const struct smx__shape *shape, uint64_t reserved)
{
    h->byte_order = SMX__BYTE_ORDER; /* NOLINT: not null, a failed mmap() sets errno */
    h->major = SMX__MAJOR;
    h->minor = SMX__MINOR;
    h->header_size = sizeof(struct smx__header);
    h->record_size = sizeof(struct smx__record);
    h->family_size = sizeof(struct smx__family);
    h->series_size = sizeof(struct smx__series);
    h->hist_size = sizeof(struct smx_hist);
    h->slot_size = sizeof(struct smx__slot);
    h->kind = shape->kind;
    h->rows = shape->rows;
    h->counter_stripes = shape->counter_stripes;
    h->hist_stripes = shape->hist_stripes;
    h->slots = shape->slots;
    h->capacity = shape->capacity;
    h->max_bytes = shape->max_bytes;
    h->hash_seed = shape->seed;
    h->created_ns = smx__clock_ns(CLOCK_REALTIME);
    smx__boot_id(h->boot_id);
    h->n_buckets = shape->n_buckets;
    h->max_series = shape->max_series;
    h->allocated = lay_out(shape, &h->slots_at, &h->buckets_at);
    h->reserved_to = reserved;
    memcpy(h->app, shape->app, strlen(shape->app));
    memcpy(h->instance, shape->instance, strlen(shape->instance));
    h->labels_len = shape->labels_len;
    memcpy(h->labels, shape->labels, shape->labels_len);
    SMX__CRASH_POINT("make.header");
    h->magic = SMX__MAGIC;
}

/* Whether the maker of a private name is gone. It holds a lock from the moment it has the file, or
 * nearly: which is why an empty one may be just that, and is left alone for a while. */
static bool is_stale(int directory, const char *private_name)
{
    struct stat st;
    int fd = openat(directory, private_name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    bool stale = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
                 (st.st_size || st.st_mtime + STALE_SECONDS < time(NULL)) &&
                 !smx__lock_is_held(fd, SMX__LOCK_OPEN) && !smx__segment_is_held(fd);
    smx__fd_drop(fd);
    return stale;
}

/* Remove private names that killed processes left. */
static void sweep(int directory, const char *name)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return;
    }
    size_t length = strlen(name);
    for (struct dirent *entry; (entry = readdir(dir));)
        if (entry->d_name[0] == '.' && strncmp(entry->d_name + 1, name, length) == 0 &&
            entry->d_name[1 + length] == '~' && is_stale(directory, entry->d_name))
            (void)unlinkat(directory, entry->d_name, 0);
    closedir(dir);
    SMX__CRASH_POINT("sweep.done");
}

static void private_name(const char *name, uint64_t seed, char out[NAME_MAX + 1])
{
    (void)snprintf(out, NAME_MAX + 1, ".%s~%d.%llx", name, (int)getpid(), (unsigned long long)seed);
}

static int create(int directory, const char *name, uint64_t seed, struct smx__file *out)
{
    out->private_name[0] = '\0';
    int fd = -1;
    if (access("/proc/self/fd", X_OK) == 0)
        fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
    if (fd >= 0)
        return fd;
    sweep(directory, name);
    private_name(name, seed, out->private_name);
    fd = openat(directory, out->private_name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                0640);
    if (fd < 0) {
        int error = -errno;
        out->private_name[0] = '\0';
        return error;
    }
    /* Until our slot is locked: or else another maker would sweep it away. */
    (void)smx__lock_byte(fd, SMX__LOCK_OPEN, F_WRLCK);
    return fd;
}

int smx__file_map(int fd, uint64_t length, struct smx__file *out)
{
    /* In a host that called mlockall(MCL_FUTURE) the kernel would fill the whole mapping, holes and
     * all, at once: so it is made without access, unlocked, and only then opened. */
    void *at = mmap(NULL, length, PROT_NONE, MAP_SHARED, fd, 0);
    if (at == MAP_FAILED)
        return errno == EAGAIN ? -ENOMEM : -errno; /* RLIMIT_MEMLOCK; waiting does not help */
    (void)munlock(at, length);
    if (mprotect(at, length, PROT_READ | PROT_WRITE) != 0) {
        int error = -errno;
        munmap(at, length);
        return error;
    }
    out->fd = fd;
    out->header = at;
    out->length = length;
    return 0;
}

int smx__file_make(int directory, const char *name, const struct smx__shape *shape,
                   struct smx__file *out, struct smx_diag *diag)
{
    struct smx__file file = {.fd = -1};
    uint64_t slots_at;
    uint64_t buckets_at;
    uint64_t reserved =
        shape->reserve_now ? shape->max_bytes : lay_out(shape, &slots_at, &buckets_at);
    int fd = create(directory, name, shape->seed, &file);
    if (fd < 0)
        return smx__fail(diag, fd, "%s: cannot be created: %s", name, smx_strerror(fd));
    SMX__CRASH_POINT("make.created");
    /* The mode is ours to say, not the umask's: the agent reads as group. */
    int error = fchmod(fd, 0640) == 0 && ftruncate(fd, (off_t)shape->capacity) == 0 ? 0 : -errno;
    SMX__CRASH_POINT("make.sized");
    if (!error)
        error = smx__reserve(fd, 0, reserved);
    SMX__CRASH_POINT("make.reserved");
    if (!error)
        error = smx__file_map(fd, shape->capacity, &file);
    if (error) {
        file.fd = fd;
        smx__file_discard(directory, &file);
        return smx__fail(diag, error, "%s: %llu bytes cannot be had: %s", name,
                         (unsigned long long)reserved, smx_strerror(error));
    }
    SMX__CRASH_POINT("make.mapped");
    fill_header(file.header, shape, reserved);
    SMX__CRASH_POINT("make.filled");
    *out = file;
    return 0;
}

void smx__file_discard(int directory, struct smx__file *file)
{
    if (file->header)
        munmap(file->header, file->length);
    if (file->fd >= 0)
        close(file->fd);
    if (file->private_name[0])
        (void)unlinkat(directory, file->private_name, 0);
}

int smx__file_publish(int directory, const char *name, bool replace, struct smx__file *file)
{
    char source[64];
    (void)snprintf(source, sizeof source, "/proc/self/fd/%d", file->fd);
    if (file->private_name[0])
        (void)smx__lock_byte(file->fd, SMX__LOCK_OPEN, F_UNLCK);
    if (!replace) {
        int failed = file->private_name[0]
                         ? linkat(directory, file->private_name, directory, name, 0)
                         : linkat(AT_FDCWD, source, directory, name, AT_SYMLINK_FOLLOW);
        if (failed)
            return -errno;
        SMX__CRASH_POINT("publish.linked");
        if (file->private_name[0])
            (void)unlinkat(directory, file->private_name, 0);
        SMX__CRASH_POINT("publish.alone");
        file->private_name[0] = '\0';
        return 0;
    }
    /* A nameless file cannot be renamed over another: it takes a private name on the way. */
    if (!file->private_name[0]) {
        sweep(directory, name);
        private_name(name, file->header->hash_seed, file->private_name);
        if (linkat(AT_FDCWD, source, directory, file->private_name, AT_SYMLINK_FOLLOW) != 0) {
            int error = -errno;
            file->private_name[0] = '\0';
            return error;
        }
    }
    SMX__CRASH_POINT("publish.named");
    if (renameat(directory, file->private_name, directory, name) != 0)
        return -errno;
    SMX__CRASH_POINT("publish.renamed");
    file->private_name[0] = '\0';
    return 0;
}

/* What a writer needs beyond a sound header: the whole file, and tables where it may write. */
static bool fits(const struct smx__header *h, uint64_t file_size)
{
    return h->byte_order == SMX__BYTE_ORDER && h->capacity == file_size &&
           h->allocated <= h->max_bytes && (h->slots_at & 63) == 0 && h->n_buckets <= 1u << 24;
}

int smx__file_check(int fd, const char *path, struct smx__header *out, struct smx_diag *diag)
{
    struct stat st;
    struct smx__header h;
    if (fstat(fd, &st) != 0 || pread(fd, &h, sizeof h, 0) != (ssize_t)sizeof h ||
        h.magic != SMX__MAGIC)
        return smx__fail(diag, -EPROTO, "%s: not an smx segment; remove it if nobody needs it",
                         path);
    if (smx__header_is_foreign(&h))
        return smx__fail(diag, -EPROTONOSUPPORT,
                         "%s: format %u.%u, this library writes %d.%d; remove it when no program "
                         "uses it any more",
                         path, h.major, h.minor, SMX__MAJOR, SMX__MINOR);
    const char *rule = smx__header_broken_rule(&h);
    if (!rule && !fits(&h, (uint64_t)st.st_size))
        rule = "its sizes are not those of the file";
    if (rule)
        return smx__fail(diag, -EPROTO, "%s: the header is damaged: %s; remove the file", path,
                         rule);
    *out = h;
    return 0;
}
