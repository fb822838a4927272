/* SPDX-License-Identifier: MIT
 *
 * reader.h - libshm, the reading side: snapshots of a segment, live or copied.
 *
 * A reader never maps, locks or writes the file. smx_reader_update() preads it into private memory,
 * checks every byte that it uses, and combines the rows; everything that the other functions return
 * is that snapshot. The segment is untrusted input: what is unsound is left out and counted by its
 * reason in smx_segment_info.unsound, the rest is served. No content of a segment can crash or hang
 * a reader, mislead it beyond the segment's own numbers, or enlarge it past a small multiple of
 * what smx_reader_bound() allows. A file that is truncated under it is an error code, never a
 * signal.
 *
 *       smx_reader *r;
 *       if (smx_reader_open("/run/smx/shop.v1.smx", &r, &diag) == 0 &&
 *           smx_reader_update(r, &diag) == 0) {
 *           for (size_t i = 0; i < smx_reader_info(r)->n_families; i++) {
 *               const struct smx_family_info *f = smx_reader_family(r, i);
 *               for (size_t k = 0; k < f->n_series; k++)
 *                   printf("%s %" PRIu64 "\n", f->name.at, f->series[k].count);
 *           }
 *       }
 *       smx_reader_close(r);
 *
 * One reader belongs to one thread at a time. The process that writes a segment may read it too:
 * then the reader shares the writer's descriptor, for closing another would drop its locks.
 */
#ifndef SMX_READER_H
#define SMX_READER_H

#include <smx/health.h>
#include <smx/smx.h>
#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

typedef struct smx_reader smx_reader;

/* A string of the snapshot: valid UTF-8, `length` bytes, and a NUL behind them. */
struct smx_str {
    const char *at;
    size_t length;
};

struct smx_label {
    struct smx_str name;
    struct smx_str value;
};

/* Why a record of a segment was left out; the index of smx_segment_info.unsound. */
enum smx_unsound {
    SMX_UNSOUND_CHAIN,     /* a chain leads out of the file, in a circle, or into another chain */
    SMX_UNSOUND_RECORD,    /* a record of an unknown kind, or of a size that it cannot have */
    SMX_UNSOUND_OVERSIZE,  /* records that together claim more bytes than there are */
    SMX_UNSOUND_FAMILY,    /* a family's type, mode or another number is out of range */
    SMX_UNSOUND_TEXT,      /* a name or text breaks a rule, or does not end in its record */
    SMX_UNSOUND_BUCKETS,   /* a histogram's descriptor, or bounds that do not ascend */
    SMX_UNSOUND_ORPHAN,    /* a series whose family is not there, or was left out itself */
    SMX_UNSOUND_DUPLICATE, /* the second family of a name, or series of the same label values */
    SMX_UNSOUND_CELL,      /* a value that lies out of bounds, or where no value can begin */
    SMX_UNSOUND_OVERLAP,   /* a value that lies where another one does */
    SMX_UNSOUND_CONSTANT,  /* the constant labels */
    SMX_UNSOUND_PROCESS,   /* not records, but slots: too many locks to find out who lives */
    SMX_UNSOUND_EXEMPLAR,  /* places of exemplars that are out of bounds, too many, or no series' */
    SMX_UNSOUND_CHECK, /* a check whose texts or cell are out of range, or that is one too many */
    SMX_UNSOUND_COUNT
};

/* The name of a reason as in the agent's label `reason` ("chain"); NULL past the last. */
const char *smx_unsound_name(unsigned reason);

/* A record that was left out, by the name of its family: one line of UTF-8, cut off where it is
 * longer, question marks for what is none. */
struct smx_unsound_info {
    enum smx_unsound reason;
    char family[64];
};
enum { SMX_UNSOUND_NAMED_MAX = 16 };

/* The segment as a whole. */
struct smx_segment_info {
    const char *path;
    struct smx_str app;
    struct smx_str instance;        /* may be empty */
    const struct smx_label *labels; /* constant labels */
    size_t n_labels;
    unsigned major, minor;
    enum smx_kind kind;
    unsigned rows;            /* per-CPU rows */
    unsigned counter_stripes; /* atomic rows of a counter */
    unsigned hist_stripes;
    uint32_t slots;
    uint64_t capacity_bytes;  /* length of the file, mostly a hole */
    uint64_t max_bytes;       /* the budget */
    uint64_t allocated_bytes; /* of the budget */
    uint64_t reserved_bytes;  /* what the file takes on the tmpfs */
    uint64_t created_ns;      /* CLOCK_REALTIME */
    uint64_t lost[SMX_LOST_COUNT];
    uint64_t errors; /* records left out of this snapshot because they are unsound: the sum of */
    uint64_t unsound[SMX_UNSOUND_COUNT];
    /* some of them, whose family has a name; of one family and reason one */
    const struct smx_unsound_info *unsound_named;
    size_t n_unsound_named;
    size_t n_families;
    size_t n_series;
    size_t n_live; /* processes */
    size_t n_checks;
    dev_t device;
    ino_t inode;
    uid_t owner;
    mode_t mode;
    /* CLOCK_REALTIME when this snapshot's processes were read: of that time it is true who lives,
     * how old heartbeats are and which reports hold. */
    uint64_t looked_ns;
};

/* One process' value of a gauge, an info or a stateset of mode `each`. */
struct smx_each {
    uint32_t worker;
    union {
        int64_t integer;
        double real;
    } value;
};

struct smx_each_list {
    const struct smx_each *at;
    size_t n;
};

/* One series with its value. Which member of the value holds is a matter of the family's type. */
struct smx_series_info {
    const struct smx_str *values; /* n_labels label values; NULL for the overflow series */
    uint64_t id;                  /* stable and unique in its segment */
    bool overflow;
    bool present; /* gauges, infos, statesets: a live process has written it; counters and
                     histograms: always, but the overflow series only once it was needed */
    union {
        uint64_t count;  /* counter: ticks */
        int64_t integer; /* gauges; infos: 1; statesets: bit i is state i, no other bit is set */
        double real;
        const struct smx_histogram_info *histogram;
        struct smx_each_list each; /* of mode `each` */
    };
};

/* A histogram's numbers. All in ticks but the bounds, which are in the exposed unit. */
struct smx_histogram_info {
    uint64_t count; /* the sum of the buckets */
    uint64_t sum;
    uint64_t min, max;       /* 0 when count is 0 */
    const uint64_t *buckets; /* n_buckets, not cumulative; the last has no upper bound */
    const struct smx_family_info *family;
};

/* The last exemplar of a counter, or of a group of a histogram's buckets. */
struct smx_exemplar {
    size_t series;                  /* of the family's */
    size_t bucket;                  /* histograms: the one that the value falls into */
    const struct smx_label *labels; /* at most SMX_LABELS_MAX */
    size_t n_labels;
    uint64_t value;   /* ticks: what was added or recorded */
    uint64_t time_ns; /* CLOCK_REALTIME */
};

struct smx_family_info {
    struct smx_str name;
    struct smx_str help;
    struct smx_str unit;
    enum smx_type type;
    enum smx_mode mode;
    bool is_double;  /* gauges; also true for the mean (SMX_AVG) of integers */
    unsigned digits; /* exposed value = ticks / 10^digits; only counters and histograms */
    size_t n_labels;
    const struct smx_str *labels;
    const struct smx_series_info *series;
    size_t n_series;
    const struct smx_exemplar *exemplars; /* ascending by series, then bucket */
    size_t n_exemplars;
    /* Statesets. */
    size_t n_states;
    const struct smx_str *states;
    /* Histograms. Bucket i holds upper_bounds[i - 1] < v <= upper_bounds[i]; the last is +Inf.
     * Exponential: bucket i has the bound 2^((first_index + i - 1) * 2^-schema) and so is bucket
     * first_index + i - 1 of a Prometheus native histogram; but bucket 0 holds all that is not
     * above its bound, zero too: that bound is the native zero_threshold. */
    bool exponential;
    int schema;
    int first_index;
    size_t n_buckets;
    const double *upper_bounds;
};

/* A process slot that is or was taken. */
struct smx_process_info {
    uint32_t worker; /* the slot's number */
    bool live;
    pid_t holder;          /* whose lock says that it lives, told by the kernel as our own PID
                              namespace sees it; 0: dead, or of a namespace that is not below ours.
                              All that follows is what the segment says. */
    pid_t pid;             /* in the namespace pid_ns */
    uint64_t pid_ns;       /* inode of its /proc/self/ns/pid; 0 unknown */
    uint64_t start;        /* clock ticks after boot, as in /proc/<pid>/stat; 0 unknown */
    uint64_t heartbeat_ns; /* CLOCK_REALTIME; 0 none */
    char role[32];
};

/* What one process that lives has reported last. */
struct smx_check_report_info {
    uint32_t worker;
    enum smx_check_state state;
    uint64_t time_ns; /* CLOCK_REALTIME, in milliseconds as it were */
};

/* What the last one of the processes in a state said of it, while it lives and is in it. */
struct smx_check_message {
    struct smx_str text; /* one line; empty: nobody says anything */
    uint32_t worker;
};

/* A check that the application has declared, see <smx/health.h>. */
struct smx_check_info {
    struct smx_str name;
    struct smx_str help;
    bool critical;
    uint64_t interval_ns;                        /* how long a report holds; 0: for ever */
    const struct smx_check_report_info *reports; /* ascending by worker */
    size_t n_reports;
    struct smx_check_message messages[SMX_CHECK_FAILED + 1]; /* by state */
};

/* What all of that amounts to. */
struct smx_check_result {
    enum smx_check_state state;              /* the worst of the reports that hold; or silent */
    size_t n_holding;                        /* reports that hold */
    const struct smx_check_report_info *by;  /* of these in that state the newest; NULL if silent */
    const struct smx_check_message *message; /* of that state; NULL: none, or its report expired */
    uint64_t newest_ns;                      /* of all reports; 0: there is none */
};

/* Open a segment for reading. Follows no symbolic link, opens regular files only.
 * Returns: 0, -ENOENT, -EACCES, -ELOOP, -EPROTO (not a segment), -EPROTONOSUPPORT (another major
 *   version), -EBADMSG (a damaged header), -EIO (truncated), -EFBIG (more is allocated than the
 *   file takes), -ENOMEM, another negative errno; diag, if not NULL, then names the file and the
 *   rule.
 * Owns: the caller closes the reader. Context: threads=one fork=no signal=no blocks=no. */
int smx_reader_open(const char *path, smx_reader **out, struct smx_diag *diag);

/* Bound what updates read and take: a segment of which more than max_bytes is allocated, or more
 * than its file takes and that above 4 MiB (else 64 MiB, for copies have holes), then fails with
 * -E2BIG or -EFBIG. An update reads, and has in memory, a small multiple of what is allocated.
 * 0: no bound. Context: threads=one fork=no signal=no blocks=never. */
void smx_reader_bound(smx_reader *reader, uint64_t max_bytes);

/* Close a reader; NULL is fine. All that it returned is gone with it. */
void smx_reader_close(smx_reader *reader);

/* Find the file of an application in the directories that smx_open() uses, or in `directory`.
 * Writes the path (size bytes, PATH_MAX is enough). instance may be NULL or "".
 * Returns: 0, -ENOENT, -EINVAL, -ENAMETOOLONG. */
int smx_find(const char *app, const char *instance, const char *directory, char *path, size_t size,
             struct smx_diag *diag);

/* The directories that smx_open() and smx_find() use when none is named: $SMX_DIR alone if it is
 * set (and the program is not set-id), else /run/smx and /dev/shm/smx-<uid>. Writes the one of this
 * number, from 0 on. Returns: 0, -ENOENT past the last, -ENAMETOOLONG. */
int smx_directory(unsigned number, char *path, size_t size);

/* Take a snapshot. The names are read again only when the registry has moved; the values every
 * time. On failure the snapshot before stays as it was.
 * Returns: 0, or as smx_reader_open() for a file that has gone bad since.
 * Context: threads=one fork=no signal=no blocks=no. */
int smx_reader_update(smx_reader *reader, struct smx_diag *diag);

/* The same in steps, for who has other things to do meanwhile. smx_reader_begin() looks whether the
 * names moved; one that has begun before is given up. smx_reader_step() reads about max_bytes of
 * the names, if they did, then of the values, then of the exemplars. smx_reader_update() reads what
 * is left, if anything is, and shows it all: until then the snapshot stays as it is, but that
 * allocated_bytes, if names are read, is no less than what is allocated now. Returns: as
 * smx_reader_update(); smx_reader_step() 1 when there is more to read, and 0 when nothing has
 * begun. After a failure nothing has. Context: threads=one fork=no signal=no blocks=no. */
int smx_reader_begin(smx_reader *reader, struct smx_diag *diag);
int smx_reader_step(smx_reader *reader, uint64_t max_bytes, struct smx_diag *diag);

/* Moves when names appeared, disappeared or changed place: what was derived from the arrays of
 * families and series must then be made anew. */
uint64_t smx_reader_epoch(const smx_reader *reader);

/* The snapshot. Pointers hold until the next update. Families and series are in the order of their
 * creation; hidden series are left out. */
const struct smx_segment_info *smx_reader_info(const smx_reader *reader);
const struct smx_family_info *smx_reader_family(const smx_reader *reader, size_t index);
const struct smx_process_info *smx_reader_processes(const smx_reader *reader, size_t *count);

/* A check, in the order of their creation. */
const struct smx_check_info *smx_reader_check(const smx_reader *reader, size_t index);

/* Whether a report still holds at a time, CLOCK_REALTIME. One from further in the future than an
 * interval does not: the clock was set back, and how old it is nobody knows. */
bool smx_check_holds(const struct smx_check_info *check, const struct smx_check_report_info *report,
                     uint64_t now_ns);

/* Combine the reports of a check at a time. Pure. */
struct smx_check_result smx_check_combine(const struct smx_check_info *check, uint64_t now_ns);

/* The mean, in the exposed unit; NaN for an empty histogram. */
double smx_histogram_average(const struct smx_histogram_info *histogram);

/* The q-quantile, 0 <= q <= 1, in the exposed unit: within a bucket linear for explicit bounds (as
 * PromQL's histogram_quantile on classic buckets), exponential for exponential ones (as it does on
 * native ones). The last bucket answers with the highest bound. NaN for an empty histogram. */
double smx_histogram_quantile(const struct smx_histogram_info *histogram, double q);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
#endif
