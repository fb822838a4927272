/* SPDX-License-Identifier: MIT
 *
 * check.h - checks as they lie in a segment: what the value of a report's cell and the terms of a
 * check are made of. The writer packs them, and the reader takes them apart.
 */
#ifndef SMX_CHECK_H
#define SMX_CHECK_H

#include "libshm/layout.h"

#include <smx/health.h>

static inline uint64_t smx__check_value(enum smx_check_state state, uint64_t now_ns)
{
    return now_ns / 1000000 << 8 | (uint64_t)state;
}

/* SMX_CHECK_SILENT for a value that is none. */
static inline enum smx_check_state smx__check_state(uint64_t value)
{
    uint64_t state = value & 0xff;
    return state <= SMX_CHECK_FAILED ? (enum smx_check_state)state : SMX_CHECK_SILENT;
}

static inline uint64_t smx__check_time_ns(uint64_t value)
{
    const uint64_t most = UINT64_MAX / 1000000, ms = value >> 8;
    return (ms < most ? ms : most) * 1000000;
}

static inline uint64_t smx__check_terms(bool critical, uint32_t interval_ms)
{
    return (uint64_t)critical << 32 | interval_ms;
}

static inline bool smx__check_is_critical(uint64_t terms)
{
    return (terms >> 32 & 1) != 0;
}

static inline uint64_t smx__check_interval_ns(uint64_t terms)
{
    return (terms & UINT32_MAX) * 1000000;
}

#endif
