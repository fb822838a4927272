/* SPDX-License-Identifier: MIT
 *
 * own.c - building families out of constants and numbers.
 */
#include "agent/gather/own.h"

#include "agent/encode/number.h"
#include "agent/encode/wire.h"
#include "agent/gather/label.h"
#include "agent/gather/message.h"

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
    own->metrics.length = 0;
    own->metrics.failed = false;
    own->pairs.failed = false;
    own->n = 0;
}

void own_fini(struct own *own)
{
    buffer_fini(&own->lines);
    buffer_fini(&own->metrics);
    buffer_fini(&own->pairs);
    own->n = 0;
}

void own_begin(struct own *own, const struct own_family *family)
{
    assert(own->n < OWN_MAX);
    own->families[own->n] = (struct exposed){.name = str(family->name),
                                             .help = str(family->help),
                                             .unit = str(family->unit),
                                             .type = family->type};
    own->metrics_from[own->n] = own->metrics.length;
    own->from[own->n++] = own->lines.length;
}

/* The same as a Metric. */
static void put_metric(struct own *own, const struct own_labels *labels, uint64_t ticks,
                       unsigned digits)
{
    struct buffer *pairs = &own->pairs;
    pairs->length = 0;
    for (size_t i = 0; labels && i < labels->n; i++)
        message_label(pairs, labels->at[i].name, labels->at[i].value);
    message_open(&own->metrics, own->families[own->n - 1].type, pairs->at, pairs->length);
    if (pairs->failed || buffer_reserve(&own->metrics, sizeof(double)) < 0)
        own->metrics.failed = true;
    else
        own->metrics.length = (size_t)(wire_fixed64(own->metrics.at + own->metrics.length,
                                                    number_scaled(ticks, digits)) -
                                       own->metrics.at);
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
    put_metric(own, labels, ticks, digits);
}

void own_single(struct own *own, const struct own_family *family, uint64_t ticks, unsigned digits)
{
    own_begin(own, family);
    own_sample(own, NULL, ticks, digits);
}

static struct smx_str piece(const struct buffer *of, const size_t from[], size_t i)
{
    return (struct smx_str){of->at + from[i], from[i + 1] - from[i]};
}

int own_finish(struct own *own)
{
    if (own->lines.failed || own->metrics.failed)
        return -ENOMEM;
    own->from[own->n] = own->lines.length;
    own->metrics_from[own->n] = own->metrics.length;
    for (size_t i = 0; i < own->n; i++) {
        own->families[i].lines = piece(&own->lines, own->from, i);
        own->families[i].metrics = piece(&own->metrics, own->metrics_from, i);
    }
    return 0;
}
