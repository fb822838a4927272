/* SPDX-License-Identifier: MIT
 *
 * text.c - the Prometheus text formats 0.0.4 and 1.0.0, which differ in the names that a client
 * has asked for: headers of families; sample lines are samples.c's. They have no infos and
 * statesets: these are gauges, as Prometheus' own libraries have it.
 */
#include "agent/encode/text.h"

#include "agent/gather/label.h"
#include "agent/gather/snapshot.h"

#include <errno.h>

static const char *type_name(enum smx_type type)
{
    return type == SMX_COUNTER ? "counter" : type == SMX_HISTOGRAM ? "histogram" : "gauge";
}

static void put_header(const struct exposed *family, enum escaping escaping, struct buffer *out)
{
    struct smx_str name = exposed_name(family, escaping);
    if (family->help.length) {
        buffer_puts(out, "# HELP ");
        families_put_name(family, name, out);
        buffer_puts(out, " ");
        label_escape(out, family->help, LABEL_QUOTE_HELP);
        buffer_puts(out, "\n");
    }
    buffer_puts(out, "# TYPE ");
    families_put_name(family, name, out);
    buffer_puts(out, " ");
    buffer_puts(out, type_name(family->type));
    buffer_puts(out, "\n");
}

bool text_step(const struct snapshot *snapshot, struct progress *at, struct buffer *out)
{
    return families_put(snapshot, at, put_header, false, out);
}

int text_encode(const struct snapshot *snapshot, struct buffer *out)
{
    struct progress at = {0};
    while (text_step(snapshot, &at, out))
        continue;
    return out->failed ? -ENOMEM : 0;
}
