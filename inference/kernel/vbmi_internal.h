/* SPDX-License-Identifier: Apache-2.0 */
/* The codes of a row in two registers, and the look-up of 64 of them in one instruction, for the kernels that have
 * AVX-512 with VBMI. */
#ifndef MILL_INFERENCE_KERNEL_VBMI_INTERNAL_H
#define MILL_INFERENCE_KERNEL_VBMI_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512vbmi,popcnt")))
#define INLINE static inline __attribute__((always_inline))

/* Codes of up to 128 columns. */
struct table {
    __m512i low, high;
};

/* Up to 64 columns: bit 6 of a column's byte, which chooses the register, asks for the code plus one. Up to 128: bit 7
 * asks for it. */
TARGET INLINE __m512i fetch(struct table q, __m512i column, bool two)
{
    __m512i code = _mm512_permutex2var_epi8(q.low, column, q.high);
    return two ? _mm512_mask_add_epi8(code, _mm512_movepi8_mask(column), code, _mm512_set1_epi8(1)) : code;
}

TARGET INLINE struct table load_table(const uint8_t *codes, bool two)
{
    __m512i low = _mm512_load_si512(codes);
    return (struct table){low, two ? _mm512_load_si512(codes + 64) : _mm512_add_epi8(low, _mm512_set1_epi8(1))};
}

#endif
#endif
