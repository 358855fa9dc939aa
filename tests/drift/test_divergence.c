/* SPDX-License-Identifier: Apache-2.0 */
/* Chi-square, PSI, the distances and Benjamini-Hochberg: against scipy, published vectors and naive sums. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drift/drift.h"
#include "statistics_fixture.h"

static const struct mill_smoothing none = {MILL_SMOOTHING_NONE, 0}, add = {MILL_SMOOTHING_ADD, 0.5},
                                   floor_1e4 = {MILL_SMOOTHING_FLOOR, 1e-4};

static void chi2_points(void **state)
{
    (void)state;
    struct statistics_table table = statistics_table_read("scipy_chi2.txt", 3);
    struct statistics_error error = {0};
    for (size_t i = 0; i < table.count; i++) {
        double p = mill_chi2_sf(table.at[i * 3 + 1], table.at[i * 3]);
        statistics_check_absolute(&error, p, table.at[i * 3 + 2], 1e-12);
    }
    print_message("chi-square, %zu points: max error %.3g absolute, %.3g relative\n", table.count, error.absolute,
                  error.relative);
    statistics_table_clear(&table);
}

/* Even degrees of freedom have a finite sum: Q(k, x) = e^-x (1 + x + ... + x^(k-1) / (k-1)!). */
static void chi2_closed_form(void **state)
{
    (void)state;
    struct statistics_error error = {0};
    for (unsigned k = 1; k < 200; k += 3) {
        for (double x = 0.01; x < 700; x *= 1.3) {
            long double term = expl(-(long double)x), sum = 0;
            for (unsigned j = 0; j < k; j++) {
                sum += term;
                term *= (long double)x / (j + 1);
            }
            statistics_check_absolute(&error, mill_chi2_sf(2 * x, 2.0 * k), (double)sum, 1e-13);
        }
    }
    assert_true(mill_chi2_sf(0, 3) == 1 && mill_chi2_sf(-1, 3) == 1 && mill_chi2_sf(INFINITY, 3) == 0);
    assert_true(isnan(mill_chi2_sf(NAN, 3)));
    assert_true(mill_chi2_sf(1e6, 1) == 0 && mill_chi2_sf(1e-300, 10000) == 1);
}

static void contingency(void **state)
{
    (void)state;
    /* Evidently's test of its chi-square: p 0.67309 of six bins against expected ones; the vectors as two samples are
     * scipy 1.17.1's chi2_contingency. */
    const uint64_t a[] = {16, 18, 0, 16, 14, 12, 12}, b[] = {16, 16, 0, 16, 16, 16, 8};
    struct mill_chi2 chi2, g;
    struct statistics_error error = {0};
    mill_chi2_test(a, b, 7, false, &chi2);
    mill_chi2_test(a, b, 7, true, &g);
    assert_int_equal(chi2.dof, 5);
    assert_int_equal(g.dof, 5);
    statistics_check_relative(&error, chi2.statistic, 1.6224089635854342, 1e-13);
    statistics_check_absolute(&error, chi2.pvalue, 0.8985262394026607, 1e-13);
    statistics_check_relative(&error, g.statistic, 1.6299560650379492, 1e-13);
    statistics_check_absolute(&error, g.pvalue, 0.8976032398668559, 1e-13);
    const uint64_t zero[] = {0, 0, 0}, one[] = {0, 5, 0}, two[] = {3, 5, 0};
    mill_chi2_test(zero, two, 3, false, &chi2);
    assert_true(chi2.statistic == 0 && chi2.pvalue == 1 && chi2.dof == 0);
    mill_chi2_test(one, one, 3, true, &chi2);
    assert_true(chi2.statistic == 0 && chi2.pvalue == 1 && chi2.dof == 0);
    mill_chi2_test(two, two, 3, true, &chi2);
    assert_true(chi2.statistic == 0 && chi2.pvalue == 1 && chi2.dof == 1);
    mill_chi2_test(NULL, NULL, 0, false, &chi2);
    assert_int_equal(chi2.dof, 0);
}

static void psi(void **state)
{
    (void)state;
    struct statistics_error error = {0};
    /* Hopsworks: 0.4 ln 2 + 0.4 ln 3; the total stays the sum of what each bin gives. */
    const uint64_t r[] = {8, 2}, c[] = {40, 60};
    double parts[3];
    statistics_check_relative(&error, mill_psi(r, c, 2, none, parts), 0.4 * log(2) + 0.4 * log(3), 1e-15);
    statistics_check_relative(&error, parts[0] + parts[1], 0.4 * log(6), 1e-15);
    /* Evidently: reference [3, 2, 2], current [1, 2, 3] as categories, 1e-4 for what is empty: 2.93 +- 0.01. */
    const uint64_t er[] = {0, 2, 1}, ec[] = {1, 1, 1};
    statistics_check_absolute(&error, mill_psi(er, ec, 3, floor_1e4, NULL), 2.93, 0.01);
    /* Added: (1.5 / 6 - .5 / 5) ln ... by hand. */
    const uint64_t ar[] = {0, 4}, ac[] = {1, 4};
    double r0 = 0.5 / 5, c0 = 1.5 / 6, r1 = 4.5 / 5, c1 = 4.5 / 6;
    statistics_check_relative(&error, mill_psi(ar, ac, 2, add, NULL),
                              (c0 - r0) * log(c0 / r0) + (c1 - r1) * log(c1 / r1), 1e-15);
    assert_true(isinf(mill_psi(ar, ac, 2, none, NULL)));
    const uint64_t zero[] = {0, 0, 0}, gap[] = {3, 0, 1};
    assert_true(isnan(mill_psi(zero, gap, 3, add, parts)) && isnan(parts[1]));
    assert_true(isnan(mill_psi(gap, zero, 3, none, NULL)) && isnan(mill_psi(NULL, NULL, 0, none, NULL)));
    assert_true(mill_psi(gap, gap, 3, none, parts) == 0 && parts[1] == 0);
}

static void psi_density(void **state)
{
    (void)state;
    /* Ten bins and twenty: where numpy sums eight terms side by side. Values of numpy 2.4.6. */
    uint64_t r[20], c[20];
    double edges[21];
    for (unsigned i = 0; i < 20; i++) {
        r[i] = i * i * 7 % 23;
        c[i] = i * 5 % 17;
        edges[i] = i * 0.3 - 1;
    }
    edges[20] = 20 * 0.3 - 1;
    assert_true(mill_psi_density(r, c, edges, 10) == 2.275764252533071);
    assert_true(mill_psi_density(r, c, edges, 20) == 6.098614384348206);
    const uint64_t zero[20] = {0};
    assert_true(isnan(mill_psi_density(r, zero, edges, 10)) && isnan(mill_psi_density(zero, c, edges, 10)));
}

/* The 99 % points of drift-free PSI that simulation gave for a reference of 10,000 rows and 10 bins (two digits). */
static void psi_noise(void **state)
{
    (void)state;
    static const double measured[][2] = {{100, 0.219}, {500, 0.046}, {1000, 0.024}, {5000, 0.0065}, {100000, 0.0024}};
    struct statistics_error error = {0};
    for (size_t i = 0; i < 5; i++) {
        statistics_check_relative(&error, mill_psi_noise(10000, (uint64_t)measured[i][0], 10), measured[i][1], 0.03);
    }
    /* scipy: chi2.isf(0.01, 9), and of 1 and 999. */
    statistics_check_relative(&error, mill_psi_noise(1, 1, 10) / 2, 21.665994333461928, 1e-12);
    statistics_check_relative(&error, mill_psi_noise(1, 1, 2) / 2, 6.634896601021217, 1e-12);
    statistics_check_relative(&error, mill_psi_noise(1, 1, 1000) / 2, 1105.9169575045823, 1e-12);
    for (uint32_t bins = 2; bins < 30000; bins = bins * 5 / 4 + 1) {
        statistics_check_absolute(&error, mill_chi2_sf(mill_psi_noise(1, 1, bins) / 2, bins - 1), 0.01, 1e-14);
    }
    assert_true(mill_psi_noise(5, 5, 1) == 0 && isnan(mill_psi_noise(0, 5, 10)));
}

static void distances(void **state)
{
    (void)state;
    struct statistics_error error = {0};
    /* Hopsworks' vectors, by the definitions; Evidently: Hellinger 0.06812. */
    const uint64_t r[] = {8, 2}, c[] = {4, 6}, a[] = {16, 18, 16, 14, 12, 12}, b[] = {16, 16, 16, 16, 16, 8};
    double js = 0.8 * log2(0.8 / 0.6) + 0.2 * log2(0.2 / 0.4) + 0.4 * log2(0.4 / 0.6) + 0.6 * log2(0.6 / 0.4);
    statistics_check_relative(&error, mill_jensen_shannon(r, c, 2), sqrt(js / 2), 1e-14);
    statistics_check_relative(&error, mill_hellinger(r, c, 2), sqrt(1 - sqrt(0.32) - sqrt(0.12)), 1e-14);
    statistics_check_relative(&error, mill_total_variation(r, c, 2), 0.4, 1e-15);
    statistics_check_absolute(&error, mill_hellinger(a, b, 6), 0.06812, 1e-5);
    const uint64_t left[] = {5, 0, 0}, right[] = {0, 0, 9}, zero[] = {0, 0, 0};
    assert_true(mill_jensen_shannon(left, right, 3) == 1 && mill_hellinger(left, right, 3) == 1);
    assert_true(mill_total_variation(left, right, 3) == 1);
    assert_true(mill_jensen_shannon(a, a, 6) == 0 && mill_hellinger(a, a, 6) == 0 &&
                mill_total_variation(b, b, 6) == 0);
    assert_true(isnan(mill_jensen_shannon(left, zero, 3)) && isnan(mill_hellinger(zero, left, 3)));
    assert_true(isnan(mill_total_variation(zero, zero, 3)));
    /* A hair apart: where 1 - sum of roots, or a sum of terms of both signs, has no digit left. */
    const uint64_t half[] = {1000000000, 1000000000}, moved[] = {1000000001, 999999999};
    statistics_check_relative(&error, mill_hellinger(half, moved, 2), 1e-9 / sqrt(8), 1e-6);
    statistics_check_relative(&error, mill_jensen_shannon(half, moved, 2), 1e-9 / sqrt(8 * M_LN2), 1e-6);
}

static void wasserstein_edges(void **state)
{
    (void)state;
    const double a[] = {-INFINITY, 0, 1, INFINITY}, b[] = {-INFINITY, 2, 3, INFINITY}, c[] = {0, 1, 2, INFINITY};
    assert_true(mill_wasserstein(a, 4, b, 4) == 1);
    assert_true(isinf(mill_wasserstein(a, 4, c, 4)) && isinf(mill_wasserstein(c, 4, c, 3)));
    assert_true(mill_wasserstein(c, 3, c, 3) == 0);
    assert_true(isnan(mill_wasserstein(a, 0, b, 4)) && isnan(mill_wasserstein(a, 4, b, 0)));
    assert_true(mill_wasserstein(a + 1, 1, b + 1, 1) == 2);
}

/* The definition: q = the least of min(1, p_j m / rank_j) over all p_j >= p. */
static void benjamini_hochberg(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 60; seed++) {
        double *p = statistics_sample(seed, 30, seed % 2 == 0 ? 9 : 0, 0), q[30];
        for (size_t i = 0; i < 30; i++) {
            p[i] = i * seed % 11 == 7 ? (double)NAN : fabs(p[i]) * (i % 3 == 0 ? 0.01 : 1);
        }
        mill_benjamini_hochberg(p, q, 30);
        for (size_t i = 0; i < 30; i++) {
            double least = 1, tests = 0;
            for (size_t j = 0; j < 30; j++) {
                tests += !isnan(p[j]);
            }
            for (size_t j = 0; j < 30; j++) {
                double rank = 0;
                for (size_t k = 0; k < 30; k++) {
                    rank += p[k] <= p[j];
                }
                if (p[j] >= p[i]) {
                    least = fmin(least, p[j] * (tests / rank));
                }
            }
            assert_true(isnan(p[i]) ? isnan(q[i]) : q[i] == least);
        }
        mill_benjamini_hochberg(p, p, 30);
        for (size_t i = 0; i < 30; i++) {
            assert_true(p[i] == q[i] || isnan(q[i]));
        }
        free(p);
    }
    mill_benjamini_hochberg(NULL, NULL, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chi2_points), cmocka_unit_test(chi2_closed_form),  cmocka_unit_test(contingency),
        cmocka_unit_test(psi),         cmocka_unit_test(psi_density),       cmocka_unit_test(psi_noise),
        cmocka_unit_test(distances),   cmocka_unit_test(wasserstein_edges), cmocka_unit_test(benjamini_hochberg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
