/* SPDX-License-Identifier: Apache-2.0 */
/* A growable run of bytes: where text and binary records are written before they leave. Growing
 * doubles, and mill_buffer_reset() keeps the memory, so a reused buffer soon stops allocating.
 * Out of memory is fatal. Not thread-safe. */
#ifndef MILL_BASE_BUFFER_H
#define MILL_BASE_BUFFER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/slice.h"

struct mill_buffer {
    char *p;
    size_t n, capacity;
};

/* A zeroed struct mill_buffer is a valid empty buffer. */
void mill_buffer_clear(struct mill_buffer *b); /* frees */
static inline void mill_buffer_reset(struct mill_buffer *b)
{
    b->n = 0;
}
void mill_buffer_grow(struct mill_buffer *b, size_t extra); /* slow path of mill_buffer_reserve */

/* Room for extra more bytes behind b->p + b->n; the caller writes there and adds to b->n. */
static inline char *mill_buffer_reserve(struct mill_buffer *b, size_t extra)
{
    if (b->capacity - b->n < extra) {
        mill_buffer_grow(b, extra);
    }
    return b->p + b->n;
}

static inline void mill_buffer_add(struct mill_buffer *b, const void *p, size_t n)
{
    if (n > 0) {
        memcpy(mill_buffer_reserve(b, n), p, n);
        b->n += n;
    }
}

static inline void mill_buffer_add_byte(struct mill_buffer *b, unsigned char byte)
{
    *mill_buffer_reserve(b, 1) = (char)byte;
    b->n++;
}

static inline void mill_buffer_add_slice(struct mill_buffer *b, struct mill_slice s)
{
    mill_buffer_add(b, s.p, s.n);
}

static inline void mill_buffer_add_string(struct mill_buffer *b, const char *cstr)
{
    mill_buffer_add(b, cstr, strlen(cstr));
}

void mill_buffer_printf(struct mill_buffer *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Null-terminated view of the contents; the terminator is not counted in n. */
const char *mill_buffer_cstr(struct mill_buffer *b);

static inline struct mill_slice mill_buffer_slice(const struct mill_buffer *b)
{
    struct mill_slice s = {b->p, b->n};
    return s;
}

/* Little-endian fixed width and LEB128 base-128 varints (7 bits a byte, low first), as used by every
 * binary record of ours. */
static inline void mill_buffer_add_u32(struct mill_buffer *b, uint32_t v)
{
    mill_buffer_add(b, &v, sizeof(v));
}

static inline void mill_buffer_add_u64(struct mill_buffer *b, uint64_t v)
{
    mill_buffer_add(b, &v, sizeof(v));
}

static inline void mill_buffer_add_varint(struct mill_buffer *b, uint64_t v)
{
    char *p = mill_buffer_reserve(b, 10);
    while (v >= 0x80) {
        *p++ = (char)(v | 0x80);
        v >>= 7;
    }
    *p++ = (char)v;
    b->n = (size_t)(p - b->p);
}

/* Signed numbers map to small unsigned ones: 0, -1, 1, -2 become 0, 1, 2, 3 (zig-zag). */
static inline uint64_t mill_zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static inline int64_t mill_unzigzag(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

static inline void mill_buffer_add_zigzag(struct mill_buffer *b, int64_t v)
{
    mill_buffer_add_varint(b, mill_zigzag(v));
}

/* Reading back: a cursor over bytes that remembers whether it ever ran past the end. After an
 * overrun every read gives 0 and `bad` stays set, so a decoder may check once at the end. */
struct mill_cursor {
    const char *p, *end;
    bool bad;
};

static inline struct mill_cursor mill_cursor_of(struct mill_slice s)
{
    struct mill_cursor c = {s.p, s.n > 0 ? s.p + s.n : s.p, false};
    return c;
}

static inline const char *mill_cursor_take(struct mill_cursor *c, size_t n)
{
    if (c->bad || (size_t)(c->end - c->p) < n) {
        c->bad = true;
        return NULL;
    }
    const char *p = c->p;
    c->p += n;
    return p;
}

static inline uint8_t mill_cursor_byte(struct mill_cursor *c)
{
    const char *p = mill_cursor_take(c, 1);
    return p == NULL ? 0 : (uint8_t)*p;
}

static inline uint32_t mill_cursor_u32(struct mill_cursor *c)
{
    uint32_t v = 0;
    const char *p = mill_cursor_take(c, sizeof(v));
    if (p != NULL) {
        memcpy(&v, p, sizeof(v));
    }
    return v;
}

static inline uint64_t mill_cursor_u64(struct mill_cursor *c)
{
    uint64_t v = 0;
    const char *p = mill_cursor_take(c, sizeof(v));
    if (p != NULL) {
        memcpy(&v, p, sizeof(v));
    }
    return v;
}

static inline uint64_t mill_cursor_varint(struct mill_cursor *c)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = mill_cursor_byte(c);
        if (shift == 63 && byte > 1) {
            break; /* more than 64 bits */
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            return c->bad ? 0 : v;
        }
    }
    c->bad = true;
    return 0;
}

static inline int64_t mill_cursor_zigzag(struct mill_cursor *c)
{
    return mill_unzigzag(mill_cursor_varint(c));
}

#endif
