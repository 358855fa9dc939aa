/* SPDX-License-Identifier: Apache-2.0 */
/* The steps of mill_drift_evaluate: measure each feature, test for significance, judge by the rule. */
#ifndef MILL_DRIFT_EVALUATE_INTERNAL_H
#define MILL_DRIFT_EVALUATE_INTERNAL_H

#include "drift/drift.h"

/* What a window is compared with: a feature's counts of the whole reference, or of one segment in it. */
struct mill__reference {
    uint64_t row_count, null_count;
    const uint64_t *slots;
    double mean, stddev;
    uint32_t first_slot, last_slot; /* numeric: all values are in these and between; 1 and 0 where there is none */
    uint64_t other_levels;          /* categorical */
    bool is_constant, is_exact;
};
/* segment UINT32_MAX: all rows. room: feature->slot_count, for a segment's counts; they live as long as it. */
void mill__reference_init(struct mill__reference *reference, const struct mill_profile *profile, uint32_t feature,
                          uint32_t segment, uint64_t *room);

/* Fills all of a result that comes from counts alone: result->feature, segment and rows are set. Scratch from arena. */
void mill__measure_numeric(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                           const struct mill_drift_rule *rule, struct mill_arena *arena,
                           struct mill_drift_result *result);
void mill__measure_categorical(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                               const struct mill_drift_rule *rule, struct mill_arena *arena,
                               struct mill_drift_result *result);
/* PSI, its noise and the distances of two count vectors; one more bin of each side's nulls where the rule says so:
 * the vectors have room for bin_count + 1. */
void mill__measure_bins(uint64_t *reference, uint64_t *current, uint32_t bin_count, const struct mill_drift_rule *rule,
                        struct mill_drift_result *result);

/* Wasserstein distance from slots, values in gaps at their mid-points, in units of the values, and by how much that can
 * be wrong. The tails beyond the outer break-points come from the window's mean. Both NaN where a side is empty,
 * has infinities, or the bound would be infinite. */
void mill__wasserstein_slots(const struct mill_profile_feature *feature, const struct mill__reference *reference,
                             const struct mill_drift_counts *counts, double *ret_distance, double *ret_error_max);
/* Of y = (x - center) / scale. */
double mill__moment_mean(const struct mill_drift_moments *moments, uint64_t count);
double mill__moment_square(const struct mill_drift_moments *moments, uint64_t count);
/* Whether all values of the reference are within what moments are cut to; else they say nothing. */
bool mill__moments_reach(const struct mill_profile_feature *feature);

static inline uint64_t mill__result_values(const struct mill_drift_result *result)
{
    return result->row_count - result->null_count;
}

static inline uint64_t mill__reference_values(const struct mill_drift_result *result)
{
    return result->reference_row_count - result->reference_null_count;
}

/* p and q of all results of an evaluation. */
void mill__test_results(const struct mill_drift_rule *rule, bool with_p, struct mill_arena *arena,
                        struct mill_drift_result *results, uint32_t count);

/* Whether effect sizes of the default rule are reached, significant or not: "psi", "ks", "total_variation" or NULL. */
enum mill_severity mill__default_effect(const struct mill_drift_rule *rule, const struct mill_drift_result *result,
                                        const char **ret_reason, double *ret_value, double *ret_threshold);
/* The calibrated rule where it can be used, else the default's thresholds. */
bool mill__uses_default(const struct mill_drift_rule *rule, const struct mill_drift_result *result);
/* Severity, reason, value and threshold of one result. feature_count: of the evaluation, for calibrated thresholds. */
void mill__judge_result(const struct mill_profile *profile, const struct mill_drift_rule *rule,
                        struct mill_drift_result *result);
/* Null share, unseen categories, values out of range. */
void mill__judge_quality(const struct mill_drift_rule *rule, struct mill_drift_result *result);
/* Raises the severity where value >= major or minor (NaN never is). */
void mill__judge_band(struct mill_drift_result *result, const char *reason, double value, double minor, double major);

/* Whether the profile has enough windows of the rule's length to calibrate thresholds of this result on. */
bool mill__is_calibrated(const struct mill_profile *profile, const struct mill_drift_rule *rule,
                         const struct mill_drift_result *result);
/* The value that a window of the reference exceeds with the given probability, from what count windows gave (ascending,
 * at least MILL_CALIBRATION_WINDOWS_MIN): their quantile, or beyond them an exponential tail. */
enum { MILL_CALIBRATION_WINDOWS_MIN = 20 };
double mill__calibrated_threshold(const double *values, uint32_t count, double probability);
void mill__judge_calibrated(const struct mill_profile *profile, const struct mill_drift_rule *rule,
                            struct mill_drift_result *result);

/* Rules on performance; auc_reference: NaN where there is none yet. Fills the report's performance_* and raises its
 * severity. */
void mill__judge_performance(const struct mill_drift_rule *rule, double auc_reference,
                             struct mill_drift_report *report);

#endif
