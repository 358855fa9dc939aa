/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The events of an entity: a sorted log whose older part is closed into panes; see table_internal.h.
 *
 * Nothing here depends on when it is called, only on the events so far and the watermark at each use: an entity that
 * was written to the store and read back in between is the same.
 */
#include "featurestore/table_internal.h"

void mill__entity_init(const struct mill_view_table *table, struct mill__entity *e)
{
    const struct mill_view *view = table->view;

    memset(e, 0, table->entity_size);
    e->newest.time_us = INT64_MIN;
    e->newest.offset = INT64_MIN;
    e->newest.partition = INT32_MIN;
    e->open_min_us = INT64_MAX;
    e->raw_floor_us = INT64_MIN;
    for (uint32_t s = 0; s < view->span_count; s++) {
        const struct mill__span *span = &view->spans[s];
        char *states = mill__entity_states(table, e) + span->state_offset;
        mill__entity_spans(table, e)[s] =
            (struct mill__span_state){.first_key = INT64_MAX, .oldest_us = INT64_MAX, .back_min_us = INT64_MAX};
        for (uint32_t m = 0; m < span->member_count; m++) {
            const struct mill__member *member = &span->members[m];
            member->accumulator->init(states + member->run_offset);
            if (member->front_offset != MILL__NONE) {
                member->accumulator->init(states + span->run_size + member->front_offset);
            }
        }
    }
}

static void clear_cells(const struct mill__pane_set *set, char *pane)
{
    for (uint32_t c = 0; c < set->cell_count; c++) {
        if (set->cells[c].accumulator->clear != NULL) {
            set->cells[c].accumulator->clear(pane + set->cells[c].offset);
        }
    }
}

static void clear_states(const struct mill_view_table *table, struct mill__entity *e)
{
    for (uint32_t s = 0; s < table->view->span_count; s++) {
        const struct mill__span *span = &table->view->spans[s];
        char *states = mill__entity_states(table, e) + span->state_offset;
        for (uint32_t m = 0; m < span->member_count; m++) {
            const struct mill__member *member = &span->members[m];
            if (member->accumulator->clear == NULL) {
                continue;
            }
            member->accumulator->clear(states + member->run_offset);
            if (member->front_offset != MILL__NONE) {
                member->accumulator->clear(states + span->run_size + member->front_offset);
            }
        }
    }
}

void mill__entity_clear(struct mill_view_table *table, struct mill__entity *e)
{
    const struct mill_view *view = table->view;

    for (uint32_t s = 0; s < view->span_count; s++) {
        mill__span_reset(table, e, s);
        mill__ring_clear(&mill__entity_spans(table, e)[s].fronts, &table->pool);
    }
    clear_states(table, e);
    for (uint32_t i = 0; i < view->pane_set_count; i++) {
        struct mill__ring *panes = &mill__entity_panes(table, e)[i];
        for (uint32_t p = 0; p < panes->count; p++) {
            clear_cells(&view->pane_sets[i], mill__ring_at(panes, p, view->pane_sets[i].pane_size));
        }
        mill__ring_clear(panes, &table->pool);
    }
    mill__ring_clear(&e->events, &table->pool);
    mill__entity_keep_row(table, e, (struct mill_slice){0});
    if (e->key_length > MILL__KEY_INLINE) {
        mill__pool_give(&table->pool, e->key.block, e->key_length);
    }
    e->used = false;
}

uint32_t mill__events_lower_bound(const struct mill_view_table *table, const struct mill__entity *e, uint32_t from,
                                  int64_t time_us)
{
    uint32_t low = from, high = e->events.count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mill__record_time(mill__event_at(table, e, middle)) < time_us) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint32_t mill__panes_lower_bound(const struct mill__ring *panes, uint32_t pane_size, int64_t key)
{
    uint32_t low = 0, high = panes->count;

    if (high > 0 && mill__pane_key(mill__ring_at(panes, 0, pane_size)) >= key) {
        return 0; /* what leaves a window is mostly the oldest */
    }
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (mill__pane_key(mill__ring_at(panes, middle, pane_size)) < key) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The pane of that key, made where it is missing. */
static char *pane_of(struct mill_view_table *table, const struct mill__pane_set *set, struct mill__ring *panes,
                     int64_t key)
{
    uint32_t i = panes->count;

    if (i > 0) {
        char *last = mill__ring_at(panes, i - 1, set->pane_size);
        if (mill__pane_key(last) == key) {
            return last;
        }
        if (mill__pane_key(last) > key) {
            i = mill__panes_lower_bound(panes, set->pane_size, key);
            char *pane = mill__ring_at(panes, i, set->pane_size);
            if (mill__pane_key(pane) == key) {
                return pane;
            }
        }
    }
    char *pane = mill__ring_insert(panes, &table->pool, i, set->pane_size);
    memcpy(pane, &key, sizeof(key));
    for (uint32_t c = 0; c < set->cell_count; c++) {
        set->cells[c].accumulator->init(pane + set->cells[c].offset);
    }
    return pane;
}

static void add_to_panes(struct mill_view_table *table, struct mill__entity *e, const void *record)
{
    const struct mill_view *view = table->view;

    for (uint32_t i = 0; i < view->pane_set_count; i++) {
        const struct mill__pane_set *set = &view->pane_sets[i];
        int64_t key = mill__hop_key(set->hop_us, mill__record_time(record));
        if (key < table->set_first[i]) {
            continue;
        }
        char *pane = NULL;
        for (uint32_t c = 0; c < set->cell_count; c++) {
            const struct mill__cell *cell = &set->cells[c];
            if (mill__record_in_lane(view, record, cell->lane)) {
                pane = pane != NULL ? pane : pane_of(table, set, &mill__entity_panes(table, e)[i], key);
                cell->accumulator->add(pane + cell->offset, mill__record_order(record),
                                       mill__record_lane_value(view, record, cell->lane));
            }
        }
    }
}

/* Running windows first let go of what is about to be dropped. */
static void advance_to_watermark(struct mill_view_table *table, struct mill__entity *e)
{
    for (uint32_t s = 0; s < table->view->span_count; s++) {
        const struct mill__span_state *state = &mill__entity_spans(table, e)[s];
        int64_t first = mill__span_clip(table, e, s, table->span_first[s]);
        if (state->first_key < first) {
            mill__span_advance(table, e, s, first);
        }
    }
}

static void trim_events(struct mill_view_table *table, struct mill__entity *e)
{
    int64_t keep_from = table->watermark_us;

    if (table->view->raw_width_max_us >= 0) {
        keep_from = mill__time_minus(table->watermark_us, table->view->raw_width_max_us);
    }
    /* The newest closed event stays in any case: lookups want its features. */
    while (e->closed_count > 1 && mill__record_time(mill__event_at(table, e, 0)) < keep_from) {
        mill__ring_drop_front(&e->events);
        e->closed_count--;
    }
    mill__ring_shrink(&e->events, &table->pool, table->view->record_size);
}

static void trim_panes(struct mill_view_table *table, struct mill__entity *e)
{
    for (uint32_t i = 0; i < table->view->pane_set_count; i++) {
        const struct mill__pane_set *set = &table->view->pane_sets[i];
        struct mill__ring *panes = &mill__entity_panes(table, e)[i];
        int64_t first = table->set_first[i];
        while (panes->count > 0 && mill__pane_key(mill__ring_at(panes, 0, set->pane_size)) < first) {
            clear_cells(set, mill__ring_at(panes, 0, set->pane_size));
            mill__ring_drop_front(panes);
        }
        mill__ring_shrink(panes, &table->pool, set->pane_size);
    }
}

static void update_open_min(const struct mill_view_table *table, struct mill__entity *e)
{
    e->open_min_us =
        e->closed_count < e->events.count ? mill__record_time(mill__event_at(table, e, e->closed_count)) : INT64_MAX;
}

void mill__entity_close_events(struct mill_view_table *table, struct mill__entity *e)
{
    if (e->open_min_us >= table->watermark_us) {
        return;
    }
    advance_to_watermark(table, e);
    while (e->closed_count < e->events.count) {
        const void *record = mill__event_at(table, e, e->closed_count);
        if (mill__record_time(record) >= table->watermark_us) {
            break;
        }
        add_to_panes(table, e, record);
        e->closed_count++;
    }
    trim_events(table, e);
    trim_panes(table, e);
    update_open_min(table, e);
}

/* One event too many (events_max): the oldest goes. Panes keep it; raw windows begin behind it from now on. */
static void drop_oldest(struct mill_view_table *table, struct mill__entity *e)
{
    const struct mill_view *view = table->view;
    const void *oldest = mill__event_at(table, e, 0);
    int64_t time_us = mill__record_time(oldest);
    bool is_tied = mill__record_time(mill__event_at(table, e, 1)) == time_us;

    if (e->closed_count == 0) {
        add_to_panes(table, e, oldest);
    } else {
        e->closed_count--;
    }
    int64_t floor_us = is_tied || time_us == INT64_MAX ? time_us : time_us + 1;
    for (uint32_t s = 0; s < view->span_count; s++) {
        const struct mill__span_state *state = &mill__entity_spans(table, e)[s];
        if (view->spans[s].pane_set == MILL__NONE && state->first_key < floor_us) {
            mill__span_advance(table, e, s, floor_us);
        }
        if (view->spans[s].pane_set == MILL__NONE && is_tied) {
            mill__span_reset(table, e, s);
        }
    }
    e->raw_floor_us = floor_us > e->raw_floor_us ? floor_us : e->raw_floor_us;
    if (view->raw_width_max_us >= 0 && time_us >= mill__time_minus(table->watermark_us, view->raw_width_max_us)) {
        table->events_dropped++; /* a window may have wanted it */
    }
    mill__ring_drop_front(&e->events);
    update_open_min(table, e);
}

static void insert_into_log(struct mill_view_table *table, struct mill__entity *e, const void *record, bool is_closed)
{
    const struct mill_view *view = table->view;
    uint32_t i = e->events.count;

    while (i > 0 &&
           mill__order_compare(mill__record_order(mill__event_at(table, e, i - 1)), mill__record_order(record)) > 0) {
        i--;
    }
    memcpy(mill__ring_insert(&e->events, &table->pool, i, view->record_size), record, view->record_size);
    if (is_closed) {
        mill_assert(i <= e->closed_count);
        e->closed_count++;
    } else {
        mill_assert(i >= e->closed_count);
        int64_t time_us = mill__record_time(record);
        e->open_min_us = time_us < e->open_min_us ? time_us : e->open_min_us;
    }
}

/* Behind the watermark: into the panes, and into the log where a raw window or a lookup may still want it. */
static void insert_late(struct mill_view_table *table, struct mill__entity *e, const void *record)
{
    const struct mill_view *view = table->view;
    int64_t time_us = mill__record_time(record);

    advance_to_watermark(table, e);
    add_to_panes(table, e, record);
    bool is_newest = e->closed_count == 0 ||
                     mill__order_compare(mill__record_order(record),
                                         mill__record_order(mill__event_at(table, e, e->closed_count - 1))) > 0;
    bool is_raw =
        view->raw_width_max_us >= 0 && time_us >= mill__time_minus(table->watermark_us, view->raw_width_max_us);
    if (is_newest || is_raw) { /* newest of the closed ones */
        insert_into_log(table, e, record, true);
        trim_events(table, e);
    }
}

/* An entity read from the store may have been closed by a watermark that the table has yet to reach again. */
static bool is_late(const struct mill_view_table *table, const struct mill__entity *e, int64_t time_us)
{
    return time_us < table->watermark_us ||
           (e->closed_count > 0 && time_us <= mill__record_time(mill__event_at(table, e, e->closed_count - 1)));
}

void mill__entity_insert(struct mill_view_table *table, struct mill__entity *e, const void *record)
{
    const struct mill_view *view = table->view;

    if (is_late(table, e, mill__record_time(record))) {
        insert_late(table, e, record);
    } else {
        insert_into_log(table, e, record, false);
    }
    for (uint32_t s = 0; s < view->span_count; s++) {
        mill__span_add(table, e, s, record);
    }
    if (mill__order_compare(mill__record_order(record), &e->newest) > 0) {
        e->newest = *mill__record_order(record);
    }
    if (view->spec->events_max > 0 && e->events.count > view->spec->events_max && e->events.count > 1) {
        drop_oldest(table, e);
    }
}

/* Behind the watermark only the newest closed event is sure to be there; no older one may show by chance. */
const void *mill__entity_newest_at(const struct mill_view_table *table, const struct mill__entity *e, int64_t t)
{
    uint32_t end = e->events.count, last_closed = e->closed_count > 0 ? e->closed_count - 1 : 0;

    while (end > last_closed) {
        const void *record = mill__event_at(table, e, end - 1);
        if (mill__record_time(record) <= t) {
            return record;
        }
        end--;
    }
    return NULL;
}
