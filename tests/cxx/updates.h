/* SPDX-License-Identifier: MIT
 *
 * updates.h - the update path inside C++ inline functions and templates, for two translation units:
 * both emit the same functions, and the linker has to drop one copy of each, whole.
 */
#ifndef SMX_TESTS_UPDATES_H
#define SMX_TESTS_UPDATES_H

#include <smx/scope.h>
#include <smx/smx.h>

struct updates {
    smx_counter counter;
    smx_histogram histogram;
    smx_gauge gauge;
};

inline void update_all(const updates &u, uint64_t n)
{
    smx_counter_add(u.counter, n);
    smx_histogram_record(u.histogram, n);
    smx_gauge_set(u.gauge, static_cast<int64_t>(n));
}

template <typename Number> void update_as(const updates &u, Number n)
{
    SMX_ACTIVE_SCOPE(u.gauge);
    smx_counter_add(u.counter, static_cast<uint64_t>(n));
    smx_histogram_record(u.histogram, static_cast<uint64_t>(n));
}

template <typename Number> struct updater {
    const updates &u;
    void times(Number n, int count) const
    {
        for (int i = 0; i < count; i++) {
            update_as(u, n);
            smx_counter_inc(u.counter);
        }
    }
};

/* two.cpp: each of the above, once more. Returns what the counter grew by. */
uint64_t update_in_two(const updates &u);

#endif
