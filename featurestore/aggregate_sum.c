/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sum and mean, exact: of float64 by mill__exact_sum, of int64 and bool as 128-bit integers. A sum of integers that no
 * int64 holds is null (as of an event's row; it comes back when the window's sum fits again). A mean is the sum,
 * rounded once, over the count.
 */
#include "featurestore/aggregate_internal.h"
#include "featurestore/exact_sum_internal.h"

struct float_sum {
    struct mill__exact_sum sum;
    int64_t count;
};

/* The 128-bit integer in two halves: states are aligned to 8 bytes only. */
struct int_sum {
    uint64_t low, high;
    int64_t count;
};

static mill__i128 int_total(const struct int_sum *s)
{
    return (mill__i128)(((mill__u128)s->high << 64) | s->low);
}

/* Wraps: 2^64 events of any int64 fit, so only hostile stored bytes get there. */
static void int_change(struct int_sum *s, mill__u128 by, int64_t count)
{
    mill__u128 total = (mill__u128)int_total(s) + by;
    s->low = (uint64_t)total;
    s->high = (uint64_t)(total >> 64);
    s->count += count;
}

static void float_init(void *state)
{
    *(struct float_sum *)state = (struct float_sum){0};
}

static void float_clear(void *state)
{
    mill__exact_sum_clear(&((struct float_sum *)state)->sum);
}

static void float_add(void *state, const struct mill__order *order, mill__value value)
{
    struct float_sum *s = state;
    (void)order;
    mill__exact_sum_add(&s->sum, mill__value_double(value));
    s->count++;
}

static void float_subtract(void *state, const struct mill__order *order, mill__value value)
{
    struct float_sum *s = state;
    (void)order;
    mill__exact_sum_subtract(&s->sum, mill__value_double(value));
    s->count--;
}

static void float_merge(void *state, const void *other)
{
    struct float_sum *s = state;
    const struct float_sum *o = other;
    mill__exact_sum_merge(&s->sum, &o->sum, 1);
    s->count += o->count;
}

static void float_unmerge(void *state, const void *other)
{
    struct float_sum *s = state;
    const struct float_sum *o = other;
    mill__exact_sum_merge(&s->sum, &o->sum, -1);
    s->count -= o->count;
}

static void float_write(const void *state, struct mill_buffer *out)
{
    const struct float_sum *s = state;
    mill_buffer_add_varint(out, (uint64_t)s->count);
    mill__exact_sum_write(&s->sum, out);
}

static const uint64_t count_max = UINT64_C(1) << 48;

static bool float_read(void *state, struct mill_cursor *c)
{
    struct float_sum *s = state;
    uint64_t count = mill_cursor_varint(c);
    s->count = (int64_t)count;
    return !c->bad && count <= count_max && mill__exact_sum_read(&s->sum, c);
}

static void int_init(void *state)
{
    *(struct int_sum *)state = (struct int_sum){0};
}

static void int_add(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    int_change(state, (mill__u128)(mill__i128)(int64_t)value, 1);
}

static void int_subtract(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    int_change(state, (mill__u128) - (mill__i128)(int64_t)value, -1);
}

static void int_merge(void *state, const void *other)
{
    const struct int_sum *o = other;
    int_change(state, (mill__u128)int_total(o), o->count);
}

static void int_unmerge(void *state, const void *other)
{
    const struct int_sum *o = other;
    int_change(state, -(mill__u128)int_total(o), -o->count);
}

/* Low half and the difference of the high half to the low one's sign: one byte for what an int64 holds. */
static void int_write(const void *state, struct mill_buffer *out)
{
    const struct int_sum *s = state;
    mill_buffer_add_varint(out, (uint64_t)s->count);
    mill_buffer_add_zigzag(out, (int64_t)s->low);
    mill_buffer_add_zigzag(out, (int64_t)(s->high - (uint64_t)((int64_t)s->low >> 63)));
}

static bool int_read(void *state, struct mill_cursor *c)
{
    struct int_sum *s = state;
    uint64_t count = mill_cursor_varint(c);
    s->count = (int64_t)count;
    s->low = (uint64_t)mill_cursor_zigzag(c);
    s->high = (uint64_t)mill_cursor_zigzag(c) + (uint64_t)((int64_t)s->low >> 63);
    return !c->bad && count <= count_max;
}

static const struct mill__accumulator float_accumulator = {
    .name = "sum_float64",
    .size = sizeof(struct float_sum),
    .init = float_init,
    .clear = float_clear,
    .add = float_add,
    .merge = float_merge,
    .subtract = float_subtract,
    .unmerge = float_unmerge,
    .write = float_write,
    .read = float_read,
};

static const struct mill__accumulator int_accumulator = {
    .name = "sum_int64",
    .size = sizeof(struct int_sum),
    .init = int_init,
    .add = int_add,
    .merge = int_merge,
    .subtract = int_subtract,
    .unmerge = int_unmerge,
    .write = int_write,
    .read = int_read,
};

static const struct mill__accumulator *sum_of(enum mill_type column_type)
{
    if (column_type == MILL_FLOAT64) {
        return &float_accumulator;
    }
    return column_type == MILL_INT64 || column_type == MILL_BOOL ? &int_accumulator : NULL;
}

static enum mill_type sum_type(enum mill_type column_type)
{
    return column_type == MILL_FLOAT64 ? MILL_FLOAT64 : MILL_INT64;
}

static enum mill_type mean_type(enum mill_type column_type)
{
    (void)column_type;
    return MILL_FLOAT64;
}

static bool sum_result(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value)
{
    (void)at_us;
    if (column_type == MILL_FLOAT64) {
        const struct float_sum *s = state;
        *ret_value = mill__value_of_double(mill__exact_sum_value(&s->sum));
        return s->count > 0;
    }
    const struct int_sum *s = state;
    mill__i128 total = int_total(s);
    *ret_value = (mill__value)(uint64_t)total;
    return s->count > 0 && total == (mill__i128)(int64_t)total;
}

static bool mean_result(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value)
{
    (void)at_us;
    double total;
    int64_t count;

    if (column_type == MILL_FLOAT64) {
        const struct float_sum *s = state;
        total = mill__exact_sum_value(&s->sum);
        count = s->count;
    } else {
        const struct int_sum *s = state;
        mill__i128 exact = int_total(s);
        total = mill__round_to_double(mill__i128_magnitude(exact), 0, false, exact < 0);
        count = s->count;
    }
    if (count <= 0) {
        return false;
    }
    *ret_value = mill__value_of_double(total / (double)count);
    return true;
}

const struct mill__aggregate mill__aggregate_sum = {
    .name = "sum",
    .accumulator = sum_of,
    .result_type = sum_type,
    .result = sum_result,
};

const struct mill__aggregate mill__aggregate_mean = {
    .name = "mean",
    .accumulator = sum_of,
    .result_type = mean_type,
    .result = mean_result,
};
