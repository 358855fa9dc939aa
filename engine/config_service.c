/* SPDX-License-Identifier: Apache-2.0 */
/* Feature services and models of the project file: which output columns of which views a model reads, and whether the
 * model agrees. */
#include "engine/config_internal.h"

#include <math.h>
#include <string.h>

/* ------------------------------------------------------------------------------------------------
 * Services
 * --------------------------------------------------------------------------------------------- */

struct selection {
    struct mill_service_feature *at;
    const struct mill__node **nodes; /* where each was asked for */
    uint32_t count, capacity;
    bool broken;
};

static void select_column(struct mill__config *c, const struct mill_project *project, struct selection *out,
                          const struct mill__node *node, uint32_t view, uint32_t column)
{
    const char *name = mill__view_output_name(&project->views[view], column);
    for (uint32_t i = 0; i < out->count; i++) {
        if (out->at[i].view == view && out->at[i].column == column) {
            mill__problem(c, node, "feature '%s' of view '%s' is in the service already", name,
                          project->views[view].spec.name);
            return;
        }
    }
    if (out->count == MILL__OUTPUTS_MAX) {
        if (!out->broken) {
            mill__problem(c, node, "a service has at most %d features", MILL__OUTPUTS_MAX);
        }
        out->broken = true;
        return;
    }
    if (out->count == out->capacity) {
        uint32_t capacity = out->capacity == 0 ? 32 : 2 * out->capacity;
        struct mill_service_feature *at = mill_arena_array(c->arena, struct mill_service_feature, capacity);
        const struct mill__node **nodes = mill_arena_array(c->arena, const struct mill__node *, capacity);
        if (out->count > 0) {
            memcpy(at, out->at, out->count * sizeof(*at));
            memcpy(nodes, out->nodes, out->count * sizeof(const struct mill__node *));
        }
        out->at = at;
        out->nodes = nodes;
        out->capacity = capacity;
    }
    out->nodes[out->count] = node;
    out->at[out->count++] = (struct mill_service_feature){view, column, name};
}

/* Index of the view, or -1 after a problem. */
static int find_view(struct mill__config *c, const struct mill_project *project, const struct mill__node *node,
                     struct mill_slice name)
{
    const char **names = mill_arena_array(c->arena, const char *, project->view_count);
    for (uint32_t i = 0; i < project->view_count; i++) {
        names[i] = project->views[i].spec.name;
        if (mill_slice_is(name, names[i])) {
            return (int)i;
        }
    }
    const char *word = mill_arena_strndup(c->arena, name.p, name.n);
    mill__problem(c, node, "feature view '%s' is not defined%s", word, mill__hint(c, word, names, project->view_count));
    return -1;
}

static void select_feature(struct mill__config *c, const struct mill_project *project, struct selection *out,
                           const struct mill__node *node, uint32_t view, const char *name)
{
    const struct mill_view_config *config = &project->views[view];
    uint32_t count = mill__view_output_count(config);
    if (count == 0) {
        out->broken = true; /* the view has problems of its own */
        return;
    }
    const char **names = mill_arena_array(c->arena, const char *, count);
    for (uint32_t i = 0; i < count; i++) {
        names[i] = mill__view_output_name(config, i);
        if (strcmp(names[i], name) == 0) {
            select_column(c, project, out, node, view, i);
            return;
        }
    }
    out->broken = true;
    if (!c->broken_views[view]) {
        mill__problem(c, node, "view '%s' has no feature '%s'%s", config->spec.name, name,
                      mill__hint(c, name, names, count));
    }
}

static void select_text(struct mill__config *c, const struct mill_project *project, struct selection *out,
                        const struct mill__node *node)
{
    const char *text, *colon;
    if (!mill__parse_text(c, node, "features", &text)) {
        out->broken = true;
        return;
    }
    colon = strchr(text, ':');
    size_t n = colon == NULL ? strlen(text) : (size_t)(colon - text);
    int view = find_view(c, project, node, (struct mill_slice){text, n});
    if (view < 0) {
        out->broken = true;
    } else if (colon != NULL) {
        select_feature(c, project, out, node, (uint32_t)view, colon + 1);
    } else {
        uint32_t count = mill__view_output_count(&project->views[view]);
        out->broken = out->broken || count == 0;
        for (uint32_t i = 0; i < count; i++) {
            select_column(c, project, out, node, (uint32_t)view, i);
        }
    }
}

static void select_map(struct mill__config *c, const struct mill_project *project, struct selection *out,
                       const struct mill__node *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        const struct mill__node *key = map->pairs[i].key, *list = map->pairs[i].value;
        int view = find_view(c, project, key, key->text);
        if (list->kind != MILL__LIST || list->count == 0) {
            mill__problem(c, list, "expected a list of at least one feature of view '%s', found %s", key->text.p,
                          list->kind == MILL__LIST ? "an empty one" : mill__node_found(c, list));
            view = -1;
        }
        out->broken = out->broken || view < 0;
        for (uint32_t k = 0; view >= 0 && k < list->count; k++) {
            const char *name;
            if (mill__parse_text(c, list->items[k], "features", &name)) {
                select_feature(c, project, out, list->items[k], (uint32_t)view, name);
            } else {
                out->broken = true;
            }
        }
    }
}

/* Where two views of the service share a feature's name, both get their view's name in front. */
static void qualify_names(struct mill__config *c, const struct mill_project *project, struct selection *out)
{
    bool *shared = mill_arena_zarray(c->arena, bool, out->count);
    for (uint32_t i = 0; i < out->count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(out->at[i].name, out->at[k].name) == 0) {
                shared[i] = shared[k] = true;
            }
        }
    }
    for (uint32_t i = 0; i < out->count; i++) {
        if (shared[i]) {
            out->at[i].name =
                mill_arena_printf(c->arena, "%s__%s", project->views[out->at[i].view].spec.name, out->at[i].name);
        }
    }
}

static void list_views(struct mill__config *c, const struct mill_project *project, struct mill_service_config *service)
{
    uint32_t *views = mill_arena_array(c->arena, uint32_t, project->view_count);
    bool *seen = mill_arena_zarray(c->arena, bool, project->view_count);
    for (uint32_t i = 0; i < service->feature_count; i++) {
        uint32_t view = service->features[i].view;
        if (!seen[view]) {
            seen[view] = true;
            views[service->view_count++] = view;
        }
    }
    service->views = views;
}

static void resolve_service(struct mill__config *c, const struct mill__raw_service *raw,
                            const struct mill_project *project, struct mill_service_config *service)
{
    struct selection out = {0};
    service->name = raw->name.s == NULL ? "" : raw->name.s;
    if (raw->node == NULL) {
        return;
    }
    service->line = raw->node->line;
    service->col = raw->node->col;
    if (raw->features == NULL || raw->features->bad) {
        return;
    }
    if (raw->features->kind != MILL__LIST || raw->features->count == 0) {
        mill__problem(c, raw->features,
                      "'features': expected a list of views, \"view:feature\" and {view: [features]}, "
                      "found %s",
                      raw->features->kind == MILL__LIST ? "an empty one" : mill__node_found(c, raw->features));
        return;
    }
    for (uint32_t i = 0; i < raw->features->count; i++) {
        const struct mill__node *item = raw->features->items[i];
        if (item->kind == MILL__MAP) {
            select_map(c, project, &out, item);
        } else {
            select_text(c, project, &out, item);
        }
    }
    if (out.broken) {
        return; /* a part of the list would only lead to more problems in the models */
    }
    qualify_names(c, project, &out);
    service->features = out.at;
    service->feature_count = out.count;
    list_views(c, project, service);
}

void mill__resolve_services(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__raw_service *raws = raw->feature_services.at;
    uint32_t count = raw->feature_services.count;
    struct mill_service_config *services = mill_arena_zarray(c->arena, struct mill_service_config, count);
    const struct mill__text **names = mill_arena_array(c->arena, const struct mill__text *, count);

    for (uint32_t i = 0; i < count; i++) {
        names[i] = &raws[i].name;
        resolve_service(c, &raws[i], project, &services[i]);
    }
    mill__check_unique(c, "feature service", names, count);
    project->services = services;
    project->service_count = count;
}

/* ------------------------------------------------------------------------------------------------
 * Models
 * --------------------------------------------------------------------------------------------- */

static const struct mill_service_config *find_service(struct mill__config *c, const struct mill_project *project,
                                                      const struct mill__text *name, uint32_t *ret_index)
{
    const char **names = mill_arena_array(c->arena, const char *, project->service_count);
    if (name->s == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < project->service_count; i++) {
        names[i] = project->services[i].name;
        if (strcmp(names[i], name->s) == 0) {
            *ret_index = i;
            return &project->services[i];
        }
    }
    mill__problem(c, name->node, "feature service '%s' is not defined%s", name->s,
                  mill__hint(c, name->s, names, project->service_count));
    return NULL;
}

/* The source whose events are scored; false where it is not known. */
static bool resolve_model_source(struct mill__config *c, const struct mill__raw_model *raw,
                                 const struct mill_project *project, const struct mill_service_config *service,
                                 uint32_t *ret_source)
{
    if (raw->source.s == NULL) {
        if (raw->source.node != NULL || service == NULL || service->view_count == 0) {
            return false;
        }
        *ret_source = project->views[service->views[0]].source;
        if (raw->source.setting != NULL) {
            raw->source.setting->value = project->sources[*ret_source].spec.name;
        }
        return true;
    }
    const char **names = mill_arena_array(c->arena, const char *, project->source_count);
    for (uint32_t i = 0; i < project->source_count; i++) {
        names[i] = project->sources[i].spec.name;
        if (strcmp(names[i], raw->source.s) == 0) {
            *ret_source = i;
            return true;
        }
    }
    mill__problem(c, raw->source.node, "source '%s' is not defined%s", raw->source.s,
                  mill__hint(c, raw->source.s, names, project->source_count));
    return false;
}

/* A scored event must hold the join keys of every view that the service looks up. */
static void check_reachable(struct mill__config *c, const struct mill__raw_model *raw,
                            const struct mill_project *project, const struct mill_service_config *service,
                            uint32_t source_index)
{
    const struct mill_source_config *source = &project->sources[source_index];
    for (uint32_t i = 0; i < service->view_count && source->spec.schema.field_count > 0; i++) {
        const struct mill_view_config *view = &project->views[service->views[i]];
        for (uint32_t k = 0; k < view->spec.entity.key_count; k++) {
            const struct mill_join_key *key = &view->spec.entity.keys[k];
            int column = mill_schema_find(&source->spec.schema, mill_slice_of(key->name));
            if (column < 0 || source->spec.schema.fields[column].type != key->type) {
                mill__problem(c, raw->source.node != NULL ? raw->source.node : raw->feature_service.node,
                              "events of source '%s' cannot be joined with view '%s': expected a %s field '%s', found "
                              "%s",
                              source->spec.name, view->spec.name, mill_type_name(key->type), key->name,
                              column < 0 ? "none" : mill_type_name(source->spec.schema.fields[column].type));
            }
        }
    }
}

/* Types of a service's features; NULL where one of its views does not compile, which is reported elsewhere. */
static const enum mill_type *feature_types(struct mill__config *c, const struct mill_project *project,
                                           const struct mill_service_config *service)
{
    enum mill_type *types = mill_arena_array(c->arena, enum mill_type, service->feature_count);
    for (uint32_t v = 0; v < service->view_count; v++) {
        struct mill_view *view = NULL;
        if (mill_view_compile(&project->views[service->views[v]].spec, &view, NULL) < 0) {
            return NULL;
        }
        const struct mill_schema *schema = mill_view_schema(view);
        for (uint32_t i = 0; i < service->feature_count; i++) {
            if (service->features[i].view == service->views[v]) {
                types[i] = schema->fields[service->features[i].column].type;
            }
        }
        mill_view_free(view);
    }
    return types;
}

static void check_model_file(struct mill__config *c, const struct mill__raw_model *raw,
                             const struct mill_project *project, const struct mill_service_config *service,
                             const struct mill_model_config *config, const char *sha256)
{
    struct mill_model *model;
    struct mill_error err;
    if (mill_model_load(config->file, &model, &err) < 0) {
        mill__problem(c, raw->uri.node, "%s", err.msg);
        return;
    }
    const struct mill_model_info *info = mill_model_info(model);
    if (sha256 != NULL && strcmp(info->sha256, sha256) != 0) {
        mill__problem(c, raw->uri.node,
                      "model file '%s' has SHA-256 %s, but its manifest says %s; hint: the file was "
                      "changed after it was registered",
                      config->file, info->sha256, sha256);
    }
    if (service != NULL && service->feature_count > 0) {
        const char **names = mill_arena_array(c->arena, const char *, service->feature_count);
        uint32_t *columns = mill_arena_array(c->arena, uint32_t, service->feature_count);
        struct mill_model_input input;
        for (uint32_t i = 0; i < service->feature_count; i++) {
            names[i] = service->features[i].name;
            columns[i] = i;
        }
        const enum mill_type *types = feature_types(c, project, service);
        if (mill_model_bind(model, names, types, columns, service->feature_count, c->arena, &input, &err) < 0) {
            mill__problem(c, raw->uri.node, "model '%s' does not fit feature service '%s': %s", raw->name.s,
                          service->name, err.msg);
        }
    }
    mill_model_free(model);
}

static void resolve_model(struct mill__config *c, const struct mill__raw_model *raw, const struct mill_project *project,
                          const char *registry_dir, struct mill_model_config *model)
{
    struct mill__model_files files;
    model->name = raw->name.s == NULL ? "" : raw->name.s;
    if (raw->node == NULL) {
        return;
    }
    model->line = raw->node->line;
    model->col = raw->node->col;
    model->threshold = raw->threshold;
    const struct mill_service_config *service = find_service(c, project, &raw->feature_service, &model->service);
    if (resolve_model_source(c, raw, project, service, &model->source) && service != NULL) {
        check_reachable(c, raw, project, service, model->source);
    }
    model->uri = raw->uri.s;
    if (raw->uri.s != NULL && mill__model_resolve(c, &raw->uri, registry_dir, &files)) {
        model->file = files.file;
        model->version = files.version;
        model->profile = files.profile;
        check_model_file(c, raw, project, service, model, files.sha256);
    }
}

void mill__resolve_models(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__raw_model *raws = raw->models.at;
    uint32_t count = raw->models.count;
    struct mill_model_config *models = mill_arena_zarray(c->arena, struct mill_model_config, count);
    const struct mill__text **names = mill_arena_array(c->arena, const struct mill__text *, count);
    const char *registry = raw->model_registry.path.s;
    const char *registry_dir = mill__path_beside(c, registry == NULL ? "models" : registry);

    for (uint32_t i = 0; i < count; i++) {
        names[i] = &raws[i].name;
        resolve_model(c, &raws[i], project, registry_dir, &models[i]);
    }
    mill__check_unique(c, "model", names, count);
    project->models = models;
    project->model_count = count;
}
