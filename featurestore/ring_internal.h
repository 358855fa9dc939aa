/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ring: a sequence of elements of one size in one block, cheap to append to and to drop from the front; inserting
 * moves what comes behind. Holds the events, panes and stack fronts of an entity. The element size is the caller's to
 * remember.
 */
#ifndef MILL_FEATURESTORE_RING_INTERNAL_H
#define MILL_FEATURESTORE_RING_INTERNAL_H

#include <stdint.h>

#include "base/error.h"
#include "featurestore/pool_internal.h"

struct mill__ring {
    char *data;
    uint32_t first, count, capacity;
    uint32_t block_size; /* bytes of data */
};

static inline void *mill__ring_at(const struct mill__ring *ring, uint32_t index, uint32_t size)
{
    uint32_t i = ring->first + index;
    i -= i >= ring->capacity ? ring->capacity : 0;
    return ring->data + (size_t)i * size;
}

/* Room for one more at index (<= count); the slot's bytes are garbage. */
void *mill__ring_insert(struct mill__ring *ring, struct mill__pool *pool, uint32_t index, uint32_t size);
/* Makes room for count elements in an empty ring (and not for very many more). */
void mill__ring_reserve(struct mill__ring *ring, struct mill__pool *pool, uint32_t count, uint32_t size);
/* Gives memory back where three quarters are unused. */
void mill__ring_shrink(struct mill__ring *ring, struct mill__pool *pool, uint32_t size);
void mill__ring_clear(struct mill__ring *ring, struct mill__pool *pool);

static inline void mill__ring_drop_front(struct mill__ring *ring)
{
    ring->first = ring->first + 1 == ring->capacity ? 0 : ring->first + 1;
    ring->count--;
}

#endif
