/* SPDX-License-Identifier: MIT
 *
 * connections.c - a table of a few hundred places, searched from end to end: that takes about a
 * microsecond, and happens once a connection and once an answer.
 */
#include "agent/http/connections.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct connections {
    struct connections_limits limits;
    size_t n; /* without those that were dropped */
    uint64_t accepted;
    size_t held_bytes; /* of the answers being sent, each once however many take it */
    struct self_count dropped[CONNECTIONS_REASONS];
    size_t n_places;
    struct connection places[];
};

int connections_new(const struct connections_limits *limits, struct connections **out)
{
    static const char *const names[CONNECTIONS_REASONS] = {"full",        "address", "slow_request",
                                                           "slow_answer", "memory",  "descriptors"};
    size_t n = limits->connections + CONNECTIONS_SLACK;
    struct connections *connections =
        calloc(1, sizeof *connections + n * sizeof connections->places[0]);
    if (!connections)
        return -ENOMEM;
    connections->limits = *limits;
    connections->n_places = n;
    for (size_t i = 0; i < n; i++)
        connections->places[i].fd = -1;
    for (size_t i = 0; i < CONNECTIONS_REASONS; i++)
        connections->dropped[i].name = names[i];
    *out = connections;
    return 0;
}

static void release(struct connections *connections, struct connection *connection)
{
    struct body *body = connection->body;
    if (body && --body->takers == 0)
        connections->held_bytes -= body->bytes.length;
    body_unref(body);
    connection->body = NULL;
}

void connections_free(struct connections *connections)
{
    for (size_t i = 0; connections && i < connections->n_places; i++)
        release(connections, &connections->places[i]);
    free(connections);
}

/* What is not sent yet is thrown away with the connection, or the kernel would keep it for a peer
 * that does not read. */
static void drop(struct connections *connections, struct connection *connection,
                 enum connections_reason reason)
{
    const struct linger at_once = {.l_onoff = 1};
    setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    shutdown(connection->fd, SHUT_RDWR);
    release(connections, connection);
    connection->dropped = true;
    connections->n--;
    connections->dropped[reason].n++;
}

static bool is_here(const struct connection *connection)
{
    return connection->fd >= 0 && !connection->dropped;
}

/* The one that waits or answers the longest; of one address, unless that is NULL. */
static struct connection *oldest(struct connections *connections, bool answering,
                                 const uint64_t *address)
{
    struct connection *found = NULL;
    for (size_t i = 0; i < connections->n_places; i++) {
        struct connection *c = &connections->places[i];
        if (is_here(c) && c->answering == answering && (!address || c->peer.address == *address) &&
            (!found || c->since_ns < found->since_ns))
            found = c;
    }
    return found;
}

/* One that still has to ask goes before one that is being answered. */
static void drop_oldest(struct connections *connections, const uint64_t *address,
                        enum connections_reason reason)
{
    struct connection *connection = oldest(connections, false, address);
    if (!connection)
        connection = oldest(connections, true, address);
    if (connection)
        drop(connections, connection, reason);
}

static void make_room(struct connections *connections, uint64_t address)
{
    size_t most = connections->limits.connections, same = 0;
    for (size_t i = 0; i < connections->n_places; i++)
        same += is_here(&connections->places[i]) && connections->places[i].peer.address == address;
    if (same >= most - most / 4)
        drop_oldest(connections, &address, CONNECTIONS_ADDRESS);
    else if (connections->n >= most)
        drop_oldest(connections, NULL, CONNECTIONS_FULL);
}

struct connection *connections_add(struct connections *connections, int fd, const struct peer *peer,
                                   uint64_t now_ns)
{
    size_t i = 0;
    while (i < connections->n_places && connections->places[i].fd >= 0)
        i++;
    if (i == connections->n_places)
        return NULL;
    make_room(connections, peer->address);
    connections->n++;
    connections->accepted++;
    connections->places[i] = (struct connection){.fd = fd, .since_ns = now_ns, .peer = *peer};
    return &connections->places[i];
}

void connections_remove(struct connections *connections, struct connection *connection)
{
    if (!connection->dropped)
        connections->n--;
    release(connections, connection);
    *connection = (struct connection){.fd = -1};
}

/* By the largest of those being sent, or a small answer would end a large one. */
static size_t answers_limit(const struct connections *connections)
{
    size_t largest = 0;
    for (size_t i = 0; i < connections->n_places; i++) {
        const struct body *body = connections->places[i].body;
        if (body && body->bytes.length > largest)
            largest = body->bytes.length;
    }
    size_t least = 4 * largest;
    return least > connections->limits.answer_bytes ? least : connections->limits.answer_bytes;
}

/* Those that take the answer that was begun the longest ago. False: there is none. */
static bool drop_oldest_answer(struct connections *connections)
{
    const struct connection *first = NULL;
    for (size_t i = 0; i < connections->n_places; i++) {
        const struct connection *c = &connections->places[i];
        if (is_here(c) && c->body && (!first || c->since_ns < first->since_ns))
            first = c;
    }
    if (!first)
        return false;
    const struct body *body = first->body;
    for (size_t i = 0; i < connections->n_places; i++)
        if (is_here(&connections->places[i]) && connections->places[i].body == body)
            drop(connections, &connections->places[i], CONNECTIONS_MEMORY);
    return true;
}

void connections_begin(struct connection *connection, uint64_t now_ns)
{
    connection->answering = true;
    connection->since_ns = now_ns;
}

void connections_answer(struct connections *connections, struct connection *connection,
                        struct body *body, uint64_t now_ns)
{
    if (connection->dropped)
        return;
    release(connections, connection);
    connection->body = body_ref(body);
    connection->answering = true;
    connection->since_ns = now_ns;
    if (body->takers++ > 0)
        return;
    connections->held_bytes += body->bytes.length;
    while (connections->held_bytes > answers_limit(connections) && drop_oldest_answer(connections))
        continue;
}

void connections_wait(struct connections *connections, struct connection *connection,
                      uint64_t now_ns)
{
    release(connections, connection);
    connection->answering = false;
    connection->since_ns = now_ns;
}

/* Nothing that begins after now is due before the earliest of these. */
uint64_t connections_expire(struct connections *connections, uint64_t now_ns)
{
    const struct connections_limits *limits = &connections->limits;
    uint64_t shorter =
        limits->answer_ns < limits->request_ns ? limits->answer_ns : limits->request_ns;
    uint64_t next = connections->n > 0 ? now_ns + shorter : UINT64_MAX;
    for (size_t i = 0; i < connections->n_places; i++) {
        struct connection *c = &connections->places[i];
        uint64_t due = c->since_ns + (c->answering ? limits->answer_ns : limits->request_ns);
        if (!is_here(c))
            continue;
        if (due <= now_ns)
            drop(connections, c, c->answering ? CONNECTIONS_SLOW_ANSWER : CONNECTIONS_SLOW_REQUEST);
        else if (due < next)
            next = due;
    }
    return next;
}

bool connections_yield(struct connections *connections)
{
    struct connection *connection = oldest(connections, false, NULL);
    if (connection)
        drop(connections, connection, CONNECTIONS_DESCRIPTORS);
    return connection != NULL;
}

bool connections_strained(const struct connections *connections)
{
    return connections->held_bytes > connections->limits.answer_bytes / 2;
}

struct self_connections connections_count(const struct connections *connections)
{
    return (struct self_connections){.now = connections->n,
                                     .most = connections->limits.connections,
                                     .accepted = connections->accepted,
                                     .dropped = connections->dropped,
                                     .n_dropped = CONNECTIONS_REASONS};
}
