/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost models against the trainer's own margins and predictions: the margins to the bit, for every batch size and
 * both number types. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

enum { COLUMNS = 8 };

static const char *const cases[] = {"cat_part_174", "cat_part_341", "dart_174",    "dart_341", "logistic_174",
                                    "logistic_341", "mt_341",       "reg_174",     "reg_341",  "rf_174",
                                    "rf_341",       "softprob_174", "softprob_341"};

/* Scores in batches of the given size; out has room for all. */
static void score_in_batches(const struct mill_model *model, const float *rows, size_t row_count, size_t batch,
                             enum mill_model_output output, size_t width, float *out)
{
    for (size_t first = 0; first < row_count; first += batch) {
        size_t n = row_count - first < batch ? row_count - first : batch;
        mill_model_score_f32(model, rows + first * COLUMNS, n, COLUMNS, COLUMNS, output, out + first * width);
    }
}

static uint64_t largest_distance(const float *a, const float *b, size_t n)
{
    uint64_t worst = 0;
    for (size_t i = 0; i < n; i++) {
        uint64_t d = support_ulps32(a[i], b[i]);
        worst = d > worst ? d : worst;
    }
    return worst;
}

static void check_file(const char *stem, const char *extension)
{
    char name[128];
    size_t value_count = 0, margin_count = 0, prediction_count = 0;
    snprintf(name, sizeof(name), "xgb/%s.%s", stem, extension);
    struct mill_model *model = support_load(name);
    const struct mill_model_info *info = mill_model_info(model);
    snprintf(name, sizeof(name), "xgb/%s.in.f32", stem);
    float *rows = support_floats(name, &value_count);
    snprintf(name, sizeof(name), "xgb/%s.margin.f32", stem);
    float *margins = support_floats(name, &margin_count);
    snprintf(name, sizeof(name), "xgb/%s.pred.f32", stem);
    float *predictions = support_floats(name, &prediction_count);
    size_t row_count = value_count / COLUMNS;
    assert_int_equal(margin_count, row_count * info->margin_count);
    assert_int_equal(prediction_count, row_count * info->output_count);
    assert_int_equal(info->feature_count, COLUMNS);
    float *out = mill_malloc((margin_count + prediction_count) * sizeof(float));
    static const size_t batches[] = {1, 2, 7, 8, 9, 63, 64, 65, 200};
    for (size_t i = 0; i < sizeof(batches) / sizeof(batches[0]); i++) {
        memset(out, 0xaa, margin_count * sizeof(float));
        score_in_batches(model, rows, row_count, batches[i], MILL_MODEL_MARGIN, info->margin_count, out);
        if (memcmp(out, margins, margin_count * sizeof(float)) != 0) {
            fail_msg("%s.%s: margins differ in batches of %zu, by up to %llu ulps", stem, extension, batches[i],
                     (unsigned long long)largest_distance(out, margins, margin_count));
        }
    }
    score_in_batches(model, rows, row_count, 64, MILL_MODEL_PREDICTION, info->output_count, out);
    if (largest_distance(out, predictions, prediction_count) > 1) {
        fail_msg("%s.%s: predictions differ by %llu ulps", stem, extension,
                 (unsigned long long)largest_distance(out, predictions, prediction_count));
    }
    double *wide = mill_malloc(value_count * sizeof(double));
    double *wide_out = mill_malloc(margin_count * sizeof(double));
    for (size_t i = 0; i < value_count; i++) {
        wide[i] = (double)rows[i];
    }
    mill_model_score_f64(model, wide, row_count, COLUMNS, COLUMNS, MILL_MODEL_MARGIN, wide_out);
    for (size_t i = 0; i < margin_count; i++) {
        assert_int_equal(support_ulps32((float)wide_out[i], margins[i]), 0);
    }
    free(wide_out);
    free(wide);
    free(out);
    free(predictions);
    free(margins);
    free(rows);
    mill_model_free(model);
}

static void check_all(const char *extension)
{
    for (size_t k = 0; support_kernels[k] != NULL; k++) {
        setenv("MILL_KERNEL", support_kernels[k], 1);
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            check_file(cases[i], extension);
        }
    }
}

static void test_json(void **state)
{
    (void)state;
    check_all("json");
}

static void test_ubjson(void **state)
{
    (void)state;
    check_all("ubj");
}

/* A row shorter than the model is wide: what is not there is missing. */
static void test_short_rows(void **state)
{
    (void)state;
    struct mill_model *model = support_load("xgb/logistic_341.json");
    size_t n = 0;
    float *rows = support_floats("xgb/logistic_341.in.f32", &n);
    for (size_t row = 0; row < n / COLUMNS; row++) {
        for (size_t width = 0; width <= COLUMNS; width++) {
            float full[COLUMNS], expected = 0, got = 0;
            for (size_t c = 0; c < COLUMNS; c++) {
                full[c] = c < width ? rows[row * COLUMNS + c] : NAN;
            }
            mill_model_score_f32(model, full, 1, COLUMNS, COLUMNS, MILL_MODEL_MARGIN, &expected);
            float *cut = mill_malloc(width * sizeof(float) + 1);
            memcpy(cut, full, width * sizeof(float));
            mill_model_score_f32(model, cut, 1, width, width, MILL_MODEL_MARGIN, &got);
            free(cut);
            assert_int_equal(support_ulps32(expected, got), 0);
        }
    }
    free(rows);
    mill_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_ubjson),
        cmocka_unit_test(test_short_rows),
    };
    return cmocka_run_group_tests_name("inference/xgboost", tests, NULL, NULL);
}
