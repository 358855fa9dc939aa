/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors of an offline run; see offline_drift_internal.h. One thread. */
#include "engine/offline_drift_internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/timestamp.h"

struct watch {
    struct mill__offline_drift *drift;
    struct mill__contributor *contributor;
    struct mill_drift_monitor *monitor;
    struct mill_profile *made; /* of the stream */
};

struct mill__offline_drift {
    const struct mill__plan *plan;
    struct mill__offline_drift_lines lines;
    struct mill__contributors *flows; /* per source: contributors of the flow's monitors */
    struct watch *watches;
    uint32_t watch_count;
};

struct mill__offline_drift *mill__offline_drift_new(const struct mill__plan *plan,
                                                    const struct mill__offline_drift_lines *lines)
{
    struct mill__offline_drift *drift = mill_calloc(1, sizeof(*drift));
    uint32_t sources = plan->project->source_count;

    drift->plan = plan;
    drift->lines = *lines;
    drift->flows = mill_calloc(sources, sizeof(*drift->flows));
    drift->watches = mill_calloc(plan->monitor_count, sizeof(*drift->watches));
    for (uint32_t s = 0; s < sources; s++) {
        mill__contributors_init(&drift->flows[s], plan, &plan->flows[s].stages[0], 0);
        for (uint32_t i = 0; i < drift->flows[s].count; i++) {
            struct watch *watch = &drift->watches[drift->watch_count++];
            watch->drift = drift;
            watch->contributor = &drift->flows[s].at[i];
            watch->monitor = mill_drift_monitor_new(&watch->contributor->monitor->spec, watch->contributor->profile, 1);
        }
    }
    return drift;
}

void mill__offline_drift_free(struct mill__offline_drift *drift)
{
    if (drift == NULL) {
        return;
    }
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        mill_drift_monitor_free(drift->watches[i].monitor);
    }
    for (uint32_t s = 0; s < drift->plan->project->source_count; s++) {
        mill__contributors_clear(&drift->flows[s]);
    }
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        mill_profile_free(drift->watches[i].made);
    }
    free(drift->flows);
    free(drift->watches);
    free(drift);
}

void mill__offline_drift_count(struct mill__offline_drift *drift, const struct mill__plan_model *model,
                               const struct mill_batch *batch, const struct mill_column *score, uint32_t from,
                               uint32_t to)
{
    mill__contributors_count(&drift->flows[model->config->source], model, batch, score, from, to);
}

/* ------------------------------------------------------------------------------------------------
 * What a monitor says
 * --------------------------------------------------------------------------------------------- */

static void on_report(void *context, const struct mill_drift_report *report)
{
    struct watch *watch = context;
    struct mill_buffer *out = watch->drift->lines.reports;
    mill_drift_report_write_json(report, watch->contributor->monitor->spec.project, INT64_MIN, out);
    mill_buffer_add_byte(out, '\n');
}

static void on_alert(void *context, const struct mill_drift_alert *alert)
{
    struct watch *watch = context;
    struct mill_buffer *out = watch->drift->lines.alerts;
    mill_drift_alert_write_json(alert, watch->contributor->monitor->spec.project, INT64_MIN, out);
    mill_buffer_add_byte(out, '\n');
}

static void on_trigger(void *context, const struct mill_retrain_trigger *trigger,
                       const struct mill_drift_report *report)
{
    struct watch *watch = context;
    struct mill_buffer *out = watch->drift->lines.triggers;
    (void)report;
    mill_retrain_trigger_write_json(trigger, &watch->contributor->monitor->spec, INT64_MIN, out);
    mill_buffer_add_byte(out, '\n');
}

/* The monitor's own goes with the monitor; the counter borrows a copy of it. */
static void on_profile(void *context, const struct mill_profile *profile)
{
    struct watch *watch = context;
    struct mill_buffer bytes = {0};
    struct mill_error err;

    mill_profile_write(profile, &bytes);
    if (mill_profile_read(mill_buffer_slice(&bytes), &watch->made, &err) < 0) {
        mill_assert(!"a profile that was just written is read");
    }
    mill_buffer_clear(&bytes);
    mill_drift_counter_set_profile(watch->contributor->counter, watch->made);
    watch->contributor->profile = watch->made;
}

static void on_expired(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part)
{
    (void)context;
    (void)kind;
    (void)contributor;
    (void)start_us;
    (void)part;
}

static void hand_over(void *context, const struct mill_drift_part *part)
{
    struct watch *watch = context;
    struct mill_error err;

    if (mill_drift_monitor_part(watch->monitor, MILL_PART_COUNTS, 0, part, &err) < 0) {
        mill_assert(!"a part of the monitor's own counter fits it");
    }
}

void mill__offline_drift_advance(struct mill__offline_drift *drift, uint32_t source, int64_t newest_us)
{
    const struct mill_drift_monitor_sink sink = {
        .profile = on_profile, .report = on_report, .alert = on_alert, .trigger = on_trigger, .expired = on_expired};

    for (uint32_t i = 0; i < drift->watch_count; i++) {
        struct watch *watch = &drift->watches[i];
        struct mill__contributor *contributor = watch->contributor;
        struct mill_drift_monitor_sink own = sink;
        int64_t watermark_us = mill__contributor_watermark(contributor, drift->plan->project, newest_us);
        if (contributor->monitor->model->config->source != source || watermark_us <= contributor->progress_us) {
            continue;
        }
        contributor->progress_us = watermark_us;
        own.context = watch;
        mill_drift_counter_take(contributor->counter, watermark_us, hand_over, watch);
        mill_drift_monitor_progress(watch->monitor, 0, watermark_us);
        mill_drift_monitor_run(watch->monitor, &own, false);
    }
}
