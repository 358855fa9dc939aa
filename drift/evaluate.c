/* SPDX-License-Identifier: Apache-2.0 */
/* One window against its profile: a result per feature and segment, judged by a rule. */
#include <math.h>

#include "drift/evaluate_internal.h"

static void init_result(const struct mill_profile_feature *feature, uint32_t segment,
                        const struct mill__reference *reference, const struct mill_drift_counts *counts,
                        struct mill_drift_result *result)
{
    *result = (struct mill_drift_result){
        .feature = feature,
        .segment = segment,
        .row_count = counts->row_count,
        .null_count = counts->null_count,
        .reference_row_count = reference->row_count,
        .reference_null_count = reference->null_count,
        .ks = {.statistic = NAN, .location = NAN},
        .ks_pvalue = NAN,
        .ks_qvalue = NAN,
        .psi = NAN,
        .psi_noise = NAN,
        .psi_density = NAN,
        .wasserstein = NAN,
        .wasserstein_error_max = NAN,
        .jensen_shannon = NAN,
        .hellinger = NAN,
        .total_variation = NAN,
        .chi2 = {.statistic = NAN, .pvalue = NAN},
        .g = {.statistic = NAN, .pvalue = NAN},
        .pooled_pvalue = NAN,
        .null_share_reference = NAN,
        .null_share_current = NAN,
        .unseen_share = NAN,
        .unseen_reference = NAN,
        .out_of_range_reference = NAN,
        .out_of_range_current = NAN,
        .mean = NAN,
        .stddev = NAN,
        .mean_shift = NAN,
        .value = NAN,
        .threshold = NAN,
    };
}

static unsigned conditions_of(const struct mill__reference *reference, const struct mill_drift_result *result,
                              const struct mill_drift_rule *rule)
{
    unsigned conditions = 0;

    if (result->row_count < rule->samples_min) {
        conditions |= MILL_CONDITION_TOO_FEW;
    }
    if (result->row_count > 0 && mill__result_values(result) == 0) {
        conditions |= MILL_CONDITION_ALL_NULL;
    }
    if (mill__reference_values(result) == 0) {
        conditions |= MILL_CONDITION_REFERENCE_EMPTY;
    } else if (reference->is_constant) {
        conditions |= MILL_CONDITION_REFERENCE_CONSTANT;
    }
    if (result->segment != UINT32_MAX && reference->row_count < rule->samples_min) {
        conditions |= MILL_CONDITION_REFERENCE_TOO_FEW;
    }
    if (result->feature->kind == MILL_DRIFT_NUMERIC && !reference->is_exact) {
        conditions |= MILL_CONDITION_APPROXIMATE;
    }
    return conditions;
}

static double share(uint64_t part, uint64_t whole)
{
    return whole == 0 ? (double)NAN : (double)part / (double)whole;
}

static void measure(const struct mill_drift_window *window, const struct mill_profile *profile,
                    const struct mill_drift_rule *rule, uint32_t segment, uint32_t feature, uint64_t *room,
                    struct mill_arena *arena, struct mill_drift_result *result)
{
    const struct mill_drift_counts *counts = mill_drift_window_counts(window, segment, feature);
    const struct mill_profile_feature *f = &profile->features[feature];
    struct mill__reference reference;

    mill__reference_init(&reference, profile, feature, segment, room);
    init_result(f, segment, &reference, counts, result);
    result->conditions = conditions_of(&reference, result, rule);
    result->null_share_reference = share(reference.null_count, reference.row_count);
    result->null_share_current = share(counts->null_count, counts->row_count);
    if (f->kind == MILL_DRIFT_NUMERIC) {
        mill__measure_numeric(&reference, counts, rule, arena, result);
    } else {
        mill__measure_categorical(&reference, counts, rule, arena, result);
    }
    if (rule->kind == MILL_RULE_CALIBRATED && !mill__is_calibrated(profile, rule, result)) {
        result->conditions |= MILL_CONDITION_UNCALIBRATED;
    }
}

/* Room for one feature's counts in one segment at a time. */
static uint64_t *make_room(const struct mill_profile *profile, struct mill_arena *arena)
{
    uint32_t most = 0;

    for (uint32_t f = 0; f < profile->feature_count && profile->segment_count > 0; f++) {
        most = profile->features[f].slot_count > most ? profile->features[f].slot_count : most;
    }
    return mill_arena_array(arena, uint64_t, most);
}

static uint64_t window_rows(const struct mill_drift_window *window, const struct mill_profile *profile)
{
    return profile->feature_count == 0 ? 0 : mill_drift_window_counts(window, UINT32_MAX, 0)->row_count;
}

void mill_drift_evaluate(const struct mill_drift_window *window, const struct mill_profile *profile,
                         const struct mill_drift_rule *rule, bool with_p, struct mill_arena *arena,
                         struct mill_drift_report *ret_report)
{
    uint32_t segments = profile->segment_count == 0 ? 0 : profile->segment_count + 1;
    uint32_t count = profile->feature_count * (segments + 1);
    struct mill_drift_result *results = mill_arena_array(arena, struct mill_drift_result, count);
    uint64_t *room = make_room(profile, arena);

    for (uint32_t i = 0; i < count; i++) {
        uint32_t group = i / profile->feature_count;
        measure(window, profile, rule, group == 0 ? UINT32_MAX : group - 1, i % profile->feature_count, room, arena,
                &results[i]);
    }
    mill__test_results(rule, with_p, arena, results, count);
    *ret_report = (struct mill_drift_report){
        .profile = profile,
        .row_count = window_rows(window, profile),
        .result_count = count,
        .results = results,
        .performance_value = NAN,
        .performance_threshold = NAN,
    };
    for (uint32_t i = 0; i < count; i++) {
        mill__judge_result(profile, rule, &results[i]);
        if (results[i].severity > ret_report->severity) {
            ret_report->severity = results[i].severity;
        }
    }
}
