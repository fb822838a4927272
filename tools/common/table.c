/* SPDX-License-Identifier: MIT
 *
 * table.c - cells aligned in columns. All cells lie in one memory stream, one behind the other; a
 * stream for each would cost a buffer of the C library for each.
 */
#include "common/table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int table_init(struct table *table, const char *align)
{
    *table = (struct table){.align = align};
    table->out = open_memstream(&table->text, &table->text_size);
    return table->out ? 0 : -ENOMEM;
}

void table_next(struct table *table)
{
    if (table->n_cells == table->allocated) {
        size_t more = table->allocated ? table->allocated * 2 : 64;
        size_t *ends = reallocarray(table->ends, more, sizeof *ends);
        if (!ends) {
            table->failed = true;
            return;
        }
        table->ends = ends;
        table->allocated = more;
    }
    if (fflush(table->out) != 0)
        table->failed = true;
    table->ends[table->n_cells++] = table->text_size;
}

void table_cell(struct table *table, const char *text)
{
    fputs(text, table->out);
    table_next(table);
}

/* Characters, not bytes. Cells hold nothing but printable UTF-8. */
static size_t width_of(const char *from, const char *to)
{
    size_t width = 0;
    for (; from < to; from++)
        width += ((unsigned char)*from & 0xc0) != 0x80;
    return width;
}

static size_t cell_width(const struct table *table, size_t cell)
{
    size_t from = cell ? table->ends[cell - 1] : 0;
    return width_of(table->text + from, table->text + table->ends[cell]);
}

static void print_cell(const struct table *table, size_t cell, size_t pad, char align, FILE *to)
{
    size_t from = cell ? table->ends[cell - 1] : 0;
    if (align == 'r')
        fprintf(to, "%*s", (int)pad, "");
    fwrite(table->text + from, 1, table->ends[cell] - from, to);
    if (align == 'l')
        fprintf(to, "%*s", (int)pad, "");
}

/* One row; nothing is padded behind its last cell that is not empty. */
static void print_row(const struct table *table, size_t row, const size_t *width, FILE *to)
{
    size_t columns = strlen(table->align);
    size_t used = columns;
    while (used && cell_width(table, row * columns + used - 1) == 0)
        used--;
    bool first = true;
    for (size_t i = 0; i < used; i++) {
        if (width[i] == 0)
            continue;
        fputs(first ? "" : "  ", to);
        first = false;
        size_t cell = row * columns + i;
        bool trailing = i + 1 == used && table->align[i] == 'l';
        size_t pad = trailing ? 0 : width[i] - cell_width(table, cell);
        print_cell(table, cell, pad, table->align[i], to);
    }
    putc('\n', to);
}

int table_print(struct table *table, FILE *to, const char *indent)
{
    if (table->failed || ferror(table->out))
        return -ENOMEM;
    size_t width[TABLE_COLUMNS_MAX] = {0};
    size_t columns = strlen(table->align);
    for (size_t i = 0; i < table->n_cells; i++)
        if (cell_width(table, i) > width[i % columns])
            width[i % columns] = cell_width(table, i);
    for (size_t row = 0; row < table->n_cells / columns; row++) {
        fputs(indent, to);
        print_row(table, row, width, to);
    }
    return 0;
}

void table_fini(struct table *table)
{
    if (table->out)
        fclose(table->out);
    free(table->text);
    free(table->ends);
}
