/* SPDX-License-Identifier: MIT
 *
 * twice.c - a host with two copies of libshm: its own, and one that a plug-in would bring. What the
 * second does and gives up must not end the first one's life, which hangs on a lock that any
 * close() of the file drops. Usage: twice LIBSHM.SO.
 */
#include <smx/reader.h>
#include <smx/smx.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* The functions of the second copy. */
static struct {
    __typeof__(smx_open) *open;
    __typeof__(smx_reader_open) *reader_open;
    __typeof__(smx_reader_close) *reader_close;
} second;

static void fail(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void *symbol(void *library, const char *name)
{
    void *at = dlsym(library, name);
    if (!at)
        fail(dlerror());
    return at;
}

static void load(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!library)
        fail(dlerror());
    *(void **)&second.open = symbol(library, "smx_open");
    *(void **)&second.reader_open = symbol(library, "smx_reader_open");
    *(void **)&second.reader_close = symbol(library, "smx_reader_close");
    if (second.open == smx_open)
        fail("not a second copy");
}

static bool is_live(const char *path, pid_t pid)
{
    size_t n = 0;
    smx_reader *reader;
    struct smx_diag diag;
    if (smx_reader_open(path, &reader, &diag) != 0 || smx_reader_update(reader, &diag) != 0)
        fail(diag.text);
    const struct smx_process_info *info = smx_reader_processes(reader, &n);
    for (size_t i = 0; i < n; i++)
        if (info[i].pid == pid)
            return info[i].live;
    return false;
}

/* As another process sees it. */
static void expect_life(const char *path, const char *after)
{
    int status;
    pid_t host = getpid(), child = fork();
    if (child == 0)
        _exit(is_live(path, host) ? 0 : 1);
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
        fail(after);
}

/* An open that fails when the file is open already: no address space is left for the mapping. The
 * first one makes the copy's tables. */
static void open_in_vain(const struct smx_options *options)
{
    struct rlimit before;
    smx_segment *segment;
    if (second.open(&(struct smx_options){.app = "elsewhere"}, &segment, NULL) != 0)
        fail("the second copy cannot open another segment");
    getrlimit(RLIMIT_AS, &before);
    struct rlimit tight = {1u << 28, before.rlim_max};
    setrlimit(RLIMIT_AS, &tight);
    int error = second.open(options, &segment, NULL);
    setrlimit(RLIMIT_AS, &before);
    if (error == 0)
        fail("the second copy's smx_open() has not failed");
}

int main(int argc, char **argv)
{
    smx_segment *segment, *other;
    smx_reader *reader;
    struct smx_diag diag = {0, ""};
    struct smx_options options = {.app = "twice"};
    load(argc > 1 ? argv[1] : "");
    if (smx_open(&options, &segment, &diag) != 0)
        fail(diag.text);
    open_in_vain(&options);
    expect_life(smx_path(segment), "dead after the second copy failed to open");
    if (second.reader_open(smx_path(segment), &reader, &diag) != 0)
        fail(diag.text);
    second.reader_close(reader);
    expect_life(smx_path(segment), "dead after the second copy's reader was closed");
    if (second.open(&options, &other, &diag) != 0 || other == segment)
        fail("the second copy cannot open");
    expect_life(smx_path(segment), "dead after the second copy opened");
    puts("alive");
    return 0;
}
