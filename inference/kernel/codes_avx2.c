/* SPDX-License-Identifier: Apache-2.0 */
/* Values to codes with AVX2: 16 pivots choose a block, the 16 thresholds of the block are compared at once. Comparisons
 * that are true for a NaN make it find more than there are. */
#include <math.h>
#include <string.h>

#include "inference/kernel/rank_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,popcnt")))
#define INLINE static inline __attribute__((always_inline))

/* Twice the number of true comparisons: packing leaves two bytes of each of 16. */
TARGET INLINE uint32_t count_twice(__m256i words)
{
    return (uint32_t)_mm_popcnt_u32((uint32_t)_mm256_movemask_epi8(words));
}

TARGET INLINE uint32_t below32(const float *t, __m256 v)
{
    __m256i low = _mm256_castps_si256(_mm256_cmp_ps(_mm256_load_ps(t), v, _CMP_NGE_UQ));
    __m256i high = _mm256_castps_si256(_mm256_cmp_ps(_mm256_load_ps(t + 8), v, _CMP_NGE_UQ));
    return count_twice(_mm256_packs_epi32(low, high));
}

TARGET static inline uint32_t search32(const float *t, uint32_t n, float x)
{
    __m256 v = _mm256_set1_ps(x);
    uint32_t first = 8 * below32(t, v);
    (void)n;
    return first + below32(t + 16 + first, v) / 2;
}

TARGET INLINE __m256i less64(const double *t, __m256d v)
{
    return _mm256_castpd_si256(_mm256_cmp_pd(_mm256_load_pd(t), v, _CMP_NGE_UQ));
}

TARGET INLINE uint32_t below64(const double *t, __m256d v)
{
    __m256i low = _mm256_packs_epi32(less64(t, v), less64(t + 4, v));
    __m256i high = _mm256_packs_epi32(less64(t + 8, v), less64(t + 12, v));
    return count_twice(_mm256_packs_epi16(low, high));
}

TARGET static inline uint32_t search64(const double *t, uint32_t n, double x)
{
    __m256d v = _mm256_set1_pd(x);
    uint32_t first = 8 * below64(t, v);
    (void)n;
    return first + below64(t + 16 + first, v) / 2;
}

#include "inference/kernel/rank_codes.inc"

bool mill__has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt");
}

const struct mill__coder mill__coder_avx2 = {codes_of_row, codes_of_tile};
#else
bool mill__has_avx2(void)
{
    return false;
}

const struct mill__coder mill__coder_avx2 = {NULL, NULL};
#endif
