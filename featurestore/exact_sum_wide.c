/* SPDX-License-Identifier: Apache-2.0 */
/* Exact sums, the wide form: every bit that a sum of doubles can have, as one integer; see exact_sum_internal.h. */
#include "featurestore/exact_sum_internal.h"

#include <math.h>
#include <stdlib.h>

#include "base/arena.h"

enum { LIMBS = MILL__WIDE_LIMBS, BIT_0_EXPONENT = -1074 };

struct mill__wide_sum *mill__wide_sum_new(void)
{
    return mill_calloc(1, sizeof(struct mill__wide_sum));
}

void mill__wide_sum_add(struct mill__wide_sum *wide, mill__i128 mantissa, int32_t exponent)
{
    if (mantissa == 0) {
        return;
    }
    int32_t position = exponent - BIT_0_EXPONENT;
    if (position < 0) { /* slack of a narrow sum: zeros, as no double has bits there */
        mantissa >>= -position;
        position = 0;
    }
    uint32_t first = (uint32_t)position / 64, shift = (uint32_t)position % 64;
    uint64_t sign = mantissa < 0 ? UINT64_MAX : 0;
    uint64_t low = (uint64_t)mantissa, high = (uint64_t)((mill__u128)mantissa >> 64);
    uint64_t part[3] = {low, high, sign};
    if (shift > 0) {
        part[0] = low << shift;
        part[1] = (high << shift) | (low >> (64 - shift));
        part[2] = (sign << shift) | (high >> (64 - shift));
    }
    uint64_t carry = 0;
    for (uint32_t i = first; i < LIMBS; i++) {
        uint64_t term = i - first < 3 ? part[i - first] : sign;
        mill__u128 total = (mill__u128)wide->limb[i] + term + carry;
        wide->limb[i] = (uint64_t)total;
        carry = (uint64_t)(total >> 64);
    }
}

void mill__wide_sum_merge(struct mill__wide_sum *wide, const struct mill__wide_sum *other, int sign)
{
    uint64_t flip = sign < 0 ? UINT64_MAX : 0, carry = sign < 0; /* -x is ~x + 1 */

    for (uint32_t i = 0; i < LIMBS; i++) {
        mill__u128 total = (mill__u128)wide->limb[i] + (other->limb[i] ^ flip) + carry;
        wide->limb[i] = (uint64_t)total;
        carry = (uint64_t)(total >> 64);
    }
    wide->plus_inf += sign * other->plus_inf;
    wide->minus_inf += sign * other->minus_inf;
    wide->nan += sign * other->nan;
}

/* Sign and magnitude; limb[] of the magnitude. */
static bool magnitude_of(const struct mill__wide_sum *wide, uint64_t *limb)
{
    bool negative = (wide->limb[LIMBS - 1] >> 63) != 0;
    uint64_t flip = negative ? UINT64_MAX : 0, carry = negative;

    for (uint32_t i = 0; i < LIMBS; i++) {
        mill__u128 total = (mill__u128)(wide->limb[i] ^ flip) + carry;
        limb[i] = (uint64_t)total;
        carry = (uint64_t)(total >> 64);
    }
    return negative;
}

/* Bits position ... position + 127 of the magnitude. */
static mill__u128 bits_at(const uint64_t *limb, uint32_t position)
{
    uint32_t first = position / 64, shift = position % 64;
    uint64_t part[3] = {0};

    for (uint32_t i = 0; i < 3 && first + i < LIMBS; i++) {
        part[i] = limb[first + i];
    }
    if (shift > 0) {
        part[0] = (part[0] >> shift) | (part[1] << (64 - shift));
        part[1] = (part[1] >> shift) | (part[2] << (64 - shift));
    }
    return ((mill__u128)part[1] << 64) | part[0];
}

/* Positions of the lowest and highest set bit; false where there is none. */
static bool bit_range(const uint64_t *limb, uint32_t *ret_low, uint32_t *ret_high)
{
    uint32_t low = 0, high = LIMBS;

    while (low < LIMBS && limb[low] == 0) {
        low++;
    }
    if (low == LIMBS) {
        return false;
    }
    while (limb[high - 1] == 0) {
        high--;
    }
    *ret_low = low * 64 + (uint32_t)__builtin_ctzll(limb[low]);
    *ret_high = high * 64 - 1 - (uint32_t)__builtin_clzll(limb[high - 1]);
    return true;
}

double mill__wide_sum_value(const struct mill__wide_sum *wide)
{
    uint64_t limb[LIMBS];
    uint32_t low, high;

    if (wide->nan != 0 || (wide->plus_inf != 0 && wide->minus_inf != 0)) {
        return (double)NAN;
    }
    if (wide->plus_inf != 0 || wide->minus_inf != 0) {
        return wide->plus_inf != 0 ? (double)INFINITY : -(double)INFINITY;
    }
    bool negative = magnitude_of(wide, limb);
    if (!bit_range(limb, &low, &high)) {
        return 0.0;
    }
    uint32_t from = high > 127 ? high - 127 : 0;
    return mill__round_to_double(bits_at(limb, from), (int32_t)from + BIT_0_EXPONENT, low < from, negative);
}

bool mill__wide_sum_narrow(const struct mill__wide_sum *wide, mill__i128 *ret_mantissa, int32_t *ret_exponent)
{
    uint64_t limb[LIMBS];
    uint32_t low, high;

    if (wide->nan != 0 || wide->plus_inf != 0 || wide->minus_inf != 0) {
        return false;
    }
    bool negative = magnitude_of(wide, limb);
    if (!bit_range(limb, &low, &high)) {
        *ret_mantissa = 0;
        *ret_exponent = 0;
        return true;
    }
    if (high - low > 126) {
        return false;
    }
    mill__i128 magnitude = (mill__i128)bits_at(limb, low);
    *ret_mantissa = negative ? -magnitude : magnitude;
    *ret_exponent = (int32_t)low + BIT_0_EXPONENT;
    return true;
}

/* Counters, then the limbs between the zeros below and the copies of the sign above. */
void mill__wide_sum_write(const struct mill__wide_sum *wide, struct mill_buffer *out)
{
    uint32_t first = 0, end = LIMBS;
    uint64_t sign = (wide->limb[LIMBS - 1] >> 63) != 0 ? UINT64_MAX : 0;

    while (first < LIMBS && wide->limb[first] == 0) {
        first++;
    }
    while (end > first && wide->limb[end - 1] == sign) {
        end--;
    }
    mill_buffer_add_zigzag(out, wide->plus_inf);
    mill_buffer_add_zigzag(out, wide->minus_inf);
    mill_buffer_add_zigzag(out, wide->nan);
    mill_buffer_add_byte(out, (unsigned char)(sign != 0));
    mill_buffer_add_byte(out, (unsigned char)(first == LIMBS ? 0 : first));
    mill_buffer_add_byte(out, (unsigned char)(end - first));
    for (uint32_t i = first; i < end; i++) {
        mill_buffer_add_u64(out, wide->limb[i]);
    }
}

bool mill__wide_sum_read(struct mill__wide_sum *wide, struct mill_cursor *c)
{
    wide->plus_inf = mill_cursor_zigzag(c);
    wide->minus_inf = mill_cursor_zigzag(c);
    wide->nan = mill_cursor_zigzag(c);
    uint32_t negative = mill_cursor_byte(c), first = mill_cursor_byte(c), count = mill_cursor_byte(c);
    /* Counters far from any overflow, so that what is added to hostile bytes is still defined. */
    const int64_t limit = INT64_C(1) << 48;
    if (c->bad || negative > 1 || first + count > LIMBS || llabs(wide->plus_inf) > limit ||
        llabs(wide->minus_inf) > limit || llabs(wide->nan) > limit) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        wide->limb[first + i] = mill_cursor_u64(c);
    }
    for (uint32_t i = first + count; i < LIMBS; i++) {
        wide->limb[i] = negative ? UINT64_MAX : 0;
    }
    return !c->bad;
}
