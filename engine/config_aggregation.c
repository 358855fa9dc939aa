/* SPDX-License-Identifier: Apache-2.0 */
/* Aggregations of a view: one entry of the file becomes functions x windows aggregates. */
#include "engine/config_view_internal.h"

#include <string.h>

static const char *scope_hint(struct mill__config *c, const struct mill__scope *scope, const char *word)
{
    const char **names = mill_arena_array(c->arena, const char *, scope->count);
    for (uint32_t i = 0; i < scope->count; i++) {
        names[i] = mill_arena_strndup(c->arena, scope->names[i].name.p, scope->names[i].name.n);
    }
    return mill__hint(c, word, names, scope->count);
}

struct window {
    const struct mill__text *text; /* NULL: all time */
    int64_t us;
};

static bool read_semantics(struct mill__config *c, const struct mill__node *node, struct mill_aggregate_spec *spec)
{
    static const char *const words[] = {"exact", "chronon", "feast", "openmldb"};
    static const enum mill_window_semantics values[] = {MILL_WINDOW_EXACT, MILL_WINDOW_CHRONON, MILL_WINDOW_FEAST,
                                                        MILL_WINDOW_OPENMLDB};
    spec->semantics = MILL_WINDOW_DEFAULT;
    if (node == NULL) {
        return true;
    }
    if (node->bad) {
        return false;
    }
    if (node->kind == MILL__MAP && node->count == 1 && mill_slice_is(node->pairs[0].key->text, "hop")) {
        spec->semantics = MILL_WINDOW_HOP;
        return mill__parse_duration(c, node->pairs[0].value, "hop", false, &spec->hop_us);
    }
    for (size_t i = 0; node->kind == MILL__SCALAR && i < 4; i++) {
        if (mill_slice_is(node->text, words[i])) {
            spec->semantics = values[i];
            return true;
        }
    }
    mill__problem(c, node, "'semantics': expected exact, {hop: DURATION}, chronon, feast or openmldb, found %s%s",
                  mill__node_found(c, node),
                  node->kind == MILL__SCALAR ? mill__hint_near(c, node->text.p, words, 4) : "");
    return false;
}

static bool check_function(struct mill__config *c, const struct mill__text *function)
{
    size_t count;
    const char *const *names = mill_aggregate_names(&count);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], function->s) == 0) {
            return true;
        }
    }
    const char *hint = mill__hint_near(c, function->s, names, count);
    if (hint[0] == '\0') {
        struct mill_buffer text = {0};
        for (size_t i = 0; i < count; i++) {
            mill_buffer_printf(&text, "%s%s", i == 0 ? "; hint: known are " : ", ", names[i]);
        }
        hint = mill_arena_strdup(c->arena, mill_buffer_cstr(&text));
        mill_buffer_clear(&text);
    }
    mill__problem(c, function->node, "aggregate function '%s' is not known%s", function->s, hint);
    return false;
}

static void add_aggregate(struct mill__config *c, const struct mill__raw_aggregation *raw,
                          const struct mill_aggregate_spec *model, const struct mill__text *function,
                          const struct window *window, bool doubtful, struct mill__aggregates *out)
{
    const char *prefix = raw->name.s != NULL ? raw->name.s : raw->column.s;
    out->doubtful[out->count] = doubtful;
    struct mill_aggregate_spec *spec = &out->at[out->count++];
    *spec = *model;
    spec->function = function->s;
    spec->window_us = window->us;
    spec->line = function->node->line;
    spec->col = function->node->col;
    spec->name = window->text == NULL ? mill_arena_printf(c->arena, "%s_%s", prefix, function->s)
                                      : mill_arena_printf(c->arena, "%s_%s_%s", prefix, function->s, window->text->s);
}

static uint32_t read_windows(struct mill__config *c, const struct mill__raw_aggregation *raw, struct window *windows)
{
    uint32_t count = 0;
    if (raw->time_window.node == NULL) {
        windows[0] = (struct window){NULL, 0};
        return 1;
    }
    for (uint32_t i = 0; i < raw->time_window.count; i++) {
        windows[count].text = &raw->time_window.at[i];
        count += mill__parse_duration(c, windows[count].text->node, "time_window", false, &windows[count].us);
    }
    return count;
}

/* One aggregation of the file is functions x windows; false after a problem. */
bool mill__resolve_aggregation(struct mill__config *c, const struct mill__raw_aggregation *raw,
                               const struct mill__scope *scope, const struct mill_timezone *zone,
                               struct mill__aggregates *out)
{
    struct mill_aggregate_spec model = {.column = raw->column.s};
    struct window *windows = mill_arena_zarray(c->arena, struct window, raw->time_window.count + 1);
    bool good = read_semantics(c, raw->semantics, &model);

    if (raw->column.s == NULL) {
        return false;
    }
    if (mill__scope_find(scope, raw->column.s) == NULL) {
        mill__problem(c, raw->column.node, "column '%s' is neither a field of the source nor a feature of the view%s",
                      raw->column.s, scope_hint(c, scope, raw->column.s));
        good = false;
    }
    if (raw->where.node != NULL && raw->where.s != NULL) {
        enum mill_type type = MILL_BOOL;
        model.where = mill_slice_of(raw->where.s);
        good = mill__check_expression(c, &raw->where, scope, zone, &type) && good;
        if (type != MILL_BOOL) {
            mill__problem(c, raw->where.node, "'where': expected a condition, found an expression of type %s",
                          mill_type_name(type));
            good = false;
        }
    }
    uint32_t window_count = read_windows(c, raw, windows);
    good = good && window_count == (raw->time_window.node == NULL ? 1 : raw->time_window.count);
    bool all_known = true;
    for (uint32_t i = 0; i < raw->function.count; i++) {
        bool known = check_function(c, &raw->function.at[i]);
        all_known = all_known && known;
        for (uint32_t k = 0; k < window_count; k++) {
            add_aggregate(c, raw, &model, &raw->function.at[i], &windows[k], !good || !known, out);
        }
    }
    return good && all_known;
}
