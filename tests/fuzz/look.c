/* SPDX-License-Identifier: MIT
 *
 * look.c - one look at a segment's file through the reader.
 */
#include "fuzz/look.h"

#include "fuzz/heap.h"
#include "fuzz/require.h"
#include "support/soundness.h"

#include <sys/stat.h>

/* The window and the tables that do not depend on the file, and what its bytes may cost at most: a
 * record of 40 bytes is a raw copy, a candidate, an order, a place, a series. */
enum { FIXED_BYTES = 1 << 20, BYTES_A_BYTE = 24 };

static void check_heap(const struct steps *steps)
{
    struct stat st;
    require(fstat(steps->fd, &st) == 0, "no file");
    size_t limit = FIXED_BYTES + BYTES_A_BYTE * (size_t)st.st_size;
    require(heap_peak() <= limit, "the reader takes more memory than the file justifies");
}

bool look(const struct steps *steps, smx_reader **reader)
{
    struct smx_diag diag = {0};
    int result = 0;
    heap_begin();
    if (!*reader)
        result = smx_reader_open(steps->path, reader, &diag);
    uint64_t epoch = result == 0 ? smx_reader_epoch(*reader) : 0;
    if (result == 0)
        result = smx_reader_update(*reader, &diag);
    check_heap(steps);
    require(result <= 0 && (result == 0) == (diag.text[0] == 0), "an error without a text");
    if (*reader && smx_reader_epoch(*reader) > 0) {
        const char *fault = soundness_fault(*reader);
        require(!fault, fault);
        require(result == 0 || smx_reader_epoch(*reader) == epoch, "a failed update moved names");
    }
    return result == 0;
}
