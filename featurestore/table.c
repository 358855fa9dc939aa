/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of entity state: the public calls; see table_internal.h. */
#include <stdlib.h>

#include "featurestore/table_internal.h"

static uint32_t round_up(uint32_t n, uint32_t to)
{
    return (n + to - 1) / to * to;
}

static void lay_out_entity(struct mill_view_table *table)
{
    const struct mill_view *view = table->view;

    table->panes_offset = round_up((uint32_t)sizeof(struct mill__entity), 8);
    table->spans_offset = table->panes_offset + view->pane_set_count * (uint32_t)sizeof(struct mill__ring);
    table->states_offset = table->spans_offset + view->span_count * (uint32_t)sizeof(struct mill__span_state);
    table->entity_size = round_up(table->states_offset + view->states_size, 64);
}

static uint32_t scratch_size(const struct mill_view *view)
{
    uint32_t size = 8;

    for (uint32_t s = 0; s < view->span_count; s++) {
        for (uint32_t m = 0; m < view->spans[s].member_count; m++) {
            uint32_t n = view->spans[s].members[m].accumulator->size;
            size = n > size ? n : size;
        }
    }
    return size;
}

static void set_watermark(struct mill_view_table *table, int64_t watermark_us)
{
    const struct mill_view *view = table->view;

    table->watermark_us = watermark_us;
    for (uint32_t i = 0; i < view->pane_set_count; i++) {
        table->set_first[i] = INT64_MAX;
    }
    for (uint32_t s = 0; s < view->span_count; s++) {
        int64_t first = mill__window_first(&view->spans[s].window, watermark_us);
        uint32_t set = view->spans[s].pane_set;
        table->span_first[s] = first;
        if (set != MILL__NONE && first < table->set_first[set]) {
            table->set_first[set] = first;
        }
    }
}

int mill_view_table_open(const struct mill_view *view, const struct mill_view_table_options *options,
                         struct mill_view_table **ret_table, struct mill_error *err)
{
    struct mill_view_table *table = mill_calloc(1, sizeof(*table));

    mill_assert(options->entities_max > 0 && options->entities_max <= UINT32_MAX / 8);
    table->view = view;
    table->options = *options;
    table->flush_epoch = 1;
    lay_out_entity(table);
    table->record = mill_malloc(view->record_size);
    table->scratch = mill_malloc(scratch_size(view));
    table->span_first = mill_calloc(view->span_count, sizeof(int64_t));
    table->set_first = mill_calloc(view->pane_set_count, sizeof(int64_t));
    table->as_of = mill_calloc(view->span_count, sizeof(struct mill__as_of));
    set_watermark(table, INT64_MIN);
    mill__map_init(table);
    int rc = mill__table_look_for_cold(table, err);
    if (rc < 0) {
        mill_view_table_close(table);
        return rc;
    }
    *ret_table = table;
    return MILL_OK;
}

void mill_view_table_close(struct mill_view_table *table)
{
    if (table == NULL) {
        return;
    }
    mill__map_clear(table);
    mill__pool_clear(&table->pool);
    mill_buffer_clear(&table->key_buffer);
    mill_buffer_clear(&table->blob);
    free(table->dirty);
    free(table->record);
    free(table->scratch);
    free(table->span_first);
    free(table->set_first);
    free(table->as_of);
    free(table);
}

void mill_view_table_advance(struct mill_view_table *table, int64_t watermark_us)
{
    if (watermark_us > table->watermark_us) {
        set_watermark(table, watermark_us);
    }
}

static mill__value column_value(const struct mill_column *column, uint32_t row)
{
    switch (column->type) {
    case MILL_BOOL:
        return column->at.b[row] != 0;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        return (mill__value)column->at.i[row];
    case MILL_FLOAT64:
        return mill__value_of_double(column->at.f[row]);
    case MILL_STRING:
        break;
    }
    return 0;
}

static bool passes(const struct mill_column *condition, uint32_t row)
{
    return mill_bit_get(condition->valid, row) && condition->at.b[row] != 0;
}

/* The row as the event that is kept, in table->record. */
static void make_record(struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row,
                        const struct mill__order *order)
{
    const struct mill_view *view = table->view;
    void *record = table->record;

    memset(record, 0, view->record_size);
    *(struct mill__order *)record = *order;
    memset((char *)record + view->mask_offset, 0, view->values_offset - view->mask_offset);
    mill__value *values = mill__record_values(view, record);
    for (uint32_t i = 0; i < view->slot_count; i++) {
        const struct mill_column *column = &rows->shadow.columns[view->slots[i].column];
        if (mill_bit_get(column->valid, row)) {
            mill__record_set_bit(view, record, i);
            values[i] = column_value(column, row);
        }
    }
    for (uint32_t i = 0; i < view->lane_count; i++) {
        const struct mill__lane *lane = &view->lanes[i];
        if (mill_bit_get(rows->shadow.columns[lane->column].valid, row) &&
            (lane->where == MILL__NONE || passes(&rows->wheres[lane->where], row))) {
            mill__record_set_bit(view, record, view->slot_count + i);
        }
    }
}

static void note_newest(struct mill__entity *e, const struct mill_view_rows *rows, uint32_t row,
                        struct mill_fold_result *ret_result)
{
    ret_result->newest = true;
    ret_result->superseded_row = e->newest_serial == rows->serial ? e->newest_row : UINT32_MAX;
    e->newest_serial = rows->serial;
    e->newest_row = row;
}

static void advance_spans(struct mill_view_table *table, struct mill__entity *e)
{
    for (uint32_t s = 0; s < table->view->span_count; s++) {
        mill__span_advance(table, e, s, mill__span_clip(table, e, s, table->as_of[s].first_key));
    }
}

int mill_view_fold(struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row,
                   struct mill_fold_result *ret_result, struct mill_error *err)
{
    struct mill_slice key = rows->keys[row];
    struct mill__entity *e;

    mill_assert(rows->view == table->view && !rows->lookup && row < rows->batch->row_count);
    mill__map_prefetch(table, rows, row);
    if (key.n == 0) {
        mill__write_empty(table, rows, row);
        *ret_result = (struct mill_fold_result){.newest = false, .superseded_row = UINT32_MAX};
        return MILL_OK;
    }
    MILL_TRY(mill__table_find(table, key, rows->hashes[row], &e, err));
    if (e == NULL) {
        MILL_TRY(mill__table_make_room(table, err));
        e = mill__map_add(table, key, rows->hashes[row]);
    }
    struct mill__order order = mill__rows_order(rows, row);
    bool is_newest = mill__order_compare(&order, &e->newest) > 0;

    make_record(table, rows, row, &order);
    mill__table_set_time(table, order.time_us);
    mill__entity_close_events(table, e);
    if (is_newest) {
        advance_spans(table, e);
    }
    mill__entity_read(table, e, rows, row, &order, MILL__BEFORE_EVENT);
    mill__entity_insert(table, e, table->record);
    mill__entity_read(table, e, rows, row, &order, MILL__AFTER_EVENT);
    mill__table_mark_dirty(table, e);
    rows->slots[row] = e->slot;
    *ret_result = (struct mill_fold_result){.newest = false, .superseded_row = UINT32_MAX};
    if (is_newest) {
        note_newest(e, rows, row, ret_result);
    }
    return MILL_OK;
}

/* Features and hidden columns of the newest event; null where record is NULL. */
static void write_kept_columns(const struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row,
                               const void *record)
{
    const struct mill_view *view = table->view;

    for (uint32_t c = 0; c < view->schema.field_count; c++) {
        bool is_feature = c < view->spec->feature_count, is_hidden = c >= view->output_count;
        if (is_feature || is_hidden) {
            uint32_t slot = view->slot_of_view_column[c];
            bool has_value = record != NULL && slot != MILL__NONE && mill__record_bit(view, record, slot);
            mill__column_write(mill__rows_view_column(rows, c), row, has_value,
                               has_value ? mill__record_values(view, record)[slot] : 0);
        }
    }
}

int mill_view_lookup(struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row, struct mill_error *err)
{
    struct mill_slice key = rows->keys[row];
    struct mill__entity *e = NULL;
    const void *record = NULL;
    struct mill__order at = {.time_us = rows->batch->event_time_us[row], .offset = INT64_MAX, .partition = INT32_MAX};

    mill_assert(rows->view == table->view && rows->lookup && row < rows->batch->row_count);
    mill__map_prefetch(table, rows, row);
    if (key.n > 0) {
        MILL_TRY(mill__table_find(table, key, rows->hashes[row], &e, err));
    }
    if (e != NULL) {
        mill__entity_close_events(table, e);
        record = mill__entity_newest_at(table, e, at.time_us);
        int64_t ttl_us = table->view->spec->ttl_us;
        if (record != NULL && ttl_us > 0 && mill__record_time(record) < mill__time_minus(at.time_us, ttl_us)) {
            record = NULL;
        }
    }
    write_kept_columns(table, rows, row, record);
    if (record == NULL) {
        mill__write_empty(table, rows, row);
    } else {
        mill__table_set_time(table, at.time_us);
        mill__entity_read(table, e, rows, row, &at, MILL__LOOKUP);
    }
    return MILL_OK;
}

void mill_view_table_stats(const struct mill_view_table *table, struct mill_view_table_stats *ret_stats)
{
    uint64_t map_bytes = ((uint64_t)table->map_mask + 1) * sizeof(struct mill__map_entry);

    *ret_stats = (struct mill_view_table_stats){
        .entities = table->entity_count,
        .state_bytes = table->pool.used_bytes + map_bytes,
        .evicted = table->evicted,
        .cold_reads = table->cold_reads,
        .events_dropped = table->events_dropped,
    };
}
