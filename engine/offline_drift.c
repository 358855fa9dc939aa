/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors of an offline run; see offline_drift_internal.h. One thread. */
#include "engine/offline_drift_internal.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/timestamp.h"

/* Contributors of a monitor here: what counts its rows, and the join of their labels. */
enum { COUNTS, JOIN };

struct watch {
    struct mill__offline_drift *drift;
    struct mill__contributor *contributor;
    struct mill_drift_monitor *monitor;
    struct mill_join *join; /* NULL: no labels */
    struct mill__label_reader reader;
    const struct mill_batch *read; /* by the reader */
    int64_t joined_us;             /* the join has come so far; INT64_MIN: nothing yet */
    struct mill_profile *made;     /* of the stream */
};

/* How far a source's file has been read. */
struct progress {
    int64_t newest_us; /* INT64_MIN: no event yet */
    bool is_over;
};

struct mill__offline_drift {
    const struct mill__plan *plan;
    struct mill__offline_drift_lines lines;
    struct mill__contributors *flows; /* per source: contributors of the flow's monitors */
    struct progress *progress;        /* per source */
    struct watch *watches;
    uint32_t watch_count;
};

/* Files have one partition. */
static void on_meeting(void *context, const struct mill__meeting *meeting)
{
    struct watch *watch = context;
    const struct mill_join_origin origin = {0, watch->read->offset[meeting->row]};
    int64_t time_us = watch->read->event_time_us[meeting->row];

    if (meeting->label < 0) {
        mill_join_score(watch->join, meeting->key, time_us, meeting->score, &origin);
    } else {
        mill_join_label(watch->join, meeting->key, time_us, meeting->label, &origin);
    }
}

static void open_watch(struct mill__offline_drift *drift, struct watch *watch, struct mill__contributor *contributor)
{
    const struct mill__plan_monitor *monitor = contributor->monitor;

    watch->drift = drift;
    watch->contributor = contributor;
    watch->joined_us = INT64_MIN;
    watch->monitor = mill_drift_monitor_new(&monitor->spec, contributor->profile,
                                            monitor->config->has_labels ? JOIN + 1 : COUNTS + 1);
    if (monitor->config->has_labels) {
        watch->join = mill__labels_join_new(monitor, false);
        watch->reader = (struct mill__label_reader){.monitor = monitor, .context = watch, .each = on_meeting};
    }
}

struct mill__offline_drift *mill__offline_drift_new(const struct mill__plan *plan,
                                                    const struct mill__offline_drift_lines *lines)
{
    struct mill__offline_drift *drift = mill_calloc(1, sizeof(*drift));
    uint32_t sources = plan->project->source_count;

    drift->plan = plan;
    drift->lines = *lines;
    drift->flows = mill_calloc(sources, sizeof(*drift->flows));
    drift->progress = mill_calloc(sources, sizeof(*drift->progress));
    drift->watches = mill_calloc(plan->monitor_count, sizeof(*drift->watches));
    for (uint32_t s = 0; s < sources; s++) {
        drift->progress[s].newest_us = INT64_MIN;
        mill__contributors_init(&drift->flows[s], plan, &plan->flows[s].stages[0], 0);
        for (uint32_t i = 0; i < drift->flows[s].count; i++) {
            struct watch *watch = &drift->watches[drift->watch_count++];
            open_watch(drift, watch, &drift->flows[s].at[i]);
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
        mill_join_free(drift->watches[i].join);
        mill__label_reader_clear(&drift->watches[i].reader);
    }
    for (uint32_t s = 0; s < drift->plan->project->source_count; s++) {
        mill__contributors_clear(&drift->flows[s]);
    }
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        mill_profile_free(drift->watches[i].made);
    }
    free(drift->flows);
    free(drift->progress);
    free(drift->watches);
    free(drift);
}

void mill__offline_drift_count(struct mill__offline_drift *drift, const struct mill__plan_model *model,
                               const struct mill_batch *batch, const struct mill_column *score, uint32_t from,
                               uint32_t to)
{
    mill__contributors_count(&drift->flows[model->config->source], model, batch, score, from, to);
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        struct watch *watch = &drift->watches[i];
        if (watch->join != NULL && watch->contributor->monitor->model == model) {
            watch->read = batch;
            mill__label_reader_scores(&watch->reader, batch, score, from, to);
        }
    }
}

void mill__offline_drift_labels(struct mill__offline_drift *drift, uint32_t source, const struct mill_batch *batch)
{
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        struct watch *watch = &drift->watches[i];
        const struct mill__plan_monitor *monitor = watch->contributor->monitor;
        if (watch->join != NULL && monitor->config->labels.source == source) {
            struct mill_column values = mill__label_values(monitor, batch);
            watch->read = batch;
            mill__label_reader_labels(&watch->reader, batch, &values, 0, batch->row_count);
        }
    }
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

static void hand_over(struct watch *watch, enum mill_part_kind kind, uint32_t contributor,
                      const struct mill_drift_part *part)
{
    struct mill_error err;

    if (mill_drift_monitor_part(watch->monitor, kind, contributor, part, &err) < 0) {
        mill_assert(!"a part of the monitor's own counter or join fits it");
    }
}

static void on_counts(void *context, const struct mill_drift_part *part)
{
    hand_over(context, MILL_PART_COUNTS, COUNTS, part);
}

static void on_outcomes(void *context, enum mill_part_kind kind, const struct mill_drift_part *part)
{
    hand_over(context, kind, JOIN, part);
}

static void on_matched(void *context, const struct mill_join_match *match)
{
    struct watch *watch = context;
    struct mill_buffer *out = watch->drift->lines.labels;
    mill_join_match_write_json(match, &watch->contributor->monitor->spec, out);
    mill_buffer_add_byte(out, '\n');
}

/* ------------------------------------------------------------------------------------------------
 * How far it is. A source whose file is over is waited for no longer, as a partition that sleeps is not in the stream:
 * it counts as far as what goes on.
 * --------------------------------------------------------------------------------------------- */

static int64_t watermark_of(const struct mill__offline_drift *drift, uint32_t source)
{
    int64_t newest_us = drift->progress[source].newest_us;
    return newest_us == INT64_MIN ? INT64_MIN : newest_us - drift->plan->project->sources[source].allowed_lateness_us;
}

/* Of scores and labels together. */
static int64_t join_watermark(const struct watch *watch)
{
    const struct mill__offline_drift *drift = watch->drift;
    const struct mill__plan_monitor *monitor = watch->contributor->monitor;
    uint32_t scored = monitor->model->config->source, labels = monitor->config->labels.source;

    return mill__join_watermark(
        &(struct mill__join_side){watermark_of(drift, scored), drift->progress[scored].is_over},
        &(struct mill__join_side){watermark_of(drift, labels), drift->progress[labels].is_over});
}

/* Joins what it can; true where that goes further than before. */
static bool advance_join(struct watch *watch)
{
    const struct mill_join_sink sink = {watch, on_matched, on_outcomes};
    int64_t watermark_us = watch->join == NULL ? INT64_MIN : join_watermark(watch);
    int64_t before_us = watch->joined_us;

    if (watermark_us == INT64_MIN) {
        return false;
    }
    mill_join_advance(watch->join, watermark_us, &sink);
    watermark_us = mill_timestamp_floor(watermark_us, watch->contributor->monitor->spec.every_us);
    watch->joined_us = watermark_us > before_us ? watermark_us : before_us;
    mill_drift_monitor_progress(watch->monitor, JOIN, watch->joined_us);
    return watch->joined_us > before_us;
}

/* The same of the counts. */
static bool advance_counts(struct watch *watch)
{
    struct mill__contributor *contributor = watch->contributor;
    const struct mill__plan_monitor *monitor = contributor->monitor;
    const struct progress *progress = &watch->drift->progress[monitor->model->config->source];
    int64_t newest_us = progress->newest_us, before_us = contributor->told.progress_us;
    int64_t watermark_us = mill__contributor_watermark(contributor, watch->drift->plan->project, newest_us);

    if (newest_us == INT64_MIN) {
        return false;
    }
    if (progress->is_over && watch->joined_us > watermark_us) {
        watermark_us = watch->joined_us;
    }
    if (watermark_us <= before_us) {
        return false;
    }
    contributor->told.progress_us = watermark_us;
    mill_drift_counter_take(contributor->counter, watermark_us, on_counts, watch);
    mill_drift_monitor_progress(watch->monitor, COUNTS, watermark_us);
    return true;
}

static void advance(struct mill__offline_drift *drift)
{
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        struct watch *watch = &drift->watches[i];
        const struct mill_drift_monitor_sink sink = {.context = watch,
                                                     .profile = on_profile,
                                                     .report = on_report,
                                                     .alert = on_alert,
                                                     .trigger = on_trigger,
                                                     .expired = on_expired};
        bool joined = advance_join(watch), counted = advance_counts(watch);
        if (joined || counted) {
            mill_drift_monitor_run(watch->monitor, &sink, false);
        }
    }
}

void mill__offline_drift_advance(struct mill__offline_drift *drift, uint32_t source, int64_t newest_us)
{
    drift->progress[source].newest_us = newest_us;
    advance(drift);
}

void mill__offline_drift_end(struct mill__offline_drift *drift, uint32_t source)
{
    drift->progress[source].is_over = true;
    advance(drift);
}

void mill__offline_drift_log(const struct mill__offline_drift *drift)
{
    for (uint32_t i = 0; i < drift->watch_count; i++) {
        const struct watch *watch = &drift->watches[i];
        const struct mill__label_reader *reader = &watch->reader;
        struct mill_join_status status;
        if (watch->join == NULL) {
            continue;
        }
        mill_join_status(watch->join, &status);
        bool is_odd = status.dropped > 0 || reader->keyless > 0 || reader->odd > 0;
        mill_log(is_odd ? MILL_LOG_WARNING : MILL_LOG_INFO, "drift",
                 "monitor '%s': %llu scores met their labels, %llu did not within the horizon, %u records wait; %llu "
                 "labels without a score, %llu neither 0 nor 1; %llu records without a key, %llu dropped because too "
                 "many wait",
                 reader->monitor->spec.name, (unsigned long long)status.joined, (unsigned long long)status.expired,
                 status.pending, (unsigned long long)status.unclaimed, (unsigned long long)reader->odd,
                 (unsigned long long)reader->keyless, (unsigned long long)status.dropped);
    }
}
