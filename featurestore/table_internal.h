/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entity state of one view and partition: what mill_view_fold and mill_view_lookup work on.
 *
 *   table.c          the public calls: open, fold, lookup, stats
 *   table_map.c      finding and making entities
 *   table_cold.c     the way to the key-value store and back: flush, eviction, cold reads
 *   table_codec.c    an entity as bytes
 *   table_rows.c     the rows that are served, kept with their entities
 *   entity_events.c  the events of an entity: insert, close into panes, trim
 *   entity_spans.c   running windows
 *   entity_read.c    the values of a window as of a time
 *
 * Of an entity we keep its recent events, sorted, and panes. Events at or after the watermark are only in the log, as
 * rows between them may still come ("open"); older ones are closed: added to the panes of their hop, and dropped from
 * the log unless a raw window or the next lookup needs them. Which of the two an event is in never shows in a reading
 * at or after the watermark. All sums are exact and all merges commute, so arrival order does not show either.
 *
 * Beside the log and the panes, which are the state, every span keeps a running state of the window whose end is at or
 * after the newest event. It is derived: it is not stored, and rebuilt when it is wanted and does not fit.
 */
#ifndef MILL_FEATURESTORE_TABLE_INTERNAL_H
#define MILL_FEATURESTORE_TABLE_INTERNAL_H

#include "featurestore/pool_internal.h"
#include "featurestore/ring_internal.h"
#include "featurestore/view_internal.h"

enum { MILL__KEY_INLINE = 24 };

/* A span's running window holds all elements with key >= first_key. first_key = INT64_MAX: not built. For members that
 * cannot subtract it is kept as two stacks: `fronts` has, by ascending key k, the merge of all elements with keys from
 * k that were there when it was built; the running states have what was added since. As first keys are multiples of the
 * hop, an event's time compares with them as its key does. */
struct mill__span_state {
    int64_t first_key;
    int64_t oldest_us;   /* no element of the running window has a time or pane key below it */
    int64_t back_min_us; /* the oldest that was added since the stacks were built; INT64_MAX: nothing was */
    struct mill__ring fronts;
};

struct mill__entity {
    uint64_t hash; /* of the key */
    struct mill__order newest;
    int64_t open_min_us;  /* time of the oldest open event; INT64_MAX: none */
    int64_t raw_floor_us; /* raw windows begin here at the earliest: events before it were dropped (events_max) */
    struct mill__ring events;
    uint32_t closed_count; /* of events, from the front */
    uint32_t key_length;
    uint64_t newest_serial; /* rows that the newest event is a row of, see struct mill_view_rows */
    uint32_t newest_row;
    uint32_t row_n;       /* bytes of row */
    uint64_t flush_epoch; /* the flush that wrote it last; 0: unchanged since it was read */
    union {
        char bytes[MILL__KEY_INLINE];
        char *block; /* longer keys; of the pool */
    } key;
    char *row; /* what was served last, of the pool; NULL: none */
    bool used, dirty, referenced;
    uint32_t slot;      /* its own */
    uint32_t next_free; /* slot + 1, of an unused one */
    /* then: struct mill__ring panes[pane_set_count]; struct mill__span_state spans[span_count]; states */
};

enum { MILL__ENTITIES_PER_CHUNK = 64 };

struct mill__map_entry {
    uint32_t tag;  /* high half of the hash */
    uint32_t slot; /* 0: empty; else slot + 1 */
};

/* What a span may see as of a time. */
struct mill__as_of {
    int64_t first_key, last_us;
};

struct mill_view_table {
    const struct mill_view *view;
    struct mill_view_table_options options;
    int64_t watermark_us;
    int64_t *span_first;       /* per span: first key at the watermark */
    int64_t *set_first;        /* per pane set: the smallest of its spans */
    struct mill__as_of *as_of; /* per span: of the row at hand */
    struct mill__pool pool;

    struct mill__map_entry *map;
    uint32_t map_mask, entity_count;
    char **chunks;                               /* of the pool */
    uint32_t chunk_count, slot_count, free_slot; /* free_slot: slot + 1 */
    uint32_t entity_size, panes_offset, spans_offset, states_offset;

    uint32_t *dirty;
    uint32_t dirty_count, dirty_capacity;
    uint64_t flush_epoch;
    uint32_t clock_hand;
    bool may_be_cold; /* the store may hold entities that are not here */
    struct mill_buffer key_buffer, blob;
    char *record, *scratch; /* one record; the largest state */

    uint64_t evicted, cold_reads, events_dropped;
};

static inline struct mill__entity *mill__entity_at(const struct mill_view_table *table, uint32_t slot)
{
    char *chunk = table->chunks[slot / MILL__ENTITIES_PER_CHUNK];
    return (struct mill__entity *)(void *)(chunk + (size_t)(slot % MILL__ENTITIES_PER_CHUNK) * table->entity_size);
}

static inline struct mill__ring *mill__entity_panes(const struct mill_view_table *table, struct mill__entity *e)
{
    return (struct mill__ring *)(void *)((char *)e + table->panes_offset);
}

static inline struct mill__span_state *mill__entity_spans(const struct mill_view_table *table, struct mill__entity *e)
{
    return (struct mill__span_state *)(void *)((char *)e + table->spans_offset);
}

static inline char *mill__entity_states(const struct mill_view_table *table, struct mill__entity *e)
{
    return (char *)e + table->states_offset;
}

static inline struct mill_slice mill__entity_key(const struct mill__entity *e)
{
    struct mill_slice key = {e->key_length > MILL__KEY_INLINE ? e->key.block : e->key.bytes, e->key_length};
    return key;
}

/* ---- records: one event; begins with its struct mill__order, whose padding holds the first bytes of the mask ---- */

static inline const struct mill__order *mill__record_order(const void *record)
{
    return record;
}

static inline int64_t mill__record_time(const void *record)
{
    return mill__record_order(record)->time_us;
}

static inline bool mill__record_bit(const struct mill_view *view, const void *record, uint32_t bit)
{
    return (((const uint8_t *)record)[view->mask_offset + bit / 8] >> (bit % 8)) & 1;
}

static inline void mill__record_set_bit(const struct mill_view *view, void *record, uint32_t bit)
{
    ((uint8_t *)record)[view->mask_offset + bit / 8] |= (uint8_t)(1u << (bit % 8));
}

static inline bool mill__record_in_lane(const struct mill_view *view, const void *record, uint32_t lane)
{
    return mill__record_bit(view, record, view->slot_count + lane);
}

static inline mill__value *mill__record_values(const struct mill_view *view, const void *record)
{
    return (mill__value *)((uintptr_t)record + view->values_offset);
}

static inline mill__value mill__record_lane_value(const struct mill_view *view, const void *record, uint32_t lane)
{
    uint32_t slot = view->lanes[lane].slot;
    return slot == MILL__NONE ? 0 : mill__record_values(view, record)[slot];
}

static inline void *mill__event_at(const struct mill_view_table *table, const struct mill__entity *e, uint32_t index)
{
    return mill__ring_at(&e->events, index, table->view->record_size);
}

static inline int64_t mill__pane_key(const void *pane)
{
    return *(const int64_t *)pane;
}

/* ---- table_map.c ---- */

void mill__map_init(struct mill_view_table *table);
void mill__map_clear(struct mill_view_table *table);
/* NULL where it is not in memory. */
struct mill__entity *mill__map_find(const struct mill_view_table *table, struct mill_slice key, uint64_t hash);
/* A new empty entity; the key must not be there. */
struct mill__entity *mill__map_add(struct mill_view_table *table, struct mill_slice key, uint64_t hash);
void mill__map_remove(struct mill_view_table *table, struct mill__entity *e);
/* Asks for the memory that the rows after this one will touch. */
void mill__map_prefetch(const struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row);
/* The same for a walk through slots, of which slots[index] is at hand. */
void mill__map_prefetch_slots(const struct mill_view_table *table, const uint32_t *slots, uint32_t index,
                              uint32_t count);

/* ---- entity_events.c ---- */

void mill__entity_init(const struct mill_view_table *table, struct mill__entity *e);
void mill__entity_clear(struct mill_view_table *table, struct mill__entity *e);
/* Brings the entity to the table's watermark: closes what is before it. To be called before every use. */
void mill__entity_close_events(struct mill_view_table *table, struct mill__entity *e);
/* Adds an event to the log or, behind the watermark, to the panes; and to the running windows that reach it. */
void mill__entity_insert(struct mill_view_table *table, struct mill__entity *e, const void *record);
/* The newest event at or before t that is kept, or NULL. */
const void *mill__entity_newest_at(const struct mill_view_table *table, const struct mill__entity *e, int64_t t);
/* First index in [from, events.count) whose time is >= time_us. */
uint32_t mill__events_lower_bound(const struct mill_view_table *table, const struct mill__entity *e, uint32_t from,
                                  int64_t time_us);
uint32_t mill__panes_lower_bound(const struct mill__ring *panes, uint32_t pane_size, int64_t key);

/* ---- entity_spans.c ---- */

/* The running window of the span begins at first_key from now on. */
void mill__span_advance(struct mill_view_table *table, struct mill__entity *e, uint32_t span, int64_t first_key);
/* An event that was put into log or panes, if the running window reaches it. */
void mill__span_add(struct mill_view_table *table, struct mill__entity *e, uint32_t span, const void *record);
/* Forgets the running window. */
void mill__span_reset(struct mill_view_table *table, struct mill__entity *e, uint32_t span);

/* ---- entity_read.c ---- */

enum mill__phase {
    MILL__BEFORE_EVENT, /* readings of an event's own row that do not see the event */
    MILL__AFTER_EVENT,
    MILL__LOOKUP, /* all readings */
};
/* Writes the readings of that phase, as of `at` (the time that was set), to the batch. */
void mill__entity_read(struct mill_view_table *table, struct mill__entity *e, struct mill_view_rows *rows, uint32_t row,
                       const struct mill__order *at, enum mill__phase phase);
/* What an unknown entity has: nulls, and 0 where an empty window is not null. */
void mill__write_empty(struct mill_view_table *table, struct mill_view_rows *rows, uint32_t row);
/* Fills table->as_of, by which mill__entity_read goes. */
void mill__table_set_time(struct mill_view_table *table, int64_t t);
/* The smallest key that a span of the entity may see, of those from first_key on. */
static inline int64_t mill__span_clip(const struct mill_view_table *table, const struct mill__entity *e, uint32_t span,
                                      int64_t first_key)
{
    bool is_raw = table->view->spans[span].pane_set == MILL__NONE;
    return is_raw && first_key < e->raw_floor_us ? e->raw_floor_us : first_key;
}
void mill__column_write(struct mill_column *column, uint32_t row, bool has_value, mill__value value);

/* ---- table_codec.c ---- */

void mill__entity_write(struct mill_view_table *table, struct mill__entity *e, struct mill_buffer *out);
/* Into a new empty entity. MILL_EDATA where the bytes are no state of this view; the entity is then to be removed. */
int mill__entity_read_state(struct mill_view_table *table, struct mill__entity *e, struct mill_slice blob,
                            struct mill_error *err) MILL_MUST_CHECK;

/* The kept row of a stored entity; n = 0: none. */
int mill__state_row(const struct mill_view *view, struct mill_slice blob, struct mill_slice *ret_row,
                    struct mill_error *err) MILL_MUST_CHECK;

/* ---- table_rows.c ---- */

/* Takes a copy in the place of what is there; n = 0: nothing is kept. */
void mill__entity_keep_row(struct mill_view_table *table, struct mill__entity *e, struct mill_slice bytes);

/* ---- table_cold.c ---- */

/* What all state keys of the table begin with; good until the next use of the table. */
struct mill_slice mill__table_key_prefix(struct mill_view_table *table);

/* Makes room for one more entity. */
int mill__table_make_room(struct mill_view_table *table, struct mill_error *err) MILL_MUST_CHECK;
/* The entity from memory or the store; *ret_entity is NULL where it is unknown. */
int mill__table_find(struct mill_view_table *table, struct mill_slice key, uint64_t hash,
                     struct mill__entity **ret_entity, struct mill_error *err) MILL_MUST_CHECK;
void mill__table_mark_dirty(struct mill_view_table *table, struct mill__entity *e);
int mill__table_look_for_cold(struct mill_view_table *table, struct mill_error *err) MILL_MUST_CHECK;

#endif
