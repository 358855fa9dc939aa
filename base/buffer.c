/* SPDX-License-Identifier: Apache-2.0 */
/* Growable byte buffer; see buffer.h. */
#include "base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/error.h"

void mill_buffer_clear(struct mill_buffer *b)
{
    free(b->p);
    *b = (struct mill_buffer){0};
}

void mill_buffer_grow(struct mill_buffer *b, size_t extra)
{
    size_t capacity = b->capacity < 256 ? 256 : b->capacity * 2;
    while (capacity - b->n < extra) {
        mill_assert(capacity <= SIZE_MAX / 4);
        capacity *= 2;
    }
    b->p = mill_realloc(b->p, capacity);
    b->capacity = capacity;
}

void mill_buffer_printf(struct mill_buffer *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    mill_assert(n >= 0);
    char *to = mill_buffer_reserve(b, (size_t)n + 1);
    va_start(args, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, args);
    va_end(args);
    b->n += (size_t)n;
}

const char *mill_buffer_cstr(struct mill_buffer *b)
{
    *mill_buffer_reserve(b, 1) = '\0';
    return b->p;
}
