/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Labels of a monitor: what of a batch goes to its join, and how far the join may go. Used by runs on files
 * (offline_drift.c) and by shards (shard_feed.c sends, shard_join.c joins). One thread each.
 */
#ifndef MILL_ENGINE_LABELS_INTERNAL_H
#define MILL_ENGINE_LABELS_INTERNAL_H

#include "engine/plan_internal.h"

/* A score or a label on its way to the join. */
struct mill__meeting {
    uint32_t row;
    struct mill_slice key; /* as producers write keys; until the next call */
    double score;
    int label; /* -1: a score */
};

struct mill__label_reader {
    const struct mill__plan_monitor *monitor;
    void *context;
    void (*each)(void *context, const struct mill__meeting *meeting);
    struct mill_buffer key;
    uint64_t keyless; /* scores and labels without a key */
    uint64_t odd;     /* labels that are neither 0 nor 1 */
};

void mill__label_reader_clear(struct mill__label_reader *reader);
/* Live rows from <= i < to of the batch were scored by the monitor's model; score: a column as long as the batch. */
void mill__label_reader_scores(struct mill__label_reader *reader, const struct mill_batch *batch,
                               const struct mill_column *score, uint32_t from, uint32_t to);
/* Live rows from <= i < to of a batch of the labels' source; values: by mill__label_values. */
void mill__label_reader_labels(struct mill__label_reader *reader, const struct mill_batch *batch,
                               const struct mill_column *values, uint32_t from, uint32_t to);
/* The labels of a batch of the labels' source. Memory from the batch's arena. */
struct mill_column mill__label_values(const struct mill__plan_monitor *monitor, const struct mill_batch *batch);

struct mill_join *mill__labels_join_new(const struct mill__plan_monitor *monitor, bool is_stored);

/* How far scores or labels are: all before has come, INT64_MIN: not known. Asleep: nobody should wait for them. */
struct mill__join_side {
    int64_t watermark_us;
    bool is_asleep;
};
/* As far as both are; a side that sleeps counts as far as what goes on. */
int64_t mill__join_watermark(const struct mill__join_side *a, const struct mill__join_side *b);

#endif
