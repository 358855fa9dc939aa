/* SPDX-License-Identifier: Apache-2.0 */
/* The golden cases: samples, and what scipy and numpy make of them. Statistics to 1e-12 relative, p to 1e-12. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "drift/drift.h"
#include "statistics_fixture.h"

static const double LIMIT = 1e-12;
static const struct mill_smoothing floor_1e4 = {MILL_SMOOTHING_FLOOR, 1e-4};
static struct statistics_error p_error, value_error;

static const char *const numeric[] = {
    "asymp_large", "both_constant", "constant_reference", "equal_sizes",        "few",   "infinite",
    "integers",    "lognormal",     "normal_same",        "normal_shift",       "nulls", "out_of_range",
    "rounded",     "scale",         "zero_inflated",      "negative_zero_tiny",
};

struct samples {
    double *reference, *current;
    size_t n1, n2;
};

static void check(double got, double expected)
{
    statistics_check_relative(&value_error, got, expected, LIMIT);
}

/* Bins (before, edge], the last one open. */
static uint64_t *binned(const double *values, size_t n, const double *edges, size_t edge_count)
{
    uint64_t *counts = mill_calloc(edge_count + 1, sizeof(*counts));
    for (size_t i = 0; i < n; i++) {
        size_t bin = 0;
        while (bin < edge_count && values[i] > edges[bin]) {
            bin++;
        }
        counts[bin]++;
    }
    return counts;
}

/* Bins [edge, next), the last one closed, as numpy.histogram; what lies outside takes no part. */
static void numpy_histogram(const double *values, size_t n, const double edges[11], uint64_t counts[10])
{
    memset(counts, 0, 10 * sizeof(*counts));
    for (size_t i = 0; i < n; i++) {
        for (unsigned bin = 0; bin < 10; bin++) {
            bool is_below = bin == 9 ? values[i] <= edges[10] : values[i] < edges[bin + 1];
            counts[bin] += values[i] >= edges[bin] && is_below;
        }
    }
}

static void check_article(const json_t *root, const struct samples *s)
{
    double expected = statistics_number(root, "psi_article", NULL);
    double low = s->reference[0], high = s->reference[s->n1 - 1], edges[11];
    if (!isfinite(low) || !isfinite(high)) {
        assert_true(isnan(expected)); /* numpy raises */
        return;
    }
    if (low == high) {
        low -= 0.5;
        high += 0.5;
    }
    for (int i = 0; i <= 10; i++) {
        edges[i] = i == 10 ? high : i * ((high - low) / 10) + low;
    }
    uint64_t reference[10], current[10];
    numpy_histogram(s->reference, s->n1, edges, reference);
    numpy_histogram(s->current, s->n2, edges, current);
    double got = mill_psi_density(reference, current, edges, 10);
    if (isnan(expected)) {
        assert_true(isnan(got));
    } else {
        check(got, expected);
    }
}

static void check_bins(const json_t *root, const struct samples *s)
{
    const json_t *psi = json_object_get(root, "psi_quantile10_floor1e-4");
    size_t edge_count, share_count;
    double *edges = statistics_numbers(json_object_get(psi, "edges"), &edge_count);
    uint64_t *reference = binned(s->reference, s->n1, edges, edge_count);
    uint64_t *current = binned(s->current, s->n2, edges, edge_count);
    share_count = json_array_size(json_object_get(psi, "current_share"));
    assert_int_equal(share_count, edge_count + 1);
    for (size_t i = 0; i < share_count; i++) {
        double r = json_number_value(json_array_get(json_object_get(psi, "reference_share"), i));
        double c = json_number_value(json_array_get(json_object_get(psi, "current_share"), i));
        check((double)reference[i] / (double)s->n1, r);
        check((double)current[i] / (double)s->n2, c);
    }
    uint32_t bins = (uint32_t)share_count;
    check(mill_psi(reference, current, bins, floor_1e4, NULL), statistics_number(psi, "value", NULL));
    check(mill_jensen_shannon(reference, current, bins),
          statistics_number(root, "jensen_shannon_bits_on_psi_bins", NULL));
    check(mill_hellinger(reference, current, bins), statistics_number(root, "hellinger_on_psi_bins", NULL));
    free(edges);
    free(reference);
    free(current);
}

static void check_ks(const json_t *root, const struct samples *s)
{
    struct mill_ks ks;
    mill_ks_2samp(s->reference, s->n1, s->current, s->n2, &ks);
    assert_true(ks.statistic == statistics_number(root, "ks", "statistic"));
    assert_true(ks.location == statistics_number(root, "ks", "location"));
    assert_true(ks.sign == statistics_number(root, "ks", "sign"));
    statistics_check_absolute(&p_error, mill_ks_pvalue(&ks, MILL_KS_AUTO), statistics_number(root, "ks", "pvalue"),
                              LIMIT);
    statistics_check_absolute(&p_error, mill_ks_pvalue(&ks, MILL_KS_ASYMPTOTIC),
                              statistics_number(root, "ks_asymp_pvalue", NULL), LIMIT);
}

static void numeric_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(numeric) / sizeof(numeric[0]); i++) {
        print_message("%s\n", numeric[i]);
        json_t *root = statistics_golden(numeric[i]);
        struct samples s;
        s.reference = statistics_numbers(json_object_get(root, "reference"), &s.n1);
        s.current = statistics_numbers(json_object_get(root, "current"), &s.n2);
        check_ks(root, &s);
        check_bins(root, &s);
        check_article(root, &s);
        double distance = mill_wasserstein(s.reference, s.n1, s.current, s.n2);
        if (json_object_get(root, "wasserstein") != NULL) {
            check(distance, statistics_number(root, "wasserstein", NULL));
        } else {
            assert_string_equal(numeric[i], "infinite");
            assert_true(isinf(distance)); /* scipy subtracts infinities */
        }
        free(s.reference);
        free(s.current);
        json_decref(root);
    }
    print_message("max error: p %.3g absolute; all else %.3g relative\n", p_error.absolute, value_error.relative);
}

static uint64_t *counts_of(const json_t *root, const char *key, uint32_t *ret_count)
{
    const json_t *array = json_object_get(root, key);
    uint64_t *counts = mill_calloc(json_array_size(array), sizeof(*counts));
    for (size_t i = 0; i < json_array_size(array); i++) {
        counts[i] = (uint64_t)json_integer_value(json_array_get(array, i));
    }
    *ret_count = (uint32_t)json_array_size(array);
    return counts;
}

static void categorical_cases(void **state)
{
    (void)state;
    static const char *const names[] = {"categories", "categories_unseen"};
    for (size_t i = 0; i < 2; i++) {
        json_t *root = statistics_golden(names[i]);
        uint32_t count;
        uint64_t *reference = counts_of(root, "reference_count", &count);
        uint64_t *current = counts_of(root, "current_count", &count);
        struct mill_chi2 chi2, g;
        mill_chi2_test(reference, current, count, false, &chi2);
        mill_chi2_test(reference, current, count, true, &g);
        check(chi2.statistic, statistics_number(root, "chi2", "statistic"));
        check(g.statistic, statistics_number(root, "g", "statistic"));
        assert_int_equal(chi2.dof, (int)statistics_number(root, "chi2", "dof"));
        statistics_check_absolute(&p_error, chi2.pvalue, statistics_number(root, "chi2", "pvalue"), LIMIT);
        statistics_check_absolute(&p_error, g.pvalue, statistics_number(root, "g", "pvalue"), LIMIT);
        check(mill_psi(reference, current, count, floor_1e4, NULL),
              statistics_number(root, "psi_levels_floor1e-4", NULL));
        check(mill_total_variation(reference, current, count), statistics_number(root, "total_variation", NULL));
        check(mill_jensen_shannon(reference, current, count), statistics_number(root, "jensen_shannon_bits", NULL));
        free(reference);
        free(current);
        json_decref(root);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(numeric_cases), cmocka_unit_test(categorical_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
