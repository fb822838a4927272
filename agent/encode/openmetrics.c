/* SPDX-License-Identifier: MIT
 *
 * openmetrics.c - OpenMetrics 1.0.0: headers of families; sample lines are samples.c's. A counter's
 * family goes by its name without _total; one that lacks it can only be of type unknown. UNIT is
 * left out unless the name ends in it: Prometheus fails the scrape otherwise. No timestamps (they
 * defeat staleness) and no _created (Prometheus takes it for a series of its own).
 */
#include "agent/encode/openmetrics.h"

#include "agent/gather/label.h"
#include "agent/gather/snapshot.h"

#include <errno.h>

#define TOTAL LABEL_STR("_total")

static const char *type_name(const struct exposed *family)
{
    switch (family->type) {
    case SMX_COUNTER:
        return label_ends(family->name, TOTAL) ? "counter" : "unknown";
    case SMX_HISTOGRAM:
        return "histogram";
    default:
        return "gauge";
    }
}

static struct smx_str family_name(const struct exposed *family)
{
    struct smx_str name = family->name;
    if (family->type == SMX_COUNTER && label_ends(name, TOTAL))
        name.length -= TOTAL.length;
    return name;
}

static bool has_unit(struct smx_str name, struct smx_str unit)
{
    return unit.length && name.length > unit.length && label_ends(name, unit) &&
           name.at[name.length - unit.length - 1] == '_';
}

static void open_line(struct buffer *out, const char *keyword, struct smx_str name)
{
    buffer_puts(out, keyword);
    buffer_put(out, name.at, name.length);
    buffer_puts(out, " ");
}

static void put_header(const struct exposed *family, struct buffer *out)
{
    struct smx_str name = family_name(family);
    open_line(out, "# TYPE ", name);
    buffer_puts(out, type_name(family));
    if (has_unit(name, family->unit)) {
        open_line(out, "\n# UNIT ", name);
        buffer_put(out, family->unit.at, family->unit.length);
    }
    if (family->help.length) {
        open_line(out, "\n# HELP ", name);
        label_escape(out, family->help, LABEL_QUOTE_ALL);
    }
    buffer_puts(out, "\n");
}

bool openmetrics_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out)
{
    if (families_put(snapshot, at, put_header, out))
        return true;
    buffer_puts(out, "# EOF\n");
    return false;
}

int openmetrics_encode(const struct snapshot *snapshot, struct buffer *out)
{
    struct progress at = {0};
    while (openmetrics_step(snapshot, &at, out))
        continue;
    return out->failed ? -ENOMEM : 0;
}
