/* SPDX-License-Identifier: MIT
 *
 * pages.c - who waits for which page, and what is done next. One piece of work after the other, the
 * pages in turn, until a slice is over; the rest is for the loop's next turn.
 *
 * While a page is encoded, its snapshot serves all who come, but not for longer than a second: else
 * those whose scrapes overlap would keep it for ever.
 */
#include "agent/pages.h"

#include "agent/once.h"
#include "agent/gather/selection.h"
#include "agent/gather/view.h"
#include "agent/page.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NEVER UINT64_MAX

/* What others wait for, at most, is some of these. */
#define SLICE_NS UINT64_C(4000000)

/* How old a snapshot may be that is in use, or where answers take too much memory. */
#define SHARE_NS UINT64_C(1000000000)

/* Of the time that a scraper has, what is not ours: a tenth, and half a second at most. */
#define MARGIN_NS UINT64_C(500000000)
enum { MARGIN_PART = 10 };

/* So many selections at a time; the pages of those that nobody waits for go when others come. */
enum { SELECTIONS = 16, ENTRIES = EXPOSITION_COUNT + SELECTIONS };

struct waiter {
    struct waiter *next;
    struct http_deferred *deferred; /* NULL: in its callback, whose reply this is: */
    struct http_reply *reply;
    bool settled;
    struct codings codings;
    uint64_t due_ns; /* or NEVER */
};

/* A page and those who wait for it. The first ones, a format each, are of everything. */
struct entry {
    struct page page;
    struct selection *selection; /* or NULL */
    struct view view;            /* what is encoded then */
    struct waiter *waiters;
};

struct pages {
    struct pages_options options;
    const struct http *http; /* NULL: nobody is served */
    struct gather *gather;
    struct gather_source *sources;
    const struct snapshot *snapshot; /* NULL: there is none, or the readers have moved on */
    uint64_t serial, gathered_ns, gathered_turn;
    bool messages; /* are in it */
    struct entry entries[ENTRIES];
    size_t replaced; /* the last of the selections that was */
    size_t next;     /* whose turn it is */
    struct loop_timer timer;
    uint64_t worked_turn;
    struct self_stats self;
    struct once conflicts;
};

static const char too_late[] = "the page cannot be made within the scrape's timeout\n";
static const char too_many[] = "too many different selections at a time\n";
static const char stopping[] = "stopping\n";

/* Snapshots. */

static bool is_any(const struct pages *p, enum page_state state)
{
    for (size_t i = 0; i < ENTRIES; i++)
        if (p->entries[i].page.state == state)
            return true;
    return false;
}

/* Whether the snapshot may be served. */
static bool is_young(const struct pages *p)
{
    bool patient = is_any(p, PAGE_ENCODING) || (p->http && http_strained(p->http));
    uint64_t most = p->options.max_age_ns;
    if (patient && most < SHARE_NS)
        most = SHARE_NS;
    return p->snapshot && (p->gathered_turn == loop_turns(p->options.loop) ||
                           loop_now_ns() - p->gathered_ns < most);
}

static void log_conflicts(struct pages *p)
{
    size_t n;
    const struct gather_conflict *list = gather_conflicts(p->gather, &n);
    for (size_t i = 0; i < n; i++) {
        char key[512];
        snprintf(key, sizeof key, "%s %s %s %s", list[i].name, list[i].app, list[i].instance,
                 list[i].reason);
        if (once_is_new(&p->conflicts, key))
            LOG_WARN(p->options.log, "family left out", "family", list[i].name, "app", list[i].app,
                     "instance", list[i].instance[0] ? list[i].instance : NULL, "reason",
                     list[i].why, "do", "rename it in one of the applications, or make it smaller");
    }
}

static int collect_sources(struct pages *p, size_t *n)
{
    size_t n_segments;
    const struct segment *list = segments_list(p->options.segments, &n_segments);
    struct gather_source *sources = realloc(p->sources, (n_segments + 1) * sizeof *p->sources);
    if (!sources)
        return -ENOMEM;
    p->sources = sources;
    *n = 0;
    for (size_t i = 0; i < n_segments; i++)
        if (list[i].state == SEGMENT_SERVED)
            sources[(*n)++].reader = list[i].reader;
    return 0;
}

static void measure(struct pages *p)
{
    p->self.segments = segments_by_state(p->options.segments, &p->self.n_segments);
    p->self.errors = segments_errors(p->options.segments, &p->self.n_errors);
    p->self.segments_left_out = segments_left_out(p->options.segments);
    if (p->http)
        p->self.connections = http_connections(p->http);
    self_measure(&p->self.process);
}

static void empty(struct entry *e)
{
    page_fini(&e->page);
    view_fini(&e->view);
    selection_free(e->selection);
    e->selection = NULL;
}

/* Their pages have been for those who came soon after each other. */
static void forget_selections(struct pages *p)
{
    for (size_t i = EXPOSITION_COUNT; i < ENTRIES; i++)
        if (!p->entries[i].waiters)
            empty(&p->entries[i]);
}

/* Read the segments and gather; nobody may be encoding. */
static int refresh(struct pages *p)
{
    size_t n;
    uint64_t begin = loop_now_ns();
    p->snapshot = NULL;
    p->options.looking(p->options.context);
    segments_update(p->options.segments);
    uint64_t updated = loop_now_ns();
    p->self.phase_ns[SELF_UPDATE] = updated - begin;
    int rc = collect_sources(p, &n);
    if (rc < 0)
        return rc;
    p->self.gathers++;
    measure(p);
    rc = gather_run(p->gather, p->sources, n, &p->self, &p->snapshot);
    if (rc < 0)
        return rc;
    p->gathered_ns = updated;
    p->gathered_turn = loop_turns(p->options.loop);
    p->serial++;
    forget_selections(p);
    p->self.phase_ns[SELF_GATHER] = loop_now_ns() - updated;
    log_conflicts(p);
    return 0;
}

/* Answers. */

static void settle(struct waiter *w, const struct http_reply *reply)
{
    if (w->deferred) {
        http_answer(w->deferred, reply);
        free(w);
        return;
    }
    *w->reply = *reply;
    w->settled = true;
}

static struct http_reply refusal(const char *why)
{
    struct http_reply reply = {
        .status = 503, .content_type = "text/plain; charset=utf-8", .body = body_new()};
    if (reply.body)
        buffer_puts(&reply.body->bytes, why);
    return reply;
}

static void settle_with_page(struct pages *p, const struct page *page, struct waiter *w)
{
    bool gzip = page_wants_gzip(page, w->codings);
    struct http_reply reply = {.status = 200,
                               .content_type = exposition_content_type(page->format),
                               .encoding = gzip ? "gzip" : NULL,
                               .vary = "Accept, Accept-Encoding",
                               .body = body_ref(gzip ? page->gzip : page->plain)};
    p->self.scrapes[page->format]++;
    settle(w, &reply);
}

/* Settle those that fit. */
static void settle_all(struct entry *e, const char *why)
{
    while (e->waiters) {
        struct waiter *w = e->waiters;
        struct http_reply reply = why ? refusal(why) : (struct http_reply){.body = NULL};
        e->waiters = w->next;
        settle(w, &reply);
    }
}

static void stop(struct entry *e)
{
    page_stop(&e->page);
    view_fini(&e->view);
}

static void fail(struct pages *p, struct entry *e, int rc)
{
    LOG_ERROR(p->options.log, "scrape failed", "reason", strerror(-rc));
    stop(e);
    settle_all(e, NULL);
}

/* Nobody is answered beyond his time. */
static void refuse_late(struct pages *p, struct entry *e)
{
    uint64_t now = loop_now_ns();
    for (struct waiter **link = &e->waiters; *link;) {
        struct waiter *w = *link;
        if (w->due_ns > now) {
            link = &w->next;
            continue;
        }
        struct http_reply reply = refusal(too_late);
        *link = w->next;
        p->self.late++;
        settle(w, &reply);
    }
}

/* Answer those who need no more than there is, and begin what the others need. */
static void serve(struct pages *p, struct entry *e)
{
    struct page *page = &e->page;
    bool missing = false;
    refuse_late(p, e);
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

/* What nobody waits for any more is not made. */
static void give_up(struct pages *p)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &p->entries[i];
        refuse_late(p, e);
        if (!e->waiters)
            stop(e);
    }
}

/* Work. */

static void begin(struct pages *p, struct entry *e)
{
    int rc = e->selection ? view_init(&e->view, p->gather, e->selection) : 0;
    if (rc == 0)
        rc = page_encode(&e->page, e->selection ? &e->view.snapshot : p->snapshot, p->serial);
    if (rc < 0)
        fail(p, e, rc);
}

/* A snapshot for those that want one. False: nothing to do, or nothing yet. */
static bool work_on_snapshot(struct pages *p)
{
    if (!is_any(p, PAGE_WANTED) || is_any(p, PAGE_ENCODING))
        return false;
    for (size_t i = 0; i < ENTRIES && !p->messages; i++) {
        const struct page *page = &p->entries[i].page;
        p->messages = page->state == PAGE_WANTED && page->format == EXPOSITION_PROTOBUF;
    }
    if (p->messages)
        gather_messages(p->gather);
    int rc = refresh(p);
    for (size_t i = 0; i < ENTRIES; i++) {
        struct entry *e = &p->entries[i];
        if (e->page.state == PAGE_WANTED && rc == 0)
            begin(p, e);
        else if (e->page.state == PAGE_WANTED)
            fail(p, e, rc);
    }
    return true;
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
    p->self.phase_ns[encoding ? SELF_ENCODE : SELF_COMPRESS] =
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
        if (turn == ENTRIES ? work_on_snapshot(p) : work_on_page(p, &p->entries[turn]))
            return true;
    }
    return false;
}

/* A slice of work, one in a turn of the loop. */
static void work_on(struct pages *p)
{
    uint64_t turn = loop_turns(p->options.loop), end = loop_now_ns() + SLICE_NS;
    bool more = true;
    if (p->worked_turn != turn) {
        p->worked_turn = turn;
        while ((more = work(p)) && loop_now_ns() < end)
            continue;
        give_up(p);
    }
    if (more && !p->timer.set)
        loop_timer_set(p->options.loop, &p->timer, 0);
}

static void tick(void *context)
{
    work_on(context);
}

/* Scrapes. */

/* When a scraper that tells its timeout has no use for an answer any more. */
static uint64_t due(const char *timeout)
{
    char *end = NULL;
    double seconds = timeout ? strtod(timeout, &end) : 0;
    if (!timeout || end == timeout || *end || !(seconds > 0 && seconds < 1e6))
        return NEVER;
    uint64_t ns = (uint64_t)(seconds * 1e9), margin = ns / MARGIN_PART;
    return loop_now_ns() + ns - (margin < MARGIN_NS ? margin : MARGIN_NS);
}

static bool is_usable(const struct pages *p, enum exposition format)
{
    return is_young(p) && (format != EXPOSITION_PROTOBUF || p->messages);
}

static void join(struct pages *p, struct entry *e, struct waiter *w)
{
    w->next = e->waiters;
    e->waiters = w;
    if (e->page.state == PAGE_IDLE && !is_usable(p, e->page.format))
        e->page.state = PAGE_WANTED;
    else if (e->page.state == PAGE_IDLE && e->page.serial != p->serial)
        begin(p, e);
    serve(p, e);
}

/* Where the page of a selection is, or can be made; NULL: nowhere. The selection is taken. */
static struct entry *find(struct pages *p, enum exposition format, struct selection *selection)
{
    struct entry *first = &p->entries[EXPOSITION_COUNT], *found = NULL;
    if (!selection)
        return &p->entries[format];
    for (size_t i = 0; i < SELECTIONS && !found; i++)
        if (first[i].page.format == format && selection_equal(first[i].selection, selection))
            found = &first[i];
    if (found) {
        selection_free(selection);
        return found;
    }
    for (size_t i = 0; i < SELECTIONS && !found; i++) {
        p->replaced = (p->replaced + 1) % SELECTIONS;
        if (!first[p->replaced].waiters)
            found = &first[p->replaced];
    }
    if (!found) {
        selection_free(selection);
        return NULL;
    }
    empty(found);
    found->page.format = format;
    found->selection = selection;
    return found;
}

static void leave(struct entry *e, const struct waiter *w)
{
    struct waiter **link = &e->waiters;
    while (*link != w)
        link = &(*link)->next;
    *link = w->next;
}

static void wait_for(struct pages *p, struct entry *e, const struct pages_scrape *scrape,
                     const struct http_request *request, struct http_reply *reply)
{
    struct waiter *w = calloc(1, sizeof *w);
    if (!w)
        return;
    *w = (struct waiter){
        .reply = reply, .codings = scrape->codings, .due_ns = due(request->scrape_timeout)};
    join(p, e, w);
    if (!w->settled)
        work_on(p);
    if (!w->settled) {
        w->deferred = http_defer(request);
        if (w->deferred)
            return;
        leave(e, w);
    }
    free(w);
}

void pages_answer(struct pages *p, const struct pages_scrape *scrape,
                  const struct http_request *request, struct http_reply *reply)
{
    struct selection *selection;
    if (selection_new(request->parameters, request->n_parameters, &selection) < 0)
        return;
    struct entry *e = find(p, scrape->format, selection);
    if (e)
        wait_for(p, e, scrape, request, reply);
    else
        *reply = refusal(too_many);
}

struct body *pages_make(struct pages *p, enum exposition format)
{
    struct page *page = &p->entries[format].page;
    int rc = refresh(p);
    if (rc == 0)
        rc = page_encode(page, p->snapshot, p->serial);
    for (int more = 1; rc == 0 && more;) {
        more = page_step(page);
        rc = more < 0 ? more : 0;
    }
    if (rc < 0)
        LOG_ERROR(p->options.log, "scrape failed", "reason", strerror(-rc));
    return rc < 0 ? NULL : body_ref(page->plain);
}

bool pages_look(struct pages *p)
{
    if (is_any(p, PAGE_ENCODING))
        return false;
    int rc = refresh(p);
    if (rc < 0)
        LOG_ERROR(p->options.log, "cannot gather", "reason", strerror(-rc));
    return true;
}

void pages_refresh(struct pages *p)
{
    if (!is_young(p))
        pages_look(p);
}

const struct gather_conflict *pages_conflicts(const struct pages *p, size_t *n)
{
    return gather_conflicts(p->gather, n);
}

void pages_forget(struct pages *p, smx_reader *reader)
{
    gather_forget(p->gather, reader);
}

void pages_serve(struct pages *p, const struct http *http)
{
    p->http = http;
}

static uint64_t wall_clock_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int pages_new(const struct pages_options *options, struct pages **out)
{
    struct pages *p = calloc(1, sizeof *p);
    if (!p)
        return -ENOMEM;
    p->options = *options;
    p->worked_turn = NEVER;
    p->self = (struct self_stats){
        .version = SMX_VERSION, .revision = SMX_REVISION, .started_ns = wall_clock_ns()};
    p->timer = (struct loop_timer){.fire = tick, .context = p};
    for (unsigned i = 0; i < EXPOSITION_COUNT; i++)
        p->entries[i].page.format = (enum exposition)i;
    int rc = gather_new(&p->gather);
    if (rc < 0) {
        free(p);
        return rc;
    }
    *out = p;
    return 0;
}

void pages_stop(struct pages *p)
{
    loop_timer_cancel(p->options.loop, &p->timer);
    for (size_t i = 0; i < ENTRIES; i++) {
        stop(&p->entries[i]);
        settle_all(&p->entries[i], stopping);
    }
    p->http = NULL;
}

void pages_free(struct pages *p)
{
    if (!p)
        return;
    gather_free(p->gather);
    for (size_t i = 0; i < ENTRIES; i++)
        empty(&p->entries[i]);
    once_fini(&p->conflicts);
    free(p->sources);
    free(p);
}
