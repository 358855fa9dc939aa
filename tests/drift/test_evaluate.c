/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation: the golden numbers of scipy and numpy through builder, counter, parts and windows; rules; bad input. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "drift/evaluate_internal.h"
#include "tests/base/random.h"
#include "tests/drift/drift_rows.h"
#include "tests/drift/statistics_fixture.h"

/* ------------------------------------------------------------------ one window against one reference */

struct bench {
    struct mill_profile_spec spec;
    struct mill_profile *profile;
    struct mill_drift_window *window;
    struct mill_arena arena;
    struct mill_drift_report report;
};

static void bench_open(struct bench *b, const struct drift_row *reference, uint32_t reference_count,
                       const struct drift_row *current, uint32_t current_count)
{
    mill_arena_init(&b->arena, 0);
    b->profile = drift_rows_profile(&b->spec, reference, reference_count);
    b->window = drift_rows_window(&b->spec, b->profile, current, current_count);
}

static void bench_close(struct bench *b)
{
    mill_drift_window_free(b->window);
    mill_profile_free(b->profile);
    mill_arena_clear(&b->arena);
}

static const struct mill_drift_result *bench_result(struct bench *b, const struct mill_drift_rule *rule, bool with_p,
                                                    const char *feature)
{
    mill_drift_evaluate(b->window, b->profile, rule, with_p, &b->arena, &b->report);
    return &b->report.results[mill_profile_find(b->profile, feature)];
}

/* ------------------------------------------------------------------ golden numbers */

static struct drift_row *numeric_rows(const json_t *array, uint32_t *ret_count)
{
    size_t values;
    double *numbers = statistics_numbers(array, &values);
    uint32_t count = (uint32_t)json_array_size(array);
    struct drift_row *rows = mill_calloc(count + (size_t)1, sizeof(*rows));

    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (struct drift_row){.x = i < values ? numbers[i] : (double)NAN, .color = "a", .site = "s"};
    }
    free(numbers);
    *ret_count = count;
    return rows;
}

static void check(const char *name, const char *what, double found, double expected, double limit)
{
    if (!(fabs(found - expected) <= limit) && !(isnan(found) && isnan(expected))) {
        fail_msg("%s: %s is %.17g, expected %.17g", name, what, found, expected);
    }
}

static double optional(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static void check_numeric(const char *name, const json_t *golden, const struct mill_drift_result *r)
{
    double psi = statistics_number(golden, "psi_quantile10_floor1e-4", "value");
    double wasserstein = optional(golden, "wasserstein"), stddev = r->feature->stddev;

    check(name, "ks", r->ks.statistic, statistics_number(golden, "ks", "statistic"), 1e-15);
    check(name, "p", r->ks_pvalue, statistics_number(golden, "ks", "pvalue"), 1e-12);
    check(name, "q", r->ks_qvalue, fmin(1, r->ks_pvalue * 3), 1e-15); /* the other two features are constant */
    check(name, "sign", r->ks.sign, statistics_number(golden, "ks", "sign"), 0);
    check(name, "psi", r->psi, psi, 1e-12 * fmax(1, psi));
    check(name, "psi_article", r->psi_density, optional(golden, "psi_article"),
          1e-12 * fmax(1, optional(golden, "psi_article")));
    check(name, "jensen_shannon", r->jensen_shannon, optional(golden, "jensen_shannon_bits_on_psi_bins"), 1e-12);
    check(name, "hellinger", r->hellinger, optional(golden, "hellinger_on_psi_bins"), 1e-12);
    check(name, "null share", r->null_share_current, statistics_number(golden, "null_share", "current"), 1e-15);
    check(name, "null share", r->null_share_reference, statistics_number(golden, "null_share", "reference"), 1e-15);
    /* Infinities, and values of 1e308 beside 1e-300, are beyond what moments reach; numpy's means of them are infinite.
     */
    bool is_within = mill__moments_reach(r->feature);
    assert_true(is_within || strcmp(name, "negative_zero_tiny") == 0 || strcmp(name, "infinite") == 0);
    if (!isnan(wasserstein) && stddev > 0 && is_within) {
        check(name, "wasserstein", r->wasserstein * stddev, wasserstein,
              r->wasserstein_error_max * stddev + 1e-9 * (wasserstein + stddev));
    }
    double mean =
        json_is_object(json_object_get(golden, "mean")) ? statistics_number(golden, "mean", "current") : (double)NAN;
    if (!isnan(mean) && is_within) {
        check(name, "mean", r->mean, mean, 1e-9 * fmax(r->feature->scale, fabs(mean)));
    }
}

static void test_golden_numeric(void **state)
{
    (void)state;
    static const char *const names[] = {
        "asymp_large", "both_constant",      "constant_reference", "equal_sizes",  "few",   "infinite",     "integers",
        "lognormal",   "negative_zero_tiny", "normal_same",        "normal_shift", "nulls", "out_of_range", "rounded",
        "scale",       "zero_inflated",
    };
    struct mill_drift_rule rule;

    mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
    rule.samples_min = 1;
    rule.smoothing = (struct mill_smoothing){MILL_SMOOTHING_FLOOR, 1e-4};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *golden = statistics_golden(names[i]);
        struct bench b = {.spec = drift_rows_spec};
        uint32_t reference_count, current_count;
        struct drift_row *reference = numeric_rows(json_object_get(golden, "reference"), &reference_count);
        struct drift_row *current = numeric_rows(json_object_get(golden, "current"), &current_count);
        b.spec.binning.atoms = false;
        b.spec.breaks_max = MILL_PROFILE_BREAKS_MAX;
        bench_open(&b, reference, reference_count, current, current_count);
        check_numeric(names[i], golden, bench_result(&b, &rule, true, "x"));
        bench_close(&b);
        free(reference);
        free(current);
        json_decref(golden);
    }
}

static struct drift_row *category_rows(const json_t *array, uint32_t *ret_count)
{
    uint32_t count = (uint32_t)json_array_size(array);
    struct drift_row *rows = mill_calloc(count + (size_t)1, sizeof(*rows));

    for (uint32_t i = 0; i < count; i++) {
        rows[i] = (struct drift_row){.color = json_string_value(json_array_get(array, i)), .site = "s"};
    }
    *ret_count = count;
    return rows;
}

static void test_golden_categories(void **state)
{
    (void)state;
    static const char *const names[] = {"categories", "categories_unseen"};
    struct mill_drift_rule rule;

    mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
    rule.samples_min = 1;
    rule.smoothing = (struct mill_smoothing){MILL_SMOOTHING_FLOOR, 1e-4};
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        json_t *golden = statistics_golden(names[i]);
        struct bench b = {.spec = drift_rows_spec};
        uint32_t reference_count, current_count;
        struct drift_row *reference = category_rows(json_object_get(golden, "reference"), &reference_count);
        struct drift_row *current = category_rows(json_object_get(golden, "current"), &current_count);
        bench_open(&b, reference, reference_count, current, current_count);
        const struct mill_drift_result *r = bench_result(&b, &rule, false, "color");
        check(names[i], "total variation", r->total_variation, optional(golden, "total_variation"), 1e-12);
        if (i == 0) { /* unseen levels are one bin, which changes all but total variation */
            check(names[i], "chi2", r->chi2.statistic, statistics_number(golden, "chi2", "statistic"), 1e-9);
            check(names[i], "chi2 p", r->chi2.pvalue, statistics_number(golden, "chi2", "pvalue"), 1e-12);
            check(names[i], "chi2 dof", r->chi2.dof, statistics_number(golden, "chi2", "dof"), 0);
            check(names[i], "g", r->g.statistic, statistics_number(golden, "g", "statistic"), 1e-9);
            check(names[i], "psi", r->psi, optional(golden, "psi_levels_floor1e-4"), 1e-11);
            check(names[i], "jensen_shannon", r->jensen_shannon, optional(golden, "jensen_shannon_bits"), 1e-12);
        }
        bench_close(&b);
        free(reference);
        free(current);
        json_decref(golden);
    }
}

/* ------------------------------------------------------------------ rules */

static void fill(struct drift_row *rows, uint32_t count, uint64_t *random, double shift)
{
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = drift_row_make(random, i, shift);
    }
}

/* What is left out of the p and q because it cannot matter must not matter. */
static void test_severity_without_all_p(void **state)
{
    (void)state;
    static const enum mill_rule_kind kinds[] = {MILL_RULE_DEFAULT, MILL_RULE_ARTICLE};
    uint64_t random = random_u64();
    struct drift_row *rows = mill_malloc(30000 * sizeof(*rows));
    unsigned severities[3] = {0};

    for (unsigned round = 0; round < 60; round++) {
        struct bench b = {.spec = drift_rows_spec};
        uint32_t n1 = 100 + random_below(round % 3 == 0 ? 12000 : 3000), n2 = 100 + random_below(3000);
        b.spec.segment_by = "site";
        b.spec.segments_max = 2;
        fill(rows, n1, &random, 0);
        fill(rows + n1, n2, &random, 0.2 * random_below(4) * drift_uniform(&random));
        bench_open(&b, rows, n1, rows + n1, n2);
        for (unsigned k = 0; k < 2; k++) {
            struct mill_drift_rule rule;
            mill_drift_rule_init(&rule, kinds[k]);
            rule.samples_min = 50;
            bench_result(&b, &rule, true, "x");
            struct mill_drift_report full = b.report;
            bench_result(&b, &rule, false, "x");
            assert_int_equal(full.result_count, 3 * 4);
            for (uint32_t i = 0; i < full.result_count; i++) {
                assert_int_equal(b.report.results[i].severity, full.results[i].severity);
                severities[full.results[i].severity]++;
            }
            assert_int_equal(b.report.severity, full.severity);
        }
        bench_close(&b);
    }
    assert_true(severities[0] > 50 && severities[1] > 50 && severities[2] > 50);
    free(rows);
}

/* The article's own verdict, from its own formula: the golden density PSI and p decide. */
static void test_article_bands(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    struct drift_row *rows = mill_malloc(4000 * sizeof(*rows));
    struct mill_drift_rule rule;

    mill_drift_rule_init(&rule, MILL_RULE_ARTICLE);
    for (unsigned round = 0; round < 40; round++) {
        struct bench b = {.spec = drift_rows_spec};
        fill(rows, 2000, &random, 0);
        fill(rows + 2000, 1000, &random, 0.01 * round);
        bench_open(&b, rows, 2000, rows + 2000, 1000);
        const struct mill_drift_result *r = bench_result(&b, &rule, true, "x");
        bool is_major = r->psi_density > 0.2 || r->ks_pvalue < 0.01;
        bool is_minor = r->psi_density > 0.1 || r->ks_pvalue < 0.05;
        assert_int_equal(r->severity, is_major ? MILL_SEVERITY_MAJOR : is_minor ? MILL_SEVERITY_MINOR : 0);
        bench_close(&b);
    }
    free(rows);
}

static void test_data_quality(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    struct drift_row *rows = mill_malloc(6000 * sizeof(*rows));
    struct bench b = {.spec = drift_rows_spec};
    struct mill_drift_rule rule;

    mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
    rule.psi_minor = rule.psi_major = 10; /* unseen values are a bin of PSI: for some rows it would be the reason */
    fill(rows, 6000, &random, 0);
    for (uint32_t i = 5000; i < 6000; i++) {
        rows[i].x = i % 2 == 0 ? (double)NAN : rows[i].x;
        rows[i].color = i % 60 == 0 ? "never seen" : rows[i].color;
        rows[i].score = i % 25 == 0 ? 7 : rows[i].score;
    }
    bench_open(&b, rows, 5000, rows + 5000, 1000);
    const struct mill_drift_result *x = bench_result(&b, &rule, false, "x"), *color = x + 1, *score = x + 2;
    assert_string_equal(x->reason, "null_share");
    assert_int_equal(x->severity, MILL_SEVERITY_MAJOR);
    assert_true(fabs(x->null_share_current - 0.5) < 0.03);
    assert_string_equal(color->reason, "unseen_share");
    assert_int_equal(color->severity, MILL_SEVERITY_MINOR);
    assert_string_equal(score->reason, "out_of_range");
    assert_int_equal(score->severity, MILL_SEVERITY_MINOR);
    assert_true(score->out_of_range_current >= 0.04 && score->out_of_range_current < 0.045);
    bench_close(&b);
    free(rows);
}

/* ------------------------------------------------------------------ bad input */

static bool is_nan_alert(const struct mill_drift_report *report)
{
    for (uint32_t i = 0; i < report->result_count; i++) {
        const struct mill_drift_result *r = &report->results[i];
        if (r->severity != MILL_SEVERITY_NONE && (r->reason == NULL || isnan(r->value) || isnan(r->threshold))) {
            return true;
        }
    }
    return false;
}

/* Every pair of odd samples, under every rule: a result, and no alarm that is not a number. */
static void test_bad_input(void **state)
{
    (void)state;
    enum { KINDS = 7, ROWS = 700 };
    uint64_t random = random_u64();
    struct drift_row rows[2][ROWS];

    for (unsigned pair = 0; pair < KINDS * KINDS; pair++) {
        unsigned kinds[2] = {pair / KINDS, pair % KINDS};
        for (unsigned side = 0; side < 2; side++) {
            for (uint32_t i = 0; i < ROWS; i++) {
                double normal = drift_normal(&random);
                const double values[KINDS] = {normal,    3,
                                              NAN,       i % 3 == 0 ? (double)INFINITY : normal,
                                              -INFINITY, i % 2 == 0 ? (double)NAN : 1e300 * normal,
                                              5e-324};
                rows[side][i] = (struct drift_row){.x = values[kinds[side]], .color = kinds[side] == 2 ? NULL : "a"};
                rows[side][i].score = values[kinds[side]] * 1e-3;
            }
        }
        for (int kind = 0; kind < 3; kind++) {
            struct bench b = {.spec = drift_rows_spec};
            struct mill_drift_rule rule;
            mill_drift_rule_init(&rule, (enum mill_rule_kind)kind);
            bench_open(&b, rows[0], ROWS, rows[1], pair % 5 == 4 ? 3 : ROWS);
            const struct mill_drift_result *x = bench_result(&b, &rule, pair % 2 == 0, "x");
            assert_false(is_nan_alert(&b.report));
            bool is_few = pair % 5 == 4 && kind != MILL_RULE_ARTICLE;
            assert_int_equal((x->conditions & MILL_CONDITION_TOO_FEW) != 0, is_few);
            assert_int_equal((x->conditions & MILL_CONDITION_ALL_NULL) != 0, kinds[1] == 2);
            assert_int_equal((x->conditions & MILL_CONDITION_REFERENCE_EMPTY) != 0, kinds[0] == 2);
            assert_int_equal((x->conditions & MILL_CONDITION_REFERENCE_CONSTANT) != 0,
                             kinds[0] == 1 || kinds[0] == 4 || kinds[0] == 6);
            assert_int_equal((x->conditions & MILL_CONDITION_UNCALIBRATED) != 0, kind == MILL_RULE_CALIBRATED);
            assert_int_equal((x->conditions & MILL_CONDITION_INFINITE) != 0,
                             kinds[0] != 2 && (kinds[1] == 3 || kinds[1] == 4));
            if (kinds[1] == 2 && kinds[0] != 2 && kind != MILL_RULE_ARTICLE && !is_few) {
                assert_int_equal(x->severity, MILL_SEVERITY_MAJOR); /* the feature has vanished */
                assert_string_equal(x->reason, "null_share");
            }
            bench_close(&b);
        }
    }
}

/* Categories without end, on both sides: memory is bounded by the profile, and new ids are expected of ids. */
static void test_unseen_by_the_thousand(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    struct drift_row *rows = mill_calloc(2 * ROWS, sizeof(*rows));
    char(*texts)[16] = mill_malloc(2 * ROWS * sizeof(*texts));
    struct bench b = {.spec = drift_rows_spec};
    struct mill_drift_rule rule;

    for (uint32_t i = 0; i < 2 * ROWS; i++) {
        snprintf(texts[i], sizeof(texts[i]), "id-%u", i);
        rows[i].color = texts[i];
    }
    mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
    bench_open(&b, rows, ROWS, rows + ROWS, ROWS);
    const struct mill_drift_result *r = bench_result(&b, &rule, false, "color");
    assert_true(r->feature->slot_count <= MILL_PROFILE_LEVELS_DEFAULT + 2);
    assert_true(fabs(r->unseen_share - 1) < 1e-12 && fabs(r->unseen_reference - 1) < 1e-12);
    assert_false(r->reason != NULL && strcmp(r->reason, "unseen_share") == 0);
    bench_close(&b);
    free(texts);
    free(rows);
}

/* ------------------------------------------------------------------ calibration, performance */

static void test_calibrated_threshold(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    double values[1000];

    /* Quantiles where there are enough windows. */
    for (uint32_t i = 0; i < 1000; i++) {
        values[i] = i;
    }
    assert_true(mill__calibrated_threshold(values, 1000, 0.01) == 990);
    /* Beyond them: of an exponential variable P(X > t) = exp(-t), so the rate can be read off. */
    double rate = 0;
    for (unsigned round = 0; round < 400; round++) {
        double sorted[60];
        for (uint32_t i = 0; i < 60; i++) {
            sorted[i] = -log(1 - drift_uniform(&random));
        }
        statistics_sort(sorted, 60);
        rate += exp(-mill__calibrated_threshold(sorted, 60, 0.001)) / 400;
    }
    printf("calibrated on 60 windows for a rate of 0.001: %.5f\n", rate);
    assert_true(rate < 0.003 && rate > 0.0001);
}

static void test_performance_rules(void **state)
{
    (void)state;
    struct mill_drift_rule rule;
    struct mill_drift_report report = {.performance = {.scored = 1000,
                                                       .labelled = 1000,
                                                       .auc = 0.7,
                                                       .log_loss = 0.9,
                                                       .brier = 0.2,
                                                       .accuracy = 0.8,
                                                       .calibration_error = 0.1,
                                                       .estimated_auc = 0.75}};

    mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
    mill__judge_performance(&rule, NAN, &report);
    assert_null(report.performance_reason);
    rule.auc_drop_max = 0.05;
    mill__judge_performance(&rule, NAN, &report);
    assert_null(report.performance_reason);
    mill__judge_performance(&rule, 0.72, &report);
    assert_null(report.performance_reason);
    mill__judge_performance(&rule, 0.76, &report);
    assert_string_equal(report.performance_reason, "auc_drop");
    assert_int_equal(report.severity, MILL_SEVERITY_MAJOR);
    report.performance_reason = NULL;
    report.performance_severity = report.severity = MILL_SEVERITY_NONE;
    report.performance.labelled = 10;
    mill__judge_performance(&rule, 0.9, &report);
    assert_string_equal(report.performance_reason, "estimated_auc_drop");
    assert_int_equal(report.severity, MILL_SEVERITY_MINOR);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_numeric),         cmocka_unit_test(test_golden_categories),
        cmocka_unit_test(test_severity_without_all_p), cmocka_unit_test(test_article_bands),
        cmocka_unit_test(test_data_quality),           cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_unseen_by_the_thousand), cmocka_unit_test(test_calibrated_threshold),
        cmocka_unit_test(test_performance_rules),
    };
    random_seed("evaluate");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
