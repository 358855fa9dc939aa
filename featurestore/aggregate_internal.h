/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The aggregate table: what windows can compute. An aggregate (sum, mean, ...) is a reading of an accumulator; several
 * aggregates of one column and window share one accumulator (sum and mean). A new aggregate is one file and one entry
 * in the table of aggregate.c.
 *
 * An accumulator is a commutative monoid over events: add and merge in any order give the same state. One that can also
 * take back (subtract, unmerge) runs through a window at one add and one subtract an event; one that cannot is kept
 * as two stacks (window_state.c), at an amortised two merges an event.
 */
#ifndef MILL_FEATURESTORE_AGGREGATE_INTERNAL_H
#define MILL_FEATURESTORE_AGGREGATE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/buffer.h"
#include "base/slice.h"

/* Events are ordered by time; among equal times by partition, then offset. */
struct mill__order {
    int64_t time_us, offset;
    int32_t partition;
};

static inline int mill__order_compare(const struct mill__order *a, const struct mill__order *b)
{
    if (a->time_us != b->time_us) {
        return a->time_us < b->time_us ? -1 : 1;
    }
    if (a->partition != b->partition) {
        return a->partition < b->partition ? -1 : 1;
    }
    return (a->offset > b->offset) - (a->offset < b->offset);
}

/* A value of any type but string in 8 bytes: bool 0 or 1, int64 and timestamp themselves, float64 its bits. */
typedef uint64_t mill__value;

static inline mill__value mill__value_of_double(double d)
{
    mill__value v;
    memcpy(&v, &d, sizeof(v));
    return v;
}

static inline double mill__value_double(mill__value v)
{
    double d;
    memcpy(&d, &v, sizeof(d));
    return d;
}

/* States are 8-aligned, `size` bytes, and may be moved by memcpy; a copy is an init and a merge. */
struct mill__accumulator {
    const char *name; /* part of the hash of stored state: a changed layout needs a new name */
    uint32_t size;
    void (*init)(void *state);
    void (*clear)(void *state); /* NULL: nothing to free */
    void (*add)(void *state, const struct mill__order *order, mill__value value);
    void (*merge)(void *state, const void *other);
    void (*subtract)(void *state, const struct mill__order *order, mill__value value); /* both or none */
    void (*unmerge)(void *state, const void *other);
    void (*write)(const void *state, struct mill_buffer *out);
    bool (*read)(void *state, struct mill_cursor *c); /* into an initialised state; bytes may be hostile */
};

struct mill__aggregate {
    const char *name;
    /* On an event's own row, as of just before the event (time_since_last), instead of with it. */
    bool before_event;
    /* What it runs on for a column of that type, or NULL where the type is not supported. */
    const struct mill__accumulator *(*accumulator)(enum mill_type column_type);
    enum mill_type (*result_type)(enum mill_type column_type);
    /* False: null. at_us: the time of the reading. */
    bool (*result)(const void *state, enum mill_type column_type, int64_t at_us, mill__value *ret_value);
};

/* NULL where there is none of that name. */
const struct mill__aggregate *mill__aggregate_find(struct mill_slice name);

extern const struct mill__aggregate mill__aggregate_count;
extern const struct mill__aggregate mill__aggregate_sum, mill__aggregate_mean;
extern const struct mill__aggregate mill__aggregate_min, mill__aggregate_max;
extern const struct mill__aggregate mill__aggregate_first, mill__aggregate_last, mill__aggregate_time_since_last;

enum mill_type mill__result_same_type(enum mill_type column_type);

#endif
