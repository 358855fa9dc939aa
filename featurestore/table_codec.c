/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An entity's state as bytes, for the key-value store:
 *
 *   u8 version (2) | u32 low half of the view's state hash | varint size of the kept row, the row (online_row.c) |
 *   body | u32 low half of XXH3-64 of all before it
 *
 * Version 1 is the same without the row.
 *
 *   body:  zig-zag raw floor
 *          varint closed count, varint event count, the events in order: time, partition and offset as zig-zag
 *          differences to the event before, mask bytes, then the values that the mask has: float64 as 8 bytes, others
 *          as zig-zag
 *          per pane set: varint pane count, the panes in order: zig-zag difference of the key to the pane before,
 *          then the states of its cells
 *
 * Running windows are not written. The entity's newest event is the last of the log: the log is never empty.
 */
#include "base/hash.h"
#include "featurestore/table_internal.h"

enum { STATE_VERSION = 2, STATE_VERSION_WITHOUT_ROW = 1, CHECKSUM_SIZE = 4 };

/* Differences wrap like the sums that undo them, so that any time fits. */
static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t sum(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

static void write_event(const struct mill_view *view, const void *record, struct mill__order *previous,
                        struct mill_buffer *out)
{
    const struct mill__order *order = mill__record_order(record);
    const mill__value *values = mill__record_values(view, record);

    mill_buffer_add_zigzag(out, difference(order->time_us, previous->time_us));
    mill_buffer_add_zigzag(out, (int64_t)order->partition - previous->partition);
    mill_buffer_add_zigzag(out, difference(order->offset, previous->offset));
    mill_buffer_add(out, (const char *)record + view->mask_offset, (view->slot_count + view->lane_count + 7) / 8);
    for (uint32_t i = 0; i < view->slot_count; i++) {
        if (!mill__record_bit(view, record, i)) {
            continue;
        }
        if (view->slots[i].type == MILL_FLOAT64) {
            mill_buffer_add_u64(out, values[i]);
        } else {
            mill_buffer_add_zigzag(out, (int64_t)values[i]);
        }
    }
    *previous = *order;
}

static void write_panes(const struct mill__pane_set *set, const struct mill__ring *panes, struct mill_buffer *out)
{
    int64_t previous = 0;

    mill_buffer_add_varint(out, panes->count);
    for (uint32_t i = 0; i < panes->count; i++) {
        const char *pane = mill__ring_at(panes, i, set->pane_size);
        mill_buffer_add_zigzag(out, difference(mill__pane_key(pane), previous));
        previous = mill__pane_key(pane);
        for (uint32_t c = 0; c < set->cell_count; c++) {
            set->cells[c].accumulator->write(pane + set->cells[c].offset, out);
        }
    }
}

void mill__entity_write(struct mill_view_table *table, struct mill__entity *e, struct mill_buffer *out)
{
    const struct mill_view *view = table->view;
    struct mill__order previous = {0};
    size_t start = out->n;

    mill__entity_close_events(table, e); /* makes it small, and is what its next use would do first */
    mill_assert(e->events.count > 0);
    mill_buffer_add_byte(out, STATE_VERSION);
    mill_buffer_add_u32(out, (uint32_t)view->state_hash);
    mill_buffer_add_varint(out, e->row_n);
    mill_buffer_add(out, e->row, e->row_n);
    mill_buffer_add_zigzag(out, e->raw_floor_us);
    mill_buffer_add_varint(out, e->closed_count);
    mill_buffer_add_varint(out, e->events.count);
    for (uint32_t i = 0; i < e->events.count; i++) {
        write_event(view, mill__event_at(table, e, i), &previous, out);
    }
    for (uint32_t i = 0; i < view->pane_set_count; i++) {
        write_panes(&view->pane_sets[i], &mill__entity_panes(table, e)[i], out);
    }
    mill_buffer_add_u32(out, (uint32_t)mill_hash64(out->p + start, out->n - start));
}

static bool read_event(struct mill_view_table *table, struct mill__order *previous, struct mill_cursor *c)
{
    const struct mill_view *view = table->view;
    uint32_t bit_count = view->slot_count + view->lane_count;
    char *record = table->record;
    struct mill__order order = {0};

    memset(record, 0, view->record_size);
    order.time_us = sum(previous->time_us, mill_cursor_zigzag(c));
    int64_t partition = sum(previous->partition, mill_cursor_zigzag(c));
    order.partition = (int32_t)partition;
    order.offset = sum(previous->offset, mill_cursor_zigzag(c));
    const char *mask = mill_cursor_take(c, (bit_count + 7) / 8);
    if (c->bad || partition != order.partition) {
        return false;
    }
    *(struct mill__order *)(void *)record = order;
    memset(record + view->mask_offset, 0, view->values_offset - view->mask_offset);
    memcpy(record + view->mask_offset, mask, (bit_count + 7) / 8);
    for (uint32_t i = 0; i < view->slot_count; i++) {
        if (mill__record_bit(view, record, i)) {
            mill__record_values(view, record)[i] =
                view->slots[i].type == MILL_FLOAT64 ? mill_cursor_u64(c) : (uint64_t)mill_cursor_zigzag(c);
        }
    }
    *previous = order;
    return !c->bad;
}

static bool read_events(struct mill_view_table *table, struct mill__entity *e, struct mill_cursor *c)
{
    uint64_t closed_count = mill_cursor_varint(c), count = mill_cursor_varint(c);
    struct mill__order previous = {0}, last = {.time_us = INT64_MIN, .offset = INT64_MIN, .partition = INT32_MIN};

    /* An event takes three bytes at least, so hostile counts end before they take memory. */
    if (c->bad || count == 0 || closed_count > count || count > (size_t)(c->end - c->p) / 3) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        if (!read_event(table, &previous, c) || mill__order_compare(&previous, &last) < 0) {
            return false;
        }
        last = previous;
        char *slot = mill__ring_insert(&e->events, &table->pool, e->events.count, table->view->record_size);
        memcpy(slot, table->record, table->view->record_size);
    }
    if (closed_count > 0 && closed_count < count &&
        mill__record_time(mill__event_at(table, e, (uint32_t)closed_count - 1)) >=
            mill__record_time(mill__event_at(table, e, (uint32_t)closed_count))) {
        return false;
    }
    e->newest = last;
    e->closed_count = (uint32_t)closed_count;
    e->open_min_us = closed_count < count ? mill__record_time(mill__event_at(table, e, e->closed_count)) : INT64_MAX;
    return true;
}

static bool read_panes(struct mill_view_table *table, const struct mill__pane_set *set, struct mill__ring *panes,
                       struct mill_cursor *c)
{
    uint64_t count = mill_cursor_varint(c);
    int64_t key = 0;

    if (c->bad || count > (size_t)(c->end - c->p)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        int64_t previous = key;
        key = sum(key, mill_cursor_zigzag(c));
        if (c->bad || (i > 0 && key <= previous) || mill__hop_key(set->hop_us, key) != key) {
            return false;
        }
        char *pane = mill__ring_insert(panes, &table->pool, panes->count, set->pane_size);
        memcpy(pane, &key, sizeof(key));
        for (uint32_t cell = 0; cell < set->cell_count; cell++) {
            set->cells[cell].accumulator->init(pane + set->cells[cell].offset);
        }
        for (uint32_t cell = 0; cell < set->cell_count; cell++) {
            if (!set->cells[cell].accumulator->read(pane + set->cells[cell].offset, c)) {
                return false;
            }
        }
    }
    return true;
}

static bool read_body(struct mill_view_table *table, struct mill__entity *e, struct mill_cursor *c)
{
    e->raw_floor_us = mill_cursor_zigzag(c);
    if (!read_events(table, e, c)) {
        return false;
    }
    for (uint32_t i = 0; i < table->view->pane_set_count; i++) {
        if (!read_panes(table, &table->view->pane_sets[i], &mill__entity_panes(table, e)[i], c)) {
            return false;
        }
    }
    return !c->bad && c->p == c->end;
}

/* Checks what is around the body; the cursor is at the body then. */
static int open_blob(const struct mill_view *view, struct mill_slice blob, struct mill_cursor *c,
                     struct mill_slice *ret_row, struct mill_error *err)
{
    const char *name = view->spec->name;
    uint32_t checksum;

    if (blob.n < 1 + sizeof(uint32_t) + CHECKSUM_SIZE) {
        return mill_fail(err, MILL_EDATA, "state of view '%s' is damaged: %zu bytes are too few", name, blob.n);
    }
    memcpy(&checksum, blob.p + blob.n - CHECKSUM_SIZE, CHECKSUM_SIZE);
    blob.n -= CHECKSUM_SIZE;
    if (checksum != (uint32_t)mill_hash64(blob.p, blob.n)) {
        return mill_fail(err, MILL_EDATA, "state of view '%s' is damaged: its checksum does not match", name);
    }
    *c = mill_cursor_of(blob);
    uint8_t version = mill_cursor_byte(c);
    if (version != STATE_VERSION && version != STATE_VERSION_WITHOUT_ROW) {
        return mill_fail(err, MILL_EDATA, "state of view '%s' has version %u, expected at most %d", name,
                         (unsigned)version, (int)STATE_VERSION);
    }
    if (mill_cursor_u32(c) != (uint32_t)view->state_hash) {
        return mill_fail(err, MILL_EDATA,
                         "state of view '%s' was written by another definition of the view; hint: give the view "
                         "another name, or drop its state",
                         name);
    }
    *ret_row = (struct mill_slice){0};
    if (version != STATE_VERSION_WITHOUT_ROW) {
        ret_row->n = mill_cursor_varint(c);
        ret_row->p = mill_cursor_take(c, ret_row->n);
    }
    return MILL_OK;
}

static int damaged(const struct mill_view *view, struct mill_error *err)
{
    return mill_fail(err, MILL_EDATA, "state of view '%s' is damaged although its checksum matches", view->spec->name);
}

int mill__state_row(const struct mill_view *view, struct mill_slice blob, struct mill_slice *ret_row,
                    struct mill_error *err)
{
    struct mill_cursor c;
    struct mill_slice row;

    MILL_TRY(open_blob(view, blob, &c, &row, err));
    if (c.bad) {
        return damaged(view, err);
    }
    *ret_row = row;
    return MILL_OK;
}

int mill__entity_read_state(struct mill_view_table *table, struct mill__entity *e, struct mill_slice blob,
                            struct mill_error *err)
{
    struct mill_cursor c;
    struct mill_slice row;

    MILL_TRY(open_blob(table->view, blob, &c, &row, err));
    if (!read_body(table, e, &c)) {
        return damaged(table->view, err);
    }
    if (table->options.keeps_rows) {
        mill__entity_keep_row(table, e, row);
    }
    return MILL_OK;
}
