/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka producer, the reader without a group and the questions to a cluster, against librdkafka's mock broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/hash.h"
#include "tests/ingest/kafka_fixture.h"

enum { API_PRODUCE = 0, TAKEN_MAX = 20000 };

static double seconds_since(int64_t begin_ns)
{
    return (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
}

static struct mill_slice text(const char *cstr)
{
    return mill_slice_of(cstr);
}

static void put(struct fixture *f, unsigned topic, int32_t partition, struct mill_slice key, struct mill_slice value)
{
    struct mill_error err = {0};
    check(mill_producer_send(f->producer, topic, partition, key, value, NULL, 0, -1, &err), &err);
}

/* The next record of a tail, which must come. */
static struct mill_record next_record(struct mill_tail *tail, int32_t *ret_partition)
{
    struct mill_record record;
    struct mill_error err = {0};
    int rc = 0;
    for (int tries = 0; tries < 100 && rc == 0; tries++) {
        rc = mill_tail_next(tail, 300, &record, ret_partition, 1, &err);
    }
    check(rc, &err);
    assert_int_equal(rc, 1);
    return record;
}

static void assert_slice(struct mill_slice s, const char *expected)
{
    if (expected == NULL) {
        assert_null(s.p);
        return;
    }
    assert_non_null(s.p);
    assert_int_equal(s.n, strlen(expected));
    assert_memory_equal(s.p, expected, s.n);
}

/* ---- what is in a record ---- */

static void test_record_parts(void **state)
{
    const struct mill_header headers[] = {{"x", {"1", 1}}, {"__value_schema_id", {"\x01\x00\x02", 3}}};
    const struct mill_slice none = {NULL, 0};
    struct mill_error err = {0};
    struct mill_tail *tail;
    struct fixture f;
    int32_t partition;
    (void)state;

    fixture_open(&f, "out", 1, NULL);
    unsigned out = mill_producer_topic(f.producer, "out");
    assert_int_equal(mill_producer_topic(f.producer, "out"), out);
    put(&f, out, 0, text("before"), text("before"));
    fixture_flush(&f);
    check(mill_tail_open(&f.options, "out", false, &tail, &err), &err);
    check(mill_producer_send(f.producer, out, -1, text("key"), text("value"), headers, 2, INT64_C(1700000000123456),
                             &err),
          &err);
    int64_t now_us = mill_clock_wall_us();
    put(&f, out, 0, none, text("")); /* no key, an empty value */
    put(&f, out, 0, text(""), none); /* an empty key, a tombstone */
    char zeros[100000] = {0};
    put(&f, out, 0, (struct mill_slice){"\0k", 2}, (struct mill_slice){zeros, sizeof(zeros)});
    fixture_flush(&f);

    struct mill_record record = next_record(tail, &partition);
    assert_slice(record.key, "key");
    assert_slice(record.value, "value");
    assert_int_equal(record.schema_id.n, 3);
    assert_memory_equal(record.schema_id.p, "\x01\x00\x02", 3);
    assert_int_equal(record.offset, 1);
    assert_int_equal(partition, 0);
    assert_int_equal(record.broker_time_us, INT64_C(1700000000123000));
    record = next_record(tail, &partition);
    assert_slice(record.key, NULL);
    assert_slice(record.value, "");
    assert_slice(record.schema_id, NULL);
    assert_true(llabs(record.broker_time_us - now_us) < 10000000);
    record = next_record(tail, &partition);
    assert_slice(record.key, "");
    assert_slice(record.value, NULL);
    record = next_record(tail, &partition);
    assert_int_equal(record.key.n, 2);
    assert_memory_equal(record.key.p, "\0k", 2);
    assert_int_equal(record.value.n, sizeof(zeros));
    assert_memory_equal(record.value.p, zeros, sizeof(zeros));
    assert_int_equal(mill_tail_next(tail, 50, &record, &partition, 1, &err), 0);
    mill_tail_close(tail);
    fixture_close(&f);
}

/* Keys land where Kafka's own clients put them; all arrive once; each key's records keep their order. */
static void test_partitioner_and_order(void **state)
{
    enum { KEYS = 500, ROUNDS = 20, PARTITIONS = 7 };
    static int next_round[KEYS];
    static struct mill_record records[3000];
    static int32_t partitions[3000];
    struct mill_error err = {0};
    struct mill_tail *tail;
    struct fixture f;
    int count = 0;
    (void)state;

    fixture_open(&f, "out", PARTITIONS, NULL);
    /* Answers that make librdkafka send again: nothing may be lost, doubled or out of order. */
    mill__mock_kafka_fail_requests(f.mock, API_PRODUCE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, 3);
    unsigned out = mill_producer_topic(f.producer, "out");
    for (int round = 0; round < ROUNDS; round++) {
        for (int k = 0; k < KEYS; k++) {
            char key[16], value[32];
            snprintf(key, sizeof(key), "key-%d", k);
            snprintf(value, sizeof(value), "%d %d", k, round);
            put(&f, out, -1, text(key), text(value));
        }
    }
    fixture_flush(&f);
    check(mill_tail_open(&f.options, "out", true, &tail, &err), &err);
    int64_t begin_ns = mill_clock_mono_ns();
    while (count < KEYS * ROUNDS && seconds_since(begin_ns) < 20) {
        int n = mill_tail_next(tail, 100, records, partitions, 3000, &err);
        check(n, &err);
        for (int i = 0; i < n; i++) {
            char value[32];
            int key, round;
            snprintf(value, sizeof(value), "%.*s", (int)records[i].value.n, records[i].value.p);
            assert_int_equal(sscanf(value, "%d %d", &key, &round), 2);
            assert_int_equal(round, next_round[key]++);
            uint32_t hash = mill_hash_murmur2(records[i].key.p, records[i].key.n);
            assert_int_equal(partitions[i], (hash & 0x7fffffff) % PARTITIONS);
        }
        count += n;
    }
    assert_int_equal(count, KEYS * ROUNDS);
    assert_int_equal(f.failure_count, 0);
    mill_tail_close(tail);
    fixture_close(&f);
}

/* ---- trouble ---- */

static void test_never_deliverable(void **state)
{
    static char large[2000000];
    struct mill_error err = {0};
    struct fixture f;
    (void)state;

    fixture_open(&f, "out", 1, NULL);
    unsigned out = mill_producer_topic(f.producer, "out");
    memset(large, 'x', sizeof(large));
    put(&f, out, 0, text("k"), (struct mill_slice){large, sizeof(large)});
    assert_int_equal(f.failure_count, 0); /* not from inside send */
    check(mill_producer_poll(f.producer, 0, &err), &err);
    assert_int_equal(f.failure_count, 1);
    assert_int_equal(f.failure_size, sizeof(large));
    assert_string_equal(f.failure_topic, "out");
    assert_non_null(strstr(f.failure_why, "too large"));

    /* A partition that is not there is known to be wrong once the topic is known. */
    put(&f, out, 0, text("k"), text("v"));
    fixture_flush(&f);
    assert_int_equal(f.failure_count, 1);
    put(&f, out, 5, text("k"), text("vv"));
    fixture_flush(&f);
    assert_int_equal(f.failure_count, 2);
    assert_int_equal(f.failure_size, 2);
    assert_non_null(strstr(f.failure_why, "partition"));

    /* Refused by the broker, and the producer lives. */
    mill__mock_kafka_fail_requests(f.mock, API_PRODUCE, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, 1);
    put(&f, out, 0, text("k"), text("vvv"));
    fixture_flush(&f);
    assert_int_equal(f.failure_count, 3);
    assert_int_equal(f.failure_size, 3);
    put(&f, out, 0, text("k"), text("v"));
    fixture_flush(&f);
    assert_int_equal(f.failure_count, 3);

    /* A topic that is refused: librdkafka knows it from then on, and says so at once. */
    mill__mock_kafka_fail_requests(f.mock, API_PRODUCE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, 1);
    put(&f, out, 0, text("k"), text("v4"));
    fixture_flush(&f);
    assert_int_equal(f.failure_count, 4);
    assert_non_null(strstr(f.failure_why, "authorization"));
    put(&f, out, 0, text("k"), text("v5"));
    fixture_flush(&f);
    assert_in_range(f.failure_count, 4, 5);
    fixture_close(&f);
}

static void test_full_queue_while_down(void **state)
{
    static const char *const pairs[] = {"queue.buffering.max.messages", "100", NULL};
    struct mill_error err = {0};
    struct mill_tail *tail;
    struct fixture f;
    int sent = 0, rc;
    (void)state;

    fixture_open(&f, "out", 1, pairs);
    unsigned out = mill_producer_topic(f.producer, "out");
    put(&f, out, 0, text("k"), text("0"));
    fixture_flush(&f);
    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0);
    do {
        char value[16];
        snprintf(value, sizeof(value), "%d", sent + 1);
        rc = mill_producer_send(f.producer, out, 0, text("k"), text(value), NULL, 0, -1, &err);
        sent += rc == 0;
    } while (rc == 0 && sent < 1000);
    assert_int_equal(rc, MILL_ERETRY);
    assert_in_range(sent, 100, 200); /* the mock may have taken a few before it heard of being down */
    assert_true(mill_producer_outstanding(f.producer) >= 100);
    int64_t begin_ns = mill_clock_mono_ns();
    check(mill_producer_poll(f.producer, 200, &err), &err); /* waits for room, in vain */
    assert_true(seconds_since(begin_ns) > 0.15 && seconds_since(begin_ns) < 5);
    assert_int_equal(mill_producer_flush(f.producer, 100, &err), MILL_ERETRY);
    assert_non_null(strstr(err.msg, " messages are not acknowledged after 100 ms"));

    assert_int_equal(mill__mock_kafka_set_up(f.mock, true), 0);
    fixture_flush(&f);
    check(mill_tail_open(&f.options, "out", true, &tail, &err), &err);
    for (int i = 0; i <= sent; i++) {
        char value[16];
        int32_t partition;
        snprintf(value, sizeof(value), "%d", i);
        struct mill_record record = next_record(tail, &partition);
        assert_slice(record.value, value);
    }
    assert_int_equal(f.failure_count, 0);
    mill_tail_close(tail);
    fixture_close(&f);
}

/* While an acknowledgement is awaited, later records wait in the producer: they come out together, in order, with what
 * was null still null, and in front of a record that cannot be held. */
static void test_hold(void **state)
{
    enum { HELD = 20 };
    const struct mill_header header = {"h", {"1", 1}};
    struct mill_error err = {0};
    struct mill_tail *tail;
    struct fixture f;
    char value[16];
    int32_t partition;
    (void)state;

    fixture_open(&f, "out", 1, NULL);
    unsigned out = mill_producer_topic(f.producer, "out");
    put(&f, out, 0, text("k"), text("first"));
    fixture_flush(&f);
    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0);
    put(&f, out, 0, text("k"), text("under way"));
    check(mill_producer_poll(f.producer, 0, &err), &err);
    assert_false(mill_producer_is_holding(f.producer));
    for (int i = 0; i < HELD; i++) {
        snprintf(value, sizeof(value), "%d", i);
        put(&f, out, 0, i == 0 ? (struct mill_slice){NULL, 0} : text(""), text(value));
    }
    assert_true(mill_producer_is_holding(f.producer));
    assert_int_equal(mill_producer_outstanding(f.producer), 1 + HELD);
    check(mill_producer_poll(f.producer, 20, &err), &err);
    assert_true(mill_producer_is_holding(f.producer)); /* not acknowledged, not long enough */
    check(mill_producer_poll(f.producer, 1000, &err), &err);
    assert_false(mill_producer_is_holding(f.producer)); /* long enough: it may be another partition that hangs */
    put(&f, out, 0, text("k"), text("held again"));
    assert_true(mill_producer_is_holding(f.producer));
    check(mill_producer_send(f.producer, out, 0, text("k"), text("with header"), &header, 1, -1, &err), &err);
    assert_false(mill_producer_is_holding(f.producer));
    put(&f, out, 0, text("k"), text("last"));

    assert_int_equal(mill__mock_kafka_set_up(f.mock, true), 0);
    fixture_flush(&f);
    assert_false(mill_producer_is_holding(f.producer));
    check(mill_tail_open(&f.options, "out", true, &tail, &err), &err);
    assert_slice(next_record(tail, &partition).value, "first");
    assert_slice(next_record(tail, &partition).value, "under way");
    for (int i = 0; i < HELD; i++) {
        snprintf(value, sizeof(value), "%d", i);
        struct mill_record record = next_record(tail, &partition);
        assert_slice(record.key, i == 0 ? NULL : "");
        assert_slice(record.value, value);
    }
    assert_slice(next_record(tail, &partition).value, "held again");
    assert_slice(next_record(tail, &partition).value, "with header");
    assert_slice(next_record(tail, &partition).value, "last");
    mill_tail_close(tail);
    fixture_close(&f);
}

/* Many at once are not held, and overtake none that were. */
static void test_many_are_not_held(void **state)
{
    enum { MANY = 3000 };
    struct mill_error err = {0};
    struct mill_tail *tail;
    struct fixture f;
    char value[16];
    int32_t partition;
    (void)state;

    fixture_open(&f, "out", 1, NULL);
    unsigned out = mill_producer_topic(f.producer, "out");
    put(&f, out, 0, text("k"), text("0"));
    fixture_flush(&f);
    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0);
    put(&f, out, 0, text("k"), text("1"));
    check(mill_producer_poll(f.producer, 0, &err), &err);
    for (int i = 2; i < MANY; i++) {
        snprintf(value, sizeof(value), "%d", i);
        put(&f, out, 0, text("k"), text(value));
    }
    assert_false(mill_producer_is_holding(f.producer));
    assert_int_equal(mill__mock_kafka_set_up(f.mock, true), 0);
    fixture_flush(&f);
    check(mill_tail_open(&f.options, "out", true, &tail, &err), &err);
    for (int i = 0; i < MANY; i++) {
        snprintf(value, sizeof(value), "%d", i);
        assert_slice(next_record(tail, &partition).value, value);
    }
    mill_tail_close(tail);
    fixture_close(&f);
}

/* Closing gives up what cannot be sent in the time that the caller gives. */
static void test_close_while_down(void **state)
{
    struct fixture f;
    (void)state;

    fixture_open(&f, "out", 1, NULL);
    unsigned out = mill_producer_topic(f.producer, "out");
    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0);
    put(&f, out, 0, text("k"), text("v"));
    int64_t begin_ns = mill_clock_mono_ns();
    mill_producer_close(f.producer, 100);
    f.producer = NULL;
    assert_true(seconds_since(begin_ns) < 10);
    assert_int_equal(f.failure_count, 0);
    fixture_close(&f);
}

/* ---- questions ---- */

static void test_questions(void **state)
{
    struct mill_error err = {0};
    int64_t low, high, offset;
    struct fixture f;
    int32_t count = 0;
    (void)state;

    fixture_open(&f, "in", 3, NULL);
    check(mill_kafka_partition_count(&f.options, "in", TIMEOUT_MS, &count, &err), &err);
    assert_int_equal(count, 3);
    /* What exists is left as it is. (The mock cannot make topics on request: it makes those that are asked for.) */
    check(mill_kafka_create_topic(&f.options, "in", 5, NULL, TIMEOUT_MS, &err), &err);
    check(mill_kafka_partition_count(&f.options, "in", TIMEOUT_MS, &count, &err), &err);
    assert_int_equal(count, 3);
    fixture_produce(&f, "in", 3, 0, 42);
    check(mill_kafka_watermarks(&f.options, "in", 1, TIMEOUT_MS, &low, &high, &err), &err);
    assert_int_equal(low, 0);
    assert_int_equal(high, 42);
    check(mill_kafka_committed(&f.options, "in", 1, TIMEOUT_MS, &offset, &err), &err);
    assert_int_equal(offset, -1);
    assert_int_equal(mill_kafka_watermarks(&f.options, "in", 9, 2000, &low, &high, &err), MILL_ENOINPUT);

    struct mill_kafka_options nobody = f.options;
    nobody.brokers = "127.0.0.1:1";
    count = 77;
    int64_t begin_ns = mill_clock_mono_ns();
    assert_int_equal(mill_kafka_partition_count(&nobody, "in", 500, &count, &err), MILL_EUNAVAIL);
    assert_true(seconds_since(begin_ns) < 5);
    assert_int_equal(count, 77);
    assert_non_null(strstr(err.msg, "kafka at '127.0.0.1:1' does not answer for topic 'in'"));
    fixture_close(&f);
}

static void check_option(const char *name, const char *value, int code, const char *expected)
{
    const char *pairs[] = {"linger.ms", "7", name, value, NULL};
    const struct mill_kafka_options options = {.brokers = "127.0.0.1:1", .librdkafka = pairs};
    struct mill_error err = {0};
    unsigned index = 99;

    assert_int_equal(mill_kafka_check_options(&options, &index, &err), code);
    assert_int_equal(index, code < 0 ? 1 : 99);
    if (expected != NULL) {
        assert_string_equal(err.msg, expected);
    }
    if (code < 0) { /* and no client opens with it */
        struct mill_producer *producer;
        assert_int_equal(mill_producer_open(&options, NULL, NULL, &producer, NULL), code);
    }
}

static void test_options(void **state)
{
    (void)state;
    check_option("fetch.min.bytes", "1000", 0, NULL);
    check_option("compression.codec", "zstd", 0, NULL);
    check_option("fetch.mim.bytes", "1", MILL_ECONFIG,
                 "librdkafka has no property 'fetch.mim.bytes'; hint: did you mean 'fetch.min.bytes'?");
    check_option("colour.of.the.broker", "red", MILL_ECONFIG, "librdkafka has no property 'colour.of.the.broker'");
    check_option("enable.auto.commit", "true", MILL_ECONFIG,
                 "'enable.auto.commit' cannot be set: the engine stores offsets when state has been written");
    check_option("group.id", "x", MILL_ECONFIG, "'group.id' cannot be set: write 'group' of the section 'kafka'");
    check_option("fetch.min.bytes", "many", MILL_ECONFIG, NULL);
    check_option("fetch.min.bytes", "-1", MILL_ECONFIG, NULL);
    check_option("rebalance_cb", "x", MILL_ECONFIG, NULL);
    check_option("", "x", MILL_ECONFIG, NULL);
    const struct mill_kafka_options none = {.brokers = "127.0.0.1:1"};
    assert_int_equal(mill_kafka_check_options(&none, NULL, NULL), 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_record_parts),
        cmocka_unit_test(test_partitioner_and_order),
        cmocka_unit_test(test_never_deliverable),
        cmocka_unit_test(test_full_queue_while_down),
        cmocka_unit_test(test_hold),
        cmocka_unit_test(test_many_are_not_held),
        cmocka_unit_test(test_close_while_down),
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_options),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
