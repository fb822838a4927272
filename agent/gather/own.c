/* SPDX-License-Identifier: MIT
 *
 * own.c - building families out of constants and numbers.
 */
#include "agent/gather/own.h"

#include "agent/gather/label.h"
#include "agent/encode/number.h"

#include <assert.h>
#include <errno.h>

static struct smx_str str(const char *text)
{
    return (struct smx_str){text ? text : "", text ? strlen(text) : 0};
}

void own_reset(struct own *own)
{
    own->lines.length = 0;
    own->lines.failed = false;
    own->n = 0;
}

void own_fini(struct own *own)
{
    buffer_fini(&own->lines);
    own->n = 0;
}

void own_begin(struct own *own, const struct own_family *family)
{
    assert(own->n < OWN_MAX);
    own->families[own->n] = (struct exposed){.name = str(family->name),
                                             .help = str(family->help),
                                             .unit = str(family->unit),
                                             .type = family->type};
    own->from[own->n++] = own->lines.length;
}

void own_sample(struct own *own, const struct own_labels *labels, uint64_t ticks, unsigned digits)
{
    struct smx_str name = own->families[own->n - 1].name;
    char number[NUMBER_MAX];
    char *end = number_decimal(number, ticks, digits);
    buffer_put(&own->lines, name.at, name.length);
    if (labels && labels->n) {
        buffer_puts(&own->lines, "{");
        for (size_t i = 0; i < labels->n; i++)
            label_put(&own->lines, labels->at[i].name, labels->at[i].value);
        buffer_puts(&own->lines, "}");
    }
    buffer_puts(&own->lines, " ");
    buffer_put(&own->lines, number, (size_t)(end - number));
    buffer_puts(&own->lines, "\n");
}

void own_single(struct own *own, const struct own_family *family, uint64_t ticks, unsigned digits)
{
    own_begin(own, family);
    own_sample(own, NULL, ticks, digits);
}

int own_finish(struct own *own)
{
    if (own->lines.failed)
        return -ENOMEM;
    own->from[own->n] = own->lines.length;
    for (size_t i = 0; i < own->n; i++)
        own->families[i].lines =
            (struct smx_str){own->lines.at + own->from[i], own->from[i + 1] - own->from[i]};
    return 0;
}
