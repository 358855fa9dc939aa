/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions: the grammar. Every construct is checked and appended to the program as soon as it is read, so long
 * chains (a + b + c + ...) need no stack; only brackets, calls, cases and signs nest, at most MILL__EXPR_DEPTH_MAX
 * deep.
 *
 *   expression  = operand { operator operand }      by level: or < and < not < relations < + - < * / % < sign
 *   relation    = = == != <> < <= > >= | [not] in (list) | [not] between a and b | is [not] null
 *   primary     = number | string | name | true | false | null | (expression) | name(arguments) | case ... end
 *
 * Called by mill_expr_compile().
 */
#include <stdlib.h>

#include "base/number.h"
#include "base/suggest.h"
#include "featurestore/expr_internal.h"

enum { LEVEL_OR = 1, LEVEL_AND, LEVEL_NOT, LEVEL_RELATION, LEVEL_SUM, LEVEL_PRODUCT, LEVEL_UNARY };

static int parse_level(struct mill__expr_compiler *c, int level, struct mill__expr_operand *ret);

/* ---- helpers ---- */

static int fail_expected(struct mill__expr_compiler *c, const char *expected)
{
    if (c->token == MILL__EXPR_END) {
        return mill__expr_fail(c, c->token_at, "expected %s, found the end of the expression", expected);
    }
    struct mill_slice found = {c->text.p + c->token_at, c->next - c->token_at};
    return mill__expr_fail(c, c->token_at, "expected %s, found '%.*s'", expected, MILL__EXPR_SHOW(found));
}

static int expect(struct mill__expr_compiler *c, enum mill__expr_token token, const char *expected)
{
    if (c->token != token) {
        return fail_expected(c, expected);
    }
    return mill__expr_next(c);
}

static void push(struct mill__expr_compiler *c, struct mill__expr_operand operand)
{
    if (c->pending_count == c->pending_capacity) {
        c->pending_capacity *= 2;
        c->pending = mill_realloc(c->pending, c->pending_capacity * sizeof(c->pending[0]));
    }
    c->pending[c->pending_count++] = operand;
}

static int enter(struct mill__expr_compiler *c)
{
    if (c->depth == MILL__EXPR_DEPTH_MAX) {
        return mill__expr_fail(c, c->token_at, "expression is nested deeper than %d levels", (int)MILL__EXPR_DEPTH_MAX);
    }
    c->depth++;
    return MILL_OK;
}

static int parse_inner(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    MILL_TRY(enter(c));
    MILL_TRY(parse_level(c, LEVEL_OR, ret));
    c->depth--;
    return MILL_OK;
}

/* ---- literals and names ---- */

static void set_value(struct mill__expr_compiler *c, struct mill__expr_value value, struct mill__expr_operand *ret)
{
    ret->reg = mill__expr_add_value(&c->builder, value);
    ret->type = value.type;
}

static int parse_number(struct mill__expr_compiler *c, bool negative, struct mill__expr_operand *ret)
{
    const char *end = c->word.p + c->word.n;
    struct mill__expr_value value = {MILL_INT64, true, {.i = 0}};
    bool is_integer = memchr(c->word.p, '.', c->word.n) == NULL && memchr(c->word.p, 'e', c->word.n) == NULL &&
                      memchr(c->word.p, 'E', c->word.n) == NULL;
    if (is_integer && negative && mill_slice_is(c->word, "9223372036854775808")) {
        value.at.i = INT64_MIN; /* its magnitude alone does not fit */
    } else if (is_integer) {
        if (mill_number_parse_int64(c->word.p, end, &value.at.i) != end) {
            return mill__expr_fail(c, c->token_at, "integer '%.*s' does not fit int64; hint: write it as 1e19",
                                   MILL__EXPR_SHOW(c->word));
        }
        value.at.i = negative ? -value.at.i : value.at.i;
    } else {
        value.type = MILL_FLOAT64;
        if (mill_number_parse_double(c->word.p, end, &value.at.f) != end || __builtin_isinf(value.at.f)) {
            return mill__expr_fail(c, c->token_at, "number '%.*s' does not fit float64", MILL__EXPR_SHOW(c->word));
        }
        value.at.f = negative ? -value.at.f : value.at.f;
    }
    set_value(c, value, ret);
    return mill__expr_next(c);
}

static int fail_unknown_name(struct mill__expr_compiler *c, struct mill_slice name, size_t at)
{
    const struct mill_expr_scope *scope = c->scope;
    if (mill__expr_function_find(name) != NULL) {
        return mill__expr_fail(c, at, "unknown name '%.*s'; hint: the function is written %.*s(...)",
                               MILL__EXPR_SHOW(name), MILL__EXPR_SHOW(name));
    }
    const char **candidates = mill_malloc(sizeof(candidates[0]) * (scope->name_count + 1));
    struct mill_arena arena;
    mill_arena_init(&arena, 0);
    for (uint32_t i = 0; i < scope->name_count; i++) {
        candidates[i] = mill_arena_strndup(&arena, scope->names[i].name.p, scope->names[i].name.n);
    }
    const char *near = mill_suggest(name, candidates, scope->name_count);
    int rc = near != NULL
                 ? mill__expr_fail(c, at, "unknown name '%.*s'; hint: did you mean '%s'?", MILL__EXPR_SHOW(name), near)
                 : mill__expr_fail(c, at, "unknown name '%.*s', expected a field or feature%s", MILL__EXPR_SHOW(name),
                                   scope->name_count == 0 ? " (there are none here)" : "");
    mill_arena_clear(&arena);
    free(candidates);
    return rc;
}

static int resolve_name(struct mill__expr_compiler *c, struct mill_slice name, struct mill__expr_operand *ret)
{
    for (uint32_t i = 0; i < c->scope->name_count; i++) {
        const struct mill_expr_name *known = &c->scope->names[i];
        if (mill_slice_equal(known->name, name)) {
            ret->reg = mill__expr_add_column(&c->builder, known->column, known->type);
            ret->type = known->type;
            return MILL_OK;
        }
    }
    if (mill_slice_is(name, "pi")) {
        set_value(c, (struct mill__expr_value){MILL_FLOAT64, true, {.f = MILL__EXPR_PI}}, ret);
        return MILL_OK;
    }
    return fail_unknown_name(c, name, ret->at);
}

/* ---- calls ---- */

/* The lower= of clip(x, lower=0): returns 1 and the parameter, or 0 where there is none. */
static int parse_parameter_name(struct mill__expr_compiler *c, const struct mill__expr_function *f, int *ret_parameter)
{
    if (c->token != MILL__EXPR_NAME) {
        return 0;
    }
    int parameter = mill__expr_function_parameter(f, c->word);
    if (parameter < 0 || mill__expr_peek(c) != '=') {
        return 0;
    }
    *ret_parameter = parameter;
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(expect(c, MILL__EXPR_EQ, "'='"));
    return 1;
}

/* Puts the argument into its place of the pending stack (base + parameter); places passed over are left out. */
static int place_argument(struct mill__expr_compiler *c, uint32_t base, uint32_t parameter,
                          struct mill__expr_operand argument)
{
    struct mill__expr_operand absent = {MILL__EXPR_ABSENT, MILL_BOOL, false, argument.at};
    while (c->pending_count - base <= parameter) {
        push(c, absent);
    }
    if (c->pending[base + parameter].reg != MILL__EXPR_ABSENT) {
        return mill__expr_fail(c, argument.at, "argument %u is given twice", parameter + 1);
    }
    c->pending[base + parameter] = argument;
    return MILL_OK;
}

static int parse_arguments(struct mill__expr_compiler *c, const struct mill__expr_function *f, uint32_t base)
{
    bool named = false;
    if (c->token == MILL__EXPR_RIGHT) {
        return mill__expr_next(c);
    }
    for (;;) {
        int parameter = (int)(c->pending_count - base);
        size_t at = c->token_at;
        int has_name = parse_parameter_name(c, f, &parameter);
        MILL_TRY(has_name);
        if (named && has_name == 0) {
            return mill__expr_fail(c, at, "an argument without a name cannot follow one with a name");
        }
        named = has_name == 1;
        struct mill__expr_operand argument;
        MILL_TRY(parse_inner(c, &argument));
        MILL_TRY(place_argument(c, base, (uint32_t)parameter, argument));
        if (c->token == MILL__EXPR_RIGHT) {
            return mill__expr_next(c);
        }
        MILL_TRY(expect(c, MILL__EXPR_COMMA, "',' or ')'"));
    }
}

static int parse_call(struct mill__expr_compiler *c, struct mill_slice name, struct mill__expr_operand *ret)
{
    const struct mill__expr_function *f = mill__expr_function_find(name);
    uint32_t base = c->pending_count;
    size_t at = ret->at;
    if (f == NULL) {
        size_t count;
        const char *const *names = mill_expr_function_names(&count);
        const char *near = mill_suggest(name, names, count);
        return near == NULL ? mill__expr_fail(c, at, "unknown function '%.*s'", MILL__EXPR_SHOW(name))
                            : mill__expr_fail(c, at, "unknown function '%.*s'; hint: did you mean '%s'?",
                                              MILL__EXPR_SHOW(name), near);
    }
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(parse_arguments(c, f, base));
    MILL_TRY(mill__expr_function_rule(c, f, at, c->pending + base, c->pending_count - base, ret));
    ret->at = at;
    c->pending_count = base;
    return MILL_OK;
}

static int parse_name(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    struct mill_slice name = c->token == MILL__EXPR_QUOTED_NAME ? mill__expr_unquote(c) : c->word;
    bool quoted = c->token == MILL__EXPR_QUOTED_NAME;
    MILL_TRY(mill__expr_next(c));
    if (c->token == MILL__EXPR_LEFT && !quoted) {
        return parse_call(c, name, ret);
    }
    return resolve_name(c, name, ret);
}

/* ---- case ---- */

/* pending from base: condition, value, condition, value, ...; unless there is an else, null ends it. */
static int finish_case(struct mill__expr_compiler *c, uint32_t base, struct mill__expr_operand otherwise,
                       struct mill__expr_operand *ret)
{
    uint32_t pairs = (c->pending_count - base) / 2;
    uint32_t values = c->pending_count;
    for (uint32_t k = 0; k < pairs; k++) {
        push(c, c->pending[base + 2 * k + 1]);
    }
    push(c, otherwise);
    MILL_TRY(mill__expr_unify(c, c->pending + values, pairs + 1, "branches of 'case'"));
    struct mill__expr_operand result = c->pending[values + pairs];
    for (uint32_t k = pairs; k-- > 0;) {
        result = mill__expr_select(c, c->pending[base + 2 * k], c->pending[values + k], result);
    }
    *ret = result;
    c->pending_count = base;
    return MILL_OK;
}

static int parse_when(struct mill__expr_compiler *c, const struct mill__expr_operand *subject)
{
    struct mill__expr_operand condition, value;
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(parse_inner(c, &condition));
    if (subject != NULL) {
        MILL_TRY(mill__expr_relation_rule(c, MILL__EXPR_EQUAL, *subject, condition, &condition));
    }
    MILL_TRY(mill__expr_convert(c, &condition, MILL_BOOL, "the condition of 'when'"));
    MILL_TRY(expect(c, MILL__EXPR_THEN, "'then'"));
    MILL_TRY(parse_inner(c, &value));
    push(c, condition);
    push(c, value);
    return MILL_OK;
}

static int parse_case(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    uint32_t base = c->pending_count;
    size_t at = c->token_at;
    struct mill__expr_operand subject;
    struct mill__expr_operand otherwise = {0, MILL_BOOL, true, at};
    MILL_TRY(mill__expr_next(c));
    bool has_subject = c->token != MILL__EXPR_WHEN;
    if (has_subject) {
        MILL_TRY(parse_inner(c, &subject));
    }
    if (c->token != MILL__EXPR_WHEN) {
        return fail_expected(c, "'when'");
    }
    while (c->token == MILL__EXPR_WHEN) {
        MILL_TRY(parse_when(c, has_subject ? &subject : NULL));
    }
    if (c->token == MILL__EXPR_ELSE) {
        MILL_TRY(mill__expr_next(c));
        MILL_TRY(parse_inner(c, &otherwise));
    }
    MILL_TRY(expect(c, MILL__EXPR_END_CASE, "'when', 'else' or 'end'"));
    MILL_TRY(finish_case(c, base, otherwise, ret));
    ret->at = at;
    return MILL_OK;
}

/* ---- primary and signs ---- */

static int parse_primary(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    *ret = (struct mill__expr_operand){0, MILL_BOOL, false, c->token_at};
    switch ((int)c->token) {
    case MILL__EXPR_NUMBER:
        return parse_number(c, false, ret);
    case MILL__EXPR_STRING:
        set_value(c, (struct mill__expr_value){MILL_STRING, true, {.s = mill__expr_unquote(c)}}, ret);
        return mill__expr_next(c);
    case MILL__EXPR_TRUE:
    case MILL__EXPR_FALSE:
        set_value(c, (struct mill__expr_value){MILL_BOOL, true, {.b = c->token == MILL__EXPR_TRUE}}, ret);
        return mill__expr_next(c);
    case MILL__EXPR_NULL:
        ret->is_null = true;
        return mill__expr_next(c);
    case MILL__EXPR_NAME:
    case MILL__EXPR_QUOTED_NAME:
        return parse_name(c, ret);
    case MILL__EXPR_CASE:
        return parse_case(c, ret);
    case MILL__EXPR_LEFT:
        MILL_TRY(mill__expr_next(c));
        MILL_TRY(parse_inner(c, ret));
        return expect(c, MILL__EXPR_RIGHT, "')'");
    case MILL__EXPR_NOT:
        return mill__expr_fail(c, c->token_at, "'not' cannot stand here; hint: put it in brackets, as in x = (not y)");
    default:
        return fail_expected(c, "a value");
    }
}

static int parse_unary(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    if (c->token != MILL__EXPR_MINUS && c->token != MILL__EXPR_PLUS) {
        return parse_primary(c, ret);
    }
    bool negative = c->token == MILL__EXPR_MINUS;
    size_t at = c->token_at;
    MILL_TRY(mill__expr_next(c));
    if (c->token == MILL__EXPR_NUMBER) {
        ret->is_null = false;
        MILL_TRY(parse_number(c, negative, ret));
    } else {
        MILL_TRY(enter(c));
        MILL_TRY(parse_unary(c, ret));
        c->depth--;
        MILL_TRY(mill__expr_sign_rule(c, *ret, negative, ret));
    }
    ret->at = at;
    return MILL_OK;
}

static int parse_not(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    size_t at = c->token_at;
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(enter(c));
    MILL_TRY(parse_level(c, LEVEL_NOT, ret));
    c->depth--;
    MILL_TRY(mill__expr_logic_rule(c, MILL__EXPR_NOT, *ret, *ret, ret));
    ret->at = at;
    return MILL_OK;
}

/* ---- relations ---- */

static int parse_in(struct mill__expr_compiler *c, struct mill__expr_operand a, struct mill__expr_operand *ret)
{
    uint32_t base = c->pending_count;
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(expect(c, MILL__EXPR_LEFT, "'(' after 'in'"));
    for (;;) {
        struct mill__expr_operand item;
        MILL_TRY(parse_inner(c, &item));
        push(c, item);
        if (c->token == MILL__EXPR_RIGHT) {
            break;
        }
        MILL_TRY(expect(c, MILL__EXPR_COMMA, "',' or ')'"));
    }
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(mill__expr_in_rule(c, a, c->pending + base, c->pending_count - base, ret));
    c->pending_count = base;
    return MILL_OK;
}

static int parse_between(struct mill__expr_compiler *c, struct mill__expr_operand a, struct mill__expr_operand *ret)
{
    struct mill__expr_operand low, high;
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(parse_level(c, LEVEL_SUM, &low));
    MILL_TRY(expect(c, MILL__EXPR_AND, "'and' of 'between ... and ...'"));
    MILL_TRY(parse_level(c, LEVEL_SUM, &high));
    MILL_TRY(mill__expr_relation_rule(c, MILL__EXPR_GREATER_EQUAL, a, low, &low));
    MILL_TRY(mill__expr_relation_rule(c, MILL__EXPR_LESS_EQUAL, a, high, &high));
    return mill__expr_logic_rule(c, MILL__EXPR_AND, low, high, ret);
}

static int parse_is(struct mill__expr_compiler *c, struct mill__expr_operand a, struct mill__expr_operand *ret)
{
    MILL_TRY(mill__expr_next(c));
    bool negated = c->token == MILL__EXPR_NOT;
    if (negated) {
        MILL_TRY(mill__expr_next(c));
    }
    MILL_TRY(expect(c, MILL__EXPR_NULL, negated ? "'null' after 'is not'" : "'null' or 'not null' after 'is'"));
    *ret = mill__expr_is_null_rule(c, a);
    return negated ? mill__expr_logic_rule(c, MILL__EXPR_NOT, *ret, *ret, ret) : MILL_OK;
}

static bool is_relation(enum mill__expr_token token)
{
    return (token >= MILL__EXPR_EQ && token <= MILL__EXPR_GE) || token == MILL__EXPR_IN || token == MILL__EXPR_IS ||
           token == MILL__EXPR_BETWEEN || token == MILL__EXPR_NOT;
}

static int parse_relation(struct mill__expr_compiler *c, struct mill__expr_operand *a)
{
    enum mill__expr_token token = c->token;
    struct mill__expr_operand left = *a;
    bool negated = token == MILL__EXPR_NOT;
    if (negated) {
        MILL_TRY(mill__expr_next(c));
        token = c->token;
        if (token != MILL__EXPR_IN && token != MILL__EXPR_BETWEEN) {
            return fail_expected(c, "'in' or 'between' after 'not'");
        }
    }
    if (token == MILL__EXPR_IN) {
        MILL_TRY(parse_in(c, left, a));
    } else if (token == MILL__EXPR_BETWEEN) {
        MILL_TRY(parse_between(c, left, a));
    } else if (token == MILL__EXPR_IS) {
        MILL_TRY(parse_is(c, left, a));
    } else {
        struct mill__expr_operand right;
        MILL_TRY(mill__expr_next(c));
        MILL_TRY(parse_level(c, LEVEL_SUM, &right));
        MILL_TRY(mill__expr_relation_rule(c, (enum mill__expr_relation)(token - MILL__EXPR_EQ), left, right, a));
    }
    if (negated) {
        MILL_TRY(mill__expr_logic_rule(c, MILL__EXPR_NOT, *a, *a, a));
    }
    if (is_relation(c->token)) {
        return mill__expr_fail(c, c->token_at, "comparisons cannot be chained; hint: write a < b and b < c");
    }
    return MILL_OK;
}

/* ---- levels ---- */

/* Of an operator between two operands; 0 for any other token. */
static int level_of(enum mill__expr_token token)
{
    if (token == MILL__EXPR_OR) {
        return LEVEL_OR;
    }
    if (token == MILL__EXPR_AND) {
        return LEVEL_AND;
    }
    if (is_relation(token)) {
        return LEVEL_RELATION;
    }
    if (token == MILL__EXPR_PLUS || token == MILL__EXPR_MINUS) {
        return LEVEL_SUM;
    }
    return token >= MILL__EXPR_TIMES && token <= MILL__EXPR_MODULO ? LEVEL_PRODUCT : 0;
}

static int parse_operator(struct mill__expr_compiler *c, int level, struct mill__expr_operand *a)
{
    enum mill__expr_token token = c->token;
    struct mill__expr_operand right;
    if (level == LEVEL_RELATION) {
        return parse_relation(c, a);
    }
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(parse_level(c, level + 1, &right));
    if (level <= LEVEL_AND) {
        return mill__expr_logic_rule(c, token, *a, right, a);
    }
    return mill__expr_arith_rule(c, (enum mill__expr_arith)(token - MILL__EXPR_PLUS), *a, right, a);
}

/* Reads operators of this level and above it. */
static int parse_level(struct mill__expr_compiler *c, int level, struct mill__expr_operand *ret)
{
    struct mill__expr_operand a;
    size_t at = c->token_at;
    if (c->token == MILL__EXPR_NOT && level <= LEVEL_NOT) {
        MILL_TRY(parse_not(c, &a));
    } else {
        MILL_TRY(parse_unary(c, &a));
    }
    for (int found = level_of(c->token); found >= level && found != 0; found = level_of(c->token)) {
        MILL_TRY(parse_operator(c, found, &a));
        a.at = at;
        if (c->builder.full) {
            return mill__expr_fail(c, at, "expression has more than %d operations", (int)MILL__EXPR_STEPS_MAX);
        }
    }
    *ret = a;
    return MILL_OK;
}

int mill__expr_parse(struct mill__expr_compiler *c, struct mill__expr_operand *ret)
{
    MILL_TRY(mill__expr_next(c));
    MILL_TRY(parse_level(c, LEVEL_OR, ret));
    if (c->token != MILL__EXPR_END) {
        return fail_expected(c, "an operator or the end of the expression");
    }
    return MILL_OK;
}
