/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Avro schema resolution of one wanted field (specification, "Schema Resolution"): which op reads the writer's type as
 * the reader's type into the column. One deviation: where the writer declares a timestamp's unit, that unit holds even
 * if the reader's differs, because the number means what the writer says.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/number.h"
#include "base/suggest.h"
#include "base/timestamp.h"
#include "ingest/avro/plan_compile_internal.h"

enum { DESCRIBE_SIZE = 120 };

/* ---- the reader's type and the column ---- */

static bool is_integer(const struct mill__avro_node *type)
{
    return type->type == MILL__AVRO_INT || type->type == MILL__AVRO_LONG;
}

bool mill__avro_fits_column(const struct mill__avro_node *type, enum mill_type column, enum mill_time_unit unit)
{
    switch (column) {
    case MILL_BOOL:
        return type->type == MILL__AVRO_BOOLEAN;
    case MILL_INT64:
        return is_integer(type);
    case MILL_FLOAT64:
        return is_integer(type) || type->type == MILL__AVRO_FLOAT || type->type == MILL__AVRO_DOUBLE;
    case MILL_STRING:
        return type->type == MILL__AVRO_STRING || type->type == MILL__AVRO_ENUM;
    case MILL_TIMESTAMP:
        return type->type == MILL__AVRO_STRING || type->logical != MILL__AVRO_PLAIN ||
               (is_integer(type) && unit != MILL_TIME_TEXT);
    }
    return false;
}

static int fail_unknown_field(const struct mill__avro_node *record, const char *name, struct mill_error *err)
{
    const char **names = mill_calloc(record->count, sizeof(*names));
    struct mill_arena arena;

    mill_arena_init(&arena, 0);
    for (uint32_t i = 0; i < record->count; i++) {
        names[i] = mill_arena_strndup(&arena, record->fields[i].name.p, record->fields[i].name.n);
    }
    const char *near = mill_suggest(mill_slice_of(name), names, record->count);
    int rc =
        mill_fail(err, MILL_EDATA, "the avro schema has no field '%s'%s%s%s", name,
                  near == NULL ? "" : "; hint: did you mean '", near == NULL ? "" : near, near == NULL ? "" : "'?");
    mill_arena_clear(&arena);
    free(names);
    return rc;
}

static int check_column(const struct mill_source_spec *spec, const struct mill__avro_node *record, uint32_t column,
                        struct mill_error *err)
{
    const struct mill_field *wanted = &spec->schema.fields[column];
    const struct mill__avro_field *field = mill__avro_find_field(record, mill_slice_of(wanted->name));
    char text[DESCRIBE_SIZE];
    bool nullable;

    if (field == NULL) {
        return fail_unknown_field(record, wanted->name, err);
    }
    const struct mill__avro_node *type = mill__avro_strip_null(field->type, &nullable);
    if (type != NULL && mill__avro_fits_column(type, wanted->type, spec->time_unit[column])) {
        return 0;
    }
    bool needs_unit = type != NULL && wanted->type == MILL_TIMESTAMP && is_integer(type);
    return mill_fail(err, MILL_EDATA, "avro field '%s' is of type %s, which cannot fill a column of type %s%s",
                     wanted->name, mill__avro_describe(field->type, text, sizeof(text)), mill_type_name(wanted->type),
                     needs_unit ? "; hint: give it a logicalType such as timestamp-millis, or the source a time unit"
                                : "");
}

int mill__avro_check_reader(const struct mill_source_spec *spec, const struct mill__avro_schema *reader,
                            struct mill_error *err)
{
    if (reader->root->type != MILL__AVRO_RECORD) {
        return mill_fail(err, MILL_EDATA, "the avro schema is of type %s, expected record",
                         mill__avro_type_name(reader->root->type));
    }
    for (uint32_t c = 0; c < spec->schema.field_count; c++) {
        MILL_TRY(check_column(spec, reader->root, c, err));
    }
    return 0;
}

/* ---- values ---- */

/* A varint op with the range of the writer's type. */
static struct mill__avro_op integer_op(enum mill__avro_op_code code, const struct mill__avro_node *writer)
{
    bool is_int = writer->type == MILL__AVRO_INT;
    struct mill__avro_op op = {.code = (uint8_t)code, .reason = MILL_REJECT_MALFORMED};

    op.as.integer.lo = is_int ? INT32_MIN : INT64_MIN;
    op.as.integer.hi = is_int ? INT32_MAX : INT64_MAX;
    op.as.integer.scale = 1;
    return op;
}

static bool make_time_op(struct mill__avro_compiler *c, const struct mill__avro_node *from,
                         const struct mill__avro_node *to, uint32_t column, struct mill__avro_op *ret_op)
{
    enum mill__avro_logical logical = from->logical != MILL__AVRO_PLAIN ? from->logical : to->logical;
    enum mill_time_unit unit = logical == MILL__AVRO_TIMESTAMP_MILLIS   ? MILL_TIME_MILLIS
                               : logical == MILL__AVRO_TIMESTAMP_MICROS ? MILL_TIME_MICROS
                                                                        : c->spec->time_unit[column];
    if (to->type == MILL__AVRO_STRING) {
        *ret_op = (struct mill__avro_op){.code = MILL__OP_TIME_TEXT};
        return from->type == MILL__AVRO_STRING || from->type == MILL__AVRO_BYTES;
    }
    if (!is_integer(from) || from->type > to->type) {
        return false;
    }
    *ret_op = integer_op(MILL__OP_INTEGER, from);
    ret_op->as.integer.scale = mill__time_scale(unit);
    if (from->type == MILL__AVRO_LONG) { /* all of an int's seconds, milliseconds and microseconds are in range */
        ret_op->reason = column == c->spec->timestamp_column ? MILL_REJECT_NO_EVENT_TIME : MILL_REJECT_WRONG_TYPE;
        ret_op->as.integer.lo = MILL__TIME_MIN_US / ret_op->as.integer.scale;
        ret_op->as.integer.hi = MILL__TIME_MAX_US / ret_op->as.integer.scale;
    }
    return true;
}

/* Numbers are promoted upwards only: int, long, float, double, in the order of their enum. */
static bool make_double_op(const struct mill__avro_node *from, const struct mill__avro_node *to,
                           struct mill__avro_op *ret_op)
{
    if (from->type < MILL__AVRO_INT || from->type > to->type) {
        return false;
    }
    if (is_integer(from)) {
        *ret_op =
            integer_op(to->type == MILL__AVRO_FLOAT ? MILL__OP_INTEGER_TO_FLOAT : MILL__OP_INTEGER_TO_DOUBLE, from);
        return true;
    }
    *ret_op = (struct mill__avro_op){.code = from->type == MILL__AVRO_FLOAT ? MILL__OP_FLOAT : MILL__OP_DOUBLE};
    return true;
}

static struct mill_slice short_name(struct mill_slice name)
{
    const char *dot = memrchr(name.p, '.', name.n);
    struct mill_slice s = {dot == NULL ? name.p : dot + 1, dot == NULL ? name.n : (size_t)(name.p + name.n - dot - 1)};
    return s;
}

/* Unqualified names match, or the reader knows the writer's name as an alias. */
static bool enum_names_match(const struct mill__avro_node *from, const struct mill__avro_node *to)
{
    bool match = mill_slice_equal(short_name(from->name), short_name(to->name));

    for (uint32_t i = 0; i < to->alias_count && !match; i++) {
        match = mill_slice_equal(from->name, to->aliases[i]);
    }
    return match;
}

static bool has_symbol(const struct mill__avro_node *node, struct mill_slice symbol)
{
    for (uint32_t i = 0; i < node->count; i++) {
        if (mill_slice_equal(node->symbols[i], symbol)) {
            return true;
        }
    }
    return false;
}

static bool make_enum_op(struct mill__avro_compiler *c, const struct mill__avro_node *from,
                         const struct mill__avro_node *to, struct mill__avro_op *ret_op)
{
    if (from->type != MILL__AVRO_ENUM || !enum_names_match(from, to)) {
        return false;
    }
    struct mill_slice *symbols = mill_arena_zarray(&c->plan->arena, struct mill_slice, from->count);
    for (uint32_t i = 0; i < from->count; i++) {
        if (has_symbol(to, from->symbols[i])) {
            symbols[i] = from->symbols[i];
        } else if (to->default_symbol >= 0) {
            symbols[i] = to->symbols[to->default_symbol];
        }
    }
    *ret_op = (struct mill__avro_op){.code = MILL__OP_ENUM};
    ret_op->as.symbols.symbols = symbols;
    ret_op->as.symbols.count = from->count;
    ret_op->as.symbols.writer = from;
    return true;
}

/* False where the writer's (non-union) type cannot be read as the reader's. */
static bool make_op(struct mill__avro_compiler *c, const struct mill__avro_node *from, const struct mill__avro_node *to,
                    uint32_t column, struct mill__avro_op *ret_op)
{
    switch (c->spec->schema.fields[column].type) {
    case MILL_BOOL:
        *ret_op = (struct mill__avro_op){.code = MILL__OP_BOOL};
        return from->type == MILL__AVRO_BOOLEAN;
    case MILL_INT64:
        *ret_op = integer_op(MILL__OP_INTEGER, from);
        return is_integer(from) && from->type <= to->type;
    case MILL_FLOAT64:
        return make_double_op(from, to, ret_op);
    case MILL_STRING:
        if (to->type == MILL__AVRO_ENUM) {
            return make_enum_op(c, from, to, ret_op);
        }
        *ret_op = (struct mill__avro_op){.code = MILL__OP_STRING};
        return from->type == MILL__AVRO_STRING || from->type == MILL__AVRO_BYTES;
    case MILL_TIMESTAMP:
        return make_time_op(c, from, to, column, ret_op);
    }
    return false;
}

static void emit_op(struct mill__avro_compiler *c, const struct mill__avro_op *op, uint32_t column)
{
    struct mill__avro_op *to = mill__emit(c, MILL__OP_END);
    uint32_t field = to->field;

    *to = *op;
    to->field = field;
    to->column = (uint16_t)column;
}

static int fail_incompatible(struct mill__avro_compiler *c, const struct mill__avro_field *from,
                             const struct mill__avro_field *to)
{
    char writer[DESCRIBE_SIZE], reader[DESCRIBE_SIZE];

    return mill_fail(c->err, MILL_EDATA, "field '%.*s' was written as %s, which cannot be read as %s", (int)to->name.n,
                     to->name.p, mill__avro_describe(from->type, writer, sizeof(writer)),
                     mill__avro_describe(to->type, reader, sizeof(reader)));
}

static void emit_mismatch(struct mill__avro_compiler *c, const struct mill__avro_node *branch,
                          const struct mill__avro_field *to)
{
    char writer[DESCRIBE_SIZE], reader[DESCRIBE_SIZE];

    mill__emit(c, MILL__OP_MISMATCH)->as.detail = mill_arena_printf(
        &c->plan->arena, "expected %s, found %s", mill__avro_describe(to->type, reader, sizeof(reader)),
        mill__avro_describe(branch, writer, sizeof(writer)));
}

/* What a writer's union means for the column: how each branch is read. */
struct choices {
    struct mill__avro_op *ops; /* per branch, where is_value */
    bool *is_value;
    uint32_t value_count, value_branch, null_branch;
    bool null_fits;
};

static void emit_branches(struct mill__avro_compiler *c, const struct choices *choices,
                          const struct mill__avro_node *from, const struct mill__avro_field *to, uint32_t column)
{
    struct mill__avro_branches branches;

    if (from->count == 2 && choices->null_fits && choices->value_count == 1) {
        struct mill__avro_op *op = mill__emit(c, MILL__OP_NULLABLE);
        op->as.nullable.null_branch = choices->null_branch;
        op->as.nullable.value_branch = choices->value_branch;
        emit_op(c, &choices->ops[choices->value_branch], column);
        c->barrier = c->op_count; /* the op is jumped over */
        return;
    }
    mill__begin_branches(c, from->count, &branches);
    for (uint32_t i = 0; i < from->count; i++) {
        mill__begin_branch(c, &branches, i);
        if (choices->is_value[i]) {
            emit_op(c, &choices->ops[i], column);
        } else if (from->branches[i]->type != MILL__AVRO_NULL || !choices->null_fits) {
            emit_mismatch(c, from->branches[i], to);
        }
    }
    mill__end_branches(c, &branches);
}

static int emit_union(struct mill__avro_compiler *c, const struct mill__avro_field *from,
                      const struct mill__avro_field *to, const struct mill__avro_node *value, bool nullable,
                      uint32_t column)
{
    struct choices choices = {0};
    uint32_t count = from->type->count;

    choices.ops = mill_calloc(count, sizeof(*choices.ops));
    choices.is_value = mill_calloc(count, sizeof(*choices.is_value));
    for (uint32_t i = 0; i < count; i++) {
        const struct mill__avro_node *branch = from->type->branches[i];
        if (branch->type == MILL__AVRO_NULL) {
            choices.null_fits = nullable;
            choices.null_branch = i;
        } else if (make_op(c, branch, value, column, &choices.ops[i])) {
            choices.is_value[i] = true;
            choices.value_count++;
            choices.value_branch = i;
        }
    }
    bool some = choices.value_count > 0 || choices.null_fits;
    if (some) {
        emit_branches(c, &choices, from->type, to, column);
    }
    free(choices.ops);
    free(choices.is_value);
    return some ? 0 : fail_incompatible(c, from, to);
}

int mill__emit_value(struct mill__avro_compiler *c, const struct mill__avro_field *from,
                     const struct mill__avro_field *to, uint32_t column)
{
    struct mill__avro_op op;
    bool nullable;
    const struct mill__avro_node *value = mill__avro_strip_null(to->type, &nullable);

    mill_assert(value != NULL); /* mill__avro_check_reader */
    if (from->type->type == MILL__AVRO_UNION) {
        return emit_union(c, from, to, value, nullable, column);
    }
    if (from->type->type == MILL__AVRO_NULL && nullable) {
        return 0;
    }
    if (!make_op(c, from->type, value, column, &op)) {
        return fail_incompatible(c, from, to);
    }
    emit_op(c, &op, column);
    return 0;
}

/* ---- defaults ---- */

static bool make_number_default(enum mill_json_token token, struct mill_slice text, enum mill_type type, int64_t scale,
                                struct mill__avro_op *op)
{
    const char *end = text.p + text.n;

    if (token != MILL_JSON_NUMBER) {
        return false;
    }
    if (type == MILL_FLOAT64) {
        return mill_number_parse_double(text.p, end, &op->as.constant.f) == end && mill__is_finite(op->as.constant.f);
    }
    int64_t v;
    return mill_number_parse_int64(text.p, end, &v) == end && !__builtin_mul_overflow(v, scale, &op->as.constant.i) &&
           (type != MILL_TIMESTAMP ||
            (op->as.constant.i >= MILL__TIME_MIN_US && op->as.constant.i <= MILL__TIME_MAX_US));
}

static bool make_default(struct mill__avro_compiler *c, enum mill_json_token token, struct mill_slice text,
                         const struct mill__avro_node *type, uint32_t column, struct mill__avro_op *op)
{
    enum mill_type wanted = c->spec->schema.fields[column].type;
    enum mill_time_unit unit = type->logical == MILL__AVRO_TIMESTAMP_MILLIS   ? MILL_TIME_MILLIS
                               : type->logical == MILL__AVRO_TIMESTAMP_MICROS ? MILL_TIME_MICROS
                                                                              : c->spec->time_unit[column];
    op->code = MILL__OP_DEFAULT;
    switch (wanted) {
    case MILL_BOOL:
        op->as.constant.b = token == MILL_JSON_TRUE;
        return token == MILL_JSON_TRUE || token == MILL_JSON_FALSE;
    case MILL_INT64:
    case MILL_FLOAT64:
        return make_number_default(token, text, wanted, 1, op);
    case MILL_STRING:
        op->as.constant.s = mill_arena_slice(&c->plan->arena, text);
        return token == MILL_JSON_STRING && (type->type != MILL__AVRO_ENUM || has_symbol(type, text));
    case MILL_TIMESTAMP:
        if (type->type == MILL__AVRO_STRING) {
            return token == MILL_JSON_STRING && mill_timestamp_parse(text, &op->as.constant.i) == 0;
        }
        return make_number_default(token, text, wanted, mill__time_scale(unit), op);
    }
    return false;
}

int mill__emit_default(struct mill__avro_compiler *c, uint32_t column)
{
    const struct mill_field *wanted = &c->spec->schema.fields[column];
    const struct mill__avro_field *field = mill__avro_find_field(c->reader->root, mill_slice_of(wanted->name));
    struct mill__avro_op op = {0};
    struct mill_buffer unescaped = {0};
    struct mill_json_reader r;
    bool nullable;

    mill_assert(field != NULL);
    if (!field->has_default) {
        return mill_fail(c->err, MILL_EDATA, "the writer's schema has no field '%s', and it has no default",
                         wanted->name);
    }
    const struct mill__avro_node *type = mill__avro_strip_null(field->type, &nullable);
    mill_json_reader_init(&r, field->default_text, &unescaped);
    enum mill_json_token token = mill_json_next(&r);
    bool is_null = token == MILL_JSON_NULL && nullable;
    bool fits = is_null || make_default(c, token, r.text, type, column, &op);
    mill_buffer_clear(&unescaped);
    if (!fits) {
        return mill_fail(c->err, MILL_EDATA, "the default of field '%s' does not fit its type", wanted->name);
    }
    if (!is_null) {
        emit_op(c, &op, column);
    }
    return 0;
}
