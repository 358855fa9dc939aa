/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: the public functions. mill_expr_compile() reads the text once; mill_expr_eval() runs the program over
 * blocks of rows, one indirect call per step and block. See expr_internal.h for the plan of the parts.
 */
#include <stdlib.h>

#include "featurestore/expr_internal.h"

/* ---- compiling ---- */

static int check_text(struct mill_slice text, struct mill_error *err)
{
    if (text.n > MILL__EXPR_TEXT_MAX) {
        return mill_fail_at(err, MILL_ECONFIG, 1, 1, "expression has %zu bytes, at most %d are allowed", text.n,
                            (int)MILL__EXPR_TEXT_MAX);
    }
    if (!mill_utf8_is_valid(text)) {
        return mill_fail_at(err, MILL_ECONFIG, 1, 1, "expression is not valid UTF-8");
    }
    return MILL_OK;
}

static int compile(struct mill__expr_compiler *c, struct mill_expr *expr)
{
    struct mill__expr_operand result;
    MILL_TRY(mill__expr_parse(c, &result));
    if (result.is_null) {
        return mill__expr_fail(c, result.at, "the expression is always null: its type cannot be told");
    }
    if (c->builder.full) {
        return mill__expr_fail(c, 0, "expression has more than %d operations", (int)MILL__EXPR_STEPS_MAX);
    }
    mill__expr_finish(&c->builder, result.reg, expr);
    return MILL_OK;
}

int mill_expr_compile(struct mill_slice text, const struct mill_expr_scope *scope, struct mill_expr **ret_expr,
                      struct mill_error *err)
{
    MILL_TRY(check_text(text, err));
    struct mill_expr *expr = mill_calloc(1, sizeof(*expr));
    mill_arena_init(&expr->arena, 0);
    expr->zone = scope->zone;
    struct mill__expr_compiler c = {.text = text, .scope = scope, .err = err};
    c.pending_capacity = 32;
    c.pending = mill_malloc(c.pending_capacity * sizeof(c.pending[0]));
    mill__expr_builder_init(&c.builder, &expr->arena, scope->zone);

    int rc = compile(&c, expr);
    mill__expr_builder_clear(&c.builder);
    free(c.pending);
    if (rc < 0) {
        mill_expr_free(expr);
        return rc;
    }
    *ret_expr = expr;
    return MILL_OK;
}

void mill_expr_free(struct mill_expr *expr)
{
    if (expr != NULL) {
        mill_arena_clear(&expr->arena);
        free(expr);
    }
}

enum mill_type mill_expr_type(const struct mill_expr *expr)
{
    return expr->steps[expr->step_count - 1].type;
}

uint32_t mill_expr_columns(const struct mill_expr *expr, uint32_t *columns, uint32_t capacity)
{
    uint32_t count = 0;
    for (uint32_t k = 0; k < expr->step_count; k++) {
        if (expr->steps[k].kind != MILL__EXPR_COLUMN) {
            continue;
        }
        if (count < capacity) {
            columns[count] = expr->steps[k].column;
        }
        count++;
    }
    mill_assert(count == expr->column_count); /* equal steps are one, so the columns are distinct */
    return count;
}

/* ---- running ---- */

/* What one evaluation works with; from the batch's arena. */
struct frame {
    const struct mill_expr *expr;
    const struct mill_batch *batch;
    struct mill_arena *arena;
    struct mill_column *regs;                    /* per step */
    const struct mill_column **in;               /* of the step that runs */
    uint64_t (*shifted)[MILL__EXPR_BLOCK_WORDS]; /* per COLUMN step: its validity from the block's first row on */
};

static void frame_init(struct frame *f, uint32_t rows)
{
    const struct mill_expr *expr = f->expr;
    struct mill_column *slots[MILL__EXPR_WIDTHS];
    static const enum mill_type type_of_width[MILL__EXPR_WIDTHS] = {MILL_BOOL, MILL_INT64, MILL_STRING};
    uint32_t padded = mill_bit_words(rows) * 64;
    for (unsigned w = 0; w < MILL__EXPR_WIDTHS; w++) {
        slots[w] = mill_arena_array(f->arena, struct mill_column, expr->slot_count[w]);
        for (uint32_t k = 0; k < expr->slot_count[w]; k++) {
            slots[w][k].valid = mill_arena_array(f->arena, uint64_t, mill_bit_words(rows));
            slots[w][k].at.raw = mill_arena_alloc(f->arena, mill__expr_type_size(type_of_width[w]) * padded);
        }
    }
    f->regs = mill_arena_array(f->arena, struct mill_column, expr->step_count);
    f->in = mill_arena_array(f->arena, const struct mill_column *, expr->in_count_max);
    f->shifted = mill_arena_alloc(f->arena, sizeof(f->shifted[0]) * expr->column_count);
    for (uint32_t k = 0; k < expr->step_count; k++) {
        const struct mill__expr_step *step = &expr->steps[k];
        if (step->kind == MILL__EXPR_VALUE) {
            f->regs[k] = expr->constants[k];
        } else if (step->kind == MILL__EXPR_OP) {
            f->regs[k] = slots[mill__expr_width(step->type)][step->slot];
            f->regs[k].type = step->type;
        }
    }
}

/* Bits from..from+n of src to bits 0..n of dst; src has src_bits of them. */
static void copy_bits(uint64_t *dst, const uint64_t *src, uint32_t src_bits, uint32_t from, uint32_t n)
{
    uint32_t first = from / 64, shift = from % 64;
    for (uint32_t w = 0; w < mill_bit_words(n); w++) {
        uint64_t word = src[first + w] >> shift;
        if (shift > 0 && first + w + 1 < mill_bit_words(src_bits)) {
            word |= src[first + w + 1] << (64 - shift);
        }
        dst[w] = word;
    }
}

static void bind_columns(struct frame *f, uint32_t start, uint32_t n)
{
    const struct mill_expr *expr = f->expr;
    uint32_t bound = 0;
    for (uint32_t k = 0; bound < expr->column_count; k++) {
        const struct mill__expr_step *step = &expr->steps[k];
        if (step->kind != MILL__EXPR_COLUMN) {
            continue;
        }
        const struct mill_column *column = &f->batch->columns[step->column];
        mill_assert(column->type == step->type);
        struct mill_column *reg = &f->regs[k];
        reg->type = step->type;
        reg->at.raw = (char *)column->at.raw + mill__expr_type_size(step->type) * start;
        if (start % 64 == 0) {
            reg->valid = column->valid + start / 64;
        } else {
            copy_bits(f->shifted[bound], column->valid, f->batch->row_capacity, start, n);
            reg->valid = f->shifted[bound];
        }
        bound++;
    }
}

/* out->valid = AND of the inputs'. */
static void join_nulls(const struct mill__expr_call *call)
{
    uint32_t words = mill_bit_words(call->n);
    memcpy(call->out->valid, call->in[0]->valid, words * sizeof(uint64_t));
    for (uint32_t k = 1; k < call->in_count; k++) {
        for (uint32_t w = 0; w < words; w++) {
            call->out->valid[w] &= call->in[k]->valid[w];
        }
    }
}

static void run_block(struct frame *f, uint32_t n)
{
    const struct mill_expr *expr = f->expr;
    for (uint32_t k = 0; k < expr->step_count; k++) {
        const struct mill__expr_step *step = &expr->steps[k];
        if (step->kind != MILL__EXPR_OP) {
            continue;
        }
        for (uint32_t j = 0; j < step->in_count; j++) {
            f->in[j] = &f->regs[expr->inputs[step->in_first + j]];
        }
        struct mill__expr_call call = {f->in, step->in_count, n, &f->regs[k], step->set, expr->zone, f->arena};
        if (!step->op->own_nulls) {
            join_nulls(&call);
        }
        step->op->kernel(&call);
    }
}

/* Bits 0..n of src to bits to..to+n of dst; the others stay. */
static void paste_bits(uint64_t *dst, uint32_t to, const uint64_t *src, uint32_t n)
{
    for (uint32_t w = 0; w < mill_bit_words(n); w++) {
        uint32_t count = n - w * 64 < 64 ? n - w * 64 : 64;
        uint64_t mask = UINT64_MAX >> (64 - count);
        uint64_t bits = src[w] & mask;
        uint32_t shift = to % 64;
        uint64_t *word = &dst[to / 64 + w];
        word[0] = (word[0] & ~(mask << shift)) | bits << shift;
        if (shift + count > 64) {
            word[1] = (word[1] & ~(mask >> (64 - shift))) | bits >> (64 - shift);
        }
    }
}

/* The result's rows to their place; null slots become zero. */
static void store_block(const struct mill_column *result, struct mill_column *out, uint32_t start, uint32_t n)
{
    size_t size = mill__expr_type_size(out->type);
    char *at = (char *)out->at.raw + size * start;
    memcpy(at, result->at.raw, size * n);
    for (uint32_t w = 0; w < mill_bit_words(n); w++) {
        uint32_t count = n - w * 64 < 64 ? n - w * 64 : 64;
        uint64_t nulls = ~result->valid[w] & (UINT64_MAX >> (64 - count));
        for (; nulls != 0; nulls &= nulls - 1) {
            memset(at + size * (w * 64 + (uint32_t)__builtin_ctzll(nulls)), 0, size);
        }
    }
    paste_bits(out->valid, start, result->valid, n);
}

void mill_expr_eval(const struct mill_expr *expr, const struct mill_batch *batch, uint32_t from, uint32_t to,
                    struct mill_column *out, struct mill_arena *arena)
{
    mill_assert(from <= to && to <= batch->row_capacity);
    mill_assert(out->type == mill_expr_type(expr));
    if (from == to) {
        return;
    }
    struct frame f = {.expr = expr, .batch = batch, .arena = arena};
    frame_init(&f, to - from < MILL__EXPR_BLOCK ? to - from : MILL__EXPR_BLOCK);
    for (uint32_t start = from; start < to; start += MILL__EXPR_BLOCK) {
        uint32_t n = to - start < MILL__EXPR_BLOCK ? to - start : MILL__EXPR_BLOCK;
        bind_columns(&f, start, n);
        run_block(&f, n);
        store_block(&f.regs[expr->step_count - 1], out, start, n);
    }
}
