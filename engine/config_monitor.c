/* SPDX-License-Identifier: Apache-2.0 */
/* Drift monitors of the project file: which columns of which model are watched, against what, and by which rule. */
#include "engine/config_internal.h"

#include <math.h>
#include <string.h>

struct monitor {
    struct mill__config *c;
    const struct mill__raw_monitor *raw;
    const struct mill_project *project;
    struct mill_monitor_config *config;
    const struct mill_model_config *model; /* NULL: not known, a problem says so */
    struct mill_monitor_column *columns;
    uint32_t column_count;
    bool broken;
};

static const struct mill_service_config *service_of(const struct monitor *m)
{
    return &m->project->services[m->model->service];
}

static const struct mill_schema *fields_of(const struct monitor *m)
{
    return &m->project->sources[m->model->source].spec.schema;
}

/* ------------------------------------------------------------------------------------------------
 * Columns
 * --------------------------------------------------------------------------------------------- */

/* An input of the model, or else a field of its event. */
static bool find_column(const struct monitor *m, const char *name, struct mill_monitor_column *ret_column)
{
    const struct mill_service_config *service = service_of(m);
    for (uint32_t i = 0; i < service->feature_count; i++) {
        if (strcmp(service->features[i].name, name) == 0) {
            *ret_column = (struct mill_monitor_column){service->features[i].name, MILL_MONITOR_INPUT, i, false};
            return true;
        }
    }
    int field = mill_schema_find(fields_of(m), mill_slice_of(name));
    if (field >= 0) {
        *ret_column = (struct mill_monitor_column){name, MILL_MONITOR_FIELD, (uint32_t)field, false};
    }
    return field >= 0;
}

static const char *hint_columns(const struct monitor *m, const char *word)
{
    const struct mill_service_config *service = service_of(m);
    const struct mill_schema *fields = fields_of(m);
    const char **names = mill_arena_array(m->c->arena, const char *, service->feature_count + fields->field_count);
    uint32_t n = 0;
    for (uint32_t i = 0; i < service->feature_count; i++) {
        names[n++] = service->features[i].name;
    }
    for (uint32_t i = 0; i < fields->field_count; i++) {
        names[n++] = fields->fields[i].name;
    }
    return mill__hint_near(m->c, word, names, n);
}

static void unknown_column(struct monitor *m, const struct mill__text *name)
{
    mill__problem(m->c, name->node, "'%s' is neither an input of model '%s' nor a field of source '%s'%s", name->s,
                  m->model->name, m->project->sources[m->model->source].spec.name, hint_columns(m, name->s));
    m->broken = true;
}

static void add_named(struct monitor *m, const struct mill__text *name)
{
    struct mill_monitor_column column;
    if (!find_column(m, name->s, &column)) {
        unknown_column(m, name);
        return;
    }
    for (uint32_t i = 0; i < m->column_count; i++) {
        if (strcmp(m->columns[i].name, name->s) == 0) {
            mill__problem(m->c, name->node, "'%s' is in 'features' already", name->s);
            return;
        }
    }
    m->columns[m->column_count++] = column;
}

static void resolve_columns(struct monitor *m)
{
    const struct mill__texts *names = &m->raw->features;
    const struct mill_service_config *service = service_of(m);

    m->columns = mill_arena_zarray(m->c->arena, struct mill_monitor_column, names->count + service->feature_count + 1);
    for (uint32_t i = 0; i < names->count; i++) {
        add_named(m, &names->at[i]);
    }
    for (uint32_t i = 0; names->node == NULL && i < service->feature_count; i++) {
        m->columns[m->column_count++] =
            (struct mill_monitor_column){service->features[i].name, MILL_MONITOR_INPUT, i, false};
    }
    if (m->raw->score) {
        m->columns[m->column_count++] = (struct mill_monitor_column){"score", MILL_MONITOR_SCORE, 0, false};
    }
    for (uint32_t i = 0; i < m->raw->categorical.count; i++) {
        const struct mill__text *name = &m->raw->categorical.at[i];
        bool found = false;
        for (uint32_t k = 0; k < m->column_count; k++) {
            if (strcmp(m->columns[k].name, name->s) == 0) {
                m->columns[k].is_categorical = found = true;
            }
        }
        if (!found && !m->broken) {
            mill__problem(m->c, name->node,
                          "'%s' in 'categorical' is not watched by the monitor; hint: it must be in 'features' too",
                          name->s);
        }
    }
    if (m->raw->by.s != NULL) {
        m->config->has_segments = find_column(m, m->raw->by.s, &m->config->segment);
        if (!m->config->has_segments) {
            unknown_column(m, &m->raw->by);
        }
    }
    m->config->columns = m->columns;
    m->config->column_count = m->column_count;
}

/* ------------------------------------------------------------------------------------------------
 * Reference
 * --------------------------------------------------------------------------------------------- */

static bool read_time(struct mill__config *c, const struct mill__node *node, const char *what, int64_t *ret_us)
{
    const char *text;
    if (node == NULL || !mill__parse_text(c, node, what, &text)) {
        return node == NULL;
    }
    if (mill_timestamp_parse(node->text, ret_us) < 0) {
        mill__problem(c, node, "'%s': expected a time such as 2013-01-01 or 2013-01-01T12:00Z, found %s", what,
                      mill__node_found(c, node));
        return false;
    }
    return true;
}

static void read_rows(struct monitor *m, const struct mill__node *node)
{
    double rows = 0;
    if (mill__parse_number(m->c, node, "rows", &rows)) {
        if (rows < 1 || rows > 1e9 || rows != floor(rows)) {
            mill__problem(m->c, node, "'rows': expected a whole number from 1 to 1000000000, found %s",
                          mill__node_found(m->c, node));
        } else {
            m->config->spec.reference_rows = (uint64_t)rows;
        }
    }
}

/* {rows: N} or {from: TIME, to: TIME} */
static void read_stream_reference(struct monitor *m, const struct mill__node *map)
{
    static const char *const known[] = {"rows", "from", "to"};
    struct mill_drift_monitor_spec *spec = &m->config->spec;
    const struct mill__node *rows = mill__node_get(map, "rows");
    const struct mill__node *from = mill__node_get(map, "from"), *to = mill__node_get(map, "to");

    for (uint32_t i = 0; i < map->count; i++) {
        const struct mill__node *key = map->pairs[i].key;
        if (!mill_slice_is(key->text, "rows") && !mill_slice_is(key->text, "from") && !mill_slice_is(key->text, "to")) {
            mill__problem(m->c, key, "unknown key '%s' in 'reference'; expected rows, or from and to%s", key->text.p,
                          mill__hint_near(m->c, key->text.p, known, 3));
            return;
        }
    }
    if ((rows == NULL) == (from == NULL || to == NULL) || (rows != NULL && (from != NULL || to != NULL))) {
        mill__problem(m->c, map, "'reference': expected {rows: N} or {from: TIME, to: TIME}");
    } else if (rows != NULL) {
        read_rows(m, rows);
    } else if (read_time(m->c, from, "from", &spec->reference_from_us) &&
               read_time(m->c, to, "to", &spec->reference_to_us) && spec->reference_from_us >= spec->reference_to_us) {
        mill__problem(m->c, to, "'to': expected a time after 'from'");
    }
}

static void resolve_reference(struct monitor *m)
{
    const struct mill__node *node = m->raw->reference;
    const char *text;

    m->config->spec.reference_from_us = m->config->spec.reference_to_us = INT64_MIN;
    if (node != NULL && node->kind == MILL__MAP) {
        read_stream_reference(m, node);
        return;
    }
    if (node == NULL || (node->kind == MILL__SCALAR && mill_slice_is(node->text, "training"))) {
        m->config->reference_file = m->model->profile;
        if (m->model->profile == NULL) {
            mill__problem(m->c, node != NULL ? node : m->raw->node,
                          "'reference': model '%s' has no profile of its training data; hint: name it by 'profile' in "
                          "the model's manifest, or give a PATH, {rows: N} or {from: TIME, to: TIME}",
                          m->model->name);
        }
    } else if (mill__parse_text(m->c, node, "reference", &text)) {
        m->config->reference_file = mill__path_beside(m->c, text);
    }
}

static void check_column(struct monitor *m, const struct mill_profile *profile, const struct mill__node *at,
                         const struct mill_monitor_column *column)
{
    if (mill_profile_find(profile, column->name) >= 0) {
        return;
    }
    const char **names = mill_arena_array(m->c->arena, const char *, profile->feature_count);
    for (uint32_t i = 0; i < profile->feature_count; i++) {
        names[i] = profile->features[i].name;
    }
    const char *hint = column->kind == MILL_MONITOR_SCORE
                           ? "; hint: score: false"
                           : mill__hint_near(m->c, column->name, names, profile->feature_count);
    mill__problem(m->c, at, "profile '%s' has no feature '%s'%s", m->config->reference_file, column->name, hint);
}

/* A profile of another model would compare apples with pears. */
static void check_profile(struct monitor *m)
{
    const struct mill__node *at = m->raw->reference != NULL ? m->raw->reference : m->raw->node;
    const char *segment_by = m->config->has_segments ? m->config->segment.name : NULL;
    struct mill_profile *profile;
    struct mill_error err;

    if (m->config->reference_file == NULL || m->broken) {
        return;
    }
    if (mill_profile_load(m->config->reference_file, &profile, &err) < 0) {
        mill__problem(m->c, at, "%s", err.msg);
        return;
    }
    if (profile->model[0] != '\0' && strcmp(profile->model, m->model->name) != 0) {
        mill__problem(m->c, at, "profile '%s' is of model '%s'; expected one of model '%s'", m->config->reference_file,
                      profile->model, m->model->name);
    } else {
        for (uint32_t i = 0; i < m->column_count; i++) {
            check_column(m, profile, at, &m->columns[i]);
        }
        if (segment_by != NULL && (profile->segment_by == NULL || strcmp(profile->segment_by, segment_by) != 0)) {
            mill__problem(m->c, m->raw->by.node, "profile '%s' has %s%s; expected segments by '%s'",
                          m->config->reference_file, profile->segment_by == NULL ? "no segments" : "segments by ",
                          profile->segment_by == NULL ? "" : profile->segment_by, segment_by);
        }
    }
    mill_profile_free(profile);
}

/* ------------------------------------------------------------------------------------------------
 * Rule
 * --------------------------------------------------------------------------------------------- */

static void take(double *to, double from)
{
    *to = isnan(from) ? *to : from;
}

/* Without labels there is nothing to judge. */
static void check_performance_rules(struct monitor *m, const struct mill__node *map)
{
    static const char *const keys[] = {"auc_min",   "auc_drop_max", "auc_reference",         "log_loss_max",
                                       "brier_max", "accuracy_min", "calibration_error_max", "min_labelled"};

    for (unsigned i = 0; m->raw->labels.node == NULL && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const struct mill__node *node = mill__node_get(map, keys[i]);
        if (node != NULL) {
            mill__problem(m->c, node, "'rule.%s': expected a monitor with 'labels', by which scores are judged",
                          keys[i]);
        }
    }
}

static void read_rule_map(struct monitor *m, const struct mill__node *node, struct mill_drift_rule *rule)
{
    struct mill__raw_rule raw = {0};

    mill__bind(m->c, &mill__rule_table, node, &raw, "rule", false);
    if (raw.node == NULL || raw.kind < 0) {
        return;
    }
    mill_drift_rule_init(rule, (enum mill_rule_kind)raw.kind);
    take(&rule->psi_minor, raw.psi_minor);
    take(&rule->psi_major, raw.psi_major);
    take(&rule->ks_minor, raw.ks_minor);
    take(&rule->ks_major, raw.ks_major);
    take(&rule->q_max, raw.q_max);
    take(&rule->p_minor, raw.p_minor);
    take(&rule->p_major, raw.p_major);
    take(&rule->null_share_minor, raw.null_share_minor);
    take(&rule->null_share_major, raw.null_share_major);
    take(&rule->unseen_share_minor, raw.unseen_share_minor);
    take(&rule->unseen_share_major, raw.unseen_share_major);
    take(&rule->out_of_range_minor, raw.out_of_range_minor);
    take(&rule->out_of_range_major, raw.out_of_range_major);
    take(&rule->false_alarms_per_month, raw.false_alarms_per_month);
    take(&rule->auc_min, raw.auc_min);
    take(&rule->auc_drop_max, raw.auc_drop_max);
    take(&rule->auc_reference, raw.auc_reference);
    take(&rule->log_loss_max, raw.log_loss_max);
    take(&rule->brier_max, raw.brier_max);
    take(&rule->accuracy_min, raw.accuracy_min);
    take(&rule->calibration_error_max, raw.calibration_error_max);
    rule->labelled_min = isnan(raw.min_labelled) ? rule->labelled_min : (uint64_t)raw.min_labelled;
    check_performance_rules(m, node);
    rule->samples_min = isnan(raw.min_samples) ? rule->samples_min : (uint64_t)raw.min_samples;
    rule->null_bin = raw.null_bin;
}

static void resolve_rule(struct monitor *m)
{
    static const char *const words[] = {"default", "article", "calibrated"};
    const struct mill__node *node = m->raw->rule;
    struct mill_drift_rule *rule = &m->config->spec.rule;
    struct mill_error err;
    bool known = node == NULL || node->kind == MILL__MAP || node->bad;

    mill_drift_rule_init(rule, MILL_RULE_DEFAULT);
    if (node != NULL && node->kind == MILL__MAP) {
        read_rule_map(m, node, rule);
    }
    for (unsigned i = 0; !known && node->kind == MILL__SCALAR && i < 3; i++) {
        if (mill_slice_is(node->text, words[i])) {
            mill_drift_rule_init(rule, (enum mill_rule_kind)i);
            known = true;
        }
    }
    if (!known) {
        mill__problem(m->c, node, "'rule': expected default, article, calibrated or a mapping, found %s%s",
                      mill__node_found(m->c, node),
                      node->kind == MILL__SCALAR ? mill__hint_near(m->c, node->text.p, words, 3) : "");
    }
    if (m->raw->smoothing.s != NULL &&
        mill_smoothing_parse(mill_slice_of(m->raw->smoothing.s), &rule->smoothing, &err) < 0) {
        mill__problem(m->c, m->raw->smoothing.node, "%s", err.msg);
    }
}

/* ------------------------------------------------------------------------------------------------
 * All of it
 * --------------------------------------------------------------------------------------------- */

static void resolve_times(struct monitor *m)
{
    const struct mill__raw_monitor *raw = m->raw;
    struct mill_drift_monitor_spec *spec = &m->config->spec;

    spec->window_us = raw->window_us;
    spec->every_us = raw->every_us;
    if (raw->every_us > 0 && raw->window_us > 0 && raw->window_us % raw->every_us != 0) {
        const struct mill__node *at = mill__node_get(raw->node, "every");
        at = at != NULL ? at : mill__node_get(raw->node, "window");
        mill__problem(m->c, at, "'every' must divide 'window': a window is a whole number of panes");
    }
    spec->alerts = (struct mill_alert_options){.fire_after = (uint32_t)raw->alerts.fire_after,
                                               .resolve_after = (uint32_t)raw->alerts.resolve_after,
                                               .repeat_us = raw->alerts.repeat_us};
    spec->trigger = (struct mill_trigger_options){.enabled = raw->trigger.enabled,
                                                  .features_min = (uint32_t)raw->trigger.features,
                                                  .consecutive_min = (uint32_t)raw->trigger.consecutive,
                                                  .samples_min = (uint64_t)raw->trigger.min_samples,
                                                  .cooldown_us = raw->trigger.cooldown_us,
                                                  .train_window_us = raw->trigger.train_window_us,
                                                  .schedule_us = raw->trigger.schedule_us};
    m->config->idle_timeout_us = raw->idle_timeout_us;
}

static void resolve_profile_spec(struct monitor *m)
{
    struct mill_profile_spec *spec = &m->config->spec.columns;
    struct mill_error err;

    if (m->raw->bins.s != NULL &&
        mill_binning_parse(mill_slice_of(m->raw->bins.s), m->c->arena, &spec->binning, &err) < 0) {
        mill__problem(m->c, m->raw->bins.node, "%s", err.msg);
    }
    spec->model = m->model->name;
    spec->model_version = m->model->version;
    spec->breaks_max = (uint32_t)m->raw->break_points;
    spec->calibration_window_us = m->config->spec.rule.kind == MILL_RULE_CALIBRATED ? m->raw->window_us : 0;
    spec->segment_by = m->config->has_segments ? m->config->segment.name : NULL;
    spec->segments_max = m->config->has_segments ? (uint32_t)m->raw->max_segments : 0;
}

static void resolve_alertmanager(struct monitor *m)
{
    const struct mill__text *url = &m->raw->alertmanager;

    m->config->alertmanager = url->s;
    if (url->s != NULL && strncmp(url->s, "http://", 7) != 0 && strncmp(url->s, "https://", 8) != 0) {
        mill__problem(m->c, url->node, "'alertmanager': expected http://... or https://..., found '%s'", url->s);
    }
}

static bool find_model(struct monitor *m)
{
    const char **names = mill_arena_array(m->c->arena, const char *, m->project->model_count);
    for (uint32_t i = 0; i < m->project->model_count; i++) {
        names[i] = m->project->models[i].name;
        if (m->raw->model.s != NULL && strcmp(names[i], m->raw->model.s) == 0) {
            m->config->model = i;
            m->model = &m->project->models[i];
        }
    }
    if (m->model == NULL && m->raw->model.s != NULL) {
        mill__problem(m->c, m->raw->model.node, "model '%s' is not defined%s", m->raw->model.s,
                      mill__hint(m->c, m->raw->model.s, names, m->project->model_count));
    }
    return m->model != NULL;
}

static void resolve_monitor(struct mill__config *c, const struct mill__raw_monitor *raw,
                            const struct mill_project *project, struct mill_monitor_config *config)
{
    struct monitor m = {.c = c, .raw = raw, .project = project, .config = config};

    if (raw->node == NULL || !find_model(&m)) {
        return;
    }
    config->line = raw->node->line;
    config->col = raw->node->col;
    config->spec.project = project->name;
    config->spec.name = raw->name.s != NULL ? raw->name.s : m.model->name;
    config->spec.model = m.model->name;
    config->spec.model_version = m.model->version != NULL ? m.model->version : "";
    resolve_times(&m);
    resolve_rule(&m);
    resolve_alertmanager(&m);
    if (service_of(&m)->feature_count == 0) {
        return; /* the service has problems of its own */
    }
    resolve_columns(&m);
    mill__resolve_labels(c, raw, project, config);
    resolve_reference(&m);
    resolve_profile_spec(&m);
    check_profile(&m);
}

void mill__resolve_monitors(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    struct mill__raw_monitor *raws = raw->monitors.at;
    uint32_t count = raw->monitors.count;
    struct mill_monitor_config *monitors = mill_arena_zarray(c->arena, struct mill_monitor_config, count);
    const struct mill__text **names = mill_arena_array(c->arena, const struct mill__text *, count);

    for (uint32_t i = 0; i < count; i++) {
        resolve_monitor(c, &raws[i], project, &monitors[i]);
        names[i] = raws[i].name.s != NULL ? &raws[i].name : &raws[i].model;
    }
    mill__check_unique(c, "monitor", names, count);
    project->monitors = monitors;
    project->monitor_count = count;
}
