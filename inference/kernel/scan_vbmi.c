/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Scanning kernels for AVX-512 with VBMI: one row through 64 trees at once. The codes of all columns stand in one or
 * two registers, so that fetching the code of 64 different columns is one instruction (vpermb, vpermi2b). Needs the
 * tables of scan_build.c.
 */
#include "inference/kernel/rank_internal.h"
#include "inference/kernel/vbmi_internal.h"

#if defined(__x86_64__)
TARGET INLINE __m512i step(__m512i at, const uint8_t *slot, struct table q, bool two)
{
    __m512i code = fetch(q, _mm512_load_si512(slot), two);
    __mmask64 here = _mm512_cmpeq_epu8_mask(at, _mm512_load_si512(slot + 128));
    __mmask64 right = _mm512_mask_cmpgt_epu8_mask(here, code, _mm512_load_si512(slot + 64));
    return _mm512_mask_mov_epi8(at, right, _mm512_load_si512(slot + 192));
}

TARGET INLINE void scan_one(const uint8_t *slot, uint32_t from, uint32_t to, struct table q, bool two, __m512i *at)
{
    for (uint32_t s = from; s < to; s++) {
        *at = step(*at, slot + (size_t)s * 256, q, two);
    }
}

TARGET INLINE struct table pick(const struct mill__ranks *ranks, const struct mill__scan_group *group,
                                const uint8_t *codes, bool two, uint8_t *picked)
{
    if (group->pick_count > 0) {
        for (uint32_t i = 0; i < group->pick_count; i++) {
            picked[i] = codes[ranks->picks[group->pick_begin + i]];
        }
        codes = picked;
    }
    return load_table(codes, two);
}

/* Four groups at once hide that each step waits for the one before. */
TARGET INLINE void scan_four(const struct mill__ranks *ranks, uint32_t g, const uint8_t *codes, uint8_t *picked,
                             bool two, uint8_t *leaf)
{
    const struct mill__scan_group *group = ranks->groups + g;
    struct table q[4];
    __m512i at[4];
    const uint8_t *slot[4];
    uint32_t common = UINT32_MAX;
    for (int k = 0; k < 4; k++) {
        q[k] = pick(ranks, &group[k], codes, two, picked);
        at[k] = _mm512_setzero_si512();
        slot[k] = ranks->slots + (size_t)group[k].slot_begin * 256;
        common = group[k].slot_count < common ? group[k].slot_count : common;
    }
    for (uint32_t s = 0; s < common; s++) {
        at[0] = step(at[0], slot[0] + (size_t)s * 256, q[0], two);
        at[1] = step(at[1], slot[1] + (size_t)s * 256, q[1], two);
        at[2] = step(at[2], slot[2] + (size_t)s * 256, q[2], two);
        at[3] = step(at[3], slot[3] + (size_t)s * 256, q[3], two);
    }
    for (int k = 0; k < 4; k++) {
        scan_one(slot[k], common, group[k].slot_count, q[k], two, &at[k]);
        _mm512_store_si512(leaf + 64 * k, at[k]);
    }
}

TARGET INLINE void scan_all(const struct mill__ranks *ranks, const uint8_t *codes, uint8_t *picked, bool two,
                            uint8_t *leaf)
{
    uint32_t g = 0;
    for (; g + 4 <= ranks->group_count; g += 4) {
        scan_four(ranks, g, codes, picked, two, leaf + 64 * (size_t)g);
    }
    for (; g < ranks->group_count; g++) {
        const struct mill__scan_group *group = &ranks->groups[g];
        struct table q = pick(ranks, group, codes, two, picked);
        __m512i at = _mm512_setzero_si512();
        scan_one(ranks->slots + (size_t)group->slot_begin * 256, 0, group->slot_count, q, two, &at);
        _mm512_store_si512(leaf + 64 * (size_t)g, at);
    }
}

/* Parts of the scratch: picked codes, codes, leaves. */
TARGET static void run_scan(const struct mill__tables *tables, const struct mill__forest *forest, const void *values,
                            size_t stride, uint32_t n, double *margins, void *scratch)
{
    const struct mill__ranks *ranks = tables->ranks;
    uint8_t *picked = scratch, *codes = picked + 128;
    uint8_t *leaf = codes + (ranks->column_count + 128 + 63) / 64 * 64;
    size_t row_bytes = stride * (forest->cells_f64 ? sizeof(double) : sizeof(float));
    mill__start_margins(forest, n, margins);
    for (uint32_t r = 0; r < n; r++) {
        mill__coder_avx512.row(ranks, forest, (const char *)values + r * row_bytes, codes);
        if (ranks->column_count <= 64) {
            scan_all(ranks, codes, picked, false, leaf);
        } else {
            scan_all(ranks, codes, picked, true, leaf);
        }
        mill__rank_sum(tables, forest, leaf, margins + (size_t)r * forest->margin_count);
    }
}

#else
#define run_scan NULL
#endif

static bool fits_scan(const struct mill__tables *tables, const struct mill__forest *forest)
{
    return forest->trees.n > 0 && tables->ranks->scans;
}

bool mill__has_avx512vbmi(void)
{
#if defined(__x86_64__)
    return __builtin_cpu_supports("avx512vbmi") && mill__has_avx512bw();
#else
    return false;
#endif
}

const struct mill__kernel mill__kernel_scan_vbmi = {"scan-vbmi", "avx512vbmi", mill__has_avx512vbmi,
                                                    fits_scan,   run_scan,     false};
