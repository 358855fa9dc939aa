/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where scores and labels of a monitor meet: an internal topic of its own, keyed by the join's key. Its upstreams are
 * the stages that score rows of the model, called by their index as in their flow, and the topic of the labels, called
 * by the number behind. Runs once at start, on one thread.
 */
#include "base/hash.h"
#include "engine/plan_internal.h"
#include "engine/rekey_internal.h"

static struct mill_field fields[MILL__JOIN_COLUMNS] = {
    [MILL__JOIN_KEY] = {"key", MILL_STRING},
    [MILL__JOIN_SCORE] = {"score", MILL_FLOAT64},
    [MILL__JOIN_LABEL] = {"label", MILL_INT64},
};
const struct mill_schema mill__join_schema = {.fields = fields, .field_count = MILL__JOIN_COLUMNS};

static void add_feed(struct mill__plan *plan, struct mill__stage *stage, int32_t partitions,
                     const struct mill__feed *feed)
{
    if (stage->feeds == NULL) {
        /* A monitor may have its scores and its labels from one stage. */
        stage->feeds = mill_arena_array(&plan->arena, struct mill__feed, 2 * plan->project->monitor_count);
    }
    stage->feeds[stage->feed_count++] = *feed;
    feed->monitor->join->upstream_partitions[feed->upstream] = partitions;
}

static void add_feeds(struct mill__plan *plan, struct mill__plan_monitor *monitor, const int32_t *partition_counts)
{
    uint32_t scored = monitor->model->config->source, labels = monitor->config->labels.source, s = 0;

    for (; s <= monitor->model->stage; s++) {
        add_feed(plan, &plan->flows[scored].stages[s], s == 0 ? partition_counts[scored] : plan->partition_count,
                 &(struct mill__feed){monitor, false, s});
    }
    add_feed(plan, &plan->flows[labels].stages[0], partition_counts[labels], &(struct mill__feed){monitor, true, s});
}

/* What a record there means follows from this: the number and the offsets of an upstream, and what the key is of.
 * Records of another definition would pass for it (an offset of another topic hides all that is lower), so that has a
 * topic of its own. */
static uint32_t definition_hash(const struct mill__plan *plan, const struct mill__plan_monitor *monitor)
{
    const char *labels = plan->flows[monitor->config->labels.source].stages[0].topic,
               *key = monitor->config->labels.key;
    uint64_t hash = 0;

    for (uint32_t s = 0; s <= monitor->model->stage; s++) {
        const char *topic = plan->flows[monitor->model->config->source].stages[s].topic;
        hash = mill_hash64_seed(topic, strlen(topic), hash);
    }
    hash = mill_hash64_seed(labels, strlen(labels), hash);
    return (uint32_t)mill_hash64_seed(key, strlen(key), hash);
}

void mill__plan_build_join(struct mill__plan *plan, struct mill__plan_monitor *monitor, const int32_t *partition_counts)
{
    struct mill__flow *flow = mill_arena_zarray(&plan->arena, struct mill__flow, 1);
    struct mill__stage *stage = mill_arena_zarray(&plan->arena, struct mill__stage, 1);

    *flow = (struct mill__flow){.source = UINT32_MAX, .schema = mill__join_schema, .stages = stage, .stage_count = 1};
    stage->flow = flow;
    stage->source = UINT32_MAX;
    stage->joins = monitor;
    stage->topic = mill_arena_printf(&plan->arena, "%s.drift.join.%s.%08x", plan->project->name,
                                     monitor->config->spec.name, definition_hash(plan, monitor));
    stage->upstream_count = monitor->model->stage + 2;
    stage->upstream_partitions = mill_arena_array(&plan->arena, int32_t, stage->upstream_count);
    stage->carried = mill_arena_array(&plan->arena, uint32_t, MILL__JOIN_COLUMNS);
    for (; stage->carried_count < MILL__JOIN_COLUMNS; stage->carried_count++) {
        stage->carried[stage->carried_count] = stage->carried_count;
    }
    stage->carried_hash = mill__rekey_layout_hash(&flow->schema, stage);
    monitor->join = stage;
    plan->topics[plan->topic_count++] = stage;
    add_feeds(plan, monitor, partition_counts);
}
