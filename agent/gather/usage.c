/* SPDX-License-Identifier: MIT
 *
 * usage.c - smx_segment_*: how full each segment is, what it lost, who lives in it.
 */
#include "agent/gather/label.h"
#include "agent/gather/own.h"

enum { VALUES = 8 };

static struct own_labels labels_of(const struct smx_segment_info *s)
{
    struct own_labels labels = {.at = {{LABEL_STR("app"), s->app}}, .n = 1};
    if (s->instance.length)
        labels.at[labels.n++] = (struct smx_label){LABEL_STR("app_instance"), s->instance};
    return labels;
}

static bool is_shown(const struct smx_segment_info *s, const struct filter *filter)
{
    const struct own_labels labels = labels_of(s);
    return filter_has_labels(filter, labels.at, labels.n);
}

static void expose_lost(struct own *own, const struct smx_segment_info *const segments[], size_t n,
                        const struct filter *filter)
{
    static const struct own_family family = {
        "smx_segment_lost_total",
        "Updates, series and registrations that the segment refused, by reason.", NULL,
        SMX_COUNTER};
    own_begin(own, &family);
    for (size_t i = 0; i < n; i++) {
        for (unsigned reason = 0; is_shown(segments[i], filter) && reason < SMX_LOST_COUNT;
             reason++) {
            struct own_labels labels = labels_of(segments[i]);
            const char *name = smx_lost_name(reason);
            labels.at[labels.n++] = (struct smx_label){LABEL_STR("reason"), {name, strlen(name)}};
            own_sample(own, &labels, segments[i]->lost[reason], 0);
        }
    }
}

static void values_of(const struct smx_segment_info *s, uint64_t out[VALUES])
{
    const uint64_t values[VALUES] = {s->max_bytes,  s->allocated_bytes, s->reserved_bytes,
                                     s->n_families, s->n_series,        s->n_live,
                                     s->errors,     s->created_ns};
    memcpy(out, values, sizeof values);
}

void usage_expose(struct own *own, const struct smx_segment_info *const segments[], size_t n,
                  const struct filter *filter)
{
    static const struct own_family families[VALUES] = {
        {"smx_segment_max_bytes", "The segment's budget.", "bytes", SMX_GAUGE},
        {"smx_segment_allocated_bytes", "Bytes of the budget in use.", "bytes", SMX_GAUGE},
        {"smx_segment_reserved_bytes", "Bytes that the segment's file takes on its tmpfs.", "bytes",
         SMX_GAUGE},
        {"smx_segment_families", "Families registered.", NULL, SMX_GAUGE},
        {"smx_segment_series", "Series registered and not removed, those for overflow included.",
         NULL, SMX_GAUGE},
        {"smx_segment_processes", "Processes attached and alive.", NULL, SMX_GAUGE},
        {"smx_segment_unsound_records", "Records that are left out as unsound.", NULL, SMX_GAUGE},
        {"smx_segment_created_timestamp_seconds", "When the segment was created.", "seconds",
         SMX_GAUGE}};
    for (size_t value = 0; value < VALUES; value++) {
        own_begin(own, &families[value]);
        for (size_t i = 0; i < n; i++) {
            uint64_t values[VALUES];
            if (!is_shown(segments[i], filter))
                continue;
            values_of(segments[i], values);
            struct own_labels labels = labels_of(segments[i]);
            own_sample(own, &labels, values[value], value == VALUES - 1 ? 9 : 0);
        }
    }
    expose_lost(own, segments, n, filter);
}
