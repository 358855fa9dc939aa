/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro schema text to nodes; see schema_internal.h.
 *
 * Attributes of a JSON object may come in any order, so an object is read twice: mill__schema_find_attributes()
 * remembers where the value of each known attribute starts (a copy of the pull reader), then the type is built from
 * those places. JSON's depth limit bounds the recursion.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/number.h"
#include "base/suggest.h"
#include "ingest/avro/schema_parse_internal.h"

static int parse_type(struct mill__schema_parser *p, struct mill_json_reader *r, struct mill_slice space,
                      const struct mill__avro_node **ret_node);

/* ---- nodes and names ---- */

/* letters, digits and underscores, not a digit first; several of them with dots between where dots is set. */
static bool is_name(struct mill_slice s, bool dots)
{
    bool start = true;

    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (c == '.' && dots && !start) {
            start = true;
            continue;
        }
        if (!letter && (start || c < '0' || c > '9')) {
            return false;
        }
        start = false;
    }
    return !start;
}

static bool has_dot(struct mill_slice name)
{
    return memchr(name.p, '.', name.n) != NULL;
}

static struct mill_slice full_name(struct mill__schema_parser *p, struct mill_slice name, struct mill_slice space)
{
    if (space.n == 0 || has_dot(name)) {
        return mill_arena_slice(&p->schema->arena, name);
    }
    char *text = mill_arena_alloc(&p->schema->arena, space.n + 1 + name.n);
    memcpy(text, space.p, space.n);
    text[space.n] = '.';
    memcpy(text + space.n + 1, name.p, name.n);
    struct mill_slice s = {text, space.n + 1 + name.n};
    return s;
}

static struct mill_slice space_of(struct mill_slice name)
{
    const char *dot = memrchr(name.p, '.', name.n);
    struct mill_slice s = {name.p, dot == NULL ? 0 : (size_t)(dot - name.p)};
    return s;
}

static struct mill__avro_node *find_named(struct mill__schema_parser *p, struct mill_slice name)
{
    struct mill__avro_node *node = p->named[mill_hash64(name.p, name.n) % MILL__NAME_BUCKETS];
    while (node != NULL && !mill_slice_equal(node->name, name)) {
        node = node->next_named;
    }
    return node;
}

static void add_named(struct mill__schema_parser *p, struct mill__avro_node *node)
{
    struct mill__avro_node **bucket = &p->named[mill_hash64(node->name.p, node->name.n) % MILL__NAME_BUCKETS];
    node->next_named = *bucket;
    *bucket = node;
}

static const char *const type_names[MILL__AVRO_TYPE_COUNT] = {
    "null",   "boolean", "int",  "long",  "float", "double", "bytes",
    "string", "record",  "enum", "array", "map",   "fixed",  "union",
};

const char *mill__avro_type_name(enum mill__avro_type type)
{
    mill_assert((unsigned)type < MILL__AVRO_TYPE_COUNT);
    return type_names[type];
}

static int find_type_name(struct mill_slice name)
{
    for (int t = 0; t < MILL__AVRO_UNION; t++) {
        if (mill_slice_is(name, type_names[t])) {
            return t;
        }
    }
    return -1;
}

static int fail_unknown(struct mill__schema_parser *p, struct mill_slice name)
{
    const char *near = mill_suggest(name, type_names, MILL__AVRO_UNION);
    return mill__schema_fail(p, "unknown type '%.*s'%s%s%s", mill__shown_length(name), name.p,
                             near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near,
                             near == NULL ? "" : "'?");
}

/* A type written as a string: a primitive or the name of one that was declared before. */
static int resolve_name(struct mill__schema_parser *p, struct mill_slice name, struct mill_slice space,
                        const struct mill__avro_node **ret_node)
{
    int type = find_type_name(name);

    if (type >= 0 && type < MILL__AVRO_RECORD) {
        struct mill__avro_node *node;
        MILL_TRY(mill__schema_new_node(p, (enum mill__avro_type)type, &node));
        *ret_node = node;
        return 0;
    }
    if (type >= 0) {
        return mill__schema_fail(p, "'%s' needs attributes: write {\"type\": \"%s\", ...}", type_names[type],
                                 type_names[type]);
    }
    struct mill__avro_node *found = find_named(p, full_name(p, name, space));
    if (found == NULL) {
        found = find_named(p, name); /* as all implementations do where a namespace holds no such name */
    }
    if (found == NULL) {
        return fail_unknown(p, name);
    }
    MILL_TRY(mill__schema_count_nodes(p, 1));
    *ret_node = found;
    return 0;
}

/* ---- named types ---- */

static int parse_aliases(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                         struct mill_slice space, bool names, const struct mill_slice **ret_aliases,
                         uint32_t *ret_count)
{
    if (!attributes->has[MILL__ATTR_ALIASES]) {
        return 0;
    }
    const struct mill_slice *texts;
    MILL_TRY(mill__schema_attribute_strings(p, attributes, MILL__ATTR_ALIASES, &texts, ret_count));
    struct mill_slice *aliases = mill_arena_array(&p->schema->arena, struct mill_slice, *ret_count);
    for (uint32_t i = 0; i < *ret_count; i++) {
        if (!is_name(texts[i], names)) {
            return mill__schema_fail(p, "alias '%.*s' is not a name", mill__shown_length(texts[i]), texts[i].p);
        }
        aliases[i] = names ? full_name(p, texts[i], space) : texts[i];
    }
    *ret_aliases = aliases;
    return 0;
}

/* Name, namespace and aliases; enters the node into the table of names before its fields, which may refer to it. */
static int parse_named(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                       struct mill_slice space, struct mill__avro_node *node)
{
    struct mill_slice name;

    MILL_TRY(mill__schema_attribute_string(p, attributes, MILL__ATTR_NAME, &name));
    if (!is_name(name, true)) {
        return mill__schema_fail(p, "'%.*s' is not a name: letters, digits and underscores, not a digit first",
                                 mill__shown_length(name), name.p);
    }
    if (attributes->has[MILL__ATTR_NAMESPACE]) {
        MILL_TRY(mill__schema_attribute_string(p, attributes, MILL__ATTR_NAMESPACE, &space));
        if (space.n > 0 && !is_name(space, true)) {
            return mill__schema_fail(p, "'%.*s' is not a namespace", mill__shown_length(space), space.p);
        }
    }
    node->name = full_name(p, name, space);
    if (!has_dot(node->name) && find_type_name(node->name) >= 0) {
        return mill__schema_fail(p, "'%.*s' is the name of a built-in type", mill__shown_length(name), name.p);
    }
    if (find_named(p, node->name) != NULL) {
        return mill__schema_fail(p, "type '%.*s' is declared twice", mill__shown_length(node->name), node->name.p);
    }
    add_named(p, node);
    return parse_aliases(p, attributes, space_of(node->name), true, &node->aliases, &node->alias_count);
}

/* The text of the default, so that it can be read again when a plan needs it. */
static int take_default(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                        struct mill__avro_field *field)
{
    struct mill_json_reader r = attributes->at[MILL__ATTR_DEFAULT];
    const char *from = r.p, *to;

    MILL_TRY(mill__schema_skip_value(p, &r));
    to = r.p;
    while (from < to && (*from == ':' || *from == ' ' || *from == '\t' || *from == '\r' || *from == '\n')) {
        from++;
    }
    field->has_default = true;
    field->default_text = (struct mill_slice){from, (size_t)(to - from)};
    return 0;
}

static int parse_field(struct mill__schema_parser *p, struct mill_json_reader *r, const struct mill__avro_node *record,
                       struct mill__avro_field *field)
{
    struct mill__schema_attributes attributes;
    enum mill_json_token token;
    char outer_place[MILL__PLACE_SIZE];

    MILL_TRY(mill__schema_next_token(p, r, &token));
    if (token != MILL_JSON_OBJECT_BEGIN) {
        return mill__schema_fail(p, "a field must be an object with 'name' and 'type'");
    }
    MILL_TRY(mill__schema_find_attributes(p, r, &attributes));
    MILL_TRY(mill__schema_attribute_string(p, &attributes, MILL__ATTR_NAME, &field->name));
    if (!is_name(field->name, false)) {
        return mill__schema_fail(p, "'%.*s' is not a field name: letters, digits and underscores, not a digit first",
                                 mill__shown_length(field->name), field->name.p);
    }
    memcpy(outer_place, p->place, sizeof(outer_place));
    snprintf(p->place, sizeof(p->place), ", field '%.*s'", mill__shown_length(field->name), field->name.p);
    for (const struct mill__avro_field *other = record->fields; other < field; other++) {
        if (mill_slice_equal(other->name, field->name)) {
            return mill__schema_fail(p, "is declared twice in record '%.*s'", mill__shown_length(record->name),
                                     record->name.p);
        }
    }
    if (!attributes.has[MILL__ATTR_TYPE]) {
        return mill__schema_fail(p, "attribute 'type' is missing");
    }
    MILL_TRY(parse_aliases(p, &attributes, record->name, false, &field->aliases, &field->alias_count));
    if (attributes.has[MILL__ATTR_DEFAULT]) {
        MILL_TRY(take_default(p, &attributes, field));
    }
    MILL_TRY(parse_type(p, &attributes.at[MILL__ATTR_TYPE], space_of(record->name), &field->type));
    memcpy(p->place, outer_place, sizeof(outer_place));
    return 0;
}

static int parse_record(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                        struct mill_slice space, struct mill__avro_node *node)
{
    MILL_TRY(parse_named(p, attributes, space, node));
    struct mill_json_reader r = attributes->at[MILL__ATTR_FIELDS];
    if (!attributes->has[MILL__ATTR_FIELDS] || mill_json_next(&r) != MILL_JSON_ARRAY_BEGIN) {
        return mill__schema_fail(p, "record '%.*s' needs 'fields', an array", mill__shown_length(node->name),
                                 node->name.p);
    }
    uint32_t count;
    MILL_TRY(mill__schema_count_items(p, r, &count));
    node->fields = mill_arena_zarray(&p->schema->arena, struct mill__avro_field, count);
    for (uint32_t i = 0; i < count; i++) {
        MILL_TRY(parse_field(p, &r, node, &node->fields[i]));
        node->count = i + 1;
    }
    return 0;
}

static int parse_enum(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                      struct mill_slice space, struct mill__avro_node *node)
{
    struct mill_slice symbol;

    MILL_TRY(parse_named(p, attributes, space, node));
    if (!attributes->has[MILL__ATTR_SYMBOLS]) {
        return mill__schema_fail(p, "enum '%.*s' needs 'symbols', an array of strings", mill__shown_length(node->name),
                                 node->name.p);
    }
    MILL_TRY(mill__schema_attribute_strings(p, attributes, MILL__ATTR_SYMBOLS, &node->symbols, &node->count));
    for (uint32_t i = 0; i < node->count; i++) {
        if (!is_name(node->symbols[i], false)) {
            return mill__schema_fail(p, "symbol '%.*s' of enum '%.*s' is not a name",
                                     mill__shown_length(node->symbols[i]), node->symbols[i].p,
                                     mill__shown_length(node->name), node->name.p);
        }
        for (uint32_t j = 0; j < i; j++) {
            if (mill_slice_equal(node->symbols[i], node->symbols[j])) {
                return mill__schema_fail(p, "symbol '%.*s' is twice in enum '%.*s'",
                                         mill__shown_length(node->symbols[i]), node->symbols[i].p,
                                         mill__shown_length(node->name), node->name.p);
            }
        }
    }
    if (!attributes->has[MILL__ATTR_DEFAULT]) {
        return 0;
    }
    MILL_TRY(mill__schema_attribute_string(p, attributes, MILL__ATTR_DEFAULT, &symbol));
    for (uint32_t i = 0; i < node->count; i++) {
        node->default_symbol = mill_slice_equal(node->symbols[i], symbol) ? (int32_t)i : node->default_symbol;
    }
    return node->default_symbol >= 0
               ? 0
               : mill__schema_fail(p, "default '%.*s' is not a symbol of enum '%.*s'", mill__shown_length(symbol),
                                   symbol.p, mill__shown_length(node->name), node->name.p);
}

static int parse_fixed(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                       struct mill_slice space, struct mill__avro_node *node)
{
    struct mill_json_reader r = attributes->at[MILL__ATTR_SIZE];

    MILL_TRY(parse_named(p, attributes, space, node));
    if (!attributes->has[MILL__ATTR_SIZE] || mill_json_next(&r) != MILL_JSON_NUMBER ||
        mill_number_parse_int64(r.text.p, r.text.p + r.text.n, &node->size) != r.text.p + r.text.n || node->size < 0 ||
        node->size > INT32_MAX) {
        return mill__schema_fail(p, "fixed '%.*s' needs 'size', a whole number of bytes",
                                 mill__shown_length(node->name), node->name.p);
    }
    return 0;
}

/* ---- types ---- */

static int parse_item(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                      struct mill_slice space, struct mill__avro_node *node)
{
    enum mill__schema_attribute which = node->type == MILL__AVRO_ARRAY ? MILL__ATTR_ITEMS : MILL__ATTR_VALUES;

    if (!attributes->has[which]) {
        return mill__schema_fail(p, "type '%s' needs attribute '%s'", type_names[node->type],
                                 mill__schema_attribute_names[which]);
    }
    return parse_type(p, &attributes->at[which], space, &node->item);
}

static int parse_logical(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                         struct mill__avro_node *node)
{
    struct mill_slice name;

    if (!attributes->has[MILL__ATTR_LOGICAL] || node->type != MILL__AVRO_LONG) {
        return 0;
    }
    MILL_TRY(mill__schema_attribute_string(p, attributes, MILL__ATTR_LOGICAL, &name));
    if (mill_slice_is(name, "timestamp-millis") || mill_slice_is(name, "local-timestamp-millis")) {
        node->logical = MILL__AVRO_TIMESTAMP_MILLIS;
    } else if (mill_slice_is(name, "timestamp-micros") || mill_slice_is(name, "local-timestamp-micros")) {
        node->logical = MILL__AVRO_TIMESTAMP_MICROS;
    }
    return 0;
}

/* An object whose begin was read. */
static int parse_object(struct mill__schema_parser *p, struct mill_json_reader *r, struct mill_slice space,
                        const struct mill__avro_node **ret_node)
{
    struct mill__schema_attributes attributes;
    struct mill__avro_node *node;
    struct mill_slice name;

    MILL_TRY(mill__schema_find_attributes(p, r, &attributes));
    struct mill_json_reader inner = attributes.at[MILL__ATTR_TYPE];
    if (attributes.has[MILL__ATTR_TYPE] && mill_json_next(&inner) != MILL_JSON_STRING) {
        return parse_type(p, &attributes.at[MILL__ATTR_TYPE], space, ret_node); /* {"type": {"type": ...}} */
    }
    MILL_TRY(mill__schema_attribute_string(p, &attributes, MILL__ATTR_TYPE, &name));
    int type = find_type_name(name);
    if (type < 0) {
        return resolve_name(p, name, space, ret_node);
    }
    MILL_TRY(mill__schema_new_node(p, (enum mill__avro_type)type, &node));
    *ret_node = node;
    switch (node->type) {
    case MILL__AVRO_RECORD:
        return parse_record(p, &attributes, space, node);
    case MILL__AVRO_ENUM:
        return parse_enum(p, &attributes, space, node);
    case MILL__AVRO_FIXED:
        return parse_fixed(p, &attributes, space, node);
    case MILL__AVRO_ARRAY:
    case MILL__AVRO_MAP:
        return parse_item(p, &attributes, space, node);
    case MILL__AVRO_NULL:
    case MILL__AVRO_BOOLEAN:
    case MILL__AVRO_INT:
    case MILL__AVRO_LONG:
    case MILL__AVRO_FLOAT:
    case MILL__AVRO_DOUBLE:
    case MILL__AVRO_BYTES:
    case MILL__AVRO_STRING:
    case MILL__AVRO_UNION:
        break;
    }
    return parse_logical(p, &attributes, node);
}

/* Unnamed types may be in a union once, named ones once per name; unions not at all. */
static int check_branch(struct mill__schema_parser *p, const struct mill__avro_node *node, uint32_t index)
{
    const struct mill__avro_node *branch = node->branches[index];

    if (branch->type == MILL__AVRO_UNION) {
        return mill__schema_fail(p, "a union may not hold a union directly");
    }
    for (uint32_t i = 0; i < index; i++) {
        if (node->branches[i]->type == branch->type && mill_slice_equal(node->branches[i]->name, branch->name)) {
            return mill__schema_fail(p, "a union holds type '%s' twice", type_names[branch->type]);
        }
    }
    return 0;
}

/* An array whose begin was read. */
static int parse_union(struct mill__schema_parser *p, struct mill_json_reader *r, struct mill_slice space,
                       const struct mill__avro_node **ret_node)
{
    struct mill__avro_node *node;
    uint32_t count;

    MILL_TRY(mill__schema_new_node(p, MILL__AVRO_UNION, &node));
    MILL_TRY(mill__schema_count_items(p, *r, &count));
    if (count == 0) {
        return mill__schema_fail(p, "a union needs at least one type");
    }
    node->branches = mill_arena_zarray(&p->schema->arena, const struct mill__avro_node *, count);
    for (uint32_t i = 0; i < count; i++) {
        MILL_TRY(parse_type(p, r, space, &node->branches[i]));
        MILL_TRY(check_branch(p, node, i));
        node->count = i + 1;
    }
    *ret_node = node;
    return mill_json_next(r) == MILL_JSON_ARRAY_END ? 0 : mill__schema_fail_json(p, r);
}

static int parse_type(struct mill__schema_parser *p, struct mill_json_reader *r, struct mill_slice space,
                      const struct mill__avro_node **ret_node)
{
    enum mill_json_token token;

    MILL_TRY(mill__schema_next_token(p, r, &token));
    switch (token) {
    case MILL_JSON_STRING:
        return resolve_name(p, mill_arena_slice(&p->schema->arena, r->text), space, ret_node);
    case MILL_JSON_OBJECT_BEGIN:
        return parse_object(p, r, space, ret_node);
    case MILL_JSON_ARRAY_BEGIN:
        return parse_union(p, r, space, ret_node);
    case MILL_JSON_OBJECT_END:
    case MILL_JSON_ARRAY_END:
    case MILL_JSON_KEY:
    case MILL_JSON_NUMBER:
    case MILL_JSON_TRUE:
    case MILL_JSON_FALSE:
    case MILL_JSON_NULL:
    case MILL_JSON_END:
    case MILL_JSON_ERROR:
        break;
    }
    return mill__schema_fail(p, "a type must be a name, an object or an array of types");
}

static int parse_text(struct mill__schema_parser *p, struct mill_slice text)
{
    struct mill_json_reader r;
    struct mill_slice no_space = {"", 0};

    if (text.n > MILL__AVRO_TEXT_MAX) {
        return mill__schema_fail(p, "is %zu bytes, more than %d", text.n, MILL__AVRO_TEXT_MAX);
    }
    mill_json_reader_init(&r, mill_arena_slice(&p->schema->arena, text), &p->unescaped);
    MILL_TRY(parse_type(p, &r, no_space, &p->schema->root));
    return mill_json_next(&r) == MILL_JSON_END ? 0 : mill__schema_fail_json(p, &r);
}

int mill__avro_schema_parse(const struct mill_slice *texts, uint32_t count, struct mill__avro_schema **ret_schema,
                            struct mill_error *err)
{
    struct mill__schema_parser p = {.schema = mill_calloc(1, sizeof(*p.schema)), .err = err};
    int rc = 0;

    mill_assert(count > 0);
    mill_arena_init(&p.schema->arena, 0);
    for (uint32_t i = 0; i < count && rc == 0; i++) {
        rc = parse_text(&p, texts[i]);
    }
    mill_buffer_clear(&p.unescaped);
    if (rc < 0) {
        mill__avro_schema_free(p.schema);
        return rc;
    }
    *ret_schema = p.schema;
    return 0;
}

void mill__avro_schema_free(struct mill__avro_schema *schema)
{
    if (schema != NULL) {
        mill_arena_clear(&schema->arena);
        free(schema);
    }
}
