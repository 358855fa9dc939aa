/* SPDX-License-Identifier: Apache-2.0 */
/* What the shards see of the engine. Set up before the first shard starts and constant then, but for the atomics. */
#ifndef MILL_ENGINE_INTERNAL_H
#define MILL_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "engine/evaluator_internal.h"
#include "engine/reference_internal.h"
#include "engine/shard_internal.h"

struct mill_engine {
    const struct mill_project *project;
    struct mill_engine_options options;
    struct mill_metrics *metrics;
    struct mill_kafka_options kafka;
    struct mill_kv *kv; /* NULL: `offline_store: {type: none}` */
    struct mill__plan *plan;
    struct mill__encoder *encoder;
    struct mill_online_view *online_views;
    uint32_t online_view_count;
    uint32_t *online_index; /* per view of the project */
    uint16_t *view_ids;     /* per view: its number in state keys, kept in the store by name */
    struct mill__shard *shards;
    uint32_t shard_count;
    uint32_t partition_total;   /* of all topics that are consumed */
    int32_t *source_partitions; /* per source, the topic's count */
    struct mill__references references;
    int32_t panes_partitions;          /* of the panes topic */
    struct mill__evaluator *evaluator; /* NULL: no monitors */

    _Atomic int64_t stopped_ns; /* monotonic time of the stop; 0: not yet */
    _Atomic bool stop;          /* drain and leave */
    _Atomic uint32_t confirm;   /* counts how often a run until the end has asked the shards whether they are there */
    _Atomic uint32_t settle;    /* counts how often it has asked them to flush */
    _Atomic bool shards_left;   /* and have sent everything */
    _Atomic bool leave;         /* a shard failed: leave without waiting for dependencies */
    _Atomic bool has_shards;    /* the list of shards is there, and stays: other threads may read it */
    _Atomic bool is_running;    /* shards run */
    _Atomic bool is_waiting;    /* for Kafka, before the shards can start */
};

/* True where waiting for a dependency must end: the engine was asked to stop and has waited long enough, or a shard
 * failed. */
bool mill__engine_must_leave(const struct mill_engine *engine);
void mill__nap_ms(int ms);
/* All inputs are here and have said that they are awake. */
bool mill__engine_is_awake(const struct mill_engine *engine);
/* Where a partition that was assigned begins and ends. A broker that does not answer is waited for: without this
 * nothing is read. So is one that has just come back and does not know the topic yet, since the group has given its
 * partition to us. shard (its trouble is said meanwhile): NULL where it is none. Ends with the broker's error once the
 * engine stops. */
int mill__wait_for_offsets(struct mill_engine *engine, struct mill__shard *shard, const char *topic, int32_t number,
                           int64_t *ret_low, int64_t *ret_high, struct mill_error *err) MILL_MUST_CHECK;

/* Static membership under a name that belongs to the directory of the state: librdkafka's pairs with group.instance.id
 * ending in suffix. Memory from arena. */
struct mill_kafka_options mill__engine_member(const struct mill_engine *engine, const char *suffix,
                                              struct mill_arena *arena);
/* All records of a monitor are in one partition of the panes topic. */
int32_t mill__panes_partition(const struct mill_engine *engine, const char *monitor);
int32_t mill__panes_partition_of(const char *monitor, int32_t partition_count);
/* How the keys of that topic call a kind of parts: "p", "e", "o". */
extern const char *const mill__part_names[MILL_PART_KIND_COUNT];

/* Registers a shard's series; metrics.c. */
void mill__shard_register_metrics(struct mill__shard *shard);

#endif
