/* SPDX-License-Identifier: MIT
 *
 * refusal.c - why families are left out, in words.
 */
#include "agent/gather/render.h"

static const struct {
    const char *name, *text;
} refusals[REFUSAL_COUNT] = {
    [REFUSAL_NONE] = {"none", "it is exposed"},
    [REFUSAL_RESERVED_NAME] = {"reserved_name",
                               "smx_agent_, smx_segment_, smx_process_, smx_role_, smx_app_, "
                               "smx_check_, smx_rule_, process_ and scrape_ are prefixes of the "
                               "agent's own metrics"},
    [REFUSAL_RESERVED_LABEL] =
        {"reserved_label", "it has a label that the agent sets itself: app, app_instance, le, "
                           "quantile, otel_metric_overflow, or worker in a gauge of mode each"},
    [REFUSAL_DUPLICATE_LABEL] = {"duplicate_label",
                                 "it has one of the segment's constant labels as its own, or two "
                                 "that are one once they are escaped, as a.b and a_b"},
    [REFUSAL_DUPLICATE_SEGMENT] = {"duplicate_segment",
                                   "an older segment has the same application and instance name"},
    [REFUSAL_NAME_CLASH] = {"name_clash",
                            "an earlier family exposes samples of that name, or the other way "
                            "round, as the counter x_count and the histogram x; or they have the "
                            "same name once characters past a-z are escaped, as a.b and a_b"},
    [REFUSAL_TYPE] = {"type", "an earlier family of that name has another type"},
    [REFUSAL_UNIT] = {"unit", "an earlier family of that name has another unit"},
    [REFUSAL_BUCKETS] = {"buckets", "an earlier family of that name has other buckets"},
    [REFUSAL_SIZE] =
        {"size",
         "with it the lines of its segment would exceed 256 MiB, or 16 times what it holds"},
};

const char *refusal_name(enum refusal refusal)
{
    return refusals[refusal].name;
}

const char *refusal_text(enum refusal refusal)
{
    return refusals[refusal].text;
}
