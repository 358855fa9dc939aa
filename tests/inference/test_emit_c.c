/* SPDX-License-Identifier: Apache-2.0 */
/* Emitted C, compiled by the system's compiler with all warnings as errors, against the model it came from: margins and
 * predictions to the bit. Skipped where there is no compiler. */
#include <dlfcn.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/file.h"
#include "support.h"

enum { COLUMNS = 8, OUT_MAX = 16 };

static char directory[] = "/tmp/mill-emit-XXXXXX";

static void *compile(const char *stem)
{
    char command[1024], path[256];
    snprintf(command, sizeof(command),
             "cc -std=c99 -O0 -pedantic -Wall -Wextra -Werror -ffp-contract=off -shared -fPIC -o %s/%s.so %s/%s.c -lm",
             directory, stem, directory, stem);
    if (system(command) != 0) {
        fail_msg("the emitted %s.c does not compile", stem);
    }
    snprintf(path, sizeof(path), "%s/%s.so", directory, stem);
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    assert_non_null(library);
    return library;
}

static void write_source(const struct mill_model *model, const char *stem)
{
    struct mill_buffer source = {0}, header = {0};
    struct mill_error err = {0};
    char path[256];
    if (mill_model_emit_c(model, stem, &source, &header, &err) < 0) {
        fail_msg("%s: %s", stem, err.msg);
    }
    snprintf(path, sizeof(path), "%s/%s.c", directory, stem);
    assert_int_equal(mill_file_replace(path, mill_buffer_slice(&source), &err), 0);
    snprintf(path, sizeof(path), "%s/%s.h", directory, stem);
    assert_int_equal(mill_file_replace(path, mill_buffer_slice(&header), &err), 0);
    mill_buffer_clear(&source);
    mill_buffer_clear(&header);
}

static void *function(void *library, const char *stem, const char *what)
{
    char name[128];
    snprintf(name, sizeof(name), "%s_%s", stem, what);
    void *f = dlsym(library, name);
    assert_non_null(f);
    return f;
}

typedef void float_fn(const float *, float *);
typedef void double_fn(const double *, double *);
typedef void mixed_fn(const float *, double *);

static void expect_bits(const char *stem, const char *what, size_t row, const double *got, const double *expected,
                        uint32_t n)
{
    for (uint32_t k = 0; k < n; k++) {
        if (support_ulps64(got[k], expected[k]) != 0) {
            fail_msg("%s: row %zu, %s %u is %.17g, expected %.17g", stem, row, what, k, got[k], expected[k]);
        }
    }
}

/* Runs the function of the given types; out always as double. */
static void call(void *f, bool wide_cells, bool wide_sums, const double *row, double *out, uint32_t n)
{
    float narrow[COLUMNS], sums[OUT_MAX] = {0};
    for (int c = 0; c < COLUMNS; c++) {
        narrow[c] = (float)row[c];
    }
    if (wide_cells) {
        double_fn *call_it;
        memcpy(&call_it, &f, sizeof(f));
        call_it(row, out);
    } else if (wide_sums) {
        mixed_fn *call_it;
        memcpy(&call_it, &f, sizeof(f));
        call_it(narrow, out);
    } else {
        float_fn *call_it;
        memcpy(&call_it, &f, sizeof(f));
        call_it(narrow, sums);
        for (uint32_t k = 0; k < n; k++) {
            out[k] = (double)sums[k];
        }
    }
}

/* The emitted functions give the bits of the model for every row. */
static void compare(const struct mill_model *model, const char *stem, const double *rows, size_t row_count,
                    size_t columns)
{
    const struct mill_model_info *info = mill_model_info(model);
    bool wide_cells = info->format == MILL_MODEL_LIGHTGBM,
         wide_sums = wide_cells || info->format == MILL_MODEL_CATBOOST;
    write_source(model, stem);
    void *library = compile(stem), *margin = function(library, stem, "margin");
    void *predict = function(library, stem, "predict");
    assert_true(columns <= COLUMNS && info->margin_count <= OUT_MAX && info->output_count <= OUT_MAX);
    for (size_t r = 0; r < row_count; r++) {
        double row[COLUMNS] = {0}, got[OUT_MAX] = {0}, expected[OUT_MAX] = {0};
        memcpy(row, rows + r * columns, columns * sizeof(*row));
        call(margin, wide_cells, wide_sums, row, got, info->margin_count);
        mill_model_score_f64(model, row, 1, columns, columns, MILL_MODEL_MARGIN, expected);
        expect_bits(stem, "margin", r, got, expected, info->margin_count);
        call(predict, wide_cells, wide_sums, row, got, info->output_count);
        mill_model_score_f64(model, row, 1, columns, columns, MILL_MODEL_PREDICTION, expected);
        expect_bits(stem, "prediction", r, got, expected, info->output_count);
    }
    dlclose(library);
}

static void check(const char *stem, const char *file, const char *rows_file)
{
    struct mill_model *model = support_load(file);
    size_t n = 0;
    bool wide = strstr(rows_file, ".f64") != NULL;
    double *rows64 = wide ? support_doubles(rows_file, &n) : NULL;
    float *rows32 = wide ? NULL : support_floats(rows_file, &n);
    double *rows = mill_malloc((n + 1) * sizeof(*rows));
    for (size_t i = 0; i < n; i++) {
        rows[i] = wide ? rows64[i] : (double)rows32[i];
    }
    compare(model, stem, rows, n / COLUMNS, COLUMNS);
    free(rows);
    free(rows64);
    free(rows32);
    mill_model_free(model);
}

static void check_case(struct support_case *c)
{
    char stem[96];
    snprintf(stem, sizeof(stem), "%s", c->name);
    *strrchr(stem, '.') = 0;
    compare(c->model, stem, c->rows, c->row_count, c->columns);
}

static void test_cases(void **state)
{
    (void)state;
    setenv("MILL_KERNEL", "portable", 1);
    assert_true(support_each_case(check_case) > 60);
    unsetenv("MILL_KERNEL");
}

/* All models of the conformance suite. */
static void test_emitted(void **state)
{
    static const char *const xgb[] = {"cat_part_174", "cat_part_341", "dart_174",    "dart_341", "logistic_174",
                                      "logistic_341", "mt_341",       "reg_174",     "reg_341",  "rf_174",
                                      "rf_341",       "softprob_174", "softprob_341"};
    static const char *const lgb[] = {"lgb_binary_sig", "lgb_cat", "lgb_const", "lgb_dart",        "lgb_linear",
                                      "lgb_multi",      "lgb_reg", "lgb_rf",    "lgb_zero_missing"};
    static const char *const cat[] = {"cb_binary", "cb_multiclass", "cb_depthwise"};
    static const char *const onnx[] = {"extra_trees_regressor", "gb_regressor",     "lgb_converted",
                                       "rf_classifier",         "scaler_gb_binary", "xgb_converted"};
    static const struct {
        const char *directory, *extension, *rows;
        const char *const *stems;
        size_t n;
    } kinds[] = {{"xgb", "json", "f32", xgb, sizeof(xgb) / sizeof(xgb[0])},
                 {"lgb", "txt", "f64", lgb, sizeof(lgb) / sizeof(lgb[0])},
                 {"catboost", "json", "f32", cat, sizeof(cat) / sizeof(cat[0])},
                 {"onnx", "onnx", "f32", onnx, sizeof(onnx) / sizeof(onnx[0])}};
    (void)state;
    for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
        for (size_t i = 0; i < kinds[k].n; i++) {
            char file[128], rows[128];
            snprintf(file, sizeof(file), "%s/%s.%s", kinds[k].directory, kinds[k].stems[i], kinds[k].extension);
            snprintf(rows, sizeof(rows), "%s/%s.in.%s", kinds[k].directory, kinds[k].stems[i], kinds[k].rows);
            check(kinds[k].stems[i], file, rows);
        }
    }
}

static void test_refused(void **state)
{
    struct mill_model *model = support_load("lgb/lgb_linear.txt");
    struct mill_buffer source = {0}, header = {0};
    struct mill_error err = {0};
    (void)state;
    assert_int_equal(mill_model_emit_c(model, "no-name", &source, &header, &err), MILL_EUSAGE);
    assert_int_equal(mill_model_emit_c(model, "", &source, &header, &err), MILL_EUSAGE);
    assert_int_equal(source.n + header.n, 0);
    mill_model_free(model);
}

/* What a file calls its objective cannot end the comment it stands in. */
static void test_comment(void **state)
{
    static const char text[] =
        "{\"model_info\":{\"params\":{\"loss_function\":{\"type\":\"*/ int evil; /*\"}}},"
        "\"features_info\":{\"float_features\":[{\"feature_index\":0,\"flat_feature_index\":0}]},"
        "\"oblivious_trees\":[{\"splits\":[],\"leaf_values\":[1]}]}";
    struct mill_model *model = NULL;
    struct mill_buffer source = {0}, header = {0};
    struct mill_error err = {0};
    (void)state;
    assert_int_equal(mill_model_load_bytes(mill_slice_of(text), "m", &model, &err), 0);
    assert_int_equal(mill_model_emit_c(model, "m", &source, &header, &err), 0);
    assert_null(strstr(mill_buffer_cstr(&header), "evil;"));
    assert_non_null(strstr(mill_buffer_cstr(&header), "___int_evil____"));
    mill_buffer_clear(&source);
    mill_buffer_clear(&header);
    mill_model_free(model);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) == NULL;
}

static int remove_directory(void **state)
{
    char command[256];
    (void)state;
    snprintf(command, sizeof(command), "rm -r %s", directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_emitted),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_comment),
        cmocka_unit_test(test_refused),
    };
    if (system("cc --version >/dev/null 2>&1") != 0) {
        puts("skipped: no C compiler");
        return 77;
    }
    return cmocka_run_group_tests_name("inference/emit_c", tests, make_directory, remove_directory);
}
