/* SPDX-License-Identifier: MIT
 *
 * wire.h - the wire format of protocol buffers, as far as io.prometheus.client needs it: what a
 * scrape writes a hundred thousand times is a few stores. Functions write at `to` and return the
 * end. Source: protobuf.dev/programming-guides/encoding.
 */
#ifndef SMX_AGENT_WIRE_H
#define SMX_AGENT_WIRE_H

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The longest varint. */
enum { WIRE_VARINT_MAX = 10 };

/* Kinds of fields; a tag of one byte goes with fields up to 15, of two with those up to 2047. */
enum wire_kind { WIRE_VARINT = 0, WIRE_DOUBLE = 1, WIRE_BYTES = 2 };

static inline size_t wire_size(uint64_t value)
{
    return (size_t)(70 - __builtin_clzll(value | 1)) / 7;
}

static inline char *wire_varint(char *to, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *to++ = (char)(0x80 | (value & 0x7f));
    *to++ = (char)value;
    return to;
}

static inline char *wire_tag(char *to, unsigned field, enum wire_kind kind)
{
    return wire_varint(to, field << 3 | kind);
}

static inline char *wire_uint(char *to, unsigned field, uint64_t value)
{
    return wire_varint(wire_tag(to, field, WIRE_VARINT), value);
}

/* sint32 and sint64: small negative numbers are small numbers. */
static inline uint64_t wire_zigzag(int64_t value)
{
    return (uint64_t)value << 1 ^ (uint64_t)(value >> 63);
}

static inline char *wire_fixed64(char *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = htole64(bits);
    memcpy(to, &bits, sizeof bits);
    return to + sizeof bits;
}

static inline char *wire_double(char *to, unsigned field, double value)
{
    return wire_fixed64(wire_tag(to, field, WIRE_DOUBLE), value);
}

/* The head of a string or a message of this length. */
static inline char *wire_open(char *to, unsigned field, size_t length)
{
    return wire_varint(wire_tag(to, field, WIRE_BYTES), length);
}

static inline char *wire_string(char *to, unsigned field, const char *at, size_t length)
{
    to = wire_open(to, field, length);
    if (length)
        memcpy(to, at, length);
    return to + length;
}

/* A message whose length is not known before it is written, at most `most`: its field and length
 * take as much room as they would then. The body is written at what this returns. */
static inline char *wire_begin(char *to, size_t tag_size, size_t most)
{
    return to + tag_size + wire_size(most);
}

/* The body, begun with wire_begin(at, ...), ends at `end`: write its head, and close the gap if
 * the length took less room. field 0: the length alone, as of delimited messages. */
static inline char *wire_end(char *at, unsigned field, size_t most, char *end)
{
    size_t tag_size = field ? wire_size(field << 3) : 0;
    char *body = wire_begin(at, tag_size, most);
    size_t length = (size_t)(end - body);
    if (field)
        at = wire_tag(at, field, WIRE_BYTES);
    at = wire_varint(at, length);
    if (at != body)
        memmove(at, body, length);
    return at + length;
}

#endif
