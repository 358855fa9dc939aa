/* SPDX-License-Identifier: Apache-2.0 */
/* All numbers of a result as JSON. */
#include "drift/json_internal.h"

static void write_ks(struct mill_json_writer *w, const struct mill_drift_result *result)
{
    mill_json_write_key(w, "ks");
    if (result->feature->kind != MILL_DRIFT_NUMERIC) {
        mill_json_write_null(w);
        return;
    }
    mill_json_write_object_begin(w);
    mill__json_number(w, "statistic", result->ks.statistic);
    mill__json_number(w, "pvalue", result->ks_pvalue);
    mill__json_number(w, "qvalue", result->ks_qvalue);
    mill__json_number(w, "location", result->ks.location);
    mill_json_write_key(w, "sign");
    mill_json_write_int64(w, result->ks.sign);
    mill_json_write_object_end(w);
}

static void write_chi2(struct mill_json_writer *w, const char *name, const struct mill_chi2 *chi2,
                       const struct mill_drift_result *result)
{
    mill_json_write_key(w, name);
    if (result->feature->kind != MILL_DRIFT_CATEGORICAL) {
        mill_json_write_null(w);
        return;
    }
    mill_json_write_object_begin(w);
    mill__json_number(w, "statistic", chi2->statistic);
    mill__json_number(w, "pvalue", chi2->pvalue);
    mill__json_number(w, "qvalue", result->ks_qvalue);
    mill__json_count(w, "dof", chi2->dof);
    mill_json_write_object_end(w);
}

void mill__json_metrics(struct mill_json_writer *w, const struct mill_drift_result *result)
{
    mill_json_write_key(w, "metrics");
    if (result == NULL) {
        mill_json_write_null(w);
        return;
    }
    mill_json_write_object_begin(w);
    mill__json_number(w, "psi", result->psi);
    mill__json_number(w, "psi_noise", result->psi_noise);
    mill__json_number(w, "psi_density", result->psi_density);
    write_ks(w, result);
    write_chi2(w, "chi2", &result->chi2, result);
    write_chi2(w, "g", &result->g, result);
    mill__json_number(w, "wasserstein", result->wasserstein);
    mill__json_number(w, "wasserstein_error_max", result->wasserstein_error_max);
    mill__json_number(w, "jensen_shannon", result->jensen_shannon);
    mill__json_number(w, "hellinger", result->hellinger);
    mill__json_number(w, "total_variation", result->total_variation);
    mill__json_number(w, "null_rate", result->null_share_current);
    mill__json_number(w, "null_rate_delta", result->null_share_current - result->null_share_reference);
    mill__json_number(w, "unseen_share", result->unseen_share);
    mill__json_number(w, "unseen_share_expected", result->unseen_reference);
    mill__json_number(w, "out_of_range_share", result->out_of_range_current);
    mill__json_number(w, "out_of_range_share_expected", result->out_of_range_reference);
    mill__json_number(w, "mean", result->mean);
    mill__json_number(w, "stddev", result->stddev);
    mill__json_number(w, "mean_shift", result->mean_shift);
    mill_json_write_object_end(w);
}

static void write_conditions(struct mill_json_writer *w, unsigned conditions)
{
    mill_json_write_key(w, "conditions");
    mill_json_write_array_begin(w);
    for (unsigned i = 0; i < MILL_CONDITION_COUNT; i++) {
        if ((conditions >> i & 1) != 0) {
            mill_json_write_cstr(w, mill_drift_condition_name((enum mill_drift_condition)(1U << i)));
        }
    }
    mill_json_write_array_end(w);
}

void mill__json_result(struct mill_json_writer *w, const struct mill_drift_report *report,
                       const struct mill_drift_result *result)
{
    mill_json_write_object_begin(w);
    mill__json_subject(w, report->profile, result);
    mill__json_count(w, "n", result->row_count);
    write_conditions(w, result->conditions);
    mill__json_text(w, "severity", mill_severity_name(result->severity));
    mill__json_reason(w, result->reason, result->value, result->threshold);
    mill__json_metrics(w, result);
    mill_json_write_object_end(w);
}
