/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on decoded rows, the list of rejects, and the watch on nulls. */
#include "tests/ingest/decode_fixture.h"

#include <math.h>

#include "tests/base/random.h"

static struct fixture f;

/* Decodes one JSON object a line and validates. */
static void decode(const char *const *texts, uint32_t count)
{
    struct mill_record records[16];

    for (uint32_t i = 0; i < count; i++) {
        records[i] = (struct mill_record){.value = mill_slice_of(texts[i]), .offset = i};
    }
    assert_int_equal(fixture_decode(&f, records, count), 0);
    mill_validate_batch(&f.spec, &f.batch, &f.rejects);
}

static void expect(const char *text, const char *row)
{
    decode(&text, 1);
    assert_string_equal(fixture_row(&f, 0), row);
}

#define EPOCH "[\"1970-01-01T00:00:00Z\","

static void test_rules(void **state)
{
    static const struct mill_slice allowed[] = {{"EWR", 3}, {"JFK", 3}};
    struct mill_field_rule rules[] = {
        {.column = 1, .required = true, .allowed = allowed, .allowed_count = 2},
        {.column = 2, .has_range = true, .min = -5, .max = 10},
        {.column = 3, .has_range = true, .min = 0.5, .max = (double)INFINITY},
        {.column = 0, .has_range = true, .min = 0, .max = 100},
    };

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms s:string n:int64 x:float64");
    f.spec.rules = rules;
    f.spec.rule_count = 4;
    fixture_open(&f);
    expect("{\"ts\":0,\"s\":\"EWR\",\"n\":-5,\"x\":0.5}", EPOCH "\"EWR\",-5,0.5]");
    expect("{\"ts\":0,\"s\":\"JFK\",\"n\":10,\"x\":1e300}", EPOCH "\"JFK\",10,1e+300]");
    expect("{\"ts\":0,\"s\":\"JFK\"}", EPOCH "\"JFK\",null,null]");
    expect("{\"ts\":0}", "required: required field 's' is null or missing");
    expect("{\"ts\":0,\"s\":\"\"}", "not_allowed: field 's': '' is not one of the 2 allowed values");
    expect("{\"ts\":0,\"s\":\"EW\\u00e9\"}",
           "not_allowed: field 's': 'EW\\xc3\\xa9' is not one of the 2 allowed values");
    expect("{\"ts\":0,\"s\":\"JFK\",\"n\":11}", "range: field 'n': 11 is not in the range [-5, 10]");
    expect("{\"ts\":0,\"s\":\"JFK\",\"n\":-6}", "range: field 'n': -6 is not in the range [-5, 10]");
    expect("{\"ts\":0,\"s\":\"JFK\",\"x\":0.25}", "range: field 'x': 0.25 is not in the range [0.5, infinity]");
    expect("{\"ts\":100001,\"s\":\"JFK\"}",
           "range: field 'ts': 1970-01-01T00:01:40.001Z is not in the range [0, 100] (seconds)");
    /* one reject a row, the first rule that it breaks */
    expect("{\"ts\":-1,\"n\":99}", "required: required field 's' is null or missing");
    assert_int_equal(f.rejects.count, 1);
    fixture_clear(&f);
}

/* Bounds that no double can tell apart from their neighbours. */
static void test_integer_bounds(void **state)
{
    struct mill_field_rule rule = {.column = 1, .has_range = true, .min = -0x1p63, .max = 9007199254740992.0};

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms n:int64");
    f.spec.rules = &rule;
    f.spec.rule_count = 1;
    fixture_open(&f);
    expect("{\"ts\":0,\"n\":9007199254740992}", EPOCH "9007199254740992]");
    expect("{\"ts\":0,\"n\":9007199254740993}",
           "range: field 'n': 9007199254740993 is not in the range [-9223372036854775808, 9007199254740992]");
    expect("{\"ts\":0,\"n\":-9223372036854775808}", EPOCH "-9223372036854775808]");
    rule.min = 0.5;
    rule.max = 0.75;
    expect("{\"ts\":0,\"n\":0}", "range: field 'n': 0 is not in the range [0.5, 0.75]");
    expect("{\"ts\":0,\"n\":1}", "range: field 'n': 1 is not in the range [0.5, 0.75]");
    rule.min = 0x1p63;
    rule.max = 0x1p64;
    expect("{\"ts\":0,\"n\":9223372036854775807}",
           "range: field 'n': 9223372036854775807 is not in the range [9.223372036854776e+18, 1.8446744073709552e+19]");
    fixture_clear(&f);
}

static void test_nan_is_in_no_range(void **state)
{
    struct mill_field_rule rule = {.column = 1, .has_range = true, .min = -(double)INFINITY, .max = (double)INFINITY};

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms x:float64");
    f.spec.rules = &rule;
    f.spec.rule_count = 1;
    f.spec.allow_non_finite = true;
    fixture_open(&f);
    expect("{\"ts\":0,\"x\":Infinity}", EPOCH "\"Infinity\"]");
    expect("{\"ts\":0,\"x\":NaN}", "range: field 'x': NaN is not in the range [-infinity, infinity]");
    fixture_clear(&f);
}

/* Against a plain loop over random rows. */
static void test_random_rows(void **state)
{
    struct mill_field_rule rules[] = {
        {.column = 1, .has_range = true, .min = -10, .max = 10},
        {.column = 2, .required = true},
    };

    (void)state;
    random_seed("test_random_rows");
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms n:int64 ok:bool");
    f.spec.rules = rules;
    f.spec.rule_count = 2;
    for (int round = 0; round < 50; round++) {
        uint32_t count = 1 + random_below(300), dead = 0, good = 0;
        fixture_batch(&f, count);
        f.batch.row_count = count;
        for (uint32_t i = 0; i < count; i++) {
            f.batch.columns[1].at.i[i] = (int64_t)random_below(41) - 20;
            for (uint32_t c = 1; c < 3; c++) {
                if (random_below(5) > 0) {
                    mill_bit_set(f.batch.columns[c].valid, i);
                }
            }
            if (random_below(6) > 0) {
                mill_bit_set(f.batch.live, i);
            } else {
                dead++;
            }
        }
        uint64_t live[8];
        memcpy(live, f.batch.live, sizeof(uint64_t) * mill_bit_words(count));
        mill_validate_batch(&f.spec, &f.batch, &f.rejects);
        for (uint32_t i = 0; i < count; i++) {
            int64_t n = f.batch.columns[1].at.i[i];
            bool fits = (!mill_bit_get(f.batch.columns[1].valid, i) || (n >= -10 && n <= 10)) &&
                        mill_bit_get(f.batch.columns[2].valid, i);
            assert_int_equal(mill_bit_get(f.batch.live, i), mill_bit_get(live, i) && fits);
            good += mill_bit_get(f.batch.live, i);
        }
        assert_int_equal(f.rejects.count, count - dead - good);
    }
    fixture_clear(&f);
}

static void test_reject_list_grows(void **state)
{
    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms");
    fixture_batch(&f, 1000);
    f.batch.row_count = 1000;
    for (uint32_t i = 0; i < 1000; i++) {
        mill_bit_set(f.batch.live, i);
        mill_reject_row(&f.rejects, &f.batch, i, MILL_REJECT_LATE, "row %u", i);
        assert_false(mill_bit_get(f.batch.live, i));
    }
    assert_int_equal(f.rejects.count, 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        char text[16];
        snprintf(text, sizeof(text), "row %u", i);
        assert_int_equal(f.rejects.at[i].row, i);
        assert_string_equal(f.rejects.at[i].detail, text);
    }
    for (int reason = 0; reason < MILL_REJECT_REASON_COUNT; reason++) {
        assert_non_null(mill_reject_reason_name((enum mill_reject_reason)reason));
    }
    fixture_clear(&f);
}

/* ---- nulls ---- */

/* count rows at that second, the first `nulls` of them with a null in column 1. */
static uint32_t add_rows(struct mill_null_watch *watch, int64_t second, uint32_t count, uint32_t nulls,
                         struct mill_null_warning *warnings)
{
    fixture_batch(&f, count);
    f.batch.row_count = count;
    for (uint32_t i = 0; i < count; i++) {
        f.batch.event_time_us[i] = second * MILL_US_PER_SECOND;
        mill_bit_set(f.batch.columns[0].valid, i);
        mill_bit_set(f.batch.live, i);
        if (i >= nulls) {
            mill_bit_set(f.batch.columns[1].valid, i);
        }
    }
    return mill_null_watch_add(watch, &f.batch, warnings, 2);
}

static void test_null_watch(void **state)
{
    struct mill_null_warning warnings[2];

    (void)state;
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms x:float64");
    f.spec.max_null_fraction = 0.2;
    f.spec.null_window_us = 60 * MILL_US_PER_SECOND;
    struct mill_null_watch *watch = mill_null_watch_new(&f.spec);
    /* few rows say nothing yet; with enough of them the window warns, once */
    assert_int_equal(add_rows(watch, 0, 50, 50, warnings), 0);
    assert_int_equal(add_rows(watch, 30, 100, 0, warnings), 1);
    assert_int_equal(warnings[0].column, 1);
    assert_int_equal(warnings[0].rows, 150);
    assert_int_equal(warnings[0].nulls, 50);
    assert_int_equal(warnings[0].window_start_us, 0);
    assert_int_equal(add_rows(watch, 59, 100, 100, warnings), 0);
    /* exactly the fraction is allowed */
    assert_int_equal(add_rows(watch, 60, 500, 100, warnings), 0);
    assert_int_equal(add_rows(watch, 61, 1, 1, warnings), 1);
    assert_int_equal(warnings[0].window_start_us, 60 * MILL_US_PER_SECOND);
    /* a small window is judged when it is closed, which is when the one after the next begins */
    assert_int_equal(add_rows(watch, 120, 4, 1, warnings), 0);
    assert_int_equal(add_rows(watch, 180, 4, 0, warnings), 0);
    assert_int_equal(add_rows(watch, 125, 4, 1, warnings), 0);    /* out of order, still counted */
    assert_int_equal(add_rows(watch, 59, 200, 200, warnings), 0); /* long closed, not counted */
    assert_int_equal(add_rows(watch, 240, 4, 4, warnings), 1);
    assert_int_equal(warnings[0].window_start_us, 120 * MILL_US_PER_SECOND);
    assert_int_equal(warnings[0].rows, 8);
    assert_int_equal(warnings[0].nulls, 2);
    assert_int_equal(mill_null_watch_finish(watch, warnings, 2), 1);
    assert_int_equal(warnings[0].window_start_us, 240 * MILL_US_PER_SECOND);
    assert_int_equal(mill_null_watch_finish(watch, warnings, 2), 0);
    mill_null_watch_free(watch);
    f.spec.max_null_fraction = 1;
    watch = mill_null_watch_new(&f.spec);
    assert_int_equal(add_rows(watch, 0, 500, 500, warnings), 0);
    mill_null_watch_free(watch);
    mill_null_watch_free(NULL);
    fixture_clear(&f);
}

/* Ordered events in batches of any size: the windows that warn are those whose share is too large. */
static void test_null_watch_random(void **state)
{
    enum { WINDOWS = 40, ROWS = 20000 };
    uint64_t rows[WINDOWS] = {0}, nulls[WINDOWS] = {0}, warned[WINDOWS] = {0};
    struct mill_null_warning warnings[2];
    uint32_t row = 0, count;

    (void)state;
    random_seed("test_null_watch_random");
    fixture_init(&f, MILL_FORMAT_JSON, "ts:timestamp/ms x:float64");
    f.spec.max_null_fraction = 0.5;
    f.spec.null_window_us = 1000;
    struct mill_null_watch *watch = mill_null_watch_new(&f.spec);
    for (uint32_t done = 0; done < ROWS; done += count) {
        count =
            1 + random_below(99); /* a window is judged from 100 rows on, so no call judges two for the first time */
        count = count > ROWS - done ? ROWS - done : count;
        fixture_batch(&f, count);
        f.batch.row_count = count;
        for (uint32_t i = 0; i < count; i++, row++) {
            uint32_t window = row / (ROWS / WINDOWS);
            bool null = random_below(WINDOWS) < window;
            f.batch.event_time_us[i] = (int64_t)window * 1000 + random_below(1000);
            mill_bit_set(f.batch.live, i);
            mill_bit_set(f.batch.columns[0].valid, i);
            if (!null) {
                mill_bit_set(f.batch.columns[1].valid, i);
            }
            rows[window]++;
            nulls[window] += null;
        }
        uint32_t n = mill_null_watch_add(watch, &f.batch, warnings, 2);
        for (uint32_t i = 0; i < n; i++) {
            warned[warnings[i].window_start_us / 1000]++;
        }
    }
    uint32_t n = mill_null_watch_finish(watch, warnings, 2);
    for (uint32_t i = 0; i < n; i++) {
        warned[warnings[i].window_start_us / 1000]++;
    }
    for (int w = 0; w < WINDOWS; w++) {
        assert_true(warned[w] <= 1);
        if (nulls[w] * 2 > rows[w] && w < WINDOWS - 1) {
            assert_int_equal(warned[w], 1);
        } else if (nulls[w] * 10 < rows[w] * 3) { /* far below; a window may warn early and end below */
            assert_int_equal(warned[w], 0);
        }
    }
    mill_null_watch_free(watch);
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),
        cmocka_unit_test(test_integer_bounds),
        cmocka_unit_test(test_nan_is_in_no_range),
        cmocka_unit_test(test_random_rows),
        cmocka_unit_test(test_reject_list_grows),
        cmocka_unit_test(test_null_watch),
        cmocka_unit_test(test_null_watch_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
