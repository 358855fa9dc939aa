/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro schemas (specification 1.11, "Schema Declaration") as a graph of nodes: read from JSON text, written in Parsing
 * Canonical Form, identified by their CRC-64-AVRO fingerprint. A named type that refers to itself makes the graph
 * cyclic. avro-c is not used for this: it forgets defaults, aliases and logical types, which resolution needs, and can
 * be crashed by hostile text. Used by the plan compiler, the encoder and the container reader.
 */
#ifndef MILL_INGEST_AVRO_SCHEMA_INTERNAL_H
#define MILL_INGEST_AVRO_SCHEMA_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/json.h"
#include "base/slice.h"

/* Limits on what a registry or a file may hand us. */
enum { MILL__AVRO_TEXT_MAX = 1 << 20, MILL__AVRO_NODES_MAX = 10000 };

enum mill__avro_type {
    MILL__AVRO_NULL,
    MILL__AVRO_BOOLEAN,
    MILL__AVRO_INT,
    MILL__AVRO_LONG,
    MILL__AVRO_FLOAT,
    MILL__AVRO_DOUBLE,
    MILL__AVRO_BYTES,
    MILL__AVRO_STRING,
    MILL__AVRO_RECORD, /* the first type that is not primitive */
    MILL__AVRO_ENUM,
    MILL__AVRO_ARRAY,
    MILL__AVRO_MAP,
    MILL__AVRO_FIXED,
    MILL__AVRO_UNION,
};
enum { MILL__AVRO_TYPE_COUNT = 14 };

/* The logical types that mean something to us; all others are ignored, as the specification asks. local-timestamp-*
 * reads as UTC. */
enum mill__avro_logical { MILL__AVRO_PLAIN, MILL__AVRO_TIMESTAMP_MILLIS, MILL__AVRO_TIMESTAMP_MICROS };

struct mill__avro_field;

struct mill__avro_node {
    uint32_t id; /* 0 ... node_count - 1 of its schema */
    enum mill__avro_type type;
    enum mill__avro_logical logical;
    struct mill_slice name;           /* full name; record, enum and fixed only */
    const struct mill_slice *aliases; /* full names */
    uint32_t alias_count;
    uint32_t count; /* fields of a record, branches of a union, symbols of an enum */
    struct mill__avro_field *fields;
    const struct mill__avro_node **branches;
    const struct mill_slice *symbols;
    const struct mill__avro_node *item; /* of an array or map */
    int64_t size;                       /* of a fixed */
    int32_t default_symbol;             /* of an enum, or -1 */
    struct mill__avro_node *next_named; /* hash chain while parsing */
};

struct mill__avro_field {
    struct mill_slice name;
    const struct mill_slice *aliases;
    uint32_t alias_count;
    const struct mill__avro_node *type;
    bool has_default;
    struct mill_slice default_text; /* JSON */
};

struct mill__avro_schema {
    struct mill_arena arena;
    const struct mill__avro_node *root;
    uint32_t node_count;
};

const char *mill__avro_type_name(enum mill__avro_type type);

/* Reads count schemas (JSON text, or the bare name of a primitive type in quotes) that may refer to the named types of
 * those before them; the last one is the root. The texts are copied. MILL_EDATA says what is wrong where. */
int mill__avro_schema_parse(const struct mill_slice *texts, uint32_t count, struct mill__avro_schema **ret_schema,
                            struct mill_error *err) MILL_MUST_CHECK;
void mill__avro_schema_free(struct mill__avro_schema *schema);

/* Appends the Parsing Canonical Form. */
void mill__avro_schema_canonical(const struct mill__avro_schema *schema, struct mill_buffer *out);
/* CRC-64-AVRO of that form. */
uint64_t mill__avro_schema_fingerprint(const struct mill__avro_schema *schema);

/* The record's field of that name, or NULL. Linear: compile time only. */
const struct mill__avro_field *mill__avro_find_field(const struct mill__avro_node *record, struct mill_slice name);
/* "long" for a union of null and long or for long alone; NULL where node is another union. *ret_nullable tells. */
const struct mill__avro_node *mill__avro_strip_null(const struct mill__avro_node *node, bool *ret_nullable);
/* How a message calls a type: "long", "enum 'a.Color'", "union of null, string". out is filled from the start. */
const char *mill__avro_describe(const struct mill__avro_node *node, char *out, size_t size);

#endif
