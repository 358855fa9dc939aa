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

/* Reproducible numbers (splitmix64). */
uint64_t support_random(uint64_t *state);

#endif
