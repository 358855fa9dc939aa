/* SPDX-License-Identifier: Apache-2.0 */
/* The model commands as a user runs them: the conformance cases through files and pipes to the bit, every format in and
 * out, and what is said where the input is bad. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/arena.h"
#include "base/file.h"
#include "tests/cli/command.h"

enum { COLUMNS = 8 };

#define DATA MILL_TEST_DIR "/inference/data/"

static void assert_holds(struct mill_buffer *text, const char *piece)
{
    if (strstr(mill_buffer_cstr(text), piece) == NULL) {
        fail_msg("'%s' is not in\n%s", piece, mill_buffer_cstr(text));
    }
}

/* A file of raw floats or doubles, as doubles. */
static double *numbers(const char *name, size_t *ret_count)
{
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    char path[1024];
    bool wide = strstr(name, ".f64") != NULL;
    snprintf(path, sizeof(path), DATA "%s", name);
    if (mill_file_read(path, 1 << 26, &bytes, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    size_t size = wide ? sizeof(double) : sizeof(float), n = bytes.n / size;
    double *out = mill_malloc((n + 1) * sizeof(*out));
    for (size_t i = 0; i < n; i++) {
        float narrow;
        memcpy(wide ? (void *)&out[i] : (void *)&narrow, bytes.p + i * size, size);
        out[i] = wide ? out[i] : (double)narrow;
    }
    mill_buffer_clear(&bytes);
    *ret_count = n;
    return out;
}

static uint64_t ulps(double a, double b, bool wide)
{
    int64_t x, y;
    float narrow_a = (float)a, narrow_b = (float)b;
    int32_t i, j;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    if (!wide) {
        memcpy(&i, &narrow_a, sizeof(i));
        memcpy(&j, &narrow_b, sizeof(j));
        x = i;
        y = j;
    }
    return x == y || (isnan(a) && isnan(b)) ? 0 : (uint64_t)(x > y ? x - y : y - x);
}

/* How far values may be from the trainer's: in units in the last place, or relative to the larger of 1 and their size
 * (or to their size alone, where `of_size`). */
struct distance {
    uint64_t ulps;
    double relative;
    bool of_size;
};

static void compare(const char *what, size_t i, double got, double expected, bool wide, struct distance allowed)
{
    double size = allowed.of_size ? fabs(expected) : fmax(1, fabs(expected));
    if (ulps(got, expected, wide) > allowed.ulps && !(fabs(got - expected) <= allowed.relative * size)) {
        fail_msg("%s: value %zu is %.17g, expected %.17g", what, i, got, expected);
    }
}

/* Digits of a number's text without zeros at both ends. */
static int significant(const char *p, const char *end)
{
    int digits = 0, zeros = 0;
    for (; p < end && *p != 'e'; p++) {
        if (*p == '0') {
            zeros += digits > 0;
        } else if (*p >= '1' && *p <= '9') {
            digits += zeros + 1;
            zeros = 0;
        }
    }
    return digits;
}

/* The C library's answer to how many digits read back to the same bits. */
static int fewest_digits(double value, bool wide)
{
    for (int digits = 1;; digits++) {
        char text[32];
        snprintf(text, sizeof(text), "%.*e", digits - 1, value);
        if (ulps(wide ? strtod(text, NULL) : (double)strtof(text, NULL), value, wide) == 0) {
            return digits;
        }
    }
}

/* One line a row, values separated by commas, each in as few digits as read back to its bits. */
static void check_text(const char *what, struct mill_buffer *text, const double *expected, size_t rows, size_t width,
                       bool wide, struct distance allowed)
{
    char *p = (char *)(uintptr_t)mill_buffer_cstr(text);
    for (size_t i = 0; i < rows * width; i++) {
        char *end = NULL;
        double got = wide ? strtod(p, &end) : (double)strtof(p, &end);
        assert_true(end > p);
        compare(what, i, got, expected[i], wide, allowed);
        assert_int_equal(*end, i % width == width - 1 ? '\n' : ',');
        if (isfinite(got) && significant(p, end) > fewest_digits(got, wide)) {
            fail_msg("%s: '%.*s' has more digits than it needs", what, (int)(end - p), p);
        }
        p = end + 1;
    }
    assert_int_equal(*p, 0);
}

static void score(struct command *c, const char *model, const char *input, const char *output, const char *format)
{
    char model_path[1024], input_path[1024];
    snprintf(model_path, sizeof(model_path), DATA "%s", model);
    snprintf(input_path, sizeof(input_path), "%s%s", input[0] == '.' ? "" : DATA, input);
    command_run(c, "model", "score", model_path, "--input", input_path, "--output", output, "--format", format, NULL);
    if (c->status != 0) {
        fail_msg("%s: %s", model, mill_buffer_cstr(&c->err));
    }
    assert_int_equal(c->err.n, 0);
}

/* Rows as CSV, 17 digits, an empty field where missing. */
static void write_csv(const char *name, const double *rows, size_t n)
{
    struct mill_buffer text = {0};
    struct mill_error err = {0};
    for (size_t i = 0; i < n; i++) {
        if (!isnan(rows[i])) {
            mill_buffer_printf(&text, "%.17g", rows[i]);
        }
        mill_buffer_add_string(&text, i % COLUMNS == COLUMNS - 1 ? "\n" : ",");
    }
    assert_int_equal(mill_file_replace(name, mill_buffer_slice(&text), &err), 0);
    mill_buffer_clear(&text);
}

static void write_npy(const char *name, const double *rows, size_t n, bool wide)
{
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    char header[118 + 1];
    int used = snprintf(header, sizeof(header), "{'descr': '<f%d', 'fortran_order': False, 'shape': (%zu, %d), }",
                        wide ? 8 : 4, n / COLUMNS, COLUMNS);
    memset(header + used, ' ', sizeof(header) - (size_t)used);
    header[117] = '\n';
    mill_buffer_add(&bytes, "\x93NUMPY\x01\x00\x76\x00", 10);
    mill_buffer_add(&bytes, header, 118);
    for (size_t i = 0; i < n; i++) {
        float narrow = (float)rows[i];
        mill_buffer_add(&bytes, wide ? (const void *)&rows[i] : (const void *)&narrow, wide ? 8 : 4);
    }
    assert_int_equal(mill_file_replace(name, mill_buffer_slice(&bytes), &err), 0);
    mill_buffer_clear(&bytes);
}

/* A case: the raw rows, the same as CSV and NumPy, margins and predictions. */
static void check_case(struct command *c, const char *stem, const char *extension, const char *kind, const char *margin,
                       const char *prediction, struct distance margins, struct distance predictions)
{
    char model[256], input[256], expected_name[256];
    size_t n = 0, m = 0;
    bool wide_rows = strcmp(kind, "f64") == 0;
    snprintf(model, sizeof(model), "%s.%s", stem, extension);
    snprintf(input, sizeof(input), "%s.in.%s", stem, kind);
    double *rows = numbers(input, &n);
    write_csv("./rows.csv", rows, n);
    write_npy("./rows.npy", rows, n, wide_rows);
    const char *const inputs[] = {input, "./rows.csv", "./rows.npy"};
    for (int which = 0; which < 2; which++) {
        const char *of = which == 0 ? margin : prediction;
        if (of == NULL) {
            continue;
        }
        snprintf(expected_name, sizeof(expected_name), "%s.%s", stem, of);
        double *expected = numbers(expected_name, &m);
        for (int i = 0; i < (which == 0 || margin == NULL ? 3 : 1); i++) {
            score(c, model, inputs[i], which == 0 ? "margin" : "prediction", "text");
            check_text(model, &c->out, expected, n / COLUMNS, m / (n / COLUMNS), strstr(of, ".f64") != NULL,
                       which == 0 ? margins : predictions);
        }
        free(expected);
    }
    free(rows);
}

static void test_conformance(void **state)
{
    static const char *const xgb[] = {"cat_part_174", "cat_part_341", "dart_174",    "dart_341", "logistic_174",
                                      "logistic_341", "mt_341",       "reg_174",     "reg_341",  "rf_174",
                                      "rf_341",       "softprob_174", "softprob_341"};
    static const char *const lgb[] = {"lgb_binary_sig", "lgb_cat", "lgb_const", "lgb_dart",        "lgb_linear",
                                      "lgb_multi",      "lgb_reg", "lgb_rf",    "lgb_zero_missing"};
    static const char *const onnx[] = {"extra_trees_regressor", "gb_regressor",     "lgb_converted",
                                       "rf_classifier",         "scaler_gb_binary", "xgb_converted"};
    static const struct distance bits = {0, 0, false}, one = {1, 0, false}, float_near = {0, 4e-7, false},
                                 double_near = {0, 1e-14, true}, probability = {0, 1e-12, true};
    struct command c = {.status = -1};
    char stem[128];
    (void)state;
    for (size_t i = 0; i < sizeof(xgb) / sizeof(xgb[0]); i++) {
        snprintf(stem, sizeof(stem), "xgb/%s", xgb[i]);
        check_case(&c, stem, "json", "f32", "margin.f32", "pred.f32", bits, one);
        check_case(&c, stem, "ubj", "f32", "margin.f32", NULL, bits, one);
    }
    for (size_t i = 0; i < sizeof(lgb) / sizeof(lgb[0]); i++) {
        snprintf(stem, sizeof(stem), "lgb/%s", lgb[i]);
        check_case(&c, stem, "txt", "f64", "raw.f64", "pred.f64", bits, one);
    }
    check_case(&c, "catboost/cb_binary", "json", "f32", "raw.f64", "pred.f64", double_near, probability);
    check_case(&c, "catboost/cb_multiclass", "json", "f32", "raw.f64", "pred.f64", double_near, probability);
    check_case(&c, "catboost/cb_depthwise", "json", "f32", "raw.f64", NULL, double_near, probability);
    for (size_t i = 0; i < sizeof(onnx) / sizeof(onnx[0]); i++) {
        snprintf(stem, sizeof(stem), "onnx/%s", onnx[i]);
        check_case(&c, stem, "onnx", "f32", NULL, "out.f32", bits, float_near);
    }
    command_clear(&c);
}

/* NumPy and JSON say the same as text. */
static void test_formats(void **state)
{
    struct command c = {.status = -1};
    size_t n = 0;
    (void)state;
    double *expected = numbers("xgb/softprob_341.margin.f32", &n);
    score(&c, "xgb/softprob_341.json", "xgb/softprob_341.in.f32", "margin", "npy");
    assert_int_equal(c.out.n, 128 + n * sizeof(float));
    assert_memory_equal(c.out.p, "\x93NUMPY\x01\x00\x76\x00", 10);
    assert_non_null(strstr(c.out.p + 10, "{'descr': '<f4', 'fortran_order': False, 'shape': (200, 5), }"));
    for (size_t i = 0; i < n; i++) {
        float value;
        memcpy(&value, c.out.p + 128 + i * sizeof(value), sizeof(value));
        assert_int_equal(ulps((double)value, expected[i], false), 0);
    }
    score(&c, "xgb/softprob_341.json", "xgb/softprob_341.in.f32", "margin", "json");
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    assert_non_null(root);
    json_t *rows = json_object_get(root, "values");
    assert_int_equal(json_array_size(rows), 200);
    for (size_t i = 0; i < n; i++) {
        double value = json_number_value(json_array_get(json_array_get(rows, i / 5), i % 5));
        assert_int_equal(ulps(value, expected[i], false), 0);
    }
    json_decref(root);
    free(expected);
    command_clear(&c);
}

/* Columns by name in any order, others ignored, an empty field and the usual words missing. */
static void test_named_columns(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    command_write_file("a.csv", "Column_7,x,Column_1,Column_2,Column_3,Column_4,Column_5,Column_6,Column_0\r\n"
                                "1.5,9,2,3,4,,6,nan,-0.5\r\n"
                                "1.5,9,2,3,4,NA,6,null,-0.5\r\n");
    command_write_file("b.csv", "-0.5,2,3,4,,6,,1.5\n");
    score(&c, "lgb/lgb_reg.txt", "./a.csv", "margin", "text");
    struct mill_buffer named = {0};
    mill_buffer_add_slice(&named, mill_buffer_slice(&c.out));
    score(&c, "lgb/lgb_reg.txt", "./b.csv", "margin", "text");
    mill_buffer_printf(&c.out, "%s", "");
    struct mill_buffer twice = {0};
    mill_buffer_add_slice(&twice, mill_buffer_slice(&c.out));
    mill_buffer_add_slice(&twice, mill_buffer_slice(&c.out));
    assert_string_equal(mill_buffer_cstr(&named), mill_buffer_cstr(&twice));
    mill_buffer_clear(&named);
    mill_buffer_clear(&twice);
    command_clear(&c);
}

/* Rows shorter and longer than the model: features that are not there are missing, others ignored. */
static void test_short_and_long_rows(void **state)
{
    struct command c = {.status = -1};
    struct mill_buffer full = {0};
    const char *model = DATA "xgb/logistic_341.json";
    (void)state;
    command_write_file("full.csv", "0.5,1,nan,2,,,,\n");
    command_write_file("short.csv", "0.5,1,nan,2\n");
    command_write_file("long.csv", "0.5,1,nan,2,,,,,7,8\n");
    command_run(&c, "model", "score", model, "--input", "full.csv", NULL);
    assert_int_equal(c.status, 0);
    mill_buffer_add_slice(&full, mill_buffer_slice(&c.out));
    command_run(&c, "model", "score", model, "--input", "short.csv", "--columns", "4", NULL);
    assert_string_equal(mill_buffer_cstr(&c.out), mill_buffer_cstr(&full));
    command_run(&c, "model", "score", model, "--input", "long.csv", "--columns", "10", NULL);
    assert_string_equal(mill_buffer_cstr(&c.out), mill_buffer_cstr(&full));
    mill_buffer_clear(&full);
    command_clear(&c);
}

static void write_bytes(const char *name, const void *bytes, size_t n)
{
    struct mill_error err;
    assert_int_equal(mill_file_replace(name, (struct mill_slice){bytes, n}, &err), 0);
}

static void test_bad_input(void **state)
{
    static const char xgb[] = DATA "xgb/logistic_341.json", lgb[] = DATA "lgb/lgb_reg.txt";
    static const struct {
        const char *words[6];
        int status;
        const char *said;
    } cases[] = {
        {{"score", "missing.json", "--input", "row.csv"}, 66, "cannot open 'missing.json': No such file or directory"},
        {{"score", xgb, "--input", "missing.csv"}, 66, "cannot open 'missing.csv'"},
        {{"score", xgb}, 64, "'--input' is missing; hint: a .csv, .npy, .f32 or .f64 file"},
        {{"score"}, 64, "expected FILE"},
        {{"score", xgb, "--input", "rows.txt"}, 64, "'rows.txt': expected a file named .csv, .npy, .f32 or .f64"},
        {{"score", xgb, "--inptu", "row.csv"}, 64, "unknown option '--inptu'; hint: did you mean '--input'?"},
        {{"score", xgb, "--input", "row.csv", "--output", "margins"}, 64, "option '--output': expected margin or"},
        {{"score", xgb, "--input", "row.csv", "--format", "xml"}, 64, "option '--format': expected text, json or npy"},
        {{"score", xgb, "--input", "row.csv", "--columns", "0"}, 64, "option '--columns': expected a whole number"},
        {{"score", xgb, "--input", "narrow.csv"},
         65,
         "'narrow.csv': 3 columns, the model takes 8; hint: '--columns 3' if rows are meant to be shorter"},
        {{"score", xgb, "--input", "narrow.csv", "--columns", "4"}, 65, "3 columns, expected --columns 4"},
        {{"score", xgb, "--input", "ragged.csv"}, 65, "'ragged.csv': line 2 has 7 columns, expected 8"},
        {{"score", xgb, "--input", "word.csv"}, 65, "'word.csv': line 2, column 3: 'three' is not a number"},
        {{"score", xgb, "--input", "first.csv"}, 65, "'first.csv': line 1, column 3: 'three' is not a number"},
        {{"score", lgb, "--input", "names.csv"}, 65, "no column is named 'Column_7', which the model takes"},
        {{"score", lgb, "--input", "twice.csv"}, 65, "two columns are named 'Column_0'"},
        {{"score", xgb, "--input", "odd.f32"}, 65, "'odd.f32': 30 bytes are not rows of 8 float32 values"},
        {{"score", xgb, "--input", "cut.npy"}, 65, "'cut.npy': the NumPy file is cut: 1 of 2 rows"},
        {{"score", xgb, "--input", "header.npy"}, 65, "'header.npy': the header of the NumPy file is cut or too long"},
        {{"score", xgb, "--input", "order.npy"}, 65, "expected a NumPy matrix of float32 or float64 in C order"},
        {{"score", xgb, "--input", "none.npy"}, 65, "'none.npy': not a NumPy file"},
        {{"score", "row.csv", "--input", "row.csv"}, 65, "model 'row.csv': not a model; expected XGBoost JSON or"},
        {{"inspect", "cut.json"}, 65, "model 'cut.json': xgboost json: "},
        {{"inspect", "empty.json"}, 65, "model 'empty.json': the file is empty"},
        {{"inspect", xgb, "more"}, 64, "unexpected argument 'more'"},
        {{"explain", xgb, "--input", "row.csv", "--row", "1"}, 64, "'--row 1': 'row.csv' has 1 rows"},
        {{"explain", DATA "onnx/gb_regressor.onnx", "--input", "row.csv"}, 65, "how many training rows"},
        {{"bench", xgb, "--batch", "0"}, 64, "'--batch 0': expected numbers from 1 to 4096"},
        {{"bench", xgb, "--batch", "1,x"}, 64, "'--batch 1,x': expected numbers from 1 to 4096"},
        {{"compile", xgb, "--emit", "rust"}, 64, "option '--emit': expected c, found 'rust'"},
        {{"compile", xgb, "--name", "my-model"}, 64, "'my-model' is not a name in C"},
        {{"compile", xgb, "-o", "row.csv/under"}, 74, "row.csv"},
        {{"scoer", xgb}, 64, "unknown subcommand 'model scoer'; hint: did you mean 'model score'?"},
    };
    struct command c = {.status = -1};
    struct mill_buffer model = {0};
    struct mill_error err = {0};
    (void)state;
    double rows[16] = {1, 2, 3};
    command_write_file("row.csv", "1,2,3,4,5,6,7,8\n");
    command_write_file("rows.txt", "1\n");
    command_write_file("narrow.csv", "1,2,3\n");
    command_write_file("ragged.csv", "1,2,3,4,5,6,7,8\n1,2,3,4,5,6,7\n");
    command_write_file("word.csv", "1,2,3,4,5,6,7,8\n1,2,three,4,5,6,7,8\n");
    command_write_file("first.csv", "1,2,three,4,5,6,7,8\n");
    command_write_file("names.csv",
                       "Column_0,Column_1,Column_2,Column_3,Column_4,Column_5,Column_6,c\n1,2,3,4,5,6,7,8\n");
    command_write_file("twice.csv", "Column_0,Column_0\n1,2\n");
    write_bytes("odd.f32", rows, 30);
    write_npy("full.npy", rows, 16, true);
    assert_int_equal(mill_file_read("full.npy", 4096, &model, &err), 0);
    write_bytes("cut.npy", model.p, model.n - 64);
    write_bytes("header.npy", model.p, 40);
    write_bytes("none.npy", "PK\003\004 something else", 16);
    char *order = strstr(model.p + 10, "False");
    memcpy(order, "True ", 5);
    write_bytes("order.npy", model.p, model.n);
    mill_buffer_reset(&model);
    assert_int_equal(mill_file_read(xgb, 1 << 24, &model, &err), 0);
    write_bytes("cut.json", model.p, model.n / 2);
    write_bytes("empty.json", "", 0);
    mill_buffer_clear(&model);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const *w = cases[i].words;
        command_run(&c, "model", w[0], w[1], w[2], w[3], w[4], w[5], NULL);
        if (c.status != cases[i].status) {
            fail_msg("case %zu (%s): exit status %d, expected %d\n%s", i, cases[i].said, c.status, cases[i].status,
                     mill_buffer_cstr(&c.err));
        }
        assert_holds(&c.err, cases[i].said);
        assert_int_equal(c.out.n, 0);
    }
    command_clear(&c);
}

static void test_inspect(void **state)
{
    struct command c = {.status = -1};
    const char *model = DATA "lgb/lgb_zero_missing.txt";
    (void)state;
    command_run(&c, "model", "inspect", model, NULL);
    assert_int_equal(c.status, 0);
    static const char *const pieces[] = {
        "format      lightgbm", "sha256      ", "objective   ",        "trees       ",
        "features    8",        "Column_0",     "outputs     ",        "missing     goes left in",
        "zeros are missing",    "memory      ", "kernels     1 row: ", " ns alone, "};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        assert_holds(&c.out, pieces[i]);
    }
    command_run(&c, "model", "inspect", model, "--format", "json", NULL);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(root, "format")), "lightgbm");
    assert_int_equal(json_integer_value(json_object_get(root, "features")), 8);
    assert_int_equal(json_array_size(json_object_get(root, "feature_names")), 8);
    assert_true(json_integer_value(json_object_get(root, "memory_bytes")) > 1000);
    assert_true(json_array_size(json_object_get(root, "measured")) > 0);
    json_decref(root);
    command_clear(&c);
}

static void test_bench(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    command_run(&c, "model", "bench", DATA "xgb/logistic_341.json", "--batch", "1,32", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    assert_int_equal(json_array_size(root), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(root, 1), "batch")), 32);
    assert_true(json_number_value(json_object_get(json_array_get(root, 0), "call_us")) > 0);
    assert_non_null(json_string_value(json_object_get(json_array_get(root, 0), "kernel")));
    json_decref(root);
    command_run(&c, "model", "bench", DATA "xgb/logistic_341.json", "--batch", "1", NULL);
    assert_holds(&c.out, " us a call ");
    command_clear(&c);
}

/* Contributions add up to the margin that score prints, leaves of the paths as well. */
static void test_explain(void **state)
{
    struct command c = {.status = -1};
    const char *model = DATA "xgb/reg_174.json";
    double sum = 0, margin = 0, leaves = 0.5;
    (void)state;
    command_write_file("row.csv", "0.5,1,nan,2,-1,0,3,\n");
    command_run(&c, "model", "score", model, "--input", "row.csv", "--output", "margin", NULL);
    margin = strtod(mill_buffer_cstr(&c.out), NULL);
    command_run(&c, "model", "explain", model, "--input", "row.csv", "--paths", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL), *value = NULL, *path = NULL;
    json_t *first = json_array_get(json_object_get(root, "margins"), 0);
    const char *name = NULL;
    size_t i = 0;
    sum = json_number_value(json_object_get(first, "bias"));
    assert_int_equal(json_object_size(json_object_get(first, "contributions")), 8);
    json_object_foreach(json_object_get(first, "contributions"), name, value)
    {
        sum += json_number_value(value);
    }
    assert_true(fabs(sum - margin) <= 1e-6 * fmax(1, fabs(margin)));
    json_array_foreach(json_object_get(root, "paths"), i, path)
    {
        leaves += json_number_value(json_object_get(path, "leaf"));
        assert_true(json_array_size(json_object_get(path, "steps")) > 0);
    }
    assert_true(i > 0 && fabs(leaves - margin) <= 1e-5 * fmax(1, fabs(margin)));
    json_decref(root);
    command_run(&c, "model", "explain", model, "--input", "row.csv", "--paths", NULL);
    assert_holds(&c.out, "  margin\n");
    assert_holds(&c.out, "  bias\n");
    assert_holds(&c.out, "f0 = 0.5\n");
    assert_holds(&c.out, "tree 0: leaf ");
    assert_holds(&c.out, ": left of <= ");
    command_clear(&c);
}

/* What compile writes is compiled, with all warnings as errors, and linked into a program that says the same. */
static void test_compile(void **state)
{
    struct command c = {.status = -1};
    char expected[64];
    (void)state;
    if (system("cc --version >/dev/null 2>&1") != 0) {
        skip();
    }
    command_write_file("row.csv", "0.5,1,nan,2,-1,0,3,\n");
    command_run(&c, "model", "score", DATA "xgb/logistic_341.json", "--input", "row.csv", NULL);
    snprintf(expected, sizeof(expected), "%s", mill_buffer_cstr(&c.out));
    command_run(&c, "model", "compile", DATA "xgb/logistic_341.json", "--emit", "c", "-o", "made/here", "--name",
                "churn", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "made/here/churn.c: ");
    command_write_file("main.c",
                       "#include <math.h>\n#include <stdio.h>\n#include \"churn.h\"\nint main(void)\n{\n"
                       "    float row[churn_FEATURES] = {0.5f, 1, 0, 2, -1, 0, 3, 0}, out[churn_PREDICTIONS];\n"
                       "    row[2] = row[7] = NAN;\n    churn_predict(row, out);\n"
                       "    printf(\"%.9g\\n\", (double)out[0]);\n    return 0;\n}\n");
    assert_int_equal(system("cc -std=c99 -pedantic -Wall -Wextra -Werror -ffp-contract=off -Imade/here main.c "
                            "made/here/churn.c -lm -o main && ./main >out.txt"),
                     0);
    struct mill_buffer said = {0};
    struct mill_error err = {0};
    assert_int_equal(mill_file_read("out.txt", 4096, &said, &err), 0);
    assert_int_equal(ulps((double)strtof(mill_buffer_cstr(&said), NULL), (double)strtof(expected, NULL), false), 0);
    mill_buffer_clear(&said);
    command_clear(&c);
}

static void test_help(void **state)
{
    static const char *const subcommands[] = {"inspect", "score", "bench", "explain", "compile"};
    struct command c = {.status = -1};
    char usage[64];
    (void)state;
    command_run(&c, "model", "--help", NULL);
    assert_int_equal(c.status, 0);
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        assert_holds(&c.out, subcommands[i]);
    }
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++) {
        command_run(&c, "model", subcommands[i], "--help", NULL);
        assert_int_equal(c.status, 0);
        snprintf(usage, sizeof(usage), "usage: tidemill model %s", subcommands[i]);
        assert_holds(&c.out, usage);
    }
    command_run(&c, "model", NULL);
    assert_int_equal(c.status, 64);
    command_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),      cmocka_unit_test(test_conformance),
        cmocka_unit_test(test_formats),   cmocka_unit_test(test_named_columns),
        cmocka_unit_test(test_bad_input), cmocka_unit_test(test_short_and_long_rows),
        cmocka_unit_test(test_inspect),   cmocka_unit_test(test_bench),
        cmocka_unit_test(test_explain),   cmocka_unit_test(test_compile),
    };
    return cmocka_run_group_tests_name("cli/model", tests, command_set_up, command_tear_down);
}
