/* SPDX-License-Identifier: Apache-2.0 */
/* Views: names and scopes, the errors of a wrong definition, features and derivations on own rows and in lookups. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "table_fixture.h"

#define EXPR(text)                                                                                                     \
    {                                                                                                                  \
        text, sizeof(text) - 1                                                                                         \
    }

static struct mill_feature_spec features[] = {
    {"x", EXPR("x"), 0, 0},
    {"twice", EXPR("x * 2"), 0, 0},
    {"plus_n", EXPR("twice + n"), 0, 0},
    {"label", EXPR("upper(key)"), 0, 0},
};
static struct mill_aggregate_spec aggregates[] = {
    {.name = "twice_sum_1h", .column = "twice", .function = "sum", .window_us = MILL_US_PER_HOUR},
    {.name = "big_count_1h",
     .column = "x",
     .function = "count",
     .window_us = MILL_US_PER_HOUR,
     .where = EXPR("twice > 4")},
    {.name = "key_count", .column = "key", .function = "count"},
    {.name = "label_age", .column = "label", .function = "time_since_last"},
};
static struct mill_feature_spec derivations[] = {
    {"ratio", EXPR("twice_sum_1h / key_count"), 0, 0},
    {"with_source", EXPR("ratio + n"), 0, 0},
    {"labelled", EXPR("label = 'A'"), 0, 0},
};

static struct mill_view_spec good_spec(void)
{
    return (struct mill_view_spec){.name = "v",
                                   .entity = {"e", fixture_keys, 1},
                                   .source_schema = &fixture_schema,
                                   .features = features,
                                   .feature_count = 4,
                                   .aggregates = aggregates,
                                   .aggregate_count = 4,
                                   .derivations = derivations,
                                   .derivation_count = 3,
                                   .ttl_us = MILL_US_PER_DAY};
}

static void test_columns(void **state)
{
    (void)state;
    static const struct mill_field want[] = {
        {"x", MILL_FLOAT64},           {"twice", MILL_FLOAT64},        {"plus_n", MILL_FLOAT64},
        {"label", MILL_STRING},        {"twice_sum_1h", MILL_FLOAT64}, {"big_count_1h", MILL_INT64},
        {"key_count", MILL_INT64},     {"label_age", MILL_FLOAT64},    {"ratio", MILL_FLOAT64},
        {"with_source", MILL_FLOAT64}, {"labelled", MILL_BOOL},        {"n", MILL_INT64},
    };
    struct mill_view_spec spec = good_spec();
    struct mill_view *view;
    uint32_t columns[8];

    assert_int_equal(mill_view_compile(&spec, &view, NULL), MILL_OK);
    const struct mill_schema *schema = mill_view_schema(view);
    assert_int_equal(schema->field_count, 12);
    assert_int_equal(mill_view_output_count(view), 11); /* n is hidden: a derivation reads it */
    for (uint32_t i = 0; i < 12; i++) {
        assert_string_equal(schema->fields[i].name, want[i].name);
        assert_int_equal(schema->fields[i].type, want[i].type);
    }
    assert_int_equal(mill_view_source_columns(view, columns, 1), 3);
    assert_int_equal(mill_view_source_columns(view, columns, 8), 3);
    assert_int_equal(columns[0], FIXTURE_KEY);
    assert_int_equal(columns[2], FIXTURE_N);
    assert_ptr_equal(mill_view_spec_of(view), &spec);
    mill_view_free(view);
    mill_view_free(NULL);
}

static void test_own_and_lookup(void **state)
{
    (void)state;
    struct fixture f = {.spec = good_spec()};
    const int64_t t = 1000 * MILL_US_PER_SECOND;

    fixture_open(&f, NULL);
    fixture_fold(&f, "a", t, 1);
    fixture_fold(&f, "a", t + 5 * MILL_US_PER_SECOND, 3);
    assert_true(fixture_double(&f, "x") == 3 && fixture_double(&f, "twice") == 6 && fixture_double(&f, "plus_n") == 9);
    assert_true(mill_slice_is(fixture_column(&f, "label")->at.s[0], "A"));
    assert_true(fixture_double(&f, "twice_sum_1h") == 8);
    assert_int_equal(fixture_int(&f, "big_count_1h"), 1);
    assert_int_equal(fixture_int(&f, "key_count"), 2);
    assert_true(fixture_double(&f, "label_age") == 5);
    assert_true(fixture_double(&f, "ratio") == 4 && fixture_double(&f, "with_source") == 7);
    assert_int_equal(fixture_column(&f, "labelled")->at.b[0], 1);
    assert_true(f.result.newest && f.result.superseded_row == UINT32_MAX);

    fixture_lookup(&f, "a", t + 7 * MILL_US_PER_SECOND);
    assert_true(fixture_double(&f, "plus_n") == 9 && fixture_double(&f, "label_age") == 2);
    assert_true(fixture_double(&f, "with_source") == 7); /* by the hidden n */
    assert_true(fixture_is_null(&f, "label") && fixture_is_null(&f, "labelled"));
    fixture_lookup(&f, "a", t + 2 * MILL_US_PER_SECOND); /* as of then */
    assert_true(fixture_double(&f, "plus_n") == 3 && fixture_int(&f, "key_count") == 1);
    fixture_lookup(&f, "a", t + MILL_US_PER_DAY + 5 * MILL_US_PER_SECOND);
    assert_true(fixture_double(&f, "x") == 3 && fixture_is_null(&f, "twice_sum_1h"));
    fixture_lookup(&f, "a", t + MILL_US_PER_DAY + 5 * MILL_US_PER_SECOND + 1); /* beyond the ttl */
    assert_true(fixture_is_null(&f, "x") && fixture_int(&f, "key_count") == 0 && fixture_is_null(&f, "ratio"));
    fixture_lookup(&f, "b", t);
    assert_true(fixture_is_null(&f, "x") && fixture_int(&f, "big_count_1h") == 0);
    fixture_close(&f);
}

static void test_row_without_key(void **state)
{
    (void)state;
    struct fixture f = {.spec = good_spec()};
    struct mill_view_table_stats stats;

    fixture_open(&f, NULL);
    fixture_fold(&f, NULL, 1000, 2);
    assert_false(f.result.newest);
    assert_int_equal(f.result.superseded_row, UINT32_MAX);
    assert_int_equal(fixture_int(&f, "key_count"), 0);
    assert_true(fixture_is_null(&f, "twice_sum_1h"));
    assert_true(fixture_double(&f, "twice") == 4); /* expressions need no key */
    mill_view_table_stats(f.table, &stats);
    assert_int_equal(stats.entities, 0);
    fixture_close(&f);
}

/* Rows of one batch: the newest of an entity is told from those that it supersedes. */
static void test_superseded(void **state)
{
    (void)state;
    static const int64_t times[] = {10, 20, 15, 20, 30};
    static const uint32_t want[] = {UINT32_MAX, 0, UINT32_MAX, 1, 3};
    struct fixture f = {.spec = good_spec()};

    fixture_open(&f, NULL);
    fixture_fold(&f, "a", 5, 1); /* of another batch */
    struct mill_view_use use = {.view = f.view, .first_column = FIXTURE_COLUMNS};
    mill_batch_init(&f.batch, &f.schema, 5, &f.arena);
    f.batch.row_count = 5;
    for (uint32_t row = 0; row < 5; row++) {
        mill_bit_set(f.batch.live, row);
        mill_bit_set(f.batch.columns[FIXTURE_KEY].valid, row);
        f.batch.columns[FIXTURE_KEY].at.s[row] = mill_slice_of("a");
        f.batch.event_time_us[row] = times[row];
        f.batch.offset[row] = 100 + row;
    }
    struct mill_view_rows *rows = mill_view_prepare(&use, &f.batch);
    for (uint32_t row = 0; row < 5; row++) {
        struct mill_fold_result result;
        assert_int_equal(mill_view_fold(f.table, rows, row, &result, NULL), MILL_OK);
        assert_int_equal(result.newest, row != 2);
        assert_int_equal(result.superseded_row, want[row]);
    }
    fixture_close(&f);
}

/* ---- wrong definitions ---- */

static void check_error(struct mill_view_spec spec, unsigned line, unsigned col, const char *part)
{
    struct mill_view *view = NULL;
    struct mill_error err = {0};

    int rc = mill_view_compile(&spec, &view, &err);
    if (rc >= 0 || strstr(err.msg, part) == NULL || err.line != line || err.col != col) {
        print_error("rc %d, %u:%u: %s\nwant %u:%u: %s\n", rc, err.line, err.col, err.msg, line, col, part);
    }
    assert_true(rc < 0 && strstr(err.msg, part) != NULL && err.line == line && err.col == col);
    assert_null(view);
}

static void check_aggregate_error(struct mill_aggregate_spec aggregate, const char *part)
{
    struct mill_view_spec spec = good_spec();

    aggregate.line = 12;
    aggregate.col = 5;
    spec.aggregates = &aggregate;
    spec.aggregate_count = 1;
    spec.derivation_count = 0;
    check_error(spec, 12, 5, part);
}

static void test_aggregate_errors(void **state)
{
    (void)state;
    check_aggregate_error((struct mill_aggregate_spec){.name = "a", .column = "twise", .function = "sum"},
                          "hint: did you mean 'twice'?");
    check_aggregate_error((struct mill_aggregate_spec){.name = "a", .column = "x", .function = "maen"},
                          "hint: did you mean 'mean'?");
    check_aggregate_error((struct mill_aggregate_spec){.name = "a", .column = "label", .function = "max"},
                          "'max' of a string is not supported; hint: count and time_since_last work on strings");
    check_aggregate_error((struct mill_aggregate_spec){.name = "twice", .column = "x", .function = "max"},
                          "view 'v' defines 'twice' twice");
    check_aggregate_error(
        (struct mill_aggregate_spec){.name = "a", .column = "x", .function = "max", .where = EXPR("x + 1")},
        "'where' of 'a' has type float64, expected bool");
    check_aggregate_error((struct mill_aggregate_spec){.name = "a", .column = "x", .function = "max", .window_us = -5},
                          "window of 'a' is negative");
    check_aggregate_error(
        (struct mill_aggregate_spec){
            .name = "a", .column = "x", .function = "max", .window_us = 5, .semantics = MILL_WINDOW_HOP},
        "hop that is not between 1 us and the window");
}

static void test_expression_errors(void **state)
{
    (void)state;
    struct mill_view_spec spec = good_spec();
    struct mill_feature_spec wrong[] = {{"a", EXPR("x"), 3, 10}, {"b", EXPR("x + nope"), 4, 20}};

    spec.features = wrong;
    spec.feature_count = 2;
    spec.aggregate_count = spec.derivation_count = 0;
    check_error(spec, 4, 24, "'b' of view 'v': "); /* the place in the expression, in the file */
    wrong[1] = (struct mill_feature_spec){"a", EXPR("x"), 4, 20};
    check_error(spec, 4, 20, "view 'v' defines 'a' twice; hint: give one another name");

    /* Scopes: features know nothing of aggregates, aggregates nothing of derivations. */
    spec = good_spec();
    wrong[0] = (struct mill_feature_spec){"a", EXPR("key_count"), 3, 10};
    spec.features = wrong;
    spec.feature_count = 1;
    check_error(spec, 3, 10, "'a' of view 'v'");
    spec = good_spec();
    wrong[0] = (struct mill_feature_spec){"d", EXPR("later"), 7, 1};
    wrong[1] = (struct mill_feature_spec){"later", EXPR("x"), 8, 1};
    spec.derivations = wrong;
    spec.derivation_count = 2;
    check_error(spec, 7, 1, "'d' of view 'v'");
}

static void test_key_errors(void **state)
{
    (void)state;
    struct mill_view_spec spec = good_spec();
    struct mill_join_key keys[MILL_KEY_PARTS_MAX + 1] = {{"nokey", MILL_STRING}};

    spec.entity = (struct mill_entity){"e", keys, 1};
    check_error(spec, 0, 0, "the source of view 'v' has no field 'nokey', a join key of entity 'e'");
    keys[0] = (struct mill_join_key){"n", MILL_STRING};
    check_error(spec, 0, 0, "join key 'n' of entity 'e' has type int64 in the source of view 'v', expected string");
    keys[0] = (struct mill_join_key){"x", MILL_INT64};
    check_error(spec, 0, 0, "expected int64");
    spec.entity.key_count = 0;
    check_error(spec, 0, 0, "entity 'e' has 0 join keys, expected 1 to 8");
    spec.entity.key_count = MILL_KEY_PARTS_MAX + 1;
    check_error(spec, 0, 0, "entity 'e' has 9 join keys");
}

/* A feature named like a source field hides it from what comes after. */
static void test_hiding(void **state)
{
    (void)state;
    struct mill_feature_spec hiding[] = {{"x", EXPR("x * 10"), 0, 0}, {"y", EXPR("x + 1"), 0, 0}};
    struct mill_aggregate_spec sum = {.name = "s", .column = "x", .function = "sum"};
    struct fixture f = {.spec = {.features = hiding, .feature_count = 2, .aggregates = &sum, .aggregate_count = 1}};

    fixture_open(&f, NULL);
    fixture_fold(&f, "a", 0, 2);
    assert_true(fixture_double(&f, "x") == 20 && fixture_double(&f, "y") == 21 && fixture_double(&f, "s") == 20);
    fixture_close(&f);
}

static uint64_t hash_of(struct mill_view_spec spec)
{
    struct mill_view *view;
    assert_int_equal(mill_view_compile(&spec, &view, NULL), MILL_OK);
    uint64_t hash = mill_view_state_hash(view);
    mill_view_free(view);
    return hash;
}

static void test_state_hash(void **state)
{
    (void)state;
    struct mill_view_spec spec = good_spec();
    struct mill_aggregate_spec other[4];
    uint64_t hash = hash_of(spec);

    assert_true(hash_of(spec) == hash);
    spec.ttl_us = spec.lateness_us = 77; /* give no stored byte another meaning */
    assert_true(hash_of(spec) == hash);
    memcpy(other, aggregates, sizeof(other));
    spec.aggregates = other;
    other[0].window_us *= 2;
    assert_true(hash_of(spec) != hash);
    other[0] = aggregates[0];
    other[1].where = (struct mill_slice)EXPR("twice > 5");
    assert_true(hash_of(spec) != hash);
    other[1] = aggregates[1];
    other[2].function = "time_since_last";
    spec.derivation_count = 0;
    assert_true(hash_of(spec) != hash);
}

static void test_docs(void **state)
{
    (void)state;
    struct mill_buffer text = {0};
    size_t count;
    const char *const *names = mill_aggregate_names(&count);

    assert_int_equal(mill_file_read(MILL_SOURCE_DIR "/docs/aggregates.md", 1 << 20, &text, NULL), MILL_OK);
    for (size_t i = 0; i < count; i++) {
        char row[64];
        snprintf(row, sizeof(row), "| `%s` |", names[i]);
        if (strstr(mill_buffer_cstr(&text), row) == NULL) {
            fail_msg("docs/aggregates.md has no row for '%s'", names[i]);
        }
        struct mill_view_spec spec = good_spec(); /* and what is listed exists */
        struct mill_aggregate_spec a = {.name = "a", .column = "x", .function = names[i]};
        spec.aggregates = &a;
        spec.aggregate_count = 1;
        spec.derivation_count = 0;
        hash_of(spec);
    }
    mill_buffer_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),          cmocka_unit_test(test_own_and_lookup),
        cmocka_unit_test(test_row_without_key),  cmocka_unit_test(test_superseded),
        cmocka_unit_test(test_aggregate_errors), cmocka_unit_test(test_expression_errors),
        cmocka_unit_test(test_key_errors),       cmocka_unit_test(test_hiding),
        cmocka_unit_test(test_state_hash),       cmocka_unit_test(test_docs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
