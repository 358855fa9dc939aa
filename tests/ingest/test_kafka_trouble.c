/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka consumer while the broker is away, refuses, or the caller does; against librdkafka's mock broker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>

#include "base/clock.h"
#include "tests/ingest/kafka_fixture.h"

enum { API_FETCH = 1, API_OFFSET_FETCH = 9 };

static double seconds_since(int64_t begin_ns)
{
    return (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
}

static void test_broker_down_and_up(void **state)
{
    struct fixture f;
    struct member m;
    (void)state;

    fixture_open(&f, "in", 1, NULL);
    fixture_produce(&f, "in", 1, 0, 100);
    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0);
    member_init(&m);
    m.resume = true;
    member_open(&m, &f.options, "in"); /* down at the start: waited for */
    int64_t begin_ns = mill_clock_mono_ns();
    while (seconds_since(begin_ns) < 1.5) {
        member_poll(&m, 100);
        assert_false(mill_consumer_is_connected(m.consumer));
    }
    assert_int_equal(mill__mock_kafka_set_up(f.mock, true), 0);
    member_poll_until(&m, 100);
    member_poll_while(&m, !mill_consumer_is_connected(m.consumer));

    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0); /* and midway */
    member_poll_while(&m, mill_consumer_is_connected(m.consumer));
    assert_true(atomic_load(&f.log_lines) > 0);
    assert_int_equal(mill__mock_kafka_set_up(f.mock, true), 0);
    fixture_produce(&f, "in", 1, 100, 100);
    member_poll_until(&m, 200);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

/* Closing must not wait for a broker that is not there. */
static void test_close_while_down(void **state)
{
    struct fixture f;
    struct member m;
    (void)state;

    fixture_open(&f, "in", 1, NULL);
    fixture_produce(&f, "in", 1, 0, 10);
    member_init(&m);
    member_open(&m, &f.options, "in");
    member_poll_until(&m, 10);
    assert_int_equal(mill__mock_kafka_set_up(f.mock, false), 0);
    int64_t begin_ns = mill_clock_mono_ns();
    mill_consumer_close(m.consumer);
    assert_true(seconds_since(begin_ns) < 12);
    assert_int_equal(m.revoked_count, 1);
    fixture_close(&f);
}

static void test_refusal_and_retries(void **state)
{
    struct fixture f;
    struct member m, refusing;
    struct mill_kafka_options other;
    struct mill_error err = {0};
    (void)state;

    fixture_open(&f, "in", 2, NULL);
    fixture_produce(&f, "in", 2, 0, 100);
    /* The group's offsets cannot be had at first: no fetching from a guessed place, and no failure. */
    mill__mock_kafka_fail_requests(f.mock, API_OFFSET_FETCH, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, 5);
    mill__mock_kafka_fail_requests(f.mock, API_FETCH, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, 2);
    other = f.options;
    other.group = "other";
    member_init(&refusing);
    refusing.refuse = MILL_EUNAVAIL;
    refusing.start[0] = 0;
    member_open(&refusing, &other, "in");
    member_init(&m);
    member_open(&m, &f.options, "in");
    member_poll_until(&m, 200);

    int rc = 0;
    int64_t begin_ns = mill_clock_mono_ns();
    while (rc == 0 && seconds_since(begin_ns) < 20) {
        rc = mill_consumer_poll(refusing.consumer, 100, &err);
    }
    assert_int_equal(rc, MILL_EUNAVAIL);
    assert_string_equal(err.msg, "not now");
    mill_consumer_close(refusing.consumer);
    assert_int_equal(refusing.revoked_count, 0);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_broker_down_and_up),
        cmocka_unit_test(test_close_while_down),
        cmocka_unit_test(test_refusal_and_retries),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
