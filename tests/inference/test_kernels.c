/* SPDX-License-Identifier: Apache-2.0 */
/* Random forests of every shape through every kernel, against a plain evaluator of the file's own arrays: many columns,
 * more than 254 thresholds a feature, more than 256 leaves, chains, stumps, single leaves, sets, infinities, several
 * outputs, every batch size around the tile. Seeded; MILL_TEST_SEED repeats a run. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

enum { NODES_MAX = 1200, TREES_MAX = 200, ROWS = 131 };

struct tree {
    int n;
    int left[NODES_MAX], feature[NODES_MAX], default_left[NODES_MAX], type[NODES_MAX];
    float condition[NODES_MAX];
    uint32_t set[NODES_MAX]; /* categories 0 to 31 that go right */
    int group;
};

struct forest {
    struct tree *trees;
    int tree_count, feature_count, groups, leaves_max, chain, categories;
    uint32_t pool; /* distinct thresholds a feature */
};

static uint64_t state;

static uint32_t below(uint32_t n)
{
    return (uint32_t)(support_random(&state) % n);
}

static float threshold(const struct forest *f)
{
    static const float odd[] = {0.0f, -0.0f, 1e-40f, -1e-40f, INFINITY, -INFINITY, 3.4e38f, -3.4e38f};
    if (below(40) == 0) {
        return odd[below(8)];
    }
    return ((float)below(f->pool) - (float)f->pool / 2) / 16;
}

/* The leaf to split next: any, the last (chains) or the oldest (complete trees). */
static int pick_leaf(const struct forest *f, const int *open, int count)
{
    int pick = f->chain == 1 ? count - 1 : (int)below((uint32_t)count);
    for (int i = 0; i < count && f->chain == 2; i++) {
        pick = open[i] < open[pick] ? i : pick;
    }
    return pick;
}

/* Splits leaves until there are enough. */
static void grow(const struct forest *f, struct tree *t)
{
    int leaves = f->chain == 2 ? f->leaves_max : 1 + (int)below((uint32_t)f->leaves_max), open[NODES_MAX], count = 1;
    t->n = 1;
    open[0] = 0;
    t->left[0] = -1;
    t->group = (int)below((uint32_t)f->groups);
    while (count < leaves && t->n + 2 <= NODES_MAX) {
        int pick = pick_leaf(f, open, count), i = open[pick];
        t->left[i] = t->n;
        t->feature[i] = (int)below((uint32_t)f->feature_count);
        t->default_left[i] = (int)below(2);
        t->type[i] = t->feature[i] < f->categories;
        t->condition[i] = threshold(f);
        t->set[i] = (uint32_t)support_random(&state) | 1;
        t->left[t->n] = t->left[t->n + 1] = -1;
        open[pick] = t->n;
        open[count++] = t->n + 1;
        t->n += 2;
    }
    for (int i = 0; i < t->n; i++) {
        if (t->left[i] == -1) {
            t->condition[i] = (float)((int)below(2001) - 1000) / 977.0f;
        }
    }
}

static bool goes_left(const struct tree *t, int i, float x)
{
    if (isnan(x)) {
        return t->default_left[i];
    }
    if (t->type[i] == 1) {
        return x < 0 || x >= 16777216.0f || x >= 32 || (t->set[i] >> (int)x & 1) == 0;
    }
    return x < t->condition[i];
}

static void reference(const struct forest *f, const float *row, float *out)
{
    for (int k = 0; k < f->groups; k++) {
        out[k] = 0.5f;
    }
    for (int j = 0; j < f->tree_count; j++) {
        const struct tree *t = &f->trees[j];
        int i = 0;
        while (t->left[i] != -1) {
            i = goes_left(t, i, row[t->feature[i]]) ? t->left[i] : t->left[i] + 1;
        }
        out[t->group] += t->condition[i];
    }
}

static void print_float(struct mill_buffer *out, float x)
{
    if (isinf(x)) {
        mill_buffer_add_string(out, x < 0 ? "-Infinity" : "Infinity");
    } else {
        mill_buffer_printf(out, "%.9g", (double)x);
    }
}

#define ARRAY(name, format, value)                                                                                     \
    mill_buffer_add_string(out, ",\"" name "\":[");                                                                    \
    for (int i = 0; i < t->n; i++) {                                                                                   \
        mill_buffer_printf(out, format, i > 0 ? "," : "", value);                                                      \
    }                                                                                                                  \
    mill_buffer_add_string(out, "]")

static void print_sets(const struct tree *t, struct mill_buffer *out)
{
    static const char *const names[] = {"categories", "categories_nodes", "categories_segments", "categories_sizes"};
    for (int which = 0; which < 4; which++) {
        int total = 0, first = 1;
        mill_buffer_printf(out, ",\"%s\":[", names[which]);
        for (int i = 0; i < t->n; i++) {
            if (t->left[i] == -1 || t->type[i] == 0) {
                continue;
            }
            int size = __builtin_popcount(t->set[i]);
            for (int c = 0; which == 0 && c < 32; c++) {
                if (t->set[i] >> c & 1) {
                    mill_buffer_printf(out, "%s%d", first ? "" : ",", c);
                    first = 0;
                }
            }
            if (which > 0) {
                mill_buffer_printf(out, "%s%d", first ? "" : ",", which == 1 ? i : which == 2 ? total : size);
                first = 0;
            }
            total += size;
        }
        mill_buffer_add_string(out, "]");
    }
}

static void print_tree(const struct tree *t, struct mill_buffer *out)
{
    mill_buffer_printf(out, "{\"tree_param\":{\"num_nodes\":\"%d\"}", t->n);
    ARRAY("left_children", "%s%d", t->left[i]);
    ARRAY("right_children", "%s%d", t->left[i] == -1 ? -1 : t->left[i] + 1);
    ARRAY("split_indices", "%s%d", t->left[i] == -1 ? 0 : t->feature[i]);
    ARRAY("default_left", "%s%d", t->left[i] == -1 ? 0 : t->default_left[i]);
    ARRAY("split_type", "%s%d", t->left[i] == -1 ? 0 : t->type[i]);
    print_sets(t, out);
    mill_buffer_add_string(out, ",\"split_conditions\":[");
    for (int i = 0; i < t->n; i++) {
        mill_buffer_add_string(out, i > 0 ? "," : "");
        print_float(out, t->condition[i]);
    }
    mill_buffer_add_string(out, "]}");
}

static void print_forest(const struct forest *f, struct mill_buffer *out)
{
    mill_buffer_printf(
        out,
        "{\"version\":[1,7,4],\"learner\":{\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":"
        "\"%d\",\"num_feature\":\"%d\"},\"objective\":{\"name\":\"%s\"},\"gradient_booster\":{\"name\":"
        "\"gbtree\",\"model\":{\"tree_info\":[",
        f->groups > 1 ? f->groups : 0, f->feature_count, f->groups > 1 ? "multi:softprob" : "reg:squarederror");
    for (int j = 0; j < f->tree_count; j++) {
        mill_buffer_printf(out, "%s%d", j > 0 ? "," : "", f->trees[j].group);
    }
    mill_buffer_add_string(out, "],\"trees\":[");
    for (int j = 0; j < f->tree_count; j++) {
        mill_buffer_add_string(out, j > 0 ? "," : "");
        print_tree(&f->trees[j], out);
    }
    mill_buffer_add_string(out, "]}}}}");
}

static void fill_rows(const struct forest *f, float *rows)
{
    for (int i = 0; i < ROWS * f->feature_count; i++) {
        uint32_t kind = below(12);
        rows[i] = kind == 0 ? NAN : threshold(f);
        if (kind == 1) {
            rows[i] = nextafterf(rows[i], kind % 2 ? INFINITY : -INFINITY);
        }
        if (i % f->feature_count < f->categories && kind > 1) {
            rows[i] = (float)(int)below(40) - 2;
        }
    }
}

static void check_kernel(const struct forest *f, const struct mill_model *model, const float *rows,
                         const float *expected, const char *kernel)
{
    static const size_t batches[] = {1, 7, 8, 33, 64, 65, ROWS};
    float *got = mill_malloc((size_t)ROWS * (size_t)f->groups * sizeof(*got));
    size_t width = (size_t)f->feature_count, groups = (size_t)f->groups;
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        for (size_t first = 0; first < ROWS; first += batches[b]) {
            size_t n = ROWS - first < batches[b] ? ROWS - first : batches[b];
            /* A copy that ends where the rows end: reading on is seen by the address sanitizer. */
            float *copy = mill_malloc(n * width * sizeof(*copy));
            memcpy(copy, rows + first * width, n * width * sizeof(*copy));
            mill_model_score_f32(model, copy, n, width, width, MILL_MODEL_MARGIN, got + first * groups);
            free(copy);
        }
        for (size_t i = 0; i < ROWS * groups; i++) {
            if (support_ulps32(got[i], expected[i]) != 0) {
                fail_msg("%s (%s, batches of %zu): value %zu is %.9g, expected %.9g; %d trees, %d features, %d leaves",
                         kernel, mill_model_kernel(model, batches[b]), batches[b], i, (double)got[i],
                         (double)expected[i], f->tree_count, f->feature_count, f->leaves_max);
            }
        }
    }
    free(got);
}

/* Which kernels ever ran, by their names' place in support_kernels. */
static unsigned ran[16];

static void check_forest(struct forest *f)
{
    struct mill_buffer text = {0};
    f->trees = mill_calloc((size_t)f->tree_count, sizeof(*f->trees));
    for (int j = 0; j < f->tree_count; j++) {
        grow(f, &f->trees[j]);
    }
    print_forest(f, &text);
    float *rows = mill_malloc((size_t)ROWS * (size_t)f->feature_count * sizeof(*rows));
    float *expected = mill_malloc((size_t)ROWS * (size_t)f->groups * sizeof(*expected));
    fill_rows(f, rows);
    for (int r = 0; r < ROWS; r++) {
        reference(f, rows + (size_t)r * (size_t)f->feature_count, expected + (size_t)r * (size_t)f->groups);
    }
    for (size_t k = 0; support_kernels[k] != NULL; k++) {
        struct mill_model *model = NULL;
        struct mill_error err = {0};
        setenv("MILL_KERNEL", support_kernels[k], 1);
        if (mill_model_load_bytes(mill_buffer_slice(&text), "random", &model, &err) < 0) {
            fail_msg("%s", err.msg);
        }
        ran[k] += strcmp(mill_model_kernel(model, 64), support_kernels[k]) == 0;
        check_kernel(f, model, rows, expected, support_kernels[k]);
        mill_model_free(model);
    }
    free(expected);
    free(rows);
    free(f->trees);
    mill_buffer_clear(&text);
}

static void test_shapes(void **test_state)
{
    static const struct forest shapes[] = {
        /* trees, features, groups, leaves, chain, categories, pool */
        {NULL, 1, 1, 1, 1, 0, 0, 16},      {NULL, 3, 2, 1, 2, 0, 0, 4},       {NULL, 100, 20, 1, 64, 0, 0, 200},
        {NULL, 65, 50, 1, 32, 0, 0, 100},  {NULL, 70, 100, 3, 40, 0, 0, 60},  {NULL, 130, 300, 1, 30, 0, 0, 50},
        {NULL, 40, 6, 1, 100, 0, 0, 4000}, {NULL, 12, 10, 1, 580, 0, 0, 300}, {NULL, 20, 10, 2, 65, 1, 0, 100},
        {NULL, 30, 8, 1, 50, 0, 3, 100},   {NULL, 64, 12, 5, 20, 0, 12, 30},  {NULL, 200, 30, 1, 8, 0, 0, 500},
        {NULL, 25, 5, 1, 256, 0, 0, 250},  {NULL, 16, 40, 1, 200, 1, 2, 60},  {NULL, 100, 30, 1, 64, 2, 0, 100},
        {NULL, 70, 90, 1, 256, 2, 0, 60},  {NULL, 65, 20, 3, 16, 2, 2, 50},   {NULL, 9, 5, 1, 5, 2, 0, 50},
        {NULL, 66, 100, 1, 32, 2, 0, 90},
    };
    (void)test_state;
    const char *given = getenv("MILL_TEST_SEED");
    uint64_t seed = given == NULL ? 20240611 : strtoull(given, NULL, 0);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        struct forest f = shapes[i];
        state = seed + i;
        check_forest(&f);
    }
    for (size_t k = 1; strcmp(support_kernels[k], "avx2") != 0; k++) {
        print_message("%s ran on %u of %zu forests\n", support_kernels[k], ran[k], sizeof(shapes) / sizeof(shapes[0]));
    }
}

static void test_unknown_kernel(void **test_state)
{
    struct mill_buffer bytes = support_read("xgb/reg_174.json");
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    (void)test_state;
    setenv("MILL_KERNEL", "sse9", 1);
    assert_int_equal(mill_model_load_bytes(mill_buffer_slice(&bytes), "m", &model, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "MILL_KERNEL is 'sse9'"));
    unsetenv("MILL_KERNEL");
    mill_buffer_clear(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_unknown_kernel),
    };
    return cmocka_run_group_tests_name("inference/kernels", tests, NULL, NULL);
}
