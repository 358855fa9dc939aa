/* SPDX-License-Identifier: Apache-2.0 */
/* Joins of labels when the project file or the topics change under them: nothing of before may hide what comes now, and
 * a monitor's topic that is gone is no reason not to start. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "engine/meta_internal.h"
#include "stream_fixture.h"

enum { ORDERS = 40 };

static const char project_text[] =
    "project: shop\n"
    "kafka:\n"
    "  brokers: [\"${SHOP_BROKERS}\"]\n"
    "  librdkafka: {session.timeout.ms: 3000, heartbeat.interval.ms: 300}\n"
    "online_store: {type: none}\n"
    "offline_store: {type: rocksdb, path: \"${SHOP_STATE}\"}\n"
    "engine: {shards: 1, flush_interval: 100ms}\n"
    "entities:\n"
    "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
    "sources:\n"
    "  - name: events\n"
    "    topic: shop.events\n"
    "    key: user_id\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, user_id: string, ts: timestamp_millis, amount: float64}\n"
    "    timestamp_field: ts\n"
    "  - name: verdicts\n"
    "    topic: shop.verdicts\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, ts: timestamp_millis, loss: float64}\n"
    "    timestamp_field: ts\n"
    "  - name: appeals\n"
    "    topic: shop.appeals\n"
    "    message_format: json\n"
    "    fields: {order_id: int64, ts: timestamp_millis, loss: float64}\n"
    "    timestamp_field: ts\n"
    "feature_views:\n"
    "  - name: user_stats\n"
    "    entities: [user]\n"
    "    source: events\n"
    "    features:\n"
    "      - {name: hour, expr: hour(ts)}\n"
    "      - {name: is_weekend, expr: \"day_of_week(ts) in (5, 6)\"}\n"
    "      - {name: amount_log, expr: log1p(amount)}\n"
    "      - {name: amount_half, expr: amount / 2}\n"
    "      - {name: amount_double, expr: amount * 2}\n"
    "    aggregations:\n"
    "      - {column: amount, function: [sum, mean, max], time_window: [1h, 24h]}\n"
    "feature_services:\n"
    "  - {name: fraud_v1, features: [{user_stats: [hour, is_weekend, amount_log, amount_sum_1h, amount_sum_24h, "
    "amount_mean_1h, amount_mean_24h, amount_half, amount_double]}]}\n"
    "models:\n"
    "  - {name: fraud, feature_service: fraud_v1, uri: \"file:${SHOP_MODEL}\", threshold: 0.5}\n"
    "monitors:\n"
    "  - model: fraud\n"
    "    window: 12h\n"
    "    reference: {rows: 10}\n";

/* labels: their source; NULL: the monitor has none. */
static void write_project(struct stream *s, const char *labels, const char *every)
{
    struct mill_buffer text = {0};

    mill_buffer_printf(&text, "%s    every: %s\n", project_text, every);
    if (labels != NULL) {
        mill_buffer_printf(&text, "    labels: {source: %s, key: order_id, label: loss > 10, horizon: 4h}\n", labels);
    }
    stream_write_project(s, mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
}

static void create_topics(struct stream *s)
{
    static const char *const single[] = {"shop.dead_letter",
                                         "shop.drift.panes",
                                         "shop.drift.references",
                                         "shop.drift.reports",
                                         "shop.drift.alerts",
                                         "shop.retrain",
                                         NULL};
    for (size_t i = 0; single[i] != NULL; i++) {
        stream_create_topic(s, single[i], 1);
    }
}

static int set_up(void **state)
{
    static const char *const topics[] = {"shop.events", "shop.verdicts", "shop.appeals",
                                         "shop.labels", "shop.scores",   NULL};
    struct stream *s = stream_open(topics, 4); /* as many as topics that the broker makes by itself */

    create_topics(s);
    stream_write_model(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    stream_close(*state);
    return 0;
}

static const long long BEGIN_MS = 1700006400000, STEP_MS = 60000;

static void send_order(struct stream *s, int i)
{
    char text[160], key[16];

    snprintf(key, sizeof(key), "u%d", i % 7);
    snprintf(text, sizeof(text), "{\"order_id\":%d,\"user_id\":\"%s\",\"ts\":%lld,\"amount\":%d.5}", i, key,
             BEGIN_MS + i * STEP_MS, i * 37 % 500);
    stream_send(s, "shop.events", -1, key, text);
}

/* at: in steps, as orders are numbered. */
static void send_label(struct stream *s, const char *topic, int i, int at)
{
    char text[160];

    snprintf(text, sizeof(text), "{\"order_id\":%d,\"ts\":%lld,\"loss\":12.5}", i, BEGIN_MS + at * STEP_MS + 1000);
    stream_send(s, topic, i % 2, "any", text);
}

static void run(struct stream *s)
{
    struct mill_engine_summary summary;
    struct mill_error err = {0};

    stream_sync(s);
    if (stream_run(s, &summary, &err) != MILL_OK) {
        fail_msg("%s", err.msg);
    }
}

static void send_orders(struct stream *s, const char *labels, int from, int to)
{
    for (int i = from; i < to; i++) {
        send_order(s, i);
        send_label(s, labels, i, i);
    }
}

/* Orders that have met their label, each once. */
static void count_met(void *context, int32_t partition, const struct mill_record *record)
{
    int *met = context;
    const char *key = record->value.p;
    char text[4096];

    (void)partition;
    assert_true(record->value.n < sizeof(text));
    memcpy(text, record->value.p, record->value.n);
    text[record->value.n] = 0;
    key = strstr(text, "\"key\":\"");
    assert_non_null(key);
    int order = (int)strtol(key + strlen("\"key\":\""), NULL, 10);
    assert_true(order >= 0 && order < 4 * ORDERS);
    met[order]++;
}

static void assert_met(struct stream *s, int from, int to)
{
    int met[4 * ORDERS] = {0};

    stream_read(s, "shop.labels", count_met, met);
    for (int i = from; i < to; i++) {
        if (met[i] != 1) {
            fail_msg("order %d has met %d labels", i, met[i]);
        }
    }
}

/* Offsets of the new source are lower than those of the old one: they say nothing of one another. The last order of a
 * go is at the watermark and may wait, so it is none of those that must have met. */
static void test_other_source(void **state)
{
    struct stream *s = *state;

    write_project(s, "verdicts", "3h");
    send_orders(s, "shop.verdicts", 0, ORDERS);
    run(s);
    assert_met(s, 0, ORDERS - 2);
    write_project(s, "appeals", "3h");
    send_orders(s, "shop.appeals", ORDERS, ORDERS + ORDERS / 2);
    run(s);
    assert_met(s, ORDERS + 1, ORDERS + ORDERS / 2 - 2);
}

/* What waited under the other length of panes is forgotten, which is said; what comes then is joined. */
static void test_other_every(void **state)
{
    struct stream *s = *state;

    write_project(s, "verdicts", "3h");
    for (int i = 0; i < ORDERS; i++) {
        send_order(s, i);
    }
    run(s);
    write_project(s, "verdicts", "1h");
    send_orders(s, "shop.verdicts", ORDERS, 2 * ORDERS);
    run(s);
    assert_met(s, ORDERS, 2 * ORDERS - 2);
    write_project(s, "verdicts", "3h"); /* and back, over what the other has left */
    send_orders(s, "shop.verdicts", 2 * ORDERS, 3 * ORDERS);
    run(s);
    assert_met(s, 2 * ORDERS, 3 * ORDERS - 2);
}

/* What waited when labels were switched off waits on when they are switched on again. */
static void test_off_and_on(void **state)
{
    struct stream *s = *state;

    write_project(s, "verdicts", "3h");
    for (int i = 0; i < ORDERS; i++) {
        send_order(s, i);
    }
    run(s);
    write_project(s, NULL, "3h");
    send_orders(s, "shop.verdicts", ORDERS, 2 * ORDERS);
    run(s);
    write_project(s, "verdicts", "3h");
    for (int i = 0; i < ORDERS; i++) {
        send_label(s, "shop.verdicts", i, 2 * ORDERS);
    }
    send_orders(s, "shop.verdicts", 2 * ORDERS, 3 * ORDERS);
    run(s);
    assert_met(s, 0, ORDERS);
    assert_met(s, 2 * ORDERS, 3 * ORDERS - 2);
}

/* Says of each partition of the join that is known to have been read that it was read to there. */
static bool set_applied(void *context, struct mill_slice key, struct mill_slice value)
{
    struct mill_kv *kv = context;
    struct mill_buffer text = {0}, scratch = {0};
    struct mill_kv_batch *batch = mill_kv_batch_new();
    struct mill__input_meta meta;
    struct mill_error err;

    (void)value;
    mill_buffer_add_slice(&text, key);
    mill_buffer_cstr(&text);
    char *topic = text.p + strlen("input/"), *slash = strrchr(topic, '/');
    if (slash != NULL && strstr(topic, ".drift.join.") != NULL) {
        *slash = 0;
        assert_int_equal(mill__meta_read(kv, topic, (int32_t)strtol(slash + 1, NULL, 10), &meta, &err), 1);
        meta.applied_offset = 1000000;
        mill__meta_write(batch, topic, (int32_t)strtol(slash + 1, NULL, 10), &meta, &scratch);
        assert_int_equal(mill_kv_write(kv, batch, &err), MILL_OK);
        mill__upstreams_clear(&meta.upstreams);
    }
    mill_kv_batch_free(batch);
    mill_buffer_clear(&text);
    mill_buffer_clear(&scratch);
    return true;
}

/* As where the topic was made anew, or no longer reaches back: what waits is read again, and stands there once. */
static void test_topic_out_of_reach(void **state)
{
    struct stream *s = *state;
    struct mill_kv_options options = {.path = getenv("SHOP_STATE")};
    struct mill_error err;
    struct mill_kv *kv;

    write_project(s, "verdicts", "3h");
    for (int i = 0; i < ORDERS; i++) {
        send_order(s, i);
    }
    run(s);
    assert_int_equal(mill_kv_open(&options, &kv, &err), MILL_OK);
    assert_int_equal(
        mill_kv_scan(kv, MILL_KV_META, mill_slice_of("input/"), (struct mill_slice){0}, set_applied, kv, &err),
        MILL_OK);
    mill_kv_close(kv);
    for (int i = 0; i < ORDERS; i++) {
        send_label(s, "shop.verdicts", i, i);
    }
    send_orders(s, "shop.verdicts", ORDERS, 2 * ORDERS);
    run(s);
    assert_met(s, 0, 2 * ORDERS - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_other_source, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_topic_out_of_reach, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_other_every, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_off_and_on, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
