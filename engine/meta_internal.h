/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What RocksDB knows of an input: how far its records are in the stored state. Written in the same write batch as that
 * state, so the two cannot disagree. Key "input/<topic>/<partition>"; value: u8 version (2) | u64 state hash | zigzag
 * applied offset | zigzag newest event time | varint n, then n times (varint upstream stage | varint upstream partition
 * | zigzag offset | zigzag newest event time | zigzag announced | u8 idle) | u64 XXH3 of all before. Version 1 named an
 * upstream by its partition only, so that what it had of several stages cannot be told apart: refused.
 */
#ifndef MILL_ENGINE_META_INTERNAL_H
#define MILL_ENGINE_META_INTERNAL_H

#include "featurestore/featurestore.h"

/* One partition of the topic of an earlier stage: the highest offset that was folded, the newest event time from there,
 * and what it has announced (rekey_internal.h). */
struct mill__upstream {
    uint32_t stage;
    int32_t partition;
    int64_t offset, newest_us;
    int64_t announced_us; /* INT64_MIN: nothing yet */
    bool is_idle;
};

struct mill__upstreams {
    struct mill__upstream *at;
    uint32_t count, capacity;
};
/* Finds or adds (offset -1, times INT64_MIN). The pointer is good until the next call. */
struct mill__upstream *mill__upstreams_find(struct mill__upstreams *upstreams, uint32_t stage, int32_t partition);
/* An announcement was read. */
void mill__upstream_announce(struct mill__upstream *up, int64_t newest_us, bool is_idle);
/* The event time that no event still to come is behind by more than the lateness, of the upstreams of stages first <=
 * stage < end: the least that was announced, those that sleep left out; where all sleep (*ret_idle), the most. Only
 * partitions of `first`, a source, say that they sleep; a later stage sleeps where all of those do and it has come as
 * far. INT64_MIN: not known yet. */
int64_t mill__upstreams_complete(const struct mill__upstreams *upstreams, uint32_t first, uint32_t end, bool *ret_idle);
void mill__upstreams_clear(struct mill__upstreams *upstreams);
/* Entries of from are put into to, in the place of those of the same upstream. */
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
