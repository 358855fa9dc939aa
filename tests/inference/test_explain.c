/* SPDX-License-Identifier: Apache-2.0 */
/* Contributions against XGBoost's pred_contribs (golden values in data/shap, every eighth row of the case), the sum
 * rule, and paths against scores. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

enum { COLUMNS = 8, EVERY = 8 };

static void check_row(const struct mill_model *model, const char *stem, size_t row, const double *values,
                      const float *expected)
{
    const struct mill_model_info *info = mill_model_info(model);
    size_t n = (size_t)info->margin_count * (COLUMNS + 1);
    double *got = mill_malloc(n * sizeof(*got)), *margins = mill_malloc(info->margin_count * sizeof(*margins));
    struct mill_error err = {0};
    assert_int_equal(mill_model_explain(model, values, COLUMNS, got, &err), 0);
    mill_model_score_f64(model, values, 1, COLUMNS, COLUMNS, MILL_MODEL_MARGIN, margins);
    for (size_t i = 0; i < n; i++) {
        if (!(fabs(got[i] - (double)expected[i]) <= 1e-6 * fmax(1, fabs((double)expected[i])))) {
            fail_msg("%s: row %zu, contribution %zu is %.9g, expected %.9g", stem, row, i, got[i], (double)expected[i]);
        }
    }
    for (uint32_t k = 0; k < info->margin_count; k++) {
        double sum = 0;
        for (uint32_t f = 0; f <= COLUMNS; f++) {
            sum += got[k * (COLUMNS + 1) + f];
        }
        assert_true(fabs(sum - margins[k]) <= 2e-6 * fmax(1, fabs(margins[k])));
    }
    free(margins);
    free(got);
}

static void check_model(const char *stem)
{
    char name[128];
    size_t n = 0, expected_count = 0;
    snprintf(name, sizeof(name), "xgb/%s.json", stem);
    struct mill_model *model = support_load(name);
    snprintf(name, sizeof(name), "xgb/%s.in.f32", stem);
    float *rows = support_floats(name, &n);
    snprintf(name, sizeof(name), "shap/%s.contribs.f32", stem);
    float *expected = support_floats(name, &expected_count);
    size_t per_row = (size_t)mill_model_info(model)->margin_count * (COLUMNS + 1);
    assert_int_equal(expected_count, (n / COLUMNS / EVERY) * per_row);
    for (size_t row = 0; row < n / COLUMNS; row += EVERY) {
        double values[COLUMNS];
        for (size_t c = 0; c < COLUMNS; c++) {
            values[c] = (double)rows[row * COLUMNS + c];
        }
        check_row(model, stem, row, values, expected + row / EVERY * per_row);
    }
    free(expected);
    free(rows);
    mill_model_free(model);
}

static void test_contributions(void **state)
{
    static const char *const stems[] = {"reg_174",      "logistic_341", "dart_174", "rf_174",
                                        "softprob_174", "cat_part_174", "mt_341"};
    (void)state;
    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++) {
        check_model(stems[i]);
    }
}

/* The leaves at the ends of the paths are what a score sums. */
static void test_paths(void **state)
{
    (void)state;
    struct mill_model *model = support_load("lgb/lgb_zero_missing.txt");
    size_t n = 0;
    double *rows = support_doubles("lgb/lgb_zero_missing.in.f64", &n);
    for (size_t row = 0; row < n / COLUMNS; row++) {
        double sum = 0, leaf = 0, margin = 0;
        for (uint32_t t = 0; t < mill_model_info(model)->tree_count; t++) {
            struct mill_model_step steps[64];
            uint32_t count = mill_model_path(model, rows + row * COLUMNS, COLUMNS, t, steps, 64, &leaf);
            assert_true(count <= mill_model_info(model)->depth_max);
            sum += leaf;
        }
        mill_model_score_f64(model, rows + row * COLUMNS, 1, COLUMNS, COLUMNS, MILL_MODEL_MARGIN, &margin);
        assert_int_equal(support_ulps64(sum, margin), 0);
    }
    free(rows);
    mill_model_free(model);
}

static void test_without_weights(void **state)
{
    (void)state;
    struct mill_model *model = support_load("onnx/gb_regressor.onnx");
    double row[COLUMNS] = {0}, out[COLUMNS + 1];
    struct mill_error err = {0};
    assert_int_equal(mill_model_explain(model, row, COLUMNS, out, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "training rows"));
    mill_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contributions),
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_without_weights),
    };
    return cmocka_run_group_tests_name("inference/explain", tests, NULL, NULL);
}
