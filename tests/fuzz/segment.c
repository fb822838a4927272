/* SPDX-License-Identifier: MIT
 *
 * segment.c - any bytes as a segment, read, changed and read again by one reader, through gather
 * into all formats, beside the segment of a neighbour. Asked of it: what look.c asks; each
 * body is an exposition; the neighbour's lines are what they are without the stranger; the same
 * bytes give the same body again, to the same reader and to one that comes anew.
 */
#include "agent/encode/openmetrics.h"
#include "agent/encode/proto.h"
#include "agent/encode/text.h"
#include "agent/gather/snapshot.h"
#include "agent/gather/gather.h"
#include "fuzz/look.h"
#include "fuzz/require.h"
#include "support/exposition.h"
#include "support/messages.h"
#include "support/segwriter.h"

#include <string.h>
#include <unistd.h>

/* What a segment may add to a body, by agent/gather/render.c, and numbers behind it. */
#define BODY_MAX     ((size_t)300 << 20)
#define OF_NEIGHBOUR "{app=\"neighbour\""

static struct {
    smx_reader *reader;
    struct buffer lines; /* its lines of the text format, when it is alone */
} neighbour;

/* A scrape. Returns what holds until the next. */
static const struct snapshot *scrape(struct gather *gather, smx_reader *stranger)
{
    struct gather_source sources[2] = {{neighbour.reader}, {stranger}};
    struct self_stats self = {.version = "0", .revision = "0"};
    const struct snapshot *snapshot;
    require(gather_run(gather, sources, stranger ? 2 : 1, &self, &snapshot) == 0, "gather failed");
    return snapshot;
}

static void encode(struct gather *gather, smx_reader *stranger, struct buffer *text)
{
    require(text_encode(scrape(gather, stranger), text) == 0, "the text encoder failed");
}

static bool starts(const char *at, const char *end, const char *prefix)
{
    size_t n = strlen(prefix);
    return (size_t)(end - at) >= n && memcmp(at, prefix, n) == 0;
}

/* The lines of the neighbour's samples: of its application, without an instance. */
static void pick_lines(const struct buffer *body, struct buffer *out)
{
    const char *end = body->at + body->length;
    out->length = 0;
    for (const char *line = body->at, *next; line < end; line = next) {
        next = (const char *)memchr(line, '\n', (size_t)(end - line)) + 1;
        const char *brace = memchr(line, '{', (size_t)(next - line));
        if (*line != '#' && brace && starts(brace, next, OF_NEIGHBOUR) &&
            !starts(brace, next, OF_NEIGHBOUR ",app_instance="))
            buffer_put(out, line, (size_t)(next - line));
    }
}

static void fill_neighbour(struct segwriter *w)
{
    static const double bounds[] = {0.1, 1};
    uint64_t requests =
        segwriter_series(w,
                         segwriter_family(w, &(struct segwriter_family){.name = "requests_total",
                                                                        .help = "Requests.",
                                                                        .labels = {"path"},
                                                                        .type = SEGWRITER_COUNTER}),
                         (const char *const[]){"/", NULL});
    uint64_t wait =
        segwriter_series(w,
                         segwriter_family(w, &(struct segwriter_family){.name = "wait_seconds",
                                                                        .unit = "seconds",
                                                                        .type = SEGWRITER_HISTOGRAM,
                                                                        .bounds = bounds,
                                                                        .n_bounds = 2}),
                         NULL);
    segwriter_count(w, requests, 0, 41);
    segwriter_bucket(w, wait, 0, 1, 3);
    /* The oldest of all, and by its path the first of those: its names are its own. */
    segwriter_put(w, 64, 8, 0);
}

static void make_neighbour(void)
{
    char directory[STEPS_PATH_SIZE], path[SEGWRITER_PATH_SIZE];
    struct smx_diag diag;
    struct buffer alone = {0};
    struct gather *gather;
    (void)snprintf(directory, sizeof directory, "%s/smx-aaaa-XXXXXX", steps_directory());
    struct segwriter *w =
        segwriter_new(&(struct segwriter_options){.app = "neighbour", .capacity = 1 << 16});
    fill_neighbour(w);
    require(mkdtemp(directory) && segwriter_save(w, directory, path) == 0, "no neighbour's file");
    segwriter_free(w);
    require(smx_reader_open(path, &neighbour.reader, &diag) == 0 &&
                smx_reader_update(neighbour.reader, &diag) == 0,
            "the neighbour cannot be read");
    unlink(path);
    rmdir(directory);
    require(gather_new(&gather) == 0, "no memory");
    encode(gather, NULL, &alone);
    pick_lines(&alone, &neighbour.lines);
    require(neighbour.lines.length > 0, "the neighbour has no lines");
    gather_free(gather);
    buffer_fini(&alone);
}

static void check_format(const struct buffer *body, bool openmetrics)
{
    size_t line;
    const char *fault = exposition_fault(body->at, body->length, openmetrics, &line);
    if (fault)
        (void)fprintf(stderr, "line %zu of:\n%.*s", line, (int)body->length, body->at);
    require(!fault, fault);
    require(body->length <= BODY_MAX, "a body without bounds");
}

static void check_text(const struct buffer *text)
{
    struct buffer lines = {0};
    check_format(text, false);
    pick_lines(text, &lines);
    require(lines.length == neighbour.lines.length &&
                memcmp(lines.at, neighbour.lines.at, lines.length) == 0,
            "a stranger changed its neighbour's lines");
    buffer_fini(&lines);
}

/* The formats that have the same samples, names escaped in one way. */
static void check_others(struct gather *gather, smx_reader *stranger, enum escaping escaping)
{
    struct buffer openmetrics = {0}, proto = {0};
    size_t at;
    gather_messages(gather);
    gather_escaping(gather, escaping);
    struct snapshot snapshot = *scrape(gather, stranger);
    snapshot.escaping = escaping;
    require(openmetrics_encode(&snapshot, &openmetrics) == 0 &&
                proto_encode(&snapshot, &proto) == 0,
            "an encoder failed");
    check_format(&openmetrics, true);
    const char *fault = messages_fault(proto.at, proto.length, &at);
    require(!fault, fault);
    buffer_fini(&openmetrics);
    buffer_fini(&proto);
}

/* Two bodies are the same; else show the line from which on they are not. */
static void check_same(const struct buffer *a, const struct buffer *b, const char *what)
{
    size_t n = a->length < b->length ? a->length : b->length, line = 0;
    for (size_t i = 0; i < n && a->at[i] == b->at[i]; i++)
        line = a->at[i] == '\n' ? i + 1 : line;
    bool same = a->length == b->length && memcmp(a->at, b->at, n) == 0;
    if (!same)
        (void)fprintf(stderr, "one:\n%.*s\nthe other:\n%.*s\n", (int)(a->length - line),
                      a->at + line, (int)(b->length - line), b->at + line);
    require(same, what);
}

static void read_once(const struct steps *steps, struct gather *gather, smx_reader **reader)
{
    struct buffer text = {0};
    if (look(steps, reader)) {
        encode(gather, *reader, &text);
        check_text(&text);
    }
    buffer_fini(&text);
}

/* Publish as nothing was before: a hash of the input, which it cannot hold itself. A mere next
 * number may be the one that the reader knows already, if the input has put the count back. */
static void publish(struct steps *steps, const uint8_t *data, size_t size)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * UINT64_C(0x100000001b3);
    steps_do(steps, &(struct step){.kind = STEP_WRITE,
                                   .number = PUBLISHED_AT,
                                   .n = sizeof hash,
                                   .bytes = (const uint8_t *)&hash});
}

/* Once something was published, what the reader kept must not tell it from one that comes anew; and
 * who reads the same twice sees the same twice. */
static void compare(const struct steps *steps, struct gather *gather, smx_reader **reader)
{
    struct buffer kept = {0}, anew = {0}, again = {0};
    struct gather *another;
    smx_reader *newcomer = NULL;
    require(gather_new(&another) == 0, "no memory");
    bool seen = look(steps, reader);
    require(look(steps, &newcomer) == seen, "one reader can read what the other cannot");
    if (seen) {
        encode(gather, *reader, &kept);
        check_text(&kept);
        for (unsigned i = 0; i < ESCAPING_COUNT; i++)
            check_others(gather, *reader, (enum escaping)i);
        encode(another, newcomer, &anew);
        check_same(&kept, &anew, "a reader that comes anew sees another segment");
        require(look(steps, reader), "what could be read once cannot be read again");
        encode(gather, *reader, &again);
        check_same(&kept, &again, "the same bytes gave another body");
    }
    buffer_fini(&kept);
    buffer_fini(&anew);
    buffer_fini(&again);
    gather_free(another);
    smx_reader_close(newcomer);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct steps steps;
    struct gather *gather;
    smx_reader *reader = NULL;
    if (!neighbour.reader)
        make_neighbour();
    steps_begin(&steps, data, size);
    require(gather_new(&gather) == 0, "no memory");
    while (steps_until_read(&steps))
        read_once(&steps, gather, &reader);
    publish(&steps, data, size);
    compare(&steps, gather, &reader);
    gather_free(gather);
    smx_reader_close(reader);
    steps_end(&steps);
    return 0;
}
