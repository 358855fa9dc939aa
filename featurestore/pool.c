/* SPDX-License-Identifier: Apache-2.0 */
/* Block pool; see pool_internal.h. */
#include "featurestore/pool_internal.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/arena.h"
#include "base/error.h"

/* Slabs grow to the size of a huge page: state is touched at random, and the misses of the page table cost as much as
 * those of the cache. */
enum { BLOCK_MIN = 64, SLAB_MIN = 64 * 1024, SLAB_MAX = 2 * 1024 * 1024, SLAB_HEADER = 64, ALIGN_FROM = 1024 };

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

/* n bytes with the header in them. */
static struct mill__pool_slab *new_slab(struct mill__pool *pool, size_t n)
{
    struct mill__pool_slab *slab = n % SLAB_MAX == 0 ? aligned_alloc(SLAB_MAX, n) : NULL;

    if (slab != NULL) {
        madvise(slab, n, MADV_HUGEPAGE); /* a wish: nothing is lost where it is not granted */
    } else {
        slab = mill_malloc(n);
    }
    slab->next = pool->slabs;
    pool->slabs = slab;
    return slab;
}

static void refill(struct mill__pool *pool)
{
    pool->slab_size = pool->slab_size == 0 ? SLAB_MIN : pool->slab_size < SLAB_MAX ? pool->slab_size * 2 : SLAB_MAX;
    char *slab = (char *)new_slab(pool, pool->slab_size);
    pool->bump = slab + SLAB_HEADER;
    pool->bump_end = slab + pool->slab_size;
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
    if (size > SLAB_MIN / 2) {
        return (char *)new_slab(pool, SLAB_HEADER + size) + SLAB_HEADER;
    }
    if (size >= ALIGN_FROM) {
        pool->bump += -(uintptr_t)pool->bump % BLOCK_MIN;
    }
    if (pool->bump_end < pool->bump || (size_t)(pool->bump_end - pool->bump) < size) {
        refill(pool);
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
