/* SPDX-License-Identifier: MIT
 *
 * message.c - labels and the heads of samples as protocol buffers have them. Runs when names moved.
 */
#include "agent/gather/message.h"

#include "agent/encode/wire.h"

/* A one-byte tag and a length. */
enum { HEAD_MAX = 1 + WIRE_VARINT_MAX };

enum { LABEL_NAME = 1, LABEL_VALUE = 2 };

/* The bytes of a string field with a one-byte tag. */
static size_t string_size(size_t length)
{
    return 1 + wire_size(length) + length;
}

void message_label(struct buffer *out, struct smx_str name, struct smx_str value)
{
    size_t pair = string_size(name.length) + string_size(value.length);
    if (buffer_reserve(out, pair + HEAD_MAX) < 0)
        return;
    char *to = wire_open(out->at + out->length, MESSAGE_LABEL, pair);
    to = wire_string(to, LABEL_NAME, name.at, name.length);
    to = wire_string(to, LABEL_VALUE, value.at, value.length);
    out->length = (size_t)(to - out->at);
}

void message_open(struct buffer *out, enum smx_type type, const char *labels, size_t length)
{
    enum { VALUE_SIZE = 1 + sizeof(double), SAMPLE_SIZE = 1 + 1 + VALUE_SIZE };
    if (buffer_reserve(out, HEAD_MAX + length + SAMPLE_SIZE) < 0)
        return;
    char *to = wire_open(out->at + out->length, MESSAGE_METRIC, length + SAMPLE_SIZE);
    if (length)
        memcpy(to, labels, length);
    to = wire_open(to + length, type == SMX_COUNTER ? MESSAGE_COUNTER : MESSAGE_GAUGE, VALUE_SIZE);
    to = wire_tag(to, MESSAGE_VALUE, WIRE_DOUBLE);
    out->length = (size_t)(to - out->at);
}
