/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the Avro schema reader share: schema_parse.c builds types, schema_attributes.c reads the
 * members of the JSON objects that declare them. */
#ifndef MILL_INGEST_AVRO_SCHEMA_PARSE_INTERNAL_H
#define MILL_INGEST_AVRO_SCHEMA_PARSE_INTERNAL_H

#include "ingest/avro/schema_internal.h"

enum { MILL__NAME_BUCKETS = 256, MILL__PLACE_SIZE = 160 };

struct mill__schema_parser {
    struct mill__avro_schema *schema;
    struct mill_buffer unescaped;
    struct mill__avro_node *named[MILL__NAME_BUCKETS];
    struct mill_error *err;
    char place[MILL__PLACE_SIZE]; /* the field being read, for messages */
};

enum mill__schema_attribute {
    MILL__ATTR_TYPE,
    MILL__ATTR_NAME,
    MILL__ATTR_NAMESPACE,
    MILL__ATTR_FIELDS,
    MILL__ATTR_ITEMS,
    MILL__ATTR_VALUES,
    MILL__ATTR_SYMBOLS,
    MILL__ATTR_SIZE,
    MILL__ATTR_ALIASES,
    MILL__ATTR_DEFAULT,
    MILL__ATTR_LOGICAL,
    MILL__ATTR_COUNT,
};
struct mill__schema_attributes {
    bool has[MILL__ATTR_COUNT];
    struct mill_json_reader at[MILL__ATTR_COUNT]; /* before the value */
};

extern const char *const mill__schema_attribute_names[MILL__ATTR_COUNT];

/* "avro schema, field 'x': ..."; returns MILL_EDATA. */
int mill__schema_fail(struct mill__schema_parser *p, const char *fmt, ...) MILL_PRINTF(2, 3);
/* The same for an error of the JSON reader. */
int mill__schema_fail_json(struct mill__schema_parser *p, const struct mill_json_reader *r);
/* For "%.*s": the length of a name, cut where it is absurd. */
static inline int mill__shown_length(struct mill_slice s)
{
    return s.n > 80 ? 80 : (int)s.n;
}

/* Both refuse more than MILL__AVRO_NODES_MAX in all. */
int mill__schema_new_node(struct mill__schema_parser *p, enum mill__avro_type type,
                          struct mill__avro_node **ret_node) MILL_MUST_CHECK;
int mill__schema_count_nodes(struct mill__schema_parser *p, uint32_t count) MILL_MUST_CHECK;

int mill__schema_next_token(struct mill__schema_parser *p, struct mill_json_reader *r,
                            enum mill_json_token *ret_token) MILL_MUST_CHECK;
int mill__schema_skip_value(struct mill__schema_parser *p, struct mill_json_reader *r) MILL_MUST_CHECK;
/* How many values the array holds whose begin was read from r; r stays. They count as nodes. */
int mill__schema_count_items(struct mill__schema_parser *p, struct mill_json_reader r,
                             uint32_t *ret_count) MILL_MUST_CHECK;

/* The rest of an object whose begin was read: where its attributes are. */
int mill__schema_find_attributes(struct mill__schema_parser *p, struct mill_json_reader *r,
                                 struct mill__schema_attributes *ret_found) MILL_MUST_CHECK;
/* Copies into the schema's arena. */
int mill__schema_attribute_string(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                                  enum mill__schema_attribute which, struct mill_slice *ret_text) MILL_MUST_CHECK;
int mill__schema_attribute_strings(struct mill__schema_parser *p, struct mill__schema_attributes *attributes,
                                   enum mill__schema_attribute which, const struct mill_slice **ret_texts,
                                   uint32_t *ret_count) MILL_MUST_CHECK;

#endif
