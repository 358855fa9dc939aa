/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block pool of a table: memory for event logs, panes and long keys. Blocks come in size classes (two an octave) carved
 * from slabs; a freed block goes to its class's free list and is given out again, so that a table in its steady state
 * asks the system for nothing. Memory goes back when the table is closed. One thread.
 */
#ifndef MILL_FEATURESTORE_POOL_INTERNAL_H
#define MILL_FEATURESTORE_POOL_INTERNAL_H

#include <stddef.h>
#include <stdint.h>

enum { MILL__POOL_CLASSES = 56 };

struct mill__pool_free;
struct mill__pool_slab;

struct mill__pool {
    struct mill__pool_free *free_blocks[MILL__POOL_CLASSES];
    struct mill__pool_slab *slabs;
    char *bump, *bump_end;
    size_t slab_size;
    uint64_t used_bytes; /* of blocks given out */
};

/* A zeroed pool is an empty one. */
void mill__pool_clear(struct mill__pool *pool);
/* At least n bytes, aligned to 16 (from 1 KiB on: 64); *ret_n says how many there are. */
void *mill__pool_take(struct mill__pool *pool, size_t n, size_t *ret_n);
/* n: as given to or got from mill__pool_take. NULL is nothing. */
void mill__pool_give(struct mill__pool *pool, void *block, size_t n);

#endif
