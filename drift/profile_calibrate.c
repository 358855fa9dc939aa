/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What windows of the reference itself give against the whole of it: how much "nothing has happened" moves PSI and KS
 * of this feature, with its seasons and its autocorrelation. Thresholds of the calibrated rule are made of these.
 */
#include <math.h>
#include <stdlib.h>

#include "drift/profile_internal.h"

/* The same default as the rules have. */
static const struct mill_smoothing smoothing = {MILL_SMOOTHING_ADD, 0.5};

static uint32_t slot_of(const struct mill_profile_feature *feature, double x)
{
    uint32_t low = 0, high = feature->break_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (feature->breaks[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return 2 * low + (low < feature->break_count && feature->breaks[low] == x);
}

/* Per row its slot, or UINT32_MAX where it has no value. */
static uint32_t *slots_of_rows(const struct mill__samples *samples, const uint32_t *rank, uint64_t row_count,
                               const struct mill_profile_feature *feature)
{
    uint32_t *slots = mill_malloc(row_count * sizeof(*slots));

    for (uint64_t row = 0; row < row_count; row++) {
        if (feature->kind == MILL_DRIFT_NUMERIC) {
            slots[row] = isnan(samples->values[row]) ? UINT32_MAX : slot_of(feature, samples->values[row]);
        } else if (samples->ids[row] == UINT32_MAX) {
            slots[row] = UINT32_MAX;
        } else {
            uint32_t place = rank[samples->ids[row]];
            slots[row] = place == UINT32_MAX ? feature->level_count : place;
        }
    }
    return slots;
}

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

/* Rows ordered by window: order[begin[w]] up to order[begin[w + 1]]. */
static void order_by_pane(const uint32_t *pane, uint64_t row_count, uint32_t pane_count, uint64_t *begin,
                          uint64_t *order)
{
    for (uint64_t row = 0; row < row_count; row++) {
        if (pane[row] != UINT32_MAX) {
            begin[pane[row] + 1]++;
        }
    }
    for (uint32_t w = 0; w < pane_count; w++) {
        begin[w + 1] += begin[w];
    }
    for (uint64_t row = 0; row < row_count; row++) {
        if (pane[row] != UINT32_MAX) {
            order[begin[pane[row]]++] = row;
        }
    }
    memmove(begin + 1, begin, pane_count * sizeof(*begin)); /* each has moved to its end */
    begin[0] = 0;
}

void mill__calibrate(const struct mill__samples *samples, const uint32_t *rank, const uint32_t *pane,
                     uint64_t row_count, uint32_t pane_count, struct mill_arena *arena,
                     struct mill_profile_feature *feature)
{
    uint32_t *slot = slots_of_rows(samples, rank, row_count, feature), count = 0;
    uint64_t *begin = mill_calloc(pane_count + (size_t)1, sizeof(*begin));
    uint64_t *order = mill_malloc(row_count * sizeof(*order));
    double *psi = mill_arena_array(arena, double, 2 * (size_t)pane_count), *ks = psi + pane_count;
    uint64_t *counts = mill_malloc(feature->slot_count * sizeof(*counts));

    order_by_pane(pane, row_count, pane_count, begin, order);
    for (uint32_t w = 0; w < pane_count; w++) {
        struct mill_ks statistic = {.statistic = 0};
        uint64_t total = 0;
        memset(counts, 0, feature->slot_count * sizeof(*counts));
        for (uint64_t i = begin[w]; i < begin[w + 1]; i++) {
            if (slot[order[i]] != UINT32_MAX) {
                counts[slot[order[i]]]++;
                total++;
            }
        }
        if (total == 0) {
            continue;
        }
        if (feature->kind == MILL_DRIFT_NUMERIC) {
            mill__ks_of_slots(feature, counts, total, &statistic);
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
    free(order);
    free(begin);
    free(slot);
}
