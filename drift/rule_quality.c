/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Data quality: shares that rose by more than a threshold and by more than chance explains. Chance is one in about a
 * million for each, so that the many small windows of segments do not ring.
 */
#include <math.h>

#include "drift/evaluate_internal.h"

static const double SIGMAS = 5;
static const double CHANCE_MAX = 1e-6;

/* Two shares of which the second is larger by SIGMAS standard errors, the variance being that of the pooled share. */
static bool is_null_rise(const struct mill_drift_result *result)
{
    double n1 = (double)result->reference_row_count, n2 = (double)result->row_count;
    double pooled = (double)(result->reference_null_count + result->null_count) / (n1 + n2);
    double rise = result->null_share_current - result->null_share_reference;

    return rise > SIGMAS * sqrt(pooled * (1 - pooled) * (1 / n1 + 1 / n2));
}

/* More unseen values than the reference leads to expect; the expectation is itself a count of the reference. */
static bool is_unseen_rise(const struct mill_drift_result *result)
{
    double n1 = (double)mill__reference_values(result), n2 = (double)mill__result_values(result);
    double found = result->unseen_share * n2, expected = result->unseen_reference * n2;

    return found - expected > SIGMAS * sqrt((expected + 1) * (1 + n2 / n1));
}

/* Where both samples are of one origin, each of the largest values is of the window with probability n2 / (n1 + n2), so
 * that at least k lie outside (on both sides together) with probability at most (k + 1) (n2 / (n1 + n2))^k. */
static bool is_range_rise(const struct mill_drift_result *result)
{
    double n1 = (double)mill__reference_values(result), n2 = (double)mill__result_values(result);
    double k = rint(result->out_of_range_current * n2);

    return log(k + 1) + k * log(n2 / (n1 + n2)) < log(CHANCE_MAX);
}

void mill__judge_quality(const struct mill_drift_rule *rule, struct mill_drift_result *result)
{
    if (is_null_rise(result)) {
        mill__judge_band(result, "null_share", result->null_share_current - result->null_share_reference,
                         rule->null_share_minor, rule->null_share_major);
    }
    if (is_unseen_rise(result)) {
        mill__judge_band(result, "unseen_share", result->unseen_share - result->unseen_reference,
                         rule->unseen_share_minor, rule->unseen_share_major);
    }
    if (is_range_rise(result)) {
        mill__judge_band(result, "out_of_range", result->out_of_range_current - result->out_of_range_reference,
                         rule->out_of_range_minor, rule->out_of_range_major);
    }
}
