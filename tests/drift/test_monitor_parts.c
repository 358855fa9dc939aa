/* SPDX-License-Identifier: Apache-2.0 */
/* Parts and state of a monitor, piece by piece: replaced and late parts, expiry, gaps, damage. */
#include <math.h>
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
#include "tests/drift/drift_rows.h"

enum { ROWS = 2000 };

struct fixture {
    struct drift_row rows[ROWS];
    struct mill_profile *profile;
    struct mill_drift_monitor_spec spec;
    struct mill_drift_monitor *monitor;
    uint32_t reports, alerts, expired;
    int64_t last_start_us, last_end_us;
    uint64_t last_rows, fingerprints;
};

static void on_report(void *context, const struct mill_drift_report *report)
{
    struct fixture *f = context;
    f->reports++;
    f->last_start_us = report->start_us;
    f->last_end_us = report->end_us;
    f->last_rows = report->row_count;
}

/* What fires is counted and its fingerprints are added up. */
static void on_alert(void *context, const struct mill_drift_alert *alert)
{
    struct fixture *f = context;
    f->alerts++;
    f->fingerprints += strtoull(alert->fingerprint, NULL, 16);
}

struct firing {
    uint32_t count;
    uint64_t fingerprints;
};

static void on_firing(void *context, const struct mill_drift_alert *alert)
{
    struct firing *firing = context;
    assert_true(alert->status == MILL_ALERT_FIRING && alert->is_repeat && alert->severity > MILL_SEVERITY_NONE);
    assert_string_equal(alert->report->monitor, "inputs");
    assert_true(alert->result == NULL || alert->result->feature != NULL);
    firing->count++;
    firing->fingerprints += strtoull(alert->fingerprint, NULL, 16);
}

static void on_trigger(void *context, const struct mill_retrain_trigger *trigger,
                       const struct mill_drift_report *report)
{
    (void)context;
    (void)trigger;
    (void)report;
}

static void on_expired(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part)
{
    struct fixture *f = context;
    (void)kind;
    (void)contributor;
    (void)part;
    f->expired++;
    assert_true(start_us < f->monitor->next_end_us - f->spec.window_us);
}

static struct mill_drift_monitor_sink sink_of(struct fixture *f)
{
    return (struct mill_drift_monitor_sink){f, NULL, on_report, on_alert, on_trigger, on_expired};
}

static int set_up(void **state)
{
    struct fixture *f = mill_calloc(1, sizeof(*f));
    uint64_t random = random_u64();

    for (uint32_t i = 0; i < ROWS; i++) {
        f->rows[i] = drift_row_make(&random, i, 0);
    }
    f->profile = drift_rows_profile(&drift_rows_spec, f->rows, ROWS);
    f->spec = (struct mill_drift_monitor_spec){.project = "shop",
                                               .name = "inputs",
                                               .model = "churn",
                                               .model_version = "3",
                                               .columns = drift_rows_spec,
                                               .window_us = 4 * MILL_US_PER_HOUR,
                                               .every_us = MILL_US_PER_HOUR,
                                               .alerts = {1, 1, 0},
                                               .reference_from_us = INT64_MIN,
                                               .reference_to_us = INT64_MIN};
    mill_drift_rule_init(&f->spec.rule, MILL_RULE_DEFAULT);
    f->monitor = mill_drift_monitor_new(&f->spec, f->profile, 2);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    mill_drift_monitor_free(f->monitor);
    mill_profile_free(f->profile);
    free(f);
    return 0;
}

/* Bytes of a part of some rows. */
static void append(void *context, const struct mill_drift_part *part)
{
    mill_buffer_add_slice(context, part->bytes);
}

static struct mill_buffer part_of(struct fixture *f, const struct mill_profile *profile, uint32_t from, uint32_t count)
{
    struct mill_drift_counter_options options = {
        .profile = profile, .spec = &drift_rows_spec, .pane_us = INT64_C(1) << 50};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_buffer bytes = {0};

    drift_rows_count(counter, f->rows + from, count);
    mill_drift_counter_take(counter, INT64_C(1) << 60, append, &bytes);
    mill_drift_counter_free(counter);
    return bytes;
}

static int give(struct fixture *f, uint32_t contributor, int64_t hour, uint32_t number, uint32_t from, uint32_t count)
{
    struct mill_buffer bytes = part_of(f, f->profile, from, count);
    struct mill_drift_part part = {hour * MILL_US_PER_HOUR, number, mill_buffer_slice(&bytes)};
    int rc = mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, contributor, &part, NULL);
    mill_buffer_clear(&bytes);
    return rc;
}

static void progress(struct fixture *f, int64_t first_hours, int64_t second_hours)
{
    mill_drift_monitor_progress(f->monitor, 0, first_hours * MILL_US_PER_HOUR);
    mill_drift_monitor_progress(f->monitor, 1, second_hours * MILL_US_PER_HOUR);
}

static void run(struct fixture *f, bool all)
{
    struct mill_drift_monitor_sink sink = sink_of(f);
    mill_drift_monitor_run(f->monitor, &sink, all);
}

static void test_due(void **state)
{
    struct fixture *f = *state;

    run(f, false);
    run(f, true);
    assert_int_equal(f->reports, 0);
    give(f, 0, 10, 0, 0, 100);
    give(f, 1, 10, 0, 100, 50);
    give(f, 0, 11, 0, 150, 60);
    progress(f, 12, 10);
    run(f, false);
    assert_int_equal(f->reports, 0); /* the second contributor has not passed 11:00 */
    progress(f, 12, 11);
    run(f, false);
    assert_int_equal(f->reports, 1);
    assert_int_equal(f->last_end_us, 11 * MILL_US_PER_HOUR);
    assert_int_equal(f->last_start_us, 7 * MILL_US_PER_HOUR);
    assert_int_equal(f->last_rows, 150);
    progress(f, 0, 0); /* never goes back */
    run(f, false);
    assert_int_equal(f->reports, 1);
    run(f, true); /* the end of a file */
    assert_int_equal(f->reports, 2);
    assert_int_equal(f->last_rows, 210);
}

static void test_replaced_and_late_parts(void **state)
{
    struct fixture *f = *state;

    give(f, 0, 10, 0, 0, 100);
    progress(f, 11, 11);
    run(f, false);
    assert_int_equal(f->last_rows, 100);
    give(f, 0, 10, 0, 0, 100); /* the same again */
    give(f, 0, 10, 1, 100, 7); /* late */
    progress(f, 12, 12);
    run(f, false);
    assert_int_equal(f->last_rows, 107);
    give(f, 0, 10, 0, 0, 90); /* made again after a crash, cut elsewhere */
    give(f, 0, 10, 1, 90, 17);
    progress(f, 13, 13);
    run(f, false);
    assert_int_equal(f->last_rows, 107);
    assert_int_equal(f->reports, 3);
    progress(f, 30, 30);
    run(f, false);
    assert_int_equal(f->reports, 4); /* 14:00; then the window is empty */
    assert_int_equal(f->expired, 2);
    give(f, 1, 10, 3, 0, 5); /* older than any window to come: forgotten at once, and said so */
    run(f, false);
    assert_int_equal(f->expired, 3);
    struct mill_drift_monitor_status status;
    mill_drift_monitor_status(f->monitor, &status);
    assert_int_equal(status.part_count, 0);
    assert_int_equal(status.part_bytes, 0);
}

static void test_gap_of_years(void **state)
{
    struct fixture *f = *state;

    give(f, 0, 10, 0, 0, 100);
    give(f, 0, 500000, 0, 0, 100); /* 57 years on */
    progress(f, 500001, 500001);
    run(f, false);
    assert_int_equal(f->reports, 4 + 1);
    assert_int_equal(f->last_end_us, 500001 * MILL_US_PER_HOUR);
    assert_int_equal(f->last_rows, 100);
}

/* Sums that slide over random parts, some replaced, some late, equal sums of the parts that are there, bit for bit. */
static void test_sums_equal_recount(void **state)
{
    struct fixture *f = *state;
    struct given {
        int64_t hour;
        uint32_t contributor, part, from, count;
    } given[400];
    uint32_t given_count = 0;
    struct mill_drift_monitor_sink sink = sink_of(f);

    for (int64_t hour = 10; hour < 50; hour++) {
        for (uint32_t i = 0; i < 5; i++) {
            struct given g = {hour - (int64_t)random_below(3), random_below(2), random_below(3),
                              random_below(ROWS - 100), 1 + random_below(100)};
            uint32_t k = 0;
            while (k < given_count &&
                   (given[k].hour != g.hour || given[k].contributor != g.contributor || given[k].part != g.part)) {
                k++;
            }
            given_count += k == given_count;
            given[k] = g;
            assert_int_equal(give(f, g.contributor, g.hour, g.part, g.from, g.count), MILL_OK);
        }
        progress(f, hour, hour);
        mill_drift_monitor_run(f->monitor, &sink, false);
        if (f->monitor->last_end_us == INT64_MIN) {
            continue;
        }
        struct mill_drift_window *window = mill_drift_window_new(f->profile);
        int64_t end = f->monitor->last_end_us / MILL_US_PER_HOUR;
        for (uint32_t k = 0; k < given_count; k++) {
            /* The oldest pane has left the sums already: it is in no window to come. */
            if (given[k].hour >= end - 3 && given[k].hour < end) {
                struct mill_buffer bytes = part_of(f, f->profile, given[k].from, given[k].count);
                assert_int_equal(mill_drift_window_apply(window, mill_buffer_slice(&bytes), 1, NULL), MILL_OK);
                mill_buffer_clear(&bytes);
            }
        }
        for (uint32_t i = 0; i < f->profile->feature_count; i++) {
            const struct mill_drift_counts *a = mill_drift_window_counts(f->monitor->window, UINT32_MAX, i);
            const struct mill_drift_counts *b = mill_drift_window_counts(window, UINT32_MAX, i);
            assert_int_equal(a->row_count, b->row_count);
            assert_int_equal(a->null_count, b->null_count);
            assert_memory_equal(a->slots, b->slots, f->profile->features[i].slot_count * sizeof(uint64_t));
            assert_memory_equal(&a->moments, &b->moments, sizeof(a->moments));
        }
        mill_drift_window_free(window);
        assert_true(f->monitor->parts.count <= 4 + 3);
    }
    assert_true(f->reports > 35);
}

/* 0001-01-01T00:00:00Z is a time that events have (Go's zero); its pane begins before where `every` is no part of a
 * day.
 */
static void test_first_pane_of_time(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer bytes = part_of(f, f->profile, 0, 600);

    f->spec.every_us = 7 * MILL_US_PER_HOUR;
    f->spec.window_us = 28 * MILL_US_PER_HOUR;
    struct mill_drift_part part = {mill_timestamp_floor(MILL_TIMESTAMP_MIN, f->spec.every_us), 0,
                                   mill_buffer_slice(&bytes)};
    struct mill_drift_monitor *monitor = mill_drift_monitor_new(&f->spec, f->profile, 1);
    struct mill_drift_monitor_sink sink = sink_of(f);
    assert_true(part.start_us < MILL_TIMESTAMP_MIN);
    assert_int_equal(mill_drift_monitor_part(monitor, MILL_PART_COUNTS, 0, &part, NULL), MILL_OK);
    mill_drift_monitor_run(monitor, &sink, true);
    assert_int_equal(f->reports, 1);
    assert_int_equal(f->last_end_us, part.start_us + f->spec.every_us);
    part.start_us -= f->spec.every_us;
    assert_int_equal(mill_drift_monitor_part(monitor, MILL_PART_COUNTS, 0, &part, NULL), MILL_EDATA);
    mill_drift_monitor_free(monitor);
    mill_buffer_clear(&bytes);
}

static void test_bad_parts(void **state)
{
    struct fixture *f = *state;
    struct mill_profile *other = drift_rows_profile(&drift_rows_spec, f->rows, ROWS / 2);
    struct mill_buffer good = part_of(f, f->profile, 0, 50), foreign = part_of(f, other, 0, 50);
    struct mill_drift_part part = {10 * MILL_US_PER_HOUR, 0, mill_buffer_slice(&good)};
    struct mill_outcomes *none = mill_outcomes_new();
    struct mill_buffer outcomes = {0};
    struct mill_error err = {0};

    mill_outcomes_write(none, &outcomes);
    mill_outcomes_free(none);
    assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, 2, &part, &err), MILL_EDATA);
    assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_OUTCOMES, 0, &part, &err), MILL_EDATA);
    part.start_us++;
    assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, 0, &part, &err), MILL_EDATA);
    part.start_us = INT64_MAX / MILL_US_PER_HOUR * MILL_US_PER_HOUR;
    assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, 0, &part, &err), MILL_EDATA);
    part.start_us = 10 * MILL_US_PER_HOUR;
    part.part = UINT32_MAX; /* of outcomes: as many hours later, beyond all time */
    part.bytes = mill_buffer_slice(&outcomes);
    assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_OUTCOMES, 0, &part, &err), MILL_EDATA);
    part.part = 0;
    part.bytes = mill_buffer_slice(&foreign);
    assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, 0, &part, &err), MILL_EDATA);
    for (size_t i = 0; i < good.n; i++) {
        good.p[i] ^= 4;
        part.bytes = mill_buffer_slice(&good);
        assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, 0, &part, &err), MILL_EDATA);
        good.p[i] ^= 4;
        part.bytes.n = i;
        assert_int_equal(mill_drift_monitor_part(f->monitor, MILL_PART_COUNTS, 0, &part, &err), MILL_EDATA);
    }
    struct mill_drift_monitor_status status;
    mill_drift_monitor_status(f->monitor, &status);
    assert_int_equal(status.part_count, 0);
    assert_int_equal(status.skipped_parts, 6 + 2 * good.n);
    mill_buffer_clear(&good);
    mill_buffer_clear(&foreign);
    mill_buffer_clear(&outcomes);
    mill_profile_free(other);
}

static void test_state(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer saved = {0}, again = {0};
    struct mill_error err = {0};
    uint64_t random = 1;

    for (uint32_t i = 0; i < ROWS / 2; i++) {
        f->rows[i] = drift_row_make(&random, i, 0.8);
    }
    give(f, 0, 10, 0, 0, ROWS / 2);
    progress(f, 12, 12);
    run(f, false);
    assert_true(f->alerts > 0);
    mill_drift_monitor_save(f->monitor, &saved);
    struct mill_drift_monitor *loaded = mill_drift_monitor_new(&f->spec, f->profile, 2);
    assert_int_equal(mill_drift_monitor_load(loaded, mill_buffer_slice(&saved), &err), MILL_OK);
    mill_drift_monitor_save(loaded, &again);
    assert_int_equal(saved.n, again.n);
    assert_memory_equal(saved.p, again.p, saved.n);
    struct firing firing = {0};
    mill_drift_monitor_each_firing(loaded, on_firing, &firing);
    assert_int_equal(firing.count, f->alerts); /* one evaluation: all that was said fires */
    assert_true(firing.fingerprints == f->fingerprints);
    for (size_t i = 0; i < saved.n; i++) {
        struct mill_slice cut = {saved.p, i};
        assert_int_equal(mill_drift_monitor_load(loaded, cut, &err), MILL_EDATA);
        saved.p[i] ^= 1;
        assert_int_equal(mill_drift_monitor_load(loaded, mill_buffer_slice(&saved), &err), MILL_EDATA);
        saved.p[i] ^= 1;
    }
    mill_drift_monitor_free(loaded);
    /* Another monitor's. */
    struct mill_drift_monitor_spec other = f->spec;
    other.model_version = "4";
    loaded = mill_drift_monitor_new(&other, f->profile, 2);
    assert_int_equal(mill_drift_monitor_load(loaded, mill_buffer_slice(&saved), &err), MILL_EDATA);
    mill_drift_monitor_free(loaded);
    /* Another number of contributors is the same monitor. */
    loaded = mill_drift_monitor_new(&f->spec, f->profile, 7);
    assert_int_equal(mill_drift_monitor_load(loaded, mill_buffer_slice(&saved), &err), MILL_OK);
    mill_drift_monitor_free(loaded);
    struct mill_profile *profile = drift_rows_profile(&drift_rows_spec, f->rows, 100);
    loaded = mill_drift_monitor_new(&f->spec, profile, 2);
    assert_int_equal(mill_drift_monitor_load(loaded, mill_buffer_slice(&saved), &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, f->profile->sha256));
    mill_drift_monitor_free(loaded);
    mill_profile_free(profile);
    mill_buffer_clear(&saved);
    mill_buffer_clear(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_due, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_replaced_and_late_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gap_of_years, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sums_equal_recount, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_first_pane_of_time, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_parts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_state, set_up, tear_down),
    };
    random_seed("monitor_parts");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
