/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The state machine of an alert. It moves up when fire_after evaluations in a row were at a severity or above, and down
 * when resolve_after in a row were below it; several steps at once are one transition. An evaluation that could not be
 * judged is not handed in: it says nothing, neither for nor against.
 */
#include "drift/monitor_internal.h"

static void count_up(uint32_t *counter)
{
    *counter += *counter < UINT32_MAX;
}

static void observe(struct mill__alert_state *state, enum mill_severity severity)
{
    for (unsigned i = 0; i < 2; i++) {
        if (severity >= (enum mill_severity)(i + 1)) {
            count_up(&state->above[i]);
            state->below[i] = 0;
        } else {
            count_up(&state->below[i]);
            state->above[i] = 0;
        }
    }
}

static enum mill_severity next_severity(const struct mill__alert_state *state, const struct mill_alert_options *options)
{
    uint32_t fire_after = options->fire_after == 0 ? 1 : options->fire_after;
    uint32_t resolve_after = options->resolve_after == 0 ? 1 : options->resolve_after;
    enum mill_severity severity = state->severity;

    while (severity < MILL_SEVERITY_MAJOR && state->above[severity] >= fire_after) {
        severity++;
    }
    while (severity > MILL_SEVERITY_NONE && state->below[severity - 1] >= resolve_after) {
        severity--;
    }
    return severity;
}

static enum mill_alert_status status_of(enum mill_severity before, enum mill_severity after)
{
    if (before == MILL_SEVERITY_NONE || before == after) {
        return MILL_ALERT_FIRING;
    }
    if (after == MILL_SEVERITY_NONE) {
        return MILL_ALERT_RESOLVED;
    }
    return after > before ? MILL_ALERT_ESCALATED : MILL_ALERT_DEESCALATED;
}

static void say(const struct mill__alert_step *step, const struct mill_drift_result *result,
                const struct mill__alert_state *state, enum mill_severity before)
{
    const struct mill_profile *profile = step->report->profile;
    struct mill_drift_alert alert = {
        .status = status_of(before, state->severity),
        .is_repeat = before == state->severity,
        .severity = state->severity,
        .previous_severity = before,
        .since_us = state->since_us,
        .report = step->report,
        .result = result,
    };

    mill__identity_id(step->identity, alert.is_repeat ? "repeat" : mill_alert_status_name(alert.status), profile,
                      result, step->report->end_us, alert.id);
    mill__identity_fingerprint(step->identity, profile, result, alert.fingerprint);
    step->sink->alert(step->sink->context, &alert);
}

void mill__alert_step(struct mill__alert_state *state, const struct mill__alert_step *step,
                      const struct mill_drift_result *result, enum mill_severity severity)
{
    enum mill_severity before = state->severity;
    int64_t end_us = step->report->end_us, repeat_us = step->options->repeat_us;

    observe(state, severity);
    state->severity = next_severity(state, step->options);
    if (before == MILL_SEVERITY_NONE && state->severity != before) {
        state->since_us = end_us;
    }
    bool is_due = before != MILL_SEVERITY_NONE && repeat_us > 0 && end_us - state->said_us >= repeat_us;
    if (state->severity != before || is_due) {
        state->said_us = end_us;
        say(step, result, state, before);
    }
}

void mill_drift_monitor_each_firing(const struct mill_drift_monitor *monitor,
                                    void (*each)(void *context, const struct mill_drift_alert *alert), void *context)
{
    const struct mill_profile *profile = monitor->profile;
    const struct mill_drift_report report = {.monitor = monitor->spec.name,
                                             .model = monitor->spec.model,
                                             .model_version = monitor->spec.model_version,
                                             .profile = profile,
                                             .start_us = monitor->last_end_us - monitor->spec.window_us,
                                             .end_us = monitor->last_end_us};

    for (uint32_t i = 0; i < monitor->alert_count; i++) {
        const struct mill__alert_state *state = &monitor->alerts[i];
        bool is_performance = i + 1 == monitor->alert_count;
        uint32_t block = i / profile->feature_count;
        struct mill_drift_result result = {.segment = block == 0 ? UINT32_MAX : block - 1};
        if (state->severity == MILL_SEVERITY_NONE) {
            continue;
        }
        struct mill_drift_alert alert = {.status = MILL_ALERT_FIRING,
                                         .is_repeat = true,
                                         .severity = state->severity,
                                         .previous_severity = state->severity,
                                         .since_us = state->since_us,
                                         .report = &report};
        if (!is_performance) {
            result.feature = &profile->features[i % profile->feature_count];
            alert.result = &result;
        }
        mill__identity_id(&monitor->identity, "repeat", profile, alert.result, report.end_us, alert.id);
        mill__identity_fingerprint(&monitor->identity, profile, alert.result, alert.fingerprint);
        each(context, &alert);
    }
}
