/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What RocksDB knows of an input: how far its records are in the stored state. Written in the same write batch as that
 * state, so the two cannot disagree. Key "input/<topic>/<partition>"; value: u8 version (1) | u64 state hash | zigzag
 * applied offset | zigzag newest event time | varint n, then n times (varint upstream partition | zigzag offset |
 * zigzag newest event time) | u64 XXH3 of all before.
 */
#ifndef MILL_ENGINE_META_INTERNAL_H
#define MILL_ENGINE_META_INTERNAL_H

#include "featurestore/featurestore.h"

/* The highest offset of an upstream partition that was folded, and the newest event time from there. */
struct mill__upstream {
    int32_t partition;
    int64_t offset, newest_us;
};

struct mill__upstreams {
    struct mill__upstream *at;
    uint32_t count, capacity;
};
/* Finds or adds (offset -1, newest INT64_MIN). The pointer is good until the next call. */
struct mill__upstream *mill__upstreams_find(struct mill__upstreams *upstreams, int32_t partition);
void mill__upstreams_clear(struct mill__upstreams *upstreams);
/* Entries of from are put into to, in the place of those of the same partition. */
void mill__upstreams_copy(struct mill__upstreams *to, const struct mill__upstreams *from);

struct mill__input_meta {
    uint64_t state_hash;
    int64_t applied_offset; /* -1: none */
    int64_t newest_us;      /* INT64_MIN: none */
    struct mill__upstreams upstreams;
};

/* 1 and *ret_meta (whose upstreams the caller clears), or 0 where there is none. */
int mill__meta_read(struct mill_kv *kv, const char *topic, int32_t partition, struct mill__input_meta *ret_meta,
                    struct mill_error *err) MILL_MUST_CHECK;
void mill__meta_write(struct mill_kv_batch *batch, const char *topic, int32_t partition,
                      const struct mill__input_meta *meta, struct mill_buffer *scratch);

#endif
