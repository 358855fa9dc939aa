/* SPDX-License-Identifier: Apache-2.0 */
/* What records of the drift topics say of a report, an alert, a trigger and a match made by hand. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <cmocka.h>

#include "base/timestamp.h"
#include "tests/drift/drift_rows.h"
#include "tests/drift/record_oracle.h"

struct fixture {
    struct mill_profile *profile;
    struct mill_drift_window *window;
    struct mill_arena arena;
    struct mill_drift_report report;
};

static void open_fixture(struct fixture *f)
{
    enum { ROWS = 3000 };
    struct drift_row *rows = mill_malloc(2 * ROWS * sizeof(*rows));
    struct mill_profile_spec spec = drift_rows_spec;
    struct mill_drift_rule rule;
    uint64_t random = 7;

    spec.segment_by = "site";
    spec.segments_max = 2;
    for (uint32_t i = 0; i < 2 * ROWS; i++) {
        rows[i] = drift_row_make(&random, i, i < ROWS ? 0 : 0.7);
    }
    rows[ROWS].x = INFINITY;
    rows[0].x = INFINITY;
    mill_arena_init(&f->arena, 0);
    f->profile = drift_rows_profile(&spec, rows, ROWS);
    f->window = drift_rows_window(&spec, f->profile, rows + ROWS, ROWS);
    mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
    mill_drift_evaluate(f->window, f->profile, &rule, false, &f->arena, &f->report);
    f->report.monitor = "inputs \"1\"";
    f->report.model = "churn";
    f->report.model_version = "3";
    f->report.start_us = 0;
    f->report.end_us = MILL_US_PER_DAY;
    memcpy(f->report.id, "00112233445566778899aabbccddeeff", 33);
    free(rows);
}

static void close_fixture(struct fixture *f)
{
    mill_drift_window_free(f->window);
    mill_profile_free(f->profile);
    mill_arena_clear(&f->arena);
}

static const char *text_of(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static void test_report(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer out = {0};

    open_fixture(&f);
    mill_drift_report_write_json(&f.report, "shop", 1800000000000001, &out);
    json_t *value = record_read_json("drift_report.avsc", mill_buffer_slice(&out));
    assert_string_equal(text_of(value, "monitor"), "inputs \"1\"");
    assert_string_equal(text_of(value, "severity"), "major");
    assert_string_equal(text_of(json_object_get(value, "reference"), "id"), "churn@3");
    const json_t *window = json_object_get(value, "window");
    assert_string_equal(text_of(window, "end"), "1970-01-02T00:00:00Z");
    assert_int_equal(json_integer_value(json_object_get(window, "n")), 3000);
    const json_t *features = json_object_get(value, "features");
    assert_int_equal(json_array_size(features), 3 * 4);
    const json_t *x = json_array_get(features, 0), *metrics = json_object_get(x, "metrics");
    assert_true(json_is_null(json_object_get(x, "segment")));
    assert_string_equal(json_string_value(json_array_get(json_object_get(x, "conditions"), 0)), "infinite");
    assert_true(json_is_null(json_object_get(metrics, "mean"))); /* of infinities: not a number */
    assert_true(json_real_value(json_object_get(json_object_get(metrics, "ks"), "statistic")) ==
                f.report.results[0].ks.statistic);
    assert_true(json_real_value(json_object_get(metrics, "psi")) == f.report.results[0].psi);
    assert_string_equal(text_of(json_array_get(features, 3), "segment"), "site=north");
    json_decref(value);
    mill_buffer_clear(&out);
    close_fixture(&f);
}

static void test_alert(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer out = {0};

    open_fixture(&f);
    struct mill_drift_alert alert = {
        .id = "0f",
        .fingerprint = "f0",
        .status = MILL_ALERT_ESCALATED,
        .severity = MILL_SEVERITY_MAJOR,
        .previous_severity = MILL_SEVERITY_MINOR,
        .since_us = MILL_US_PER_HOUR,
        .report = &f.report,
        .result = &f.report.results[1],
    };
    mill_drift_alert_write_json(&alert, "shop", INT64_MIN, &out);
    json_t *value = record_read_json("drift_alert.avsc", mill_buffer_slice(&out));
    assert_string_equal(text_of(value, "feature"), "color");
    assert_string_equal(text_of(value, "status"), "escalated");
    assert_string_equal(text_of(value, "since"), "1970-01-01T01:00:00Z");
    assert_null(json_object_get(value, "created_at"));
    const char *reason = text_of(value, "reason");
    assert_true(json_real_value(json_object_get(json_object_get(value, "thresholds"), reason)) ==
                f.report.results[1].threshold);
    json_decref(value);
    mill_buffer_reset(&out);
    alert.result = NULL;
    f.report.has_performance = true;
    f.report.performance = (struct mill_performance){.scored = 5, .labelled = 4, .auc = 0.5, .log_loss = NAN};
    f.report.performance_reason = "auc";
    f.report.performance_value = 0.5;
    f.report.performance_threshold = 0.75;
    f.report.row_count = UINT64_MAX;
    mill_drift_alert_write_json(&alert, "shop", 1, &out);
    value = record_read_json("drift_alert.avsc", mill_buffer_slice(&out));
    assert_true(json_is_null(json_object_get(value, "feature")));
    assert_true(json_is_null(json_object_get(value, "metrics")));
    assert_string_equal(text_of(value, "reason"), "auc");
    assert_int_equal(json_integer_value(json_object_get(json_object_get(value, "window"), "n")), INT64_MAX);
    assert_true(json_is_null(json_object_get(json_object_get(value, "performance"), "log_loss")));
    json_decref(value);
    mill_buffer_clear(&out);
    close_fixture(&f);
}

static void test_trigger(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer out = {0};
    const uint32_t evidence[] = {2, 0};
    struct mill_drift_monitor_spec spec = {.project = "shop", .name = "inputs", .model = "churn", .model_version = "3"};

    open_fixture(&f);
    struct mill_retrain_trigger trigger = {.id = "aa",
                                           .reason = MILL_TRIGGER_DRIFT,
                                           .train_from_us = 0,
                                           .train_to_us = MILL_US_PER_DAY,
                                           .report = &f.report,
                                           .result_index = evidence,
                                           .result_count = 2};
    mill_retrain_trigger_write_json(&trigger, &spec, 5, &out);
    json_t *value = record_read_json("retrain_trigger.avsc", mill_buffer_slice(&out));
    const json_t *features = json_object_get(json_object_get(value, "evidence"), "features");
    assert_int_equal(json_array_size(features), 2);
    assert_string_equal(text_of(json_array_get(features, 0), "feature"), "score");
    assert_string_equal(text_of(json_object_get(value, "data_window"), "end"), "1970-01-02T00:00:00Z");
    assert_string_equal(text_of(json_object_get(value, "evidence"), "report_id"), f.report.id);
    json_decref(value);
    mill_buffer_reset(&out);
    trigger = (struct mill_retrain_trigger){.id = "ab", .reason = MILL_TRIGGER_MANUAL, .train_to_us = 1};
    mill_retrain_trigger_write_json(&trigger, &spec, INT64_MIN, &out);
    value = record_read_json("retrain_trigger.avsc", mill_buffer_slice(&out));
    assert_true(json_is_null(json_object_get(value, "evidence")));
    json_decref(value);
    mill_buffer_clear(&out);
    close_fixture(&f);
}

static void test_label(void **state)
{
    (void)state;
    struct mill_buffer out = {0}, again = {0};
    struct mill_drift_monitor_spec spec = {.project = "shop", .name = "inputs", .model = "churn", .model_version = "3"};
    struct mill_join_match match = {
        .key = mill_slice_of("a\"b"), .score_us = 0, .label_us = MILL_US_PER_HOUR, .score = 0.25, .label = 1};

    mill_join_match_write_json(&match, &spec, &out);
    json_t *value = record_read_json("label.avsc", mill_buffer_slice(&out));
    assert_string_equal(text_of(value, "key"), "a\"b");
    assert_string_equal(text_of(value, "label_time"), "1970-01-01T01:00:00Z");
    match.label_us++;
    mill_join_match_write_json(&match, &spec, &again);
    json_t *other = record_read_json("label.avsc", mill_buffer_slice(&again));
    assert_string_equal(text_of(value, "id"), text_of(other, "id"));
    json_decref(other);
    mill_buffer_reset(&again);
    match.score_us++;
    mill_join_match_write_json(&match, &spec, &again);
    other = record_read_json("label.avsc", mill_buffer_slice(&again));
    assert_string_not_equal(text_of(value, "id"), text_of(other, "id"));
    json_decref(other);
    json_decref(value);
    mill_buffer_clear(&out);
    mill_buffer_clear(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_report),
        cmocka_unit_test(test_alert),
        cmocka_unit_test(test_trigger),
        cmocka_unit_test(test_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
