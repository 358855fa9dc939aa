/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Compiling a view: names, types and expressions. The layout of its state is view_layout.c, its work on batches
 * view_rows.c and table*.c.
 */
#include <stdlib.h>

#include "base/suggest.h"
#include "featurestore/view_internal.h"

/* Names that an expression may use; filled up as features, aggregates and derivations are defined. A name of the view
 * hides a source column of the same name. */
struct names {
    struct mill_expr_name *at;
    uint32_t count;
};

static void add_name(struct names *names, const char *name, enum mill_type type, uint32_t column)
{
    struct mill_slice slice = mill_slice_of(name);
    uint32_t i = 0;

    while (i < names->count && !mill_slice_equal(names->at[i].name, slice)) {
        i++;
    }
    names->at[i] = (struct mill_expr_name){.name = slice, .type = type, .column = column};
    names->count += i == names->count;
}

static int compile_expr(const struct mill_view *view, const struct names *names, const char *name,
                        struct mill_slice text, unsigned line, unsigned col, struct mill_expr **ret_expr,
                        struct mill_error *err)
{
    struct mill_expr_scope scope = {.names = names->at, .name_count = names->count, .zone = view->spec->zone};
    struct mill_error local = {0};

    int rc = mill_expr_compile(text, &scope, ret_expr, &local);
    if (rc < 0 && err != NULL) {
        *err = local;
        if (line > 0) {
            err->col = col + (local.col > 0 ? local.col - 1 : 0);
            err->line = line;
        }
        mill_error_prefix(err, "'%s' of view '%s'", name, view->spec->name);
    }
    return rc;
}

/* Appends an output column; the name must be new. */
static int add_output(struct mill_view *view, const char *name, enum mill_type type, unsigned line, unsigned col,
                      struct mill_error *err)
{
    if (mill_schema_find(&view->schema, mill_slice_of(name)) >= 0) {
        return mill_fail_at(err, MILL_ECONFIG, line, col, "view '%s' defines '%s' twice; hint: give one another name",
                            view->spec->name, name);
    }
    view->schema.fields[view->schema.field_count++] = (struct mill_field){.name = name, .type = type};
    return MILL_OK;
}

static int compile_features(struct mill_view *view, struct names *names, struct mill_error *err)
{
    const struct mill_view_spec *spec = view->spec;

    view->features = mill_arena_zarray(&view->arena, struct mill_expr *, spec->feature_count);
    for (uint32_t i = 0; i < spec->feature_count; i++) {
        const struct mill_feature_spec *f = &spec->features[i];
        MILL_TRY(compile_expr(view, names, f->name, f->expr, f->line, f->col, &view->features[i], err));
        enum mill_type type = mill_expr_type(view->features[i]);
        MILL_TRY(add_output(view, f->name, type, f->line, f->col, err));
        add_name(names, f->name, type, view->source_count + i);
    }
    return MILL_OK;
}

/* Each distinct condition is compiled once. */
static int compile_wheres(struct mill_view *view, const struct names *names, struct mill_error *err)
{
    const struct mill_view_spec *spec = view->spec;

    view->wheres = mill_arena_zarray(&view->arena, struct mill_expr *, spec->aggregate_count);
    view->where_texts = mill_arena_zarray(&view->arena, struct mill_slice, spec->aggregate_count);
    for (uint32_t i = 0; i < spec->aggregate_count; i++) {
        const struct mill_aggregate_spec *a = &spec->aggregates[i];
        uint32_t w = 0;
        while (w < view->where_count && !mill_slice_equal(view->where_texts[w], a->where)) {
            w++;
        }
        if (a->where.n == 0 || w < view->where_count) {
            continue;
        }
        MILL_TRY(compile_expr(view, names, a->name, a->where, a->line, a->col, &view->wheres[w], err));
        view->where_texts[view->where_count++] = a->where;
        if (mill_expr_type(view->wheres[w]) != MILL_BOOL) {
            return mill_fail_at(err, MILL_ECONFIG, a->line, a->col, "'where' of '%s' has type %s, expected bool",
                                a->name, mill_type_name(mill_expr_type(view->wheres[w])));
        }
    }
    return MILL_OK;
}

static int compile_derivations(struct mill_view *view, struct names *names, struct mill_error *err)
{
    const struct mill_view_spec *spec = view->spec;

    view->derivations = mill_arena_zarray(&view->arena, struct mill_expr *, spec->derivation_count);
    for (uint32_t i = 0; i < spec->derivation_count; i++) {
        const struct mill_feature_spec *d = &spec->derivations[i];
        MILL_TRY(compile_expr(view, names, d->name, d->expr, d->line, d->col, &view->derivations[i], err));
        enum mill_type type = mill_expr_type(view->derivations[i]);
        MILL_TRY(add_output(view, d->name, type, d->line, d->col, err));
        add_name(names, d->name, type, view->source_count + view->schema.field_count - 1);
    }
    return MILL_OK;
}

static void mark_columns(const struct mill_view *view, const struct mill_expr *expr, bool *used)
{
    uint32_t count = mill_expr_columns(expr, NULL, 0);
    uint32_t *columns = mill_calloc(count, sizeof(uint32_t));

    mill_expr_columns(expr, columns, count);
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i] < view->source_count) {
            used[columns[i]] = true;
        }
    }
    free(columns);
}

/* Source columns that derivations read become hidden columns: a lookup has no source event at hand. */
static void add_hidden(struct mill_view *view)
{
    bool *used = mill_calloc(view->source_count, sizeof(bool));

    view->output_count = view->schema.field_count;
    for (uint32_t i = 0; i < view->spec->derivation_count; i++) {
        mark_columns(view, view->derivations[i], used);
    }
    view->hidden_source = mill_arena_array(&view->arena, uint32_t, view->source_count);
    for (uint32_t c = 0; c < view->source_count; c++) {
        if (used[c]) {
            view->hidden_source[view->hidden_count++] = c;
            view->schema.fields[view->schema.field_count++] = view->spec->source_schema->fields[c];
        }
    }
    free(used);
}

static int resolve_keys(struct mill_view *view, struct mill_error *err)
{
    const struct mill_entity *entity = &view->spec->entity;

    if (entity->key_count == 0 || entity->key_count > MILL_KEY_PARTS_MAX) {
        return mill_fail(err, MILL_ECONFIG, "entity '%s' has %u join keys, expected 1 to %d", entity->name,
                         (unsigned)entity->key_count, (int)MILL_KEY_PARTS_MAX);
    }
    for (uint32_t k = 0; k < entity->key_count; k++) {
        const struct mill_join_key *key = &entity->keys[k];
        int c = mill_schema_find(view->spec->source_schema, mill_slice_of(key->name));
        if (c < 0) {
            return mill_fail(err, MILL_ECONFIG, "the source of view '%s' has no field '%s', a join key of entity '%s'",
                             view->spec->name, key->name, entity->name);
        }
        enum mill_type type = view->spec->source_schema->fields[c].type;
        if (type != key->type || (type != MILL_STRING && type != MILL_INT64)) {
            return mill_fail(err, MILL_ECONFIG,
                             "join key '%s' of entity '%s' has type %s in the source of view '%s', expected %s",
                             key->name, entity->name, mill_type_name(type), view->spec->name,
                             key->type == MILL_STRING ? "string" : "int64");
        }
        view->key_columns[k] = (uint32_t)c;
    }
    return MILL_OK;
}

static void make_shadow_schema(struct mill_view *view)
{
    uint32_t count = view->source_count + view->schema.field_count;

    view->shadow.fields = mill_arena_array(&view->arena, struct mill_field, count);
    view->shadow.field_count = count;
    for (uint32_t c = 0; c < count; c++) {
        view->shadow.fields[c] =
            c < view->source_count ? view->spec->source_schema->fields[c] : view->schema.fields[c - view->source_count];
    }
}

static int fail_column(const struct mill_view *view, const struct mill_aggregate_spec *a, struct mill_error *err)
{
    uint32_t count = view->source_count + view->spec->feature_count;
    const char **names = mill_calloc(count, sizeof(const char *));

    for (uint32_t i = 0; i < count; i++) {
        names[i] = i < view->source_count ? view->spec->source_schema->fields[i].name
                                          : view->spec->features[i - view->source_count].name;
    }
    const char *nearest = mill_suggest(mill_slice_of(a->column), names, count);
    int rc =
        mill_fail_at(err, MILL_ECONFIG, a->line, a->col,
                     "'%s' of view '%s' is over '%s', expected a field of the source or a feature of the view%s%s%s",
                     a->name, view->spec->name, a->column, nearest == NULL ? "" : "; hint: did you mean '",
                     nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    free(names);
    return rc;
}

static int fail_function(const struct mill_aggregate_spec *a, struct mill_error *err)
{
    size_t count;
    const char *const *names = mill_aggregate_names(&count);
    const char *nearest = mill_suggest(mill_slice_of(a->function), names, count);
    struct mill_buffer list = {0};

    for (size_t i = 0; i < count; i++) {
        mill_buffer_printf(&list, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    int rc = mill_fail_at(err, MILL_ECONFIG, a->line, a->col,
                          "'%s' is not a function of aggregations, expected one of %s%s%s%s", a->function,
                          mill_buffer_cstr(&list), nearest == NULL ? "" : "; hint: did you mean '",
                          nearest == NULL ? "" : nearest, nearest == NULL ? "" : "'?");
    mill_buffer_clear(&list);
    return rc;
}

int mill__view_find_column(const struct mill_view *view, struct mill_slice name)
{
    for (uint32_t i = 0; i < view->spec->feature_count; i++) {
        if (mill_slice_is(name, view->spec->features[i].name)) {
            return (int)(view->source_count + i);
        }
    }
    return mill_schema_find(view->spec->source_schema, name);
}

static enum mill_type column_type(const struct mill_view *view, uint32_t column)
{
    return column < view->source_count ? view->spec->source_schema->fields[column].type
                                       : view->schema.fields[column - view->source_count].type;
}

static int check_aggregate(struct mill_view *view, const struct mill_aggregate_spec *a, struct mill__reading *r,
                           struct names *names, struct mill_error *err)
{
    r->aggregate = mill__aggregate_find(mill_slice_of(a->function));
    if (r->aggregate == NULL) {
        return fail_function(a, err);
    }
    int column = mill__view_find_column(view, mill_slice_of(a->column));
    if (column < 0) {
        return fail_column(view, a, err);
    }
    r->column_type = column_type(view, (uint32_t)column);
    if (r->aggregate->accumulator(r->column_type) == NULL) {
        return mill_fail_at(err, MILL_ECONFIG, a->line, a->col, "'%s' of view '%s': '%s' of a %s is not supported%s",
                            a->name, view->spec->name, a->function, mill_type_name(r->column_type),
                            r->column_type == MILL_STRING ? "; hint: count and time_since_last work on strings"
                                                          : "; hint: min, max, first, last and count do");
    }
    enum mill_type type = r->aggregate->result_type(r->column_type);
    MILL_TRY(add_output(view, a->name, type, a->line, a->col, err));
    r->view_column = view->schema.field_count - 1;
    add_name(names, a->name, type, view->source_count + r->view_column);
    return MILL_OK;
}

static int check_aggregates(struct mill_view *view, struct names *names, struct mill_error *err)
{
    const struct mill_view_spec *spec = view->spec;

    view->reading_count = spec->aggregate_count;
    view->readings = mill_arena_zarray(&view->arena, struct mill__reading, spec->aggregate_count);
    for (uint32_t i = 0; i < spec->aggregate_count; i++) {
        MILL_TRY(check_aggregate(view, &spec->aggregates[i], &view->readings[i], names, err));
    }
    return MILL_OK;
}

static int compile(struct mill_view *view, struct mill_error *err)
{
    const struct mill_view_spec *spec = view->spec;
    uint32_t output_max = spec->feature_count + spec->aggregate_count + spec->derivation_count;
    struct names names = {mill_arena_array(&view->arena, struct mill_expr_name, view->source_count + output_max), 0};

    view->schema.fields = mill_arena_zarray(&view->arena, struct mill_field, view->source_count + output_max);
    for (uint32_t c = 0; c < view->source_count; c++) {
        add_name(&names, spec->source_schema->fields[c].name, spec->source_schema->fields[c].type, c);
    }
    MILL_TRY(resolve_keys(view, err));
    MILL_TRY(compile_features(view, &names, err));
    MILL_TRY(compile_wheres(view, &names, err)); /* before aggregates and derivations get into scope */
    MILL_TRY(check_aggregates(view, &names, err));
    MILL_TRY(compile_derivations(view, &names, err));
    add_hidden(view);
    make_shadow_schema(view);
    MILL_TRY(mill__view_lay_out(view, err));
    view->state_hash = mill__view_hash(view);
    return MILL_OK;
}

int mill_view_compile(const struct mill_view_spec *spec, struct mill_view **ret_view, struct mill_error *err)
{
    struct mill_view *view = mill_calloc(1, sizeof(*view));

    mill_arena_init(&view->arena, 0);
    view->spec = spec;
    view->source_count = spec->source_schema->field_count;
    int rc = compile(view, err);
    if (rc < 0) {
        mill_view_free(view);
        return rc;
    }
    *ret_view = view;
    return MILL_OK;
}

static void free_exprs(struct mill_expr **exprs, uint32_t count)
{
    for (uint32_t i = 0; exprs != NULL && i < count; i++) {
        mill_expr_free(exprs[i]);
    }
}

void mill_view_free(struct mill_view *view)
{
    if (view == NULL) {
        return;
    }
    free_exprs(view->features, view->spec->feature_count);
    free_exprs(view->wheres, view->spec->aggregate_count);
    free_exprs(view->derivations, view->spec->derivation_count);
    mill_arena_clear(&view->arena);
    free(view);
}

const struct mill_view_spec *mill_view_spec_of(const struct mill_view *view)
{
    return view->spec;
}

const struct mill_schema *mill_view_schema(const struct mill_view *view)
{
    return &view->schema;
}

uint32_t mill_view_output_count(const struct mill_view *view)
{
    return view->output_count;
}

uint64_t mill_view_state_hash(const struct mill_view *view)
{
    return view->state_hash;
}

uint32_t mill_view_source_columns(const struct mill_view *view, uint32_t *columns, uint32_t capacity)
{
    const struct mill_view_spec *spec = view->spec;
    bool *used = mill_calloc(view->source_count, sizeof(bool));
    uint32_t count = 0;

    for (uint32_t k = 0; k < spec->entity.key_count; k++) {
        used[view->key_columns[k]] = true;
    }
    for (uint32_t i = 0; i < spec->feature_count; i++) {
        mark_columns(view, view->features[i], used);
    }
    for (uint32_t i = 0; i < view->where_count; i++) {
        mark_columns(view, view->wheres[i], used);
    }
    for (uint32_t i = 0; i < view->lane_count; i++) {
        if (view->lanes[i].column < view->source_count) {
            used[view->lanes[i].column] = true;
        }
    }
    for (uint32_t i = 0; i < view->hidden_count; i++) {
        used[view->hidden_source[i]] = true;
    }
    for (uint32_t c = 0; c < view->source_count; c++) {
        if (used[c]) {
            if (count < capacity) {
                columns[count] = c;
            }
            count++;
        }
    }
    free(used);
    return count;
}
