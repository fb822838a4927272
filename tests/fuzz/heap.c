/* SPDX-License-Identifier: MIT
 *
 * heap.c - counts what malloc(3) gives and free(3) takes back, by the hooks that the sanitizers'
 * allocator has for it. One thread, as the agent.
 */
#include "fuzz/heap.h"

#include "fuzz/require.h"

#include <sanitizer/allocator_interface.h>

static struct {
    bool hooked;
    size_t now, peak, before;
} heap;

static void taken(const __volatile__ void *at, size_t size)
{
    (void)at;
    heap.now += size;
    if (heap.now > heap.peak)
        heap.peak = heap.now;
}

/* What was there before the hooks may be freed behind them. */
static void freed(const __volatile__ void *at)
{
    size_t size = at ? __sanitizer_get_allocated_size(at) : 0;
    heap.now -= size < heap.now ? size : heap.now;
}

void heap_begin(void)
{
    if (!heap.hooked)
        require(__sanitizer_install_malloc_and_free_hooks(taken, freed) != 0, "no hooks left");
    heap.hooked = true;
    heap.before = heap.peak = heap.now;
}

size_t heap_peak(void)
{
    return heap.peak - heap.before;
}
