/* SPDX-License-Identifier: MIT
 *
 * tap.h - what every C test includes: cmocka with its prerequisites, and one way to run a group so
 * that `prove` reads one TAP plan. One group a program.
 */
#ifndef SMX_TESTS_TAP_H
#define SMX_TESTS_TAP_H

#include "support/patience.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

/* Run a group of tests and print TAP. Evaluates to the program's exit status. */
#define RUN_TESTS(tests)                                                                           \
    (cmocka_set_message_output(CM_OUTPUT_TAP), cmocka_run_group_tests((tests), NULL, NULL) ? 1 : 0)

#endif
