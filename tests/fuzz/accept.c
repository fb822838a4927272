/* SPDX-License-Identifier: MIT
 *
 * accept.c - any bytes as an Accept and as an Accept-Encoding header. Asked of it: one of the
 * formats; OpenMetrics only for who names it, or anything, messages and names in quotes only for
 * who names them; and the same whatever the case of the letters, with spaces around, and with a
 * type behind that the agent does not have.
 */
#include "agent/http/accept.h"

#include "fuzz/require.h"

#include <ctype.h>
#include <string.h>

static struct accepted choose(const char *before, const char *header, const char *behind)
{
    size_t size = strlen(before) + strlen(header) + strlen(behind) + 1;
    char *copy = malloc(size);
    require(copy != NULL, "no memory");
    (void)snprintf(copy, size, "%s%s%s", before, header, behind);
    struct accepted chosen = accept_choose(copy);
    free(copy);
    return chosen;
}

static bool same(struct accepted a, struct accepted b)
{
    return a.format == b.format && a.escaping == b.escaping && a.content_type == b.content_type;
}

/* A coding that may be sent is named, or anything is; the same in capitals. */
static void check_codings(const char *header, const char *capitals)
{
    struct codings codings = accept_codings(header), again = accept_codings(capitals);
    require(!codings.gzip || strcasestr(header, "gzip") || strchr(header, '*'),
            "gzip for who did not ask");
    require(codings.identity || strcasestr(header, "identity") || strchr(header, '*'),
            "a page refused to who did not ask for that");
    require(codings.gzip == again.gzip && codings.identity == again.identity,
            "capitals make a difference to codings");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *header = strndup((const char *)data, size);
    require(header != NULL, "no memory");
    struct accepted chosen = choose("", header, "");
    require(chosen.format < EXPOSITION_COUNT && chosen.escaping < ESCAPING_COUNT &&
                chosen.content_type,
            "no format");
    require(chosen.escaping != ESCAPING_UTF8 || strcasestr(header, "allow-utf-8"),
            "quotes for who did not ask");
    require(chosen.format != EXPOSITION_OPENMETRICS || strcasestr(header, "openmetrics-text") ||
                strchr(header, '*'),
            "OpenMetrics for who did not ask");
    require(chosen.format != EXPOSITION_PROTOBUF ||
                (strcasestr(header, "io.prometheus.client.MetricFamily") &&
                 strcasestr(header, "delimited")),
            "messages for who did not ask");
    require(same(choose(" \t", header, " "), chosen), "spaces around make a difference");
    if (!strchr(header, '"'))
        require(same(choose("", header, ", image/png;q=0.9"), chosen), "another type takes part");
    char *capitals = strdup(header);
    require(capitals != NULL, "no memory");
    for (char *c = capitals; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    require(same(choose("", capitals, ""), chosen), "capitals make a difference");
    check_codings(header, capitals);
    free(capitals);
    free(header);
    return 0;
}
