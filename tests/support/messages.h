/* SPDX-License-Identifier: MIT
 *
 * messages.h - whether a body is an exposition in protocol buffers, by a parser that shares nothing
 * with the encoder: delimited messages io.prometheus.client.MetricFamily.
 */
#ifndef SMX_TESTS_MESSAGES_H
#define SMX_TESTS_MESSAGES_H

#include <stddef.h>

/* What is wrong, or NULL: every message ends where its length says, has known fields only, of the
 * right kind and no more than once where they are not repeated; text is UTF-8; a family has
 * metrics; a histogram's buckets ascend up to infinity, which has its count, and so do its native
 * buckets add up to it, one for each place in the spans. *at is then the offset of the family. */
const char *messages_fault(const char *body, size_t length, size_t *at);

#endif
