/* SPDX-License-Identifier: Apache-2.0 */
/* base/number.h against glibc's strtod, strtof and printf (which are exact) and Python's repr. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "random.h"

static uint64_t bits_of(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static double double_of(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint32_t float_bits_of(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static float float_of(uint32_t bits)
{
    float v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Both parsers on a text that both C's and JSON's grammar take whole. */
static void check_parse(const char *text)
{
    const char *end = text + strlen(text);
    double d = 1;
    float f = 1;
    if (mill_number_parse_double(text, end, &d) != end || bits_of(d) != bits_of(strtod(text, NULL))) {
        fail_msg("'%s' read as the double %a, strtod gives %a", text, d, strtod(text, NULL));
    }
    if (mill_number_parse_float(text, end, &f) != end || float_bits_of(f) != float_bits_of(strtof(text, NULL))) {
        fail_msg("'%s' read as the float %a, strtof gives %a", text, (double)f, (double)strtof(text, NULL));
    }
}

static void print_double(double v, char out[MILL_NUMBER_TEXT_MAX + 1])
{
    size_t n = mill_number_print_double(v, out);
    assert_true(n > 0 && n <= MILL_NUMBER_TEXT_MAX);
    out[n] = '\0';
}

static void print_float(float v, char out[MILL_NUMBER_TEXT_MAX + 1])
{
    size_t n = mill_number_print_float(v, out);
    assert_true(n > 0 && n <= MILL_NUMBER_TEXT_MAX);
    out[n] = '\0';
}

static void check_double(double v)
{
    char text[MILL_NUMBER_TEXT_MAX + 1];
    print_double(v, text);
    double back = 0;
    const char *end = text + strlen(text);
    if (bits_of(strtod(text, NULL)) != bits_of(v)) {
        fail_msg("%a printed as '%s', which strtod reads as %a", v, text, strtod(text, NULL));
    }
    if (mill_number_parse_double(text, end, &back) != end || bits_of(back) != bits_of(v)) {
        fail_msg("%a printed as '%s' and read back as %a", v, text, back);
    }
}

static void check_float(float v)
{
    char text[MILL_NUMBER_TEXT_MAX + 1];
    print_float(v, text);
    float back = 0;
    const char *end = text + strlen(text);
    if (float_bits_of(strtof(text, NULL)) != float_bits_of(v)) {
        fail_msg("%a printed as '%s', which strtof reads as %a", (double)v, text, (double)strtof(text, NULL));
    }
    if (mill_number_parse_float(text, end, &back) != end || float_bits_of(back) != float_bits_of(v)) {
        fail_msg("%a printed as '%s' and read back as %a", (double)v, text, (double)back);
    }
}

static unsigned digit_count(const char *text)
{
    /* Significant digits: without leading zeros, trailing zeros, point, sign, exponent. */
    unsigned count = 0, zeros = 0;
    for (const char *p = text; *p != '\0' && *p != 'e'; p++) {
        if (*p >= '1' && *p <= '9') {
            count += zeros + 1;
            zeros = 0;
        } else if (*p == '0' && count > 0) {
            zeros++;
        }
    }
    return count;
}

/* The digits alone, for comparing texts of different layout. */
static void digits_of(const char *text, char *out)
{
    unsigned n = digit_count(text);
    while (*text == '-' || *text == '0' || *text == '.') {
        text++;
    }
    for (; n > 0; text++) {
        if (*text != '.') {
            *out++ = *text;
            n--;
        }
    }
    *out = '\0';
}

/* No shorter text reads back: printf's nearest decimal of each length is the oracle. It is the very text,
 * too, except at powers of two, whose interval is lopsided. */
static void check_shortest_double(double v)
{
    char text[MILL_NUMBER_TEXT_MAX + 1], nearest[64], ours[32], theirs[32];
    print_double(v, text);
    int precision = 0;
    do {
        snprintf(nearest, sizeof(nearest), "%.*e", precision++, v);
    } while (strtod(nearest, NULL) != v);
    digits_of(text, ours);
    digits_of(nearest, theirs);
    bool lopsided = (bits_of(v) & ((UINT64_C(1) << 52) - 1)) == 0;
    if (strlen(ours) > strlen(theirs) || (!lopsided && strcmp(ours, theirs) != 0)) {
        fail_msg("%a printed as '%s', but '%s' does", v, text, nearest);
    }
}

static void check_shortest_float(float v)
{
    char text[MILL_NUMBER_TEXT_MAX + 1], nearest[64], ours[32], theirs[32];
    print_float(v, text);
    int precision = 0;
    do {
        snprintf(nearest, sizeof(nearest), "%.*e", precision++, (double)v);
    } while (strtof(nearest, NULL) != v);
    digits_of(text, ours);
    digits_of(nearest, theirs);
    bool lopsided = (float_bits_of(v) & ((UINT32_C(1) << 23) - 1)) == 0;
    if (strlen(ours) > strlen(theirs) || (!lopsided && strcmp(ours, theirs) != 0)) {
        fail_msg("%a printed as '%s', but '%s' does", (double)v, text, nearest);
    }
}

static void random_bits_round_trip(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 1100000; i++) {
        double v = double_of(random_u64());
        if (isfinite(v)) {
            check_double(v);
        }
    }
    for (unsigned i = 0; i < 1100000; i++) {
        float v = float_of((uint32_t)random_u64());
        if (isfinite(v)) {
            check_float(v);
        }
    }
}

static void random_bits_are_shortest(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 25000; i++) {
        double v = double_of(random_u64());
        float f = float_of((uint32_t)random_u64());
        if (isfinite(v)) {
            check_shortest_double(v);
        }
        if (isfinite(f)) {
            check_shortest_float(f);
        }
    }
}

/* What people write: few digits. */
static void random_decimals_round_trip(void **state)
{
    (void)state;
    static const double scales[] = {1, 10, 100, 1e3, 1e4, 1e6, 1e8};
    for (unsigned i = 0; i < 300000; i++) {
        uint64_t digits = random_u64() >> (11 + random_below(50));
        double v = (double)digits / scales[random_below(7)];
        check_double(v);
        check_float((float)-v);
        if (i % 8 == 0) {
            check_shortest_double(v);
            check_shortest_float((float)v);
        }
    }
}

static void binade_edges(void **state)
{
    (void)state;
    for (int e = -1074; e <= 1023; e++) {
        double v = ldexp(1, e);
        double near[] = {v, nextafter(v, 0), nextafter(v, INFINITY)};
        for (unsigned i = 0; i < 3; i++) {
            check_double(near[i]);
            if (near[i] != 0 && isfinite(near[i])) {
                check_shortest_double(near[i]);
            }
        }
    }
    for (int e = -149; e <= 127; e++) {
        float v = ldexpf(1, e);
        float near[] = {v, nextafterf(v, 0), nextafterf(v, INFINITY)};
        for (unsigned i = 0; i < 3; i++) {
            check_float(near[i]);
            if (near[i] != 0 && isfinite(near[i])) {
                check_shortest_float(near[i]);
            }
        }
    }
}

static void powers_of_ten(void **state)
{
    (void)state;
    char text[64];
    for (int e = -400; e <= 400; e++) {
        for (unsigned mantissa = 0; mantissa < 100; mantissa += 1 + mantissa / 10) {
            snprintf(text, sizeof(text), "%ue%d", mantissa, e);
            check_parse(text);
        }
    }
}

/* A text of random digits with a point and an exponent in random places. */
static void random_text(char *out)
{
    char *p = out;
    unsigned digits = 1 + random_below(random_below(8) == 0 ? 800 : 40);
    unsigned point = random_below(3) == 0 ? 1 + random_below(digits) : digits;
    if (random_below(4) == 0) {
        *p++ = '-';
    }
    bool zero_first = random_below(3) == 0;
    unsigned zeros = zero_first ? random_below(30) : 0;
    if (zero_first) {
        p += snprintf(p, 40, "0.%.*s", (int)zeros, "000000000000000000000000000000");
        point = digits + 1;
    }
    for (unsigned i = 0; i < digits; i++) {
        if (i == point) {
            *p++ = '.';
        }
        *p++ = (char)('0' + (i == 0 ? 1 + random_below(9) : random_below(10)));
    }
    if (random_below(2) == 0) {
        int range = random_below(4) == 0 ? 700 : 40;
        p += snprintf(p, 16, "%c%d", "eE"[random_below(2)], (int)random_below((uint32_t)range) - range / 2);
    }
    *p = '\0';
}

static void random_texts_parse_as_strtod(void **state)
{
    (void)state;
    char text[1024];
    for (unsigned i = 0; i < 200000; i++) {
        random_text(text);
        check_parse(text);
    }
}

/* The points half-way between neighbours, written out in full, and the same with the last digit nudged: what
 * rounds to even, down and up. long double holds the half-way points of doubles, double those of floats. */
static void check_around(const char *exact)
{
    char text[2048];
    size_t n = strlen(exact);
    check_parse(exact);
    snprintf(text, sizeof(text), "%s1", exact);
    check_parse(text);
    snprintf(text, sizeof(text), "%s00000000000000000000000000000000000000000000000001", exact);
    check_parse(text);
    snprintf(text, sizeof(text), "%s", exact);
    for (size_t i = n; i-- > 0;) { /* minus one in the last place that is not 0, all 9 behind it */
        if (text[i] >= '1' && text[i] <= '9') {
            text[i]--;
            memset(text + n, '9', 30);
            text[n + 30] = '\0';
            break;
        }
    }
    if (text[0] != '0' || text[1] == '.') {
        check_parse(text);
    }
}

static void halfway_points(void **state)
{
    (void)state;
    char text[1600];
    for (unsigned i = 0; i < 8000; i++) {
        double v = fabs(double_of(random_u64()));
        double far = double_of((random_u64() & ((UINT64_C(1) << 52) - 1)) | (uint64_t)(960 + random_below(130)) << 52);
        v = i % 2 == 0 || !(v < 1e300) ? far : v;
        long double middle = ((long double)v + (long double)nextafter(v, INFINITY)) / 2;
        snprintf(text, sizeof(text), "%.1150Lf", middle);
        check_around(text);
        float f = float_of((uint32_t)random_u64() & 0x7fffffff);
        f = f < 1e37F ? f : 1.5F;
        snprintf(text, sizeof(text), "%.200f", ((double)f + (double)nextafterf(f, INFINITY)) / 2);
        check_around(text);
    }
}

static void known_hard_texts(void **state)
{
    (void)state;
    /* From David Gay's, Rick Regan's, Nigel Tao's and Vern Paxson's collections. */
    static const char *const texts[] = {
        "0",
        "-0",
        "0e5",
        "-0.0e-999999999999",
        "0.000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000",
        "2.2250738585072011e-308",
        "2.2250738585072012e-308",
        "2.2250738585072014e-308",
        "2.2250738585072013830902327173324040642192159804623318305533274168872044348139181958542831590125e-308",
        "4.9406564584124654e-324",
        "2.4703282292062327e-324",
        "2.4703282292062328e-324",
        "2.47032822920623272088284396434110686182e-324",
        "1.7976931348623157e308",
        "1.7976931348623158e308",
        "1.7976931348623159e308",
        "1.797693134862315807e308",
        "1.797693134862315808e308",
        "17976931348623158079372897140530341507993413271003782693617377898044496829276475094664901797758720709633028641"
        "6"
        "69288791094655554785194040263065748867150582068190890200070838367627385484581771153176447573027006985557136695"
        "9"
        "622842914819860834936475292719074168444365510704342711559699508093042880",
        "9007199254740991",
        "9007199254740992",
        "9007199254740993",
        "9007199254740993.0000000000000000000000000000000000000000000001",
        "9007199254740995",
        "9007199254740997",
        "18014398509481985",
        "9223372036854775807",
        "18446744073709551615",
        "18446744073709551616",
        "1e22",
        "1e23",
        "8.5e22",
        "1.8e19",
        "3e-323",
        "7.2057594037927933e16",
        "7.0420557077594588669468784357561207962098443483187940792729600000e+59",
        "1.7339253062092163730578609458683877051596800000000000000000000000e+42",
        "2.0972622234386619214559824785284023792871122537545728000000000000e+52",
        "1.0001803374372191849407179462120053338028379051879898808320000000e+57",
        "1.3983055294202966799594870205100200393846e-309",
        "6929495644600919.5",
        "3.7455744005952583e15",
        "5e-20",
        "67e14",
        "985e15",
        "7693e-42",
        "55895e-16",
        "996622e-44",
        "7038531e-32",
        "60419369e-46",
        "702990899e-20",
        "6930272337e-33",
        "25104730258e-45",
        "1.00000005960464477550",
        "1.000000059604644775390625",
        "1.00000005960464477539062499",
        "1.00000005960464477539062500000000000000000000000001",
        "16777217",
        "16777219",
        "3.4028234664e38",
        "3.4028235677973366e38",
        "3.40282356779733661637e38",
        "3.4028235677973367e38",
        "7.0064923216240853546186479164495e-46",
        "7.0064923216240853546186479164496e-46",
        "7.0064923216240862e-46",
        "1.1754943508222875e-38",
        "1.1754942807573643e-38",
        "1e999999999999999999999999",
        "1e-999999999999999999999999",
        "123456789012345678901234567890e-1000000000000000000000",
        "0.1e-9223372036854775808",
        "0.1e-9223372036854775809",
        "10e9223372036854775807",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        check_parse(texts[i]);
    }
}

/* Zeros before or behind the digits may be outweighed by the exponent. */
static void long_texts(void **state)
{
    (void)state;
    enum { ZEROS = 5000 };
    static char text[2 * ZEROS];
    char *zeros = malloc(ZEROS + 1);
    memset(zeros, '0', ZEROS);
    zeros[ZEROS] = '\0';
    static const int shifts[] = {0, 1, -1, 300, -300, 330, -340};
    for (unsigned i = 0; i < sizeof(shifts) / sizeof(shifts[0]); i++) {
        snprintf(text, sizeof(text), "0.%s123456789012345678e%d", zeros, ZEROS + shifts[i]);
        check_parse(text);
        snprintf(text, sizeof(text), "17%s.0e%d", zeros, -ZEROS + shifts[i]);
        check_parse(text);
        snprintf(text, sizeof(text), "1%s1.%se%d", zeros, "000", -ZEROS + shifts[i]);
        check_parse(text);
    }
    free(zeros);
}

static void grammar(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int length; /* of the number at its start; -1: none */
    } cases[] = {
        {"", -1},
        {"-", -1},
        {"+1", -1},
        {".5", -1},
        {"-.5", -1},
        {"a", -1},
        {"e5", -1},
        {"NaN", -1},
        {"inf", -1},
        {"--1", -1},
        {" 1", -1},
        {"-e", -1},
        {"0", 1},
        {"-0", 2},
        {"01", 1},
        {"00", 1},
        {"-01", 2},
        {"1", 1},
        {"1.", 1},
        {"1.e5", 1},
        {"1.5", 3},
        {"1.5.5", 3},
        {"1e", 1},
        {"1e+", 1},
        {"1e-", 1},
        {"1e5", 3},
        {"1E+05", 5},
        {"1e5.5", 3},
        {"1.25e-3x", 7},
        {"0x10", 1},
        {"1_000", 1},
        {"1,5", 1},
        {"1.5e", 3},
        {"-1.5E-7]", 7},
        {"12345678", 8},
        {"123456789", 9},
        {"1234567:", 7},
        {"0.12345678", 10},
        {"0.1234567/", 9},
        {"1234567/8", 7},
        {"12345678e0012,", 13},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        /* An exact copy: a read past the end is a sanitizer's error. */
        size_t n = strlen(cases[i].text);
        char *copy = malloc(n + 1);
        memcpy(copy, cases[i].text, n);
        copy = realloc(copy, n > 0 ? n : 1);
        double d = 0;
        float f = 0;
        const char *stop = mill_number_parse_double(copy, copy + n, &d);
        assert_true(stop == mill_number_parse_float(copy, copy + n, &f));
        if ((stop == NULL ? -1 : stop - copy) != cases[i].length) {
            fail_msg("'%s' stops at %td", cases[i].text, stop == NULL ? -1 : stop - copy);
        }
        free(copy);
    }
}

/* Digits behind `end` are not part of the number. */
static void stops_at_end(void **state)
{
    (void)state;
    static const char text[] = "12345678901234567890.12345678901234567890e123";
    for (size_t n = 1; n < sizeof(text); n++) {
        char copy[sizeof(text)];
        memcpy(copy, text, n);
        copy[n] = '\0';
        double v = 0;
        const char *stop = mill_number_parse_double(text, text + n, &v);
        assert_non_null(stop);
        assert_true(stop <= text + n);
        assert_true(bits_of(v) == bits_of(strtod(copy, NULL)));
    }
}

static void layout_is_pythons_repr(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } cases[] = {
        {0.0, "0.0"},
        {-0.0, "-0.0"},
        {1, "1.0"},
        {2, "2.0"},
        {-17, "-17.0"},
        {10, "10.0"},
        {100, "100.0"},
        {123456789, "123456789.0"},
        {0.1, "0.1"},
        {0.5, "0.5"},
        {1.5, "1.5"},
        {-2.75, "-2.75"},
        {0.001, "0.001"},
        {0.0001, "0.0001"},
        {0.00012345, "0.00012345"},
        {0.00001, "1e-05"},
        {0.000012345, "1.2345e-05"},
        {1e-7, "1e-07"},
        {1e15, "1000000000000000.0"},
        {1234567890123456.0, "1234567890123456.0"},
        {9999999999999998.0, "9999999999999998.0"},
        {1e16, "1e+16"},
        {12345678901234568.0, "1.2345678901234568e+16"},
        {123456789012345680.0, "1.2345678901234568e+17"},
        {1e22, "1e+22"},
        {1e23, "1e+23"},
        {9.5367431640625e-07, "9.5367431640625e-07"},
        {3.141592653589793, "3.141592653589793"},
        {0.1 + 0.2, "0.30000000000000004"},
        {2.0 / 3, "0.6666666666666666"},
        {100.0 / 3, "33.333333333333336"},
        {1e100, "1e+100"},
        {1e-100, "1e-100"},
        {5.684341886080802e-14, "5.684341886080802e-14"},
        {9007199254740992.0, "9007199254740992.0"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {4.9406564584124654e-324, "5e-324"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
        {INFINITY, "inf"},
        {-INFINITY, "-inf"},
        {NAN, "nan"},
        {-NAN, "nan"},
    };
    char text[MILL_NUMBER_TEXT_MAX + 1];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_double(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void layout_of_floats(void **state)
{
    (void)state;
    static const struct {
        float value;
        const char *text;
    } cases[] = {
        {0.0F, "0.0"},
        {-0.0F, "-0.0"},
        {1.0F, "1.0"},
        {0.1F, "0.1"},
        {16777216.0F, "16777216.0"},
        {3.4028235e38F, "3.4028235e+38"},
        {1e-45F, "1e-45"},
        {0.33333334F, "0.33333334"},
        {1.1754944e-38F, "1.1754944e-38"},
        {1e10F, "10000000000.0"},
        {123456792.0F, "123456790.0"},
        {-INFINITY, "-inf"},
    };
    char text[MILL_NUMBER_TEXT_MAX + 1];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        print_float(cases[i].value, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void int64_texts(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int length;
        int64_t value;
    } cases[] = {
        {"0", 1, 0},
        {"-0", 2, 0},
        {"7", 1, 7},
        {"-7", 2, -7},
        {"007", 3, 7},
        {"1.5", 1, 1},
        {"12e3", 2, 12},
        {"9223372036854775807", 19, INT64_MAX},
        {"-9223372036854775808", 20, INT64_MIN},
        {"0009223372036854775807", 22, INT64_MAX},
        {"9223372036854775808", -1, 0},
        {"-9223372036854775809", -1, 0},
        {"18446744073709551616", -1, 0},
        {"99999999999999999999999", -1, 0},
        {"", -1, 0},
        {"-", -1, 0},
        {"+1", -1, 0},
        {"x", -1, 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        int64_t value = 0;
        const char *text = cases[i].text;
        const char *stop = mill_number_parse_int64(text, text + strlen(text), &value);
        assert_int_equal(stop == NULL ? -1 : stop - text, cases[i].length);
        assert_true(value == cases[i].value);
    }
    for (unsigned i = 0; i < 200000; i++) {
        int64_t value = (int64_t)random_u64() >> random_below(64), back = 0;
        char text[MILL_NUMBER_TEXT_MAX + 1], expected[32];
        size_t n = mill_number_print_int64(value, text);
        text[n] = '\0';
        snprintf(expected, sizeof(expected), "%" PRId64, value);
        assert_string_equal(text, expected);
        assert_true(mill_number_parse_int64(text, text + n, &back) == text + n);
        assert_true(back == value);
    }
    char text[MILL_NUMBER_TEXT_MAX + 1];
    text[mill_number_print_int64(INT64_MIN, text)] = '\0';
    assert_string_equal(text, "-9223372036854775808");
}

int main(void)
{
    random_seed("test_number");
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_bits_round_trip),
        cmocka_unit_test(random_bits_are_shortest),
        cmocka_unit_test(random_decimals_round_trip),
        cmocka_unit_test(binade_edges),
        cmocka_unit_test(powers_of_ten),
        cmocka_unit_test(random_texts_parse_as_strtod),
        cmocka_unit_test(halfway_points),
        cmocka_unit_test(known_hard_texts),
        cmocka_unit_test(long_texts),
        cmocka_unit_test(grammar),
        cmocka_unit_test(stops_at_end),
        cmocka_unit_test(layout_is_pythons_repr),
        cmocka_unit_test(layout_of_floats),
        cmocka_unit_test(int64_texts),
    };
    return cmocka_run_group_tests_name("base/number", tests, NULL, NULL);
}
