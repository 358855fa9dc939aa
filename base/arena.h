/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arena: memory that is given out in order and taken back all at once.
 *
 * One per batch (reset after each poll batch) and one per start-up (freed at exit). A reset keeps the
 * memory and joins what had to be chained into one block, so that the next round of the same size
 * allocates nothing: that is what keeps malloc out of the path from ingest to score.
 * Not thread-safe: an arena belongs to one thread at a time.
 */
#ifndef MILL_BASE_ARENA_H
#define MILL_BASE_ARENA_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct mill_arena_block;

struct mill_arena {
    struct mill_arena_block *block; /* newest first */
    size_t used;                    /* bytes used of the newest block */
    size_t total;                   /* bytes given out since the last reset */
};

/* Takes no memory before the first allocation unless reserve_bytes > 0. Out of memory is fatal. */
void mill_arena_init(struct mill_arena *arena, size_t reserve_bytes);
void mill_arena_clear(struct mill_arena *arena);
/* Everything handed out becomes invalid; the memory stays with the arena. */
void mill_arena_reset(struct mill_arena *arena);

/* Never NULL; aligned to 64 bytes where n >= 64, else to 16; not zeroed. n may be 0. */
void *mill_arena_alloc(struct mill_arena *arena, size_t n) __attribute__((malloc, alloc_size(2)));
void *mill_arena_zalloc(struct mill_arena *arena, size_t n) __attribute__((malloc, alloc_size(2)));
/* Null-terminated copies. */
char *mill_arena_strdup(struct mill_arena *arena, const char *cstr);
char *mill_arena_strndup(struct mill_arena *arena, const char *p, size_t n);
char *mill_arena_printf(struct mill_arena *arena, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
struct mill_slice mill_arena_slice(struct mill_arena *arena, struct mill_slice s);

/* An array of n elements of the type. */
#define mill_arena_array(arena, type, n)  ((type *)mill_arena_alloc((arena), sizeof(type) * (size_t)(n)))
#define mill_arena_zarray(arena, type, n) ((type *)mill_arena_zalloc((arena), sizeof(type) * (size_t)(n)))

/* malloc and friends for start-up and cold paths: never NULL, out of memory ends the process with
 * status 71 and one line that says what was wanted. */
void *mill_malloc(size_t n) __attribute__((malloc, alloc_size(1)));
void *mill_calloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *mill_realloc(void *p, size_t n) __attribute__((alloc_size(2)));
char *mill_strdup(const char *cstr) __attribute__((malloc));

#endif
