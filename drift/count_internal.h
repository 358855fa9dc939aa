/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting: from columns to slots, the counts of a pane, parts.
 *
 *   slotter: a profile made ready for columns of given types: block of rows -> slots and values per feature
 *   tally:   the counts of one pane and one segment: a list of slots while it is small, then dense counters
 *   part:    a pane's tallies as bytes
 *   rows:    rows as they are, as bytes, while there is no profile
 */
#ifndef MILL_DRIFT_COUNT_INTERNAL_H
#define MILL_DRIFT_COUNT_INTERNAL_H

#include "drift/locate_internal.h"

/* Texts to slots, for columns of one type. */
struct mill__levels {
    enum mill_type type;
    uint32_t level_count; /* what is none of them: level_count is "other", level_count + 1 "unseen" */
    bool is_open;         /* others and unseen cannot be told apart: all are "other" */
    uint32_t mask;
    struct mill__levels_entry {
        uint64_t key;           /* strings: hash; others: the value's 64 bits */
        struct mill_slice text; /* strings only */
        uint32_t slot;          /* UINT32_MAX: empty */
    } * table;
    const uint64_t *other_hashes;
    uint32_t other_hash_count;
};
void mill__levels_init(struct mill__levels *levels, enum mill_type type, const struct mill_slice *texts, uint32_t count,
                       struct mill_arena *arena);
/* Slot of the value, which is there. */
uint32_t mill__levels_find(const struct mill__levels *levels, const struct mill_column *column, uint32_t row);

/* One feature of a slotter. */
struct mill__slot_feature {
    const struct mill_profile_feature *feature;
    int column;          /* -1: no such column; all rows are without a value */
    uint32_t slot_begin; /* in a vector of all features' slots */
    struct mill__locator locator;
    struct mill__levels levels;
};

struct mill__slotter {
    const struct mill_profile *profile;
    const struct mill__count_kernel *kernel;
    struct mill__slot_feature *features; /* profile->feature_count */
    uint32_t slot_count;                 /* of all features together */
    bool has_segments;
    struct mill__levels segments[MILL_TYPE_COUNT]; /* by the type of the segment column */
    struct mill_arena arena;
};
/* fields: names and types of the columns. */
void mill__slotter_init(struct mill__slotter *slotter, const struct mill_profile *profile,
                        const struct mill_field *fields, uint32_t field_count);
void mill__slotter_clear(struct mill__slotter *slotter);
/* Segment of a row: profile->segment_count where it is none of them. */
uint32_t mill__slotter_segment(const struct mill__slotter *slotter, const struct mill_column *segment, uint32_t row);
/* The values of those of the rows that have one, in order; of categories their slots. group_end[g] is the index in rows
 * at which group g ends; it becomes the index in values. At most MILL__BLOCK_ROWS rows. */
uint32_t mill__slotter_values(const struct mill_column *column, const uint32_t *rows, uint32_t *group_end,
                              uint32_t group_count, double *values);
void mill__slotter_levels(const struct mill__levels *levels, const struct mill_column *column, const uint32_t *rows,
                          uint32_t *group_end, uint32_t group_count, uint32_t *slots);

/* Counts of one pane and one segment. While it has few rows, each feature has a list of the slots of its values;
 * then one counter a slot. Lists take an eighth of what counters take. */
struct mill__tally {
    struct mill__tally *next; /* in the pool */
    uint64_t row_count;
    struct mill_drift_moments *moments; /* per feature */
    uint32_t *list_count;               /* per feature */
    uint32_t *lists;                    /* of feature f: from f * list_rows on */
    uint32_t *dense;                    /* slotter->slot_count, or NULL */
    uint64_t stamp;                     /* the block in which it has the number `group` */
    uint32_t group;
};

/* Where tallies come from and go back to: what was taken once is used again. */
struct mill__tally_pool {
    const struct mill__slotter *slotter;
    uint32_t list_rows;
    struct mill__tally *free;
    uint32_t **dense; /* free ones, zeroed */
    uint32_t dense_count, dense_capacity;
    uint32_t *sorted, *scratch; /* list_rows each: one feature's list in order */
};
void mill__tally_pool_init(struct mill__tally_pool *pool, const struct mill__slotter *slotter);
void mill__tally_pool_clear(struct mill__tally_pool *pool);
struct mill__tally *mill__tally_take(struct mill__tally_pool *pool);
void mill__tally_give(struct mill__tally_pool *pool, struct mill__tally *tally);
/* To be called before the slots of row_count rows are added. */
void mill__tally_rows(struct mill__tally_pool *pool, struct mill__tally *tally, uint64_t row_count);
/* One value each. */
void mill__tally_add(const struct mill__tally_pool *pool, struct mill__tally *tally, uint32_t feature,
                     const uint32_t *slots, uint32_t n);
/* Many of each. */
void mill__tally_add_counts(const struct mill__tally_pool *pool, struct mill__tally *tally, uint32_t feature,
                            const uint32_t *slots, const uint64_t *counts, uint32_t n);

/*
 * Rows on their way to tallies: gathered, then counted feature by feature, so that one feature's tables are in the
 * cache at a time. Where the tables of all features together are larger than caches (the profile has very many
 * break-points), a block of rows is too little for one feature's tables to be worth loading: values wait until there
 * are more of them.
 */
struct mill__waiting {
    double *values; /* block->waiting_max */
    uint32_t count, run_count;
    struct mill__waiting_run {
        struct mill__tally *tally;
        uint32_t end; /* index in values */
    } * runs;
};
struct mill__block {
    struct mill__tally_pool *pool;
    uint64_t stamp;
    uint32_t count, group_count;
    uint32_t rows[MILL__BLOCK_ROWS], group[MILL__BLOCK_ROWS]; /* as they came */
    uint32_t order[MILL__BLOCK_ROWS];                         /* rows ordered by group */
    uint32_t group_rows[MILL__BLOCK_ROWS], group_end[MILL__BLOCK_ROWS];
    struct mill__tally *tallies[MILL__BLOCK_ROWS]; /* by group */
    uint32_t waiting_max;                          /* 0: nothing waits */
    struct mill__waiting *waiting;                 /* per feature */
    struct mill__parted {
        double *values;            /* waiting_max of one feature, by part of its locator */
        uint32_t *cells, *as_came; /* their cells, and in the order in which they wait */
    } parted;
};
/* breaks_max: of how many break-points on values wait; MILL__WAIT_BREAKS except in tests. */
enum { MILL__WAIT_BREAKS = 200000 };
void mill__block_init(struct mill__block *block, struct mill__tally_pool *pool, uint64_t breaks_max);
void mill__block_clear(struct mill__block *block);
static inline bool mill__block_is_full(const struct mill__block *block)
{
    return block->count == MILL__BLOCK_ROWS;
}
void mill__block_add(struct mill__block *block, struct mill__tally *tally, uint32_t row);
/* Takes the values of the rows, and empties the block. columns: by field. */
void mill__block_flush(struct mill__block *block, const struct mill_column *const *columns);

/* Counts what waits: to be called before tallies are read or given back. */
void mill__block_settle(struct mill__block *block);

/* The tallies of a pane by segment, all others last; NULL where nothing was counted. */
struct mill__tally *mill__pane_tally(struct mill__tally **tallies, uint32_t segment, struct mill__tally_pool *pool);
void mill__pane_release(struct mill__tally **tallies, struct mill__tally_pool *pool);

/* Parts. */
enum mill__part_form { MILL__PART_COUNTS = 1, MILL__PART_ROWS = 2 };
enum { MILL__PART_VERSION = 1 };
/* The first 8 bytes of the profile's SHA-256. */
uint64_t mill__profile_id(const struct mill_profile *profile);
/* The checksum over what was added from begin on. */
void mill__part_finish(size_t begin, struct mill_buffer *out);
/* tallies: by segment, NULL where there is none. */
void mill__part_write(struct mill__tally_pool *pool, struct mill__tally *const *tallies, struct mill_buffer *out);
/* Checks version and checksum; returns what kind of part it is, or MILL_EDATA. ret_body: behind the head. */
int mill__part_open(struct mill_slice part, uint64_t *ret_id, struct mill_slice *ret_body,
                    struct mill_error *err) MILL_MUST_CHECK;
/* Goes through a body of counts; each returns whether it agrees. MILL_EDATA: the body is damaged, or one disagreed. */
struct mill__part_visitor {
    void *context;
    bool (*rows)(void *context, uint32_t segment, uint64_t row_count);
    bool (*counts)(void *context, uint32_t segment, uint32_t feature, const uint32_t *slots, const uint64_t *counts,
                   uint32_t n);
    bool (*moments)(void *context, uint32_t segment, uint32_t feature, const struct mill_drift_moments *moments);
};
int mill__part_walk(const struct mill_profile *profile, struct mill_slice body,
                    const struct mill__part_visitor *visitor, struct mill_error *err) MILL_MUST_CHECK;

/* Rows as they are: a part of its body, and the body row by row. step_us: event time less that of the row before. */
void mill__rows_write(const struct mill_field *fields, uint32_t field_count, const struct mill_buffer *body,
                      struct mill_buffer *out);
void mill__rows_add(const struct mill_field *fields, uint32_t field_count, const struct mill_column *const *columns,
                    const struct mill_column *segment, int64_t step_us, uint32_t row, struct mill_buffer *body);

/* Reading them back, a block of at most MILL__BLOCK_ROWS at a time. Texts point into the part. */
struct mill__rows_reader {
    struct mill_cursor cursor;
    struct mill_arena arena;
    struct mill_field *fields;
    uint32_t field_count, capacity;
    struct mill_column *columns; /* field_count, and one that holds segments as strings */
    const struct mill_column **pointers;
    int64_t *times;
    int64_t time_us; /* of the row before */
};
int mill__rows_open(struct mill__rows_reader *reader, struct mill_slice body, struct mill_error *err) MILL_MUST_CHECK;
void mill__rows_close(struct mill__rows_reader *reader);
/* How many rows came; 0 at the end. MILL_EDATA: damaged. */
int mill__rows_next(struct mill__rows_reader *reader, uint32_t *ret_count, struct mill_error *err) MILL_MUST_CHECK;
/* Whether the rows have the spec's columns. */
bool mill__rows_have(const struct mill__rows_reader *reader, const struct mill_profile_spec *spec);
/* A part of rows as a part of counts. */
int mill__rows_to_counts(const struct mill_profile *profile, struct mill_slice body, struct mill_buffer *out,
                         struct mill_error *err) MILL_MUST_CHECK;

#endif
