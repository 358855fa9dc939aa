/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The plan: a project compiled into what shards run. Immutable once built, shared by all threads.
 *
 * A flow is the way of one source's events. Its first stage reads the source's topic; every further stage reads a
 * re-keyed internal topic, so that each entity's state is folded by the one shard that owns the entity's partition. An
 * event visits the stages in order, carrying the columns that later stages need, and is scored at the stage where a
 * model's inputs are complete. Offline there is one shard, and the stages of a flow simply run one after the other on
 * the same batch: the same code, the same bits.
 */
#ifndef MILL_ENGINE_PLAN_INTERNAL_H
#define MILL_ENGINE_PLAN_INTERNAL_H

#include "engine/engine.h"

/* One view as one flow uses it: folded (own) or looked up. */
struct mill__plan_use {
    uint32_t view; /* of the project */
    struct mill_view_use use;
};

struct mill__flow;
struct mill__plan_monitor;

/* What a stage sends to the topic where a monitor's scores and labels meet: scores of the model, or labels. */
struct mill__feed {
    const struct mill__plan_monitor *monitor;
    bool is_labels;
    uint32_t upstream; /* what the receiver calls this stage */
};

struct mill__stage {
    const struct mill__flow *flow;
    uint32_t source, index; /* source: UINT32_MAX of a join of labels; index: of the flow's stages */
    const char *topic;
    uint32_t upstream_count;                /* stages that send there; 0: the source's own topic */
    int32_t *upstream_partitions;           /* of their topics; NULL offline */
    const struct mill__plan_monitor *joins; /* whose scores and labels meet there; NULL: it is a stage of events */
    struct mill__feed *feeds;
    uint32_t feed_count;
    const struct mill_entity *entity; /* what the topic is keyed by; NULL for stage 0 of a source without `key:` */
    uint32_t key_columns[MILL_KEY_PARTS_MAX];
    struct mill__plan_use *uses;
    uint32_t use_count;
    uint32_t *carried; /* behind the first: batch columns that a re-keyed record holds */
    uint32_t carried_count;
    uint64_t carried_hash;
    uint32_t *models; /* complete after this stage */
    uint32_t model_count;
    uint32_t merge_group; /* stages of one group and partition are merged by event time */
};

struct mill__flow {
    uint32_t source;
    struct mill_schema schema; /* source fields, then the columns of each use of each stage */
    struct mill__stage *stages;
    uint32_t stage_count;
    bool announces; /* inputs tell later stages how far they are: rows may skip stages there */
};

/* A head: what is done with a feature service's vector once it is complete. Without a model the vector itself is the
 * result (training sets). */
struct mill__plan_model {
    const struct mill_model_config *config;
    struct mill_model *model; /* NULL: vectors only */
    struct mill_model_input input;
    uint32_t output_count;
    uint32_t stage;                         /* of the flow of config->source, complete after it */
    const struct mill_join_key **key_parts; /* distinct join keys of the service's entities */
    uint32_t *key_columns;
    uint32_t key_part_count;
};

/* A drift monitor, compiled. Its contributors are the inputs that score rows of its model: those of the stages of the
 * model's flow up to the one where it is complete; and, where it has labels, those that join them. Numbered by stage,
 * then partition. */
struct mill__plan_monitor {
    const struct mill_monitor_config *config;
    struct mill_drift_monitor_spec spec;  /* the project's, with the types of the columns */
    const struct mill__plan_model *model; /* of the plan */
    uint32_t *columns;                    /* of the batch, per field of the spec; UINT32_MAX: the score */
    uint32_t segment_column;              /* UINT32_MAX: no segments */
    const struct mill_profile *profile;   /* the monitored part of it; NULL: to be made of the stream */
    struct mill_profile *loaded_profile;
    struct mill_expr *label;     /* over the labels' source; NULL: no labels */
    struct mill__stage *join;    /* where scores and labels meet; NULL: no labels, or offline */
    struct mill__stage **stages; /* of the contributors */
    uint32_t *stage_partitions;  /* of their topics; 1 each offline */
    uint32_t stage_count, contributor_count;
};

struct mill__plan {
    const struct mill_project *project;
    struct mill_view **views;
    struct mill__flow *flows; /* one per source */
    struct mill__plan_model *models;
    uint32_t model_count;
    struct mill__plan_monitor *monitors; /* as in the project; none in a plan for vectors */
    uint32_t monitor_count;
    struct mill__stage **topics; /* all stages of all flows, then the joins: index = topic number of the consumer */
    uint32_t topic_count;
    int32_t partition_count; /* of every topic that state depends on */
    uint32_t merge_group_count;
    int64_t idle_timeout_us; /* a partition without events for so long holds nothing back */
    uint64_t state_hash;     /* of everything that gives stored state its meaning */
    struct mill_arena arena;
};

struct mill__plan_options {
    const int32_t *partition_counts; /* per source, the topic's count; NULL offline */
    const char *vectors_of;          /* a feature service: no models, one head that hands out its vectors */
};
/* Models are loaded here. */
int mill__plan_open(const struct mill_project *project, const struct mill__plan_options *options,
                    struct mill__plan **ret_plan, struct mill_error *err) MILL_MUST_CHECK;
void mill__plan_close(struct mill__plan *plan);
/* Where a view's outputs stand in a flow, and after which stage they are there; NULL: not in this flow. */
const struct mill__plan_use *mill__flow_find_use(const struct mill__flow *flow, uint32_t view, uint32_t *ret_stage);
/* plan_monitor.c: loads profiles. */
int mill__plan_build_monitors(struct mill__plan *plan, const int32_t *partition_counts,
                              struct mill_error *err) MILL_MUST_CHECK;
/* The number of a contributor, and back; false: the stage is none of the monitor's. */
bool mill__monitor_contributor(const struct mill__plan_monitor *monitor, const struct mill__stage *stage,
                               int32_t partition, uint32_t *ret_contributor);
const struct mill__stage *mill__monitor_stage(const struct mill__plan_monitor *monitor, uint32_t contributor,
                                              int32_t *ret_partition);
/* plan_join.c: the columns of what meets there. */
enum { MILL__JOIN_KEY, MILL__JOIN_SCORE, MILL__JOIN_LABEL, MILL__JOIN_COLUMNS };
extern const struct mill_schema mill__join_schema;
/* Gives the monitor the topic where its scores and labels meet, and the stages their feeds. Not offline. */
void mill__plan_build_join(struct mill__plan *plan, struct mill__plan_monitor *monitor,
                           const int32_t *partition_counts);
/* Index of a stage in plan->topics. */
uint32_t mill__plan_topic_number(const struct mill__plan *plan, const struct mill__stage *stage);

#endif
