/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How well scores did, from counts. AUC is the share of (positive, negative) pairs in the right order, a tie counting
 * half; rows of one cell are taken as tied. The estimates are the same sums over all rows with each row taken as
 * positive with a weight of its score and as negative with the rest (CBPE: NannyML, "Estimation of performance of the
 * monitored model"). Called by evaluation.
 */
#include <math.h>

#include "drift/outcomes_internal.h"

struct pairs {
    double ordered, tied; /* weights of pairs in the right order, and of those in one cell */
    double positives, negatives;
};

static void add_cell(struct pairs *pairs, double positives, double negatives)
{
    pairs->ordered += positives * pairs->negatives;
    pairs->tied += positives * negatives;
    pairs->positives += positives;
    pairs->negatives += negatives;
}

static double auc_of(const struct pairs *pairs)
{
    double all = pairs->positives * pairs->negatives;
    return all > 0 ? (pairs->ordered + pairs->tied / 2) / all : (double)NAN;
}

static double sum_of(const struct mill_outcomes *outcomes, unsigned which)
{
    return ldexp((double)outcomes->sums[which], -MILL__SUM_BITS);
}

static double calibration_error(const struct mill_outcomes *outcomes)
{
    double sum = 0;
    for (unsigned bin = 0; bin < MILL__CALIBRATION_BINS; bin++) {
        mill__u128 positives = (mill__u128)outcomes->counts[MILL__COUNT_BIN_POSITIVES + bin] << MILL__SUM_BITS;
        mill__u128 scores = outcomes->sums[MILL__SUM_BIN_SCORES + bin];
        sum += ldexp((double)(scores > positives ? scores - positives : positives - scores), -MILL__SUM_BITS);
    }
    return sum;
}

void mill_outcomes_evaluate(const struct mill_outcomes *outcomes, struct mill_performance *ret_performance)
{
    struct pairs seen = {0}, expected = {0};
    uint64_t scored = 0, labelled = 0, positives = 0;
    for (uint32_t i = 0; i < MILL_OUTCOME_CELLS; i++) {
        const struct mill__outcome_cell *cell = &outcomes->cells[i];
        uint64_t rows = mill__outcome_cell_rows(cell);
        if (rows > 0) {
            mill__u128 score = ((mill__u128)rows * i << MILL__OFFSET_BITS) + cell->offset;
            mill__u128 rest = ((mill__u128)rows * MILL_OUTCOME_CELLS << MILL__OFFSET_BITS) - score;
            add_cell(&seen, (double)cell->positives, (double)cell->negatives);
            add_cell(&expected, (double)score, (double)rest);
            scored += rows;
            labelled += cell->positives + cell->negatives;
            positives += cell->positives;
        }
    }
    double n = labelled > 0 ? (double)labelled : (double)NAN, all = scored > 0 ? (double)scored : (double)NAN;
    *ret_performance = (struct mill_performance){
        .scored = scored,
        .labelled = labelled,
        .positives = positives,
        .auc = auc_of(&seen),
        .auc_error_max =
            positives > 0 && positives < labelled ? seen.tied / 2 / (seen.positives * seen.negatives) : (double)NAN,
        .log_loss = sum_of(outcomes, MILL__SUM_LOG_LOSS) / n,
        .brier = sum_of(outcomes, MILL__SUM_BRIER) / n,
        .accuracy = (double)outcomes->counts[MILL__COUNT_CORRECT] / n,
        .calibration_error = calibration_error(outcomes) / n,
        .estimated_auc = auc_of(&expected),
        .estimated_accuracy = sum_of(outcomes, MILL__SUM_EXPECTED_CORRECT) / all,
        .estimated_log_loss = sum_of(outcomes, MILL__SUM_EXPECTED_LOG_LOSS) / all,
        .estimated_brier = sum_of(outcomes, MILL__SUM_EXPECTED_BRIER) / all,
    };
}
