/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions of a view: each is compiled once to check it, with an error at the very character. */
#include "engine/config_view_internal.h"

#include <ctype.h>
#include <string.h>

void mill__scope_add(struct mill__config *c, struct mill__scope *scope, const char *name, enum mill_type type)
{
    for (uint32_t i = 0; i < scope->count; i++) {
        if (mill_slice_is(scope->names[i].name, name)) {
            scope->names[i].type = type; /* the view's own name hides the field's */
            return;
        }
    }
    if (scope->count == scope->capacity) {
        uint32_t capacity = scope->capacity == 0 ? 64 : 2 * scope->capacity;
        struct mill_expr_name *names = mill_arena_array(c->arena, struct mill_expr_name, capacity);
        if (scope->count > 0) {
            memcpy(names, scope->names, scope->count * sizeof(*names));
        }
        scope->names = names;
        scope->capacity = capacity;
    }
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

bool mill__check_expression(struct mill__config *c, const struct mill__text *text, const struct mill_expr_scope *scope,
                            enum mill_type *ret_type)
{
    struct mill_expr *expr;
    struct mill_error err = {0};
    if (text->s == NULL) {
        return false;
    }
    if (mill_expr_compile(mill_slice_of(text->s), scope, &expr, &err) < 0) {
        unsigned line, col;
        mill__node_position(c, text->node, err.col == 0 ? 0 : err.col - 1, &line, &col);
        mill__problem_at(c, line, col, "%s", err.msg);
        return false;
    }
    *ret_type = mill_expr_type(expr);
    mill_expr_free(expr);
    return true;
}

/* The name at the byte of an expression where its error is, if it is one that a later entry of the section defines. */
static const char *find_later(struct mill__config *c, const struct mill__raw_feature *raws, uint32_t from,
                              uint32_t count, size_t offset)
{
    const char *text = raws[from].expr.s;
    size_t n = 0;
    while (offset < strlen(text) && (isalnum((unsigned char)text[offset + n]) || text[offset + n] == '_')) {
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
                          const struct mill_expr_scope *scope, enum mill_type *ret_type)
{
    const struct mill__text *text = &raws[index].expr;
    struct mill_expr *expr;
    struct mill_error err = {0};
    unsigned line, col;

    if (text->s == NULL) {
        return false;
    }
    if (mill_expr_compile(mill_slice_of(text->s), scope, &expr, &err) == MILL_OK) {
        *ret_type = mill_expr_type(expr);
        mill_expr_free(expr);
        return true;
    }
    size_t offset = err.col == 0 ? 0 : err.col - 1;
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
        struct mill_expr_scope names = {scope->names, scope->count, zone};
        enum mill_type type = MILL_FLOAT64;
        bool known = check_feature(c, raws, i, sections->count, &names, &type);
        good = known && good && raws[i].name.s != NULL;
        specs[i].name = raws[i].name.s == NULL ? "" : raws[i].name.s;
        specs[i].expr = mill_slice_of(raws[i].expr.s == NULL ? "" : raws[i].expr.s);
        specs[i].line = raws[i].expr.node == NULL ? 0 : raws[i].expr.node->line;
        specs[i].col = raws[i].expr.node == NULL ? 0 : raws[i].expr.node->col;
        if (known || mill__scope_find(scope, specs[i].name) == NULL) {
            /* A name without a known type would be reported again wherever it is used; a number it mostly is. */
            mill__scope_add(c, scope, specs[i].name, type);
        }
    }
    *ret_specs = specs;
    return good;
}
