/* SPDX-License-Identifier: Apache-2.0 */
/* Scores and labels out of batches; see labels_internal.h. */
#include "engine/labels_internal.h"

#include <math.h>

#include "engine/rekey_internal.h"

void mill__label_reader_clear(struct mill__label_reader *reader)
{
    mill_buffer_clear(&reader->key);
}

/* False where the key is null. */
static bool read_key(struct mill__label_reader *reader, const struct mill_column *column, uint32_t row)
{
    mill_buffer_reset(&reader->key);
    bool has_key = mill__rekey_key_text(column, row, &reader->key);
    reader->keyless += !has_key;
    return has_key;
}

void mill__label_reader_scores(struct mill__label_reader *reader, const struct mill_batch *batch,
                               const struct mill_column *score, uint32_t from, uint32_t to)
{
    const struct mill_column *keys = &batch->columns[reader->monitor->config->labels.score_field];

    for (uint32_t row = from; row < to; row++) {
        if (mill_bit_get(batch->live, row) && read_key(reader, keys, row)) {
            reader->each(reader->context,
                         &(struct mill__meeting){row, mill_buffer_slice(&reader->key), score->at.f[row], -1});
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

void mill__label_reader_labels(struct mill__label_reader *reader, const struct mill_batch *batch,
                               const struct mill_column *values, uint32_t from, uint32_t to)
{
    const struct mill_column *keys = &batch->columns[reader->monitor->config->labels.label_field];

    for (uint32_t row = from; row < to; row++) {
        int label = mill_bit_get(batch->live, row) ? label_of(values, row) : -2;
        reader->odd += label == -1;
        if (label >= 0 && read_key(reader, keys, row)) {
            reader->each(reader->context, &(struct mill__meeting){row, mill_buffer_slice(&reader->key), 0, label});
        }
    }
}

struct mill_column mill__label_values(const struct mill__plan_monitor *monitor, const struct mill_batch *batch)
{
    struct mill_column values;

    mill_column_init(&values, mill_expr_type(monitor->label), batch->row_capacity, batch->arena);
    mill_expr_eval(monitor->label, batch, 0, batch->row_count, &values, batch->arena);
    return values;
}

struct mill_join *mill__labels_join_new(const struct mill__plan_monitor *monitor, bool is_stored)
{
    const struct mill_label_config *config = &monitor->config->labels;
    double threshold = monitor->model->config->threshold;
    const struct mill_join_options options = {
        .horizon_us = config->horizon_us,
        .pane_us = monitor->spec.every_us,
        .threshold = isnan(threshold) ? 0.5 : threshold,
        .pending_max = config->pending_max,
        .is_stored = is_stored,
    };

    return mill_join_new(&options);
}

int64_t mill__join_watermark(const struct mill__join_side *a, const struct mill__join_side *b)
{
    if (a->is_asleep == b->is_asleep) {
        bool takes_a = (a->watermark_us < b->watermark_us) != a->is_asleep;
        return takes_a ? a->watermark_us : b->watermark_us;
    }
    return a->is_asleep ? b->watermark_us : a->watermark_us;
}
