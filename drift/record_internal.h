/* SPDX-License-Identifier: Apache-2.0 */
/* Pieces that reports, alerts and triggers have in common. Each writes a value; NaN and infinities are null. */
#ifndef MILL_DRIFT_JSON_INTERNAL_H
#define MILL_DRIFT_JSON_INTERNAL_H

#include "base/json.h"
#include "drift/drift.h"

void mill__json_text(struct mill_json_writer *w, const char *name, const char *value); /* NULL: null */
void mill__json_number(struct mill_json_writer *w, const char *name, double value);
void mill__json_count(struct mill_json_writer *w, const char *name, uint64_t value);
void mill__json_time(struct mill_json_writer *w, const char *name, int64_t us);
/* "created_at", where now_us is not INT64_MIN. */
void mill__json_now(struct mill_json_writer *w, int64_t now_us);

/* Members "project" to "model_version". */
struct mill__speaker {
    const char *project, *monitor, *model, *model_version;
};
void mill__json_speaker(struct mill_json_writer *w, const struct mill__speaker *speaker);
/* Members "window" and "reference". */
void mill__json_window(struct mill_json_writer *w, const struct mill_drift_report *report);
/* Members "feature", "segment". */
void mill__json_subject(struct mill_json_writer *w, const struct mill_profile *profile,
                        const struct mill_drift_result *result);
/* Members "reason", "value", "thresholds". */
void mill__json_reason(struct mill_json_writer *w, const char *reason, double value, double threshold);
/* Member "metrics"; result NULL: null. */
void mill__json_metrics(struct mill_json_writer *w, const struct mill_drift_result *result);
/* Member "performance"; null where the report has none. */
void mill__json_performance(struct mill_json_writer *w, const struct mill_drift_report *report);
/* An object: subject, numbers of rows, conditions, severity, reason, metrics. */
void mill__json_result(struct mill_json_writer *w, const struct mill_drift_report *report,
                       const struct mill_drift_result *result);

#endif
