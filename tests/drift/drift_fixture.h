/* SPDX-License-Identifier: Apache-2.0 */
/* Rows in columns, and random values that are hard on counting: ties, infinities, -0.0, denormals, NaN, nulls. */
#ifndef TESTS_DRIFT_FIXTURE_H
#define TESTS_DRIFT_FIXTURE_H

#include "drift/drift.h"
#include "tests/base/random.h"

/* Growable columns of any length (a batch has at most 4,096 rows), with a segment column and event times. */
struct rows {
    uint32_t count, capacity, field_count;
    const struct mill_field *fields;
    struct mill_column *columns; /* field_count, and the segment column (strings) behind */
    const struct mill_column **pointers;
    int64_t *times;
    struct mill_arena texts;
};
struct rows *rows_new(const struct mill_field *fields, uint32_t field_count);
void rows_free(struct rows *rows);
/* A new row of time_us without any value; returns its number. */
uint32_t rows_add(struct rows *rows, int64_t time_us);
void rows_set_double(struct rows *rows, uint32_t row, uint32_t field, double x);
void rows_set_int(struct rows *rows, uint32_t row, uint32_t field, int64_t x);
void rows_set_bool(struct rows *rows, uint32_t row, uint32_t field, bool x);
/* field field_count: the segment. The text is copied. */
void rows_set_text(struct rows *rows, uint32_t row, uint32_t field, const char *text);
const struct mill_column *rows_segment(const struct rows *rows);
void rows_build(const struct rows *rows, struct mill_profile_builder *builder);
/* The profile of all rows; asserts that there is one. */
struct mill_profile *rows_profile(const struct rows *rows, const struct mill_profile_spec *spec);

double random_unit(void);   /* [0, 1) */
double random_normal(void); /* mean 0, deviation 1 */
/* Values of one of several hard distributions, by number. */
enum { HARD_KINDS = 10 };
double random_hard(unsigned kind);

#endif
