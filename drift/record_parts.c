/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces of the records of the drift topics; field names are those of schemas/drift_*.avsc. */
#include <math.h>

#include "base/timestamp.h"
#include "drift/json_internal.h"

void mill__json_text(struct mill_json_writer *w, const char *name, const char *value)
{
    mill_json_write_key(w, name);
    if (value == NULL) {
        mill_json_write_null(w);
    } else {
        mill_json_write_cstr(w, value);
    }
}

void mill__json_number(struct mill_json_writer *w, const char *name, double value)
{
    mill_json_write_key(w, name);
    if (isfinite(value)) {
        mill_json_write_double(w, value);
    } else {
        mill_json_write_null(w);
    }
}

void mill__json_count(struct mill_json_writer *w, const char *name, uint64_t value)
{
    mill_json_write_key(w, name);
    mill_json_write_int64(w, value > INT64_MAX ? INT64_MAX : (int64_t)value);
}

void mill__json_time(struct mill_json_writer *w, const char *name, int64_t us)
{
    char text[32];

    mill_json_write_key(w, name);
    mill_json_write_string(w, (struct mill_slice){text, mill_timestamp_print(us, text)});
}

void mill__json_now(struct mill_json_writer *w, int64_t now_us)
{
    if (now_us != INT64_MIN) {
        mill__json_time(w, "created_at", now_us);
    }
}

void mill__json_speaker(struct mill_json_writer *w, const struct mill__speaker *speaker)
{
    mill__json_text(w, "project", speaker->project);
    mill__json_text(w, "monitor", speaker->monitor);
    mill__json_text(w, "model", speaker->model);
    mill__json_text(w, "model_version", speaker->model_version);
}

/* "model@version" of the profile. */
static void write_reference(struct mill_json_writer *w, const struct mill_profile *profile)
{
    struct mill_buffer id = {0};

    mill_buffer_printf(&id, profile->model_version[0] == 0 ? "%s" : "%s@%s", profile->model, profile->model_version);
    mill_json_write_key(w, "reference");
    mill_json_write_object_begin(w);
    mill__json_text(w, "id", mill_buffer_cstr(&id));
    mill__json_text(w, "sha256", profile->sha256);
    mill__json_count(w, "n", profile->row_count);
    mill_json_write_object_end(w);
    mill_buffer_clear(&id);
}

void mill__json_window(struct mill_json_writer *w, const struct mill_drift_report *report)
{
    mill_json_write_key(w, "window");
    mill_json_write_object_begin(w);
    mill__json_text(w, "type", "sliding");
    mill__json_time(w, "start", report->start_us);
    mill__json_time(w, "end", report->end_us);
    mill__json_count(w, "n", report->row_count);
    mill_json_write_object_end(w);
    write_reference(w, report->profile);
}

void mill__json_subject(struct mill_json_writer *w, const struct mill_profile *profile,
                        const struct mill_drift_result *result)
{
    mill__json_text(w, "feature", result == NULL ? NULL : result->feature->name);
    if (result == NULL || result->segment == UINT32_MAX) {
        mill__json_text(w, "segment", NULL);
        return;
    }
    struct mill_buffer segment = {0};
    mill_drift_segment_name(profile, result->segment, &segment);
    mill_json_write_key(w, "segment");
    mill_json_write_string(w, mill_buffer_slice(&segment));
    mill_buffer_clear(&segment);
}

void mill__json_reason(struct mill_json_writer *w, const char *reason, double value, double threshold)
{
    mill__json_text(w, "reason", reason);
    mill__json_number(w, "value", reason == NULL ? (double)NAN : value);
    mill_json_write_key(w, "thresholds");
    mill_json_write_object_begin(w);
    if (reason != NULL && isfinite(threshold)) {
        mill__json_number(w, reason, threshold);
    }
    mill_json_write_object_end(w);
}

void mill__json_performance(struct mill_json_writer *w, const struct mill_drift_report *report)
{
    const struct mill_performance *p = &report->performance;

    mill_json_write_key(w, "performance");
    if (!report->has_performance) {
        mill_json_write_null(w);
        return;
    }
    mill_json_write_object_begin(w);
    mill__json_count(w, "scored", p->scored);
    mill__json_count(w, "labelled", p->labelled);
    mill__json_count(w, "positives", p->positives);
    mill__json_number(w, "auc", p->auc);
    mill__json_number(w, "auc_error_max", p->auc_error_max);
    mill__json_number(w, "log_loss", p->log_loss);
    mill__json_number(w, "brier", p->brier);
    mill__json_number(w, "accuracy", p->accuracy);
    mill__json_number(w, "calibration_error", p->calibration_error);
    mill__json_number(w, "estimated_auc", p->estimated_auc);
    mill__json_number(w, "estimated_log_loss", p->estimated_log_loss);
    mill__json_number(w, "estimated_brier", p->estimated_brier);
    mill__json_number(w, "estimated_accuracy", p->estimated_accuracy);
    mill__json_text(w, "severity", mill_severity_name(report->performance_severity));
    mill__json_reason(w, report->performance_reason, report->performance_value, report->performance_threshold);
    mill_json_write_object_end(w);
}
