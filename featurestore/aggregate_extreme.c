/* SPDX-License-Identifier: Apache-2.0 */
/*
 * min and max. Values are compared as integers: a double's bits become a key in the same order (with -0 below +0, so
 * that the order of arrival cannot show). A NaN in the window makes the result NaN until it leaves.
 */
#include "featurestore/aggregate_internal.h"

#include <math.h>

enum { HAS_VALUE = 1, HAS_NAN = 2 };

struct extreme {
    int64_t key;
    uint64_t flags;
};

/* Its own inverse. */
static int64_t key_of_bits(int64_t bits)
{
    return bits ^ (int64_t)((uint64_t)(bits >> 63) >> 1);
}

static void extreme_init(void *state)
{
    *(struct extreme *)state = (struct extreme){0};
}

static inline void take(struct extreme *s, int64_t key, uint64_t flags, int sign)
{
    if ((flags & HAS_VALUE) != 0 && ((s->flags & HAS_VALUE) == 0 || (sign < 0 ? key < s->key : key > s->key))) {
        s->key = key;
    }
    s->flags |= flags;
}

static inline void take_float(struct extreme *s, mill__value value, int sign)
{
    if (isnan(mill__value_double(value))) {
        s->flags |= HAS_NAN;
    } else {
        take(s, key_of_bits((int64_t)value), HAS_VALUE, sign);
    }
}

static void min_add_float(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    take_float(state, value, -1);
}

static void max_add_float(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    take_float(state, value, 1);
}

static void min_add_int(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    take(state, (int64_t)value, HAS_VALUE, -1);
}

static void max_add_int(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    take(state, (int64_t)value, HAS_VALUE, 1);
}

static void min_merge(void *state, const void *other)
{
    const struct extreme *o = other;
    take(state, o->key, o->flags, -1);
}

static void max_merge(void *state, const void *other)
{
    const struct extreme *o = other;
    take(state, o->key, o->flags, 1);
}

static void extreme_write(const void *state, struct mill_buffer *out)
{
    const struct extreme *s = state;
    mill_buffer_add_byte(out, (unsigned char)s->flags);
    if ((s->flags & HAS_VALUE) != 0) {
        mill_buffer_add_u64(out, (uint64_t)s->key);
    }
}

static bool extreme_read(void *state, struct mill_cursor *c)
{
    struct extreme *s = state;
    s->flags = mill_cursor_byte(c);
    s->key = (s->flags & HAS_VALUE) != 0 ? (int64_t)mill_cursor_u64(c) : 0;
    return !c->bad && s->flags <= (HAS_VALUE | HAS_NAN);
}

#define ACCUMULATOR(which, type)                                                                                       \
    {                                                                                                                  \
        .name = #which "_" #type, .size = sizeof(struct extreme), .init = extreme_init, .add = which##_add_##type,     \
        .merge = which##_merge, .write = extreme_write, .read = extreme_read,                                          \
    }

static const struct mill__accumulator min_float = ACCUMULATOR(min, float), max_float = ACCUMULATOR(max, float);
static const struct mill__accumulator min_int = ACCUMULATOR(min, int), max_int = ACCUMULATOR(max, int);

static const struct mill__accumulator *min_of(enum mill_type column_type)
{
    return column_type == MILL_STRING ? NULL : column_type == MILL_FLOAT64 ? &min_float : &min_int;
}

static const struct mill__accumulator *max_of(enum mill_type column_type)
{
    return column_type == MILL_STRING ? NULL : column_type == MILL_FLOAT64 ? &max_float : &max_int;
}

static bool extreme_result(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value)
{
    const struct extreme *s = state;
    (void)at_us;
    if (column_type == MILL_FLOAT64) {
        *ret_value = (s->flags & HAS_NAN) != 0 ? mill__value_of_double((double)NAN) : (mill__value)key_of_bits(s->key);
    } else {
        *ret_value = (mill__value)s->key;
    }
    return s->flags != 0;
}

const struct mill__aggregate mill__aggregate_min = {
    .name = "min",
    .accumulator = min_of,
    .result_type = mill__result_same_type,
    .result = extreme_result,
};

const struct mill__aggregate mill__aggregate_max = {
    .name = "max",
    .accumulator = max_of,
    .result_type = mill__result_same_type,
    .result = extreme_result,
};
