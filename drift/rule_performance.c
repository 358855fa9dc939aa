/* SPDX-License-Identifier: Apache-2.0 */
/* Rules on performance: of the labels where there are enough, else of the estimates. */
#include <math.h>

#include "drift/evaluate_internal.h"

struct limit {
    const char *reason, *estimated_reason;
    double value, estimate; /* NaN: not known, never broken */
    double threshold;       /* NaN: no such rule */
    bool is_least;          /* broken below it; else above */
};

/* Sets the first broken limit. */
static void judge(const struct limit *limits, uint32_t count, bool is_estimated, struct mill_drift_report *report)
{
    for (uint32_t i = 0; i < count && report->performance_reason == NULL; i++) {
        const struct limit *limit = &limits[i];
        double value = is_estimated ? limit->estimate : limit->value;
        if (limit->is_least ? value < limit->threshold : value > limit->threshold) {
            report->performance_severity = is_estimated ? MILL_SEVERITY_MINOR : MILL_SEVERITY_MAJOR;
            report->performance_reason = is_estimated ? limit->estimated_reason : limit->reason;
            report->performance_value = value;
            report->performance_threshold = limit->threshold;
        }
    }
}

void mill__judge_performance(const struct mill_drift_rule *rule, double auc_reference, struct mill_drift_report *report)
{
    const struct mill_performance *p = &report->performance;
    double drop = auc_reference - p->auc, estimated_drop = auc_reference - p->estimated_auc;
    const struct limit limits[] = {
        {"auc", "estimated_auc", p->auc, p->estimated_auc, rule->auc_min, true},
        {"auc_drop", "estimated_auc_drop", drop, estimated_drop, rule->auc_drop_max, false},
        {"log_loss", "estimated_log_loss", p->log_loss, p->estimated_log_loss, rule->log_loss_max, false},
        {"brier", "estimated_brier", p->brier, p->estimated_brier, rule->brier_max, false},
        {"accuracy", "estimated_accuracy", p->accuracy, p->estimated_accuracy, rule->accuracy_min, true},
        /* Without labels calibration is what the estimates assume. */
        {"calibration_error", NULL, p->calibration_error, NAN, rule->calibration_error_max, false},
    };
    bool has_labels = p->labelled >= rule->labelled_min;

    if (has_labels || p->scored >= rule->samples_min) {
        judge(limits, sizeof(limits) / sizeof(limits[0]), !has_labels, report);
    }
    if (report->performance_severity > report->severity) {
        report->severity = report->performance_severity;
    }
}
