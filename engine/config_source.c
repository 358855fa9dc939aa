/* SPDX-License-Identifier: Apache-2.0 */
/* Entities and sources of the project file: formats, fields, keys and rules, checked against the schema. */
#include "engine/config_internal.h"

#include <math.h>
#include <string.h>

#include "base/file.h"

enum { SCHEMA_BYTES_MAX = 1 << 20, FIELDS_MAX = 4096 };

/* ------------------------------------------------------------------------------------------------
 * Entities
 * --------------------------------------------------------------------------------------------- */

static bool resolve_value_type(struct mill__config *c, const struct mill__text *word, enum mill_type *ret_type)
{
    static const char *const names[] = {"STRING", "INT64"};
    for (int i = 0; i < 2; i++) {
        if (strcmp(word->s, names[i]) == 0) {
            *ret_type = i == 0 ? MILL_STRING : MILL_INT64;
            return true;
        }
    }
    mill__problem(c, word->node, "value type '%s' is not known; expected STRING or INT64", word->s);
    return false;
}

static void resolve_entity(struct mill__config *c, const struct mill__raw_entity *raw, struct mill_entity *entity)
{
    struct mill__text own = {raw->name.s, raw->name.node, NULL};
    const struct mill__text *keys = raw->join_keys.count > 0 ? raw->join_keys.at : &own;
    uint32_t count = raw->join_keys.node != NULL ? raw->join_keys.count : 1;

    if (count > MILL_KEY_PARTS_MAX) {
        mill__problem(c, raw->join_keys.node, "an entity has at most %d join keys, found %u", MILL_KEY_PARTS_MAX,
                      count);
        count = MILL_KEY_PARTS_MAX;
    }
    if (raw->value_type.count != 1 && raw->value_type.count != count) {
        mill__problem(c, raw->value_type.node, "expected one value type, or one for each of the %u join keys, found %u",
                      count, raw->value_type.count);
    }
    struct mill_join_key *parts = mill_arena_zarray(c->arena, struct mill_join_key, MILL_KEY_PARTS_MAX);
    entity->name = raw->name.s;
    entity->keys = parts;
    entity->key_count = raw->name.s == NULL && raw->join_keys.count == 0 ? 0 : count;
    for (uint32_t i = 0; i < entity->key_count; i++) {
        parts[i] = (struct mill_join_key){keys[i].s, MILL_STRING};
        if (!mill__is_name(keys[i].s)) {
            mill__problem(c, keys[i].node, "join key '%s' is not the name of a field", keys[i].s);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (strcmp(keys[k].s, keys[i].s) == 0) {
                mill__problem(c, keys[i].node, "join key '%s' is given twice", keys[i].s);
            }
        }
        if (raw->value_type.count == 1 || i < raw->value_type.count) {
            resolve_value_type(c, &raw->value_type.at[raw->value_type.count == 1 ? 0 : i], &parts[i].type);
        }
    }
}

void mill__resolve_entities(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__raw_entity *entities = raw->entities.at;
    uint32_t count = raw->entities.count;
    struct mill_entity *out = mill_arena_zarray(c->arena, struct mill_entity, count);
    const struct mill__text **names = mill_arena_array(c->arena, const struct mill__text *, count);

    for (uint32_t i = 0; i < count; i++) {
        names[i] = &entities[i].name;
        resolve_entity(c, &entities[i], &out[i]);
    }
    mill__check_unique(c, "entity", names, count);
    project->entities = out;
    project->entity_count = count;
}

/* ------------------------------------------------------------------------------------------------
 * Fields
 * --------------------------------------------------------------------------------------------- */

struct type_name {
    const char *name;
    enum mill_type type;
    enum mill_time_unit unit;
};

static const struct type_name type_names[] = {
    {"bool", MILL_BOOL, MILL_TIME_TEXT},
    {"int64", MILL_INT64, MILL_TIME_TEXT},
    {"int", MILL_INT64, MILL_TIME_TEXT},
    {"long", MILL_INT64, MILL_TIME_TEXT},
    {"float64", MILL_FLOAT64, MILL_TIME_TEXT},
    {"double", MILL_FLOAT64, MILL_TIME_TEXT},
    {"float", MILL_FLOAT64, MILL_TIME_TEXT},
    {"string", MILL_STRING, MILL_TIME_TEXT},
    {"timestamp", MILL_TIMESTAMP, MILL_TIME_TEXT},
    {"timestamp_seconds", MILL_TIMESTAMP, MILL_TIME_SECONDS},
    {"timestamp_millis", MILL_TIMESTAMP, MILL_TIME_MILLIS},
    {"timestamp_micros", MILL_TIMESTAMP, MILL_TIME_MICROS},
};
enum { TYPE_NAME_COUNT = sizeof(type_names) / sizeof(type_names[0]) };

static const struct type_name *find_type(struct mill__config *c, const struct mill__node *node, const char *field)
{
    const char *names[TYPE_NAME_COUNT], *text;
    if (!mill__parse_text(c, node, mill_arena_printf(c->arena, "fields.%s", field), &text)) {
        return NULL;
    }
    for (int i = 0; i < TYPE_NAME_COUNT; i++) {
        names[i] = type_names[i].name;
        if (strcmp(text, type_names[i].name) == 0) {
            return &type_names[i];
        }
    }
    mill__problem(c, node,
                  "type '%s' is not known; expected bool, int64, float64, string, timestamp, timestamp_seconds, "
                  "timestamp_millis or timestamp_micros%s",
                  text, mill__hint_near(c, text, names, TYPE_NAME_COUNT));
    return NULL;
}

static bool fields_from_map(struct mill__config *c, const struct mill__node *map, struct mill_source_spec *spec)
{
    if (map->kind != MILL__MAP || map->count == 0 || map->count > FIELDS_MAX) {
        mill__problem(c, map,
                      "'fields': expected a mapping of at least one and at most %d field names to types, found %s",
                      FIELDS_MAX, map->count == 0 ? "none" : mill__node_found(c, map));
        return false;
    }
    struct mill_field *fields = mill_arena_zarray(c->arena, struct mill_field, map->count);
    enum mill_time_unit *units = mill_arena_zarray(c->arena, enum mill_time_unit, map->count);
    bool good = true;
    for (uint32_t i = 0; i < map->count; i++) {
        const struct mill__node *key = map->pairs[i].key;
        const struct type_name *type = find_type(c, map->pairs[i].value, key->text.p);
        good = good && type != NULL;
        fields[i].name = key->text.p;
        fields[i].type = type == NULL ? MILL_STRING : type->type;
        units[i] = type == NULL ? MILL_TIME_TEXT : type->unit;
        if (key->text.n == 0 || key->text.n > 200) {
            mill__problem(c, key, "expected the name of a field, at most 200 bytes");
            good = false;
        }
    }
    spec->schema = (struct mill_schema){fields, map->count};
    spec->time_unit = units;
    return good;
}

/* Reads a schema file named by the text; p NULL after a problem. */
static struct mill_slice read_schema(struct mill__config *c, const struct mill__text *file)
{
    struct mill_buffer bytes = {0};
    struct mill_error err;
    struct mill_slice schema = {NULL, 0};
    if (mill_file_read(mill__path_beside(c, file->s), SCHEMA_BYTES_MAX, &bytes, &err) < 0) {
        mill__problem(c, file->node, "%s", err.msg);
    } else {
        schema.p = mill_arena_strndup(c->arena, bytes.p == NULL ? "" : bytes.p, bytes.n);
        schema.n = bytes.n;
    }
    mill_buffer_clear(&bytes);
    return schema;
}

static bool fields_from_schema(struct mill__config *c, const struct mill__text *file, struct mill_source_spec *spec,
                               struct mill_slice *ret_schema)
{
    struct mill_error err = {0};
    *ret_schema = read_schema(c, file);
    if (ret_schema->p == NULL) {
        return false;
    }
    if (mill_source_fields_from_avro(*ret_schema, c->arena, &spec->schema, &spec->time_unit, &err) < 0) {
        if (err.line > 0) {
            mill__problem(c, file->node, "'%s' at %u:%u: %s", file->s, err.line, err.col, err.msg);
        } else {
            mill__problem(c, file->node, "'%s': %s", file->s, err.msg);
        }
        return false;
    }
    return true;
}

/* ------------------------------------------------------------------------------------------------
 * Formats
 * --------------------------------------------------------------------------------------------- */

static bool resolve_json(struct mill__config *c, const struct mill__node *node, struct mill_source_spec *spec)
{
    struct mill__raw_json json = {0};
    struct mill_slice unused;
    mill__bind(c, &mill__json_table, node, &json, "message_format.json", false);
    if (json.node == NULL) {
        return false;
    }
    if ((json.fields == NULL) == (json.schema_file.node == NULL)) {
        mill__problem(c, node, "json needs either 'fields' or 'schema_file', found %s",
                      json.fields == NULL ? "neither" : "both");
        return false;
    }
    if (json.fields != NULL) {
        return fields_from_map(c, json.fields, spec);
    }
    return json.schema_file.s != NULL && fields_from_schema(c, &json.schema_file, spec, &unused);
}

static void resolve_registry(struct mill__config *c, const struct mill__raw_schema_registry *raw,
                             struct mill_source_spec *spec)
{
    spec->registry_url = raw->url.s;
    if (raw->url.s != NULL && strncmp(raw->url.s, "http://", 7) != 0 && strncmp(raw->url.s, "https://", 8) != 0) {
        mill__problem(c, raw->url.node, "'url': expected http://... or https://..., found '%s'", raw->url.s);
    }
    const char *password = mill__secret(c, &raw->password, &raw->password_file);
    if (password != NULL && raw->username.s == NULL) {
        mill__problem(c, raw->node, "schema_registry has a password but no username");
    } else if (raw->username.s != NULL) {
        spec->registry_auth = mill_arena_printf(c->arena, "%s:%s", raw->username.s, password == NULL ? "" : password);
    }
    if (raw->cache_dir.s != NULL) {
        spec->registry_cache = mill__path_beside(c, raw->cache_dir.s);
    }
}

static bool resolve_avro(struct mill__config *c, const struct mill__node *node, struct mill_source_spec *spec)
{
    struct mill__raw_avro avro = {0};
    mill__bind(c, &mill__avro_table, node, &avro, "message_format.avro", false);
    if (avro.node == NULL) {
        return false;
    }
    spec->format = MILL_FORMAT_AVRO;
    spec->framing = (enum mill_framing)avro.framing;
    if (avro.schema_registry.node != NULL) {
        resolve_registry(c, &avro.schema_registry, spec);
    } else if (spec->framing == MILL_FRAMING_CONFLUENT || spec->framing == MILL_FRAMING_CONFLUENT_HEADER) {
        mill__problem(c, node, "framing %s needs a 'schema_registry' to look schema ids up in",
                      spec->framing == MILL_FRAMING_CONFLUENT ? "confluent" : "confluent_header");
    }
    struct mill_slice *known = mill_arena_zarray(c->arena, struct mill_slice, avro.known_schemas.count);
    for (uint32_t i = 0; i < avro.known_schemas.count; i++) {
        known[i] = read_schema(c, &avro.known_schemas.at[i]);
    }
    spec->known_schemas = known;
    spec->known_schema_count = avro.known_schemas.count;
    return avro.schema_file.s != NULL && fields_from_schema(c, &avro.schema_file, spec, &spec->avro_schema);
}

/* False where the fields are not known afterwards. */
static bool resolve_format(struct mill__config *c, const struct mill__raw_source *raw, struct mill_source_spec *spec)
{
    static const char *const words[] = {"json", "avro"};
    const struct mill__node *format = raw->message_format, *value = NULL;
    const char *word = "json";

    spec->format = MILL_FORMAT_JSON;
    if (format != NULL && format->bad) {
        return false;
    }
    if (format != NULL && format->kind == MILL__SCALAR) {
        word = format->text.p;
    } else if (format != NULL && format->kind == MILL__MAP && format->count == 1) {
        word = format->pairs[0].key->text.p;
        value = format->pairs[0].value;
    } else if (format != NULL) {
        mill__problem(c, format, "'message_format': expected json, avro, {json: {...}} or {avro: {...}}, found %s",
                      format->kind == MILL__LIST ? "a list" : "a mapping of several keys");
        return false;
    }
    bool json = strcmp(word, "json") == 0;
    if (!json && strcmp(word, "avro") != 0) {
        mill__problem(c, format, "message format '%s' is not known; expected json or avro%s", word,
                      mill__hint_near(c, word, words, 2));
        return false;
    }
    if (value != NULL && raw->fields != NULL) {
        mill__problem(c, raw->fields,
                      "'fields' is short for message_format: {json: {fields: ...}}; expected only one of "
                      "the two");
    }
    if (value != NULL) {
        return json ? resolve_json(c, value, spec) : resolve_avro(c, value, spec);
    }
    if (!json) {
        mill__problem(c, format, "avro needs a schema; expected message_format: {avro: {schema_file: FILE}}");
        return false;
    }
    if (raw->fields == NULL) {
        mill__problem(c, raw->node, "source lacks its fields; expected 'fields' or a 'message_format' that names them");
        return false;
    }
    return fields_from_map(c, raw->fields, spec);
}

/* ------------------------------------------------------------------------------------------------
 * Rules
 * --------------------------------------------------------------------------------------------- */

/* Index of a field, or -1 after a problem at node. */
static int find_field(struct mill__config *c, const struct mill_source_spec *spec, const struct mill__node *node,
                      const char *name)
{
    int column = mill_schema_find(&spec->schema, mill_slice_of(name));
    if (column < 0) {
        mill__problem(c, node, "source '%s' has no field '%s'%s", spec->name, name,
                      mill__hint_fields(c, name, &spec->schema));
    }
    return column;
}

static void set_range(struct mill__config *c, const struct mill__node *node, struct mill_field_rule *rule,
                      const char *field)
{
    if (node->kind != MILL__LIST || node->count != 2) {
        mill__problem(c, node, "'ranges.%s': expected [min, max], found %s%s", field, mill__node_found(c, node),
                      node->kind == MILL__LIST ? mill_arena_printf(c->arena, " of %u", node->count) : "");
        return;
    }
    double bound[2] = {-INFINITY, INFINITY};
    for (int i = 0; i < 2; i++) {
        if (!mill__node_is_null(node->items[i]) && !mill__parse_number(c, node->items[i], field, &bound[i])) {
            return;
        }
    }
    if (bound[0] > bound[1]) {
        mill__problem(c, node, "'ranges.%s': the smallest value is above the largest", field);
        return;
    }
    rule->has_range = true;
    rule->min = bound[0];
    rule->max = bound[1];
}

static void set_allowed(struct mill__config *c, const struct mill__node *node, struct mill_field_rule *rule,
                        const char *field)
{
    if (node->kind != MILL__LIST || node->count == 0) {
        mill__problem(c, node, "'allowed_values.%s': expected a list of at least one text, found %s", field,
                      node->kind == MILL__LIST ? "an empty one" : mill__node_found(c, node));
        return;
    }
    struct mill_slice *allowed = mill_arena_zarray(c->arena, struct mill_slice, node->count);
    for (uint32_t i = 0; i < node->count; i++) {
        const char *text;
        if (mill__parse_text(c, node->items[i], field, &text)) {
            allowed[i] = mill_slice_of(text);
        }
    }
    rule->allowed = allowed;
    rule->allowed_count = node->count;
}

static void resolve_map_rules(struct mill__config *c, const struct mill_source_spec *spec, const struct mill__node *map,
                              bool ranges, struct mill_field_rule *rules)
{
    if (map == NULL) {
        return;
    }
    if (map->kind != MILL__MAP) {
        mill__problem(c, map, "expected a mapping of fields to %s, found %s", ranges ? "[min, max]" : "lists of texts",
                      mill__node_found(c, map));
        return;
    }
    for (uint32_t i = 0; i < map->count; i++) {
        const struct mill__node *key = map->pairs[i].key, *value = map->pairs[i].value;
        int column = find_field(c, spec, key, key->text.p);
        if (column < 0) {
            continue;
        }
        enum mill_type type = spec->schema.fields[column].type;
        if (ranges && type != MILL_INT64 && type != MILL_FLOAT64 && type != MILL_TIMESTAMP) {
            mill__problem(c, key, "field '%s' is of type %s; expected a number or a timestamp for a range", key->text.p,
                          mill_type_name(type));
        } else if (!ranges && type != MILL_STRING) {
            mill__problem(c, key, "field '%s' is of type %s; expected a string for allowed values", key->text.p,
                          mill_type_name(type));
        } else if (ranges) {
            set_range(c, value, &rules[column], key->text.p);
        } else {
            set_allowed(c, value, &rules[column], key->text.p);
        }
    }
}

static void resolve_rules(struct mill__config *c, const struct mill__raw_validate *raw, struct mill_source_spec *spec)
{
    uint32_t count = spec->schema.field_count, kept = 0;
    struct mill_field_rule *rules = mill_arena_zarray(c->arena, struct mill_field_rule, count);
    for (uint32_t i = 0; i < raw->required.count; i++) {
        int column = find_field(c, spec, raw->required.at[i].node, raw->required.at[i].s);
        if (column >= 0) {
            rules[column].required = true;
        }
    }
    resolve_map_rules(c, spec, raw->ranges, true, rules);
    resolve_map_rules(c, spec, raw->allowed_values, false, rules);
    for (uint32_t i = 0; i < count; i++) {
        if (rules[i].required || rules[i].has_range || rules[i].allowed_count > 0) {
            rules[i].column = i;
            rules[kept++] = rules[i];
        }
    }
    spec->rules = rules;
    spec->rule_count = kept;
}

/* ------------------------------------------------------------------------------------------------
 * Sources
 * --------------------------------------------------------------------------------------------- */

static void resolve_key(struct mill__config *c, const struct mill__raw_source *raw, struct mill_source_config *source)
{
    if (raw->key.count > MILL_KEY_PARTS_MAX) {
        mill__problem(c, raw->key.node, "a key has at most %d fields, found %u", MILL_KEY_PARTS_MAX, raw->key.count);
        return;
    }
    for (uint32_t i = 0; i < raw->key.count; i++) {
        int column = find_field(c, &source->spec, raw->key.at[i].node, raw->key.at[i].s);
        if (column < 0) {
            continue;
        }
        enum mill_type type = source->spec.schema.fields[column].type;
        if (type != MILL_STRING && type != MILL_INT64) {
            mill__problem(c, raw->key.at[i].node, "field '%s' is of type %s; expected a string or int64 for a key",
                          raw->key.at[i].s, mill_type_name(type));
        }
        source->key_columns[source->key_count++] = (uint32_t)column;
    }
}

static void resolve_timestamp(struct mill__config *c, const struct mill__raw_source *raw, struct mill_source_spec *spec)
{
    if (raw->timestamp_field.s == NULL) {
        return;
    }
    int column = find_field(c, spec, raw->timestamp_field.node, raw->timestamp_field.s);
    if (column < 0) {
        return;
    }
    spec->timestamp_column = (uint32_t)column;
    enum mill_type type = spec->schema.fields[column].type;
    if (type != MILL_TIMESTAMP) {
        mill__problem(c, raw->timestamp_field.node, "field '%s' is of type %s; expected a timestamp%s",
                      raw->timestamp_field.s, mill_type_name(type),
                      spec->format == MILL_FORMAT_AVRO
                          ? "; hint: in Avro a long with logicalType timestamp-millis or timestamp-micros"
                          : "; hint: timestamp_millis is a number of milliseconds, timestamp is text");
    }
}

/* Whether the schemas go together is for the decoder to say. Where a registry is in play it would have to be asked, and
 * loading a file asks nobody. */
static void check_decoder(struct mill__config *c, const struct mill__raw_source *raw,
                          const struct mill_source_spec *spec)
{
    struct mill_decoder *decoder;
    struct mill_error err;
    if (spec->registry_url != NULL || spec->framing == MILL_FRAMING_CONFLUENT ||
        spec->framing == MILL_FRAMING_CONFLUENT_HEADER) {
        return;
    }
    if (mill_decoder_open(spec, &decoder, &err) < 0) {
        mill__problem(c, raw->message_format, "%s", err.msg);
        return;
    }
    mill_decoder_close(decoder);
}

static void resolve_source(struct mill__config *c, const struct mill__raw_source *raw, struct mill_project *project,
                           struct mill_source_config *source)
{
    struct mill_source_spec *spec = &source->spec;
    struct mill__text topic = raw->topic;

    source->line = raw->node == NULL ? 0 : raw->node->line;
    source->col = raw->node == NULL ? 0 : raw->node->col;
    source->allowed_lateness_us = raw->allowed_lateness_us;
    source->late_events = (enum mill_late_policy)raw->late_events;
    source->max_idle_us = raw->max_idle_us;
    spec->name = raw->name.s == NULL ? "" : raw->name.s;
    if (raw->node == NULL) {
        return;
    }
    mill__text_default(&topic, mill_arena_printf(c->arena, "%s.%s", project->name, spec->name));
    spec->topic = topic.s == NULL ? "" : topic.s;
    spec->max_null_fraction = raw->validate.max_null_fraction;
    spec->null_window_us = raw->validate.null_window_us;
    spec->allow_non_finite = raw->validate.allow_non_finite;
    spec->record_bytes_max = (uint32_t)raw->validate.max_record_size;
    uint32_t errors = c->problems->error_count;
    if (!resolve_format(c, raw, spec)) {
        spec->schema = (struct mill_schema){NULL, 0};
        return;
    }
    resolve_timestamp(c, raw, spec);
    resolve_key(c, raw, source);
    resolve_rules(c, &raw->validate, spec);
    if (spec->format == MILL_FORMAT_AVRO && c->problems->error_count == errors) {
        check_decoder(c, raw, spec);
    }
}

static void check_topics(struct mill__config *c, const struct mill__raw_source *raws,
                         const struct mill_source_config *sources, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < i; k++) {
            if (sources[i].spec.topic != NULL && sources[k].spec.topic != NULL && sources[i].spec.topic[0] != '\0' &&
                strcmp(sources[i].spec.topic, sources[k].spec.topic) == 0 &&
                strcmp(sources[i].spec.name, sources[k].spec.name) != 0) {
                mill__problem(c, raws[i].topic.node != NULL ? raws[i].topic.node : raws[i].node,
                              "topic '%s' is read by source '%s' already; expected one source for a topic",
                              sources[i].spec.topic, sources[k].spec.name);
                break;
            }
        }
    }
}

void mill__resolve_sources(struct mill__config *c, const struct mill__raw_project *raw, struct mill_project *project)
{
    const struct mill__raw_source *raws = raw->sources.at;
    uint32_t count = raw->sources.count;
    struct mill_source_config *sources = mill_arena_zarray(c->arena, struct mill_source_config, count);
    const struct mill__text **names = mill_arena_array(c->arena, const struct mill__text *, count);

    if (count == 0 && raw->sources.node != NULL && raw->sources.node->kind == MILL__LIST &&
        raw->sources.node->count == 0) {
        mill__problem(c, raw->sources.node, "'sources': expected at least one source, found an empty list");
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = &raws[i].name;
        resolve_source(c, &raws[i], project, &sources[i]);
    }
    mill__check_unique(c, "source", names, count);
    check_topics(c, raws, sources, count);
    project->sources = sources;
    project->source_count = count;
}
