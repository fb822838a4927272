/* SPDX-License-Identifier: MIT
 *
 * config.c - any bytes as the configuration file of smx-agent. Asked of it: what is taken is within
 * its bounds, and can be taken again; what is refused is told in one line that begins with the
 * file, and leaves nothing behind.
 */
#include "agent/config/config.h"

#include "agent/gather/label.h"
#include "fuzz/require.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void check_labels(const struct settings *s)
{
    for (size_t i = 0; i < s->n_labels; i++) {
        require(s->labels[i].value.length > 0, "a label without a value");
        require(!label_is_reserved(s->labels[i].name), "a label of the agent's");
        for (size_t k = 0; k < i; k++)
            require(!label_equal(s->labels[i].name, s->labels[k].name), "a label twice");
    }
}

static void check_bounds(const struct edges_wish *wish)
{
    require(wish->n > 0 && wish->n <= EDGES_WISH_MAX, "too many bounds, or none");
    for (size_t i = 0; i < wish->n; i++)
        require(wish->bounds[i] > (i ? wish->bounds[i - 1] : 0), "bounds that do not ascend");
}

static void check(const struct config *config)
{
    const struct settings *s = &config->settings;
    char why[FILTER_WHY_SIZE];
    require(s->n_directories <= SETTINGS_DIRECTORIES_MAX && s->n_bounds <= SETTINGS_BOUNDS_MAX &&
                s->n_rules <= SETTINGS_RULES_MAX && s->n_labels <= RENDER_LABELS_MAX,
            "too many of something");
    for (size_t i = 0; i < s->n_directories; i++)
        require(s->directories[i][0] == '/', "a directory that is not absolute");
    for (size_t i = 0; i < s->n_rules; i++)
        require(filter_check(&s->rules[i], why) == 0, "a rule that is none");
    for (size_t i = 0; i < s->n_bounds; i++)
        check_bounds(&s->bounds[i]);
    check_labels(s);
    require(s->max_age_ns <= UINT64_C(60000000000), "an age past its limit");
}

static void check_refusal(const char *why, const char *path)
{
    require(strncmp(why, path, strlen(path)) == 0, "an error that does not name the file");
    require(strlen(why) < CONFIG_WHY_SIZE, "an error without an end");
    for (; *why; why++)
        require(!iscntrl((unsigned char)*why), "an error of more than one line");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct options options;
    struct config *config = NULL, *again = NULL;
    char path[32], why[CONFIG_WHY_SIZE];
    int fd = memfd_create("config", MFD_CLOEXEC);
    require(fd >= 0 && write(fd, data, size) == (ssize_t)size, "no memory");
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    options_init(&options);
    options.config_file = path;
    int rc = config_load(&options, &config, why);
    if (rc == 0) {
        check(config);
        require(config_load(&options, &again, why) == 0, "the same is refused");
    } else {
        require(rc == -EINVAL && !config, "a refused file left something behind");
        check_refusal(why, path);
    }
    config_free(config);
    config_free(again);
    close(fd);
    return 0;
}
