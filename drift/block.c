/* SPDX-License-Identifier: Apache-2.0 */
/* Rows on their way to tallies; see count_internal.h. */
#include "drift/count_internal.h"

void mill__block_init(struct mill__block *block, struct mill__tally_pool *pool)
{
    block->pool = pool;
    block->count = block->group_count = 0;
    block->stamp = 1; /* tallies begin with 0 */
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

static void count_feature(struct mill__block *block, uint32_t f, const struct mill_column *column)
{
    const struct mill__slotter *slotter = block->pool->slotter;
    const struct mill_profile_feature *feature = slotter->features[f].feature;
    uint32_t end[MILL__BLOCK_ROWS], slots[MILL__BLOCK_ROWS];
    double values[MILL__BLOCK_ROWS];

    memcpy(end, block->group_end, block->group_count * sizeof(*end));
    mill__slotter_run(slotter, f, column, block->order, end, block->group_count, slots, values);
    for (uint32_t g = 0, begin = 0; g < block->group_count; begin = end[g++]) {
        struct mill__tally *tally = block->tallies[g];
        mill__tally_add(block->pool, tally, f, slots + begin, end[g] - begin);
        if (feature->kind == MILL_DRIFT_NUMERIC) {
            mill__moments_add(slotter->kernel, feature, values + begin, end[g] - begin, &tally->moments[f]);
        }
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
        if (slotter->features[f].column >= 0) {
            count_feature(block, f, columns[slotter->features[f].column]);
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
