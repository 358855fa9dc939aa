/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The promise that nothing allocates per event: the whole path from record bytes to encoded scores and rows, after
 * warm-up, under a hook that counts every malloc. (What librdkafka and hiredis allocate for themselves is theirs.)
 * Needs the hooks of the sanitizer's allocator; without it the test is skipped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "engine/admit_internal.h"
#include "engine/contributor_internal.h"
#include "engine/encode_internal.h"
#include "engine/pass_internal.h"
#include "engine/rekey_internal.h"

int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *)) __attribute__((weak));

enum { ROWS = 1000, USERS = 500, WARM_UP = 100, MEASURED = 40 };

static uint64_t malloc_count;
static bool is_counting;

static void on_malloc(const volatile void *p, size_t n)
{
    (void)p;
    (void)n;
    malloc_count += is_counting;
}

static void on_free(const volatile void *p)
{
    (void)p;
}

struct results {
    struct mill__encoder *encoder;
    struct mill_buffer text;
    uint64_t rows, scores, parts;
    struct mill__contributors contributors; /* of drift monitors */
};

static void on_row(void *context, struct mill__pass *pass, uint32_t use, uint32_t row, bool newest)
{
    struct results *results = context;

    (void)newest;
    mill_buffer_reset(&results->text);
    mill__encode_row(results->encoder, pass->uses[use], 0, &pass->batch, row, &results->text);
    results->rows++;
}

static void on_score(void *context, struct mill__pass *pass, const struct mill__plan_model *model, uint32_t row,
                     const double *values)
{
    struct results *results = context;

    mill_buffer_reset(&results->text);
    mill__encode_score(results->encoder, model, &pass->batch, row, values, 0, &results->text);
    results->scores++;
}

static void on_scored(void *context, struct mill__pass *pass, const struct mill__plan_model *model,
                      const struct mill_column *score, uint32_t from, uint32_t to)
{
    struct results *results = context;
    mill__contributors_count(&results->contributors, model, &pass->batch, score, from, to);
}

static void on_part(void *context, const struct mill_drift_part *part)
{
    struct results *results = context;
    results->parts += part->bytes.n > 0;
}

struct gathering {
    const struct mill_profile_spec *spec;
    struct mill_profile_builder *builder;
};

static void on_gathered(void *context, const struct mill_drift_part *part)
{
    struct gathering *g = context;
    struct mill_error err;
    uint64_t rows;
    assert_int_equal(mill_drift_part_build(part->bytes, g->spec, g->builder, &rows, &err), MILL_OK);
    assert_true(rows > 0);
}

/* The first rows become the reference of the monitor, as in a stream without a profile. */
static struct mill_profile *make_profile(struct mill__contributor *contributor)
{
    struct gathering g = {.spec = &contributor->monitor->spec.columns};
    struct mill_profile *profile = NULL;
    struct mill_error err;

    g.builder = mill_profile_builder_new(g.spec);
    mill_drift_counter_take(contributor->counter, INT64_C(4000000000000000), on_gathered, &g);
    assert_int_equal(mill_profile_builder_finish(g.builder, &profile, &err), MILL_OK);
    mill_profile_builder_free(g.builder);
    mill__contributor_reset(contributor, profile);
    return profile;
}

static void on_forward(void *context, struct mill__pass *pass, const struct mill__stage *stage, uint32_t row)
{
    (void)context;
    (void)pass;
    (void)stage;
    (void)row;
}

static void make_records(struct mill_record *records, char (*texts)[160], unsigned round)
{
    for (unsigned i = 0; i < ROWS; i++) {
        unsigned event = round * ROWS + i;
        /* A second of event time an event, now and then one that is out of order. */
        long long ts = 1700000000000 + (long long)event * 1000 - (event % 17 == 0 ? 30000 : 0);
        int n = snprintf(texts[i], sizeof(texts[i]),
                         "{\"user_id\":\"u%06u\",\"ts\":%lld,\"amount\":%u.%02u,\"merchant\":\"m%u\",\"country\":"
                         "\"DE\",\"ok\":true}",
                         event * 7919 % USERS, ts, event % 997, event % 100, event % 50);
        records[i] = (struct mill_record){.value = {texts[i], (size_t)n}, .offset = event};
    }
}

struct run {
    struct mill__plan *plan;
    struct mill_view_table *table;
    struct mill_decoder *decoder;
    struct mill__admission admission;
    struct mill__pass pass;
};

static void one_batch(struct run *run, const struct mill_record *records, const struct mill__sink *sink)
{
    struct mill_error err;

    mill__pass_begin(&run->pass, ROWS);
    int rc = mill_decoder_decode(run->decoder, records, ROWS, &run->pass.batch, &run->pass.rejects, &err);
    mill_assert(rc == MILL_OK);
    mill__admit(&run->admission, &run->pass.batch, &run->pass.rejects, run->pass.newest_before);
    mill_assert(run->pass.rejects.count == 0);
    mill__pass_prepare(&run->pass);
    while (mill__pass_has_rows(&run->pass)) {
        rc = mill__pass_step(&run->pass, &err);
        mill_assert(rc == MILL_OK);
    }
    mill__pass_emit(&run->pass, sink);
}

static struct mill_project *load_project(const char *path)
{
    struct mill_project_options options = {.offline = true};
    struct mill_problems problems = {0};
    struct mill_project *project = NULL;
    struct mill_error err = {0};

    setenv("KAFKA_BROKERS", "none:1", 1);
    setenv("REDIS", "none:1", 1);
    setenv("STATE", "none", 1);
    int rc = mill_project_load(path, &options, &project, &problems, &err);
    for (uint32_t i = 0; i < problems.count; i++) {
        fprintf(stderr, "%u:%u: %s\n", problems.at[i].line, problems.at[i].col, problems.at[i].message);
    }
    assert_int_equal(rc, MILL_OK);
    mill_problems_clear(&problems);
    return project;
}

static void check_project(const char *path, uint32_t monitor_count)
{
    static struct mill_record records[ROWS];
    static char texts[ROWS][160];
    struct run run = {0};
    struct results results = {0};
    struct mill__sink sink = {
        .context = &results, .row = on_row, .score = on_score, .scored = on_scored, .forward = on_forward};
    struct mill_view_table_options table_options = {.entities_max = 1000};
    struct mill_project *project = load_project(path);
    struct mill_profile *profile = NULL;
    struct mill_error err = {0};

    malloc_count = 0;
    assert_int_equal(mill__plan_open(project, &(struct mill__plan_options){0}, &run.plan, &err), MILL_OK);
    assert_int_equal(mill_view_table_open(run.plan->views[0], &table_options, &run.table, &err), MILL_OK);
    assert_int_equal(mill_decoder_open(&project->sources[0].spec, &run.decoder, &err), MILL_OK);
    results.encoder = mill__encoder_new(run.plan, true);
    mill__admission_init(&run.admission, &project->sources[0], INT64_MIN);
    mill__pass_init(&run.pass, run.plan, &run.plan->flows[0], 0, 0, &run.table);
    mill__contributors_init(&results.contributors, run.plan, &run.plan->flows[0].stages[0], 0);
    assert_int_equal(results.contributors.count, monitor_count);
    for (unsigned round = 0; round < WARM_UP + MEASURED; round++) {
        make_records(records, texts, round);
        is_counting = round >= WARM_UP;
        one_batch(&run, records, &sink);
        if (profile != NULL) {
            mill_drift_counter_take(results.contributors.at[0].counter, run.admission.newest_us - 60000000, on_part,
                                    &results);
        }
        is_counting = false;
        if (round == 1 && monitor_count > 0) {
            profile = make_profile(&results.contributors.at[0]);
        }
    }
    assert_true(results.parts >= monitor_count * MEASURED);
    assert_int_equal(results.rows, (WARM_UP + MEASURED) * ROWS);
    assert_int_equal(results.scores, (WARM_UP + MEASURED) * ROWS);
    if (malloc_count != 0) {
        fail_msg("%llu allocations for %d events after warm-up", (unsigned long long)malloc_count, MEASURED * ROWS);
    }
    mill__contributors_clear(&results.contributors);
    mill_profile_free(profile);
    mill__pass_clear(&run.pass);
    mill__admission_clear(&run.admission);
    mill__encoder_free(results.encoder);
    mill_buffer_clear(&results.text);
    mill_decoder_close(run.decoder);
    mill_view_table_close(run.table);
    mill__plan_close(run.plan);
    mill_project_free(project);
}

static void test_nothing_allocates_per_event(void **state)
{
    (void)state;
    check_project(MILL_SOURCE_DIR "/bench/stream/stream.yaml", 0);
}

static void test_nor_with_a_monitor(void **state)
{
    (void)state;
    check_project(MILL_SOURCE_DIR "/bench/stream/stream_drift.yaml", 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_nothing_allocates_per_event),
                                       cmocka_unit_test(test_nor_with_a_monitor)};

    if (__sanitizer_install_malloc_and_free_hooks == NULL) {
        puts("skipped: counting allocations needs the sanitizer's allocator (preset asan)");
        return 77;
    }
    __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
