/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Expressions of any bytes: compiling ends with an error that has a place and a text, or with a program that gives the
 * same for a row alone as for the row in its batch.
 */
#include <stdlib.h>

#include "featurestore/featurestore.h"

enum { ROWS = 70, COLUMNS = 5 };

static struct mill_field fields[COLUMNS] = {
    {"i", MILL_INT64}, {"x", MILL_FLOAT64}, {"s", MILL_STRING}, {"t", MILL_TIMESTAMP}, {"p", MILL_BOOL},
};
static const struct mill_schema schema = {fields, COLUMNS};
static const struct mill_expr_name names[COLUMNS] = {
    {{"i", 1}, MILL_INT64, 0},     {{"x", 1}, MILL_FLOAT64, 1}, {{"s", 1}, MILL_STRING, 2},
    {{"t", 1}, MILL_TIMESTAMP, 3}, {{"p", 1}, MILL_BOOL, 4},
};

static void fill(struct mill_batch *batch)
{
    static const int64_t integers[] = {0, 1, -1, INT64_MAX, INT64_MIN, 40};
    static const double floats[] = {0.0, -0.0, 1.5, 1e308, -2.5};
    static const int64_t times[] = {0, -1, INT64_C(1357035462000000), INT64_MAX, INT64_MIN};
    static const char *const strings[] = {"", "JFK", "Z\303\274rich"};
    for (uint32_t row = 0; row < ROWS; row++) {
        batch->columns[0].at.i[row] = integers[row % 6];
        batch->columns[1].at.f[row] = floats[row % 5] / (row % 7 == 0 ? 0.0 : 1.0);
        batch->columns[2].at.s[row] = mill_slice_of(strings[row % 3]);
        batch->columns[3].at.i[row] = times[row % 5];
        batch->columns[4].at.b[row] = row % 2;
        for (uint32_t k = 0; k < COLUMNS; k++) {
            batch->columns[k].valid[row / 64] |= (uint64_t)((row + k) % 11 != 0) << (row % 64);
        }
    }
}

static void check_same(const struct mill_column *a, const struct mill_column *b, uint32_t row)
{
    mill_assert(mill_bit_get(a->valid, row) == mill_bit_get(b->valid, row));
    if (a->type == MILL_STRING) {
        mill_assert(mill_slice_equal(a->at.s[row], b->at.s[row]));
    } else if (a->type == MILL_BOOL) {
        mill_assert(a->at.b[row] == b->at.b[row] && a->at.b[row] <= 1);
    } else if (a->type == MILL_FLOAT64) {
        double x = a->at.f[row], y = b->at.f[row];
        mill_assert(a->at.i[row] == b->at.i[row] || (x != x && y != y));
    } else {
        mill_assert(a->at.i[row] == b->at.i[row]);
    }
}

static void run(const struct mill_expr *expr)
{
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_column whole, single;
    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, ROWS, &arena);
    fill(&batch);
    mill_column_init(&whole, mill_expr_type(expr), ROWS, &arena);
    mill_column_init(&single, mill_expr_type(expr), ROWS, &arena);
    mill_expr_eval(expr, &batch, 0, ROWS, &whole, &arena);
    for (uint32_t row = 0; row < ROWS; row += 9) {
        mill_expr_eval(expr, &batch, row, row + 1, &single, &arena);
        check_same(&whole, &single, row);
    }
    mill_arena_clear(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_expr_scope scope = {names, COLUMNS, NULL};
    struct mill_slice text = {(const char *)data, size};
    struct mill_expr *expr = NULL;
    struct mill_error err = {0};
    int rc = mill_expr_compile(text, &scope, &expr, &err);
    if (rc < 0) {
        mill_assert(rc == MILL_ECONFIG && err.line == 1 && err.col >= 1 && err.col <= size + 1 && err.msg[0] != '\0');
        return 0;
    }
    run(expr);
    mill_expr_free(expr);
    return 0;
}
