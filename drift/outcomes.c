/* SPDX-License-Identifier: Apache-2.0 */
/* Scores and labels, as they are added. Called by whoever scores rows or joins labels; read by performance.c, sent and
 * merged by outcomes_bytes.c. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "drift/outcomes_internal.h"

struct mill_outcomes *mill_outcomes_new(void)
{
    return mill_calloc(1, sizeof(struct mill_outcomes));
}

void mill_outcomes_free(struct mill_outcomes *outcomes)
{
    free(outcomes);
}

void mill_outcomes_reset(struct mill_outcomes *outcomes)
{
    memset(outcomes, 0, sizeof(*outcomes));
}

static uint64_t fixed(double x)
{
    return (uint64_t)llrint(ldexp(x, MILL__SUM_BITS));
}

/* Loss of a label 1; of a label 0 it is that of 1 - score. Clipped as scikit-learn does with doubles. */
static double log_loss(double score)
{
    const double least = 0x1p-52, most = 1 - 0x1p-52;
    return -log(score < least ? least : score > most ? most : score);
}

/* (before, edge], edges i / 10 as numpy.linspace makes them: scikit-learn's calibration_curve. */
static unsigned calibration_bin(double score)
{
    unsigned bin = 0;
    while (bin < MILL__CALIBRATION_BINS - 1 && score > (bin + 1) * 0.1) {
        bin++;
    }
    return bin;
}

static void add_labelled(struct mill_outcomes *outcomes, double score, int label, double threshold)
{
    double error = score - label;
    unsigned bin = calibration_bin(score);
    outcomes->counts[MILL__COUNT_CORRECT] += (score >= threshold) == (label == 1);
    outcomes->counts[MILL__COUNT_BIN + bin]++;
    outcomes->counts[MILL__COUNT_BIN_POSITIVES + bin] += label == 1;
    outcomes->sums[MILL__SUM_BIN_SCORES + bin] += fixed(score);
    outcomes->sums[MILL__SUM_LOG_LOSS] += fixed(log_loss(label == 1 ? score : 1 - score));
    outcomes->sums[MILL__SUM_BRIER] += fixed(error * error);
}

void mill_outcomes_add(struct mill_outcomes *outcomes, double score, int label, double threshold)
{
    mill_assert(label >= -1 && label <= 1);
    if (isnan(score)) {
        return;
    }
    score = score < 0 ? 0 : score > 1 ? 1 : score;
    double place = score * MILL_OUTCOME_CELLS;
    unsigned index = score < 1 ? (unsigned)place : MILL_OUTCOME_CELLS - 1;
    struct mill__outcome_cell *cell = &outcomes->cells[index];
    cell->positives += label == 1;
    cell->negatives += label == 0;
    cell->unlabelled += label == -1;
    cell->offset += (uint64_t)llrint(ldexp(place - index, MILL__OFFSET_BITS));
    outcomes->sums[MILL__SUM_EXPECTED_CORRECT] += fixed(score >= threshold ? score : 1 - score);
    outcomes->sums[MILL__SUM_EXPECTED_LOG_LOSS] += fixed(score * log_loss(score) + (1 - score) * log_loss(1 - score));
    outcomes->sums[MILL__SUM_EXPECTED_BRIER] += fixed(score * (1 - score));
    if (label >= 0) {
        add_labelled(outcomes, score, label, threshold);
    }
}
