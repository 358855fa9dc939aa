/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: kernels that decide about nulls themselves: three-valued and/or, is null, case and if, coalesce. Values
 * are computed as bytes or words of the type, validity 64 rows at a time.
 */
#include <math.h>

#include "featurestore/expr_vector_internal.h"

/* ---- and, or, not ---- */

/* false and null is false, true and null is null. The AND of the bytes is right wherever the result is not null: a side
 * that decides is valid, and where none decides both are valid. The same holds for OR. */
static void and_kernel(const struct mill__expr_call *call)
{
    const struct mill_column *a = call->in[0], *b = call->in[1];
    uint8_t *restrict out = call->out->at.b;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = a->at.b[i] & b->at.b[i];
    }
    for (uint32_t w = 0; w < mill_bit_words(call->n); w++) {
        uint64_t va = a->valid[w], vb = b->valid[w];
        uint64_t valid = va & vb;
        if (valid != UINT64_MAX) {
            uint64_t a_decides = va & ~mill__expr_pack(a->at.b, call->n, w);
            uint64_t b_decides = vb & ~mill__expr_pack(b->at.b, call->n, w);
            valid |= a_decides | b_decides;
        }
        call->out->valid[w] = valid;
    }
}

static void or_kernel(const struct mill__expr_call *call)
{
    const struct mill_column *a = call->in[0], *b = call->in[1];
    uint8_t *restrict out = call->out->at.b;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = a->at.b[i] | b->at.b[i];
    }
    for (uint32_t w = 0; w < mill_bit_words(call->n); w++) {
        uint64_t va = a->valid[w], vb = b->valid[w];
        uint64_t valid = va & vb;
        if (valid != UINT64_MAX) {
            uint64_t a_decides = va & mill__expr_pack(a->at.b, call->n, w);
            uint64_t b_decides = vb & mill__expr_pack(b->at.b, call->n, w);
            valid |= a_decides | b_decides;
        }
        call->out->valid[w] = valid;
    }
}

static void not_kernel(const struct mill__expr_call *call)
{
    const uint8_t *a = call->in[0]->at.b;
    uint8_t *restrict out = call->out->at.b;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = a[i] ^ 1;
    }
}

const struct mill__expr_op mill__expr_and = {and_kernel, MILL_BOOL, true};
const struct mill__expr_op mill__expr_or = {or_kernel, MILL_BOOL, true};
const struct mill__expr_op mill__expr_not = {not_kernel, MILL_BOOL, false};

/* ---- is null, is_nan ---- */

static void is_null_kernel(const struct mill__expr_call *call)
{
    uint64_t nulls[MILL__EXPR_BLOCK_WORDS];
    for (uint32_t w = 0; w < mill_bit_words(call->n); w++) {
        nulls[w] = ~call->in[0]->valid[w];
        call->out->valid[w] = UINT64_MAX;
    }
    mill__expr_unpack(nulls, call->n, call->out->at.b);
}

static void is_nan_kernel(const struct mill__expr_call *call)
{
    const double *a = call->in[0]->at.f;
    uint8_t *restrict out = call->out->at.b;
    for (uint32_t i = 0, n = call->n; i < n; i++) {
        out[i] = a[i] != a[i];
    }
}

const struct mill__expr_op mill__expr_is_null = {is_null_kernel, MILL_BOOL, true};
const struct mill__expr_op mill__expr_is_nan = {is_nan_kernel, MILL_BOOL, false};

/* ---- select and coalesce ---- */

/* out[i] = mask[i] ? a[i] : b[i], of the three widths that values have. */
static void blend(const struct mill__expr_call *call, const uint8_t *mask, const struct mill_column *a,
                  const struct mill_column *b)
{
    const uint32_t n = call->n;
    if (call->out->type == MILL_BOOL) {
        uint8_t *restrict out = call->out->at.b;
        for (uint32_t i = 0; i < n; i++) {
            out[i] = mask[i] != 0 ? a->at.b[i] : b->at.b[i];
        }
    } else if (call->out->type == MILL_STRING) {
        struct mill_slice *restrict out = call->out->at.s;
        for (uint32_t i = 0; i < n; i++) {
            out[i] = mask[i] != 0 ? a->at.s[i] : b->at.s[i];
        }
    } else if (call->out->type == MILL_FLOAT64) {
        double *restrict out = call->out->at.f;
        const double *x = a->at.f, *y = b->at.f;
        for (uint32_t i = 0; i < n; i++) {
            out[i] = mask[i] != 0 ? x[i] : y[i];
        }
    } else {
        int64_t *restrict out = call->out->at.i;
        const int64_t *x = a->at.i, *y = b->at.i;
        for (uint32_t i = 0; i < n; i++) {
            out[i] = mask[i] != 0 ? x[i] : y[i];
        }
    }
}

/* A condition that is null counts as false. */
static void select_kernel(const struct mill__expr_call *call)
{
    const struct mill_column *condition = call->in[0], *a = call->in[1], *b = call->in[2];
    uint64_t chosen[MILL__EXPR_BLOCK_WORDS];
    uint8_t mask[MILL__EXPR_BLOCK];
    for (uint32_t w = 0; w < mill_bit_words(call->n); w++) {
        chosen[w] = mill__expr_pack(condition->at.b, call->n, w) & condition->valid[w];
        call->out->valid[w] = (chosen[w] & a->valid[w]) | (~chosen[w] & b->valid[w]);
    }
    mill__expr_unpack(chosen, call->n, mask);
    blend(call, mask, a, b);
}

static void coalesce_kernel(const struct mill__expr_call *call)
{
    const struct mill_column *a = call->in[0], *b = call->in[1];
    uint8_t mask[MILL__EXPR_BLOCK];
    for (uint32_t w = 0; w < mill_bit_words(call->n); w++) {
        call->out->valid[w] = a->valid[w] | b->valid[w];
    }
    mill__expr_unpack(a->valid, call->n, mask);
    blend(call, mask, a, b);
}

const struct mill__expr_op *mill__expr_select_op(enum mill_type type)
{
    static const struct mill__expr_op ops[MILL_TYPE_COUNT] = {
        [MILL_BOOL] = {select_kernel, MILL_BOOL, true},           [MILL_INT64] = {select_kernel, MILL_INT64, true},
        [MILL_FLOAT64] = {select_kernel, MILL_FLOAT64, true},     [MILL_STRING] = {select_kernel, MILL_STRING, true},
        [MILL_TIMESTAMP] = {select_kernel, MILL_TIMESTAMP, true},
    };
    return &ops[type];
}

const struct mill__expr_op *mill__expr_coalesce_op(enum mill_type type)
{
    static const struct mill__expr_op ops[MILL_TYPE_COUNT] = {
        [MILL_BOOL] = {coalesce_kernel, MILL_BOOL, true},
        [MILL_INT64] = {coalesce_kernel, MILL_INT64, true},
        [MILL_FLOAT64] = {coalesce_kernel, MILL_FLOAT64, true},
        [MILL_STRING] = {coalesce_kernel, MILL_STRING, true},
        [MILL_TIMESTAMP] = {coalesce_kernel, MILL_TIMESTAMP, true},
    };
    return &ops[type];
}
