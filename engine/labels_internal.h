/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of a monitor: keys, scores and labels out of batches into its join. One per monitor with `labels:`, on one
 * thread. Offline runs only, so far.
 */
#ifndef MILL_ENGINE_LABELS_INTERNAL_H
#define MILL_ENGINE_LABELS_INTERNAL_H

#include "engine/plan_internal.h"

struct mill__labels {
    const struct mill__plan_monitor *monitor;
    struct mill_join *join;
    struct mill_buffer key;
    uint64_t keyless; /* scores and labels without a key */
    uint64_t odd;     /* labels that are neither 0 nor 1 */
};

void mill__labels_init(struct mill__labels *labels, const struct mill__plan_monitor *monitor);
void mill__labels_clear(struct mill__labels *labels);
/* Live rows from <= i < to of the batch were scored by the monitor's model; score: a column as long as the batch. */
void mill__labels_add_scores(struct mill__labels *labels, const struct mill_batch *batch,
                             const struct mill_column *score, uint32_t from, uint32_t to);
/* Live rows of a batch of the labels' source. Temporaries come from the batch's arena. */
void mill__labels_add(struct mill__labels *labels, const struct mill_batch *batch);

#endif
