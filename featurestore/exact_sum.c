/* SPDX-License-Identifier: Apache-2.0 */
/* Exact sums, the narrow form and the way to the wide one; see exact_sum_internal.h. */
#include "featurestore/exact_sum_internal.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"

static_assert(sizeof(struct mill__exact_sum) == 24, "the figure in the header");

enum {
    MANTISSA_BITS_MAX = 126, /* of a narrow magnitude: one bit of sign, one to add without overflow */
    FIRST_SLACK = 20,        /* low bits left below the first value, so that somewhat finer ones fit at once */
    EXPONENT_MIN = -1074,
    TOP_BIT_MAX = 1088, /* exponent + bits of any sum of at most 2^64 doubles */
};

enum form { FORM_ZERO, FORM_SHORT, FORM_LONG, FORM_WIDE };

void mill__exact_sum_clear(struct mill__exact_sum *sum)
{
    if (sum->is_wide) {
        free(sum->at.wide);
    }
    *sum = (struct mill__exact_sum){0};
}

static void widen(struct mill__exact_sum *sum)
{
    struct mill__wide_sum *wide = mill__wide_sum_new();
    mill__wide_sum_add(wide, mill__exact_sum_mantissa(sum), sum->exponent);
    sum->at.wide = wide;
    sum->exponent = 0;
    sum->is_wide = 1;
}

/* Back to the narrow form where the value allows; after large or non-finite values have left. */
static void try_narrow(struct mill__exact_sum *sum)
{
    mill__i128 mantissa;
    int32_t exponent;

    if (sum->is_wide && mill__wide_sum_narrow(sum->at.wide, &mantissa, &exponent)) {
        free(sum->at.wide);
        sum->is_wide = 0;
        sum->exponent = exponent;
        mill__exact_sum_set_mantissa(sum, mantissa);
    }
}

static void strip_zeros(mill__i128 *mantissa, int32_t *exponent)
{
    if (*mantissa == 0) {
        *exponent = 0;
        return;
    }
    unsigned zeros = mill__u128_trailing_zeros((mill__u128)*mantissa);
    *mantissa >>= zeros;
    *exponent += (int32_t)zeros;
}

/* a * 2^ae + b * 2^be in *a, *ae, or false where the narrow form does not hold it. */
static bool add_aligned(mill__i128 *a, int32_t *ae, mill__i128 b, int32_t be)
{
    int32_t low = *ae < be ? *ae : be;
    unsigned a_bits = mill__u128_bits(mill__i128_magnitude(*a)), b_bits = mill__u128_bits(mill__i128_magnitude(b));

    if ((int64_t)a_bits + *ae - low > MANTISSA_BITS_MAX || (int64_t)b_bits + be - low > MANTISSA_BITS_MAX) {
        return false;
    }
    *a = (mill__i128)((mill__u128)*a << (*ae - low)) + (mill__i128)((mill__u128)b << (be - low));
    *ae = low;
    return true;
}

static void add_mantissa(struct mill__exact_sum *sum, mill__i128 mantissa, int32_t exponent)
{
    if (mantissa == 0) {
        return;
    }
    if (!sum->is_wide) {
        mill__i128 total = mill__exact_sum_mantissa(sum);
        int32_t total_exponent = sum->exponent;
        strip_zeros(&mantissa, &exponent);
        bool fits = total != 0 && add_aligned(&total, &total_exponent, mantissa, exponent);
        if (!fits) {
            strip_zeros(&total, &total_exponent);
            if (total == 0) {
                total_exponent = exponent;
            }
            fits = add_aligned(&total, &total_exponent, mantissa, exponent);
        }
        if (fits) {
            sum->exponent = total_exponent;
            mill__exact_sum_set_mantissa(sum, total);
            return;
        }
        widen(sum);
    }
    mill__wide_sum_add(sum->at.wide, mantissa, exponent);
}

static void add_non_finite(struct mill__exact_sum *sum, double x, int sign)
{
    if (!sum->is_wide) {
        widen(sum);
    }
    struct mill__wide_sum *wide = sum->at.wide;
    int64_t *counter = isnan(x) ? &wide->nan : x > 0 ? &wide->plus_inf : &wide->minus_inf;
    *counter += sign;
    if (sign < 0) {
        try_narrow(sum);
    }
}

void mill__exact_sum_add_slow(struct mill__exact_sum *sum, double x, int sign)
{
    if (!isfinite(x)) {
        add_non_finite(sum, x, sign);
        return;
    }
    if (x == 0) {
        return;
    }
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    int32_t biased = (int32_t)((bits >> 52) & 0x7ff);
    int64_t magnitude = (int64_t)(bits & ((UINT64_C(1) << 52) - 1));
    int32_t exponent = biased == 0 ? EXPONENT_MIN : biased - 1075;
    magnitude |= biased == 0 ? 0 : INT64_C(1) << 52;
    mill__i128 term = (x < 0) != (sign < 0) ? -magnitude : magnitude;

    bool was_empty = !sum->is_wide && mill__exact_sum_mantissa(sum) == 0;
    if (was_empty && exponent - FIRST_SLACK >= EXPONENT_MIN) {
        sum->exponent = exponent - FIRST_SLACK;
        mill__exact_sum_set_mantissa(sum, (mill__i128)((mill__u128)term << FIRST_SLACK));
        return;
    }
    add_mantissa(sum, term, exponent);
}

static void merge_wide(struct mill__exact_sum *sum, const struct mill__wide_sum *other, int sign)
{
    if (!sum->is_wide) {
        widen(sum);
    }
    mill__wide_sum_merge(sum->at.wide, other, sign);
    if (sign < 0) {
        try_narrow(sum);
    }
}

void mill__exact_sum_merge_slow(struct mill__exact_sum *sum, const struct mill__exact_sum *other, int sign)
{
    if (other->is_wide) {
        merge_wide(sum, other->at.wide, sign);
        return;
    }
    mill__i128 mantissa = mill__exact_sum_mantissa(other);
    int32_t exponent = other->exponent;
    strip_zeros(&mantissa, &exponent); /* also makes room for the sign: the most negative mantissa has trailing zeros */
    bool was_empty = !sum->is_wide && mill__exact_sum_mantissa(sum) == 0;
    if (was_empty) {
        /* As it is, with the slack that it has; what is merged next is most likely laid out like it. */
        sum->exponent = sign > 0 ? other->exponent : exponent;
        mill__exact_sum_set_mantissa(sum, sign > 0 ? mill__exact_sum_mantissa(other) : -mantissa);
        return;
    }
    add_mantissa(sum, sign > 0 ? mantissa : -mantissa, exponent);
}

double mill__round_to_double(mill__u128 magnitude, int32_t exponent, bool sticky, bool negative)
{
    unsigned bits = mill__u128_bits(magnitude);
    uint64_t significand = (uint64_t)magnitude;

    if (bits > 53) {
        unsigned shift = bits - 53;
        mill__u128 rest = magnitude & (((mill__u128)1 << shift) - 1);
        mill__u128 half = (mill__u128)1 << (shift - 1);
        significand = (uint64_t)(magnitude >> shift);
        if (rest > half || (rest == half && (sticky || (significand & 1) != 0))) {
            significand++;
        }
        exponent += (int32_t)shift;
    }
    double value = (double)significand;
    if (exponent > -1000 && exponent < 900) {
        uint64_t power = (uint64_t)(exponent + 1023) << 52;
        double scale;
        memcpy(&scale, &power, sizeof(scale));
        value *= scale;
    } else {
        value = ldexp(value, exponent);
    }
    return negative ? -value : value;
}

double mill__exact_sum_value(const struct mill__exact_sum *sum)
{
    if (sum->is_wide) {
        return mill__wide_sum_value(sum->at.wide);
    }
    mill__i128 mantissa = mill__exact_sum_mantissa(sum);
    if (mantissa == 0) {
        return 0.0;
    }
    return mill__round_to_double(mill__i128_magnitude(mantissa), sum->exponent, false, mantissa < 0);
}

static void write_narrow(mill__i128 mantissa, int32_t exponent, struct mill_buffer *out)
{
    strip_zeros(&mantissa, &exponent);
    if (mantissa == 0) {
        mill_buffer_add_byte(out, FORM_ZERO);
        return;
    }
    bool is_short = mantissa >= INT64_MIN / 2 && mantissa <= INT64_MAX / 2;
    mill_buffer_add_byte(out, is_short ? FORM_SHORT : FORM_LONG);
    mill_buffer_add_zigzag(out, exponent);
    if (is_short) {
        mill_buffer_add_zigzag(out, (int64_t)mantissa);
    } else {
        mill_buffer_add_u64(out, (uint64_t)mantissa);
        mill_buffer_add_u64(out, (uint64_t)((mill__u128)mantissa >> 64));
    }
}

void mill__exact_sum_write(const struct mill__exact_sum *sum, struct mill_buffer *out)
{
    mill__i128 mantissa = 0;
    int32_t exponent = 0;

    if (!sum->is_wide) {
        write_narrow(mill__exact_sum_mantissa(sum), sum->exponent, out);
    } else if (mill__wide_sum_narrow(sum->at.wide, &mantissa, &exponent)) {
        write_narrow(mantissa, exponent, out);
    } else {
        mill_buffer_add_byte(out, FORM_WIDE);
        mill__wide_sum_write(sum->at.wide, out);
    }
}

static bool read_narrow(struct mill__exact_sum *sum, enum form form, struct mill_cursor *c)
{
    int64_t exponent = mill_cursor_zigzag(c);
    mill__i128 mantissa;

    if (form == FORM_SHORT) {
        mantissa = mill_cursor_zigzag(c);
    } else {
        uint64_t low = mill_cursor_u64(c);
        mantissa = (mill__i128)(((mill__u128)mill_cursor_u64(c) << 64) | low);
    }
    unsigned bits = mill__u128_bits(mill__i128_magnitude(mantissa));
    if (c->bad || mantissa == 0 || exponent < EXPONENT_MIN || exponent > TOP_BIT_MAX ||
        exponent + (int64_t)bits > TOP_BIT_MAX) {
        return false;
    }
    sum->exponent = (int32_t)exponent;
    mill__exact_sum_set_mantissa(sum, mantissa);
    return true;
}

bool mill__exact_sum_read(struct mill__exact_sum *sum, struct mill_cursor *c)
{
    uint8_t form = mill_cursor_byte(c);

    *sum = (struct mill__exact_sum){0};
    switch (form) {
    case FORM_ZERO:
        return !c->bad;
    case FORM_SHORT:
    case FORM_LONG:
        return read_narrow(sum, (enum form)form, c);
    case FORM_WIDE:
        sum->at.wide = mill__wide_sum_new();
        sum->is_wide = 1;
        if (mill__wide_sum_read(sum->at.wide, c)) {
            return true;
        }
        mill__exact_sum_clear(sum);
        return false;
    default:
        return false;
    }
}
