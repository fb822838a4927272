/* SPDX-License-Identifier: MIT
 *
 * dump.c - any bytes as a segment, through all that smx-dump writes of one: text, JSON and lint.
 * Asked of it: text is UTF-8 without a byte that a terminal would obey; JSON is JSON.
 */
#include "tools/dump/dump.h"

#include "fuzz/look.h"
#include "fuzz/require.h"

#include <jansson.h>
#include <string.h>

typedef int writer(FILE *out, smx_reader *reader, const struct dump_options *options);

static int write_lint(FILE *out, smx_reader *reader, const struct dump_options *options)
{
    size_t found = 0;
    return lint_write(out, reader, options, &found);
}

/* No control but the line's end, in UTF-8 none of the second set either. */
static void check_text(const char *text, size_t length)
{
    json_t *string = json_stringn(text, length);
    require(string != NULL, "text that is not UTF-8");
    json_decref(string);
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i], next = (unsigned char)text[i + 1];
        require(c == '\n' || (c >= 0x20 && c != 0x7f), "a control character");
        require(c != 0xc2 || next >= 0xa0, "a control character of the second set");
    }
}

static void check_json(const char *text, size_t length)
{
    json_t *document = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    require(json_is_object(document), "JSON that is none");
    json_decref(document);
}

static void check(writer *write, smx_reader *reader, const struct dump_options *options)
{
    char *text = NULL;
    size_t length;
    FILE *out = open_memstream(&text, &length);
    require(out && write(out, reader, options) == 0 && fclose(out) == 0, "no memory");
    if (options->json)
        check_json(text, length);
    else
        check_text(text, length);
    free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct dump_options text = {0}, json = {.json = true};
    struct steps steps;
    smx_reader *reader = NULL;
    bool more;
    steps_begin(&steps, data, size);
    do {
        more = steps_until_read(&steps);
        if (!look(&steps, &reader))
            continue;
        check(text_write, reader, &text);
        check(json_write, reader, &json);
        check(write_lint, reader, &text);
        check(write_lint, reader, &json);
    } while (more);
    smx_reader_close(reader);
    steps_end(&steps);
    return 0;
}
