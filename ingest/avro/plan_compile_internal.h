/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the Avro plan compiler share: plan_compile.c lays programs out, plan_resolve.c decides how a
 * wanted field is read. */
#ifndef MILL_INGEST_AVRO_PLAN_COMPILE_INTERNAL_H
#define MILL_INGEST_AVRO_PLAN_COMPILE_INTERNAL_H

#include "ingest/avro/plan_internal.h"

struct mill__avro_compiler {
    const struct mill_source_spec *spec;
    const struct mill__avro_schema *writer, *reader;
    struct mill__avro_plan *plan;
    struct mill__avro_op *ops;
    uint32_t op_count, op_capacity;
    uint32_t barrier; /* ops before it may be jumped over */
    uint32_t field;   /* of the writer, that is being compiled */
    /* By node id of the writer: */
    uint8_t *width; /* enum width */
    bool *is_called;
    uint32_t *entry;                       /* first op of a called record */
    const struct mill__avro_node **called; /* in the order of layout */
    uint32_t called_count;
    struct mill_error *err;
};

/* The op is valid until the next one is emitted. */
struct mill__avro_op *mill__emit(struct mill__avro_compiler *c, enum mill__avro_op_code code);

/* A union: begin, then begin_branch and its ops for each branch in order, then end. */
struct mill__avro_branches {
    uint32_t op, count;
    uint32_t *targets, *jumps;
};
void mill__begin_branches(struct mill__avro_compiler *c, uint32_t count, struct mill__avro_branches *ret_branches);
void mill__begin_branch(struct mill__avro_compiler *c, struct mill__avro_branches *branches, uint32_t index);
void mill__end_branches(struct mill__avro_compiler *c, struct mill__avro_branches *branches);

/* The ops that read the writer's field `from` into the column of the reader's field `to`. */
int mill__emit_value(struct mill__avro_compiler *c, const struct mill__avro_field *from,
                     const struct mill__avro_field *to, uint32_t column) MILL_MUST_CHECK;
/* The op that fills a column that the writer does not have. */
int mill__emit_default(struct mill__avro_compiler *c, uint32_t column) MILL_MUST_CHECK;

#endif
