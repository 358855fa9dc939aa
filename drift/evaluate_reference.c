/* SPDX-License-Identifier: Apache-2.0 */
/* What a window is compared with: the profile's counts of a feature, all of them or those of one segment. */
#include <string.h>

#include "drift/drift_internal.h"
#include "drift/evaluate_internal.h"

static void set_whole(struct mill__reference *reference, const struct mill_profile_feature *feature)
{
    *reference = (struct mill__reference){
        .row_count = feature->row_count,
        .null_count = feature->null_count,
        .slots = feature->slots,
        .mean = feature->mean,
        .stddev = feature->stddev,
        .first_slot = 1,
        .other_levels = feature->other_levels,
        .is_exact = feature->is_exact,
    };
    if (feature->kind == MILL_DRIFT_CATEGORICAL) {
        reference->is_constant = feature->level_count + feature->other_levels == 1;
    } else if (feature->row_count > feature->null_count) {
        reference->first_slot = 2 * mill__lower_bound(feature, feature->min) + 1;
        reference->last_slot = 2 * mill__lower_bound(feature, feature->max) + 1;
        reference->is_constant = reference->first_slot == reference->last_slot;
    }
}

static bool is_constant(const struct mill__reference *reference, const struct mill_profile_feature *feature)
{
    if (reference->first_slot != reference->last_slot) {
        return false;
    }
    return feature->kind == MILL_DRIFT_NUMERIC
               ? reference->first_slot % 2 == 1
               : reference->first_slot < feature->level_count || reference->other_levels == 1;
}

static void set_segment(struct mill__reference *reference, const struct mill_profile_feature *feature, uint32_t segment,
                        uint64_t row_count, uint64_t *room)
{
    const struct mill_profile_segments *segments = feature->segments;
    uint32_t begin = segments->begin[segment], end = segments->begin[segment + 1];
    bool is_numeric = feature->kind == MILL_DRIFT_NUMERIC;

    *reference = (struct mill__reference){
        .row_count = row_count,
        .null_count = segments->null_count[segment],
        .slots = room,
        .first_slot = end > begin ? segments->slot[begin] : 1,
        .last_slot = end > begin ? segments->slot[end - 1] : 0,
        .is_exact = true,
    };
    memset(room, 0, feature->slot_count * sizeof(*room));
    for (uint32_t i = begin; i < end; i++) {
        room[segments->slot[i]] = segments->count[i];
        reference->is_exact = reference->is_exact && segments->slot[i] % 2 == 1;
    }
    if (is_numeric) {
        reference->mean = segments->mean[segment];
        reference->stddev = segments->stddev[segment];
    } else {
        reference->other_levels = segments->other_levels[segment];
    }
    reference->is_constant = is_constant(reference, feature);
}

void mill__reference_init(struct mill__reference *reference, const struct mill_profile *profile, uint32_t feature,
                          uint32_t segment, uint64_t *room)
{
    if (segment == UINT32_MAX) {
        set_whole(reference, &profile->features[feature]);
    } else {
        mill_assert(segment <= profile->segment_count);
        set_segment(reference, &profile->features[feature], segment, profile->segment_rows[segment], room);
    }
}
