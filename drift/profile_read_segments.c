/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the counts by segment of a profile file. Segments must add up to the feature, slot by slot. */
#include <stdlib.h>

#include "drift/profile_format_internal.h"
#include "drift/profile_internal.h"

/* Where it is read to. */
struct segments {
    struct mill_cursor *cursor;
    const struct mill_profile_feature *feature;
    uint64_t *null_count, *other_levels, *count;
    double *mean, *stddev;
    uint32_t *begin, *slot;
    uint32_t entry_count; /* room in slot and count */
    uint64_t *left;       /* of each of the feature's counts what segments before did not have */
};

/* value_count: what the counts must add up to. */
static void take_counts(struct segments *at, uint32_t segment, uint64_t value_count)
{
    uint32_t used = at->begin[segment], next = 0, slot_count = at->feature->slot_count;
    uint32_t count = mill__profile_take_count(at->cursor, 2, at->entry_count - used);

    for (uint32_t i = 0; i < count; i++) {
        uint64_t gap = mill_cursor_varint(at->cursor), n = mill_cursor_varint(at->cursor);
        if (gap >= slot_count - next || n == 0 || n > at->left[next + gap] || n > value_count) {
            at->cursor->bad = true;
            break;
        }
        next += (uint32_t)gap;
        at->left[next] -= n;
        value_count -= n;
        at->slot[used] = next++;
        at->count[used++] = n;
    }
    at->begin[segment + 1] = used;
    at->cursor->bad |= value_count != 0;
}

static void take_moments(struct segments *at, uint32_t segment)
{
    double moments[2] = {0, 0};
    const char *p = mill_cursor_take(at->cursor, sizeof(moments));

    if (p != NULL) {
        memcpy(moments, p, sizeof(moments));
    }
    at->mean[segment] = moments[0];
    at->stddev[segment] = moments[1];
}

/* Different levels are at most as many as rows that have them, and none only where there are no rows. */
static bool are_others(const struct segments *at, uint32_t segment)
{
    uint64_t levels = at->other_levels[segment], rows = 0;

    for (uint32_t i = at->begin[segment]; i < at->begin[segment + 1]; i++) {
        rows = at->slot[i] == at->feature->level_count ? at->count[i] : rows;
    }
    return levels <= rows && levels <= at->feature->other_levels && (levels > 0 || rows == 0);
}

static void take_segment(struct segments *at, uint32_t segment, uint64_t row_count)
{
    uint64_t nulls = mill_cursor_varint(at->cursor);
    bool is_numeric = at->feature->kind == MILL_DRIFT_NUMERIC;

    if (is_numeric) {
        take_moments(at, segment);
    } else {
        at->other_levels[segment] = mill_cursor_varint(at->cursor);
    }
    if (nulls > row_count) {
        at->cursor->bad = true;
        return;
    }
    at->null_count[segment] = nulls;
    take_counts(at, segment, row_count - nulls);
    at->cursor->bad |= !is_numeric && !are_others(at, segment);
}

static void take_all(struct segments *at, const uint64_t *rows, uint32_t count)
{
    uint64_t nulls = 0;

    at->begin[0] = 0;
    for (uint32_t g = 0; g < count && !at->cursor->bad; g++) {
        take_segment(at, g, rows[g]);
        nulls += at->null_count[g];
    }
    /* All rows have been given to segments, all nulls too, so nothing of the counts is left. */
    at->cursor->bad |= nulls != at->feature->null_count || at->begin[count] != at->entry_count;
}

void mill__profile_take_segments(struct mill_cursor *cursor, struct mill_arena *arena, const uint64_t *rows,
                                 uint32_t count, struct mill_profile_feature *feature)
{
    bool is_numeric = feature->kind == MILL_DRIFT_NUMERIC;
    size_t segment_size = 2 + (is_numeric ? 2 * sizeof(double) : 1);
    uint32_t entries = mill__profile_take_count(cursor, 2, UINT32_MAX);

    if (cursor->bad || count * segment_size + 2 * (uint64_t)entries > (size_t)(cursor->end - cursor->p)) {
        cursor->bad = true;
        return;
    }
    struct segments at = {.cursor = cursor, .feature = feature, .entry_count = entries};
    at.null_count = mill_arena_zarray(arena, uint64_t, count);
    at.mean = is_numeric ? mill_arena_array(arena, double, count) : NULL;
    at.stddev = is_numeric ? mill_arena_array(arena, double, count) : NULL;
    at.other_levels = is_numeric ? NULL : mill_arena_array(arena, uint64_t, count);
    at.begin = mill_arena_zarray(arena, uint32_t, count + (size_t)1);
    at.slot = mill_arena_array(arena, uint32_t, entries);
    at.count = mill_arena_array(arena, uint64_t, entries);
    at.left = mill_malloc((feature->slot_count + (size_t)1) * sizeof(*at.left));
    memcpy(at.left, feature->slots, feature->slot_count * sizeof(*at.left));
    take_all(&at, rows, count);
    free(at.left);
    struct mill_profile_segments *segments = mill_arena_array(arena, struct mill_profile_segments, 1);
    *segments =
        (struct mill_profile_segments){at.null_count, at.mean, at.stddev, at.other_levels, at.begin, at.slot, at.count};
    feature->segments = segments;
}
