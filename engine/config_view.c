/* SPDX-License-Identifier: Apache-2.0 */
/* Feature views of the project file: entities and columns resolved, aggregations spelled out, expressions checked. */
#include "engine/config_view_internal.h"

#include <stdlib.h>
#include <string.h>

void mill__check_unique(struct mill__config *c, const char *what, const struct mill__text *const *names, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i && names[i]->s != NULL; k++) {
            if (names[k]->s != NULL && strcmp(names[i]->s, names[k]->s) == 0) {
                mill__problem(c, names[i]->node, "%s '%s' is defined twice; the first is at %u:%u", what, names[i]->s,
                              names[k]->node->line, names[k]->node->col);
                break;
            }
        }
    }
}

const char *mill__hint_fields(struct mill__config *c, const char *word, const struct mill_schema *schema)
{
    const char **names = mill_arena_array(c->arena, const char *, schema->field_count);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        names[i] = schema->fields[i].name;
    }
    return mill__hint(c, word, names, schema->field_count);
}

/* ------------------------------------------------------------------------------------------------
 * Entity and source
 * --------------------------------------------------------------------------------------------- */

static const struct mill_entity *find_entity(struct mill__config *c, const struct mill_project *project,
                                             const struct mill__text *name, uint32_t *ret_index)
{
    const char **names = mill_arena_array(c->arena, const char *, project->entity_count);
    uint32_t named = 0;
    for (uint32_t i = 0; i < project->entity_count; i++) {
        if (project->entities[i].name == NULL) {
            continue;
        }
        if (strcmp(project->entities[i].name, name->s) == 0) {
            *ret_index = i;
            return &project->entities[i];
        }
        names[named++] = project->entities[i].name;
    }
    mill__problem(c, name->node, "entity '%s' is not defined%s", name->s, mill__hint(c, name->s, names, named));
    return NULL;
}

/* The join keys of all entities one after the other. */
static void resolve_view_entity(struct mill__config *c, const struct mill__raw_view *raw,
                                const struct mill_project *project, struct mill_view_config *view)
{
    struct mill_join_key *keys = mill_arena_zarray(c->arena, struct mill_join_key, MILL_KEY_PARTS_MAX);
    struct mill_entity *joined = &view->spec.entity;
    joined->name = raw->name.s;
    joined->keys = keys;
    for (uint32_t i = 0; i < raw->entities.count; i++) {
        uint32_t index = 0;
        const struct mill_entity *entity = find_entity(c, project, &raw->entities.at[i], &index);
        if (entity == NULL) {
            continue;
        }
        if (i == 0) {
            view->entity = index;
            joined->name = entity->name;
        } else {
            joined->name = mill_arena_printf(c->arena, "%s,%s", joined->name, entity->name);
        }
        for (uint32_t k = 0; k < entity->key_count; k++) {
            if (joined->key_count == MILL_KEY_PARTS_MAX) {
                mill__problem(c, raw->entities.node, "a view has at most %d join keys", MILL_KEY_PARTS_MAX);
                return;
            }
            for (uint32_t p = 0; p < joined->key_count; p++) {
                if (strcmp(keys[p].name, entity->keys[k].name) == 0) {
                    mill__problem(c, raw->entities.at[i].node, "join key '%s' of entity '%s' is there already",
                                  keys[p].name, entity->name);
                }
            }
            keys[joined->key_count++] = entity->keys[k];
        }
    }
}

const struct mill_source_config *mill__find_source(struct mill__config *c, const struct mill_project *project,
                                                   const struct mill__text *name, uint32_t *ret_index)
{
    const char **names = mill_arena_array(c->arena, const char *, project->source_count);
    for (uint32_t i = 0; i < project->source_count; i++) {
        if (strcmp(project->sources[i].spec.name, name->s) == 0) {
            *ret_index = i;
            return &project->sources[i];
        }
        names[i] = project->sources[i].spec.name;
    }
    mill__problem(c, name->node, "source '%s' is not defined%s", name->s,
                  mill__hint(c, name->s, names, project->source_count));
    return NULL;
}

static bool check_join_keys(struct mill__config *c, const struct mill__raw_view *raw,
                            const struct mill_source_config *source, const struct mill_view_config *view)
{
    bool good = true;
    for (uint32_t i = 0; i < view->spec.entity.key_count; i++) {
        const struct mill_join_key *key = &view->spec.entity.keys[i];
        int column = mill_schema_find(&source->spec.schema, mill_slice_of(key->name));
        bool known = column >= 0;
        if (!known) {
            mill__problem(c, raw->entities.node, "source '%s' has no field '%s', a join key of entity '%s'%s",
                          source->spec.name, key->name, view->spec.entity.name,
                          mill__hint_fields(c, key->name, &source->spec.schema));
        } else if (source->spec.schema.fields[column].type != key->type) {
            mill__problem(c, raw->entities.node,
                          "join key '%s' is %s but the field of source '%s' is of type %s; expected the same type",
                          key->name, key->type == MILL_STRING ? "STRING" : "INT64", source->spec.name,
                          mill_type_name(source->spec.schema.fields[column].type));
        }
        good = good && known && source->spec.schema.fields[column].type == key->type;
    }
    return good;
}

/* ------------------------------------------------------------------------------------------------
 * The view
 * --------------------------------------------------------------------------------------------- */

uint32_t mill__view_output_count(const struct mill_view_config *view)
{
    return view->spec.feature_count + view->spec.aggregate_count + view->spec.derivation_count;
}

const char *mill__view_output_name(const struct mill_view_config *view, uint32_t column)
{
    const struct mill_view_spec *spec = &view->spec;
    if (column < spec->feature_count) {
        return spec->features[column].name;
    }
    column -= spec->feature_count;
    return column < spec->aggregate_count ? spec->aggregates[column].name
                                          : spec->derivations[column - spec->aggregate_count].name;
}

struct output_name {
    const char *name;
    uint32_t column;
};

static int compare_output_names(const void *a, const void *b)
{
    const struct output_name *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c != 0 ? c : (x->column > y->column) - (x->column < y->column);
}

static void report_collision(struct mill__config *c, const struct mill__raw_view *raw,
                             const struct mill_view_config *view, uint32_t column)
{
    const struct mill_view_spec *spec = &view->spec;
    const char *name = mill__view_output_name(view, column);
    if (column < spec->feature_count) {
        const struct mill__raw_feature *features = raw->features.at;
        mill__problem(c, features[column].name.node, "feature '%s' is defined twice", name);
        return;
    }
    column -= spec->feature_count;
    if (column < spec->aggregate_count) {
        mill__problem_at(c, spec->aggregates[column].line, spec->aggregates[column].col,
                         "aggregate '%s' has a name that the view has already; hint: 'name:' gives the aggregation "
                         "another beginning",
                         name);
        return;
    }
    const struct mill__raw_feature *derivations = raw->derivations.at;
    mill__problem(c, derivations[column - spec->aggregate_count].name.node,
                  "derivation '%s' has a name that the view has already", name);
}

static bool check_collisions(struct mill__config *c, const struct mill__raw_view *raw,
                             const struct mill_view_config *view)
{
    uint32_t count = mill__view_output_count(view);
    struct output_name *names = mill_arena_array(c->arena, struct output_name, count);
    bool good = true;
    for (uint32_t i = 0; i < count; i++) {
        names[i] = (struct output_name){mill__view_output_name(view, i), i};
    }
    qsort(names, count, sizeof(*names), compare_output_names);
    for (uint32_t i = 1; i < count; i++) {
        if (names[i].name[0] != '\0' && strcmp(names[i - 1].name, names[i].name) == 0) {
            report_collision(c, raw, view, names[i].column);
            good = false;
        }
    }
    return good;
}

/* What the tables and the checks above cannot see (which function takes which type, which hop suits which window) is
 * the compiler's to say. Where scope is given it gets their types. */
static bool compile_view(struct mill__config *c, const struct mill__raw_view *raw, const struct mill_view_spec *spec,
                         struct mill__scope *scope)
{
    struct mill_view *view;
    struct mill_error err = {0};
    if (mill_view_compile(spec, &view, &err) < 0) {
        if (err.line > 0) {
            mill__problem_at(c, err.line, err.col, "%s", err.msg);
        } else {
            mill__problem(c, raw->node, "%s", err.msg);
        }
        return false;
    }
    const struct mill_schema *schema = mill_view_schema(view);
    for (uint32_t i = 0; scope != NULL && i < mill_view_output_count(view); i++) {
        mill__scope_add(c, scope, mill_arena_strdup(c->arena, schema->fields[i].name), schema->fields[i].type, false);
    }
    mill_view_free(view);
    return true;
}

static void resolve_zone(struct mill__config *c, const struct mill__raw_view *raw, struct mill_view_config *view)
{
    struct mill_timezone *zone;
    struct mill_error err;
    if (raw->tz.s == NULL || strcmp(raw->tz.s, "UTC") == 0) {
        return;
    }
    if (mill_timezone_open(raw->tz.s, &zone, &err) < 0) {
        mill__problem(c, raw->tz.node, "%s", err.msg);
        return;
    }
    view->spec.zone = zone;
    c->zones[c->zone_count++] = zone;
}

static uint32_t count_aggregates(const struct mill__raw_view *raw)
{
    const struct mill__raw_aggregation *aggregations = raw->aggregations.at;
    uint64_t count = 0;
    for (uint32_t i = 0; i < raw->aggregations.count; i++) {
        uint64_t windows = aggregations[i].time_window.count == 0 ? 1 : aggregations[i].time_window.count;
        count += windows * aggregations[i].function.count;
    }
    return count > MILL__OUTPUTS_MAX ? MILL__OUTPUTS_MAX + 1 : (uint32_t)count;
}

/* Their types are not known; what follows from that is not reported. */
static void add_doubtful_aggregates(struct mill__config *c, struct mill__scope *scope,
                                    const struct mill__aggregates *aggregates)
{
    for (uint32_t i = 0; i < aggregates->count; i++) {
        mill__scope_add(c, scope, aggregates->at[i].name, MILL_FLOAT64, true);
    }
}

static bool is_feature(const struct mill_view_spec *spec, const char *name)
{
    for (uint32_t i = 0; i < spec->feature_count; i++) {
        if (strcmp(spec->features[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* The compiler stops at the first problem of a view. Where there is one, each aggregate is compiled by itself, so that
 * this run names all of them. */
static void check_each_aggregate(struct mill__config *c, const struct mill__raw_view *raw,
                                 const struct mill_view_spec *spec, const struct mill__aggregates *aggregates)
{
    enum { WORK_MAX = 100000 };
    struct mill_view_spec one = *spec;
    struct mill_view *view;
    one.aggregate_count = 0;
    one.derivation_count = 0;
    if ((uint64_t)aggregates->count * (spec->feature_count + 1) > WORK_MAX ||
        mill_view_compile(&one, &view, NULL) < 0) {
        return;
    }
    mill_view_free(view);
    one.aggregate_count = 1;
    for (uint32_t i = 0; i < aggregates->count; i++) {
        one.aggregates = &aggregates->at[i];
        if (!aggregates->doubtful[i] && !is_feature(spec, one.aggregates->name)) {
            compile_view(c, raw, &one, NULL);
        }
    }
}

static void resolve_columns(struct mill__config *c, const struct mill__raw_view *raw,
                            const struct mill_source_config *source, struct mill_view_config *view, bool keyed)
{
    struct mill_view_spec *spec = &view->spec;
    struct mill__scope scope = {0};
    uint32_t aggregate_count = count_aggregates(raw);
    struct mill__aggregates out = {0};

    if (aggregate_count + raw->features.count + raw->derivations.count > MILL__OUTPUTS_MAX) {
        mill__problem(c, raw->node, "a view has at most %d features", MILL__OUTPUTS_MAX);
        return;
    }
    for (uint32_t i = 0; i < source->spec.schema.field_count; i++) {
        mill__scope_add(c, &scope, source->spec.schema.fields[i].name, source->spec.schema.fields[i].type, false);
    }
    bool good = mill__resolve_features(c, &raw->features, &scope, spec->zone, &spec->features);
    spec->feature_count = raw->features.count;
    bool features_good = good;
    out.at = mill_arena_zarray(c->arena, struct mill_aggregate_spec, aggregate_count);
    out.doubtful = mill_arena_zarray(c->arena, bool, aggregate_count);
    const struct mill__raw_aggregation *aggregations = raw->aggregations.at;
    for (uint32_t i = 0; i < raw->aggregations.count; i++) {
        good = mill__resolve_aggregation(c, &aggregations[i], &scope, spec->zone, &out) && good;
    }
    spec->aggregates = out.at;
    spec->aggregate_count = out.count;
    if (mill__view_output_count(view) + raw->derivations.count == 0) {
        mill__problem(c, raw->node, "view '%s' has no features; expected features, aggregations or derivations",
                      spec->name);
        return;
    }
    bool unique = check_collisions(c, raw, view);
    bool compiled = good && unique && keyed && compile_view(c, raw, spec, &scope);
    if (!compiled) {
        add_doubtful_aggregates(c, &scope, &out);
        if (features_good && keyed) {
            check_each_aggregate(c, raw, spec, &out);
        }
    }
    good = mill__resolve_features(c, &raw->derivations, &scope, spec->zone, &spec->derivations);
    spec->derivation_count = raw->derivations.count;
    unique = check_collisions(c, raw, view);
    if (compiled && good && unique && spec->derivation_count > 0) {
        compile_view(c, raw, spec, NULL);
    }
}

static void resolve_parts(struct mill__config *c, const struct mill__raw_view *raw, const struct mill_project *project,
                          struct mill_view_config *view)
{
    view->spec.name = raw->name.s == NULL ? "" : raw->name.s;
    if (raw->node == NULL) {
        return;
    }
    view->line = raw->node->line;
    view->col = raw->node->col;
    view->online = raw->online;
    view->topic = raw->topic.s;
    view->spec.ttl_us = raw->ttl_us;
    view->spec.events_max = (uint32_t)raw->max_events;
    for (uint32_t i = 0; i < project->source_count; i++) {
        int64_t lateness = project->sources[i].allowed_lateness_us;
        view->spec.lateness_us = lateness > view->spec.lateness_us ? lateness : view->spec.lateness_us;
    }
    resolve_zone(c, raw, view);
    resolve_view_entity(c, raw, project, view);
    const struct mill_source_config *source =
        raw->source.s == NULL ? NULL : mill__find_source(c, project, &raw->source, &view->source);
    if (source == NULL || source->spec.schema.field_count == 0) {
        return; /* the source's own problems come first */
    }
    view->spec.source_schema = &source->spec.schema;
    bool keyed = view->spec.entity.key_count > 0 && check_join_keys(c, raw, source, view);
    resolve_columns(c, raw, source, view, keyed);
}

static void resolve_view(struct mill__config *c, const struct mill__raw_view *raw, const struct mill_project *project,
                         struct mill_view_config *view, bool *ret_broken)
{
    uint32_t errors = c->problems->error_count;
    resolve_parts(c, raw, project, view);
    *ret_broken = c->problems->error_count > errors;
}

void mill__resolve_views(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__raw_view *raws = raw->feature_views.at;
    uint32_t count = raw->feature_views.count;
    struct mill_view_config *views = mill_arena_zarray(c->arena, struct mill_view_config, count);
    const struct mill__text **names = mill_arena_array(c->arena, const struct mill__text *, count);

    c->broken_views = mill_arena_zarray(c->arena, bool, count);
    c->zones = mill_arena_zarray(c->arena, struct mill_timezone *, count);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = &raws[i].name;
        resolve_view(c, &raws[i], project, &views[i], &c->broken_views[i]);
    }
    mill__check_unique(c, "feature view", names, count);
    project->views = views;
    project->view_count = count;
}
