/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exact sums against math.fsum's stored results and against a fixed-point number of 2,304 bits written here the plain
 * way; adding and taking back in any order; canonical bytes.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "featurestore/exact_sum_internal.h"
#include "fsum_vectors.h"

static uint64_t random_state, current_seed;

static uint64_t next_random(void)
{
    uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static uint32_t below(uint32_t n)
{
    return (uint32_t)(next_random() % n);
}

static uint64_t bits_of(double d)
{
    uint64_t bits;
    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static double of_bits(uint64_t bits)
{
    double d;
    memcpy(&d, &bits, sizeof(d));
    return d;
}

/* ---- the plain way: two's complement of 32-bit digits, bit 0 is 2^-1074 ---- */

enum { DIGITS = 72 };

struct plain {
    uint32_t digit[DIGITS];
};

static void plain_negate(struct plain *p)
{
    uint64_t carry = 1;
    for (int i = 0; i < DIGITS; i++) {
        carry += (uint32_t)~p->digit[i];
        p->digit[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static void plain_add(struct plain *p, double x)
{
    struct plain term = {0};
    int exponent;
    double fraction = frexp(fabs(x), &exponent); /* [0.5, 1) */
    int64_t significand = (int64_t)ldexp(fraction, 53);
    for (int b = 0; b < 53; b++) {
        int position = exponent - 53 + b + 1074;
        if ((significand >> b) & 1) {
            term.digit[position / 32] |= UINT32_C(1) << (position % 32);
        }
    }
    if (x < 0) {
        plain_negate(&term);
    }
    uint64_t carry = 0;
    for (int i = 0; i < DIGITS; i++) {
        carry += (uint64_t)p->digit[i] + term.digit[i];
        p->digit[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

static int plain_bit(const struct plain *p, int i)
{
    return i < 0 ? 0 : (int)((p->digit[i / 32] >> (i % 32)) & 1);
}

static double plain_value(const struct plain *sum)
{
    struct plain p = *sum;
    bool negative = (p.digit[DIGITS - 1] >> 31) != 0;
    if (negative) {
        plain_negate(&p);
    }
    int top = DIGITS * 32 - 1;
    while (top >= 0 && !plain_bit(&p, top)) {
        top--;
    }
    int low = top - 52 > 0 ? top - 52 : 0;
    uint64_t significand = 0;
    for (int i = top; i >= low; i--) {
        significand = significand * 2 + (uint64_t)plain_bit(&p, i);
    }
    bool rest = false;
    for (int i = 0; i < low - 1; i++) {
        rest |= plain_bit(&p, i) != 0;
    }
    if (plain_bit(&p, low - 1) && (rest || (significand & 1))) {
        significand++;
    }
    double value = top < 0 ? 0 : ldexp((double)significand, low - 1074);
    return negative ? -value : value;
}

/* ---- tests ---- */

static void check_value(const struct mill__exact_sum *sum, double want)
{
    double got = mill__exact_sum_value(sum);
    if (bits_of(got) != bits_of(want)) {
        print_error("got %.17g, want %.17g\n", got, want);
    }
    assert_true(bits_of(got) == bits_of(want));
}

static void test_fsum(void **state)
{
    (void)state;
    for (size_t v = 0; v < sizeof(fsum_vectors) / sizeof(fsum_vectors[0]); v++) {
        struct mill__exact_sum sum = {0};
        for (uint32_t i = 0; i < fsum_vectors[v].count; i++) {
            mill__exact_sum_add(&sum, of_bits(fsum_vectors[v].terms[i]));
        }
        check_value(&sum, of_bits(fsum_vectors[v].sum));
        mill__exact_sum_clear(&sum);
    }
}

/* Ranges of exponents, from one column of ordinary data to all that there is. */
static double random_double(uint32_t range)
{
    double fraction = (double)(int64_t)next_random() / 9223372036854775808.0;
    switch (below(8)) {
    case 0:
        return (double)((int64_t)below(2001) - 1000);
    case 1:
        return 0.0;
    case 2:
        return range == 4 ? of_bits(next_random() % UINT64_C(0x7fe0000000000000)) : fraction;
    default: {
        static const int spans[] = {1, 10, 40, 200, 1000};
        return ldexp(fraction, (int)below((uint32_t)spans[range] * 2) - spans[range]);
    }
    }
}

static void canonical_bytes(const struct mill__exact_sum *sum, struct mill_buffer *out)
{
    mill_buffer_reset(out);
    mill__exact_sum_write(sum, out);
}

static void assert_same_bytes(const struct mill__exact_sum *a, const struct mill__exact_sum *b)
{
    struct mill_buffer x = {0}, y = {0};
    canonical_bytes(a, &x);
    canonical_bytes(b, &y);
    assert_true(mill_slice_equal(mill_buffer_slice(&x), mill_buffer_slice(&y)));
    mill_buffer_clear(&x);
    mill_buffer_clear(&y);
}

static void assert_zero(const struct mill__exact_sum *sum)
{
    struct mill__exact_sum zero = {0};
    check_value(sum, 0.0);
    assert_same_bytes(sum, &zero);
}

static void round_trip(const struct mill__exact_sum *sum)
{
    struct mill_buffer bytes = {0};
    struct mill__exact_sum copy;
    canonical_bytes(sum, &bytes);
    struct mill_cursor c = mill_cursor_of(mill_buffer_slice(&bytes));
    assert_true(mill__exact_sum_read(&copy, &c));
    assert_true(c.p == c.end);
    check_value(&copy, mill__exact_sum_value(sum));
    assert_same_bytes(&copy, sum);
    mill__exact_sum_merge(&copy, sum, -1);
    assert_zero(&copy);
    mill__exact_sum_clear(&copy);
    mill_buffer_clear(&bytes);
}

enum { TERMS = 60 };

static void test_random(void **state)
{
    (void)state;
    for (current_seed = 1; current_seed < 4000; current_seed++) {
        random_state = current_seed;
        struct mill__exact_sum sum = {0}, halves[2];
        memset(halves, 0, sizeof(halves));
        struct plain plain = {{0}};
        double terms[TERMS];
        uint32_t range = below(5), count = 1 + below(TERMS);

        for (uint32_t i = 0; i < count; i++) {
            terms[i] = random_double(range) * (below(2) ? 1 : -1);
            mill__exact_sum_add(&sum, terms[i]);
            mill__exact_sum_add(&halves[below(2)], terms[i]);
            plain_add(&plain, terms[i]);
            check_value(&sum, plain_value(&plain));
        }
        round_trip(&sum);
        /* Any grouping is the same sum, to the last byte; taking one group back leaves the other. */
        struct mill__exact_sum merged = {0};
        mill__exact_sum_merge(&merged, &halves[0], 1);
        mill__exact_sum_merge(&merged, &halves[1], 1);
        assert_same_bytes(&merged, &sum);
        mill__exact_sum_merge(&merged, &halves[0], -1);
        assert_same_bytes(&merged, &halves[1]);
        /* Everything back, in another order: exactly nothing. */
        for (uint32_t i = count; i > 0; i--) {
            uint32_t j = below(i);
            mill__exact_sum_subtract(&sum, terms[j]);
            terms[j] = terms[i - 1];
        }
        assert_zero(&sum);
        mill__exact_sum_clear(&sum);
        mill__exact_sum_clear(&halves[0]);
        mill__exact_sum_clear(&halves[1]);
        mill__exact_sum_clear(&merged);
    }
}

static void test_non_finite(void **state)
{
    (void)state;
    struct mill__exact_sum sum = {0};
    mill__exact_sum_add(&sum, 1.5);
    mill__exact_sum_add(&sum, (double)INFINITY);
    assert_true(isinf(mill__exact_sum_value(&sum)));
    mill__exact_sum_add(&sum, -(double)INFINITY);
    assert_true(isnan(mill__exact_sum_value(&sum)));
    round_trip(&(struct mill__exact_sum){0});
    mill__exact_sum_subtract(&sum, (double)INFINITY);
    check_value(&sum, -(double)INFINITY);
    mill__exact_sum_add(&sum, (double)NAN);
    assert_true(isnan(mill__exact_sum_value(&sum)));
    mill__exact_sum_subtract(&sum, -(double)NAN); /* any NaN is one NaN */
    mill__exact_sum_subtract(&sum, -(double)INFINITY);
    check_value(&sum, 1.5);
    assert_int_equal(sum.is_wide, 0); /* narrow again */
    mill__exact_sum_clear(&sum);
}

/* The carries of many large values, beyond the range of a double and back. */
static void test_overflow(void **state)
{
    (void)state;
    struct mill__exact_sum sum = {0};
    for (int i = 0; i < 1000; i++) {
        mill__exact_sum_add(&sum, 1.7976931348623157e308);
    }
    mill__exact_sum_add(&sum, 5e-324);
    check_value(&sum, (double)INFINITY);
    round_trip(&sum);
    for (int i = 0; i < 1000; i++) {
        mill__exact_sum_subtract(&sum, 1.7976931348623157e308);
    }
    check_value(&sum, 5e-324);
    mill__exact_sum_clear(&sum);
}

/* What a window does: ordinary data stays in 24 bytes. */
static void test_stays_narrow(void **state)
{
    (void)state;
    struct mill__exact_sum sum = {0};
    random_state = 7;
    for (int i = 0; i < 1000000; i++) {
        mill__exact_sum_add(&sum, (double)(int64_t)next_random() / 1e13);
    }
    assert_int_equal(sum.is_wide, 0);
}

static void test_hostile_bytes(void **state)
{
    (void)state;
    random_state = 3;
    for (int i = 0; i < 100000; i++) {
        char bytes[64];
        for (size_t k = 0; k < sizeof(bytes); k++) {
            bytes[k] = (char)next_random();
        }
        bytes[0] = (char)below(5);
        struct mill__exact_sum sum;
        struct mill_cursor c = mill_cursor_of((struct mill_slice){bytes, below(sizeof(bytes))});
        if (mill__exact_sum_read(&sum, &c)) {
            (void)mill__exact_sum_value(&sum);
            mill__exact_sum_add(&sum, -1e-300);
            mill__exact_sum_merge(&sum, &sum, -1);
        }
        mill__exact_sum_clear(&sum);
    }
}

static int print_seed(void **state)
{
    (void)state;
    print_message("last seed %llu\n", (unsigned long long)current_seed);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fsum),         cmocka_unit_test_teardown(test_random, print_seed),
        cmocka_unit_test(test_non_finite),   cmocka_unit_test(test_overflow),
        cmocka_unit_test(test_stays_narrow), cmocka_unit_test(test_hostile_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
