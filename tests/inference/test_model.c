/* SPDX-License-Identifier: Apache-2.0 */
/* Loading and its errors, binding to a feature service, batches of columns, many threads on one model. */
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

enum { COLUMNS = 8 };

static void expect_error(const char *text, size_t n, const char *part)
{
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    struct mill_slice bytes = {text, n};
    assert_int_equal(mill_model_load_bytes(bytes, "m.json", &model, &err), MILL_EDATA);
    if (strstr(err.msg, part) == NULL || strncmp(err.msg, "model 'm.json': ", 16) != 0) {
        fail_msg("the error is \"%s\", expected \"%s\" in it", err.msg, part);
    }
    assert_null(model);
}

static void test_errors(void **state)
{
    static const struct {
        const char *text, *part;
    } cases[] = {
        {"", "the file is empty"},
        {"binf....", "save it as .json or .ubj"},
        {"\x80\x04pickle", "a Python pickle is not a model format"},
        {"hello", "not a model; expected XGBoost JSON or UBJSON"},
        {"{\"a\":1}", "'version' is missing"},
        {"{\"version\":[1,7,4],\"learner\":{\"gradient_booster\":{\"name\":\"gblinear\"}}}",
         "the booster 'gblinear' is not supported"},
        {"{\"version\":[1,7,4],\"learner\":{\"objective\":{\"name\":\"x\"", "xgboost json"},
        {"tree\nversion=v4\n", "'max_feature_idx' is missing"},
        {"tree\nmax_feature_idx=1\nobjective=poker\n", "the objective 'poker' is not known"},
        {"tree\nmax_feature_idx=1\n\nTree=0\nnum_leaves=1\nleaf_value=1\n", "the file ends before 'end of trees'"},
        {"tree\nmax_feature_idx=1\n\nTree=0\nnum_leaves=2\nsplit_feature=7\nthreshold=1\nleft_child=-1\nright_child=-"
         "2\n"
         "leaf_value=1 2\n\nend of trees\n",
         "tree 0: node 0 tests feature 7, expected one below 2"},
        {"tree\nmax_feature_idx=1\n\nTree=0\nnum_leaves=2\nsplit_feature=0\nthreshold=1\nleft_child=-1\nright_child=-"
         "1\n"
         "leaf_value=1 2\n\nend of trees\n",
         "node 1 has two parents or lies on a cycle"},
        {"tree\nmax_feature_idx=1\n\nTree=0\nnum_leaves=2\nsplit_feature=0\nthreshold=nan\nleft_child=-1\n"
         "right_child=-2\nleaf_value=1 2\n\nend of trees\n",
         "threshold NaN"},
        {"tree\nmax_feature_idx=1\n\nTree=0\nnum_leaves=900000000\n", "num_leaves"},
        {"tree\nmax_feature_idx=1\n\nTree=0\nnum_leaves=3\nsplit_feature=0 0\nthreshold=1 2\nleft_child=-1 -1\n"
         "right_child=-2 -3\nleaf_value=1 2 3\nis_linear=1\nleaf_const=1 2 3\nnum_features=0 0 0\nleaf_features=\n"
         "leaf_coeff=\n\nend of trees\n",
         "only 2 of 3 leaves can be reached"},
        {"\x08\x08", "not an ONNX model"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        expect_error(cases[i].text, strlen(cases[i].text), cases[i].part);
    }
}

/* Every truncation of a model is an error, never a smaller model. */
static void test_truncated(void **state)
{
    static const char *const files[] = {"xgb/mt_341.ubj", "xgb/cat_part_174.json", "catboost/cb_multiclass.json",
                                        "onnx/gb_regressor.onnx", "lgb/lgb_const.txt"};
    (void)state;
    for (size_t f = 0; f < sizeof(files) / sizeof(files[0]); f++) {
        struct mill_buffer bytes = support_read(files[f]);
        size_t last = bytes.n;
        const char *end = memmem(bytes.p, bytes.n, "end of trees", 12);
        if (end != NULL) {
            last = (size_t)(end - bytes.p);
        }
        for (size_t n = 0; n < last; n += 1 + last / 97) {
            struct mill_model *model = NULL;
            struct mill_error err = {0};
            char *copy = mill_malloc(n + 1);
            memcpy(copy, bytes.p, n);
            struct mill_slice cut = {copy, n};
            assert_int_equal(mill_model_load_bytes(cut, files[f], &model, &err), MILL_EDATA);
            free(copy);
        }
        mill_buffer_clear(&bytes);
    }
}

static void test_info(void **state)
{
    (void)state;
    struct mill_model *model = support_load("lgb/lgb_cat.txt");
    const struct mill_model_info *info = mill_model_info(model);
    assert_string_equal(info->sha256, "ccf24287a2500703414e953e02d6f719765f9e677dd4622cf8f89ce6e9a62946");
    assert_string_equal(info->format_name, "lightgbm");
    assert_int_equal(info->tree_count, 20);
    assert_int_equal(info->leaf_count, 300);
    assert_string_equal(info->feature_names[7], "Column_7");
    assert_true(info->doubles);
    mill_model_free(model);
    mill_model_free(NULL);
}

/* A batch whose columns stand in another order, of several types, with nulls. */
static void test_batch(void **state)
{
    (void)state;
    static struct mill_field fields[] = {
        {"flag", MILL_BOOL},        {"Column_7", MILL_FLOAT64}, {"Column_1", MILL_INT64},
        {"Column_0", MILL_INT64},   {"Column_2", MILL_FLOAT64}, {"Column_3", MILL_FLOAT64},
        {"Column_4", MILL_FLOAT64}, {"Column_5", MILL_FLOAT64}, {"Column_6", MILL_FLOAT64}};
    static const char *const names[] = {"Column_7", "Column_1", "Column_0", "Column_2",
                                        "Column_3", "Column_4", "Column_5", "Column_6"};
    static const uint32_t columns[] = {1, 2, 3, 4, 5, 6, 7, 8};
    static const uint32_t from_column[] = {UINT32_MAX, 7, 1, 0, 2, 3, 4, 5, 6};
    struct mill_schema schema = {fields, 9};
    struct mill_model *model = support_load("lgb/lgb_reg.txt");
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_model_input input;
    struct mill_error err = {0};
    size_t n = 0;
    double *rows = support_doubles("lgb/lgb_reg.in.f64", &n);
    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 300, &arena);
    batch.row_count = 300;
    for (uint32_t r = 0; r < 300; r++) {
        for (uint32_t c = 1; c < 9; c++) {
            double *x = &rows[r * COLUMNS + from_column[c]];
            if (isnan(*x)) {
                continue;
            }
            if (fields[c].type == MILL_INT64) {
                *x = trunc(fmax(fmin(*x, 1e9), -1e9));
                batch.columns[c].at.i[r] = (int64_t)*x;
            } else {
                batch.columns[c].at.f[r] = *x;
            }
            mill_bit_set(batch.columns[c].valid, r);
        }
    }
    assert_int_equal(mill_model_bind(model, names, NULL, columns, 8, &arena, &input, &err), 0);
    double *got = mill_malloc(300 * sizeof(double)), *expected = mill_malloc(300 * sizeof(double));
    mill_model_score_f64(model, rows, 300, COLUMNS, COLUMNS, MILL_MODEL_PREDICTION, expected);
    mill_model_score(model, &input, &batch, 0, 300, MILL_MODEL_PREDICTION, got);
    assert_memory_equal(got, expected, 300 * sizeof(double));
    mill_model_score(model, &input, &batch, 77, 78, MILL_MODEL_PREDICTION, got);
    assert_memory_equal(got, expected + 77, sizeof(double));
    free(expected);
    free(got);
    free(rows);
    mill_arena_clear(&arena);
    mill_model_free(model);
}

static void test_bind_errors(void **state)
{
    (void)state;
    static const char *const names[] = {"Column_0", "Column_1", "Column_2", "Column_3",
                                        "Column_4", "Column_5", "Column_6", "colour"};
    static const uint32_t columns[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct mill_model *named = support_load("lgb/lgb_reg.txt"), *nameless = support_load("xgb/reg_174.json");
    struct mill_arena arena;
    struct mill_model_input input;
    struct mill_error err = {0};
    mill_arena_init(&arena, 0);
    assert_int_equal(mill_model_bind(named, names, NULL, columns, 8, &arena, &input, &err), MILL_ECONFIG);
    assert_string_equal(err.msg,
                        "the model's 8 features are not the service's 8; only in the model: 'Column_7'; only in "
                        "the service: 'colour'");
    assert_int_equal(mill_model_bind(nameless, names, NULL, columns, 7, &arena, &input, &err), MILL_ECONFIG);
    assert_int_equal(mill_model_bind(nameless, names, NULL, columns, 8, &arena, &input, &err), 0);
    assert_int_equal(input.column[3], 3);
    mill_arena_clear(&arena);
    mill_model_free(named);
    mill_model_free(nameless);
}

/* Types are compared by the model's order of names, whatever the service's. */
static void test_bind_types(void **state)
{
    static const char *const names[] = {"Column_1", "Column_0", "Column_2", "Column_3",
                                        "Column_4", "Column_5", "Column_6", "Column_7"};
    static const uint32_t columns[] = {0, 1, 2, 3, 4, 5, 6, 7};
    enum mill_type types[8];
    struct mill_model *model = support_load("lgb/lgb_cat.txt");
    struct mill_arena arena;
    struct mill_model_input input;
    struct mill_error err = {0};
    (void)state;
    mill_arena_init(&arena, 0);
    for (int i = 0; i < 8; i++) {
        types[i] = i < 2 ? MILL_INT64 : MILL_FLOAT64; /* Column_0 and Column_1 are categories */
    }
    assert_int_equal(mill_model_bind(model, names, types, columns, 8, &arena, &input, &err), 0);
    assert_int_equal(input.column[0], 1);
    types[1] = MILL_FLOAT64; /* the service's second is Column_0 */
    types[7] = MILL_STRING;
    assert_int_equal(mill_model_bind(model, names, types, columns, 8, &arena, &input, &err), MILL_ECONFIG);
    assert_string_equal(err.msg, "'Column_0' is a category (int64 or bool) in the model and float64 in the service; "
                                 "'Column_7' is a number in the model and string in the service");
    mill_arena_clear(&arena);
    mill_model_free(model);
}

struct shared {
    const struct mill_model *model;
    const float *rows, *expected;
    size_t row_count;
    atomic_int wrong;
};

static void *score_many(void *argument)
{
    struct shared *s = argument;
    for (int round = 0; round < 20; round++) {
        for (size_t r = 0; r < s->row_count; r++) {
            float got = 0;
            mill_model_score_f32(s->model, s->rows + r * COLUMNS, 1, COLUMNS, COLUMNS, MILL_MODEL_MARGIN, &got);
            atomic_fetch_add(&s->wrong, support_ulps32(got, s->expected[r]) != 0);
        }
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    size_t n = 0, m = 0;
    struct mill_model *model = support_load("xgb/logistic_341.json");
    float *rows = support_floats("xgb/logistic_341.in.f32", &n);
    float *expected = support_floats("xgb/logistic_341.margin.f32", &m);
    struct shared s = {model, rows, expected, m, 0};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, score_many, &s), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(atomic_load(&s.wrong), 0);
    free(rows);
    free(expected);
    mill_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),  cmocka_unit_test(test_truncated),   cmocka_unit_test(test_info),
        cmocka_unit_test(test_batch),   cmocka_unit_test(test_bind_errors), cmocka_unit_test(test_bind_types),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests_name("inference/model", tests, NULL, NULL);
}
