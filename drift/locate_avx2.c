/* SPDX-License-Identifier: Apache-2.0 */
/* The loops of locate_internal.h with AVX2: four break-points in one comparison. */
#ifdef __x86_64__
#include <immintrin.h>

#include "drift/locate_internal.h"

#define TARGET __attribute__((target("avx2,popcnt,bmi,bmi2")))

static bool is_supported(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") && __builtin_cpu_supports("bmi2");
}

static void TARGET find_cells(const struct mill__locator *locator, const double *values, uint32_t n, uint32_t *cells)
{
    for (uint32_t i = 0; i < n; i++) {
        cells[i] = mill__locate_cell(locator, mill__locate_key(locator, values[i]));
    }
}

static void TARGET find_slots(const struct mill__locator *locator, const double *values, const uint32_t *cells,
                              uint32_t n, uint32_t *slots)
{
    uint32_t starts[MILL__BLOCK_ROWS];

    mill__locate_starts(locator, cells, n, starts);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t start = starts[i];
        __m256d x = _mm256_set1_pd(values[i]);
        __m256d a = _mm256_loadu_pd(locator->breaks + start), b = _mm256_loadu_pd(locator->breaks + start + 4);
        uint32_t less = (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(a, x, _CMP_LT_OQ)) |
                        (uint32_t)_mm256_movemask_pd(_mm256_cmp_pd(b, x, _CMP_LT_OQ)) << 4;
        __m256d equal = _mm256_or_pd(_mm256_cmp_pd(a, x, _CMP_EQ_OQ), _mm256_cmp_pd(b, x, _CMP_EQ_OQ));
        slots[i] = 2 * (start + (uint32_t)_mm_popcnt_u32(less)) + (_mm256_movemask_pd(equal) != 0);
        if (__builtin_expect(less == 0xff, 0)) {
            slots[i] = mill__locate_slow(locator, values[i], cells[i]);
        }
    }
}

static uint64_t TARGET quantize(double center, double factor, const double *values, uint32_t n, int64_t *q)
{
    uint64_t magnitude = 0;

    for (uint32_t i = 0; i < n; i++) {
        double y = (values[i] - center) * factor;
        y = y < -0x1p60 ? -0x1p60 : y;
        y = y > 0x1p60 ? 0x1p60 : y;
        q[i] = _mm_cvtsd_si64(_mm_set_sd(y));
        magnitude |= (uint64_t)(q[i] ^ (q[i] >> 63));
    }
    return magnitude;
}

extern const struct mill__count_kernel mill__count_avx2;
const struct mill__count_kernel mill__count_avx2 = {"avx2", is_supported, find_cells, find_slots, quantize};
#endif
