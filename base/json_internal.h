/* SPDX-License-Identifier: Apache-2.0 */
/* What json_read.c and json_write.c share: finding the end of a run of plain bytes in a string. Reading
 * spends most of its time here, so it goes 16 bytes at a time where SSE2 is there, else 8. */
#ifndef MILL_BASE_JSON_INTERNAL_H
#define MILL_BASE_JSON_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline bool mill__json_is_special(unsigned char byte)
{
    return byte < 0x20 || byte == '"' || byte == '\\';
}

/* 0x80 in each byte of v that is zero; exact up to and including the first such byte. */
static inline uint64_t mill__json_zero_bytes(uint64_t v)
{
    return (v - UINT64_C(0x0101010101010101)) & ~v & UINT64_C(0x8080808080808080);
}

/* The first quote, backslash or control character from p on, or end. *high gains a nonzero bit if a byte
 * above 0x7f is passed on the way. This one needs no vector instructions; little-endian. */
static inline const char *mill__json_plain_end_swar(const char *p, const char *end, uint64_t *high)
{
    for (; end - p >= 8; p += 8) {
        uint64_t v;
        memcpy(&v, p, 8);
        uint64_t quotes = mill__json_zero_bytes(v ^ UINT64_C(0x2222222222222222));
        uint64_t backslashes = mill__json_zero_bytes(v ^ UINT64_C(0x5c5c5c5c5c5c5c5c));
        uint64_t controls = mill__json_zero_bytes(v & UINT64_C(0xe0e0e0e0e0e0e0e0));
        uint64_t special = quotes | backslashes | controls;
        if (special != 0) {
            int bits = __builtin_ctzll(special) - 7; /* before the first special byte */
            *high |= v & UINT64_C(0x8080808080808080) & ((UINT64_C(1) << bits) - 1);
            return p + bits / 8;
        }
        *high |= v & UINT64_C(0x8080808080808080);
    }
    for (; p < end && !mill__json_is_special((unsigned char)*p); p++) {
        *high |= (unsigned char)*p & 0x80;
    }
    return p;
}

static inline const char *mill__json_plain_end(const char *p, const char *end, uint64_t *high)
{
#ifdef __SSE2__
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), last_control = _mm_set1_epi8(0x1f);
    for (; end - p >= 16; p += 16) {
        __m128i v;
        memcpy(&v, p, 16);
        __m128i special = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash));
        special = _mm_or_si128(special, _mm_cmpeq_epi8(_mm_min_epu8(v, last_control), v));
        unsigned found = (unsigned)_mm_movemask_epi8(special), above = (unsigned)_mm_movemask_epi8(v);
        if (found != 0) {
            *high |= above & ((found & -found) - 1);
            return p + __builtin_ctz(found);
        }
        *high |= above;
    }
#endif
    return mill__json_plain_end_swar(p, end, high);
}

#endif
