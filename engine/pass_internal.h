/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pass: one batch of one input on its way through the stages that run here (online: the one stage of its topic;
 * offline: all stages of its flow). The order of calls:
 *
 *   mill__pass_begin    an empty batch of the flow's layout; the caller decodes into pass->batch
 *   mill__pass_prepare  vector work before the folds: expression features, keys
 *   mill__pass_step     the next row, in merged event order: folds and lookups
 *   mill__pass_emit     vector work for the rows stepped since the last call (derivations, models), then the sink
 *                       gets rows, scores and events to forward
 *
 * A pass belongs to one shard thread and allocates nothing once its arena has grown to the size of its batches.
 */
#ifndef MILL_ENGINE_PASS_INTERNAL_H
#define MILL_ENGINE_PASS_INTERNAL_H

#include "engine/plan_internal.h"

struct mill__pass;

/* Where results go. Each call is for one live row of pass->batch. */
struct mill__sink {
    void *context;
    /* A view's row: use is an index of pass->uses and pass->rows. newest: the last word on its entity so far (what the
     * online store wants). */
    void (*row)(void *context, struct mill__pass *pass, uint32_t use, uint32_t row, bool newest);
    void (*score)(void *context, struct mill__pass *pass, const struct mill__plan_model *model, uint32_t row,
                  const double *values);
    /* Rows from <= i < to, live or not, were scored by the model; score: a column as long as the batch, NULL where the
     * model has several outputs. May be NULL. */
    void (*scored)(void *context, struct mill__pass *pass, const struct mill__plan_model *model,
                   const struct mill_column *score, uint32_t from, uint32_t to);
    /* The event goes on to a later stage of its flow. */
    void (*forward)(void *context, struct mill__pass *pass, const struct mill__stage *stage, uint32_t row);
};

struct mill__pass {
    const struct mill__plan *plan;
    const struct mill__flow *flow;
    uint32_t first_stage, last_stage;
    struct mill_view_table **tables; /* by view of the project; the task's */
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_rejects rejects;
    int64_t *newest_before; /* per row: the event time that no earlier row of its input (or of none of its upstream
                             * partitions) is behind by more than the lateness; INT64_MIN: not known. A function of the
                             * records before the row and of nothing else, so that folding them again closes the same
                             * windows at the same rows. */
    uint32_t use_count;
    const struct mill__plan_use **uses; /* of all stages of the pass, in order */
    struct mill_view_rows **rows;       /* per use */
    uint64_t **newest;                  /* per use: rows that are their entity's newest in this batch */
    struct mill_column *scores;         /* per model of the plan: of the rows scored so far; at NULL: none yet */
    uint32_t stepped, emitted;          /* rows */
    uint32_t step_use;                  /* uses of row `stepped` that are done already (after a failed call) */
};

void mill__pass_init(struct mill__pass *pass, const struct mill__plan *plan, const struct mill__flow *flow,
                     uint32_t first_stage, uint32_t last_stage, struct mill_view_table **tables);
void mill__pass_clear(struct mill__pass *pass);

void mill__pass_begin(struct mill__pass *pass, uint32_t row_capacity);
void mill__pass_prepare(struct mill__pass *pass);
/* Folds the next row (a dead one is passed over). Retriable errors leave it where it was: call again. */
int mill__pass_step(struct mill__pass *pass, struct mill_error *err) MILL_MUST_CHECK;
void mill__pass_emit(struct mill__pass *pass, const struct mill__sink *sink);

static inline bool mill__pass_has_rows(const struct mill__pass *pass)
{
    return pass->stepped < pass->batch.row_count;
}

static inline int64_t mill__pass_head_time(const struct mill__pass *pass)
{
    return pass->batch.event_time_us[pass->stepped];
}

/* Moves over dead rows, so that the head is a live row or the batch is done. */
void mill__pass_skip_dead(struct mill__pass *pass);

#endif
