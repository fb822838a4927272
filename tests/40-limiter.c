/* SPDX-License-Identifier: MIT
 *
 * 40-limiter.c - how often somebody may ask, and by which name: the buckets of tokens, and the
 * header Host.
 */
#include "agent/web/hosts.h"
#include "agent/web/limiter.h"
#include "support/tap.h"

#include <string.h>

#define S UINT64_C(1000000000)

static const struct limiter_rate two_a_second = {.burst = 4, .interval_ns = S / 2};

static void a_burst_passes_and_then_one_at_a_time(void **state)
{
    (void)state;
    struct limiter *limiter;
    uint64_t now = 1000 * S;
    assert_int_equal(limiter_new(&limiter), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(limiter_take(limiter, &two_a_second, 7, now), 0);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now), S / 2);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now + S / 4), S / 4);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now + S / 2), 0);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now + S / 2), S / 2);
    limiter_free(limiter);
}

static void who_rests_has_a_burst_again_and_no_more(void **state)
{
    (void)state;
    struct limiter *limiter;
    assert_int_equal(limiter_new(&limiter), 0);
    for (uint64_t now = 5 * S; now < 5000 * S; now += 1000 * S) {
        int n = 0;
        while (limiter_take(limiter, &two_a_second, 7, now) == 0)
            n++;
        assert_int_equal(n, 4);
    }
    limiter_free(limiter);
}

static void addresses_have_buckets_of_their_own(void **state)
{
    (void)state;
    struct limiter *limiter;
    uint64_t now = 1000 * S;
    assert_int_equal(limiter_new(&limiter), 0);
    while (limiter_take(limiter, &two_a_second, 7, now) == 0)
        continue;
    assert_int_equal(limiter_take(limiter, &two_a_second, 0, now), 0);
    assert_int_equal(limiter_take(limiter, &two_a_second, UINT64_MAX, now), 0);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now), S / 2);
    limiter_free(limiter);
}

/* A million addresses push out those that asked little, before one that is at its limit. */
static void the_one_at_its_limit_is_remembered_in_a_crowd(void **state)
{
    (void)state;
    struct limiter *limiter;
    uint64_t now = 1000 * S;
    assert_int_equal(limiter_new(&limiter), 0);
    while (limiter_take(limiter, &two_a_second, 7, now) == 0)
        continue;
    for (uint64_t i = 1000; i < 1001000; i++)
        assert_int_equal(limiter_take(limiter, &two_a_second, i, now), 0);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now), S / 2);
    limiter_free(limiter);
}

static void a_token_can_be_given_back(void **state)
{
    (void)state;
    struct limiter *limiter;
    uint64_t now = 1000 * S;
    assert_int_equal(limiter_new(&limiter), 0);
    limiter_give(limiter, &two_a_second, 7);
    while (limiter_take(limiter, &two_a_second, 7, now) == 0)
        continue;
    limiter_give(limiter, &two_a_second, 7);
    assert_int_equal(limiter_take(limiter, &two_a_second, 7, now), 0);
    assert_int_not_equal(limiter_take(limiter, &two_a_second, 7, now), 0);
    limiter_free(limiter);
}

static void without_an_interval_there_is_no_limit(void **state)
{
    (void)state;
    const struct limiter_rate none = {.interval_ns = 0};
    struct limiter_bucket bucket = {.full_ns = 0};
    struct limiter *limiter;
    assert_int_equal(limiter_new(&limiter), 0);
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(limiter_take(limiter, &none, 7, S), 0);
        assert_int_equal(limiter_take_of(&bucket, &none, S), 0);
    }
    limiter_free(limiter);
}

static void a_shared_bucket_is_one_for_all(void **state)
{
    (void)state;
    struct limiter_bucket bucket = {.full_ns = 0};
    for (int i = 0; i < 4; i++)
        assert_int_equal(limiter_take_of(&bucket, &two_a_second, S), 0);
    assert_int_equal(limiter_take_of(&bucket, &two_a_second, S), S / 2);
}

static void a_host_is_an_address_or_a_name_of_ours(void **state)
{
    static const char *const names[] = {"metrics.example.com", "agent"};
    static const struct {
        const char *host;
        bool known;
    } cases[] = {
        {"localhost", true},
        {"localhost:9745", true},
        {"LocalHost:1", true},
        {"app.localhost:9745", true},
        {"127.0.0.1", true},
        {"127.0.0.1:9745", true},
        {"10.1.2.3:80", true},
        {"[::1]", true},
        {"[::1]:9745", true},
        {"[fe80::1]:9745", true},
        {"metrics.example.com", true},
        {"Metrics.Example.COM:443", true},
        {"metrics.example.com.", true},
        {"agent:1", true},
        {"evil.com", false},
        {"evil.com:9745", false},
        {"localhost.evil.com", false},
        {"evil-localhost", false},
        {".localhost", false},
        {"127.0.0.1.evil.com", false},
        {"127.0.0.1:x", false},
        {"agent.evil.com", false},
        {"agen", false},
        {"agent2", false},
        {"", false},
        {":9745", false},
        {"[::1", false},
        {"[::1]x", false},
        {"[evil.com]", false},
        {"localhost:9745:1", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (hosts_know(cases[i].host, names, 2) != cases[i].known)
            fail_msg("\"%s\" is %s", cases[i].host, cases[i].known ? "not known" : "known");
    char longest[400];
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    assert_false(hosts_know(longest, names, 2));
    assert_false(hosts_check(longest));
    assert_true(hosts_check("metrics.example.com"));
    assert_false(hosts_check("metrics.example.com:80"));
    assert_false(hosts_check(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_passes_and_then_one_at_a_time),
        cmocka_unit_test(who_rests_has_a_burst_again_and_no_more),
        cmocka_unit_test(addresses_have_buckets_of_their_own),
        cmocka_unit_test(the_one_at_its_limit_is_remembered_in_a_crowd),
        cmocka_unit_test(a_token_can_be_given_back),
        cmocka_unit_test(without_an_interval_there_is_no_limit),
        cmocka_unit_test(a_shared_bucket_is_one_for_all),
        cmocka_unit_test(a_host_is_an_address_or_a_name_of_ours),
    };
    return RUN_TESTS(tests);
}
