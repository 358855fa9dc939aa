/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The batch: up to 4,096 events decoded into columns, the one thing that flows through the engine.
 *
 * decode writes the field columns, expressions and folds write feature columns, models write score
 * columns; sinks borrow them; then the arena is reset and everything in the batch is gone. A batch
 * never outlives its reset and belongs to one shard thread.
 *
 * Column c of a batch has the name and type of schema->fields[c]. Row i of a column has a value where
 * bit i of `valid` is set; where it is clear the value slot holds a zero (not garbage), so that vector
 * loops may compute on it. Row i of the batch is alive where bit i of `live` is set; a dead row was
 * rejected (dead letter, late, duplicate) and every stage passes over it.
 */
#ifndef MILL_BASE_BATCH_H
#define MILL_BASE_BATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/slice.h"

enum { MILL_BATCH_ROWS_MAX = 4096, MILL_BATCH_WORDS_MAX = MILL_BATCH_ROWS_MAX / 64 };

enum mill_type {
    MILL_BOOL,      /* uint8_t 0 or 1 */
    MILL_INT64,     /* int64_t */
    MILL_FLOAT64,   /* double */
    MILL_STRING,    /* struct mill_slice, UTF-8; bytes live as long as the batch */
    MILL_TIMESTAMP, /* int64_t microseconds since 1970-01-01T00:00:00Z */
};
enum { MILL_TYPE_COUNT = 5 };

const char *mill_type_name(enum mill_type type); /* "bool", "int64", "float64", "string", "timestamp" */

struct mill_field {
    const char *name;
    enum mill_type type;
};

/* Names and types of a batch's columns; immutable while batches use it. */
struct mill_schema {
    struct mill_field *fields;
    uint32_t field_count;
};

/* Index of the field of that name, or -1. Linear: for load time. */
int mill_schema_find(const struct mill_schema *schema, struct mill_slice name);

struct mill_column {
    enum mill_type type;
    uint64_t *valid; /* row_capacity bits */
    union {
        uint8_t *b;
        int64_t *i; /* MILL_INT64 and MILL_TIMESTAMP */
        double *f;
        struct mill_slice *s;
        void *raw;
    } at; /* row_capacity values */
};

struct mill_batch {
    const struct mill_schema *schema;
    struct mill_column *columns; /* schema->field_count of them */
    uint32_t row_count, row_capacity;
    uint64_t *live;
    int32_t partition;            /* of the input topic; 0 for files */
    const int32_t *row_partition; /* per row where rows of several partitions meet (re-keyed input), else NULL */
    int64_t *offset;              /* per row: offset in that partition, or row number of the file from 0 */
    int64_t *event_time_us;       /* per row; valid for live rows once decode has run */
    struct mill_arena *arena;
};

/* Lays a batch of row_capacity (1 to MILL_BATCH_ROWS_MAX) empty rows out in the arena: all values zero
 * and null, no row live, row_count 0. */
void mill_batch_init(struct mill_batch *batch, const struct mill_schema *schema, uint32_t row_capacity,
                     struct mill_arena *arena);

/* Lays out one column of its own (expression temporaries, model outputs); values zero and null. */
void mill_column_init(struct mill_column *column, enum mill_type type, uint32_t row_capacity, struct mill_arena *arena);

/* One value that is there, as bytes: bool a byte, int64 and timestamp a zig-zag varint, float64 8 bytes, string varint
 * length and bytes. Reading sets the valid bit; strings point into what the cursor reads; damage is in cursor->bad. */
void mill_column_write_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out);
void mill_column_read_value(struct mill_column *column, uint32_t row, struct mill_cursor *cursor);

static inline bool mill_bit_get(const uint64_t *bits, uint32_t i)
{
    return (bits[i >> 6] >> (i & 63)) & 1;
}

static inline void mill_bit_set(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] |= UINT64_C(1) << (i & 63);
}

static inline void mill_bit_clear(uint64_t *bits, uint32_t i)
{
    bits[i >> 6] &= ~(UINT64_C(1) << (i & 63));
}

/* 64-bit words that hold n bits. */
static inline uint32_t mill_bit_words(uint32_t n)
{
    return (n + 63) / 64;
}

#endif
