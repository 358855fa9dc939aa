/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of the drift topics against their published schemas: the schemas are Avro as avro-c reads it, and each JSON
 * record has just the fields that its schema names, of their types. The JSON is read by jansson.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <avro.h>
#include <jansson.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/timestamp.h"
#include "tests/drift/drift_rows.h"

/* ------------------------------------------------------------------ a JSON value against an Avro schema */

struct matcher {
    json_t *names; /* name -> definition */
    char path[256];
};

static bool matches(struct matcher *m, const json_t *schema, const json_t *value);

static bool matches_name(struct matcher *m, const char *name, const json_t *value)
{
    const json_t *defined = json_object_get(m->names, name);

    if (defined != NULL) {
        return matches(m, defined, value);
    }
    if (strcmp(name, "null") == 0) {
        return json_is_null(value);
    }
    if (strcmp(name, "string") == 0) {
        return json_is_string(value);
    }
    if (strcmp(name, "boolean") == 0) {
        return json_is_boolean(value);
    }
    if (strcmp(name, "int") == 0 || strcmp(name, "long") == 0) {
        return json_is_integer(value);
    }
    if (strcmp(name, "double") == 0) {
        return json_is_real(value);
    }
    fail_msg("schema: type '%s'", name);
    return false;
}

static bool matches_record(struct matcher *m, const json_t *schema, const json_t *value)
{
    const json_t *fields = json_object_get(schema, "fields"), *field;
    size_t i, seen = 0;

    if (!json_is_object(value)) {
        return false;
    }
    json_array_foreach(fields, i, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        const json_t *member = json_object_get(value, name);
        if (member == NULL && json_object_get(field, "default") != NULL) {
            continue;
        }
        seen++;
        if (member == NULL || !matches(m, json_object_get(field, "type"), member)) {
            snprintf(m->path, sizeof(m->path), "%s.%s", json_string_value(json_object_get(schema, "name")), name);
            return false;
        }
    }
    if (seen != json_object_size(value)) {
        snprintf(m->path, sizeof(m->path), "%s has fields that the schema has not",
                 json_string_value(json_object_get(schema, "name")));
        return false;
    }
    return true;
}

static bool matches_elements(struct matcher *m, const json_t *schema, json_t *value)
{
    const char *key;
    json_t *element;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, element)
        {
            if (!matches(m, json_object_get(schema, "items"), element)) {
                return false;
            }
        }
    } else {
        json_object_foreach(value, key, element)
        {
            if (!matches(m, json_object_get(schema, "values"), element)) {
                return false;
            }
        }
    }
    return true;
}

static bool matches_time(const json_t *value)
{
    int64_t us;
    return json_is_string(value) && mill_timestamp_parse(mill_slice_of(json_string_value(value)), &us) == MILL_OK;
}

static bool matches_enum(const json_t *schema, const json_t *value)
{
    const json_t *symbol;
    size_t i;

    json_array_foreach(json_object_get(schema, "symbols"), i, symbol)
    {
        if (json_equal(symbol, value)) {
            return true;
        }
    }
    return false;
}

static bool matches(struct matcher *m, const json_t *schema, const json_t *value)
{
    const json_t *branch;
    size_t i;

    if (json_is_array(schema)) {
        json_array_foreach(schema, i, branch)
        {
            if (matches(m, branch, value)) {
                return true;
            }
        }
        return false;
    }
    if (json_is_string(schema)) {
        return matches_name(m, json_string_value(schema), value);
    }
    const char *type = json_string_value(json_object_get(schema, "type"));
    const json_t *name = json_object_get(schema, "name");
    if (name != NULL) {
        json_object_set(m->names, json_string_value(name), (json_t *)schema);
    }
    if (strcmp(type, "record") == 0) {
        return matches_record(m, schema, value);
    }
    if (strcmp(type, "enum") == 0) {
        return matches_enum(schema, value);
    }
    if (strcmp(type, "array") == 0 || strcmp(type, "map") == 0) {
        bool is_kind = strcmp(type, "array") == 0 ? json_is_array(value) : json_is_object(value);
        return is_kind && matches_elements(m, schema, (json_t *)value);
    }
    if (json_object_get(schema, "logicalType") != NULL) {
        return matches_time(value);
    }
    return matches_name(m, type, value);
}

/* Names are known before they are used out of order: a first occurrence may lie in a branch that is null. */
static void collect_names(json_t *schema, json_t *names)
{
    const char *key;
    json_t *element;
    size_t i;

    if (json_is_array(schema)) {
        json_array_foreach(schema, i, element)
        {
            collect_names(element, names);
        }
    } else if (json_is_object(schema)) {
        if (json_is_string(json_object_get(schema, "type")) && json_object_get(schema, "name") != NULL &&
            (json_object_get(schema, "fields") != NULL || json_object_get(schema, "symbols") != NULL)) {
            json_object_set(names, json_string_value(json_object_get(schema, "name")), schema);
        }
        json_object_foreach(schema, key, element)
        {
            collect_names(element, names);
        }
    }
}

static json_t *assert_matches(const char *schema_file, struct mill_slice record)
{
    struct mill_buffer text = {0};
    struct mill_error err;
    json_error_t error;
    avro_schema_t avro;
    char path[512];

    snprintf(path, sizeof(path), MILL_SOURCE_DIR "/schemas/%s", schema_file);
    assert_int_equal(mill_file_read(path, 1 << 20, &text, &err), MILL_OK);
    if (avro_schema_from_json_length(text.p, text.n, &avro) != 0) {
        fail_msg("%s: %s", schema_file, avro_strerror());
    }
    avro_schema_decref(avro);
    json_t *schema = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES, &error);
    json_t *value = json_loadb(record.p, record.n, JSON_REJECT_DUPLICATES, &error);
    if (schema == NULL || value == NULL) {
        fail_msg("not JSON: %s: %.*s", error.text, (int)record.n, record.p);
    }
    struct matcher m = {json_object(), ""};
    collect_names(schema, m.names);
    if (!matches(&m, schema, value)) {
        fail_msg("%s: %s does not match: %.*s", schema_file, m.path, (int)record.n, record.p);
    }
    json_decref(m.names);
    json_decref(schema);
    mill_buffer_clear(&text);
    return value;
}

/* ------------------------------------------------------------------ records */

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
    json_t *value = assert_matches("drift_report.avsc", mill_buffer_slice(&out));
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
    json_t *value = assert_matches("drift_alert.avsc", mill_buffer_slice(&out));
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
    mill_drift_alert_write_json(&alert, "shop", 1, &out);
    value = assert_matches("drift_alert.avsc", mill_buffer_slice(&out));
    assert_true(json_is_null(json_object_get(value, "feature")));
    assert_true(json_is_null(json_object_get(value, "metrics")));
    assert_string_equal(text_of(value, "reason"), "auc");
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
    json_t *value = assert_matches("retrain_trigger.avsc", mill_buffer_slice(&out));
    const json_t *features = json_object_get(json_object_get(value, "evidence"), "features");
    assert_int_equal(json_array_size(features), 2);
    assert_string_equal(text_of(json_array_get(features, 0), "feature"), "score");
    assert_string_equal(text_of(json_object_get(value, "data_window"), "end"), "1970-01-02T00:00:00Z");
    assert_string_equal(text_of(json_object_get(value, "evidence"), "report_id"), f.report.id);
    json_decref(value);
    mill_buffer_reset(&out);
    trigger = (struct mill_retrain_trigger){.id = "ab", .reason = MILL_TRIGGER_MANUAL, .train_to_us = 1};
    mill_retrain_trigger_write_json(&trigger, &spec, INT64_MIN, &out);
    value = assert_matches("retrain_trigger.avsc", mill_buffer_slice(&out));
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
    json_t *value = assert_matches("label.avsc", mill_buffer_slice(&out));
    assert_string_equal(text_of(value, "key"), "a\"b");
    assert_string_equal(text_of(value, "label_time"), "1970-01-01T01:00:00Z");
    match.label_us++;
    mill_join_match_write_json(&match, &spec, &again);
    json_t *other = assert_matches("label.avsc", mill_buffer_slice(&again));
    assert_string_equal(text_of(value, "id"), text_of(other, "id"));
    json_decref(other);
    mill_buffer_reset(&again);
    match.score_us++;
    mill_join_match_write_json(&match, &spec, &again);
    other = assert_matches("label.avsc", mill_buffer_slice(&again));
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
