/* SPDX-License-Identifier: MIT
 *
 * segments.h - the segments that there are: finds the files, opens a reader for each, notices what
 * came, went, was replaced or is damaged, and decides which of two with one name is served.
 *
 * A segment is served for as long as its file is there, also when no process holds it any more:
 * its totals stand. What is wrong with one is its state, logged once for each inode and reason; the
 * rest is served.
 */
#ifndef SMX_AGENT_SEGMENTS_H
#define SMX_AGENT_SEGMENTS_H

#include "agent/segments/directory.h"
#include "agent/log/log.h"
#include "agent/gather/self.h"

#include <smx/reader.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Past these, or fewer if descriptors are scarce, files are not looked at: a directory where
 * everybody may write must not exhaust us. */
enum { SEGMENTS_MAX = 1024 };

enum segment_state {
    SEGMENT_NEW, /* not read yet */
    SEGMENT_SERVED,
    SEGMENT_SHADOWED,    /* sound, but another file of the same name is served */
    SEGMENT_UNSUPPORTED, /* another major version */
    SEGMENT_REFUSED,     /* a link, another user's, or not what its name says */
    SEGMENT_UNREADABLE,  /* could not be opened */
    SEGMENT_DAMAGED,     /* not a segment, or no longer one */
};
enum { SEGMENT_STATES = SEGMENT_DAMAGED + 1 };

struct segment {
    char *path;
    const char *name; /* the file's, in path */
    const struct directory *directory;
    enum segment_state state;
    enum segment_state said; /* logged last, with why: a new look at a refused one is no news */
    char why[sizeof((struct smx_diag *)0)->text]; /* unless it is served */
    smx_reader *reader; /* NULL unless it is served, shadowed, or read for the first time */
    char app[64];       /* that its name says */
    uint64_t found_ns;
    uint64_t read_ns;      /* when it was; 0: the reader shows nothing yet */
    bool begun;            /* read ahead, or found unreadable meanwhile */
    struct smx_diag ahead; /* with a code: what came of that, and is said when it is read */
    dev_t device;
    ino_t inode;
    uid_t owner;
    bool reported_unsound;
    bool seen; /* in the scan that runs */
};

struct segments;

struct segments_options {
    const char *const *directories; /* absolute paths; n_directories 0: the default ones */
    size_t n_directories;
    size_t most; /* segments; 0: SEGMENTS_MAX */
    /* Past so many bytes that are allocated in one user's segments the rest of his are left out:
     * what the agent takes, in memory and in time, is a multiple of what is allocated. 0: 1 GiB */
    uint64_t owner_bytes;
    const struct log *log;
    void (*closing)(void *context, smx_reader *reader); /* before a reader is closed */
    void *context;
};

/* Make the table, empty. Returns: 0, -ENOMEM. */
int segments_new(const struct segments_options *options, struct segments **out);
void segments_free(struct segments *segments);

/* Directories that may be looked into; as in the options. Returns: 0, -ENOMEM. */
struct places;
int places_new(const char *const directories[], size_t n, struct places **out);
void places_free(struct places *places);
const struct directory *places_list(const struct places *places, size_t *n);

/* Look into others from now on, and allow each user other bytes, as in the options. What lies in
 * directories that stay is not touched; readers of what lies in the others are closed.
 * Owns: the places are taken. */
void segments_set(struct segments *segments, struct places *places, uint64_t owner_bytes);

/* Look into the directories; opens no file in them. */
void segments_scan(struct segments *segments);

/* Which segments one is after: those of the applications that wants() says, unless they were read
 * since then, or found later than that; NULL: all. */
struct segments_wish {
    bool (*wants)(const void *context, const char *app);
    const void *context;
    uint64_t since_ns, found_ns;
};

/* Whether it is one of those. */
bool segments_wanted(const struct segment *segment, const struct segments_wish *wish);

/* Open what is new among those that are wanted, and read them ahead, for a fraction of a
 * millisecond: all that the readers show holds. What was never shown is in the table once it is
 * read, but not served before segments_read(). False: all is read. */
bool segments_step(struct segments *segments, const struct segments_wish *wish);

/* What was read ahead is not needed. */
void segments_give_up(struct segments *segments);

/* Read what is left to be read of those that are wanted, show it, and decide which are served; the
 * others stay as they are. */
void segments_read(struct segments *segments, const struct segments_wish *wish);

/* Look for files, open what is new or was replaced, close what is gone, take a snapshot of each and
 * decide which are served. Nothing in it fails as a whole. */
void segments_update(struct segments *segments);

/* The table, until the next update; in the order of the files' names. */
const struct segment *segments_list(const struct segments *segments, size_t *n);
const struct directory *segments_directories(const struct segments *segments, size_t *n);

/* How many segments there are in each state (but SEGMENT_NEW); and what was wrong ever, by reason:
 * files that could not be read, and records that were left out, counted again at each update. The
 * names are constants. */
const struct self_count *segments_by_state(const struct segments *segments, size_t *n);
const struct self_count *segments_errors(const struct segments *segments, size_t *n);

/* How many files were not looked at because there are too many. */
size_t segments_left_out(const struct segments *segments);

/* What its reader shows; NULL: nothing. */
static inline const struct smx_segment_info *segment_info(const struct segment *segment)
{
    return segment->read_ns ? smx_reader_info(segment->reader) : NULL;
}

/* Whether it is as it should be: served, or about to be. */
static inline bool segment_ok(const struct segment *segment)
{
    return segment->state == SEGMENT_SERVED || segment->state == SEGMENT_NEW;
}

/* "served", "shadowed", ... */
const char *segment_state_name(enum segment_state state);

#endif
