/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contributors: what an input counts for a monitor. Rows are counted as they are scored, by event time, into panes as
 * long as the monitor's `every`; closed panes go to the monitor as parts. One per input and monitor, on the input's
 * thread. Online shard_drift.c keeps them with the state and sends their parts, offline they are fed to the monitor
 * directly.
 */
#ifndef MILL_ENGINE_CONTRIBUTOR_INTERNAL_H
#define MILL_ENGINE_CONTRIBUTOR_INTERNAL_H

#include "engine/pass_internal.h"

/* What a monitor was told: everything before is handed over. */
struct mill__told {
    int64_t progress_us;    /* INT64_MIN: nothing yet */
    bool is_idle, is_known; /* is_known: it was told anything */
};

struct mill__contributor {
    const struct mill__plan_monitor *monitor;
    uint32_t index; /* of the monitor's contributors */
    struct mill_drift_counter *counter;
    const struct mill_profile *profile; /* that it counts against; NULL: gathers rows */
    const struct mill_column **columns; /* of the batch at hand */
    struct mill__told told;
};

struct mill__contributors {
    struct mill__contributor *at;
    uint32_t count;
};

/* Those of all monitors to which the stage contributes. */
void mill__contributors_init(struct mill__contributors *contributors, const struct mill__plan *plan,
                             const struct mill__stage *stage, int32_t partition);
void mill__contributors_clear(struct mill__contributors *contributors);
/* Gives the contributor an empty counter against the profile (NULL: rows are gathered). */
void mill__contributor_reset(struct mill__contributor *contributor, const struct mill_profile *profile);
/* Rows from <= i < to of the batch were scored by the model; score: a column as long as the batch. */
void mill__contributors_count(struct mill__contributors *contributors, const struct mill__plan_model *model,
                              const struct mill_batch *batch, const struct mill_column *score, uint32_t from,
                              uint32_t to);
/* The time up to which panes are closed: complete_us less the source's lateness, down to a pane's end. INT64_MIN: not
 * known. */
int64_t mill__contributor_watermark(const struct mill__contributor *contributor, const struct mill_project *project,
                                    int64_t complete_us);

#endif
