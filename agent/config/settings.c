/* SPDX-License-Identifier: MIT
 *
 * settings.c - what a setting may be that has rules of its own.
 */
#include "agent/config/settings.h"

#include "agent/gather/label.h"

/* Of Prometheus' own rules: no longer ones make sense in each line. */
enum { LABEL_NAME_MAX = 64, LABEL_VALUE_MAX = 256 };

static bool is_name(struct smx_str name)
{
    bool legacy = name.length > 0 && escape_is_legacy(name, ESCAPE_LABEL);
    return legacy && name.length <= LABEL_NAME_MAX &&
           !(name.length >= 2 && name.at[0] == '_' && name.at[1] == '_');
}

int settings_add_label(struct settings *s, struct smx_label label, bool *of_value,
                       char why[VALUE_WHY_SIZE])
{
    *of_value = false;
    if (!is_name(label.name))
        return value_refuse(why,
                            "a label name of up to %d of a-z, A-Z, 0-9 and _, without __ at "
                            "its begin",
                            LABEL_NAME_MAX);
    if (label_is_reserved(label.name))
        return value_refuse(why, "another label name: the agent sets app, app_instance, le, "
                                 "quantile and otel_metric_overflow itself");
    for (size_t i = 0; i < s->n_labels; i++)
        if (label_equal(s->labels[i].name, label.name))
            return value_refuse(why, "a label name that is not there yet");
    if (s->n_labels == RENDER_LABELS_MAX)
        return value_refuse(why, "one of at most %d labels", RENDER_LABELS_MAX);
    *of_value = true;
    if (label.value.length == 0 || label.value.length > LABEL_VALUE_MAX)
        return value_refuse(why, "a label value of 1 to %d bytes", LABEL_VALUE_MAX);
    s->labels[s->n_labels++] = label;
    return 0;
}
