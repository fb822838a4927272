/* SPDX-License-Identifier: MIT
 *
 * loading-once.c - a host that loads a plug-in and has it update its metrics; for a libc where
 * dlclose() does nothing. Usage: loading-once PLUGIN. Prints how many updates were counted.
 */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    void *plugin = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    int (*run)(int) = NULL;
    if (plugin)
        *(void **)(&run) = dlsym(plugin, "plugin_run");
    if (!run) {
        fprintf(stderr, "%s\n", argc == 2 ? dlerror() : "usage: loading-once PLUGIN");
        return 1;
    }
    printf("%d\n", run(1000));
    return 0;
}
