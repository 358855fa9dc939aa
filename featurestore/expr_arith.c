/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: kernels of + - * / %, signs and differences of timestamps. int64 results that do not fit are null;
 * float64 follows IEEE 754. Null slots are computed too, harmlessly.
 */
#include <math.h>

#include "featurestore/expr_vector_internal.h"

/* ---- float64 ---- */

#define FLOAT_BINARY(name, expression)                                                                                 \
    static void name(const struct mill__expr_call *call)                                                               \
    {                                                                                                                  \
        const double *a = call->in[0]->at.f, *b = call->in[1]->at.f;                                                   \
        double *restrict out = call->out->at.f;                                                                        \
        for (uint32_t i = 0, n = call->n; i < n; i++) {                                                                \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    }

FLOAT_BINARY(add_float64, a[i] + b[i])
FLOAT_BINARY(subtract_float64, a[i] - b[i])
FLOAT_BINARY(multiply_float64, a[i] * b[i])
FLOAT_BINARY(divide_float64, a[i] / b[i])

static void clear_zero_divisors(const struct mill__expr_call *call)
{
    const double *b = call->in[1]->at.f;
    uint8_t bad[MILL__EXPR_BLOCK];
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        bad[i] = b[i] == 0;
    }
    mill__expr_clear_where(call->out->valid, bad, call->n);
}

static void remainder_float64(const struct mill__expr_call *call)
{
    const double *a = call->in[0]->at.f, *b = call->in[1]->at.f;
    double *restrict out = call->out->at.f;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = fmod(a[i], b[i]);
    }
    clear_zero_divisors(call);
}

static void safe_div(const struct mill__expr_call *call)
{
    divide_float64(call);
    clear_zero_divisors(call);
}

static void negate_float64(const struct mill__expr_call *call)
{
    const double *a = call->in[0]->at.f;
    double *restrict out = call->out->at.f;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = -a[i];
    }
}

static void int64_to_float64(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i;
    double *restrict out = call->out->at.f;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = (double)a[i];
    }
}

/* ---- int64 ---- */

/* Sums wrap in unsigned arithmetic; the sign bit of `overflow` tells where the result did not fit. The rare block that
 * has such a row is gone through again. */
#define INT_SUM(name, wrapped, overflow)                                                                               \
    static void name(const struct mill__expr_call *call)                                                               \
    {                                                                                                                  \
        const int64_t *a = call->in[0]->at.i, *b = call->in[1]->at.i;                                                  \
        int64_t *restrict out = call->out->at.i;                                                                       \
        int64_t any = 0;                                                                                               \
        for (uint32_t i = 0, n = call->n; i < n; i++) {                                                                \
            int64_t r = (int64_t)(wrapped);                                                                            \
            out[i] = r;                                                                                                \
            any |= (overflow);                                                                                         \
        }                                                                                                              \
        for (uint32_t i = 0; any < 0 && i < call->n; i++) {                                                            \
            int64_t r = out[i];                                                                                        \
            if ((overflow) < 0) {                                                                                      \
                mill_bit_clear(call->out->valid, i);                                                                   \
            }                                                                                                          \
        }                                                                                                              \
    }

INT_SUM(add_int64, (uint64_t)a[i] + (uint64_t)b[i], (a[i] ^ r) & (b[i] ^ r))
INT_SUM(subtract_int64, (uint64_t)a[i] - (uint64_t)b[i], (a[i] ^ b[i]) & (a[i] ^ r))

static void multiply_int64(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i, *b = call->in[1]->at.i;
    int64_t *restrict out = call->out->at.i;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        if (__builtin_expect(__builtin_mul_overflow(a[i], b[i], &out[i]), 0)) {
            mill_bit_clear(call->out->valid, i);
        }
    }
}

/* The sign of the dividend, as in SQL and C. */
static void remainder_int64(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i, *b = call->in[1]->at.i;
    int64_t *restrict out = call->out->at.i;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        /* By -1 the remainder is 0, but the division would trap at the smallest int64. */
        int64_t divisor = b[i] == 0 || b[i] == -1 ? 1 : b[i];
        out[i] = a[i] % divisor;
        if (__builtin_expect(b[i] == 0, 0)) {
            mill_bit_clear(call->out->valid, i);
        }
    }
}

static void negate_int64(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i;
    int64_t *restrict out = call->out->at.i;
    int64_t any = 0;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = (int64_t)(0 - (uint64_t)a[i]);
        any |= a[i] & out[i]; /* both negative: the smallest int64 */
    }
    for (uint32_t i = 0; any < 0 && i < call->n; i++) {
        if (a[i] == INT64_MIN) {
            mill_bit_clear(call->out->valid, i);
        }
    }
}

/* Seconds; the difference itself is exact in microseconds. */
static void time_difference(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i, *b = call->in[1]->at.i;
    double *restrict out = call->out->at.f;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        int64_t us;
        if (__builtin_expect(__builtin_sub_overflow(a[i], b[i], &us), 0)) {
            mill_bit_clear(call->out->valid, i);
        }
        out[i] = (double)us / 1e6;
    }
}

/* ---- table ---- */

const struct mill__expr_op mill__expr_int64_to_float64 = {int64_to_float64, MILL_FLOAT64, false};
const struct mill__expr_op mill__expr_negate_int64 = {negate_int64, MILL_INT64, false};
const struct mill__expr_op mill__expr_negate_float64 = {negate_float64, MILL_FLOAT64, false};
const struct mill__expr_op mill__expr_safe_div = {safe_div, MILL_FLOAT64, false};
const struct mill__expr_op mill__expr_time_difference = {time_difference, MILL_FLOAT64, false};

const struct mill__expr_op *mill__expr_arith_op(enum mill__expr_arith op, enum mill_type type)
{
    static const struct mill__expr_op float64_ops[MILL__EXPR_ARITHS] = {
        [MILL__EXPR_ADD] = {add_float64, MILL_FLOAT64, false},
        [MILL__EXPR_SUBTRACT] = {subtract_float64, MILL_FLOAT64, false},
        [MILL__EXPR_MULTIPLY] = {multiply_float64, MILL_FLOAT64, false},
        [MILL__EXPR_QUOTIENT] = {divide_float64, MILL_FLOAT64, false},
        [MILL__EXPR_REMAINDER] = {remainder_float64, MILL_FLOAT64, false},
    };
    static const struct mill__expr_op int64_ops[MILL__EXPR_ARITHS] = {
        [MILL__EXPR_ADD] = {add_int64, MILL_INT64, false},
        [MILL__EXPR_SUBTRACT] = {subtract_int64, MILL_INT64, false},
        [MILL__EXPR_MULTIPLY] = {multiply_int64, MILL_INT64, false},
        [MILL__EXPR_REMAINDER] = {remainder_int64, MILL_INT64, false},
    };
    mill_assert(type == MILL_FLOAT64 || (type == MILL_INT64 && op != MILL__EXPR_QUOTIENT));
    return type == MILL_FLOAT64 ? &float64_ops[op] : &int64_ops[op];
}
