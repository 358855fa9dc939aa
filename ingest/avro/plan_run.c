/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interpreter of Avro decode plans (plan_internal.h): the hot path of Avro sources.
 *
 * The position in the record is a local of mill__avro_plan_run() that is handed to inlined readers, so that it stays in
 * a register; what passes over nested values is out of line. Every read checks against the end of the record.
 */
#include "base/timestamp.h"
#include "ingest/avro/plan_run_internal.h"

#define INLINE static inline __attribute__((always_inline))

struct input {
    const uint8_t *p, *end;
};

/* ---- reading ---- */

INLINE size_t left(const struct input *in)
{
    return (size_t)(in->end - in->p);
}

/* Byte by byte, for the last bytes of a record and for numbers of 9 and 10 bytes. */
static __attribute__((noinline)) enum mill__avro_cause read_varint_slow(const uint8_t *p, const uint8_t *end,
                                                                        uint64_t *ret_value, const uint8_t **ret_p)
{
    uint64_t v = 0;

    for (unsigned shift = 0; shift < 70; shift += 7) {
        if (p == end) {
            return MILL__CAUSE_END;
        }
        uint8_t byte = *p++;
        if (shift == 63 && byte > 1) {
            return MILL__CAUSE_VARINT;
        }
        v |= (uint64_t)(byte & 0x7f) << shift;
        if ((byte & 0x80) == 0) {
            *ret_value = v;
            *ret_p = p;
            return MILL__CAUSE_NONE;
        }
    }
    return MILL__CAUSE_VARINT;
}

/* Up to 8 bytes at once: the first clear top bit is the end, then the 7-bit groups are pushed together. */
INLINE enum mill__avro_cause read_varint(struct input *in, int64_t *ret_value)
{
    uint64_t word;

    if (in->p < in->end && *in->p < 0x80) {
        *ret_value = mill_unzigzag(*in->p++);
        return MILL__CAUSE_NONE;
    }
    if (left(in) >= 8) {
        memcpy(&word, in->p, 8);
        uint64_t stops = ~word & UINT64_C(0x8080808080808080);
        if (stops != 0) {
            in->p += (__builtin_ctzll(stops) + 1) / 8;
            word &= (stops ^ (stops - 1)) & UINT64_C(0x7f7f7f7f7f7f7f7f);
            word = (word & UINT64_C(0x007f007f007f007f)) | ((word & UINT64_C(0x7f007f007f007f00)) >> 1);
            word = (word & UINT64_C(0x00003fff00003fff)) | ((word & UINT64_C(0x3fff00003fff0000)) >> 2);
            word = (word & UINT64_C(0x000000000fffffff)) | ((word & UINT64_C(0x0fffffff00000000)) >> 4);
            *ret_value = mill_unzigzag(word);
            return MILL__CAUSE_NONE;
        }
    }
    const uint8_t *p = in->p;
    enum mill__avro_cause cause = read_varint_slow(p, in->end, &word, &p);
    if (cause == MILL__CAUSE_NONE) {
        in->p = p;
        *ret_value = mill_unzigzag(word);
    }
    return cause;
}

INLINE enum mill__avro_cause read_bytes(struct input *in, struct mill_slice *ret_text, int64_t *ret_length)
{
    enum mill__avro_cause cause = read_varint(in, ret_length);

    if (__builtin_expect(cause != MILL__CAUSE_NONE, 0)) {
        return cause;
    }
    if (__builtin_expect((uint64_t)*ret_length > left(in), 0)) { /* negative ones too */
        return MILL__CAUSE_LENGTH;
    }
    ret_text->p = (const char *)in->p;
    ret_text->n = (size_t)*ret_length;
    in->p += *ret_length;
    return MILL__CAUSE_NONE;
}

/* ---- into columns ---- */

struct row {
    struct mill_column *columns;
    uint32_t index;
};

INLINE struct mill_column *column_of(const struct row *row, const struct mill__avro_op *op)
{
    return &row->columns[op->column];
}

INLINE enum mill__avro_cause take_bool(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                       struct mill__avro_failure *failure)
{
    if (in->p == in->end) {
        return MILL__CAUSE_END;
    }
    uint8_t byte = *in->p++;
    if (byte > 1) {
        failure->number = byte;
        return MILL__CAUSE_BOOLEAN;
    }
    struct mill_column *column = column_of(row, op);
    column->at.b[row->index] = byte;
    mill_bit_set(column->valid, row->index);
    return MILL__CAUSE_NONE;
}

INLINE enum mill__avro_cause take_number(struct input *in, const struct mill__avro_op *op, int64_t *ret_value,
                                         struct mill__avro_failure *failure)
{
    enum mill__avro_cause cause = read_varint(in, ret_value);

    if (cause == MILL__CAUSE_NONE && (*ret_value < op->as.integer.lo || *ret_value > op->as.integer.hi)) {
        failure->number = *ret_value;
        return MILL__CAUSE_RANGE;
    }
    return cause;
}

INLINE enum mill__avro_cause take_integer(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                          struct mill__avro_failure *failure)
{
    int64_t v = 0;
    enum mill__avro_cause cause = take_number(in, op, &v, failure);

    if (cause == MILL__CAUSE_NONE) {
        struct mill_column *column = column_of(row, op);
        column->at.i[row->index] = v * op->as.integer.scale;
        mill_bit_set(column->valid, row->index);
    }
    return cause;
}

INLINE enum mill__avro_cause put_double(const struct row *row, const struct mill__avro_op *op, double v,
                                        bool allow_non_finite)
{
    if (__builtin_expect(!mill__is_finite(v) && !allow_non_finite, 0)) {
        return MILL__CAUSE_NOT_FINITE;
    }
    struct mill_column *column = column_of(row, op);
    column->at.f[row->index] = v;
    mill_bit_set(column->valid, row->index);
    return MILL__CAUSE_NONE;
}

INLINE enum mill__avro_cause take_integer_as_double(struct input *in, const struct row *row,
                                                    const struct mill__avro_op *op, struct mill__avro_failure *failure)
{
    int64_t v = 0;
    enum mill__avro_cause cause = take_number(in, op, &v, failure);

    if (cause != MILL__CAUSE_NONE) {
        return cause;
    }
    return put_double(row, op, op->code == MILL__OP_INTEGER_TO_FLOAT ? (double)(float)v : (double)v, true);
}

INLINE enum mill__avro_cause take_float(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                        bool allow_non_finite)
{
    float v;

    if (left(in) < sizeof(v)) {
        return MILL__CAUSE_END;
    }
    memcpy(&v, in->p, sizeof(v));
    in->p += sizeof(v);
    return put_double(row, op, (double)v, allow_non_finite);
}

INLINE enum mill__avro_cause take_double(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                         bool allow_non_finite)
{
    double v;

    if (left(in) < sizeof(v)) {
        return MILL__CAUSE_END;
    }
    memcpy(&v, in->p, sizeof(v));
    in->p += sizeof(v);
    return put_double(row, op, v, allow_non_finite);
}

INLINE enum mill__avro_cause take_string(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                         struct mill__avro_failure *failure)
{
    struct mill_slice text = {0};
    enum mill__avro_cause cause = read_bytes(in, &text, &failure->number);

    if (cause != MILL__CAUSE_NONE) {
        return cause;
    }
    if (__builtin_expect(!mill__is_utf8(text.p, text.n), 0)) {
        failure->text = text;
        return MILL__CAUSE_UTF8;
    }
    struct mill_column *column = column_of(row, op);
    column->at.s[row->index] = text;
    mill_bit_set(column->valid, row->index);
    return MILL__CAUSE_NONE;
}

INLINE enum mill__avro_cause take_enum(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                       struct mill__avro_failure *failure)
{
    enum mill__avro_cause cause = read_varint(in, &failure->number);

    if (cause != MILL__CAUSE_NONE) {
        return cause;
    }
    if ((uint64_t)failure->number >= op->as.symbols.count) {
        return MILL__CAUSE_SYMBOL;
    }
    struct mill_slice symbol = op->as.symbols.symbols[failure->number];
    if (symbol.p == NULL) {
        failure->text = op->as.symbols.writer->symbols[failure->number];
        return MILL__CAUSE_NO_SYMBOL;
    }
    struct mill_column *column = column_of(row, op);
    column->at.s[row->index] = symbol;
    mill_bit_set(column->valid, row->index);
    return MILL__CAUSE_NONE;
}

INLINE enum mill__avro_cause take_time_text(struct input *in, const struct row *row, const struct mill__avro_op *op,
                                            struct mill__avro_failure *failure)
{
    struct mill_column *column = column_of(row, op);
    enum mill__avro_cause cause = read_bytes(in, &failure->text, &failure->number);

    if (cause != MILL__CAUSE_NONE) {
        return cause;
    }
    if (mill_timestamp_parse(failure->text, &column->at.i[row->index]) < 0) {
        return MILL__CAUSE_TIME_TEXT;
    }
    mill_bit_set(column->valid, row->index);
    return MILL__CAUSE_NONE;
}

static void put_default(const struct row *row, const struct mill__avro_op *op)
{
    struct mill_column *column = column_of(row, op);

    switch (column->type) {
    case MILL_BOOL:
        column->at.b[row->index] = op->as.constant.b;
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        column->at.i[row->index] = op->as.constant.i;
        break;
    case MILL_FLOAT64:
        column->at.f[row->index] = op->as.constant.f;
        break;
    case MILL_STRING:
        column->at.s[row->index] = op->as.constant.s;
        break;
    }
    mill_bit_set(column->valid, row->index);
}

/* ---- over what is not wanted ---- */

struct frame {
    const struct mill__avro_op *op; /* ITEMS: of the loop; CALL: where to go on */
    uint64_t left;                  /* ITEMS: of the block */
};

struct flow {
    struct input in;
    const struct mill__avro_op *ops, *op; /* op: the one to go on with */
    uint32_t field;                       /* of the record, that is being passed over */
    uint32_t depth;
    struct frame stack[MILL__AVRO_STACK_MAX];
};

static enum mill__avro_cause skip_bytes(struct input *in, uint64_t size)
{
    if (size > left(in)) {
        return MILL__CAUSE_LENGTH;
    }
    in->p += size;
    return MILL__CAUSE_NONE;
}

/* The header of the next block; a block that states its size is passed over at once. *ret_count 0: no more blocks. */
static enum mill__avro_cause next_block(struct input *in, int64_t *ret_count, struct mill__avro_failure *failure)
{
    for (;;) {
        enum mill__avro_cause cause = read_varint(in, ret_count);
        if (cause != MILL__CAUSE_NONE || *ret_count >= 0) {
            return cause;
        }
        cause = read_varint(in, &failure->number);
        if (cause == MILL__CAUSE_NONE) {
            cause = skip_bytes(in, (uint64_t)failure->number);
        }
        if (cause != MILL__CAUSE_NONE) {
            return cause;
        }
    }
}

static enum mill__avro_cause next_item(struct flow *flow, struct mill__avro_failure *failure)
{
    struct frame *frame = &flow->stack[flow->depth - 1];
    int64_t count = 0;

    if (frame->left == 0) {
        enum mill__avro_cause cause = next_block(&flow->in, &count, failure);
        if (cause != MILL__CAUSE_NONE) {
            return cause;
        }
        if (count == 0) {
            flow->op = flow->ops + frame->op->as.target;
            flow->depth--;
            return MILL__CAUSE_NONE;
        }
        if ((uint64_t)count > left(&flow->in)) { /* each takes a byte at least */
            failure->number = count;
            return MILL__CAUSE_BLOCK_COUNT;
        }
        frame->left = (uint64_t)count;
    }
    frame->left--;
    flow->op = frame->op + 1;
    return MILL__CAUSE_NONE;
}

static enum mill__avro_cause skip_empty_items(struct flow *flow, struct mill__avro_failure *failure)
{
    enum mill__avro_cause cause;
    int64_t count = 0;

    do {
        cause = next_block(&flow->in, &count, failure);
    } while (cause == MILL__CAUSE_NONE && count != 0);
    flow->op++;
    return cause;
}

static enum mill__avro_cause push(struct flow *flow, const struct mill__avro_op *op)
{
    if (flow->depth == MILL__AVRO_STACK_MAX) {
        return MILL__CAUSE_DEPTH;
    }
    flow->stack[flow->depth++] = (struct frame){op, 0};
    return MILL__CAUSE_NONE;
}

static enum mill__avro_cause take_branch(struct flow *flow, struct mill__avro_failure *failure)
{
    const struct mill__avro_op *op = flow->op;
    enum mill__avro_cause cause = read_varint(&flow->in, &failure->number);

    if (cause != MILL__CAUSE_NONE) {
        return cause;
    }
    if ((uint64_t)failure->number >= op->as.branch.count) {
        return MILL__CAUSE_BRANCH;
    }
    flow->op = flow->ops + op->as.branch.targets[failure->number];
    return MILL__CAUSE_NONE;
}

/* One op of those that do not write a column; goes on at flow->op. */
static __attribute__((noinline)) enum mill__avro_cause step(struct flow *flow, struct mill__avro_failure *failure)
{
    const struct mill__avro_op *op = flow->op;
    enum mill__avro_cause cause;
    struct mill_slice text;

    switch ((enum mill__avro_op_code)op->code) {
    case MILL__OP_BRANCH:
        return take_branch(flow, failure);
    case MILL__OP_MISMATCH:
        return MILL__CAUSE_MISMATCH;
    case MILL__OP_JUMP:
        flow->op = flow->ops + op->as.target;
        return MILL__CAUSE_NONE;
    case MILL__OP_SKIP_EMPTY_ITEMS:
        return skip_empty_items(flow, failure);
    case MILL__OP_ITEMS:
        cause = push(flow, op);
        return cause == MILL__CAUSE_NONE ? next_item(flow, failure) : cause;
    case MILL__OP_NEXT_ITEM:
        return next_item(flow, failure);
    case MILL__OP_CALL:
        flow->op = flow->ops + op->as.target;
        return push(flow, op + 1);
    case MILL__OP_RETURN:
        flow->op = flow->stack[--flow->depth].op;
        return MILL__CAUSE_NONE;
    case MILL__OP_SKIP_VARINT:
        flow->op++;
        return read_varint(&flow->in, &failure->number);
    case MILL__OP_SKIP_FIXED:
        flow->op++;
        return (uint64_t)op->as.size > left(&flow->in) ? MILL__CAUSE_END : skip_bytes(&flow->in, (uint64_t)op->as.size);
    case MILL__OP_SKIP_BYTES:
        flow->op++;
        return read_bytes(&flow->in, &text, &failure->number);
    case MILL__OP_BOOL:
    case MILL__OP_INTEGER:
    case MILL__OP_INTEGER_TO_DOUBLE:
    case MILL__OP_INTEGER_TO_FLOAT:
    case MILL__OP_FLOAT:
    case MILL__OP_DOUBLE:
    case MILL__OP_STRING:
    case MILL__OP_ENUM:
    case MILL__OP_TIME_TEXT:
    case MILL__OP_DEFAULT:
    case MILL__OP_NULLABLE:
    case MILL__OP_END:
        break;
    }
    mill_assert(false); /* the main loop handles these */
    return MILL__CAUSE_NONE;
}

/* Runs ops until the next one writes a column. A nested program is left only by its RETURN, so at depth 0 we are back
 * in the record's own. */
static enum mill__avro_cause step_over(struct flow *flow, struct mill__avro_failure *failure)
{
    for (;;) {
        const struct mill__avro_op *op = flow->op;
        enum mill__avro_cause cause = step(flow, failure);
        if (cause != MILL__CAUSE_NONE) {
            flow->op = op;
            return cause;
        }
        if (flow->depth == 0) {
            return MILL__CAUSE_NONE;
        }
    }
}

/* ---- the main loop ---- */

INLINE enum mill__avro_cause take_nullable(struct input *in, const struct mill__avro_op **op,
                                           struct mill__avro_failure *failure)
{
    enum mill__avro_cause cause = read_varint(in, &failure->number);

    if (cause != MILL__CAUSE_NONE) {
        return cause;
    }
    if (failure->number == (int64_t)(*op)->as.nullable.null_branch) {
        ++*op;
    } else if (failure->number != (int64_t)(*op)->as.nullable.value_branch) {
        return MILL__CAUSE_BRANCH;
    }
    return MILL__CAUSE_NONE;
}

bool mill__avro_plan_run(const struct mill__avro_plan *plan, struct mill_slice body, struct mill_batch *batch,
                         uint32_t row_index, size_t *ret_size, struct mill__fault *fault)
{
    const struct mill__avro_op *op = plan->ops;
    const struct row row = {batch->columns, row_index};
    const uint8_t *begin = (const uint8_t *)body.p;
    struct input in = {begin, begin + body.n};
    struct mill__avro_failure failure = {0};
    enum mill__avro_cause cause;
    struct flow flow;

    flow.depth = 0;
    for (;; op++) {
        const struct mill__avro_op *current = op;
        switch ((enum mill__avro_op_code)op->code) {
        case MILL__OP_BOOL:
            cause = take_bool(&in, &row, op, &failure);
            break;
        case MILL__OP_INTEGER:
            cause = take_integer(&in, &row, op, &failure);
            break;
        case MILL__OP_INTEGER_TO_DOUBLE:
        case MILL__OP_INTEGER_TO_FLOAT:
            cause = take_integer_as_double(&in, &row, op, &failure);
            break;
        case MILL__OP_FLOAT:
            cause = take_float(&in, &row, op, plan->allow_non_finite);
            break;
        case MILL__OP_DOUBLE:
            cause = take_double(&in, &row, op, plan->allow_non_finite);
            break;
        case MILL__OP_STRING:
            cause = take_string(&in, &row, op, &failure);
            break;
        case MILL__OP_ENUM:
            cause = take_enum(&in, &row, op, &failure);
            break;
        case MILL__OP_TIME_TEXT:
            cause = take_time_text(&in, &row, op, &failure);
            break;
        case MILL__OP_DEFAULT:
            put_default(&row, op);
            cause = MILL__CAUSE_NONE;
            break;
        case MILL__OP_NULLABLE:
            cause = take_nullable(&in, &op, &failure);
            break;
        case MILL__OP_END:
            if (ret_size != NULL) {
                *ret_size = (size_t)(in.p - begin);
                return true;
            }
            if (in.p == in.end) {
                return true;
            }
            cause = MILL__CAUSE_TRAILING;
            break;
        case MILL__OP_BRANCH:
        case MILL__OP_MISMATCH:
        case MILL__OP_JUMP:
        case MILL__OP_SKIP_VARINT:
        case MILL__OP_SKIP_FIXED:
        case MILL__OP_SKIP_BYTES:
        case MILL__OP_SKIP_EMPTY_ITEMS:
        case MILL__OP_ITEMS:
        case MILL__OP_NEXT_ITEM:
        case MILL__OP_CALL:
        case MILL__OP_RETURN:
            flow.in = in;
            flow.ops = plan->ops;
            flow.op = op;
            flow.field = op->field;
            cause = step_over(&flow, &failure);
            in = flow.in;
            current = flow.op;
            op = flow.op - 1;
            break;
        }
        if (__builtin_expect(cause != MILL__CAUSE_NONE, 0)) {
            failure.cause = cause;
            failure.field = flow.depth > 0 ? flow.field : current->field; /* nested programs serve several fields */
            failure.offset = (size_t)(in.p - begin);
            failure.left = left(&in);
            return mill__avro_explain(plan, current, &failure, fault);
        }
    }
}
