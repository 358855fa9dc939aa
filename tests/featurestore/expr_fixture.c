/* SPDX-License-Identifier: Apache-2.0 */
/* See expr_fixture.h. */
#include "expr_fixture.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

void fixture_init(struct fixture *f)
{
    *f = (struct fixture){.schema = {.fields = f->fields}};
    mill_arena_init(&f->arena, 0);
}

void fixture_clear(struct fixture *f)
{
    mill_timezone_close(f->zone);
    mill_arena_clear(&f->arena);
}

void fixture_add_field(struct fixture *f, const char *name, enum mill_type type)
{
    uint32_t k = f->schema.field_count++;
    mill_assert(k < FIXTURE_COLUMNS_MAX);
    f->fields[k] = (struct mill_field){mill_arena_strdup(&f->arena, name), type};
    f->names[k] = (struct mill_expr_name){mill_slice_of(f->fields[k].name), type, k};
}

void fixture_start_batch(struct fixture *f, uint32_t rows)
{
    mill_batch_init(&f->batch, &f->schema, rows, &f->arena);
    f->batch.row_count = rows;
}

int fixture_compile(const struct fixture *f, struct mill_slice text, struct mill_expr **ret_expr,
                    struct mill_error *err)
{
    struct mill_expr_scope scope = {f->names, f->schema.field_count, f->zone};
    return mill_expr_compile(text, &scope, ret_expr, err);
}

static bool set_string(struct mill_column *column, uint32_t row, struct mill_slice text, struct mill_arena *arena)
{
    if (text.n < 2 || text.p[0] != '\'' || text.p[text.n - 1] != '\'') {
        return false;
    }
    column->at.s[row] = mill_arena_slice(arena, (struct mill_slice){text.p + 1, text.n - 2});
    return true;
}

bool fixture_set_value(struct mill_column *column, uint32_t row, struct mill_slice text, struct mill_arena *arena)
{
    char *cstr = mill_arena_strndup(arena, text.p, text.n);
    char *end = cstr;
    bool good = false;
    if (mill_slice_is(text, "null")) {
        return true;
    }
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[row] = mill_slice_is(text, "true");
        good = column->at.b[row] != 0 || mill_slice_is(text, "false");
        break;
    case MILL_INT64:
        column->at.i[row] = strtoll(cstr, &end, 10);
        good = end == cstr + text.n && text.n > 0;
        break;
    case MILL_FLOAT64:
        column->at.f[row] = strtod(cstr, &end);
        good = end == cstr + text.n && text.n > 0;
        break;
    case MILL_STRING:
        good = set_string(column, row, text, arena);
        break;
    case MILL_TIMESTAMP:
    default:
        good = mill_timestamp_parse(text, &column->at.i[row]) == 0;
        break;
    }
    if (good) {
        mill_bit_set(column->valid, row);
    }
    return good;
}

/* Distance in the order of doubles. */
static bool near(double a, double b, unsigned ulps)
{
    int64_t x, y;
    memcpy(&x, &a, sizeof(x));
    memcpy(&y, &b, sizeof(y));
    if (x == y || (isnan(a) && isnan(b))) {
        return true;
    }
    return (x < 0) == (y < 0) && !isnan(a) && !isnan(b) && (x > y ? x - y : y - x) <= (int64_t)ulps;
}

bool fixture_same_value(const struct mill_column *a, const struct mill_column *b, uint32_t row, unsigned ulps)
{
    bool valid = mill_bit_get(a->valid, row);
    if (a->type != b->type || valid != mill_bit_get(b->valid, row)) {
        return false;
    }
    switch (a->type) {
    case MILL_BOOL:
        return !valid || a->at.b[row] == b->at.b[row];
    case MILL_FLOAT64:
        return !valid || near(a->at.f[row], b->at.f[row], ulps);
    case MILL_STRING:
        return !valid || mill_slice_equal(a->at.s[row], b->at.s[row]);
    case MILL_INT64:
    case MILL_TIMESTAMP:
    default:
        return !valid || a->at.i[row] == b->at.i[row];
    }
}

const char *fixture_print_value(const struct mill_column *column, uint32_t row, struct mill_arena *arena)
{
    char text[32];
    if (!mill_bit_get(column->valid, row)) {
        return "null";
    }
    switch (column->type) {
    case MILL_BOOL:
        return column->at.b[row] != 0 ? "true" : "false";
    case MILL_INT64:
        return mill_arena_printf(arena, "%" PRId64, column->at.i[row]);
    case MILL_FLOAT64:
        return mill_arena_printf(arena, "%.17g", column->at.f[row]);
    case MILL_STRING:
        return mill_arena_printf(arena, "'%.*s'", (int)column->at.s[row].n, column->at.s[row].p);
    case MILL_TIMESTAMP:
    default:
        return mill_arena_strndup(arena, text, mill_timestamp_print(column->at.i[row], text));
    }
}
