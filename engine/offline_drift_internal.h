/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitors of an offline run: one contributor each, fed straight into the monitor; reports, alerts and triggers as
 * lines of files, with the ids that the stream gives them on the same data. A window is judged when an event behind its
 * end has been seen, as in the stream.
 */
#ifndef MILL_ENGINE_OFFLINE_DRIFT_INTERNAL_H
#define MILL_ENGINE_OFFLINE_DRIFT_INTERNAL_H

#include "engine/contributor_internal.h"
#include "engine/labels_internal.h"

struct mill__offline_drift;

/* Lines are appended; the caller writes them out and resets. */
struct mill__offline_drift_lines {
    struct mill_buffer *reports, *alerts, *triggers, *labels;
};
struct mill__offline_drift *mill__offline_drift_new(const struct mill__plan *plan,
                                                    const struct mill__offline_drift_lines *lines);
void mill__offline_drift_free(struct mill__offline_drift *drift);
/* As mill__sink's scored. */
void mill__offline_drift_count(struct mill__offline_drift *drift, const struct mill__plan_model *model,
                               const struct mill_batch *batch, const struct mill_column *score, uint32_t from,
                               uint32_t to);
/* A batch of the source: its labels, for the monitors that have theirs from there. */
void mill__offline_drift_labels(struct mill__offline_drift *drift, uint32_t source, const struct mill_batch *batch);
/* Events of the source have been emitted up to this event time. */
void mill__offline_drift_advance(struct mill__offline_drift *drift, uint32_t source, int64_t newest_us);
/* The source has no more events, or none at all. */
void mill__offline_drift_end(struct mill__offline_drift *drift, uint32_t source);
/* Says what became of scores and labels. */
void mill__offline_drift_log(const struct mill__offline_drift *drift);

#endif
