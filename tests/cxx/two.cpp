/* SPDX-License-Identifier: MIT
 *
 * two.cpp - the translation unit that shares its inline functions with one.cpp.
 */
#include "updates.h"

uint64_t update_in_two(const updates &u)
{
    update_all(u, 5);
    update_as(u, 7L);
    updater<unsigned>{u}.times(3, 10);
    return 5 + 7 + 10 * (3 + 1);
}
