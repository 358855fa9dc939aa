/* SPDX-License-Identifier: Apache-2.0 */
/* The cases of data/more (make_cases.py): many versions, objectives and shapes of every trainer, each small, against
 * what its own library says: margins, predictions, contributions, for every kernel and several batch sizes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "support.h"

static void expect(const struct support_case *c, const char *what, const double *got, const double *expected, size_t n,
                   bool exact)
{
    bool doubles = mill_model_info(c->model)->doubles;
    for (size_t i = 0; i < n; i++) {
        uint64_t ulps =
            doubles ? support_ulps64(got[i], expected[i]) : support_ulps32((float)got[i], (float)expected[i]);
        double allowed = c->distance * fmax(fabs(expected[i]), c->distance > 1e-10 ? 1 : 1e-300);
        bool near = c->distance > 0 && fabs(got[i] - expected[i]) <= allowed;
        if (ulps > (exact || c->distance > 0 ? 0 : 1) && !near) {
            fail_msg("%s: %s %zu is %.17g, expected %.17g", c->name, what, i, got[i], expected[i]);
        }
    }
}

static void check_scores(const struct support_case *c, enum mill_model_output output, const double *expected)
{
    static const size_t batches[] = {1, 7, 48};
    const struct mill_model_info *info = mill_model_info(c->model);
    bool margins = output == MILL_MODEL_MARGIN;
    size_t width = margins ? info->margin_count : info->output_count;
    double *got = mill_malloc(c->row_count * width * sizeof(*got));
    for (size_t b = 0; b < sizeof(batches) / sizeof(batches[0]); b++) {
        for (size_t first = 0; first < c->row_count; first += batches[b]) {
            size_t n = c->row_count - first < batches[b] ? c->row_count - first : batches[b];
            mill_model_score_f64(c->model, c->rows + first * c->columns, n, c->columns, c->columns, output,
                                 got + first * width);
        }
        expect(c, margins ? "margin" : "prediction", got, expected, c->row_count * width, margins);
    }
    free(got);
}

static void check_case(struct support_case *c)
{
    const struct mill_model_info *info = mill_model_info(c->model);
    size_t n = 0;
    double *margins = support_case_numbers(c, "margin", &n);
    if (margins != NULL) {
        assert_int_equal(n, c->row_count * info->margin_count);
        check_scores(c, MILL_MODEL_MARGIN, margins);
    }
    double *predictions = support_case_numbers(c, "pred", &n);
    assert_non_null(predictions);
    assert_int_equal(n, c->row_count * info->output_count);
    check_scores(c, MILL_MODEL_PREDICTION, predictions);
    free(margins);
    free(predictions);
}

static void test_every_kernel(void **state)
{
    (void)state;
    for (size_t k = 0; support_kernels[k] != NULL; k++) {
        setenv("MILL_KERNEL", support_kernels[k], 1);
        assert_true(support_each_case(check_case) > 60);
    }
    unsetenv("MILL_KERNEL");
}

/* Every contribution is XGBoost's within 1e-6 of the largest of its row. */
static void check_contributions(struct support_case *c)
{
    const struct mill_model_info *info = mill_model_info(c->model);
    size_t n = 0, per_row = (size_t)info->margin_count * (info->feature_count + 1);
    double *expected = support_case_numbers(c, "contribs", &n);
    if (expected == NULL) {
        return;
    }
    assert_int_equal(n, c->row_count * per_row);
    double *got = mill_malloc(per_row * sizeof(*got));
    for (size_t r = 0; r < c->row_count; r++) {
        struct mill_error err = {0};
        if (mill_model_explain(c->model, c->rows + r * c->columns, c->columns, got, &err) < 0) {
            fail_msg("%s: %s", c->name, err.msg);
        }
        for (size_t i = 0; i < per_row; i++) {
            double want = expected[r * per_row + i];
            if (!(fabs(got[i] - want) <= 1e-6 * fmax(1, fabs(want)))) {
                fail_msg("%s: row %zu, contribution %zu is %.9g, expected %.9g", c->name, r, i, got[i], want);
            }
        }
    }
    free(got);
    free(expected);
}

static void test_contributions(void **state)
{
    (void)state;
    setenv("MILL_KERNEL", "portable", 1);
    support_each_case(check_contributions);
    unsetenv("MILL_KERNEL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kernel),
        cmocka_unit_test(test_contributions),
    };
    return cmocka_run_group_tests_name("inference/cases", tests, NULL, NULL);
}
