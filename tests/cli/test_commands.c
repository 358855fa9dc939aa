/* SPDX-License-Identifier: Apache-2.0 */
/* The commands that need no Kafka: words, options, exit statuses, init to a first run, validate, config. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "tests/cli/command.h"

static const char *const commands[] = {"init", "validate", "run",    "replay",  "get",
                                       "tap",  "top",      "config", "version", "healthcheck"};
enum { COMMAND_COUNT = sizeof(commands) / sizeof(commands[0]) };

static void assert_holds(struct mill_buffer *text, const char *piece)
{
    if (strstr(mill_buffer_cstr(text), piece) == NULL) {
        fail_msg("'%s' is not in\n%s", piece, mill_buffer_cstr(text));
    }
}

static void test_help(void **state)
{
    struct command c = {.status = -1};
    char usage[64];
    (void)state;
    command_run(&c, NULL);
    assert_int_equal(c.status, 0);
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        assert_holds(&c.out, commands[i]);
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        command_run(&c, commands[i], "--help", NULL);
        assert_int_equal(c.status, 0);
        snprintf(usage, sizeof(usage), "usage: tidemill %s", commands[i]);
        assert_holds(&c.out, usage);
        assert_holds(&c.out, "--format text|json");
        assert_int_equal(c.err.n, 0);
        struct mill_buffer asked = {0};
        mill_buffer_add_slice(&asked, mill_buffer_slice(&c.out));
        command_run(&c, "help", commands[i], NULL);
        assert_string_equal(mill_buffer_cstr(&c.out), mill_buffer_cstr(&asked));
        mill_buffer_clear(&asked);
    }
    command_clear(&c);
}

static void test_usage_errors(void **state)
{
    static const struct {
        const char *words[4], *said;
    } cases[] = {
        {{"valdate"}, "unknown command 'valdate'; hint: did you mean 'validate'?"},
        {{"xyzzy"}, "unknown command 'xyzzy'; hint: 'tidemill --help' lists them"},
        {{"validate", "--sett=a"}, "unknown option '--sett'; hint: did you mean '--set'?"},
        {{"validate", "-q"}, "unknown option '-q'"},
        {{"validate", "--format", "xml"}, "option '--format': expected text or json, found 'xml'"},
        {{"validate", "--format"}, "option '--format' needs a value"},
        {{"validate", "--offline=yes"}, "option '--offline' takes no value"},
        {{"version", "now"}, "unexpected argument 'now'"},
        {{"init"}, "expected DIR"},
        {{"replay", "--rate", "fast", "a=b"}, "option '--rate': expected a number"},
        {{"replay", "--partitions", "0", "a=b"}, "option '--partitions': expected a whole number from 1 to 10000"},
    };
    struct command c = {.status = -1};
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const char *const *w = cases[i].words;
        command_run(&c, w[0], w[1], w[2], w[3], NULL);
        assert_int_equal(c.status, 64);
        assert_holds(&c.err, cases[i].said);
        assert_int_equal(c.out.n, 0);
    }
    command_run(&c, "version", "--format", "json", "now", NULL);
    assert_int_equal(c.status, 64);
    json_t *root = json_loads(mill_buffer_cstr(&c.err), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(json_object_get(root, "error"), "exit_status")), 64);
    json_decref(root);
    command_clear(&c);
}

static void test_version(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    command_run(&c, "version", NULL);
    assert_int_equal(c.status, 0);
    assert_string_equal(mill_buffer_cstr(&c.out), "tidemill " MILL_VERSION "\n");
    command_run(&c, "--version", NULL);
    assert_string_equal(mill_buffer_cstr(&c.out), "tidemill " MILL_VERSION "\n");
    command_run(&c, "version", "--format", "json", NULL);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    assert_string_equal(json_string_value(json_object_get(root, "version")), MILL_VERSION);
    json_decref(root);
    command_clear(&c);
}

static size_t count_lines(const char *path)
{
    struct mill_buffer text = {0};
    struct mill_error err;
    size_t lines = 0;
    assert_int_equal(mill_file_read(path, 64 << 20, &text, &err), 0);
    for (size_t i = 0; i < text.n; i++) {
        lines += text.p[i] == '\n';
    }
    mill_buffer_clear(&text);
    return lines;
}

/* What init writes is valid, runs, and says what it promises. */
static void test_init_to_first_run(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    command_run(&c, "init", "my shop/", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "tidemill run --input orders=orders.jsonl --output out");
    command_run(&c, "init", "my shop", NULL);
    assert_int_equal(c.status, 64);
    assert_holds(&c.err, "exists already");
    assert_int_equal(chdir("my shop"), 0);
    command_run(&c, "validate", "--strict", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "1 source, 1 feature view, 1 feature service, 0 models");
    command_run(&c, "run", "--input", "orders=orders.jsonl", "--output", "out", NULL);
    assert_int_equal(c.status, 0);
    assert_int_equal(count_lines("out/rows.jsonl"), 500);
    assert_int_equal(count_lines("out/dead_letter.jsonl"), 1);
    assert_int_equal(chdir(".."), 0);
    command_clear(&c);
}

static const char broken[] = "project: shop\n"
                             "kafka: {brokrs: [a]}\n"
                             "sources:\n"
                             "  - {name: orders, fields: {at: timestmp}, timestamp_field: at}\n";

static void test_validate(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    command_write_file("broken.yaml", broken);
    command_run(&c, "validate", "broken.yaml", NULL);
    assert_int_equal(c.status, 78);
    assert_int_equal(c.out.n, 0);
    assert_holds(&c.err, "broken.yaml:2:9: error: kafka has no key 'brokrs'; hint: did you mean 'brokers'?\n");
    assert_holds(&c.err, "broken.yaml:4:33: error: type 'timestmp' is not known");
    assert_holds(&c.err, "'broken.yaml' has 2 problems");
    assert_null(strchr(mill_buffer_cstr(&c.err), '\033'));
    command_run(&c, "validate", "broken.yaml", "--color", "always", NULL);
    assert_holds(&c.err, "\033[31merror:\033[0m");

    command_run(&c, "validate", "-c", "broken.yaml", "--format", "json", NULL);
    assert_int_equal(c.status, 78);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    json_t *problems = json_object_get(root, "problems");
    assert_true(json_is_false(json_object_get(root, "valid")));
    assert_int_equal(json_array_size(problems), 2);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(problems, 1), "col")), 33);
    json_decref(root);

    command_run(&c, "validate", "nowhere.yaml", NULL);
    assert_int_equal(c.status, 66);
    command_run(&c, "config", "-c", "broken.yaml", NULL);
    assert_int_equal(c.status, 78);
    command_clear(&c);
}

static void test_config(void **state)
{
    struct command c = {.status = -1};
    size_t i;
    json_t *setting;
    bool found = false;
    (void)state;
    command_write_file("good.yaml", "project: shop\n"
                                    "kafka: {brokers: [a], group: file}\n"
                                    "sources:\n"
                                    "  - {name: orders, fields: {at: timestamp}, timestamp_field: at}\n");
    command_run(&c, "config", "-c", "good.yaml", "--origin", "--set", "kafka.group=mine", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "kafka.group                                  mine                         --set\n");
    command_run(&c, "config", "-c", "good.yaml", "--format", "json", NULL);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    json_array_foreach(root, i, setting)
    {
        found = found || strcmp(json_string_value(json_object_get(setting, "origin")), "good.yaml:2:30") == 0;
    }
    assert_true(found);
    json_decref(root);
    command_run(&c, "config", "--reference", NULL);
    assert_int_equal(c.status, 0);
    assert_holds(&c.out, "# The project file\n");
    command_clear(&c);
}

/* A full disk under standard output is said, not passed over. */
static void test_full_output(void **state)
{
    static char version[] = "version", name[] = "tidemill";
    char *arguments[] = {name, version, NULL};
    (void)state;
    assert_int_equal(command_wait(command_start("/dev/full", ".err", arguments)), 74);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_help),        cmocka_unit_test(test_usage_errors),
        cmocka_unit_test(test_version),     cmocka_unit_test(test_init_to_first_run),
        cmocka_unit_test(test_validate),    cmocka_unit_test(test_config),
        cmocka_unit_test(test_full_output),
    };
    return cmocka_run_group_tests(tests, command_set_up, command_tear_down);
}
