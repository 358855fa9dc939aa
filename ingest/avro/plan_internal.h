/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro decode plans: a writer's schema and the wanted columns of a reader's schema, compiled once into a linear program
 * that turns the bytes of one record into one row of a batch.
 *
 * plan_compile.c resolves the schemas and writes the program; plan_run.c interprets it. The interpreter never recurses:
 * nested values, which are never wanted, are passed over by loops and calls on a small stack. Its work is bounded by
 * the length of the record: values that take no bytes (null, fixed of size 0, records of those) have no ops at all, so
 * every loop iteration eats at least one byte, and calls that eat nothing nest at most MILL__AVRO_STACK_MAX deep.
 */
#ifndef MILL_INGEST_AVRO_PLAN_INTERNAL_H
#define MILL_INGEST_AVRO_PLAN_INTERNAL_H

#include "ingest/avro/schema_internal.h"
#include "ingest/decode_internal.h"

enum { MILL__AVRO_STACK_MAX = 64 };

enum mill__avro_op_code {
    /* Into a column. */
    MILL__OP_BOOL,
    MILL__OP_INTEGER,           /* varint, lo <= v <= hi, times scale; also timestamps */
    MILL__OP_INTEGER_TO_DOUBLE, /* varint, lo <= v <= hi */
    MILL__OP_INTEGER_TO_FLOAT,  /* the reader's type is float: rounded to that first */
    MILL__OP_FLOAT,
    MILL__OP_DOUBLE,
    MILL__OP_STRING,
    MILL__OP_ENUM,
    MILL__OP_TIME_TEXT,
    MILL__OP_DEFAULT, /* a constant, without reading */
    /* Flow. */
    MILL__OP_NULLABLE, /* branch `null_branch`: over the next op; `value_branch`: into it */
    MILL__OP_BRANCH,   /* union: to targets[index] */
    MILL__OP_MISMATCH, /* a branch that the reader's type cannot hold */
    MILL__OP_JUMP,
    MILL__OP_SKIP_VARINT,
    MILL__OP_SKIP_FIXED,
    MILL__OP_SKIP_BYTES,
    MILL__OP_SKIP_EMPTY_ITEMS, /* array of values that take no bytes: only its block headers */
    MILL__OP_ITEMS,            /* enter an array or map; the body follows, `target` is behind it */
    MILL__OP_NEXT_ITEM,        /* end of the body; `target` is its ITEMS */
    MILL__OP_CALL,             /* the ops of a nested record, at `target` */
    MILL__OP_RETURN,
    MILL__OP_END,
};

struct mill__avro_op {
    uint8_t code;
    uint8_t reason; /* of lo and hi: what a value outside them is */
    uint16_t column;
    uint32_t field; /* of the writer's record, for messages */
    union {
        struct {
            int64_t lo, hi, scale;
        } integer;
        struct {
            const struct mill_slice *symbols; /* by the writer's index; p NULL: the reader has no such symbol */
            uint32_t count;
            const struct mill__avro_node *writer;
        } symbols;
        struct {
            uint32_t null_branch, value_branch;
        } nullable;
        struct {
            const uint32_t *targets;
            uint32_t count;
        } branch;
        union {
            bool b;
            int64_t i;
            double f;
            struct mill_slice s;
        } constant;
        int64_t size;
        uint32_t target;
        const char *detail;
    } as;
};

struct mill__avro_plan {
    struct mill_arena arena;
    const struct mill__avro_op *ops;
    uint32_t op_count;
    const struct mill_slice *field_names; /* of the writer's record; the last is empty, for the record as a whole */
    uint32_t field_count;
    bool allow_non_finite;
};

/* True where a column of that type can be filled from a field of the (null-free) reader's type. */
bool mill__avro_fits_column(const struct mill__avro_node *type, enum mill_type column, enum mill_time_unit unit);

/* Checks that every wanted column is a field of the reader's schema of a type that fits. */
int mill__avro_check_reader(const struct mill_source_spec *spec, const struct mill__avro_schema *reader,
                            struct mill_error *err) MILL_MUST_CHECK;

/* MILL_EDATA: the writer's schema cannot be resolved to the reader's. Both schemas may be freed afterwards only when
 * the plan is no longer used. */
int mill__avro_plan_compile(const struct mill_source_spec *spec, const struct mill__avro_schema *writer,
                            const struct mill__avro_schema *reader, struct mill__avro_plan **ret_plan,
                            struct mill_error *err) MILL_MUST_CHECK;
void mill__avro_plan_free(struct mill__avro_plan *plan);

/* Decodes one record into an empty row; strings point into body or into the schemas. The record must take all of body,
 * unless ret_size is given, which gets what it took. False: *fault says why, and the row may be half written
 * (mill__row_erase). Any thread, each with its own batch. */
bool mill__avro_plan_run(const struct mill__avro_plan *plan, struct mill_slice body, struct mill_batch *batch,
                         uint32_t row, size_t *ret_size, struct mill__fault *fault);

#endif
