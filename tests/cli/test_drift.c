/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift as a user runs it: the golden cases (numbers of scipy 1.17.1 and numpy 2.4.6) through CSV files,
 * profiles, bad input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/number.h"
#include "tests/cli/command.h"

#define CASES_DIR MILL_TEST_DIR "/drift/data/golden"

static void assert_holds(struct mill_buffer *text, const char *piece)
{
    if (strstr(mill_buffer_cstr(text), piece) == NULL) {
        fail_msg("'%s' is not in\n%s", piece, mill_buffer_cstr(text));
    }
}

/* ---- golden cases ---- */

/* Bare Infinity is no JSON: it is put in quotes before jansson sees it. */
static json_t *load_case(const char *name)
{
    struct mill_buffer raw = {0}, text = {0};
    char path[4096];
    struct mill_error err;
    json_error_t bad;

    snprintf(path, sizeof(path), "%s/%s", CASES_DIR, name);
    assert_int_equal(mill_file_read(path, 64 << 20, &raw, &err), 0);
    bool quoted = false;
    for (size_t i = 0; i < raw.n;) {
        size_t minus = raw.p[i] == '-' ? 1 : 0;
        if (!quoted && raw.n - i >= 8 + minus && memcmp(raw.p + i + minus, "Infinity", 8) == 0) {
            mill_buffer_printf(&text, "\"%s\"", minus == 1 ? "-Infinity" : "Infinity");
            i += 8 + minus;
            continue;
        }
        quoted ^= raw.p[i] == '"' && (i == 0 || raw.p[i - 1] != '\\');
        mill_buffer_add_byte(&text, (unsigned char)raw.p[i++]);
    }
    json_t *root = json_loadb(text.p, text.n, 0, &bad);
    if (root == NULL) {
        fail_msg("%s: %s", name, bad.text);
    }
    mill_buffer_clear(&raw);
    mill_buffer_clear(&text);
    return root;
}

static void write_csv(const char *file, const json_t *values)
{
    struct mill_buffer text = {0};
    struct mill_error err;

    mill_buffer_add_string(&text, "row,x\n");
    for (size_t i = 0; i < json_array_size(values); i++) {
        const json_t *v = json_array_get(values, i);
        mill_buffer_printf(&text, "%zu,", i);
        if (json_is_string(v)) {
            mill_buffer_add_string(&text, json_string_value(v));
        } else if (json_is_number(v)) {
            text.n += mill_number_print_double(json_number_value(v), mill_buffer_reserve(&text, MILL_NUMBER_TEXT_MAX));
        }
        mill_buffer_add_byte(&text, '\n');
    }
    assert_int_equal(mill_file_replace(file, mill_buffer_slice(&text), &err), 0);
    mill_buffer_clear(&text);
}

static const json_t *dig(const json_t *at, const char *path)
{
    char part[64];

    while (at != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");
        snprintf(part, sizeof(part), "%.*s", (int)n, path);
        at = json_object_get(at, part);
        path += n + (path[n] == '.');
    }
    return at;
}

static double number_at(const json_t *at, const char *path)
{
    const json_t *v = dig(at, path);

    if (v == NULL) {
        fail_msg("no '%s'", path);
    }
    if (json_is_string(v)) {
        return strcmp(json_string_value(v), "-Infinity") == 0 ? -HUGE_VAL : HUGE_VAL;
    }
    return json_is_null(v) ? (double)NAN : json_number_value(v);
}

static void compare_number(const char *name, const json_t *golden, const char *golden_path, const json_t *got,
                           const char *path, double relative, double absolute)
{
    double want = number_at(golden, golden_path), have = number_at(got, path);
    bool same =
        (isnan(want) && isnan(have)) || want == have || fabs(want - have) <= fmax(absolute, relative * fabs(want));

    if (!same) {
        fail_msg("%s: %s is %.17g, expected %.17g", name, path, have, want);
    }
}

static void check_numeric(const char *name, const json_t *golden, const json_t *got)
{
    compare_number(name, golden, "ks.statistic", got, "ks.statistic", 1e-12, 0);
    compare_number(name, golden, "ks.pvalue", got, "ks.pvalue", 0, 1e-12);
    compare_number(name, golden, "ks.location", got, "ks.location", 0, 0);
    compare_number(name, golden, "ks.sign", got, "ks.sign", 0, 0);
    compare_number(name, golden, "psi_quantile10_floor1e-4.value", got, "psi", 1e-12, 1e-15);
    compare_number(name, golden, "psi_article", got, "psi_article", 1e-12, 1e-15);
    compare_number(name, golden, "jensen_shannon_bits_on_psi_bins", got, "jensen_shannon", 1e-12, 1e-9);
    compare_number(name, golden, "hellinger_on_psi_bins", got, "hellinger", 1e-12, 1e-8);
    if (json_object_get(golden, "wasserstein") != NULL) {
        compare_number(name, golden, "wasserstein", got, "wasserstein", 1e-12, 1e-300);
        if (isfinite(number_at(golden, "mean.current"))) { /* numpy's sum overflows in one case */
            compare_number(name, golden, "mean.reference", got, "mean.reference", 1e-9, 1e-9);
            compare_number(name, golden, "mean.current", got, "mean.current", 1e-12, 1e-15);
        }
    }
}

static void check_categorical(const char *name, const json_t *golden, const json_t *got)
{
    compare_number(name, golden, "chi2.statistic", got, "chi2.statistic", 1e-12, 0);
    compare_number(name, golden, "chi2.pvalue", got, "chi2.pvalue", 0, 1e-12);
    compare_number(name, golden, "chi2.dof", got, "chi2.dof", 0, 0);
    compare_number(name, golden, "g.statistic", got, "g", 1e-12, 0);
    compare_number(name, golden, "g.pvalue", got, "g_pvalue", 0, 1e-12);
    compare_number(name, golden, "psi_levels_floor1e-4", got, "psi", 1e-12, 1e-15);
    compare_number(name, golden, "total_variation", got, "total_variation", 1e-12, 1e-15);
    compare_number(name, golden, "jensen_shannon_bits", got, "jensen_shannon", 1e-12, 1e-9);
}

static void check_case(const char *file)
{
    struct command c = {.status = -1};
    json_t *golden = load_case(file);
    json_error_t bad;

    write_csv("reference.csv", json_object_get(golden, "reference"));
    write_csv("current.csv", json_object_get(golden, "current"));
    command_run(&c, "drift", "compare", "--reference", "reference.csv", "--current", "current.csv", "--features", "x",
                "--bins", "quantile:10", "--smoothing", "floor:1e-4", "--format", "json", NULL);
    if (c.status != 0) {
        fail_msg("%s: status %d: %s", file, c.status, mill_buffer_cstr(&c.err));
    }
    json_t *root = json_loadb(c.out.p, c.out.n, 0, &bad);
    const json_t *got = dig(root, "features.x");
    assert_non_null(got);
    if (json_object_get(golden, "levels") != NULL) {
        check_categorical(file, golden, got);
    } else {
        check_numeric(file, golden, got);
        compare_number(file, golden, "null_share.reference", got, "null_share.reference", 1e-12, 0);
        compare_number(file, golden, "null_share.current", got, "null_share.current", 1e-12, 0);
    }
    json_decref(root);
    json_decref(golden);
    command_clear(&c);
}

static void test_golden(void **state)
{
    DIR *dir = opendir(CASES_DIR);
    unsigned count = 0;

    (void)state;
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        size_t n = strlen(entry->d_name);
        if (n > 5 && strcmp(entry->d_name + n - 5, ".json") == 0) {
            check_case(entry->d_name);
            count++;
        }
    }
    closedir(dir);
    assert_int_equal(count, 18);
}

/* ---- what people see ---- */

static void write_rows(const char *name, const char *header, double shift, int rows)
{
    struct mill_buffer text = {0};
    struct mill_error err;

    mill_buffer_printf(&text, "%s\n", header);
    for (int i = 0; i < rows; i++) {
        double x = fmod(i * 0.618033988749895, 1); /* evenly spread */
        double y = fmod(i * 0.754877666246693, 1);
        mill_buffer_printf(&text, "%.17g,%.17g,%s,%s\n", 10 * x + shift, y, shift > 0 && i % 3 == 0 ? "JFK" : "EWR",
                           i % 10 == 0 ? "" : "7");
    }
    assert_int_equal(mill_file_replace(name, mill_buffer_slice(&text), &err), 0);
    mill_buffer_clear(&text);
}

static void test_text(void **state)
{
    struct command c = {.status = -1};

    (void)state;
    write_rows("before.csv", "delay,noise,origin,fixed", 0, 2000);
    write_rows("after.csv", "delay,noise,origin,fixed", 3, 2000);
    command_run(&c, "drift", "compare", "-r", "before.csv", "-i", "after.csv", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "delay  major drift: ");
    assert_holds(&c.out, "origin  major drift: ");
    assert_holds(&c.out, "noise  stable");
    assert_holds(&c.out, "fixed  stable");
    assert_holds(&c.out, "missing 10.0 % / 10.0 %");
    assert_holds(&c.out, "2 of 4 features drifted by the default rule: 2 major, 0 minor");
    const char *text = mill_buffer_cstr(&c.out);
    assert_true(strstr(text, "delay  major") < strstr(text, "noise  stable")); /* worst first */
    command_run(&c, "drift", "compare", "-r", "before.csv", "-i", "after.csv", "--fail-on", "major", NULL);
    assert_int_equal(c.status, 1);
    command_run(&c, "drift", "compare", "-r", "before.csv", "-i", "before.csv", "--fail-on", "minor", NULL);
    assert_int_equal(c.status, 0);
    command_clear(&c);
}

static void test_changed_columns(void **state)
{
    struct command c = {.status = -1};
    json_error_t bad;

    (void)state;
    write_rows("before.csv", "delay,noise,origin,fixed", 0, 1000);
    write_rows("after.csv", "delay,noise,airport,fixed", 0, 1000);
    command_run(&c, "drift", "compare", "-r", "before.csv", "-i", "after.csv", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loadb(c.out.p, c.out.n, 0, &bad);
    assert_string_equal(json_string_value(dig(root, "features.origin.severity")), "major");
    assert_string_equal(json_string_value(json_array_get(json_object_get(root, "extra_columns"), 0)), "airport");
    assert_true(number_at(root, "features.origin.null_share.current") == 1);
    json_decref(root);
    command_clear(&c);
}

static void test_profile(void **state)
{
    struct command c = {.status = -1};
    json_error_t bad;

    (void)state;
    write_rows("before.csv", "delay,noise,origin,fixed", 0, 3000);
    command_run(&c, "drift", "profile", "--input", "before.csv", "-o", "p.mill", "--model", "late", "--break-points",
                "100", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "3000 rows, 4 features, model late");
    command_run(&c, "drift", "profile", "p.mill", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loadb(c.out.p, c.out.n, 0, &bad);
    assert_true(number_at(root, "rows") == 3000);
    assert_true(number_at(root, "features.delay.break_points") <= 130);
    assert_true(json_is_false(dig(root, "features.delay.exact")));
    assert_true(json_is_true(dig(root, "features.fixed.exact")));
    assert_true(number_at(root, "features.fixed.nulls") == 300);
    assert_true(number_at(root, "features.origin.levels") == 1);
    json_decref(root);
    command_clear(&c);
}

static void test_simulate(void **state)
{
    struct command c = {.status = -1};
    json_error_t bad;

    (void)state;
    write_rows("before.csv", "delay,noise,origin,fixed", 0, 4000);
    command_run(&c, "drift", "simulate", "-r", "before.csv", "--window", "1000", "-n", "200", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loadb(c.out.p, c.out.n, 0, &bad);
    assert_true(number_at(root, "evaluations") == 200);
    assert_true(number_at(root, "any_rate") <= 0.01);
    json_decref(root);
    command_clear(&c);
}

static void test_bad_input(void **state)
{
    static const struct {
        const char *words[10], *said;
        int status;
    } cases[] = {
        {{"drift", "compere"}, "hint: did you mean 'drift compare'?", 64},
        {{"drift", "compare"}, "expected two files", 64},
        {{"drift", "compare", "-r", "none.csv", "-i", "none.csv"}, "none.csv", 66},
        {{"drift", "compare", "-r", "before.csv", "-i", "empty.csv"}, "empty.csv", 65},
        {{"drift", "compare", "-r", "before.csv", "-i", "header.csv"}, "has no rows", 65},
        {{"drift", "compare", "-r", "before.csv", "-i", "ragged.csv"}, "expected 4 fields", 65},
        {{"drift", "compare", "-r", "before.csv", "-i", "before.csv", "--bins", "deciles"}, "expected quantile:N", 64},
        {{"drift", "compare", "-r", "before.csv", "-i", "before.csv", "--smoothing", "x"}, "expected add:AMOUNT", 64},
        {{"drift", "compare", "-r", "before.csv", "-i", "before.csv", "--features", "dealy"},
         "hint: did you mean 'delay'?",
         64},
        {{"drift", "compare", "-r", "bad.jsonl", "-i", "before.csv"}, "line 2", 65},
        {{"drift", "profile", "before.csv"}, "before.csv", 65},
        {{"drift", "profile"}, "expected rows to make a profile of", 64},
        {{"drift", "simulate"}, "expected a file of rows", 64},
        {{"drift", "status", "--url", "http://127.0.0.1:1"}, "127.0.0.1:1", 69},
    };
    struct command c = {.status = -1};

    (void)state;
    write_rows("before.csv", "delay,noise,origin,fixed", 0, 100);
    command_write_file("empty.csv", "");
    command_write_file("header.csv", "delay,noise,origin,fixed\n");
    command_write_file("ragged.csv", "delay,noise,origin,fixed\n1,2,3,4\n1,2,3\n");
    command_write_file("bad.jsonl", "{\"a\":1}\n{\"a\":}\n");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const *w = cases[i].words;
        command_run(&c, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7], w[8], w[9], NULL);
        if (c.status != cases[i].status) {
            fail_msg("case %zu: status %d, expected %d: %s", i, c.status, cases[i].status, mill_buffer_cstr(&c.err));
        }
        assert_holds(&c.err, cases[i].said);
    }
    command_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),  cmocka_unit_test(test_text),     cmocka_unit_test(test_changed_columns),
        cmocka_unit_test(test_profile), cmocka_unit_test(test_simulate), cmocka_unit_test(test_bad_input),
    };
    return cmocka_run_group_tests(tests, command_set_up, command_tear_down);
}
