/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of a source from its Avro schema; called while a project file is read. */
#include "ingest/avro/schema_internal.h"
#include "ingest/ingest.h"

/* False where a field of that (null-free) type cannot be a column. */
static bool column_type(const struct mill__avro_node *type, enum mill_type *ret_type, enum mill_time_unit *ret_unit)
{
    *ret_unit = MILL_TIME_TEXT;
    switch (type->type) {
    case MILL__AVRO_BOOLEAN:
        *ret_type = MILL_BOOL;
        return true;
    case MILL__AVRO_INT:
    case MILL__AVRO_LONG:
        *ret_type = type->logical == MILL__AVRO_PLAIN ? MILL_INT64 : MILL_TIMESTAMP;
        *ret_unit = type->logical == MILL__AVRO_TIMESTAMP_MILLIS   ? MILL_TIME_MILLIS
                    : type->logical == MILL__AVRO_TIMESTAMP_MICROS ? MILL_TIME_MICROS
                                                                   : MILL_TIME_TEXT;
        return true;
    case MILL__AVRO_FLOAT:
    case MILL__AVRO_DOUBLE:
        *ret_type = MILL_FLOAT64;
        return true;
    case MILL__AVRO_STRING:
    case MILL__AVRO_ENUM:
        *ret_type = MILL_STRING;
        return true;
    case MILL__AVRO_NULL:
    case MILL__AVRO_BYTES:
    case MILL__AVRO_RECORD:
    case MILL__AVRO_ARRAY:
    case MILL__AVRO_MAP:
    case MILL__AVRO_FIXED:
    case MILL__AVRO_UNION:
        break;
    }
    return false;
}

static void take_fields(const struct mill__avro_node *record, struct mill_arena *arena, struct mill_schema *ret_schema,
                        const enum mill_time_unit **ret_time_unit)
{
    struct mill_field *fields = mill_arena_array(arena, struct mill_field, record->count);
    enum mill_time_unit *units = mill_arena_array(arena, enum mill_time_unit, record->count);
    uint32_t count = 0;
    bool nullable;

    for (uint32_t i = 0; i < record->count; i++) {
        const struct mill__avro_node *type = mill__avro_strip_null(record->fields[i].type, &nullable);
        if (type != NULL && column_type(type, &fields[count].type, &units[count])) {
            fields[count++].name = mill_arena_strndup(arena, record->fields[i].name.p, record->fields[i].name.n);
        }
    }
    *ret_schema = (struct mill_schema){fields, count};
    *ret_time_unit = units;
}

int mill_source_fields_from_avro(struct mill_slice avro_schema, struct mill_arena *arena,
                                 struct mill_schema *ret_schema, const enum mill_time_unit **ret_time_unit,
                                 struct mill_error *err)
{
    struct mill__avro_schema *schema;
    int rc = 0;

    MILL_TRY(mill__avro_schema_parse(&avro_schema, 1, &schema, err));
    if (schema->root->type == MILL__AVRO_RECORD) {
        take_fields(schema->root, arena, ret_schema, ret_time_unit);
    } else {
        rc = mill_fail(err, MILL_EDATA, "the avro schema is of type %s, expected record",
                       mill__avro_type_name(schema->root->type));
    }
    mill__avro_schema_free(schema);
    return rc;
}
