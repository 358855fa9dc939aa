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
             "cc -std=c99 -O1 -Wall -Wextra -Wpedantic -Werror -ffp-contract=off -shared -fPIC -o %s/%s.so %s/%s.c -lm",
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

static void check(const char *stem, const char *file, const char *rows_file)
{
    struct mill_model *model = support_load(file);
    const struct mill_model_info *info = mill_model_info(model);
    size_t n = 0;
    bool wide_cells = info->format == MILL_MODEL_LIGHTGBM,
         wide_sums = wide_cells || info->format == MILL_MODEL_CATBOOST;
    double *rows64 = wide_cells ? support_doubles(rows_file, &n) : NULL;
    float *rows32 = wide_cells ? NULL : support_floats(rows_file, &n);
    write_source(model, stem);
    void *library = compile(stem), *margin = function(library, stem, "margin");
    void *predict = function(library, stem, "predict");
    for (size_t r = 0; r < n / COLUMNS; r++) {
        double row[COLUMNS], got[OUT_MAX] = {0}, expected[OUT_MAX] = {0};
        for (size_t c = 0; c < COLUMNS; c++) {
            row[c] = wide_cells ? rows64[r * COLUMNS + c] : (double)rows32[r * COLUMNS + c];
        }
        call(margin, wide_cells, wide_sums, row, got, info->margin_count);
        mill_model_score_f64(model, row, 1, COLUMNS, COLUMNS, MILL_MODEL_MARGIN, expected);
        assert_memory_equal(got, expected, info->margin_count * sizeof(double));
        call(predict, wide_cells, wide_sums, row, got, info->output_count);
        mill_model_score_f64(model, row, 1, COLUMNS, COLUMNS, MILL_MODEL_PREDICTION, expected);
        assert_memory_equal(got, expected, info->output_count * sizeof(double));
    }
    dlclose(library);
    free(rows64);
    free(rows32);
    mill_model_free(model);
}

static void test_emitted(void **state)
{
    (void)state;
    check("logistic_341", "xgb/logistic_341.json", "xgb/logistic_341.in.f32");
    check("softprob_174", "xgb/softprob_174.json", "xgb/softprob_174.in.f32");
    check("cat_part_341", "xgb/cat_part_341.json", "xgb/cat_part_341.in.f32");
    check("mt_341", "xgb/mt_341.json", "xgb/mt_341.in.f32");
    check("dart_174", "xgb/dart_174.json", "xgb/dart_174.in.f32");
    check("lgb_zero_missing", "lgb/lgb_zero_missing.txt", "lgb/lgb_zero_missing.in.f64");
    check("lgb_cat", "lgb/lgb_cat.txt", "lgb/lgb_cat.in.f64");
    check("lgb_rf", "lgb/lgb_rf.txt", "lgb/lgb_rf.in.f64");
    check("lgb_multi", "lgb/lgb_multi.txt", "lgb/lgb_multi.in.f64");
    check("cb_binary", "catboost/cb_binary.json", "catboost/cb_binary.in.f32");
    check("xgb_converted", "onnx/xgb_converted.onnx", "onnx/xgb_converted.in.f32");
}

static void test_refused(void **state)
{
    struct mill_model *model = support_load("lgb/lgb_linear.txt");
    struct mill_buffer source = {0}, header = {0};
    struct mill_error err = {0};
    (void)state;
    assert_int_equal(mill_model_emit_c(model, "m", &source, &header, &err), MILL_EDATA);
    assert_string_equal(err.msg, "linear leaves cannot be written as C");
    assert_int_equal(mill_model_emit_c(model, "no-name", &source, &header, &err), MILL_EUSAGE);
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
        cmocka_unit_test(test_refused),
    };
    if (system("cc --version >/dev/null 2>&1") != 0) {
        puts("skipped: no C compiler");
        return 77;
    }
    return cmocka_run_group_tests_name("inference/emit_c", tests, make_directory, remove_directory);
}
