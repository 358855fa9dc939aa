/* SPDX-License-Identifier: Apache-2.0 */
/* What reports, alerts and triggers have in common. */
#include <math.h>

#include "drift/record_internal.h"

void mill__record_speaker(struct mill__record_writer *w, const struct mill__speaker *speaker)
{
    mill__record_text(w, "project", speaker->project);
    mill__record_text(w, "monitor", speaker->monitor);
    mill__record_text(w, "model", speaker->model);
    mill__record_text(w, "model_version", speaker->model_version);
}

/* "model@version" of the profile. */
static void write_reference(struct mill__record_writer *w, const struct mill_profile *profile)
{
    struct mill_buffer id = {0};

    mill_buffer_printf(&id, profile->model_version[0] == 0 ? "%s" : "%s@%s", profile->model, profile->model_version);
    mill__record_object(w, "reference");
    mill__record_slice(w, "id", mill_buffer_slice(&id));
    mill__record_text(w, "sha256", profile->sha256);
    mill__record_count(w, "n", profile->row_count);
    mill__record_end(w);
    mill_buffer_clear(&id);
}

void mill__record_window(struct mill__record_writer *w, const struct mill_drift_report *report)
{
    mill__record_object(w, "window");
    mill__record_text(w, "type", "sliding");
    mill__record_time(w, "start", report->start_us);
    mill__record_time(w, "end", report->end_us);
    mill__record_count(w, "n", report->row_count);
    mill__record_end(w);
    write_reference(w, report->profile);
}

void mill__record_segment(struct mill__record_writer *w, const struct mill_profile *profile,
                          const struct mill_drift_result *result)
{
    struct mill_buffer segment = {0};

    if (result != NULL) {
        mill_drift_segment_name(profile, result->segment, &segment);
    }
    mill__record_optional_slice(w, "segment", mill_buffer_slice(&segment));
    mill_buffer_clear(&segment);
}

void mill__record_severity(struct mill__record_writer *w, const char *name, enum mill_severity severity)
{
    mill__record_enum(w, name, (int)severity, mill_severity_name(severity));
}

void mill__record_reason(struct mill__record_writer *w, const char *reason, double value, double threshold)
{
    mill__record_optional_text(w, "reason", reason);
    mill__record_number(w, "value", reason == NULL ? (double)NAN : value);
    mill__record_map(w, "thresholds", isfinite(threshold) ? reason : NULL, threshold);
}

void mill__record_performance(struct mill__record_writer *w, const struct mill_drift_report *report)
{
    const struct mill_performance *p = &report->performance;

    if (!mill__record_optional_object(w, "performance", report->has_performance)) {
        return;
    }
    mill__record_count(w, "scored", p->scored);
    mill__record_count(w, "labelled", p->labelled);
    mill__record_count(w, "positives", p->positives);
    mill__record_number(w, "auc", p->auc);
    mill__record_number(w, "auc_error_max", p->auc_error_max);
    mill__record_number(w, "log_loss", p->log_loss);
    mill__record_number(w, "brier", p->brier);
    mill__record_number(w, "accuracy", p->accuracy);
    mill__record_number(w, "calibration_error", p->calibration_error);
    mill__record_number(w, "estimated_auc", p->estimated_auc);
    mill__record_number(w, "estimated_log_loss", p->estimated_log_loss);
    mill__record_number(w, "estimated_brier", p->estimated_brier);
    mill__record_number(w, "estimated_accuracy", p->estimated_accuracy);
    mill__record_severity(w, "severity", report->performance_severity);
    mill__record_reason(w, report->performance_reason, report->performance_value, report->performance_threshold);
    mill__record_end(w);
}
