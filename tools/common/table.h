/* SPDX-License-Identifier: MIT
 *
 * table.h - cells aligned in columns. Write a cell to table.out, end it with table_next(), and go
 * on row by row; table_print() then knows how wide the columns are.
 */
#ifndef SMX_TOOLS_TABLE_H
#define SMX_TOOLS_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { TABLE_COLUMNS_MAX = 16 };

struct table {
    FILE *out;         /* where the next cell is written */
    const char *align; /* a letter for each column: l or r */
    char *text;
    size_t text_size;
    size_t *ends; /* of the cells, in text */
    size_t n_cells;
    size_t allocated;
    bool failed;
};

/* Make an empty table. align lives as long as it. Returns: 0 or -ENOMEM.
 * Owns: the caller calls table_fini(), also after a failure. */
int table_init(struct table *table, const char *align);

/* End the cell that was written last. */
void table_next(struct table *table);

/* Write a whole cell. */
void table_cell(struct table *table, const char *text);

/* Print the rows, each behind `indent`. Columns that are empty in every row take no room.
 * Returns: 0 or -ENOMEM (also if a cell could not be kept before). */
int table_print(struct table *table, FILE *to, const char *indent);

void table_fini(struct table *table);

#endif
