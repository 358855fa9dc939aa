/* SPDX-License-Identifier: Apache-2.0 */
/* Rows into the join of scores and labels; see labels_internal.h. */
#include "engine/labels_internal.h"

#include <math.h>

#include "base/number.h"

void mill__labels_init(struct mill__labels *labels, const struct mill__plan_monitor *monitor)
{
    const struct mill_label_config *config = &monitor->config->labels;
    double threshold = monitor->model->config->threshold;
    const struct mill_join_options options = {
        .horizon_us = config->horizon_us,
        .pane_us = monitor->spec.every_us,
        .threshold = isnan(threshold) ? 0.5 : threshold,
        .pending_max = config->pending_max,
    };

    *labels = (struct mill__labels){.monitor = monitor, .join = mill_join_new(&options)};
}

void mill__labels_clear(struct mill__labels *labels)
{
    mill_join_free(labels->join);
    mill_buffer_clear(&labels->key);
    *labels = (struct mill__labels){0};
}

/* The text of the key, as producers write keys; false where it is null. */
static bool read_key(struct mill__labels *labels, const struct mill_column *column, uint32_t row)
{
    struct mill_buffer *key = &labels->key;

    if (!mill_bit_get(column->valid, row)) {
        labels->keyless++;
        return false;
    }
    mill_buffer_reset(key);
    if (column->type == MILL_STRING) {
        mill_buffer_add_slice(key, column->at.s[row]);
    } else {
        key->n += mill_number_print_int64(column->at.i[row], mill_buffer_reserve(key, MILL_NUMBER_TEXT_MAX));
    }
    return true;
}

/* Files have one partition. */
static struct mill_join_origin origin_of(const struct mill_batch *batch, uint32_t row)
{
    return (struct mill_join_origin){0, batch->offset[row]};
}

void mill__labels_add_scores(struct mill__labels *labels, const struct mill_batch *batch,
                             const struct mill_column *score, uint32_t from, uint32_t to)
{
    const struct mill_column *keys = &batch->columns[labels->monitor->config->labels.score_field];

    for (uint32_t row = from; row < to; row++) {
        if (mill_bit_get(batch->live, row) && read_key(labels, keys, row)) {
            struct mill_join_origin origin = origin_of(batch, row);
            mill_join_score(labels->join, mill_buffer_slice(&labels->key), batch->event_time_us[row], score->at.f[row],
                            &origin);
        }
    }
}

/* 0 or 1; -1 where it is neither, -2 where it is null. */
static int label_of(const struct mill_column *column, uint32_t row)
{
    if (!mill_bit_get(column->valid, row)) {
        return -2;
    }
    if (column->type == MILL_BOOL) {
        return column->at.b[row] != 0;
    }
    double value = column->type == MILL_FLOAT64 ? column->at.f[row] : (double)column->at.i[row];
    return value == 0 ? 0 : value == 1 ? 1 : -1;
}

void mill__labels_add(struct mill__labels *labels, const struct mill_batch *batch)
{
    const struct mill_column *keys = &batch->columns[labels->monitor->config->labels.label_field];
    struct mill_column values;

    mill_column_init(&values, mill_expr_type(labels->monitor->label), batch->row_capacity, batch->arena);
    mill_expr_eval(labels->monitor->label, batch, 0, batch->row_count, &values, batch->arena);
    for (uint32_t row = 0; row < batch->row_count; row++) {
        int label = mill_bit_get(batch->live, row) ? label_of(&values, row) : -2;
        labels->odd += label == -1;
        if (label >= 0 && read_key(labels, keys, row)) {
            struct mill_join_origin origin = origin_of(batch, row);
            mill_join_label(labels->join, mill_buffer_slice(&labels->key), batch->event_time_us[row], label, &origin);
        }
    }
}
