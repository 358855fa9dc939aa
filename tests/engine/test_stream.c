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

#include <cmocka.h>

#include "ingest/kafka_internal.h"
#include "stream_fixture.h"

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

static void write_project(struct stream *s, const char *function)
{
    char text[sizeof(project_text) + 16];
    snprintf(text, sizeof(text), project_text, function);
    stream_write_project(s, text);
}

static int set_up(void **state)
{
    static const char *const topics[] = {"shop.events", "shop.merchant_stats.rekey", "shop.rows", "shop.scores", NULL};
    struct stream *s = stream_open(topics, 2);
    stream_create_topic(s, "shop.dead_letter", 1);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    stream_close(*state);
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

static void produce(struct stream *s, int64_t from, int64_t count)
{
    char text[200], key[16];

    for (int64_t i = from; i < from + count; i++) {
        make_event(i, text, sizeof(text));
        snprintf(key, sizeof(key), "u%lld", (long long)(i * 7919 % USERS));
        stream_send(s, "shop.events", -1, key, text);
    }
    stream_sync(s);
}

static void test_stream_and_restart(void **state)
{
    struct stream *s = *state;
    struct mill_engine_summary summary;
    struct mill_error err = {0};
    int64_t matching;

    write_project(s, "count");
    produce(s, 0, 4000);
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 4000);
    assert_int_equal(summary.dead_letters, 40);
    assert_int_equal(summary.scores, 3960);
    assert_int_equal(summary.rows, 2 * 3960);
    assert_int_equal(stream_count(s, "shop.scores", "\"model\":\"fraud\"", &matching), 3960);
    assert_int_equal(matching, 3960);
    assert_int_equal(stream_count(s, "shop.dead_letter", "\"reason\":\"range\"", &matching), 40);
    assert_int_equal(matching, 20);

    /* Nothing new: nothing is done again. */
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 0);

    produce(s, 4000, 1000);
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 1000);
    assert_int_equal(summary.rows, 2 * 990);
    assert_int_equal(stream_count(s, "shop.rows", "\"view\":\"user_stats\"", &matching), 3960 + 990);

    /* Other definitions must not be mixed with the state that is there. */
    write_project(s, "max");
    assert_int_equal(stream_run(s, &summary, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "hint: "));
}

/* Rows without a merchant go from the first stage to the third at once, the others by way of the second: the third
 * stage's topic hears of two upstream topics whose partition numbers and offsets are the same. */
static const char skipping_text[] = "project: skip\n"
                                    "kafka:\n"
                                    "  brokers: [\"${SHOP_BROKERS}\"]\n"
                                    "  librdkafka: {session.timeout.ms: 6000, heartbeat.interval.ms: 300}\n"
                                    "online_store: {type: none}\n"
                                    "offline_store: {type: rocksdb, path: \"${SHOP_STATE}\"}\n"
                                    "engine: {shards: 1, flush_interval: 200ms}\n"
                                    "entities:\n"
                                    "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
                                    "  - {name: merchant, join_keys: [merchant], value_type: STRING}\n"
                                    "  - {name: country, join_keys: [country], value_type: STRING}\n"
                                    "sources:\n"
                                    "  - name: events\n"
                                    "    topic: skip.events\n"
                                    "    key: user_id\n"
                                    "    message_format: json\n"
                                    "    fields: {user_id: string, ts: timestamp_millis, amount: float64, merchant: "
                                    "string, country: string}\n"
                                    "    timestamp_field: ts\n"
                                    "feature_views:\n"
                                    "  - {name: user_stats, entities: [user], source: events, aggregations: "
                                    "[{column: amount, function: count}]}\n"
                                    "  - {name: merchant_stats, entities: [merchant], source: events, aggregations: "
                                    "[{column: amount, function: count}]}\n"
                                    "  - {name: country_stats, entities: [country], source: events, topic: skip.rows, "
                                    "aggregations: [{column: amount, function: count}]}\n";

static int set_up_skipping(void **state)
{
    static const char *const topics[] = {"skip.events", "skip.merchant_stats.rekey", "skip.country_stats.rekey",
                                         "skip.rows",   "skip.dead_letter",          NULL};
    struct stream *s = stream_open(topics, 1);
    stream_write_project(s, skipping_text);
    *state = s;
    return 0;
}

static void test_rows_that_skip_a_stage(void **state)
{
    struct stream *s = *state;
    struct mill_engine_summary summary;
    struct mill_error err = {0};
    int64_t matching;
    char text[200];

    for (int64_t i = 0; i < 2000; i++) {
        const char *merchant = i % 2 == 0 ? ",\"merchant\":\"m\"" : "";
        snprintf(text, sizeof(text), "{\"user_id\":\"u\",\"ts\":%lld,\"amount\":1,\"country\":\"DE\"%s}",
                 (long long)(1700000000000 + i * 500), merchant);
        stream_send(s, "skip.events", 0, "u", text);
    }
    stream_sync(s);
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(summary.rows, 2000 + 1000 + 2000);
    assert_int_equal(stream_count(s, "skip.rows", "\"view\":\"country_stats\"", &matching), 2000);
}

/* The broker cannot say where its partitions begin and end while they are assigned: the engine waits for that, too. */
static void test_no_answer_at_assignment(void **state)
{
    enum { LIST_OFFSETS = 2, REQUEST_TIMED_OUT = 7 };
    struct stream *s = *state;
    struct mill_engine_summary summary;
    struct mill_error err = {0};

    write_project(s, "count");
    produce(s, 0, 500);
    for (int i = 0; i < 8; i++) {
        mill__mock_kafka_fail_requests(s->mock, LIST_OFFSETS, REQUEST_TIMED_OUT, 50); /* more than 10 s of them */
    }
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(summary.events, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_answer_at_assignment, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stream_and_restart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_rows_that_skip_a_stage, set_up_skipping, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
