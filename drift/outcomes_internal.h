/* SPDX-License-Identifier: Apache-2.0 */
/* What a window of scored rows is reduced to: integers only, so that panes and shards add up to the same bits in any
 * order and can be taken back. */
#ifndef MILL_DRIFT_OUTCOMES_INTERNAL_H
#define MILL_DRIFT_OUTCOMES_INTERNAL_H

#include "drift/statistics_internal.h"

enum {
    MILL__CALIBRATION_BINS = 10,
    MILL__OFFSET_BITS = 28, /* of a score's place in its cell: 2^36 rows of one cell before the sum is full */
    MILL__SUM_BITS = 56,    /* of every sum below; the largest term is a log loss, 36.05 */
};

/* offset: sum of (score * 2^14 - cell) over all rows of the cell. */
struct mill__outcome_cell {
    uint64_t positives, negatives, unlabelled, offset;
};

enum mill__outcome_count {
    MILL__COUNT_CORRECT,
    MILL__COUNT_BIN, /* labelled rows by calibration bin */
    MILL__COUNT_BIN_POSITIVES = MILL__COUNT_BIN + MILL__CALIBRATION_BINS,
    MILL__COUNT_COUNT = MILL__COUNT_BIN_POSITIVES + MILL__CALIBRATION_BINS,
};
/* expected: of all rows, over what the label may be if the score is its probability. */
enum mill__outcome_sum {
    MILL__SUM_LOG_LOSS,
    MILL__SUM_BRIER,
    MILL__SUM_EXPECTED_CORRECT,
    MILL__SUM_EXPECTED_LOG_LOSS,
    MILL__SUM_EXPECTED_BRIER,
    MILL__SUM_BIN_SCORES, /* of labelled rows by calibration bin */
    MILL__SUM_COUNT = MILL__SUM_BIN_SCORES + MILL__CALIBRATION_BINS,
};

struct mill_outcomes {
    struct mill__outcome_cell cells[MILL_OUTCOME_CELLS];
    uint64_t counts[MILL__COUNT_COUNT];
    mill__u128 sums[MILL__SUM_COUNT];
};

static inline uint64_t mill__outcome_cell_rows(const struct mill__outcome_cell *cell)
{
    return cell->positives + cell->negatives + cell->unlabelled;
}

#endif
