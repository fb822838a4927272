/* SPDX-License-Identifier: MIT
 *
 * 40-users.c - who may ask: hashes by bcrypt, checked beside the loop by the thread in its sandbox,
 * and credentials that are remembered.
 */
#include "agent/web/passwords.h"
#include "agent/web/users.h"
#include "support/tap.h"
#include "support/worker.h"

#include <crypt.h>
#include <gnutls/gnutls.h>
#include <stdatomic.h>
#include <string.h>

#define MS UINT64_C(1000000)

/* "secret", "secret" and "", of cost 4. */
#define SECRET    "$2y$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S"
#define SECRET_2B "$2b$04$MUXPZzzDHRKEb6F9Yc5l5uS/A4hW5iyB4QgK7zYe1rvoHq0AMYA.i"
#define EMPTY     "$2a$04$Oq3aQJ4OCFg1jjKUpxmJxOyvKPls5wTldVKbnY5gbN38lD1B/VY8i"

static int done;
static atomic_uint rounds; /* that were computed, by the cost of each hash */

char *__real_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);
char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data);

char *__wrap_crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    unsigned cost = passwords_cost(setting);
    atomic_fetch_add(&rounds, cost ? 1u << cost : 0);
    return __real_crypt_r(phrase, setting, data);
}

static void note(void *context, struct passwords_check *check)
{
    (void)check;
    (void)context;
    done++;
}

static void wait_for(struct loop *loop, int n)
{
    uint64_t end = loop_now_ns() + PATIENCE_NS;
    while (done < n) {
        assert_true(loop_now_ns() < end);
        assert_int_equal(loop_turn(loop, 10 * MS), 0);
    }
}

static bool is_right(struct loop *loop, struct passwords *passwords, const char *hash,
                     const char *password)
{
    struct passwords_check check = {.done = note};
    strcpy(check.hash, hash);
    strcpy(check.password, password);
    done = 0;
    passwords_start(passwords, &check);
    wait_for(loop, 1);
    for (size_t i = 0; i < sizeof check.password; i++)
        assert_int_equal(check.password[i], 0);
    return check.right;
}

/* In a process of its own: the thread's sandbox is for ever, and inherited by no one else. */
static int check_some(void *argument)
{
    const bool *sandboxed = argument;
    struct loop *loop;
    struct passwords *passwords;
    CHECK(loop_new(LOOP_AUTO, &loop) == 0);
    CHECK(passwords_new(loop, *sandboxed, &passwords) == 0);
    CHECK(is_right(loop, passwords, SECRET, "secret"));
    CHECK(!is_right(loop, passwords, SECRET, "Secret"));
    CHECK(!is_right(loop, passwords, SECRET, ""));
    CHECK(!is_right(loop, passwords, "*0", "secret"));
    CHECK(!is_right(loop, passwords, "", ""));
    CHECK(is_right(loop, passwords, SECRET_2B, "secret"));
    CHECK(!is_right(loop, passwords, SECRET_2B, ""));
    CHECK(is_right(loop, passwords, EMPTY, ""));
    CHECK(!is_right(loop, passwords, EMPTY, "secret"));
    passwords_free(passwords);
    loop_free(loop);
    return 0;
}

static void a_password_is_checked_beside_the_loop(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        bool sandboxed = i;
        assert_int_equal(worker_run(check_some, &sandboxed), 0);
    }
}

/* Of every hash up to cost 7, with as much as that asked for. */
static void a_wrong_password_takes_as_many_rounds_whatever_its_hash(void **state)
{
    (void)state;
    struct loop *loop;
    struct passwords *passwords;
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    assert_int_equal(passwords_new(loop, false, &passwords), 0);
    for (unsigned cost = 4; cost <= 7; cost++) {
        struct passwords_check check = {.at_least = 7, .password = "wrong", .done = note};
        strcpy(check.hash, SECRET);
        check.hash[5] = (char)('0' + cost);
        rounds = 0;
        done = 0;
        passwords_start(passwords, &check);
        wait_for(loop, 1);
        assert_false(check.right);
        assert_int_equal(rounds, 1 << 7);
    }
    rounds = 0;
    assert_true(is_right(loop, passwords, SECRET, "secret"));
    assert_int_equal(rounds, 1 << 4);
    passwords_free(passwords);
    loop_free(loop);
}

static void many_are_checked_one_after_another_while_the_loop_turns(void **state)
{
    enum { N = 40 };
    (void)state;
    static struct passwords_check checks[N];
    struct loop *loop;
    struct passwords *passwords;
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    assert_int_equal(passwords_new(loop, false, &passwords), 0);
    done = 0;
    for (int i = 0; i < N; i++) {
        checks[i] = (struct passwords_check){.done = note};
        strcpy(checks[i].hash, SECRET);
        strcpy(checks[i].password, i % 3 ? "wrong" : "secret");
        passwords_start(passwords, &checks[i]);
    }
    uint64_t before = loop_turns(loop);
    wait_for(loop, N);
    assert_true(loop_turns(loop) - before >= N);
    for (int i = 0; i < N; i++)
        assert_int_equal(checks[i].right, i % 3 == 0);
    passwords_free(passwords);
    loop_free(loop);
}

static void one_that_is_at_work_is_left_to_itself(void **state)
{
    (void)state;
    struct passwords_check check = {.done = note};
    struct loop *loop;
    struct passwords *passwords;
    assert_int_equal(loop_new(LOOP_AUTO, &loop), 0);
    assert_int_equal(passwords_new(loop, false, &passwords), 0);
    strcpy(check.hash, SECRET);
    memcpy(check.hash + 4, "12", 2); /* some hundred milliseconds */
    done = 0;
    passwords_start(passwords, &check);
    passwords_free(passwords);
    loop_free(loop);
    assert_int_equal(done, 0);
}

static void hashes_are_told_from_other_texts(void **state)
{
    (void)state;
    assert_int_equal(passwords_cost(SECRET), 4);
    assert_int_equal(passwords_cost(SECRET_2B), 4);
    assert_int_equal(passwords_cost(EMPTY), 4);
    assert_int_equal(passwords_cost("$2y$12$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S"),
                     12);
    static const char *const wrong[] = {
        "",
        "secret",
        "$2y$04$",
        "$2y$03$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S",
        "$2y$32$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S",
        "$2x$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S",
        "$1y$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S",
        "$2y$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11",
        "$2y$04$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11Sx",
        "$2y$04$69cYko9GMxvz8uZniKYl8!R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S",
        "$2y$ 4$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(passwords_cost(wrong[i]), 0);
}

/* A header of name:password; a static text. */
static const char *header(const char *credentials)
{
    static char text[2048];
    gnutls_datum_t plain = {(unsigned char *)(uintptr_t)credentials, (unsigned)strlen(credentials)};
    gnutls_datum_t coded;
    assert_int_equal(gnutls_base64_encode2(&plain, &coded), 0);
    snprintf(text, sizeof text, "Basic %.*s", (int)coded.size, coded.data);
    gnutls_free(coded.data);
    return text;
}

static struct users *two_users(const struct users *before)
{
    static const struct users_entry list[] = {{"alice", SECRET}, {"bob", SECRET}};
    struct users *users;
    assert_int_equal(users_new(list, 2, before, &users), 0);
    return users;
}

static void who_was_right_is_known_from_then_on(void **state)
{
    (void)state;
    struct users_claim claim, other;
    struct users *users = two_users(NULL);
    assert_int_equal(users_judge(users, header("alice:secret"), &claim), USERS_UNKNOWN);
    assert_true(claim.known);
    assert_string_equal(claim.hash, SECRET);
    assert_string_equal(claim.password, "secret");
    users_confirm(users, &claim);
    assert_int_equal(users_judge(users, header("alice:secret"), &other), USERS_RIGHT);
    assert_int_equal(users_judge(users, header("alice:secret2"), &other), USERS_UNKNOWN);
    assert_int_equal(users_judge(users, header("alice:"), &other), USERS_UNKNOWN);
    /* The same password and even the same hash are another's. */
    assert_int_equal(users_judge(users, header("bob:secret"), &other), USERS_UNKNOWN);
    assert_false(secrets_equal(&claim.digest, &other.digest));
    assert_int_equal(users_judge(users, header("alice:secret"), &other), USERS_RIGHT);
    users_free(users);
}

static void somebody_who_does_not_exist_is_checked_too(void **state)
{
    (void)state;
    struct users_claim claim, other;
    struct users *users = two_users(NULL);
    assert_int_equal(users_judge(users, header("eve:secret"), &claim), USERS_UNKNOWN);
    assert_false(claim.known);
    assert_int_equal(passwords_cost(claim.hash), 4);
    users_confirm(users, &claim); /* does nothing */
    assert_int_equal(users_judge(users, header("eve:secret"), &other), USERS_UNKNOWN);
    users_free(users);
}

/* Whether there is a user is not told by how long it takes to refuse him. */
static void all_take_as_long_as_the_costliest(void **state)
{
    (void)state;
    static const char costlier[] = "$2y$12$69cYko9GMxvz8uZniKYl8.R/Dq/03WIRDjGCvYyb1KHMW2l0Qh11S";
    static const struct users_entry list[] = {
        {"alice", SECRET}, {"bob", costlier}, {"carol", SECRET}};
    static const char *const names[] = {"alice:x", "bob:x", "carol:x", "eve:x"};
    struct users_claim claim;
    struct users *users;
    assert_int_equal(users_new(list, 3, NULL, &users), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_int_equal(users_judge(users, header(names[i]), &claim), USERS_UNKNOWN);
        assert_int_equal(claim.at_least, 12);
    }
    users_free(users);
}

static void what_are_no_credentials_is_not_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {NULL,
                                        "",
                                        "Basic",
                                        "Basic ",
                                        "Basic !!!!",
                                        "Bearer YWxpY2U6c2VjcmV0",
                                        "Basic YWxpY2U=", /* no colon */
                                        "Basic YWxpY2UAOnNlY3JldA==" /* a NUL */};
    char longest[1100];
    struct users_claim claim;
    struct users *users = two_users(NULL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_int_equal(users_judge(users, wrong[i], &claim), USERS_NOBODY);
    memset(longest, 'a', sizeof longest);
    longest[sizeof longest - 1] = 0;
    longest[200] = ':'; /* a name that is too long */
    longest[210] = 0;
    assert_int_equal(users_judge(users, header(longest), &claim), USERS_NOBODY);
    longest[210] = 'a';
    longest[5] = ':'; /* a password that is */
    assert_int_equal(users_judge(users, header(longest), &claim), USERS_NOBODY);
    assert_int_equal(users_judge(users, "basic  YWxpY2U6c2VjcmV0", &claim), USERS_UNKNOWN);
    users_free(users);
}

static void another_table_keeps_whom_it_can(void **state)
{
    (void)state;
    static const struct users_entry changed[] = {{"alice", SECRET_2B}, {"bob", SECRET}};
    struct users_claim alice, bob, other;
    struct users *users = two_users(NULL), *next, *last;
    assert_int_equal(users_judge(users, header("alice:secret"), &alice), USERS_UNKNOWN);
    assert_int_equal(users_judge(users, header("bob:secret"), &bob), USERS_UNKNOWN);
    users_confirm(users, &alice);
    users_confirm(users, &bob);
    assert_int_equal(users_new(changed, 2, users, &next), 0);
    assert_int_equal(users_judge(next, header("bob:secret"), &other), USERS_RIGHT);
    assert_int_equal(users_judge(next, header("alice:secret"), &other), USERS_UNKNOWN);
    users_confirm(next, &alice); /* was checked against the old hash */
    assert_int_equal(users_judge(next, header("alice:secret"), &other), USERS_UNKNOWN);
    assert_int_equal(users_new(changed + 1, 1, next, &last), 0);
    users_free(users);
    users_free(next);
    assert_int_equal(users_judge(last, header("bob:secret"), &other), USERS_RIGHT);
    assert_int_equal(users_judge(last, header("alice:secret"), &other), USERS_UNKNOWN);
    assert_false(other.known);
    users_free(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_password_is_checked_beside_the_loop),
        cmocka_unit_test(a_wrong_password_takes_as_many_rounds_whatever_its_hash),
        cmocka_unit_test(many_are_checked_one_after_another_while_the_loop_turns),
        cmocka_unit_test(one_that_is_at_work_is_left_to_itself),
        cmocka_unit_test(hashes_are_told_from_other_texts),
        cmocka_unit_test(who_was_right_is_known_from_then_on),
        cmocka_unit_test(somebody_who_does_not_exist_is_checked_too),
        cmocka_unit_test(all_take_as_long_as_the_costliest),
        cmocka_unit_test(what_are_no_credentials_is_not_checked),
        cmocka_unit_test(another_table_keeps_whom_it_can),
    };
    return RUN_TESTS(tests);
}
