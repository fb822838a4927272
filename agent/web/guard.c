/* SPDX-License-Identifier: MIT
 *
 * guard.c - the checks before a page, the cheap ones first. In the loop's thread.
 */
#include "agent/web/guard.h"
#include "agent/web/hosts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHECKS_MAX = 32, WAITERS_MAX = 64 };

#define MINUTE_NS UINT64_C(60000000000)

/* Wrong passwords from one address: some at once, then one in five seconds. */
static const struct limiter_rate attempts = {.burst = 16, .interval_ns = UINT64_C(5000000000)};

/* Credentials that are being checked, and the requests that wait for it. */
struct check {
    struct passwords_check base; /* first */
    struct guard *guard;
    struct users_claim claim;
    uint64_t address;
    char peer[HTTP_PEER_NAME_SIZE];
    struct http_deferred *waiters[WAITERS_MAX];
    size_t n_waiters;
};

struct guard {
    struct guard_options options;
    struct users *users;
    struct limiter_rate of_all, of_address;
    struct limiter_bucket all;
    struct limiter *handshakes, *requests, *failures;
    struct check *checks[CHECKS_MAX];
    size_t n_checks;
    uint64_t said_ns; /* when the log last told of wrong credentials; 0: never */
    struct self_web counts;
};

int guard_new(const struct guard_options *options, struct guard **out)
{
    struct guard *guard = calloc(1, sizeof *guard);
    if (!guard)
        return -ENOMEM;
    guard->options = *options;
    if (limiter_new(&guard->handshakes) < 0 || limiter_new(&guard->requests) < 0 ||
        limiter_new(&guard->failures) < 0) {
        guard_free(guard);
        return -ENOMEM;
    }
    *out = guard;
    return 0;
}

void guard_free(struct guard *guard)
{
    if (!guard)
        return;
    for (size_t i = 0; i < guard->n_checks; i++) {
        secrets_forget(guard->checks[i], sizeof *guard->checks[i]);
        free(guard->checks[i]);
    }
    limiter_free(guard->handshakes);
    limiter_free(guard->requests);
    limiter_free(guard->failures);
    free(guard);
}

void guard_use(struct guard *guard, struct users *users, const struct limiter_rate *of_all)
{
    guard->users = users;
    guard->of_all = *of_all;
}

void guard_limit(struct guard *guard, uint64_t rate)
{
    guard->of_address =
        (struct limiter_rate){.burst = 4 * rate, .interval_ns = rate ? 1000000000 / rate : 0};
}

static void refuse_until(struct guard *guard, struct http_reply *reply, uint64_t wait_ns,
                         const char *why)
{
    guard->counts.limited++;
    http_say(reply, 429, why);
    reply->retry_after_s = (unsigned)((wait_ns + 999999999) / 1000000000);
}

/* Whom a browser asks by a name that is not ours has been led here by somebody else's. What is no
 * browser may leave out the name. */
static bool has_our_name(const struct guard *guard, const struct http_request *request)
{
    const struct guard_options *options = &guard->options;
    bool asked = request->peer.scope == LISTEN_LOOPBACK ||
                 (request->peer.scope == LISTEN_NETWORK && options->n_hosts > 0);
    return !asked || !request->host || hosts_know(request->host, options->hosts, options->n_hosts);
}

/* Returns: 0, or in how many nanoseconds there is a token. */
static uint64_t take_token(struct guard *guard, const struct http_request *request)
{
    uint64_t now = loop_now_ns();
    uint64_t wait = limiter_take_of(&guard->all, &guard->of_all, now);
    if (wait == 0 && !request->peer.local)
        wait = limiter_take(guard->requests, &guard->of_address, request->peer.address, now);
    return wait;
}

/* A handshake takes the loop a millisecond, and nobody has asked for anything by then. Twice as
 * often, or who asks too often on a connection each would not hear 429. */
bool guard_admits(struct guard *guard, const struct peer *peer)
{
    const struct limiter_rate rate = {.burst = 2 * guard->of_address.burst,
                                      .interval_ns = guard->of_address.interval_ns / 2};
    bool may =
        peer->local || limiter_take(guard->handshakes, &rate, peer->address, loop_now_ns()) == 0;
    guard->counts.limited += !may;
    return may;
}

static void challenge(struct guard *guard, struct http_reply *reply)
{
    guard->counts.unauthorized++;
    http_say(reply, 401, "this needs a user and a password");
    reply->challenge = "Basic realm=\"smx-agent\", charset=\"UTF-8\"";
}

static struct check *find_check(const struct guard *guard, const struct users_claim *claim)
{
    for (size_t i = 0; i < guard->n_checks; i++)
        if (secrets_equal(&guard->checks[i]->claim.digest, &claim->digest))
            return guard->checks[i];
    return NULL;
}

static void log_wrong(struct guard *guard, const struct check *check)
{
    uint64_t now = loop_now_ns();
    if (guard->said_ns && now - guard->said_ns < MINUTE_NS)
        return;
    guard->said_ns = now;
    static const char what_to_do[] =
        "compare the scraper's basic_auth with basic_auth_users; "
        "others within a minute are only counted, by smx_agent_http_unauthorized_total";
    LOG_WARN(guard->options.log, "wrong user or password", "address", check->peer, "do",
             what_to_do);
}

static void answer_waiters(struct check *check, bool right)
{
    struct guard *guard = check->guard;
    for (size_t i = 0; i < check->n_waiters; i++) {
        struct http_reply reply = {0};
        if (right) {
            http_retry(check->waiters[i]);
            continue;
        }
        challenge(guard, &reply);
        http_answer(check->waiters[i], &reply);
    }
}

/* What was right by a hash that is no more is asked for again by its request. */
static void checked(void *context, struct passwords_check *base)
{
    struct check *check = (struct check *)base;
    struct guard *guard = context;
    bool right = base->right && check->claim.known;
    size_t i = 0;
    while (guard->checks[i] != check)
        i++;
    guard->checks[i] = guard->checks[--guard->n_checks];
    if (right) {
        limiter_give(guard->failures, &attempts, check->address);
        if (guard->users)
            users_confirm(guard->users, &check->claim);
    } else {
        log_wrong(guard, check);
    }
    answer_waiters(check, right);
    secrets_forget(check, sizeof *check);
    free(check);
}

static struct check *begin_check(struct guard *guard, const struct http_request *request,
                                 const struct users_claim *claim)
{
    struct check *check = calloc(1, sizeof *check);
    if (!check)
        return NULL;
    *check =
        (struct check){.base = {.at_least = claim->at_least, .done = checked, .context = guard},
                       .guard = guard,
                       .claim = *claim,
                       .address = request->peer.address};
    memcpy(check->base.hash, claim->hash, sizeof claim->hash);
    memcpy(check->base.password, claim->password, sizeof claim->password);
    secrets_forget(check->claim.password, sizeof check->claim.password);
    http_peer_name(request, check->peer);
    guard->checks[guard->n_checks++] = check;
    return check;
}

/* Let a request wait until its credentials are checked. */
static void check_first(struct guard *guard, const struct http_request *request,
                        const struct users_claim *claim, struct http_reply *reply)
{
    struct check *check = find_check(guard, claim);
    bool is_new = !check;
    uint64_t wait = 0;
    if (is_new && guard->n_checks == CHECKS_MAX)
        wait = 1;
    else if (is_new)
        wait = limiter_take(guard->failures, &attempts, request->peer.address, loop_now_ns());
    else if (check->n_waiters == WAITERS_MAX)
        wait = 1;
    if (wait > 0) {
        refuse_until(guard, reply, wait, "too many passwords to check; try later");
        return;
    }
    if (is_new)
        check = begin_check(guard, request, claim);
    struct http_deferred *deferred = check ? http_defer(request) : NULL;
    if (deferred)
        check->waiters[check->n_waiters++] = deferred;
    else
        http_say(reply, 503, "out of memory");
    if (is_new && check)
        passwords_start(guard->options.passwords, &check->base);
}

/* Returns: whether the request may pass; else it is answered, or will be. */
static bool admit(struct guard *guard, const struct http_request *request, struct http_reply *reply)
{
    struct users_claim claim;
    if (!guard->users)
        return true;
    switch (users_judge(guard->users, request->authorization, &claim)) {
    case USERS_RIGHT:
        return true;
    case USERS_UNKNOWN:
        check_first(guard, request, &claim, reply);
        secrets_forget(&claim, sizeof claim);
        return false;
    default:
        challenge(guard, reply);
        return false;
    }
}

void guard_answer(void *context, const struct http_request *request, struct http_reply *reply)
{
    struct guard *guard = context;
    const struct guard_options *options = &guard->options;
    bool open = options->is_open(request->path);
    if (!open && !has_our_name(guard, request)) {
        guard->counts.misdirected++;
        http_say(reply, 421,
                 "this is not a name of this server; give it by --web.allowed-hosts if it is");
        return;
    }
    uint64_t wait = open || request->again ? 0 : take_token(guard, request);
    if (wait > 0)
        refuse_until(guard, reply, wait, "too many requests; try later");
    else if (open || admit(guard, request, reply))
        options->answer(options->context, request, reply);
}

void guard_stop(struct guard *guard)
{
    for (size_t i = 0; i < guard->n_checks; i++) {
        struct check *check = guard->checks[i];
        for (size_t k = 0; k < check->n_waiters; k++) {
            struct http_reply reply = {0};
            http_say(&reply, 503, "shutting down");
            http_answer(check->waiters[k], &reply);
        }
        check->n_waiters = 0;
    }
}

void guard_count(const struct guard *guard, struct self_web *out)
{
    out->unauthorized = guard->counts.unauthorized;
    out->limited = guard->counts.limited;
    out->misdirected = guard->counts.misdirected;
}
