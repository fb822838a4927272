/* SPDX-License-Identifier: MIT
 *
 * list.c - which segments there are, in the directories that libshm uses by default.
 */
#include "json.h"
#include "common/plain.h"
#include "common/table.h"
#include "common/target.h"
#include "dump.h"

#include <string.h>

/* A row of the table, or a member of the document; exactly one of the two is not NULL. */
struct listing {
    struct table *table;
    struct json *json;
    json_t *segments;
};

static void add_row(struct table *table, const struct smx_segment_info *info)
{
    plain_text(table->out, info->path);
    table_next(table);
    plain_write(table->out, info->app.at, info->app.length);
    table_next(table);
    plain_write(table->out, info->instance.at, info->instance.length);
    table_next(table);
    fprintf(table->out, "%zu", info->n_live);
    table_next(table);
}

static void add_member(struct listing *listing, const struct smx_segment_info *info)
{
    json_t *object = json_object();
    json_put_identity(listing->json, object, info);
    json_push(listing->json, listing->segments, object);
}

static bool add_segment(struct listing *listing, const char *path)
{
    struct smx_diag diag = {0};
    smx_reader *reader = NULL;
    bool fine = smx_reader_open(path, &reader, &diag) == 0 && smx_reader_update(reader, &diag) == 0;
    if (!fine)
        plain_error(diag.text, "%s", "");
    else if (listing->json)
        add_member(listing, smx_reader_info(reader));
    else
        add_row(listing->table, smx_reader_info(reader));
    smx_reader_close(reader);
    return fine;
}

static int write_table(FILE *out, const struct target_list *list, size_t *damaged)
{
    struct table table;
    int result = table_init(&table, "lllr");
    if (result == 0) {
        table_cell(&table, "path");
        table_cell(&table, "application");
        table_cell(&table, "instance");
        table_cell(&table, "live");
        for (size_t i = 0; i < list->n; i++)
            *damaged += !add_segment(&(struct listing){.table = &table}, list->paths[i]);
        result = table_print(&table, out, "");
    }
    table_fini(&table);
    return result;
}

static int write_json(FILE *out, const struct target_list *list, size_t *damaged)
{
    struct json json;
    json_begin(&json);
    struct listing listing = {.json = &json, .segments = json_array()};
    for (size_t i = 0; i < list->n; i++)
        *damaged += !add_segment(&listing, list->paths[i]);
    json_put(&json, json.root, "segments", listing.segments);
    return json_end(&json, out);
}

int list_write(FILE *out, const struct dump_options *options, size_t *damaged)
{
    struct target_list list;
    int result = target_list(options->directory, &list);
    if (result == 0 && options->json)
        result = write_json(out, &list, damaged);
    else if (result == 0 && list.n > 0)
        result = write_table(out, &list, damaged);
    else if (result == 0)
        plain_error("", "no segments found");
    if (result < 0)
        plain_error(smx_strerror(result), "cannot list the segments: ");
    target_list_fini(&list);
    return result;
}
