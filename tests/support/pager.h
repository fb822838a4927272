/* SPDX-License-Identifier: MIT
 *
 * pager.h - the agent's maker of pages behind a real server, and scrapers, in one process: a turn
 * of the loop does one piece of work, and a page takes dozens, so that the order of events is no
 * matter of time.
 */
#ifndef SMX_TESTS_PAGER_H
#define SMX_TESTS_PAGER_H

#include "agent/http/listen.h"
#include "agent/pages/pages.h"
#include "support/scratch.h"

#include <smx/smx.h>

#define MS   UINT64_C(1000000)
#define HOUR (UINT64_C(3600000) * MS)

enum { LARGE = 60000, CLIENTS = 40, ANSWER_SIZE = 4 << 20, ANSWERS_MOST = 7 << 20 };

#define REQUEST(query, headers) "GET /metrics" query " HTTP/1.1\r\nHost: a\r\n" headers "\r\n"
#define TIMEOUT(seconds)        "X-Prometheus-Scrape-Timeout-Seconds: " seconds "\r\n"
#define OPENMETRICS             "Accept: application/openmetrics-text;version=1.0.0\r\n"
#define PROTOBUF                                                                                   \
    "Accept: application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"             \
    "encoding=delimited\r\n"

extern struct pager {
    char directory[SCRATCH_SIZE];
    smx_counter small;
    struct log log;
    struct loop *loop;
    struct segments *segments;
    struct pages *pages;
    struct http *http;
    struct listen_socket socket;
    bool drained;
} pager;

/* What a client has got so far. */
struct client {
    int fd;
    char *answer;
    size_t length;
};

/* For cmocka: a directory with the segments of `large`, of LARGE series, and of `small`. */
int pager_setup(void **state);
int pager_teardown(void **state);

/* Another one, with a counter of so many series. */
void pager_open_large(const char *app, const char *name, unsigned series);

void pager_start(uint64_t max_age_ns);
void pager_finish(void);

/* Connect and ask; the loop need not have turned. */
struct client pager_ask(const char *request);
void pager_leave(struct client *c);

/* The body of a whole answer, or NULL: take what has come. */
const char *pager_body_of(struct client *c);
unsigned pager_status_of(const struct client *c);

void pager_turn(void);

/* In turns: until the agent has read the request and begun. */
void pager_let_it_begin(struct client *c);

/* Turn until there is an answer, ten seconds at most. */
const char *pager_wait_for(struct client *c);

/* How often a text is in a body. */
unsigned pager_count(const char *body, const char *text);

/* Whether a line is in it. */
bool pager_says(const char *body, const char *line);

/* Ask, and find the counter of `small` in the answer. */
void pager_expect_small(uint64_t expected, const char *query);

#endif
