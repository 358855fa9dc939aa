/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernels of expressions share: bytes of bools to bits of validity and back, and the optimizer's leave to use
 * vector instructions.
 */
#ifndef MILL_FEATURESTORE_EXPR_VECTOR_INTERNAL_H
#define MILL_FEATURESTORE_EXPR_VECTOR_INTERNAL_H

#include <string.h>

#include "featurestore/expr_internal.h"

/* At -O2 gcc 12 vectorises only loops whose length it knows to fit. Results do not change: no reordering of floating
 * point is allowed by this. Debug builds are left as they are. */
#if defined(__GNUC__) && !defined(__clang__) && defined(__OPTIMIZE__)
#pragma GCC optimize("tree-vectorize", "vect-cost-model=dynamic")
#endif

/* Eight bytes of 0 or 1 to eight bits, low first, and back. Byte k of a word is taken for its bits 8k to 8k+7. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the host is little endian");

static inline uint64_t mill__expr_pack8(const uint8_t *bytes)
{
    uint64_t x;
    memcpy(&x, bytes, sizeof(x));
    return (x * UINT64_C(0x0102040810204080)) >> 56;
}

static inline void mill__expr_unpack8(uint64_t bits, uint8_t *bytes)
{
    uint64_t x = ((bits & 0xff) * UINT64_C(0x0101010101010101)) & UINT64_C(0x8040201008040201);
    x = ((x + UINT64_C(0x7f7f7f7f7f7f7f7f)) >> 7) & UINT64_C(0x0101010101010101);
    memcpy(bytes, &x, sizeof(x));
}

/* Word w of the bitmap that n bytes of 0 or 1 make; bits from n on are 0. */
static inline uint64_t mill__expr_pack(const uint8_t *bytes, uint32_t n, uint32_t w)
{
    uint32_t first = w * 64;
    uint32_t count = n - first < 64 ? n - first : 64;
    uint64_t word = 0;
    uint32_t i = 0;
    for (; i + 8 <= count; i += 8) {
        word |= mill__expr_pack8(bytes + first + i) << i;
    }
    for (; i < count; i++) {
        word |= (uint64_t)bytes[first + i] << i;
    }
    return word;
}

/* Bits to bytes. */
static inline void mill__expr_unpack(const uint64_t *bits, uint32_t n, uint8_t *bytes)
{
    uint32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        mill__expr_unpack8(bits[i / 64] >> (i % 64), bytes + i);
    }
    for (; i < n; i++) {
        bytes[i] = (bits[i / 64] >> (i % 64)) & 1;
    }
}

/* Rows i with bad[i] = 1 become null. */
static inline void mill__expr_clear_where(uint64_t *valid, const uint8_t *bad, uint32_t n)
{
    for (uint32_t w = 0; w < mill_bit_words(n); w++) {
        valid[w] &= ~mill__expr_pack(bad, n, w);
    }
}

#endif
