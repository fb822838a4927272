/* SPDX-License-Identifier: MIT
 *
 * invariants_records.c - what the hash table leads to (invariants 2, 4 and 7): every record whole,
 * in the chain of its hash, once; every family with its descriptor, every series with its cells.
 */
#include "support/invariants_parts.h"

#include <stdlib.h>
#include <string.h>

enum { RECORD_MAX = 1 << 20, CHAIN_MAX = 1 << 16 };

__extension__ typedef unsigned __int128 wide;

static uint64_t fold(uint64_t a, uint64_t b)
{
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* As smx-segment(5) has it: n bytes without a NUL. */
static uint64_t mix(uint64_t h, const unsigned char *at, size_t n)
{
    for (size_t done = 0; done <= n; done += 8) {
        uint64_t word = 0;
        memcpy(&word, at + done, n - done < 8 ? n - done : 8);
        h = fold(h ^ word, UINT64_C(0xa0761d6478bd642f));
    }
    return h;
}

static struct smx__family *family_of(const struct item *item)
{
    return (struct smx__family *)(void *)item->bytes;
}

static struct smx__series *series_of(const struct item *item)
{
    return (struct smx__series *)(void *)item->bytes;
}

static struct smx__check *check_of(const struct item *item)
{
    return (struct smx__check *)(void *)item->bytes;
}

static bool is_text(const unsigned char *at, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (at[i] == '\0')
            return false;
    return true;
}

/* Walk counted strings; the offset behind them, 0 if they do not fit. */
static size_t counted_strings(const struct item *item, size_t at, unsigned n)
{
    const struct smx__record *record = (const struct smx__record *)(const void *)item->bytes;
    for (unsigned i = 0; i < n; i++) {
        uint16_t length;
        if (record->size - at < sizeof length)
            return 0;
        memcpy(&length, item->bytes + at, sizeof length);
        at += sizeof length;
        if (record->size - at < length || !is_text(item->bytes + at, length))
            return 0;
        at += length;
    }
    return at;
}

/* Walk strings of whole words, and mix them into h; the same. */
static size_t padded_strings(const struct item *item, size_t at, unsigned n, uint64_t *h)
{
    const struct smx__record *record = (const struct smx__record *)(const void *)item->bytes;
    for (unsigned i = 0; i < n; i++) {
        const unsigned char *string = item->bytes + at;
        size_t length = strnlen((const char *)string, record->size - at);
        size_t end = at + length / 8 * 8 + 8;
        if (end > record->size)
            return 0;
        for (size_t k = at + length; k < end; k++)
            if (item->bytes[k] != 0)
                return 0;
        *h = mix(*h, string, length);
        at = end;
    }
    return at;
}

/* Copy the record at an offset. */
static bool load(struct invariants *v, uint64_t at, size_t least, struct item *out)
{
    struct smx__record head;
    *out = (struct item){.at = at};
    if (at % 8 || at < v->tables_end || at + sizeof head > v->header.max_bytes)
        return invariants_say(v, 2, at, "a ref that leads nowhere");
    if (!invariants_get(v, at, &head, sizeof head) || head.size < least || head.size % 8 ||
        head.size > RECORD_MAX)
        return invariants_say(v, 2, at, "a record of no size");
    out->bytes = malloc(head.size);
    if (!out->bytes || !invariants_get(v, at, out->bytes, head.size)) {
        free(out->bytes);
        out->bytes = NULL;
        return invariants_say(v, 2, at, "a record that cannot be read");
    }
    return true;
}

static bool keep(struct invariants *v, const struct item *item)
{
    const struct smx__record *record = (const struct smx__record *)(const void *)item->bytes;
    if (v->n_items == v->room_items) {
        size_t room = v->room_items ? v->room_items * 2 : 256;
        struct item *items = realloc(v->items, room * sizeof *items);
        if (!items)
            return invariants_say(v, 0, item->at, "no memory");
        v->items = items;
        v->room_items = room;
    }
    v->items[v->n_items++] = *item;
    v->where[item->at / 8] = (uint32_t)v->n_items;
    return invariants_range(v, item->at, record->size, 8);
}

/* Take in the records of a chain that this look has not met yet. */
static bool walk_chain(struct invariants *v, uint32_t bucket, uint32_t ref)
{
    for (unsigned n = 0; ref; n++) {
        struct item item;
        uint64_t at = (uint64_t)ref * 8;
        if (n > CHAIN_MAX)
            return invariants_say(v, 2, at, "a chain without an end");
        if (!load(v, at, sizeof(struct smx__series), &item))
            return false;
        const struct smx__record *record = (const struct smx__record *)(void *)item.bytes;
        ref = record->next;
        bool placed = (record->hash & (v->header.n_buckets - 1)) == bucket;
        bool known = v->where[at / 8] != 0;
        if (known || !placed)
            free(item.bytes);
        if (!placed)
            return invariants_say(v, 2, at, "a record in another's chain");
        if (!known && !keep(v, &item))
            return false;
    }
    return true;
}

/* The item at an offset, if the hash table leads there: it may have been published since its chain
 * was walked. */
static struct item *reach(struct invariants *v, uint64_t at)
{
    uint32_t hash = 0;
    uint32_t head = 0;
    if (at % 8 || at < v->tables_end || at >= v->header.max_bytes)
        return NULL;
    (void)invariants_get(v, at + 4, &hash, sizeof hash);
    hash &= v->header.n_buckets - 1;
    (void)invariants_get(v, v->header.buckets_at + hash * 4u, &head, sizeof head);
    if (!v->where[at / 8] && !walk_chain(v, hash, head))
        return NULL;
    uint32_t number = v->where[at / 8];
    return number && number <= v->n_items ? &v->items[number - 1] : NULL;
}

static bool check_index(struct invariants *v, uint64_t at, const struct smx_hist *h,
                        const unsigned char *bytes)
{
    const uint64_t *entry = (const uint64_t *)(const void *)(bytes + sizeof *h);
    const uint64_t *threshold = (const uint64_t *)(const void *)(bytes + h->thresholds_at);
    for (uint32_t i = 1; i < h->n_buckets; i++)
        if (threshold[i] < threshold[i - 1])
            return invariants_say(v, 7, at, "thresholds do not ascend");
    if (threshold[h->n_buckets - 1] != UINT64_MAX)
        return invariants_say(v, 7, at, "the last bucket has a bound");
    for (uint64_t i = 0; i < h->key_count; i++)
        if ((entry[i] & 0xffff) >= h->n_buckets || (i && entry[i] < entry[i - 1]) || !entry[i])
            return invariants_say(v, 7, at, "the index is not complete");
    return true;
}

/* A histogram family's descriptor and bounds. */
static bool check_hist(struct invariants *v, const struct smx__family *f)
{
    struct smx_hist h;
    if (!invariants_get(v, f->hist, &h, sizeof h) || h.rows != v->header.rows ||
        h.mask != v->header.hist_stripes - 1u || h.digits != f->digits || h.n_buckets < 2 ||
        h.n_buckets > 16384 || h.key_count > 1 << 16 || h.ns_per_tick == 0 ||
        h.thresholds_at != sizeof h + h.key_count * 8 || h.stride < (4 + h.n_buckets) * 8 ||
        (h.stride & (h.stride - 1)) != 0 || (f->n_bounds && f->n_bounds + 1 != h.n_buckets))
        return invariants_say(v, 7, f->hist, "a descriptor is not complete");
    size_t size = h.thresholds_at + h.n_buckets * 8;
    size_t bounds = f->n_bounds * sizeof(double);
    unsigned char *bytes = malloc(size + bounds);
    if (!bytes || !invariants_get(v, f->hist, bytes, size)) {
        free(bytes);
        return invariants_say(v, 7, f->hist, "a descriptor cannot be read");
    }
    bool sound = check_index(v, f->hist, &h, bytes) && invariants_range(v, f->hist, size, 64);
    if (sound && bounds) {
        const double *bound = (const double *)(const void *)(bytes + size);
        (void)invariants_get(v, f->hist_bounds, bytes + size, bounds);
        for (uint32_t i = 0; i < f->n_bounds; i++)
            if (!(bound[i] > (i ? bound[i - 1] : 0)))
                sound = invariants_say(v, 7, f->hist_bounds, "bounds do not ascend");
        sound = sound && invariants_range(v, f->hist_bounds, bounds, 8);
    }
    sound = sound && invariants_constant(v, 7, f->hist, bytes, size + bounds);
    free(bytes);
    return sound;
}

/* The cells of a series. */
static bool check_cells(struct invariants *v, const struct smx__family *f, uint64_t cell)
{
    if (f->type == SMX_HISTOGRAM) {
        struct smx_hist h;
        (void)invariants_get(v, f->hist, &h, sizeof h);
        /* One line more than the rows need, for the next one's colour. */
        return invariants_range(v, cell, (uint64_t)h.stride * (h.rows + h.mask + 1) + 64, 64);
    }
    enum smx__cells kind = f->type == SMX_COUNTER ? SMX__CELLS_COUNTER
                           : f->mode == SMX_LAST  ? SMX__CELLS_LAST
                                                  : SMX__CELLS_GAUGE;
    uint64_t bytes = invariants_cell_bytes(kind);
    uint64_t next = invariants_word(v, offsetof(struct smx__header, next_cell) + kind * 8u);
    uint64_t row = invariants_row_bytes(kind);
    if (cell % bytes)
        return invariants_say(v, 4, cell, "a cell that is not aligned");
    if (!invariants_extent(v, kind, cell))
        return false;
    if (next % row && (next & ~(row - 1)) == (cell & ~(row - 1)) && cell >= next)
        return invariants_say(v, 4, cell, "a cell that was not handed out");
    v->used_cells[kind]++;
    return kind == SMX__CELLS_COUNTER || invariants_gauge(v, cell, kind == SMX__CELLS_LAST);
}

static bool check_overflow(struct invariants *v, const struct item *item)
{
    struct item overflow;
    const struct smx__family *f = family_of(item);
    if (!f->overflow != !f->n_labels)
        return invariants_say(v, 2, item->at, "an overflow series too many or too few");
    if (!f->overflow)
        return true;
    if (!load(v, f->overflow, sizeof(struct smx__series), &overflow))
        return false;
    struct smx__series series = *series_of(&overflow);
    free(overflow.bytes);
    if (series.record.kind != SMX__RECORD_SERIES || series.record.size != sizeof series ||
        (uint64_t)series.family * 8 != item->at || series.record.next != 0)
        return invariants_say(v, 2, f->overflow, "an overflow series is not complete");
    series.state = 0;
    return invariants_constant(v, 2, f->overflow, &series, sizeof series) &&
           invariants_range(v, f->overflow, sizeof series, 8) && check_cells(v, f, series.cell);
}

static bool check_family(struct invariants *v, const struct item *item)
{
    struct smx__family f = *family_of(item);
    const unsigned char *text = item->bytes + sizeof f;
    size_t texts = (size_t)f.name_len + f.unit_len + f.help_len;
    if (f.type < SMX_COUNTER || f.type > SMX_STATESET || f.n_states > SMX_STATES_MAX ||
        !f.n_states != (f.type != SMX_STATESET) || f.mode > SMX_EACH || f.digits > 9 ||
        f.n_labels > SMX_LABELS_MAX || f.max_series == 0 || !f.hist != (f.type != SMX_HISTOGRAM) ||
        !f.n_bounds != (f.type != SMX_HISTOGRAM || f.exponential) || !f.n_bounds != !f.hist_bounds)
        return invariants_say(v, 2, item->at, "a family's fields are not complete");
    if (f.name_len == 0 || texts > f.record.size - sizeof f || !is_text(text, texts))
        return invariants_say(v, 2, item->at, "a family's texts are not complete");
    size_t end = counted_strings(item, sizeof f + texts, (unsigned)f.n_labels + f.n_states);
    if (!end || ((end + 7) & ~(size_t)7) != f.record.size)
        return invariants_say(v, 2, item->at, "a family's labels are not complete");
    uint64_t h = mix(v->header.hash_seed, text, f.name_len);
    if (f.record.hash != (uint32_t)(h ^ h >> 32))
        return invariants_say(v, 2, item->at, "a family of another hash");
    family_of(item)->record.next = 0;
    family_of(item)->n_series = 0;
    v->use.families++;
    return invariants_constant(v, 2, item->at, item->bytes, f.record.size) &&
           (f.type != SMX_HISTOGRAM || check_hist(v, &f)) && check_overflow(v, item);
}

static bool check_series(struct invariants *v, size_t index)
{
    const struct smx__series s = *series_of(&v->items[index]);
    uint64_t at = v->items[index].at;
    struct item *family = reach(v, (uint64_t)s.family * 8);
    const struct item *item = &v->items[index]; /* reach() may have moved them */
    if (!family || family_of(family)->record.kind != SMX__RECORD_FAMILY)
        return invariants_say(v, 2, at, "a series without a family");
    const struct smx__family f = *family_of(family);
    uint64_t h = v->header.hash_seed ^ f.record.hash;
    size_t end = padded_strings(item, sizeof s, f.n_labels, &h);
    if (end != s.record.size)
        return invariants_say(v, 2, at, "a series' labels are not complete");
    if (s.record.hash != (uint32_t)(h ^ h >> 32))
        return invariants_say(v, 2, at, "a series of another hash");
    if ((s.state & SMX__FLAGS) == (SMX__HIDDEN | SMX__ANNOUNCED))
        return invariants_say(v, 2, at, "a state that does not exist");
    series_of(item)->record.next = 0;
    series_of(item)->state = 0;
    v->use.series++;
    family->n_series++;
    return invariants_constant(v, 2, at, item->bytes, s.record.size) && check_cells(v, &f, s.cell);
}

/* No key is there twice: equal ones would have equal hashes and lie in one chain. */
static int by_hash(const void *a, const void *b)
{
    const struct item *x = a;
    const struct item *y = b;
    uint32_t i = family_of(x)->record.hash;
    uint32_t j = family_of(y)->record.hash;
    return (i > j) - (i < j);
}

static bool same_key(const struct item *x, const struct item *y)
{
    const struct smx__family *a = family_of(x);
    const struct smx__family *b = family_of(y);
    if (a->record.kind != b->record.kind || a->record.hash != b->record.hash)
        return false;
    if (a->record.kind == SMX__RECORD_EXEMPLARS)
        return memcmp(&a->record + 1, &b->record + 1, sizeof(uint64_t)) == 0;
    if (a->record.kind == SMX__RECORD_CHECK) {
        const struct smx__check *c = check_of(x), *d = check_of(y);
        return c->name_len == d->name_len && memcmp(c + 1, d + 1, c->name_len) == 0;
    }
    if (a->record.kind == SMX__RECORD_FAMILY)
        return a->name_len == b->name_len && memcmp(a + 1, b + 1, a->name_len) == 0;
    return series_of(x)->family == series_of(y)->family && a->record.size == b->record.size &&
           memcmp(series_of(x) + 1, series_of(y) + 1,
                  a->record.size - sizeof(struct smx__series)) == 0;
}

static bool keys_are_unique(struct invariants *v)
{
    if (v->n_items)
        qsort(v->items, v->n_items, sizeof *v->items, by_hash);
    for (size_t i = 1; i < v->n_items; i++)
        if (same_key(&v->items[i - 1], &v->items[i]))
            return invariants_say(v, 2, v->items[i].at, "a key is there twice");
    return true;
}

/* Of series published, those that are not counted yet. Read after the series were found. */
static void count_series(struct invariants *v)
{
    for (size_t i = 0; i < v->n_items; i++) {
        uint32_t counted = 0;
        if (family_of(&v->items[i])->record.kind != SMX__RECORD_FAMILY)
            continue;
        uint64_t at = v->items[i].at + offsetof(struct smx__family, n_series);
        (void)invariants_get(v, at, &counted, sizeof counted);
        v->use.uncounted += v->items[i].n_series - counted;
    }
}

static bool none_left_its_chain(struct invariants *v)
{
    if (v->n_items < v->n_before)
        return invariants_say(v, 2, 0, "a record that was there is gone");
    v->n_before = v->n_items;
    return true;
}

static bool walk_chains(struct invariants *v)
{
    uint32_t heads[256]; /* a hash table has as many at least, and a power of two */
    for (uint32_t bucket = 0; bucket < v->header.n_buckets; bucket++) {
        if (bucket % 256 == 0 &&
            !invariants_get(v, v->header.buckets_at + bucket * 4u, heads, sizeof heads))
            return invariants_say(v, 2, bucket, "a hash table behind the file's end");
        if (!walk_chain(v, bucket, heads[bucket % 256]))
            return false;
    }
    return true;
}

/* Places for exemplars, of a cell that some series has; what is in them has a seal or has not. */
static bool check_exemplars(struct invariants *v, const struct item *item)
{
    struct smx__exemplars *e = (struct smx__exemplars *)(void *)item->bytes;
    const uint64_t size = e->n * sizeof(struct smx__exemplar);
    if (e->record.size != sizeof *e || e->n == 0 || e->n > SMX__EXEMPLAR_GROUPS ||
        e->announced > 1 || e->cell < v->tables_end)
        return invariants_say(v, 2, item->at, "places of exemplars are not complete");
    uint64_t h = v->header.hash_seed;
    h = fold(h ^ e->cell, UINT64_C(0xa0761d6478bd642f));
    if (e->record.hash != (uint32_t)(h ^ h >> 32))
        return invariants_say(v, 2, item->at, "places of exemplars of another hash");
    e->record.next = 0;
    e->announced = 0;
    return invariants_constant(v, 2, item->at, item->bytes, sizeof *e) &&
           invariants_range(v, e->at, size, 8);
}

/* A check has a gauge's cell; what was said of it has a seal or has not. */
static bool check_check(struct invariants *v, const struct item *item)
{
    struct smx__check *c = check_of(item);
    const size_t texts = (size_t)c->name_len + c->help_len, end = sizeof *c + texts;
    const unsigned char *text = item->bytes + sizeof *c;
    if (((end + 7) & ~(size_t)7) != c->record.size || c->name_len == 0 || c->announced > 1 ||
        c->cell < v->tables_end || !is_text(text, texts))
        return invariants_say(v, 2, item->at, "a check is not complete");
    uint64_t h = mix(v->header.hash_seed, text, c->name_len);
    if (c->record.hash != (uint32_t)(h ^ h >> 32))
        return invariants_say(v, 2, item->at, "a check of another hash");
    c->record.next = 0;
    c->announced = 0;
    c->terms = 0;
    memset(c->reports, 0, sizeof c->reports);
    return invariants_constant(v, 2, item->at, item->bytes, c->record.size) &&
           check_cells(v, &(struct smx__family){.type = SMX_GAUGE}, c->cell);
}

static bool check_item(struct invariants *v, size_t i)
{
    switch (family_of(&v->items[i])->record.kind) {
    case SMX__RECORD_FAMILY:
        return check_family(v, &v->items[i]);
    case SMX__RECORD_SERIES:
        return check_series(v, i);
    case SMX__RECORD_EXEMPLARS:
        return check_exemplars(v, &v->items[i]);
    case SMX__RECORD_CHECK:
        return check_check(v, &v->items[i]);
    default:
        return invariants_say(v, 2, v->items[i].at, "a record of no kind");
    }
}

bool invariants_records(struct invariants *v)
{
    if (!walk_chains(v))
        return false;
    for (size_t i = 0; i < v->n_items; i++)
        if (!check_item(v, i))
            return false;
    count_series(v);
    return none_left_its_chain(v) && keys_are_unique(v);
}
