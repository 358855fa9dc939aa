/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block kernel for AVX-512 with BW: 64 rows through one tree after the other. A node compares the codes of its column
 * in all rows with its rank and chooses between the leaves that its children chose, from the last node to the root.
 */
#include "inference/kernel/rank_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,popcnt")))
#define INLINE static inline __attribute__((always_inline))

/* outcome[0..255] are the leaves' numbers broadcast, which also serve as ranks; outcome[256 + i] is node i's. */
TARGET INLINE __m512i leaf_of_rows(const struct mill__ranks *ranks, const struct mill__tree *tree, const uint8_t *codes,
                                   __m512i *outcome)
{
    const struct mill__block_node *node = ranks->block + tree->node_begin;
    for (uint32_t i = tree->leaf_count - 1; i-- > 0; node++) {
        __m512i code = _mm512_load_si512(codes + (size_t)node->row * 64);
        __mmask64 right = _mm512_cmpgt_epu8_mask(code, outcome[node->rank]);
        outcome[256 + i] = _mm512_mask_blend_epi8(right, outcome[node->left], outcome[node->right]);
    }
    return tree->leaf_count > 1 ? outcome[256] : outcome[0];
}

/* Values of 16 leaves' numbers from a table of at most 64 floats in four registers. */
TARGET INLINE __m512 value_of(__m512i leaf, const __m512 *table, bool many)
{
    __m512 low = _mm512_permutex2var_ps(table[0], leaf, table[1]);
    if (!many) {
        return low;
    }
    __m512 high = _mm512_permutex2var_ps(table[2], leaf, table[3]);
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(leaf, _mm512_set1_epi32(32)), low, high);
}

TARGET INLINE void add_floats(const float *leaves, uint32_t count, __m512i leaf, float *sums)
{
    __m128i part[4] = {_mm512_castsi512_si128(leaf), _mm512_extracti32x4_epi32(leaf, 1),
                       _mm512_extracti32x4_epi32(leaf, 2), _mm512_extracti32x4_epi32(leaf, 3)};
    __m512 table[4];
    if (count <= 64) {
        for (int k = 0; k < 4; k++) {
            table[k] = _mm512_loadu_ps(leaves + 16 * k);
        }
    }
    for (int k = 0; k < 4; k++) {
        __m512i at = _mm512_cvtepu8_epi32(part[k]);
        __m512 value = count <= 64 ? value_of(at, table, count > 32) : _mm512_i32gather_ps(at, leaves, 4);
        _mm512_store_ps(sums + 16 * k, _mm512_add_ps(_mm512_load_ps(sums + 16 * k), value));
    }
}

TARGET INLINE void add_doubles(const double *leaves, __m512i leaf, double *sums)
{
    uint8_t numbers[64] __attribute__((aligned(64)));
    _mm512_store_si512(numbers, leaf);
    for (int k = 0; k < 64; k += 8) {
        __m256i at = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(numbers + k)));
        __m512d value = _mm512_i32gather_pd(at, leaves, 8);
        _mm512_store_pd(sums + k, _mm512_add_pd(_mm512_load_pd(sums + k), value));
    }
}

/* Sums of output k, row r at k * 64 + r; then to the caller's rows. */
TARGET static void run(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                       size_t stride, uint32_t n, double *margins, void *scratch)
{
    const struct mill__ranks *ranks = tables->ranks;
    __m512i *outcome = scratch;
    double *sums64 = (double *)(void *)(outcome + 512);
    float *sums32 = (float *)(void *)sums64;
    uint32_t outputs = forest->margin_count;
    uint8_t *codes = (uint8_t *)(sums64 + (size_t)outputs * 64);
    mill__coder_avx512.tile(ranks, forest, values, stride, n, codes);
    for (int i = 0; i < 256; i++) {
        outcome[i] = _mm512_set1_epi8((char)i);
    }
    mill__start_sums(forest, sums32, sums64);
    for (uint32_t t = 0; t < forest->trees.n; t++) {
        const struct mill__tree *tree = &forest->trees.at[t];
        __m512i leaf = leaf_of_rows(ranks, tree, codes, outcome);
        if (forest->sums_f64) {
            add_doubles(forest->leaves.at + tree->leaf_begin, leaf, sums64 + (size_t)tree->output * 64);
        } else {
            add_floats(ranks->leaves32 + tree->leaf_begin, tree->leaf_count, leaf, sums32 + (size_t)tree->output * 64);
        }
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

const struct mill__kernel mill__kernel_block_avx512 = {"block-avx512", "avx512bw", mill__has_avx512bw, fits, run, true};
