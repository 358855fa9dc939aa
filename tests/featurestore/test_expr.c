/* SPDX-License-Identifier: Apache-2.0 */
/* Expressions: what case files cannot say: limits, the columns that are read, shared steps, memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expr_fixture.h"
#include "featurestore/expr_internal.h"

static void fixture_of_numbers(struct fixture *f, uint32_t rows)
{
    fixture_init(f);
    fixture_add_field(f, "a", MILL_FLOAT64);
    fixture_add_field(f, "b", MILL_FLOAT64);
    fixture_add_field(f, "n", MILL_INT64);
    fixture_add_field(f, "s", MILL_STRING);
    fixture_start_batch(f, rows);
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t k = 0; k < f->schema.field_count; k++) {
            mill_bit_set(f->batch.columns[k].valid, row);
        }
        f->batch.columns[0].at.f[row] = row;
        f->batch.columns[1].at.f[row] = 2;
        f->batch.columns[2].at.i[row] = row;
        f->batch.columns[3].at.s[row] = mill_slice_of("text");
    }
}

static struct mill_expr *compile(const struct fixture *f, const char *text)
{
    struct mill_expr *expr = NULL;
    struct mill_error err;
    if (fixture_compile(f, mill_slice_of(text), &expr, &err) < 0) {
        fail_msg("%.100s: %u: %s", text, err.col, err.msg);
    }
    return expr;
}

static struct mill_error error_of(const struct fixture *f, struct mill_slice text)
{
    struct mill_expr *expr = NULL;
    struct mill_error err = {0};
    if (fixture_compile(f, text, &expr, &err) == 0) {
        fail_msg("%.*s compiled", (int)(text.n < 100 ? text.n : 100), text.p);
    }
    assert_null(expr);
    assert_int_equal(err.code, MILL_ECONFIG);
    return err;
}

/* count times the piece. */
static void repeat(struct mill_buffer *out, const char *piece, unsigned count)
{
    for (unsigned k = 0; k < count; k++) {
        mill_buffer_add_string(out, piece);
    }
}

/* ---- depth, size ---- */

static const struct nest {
    const char *before, *middle, *after;
} nests[] = {
    {"(", "a", ")"},
    {"abs(", "a", ")"},
    {"-", "a", ""},
    {"not ", "true", ""},
    {"case when true then ", "a", " else 1 end"},
    {"1 in (", "1", ") "},
    {"1 + 2 * (", "a", ")"},
    {"true or true and not (", "true", ")"},
};

static void build_nest(const struct nest *n, unsigned depth, struct mill_buffer *out)
{
    mill_buffer_reset(out);
    repeat(out, n->before, depth);
    mill_buffer_add_string(out, n->middle);
    repeat(out, n->after, depth);
}

static void test_depth_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer text = {0};
    fixture_of_numbers(&f, 1);
    for (size_t k = 0; k < sizeof(nests) / sizeof(nests[0]); k++) {
        /* `not (` counts twice, and what `in` yields cannot be looked up in numbers: those are checked beyond only. */
        bool countable =
            strcmp(nests[k].before, "true or true and not (") != 0 && strcmp(nests[k].before, "1 in (") != 0;
        if (countable) {
            build_nest(&nests[k], MILL__EXPR_DEPTH_MAX, &text);
            mill_expr_free(compile(&f, mill_buffer_cstr(&text)));
        }
        build_nest(&nests[k], MILL__EXPR_DEPTH_MAX + 1, &text);
        struct mill_error err = error_of(&f, mill_buffer_slice(&text));
        assert_string_equal(err.msg, "expression is nested deeper than 256 levels");
        build_nest(&nests[k], 2900, &text);
        error_of(&f, mill_buffer_slice(&text));
    }
    mill_buffer_clear(&text);
    fixture_clear(&f);
}

static void test_chains_do_not_nest(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer text = {0};
    fixture_of_numbers(&f, 1);
    mill_buffer_add_string(&text, "a");
    repeat(&text, " + n", 3000); /* every sum is another step */
    struct mill_expr *expr = compile(&f, mill_buffer_cstr(&text));
    struct mill_column out;
    mill_column_init(&out, MILL_FLOAT64, 1, &f.arena);
    f.batch.columns[2].at.i[0] = 1;
    mill_expr_eval(expr, &f.batch, 0, 1, &out, &f.arena);
    assert_true(out.at.f[0] == 3000);
    assert_true(expr->slot_count[1] <= 3);
    mill_expr_free(expr);

    repeat(&text, " + n", 3000);
    struct mill_error err = error_of(&f, mill_buffer_slice(&text));
    assert_string_equal(err.msg, "expression has more than 4096 operations");
    mill_buffer_clear(&text);
    fixture_clear(&f);
}

/* Constants count too, and need no operator between them. */
static void test_operations_are_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer text = {0};
    fixture_of_numbers(&f, 1);
    mill_buffer_add_string(&text, "concat(s");
    for (unsigned k = 0; k < MILL__EXPR_STEPS_MAX; k++) {
        mill_buffer_printf(&text, ", '%u'", k);
    }
    mill_buffer_add_string(&text, ", upper(s))");
    struct mill_error err = error_of(&f, mill_buffer_slice(&text));
    assert_string_equal(err.msg, "expression has more than 4096 operations");
    mill_buffer_clear(&text);
    fixture_clear(&f);
}

static void test_long_lists(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer text = {0};
    fixture_of_numbers(&f, 100);
    mill_buffer_add_string(&text, "n in (0");
    for (unsigned k = 1; k < 4000; k++) {
        mill_buffer_printf(&text, ", %u", 3 * k);
    }
    mill_buffer_add_string(&text, ")");
    struct mill_expr *expr = compile(&f, mill_buffer_cstr(&text));
    struct mill_column out;
    mill_column_init(&out, MILL_BOOL, 100, &f.arena);
    mill_expr_eval(expr, &f.batch, 0, 100, &out, &f.arena);
    for (uint32_t row = 0; row < 100; row++) {
        assert_int_equal(out.at.b[row], row % 3 == 0);
    }
    assert_int_equal(expr->step_count, 2);
    mill_expr_free(expr);
    mill_buffer_clear(&text);
    fixture_clear(&f);
}

static void test_text_is_bounded(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer text = {0};
    fixture_of_numbers(&f, 1);
    mill_buffer_add_string(&text, "a");
    repeat(&text, " ", MILL__EXPR_TEXT_MAX - 1);
    mill_expr_free(compile(&f, mill_buffer_cstr(&text)));
    mill_buffer_add_string(&text, " ");
    struct mill_error err = error_of(&f, mill_buffer_slice(&text));
    assert_string_equal(err.msg, "expression has 65537 bytes, at most 65536 are allowed");
    mill_buffer_clear(&text);

    err = error_of(&f, mill_slice_of(""));
    assert_string_equal(err.msg, "expected a value, found the end of the expression");
    err = error_of(&f, mill_slice_of("'\xff'"));
    assert_string_equal(err.msg, "expression is not valid UTF-8");
    err = error_of(&f, (struct mill_slice){"a\0+ 1", 6});
    assert_int_equal(err.col, 2);
    fixture_clear(&f);
}

/* The expression keeps nothing of the text. */
static void test_text_may_go(void **state)
{
    (void)state;
    struct fixture f;
    char text[] = "concat(s, '-it''s', \" x\")";
    fixture_of_numbers(&f, 1);
    struct mill_expr *expr = compile(&f, text);
    memset(text, 'z', sizeof(text));
    struct mill_column out;
    mill_column_init(&out, MILL_STRING, 1, &f.arena);
    mill_expr_eval(expr, &f.batch, 0, 1, &out, &f.arena);
    assert_true(mill_slice_is(out.at.s[0], "text-it's x"));
    mill_expr_free(expr);
    fixture_clear(&f);
}

/* What is quoted in a message is cut between characters. */
static void test_messages_are_utf8(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_buffer text = {0};
    fixture_of_numbers(&f, 1);
    for (unsigned blanks = 0; blanks < 4; blanks++) {
        mill_buffer_reset(&text);
        mill_buffer_add_string(&text, "a '");
        repeat(&text, "x", blanks);
        repeat(&text, "\346\235\261", 100);
        mill_buffer_add_string(&text, "'");
        struct mill_error err = error_of(&f, mill_buffer_slice(&text));
        assert_int_equal(err.col, 3);
        assert_true(mill_utf8_is_valid(mill_slice_of(err.msg)));
    }
    mill_buffer_clear(&text);
    fixture_clear(&f);
}

/* Timestamps that no calendar has give null, at both ends of int64. */
static void test_wild_timestamps(void **state)
{
    (void)state;
    static const char *const texts[] = {"hour(t)", "year(t)", "day_of_week(t)", "t - '2013-01-01'"};
    static const bool null_of_max[] = {true, true, true, false};
    struct fixture f;
    fixture_init(&f);
    fixture_add_field(&f, "t", MILL_TIMESTAMP);
    fixture_start_batch(&f, 2);
    f.batch.columns[0].valid[0] = 3;
    f.batch.columns[0].at.i[0] = INT64_MIN;
    f.batch.columns[0].at.i[1] = INT64_MAX;
    for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]); k++) {
        struct mill_expr *expr = compile(&f, texts[k]);
        struct mill_column out;
        mill_column_init(&out, mill_expr_type(expr), 2, &f.arena);
        mill_expr_eval(expr, &f.batch, 0, 2, &out, &f.arena);
        assert_false(mill_bit_get(out.valid, 0));
        assert_int_equal(mill_bit_get(out.valid, 1), !null_of_max[k]);
        mill_expr_free(expr);
    }
    fixture_clear(&f);
}

static void test_long_strings_are_null(void **state)
{
    (void)state;
    struct fixture f;
    fixture_of_numbers(&f, 2);
    char *half = mill_arena_zalloc(&f.arena, 32769);
    f.batch.columns[3].at.s[0] = (struct mill_slice){half, 32768};
    f.batch.columns[3].at.s[1] = (struct mill_slice){half, 32769};
    struct mill_expr *expr = compile(&f, "concat(s, s)");
    struct mill_column out;
    mill_column_init(&out, MILL_STRING, 2, &f.arena);
    mill_expr_eval(expr, &f.batch, 0, 2, &out, &f.arena);
    assert_int_equal(out.valid[0], 1);
    assert_int_equal(out.at.s[0].n, 65536);
    assert_null(out.at.s[1].p);
    mill_expr_free(expr);
    fixture_clear(&f);
}

/* ---- columns and steps ---- */

static void test_columns(void **state)
{
    (void)state;
    struct fixture f;
    uint32_t columns[4] = {99, 99, 99, 99};
    fixture_of_numbers(&f, 1);
    struct mill_expr *expr = compile(&f, "n + a * n - (a + n)");
    assert_int_equal(mill_expr_columns(expr, columns, 4), 2);
    assert_true((columns[0] == 0 && columns[1] == 2) || (columns[0] == 2 && columns[1] == 0));
    assert_int_equal(columns[2], 99);
    columns[1] = 99;
    assert_int_equal(mill_expr_columns(expr, columns, 1), 2);
    assert_int_equal(columns[1], 99);
    mill_expr_free(expr);

    expr = compile(&f, "1 + 1");
    assert_int_equal(mill_expr_columns(expr, NULL, 0), 0);
    mill_expr_free(expr);
    mill_expr_free(NULL);
    fixture_clear(&f);
}

static unsigned count_ops(const char *text)
{
    struct fixture f;
    unsigned count = 0;
    fixture_of_numbers(&f, 1);
    struct mill_expr *expr = compile(&f, text);
    for (uint32_t k = 0; k < expr->step_count; k++) {
        count += expr->steps[k].kind == MILL__EXPR_OP;
    }
    mill_expr_free(expr);
    fixture_clear(&f);
    return count;
}

static void test_equal_steps_are_shared(void **state)
{
    (void)state;
    assert_int_equal(count_ops("a / b"), 1);
    assert_int_equal(count_ops("a / b > 1 and a / b < 2"), 4);
    assert_int_equal(count_ops("a between 1 and 2 or a between 1 and 2"), 4);
    assert_int_equal(count_ops("case a + b when 1 then 1 when 2 then 2 end"), 1 + 2 + 2);
    assert_int_equal(count_ops("a + 0.0 = a + -0.0"), 3); /* not the same constant */
}

static void test_constants_are_folded(void **state)
{
    (void)state;
    assert_int_equal(count_ops("2 * pi / 7"), 0);
    assert_int_equal(count_ops("length(concat('a', upper('b'))) + 1"), 0);
    assert_int_equal(count_ops("a * (60 * 60)"), 1);
    assert_int_equal(count_ops("a + 1"), 1); /* the 1 became 1.0 when the text was read */
    assert_int_equal(count_ops("1 in (2, 3) or coalesce(1.5, 2) > 1"), 0);
}

/* ---- memory ---- */

/* After the first batch, evaluating takes nothing from malloc: a reset arena holds it all. */
static void test_second_batch_needs_no_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_arena arena;
    fixture_of_numbers(&f, 4096);
    mill_arena_init(&arena, 0);
    struct mill_expr *expr = compile(&f, "if(a > b, concat(s, '-', n), lower(s))");
    struct mill_column out;
    const struct mill_arena_block *block = NULL;
    for (unsigned batch = 0; batch < 4; batch++) {
        mill_arena_reset(&arena);
        assert_true(batch < 2 || arena.block == block);
        block = arena.block;
        mill_column_init(&out, MILL_STRING, 4096, &arena);
        mill_expr_eval(expr, &f.batch, 0, 4096, &out, &arena);
        assert_true(batch == 0 || arena.block == block);
    }
    assert_true(mill_slice_is(out.at.s[4095], "text-4095"));
    mill_expr_free(expr);
    mill_arena_clear(&arena);
    fixture_clear(&f);
}

/* Row by row costs about what a batch costs a row, not a block a row. */
static void test_one_row_takes_little_memory(void **state)
{
    (void)state;
    struct fixture f;
    struct mill_arena arena;
    fixture_of_numbers(&f, 4096);
    mill_arena_init(&arena, 0);
    struct mill_expr *expr = compile(&f, "safe_div(a + n, b) * 2 - 1");
    struct mill_column out;
    mill_column_init(&out, MILL_FLOAT64, 4096, &f.arena);
    for (uint32_t row = 0; row < 4096; row++) {
        mill_expr_eval(expr, &f.batch, row, row + 1, &out, &arena);
        assert_true(out.at.f[row] == row * 2.0 - 1);
    }
    assert_true(arena.total / 4096 < 3072);
    mill_expr_free(expr);
    mill_arena_clear(&arena);
    fixture_clear(&f);
}

static void test_function_names(void **state)
{
    (void)state;
    size_t count;
    const char *const *names = mill_expr_function_names(&count);
    for (size_t k = 0; k < count; k++) {
        assert_non_null(mill__expr_function_find(mill_slice_of(names[k])));
        assert_true(k == 0 || mill__expr_function_find(mill_slice_of(names[k])) !=
                                  mill__expr_function_find(mill_slice_of(names[k - 1])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_chains_do_not_nest),
        cmocka_unit_test(test_operations_are_bounded),
        cmocka_unit_test(test_long_lists),
        cmocka_unit_test(test_text_is_bounded),
        cmocka_unit_test(test_text_may_go),
        cmocka_unit_test(test_messages_are_utf8),
        cmocka_unit_test(test_wild_timestamps),
        cmocka_unit_test(test_long_strings_are_null),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_equal_steps_are_shared),
        cmocka_unit_test(test_constants_are_folded),
        cmocka_unit_test(test_second_batch_needs_no_memory),
        cmocka_unit_test(test_one_row_takes_little_memory),
        cmocka_unit_test(test_function_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
