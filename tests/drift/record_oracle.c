/* SPDX-License-Identifier: Apache-2.0 */
/* Records of the drift topics against their published schemas; see record_oracle.h. */
#include "record_oracle.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <avro.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/timestamp.h"
#include "ingest/avro/schema_internal.h"

/* ------------------------------------------------------------------ a JSON value against an Avro schema */

struct matcher {
    json_t *names; /* name -> definition */
    char path[256];
};

static bool matches(struct matcher *m, const json_t *schema, const json_t *value);

static bool matches_name(struct matcher *m, const char *name, const json_t *value)
{
    const json_t *defined = json_object_get(m->names, name);

    if (defined != NULL) {
        return matches(m, defined, value);
    }
    if (strcmp(name, "null") == 0) {
        return json_is_null(value);
    }
    if (strcmp(name, "string") == 0) {
        return json_is_string(value);
    }
    if (strcmp(name, "boolean") == 0) {
        return json_is_boolean(value);
    }
    if (strcmp(name, "int") == 0 || strcmp(name, "long") == 0) {
        return json_is_integer(value);
    }
    if (strcmp(name, "double") == 0) {
        return json_is_real(value);
    }
    fail_msg("schema: type '%s'", name);
    return false;
}

static bool matches_record(struct matcher *m, const json_t *schema, const json_t *value)
{
    const json_t *fields = json_object_get(schema, "fields"), *field;
    size_t i, seen = 0;

    if (!json_is_object(value)) {
        return false;
    }
    json_array_foreach(fields, i, field)
    {
        const char *name = json_string_value(json_object_get(field, "name"));
        const json_t *member = json_object_get(value, name);
        if (member == NULL && json_object_get(field, "default") != NULL) {
            continue;
        }
        seen++;
        if (member == NULL || !matches(m, json_object_get(field, "type"), member)) {
            snprintf(m->path, sizeof(m->path), "%s.%s", json_string_value(json_object_get(schema, "name")), name);
            return false;
        }
    }
    if (seen != json_object_size(value)) {
        snprintf(m->path, sizeof(m->path), "%s has fields that the schema has not",
                 json_string_value(json_object_get(schema, "name")));
        return false;
    }
    return true;
}

static bool matches_elements(struct matcher *m, const json_t *schema, json_t *value)
{
    const char *key;
    json_t *element;
    size_t i;

    if (json_is_array(value)) {
        json_array_foreach(value, i, element)
        {
            if (!matches(m, json_object_get(schema, "items"), element)) {
                return false;
            }
        }
    } else {
        json_object_foreach(value, key, element)
        {
            if (!matches(m, json_object_get(schema, "values"), element)) {
                return false;
            }
        }
    }
    return true;
}

static bool matches_time(const json_t *value)
{
    int64_t us;
    return json_is_string(value) && mill_timestamp_parse(mill_slice_of(json_string_value(value)), &us) == MILL_OK;
}

static bool matches_enum(const json_t *schema, const json_t *value)
{
    const json_t *symbol;
    size_t i;

    json_array_foreach(json_object_get(schema, "symbols"), i, symbol)
    {
        if (json_equal(symbol, value)) {
            return true;
        }
    }
    return false;
}

static bool matches(struct matcher *m, const json_t *schema, const json_t *value)
{
    const json_t *branch;
    size_t i;

    if (json_is_array(schema)) {
        json_array_foreach(schema, i, branch)
        {
            if (matches(m, branch, value)) {
                return true;
            }
        }
        return false;
    }
    if (json_is_string(schema)) {
        return matches_name(m, json_string_value(schema), value);
    }
    const char *type = json_string_value(json_object_get(schema, "type"));
    const json_t *name = json_object_get(schema, "name");
    if (name != NULL) {
        json_object_set(m->names, json_string_value(name), (json_t *)schema);
    }
    if (strcmp(type, "record") == 0) {
        return matches_record(m, schema, value);
    }
    if (strcmp(type, "enum") == 0) {
        return matches_enum(schema, value);
    }
    if (strcmp(type, "array") == 0 || strcmp(type, "map") == 0) {
        bool is_kind = strcmp(type, "array") == 0 ? json_is_array(value) : json_is_object(value);
        return is_kind && matches_elements(m, schema, (json_t *)value);
    }
    if (json_object_get(schema, "logicalType") != NULL) {
        return matches_time(value);
    }
    return matches_name(m, type, value);
}

/* Names are known before they are used out of order: a first occurrence may lie in a branch that is null. */
static void collect_names(json_t *schema, json_t *names)
{
    const char *key;
    json_t *element;
    size_t i;

    if (json_is_array(schema)) {
        json_array_foreach(schema, i, element)
        {
            collect_names(element, names);
        }
    } else if (json_is_object(schema)) {
        if (json_is_string(json_object_get(schema, "type")) && json_object_get(schema, "name") != NULL &&
            (json_object_get(schema, "fields") != NULL || json_object_get(schema, "symbols") != NULL)) {
            json_object_set(names, json_string_value(json_object_get(schema, "name")), schema);
        }
        json_object_foreach(schema, key, element)
        {
            collect_names(element, names);
        }
    }
}

static json_t *read_schema(const char *schema_file, struct mill_buffer *text)
{
    struct mill_error err;
    json_error_t error;
    char path[512];

    snprintf(path, sizeof(path), MILL_SOURCE_DIR "/schemas/%s", schema_file);
    assert_int_equal(mill_file_read(path, 1 << 20, text, &err), MILL_OK);
    json_t *schema = json_loadb(text->p, text->n, JSON_REJECT_DUPLICATES, &error);
    if (schema == NULL) {
        fail_msg("%s: %s", schema_file, error.text);
    }
    return schema;
}

json_t *record_read_json(const char *schema_file, struct mill_slice record)
{
    struct mill_buffer text = {0};
    json_error_t error;
    json_t *schema = read_schema(schema_file, &text);
    json_t *value = json_loadb(record.p, record.n, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error);

    if (value == NULL) {
        fail_msg("not JSON: %s: %.*s", error.text, (int)record.n, record.p);
    }
    struct matcher m = {json_object(), ""};
    collect_names(schema, m.names);
    if (!matches(&m, schema, value)) {
        fail_msg("%s: %s does not match: %.*s", schema_file, m.path, (int)record.n, record.p);
    }
    json_decref(m.names);
    json_decref(schema);
    mill_buffer_clear(&text);
    return value;
}

/* ------------------------------------------------------------------ an Avro value as JSON */

static json_t *to_json(const json_t *names, const json_t *schema, const avro_value_t *value);

static json_t *record_to_json(const json_t *names, const json_t *schema, const avro_value_t *value)
{
    const json_t *fields = json_object_get(schema, "fields"), *field;
    json_t *object = json_object();
    size_t i;

    json_array_foreach(fields, i, field)
    {
        const char *name = json_string_value(json_object_get(field, "name")), *found;
        avro_value_t member;
        assert_int_equal(avro_value_get_by_index(value, i, &member, &found), 0);
        assert_string_equal(found, name);
        json_t *json = to_json(names, json_object_get(field, "type"), &member);
        if (json_is_null(json) && json_object_get(field, "default") != NULL) {
            json_decref(json);
        } else {
            json_object_set_new(object, name, json);
        }
    }
    return object;
}

static json_t *elements_to_json(const json_t *names, const json_t *schema, const avro_value_t *value)
{
    bool is_map = avro_value_get_type(value) == AVRO_MAP;
    json_t *elements = is_map ? json_object() : json_array();
    size_t count;

    assert_int_equal(avro_value_get_size(value, &count), 0);
    for (size_t i = 0; i < count; i++) {
        avro_value_t element;
        const char *key;
        assert_int_equal(avro_value_get_by_index(value, i, &element, &key), 0);
        json_t *json = to_json(names, json_object_get(schema, is_map ? "values" : "items"), &element);
        assert_int_equal(is_map ? json_object_set_new(elements, key, json) : json_array_append_new(elements, json), 0);
    }
    return elements;
}

static json_t *union_to_json(const json_t *names, const json_t *schema, const avro_value_t *value)
{
    avro_value_t branch;
    int number;

    assert_int_equal(avro_value_get_discriminant(value, &number), 0);
    assert_int_equal(avro_value_get_current_branch(value, &branch), 0);
    return to_json(names, json_array_get(schema, (size_t)number), &branch);
}

static json_t *string_to_json(const avro_value_t *value)
{
    const char *text;
    size_t size;

    assert_int_equal(avro_value_get_string(value, &text, &size), 0);
    json_t *json = json_stringn(text, size - 1); /* avro-c counts the null behind it */
    assert_non_null(json);                       /* it is UTF-8 */
    return json;
}

/* avro-c knows no logical types: those are read from the schema's text. */
static json_t *long_to_json(const json_t *schema, const avro_value_t *value)
{
    const char *logical = json_string_value(json_object_get(schema, "logicalType"));
    char text[32];
    int64_t v;

    assert_int_equal(avro_value_get_long(value, &v), 0);
    if (logical == NULL) {
        return json_integer(v);
    }
    assert_string_equal(logical, "timestamp-micros");
    return json_stringn(text, mill_timestamp_print(v, text));
}

static json_t *scalar_to_json(const json_t *schema, const avro_value_t *value)
{
    avro_type_t type = avro_value_get_type(value);
    double d;
    int i;

    if (type == AVRO_STRING) {
        return string_to_json(value);
    }
    if (type == AVRO_INT64) {
        return long_to_json(schema, value);
    }
    if (type == AVRO_ENUM) {
        assert_int_equal(avro_value_get_enum(value, &i), 0);
        return json_copy(json_array_get(json_object_get(schema, "symbols"), (size_t)i));
    }
    if (type == AVRO_INT32) {
        assert_int_equal(avro_value_get_int(value, &i), 0);
        return json_integer(i);
    }
    if (type == AVRO_BOOLEAN) {
        assert_int_equal(avro_value_get_boolean(value, &i), 0);
        return json_boolean(i);
    }
    if (type == AVRO_DOUBLE) {
        assert_int_equal(avro_value_get_double(value, &d), 0);
        return json_real(d);
    }
    assert_int_equal(type, AVRO_NULL);
    return json_null();
}

static json_t *to_json(const json_t *names, const json_t *schema, const avro_value_t *value)
{
    if (json_is_string(schema) && json_object_get(names, json_string_value(schema)) != NULL) {
        schema = json_object_get(names, json_string_value(schema));
    }
    avro_type_t type = avro_value_get_type(value);
    if (type == AVRO_RECORD) {
        return record_to_json(names, schema, value);
    }
    if (type == AVRO_ARRAY || type == AVRO_MAP) {
        return elements_to_json(names, schema, value);
    }
    return type == AVRO_UNION ? union_to_json(names, schema, value) : scalar_to_json(schema, value);
}

/* The two bytes, then the fingerprint that the file's text has. */
static void assert_head(const char *schema_file, struct mill_slice text, struct mill_slice record)
{
    struct mill__avro_schema *parsed;
    struct mill_error err;
    uint64_t fingerprint;

    assert_int_equal(mill__avro_schema_parse(&text, 1, &parsed, &err), MILL_OK);
    assert_true(record.n > 10);
    assert_memory_equal(record.p, "\xc3\x01", 2);
    memcpy(&fingerprint, record.p + 2, sizeof(fingerprint));
    if (fingerprint != mill__avro_schema_fingerprint(parsed)) {
        fail_msg("%s: fingerprint %016llx expected, found %016llx", schema_file,
                 (unsigned long long)mill__avro_schema_fingerprint(parsed), (unsigned long long)fingerprint);
    }
    mill__avro_schema_free(parsed);
}

json_t *record_read_avro(const char *schema_file, struct mill_slice record)
{
    struct mill_buffer text = {0};
    avro_schema_t avro;
    avro_value_t value;
    char rest;

    json_t *schema = read_schema(schema_file, &text), *names = json_object();
    collect_names(schema, names);
    assert_head(schema_file, mill_buffer_slice(&text), record);
    if (avro_schema_from_json_length(text.p, text.n, &avro) != 0) {
        fail_msg("%s: %s", schema_file, avro_strerror());
    }
    avro_value_iface_t *iface = avro_generic_class_from_schema(avro);
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    avro_reader_t reader = avro_reader_memory(record.p + 10, (int64_t)record.n - 10);
    if (avro_value_read(reader, &value) != 0) {
        fail_msg("%s: %s", schema_file, avro_strerror());
    }
    assert_int_not_equal(avro_read(reader, &rest, 1), 0); /* nothing left over */
    json_t *json = to_json(names, schema, &value);
    avro_reader_free(reader);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
    avro_schema_decref(avro);
    json_decref(names);
    json_decref(schema);
    mill_buffer_clear(&text);
    return json;
}
