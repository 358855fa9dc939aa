/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of inference share: files of numbers, and comparison by bits. */
#ifndef MILL_TESTS_INFERENCE_SUPPORT_H
#define MILL_TESTS_INFERENCE_SUPPORT_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "inference/inference.h"

/* Whole file below tests/inference/data; fails the test where it cannot be read. Free with mill_buffer_clear(). */
struct mill_buffer support_read(const char *name);
struct mill_model *support_load(const char *name);
float *support_floats(const char *name, size_t *ret_count);
double *support_doubles(const char *name, size_t *ret_count);

/* What MILL_KERNEL can be: every kernel is made to run by its name (where the CPU lacks it the portable one runs). Ends
 * with NULL. */
extern const char *const support_kernels[];

/* Distance of two numbers in units in the last place; 0 for equal bits and for two NaNs. */
uint64_t support_ulps32(float a, float b);
uint64_t support_ulps64(double a, double b);

/* A case of data/more, see make_cases.py. */
struct support_case {
    char name[96]; /* file name of the model */
    struct mill_model *model;
    double *rows; /* floats widened where the trainer takes floats */
    size_t row_count, columns;
    double distance; /* relative, of values; 0: margins to the bit, predictions within 1 ulp */
};
/* Calls check for every case; returns how many there are. */
unsigned support_each_case(void (*check)(struct support_case *c));
/* Numbers beside the model as doubles: "margin", "pred" or "contribs"; NULL where there are none. The caller's. */
double *support_case_numbers(const struct support_case *c, const char *what, size_t *ret_count);

/* Reproducible numbers (splitmix64). */
uint64_t support_random(uint64_t *state);

#endif
