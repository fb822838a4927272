/* SPDX-License-Identifier: MIT
 *
 * pages.c - who waits for which page, and what is done next. One piece of work after the other, the
 * pages in turn, until a slice is over; the rest is for the loop's next turn.
 *
 * While a page is encoded, its snapshot serves all who come, but not for longer than a second: else
 * those whose scrapes overlap would keep it for ever.
 *
 * Pages that wait for a snapshot have a piece of what they need read in turn: the one that needs
 * little does not wait for what others need.
 */
#include "agent/pages/pages.h"

#include "agent/pages/deadline.h"
#include "agent/pages/entries.h"
#include "agent/pages/source.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What others wait for, at most, is some of these. */
#define SLICE_NS UINT64_C(4000000)

/* How old a snapshot may be that is in use, or where answers take too much memory. */
#define SHARE_NS UINT64_C(1000000000)

struct pages {
    struct source source;
    struct entries entries;
    struct entry *refreshing; /* for whose wish a snapshot is being made; or NULL */
    size_t next, reads;       /* whose turn it is, and of those that want a snapshot */
    struct loop_timer timer;
    uint64_t worked_turn;
    uint64_t slice_ns;
};

static const char too_many[] = "too many different selections at a time\n";
static const char stopping[] = "stopping\n";

/* Snapshots. */

static bool wants(const void *context, const char *app)
{
    const struct entry *e = context;
    return !e->selection || selection_has_app(e->selection, (struct smx_str){app, strlen(app)});
}

static struct segments_wish wish_of(const struct entry *e, uint64_t since_ns)
{
    bool looked = e->page.state == PAGE_WANTED && e->looked_ns;
    return (struct segments_wish){wants, e, since_ns, looked ? e->looked_ns : DEADLINE_NONE};
}

/* Whether the snapshot may be served, or one that is so old. */
static bool is_young(struct pages *p, const struct entry *e, uint64_t least_ns)
{
    bool patient = entries_any(&p->entries, PAGE_ENCODING) ||
                   (p->source.http && http_strained(p->source.http));
    struct segments_wish any = wish_of(e, DEADLINE_NONE);
    return source_is_young(&p->source, &any, patient ? SHARE_NS : least_ns);
}

/* Have a snapshot made for it. */
static void want_snapshot(struct pages *p, struct entry *e)
{
    uint64_t now = loop_now_ns();
    if (e->page.state == PAGE_WANTED)
        return;
    e->page.state = PAGE_WANTED;
    e->since_ns = now > p->source.max_age_ns ? now - p->source.max_age_ns : 1;
    e->looked_ns = 0;
}

/* A new snapshot, as source_refresh(); nobody may be encoding. */
static int refresh(struct pages *p, const struct segments_wish *wish)
{
    int rc = source_refresh(&p->source, wish);
    if (rc == 0)
        entries_forget(&p->entries);
    return rc;
}

/* Answers. */

static void settle_with_page(struct pages *p, const struct page *page, struct waiter *w)
{
    bool gzip = page_wants_gzip(page, w->codings);
    struct http_reply reply = {.status = 200,
                               .content_type = w->content_type,
                               .encoding = gzip ? "gzip" : NULL,
                               .vary = "Accept, Accept-Encoding",
                               .body = body_ref(gzip ? page->gzip : page->plain)};
    p->source.self.scrapes[page->format]++;
    waiter_settle(w, &reply);
}

static void fail(struct pages *p, struct entry *e, int rc)
{
    LOG_ERROR(p->source.log, "scrape failed", "reason", strerror(-rc));
    entry_stop(e);
    waiters_settle(&e->waiters, NULL);
}

/* Answer those who need no more than there is, and begin what the others need. */
static void serve(struct pages *p, struct entry *e)
{
    struct page *page = &e->page;
    bool missing = false;
    p->source.self.late += waiters_refuse_late(&e->waiters);
    if (page->state == PAGE_WANTED || page->state == PAGE_ENCODING)
        return;
    for (struct waiter **link = &e->waiters; *link;) {
        struct waiter *w = *link;
        if (page_wants_gzip(page, w->codings) && !page->packed) {
            missing = true;
            link = &w->next;
            continue;
        }
        *link = w->next;
        settle_with_page(p, page, w);
    }
    int rc = missing && page->state == PAGE_IDLE ? page_pack(page) : 0;
    if (rc < 0)
        fail(p, e, rc);
}

/* What nobody waits for any more is not made. But what was begun to be read is read: names that
 * take longer than any scraper waits would never be known. */
static void give_up(struct pages *p)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &p->entries.at[i];
        p->source.self.late += waiters_refuse_late(&e->waiters);
        if (!e->waiters && e->page.state != PAGE_WANTED)
            entry_stop(e);
    }
    if (!entries_any(&p->entries, PAGE_WANTED))
        source_give_up(&p->source);
}

/* Work. */

static void begin(struct pages *p, struct entry *e)
{
    int rc = e->selection ? view_init(&e->view, p->source.gather, e->selection) : 0;
    if (rc == 0)
        rc = page_encode(&e->page, e->selection ? &e->view.snapshot : p->source.snapshot,
                         p->source.serial);
    if (rc < 0)
        fail(p, e, rc);
}

/* What is wanted of a snapshot comes with the next. */
static void want_all(struct pages *p)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (p->entries.at[i].page.state == PAGE_WANTED)
            source_want(&p->source, p->entries.at[i].page.format, p->entries.at[i].page.escaping);
}

/* Begin what is wanted of the snapshot that was made for one of them. */
static void begin_wanted(struct pages *p, const struct entry *of, int rc)
{
    for (size_t i = 0; i <= LOOK; i++) {
        struct entry *e = &p->entries.at[i];
        if (e->page.state != PAGE_WANTED || (e != of && rc == 0 && !is_young(p, e, 0)))
            continue;
        e->page.state = PAGE_IDLE;
        if (rc < 0)
            fail(p, e, rc);
        else if (e->waiters)
            begin(p, e);
    }
}

/* Begin, or go on, with a snapshot for one of them. */
static void make_snapshot(struct pages *p, struct entry *e)
{
    struct segments_wish wish = wish_of(e, e->since_ns);
    want_all(p);
    int rc = refresh(p, &wish);
    p->refreshing = rc > 0 ? e : NULL;
    if (rc <= 0)
        begin_wanted(p, e, rc);
}

/* A piece of what one of them needs, in the end the snapshot. Segments come and go only while no
 * page is being encoded. False: nothing to do, or nothing yet. */
static bool work_on_wish(struct pages *p, struct entry *e)
{
    bool encoding = entries_any(&p->entries, PAGE_ENCODING);
    struct segments_wish wish = wish_of(e, e->since_ns);
    if (!e->looked_ns && !encoding) {
        source_look(&p->source);
        e->looked_ns = loop_now_ns();
        return true;
    }
    if (source_read_ahead(&p->source, &wish))
        return true;
    if (encoding || !e->looked_ns)
        return false;
    make_snapshot(p, e);
    return true;
}

/* A snapshot for those that want one. One that was begun is finished first: the readers have moved
 * on, so there is none meanwhile. */
static bool work_on_snapshot(struct pages *p)
{
    if (p->refreshing) {
        make_snapshot(p, p->refreshing);
        return true;
    }
    for (size_t i = 0; i <= LOOK; i++) {
        struct entry *e = &p->entries.at[p->reads];
        p->reads = (p->reads + 1) % (LOOK + 1);
        if (e->page.state == PAGE_WANTED && work_on_wish(p, e))
            return true;
    }
    return false;
}

static bool work_on_page(struct pages *p, struct entry *e)
{
    struct page *page = &e->page;
    if (page->state != PAGE_ENCODING && page->state != PAGE_PACKING)
        return false;
    bool encoding = page->state == PAGE_ENCODING;
    int rc = page_step(page);
    if (rc < 0)
        fail(p, e, rc);
    if (rc != 0)
        return true;
    view_fini(&e->view);
    p->source.self.phase_ns[encoding ? SELF_ENCODE : SELF_COMPRESS] =
        encoding ? page->encode_ns : page->pack_ns;
    serve(p, e);
    return true;
}

/* One piece of work. False: there is nothing left. */
static bool work(struct pages *p)
{
    for (size_t i = 0; i <= ENTRIES; i++) {
        size_t turn = p->next;
        p->next = (p->next + 1) % (ENTRIES + 1);
        if (turn == ENTRIES ? work_on_snapshot(p) : work_on_page(p, &p->entries.at[turn]))
            return true;
    }
    return false;
}

static void work_next_turn(struct pages *p)
{
    if (!p->timer.set)
        loop_timer_set(p->source.loop, &p->timer, 0);
}

static uint64_t cpu_ns(void)
{
    struct timespec used;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    return (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;
}

/* A slice of work, one in a turn of the loop. By what is worked, not by the clock: what others take
 * of the CPU meanwhile is nobody's gain, and a probe would tell less of now for it. */
static void work_on(struct pages *p)
{
    uint64_t turn = loop_turns(p->source.loop), end = cpu_ns() + p->slice_ns;
    bool more = true;
    if (p->worked_turn != turn) {
        p->worked_turn = turn;
        while ((more = work(p)) && cpu_ns() < end)
            continue;
        give_up(p);
    }
    if (more)
        work_next_turn(p);
}

static void tick(void *context)
{
    work_on(context);
}

/* Scrapes. */

static bool is_busy(const struct pages *p)
{
    return entries_any(&p->entries, PAGE_WANTED) || entries_any(&p->entries, PAGE_ENCODING) ||
           entries_any(&p->entries, PAGE_PACKING);
}

/* A selection of families, which may be small, does not have all read anew beside work on other
 * pages, nor does it wait for that. */
static bool is_usable(struct pages *p, const struct entry *e)
{
    bool by_family = e->selection && !selection_by_app(e->selection);
    return is_young(p, e, by_family && is_busy(p) ? SHARE_NS : 0) &&
           source_has(&p->source, e->page.format, e->page.escaping);
}

static void join(struct pages *p, struct entry *e, struct waiter *w)
{
    w->next = e->waiters;
    e->waiters = w;
    if (e->page.state == PAGE_IDLE && !is_usable(p, e))
        want_snapshot(p, e);
    else if (e->page.state == PAGE_IDLE && e->page.serial != p->source.serial)
        begin(p, e);
    serve(p, e);
}

static void wait_for(struct pages *p, struct entry *e, const struct pages_scrape *scrape,
                     const struct http_request *request, struct http_reply *reply)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w)
        return;
    *w = (struct waiter){.reply = reply,
                         .codings = scrape->codings,
                         .content_type = scrape->accepted.content_type,
                         .due_ns = deadline_of(request->scrape_timeout)};
    join(p, e, w);
    if (!w->settled)
        work_on(p);
    else if (e->page.state == PAGE_WANTED)
        work_next_turn(p);
    if (!w->settled) {
        w->deferred = http_defer(request);
        if (w->deferred)
            return;
        waiters_remove(&e->waiters, w);
    }
    free(w);
}

void pages_answer(struct pages *p, const struct pages_scrape *scrape,
                  const struct http_request *request, struct http_reply *reply)
{
    struct selection *selection;
    if (selection_new(request->parameters, request->n_parameters, &selection) < 0)
        return;
    struct entry *e = entries_find(&p->entries, &scrape->accepted, selection);
    if (e)
        wait_for(p, e, scrape, request, reply);
    else
        *reply = waiter_refusal(too_many);
}

struct body *pages_make(struct pages *p, const struct accepted *accepted)
{
    struct page *page = &entries_whole(&p->entries, accepted)->page;
    source_look(&p->source);
    int rc = refresh(p, NULL);
    while (rc > 0)
        rc = refresh(p, NULL);
    if (rc == 0)
        rc = page_encode(page, p->source.snapshot, p->source.serial);
    for (int more = 1; rc == 0 && more;) {
        more = page_step(page);
        rc = more < 0 ? more : 0;
    }
    if (rc < 0)
        LOG_ERROR(p->source.log, "scrape failed", "reason", strerror(-rc));
    return rc < 0 ? NULL : body_ref(page->plain);
}

void pages_look(struct pages *p)
{
    want_snapshot(p, &p->entries.at[LOOK]);
    work_on(p);
}

void pages_refresh(struct pages *p)
{
    if (!is_young(p, &p->entries.at[LOOK], 0))
        pages_look(p);
}

bool pages_looked(const struct pages *p)
{
    return p->source.gathered_ns > 0;
}

const struct gather_conflict *pages_conflicts(const struct pages *p, size_t *n)
{
    return gather_conflicts(p->source.gather, n);
}

void pages_forget(struct pages *p, smx_reader *reader)
{
    source_forget(&p->source, reader);
}

void pages_serve(struct pages *p, const struct http *http,
                 void (*measure)(void *context, struct self_web *out), void *context)
{
    p->source.http = http;
    p->source.measure = measure;
    p->source.measured = context;
}

int pages_new(const struct pages_options *options, struct pages **out)
{
    struct pages *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->source = (struct source){.loop = options->loop,
                                .log = options->log,
                                .segments = options->segments,
                                .workers = options->workers,
                                .health_rules = options->rules.health,
                                .max_age_ns = options->max_age_ns,
                                .looking = options->looking,
                                .context = options->context};
    p->worked_turn = UINT64_MAX;
    p->slice_ns = options->slice_ns ? options->slice_ns : SLICE_NS;
    p->timer = (struct loop_timer){.fire = tick, .context = p};
    entries_init(&p->entries);
    int rc = source_init(&p->source);
    p->source.self.config = options->config;
    if (rc == 0)
        gather_set(p->source.gather, &options->rules);
    if (rc < 0) {
        pages_free(p);
        return rc;
    }
    *out = p;
    return 0;
}

/* What is half made would be half of the old rules, and what is being compressed all of them. */
static void begin_anew(struct pages *p, struct entry *e)
{
    bool wanted = e->page.state == PAGE_WANTED || e->waiters;
    entry_stop(e);
    if (wanted)
        want_snapshot(p, e);
}

void pages_set(struct pages *p, const struct gather_rules *rules, uint64_t max_age_ns)
{
    gather_set(p->source.gather, rules);
    source_begin_anew(&p->source);
    p->refreshing = NULL;
    p->source.health_rules = rules->health;
    p->source.max_age_ns = max_age_ns;
    for (size_t i = 0; i <= LOOK; i++)
        begin_anew(p, &p->entries.at[i]);
    work_next_turn(p);
}

void pages_stop(struct pages *p)
{
    loop_timer_cancel(p->source.loop, &p->timer);
    for (size_t i = 0; i < ENTRIES; i++) {
        entry_stop(&p->entries.at[i]);
        waiters_settle(&p->entries.at[i].waiters, stopping);
    }
    p->source.http = NULL;
    p->source.measure = NULL;
}

void pages_free(struct pages *p)
{
    if (!p)
        return;
    entries_fini(&p->entries);
    source_fini(&p->source);
    free(p);
}
