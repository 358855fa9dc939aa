/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When to train again. An alert says that something moved; a trigger says that training is worth its cost: enough
 * features major (or the score, or performance) in several evaluations in a row, of enough rows, not within the
 * cool-down of the last trigger, and not while a challenger is on trial. What is held back by the last two fires as
 * soon as they end, if it still holds then.
 */
#include <string.h>

#include "drift/monitor_internal.h"

struct evidence {
    uint32_t *index;
    uint32_t count;
    bool has_reason;
    enum mill_trigger_reason reason;
};

static bool is_quality(const struct mill_drift_result *result)
{
    return strcmp(result->reason, "null_share") == 0 || strcmp(result->reason, "unseen_share") == 0 ||
           strcmp(result->reason, "out_of_range") == 0;
}

/* 0 is no number of features or evaluations: as 1. */
static uint32_t at_least_one(uint32_t n)
{
    return n == 0 ? 1 : n;
}

/* Features over all rows: segments are the same drift seen again. */
static void gather(const struct mill_drift_report *report, const struct mill_trigger_options *options,
                   struct mill_arena *arena, struct evidence *evidence)
{
    uint32_t drifted = 0;
    bool has_score = false;

    evidence->index = mill_arena_array(arena, uint32_t, report->result_count + (size_t)1);
    for (uint32_t i = 0; i < report->profile->feature_count; i++) {
        const struct mill_drift_result *result = &report->results[i];
        if (result->severity != MILL_SEVERITY_MAJOR) {
            continue;
        }
        evidence->index[evidence->count++] = i;
        drifted += !is_quality(result);
        has_score = has_score || (strcmp(result->feature->name, "score") == 0 && !is_quality(result));
    }
    if (report->performance_severity == MILL_SEVERITY_MAJOR) {
        evidence->reason = MILL_TRIGGER_PERFORMANCE;
    } else if (has_score || drifted >= at_least_one(options->features_min)) {
        evidence->reason = MILL_TRIGGER_DRIFT;
    } else {
        evidence->reason = MILL_TRIGGER_DATA_QUALITY;
    }
    evidence->has_reason =
        evidence->reason != MILL_TRIGGER_DATA_QUALITY || evidence->count >= at_least_one(options->features_min);
}

static void fire(struct mill__trigger_state *state, const struct mill_drift_monitor_spec *spec, int64_t end_us,
                 enum mill_trigger_reason reason, const struct mill_drift_report *report,
                 const struct evidence *evidence, const struct mill_drift_monitor_sink *sink)
{
    struct mill__identity identity = mill__identity_of(spec);
    struct mill_retrain_trigger trigger = {
        .reason = reason,
        .train_from_us = end_us - spec->trigger.train_window_us,
        .train_to_us = end_us,
        .report = evidence == NULL ? NULL : report,
        .result_index = evidence == NULL ? NULL : evidence->index,
        .result_count = evidence == NULL ? 0 : evidence->count,
    };
    char what[64] = "retrain ";

    strncat(what, mill_trigger_reason_name(reason), sizeof(what) - sizeof("retrain "));
    mill__identity_id(&identity, what, NULL, NULL, end_us, trigger.id);
    state->streak = 0;
    state->last_us = end_us;
    sink->trigger(sink->context, &trigger, trigger.report);
}

static bool is_scheduled(const struct mill__trigger_state *state, const struct mill_trigger_options *options,
                         int64_t end_us)
{
    int64_t from_us = state->last_us != INT64_MIN ? state->last_us : state->schedule_from_us;
    return options->schedule_us > 0 && end_us - from_us >= options->schedule_us;
}

void mill__trigger_step(struct mill__trigger_state *state, const struct mill_drift_monitor_spec *spec,
                        const struct mill_drift_report *report, struct mill_arena *arena,
                        const struct mill_drift_monitor_sink *sink)
{
    const struct mill_trigger_options *options = &spec->trigger;
    struct evidence evidence = {.count = 0};

    if (!options->enabled) {
        return;
    }
    if (state->schedule_from_us == INT64_MIN) {
        state->schedule_from_us = report->end_us;
    }
    gather(report, options, arena, &evidence);
    bool calls = evidence.has_reason && report->row_count >= options->samples_min;
    state->streak = calls ? state->streak + (state->streak < UINT32_MAX) : 0;
    bool is_held =
        spec->has_challenger || (state->last_us != INT64_MIN && report->end_us - state->last_us < options->cooldown_us);
    if (is_held) {
        return;
    }
    if (calls && state->streak >= at_least_one(options->consecutive_min)) {
        fire(state, spec, report->end_us, evidence.reason, report, &evidence, sink);
    } else if (is_scheduled(state, options, report->end_us)) {
        fire(state, spec, report->end_us, MILL_TRIGGER_SCHEDULE, NULL, NULL, sink);
    }
}

void mill__trigger_manual(struct mill__trigger_state *state, const struct mill_drift_monitor_spec *spec, int64_t end_us,
                          const struct mill_drift_monitor_sink *sink)
{
    fire(state, spec, end_us, MILL_TRIGGER_MANUAL, NULL, NULL, sink);
}
