/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What windows mean: the hops that are chosen, the edges of every semantics, and the published vectors of Chronon
 * (FetcherTest generateEventOnlyData, MutationsTest testDecayedWindowCase) and OpenMLDB (test_window_row_range.yaml).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "featurestore/window_internal.h"
#include "table_fixture.h"

#define HOUR MILL_US_PER_HOUR
#define DAY  MILL_US_PER_DAY

static int64_t hop_of(int64_t width_us, enum mill_window_semantics semantics, int64_t hop_us)
{
    struct mill_aggregate_spec spec = {
        .name = "a", .window_us = width_us, .semantics = semantics, .hop_us = hop_us, .line = 3, .col = 7};
    struct mill__window window;
    struct mill_error err = {0};

    if (mill__window_resolve(&spec, &window, &err) < 0) {
        assert_int_equal(err.code, MILL_ECONFIG);
        assert_int_equal(err.line, 3);
        assert_non_null(strstr(err.msg, "'a'"));
        return -1;
    }
    return window.hop_us;
}

static void test_hops(void **state)
{
    (void)state;
    assert_int_equal(hop_of(HOUR, MILL_WINDOW_DEFAULT, 0), 1); /* the events themselves */
    assert_int_equal(hop_of(HOUR + 60, MILL_WINDOW_DEFAULT, 0), 60000001);
    assert_int_equal(hop_of(3 * HOUR, MILL_WINDOW_DEFAULT, 0), 3 * MILL_US_PER_MINUTE);
    assert_int_equal(hop_of(7 * DAY, MILL_WINDOW_DEFAULT, 0), 7 * DAY / 60);
    assert_int_equal(hop_of(3601 * MILL_US_PER_SECOND, MILL_WINDOW_DEFAULT, 0), 3601 * MILL_US_PER_SECOND / 64);
    assert_int_equal(hop_of(HOUR + 11, MILL_WINDOW_DEFAULT, 0), -1); /* a prime: no divisor */
    assert_int_equal(hop_of(11 * HOUR, MILL_WINDOW_CHRONON, 0), 5 * MILL_US_PER_MINUTE);
    assert_int_equal(hop_of(12 * HOUR, MILL_WINDOW_CHRONON, 0), HOUR);
    assert_int_equal(hop_of(12 * DAY, MILL_WINDOW_CHRONON, 0), DAY);
    assert_int_equal(hop_of(DAY, MILL_WINDOW_FEAST, 0), 5 * MILL_US_PER_MINUTE);
    assert_int_equal(hop_of(DAY, MILL_WINDOW_FEAST, HOUR), HOUR);
    assert_int_equal(hop_of(DAY, MILL_WINDOW_HOP, 0), -1);
    assert_int_equal(hop_of(DAY, MILL_WINDOW_HOP, DAY + 1), -1);
    assert_int_equal(hop_of(DAY, MILL_WINDOW_HOP, -5), -1);
    assert_int_equal(hop_of(DAY, MILL_WINDOW_HOP, 1000), -1); /* 86 million panes */
    assert_int_equal(hop_of(0, MILL_WINDOW_FEAST, 0), -1);
    assert_int_equal(hop_of(-1, MILL_WINDOW_EXACT, 0), -1);
    assert_int_equal(hop_of(0, MILL_WINDOW_HOP, HOUR), 0);
}

static void check_edges(enum mill_window_semantics semantics, int64_t hop_us, int64_t t, int64_t first, int64_t last)
{
    struct mill__window w = {.width_us = 100, .hop_us = hop_us, .semantics = semantics};
    assert_int_equal(mill__window_first(&w, t), first);
    assert_int_equal(mill__window_last(&w, t), last);
}

static void test_edges(void **state)
{
    (void)state;
    check_edges(MILL_WINDOW_EXACT, 1, 1000, 901, 1000);
    check_edges(MILL_WINDOW_OPENMLDB, 1, 1000, 900, 1000);
    check_edges(MILL_WINDOW_HOP, 30, 1000, 900, 1000);
    check_edges(MILL_WINDOW_HOP, 30, 1019, 900, 1019);
    check_edges(MILL_WINDOW_HOP, 30, -1, -120, -1); /* floor goes toward minus infinity */
    check_edges(MILL_WINDOW_CHRONON, 30, 1029, 900, 1028);
    check_edges(MILL_WINDOW_FEAST, 50, 1049, 900, 999);
    check_edges(MILL_WINDOW_EXACT, 1, INT64_MIN, INT64_MIN + 1, INT64_MIN); /* no wrap */
    check_edges(MILL_WINDOW_HOP, 30, INT64_MIN + 3, INT64_MIN, INT64_MIN + 3);
}

static int64_t at(const char *text)
{
    int64_t us;
    assert_int_equal(mill_timestamp_parse(mill_slice_of(text), &us), MILL_OK);
    return us;
}

static void test_chronon_a(void **state)
{
    (void)state;
    struct mill_aggregate_spec aggregates[] = {
        {.name = "sum", .column = "n", .function = "sum", .semantics = MILL_WINDOW_CHRONON},
        {.name = "avg_2d", .column = "x", .function = "mean", .window_us = 2 * DAY, .semantics = MILL_WINDOW_CHRONON},
        {.name = "count_1d", .column = "x", .function = "count", .window_us = DAY, .semantics = MILL_WINDOW_CHRONON},
    };
    static const struct {
        const char *key, *time;
        double rating;
    } rows[] = {
        {"1", "2021-04-08 00:30", 2},  {"1", "2021-04-09 05:35", 4},  {"1", "2021-04-10 02:30", 5},
        {"1", "2021-04-10 02:30", 5},  {"1", "2021-04-10 02:30", 8},  {"1", "2021-04-10 02:30", 8},
        {"2", "2021-04-07 00:30", 10}, {"2", "2021-04-07 00:30", 10}, {"2", "2021-04-08 00:30", 2},
        {"2", "2021-04-09 05:35", 4},  {"2", "2021-04-10 02:30", 5},  {"2", "2021-04-10 02:30", 5},
        {"2", "2021-04-10 02:30", 8},  {"2", "2021-04-10 02:30", 8},  {"2", "2021-04-07 00:30", 10},
        {"2", "2021-04-07 00:30", 10}, {NULL, "2021-04-10 02:30", 8},
    };
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 3}};

    fixture_open(&f, NULL);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        fixture_fold(&f, rows[i].key, at(rows[i].time), rows[i].rating);
    }
    int64_t query = at("2021-04-10 03:10");
    fixture_lookup(&f, "1", query);
    assert_int_equal(fixture_int(&f, "sum"), 32);
    assert_true(fixture_double(&f, "avg_2d") == 6.0);
    assert_int_equal(fixture_int(&f, "count_1d"), 5); /* histogram {4:1, 5:2, 8:2} */
    fixture_lookup(&f, "2", query);
    assert_int_equal(fixture_int(&f, "sum"), 72);
    assert_true(fixture_double(&f, "avg_2d") == 6.0);
    assert_int_equal(fixture_int(&f, "count_1d"), 5);
    fixture_lookup(&f, NULL, query);
    assert_true(fixture_is_null(&f, "sum"));
    fixture_close(&f);
}

static double chronon_b(double corrected, const char *query)
{
    struct mill_aggregate_spec aggregates[] = {
        {.name = "avg_4d", .column = "x", .function = "mean", .window_us = 4 * DAY, .semantics = MILL_WINDOW_CHRONON},
    };
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 1}};

    fixture_open(&f, NULL);
    fixture_fold(&f, "2", at("2021-04-04 01:40"), 3);
    fixture_fold(&f, "2", at("2021-04-05 03:40"), 3);
    fixture_fold(&f, "2", at("2021-04-06 03:45"), 4);
    fixture_fold(&f, "2", at("2021-04-09 05:45"), corrected);
    fixture_fold(&f, "2", at("2021-04-10 10:00"), 4);
    fixture_lookup(&f, "2", at(query));
    double value = fixture_double(&f, "avg_4d");
    fixture_close(&f);
    return value;
}

static void test_chronon_b(void **state)
{
    (void)state;
    assert_true(chronon_b(2, "2021-04-09 01:30") == 3.5);
    assert_true(chronon_b(2, "2021-04-09 04:30") == 4.0); /* the tail is floored to the hour: 03:40 is out */
    assert_true(chronon_b(2, "2021-04-09 06:30") == 3.0);
    /* After the correction of a rating; corrections themselves are another source's business. */
    assert_true(chronon_b(5, "2021-04-09 08:30") == 4.5);
    assert_true(chronon_b(5, "2021-04-10 09:00") == 5.0);
    assert_true(chronon_b(5, "2021-04-10 23:00") == 4.5);
}

static void test_openmldb(void **state)
{
    (void)state;
    struct mill_aggregate_spec aggregates[] = {
        {.name = "sum",
         .column = "n",
         .function = "sum",
         .window_us = 2 * MILL_US_PER_SECOND,
         .semantics = MILL_WINDOW_OPENMLDB},
    };
    static const int64_t want[] = {30, 61, 93, 96};
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 1}};

    fixture_open(&f, NULL);
    for (int i = 0; i < 4; i++) {
        fixture_fold(&f, "aa", INT64_C(1590738990000000) + i * MILL_US_PER_SECOND, 30 + i);
        assert_int_equal(fixture_int(&f, "sum"), want[i]);
    }
    fixture_fold(&f, "bb", INT64_C(1590738994000000), 34);
    assert_int_equal(fixture_int(&f, "sum"), 34);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hops),      cmocka_unit_test(test_edges),    cmocka_unit_test(test_chronon_a),
        cmocka_unit_test(test_chronon_b), cmocka_unit_test(test_openmldb),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
