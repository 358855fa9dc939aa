/* SPDX-License-Identifier: Apache-2.0 */
/* One batch through the stages; see pass_internal.h. */
#include "engine/pass_internal.h"

#include <stdlib.h>

void mill__pass_init(struct mill__pass *pass, const struct mill__plan *plan, const struct mill__flow *flow,
                     uint32_t first_stage, uint32_t last_stage, struct mill_view_table **tables)
{
    *pass = (struct mill__pass){
        .plan = plan, .flow = flow, .first_stage = first_stage, .last_stage = last_stage, .tables = tables};
    mill_arena_init(&pass->arena, 0);
    for (uint32_t s = first_stage; s <= last_stage; s++) {
        pass->use_count += flow->stages[s].use_count;
    }
    pass->uses = mill_calloc(pass->use_count, sizeof(const struct mill__plan_use *));
    pass->rows = mill_calloc(pass->use_count, sizeof(struct mill_view_rows *));
    pass->newest = mill_calloc(pass->use_count, sizeof(uint64_t *));
    uint32_t n = 0;
    for (uint32_t s = first_stage; s <= last_stage; s++) {
        for (uint32_t u = 0; u < flow->stages[s].use_count; u++) {
            pass->uses[n++] = &flow->stages[s].uses[u];
        }
    }
}

void mill__pass_clear(struct mill__pass *pass)
{
    mill_arena_clear(&pass->arena);
    free(pass->uses);
    free(pass->rows);
    free(pass->newest);
    *pass = (struct mill__pass){0};
}

void mill__pass_begin(struct mill__pass *pass, uint32_t row_capacity)
{
    mill_arena_reset(&pass->arena);
    mill_batch_init(&pass->batch, &pass->flow->schema, row_capacity, &pass->arena);
    mill_rejects_init(&pass->rejects, &pass->arena);
    pass->newest_before = mill_arena_array(&pass->arena, int64_t, row_capacity);
    for (uint32_t row = 0; row < row_capacity; row++) {
        pass->newest_before[row] = INT64_MIN;
    }
    pass->scores = mill_arena_zarray(&pass->arena, struct mill_column, pass->plan->model_count);
    pass->stepped = pass->emitted = pass->step_use = 0;
}

void mill__pass_prepare(struct mill__pass *pass)
{
    for (uint32_t u = 0; u < pass->use_count; u++) {
        pass->rows[u] = mill_view_prepare(&pass->uses[u]->use, &pass->batch);
        pass->newest[u] = mill_arena_zarray(&pass->arena, uint64_t, mill_bit_words(pass->batch.row_capacity));
    }
}

static int fold(struct mill__pass *pass, uint32_t u, uint32_t row, struct mill_error *err)
{
    struct mill_view_table *table = pass->tables[pass->uses[u]->view];
    struct mill_fold_result result;

    if (pass->newest_before[row] != INT64_MIN) {
        mill_view_table_advance(table,
                                pass->newest_before[row] - mill_view_spec_of(pass->uses[u]->use.view)->lateness_us);
    }
    MILL_TRY(mill_view_fold(table, pass->rows[u], row, &result, err));
    if (result.newest) {
        mill_bit_set(pass->newest[u], row);
        if (result.superseded_row != UINT32_MAX) {
            mill_bit_clear(pass->newest[u], result.superseded_row);
        }
    }
    return MILL_OK;
}

/* Half a row can neither be written nor folded again, so all that can fail is done before anything has changed. */
static int reserve(struct mill__pass *pass, uint32_t row, struct mill_error *err)
{
    for (uint32_t u = 0; u < pass->use_count; u++) {
        MILL_TRY(mill_view_reserve(pass->tables[pass->uses[u]->view], pass->rows[u], row, err));
    }
    return MILL_OK;
}

int mill__pass_step(struct mill__pass *pass, struct mill_error *err)
{
    uint32_t row = pass->stepped;

    mill_assert(row < pass->batch.row_count);
    if (mill_bit_get(pass->batch.live, row)) {
        if (pass->step_use == 0 && pass->use_count > 1) {
            MILL_TRY(reserve(pass, row, err));
        }
        for (; pass->step_use < pass->use_count; pass->step_use++) {
            uint32_t u = pass->step_use;
            if (pass->uses[u]->use.lookup) {
                MILL_TRY(mill_view_lookup(pass->tables[pass->uses[u]->view], pass->rows[u], row, err));
            } else {
                MILL_TRY(fold(pass, u, row, err));
            }
        }
    }
    pass->step_use = 0;
    pass->stepped++;
    return MILL_OK;
}

void mill__pass_skip_dead(struct mill__pass *pass)
{
    while (pass->stepped < pass->batch.row_count && !mill_bit_get(pass->batch.live, pass->stepped)) {
        pass->stepped++;
    }
}

/* The first stage behind the pass that the row can go to (its key there is not null), or the flow's stage count. */
static uint32_t next_stage(const struct mill__pass *pass, uint32_t row)
{
    uint32_t s = pass->last_stage + 1;
    for (; s < pass->flow->stage_count; s++) {
        const struct mill__stage *stage = &pass->flow->stages[s];
        bool has_key = true;
        for (uint32_t k = 0; k < stage->entity->key_count; k++) {
            has_key &= mill_bit_get(pass->batch.columns[stage->key_columns[k]].valid, row);
        }
        if (has_key) {
            break;
        }
    }
    return s;
}

static void emit_rows(struct mill__pass *pass, const struct mill__sink *sink, uint32_t from, uint32_t to)
{
    for (uint32_t u = 0; u < pass->use_count; u++) {
        if (pass->uses[u]->use.lookup) {
            continue;
        }
        for (uint32_t row = from; row < to; row++) {
            if (!mill_bit_get(pass->batch.live, row)) {
                continue;
            }
            if (mill_view_rows_key(pass->rows[u], row).n > 0) {
                sink->row(sink->context, pass, u, row, mill_bit_get(pass->newest[u], row));
            }
        }
    }
}

/* The column of a model's scores, where it has one a row. */
static struct mill_column *score_column(struct mill__pass *pass, uint32_t m)
{
    struct mill_column *column = &pass->scores[m];

    if (pass->plan->models[m].output_count != 1) {
        return NULL;
    }
    if (column->at.raw == NULL) {
        mill_column_init(column, MILL_FLOAT64, pass->batch.row_capacity, &pass->arena);
        memset(column->valid, 0xff, mill_bit_words(pass->batch.row_capacity) * sizeof(uint64_t));
    }
    return column;
}

static void score_range(struct mill__pass *pass, const struct mill__sink *sink, uint32_t m, uint32_t from, uint32_t to)
{
    const struct mill__plan_model *model = &pass->plan->models[m];
    const struct mill_column *column = score_column(pass, m);
    double *values = column != NULL ? column->at.f + from
                                    : mill_arena_array(&pass->arena, double, (size_t)(to - from) * model->output_count);

    if (model->model != NULL) {
        mill_model_score(model->model, &model->input, &pass->batch, from, to, MILL_MODEL_PREDICTION, values);
    }
    if (sink->scored != NULL) {
        sink->scored(sink->context, pass, model, column, from, to);
    }
    for (uint32_t row = from; row < to; row++) {
        if (mill_bit_get(pass->batch.live, row)) {
            sink->score(sink->context, pass, model, row, values + (size_t)(row - from) * model->output_count);
        }
    }
}

/* Models complete after the stages of this pass score every row. Those of later stages score here the rows that cannot
 * go there (their key is null): row_next says where each row goes. */
static void emit_scores(struct mill__pass *pass, const struct mill__sink *sink, uint32_t from, uint32_t to,
                        const uint32_t *row_next)
{
    for (uint32_t m = 0; m < pass->plan->model_count; m++) {
        const struct mill__plan_model *model = &pass->plan->models[m];
        if (model->config->source != pass->flow->source || model->stage < pass->first_stage) {
            continue;
        }
        if (model->stage <= pass->last_stage) {
            score_range(pass, sink, m, from, to);
            continue;
        }
        for (uint32_t row = from; row < to; row++) {
            if (row_next[row - from] > model->stage) {
                score_range(pass, sink, m, row, row + 1);
            }
        }
    }
}

static void clear_cells(struct mill_batch *batch, uint32_t first, uint32_t count, uint32_t row)
{
    for (uint32_t c = first; c < first + count; c++) {
        struct mill_column *column = &batch->columns[c];
        mill_bit_clear(column->valid, row);
        if (column->type == MILL_BOOL) {
            column->at.b[row] = 0;
        } else if (column->type == MILL_STRING) {
            column->at.s[row] = (struct mill_slice){0};
        } else {
            column->at.i[row] = 0;
        }
    }
}

/* A row without the key of a later stage does not get there in the stream, and has nothing of it here either. */
static void clear_keyless(struct mill__pass *pass, uint32_t from, uint32_t to)
{
    uint32_t u = 0;

    for (uint32_t s = pass->first_stage; s <= pass->last_stage; s++) {
        for (uint32_t end = u + pass->flow->stages[s].use_count; u < end; u++) {
            uint32_t count = mill_view_schema(pass->uses[u]->use.view)->field_count;
            for (uint32_t row = from; s > 0 && row < to; row++) {
                if (mill_view_rows_key(pass->rows[u], row).n == 0) {
                    clear_cells(&pass->batch, pass->uses[u]->use.first_column, count, row);
                }
            }
        }
    }
}

void mill__pass_emit(struct mill__pass *pass, const struct mill__sink *sink)
{
    uint32_t from = pass->emitted;
    uint32_t to = pass->stepped;
    if (from == to) {
        return;
    }
    for (uint32_t u = 0; u < pass->use_count; u++) {
        mill_view_finish(pass->rows[u], from, to);
    }
    clear_keyless(pass, from, to);
    uint32_t *row_next = mill_arena_array(&pass->arena, uint32_t, to - from);
    for (uint32_t row = from; row < to; row++) {
        row_next[row - from] = next_stage(pass, row);
    }
    emit_rows(pass, sink, from, to);
    emit_scores(pass, sink, from, to, row_next);
    for (uint32_t row = from; row < to; row++) {
        uint32_t next = row_next[row - from];
        if (next < pass->flow->stage_count && mill_bit_get(pass->batch.live, row)) {
            sink->forward(sink->context, pass, &pass->flow->stages[next], row);
        }
    }
    pass->emitted = to;
}
