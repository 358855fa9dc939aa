/* SPDX-License-Identifier: Apache-2.0 */
/* The counter's state: open panes, what was driven out, and which parts were handed out. */
#ifndef MILL_DRIFT_COUNTER_INTERNAL_H
#define MILL_DRIFT_COUNTER_INTERNAL_H

#include "drift/count_internal.h"

struct mill__pane {
    int64_t start_us;
    uint32_t part;
    uint64_t row_count;
    struct mill__tally **tallies; /* by segment; where there is a profile */
    struct mill_buffer rows;      /* where there is none: the rows of a part of rows */
    int64_t last_us;              /* event time of the last of them */
};

/* A part that panes_max drove out and nobody has taken yet. */
struct mill__driven {
    int64_t start_us;
    uint32_t part;
    size_t begin, size; /* in driven_bytes */
};

/* Of a pane that has been handed out: the number of its next part. */
struct mill__handed {
    int64_t start_us;
    uint32_t next_part;
};

struct mill_drift_counter {
    struct mill_drift_counter_options options;
    bool has_profile;
    struct mill__slotter slotter;
    struct mill__tally_pool pool;
    struct mill__block block;
    struct mill__pane *panes;  /* panes_max; the first pane_count are open, in no order */
    uint32_t pane_count, last; /* last: the one used last */
    struct mill__driven *driven;
    uint32_t driven_count, driven_capacity;
    struct mill_buffer driven_bytes, scratch;
    struct mill__handed *handed; /* ascending */
    uint32_t handed_count, handed_capacity;
    int64_t horizon_us; /* start of a pane: rows before it are counted nowhere */
    uint64_t ignored, pane_rows_max, wait_breaks;
    bool is_dirty;
};

/* The open pane that starts there, or NULL. */
struct mill__pane *mill__counter_find_pane(struct mill_drift_counter *counter, int64_t start_us);
/* Opens the pane that starts there, and is not open; drives out another where there would be too many. */
struct mill__pane *mill__counter_pane_open(struct mill_drift_counter *counter, int64_t start_us);
/* Keeps a part for the next take(). */
void mill__counter_keep_driven(struct mill_drift_counter *counter, int64_t start_us, uint32_t part,
                               struct mill_slice bytes);

/* The number of the next part of a pane. */
uint32_t mill__counter_next_part(const struct mill_drift_counter *counter, int64_t start_us);
void mill__counter_set_handed(struct mill_drift_counter *counter, int64_t start_us, uint32_t next_part);
/* Nothing is counted any more in panes before the one of from_us, so nothing is remembered of them. */
void mill__counter_forget(struct mill_drift_counter *counter, int64_t from_us);

/* The pane as bytes of a part. */
void mill__pane_write(struct mill_drift_counter *counter, const struct mill__pane *pane, struct mill_buffer *out);
/* Bytes of a part into an open pane: counts add; rows are counted, or kept where there is no profile. */
int mill__pane_read(struct mill_drift_counter *counter, struct mill__pane *pane, struct mill_slice part,
                    struct mill_error *err) MILL_MUST_CHECK;

#endif
