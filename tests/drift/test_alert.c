/* SPDX-License-Identifier: Apache-2.0 */
/* The state machines by themselves: severities in, transitions and triggers out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/timestamp.h"
#include "drift/monitor_internal.h"
#include "tests/base/random.h"

static const struct mill__identity identity = {"shop", "inputs", "churn", "3"};

/* ------------------------------------------------------------------ alerts */

struct heard {
    char text[1000];
    char ids[100][33];
    uint32_t count;
};

/* One letter a transition: F E D R, r for a repeat; with the evaluation's number. */
static void hear_alert(void *context, const struct mill_drift_alert *alert)
{
    struct heard *heard = context;
    size_t n = strlen(heard->text);
    char letter = alert->is_repeat ? 'r' : "FEDR"[alert->status];

    snprintf(heard->text + n, sizeof(heard->text) - n, "%s%c%d", n == 0 ? "" : " ", letter,
             (int)(alert->report->end_us / MILL_US_PER_HOUR));
    memcpy(heard->ids[heard->count++], alert->id, 33);
}

/* Digits are severities, '-' an evaluation that could not be judged. */
static void assert_alerts(const char *severities, struct mill_alert_options options, const char *expected)
{
    struct mill__alert_state state = {.severity = MILL_SEVERITY_NONE};
    struct heard heard = {.count = 0};
    struct mill_drift_monitor_sink sink = {.context = &heard, .alert = hear_alert};

    for (int i = 0; severities[i] != 0; i++) {
        struct mill_drift_report report = {.end_us = i * MILL_US_PER_HOUR};
        struct mill__alert_step step = {&identity, &options, &report, &sink};
        if (severities[i] != '-') {
            mill__alert_step(&state, &step, NULL, (enum mill_severity)(severities[i] - '0'));
        }
    }
    assert_string_equal(heard.text, expected);
    for (uint32_t i = 0; i < heard.count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            assert_string_not_equal(heard.ids[i], heard.ids[k]);
        }
    }
}

static void test_alerts(void **state)
{
    (void)state;
    struct mill_alert_options at_once = {.fire_after = 1, .resolve_after = 1}, slow = {2, 3, 0};
    struct mill_alert_options repeated = {.fire_after = 1, .resolve_after = 2, .repeat_us = 3 * MILL_US_PER_HOUR};

    assert_alerts("0000", at_once, "");
    assert_alerts("0120", at_once, "F1 E2 R3");
    assert_alerts("2102", at_once, "F0 D1 R2 F3");
    /* Hysteresis: one evaluation proves nothing. */
    assert_alerts("0101010", slow, "");
    assert_alerts("011000", slow, "F2 R5");
    assert_alerts("0220111", slow, "F2 D5");
    assert_alerts("022011100", slow, "F2 D5");
    assert_alerts("0220111000", slow, "F2 D5 R9");
    assert_alerts("1212", slow, "F1");
    assert_alerts("12200200000", slow, "F1 E2 R8");
    /* What could not be judged says nothing: no resolve, and no break in a row. */
    assert_alerts("1-1", slow, "F2");
    assert_alerts("11---------0-0", slow, "F1");
    /* Said again every three hours from the last word on. */
    assert_alerts("1111111", repeated, "F0 r3 r6");
    assert_alerts("11221111100", repeated, "F0 E2 D5 r8 R10");
}

/* Against the plain definition, recomputed from the whole history at each step. */
static enum mill_severity naive_severity(const uint8_t *history, uint32_t count, struct mill_alert_options options)
{
    enum mill_severity level = MILL_SEVERITY_NONE;

    for (uint32_t n = 1; n <= count; n++) {
        enum mill_severity up = level, down = level;
        for (int s = level + 1; s <= 2; s++) {
            uint32_t row = 0;
            while (row < n && history[n - 1 - row] >= s) {
                row++;
            }
            up = row >= options.fire_after ? (enum mill_severity)s : up;
        }
        for (int s = level; s >= 1; s--) {
            uint32_t row = 0;
            while (row < n && history[n - 1 - row] < s) {
                row++;
            }
            down = row >= options.resolve_after ? (enum mill_severity)(s - 1) : down;
        }
        level = up != level ? up : down;
    }
    return level;
}

static void test_random_histories(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct mill_alert_options options = {1 + random_below(4), 1 + random_below(4), 0};
        struct mill__alert_state alert = {.severity = MILL_SEVERITY_NONE};
        struct heard heard = {.count = 0};
        struct mill_drift_monitor_sink sink = {.context = &heard, .alert = hear_alert};
        uint8_t history[60];
        for (uint32_t n = 0; n < 60; n++) {
            struct mill_drift_report report = {.end_us = n * MILL_US_PER_HOUR};
            struct mill__alert_step step = {&identity, &options, &report, &sink};
            history[n] = (uint8_t)(n > 0 && random_below(2) == 0 ? history[n - 1] : random_below(3));
            mill__alert_step(&alert, &step, NULL, (enum mill_severity)history[n]);
            assert_int_equal(alert.severity, naive_severity(history, n + 1, options));
        }
    }
}

/* ------------------------------------------------------------------ identities */

static void test_ids(void **state)
{
    (void)state;
    struct mill_profile_feature x = {.name = "x"}, y = {.name = "y"};
    struct mill_slice segments[] = {{"EWR", 3}};
    struct mill_profile profile = {.segment_by = "origin", .segment_count = 1, .segments = segments};
    struct mill_drift_result results[] = {{.feature = &x, .segment = UINT32_MAX},
                                          {.feature = &y, .segment = UINT32_MAX},
                                          {.feature = &x, .segment = 0},
                                          {.feature = &x, .segment = 1}};
    const struct mill__identity others[] = {
        identity, {"shopi", "nputs", "churn", "3"}, {"shop", "inputs", "churn", "4"}, {"shop", "inputs", "churn2", ""}};
    char ids[64][33], prints[8][17];
    unsigned count = 0;

    for (unsigned who = 0; who < 4; who++) {
        for (unsigned r = 0; r < 5; r++) {
            const struct mill_drift_result *result = r == 4 ? NULL : &results[r];
            mill__identity_id(&others[who], "firing", &profile, result, 5, ids[count++]);
            mill__identity_id(&others[who], "firing", &profile, result, 6, ids[count++]);
            mill__identity_id(&others[who], "resolved", &profile, result, 5, ids[count++]);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(strlen(ids[i]), 32);
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(ids[i], ids[k]);
        }
    }
    /* The fingerprint outlives a version of the model, not a feature or segment. */
    for (unsigned r = 0; r < 5; r++) {
        mill__identity_fingerprint(&identity, &profile, r == 4 ? NULL : &results[r], prints[r]);
        mill__identity_fingerprint(&others[2], &profile, r == 4 ? NULL : &results[r], prints[5]);
        assert_string_equal(prints[r], prints[5]);
        for (unsigned k = 0; k < r; k++) {
            assert_string_not_equal(prints[r], prints[k]);
        }
    }
    /* Stored and compared by others: these bits are a promise. */
    mill__identity_id(&identity, "firing", &profile, &results[0], INT64_C(1700000000000000), ids[0]);
    assert_string_equal(ids[0], "bc265f00553945e43126344778420437");
}

/* ------------------------------------------------------------------ triggers */

static void hear_trigger(void *context, const struct mill_retrain_trigger *trigger,
                         const struct mill_drift_report *report)
{
    struct heard *heard = context;
    size_t n = strlen(heard->text);

    assert_ptr_equal(trigger->report, report);
    assert_int_equal(trigger->train_to_us - trigger->train_from_us, 10 * MILL_US_PER_DAY);
    snprintf(heard->text + n, sizeof(heard->text) - n, "%s%s%d:%u", n == 0 ? "" : " ",
             mill_trigger_reason_name(trigger->reason), (int)(trigger->train_to_us / MILL_US_PER_HOUR),
             trigger->result_count);
    memcpy(heard->ids[heard->count++], trigger->id, 33);
}

/* One letter an evaluation: '.' calm, 'd' two features drift, '1' one does, 's' the score does, 'q' two are of bad
 * quality, 'm' one drifts and one is of bad quality, 'p' performance, 'f' drift of few rows, 'c' drift while a
 * challenger is on trial. */
static void set_report(char letter, struct mill_drift_result *results, struct mill_drift_report *report,
                       struct mill_drift_monitor_spec *spec)
{
    bool is_drift = strchr("dfc", letter) != NULL;

    results[0].severity = is_drift || strchr("1qm", letter) != NULL ? MILL_SEVERITY_MAJOR : MILL_SEVERITY_MINOR;
    results[0].reason = letter == 'q' ? "null_share" : "psi";
    results[1].severity = is_drift || strchr("qm", letter) != NULL ? MILL_SEVERITY_MAJOR : MILL_SEVERITY_NONE;
    results[1].reason = strchr("qm", letter) != NULL ? "unseen_share" : "ks";
    results[2].severity = letter == 's' ? MILL_SEVERITY_MAJOR : MILL_SEVERITY_NONE;
    results[2].reason = "psi";
    report->performance_severity = letter == 'p' ? MILL_SEVERITY_MAJOR : MILL_SEVERITY_NONE;
    report->row_count = letter == 'f' ? 10 : 1000;
    spec->has_challenger = letter == 'c';
}

static void assert_triggers(const char *letters, struct mill_trigger_options options, const char *expected)
{
    static const struct mill_profile_feature features[] = {{.name = "a"}, {.name = "b"}, {.name = "score"}};
    const struct mill_profile profile = {.feature_count = 3, .features = features};
    struct mill_drift_result results[3] = {
        {.feature = &features[0]}, {.feature = &features[1]}, {.feature = &features[2]}};
    struct mill_drift_monitor_spec spec = {
        .project = "shop", .name = "inputs", .model = "churn", .model_version = "3", .trigger = options};
    struct mill__trigger_state trigger = {0, INT64_MIN, INT64_MIN};
    struct heard heard = {.count = 0};
    struct mill_drift_monitor_sink sink = {.context = &heard, .trigger = hear_trigger};
    struct mill_arena arena;

    spec.trigger.train_window_us = 10 * MILL_US_PER_DAY;
    mill_arena_init(&arena, 0);
    for (int i = 0; letters[i] != 0; i++) {
        struct mill_drift_report report = {
            .profile = &profile, .results = results, .result_count = 3, .end_us = i * MILL_US_PER_HOUR};
        set_report(letters[i], results, &report, &spec);
        if (letters[i] == '!') {
            mill__trigger_manual(&trigger, &spec, report.end_us, &sink);
        } else {
            mill__trigger_step(&trigger, &spec, &report, &arena, &sink);
        }
    }
    mill_arena_clear(&arena);
    assert_string_equal(heard.text, expected);
    for (uint32_t i = 1; i < heard.count; i++) {
        assert_string_not_equal(heard.ids[i], heard.ids[i - 1]);
    }
}

static void test_triggers(void **state)
{
    (void)state;
    struct mill_trigger_options options = {.enabled = true,
                                           .features_min = 2,
                                           .consecutive_min = 2,
                                           .samples_min = 100,
                                           .cooldown_us = 4 * MILL_US_PER_HOUR};
    struct mill_trigger_options off = options, scheduled = options;

    off.enabled = false;
    assert_triggers("dddddd", off, "");
    assert_triggers("......", options, "");
    assert_triggers("d.d.d.", options, "");
    assert_triggers(".1111.", options, "");
    assert_triggers(".dd", options, "drift2:2");
    assert_triggers("ss", options, "drift1:1");
    assert_triggers("pp", options, "performance1:0");
    assert_triggers("qq", options, "data_quality1:2");
    assert_triggers("mm", options, "data_quality1:2");
    assert_triggers("qd", options, "drift1:2"); /* the reason is the last evaluation's */
    assert_triggers("df", options, "");
    assert_triggers("dfd", options, "");
    /* Cool-down of four hours; what still holds then fires then. */
    assert_triggers("ddddddddd", options, "drift1:2 drift5:2");
    assert_triggers("dddd......", options, "drift1:2");
    /* A challenger on trial holds back; the row goes on. */
    assert_triggers("cccc", options, "");
    assert_triggers("ccccd", options, "drift4:2");
    /* By hand: whatever cool-down says, and it begins one. */
    assert_triggers(".dd!ddd.dd", options, "drift2:2 manual3:0 drift9:2");
    scheduled.schedule_us = 5 * MILL_US_PER_HOUR;
    assert_triggers("............", scheduled, "schedule5:0 schedule10:0");
    assert_triggers("..dd........", scheduled, "drift3:2 schedule8:0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alerts),
        cmocka_unit_test(test_random_histories),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_triggers),
    };
    random_seed("alert");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
