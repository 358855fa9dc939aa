/* SPDX-License-Identifier: Apache-2.0 */
/* A borrowed run of bytes: the string type of the engine. Not null-terminated. Whoever hands one out
 * says at its prototype how long the bytes live. A slice of length 0 may have any pointer. */
#ifndef MILL_BASE_SLICE_H
#define MILL_BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct mill_slice {
    const char *p;
    size_t n;
};

static inline struct mill_slice mill_slice_of(const char *cstr)
{
    struct mill_slice s = {cstr, strlen(cstr)};
    return s;
}

static inline bool mill_slice_equal(struct mill_slice a, struct mill_slice b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline bool mill_slice_is(struct mill_slice s, const char *cstr)
{
    return mill_slice_equal(s, mill_slice_of(cstr));
}

/* Byte order, shorter first among equals: what memcmp sorts. */
static inline int mill_slice_compare(struct mill_slice a, struct mill_slice b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n == 0 ? 0 : memcmp(a.p, b.p, n);
    return c != 0 ? c : (a.n > b.n) - (a.n < b.n);
}

/* The two arguments of a "%.*s": at most 200 bytes of it, which is enough for a message. */
#define MILL_SLICE_ARGS(s) ((s).n < 200 ? (int)(s).n : 200), (s).p

/* True where every byte sequence is well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms). */
bool mill_utf8_is_valid(struct mill_slice s);
/* How many bytes at the start of s are well-formed UTF-8: s.n, or where the first bad sequence starts. */
size_t mill_utf8_valid_prefix(struct mill_slice s);

#endif
