/* SPDX-License-Identifier: Apache-2.0 */
/* JSON records from anywhere, with jansson as the oracle: what the plan accepts, jansson reads to the same values. */
#include <jansson.h>
#include <math.h>
#include <stdlib.h>

#include "ingest/json_decode_internal.h"

static struct mill_field fields[] = {
    {"ts", MILL_TIMESTAMP}, {"s", MILL_STRING}, {"n", MILL_INT64},
    {"x", MILL_FLOAT64},    {"b", MILL_BOOL},   {"at", MILL_TIMESTAMP},
};
static const enum mill_time_unit units[] = {MILL_TIME_MILLIS, 0, 0, 0, 0, MILL_TIME_TEXT};

/* jansson refuses some JSON: numbers that do not fit its types, and nulls in names. */
static bool jansson_cannot(const json_error_t *error)
{
    enum json_error_code code = json_error_code(error);
    return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ||
           code == json_error_null_character;
}

static void compare_number(const json_t *v, const struct mill_column *column)
{
    if (column->type == MILL_FLOAT64) {
        double found = column->at.f[0], expected = json_number_value(v);
        mill_assert(memcmp(&found, &expected, sizeof(found)) == 0 ||
                    (found == 0 && expected == 0)); /* "-0" is an integer there */
    } else if (json_is_integer(v)) {
        mill_assert(column->type != MILL_INT64 || column->at.i[0] == json_integer_value(v));
    } else if (column->type == MILL_INT64) {
        /* Written with a point or exponent: ours is exact, jansson's the nearest double. */
        double found = (double)column->at.i[0], expected = json_real_value(v);
        mill_assert(found <= expected && found >= expected);
    }
}

static void compare_column(const json_t *v, const struct mill_column *column)
{
    mill_assert(mill_bit_get(column->valid, 0) == (v != NULL && !json_is_null(v)));
    if (v == NULL || json_is_null(v)) {
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        mill_assert(json_is_boolean(v) && column->at.b[0] == json_is_true(v));
        break;
    case MILL_STRING:
        mill_assert(json_is_string(v) && column->at.s[0].n == json_string_length(v));
        mill_assert(memcmp(column->at.s[0].p, json_string_value(v), column->at.s[0].n) == 0);
        break;
    case MILL_INT64:
    case MILL_FLOAT64:
        mill_assert(json_is_number(v));
        compare_number(v, column);
        break;
    case MILL_TIMESTAMP:
        mill_assert(json_is_number(v) || json_is_string(v));
        break;
    }
}

static void compare_row(struct mill_slice text, const struct mill_batch *batch)
{
    json_error_t error;
    json_t *root = json_loadb(text.p, text.n, JSON_ALLOW_NUL, &error);

    if (root == NULL) {
        mill_assert(jansson_cannot(&error));
        return;
    }
    mill_assert(json_is_object(root));
    for (uint32_t c = 0; c < batch->schema->field_count; c++) {
        compare_column(json_object_get(root, batch->schema->fields[c].name), &batch->columns[c]);
    }
    json_decref(root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct mill_source_spec spec = {
        .name = "fuzz", .schema = {fields, sizeof(fields) / sizeof(fields[0])}, .time_unit = units};
    static struct mill__json_plan *plan;
    struct mill_slice text = {(const char *)data, size};
    struct mill__fault fault = {0};
    struct mill_batch batch;
    struct mill_arena arena;

    if (plan == NULL) {
        plan = mill__json_plan_new(&spec);
    }
    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &spec.schema, 1, &arena);
    if (mill__json_plan_run(plan, text, &batch, 0, &fault)) {
        compare_row(text, &batch);
    } else {
        mill_assert(fault.text[0] != '\0');
    }
    mill_arena_clear(&arena);
    return 0;
}
