/* SPDX-License-Identifier: Apache-2.0 */
/* tap of topics in librdkafka's mock broker: records in Avro as the JSON that they would have been, JSON as it is, and
 * what is neither as it is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "drift/drift.h"
#include "engine/encode_avro_internal.h"
#include "ingest/ingest.h"
#include "tests/cli/command.h"

static struct mill_mock_kafka *mock;

static int set_up(void **state)
{
    struct mill_error err;
    char text[512];

    if (command_set_up(state) != 0) {
        return -1;
    }
    assert_int_equal(mill_mock_kafka_open(&mock, &err), 0);
    assert_int_equal(mill_mock_kafka_create_topic(mock, "shop.retrain", 1, &err), 0);
    assert_int_equal(mill_mock_kafka_create_topic(mock, "shop.dead_letter", 1, &err), 0);
    snprintf(text, sizeof(text),
             "project: shop\nkafka: {brokers: [\"%s\"]}\nsources:\n  - {name: orders, fields: {at: timestamp_seconds}, "
             "timestamp_field: at}\n",
             mill_mock_kafka_brokers(mock));
    command_write_file("tidemill.yaml", text);
    return 0;
}

static int tear_down(void **state)
{
    mill_mock_kafka_close(mock);
    return command_tear_down(state);
}

static void send(const char *topic, const struct mill_slice *values, unsigned count)
{
    struct mill_kafka_options kafka = {.brokers = mill_mock_kafka_brokers(mock), .group = "shop", .client_id = "test"};
    struct mill_producer *producer;
    struct mill_error err;

    assert_int_equal(mill_producer_open(&kafka, NULL, NULL, &producer, &err), 0);
    unsigned handle = mill_producer_topic(producer, topic);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(
            mill_producer_send(producer, handle, 0, (struct mill_slice){"k", 1}, values[i], NULL, 0, -1, &err), 0);
    }
    assert_int_equal(mill_producer_flush(producer, 10000, &err), 0);
    mill_producer_close(producer, 1000);
}

/* tap WHAT prints these lines. */
static void assert_tapped(const char *what, const char *limit, struct mill_slice expected)
{
    struct command c = {.status = -1};

    command_run(&c, "tap", what, "--from-beginning", "--timeout", "20", "--limit", limit, NULL);
    if (c.status != 0) {
        fail_msg("%s", mill_buffer_cstr(&c.err));
    }
    if (!mill_slice_equal(mill_buffer_slice(&c.out), expected)) {
        fail_msg("expected %.*s, found %s", MILL_SLICE_ARGS(expected), mill_buffer_cstr(&c.out));
    }
    command_clear(&c);
}

static void test_triggers(void **state)
{
    (void)state;
    struct mill_buffer avro = {0}, json = {0}, expected = {0};
    const struct mill_drift_monitor_spec spec = {
        .project = "shop", .name = "inputs", .model = "churn", .model_version = "3"};
    const struct mill_retrain_trigger trigger = {.id = "ab\n", .reason = MILL_TRIGGER_SCHEDULE, .train_to_us = 1};

    mill_retrain_trigger_write_avro(&trigger, &spec, 5, &avro);
    mill_retrain_trigger_write_json(&trigger, &spec, 5, &json);
    const struct mill_slice values[] = {
        mill_buffer_slice(&avro), mill_buffer_slice(&json), {avro.p, avro.n - 1}}; /* the last is damaged */
    send("shop.retrain", values, 3);
    mill_buffer_printf(&expected, "%s\n%s\n", mill_buffer_cstr(&json), mill_buffer_cstr(&json));
    mill_buffer_add_slice(&expected, values[2]);
    mill_buffer_add_byte(&expected, '\n');
    assert_tapped("retrain", "3", mill_buffer_slice(&expected));
    mill_buffer_clear(&avro);
    mill_buffer_clear(&json);
    mill_buffer_clear(&expected);
}

static void test_dead_letters(void **state)
{
    (void)state;
    struct mill_buffer avro = {0};
    const struct mill__dead_letter letter = {.source = "orders",
                                             .topic = "shop.orders",
                                             .partition = 1,
                                             .offset = 7,
                                             .reason = MILL_REJECT_MALFORMED,
                                             .detail = "no",
                                             .value = mill_slice_of("{\"a\""),
                                             .now_us = 1000000};

    mill__avro_encode_dead_letter(&letter, &avro);
    const struct mill_slice value = mill_buffer_slice(&avro);
    send("shop.dead_letter", &value, 1);
    assert_tapped("dead-letter", "1",
                  mill_slice_of("{\"source\":\"orders\",\"topic\":\"shop.orders\",\"partition\":1,\"offset\":7,"
                                "\"reason\":\"malformed\",\"detail\":\"no\",\"key\":null,\"value\":\"{\\\"a\\\"\","
                                "\"rejected_at\":\"1970-01-01T00:00:01Z\"}\n"));
    mill_buffer_clear(&avro);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_triggers),
        cmocka_unit_test(test_dead_letters),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
