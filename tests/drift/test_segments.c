/* SPDX-License-Identifier: Apache-2.0 */
/* Segments: the profile's counts of each against a recount of the rows, windows against their own segment's samples,
 * files that contradict themselves, and the story: a segment that always differed says nothing until it moves. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "drift/profile_format_internal.h"
#include "drift/profile_internal.h"
#include "tests/drift/drift_fixture.h"
#include "tests/drift/drift_rows.h"

enum { X, N, C, FIELDS };
static const struct mill_field fields[FIELDS] = {{"x", MILL_FLOAT64}, {"n", MILL_INT64}, {"c", MILL_STRING}};

/* ---- random rows; of each segment another distribution ---- */

static void add_row(struct rows *rows, unsigned kind, int64_t time_us)
{
    uint32_t row = rows_add(rows, time_us), site = random_below(6);
    char text[24];

    if (random_below(8) > 0) {
        rows_set_double(rows, row, X, random_hard(kind + site));
    }
    if (random_below(6) != site) {
        rows_set_int(rows, row, N, (int64_t)random_below(5 + 10 * site));
    }
    if (random_below(9) > 0) {
        snprintf(text, sizeof(text), "c%u", site + random_below(8) * random_below(12));
        rows_set_text(rows, row, C, text);
    }
    if (random_below(12) > 0) {
        snprintf(text, sizeof(text), "site %u", site);
        rows_set_text(rows, row, FIELDS, text);
    }
}

static struct rows *make_rows(unsigned kind, uint32_t count)
{
    struct rows *rows = rows_new(fields, FIELDS);

    for (uint32_t i = 0; i < count; i++) {
        add_row(rows, kind, (int64_t)random_below(1000));
    }
    return rows;
}

static bool is_there(const struct rows *rows, uint32_t field, uint32_t row)
{
    const struct mill_column *column = rows->pointers[field];
    return mill_bit_get(column->valid, row) && !(field == X && isnan(column->at.f[row]));
}

static bool is_in(const struct mill_profile *profile, uint32_t segment, const struct rows *rows, uint32_t row)
{
    bool has = mill_bit_get(rows_segment(rows)->valid, row);

    if (segment < profile->segment_count) {
        return has && mill_slice_equal(rows_segment(rows)->at.s[row], profile->segments[segment]);
    }
    for (uint32_t s = 0; s < profile->segment_count && has; s++) {
        if (mill_slice_equal(rows_segment(rows)->at.s[row], profile->segments[s])) {
            return false;
        }
    }
    return true;
}

static double number_of(const struct rows *rows, uint32_t field, uint32_t row)
{
    return field == X ? rows->columns[X].at.f[row] + 0.0 : (double)rows->columns[N].at.i[row];
}

/* ---- the profile against a recount ---- */

static uint32_t naive_slot(const struct mill_profile_feature *feature, uint32_t field, const struct rows *rows,
                           uint32_t row)
{
    uint32_t i = 0;

    if (field == C) {
        while (i < feature->level_count && !mill_slice_equal(feature->levels[i], rows->columns[C].at.s[row])) {
            i++;
        }
        return i;
    }
    while (i < feature->break_count && feature->breaks[i] < number_of(rows, field, row)) {
        i++;
    }
    return 2 * i + (i < feature->break_count && feature->breaks[i] == number_of(rows, field, row));
}

/* Mean and deviation in any order: equal but for the last bits. */
static void check_moments(const struct mill_profile *profile, uint32_t segment, uint32_t field, const struct rows *rows)
{
    const struct mill_profile_segments *segments = profile->features[field].segments;
    long double sum = 0, squares = 0;
    uint64_t n = 0;

    for (uint32_t pass = 0; pass < 2; pass++) {
        long double mean = n == 0 ? 0 : sum / n;
        for (uint32_t row = 0; row < rows->count; row++) {
            if (is_in(profile, segment, rows, row) && is_there(rows, field, row) &&
                isfinite(number_of(rows, field, row))) {
                n += pass == 0;
                sum += pass == 0 ? number_of(rows, field, row) : 0;
                squares += pass == 0 ? 0 : (number_of(rows, field, row) - mean) * (number_of(rows, field, row) - mean);
            }
        }
    }
    if (n == 0) {
        assert_true(isnan(segments->mean[segment]) && isnan(segments->stddev[segment]));
        return;
    }
    double deviation = (double)sqrtl(squares / n), mean = (double)(sum / n);
    assert_true(!isfinite(deviation) || fabs(segments->stddev[segment] - deviation) <= 1e-12 * deviation);
    assert_true(!isfinite(deviation) || fabs(segments->mean[segment] - mean) <= 1e-12 * (deviation + fabs(mean)));
}

static void check_counts(const struct mill_profile *profile, uint32_t segment, uint32_t field, const struct rows *rows)
{
    const struct mill_profile_feature *feature = &profile->features[field];
    const struct mill_profile_segments *segments = feature->segments;
    uint64_t *counts = mill_calloc(feature->slot_count, sizeof(*counts)), nulls = 0, all = 0;

    for (uint32_t row = 0; row < rows->count; row++) {
        if (is_in(profile, segment, rows, row)) {
            all++;
            if (is_there(rows, field, row)) {
                counts[naive_slot(feature, field, rows, row)]++;
            } else {
                nulls++;
            }
        }
    }
    assert_int_equal(profile->segment_rows[segment], all);
    assert_int_equal(segments->null_count[segment], nulls);
    for (uint32_t i = segments->begin[segment]; i < segments->begin[segment + 1]; i++) {
        assert_true(segments->count[i] > 0 && counts[segments->slot[i]] == segments->count[i]);
        counts[segments->slot[i]] = 0;
    }
    for (uint32_t s = 0; s < feature->slot_count; s++) {
        assert_int_equal(counts[s], 0); /* each was there, once */
    }
    free(counts);
}

static void check_others(const struct mill_profile *profile, uint32_t segment, const struct rows *rows)
{
    struct mill__texts texts;

    mill__texts_init(&texts);
    for (uint32_t row = 0; row < rows->count; row++) {
        if (is_in(profile, segment, rows, row) && is_there(rows, C, row) &&
            naive_slot(&profile->features[C], C, rows, row) == profile->features[C].level_count) {
            mill__texts_add(&texts, rows->columns[C].at.s[row]);
        }
    }
    assert_int_equal(profile->features[C].segments->other_levels[segment], texts.count);
    mill__texts_clear(&texts);
}

static void check_profile(const struct mill_profile *profile, const struct rows *rows)
{
    for (uint32_t s = 0; s <= profile->segment_count; s++) {
        for (uint32_t f = 0; f < FIELDS; f++) {
            check_counts(profile, s, f, rows);
        }
        check_moments(profile, s, X, rows);
        check_moments(profile, s, N, rows);
        check_others(profile, s, rows);
    }
}

static struct mill_profile *read_back(const struct mill_profile *profile)
{
    struct mill_buffer bytes = {0};
    struct mill_profile *read = NULL;

    mill_profile_write(profile, &bytes);
    assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, NULL), MILL_OK);
    assert_string_equal(read->sha256, profile->sha256);
    assert_true(read->arena.total <= 16 * bytes.n);
    mill_buffer_clear(&bytes);
    return read;
}

static void test_profile_is_recount(void **state)
{
    (void)state;
    random_seed("segments");
    for (unsigned round = 0; round < 40; round++) {
        struct mill_profile_spec spec = {.fields = fields,
                                         .field_count = FIELDS,
                                         .breaks_max = round % 2 == 0 ? 30 : 0,
                                         .levels_max = 1 + random_below(30),
                                         .calibration_window_us = round % 3 == 0 ? 100 : 0,
                                         .segment_by = "site",
                                         .segments_max = 1 + random_below(7)};
        struct rows *rows = make_rows(round, 1 + random_below(round < 10 ? 10 : 1500));
        struct mill_profile *profile = rows_profile(rows, &spec);
        if (profile->segment_count == 0) {
            assert_null(profile->segment_rows);
            assert_null(profile->features[X].segments);
        } else {
            struct mill_profile *read = read_back(profile);
            check_profile(profile, rows);
            check_profile(read, rows);
            mill_profile_free(read);
        }
        mill_profile_free(profile);
        rows_free(rows);
    }
}

/* ---- windows against the samples of their own segment ---- */

static void apply(void *context, const struct mill_drift_part *part)
{
    assert_int_equal(mill_drift_window_apply(context, part->bytes, 1, NULL), MILL_OK);
}

static struct mill_drift_window *window_of(const struct mill_profile_spec *spec, const struct mill_profile *profile,
                                           const struct rows *rows)
{
    struct mill_drift_counter_options options = {.profile = profile, .spec = spec, .pane_us = 1000};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    struct mill_drift_window *window = mill_drift_window_new(profile);

    mill_drift_counter_add(counter, rows->pointers, rows_segment(rows), rows->times, NULL, 0, rows->count);
    mill_drift_counter_take(counter, 1000, apply, window);
    mill_drift_counter_free(counter);
    return window;
}

/* A segment's values in order, and how many of its rows there are. */
struct sample {
    double *values;
    uint64_t count, rows;
};

static struct sample sample_of(const struct mill_profile *profile, uint32_t segment, uint32_t field,
                               const struct rows *rows)
{
    struct sample sample = {mill_malloc((rows->count + 1) * sizeof(double)), 0, 0};
    double *scratch = mill_malloc((rows->count + 1) * sizeof(double));

    for (uint32_t row = 0; row < rows->count; row++) {
        if (is_in(profile, segment, rows, row)) {
            sample.rows++;
            if (is_there(rows, field, row)) {
                sample.values[sample.count++] = field == C ? 0 : number_of(rows, field, row);
            }
        }
    }
    mill__sort_doubles(sample.values, scratch, sample.count);
    free(scratch);
    return sample;
}

/* NaN equals NaN. */
static void check_near(double got, double expected)
{
    assert_true((isnan(got) && isnan(expected)) || fabs(got - expected) <= 1e-12 * (1 + fabs(expected)));
}

static uint64_t within(const struct sample *sample, double low, double high)
{
    uint64_t n = 0;

    for (uint64_t i = 0; i < sample->count; i++) {
        n += (sample->values[i] > low || low == -(double)INFINITY) && sample->values[i] <= high;
    }
    return n;
}

/* A bin is (edge before, edge]. */
static double naive_psi(const struct mill_profile_feature *feature, const struct sample *before,
                        const struct sample *now)
{
    uint64_t reference[64], current[64];
    double low = -(double)INFINITY;
    const struct mill_smoothing smoothing = {MILL_SMOOTHING_ADD, 0.5};

    for (uint32_t b = 0; b < feature->bin_count; b++) {
        uint32_t end = feature->bin_slot[b + 1];
        double high = b + 1 == feature->bin_count ? (double)INFINITY : feature->breaks[end / 2 - 1];
        assert_true(b + 1 == feature->bin_count || end % 2 == 0);
        reference[b] = within(before, low, high);
        current[b] = within(now, low, high);
        low = high;
    }
    return mill_psi(reference, current, feature->bin_count, smoothing, NULL);
}

static void check_numeric(const struct mill_drift_result *result, const struct sample *before, const struct sample *now)
{
    struct mill_ks ks;

    if (before->count == 0 || now->count == 0) {
        assert_true(isnan(result->ks.statistic) && isnan(result->psi));
        return;
    }
    mill_ks_2samp(before->values, before->count, now->values, now->count, &ks);
    assert_true(result->ks.statistic == ks.statistic);
    assert_int_equal(result->ks.reference_count, before->count);
    check_near(result->ks_pvalue,
               (result->conditions & MILL_CONDITIONS_UNJUDGED) != 0 ? (double)NAN : mill_ks_pvalue(&ks, MILL_KS_AUTO));
    check_near(result->psi_noise, mill_psi_noise(before->count, now->count, result->feature->bin_count));
    check_near(result->psi, naive_psi(result->feature, before, now));
    double low = before->values[0], high = before->values[before->count - 1];
    uint64_t inside = 0;
    for (uint64_t i = 0; i < now->count; i++) {
        inside += now->values[i] >= low && now->values[i] <= high;
    }
    check_near(result->out_of_range_current, 1 - (double)inside / (double)now->count);
    check_near(result->out_of_range_reference, 2 / (double)(before->count + 1));
    assert_int_equal((result->conditions & MILL_CONDITION_REFERENCE_CONSTANT) != 0, low == high);
    if (!isnan(result->wasserstein)) {
        double exact = mill_wasserstein(before->values, before->count, now->values, now->count);
        long double variance = 0, mean = 0; /* in double its squares overflow, or vanish */
        for (uint64_t i = 0; i < before->count; i++) {
            mean += (long double)before->values[i] / before->count;
        }
        for (uint64_t i = 0; i < before->count; i++) {
            variance += (before->values[i] - mean) * (before->values[i] - mean) / before->count;
        }
        /* Not where the deviation is a denormal, which has hardly any bits, or the window goes where moments end. */
        double reach = 0x1p20 * result->feature->scale, center = result->feature->center;
        bool is_within = fabs(now->values[0] - center) < reach && fabs(now->values[now->count - 1] - center) < reach;
        assert_true(sqrtl(variance) < 1e-300L || !is_within ||
                    fabs(result->wasserstein - exact / (double)sqrtl(variance)) <=
                        result->wasserstein_error_max + 1e-9 * (1 + result->wasserstein));
    }
}

/* Values of the window whose text the segment's reference has nowhere; those that count as "other" do so together. */
static void check_categorical(const struct mill_profile *profile, uint32_t segment,
                              const struct mill_drift_result *result, const struct rows *before, const struct rows *now)
{
    const struct mill_profile_feature *feature = &profile->features[C];
    uint64_t unseen = 0, values = 0;

    for (uint32_t row = 0; row < now->count; row++) {
        if (!is_in(profile, segment, now, row) || !is_there(now, C, row)) {
            continue;
        }
        bool in_whole = false, in_segment = false;
        uint32_t slot = naive_slot(feature, C, now, row);
        for (uint32_t r = 0; r < before->count; r++) {
            if (is_there(before, C, r)) {
                bool is_same = mill_slice_equal(before->columns[C].at.s[r], now->columns[C].at.s[row]);
                in_whole |= is_same;
                in_segment |= is_in(profile, segment, before, r) &&
                              (is_same || (slot == feature->level_count &&
                                           naive_slot(feature, C, before, r) == feature->level_count));
            }
        }
        values++;
        unseen += !in_whole || !in_segment;
    }
    if (!isnan(result->unseen_share)) {
        check_near(result->unseen_share, (double)unseen / (double)values);
    }
}

static void check_segment(const struct mill_drift_report *report, uint32_t segment, const struct rows *before,
                          const struct rows *now, uint64_t samples_min)
{
    const struct mill_profile *profile = report->profile;
    const struct mill_drift_result *results = report->results + (size_t)FIELDS * (segment + 1);

    for (uint32_t f = 0; f < FIELDS; f++) {
        struct sample a = sample_of(profile, segment, f, before), b = sample_of(profile, segment, f, now);
        const struct mill_drift_result *result = &results[f];
        assert_int_equal(result->segment, segment);
        assert_int_equal(result->row_count, b.rows);
        assert_int_equal(result->reference_row_count, a.rows);
        check_near(result->null_share_reference,
                   a.rows == 0 ? (double)NAN : (double)(a.rows - a.count) / (double)a.rows);
        assert_int_equal((result->conditions & MILL_CONDITION_REFERENCE_TOO_FEW) != 0, a.rows < samples_min);
        assert_int_equal((result->conditions & MILL_CONDITION_REFERENCE_EMPTY) != 0, a.count == 0);
        assert_true((result->conditions & MILL_CONDITIONS_UNJUDGED) == 0 || result->severity == MILL_SEVERITY_NONE);
        if (f == C) {
            check_categorical(profile, segment, result, before, now);
        } else {
            check_numeric(result, &a, &b);
        }
        free(a.values);
        free(b.values);
    }
}

static void test_window_against_its_segment(void **state)
{
    (void)state;
    random_seed("segment windows");
    for (unsigned round = 0; round < 25; round++) {
        struct mill_profile_spec spec = {.fields = fields,
                                         .field_count = FIELDS,
                                         .levels_max = 1 + random_below(30),
                                         .segment_by = "site",
                                         .segments_max = 1 + random_below(7)};
        struct rows *before = make_rows(round, 100 + random_below(900)), *now = make_rows(round + round % 2, 400);
        struct mill_profile *profile = rows_profile(before, &spec);
        struct mill_drift_window *window = window_of(&spec, profile, now);
        struct mill_drift_rule rule;
        struct mill_drift_report report;
        struct mill_arena arena;
        mill_arena_init(&arena, 0);
        mill_drift_rule_init(&rule, MILL_RULE_DEFAULT);
        rule.samples_min = 1 + random_below(100);
        mill_drift_evaluate(window, profile, &rule, true, &arena, &report);
        assert_int_equal(report.result_count, FIELDS * (profile->segment_count + 2));
        for (uint32_t s = 0; s <= profile->segment_count; s++) {
            check_segment(&report, s, before, now, rule.samples_min);
        }
        mill_arena_clear(&arena);
        mill_drift_window_free(window);
        mill_profile_free(profile);
        rows_free(before);
        rows_free(now);
    }
}

/* ---- files that contradict themselves ---- */

/* The profile as it is in memory, written: refused. */
static void check_refused(const struct mill_profile *profile)
{
    struct mill_buffer bytes = {0};
    struct mill_profile *read = NULL;
    struct mill_error err;

    mill_profile_write(profile, &bytes);
    assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "contradicts itself"));
    mill_buffer_clear(&bytes);
}

static void check_wrong_number(const struct mill_profile *profile, const uint64_t *at, uint64_t wrong)
{
    uint64_t *number = (uint64_t *)(uintptr_t)at, right = *number;

    assert_true(wrong != right);
    *number = wrong;
    check_refused(profile);
    *number = right;
}

static void test_contradictions(void **state)
{
    const struct mill_profile_spec spec = {
        .fields = fields, .field_count = FIELDS, .levels_max = 4, .segment_by = "site", .segments_max = 3};
    struct rows *rows = make_rows(0, 500);
    struct mill_profile *profile = rows_profile(rows, &spec);

    (void)state;
    for (uint32_t g = 0; g <= profile->segment_count; g++) {
        check_wrong_number(profile, &profile->segment_rows[g], profile->segment_rows[g] + 1);
        check_wrong_number(profile, &profile->segment_rows[g], UINT64_MAX);
        for (uint32_t f = 0; f < FIELDS; f++) {
            const struct mill_profile_segments *segments = profile->features[f].segments;
            uint32_t i = segments->begin[g];
            check_wrong_number(profile, &segments->null_count[g], segments->null_count[g] + 1);
            check_wrong_number(profile, &segments->null_count[g], UINT64_MAX);
            check_wrong_number(profile, &segments->count[i], segments->count[i] + 1);
            check_wrong_number(profile, &segments->count[i], segments->count[i] - 1);
            check_wrong_number(profile, &segments->count[i], segments->count[i] + UINT64_MAX / 2);
        }
        check_wrong_number(profile, &profile->features[C].segments->other_levels[g], 0);
        check_wrong_number(profile, &profile->features[C].segments->other_levels[g], UINT64_MAX);
    }
    mill_profile_free(profile);
    rows_free(rows);
}

static void test_old_version(void **state)
{
    struct rows *rows = make_rows(0, 5);
    const struct mill_profile_spec spec = {.fields = fields, .field_count = FIELDS};
    struct mill_profile *profile = rows_profile(rows, &spec), *read;
    struct mill_buffer bytes = {0};
    struct mill_error err;

    (void)state;
    mill_profile_write(profile, &bytes);
    bytes.p[MILL__PROFILE_MAGIC_SIZE] = 1;
    assert_int_equal(mill_profile_read(mill_buffer_slice(&bytes), &read, &err), MILL_EDATA);
    assert_string_equal(err.msg, "a drift profile of version 1; expected version 2; "
                                 "hint: 'tidemill drift profile' makes a new one");
    mill_buffer_clear(&bytes);
    mill_profile_free(profile);
    rows_free(rows);
}

/* ---- the story ---- */

enum { HOURS = 12, PER_HOUR = 1200, MOVES = 7 };

/* West has always been elsewhere: other values, other colors, more missing. From the hour MOVES on it goes where the
 * others are; all rows together hardly change. */
static struct drift_row story_row(uint64_t *random, int64_t time_us, bool has_moved)
{
    struct drift_row row = drift_row_make(random, time_us, 0);

    row.site = drift_uniform(random) < 0.15 ? "west" : drift_uniform(random) < 0.5 ? "north" : "south";
    if (strcmp(row.site, "west") == 0 && !has_moved) {
        row.x = drift_uniform(random) < 0.3 ? (double)NAN : 5 + 2 * drift_normal(random);
        row.color = drift_uniform(random) < 0.5 ? "white" : "ivory";
        row.score = 0.9 + 0.1 * row.score;
    }
    return row;
}

struct heard {
    uint32_t reports, firing;
    uint32_t first_hour;    /* at which a west alert fired */
    unsigned west_features; /* bits */
};

static void on_report(void *context, const struct mill_drift_report *report)
{
    struct heard *heard = context;
    (void)report;
    heard->reports++;
}

static void on_alert(void *context, const struct mill_drift_alert *alert)
{
    struct heard *heard = context;
    const struct mill_profile *profile = alert->report->profile;
    int64_t hour = alert->report->end_us / INT64_C(3600000000);

    assert_true(hour > MOVES); /* before, nothing has changed */
    if (alert->result->segment < profile->segment_count &&
        mill_slice_equal(profile->segments[alert->result->segment], mill_slice_of("west"))) {
        heard->first_hour = heard->first_hour == 0 ? (uint32_t)hour : heard->first_hour;
        heard->west_features |= 1U << (alert->result->feature - profile->features);
    } else {
        assert_true(alert->result->segment == UINT32_MAX); /* the whole may notice; the others have not moved */
    }
    heard->firing += alert->status == MILL_ALERT_FIRING;
}

static void on_trigger(void *context, const struct mill_retrain_trigger *trigger,
                       const struct mill_drift_report *report)
{
    (void)context;
    (void)trigger;
    (void)report;
    fail();
}

static void on_expired(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part)
{
    (void)context;
    (void)kind;
    (void)contributor;
    (void)start_us;
    (void)part;
}

static void give(void *context, const struct mill_drift_part *part)
{
    assert_int_equal(mill_drift_monitor_part(context, MILL_PART_COUNTS, 0, part, NULL), MILL_OK);
}

static void run_story(const struct mill_profile_spec *columns, const struct mill_profile *profile,
                      const struct drift_row *rows, struct heard *heard)
{
    const int64_t hour = INT64_C(3600000000);
    struct mill_drift_monitor_spec spec = {.project = "shop",
                                           .name = "inputs",
                                           .model = "churn",
                                           .model_version = "3",
                                           .columns = *columns,
                                           .window_us = 3 * hour,
                                           .every_us = hour,
                                           .alerts = {1, 2, 0},
                                           .reference_from_us = INT64_MIN,
                                           .reference_to_us = INT64_MIN};
    struct mill_drift_counter_options options = {.profile = profile, .spec = columns, .pane_us = hour};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    const struct mill_drift_monitor_sink sink = {heard, NULL, on_report, on_alert, on_trigger, on_expired};

    mill_drift_rule_init(&spec.rule, MILL_RULE_DEFAULT);
    struct mill_drift_monitor *monitor = mill_drift_monitor_new(&spec, profile, 1);
    drift_rows_count(counter, rows, HOURS * PER_HOUR);
    mill_drift_counter_take(counter, HOURS * hour, give, monitor);
    mill_drift_monitor_run(monitor, &sink, true);
    mill_drift_monitor_free(monitor);
    mill_drift_counter_free(counter);
}

static void test_story(void **state)
{
    struct mill_profile_spec columns = drift_rows_spec;
    struct drift_row *rows = mill_calloc(HOURS * PER_HOUR, sizeof(*rows));
    struct heard heard = {0};
    uint64_t random = 42;

    (void)state;
    columns.segment_by = "site";
    columns.segments_max = 3;
    for (uint32_t i = 0; i < HOURS * PER_HOUR; i++) {
        rows[i] = story_row(&random, 0, false);
    }
    struct mill_profile *profile = drift_rows_profile(&columns, rows, HOURS * PER_HOUR);
    for (uint32_t i = 0; i < HOURS * PER_HOUR; i++) {
        rows[i] = story_row(&random, (int64_t)i * (INT64_C(3600000000) / PER_HOUR), i >= MOVES * PER_HOUR);
    }
    run_story(&columns, profile, rows, &heard);
    assert_true(heard.reports >= HOURS - 3);
    assert_int_equal(heard.first_hour, MOVES + 1);
    assert_int_equal(heard.west_features, 7); /* x, color and score */
    mill_profile_free(profile);
    free(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile_is_recount),
        cmocka_unit_test(test_window_against_its_segment),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_old_version),
        cmocka_unit_test(test_story),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
