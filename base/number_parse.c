/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Text to number; see number.h. The decoders call this for every numeric field of every event.
 *
 * A number is first read as digits * 10^exponent with up to 19 digits. Then, in order of cost:
 * Clinger's observation that a small integer times or over a small power of ten is one exact operation;
 * Eisel-Lemire (D. Lemire, "Number Parsing at a Gigabyte per Second", 2021; that it never needs a
 * fallback: N. Mushtak and D. Lemire, "Fast Number Parsing Without Fallback", 2023); and strtod for numbers
 * of more than 19 digits whose rounding the first 19 do not decide.
 */
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

#include "base/number_internal.h"

enum {
    DIGITS_MAX = 19,       /* that always fit in 64 bits */
    DIGITS_DECISIVE = 769, /* no double, nor a point half-way between two, has more significant digits */
    STRTOD_TEXT_MAX = DIGITS_DECISIVE + 1 + 1 + MILL_NUMBER_TEXT_MAX,
};

/* Larger written exponents are all the same: no text in memory has enough digits to bring them back. */
static const int64_t exponent_limit = INT64_C(1000000000000000000);

struct decimal {
    uint64_t digits; /* the first 19 significant digits */
    int64_t exponent;
    bool negative;
    bool truncated;           /* more digits followed, and not all of them zero */
    const char *first, *last; /* the text of the digits, a point among them */
    int64_t written_exponent;
};

/* What differs between double and float; names as in the paper. */
struct format {
    int mantissa_bits, exponent_min, exponent_infinite;
    int even_min, even_max;   /* powers of ten for which a half-way case can be exact */
    int power_min, power_max; /* outside, all 64-bit digits give 0 or infinity */
};
static const struct format format_double = {52, -1023, 0x7ff, -4, 23, -342, 308};
static const struct format format_float = {23, -127, 0xff, -17, 10, -64, 38};

static inline unsigned digit_of(const char *p)
{
    return (unsigned)(unsigned char)*p - '0';
}

/* Eight digits at once (Lemire's SWAR); true only if all eight bytes are digits. */
static inline bool eight_digits(const char *p, uint64_t *ret_value)
{
    uint64_t v;
    memcpy(&v, p, 8);
    if ((((v + UINT64_C(0x4646464646464646)) | (v - UINT64_C(0x3030303030303030))) & UINT64_C(0x8080808080808080)) !=
        0) {
        return false;
    }
    v -= UINT64_C(0x3030303030303030);
    v = v * 10 + (v >> 8);
    uint64_t low = (v & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064);
    uint64_t high = ((v >> 16) & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001);
    *ret_value = (low + high) >> 32;
    return true;
}

/* Appends the digits at p to *digits (which may overflow: the caller looks at the count). */
static inline const char *read_digits(const char *p, const char *end, uint64_t *digits)
{
    uint64_t eight;
    while (end - p >= 8 && eight_digits(p, &eight)) {
        *digits = *digits * 100000000 + eight;
        p += 8;
    }
    for (unsigned d; p < end && (d = digit_of(p)) < 10; p++) {
        *digits = *digits * 10 + d;
    }
    return p;
}

/* [eE][+-]?digits, or p where there is none. */
static const char *read_exponent(const char *p, const char *end, int64_t *ret_exponent)
{
    const char *q = p + 1;
    bool negative = q < end && *q == '-';
    if (q < end && (*q == '-' || *q == '+')) {
        q++;
    }
    if (q == end || digit_of(q) > 9) {
        return p;
    }
    int64_t value = 0;
    for (; q < end && digit_of(q) <= 9; q++) {
        value = value < exponent_limit / 10 ? value * 10 + digit_of(q) : exponent_limit;
    }
    *ret_exponent = negative ? -value : value;
    return q;
}

/* The first `keep` digits of d's text that are not leading zeros, to out; what is left over is told by
 * the exponent of the last one kept and by whether any digit behind it is not zero. */
struct significant {
    size_t count;
    int64_t exponent;
    bool more;
};

static struct significant first_digits(const struct decimal *d, size_t keep, char *out)
{
    struct significant s = {0, d->written_exponent, false};
    bool after_point = false;

    for (const char *p = d->first; p < d->last; p++) {
        if (*p == '.') {
            after_point = true;
        } else if (s.count == keep) {
            s.more |= *p != '0';
            s.exponent += !after_point;
        } else {
            s.exponent -= after_point;
            if (s.count > 0 || *p != '0') {
                out[s.count++] = *p;
            }
        }
    }
    return s;
}

/* More than 19 digits were read: `digits` may have overflowed. */
static void truncate_digits(struct decimal *d)
{
    char text[DIGITS_MAX];
    struct significant s = first_digits(d, DIGITS_MAX, text);

    d->digits = 0;
    for (size_t i = 0; i < s.count; i++) {
        d->digits = d->digits * 10 + digit_of(text + i);
    }
    d->exponent = s.exponent;
    d->truncated = s.more;
}

/* RFC 8259's number, the longest there is at p; NULL where there is none. */
static inline const char *read_decimal(const char *p, const char *end, struct decimal *d)
{
    d->negative = p < end && *p == '-';
    p += d->negative;
    if (p >= end || digit_of(p) > 9) {
        return NULL;
    }
    d->digits = 0;
    d->truncated = false;
    d->written_exponent = 0;
    d->first = p;
    p = *p == '0' ? p + 1 : read_digits(p, end, &d->digits);
    ptrdiff_t count = p - d->first;
    int64_t fraction_count = 0;
    if (end - p >= 2 && *p == '.' && digit_of(p + 1) < 10) {
        const char *fraction = p + 1;
        p = read_digits(fraction, end, &d->digits);
        fraction_count = p - fraction;
        count += fraction_count;
    }
    d->last = p;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p = read_exponent(p, end, &d->written_exponent);
    }
    d->exponent = d->written_exponent - fraction_count;
    if (__builtin_expect(count > DIGITS_MAX, 0)) {
        truncate_digits(d);
    }
    return p;
}

/* The bits of the value nearest to w * 10^q, ties to even. */
static inline __attribute__((always_inline)) uint64_t eisel_lemire(uint64_t w, int64_t q, const struct format f)
{
    uint64_t infinity = (uint64_t)f.exponent_infinite << f.mantissa_bits;
    if (w == 0 || q < f.power_min) {
        return 0;
    }
    if (q > f.power_max) {
        return infinity;
    }
    int zeros = __builtin_clzll(w);
    w <<= zeros;

    /* The truncated product serves, unless the bits below the wanted ones are all ones. For -27 <= q < 0
     * the proof wants the power rounded up. */
    const struct mill__pow10 *power = &mill__pow10_table[q - MILL__POW10_FIRST];
    mill__u128 product = (mill__u128)w * power->high;
    uint64_t mask = UINT64_MAX >> (f.mantissa_bits + 3);
    if (((uint64_t)(product >> 64) & mask) == mask) {
        product += ((mill__u128)w * (power->low + (q >= -27 && q < 0))) >> 64;
    }
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;

    int upper_bit = (int)(high >> 63);
    int shift = upper_bit + 64 - f.mantissa_bits - 3;
    uint64_t mantissa = high >> shift;
    /* floor(q * log2(10)) = 217706 q / 2^16 in this range. */
    int exponent = (int)((217706 * q) >> 16) + 63 + upper_bit - zeros - f.exponent_min;
    if (exponent <= 0) { /* subnormal, or as good as zero; half-way cases cannot be exact here */
        if (exponent <= -63) {
            return 0;
        }
        mantissa >>= 1 - exponent;
        return (mantissa + (mantissa & 1)) >> 1; /* rounding up to the smallest normal number sets its exponent */
    }
    if (low <= 1 && q >= f.even_min && q <= f.even_max && (mantissa & 3) == 1 && mantissa << shift == high) {
        mantissa &= ~UINT64_C(1); /* exactly half-way: down to even */
    }
    mantissa = (mantissa + (mantissa & 1)) >> 1;
    if (mantissa >> (f.mantissa_bits + 1) != 0) {
        mantissa >>= 1;
        exponent++;
    }
    if (exponent >= f.exponent_infinite) {
        return infinity;
    }
    return (uint64_t)exponent << f.mantissa_bits | (mantissa & ((UINT64_C(1) << f.mantissa_bits) - 1));
}

/* Writes digits and exponent for strtod, without a point, whose character would be the locale's. What
 * follows the decisive digits only matters for being something: one digit 1 stands for it. */
static void write_for_strtod(const struct decimal *d, char out[STRTOD_TEXT_MAX])
{
    const int64_t limit = 100000;
    struct significant s = first_digits(d, DIGITS_DECISIVE, out);
    size_t n = s.count;

    if (s.more) {
        out[n++] = '1';
        s.exponent--;
    }
    s.exponent = s.exponent > limit ? limit : s.exponent < -limit ? -limit : s.exponent;
    out[n++] = 'e';
    n += mill_number_print_int64(s.exponent, out + n);
    out[n] = '\0';
}

static __attribute__((noinline, cold)) double slow_double(const struct decimal *d)
{
    char text[STRTOD_TEXT_MAX];
    write_for_strtod(d, text);
    return strtod(text, NULL);
}

static __attribute__((noinline, cold)) float slow_float(const struct decimal *d)
{
    char text[STRTOD_TEXT_MAX];
    write_for_strtod(d, text);
    return strtof(text, NULL);
}

static double double_of_bits(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float float_of_bits(uint64_t bits)
{
    uint32_t low = (uint32_t)bits;
    float value;
    memcpy(&value, &low, sizeof(value));
    return value;
}

const char *mill_number_parse_double(const char *p, const char *end, double *ret_value)
{
    static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                    1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    struct decimal d;
    p = read_decimal(p, end, &d);
    if (p == NULL) {
        return NULL;
    }
    double value;
    if (d.exponent >= -22 && d.exponent <= 22 && d.digits <= UINT64_C(1) << 53 && !d.truncated) {
        value = (double)d.digits;
        value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
    } else {
        uint64_t bits = eisel_lemire(d.digits, d.exponent, format_double);
        bool undecided = d.truncated && eisel_lemire(d.digits + 1, d.exponent, format_double) != bits;
        value = undecided ? slow_double(&d) : double_of_bits(bits);
    }
    *ret_value = d.negative ? -value : value;
    return p;
}

const char *mill_number_parse_float(const char *p, const char *end, float *ret_value)
{
    static const float powers[] = {1e0F, 1e1F, 1e2F, 1e3F, 1e4F, 1e5F, 1e6F, 1e7F, 1e8F, 1e9F, 1e10F};
    struct decimal d;
    p = read_decimal(p, end, &d);
    if (p == NULL) {
        return NULL;
    }
    float value;
    if (d.exponent >= -10 && d.exponent <= 10 && d.digits <= UINT64_C(1) << 24 && !d.truncated) {
        value = (float)d.digits;
        value = d.exponent < 0 ? value / powers[-d.exponent] : value * powers[d.exponent];
    } else {
        uint64_t bits = eisel_lemire(d.digits, d.exponent, format_float);
        bool undecided = d.truncated && eisel_lemire(d.digits + 1, d.exponent, format_float) != bits;
        value = undecided ? slow_float(&d) : float_of_bits(bits);
    }
    *ret_value = d.negative ? -value : value;
    return p;
}

const char *mill_number_parse_int64(const char *p, const char *end, int64_t *ret_value)
{
    bool negative = p < end && *p == '-';
    uint64_t limit = (uint64_t)INT64_MAX + negative, value = 0;
    const char *first = p + negative;

    for (p = first; p < end && digit_of(p) <= 9; p++) {
        unsigned digit = digit_of(p);
        if (value > limit / 10 || value * 10 > limit - digit) {
            return NULL;
        }
        value = value * 10 + digit;
    }
    if (p == first) {
        return NULL;
    }
    *ret_value = (int64_t)(negative ? 0 - value : value);
    return p;
}
