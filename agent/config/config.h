/* SPDX-License-Identifier: MIT
 *
 * config.h - what the agent is made from, and made from anew by a reload: the settings, merged from
 * the command line, the environment, the configuration file and the defaults in this order, and the
 * sections that only the file has. Made and checked as a whole, then never changed.
 *
 * To add a section to the file:
 *   1. sections/NAME.c has the section's struct as it stands in the file, its table of keys for
 *      libcyaml, and one function that judges what is more than the kind of a value, and puts the
 *      result into struct config; see sections/segments.c. A key with an option of its own goes
 *      through loading_option(), so that it is read as the flag is, and yields to it.
 *   2. file.h declares the three, and has the section in struct config_file.
 *   3. load.c has a row for it in each of its two tables: the keys at the top, and what is done.
 *   4. What others need of it becomes a member of struct config, below.
 *   5. smx-agent.yaml(5) and its example say what the keys mean, 40-config-refused.c has bad
 *      values.
 * libcyaml refuses unknown keys, wrong kinds and missing ones by the table alone; the error has
 * file, line and key in any case.
 */
#ifndef SMX_AGENT_CONFIG_H
#define SMX_AGENT_CONFIG_H

#include "agent/config/settings.h"
#include "agent/config/yaml/outline.h"
#include "agent/health/rules.h"
#include "agent/config/options.h"

/* FILE:LINE: KEY: what was expected and what is there. */
enum { CONFIG_WHY_SIZE = 1024 }; /* DOCUMENT_WHY_SIZE */

struct config_file;

struct config {
    struct settings settings;
    struct filter *filter; /* of its rules, or NULL */
    struct health_rules health;
    struct config_health_texts *health_texts;
    const char *path;         /* of the file, or NULL: there is none */
    struct config_file *file; /* owns what the strings point to, with: */
    struct outline outline;
};

/* Make a configuration of the options and the file that they name, if they do. On failure *out is
 * left alone. Returns: 0, -ENOMEM, -EINVAL and what is wrong with the file, or the negative errno
 * with which it cannot be read. */
int config_load(const struct options *options, struct config **out, char why[CONFIG_WHY_SIZE]);
void config_free(struct config *config);

/* Say of what lies at a path in the file, or would, why it is unfit. Returns: -EINVAL. */
int config_blame(const struct config *config, const char *path, const char *reason,
                 char why[CONFIG_WHY_SIZE]);

/* Say of one of the directories, which is found unfit, where it was named. Returns: -EINVAL. */
int config_blame_directory(const struct config *config, size_t index, const char *reason,
                           char why[CONFIG_WHY_SIZE]);

#endif
