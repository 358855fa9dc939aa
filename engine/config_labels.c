/* SPDX-License-Identifier: Apache-2.0 */
/* Labels of a monitor: where they come from, by which field they find their scores, what says what a label is. Called
 * by config_monitor.c. */
#include "engine/config_view_internal.h"

static bool find_key(struct mill__config *c, const struct mill__text *key, const struct mill_source_config *source,
                     uint32_t *ret_field)
{
    const struct mill_schema *schema = &source->spec.schema;
    int field = mill_schema_find(schema, mill_slice_of(key->s));

    if (field < 0) {
        mill__problem(c, key->node, "'labels.key': source '%s' has no field '%s'%s", source->spec.name, key->s,
                      mill__hint_fields(c, key->s, schema));
        return false;
    }
    if (schema->fields[field].type != MILL_STRING && schema->fields[field].type != MILL_INT64) {
        mill__problem(c, key->node, "'labels.key': field '%s' of source '%s' is of type %s; expected string or int64",
                      key->s, source->spec.name, mill_type_name(schema->fields[field].type));
        return false;
    }
    *ret_field = (uint32_t)field;
    return true;
}

static void resolve_key(struct mill__config *c, const struct mill__text *key, const struct mill_source_config *scored,
                        const struct mill_source_config *source, struct mill_label_config *labels)
{
    if (!find_key(c, key, scored, &labels->score_field) || !find_key(c, key, source, &labels->label_field)) {
        return;
    }
    enum mill_type type = scored->spec.schema.fields[labels->score_field].type;
    enum mill_type other = source->spec.schema.fields[labels->label_field].type;
    if (type != other) {
        mill__problem(c, key->node,
                      "'labels.key': field '%s' is of type %s in source '%s' and of type %s in source '%s'; expected "
                      "the same type",
                      key->s, mill_type_name(type), scored->spec.name, mill_type_name(other), source->spec.name);
    }
}

static void check_label(struct mill__config *c, const struct mill__text *label, const struct mill_schema *schema)
{
    struct mill__scope scope = {0};
    enum mill_type type;

    for (uint32_t i = 0; i < schema->field_count; i++) {
        mill__scope_add(c, &scope, schema->fields[i].name, schema->fields[i].type, false);
    }
    if (mill__check_expression(c, label, &scope, NULL, &type) && type != MILL_BOOL && type != MILL_INT64 &&
        type != MILL_FLOAT64) {
        mill__problem(c, label->node, "'labels.label' is of type %s; expected a bool, or a number that is 0 or 1",
                      mill_type_name(type));
    }
}

void mill__resolve_labels(struct mill__config *c, const struct mill__raw_monitor *raw,
                          const struct mill_project *project, struct mill_monitor_config *config)
{
    const struct mill_source_config *scored = &project->sources[project->models[config->model].source];
    struct mill_label_config *labels = &config->labels;

    if (raw->labels.node == NULL) {
        return;
    }
    config->has_labels = true;
    labels->horizon_us = raw->labels.horizon_us;
    labels->pending_max = (uint32_t)raw->labels.max_pending;
    labels->key = raw->labels.key.s;
    labels->expr = raw->labels.label.s;
    if (raw->labels.source.s == NULL) {
        return;
    }
    const struct mill_source_config *source = mill__find_source(c, project, &raw->labels.source, &labels->source);
    if (source == NULL || source->spec.schema.field_count == 0 || scored->spec.schema.field_count == 0) {
        return;
    }
    if (raw->labels.key.s != NULL) {
        resolve_key(c, &raw->labels.key, scored, source, labels);
    }
    if (raw->labels.label.s != NULL) {
        check_label(c, &raw->labels.label, &source->spec.schema);
    }
}
