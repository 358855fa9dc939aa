/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of the builder by what they are counted as: their slots, and the rows of one window or segment together. */
#include <math.h>
#include <stdlib.h>

#include "drift/profile_internal.h"

void mill__groups_init(struct mill__groups *groups, const uint32_t *group, uint64_t row_count, uint32_t count)
{
    uint64_t *begin = mill_calloc(count + (size_t)1, sizeof(*begin));
    uint64_t *order = mill_malloc(row_count * sizeof(*order));

    for (uint64_t row = 0; row < row_count; row++) {
        if (group[row] != UINT32_MAX) {
            begin[group[row] + 1]++;
        }
    }
    for (uint32_t g = 0; g < count; g++) {
        begin[g + 1] += begin[g];
    }
    for (uint64_t row = 0; row < row_count; row++) {
        if (group[row] != UINT32_MAX) {
            order[begin[group[row]]++] = row;
        }
    }
    memmove(begin + 1, begin, count * sizeof(*begin)); /* each has moved to its end */
    begin[0] = 0;
    *groups = (struct mill__groups){count, begin, order};
}

void mill__groups_clear(struct mill__groups *groups)
{
    free(groups->begin);
    free(groups->order);
}

static uint32_t slot_of(const struct mill_profile_feature *feature, double x)
{
    uint32_t i = mill__lower_bound(feature, x);
    return 2 * i + (i < feature->break_count && feature->breaks[i] == x);
}

uint32_t *mill__slots_of_rows(const struct mill__samples *samples, const uint32_t *rank, uint64_t row_count,
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
