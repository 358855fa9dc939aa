/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What windows of the reference itself give against the whole of it: how much "nothing has happened" moves PSI and KS
 * of this feature, with its seasons and its autocorrelation. Thresholds of the calibrated rule are made of these.
 */
#include <stdlib.h>

#include "drift/profile_internal.h"

/* The same default as the rules have. */
static const struct mill_smoothing smoothing = {MILL_SMOOTHING_ADD, 0.5};

static double psi_of(const struct mill_profile_feature *feature, const uint64_t *slots)
{
    if (feature->kind == MILL_DRIFT_CATEGORICAL) {
        return mill_psi(feature->slots, slots, feature->slot_count, smoothing, NULL);
    }
    uint64_t *bins = mill_calloc(2 * (size_t)feature->bin_count, sizeof(*bins));
    for (uint32_t b = 0; b < feature->bin_count; b++) {
        for (uint32_t s = feature->bin_slot[b]; s < feature->bin_slot[b + 1]; s++) {
            bins[b] += feature->slots[s];
            bins[feature->bin_count + b] += slots[s];
        }
    }
    double psi = mill_psi(bins, bins + feature->bin_count, feature->bin_count, smoothing, NULL);
    free(bins);
    return psi;
}

void mill__calibrate(const uint32_t *slot, const struct mill__groups *windows, struct mill_arena *arena,
                     struct mill_profile_feature *feature)
{
    uint32_t count = 0;
    double *psi = mill_arena_array(arena, double, 2 * (size_t)windows->count), *ks = psi + windows->count;
    uint64_t *counts = mill_malloc(feature->slot_count * sizeof(*counts));

    for (uint32_t w = 0; w < windows->count; w++) {
        struct mill_ks statistic = {.statistic = 0};
        uint64_t total = 0;
        memset(counts, 0, feature->slot_count * sizeof(*counts));
        for (uint64_t i = windows->begin[w]; i < windows->begin[w + 1]; i++) {
            uint32_t s = slot[windows->order[i]];
            if (s != UINT32_MAX) {
                counts[s]++;
                total++;
            }
        }
        if (total == 0) {
            continue;
        }
        if (feature->kind == MILL_DRIFT_NUMERIC) {
            mill__ks_of_slots(feature, feature->slots, feature->row_count - feature->null_count, counts, total,
                              &statistic);
        }
        psi[count] = psi_of(feature, counts) + 0.0;
        ks[count++] = statistic.statistic;
    }
    double *scratch = mill_malloc((count + (size_t)1) * sizeof(*scratch));
    mill__sort_doubles(psi, scratch, count);
    mill__sort_doubles(ks, scratch, count);
    feature->calibration_count = count;
    feature->calibration_psi = psi;
    feature->calibration_ks = ks;
    free(scratch);
    free(counts);
}
