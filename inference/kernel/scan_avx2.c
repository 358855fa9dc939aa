/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scanning kernel for AVX2: the tables of scan_build.c in two halves of 32 trees. A table look-up of bytes reaches 16
 * entries (pshufb), so the codes stand in as many registers as their columns need, and a look-up is tried in each:
 * adding 0x70 to a distance of 16 or more sets the top bit, for which pshufb gives 0.
 */
#include <math.h>
#include <string.h>

#include "inference/kernel/rank_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline))

TARGET INLINE uint32_t below32(const float *t, __m256 v)
{
    uint32_t low = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(t), v, _CMP_LT_OQ));
    uint32_t high = (uint32_t)_mm256_movemask_ps(_mm256_cmp_ps(_mm256_load_ps(t + 8), v, _CMP_LT_OQ));
    return (uint32_t)_mm_popcnt_u32(low | high << 8);
}

TARGET static inline uint32_t search32(const float *t, float x)
{
    __m256 v = _mm256_set1_ps(x);
    uint32_t block = below32(t, v);
    return 16 * block + below32(t + 16 + 16 * block, v);
}

TARGET INLINE uint32_t below64(const double *t, __m256d v)
{
    uint32_t bits = 0;
    for (int k = 0; k < 4; k++) {
        bits |= (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(_mm256_load_pd(t + 4 * k), v, _CMP_LT_OQ)) << (4 * k);
    }
    return (uint32_t)_mm_popcnt_u32(bits);
}

TARGET static inline uint32_t search64(const double *t, double x)
{
    __m256d v = _mm256_set1_pd(x);
    uint32_t block = below64(t, v);
    return 16 * block + below64(t + 16 + 16 * block, v);
}

#include "inference/kernel/rank_codes.inc"

TARGET INLINE __m256i load(const uint8_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

/* Byte 7 of a column number says that the code is wanted plus one. */
TARGET INLINE __m256i fetch(const uint8_t *codes, __m256i column, uint32_t parts)
{
    const __m256i reach = _mm256_set1_epi8(0x70);
    __m256i number = _mm256_and_si256(column, _mm256_set1_epi8(0x7f));
    __m256i code = _mm256_setzero_si256();
    for (uint32_t k = 0; k < parts; k++) {
        __m256i table = _mm256_broadcastsi128_si256(_mm_load_si128((const __m128i *)(const void *)(codes + 16 * k)));
        __m256i at = _mm256_adds_epu8(_mm256_xor_si256(number, _mm256_set1_epi8((char)(16 * k))), reach);
        code = _mm256_or_si256(code, _mm256_shuffle_epi8(table, at));
    }
    return _mm256_sub_epi8(code, _mm256_cmpgt_epi8(_mm256_setzero_si256(), column));
}

TARGET INLINE __m256i step(__m256i at, const uint8_t *slot, const uint8_t *codes, uint32_t parts)
{
    __m256i code = fetch(codes, load(slot), parts), rank = load(slot + 64);
    __m256i here = _mm256_cmpeq_epi8(at, load(slot + 128));
    __m256i left = _mm256_cmpeq_epi8(_mm256_max_epu8(code, rank), rank);
    return _mm256_blendv_epi8(at, load(slot + 192), _mm256_andnot_si256(left, here));
}

TARGET INLINE void scan_group(const struct mill__ranks *ranks, const struct mill__scan_group *group,
                              const uint8_t *codes, uint32_t parts, uint8_t *leaf)
{
    const uint8_t *slot = ranks->slots + (size_t)group->slot_begin * 256;
    __m256i low = _mm256_setzero_si256(), high = _mm256_setzero_si256();
    for (uint32_t s = 0; s < group->slot_count; s++, slot += 256) {
        low = step(low, slot, codes, parts);
        high = step(high, slot + 32, codes, parts);
    }
    _mm256_store_si256((__m256i *)(void *)leaf, low);
    _mm256_store_si256((__m256i *)(void *)(leaf + 32), high);
}

/* A loop of its own for each number of registers, so that they stay in registers. */
TARGET static void scan_any(const struct mill__ranks *ranks, const struct mill__scan_group *group, const uint8_t *codes,
                            uint32_t columns, uint8_t *leaf)
{
    switch ((columns + 15) / 16) {
    case 0:
    case 1:
        scan_group(ranks, group, codes, 1, leaf);
        break;
    case 2:
        scan_group(ranks, group, codes, 2, leaf);
        break;
    case 3:
        scan_group(ranks, group, codes, 3, leaf);
        break;
    case 4:
        scan_group(ranks, group, codes, 4, leaf);
        break;
    case 5:
    case 6:
        scan_group(ranks, group, codes, 6, leaf);
        break;
    default:
        scan_group(ranks, group, codes, 8, leaf);
        break;
    }
}

TARGET static void run(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                       size_t stride, uint32_t n, double *margins, void *scratch)
{
    const struct mill__ranks *ranks = tables->ranks;
    uint8_t *picked = scratch, *codes = picked + 128;
    uint8_t *leaf = codes + (ranks->column_count + 128 + 63) / 64 * 64;
    size_t row_bytes = stride * (forest->cells_f64 ? sizeof(double) : sizeof(float));
    mill__start_margins(forest, n, margins);
    for (uint32_t r = 0; r < n; r++) {
        codes_of_row(ranks, forest, (const char *)values + r * row_bytes, codes);
        for (uint32_t g = 0; g < ranks->group_count; g++) {
            const struct mill__scan_group *group = &ranks->groups[g];
            for (uint32_t i = 0; i < group->pick_count; i++) {
                picked[i] = codes[ranks->picks[group->pick_begin + i]];
            }
            bool picks = group->pick_count > 0;
            scan_any(ranks, group, picks ? picked : codes, picks ? group->pick_count : ranks->column_count,
                     leaf + 64 * (size_t)g);
        }
        mill__rank_sum(tables, forest, leaf, margins + (size_t)r * forest->margin_count);
    }
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}
#else
static bool supported(void)
{
    return false;
}
#define run NULL
#endif

static bool fits(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->scans;
}

const struct mill__kernel mill__kernel_scan_avx2 = {"scan-avx2", "avx2", supported, fits, run, false};
