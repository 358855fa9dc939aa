/* SPDX-License-Identifier: Apache-2.0 */
/* Ring; see ring_internal.h. */
#include "featurestore/ring_internal.h"

#include <string.h>

enum { CAPACITY_MIN = 2 };

static void resize(struct mill__ring *ring, struct mill__pool *pool, uint32_t wanted, uint32_t size)
{
    size_t n;
    char *data = mill__pool_take(pool, (size_t)(wanted > CAPACITY_MIN ? wanted : CAPACITY_MIN) * size, &n);

    mill_assert(n <= UINT32_MAX);
    for (uint32_t i = 0; i < ring->count; i++) {
        memcpy(data + (size_t)i * size, mill__ring_at(ring, i, size), size);
    }
    mill__pool_give(pool, ring->data, ring->block_size);
    ring->data = data;
    ring->first = 0;
    ring->capacity = (uint32_t)(n / size);
    ring->block_size = (uint32_t)n;
}

void *mill__ring_insert(struct mill__ring *ring, struct mill__pool *pool, uint32_t index, uint32_t size)
{
    mill_assert(index <= ring->count);
    if (ring->count == ring->capacity) {
        resize(ring, pool, ring->count + ring->count / 4 + 1, size);
    }
    ring->count++;
    for (uint32_t i = ring->count - 1; i > index; i--) {
        memcpy(mill__ring_at(ring, i, size), mill__ring_at(ring, i - 1, size), size);
    }
    return mill__ring_at(ring, index, size);
}

void mill__ring_reserve(struct mill__ring *ring, struct mill__pool *pool, uint32_t count, uint32_t size)
{
    mill_assert(ring->count == 0);
    ring->first = 0;
    if (count > ring->capacity || ring->capacity / 8 > count) {
        resize(ring, pool, count, size);
    }
}

void mill__ring_shrink(struct mill__ring *ring, struct mill__pool *pool, uint32_t size)
{
    if (ring->capacity > 8 && ring->count < ring->capacity / 4) {
        resize(ring, pool, ring->count * 2, size);
    }
}

void mill__ring_clear(struct mill__ring *ring, struct mill__pool *pool)
{
    mill__pool_give(pool, ring->data, ring->block_size);
    *ring = (struct mill__ring){0};
}
