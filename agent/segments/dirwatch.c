/* SPDX-License-Identifier: MIT
 *
 * dirwatch.c - inotify(7) on the directories of segments. One descriptor; each directory has one
 * watch at a time, on itself or on the nearest parent that exists.
 */
#include "agent/segments/dirwatch.h"
#include "agent/segments/directory.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

/* The same mask everywhere: two directories may wait in one parent, and a watch has but one. */
#define EVENTS                                                                                     \
    (IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_ATTRIB | IN_DELETE_SELF |            \
     IN_MOVE_SELF | IN_ONLYDIR | IN_DONT_FOLLOW)

struct target {
    char *path;
    int descriptor;      /* of the watch; -1: none */
    const char *awaited; /* in path: the name that is missing in the parent; NULL: path exists */
    size_t awaited_length;
};

struct dirwatch {
    struct loop *loop;
    int fd;
    void (*changed)(void *context);
    void *context;
    size_t n;
    struct target *targets;
};

/* Watch the first `length` bytes of the path. */
static int watch_prefix(const struct dirwatch *watch, const char *path, size_t length)
{
    char prefix[PATH_MAX];
    if (length >= sizeof prefix)
        return -ENAMETOOLONG;
    memcpy(prefix, path, length);
    prefix[length] = 0;
    int descriptor = inotify_add_watch(watch->fd, length ? prefix : "/", EVENTS);
    return descriptor < 0 ? -errno : descriptor;
}

/* The length of the parent of path[0, length), without slashes at its end; 0 is the root. */
static size_t parent_length(const char *path, size_t length)
{
    while (length > 0 && path[length - 1] != '/')
        length--;
    while (length > 0 && path[length - 1] == '/')
        length--;
    return length;
}

static size_t trimmed_length(const char *path)
{
    size_t length = strlen(path);
    while (length > 0 && path[length - 1] == '/')
        length--;
    return length;
}

static int place(const struct dirwatch *watch, struct target *target)
{
    size_t length = trimmed_length(target->path), below = 0;
    int descriptor = watch_prefix(watch, target->path, length);
    while ((descriptor == -ENOENT || descriptor == -ENOTDIR) && length > 0) {
        below = length;
        length = parent_length(target->path, length);
        descriptor = watch_prefix(watch, target->path, length);
    }
    target->awaited = NULL;
    if (below > 0) {
        target->awaited = target->path + length + strspn(target->path + length, "/");
        target->awaited_length = (size_t)(target->path + below - target->awaited);
    }
    return descriptor;
}

static bool is_in_use(const struct dirwatch *watch, int descriptor)
{
    for (size_t i = 0; i < watch->n; i++)
        if (watch->targets[i].descriptor == descriptor)
            return true;
    return false;
}

/* Whether what a parent lacked when its watch was placed has come meanwhile. */
static bool has_come(const struct target *target)
{
    char path[PATH_MAX];
    struct stat st;
    if (!target->awaited)
        return false;
    size_t length = (size_t)(target->awaited + target->awaited_length - target->path);
    memcpy(path, target->path, length);
    path[length] = 0;
    return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static int arm_target(struct dirwatch *watch, struct target *target)
{
    int descriptor = -EAGAIN, before = target->descriptor;
    /* A directory made between the two looks is seen by the second; who makes and removes it all
     * the time gets no more than these tries, and the next event. */
    for (int tries = 0; tries < 8; tries++) {
        descriptor = place(watch, target);
        if (descriptor < 0 || !has_come(target))
            break;
    }
    target->descriptor = descriptor < 0 ? -1 : descriptor;
    if (before >= 0 && before != target->descriptor && !is_in_use(watch, before))
        inotify_rm_watch(watch->fd, before);
    return descriptor < 0 ? descriptor : 0;
}

int dirwatch_arm(struct dirwatch *watch)
{
    int rc = 0;
    for (size_t i = 0; i < watch->n; i++) {
        int one = arm_target(watch, &watch->targets[i]);
        rc = one < 0 ? one : rc;
    }
    return rc;
}

/* Parents such as /dev/shm are busy with other people's files: only the awaited name counts. */
static bool concerns(const struct target *target, const struct inotify_event *event)
{
    if (event->mask & IN_Q_OVERFLOW)
        return true;
    if (event->wd != target->descriptor)
        return false;
    if (event->len == 0)
        return true;
    if (!target->awaited)
        return directory_names_segment(event->name);
    return strlen(event->name) == target->awaited_length &&
           memcmp(event->name, target->awaited, target->awaited_length) == 0;
}

static bool any_concerns(const struct dirwatch *watch, const struct inotify_event *event)
{
    for (size_t i = 0; i < watch->n; i++)
        if (concerns(&watch->targets[i], event))
            return true;
    return false;
}

static void read_events(void *context)
{
    struct dirwatch *watch = context;
    _Alignas(struct inotify_event) char events[4096];
    bool changed = false;
    ssize_t n = read(watch->fd, events, sizeof events);
    for (ssize_t at = 0; at < n;) {
        const struct inotify_event *event = (const struct inotify_event *)(events + at);
        changed = changed || any_concerns(watch, event);
        at += (ssize_t)(sizeof *event + event->len);
    }
    if (changed)
        watch->changed(watch->context);
}

static void drop_targets(struct target *targets, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(targets[i].path);
    free(targets);
}

int dirwatch_set(struct dirwatch *watch, const char *const paths[], size_t n)
{
    struct target *targets = calloc(n + 1, sizeof *targets);
    bool failed = !targets;
    for (size_t i = 0; !failed && i < n; i++) {
        targets[i] = (struct target){.path = strdup(paths[i]), .descriptor = -1};
        failed = !targets[i].path;
    }
    if (failed) {
        drop_targets(targets, targets ? n : 0);
        return -ENOMEM;
    }
    for (size_t i = 0; i < watch->n; i++)
        if (watch->targets[i].descriptor >= 0)
            inotify_rm_watch(watch->fd, watch->targets[i].descriptor);
    drop_targets(watch->targets, watch->n);
    watch->targets = targets;
    watch->n = n;
    return 0;
}

int dirwatch_new(struct loop *loop, const char *const paths[], size_t n,
                 void (*changed)(void *context), void *context, struct dirwatch **out)
{
    struct dirwatch *watch = calloc(1, sizeof *watch);
    if (!watch)
        return -ENOMEM;
    *watch = (struct dirwatch){.loop = loop, .changed = changed, .context = context};
    int rc = dirwatch_set(watch, paths, n);
    watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (rc == 0 && watch->fd < 0)
        rc = -errno;
    if (rc == 0)
        rc = loop_watch(loop, watch->fd, read_events, watch);
    if (rc < 0) {
        dirwatch_free(watch);
        return rc;
    }
    *out = watch;
    return 0;
}

void dirwatch_free(struct dirwatch *watch)
{
    if (!watch)
        return;
    loop_unwatch(watch->loop, watch->fd);
    if (watch->fd >= 0)
        close(watch->fd);
    drop_targets(watch->targets, watch->n);
    free(watch);
}
