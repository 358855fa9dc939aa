/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random expressions over random columns: what the compiled program gives must be, bit for bit, what walking the tree
 * gives. MILL_TEST_SEED=N repeats a run.
 */
#include <inttypes.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "expr_fixture.h"
#include "expr_tree.h"

enum { ROUNDS = 1500, ROWS_MAX = 1400 };

static uint64_t first_seed(void)
{
    const char *text = getenv("MILL_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)mill_clock_wall_us();
    print_message("MILL_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

static void put_value(struct mill_column *column, uint32_t row, struct tree_value v)
{
    if (!v.valid) {
        return;
    }
    mill_bit_set(column->valid, row);
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[row] = v.at.b;
        break;
    case MILL_FLOAT64:
        column->at.f[row] = v.at.f;
        break;
    case MILL_STRING:
        column->at.s[row] = v.at.s;
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
    default:
        column->at.i[row] = v.at.i;
        break;
    }
}

/* Columns with no nulls, some, many and only nulls; floats with NaN and infinities. */
static void random_batch(struct fixture *f, uint64_t *seed)
{
    static const double specials[] = {NAN, INFINITY, -INFINITY};
    for (unsigned k = 0; k < 10; k++) {
        char name[8];
        snprintf(name, sizeof(name), "c%u", k);
        fixture_add_field(f, name, (enum mill_type)(k % MILL_TYPE_COUNT));
    }
    fixture_start_batch(f, 1 + tree_dice(seed, tree_dice(seed, 20) == 0 ? ROWS_MAX : 150));
    for (uint32_t k = 0; k < f->schema.field_count; k++) {
        struct mill_column *column = &f->batch.columns[k];
        uint32_t nulls = tree_dice(seed, 4) == 0 ? 100 : tree_dice(seed, 3) * 20;
        for (uint32_t row = 0; row < f->batch.row_capacity; row++) {
            struct tree_value v = tree_random_value(seed, column->type);
            if (column->type == MILL_FLOAT64 && tree_dice(seed, 10) == 0) {
                v.at.f = specials[tree_dice(seed, 3)];
            }
            v.valid = tree_dice(seed, 100) >= nulls;
            put_value(column, row, v);
        }
    }
}

/* Fills a column with ones, so that rows that must not be written can be told. */
static void spoil(struct mill_column *column, uint32_t rows)
{
    size_t size = column->type == MILL_BOOL ? 1 : column->type == MILL_STRING ? sizeof(struct mill_slice) : 8;
    memset(column->at.raw, 1, size * rows);
    memset(column->valid, 0xff, mill_bit_words(rows) * sizeof(uint64_t));
}

static bool slot_is(const struct mill_column *column, uint32_t row, int byte)
{
    size_t size = column->type == MILL_BOOL ? 1 : column->type == MILL_STRING ? sizeof(struct mill_slice) : 8;
    const unsigned char *at = (const unsigned char *)column->at.raw + size * row;
    for (size_t k = 0; k < size; k++) {
        if (at[k] != byte) {
            return false;
        }
    }
    return true;
}

static void check_row(struct fixture *f, const struct tree *t, const struct mill_column *got, uint32_t row,
                      const char *text)
{
    struct mill_column wanted;
    mill_column_init(&wanted, t->type, f->batch.row_capacity, &f->arena);
    put_value(&wanted, row, tree_evaluate(t, &f->batch, row, &f->arena));
    if (!fixture_same_value(got, &wanted, row, 0)) {
        fail_msg("%s\nrow %u: wanted %s, got %s", text, row, fixture_print_value(&wanted, row, &f->arena),
                 fixture_print_value(got, row, &f->arena));
    }
    if (!mill_bit_get(got->valid, row) && !slot_is(got, row, 0)) {
        fail_msg("%s\nrow %u is null, its slot is not zero", text, row);
    }
}

static void check_rows(struct fixture *f, const struct tree *t, const struct mill_expr *expr, uint64_t *seed,
                       const char *text)
{
    uint32_t capacity = f->batch.row_capacity;
    uint32_t from = tree_dice(seed, 2) == 0 ? 0 : tree_dice(seed, capacity);
    uint32_t to = tree_dice(seed, 2) == 0 ? capacity : from + tree_dice(seed, capacity - from + 1);
    struct mill_column got;
    mill_column_init(&got, t->type, capacity, &f->arena);
    spoil(&got, capacity);
    mill_expr_eval(expr, &f->batch, from, to, &got, &f->arena);
    for (uint32_t row = 0; row < capacity; row++) {
        if (row >= from && row < to) {
            check_row(f, t, &got, row, text);
        } else if (!slot_is(&got, row, 1) || !mill_bit_get(got.valid, row)) {
            fail_msg("%s\nrow %u outside [%u, %u) was written", text, row, from, to);
        }
    }
}

static void run_round(uint64_t *seed, struct mill_timezone *zone)
{
    struct fixture f;
    struct mill_buffer text = {0};
    struct mill_expr *expr = NULL;
    struct mill_error err;
    fixture_init(&f);
    random_batch(&f, seed);
    f.zone = zone;
    enum mill_type type = (enum mill_type)tree_dice(seed, MILL_TYPE_COUNT);
    const struct tree *t = tree_random(seed, type, 1 + tree_dice(seed, 5), &f.schema, &f.arena);
    tree_print(t, seed, &f.schema, &text);
    if (fixture_compile(&f, mill_buffer_slice(&text), &expr, &err) < 0) {
        fail_msg("%s\n%u: %s", mill_buffer_cstr(&text), err.col, err.msg);
    }
    assert_int_equal(mill_expr_type(expr), type);
    check_rows(&f, t, expr, seed, mill_buffer_cstr(&text));
    mill_expr_free(expr);
    mill_buffer_clear(&text);
    f.zone = NULL;
    fixture_clear(&f);
}

static void test_random_expressions(void **state)
{
    (void)state;
    static const char *const zones[] = {"UTC", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"};
    uint64_t seed = first_seed();
    for (unsigned z = 0; z < 4; z++) {
        struct mill_timezone *zone = NULL;
        struct mill_error err;
        assert_int_equal(mill_timezone_open(zones[z], &zone, &err), 0);
        setenv("TZ", zones[z], 1);
        tzset();
        for (unsigned round = 0; round < ROUNDS / 4; round++) {
            run_round(&seed, zone);
        }
        mill_timezone_close(zone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_expressions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
