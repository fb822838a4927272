/* SPDX-License-Identifier: MIT
 *
 * message.h - the part of io.prometheus.client's messages that does not change: a series' labels,
 * and of counters and gauges all but the value. What render.h's texts are to the text formats.
 * Source of the fields: metrics.proto of github.com/prometheus/client_model.
 */
#ifndef SMX_AGENT_MESSAGE_H
#define SMX_AGENT_MESSAGE_H

#include "agent/encode/buffer.h"

#include <smx/reader.h>

/* Fields of Metric, and that of a Counter's or a Gauge's value. */
enum { MESSAGE_LABEL = 1, MESSAGE_GAUGE = 2, MESSAGE_COUNTER = 3, MESSAGE_HISTOGRAM = 7 };
enum { MESSAGE_VALUE = 1 };

/* The field of a MetricFamily that holds its metrics. */
enum { MESSAGE_METRIC = 4 };

/* Append a label, as a field of a Metric. */
void message_label(struct buffer *out, struct smx_str name, struct smx_str value);

/* Append the Metric of a counter or a gauge, as a field of its family, but for its last eight
 * bytes, which are the value. labels: fields, as message_label() writes them. */
void message_open(struct buffer *out, enum smx_type type, const char *labels, size_t length);

#endif
