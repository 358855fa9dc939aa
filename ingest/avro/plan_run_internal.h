/* SPDX-License-Identifier: Apache-2.0 */
/* Why a record could not be decoded: plan_run.c finds it, plan_explain.c says it to people. */
#ifndef MILL_INGEST_AVRO_PLAN_RUN_INTERNAL_H
#define MILL_INGEST_AVRO_PLAN_RUN_INTERNAL_H

#include "ingest/avro/plan_internal.h"

/* Why an op failed; the reason and the text of the reject follow from it. */
enum mill__avro_cause {
    MILL__CAUSE_NONE,
    MILL__CAUSE_END,         /* the record ends inside the value */
    MILL__CAUSE_VARINT,      /* more than 64 bits */
    MILL__CAUSE_LENGTH,      /* negative, or more than is left */
    MILL__CAUSE_BOOLEAN,     /* neither 0 nor 1 */
    MILL__CAUSE_UTF8,        /* a string that is none */
    MILL__CAUSE_RANGE,       /* an int or a time that is none */
    MILL__CAUSE_TIME_TEXT,   /* not RFC 3339 */
    MILL__CAUSE_SYMBOL,      /* index of an enum out of range */
    MILL__CAUSE_NO_SYMBOL,   /* the reader does not have it */
    MILL__CAUSE_BRANCH,      /* index of a union out of range */
    MILL__CAUSE_MISMATCH,    /* a branch that the reader's type cannot hold */
    MILL__CAUSE_NOT_FINITE,  /* NaN or infinity */
    MILL__CAUSE_DEPTH,       /* nested too deep */
    MILL__CAUSE_BLOCK_COUNT, /* more items than bytes */
    MILL__CAUSE_TRAILING,    /* bytes behind the record */
};

/* What the decoder knew when it failed. */
struct mill__avro_failure {
    enum mill__avro_cause cause;
    int64_t number;         /* the offending value, where there is one */
    struct mill_slice text; /* likewise */
    uint32_t field;         /* of the writer's record */
    size_t offset, left;    /* bytes before and behind the place */
};

/* Fills the fault and returns false. */
bool mill__avro_explain(const struct mill__avro_plan *plan, const struct mill__avro_op *op,
                        const struct mill__avro_failure *failure, struct mill__fault *fault);

#endif
