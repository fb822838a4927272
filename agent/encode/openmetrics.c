/* SPDX-License-Identifier: MIT
 *
 * openmetrics.c - OpenMetrics 1.0.0: headers of families; sample lines are samples.c's. A counter's
 * family goes by its name without _total, an info's by its name without _info; a counter that lacks
 * its suffix can only be of type unknown. UNIT is
 * left out unless the name ends in it: Prometheus fails the scrape otherwise. No timestamps (they
 * defeat staleness), and _created only for who wants it (Prometheus takes it for a series of its
 * own).
 */
#include "agent/encode/openmetrics.h"

#include "agent/gather/label.h"
#include "agent/gather/snapshot.h"

#include <errno.h>

#define TOTAL LABEL_STR("_total")
#define INFO  LABEL_STR("_info") /* every info has it: the reader sees to that */

static const char *type_name(enum smx_type type, bool total)
{
    switch (type) {
    case SMX_COUNTER:
        return total ? "counter" : "unknown";
    case SMX_HISTOGRAM:
        return "histogram";
    case SMX_INFO:
        return "info";
    case SMX_STATESET:
        return "stateset";
    default:
        return "gauge";
    }
}

static bool has_unit(struct smx_str name, struct smx_str unit)
{
    return unit.length && name.length > unit.length && label_ends(name, unit) &&
           name.at[name.length - unit.length - 1] == '_';
}

static void open_line(struct buffer *out, const char *keyword, const struct exposed *family,
                      struct smx_str name)
{
    buffer_puts(out, keyword);
    families_put_name(family, name, out);
    buffer_puts(out, " ");
}

static void put_header(const struct exposed *family, enum escaping escaping, struct buffer *out)
{
    struct smx_str name = exposed_name(family, escaping);
    /* As it is escaped here: x.total is a counter where it is x_total. */
    bool total = family->type == SMX_COUNTER && label_is_total(name);
    name.length -= total ? TOTAL.length : 0;
    name.length -= family->type == SMX_INFO ? INFO.length : 0;
    open_line(out, "# TYPE ", family, name);
    buffer_puts(out, type_name(family->type, total));
    if (has_unit(name, family->unit)) {
        open_line(out, "\n# UNIT ", family, name);
        buffer_put(out, family->unit.at, family->unit.length);
    }
    if (family->help.length) {
        open_line(out, "\n# HELP ", family, name);
        label_escape(out, family->help, LABEL_QUOTE_ALL);
    }
    buffer_puts(out, "\n");
}

bool openmetrics_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out)
{
    if (families_put(snapshot, at, put_header, true, out))
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
