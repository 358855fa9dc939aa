/* SPDX-License-Identifier: Apache-2.0 */
/* A profile that travels with its model: `reference: training` finds it by the manifest; one of another model, without
 * a watched feature, of other segments or damaged is a problem of the project file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/hash.h"
#include "engine/engine.h"
#include "engine/plan_internal.h"

enum { ROWS = 500 };

static const char project_text[] = "project: shop\n"
                                   "model_registry: {path: registry}\n"
                                   "entities: [{name: user, join_keys: [user_id]}]\n"
                                   "sources:\n"
                                   "  - name: orders\n"
                                   "    fields: {user_id: string, amount: float64, country: string, at: timestamp}\n"
                                   "    timestamp_field: at\n"
                                   "feature_views:\n"
                                   "  - name: user_orders\n"
                                   "    entities: [user]\n"
                                   "    source: orders\n"
                                   "    aggregations: [{column: amount, function: [sum, count], time_window: 1h}]\n"
                                   "feature_services: [{name: s, features: [user_orders]}]\n"
                                   "models: [{name: risk, feature_service: s, uri: \"models:/risk/1\"}]\n"
                                   "monitors:\n"
                                   "  - %s\n";

struct fixture {
    char dir[64];
    struct mill_error err;
    char problem[512];
};

static void write_file(const struct fixture *f, const char *name, struct mill_slice bytes)
{
    struct mill_error err;
    char path[160];
    snprintf(path, sizeof(path), "%s/%s", f->dir, name);
    assert_int_equal(mill_file_replace(path, bytes, &err), MILL_OK);
}

static void write_text(const struct fixture *f, const char *name, const char *text)
{
    write_file(f, name, mill_slice_of(text));
}

static void write_profile(const struct fixture *f, const char *model, uint32_t field_count)
{
    static struct mill_field fields[] = {
        {"amount_sum_1h", MILL_FLOAT64}, {"amount_count_1h", MILL_INT64}, {"score", MILL_FLOAT64}};
    struct mill_profile_spec spec = {
        .model = model, .model_version = "1", .fields = fields, .field_count = field_count};
    struct mill_profile_builder *builder = mill_profile_builder_new(&spec);
    struct mill_column columns[3];
    const struct mill_column *pointers[3];
    struct mill_profile *profile;
    struct mill_buffer bytes = {0};
    struct mill_arena arena;
    struct mill_error err;

    mill_arena_init(&arena, 0);
    for (uint32_t c = 0; c < field_count; c++) {
        mill_column_init(&columns[c], fields[c].type, ROWS, &arena);
        pointers[c] = &columns[c];
        for (uint32_t row = 0; row < ROWS; row++) {
            mill_bit_set(columns[c].valid, row);
            if (fields[c].type == MILL_INT64) {
                columns[c].at.i[row] = row % 9;
            } else {
                columns[c].at.f[row] = (double)row / ROWS;
            }
        }
    }
    mill_profile_builder_add(builder, pointers, NULL, NULL, NULL, 0, ROWS);
    assert_int_equal(mill_profile_builder_finish(builder, &profile, &err), MILL_OK);
    mill_profile_write(profile, &bytes);
    write_file(f, "registry/risk/1/profile.mill", mill_buffer_slice(&bytes));
    mill_profile_free(profile);
    mill_profile_builder_free(builder);
    mill_buffer_clear(&bytes);
    mill_arena_clear(&arena);
}

static void write_registry(const struct fixture *f, const char *more)
{
    struct mill_buffer model = {0}, manifest = {0};
    struct mill_error err;
    char hex[65];

    assert_int_equal(mill_file_read(MILL_TEST_DIR "/cases/config/files/model.json", 1 << 20, &model, &err), MILL_OK);
    mill_sha256_hex(model.p, model.n, hex);
    mill_buffer_printf(&manifest, "model: model.json\nsha256: %s\n%s", hex, more);
    write_file(f, "registry/risk/1/model.json", mill_buffer_slice(&model));
    write_file(f, "registry/risk/1/manifest.yaml", mill_buffer_slice(&manifest));
    mill_buffer_clear(&model);
    mill_buffer_clear(&manifest);
}

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    char path[128];

    snprintf(f->dir, sizeof(f->dir), "/tmp/mill_profiles_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(path, sizeof(path), "%s/registry/risk/1", f->dir);
    assert_int_equal(mill_file_make_dirs(path, &f->err), MILL_OK);
    write_registry(f, "profile: profile.mill\n");
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* The project, or NULL and its first problem. */
static struct mill_project *load(struct fixture *f, const char *monitor)
{
    struct mill_project_options options = {.offline = true};
    struct mill_problems problems;
    struct mill_project *project = NULL;
    char text[sizeof(project_text) + 256], path[128];

    snprintf(text, sizeof(text), project_text, monitor);
    write_text(f, "shop.yaml", text);
    snprintf(path, sizeof(path), "%s/shop.yaml", f->dir);
    int rc = mill_project_load(path, &options, &project, &problems, &f->err);
    assert_true(rc == MILL_OK || problems.count > 0);
    snprintf(f->problem, sizeof(f->problem), "%s", problems.count > 0 ? problems.at[0].message : "");
    mill_problems_clear(&problems);
    return project;
}

static void assert_problem(struct fixture *f, const char *monitor, const char *part)
{
    assert_null(load(f, monitor));
    if (strstr(f->problem, part) == NULL) {
        fail_msg("expected '%s' in '%s'", part, f->problem);
    }
}

static void test_travels_with_the_model(void **state)
{
    struct fixture *f = *state;
    struct mill__plan *plan;

    write_profile(f, "risk", 3);
    struct mill_project *project = load(f, "{model: risk}");
    assert_non_null(project);
    assert_int_equal(mill__plan_open(project, &(struct mill__plan_options){0}, &plan, &f->err), MILL_OK);
    assert_int_equal(plan->monitor_count, 1);
    assert_non_null(plan->monitors[0].profile);
    assert_int_equal(plan->monitors[0].profile->row_count, ROWS);
    assert_int_equal(plan->monitors[0].profile->feature_count, 3);
    char whole[65];
    memcpy(whole, plan->monitors[0].profile->sha256, sizeof(whole));
    mill__plan_close(plan);
    mill_project_free(project);

    /* A part of it is another reference: its counts do not fit the whole. */
    project = load(f, "{model: risk, features: [amount_count_1h], reference: training}");
    assert_non_null(project);
    assert_int_equal(mill__plan_open(project, &(struct mill__plan_options){0}, &plan, &f->err), MILL_OK);
    assert_int_equal(plan->monitors[0].profile->feature_count, 2);
    assert_string_equal(plan->monitors[0].profile->features[0].name, "amount_count_1h");
    assert_string_not_equal(plan->monitors[0].profile->sha256, whole);
    mill__plan_close(plan);
    mill_project_free(project);
}

static void test_of_another_model(void **state)
{
    struct fixture *f = *state;

    write_profile(f, "churn", 3);
    assert_problem(f, "{model: risk}", "is of model 'churn'; expected one of model 'risk'");
    write_profile(f, "risk", 2);
    assert_problem(f, "{model: risk}", "has no feature 'score'; hint: score: false");
    assert_problem(f, "{model: risk, features: [country], score: false}", "has no feature 'country'");
    assert_problem(f, "{model: risk, score: false, by: country}", "has no segments; expected segments by 'country'");
    struct mill_project *project = load(f, "{model: risk, score: false}");
    assert_non_null(project);
    mill_project_free(project);
}

static void test_not_there_or_damaged(void **state)
{
    struct fixture *f = *state;

    assert_problem(f, "{model: risk}", "profile.mill");
    write_text(f, "registry/risk/1/profile.mill", "none of ours");
    assert_problem(f, "{model: risk}", "not a drift profile");
    write_registry(f, "profile: ../profile.mill\n");
    assert_problem(f, "{model: risk}", "expected the name of a file beside the manifest");
    write_registry(f, "");
    assert_problem(f, "{model: risk}", "has no profile of its training data");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_travels_with_the_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_of_another_model, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_not_there_or_damaged, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
