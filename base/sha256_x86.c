/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SHA-256 with the instructions that x86-64 has for it (Intel SDM, SHA256RNDS2 and SHA256MSG1/2): two rounds at a time
 * on a state that stands as ABEF and CDGH in two registers. Some eight times faster than portable C, which
 * tells when a model of many megabytes is loaded.
 */
#include "base/sha256_internal.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>

#define TARGET __attribute__((target("sha,sse4.1,ssse3")))

bool mill__sha256_has_instructions(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d) == 0 || (b & bit_SHA) == 0) {
        return false;
    }
    return __builtin_cpu_supports("sse4.1") && __builtin_cpu_supports("ssse3");
}

TARGET static inline __m128i load(const void *p)
{
    return _mm_loadu_si128((const __m128i *)p);
}

/* Four rounds with the words w. */
TARGET static inline void four_rounds(__m128i *abef, __m128i *cdgh, __m128i w, const uint32_t *constants)
{
    __m128i sum = _mm_add_epi32(w, load(constants));
    *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, sum);
    *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, _mm_shuffle_epi32(sum, 0x0e));
}

/* The next four words of the schedule from the sixteen before them. */
TARGET static inline __m128i next_words(const __m128i w[4])
{
    __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(w[0], w[1]), _mm_alignr_epi8(w[3], w[2], 4));
    return _mm_sha256msg2_epu32(sum, w[3]);
}

TARGET static inline void add_block(__m128i *abef, __m128i *cdgh, const uint8_t *block)
{
    const __m128i big_endian = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
    __m128i w[4], a = *abef, c = *cdgh;
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        if (i < 4) {
            w[i] = _mm_shuffle_epi8(load(block + 16 * i), big_endian);
            four_rounds(&a, &c, w[i], mill__sha256_constants + 4 * i);
            continue;
        }
        __m128i next = next_words(w);
        w[0] = w[1];
        w[1] = w[2];
        w[2] = w[3];
        w[3] = next;
        four_rounds(&a, &c, next, mill__sha256_constants + 4 * i);
    }
    *abef = _mm_add_epi32(*abef, a);
    *cdgh = _mm_add_epi32(*cdgh, c);
}

TARGET void mill__sha256_blocks_x86(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *blocks, size_t block_count)
{
    /* State in memory: a b c d e f g h, the first in the lowest lane. */
    __m128i cdab = _mm_shuffle_epi32(load(state), 0xb1), efgh = _mm_shuffle_epi32(load(state + 4), 0x1b);
    __m128i abef = _mm_alignr_epi8(cdab, efgh, 8), cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);
    for (size_t i = 0; i < block_count; i++) {
        add_block(&abef, &cdgh, blocks + i * MILL__SHA256_BLOCK_SIZE);
    }
    __m128i feba = _mm_shuffle_epi32(abef, 0x1b), dchg = _mm_shuffle_epi32(cdgh, 0xb1);
    _mm_storeu_si128((__m128i *)(void *)state, _mm_blend_epi16(feba, dchg, 0xf0));
    _mm_storeu_si128((__m128i *)(void *)(state + 4), _mm_alignr_epi8(dchg, feba, 8));
}
#else
bool mill__sha256_has_instructions(void)
{
    return false;
}

void mill__sha256_blocks_x86(uint32_t state[MILL__SHA256_STATE_WORDS], const uint8_t *blocks, size_t block_count)
{
    mill__sha256_blocks_portable(state, blocks, block_count);
}
#endif
