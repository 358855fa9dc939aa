/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: the rules of the operators. Each takes typed operands, says what is wrong with them or converts them,
 * and appends the steps. Called by expr_parse.c and, for conversions, by expr_functions.c.
 */
#include "featurestore/expr_internal.h"

static const char *const arith_signs[MILL__EXPR_ARITHS] = {"+", "-", "*", "/", "%"};
static const char *const relation_signs[MILL__EXPR_RELATIONS] = {"=", "!=", "<", "<=", ">", ">="};

static struct mill__expr_operand op1(struct mill__expr_compiler *c, const struct mill__expr_op *op,
                                     struct mill__expr_operand a)
{
    uint32_t reg = mill__expr_add_op(&c->builder, op, &a.reg, 1, NULL);
    return (struct mill__expr_operand){reg, op->type, false, a.at};
}

static struct mill__expr_operand op2(struct mill__expr_compiler *c, const struct mill__expr_op *op,
                                     struct mill__expr_operand a, struct mill__expr_operand b)
{
    uint32_t in[2] = {a.reg, b.reg};
    mill_assert(op != NULL);
    return (struct mill__expr_operand){mill__expr_add_op(&c->builder, op, in, 2, NULL), op->type, false, a.at};
}

static const char *type_of(struct mill__expr_operand a)
{
    return a.is_null ? "null" : mill_type_name(a.type);
}

static bool is_number(struct mill__expr_operand a)
{
    return !a.is_null && (a.type == MILL_INT64 || a.type == MILL_FLOAT64);
}

static bool is_constant_string(const struct mill__expr_compiler *c, struct mill__expr_operand a)
{
    return !a.is_null && a.type == MILL_STRING && mill__expr_constant(&c->builder, a.reg) != NULL;
}

/* ---- conversions ---- */

struct mill__expr_operand mill__expr_null_of(struct mill__expr_compiler *c, enum mill_type type, size_t at)
{
    struct mill__expr_value value = {type, false, {.s = {NULL, 0}}};
    return (struct mill__expr_operand){mill__expr_add_value(&c->builder, value), type, false, at};
}

static int timestamp_of_constant(struct mill__expr_compiler *c, struct mill__expr_operand *a)
{
    struct mill__expr_value text = *mill__expr_constant(&c->builder, a->reg);
    struct mill__expr_value value = {MILL_TIMESTAMP, text.valid, {.i = 0}};
    if (text.valid && mill_timestamp_parse(text.at.s, &value.at.i) < 0) {
        return mill__expr_fail(c, a->at,
                               "'%.*s' is not a timestamp; hint: write '2013-01-31' or '2013-01-31T10:15:00Z'",
                               MILL__EXPR_SHOW(text.at.s));
    }
    a->reg = mill__expr_add_value(&c->builder, value);
    a->type = MILL_TIMESTAMP;
    return MILL_OK;
}

static const char *hint_for(enum mill_type found, enum mill_type wanted)
{
    bool wants_number = wanted == MILL_INT64 || wanted == MILL_FLOAT64;
    if (found == MILL_BOOL && wants_number) {
        return "; hint: if(x, 1, 0) makes a number of a bool";
    }
    if (found == MILL_TIMESTAMP && wants_number) {
        return "; hint: epoch(x) gives a timestamp's seconds since 1970";
    }
    if (wanted == MILL_STRING) {
        return "; hint: string(x) writes a value as text";
    }
    if (wanted == MILL_BOOL && (found == MILL_INT64 || found == MILL_FLOAT64)) {
        return "; hint: write x != 0";
    }
    return "";
}

int mill__expr_convert(struct mill__expr_compiler *c, struct mill__expr_operand *a, enum mill_type type,
                       const char *what)
{
    if (a->is_null) {
        *a = mill__expr_null_of(c, type, a->at);
        return MILL_OK;
    }
    if (a->type == type) {
        return MILL_OK;
    }
    if (a->type == MILL_INT64 && type == MILL_FLOAT64) {
        *a = op1(c, &mill__expr_int64_to_float64, *a);
        return MILL_OK;
    }
    if (type == MILL_TIMESTAMP && is_constant_string(c, *a)) {
        return timestamp_of_constant(c, a);
    }
    /* Where float64 is wanted, int64 is welcome too. */
    const char *wanted = type == MILL_FLOAT64 ? "a number" : mill_type_name(type);
    return mill__expr_fail(c, a->at, "%s must be %s, found %s%s", what, wanted, type_of(*a), hint_for(a->type, type));
}

/* The type that values of type a and operand b share, or -1. */
static int join(const struct mill__expr_compiler *c, struct mill__expr_operand a, struct mill__expr_operand b)
{
    if (a.is_null || a.type == b.type) {
        return (int)b.type;
    }
    if (is_number(a) && is_number(b)) {
        return MILL_FLOAT64;
    }
    if (a.type == MILL_TIMESTAMP && is_constant_string(c, b)) {
        return MILL_TIMESTAMP;
    }
    return b.type == MILL_TIMESTAMP && is_constant_string(c, a) ? MILL_TIMESTAMP : -1;
}

int mill__expr_unify(struct mill__expr_compiler *c, struct mill__expr_operand *operands, uint32_t count,
                     const char *what)
{
    struct mill__expr_operand joined = {0, MILL_BOOL, true, 0};
    mill_assert(count > 0);
    for (uint32_t k = 0; k < count; k++) {
        if (operands[k].is_null) {
            continue;
        }
        int type = join(c, joined, operands[k]);
        if (type < 0) {
            return mill__expr_fail(c, operands[k].at, "%s must have one type, found %s after %s", what,
                                   type_of(operands[k]), type_of(joined));
        }
        joined = operands[k];
        joined.type = (enum mill_type)type;
    }
    if (joined.is_null) {
        return mill__expr_fail(c, operands[0].at, "%s are all null, expected at least one value", what);
    }
    for (uint32_t k = 0; k < count; k++) {
        MILL_TRY(mill__expr_convert(c, &operands[k], joined.type, what));
    }
    return MILL_OK;
}

/* ---- arithmetic ---- */

static int check_number(struct mill__expr_compiler *c, const char *sign, struct mill__expr_operand a)
{
    if (a.is_null || is_number(a)) {
        return MILL_OK;
    }
    const char *hint = a.type == MILL_STRING ? "; hint: concat(a, b) joins strings" : hint_for(a.type, MILL_FLOAT64);
    return mill__expr_fail(c, a.at, "'%s' expects numbers, found %s%s", sign, type_of(a), hint);
}

/* timestamp - timestamp, either of which may be a constant string. */
static bool is_time_difference(const struct mill__expr_compiler *c, enum mill__expr_arith op,
                               struct mill__expr_operand a, struct mill__expr_operand b)
{
    bool a_is_time = !a.is_null && a.type == MILL_TIMESTAMP;
    bool b_is_time = !b.is_null && b.type == MILL_TIMESTAMP;
    return op == MILL__EXPR_SUBTRACT && (a_is_time || b_is_time) &&
           (a_is_time || a.is_null || is_constant_string(c, a)) && (b_is_time || b.is_null || is_constant_string(c, b));
}

int mill__expr_arith_rule(struct mill__expr_compiler *c, enum mill__expr_arith op, struct mill__expr_operand a,
                          struct mill__expr_operand b, struct mill__expr_operand *ret)
{
    const char *sign = arith_signs[op];
    if (is_time_difference(c, op, a, b)) {
        MILL_TRY(mill__expr_convert(c, &a, MILL_TIMESTAMP, "each side of '-'"));
        MILL_TRY(mill__expr_convert(c, &b, MILL_TIMESTAMP, "each side of '-'"));
        *ret = op2(c, &mill__expr_time_difference, a, b);
        return MILL_OK;
    }
    MILL_TRY(check_number(c, sign, a));
    MILL_TRY(check_number(c, sign, b));
    bool integers =
        (a.is_null || a.type == MILL_INT64) && (b.is_null || b.type == MILL_INT64) && !(a.is_null && b.is_null);
    enum mill_type type = integers && op != MILL__EXPR_QUOTIENT ? MILL_INT64 : MILL_FLOAT64;
    MILL_TRY(mill__expr_convert(c, &a, type, sign));
    MILL_TRY(mill__expr_convert(c, &b, type, sign));
    *ret = op2(c, mill__expr_arith_op(op, type), a, b);
    return MILL_OK;
}

int mill__expr_sign_rule(struct mill__expr_compiler *c, struct mill__expr_operand a, bool negative,
                         struct mill__expr_operand *ret)
{
    MILL_TRY(check_number(c, negative ? "-" : "+", a));
    MILL_TRY(mill__expr_convert(c, &a, a.is_null ? MILL_FLOAT64 : a.type, "-"));
    if (negative) {
        a = op1(c, a.type == MILL_INT64 ? &mill__expr_negate_int64 : &mill__expr_negate_float64, a);
    }
    *ret = a;
    return MILL_OK;
}

/* ---- relations ---- */

int mill__expr_relation_rule(struct mill__expr_compiler *c, enum mill__expr_relation op, struct mill__expr_operand a,
                             struct mill__expr_operand b, struct mill__expr_operand *ret)
{
    const char *sign = relation_signs[op];
    if (a.is_null || b.is_null) {
        return mill__expr_fail(c, a.is_null ? a.at : b.at, "'%s' with null is always null; hint: write x is null",
                               sign);
    }
    int type = join(c, a, b);
    if (type < 0) {
        const char *hint = a.type == MILL_TIMESTAMP || b.type == MILL_TIMESTAMP
                               ? "; hint: epoch(x) gives a timestamp's seconds since 1970"
                               : "";
        return mill__expr_fail(c, b.at, "'%s' cannot compare %s with %s%s", sign, type_of(a), type_of(b), hint);
    }
    if (type == MILL_BOOL && op != MILL__EXPR_EQUAL && op != MILL__EXPR_UNEQUAL) {
        return mill__expr_fail(c, a.at, "'%s' has no meaning for bool; hint: use and, or, not", sign);
    }
    MILL_TRY(mill__expr_convert(c, &a, (enum mill_type)type, sign));
    MILL_TRY(mill__expr_convert(c, &b, (enum mill_type)type, sign));
    *ret = op2(c, mill__expr_relation_op(op, (enum mill_type)type), a, b);
    return MILL_OK;
}

struct mill__expr_operand mill__expr_is_null_rule(struct mill__expr_compiler *c, struct mill__expr_operand a)
{
    if (a.is_null) {
        a = mill__expr_null_of(c, MILL_BOOL, a.at);
    }
    return op1(c, &mill__expr_is_null, a);
}

/* a = x or a = y or ...: constants are looked up in one step, other items compared one by one. */
int mill__expr_in_rule(struct mill__expr_compiler *c, struct mill__expr_operand a, struct mill__expr_operand *items,
                       uint32_t count, struct mill__expr_operand *ret)
{
    struct mill__expr_operand joined = a;
    bool has_null = false;
    if (a.is_null) {
        return mill__expr_fail(c, a.at, "null in (...) is always null; hint: write x is null");
    }
    for (uint32_t k = 0; k < count; k++) {
        int type = items[k].is_null ? (int)joined.type : join(c, joined, items[k]);
        if (type < 0) {
            return mill__expr_fail(c, items[k].at, "items of 'in' must be %s, found %s", type_of(joined),
                                   type_of(items[k]));
        }
        joined.type = (enum mill_type)type;
    }
    MILL_TRY(mill__expr_convert(c, &a, joined.type, "the value before 'in'"));
    struct mill__expr_operand result = {0, MILL_BOOL, true, a.at}; /* is_null: nothing yet */
    struct mill__expr_value *constants = mill_arena_array(c->builder.arena, struct mill__expr_value, count);
    uint32_t constant_count = 0;
    for (uint32_t k = 0; k < count; k++) {
        MILL_TRY(mill__expr_convert(c, &items[k], joined.type, "items of 'in'"));
        const struct mill__expr_value *constant = mill__expr_constant(&c->builder, items[k].reg);
        if (constant != NULL && !constant->valid) {
            has_null = true;
        } else if (constant != NULL && joined.type != MILL_BOOL) {
            constants[constant_count++] = *constant;
        } else {
            struct mill__expr_operand same = op2(c, mill__expr_relation_op(MILL__EXPR_EQUAL, joined.type), a, items[k]);
            result = result.is_null ? same : op2(c, &mill__expr_or, result, same);
        }
    }
    if (constant_count > 0) {
        const struct mill__expr_set *set = mill__expr_set_new(constants, constant_count, c->builder.arena);
        uint32_t reg = mill__expr_add_op(&c->builder, &mill__expr_in_set, &a.reg, 1, set);
        struct mill__expr_operand found = {reg, MILL_BOOL, false, a.at};
        result = result.is_null ? found : op2(c, &mill__expr_or, result, found);
    }
    if (has_null || result.is_null) {
        struct mill__expr_operand unknown = mill__expr_null_of(c, MILL_BOOL, a.at);
        result = result.is_null ? unknown : op2(c, &mill__expr_or, result, unknown);
    }
    *ret = result;
    return MILL_OK;
}

/* ---- logic ---- */

int mill__expr_logic_rule(struct mill__expr_compiler *c, enum mill__expr_token word, struct mill__expr_operand a,
                          struct mill__expr_operand b, struct mill__expr_operand *ret)
{
    const char *what = word == MILL__EXPR_AND  ? "each side of 'and'"
                       : word == MILL__EXPR_OR ? "each side of 'or'"
                                               : "the operand of 'not'";
    MILL_TRY(mill__expr_convert(c, &a, MILL_BOOL, what));
    if (word == MILL__EXPR_NOT) {
        *ret = op1(c, &mill__expr_not, a);
        return MILL_OK;
    }
    MILL_TRY(mill__expr_convert(c, &b, MILL_BOOL, what));
    *ret = op2(c, word == MILL__EXPR_AND ? &mill__expr_and : &mill__expr_or, a, b);
    return MILL_OK;
}

struct mill__expr_operand mill__expr_select(struct mill__expr_compiler *c, struct mill__expr_operand condition,
                                            struct mill__expr_operand a, struct mill__expr_operand b)
{
    uint32_t in[3] = {condition.reg, a.reg, b.reg};
    const struct mill__expr_op *op = mill__expr_select_op(a.type);
    mill_assert(condition.type == MILL_BOOL && a.type == b.type);
    return (struct mill__expr_operand){mill__expr_add_op(&c->builder, op, in, 3, NULL), a.type, false, condition.at};
}
