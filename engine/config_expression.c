/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of a view: each is compiled once to check it, with an error at the very character. */
#include "engine/config_view_internal.h"

#include <ctype.h>
#include <string.h>

void mill__scope_add(struct mill__config *c, struct mill__scope *scope, const char *name, enum mill_type type,
                     bool doubtful)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        if (mill_slice_is(scope->names[i].name, name)) {
            scope->names[i].type = type; /* the view's own name hides the field's */
            scope->doubtful[i] = doubtful;
            return;
        }
    }
    if (scope->count == scope->capacity) {
        uint32_t capacity = scope->capacity == 0 ? 64 : 2 * scope->capacity;
        struct mill_expr_name *names = mill_arena_array(c->arena, struct mill_expr_name, capacity);
        bool *doubtfuls = mill_arena_array(c->arena, bool, capacity);
        if (scope->count > 0) {
            memcpy(names, scope->names, scope->count * sizeof(*names));
            memcpy(doubtfuls, scope->doubtful, scope->count * sizeof(bool));
        }
        scope->names = names;
        scope->doubtful = doubtfuls;
        scope->capacity = capacity;
    }
    scope->doubtful[scope->count] = doubtful;
    scope->names[scope->count] = (struct mill_expr_name){mill_slice_of(name), type, scope->count};
    scope->count++;
}

const struct mill_expr_name *mill__scope_find(const struct mill__scope *scope, const char *name)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        if (mill_slice_is(scope->names[i].name, name)) {
            return &scope->names[i];
        }
    }
    return NULL;
}

static bool is_word(char ch)
{
    return isalnum((unsigned char)ch) || ch == '_';
}

static bool uses_doubtful_name(const struct mill__scope *scope, const char *text)
{
    for (const char *p = text; *p != '\0';) {
        size_t n = 0;
        while (is_word(p[n])) {
            n++;
        }
        for (uint32_t i = 0; n > 0 && i < scope->count; i++) {
            if (scope->doubtful[i] && mill_slice_equal(scope->names[i].name, (struct mill_slice){p, n})) {
                return true;
            }
        }
        p += n == 0 ? 1 : n;
    }
    return false;
}

/* False where the expression is wrong; *ret_offset is where, and err->msg empty where nothing should be said of it. */
static bool compile(const struct mill__text *text, const struct mill__scope *scope, const struct mill_timezone *zone,
                    enum mill_type *ret_type, size_t *ret_offset, struct mill_error *err)
{
    struct mill_expr_scope names = {scope->names, scope->count, zone};
    struct mill_expr *expr;
    if (mill_expr_compile(mill_slice_of(text->s), &names, &expr, err) == MILL_OK) {
        *ret_type = mill_expr_type(expr);
        mill_expr_free(expr);
        return true;
    }
    *ret_offset = err->col == 0 ? 0 : err->col - 1;
    if (uses_doubtful_name(scope, text->s)) {
        err->msg[0] = '\0';
    }
    return false;
}

bool mill__check_expression(struct mill__config *c, const struct mill__text *text, const struct mill__scope *scope,
                            const struct mill_timezone *zone, enum mill_type *ret_type)
{
    struct mill_error err = {0};
    size_t offset;
    unsigned line, col;
    if (text->s == NULL) {
        return false;
    }
    if (compile(text, scope, zone, ret_type, &offset, &err)) {
        return true;
    }
    if (err.msg[0] != '\0') {
        mill__node_position(c, text->node, offset, &line, &col);
        mill__problem_at(c, line, col, "%s", err.msg);
    }
    return false;
}

/* The name at the byte of an expression where its error is, if it is one that a later entry of the section defines. */
static const char *find_later(struct mill__config *c, const struct mill__raw_feature *raws, uint32_t from,
                              uint32_t count, size_t offset)
{
    const char *text = raws[from].expr.s;
    size_t n = 0;
    while (offset < strlen(text) && is_word(text[offset + n])) {
        n++;
    }
    const char *word = mill_arena_strndup(c->arena, text + (n == 0 ? 0 : offset), n);
    for (uint32_t i = from; n > 0 && i < count; i++) {
        if (raws[i].name.s != NULL && strcmp(raws[i].name.s, word) == 0) {
            return word;
        }
    }
    return NULL;
}

static bool check_feature(struct mill__config *c, const struct mill__raw_feature *raws, uint32_t index, uint32_t count,
                          const struct mill__scope *scope, const struct mill_timezone *zone, enum mill_type *ret_type)
{
    const struct mill__text *text = &raws[index].expr;
    struct mill_error err = {0};
    size_t offset;
    unsigned line, col;

    if (text->s == NULL) {
        return false;
    }
    if (compile(text, scope, zone, ret_type, &offset, &err)) {
        return true;
    }
    if (err.msg[0] == '\0') {
        return false;
    }
    const char *later = find_later(c, raws, index, count, offset);
    mill__node_position(c, text->node, offset, &line, &col);
    if (later == NULL) {
        mill__problem_at(c, line, col, "%s", err.msg);
    } else if (strcmp(later, raws[index].name.s == NULL ? "" : raws[index].name.s) == 0) {
        mill__problem_at(c, line, col, "'%s' refers to itself; expected fields and what is defined above it", later);
    } else {
        mill__problem_at(c, line, col, "'%s' is defined further down; expected fields and what is defined above",
                         later);
    }
    return false;
}

/* Expressions see the fields of the source and everything that is defined above them. */
bool mill__resolve_features(struct mill__config *c, const struct mill__sections *sections, struct mill__scope *scope,
                            const struct mill_timezone *zone, const struct mill_feature_spec **ret_specs)
{
    const struct mill__raw_feature *raws = sections->at;
    struct mill_feature_spec *specs = mill_arena_zarray(c->arena, struct mill_feature_spec, sections->count);
    bool good = true;
    for (uint32_t i = 0; i < sections->count; i++) {
        enum mill_type type = MILL_FLOAT64;
        bool known = check_feature(c, raws, i, sections->count, scope, zone, &type);
        good = known && good && raws[i].name.s != NULL;
        specs[i].name = raws[i].name.s == NULL ? "" : raws[i].name.s;
        specs[i].expr = mill_slice_of(raws[i].expr.s == NULL ? "" : raws[i].expr.s);
        specs[i].line = raws[i].expr.node == NULL ? 0 : raws[i].expr.node->line;
        specs[i].col = raws[i].expr.node == NULL ? 0 : raws[i].expr.node->col;
        mill__scope_add(c, scope, specs[i].name, type, !known);
    }
    *ret_specs = specs;
    return good;
}
