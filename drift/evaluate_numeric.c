/* SPDX-License-Identifier: Apache-2.0 */
/* What the slots of a numeric feature say: KS, PSI over its bins, the article's PSI, range, moments. */
#include <math.h>
#include <string.h>

#include "drift/drift_internal.h"
#include "drift/evaluate_internal.h"

static uint64_t slot_sum(const uint64_t *slots, uint32_t from, uint32_t to)
{
    uint64_t sum = 0;

    for (uint32_t i = from; i < to; i++) {
        sum += slots[i];
    }
    return sum;
}

void mill__measure_bins(uint64_t *reference, uint64_t *current, uint32_t bin_count, const struct mill_drift_rule *rule,
                        struct mill_drift_result *result)
{
    uint64_t reference_count = mill__reference_values(result), current_count = mill__result_values(result);

    if (rule->null_bin) {
        reference[bin_count] = result->reference_null_count;
        current[bin_count++] = result->null_count;
        reference_count = result->reference_row_count;
        current_count = result->row_count;
    }
    if (reference_count == 0 || current_count == 0) {
        return;
    }
    result->psi = mill_psi(reference, current, bin_count, rule->smoothing, NULL);
    result->psi_noise = bin_count < 2 ? 0 : mill_psi_noise(reference_count, current_count, bin_count);
    result->jensen_shannon = mill_jensen_shannon(reference, current, bin_count);
    result->hellinger = mill_hellinger(reference, current, bin_count);
    result->total_variation = mill_total_variation(reference, current, bin_count);
}

static void measure_bins(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                         const struct mill_drift_rule *rule, struct mill_arena *arena, struct mill_drift_result *result)
{
    const struct mill_profile_feature *feature = result->feature;
    uint64_t *before = mill_arena_array(arena, uint64_t, 2 * ((size_t)feature->bin_count + 1));
    uint64_t *now = before + feature->bin_count + 1;

    for (uint32_t i = 0; i < feature->bin_count; i++) {
        before[i] = slot_sum(reference->slots, feature->bin_slot[i], feature->bin_slot[i + 1]);
        now[i] = slot_sum(counts->slots, feature->bin_slot[i], feature->bin_slot[i + 1]);
    }
    mill__measure_bins(before, now, feature->bin_count, rule, result);
}

/* numpy's histogram over given edges: cells [e, next), the last one closed. All edges are break-points. */
static void measure_density(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                            struct mill_arena *arena, struct mill_drift_result *result)
{
    const struct mill_profile_feature *feature = result->feature;
    uint32_t bins = feature->density_count;

    if (bins == 0) {
        return;
    }
    uint64_t *before = mill_arena_array(arena, uint64_t, 2 * (size_t)bins), *now = before + bins;
    for (uint32_t i = 0; i < bins; i++) {
        uint32_t from = 2 * mill__lower_bound(feature, feature->density_edges[i]) + 1;
        uint32_t to = 2 * mill__lower_bound(feature, feature->density_edges[i + 1]) + 1 + (i + 1 == bins);
        before[i] = slot_sum(reference->slots, from, to);
        now[i] = slot_sum(counts->slots, from, to);
    }
    result->psi_density = mill_psi_density(before, now, feature->density_edges, bins);
}

/* One of n + 1 values of the same origin is as likely as any other to be the largest, so 2 / (n + 1) of new values are
 * expected outside the range of n old ones. */
static void measure_range(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                          struct mill_drift_result *result)
{
    uint64_t n = mill__reference_values(result);

    if (n == 0 || mill__result_values(result) == 0) {
        return;
    }
    uint64_t values = mill__result_values(result);
    uint64_t inside = values - slot_sum(counts->slots, 0, reference->first_slot) -
                      slot_sum(counts->slots, reference->last_slot + 1, result->feature->slot_count);
    result->out_of_range_current = 1 - (double)inside / (double)values;
    result->out_of_range_reference = 2 / (double)(n + 1);
}

static bool has_infinities(const struct mill_profile_feature *feature, const struct mill_drift_counts *counts)
{
    uint32_t k = feature->break_count;

    return k > 0 && ((isinf(feature->breaks[0]) && counts->slots[1] > 0) ||
                     (isinf(feature->breaks[k - 1]) && counts->slots[2 * (k - 1) + 1] > 0));
}

static void measure_moments(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                            struct mill_drift_result *result)
{
    const struct mill_profile_feature *feature = result->feature;
    uint64_t n = mill__result_values(result);

    if (n == 0 || (result->conditions & MILL_CONDITION_INFINITE) != 0 || !mill__moments_reach(feature)) {
        return;
    }
    double mean = mill__moment_mean(&counts->moments, n), square = mill__moment_square(&counts->moments, n);
    result->mean = feature->center + feature->scale * mean;
    result->stddev = feature->scale * sqrt(fmax(0, square - mean * mean));
    if (reference->stddev > 0 && isfinite(reference->stddev)) {
        result->mean_shift = (result->mean - reference->mean) / reference->stddev;
    }
}

static void measure_wasserstein(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                                struct mill_drift_result *result)
{
    if (!(reference->stddev > 0) || !isfinite(reference->stddev)) {
        return;
    }
    mill__wasserstein_slots(result->feature, reference, counts, &result->wasserstein, &result->wasserstein_error_max);
    result->wasserstein /= reference->stddev;
    result->wasserstein_error_max /= reference->stddev;
}

void mill__measure_numeric(const struct mill__reference *reference, const struct mill_drift_counts *counts,
                           const struct mill_drift_rule *rule, struct mill_arena *arena,
                           struct mill_drift_result *result)
{
    if (has_infinities(result->feature, counts)) {
        result->conditions |= MILL_CONDITION_INFINITE;
    }
    mill__ks_of_slots(result->feature, reference->slots, mill__reference_values(result), counts->slots,
                      mill__result_values(result), &result->ks);
    measure_bins(reference, counts, rule, arena, result);
    measure_density(reference, counts, arena, result);
    measure_range(reference, counts, result);
    measure_moments(reference, counts, result);
    measure_wasserstein(reference, counts, result);
}
