/* SPDX-License-Identifier: MIT
 *
 * patience.h - how long C tests wait before they fail: longer than it takes where the machine is
 * busy with other tests. Scripts have theirs in live.bash and exec.
 */
#ifndef SMX_TESTS_PATIENCE_H
#define SMX_TESTS_PATIENCE_H

#include <stdint.h>

enum {
    PATIENCE_MS = 90000, /* for a state to come */
    ALARM_S = 840,       /* for a whole program, by alarm(2): less than exec gives it */
};
#define PATIENCE_NS (PATIENCE_MS * UINT64_C(1000000))

#endif
