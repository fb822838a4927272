/* SPDX-License-Identifier: MIT
 *
 * smx.h - libshm, the writing side: metrics of a multi-process server in one shared segment.
 *
 * The model
 *   A *segment* is one file on tmpfs for one application instance. Every process of the
 *   application maps it and writes into it; smx-agent, smx-dump or <smx/reader.h> read it.
 *   A *family* is a name with its help, unit, type and label names; a *series* is a family with
 *   label values. A *handle* is a series' address: two words, passed by value, valid for ever, in
 *   every thread and in every child of fork().
 *   Counters and histograms belong to a CPU: an update is a plain add to the row of the CPU it
 *   runs on, in a restartable sequence. When a process dies, its counts stay.
 *   Gauges belong to a process: each process writes its own value, the reader combines those of
 *   the living by the family's mode. When a process dies, its values go.
 *
 *       #include <smx/smx.h>
 *
 *       smx_segment *seg;
 *       smx_open(&(struct smx_options){.app = "shop"}, &seg, NULL);
 *       smx_counter orders = smx_counter_new(seg, &(struct smx_metric){
 *           .name = "orders_total", .help = "Orders accepted."}, NULL);
 *       fork();
 *       smx_counter_inc(orders);
 *
 *   and, where label values are known only then:
 *
 *       smx_family requests = smx_counter_family(seg, &(struct smx_metric){
 *           .name = "http_requests_total", .labels = {"method", "status"}}, NULL);
 *       smx_counter_inc(smx_counter_with(requests, SMX_VALUES("GET", "200")));
 *
 * What a host can rely on
 *   libshm starts no thread, installs no signal handler, writes nothing to any descriptor but the
 *   segment's, never aborts, and never waits: smx_open() alone may, and no longer than a second.
 *   When a segment cannot be had or a metric is refused, every function still works and every
 *   handle is still valid: the updates go nowhere, and a struct smx_diag says why if asked.
 *   Nothing that was refused for want of space, memory or descriptors is refused for good: the same
 *   smx_open(), registration or *_with() succeeds once there is room again, without a restart. But
 *   a handle stays what it was when it was made, all-zero or that of the overflow series: ask anew.
 *   errno is left as it was. A SIGKILL anywhere loses at most the operation in flight.
 *   The same holds when somebody writes nonsense into the segment while it is in use: updates by
 *   handles do not read it, lookups and registrations check what they read, and a chain of records
 *   that leads nowhere ends. What is then counted may be lost or wrong. One thing is beyond libshm:
 *   who may write to the file may also truncate it, and the next access is a SIGBUS.
 *
 * Values are integers in *ticks*. A tick is 10^-digits of the exposed unit: 1 for most families, a
 * nanosecond (digits 9) for those whose unit is "seconds". Integer sums are exact.
 *
 * Context lines: `threads` any = callable from any thread at once; `fork` any = before and after
 * fork(), in parent and child; `signal` safe = also in a signal handler; `blocks` = how long it may
 * take. Nothing here may be called between vfork() (or clone with CLONE_VM) and exec.
 */
#ifndef SMX_SMX_H
#define SMX_SMX_H

#include <smx/update.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

#define SMX_VERSION "0.1.0"

/* Labels of a family, at most; the length of one label value or help, in bytes. */
#define SMX_LABELS_MAX 16
#define SMX_STRING_MAX 65535
/* The name of a family with its prefix, and that of a label, in bytes, not characters. Escaped for
 * a scraper it may be longer. */
#define SMX_NAME_MAX 1000
/* Explicit bounds of a histogram, at most. */
#define SMX_BOUNDS_MAX 64
/* States of a stateset, at most. */
#define SMX_STATES_MAX 64
/* Characters of an exemplar's label names and values together, at most: OpenMetrics' limit. */
#define SMX_EXEMPLAR_CHARACTERS 128

typedef struct smx_segment smx_segment;

/* Why something was refused: a negative errno, and one line of text that names the place (the
 * metric, the file) and the rule. Owned by the caller; written only when there is an error. */
struct smx_diag {
    int code;
    char text[252];
};

/* A family's handle. All-zero is valid: its series go nowhere. */
typedef struct smx_family {
    smx_segment *segment;
    const void *record;
} smx_family;

enum smx_type { SMX_COUNTER = 1, SMX_GAUGE = 2, SMX_HISTOGRAM = 3, SMX_INFO = 4, SMX_STATESET = 5 };

/* How the values of the processes that live become one. Infos and statesets know three of them: max
 * (also for 0), where an info is there, and a state on, if one process that lives says so; last, of
 * nobody, so that it outlives who said it; each. */
enum smx_mode {
    SMX_SUM = 0,  /* their sum */
    SMX_MIN = 1,  /* the smallest */
    SMX_MAX = 2,  /* the largest */
    SMX_AVG = 3,  /* the mean over the processes that have written it */
    SMX_LAST = 4, /* one value for all, the last one written; outlives its writer */
    SMX_EACH = 5, /* a series for each process, labelled worker="<slot number>" */
};

enum smx_kind {
    SMX_KIND_AUTO = 0, /* per-CPU up to 64 rows, unless only a few of many CPUs are ours */
    SMX_KIND_PERCPU = 1,
    SMX_KIND_STRIPED = 2,
};

/* Flags of struct smx_options.
 * After SMX_RESERVE_NOW no update, lookup or registration makes a system call, which a seccomp
 * filter might answer with death: only smx_open(), smx_heartbeat() and smx_close() do, and the
 * first gauge write in the child of a raw clone(2). Timers read the clock in user space, which the
 * strict mode of seccomp(2) forbids, too, on x86-64. */
enum {
    SMX_CONTINUE = 1,    /* keep the totals of a segment that nobody holds, instead of a new one */
    SMX_RESERVE_NOW = 2, /* reserve max_bytes at open: for sandboxes, see above */
    SMX_ALLOW_DISK = 4,  /* accept a directory that is not on tmpfs */
    SMX_ALLOW_FOREIGN = 8, /* as root: attach to a segment that another user owns */
};

/* How to open a segment. All but `app` may be left zero. Strings are copied. */
struct smx_options {
    const char *app;       /* 1..63 of A-Z a-z 0-9 _ . -, not starting with a dot */
    const char *instance;  /* the same alphabet; tells two instances of one program apart */
    const char *directory; /* where; default: $SMX_DIR, /run/smx, /dev/shm/smx-<uid>, see smx(3) */
    const char *role;      /* of this process, and until they say otherwise of its children */
    const char *name_prefix;            /* "shop_http" makes orders_total shop_http_orders_total */
    const char *const *constant_labels; /* name, value, ..., NULL; kept from the first opener */
    uint64_t max_bytes;                 /* the segment's budget; default 64 MiB */
    uint32_t slots;                     /* processes at a time; default 1024, at most 65536 */
    uint32_t max_series;                /* default cap of a family; default 2000 */
    uint32_t rows;                      /* force the number of per-CPU rows (tests, benchmarks) */
    enum smx_kind kind;
    unsigned flags;
};

/* Open the segment of an application: attach to it, or create it.
 * Of many processes that open at once exactly one creates. A segment that no live process holds is
 * replaced by a fresh one (SMX_CONTINUE: continued); who has opened it, and every child of theirs,
 * holds it until it ends or executes another program. Opening the same segment again in a process
 * gives the same pointer. Claims a process slot for the caller; fork children claim their own.
 * On failure *out is NULL, which every other function accepts.
 * Returns: 0, or -EINVAL (an option), -ENOENT (no usable directory), -EPERM (owner or mode of
 *   directory or file), -ENOSPC, -ENOMEM, -EFBIG (file size limit), -EPROTO (not a segment, or a
 *   damaged one), -EPROTONOSUPPORT (another major version), -EBUSY (others were opening for half a
 *   second, or one is stopped in the midst of it; try again later), -EMFILE, another negative
 *   errno. diag, if not NULL, then says which and where.
 * Owns: the segment belongs to the process until it ends; see smx_close.
 * Context: threads=any fork=any signal=no blocks=up to 1 s. */
int smx_open(const struct smx_options *options, smx_segment **out, struct smx_diag *diag);

/* Give back this process' slot: its gauges stop counting at once, as if it had died.
 * Handles stay valid, counters still count, gauge writes go nowhere (but those of mode `last`,
 * which belong to nobody); mapping and descriptor stay with the process (closing any descriptor of
 * the file would drop the locks of all). A child that is forked later has a slot of its own.
 * Context: threads=any fork=any signal=no blocks=never. */
void smx_close(smx_segment *segment);

/* The path of a segment's file, "" for NULL. Owns: libshm. Context: threads=any signal=safe. */
const char *smx_path(const smx_segment *segment);

/* Say what this process is ("master", "worker"; up to 31 bytes): a label of its /proc metrics.
 * Context: threads=any fork=any signal=safe blocks=never. */
void smx_set_role(smx_segment *segment, const char *role);

/* Say that this process is alive and well, now. libshm never does so by itself. A process that
 * found no free slot tries again here.
 * Also makes good what a host does that closes descriptors it does not know (closefrom(3), some
 * daemonizers), and with ours the lock that shows we live: until the next heartbeat, registration
 * or new series that needs space its gauges count as a dead process'. Its counters do count. If by
 * then the file is out of reach (chroot(2), setuid(2)), that is so to its end.
 * Context: threads=any fork=any signal=safe blocks=never. */
void smx_heartbeat(smx_segment *segment);

/* The small stable number of this process, as in the label `worker`; -1 without a slot.
 * Context: threads=any fork=any signal=safe blocks=never. */
int smx_worker(smx_segment *segment);

/* The description of a family. All but `name` may be left zero. Strings are copied. */
struct smx_metric {
    const char *name; /* UTF-8, best [a-zA-Z_:][a-zA-Z0-9_:]*: whoever cannot take the rest, gets
                         it escaped; counters should end in _total */
    const char *help; /* UTF-8, one sentence */
    const char *unit; /* "seconds", "bytes"; the name then ends in _<unit> (or _<unit>_total) */
    const char *labels[SMX_LABELS_MAX]; /* UTF-8, best [a-zA-Z_][a-zA-Z0-9_]*, not starting with
                                           __, and not one of app app_instance le quantile worker
                                           (for each) otel_metric_overflow, which readers add */
    uint32_t max_series;                /* cap; 0 is the segment's default */
    int digits;         /* 0: 9 if the unit is "seconds", else 0; 1..9; SMX_WHOLE: 0 in any case */
    enum smx_mode mode; /* gauges, infos, statesets */
    const char *const *states; /* statesets: 1..SMX_STATES_MAX names, all different, then NULL */
    /* Histograms: explicit bounds, ascending, in the exposed unit; or, if n_bounds is 0, buckets
     * with bounds 2^(i * 2^-schema) over [min, max]. Default: seconds 1e-6..128, else 1..2^32.
     * Values are rounded to ticks first: bounds as 0.1 and 0.5 want digits. */
    const double *bounds;
    size_t n_bounds; /* 1..SMX_BOUNDS_MAX */
    int schema;      /* 0: 3, about 9 % a bucket; -4..8; SMX_SCHEMA_0: powers of two */
    double min;
    double max;
};
#define SMX_WHOLE    (-1)
#define SMX_SCHEMA_0 100

/* Register a family, or find it: the same description gives the same family in every process.
 * Help may differ, the first one stays. A description that contradicts the one in the segment is
 * refused, for this family alone; so is one that breaks a rule above, or does not fit max_bytes.
 * Returns: the family; all-zero when refused, with diag (if not NULL) saying why and the segment
 *   counting the loss by its reason.
 * Context: threads=any fork=any signal=no blocks=no (at most a fallocate(2) on tmpfs). */
smx_family smx_counter_family(smx_segment *segment, const struct smx_metric *metric,
                              struct smx_diag *diag);
smx_family smx_gauge_family(smx_segment *segment, const struct smx_metric *metric,
                            struct smx_diag *diag);
smx_family smx_fgauge_family(smx_segment *segment, const struct smx_metric *metric,
                             struct smx_diag *diag);
smx_family smx_histogram_family(smx_segment *segment, const struct smx_metric *metric,
                                struct smx_diag *diag);
/* An info's name ends in _info, which is added if it does not. A stateset's name is also that of
 * the label that its states have in an exposition. Neither has a unit. */
smx_family smx_info_family(smx_segment *segment, const struct smx_metric *metric,
                           struct smx_diag *diag);
smx_family smx_stateset_family(smx_segment *segment, const struct smx_metric *metric,
                               struct smx_diag *diag);

/* An array of label values for the functions below, one for each label, in the family's order. */
#ifndef __cplusplus
#define SMX_VALUES(...) ((const char *const[]){__VA_ARGS__, (const char *)0})
#else
#define SMX_VALUES(...) (smx__make_values(__VA_ARGS__))
#endif

/* Find the series with these label values, or create it. Lock-free and without an allocation on
 * the heap. values: NUL-terminated UTF-8 strings, one for each label, then NULL; NULL alone for a
 * family without labels. Past the family's cap or the segment's budget, or while the tmpfs is full,
 * the result is the family's overflow series (label otel_metric_overflow="true"), and the loss is
 * counted; a full tmpfs is asked again after 10 ms. A series that was removed comes back with its
 * value.
 * Returns: the series; all-zero for a family of another type, or values that are not valid.
 * Context: threads=any fork=any signal=no blocks=no (at most a fallocate(2) on tmpfs). */
smx_counter smx_counter_with(smx_family family, const char *const values[]);
smx_gauge smx_gauge_with(smx_family family, const char *const values[]);
smx_fgauge smx_fgauge_with(smx_family family, const char *const values[]);
smx_histogram smx_histogram_with(smx_family family, const char *const values[]);
smx_stateset smx_stateset_with(smx_family family, const char *const values[]);

/* Register a family without labels and give its only series. As the two functions above. */
smx_counter smx_counter_new(smx_segment *segment, const struct smx_metric *metric,
                            struct smx_diag *diag);
smx_gauge smx_gauge_new(smx_segment *segment, const struct smx_metric *metric,
                        struct smx_diag *diag);
smx_fgauge smx_fgauge_new(smx_segment *segment, const struct smx_metric *metric,
                          struct smx_diag *diag);
smx_histogram smx_histogram_new(smx_segment *segment, const struct smx_metric *metric,
                                struct smx_diag *diag);
smx_stateset smx_stateset_new(smx_segment *segment, const struct smx_metric *metric,
                              struct smx_diag *diag);

/* Say what does not change: a version, a build, a configuration. Registers the family and gives it
 * the series of these label values, which is 1 as long as this process lives, or another that says
 * the same (another mode: see enum smx_mode); so while a new release replaces an old one both are
 * there. What a parent says is not said again by its children.
 *
 *       smx_info(seg, &(struct smx_metric){.name = "build", .labels = {"version"}},
 *                SMX_VALUES("1.4.2"), NULL);
 *
 * Returns: the family, for smx_series_remove(); all-zero when it or the values were refused.
 * Context: threads=any fork=any signal=no blocks=no (at most a fallocate(2) on tmpfs). */
smx_family smx_info(smx_segment *segment, const struct smx_metric *metric,
                    const char *const values[], struct smx_diag *diag);

/* Hide a series from readers until a *_with() asks for it again. Its cells and handles stay valid,
 * its value is kept and continues: counters never go backwards.
 * Returns: 0, -ENOENT (no such series), -EINVAL.
 * Context: threads=any fork=any signal=no blocks=never. */
int smx_series_remove(smx_family family, const char *const values[]);

/* Record a value in the exposed unit (seconds, bytes), rounded to the nearest tick.
 * NaN and negative values are dropped and counted. Context: as smx_counter_add. */
void smx_histogram_observe(smx_histogram histogram, double value);

/* Add to a counter, or record in a histogram, and say by an example which request it was. labels
 * are names and values in turn, then NULL, as SMX_VALUES("trace_id", id) makes them: up to
 * SMX_LABELS_MAX, of SMX_EXEMPLAR_CHARACTERS together. A counter keeps the last exemplar, a
 * histogram the last of each of up to 16 groups of buckets; its value is what was added or
 * recorded, its time is now. The exemplar is lost, and never the count, where the labels break a
 * rule (SMX_LOST_INVALID), where there is no room (SMX_LOST_SPACE: the first one of a series takes
 * 0.6 to 9 KiB of the budget), where two are kept in one place at once, or one dies doing so.
 * Context: threads=any fork=any signal=safe, but for the first of a series, blocks=no (the first:
 * at most a fallocate(2) on tmpfs); not between vfork() and exec. */
void smx_counter_add_exemplar(smx_counter counter, uint64_t n, const char *const labels[]);
void smx_histogram_record_exemplar(smx_histogram histogram, uint64_t ticks,
                                   const char *const labels[]);
void smx_histogram_observe_exemplar(smx_histogram histogram, double value,
                                    const char *const labels[]);

/* Add an amount in ticks that may be negative: negative ones are dropped and counted.
 * Context: as smx_counter_add. */
void smx_counter_add_signed(smx_counter counter, int64_t n);

/* Set to the seconds since the Epoch. Context: as smx_gauge_set. */
void smx_gauge_set_to_current_time(smx_gauge gauge);
void smx_fgauge_set_to_current_time(smx_fgauge gauge);

/* Read back. Counters and histograms: the total over all processes, in ticks; gauges: this
 * process' own value. What others add at the same time may or may not be included.
 * Context: threads=any fork=any signal=safe blocks=never. */
uint64_t smx_counter_value(smx_counter counter);
uint64_t smx_histogram_count(smx_histogram histogram);
uint64_t smx_histogram_sum(smx_histogram histogram);
int64_t smx_gauge_value(smx_gauge gauge);
double smx_fgauge_value(smx_fgauge gauge);
uint64_t smx_stateset_value(smx_stateset set);

/* Why the segment refused something; the index of smx_segment_info.lost in <smx/reader.h>. */
enum smx_lost {
    SMX_LOST_SERIES_CAP, /* lookups that got the overflow series: max_series */
    SMX_LOST_SPACE,      /* lookups and registrations refused: max_bytes, the tmpfs or memory */
    SMX_LOST_CONFLICT,   /* registrations that contradict an earlier one */
    SMX_LOST_INVALID,    /* names, labels or values that break a rule; infinite observations */
    SMX_LOST_NEGATIVE,   /* negative or NaN input */
    SMX_LOST_SLOTS,      /* processes that found no free slot: meanwhile they share one spill row */
    SMX_LOST_GAUGE,      /* gauge writes dropped: set() without a slot, or after smx_close() */
    SMX_LOST_DAMAGED,    /* lookups and registrations that met damage in the segment */
    SMX_LOST_COUNT
};

/* The name of a reason as in the label `reason` ("series_cap"); NULL past the last. */
const char *smx_lost_name(unsigned reason);

/* The text of a code of this library, positive or negative; never NULL. Context: signal=safe. */
const char *smx_strerror(int code);

/* The library's version, "0.1.0". */
const char *smx_version(void);

/* The updates of <smx/update.h> as functions of the library, for other languages. */
void smx_counter_add_fn(smx_counter counter, uint64_t n);
void smx_histogram_record_fn(smx_histogram histogram, uint64_t ticks);
void smx_gauge_set_fn(smx_gauge gauge, int64_t value);
void smx_gauge_add_fn(smx_gauge gauge, int64_t n);
void smx_fgauge_set_fn(smx_fgauge gauge, double value);
void smx_fgauge_add_fn(smx_fgauge gauge, double n);
void smx_stateset_set_fn(smx_stateset set, uint64_t states);
void smx_stateset_enter_fn(smx_stateset set, unsigned state);

#pragma GCC visibility pop
#ifdef __cplusplus
}

/* What SMX_VALUES makes in C++, where an array cannot stand in an expression; it lives as long as
 * the expression does. */
template <unsigned N> struct smx__values {
    const char *at[N];
    operator const char * const *() const
    {
        return at;
    }
};
template <typename... Strings>
inline smx__values<sizeof...(Strings) + 1> smx__make_values(Strings... strings)
{
    return {{strings..., static_cast<const char *>(nullptr)}};
}
#endif
#endif
