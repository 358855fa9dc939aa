/* SPDX-License-Identifier: Apache-2.0 */
/* What a tree gives for one row, the slow and plain way; see expr_tree.h. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "expr_tree.h"

struct row {
    const struct mill_batch *batch;
    uint32_t row;
    struct mill_arena *arena;
};

static const struct tree_value null_value;

static struct tree_value evaluate(const struct row *r, const struct tree *t);

static struct tree_value of_bool(bool b)
{
    return (struct tree_value){.valid = true, .at = {.b = b}};
}

static struct tree_value of_float64(double f)
{
    return (struct tree_value){.valid = true, .at = {.f = f}};
}

static struct tree_value of_int64(__int128 i)
{
    return i < INT64_MIN || i > INT64_MAX ? null_value : (struct tree_value){.valid = true, .at = {.i = (int64_t)i}};
}

static struct tree_value of_string(struct mill_slice s)
{
    return (struct tree_value){.valid = true, .at = {.s = s}};
}

/* The value as one of the wanted type. */
static struct tree_value evaluate_as(const struct row *r, const struct tree *t, enum mill_type type)
{
    struct tree_value v = evaluate(r, t);
    return v.valid && t->type == MILL_INT64 && type == MILL_FLOAT64 ? of_float64((double)v.at.i) : v;
}

static enum mill_type common_type(const struct tree *a, const struct tree *b)
{
    return a->type == b->type ? a->type : MILL_FLOAT64;
}

/* ---- operators ---- */

static struct tree_value arithmetic(char sign, enum mill_type type, struct tree_value a, struct tree_value b)
{
    if (type == MILL_FLOAT64) {
        switch (sign) {
        case '+':
            return of_float64(a.at.f + b.at.f);
        case '-':
            return of_float64(a.at.f - b.at.f);
        case '*':
            return of_float64(a.at.f * b.at.f);
        case '/':
            return of_float64(a.at.f / b.at.f);
        default:
            return b.at.f == 0 ? null_value : of_float64(fmod(a.at.f, b.at.f));
        }
    }
    switch (sign) {
    case '+':
        return of_int64((__int128)a.at.i + b.at.i);
    case '-':
        return of_int64((__int128)a.at.i - b.at.i);
    case '*':
        return of_int64((__int128)a.at.i * b.at.i);
    default:
        return b.at.i == 0 ? null_value : of_int64((__int128)a.at.i % b.at.i);
    }
}

static int order(enum mill_type type, struct tree_value a, struct tree_value b)
{
    switch (type) {
    case MILL_BOOL:
        return a.at.b - b.at.b;
    case MILL_FLOAT64:
        return a.at.f < b.at.f ? -1 : a.at.f > b.at.f;
    case MILL_STRING:
        return mill_slice_compare(a.at.s, b.at.s);
    case MILL_INT64:
    case MILL_TIMESTAMP:
    default:
        return a.at.i < b.at.i ? -1 : a.at.i > b.at.i;
    }
}

static struct tree_value relation(const char *sign, enum mill_type type, struct tree_value a, struct tree_value b)
{
    if (!a.valid || !b.valid) {
        return null_value;
    }
    bool unordered = type == MILL_FLOAT64 && (isnan(a.at.f) || isnan(b.at.f));
    int c = order(type, a, b);
    if (unordered) {
        return of_bool(strcmp(sign, "!=") == 0);
    }
    switch (sign[0]) {
    case '=':
        return of_bool(c == 0);
    case '!':
        return of_bool(c != 0);
    case '<':
        return of_bool(c < 0 || (c == 0 && sign[1] == '='));
    default:
        return of_bool(c > 0 || (c == 0 && sign[1] == '='));
    }
}

/* 0, 1, or 2 for null. */
static int truth(struct tree_value v)
{
    return v.valid ? v.at.b : 2;
}

static struct tree_value of_truth(int t)
{
    return t == 2 ? null_value : of_bool(t == 1);
}

static struct tree_value logic(char word, struct tree_value a, struct tree_value b)
{
    static const int and_table[3][3] = {{0, 0, 0}, {0, 1, 2}, {0, 2, 2}};
    static const int or_table[3][3] = {{0, 1, 2}, {1, 1, 1}, {2, 1, 2}};
    return of_truth(word == 'a' ? and_table[truth(a)][truth(b)] : or_table[truth(a)][truth(b)]);
}

static struct tree_value negate(struct tree_value v)
{
    return v.valid ? of_bool(v.at.b == 0) : v;
}

static struct tree_value binary(const struct row *r, const struct tree *t)
{
    const struct tree *x = t->children[0], *y = t->children[1];
    if (t->word[0] == 'a' || t->word[0] == 'o') {
        return logic(t->word[0], evaluate(r, x), evaluate(r, y));
    }
    enum mill_type type = t->word[0] == '/' ? MILL_FLOAT64 : common_type(x, y);
    struct tree_value a = evaluate_as(r, x, type), b = evaluate_as(r, y, type);
    if (strchr("=!<>", t->word[0]) != NULL) {
        return relation(t->word, type, a, b);
    }
    if (!a.valid || !b.valid) {
        return null_value;
    }
    if (type == MILL_TIMESTAMP) {
        return of_float64((double)(a.at.i - b.at.i) / 1e6);
    }
    return arithmetic(t->word[0], type, a, b);
}

static struct tree_value in(const struct row *r, const struct tree *t)
{
    enum mill_type type = t->children[0]->type;
    for (uint32_t k = 1; k < t->child_count; k++) {
        type = t->children[k]->kind == TREE_NULL || t->children[k]->type == type ? type : MILL_FLOAT64;
    }
    struct tree_value a = evaluate_as(r, t->children[0], type), result = of_bool(false);
    for (uint32_t k = 1; k < t->child_count; k++) {
        result = logic('o', result, relation("=", type, a, evaluate_as(r, t->children[k], type)));
    }
    return t->word[0] == 'n' ? negate(result) : result;
}

static struct tree_value between(const struct row *r, const struct tree *t)
{
    const struct tree *x = t->children[0], *low = t->children[1], *high = t->children[2];
    enum mill_type low_type = common_type(x, low), high_type = common_type(x, high);
    struct tree_value a = relation(">=", low_type, evaluate_as(r, x, low_type), evaluate_as(r, low, low_type));
    struct tree_value b = relation("<=", high_type, evaluate_as(r, x, high_type), evaluate_as(r, high, high_type));
    return t->word[0] == 'n' ? negate(logic('a', a, b)) : logic('a', a, b);
}

static struct tree_value choose(const struct row *r, const struct tree *t)
{
    uint32_t k = t->kind == TREE_SWITCH;
    for (; k + 1 < t->child_count; k += 2) {
        bool hit = false;
        if (t->kind == TREE_SWITCH) {
            enum mill_type type = common_type(t->children[0], t->children[k]);
            hit = truth(relation("=", type, evaluate_as(r, t->children[0], type),
                                 evaluate_as(r, t->children[k], type))) == 1;
        } else {
            hit = truth(evaluate(r, t->children[k])) == 1;
        }
        if (hit) {
            return evaluate_as(r, t->children[k + 1], t->type);
        }
    }
    return k < t->child_count ? evaluate_as(r, t->children[k], t->type) : null_value;
}

/* ---- functions ---- */

static double half_even(double x)
{
    double low = floor(x), rest = x - low;
    bool up = rest > 0.5 || (rest == 0.5 && fmod(low, 2) != 0);
    return copysign(up ? low + 1 : low, x);
}

static struct tree_value float64_function(const char *word, double x)
{
    static const struct {
        const char *word;
        double (*function)(double);
    } functions[] = {{"abs", fabs}, {"floor", floor}, {"ceil", ceil},   {"round", half_even}, {"sqrt", sqrt},
                     {"exp", exp},  {"log", log},     {"log1p", log1p}, {"sin", sin},         {"cos", cos}};
    for (size_t k = 0; k < sizeof(functions) / sizeof(functions[0]); k++) {
        if (strcmp(functions[k].word, word) == 0) {
            return of_float64(functions[k].function(x));
        }
    }
    abort();
}

static struct tree_value time_function(const char *word, int64_t us)
{
    time_t seconds = (time_t)(us / 1000000 - (us % 1000000 < 0));
    struct tm tm;
    localtime_r(&seconds, &tm);
    int weekday = (tm.tm_wday + 6) % 7;
    if (strcmp(word, "is_weekend") == 0) {
        return of_bool(weekday >= 5);
    }
    return of_int64(strcmp(word, "year") == 0           ? tm.tm_year + 1900
                    : strcmp(word, "month") == 0        ? tm.tm_mon + 1
                    : strcmp(word, "day_of_month") == 0 ? tm.tm_mday
                    : strcmp(word, "day_of_week") == 0  ? weekday
                    : strcmp(word, "hour") == 0         ? tm.tm_hour
                    : strcmp(word, "minute") == 0       ? tm.tm_min
                                                        : tm.tm_sec);
}

static struct tree_value smaller(enum mill_type type, struct tree_value a, struct tree_value b, int sign)
{
    if (type == MILL_FLOAT64 && (isnan(a.at.f) || isnan(b.at.f))) {
        return of_float64((double)NAN);
    }
    return order(type, b, a) * sign < 0 ? b : a;
}

static struct tree_value hash(enum mill_type type, struct tree_value v)
{
    double f = type == MILL_FLOAT64 && v.at.f == 0 ? 0.0 : isnan(v.at.f) ? (double)NAN : v.at.f;
    switch (type) {
    case MILL_BOOL:
        return of_int64((int64_t)mill_hash64(&v.at.b, 1));
    case MILL_FLOAT64:
        return of_int64((int64_t)mill_hash64(&f, 8));
    case MILL_STRING:
        return of_int64((int64_t)mill_hash64(v.at.s.p, v.at.s.n));
    case MILL_INT64:
    case MILL_TIMESTAMP:
    default:
        return of_int64((int64_t)mill_hash64(&v.at.i, 8));
    }
}

static struct mill_slice as_text(const struct row *r, enum mill_type type, struct tree_value v)
{
    char text[40];
    switch (type) {
    case MILL_BOOL:
        return mill_slice_of(v.at.b != 0 ? "true" : "false");
    case MILL_INT64:
        return mill_slice_of(mill_arena_printf(r->arena, "%" PRId64, v.at.i));
    case MILL_TIMESTAMP:
        return mill_arena_slice(r->arena, (struct mill_slice){text, mill_timestamp_print(v.at.i, text)});
    case MILL_STRING:
    case MILL_FLOAT64:
    default:
        return v.at.s;
    }
}

static struct tree_value change_case(const struct row *r, struct mill_slice s, bool lower)
{
    char *out = mill_arena_strndup(r->arena, s.p, s.n);
    for (size_t k = 0; k < s.n; k++) {
        if (lower && out[k] >= 'A' && out[k] <= 'Z') {
            out[k] = (char)(out[k] - 'A' + 'a');
        } else if (!lower && out[k] >= 'a' && out[k] <= 'z') {
            out[k] = (char)(out[k] - 'a' + 'A');
        }
    }
    return of_string((struct mill_slice){out, s.n});
}

static struct tree_value text_function(const struct row *r, const struct tree *t, struct tree_value a)
{
    if (strcmp(t->word, "length") == 0) {
        int64_t count = 0;
        for (size_t k = 0; k < a.at.s.n; k++) {
            unsigned char byte = (unsigned char)a.at.s.p[k];
            count += byte < 0x80 || byte >= 0xc0;
        }
        return of_int64(count);
    }
    if (strcmp(t->word, "lower") == 0 || strcmp(t->word, "upper") == 0) {
        return change_case(r, a.at.s, t->word[0] == 'l');
    }
    char *out = mill_arena_alloc(r->arena, 65536);
    size_t n = 0;
    for (uint32_t k = 0; k < t->child_count; k++) {
        struct tree_value v = evaluate(r, t->children[k]);
        if (!v.valid) {
            return null_value;
        }
        struct mill_slice s = as_text(r, t->children[k]->type, v);
        mill_assert(n + s.n <= 65536);
        memcpy(out + n, s.p, s.n);
        n += s.n;
    }
    return of_string((struct mill_slice){out, n});
}

static struct tree_value extreme(const struct row *r, const struct tree *t)
{
    struct tree_value result = evaluate_as(r, t->children[0], t->type);
    bool clip = strcmp(t->word, "clip") == 0;
    for (uint32_t k = 1; k < t->child_count && result.valid; k++) {
        struct tree_value v = evaluate_as(r, t->children[k], t->type);
        bool want_max = clip ? k == 1 : strcmp(t->word, "max") == 0;
        result = v.valid ? smaller(t->type, result, v, want_max ? -1 : 1) : null_value;
    }
    return result;
}

static bool is_word(const struct tree *t, const char *words)
{
    const char *found = strstr(words, t->word);
    size_t n = strlen(t->word);
    return found != NULL && (found == words || found[-1] == ' ') && (found[n] == ' ' || found[n] == '\0');
}

/* Of functions that are null where any argument is. */
static struct tree_value strict_call(const struct row *r, const struct tree *t)
{
    enum mill_type type = t->children[0]->type;
    struct tree_value a = evaluate(r, t->children[0]);
    if (is_word(t, "min max clip")) {
        return extreme(r, t);
    }
    if (!a.valid) {
        return null_value;
    }
    if (is_word(t, "safe_div pow")) {
        double x = evaluate_as(r, t->children[0], MILL_FLOAT64).at.f;
        struct tree_value y = evaluate_as(r, t->children[1], MILL_FLOAT64);
        bool bad = !y.valid || (t->word[0] == 's' && y.at.f == 0);
        return bad ? null_value : of_float64(t->word[0] == 's' ? x / y.at.f : pow(x, y.at.f));
    }
    if (is_word(t, "lower upper length string concat")) {
        return text_function(r, t, a);
    }
    if (is_word(t, "hash")) {
        return hash(type, a);
    }
    if (is_word(t, "epoch")) {
        return of_float64((double)a.at.i / 1e6);
    }
    if (type == MILL_TIMESTAMP) {
        return time_function(t->word, a.at.i);
    }
    if (is_word(t, "is_nan")) {
        return of_bool(isnan(a.at.f));
    }
    if (type == MILL_INT64) {
        return is_word(t, "abs") ? of_int64(a.at.i < 0 ? -(__int128)a.at.i : a.at.i) : a;
    }
    return float64_function(t->word, a.at.f);
}

static struct tree_value call(const struct row *r, const struct tree *t)
{
    if (is_word(t, "is_null")) {
        return of_bool(!evaluate(r, t->children[0]).valid);
    }
    if (is_word(t, "if")) {
        bool first = truth(evaluate(r, t->children[0])) == 1;
        return evaluate_as(r, t->children[first ? 1 : 2], t->type);
    }
    if (is_word(t, "coalesce")) {
        struct tree_value v = null_value;
        for (uint32_t k = 0; k < t->child_count && !v.valid; k++) {
            v = evaluate_as(r, t->children[k], t->type);
        }
        return v;
    }
    return strict_call(r, t);
}

/* ---- the walk ---- */

static struct tree_value read_column(const struct row *r, const struct tree *t)
{
    const struct mill_column *c = &r->batch->columns[t->column];
    if (!mill_bit_get(c->valid, r->row)) {
        return null_value;
    }
    switch (t->type) {
    case MILL_BOOL:
        return of_bool(c->at.b[r->row] != 0);
    case MILL_FLOAT64:
        return of_float64(c->at.f[r->row]);
    case MILL_STRING:
        return of_string(c->at.s[r->row]);
    case MILL_INT64:
    case MILL_TIMESTAMP:
    default:
        return of_int64(c->at.i[r->row]);
    }
}

static struct tree_value negative(const struct row *r, const struct tree *t)
{
    struct tree_value v = evaluate(r, t->children[0]);
    if (!v.valid) {
        return v;
    }
    return t->type == MILL_INT64 ? of_int64(-(__int128)v.at.i) : of_float64(-v.at.f);
}

static struct tree_value evaluate(const struct row *r, const struct tree *t)
{
    switch (t->kind) {
    case TREE_LITERAL:
        return t->literal;
    case TREE_NULL:
        return null_value;
    case TREE_COLUMN:
        return read_column(r, t);
    case TREE_BINARY:
        return binary(r, t);
    case TREE_NEGATE:
        return negative(r, t);
    case TREE_NOT:
        return negate(evaluate(r, t->children[0]));
    case TREE_IS_NULL:
        return of_bool(evaluate(r, t->children[0]).valid == (strcmp(t->word, "is not null") == 0));
    case TREE_IN:
        return in(r, t);
    case TREE_BETWEEN:
        return between(r, t);
    case TREE_CASE:
    case TREE_SWITCH:
        return choose(r, t);
    case TREE_CALL:
    default:
        return call(r, t);
    }
}

struct tree_value tree_evaluate(const struct tree *t, const struct mill_batch *batch, uint32_t row,
                                struct mill_arena *arena)
{
    struct row r = {batch, row, arena};
    return evaluate(&r, t);
}
