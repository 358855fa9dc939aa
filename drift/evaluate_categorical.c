/* SPDX-License-Identifier: Apache-2.0 */
/* What the slots of a categorical feature say: chi-square, G, PSI and distances over levels, unseen values. */
#include <math.h>

#include "drift/evaluate_internal.h"

/*
 * The share of new values expected at levels that the reference has not: singletons / n (I. J. Good, 1953). Of the
 * rarer levels, which are counted together, at least 2 * levels - rows must be singletons.
 */
static double expected_unseen(const struct mill_profile_feature *feature, const struct mill__reference *reference)
{
    uint64_t singletons = 0, other_rows = reference->slots[feature->level_count];

    for (uint32_t i = 0; i < feature->level_count; i++) {
        singletons += reference->slots[i] == 1;
    }
    if (2 * reference->other_levels > other_rows) {
        singletons += 2 * reference->other_levels - other_rows;
    }
    return (double)singletons / (double)(reference->row_count - reference->null_count);
}

/* Values at levels that the reference has not: a segment has only some of the profile's. */
static uint64_t unseen_values(const struct mill_profile_feature *feature, const struct mill__reference *reference,
                              const struct mill_drift_counts *counts)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < feature->slot_count; i++) {
        sum += reference->slots[i] == 0 ? counts->slots[i] : 0;
    }
    return sum;
}

/* Cochran's rule: the approximation wants at least 5 expected on either side. */
static const double EXPECTED_MIN = 5;

static double pooled_pvalue(const uint64_t *reference, const uint64_t *current, uint32_t count, double smaller_share,
                            struct mill_arena *arena)
{
    uint64_t *pooled = mill_arena_zarray(arena, uint64_t, 2 * ((size_t)count + 1)),
             *pooled_current = pooled + count + 1;
    uint32_t used = 1; /* 0: the rare ones */
    struct mill_chi2 chi2;

    for (uint32_t i = 0; i < count; i++) {
        bool is_rare = (double)(reference[i] + current[i]) * smaller_share < EXPECTED_MIN;
        uint32_t column = is_rare ? 0 : used++;
        pooled[column] += reference[i];
        pooled_current[column] += current[i];
    }
    if ((double)(pooled[0] + pooled_current[0]) * smaller_share < EXPECTED_MIN && used > 1) {
        pooled[1] += pooled[0];
        pooled_current[1] += pooled_current[0];
        pooled[0] = pooled_current[0] = 0;
    }
    mill_chi2_test(pooled, pooled_current, used, false, &chi2);
    return chi2.pvalue;
}

void mill__measure_categorical(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                               const struct mill_drift_rule *rule, struct mill_arena *arena,
                               struct mill_drift_result *result)
{
    const struct mill_profile_feature *feature = result->feature;
    uint64_t reference_count = mill__reference_values(result), current_count = mill__result_values(result);
    uint64_t *before = mill_arena_array(arena, uint64_t, 2 * ((size_t)feature->slot_count + 1));
    uint64_t *now = before + feature->slot_count + 1;
    uint32_t used = 0;

    /* A level that neither side has is no bin: it would only weigh on the smoothing. */
    for (uint32_t i = 0; i < feature->slot_count; i++) {
        if (reference->slots[i] != 0 || counts->slots[i] != 0) {
            before[used] = reference->slots[i];
            now[used++] = counts->slots[i];
        }
    }
    if (reference_count > 0 && current_count > 0) {
        mill_chi2_test(before, now, used, false, &result->chi2);
        mill_chi2_test(before, now, used, true, &result->g);
        result->pooled_pvalue =
            pooled_pvalue(before, now, used,
                          (double)(reference_count < current_count ? reference_count : current_count) /
                              (double)(reference_count + current_count),
                          arena);
        result->unseen_share = (double)unseen_values(feature, reference, counts) / (double)current_count;
        result->unseen_reference = expected_unseen(feature, reference);
    }
    mill__measure_bins(before, now, used, rule, result);
}
