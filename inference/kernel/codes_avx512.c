/* SPDX-License-Identifier: Apache-2.0 */
/* Values to codes with AVX-512: as codes_avx2.c, 16 comparisons in one or two instructions. */
#include <math.h>
#include <string.h>

#include "inference/kernel/rank_internal.h"

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,popcnt")))
#define INLINE static inline __attribute__((always_inline))

TARGET INLINE uint32_t below32(const float *t, __m512 v)
{
    return (uint32_t)_mm_popcnt_u32(_mm512_cmp_ps_mask(_mm512_load_ps(t), v, _CMP_NGE_UQ));
}

TARGET static inline uint32_t search32(const float *t, uint32_t n, float x)
{
    __m512 v = _mm512_set1_ps(x);
    uint32_t first = 16 * below32(t, v);
    (void)n;
    return first + below32(t + 16 + first, v);
}

TARGET INLINE uint32_t below64(const double *t, __m512d v)
{
    __mmask8 low = _mm512_cmp_pd_mask(_mm512_load_pd(t), v, _CMP_NGE_UQ);
    __mmask8 high = _mm512_cmp_pd_mask(_mm512_load_pd(t + 8), v, _CMP_NGE_UQ);
    return (uint32_t)_mm_popcnt_u32(_mm512_kunpackb(high, low));
}

TARGET static inline uint32_t search64(const double *t, uint32_t n, double x)
{
    __m512d v = _mm512_set1_pd(x);
    uint32_t first = 16 * below64(t, v);
    (void)n;
    return first + below64(t + 16 + first, v);
}

#include "inference/kernel/rank_codes.inc"

bool mill__has_avx512bw(void)
{
    return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("popcnt");
}

const struct mill__coder mill__coder_avx512 = {codes_of_row, codes_of_tile};
#else
bool mill__has_avx512bw(void)
{
    return false;
}

const struct mill__coder mill__coder_avx512 = {NULL, NULL};
#endif
