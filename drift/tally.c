/* SPDX-License-Identifier: Apache-2.0 */
/* The counts of one pane and segment, and the pool that keeps their memory; see count_internal.h. */
#include <stdlib.h>

#include "drift/count_internal.h"

enum { LIST_ROWS_MIN = 64, LIST_PART = 8 /* lists take this part of the memory of counters */ };

void mill__tally_pool_init(struct mill__tally_pool *pool, const struct mill__slotter *slotter)
{
    uint32_t features = slotter->profile->feature_count;
    uint32_t rows = features == 0 ? 0 : slotter->slot_count / features / LIST_PART;

    *pool = (struct mill__tally_pool){.slotter = slotter, .list_rows = rows < LIST_ROWS_MIN ? LIST_ROWS_MIN : rows};
    pool->sorted = mill_malloc(pool->list_rows * sizeof(*pool->sorted));
    pool->scratch = mill_malloc(pool->list_rows * sizeof(*pool->scratch));
}

static void free_tally(struct mill__tally *tally)
{
    free(tally->moments);
    free(tally->list_count);
    free(tally->lists);
    free(tally);
}

void mill__tally_pool_clear(struct mill__tally_pool *pool)
{
    while (pool->free != NULL) {
        struct mill__tally *next = pool->free->next;
        free_tally(pool->free);
        pool->free = next;
    }
    while (pool->dense_count > 0) {
        free(pool->dense[--pool->dense_count]);
    }
    free(pool->dense);
    free(pool->sorted);
    free(pool->scratch);
}

struct mill__tally *mill__tally_take(struct mill__tally_pool *pool)
{
    size_t features = pool->slotter->profile->feature_count;
    struct mill__tally *tally = pool->free;

    if (tally != NULL) {
        pool->free = tally->next;
        return tally;
    }
    tally = mill_calloc(1, sizeof(*tally));
    tally->moments = mill_calloc(features + 1, sizeof(*tally->moments));
    tally->list_count = mill_calloc(features + 1, sizeof(*tally->list_count));
    tally->lists = mill_malloc((features * pool->list_rows + 1) * sizeof(*tally->lists));
    return tally;
}

static void give_dense(struct mill__tally_pool *pool, uint32_t *dense)
{
    if (pool->dense_count == pool->dense_capacity) {
        pool->dense_capacity = pool->dense_capacity == 0 ? 16 : 2 * pool->dense_capacity;
        pool->dense = mill_realloc(pool->dense, pool->dense_capacity * sizeof(*pool->dense));
    }
    memset(dense, 0, pool->slotter->slot_count * sizeof(*dense));
    pool->dense[pool->dense_count++] = dense;
}

void mill__tally_give(struct mill__tally_pool *pool, struct mill__tally *tally)
{
    size_t features = pool->slotter->profile->feature_count;

    if (tally->dense != NULL) {
        give_dense(pool, tally->dense);
    }
    memset(tally->moments, 0, features * sizeof(*tally->moments));
    memset(tally->list_count, 0, features * sizeof(*tally->list_count));
    tally->dense = NULL;
    tally->row_count = 0;
    tally->stamp = 0;
    tally->next = pool->free;
    pool->free = tally;
}

static void make_dense(struct mill__tally_pool *pool, struct mill__tally *tally)
{
    tally->dense = pool->dense_count > 0 ? pool->dense[--pool->dense_count]
                                         : mill_calloc(pool->slotter->slot_count + (size_t)1, sizeof(*tally->dense));
    for (uint32_t f = 0; f < pool->slotter->profile->feature_count; f++) {
        mill__tally_add(pool, tally, f, tally->lists + (size_t)f * pool->list_rows, tally->list_count[f]);
    }
}

void mill__tally_rows(struct mill__tally_pool *pool, struct mill__tally *tally, uint64_t row_count)
{
    tally->row_count += row_count;
    if (tally->dense == NULL && tally->row_count > pool->list_rows) {
        make_dense(pool, tally);
    }
}

void mill__tally_add(const struct mill__tally_pool *pool, struct mill__tally *tally, uint32_t feature,
                     const uint32_t *slots, uint32_t n)
{
    if (tally->dense == NULL) {
        mill_assert(tally->list_count[feature] + n <= pool->list_rows);
        memcpy(tally->lists + (size_t)feature * pool->list_rows + tally->list_count[feature], slots,
               n * sizeof(*slots));
        tally->list_count[feature] += n;
        return;
    }
    uint32_t *counts = tally->dense + pool->slotter->features[feature].slot_begin;
    for (uint32_t i = 0; i < n; i++) {
        counts[slots[i]]++;
    }
}

void mill__tally_add_counts(const struct mill__tally_pool *pool, struct mill__tally *tally, uint32_t feature,
                            const uint32_t *slots, const uint64_t *counts, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        if (tally->dense != NULL) {
            tally->dense[pool->slotter->features[feature].slot_begin + slots[i]] += (uint32_t)counts[i];
            continue;
        }
        for (uint64_t c = 0; c < counts[i]; c++) {
            mill__tally_add(pool, tally, feature, &slots[i], 1);
        }
    }
}
