/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of drift/ share about counts. See drift.h for slots. */
#ifndef MILL_DRIFT_INTERNAL_H
#define MILL_DRIFT_INTERNAL_H

#include "drift/statistics_internal.h"

/* Event times further away are damage; so no sum of times overflows. */
#define MILL__TIME_MAX_US (INT64_C(1) << 62)
static inline bool mill__is_time(int64_t us)
{
    return us >= -MILL__TIME_MAX_US && us <= MILL__TIME_MAX_US;
}

/* Index of the first break-point >= x. */
static inline uint32_t mill__lower_bound(const struct mill_profile_feature *feature, double x)
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
    return low;
}

/* Two-sample KS of a numeric feature's reference (of all rows, or of a segment) and current counts, feature->slot_count
 * of each. location is a break-point: where the difference is largest inside a gap, the one that ends the gap. The
 * totals are the sums of the counts. */
void mill__ks_of_slots(const struct mill_profile_feature *feature, const uint64_t *reference, uint64_t reference_total,
                       const uint64_t *current, uint64_t current_total, struct mill_ks *ret_ks);

#endif
