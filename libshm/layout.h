/* SPDX-License-Identifier: MIT
 *
 * layout.h - the segment's bytes: the one description that the writer, the reader and the tests
 * agree on. smx-segment(5) is its prose. No code but the asserts on sizes and offsets.
 *
 * All integers are in the byte order of the machine (the header names it) and naturally aligned.
 * "Offset" is a distance in bytes from the start of the file; a "ref" is an offset / 8 in 32 bits.
 * 0 is no offset and no ref. Writer: C the creator before publication, A any attached process by
 * an atomic operation, O the one process that owns the row or slot.
 *
 *   offset  size  header field      writer  ordering and meaning
 *   0       8     magic             C       "SMXSEG\r\n"
 *   8       4     byte_order        C       0x01020304
 *   12      2     major             C       another major is refused
 *   14      2     minor             A       CAS to more, by who adds what older readers do not
 *                                           know: a newer minor may add sections and record kinds
 *   16      2     header_size       C       4096
 *   18      10    *_size            C       sizeof record, family, series, hist, slot; others are
 *                                           refused
 *   28      2     kind              C       1 per-CPU, 2 striped
 *   30      2     rows              C       per-CPU rows; 0 when striped
 *   32      2     counter_stripes   C       atomic rows behind them, a power of two
 *   34      2     hist_stripes      C       the same for histograms
 *   36      4     slots             C       process slots; gauges have slots + 1 rows
 *   40      8     capacity          C       length of the file
 *   48      8     max_bytes         C       the allocator's limit, <= capacity
 *   56      8     hash_seed         C
 *   64      8     created_ns        C       CLOCK_REALTIME
 *   72      16    boot_id           C       of /proc/sys/kernel/random/boot_id, zero if unknown
 *   88      8     buckets_at        C       offset of the hash table, uint32_t refs
 *   96      4     n_buckets         C       a power of two
 *   100     4     max_series        C       default cap of a family
 *   104     8     slots_at          C       offset of the slot table
 *   112     4     n_sections        C       entries of sections[] in use, <= 8
 *   116     4     reserved
 *   120     192   sections[8]       C       {type u32, flags u32, offset u64, length u64}
 *   320     64    app               C       NUL-padded
 *   384     64    instance          C       NUL-padded, may be empty
 *   1024    8     allocated         A       CAS, release: bytes handed out, below reserved_to
 *   1032    8     reserved_to       A       CAS, release: bytes reserved by fallocate; only grows
 *   1088    8     published         A       add, release: families, series, changes of state
 *   1096    4     slots_used        A       CAS to more: slots at or above it were never claimed
 *   1152    128   lost[16]          A       relaxed adds: refused, by reason
 *   1280    32    next_cell[4]      A       CAS: offset of the next free cell by enum smx__cells; a
 *                                           multiple of the row size: the extent is used up
 *   2048    2     labels_len        C
 *   2050    2046  labels            C       constant labels: (len u16, name, len u16, value)*
 *
 * A record of the registry (family, series, exemplars, check) starts with next, hash, kind, size.
 * It is filled in, `size` last, then published by a release CAS of its bucket's head, or of a
 * predecessor's `next` from 0. Records never move, and never leave a chain.
 *
 * The reader: pread the header and check it; pread `published`, and if it moved, the bucket heads
 * and from them every record, checking each, into private memory; pread the rows of the cells that
 * the records name; combine the rows. Whatever is out of bounds is skipped and counted.
 *
 * Invariants, cited as "invariant N":
 *  1. A byte is written only below `reserved_to`, where fallocate succeeded before.
 *  2. A record reachable from the hash table is complete; its fields but next, state, announced,
 *     counts, and a check's terms and reports never change again. Anything else in the file may be
 *     debris: for each killed process, and each one that lost a race, the bytes of one registration
 *     at most. `size` is stored last: where it is not 0 all of the record is there.
 *  3. A row of index < rows receives plain adds inside rseq by threads on that CPU, and nothing
 *     else; every other row only atomic adds. (A histogram row's minimum and maximum: only CAS.)
 *  4. A cell belongs to one series for ever and starts as zero.
 *  5. A process occupies a slot while the state is LIVE with its pid and it holds a write lock on
 *     byte SMX__LOCK_AT + slot. It makes the state LIVE with the lock held; without a lock that is
 *     what a dead process left. States move by CAS; a generation is the one before plus 1, and 2
 *     after SMX__LAST_GENERATION, so that no two occupants have the same.
 *  6. A gauge cell counts only while its owner word is that of the occupant of its row's slot.
 *     owner and value first change together, by a 16-byte CAS; then the value alone, by the owner.
 *     (Who lost its lock with a descriptor that its host closed may do so once too often.)
 *  7. hist descriptors never change after their family is published.
 *  8. A directory entry always names a completely initialised segment.
 *  9. `published` has moved, since a series came to be or was last shown, before its state says
 *     ANNOUNCED: a reader that has read all that `published` told of shows it.
 * 10. A directory entry leads to the same file as long as a process holds it that has a slot of it,
 *     or has it mapped. (Not where somebody else's read locks keep openers from SMX__LOCK_OPEN.)
 * 11. What fits the seal of an exemplar or of a report is one that was kept as a whole; nobody
 *     waits to keep one.
 *
 * tests/models checks 1, 2, 4, 5, 6, 8, 9 and 10 of libshm's steps, in any order of any processes,
 * with a SIGKILL anywhere.
 *
 * A process that writes does not rely on them: another one may have damaged what it finds. It takes
 * the header's constant numbers once, checked; makes an address of an offset only where it knows
 * the bytes to be reserved; and finds rows and buckets by what it was told at registration.
 */
#ifndef SMX_LAYOUT_H
#define SMX_LAYOUT_H

#include <smx/update.h>
#include <stddef.h>
#include <stdint.h>

#define SMX__MAGIC      UINT64_C(0x0a0d474553584d53) /* "SMXSEG\r\n" read as a little-endian word */
#define SMX__BYTE_ORDER 0x01020304u
#define SMX__MAJOR      1
#define SMX__MINOR      1 /* 1: checks */
#define SMX__PAGE       4096u

/* Write locks on bytes far behind any file's end. A process: on byte SMX__LOCK_AT + i for its slot
 * i; on SMX__LOCK_OPEN while it opens. An open file description that is mapped: on one of the
 * SMX__HOLDS bytes at SMX__LOCK_HOLD. */
#define SMX__LOCK_AT   (INT64_C(1) << 62)
#define SMX__LOCK_OPEN (SMX__LOCK_AT - 1)
#define SMX__LOCK_HOLD (SMX__LOCK_AT + SMX__MAX_SLOTS)

enum { SMX__KIND_PERCPU = 1, SMX__KIND_STRIPED = 2 };
enum { SMX__MAX_SECTIONS = 8, SMX__MAX_LOST = 16, SMX__MAX_SLOTS = 65536, SMX__HOLDS = 4096 };
enum { SMX__APP_SIZE = 64, SMX__LABELS_SIZE = 2046 };

struct smx__section {
    uint32_t type;
    uint32_t flags;
    uint64_t at;
    uint64_t length;
};

struct smx__header {
    uint64_t magic;
    uint32_t byte_order;
    uint16_t major;
    uint16_t minor;
    uint16_t header_size;
    uint16_t record_size;
    uint16_t family_size;
    uint16_t series_size;
    uint16_t hist_size;
    uint16_t slot_size;
    uint16_t kind;
    uint16_t rows;
    uint16_t counter_stripes;
    uint16_t hist_stripes;
    uint32_t slots;
    uint64_t capacity;
    uint64_t max_bytes;
    uint64_t hash_seed;
    uint64_t created_ns;
    uint8_t boot_id[16];
    uint64_t buckets_at;
    uint32_t n_buckets;
    uint32_t max_series;
    uint64_t slots_at;
    uint32_t n_sections;
    uint32_t reserved0;
    struct smx__section sections[SMX__MAX_SECTIONS];
    uint64_t reserved1;
    char app[SMX__APP_SIZE];
    char instance[SMX__APP_SIZE];
    uint64_t reserved2[72];
    /* one cache line each for what moves */
    uint64_t allocated;
    uint64_t reserved_to;
    uint64_t reserved3[6];
    uint64_t published;
    uint32_t slots_used;
    uint32_t reserved4[13];
    uint64_t lost[SMX__MAX_LOST];
    uint64_t next_cell[4];
    uint64_t reserved5[92];
    uint16_t labels_len;
    uint8_t labels[SMX__LABELS_SIZE];
};

enum {
    SMX__RECORD_FAMILY = 1,
    SMX__RECORD_SERIES = 2,
    SMX__RECORD_EXEMPLARS = 3,
    SMX__RECORD_CHECK = 4,
    SMX__RECORD_LAST = SMX__RECORD_CHECK
};

struct smx__record {
    uint32_t next; /* ref; A: CAS from 0, release */
    uint32_t hash; /* C: of the key, by hash_seed */
    uint16_t kind;
    uint16_t reserved0;
    uint32_t size; /* bytes of the record with its strings, a multiple of 8; stored last, release */
};

/* The values of `type`, `mode` are those of enum smx_type and enum smx_mode in <smx/smx.h>. */
struct smx__family {
    struct smx__record record; /* key: the name */
    uint8_t type;
    uint8_t is_double; /* gauges: the value is a double */
    uint8_t mode;
    uint8_t digits; /* one tick is 10^-digits of the exposed unit, 0..9 */
    uint8_t n_labels;
    uint8_t exponential; /* histograms: 1 exponential, 0 explicit bounds */
    int8_t schema;       /* exponential: -4..8 */
    uint8_t n_states;    /* statesets: 1..64 */
    uint32_t max_series;
    uint32_t n_series; /* A: add, release, after a series' publication; may pass the cap a little */
    uint64_t hist; /* offset of struct smx_hist; explicit: its double bounds are at hist_bounds */
    uint64_t overflow;   /* offset of the overflow series' record; 0 without labels */
    int32_t first_index; /* exponential: bucket 1 ends with 2^(first_index * 2^-schema) */
    uint16_t name_len;
    uint16_t unit_len;
    uint32_t help_len;
    uint32_t n_bounds;    /* explicit: bounds, one less than buckets */
    uint64_t hist_bounds; /* explicit: offset of n_bounds doubles, in the exposed unit */
    /* then name, unit, help, and n_labels + n_states times (len u16, bytes); unterminated,
     * unaligned */
};

/* Infos and statesets have the cells of gauges of their mode: one that says that somebody has said
 * it, whatever the value is, and one whose bit i is state i. */
#define SMX__HAS_GAUGE_CELLS(type)                                                                 \
    ((type) == SMX_GAUGE || (type) == SMX_INFO || (type) == SMX_STATESET)

/* Cells that are smaller than a row are handed out from an extent that many series share. */
enum smx__cells { SMX__CELLS_COUNTER, SMX__CELLS_GAUGE, SMX__CELLS_LAST };

/* state of a series: flags, and a count of its removals, by which a CAS sees that there was one. */
#define SMX__HIDDEN    1u
#define SMX__ANNOUNCED 2u /* invariant 9; a lookup that finds neither flag announces */
#define SMX__FLAGS     3u
#define SMX__REMOVAL   4u

struct smx__series {
    struct smx__record record; /* key: the family's ref and the label values */
    uint32_t family;           /* ref */
    uint32_t state;            /* A: CAS; `published` moves with release after it */
    uint64_t cell;             /* offset of row 0's cell */
    uint64_t baseline;         /* reserved for reset: 0 */
    /* then n_labels values, each with a NUL and zeros up to a multiple of 8; none for the overflow
     * series */
};

/* Where the exemplars of a counter or a histogram are, one for each group of buckets; made at the
 * first one. A histogram has the smaller of n_buckets and SMX__EXEMPLAR_GROUPS; bucket b is of
 * group b * n / n_buckets. */
enum { SMX__EXEMPLAR_GROUPS = 16, SMX__EXEMPLAR_LABELS = 512 };

struct smx__exemplars {
    struct smx__record record; /* key: the cell */
    uint64_t cell;             /* of the series */
    uint64_t at;               /* offset of n struct smx__exemplar */
    uint32_t n;
    uint32_t announced; /* A: 1 after `published` has moved for it */
};

struct smx__exemplar {
    uint64_t seal; /* A: a hash of the rest and of its place, stored last; 0 while it is written */
    uint64_t time_ns; /* A, as all below, at any time, by more than one: CLOCK_REALTIME */
    uint64_t value;   /* ticks: what was added or observed */
    uint64_t length;  /* bytes of labels */
    char labels[SMX__EXEMPLAR_LABELS]; /* name, NUL, value, NUL, and so on */
};

/* What processes say of a check in words: the last one that said each of the three states. It is
 * shown while that process lives and is in that state. */
enum { SMX__CHECK_STATES = 3, SMX__REPORT_TEXT = 224 };

struct smx__report {
    uint64_t seal;   /* A: as an exemplar's */
    uint64_t owner;  /* A, as all below, at any time, by more than one: as a gauge cell's */
    uint64_t value;  /* what it has put into its cell */
    uint64_t length; /* bytes of text */
    char text[SMX__REPORT_TEXT];
};

/* A check. Each process has reported by a gauge's cell, whose value is milliseconds of
 * CLOCK_REALTIME << 8 | state, of enum smx_check_state. */
struct smx__check {
    struct smx__record record; /* key: the name */
    uint64_t cell;             /* offset of row 0's */
    uint16_t name_len;
    uint16_t help_len;
    uint32_t announced; /* A: 1 after `published` has moved for it */
    uint64_t terms;     /* A: critical << 32 | interval in ms; of who declared it last */
    struct smx__report reports[SMX__CHECK_STATES]; /* of state 1, 2, 3 */
    /* then name, help; unterminated */
};

/* state of a slot: generation << 32 | pid << 8 | phase. Pids fit 22 bits (PID_MAX_LIMIT). A gauge
 * cell's owner and struct smx_proc.word are generation << 32 | row, row = slot + 1. */
enum { SMX__SLOT_FREE = 0, SMX__SLOT_CLAIMING = 1, SMX__SLOT_LIVE = 2 };
#define SMX__SHARED_WORD                                                                           \
    (UINT64_C(1) << 32) /* owner of cells in row 0: spill rows, `last` gauges */
#define SMX__SPILL_WORD       (UINT64_C(1) << 63) /* of a process without a slot; never an owner */
#define SMX__FIRST_GENERATION 2u
#define SMX__LAST_GENERATION  0x7fffffffu

struct smx__slot {
    uint64_t state;     /* A: CAS */
    uint64_t pid_ns;    /* O: inode of /proc/self/ns/pid, 0 unknown */
    uint64_t start;     /* O: field 22 of /proc/self/stat, 0 unknown */
    uint64_t heartbeat; /* O: CLOCK_REALTIME ns of the last heartbeat, 0 none */
    char role[32];      /* O: NUL-padded */
    uint64_t reserved0[8];
};

#define SMX__AT(type, field, offset)                                                               \
    _Static_assert(offsetof(struct type, field) == (offset), #type "." #field " has moved")
#define SMX__SIZE(type, size) _Static_assert(sizeof(struct type) == (size), #type " has changed")

SMX__SIZE(smx__section, 24);
SMX__SIZE(smx__header, SMX__PAGE);
SMX__AT(smx__header, byte_order, 8);
SMX__AT(smx__header, major, 12);
SMX__AT(smx__header, minor, 14);
SMX__AT(smx__header, header_size, 16);
SMX__AT(smx__header, record_size, 18);
SMX__AT(smx__header, family_size, 20);
SMX__AT(smx__header, series_size, 22);
SMX__AT(smx__header, hist_size, 24);
SMX__AT(smx__header, slot_size, 26);
SMX__AT(smx__header, kind, 28);
SMX__AT(smx__header, rows, 30);
SMX__AT(smx__header, counter_stripes, 32);
SMX__AT(smx__header, hist_stripes, 34);
SMX__AT(smx__header, slots, 36);
SMX__AT(smx__header, capacity, 40);
SMX__AT(smx__header, max_bytes, 48);
SMX__AT(smx__header, hash_seed, 56);
SMX__AT(smx__header, created_ns, 64);
SMX__AT(smx__header, boot_id, 72);
SMX__AT(smx__header, buckets_at, 88);
SMX__AT(smx__header, n_buckets, 96);
SMX__AT(smx__header, max_series, 100);
SMX__AT(smx__header, slots_at, 104);
SMX__AT(smx__header, n_sections, 112);
SMX__AT(smx__header, sections, 120);
SMX__AT(smx__header, app, 320);
SMX__AT(smx__header, instance, 384);
SMX__AT(smx__header, allocated, 1024);
SMX__AT(smx__header, reserved_to, 1032);
SMX__AT(smx__header, published, 1088);
SMX__AT(smx__header, slots_used, 1096);
SMX__AT(smx__header, lost, 1152);
SMX__AT(smx__header, next_cell, 1280);
SMX__AT(smx__header, labels_len, 2048);
SMX__AT(smx__header, labels, 2050);

SMX__SIZE(smx__record, 16);
SMX__AT(smx__record, next, 0);
SMX__AT(smx__record, hash, 4);
SMX__AT(smx__record, kind, 8);
SMX__AT(smx__record, size, 12);

SMX__SIZE(smx__family, 72);
SMX__AT(smx__family, type, 16);
SMX__AT(smx__family, is_double, 17);
SMX__AT(smx__family, mode, 18);
SMX__AT(smx__family, digits, 19);
SMX__AT(smx__family, n_labels, 20);
SMX__AT(smx__family, exponential, 21);
SMX__AT(smx__family, schema, 22);
SMX__AT(smx__family, n_states, 23);
SMX__AT(smx__family, max_series, 24);
SMX__AT(smx__family, n_series, 28);
SMX__AT(smx__family, hist, 32);
SMX__AT(smx__family, overflow, 40);
SMX__AT(smx__family, first_index, 48);
SMX__AT(smx__family, name_len, 52);
SMX__AT(smx__family, unit_len, 54);
SMX__AT(smx__family, help_len, 56);
SMX__AT(smx__family, n_bounds, 60);
SMX__AT(smx__family, hist_bounds, 64);

SMX__SIZE(smx__series, 40);
SMX__AT(smx__series, family, 16);
SMX__AT(smx__series, state, 20);
SMX__AT(smx__series, cell, 24);
SMX__AT(smx__series, baseline, 32);

SMX__SIZE(smx__exemplars, 40);
SMX__AT(smx__exemplars, cell, 16);
SMX__AT(smx__exemplars, at, 24);
SMX__AT(smx__exemplars, n, 32);
SMX__AT(smx__exemplars, announced, 36);

SMX__SIZE(smx__exemplar, 544);
SMX__AT(smx__exemplar, time_ns, 8);
SMX__AT(smx__exemplar, value, 16);
SMX__AT(smx__exemplar, length, 24);
SMX__AT(smx__exemplar, labels, 32);

SMX__SIZE(smx__report, 256);
SMX__AT(smx__report, owner, 8);
SMX__AT(smx__report, value, 16);
SMX__AT(smx__report, length, 24);
SMX__AT(smx__report, text, 32);

SMX__SIZE(smx__check, 808);
SMX__AT(smx__check, cell, 16);
SMX__AT(smx__check, name_len, 24);
SMX__AT(smx__check, help_len, 26);
SMX__AT(smx__check, announced, 28);
SMX__AT(smx__check, terms, 32);
SMX__AT(smx__check, reports, 40);

SMX__SIZE(smx__slot, 128);
SMX__AT(smx__slot, pid_ns, 8);
SMX__AT(smx__slot, start, 16);
SMX__AT(smx__slot, heartbeat, 24);
SMX__AT(smx__slot, role, 32);

SMX__SIZE(smx_cell, 16);
SMX__SIZE(smx_hist, 64);
SMX__AT(smx_hist, mask, 4);
SMX__AT(smx_hist, stride, 8);
SMX__AT(smx_hist, n_buckets, 12);
SMX__AT(smx_hist, shift, 16);
SMX__AT(smx_hist, digits, 20);
SMX__AT(smx_hist, key_base, 24);
SMX__AT(smx_hist, key_count, 32);
SMX__AT(smx_hist, ns_per_tick, 40);
SMX__AT(smx_hist, thresholds_at, 48);

#endif
