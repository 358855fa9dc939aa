/* SPDX-License-Identifier: Apache-2.0 */
/* The records of the drift topics, field by field; see record_internal.h. */
#include "drift/record_internal.h"

static struct mill__speaker speaker_of(const struct mill_drift_report *report, const char *project)
{
    return (struct mill__speaker){project, report->monitor, report->model, report->model_version};
}

static void write_report(struct mill__record_writer *w, const struct mill_drift_report *report, const char *project,
                         int64_t now_us)
{
    const struct mill__speaker speaker = speaker_of(report, project);

    mill__record_text(w, "id", report->id);
    mill__record_speaker(w, &speaker);
    mill__record_window(w, report);
    mill__record_severity(w, "severity", report->severity);
    mill__record_array(w, "features", report->result_count);
    for (uint32_t i = 0; i < report->result_count; i++) {
        mill__record_result(w, report, &report->results[i]);
    }
    mill__record_array_end(w);
    mill__record_performance(w, report);
    mill__record_now(w, now_us);
    mill__record_end(w);
}

void mill_drift_report_write_json(const struct mill_drift_report *report, const char *project, int64_t now_us,
                                  struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_json(&w, out);
    write_report(&w, report, project, now_us);
}

void mill_drift_report_write_avro(const struct mill_drift_report *report, const char *project, int64_t now_us,
                                  struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_avro(&w, out, MILL__AVRO_DRIFT_REPORT_FINGERPRINT);
    write_report(&w, report, project, now_us);
}

static void write_alert_reason(struct mill__record_writer *w, const struct mill_drift_alert *alert)
{
    const struct mill_drift_result *result = alert->result;

    if (result != NULL) {
        mill__record_reason(w, result->reason, result->value, result->threshold);
    } else {
        mill__record_reason(w, alert->report->performance_reason, alert->report->performance_value,
                            alert->report->performance_threshold);
    }
}

static void write_alert(struct mill__record_writer *w, const struct mill_drift_alert *alert, const char *project,
                        int64_t now_us)
{
    const struct mill__speaker speaker = speaker_of(alert->report, project);
    const struct mill_drift_result *result = alert->result;

    mill__record_text(w, "id", alert->id);
    mill__record_text(w, "fingerprint", alert->fingerprint);
    mill__record_speaker(w, &speaker);
    mill__record_optional_text(w, "feature", result == NULL ? NULL : result->feature->name);
    mill__record_segment(w, alert->report->profile, result);
    mill__record_enum(w, "status", (int)alert->status, mill_alert_status_name(alert->status));
    mill__record_bool(w, "is_repeat", alert->is_repeat);
    mill__record_severity(w, "severity", alert->severity);
    mill__record_severity(w, "previous_severity", alert->previous_severity);
    mill__record_time(w, "since", alert->since_us);
    mill__record_window(w, alert->report);
    write_alert_reason(w, alert);
    if (mill__record_optional_object(w, "metrics", result != NULL)) {
        mill__record_metrics(w, result);
        mill__record_end(w);
    }
    mill__record_performance(w, alert->report);
    mill__record_now(w, now_us);
    mill__record_end(w);
}

void mill_drift_alert_write_json(const struct mill_drift_alert *alert, const char *project, int64_t now_us,
                                 struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_json(&w, out);
    write_alert(&w, alert, project, now_us);
}

void mill_drift_alert_write_avro(const struct mill_drift_alert *alert, const char *project, int64_t now_us,
                                 struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_avro(&w, out, MILL__AVRO_DRIFT_ALERT_FINGERPRINT);
    write_alert(&w, alert, project, now_us);
}

static void write_evidence(struct mill__record_writer *w, const struct mill_retrain_trigger *trigger)
{
    const struct mill_drift_report *report = trigger->report;

    if (!mill__record_optional_object(w, "evidence", report != NULL)) {
        return;
    }
    mill__record_text(w, "report_id", report->id);
    mill__record_window(w, report);
    mill__record_array(w, "features", trigger->result_count);
    for (uint32_t i = 0; i < trigger->result_count; i++) {
        mill__record_result(w, report, &report->results[trigger->result_index[i]]);
    }
    mill__record_array_end(w);
    mill__record_performance(w, report);
    mill__record_end(w);
}

static void write_trigger(struct mill__record_writer *w, const struct mill_retrain_trigger *trigger,
                          const struct mill_drift_monitor_spec *spec, int64_t now_us)
{
    const struct mill__speaker speaker = {spec->project, spec->name, spec->model, spec->model_version};

    mill__record_text(w, "id", trigger->id);
    mill__record_speaker(w, &speaker);
    mill__record_enum(w, "reason", (int)trigger->reason, mill_trigger_reason_name(trigger->reason));
    mill__record_object(w, "data_window");
    mill__record_time(w, "start", trigger->train_from_us);
    mill__record_time(w, "end", trigger->train_to_us);
    mill__record_end(w);
    write_evidence(w, trigger);
    mill__record_now(w, now_us);
    mill__record_end(w);
}

void mill_retrain_trigger_write_json(const struct mill_retrain_trigger *trigger,
                                     const struct mill_drift_monitor_spec *spec, int64_t now_us,
                                     struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_json(&w, out);
    write_trigger(&w, trigger, spec, now_us);
}

void mill_retrain_trigger_write_avro(const struct mill_retrain_trigger *trigger,
                                     const struct mill_drift_monitor_spec *spec, int64_t now_us,
                                     struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_avro(&w, out, MILL__AVRO_RETRAIN_TRIGGER_FINGERPRINT);
    write_trigger(&w, trigger, spec, now_us);
}

static void write_match(struct mill__record_writer *w, const struct mill_join_match *match,
                        const struct mill_drift_monitor_spec *spec)
{
    const struct mill__speaker speaker = {spec->project, spec->name, spec->model, spec->model_version};
    char id[33];

    mill_join_match_id(match, spec, id);
    mill__record_text(w, "id", id);
    mill__record_speaker(w, &speaker);
    mill__record_slice(w, "key", match->key);
    mill__record_time(w, "event_time", match->score_us);
    mill__record_number(w, "score", match->score);
    mill__record_int(w, "label", match->label);
    mill__record_time(w, "label_time", match->label_us);
    mill__record_end(w);
}

void mill_join_match_write_json(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec,
                                struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_json(&w, out);
    write_match(&w, match, spec);
}

void mill_join_match_write_avro(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec,
                                struct mill_buffer *out)
{
    struct mill__record_writer w;

    mill__record_begin_avro(&w, out, MILL__AVRO_LABEL_FINGERPRINT);
    write_match(&w, match, spec);
}
