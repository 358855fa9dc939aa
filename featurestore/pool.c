/* SPDX-License-Identifier: Apache-2.0 */
/* Block pool; see pool_internal.h. */
#include "featurestore/pool_internal.h"

#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"

enum { BLOCK_MIN = 64, SLAB_SIZE = 256 * 1024, SLAB_HEADER = 16, CARVED_MAX = SLAB_SIZE / 8 };

struct mill__pool_free {
    struct mill__pool_free *next;
};

struct mill__pool_slab {
    struct mill__pool_slab *next;
};

/* Classes 64, 96, 128, 192, 256, ... */
static unsigned class_of(size_t n)
{
    if (n <= BLOCK_MIN) {
        return 0;
    }
    unsigned log = 63u - (unsigned)__builtin_clzll((uint64_t)n - 1); /* 2^log < n <= 2^(log + 1) */
    unsigned octave = log - 6;
    return octave * 2 + (n <= (size_t)3 << (log - 1) ? 1 : 2);
}

static size_t class_size(unsigned class)
{
    size_t base = (size_t)BLOCK_MIN << (class / 2);
    return class % 2 == 0 ? base : base + base / 2;
}

void mill__pool_clear(struct mill__pool *pool)
{
    while (pool->slabs != NULL) {
        struct mill__pool_slab *next = pool->slabs->next;
        free(pool->slabs);
        pool->slabs = next;
    }
    *pool = (struct mill__pool){0};
}

static char *new_slab(struct mill__pool *pool, size_t n)
{
    struct mill__pool_slab *slab = mill_malloc(SLAB_HEADER + n);
    slab->next = pool->slabs;
    pool->slabs = slab;
    return (char *)slab + SLAB_HEADER;
}

void *mill__pool_take(struct mill__pool *pool, size_t n, size_t *ret_n)
{
    unsigned class = class_of(n);
    mill_assert(class < MILL__POOL_CLASSES);
    size_t size = class_size(class);

    *ret_n = size;
    pool->used_bytes += size;
    struct mill__pool_free *block = pool->free_blocks[class];
    if (block != NULL) {
        pool->free_blocks[class] = block->next;
        return block;
    }
    if (size > CARVED_MAX) {
        return new_slab(pool, size);
    }
    if ((size_t)(pool->bump_end - pool->bump) < size) {
        pool->bump = new_slab(pool, SLAB_SIZE);
        pool->bump_end = pool->bump + SLAB_SIZE;
    }
    char *p = pool->bump;
    pool->bump += size;
    return p;
}

void mill__pool_give(struct mill__pool *pool, void *block, size_t n)
{
    if (block == NULL) {
        return;
    }
    unsigned class = class_of(n);
    struct mill__pool_free *head = block;

    mill_assert(pool->used_bytes >= class_size(class));
    pool->used_bytes -= class_size(class);
    head->next = pool->free_blocks[class];
    pool->free_blocks[class] = head;
}
