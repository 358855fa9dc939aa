/* SPDX-License-Identifier: Apache-2.0 */
/* replay into librdkafka's mock broker of this process: order, keys, limits, and waiting for a group. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ingest/ingest.h"
#include "tests/cli/command.h"

enum { EVENTS = 300, PARTITIONS = 2, TIMEOUT_MS = 10000 };

static struct mill_mock_kafka *mock;
static struct mill_kafka_options kafka;

static void write_events(const char *file, const char *prefix, int step)
{
    struct mill_buffer text = {0};
    for (int i = 0; i < EVENTS; i++) {
        mill_buffer_printf(&text, "{\"id\":\"%s%d\",\"user\":\"u%d\",\"at\":%d}\n", prefix, i, i % 7, 1000 + i * step);
    }
    command_write_file(file, mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
}

static int set_up(void **state)
{
    struct mill_error err;
    char text[1024];
    if (command_set_up(state) != 0) {
        return -1;
    }
    assert_int_equal(mill_mock_kafka_open(&mock, &err), 0);
    /* The mock would make topics with four partitions when they are asked for. */
    assert_int_equal(mill_mock_kafka_create_topic(mock, "shop.orders", PARTITIONS, &err), 0);
    assert_int_equal(mill_mock_kafka_create_topic(mock, "shop.clicks", PARTITIONS, &err), 0);
    assert_int_equal(mill_mock_kafka_create_topic(mock, "shop.slow", PARTITIONS, &err), 0);
    kafka = (struct mill_kafka_options){.brokers = mill_mock_kafka_brokers(mock), .group = "shop", .client_id = "test"};
    snprintf(
        text, sizeof(text),
        "project: shop\nkafka: {brokers: [\"%s\"]}\nsources:\n"
        "  - {name: orders, key: user, fields: {id: string, user: string, at: timestamp_seconds}, timestamp_field: "
        "at}\n"
        "  - {name: clicks, fields: {id: string, user: string, at: timestamp_seconds}, timestamp_field: at}\n"
        "  - {name: slow, key: user, fields: {id: string, user: string, at: timestamp_seconds}, timestamp_field: at}\n",
        kafka.brokers);
    command_write_file("tidemill.yaml", text);
    write_events("orders.jsonl", "o", 2);
    write_events("clicks.jsonl", "c", 3);
    return 0;
}

static int tear_down(void **state)
{
    mill_mock_kafka_close(mock);
    return command_tear_down(state);
}

/* Everything that the topic holds, as "partition key value" lines in the order of each partition. */
static unsigned read_topic(const char *topic, unsigned expected, struct mill_buffer *out)
{
    struct mill_tail *tail;
    struct mill_error err;
    struct mill_record records[64];
    int32_t partitions[64];
    unsigned count = 0;
    assert_int_equal(mill_tail_open(&kafka, topic, true, &tail, &err), 0);
    for (int empty = 0; empty < 5 && count < expected;) {
        int n = mill_tail_next(tail, 1000, records, partitions, 64, &err);
        assert_true(n >= 0);
        empty = n == 0 ? empty + 1 : 0;
        for (int i = 0; i < n; i++) {
            mill_buffer_printf(out, "%d %.*s %.*s\n", partitions[i], (int)records[i].key.n,
                               records[i].key.p == NULL ? "" : records[i].key.p, (int)records[i].value.n,
                               records[i].value.p);
        }
        count += (unsigned)n;
    }
    mill_tail_close(tail);
    return count;
}

/* Every record once, as it stands in the file, with its key, all of a key in one partition. */
static void test_keys_and_values(void **state)
{
    struct command c = {.status = -1};
    struct mill_buffer got = {0};
    int partition_of[7], events = 0, next[7] = {0, 1, 2, 3, 4, 5, 6};
    (void)state;

    command_run(&c, "replay", "orders=orders.jsonl", "clicks=clicks.jsonl", "--partitions", "2", "--format", "json",
                NULL);
    if (c.status != 0) {
        fail_msg("%s", mill_buffer_cstr(&c.err));
    }
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(root, "records")), 2 * EVENTS);
    json_decref(root);
    assert_int_equal(read_topic("shop.orders", EVENTS, &got), EVENTS);
    for (int i = 0; i < 7; i++) {
        partition_of[i] = -1;
    }
    char *rest = got.p;
    mill_buffer_cstr(&got);
    for (char *line; (line = strsep(&rest, "\n")) != NULL && line[0] != '\0';) {
        int partition, key, id, user, at;
        assert_int_equal(
            sscanf(line, "%d u%d {\"id\":\"o%d\",\"user\":\"u%d\",\"at\":%d}", &partition, &key, &id, &user, &at), 5);
        assert_int_equal(key, user);
        assert_int_equal(key, id % 7);
        assert_int_equal(at, 1000 + 2 * id);
        assert_int_equal(id, next[key]); /* in the order of the file */
        next[key] += 7;
        assert_true(partition_of[key] < 0 || partition_of[key] == partition);
        partition_of[key] = partition;
        events++;
    }
    assert_int_equal(events, EVENTS);
    mill_buffer_reset(&got);
    assert_int_equal(read_topic("shop.clicks", EVENTS, &got), EVENTS);
    mill_buffer_clear(&got);
    command_clear(&c);
}

static void test_mistakes(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    command_run(&c, "replay", "order=orders.jsonl", NULL);
    assert_int_equal(c.status, 64);
    assert_non_null(strstr(mill_buffer_cstr(&c.err), "hint: did you mean 'orders'?"));
    command_run(&c, "replay", "orders", NULL);
    assert_int_equal(c.status, 64);
    command_run(&c, "replay", "orders=orders.jsonl", "orders=clicks.jsonl", NULL);
    assert_int_equal(c.status, 64);
    command_run(&c, "replay", "orders=nowhere.jsonl", NULL);
    assert_int_equal(c.status, 66);
    command_clear(&c);
}

/* Merged by event time: of the first 100 records the files' shares are those of their times. */
static void test_limit_and_merge(void **state)
{
    struct command c = {.status = -1};
    int64_t low, high[2];
    struct mill_error err;
    (void)state;
    for (int i = 0; i < 2; i++) {
        const char *topics[] = {"shop.orders", "shop.clicks"};
        high[i] = 0;
        for (int32_t p = 0; p < PARTITIONS; p++) {
            int64_t end;
            assert_int_equal(mill_kafka_watermarks(&kafka, topics[i], p, TIMEOUT_MS, &low, &end, &err), 0);
            high[i] -= end;
        }
    }
    command_run(&c, "replay", "orders=orders.jsonl", "clicks=clicks.jsonl", "--limit", "100", "--rate", "1000", NULL);
    assert_int_equal(c.status, 0);
    for (int i = 0; i < 2; i++) {
        const char *topics[] = {"shop.orders", "shop.clicks"};
        for (int32_t p = 0; p < PARTITIONS; p++) {
            int64_t end;
            assert_int_equal(mill_kafka_watermarks(&kafka, topics[i], p, TIMEOUT_MS, &low, &end, &err), 0);
            high[i] += end;
        }
    }
    assert_int_equal(high[0], 60); /* every 2 seconds against every 3 */
    assert_int_equal(high[1], 40);
    command_clear(&c);
}

/* ------------------------------------------------------------------------------------------------
 * --max-ahead
 * --------------------------------------------------------------------------------------------- */

static int assigned(void *context, struct mill_partition *partition, unsigned topic, int32_t number,
                    int64_t *ret_offset, void **ret_user, struct mill_error *err)
{
    (void)topic;
    (void)ret_user;
    (void)err;
    ((struct mill_partition **)context)[number] = partition;
    *ret_offset = -1;
    return 0;
}

static void revoked(void *context, struct mill_partition *partition, void *user, bool lost)
{
    (void)context;
    (void)partition;
    (void)user;
    (void)lost;
}

static int64_t topic_end(const char *topic, int64_t *ret_fullest)
{
    int64_t sum = 0;
    *ret_fullest = 0;
    for (int32_t p = 0; p < PARTITIONS; p++) {
        int64_t low, high;
        struct mill_error err;
        assert_int_equal(mill_kafka_watermarks(&kafka, topic, p, TIMEOUT_MS, &low, &high, &err), 0);
        sum += high;
        *ret_fullest = high > *ret_fullest ? high : *ret_fullest;
    }
    return sum;
}

/* Reads and commits until `wanted` records came; none may lie further ahead than told. */
static void consume(int64_t wanted, int64_t ahead_max)
{
    static const struct mill_consumer_events none;
    struct mill_partition *partitions[PARTITIONS] = {NULL};
    struct mill_consumer_events events = none;
    const char *topics[] = {"shop.slow"};
    struct mill_consumer *consumer;
    struct mill_record records[16];
    struct mill_error err;
    int64_t seen = 0;

    events.context = partitions;
    events.assigned = assigned;
    events.revoked = revoked;
    assert_int_equal(mill_consumer_open(&kafka, topics, 1, &events, &consumer, &err), 0);
    for (int round = 0; seen < wanted && round < 2000; round++) {
        assert_true(mill_consumer_poll(consumer, 50, &err) >= 0);
        for (int p = 0; p < PARTITIONS; p++) {
            uint32_t n = partitions[p] == NULL ? 0 : mill_partition_fetch(partitions[p], records, 16);
            if (n == 0) {
                continue;
            }
            int64_t end = mill_partition_end_offset(partitions[p]);
            assert_true(end - records[0].offset <= ahead_max);
            mill_consumer_commit(consumer, partitions[p], records[n - 1].offset + 1);
            mill_partition_release(partitions[p], records, n);
            seen += n;
        }
    }
    mill_consumer_close(consumer);
    assert_int_equal(seen, wanted);
}

/* Nobody reads: it stops at the limit. Somebody reads: it goes on, never too far ahead, to the end. */
static void test_max_ahead(void **state)
{
    enum { AHEAD = 40 };
    static char name[] = "tidemill", replay[] = "replay", source[] = "slow=orders.jsonl", option[] = "--max-ahead",
                number[] = "40", count[] = "--partitions", two[] = "2";
    char *arguments[] = {name, replay, source, option, number, count, two, NULL};
    int64_t fullest, end = 0, before = -1;
    (void)state;

    pid_t pid = command_start(".replay_out", ".replay_err", arguments);
    for (int i = 0; i < 100 && (end == 0 || end != before); i++) {
        before = end;
        usleep(300000);
        end = topic_end("shop.slow", &fullest);
    }
    assert_true(fullest <= AHEAD);
    assert_true(fullest >= AHEAD * 3 / 4); /* and it does use the room that there is */
    assert_true(end < EVENTS);
    consume(EVENTS, AHEAD);
    assert_int_equal(command_wait(pid), 0);
    assert_int_equal(topic_end("shop.slow", &fullest), EVENTS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_and_values),
        cmocka_unit_test(test_mistakes),
        cmocka_unit_test(test_limit_and_merge),
        cmocka_unit_test(test_max_ahead),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
