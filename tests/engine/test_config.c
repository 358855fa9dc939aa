/* SPDX-License-Identifier: Apache-2.0 */
/* The project file beside its corpus (test_config_cases.c): origins of settings, secrets, positions, limits, the
 * reference. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "engine/config_internal.h"
#include "engine/engine.h"

static char directory[] = "/tmp/mill_config_XXXXXX";
static char path[sizeof(directory) + 32];

static int make_directory(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL) {
        return -1;
    }
    snprintf(path, sizeof(path), "%s/project.yaml", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(directory);
}

static int load(struct mill_slice text, const char *const *sets, struct mill_project **ret,
                struct mill_problems *problems)
{
    struct mill_project_options options = {.sets = sets};
    struct mill_error err;
    assert_int_equal(mill_file_replace(path, text, &err), 0);
    return mill_project_load(path, &options, ret, problems, &err);
}

static const char minimal[] = "project: shop\n"
                              "kafka: {brokers: [a], group: in_file}\n"
                              "online_store: {connection_string: \"a:1,password=hidden,db=1\", password: secret}\n"
                              "sources:\n"
                              "  - {name: orders, fields: {at: timestamp}, timestamp_field: at}\n";

struct wanted {
    const char *key, *value, *origin;
    bool found;
};

static void look_for(void *context, const char *key, const char *value, const char *origin)
{
    struct wanted *w = context;
    if (strcmp(key, w->key) == 0) {
        assert_false(w->found);
        assert_string_equal(value, w->value);
        assert_string_equal(strncmp(origin, path, strlen(path)) == 0 ? origin + strlen(path) : origin, w->origin);
        w->found = true;
    }
}

static void assert_setting(const struct mill_project *project, const char *key, const char *value, const char *origin)
{
    struct wanted w = {key, value, origin, false};
    mill_project_each_setting(project, look_for, &w);
    assert_true(w.found);
}

/* --set before the environment before the file before the default, each with its origin; secrets hidden. */
static void test_settings(void **state)
{
    static const char *const sets[] = {"engine.shards=2", "engine.shards=3", "kafka.librdkafka.sasl.password=x", NULL};
    struct mill_project *project;
    struct mill_problems problems;
    (void)state;

    setenv("MILL_KAFKA_GROUP", "from_env", 1);
    setenv("MILL_ENGINE_SHARDS", "9", 1);
    assert_int_equal(load(mill_slice_of(minimal), sets, &project, &problems), 0);
    unsetenv("MILL_KAFKA_GROUP");
    unsetenv("MILL_ENGINE_SHARDS");
    assert_int_equal(problems.count, 0);
    assert_string_equal(project->kafka.group, "from_env");
    assert_int_equal(project->engine.shards, 3);
    assert_string_equal(project->online_store.options.password, "secret");
    assert_setting(project, "project", "shop", ":1:10");
    assert_setting(project, "kafka.group", "from_env", "environment");
    assert_setting(project, "engine.shards", "3", "--set");
    assert_setting(project, "engine.batch_rows", "1024", "default");
    assert_setting(project, "output.scores_topic", "shop.scores", "default");
    assert_setting(project, "sources[0].topic", "shop.orders", "default");
    assert_setting(project, "online_store.password", "***", ":3:73");
    assert_setting(project, "online_store.connection_string", "a:1,password=***,db=1", ":3:35");
    assert_setting(project, "kafka.librdkafka.sasl.password", "***", "--set");
    mill_project_free(project);
    mill_problems_clear(&problems);
}

static void test_missing_file(void **state)
{
    struct mill_project *project = NULL;
    struct mill_problems problems;
    struct mill_error err;
    (void)state;
    assert_int_equal(mill_project_load("/nowhere/x.yaml", NULL, &project, &problems, &err), MILL_ENOINPUT);
    assert_null(project);
    assert_int_equal(problems.count, 0);
    mill_problems_clear(&problems);
}

/* The committed page is what the tables say. */
static void test_reference(void **state)
{
    struct mill_buffer written = {0}, committed = {0};
    struct mill_error err;
    (void)state;
    mill_project_write_reference(&written);
    if (getenv("UPDATE") != NULL) {
        assert_int_equal(mill_file_replace(MILL_SOURCE_DIR "/docs/config.md", mill_buffer_slice(&written), &err), 0);
    }
    assert_int_equal(mill_file_read(MILL_SOURCE_DIR "/docs/config.md", 1 << 20, &committed, &err), 0);
    assert_string_equal(mill_buffer_cstr(&committed), mill_buffer_cstr(&written));
    mill_buffer_clear(&written);
    mill_buffer_clear(&committed);
}

/* ------------------------------------------------------------------------------------------------
 * Positions: a scalar is written in a random style around a marker, and the marker must be found again.
 * --------------------------------------------------------------------------------------------- */

static uint64_t seed;

static uint32_t random_below(uint32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((seed >> 33) % n);
}

/* Words and what may stand between them; 'Q' is the marker. */
static void write_words(struct mill_buffer *out, enum mill__style style, const char *indent)
{
    static const char *const words[] = {"a", "bc", "d_1", "\xc3\xa9\xc3\xa8", "x+y", "(1)"};
    uint32_t count = 1 + random_below(8), marked = random_below(count);
    for (uint32_t i = 0; i < count; i++) {
        bool block = style == MILL__LITERAL || style == MILL__FOLDED;
        if (i > 0) {
            uint32_t gap = random_below(4);
            if (gap == 0) {
                mill_buffer_printf(out, "%s\n%s", !block && random_below(2) ? "  " : "", indent);
            } else if (gap == 1 && i != marked) {
                mill_buffer_printf(out, "\n\n%s", indent);
            } else if (gap == 2 && style == MILL__DOUBLE_QUOTED) {
                mill_buffer_printf(out, " \\\n%s", indent);
            } else {
                mill_buffer_add_string(out, " ");
            }
        }
        if (i == marked) {
            mill_buffer_add_string(out, "Q");
        } else if (style == MILL__DOUBLE_QUOTED && random_below(3) == 0) {
            mill_buffer_add_string(out, random_below(2) ? "\\u00e9" : "\\x41\\n\\\"");
        } else if (style == MILL__SINGLE_QUOTED && random_below(3) == 0) {
            mill_buffer_add_string(out, "''");
        } else {
            mill_buffer_add_string(out, words[random_below(6)]);
        }
    }
}

static void write_scalar(struct mill_buffer *out, enum mill__style style)
{
    static const char *const open[] = {"", "'", "\"", "|\n    ", ">\n    "};
    static const char *const close[] = {"", "'", "\"", "", ""};
    static const char *const headers[] = {"|\n    ", "|-\n    ", "|+\n\n    ", "|2\n    ", "| # why\n    "};
    bool literal = style == MILL__LITERAL;
    mill_buffer_add_string(out, "before: 1\nlist:\n- {x: 1}\n- key: ");
    mill_buffer_add_string(out, literal ? headers[random_below(5)] : open[style]);
    write_words(out, style, "    ");
    mill_buffer_add_string(out, close[style]);
    mill_buffer_add_string(out, "\n- after\n");
}

static void find_marker(const struct mill_buffer *text, unsigned *ret_line, unsigned *ret_col)
{
    unsigned line = 1, col = 1;
    for (size_t i = 0; text->p[i] != 'Q'; i++) {
        unsigned char byte = (unsigned char)text->p[i];
        col = byte == '\n' ? 1 : col + ((byte & 0xc0) != 0x80);
        line += byte == '\n';
    }
    *ret_line = line;
    *ret_col = col;
}

static void test_positions(void **state)
{
    enum { ROUNDS = 20000 };
    struct mill_arena arena;
    struct mill_project_options options = {.sets = NULL};
    (void)state;

    seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    mill_arena_init(&arena, 0);
    for (int i = 0; i < ROUNDS; i++) {
        enum mill__style style = (enum mill__style)random_below(5);
        struct mill_problems problems = {.count = 0};
        struct mill_buffer text = {0};
        unsigned line, col, wanted_line, wanted_col;
        write_scalar(&text, style);
        struct mill__config c = {.path = "x",
                                 .source = mill_buffer_slice(&text),
                                 .arena = &arena,
                                 .problems = &problems,
                                 .options = &options};
        struct mill__node *root = mill__yaml_load(&c);
        if (root == NULL) {
            fail_msg("not read: %s\n%s", problems.at[0].message, mill_buffer_cstr(&text));
        }
        const struct mill__node *scalar = mill__node_get(mill__node_get(root, "list")->items[1], "key");
        const char *marker = memchr(scalar->text.p, 'Q', scalar->text.n);
        assert_int_equal(scalar->style, style);
        assert_non_null(marker);
        mill__node_position(&c, scalar, (size_t)(marker - scalar->text.p), &line, &col);
        find_marker(&text, &wanted_line, &wanted_col);
        if (line != wanted_line || col != wanted_col) {
            fail_msg("expected %u:%u, found %u:%u in\n%s", wanted_line, wanted_col, line, col, mill_buffer_cstr(&text));
        }
        mill_buffer_clear(&text);
        mill_problems_clear(&problems);
        mill_arena_reset(&arena);
    }
    mill_arena_clear(&arena);
}

/* ------------------------------------------------------------------------------------------------
 * Limits
 * --------------------------------------------------------------------------------------------- */

/* Hostile files end soon and with a word. */
static void test_hostile_files(void **state)
{
    enum { SHAPES = 8 };
    static const char *const pieces[SHAPES] = {"[",  "{a: ",          "- ",     "&a [*a, ",
                                               "? ", "k: &x \"y\"\n", "a: 1\n", "- {x: [1, 2]}\n"};
    static const size_t counts[SHAPES] = {1000000, 200000, 400000, 100000, 500000, 80000, 150000, 60000};
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct mill_buffer text = {0};
        struct mill_project *project = NULL;
        struct mill_problems problems;
        for (size_t n = 0; n < counts[i] && text.n < 1000000; n++) {
            mill_buffer_add_string(&text, pieces[i]);
        }
        int64_t begin_ns = mill_clock_mono_ns();
        assert_int_equal(load(mill_buffer_slice(&text), NULL, &project, &problems), MILL_ECONFIG);
        double seconds = (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
        print_message("%zu x '%.6s' : %.2f s, %s\n", counts[i], pieces[i], seconds, problems.at[0].message);
        assert_true(seconds < 10);
        assert_null(project);
        mill_problems_clear(&problems);
        mill_buffer_clear(&text);
    }
}

static void test_file_too_large(void **state)
{
    struct mill_buffer text = {0};
    struct mill_project *project = NULL;
    struct mill_problems problems;
    (void)state;
    while (text.n <= MILL__FILE_BYTES_MAX) {
        mill_buffer_add_string(&text, "# a comment of some length, again and again\n");
    }
    assert_int_equal(load(mill_buffer_slice(&text), NULL, &project, &problems), MILL_ERESOURCE);
    mill_problems_clear(&problems);
    mill_buffer_clear(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_settings),  cmocka_unit_test(test_missing_file),  cmocka_unit_test(test_reference),
        cmocka_unit_test(test_positions), cmocka_unit_test(test_hostile_files), cmocka_unit_test(test_file_too_large),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
