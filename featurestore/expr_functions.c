/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: the functions. To add one: a kernel in one of the kernel files, a line in the table below, a row in
 * docs/expressions.md. Called by expr_parse.c when a call has been read.
 */
#include <stdio.h>
#include <strings.h>

#include "featurestore/expr_internal.h"

enum { PARAMETERS_MAX = 3 };
#define MANY UINT32_MAX

typedef int rule_function(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                          struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret);

struct mill__expr_function {
    const char *name;
    uint32_t args_min, args_max;
    rule_function *rule;
    const struct mill__expr_op *op;         /* what most rules append */
    const struct mill__expr_op *integer_op; /* where int64 has its own */
    const struct mill__expr_op *time_op;    /* where timestamp has its own */
    const char *parameters[PARAMETERS_MAX]; /* that may be given by name */
};

/* ---- rules ---- */

static struct mill__expr_operand append(struct mill__expr_compiler *c, const struct mill__expr_op *op,
                                        const struct mill__expr_operand *args, uint32_t count)
{
    uint32_t in[2];
    mill_assert(count <= 2);
    for (uint32_t k = 0; k < count; k++) {
        in[k] = args[k].reg;
    }
    uint32_t reg = mill__expr_add_op(&c->builder, op, in, count, NULL);
    return (struct mill__expr_operand){reg, op->type, false, args[0].at};
}

/* Converts argument k; the message names it. */
static int convert(struct mill__expr_compiler *c, const struct mill__expr_function *f, struct mill__expr_operand *args,
                   uint32_t k, enum mill_type type)
{
    char what[64];
    snprintf(what, sizeof(what), "argument %u of '%s'", k + 1, f->name);
    return mill__expr_convert(c, &args[k], type, what);
}

static int all_converted(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                         struct mill__expr_operand *args, uint32_t count, enum mill_type type)
{
    for (uint32_t k = 0; k < count; k++) {
        MILL_TRY(convert(c, f, args, k, type));
    }
    return MILL_OK;
}

static int float64_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                        struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    MILL_TRY(all_converted(c, f, args, count, MILL_FLOAT64));
    *ret = append(c, f->op, args, count);
    return MILL_OK;
}

/* int64 stays int64, by its own kernel or, for floor and the like, as it is. */
static int number_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                       struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    if (args[0].is_null || args[0].type != MILL_INT64) {
        return float64_rule(c, f, args, count, ret);
    }
    *ret = f->integer_op == NULL ? args[0] : append(c, f->integer_op, args, count);
    return MILL_OK;
}

static int timestamp_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                          struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    MILL_TRY(all_converted(c, f, args, count, MILL_TIMESTAMP));
    *ret = append(c, f->op, args, count);
    return MILL_OK;
}

static int string_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                       struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    MILL_TRY(all_converted(c, f, args, count, MILL_STRING));
    *ret = append(c, f->op, args, count);
    return MILL_OK;
}

/* min, max: of numbers or of timestamps, folded from the left. */
static int choose_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                       struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    char what[64];
    snprintf(what, sizeof(what), "arguments of '%s'", f->name);
    MILL_TRY(mill__expr_unify(c, args, count, what));
    const struct mill__expr_op *op = args[0].type == MILL_INT64       ? f->integer_op
                                     : args[0].type == MILL_FLOAT64   ? f->op
                                     : args[0].type == MILL_TIMESTAMP ? f->time_op
                                                                      : NULL;
    if (op == NULL) {
        return mill__expr_fail(c, args[0].at, "%s must be numbers or timestamps, found %s", what,
                               mill_type_name(args[0].type));
    }
    struct mill__expr_operand result = args[0];
    for (uint32_t k = 1; k < count; k++) {
        struct mill__expr_operand both[2] = {result, args[k]};
        result = append(c, op, both, 2);
    }
    *ret = result;
    return MILL_OK;
}

/* clip(x, lower, upper): min(max(x, lower), upper), as numpy.clip; either bound may be left out. */
static int clip_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                     struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    struct mill__expr_operand given[3];
    uint32_t given_count = 0;
    if (args[0].reg == MILL__EXPR_ABSENT) {
        return mill__expr_fail(c, args[0].at, "'clip' expects the value to clip as its first argument");
    }
    for (uint32_t k = 0; k < count; k++) {
        bool left_out = args[k].reg == MILL__EXPR_ABSENT;
        if (!left_out && !args[k].is_null && args[k].type != MILL_INT64) {
            MILL_TRY(convert(c, f, args, k, MILL_FLOAT64));
        }
        if (!left_out) {
            given[given_count++] = args[k];
        }
    }
    MILL_TRY(mill__expr_unify(c, given, given_count, "arguments of 'clip'"));
    bool integers = given[0].type == MILL_INT64;
    struct mill__expr_operand result = given[0];
    for (uint32_t k = 1, next = 1; k < count; k++) {
        if (args[k].reg == MILL__EXPR_ABSENT) {
            continue;
        }
        const struct mill__expr_op *lower = integers ? &mill__expr_max_int64 : &mill__expr_max_float64;
        const struct mill__expr_op *upper = integers ? &mill__expr_min_int64 : &mill__expr_min_float64;
        struct mill__expr_operand both[2] = {result, given[next++]};
        result = append(c, k == 1 ? lower : upper, both, 2);
    }
    *ret = result;
    return MILL_OK;
}

static int pi_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f, struct mill__expr_operand *args,
                   uint32_t count, struct mill__expr_operand *ret)
{
    (void)f;
    (void)args;
    (void)count;
    struct mill__expr_value pi = {MILL_FLOAT64, true, {.f = MILL__EXPR_PI}};
    *ret = (struct mill__expr_operand){mill__expr_add_value(&c->builder, pi), MILL_FLOAT64, false, 0};
    return MILL_OK;
}

static int coalesce_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                         struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    (void)f;
    MILL_TRY(mill__expr_unify(c, args, count, "arguments of 'coalesce'"));
    struct mill__expr_operand result = args[0];
    for (uint32_t k = 1; k < count; k++) {
        struct mill__expr_operand both[2] = {result, args[k]};
        result = append(c, mill__expr_coalesce_op(args[0].type), both, 2);
    }
    *ret = result;
    return MILL_OK;
}

static int if_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f, struct mill__expr_operand *args,
                   uint32_t count, struct mill__expr_operand *ret)
{
    (void)count;
    MILL_TRY(convert(c, f, args, 0, MILL_BOOL));
    MILL_TRY(mill__expr_unify(c, args + 1, 2, "branches of 'if'"));
    *ret = mill__expr_select(c, args[0], args[1], args[2]);
    return MILL_OK;
}

static int is_null_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                        struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    (void)f;
    (void)count;
    *ret = mill__expr_is_null_rule(c, args[0]);
    return MILL_OK;
}

static int hash_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                     struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    (void)f;
    if (args[0].is_null) {
        args[0] = mill__expr_null_of(c, MILL_INT64, args[0].at);
    }
    *ret = append(c, mill__expr_hash_op(args[0].type), args, count);
    return MILL_OK;
}

static struct mill__expr_operand to_text(struct mill__expr_compiler *c, struct mill__expr_operand a)
{
    if (a.is_null) {
        return mill__expr_null_of(c, MILL_STRING, a.at);
    }
    return a.type == MILL_STRING ? a : append(c, mill__expr_text_op(a.type), &a, 1);
}

static int text_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                     struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    (void)f;
    (void)count;
    *ret = to_text(c, args[0]);
    return MILL_OK;
}

static int concat_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f,
                       struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    uint32_t *in = mill_arena_array(c->builder.arena, uint32_t, count);
    for (uint32_t k = 0; k < count; k++) {
        in[k] = to_text(c, args[k]).reg;
    }
    uint32_t reg = mill__expr_add_op(&c->builder, f->op, in, count, NULL);
    *ret = (struct mill__expr_operand){reg, MILL_STRING, false, args[0].at};
    return MILL_OK;
}

/* ---- the table ---- */

#define FLOAT64(name, n)                                                                                               \
    {                                                                                                                  \
#name, n, n, float64_rule, &mill__expr_##name, NULL, NULL,                                                     \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }
#define TIMESTAMP(name)                                                                                                \
    {                                                                                                                  \
#name, 1, 1, timestamp_rule, &mill__expr_##name, NULL, NULL,                                                   \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }
#define STRING(name)                                                                                                   \
    {                                                                                                                  \
#name, 1, 1, string_rule, &mill__expr_##name, NULL, NULL,                                                      \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }
#define OTHER(name, low, high, rule)                                                                                   \
    {                                                                                                                  \
        name, low, high, rule, NULL, NULL, NULL,                                                                       \
        {                                                                                                              \
            NULL                                                                                                       \
        }                                                                                                              \
    }

/* By name. */
static const struct mill__expr_function functions[] = {
    {"abs", 1, 1, number_rule, &mill__expr_abs_float64, &mill__expr_abs_int64, NULL, {NULL}},
    {"ceil", 1, 1, number_rule, &mill__expr_ceil, NULL, NULL, {NULL}},
    {"clip", 2, 3, clip_rule, NULL, NULL, NULL, {NULL, "lower", "upper"}},
    OTHER("coalesce", 1, MANY, coalesce_rule),
    {"concat", 1, MANY, concat_rule, &mill__expr_concat, NULL, NULL, {NULL}},
    FLOAT64(cos, 1),
    TIMESTAMP(day_of_month),
    TIMESTAMP(day_of_week),
    TIMESTAMP(epoch),
    FLOAT64(exp, 1),
    {"floor", 1, 1, number_rule, &mill__expr_floor, NULL, NULL, {NULL}},
    OTHER("hash", 1, 1, hash_rule),
    TIMESTAMP(hour),
    OTHER("if", 3, 3, if_rule),
    FLOAT64(is_nan, 1),
    OTHER("is_null", 1, 1, is_null_rule),
    TIMESTAMP(is_weekend),
    STRING(length),
    FLOAT64(log, 1),
    FLOAT64(log1p, 1),
    STRING(lower),
    {"max", 1, MANY, choose_rule, &mill__expr_max_float64, &mill__expr_max_int64, &mill__expr_max_timestamp, {NULL}},
    {"min", 1, MANY, choose_rule, &mill__expr_min_float64, &mill__expr_min_int64, &mill__expr_min_timestamp, {NULL}},
    TIMESTAMP(minute),
    TIMESTAMP(month),
    OTHER("pi", 0, 0, pi_rule),
    FLOAT64(pow, 2),
    {"round", 1, 1, number_rule, &mill__expr_round, NULL, NULL, {NULL}},
    FLOAT64(safe_div, 2),
    TIMESTAMP(second),
    FLOAT64(sin, 1),
    FLOAT64(sqrt, 1),
    OTHER("string", 1, 1, text_rule),
    STRING(upper),
    TIMESTAMP(year),
};
enum { FUNCTION_COUNT = sizeof(functions) / sizeof(functions[0]) };

const struct mill__expr_function *mill__expr_function_find(struct mill_slice name)
{
    for (size_t k = 0; k < FUNCTION_COUNT; k++) {
        if (strlen(functions[k].name) == name.n && strncasecmp(functions[k].name, name.p, name.n) == 0) {
            return &functions[k];
        }
    }
    return NULL;
}

int mill__expr_function_parameter(const struct mill__expr_function *f, struct mill_slice name)
{
    for (int k = 0; k < PARAMETERS_MAX; k++) {
        if (f->parameters[k] != NULL && mill_slice_is(name, f->parameters[k])) {
            return k;
        }
    }
    return -1;
}

const char *const *mill_expr_function_names(size_t *ret_count)
{
    static const char *const names[] = {
        "abs",   "ceil",     "clip",   "coalesce", "concat", "cos",    "day_of_month", "day_of_week", "epoch",
        "exp",   "floor",    "hash",   "hour",     "if",     "is_nan", "is_null",      "is_weekend",  "length",
        "log",   "log1p",    "lower",  "max",      "min",    "minute", "month",        "pi",          "pow",
        "round", "safe_div", "second", "sin",      "sqrt",   "string", "upper",        "year",
    };
    _Static_assert(sizeof(names) / sizeof(names[0]) == FUNCTION_COUNT, "each function of the table, by name");
    *ret_count = FUNCTION_COUNT;
    return names;
}

static int fail_arguments(struct mill__expr_compiler *c, const struct mill__expr_function *f, size_t at, uint32_t count)
{
    const char *s = f->args_max == 1 ? "" : "s";
    if (f->args_min == f->args_max) {
        return mill__expr_fail(c, at, "'%s' takes %u argument%s, found %u", f->name, f->args_min, s, count);
    }
    if (f->args_max == MANY) {
        return mill__expr_fail(c, at, "'%s' takes %u argument or more, found %u", f->name, f->args_min, count);
    }
    return mill__expr_fail(c, at, "'%s' takes %u to %u arguments, found %u", f->name, f->args_min, f->args_max, count);
}

int mill__expr_function_rule(struct mill__expr_compiler *c, const struct mill__expr_function *f, size_t at,
                             struct mill__expr_operand *args, uint32_t count, struct mill__expr_operand *ret)
{
    if (count < f->args_min || count > f->args_max) {
        return fail_arguments(c, f, at, count);
    }
    return f->rule(c, f, args, count, ret);
}
