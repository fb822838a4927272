/* SPDX-License-Identifier: MIT
 *
 * reading.c - reads the segments of the table: all, or those of some applications, at once or in
 * pieces. What was found in them may end in another state; which of one name is served is decided
 * here.
 */
#include "agent/segments/table.h"

#include "agent/loop/loop.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void open_reader(struct segments *segments, struct segment *segment)
{
    struct smx_diag diag = {0};
    int rc = smx_reader_open(segment->path, &segment->reader, &diag);
    if (rc == 0)
        return;
    segment->reader = NULL;
    table_fail_code(segments, segment, rc, &diag);
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

static void take_share(struct share *share, const struct smx_segment_info *info)
{
    share->left -= info->allocated_bytes < share->left ? info->allocated_bytes : share->left;
}

/* Between directory_scan() and smx_reader_open() the path may have come to lead elsewhere; what was
 * opened must be what was examined, and is read no further if not. */
static bool is_what_was_found(const struct segment *segment)
{
    const struct smx_segment_info *info = smx_reader_info(segment->reader);
    return info->device == segment->device && info->inode == segment->inode;
}

/* Read on what has begun, or all of it. */
static void read_segment(struct segments *segments, struct segment *segment)
{
    if (!segment->reader && !segment->begun && segment->state != SEGMENT_REFUSED)
        open_reader(segments, segment);
    const struct smx_diag ahead = segment->ahead;
    table_forget_ahead(segment);
    if (!segment->reader)
        return;
    if (ahead.code) {
        table_fail_code(segments, segment, ahead.code, &ahead);
        return;
    }
    if (!is_what_was_found(segment)) {
        table_fail(segments, segment, FAULT_REPLACED, "replaced while it was opened");
        return;
    }
    struct smx_diag diag = {0};
    struct share *share = share_of(segments, segment->owner);
    smx_reader_bound(segment->reader, share->left + 1); /* 0 is no bound */
    int rc = smx_reader_update(segment->reader, &diag);
    if (rc < 0) {
        table_fail_code(segments, segment, rc, &diag);
        return;
    }
    const struct smx_segment_info *info = smx_reader_info(segment->reader);
    take_share(share, info);
    segment->read_ns = loop_now_ns();
    if (!is_named_right(segment, info))
        table_fail(segments, segment, FAULT_MISNAMED, "its header names another application");
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
        if (other->read_ns && rank(segments, other) < rank(segments, segment))
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
        if (segment->read_ns && (is_beaten(segments, i, 1) || is_beaten(segments, i, (size_t)-1)))
            table_settle(segments, segment, SEGMENT_SHADOWED,
                         "another file of this name is served");
        else if (segment->read_ns)
            table_settle(segments, segment, SEGMENT_SERVED, "");
        if (segment->state != SEGMENT_NEW)
            segments->by_state[segment->state - 1].n++;
    }
}

bool segments_wanted(const struct segment *segment, const struct segments_wish *wish)
{
    return !wish || (segment->read_ns < wish->since_ns && segment->found_ns <= wish->found_ns &&
                     wish->wants(wish->context, segment->app));
}

/* What is open of one user's, and what is being read, takes from his share. */
static void bound_ahead(struct segments *segments, const struct segment *segment)
{
    struct share share = {.left = segments->options.owner_bytes};
    for (size_t i = 0; i < segments->n; i++)
        if (segments->list[i].reader && segments->list[i].owner == segment->owner &&
            &segments->list[i] != segment)
            take_share(&share, smx_reader_info(segments->list[i].reader));
    smx_reader_bound(segment->reader, share.left + 1);
}

/* A reader that has shown nothing may go at any time, others when what they show is not needed. */
static void fail_ahead(struct segments *segments, struct segment *segment, int code,
                       const struct smx_diag *diag)
{
    if (!segment->read_ns) {
        table_fail_code(segments, segment, code, diag);
        return;
    }
    segment->ahead = *diag;
    segment->ahead.code = code;
}

/* Begin. False: there is nothing to go on with. */
static bool begin(struct segments *segments, struct segment *segment)
{
    struct smx_diag diag = {0};
    segment->begun = true;
    if (!segment->reader && segment->state != SEGMENT_REFUSED)
        open_reader(segments, segment);
    if (!segment->reader)
        return false;
    if (!segment->read_ns && !is_what_was_found(segment)) {
        table_fail(segments, segment, FAULT_REPLACED, "replaced while it was opened");
        return false;
    }
    bound_ahead(segments, segment);
    int rc = smx_reader_begin(segment->reader, &diag);
    if (rc < 0)
        fail_ahead(segments, segment, rc, &diag);
    return rc == 0;
}

/* Returns whether there was something to do. */
static bool step(struct segments *segments, struct segment *segment)
{
    enum { BYTES = 1 << 19 };
    struct smx_diag diag = {0};
    if (!segment->begun)
        return begin(segments, segment);
    int rc = segment->reader ? smx_reader_step(segment->reader, BYTES, &diag) : 0;
    if (rc < 0)
        fail_ahead(segments, segment, rc, &diag);
    return rc > 0;
}

bool segments_step(struct segments *segments, const struct segments_wish *wish)
{
    for (size_t i = 0; i < segments->n; i++)
        if (segments_wanted(&segments->list[i], wish) && step(segments, &segments->list[i]))
            return true;
    return false;
}

void segments_give_up(struct segments *segments)
{
    for (size_t i = 0; i < segments->n; i++)
        table_forget_ahead(&segments->list[i]);
}

void segments_read(struct segments *segments, const struct segments_wish *wish)
{
    segments->n_shares = 0;
    for (size_t i = 0; i < segments->n; i++) {
        struct segment *segment = &segments->list[i];
        if (segments_wanted(segment, wish))
            read_segment(segments, segment);
        else if (segment->reader)
            take_share(share_of(segments, segment->owner), smx_reader_info(segment->reader));
    }
    choose(segments);
}

void segments_update(struct segments *segments)
{
    segments_scan(segments);
    segments_read(segments, NULL);
}
