/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KS from counts against frozen break-points.
 *
 * Both distribution functions are known exactly at each break-point and just before it: they are prefix sums over the
 * slots. Between two break-points the reference is constant (in an exact profile), and the current one is monotone, so
 * the largest difference is at one of those ends: the maximum over all prefixes is the two-sample statistic, ties
 * included. In a profile that is not exact it is a lower bound, low by at most gap_share_max.
 */
#include "drift/drift_internal.h"

#include <math.h>

struct extreme {
    mill__i128 difference; /* c1 * n2 - c2 * n1 */
    uint32_t slot;
};

/* n1 * n2 < 2^62: differences fit int64_t. */
static void scan_narrow(const uint64_t *reference, const uint64_t *current, uint32_t count, uint64_t n1, uint64_t n2,
                        struct extreme *ret_low, struct extreme *ret_high)
{
    int64_t d = 0, low = 0, high = 0;
    uint32_t low_slot = 0, high_slot = 0;

    for (uint32_t s = 0; s < count; s++) {
        d += (int64_t)(reference[s] * n2) - (int64_t)(current[s] * n1);
        low_slot = d < low ? s : low_slot;
        low = d < low ? d : low;
        high_slot = d > high ? s : high_slot;
        high = d > high ? d : high;
    }
    *ret_low = (struct extreme){low, low_slot};
    *ret_high = (struct extreme){high, high_slot};
}

static void scan_wide(const uint64_t *reference, const uint64_t *current, uint32_t count, uint64_t n1, uint64_t n2,
                      struct extreme *ret_low, struct extreme *ret_high)
{
    struct extreme low = {0, 0}, high = {0, 0};
    mill__i128 d = 0;

    for (uint32_t s = 0; s < count; s++) {
        d += (mill__i128)reference[s] * n2 - (mill__i128)current[s] * n1;
        if (d < low.difference) {
            low = (struct extreme){d, s};
        }
        if (d > high.difference) {
            high = (struct extreme){d, s};
        }
    }
    *ret_low = low;
    *ret_high = high;
}

void mill__ks_of_slots(const struct mill_profile_feature *feature, const uint64_t *current, uint64_t current_total,
                       struct mill_ks *ret_ks)
{
    uint64_t n1 = feature->row_count - feature->null_count, n2 = current_total;
    struct extreme low, high;

    mill_assert(feature->kind == MILL_DRIFT_NUMERIC);
    *ret_ks =
        (struct mill_ks){.reference_count = n1, .current_count = n2, .statistic = (double)NAN, .location = (double)NAN};
    if (n1 == 0 || n2 == 0) {
        return;
    }
    bool is_narrow = (mill__i128)n1 * n2 < (mill__i128)1 << 62;
    (is_narrow ? scan_narrow : scan_wide)(feature->slots, current, feature->slot_count, n1, n2, &low, &high);
    bool is_low = -low.difference > high.difference;
    struct extreme best = is_low ? (struct extreme){-low.difference, low.slot} : high;
    uint32_t i = best.slot / 2; /* a gap's end is the break-point of the same number */
    ret_ks->numerator = (uint64_t)best.difference;
    ret_ks->statistic = (double)best.difference / ((double)n1 * (double)n2);
    ret_ks->sign = is_low ? -1 : 1;
    ret_ks->location = feature->breaks[i < feature->break_count ? i : feature->break_count - 1];
}
