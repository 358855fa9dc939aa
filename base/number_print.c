/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Number to text; see number.h. Every feature and score that leaves as JSON goes through here.
 *
 * Schubfach (R. Giulietti, "The Schubfach way to render doubles", 2020), in the form of A. Jaschke's
 * "Drachennest": of all decimals that read back as the value, the one with the fewest digits, and of those
 * the nearest. One 128-bit multiplication for each of the value and the two ends of its interval.
 */
#include "base/number.h"

#include <math.h>
#include <string.h>

#include "base/error.h"
#include "base/number_internal.h"

/* digits * 10^exponent; digits < 10^17, perhaps with zeros at the end. */
struct decimal {
    uint64_t digits;
    int exponent;
};

/* The value c * 2^q and the interval of reals that read back as it, by four: [4c - 2 (or - 1), 4c + 2] * 2^(q - 2). */
struct binary {
    uint64_t c;
    int q;
    bool lower_is_closer; /* c is the smallest of its binade: the neighbour below is half as far */
};

static struct binary split(uint64_t fraction, int exponent, int fraction_bits, int exponent_bias)
{
    struct binary b = {fraction, 1 - exponent_bias - fraction_bits, false};
    if (exponent != 0) {
        b.c = fraction | UINT64_C(1) << fraction_bits;
        b.q = exponent - exponent_bias - fraction_bits;
        b.lower_is_closer = fraction == 0 && exponent > 1;
    }
    return b;
}

/* Integers that are exact in the value's own bits need no search. */
static bool small_integer(struct binary b, int fraction_bits, struct decimal *ret)
{
    if (b.q > 0 || -b.q > fraction_bits || (b.c & ((UINT64_C(1) << -b.q) - 1)) != 0) {
        return false;
    }
    *ret = (struct decimal){b.c >> -b.q, 0};
    return true;
}

/* floor(log10(2^q)), or of 3/4 * 2^q where the lower neighbour is closer; |q| < 1500. */
static int floor_log10(struct binary b)
{
    return (b.q * 1262611 - (b.lower_is_closer ? 524031 : 0)) >> 22;
}

/* floor(log2(10^k)) for |k| < 1233. */
static int floor_log2_pow10(int k)
{
    return (k * 1741647) >> 19;
}

/* Picks from the scaled value v and its scaled interval [lower, upper], all by four and rounded to odd. */
static struct decimal pick(uint64_t lower, uint64_t v, uint64_t upper, int k)
{
    uint64_t s = v / 4;
    if (s >= 10) {
        uint64_t tens = s / 10;
        bool down_inside = lower <= 40 * tens, up_inside = 40 * tens + 40 <= upper;
        if (down_inside != up_inside) {
            return (struct decimal){tens + up_inside, k + 1};
        }
    }
    bool down_inside = lower <= 4 * s, up_inside = 4 * s + 4 <= upper;
    if (down_inside != up_inside) {
        return (struct decimal){s + up_inside, k};
    }
    uint64_t middle = 4 * s + 2;
    bool up = v > middle || (v == middle && (s & 1) != 0);
    return (struct decimal){s + up, k};
}

/* floor(g * c / 2^128), its last bit set where anything but a rounding error of g was cut off. */
static uint64_t scale128(struct mill__pow10 g, uint64_t c)
{
    mill__u128 low = (mill__u128)g.low * c;
    mill__u128 sum = (mill__u128)g.high * c + (uint64_t)(low >> 64);
    return (uint64_t)(sum >> 64) | ((uint64_t)sum > 1);
}

static struct decimal shortest_double(struct binary b)
{
    int k = floor_log10(b);
    int h = b.q + floor_log2_pow10(-k) + 1;
    struct mill__pow10 g = mill__pow10_table[-k - MILL__POW10_FIRST];
    g.low += -k < 0 || -k > 55; /* rounded up unless exact */

    uint64_t even = (b.c & 1) == 0; /* then the ends of the interval belong to it */
    uint64_t lower = scale128(g, (4 * b.c - 2 + b.lower_is_closer) << h);
    uint64_t v = scale128(g, 4 * b.c << h);
    uint64_t upper = scale128(g, (4 * b.c + 2) << h);
    return pick(lower + !even, v, upper - !even, k);
}

/* As scale128, with a 64-bit power and 32 bits of result. */
static uint64_t scale64(uint64_t g, uint64_t c)
{
    mill__u128 product = (mill__u128)g * c;
    uint32_t cut = (uint32_t)(product >> 32);
    return (uint64_t)(product >> 64) | (cut > 1);
}

static struct decimal shortest_float(struct binary b)
{
    int k = floor_log10(b);
    int h = b.q + floor_log2_pow10(-k) + 1;
    struct mill__pow10 power = mill__pow10_table[-k - MILL__POW10_FIRST];
    uint64_t g = power.high + (power.low != 0);

    uint64_t even = (b.c & 1) == 0;
    uint64_t lower = scale64(g, (4 * b.c - 2 + b.lower_is_closer) << h);
    uint64_t v = scale64(g, 4 * b.c << h);
    uint64_t upper = scale64(g, (4 * b.c + 2) << h);
    return pick(lower + !even, v, upper - !even, k);
}

/* The eight digits of v < 10^8 as bytes 0 to 9, the first in the lowest byte. */
static uint64_t eight_digits(uint32_t v)
{
    uint64_t fours = v / 10000 | (uint64_t)(v % 10000) << 32;
    uint64_t top = ((fours * 10486) >> 20) & UINT64_C(0x0000007f0000007f);
    uint64_t twos = top | (fours - 100 * top) << 16;
    uint64_t tens = ((twos * 103) >> 10) & UINT64_C(0x000f000f000f000f);
    return tens | (twos - 10 * tens) << 8;
}

static const uint64_t ascii_zeros = UINT64_C(0x3030303030303030);

/* Digits of v < 10^17, padded with zeros to 17, into out. Returns how many are left without those at the end. */
static unsigned seventeen_digits(uint64_t v, char *out)
{
    uint64_t middle = eight_digits((uint32_t)(v / 100000000 % 100000000));
    uint64_t last = eight_digits((uint32_t)(v % 100000000));
    uint64_t middle_text = middle | ascii_zeros, last_text = last | ascii_zeros;

    out[0] = (char)('0' + v / UINT64_C(10000000000000000));
    memcpy(out + 1, &middle_text, 8);
    memcpy(out + 9, &last_text, 8);
    if (last != 0) {
        return 17 - (unsigned)__builtin_clzll(last) / 8;
    }
    return middle != 0 ? 9 - (unsigned)__builtin_clzll(middle) / 8 : 1;
}

static const uint64_t powers[] = {UINT64_C(1),
                                  UINT64_C(10),
                                  UINT64_C(100),
                                  UINT64_C(1000),
                                  UINT64_C(10000),
                                  UINT64_C(100000),
                                  UINT64_C(1000000),
                                  UINT64_C(10000000),
                                  UINT64_C(100000000),
                                  UINT64_C(1000000000),
                                  UINT64_C(10000000000),
                                  UINT64_C(100000000000),
                                  UINT64_C(1000000000000),
                                  UINT64_C(10000000000000),
                                  UINT64_C(100000000000000),
                                  UINT64_C(1000000000000000),
                                  UINT64_C(10000000000000000),
                                  UINT64_C(100000000000000000),
                                  UINT64_C(1000000000000000000),
                                  UINT64_C(10000000000000000000)};

/* Decimal digits of v > 0: 1233 / 4096 is log10(2) from above. */
static unsigned count_digits(uint64_t v)
{
    unsigned guess = ((64 - (unsigned)__builtin_clzll(v)) * 1233) >> 12;
    return guess + (v >= powers[guess]);
}

static char *put_exponent(char *out, int exponent)
{
    *out++ = 'e';
    *out++ = exponent < 0 ? '-' : '+';
    unsigned v = (unsigned)(exponent < 0 ? -exponent : exponent);
    if (v >= 100) {
        *out++ = (char)('0' + v / 100);
    }
    *out++ = (char)('0' + v / 10 % 10);
    *out++ = (char)('0' + v % 10);
    return out;
}

/* Python's repr: an exponent where the point would stand more than 16 digits behind the first or 3 zeros
 * before it. d.digits > 0. */
static size_t lay_out(struct decimal d, char *out)
{
    char text[17];
    unsigned length = count_digits(d.digits);
    int point = (int)length + d.exponent; /* the value is 0.text * 10^point */
    unsigned n = seventeen_digits(d.digits * powers[17 - length], text);
    char *p = out;

    if (point > 16 || point < -3) {
        *p++ = text[0];
        if (n > 1) {
            *p++ = '.';
            memcpy(p, text + 1, n - 1);
            p += n - 1;
        }
        p = put_exponent(p, point - 1);
    } else if (point <= 0) {
        memcpy(p, "0.000", 5);
        p += 2 - point;
        memcpy(p, text, sizeof(text)); /* always 17: a constant size is one move, and there is room */
        p += n;
    } else if ((unsigned)point >= n) {
        memcpy(p, text, sizeof(text));
        memcpy(p + point, ".0", 2);
        p += point + 2;
    } else {
        memcpy(p, text, sizeof(text));
        memcpy(p + point + 1, text + point, n - (unsigned)point);
        p[point] = '.';
        p += n + 1;
    }
    return (size_t)(p - out);
}

/* What is no digits: zero, infinity, NaN. magnitude >= 0 or NaN. */
static size_t put_special(double magnitude, char *out)
{
    memcpy(out, magnitude == 0 ? "0.0" : isnan(magnitude) ? "nan" : "inf", 3);
    return 3;
}

size_t mill_number_print_double(double value, char *out)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    size_t sign = bits >> 63 && !isnan(value);
    out[0] = '-';
    out += sign;
    if (value == 0 || !isfinite(value)) {
        return sign + put_special(fabs(value), out);
    }
    struct binary b = split(bits & ((UINT64_C(1) << 52) - 1), (int)(bits >> 52 & 0x7ff), 52, 1023);
    struct decimal d;
    if (!small_integer(b, 52, &d)) {
        d = shortest_double(b);
    }
    return sign + lay_out(d, out);
}

size_t mill_number_print_float(float value, char *out)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    size_t sign = bits >> 31 && !isnan(value);
    out[0] = '-';
    out += sign;
    if (value == 0 || !isfinite(value)) {
        return sign + put_special(fabs((double)value), out);
    }
    struct binary b = split(bits & ((UINT32_C(1) << 23) - 1), (int)(bits >> 23 & 0xff), 23, 127);
    struct decimal d;
    if (!small_integer(b, 23, &d)) {
        d = shortest_float(b);
    }
    return sign + lay_out(d, out);
}

size_t mill_number_print_int64(int64_t value, char *out)
{
    uint64_t v = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char text[20];
    size_t n = 0;

    do {
        text[n++] = (char)('0' + v % 10);
        v /= 10;
    } while (v > 0);
    if (value < 0) {
        text[n++] = '-';
    }
    for (size_t i = 0; i < n; i++) {
        out[i] = text[n - 1 - i];
    }
    return n;
}
