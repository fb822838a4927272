/* SPDX-License-Identifier: MIT
 *
 * guards.c - takes the guards of edges away from libFuzzer, by the linker's --wrap. The objects
 * under test have them for AFL++, and counters for libFuzzer, which would end at the sight of a
 * guard.
 */
#include <stdint.h>

void __wrap___sanitizer_cov_trace_pc_guard(uint32_t *guard);
void __wrap___sanitizer_cov_trace_pc_guard_init(uint32_t *begin, uint32_t *end);

void __wrap___sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
    (void)guard;
}

void __wrap___sanitizer_cov_trace_pc_guard_init(uint32_t *begin, uint32_t *end)
{
    (void)begin;
    (void)end;
}
