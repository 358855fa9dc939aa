/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Admission: what happens to the rows of a source between decode and fold: the source's rules, the watermark, the share
 * of nulls. One per input partition or file, on its shard's thread.
 */
#ifndef MILL_ENGINE_ADMIT_INTERNAL_H
#define MILL_ENGINE_ADMIT_INTERNAL_H

#include "engine/engine.h"

struct mill__admission {
    const struct mill_source_config *source;
    struct mill_null_watch *nulls;
    int64_t newest_us; /* event time; INT64_MIN before the first event */
    uint64_t late_dropped, late_applied;
    struct mill_null_warning warnings[16]; /* of the last batch */
    uint32_t warning_count;
};

void mill__admission_init(struct mill__admission *admission, const struct mill_source_config *source,
                          int64_t newest_us);
void mill__admission_clear(struct mill__admission *admission);
/* Validates the batch and applies the late policy in row order: watermark = newest event time so far - allowed
 * lateness. */
/* newest_before[row] gets the newest event time before that row (INT64_MIN: none). */
void mill__admit(struct mill__admission *admission, struct mill_batch *batch, struct mill_rejects *rejects,
                 int64_t *newest_before);
/* Says the warnings of the last batch. */
void mill__admission_log(const struct mill__admission *admission);

#endif
