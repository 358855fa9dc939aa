/* SPDX-License-Identifier: Apache-2.0 */
/* Category tables: the verdicts of all sets on a categorical feature, worked out once for each category. */
#include <math.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

enum { CATEGORIES_MAX = 65536 };

/* Categories above every member of the set, or 0 where the set reads values in another way. */
static uint32_t span_of(const struct mill__forest *forest, const struct mill__set *set)
{
    if (set->kind == MILL__SET_EXACT) {
        return 0;
    }
    if (!set->listed) {
        return set->count * 32 > 0 ? set->count * 32 : 1;
    }
    return set->count == 0 ? 1 : (uint32_t)forest->set_numbers.at[set->begin + set->count - 1] + 1;
}

static void fill(struct mill__category_table *table, const struct mill__ranks *ranks, const struct mill__forest *forest,
                 uint32_t first)
{
    uint32_t n = table->category_count;
    for (uint32_t row = 0; row < n + 3; row++) {
        double x = row <= n ? (double)row : row == n + 1 ? -1.0 : (double)NAN;
        for (uint32_t k = 0; k < table->count; k++) {
            const struct mill__set *set = &forest->sets.at[ranks->columns[first + k].set];
            table->codes[(size_t)row * table->count + k] = mill__set_goes_left(forest, set, x) ? 0 : 1;
        }
    }
}

/* A table for the columns first .. end, all sets of one feature, if it stays small beside the model. */
static void build_table(struct mill__ranks *ranks, const struct mill__forest *forest, uint32_t first, uint32_t end)
{
    enum mill__set_kind kind = forest->sets.at[ranks->columns[first].set].kind;
    uint32_t span = 0;
    for (uint32_t c = first; c < end; c++) {
        const struct mill__set *set = &forest->sets.at[ranks->columns[c].set];
        uint32_t own = span_of(forest, set);
        if (own == 0 || own > CATEGORIES_MAX || set->kind != kind) {
            return;
        }
        span = own > span ? own : span;
    }
    size_t size = ((size_t)span + 3) * (end - first);
    if (size > 65536 + (size_t)forest->nodes.n * 16) {
        return;
    }
    struct mill__category_table *table = &ranks->tables[ranks->table_count++];
    *table = (struct mill__category_table){mill_malloc(size), span, end - first, kind == MILL__SET_LIGHTGBM};
    fill(table, ranks, forest, first);
    for (uint32_t c = first; c < end; c++) {
        ranks->columns[c].table = (uint16_t)ranks->table_count;
        ranks->columns[c].at = (uint16_t)(c - first);
    }
}

void mill__categories_build(struct mill__ranks *ranks, const struct mill__forest *forest)
{
    uint32_t features = 0;
    for (uint32_t c = 0; c < ranks->column_count; c++) {
        features += ranks->columns[c].kind == MILL__CELL_SET;
    }
    if (features == 0) {
        return;
    }
    ranks->tables = mill_calloc(features, sizeof(*ranks->tables));
    for (uint32_t c = 0; c < ranks->column_count;) {
        uint32_t end = c;
        while (end < ranks->column_count && ranks->columns[end].kind == MILL__CELL_SET &&
               ranks->columns[end].used == ranks->columns[c].used) {
            end++;
        }
        if (end > c) {
            build_table(ranks, forest, c, end);
        }
        c = end > c ? end : c + 1;
    }
}
