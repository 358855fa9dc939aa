/* SPDX-License-Identifier: Apache-2.0 */
/* Random trees and their text; see expr_tree.h. */
#include "expr_tree.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint32_t tree_dice(uint64_t *seed, uint32_t n)
{
    return (uint32_t)(next_random(seed) % n);
}

/* ---- values ---- */

static int64_t random_int64(uint64_t *seed)
{
    static const int64_t edges[] = {0, 1, -1, 2, 7, INT64_MAX, INT64_MIN, INT64_MAX - 1, 3037000500, INT64_C(1) << 53};
    switch (tree_dice(seed, 4)) {
    case 0:
        return edges[tree_dice(seed, sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return (int64_t)next_random(seed);
    default:
        return (int64_t)tree_dice(seed, 41) - 20;
    }
}

static double random_float64(uint64_t *seed)
{
    static const double edges[] = {0.0, -0.0, 1.0, 0.5, 1.5, 2.5, -2.5, 1e308, -1e308, 5e-324, 9007199254740993.0,
                                   1e-8};
    switch (tree_dice(seed, 4)) {
    case 0:
        return edges[tree_dice(seed, sizeof(edges) / sizeof(edges[0]))];
    case 1:
        return (double)(int64_t)next_random(seed) / 1e15;
    default:
        return ((double)tree_dice(seed, 81) - 40) / 4;
    }
}

static struct mill_slice random_string(uint64_t *seed)
{
    static const char *const strings[] = {"",
                                          "a",
                                          "A",
                                          "ab",
                                          "it's",
                                          "\"",
                                          "\303\251",
                                          "Z\303\274rich",
                                          "\346\235\261\344\272\254",
                                          "JFK",
                                          "jfk",
                                          "a longer string"};
    return mill_slice_of(strings[tree_dice(seed, sizeof(strings) / sizeof(strings[0]))]);
}

/* From 1902 to 2037, where every zone's rules are in its table. */
static int64_t random_timestamp(uint64_t *seed)
{
    int64_t seconds = INT64_C(-2145916800) + (int64_t)(next_random(seed) % UINT64_C(4260211200));
    int64_t us = tree_dice(seed, 2) == 0 ? 0 : (int64_t)tree_dice(seed, 1000000);
    return (tree_dice(seed, 8) == 0 ? 1357034400 : seconds) * 1000000 + us;
}

struct tree_value tree_random_value(uint64_t *seed, enum mill_type type)
{
    struct tree_value v = {.valid = true, .at = {.i = 0}};
    switch (type) {
    case MILL_BOOL:
        v.at.b = (uint8_t)tree_dice(seed, 2);
        break;
    case MILL_INT64:
        v.at.i = random_int64(seed);
        break;
    case MILL_FLOAT64:
        v.at.f = random_float64(seed);
        break;
    case MILL_STRING:
        v.at.s = random_string(seed);
        break;
    case MILL_TIMESTAMP:
    default:
        v.at.i = random_timestamp(seed);
        break;
    }
    return v;
}

/* ---- trees ---- */

struct maker {
    uint64_t *seed;
    const struct mill_schema *schema;
    struct mill_arena *arena;
};

static struct tree *make(struct maker *m, enum tree_kind kind, enum mill_type type, const char *word, uint32_t children)
{
    struct tree *t = mill_arena_zalloc(m->arena, sizeof(*t));
    t->kind = kind;
    t->type = type;
    t->word = word;
    t->child_count = children;
    t->children = mill_arena_zalloc(m->arena, sizeof(t->children[0]) * (children + 1));
    return t;
}

static const struct tree *grow(struct maker *m, enum mill_type type, unsigned depth);

static const struct tree *column(struct maker *m, enum mill_type type)
{
    struct tree *t = make(m, TREE_COLUMN, type, NULL, 0);
    do {
        t->column = tree_dice(m->seed, m->schema->field_count);
    } while (m->schema->fields[t->column].type != type);
    return t;
}

static const struct tree *literal(struct maker *m, enum mill_type type)
{
    struct tree *t = make(m, TREE_LITERAL, type, NULL, 0);
    t->literal = tree_random_value(m->seed, type);
    return t;
}

/* A timestamp is written as a string, so it cannot stand where nothing asks for a timestamp. */
static const struct tree *leaf(struct maker *m, enum mill_type type)
{
    return type == MILL_TIMESTAMP || tree_dice(m->seed, 3) > 0 ? column(m, type) : literal(m, type);
}

/* A value beside one of the type that stands already: null, a narrower number, a written timestamp will do too. */
static const struct tree *beside(struct maker *m, enum mill_type type, unsigned depth, bool allow_null)
{
    uint32_t dice = tree_dice(m->seed, 10);
    if (dice == 0 && allow_null) {
        return make(m, TREE_NULL, type, NULL, 0);
    }
    if (dice < 4 && type == MILL_FLOAT64) {
        return grow(m, MILL_INT64, depth);
    }
    return dice < 4 && type == MILL_TIMESTAMP ? literal(m, type) : grow(m, type, depth);
}

/* count children of one type from first on; the first has the type exactly. */
static void fill(struct maker *m, struct tree *t, uint32_t first, uint32_t step, enum mill_type type, unsigned depth,
                 bool allow_null)
{
    t->children[first] = grow(m, type, depth);
    for (uint32_t k = first + step; k < t->child_count; k += step) {
        t->children[k] = beside(m, type, depth, allow_null);
    }
}

static enum mill_type any_type(struct maker *m)
{
    return (enum mill_type)tree_dice(m->seed, MILL_TYPE_COUNT);
}

static const struct tree *call(struct maker *m, enum mill_type type, const char *word, enum mill_type argument,
                               uint32_t count, unsigned depth)
{
    struct tree *t = make(m, TREE_CALL, type, word, count);
    fill(m, t, 0, 1, argument, depth, false);
    return t;
}

static const struct tree *binary(struct maker *m, enum mill_type type, const char *word, enum mill_type operands,
                                 unsigned depth)
{
    struct tree *t = make(m, TREE_BINARY, type, word, 2);
    fill(m, t, 0, 1, operands, depth, false);
    return t;
}

/* What every type has: case, if, coalesce. */
static const struct tree *grow_choice(struct maker *m, enum mill_type type, unsigned depth)
{
    struct tree *t;
    enum mill_type subject = any_type(m);
    uint32_t whens = 1 + tree_dice(m->seed, 2), otherwise = tree_dice(m->seed, 2);
    switch (tree_dice(m->seed, 4)) {
    case 0:
        t = make(m, TREE_CASE, type, NULL, 2 * whens);
        fill(m, t, 1, 2, type, depth, true);
        for (uint32_t k = 0; k < whens; k++) {
            t->children[2 * k] = grow(m, MILL_BOOL, depth);
        }
        t->children[t->child_count] = otherwise == 1 ? beside(m, type, depth, true) : NULL;
        t->child_count += otherwise;
        return t;
    case 1:
        t = make(m, TREE_SWITCH, type, NULL, 1 + 2 * whens);
        fill(m, t, 2, 2, type, depth, true);
        t->children[0] = grow(m, subject, depth);
        for (uint32_t k = 0; k < whens; k++) {
            t->children[1 + 2 * k] = beside(m, subject, depth, false);
        }
        t->children[t->child_count] = otherwise == 1 ? beside(m, type, depth, true) : NULL;
        t->child_count += otherwise;
        return t;
    case 2:
        t = make(m, TREE_CALL, type, "if", 3);
        fill(m, t, 1, 1, type, depth, true);
        t->children[0] = grow(m, MILL_BOOL, depth);
        return t;
    default:
        t = make(m, TREE_CALL, type, "coalesce", 1 + tree_dice(m->seed, 3));
        fill(m, t, 0, 1, type, depth, true);
        return t;
    }
}

static const struct tree *grow_relation(struct maker *m, unsigned depth)
{
    static const char *const words[] = {"=", "!=", "<", "<=", ">", ">="};
    enum mill_type type = any_type(m);
    return binary(m, MILL_BOOL, words[tree_dice(m->seed, type == MILL_BOOL ? 2 : 6)], type, depth);
}

static const struct tree *grow_in(struct maker *m, unsigned depth)
{
    enum mill_type type = any_type(m);
    bool constants = tree_dice(m->seed, 2) == 0;
    struct tree *t = make(m, TREE_IN, MILL_BOOL, tree_dice(m->seed, 2) == 0 ? "in" : "not in",
                          2 + tree_dice(m->seed, constants ? 30 : 4));
    t->children[0] = grow(m, type, depth);
    for (uint32_t k = 1; k < t->child_count; k++) {
        t->children[k] = constants ? literal(m, type) : beside(m, type, depth, true);
    }
    return t;
}

static const struct tree *grow_bool(struct maker *m, unsigned depth)
{
    struct tree *t;
    static const enum mill_type orders[] = {MILL_INT64, MILL_FLOAT64, MILL_STRING, MILL_TIMESTAMP};
    switch (tree_dice(m->seed, 10)) {
    case 0:
        return binary(m, MILL_BOOL, "and", MILL_BOOL, depth);
    case 1:
        return binary(m, MILL_BOOL, "or", MILL_BOOL, depth);
    case 2:
        t = make(m, TREE_NOT, MILL_BOOL, NULL, 1);
        t->children[0] = grow(m, MILL_BOOL, depth);
        return t;
    case 3:
        t = make(m, TREE_IS_NULL, MILL_BOOL, tree_dice(m->seed, 2) == 0 ? "is null" : "is not null", 1);
        t->children[0] = grow(m, any_type(m), depth);
        return t;
    case 4:
        return grow_in(m, depth);
    case 5:
        t = make(m, TREE_BETWEEN, MILL_BOOL, tree_dice(m->seed, 2) == 0 ? "between" : "not between", 3);
        fill(m, t, 0, 1, orders[tree_dice(m->seed, 4)], depth, false);
        return t;
    case 6:
        return tree_dice(m->seed, 2) == 0 ? call(m, MILL_BOOL, "is_nan", MILL_FLOAT64, 1, depth)
                                          : call(m, MILL_BOOL, "is_weekend", MILL_TIMESTAMP, 1, depth);
    case 7:
        return call(m, MILL_BOOL, "is_null", any_type(m), 1, depth);
    default:
        return grow_relation(m, depth);
    }
}

static const struct tree *grow_int64(struct maker *m, unsigned depth)
{
    static const char *const signs[] = {"+", "-", "*", "%"};
    static const char *const same[] = {"abs", "floor", "ceil", "round"};
    static const char *const times[] = {"year", "month", "day_of_month", "day_of_week", "hour", "minute", "second"};
    struct tree *t;
    switch (tree_dice(m->seed, 9)) {
    case 0:
        t = make(m, TREE_NEGATE, MILL_INT64, NULL, 1);
        t->children[0] = grow(m, MILL_INT64, depth);
        return t;
    case 1:
        return call(m, MILL_INT64, same[tree_dice(m->seed, 4)], MILL_INT64, 1, depth);
    case 2:
        return call(m, MILL_INT64, times[tree_dice(m->seed, 7)], MILL_TIMESTAMP, 1, depth);
    case 3:
        return call(m, MILL_INT64, "length", MILL_STRING, 1, depth);
    case 4:
        return call(m, MILL_INT64, tree_dice(m->seed, 2) == 0 ? "min" : "max", MILL_INT64, 1 + tree_dice(m->seed, 3),
                    depth);
    case 5:
        return tree_dice(m->seed, 2) == 0 ? call(m, MILL_INT64, "clip", MILL_INT64, 2 + tree_dice(m->seed, 2), depth)
                                          : call(m, MILL_INT64, "hash", any_type(m), 1, depth);
    default:
        return binary(m, MILL_INT64, signs[tree_dice(m->seed, 4)], MILL_INT64, depth);
    }
}

static const struct tree *grow_float64(struct maker *m, unsigned depth)
{
    static const char *const signs[] = {"+", "-", "*", "/", "%"};
    static const char *const unary[] = {"abs", "floor", "ceil", "round", "sqrt", "exp", "log", "log1p", "sin", "cos"};
    struct tree *t;
    switch (tree_dice(m->seed, 10)) {
    case 0:
        t = make(m, TREE_NEGATE, MILL_FLOAT64, NULL, 1);
        t->children[0] = grow(m, MILL_FLOAT64, depth);
        return t;
    case 1:
    case 2:
        return call(m, MILL_FLOAT64, unary[tree_dice(m->seed, 10)], MILL_FLOAT64, 1, depth);
    case 3:
        return call(m, MILL_FLOAT64, tree_dice(m->seed, 2) == 0 ? "safe_div" : "pow", MILL_FLOAT64, 2, depth);
    case 4:
        return call(m, MILL_FLOAT64, tree_dice(m->seed, 2) == 0 ? "min" : "max", MILL_FLOAT64,
                    1 + tree_dice(m->seed, 3), depth);
    case 5:
        return call(m, MILL_FLOAT64, "clip", MILL_FLOAT64, 2 + tree_dice(m->seed, 2), depth);
    case 6:
        return tree_dice(m->seed, 2) == 0 ? call(m, MILL_FLOAT64, "epoch", MILL_TIMESTAMP, 1, depth)
                                          : binary(m, MILL_FLOAT64, "-", MILL_TIMESTAMP, depth);
    case 7:
        return binary(m, MILL_FLOAT64, "/", MILL_INT64, depth);
    default:
        return binary(m, MILL_FLOAT64, signs[tree_dice(m->seed, 5)], MILL_FLOAT64, depth);
    }
}

static const struct tree *grow_string(struct maker *m, unsigned depth)
{
    struct tree *t;
    enum mill_type type = any_type(m);
    switch (tree_dice(m->seed, 4)) {
    case 0:
        return call(m, MILL_STRING, "lower", MILL_STRING, 1, depth);
    case 1:
        return call(m, MILL_STRING, "upper", MILL_STRING, 1, depth);
    case 2:
        type = type == MILL_FLOAT64 ? MILL_INT64 : type; /* numbers as text have their own tests */
        return call(m, MILL_STRING, "string", type, 1, depth);
    default:
        t = make(m, TREE_CALL, MILL_STRING, "concat", 1 + tree_dice(m->seed, 4));
        for (uint32_t k = 0; k < t->child_count; k++) {
            t->children[k] = grow(m, tree_dice(m->seed, 3) == 0 ? MILL_INT64 : MILL_STRING, depth);
        }
        return t;
    }
}

static const struct tree *grow(struct maker *m, enum mill_type type, unsigned depth)
{
    if (depth == 0 || tree_dice(m->seed, 6) == 0) {
        return leaf(m, type);
    }
    if (tree_dice(m->seed, 5) == 0) {
        return grow_choice(m, type, depth - 1);
    }
    switch (type) {
    case MILL_BOOL:
        return grow_bool(m, depth - 1);
    case MILL_INT64:
        return grow_int64(m, depth - 1);
    case MILL_FLOAT64:
        return grow_float64(m, depth - 1);
    case MILL_STRING:
        return grow_string(m, depth - 1);
    case MILL_TIMESTAMP:
    default:
        return call(m, MILL_TIMESTAMP, tree_dice(m->seed, 2) == 0 ? "min" : "max", MILL_TIMESTAMP,
                    1 + tree_dice(m->seed, 3), depth - 1);
    }
}

const struct tree *tree_random(uint64_t *seed, enum mill_type type, unsigned depth, const struct mill_schema *schema,
                               struct mill_arena *arena)
{
    struct maker m = {seed, schema, arena};
    return grow(&m, type, depth);
}

/* ---- text ---- */

struct printer {
    uint64_t *seed;
    const struct mill_schema *schema;
    struct mill_buffer *out;
};

static void print(struct printer *p, const struct tree *t, int level);

static void put(struct printer *p, const char *text)
{
    mill_buffer_add_string(p->out, text);
}

/* or 1, and 2, not 3, relations 4, + - 5, * / % 6, signs 7, the rest 8. */
static int level_of(const struct tree *t)
{
    switch (t->kind) {
    case TREE_NOT:
        return 3;
    case TREE_IS_NULL:
    case TREE_IN:
    case TREE_BETWEEN:
        return 4;
    case TREE_NEGATE:
        return 7;
    case TREE_BINARY:
        break;
    case TREE_LITERAL:
    case TREE_NULL:
    case TREE_COLUMN:
    case TREE_CASE:
    case TREE_SWITCH:
    case TREE_CALL:
    default:
        return 8;
    }
    switch (t->word[0]) {
    case 'o':
        return 1;
    case 'a':
        return 2;
    case '+':
    case '-':
        return 5;
    case '*':
    case '/':
    case '%':
        return 6;
    default:
        return 4;
    }
}

static void print_literal(struct printer *p, const struct tree *t)
{
    char text[40];
    const char quote = tree_dice(p->seed, 2) == 0 ? '\'' : '"';
    switch (t->type) {
    case MILL_BOOL:
        put(p, t->literal.at.b != 0 ? "true" : "FALSE");
        break;
    case MILL_INT64:
        mill_buffer_printf(p->out, "%" PRId64, t->literal.at.i);
        break;
    case MILL_FLOAT64:
        snprintf(text, sizeof(text), "%.17g", t->literal.at.f);
        put(p, text);
        put(p, strpbrk(text, ".e") == NULL ? ".0" : "");
        break;
    case MILL_TIMESTAMP:
        mill_buffer_printf(p->out, "'%.*s'", (int)mill_timestamp_print(t->literal.at.i, text), text);
        break;
    case MILL_STRING:
    default:
        mill_buffer_add_byte(p->out, (unsigned char)quote);
        for (size_t k = 0; k < t->literal.at.s.n; k++) {
            mill_buffer_add_byte(p->out, (unsigned char)t->literal.at.s.p[k]);
            if (t->literal.at.s.p[k] == quote) {
                mill_buffer_add_byte(p->out, (unsigned char)quote);
            }
        }
        mill_buffer_add_byte(p->out, (unsigned char)quote);
        break;
    }
}

static void print_list(struct printer *p, const struct tree *t, uint32_t first)
{
    put(p, "(");
    for (uint32_t k = first; k < t->child_count; k++) {
        put(p, k > first ? ", " : "");
        print(p, t->children[k], 0);
    }
    put(p, ")");
}

static void print_case(struct printer *p, const struct tree *t)
{
    uint32_t k = t->kind == TREE_SWITCH;
    put(p, "case ");
    if (k == 1) {
        print(p, t->children[0], 0);
    }
    for (; k + 1 < t->child_count; k += 2) {
        put(p, " when ");
        print(p, t->children[k], 0);
        put(p, " then ");
        print(p, t->children[k + 1], 0);
    }
    if (k < t->child_count) {
        put(p, " else ");
        print(p, t->children[k], 0);
    }
    put(p, " end");
}

static void print_between(struct printer *p, const struct tree *t)
{
    print(p, t->children[0], 5);
    mill_buffer_printf(p->out, " %s ", t->word);
    print(p, t->children[1], 5);
    put(p, " and ");
    print(p, t->children[2], 5);
}

static void print_binary(struct printer *p, const struct tree *t, int level)
{
    /* Relations have no neighbours of their level; the others go from left to right. */
    print(p, t->children[0], level == 4 ? 5 : level);
    mill_buffer_printf(p->out, tree_dice(p->seed, 2) == 0 || level < 4 ? " %s " : "%s", t->word);
    print(p, t->children[1], level + 1);
}

static void print_inner(struct printer *p, const struct tree *t, int level)
{
    switch (t->kind) {
    case TREE_LITERAL:
        print_literal(p, t);
        break;
    case TREE_NULL:
        put(p, "null");
        break;
    case TREE_COLUMN:
        put(p, p->schema->fields[t->column].name);
        break;
    case TREE_BINARY:
        print_binary(p, t, level);
        break;
    case TREE_NEGATE:
        put(p, "-");
        print(p, t->children[0], 7);
        break;
    case TREE_NOT:
        put(p, "not ");
        print(p, t->children[0], 3);
        break;
    case TREE_IS_NULL:
        print(p, t->children[0], 5);
        mill_buffer_printf(p->out, " %s", t->word);
        break;
    case TREE_IN:
        print(p, t->children[0], 5);
        mill_buffer_printf(p->out, " %s ", t->word);
        print_list(p, t, 1);
        break;
    case TREE_BETWEEN:
        print_between(p, t);
        break;
    case TREE_CASE:
    case TREE_SWITCH:
        print_case(p, t);
        break;
    case TREE_CALL:
    default:
        put(p, t->word);
        print_list(p, t, 0);
        break;
    }
}

/* level: what the place binds; a weaker tree needs brackets. */
static void print(struct printer *p, const struct tree *t, int level)
{
    int own = level_of(t);
    bool brackets = own < level || tree_dice(p->seed, 12) == 0;
    put(p, brackets ? "(" : "");
    print_inner(p, t, own);
    put(p, brackets ? ")" : "");
}

void tree_print(const struct tree *t, uint64_t *seed, const struct mill_schema *schema, struct mill_buffer *out)
{
    struct printer p = {seed, schema, out};
    print(&p, t, 0);
}
