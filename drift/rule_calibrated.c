/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Thresholds from the reference's own windows, for an expected number of false alarms.
 *
 * A month has evaluations_per_month evaluations of F features with two numbers (PSI, KS) each: each number may exceed
 * its threshold with probability p = false_alarms_per_month / (evaluations * F * 2). Expectations add, however much
 * windows overlap and features depend on one another. Major: a tenth of it.
 *
 * Windows of the reference were compared with a reference that they are part of; new ones are not. For independent rows
 * the variance is (1/n - 1/N) there and (1/n + 1/N) here, so PSI is scaled by (N + n) / (N - n), KS by its square root.
 * Windows with fewer rows than those that were calibrated on have more noise: a threshold is never below what
 * independent rows of that number exceed with probability p (KS), or one time in a hundred (PSI).
 */
#include <math.h>

#include "drift/evaluate_internal.h"

bool mill__is_calibrated(const struct mill_profile *profile, const struct mill_drift_rule *rule,
                         const struct mill_drift_result *result)
{
    return result->segment == UINT32_MAX && result->feature->calibration_count >= MILL_CALIBRATION_WINDOWS_MIN &&
           (rule->window_us == 0 || rule->window_us == profile->calibration_window_us);
}

/* Beyond the windows that there are: mean excess over the upper quarter (at least five), one standard error up. */
static double tail_threshold(const double *values, uint32_t count, double probability)
{
    uint32_t tail = count / 4 > 5 ? count / 4 : 5;
    double from = values[count - tail - 1], excess = 0;

    for (uint32_t i = count - tail; i < count; i++) {
        excess += (values[i] - from) / tail;
    }
    excess *= 1 + 1 / sqrt(tail);
    return fmax(values[count - 1], from + excess * log((double)tail / count / probability));
}

double mill__calibrated_threshold(const double *values, uint32_t count, double probability)
{
    double rank = floor(probability * (count + 1.0));

    mill_assert(count >= MILL_CALIBRATION_WINDOWS_MIN);
    if (rank >= 1) {
        return values[rank >= count ? 0 : count - (uint32_t)rank];
    }
    return tail_threshold(values, count, probability);
}

/* (N + n) / (N - n), n: rows of an average window of the reference. */
static double overlap_factor(uint32_t windows)
{
    return (windows + 1.0) / (windows - 1.0);
}

static double psi_threshold(const struct mill_drift_result *result, double probability)
{
    const struct mill_profile_feature *feature = result->feature;
    double threshold = mill__calibrated_threshold(feature->calibration_psi, feature->calibration_count, probability);

    return fmax(threshold * overlap_factor(feature->calibration_count), result->psi_noise);
}

/* Massart's bound solved for the statistic. */
static double ks_threshold(const struct mill_drift_result *result, double probability)
{
    const struct mill_profile_feature *feature = result->feature;
    double threshold = mill__calibrated_threshold(feature->calibration_ks, feature->calibration_count, probability);
    double n1 = (double)result->ks.reference_count, n2 = (double)result->ks.current_count;

    return fmax(threshold * sqrt(overlap_factor(feature->calibration_count)),
                sqrt(log(2 / probability) / 2 * (1 / n1 + 1 / n2)));
}

void mill__judge_calibrated(const struct mill_profile *profile, const struct mill_drift_rule *rule,
                            struct mill_drift_result *result)
{
    double minor = fmin(0.5, rule->false_alarms_per_month / (rule->evaluations_per_month * profile->feature_count * 2));
    double major = minor / 10;

    mill__judge_band(result, "psi", result->psi, psi_threshold(result, minor), psi_threshold(result, major));
    if (result->feature->kind == MILL_DRIFT_NUMERIC && result->ks.current_count > 0) {
        mill__judge_band(result, "ks", result->ks.statistic, ks_threshold(result, minor), ks_threshold(result, major));
    }
}
