/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What scoring must not do, at every kernel: read beyond the rows it was given, or allocate after a thread's first
 * call. Rows end where a page ends whose successor may not be touched, so that one byte too far kills the test, whoever
 * compiled the access (hand-written steps and vector loads are not seen by the address sanitizer).
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

/* One model of each importer and table: plain, categorical, several outputs, vector leaves, linear leaves, doubles,
 * scaled. */
static const struct {
    const char *model, *rows;
    bool doubles;
} cases[] = {
    {"xgb/logistic_341.json", "xgb/logistic_341.in.f32", false},
    {"xgb/softprob_174.json", "xgb/softprob_174.in.f32", false},
    {"xgb/cat_part_341.json", "xgb/cat_part_341.in.f32", false},
    {"xgb/mt_341.json", "xgb/mt_341.in.f32", false},
    {"xgb/rf_341.ubj", "xgb/rf_341.in.f32", false},
    {"lgb/lgb_cat.txt", "lgb/lgb_cat.in.f64", true},
    {"lgb/lgb_linear.txt", "lgb/lgb_linear.in.f64", true},
    {"lgb/lgb_zero_missing.txt", "lgb/lgb_zero_missing.in.f64", true},
    {"catboost/cb_binary.json", "catboost/cb_binary.in.f32", false},
    {"onnx/scaler_gb_binary.onnx", "onnx/scaler_gb_binary.in.f32", false},
};

/* n bytes that end at the end of a page, and nothing behind it. */
struct fenced {
    char *base, *at;
    size_t size;
};

static struct fenced fence(const void *bytes, size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE), whole = (n + page - 1) / page * page;
    struct fenced f = {.size = whole + 2 * page};
    f.base = mmap(NULL, f.size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(f.base, MAP_FAILED);
    assert_int_equal(mprotect(f.base, page, PROT_NONE), 0);
    assert_int_equal(mprotect(f.base + page + whole, page, PROT_NONE), 0);
    f.at = f.base + page + whole - n;
    memcpy(f.at, bytes, n);
    assert_int_equal(mprotect(f.base + page, whole, PROT_READ), 0);
    return f;
}

struct scored {
    const struct mill_model *model;
    bool doubles;
    size_t columns;
};

static void score(const struct scored *s, const void *rows, size_t n, size_t columns, void *out)
{
    if (s->doubles) {
        mill_model_score_f64(s->model, rows, n, columns, columns, MILL_MODEL_MARGIN, out);
    } else {
        mill_model_score_f32(s->model, rows, n, columns, columns, MILL_MODEL_MARGIN, out);
    }
}

/* Every batch size around the tiles, behind a fence and without: the same bits. Rows cut short by a column as well. */
static void check_fenced(const struct scored *s, const char *rows, size_t row_count)
{
    static const size_t batches[] = {1, 2, 7, 8, 9, 12, 15, 16, 20, 31, 33, 63, 64, 65};
    size_t width = s->doubles ? sizeof(double) : sizeof(float);
    size_t out_bytes = 65 * mill_model_info(s->model)->margin_count * width;
    char *expected = mill_malloc(out_bytes), *got = mill_malloc(out_bytes);
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        for (size_t columns = s->columns - 1; columns <= s->columns; columns++) {
            size_t n = batches[b] < row_count ? batches[b] : row_count;
            struct fenced f = fence(rows, n * columns * width);
            memset(expected, 0, out_bytes);
            memset(got, 0, out_bytes);
            score(s, rows, n, columns, expected);
            score(s, f.at, n, columns, got);
            assert_memory_equal(got, expected, out_bytes);
            munmap(f.base, f.size);
        }
    }
    free(got);
    free(expected);
}

/* The address sanitizer calls this at every allocation. */
void __sanitizer_malloc_hook(const volatile void *p, size_t size);
static atomic_size_t allocations;

void __sanitizer_malloc_hook(const volatile void *p, size_t size)
{
    (void)p;
    (void)size;
    atomic_fetch_add(&allocations, 1);
}

/* After the largest batch nothing is allocated: counted under the address sanitizer, elsewhere seen by what the heap
 * holds. */
static void check_allocations(const struct scored *s, const char *rows, size_t row_count)
{
    size_t width = s->doubles ? sizeof(double) : sizeof(float);
    char *out = mill_malloc(row_count * mill_model_info(s->model)->margin_count * width);
    score(s, rows, row_count, s->columns, out);
    size_t held = mallinfo2().uordblks, before = atomic_load(&allocations);
    for (size_t n = 1; n <= row_count; n = n * 2 + 1) {
        score(s, rows, n, s->columns, out);
        score(s, rows, n, s->columns - 1, out);
    }
    assert_int_equal(atomic_load(&allocations), before);
    assert_int_equal(mallinfo2().uordblks, held);
    free(out);
}

static void check_case(size_t i, void (*check)(const struct scored *, const char *, size_t))
{
    struct mill_buffer bytes = support_read(cases[i].rows);
    size_t width = cases[i].doubles ? sizeof(double) : sizeof(float);
    for (size_t k = 0; support_kernels[k] != NULL; k++) {
        setenv("MILL_KERNEL", support_kernels[k], 1);
        struct mill_model *model = support_load(cases[i].model);
        size_t columns = mill_model_info(model)->feature_count;
        struct scored s = {model, cases[i].doubles, columns};
        check(&s, bytes.p, bytes.n / width / columns);
        mill_model_free(model);
    }
    unsetenv("MILL_KERNEL");
    mill_buffer_clear(&bytes);
}

static void test_rows_end_at_a_page(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case(i, check_fenced);
    }
}

static void test_no_allocation(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        check_case(i, check_allocations);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_end_at_a_page),
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests_name("inference/bounds", tests, NULL, NULL);
}
