/* SPDX-License-Identifier: Apache-2.0 */
/* Performance from counts: against scikit-learn and naive sums over rows; sums that add and subtract; damaged bytes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "drift/outcomes_internal.h"
#include "statistics_fixture.h"

struct rows {
    size_t n;
    double *score;
    double *uniform; /* label = uniform < score */
};

static struct rows rows_of(uint64_t seed, size_t n, unsigned grid, double power)
{
    struct rows rows = {n, statistics_random(seed, n, grid), statistics_random(seed + 1, n, 0)};
    for (size_t i = 0; i < n; i++) {
        double s = rows.score[i];
        rows.score[i] = grid == 0 ? (power == 2 ? s * s : s) : (s * 8 + grid / 2) / (grid - 1);
    }
    return rows;
}

static void rows_free(struct rows *rows)
{
    free(rows->score);
    free(rows->uniform);
}

static int label_of(const struct rows *rows, size_t i)
{
    return rows->uniform[i] < rows->score[i];
}

static void scikit_learn(void **state)
{
    (void)state;
    enum {
        SEED,
        N,
        GRID,
        POWER,
        THRESHOLD,
        AUC,
        LOSS,
        BRIER,
        ACCURACY,
        CALIBRATION,
        E_AUC,
        E_ACCURACY,
        E_LOSS,
        E_BRIER
    };
    struct statistics_table table = statistics_table_read("scipy_outcomes.txt", E_BRIER + 1);
    struct statistics_error error = {0}, auc_error = {0}, estimate_error = {0};
    struct mill_outcomes *outcomes = mill_outcomes_new();
    for (size_t k = 0; k < table.count; k++) {
        const double *row = table.at + k * table.width;
        struct rows rows = rows_of(table.integer[k], (size_t)row[N], (unsigned)row[GRID], row[POWER]);
        double n = row[N], mass = 0, tied = 0;
        mill_outcomes_reset(outcomes);
        for (size_t i = 0; i < rows.n; i++) {
            mill_outcomes_add(outcomes, rows.score[i], label_of(&rows, i), row[THRESHOLD]);
            mass += rows.score[i];
        }
        struct mill_performance got;
        mill_outcomes_evaluate(outcomes, &got);
        assert_true(got.scored == rows.n && got.labelled == rows.n);
        statistics_check_absolute(&auc_error, got.auc, row[AUC], got.auc_error_max + 1e-14);
        statistics_check_absolute(&error, got.log_loss, row[LOSS], 1e-13);
        statistics_check_absolute(&error, got.brier, row[BRIER], 1e-13);
        statistics_check_absolute(&error, got.accuracy, row[ACCURACY], 1e-15);
        statistics_check_absolute(&error, got.calibration_error, row[CALIBRATION], 1e-13);
        statistics_check_absolute(&error, got.estimated_accuracy, row[E_ACCURACY], 1e-13);
        statistics_check_absolute(&error, got.estimated_log_loss, row[E_LOSS], 1e-13);
        statistics_check_absolute(&error, got.estimated_brier, row[E_BRIER], 1e-13);
        /* Rows of different scores in one cell are what the estimate of AUC may be off by. */
        for (size_t i = 0; i < rows.n; i++) {
            for (size_t j = 0; j < rows.n; j++) {
                bool is_one_cell =
                    floor(rows.score[i] * MILL_OUTCOME_CELLS) == floor(rows.score[j] * MILL_OUTCOME_CELLS);
                tied += is_one_cell && rows.score[i] != rows.score[j] ? rows.score[i] * (1 - rows.score[j]) / 2 : 0;
            }
        }
        statistics_check_absolute(&estimate_error, got.estimated_auc, row[E_AUC], tied / (mass * (n - mass)) + 1e-11);
        rows_free(&rows);
    }
    print_message(
        "%zu sets of rows: max error of AUC %.3g (within its bound), of its estimate %.3g, of all else %.3g\n",
        table.count, auc_error.absolute, estimate_error.absolute, error.absolute);
    mill_outcomes_free(outcomes);
    statistics_table_clear(&table);
}

/* AUC over all pairs: the bound holds, and is met where scores of a cell are all in one order. */
static void auc_bound(void **state)
{
    (void)state;
    struct mill_outcomes *outcomes = mill_outcomes_new();
    struct mill_performance got;
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct rows rows = rows_of(seed, 150, 0, 1);
        double ordered = 0, pairs = 0;
        mill_outcomes_reset(outcomes);
        for (size_t i = 0; i < rows.n; i++) {
            rows.uniform[i] = 1 - 0.3 * rows.uniform[i]; /* few positives */
            rows.score[i] *= seed % 2 == 0 ? 0.001 : 1;  /* all in 17 cells */
            mill_outcomes_add(outcomes, rows.score[i], rows.uniform[i] < 0.8, 0.5);
            for (size_t j = 0; j < i; j++) {
                int yi = rows.uniform[i] < 0.8, yj = rows.uniform[j] < 0.8;
                pairs += yi != yj;
                ordered += yi != yj && (rows.score[i] > rows.score[j]) == (yi > yj);
            }
        }
        mill_outcomes_evaluate(outcomes, &got);
        assert_true(fabs(got.auc - ordered / pairs) <= got.auc_error_max + 1e-14);
        assert_true(got.auc_error_max < (seed % 2 == 0 ? 0.1 : 0.005));
        rows_free(&rows);
    }
    mill_outcomes_reset(outcomes);
    mill_outcomes_add(outcomes, 0.00001, 1, 0.5);
    mill_outcomes_add(outcomes, 0.00002, 0, 0.5); /* same cell, wrong order: AUC is 0 */
    mill_outcomes_evaluate(outcomes, &got);
    assert_true(got.auc == 0.5 && got.auc_error_max == 0.5);
    mill_outcomes_free(outcomes);
}

static struct mill_buffer bytes_of(const struct mill_outcomes *outcomes)
{
    struct mill_buffer bytes = {0};
    mill_outcomes_write(outcomes, &bytes);
    return bytes;
}

static void assert_same(const struct mill_outcomes *a, const struct mill_outcomes *b)
{
    struct mill_buffer x = bytes_of(a), y = bytes_of(b);
    assert_true(mill_slice_equal(mill_buffer_slice(&x), mill_buffer_slice(&y)));
    mill_buffer_clear(&x);
    mill_buffer_clear(&y);
}

enum { PARTS = 7 };

/* Rows in parts, in another order, with what does not belong added and taken back: the bits of one count. */
static void additive(void **state)
{
    (void)state;
    struct mill_outcomes *whole = mill_outcomes_new(), *sum = mill_outcomes_new(), *parts[PARTS];
    struct mill_buffer bytes[PARTS];
    struct mill_error err;
    struct rows rows = rows_of(99, 5000, 0, 2);
    for (size_t p = 0; p < PARTS; p++) {
        parts[p] = mill_outcomes_new();
    }
    for (size_t i = 0; i < rows.n; i++) {
        int label = i % 5 == 0 ? -1 : label_of(&rows, i);
        mill_outcomes_add(parts[i * 31 % PARTS], rows.score[i], label, 0.5);
    }
    for (size_t i = rows.n; i-- > 0;) {
        if (i * 31 % PARTS != 3) {
            mill_outcomes_add(whole, rows.score[i], i % 5 == 0 ? -1 : label_of(&rows, i), 0.5);
        }
    }
    for (size_t p = PARTS; p-- > 0;) {
        bytes[p] = bytes_of(parts[p]);
        assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes[p]), 1, &err), MILL_OK);
    }
    assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes[3]), -1, &err), MILL_OK);
    assert_same(sum, whole);
    /* What is not there cannot be taken back; nothing has changed. */
    assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes[3]), -1, &err), MILL_EDATA);
    assert_same(sum, whole);
    for (size_t p = 0; p < PARTS; p++) {
        if (p != 3) {
            assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes[p]), -1, &err), MILL_OK);
        }
        mill_outcomes_free(parts[p]);
        mill_buffer_clear(&bytes[p]);
    }
    mill_outcomes_reset(whole);
    assert_same(sum, whole);
    mill_outcomes_free(whole);
    mill_outcomes_free(sum);
    rows_free(&rows);
}

/* Rows without a label yet count for the estimate only. */
static void unlabelled(void **state)
{
    (void)state;
    struct mill_outcomes *all = mill_outcomes_new(), *labelled = mill_outcomes_new();
    struct mill_performance got, expected;
    struct rows rows = rows_of(5, 3000, 0, 1), more = rows_of(6, 3000, 0, 2);
    for (size_t i = 0; i < rows.n; i++) {
        mill_outcomes_add(all, rows.score[i], label_of(&rows, i), 0.5);
        mill_outcomes_add(labelled, rows.score[i], label_of(&rows, i), 0.5);
        mill_outcomes_add(all, more.score[i], -1, 0.5);
    }
    mill_outcomes_evaluate(all, &got);
    mill_outcomes_evaluate(labelled, &expected);
    assert_true(got.scored == 6000 && got.labelled == 3000 && got.positives == expected.positives);
    assert_true(got.auc == expected.auc && got.log_loss == expected.log_loss && got.brier == expected.brier);
    assert_true(got.accuracy == expected.accuracy && got.calibration_error == expected.calibration_error);
    assert_true(got.estimated_accuracy != expected.estimated_accuracy);
    /* Scores are calibrated here, so the estimate is near what was seen. */
    assert_true(fabs(expected.estimated_auc - expected.auc) < 0.03);
    assert_true(fabs(expected.estimated_log_loss - expected.log_loss) < 0.03);
    mill_outcomes_free(all);
    mill_outcomes_free(labelled);
    rows_free(&rows);
    rows_free(&more);
}

static void edges(void **state)
{
    (void)state;
    struct mill_outcomes *outcomes = mill_outcomes_new();
    struct mill_performance got;
    mill_outcomes_evaluate(outcomes, &got);
    assert_true(got.scored == 0 && isnan(got.auc) && isnan(got.auc_error_max) && isnan(got.log_loss));
    assert_true(isnan(got.brier) && isnan(got.accuracy) && isnan(got.calibration_error));
    assert_true(isnan(got.estimated_auc) && isnan(got.estimated_accuracy) && isnan(got.estimated_log_loss));
    mill_outcomes_add(outcomes, NAN, 1, 0.5);
    mill_outcomes_evaluate(outcomes, &got);
    assert_true(got.scored == 0);
    /* Certain and wrong: scikit-learn's clip, -ln 2^-52. Out of [0, 1] is taken as its end. */
    mill_outcomes_add(outcomes, 1, 0, 0.5);
    mill_outcomes_add(outcomes, -3, 1, 0.5);
    mill_outcomes_evaluate(outcomes, &got);
    assert_true(fabs(got.log_loss - 52 * M_LN2) < 1e-14 && got.brier == 1 && got.accuracy == 0 && got.auc == 0);
    assert_true(got.calibration_error == 1 && got.auc_error_max == 0 && got.estimated_auc == 1);
    /* 3 * 0.1 is more than 0.3, and is numpy's edge: it belongs to the bin below, where errors cancel. */
    mill_outcomes_reset(outcomes);
    mill_outcomes_add(outcomes, 3 * 0.1, 1, 0.5);
    mill_outcomes_add(outcomes, 0.25, 0, 0.5);
    mill_outcomes_evaluate(outcomes, &got);
    assert_true(fabs(got.calibration_error - 0.225) < 1e-15);
    /* One class only. */
    mill_outcomes_reset(outcomes);
    mill_outcomes_add(outcomes, 0.5, 1, 0.5);
    mill_outcomes_evaluate(outcomes, &got);
    assert_true(isnan(got.auc) && isnan(got.auc_error_max) && got.accuracy == 1 && got.estimated_accuracy == 0.5);
    mill_outcomes_free(outcomes);
}

/* Any byte changed or cut off: refused, and nothing is added. With the checksum made good: refused, or what was read is
 * written again as it came. */
static void damage(void **state)
{
    (void)state;
    struct mill_outcomes *outcomes = mill_outcomes_new(), *target = mill_outcomes_new(), *empty = mill_outcomes_new();
    struct mill_error err;
    for (int i = 0; i < 40; i++) {
        mill_outcomes_add(outcomes, i % 20 / 19.0, i % 3 - 1, 0.5);
    }
    struct mill_buffer bytes = bytes_of(outcomes);
    unsigned refused = 0;
    for (size_t at = 0; at < bytes.n; at++) {
        for (unsigned flip = 1; flip < 256; flip *= 2) {
            bytes.p[at] = (char)(bytes.p[at] ^ flip);
            assert_int_equal(mill_outcomes_merge(target, mill_buffer_slice(&bytes), 1, &err), MILL_EDATA);
            if (at < bytes.n - 4) {
                struct mill_buffer made_good = {0};
                mill_buffer_add(&made_good, bytes.p, bytes.n - 4);
                mill_buffer_add_u32(&made_good, (uint32_t)mill_hash64(made_good.p, made_good.n));
                if (mill_outcomes_merge(target, mill_buffer_slice(&made_good), 1, &err) == MILL_OK) {
                    assert_int_equal(mill_outcomes_merge(target, mill_buffer_slice(&made_good), -1, &err), MILL_OK);
                } else {
                    refused++;
                }
                mill_buffer_clear(&made_good);
            }
            bytes.p[at] = (char)(bytes.p[at] ^ flip);
            assert_same(target, empty);
        }
        struct mill_slice cut = {bytes.p, at};
        assert_int_equal(mill_outcomes_merge(target, cut, 1, &err), MILL_EDATA);
    }
    assert_true(refused > bytes.n);
    assert_same(target, empty);
    mill_buffer_clear(&bytes);
    mill_outcomes_free(outcomes);
    mill_outcomes_free(target);
    mill_outcomes_free(empty);
}

/* Two parts that are sound alone, but would overflow a cell together: what is added can always be taken back. */
static void full_cell(void **state)
{
    struct mill_outcomes *full = mill_outcomes_new(), *sum = mill_outcomes_new();
    struct mill_buffer bytes = {0};

    (void)state;
    full->cells[7].unlabelled = UINT64_C(1) << 36;
    full->cells[7].offset = UINT64_MAX;
    mill_outcomes_write(full, &bytes);
    assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes), 1, NULL), MILL_OK);
    assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes), 1, NULL), MILL_EDATA);
    assert_int_equal(mill_outcomes_merge(sum, mill_buffer_slice(&bytes), -1, NULL), MILL_OK);
    assert_int_equal(sum->cells[7].unlabelled, 0);
    assert_int_equal(sum->cells[7].offset, 0);
    mill_buffer_clear(&bytes);
    mill_outcomes_free(full);
    mill_outcomes_free(sum);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scikit_learn), cmocka_unit_test(auc_bound), cmocka_unit_test(additive),
        cmocka_unit_test(unlabelled),   cmocka_unit_test(edges),     cmocka_unit_test(damage),
        cmocka_unit_test(full_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
