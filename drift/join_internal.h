/* SPDX-License-Identifier: Apache-2.0 */
/* What a join of labels counts: outcomes by the pane of the score and the pane in which they are counted, kept as
 * counts while they are few panes, as sparse bytes where they are many. */
#ifndef MILL_DRIFT_JOIN_INTERNAL_H
#define MILL_DRIFT_JOIN_INTERNAL_H

#include "drift/drift.h"

enum { MILL__JOIN_OPEN_MAX = 64 }; /* half a MiB each */

struct mill__join_pane {
    enum mill_part_kind kind;
    int64_t start_us, counted_us;
    struct mill_outcomes *outcomes; /* NULL: none beyond the bytes */
    struct mill_buffer bytes;       /* what was put away, n 0: nothing */
    uint64_t used;                  /* when it was last added to */
};

struct mill__join_panes {
    struct mill__join_pane *at; /* ascending by counted_us, kind, start_us */
    uint32_t count, capacity, open_count;
    uint64_t clock;
};

struct mill__join_count {
    enum mill_part_kind kind;
    int64_t start_us, counted_us;
    double score, threshold;
    int label; /* -1: not known */
};
void mill__join_panes_add(struct mill__join_panes *panes, const struct mill__join_count *count);
/* Hands out what is counted in panes that end by until_us. */
void mill__join_panes_take(struct mill__join_panes *panes, int64_t pane_us, int64_t until_us,
                           const struct mill_join_sink *sink);
void mill__join_panes_clear(struct mill__join_panes *panes);

#endif
