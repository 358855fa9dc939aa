/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gather kernel for AVX-512: the nodes of the walk, 64 rows of one tree at once in four registers of 16. For trees too
 * deep or with too many leaves for the kernels on ranks. Reads what walk.c built, of models with narrow nodes.
 */
#include <math.h>

#include "inference/kernel/kernel_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq")))
#define INLINE static inline __attribute__((always_inline))

/* Cells of all rows, cell by cell: row r of cell c at c * 64 + r. Rows beyond n repeat the constant cell. */
TARGET static void fill_cells(const struct mill__walk *walk, const struct mill__forest *forest, const float *values,
                              size_t stride, uint32_t n, float *cells)
{
    for (uint32_t kind = 0; kind < MILL__CELL_KINDS; kind++) {
        for (uint32_t c = walk->cell_begin[kind]; c < walk->cell_begin[kind + 1]; c++) {
            const float *from = values + walk->cells[c].used;
            float *to = cells + (size_t)c * MILL__TILE_ROWS;
            for (uint32_t r = 0; r < n; r++) {
                to[r] = mill__cell_value(forest, (enum mill__cell_kind)kind, walk->cells[c].set, from[r * stride]);
            }
            for (uint32_t r = n; r < MILL__TILE_ROWS; r++) {
                to[r] = 0;
            }
        }
    }
    for (uint32_t r = 0; r < MILL__TILE_ROWS; r++) {
        cells[(size_t)walk->cell_count * MILL__TILE_ROWS + r] = 0;
    }
}

/* One level for 16 rows: node words are threshold, then cell and left in 16 bits each. */
TARGET INLINE __m512i step(__m512i at, const struct mill__walk_node32 *nodes, const float *cells, __m512i lane)
{
    __m512 threshold = _mm512_i32gather_ps(at, &nodes->threshold, 8);
    __m512i word = _mm512_i32gather_epi32(at, &nodes->cell, 8);
    __m512i cell = _mm512_and_si512(word, _mm512_set1_epi32(0xffff));
    __m512 x = _mm512_i32gather_ps(_mm512_or_si512(_mm512_slli_epi32(cell, 6), lane), cells, 4);
    __mmask16 right = _mm512_cmp_ps_mask(x, threshold, _CMP_NLE_UQ);
    __m512i left = _mm512_srli_epi32(word, 16);
    return _mm512_mask_add_epi32(left, right, left, _mm512_set1_epi32(1));
}

TARGET INLINE void walk_tree(const struct mill__walk_node32 *nodes, uint32_t depth, const float *cells, __m512i *at)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    uint32_t left = depth;
    for (int k = 0; k < 4; k++) {
        at[k] = _mm512_setzero_si512();
    }
    while (left > 0) {
        uint32_t steps = left < 8 ? left : 8;
        __mmask16 moved = 0;
        left -= steps;
        while (steps-- > 0) {
            moved = 0;
            for (int k = 0; k < 4; k++) {
                __m512i next = step(at[k], nodes, cells, _mm512_add_epi32(lane, _mm512_set1_epi32(16 * k)));
                moved |= _mm512_cmpneq_epi32_mask(next, at[k]);
                at[k] = next;
            }
        }
        if (moved == 0) {
            break;
        }
    }
}

TARGET static void run(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                       size_t stride, uint32_t n, double *margins, void *scratch)
{
    const struct mill__walk *walk = &tables->walk;
    uint32_t outputs = forest->margin_count;
    float *sums = scratch, *cells = sums + (size_t)outputs * MILL__TILE_ROWS;
    fill_cells(walk, forest, values, stride, n, cells);
    for (uint32_t i = 0; i < outputs * MILL__TILE_ROWS; i++) {
        sums[i] = forest->base_last ? 0 : tables->base32[i / MILL__TILE_ROWS];
    }
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        const float *leaves = (const float *)walk->values + walk->roots[t];
        float *to = sums + (size_t)tree->output * MILL__TILE_ROWS;
        __m512i at[4];
        walk_tree(walk->nodes32 + walk->roots[t], tree->depth, cells, at);
        for (int k = 0; k < 4; k++) {
            __m512 value = _mm512_i32gather_ps(at[k], leaves, 4);
            _mm512_store_ps(to + 16 * k, _mm512_add_ps(_mm512_load_ps(to + 16 * k), value));
        }
    }
    for (uint32_t r = 0; r < n; r++) {
        for (uint32_t k = 0; k < outputs; k++) {
            margins[(size_t)r * outputs + k] = (double)sums[(size_t)k * MILL__TILE_ROWS + r];
        }
    }
}

#else
#define run NULL
#endif

static bool fits(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && !tables->walk.wide && tables->walk.leaf_of == NULL && !forest->sums_f64 &&
           forest->margin_count <= 256;
}

const struct mill__kernel mill__kernel_gather_avx512 = {
    "gather-avx512", "avx512bw", mill__has_avx512bw, fits, run, true};
