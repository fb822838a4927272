/* SPDX-License-Identifier: MIT
 *
 * definitions.c - the table itself, in the order of exposition.
 */
#include "agent/workers/definitions.h"

/* clang-format off */
#define EACH(name, help) {"smx_process_" name, help}
#define SUM(name, help) \
    {"smx_role_" name, help ", by role."}, {"smx_app_" name, help ", by application."}
#define NOT_HERE {NULL, NULL}

const struct process_definition process_definitions[PROCESS_DEFINITIONS] = {
    {{NOT_HERE, SUM("processes", "Live processes that the sums are of")},
     NULL, SMX_GAUGE, 0, 1, PROCESS_NUMBER},
    {{EACH("cpu_seconds_total", "CPU time of a live process, user and system."),
      SUM("cpu_seconds_total", "CPU time of processes, those that have ended included")},
     "seconds", SMX_COUNTER, 9, 1, PROCESS_CPU},
    {{EACH("resident_memory_bytes", "Resident memory of a live process."),
      SUM("resident_memory_bytes",
          "Resident memory of live processes, shared pages once for each of them")},
     "bytes", SMX_GAUGE, 0, 1, PROCESS_RESIDENT},
    {{EACH("proportional_memory_bytes",
           "Resident memory of a live process, shared pages divided by their users."),
      SUM("proportional_memory_bytes",
          "Resident memory of live processes, shared pages divided by their users")},
     "bytes", SMX_GAUGE, 0, 1, PROCESS_PROPORTIONAL},
    {{EACH("open_fds", "Open file descriptors of a live process."),
      SUM("open_fds", "Open file descriptors of live processes")},
     NULL, SMX_GAUGE, 0, 1, PROCESS_OPEN_FDS},
    {{EACH("max_fds", "Limit of open file descriptors of a live process."), NOT_HERE, NOT_HERE},
     NULL, SMX_GAUGE, 0, 1, PROCESS_MAX_FDS},
    {{NOT_HERE, SUM("worst_fd_ratio",
                    "Open file descriptors by limit of the process that is nearest to it")},
     NULL, SMX_GAUGE, 9, 1, PROCESS_WORST_FD_RATIO},
    {{EACH("threads", "Threads of a live process."), SUM("threads", "Threads of live processes")},
     NULL, SMX_GAUGE, 0, 1, PROCESS_THREADS},
    {{EACH("context_switches_total", "Context switches of the first thread of a live process."),
      SUM("context_switches_total", "Context switches of processes' first threads,"
                                    " those that have ended included")},
     NULL, SMX_COUNTER, 0, 2, PROCESS_VOLUNTARY},
    {{EACH("read_bytes_total", "Bytes that a live process made storage read."),
      SUM("read_bytes_total", "Bytes that processes made storage read,"
                              " those that have ended included")},
     "bytes", SMX_COUNTER, 0, 1, PROCESS_READ},
    {{EACH("written_bytes_total", "Bytes that a live process made storage write."),
      SUM("written_bytes_total", "Bytes that processes made storage write,"
                                 " those that have ended included")},
     "bytes", SMX_COUNTER, 0, 1, PROCESS_WRITTEN},
    {{EACH("start_time_seconds", "Start time of a live process, since the Epoch."),
      NOT_HERE, NOT_HERE},
     "seconds", SMX_GAUGE, 9, 1, PROCESS_START},
};
/* clang-format on */

const char *const process_types[2] = {"voluntary", "involuntary"};
