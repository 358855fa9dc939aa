/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The saved state of a drift monitor from hostile bytes. The input is what follows the owner and the profile's hash,
 * and gets a valid head (else nothing would get past the checksum), or, if its first byte is 0, a whole state. What is
 * accepted must be written and read back as the same bytes, and must bear evaluations around the times in it.
 */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/timestamp.h"
#include "drift/monitor_internal.h"

enum { ROWS = 64 };

static const struct mill_field fields[] = {{"x", MILL_FLOAT64}, {"score", MILL_FLOAT64}};
static const struct mill_profile_spec columns = {
    .model = "m",
    .model_version = "1",
    .fields = fields,
    .field_count = 2,
    .binning = {.kind = MILL_BINS_QUANTILE, .count = 4, .atoms = true},
};
static struct mill_profile *profile;
static struct mill_drift_monitor_spec spec;
static struct mill_buffer part_bytes;

static void append(void *context, const struct mill_drift_part *part)
{
    mill_buffer_add_slice(context, part->bytes);
}

/* A profile of rows, and a part of the same rows moved: drift. */
static void set_up(void)
{
    struct mill_arena arena;
    struct mill_column column[2];
    const struct mill_column *pointers[] = {&column[0], &column[1]};
    const uint64_t live[MILL_BATCH_WORDS_MAX] = {UINT64_MAX};
    const int64_t times[ROWS] = {0};
    struct mill_profile_builder *builder = mill_profile_builder_new(&columns);

    mill_arena_init(&arena, 0);
    for (unsigned c = 0; c < 2; c++) {
        mill_column_init(&column[c], MILL_FLOAT64, ROWS, &arena);
        for (uint32_t i = 0; i < ROWS; i++) {
            mill_bit_set(column[c].valid, i);
            column[c].at.f[i] = i;
        }
    }
    mill_profile_builder_add(builder, pointers, NULL, times, live, 0, ROWS);
    mill_assert(mill_profile_builder_finish(builder, &profile, NULL) == MILL_OK);
    mill_profile_builder_free(builder);
    struct mill_drift_counter_options options = {.profile = profile, .spec = &columns, .pane_us = 1};
    struct mill_drift_counter *counter = mill_drift_counter_new(&options);
    for (uint32_t i = 0; i < ROWS; i++) {
        column[0].at.f[i] = column[1].at.f[i] = i + 50;
    }
    mill_drift_counter_add(counter, pointers, NULL, times, live, 0, ROWS);
    mill_drift_counter_take(counter, 1, append, &part_bytes);
    mill_drift_counter_free(counter);
    mill_arena_clear(&arena);
    spec = (struct mill_drift_monitor_spec){
        .project = "p",
        .name = "n",
        .model = "m",
        .model_version = "1",
        .columns = columns,
        .window_us = 3 * MILL_US_PER_HOUR,
        .every_us = MILL_US_PER_HOUR,
        .alerts = {2, 2, MILL_US_PER_HOUR},
        .trigger = {true, 1, 2, 1, MILL_US_PER_HOUR, MILL_US_PER_DAY, MILL_US_PER_DAY},
        .reference_from_us = INT64_MIN,
        .reference_to_us = INT64_MIN,
    };
    mill_drift_rule_init(&spec.rule, MILL_RULE_DEFAULT);
    spec.rule.samples_min = 10;
}

static void on_report(void *context, const struct mill_drift_report *report)
{
    mill_drift_report_write_json(report, "p", INT64_MIN, context);
}

static void on_alert(void *context, const struct mill_drift_alert *alert)
{
    mill_drift_alert_write_json(alert, "p", INT64_MIN, context);
}

static void on_trigger(void *context, const struct mill_retrain_trigger *trigger,
                       const struct mill_drift_report *report)
{
    mill_assert(trigger->report == report);
    mill_retrain_trigger_write_json(trigger, &spec, INT64_MIN, context);
}

static void on_expired(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part)
{
    (void)context;
    (void)kind;
    (void)contributor;
    (void)start_us;
    (void)part;
}

static void give(struct mill_drift_monitor *monitor, int64_t us, struct mill_buffer *out)
{
    struct mill_drift_part part = {mill_timestamp_floor(us, spec.every_us), 0, mill_buffer_slice(&part_bytes)};
    struct mill_drift_monitor_sink sink = {out, NULL, on_report, on_alert, on_trigger, on_expired};

    if (mill_drift_monitor_part(monitor, MILL_PART_COUNTS, 0, &part, NULL) == MILL_OK) {
        mill_drift_monitor_progress(monitor, 0, part.start_us + spec.every_us);
        mill_drift_monitor_run(monitor, &sink, false);
        mill_drift_monitor_trigger(monitor, &sink);
    }
}

static void check_round_trip(const struct mill_drift_monitor *monitor)
{
    struct mill_buffer first = {0}, second = {0};
    struct mill_drift_monitor *other = mill_drift_monitor_new(&spec, profile, 1);

    mill_drift_monitor_save(monitor, &first);
    mill_assert(mill_drift_monitor_load(other, mill_buffer_slice(&first), NULL) == MILL_OK);
    mill_drift_monitor_save(other, &second);
    mill_assert(mill_slice_equal(mill_buffer_slice(&first), mill_buffer_slice(&second)));
    mill_drift_monitor_free(other);
    mill_buffer_clear(&first);
    mill_buffer_clear(&second);
}

/* The head, owner and profile of a valid state are those of a new monitor's: 16 + 8 + 65 bytes. */
static void make_state(const struct mill_drift_monitor *monitor, const uint8_t *data, size_t size,
                       struct mill_buffer *state)
{
    if (size > 0 && data[0] == 0) {
        mill_buffer_add(state, data + 1, size - 1);
        return;
    }
    mill_drift_monitor_save(monitor, state);
    state->n = 16 + 8 + 65;
    mill_buffer_add(state, data + (size > 0), size - (size > 0));
    uint64_t checksum = mill_hash64(state->p + 16, state->n - 16);
    memcpy(state->p + 8, &checksum, sizeof(checksum));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_buffer state = {0}, out = {0};

    if (profile == NULL) {
        set_up();
    }
    struct mill_drift_monitor *monitor = mill_drift_monitor_new(&spec, profile, 1);
    make_state(monitor, data, size, &state);
    if (mill_drift_monitor_load(monitor, mill_buffer_slice(&state), NULL) == MILL_OK) {
        int64_t t = monitor->next_end_us;
        check_round_trip(monitor);
        give(monitor, t == INT64_MIN ? 0 : t - spec.every_us, &out);
        give(monitor, t == INT64_MIN ? spec.every_us : t, &out);
        give(monitor, 100 * MILL_US_PER_DAY, &out);
        check_round_trip(monitor);
    }
    mill_drift_monitor_free(monitor);
    mill_buffer_clear(&state);
    mill_buffer_clear(&out);
    return 0;
}
