/* SPDX-License-Identifier: Apache-2.0 */
/* Compiles a project into a plan; see plan_internal.h. Runs once at start, on one thread. */
#include "engine/plan_internal.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/suggest.h"
#include "engine/rekey_internal.h"

/* While a flow is built its stages are named by what they are keyed by; the source's own key comes first. */
struct stage_draft {
    const struct mill_entity *entity;
    uint32_t key_columns[MILL_KEY_PARTS_MAX];
    uint32_t own[256], own_count;
    uint32_t lookup[256], lookup_count;
};

struct flow_draft {
    struct stage_draft *stages;
    uint32_t stage_count;
};

enum { STAGES_MAX = 32 };

static int find_key_columns(const struct mill_schema *schema, const struct mill_entity *entity, uint32_t *ret_columns)
{
    for (uint32_t k = 0; k < entity->key_count; k++) {
        int column = mill_schema_find(schema, mill_slice_of(entity->keys[k].name));
        if (column < 0) {
            return -1;
        }
        ret_columns[k] = (uint32_t)column;
    }
    return 0;
}

/* A topic is keyed by an entity where its `key:` names the entity's join keys in order and its partition count is that
 * of the state. */
static bool is_keyed_by(const struct mill__plan *plan, const int32_t *counts, const struct mill_source_config *source,
                        uint32_t source_index, const struct mill_entity *entity, const uint32_t *key_columns)
{
    if (source->key_count != entity->key_count) {
        return false;
    }
    for (uint32_t k = 0; k < entity->key_count; k++) {
        if (source->key_columns[k] != key_columns[k]) {
            return false;
        }
    }
    return counts == NULL || counts[source_index] == plan->partition_count;
}

static bool same_keys(const struct stage_draft *stage, const struct mill_entity *entity, const uint32_t *key_columns)
{
    return stage->entity != NULL && stage->entity->key_count == entity->key_count &&
           memcmp(stage->key_columns, key_columns, entity->key_count * sizeof(*key_columns)) == 0;
}

/* The stage of the draft that is keyed by the entity; added behind the others where there is none yet. */
static int stage_for(struct mill__plan *plan, const int32_t *counts, struct flow_draft *draft, uint32_t source_index,
                     const struct mill_entity *entity, struct stage_draft **ret_stage, struct mill_error *err)
{
    const struct mill_source_config *source = &plan->project->sources[source_index];
    uint32_t key_columns[MILL_KEY_PARTS_MAX] = {0};

    if (find_key_columns(&source->spec.schema, entity, key_columns) < 0) {
        return mill_fail_at(err, MILL_ECONFIG, source->line, source->col,
                            "source '%s' has not all join keys of entity '%s'", source->spec.name, entity->name);
    }
    if (is_keyed_by(plan, counts, source, source_index, entity, key_columns)) {
        draft->stages[0].entity = entity;
        memcpy(draft->stages[0].key_columns, key_columns, sizeof(key_columns));
        *ret_stage = &draft->stages[0];
        return MILL_OK;
    }
    for (uint32_t s = 1; s < draft->stage_count; s++) {
        if (same_keys(&draft->stages[s], entity, key_columns)) {
            *ret_stage = &draft->stages[s];
            return MILL_OK;
        }
    }
    if (draft->stage_count == STAGES_MAX) {
        return mill_fail_at(err, MILL_ECONFIG, source->line, source->col,
                            "events of source '%s' would be re-keyed more than %d times", source->spec.name,
                            STAGES_MAX - 1);
    }
    struct stage_draft *stage = &draft->stages[draft->stage_count++];
    stage->entity = entity;
    memcpy(stage->key_columns, key_columns, sizeof(key_columns));
    *ret_stage = stage;
    return MILL_OK;
}

static bool contains(const uint32_t *list, uint32_t count, uint32_t value)
{
    for (uint32_t i = 0; i < count; i++) {
        if (list[i] == value) {
            return true;
        }
    }
    return false;
}

static int add_view(struct mill__plan *plan, uint32_t *list, uint32_t *count, uint32_t view, struct mill_error *err)
{
    if (contains(list, *count, view)) {
        return MILL_OK;
    }
    if (*count == 256) {
        const struct mill_view_config *config = &plan->project->views[view];
        return mill_fail_at(err, MILL_ECONFIG, config->line, config->col,
                            "more than 256 views of one entity meet in one source");
    }
    list[(*count)++] = view;
    return MILL_OK;
}

/* Which views are folded and looked up at which stage of the source's flow. */
static int draft_flow(struct mill__plan *plan, const int32_t *counts, uint32_t source, struct flow_draft *draft,
                      struct mill_error *err)
{
    const struct mill_project *project = plan->project;
    struct stage_draft *stage;

    draft->stages = mill_arena_zarray(&plan->arena, struct stage_draft, STAGES_MAX);
    draft->stage_count = 1;
    for (uint32_t v = 0; v < project->view_count; v++) {
        if (project->views[v].source == source) {
            MILL_TRY(stage_for(plan, counts, draft, source, &project->views[v].spec.entity, &stage, err));
            MILL_TRY(add_view(plan, stage->own, &stage->own_count, v, err));
        }
    }
    for (uint32_t m = 0; m < plan->model_count; m++) {
        const struct mill_model_config *model = plan->models[m].config;
        const struct mill_service_config *service = &project->services[model->service];
        for (uint32_t i = 0; model->source == source && i < service->view_count; i++) {
            const struct mill_view_config *view = &project->views[service->views[i]];
            if (view->source != source) {
                MILL_TRY(stage_for(plan, counts, draft, source, &view->spec.entity, &stage, err));
                MILL_TRY(add_view(plan, stage->lookup, &stage->lookup_count, service->views[i], err));
            }
        }
    }
    return MILL_OK;
}

static void place_use(struct mill__plan *plan, struct mill__flow *flow, struct mill__stage *stage, uint32_t view,
                      bool lookup, uint32_t *next_column)
{
    const struct mill_schema *outputs = mill_view_schema(plan->views[view]);
    struct mill__plan_use *use = &stage->uses[stage->use_count++];

    *use = (struct mill__plan_use){.view = view};
    use->use.view = plan->views[view];
    use->use.lookup = lookup;
    use->use.first_column = *next_column;
    memcpy(use->use.key_columns, stage->key_columns, sizeof(stage->key_columns));
    for (uint32_t c = 0; c < outputs->field_count; c++) {
        struct mill_field *field = &flow->schema.fields[(*next_column)++];
        field->name =
            mill_arena_printf(&plan->arena, "%s:%s", plan->project->views[view].spec.name, outputs->fields[c].name);
        field->type = outputs->fields[c].type;
    }
}

static uint32_t count_columns(const struct mill__plan *plan, const struct flow_draft *draft, uint32_t source)
{
    uint32_t count = plan->project->sources[source].spec.schema.field_count;
    for (uint32_t s = 0; s < draft->stage_count; s++) {
        const struct stage_draft *stage = &draft->stages[s];
        for (uint32_t i = 0; i < stage->own_count; i++) {
            count += mill_view_schema(plan->views[stage->own[i]])->field_count;
        }
        for (uint32_t i = 0; i < stage->lookup_count; i++) {
            count += mill_view_schema(plan->views[stage->lookup[i]])->field_count;
        }
    }
    return count;
}

static const char *stage_topic(struct mill__plan *plan, const struct stage_draft *draft, uint32_t index,
                               uint32_t source)
{
    if (index == 0) {
        return plan->project->sources[source].spec.topic;
    }
    uint32_t view = draft->own_count > 0 ? draft->own[0] : draft->lookup[0];
    const char *kind = draft->own_count > 0 ? "rekey" : plan->project->sources[source].spec.name;
    return mill_arena_printf(&plan->arena, "%s.%s.%s%s", plan->project->name, plan->project->views[view].spec.name,
                             kind, draft->own_count > 0 ? "" : ".rekey");
}

static void build_flow(struct mill__plan *plan, uint32_t source, const struct flow_draft *draft)
{
    const struct mill_schema *fields = &plan->project->sources[source].spec.schema;
    struct mill__flow *flow = &plan->flows[source];
    uint32_t next_column = fields->field_count;

    flow->source = source;
    flow->schema.field_count = count_columns(plan, draft, source);
    flow->schema.fields = mill_arena_array(&plan->arena, struct mill_field, flow->schema.field_count);
    memcpy(flow->schema.fields, fields->fields, fields->field_count * sizeof(*fields->fields));
    flow->stage_count = draft->stage_count;
    flow->announces = draft->stage_count > 2;
    flow->stages = mill_arena_zarray(&plan->arena, struct mill__stage, draft->stage_count);
    for (uint32_t s = 0; s < draft->stage_count; s++) {
        const struct stage_draft *from = &draft->stages[s];
        struct mill__stage *stage = &flow->stages[s];
        stage->flow = flow;
        stage->source = source;
        stage->index = stage->upstream_count = s;
        stage->entity = from->entity;
        memcpy(stage->key_columns, from->key_columns, sizeof(stage->key_columns));
        stage->topic = stage_topic(plan, from, s, source);
        stage->uses = mill_arena_array(&plan->arena, struct mill__plan_use, from->own_count + from->lookup_count);
        for (uint32_t i = 0; i < from->own_count; i++) {
            place_use(plan, flow, stage, from->own[i], false, &next_column);
        }
        for (uint32_t i = 0; i < from->lookup_count; i++) {
            place_use(plan, flow, stage, from->lookup[i], true, &next_column);
        }
        plan->topics[plan->topic_count++] = stage;
    }
    mill_assert(next_column == flow->schema.field_count);
}

/* All partitions of all earlier stages: rows may skip stages. */
static void count_upstreams(struct mill__plan *plan, struct mill__flow *flow, const int32_t *counts)
{
    for (uint32_t s = 1; counts != NULL && s < flow->stage_count; s++) {
        flow->stages[s].upstream_partitions = mill_arena_array(&plan->arena, int32_t, s);
        for (uint32_t u = 0; u < s; u++) {
            flow->stages[s].upstream_partitions[u] = u == 0 ? counts[flow->source] : plan->partition_count;
        }
    }
}

const struct mill__plan_use *mill__flow_find_use(const struct mill__flow *flow, uint32_t view, uint32_t *ret_stage)
{
    for (uint32_t s = 0; s < flow->stage_count; s++) {
        for (uint32_t u = 0; u < flow->stages[s].use_count; u++) {
            if (flow->stages[s].uses[u].view == view) {
                *ret_stage = s;
                return &flow->stages[s].uses[u];
            }
        }
    }
    return NULL;
}

static void collect_model_keys(struct mill__plan *plan, struct mill__plan_model *model)
{
    const struct mill_project *project = plan->project;
    const struct mill_service_config *service = &project->services[model->config->service];
    const struct mill_schema *schema = &project->sources[model->config->source].spec.schema;
    uint32_t capacity = service->view_count * MILL_KEY_PARTS_MAX;

    model->key_parts = mill_arena_array(&plan->arena, const struct mill_join_key *, capacity);
    model->key_columns = mill_arena_array(&plan->arena, uint32_t, capacity);
    for (uint32_t i = 0; i < service->view_count; i++) {
        const struct mill_entity *entity = &project->views[service->views[i]].spec.entity;
        for (uint32_t k = 0; k < entity->key_count; k++) {
            int column = mill_schema_find(schema, mill_slice_of(entity->keys[k].name));
            mill_assert(column >= 0);
            if (!contains(model->key_columns, model->key_part_count, (uint32_t)column)) {
                model->key_parts[model->key_part_count] = &entity->keys[k];
                model->key_columns[model->key_part_count++] = (uint32_t)column;
            }
        }
    }
}

static int build_model(struct mill__plan *plan, struct mill__plan_model *model, struct mill_error *err)
{
    const struct mill_service_config *service = &plan->project->services[model->config->service];
    struct mill__flow *flow = &plan->flows[model->config->source];
    const char **names = mill_arena_array(&plan->arena, const char *, service->feature_count);
    uint32_t *columns = mill_arena_array(&plan->arena, uint32_t, service->feature_count);
    enum mill_type *types = mill_arena_array(&plan->arena, enum mill_type, service->feature_count);

    for (uint32_t i = 0; i < service->feature_count; i++) {
        const struct mill_service_feature *feature = &service->features[i];
        uint32_t stage = 0;
        const struct mill__plan_use *use = mill__flow_find_use(flow, feature->view, &stage);
        mill_assert(use != NULL);
        names[i] = feature->name;
        columns[i] = use->use.first_column + feature->column;
        types[i] = flow->schema.fields[columns[i]].type;
        model->stage = stage > model->stage ? stage : model->stage;
    }
    model->input = (struct mill_model_input){.column = columns, .feature_count = service->feature_count};
    collect_model_keys(plan, model);
    if (model->config->file == NULL) {
        return MILL_OK;
    }
    MILL_TRY(mill_model_load(model->config->file, &model->model, err));
    int rc =
        mill_model_bind(model->model, names, types, columns, service->feature_count, &plan->arena, &model->input, err);
    if (rc < 0) {
        mill_error_prefix(err, "model '%s' with feature service '%s'", model->config->name, service->name);
        return rc;
    }
    model->output_count = mill_model_info(model->model)->output_count;
    return MILL_OK;
}

static void attach_models(struct mill__plan *plan)
{
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        struct mill__stage *stage = plan->topics[t];
        stage->models = mill_arena_array(&plan->arena, uint32_t, plan->model_count);
        for (uint32_t m = 0; m < plan->model_count; m++) {
            if (plan->models[m].config->source == stage->source && plan->models[m].stage == stage->index) {
                stage->models[stage->model_count++] = m;
            }
        }
    }
}

static void mark(uint64_t *bits, const uint32_t *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        mill_bit_set(bits, columns[i]);
    }
}

/* Columns that stages from `first` on read: sources of views, keys, model inputs. */
static void mark_needed(const struct mill__plan *plan, const struct mill__flow *flow, uint32_t first, uint64_t *bits)
{
    for (uint32_t s = first; s < flow->stage_count; s++) {
        const struct mill__stage *stage = &flow->stages[s];
        mark(bits, stage->key_columns, stage->entity->key_count);
        for (uint32_t u = 0; u < stage->use_count; u++) {
            uint32_t columns[1024];
            if (!stage->uses[u].use.lookup) {
                uint32_t n = mill_view_source_columns(stage->uses[u].use.view, columns, 1024);
                mark(bits, columns, n < 1024 ? n : 1024);
            }
        }
    }
    for (uint32_t m = 0; m < plan->model_count; m++) {
        const struct mill__plan_model *model = &plan->models[m];
        if (model->config->source == flow->source && model->stage >= first) {
            mark(bits, model->input.column, model->input.feature_count);
            mark(bits, model->key_columns, model->key_part_count);
        }
    }
    for (uint32_t m = 0; m < plan->monitor_count; m++) {
        const struct mill__plan_monitor *monitor = &plan->monitors[m];
        if (monitor->model->config->source != flow->source || monitor->model->stage < first) {
            continue;
        }
        for (uint32_t f = 0; f < monitor->spec.columns.field_count; f++) {
            if (monitor->columns[f] != UINT32_MAX) {
                mill_bit_set(bits, monitor->columns[f]);
            }
        }
        if (monitor->segment_column != UINT32_MAX) {
            mill_bit_set(bits, monitor->segment_column);
        }
        if (monitor->config->has_labels) {
            mill_bit_set(bits, monitor->config->labels.score_field);
        }
    }
}

/* What a re-keyed record of each stage carries: what is needed from there on and known before. */
static void build_carried(struct mill__plan *plan, struct mill__flow *flow)
{
    uint32_t words = mill_bit_words(flow->schema.field_count);
    uint32_t known = plan->project->sources[flow->source].spec.schema.field_count;

    for (uint32_t s = 0; s < flow->stage_count; s++) {
        struct mill__stage *stage = &flow->stages[s];
        uint64_t *needed = mill_arena_zarray(&plan->arena, uint64_t, words);
        if (s > 0) {
            mark_needed(plan, flow, s, needed);
            stage->carried = mill_arena_array(&plan->arena, uint32_t, known);
            for (uint32_t c = 0; c < known; c++) {
                if (mill_bit_get(needed, c)) {
                    stage->carried[stage->carried_count++] = c;
                }
            }
            stage->carried_hash = mill__rekey_layout_hash(&flow->schema, stage);
        }
        for (uint32_t u = 0; u < stage->use_count; u++) {
            known += mill_view_schema(stage->uses[u].use.view)->field_count;
        }
    }
}

static uint32_t group_root(uint32_t *parent, uint32_t i)
{
    while (parent[i] != i) {
        i = parent[i] = parent[parent[i]];
    }
    return i;
}

/* Inputs must be merged by event time only where one looks up what another folds: folds themselves do not depend on the
 * order. */
static void build_merge_groups(struct mill__plan *plan)
{
    uint32_t *parent = mill_arena_array(&plan->arena, uint32_t, plan->topic_count);
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        parent[t] = t;
    }
    for (uint32_t a = 0; a < plan->topic_count; a++) {
        for (uint32_t u = 0; u < plan->topics[a]->use_count; u++) {
            const struct mill__plan_use *lookup = &plan->topics[a]->uses[u];
            uint32_t owner = 0;
            if (!lookup->use.lookup) {
                continue;
            }
            mill__flow_find_use(&plan->flows[plan->project->views[lookup->view].source], lookup->view, &owner);
            for (uint32_t b = 0; b < plan->topic_count; b++) {
                if (plan->topics[b]->source == plan->project->views[lookup->view].source &&
                    plan->topics[b]->index == owner) {
                    parent[group_root(parent, a)] = group_root(parent, b);
                }
            }
        }
    }
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        plan->topics[t]->merge_group = group_root(parent, t);
    }
    plan->merge_group_count = plan->topic_count;
}

static int compile_views(struct mill__plan *plan, struct mill_error *err)
{
    const struct mill_project *project = plan->project;

    plan->views = mill_arena_zarray(&plan->arena, struct mill_view *, project->view_count);
    for (uint32_t v = 0; v < project->view_count; v++) {
        MILL_TRY(mill_view_compile(&project->views[v].spec, &plan->views[v], err));
        uint64_t hashes[2] = {plan->state_hash, mill_view_state_hash(plan->views[v])};
        plan->state_hash = mill_hash64(hashes, sizeof(hashes));
    }
    return MILL_OK;
}

static int list_vectors_head(struct mill__plan *plan, const char *service, struct mill_error *err)
{
    const struct mill_project *project = plan->project;
    const char **names = mill_arena_array(&plan->arena, const char *, project->service_count + 1);

    for (uint32_t s = 0; s < project->service_count; s++) {
        names[s] = project->services[s].name;
        if (strcmp(names[s], service) == 0) {
            struct mill_model_config *config = mill_arena_zarray(&plan->arena, struct mill_model_config, 1);
            *config = (struct mill_model_config){
                .name = service, .service = s, .source = project->views[project->services[s].views[0]].source};
            plan->models = mill_arena_zarray(&plan->arena, struct mill__plan_model, 1);
            plan->models[0].config = config;
            plan->model_count = 1;
            return MILL_OK;
        }
    }
    const char *near = mill_suggest(mill_slice_of(service), names, project->service_count);
    return mill_fail(err, MILL_EUSAGE, "unknown feature service '%s'%s%s%s", service,
                     near != NULL ? "; hint: did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "");
}

static int list_heads(struct mill__plan *plan, const struct mill__plan_options *options, struct mill_error *err)
{
    if (options->vectors_of != NULL) {
        return list_vectors_head(plan, options->vectors_of, err);
    }
    plan->model_count = plan->project->model_count;
    plan->models = mill_arena_zarray(&plan->arena, struct mill__plan_model, plan->model_count);
    for (uint32_t m = 0; m < plan->model_count; m++) {
        plan->models[m].config = &plan->project->models[m];
    }
    return MILL_OK;
}

static int build(struct mill__plan *plan, const struct mill__plan_options *options, struct mill_error *err)
{
    const int32_t *counts = options->partition_counts;
    const struct mill_project *project = plan->project;
    struct flow_draft *drafts = mill_arena_zarray(&plan->arena, struct flow_draft, project->source_count);
    uint32_t stages = 0;

    plan->idle_timeout_us = 5 * 60 * INT64_C(1000000);
    plan->partition_count = project->kafka.internal_partitions;
    for (uint32_t s = 0; project->kafka.internal_partitions == 0 && counts != NULL && s < project->source_count; s++) {
        plan->partition_count = counts[s] > plan->partition_count ? counts[s] : plan->partition_count;
    }
    MILL_TRY(compile_views(plan, err));
    MILL_TRY(list_heads(plan, options, err));
    for (uint32_t s = 0; s < project->source_count; s++) {
        MILL_TRY(draft_flow(plan, counts, s, &drafts[s], err));
        stages += drafts[s].stage_count;
    }
    plan->flows = mill_arena_zarray(&plan->arena, struct mill__flow, project->source_count);
    plan->topics = mill_arena_array(&plan->arena, struct mill__stage *, stages + project->monitor_count);
    for (uint32_t s = 0; s < project->source_count; s++) {
        build_flow(plan, s, &drafts[s]);
        count_upstreams(plan, &plan->flows[s], counts);
    }
    for (uint32_t m = 0; m < plan->model_count; m++) {
        MILL_TRY(build_model(plan, &plan->models[m], err));
    }
    attach_models(plan);
    if (options->vectors_of == NULL) {
        MILL_TRY(mill__plan_build_monitors(plan, counts, err));
    }
    for (uint32_t s = 0; s < project->source_count; s++) {
        build_carried(plan, &plan->flows[s]);
    }
    build_merge_groups(plan);
    return MILL_OK;
}

int mill__plan_open(const struct mill_project *project, const struct mill__plan_options *options,
                    struct mill__plan **ret_plan, struct mill_error *err)
{
    struct mill__plan *plan = mill_calloc(1, sizeof(*plan));

    plan->project = project;
    mill_arena_init(&plan->arena, 0);
    int rc = build(plan, options, err);
    if (rc < 0) {
        mill__plan_close(plan);
        return rc;
    }
    *ret_plan = plan;
    return MILL_OK;
}

void mill__plan_close(struct mill__plan *plan)
{
    if (plan == NULL) {
        return;
    }
    for (uint32_t m = 0; plan->models != NULL && m < plan->model_count; m++) {
        mill_model_free(plan->models[m].model);
    }
    for (uint32_t m = 0; m < plan->monitor_count; m++) {
        mill_profile_free(plan->monitors[m].loaded_profile);
        mill_expr_free(plan->monitors[m].label);
    }
    for (uint32_t v = 0; plan->views != NULL && v < plan->project->view_count; v++) {
        mill_view_free(plan->views[v]);
    }
    mill_arena_clear(&plan->arena);
    free(plan);
}

uint32_t mill__plan_topic_number(const struct mill__plan *plan, const struct mill__stage *stage)
{
    for (uint32_t t = 0; t < plan->topic_count; t++) {
        if (plan->topics[t] == stage) {
            return t;
        }
    }
    mill_assert(!"a stage of the plan is one of its topics");
    return 0;
}
