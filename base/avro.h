/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro's binary encoding, the writing half (specification 1.11, "Binary Encoding", "Single-object encoding"). An int,
 * long, enum, branch of a union or count of a block is mill_buffer_add_zigzag(), a boolean a byte, a record its fields.
 * Texts must be UTF-8: decoders let no other through.
 */
#ifndef MILL_BASE_AVRO_H
#define MILL_BASE_AVRO_H

#include "base/buffer.h"

/* What stands before a single object: the CRC-64-AVRO of its schema says which it is. */
static inline void mill_avro_add_head(struct mill_buffer *out, uint64_t fingerprint)
{
    mill_buffer_add(out, "\xc3\x01", 2);
    mill_buffer_add_u64(out, fingerprint);
}

/* bytes or string */
static inline void mill_avro_add_slice(struct mill_buffer *out, struct mill_slice s)
{
    mill_buffer_add_zigzag(out, (int64_t)s.n);
    mill_buffer_add_slice(out, s);
}

static inline void mill_avro_add_cstr(struct mill_buffer *out, const char *cstr)
{
    mill_avro_add_slice(out, mill_slice_of(cstr));
}

static inline void mill_avro_add_double(struct mill_buffer *out, double v)
{
    mill_buffer_add(out, &v, sizeof(v));
}

#endif
