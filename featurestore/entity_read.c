/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading windows as of a time. Where nothing newer than the reading is in the entity's state, the running window
 * answers; else panes and events are merged on the spot, up to the time asked for.
 */
#include "featurestore/table_internal.h"

/* What a reading may see: elements with first_key <= key and time <= last_us, and, where `before` is given, only
 * events in front of it. */
struct bound {
    int64_t first_key, last_us;
    const struct mill__order *before;
};

void mill__table_set_time(struct mill_view_table *table, int64_t t)
{
    for (uint32_t i = 0; i < table->view->span_count; i++) {
        const struct mill__window *window = &table->view->spans[i].window;
        int64_t first = mill__window_first(window, t);
        /* What lies before the windows of the watermark may be gone, so it must not show while it is still there. */
        table->as_of[i].first_key = first > table->span_first[i] ? first : table->span_first[i];
        table->as_of[i].last_us = mill__window_last(window, t);
    }
}

void mill__column_write(struct mill_column *column, uint32_t row, bool has_value, mill__value value)
{
    if (!has_value) {
        value = 0;
        mill_bit_clear(column->valid, row);
    } else {
        mill_bit_set(column->valid, row);
    }
    if (column->type == MILL_BOOL) {
        column->at.b[row] = value != 0;
    } else if (column->type == MILL_STRING) {
        column->at.s[row] = (struct mill_slice){0};
    } else {
        column->at.i[row] = (int64_t)value; /* the bits of a double, too: see mill__value */
    }
}

static void write_reading(const struct mill__reading *r, struct mill_view_rows *rows, uint32_t row, int64_t at_us,
                          const void *state)
{
    mill__value value = 0;
    bool has_value = r->aggregate->result(state, r->column_type, at_us, &value);

    mill__column_write(mill__rows_view_column(rows, r->view_column), row, has_value, value);
}

static void drop_scratch(struct mill_view_table *table, const struct mill__accumulator *a)
{
    if (a->clear != NULL) {
        a->clear(table->scratch);
    }
}

static const void *merge_stacks(struct mill_view_table *table, struct mill__entity *e, const struct mill__reading *r,
                                const struct mill__member *member)
{
    const struct mill__span *span = &table->view->spans[r->span];
    const struct mill__span_state *state = &mill__entity_spans(table, e)[r->span];
    const char *states = mill__entity_states(table, e) + span->state_offset;
    const char *back = states + member->run_offset;

    if (state->fronts.count == 0) {
        return back;
    }
    const char *front = states + span->run_size + member->front_offset;
    if (state->back_min_us == INT64_MAX) {
        return front;
    }
    member->accumulator->init(table->scratch);
    member->accumulator->merge(table->scratch, front);
    member->accumulator->merge(table->scratch, back);
    return table->scratch;
}

static void read_running(struct mill_view_table *table, struct mill__entity *e, const struct mill__reading *r,
                         struct mill_view_rows *rows, uint32_t row, int64_t at_us)
{
    const struct mill__span *span = &table->view->spans[r->span];
    const struct mill__member *member = &span->members[r->member];

    if (member->front_offset == MILL__NONE) {
        write_reading(r, rows, row, at_us, mill__entity_states(table, e) + span->state_offset + member->run_offset);
        return;
    }
    const void *state = merge_stacks(table, e, r, member);
    write_reading(r, rows, row, at_us, state);
    if (state == table->scratch) {
        drop_scratch(table, member->accumulator);
    }
}

static void merge_panes(struct mill_view_table *table, struct mill__entity *e, const struct mill__span *span,
                        const struct mill__member *member, const struct bound *bound)
{
    const struct mill__pane_set *set = &table->view->pane_sets[span->pane_set];
    const struct mill__ring *panes = &mill__entity_panes(table, e)[span->pane_set];
    int64_t last_key = mill__hop_key(set->hop_us, bound->last_us);

    for (uint32_t i = mill__panes_lower_bound(panes, set->pane_size, bound->first_key); i < panes->count; i++) {
        const char *pane = mill__ring_at(panes, i, set->pane_size);
        if (mill__pane_key(pane) > last_key) {
            break;
        }
        member->accumulator->merge(table->scratch, pane + member->pane_offset);
    }
}

static void read_by_merging(struct mill_view_table *table, struct mill__entity *e, const struct mill__reading *r,
                            struct mill_view_rows *rows, uint32_t row, int64_t at_us, const struct bound *bound)
{
    const struct mill_view *view = table->view;
    const struct mill__span *span = &view->spans[r->span];
    const struct mill__member *member = &span->members[r->member];
    bool is_raw = span->pane_set == MILL__NONE;

    member->accumulator->init(table->scratch);
    if (!is_raw) {
        merge_panes(table, e, span, member, bound);
    }
    uint32_t i = mill__events_lower_bound(table, e, is_raw ? 0 : e->closed_count, bound->first_key);
    for (; i < e->events.count; i++) {
        const void *record = mill__event_at(table, e, i);
        const struct mill__order *order = mill__record_order(record);
        if (order->time_us > bound->last_us ||
            (bound->before != NULL && mill__order_compare(order, bound->before) >= 0)) {
            break;
        }
        if (mill__record_in_lane(view, record, member->lane)) {
            member->accumulator->add(table->scratch, order, mill__record_lane_value(view, record, member->lane));
        }
    }
    write_reading(r, rows, row, at_us, table->scratch);
    drop_scratch(table, member->accumulator);
}

void mill__entity_read(struct mill_view_table *table, struct mill__entity *e, struct mill_view_rows *rows, uint32_t row,
                       const struct mill__order *at, enum mill__phase phase)
{
    for (uint32_t i = 0; i < table->view->reading_count; i++) {
        const struct mill__reading *r = &table->view->readings[i];
        if (phase != MILL__LOOKUP && r->before_event != (phase == MILL__BEFORE_EVENT)) {
            continue;
        }
        struct bound bound = {
            .first_key = mill__span_clip(table, e, r->span, table->as_of[r->span].first_key),
            .last_us = table->as_of[r->span].last_us,
            .before = phase == MILL__BEFORE_EVENT ? at : NULL,
        };
        bool is_running = e->newest.time_us <= bound.last_us &&
                          (bound.before == NULL || mill__order_compare(&e->newest, bound.before) < 0);
        if (is_running) {
            mill__span_advance(table, e, r->span, bound.first_key);
            read_running(table, e, r, rows, row, at->time_us);
        } else {
            read_by_merging(table, e, r, rows, row, at->time_us, &bound);
        }
    }
}

void mill__write_empty(struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row)
{
    for (uint32_t i = 0; i < table->view->reading_count; i++) {
        const struct mill__reading *r = &table->view->readings[i];
        const struct mill__accumulator *a = table->view->spans[r->span].members[r->member].accumulator;
        a->init(table->scratch);
        write_reading(r, rows, row, 0, table->scratch);
        drop_scratch(table, a);
    }
}
