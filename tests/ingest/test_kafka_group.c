/* SPDX-License-Identifier: Apache-2.0 */
/* Members of a consumer group that come and go, against librdkafka's mock broker: each message is seen once, and what
 * was stored is where the next one starts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "tests/ingest/kafka_fixture.h"

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

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rebalance),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
