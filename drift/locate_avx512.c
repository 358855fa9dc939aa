/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of locate_internal.h with AVX-512: keys of eight values at once, eight break-points in one comparison. */
#ifdef __x86_64__
#include <immintrin.h>

#include "drift/locate_internal.h"

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,popcnt,bmi,bmi2")))

static bool is_supported(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2");
}

static inline __mmask8 TARGET tail_mask(uint32_t left)
{
    return (__mmask8)(left >= 8 ? 0xff : (1U << left) - 1);
}

static void TARGET make_keys(const struct mill__locator *locator, const double *values, uint32_t n, int64_t *keys)
{
    __m512i first = _mm512_set1_epi64(locator->key_first), last = _mm512_set1_epi64(locator->key_last);

    for (uint32_t i = 0; i < n; i += 8) {
        __m512i bits = _mm512_castpd_si512(_mm512_maskz_loadu_pd(tail_mask(n - i), values + i));
        __m512i key = _mm512_xor_si512(bits, _mm512_srli_epi64(_mm512_srai_epi64(bits, 63), 1));
        _mm512_storeu_si512(keys + i, _mm512_min_epi64(_mm512_max_epi64(key, first), last));
    }
}

static void TARGET find_cells(const struct mill__locator *locator, const double *values, uint32_t n, uint32_t *cells)
{
    int64_t keys[MILL__BLOCK_ROWS];

    make_keys(locator, values, n, keys);
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = mill__locate_cell(locator, keys[i]);
    }
}

static void TARGET find_slots(const struct mill__locator *locator, const double *values, const uint32_t *cells,
                              uint32_t n, uint32_t *slots)
{
    uint32_t starts[MILL__BLOCK_ROWS];

    mill__locate_starts(locator, cells, n, starts);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t start = starts[i];
        __m512d at = _mm512_loadu_pd(locator->breaks + start), x = _mm512_set1_pd(values[i]);
        uint32_t less = _mm512_cmp_pd_mask(at, x, _CMP_LT_OQ), equal = _mm512_cmp_pd_mask(at, x, _CMP_EQ_OQ);
        slots[i] = 2 * (start + (uint32_t)_mm_popcnt_u32(less)) + (equal != 0);
        if (__builtin_expect(less == 0xff, 0)) {
            slots[i] = mill__locate_slow(locator, values[i], cells[i]);
        }
    }
}

static uint64_t TARGET quantize(double center, double factor, const double *values, uint32_t n, int64_t *q)
{
    __m512d c = _mm512_set1_pd(center), f = _mm512_set1_pd(factor);
    __m512d high = _mm512_set1_pd(0x1p60), low = _mm512_set1_pd(-0x1p60);
    __m512i magnitude = _mm512_setzero_si512();

    for (uint32_t i = 0; i < n; i += 8) {
        __mmask8 mask = tail_mask(n - i);
        __m512d y = _mm512_mul_pd(_mm512_sub_pd(_mm512_maskz_loadu_pd(mask, values + i), c), f);
        __m512i k = _mm512_maskz_cvtpd_epi64(mask, _mm512_min_pd(_mm512_max_pd(y, low), high));
        _mm512_storeu_si512(q + i, k);
        magnitude = _mm512_or_si512(magnitude, _mm512_xor_si512(k, _mm512_srai_epi64(k, 63)));
    }
    return (uint64_t)_mm512_reduce_or_epi64(magnitude);
}

extern const struct mill__count_kernel mill__count_avx512;
const struct mill__count_kernel mill__count_avx512 = {"avx512", is_supported, find_cells, find_slots, quantize};
#endif
