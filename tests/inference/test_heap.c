/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of heap.c as written for x86-64 against the same file's portable ones: every depth, number of rows and kind
 * of sum. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "inference/kernel/rank_internal.h"
#include "inference/model_internal.h"
#include "support.h"

void heap_rows_portable(const struct mill__tables *tables, const struct mill__forest *forest,
                        const struct mill__coder *coder, const void *values, size_t stride, uint32_t n, double *margins,
                        void *scratch);

#define MILL__HEAP_PORTABLE
#define mill__heap_rows heap_rows_portable
#include "inference/kernel/heap.c"
#undef mill__heap_rows

/* Complete trees of that depth with random tests and leaves, as LightGBM text. */
static struct mill_model *make_model(uint32_t depth, uint32_t trees, uint32_t outputs, uint64_t *random)
{
    struct mill_buffer text = {0};
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    int inner = (1 << depth) - 1;
    mill_buffer_printf(&text, "tree\nversion=v4\nnum_class=%u\nnum_tree_per_iteration=%u\nmax_feature_idx=19\n",
                       outputs, outputs);
    for (uint32_t t = 0; t < trees; t++) {
        mill_buffer_printf(&text, "\nTree=%u\nnum_leaves=%d\nnum_cat=0\nsplit_feature=", t, inner + 1);
        for (int i = 0; i < inner; i++) {
            mill_buffer_printf(&text, "%d ", (int)(support_random(random) % 20));
        }
        mill_buffer_add_string(&text, "\nthreshold=");
        for (int i = 0; i < inner; i++) {
            mill_buffer_printf(&text, "%d ", (int)(support_random(random) % 200) - 100);
        }
        mill_buffer_add_string(&text, "\ndecision_type=");
        for (int i = 0; i < inner; i++) {
            mill_buffer_printf(&text, "%d ", (int)(support_random(random) % 2) * 2 + 8);
        }
        for (int side = 1; side <= 2; side++) {
            mill_buffer_add_string(&text, side == 1 ? "\nleft_child=" : "\nright_child=");
            for (int i = 0; i < inner; i++) {
                int child = 2 * i + side;
                mill_buffer_printf(&text, "%d ", child < inner ? child : ~(child - inner));
            }
        }
        mill_buffer_add_string(&text, "\nleaf_value=");
        for (int i = 0; i <= inner; i++) {
            mill_buffer_printf(&text, "%d ", (int)(support_random(random) % 100000));
        }
        mill_buffer_add_string(&text, "\n");
    }
    mill_buffer_add_string(&text, "\nend of trees\n");
    if (mill_model_load_bytes(mill_buffer_slice(&text), "heap", &model, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    mill_buffer_clear(&text);
    return model;
}

static void check_steps(uint32_t depth, uint32_t trees, uint32_t outputs)
{
    enum { COLUMNS = 20 };
    uint64_t random = depth * 1000 + trees;
    struct mill_model *model = make_model(depth, trees, outputs, &random);
    double values[MILL__TILE_ROWS * COLUMNS], expected[MILL__TILE_ROWS * 3], got[MILL__TILE_ROWS * 3];
    assert_int_equal(model->tables.ranks->perfect.depth, depth);
    for (size_t i = 0; i < MILL__TILE_ROWS * COLUMNS; i++) {
        values[i] =
            support_random(&random) % 15 == 0 ? (double)NAN : (double)(int)(support_random(&random) % 220) - 110;
    }
    void *scratch = mill__lines(model->tables.scratch);
    for (uint32_t n = 1; n <= MILL__TILE_ROWS; n++) {
        mill__heap_rows(&model->tables, &model->forest, &mill__coder_portable, values, COLUMNS, n, got, scratch);
        heap_rows_portable(&model->tables, &model->forest, &mill__coder_portable, values, COLUMNS, n, expected,
                           scratch);
        assert_memory_equal(got, expected, n * outputs * sizeof(*got));
    }
    free(scratch);
    mill_model_free(model);
}

static void test_steps(void **state)
{
    (void)state;
    for (uint32_t depth = 2; depth <= MILL__PERFECT_DEPTH_MAX; depth++) {
        check_steps(depth, 25, 1);
        check_steps(depth, 12, 3);
    }
}

/* Every kernel is run by name in the tests of this directory. */
static void test_all_kernels_are_listed(void **state)
{
    (void)state;
    for (size_t k = 0; k < MILL__KERNELS; k++) {
        size_t i = 0;
        while (support_kernels[i] != NULL && strcmp(support_kernels[i], mill__kernels[k]->name) != 0) {
            i++;
        }
        if (support_kernels[i] == NULL) {
            fail_msg("the kernel '%s' is not in support_kernels", mill__kernels[k]->name);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_all_kernels_are_listed),
    };
    return cmocka_run_group_tests_name("inference/heap", tests, NULL, NULL);
}
