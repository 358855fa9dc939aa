/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of one row over the leaves that a scanning kernel found, in tree order. */
#include "inference/kernel/rank_internal.h"

size_t mill__rank_scratch(const struct mill__tables *tables, const struct mill__forest *forest)
{
    const struct mill__ranks *ranks = tables->ranks;
    if (!ranks->built) {
        return 0;
    }
    /* Codes of a row and of a tile, leaves, the 256 + 255 outcomes and the sums of a block. */
    return 2 * (size_t)ranks->column_count * MILL__TILE_ROWS + 2 * (ranks->column_count + 256) +
           ((size_t)forest->trees.n + 256) + (size_t)512 * 64 +
           (size_t)forest->margin_count * MILL__TILE_ROWS * sizeof(double) + 1024;
}

void mill__rank_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                    double *margins)
{
    const struct mill__tree *trees = forest->trees.at;
    uint32_t n = forest->trees.n;
    if (forest->sums_f64) {
        for (uint32_t t = 0; t < n; t++) {
            margins[trees[t].output] += forest->leaves.at[trees[t].leaf_begin + leaf[t]];
        }
        return;
    }
    const float *leaves = tables->ranks->leaves32;
    if (forest->margin_count == 1) {
        float sum = (float)margins[0];
        for (uint32_t t = 0; t < n; t++) {
            sum += leaves[trees[t].leaf_begin + leaf[t]];
        }
        margins[0] = (double)sum;
        return;
    }
    for (uint32_t t = 0; t < n; t++) {
        double *margin = &margins[trees[t].output];
        *margin = (double)((float)*margin + leaves[trees[t].leaf_begin + leaf[t]]);
    }
}

void mill__perfect_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                       double *margins)
{
    const struct mill__perfect *perfect = &tables->ranks->perfect;
    if (forest->sums_f64) {
        for (uint32_t t = 0; t < forest->trees.n; t++) {
            margins[forest->trees.at[t].output] += perfect->values64[((size_t)t << perfect->depth) + leaf[t]];
        }
        return;
    }
    if (forest->margin_count == 1) {
        float sum = (float)margins[0];
        for (uint32_t t = 0; t < forest->trees.n; t++) {
            sum += perfect->values32[((size_t)t << perfect->depth) + leaf[t]];
        }
        margins[0] = (double)sum;
        return;
    }
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        double *margin = &margins[forest->trees.at[t].output];
        *margin = (double)((float)*margin + perfect->values32[((size_t)t << perfect->depth) + leaf[t]]);
    }
}
