/* SPDX-License-Identifier: MIT
 *
 * cpus.c - the CPUs that this process may use, by its affinity mask.
 */
#include "run/cpus.h"

#include <sched.h>

unsigned cpus_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return 1;
    return (unsigned)CPU_COUNT(&set);
}

void cpus_pin(unsigned n)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) < 0)
        return;
    for (size_t cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &set) || n-- > 0)
            continue;
        CPU_ZERO(&set);
        CPU_SET(cpu, &set);
        sched_setaffinity(0, sizeof set, &set);
        return;
    }
}
