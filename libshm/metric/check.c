/* SPDX-License-Identifier: MIT
 *
 * check.c - declares checks and reports. A check is a record of the registry with a gauge's cell:
 * so a report is one store, and goes with its process. What is said in words goes into the record
 * itself, sealed, as seal.c does it; whoever has something to say says it there.
 */
#include "libshm/metric/check.h"

#include "libshm/crash.h"
#include "libshm/diag.h"
#include "libshm/metric/registry.h"
#include "libshm/metric/seal.h"
#include "libshm/names.h"
#include "libshm/segment/clock.h"

#include <errno.h>

/* A check on its way into the segment: its texts, measured, and its terms. */
struct draft {
    const char *name, *help;
    uint16_t name_len, help_len;
    uint64_t terms;
};

static int check_texts(const struct smx_check_options *options, struct draft *d,
                       struct smx_diag *diag)
{
    if (!options)
        return smx__fail(diag, -EINVAL, "no description of a check");
    d->name = options->name ? options->name : "";
    d->help = options->help ? options->help : "";
    size_t name = strlen(d->name), help = strlen(d->help);
    if (!smx__is_app_name(d->name, name))
        return smx__fail(diag, -EINVAL,
                         "check \"%.64s\": names are 1 to 63 of A-Z a-z 0-9 _ . -, not starting "
                         "with a dot",
                         d->name);
    if (help > SMX_CHECK_HELP_MAX || !smx__is_utf8(d->help, help))
        return smx__fail(diag, -EINVAL, "check %s: the help is not UTF-8, or over %d bytes",
                         d->name, SMX_CHECK_HELP_MAX);
    d->name_len = (uint16_t)name;
    d->help_len = (uint16_t)help;
    d->terms = smx__check_terms(options->critical, options->interval_ms);
    return 0;
}

static bool same_name(const struct smx__record *record, const void *what)
{
    const struct smx__check *check = (const struct smx__check *)(const void *)record;
    const struct draft *d = what;
    return record->kind == SMX__RECORD_CHECK && check->name_len == d->name_len &&
           memcmp(check + 1, d->name, d->name_len) == 0;
}

static uint64_t size_of(const struct draft *d)
{
    return (sizeof(struct smx__check) + d->name_len + d->help_len + 7) & ~UINT64_C(7);
}

/* The record and its cell, or nothing of the two. */
static int allocate(struct smx_segment *segment, const struct draft *d, uint64_t *at,
                    uint64_t *cell)
{
    int error = smx__allocate(segment, size_of(d), 8, at);
    if (error)
        return error;
    error = smx__allocate_cell(segment, SMX__CELLS_GAUGE, cell);
    if (error)
        smx__give_back(segment, *at, size_of(d));
    return error;
}

static int write_check(struct smx_segment *segment, const struct draft *d, uint32_t hash,
                       uint64_t *at)
{
    uint64_t cell;
    int error = allocate(segment, d, at, &cell);
    if (error)
        return error;
    SMX__CRASH_POINT("check.allocated");
    struct smx__check *check = smx__at(segment, *at);
    check->record.hash = hash;
    check->record.kind = SMX__RECORD_CHECK;
    check->cell = cell;
    check->name_len = d->name_len;
    check->help_len = d->help_len;
    check->terms = d->terms;
    memcpy(check + 1, d->name, d->name_len);
    memcpy((char *)(check + 1) + d->name_len, d->help, d->help_len);
    smx__record_complete(&check->record, size_of(d));
    SMX__CRASH_POINT("check.complete");
    return 0;
}

/* A segment that an older libshm made has an older minor version, whose readers would take a check
 * for damage. It only grows, and by those who are newer still. */
static void raise_minor(const struct smx_segment *segment)
{
    uint16_t *minor = &segment->header->minor;
    /* Relaxed: readers look at the header again where they find what they do not know. */
    uint16_t seen = __atomic_load_n(minor, __ATOMIC_RELAXED);
    for (int tries = 0; seen < SMX__MINOR && tries < SMX__MINOR; tries++)
        if (__atomic_compare_exchange_n(minor, &seen, SMX__MINOR, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED))
            break;
}

/* Who finds it unsaid says it: its maker may have been killed. */
static void announce(const struct smx_segment *segment, struct smx__check *check)
{
    /* Relaxed: twice does no harm. */
    if (__atomic_load_n(&check->announced, __ATOMIC_RELAXED))
        return;
    smx__announce(segment);
    SMX__CRASH_POINT("check.announced");
    __atomic_store_n(&check->announced, 1, __ATOMIC_RELAXED);
}

/* Find the check of a name, or publish it. */
static int enter(struct smx_segment *segment, const struct draft *d, struct smx__check **out)
{
    bool broken = false;
    struct smx__key key = {.hash = smx__mixed(smx__mix_string(segment->seed, d->name)),
                           .size = sizeof(struct smx__check) + d->name_len,
                           .same = same_name,
                           .what = d};
    struct smx__record *found = smx__registry_walk(segment, &key, 0, &broken);
    if (!found && !broken) {
        uint64_t at;
        int error = write_check(segment, d, key.hash, &at);
        if (error)
            return error;
        raise_minor(segment);
        found = smx__registry_walk(segment, &key, smx__ref(at), &broken);
        SMX__CRASH_POINT("check.published");
    }
    *out = (struct smx__check *)(void *)found;
    return found ? 0 : -EPROTO;
}

/* A handle of a record that was found. Its cell is looked at once, and its rows are then known to
 * be reserved, so that reports need not ask. */
static int adopt(struct smx_segment *segment, struct smx__check *check, smx_check *out)
{
    uint64_t cell = check->cell;
    uint64_t span = ((uint64_t)segment->slots << SMX_GAUGE_SHIFT) + sizeof(struct smx_cell);
    if (cell % sizeof(struct smx_cell) || !smx__reach(segment, cell, span))
        return -EPROTO;
    *out = (smx_check){.base = smx__at(segment, cell), .proc = segment->proc, .record = check};
    return 0;
}

static int declare(struct smx_segment *segment, const struct smx_check_options *options,
                   smx_check *out, struct smx_diag *diag)
{
    struct draft d = {.name = "", .help = ""};
    struct smx__check *check = NULL;
    int error = check_texts(options, &d, diag);
    if (error) {
        smx__lose(segment, SMX_LOST_INVALID);
        return error;
    }
    error = enter(segment, &d, &check);
    if (!error)
        error = adopt(segment, check, out);
    if (error) {
        smx__lose(segment, error == -EPROTO ? SMX_LOST_DAMAGED : SMX_LOST_SPACE);
        return smx__fail(diag, error, "check %s: no place in %.100s: %s", d.name, segment->path,
                         smx_strerror(error));
    }
    /* Relaxed: the word stands alone. */
    __atomic_store_n(&check->terms, d.terms, __ATOMIC_RELAXED);
    SMX__CRASH_POINT("check.terms");
    announce(segment, check);
    return 0;
}

smx_check smx_check_new(smx_segment *segment, const struct smx_check_options *options,
                        struct smx_diag *diag)
{
    int saved = errno;
    smx_check check = {NULL, NULL, NULL};
    if (segment)
        (void)declare(segment, options, &check, diag);
    else
        (void)smx__fail(diag, -ENOENT, "check %.64s: there is no segment",
                        options && options->name ? options->name : "");
    errno = saved;
    return check;
}

/* Copy a message, cut off before a character that does not fit. */
static uint64_t copy_line(char to[SMX__REPORT_TEXT], const char *message)
{
    char line[SMX__REPORT_TEXT + 1] = "";
    size_t n = strnlen(message, sizeof line);
    if (n == sizeof line) {
        n--;
        for (unsigned i = 0; i < 3 && ((unsigned char)message[n] & 0xc0) == 0x80; i++)
            n--;
    }
    memcpy(line, message, n);
    smx__make_line(line);
    memcpy(to, line, n);
    return n;
}

/* Keep what this process says of its state; NULL takes back what it has said. */
static void keep(smx_check check, enum smx_check_state state, uint64_t value, const char *message)
{
    const struct smx_segment *segment = smx__process_at(check.record);
    uint64_t owner = __atomic_load_n(&check.proc->word, __ATOMIC_RELAXED);
    if (!segment || !owner || owner == SMX__SPILL_WORD)
        return;
    struct smx__check *record = check.record;
    struct smx__report *place = &record->reports[state - SMX_CHECK_OK];
    /* Relaxed: if it is ours, we have stored it. */
    if (!message && __atomic_load_n(&place->owner, __ATOMIC_RELAXED) != owner)
        return;
    struct smx__report r = {.owner = owner, .value = value};
    r.length = copy_line(r.text, message ? message : "");
    r.seal = smx__seal(&r, smx__offset(segment, place));
    smx__sealed_write(place, &r);
}

void smx_check_report(smx_check check, enum smx_check_state state, const char *message)
{
    if (!check.base)
        return;
    if (state < SMX_CHECK_OK || state > SMX_CHECK_FAILED) {
        const struct smx_segment *segment = smx__process_at(check.base);
        if (segment)
            smx__lose(segment, SMX_LOST_INVALID);
        return;
    }
    uint64_t value = smx__check_value(state, smx__clock_ns(CLOCK_REALTIME));
    /* First the state, which may claim a slot: then we have a word to sign the message with. */
    smx_gauge_set((smx_gauge){check.base, check.proc}, (int64_t)value);
    SMX__CRASH_POINT("check.reported");
    keep(check, state, value, message);
}

enum smx_check_state smx_check_reported(smx_check check)
{
    const struct smx_cell *cell = smx__gauge_cell(check.base, check.proc);
    return cell ? smx__check_state(__atomic_load_n(&cell->value, __ATOMIC_RELAXED))
                : SMX_CHECK_SILENT;
}
