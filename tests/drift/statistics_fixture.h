/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of drift's statistics share: files of numbers from scipy, samples that both make, golden cases. */
#ifndef MILL_TESTS_DRIFT_STATISTICS_FIXTURE_H
#define MILL_TESTS_DRIFT_STATISTICS_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

/* Rows of `width` numbers of tests/drift/data/<name>; fails the test where a line has another number of them. Whole
 * numbers above 2^53 keep 53 bits only; column 0 is also given as an integer. Free both. */
struct statistics_table {
    size_t count, width;
    double *at;        /* [row * width + column] */
    uint64_t *integer; /* [row]: the first column */
};
struct statistics_table statistics_table_read(const char *name, size_t width);
void statistics_table_clear(struct statistics_table *table);

/* As sample() of data/make_scipy.py. free() it. */
double *statistics_random(uint64_t seed, size_t n, unsigned grid);
/* The same plus shift, sorted. */
double *statistics_sample(uint64_t seed, size_t n, unsigned grid, double shift);
void statistics_sort(double *values, size_t n);

/* tests/drift/data/golden/<name>.json. json_decref() it. */
json_t *statistics_golden(const char *name);
/* The numbers of a JSON array, null left out, Infinity as such; sorted. free() it. */
double *statistics_numbers(const json_t *array, size_t *ret_count);
double statistics_number(const json_t *object, const char *key, const char *inner);

/* Keeps the largest error seen and fails where one is above the limit. */
struct statistics_error {
    double absolute, relative;
};
void statistics_check_absolute(struct statistics_error *error, double got, double expected, double limit);
void statistics_check_relative(struct statistics_error *error, double got, double expected, double limit);

#endif
