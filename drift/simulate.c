/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How often a rule fires where nothing has drifted: `tidemill drift simulate`.
 *
 * Rows are dealt at random into a reference half and a half that windows are drawn from. Drawing them from the
 * reference itself would flatter the rule: a part of a sample is nearer to it than a new sample is. All goes through
 * the code that runs in the stream: builder, counter, parts, window, evaluation.
 */
#include <stdlib.h>

#include "drift/drift.h"

struct simulation {
    const struct mill_drift_simulation_options *options;
    struct mill_profile_spec spec;
    uint64_t random;
    uint64_t *rows; /* a permutation: the reference first */
    uint64_t reference_rows;
    struct mill_arena rows_arena, arena;
    struct mill_column *batch; /* MILL_BATCH_ROWS_MAX rows; the segment last */
    const struct mill_column **columns;
    int64_t *event_time_us;
    uint64_t *live;
    struct mill_profile *profile;
    struct mill_drift_counter *counter;
    struct mill_drift_window *window;
    int64_t now_us; /* windows of the simulation lie behind one another in time, a microsecond each */
};

/* splitmix64 (S. Vigna) */
static uint64_t next_random(struct simulation *s)
{
    uint64_t z = (s->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The first count of n rows become a random choice of them, in random order (Fisher and Yates). */
static void deal(struct simulation *s, uint64_t *rows, uint64_t n, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        uint64_t k = i + next_random(s) % (n - i);
        uint64_t row = rows[i];
        rows[i] = rows[k];
        rows[k] = row;
    }
}

static void copy_value(const struct mill_column *from, uint64_t row, struct mill_column *to, uint32_t i)
{
    if (!mill_bit_get(from->valid, (uint32_t)row)) {
        mill_bit_clear(to->valid, i);
        return;
    }
    mill_bit_set(to->valid, i);
    if (from->type == MILL_BOOL) {
        to->at.b[i] = from->at.b[row];
    } else if (from->type == MILL_FLOAT64) {
        to->at.f[i] = from->at.f[row];
    } else if (from->type == MILL_STRING) {
        to->at.s[i] = from->at.s[row];
    } else {
        to->at.i[i] = from->at.i[row];
    }
}

static void set_up(struct simulation *s)
{
    const struct mill_drift_simulation_options *options = s->options;
    uint32_t count = options->spec->field_count;

    mill_arena_init(&s->rows_arena, 0);
    mill_arena_init(&s->arena, 0);
    s->batch = mill_arena_array(&s->rows_arena, struct mill_column, count + (size_t)1);
    s->columns = mill_arena_array(&s->rows_arena, const struct mill_column *, count + (size_t)1);
    for (uint32_t c = 0; c < count; c++) {
        mill_column_init(&s->batch[c], options->columns[c].type, MILL_BATCH_ROWS_MAX, &s->rows_arena);
        s->columns[c] = &s->batch[c];
    }
    if (options->segment != NULL) {
        mill_column_init(&s->batch[count], options->segment->type, MILL_BATCH_ROWS_MAX, &s->rows_arena);
    }
    s->event_time_us = mill_arena_array(&s->rows_arena, int64_t, MILL_BATCH_ROWS_MAX);
    s->live = mill_arena_array(&s->rows_arena, uint64_t, MILL_BATCH_WORDS_MAX);
    memset(s->live, 0xff, MILL_BATCH_WORDS_MAX * sizeof(uint64_t));
    s->rows = mill_arena_array(&s->rows_arena, uint64_t, options->row_count);
    for (uint64_t i = 0; i < options->row_count; i++) {
        s->rows[i] = i;
    }
    s->reference_rows = options->row_count - options->row_count / 2;
    s->random = options->seed;
    s->spec = *options->spec;
    s->spec.calibration_window_us = options->rule.kind == MILL_RULE_CALIBRATED ? (int64_t)options->window_rows : 0;
}

/* Fills the batch from rows[0..n) and returns the segment column or NULL. */
static const struct mill_column *load(struct simulation *s, const uint64_t *rows, uint32_t n)
{
    uint32_t count = s->options->spec->field_count;

    for (uint32_t c = 0; c < count; c++) {
        for (uint32_t i = 0; i < n; i++) {
            copy_value(&s->options->columns[c], rows[i], &s->batch[c], i);
        }
    }
    if (s->options->segment == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < n; i++) {
        copy_value(s->options->segment, rows[i], &s->batch[count], i);
    }
    return &s->batch[count];
}

static uint32_t batch_rows(uint64_t left)
{
    return left < MILL_BATCH_ROWS_MAX ? (uint32_t)left : (uint32_t)MILL_BATCH_ROWS_MAX;
}

/* Rows of the reference get their position as event time, so that its windows of window_rows can calibrate. */
static int build_profile(struct simulation *s, struct mill_error *err)
{
    struct mill_profile_builder *builder = mill_profile_builder_new(&s->spec);

    for (uint64_t at = 0, n; at < s->reference_rows; at += n) {
        n = batch_rows(s->reference_rows - at);
        const struct mill_column *segment = load(s, s->rows + at, (uint32_t)n);
        for (uint32_t i = 0; i < n; i++) {
            s->event_time_us[i] = (int64_t)(at + i);
        }
        mill_profile_builder_add(builder, s->columns, segment, s->event_time_us, s->live, 0, (uint32_t)n);
    }
    int rc = mill_profile_builder_finish(builder, &s->profile, err);
    mill_profile_builder_free(builder);
    return rc;
}

static void drop_profile(struct simulation *s)
{
    mill_drift_counter_free(s->counter);
    mill_drift_window_free(s->window);
    mill_profile_free(s->profile);
    s->counter = NULL;
    s->window = NULL;
    s->profile = NULL;
}

static int start_split(struct simulation *s, struct mill_error *err)
{
    drop_profile(s);
    deal(s, s->rows, s->options->row_count, s->options->row_count);
    MILL_TRY(build_profile(s, err));
    struct mill_drift_counter_options options = {.profile = s->profile, .spec = &s->spec, .pane_us = 1};
    s->counter = mill_drift_counter_new(&options);
    s->window = mill_drift_window_new(s->profile);
    return MILL_OK;
}

struct sum {
    struct mill_drift_window *window;
    int sign;
};

static void sum_part(void *context, const struct mill_drift_part *part)
{
    const struct sum *sum = context;
    int rc = mill_drift_window_apply(sum->window, part->bytes, sum->sign, NULL);
    mill_assert(rc == MILL_OK);
}

static void count_window(struct simulation *s, int sign)
{
    const uint64_t *rows = s->rows + s->reference_rows;
    struct sum sum = {s->window, sign};

    for (uint64_t at = 0, n; at < s->options->window_rows; at += n) {
        n = batch_rows(s->options->window_rows - at);
        const struct mill_column *segment = load(s, rows + at, (uint32_t)n);
        for (uint32_t i = 0; i < n; i++) {
            s->event_time_us[i] = s->now_us;
        }
        mill_drift_counter_add(s->counter, s->columns, segment, s->event_time_us, s->live, 0, (uint32_t)n);
    }
    mill_drift_counter_take(s->counter, ++s->now_us, sum_part, &sum);
}

static void tally(const struct mill_drift_report *report, struct mill_drift_simulation *result)
{
    result->evaluations++;
    result->any += report->severity >= MILL_SEVERITY_MINOR;
    result->major += report->severity == MILL_SEVERITY_MAJOR;
    result->result_count += report->result_count;
    for (uint32_t i = 0; i < report->result_count; i++) {
        result->results_minor += report->results[i].severity == MILL_SEVERITY_MINOR;
        result->results_major += report->results[i].severity == MILL_SEVERITY_MAJOR;
    }
}

static void evaluate_one(struct simulation *s, struct mill_drift_simulation *result)
{
    struct mill_drift_report report;

    deal(s, s->rows + s->reference_rows, s->options->row_count - s->reference_rows, s->options->window_rows);
    count_window(s, 1);
    mill_drift_evaluate(s->window, s->profile, &s->options->rule, false, &s->arena, &report);
    tally(&report, result);
    count_window(s, -1);
    mill_arena_reset(&s->arena);
}

static int run(struct simulation *s, struct mill_drift_simulation *result, struct mill_error *err)
{
    uint32_t evaluations = s->options->evaluations == 0 ? 1000 : s->options->evaluations;
    uint32_t splits = s->options->splits == 0 ? 10 : s->options->splits;

    for (uint32_t i = 0, split = 0; i < evaluations; i++) {
        if ((uint64_t)i * splits >= (uint64_t)split * evaluations) {
            MILL_TRY(start_split(s, err));
            split++;
        }
        evaluate_one(s, result);
    }
    return MILL_OK;
}

int mill_drift_simulate(const struct mill_drift_simulation_options *options, struct mill_drift_simulation *ret_result,
                        struct mill_error *err)
{
    struct mill_drift_simulation result = {.evaluations = 0};
    struct simulation s = {.options = options};

    if (options->window_rows == 0 || options->row_count / 2 < options->window_rows) {
        return mill_fail(err, MILL_EUSAGE,
                         "windows of %llu rows cannot be drawn from %llu rows; hint: at most half of them, for windows "
                         "and reference share no row",
                         (unsigned long long)options->window_rows, (unsigned long long)options->row_count);
    }
    set_up(&s);
    int rc = run(&s, &result, err);
    drop_profile(&s);
    mill_arena_clear(&s.arena);
    mill_arena_clear(&s.rows_arena);
    if (rc == MILL_OK) {
        *ret_result = result;
    }
    return rc;
}
