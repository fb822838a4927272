/* SPDX-License-Identifier: MIT
 *
 * own.h - the agent's own families: a list of names and finished samples, written anew for
 * each scrape. They are few; only applications' series are worth keeping as text.
 */
#ifndef SMX_AGENT_OWN_H
#define SMX_AGENT_OWN_H

#include "agent/encode/buffer.h"
#include "agent/gather/gather.h"
#include "agent/gather/render.h"
#include "agent/gather/snapshot.h"

enum { OWN_MAX = 64 };

/* All-zero is empty. */
struct own {
    struct buffer lines, metrics;
    struct buffer pairs; /* the labels of one sample, while it is written */
    struct exposed families[OWN_MAX];
    /* where the lines and the metrics of a family begin */
    size_t from[OWN_MAX + 1], metrics_from[OWN_MAX + 1];
    size_t n;
};

/* What a family is; the strings are constants. */
struct own_family {
    const char *name, *help;
    const char *unit; /* NULL: none */
    enum smx_type type;
};

/* Labels of one sample, n pairs: up to six of its own, and those of the rules. */
struct own_labels {
    struct smx_label at[6 + RENDER_LABELS_MAX];
    size_t n;
};

/* Start again, keeping the memory. */
void own_reset(struct own *own);
void own_fini(struct own *own);

/* Begin a family; the samples that follow are its own. */
void own_begin(struct own *own, const struct own_family *family);

/* Add a sample of ticks / 10^digits. */
void own_sample(struct own *own, const struct own_labels *labels, uint64_t ticks, unsigned digits);

/* A family of one sample without labels. */
void own_single(struct own *own, const struct own_family *family, uint64_t ticks, unsigned digits);

/* Point the families at their lines, when the last one is complete. Returns: 0, -ENOMEM. */
int own_finish(struct own *own);

/* The families themselves; of health those of the applications that are selected, NULL: all. What
 * is about an application gets the labels of the rules; and what bears the name of one is told
 * where the filter exposes that. */
struct health;
struct selection;
void self_expose(struct own *own, const struct self_stats *stats);
void usage_expose(struct own *own, const struct smx_segment_info *const segments[], size_t n,
                  const struct filter *filter);
void health_expose(struct own *own, const struct health *health, const struct render_rules *rules,
                   const struct selection *selection);
void conflicts_expose(struct own *own, const struct gather_conflict conflicts[], size_t n);

#endif
