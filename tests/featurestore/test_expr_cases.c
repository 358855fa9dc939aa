/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs tests/cases/expr: files of columns, expressions and what they give; and the examples of docs/expressions.md. A
 * case file:
 *
 *   # a comment
 *   zone America/New_York             before the columns; UTC without it
 *   column delay int64 5 null -3      name, type, a value per row
 *
 *   > delay + 1                       an expression
 *   = int64 6 null -2                 its type and value per row, bit for bit
 *   ~ float64 ...                     the same, but floats may be one unit in the last place off
 *   ! 7 unknown name 'x'              or: the position and text of its error
 *
 * A case file may hold several groups: a `column` line after an expression starts a new one.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "expr_fixture.h"

enum { VALUES_MAX = 4096 };

struct run {
    const char *file;
    unsigned line, cases, failures;
    struct fixture f;
    bool has_batch;
    const char *columns[FIXTURE_COLUMNS_MAX]; /* their values, until the group is complete */
    struct mill_slice expr;
};

static void report(struct run *run, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void report(struct run *run, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    fprintf(stderr, "%s:%u: %.*s: ", run->file, run->line, (int)run->expr.n, run->expr.p);
    vfprintf(stderr, fmt, args);
    fputc('\n', stderr);
    va_end(args);
    run->failures++;
}

/* The next word, where '...' is one; n = 0 at the end. */
static struct mill_slice take_word(const char **p)
{
    while (**p == ' ') {
        (*p)++;
    }
    struct mill_slice word = {*p, 0};
    bool quoted = false;
    for (; **p != '\0' && (quoted || **p != ' '); (*p)++) {
        quoted = quoted != (**p == '\'');
        word.n++;
    }
    return word;
}

static int type_named(struct mill_slice name)
{
    for (int t = 0; t < MILL_TYPE_COUNT; t++) {
        if (mill_slice_is(name, mill_type_name((enum mill_type)t))) {
            return t;
        }
    }
    return -1;
}

static uint32_t count_words(const char *p)
{
    uint32_t count = 0;
    while (take_word(&p).n > 0) {
        count++;
    }
    return count;
}

static void set_values(struct run *run, struct mill_column *column, const char *values, uint32_t rows)
{
    for (uint32_t row = 0; row < rows; row++) {
        struct mill_slice word = take_word(&values);
        if (!fixture_set_value(column, row, word, &run->f.arena)) {
            report(run, "row %u: '%.*s' is not a value of type %s", row, (int)word.n, word.p,
                   mill_type_name(column->type));
        }
    }
    if (take_word(&values).n > 0) {
        report(run, "more values than rows");
    }
}

static void start_group(struct run *run)
{
    struct mill_timezone *zone = run->f.zone;
    run->f.zone = NULL;
    fixture_clear(&run->f);
    fixture_init(&run->f);
    run->f.zone = zone;
    run->has_batch = false;
}

static void add_column(struct run *run, const char *p)
{
    if (run->has_batch) {
        start_group(run);
    }
    struct mill_slice name = take_word(&p);
    int type = type_named(take_word(&p));
    if (type < 0) {
        report(run, "unknown type in a column line");
        return;
    }
    run->columns[run->f.schema.field_count] = mill_arena_strdup(&run->f.arena, p);
    fixture_add_field(&run->f, mill_arena_strndup(&run->f.arena, name.p, name.n), (enum mill_type)type);
}

static void complete_group(struct run *run)
{
    uint32_t rows = run->f.schema.field_count == 0 ? 1 : count_words(run->columns[0]);
    fixture_start_batch(&run->f, rows);
    for (uint32_t k = 0; k < run->f.schema.field_count; k++) {
        set_values(run, &run->f.batch.columns[k], run->columns[k], rows);
    }
    run->has_batch = true;
}

static void check_values(struct run *run, const char *p, unsigned ulps)
{
    struct mill_expr *expr = NULL;
    struct mill_error err;
    if (fixture_compile(&run->f, run->expr, &expr, &err) < 0) {
        report(run, "error at %u: %s", err.col, err.msg);
        return;
    }
    uint32_t rows = run->f.batch.row_count;
    struct mill_column got, wanted;
    int type = type_named(take_word(&p));
    if (type != (int)mill_expr_type(expr)) {
        report(run, "is of type %s", mill_type_name(mill_expr_type(expr)));
        mill_expr_free(expr);
        return;
    }
    mill_column_init(&got, mill_expr_type(expr), rows, &run->f.arena);
    mill_column_init(&wanted, mill_expr_type(expr), rows, &run->f.arena);
    set_values(run, &wanted, p, rows);
    mill_expr_eval(expr, &run->f.batch, 0, rows, &got, &run->f.arena);
    for (uint32_t row = 0; row < rows; row++) {
        if (!fixture_same_value(&got, &wanted, row, ulps)) {
            report(run, "row %u: wanted %s, got %s", row, fixture_print_value(&wanted, row, &run->f.arena),
                   fixture_print_value(&got, row, &run->f.arena));
        }
    }
    mill_expr_free(expr);
}

static void check_error(struct run *run, const char *p)
{
    struct mill_expr *expr = NULL;
    struct mill_error err;
    if (fixture_compile(&run->f, run->expr, &expr, &err) == 0) {
        report(run, "wanted the error '%s'", p);
        mill_expr_free(expr);
        return;
    }
    const char *got = mill_arena_printf(&run->f.arena, "%u %s", err.col, err.msg);
    if (strcmp(got, p) != 0) {
        report(run, "wanted the error '%s', got '%s'", p, got);
    }
    if (err.code != MILL_ECONFIG || err.line != 1) {
        report(run, "error has code %d and line %u", err.code, err.line);
    }
}

static void set_zone(struct run *run, const char *name)
{
    struct mill_error err;
    start_group(run);
    mill_timezone_close(run->f.zone);
    run->f.zone = NULL;
    if (mill_timezone_open(name, &run->f.zone, &err) < 0) {
        report(run, "%s", err.msg);
    }
}

static bool starts_with(const char *line, const char *word)
{
    return strncmp(line, word, strlen(word)) == 0;
}

static void run_line(struct run *run, char *line)
{
    if (line[0] == '\0' || line[0] == '#') {
        return;
    }
    if (starts_with(line, "zone ")) {
        set_zone(run, line + 5);
    } else if (starts_with(line, "column ")) {
        add_column(run, line + 7);
    } else if (starts_with(line, "> ")) {
        if (!run->has_batch) {
            complete_group(run);
        }
        run->expr = mill_slice_of(mill_arena_strdup(&run->f.arena, line + 2));
    } else if (starts_with(line, "= ") || starts_with(line, "~ ")) {
        check_values(run, line + 2, line[0] == '~');
        run->cases++;
    } else if (starts_with(line, "! ")) {
        check_error(run, line + 2);
        run->cases++;
    } else {
        report(run, "not a line of a case file: '%s'", line);
    }
}

static void run_file(const char *path, unsigned *cases, unsigned *failures)
{
    struct run run = {.file = path};
    FILE *file = fopen(path, "r");
    char *line = NULL;
    size_t size = 0;
    assert_non_null(file);
    fixture_init(&run.f);
    while (getline(&line, &size, file) > 0) {
        run.line++;
        line[strcspn(line, "\n")] = '\0';
        run_line(&run, line);
    }
    free(line);
    fclose(file);
    fixture_clear(&run.f);
    *cases += run.cases;
    *failures += run.failures;
}

static void test_case_files(void **state)
{
    (void)state;
    const char *directory = MILL_TEST_DIR "/cases/expr";
    unsigned files = 0, cases = 0, failures = 0;
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    for (struct dirent *entry = readdir(dir); entry != NULL; entry = readdir(dir)) {
        size_t n = strlen(entry->d_name);
        char path[1024];
        if (n > 5 && strcmp(entry->d_name + n - 5, ".case") == 0) {
            snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            run_file(path, &cases, &failures);
            files++;
        }
    }
    closedir(dir);
    print_message("%u cases in %u files\n", cases, files);
    assert_int_equal(failures, 0);
    assert_true(files >= 6 && cases >= 150);
}

/* ---- docs/expressions.md ---- */

static char *read_document(void)
{
    FILE *file = fopen(MILL_SOURCE_DIR "/docs/expressions.md", "r");
    assert_non_null(file);
    char *text = mill_calloc(1, 65536);
    size_t n = fread(text, 1, 65535, file);
    assert_true(n > 1000 && n < 65535);
    fclose(file);
    return text;
}

/* True where the document's value is the expression's: `5`, `null`, `'text'`. */
static bool example_holds(struct fixture *f, struct mill_slice text, struct mill_slice value)
{
    struct mill_expr *expr = NULL;
    struct mill_error err;
    struct mill_column got, wanted;
    if (fixture_compile(f, text, &expr, &err) < 0) {
        print_error("%.*s: %s\n", (int)text.n, text.p, err.msg);
        return false;
    }
    mill_column_init(&got, mill_expr_type(expr), 1, &f->arena);
    mill_column_init(&wanted, mill_expr_type(expr), 1, &f->arena);
    mill_expr_eval(expr, &f->batch, 0, 1, &got, &f->arena);
    bool good = fixture_set_value(&wanted, 0, value, &f->arena) && fixture_same_value(&got, &wanted, 0, 0);
    /* A float64 is written as one. */
    bool looks_like_float = memchr(value.p, '.', value.n) != NULL || memchr(value.p, 'n', value.n) != NULL ||
                            memchr(value.p, 'N', value.n) != NULL;
    good = good && (mill_expr_type(expr) != MILL_FLOAT64 || looks_like_float);
    mill_expr_free(expr);
    return good;
}

static void test_examples_of_document(void **state)
{
    (void)state;
    char *text = read_document();
    struct fixture f;
    unsigned examples = 0, failures = 0;
    fixture_init(&f);
    fixture_start_batch(&f, 1);
    for (char *p = strstr(text, "` is `"); p != NULL; p = strstr(p + 1, "` is `")) {
        char *begin = p;
        while (begin[-1] != '`') {
            begin--;
        }
        const char *value = p + 6;
        struct mill_slice expr = {begin, (size_t)(p - begin)};
        if (!example_holds(&f, expr, (struct mill_slice){value, strcspn(value, "`")})) {
            print_error("docs/expressions.md: `%.*s` is not %.20s\n", (int)expr.n, expr.p, value);
            failures++;
        }
        examples++;
    }
    fixture_clear(&f);
    free(text);
    assert_int_equal(failures, 0);
    assert_true(examples >= 50);
}

static void test_each_function_is_documented(void **state)
{
    (void)state;
    char *text = read_document();
    size_t count;
    const char *const *names = mill_expr_function_names(&count);
    for (size_t k = 0; k < count; k++) {
        char row[64];
        snprintf(row, sizeof(row), "\n| `%s(", names[k]);
        if (strstr(text, row) == NULL) {
            fail_msg("docs/expressions.md has no row for %s()", names[k]);
        }
        assert_true(k == 0 || strcmp(names[k - 1], names[k]) < 0);
    }
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_case_files),
        cmocka_unit_test(test_examples_of_document),
        cmocka_unit_test(test_each_function_is_documented),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
