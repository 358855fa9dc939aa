/* SPDX-License-Identifier: Apache-2.0 */
/* Questions to a parsed Avro schema: canonical form, fingerprint, fields, descriptions; see schema_internal.h. */
#include "ingest/avro/schema_internal.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- Parsing Canonical Form (specification, "Transforming into Parsing Canonical Form") ---- */

struct canonical {
    struct mill_buffer *out;
    bool *declared; /* per node: written before, so now only its name */
};

static void write_type(struct canonical *c, const struct mill__avro_node *node);

static void write_quoted(struct mill_buffer *out, struct mill_slice s)
{
    mill_buffer_add_byte(out, '"');
    mill_buffer_add_slice(out, s); /* names and symbols need no escapes */
    mill_buffer_add_byte(out, '"');
}

static void write_fields(struct canonical *c, const struct mill__avro_node *record)
{
    mill_buffer_add_string(c->out, ",\"fields\":[");
    for (uint32_t i = 0; i < record->count; i++) {
        mill_buffer_add_string(c->out, i == 0 ? "{\"name\":" : ",{\"name\":");
        write_quoted(c->out, record->fields[i].name);
        mill_buffer_add_string(c->out, ",\"type\":");
        write_type(c, record->fields[i].type);
        mill_buffer_add_byte(c->out, '}');
    }
    mill_buffer_add_byte(c->out, ']');
}

static void write_symbols(struct canonical *c, const struct mill__avro_node *node)
{
    mill_buffer_add_string(c->out, ",\"symbols\":[");
    for (uint32_t i = 0; i < node->count; i++) {
        if (i > 0) {
            mill_buffer_add_byte(c->out, ',');
        }
        write_quoted(c->out, node->symbols[i]);
    }
    mill_buffer_add_byte(c->out, ']');
}

static void write_named(struct canonical *c, const struct mill__avro_node *node)
{
    if (c->declared[node->id]) {
        write_quoted(c->out, node->name);
        return;
    }
    c->declared[node->id] = true;
    mill_buffer_add_string(c->out, "{\"name\":");
    write_quoted(c->out, node->name);
    mill_buffer_printf(c->out, ",\"type\":\"%s\"", mill__avro_type_name(node->type));
    if (node->type == MILL__AVRO_RECORD) {
        write_fields(c, node);
    } else if (node->type == MILL__AVRO_ENUM) {
        write_symbols(c, node);
    } else {
        mill_buffer_printf(c->out, ",\"size\":%lld", (long long)node->size);
    }
    mill_buffer_add_byte(c->out, '}');
}

static void write_type(struct canonical *c, const struct mill__avro_node *node)
{
    if (node->name.n > 0) {
        write_named(c, node);
    } else if (node->type == MILL__AVRO_UNION) {
        for (uint32_t i = 0; i < node->count; i++) {
            mill_buffer_add_byte(c->out, i == 0 ? '[' : ',');
            write_type(c, node->branches[i]);
        }
        mill_buffer_add_byte(c->out, ']');
    } else if (node->item != NULL) {
        mill_buffer_printf(c->out, "{\"type\":\"%s\",\"%s\":", mill__avro_type_name(node->type),
                           node->type == MILL__AVRO_ARRAY ? "items" : "values");
        write_type(c, node->item);
        mill_buffer_add_byte(c->out, '}');
    } else {
        write_quoted(c->out, mill_slice_of(mill__avro_type_name(node->type)));
    }
}

void mill__avro_schema_canonical(const struct mill__avro_schema *schema, struct mill_buffer *out)
{
    struct canonical c = {out, mill_calloc(schema->node_count, sizeof(bool))};
    write_type(&c, schema->root);
    free(c.declared);
}

/* Bit by bit: a table would save microseconds once per schema. */
static uint64_t crc64_avro(struct mill_slice s)
{
    const uint64_t empty = UINT64_C(0xc15d213aa4d7a795);
    uint64_t crc = empty;

    for (size_t i = 0; i < s.n; i++) {
        crc ^= (unsigned char)s.p[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (crc >> 1) ^ (empty & -(crc & 1));
        }
    }
    return crc;
}

uint64_t mill__avro_schema_fingerprint(const struct mill__avro_schema *schema)
{
    struct mill_buffer text = {0};

    mill__avro_schema_canonical(schema, &text);
    uint64_t crc = crc64_avro(mill_buffer_slice(&text));
    mill_buffer_clear(&text);
    return crc;
}

/* ---- questions ---- */

const struct mill__avro_field *mill__avro_find_field(const struct mill__avro_node *record, struct mill_slice name)
{
    mill_assert(record->type == MILL__AVRO_RECORD);
    for (uint32_t i = 0; i < record->count; i++) {
        if (mill_slice_equal(record->fields[i].name, name)) {
            return &record->fields[i];
        }
    }
    return NULL;
}

const struct mill__avro_node *mill__avro_strip_null(const struct mill__avro_node *node, bool *ret_nullable)
{
    const struct mill__avro_node *found = NULL;

    *ret_nullable = false;
    if (node->type != MILL__AVRO_UNION) {
        return node;
    }
    for (uint32_t i = 0; i < node->count; i++) {
        if (node->branches[i]->type == MILL__AVRO_NULL) {
            *ret_nullable = true;
        } else if (found == NULL) {
            found = node->branches[i];
        } else {
            return NULL;
        }
    }
    return found;
}

const char *mill__avro_describe(const struct mill__avro_node *node, char *out, size_t size)
{
    if (node->type == MILL__AVRO_UNION) {
        size_t used = (size_t)snprintf(out, size, "union of ");
        for (uint32_t i = 0; i < node->count && used < size; i++) {
            used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ",
                                     mill__avro_type_name(node->branches[i]->type));
        }
    } else if (node->name.n > 0) {
        snprintf(out, size, "%s '%.*s'", mill__avro_type_name(node->type), node->name.n > 80 ? 80 : (int)node->name.n,
                 node->name.p);
    } else if (node->logical != MILL__AVRO_PLAIN) {
        snprintf(out, size, "%s (timestamp-%s)", mill__avro_type_name(node->type),
                 node->logical == MILL__AVRO_TIMESTAMP_MILLIS ? "millis" : "micros");
    } else {
        snprintf(out, size, "%s", mill__avro_type_name(node->type));
    }
    return out;
}
