/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records in Avro say what the same records say in JSON, whatever is in them: made up of random numbers (NaN and
 * infinities among them), texts, conditions and severities, written in both formats, the Avro read by avro-c with the
 * published schemas, and printed as JSON again as `tidemill tap` does.
 */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/timestamp.h"
#include "ingest/ingest.h"
#include "tests/base/random.h"
#include "tests/drift/drift_fixture.h"
#include "tests/drift/record_oracle.h"

enum { ROUNDS = 400, FEATURES = 4, SEGMENTS = 3, RESULTS_MAX = 40 };

/* ------------------------------------------------------------------ records by chance */

static const char *const texts[] = {"", "a", "tail\"num\\", "na\xc3\xafve", "\xe2\x82\xac 5", "x\n\ty", "late_arrival"};

static const char *any_text(void)
{
    return texts[random_below(sizeof(texts) / sizeof(texts[0]))];
}

/* A double of any bits at all in one of three. */
static double any_number(void)
{
    static const double odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0, 5e-324, 1.7976931348623157e308, 1, -2.5};
    uint64_t bits = random_u64();
    double v;

    memcpy(&v, &bits, sizeof(v));
    switch (random_below(3)) {
    case 0:
        return odd[random_below(sizeof(odd) / sizeof(odd[0]))];
    case 1:
        return v;
    default:
        return random_unit();
    }
}

/* Small, large, and too large for a long. */
static uint64_t any_count(void)
{
    return random_u64() >> random_below(64);
}

/* Any that RFC 3339 can say. */
static int64_t any_time(void)
{
    uint64_t span = (uint64_t)(MILL_TIMESTAMP_MAX - MILL_TIMESTAMP_MIN) + 1;
    return MILL_TIMESTAMP_MIN + (int64_t)(random_u64() % span);
}

static int64_t any_now(void)
{
    return random_below(4) == 0 ? INT64_MIN : any_time();
}

static void fill_hex(char *id, size_t digits)
{
    for (size_t i = 0; i < digits; i++) {
        id[i] = "0123456789abcdef"[random_below(16)];
    }
    id[digits] = 0;
}

static const char *any_reason(void)
{
    static const char *const reasons[] = {"psi", "ks", "null_share", "estimated_auc", NULL};
    return reasons[random_below(5)];
}

struct fixture {
    struct mill_profile_feature features[FEATURES];
    struct mill_slice segments[SEGMENTS];
    struct mill_profile profile;
    struct mill_drift_result results[RESULTS_MAX];
    struct mill_drift_report report;
};

static void fill_profile(struct fixture *f)
{
    static const char with_null[] = {'n', 0, 'l'};

    for (uint32_t i = 0; i < FEATURES; i++) {
        f->features[i] = (struct mill_profile_feature){
            .name = any_text(), .kind = i % 2 == 0 ? MILL_DRIFT_NUMERIC : MILL_DRIFT_CATEGORICAL};
    }
    for (uint32_t i = 0; i < SEGMENTS; i++) {
        f->segments[i] = mill_slice_of(any_text());
    }
    f->segments[0] = (struct mill_slice){with_null, sizeof(with_null)};
    f->profile = (struct mill_profile){.model = any_text(),
                                       .model_version = any_text(),
                                       .row_count = any_count(),
                                       .feature_count = FEATURES,
                                       .features = f->features,
                                       .segment_by = "origin",
                                       .segment_count = SEGMENTS,
                                       .segments = f->segments};
    fill_hex(f->profile.sha256, 64);
}

/* Every number that a record says, each another. */
static void fill_result(struct fixture *f, struct mill_drift_result *r)
{
    double *const numbers[] = {&r->ks.statistic,
                               &r->ks.location,
                               &r->ks_pvalue,
                               &r->ks_qvalue,
                               &r->psi,
                               &r->psi_noise,
                               &r->psi_density,
                               &r->wasserstein,
                               &r->wasserstein_error_max,
                               &r->jensen_shannon,
                               &r->hellinger,
                               &r->total_variation,
                               &r->chi2.statistic,
                               &r->chi2.pvalue,
                               &r->g.statistic,
                               &r->g.pvalue,
                               &r->null_share_current,
                               &r->null_share_reference,
                               &r->unseen_share,
                               &r->unseen_reference,
                               &r->out_of_range_current,
                               &r->out_of_range_reference,
                               &r->mean,
                               &r->stddev,
                               &r->mean_shift,
                               &r->value,
                               &r->threshold};

    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        *numbers[i] = any_number();
    }
    r->feature = &f->features[random_below(FEATURES)];
    r->segment = random_below(3) == 0 ? UINT32_MAX : random_below(SEGMENTS + 1);
    r->row_count = any_count();
    r->conditions = random_below(1U << MILL_CONDITION_COUNT);
    r->ks.sign = (int)random_below(3) - 1;
    r->chi2.dof = (uint32_t)random_u64();
    r->g.dof = (uint32_t)random_u64();
    r->severity = (enum mill_severity)random_below(3);
    r->reason = any_reason();
}

static void fill_performance(struct mill_drift_report *report)
{
    report->performance = (struct mill_performance){.scored = any_count(),
                                                    .labelled = any_count(),
                                                    .positives = any_count(),
                                                    .auc = any_number(),
                                                    .auc_error_max = any_number(),
                                                    .log_loss = any_number(),
                                                    .brier = any_number(),
                                                    .accuracy = any_number(),
                                                    .calibration_error = any_number(),
                                                    .estimated_auc = any_number(),
                                                    .estimated_accuracy = any_number(),
                                                    .estimated_log_loss = any_number(),
                                                    .estimated_brier = any_number()};
    report->has_performance = random_below(2) == 0;
    report->performance_severity = (enum mill_severity)random_below(3);
    report->performance_reason = any_reason();
    report->performance_value = any_number();
    report->performance_threshold = any_number();
}

static void fill(struct fixture *f)
{
    fill_profile(f);
    f->report = (struct mill_drift_report){.monitor = any_text(),
                                           .model = any_text(),
                                           .model_version = any_text(),
                                           .profile = &f->profile,
                                           .start_us = any_time(),
                                           .end_us = any_time(),
                                           .row_count = any_count(),
                                           .result_count = random_below(RESULTS_MAX + 1),
                                           .results = f->results,
                                           .severity = (enum mill_severity)random_below(3)};
    fill_hex(f->report.id, 32);
    for (uint32_t i = 0; i < RESULTS_MAX; i++) {
        fill_result(f, &f->results[i]);
    }
    fill_performance(&f->report);
}

/* ------------------------------------------------------------------ both formats */

struct written {
    struct mill_buffer json, avro;
};

/* Whole, it says what the JSON says; cut short anywhere, nothing. */
static void assert_printed(const char *schema_file, struct mill_slice avro, const json_t *expected)
{
    struct mill_buffer schema = {0}, out = {0};
    struct mill_avro_printer *printer;
    struct mill_error err;
    json_error_t error;
    char path[512];

    snprintf(path, sizeof(path), MILL_SOURCE_DIR "/schemas/%s", schema_file);
    assert_int_equal(mill_file_read(path, 1 << 20, &schema, &err), MILL_OK);
    const struct mill_slice text = mill_buffer_slice(&schema);
    assert_int_equal(mill_avro_printer_new(&text, 1, &printer, &err), MILL_OK);
    assert_false(mill_avro_print(printer, (struct mill_slice){avro.p, random_below((uint32_t)avro.n)}, &out));
    assert_int_equal(out.n, 0);
    assert_true(mill_avro_print(printer, avro, &out));
    json_t *printed = json_loadb(out.p, out.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);
    assert_non_null(printed);
    if (json_is_null(json_object_get(printed, "created_at"))) {
        json_object_del(printed, "created_at");
    }
    assert_true(json_equal(printed, expected));
    json_decref(printed);
    mill_avro_printer_free(printer);
    mill_buffer_clear(&schema);
    mill_buffer_clear(&out);
}

static void assert_same(const char *schema_file, struct written *w)
{
    json_t *json = record_read_json(schema_file, mill_buffer_slice(&w->json));
    json_t *avro = record_read_avro(schema_file, mill_buffer_slice(&w->avro));

    if (!json_equal(json, avro)) {
        fail_msg("%s: JSON %s, Avro %s", schema_file, json_dumps(json, JSON_SORT_KEYS),
                 json_dumps(avro, JSON_SORT_KEYS));
    }
    assert_printed(schema_file, mill_buffer_slice(&w->avro), json);
    json_decref(json);
    json_decref(avro);
    mill_buffer_reset(&w->json);
    mill_buffer_reset(&w->avro);
}

static void written_clear(struct written *w)
{
    mill_buffer_clear(&w->json);
    mill_buffer_clear(&w->avro);
}

static void test_reports(void **state)
{
    (void)state;
    struct fixture f;
    struct written w = {0};

    for (int round = 0; round < ROUNDS; round++) {
        const char *project = any_text();
        int64_t now_us = any_now();
        fill(&f);
        mill_drift_report_write_json(&f.report, project, now_us, &w.json);
        mill_drift_report_write_avro(&f.report, project, now_us, &w.avro);
        assert_same("drift_report.avsc", &w);
    }
    written_clear(&w);
}

static void test_alerts(void **state)
{
    (void)state;
    struct fixture f;
    struct written w = {0};

    for (int round = 0; round < ROUNDS; round++) {
        const char *project = any_text();
        int64_t now_us = any_now();
        fill(&f);
        struct mill_drift_alert alert = {.status = (enum mill_alert_status)random_below(4),
                                         .is_repeat = random_below(2) == 0,
                                         .severity = (enum mill_severity)random_below(3),
                                         .previous_severity = (enum mill_severity)random_below(3),
                                         .since_us = any_time(),
                                         .report = &f.report,
                                         .result = random_below(3) == 0 ? NULL : &f.results[random_below(RESULTS_MAX)]};
        fill_hex(alert.id, 32);
        fill_hex(alert.fingerprint, 16);
        mill_drift_alert_write_json(&alert, project, now_us, &w.json);
        mill_drift_alert_write_avro(&alert, project, now_us, &w.avro);
        assert_same("drift_alert.avsc", &w);
    }
    written_clear(&w);
}

static void test_triggers(void **state)
{
    (void)state;
    struct fixture f;
    struct written w = {0};
    uint32_t evidence[RESULTS_MAX];

    for (int round = 0; round < ROUNDS; round++) {
        const struct mill_drift_monitor_spec spec = {
            .project = any_text(), .name = any_text(), .model = any_text(), .model_version = any_text()};
        int64_t now_us = any_now();
        fill(&f);
        f.report.result_count = RESULTS_MAX;
        for (uint32_t i = 0; i < RESULTS_MAX; i++) {
            evidence[i] = random_below(RESULTS_MAX);
        }
        struct mill_retrain_trigger trigger = {.reason = (enum mill_trigger_reason)random_below(5),
                                               .train_from_us = any_time(),
                                               .train_to_us = any_time(),
                                               .report = random_below(3) == 0 ? NULL : &f.report,
                                               .result_index = evidence,
                                               .result_count = random_below(6)};
        fill_hex(trigger.id, 32);
        mill_retrain_trigger_write_json(&trigger, &spec, now_us, &w.json);
        mill_retrain_trigger_write_avro(&trigger, &spec, now_us, &w.avro);
        assert_same("retrain_trigger.avsc", &w);
    }
    written_clear(&w);
}

static void test_matches(void **state)
{
    (void)state;
    struct written w = {0};

    for (int round = 0; round < ROUNDS; round++) {
        const struct mill_drift_monitor_spec spec = {
            .project = any_text(), .name = any_text(), .model = any_text(), .model_version = any_text()};
        const struct mill_join_match match = {.key = mill_slice_of(any_text()),
                                              .score_us = any_time(),
                                              .label_us = any_time(),
                                              .score = any_number(),
                                              .label = (int)random_below(2)};
        mill_join_match_write_json(&match, &spec, &w.json);
        mill_join_match_write_avro(&match, &spec, &w.avro);
        assert_same("label.avsc", &w);
    }
    written_clear(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reports),
        cmocka_unit_test(test_alerts),
        cmocka_unit_test(test_triggers),
        cmocka_unit_test(test_matches),
    };
    random_seed("records_avro");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
