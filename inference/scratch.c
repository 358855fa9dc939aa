/* SPDX-License-Identifier: Apache-2.0 */
/* Scratch: one block of memory for each thread that scores, freed when the thread ends. */
#include <pthread.h>
#include <stdlib.h>

#include "base/arena.h"
#include "inference/model_internal.h"

struct block {
    void *raw, *at; /* at: raw, aligned */
    size_t size;
};

static _Thread_local struct block *mine;
static pthread_key_t key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void free_block(void *p)
{
    struct block *block = p;
    free(block->raw);
    free(block);
}

static void make_key(void)
{
    mill_assert(pthread_key_create(&key, free_block) == 0);
}

static struct block *first_block(void)
{
    pthread_once(&once, make_key);
    struct block *block = mill_calloc(1, sizeof(*block));
    mill_assert(pthread_setspecific(key, block) == 0);
    return block;
}

void *mill__scratch(size_t size)
{
    if (mine == NULL) {
        mine = first_block();
    }
    if (mine->size < size) {
        free(mine->raw);
        mine->size = size + size / 4 + 4096;
        mine->raw = mill_malloc(mine->size + 64);
        mine->at = (void *)(((uintptr_t)mine->raw + 63) & ~(uintptr_t)63);
    }
    return mine->at;
}
