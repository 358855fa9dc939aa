/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact sums of doubles: what was added can be subtracted again, in any order, and nothing is ever lost; the value is
 * rounded once, when it is read. Used by the accumulators of sum and mean.
 *
 * A sum is a fixed-point number: a 128-bit integer times a power of two. Ordinary data of one column spans few powers
 * of two and stays there (24 bytes). A value that does not fit widens the sum to all bits that a double can have, with
 * counters for infinities and NaNs beside them (so that these can be subtracted, too); that form has memory of its own,
 * freed by _clear. A sum may be moved by memcpy, but not copied.
 */
#ifndef MILL_FEATURESTORE_EXACT_SUM_INTERNAL_H
#define MILL_FEATURESTORE_EXACT_SUM_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/buffer.h"

/* gcc's 128-bit integers are no ISO C; __extension__ says that this is meant. */
__extension__ typedef __int128 mill__i128;
__extension__ typedef unsigned __int128 mill__u128;

struct mill__wide_sum;

/* All zeros is an empty sum. */
struct mill__exact_sum {
    union {
        uint64_t mantissa[2]; /* low, high: two's complement; value = mantissa * 2^exponent */
        struct mill__wide_sum *wide;
    } at;
    int32_t exponent;
    uint32_t is_wide;
};

void mill__exact_sum_clear(struct mill__exact_sum *sum);
void mill__exact_sum_add_slow(struct mill__exact_sum *sum, double x, int sign);
void mill__exact_sum_merge_slow(struct mill__exact_sum *sum, const struct mill__exact_sum *other, int sign);
/* Rounded to nearest, ties to even: Python's math.fsum. NaN where a NaN or infinities of both signs are in it. */
double mill__exact_sum_value(const struct mill__exact_sum *sum);
/* Equal values write equal bytes, whatever they were added up from. */
void mill__exact_sum_write(const struct mill__exact_sum *sum, struct mill_buffer *out);
/* Into an empty sum; false (and an empty sum) where the bytes are none. */
bool mill__exact_sum_read(struct mill__exact_sum *sum, struct mill_cursor *c);

static inline mill__i128 mill__exact_sum_mantissa(const struct mill__exact_sum *sum)
{
    return (mill__i128)(((mill__u128)sum->at.mantissa[1] << 64) | sum->at.mantissa[0]);
}

static inline void mill__exact_sum_set_mantissa(struct mill__exact_sum *sum, mill__i128 mantissa)
{
    sum->at.mantissa[0] = (uint64_t)mantissa;
    sum->at.mantissa[1] = (uint64_t)((mill__u128)mantissa >> 64);
}

/* A shift of more than this could push the 53 bits of a double out of the mantissa. */
enum { MILL__EXACT_SUM_SHIFT_MAX = 73 };

/* sign is 1 or -1: adds or takes back x. Written for constant sign after inlining. */
static inline void mill__exact_sum_update(struct mill__exact_sum *sum, double x, int sign)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    uint32_t biased = (bits >> 52) & 0x7ff;
    uint64_t magnitude = (bits & ((UINT64_C(1) << 52) - 1)) | (UINT64_C(1) << 52);
    uint32_t shift = biased - 1075u - (uint32_t)sum->exponent;
    /* Subnormals, infinities and NaNs (biased 0 and 0x7ff) go the slow way, and so does whatever does not line up. */
    if (!sum->is_wide && biased - 1u < 0x7feu && shift <= MILL__EXACT_SUM_SHIFT_MAX) {
        mill__i128 term = (mill__i128)((mill__u128)magnitude << shift);
        bool negative = (bits >> 63) != (sign < 0);
        mill__i128 total;
        if (!__builtin_add_overflow(mill__exact_sum_mantissa(sum), negative ? -term : term, &total)) {
            mill__exact_sum_set_mantissa(sum, total);
            return;
        }
    }
    mill__exact_sum_add_slow(sum, x, sign);
}

static inline void mill__exact_sum_add(struct mill__exact_sum *sum, double x)
{
    mill__exact_sum_update(sum, x, 1);
}

static inline void mill__exact_sum_subtract(struct mill__exact_sum *sum, double x)
{
    mill__exact_sum_update(sum, x, -1);
}

/* Adds (sign 1) or takes back (sign -1) another sum. */
static inline void mill__exact_sum_merge(struct mill__exact_sum *sum, const struct mill__exact_sum *other, int sign)
{
    if (!sum->is_wide && !other->is_wide && sum->exponent == other->exponent) {
        mill__i128 a = mill__exact_sum_mantissa(sum), b = mill__exact_sum_mantissa(other), total;
        if (!(sign > 0 ? __builtin_add_overflow(a, b, &total) : __builtin_sub_overflow(a, b, &total))) {
            mill__exact_sum_set_mantissa(sum, total);
            return;
        }
    }
    mill__exact_sum_merge_slow(sum, other, sign);
}

/* ---- between exact_sum.c and exact_sum_wide.c ---- */

enum { MILL__WIDE_LIMBS = 34 }; /* bit 0 is 2^-1074; 2098 bits of a double, 64 for carries, a sign */

struct mill__wide_sum {
    int64_t plus_inf, minus_inf, nan; /* how many are in it */
    uint64_t limb[MILL__WIDE_LIMBS];  /* two's complement, low first */
};

struct mill__wide_sum *mill__wide_sum_new(void);
void mill__wide_sum_add(struct mill__wide_sum *wide, mill__i128 mantissa, int32_t exponent);
void mill__wide_sum_merge(struct mill__wide_sum *wide, const struct mill__wide_sum *other, int sign);
double mill__wide_sum_value(const struct mill__wide_sum *wide);
/* The value as odd mantissa and exponent (0, 0 for zero), if it fits. */
bool mill__wide_sum_narrow(const struct mill__wide_sum *wide, mill__i128 *ret_mantissa, int32_t *ret_exponent);
void mill__wide_sum_write(const struct mill__wide_sum *wide, struct mill_buffer *out);
bool mill__wide_sum_read(struct mill__wide_sum *wide, struct mill_cursor *c);

static inline unsigned mill__u128_bits(mill__u128 v)
{
    uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
    return high != 0 ? 128u - (unsigned)__builtin_clzll(high) : low != 0 ? 64u - (unsigned)__builtin_clzll(low) : 0;
}

/* v != 0 */
static inline unsigned mill__u128_trailing_zeros(mill__u128 v)
{
    uint64_t low = (uint64_t)v;
    return low != 0 ? (unsigned)__builtin_ctzll(low) : 64u + (unsigned)__builtin_ctzll((uint64_t)(v >> 64));
}

static inline mill__u128 mill__i128_magnitude(mill__i128 v)
{
    return v < 0 ? -(mill__u128)v : (mill__u128)v;
}

/* magnitude * 2^exponent, rounded once; exact where the result is subnormal, as all bits are multiples of 2^-1074. */
double mill__round_to_double(mill__u128 magnitude, int32_t exponent, bool sticky, bool negative);

#endif
