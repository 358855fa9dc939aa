/* SPDX-License-Identifier: Apache-2.0 */
/* Monitors of the plan: the columns of the batch that they watch, their profiles, and who contributes. Runs once at
 * start, on one thread. */
#include "base/hash.h"
#include "engine/plan_internal.h"

/* The column of the batch, and its type. The score is none of the batch's. */
static uint32_t find_column(const struct mill__plan *plan, const struct mill__plan_monitor *monitor,
                            const struct mill_monitor_column *column, enum mill_type *ret_type)
{
    const struct mill_model_config *model = monitor->model->config;
    const struct mill__flow *flow = &plan->flows[model->source];
    uint32_t at = column->index, stage;

    *ret_type = MILL_FLOAT64;
    if (column->kind == MILL_MONITOR_SCORE) {
        return UINT32_MAX;
    }
    if (column->kind == MILL_MONITOR_INPUT) {
        const struct mill_service_feature *feature = &plan->project->services[model->service].features[column->index];
        const struct mill__plan_use *use = mill__flow_find_use(flow, feature->view, &stage);
        mill_assert(use != NULL);
        at = use->use.first_column + feature->column;
    }
    *ret_type = flow->schema.fields[at].type;
    return at;
}

static void build_columns(struct mill__plan *plan, struct mill__plan_monitor *monitor)
{
    const struct mill_monitor_config *config = monitor->config;
    struct mill_field *fields = mill_arena_array(&plan->arena, struct mill_field, config->column_count);
    bool *is_categorical = mill_arena_array(&plan->arena, bool, config->column_count);
    enum mill_type type;

    monitor->columns = mill_arena_array(&plan->arena, uint32_t, config->column_count);
    for (uint32_t i = 0; i < config->column_count; i++) {
        monitor->columns[i] = find_column(plan, monitor, &config->columns[i], &type);
        fields[i] = (struct mill_field){config->columns[i].name, type};
        is_categorical[i] = config->columns[i].is_categorical || type == MILL_STRING || type == MILL_BOOL;
    }
    monitor->segment_column = config->has_segments ? find_column(plan, monitor, &config->segment, &type) : UINT32_MAX;
    monitor->spec.columns.fields = fields;
    monitor->spec.columns.field_count = config->column_count;
    monitor->spec.columns.is_categorical = is_categorical;
}

/* What the profile has of the monitored columns. Where that is not all of it, counts of the one are not counts of the
 * other, and the identity says so. */
static const struct mill_profile *monitored_part(struct mill__plan *plan, const struct mill__plan_monitor *monitor,
                                                 const struct mill_profile *profile)
{
    const struct mill_profile_spec *spec = &monitor->spec.columns;
    struct mill_profile *part = mill_arena_zarray(&plan->arena, struct mill_profile, 1);
    struct mill_profile_feature *features =
        mill_arena_array(&plan->arena, struct mill_profile_feature, profile->feature_count);
    const char *identity = profile->sha256;

    if (spec->field_count == profile->feature_count) {
        return profile;
    }
    *part = *profile;
    part->features = features;
    part->feature_count = 0;
    for (uint32_t f = 0; f < profile->feature_count; f++) {
        for (uint32_t i = 0; i < spec->field_count; i++) {
            if (strcmp(spec->fields[i].name, profile->features[f].name) == 0) {
                features[part->feature_count++] = profile->features[f];
                identity = mill_arena_printf(&plan->arena, "%s\n%s", identity, spec->fields[i].name);
            }
        }
    }
    mill_sha256_hex(identity, strlen(identity), part->sha256);
    return part;
}

static int load_profile(struct mill__plan *plan, struct mill__plan_monitor *monitor, struct mill_error *err)
{
    const struct mill_monitor_config *config = monitor->config;
    const struct mill_profile_spec *spec = &monitor->spec.columns;

    if (config->reference_file == NULL) {
        return MILL_OK;
    }
    MILL_TRY(mill_profile_load(config->reference_file, &monitor->loaded_profile, err));
    for (uint32_t i = 0; i < spec->field_count; i++) {
        int at = mill_profile_find(monitor->loaded_profile, spec->fields[i].name);
        if (at < 0) {
            return mill_fail_at(err, MILL_ECONFIG, config->line, config->col, "profile '%s' has no feature '%s'",
                                config->reference_file, spec->fields[i].name);
        }
        if (spec->fields[i].type == MILL_STRING && monitor->loaded_profile->features[at].kind == MILL_DRIFT_NUMERIC) {
            return mill_fail_at(err, MILL_ECONFIG, config->line, config->col,
                                "feature '%s' of profile '%s' is a number; monitor '%s' has strings",
                                spec->fields[i].name, config->reference_file, config->spec.name);
        }
    }
    monitor->profile = monitored_part(plan, monitor, monitor->loaded_profile);
    return MILL_OK;
}

static int compile_label(struct mill__plan *plan, struct mill__plan_monitor *monitor, struct mill_error *err)
{
    const struct mill_monitor_config *config = monitor->config;
    struct mill_expr_scope scope = {0};

    if (!config->has_labels) {
        return MILL_OK;
    }
    if (monitor->model->output_count != 1) {
        return mill_fail_at(err, MILL_ECONFIG, config->line, config->col,
                            "model '%s' has %u outputs, and labels can be joined to one; hint: leave 'labels' out",
                            config->spec.model, monitor->model->output_count);
    }
    const struct mill_schema *schema = &plan->project->sources[config->labels.source].spec.schema;
    struct mill_expr_name *names = mill_arena_array(&plan->arena, struct mill_expr_name, schema->field_count);
    for (uint32_t i = 0; i < schema->field_count; i++) {
        names[i] = (struct mill_expr_name){mill_slice_of(schema->fields[i].name), schema->fields[i].type, i};
    }
    scope.names = names;
    scope.name_count = schema->field_count;
    return mill_expr_compile(mill_slice_of(config->labels.expr), &scope, &monitor->label, err);
}

static void add_contributors(struct mill__plan_monitor *monitor, struct mill__stage *stage, int32_t partition_count)
{
    monitor->stages[monitor->stage_count] = stage;
    monitor->stage_partitions[monitor->stage_count++] = (uint32_t)partition_count;
    monitor->contributor_count += (uint32_t)partition_count;
}

static void list_contributors(struct mill__plan *plan, struct mill__plan_monitor *monitor,
                              const int32_t *partition_counts)
{
    uint32_t source = monitor->model->config->source, stages = monitor->model->stage + 1;

    monitor->stages = mill_arena_array(&plan->arena, struct mill__stage *, stages + 1);
    monitor->stage_partitions = mill_arena_array(&plan->arena, uint32_t, stages + 1);
    for (uint32_t s = 0; s < stages; s++) {
        int32_t count = partition_counts == NULL ? 1 : s == 0 ? partition_counts[source] : plan->partition_count;
        add_contributors(monitor, &plan->flows[source].stages[s], count);
    }
    if (monitor->config->has_labels && partition_counts != NULL) {
        mill__plan_build_join(plan, monitor, partition_counts);
        add_contributors(monitor, monitor->join, plan->partition_count);
    }
}

static int build_monitor(struct mill__plan *plan, struct mill__plan_monitor *monitor, const int32_t *partition_counts,
                         struct mill_error *err)
{
    const struct mill_monitor_config *config = monitor->config;

    monitor->spec = config->spec;
    monitor->model = &plan->models[config->model];
    build_columns(plan, monitor);
    for (uint32_t i = 0; i < config->column_count; i++) {
        if (config->columns[i].kind == MILL_MONITOR_SCORE && monitor->model->output_count != 1) {
            return mill_fail_at(err, MILL_ECONFIG, config->line, config->col,
                                "model '%s' has %u outputs, and a monitor can watch one; hint: score: false",
                                config->spec.model, monitor->model->output_count);
        }
    }
    MILL_TRY(compile_label(plan, monitor, err));
    list_contributors(plan, monitor, partition_counts);
    plan->flows[monitor->model->config->source].announces = true;
    if (plan->idle_timeout_us > config->idle_timeout_us || plan->monitor_count == 1) {
        plan->idle_timeout_us = config->idle_timeout_us;
    }
    return load_profile(plan, monitor, err);
}

int mill__plan_build_monitors(struct mill__plan *plan, const int32_t *partition_counts, struct mill_error *err)
{
    const struct mill_project *project = plan->project;

    plan->monitors = mill_arena_zarray(&plan->arena, struct mill__plan_monitor, project->monitor_count);
    for (uint32_t m = 0; m < project->monitor_count; m++) {
        plan->monitors[m].config = &project->monitors[m];
        plan->monitor_count++;
        MILL_TRY(build_monitor(plan, &plan->monitors[m], partition_counts, err));
    }
    return MILL_OK;
}

bool mill__monitor_contributor(const struct mill__plan_monitor *monitor, const struct mill__stage *stage,
                               int32_t partition, uint32_t *ret_contributor)
{
    uint32_t first = 0;

    for (uint32_t s = 0; s < monitor->stage_count; first += monitor->stage_partitions[s++]) {
        if (monitor->stages[s] == stage && partition >= 0 && (uint32_t)partition < monitor->stage_partitions[s]) {
            *ret_contributor = first + (uint32_t)partition;
            return true;
        }
    }
    return false;
}

const struct mill__stage *mill__monitor_stage(const struct mill__plan_monitor *monitor, uint32_t contributor,
                                              int32_t *ret_partition)
{
    uint32_t s = 0;

    mill_assert(contributor < monitor->contributor_count);
    for (; contributor >= monitor->stage_partitions[s]; s++) {
        contributor -= monitor->stage_partitions[s];
    }
    *ret_partition = (int32_t)contributor;
    return monitor->stages[s];
}
