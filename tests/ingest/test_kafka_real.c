/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Kafka client against a real, empty broker: what the mock cannot show. Run by
 * tests/integration/test_kafka_client.sh, which sets MILL_KAFKA_BROKERS, and MILL_KAFKA_CONTROL to a command that takes
 * `kill` and `start`; skipped without.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "tests/ingest/kafka_fixture.h"

static const char *brokers;

static double seconds_since(int64_t begin_ns)
{
    return (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
}

/* A group of its own per test: the broker remembers. */
static void open_group(struct fixture *f, const char *topic, int32_t partition_count, const char *const *pairs)
{
    fixture_open_at(f, brokers, topic, partition_count, pairs);
    f->options.group = topic;
}

static void test_topics(void **state)
{
    static const char *const settings[] = {"retention.ms", "3600000", NULL};
    static const char *const nonsense[] = {"retention.ms", "soon", NULL};
    const struct mill_kafka_options options = {.brokers = brokers, .group = "topics"};
    struct mill_error err = {0};
    int64_t low, high, offset;
    int32_t count = 0;
    (void)state;

    assert_int_equal(mill_kafka_partition_count(&options, "real.absent", TIMEOUT_MS, &count, &err), MILL_ENOINPUT);
    assert_non_null(strstr(err.msg, "topic 'real.absent' is not there on '127.0.0.1:"));
    check(mill_kafka_create_topic(&options, "real.topics", 5, settings, TIMEOUT_MS, &err), &err);
    check(mill_kafka_partition_count(&options, "real.topics", TIMEOUT_MS, &count, &err), &err);
    assert_int_equal(count, 5);
    check(mill_kafka_create_topic(&options, "real.topics", 7, NULL, TIMEOUT_MS, &err), &err);
    check(mill_kafka_partition_count(&options, "real.topics", TIMEOUT_MS, &count, &err), &err);
    assert_int_equal(count, 5);
    check(mill_kafka_watermarks(&options, "real.topics", 4, TIMEOUT_MS, &low, &high, &err), &err);
    assert_int_equal(low, 0);
    assert_int_equal(high, 0);
    check(mill_kafka_committed(&options, "real.topics", 4, TIMEOUT_MS, &offset, &err), &err);
    assert_int_equal(offset, -1);
    assert_int_equal(mill_kafka_create_topic(&options, "real.nonsense", 1, nonsense, TIMEOUT_MS, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "cannot create topic 'real.nonsense'"));
}

static void test_round_trip(void **state)
{
    static const char *const pairs[] = {"compression.codec", "zstd", NULL};
    struct fixture f;
    struct member m;
    (void)state;

    open_group(&f, "real.round", 4, pairs);
    fixture_produce(&f, "real.round", 4, 0, 25000);
    member_init(&m);
    member_open(&m, &f.options, "real.round");
    member_poll_until(&m, 4 * 25000);
    for (int p = 0; p < 4; p++) {
        member_poll_while(&m, !mill_partition_is_at_end(m.owned[p]));
        assert_int_equal(mill_partition_end_offset(m.owned[p]), 25000);
    }
    mill_consumer_close(m.consumer);
    assert_int_equal(f.failure_count, 0);
    fixture_close(&f);
}

/* Members come and go while messages flow. What is stored when a partition is taken away is where the next owner
 * starts: each message is seen once. */
static void test_rebalances(void **state)
{
    static const char *const pairs[] = {"heartbeat.interval.ms", "200", NULL};
    enum { ROUNDS = 6, PER_ROUND = 300, PARTITIONS = 6 };
    struct fixture f;
    struct member members[2];
    int64_t next[PARTITION_MAX] = {0};
    uint64_t seen = 0;
    (void)state;

    open_group(&f, "real.rebalance", PARTITIONS, pairs);
    for (int i = 0; i < 2; i++) {
        member_init(&members[i]);
        members[i].next = next;
        members[i].commit_on_revoke = true;
    }
    member_open(&members[0], &f.options, "real.rebalance");
    for (int round = 0; round < ROUNDS; round++) {
        struct member *guest = &members[1];
        fixture_produce(&f, "real.rebalance", PARTITIONS, round * PER_ROUND, PER_ROUND);
        seen = (uint64_t)(round + 1) * PER_ROUND * PARTITIONS;
        if (round % 2 == 0) {
            member_open(guest, &f.options, "real.rebalance");
        } else {
            mill_consumer_close(guest->consumer);
            guest->consumer = NULL;
        }
        unsigned share = guest->consumer != NULL ? PARTITIONS / 2 : PARTITIONS;
        int64_t begin_ns = mill_clock_mono_ns();
        while ((members[0].count + guest->count < seen || members[0].owned_count != share) &&
               seconds_since(begin_ns) < 30) {
            member_poll(&members[0], 10);
            if (guest->consumer != NULL) {
                member_poll(guest, 10);
            }
        }
        assert_int_equal(members[0].count + guest->count, seen);
        assert_int_equal(members[0].owned_count, share);
    }
    assert_int_equal(members[0].lost_count + members[1].lost_count, 0);
    mill_consumer_close(members[0].consumer);
    fixture_close(&f);
}

/* Static membership: who leaves and comes back in time costs the others no rebalance; who takes another's name ends
 * the other with a clear error. */
static void test_static_membership(void **state)
{
    static const char *const first[] = {"group.instance.id", "one", NULL};
    static const char *const second[] = {"group.instance.id", "two", NULL};
    struct mill_kafka_options one, two;
    struct mill_error err = {0};
    struct fixture f;
    struct member a, b, again;
    (void)state;

    open_group(&f, "real.static", 2, NULL);
    one = two = f.options;
    one.librdkafka = first;
    two.librdkafka = second;
    member_init(&a);
    member_init(&b);
    member_open(&a, &one, "real.static");
    member_open(&b, &two, "real.static");
    int64_t begin_ns = mill_clock_mono_ns();
    while ((a.owned_count != 1 || b.owned_count != 1) && seconds_since(begin_ns) < 30) {
        member_poll(&a, 10);
        member_poll(&b, 10);
    }
    assert_int_equal(a.owned_count, 1);
    assert_int_equal(b.owned_count, 1);
    unsigned revoked_before = a.revoked_count;
    int number = b.owned[0] != NULL ? 0 : 1;
    mill_consumer_close(b.consumer);
    member_init(&again);
    member_open(&again, &two, "real.static");
    begin_ns = mill_clock_mono_ns();
    while (again.owned_count != 1 && seconds_since(begin_ns) < 30) {
        member_poll(&a, 10);
        member_poll(&again, 10);
    }
    assert_non_null(again.owned[number]);
    assert_int_equal(a.revoked_count, revoked_before);

    struct member thief;
    member_init(&thief);
    member_open(&thief, &one, "real.static");
    int rc = 0;
    begin_ns = mill_clock_mono_ns();
    while (rc >= 0 && seconds_since(begin_ns) < 30) {
        rc = mill_consumer_poll(a.consumer, 10, &err);
        member_poll(&thief, 10);
        member_poll(&again, 10);
    }
    assert_int_equal(rc, MILL_EIO);
    assert_non_null(strstr(err.msg, "kafka client: "));
    mill_consumer_close(a.consumer);
    assert_int_equal(a.owned_count, 0);
    mill_consumer_close(thief.consumer);
    mill_consumer_close(again.consumer);
    fixture_close(&f);
}

static void control(const char *what)
{
    char command[512];
    assert_non_null(getenv("MILL_KAFKA_CONTROL"));
    snprintf(command, sizeof(command), "%s %s >/dev/null", getenv("MILL_KAFKA_CONTROL"), what);
    assert_int_equal(system(command), 0);
}

/* kill -9 of the broker between sends: what was sent meanwhile arrives once it is back, once and in order. */
static void test_broker_crash(void **state)
{
    struct mill_error err = {0};
    struct fixture f;
    struct member m;
    (void)state;

    open_group(&f, "real.crash", 2, NULL);
    fixture_produce(&f, "real.crash", 2, 0, 1000);
    member_init(&m);
    m.resume = true; /* the group may lose us while its coordinator is away */
    member_open(&m, &f.options, "real.crash");
    member_poll_until(&m, 2000);
    control("kill");
    unsigned topic = mill_producer_topic(f.producer, "real.crash");
    for (int n = 1000; n < 2000; n++) {
        for (int p = 0; p < 2; p++) {
            char text[32];
            struct mill_slice key = {NULL, 0};
            struct mill_slice value = {text, (size_t)snprintf(text, sizeof(text), "p%d-%d", p, n)};
            check(mill_producer_send(f.producer, topic, p, key, value, NULL, 0,
                                     INT64_C(1700000000000000) + n * INT64_C(1000), &err),
                  &err);
        }
    }
    member_poll_while(&m, mill_consumer_is_connected(m.consumer));
    check(mill_producer_poll(f.producer, 500, &err), &err);
    assert_true(mill_producer_outstanding(f.producer) >= 2000);
    control("start");
    fixture_flush(&f);
    member_poll_until(&m, 4000);
    member_poll_while(&m, !mill_consumer_is_connected(m.consumer));
    assert_int_equal(f.failure_count, 0);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

static int compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* From send to fetch with nothing else to do. The bound is loose, the figures are printed. */
static void test_latency(void **state)
{
    enum { COUNT = 2000 };
    static double ms[COUNT];
    struct mill_error err = {0};
    struct mill_record record;
    struct fixture f;
    struct member m;
    (void)state;

    open_group(&f, "real.latency", 1, NULL);
    member_init(&m);
    member_open(&m, &f.options, "real.latency");
    member_poll_while(&m, m.owned[0] == NULL || !mill_partition_is_at_end(m.owned[0]));
    unsigned topic = mill_producer_topic(f.producer, "real.latency");
    for (int n = 0; n < COUNT; n++) {
        int64_t sent_ns = mill_clock_mono_ns();
        check(mill_producer_send(f.producer, topic, 0, mill_slice_of("k"), mill_slice_of("v"), NULL, 0, -1, &err),
              &err);
        uint32_t got = 0;
        while (got == 0 && seconds_since(sent_ns) < 10) {
            check(mill_consumer_poll(m.consumer, 1000, &err), &err);
            got = mill_partition_fetch(m.owned[0], &record, 1);
        }
        assert_int_equal(got, 1);
        assert_int_equal(record.offset, n);
        mill_partition_release(m.owned[0], &record, 1);
        ms[n] = seconds_since(sent_ns) * 1e3;
    }
    qsort(ms, COUNT, sizeof(ms[0]), compare_doubles);
    print_message("send to fetch: p50 %.2f ms, p99 %.2f ms, max %.2f ms\n", ms[COUNT / 2], ms[COUNT * 99 / 100],
                  ms[COUNT - 1]);
    assert_true(ms[COUNT / 2] < 50);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_topics),     cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_rebalances), cmocka_unit_test(test_static_membership),
        cmocka_unit_test(test_latency),    cmocka_unit_test(test_broker_crash),
    };
    brokers = getenv("MILL_KAFKA_BROKERS");
    if (brokers == NULL) {
        printf("skipped: needs a broker in MILL_KAFKA_BROKERS (tests/integration/test_kafka_client.sh starts one)\n");
        return 77;
    }
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
