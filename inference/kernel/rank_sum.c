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

void mill__start_sums(const struct mill__forest *forest, float *sums32, double *sums64)
{
    for (uint32_t i = 0; i < forest->margin_count * MILL__TILE_ROWS; i++) {
        double base = forest->base_last ? 0 : forest->base[i / MILL__TILE_ROWS];
        if (forest->sums_f64) {
            sums64[i] = base;
        } else {
            sums32[i] = (float)base;
        }
    }
}

void mill__deliver_sums(const struct mill__forest *forest, uint32_t n, const float *sums32, const double *sums64,
                        double *margins)
{
    uint32_t outputs = forest->margin_count;
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t k = 0; k < outputs; k++) {
            size_t from = (size_t)k * MILL__TILE_ROWS + r;
            margins[(size_t)r * outputs + k] = forest->sums_f64 ? sums64[from] : (double)sums32[from];
        }
    }
}

struct mill__code_rows mill__code_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                                       const struct mill__coder *coder, const void *values, size_t stride, uint32_t n,
                                       double *margins, void *scratch)
{
    const struct mill__ranks *ranks = tables->ranks;
    size_t row_bytes = stride * (forest->cells_f64 ? sizeof(double) : sizeof(float));
    size_t bumped = (ranks->column_count + 15) / 16 * 16;
    struct mill__code_rows at = {.codes = scratch};
    at.sums64 = (double *)(void *)(at.codes + (size_t)n * MILL__HOP_ROW_BYTES + 16);
    at.sums32 = (float *)(void *)at.sums64;
    for (uint32_t r = 0; r < n; r++) {
        uint8_t *codes = at.codes + (size_t)r * MILL__HOP_ROW_BYTES;
        coder->row(ranks, forest, (const char *)values + r * row_bytes, codes);
        if (ranks->any_bump) {
            mill__codes_bump(codes, codes + bumped, ranks->column_count);
        }
    }
    mill__start_margins(forest, n, margins);
    if (n >= MILL__HOP_TREES) {
        mill__start_sums(forest, at.sums32, at.sums64);
    }
    return at;
}

void mill__rank_sum(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *leaf,
                    double *margins)
{
    const struct mill__tree *trees = forest->trees.at;
    uint32_t n = forest->trees.n;
    if (forest->sums_f64 && forest->margin_count == 1) {
        double sum = margins[0];
        for (uint32_t t = 0; t < n; t++) {
            sum += forest->leaves.at[trees[t].leaf_begin + leaf[t]];
        }
        margins[0] = sum;
        return;
    }
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
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        double *margin = &margins[forest->trees.at[t].output];
        size_t at = ((size_t)t << perfect->depth) + leaf[t];
        *margin = forest->sums_f64 ? *margin + perfect->values64[at] : (double)((float)*margin + perfect->values32[at]);
    }
}
