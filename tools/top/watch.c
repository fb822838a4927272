/* SPDX-License-Identifier: MIT
 *
 * watch.c - one segment observed over time. Two readers of one file take turns, so that the last
 * snapshot stays whole while the next is taken and nothing needs to be copied.
 */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

static uint64_t monotonic_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void forget(struct watch *watch)
{
    smx_reader_close(watch->now);
    smx_reader_close(watch->before);
    free(watch->past);
    watch->now = watch->before = NULL;
    watch->past = NULL;
    watch->n_past = 0;
}

/* Whether the path still names the file that the readers hold. A path that names nothing counts as
 * the same: the processes of a file that was unlinked may live on. */
static bool is_replaced(const struct watch *watch)
{
    struct stat file;
    if (!watch->now || stat(watch->path, &file) != 0)
        return false;
    const struct smx_segment_info *info = smx_reader_info(watch->now);
    return file.st_ino != info->inode || file.st_dev != info->device;
}

static int compare_ids(const void *a, const void *b)
{
    uint64_t x = ((const struct watch_past *)a)->id;
    uint64_t y = ((const struct watch_past *)b)->id;
    return (x > y) - (x < y);
}

/* The families and series of a reader move with its updates, so the index is made each time. */
static int index_past(struct watch *watch)
{
    free(watch->past);
    watch->n_past = 0;
    const struct smx_segment_info *info = smx_reader_info(watch->before);
    watch->past = calloc(info->n_series + 1, sizeof *watch->past);
    if (!watch->past)
        return -ENOMEM;
    for (size_t i = 0; i < info->n_families; i++) {
        const struct smx_family_info *family = smx_reader_family(watch->before, i);
        for (size_t k = 0; k < family->n_series && watch->n_past < info->n_series; k++)
            watch->past[watch->n_past++] =
                (struct watch_past){family->series[k].id, &family->series[k], family};
    }
    qsort(watch->past, watch->n_past, sizeof *watch->past, compare_ids);
    return 0;
}

static int take_snapshot(struct watch *watch, smx_reader **reader)
{
    int result = 0;
    if (!*reader)
        result = smx_reader_open(watch->path, reader, &watch->diag);
    return result ? result : smx_reader_update(*reader, &watch->diag);
}

void watch_update(struct watch *watch)
{
    if (is_replaced(watch))
        forget(watch);
    smx_reader *oldest = watch->before;
    watch->error = take_snapshot(watch, &oldest);
    if (watch->error == 0 && watch->now &&
        smx_reader_info(oldest)->inode != smx_reader_info(watch->now)->inode) {
        /* Replaced between the look and the open: what is here belongs to the new file. */
        smx_reader_close(watch->now);
        watch->now = NULL;
    }
    if (watch->error) {
        smx_reader_close(oldest);
        watch->before = NULL;
        forget(watch);
        return;
    }
    watch->before = watch->now;
    watch->before_ns = watch->now_ns;
    watch->now = oldest;
    watch->now_ns = monotonic_ns();
    if (watch->before)
        watch->error = index_past(watch);
}

const struct smx_series_info *watch_before(const struct watch *watch,
                                           const struct smx_family_info *family,
                                           const struct smx_series_info *series)
{
    struct watch_past key = {.id = series->id};
    const struct watch_past *past =
        watch->n_past ? bsearch(&key, watch->past, watch->n_past, sizeof key, compare_ids) : NULL;
    if (!past || past->family->type != family->type || past->family->n_buckets != family->n_buckets)
        return NULL;
    return past->series;
}

double watch_interval(const struct watch *watch)
{
    if (!watch->now || !watch->before)
        return 0;
    return (double)(watch->now_ns - watch->before_ns) / 1e9;
}

void watch_fini(struct watch *watch)
{
    forget(watch);
}
