/* SPDX-License-Identifier: MIT
 *
 * patient.c - asks again.
 */
#include "support/patient.h"

#include "support/patience.h"
#include "support/worker.h"

#include <errno.h>

int patient_open(const struct smx_options *options, smx_segment **out, struct smx_diag *diag)
{
    uint64_t deadline = worker_now_ns() + PATIENCE_NS;
    int error;
    do
        error = smx_open(options, out, diag);
    while (error == -EBUSY && worker_now_ns() < deadline);
    return error;
}
