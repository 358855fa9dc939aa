/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Re-keyed records: an event on its way from one stage of its flow to the next, through an internal topic
 * that is partitioned by another entity. Not a public format: producer and consumer are the same version of the same
 * project, which the layout hash makes sure of.
 *
 *   u8 version (1) | u64 layout hash | varint source partition | varint source offset | zigzag event time (us)
 *   | varint upstream offset | null bitmap, one bit a carried column, low bit first, 1 = has a value
 *   | values of columns that have one: bool u8; int64, timestamp zigzag; float64 8 bytes; string varint length + bytes
 *
 * The upstream partition is in the header-less part as well (varint before the upstream offset): a receiver
 * remembers the highest offset it has folded from each upstream partition and drops what comes twice.
 */
#ifndef MILL_ENGINE_REKEY_INTERNAL_H
#define MILL_ENGINE_REKEY_INTERNAL_H

#include "engine/plan_internal.h"

struct mill__rekey_origin {
    int32_t source_partition, upstream_partition;
    int64_t source_offset, upstream_offset;
};

uint64_t mill__rekey_layout_hash(const struct mill_schema *schema, const struct mill__stage *stage);
/* Appends the record of one row for `stage`. */
void mill__rekey_encode(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                        const struct mill__rekey_origin *origin, struct mill_buffer *out);
/* Fills one row of the batch (values, event time, offset, live bit) and *ret_origin. Strings point into value.
 * MILL_EDATA: not a record of this stage and version. */
int mill__rekey_decode(const struct mill__stage *stage, struct mill_slice value, struct mill_batch *batch, uint32_t row,
                       struct mill__rekey_origin *ret_origin) MILL_MUST_CHECK;

/* What a topic is partitioned by: one join key as its text (as producers write keys), several as canonical key bytes.
 * False where a part is null. *ret_partition: Kafka's default partitioner on those bytes. */
bool mill__rekey_key(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                     int32_t partition_count, struct mill_buffer *out, int32_t *ret_partition);

#endif
