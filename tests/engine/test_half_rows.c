/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An event changes the state of several views. When the store of one of them does not answer, or has no room before a
 * flush, none of them may have changed yet: half an event can neither be written nor folded again. So each read of the
 * store fails once, one after the other, and each time all rows come out, with the bits they have without a failure;
 * also where the process ends at that moment and the next one goes on from what was written.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "../featurestore/kv_memory.h"
#include "engine/admit_internal.h"
#include "engine/encode_internal.h"
#include "engine/pass_internal.h"

enum { EVENTS = 96, BATCH = 8, VIEWS = 3, ENTITIES_MAX = 3, ROW_MAX = 700 };

static const char project_text[] =
    "project: shop\n"
    "kafka: {brokers: [\"none:1\"]}\n"
    "online_store: {type: none}\n"
    "offline_store: {type: none}\n"
    "entities:\n"
    "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
    "  - {name: merchant, join_keys: [merchant], value_type: STRING}\n"
    "sources:\n"
    "  - name: events\n"
    "    topic: shop.events\n"
    "    key: user_id\n"
    "    message_format: json\n"
    "    fields: {user_id: string, ts: timestamp_millis, amount: float64, merchant: string}\n"
    "    timestamp_field: ts\n"
    "    allowed_lateness: 1m\n"
    "feature_views:\n"
    "  - {name: user_all, entities: [user], source: events, aggregations: [{column: amount, function: [count, sum]}]}\n"
    "  - {name: user_hour, entities: [user], source: events, aggregations: [{column: amount, function: [count, max], "
    "time_window: 1h}]}\n"
    "  - {name: merchant_all, entities: [merchant], source: events, aggregations: [{column: amount, function: [count, "
    "last]}]}\n";

static struct mill_project *project;
static struct mill__plan *plan;
static struct mill__encoder *encoder;
static struct mill_record records[EVENTS];
static char texts[EVENTS][160];

struct rows {
    char text[EVENTS][VIEWS][ROW_MAX]; /* as they came out; "" not yet */
    bool differs;                      /* one came twice with other bits */
};

struct run {
    struct mill_kv *kv;
    struct mill_kv_batch *batch;
    struct mill_view_table *tables[VIEWS];
    struct mill_decoder *decoder;
    struct mill__admission admission;
    struct mill__pass pass;
    uint32_t entities_max;
    uint32_t applied, first; /* events written; first event of the batch at hand */
    bool may_end;            /* the process ends at the first failure */
    uint64_t failures, full;
    struct rows *rows;
};

static void on_row(void *context, struct mill__pass *pass, uint32_t use, uint32_t row, bool newest)
{
    struct run *run = context;
    struct mill_buffer text = {0};
    char *slot = run->rows->text[pass->batch.offset[row]][use];

    (void)newest;
    mill__encode_row(encoder, pass->uses[use], 0, &pass->batch, row, &text);
    assert_in_range(text.n, 1, ROW_MAX - 1);
    run->rows->differs |= slot[0] != '\0' && strcmp(slot, mill_buffer_cstr(&text)) != 0;
    snprintf(slot, ROW_MAX, "%s", mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
}

static void open_run(struct run *run)
{
    struct mill_error err;
    struct mill_view_table_options options = {.entities_max = run->entities_max, .kv = run->kv};
    for (uint32_t v = 0; v < VIEWS; v++) {
        options.view_id = (uint16_t)v;
        assert_int_equal(mill_view_table_open(plan->views[v], &options, &run->tables[v], &err), MILL_OK);
    }
    mill__admission_init(&run->admission, &project->sources[0], INT64_MIN);
    mill__pass_init(&run->pass, plan, &plan->flows[0], 0, plan->flows[0].stage_count - 1, run->tables);
}

static void close_run(struct run *run)
{
    mill__pass_clear(&run->pass);
    mill__admission_clear(&run->admission);
    for (uint32_t v = 0; v < VIEWS; v++) {
        mill_view_table_close(run->tables[v]);
    }
}

/* What a shard does: no write-back with half a row. */
static void flush(struct run *run)
{
    struct mill__sink sink = {.context = run, .row = on_row};
    assert_int_equal(run->pass.step_use, 0);
    mill__pass_emit(&run->pass, &sink);
    for (uint32_t v = 0; v < VIEWS; v++) {
        mill_view_table_flush(run->tables[v], run->batch);
    }
    assert_int_equal(mill_kv_write(run->kv, run->batch, NULL), MILL_OK);
    run->applied = run->first + run->pass.stepped;
}

/* False: the process has ended. */
static bool one_batch(struct run *run, uint32_t count)
{
    struct mill_error err;
    mill__pass_begin(&run->pass, count);
    assert_int_equal(
        mill_decoder_decode(run->decoder, records + run->first, count, &run->pass.batch, &run->pass.rejects, &err),
        MILL_OK);
    mill__admit(&run->admission, &run->pass.batch, &run->pass.rejects, run->pass.newest_before);
    mill__pass_prepare(&run->pass);
    while (mill__pass_has_rows(&run->pass)) {
        int rc = mill__pass_step(&run->pass, &err);
        if (rc == MILL_ERESOURCE) {
            run->full++;
            flush(run);
            flush(run);
        } else if (rc < 0) {
            run->failures++;
            assert_int_equal(rc, MILL_EUNAVAIL);
            if (run->may_end) {
                flush(run);
                return false;
            }
        }
    }
    flush(run);
    return true;
}

static void run_events(struct run *run)
{
    struct mill_error err;
    run->batch = mill_kv_batch_new();
    assert_int_equal(mill_decoder_open(&project->sources[0].spec, &run->decoder, &err), MILL_OK);
    open_run(run);
    while (run->applied < EVENTS) {
        run->first = run->applied;
        uint32_t left = EVENTS - run->first;
        if (!one_batch(run, left < BATCH ? left : BATCH)) {
            run->may_end = false;
            close_run(run);
            open_run(run);
        }
    }
    close_run(run);
    mill_decoder_close(run->decoder);
    mill_kv_batch_free(run->batch);
}

static uint64_t run_with(uint64_t fail_get_at, bool may_end, uint32_t entities_max, struct rows *rows,
                         uint64_t *ret_full)
{
    struct run run = {.may_end = may_end, .entities_max = entities_max, .rows = rows};
    memset(rows, 0, sizeof(*rows));
    assert_int_equal(mill_kv_open(NULL, &run.kv, NULL), MILL_OK);
    run.kv->fail_get_at = fail_get_at;
    run_events(&run);
    uint64_t gets = run.kv->get_count;
    assert_int_equal(run.failures, fail_get_at > 0);
    assert_false(rows->differs);
    *ret_full = run.full;
    mill_kv_close(run.kv);
    return gets;
}

static void check_equal(const struct rows *wanted, const struct rows *rows)
{
    for (uint32_t i = 0; i < EVENTS; i++) {
        for (uint32_t v = 0; v < VIEWS; v++) {
            assert_true(wanted->text[i][v][0] != '\0');
            assert_string_equal(wanted->text[i][v], rows->text[i][v]);
        }
    }
}

static struct rows wanted, rows;

static void test_each_read_fails_once(void **state)
{
    (void)state;
    uint64_t full;
    uint64_t gets = run_with(0, false, ENTITIES_MAX, &wanted, &full);
    assert_in_range(gets, 100, 10000);
    for (uint64_t n = 1; n <= gets; n++) {
        run_with(n, false, ENTITIES_MAX, &rows, &full);
        check_equal(&wanted, &rows);
        run_with(n, true, ENTITIES_MAX, &rows, &full);
        check_equal(&wanted, &rows);
    }
}

/* Room for one entity only: most events meet a table whose entities all wait for a flush. */
static void test_no_room_before_a_flush(void **state)
{
    (void)state;
    uint64_t full;
    run_with(0, false, ENTITIES_MAX, &wanted, &full);
    run_with(0, false, 1, &rows, &full);
    assert_true(full > 10);
    check_equal(&wanted, &rows);
}

static void make_events(void)
{
    for (int i = 0; i < EVENTS; i++) {
        int n = snprintf(
            texts[i], sizeof(texts[i]), "{\"user_id\":\"u%d\",\"ts\":%lld,\"amount\":%d.5,\"merchant\":\"m%d\"}",
            i < 40 ? 0 : i * 5 % 13, 1700000000000 + i * 60000LL - (i % 9 == 0 ? 50000 : 0), i, i * 3 % 11);
        records[i] = (struct mill_record){.value = {texts[i], (size_t)n}, .offset = i};
    }
}

static int set_up(void **state)
{
    struct mill_project_options options = {.offline = true};
    struct mill_problems problems = {0};
    struct mill_error err = {0};
    char path[] = "/tmp/mill_half_XXXXXX";
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0 && write(fd, project_text, strlen(project_text)) == (ssize_t)strlen(project_text));
    close(fd);
    int rc = mill_project_load(path, &options, &project, &problems, &err);
    for (uint32_t i = 0; i < problems.count; i++) {
        fprintf(stderr, "%u:%u: %s\n", problems.at[i].line, problems.at[i].col, problems.at[i].message);
    }
    unlink(path);
    assert_int_equal(rc, MILL_OK);
    mill_problems_clear(&problems);
    assert_int_equal(mill__plan_open(project, &(struct mill__plan_options){0}, &plan, &err), MILL_OK);
    encoder = mill__encoder_new(plan, false);
    make_events();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    mill__encoder_free(encoder);
    mill__plan_close(plan);
    mill_project_free(project);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_read_fails_once),
        cmocka_unit_test(test_no_room_before_a_flush),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
