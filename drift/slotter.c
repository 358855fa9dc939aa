/* SPDX-License-Identifier: Apache-2.0 */
/* A profile made ready to count columns against; see count_internal.h. */
#include "drift/count_internal.h"

#include <math.h>

static int find_field(const struct mill_field *fields, uint32_t field_count, const char *name)
{
    for (uint32_t f = 0; f < field_count; f++) {
        if (strcmp(fields[f].name, name) == 0) {
            return (int)f;
        }
    }
    return -1;
}

static void init_feature(struct mill__slotter *slotter, struct mill__slot_feature *at,
                         const struct mill_profile_feature *feature, const struct mill_field *fields,
                         uint32_t field_count)
{
    *at = (struct mill__slot_feature){.feature = feature, .column = find_field(fields, field_count, feature->name)};
    at->slot_begin = slotter->slot_count;
    slotter->slot_count += feature->slot_count;
    if (at->column < 0) {
        return;
    }
    enum mill_type type = fields[at->column].type;
    if (feature->kind == MILL_DRIFT_CATEGORICAL) {
        mill__levels_init(&at->levels, type, feature->levels, feature->level_count, &slotter->arena);
        at->levels.other_hashes = feature->other_hashes;
        at->levels.other_hash_count = feature->other_hash_count;
        at->levels.is_open = feature->other_levels > 0 && feature->other_hash_count == 0;
    } else if (type == MILL_STRING) {
        at->column = -1; /* texts are no numbers: as if they were missing */
    } else {
        mill__locator_init(&at->locator, feature->breaks, feature->break_count);
    }
}

void mill__slotter_init(struct mill__slotter *slotter, const struct mill_profile *profile,
                        const struct mill_field *fields, uint32_t field_count)
{
    *slotter = (struct mill__slotter){.profile = profile, .kernel = mill__count_kernel_best()};
    mill_arena_init(&slotter->arena, 0);
    slotter->features = mill_arena_array(&slotter->arena, struct mill__slot_feature, profile->feature_count);
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        init_feature(slotter, &slotter->features[f], &profile->features[f], fields, field_count);
    }
    slotter->has_segments = profile->segment_count > 0;
    for (unsigned type = 0; type < MILL_TYPE_COUNT; type++) {
        struct mill__levels *segments = &slotter->segments[type];
        mill__levels_init(segments, (enum mill_type)type, profile->segments, profile->segment_count, &slotter->arena);
        segments->is_open = true; /* all others are one segment */
    }
}

void mill__slotter_clear(struct mill__slotter *slotter)
{
    for (uint32_t f = 0; f < slotter->profile->feature_count; f++) {
        mill__locator_clear(&slotter->features[f].locator);
    }
    mill_arena_clear(&slotter->arena);
}

uint32_t mill__slotter_segment(const struct mill__slotter *slotter, const struct mill_column *segment, uint32_t row)
{
    if (!slotter->has_segments || segment == NULL || !mill__has_value(segment, row)) {
        return slotter->profile->segment_count;
    }
    return mill__levels_find(&slotter->segments[segment->type], segment, row);
}

/* The values that are there, close together; group_end moves from rows to values. Without branches: which values are
 * missing cannot be predicted. */
static uint32_t take_doubles(const struct mill_column *column, const uint32_t *rows, uint32_t *group_end,
                             uint32_t group_count, double *values)
{
    uint32_t n = 0, i = 0;

    for (uint32_t g = 0; g < group_count; g++) {
        for (; i < group_end[g]; i++) {
            uint32_t row = rows[i];
            double x = column->at.f[row] + 0.0; /* -0.0 becomes 0.0 */
            values[n] = x;
            n += (uint32_t)mill_bit_get(column->valid, row) & (uint32_t)(x == x);
        }
        group_end[g] = n;
    }
    return n;
}

static uint32_t take_integers(const struct mill_column *column, const uint32_t *rows, uint32_t *group_end,
                              uint32_t group_count, double *values)
{
    uint32_t n = 0, i = 0;

    for (uint32_t g = 0; g < group_count; g++) {
        for (; i < group_end[g]; i++) {
            uint32_t row = rows[i];
            values[n] = column->type == MILL_BOOL ? (double)column->at.b[row] : (double)column->at.i[row];
            n += mill_bit_get(column->valid, row);
        }
        group_end[g] = n;
    }
    return n;
}

/* Rows that follow one another, all with a value: no more than a copy. False where one has none. */
static bool copy_doubles(const struct mill_column *column, uint32_t from, uint32_t n, double *values)
{
    const double *at = column->at.f + from;
    bool is_there = true;

    for (uint32_t w = from / 64; w <= (from + n - 1) / 64; w++) {
        uint64_t outside = w == from / 64 ? (UINT64_C(1) << from % 64) - 1 : 0;
        outside |= w == (from + n - 1) / 64 ? ~(UINT64_MAX >> (63 - (from + n - 1) % 64)) : 0;
        is_there &= (column->valid[w] | outside) == UINT64_MAX;
    }
    for (uint32_t i = 0; i < n; i++) {
        is_there &= at[i] == at[i];
        values[i] = at[i] + 0.0; /* -0.0 becomes 0.0 */
    }
    return is_there;
}

uint32_t mill__slotter_values(const struct mill_column *column, const uint32_t *rows, uint32_t *group_end,
                              uint32_t group_count, double *values)
{
    uint32_t n = group_end[group_count - 1];

    if (column->type == MILL_FLOAT64 && group_count == 1 && rows[n - 1] - rows[0] == n - 1 &&
        copy_doubles(column, rows[0], n, values)) {
        return n;
    }
    return column->type == MILL_FLOAT64 ? take_doubles(column, rows, group_end, group_count, values)
                                        : take_integers(column, rows, group_end, group_count, values);
}

void mill__slotter_levels(const struct mill__levels *levels, const struct mill_column *column, const uint32_t *rows,
                          uint32_t *group_end, uint32_t group_count, uint32_t *slots)
{
    uint32_t n = 0, i = 0;

    for (uint32_t g = 0; g < group_count; g++) {
        for (; i < group_end[g]; i++) {
            if (mill__has_value(column, rows[i])) {
                slots[n++] = mill__levels_find(levels, column, rows[i]);
            }
        }
        group_end[g] = n;
    }
}
