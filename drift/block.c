/* SPDX-License-Identifier: Apache-2.0 */
/* Rows on their way to tallies; see count_internal.h. */
#include <stdlib.h>

#include "drift/count_internal.h"

enum { RUNS_MAX = 4 * MILL__BLOCK_ROWS, AHEAD = 32 /* of 4 bytes: two lines */ };

/* Twice as many values as break-points: each line of a table is used several times for once that it is loaded. */
static uint32_t waiting_of(const struct mill_profile *profile, uint64_t breaks_max)
{
    uint64_t sum = 0, most = 0;

    for (uint32_t f = 0; f < profile->feature_count; f++) {
        uint64_t breaks = profile->features[f].break_count;
        sum += breaks;
        most = breaks > most ? breaks : most;
    }
    return sum > breaks_max ? (uint32_t)(2 * most) + 2 * MILL__BLOCK_ROWS : 0;
}

static void take_room(struct mill__block *block)
{
    const struct mill_profile *profile = block->pool->slotter->profile;
    size_t n = block->waiting_max + (size_t)AHEAD;

    block->parted.values = mill_malloc(n * sizeof(*block->parted.values));
    block->parted.cells = mill_malloc(n * sizeof(*block->parted.cells));
    block->parted.as_came = mill_malloc(n * sizeof(*block->parted.as_came));
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        struct mill__waiting *waiting = &block->waiting[f];
        if (profile->features[f].kind == MILL_DRIFT_NUMERIC) {
            waiting->values = mill_malloc(n * sizeof(*waiting->values));
            waiting->runs = mill_malloc(RUNS_MAX * sizeof(*waiting->runs));
        }
    }
}

void mill__block_init(struct mill__block *block, struct mill__tally_pool *pool, uint64_t breaks_max)
{
    const struct mill_profile *profile = pool->slotter->profile;

    block->pool = pool;
    block->count = block->group_count = 0;
    block->stamp = 1; /* tallies begin with 0 */
    block->waiting_max = waiting_of(profile, breaks_max);
    block->parted = (struct mill__parted){0};
    block->waiting = mill_calloc(profile->feature_count + (size_t)1, sizeof(*block->waiting));
    if (block->waiting_max > 0) {
        take_room(block);
    }
}

void mill__block_clear(struct mill__block *block)
{
    for (uint32_t f = 0; f < block->pool->slotter->profile->feature_count; f++) {
        free(block->waiting[f].values);
        free(block->waiting[f].runs);
    }
    free(block->waiting);
    free(block->parted.values);
    free(block->parted.cells);
    free(block->parted.as_came);
}

void mill__block_add(struct mill__block *block, struct mill__tally *tally, uint32_t row)
{
    mill_assert(block->count < MILL__BLOCK_ROWS);
    if (tally->stamp != block->stamp) {
        tally->stamp = block->stamp;
        tally->group = block->group_count++;
        block->tallies[tally->group] = tally;
        block->group_rows[tally->group] = 0;
    }
    block->rows[block->count] = row;
    block->group[block->count++] = tally->group;
    block->group_rows[tally->group]++;
}

static void order_rows(struct mill__block *block)
{
    uint32_t begin[MILL__BLOCK_ROWS], sum = 0;

    for (uint32_t g = 0; g < block->group_count; g++) {
        begin[g] = sum;
        sum += block->group_rows[g];
        block->group_end[g] = sum;
    }
    for (uint32_t i = 0; i < block->count; i++) {
        block->order[begin[block->group[i]]++] = block->rows[i];
    }
}

static void count_values(struct mill__block *block, uint32_t f, struct mill__tally *tally, const double *values,
                         uint32_t n)
{
    const struct mill__slotter *slotter = block->pool->slotter;
    uint32_t slots[MILL__BLOCK_ROWS];

    for (uint32_t from = 0; from < n; from += MILL__BLOCK_ROWS) {
        uint32_t some = n - from < MILL__BLOCK_ROWS ? n - from : MILL__BLOCK_ROWS;
        mill__locate(slotter->kernel, &slotter->features[f].locator, values + from, some, slots);
        mill__tally_add(block->pool, tally, f, slots, some);
    }
}

/* The values' cells, and where each part of them begins. */
static void find_parts(const struct mill__block *block, uint32_t f, const double *values, uint32_t n,
                       uint32_t begin[MILL__LOCATE_PARTS + 1])
{
    const struct mill__locator *locator = &block->pool->slotter->features[f].locator;
    uint32_t *cells = block->parted.as_came;

    for (uint32_t from = 0; from < n; from += MILL__BLOCK_ROWS) {
        for (uint32_t i = from + MILL__BLOCK_ROWS; i < from + 2 * MILL__BLOCK_ROWS && i < n; i += 8) {
            __builtin_prefetch(values + i); /* they have waited long */
        }
        block->pool->slotter->kernel->cells(locator, values + from,
                                            n - from < MILL__BLOCK_ROWS ? n - from : MILL__BLOCK_ROWS, cells + from);
    }
    for (uint32_t i = 0; i < n; i++) {
        begin[(cells[i] >> locator->part_shift) + 1]++;
    }
    for (uint32_t p = 0; p < MILL__LOCATE_PARTS; p++) {
        begin[p + 1] += begin[p];
    }
}

/* By parts of the range of values, each of which needs only its part of the tables: these stay near. The lines written
 * next are asked for, because stores wait for one another. */
static void count_by_part(struct mill__block *block, uint32_t f, struct mill__tally *tally, const double *values,
                          uint32_t n)
{
    const struct mill__slotter *slotter = block->pool->slotter;
    const struct mill__locator *locator = &slotter->features[f].locator;
    const struct mill__parted *parted = &block->parted;
    uint32_t begin[MILL__LOCATE_PARTS + 1] = {0}, slots[MILL__BLOCK_ROWS];

    find_parts(block, f, values, n, begin);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t at = begin[parted->as_came[i] >> locator->part_shift]++;
        parted->values[at] = values[i];
        parted->cells[at] = parted->as_came[i];
        __builtin_prefetch(&parted->values[at + AHEAD / 2], 1);
        __builtin_prefetch(&parted->cells[at + AHEAD], 1);
    }
    for (uint32_t from = 0; from < n; from += MILL__BLOCK_ROWS) {
        uint32_t some = n - from < MILL__BLOCK_ROWS ? n - from : MILL__BLOCK_ROWS;
        slotter->kernel->slots(locator, parted->values + from, parted->cells + from, some, slots);
        mill__tally_add(block->pool, tally, f, slots, some);
    }
}

static void settle_feature(struct mill__block *block, uint32_t f)
{
    struct mill__waiting *waiting = &block->waiting[f];

    for (uint32_t r = 0, begin = 0; r < waiting->run_count; begin = waiting->runs[r++].end) {
        uint32_t n = waiting->runs[r].end - begin;
        (n < block->waiting_max / 8 ? count_values : count_by_part)(block, f, waiting->runs[r].tally,
                                                                    waiting->values + begin, n);
    }
    waiting->count = waiting->run_count = 0;
}

void mill__block_settle(struct mill__block *block)
{
    for (uint32_t f = 0; f < block->pool->slotter->profile->feature_count; f++) {
        settle_feature(block, f);
    }
}

static void add_run(struct mill__waiting *waiting, struct mill__tally *tally, uint32_t end)
{
    if (waiting->run_count == 0 || waiting->runs[waiting->run_count - 1].tally != tally) {
        waiting->runs[waiting->run_count++].tally = tally;
    }
    waiting->runs[waiting->run_count - 1].end = end;
}

/* The next feature's values, and the place where they will wait, come from afar. */
static void fetch_ahead(const struct mill__block *block, const struct mill_column *const *columns, uint32_t f)
{
    const struct mill__slotter *slotter = block->pool->slotter;
    const struct mill__slot_feature *at = &slotter->features[f];

    if (f >= slotter->profile->feature_count || at->column < 0 || columns[at->column]->type != MILL_FLOAT64 ||
        at->feature->kind != MILL_DRIFT_NUMERIC) {
        return;
    }
    const double *values = columns[at->column]->at.f + block->rows[0];
    const struct mill__waiting *waiting = &block->waiting[f];
    bool is_full = waiting->count + block->count > block->waiting_max;
    const double *room = waiting->values + (is_full ? 0 : waiting->count);
    for (uint32_t i = 0; i < block->count; i += 8) {
        __builtin_prefetch(values + i);
        __builtin_prefetch(room + i, 1);
    }
}

static void count_numbers(struct mill__block *block, uint32_t f, const struct mill_column *column, uint32_t *end)
{
    const struct mill__slotter *slotter = block->pool->slotter;
    struct mill__waiting *waiting = &block->waiting[f];
    double room[MILL__BLOCK_ROWS], *values = room;

    if (block->waiting_max > 0) {
        if (waiting->count + MILL__BLOCK_ROWS > block->waiting_max ||
            waiting->run_count + block->group_count > RUNS_MAX) {
            settle_feature(block, f);
        }
        values = waiting->values + waiting->count;
    }
    uint32_t count = mill__slotter_values(column, block->order, end, block->group_count, values);
    for (uint32_t g = 0, begin = 0; g < block->group_count; begin = end[g++]) {
        struct mill__tally *tally = block->tallies[g];
        mill__moments_add(slotter->kernel, slotter->features[f].feature, values + begin, end[g] - begin,
                          &tally->moments[f]);
        if (block->waiting_max == 0) {
            count_values(block, f, tally, values + begin, end[g] - begin);
        } else if (end[g] > begin) {
            add_run(waiting, tally, waiting->count + end[g]);
        }
    }
    waiting->count += block->waiting_max > 0 ? count : 0;
}

static void count_levels(struct mill__block *block, uint32_t f, const struct mill_column *column, uint32_t *end)
{
    uint32_t slots[MILL__BLOCK_ROWS];

    mill__slotter_levels(&block->pool->slotter->features[f].levels, column, block->order, end, block->group_count,
                         slots);
    for (uint32_t g = 0, begin = 0; g < block->group_count; begin = end[g++]) {
        mill__tally_add(block->pool, block->tallies[g], f, slots + begin, end[g] - begin);
    }
}

void mill__block_flush(struct mill__block *block, const struct mill_column *const *columns)
{
    const struct mill__slotter *slotter = block->pool->slotter;

    order_rows(block);
    for (uint32_t g = 0; g < block->group_count; g++) {
        mill__tally_rows(block->pool, block->tallies[g], block->group_rows[g]);
    }
    for (uint32_t f = 0; f < slotter->profile->feature_count && block->count > 0; f++) {
        const struct mill__slot_feature *at = &slotter->features[f];
        uint32_t end[MILL__BLOCK_ROWS];
        if (block->waiting_max > 0) {
            fetch_ahead(block, columns, f + 1);
        }
        if (at->column >= 0) {
            memcpy(end, block->group_end, block->group_count * sizeof(*end));
            (at->feature->kind == MILL_DRIFT_NUMERIC ? count_numbers : count_levels)(block, f, columns[at->column],
                                                                                     end);
        }
    }
    block->stamp++;
    block->count = block->group_count = 0;
}

struct mill__tally *mill__pane_tally(struct mill__tally **tallies, uint32_t segment, struct mill__tally_pool *pool)
{
    if (tallies[segment] == NULL) {
        tallies[segment] = mill__tally_take(pool);
    }
    return tallies[segment];
}

void mill__pane_release(struct mill__tally **tallies, struct mill__tally_pool *pool)
{
    for (uint32_t s = 0; s <= pool->slotter->profile->segment_count; s++) {
        if (tallies[s] != NULL) {
            mill__tally_give(pool, tallies[s]);
            tallies[s] = NULL;
        }
    }
}
