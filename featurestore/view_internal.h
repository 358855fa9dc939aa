/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A compiled view: names resolved, expressions compiled, and the layout of its entities' state. Immutable.
 *
 * Columns. Expressions are compiled against the view's own numbering: source columns first, then the view's columns
 * (features, aggregates, derivations, hidden ones). A batch has them elsewhere, so a use of the view runs on a "shadow"
 * batch whose column array follows this numbering and points at the columns of the real one.
 *
 * State. An event is kept as a record: its place, a mask, and one 8-byte value for each slot.
 *   slot      a column whose value is kept: what aggregates read, the features, and source columns that derivations use
 *   lane      a column and a where-condition: the events that an aggregate sees (mask bit: not null and condition true)
 *   cell      an accumulator of one lane
 *   pane set  the cells of all windows of one hop; one pane is the cells of the events of one hop of time
 *   span      one window (width and semantics); its members are the cells that aggregates read
 */
#ifndef MILL_FEATURESTORE_VIEW_INTERNAL_H
#define MILL_FEATURESTORE_VIEW_INTERNAL_H

#include "featurestore/aggregate_internal.h"
#include "featurestore/featurestore.h"
#include "featurestore/window_internal.h"

enum { MILL__NONE = UINT32_MAX };

struct mill__slot {
    uint32_t column; /* the view's numbering */
    enum mill_type type;
};

struct mill__lane {
    uint32_t column;
    uint32_t slot;  /* MILL__NONE for strings */
    uint32_t where; /* index of the condition, or MILL__NONE */
    enum mill_type type;
};

struct mill__cell {
    uint32_t lane;
    uint32_t offset; /* of the state in its block */
    const struct mill__accumulator *accumulator;
};

struct mill__pane_set {
    int64_t hop_us;
    struct mill__cell *cells;
    uint32_t cell_count;
    uint32_t pane_size; /* int64_t key, then the states */
};

/* A span's running state in the entity: its members' states, then, for members that cannot subtract, the states of the
 * front of their two stacks. */
struct mill__member {
    uint32_t lane;
    uint32_t pane_offset;  /* of its cell in a pane of the span's set */
    uint32_t run_offset;   /* from the span's states */
    uint32_t front_offset; /* of the stacks' front, from the span's fronts; MILL__NONE: it can subtract */
    const struct mill__accumulator *accumulator;
};

struct mill__span {
    struct mill__window window;
    uint32_t pane_set; /* MILL__NONE: raw events */
    struct mill__member *members;
    uint32_t member_count;
    uint32_t state_offset; /* of the running states from the entity's states */
    uint32_t run_size;     /* bytes of running states; the fronts follow */
    uint32_t front_size;   /* 0: all members can subtract */
    bool has_sums;         /* some member can */
};

struct mill__reading {
    const struct mill__aggregate *aggregate;
    uint32_t span, member;
    uint32_t view_column; /* from the view's first column */
    enum mill_type column_type;
    bool before_event; /* an event's own row is read before the event is put in */
};

struct mill_view {
    const struct mill_view_spec *spec;
    struct mill_schema schema; /* of the view: outputs, then hidden */
    struct mill_schema shadow; /* source fields, then those of schema */
    uint32_t source_count, output_count, hidden_count;
    uint32_t *hidden_source; /* the source column of each hidden one */
    uint32_t key_columns[MILL_KEY_PARTS_MAX];
    struct mill_expr **features, **derivations, **wheres;
    struct mill_slice *where_texts;
    uint32_t where_count;

    struct mill__slot *slots;
    uint32_t slot_count;
    uint32_t *slot_of_view_column; /* MILL__NONE: not kept */
    struct mill__lane *lanes;
    uint32_t lane_count;
    struct mill__pane_set *pane_sets;
    uint32_t pane_set_count;
    struct mill__span *spans;
    uint32_t span_count;
    struct mill__reading *readings; /* one per aggregate of the spec */
    uint32_t reading_count;

    uint32_t mask_offset, values_offset, record_size;
    uint32_t states_size; /* of all spans in the entity */
    uint32_t front_size_max;
    int64_t raw_width_max_us; /* events of raw spans are kept so long behind the watermark; -1: there are none */
    uint64_t state_hash;
    struct mill_arena arena;
};

/* Lays out slots, lanes, cells and spans; view_layout.c. The view's columns are resolved. */
int mill__view_lay_out(struct mill_view *view, struct mill_error *err) MILL_MUST_CHECK;
uint64_t mill__view_hash(const struct mill_view *view);
/* Index in the view's numbering of a name that aggregates may use (features hide source columns), or -1. */
int mill__view_find_column(const struct mill_view *view, struct mill_slice name);

/* Rows of one use in one batch. */
struct mill_view_rows {
    const struct mill_view *view;
    bool lookup;
    uint64_t serial; /* of all rows ever prepared in this process; tells batches apart */
    uint32_t first_column;
    struct mill_batch *batch;
    struct mill_batch shadow;
    struct mill_column *wheres; /* evaluated conditions, for OWN */
    struct mill_slice *keys;
    uint64_t *hashes; /* of the keys */
    uint32_t *slots;  /* of folded rows: their entities in the table, which stay there until the next flush */
};

static inline struct mill_column *mill__rows_view_column(const struct mill_view_rows *rows, uint32_t view_column)
{
    return &rows->batch->columns[rows->first_column + view_column];
}

static inline struct mill__order mill__rows_order(const struct mill_view_rows *rows, uint32_t row)
{
    const struct mill_batch *batch = rows->batch;
    struct mill__order order = {
        .time_us = batch->event_time_us[row],
        .offset = batch->offset[row],
        .partition = batch->row_partition != NULL ? batch->row_partition[row] : batch->partition,
    };
    return order;
}

#endif
