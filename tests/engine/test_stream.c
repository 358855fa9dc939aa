/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole engine against librdkafka's mock broker and RocksDB, in one process: re-keyed views, scores, dead letters,
 * a restart that goes on where the first run ended, and state of other definitions that is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/engine.h"

enum { USERS = 40, MERCHANTS = 7 };

static const char project_text[] = "project: shop\n"
                                   "kafka:\n"
                                   "  brokers: [\"${SHOP_BROKERS}\"]\n"
                                   "  librdkafka: {session.timeout.ms: 6000, heartbeat.interval.ms: 300}\n"
                                   "online_store: {type: none}\n"
                                   "offline_store: {type: rocksdb, path: \"${SHOP_STATE}\"}\n"
                                   "engine: {shards: 2, flush_interval: 200ms}\n"
                                   "entities:\n"
                                   "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
                                   "  - {name: merchant, join_keys: [merchant], value_type: STRING}\n"
                                   "sources:\n"
                                   "  - name: events\n"
                                   "    topic: shop.events\n"
                                   "    key: user_id\n"
                                   "    message_format: json\n"
                                   "    fields: {user_id: string, ts: timestamp_millis, amount: float64, merchant: "
                                   "string, country: string, ok: bool}\n"
                                   "    timestamp_field: ts\n"
                                   "    allowed_lateness: 1m\n"
                                   "    validate: {required: [user_id], ranges: {amount: [0, 100000]}}\n"
                                   "feature_views:\n"
                                   "  - name: user_stats\n"
                                   "    entities: [user]\n"
                                   "    source: events\n"
                                   "    topic: shop.rows\n"
                                   "    features:\n"
                                   "      - {name: hour, expr: hour(ts)}\n"
                                   "      - {name: is_weekend, expr: \"day_of_week(ts) in (5, 6)\"}\n"
                                   "      - {name: amount_log, expr: log1p(amount)}\n"
                                   "    aggregations:\n"
                                   "      - {column: amount, function: [sum, mean, max], time_window: [1h, 24h]}\n"
                                   "  - name: merchant_stats\n"
                                   "    entities: [merchant]\n"
                                   "    source: events\n"
                                   "    aggregations:\n"
                                   "      - {column: amount, function: %s, time_window: 24h}\n"
                                   "feature_services:\n"
                                   "  - {name: fraud_v1, features: [user_stats]}\n"
                                   "  - {name: both_v1, features: [merchant_stats, user_stats]}\n"
                                   "models:\n"
                                   "  - {name: fraud, feature_service: fraud_v1, uri: \"file:" MILL_SOURCE_DIR
                                   "/bench/stream/model.json\", threshold: 0.5}\n";

struct fixture {
    char dir[64], project_file[96];
    struct mill_mock_kafka *mock;
    struct mill_kafka_options kafka;
    int64_t next_event;
};

static void write_project(struct fixture *f, const char *function)
{
    FILE *file = fopen(f->project_file, "w");
    assert_non_null(file);
    fprintf(file, project_text, function);
    fclose(file);
}

static int set_up(void **state)
{
    static const char *const topics[] = {"shop.events", "shop.merchant_stats.rekey", "shop.rows", "shop.scores"};
    struct fixture *f = calloc(1, sizeof(*f));
    struct mill_error err;
    char path[96];

    mill_log_setup(&(struct mill_log_options){.level = MILL_LOG_ERROR});
    snprintf(f->dir, sizeof(f->dir), "/tmp/mill_stream_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->project_file, sizeof(f->project_file), "%s/shop.yaml", f->dir);
    write_project(f, "count");
    assert_int_equal(mill_mock_kafka_open(&f->mock, &err), MILL_OK);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(mill_mock_kafka_create_topic(f->mock, topics[i], 2, &err), MILL_OK);
    }
    assert_int_equal(mill_mock_kafka_create_topic(f->mock, "shop.dead_letter", 1, &err), MILL_OK);
    setenv("SHOP_BROKERS", mill_mock_kafka_brokers(f->mock), 1);
    snprintf(path, sizeof(path), "%s/state", f->dir);
    setenv("SHOP_STATE", path, 1);
    f->kafka =
        (struct mill_kafka_options){.brokers = mill_mock_kafka_brokers(f->mock), .group = "test", .client_id = "test"};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    mill_mock_kafka_close(f->mock);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

/* Every hundredth record is none that a decoder or the rules accept. */
static int make_event(int64_t i, char *text, size_t size)
{
    long long ts = 1700000000000 + i * 500;
    if (i % 100 == 99) {
        return snprintf(text, size, i % 200 == 99 ? "{\"user_id\":" : "{\"user_id\":\"u1\",\"ts\":%lld,\"amount\":-5}",
                        ts);
    }
    return snprintf(
        text, size,
        "{\"user_id\":\"u%lld\",\"ts\":%lld,\"amount\":%lld.25,\"merchant\":\"m%lld\",\"country\":\"DE\",\"ok\":true}",
        (long long)(i * 7919 % USERS), ts, (long long)(i % 500), (long long)(i * 31 % MERCHANTS));
}

static void produce(struct fixture *f, int64_t count)
{
    struct mill_producer *producer;
    struct mill_error err;
    char text[200], key[16];

    assert_int_equal(mill_producer_open(&f->kafka, NULL, NULL, &producer, &err), MILL_OK);
    unsigned topic = mill_producer_topic(producer, "shop.events");
    for (int64_t end = f->next_event + count; f->next_event < end; f->next_event++) {
        int n = make_event(f->next_event, text, sizeof(text));
        int key_n = snprintf(key, sizeof(key), "u%lld", (long long)(f->next_event * 7919 % USERS));
        assert_int_equal(mill_producer_send(producer, topic, -1, (struct mill_slice){key, (size_t)key_n},
                                            (struct mill_slice){text, (size_t)n}, NULL, 0, -1, &err),
                         MILL_OK);
    }
    assert_int_equal(mill_producer_flush(producer, 10000, &err), MILL_OK);
    mill_producer_close(producer, 1000);
}

static int run(struct fixture *f, struct mill_engine_summary *ret_summary, struct mill_error *err)
{
    struct mill_project_options options = {0};
    struct mill_engine_options engine_options = {.until_end = true};
    struct mill_problems problems = {0};
    struct mill_project *project = NULL;
    struct mill_engine *engine = NULL;

    int rc = mill_project_load(f->project_file, &options, &project, &problems, err);
    for (uint32_t i = 0; i < problems.count; i++) {
        fprintf(stderr, "%u:%u: %s\n", problems.at[i].line, problems.at[i].col, problems.at[i].message);
    }
    mill_problems_clear(&problems);
    assert_int_equal(rc, MILL_OK);
    rc = mill_engine_open(project, &engine_options, &engine, err);
    assert_int_equal(rc, MILL_OK);
    rc = mill_engine_run(engine, err);
    mill_engine_summarize(engine, ret_summary);
    mill_engine_close(engine);
    mill_project_free(project);
    return rc;
}

/* Records of a topic, and how many of them contain the text. */
static int64_t count_records(struct fixture *f, const char *topic, const char *text, int64_t *ret_matching)
{
    struct mill_record records[500];
    int32_t partitions[500];
    struct mill_tail *tail;
    struct mill_error err;
    int64_t count = 0;
    int n;

    *ret_matching = 0;
    assert_int_equal(mill_tail_open(&f->kafka, topic, true, &tail, &err), MILL_OK);
    while ((n = mill_tail_next(tail, 1500, records, partitions, 500, &err)) > 0) {
        for (int i = 0; i < n; i++) {
            *ret_matching += memmem(records[i].value.p, records[i].value.n, text, strlen(text)) != NULL;
        }
        count += n;
    }
    assert_int_equal(n, 0);
    mill_tail_close(tail);
    return count;
}

static void test_stream_and_restart(void **state)
{
    struct fixture *f = *state;
    struct mill_engine_summary summary;
    struct mill_error err = {0};
    int64_t matching;

    produce(f, 4000);
    assert_int_equal(run(f, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 4000);
    assert_int_equal(summary.dead_letters, 40);
    assert_int_equal(summary.scores, 3960);
    assert_int_equal(summary.rows, 2 * 3960);
    assert_int_equal(count_records(f, "shop.scores", "\"model\":\"fraud\"", &matching), 3960);
    assert_int_equal(matching, 3960);
    assert_int_equal(count_records(f, "shop.dead_letter", "\"reason\":\"range\"", &matching), 40);
    assert_int_equal(matching, 20);

    /* Nothing new: nothing is done again. */
    assert_int_equal(run(f, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 0);

    produce(f, 1000);
    assert_int_equal(run(f, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 1000);
    assert_int_equal(summary.rows, 2 * 990);
    assert_int_equal(count_records(f, "shop.rows", "\"view\":\"user_stats\"", &matching), 3960 + 990);

    /* Other definitions must not be mixed with the state that is there. */
    write_project(f, "max");
    assert_int_equal(run(f, &summary, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "hint: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_setup_teardown(test_stream_and_restart, set_up, tear_down)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
