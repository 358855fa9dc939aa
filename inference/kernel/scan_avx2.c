/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scanning kernel for AVX2: the tables of scan_build.c in two halves of 32 trees. A table look-up of bytes reaches 16
 * entries (pshufb), so the codes stand in as many registers as their columns need. Up to four registers are all looked
 * up and chosen from; where there are more, adding 0x70 to a distance of 16 or more sets the top bit, for which
 * pshufb gives 0, and the look-ups are joined.
 */
#include "inference/kernel/rank_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline))

TARGET INLINE __m256i load(const uint8_t *p)
{
    return _mm256_load_si256((const __m256i *)(const void *)p);
}

TARGET INLINE __m256i look_up(const uint8_t *codes, uint32_t k, __m256i at)
{
    __m128i table = _mm_load_si128((const __m128i *)(const void *)(codes + 16 * (size_t)k));
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), at);
}

/* Where bit 7 of a byte of `which` is set, the code plus one. */
TARGET INLINE __m256i bump(__m256i code, __m256i which)
{
    return _mm256_sub_epi8(code, _mm256_cmpgt_epi8(_mm256_setzero_si256(), which));
}

/* Codes of up to 64 columns: the low four bits of a byte look up in each part, bits 4 and 5 choose between them, bit 6
 * asks for the code plus one. Shifts bring those bits to bit 7, which is the one that counts in a choice. */
TARGET INLINE __m256i fetch_few(const uint8_t *codes, __m256i column, uint32_t parts)
{
    __m256i code = look_up(codes, 0, column), bit4 = _mm256_slli_epi16(column, 3);
    if (parts > 1) {
        code = _mm256_blendv_epi8(code, look_up(codes, 1, column), bit4);
    }
    if (parts > 2) {
        __m256i high = _mm256_blendv_epi8(look_up(codes, 2, column), look_up(codes, 3, column), bit4);
        code = _mm256_blendv_epi8(code, high, _mm256_slli_epi16(column, 2));
    }
    return bump(code, _mm256_add_epi8(column, column));
}

/* Codes of up to 128 columns; bit 7 asks for the code plus one. */
TARGET INLINE __m256i fetch_many(const uint8_t *codes, __m256i column, uint32_t parts)
{
    const __m256i reach = _mm256_set1_epi8(0x70);
    __m256i number = _mm256_and_si256(column, _mm256_set1_epi8(0x7f));
    __m256i code = _mm256_setzero_si256();
    for (uint32_t k = 0; k < parts; k++) {
        __m256i at = _mm256_adds_epu8(_mm256_xor_si256(number, _mm256_set1_epi8((char)(16 * k))), reach);
        code = _mm256_or_si256(code, look_up(codes, k, at));
    }
    return bump(code, column);
}

TARGET INLINE __m256i fetch(const uint8_t *codes, __m256i column, uint32_t parts)
{
    return parts <= 4 ? fetch_few(codes, column, parts) : fetch_many(codes, column, parts);
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

/* A loop of its own for each number of registers, so that they stay in registers. More than 64 columns in the forest
 * have another way to ask for bumps, whatever the group tests. */
TARGET static void scan_any(const struct mill__ranks *ranks, const struct mill__scan_group *group, const uint8_t *codes,
                            uint32_t columns, uint8_t *leaf)
{
    uint32_t parts = (columns + 15) / 16;
    if (ranks->bump_bit == 7) {
        if (parts <= 6) {
            scan_group(ranks, group, codes, 6, leaf);
        } else {
            scan_group(ranks, group, codes, 8, leaf);
        }
    } else if (parts <= 1) {
        scan_group(ranks, group, codes, 1, leaf);
    } else if (parts == 2) {
        scan_group(ranks, group, codes, 2, leaf);
    } else {
        scan_group(ranks, group, codes, 4, leaf);
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
        mill__coder_avx2.row(ranks, forest, (const char *)values + r * row_bytes, codes);
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

#else
#define run NULL
#endif

static bool fits(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->scans;
}

const struct mill__kernel mill__kernel_scan_avx2 = {"scan-avx2", "avx2", mill__has_avx2, fits, run, false};
