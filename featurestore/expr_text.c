/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: kernels of the string functions and of hash. New bytes come from the batch's arena, once per block. */
#include <math.h>

#include "base/hash.h"
#include "base/number.h"
#include "featurestore/expr_vector_internal.h"

/* ---- lower, upper: the letters of ASCII; all other bytes stay ---- */

static void change_case(const struct mill__expr_call *call, char first)
{
    const struct mill_slice *a = call->in[0]->at.s;
    size_t total = 0;
    for (uint32_t i = 0; i < call->n; i++) {
        total += a[i].n;
    }
    char *bytes = mill_arena_alloc(call->arena, total);
    for (uint32_t i = 0; i < call->n; i++) {
        const char *restrict from = a[i].p;
        char *restrict to = bytes;
        for (size_t k = 0; k < a[i].n; k++) {
            to[k] = (char)(from[k] ^ ((unsigned char)(from[k] - first) < 26 ? 0x20 : 0));
        }
        call->out->at.s[i] = (struct mill_slice){bytes, a[i].n};
        bytes += a[i].n;
    }
}

static void lower_kernel(const struct mill__expr_call *call)
{
    change_case(call, 'A');
}

static void upper_kernel(const struct mill__expr_call *call)
{
    change_case(call, 'a');
}

/* Code points: all bytes of UTF-8 but the continuation bytes. */
static void length_kernel(const struct mill__expr_call *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        struct mill_slice s = call->in[0]->at.s[i];
        int64_t count = 0;
        for (size_t k = 0; k < s.n; k++) {
            count += ((unsigned char)s.p[k] & 0xc0) != 0x80;
        }
        call->out->at.i[i] = count;
    }
}

const struct mill__expr_op mill__expr_lower = {lower_kernel, MILL_STRING, false};
const struct mill__expr_op mill__expr_upper = {upper_kernel, MILL_STRING, false};
const struct mill__expr_op mill__expr_length = {length_kernel, MILL_INT64, false};

/* ---- concat ---- */

static void concat_kernel(const struct mill__expr_call *call)
{
    size_t lengths[MILL__EXPR_BLOCK] = {0};
    size_t total = 0;
    for (uint32_t k = 0; k < call->in_count; k++) {
        for (uint32_t i = 0; i < call->n; i++) {
            lengths[i] += call->in[k]->at.s[i].n;
        }
    }
    for (uint32_t i = 0; i < call->n; i++) {
        if (lengths[i] > MILL__EXPR_STRING_MAX) {
            mill_bit_clear(call->out->valid, i);
            lengths[i] = 0;
        }
        total += lengths[i];
    }
    char *bytes = mill_arena_alloc(call->arena, total);
    for (uint32_t i = 0; i < call->n; i++) {
        call->out->at.s[i] = (struct mill_slice){bytes, lengths[i]};
        for (uint32_t k = 0; k < call->in_count && lengths[i] > 0; k++) {
            struct mill_slice s = call->in[k]->at.s[i];
            if (s.n > 0) {
                memcpy(bytes, s.p, s.n);
                bytes += s.n;
            }
        }
    }
}
const struct mill__expr_op mill__expr_concat = {concat_kernel, MILL_STRING, false};

/* ---- string(x) ---- */

static struct mill_slice print_double(double value, char *out)
{
    if (isnan(value)) {
        return mill_slice_of("NaN");
    }
    if (isinf(value)) {
        return mill_slice_of(value > 0 ? "Infinity" : "-Infinity");
    }
    return (struct mill_slice){out, mill_number_print_double(value, out)};
}

static void float64_text(const struct mill__expr_call *call)
{
    char *bytes = mill_arena_alloc(call->arena, (size_t)call->n * MILL_NUMBER_TEXT_MAX);
    for (uint32_t i = 0; i < call->n; i++) {
        call->out->at.s[i] = print_double(call->in[0]->at.f[i], bytes + (size_t)i * MILL_NUMBER_TEXT_MAX);
    }
}

static void int64_text(const struct mill__expr_call *call)
{
    char *bytes = mill_arena_alloc(call->arena, (size_t)call->n * MILL_NUMBER_TEXT_MAX);
    for (uint32_t i = 0; i < call->n; i++) {
        char *at = bytes + (size_t)i * MILL_NUMBER_TEXT_MAX;
        call->out->at.s[i] = (struct mill_slice){at, mill_number_print_int64(call->in[0]->at.i[i], at)};
    }
}

static void timestamp_text(const struct mill__expr_call *call)
{
    enum { TEXT_MAX = 32 };
    char *bytes = mill_arena_alloc(call->arena, (size_t)call->n * TEXT_MAX);
    for (uint32_t i = 0; i < call->n; i++) {
        char *at = bytes + (size_t)i * TEXT_MAX;
        call->out->at.s[i] = (struct mill_slice){at, mill_timestamp_print(call->in[0]->at.i[i], at)};
    }
}

static void bool_text(const struct mill__expr_call *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        call->out->at.s[i] = mill_slice_of(call->in[0]->at.b[i] != 0 ? "true" : "false");
    }
}

const struct mill__expr_op *mill__expr_text_op(enum mill_type type)
{
    static const struct mill__expr_op ops[MILL_TYPE_COUNT] = {
        [MILL_BOOL] = {bool_text, MILL_STRING, false},
        [MILL_INT64] = {int64_text, MILL_STRING, false},
        [MILL_FLOAT64] = {float64_text, MILL_STRING, false},
        [MILL_TIMESTAMP] = {timestamp_text, MILL_STRING, false},
    };
    mill_assert(ops[type].kernel != NULL);
    return &ops[type];
}

/* ---- hash: XXH3-64 of the value's bytes, little endian ---- */

static void hash_string(const struct mill__expr_call *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        struct mill_slice s = call->in[0]->at.s[i];
        call->out->at.i[i] = (int64_t)mill_hash64(s.n == 0 ? "" : s.p, s.n);
    }
}

static void hash_int64(const struct mill__expr_call *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        call->out->at.i[i] = (int64_t)mill_hash64(&call->in[0]->at.i[i], sizeof(int64_t));
    }
}

/* Values that are equal hash alike: 0.0 for -0.0; and all NaN are one. */
static void hash_float64(const struct mill__expr_call *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        double value = call->in[0]->at.f[i];
        value = value == 0 ? 0.0 : isnan(value) ? (double)NAN : value;
        call->out->at.i[i] = (int64_t)mill_hash64(&value, sizeof(value));
    }
}

static void hash_bool(const struct mill__expr_call *call)
{
    for (uint32_t i = 0; i < call->n; i++) {
        call->out->at.i[i] = (int64_t)mill_hash64(&call->in[0]->at.b[i], 1);
    }
}

const struct mill__expr_op *mill__expr_hash_op(enum mill_type type)
{
    static const struct mill__expr_op ops[MILL_TYPE_COUNT] = {
        [MILL_BOOL] = {hash_bool, MILL_INT64, false},       [MILL_INT64] = {hash_int64, MILL_INT64, false},
        [MILL_FLOAT64] = {hash_float64, MILL_INT64, false}, [MILL_STRING] = {hash_string, MILL_INT64, false},
        [MILL_TIMESTAMP] = {hash_int64, MILL_INT64, false},
    };
    return &ops[type];
}
