/* SPDX-License-Identifier: Apache-2.0 */
/* A monitor says the same whatever the order, the repetitions and the crashes on the way to it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/timestamp.h"
#include "tests/base/random.h"
#include "tests/drift/drift_stream.h"

static const int64_t BEGIN = INT64_C(1700000000) / 3600 * 3600 * MILL_US_PER_SECOND;
static const int64_t LATENESS = 20 * MILL_US_PER_MINUTE;

static struct mill_drift_monitor_spec spec_of(const struct mill_profile_spec *columns)
{
    struct mill_drift_monitor_spec spec = {
        .project = "shop",
        .name = "inputs",
        .model = "churn",
        .model_version = "3",
        .columns = *columns,
        .window_us = 6 * MILL_US_PER_HOUR,
        .every_us = MILL_US_PER_HOUR,
        .alerts = {.fire_after = 2, .resolve_after = 2, .repeat_us = 5 * MILL_US_PER_HOUR},
        .trigger = {.enabled = true,
                    .features_min = 2,
                    .consecutive_min = 2,
                    .samples_min = 100,
                    .cooldown_us = 12 * MILL_US_PER_HOUR,
                    .train_window_us = 30 * MILL_US_PER_DAY,
                    .schedule_us = 24 * MILL_US_PER_HOUR},
        .reference_from_us = INT64_MIN,
        .reference_to_us = INT64_MIN,
    };
    mill_drift_rule_init(&spec.rule, MILL_RULE_DEFAULT);
    spec.rule.samples_min = 100;
    spec.rule.accuracy_min = 0.55;
    return spec;
}

/* Drift comes and goes; in between a gap of time without rows, longer than a window. */
static double shift_at(int64_t us)
{
    int64_t hour = (us - BEGIN) / MILL_US_PER_HOUR;
    return hour >= 24 && hour < 34 ? 0.9 : hour >= 34 && hour < 40 ? 0.3 : hour >= 50 && hour < 53 ? 1.5 : 0;
}

static struct stream_log make_log(uint64_t *state, uint32_t hours, uint32_t rows_per_hour)
{
    struct stream_log log = {mill_malloc((size_t)hours * rows_per_hour * sizeof(*log.rows)), 0};
    int64_t step_us = MILL_US_PER_HOUR / rows_per_hour;

    for (int64_t i = 0; i < (int64_t)hours * rows_per_hour; i++) {
        int64_t us = BEGIN + i * step_us, late_us = (int64_t)(drift_random(state) % (uint64_t)(LATENESS - step_us));
        int64_t hour = (us - BEGIN) / MILL_US_PER_HOUR;
        if (hour >= 60 && hour < 75) {
            continue;
        }
        us = us - late_us < BEGIN ? BEGIN : us - late_us;
        log.rows[log.count++] = drift_row_make(state, us, shift_at(us));
    }
    return log;
}

static int compare_said(const void *a, const void *b)
{
    return strcmp(((const struct stream_said *)a)->id, ((const struct stream_said *)b)->id);
}

static void assert_same(struct stream *expected, struct stream *found, const char *what)
{
    qsort(expected->said, expected->said_count, sizeof(*expected->said), compare_said);
    qsort(found->said, found->said_count, sizeof(*found->said), compare_said);
    for (uint32_t i = 0; i < expected->said_count && i < found->said_count; i++) {
        if (strcmp(expected->said[i].json, found->said[i].json) != 0) {
            fail_msg("%s: expected\n%s\nfound\n%s", what, expected->said[i].json, found->said[i].json);
        }
    }
    assert_int_equal(expected->said_count, found->said_count);
}

static uint32_t count_said(const struct stream *stream, const char *text)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < stream->said_count; i++) {
        count += strstr(stream->said[i].json, text) != NULL;
    }
    return count;
}

/* The undisturbed run must have had something to say. */
static void assert_eventful(const struct stream *stream)
{
    static const char *const texts[] = {
        "\"status\":\"firing\"", "\"status\":\"escalated\"", "\"status\":\"resolved\"",
        "\"is_repeat\":true",    "\"reason\":\"schedule\"",  "\"reason\":\"drift\",\"data_window\"",
        "\"features\":",         "\"reason\":\"accuracy\"",
    };

    for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        if (count_said(stream, texts[i]) == 0) {
            fail_msg("nothing said with %s", texts[i]);
        }
    }
}

static void compare_runs(const struct stream *base, unsigned disturbed_runs)
{
    struct stream calm = *base, offline = *base;
    uint32_t crashes = 0;

    stream_run(&calm, false);
    assert_eventful(&calm);
    stream_run_offline(&offline);
    assert_same(&calm, &offline, "offline");
    stream_clear(&offline);
    for (unsigned i = 0; i < disturbed_runs; i++) {
        struct stream disturbed = *base;
        disturbed.random = random_u64();
        stream_run(&disturbed, true);
        assert_same(&calm, &disturbed, "disturbed");
        crashes += disturbed.crashes;
        stream_clear(&disturbed);
    }
    printf("%u contributors: %u records said, %u crashes\n", base->contributor_count, calm.said_count, crashes);
    stream_clear(&calm);
}

static struct stream make_stream(const struct mill_drift_monitor_spec *spec, uint32_t contributors, uint64_t *state)
{
    struct stream stream = {
        .spec = spec, .lateness_us = LATENESS, .with_outcomes = true, .contributor_count = contributors};

    for (uint32_t i = 0; i < contributors; i++) {
        stream.logs[i] = make_log(state, 100, 240 / contributors + i % 3);
    }
    return stream;
}

static void free_logs(struct stream *stream)
{
    for (uint32_t i = 0; i < stream->contributor_count; i++) {
        free(stream->logs[i].rows);
    }
}

static void test_given_reference(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    struct drift_row *reference = mill_malloc(5000 * sizeof(*reference));
    struct mill_profile_spec columns = drift_rows_spec;

    columns.segment_by = "site";
    columns.segments_max = 2;
    for (uint32_t i = 0; i < 5000; i++) {
        reference[i] = drift_row_make(&random, BEGIN - 5000 + i, 0);
    }
    struct mill_profile *profile = drift_rows_profile(&columns, reference, 5000);
    struct mill_drift_monitor_spec spec = spec_of(&columns);
    for (uint32_t contributors = 3; contributors <= STREAM_CONTRIBUTORS_MAX; contributors += 9) {
        struct stream stream = make_stream(&spec, contributors, &random);
        stream.given = profile;
        compare_runs(&stream, 2);
        free_logs(&stream);
    }
    mill_profile_free(profile);
    free(reference);
}

static void test_reference_of_rows(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    struct mill_drift_monitor_spec spec = spec_of(&drift_rows_spec);

    spec.reference_rows = 2000;
    for (uint32_t contributors = 3; contributors <= 8; contributors += 5) {
        struct stream stream = make_stream(&spec, contributors, &random);
        compare_runs(&stream, 1);
        free_logs(&stream);
    }
}

static void test_reference_of_time(void **state)
{
    (void)state;
    uint64_t random = random_u64();
    struct mill_drift_monitor_spec spec = spec_of(&drift_rows_spec);

    spec.reference_from_us = BEGIN + 2 * MILL_US_PER_HOUR;
    spec.reference_to_us = BEGIN + 12 * MILL_US_PER_HOUR;
    struct stream stream = make_stream(&spec, 4, &random);
    compare_runs(&stream, 1);
    free_logs(&stream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_given_reference),
        cmocka_unit_test(test_reference_of_rows),
        cmocka_unit_test(test_reference_of_time),
    };
    random_seed("monitor");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
