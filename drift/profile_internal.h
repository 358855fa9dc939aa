/* SPDX-License-Identifier: Apache-2.0 */
/* Making profiles: the order of doubles, distinct texts, and what the files of the builder give one another. */
#ifndef MILL_DRIFT_PROFILE_INTERNAL_H
#define MILL_DRIFT_PROFILE_INTERNAL_H

#include <string.h>

#include "drift/drift_internal.h"

/* Scales are 2^-980 to 2^980: 2^40 / scale is a number, exactly. */
enum { MILL__SCALE_MAX = 980 };

/* A signed number in the order of the doubles (-inf first; NaN has none). -0.0 must have been made 0.0. */
static inline int64_t mill__key_of(double x)
{
    int64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits ^ ((bits >> 63) & INT64_MAX);
}

static inline double mill__of_key(int64_t key)
{
    double x;
    int64_t bits = key ^ ((key >> 63) & INT64_MAX);
    memcpy(&x, &bits, sizeof(x));
    return x;
}

/* Ascending; no NaN and no -0.0 among them. scratch: count values. */
void mill__sort_doubles(double *values, double *scratch, uint64_t count);
void mill__sort_u32(uint32_t *values, uint32_t *scratch, uint32_t count);

/* Distinct texts and how often each came. */
struct mill__texts {
    struct mill_arena arena;
    struct mill_slice *texts; /* in order of first appearance */
    uint64_t *hashes, *counts;
    uint32_t count, capacity;
    uint32_t *table; /* text number + 1, or 0 */
    uint32_t mask;
};
void mill__texts_init(struct mill__texts *texts);
void mill__texts_clear(struct mill__texts *texts);
uint32_t mill__texts_add(struct mill__texts *texts, struct mill_slice text);

/* The text of a value as a level: shortest decimal of a number, "true" or "false". room: MILL_NUMBER_TEXT_MAX bytes;
 * the result points there or at the string. The value must not be NaN. */
struct mill_slice mill__level_text(const struct mill_column *column, uint32_t row, char *room);
/* A value that is there: valid, and not NaN. */
bool mill__has_value(const struct mill_column *column, uint32_t row);
/* As a number; NaN for strings. -0.0 becomes 0.0. */
double mill__number_of(const struct mill_column *column, uint32_t row);

/* Whether a field is a categorical feature. */
bool mill__is_categorical(const struct mill_profile_spec *spec, uint32_t field);
/* Binning with its defaults and limits. */
struct mill_binning mill__binning_of(const struct mill_profile_spec *spec);

/* What the builder has gathered of one field. */
struct mill__samples {
    double *values; /* numeric: per row, NaN where there is none */
    struct mill__texts texts;
    uint32_t *ids; /* categorical, and calibrated or by segment: per row, UINT32_MAX where there is none */
    uint64_t capacity, null_count;
};

/* Everything of a numeric feature but name and calibration. sorted: the values, ascending. */
void mill__build_numeric(const struct mill_binning *binning, uint32_t breaks_max, const double *sorted, uint64_t count,
                         struct mill_arena *arena, struct mill_profile_feature *feature);
/* Mean and population deviation of the finite ones; NaN where there is none. The order of values shows in last bits. */
void mill__mean_of(const double *values, uint64_t count, double *ret_mean, double *ret_stddev);
/* is_exact and gap_share_max from slots and breaks. */
void mill__profile_derive(struct mill_profile_feature *feature);
/* The most frequent texts (at most max), ascending; ret_rank (texts->count): of each text its place among them, or
 * UINT32_MAX. */
uint32_t mill__texts_top(const struct mill__texts *texts, uint32_t max, struct mill_arena *arena,
                         struct mill_slice **ret_levels, uint32_t *ret_rank);
void mill__build_categorical(const struct mill__texts *texts, uint32_t levels_max, struct mill_arena *arena,
                             uint32_t *ret_rank, struct mill_profile_feature *feature);
/* Rows by group: order[begin[g]] up to order[begin[g + 1]] are those of group g. */
struct mill__groups {
    uint32_t count;
    uint64_t *begin, *order; /* NULL where nothing is grouped */
};
/* group: per row its number, or UINT32_MAX. */
void mill__groups_init(struct mill__groups *groups, const uint32_t *group, uint64_t row_count, uint32_t count);
void mill__groups_clear(struct mill__groups *groups);
/* Per row its slot, or UINT32_MAX where it has no value; to be freed. */
uint32_t *mill__slots_of_rows(const struct mill__samples *samples, const uint32_t *rank, uint64_t row_count,
                              const struct mill_profile_feature *feature);
/* calibration_psi and _ks of the feature from the slots of its rows. */
void mill__calibrate(const uint32_t *slot, const struct mill__groups *windows, struct mill_arena *arena,
                     struct mill_profile_feature *feature);
/* The feature's segments from the slots of its rows. */
void mill__build_segments(const struct mill__samples *samples, const uint32_t *slot, const struct mill__groups *groups,
                          struct mill_arena *arena, struct mill_profile_feature *feature);

#endif
