/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: kernels of the numeric functions. Rounding follows numpy (round: half to even), NaN goes through min and
 * max as in numpy.minimum. exp, log, pow and the like are the C library's, whose last bit may differ between versions.
 */
#include <math.h>

#include "featurestore/expr_vector_internal.h"

#define UNARY(name, expression)                                                                                        \
    static void name##_kernel(const struct mill__expr_call *call)                                                      \
    {                                                                                                                  \
        const double *a = call->in[0]->at.f;                                                                           \
        double *restrict out = call->out->at.f;                                                                        \
        for (uint32_t i = 0, n = call->n; i < n; i++) {                                                                \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    }                                                                                                                  \
    const struct mill__expr_op mill__expr_##name = {name##_kernel, MILL_FLOAT64, false};

UNARY(abs_float64, fabs(a[i]))
UNARY(floor, floor(a[i]))
UNARY(ceil, ceil(a[i]))
UNARY(round, rint(a[i]))
UNARY(sqrt, sqrt(a[i]))
UNARY(exp, exp(a[i]))
UNARY(log, log(a[i]))
UNARY(log1p, log1p(a[i]))
UNARY(sin, sin(a[i]))
UNARY(cos, cos(a[i]))

static void pow_kernel(const struct mill__expr_call *call)
{
    const double *a = call->in[0]->at.f, *b = call->in[1]->at.f;
    double *restrict out = call->out->at.f;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = pow(a[i], b[i]);
    }
}
const struct mill__expr_op mill__expr_pow = {pow_kernel, MILL_FLOAT64, false};

static void abs_int64_kernel(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i;
    int64_t *restrict out = call->out->at.i;
    int64_t any = 0;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        uint64_t sign = (uint64_t)(a[i] < 0 ? -1 : 0);
        out[i] = (int64_t)(((uint64_t)a[i] ^ sign) - sign);
        any |= out[i];
    }
    for (uint32_t i = 0; any < 0 && i < call->n; i++) {
        if (a[i] == INT64_MIN) {
            mill_bit_clear(call->out->valid, i);
        }
    }
}
const struct mill__expr_op mill__expr_abs_int64 = {abs_int64_kernel, MILL_INT64, false};

/* The first stays unless the second is strictly smaller (greater), so equal values keep the first one's bits. */
#define CHOOSE(name, result_type, T, member, take_second)                                                              \
    static void name##_kernel(const struct mill__expr_call *call)                                                      \
    {                                                                                                                  \
        const T *a = call->in[0]->at.member, *b = call->in[1]->at.member;                                              \
        T *restrict out = call->out->at.member;                                                                        \
        for (uint32_t i = 0, n = call->n; i < n; i++) {                                                                \
            out[i] = (take_second) ? b[i] : a[i];                                                                      \
        }                                                                                                              \
    }                                                                                                                  \
    const struct mill__expr_op mill__expr_##name = {name##_kernel, result_type, false};

CHOOSE(min_int64, MILL_INT64, int64_t, i, b[i] < a[i])
CHOOSE(max_int64, MILL_INT64, int64_t, i, b[i] > a[i])
CHOOSE(min_timestamp, MILL_TIMESTAMP, int64_t, i, b[i] < a[i])
CHOOSE(max_timestamp, MILL_TIMESTAMP, int64_t, i, b[i] > a[i])
CHOOSE(min_float64, MILL_FLOAT64, double, f, (b[i] < a[i]) | (b[i] != b[i]))
CHOOSE(max_float64, MILL_FLOAT64, double, f, (b[i] > a[i]) | (b[i] != b[i]))
