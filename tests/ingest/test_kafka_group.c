/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a consumer group that come and go, against librdkafka's mock broker: each message is seen once, and what
 * was stored is where the next one starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>
#include <string.h>

#include "base/clock.h"
#include "tests/ingest/kafka_fixture.h"

enum { API_OFFSET_COMMIT = 8 };

static void commit_all(struct member *m)
{
    for (int p = 0; p < PARTITION_MAX; p++) {
        if (m->owned[p] != NULL) {
            mill_consumer_commit(m->consumer, m->owned[p], m->next[p]);
        }
    }
}

static void test_rebalance(void **state)
{
    static const char *const pairs[] = {"heartbeat.interval.ms", "100", "session.timeout.ms", "4000", NULL};
    struct fixture f;
    struct member a, b;
    struct mill_error err = {0};
    int64_t offset;
    (void)state;

    fixture_open(&f, "in", 4, pairs);
    fixture_produce(&f, "in", 4, 0, 1000);
    member_init(&a);
    member_init(&b);
    a.commit_on_revoke = b.commit_on_revoke = true;
    b.next = a.next; /* each message is seen by one of them, once */
    member_open(&a, &f.options, "in");
    member_poll_until(&a, 4 * 1000);
    commit_all(&a); /* here, since the mock refuses what is stored during a rebalance; Kafka does not */
    member_open(&b, &f.options, "in");
    int64_t deadline_ns = mill_clock_mono_ns() + TIMEOUT_MS * INT64_C(1000000);
    while ((a.owned_count != 2 || b.owned_count != 2) && mill_clock_mono_ns() < deadline_ns) {
        member_poll(&a, 20);
        member_poll(&b, 20);
    }
    assert_int_equal(a.owned_count, 2);
    assert_int_equal(b.owned_count, 2);
    assert_int_equal(a.lost_count + b.lost_count, 0);
    fixture_produce(&f, "in", 4, 1000, 500);
    while (a.count + b.count < 4 * 1500 && mill_clock_mono_ns() < deadline_ns) {
        member_poll(&a, 20);
        member_poll(&b, 20);
    }
    assert_int_equal(a.count, 4 * 1000 + 2 * 500);
    assert_int_equal(b.count, 2 * 500);
    commit_all(&a);
    commit_all(&b);

    /* The last one gets all of them, from where the other stopped: what it stored on leaving was stored. */
    mill_consumer_close(a.consumer);
    member_poll_while(&b, b.owned_count != 4);
    fixture_produce(&f, "in", 4, 1500, 100);
    member_poll_until(&b, 2 * 500 + 4 * 100);
    commit_all(&b); /* still under way when the group is left */
    mill_consumer_close(b.consumer);
    for (int p = 0; p < 4; p++) {
        check(mill_kafka_committed(&f.options, "in", p, TIMEOUT_MS, &offset, &err), &err);
        assert_int_equal(offset, 1600);
    }
    fixture_close(&f);
}

/* A commit that is answered with "fenced" although nobody else has our name, as after a broker that was silent for a
 * session time-out: the member joins again and goes on. Twice within a minute it is believed. */
static void test_fenced_by_itself(void **state)
{
    static const char *const pairs[] = {"group.instance.id", "me", "heartbeat.interval.ms", "100", NULL};
    struct fixture f;
    struct member m;
    struct mill_error err = {0};
    int rc = 0;
    (void)state;

    fixture_open(&f, "in", 2, pairs);
    fixture_produce(&f, "in", 2, 0, 100);
    member_init(&m);
    m.resume = true;
    member_open(&m, &f.options, "in");
    member_poll_until(&m, 2 * 100);
    mill__mock_kafka_fail_requests(f.mock, API_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 1);
    mill_consumer_commit(m.consumer, m.owned[0], m.next[0]);
    member_poll_while(&m, m.assigned_count < 4);
    assert_int_equal(m.lost_count, 2);
    assert_int_equal(m.owned_count, 2);
    fixture_produce(&f, "in", 2, 100, 50);
    member_poll_until(&m, 2 * 150);
    commit_all(&m);

    mill__mock_kafka_fail_requests(f.mock, API_OFFSET_COMMIT, RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, 2);
    commit_all(&m);
    int64_t deadline_ns = mill_clock_mono_ns() + TIMEOUT_MS * INT64_C(1000000);
    while (rc >= 0 && mill_clock_mono_ns() < deadline_ns) {
        rc = mill_consumer_poll(m.consumer, 50, &err);
    }
    assert_int_equal(rc, MILL_EIO);
    assert_non_null(strstr(err.msg, "fenced"));
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rebalance),
        cmocka_unit_test(test_fenced_by_itself),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
