/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of a feature's reference by segment: what a window's segment is compared with. */
#include <math.h>
#include <stdlib.h>

#include "drift/profile_internal.h"

/* What is written while segments are gone through. */
struct segments {
    uint64_t *null_count, *other_levels, *count;
    double *mean, *stddev;
    uint32_t *begin, *slot;
    uint32_t *list, *list_scratch; /* slots of one segment's rows */
    double *values, *scratch;      /* numeric: its finite values */
    uint32_t *stamp;               /* categorical: of each text the segment it was met in last, plus 1 */
};

static uint64_t largest_group(const struct mill__groups *groups)
{
    uint64_t largest = 0;

    for (uint32_t g = 0; g < groups->count; g++) {
        uint64_t size = groups->begin[g + 1] - groups->begin[g];
        largest = size > largest ? size : largest;
    }
    return largest;
}

/* Counts of equal slots, behind those that are there. */
static void add_counts(struct segments *at, uint32_t segment, uint64_t list_count)
{
    uint32_t used = at->begin[segment];

    mill_assert(list_count <= UINT32_MAX);
    mill__sort_u32(at->list, at->list_scratch, (uint32_t)list_count);
    for (uint64_t i = 0; i < list_count; i++) {
        if (i == 0 || at->list[i] != at->list[i - 1]) {
            at->slot[used] = at->list[i];
            at->count[used++] = 0;
        }
        at->count[used - 1]++;
    }
    at->begin[segment + 1] = used;
}

static uint64_t list_slots(struct segments *at, const uint32_t *slot, const struct mill__groups *groups,
                           uint32_t segment)
{
    uint64_t n = 0;

    for (uint64_t i = groups->begin[segment]; i < groups->begin[segment + 1]; i++) {
        uint32_t s = slot[groups->order[i]];
        at->list[n] = s;
        n += s != UINT32_MAX;
    }
    return n;
}

static void set_moments(struct segments *at, const struct mill__samples *samples, const struct mill__groups *groups,
                        uint32_t segment)
{
    uint64_t n = 0;

    for (uint64_t i = groups->begin[segment]; i < groups->begin[segment + 1]; i++) {
        double x = samples->values[groups->order[i]];
        at->values[n] = x;
        n += isfinite(x);
    }
    mill__sort_doubles(at->values, at->scratch, n); /* so that the order of rows does not show */
    mill__mean_of(at->values, n, &at->mean[segment], &at->stddev[segment]);
}

static void set_others(struct segments *at, const struct mill__samples *samples, const uint32_t *slot,
                       uint32_t other_slot, const struct mill__groups *groups, uint32_t segment)
{
    uint64_t levels = 0;

    for (uint64_t i = groups->begin[segment]; i < groups->begin[segment + 1]; i++) {
        uint64_t row = groups->order[i];
        if (slot[row] == other_slot && at->stamp[samples->ids[row]] != segment + 1) {
            at->stamp[samples->ids[row]] = segment + 1;
            levels++;
        }
    }
    at->other_levels[segment] = levels;
}

static void init(struct segments *at, const struct mill__samples *samples, bool is_numeric, uint32_t count,
                 uint64_t row_count, uint64_t largest, struct mill_arena *arena)
{
    at->null_count = mill_arena_array(arena, uint64_t, count);
    at->begin = mill_arena_array(arena, uint32_t, count + (size_t)1);
    at->begin[0] = 0;
    at->list = mill_malloc((largest + 1) * sizeof(*at->list));
    at->list_scratch = mill_malloc((largest + 1) * sizeof(*at->list_scratch));
    at->slot = mill_malloc((row_count + 1) * sizeof(*at->slot));
    at->count = mill_malloc((row_count + 1) * sizeof(*at->count));
    if (is_numeric) {
        at->mean = mill_arena_array(arena, double, count);
        at->stddev = mill_arena_array(arena, double, count);
        at->values = mill_malloc((largest + 1) * sizeof(*at->values));
        at->scratch = mill_malloc((largest + 1) * sizeof(*at->scratch));
    } else {
        at->other_levels = mill_arena_array(arena, uint64_t, count);
        at->stamp = mill_calloc(samples->texts.count + (size_t)1, sizeof(*at->stamp));
    }
}

/* What was gathered is kept at its size, the rest is given back. */
static const struct mill_profile_segments *keep(struct segments *at, uint32_t count, struct mill_arena *arena)
{
    struct mill_profile_segments *kept = mill_arena_zarray(arena, struct mill_profile_segments, 1);
    uint32_t used = at->begin[count];
    uint32_t *slot = mill_arena_array(arena, uint32_t, used);
    uint64_t *counts = mill_arena_array(arena, uint64_t, used);

    memcpy(slot, at->slot, used * sizeof(*slot));
    memcpy(counts, at->count, used * sizeof(*counts));
    *kept =
        (struct mill_profile_segments){at->null_count, at->mean, at->stddev, at->other_levels, at->begin, slot, counts};
    free(at->list);
    free(at->list_scratch);
    free(at->slot);
    free(at->count);
    free(at->values);
    free(at->scratch);
    free(at->stamp);
    return kept;
}

void mill__build_segments(const struct mill__samples *samples, const uint32_t *slot, const struct mill__groups *groups,
                          struct mill_arena *arena, struct mill_profile_feature *feature)
{
    struct segments at = {0};
    bool is_numeric = feature->kind == MILL_DRIFT_NUMERIC;

    init(&at, samples, is_numeric, groups->count, feature->row_count, largest_group(groups), arena);
    for (uint32_t g = 0; g < groups->count; g++) {
        uint64_t n = list_slots(&at, slot, groups, g);
        at.null_count[g] = groups->begin[g + 1] - groups->begin[g] - n;
        add_counts(&at, g, n);
        if (is_numeric) {
            set_moments(&at, samples, groups, g);
        } else {
            set_others(&at, samples, slot, feature->level_count, groups, g);
        }
    }
    feature->segments = keep(&at, groups->count, arena);
}
