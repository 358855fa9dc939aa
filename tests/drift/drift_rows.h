/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of three features and a segment for the tests of drift/: made up, built into profiles, counted. */
#ifndef TESTS_DRIFT_ROWS_H
#define TESTS_DRIFT_ROWS_H

#include "drift/drift.h"

struct drift_row {
    int64_t time_us;
    double x;          /* NaN: missing */
    const char *color; /* NULL: missing */
    double score;
    const char *site; /* the segment */
    int label;        /* -1: has not come */
};

/* x (numeric), color (categorical), score (numeric); segments by site where segments_max is not 0. */
extern const struct mill_profile_spec drift_rows_spec;

/* splitmix64; independent of tests/base/random.h so that fixtures have their own streams. */
uint64_t drift_random(uint64_t *state);
double drift_uniform(uint64_t *state); /* [0, 1) */
double drift_normal(uint64_t *state);
/* One row at that time; shift moves x and score, and makes colors that the reference has not from 0.5 on, and labels
 * that contradict the scores above 1. */
struct drift_row drift_row_make(uint64_t *state, int64_t time_us, double shift);

struct mill_profile *drift_rows_profile(const struct mill_profile_spec *spec, const struct drift_row *rows,
                                        uint32_t count);
/* Any number of rows, in batches of the arena. */
void drift_rows_count(struct mill_drift_counter *counter, const struct drift_row *rows, uint32_t count);
/* The rows as one window. */
struct mill_drift_window *drift_rows_window(const struct mill_profile_spec *spec, const struct mill_profile *profile,
                                            const struct drift_row *rows, uint32_t count);

#endif
