/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values to codes, included by each file of kernels on ranks with its own
 *   TARGET                the function attribute of its instruction set
 *   search32, search64    how many of a column's thresholds are below x: 16 pivots, then the 16 of one block
 * A NaN finds nothing below it and is then made the code of a missing value.
 */

TARGET static inline uint8_t code_set(const struct mill__ranks *ranks, const struct mill__forest *forest,
                                      const struct mill__rank_column *column, double x)
{
    if (column->kind == MILL__CELL_MISSING) {
        return isnan(x) ? 1 : 2;
    }
    if (column->table > 0) {
        const struct mill__category_table *table = &ranks->tables[column->table - 1];
        return table->codes[(size_t)mill__category_row(table, x) * table->count + column->at];
    }
    return mill__set_goes_left(forest, &forest->sets.at[column->set], x) ? 0 : 1;
}

TARGET static inline uint8_t code32(const struct mill__ranks *ranks, const struct mill__forest *forest,
                                    const struct mill__rank_column *column, float x)
{
    if (column->kind == MILL__CELL_VALUE) {
        uint8_t code = (uint8_t)search32(ranks->thresholds32 + column->begin, x);
        return isnan(x) ? MILL__RANK_MISSING : code;
    }
    return code_set(ranks, forest, column, (double)x);
}

TARGET static inline uint8_t code64(const struct mill__ranks *ranks, const struct mill__forest *forest,
                                    const struct mill__rank_column *column, double x)
{
    if (column->kind == MILL__CELL_VALUE || column->kind == MILL__CELL_ZERO_VALUE) {
        uint8_t code = (uint8_t)search64(ranks->thresholds64 + column->begin, x);
        bool zero = column->kind == MILL__CELL_ZERO_VALUE && fabs(x) <= MILL__ZERO_MAX;
        return isnan(x) || zero ? MILL__RANK_MISSING : code;
    }
    return code_set(ranks, forest, column, x);
}

TARGET static inline uint8_t code_any(const struct mill__ranks *ranks, const struct mill__forest *forest,
                                      const struct mill__rank_column *column, const void *values)
{
    return forest->cells_f64 ? code64(ranks, forest, column, ((const double *)values)[column->used])
                             : code32(ranks, forest, column, ((const float *)values)[column->used]);
}

/* All codes of a categorical feature at once; returns how many columns they are. */
TARGET static inline uint32_t copy_categories(const struct mill__ranks *ranks, const struct mill__rank_column *column,
                                              double x, uint8_t *codes)
{
    const struct mill__category_table *table = &ranks->tables[column->table - 1];
    memcpy(codes, table->codes + (size_t)mill__category_row(table, x) * table->count, table->count);
    return table->count;
}

/* Codes of one row. */
TARGET static void __attribute__((unused))
codes_of_row(const struct mill__ranks *ranks, const struct mill__forest *forest, const void *values, uint8_t *codes)
{
    if (forest->cells_f64) {
        for (uint32_t c = 0; c < ranks->column_count; c++) {
            const struct mill__rank_column *column = &ranks->columns[c];
            double x = ((const double *)values)[column->used];
            if (column->table > 0) {
                c += copy_categories(ranks, column, x, codes + c) - 1;
            } else {
                codes[c] = code64(ranks, forest, column, x);
            }
        }
        return;
    }
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        const struct mill__rank_column *column = &ranks->columns[c];
        float x = ((const float *)values)[column->used];
        if (column->table > 0) {
            c += copy_categories(ranks, column, (double)x, codes + c) - 1;
        } else {
            codes[c] = code32(ranks, forest, column, x);
        }
    }
}

/* Codes of n rows, column by column: 64 bytes each; after all columns, where some test needs it, all plus one. */
TARGET static void __attribute__((unused))
codes_of_tile(const struct mill__ranks *ranks, const struct mill__forest *forest, const void *values, size_t stride,
              uint32_t n, uint8_t *codes)
{
    size_t row_bytes = stride * (forest->cells_f64 ? sizeof(double) : sizeof(float));
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        const struct mill__rank_column *column = &ranks->columns[c];
        uint8_t *to = codes + (size_t)c * MILL__TILE_ROWS;
        const char *row = values;
        for (uint32_t r = 0; r < n; r++, row += row_bytes) {
            to[r] = code_any(ranks, forest, column, row);
        }
        for (uint32_t r = n; r < MILL__TILE_ROWS; r++) {
            to[r] = 0;
        }
        if (ranks->any_bump) {
            uint8_t *bumped = to + (size_t)ranks->column_count * MILL__TILE_ROWS;
            for (uint32_t r = 0; r < MILL__TILE_ROWS; r++) {
                bumped[r] = (uint8_t)(to[r] + 1);
            }
        }
    }
}
