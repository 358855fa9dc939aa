/* SPDX-License-Identifier: Apache-2.0 */
/* Rules: from the numbers of a result to its severity. */
#include <math.h>

#include "drift/evaluate_internal.h"

void mill_drift_rule_init(struct mill_drift_rule *rule, enum mill_rule_kind kind)
{
    bool is_article = kind == MILL_RULE_ARTICLE;

    *rule = (struct mill_drift_rule){
        .kind = kind,
        .psi_minor = 0.1,
        .psi_major = is_article ? 0.2 : 0.25,
        .ks_minor = 0.1,
        .ks_major = 0.2,
        .q_max = 0.001,
        .p_minor = 0.05,
        .p_major = 0.01,
        .null_share_minor = 0.05,
        .null_share_major = 0.2,
        .unseen_share_minor = 0.01,
        .unseen_share_major = 0.1,
        .out_of_range_minor = 0.01,
        .out_of_range_major = 0.1,
        .samples_min = is_article ? 1 : 500,
        .false_alarms_per_month = 1,
        .evaluations_per_month = 30,
        .smoothing = {MILL_SMOOTHING_ADD, 0.5},
        .auc_min = NAN,
        .auc_drop_max = NAN,
        .log_loss_max = NAN,
        .brier_max = NAN,
        .accuracy_min = NAN,
        .calibration_error_max = NAN,
        .auc_reference = NAN,
        .labelled_min = 200,
    };
}

void mill__judge_band(struct mill_drift_result *result, const char *reason, double value, double minor, double major)
{
    enum mill_severity severity = value >= major   ? MILL_SEVERITY_MAJOR
                                  : value >= minor ? MILL_SEVERITY_MINOR
                                                   : MILL_SEVERITY_NONE;
    if (severity > result->severity) {
        result->severity = severity;
        result->reason = reason;
        result->value = value;
        result->threshold = severity == MILL_SEVERITY_MAJOR ? major : minor;
    }
}

/* The article compares with > and <: the band's >= of the next number up is the same. */
static double above(double threshold)
{
    return nextafter(threshold, INFINITY);
}

static void judge_article(const struct mill_drift_rule *rule, struct mill_drift_result *result)
{
    bool is_numeric = result->feature->kind == MILL_DRIFT_NUMERIC;
    double p = is_numeric ? result->ks_pvalue : result->chi2.pvalue;
    double psi = is_numeric ? result->psi_density : result->psi;

    mill__judge_band(result, is_numeric ? "psi_density" : "psi", psi, above(rule->psi_minor), above(rule->psi_major));
    enum mill_severity severity = p < rule->p_major   ? MILL_SEVERITY_MAJOR
                                  : p < rule->p_minor ? MILL_SEVERITY_MINOR
                                                      : MILL_SEVERITY_NONE;
    if (severity > result->severity) {
        result->severity = severity;
        result->reason = is_numeric ? "ks_pvalue" : "chi2_pvalue";
        result->value = p;
        result->threshold = severity == MILL_SEVERITY_MAJOR ? rule->p_major : rule->p_minor;
    } else if (result->severity != MILL_SEVERITY_NONE) {
        result->threshold = result->severity == MILL_SEVERITY_MAJOR ? rule->psi_major : rule->psi_minor;
    }
}

enum mill_severity mill__default_effect(const struct mill_drift_rule *rule, const struct mill_drift_result *result,
                                        const char **ret_reason, double *ret_value, double *ret_threshold)
{
    struct mill_drift_result probe = {.severity = MILL_SEVERITY_NONE, .value = NAN, .threshold = NAN};
    double noise = result->psi_noise;

    mill__judge_band(&probe, "psi", result->psi, fmax(rule->psi_minor, noise), fmax(rule->psi_major, noise));
    if (result->feature->kind == MILL_DRIFT_NUMERIC) {
        mill__judge_band(&probe, "ks", result->ks.statistic, rule->ks_minor, rule->ks_major);
    } else {
        mill__judge_band(&probe, "total_variation", result->total_variation, rule->ks_minor, rule->ks_major);
    }
    *ret_reason = probe.reason;
    *ret_value = probe.value;
    *ret_threshold = probe.threshold;
    return probe.severity;
}

bool mill__uses_default(const struct mill_drift_rule *rule, const struct mill_drift_result *result)
{
    return rule->kind == MILL_RULE_DEFAULT ||
           (rule->kind == MILL_RULE_CALIBRATED && (result->conditions & MILL_CONDITION_UNCALIBRATED) != 0);
}

static void judge_default(const struct mill_drift_rule *rule, struct mill_drift_result *result)
{
    if (result->ks_qvalue <= rule->q_max) {
        result->severity = mill__default_effect(rule, result, &result->reason, &result->value, &result->threshold);
    }
}

void mill__judge_result(const struct mill_profile *profile, const struct mill_drift_rule *rule,
                        struct mill_drift_result *result)
{
    if ((result->conditions & MILL_CONDITIONS_UNJUDGED) != 0) {
        return;
    }
    if (rule->kind == MILL_RULE_ARTICLE) {
        judge_article(rule, result);
        return;
    }
    if (mill__uses_default(rule, result)) {
        judge_default(rule, result);
    } else {
        mill__judge_calibrated(profile, rule, result);
    }
    mill__judge_quality(rule, result);
}
