/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The monitor: which window ends are due, and what follows from each.
 *
 * Windows end at multiples of every_us. An end T is due when every contributor has progressed to T, for then all parts
 * of panes before T are here: so what is said about T is a function of the parts, not of the order in which they came.
 * Windows without any part (a gap in time) are passed over in silence.
 */
#include <math.h>
#include <stdlib.h>

#include "base/timestamp.h"
#include "drift/monitor_internal.h"

/* Event times beyond are no times; room to add a window to one. */
static const int64_t TIME_MAX = INT64_MAX / 4;

struct mill_drift_monitor *mill_drift_monitor_new(const struct mill_drift_monitor_spec *spec,
                                                  const struct mill_profile *profile, uint32_t contributor_count)
{
    struct mill_drift_monitor *monitor = mill_calloc(1, sizeof(*monitor));

    mill_assert(spec->every_us > 0 && spec->window_us > 0 && spec->window_us % spec->every_us == 0);
    mill_assert(profile != NULL || spec->reference_rows > 0 || spec->reference_to_us != INT64_MIN);
    mill_assert(contributor_count > 0);
    monitor->spec = *spec;
    monitor->spec.rule.evaluations_per_month = 30.0 * MILL_US_PER_DAY / (double)spec->every_us;
    monitor->spec.rule.window_us = spec->window_us;
    monitor->identity = mill__identity_of(&monitor->spec);
    monitor->contributor_count = contributor_count;
    monitor->progress = mill_malloc(contributor_count * sizeof(*monitor->progress));
    for (uint32_t i = 0; i < contributor_count; i++) {
        monitor->progress[i] = INT64_MIN;
    }
    monitor->built_to_us = monitor->next_end_us = monitor->last_end_us = INT64_MIN;
    monitor->trigger = (struct mill__trigger_state){0, INT64_MIN, INT64_MIN};
    monitor->auc_reference = spec->rule.auc_reference;
    monitor->scores = mill_outcomes_new();
    monitor->outcomes = mill_outcomes_new();
    monitor->trial_outcomes = mill_outcomes_new();
    mill_arena_init(&monitor->arena, 0);
    if (profile != NULL) {
        mill__monitor_start(monitor, profile);
    }
    return monitor;
}

void mill__monitor_start(struct mill_drift_monitor *monitor, const struct mill_profile *profile)
{
    uint32_t segments = profile->segment_count == 0 ? 0 : profile->segment_count + 1;
    int64_t reference_end = INT64_MIN;

    monitor->profile = profile;
    monitor->window = mill_drift_window_new(profile);
    monitor->trial = mill_drift_window_new(profile);
    monitor->alert_count = profile->feature_count * (segments + 1) + 1;
    monitor->alerts = mill_calloc(monitor->alert_count, sizeof(*monitor->alerts));
    reference_end = mill__monitor_reference_end(monitor);
    if (reference_end != INT64_MIN) {
        monitor->next_end_us = reference_end + monitor->spec.window_us;
    }
}

void mill_drift_monitor_free(struct mill_drift_monitor *monitor)
{
    if (monitor == NULL) {
        return;
    }
    mill_arena_clear(&monitor->arena);
    free(monitor->alerts);
    mill_outcomes_free(monitor->scores);
    mill_outcomes_free(monitor->outcomes);
    mill_outcomes_free(monitor->trial_outcomes);
    mill_drift_window_free(monitor->window);
    mill_drift_window_free(monitor->trial);
    mill__parts_clear(&monitor->parts);
    free(monitor->progress);
    mill_profile_builder_free(monitor->builder);
    mill_profile_free(monitor->made_profile);
    free(monitor);
}

void mill_drift_monitor_set_challenger(struct mill_drift_monitor *monitor, bool has_challenger)
{
    monitor->spec.has_challenger = has_challenger;
}

void mill_drift_monitor_progress(struct mill_drift_monitor *monitor, uint32_t contributor, int64_t watermark_us)
{
    mill_assert(contributor < monitor->contributor_count);
    if (watermark_us > monitor->progress[contributor]) {
        monitor->progress[contributor] = watermark_us < TIME_MAX ? watermark_us : TIME_MAX;
    }
}

static int64_t complete_us(const struct mill_drift_monitor *monitor)
{
    int64_t least = INT64_MAX;

    for (uint32_t i = 0; i < monitor->contributor_count; i++) {
        least = monitor->progress[i] < least ? monitor->progress[i] : least;
    }
    return least;
}

static int64_t newest_pane_end(const struct mill_drift_monitor *monitor)
{
    const struct mill__parts *parts = &monitor->parts;
    return parts->count == 0 ? INT64_MIN : parts->panes[parts->count - 1].start_us + monitor->spec.every_us;
}

/* Moves next_end to the next end whose window holds a part; false where that is not due. */
static bool find_due(struct mill_drift_monitor *monitor, int64_t limit_us)
{
    const struct mill__parts *parts = &monitor->parts;
    int64_t every = monitor->spec.every_us, *next = &monitor->next_end_us;
    int64_t first = parts->count == 0 ? INT64_MAX : parts->panes[0].start_us;

    if (limit_us == INT64_MIN || (*next == INT64_MIN && first == INT64_MAX)) {
        return false;
    }
    if (*next == INT64_MIN) {
        /* Not kept before it is due: an earlier pane may yet come. */
        return first + every <= limit_us && (*next = first + every, true);
    }
    if (*next <= limit_us && first >= *next) {
        int64_t known = mill_timestamp_floor(limit_us, every);
        *next = (first < known ? first : known) + every;
    }
    return *next <= limit_us;
}

/* Measured by the labels that came in the window, estimated from the scores of the window. */
static void evaluate_performance(struct mill_drift_monitor *monitor, struct mill_drift_report *report)
{
    struct mill_performance estimate, *performance = &report->performance;

    mill_outcomes_evaluate(monitor->outcomes, performance);
    mill_outcomes_evaluate(monitor->scores, &estimate);
    performance->scored = estimate.scored;
    performance->estimated_auc = estimate.estimated_auc;
    performance->estimated_accuracy = estimate.estimated_accuracy;
    performance->estimated_log_loss = estimate.estimated_log_loss;
    performance->estimated_brier = estimate.estimated_brier;
    report->has_performance = performance->scored > 0 || performance->labelled > 0;
    if (!report->has_performance) {
        return;
    }
    mill__judge_performance(&monitor->spec.rule, monitor->auc_reference, report);
    if (isnan(monitor->auc_reference) && report->performance.labelled >= monitor->spec.rule.labelled_min) {
        monitor->auc_reference = report->performance.auc;
    }
}

static void step_alerts(struct mill_drift_monitor *monitor, const struct mill_drift_report *report,
                        const struct mill_drift_monitor_sink *sink)
{
    const struct mill__alert_step step = {&monitor->identity, &monitor->spec.alerts, report, sink};
    const struct mill_drift_rule *rule = &monitor->spec.rule;
    const struct mill_performance *performance = &report->performance;

    for (uint32_t i = 0; i < report->result_count; i++) {
        const struct mill_drift_result *result = &report->results[i];
        if ((result->conditions & MILL_CONDITIONS_UNJUDGED) == 0) {
            mill__alert_step(&monitor->alerts[i], &step, result, result->severity);
        }
    }
    if (report->has_performance &&
        (performance->labelled >= rule->labelled_min || performance->scored >= rule->samples_min)) {
        mill__alert_step(&monitor->alerts[report->result_count], &step, NULL, report->performance_severity);
    }
}

static void evaluate(struct mill_drift_monitor *monitor, const struct mill_drift_monitor_sink *sink)
{
    int64_t end_us = monitor->next_end_us;
    struct mill_drift_report report;

    mill__monitor_sum_to(monitor, end_us);
    mill_drift_evaluate(monitor->window, monitor->profile, &monitor->spec.rule, false, &monitor->arena, &report);
    report.monitor = monitor->spec.name;
    report.model = monitor->spec.model;
    report.model_version = monitor->spec.model_version;
    report.start_us = end_us - monitor->spec.window_us;
    report.end_us = end_us;
    mill__identity_id(&monitor->identity, "report", NULL, NULL, end_us, report.id);
    evaluate_performance(monitor, &report);
    sink->report(sink->context, &report);
    step_alerts(monitor, &report, sink);
    mill__trigger_step(&monitor->trigger, &monitor->spec, &report, &monitor->arena, sink);
    monitor->evaluations++;
    monitor->last_end_us = end_us;
    monitor->next_end_us = end_us + monitor->spec.every_us;
    mill_arena_reset(&monitor->arena);
}

void mill_drift_monitor_run(struct mill_drift_monitor *monitor, const struct mill_drift_monitor_sink *sink, bool all)
{
    int64_t limit_us = complete_us(monitor);

    if (all && newest_pane_end(monitor) > limit_us) {
        limit_us = newest_pane_end(monitor);
    }
    if (monitor->profile == NULL && !mill__monitor_gather(monitor, limit_us, sink)) {
        return;
    }
    do {
        if (monitor->next_end_us != INT64_MIN) {
            mill__monitor_expire(monitor, monitor->next_end_us - monitor->spec.window_us, sink);
        }
        if (!find_due(monitor, limit_us)) {
            return;
        }
        mill__monitor_expire(monitor, monitor->next_end_us - monitor->spec.window_us, sink);
        evaluate(monitor, sink);
    } while (true);
}

void mill_drift_monitor_trigger(struct mill_drift_monitor *monitor, const struct mill_drift_monitor_sink *sink)
{
    int64_t end_us = monitor->last_end_us != INT64_MIN ? monitor->last_end_us : newest_pane_end(monitor);

    if (end_us != INT64_MIN) {
        mill__trigger_manual(&monitor->trigger, &monitor->spec, end_us, sink);
    }
}

void mill_drift_monitor_status(const struct mill_drift_monitor *monitor, struct mill_drift_monitor_status *ret_status)
{
    *ret_status = (struct mill_drift_monitor_status){
        .part_count = monitor->parts.part_count,
        .part_bytes = monitor->parts.part_bytes,
        .skipped_parts = monitor->skipped_parts,
        .evaluations = monitor->evaluations,
        .complete_us = complete_us(monitor),
        .next_end_us = monitor->next_end_us,
        .has_profile = monitor->profile != NULL,
    };
    for (uint32_t i = 0; i < monitor->alert_count; i++) {
        ret_status->firing_count += monitor->alerts[i].severity != MILL_SEVERITY_NONE;
    }
}
