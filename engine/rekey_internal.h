/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records of internal topics that are partitioned by another entity: events on their way from one stage of their flow
 * to a later one, and announcements of how far an upstream partition is. Not a public format: producer and consumer
 * are the same version of the same project, which the layout hash makes sure of.
 *
 *   u8 version (2) | u8 kind | varint upstream stage | varint upstream partition, then
 *   kind 0, event:        varint upstream offset | u64 layout hash | varint source partition | varint source offset
 *                         | zigzag event time (us) | null bitmap, one bit a carried column, low bit first, 1 = has a
 * value | values of columns that have one: bool u8; int64, timestamp zigzag; float64 8 bytes; string varint length +
 * bytes kind 1, announcement: zigzag newest event time (us) | u8 1 where the upstream partition is idle
 *
 * The upstream is named by stage and partition, because rows may skip stages: a topic hears of several upstream topics.
 * A receiver remembers the highest offset it has folded from each upstream and drops what comes twice.
 *
 * An announcement stands behind every event that its upstream has sent before and says that none that comes after it
 * is behind the newest event time by more than the source's allowed lateness. It goes to every partition of the later
 * stages once those events are acknowledged. Idle: at its end for idle_timeout, so that nobody should wait for it.
 */
#ifndef MILL_ENGINE_REKEY_INTERNAL_H
#define MILL_ENGINE_REKEY_INTERNAL_H

#include "engine/plan_internal.h"

enum mill__rekey_kind { MILL__REKEY_EVENT, MILL__REKEY_ANNOUNCEMENT, MILL__REKEY_NEITHER };
struct mill__rekey_origin {
    enum mill__rekey_kind kind;
    uint32_t upstream_stage;
    int32_t upstream_partition;
    /* events */
    int32_t source_partition;
    int64_t source_offset, upstream_offset;
    /* announcements */
    int64_t newest_us;
    bool is_idle;
};

uint64_t mill__rekey_layout_hash(const struct mill_schema *schema, const struct mill__stage *stage);
/* Appends the record of one row for `stage`; origin: of an event. */
void mill__rekey_encode(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                        const struct mill__rekey_origin *origin, struct mill_buffer *out);
/* Appends an announcement: stage, partition, newest_us and is_idle of the origin. */
void mill__rekey_announce(const struct mill__rekey_origin *origin, struct mill_buffer *out);
/* Fills *ret_origin and, from an event, one row of the batch (values, event time, offset, live bit). Strings point into
 * value. MILL_EDATA: not a record of this stage and version, or of no time that there is; the origin's kind is then
 * NEITHER. */
int mill__rekey_decode(const struct mill__stage *stage, struct mill_slice value, struct mill_batch *batch, uint32_t row,
                       struct mill__rekey_origin *ret_origin) MILL_MUST_CHECK;

/* One join key as its text, as producers write keys; false where it is null. The column: string or int64. */
bool mill__rekey_key_text(const struct mill_column *column, uint32_t row, struct mill_buffer *out);
/* Kafka's default partitioner. */
int32_t mill__rekey_partition(struct mill_slice key, int32_t partition_count);
/* What a topic is partitioned by: one join key as its text (as producers write keys), several as canonical key bytes.
 * False where a part is null. *ret_partition: Kafka's default partitioner on those bytes. */
bool mill__rekey_key(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                     int32_t partition_count, struct mill_buffer *out, int32_t *ret_partition);

#endif
