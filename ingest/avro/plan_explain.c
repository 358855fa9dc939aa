/* SPDX-License-Identifier: Apache-2.0 */
/* Why an Avro record was rejected, in words; see plan_run_internal.h. Cold. */
#include <stdio.h>

#include "ingest/avro/plan_run_internal.h"

static enum mill_reject_reason reason_of(enum mill__avro_cause cause, const struct mill__avro_op *op)
{
    switch (cause) {
    case MILL__CAUSE_RANGE:
        return (enum mill_reject_reason)op->reason;
    case MILL__CAUSE_TIME_TEXT:
    case MILL__CAUSE_NO_SYMBOL:
    case MILL__CAUSE_MISMATCH:
        return MILL_REJECT_WRONG_TYPE;
    case MILL__CAUSE_NOT_FINITE:
        return MILL_REJECT_NOT_FINITE;
    case MILL__CAUSE_NONE:
    case MILL__CAUSE_END:
    case MILL__CAUSE_VARINT:
    case MILL__CAUSE_LENGTH:
    case MILL__CAUSE_BOOLEAN:
    case MILL__CAUSE_UTF8:
    case MILL__CAUSE_SYMBOL:
    case MILL__CAUSE_BRANCH:
    case MILL__CAUSE_DEPTH:
    case MILL__CAUSE_BLOCK_COUNT:
    case MILL__CAUSE_TRAILING:
        break;
    }
    return MILL_REJECT_MALFORMED;
}

/* Where the bytes do not make sense. */
static void describe_bytes(const struct mill__avro_failure *failure, char *out, size_t size)
{
    long long number = failure->number;

    switch (failure->cause) {
    case MILL__CAUSE_END:
        snprintf(out, size, "the record ends inside the value");
        break;
    case MILL__CAUSE_VARINT:
        snprintf(out, size, "a variable-length number has more than 64 bits");
        break;
    case MILL__CAUSE_LENGTH:
        snprintf(out, size, "a length of %lld bytes, %zu are left", number, failure->left);
        break;
    case MILL__CAUSE_BOOLEAN:
        snprintf(out, size, "a boolean must be 0 or 1, found %lld", number);
        break;
    case MILL__CAUSE_DEPTH:
        snprintf(out, size, "values nest deeper than %d", MILL__AVRO_STACK_MAX);
        break;
    case MILL__CAUSE_BLOCK_COUNT:
        snprintf(out, size, "a block of %lld items, %zu bytes are left", number, failure->left);
        break;
    case MILL__CAUSE_NONE:
    case MILL__CAUSE_UTF8:
    case MILL__CAUSE_RANGE:
    case MILL__CAUSE_TIME_TEXT:
    case MILL__CAUSE_SYMBOL:
    case MILL__CAUSE_NO_SYMBOL:
    case MILL__CAUSE_BRANCH:
    case MILL__CAUSE_MISMATCH:
    case MILL__CAUSE_NOT_FINITE:
    case MILL__CAUSE_TRAILING:
        snprintf(out, size, "%zu bytes are left over behind the record", failure->left);
        break;
    }
}

/* Where a value is not what it should be; the bytes otherwise. */
static void describe(const struct mill__avro_op *op, const struct mill__avro_failure *failure, char *out, size_t size)
{
    char quoted[MILL__QUOTE_SIZE];
    long long number = failure->number;

    switch (failure->cause) {
    case MILL__CAUSE_UTF8:
        snprintf(out, size, "%s is not UTF-8", mill__quote(failure->text, quoted));
        break;
    case MILL__CAUSE_RANGE:
        snprintf(out, size, "%lld is out of the range of %s", number,
                 op->reason == MILL_REJECT_MALFORMED ? "an int" : "times (years 1 to 9999)");
        break;
    case MILL__CAUSE_TIME_TEXT:
        snprintf(out, size, "expected a time such as 2013-01-01T10:17:00Z, found %s",
                 mill__quote(failure->text, quoted));
        break;
    case MILL__CAUSE_SYMBOL:
        snprintf(out, size, "symbol %lld of an enum that has %u", number, op->as.symbols.count);
        break;
    case MILL__CAUSE_NO_SYMBOL:
        snprintf(out, size, "%s is not a symbol of the reader's enum, which has no default",
                 mill__quote(failure->text, quoted));
        break;
    case MILL__CAUSE_BRANCH:
        snprintf(out, size, "branch %lld of a union that has %u", number,
                 op->code == MILL__OP_NULLABLE ? 2 : op->as.branch.count);
        break;
    case MILL__CAUSE_MISMATCH:
        snprintf(out, size, "%s", op->as.detail);
        break;
    case MILL__CAUSE_NOT_FINITE:
        snprintf(out, size, "NaN or infinity where a finite number is expected; hint: the source can allow them");
        break;
    case MILL__CAUSE_NONE:
    case MILL__CAUSE_END:
    case MILL__CAUSE_VARINT:
    case MILL__CAUSE_LENGTH:
    case MILL__CAUSE_BOOLEAN:
    case MILL__CAUSE_DEPTH:
    case MILL__CAUSE_BLOCK_COUNT:
    case MILL__CAUSE_TRAILING:
        describe_bytes(failure, out, size);
        break;
    }
}

bool mill__avro_explain(const struct mill__avro_plan *plan, const struct mill__avro_op *op,
                        const struct mill__avro_failure *failure, struct mill__fault *fault)
{
    struct mill_slice name = plan->field_names[failure->field];
    enum mill_reject_reason reason = reason_of(failure->cause, op);
    char what[240];

    mill_assert(failure->cause != MILL__CAUSE_NONE);
    describe(op, failure, what, sizeof(what));
    if (name.n == 0) {
        return mill__fault(fault, reason, "avro record, byte %zu: %s", failure->offset, what);
    }
    return mill__fault(fault, reason, "field '%.*s', byte %zu: %s", name.n > 60 ? 60 : (int)name.n, name.p,
                       failure->offset, what);
}
