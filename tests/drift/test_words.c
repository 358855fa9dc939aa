/* SPDX-License-Identifier: Apache-2.0 */
/* Bins and smoothing as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "drift/drift.h"

static int bins(const char *text, struct mill_binning *ret, struct mill_arena *arena)
{
    struct mill_error err = {0};
    int rc = mill_binning_parse(mill_slice_of(text), arena, ret, &err);
    assert_true(rc == 0 || (err.msg[0] != '\0' && err.code == MILL_ECONFIG));
    return rc;
}

static void test_bins(void **state)
{
    struct mill_arena arena;
    struct mill_binning b;

    (void)state;
    mill_arena_init(&arena, 0);
    assert_int_equal(bins("quantile:10", &b, &arena), 0);
    assert_true(b.kind == MILL_BINS_QUANTILE && b.count == 10 && !b.atoms);
    assert_int_equal(bins("uniform:25+atoms", &b, &arena), 0);
    assert_true(b.kind == MILL_BINS_UNIFORM && b.count == 25 && b.atoms);
    assert_int_equal(bins("edges:-1.5, 0,1e3", &b, &arena), 0);
    assert_true(b.kind == MILL_BINS_EDGES && b.edge_count == 3 && b.count == 4);
    assert_true(b.edges[0] == -1.5 && b.edges[1] == 0 && b.edges[2] == 1000);
    static const char *const wrong[] = {
        "",        "quantile",  "quantile:",  "quantile:1",    "quantile:1001",   "quantile:ten",
        "edges:",  "edges:1,1", "edges:2,1",  "edges:1,,2",    "edges:nan",       "edges:1e999",
        "deciles", "+atoms",    "uniform:-3", "quantile:10.5", "quantile:10+atom"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(bins(wrong[i], &b, &arena), MILL_ECONFIG);
    }
    mill_arena_clear(&arena);
}

static void test_smoothing(void **state)
{
    struct mill_smoothing s;
    struct mill_error err;

    (void)state;
    assert_int_equal(mill_smoothing_parse(mill_slice_of("add:0.5"), &s, &err), 0);
    assert_true(s.kind == MILL_SMOOTHING_ADD && s.amount == 0.5);
    assert_int_equal(mill_smoothing_parse(mill_slice_of("floor:1e-4"), &s, &err), 0);
    assert_true(s.kind == MILL_SMOOTHING_FLOOR && s.amount == 1e-4);
    assert_int_equal(mill_smoothing_parse(mill_slice_of("none"), &s, &err), 0);
    assert_true(s.kind == MILL_SMOOTHING_NONE);
    static const char *const wrong[] = {"", "add", "add:", "add:0", "add:-1", "floor:1", "floor:x", "none:1", "some"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_int_equal(mill_smoothing_parse(mill_slice_of(wrong[i]), &s, &err), MILL_ECONFIG);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_bins), cmocka_unit_test(test_smoothing)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
