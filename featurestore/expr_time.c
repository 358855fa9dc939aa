/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: kernels that take timestamps apart, in the view's time zone. Weekdays are numbered as pandas does
 * (Monday 0). Timestamps outside the years 1 to 9999 give null: they come only from arithmetic on broken input.
 */
#include "featurestore/expr_vector_internal.h"

/* 0001-01-01T00:00:00Z to 9999-12-31T23:59:59.999999Z. */
static const int64_t time_min_us = INT64_C(-62135596800000000);
static const int64_t time_max_us = INT64_C(253402300799999999);

/* Local time in microseconds into local[]; rows out of range become 0 and null. */
static void to_local(const struct mill__expr_call *call, int64_t *restrict local)
{
    const int64_t *a = call->in[0]->at.i;
    for (uint32_t i = 0; i < call->n; i++) {
        bool in_range = a[i] >= time_min_us && a[i] <= time_max_us;
        local[i] = in_range ? a[i] : 0;
        if (__builtin_expect(!in_range, 0)) {
            mill_bit_clear(call->out->valid, i);
        }
    }
    for (uint32_t i = 0; call->zone != NULL && i < call->n; i++) {
        local[i] += mill_timezone_offset_us(call->zone, local[i]);
    }
}

/* Whole days and hours by division; shifted to be positive, where it truncates as floor does. The shift is a multiple
 * of 7 days, so weekdays stay: 1970-01-01 was a Thursday (3). */
static const int64_t shift_us = 7 * 110000 * MILL_US_PER_DAY;

#define CLOCK(name, result_type, member, expression)                                                                   \
    static void name##_kernel(const struct mill__expr_call *call)                                                      \
    {                                                                                                                  \
        int64_t local[MILL__EXPR_BLOCK];                                                                               \
        to_local(call, local);                                                                                         \
        for (uint32_t i = 0, n = call->n; i < n; i++) {                                                                \
            uint64_t t = (uint64_t)(local[i] + shift_us);                                                              \
            call->out->at.member[i] = (expression);                                                                    \
        }                                                                                                              \
    }                                                                                                                  \
    const struct mill__expr_op mill__expr_##name = {name##_kernel, result_type, false};

CLOCK(hour, MILL_INT64, i, (int64_t)(t / MILL_US_PER_HOUR % 24))
CLOCK(minute, MILL_INT64, i, (int64_t)(t / MILL_US_PER_MINUTE % 60))
CLOCK(second, MILL_INT64, i, (int64_t)(t / MILL_US_PER_SECOND % 60))
CLOCK(day_of_week, MILL_INT64, i, (int64_t)((t / MILL_US_PER_DAY + 3) % 7))
CLOCK(is_weekend, MILL_BOOL, b, (t / MILL_US_PER_DAY + 3) % 7 >= 5)

#define CALENDAR(name, field)                                                                                          \
    static void name##_kernel(const struct mill__expr_call *call)                                                      \
    {                                                                                                                  \
        int64_t local[MILL__EXPR_BLOCK];                                                                               \
        to_local(call, local);                                                                                         \
        for (uint32_t i = 0; i < call->n; i++) {                                                                       \
            struct mill_civil civil;                                                                                   \
            mill_timestamp_civil(local[i], &civil);                                                                    \
            call->out->at.i[i] = civil.field;                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    const struct mill__expr_op mill__expr_##name = {name##_kernel, MILL_INT64, false};

CALENDAR(day_of_month, day)
CALENDAR(month, month)
CALENDAR(year, year)

static void epoch_kernel(const struct mill__expr_call *call)
{
    const int64_t *a = call->in[0]->at.i;
    double *restrict out = call->out->at.f;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = (double)a[i] / 1e6;
    }
}
const struct mill__expr_op mill__expr_epoch = {epoch_kernel, MILL_FLOAT64, false};
