/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: kernels of = != < <= > >= and of in (constants). Numbers compare as IEEE 754 says (NaN differs from
 * everything and is neither less nor greater), strings by their bytes, bool only for equality.
 */
#include <stdlib.h>

#include "featurestore/expr_vector_internal.h"

#define COMPARE(name, T, member, expression)                                                                           \
    static void name(const struct mill__expr_call *call)                                                               \
    {                                                                                                                  \
        const T *a = call->in[0]->at.member, *b = call->in[1]->at.member;                                              \
        uint8_t *restrict out = call->out->at.b;                                                                       \
        for (uint32_t i = 0, n = call->n; i < n; i++) {                                                                \
            out[i] = (expression);                                                                                     \
        }                                                                                                              \
    }

COMPARE(equal_bool, uint8_t, b, a[i] == b[i])
COMPARE(unequal_bool, uint8_t, b, a[i] != b[i])
COMPARE(equal_int64, int64_t, i, a[i] == b[i])
COMPARE(unequal_int64, int64_t, i, a[i] != b[i])
COMPARE(less_int64, int64_t, i, a[i] < b[i])
COMPARE(less_equal_int64, int64_t, i, a[i] <= b[i])
COMPARE(greater_int64, int64_t, i, a[i] > b[i])
COMPARE(greater_equal_int64, int64_t, i, a[i] >= b[i])
COMPARE(equal_float64, double, f, a[i] == b[i])
COMPARE(unequal_float64, double, f, a[i] != b[i])
COMPARE(less_float64, double, f, a[i] < b[i])
COMPARE(less_equal_float64, double, f, a[i] <= b[i])
COMPARE(greater_float64, double, f, a[i] > b[i])
COMPARE(greater_equal_float64, double, f, a[i] >= b[i])
COMPARE(equal_string, struct mill_slice, s, mill_slice_equal(a[i], b[i]))
COMPARE(unequal_string, struct mill_slice, s, !mill_slice_equal(a[i], b[i]))
COMPARE(less_string, struct mill_slice, s, mill_slice_compare(a[i], b[i]) < 0)
COMPARE(less_equal_string, struct mill_slice, s, mill_slice_compare(a[i], b[i]) <= 0)
COMPARE(greater_string, struct mill_slice, s, mill_slice_compare(a[i], b[i]) > 0)
COMPARE(greater_equal_string, struct mill_slice, s, mill_slice_compare(a[i], b[i]) >= 0)

#define RELATIONS(type)                                                                                                \
    {                                                                                                                  \
        [MILL__EXPR_EQUAL] = {equal_##type, MILL_BOOL, false},                                                         \
        [MILL__EXPR_UNEQUAL] = {unequal_##type, MILL_BOOL, false},                                                     \
        [MILL__EXPR_LESS] = {less_##type, MILL_BOOL, false},                                                           \
        [MILL__EXPR_LESS_EQUAL] = {less_equal_##type, MILL_BOOL, false},                                               \
        [MILL__EXPR_GREATER] = {greater_##type, MILL_BOOL, false},                                                     \
        [MILL__EXPR_GREATER_EQUAL] = {greater_equal_##type, MILL_BOOL, false},                                         \
    }

const struct mill__expr_op *mill__expr_relation_op(enum mill__expr_relation op, enum mill_type type)
{
    static const struct mill__expr_op ops[MILL_TYPE_COUNT][MILL__EXPR_RELATIONS] = {
        [MILL_BOOL] =
            {
                [MILL__EXPR_EQUAL] = {equal_bool, MILL_BOOL, false},
                [MILL__EXPR_UNEQUAL] = {unequal_bool, MILL_BOOL, false},
            },
        [MILL_INT64] = RELATIONS(int64),
        [MILL_FLOAT64] = RELATIONS(float64),
        [MILL_STRING] = RELATIONS(string),
        [MILL_TIMESTAMP] = RELATIONS(int64),
    };
    mill_assert(ops[type][op].kernel != NULL);
    return &ops[type][op];
}

/* ---- in (constants) ---- */

enum { SCAN_MAX = 8 }; /* up to so many items each is compared with the whole block; more are searched by halves */

struct mill__expr_set {
    enum mill_type type;
    uint32_t count;
    union {
        int64_t *i;
        double *f;
        struct mill_slice *s;
    } at; /* ascending, distinct */
};

/* Strings by length first: cheaper than byte order, and any total order does. */
static int compare_strings(struct mill_slice a, struct mill_slice b)
{
    if (a.n != b.n) {
        return a.n < b.n ? -1 : 1;
    }
    return a.n == 0 ? 0 : memcmp(a.p, b.p, a.n);
}

static int compare_values(const void *pa, const void *pb)
{
    const struct mill__expr_value *a = pa, *b = pb;
    if (a->type == MILL_STRING) {
        return compare_strings(a->at.s, b->at.s);
    }
    if (a->type == MILL_FLOAT64) {
        return (a->at.f > b->at.f) - (a->at.f < b->at.f);
    }
    return (a->at.i > b->at.i) - (a->at.i < b->at.i);
}

static bool is_nan(const struct mill__expr_value *v)
{
    return v->type == MILL_FLOAT64 && __builtin_isnan(v->at.f);
}

struct mill__expr_set *mill__expr_set_new(struct mill__expr_value *items, uint32_t count, struct mill_arena *arena)
{
    struct mill__expr_set *set = mill_arena_zalloc(arena, sizeof(*set));
    uint32_t numbers = 0;
    mill_assert(count > 0);
    set->type = items[0].type;
    for (uint32_t k = 0; k < count; k++) {
        if (!is_nan(&items[k])) { /* NaN equals nothing and has no place in the order */
            items[numbers++] = items[k];
        }
    }
    qsort(items, numbers, sizeof(items[0]), compare_values);
    set->at.s = mill_arena_array(arena, struct mill_slice, numbers); /* the widest */
    for (uint32_t k = 0; k < numbers; k++) {
        if (k > 0 && compare_values(&items[k - 1], &items[k]) == 0) {
            continue;
        }
        if (set->type == MILL_STRING) {
            set->at.s[set->count++] = items[k].at.s;
        } else if (set->type == MILL_FLOAT64) {
            set->at.f[set->count++] = items[k].at.f;
        } else {
            set->at.i[set->count++] = items[k].at.i;
        }
    }
    return set;
}

#define IN_SET(name, T, member, is_equal, is_less)                                                                     \
    static void scan_##name(const struct mill__expr_call *call)                                                        \
    {                                                                                                                  \
        const T *a = call->in[0]->at.member;                                                                           \
        uint8_t *restrict out = call->out->at.b;                                                                       \
        memset(out, 0, call->n);                                                                                       \
        for (uint32_t k = 0; k < call->set->count; k++) {                                                              \
            const T y = call->set->at.member[k];                                                                       \
            for (uint32_t i = 0, n = call->n; i < n; i++) {                                                            \
                const T x = a[i];                                                                                      \
                out[i] |= (is_equal);                                                                                  \
            }                                                                                                          \
        }                                                                                                              \
    }                                                                                                                  \
    static void search_##name(const struct mill__expr_call *call)                                                      \
    {                                                                                                                  \
        const T *items = call->set->at.member;                                                                         \
        for (uint32_t i = 0; i < call->n; i++) {                                                                       \
            const T x = call->in[0]->at.member[i];                                                                     \
            uint32_t low = 0;                                                                                          \
            for (uint32_t rest = call->set->count; rest > 1;) { /* the last item that is not above x */                \
                uint32_t half = rest / 2;                                                                              \
                const T y = items[low + half];                                                                         \
                low += (is_less) ? 0 : half;                                                                           \
                rest -= half;                                                                                          \
            }                                                                                                          \
            const T y = items[low];                                                                                    \
            call->out->at.b[i] = (is_equal);                                                                           \
        }                                                                                                              \
    }

IN_SET(int64, int64_t, i, x == y, x < y)
IN_SET(float64, double, f, x == y, x < y)
IN_SET(string, struct mill_slice, s, mill_slice_equal(x, y), compare_strings(x, y) < 0)

static void in_set(const struct mill__expr_call *call)
{
    bool scan = call->set->count <= SCAN_MAX;
    switch (call->set->type) {
    case MILL_FLOAT64:
        scan ? scan_float64(call) : search_float64(call);
        break;
    case MILL_STRING:
        scan ? scan_string(call) : search_string(call);
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
    case MILL_BOOL:
    default:
        scan ? scan_int64(call) : search_int64(call);
        break;
    }
}
const struct mill__expr_op mill__expr_in_set = {in_set, MILL_BOOL, false};
