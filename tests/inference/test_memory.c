/* SPDX-License-Identifier: Apache-2.0 */
/* Loading takes at most eight times the file's bytes and a constant, whatever the bytes are: real models, cut ones,
 * flipped ones, and small files that claim to be large. The heap is counted at every allocation: by the hooks of
 * AddressSanitizer, elsewhere by standing in front of the C library. */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <ftw.h>

#include "base/arena.h"
#include "base/file.h"
#include "support.h"

enum { TIMES = 8, CONSTANT = 2 << 20 };

static atomic_llong held, peak;

#if !defined(__SANITIZE_THREAD__)
static void count(long long bytes)
{
    long long now = atomic_fetch_add(&held, bytes) + bytes, before = atomic_load(&peak);
    while (now > before && !atomic_compare_exchange_weak(&peak, &before, now)) {
    }
}
#endif

#if defined(__SANITIZE_ADDRESS__)
enum { COUNTS = 1 };
size_t __sanitizer_get_allocated_size(const volatile void *p);
void __sanitizer_malloc_hook(const volatile void *p, size_t size);
void __sanitizer_free_hook(const volatile void *p);

void __sanitizer_malloc_hook(const volatile void *p, size_t size)
{
    count(p == NULL ? 0 : (long long)size);
}

void __sanitizer_free_hook(const volatile void *p)
{
    count(p == NULL ? 0 : -(long long)__sanitizer_get_allocated_size(p));
}
#elif defined(__SANITIZE_THREAD__)
enum { COUNTS = 0 };
#else
enum { COUNTS = 1 };
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

static void *counted(void *p)
{
    count(p == NULL ? 0 : (long long)malloc_usable_size(p));
    return p;
}

void *malloc(size_t size)
{
    return counted(__libc_malloc(size));
}

void *calloc(size_t n, size_t size)
{
    return counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t size)
{
    long long old = p == NULL ? 0 : (long long)malloc_usable_size(p);
    void *q = counted(__libc_realloc(p, size));
    count(q == NULL ? 0 : -old);
    return q;
}

void free(void *p)
{
    count(p == NULL ? 0 : -(long long)malloc_usable_size(p));
    __libc_free(p);
}
#endif

/* 1 where the bytes load, 0 where they are refused; either way within the limit. *ret_message: 512 bytes. */
static int load(const char *name, const char *bytes, size_t n, char *ret_message)
{
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    long long before = atomic_load(&held);
    atomic_store(&peak, before);
    int rc = mill_model_load_bytes((struct mill_slice){bytes, n}, "m", &model, &err);
    long long took = atomic_load(&peak) - before;
    mill_model_free(model);
    if (COUNTS && took > TIMES * (long long)n + CONSTANT) {
        fail_msg("%s: %lld bytes of memory for a file of %zu", name, took, n);
    }
    if (rc < 0) {
        assert_string_not_equal(err.msg, "");
        snprintf(ret_message, 512, "%s", err.msg);
    }
    return rc == 0;
}

/* Grows the scratch that the thread keeps, so that no load is charged for it. */
static void warm_up(void)
{
    struct mill_model *model = support_load("xgb/softprob_341.json");
    float row[8] = {0}, out[8];
    mill_model_score_f32(model, row, 1, 8, 8, MILL_MODEL_MARGIN, out);
    mill_model_free(model);
}

static uint64_t seed = 7;
static unsigned loaded, refused;

static int check_file(const char *path, const struct stat *status, int type, struct FTW *where)
{
    struct mill_buffer bytes = {0};
    struct mill_error err = {0};
    char message[512];
    (void)status;
    (void)where;
    const char *dot = strrchr(path, '.');
    bool model = dot != NULL &&
                 (strcmp(dot, ".json") == 0 || strcmp(dot, ".ubj") == 0 || strcmp(dot, ".onnx") == 0 ||
                  (strcmp(dot, ".txt") == 0 && strstr(path, "lgb") != NULL) || strstr(path, "model_lightgbm") != NULL);
    if (type != FTW_F || !model) {
        return 0;
    }
    assert_int_equal(mill_file_read(path, 1 << 28, &bytes, &err), 0);
    loaded += load(path, bytes.p, bytes.n, message);
    for (unsigned i = 0; i < 8; i++) {
        refused += !load(path, bytes.p, bytes.n * i / 8, message);
    }
    for (unsigned i = 0; i < (bytes.n < 20000 ? 40 : 4); i++) {
        size_t at = support_random(&seed) % bytes.n;
        char kept = bytes.p[at];
        bytes.p[at] = (char)(kept ^ (1 << support_random(&seed) % 8));
        load(path, bytes.p, bytes.n, message);
        bytes.p[at] = kept;
    }
    mill_buffer_clear(&bytes);
    return 0;
}

/* Every model of the suite and of the fuzzers' corpora: whole, cut at eighths, with flipped bits. */
static void test_models(void **state)
{
    (void)state;
    setenv("MILL_KERNEL", "portable", 1);
    warm_up();
    assert_int_equal(nftw(MILL_TEST_DIR "/inference/data", check_file, 16, FTW_PHYS), 0);
    assert_int_equal(nftw(MILL_TEST_DIR "/fuzz/corpus", check_file, 16, FTW_PHYS), 0);
    assert_true(loaded > 100 && refused > 700);
    unsetenv("MILL_KERNEL");
}

/* With the tuner, which holds a tile of rows. */
static void test_tuned(void **state)
{
    static const char *const names[] = {"xgb/softprob_341.ubj", "lgb/lgb_multi.txt", "onnx/rf_classifier.onnx",
                                        "catboost/cb_multiclass.json"};
    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct mill_buffer bytes = support_read(names[i]);
        char message[512];
        assert_int_equal(load(names[i], bytes.p, bytes.n, message), 1);
        mill_buffer_clear(&bytes);
    }
}

/* A piece of text many times. */
static void repeat(struct mill_buffer *out, const char *piece, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        mill_buffer_add_string(out, piece);
    }
}

/* head, then `piece` as often as makes a file of a megabyte, then tail: the densest lists there are of each kind. */
static void test_dense_lists(void **state)
{
    static const char xgb_head[] =
        "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\","
        "\"num_feature\":\"3\",\"num_target\":\"1\"},\"objective\":{\"name\":\"reg:squarederror\"},";
    static const struct {
        const char *name, *head, *piece, *tail;
    } cases[] = {
        {"xgboost, empty feature names", "{\"version\":[2,0,0],\"learner\":{\"feature_names\":[\"\"", ",\"\"", "]}}"},
        {"xgboost, short feature names", "{\"version\":[2,0,0],\"learner\":{\"feature_names\":[\"a\"", ",\"a\"", "]}}"},
        {"xgboost, tree_info", "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"tree_info\":[0", ",0", "]}}}}"},
        {"xgboost, weight_drop", "\"gradient_booster\":{\"name\":\"dart\",\"weight_drop\":[0", ",0", "]}}}"},
        {"xgboost, left_children",
         "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":[{\"left_children\":[1", ",1",
         "]}],\"tree_info\":[0]}}}}"},
        {"xgboost, split_conditions",
         "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"trees\":[{\"split_conditions\":[1", ",1",
         "]}],\"tree_info\":[0]}}}}"},
        {"xgboost, base_score", "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"[1", ",1",
         "]\"}}}"},
        {"lightgbm, feature names", "tree\nmax_feature_idx=3\nfeature_names=a", " a", "\nend of trees\n"},
        {"lightgbm, empty trees", "tree\nmax_feature_idx=0\nobjective=regression\n\n",
         "Tree=0\nnum_leaves=1\nleaf_value=0\n", "end of trees\n"},
        {"catboost, leaf values",
         "{\"features_info\":{\"float_features\":[]},\"oblivious_trees\":[{\"splits\":[],\"leaf_values\":[0", ",0",
         "]}]}"},
        {"catboost, bias", "{\"features_info\":{},\"scale_and_bias\":[1,[0", ",0", "]],\"oblivious_trees\":[]}"},
        {"catboost, features", "{\"features_info\":{\"float_features\":[{}", ",{}", "]},\"oblivious_trees\":[]}"},
        {"catboost, empty trees",
         "{\"features_info\":{\"float_features\":[]},\"oblivious_trees\":[{\"leaf_values\":[1]}",
         ",{\"leaf_values\":[1]}", "]}"},
    };
    (void)state;
    setenv("MILL_KERNEL", "portable", 1);
    warm_up();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mill_buffer text = {0};
        char message[512];
        mill_buffer_add_string(&text, cases[i].head[0] == '"' ? xgb_head : "");
        mill_buffer_add_string(&text, cases[i].head);
        repeat(&text, cases[i].piece, (1u << 20) / (unsigned)strlen(cases[i].piece));
        mill_buffer_add_string(&text, cases[i].tail);
        load(cases[i].name, text.p, text.n, message);
        mill_buffer_clear(&text);
    }
    unsetenv("MILL_KERNEL");
}

/* One long branch whose every node tests a feature of its own: what a tile of rows takes grows with the features. */
static void test_wide(void **state)
{
    enum { LEAVES = 30000, DEPTH = 60 };
    struct mill_buffer text = {0};
    char message[512] = "";
    unsigned left = LEAVES, feature = 0;
    (void)state;
    warm_up();
    mill_buffer_printf(&text, "tree\nmax_feature_idx=%d\nobjective=regression\n", LEAVES);
    for (unsigned tree = 0; left > 0; tree++) {
        unsigned leaves = left < DEPTH ? left : DEPTH, inner = leaves - 1;
        mill_buffer_printf(&text, "\nTree=%u\nnum_leaves=%u\nsplit_feature=", tree, leaves);
        for (unsigned i = 0; i < inner; i++) {
            mill_buffer_printf(&text, "%u ", feature++);
        }
        mill_buffer_add_string(&text, "\nthreshold=");
        repeat(&text, "0.5 ", inner);
        mill_buffer_add_string(&text, "\nleft_child=");
        for (unsigned i = 1; i <= inner; i++) {
            mill_buffer_printf(&text, "%d ", i < inner ? (int)i : -1);
        }
        mill_buffer_add_string(&text, "\nright_child=");
        for (unsigned i = 1; i <= inner; i++) {
            mill_buffer_printf(&text, "-%u ", i + 1);
        }
        mill_buffer_add_string(&text, "\nleaf_value=");
        repeat(&text, "1.25 ", leaves);
        mill_buffer_add_string(&text, "\n");
        left -= leaves;
    }
    mill_buffer_add_string(&text, "\nend of trees\n");
    if (!load("wide", text.p, text.n, message)) {
        fail_msg("%s", message);
    }
    mill_buffer_clear(&text);
}

/* Small files that claim to be large. UBJSON counts stand as 8 big-endian bytes after 'L'. */
static void test_claims(void **state)
{
    static const struct {
        const char *name, *bytes;
        size_t n;
        const char *said; /* NULL: it loads */
    } cases[] = {
#define CLAIM(name, text, said) {name, text, sizeof(text) - 1, said}
        CLAIM("ubjson array of 2^30 floats",
              "{L\0\0\0\0\0\0\0\7learner{L\0\0\0\0\0\0\0\20gradient_booster{L\0\0\0\0\0\0\0\13weight_drop[$d#"
              "L\0\0\0\0\100\0\0\0",
              "an array is longer than the document"),
        CLAIM("ubjson array of 2^62 objects", "{L\0\0\0\0\0\0\0\7version[#L\100\0\0\0\0\0\0\0",
              "an array is longer than the document"),
        CLAIM("ubjson name of 2^40 bytes", "{L\0\0\1\0\0\0\0\0a", "a name is longer than the document"),
        CLAIM("ubjson length below 0", "{L\377\377\377\377\377\377\377\377a", "a length below 0"),
        CLAIM("xgboost of 2^31 nodes",
              "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\","
              "\"num_feature\":\"3\"},\"objective\":{\"name\":\"reg:squarederror\"},\"gradient_booster\":{\"name\":"
              "\"gbtree\",\"model\":{\"trees\":[{\"tree_param\":{\"num_nodes\":\"2147483647\"}}],\"tree_info\":[0]}}}}",
              "tree 0: left_children has 0 entries, expected num_nodes, 2147483647"),
        CLAIM("xgboost of 10^18 nodes",
              "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\","
              "\"num_feature\":\"3\"},\"objective\":{\"name\":\"reg:squarederror\"},\"gradient_booster\":{\"name\":"
              "\"gbtree\",\"model\":{\"trees\":[{\"tree_param\":{\"num_nodes\":\"1000000000000000000\"}}],"
              "\"tree_info\":[0]}}}}",
              "tree 0: tree_param has the count '1000000000000000000'"),
        CLAIM("xgboost of a billion classes",
              "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":"
              "\"1000000000\",\"num_feature\":\"3\"},\"objective\":{\"name\":\"multi:softprob\"},\"gradient_booster\":"
              "{\"name\":\"gbtree\",\"model\":{\"trees\":[],\"tree_info\":[]}}}}",
              "1000000000 outputs a row, expected 1 to 65536"),
        CLAIM("xgboost of 65536 classes",
              "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"65536\","
              "\"num_feature\":\"3\"},\"objective\":{\"name\":\"multi:softprob\"},\"gradient_booster\":"
              "{\"name\":\"gbtree\",\"model\":{\"trees\":[],\"tree_info\":[]}}}}",
              "65536 outputs a row in a file of"),
        CLAIM("xgboost of a billion features",
              "{\"version\":[2,0,0],\"learner\":{\"learner_model_param\":{\"base_score\":\"0\",\"num_class\":\"0\","
              "\"num_feature\":\"1000000000\"},\"objective\":{\"name\":\"reg:squarederror\"},\"gradient_booster\":"
              "{\"name\":\"gbtree\",\"model\":{\"trees\":[],\"tree_info\":[]}}}}",
              "num_feature is 1000000000, expected at most 16777216"),
        CLAIM("lightgbm of a billion leaves",
              "tree\nmax_feature_idx=3\nobjective=regression\n\nTree=0\nnum_leaves=1000000000\nleaf_value=0 0\n\nend "
              "of trees\n",
              "tree 0: num_leaves: expected a whole number in range at '1000000000'"),
        CLAIM("lightgbm of a billion sets",
              "tree\nmax_feature_idx=3\nobjective=regression\n\nTree=0\nnum_leaves=2\nnum_cat=1000000000\n\nend of "
              "trees\n",
              "tree 0: num_cat: expected a whole number in range at '1000000000'"),
        CLAIM("lightgbm of a billion features",
              "tree\nmax_feature_idx=1000000000\nobjective=regression\n\nend of trees\n",
              "'max_feature_idx=1000000000': expected a whole number from 0 to 16777215"),
        CLAIM("lightgbm of a billion classes", "tree\nnum_class=1000000000\nmax_feature_idx=3\n\nend of trees\n",
              "'num_class=1000000000': expected a whole number from 1 to 65536"),
        CLAIM("lightgbm of 16777216 features", "tree\nmax_feature_idx=16777215\nobjective=regression\n\nend of trees\n",
              NULL),
        CLAIM("catboost of a billion features",
              "{\"features_info\":{\"float_features\":[{\"feature_index\":0,\"flat_feature_index\":1000000000}]},"
              "\"oblivious_trees\":[]}",
              "float feature 0 has the indexes 0 and 1000000000"),
        CLAIM("onnx graph of 2^34 bytes", "\x08\x08\x3a\x80\x80\x80\x80\x40", "not an ONNX model, or cut"),
        /* graph: one input X of 16777216 columns, no nodes */
        CLAIM("onnx input of 16777216 columns",
              "\x08\x08\x3a\x18\x5a\x16\x0a\x01X\x12\x11\x0a\x0f\x08\x01\x12\x0b\x0a\x02\x08\x01\x0a\x05\x08\x80\x80"
              "\x80\x08",
              "onnx: "),
#undef CLAIM
    };
    (void)state;
    setenv("MILL_KERNEL", "portable", 1);
    warm_up();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char message[512] = "";
        int ok = load(cases[i].name, cases[i].bytes, cases[i].n, message);
        if (ok != (cases[i].said == NULL) || (cases[i].said != NULL && strstr(message, cases[i].said) == NULL)) {
            fail_msg("%s: said '%s', expected '%s'", cases[i].name, ok ? "nothing" : message,
                     cases[i].said == NULL ? "nothing" : cases[i].said);
        }
    }
    unsetenv("MILL_KERNEL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models), cmocka_unit_test(test_tuned),  cmocka_unit_test(test_dense_lists),
        cmocka_unit_test(test_wide),   cmocka_unit_test(test_claims),
    };
    return cmocka_run_group_tests_name("inference/memory", tests, NULL, NULL);
}
