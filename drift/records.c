/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the drift topics as JSON: schemas/drift_report.avsc, drift_alert.avsc, retrain_trigger.avsc, label.avsc.
 */
#include <math.h>

#include "drift/json_internal.h"
#include "drift/monitor_internal.h"

static struct mill__speaker speaker_of(const struct mill_drift_report *report, const char *project)
{
    return (struct mill__speaker){project, report->monitor, report->model, report->model_version};
}

void mill_drift_report_write_json(const struct mill_drift_report *report, const char *project, int64_t now_us,
                                  struct mill_buffer *out)
{
    struct mill__speaker speaker = speaker_of(report, project);
    struct mill_json_writer w;

    mill_json_writer_init(&w, out, false);
    mill_json_write_object_begin(&w);
    mill__json_text(&w, "id", report->id);
    mill__json_speaker(&w, &speaker);
    mill__json_window(&w, report);
    mill__json_text(&w, "severity", mill_severity_name(report->severity));
    mill_json_write_key(&w, "features");
    mill_json_write_array_begin(&w);
    for (uint32_t i = 0; i < report->result_count; i++) {
        mill__json_result(&w, report, &report->results[i]);
    }
    mill_json_write_array_end(&w);
    mill__json_performance(&w, report);
    mill__json_now(&w, now_us);
    mill_json_write_object_end(&w);
}

static void write_alert_reason(struct mill_json_writer *w, const struct mill_drift_alert *alert)
{
    const struct mill_drift_result *result = alert->result;

    if (result != NULL) {
        mill__json_reason(w, result->reason, result->value, result->threshold);
    } else {
        mill__json_reason(w, alert->report->performance_reason, alert->report->performance_value,
                          alert->report->performance_threshold);
    }
}

void mill_drift_alert_write_json(const struct mill_drift_alert *alert, const char *project, int64_t now_us,
                                 struct mill_buffer *out)
{
    struct mill__speaker speaker = speaker_of(alert->report, project);
    struct mill_json_writer w;

    mill_json_writer_init(&w, out, false);
    mill_json_write_object_begin(&w);
    mill__json_text(&w, "id", alert->id);
    mill__json_text(&w, "fingerprint", alert->fingerprint);
    mill__json_speaker(&w, &speaker);
    mill__json_subject(&w, alert->report->profile, alert->result);
    mill__json_text(&w, "status", mill_alert_status_name(alert->status));
    mill_json_write_key(&w, "is_repeat");
    mill_json_write_bool(&w, alert->is_repeat);
    mill__json_text(&w, "severity", mill_severity_name(alert->severity));
    mill__json_text(&w, "previous_severity", mill_severity_name(alert->previous_severity));
    mill__json_time(&w, "since", alert->since_us);
    mill__json_window(&w, alert->report);
    write_alert_reason(&w, alert);
    mill__json_metrics(&w, alert->result);
    mill__json_performance(&w, alert->report);
    mill__json_now(&w, now_us);
    mill_json_write_object_end(&w);
}

static void write_evidence(struct mill_json_writer *w, const struct mill_retrain_trigger *trigger)
{
    mill_json_write_key(w, "evidence");
    if (trigger->report == NULL) {
        mill_json_write_null(w);
        return;
    }
    mill_json_write_object_begin(w);
    mill__json_text(w, "report_id", trigger->report->id);
    mill__json_window(w, trigger->report);
    mill_json_write_key(w, "features");
    mill_json_write_array_begin(w);
    for (uint32_t i = 0; i < trigger->result_count; i++) {
        mill__json_result(w, trigger->report, &trigger->report->results[trigger->result_index[i]]);
    }
    mill_json_write_array_end(w);
    mill__json_performance(w, trigger->report);
    mill_json_write_object_end(w);
}

void mill_retrain_trigger_write_json(const struct mill_retrain_trigger *trigger,
                                     const struct mill_drift_monitor_spec *spec, int64_t now_us,
                                     struct mill_buffer *out)
{
    const struct mill__speaker speaker = {spec->project, spec->name, spec->model, spec->model_version};
    struct mill_json_writer w;

    mill_json_writer_init(&w, out, false);
    mill_json_write_object_begin(&w);
    mill__json_text(&w, "id", trigger->id);
    mill__json_speaker(&w, &speaker);
    mill__json_text(&w, "reason", mill_trigger_reason_name(trigger->reason));
    mill_json_write_key(&w, "data_window");
    mill_json_write_object_begin(&w);
    mill__json_time(&w, "start", trigger->train_from_us);
    mill__json_time(&w, "end", trigger->train_to_us);
    mill_json_write_object_end(&w);
    write_evidence(&w, trigger);
    mill__json_now(&w, now_us);
    mill_json_write_object_end(&w);
}

void mill_join_match_write_json(const struct mill_join_match *match, const struct mill_drift_monitor_spec *spec,
                                struct mill_buffer *out)
{
    const struct mill__speaker speaker = {spec->project, spec->name, spec->model, spec->model_version};
    const struct mill__identity identity = mill__identity_of(spec);
    struct mill_json_writer w;
    char id[33];

    mill__identity_match_id(&identity, match, id);
    mill_json_writer_init(&w, out, false);
    mill_json_write_object_begin(&w);
    mill__json_text(&w, "id", id);
    mill__json_speaker(&w, &speaker);
    mill_json_write_key(&w, "key");
    mill_json_write_string(&w, match->key);
    mill__json_time(&w, "event_time", match->score_us);
    mill__json_number(&w, "score", match->score);
    mill_json_write_key(&w, "label");
    mill_json_write_int64(&w, match->label);
    mill__json_time(&w, "label_time", match->label_us);
    mill_json_write_object_end(&w);
}
