/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heap: complete trees walked on codes. A level is one addition, i = 2i + (code > rank): no child is read and nothing
 * branches, so a CPU overlaps a dozen trees (or sixteen rows of one tree) at once. The loops are written out for each
 * depth. One row adds up its leaves while the next trees are walked; many rows go through one tree after the other.
 */
#include <string.h>

#include "inference/kernel/rank_internal.h"

#define INLINE static inline __attribute__((always_inline))

INLINE uint64_t step(const uint8_t *tree, uint64_t at, const uint8_t *codes)
{
    uint8_t code = codes[tree[2 * at]];
    return 2 * at + (tree[2 * at + 1] < code);
}

/* Leaves of MILL__HEAP_TREES trees that stand one behind the other. */
INLINE void walk_trees(uint32_t depth, const uint8_t *trees, const uint8_t *codes, uint32_t *leaf)
{
    uint64_t at[MILL__HEAP_TREES];
    for (uint32_t k = 0; k < MILL__HEAP_TREES; k++) {
        at[k] = 1;
    }
#pragma GCC unroll 8
    for (uint32_t level = 0; level < depth; level++) {
#pragma GCC unroll 16
        for (uint32_t k = 0; k < MILL__HEAP_TREES; k++) {
            at[k] = step(trees + ((size_t)k * 2 << depth), at[k], codes);
        }
    }
#pragma GCC unroll 16
    for (uint32_t k = 0; k < MILL__HEAP_TREES; k++) {
        leaf[k] = (uint32_t)at[k] - (UINT32_C(1) << depth);
    }
}

/* Leaves of one tree for MILL__HEAP_ROWS rows. */
INLINE void walk_rows(uint32_t depth, const uint8_t *tree, const uint8_t *codes, uint32_t *leaf)
{
    uint64_t at[MILL__HEAP_ROWS];
    for (uint32_t r = 0; r < MILL__HEAP_ROWS; r++) {
        at[r] = 1;
    }
#pragma GCC unroll 8
    for (uint32_t level = 0; level < depth; level++) {
#pragma GCC unroll 16
        for (uint32_t r = 0; r < MILL__HEAP_ROWS; r++) {
            at[r] = step(tree, at[r], codes + (size_t)r * MILL__HOP_ROW_BYTES);
        }
    }
#pragma GCC unroll 16
    for (uint32_t r = 0; r < MILL__HEAP_ROWS; r++) {
        leaf[r] = (uint32_t)at[r] - (UINT32_C(1) << depth);
    }
}

/* Margins of one row whose codes are there. */
INLINE void run_row(uint32_t depth, const struct mill__perfect *perfect, const struct mill__forest *forest,
                    const uint8_t *codes, double *margins)
{
    const struct mill__tree *tree = forest->trees.at;
    bool single = forest->margin_count == 1, wide = forest->sums_f64;
    double sum64 = margins[0];
    float sum32 = (float)margins[0];
    for (uint32_t t = 0; t < forest->trees.n; t += MILL__HEAP_TREES, tree += MILL__HEAP_TREES) {
        uint32_t leaf[MILL__HEAP_TREES], left = forest->trees.n - t;
        uint32_t n = left < MILL__HEAP_TREES ? left : MILL__HEAP_TREES;
        const double *values64 = perfect->values64 + ((size_t)t << depth);
        const float *values32 = perfect->values32 + ((size_t)t << depth);
        walk_trees(depth, perfect->heap + ((size_t)t * 2 << depth), codes, leaf);
        for (uint32_t k = 0; k < n; k++, values64 += UINT32_C(1) << depth, values32 += UINT32_C(1) << depth) {
            if (single && wide) {
                sum64 += values64[leaf[k]];
            } else if (single) {
                sum32 += values32[leaf[k]];
            } else if (wide) {
                margins[tree[k].output] += values64[leaf[k]];
            } else {
                double *margin = &margins[tree[k].output];
                *margin = (double)((float)*margin + values32[leaf[k]]);
            }
        }
    }
    if (single) {
        margins[0] = wide ? sum64 : (double)sum32;
    }
}

/* Sums of n rows, a multiple of MILL__HEAP_ROWS, whose codes are there: output k of row r at k * 64 + r. */
INLINE void run_tile(uint32_t depth, const struct mill__perfect *perfect, const struct mill__forest *forest,
                     const uint8_t *codes, uint32_t n, float *sums32, double *sums64)
{
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const uint8_t *tree = perfect->heap + ((size_t)t * 2 << depth);
        size_t begin = (size_t)t << depth, to = (size_t)forest->trees.at[t].output * MILL__TILE_ROWS;
        for (uint32_t r = 0; r < n; r += MILL__HEAP_ROWS) {
            uint32_t leaf[MILL__HEAP_ROWS];
            walk_rows(depth, tree, codes + (size_t)r * MILL__HOP_ROW_BYTES, leaf);
            for (uint32_t k = 0; k < MILL__HEAP_ROWS; k++) {
                if (forest->sums_f64) {
                    sums64[to + r + k] += perfect->values64[begin + leaf[k]];
                } else {
                    sums32[to + r + k] += perfect->values32[begin + leaf[k]];
                }
            }
        }
    }
}

#define DEPTH(d)                                                                                                       \
    static __attribute__((noinline)) void row_##d(                                                                     \
        const struct mill__perfect *perfect, const struct mill__forest *forest, const uint8_t *codes, double *margins) \
    {                                                                                                                  \
        run_row(d, perfect, forest, codes, margins);                                                                   \
    }                                                                                                                  \
    static __attribute__((noinline)) void tile_##d(const struct mill__perfect *perfect,                                \
                                                   const struct mill__forest *forest, const uint8_t *codes,            \
                                                   uint32_t n, float *sums32, double *sums64)                          \
    {                                                                                                                  \
        run_tile(d, perfect, forest, codes, n, sums32, sums64);                                                        \
    }
DEPTH(2)
DEPTH(3)
DEPTH(4)
DEPTH(5)
DEPTH(6)
DEPTH(7)
DEPTH(8)

static void (*const rows[])(const struct mill__perfect *, const struct mill__forest *, const uint8_t *,
                            double *) = {NULL, NULL, row_2, row_3, row_4, row_5, row_6, row_7, row_8};
static void (*const tiles[])(const struct mill__perfect *, const struct mill__forest *, const uint8_t *, uint32_t,
                             float *, double *) = {NULL, NULL, tile_2, tile_3, tile_4, tile_5, tile_6, tile_7, tile_8};

void mill__heap_rows(const struct mill__tables *tables, const struct mill__forest *forest,
                     const struct mill__coder *coder, const void *values, size_t stride, uint32_t n, double *margins,
                     void *scratch)
{
    const struct mill__ranks *ranks = tables->ranks;
    const struct mill__perfect *perfect = &ranks->perfect;
    struct mill__code_rows at = mill__code_rows(tables, forest, coder, values, stride, n, margins, scratch);
    uint32_t tiled = n / MILL__HEAP_ROWS * MILL__HEAP_ROWS;
    if (tiled > 0) {
        tiles[perfect->depth](perfect, forest, at.codes, tiled, at.sums32, at.sums64);
        mill__deliver_sums(forest, tiled, at.sums32, at.sums64, margins);
    }
    for (uint32_t r = tiled; r < n; r++) {
        rows[perfect->depth](perfect, forest, at.codes + (size_t)r * MILL__HOP_ROW_BYTES,
                             margins + (size_t)r * forest->margin_count);
    }
}
