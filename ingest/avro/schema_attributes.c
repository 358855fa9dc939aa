/* SPDX-License-Identifier: Apache-2.0 */
/* The members of a type's JSON object, in any order; see schema_parse_internal.h. */
#include <stdarg.h>
#include <stdio.h>

#include "ingest/avro/schema_parse_internal.h"

const char *const mill__schema_attribute_names[MILL__ATTR_COUNT] = {
    "type", "name", "namespace", "fields", "items", "values", "symbols", "size", "aliases", "default", "logicalType",
};

int mill__schema_fail(struct mill__schema_parser *p, const char *fmt, ...)
{
    char text[400];
    va_list args;

    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    return mill_fail(p->err, MILL_EDATA, "avro schema%s: %s", p->place, text);
}

int mill__schema_fail_json(struct mill__schema_parser *p, const struct mill_json_reader *r)
{
    int rc = mill_json_fail(r, p->err);
    mill_error_prefix(p->err, "avro schema");
    return rc;
}

int mill__schema_new_node(struct mill__schema_parser *p, enum mill__avro_type type, struct mill__avro_node **ret_node)
{
    if (p->schema->node_count >= MILL__AVRO_NODES_MAX) {
        return mill__schema_fail(p, "has more than %d types, fields and symbols", MILL__AVRO_NODES_MAX);
    }
    struct mill__avro_node *node = mill_arena_zalloc(&p->schema->arena, sizeof(*node));
    node->id = p->schema->node_count++;
    node->type = type;
    node->default_symbol = -1;
    *ret_node = node;
    return 0;
}

int mill__schema_count_nodes(struct mill__schema_parser *p, uint32_t count)
{
    p->schema->node_count += count;
    if (p->schema->node_count > MILL__AVRO_NODES_MAX) {
        return mill__schema_fail(p, "has more than %d types, fields and symbols", MILL__AVRO_NODES_MAX);
    }
    return 0;
}

int mill__schema_next_token(struct mill__schema_parser *p, struct mill_json_reader *r, enum mill_json_token *ret_token)
{
    *ret_token = mill_json_next(r);
    return *ret_token == MILL_JSON_ERROR ? mill__schema_fail_json(p, r) : 0;
}

int mill__schema_skip_value(struct mill__schema_parser *p, struct mill_json_reader *r)
{
    enum mill_json_token token;
    MILL_TRY(mill__schema_next_token(p, r, &token));
    return mill_json_skip(r, token) < 0 ? mill__schema_fail_json(p, r) : 0;
}

int mill__schema_find_attributes(struct mill__schema_parser *p, struct mill_json_reader *r,
                                 struct mill__schema_attributes *ret_found)
{
    enum mill_json_token token;

    memset(ret_found, 0, sizeof(*ret_found));
    for (;;) {
        MILL_TRY(mill__schema_next_token(p, r, &token));
        if (token == MILL_JSON_OBJECT_END) {
            return 0;
        }
        for (int a = 0; a < MILL__ATTR_COUNT; a++) {
            if (!mill_slice_is(r->text, mill__schema_attribute_names[a])) {
                continue;
            }
            if (ret_found->has[a]) {
                return mill__schema_fail(p, "attribute '%s' is written twice", mill__schema_attribute_names[a]);
            }
            ret_found->has[a] = true;
            ret_found->at[a] = *r;
        }
        MILL_TRY(mill__schema_skip_value(p, r));
    }
}

int mill__schema_attribute_string(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                                  enum mill__schema_attribute which, struct mill_slice *ret_text)
{
    struct mill_json_reader r = attributes->at[which];

    if (!attributes->has[which]) {
        return mill__schema_fail(p, "attribute '%s' is missing", mill__schema_attribute_names[which]);
    }
    if (mill_json_next(&r) != MILL_JSON_STRING) {
        return mill__schema_fail(p, "attribute '%s' must be a string", mill__schema_attribute_names[which]);
    }
    *ret_text = mill_arena_slice(&p->schema->arena, r.text);
    return 0;
}

int mill__schema_attribute_strings(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                                   enum mill__schema_attribute which, const struct mill_slice **ret_texts,
                                   uint32_t *ret_count)
{
    struct mill_json_reader r = attributes->at[which], counting;
    uint32_t count = 0;

    if (mill_json_next(&r) != MILL_JSON_ARRAY_BEGIN) {
        return mill__schema_fail(p, "attribute '%s' must be an array of strings", mill__schema_attribute_names[which]);
    }
    counting = r;
    while (mill_json_next(&counting) == MILL_JSON_STRING) {
        count++;
    }
    MILL_TRY(mill__schema_count_nodes(p, count));
    struct mill_slice *texts = mill_arena_array(&p->schema->arena, struct mill_slice, count);
    for (uint32_t i = 0; i < count; i++) {
        if (mill_json_next(&r) != MILL_JSON_STRING) {
            return mill__schema_fail_json(p, &r);
        }
        texts[i] = mill_arena_slice(&p->schema->arena, r.text);
    }
    if (mill_json_next(&r) != MILL_JSON_ARRAY_END) {
        return mill__schema_fail(p, "attribute '%s' must be an array of strings", mill__schema_attribute_names[which]);
    }
    *ret_texts = texts;
    *ret_count = count;
    return 0;
}

int mill__schema_count_items(struct mill__schema_parser *p, struct mill_json_reader r, uint32_t *ret_count)
{
    enum mill_json_token token;
    uint32_t count = 0;

    for (;;) {
        MILL_TRY(mill__schema_next_token(p, &r, &token));
        if (token == MILL_JSON_ARRAY_END) {
            *ret_count = count;
            return mill__schema_count_nodes(p, count);
        }
        if (mill_json_skip(&r, token) < 0) {
            return mill__schema_fail_json(p, &r);
        }
        count++;
    }
}
