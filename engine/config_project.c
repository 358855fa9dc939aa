/* SPDX-License-Identifier: Apache-2.0 */
/* mill_project_load: the steps from the bytes of a project file to struct mill_project, and its fixed sections. */
#include "engine/config_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* What a project owns besides what the header shows. */
struct project_box {
    struct mill_project project; /* first: handed out */
    struct mill_arena arena;
    struct mill__setting *settings;
    struct mill_timezone **zones;
    uint32_t zone_count;
};

/* ------------------------------------------------------------------------------------------------
 * Fixed sections
 * --------------------------------------------------------------------------------------------- */

struct pairs {
    const char **at;
    const struct mill__node **nodes;
    uint32_t count, capacity; /* strings, two a pair */
};

static void add_pair(struct mill__config *c, struct pairs *pairs, const struct mill__node *node, const char *key,
                     const char *value)
{
    for (uint32_t i = 0; i < pairs->count; i += 2) {
        if (strcmp(pairs->at[i], key) == 0) {
            pairs->at[i + 1] = value;
            pairs->nodes[i / 2] = node;
            return;
        }
    }
    if (pairs->count + 2 >= pairs->capacity) {
        uint32_t capacity = pairs->capacity == 0 ? 32 : 2 * pairs->capacity;
        const char **at = mill_arena_zarray(c->arena, const char *, capacity);
        const struct mill__node **nodes = mill_arena_zarray(c->arena, const struct mill__node *, capacity);
        if (pairs->count > 0) {
            memcpy(at, pairs->at, pairs->count * sizeof(const char *));
            memcpy(nodes, pairs->nodes, pairs->count / 2 * sizeof(const struct mill__node *));
        }
        pairs->at = at;
        pairs->nodes = nodes;
        pairs->capacity = capacity;
    }
    pairs->nodes[pairs->count / 2] = node;
    pairs->at[pairs->count++] = key;
    pairs->at[pairs->count++] = value;
}

static void add_file_pair(struct mill__config *c, struct pairs *pairs, const struct mill__node *key,
                          const struct mill__node *value)
{
    static const char suffix[] = "_file";
    struct mill__text none = {0}, text = {NULL, value, NULL};
    size_t n = key->text.n - (sizeof(suffix) - 1);
    if (!mill__parse_text(c, value, key->text.p, &text.s)) {
        return;
    }
    if (key->text.n <= sizeof(suffix) - 1 || strcmp(key->text.p + n, suffix) != 0) {
        add_pair(c, pairs, key, key->text.p, text.s);
        return;
    }
    add_pair(c, pairs, key, mill_arena_strndup(c->arena, key->text.p, n), mill__secret(c, &none, &text));
}

static void add_set_pair(struct mill__config *c, const char *key, const char *value, void *context)
{
    struct mill__node *node = mill_arena_zarray(c->arena, struct mill__node, 1);
    node->elsewhere = "--set";
    add_pair(c, context, node, key, value);
}

/* librdkafka's table decides about its own keys, one pair after the other so that all wrong ones are named. */
static void check_pairs(struct mill__config *c, const struct pairs *pairs)
{
    for (uint32_t i = 0; i < pairs->count; i += 2) {
        const char *pair[] = {pairs->at[i], pairs->at[i + 1], NULL};
        struct mill_kafka_options options = {.librdkafka = pair};
        struct mill_error err;
        unsigned index;
        if (mill_kafka_check_options(&options, &index, &err) < 0) {
            mill__problem(c, pairs->nodes[i / 2], "%s", err.msg);
        }
        bool secret = strstr(pair[0], "password") != NULL || strstr(pair[0], "secret") != NULL ||
                      strstr(pair[0], "key.pem") != NULL || strstr(pair[0], "jaas") != NULL ||
                      strcmp(pair[0], "sasl.oauthbearer.config") == 0;
        mill__setting_add(c, mill_arena_printf(c->arena, "kafka.librdkafka.%s", pair[0]), secret ? "***" : pair[1],
                          mill__origin(c, pairs->nodes[i / 2]));
    }
}

static void resolve_librdkafka(struct mill__config *c, const struct mill__raw_project *raw,
                               struct mill_project *project)
{
    const struct mill__node *map = raw->kafka.librdkafka;
    struct pairs pairs = {0};
    if (map != NULL && map->kind != MILL__MAP) {
        mill__problem(c, map, "'kafka.librdkafka': expected a mapping of librdkafka's properties, found %s",
                      mill__node_found(c, map));
    } else if (map != NULL && map->count > 1000) {
        mill__problem(c, map, "'kafka.librdkafka': expected at most 1000 properties, found %u", map->count);
    } else if (map != NULL) {
        for (uint32_t i = 0; i < map->count; i++) {
            add_file_pair(c, &pairs, map->pairs[i].key, map->pairs[i].value);
        }
    }
    mill__bind_each_set(c, "kafka.librdkafka", add_set_pair, &pairs);
    check_pairs(c, &pairs);
    static const char *const none[] = {NULL};
    project->kafka.librdkafka = pairs.count == 0 ? none : pairs.at;
}

static void check_broker(struct mill__config *c, const struct mill__text *broker)
{
    const char *colon = strrchr(broker->s, ':');
    if (colon == NULL || colon == broker->s) {
        return; /* librdkafka's default port; its own check follows when it connects */
    }
    size_t digits = strspn(colon + 1, "0123456789");
    if (digits == 0 || digits > 5 || colon[1 + digits] != '\0' || strtol(colon + 1, NULL, 10) > 65535) {
        mill__problem(c, broker->node, "broker '%s': expected HOST:PORT", broker->s);
    }
}

static void resolve_kafka(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    struct mill_buffer brokers = {0};
    struct mill__text group = raw->kafka.group;
    for (uint32_t i = 0; i < raw->kafka.brokers.count; i++) {
        check_broker(c, &raw->kafka.brokers.at[i]);
        mill_buffer_printf(&brokers, "%s%s", i == 0 ? "" : ",", raw->kafka.brokers.at[i].s);
    }
    project->kafka.brokers = mill_arena_strdup(c->arena, mill_buffer_cstr(&brokers));
    mill_buffer_clear(&brokers);
    mill__text_default(&group, project->name);
    project->kafka.group = group.s;
    project->kafka.internal_partitions = (int32_t)raw->kafka.internal_partitions;
    resolve_librdkafka(c, raw, project);
}

static void resolve_stores(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__text *connection = &raw->online_store.connection_string;
    bool wanted = raw->online_store.node != NULL || connection->node != NULL;
    struct mill_online_options *online = &project->online_store.options;

    project->online_store.redis = wanted && raw->online_store.type == 0;
    if (project->online_store.redis && connection->s == NULL && connection->node == NULL && !c->options->offline) {
        mill__problem(c, raw->online_store.node,
                      "online_store lacks the required key 'connection_string': host:port "
                      "or the path of a socket");
    }
    online->project = project->name;
    online->connection_string = connection->s;
    online->password = c->options->offline
                           ? raw->online_store.password.s
                           : mill__secret(c, &raw->online_store.password, &raw->online_store.password_file);
    online->layout = (enum mill_online_layout)raw->online_store.layout;

    struct mill__text path = raw->offline_store.path;
    mill__text_default(&path, mill_arena_printf(c->arena, "data/%s", project->name));
    project->offline_store.rocksdb = raw->offline_store.type == 0;
    project->offline_store.options.path = mill__path_beside(c, path.s == NULL ? "" : path.s);
    project->offline_store.options.cache_bytes = raw->offline_store.cache_size;
    project->offline_store.options.write_buffer_bytes = raw->offline_store.write_buffer_size;
}

static void resolve_listen(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__text *listen = &raw->server.listen;
    project->server.listen = listen->s == NULL ? "" : listen->s;
    if (listen->s == NULL || listen->s[0] == '\0') {
        return;
    }
    const char *colon = strrchr(listen->s, ':');
    size_t digits = colon == NULL ? 0 : strspn(colon + 1, "0123456789");
    if (colon == NULL || colon == listen->s || digits == 0 || digits > 5 || colon[1 + digits] != '\0' ||
        strtol(colon + 1, NULL, 10) > 65535) {
        mill__problem(c, listen->node, "'server.listen': expected ADDRESS:PORT such as 127.0.0.1:6566, found '%s'",
                      listen->s);
    }
}

static void resolve_fixed(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    struct mill__text scores = raw->output.scores_topic, dead = raw->output.dead_letter_topic;

    project->name = raw->project.s == NULL ? "" : raw->project.s;
    project->delivery = (enum mill_delivery)raw->delivery;
    resolve_kafka(c, raw, project);
    resolve_stores(c, raw, project);
    resolve_listen(c, raw, project);
    project->engine.shards = (uint32_t)raw->engine.shards;
    project->engine.batch_rows = (uint32_t)raw->engine.batch_rows;
    project->engine.flush_interval_us = raw->engine.flush_interval_us;
    project->engine.entities_max = (uint32_t)raw->engine.max_entities;
    mill__text_default(&scores, mill_arena_printf(c->arena, "%s.scores", project->name));
    mill__text_default(&dead, mill_arena_printf(c->arena, "%s.dead_letter", project->name));
    project->output.scores_topic = scores.s;
    project->output.dead_letter_topic = dead.s;
    struct mill__text reports = raw->output.drift_reports_topic, alerts = raw->output.drift_alerts_topic;
    struct mill__text retrain = raw->output.retrain_topic, labels = raw->output.labels_topic;
    mill__text_default(&reports, mill_arena_printf(c->arena, "%s.drift.reports", project->name));
    mill__text_default(&alerts, mill_arena_printf(c->arena, "%s.drift.alerts", project->name));
    mill__text_default(&retrain, mill_arena_printf(c->arena, "%s.retrain", project->name));
    mill__text_default(&labels, mill_arena_printf(c->arena, "%s.labels", project->name));
    project->output.drift_reports_topic = reports.s;
    project->output.drift_alerts_topic = alerts.s;
    project->output.retrain_topic = retrain.s;
    project->output.labels_topic = labels.s;
    project->output.drift_panes_topic = mill_arena_printf(c->arena, "%s.drift.panes", project->name);
    project->output.drift_references_topic = mill_arena_printf(c->arena, "%s.drift.references", project->name);
    project->output.format = (enum mill_format)raw->output.format;
}

/* ------------------------------------------------------------------------------------------------
 * Topics that lead back to themselves
 * --------------------------------------------------------------------------------------------- */

struct flow {
    struct mill__config *c;
    const struct mill__raw_project *raw;
    const struct mill_project *project;
    int *target;       /* per view: the source that reads its topic, or -1 */
    uint8_t *visiting; /* per source: 0 new, 1 on the path, 2 done */
};

static int source_of_topic(const struct mill_project *project, const char *topic)
{
    for (uint32_t i = 0; topic != NULL && i < project->source_count; i++) {
        if (project->sources[i].spec.topic != NULL && strcmp(project->sources[i].spec.topic, topic) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static void visit(struct flow *f, uint32_t source)
{
    const struct mill__raw_view *views = f->raw->feature_views.at;
    f->visiting[source] = 1;
    for (uint32_t i = 0; i < f->project->view_count; i++) {
        if (f->target[i] < 0 || f->project->views[i].source != source) {
            continue;
        }
        uint32_t next = (uint32_t)f->target[i];
        if (f->visiting[next] == 1) {
            mill__problem(
                f->c, views[i].topic.node, "view '%s' writes topic '%s', which leads back to its own source '%s'",
                f->project->views[i].spec.name, f->project->views[i].topic, f->project->sources[source].spec.name);
        } else if (f->visiting[next] == 0) {
            visit(f, next);
        }
    }
    f->visiting[source] = 2;
}

static void check_cycles(struct mill__config *c, const struct mill__raw_project *raw,
                         const struct mill_project *project)
{
    struct flow f = {.c = c, .raw = raw, .project = project};
    f.target = mill_arena_array(c->arena, int, project->view_count);
    f.visiting = mill_arena_zarray(c->arena, uint8_t, project->source_count);
    for (uint32_t i = 0; i < project->view_count; i++) {
        f.target[i] = source_of_topic(project, project->views[i].topic);
    }
    for (uint32_t i = 0; i < project->source_count; i++) {
        if (f.visiting[i] == 0) {
            visit(&f, i);
        }
    }
    const char *own[] = {project->output.scores_topic,        project->output.dead_letter_topic,
                         project->output.drift_reports_topic, project->output.drift_alerts_topic,
                         project->output.retrain_topic,       project->output.labels_topic};
    const struct mill__node *nodes[] = {raw->output.scores_topic.node,        raw->output.dead_letter_topic.node,
                                        raw->output.drift_reports_topic.node, raw->output.drift_alerts_topic.node,
                                        raw->output.retrain_topic.node,       raw->output.labels_topic.node};
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        int source = source_of_topic(project, own[i]);
        if (source >= 0) {
            const struct mill__raw_source *sources = raw->sources.at;
            mill__problem(c, nodes[i] != NULL ? nodes[i] : sources[source].node,
                          "topic '%s' is written by the engine and read by source '%s'; expected another topic", own[i],
                          project->sources[source].spec.name);
        }
    }
}

/* ------------------------------------------------------------------------------------------------
 * Loading
 * --------------------------------------------------------------------------------------------- */

static void resolve(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    if (raw->delivery == MILL_EXACTLY_ONCE) {
        const struct mill__node *in_file = mill__node_get(raw->node, "delivery");
        bool from_file = in_file != NULL && mill_slice_is(in_file->text, "exactly_once");
        mill__problem(c, from_file ? in_file : mill__outside_node(c, "--set or environment", ""),
                      "'delivery': exactly_once is not there yet; expected at_least_once, which repeats events after a "
                      "crash but loses none");
    }
    resolve_fixed(c, raw, project);
    mill__resolve_entities(c, raw, project);
    mill__resolve_sources(c, raw, project);
    mill__resolve_views(c, raw, project);
    mill__resolve_services(c, raw, project);
    mill__resolve_models(c, raw, project);
    mill__resolve_monitors(c, raw, project);
    check_cycles(c, raw, project);
}

static void load(struct mill__config *c, struct mill_project *project)
{
    struct mill__raw_project *raw = mill_arena_zarray(c->arena, struct mill__raw_project, 1);
    struct mill__node *root = mill__yaml_load(c);
    if (root == NULL) {
        return;
    }
    mill__interpolate(c, root);
    mill__bind_check_sets(c, &mill__project_table);
    mill__bind(c, &mill__project_table, root, raw, "", true);
    if (raw->node != NULL) {
        resolve(c, raw, project);
    }
}

int mill_project_load(const char *path, const struct mill_project_options *options, struct mill_project **ret_project,
                      struct mill_problems *problems, struct mill_error *err)
{
    static const struct mill_project_options no_options;
    struct mill_buffer bytes = {0};

    memset(problems, 0, sizeof(*problems));
    mill_arena_init(&problems->arena, 0);
    int rc = mill_file_read(path, MILL__FILE_BYTES_MAX, &bytes, err);
    if (rc < 0) {
        mill_buffer_clear(&bytes);
        return rc;
    }
    struct project_box *box = mill_calloc(1, sizeof(*box));
    mill_arena_init(&box->arena, 0);
    box->project.arena = &box->arena;
    box->project.path = mill_arena_strdup(&box->arena, path);
    struct mill__config c = {
        .path = box->project.path,
        .source = mill_buffer_slice(&bytes),
        .arena = &box->arena,
        .problems = problems,
        .options = options == NULL ? &no_options : options,
    };
    c.last_setting = &c.first_setting;
    load(&c, &box->project);
    box->settings = c.first_setting;
    box->zones = c.zones;
    box->zone_count = c.zone_count;
    mill_buffer_clear(&bytes);
    mill__problems_sort(problems);
    if (problems->error_count > 0) {
        mill_project_free(&box->project);
        return mill_fail(err, MILL_ECONFIG, "'%s' has %u problem%s", path, problems->error_count,
                         problems->error_count == 1 ? "" : "s");
    }
    *ret_project = &box->project;
    return MILL_OK;
}

void mill_project_free(struct mill_project *project)
{
    if (project == NULL) {
        return;
    }
    struct project_box *box = (struct project_box *)project;
    for (uint32_t i = 0; i < box->zone_count; i++) {
        mill_timezone_close(box->zones[i]);
    }
    mill_arena_clear(&box->arena);
    free(box);
}

void mill_project_each_setting(const struct mill_project *project,
                               void (*each)(void *context, const char *key, const char *value, const char *origin),
                               void *context)
{
    const struct project_box *box = (const struct project_box *)project;
    for (const struct mill__setting *s = box->settings; s != NULL; s = s->next) {
        each(context, s->key, s->value, s->origin);
    }
}
