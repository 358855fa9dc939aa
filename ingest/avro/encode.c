/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to Avro records; see encode_internal.h. */
#include "ingest/avro/encode_internal.h"

#include <stdio.h>

#include "base/avro.h"
#include "base/number.h"
#include "base/timestamp.h"

struct value {
    const struct mill_column *column; /* NULL: the field is no column */
    uint32_t row;
    enum mill_time_unit unit;
};

static bool encode_time(const struct mill__avro_node *type, const struct value *value, struct mill_buffer *out)
{
    int64_t us = value->column->at.i[value->row], scale = mill__time_scale(value->unit);
    char text[32];

    if (type->type == MILL__AVRO_STRING) {
        mill_avro_add_slice(out, (struct mill_slice){text, mill_timestamp_print(us, text)});
        return true;
    }
    if (type->logical != MILL__AVRO_PLAIN) {
        scale = type->logical == MILL__AVRO_TIMESTAMP_MILLIS ? 1000 : 1;
    }
    us = mill_timestamp_floor(us, scale) / scale;
    mill_buffer_add_zigzag(out, us);
    return type->type == MILL__AVRO_LONG || (type->type == MILL__AVRO_INT && us >= INT32_MIN && us <= INT32_MAX);
}

static bool encode_enum(const struct mill__avro_node *type, struct mill_slice symbol, struct mill_buffer *out)
{
    for (uint32_t i = 0; i < type->count; i++) {
        if (mill_slice_equal(type->symbols[i], symbol)) {
            mill_buffer_add_zigzag(out, i);
            return true;
        }
    }
    return false;
}

/* A float64 column, whose field may be of any numeric type. */
static bool encode_float64(const struct mill__avro_node *type, double v, struct mill_buffer *out)
{
    if (type->type == MILL__AVRO_DOUBLE) {
        mill_avro_add_double(out, v);
        return true;
    }
    if (type->type == MILL__AVRO_FLOAT) {
        float narrow = (float)v;
        mill_buffer_add(out, &narrow, sizeof(narrow));
        return true;
    }
    bool fits = type->type == MILL__AVRO_INT ? v >= INT32_MIN && v <= INT32_MAX : v >= -0x1p63 && v < 0x1p63;
    if (!fits || (double)(int64_t)v < v || (double)(int64_t)v > v) {
        return false;
    }
    mill_buffer_add_zigzag(out, (int64_t)v);
    return true;
}

static bool encode_int64(const struct mill__avro_node *type, int64_t v, struct mill_buffer *out)
{
    mill_buffer_add_zigzag(out, v);
    return type->type == MILL__AVRO_LONG || (v >= INT32_MIN && v <= INT32_MAX);
}

/* A value that is there, of a type that mill__avro_fits_column. */
static bool encode_value(const struct mill__avro_node *type, const struct value *value, struct mill_buffer *out)
{
    const struct mill_column *column = value->column;

    switch (column->type) {
    case MILL_BOOL:
        mill_buffer_add_byte(out, column->at.b[value->row]);
        return true;
    case MILL_INT64:
        return encode_int64(type, column->at.i[value->row], out);
    case MILL_FLOAT64:
        return encode_float64(type, column->at.f[value->row], out);
    case MILL_STRING:
        if (type->type == MILL__AVRO_ENUM) {
            return encode_enum(type, column->at.s[value->row], out);
        }
        mill_avro_add_slice(out, column->at.s[value->row]);
        return true;
    case MILL_TIMESTAMP:
        return encode_time(type, value, out);
    }
    return false;
}

/* ---- fields that are no columns ---- */

static bool encode_number(const struct mill__avro_node *type, struct mill_slice text, struct mill_buffer *out)
{
    const char *end = text.p + text.n;
    double v;
    int64_t i;

    if (type->type == MILL__AVRO_INT || type->type == MILL__AVRO_LONG) {
        return mill_number_parse_int64(text.p, end, &i) == end && encode_int64(type, i, out);
    }
    return (type->type == MILL__AVRO_FLOAT || type->type == MILL__AVRO_DOUBLE) &&
           mill_number_parse_double(text.p, end, &v) == end && encode_float64(type, v, out);
}

static bool encode_token(const struct mill__avro_node *type, struct mill_json_reader *r, enum mill_json_token token,
                         struct mill_buffer *out)
{
    switch (token) {
    case MILL_JSON_NUMBER:
        return encode_number(type, r->text, out);
    case MILL_JSON_STRING:
        if (type->type == MILL__AVRO_ENUM) {
            return encode_enum(type, r->text, out);
        }
        mill_avro_add_slice(out, r->text);
        return type->type == MILL__AVRO_STRING;
    case MILL_JSON_TRUE:
    case MILL_JSON_FALSE:
        mill_buffer_add_byte(out, token == MILL_JSON_TRUE);
        return type->type == MILL__AVRO_BOOLEAN;
    case MILL_JSON_ARRAY_BEGIN: /* [] and {} are one block header, 0 */
        mill_buffer_add_byte(out, 0);
        return type->type == MILL__AVRO_ARRAY && mill_json_next(r) == MILL_JSON_ARRAY_END;
    case MILL_JSON_OBJECT_BEGIN:
        mill_buffer_add_byte(out, 0);
        return type->type == MILL__AVRO_MAP && mill_json_next(r) == MILL_JSON_OBJECT_END;
    case MILL_JSON_NULL:
        return type->type == MILL__AVRO_NULL;
    case MILL_JSON_OBJECT_END:
    case MILL_JSON_ARRAY_END:
    case MILL_JSON_KEY:
    case MILL_JSON_END:
    case MILL_JSON_ERROR:
        break;
    }
    return false;
}

/* The default of a union is of its first branch. */
static bool encode_default(const struct mill__avro_field *field, struct mill_buffer *out)
{
    const struct mill__avro_node *type = field->type;
    struct mill_buffer unescaped = {0};
    struct mill_json_reader r;

    if (type->type == MILL__AVRO_UNION) {
        mill_buffer_add_zigzag(out, 0);
        type = type->branches[0];
    }
    mill_json_reader_init(&r, field->default_text, &unescaped);
    enum mill_json_token token = mill_json_next(&r);
    bool ok = encode_token(type, &r, token, out);
    mill_buffer_clear(&unescaped);
    return ok;
}

static bool encode_null(const struct mill__avro_node *type, struct mill_buffer *out)
{
    for (uint32_t i = 0; type->type == MILL__AVRO_UNION && i < type->count; i++) {
        if (type->branches[i]->type == MILL__AVRO_NULL) {
            mill_buffer_add_zigzag(out, i);
            return true;
        }
    }
    return type->type == MILL__AVRO_NULL;
}

static bool encode_field(const struct mill__avro_field *field, const struct value *value, struct mill_buffer *out)
{
    bool nullable;

    if (value->column == NULL) {
        return field->has_default ? encode_default(field, out) : encode_null(field->type, out);
    }
    if (!mill_bit_get(value->column->valid, value->row)) {
        return encode_null(field->type, out);
    }
    const struct mill__avro_node *type = mill__avro_strip_null(field->type, &nullable);
    for (uint32_t i = 0; field->type->type == MILL__AVRO_UNION && i < field->type->count; i++) {
        if (field->type->branches[i] == type) {
            mill_buffer_add_zigzag(out, i);
        }
    }
    return encode_value(type, value, out);
}

int mill__avro_encode_record(const struct mill_source_spec *spec, const struct mill__avro_schema *schema,
                             const struct mill_batch *batch, uint32_t row, struct mill_buffer *out,
                             struct mill_error *err)
{
    const struct mill__avro_node *record = schema->root;
    char text[120];

    mill_assert(record->type == MILL__AVRO_RECORD);
    for (uint32_t i = 0; i < record->count; i++) {
        const struct mill__avro_field *field = &record->fields[i];
        int column = mill_schema_find(&spec->schema, field->name);
        struct value value = {column < 0 ? NULL : &batch->columns[column], row,
                              column < 0 ? MILL_TIME_TEXT : spec->time_unit[column]};
        if (!encode_field(field, &value, out)) {
            return mill_fail(err, MILL_EDATA, "field '%.*s': %s cannot be written as %s", (int)field->name.n,
                             field->name.p,
                             value.column == NULL ? "a field that is no column and has no default"
                             : mill_bit_get(value.column->valid, value.row) ? "the value"
                                                                            : "null",
                             mill__avro_describe(field->type, text, sizeof(text)));
        }
    }
    return 0;
}
