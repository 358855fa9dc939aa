/* SPDX-License-Identifier: Apache-2.0 */
/*
 * KS from counts against frozen break-points.
 *
 * Both distribution functions are known exactly at each break-point and just before it: they are prefix sums over the
 * slots. Between two break-points the reference is constant (in an exact profile), and the current one is monotone, so
 * the largest difference is at one of those ends: the maximum over all prefixes is the two-sample statistic, ties
 * included. In a profile that is not exact it is a lower bound, low by at most gap_share_max.
 */
#include <math.h>

#include "drift/drift_internal.h"

/* Prefixes in the order of their slots. */
struct prefix {
    uint64_t c1, c2;
};

static void consider(struct mill__ks_scan *scan, const struct mill_profile_feature *feature, const uint64_t *reference,
                     uint32_t slot, struct prefix at)
{
    bool in_reference = (slot & 1) == 1 && reference[slot] > 0;
    uint32_t i = slot / 2; /* a gap's end is the break-point of the same number */
    double value = feature->breaks[i < feature->break_count ? i : feature->break_count - 1];

    mill__ks_scan_add(scan, at.c1, at.c2, value, in_reference);
}

/* Slots in at most BLOCKS runs: what is known where one begins, and the extremes within it. */
enum { BLOCKS = 256, BLOCK_SLOTS_MIN = 32 };
struct block {
    struct prefix begin;
    int64_t low, high;
};

static struct block scan_block(const uint64_t *reference, const uint64_t *current, uint32_t n, struct prefix *at,
                               uint64_t n1, uint64_t n2)
{
    struct block block = {*at, INT64_MAX, INT64_MIN};

    for (uint32_t s = 0; s < n; s++) {
        at->c1 += reference[s];
        at->c2 += current[s];
        int64_t d = (int64_t)(at->c1 * n2) - (int64_t)(at->c2 * n1);
        block.low = d < block.low ? d : block.low;
        block.high = d > block.high ? d : block.high;
    }
    return block;
}

static void consider_block(struct mill__ks_scan *scan, const struct mill_profile_feature *feature,
                           const uint64_t *reference, const uint64_t *current, uint32_t from, uint32_t to,
                           struct prefix at)
{
    for (uint32_t s = from; s < to; s++) {
        at.c1 += reference[s];
        at.c2 += current[s];
        if ((reference[s] | current[s]) != 0) {
            consider(scan, feature, reference, s, at);
        }
    }
}

/* n1 * n2 < 2^61: differences fit int64_t. Once for the extremes, and once more in the few blocks that come near
 * them. */
static void scan_narrow(struct mill__ks_scan *scan, const struct mill_profile_feature *feature,
                        const uint64_t *reference, const uint64_t *current)
{
    uint64_t n1 = scan->reference_count, n2 = scan->current_count;
    uint32_t size = feature->slot_count / BLOCKS + 1, count = 0;
    int64_t low = 0, high = 0, slack = (int64_t)scan->slack;
    struct block blocks[BLOCKS];
    struct prefix at = {0, 0};

    size = size < BLOCK_SLOTS_MIN ? BLOCK_SLOTS_MIN : size;
    for (uint32_t from = 0; from < feature->slot_count; from += size) {
        uint32_t n = feature->slot_count - from < size ? feature->slot_count - from : size;
        struct block *block = &blocks[count++];
        *block = scan_block(reference + from, current + from, n, &at, n1, n2);
        low = block->low < low ? block->low : low;
        high = block->high > high ? block->high : high;
    }
    for (uint32_t b = 0; b < count; b++) {
        if (blocks[b].high >= high - slack || blocks[b].low <= low + slack) {
            uint32_t end = feature->slot_count - b * size < size ? feature->slot_count : (b + 1) * size;
            consider_block(scan, feature, reference, current, b * size, end, blocks[b].begin);
        }
    }
}

static void scan_wide(struct mill__ks_scan *scan, const struct mill_profile_feature *feature, const uint64_t *reference,
                      const uint64_t *current)
{
    consider_block(scan, feature, reference, current, 0, feature->slot_count, (struct prefix){0, 0});
}

void mill__ks_of_slots(const struct mill_profile_feature *feature, const uint64_t *reference, uint64_t reference_total,
                       const uint64_t *current, uint64_t current_total, struct mill_ks *ret_ks)
{
    uint64_t n1 = reference_total, n2 = current_total;
    struct mill__ks_scan scan;

    mill_assert(feature->kind == MILL_DRIFT_NUMERIC);
    if (n1 == 0 || n2 == 0) {
        *ret_ks = (struct mill_ks){n1, n2, 0, (double)NAN, (double)NAN, 1};
        return;
    }
    mill__ks_scan_init(&scan, n1, n2);
    bool is_narrow = (mill__i128)n1 * n2 < (mill__i128)1 << 61;
    (is_narrow ? scan_narrow : scan_wide)(&scan, feature, reference, current);
    mill__ks_scan_finish(&scan, ret_ks);
}
