/* SPDX-License-Identifier: Apache-2.0 */
/* The packed row: the value of one (view, entity) in Redis. docs/redis.md has it byte by byte. Pure functions; any
 * thread. Written by online_put.c, read by online_get.c, fuzzed by tests/fuzz/fuzz_row.c. */
#ifndef MILL_FEATURESTORE_ONLINE_ROW_INTERNAL_H
#define MILL_FEATURESTORE_ONLINE_ROW_INTERNAL_H

#include "featurestore/featurestore.h"

enum {
    MILL__ROW_HEADER_BYTES = 40,
    MILL__ROW_CHECKSUM_BYTES = 8,
    MILL__ROW_FEATURES_MAX = 65535,
};

/* What gives a row's bytes their meaning: names and types of a view's features, in order. */
struct mill__row_layout {
    const struct mill_field *features;
    uint32_t feature_count;
    uint64_t hash;
};
struct mill__row_layout mill__row_layout_of(const struct mill_field *features, uint32_t feature_count);

/* Where a row comes from; rows of an entity are ordered by (event time, partition, offset). */
struct mill__row_origin {
    int64_t event_time_us, offset;
    int32_t partition;
};

/* Bytes that mill__row_write will write. */
size_t mill__row_size(const struct mill__row_layout *layout, const struct mill_batch *batch, uint32_t row,
                      uint32_t first_column);
/* Writes exactly size bytes (of mill__row_size) to out. */
void mill__row_write(const struct mill__row_layout *layout, const struct mill__row_origin *origin,
                     const struct mill_batch *batch, uint32_t row, uint32_t first_column, char *out, size_t size);
/* Reads a row; strings and columns are in the arena. MILL_EDATA: damaged, or written for other features. */
int mill__row_read(const struct mill__row_layout *layout, struct mill_slice bytes, struct mill_arena *arena,
                   struct mill_online_row *ret_row, struct mill_error *err) MILL_MUST_CHECK;

#endif
