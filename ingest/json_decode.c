/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON records into rows; see json_decode_internal.h. Hot path of JSON sources.
 *
 * Keys are found by habit: events of one producer have their keys in one order, so the key after column c is first
 * compared with the one that followed c the last time; only a surprise is looked up in the hash table.
 */
#include "ingest/json_decode_internal.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/json.h"

enum { NO_COLUMN = UINT16_MAX };

struct mill__json_plan {
    const struct mill_source_spec *spec;
    struct mill_slice *names; /* per column */
    uint16_t *after;          /* [c + 1]: the column whose key followed that of column c; [0]: the first key */
    uint16_t *table;          /* open addressing by hash of the name; NO_COLUMN: free */
    uint32_t table_mask;
    struct mill_buffer unescaped;
};

static uint32_t slot_of(const struct mill__json_plan *plan, struct mill_slice name)
{
    return (uint32_t)mill_hash64(name.p, name.n) & plan->table_mask;
}

static uint16_t look_up(const struct mill__json_plan *plan, struct mill_slice name)
{
    for (uint32_t slot = slot_of(plan, name);; slot = (slot + 1) & plan->table_mask) {
        uint16_t column = plan->table[slot];
        if (column == NO_COLUMN || mill_slice_equal(plan->names[column], name)) {
            return column;
        }
    }
}

static void build_table(struct mill__json_plan *plan, uint32_t column_count)
{
    uint32_t size = 8;

    while (size < column_count * 2) {
        size *= 2;
    }
    plan->table = mill_malloc(size * sizeof(*plan->table));
    plan->table_mask = size - 1;
    for (uint32_t i = 0; i < size; i++) {
        plan->table[i] = NO_COLUMN;
    }
    for (uint32_t c = 0; c < column_count; c++) {
        uint32_t slot = slot_of(plan, plan->names[c]);
        while (plan->table[slot] != NO_COLUMN) {
            slot = (slot + 1) & plan->table_mask;
        }
        plan->table[slot] = (uint16_t)c;
    }
}

struct mill__json_plan *mill__json_plan_new(const struct mill_source_spec *spec)
{
    struct mill__json_plan *plan = mill_calloc(1, sizeof(*plan));
    uint32_t count = spec->schema.field_count;

    mill_assert(count > 0 && count < NO_COLUMN);
    plan->spec = spec;
    plan->names = mill_calloc(count, sizeof(*plan->names));
    plan->after = mill_calloc(count + 1, sizeof(*plan->after));
    for (uint32_t c = 0; c < count; c++) {
        plan->names[c] = mill_slice_of(spec->schema.fields[c].name);
        plan->after[c] = (uint16_t)c;
    }
    build_table(plan, count);
    return plan;
}

void mill__json_plan_free(struct mill__json_plan *plan)
{
    if (plan != NULL) {
        mill_buffer_clear(&plan->unescaped);
        free(plan->table);
        free(plan->after);
        free(plan->names);
        free(plan);
    }
}

const struct mill_source_spec *mill__json_plan_spec(const struct mill__json_plan *plan)
{
    return plan->spec;
}

/* ---- values ---- */

/* One value on its way into its column. */
struct target {
    const struct mill_source_spec *spec;
    struct mill_batch *batch;
    uint32_t column, row;
    struct mill__fault *fault;
};

static bool wrong_type(const struct target *to, const char *found)
{
    const struct mill_field *field = &to->spec->schema.fields[to->column];
    return mill__fault(to->fault, MILL_REJECT_WRONG_TYPE, "field '%s': expected %s, found %s", field->name,
                       mill_type_name(field->type), found);
}

static bool put_bool(const struct target *to, bool v)
{
    struct mill_column *column = &to->batch->columns[to->column];

    if (column->type != MILL_BOOL) {
        return wrong_type(to, v ? "true" : "false");
    }
    column->at.b[to->row] = v;
    mill_bit_set(column->valid, to->row);
    return true;
}

static bool put_other_string(const struct target *to, struct mill_slice text)
{
    char quoted[MILL__QUOTE_SIZE];
    bool is_number;

    if (to->batch->columns[to->column].type == MILL_TIMESTAMP) {
        return mill__put_time(to->spec, to->column, to->batch, to->row, text, to->fault);
    }
    bool ok = mill__put_non_finite(to->spec, to->column, to->batch, to->row, text, &is_number, to->fault);
    if (is_number) {
        return ok;
    }
    const struct mill_field *field = &to->spec->schema.fields[to->column];
    return mill__fault(to->fault, MILL_REJECT_WRONG_TYPE, "field '%s': expected %s, found string %s", field->name,
                       mill_type_name(field->type), mill__quote(text, quoted));
}

static bool put_string(const struct target *to, const struct mill_json_reader *r)
{
    struct mill_column *column = &to->batch->columns[to->column];

    if (column->type != MILL_STRING) {
        return put_other_string(to, r->text);
    }
    bool is_input = (uintptr_t)r->text.p - (uintptr_t)r->begin <= (uintptr_t)(r->end - r->begin);
    column->at.s[to->row] = is_input ? r->text : mill_arena_slice(to->batch->arena, r->text);
    mill_bit_set(column->valid, to->row);
    return true;
}

/* Only a key that came before can have left something here. */
static void put_null(const struct target *to)
{
    struct mill_column *column = &to->batch->columns[to->column];

    if (mill_bit_get(column->valid, to->row)) {
        mill__column_erase(column, to->row);
    }
}

static bool put_number(const struct target *to, struct mill_slice text)
{
    bool is_non_finite = false;
    char c = text.p[text.n - 1];

    if (c < '0' || c > '9') { /* NaN and its like, which the reader lets pass where the source allows them */
        bool ok = mill__put_non_finite(to->spec, to->column, to->batch, to->row, text, &is_non_finite, to->fault);
        return is_non_finite ? ok : wrong_type(to, "NaN or infinity");
    }
    return mill__put_number(to->spec, to->column, to->batch, to->row, text, to->fault);
}

static bool malformed(const struct mill_json_reader *r, struct mill__fault *fault)
{
    struct mill_error err;

    (void)mill_json_fail(r, &err);
    return mill__fault(fault, MILL_REJECT_MALFORMED, "%s (line %u, column %u)", err.msg, err.line, err.col);
}

static bool put_value(struct mill_json_reader *r, const struct target *to)
{
    enum mill_json_token token = mill_json_next(r);

    switch (token) {
    case MILL_JSON_STRING:
        return put_string(to, r);
    case MILL_JSON_NUMBER:
        return put_number(to, r->text);
    case MILL_JSON_TRUE:
    case MILL_JSON_FALSE:
        return put_bool(to, token == MILL_JSON_TRUE);
    case MILL_JSON_NULL:
        put_null(to);
        return true;
    case MILL_JSON_OBJECT_BEGIN:
        return wrong_type(to, "an object");
    case MILL_JSON_ARRAY_BEGIN:
        return wrong_type(to, "an array");
    case MILL_JSON_OBJECT_END:
    case MILL_JSON_ARRAY_END:
    case MILL_JSON_KEY:
    case MILL_JSON_END:
    case MILL_JSON_ERROR:
        break;
    }
    return malformed(r, to->fault);
}

static bool skip_value(struct mill_json_reader *r, struct mill__fault *fault)
{
    enum mill_json_token token = mill_json_next(r);
    return (token != MILL_JSON_ERROR && mill_json_skip(r, token) == 0) || malformed(r, fault);
}

/* ---- records ---- */

static uint16_t find_column(struct mill__json_plan *plan, struct mill_slice key, uint32_t last)
{
    uint16_t guess = plan->after[last];

    if (mill_slice_equal(plan->names[guess], key)) {
        return guess;
    }
    uint16_t column = look_up(plan, key);
    if (column != NO_COLUMN) {
        plan->after[last] = column;
    }
    return column;
}

static bool read_members(struct mill__json_plan *plan, struct mill_json_reader *r, struct target *to)
{
    uint32_t last = 0; /* column of the last known key, plus 1 */

    for (;;) {
        enum mill_json_token token = mill_json_next(r);
        if (token != MILL_JSON_KEY) {
            return token == MILL_JSON_OBJECT_END || malformed(r, to->fault);
        }
        uint16_t column = find_column(plan, r->text, last);
        if (column == NO_COLUMN) {
            if (!skip_value(r, to->fault)) {
                return false;
            }
            continue;
        }
        to->column = column;
        last = (uint32_t)column + 1;
        if (!put_value(r, to)) {
            return false;
        }
    }
}

bool mill__json_plan_run(struct mill__json_plan *plan, struct mill_slice text, struct mill_batch *batch, uint32_t row,
                         struct mill__fault *fault)
{
    struct target to = {plan->spec, batch, 0, row, fault};
    struct mill_json_reader r;

    mill_json_reader_init(&r, text, &plan->unescaped);
    r.allow_bare_nan = plan->spec->allow_non_finite;
    enum mill_json_token token = mill_json_next(&r);
    if (token == MILL_JSON_ERROR) {
        return malformed(&r, fault);
    }
    if (token != MILL_JSON_OBJECT_BEGIN) {
        return mill__fault(fault, MILL_REJECT_MALFORMED, "not an event: expected a JSON object");
    }
    if (!read_members(plan, &r, &to)) {
        return false;
    }
    return mill_json_next(&r) == MILL_JSON_END || malformed(&r, fault);
}
