/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block kernel for AVX2: the same as block_avx512.c in halves of 32 rows. There is no unsigned comparison of bytes, so
 * "code <= rank" is max(code, rank) == rank.
 */
#include "inference/kernel/rank_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline))

TARGET INLINE __m256i leaf_of_rows(const struct mill__ranks *ranks, const struct mill__tree *tree, const uint8_t *codes,
                                   __m256i *outcome)
{
    const struct mill__block_node *node = ranks->block + tree->node_begin;
    for (uint32_t i = tree->leaf_count - 1; i-- > 0; node++) {
        __m256i code = _mm256_load_si256((const __m256i *)(const void *)(codes + (size_t)node->row * 64));
        __m256i rank = outcome[node->rank];
        __m256i left = _mm256_cmpeq_epi8(_mm256_max_epu8(code, rank), rank);
        outcome[256 + i] = _mm256_blendv_epi8(outcome[node->right], outcome[node->left], left);
    }
    return tree->leaf_count > 1 ? outcome[256] : outcome[0];
}

TARGET INLINE void add_floats(const float *leaves, const uint8_t *leaf, float *sums)
{
    for (int k = 0; k < 32; k += 8) {
        __m256i at = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(leaf + k)));
        __m256 value = _mm256_i32gather_ps(leaves, at, 4);
        _mm256_store_ps(sums + k, _mm256_add_ps(_mm256_load_ps(sums + k), value));
    }
}

TARGET INLINE void add_doubles(const double *leaves, const uint8_t *leaf, double *sums)
{
    for (int k = 0; k < 32; k++) {
        sums[k] += leaves[leaf[k]];
    }
}

/* One half of the tile; codes and sums start at its first row. */
TARGET static void run_half(const struct mill__tables *tables, const struct mill__forest *forest, const uint8_t *codes,
                            __m256i *outcome, float *sums32, double *sums64)
{
    const struct mill__ranks *ranks = tables->ranks;
    uint8_t numbers[32] __attribute__((aligned(32)));
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        __m256i leaf = leaf_of_rows(ranks, tree, codes, outcome);
        _mm256_store_si256((__m256i *)(void *)numbers, leaf);
        if (forest->sums_f64) {
            add_doubles(forest->leaves.at + tree->leaf_begin, numbers, sums64 + (size_t)tree->output * 64);
        } else {
            add_floats(ranks->leaves32 + tree->leaf_begin, numbers, sums32 + (size_t)tree->output * 64);
        }
    }
}

TARGET static void run(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                       size_t stride, uint32_t n, double *margins, void *scratch)
{
    __m256i *outcome = scratch;
    double *sums64 = (double *)(void *)(outcome + 512);
    float *sums32 = (float *)(void *)sums64;
    uint32_t outputs = forest->margin_count;
    uint8_t *codes = (uint8_t *)(sums64 + (size_t)outputs * 64);
    mill__coder_avx2.tile(tables->ranks, forest, values, stride, n, codes);
    for (int i = 0; i < 256; i++) {
        outcome[i] = _mm256_set1_epi8((char)i);
    }
    mill__start_sums(forest, sums32, sums64);
    for (uint32_t half = 0; half < n; half += 32) {
        run_half(tables, forest, codes + half, outcome, sums32 + half, sums64 + half);
    }
    mill__deliver_sums(forest, n, sums32, sums64, margins);
}

#else
#define run NULL
#endif

static bool fits(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->blocks && forest->margin_count <= 256;
}

const struct mill__kernel mill__kernel_block_avx2 = {"block-avx2", "avx2", mill__has_avx2, fits, run, true};
