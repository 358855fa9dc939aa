/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Monitors through the whole engine against librdkafka's mock broker: rows of three stages counted in two partitions
 * each, labels that come up to five hours later in two partitions of their own, parts and progress through the panes
 * topic, and what the evaluator says, next to an offline run over the same events: the same records but for the time of
 * writing, none of them twice, in JSON and in Avro.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <jansson.h>
#include <librdkafka/rdkafka.h>

#include "base/file.h"
#include "stream_fixture.h"
#include "tests/drift/record_oracle.h"

enum { EVENTS = 6000, USERS = 40, MERCHANTS = 7, STEP_MS = 60000, DELAY_STEPS = 300 };

static const char project_text[] =
    "project: shop\n"
    "kafka:\n"
    "  brokers: [\"${SHOP_BROKERS}\"]\n"
    "  librdkafka: {session.timeout.ms: 3000, heartbeat.interval.ms: 300}\n"
    "online_store: {type: none}\n"
    "offline_store: {type: rocksdb, path: \"${SHOP_STATE}\"}\n"
    "engine: {shards: 2, flush_interval: 100ms, batch_rows: 100}\n"
    "entities:\n"
    "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
    "  - {name: merchant, join_keys: [merchant], value_type: STRING}\n"
    "  - {name: country, join_keys: [country], value_type: STRING}\n"
    "sources:\n"
    "  - name: events\n"
    "    topic: shop.events\n"
    "    key: user_id\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, user_id: string, ts: timestamp_millis, amount: float64, merchant: "
    "string, country: string}\n"
    "    timestamp_field: ts\n"
    "    allowed_lateness: 1m\n"
    "  - name: verdicts\n"
    "    topic: shop.verdicts\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, ts: timestamp_millis, loss: float64}\n"
    "    timestamp_field: ts\n"
    "    allowed_lateness: 10m\n"
    "feature_views:\n"
    "  - name: user_stats\n"
    "    entities: [user]\n"
    "    source: events\n"
    "    features:\n"
    "      - {name: hour, expr: hour(ts)}\n"
    "      - {name: is_weekend, expr: \"day_of_week(ts) in (5, 6)\"}\n"
    "      - {name: amount_log, expr: log1p(amount)}\n"
    "    aggregations:\n"
    "      - {column: amount, function: [sum, mean, max], time_window: [1h, 24h]}\n"
    "  - name: merchant_stats\n"
    "    entities: [merchant]\n"
    "    source: events\n"
    "    features: [{name: amount_half, expr: amount / 2}]\n"
    "    aggregations:\n"
    "      - {column: amount, function: count, time_window: 24h}\n"
    "  - name: country_stats\n"
    "    entities: [country]\n"
    "    source: events\n"
    "    features: [{name: amount_double, expr: amount * 2}]\n"
    "    aggregations:\n"
    "      - {column: amount, function: count, time_window: 24h}\n"
    "feature_services:\n"
    "  - {name: fraud_v1, features: [{user_stats: [hour, is_weekend, amount_log, "
    "amount_sum_1h, amount_sum_24h, amount_mean_1h, amount_mean_24h]}, "
    "\"merchant_stats:amount_half\", \"country_stats:amount_double\"]}\n"
    "models:\n"
    "  - {name: fraud, feature_service: fraud_v1, uri: \"file:${SHOP_MODEL}\", threshold: "
    "0.5}\n"
    "monitors:\n"
    "  - model: fraud\n"
    "    window: 12h\n"
    "    every: 3h\n"
    "    features: [hour, amount_log, merchant]\n"
    "    by: country\n"
    "    max_segments: 2\n"
    "    reference: {from: 2023-11-15, to: 2023-11-16}\n"
    "    rule: {kind: default, min_samples: 50, min_labelled: 100, auc_min: 0.5}\n"
    "    labels: {source: verdicts, key: order_id, label: loss > 10, horizon: 4h}\n"
    "  - model: fraud\n"
    "    name: fraud_article\n"
    "    window: 12h\n"
    "    every: 3h\n"
    "    rule: article\n"
    "    reference: {rows: 1000}\n";

static const char *const topics[] = {
    "shop.events",
    "shop.verdicts",
    "shop.merchant_stats.rekey",
    "shop.country_stats.rekey",
    "shop.drift.join.fraud.1f5c78ab", /* the end: of the topics and the key that meet there */
    "shop.labels",
    "shop.scores",
    NULL};
static const char *const single_topics[] = {"shop.dead_letter",
                                            "shop.drift.panes",
                                            "shop.drift.references",
                                            "shop.drift.reports",
                                            "shop.drift.alerts",
                                            "shop.retrain",
                                            NULL};

static int set_up(void **state)
{
    struct stream *s = stream_open(topics, 2);
    stream_write_model(s);
    for (size_t i = 0; single_topics[i] != NULL; i++) {
        stream_create_topic(s, single_topics[i], 1);
    }
    stream_write_project(s, project_text);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    stream_close(*state);
    return 0;
}

/* A minute of event time an event from 2023-11-15 on; amounts grow from the third day on, merchants may be missing. */
static int make_event(int64_t i, char *text, size_t size)
{
    long long ts = 1700006400000 + i * STEP_MS;
    long long amount = i * 37 % 500 + (i > 2880 ? 400 : 0);
    char merchant[32] = "";

    if (i % 5 != 0) {
        snprintf(merchant, sizeof(merchant), ",\"merchant\":\"m%lld\"", (long long)(i * 31 % MERCHANTS));
    }
    return snprintf(text, size,
                    "{\"order_id\":%lld,\"user_id\":\"u%lld\",\"ts\":%lld,\"amount\":%lld.25,\"country\":\"%s\"%s}",
                    (long long)i, (long long)(i * 7919 % USERS), ts, amount, i % 3 == 0 ? "DE" : "FR", merchant);
}

/* When the verdict on an order comes, in steps: for some after the horizon, for one in nine never (-1). */
static int64_t verdict_step(int64_t i)
{
    return i % 9 == 4 ? -1 : i + i * 7349 % DELAY_STEPS;
}

static void make_verdict(int64_t i, char *text, size_t size)
{
    long long ts = 1700006400000 + verdict_step(i) * STEP_MS + 1000;
    snprintf(text, size, "{\"order_id\":%lld,\"ts\":%lld,\"loss\":%s}", (long long)i, ts,
             i % 13 == 0            ? "null"
             : i * 37 % 500 % 7 < 3 ? "12.5"
                                    : "3");
}

/* Verdicts that come in steps from <= step < to, as they come: each() gets order and text. */
static void each_verdict(int64_t from, int64_t to, void (*each)(void *context, int64_t order, const char *text),
                         void *context)
{
    char text[128];

    for (int64_t step = from; step < to; step++) {
        for (int64_t i = step < DELAY_STEPS ? 0 : step - DELAY_STEPS; i <= step && i < EVENTS; i++) {
            if (verdict_step(i) == step) {
                make_verdict(i, text, sizeof(text));
                each(context, i, text);
            }
        }
    }
}

static void send_verdict(void *context, int64_t order, const char *text)
{
    char key[16];
    snprintf(key, sizeof(key), "v%lld", (long long)(order % 17));
    stream_send(context, "shop.verdicts", -1, key, text);
}

static void write_verdict(void *context, int64_t order, const char *text)
{
    (void)order;
    fprintf(context, "%s\n", text);
}

static void produce(struct stream *s, int64_t from, int64_t to)
{
    char text[256], key[16];

    for (int64_t i = from; i < to; i++) {
        make_event(i, text, sizeof(text));
        snprintf(key, sizeof(key), "u%lld", (long long)(i * 7919 % USERS));
        stream_send(s, "shop.events", -1, key, text);
    }
    each_verdict(from, to == EVENTS ? EVENTS + DELAY_STEPS : to, send_verdict, s);
    stream_sync(s);
}

/* id -> the whole record but for the time of its writing. Takes the record. */
static void note(json_t *into, json_t *record, int64_t *repeated)
{
    const char *id = json_string_value(json_object_get(record, "id"));
    assert_non_null(id);
    json_object_del(record, "created_at");
    if (json_object_get(into, id) != NULL) {
        (*repeated)++;
        assert_true(json_equal(json_object_get(into, id), record));
    }
    json_object_set_new(into, id, record);
}

struct topic {
    const char *name, *schema_file, *file, *type; /* file: of an offline run; type: of the CloudEvent */
    size_t count_min;
};
static const struct topic outputs[] = {
    {"shop.drift.reports", "drift_report.avsc", "drift_reports.jsonl", "io.shop.drift.report.v1", 20},
    {"shop.drift.alerts", "drift_alert.avsc", "alerts.jsonl", "io.shop.drift.alert.v1", 5},
    {"shop.retrain", "retrain_trigger.avsc", "retrain.jsonl", "io.shop.retrain.v1", 1},
    {"shop.labels", "label.avsc", "labels.jsonl", "io.shop.label.v1", EVENTS / 2},
};

struct reading {
    const struct topic *topic;
    bool is_avro;
    json_t *into;
    int64_t repeated;
};

static void assert_header(const struct mill_record *record, const char *name, const char *value)
{
    rd_kafka_headers_t *headers;
    const void *p;
    size_t n;

    assert_int_equal(rd_kafka_message_headers(record->handle, &headers), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(rd_kafka_header_get_last(headers, name, &p, &n), RD_KAFKA_RESP_ERR_NO_ERROR);
    assert_int_equal(n, strlen(value));
    assert_memory_equal(p, value, n);
}

static void read_one(void *context, int32_t partition, const struct mill_record *record)
{
    struct reading *r = context;
    (void)partition;
    json_t *json = r->is_avro ? record_read_avro(r->topic->schema_file, record->value)
                              : record_read_json(r->topic->schema_file, record->value);
    assert_header(record, "content-type", r->is_avro ? "application/avro" : "application/json");
    assert_header(record, "ce_id", json_string_value(json_object_get(json, "id")));
    assert_header(record, "ce_type", r->topic->type);
    note(r->into, json, &r->repeated);
}

static json_t *read_topic(struct stream *s, const struct topic *topic, bool is_avro)
{
    struct reading r = {.topic = topic, .is_avro = is_avro, .into = json_object()};
    stream_read(s, topic->name, read_one, &r);
    assert_int_equal(r.repeated, 0);
    return r.into;
}

static json_t *read_file(struct stream *s, const char *name)
{
    struct mill_buffer bytes = {0};
    struct mill_error err;
    char path[160];
    json_t *into = json_object();
    int64_t repeated = 0;

    snprintf(path, sizeof(path), "%s/out/%s", s->dir, name);
    assert_int_equal(mill_file_read(path, 1 << 28, &bytes, &err), MILL_OK);
    for (const char *p = bytes.p, *end = bytes.p + bytes.n; bytes.n > 0 && p < end;) {
        const char *stop = memchr(p, '\n', (size_t)(end - p));
        assert_non_null(stop);
        json_error_t error;
        json_t *record = json_loadb(p, (size_t)(stop - p), 0, &error);
        assert_non_null(record);
        note(into, record, &repeated);
        p = stop + 1;
    }
    assert_int_equal(repeated, 0);
    mill_buffer_clear(&bytes);
    return into;
}

static void run_offline(struct stream *s)
{
    struct mill_project_options project_options = {.offline = true};
    struct mill_problems problems;
    struct mill_project *project;
    struct mill_offline_summary summary;
    struct mill_error err = {0};
    char input[160], verdicts[160], out[160], text[256];

    snprintf(verdicts, sizeof(verdicts), "%s/verdicts.jsonl", s->dir);
    snprintf(input, sizeof(input), "%s/events.jsonl", s->dir);
    snprintf(out, sizeof(out), "%s/out", s->dir);
    FILE *file = fopen(input, "w");
    assert_non_null(file);
    for (int64_t i = 0; i < EVENTS; i++) {
        make_event(i, text, sizeof(text));
        fprintf(file, "%s\n", text);
    }
    fclose(file);
    file = fopen(verdicts, "w");
    assert_non_null(file);
    each_verdict(0, EVENTS + DELAY_STEPS, write_verdict, file);
    fclose(file);
    assert_int_equal(mill_project_load(s->project_file, &project_options, &project, &problems, &err), MILL_OK);
    mill_problems_clear(&problems);
    const struct mill_offline_input inputs[] = {{"events", input}, {"verdicts", verdicts}};
    struct mill_offline_options options = {.inputs = inputs, .input_count = 2, .output_dir = out};
    assert_int_equal(mill_offline_run(project, &options, &summary, &err), MILL_OK);
    assert_int_equal(summary.scores, EVENTS);
    mill_project_free(project);
}

static void assert_same(struct stream *s, const struct topic *topic, bool is_avro)
{
    json_t *online = read_topic(s, topic, is_avro), *offline = read_file(s, topic->file), *expected;
    const char *id;

    assert_true(json_object_size(offline) >= topic->count_min);
    json_object_foreach(offline, id, expected)
    {
        json_t *other = json_object_get(online, id);
        if (other == NULL || !json_equal(other, expected)) {
            fprintf(stderr, "offline: %s\nonline: %s\n", json_dumps(expected, 0),
                    other == NULL ? "missing" : json_dumps(other, 0));
            fail_msg("%s: %s", topic->name, id);
        }
    }
    assert_int_equal(json_object_size(online), json_object_size(offline));
    json_decref(online);
    json_decref(offline);
}

/* The goes end at ends[i] events; 0: no more. */
static void assert_online_equals_offline(struct stream *s, const int64_t *ends, bool is_avro)
{
    struct mill_engine_summary summary;
    struct mill_error err = {0};

    run_offline(s);
    for (int64_t from = 0; *ends != 0; from = *ends++) {
        produce(s, from, *ends);
        if (stream_run(s, &summary, &err) != MILL_OK) {
            fail_msg("%s", err.msg);
        }
    }
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++) {
        assert_same(s, &outputs[i], is_avro);
    }
}

/* In three goes, so that counters, monitors and the stream-made references are taken up again. */
static void test_online_equals_offline(void **state)
{
    assert_online_equals_offline(*state, (const int64_t[]){1000, 3500, EVENTS, 0}, false);
}

static void test_avro(void **state)
{
    struct stream *s = *state;
    struct mill_buffer text = {0};

    mill_buffer_add_string(&text, project_text);
    mill_buffer_add_string(&text, "output: {format: avro}\n");
    stream_write_project(s, mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
    assert_online_equals_offline(s, (const int64_t[]){EVENTS, 0}, true);
}

static uint64_t count_manual(struct stream *s)
{
    int64_t matching;
    stream_count(s, "shop.retrain", "\"reason\":\"manual\"", &matching);
    return (uint64_t)matching;
}

/* The request is taken by the process that evaluates the monitor, once, and not again by the next. */
static void test_trigger_by_hand(void **state)
{
    struct stream *s = *state;
    struct mill_engine_summary summary;
    struct mill_problems problems;
    struct mill_project *project;
    struct mill_error err = {0};

    produce(s, 0, EVENTS / 2);
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(count_manual(s), 0);
    assert_int_equal(mill_project_load(s->project_file, &(struct mill_project_options){0}, &project, &problems, &err),
                     MILL_OK);
    mill_problems_clear(&problems);
    const char *monitor = project->monitors[0].spec.name;
    assert_int_equal(mill_engine_request_trigger(project, "by_countri", &err), MILL_EUSAGE);
    assert_int_equal(mill_engine_request_trigger(project, monitor, &err), MILL_OK);
    mill_project_free(project);
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(count_manual(s), 1);
    assert_int_equal(stream_run(s, &summary, &err), MILL_OK);
    assert_int_equal(count_manual(s), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trigger_by_hand, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_online_equals_offline, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_avro, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
