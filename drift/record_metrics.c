/* SPDX-License-Identifier: Apache-2.0 */
/* All numbers of a result. */
#include "drift/record_internal.h"

static void write_ks(struct mill__record_writer *w, const struct mill_drift_result *result)
{
    if (!mill__record_optional_object(w, "ks", result->feature->kind == MILL_DRIFT_NUMERIC)) {
        return;
    }
    mill__record_number(w, "statistic", result->ks.statistic);
    mill__record_number(w, "pvalue", result->ks_pvalue);
    mill__record_number(w, "qvalue", result->ks_qvalue);
    mill__record_number(w, "location", result->ks.location);
    mill__record_int(w, "sign", result->ks.sign);
    mill__record_end(w);
}

static void write_chi2(struct mill__record_writer *w, const char *name, const struct mill_chi2 *chi2,
                       const struct mill_drift_result *result)
{
    if (!mill__record_optional_object(w, name, result->feature->kind == MILL_DRIFT_CATEGORICAL)) {
        return;
    }
    mill__record_number(w, "statistic", chi2->statistic);
    mill__record_number(w, "pvalue", chi2->pvalue);
    mill__record_number(w, "qvalue", result->ks_qvalue);
    mill__record_count(w, "dof", chi2->dof);
    mill__record_end(w);
}

void mill__record_metrics(struct mill__record_writer *w, const struct mill_drift_result *result)
{
    mill__record_number(w, "psi", result->psi);
    mill__record_number(w, "psi_noise", result->psi_noise);
    mill__record_number(w, "psi_density", result->psi_density);
    write_ks(w, result);
    write_chi2(w, "chi2", &result->chi2, result);
    write_chi2(w, "g", &result->g, result);
    mill__record_number(w, "wasserstein", result->wasserstein);
    mill__record_number(w, "wasserstein_error_max", result->wasserstein_error_max);
    mill__record_number(w, "jensen_shannon", result->jensen_shannon);
    mill__record_number(w, "hellinger", result->hellinger);
    mill__record_number(w, "total_variation", result->total_variation);
    mill__record_number(w, "null_rate", result->null_share_current);
    mill__record_number(w, "null_rate_delta", result->null_share_current - result->null_share_reference);
    mill__record_number(w, "unseen_share", result->unseen_share);
    mill__record_number(w, "unseen_share_expected", result->unseen_reference);
    mill__record_number(w, "out_of_range_share", result->out_of_range_current);
    mill__record_number(w, "out_of_range_share_expected", result->out_of_range_reference);
    mill__record_number(w, "mean", result->mean);
    mill__record_number(w, "stddev", result->stddev);
    mill__record_number(w, "mean_shift", result->mean_shift);
}

static void write_conditions(struct mill__record_writer *w, unsigned conditions)
{
    mill_assert(conditions >> MILL_CONDITION_COUNT == 0);
    mill__record_array(w, "conditions", (uint32_t)__builtin_popcount(conditions));
    for (unsigned i = 0; i < MILL_CONDITION_COUNT; i++) {
        if ((conditions >> i & 1) != 0) {
            mill__record_item_text(w, mill_drift_condition_name((enum mill_drift_condition)(1U << i)));
        }
    }
    mill__record_array_end(w);
}

void mill__record_result(struct mill__record_writer *w, const struct mill_drift_report *report,
                         const struct mill_drift_result *result)
{
    mill__record_item(w);
    mill__record_text(w, "feature", result->feature->name);
    mill__record_segment(w, report->profile, result);
    mill__record_count(w, "n", result->row_count);
    write_conditions(w, result->conditions);
    mill__record_severity(w, "severity", result->severity);
    mill__record_reason(w, result->reason, result->value, result->threshold);
    mill__record_object(w, "metrics");
    mill__record_metrics(w, result);
    mill__record_end(w);
    mill__record_end(w);
}
