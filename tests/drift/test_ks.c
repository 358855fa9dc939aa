/* SPDX-License-Identifier: Apache-2.0 */
/* Two-sample Kolmogorov-Smirnov against scipy 1.17.1: random points, random samples, published values, edges. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drift/statistics_internal.h"
#include "statistics_fixture.h"

/* Once more as it is compiled for other processors. */
double portable_equal(uint64_t n, uint64_t h);
double portable_unequal(uint64_t m, uint64_t n, uint64_t g, uint64_t h);
#undef __x86_64__
#define mill__ks_exact_equal   portable_equal
#define mill__ks_exact_unequal portable_unequal
#include "drift/ks_exact.c"
#undef mill__ks_exact_equal
#undef mill__ks_exact_unequal

static const double P_LIMIT = 1e-12;

static uint64_t gcd_of(uint64_t a, uint64_t b)
{
    return b == 0 ? a : gcd_of(b, a % b);
}

/* The statistic h / lcm. */
static struct mill_ks ks_of(uint64_t n1, uint64_t n2, uint64_t h)
{
    uint64_t g = gcd_of(n1, n2);
    return (struct mill_ks){n1, n2, h * g, (double)h / (double)(n1 / g * n2), 0, 1};
}

/* Of scipy's own tests (TestKSTwoSamples), and features of elec.csv, 8,000 rows against 5,000 and 20,000. */
static void published_values(void **state)
{
    (void)state;
    static const struct {
        uint64_t n1, n2, h;
        enum mill_ks_method method;
        double p;
    } points[] = {
        {3, 4, 7, MILL_KS_AUTO, 0.4},
        {10, 10, 4, MILL_KS_AUTO, 0.41752365281777043},
        {7, 5, 20, MILL_KS_AUTO, 0.23737373737373738},
        {100, 100, 3, MILL_KS_AUTO, 0.999999999996206},
        {100, 110, 232, MILL_KS_AUTO, 0.015739183865606153},
        {16, 16, 5, MILL_KS_AUTO, 0.42629346134549484},
        {21, 26, 190, MILL_KS_AUTO, 0.0919245790168125},
        {1000, 999, 52000, MILL_KS_AUTO, 0.12689782228125607},
        {5000, 7500, 400, MILL_KS_AUTO, 0.02770363927415502},
        {10000, 10000, 150, MILL_KS_AUTO, 0.21055778388518093},
        {10000, 110, 55275, MILL_KS_AUTO, 6.263465662260858e-26},
        {10000, 11000, 563, MILL_KS_AUTO, 0.9990660108966576},
        {10000, 11000, 563, MILL_KS_ASYMPTOTIC, 0.9990660108966576},
        {10000, 11000, 563, MILL_KS_EXACT, 0.9990456491488628},
        {8000, 5000, 11994, MILL_KS_AUTO, 1.3508869165763239e-244},
        {8000, 5000, 4884, MILL_KS_AUTO, 2.0979240915554077e-40},
        {8000, 20000, 2690, MILL_KS_AUTO, 6.513059255005528e-23},
        {8000, 5000, 34824, MILL_KS_AUTO, 0},
    };
    struct statistics_error error = {0};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        struct mill_ks ks = ks_of(points[i].n1, points[i].n2, points[i].h);
        double p = mill_ks_pvalue(&ks, points[i].method);
        statistics_check_absolute(&error, p, points[i].p, P_LIMIT);
        statistics_check_relative(&error, p, points[i].p, 1e-10);
        ks = ks_of(points[i].n2, points[i].n1, points[i].h);
        statistics_check_absolute(&error, mill_ks_pvalue(&ks, points[i].method), points[i].p, P_LIMIT);
    }
    print_message("published p: max error %.3g absolute, %.3g relative\n", error.absolute, error.relative);
}

static void exact_points(void **state)
{
    (void)state;
    struct statistics_table table = statistics_table_read("scipy_exact.txt", 4);
    struct statistics_error error = {0};
    for (size_t i = 0; i < table.count; i++) {
        const double *row = table.at + i * 4;
        struct mill_ks ks = ks_of((uint64_t)row[0], (uint64_t)row[1], (uint64_t)row[2]);
        double p = mill_ks_pvalue(&ks, MILL_KS_EXACT);
        statistics_check_absolute(&error, p, row[3], P_LIMIT);
        statistics_check_relative(&error, p, row[3], row[3] > 1e-290 ? 1e-11 : HUGE_VAL);
        if (row[0] != row[1]) {
            double other = portable_unequal((uint64_t)row[0], (uint64_t)row[1],
                                            gcd_of((uint64_t)row[0], (uint64_t)row[1]), (uint64_t)row[2]);
            assert_true(other == p);
        }
    }
    print_message("exact p, %zu points: max error %.3g absolute, %.3g relative\n", table.count, error.absolute,
                  error.relative);
    statistics_table_clear(&table);
}

static void kstwo_values(void **state)
{
    (void)state;
    static const struct {
        uint64_t n;
        double x, p;
    } points[] = {
        {1, .75, 0.5},
        {2, .6, 0.32},
        {10, .09, 0.99996103605669073},
        {10, .11, 0.99834230728422091},
        {10, .274, 0.37152038454349567},
        {10, .41, 0.049320757828704931},
        {10, .6, 5.6816720000000035e-4},
        {10, .95, 1.9531250000000172e-13},
        {50, .1, 0.66231127046581861},
        {140, .05, 0.85764802976561139},
        {140, .17, 5.2461086875198138e-4},
        {141, .05, 0.85484569300966284},
        {141, .13, 0.015449346308454497},
        {1000, .02, 0.81089716568955772},
        {1000, .05, 0.013012074781090332},
        {50000, .004, 0.39943166467557312},
        {50000, .0067, 0.02236306937721667},
        {500000, .0023, 0.01006803200736508},
        {1000000, .0016, 0.011939282537735608},
        {1000001, .0016, 0.011939241945769102},
        {5000000, .001, 9.0739345450334801e-05},
    };
    struct statistics_error error = {0};
    for (size_t i = 0; i < sizeof(points) / sizeof(points[0]); i++) {
        statistics_check_absolute(&error, mill_kstwo_sf(points[i].x, points[i].n), points[i].p, P_LIMIT);
    }
    print_message("kstwo, listed: max error %.3g absolute, %.3g relative\n", error.absolute, error.relative);
}

static void kstwo_points(void **state)
{
    (void)state;
    struct statistics_table table = statistics_table_read("scipy_kstwo.txt", 3);
    struct statistics_error error = {0};
    for (size_t i = 0; i < table.count; i++) {
        double p = mill_kstwo_sf(table.at[i * 3 + 1], table.integer[i]);
        statistics_check_absolute(&error, p, table.at[i * 3 + 2], P_LIMIT);
    }
    print_message("kstwo, %zu points: max error %.3g absolute, %.3g relative\n", table.count, error.absolute,
                  error.relative);
    statistics_table_clear(&table);
}

/* Statistic, location and sign equal scipy's to the bit. */
static void samples(void **state)
{
    (void)state;
    enum { SEED, N1, N2, GRID, SHIFT, STATISTIC, LOCATION, SIGN, P, WASSERSTEIN, WIDTH };
    struct statistics_table table = statistics_table_read("scipy_samples.txt", WIDTH);
    struct statistics_error p_error = {0}, distance_error = {0};
    for (size_t i = 0; i < table.count; i++) {
        const double *row = table.at + i * WIDTH;
        uint64_t n1 = (uint64_t)row[N1], n2 = (uint64_t)row[N2];
        double *reference = statistics_sample(table.integer[i], n1, (unsigned)row[GRID], 0);
        double *current = statistics_sample(table.integer[i] + 1, n2, (unsigned)row[GRID], row[SHIFT] / 8);
        struct mill_ks ks;
        mill_ks_2samp(reference, n1, current, n2, &ks);
        assert_true(ks.statistic == row[STATISTIC]);
        assert_true(ks.location == row[LOCATION]);
        assert_int_equal(ks.sign, (int)row[SIGN]);
        statistics_check_absolute(&p_error, mill_ks_pvalue(&ks, MILL_KS_AUTO), row[P], P_LIMIT);
        statistics_check_relative(&distance_error, mill_wasserstein(reference, n1, current, n2), row[WASSERSTEIN],
                                  1e-12);
        free(reference);
        free(current);
    }
    print_message("%zu samples: max error of p %.3g absolute, of the Wasserstein distance %.3g relative\n", table.count,
                  p_error.absolute, distance_error.relative);
    statistics_table_clear(&table);
}

/* What the statistic is by its definition, in integers. */
static uint64_t naive_numerator(const double *r, uint64_t n1, const double *c, uint64_t n2)
{
    int64_t most = 0;
    for (uint64_t k = 0; k < n1 + n2; k++) {
        double value = k < n1 ? r[k] : c[k - n1];
        int64_t c1 = 0, c2 = 0;
        for (uint64_t i = 0; i < n1; i++) {
            c1 += r[i] <= value;
        }
        for (uint64_t i = 0; i < n2; i++) {
            c2 += c[i] <= value;
        }
        int64_t difference = llabs(c1 * (int64_t)n2 - c2 * (int64_t)n1);
        most = difference > most ? difference : most;
    }
    return (uint64_t)most;
}

static void numerators(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 600; seed++) {
        uint64_t n1 = 1 + seed * 7 % 41, n2 = 1 + seed * 13 % 37;
        double *r = statistics_sample(seed, n1, seed % 3 == 0 ? 0 : 5, 0), *c = statistics_sample(~seed, n2, 5, 0);
        if (seed % 5 == 0) {
            r[0] = -INFINITY;
            r[n1 - 1] = INFINITY;
            c[n2 - 1] = INFINITY;
        }
        struct mill_ks ks;
        mill_ks_2samp(r, n1, c, n2, &ks);
        assert_int_equal(ks.numerator, naive_numerator(r, n1, c, n2));
        free(r);
        free(c);
    }
}

/* Sizes at which differences that are apart as integers are the same double, or in another order. */
static void rounded_extremes(void **state)
{
    (void)state;
    const uint64_t n1 = 1000000000, n2 = 999999999;
    unsigned moved = 0;
    for (uint64_t base = 500000; base < n1; base = base * 5 / 4) {
        struct mill__ks_scan scan;
        struct mill_ks ks;
        double most = 0, location = 0;
        mill__ks_scan_init(&scan, n1, n2);
        for (uint64_t c1 = base; c1 < base + 300; c1++) {
            uint64_t c2 = c1 - base / 2; /* c1 n2 - c2 n1 = base / 2 * n1 - c1: one less each time */
            double difference = (double)c1 / (double)n1 - (double)c2 / (double)n2;
            location = difference > most ? (double)c1 : location;
            most = difference > most ? difference : most;
            mill__ks_scan_add(&scan, c1, c2, (double)c1, true);
        }
        mill__ks_scan_finish(&scan, &ks);
        assert_true(ks.statistic == most && ks.location == location && ks.sign == 1);
        assert_true(ks.numerator == base / 2 * n1 - base);
        moved += location != (double)base;
    }
    assert_true(moved > 0);
}

static void edges(void **state)
{
    (void)state;
    /* The least difference is at 1 and at 3; scipy looks through the reference first. */
    const double first[] = {2, 3, 9, 9}, second[] = {1, 3};
    struct mill_ks tie;
    mill_ks_2samp(first, 4, second, 2, &tie);
    assert_true(tie.statistic == 0.5 && tie.location == 3 && tie.sign == -1);
    const double one[] = {1.5, 1.5, 1.5}, infinite[] = {-INFINITY, 0, INFINITY};
    struct mill_ks ks;
    mill_ks_2samp(NULL, 0, one, 3, &ks);
    assert_true(isnan(ks.statistic) && isnan(mill_ks_pvalue(&ks, MILL_KS_AUTO)));
    mill_ks_2samp(one, 3, NULL, 0, &ks);
    assert_true(isnan(ks.statistic) && isnan(mill_ks_pvalue(&ks, MILL_KS_ASYMPTOTIC)));
    mill_ks_2samp(one, 3, one, 2, &ks);
    assert_true(ks.statistic == 0 && ks.sign == 1 && ks.location == 1.5 && mill_ks_pvalue(&ks, MILL_KS_AUTO) == 1);
    mill_ks_2samp(infinite, 3, one, 3, &ks);
    assert_true(ks.numerator == 6 && ks.location == 0 && ks.sign == 1);
    mill_ks_2samp(one, 1, infinite, 1, &ks);
    assert_true(ks.statistic == 1 && ks.sign == -1 && mill_ks_pvalue(&ks, MILL_KS_AUTO) == 1);
    assert_true(isnan(mill_kstwo_sf(0.5, 0)) && isnan(mill_kstwo_sf(NAN, 3)));
    assert_true(mill_kstwo_sf(-1, 5) == 1 && mill_kstwo_sf(0.1, 5) == 1 && mill_kstwo_sf(1, 5) == 0);
    /* Too long for an exact p: the asymptotic one, as scipy; nothing overflows. */
    ks = (struct mill_ks){1000000000, 999999999, UINT64_MAX, 5e-5, 0, 1};
    assert_true(mill_ks_pvalue(&ks, MILL_KS_EXACT) == mill_ks_pvalue(&ks, MILL_KS_ASYMPTOTIC));
    ks = (struct mill_ks){UINT64_MAX, UINT64_MAX, UINT64_MAX, 1e-9, 0, 1};
    assert_true(mill_ks_pvalue(&ks, MILL_KS_EXACT) == mill_ks_pvalue(&ks, MILL_KS_ASYMPTOTIC));
    /* Greatest statistic: one in C(m + n, n) orders, twice. */
    ks = ks_of(4, 3, 12);
    struct statistics_error error = {0};
    statistics_check_absolute(&error, mill_ks_pvalue(&ks, MILL_KS_EXACT), 2.0 / 35, 1e-15);
}

/* A larger statistic is never more probable: over exact h, and over kstwo across the borders of its methods. */
static void monotone(void **state)
{
    (void)state;
    static const uint64_t sizes[][2] = {{30, 30}, {30, 29}, {24, 36}, {97, 11}, {200, 201}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        double last = 1;
        uint64_t n1 = sizes[i][0], n2 = sizes[i][1], lcm = n1 / gcd_of(n1, n2) * n2;
        for (uint64_t h = 0; h <= lcm; h += lcm > 4000 ? 13 : 1) {
            struct mill_ks ks = ks_of(n1, n2, h);
            double p = mill_ks_pvalue(&ks, MILL_KS_AUTO);
            assert_true(p >= 0 && p <= last * (1 + 1e-13));
            last = p;
        }
    }
    for (uint64_t n = 1; n <= 1000000000; n = n * 3 + 1) {
        double last = 1;
        for (double q = 0.01; q < 800; q *= 1.07) {
            double x = sqrt(q / (double)n), p = x < 1 ? mill_kstwo_sf(x, n) : 0;
            assert_true(p >= 0 && p <= 1);
            /* Pelz and Good's expansion is good to about 1e-9 (scipy's is the same): so far it may rise. */
            assert_true(p <= last + 1e-8);
            last = p;
        }
    }
}

static void critical(void **state)
{
    (void)state;
    static const uint64_t sizes[][2] = {{50, 60}, {5000, 7000}, {100000, 1000000}, {1000000000, 1000000000},
                                        {1, 2},   {3, 1000}};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (double alpha = 0.5; alpha > 1e-12; alpha /= 7) {
            struct mill_ks ks = {sizes[i][0], sizes[i][1], 0, 0, 0, 1};
            ks.statistic = mill_ks_critical(ks.reference_count, ks.current_count, alpha);
            assert_true(mill_ks_pvalue(&ks, MILL_KS_ASYMPTOTIC) >= alpha);
            ks.statistic *= 1 + 2e-12;
            assert_true(mill_ks_pvalue(&ks, MILL_KS_ASYMPTOTIC) < alpha);
        }
    }
    assert_true(isnan(mill_ks_critical(0, 5, 0.1)) && mill_ks_critical(1, 1, 0.1) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values), cmocka_unit_test(exact_points), cmocka_unit_test(kstwo_values),
        cmocka_unit_test(kstwo_points),     cmocka_unit_test(samples),      cmocka_unit_test(numerators),
        cmocka_unit_test(rounded_extremes), cmocka_unit_test(edges),        cmocka_unit_test(monotone),
        cmocka_unit_test(critical),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
