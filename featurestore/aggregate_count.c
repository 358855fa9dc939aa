/* SPDX-License-Identifier: Apache-2.0 */
/* count: events of the window whose column is not null; 0 for none. */
#include "featurestore/aggregate_internal.h"

static void count_init(void *state)
{
    *(int64_t *)state = 0;
}

static void count_add(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    (void)value;
    ++*(int64_t *)state;
}

static void count_subtract(void *state, const struct mill__order *order, mill__value value)
{
    (void)order;
    (void)value;
    --*(int64_t *)state;
}

static void count_merge(void *state, const void *other)
{
    *(int64_t *)state += *(const int64_t *)other;
}

static void count_unmerge(void *state, const void *other)
{
    *(int64_t *)state -= *(const int64_t *)other;
}

static void count_write(const void *state, struct mill_buffer *out)
{
    mill_buffer_add_varint(out, (uint64_t) * (const int64_t *)state);
}

static bool count_read(void *state, struct mill_cursor *c)
{
    uint64_t n = mill_cursor_varint(c);
    *(int64_t *)state = (int64_t)n;
    return !c->bad && n <= UINT64_C(1) << 48;
}

static const struct mill__accumulator count_accumulator = {
    .name = "count",
    .size = sizeof(int64_t),
    .init = count_init,
    .add = count_add,
    .merge = count_merge,
    .subtract = count_subtract,
    .unmerge = count_unmerge,
    .write = count_write,
    .read = count_read,
};

static const struct mill__accumulator *count_of(enum mill_type column_type)
{
    (void)column_type;
    return &count_accumulator;
}

static enum mill_type count_type(enum mill_type column_type)
{
    (void)column_type;
    return MILL_INT64;
}

static bool count_result(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value)
{
    (void)column_type;
    (void)at_us;
    *ret_value = (mill__value) * (const int64_t *)state;
    return true;
}

const struct mill__aggregate mill__aggregate_count = {
    .name = "count",
    .accumulator = count_of,
    .result_type = count_type,
    .result = count_result,
};
