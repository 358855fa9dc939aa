/* SPDX-License-Identifier: Apache-2.0 */
/* What an evaluation sends: reports, alerts, triggers as CloudEvents 1.0 in binary mode, then the monitor's state, then
 * tombstones; see evaluator_internal.h. Evaluator thread. */
#include "base/clock.h"
#include "base/log.h"
#include "engine/encode_drift_internal.h"
#include "engine/engine_internal.h"

enum { ACK_TIMEOUT_MS = 1000 };

/* Waits where the queue is full. A failure is seen before the state is sent, so the windows are evaluated again. */
static void send(struct mill__evaluator *e, unsigned topic, int32_t partition, struct mill_slice key,
                 struct mill_slice value, const struct mill_header *headers, unsigned header_count)
{
    struct mill_error err;
    int rc;

    while ((rc = mill_producer_send(e->producer, topic, partition, key, value, headers, header_count, -1, &err)) ==
           MILL_ERETRY) {
        if (mill_producer_poll(e->producer, 100, &err) < 0 || mill__engine_must_leave(e->engine)) {
            break;
        }
    }
    if (rc < 0 && e->send_rc == MILL_OK) {
        e->send_rc = rc;
        e->send_err = err;
    }
}

static int flush(struct mill__evaluator *e, struct mill_error *err)
{
    int rc;

    while (e->send_rc == MILL_OK && (rc = mill_producer_flush(e->producer, ACK_TIMEOUT_MS, err)) < 0) {
        if (!mill_error_is_retriable(rc) || mill__engine_must_leave(e->engine)) {
            return rc;
        }
    }
    if (e->send_rc < 0) {
        *err = e->send_err;
    }
    return e->send_rc;
}

/* ------------------------------------------------------------------------------------------------
 * Events
 * --------------------------------------------------------------------------------------------- */

static enum mill_format format_of(const struct mill__watch *watch)
{
    return watch->evaluator->plan->project->output.format;
}

/* The value is in e->text, the key in e->key. */
static void send_event(struct mill__watch *watch, unsigned topic, const struct mill__cloud_event *event)
{
    struct mill__evaluator *e = watch->evaluator;

    mill__cloud_headers_set(&e->headers, event, &watch->plan->spec, format_of(watch));
    send(e, topic, -1, mill_buffer_slice(&e->key), mill_buffer_slice(&e->text), e->headers.at,
         MILL__CLOUD_HEADER_COUNT);
    e->emitted++;
}

static void on_report(void *context, const struct mill_drift_report *report)
{
    struct mill__watch *watch = context;
    struct mill__evaluator *e = watch->evaluator;

    mill_buffer_reset(&e->key);
    mill_buffer_add_string(&e->key, report->model);
    mill_buffer_reset(&e->text);
    mill__encode_drift_report(format_of(watch), report, watch->plan->spec.project, mill_clock_wall_us(), &e->text);
    send_event(watch, e->reports_topic, &(struct mill__cloud_event){report->id, "drift.report", report->end_us});
    mill__drift_metrics_report(e->metrics, report);
    watch->evaluated_us = report->end_us > watch->evaluated_us ? report->end_us : watch->evaluated_us;
}

static void on_alert(void *context, const struct mill_drift_alert *alert)
{
    struct mill__watch *watch = context;
    struct mill__evaluator *e = watch->evaluator;
    const char *feature = alert->result == NULL ? "performance" : alert->result->feature->name;

    mill_buffer_reset(&e->key);
    mill_buffer_printf(&e->key, "%s/%s", alert->report->model, feature);
    mill_buffer_reset(&e->text);
    mill__encode_drift_alert(format_of(watch), alert, watch->plan->spec.project, mill_clock_wall_us(), &e->text);
    send_event(watch, e->alerts_topic, &(struct mill__cloud_event){alert->id, "drift.alert", alert->report->end_us});
    mill__drift_metrics_alert(e->metrics, alert);
    if (watch->alertmanager != NULL) {
        mill__alertmanager_put(watch->alertmanager, alert);
    }
    enum mill_log_level level = alert->severity == MILL_SEVERITY_MAJOR ? MILL_LOG_WARNING : MILL_LOG_INFO;
    mill_log(alert->is_repeat ? MILL_LOG_DEBUG : level, "drift", "monitor '%s': '%s' is %s (%s)",
             watch->plan->spec.name, feature, mill_severity_name(alert->severity),
             mill_alert_status_name(alert->status));
}

static void on_trigger(void *context, const struct mill_retrain_trigger *trigger,
                       const struct mill_drift_report *report)
{
    struct mill__watch *watch = context;
    struct mill__evaluator *e = watch->evaluator;
    const struct mill_drift_monitor_spec *spec = &watch->plan->spec;

    (void)report;
    mill_buffer_reset(&e->key);
    mill_buffer_add_string(&e->key, spec->model);
    mill_buffer_reset(&e->text);
    mill__encode_retrain_trigger(format_of(watch), trigger, spec, mill_clock_wall_us(), &e->text);
    send_event(watch, e->retrain_topic, &(struct mill__cloud_event){trigger->id, "retrain", trigger->train_to_us});
    mill__drift_metrics_trigger(e->metrics, spec->model, trigger->reason);
    mill_log(MILL_LOG_WARNING, "drift", "monitor '%s' asks for model '%s' to be trained anew: %s", spec->name,
             spec->model, mill_trigger_reason_name(trigger->reason));
}

/* The shards get it by way of the topic, as those of other processes do. */
static void on_profile(void *context, const struct mill_profile *profile)
{
    struct mill__watch *watch = context;
    struct mill__evaluator *e = watch->evaluator;

    mill_buffer_reset(&e->text);
    mill_profile_write(profile, &e->text);
    send(e, e->references_topic, 0, mill_slice_of(watch->plan->spec.name), mill_buffer_slice(&e->text), NULL, 0);
    e->emitted++;
    mill_log(MILL_LOG_INFO, "drift", "monitor '%s' has its reference: %llu rows", watch->plan->spec.name,
             (unsigned long long)profile->row_count);
}

static void on_expired(void *context, enum mill_part_kind kind, uint32_t contributor, int64_t start_us, uint32_t part)
{
    struct mill__watch *watch = context;
    struct mill_buffer *gone = &watch->evaluator->gone;
    int32_t partition;
    const struct mill__stage *stage = mill__monitor_stage(watch->plan, contributor, &partition);

    mill_buffer_printf(gone, "%s|%s|%s|%d|%lld|%u", watch->plan->spec.name, mill__part_names[kind], stage->topic,
                       partition, (long long)start_us, part);
    mill_buffer_add_byte(gone, 0);
}

/* ------------------------------------------------------------------------------------------------
 * An evaluation
 * --------------------------------------------------------------------------------------------- */

static void send_state(struct mill__watch *watch)
{
    struct mill__evaluator *e = watch->evaluator;
    const char *name = watch->plan->spec.name;

    mill_buffer_reset(&e->key);
    mill_buffer_printf(&e->key, "%s|s", name);
    mill_buffer_reset(&e->text);
    mill_buffer_add_zigzag(&e->text, watch->evaluated_us);
    mill_drift_monitor_save(watch->monitor, &e->text);
    send(e, e->panes_topic, mill__panes_partition(e->engine, name), mill_buffer_slice(&e->key),
         mill_buffer_slice(&e->text), NULL, 0);
}

static void send_tombstones(struct mill__watch *watch)
{
    struct mill__evaluator *e = watch->evaluator;
    int32_t partition = mill__panes_partition(e->engine, watch->plan->spec.name);

    for (const char *key = e->gone.p; e->gone.n > 0 && key < e->gone.p + e->gone.n; key += strlen(key) + 1) {
        send(e, e->panes_topic, partition, mill_slice_of(key), (struct mill_slice){0}, NULL, 0);
    }
    mill_buffer_reset(&e->gone);
}

/* A trigger by hand: once there is a window to speak of. The request goes with the tombstones: where this process dies
 * before, the next one says the same trigger again. */
static void ask(struct mill__watch *watch, const struct mill_drift_monitor_sink *sink)
{
    uint32_t before = watch->evaluator->emitted;

    mill_drift_monitor_trigger(watch->monitor, sink);
    if (watch->evaluator->emitted > before) {
        watch->is_asked = false;
        mill_buffer_printf(&watch->evaluator->gone, "%s|m", watch->plan->spec.name);
        mill_buffer_add_byte(&watch->evaluator->gone, 0);
    }
}

int mill__watch_emit(struct mill__watch *watch, struct mill_error *err)
{
    struct mill__evaluator *e = watch->evaluator;
    const struct mill_drift_monitor_sink sink = {.context = watch,
                                                 .profile = on_profile,
                                                 .report = on_report,
                                                 .alert = on_alert,
                                                 .trigger = on_trigger,
                                                 .expired = on_expired};

    watch->has_news = false;
    e->emitted = 0;
    mill_buffer_reset(&e->gone);
    mill_drift_monitor_run(watch->monitor, &sink, false);
    if (watch->is_asked) {
        ask(watch, &sink);
    }
    if (e->emitted == 0) {
        return e->send_rc;
    }
    MILL_TRY(flush(e, err));
    send_state(watch);
    MILL_TRY(flush(e, err));
    send_tombstones(watch);
    return MILL_OK;
}
