/* SPDX-License-Identifier: Apache-2.0 */
/* Arena and checked malloc; see arena.h. */
#include "base/arena.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/error.h"

/* Under AddressSanitizer, memory that is not handed out, or was before a reset, must not be touched. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MILL_ARENA_POISONS
#endif
#elif defined(__SANITIZE_ADDRESS__)
#define MILL_ARENA_POISONS
#endif
#ifdef MILL_ARENA_POISONS
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
#else
#define POISON(p, n)   ((void)0)
#define UNPOISON(p, n) ((void)0)
#endif

enum { BLOCK_ALIGN = 64, BLOCK_SIZE_MIN = 16384 };

struct mill_arena_block {
    struct mill_arena_block *next;
    size_t size; /* usable bytes behind the header */
};

static_assert(sizeof(struct mill_arena_block) <= BLOCK_ALIGN, "the header fits before the first byte");

static char *block_data(struct mill_arena_block *block)
{
    return (char *)block + BLOCK_ALIGN;
}

static void die_of_memory(size_t n)
{
    fprintf(stderr, "tidemill: out of memory: %zu bytes refused\n", n);
    exit(EX_OSERR);
}

static struct mill_arena_block *block_new(size_t size)
{
    size_t rounded = (size + BLOCK_ALIGN - 1) & ~(size_t)(BLOCK_ALIGN - 1);
    struct mill_arena_block *block = aligned_alloc(BLOCK_ALIGN, BLOCK_ALIGN + rounded);
    if (block == NULL) {
        die_of_memory(size);
    }
    block->next = NULL;
    block->size = rounded;
    POISON(block_data(block), rounded);
    return block;
}

static void push_block(struct mill_arena *arena, size_t wanted)
{
    size_t size = arena->block == NULL ? BLOCK_SIZE_MIN : arena->block->size * 2;
    struct mill_arena_block *block = block_new(wanted > size ? wanted : size);
    block->next = arena->block;
    arena->block = block;
    arena->used = 0;
}

void mill_arena_init(struct mill_arena *arena, size_t reserve_bytes)
{
    *arena = (struct mill_arena){0};
    if (reserve_bytes > 0) {
        push_block(arena, reserve_bytes);
    }
}

static void free_blocks(struct mill_arena_block *block)
{
    while (block != NULL) {
        struct mill_arena_block *next = block->next;
        UNPOISON(block_data(block), block->size);
        free(block);
        block = next;
    }
}

void mill_arena_clear(struct mill_arena *arena)
{
    free_blocks(arena->block);
    *arena = (struct mill_arena){0};
}

void mill_arena_reset(struct mill_arena *arena)
{
    if (arena->block != NULL && arena->block->next != NULL) {
        size_t total = 0;
        for (struct mill_arena_block *b = arena->block; b != NULL; b = b->next) {
            total += b->size;
        }
        free_blocks(arena->block);
        arena->block = block_new(total);
    } else if (arena->block != NULL) {
        POISON(block_data(arena->block), arena->block->size);
    }
    arena->used = 0;
    arena->total = 0;
}

void *mill_arena_alloc(struct mill_arena *arena, size_t n)
{
    size_t align = n >= BLOCK_ALIGN ? BLOCK_ALIGN : 16;
    size_t start = (arena->used + align - 1) & ~(align - 1);

    if (n > PTRDIFF_MAX / 2) {
        die_of_memory(n);
    }
    if (arena->block == NULL || start > arena->block->size || arena->block->size - start < n) {
        push_block(arena, n + align);
        start = 0;
    }
    arena->used = start + n;
    arena->total += n;
    char *p = block_data(arena->block) + start;
    UNPOISON(p, n);
    return p;
}

void *mill_arena_zalloc(struct mill_arena *arena, size_t n)
{
    void *p = mill_arena_alloc(arena, n);
    memset(p, 0, n);
    return p;
}

char *mill_arena_strndup(struct mill_arena *arena, const char *p, size_t n)
{
    char *copy = mill_arena_alloc(arena, n + 1);
    if (n > 0) {
        memcpy(copy, p, n);
    }
    copy[n] = '\0';
    return copy;
}

char *mill_arena_strdup(struct mill_arena *arena, const char *cstr)
{
    return mill_arena_strndup(arena, cstr, strlen(cstr));
}

char *mill_arena_printf(struct mill_arena *arena, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    mill_assert(n >= 0);
    char *text = mill_arena_alloc(arena, (size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, args);
    va_end(args);
    return text;
}

struct mill_slice mill_arena_slice(struct mill_arena *arena, struct mill_slice s)
{
    struct mill_slice copy = {mill_arena_strndup(arena, s.p, s.n), s.n};
    return copy;
}

void *mill_malloc(size_t n)
{
    void *p = malloc(n > 0 ? n : 1);
    if (p == NULL) {
        die_of_memory(n);
    }
    return p;
}

void *mill_calloc(size_t count, size_t size)
{
    void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);
    if (p == NULL) {
        die_of_memory(count * size);
    }
    return p;
}

void *mill_realloc(void *p, size_t n)
{
    void *moved = realloc(p, n > 0 ? n : 1);
    if (moved == NULL) {
        die_of_memory(n);
    }
    return moved;
}

char *mill_strdup(const char *cstr)
{
    size_t n = strlen(cstr) + 1;
    return memcpy(mill_malloc(n), cstr, n);
}
