/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM, CatBoost and ONNX models against the outputs of their own libraries: LightGBM's raw scores to the bit,
 * CatBoost's to 1e-14 of their size, ONNX within 4e-7 of onnxruntime with the same labels. */
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

static const size_t batches[] = {1, 8, 13, 64, 300};

static double *score(const struct mill_model *model, const float *f32, const double *f64, size_t row_count,
                     size_t batch, enum mill_model_output output, size_t width)
{
    double *out = mill_malloc(row_count * width * sizeof(double));
    double *wide = mill_malloc(row_count * COLUMNS * sizeof(double));
    for (size_t i = 0; i < row_count * COLUMNS; i++) {
        wide[i] = f64 != NULL ? f64[i] : (double)f32[i];
    }
    for (size_t first = 0; first < row_count; first += batch) {
        size_t n = row_count - first < batch ? row_count - first : batch;
        mill_model_score_f64(model, wide + first * COLUMNS, n, COLUMNS, COLUMNS, output, out + first * width);
    }
    free(wide);
    return out;
}

static void check_lightgbm(const char *stem)
{
    char name[128];
    size_t values = 0, raws = 0, predictions = 0;
    snprintf(name, sizeof(name), "lgb/%s.txt", stem);
    struct mill_model *model = support_load(name);
    const struct mill_model_info *info = mill_model_info(model);
    snprintf(name, sizeof(name), "lgb/%s.in.f64", stem);
    double *rows = support_doubles(name, &values);
    snprintf(name, sizeof(name), "lgb/%s.raw.f64", stem);
    double *raw = support_doubles(name, &raws);
    snprintf(name, sizeof(name), "lgb/%s.pred.f64", stem);
    double *prediction = support_doubles(name, &predictions);
    size_t row_count = values / COLUMNS;
    assert_int_equal(raws, row_count * info->margin_count);
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        double *got = score(model, NULL, rows, row_count, batches[b], MILL_MODEL_MARGIN, info->margin_count);
        for (size_t i = 0; i < raws; i++) {
            if (support_ulps64(got[i], raw[i]) != 0) {
                fail_msg("%s: raw score %zu is %.17g, expected %.17g", stem, i, got[i], raw[i]);
            }
        }
        free(got);
    }
    double *got = score(model, NULL, rows, row_count, 64, MILL_MODEL_PREDICTION, info->output_count);
    for (size_t i = 0; i < predictions; i++) {
        if (support_ulps64(got[i], prediction[i]) > 1) {
            fail_msg("%s: prediction %zu is %.17g, expected %.17g", stem, i, got[i], prediction[i]);
        }
    }
    free(got);
    free(prediction);
    free(raw);
    free(rows);
    mill_model_free(model);
}

static void test_lightgbm(void **state)
{
    static const char *const stems[] = {"lgb_binary_sig", "lgb_cat", "lgb_const", "lgb_dart",        "lgb_linear",
                                        "lgb_multi",      "lgb_reg", "lgb_rf",    "lgb_zero_missing"};
    (void)state;
    for (size_t i = 0; i < sizeof(stems) / sizeof(stems[0]); i++) {
        check_lightgbm(stems[i]);
    }
}

static void expect_near(const char *name, const char *what, const double *got, const double *expected, size_t n,
                        double relative, double least)
{
    for (size_t i = 0; i < n; i++) {
        double allowed = relative * fmax(fabs(expected[i]), least);
        if (!(fabs(got[i] - expected[i]) <= allowed)) {
            fail_msg("%s: %s %zu is %.17g, expected %.17g", name, what, i, got[i], expected[i]);
        }
    }
}

static void check_catboost(const char *stem, bool has_predictions)
{
    char name[128];
    size_t values = 0, raws = 0, predictions = 0;
    snprintf(name, sizeof(name), "catboost/%s.json", stem);
    struct mill_model *model = support_load(name);
    const struct mill_model_info *info = mill_model_info(model);
    snprintf(name, sizeof(name), "catboost/%s.in.f32", stem);
    float *rows = support_floats(name, &values);
    snprintf(name, sizeof(name), "catboost/%s.raw.f64", stem);
    double *raw = support_doubles(name, &raws);
    size_t row_count = values / COLUMNS;
    assert_int_equal(raws, row_count * info->margin_count);
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        double *got = score(model, rows, NULL, row_count, batches[b], MILL_MODEL_MARGIN, info->margin_count);
        expect_near(stem, "raw value", got, raw, raws, 1e-14, 0);
        free(got);
    }
    if (has_predictions) {
        snprintf(name, sizeof(name), "catboost/%s.pred.f64", stem);
        double *prediction = support_doubles(name, &predictions);
        assert_int_equal(predictions, row_count * info->output_count);
        double *got = score(model, rows, NULL, row_count, 64, MILL_MODEL_PREDICTION, info->output_count);
        expect_near(stem, "probability", got, prediction, predictions, 1e-12, 0);
        free(got);
        free(prediction);
    }
    free(raw);
    free(rows);
    mill_model_free(model);
}

static void test_catboost(void **state)
{
    (void)state;
    check_catboost("cb_binary", true);
    check_catboost("cb_multiclass", true);
    check_catboost("cb_depthwise", false);
}

static void check_labels(const struct mill_model *model, const char *stem, const float *rows, size_t row_count)
{
    char name[128];
    size_t n = 0;
    snprintf(name, sizeof(name), "onnx/%s.label.i64", stem);
    int64_t *expected = (int64_t *)(void *)support_doubles(name, &n);
    int64_t *got = mill_malloc(row_count * sizeof(*got));
    assert_int_equal(n, row_count);
    mill_model_classify_f32(model, rows, row_count, COLUMNS, COLUMNS, got);
    for (size_t i = 0; i < n; i++) {
        if (got[i] != expected[i]) {
            fail_msg("%s: label %zu is %lld, expected %lld", stem, i, (long long)got[i], (long long)expected[i]);
        }
    }
    free(got);
    free(expected);
}

static void check_onnx(const char *stem, bool has_labels)
{
    char name[128];
    size_t values = 0, outs = 0;
    snprintf(name, sizeof(name), "onnx/%s.onnx", stem);
    struct mill_model *model = support_load(name);
    const struct mill_model_info *info = mill_model_info(model);
    snprintf(name, sizeof(name), "onnx/%s.in.f32", stem);
    float *rows = support_floats(name, &values);
    snprintf(name, sizeof(name), "onnx/%s.out.f32", stem);
    float *out = support_floats(name, &outs);
    size_t row_count = values / COLUMNS;
    assert_int_equal(outs, row_count * info->output_count);
    double *expected = mill_malloc(outs * sizeof(double));
    for (size_t i = 0; i < outs; i++) {
        expected[i] = (double)out[i];
    }
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        double *got = score(model, rows, NULL, row_count, batches[b], MILL_MODEL_PREDICTION, info->output_count);
        expect_near(stem, "output", got, expected, outs, 4e-7, 1);
        free(got);
    }
    if (has_labels) {
        check_labels(model, stem, rows, row_count);
    }
    free(expected);
    free(out);
    free(rows);
    mill_model_free(model);
}

static void test_onnx(void **state)
{
    (void)state;
    check_onnx("extra_trees_regressor", false);
    check_onnx("gb_regressor", false);
    check_onnx("lgb_converted", true);
    check_onnx("rf_classifier", true);
    check_onnx("scaler_gb_binary", true);
    check_onnx("xgb_converted", true);
}

static void test_every_kernel(void **state)
{
    for (size_t k = 0; support_kernels[k] != NULL; k++) {
        setenv("MILL_KERNEL", support_kernels[k], 1);
        test_lightgbm(state);
        test_catboost(state);
        test_onnx(state);
    }
    unsetenv("MILL_KERNEL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lightgbm),
        cmocka_unit_test(test_catboost),
        cmocka_unit_test(test_onnx),
        cmocka_unit_test(test_every_kernel),
    };
    return cmocka_run_group_tests_name("inference/trainers", tests, NULL, NULL);
}
