/* SPDX-License-Identifier: MIT
 *
 * require.h - what the oracle of a fuzzing harness says: this input shows a bug.
 */
#ifndef SMX_FUZZ_REQUIRE_H
#define SMX_FUZZ_REQUIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What libFuzzer and AFL++'s driver call. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* End the process unless a condition holds; the fuzzer then keeps the input. */
static inline void require(bool condition, const char *what)
{
    if (condition)
        return;
    (void)fprintf(stderr, "fuzz: %s\n", what);
    abort();
}

#endif
