/* SPDX-License-Identifier: MIT
 *
 * 40-gzip.c - what is compressed is what zlib takes apart again, and only who asks gets it.
 */
#include "support/tap.h"

#include "agent/encode/gzip.h"
#include "agent/http/accept.h"

#include <zlib.h>

/* Take one gzip member apart and compare; nothing may follow it. */
static void assert_round_of(const struct buffer *in, const struct buffer *out)
{
    char *back = malloc(in->length + 1);
    z_stream z = {.next_in = (Bytef *)out->at,
                  .avail_in = (uInt)out->length,
                  .next_out = (Bytef *)back,
                  .avail_out = (uInt)in->length + 1};
    assert_non_null(back);
    assert_int_equal(inflateInit2(&z, 16 + MAX_WBITS), Z_OK);
    assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
    assert_int_equal(z.avail_in, 0);
    assert_int_equal(z.total_out, in->length);
    if (in->length)
        assert_memory_equal(back, in->at, in->length);
    inflateEnd(&z);
    free(back);
}

static void assert_round(const struct buffer *in)
{
    struct buffer out = {0};
    assert_int_equal(gzip_encode(in, &out), 0);
    assert_round_of(in, &out);
    buffer_fini(&out);
}

static void every_length_comes_back(void **state)
{
    (void)state;
    struct buffer in = {0};
    assert_round(&in);
    for (size_t length = 1; length < 2000000; length = length * 3 + 1) {
        while (in.length < length) {
            char line[64];
            snprintf(line, sizeof line, "requests_total{route=\"%zu\"} %zu\n", in.length,
                     in.length * 2654435761u);
            buffer_puts(&in, line);
        }
        in.length = length;
        assert_round(&in);
    }
    buffer_fini(&in);
}

/* Whatever the steps. */
static void in_steps_it_comes_back(void **state)
{
    (void)state;
    struct buffer in = {0};
    for (unsigned i = 0; i < 30000; i++) {
        char line[64];
        snprintf(line, sizeof line, "requests_total{route=\"%u\"} %u\n", i, i * 2654435761u);
        buffer_puts(&in, line);
    }
    for (size_t step = 1000; step < 4 * in.length; step *= 7) {
        struct buffer out = {0};
        struct gzip *gzip = gzip_new();
        size_t steps = 1;
        assert_non_null(gzip);
        for (int more; (more = gzip_step(gzip, &in, step, &out)); steps++)
            assert_int_equal(more, 1);
        assert_true(steps >= in.length / step);
        assert_round_of(&in, &out);
        gzip_free(gzip);
        buffer_fini(&out);
    }
    buffer_fini(&in);
}

/* More comes out than goes in: the output grows on the way. */
static void noise_comes_back(void **state)
{
    (void)state;
    struct buffer in = {0};
    uint64_t seed = 1;
    for (size_t i = 0; i < 100000; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        buffer_put(&in, &seed, sizeof seed);
    }
    assert_round(&in);
    buffer_fini(&in);
}

static void who_asks_gets_gzip(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool gzip, identity;
    } cases[] = {
        {NULL, false, true},
        {"", false, true},
        {"gzip", true, true},
        {"GZIP", true, true},
        {"x-gzip", true, true},
        {"deflate, gzip;q=0.5, br", true, true},
        {"gzip;q=0", false, true},
        {"gzip;q=0.5, identity", false, true},
        {"gzip;q=0.5, identity;q=0.5", true, true},
        {"gzip, identity;q=0.2", true, true},
        {"identity", false, true},
        {"identity;q=0", false, false},
        {"identity;q=0, gzip", true, false},
        {"*", true, true},
        {"*;q=0", false, false},
        {"*;q=0, identity", false, true},
        {"*;q=0, gzip", true, false},
        {"gzip;q=0, *", false, true},
        {"deflate", false, true},
        {",;q=0,;", false, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct codings c = accept_codings(cases[i].header);
        if (c.gzip != cases[i].gzip || c.identity != cases[i].identity)
            fail_msg("\"%s\": gzip %d, identity %d", cases[i].header ? cases[i].header : "none",
                     c.gzip, c.identity);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_length_comes_back),
        cmocka_unit_test(in_steps_it_comes_back),
        cmocka_unit_test(noise_comes_back),
        cmocka_unit_test(who_asks_gets_gzip),
    };
    return RUN_TESTS(tests);
}
