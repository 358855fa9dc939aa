/* SPDX-License-Identifier: Apache-2.0 */
/*
 * first, last and time_since_last: by (event time, partition, offset), among events whose column is not null.
 * time_since_last is in seconds; on an event's own row it looks at the events before it, so it is the time since the
 * previous one.
 */
#include "featurestore/aggregate_internal.h"

/* One event of the window: its place and value. */
struct pick {
    struct mill__order order;
    bool has_value;
    mill__value value;
};

/* Only the newest time: what time_since_last needs, for strings too. */
struct newest {
    int64_t time_us;
    uint64_t has_value;
};

static void pick_init(void *state)
{
    *(struct pick *)state = (struct pick){0};
}

static inline void take(struct pick *s, const struct mill__order *order, mill__value value, int sign)
{
    if (!s->has_value || mill__order_compare(order, &s->order) * sign > 0) {
        s->order = *order;
        s->value = value;
        s->has_value = true;
    }
}

static void first_add(void *state, const struct mill__order *order, mill__value value)
{
    take(state, order, value, -1);
}

static void last_add(void *state, const struct mill__order *order, mill__value value)
{
    take(state, order, value, 1);
}

static void first_merge(void *state, const void *other)
{
    const struct pick *o = other;
    if (o->has_value) {
        take(state, &o->order, o->value, -1);
    }
}

static void last_merge(void *state, const void *other)
{
    const struct pick *o = other;
    if (o->has_value) {
        take(state, &o->order, o->value, 1);
    }
}

static void pick_write(const void *state, struct mill_buffer *out)
{
    const struct pick *s = state;
    mill_buffer_add_byte(out, s->has_value);
    if (s->has_value) {
        mill_buffer_add_u64(out, (uint64_t)s->order.time_us);
        mill_buffer_add_zigzag(out, s->order.partition);
        mill_buffer_add_zigzag(out, s->order.offset);
        mill_buffer_add_u64(out, s->value);
    }
}

static bool pick_read(void *state, struct mill_cursor *c)
{
    struct pick *s = state;
    uint8_t has_value = mill_cursor_byte(c);
    if (has_value == 1) {
        s->order.time_us = (int64_t)mill_cursor_u64(c);
        s->order.partition = (int32_t)mill_cursor_zigzag(c);
        s->order.offset = mill_cursor_zigzag(c);
        s->value = mill_cursor_u64(c);
        s->has_value = true;
    }
    return !c->bad && has_value <= 1;
}

static void newest_init(void *state)
{
    *(struct newest *)state = (struct newest){0};
}

static void newest_add(void *state, const struct mill__order *order, mill__value value)
{
    struct newest *s = state;
    (void)value;
    if (!s->has_value || order->time_us > s->time_us) {
        s->time_us = order->time_us;
        s->has_value = 1;
    }
}

static void newest_merge(void *state, const void *other)
{
    struct newest *s = state;
    const struct newest *o = other;
    if (o->has_value && (!s->has_value || o->time_us > s->time_us)) {
        *s = *o;
    }
}

static void newest_write(const void *state, struct mill_buffer *out)
{
    const struct newest *s = state;
    mill_buffer_add_byte(out, (unsigned char)s->has_value);
    if (s->has_value) {
        mill_buffer_add_u64(out, (uint64_t)s->time_us);
    }
}

static bool newest_read(void *state, struct mill_cursor *c)
{
    struct newest *s = state;
    s->has_value = mill_cursor_byte(c);
    s->time_us = s->has_value ? (int64_t)mill_cursor_u64(c) : 0;
    return !c->bad && s->has_value <= 1;
}

static const struct mill__accumulator first_accumulator = {
    .name = "first",
    .size = sizeof(struct pick),
    .init = pick_init,
    .add = first_add,
    .merge = first_merge,
    .write = pick_write,
    .read = pick_read,
};

static const struct mill__accumulator last_accumulator = {
    .name = "last",
    .size = sizeof(struct pick),
    .init = pick_init,
    .add = last_add,
    .merge = last_merge,
    .write = pick_write,
    .read = pick_read,
};

static const struct mill__accumulator newest_accumulator = {
    .name = "newest",
    .size = sizeof(struct newest),
    .init = newest_init,
    .add = newest_add,
    .merge = newest_merge,
    .write = newest_write,
    .read = newest_read,
};

static const struct mill__accumulator *first_of(enum mill_type column_type)
{
    return column_type == MILL_STRING ? NULL : &first_accumulator;
}

static const struct mill__accumulator *last_of(enum mill_type column_type)
{
    return column_type == MILL_STRING ? NULL : &last_accumulator;
}

static const struct mill__accumulator *newest_of(enum mill_type column_type)
{
    (void)column_type;
    return &newest_accumulator;
}

static enum mill_type seconds_type(enum mill_type column_type)
{
    (void)column_type;
    return MILL_FLOAT64;
}

static bool pick_result(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value)
{
    const struct pick *s = state;
    (void)column_type;
    (void)at_us;
    *ret_value = s->value;
    return s->has_value;
}

static bool seconds_result(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value)
{
    const struct newest *s = state;
    (void)column_type;
    if (!s->has_value) {
        return false;
    }
    /* A reading behind the watermark may see a pane's later events, see window_internal.h. */
    uint64_t elapsed_us = at_us > s->time_us ? (uint64_t)at_us - (uint64_t)s->time_us : 0;
    *ret_value = mill__value_of_double((double)elapsed_us / 1e6);
    return true;
}

const struct mill__aggregate mill__aggregate_first = {
    .name = "first",
    .accumulator = first_of,
    .result_type = mill__result_same_type,
    .result = pick_result,
};

const struct mill__aggregate mill__aggregate_last = {
    .name = "last",
    .accumulator = last_of,
    .result_type = mill__result_same_type,
    .result = pick_result,
};

const struct mill__aggregate mill__aggregate_time_since_last = {
    .name = "time_since_last",
    .before_event = true,
    .accumulator = newest_of,
    .result_type = seconds_type,
    .result = seconds_result,
};
