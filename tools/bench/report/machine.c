/* SPDX-License-Identifier: MIT
 *
 * machine.c - where and with what it was measured: from /proc/cpuinfo, uname(2) and the compiler.
 */
#include "report/machine.h"
#include "run/cpus.h"

#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#if defined(__clang__)
#define COMPILER __VERSION__
#else
#define COMPILER "gcc " __VERSION__
#endif

/* x86 names the model, other architectures may not. */
static void read_model(char *model, size_t size)
{
    snprintf(model, size, "unknown processor");
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (!file)
        return;
    char line[256];
    while (fgets(line, sizeof line, file)) {
        if (strncmp(line, "model name", strlen("model name")) != 0 || !strchr(line, ':'))
            continue;
        line[strcspn(line, "\n")] = '\0';
        snprintf(model, size, "%s", strchr(line, ':') + 2);
        break;
    }
    fclose(file);
}

void machine_describe(char text[MACHINE_SIZE])
{
    char model[128];
    struct utsname name = {0};
    unsigned cpus = cpus_count();
    read_model(model, sizeof model);
    uname(&name);
    snprintf(text, MACHINE_SIZE, "%s, %u CPU%s, Linux %s %s, glibc %s, %s %s", model, cpus,
             cpus == 1 ? "" : "s", name.release, name.machine, gnu_get_libc_version(), COMPILER,
             BENCH_FLAGS);
}

void machine_date(char text[MACHINE_SIZE])
{
    struct tm date = {0};
    time_t now = time(NULL);
    gmtime_r(&now, &date);
    strftime(text, MACHINE_SIZE, "%Y-%m-%d", &date);
}
