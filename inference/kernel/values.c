/* SPDX-License-Identifier: Apache-2.0 */
/* Values: which features a forest uses, and a tile of rows brought to their values in the model's precision. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Sorted, each once. */
static uint32_t sort_used(uint32_t *used, uint32_t n)
{
    qsort(used, n, sizeof(*used), compare_u32);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (kept == 0 || used[kept - 1] != used[i]) {
            used[kept++] = used[i];
        }
    }
    return kept;
}

/* The same by marking features, where they are not absurdly many for the nodes there are. */
static uint32_t mark_used(uint32_t *used, uint32_t n, uint32_t feature_count)
{
    uint8_t *marks = mill_calloc(feature_count, 1);
    for (uint32_t i = 0; i < n; i++) {
        marks[used[i]] = 1;
    }
    uint32_t kept = 0;
    for (uint32_t f = 0; f < feature_count; f++) {
        if (marks[f] != 0) {
            used[kept++] = f;
        }
    }
    free(marks);
    return kept;
}

static void find_used(struct mill__tables *tables, const struct mill__forest *forest)
{
    size_t room = (size_t)forest->nodes.n + forest->linear_terms.n;
    uint32_t *used = mill_malloc((room + 1) * sizeof(*used));
    uint32_t n = 0;
    for (uint32_t i = 0; i < forest->nodes.n; i++) {
        used[n++] = forest->nodes.at[i].feature;
    }
    for (uint32_t i = 0; i < forest->linear_terms.n; i++) {
        used[n++] = forest->linear_terms.at[i].feature;
    }
    bool few = forest->feature_count <= 2 * (size_t)n;
    uint32_t kept = few ? mark_used(used, n, forest->feature_count) : sort_used(used, n);
    tables->used = mill_realloc(used, (kept + 1) * sizeof(*used));
    tables->used_count = kept;
    tables->used_is_all = kept == forest->feature_count;
}

uint32_t mill__used_index(const struct mill__tables *tables, uint32_t feature)
{
    uint32_t low = 0, high = tables->used_count;
    while (low + 1 < high) {
        uint32_t middle = low + (high - low) / 2;
        if (tables->used[middle] <= feature) {
            low = middle;
        } else {
            high = middle;
        }
    }
    mill_assert(tables->used[low] == feature);
    return low;
}

int mill__tables_build(struct mill__tables *tables, const struct mill__forest *forest, struct mill_error *err)
{
    memset(tables, 0, sizeof(*tables));
    find_used(tables, forest);
    tables->base32 = mill_malloc(forest->margin_count * sizeof(float));
    for (uint32_t k = 0; k < forest->margin_count; k++) {
        tables->base32[k] = (float)forest->base[k];
    }
    mill__walk_build(tables, forest);
    tables->ranks = mill_calloc(1, sizeof(*tables->ranks));
    mill__ranks_build(tables->ranks, tables, forest);
    tables->bytes += tables->ranks->bytes;
    return mill__tune(tables, forest, err);
}

void mill__tables_clear(struct mill__tables *tables)
{
    free(tables->used);
    free(tables->base32);
    if (tables->ranks != NULL) {
        mill__ranks_clear(tables->ranks);
    }
    free(tables->ranks);
    mill__walk_clear(&tables->walk);
}

size_t mill__values_size(const struct mill__tables *tables, const struct mill__forest *forest, uint32_t n)
{
    return (size_t)n * tables->used_count * (forest->cells_f64 ? sizeof(double) : sizeof(float));
}

static float conditioned(const struct mill__forest *forest, uint32_t feature, float x)
{
    return mill__forest_take_steps(forest, &forest->conditions[feature], x);
}

static void load_f32(const struct mill__tables *tables, const struct mill__forest *forest,
                     const struct mill__rows *rows, size_t row, float *out)
{
    for (uint32_t u = 0; u < tables->used_count; u++) {
        uint32_t f = rows->only_used ? u : tables->used[u];
        float x = NAN;
        if (f < rows->column_count) {
            x = rows->f32 != NULL ? rows->f32[row * rows->stride + f] : (float)rows->f64[row * rows->stride + f];
        }
        out[u] = forest->conditions == NULL ? x : conditioned(forest, tables->used[u], x);
    }
}

static void load_f64(const struct mill__tables *tables, const struct mill__forest *forest,
                     const struct mill__rows *rows, size_t row, double *out)
{
    for (uint32_t u = 0; u < tables->used_count; u++) {
        uint32_t f = rows->only_used ? u : tables->used[u];
        double x = (double)NAN;
        if (f < rows->column_count) {
            x = rows->f32 != NULL ? (double)rows->f32[row * rows->stride + f] : rows->f64[row * rows->stride + f];
        }
        out[u] = forest->conditions == NULL ? x : (double)conditioned(forest, tables->used[u], (float)x);
    }
}

const void *mill__load_values(const struct mill__tables *tables, const struct mill__forest *forest,
                              const struct mill__rows *rows, size_t first, uint32_t n, void *scratch,
                              size_t *ret_stride)
{
    bool wide = forest->cells_f64;
    bool same_type = wide ? rows->f64 != NULL : rows->f32 != NULL;
    bool same_columns = rows->only_used || (tables->used_is_all && rows->column_count >= forest->feature_count);
    if (same_type && same_columns && forest->conditions == NULL) {
        *ret_stride = rows->stride;
        return wide ? (const void *)(rows->f64 + first * rows->stride)
                    : (const void *)(rows->f32 + first * rows->stride);
    }
    *ret_stride = tables->used_count;
    for (uint32_t r = 0; r < n; r++) {
        if (wide) {
            load_f64(tables, forest, rows, first + r, (double *)scratch + (size_t)r * tables->used_count);
        } else {
            load_f32(tables, forest, rows, first + r, (float *)scratch + (size_t)r * tables->used_count);
        }
    }
    return scratch;
}
