/* SPDX-License-Identifier: Apache-2.0 */
/* The Kafka consumer against librdkafka's mock broker: what comes out is what went in, once and in order, from where
 * it should start, through pauses and full queues. (The mock takes three seconds to form a group, so each test does
 * much with one.) */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "tests/ingest/kafka_fixture.h"

static double seconds_since(int64_t begin_ns)
{
    return (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
}

/* ---- one member: round trip, ends, pause, wake ---- */

static void check_ends(struct member *m, int partition_count, int64_t end)
{
    for (int i = 0; i < partition_count; i++) {
        member_poll_while(m, !mill_partition_is_at_end(m->owned[i]));
        assert_int_equal(mill_partition_end_offset(m->owned[i]), end);
        assert_int_equal(m->next[i], end);
    }
}

static void check_pause(struct fixture *f, struct member *m)
{
    uint64_t before = m->count;
    struct timespec cpu_begin, cpu_end;

    mill_partition_pause(m->owned[1], true);
    fixture_produce(f, "in", 4, 5010, 100);
    member_poll_until(m, before + 3 * 100);
    /* A paused partition with messages neither wakes the poll nor makes it spin. */
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_begin);
    int64_t begin_ns = mill_clock_mono_ns();
    struct mill_error err = {0};
    while (seconds_since(begin_ns) < 0.3) {
        int rc = mill_consumer_poll(m->consumer, 300, &err);
        check(rc, &err);
        if (rc > 0) { /* the ends of the others */
            member_poll(m, 0);
        }
    }
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &cpu_end);
    double cpu = (double)(cpu_end.tv_sec - cpu_begin.tv_sec) + (double)(cpu_end.tv_nsec - cpu_begin.tv_nsec) / 1e9;
    assert_true(cpu < 0.1);
    assert_int_equal(m->count, before + 3 * 100);
    mill_partition_pause(m->owned[1], false);
    member_poll_until(m, before + 4 * 100);
}

static void *wake_later(void *consumer)
{
    const struct timespec pause = {0, 100000000};
    nanosleep(&pause, NULL);
    mill_consumer_wake(consumer);
    return NULL;
}

static void check_wake(struct member *m)
{
    struct mill_error err = {0};
    pthread_t thread;

    mill_consumer_wake(m->consumer); /* before the poll counts too, once */
    int64_t begin_ns = mill_clock_mono_ns();
    assert_int_equal(mill_consumer_poll(m->consumer, 10000, &err), 0);
    assert_true(seconds_since(begin_ns) < 5);
    assert_int_equal(pthread_create(&thread, NULL, wake_later, m->consumer), 0);
    begin_ns = mill_clock_mono_ns();
    assert_int_equal(mill_consumer_poll(m->consumer, 10000, &err), 0);
    double waited = seconds_since(begin_ns);
    assert_true(waited > 0.05 && waited < 5);
    pthread_join(thread, NULL);
    begin_ns = mill_clock_mono_ns();
    assert_int_equal(mill_consumer_poll(m->consumer, 50, &err), 0);
    assert_true(seconds_since(begin_ns) > 0.045);
}

/* Whoever is assigned a partition may try, fail, and succeed: what the first try wrote is no fatal error. */
static void test_assigned_at_the_second_try(void **state)
{
    struct fixture f;
    struct member m;
    (void)state;

    fixture_open(&f, "in", 2, NULL);
    fixture_produce(&f, "in", 2, 0, 100);
    member_init(&m);
    m.stumble = true;
    member_open(&m, &f.options, "in");
    member_poll_until(&m, 2 * 100);
    assert_int_equal(m.assigned_count, 2);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

static void test_round_trip(void **state)
{
    struct fixture f;
    struct member m;
    (void)state;

    fixture_open(&f, "in", 4, NULL);
    fixture_produce(&f, "in", 4, 0, 5000);
    member_init(&m);
    member_open(&m, &f.options, "in");
    assert_false(mill_consumer_is_connected(m.consumer));
    member_poll_until(&m, 4 * 5000);
    assert_int_equal(m.assigned_count, 4);
    check_ends(&m, 4, 5000);
    member_poll_while(&m, !mill_consumer_is_connected(m.consumer));

    fixture_produce(&f, "in", 4, 5000, 10); /* the end is not at 5000 any more */
    member_poll_until(&m, 4 * 5010);
    check_ends(&m, 4, 5010);
    check_pause(&f, &m);
    check_ends(&m, 4, 5110);
    check_wake(&m);
    mill_consumer_close(m.consumer);
    assert_int_equal(m.revoked_count, 4);
    assert_int_equal(m.lost_count, 0);
    assert_int_equal(f.failure_count, 0);
    fixture_close(&f);
}

/* ---- records that outlive their partition; where to start; offsets that are gone ---- */

static void test_start_offsets(void **state)
{
    struct fixture f;
    struct member m, beyond;
    struct mill_kafka_options other;
    struct mill_error err = {0};
    (void)state;

    fixture_open(&f, "in", 2, NULL);
    fixture_produce(&f, "in", 2, 0, 3000);
    other = f.options;
    other.group = "other";
    member_init(&beyond);
    beyond.start[0] = 4000; /* the broker has 0..2999 */
    member_open(&beyond, &other, "in");
    member_init(&m);
    m.start[0] = 1234; /* in the middle of a record batch */
    m.start[1] = 3000; /* nothing yet */
    member_open(&m, &f.options, "in");
    member_poll_until(&m, 3000 - 1234);
    fixture_produce(&f, "in", 2, 3000, 1);
    member_poll_until(&m, 3000 - 1234 + 2);

    int rc = 0;
    int64_t begin_ns = mill_clock_mono_ns();
    while (rc >= 0 && seconds_since(begin_ns) < 20) {
        struct mill_record records[16];
        rc = mill_consumer_poll(beyond.consumer, 100, &err);
        if (rc > 0 && beyond.owned[0] != NULL) {
            assert_int_equal(mill_partition_fetch(beyond.owned[0], records, 16), 0);
        }
        if (rc > 0 && beyond.owned[1] != NULL) { /* the other partition works, and its records outlive it */
            mill_partition_release(beyond.owned[1], records, mill_partition_fetch(beyond.owned[1], records, 16));
        }
    }
    assert_int_equal(rc, MILL_EDATA);
    assert_non_null(strstr(err.msg, "partition 0 of topic 'in': the broker has no offset 4000"));
    assert_int_equal(mill_consumer_poll(beyond.consumer, 0, NULL), MILL_EDATA); /* it stays */
    mill_consumer_close(beyond.consumer);
    assert_int_equal(beyond.owned_count, 0);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

/* A full prefetch queue must not cost librdkafka's second of sleep each time. */
static void check_full_queue(const char *const *pairs, int count, int pad)
{
    struct fixture f;
    struct member m;

    fixture_open(&f, "in", 1, pairs);
    f.pad = pad;
    fixture_produce(&f, "in", 1, 0, count);
    member_init(&m);
    m.pad = pad;
    member_open(&m, &f.options, "in");
    member_poll_while(&m, m.count == 0);
    int64_t begin_ns = mill_clock_mono_ns();
    member_poll_until(&m, (uint64_t)count);
    double seconds = seconds_since(begin_ns);
    print_message("%d messages of %d bytes through a queue of %s %s in %.2f s\n", count, pad, pairs[1], pairs[0],
                  seconds);
    assert_true(seconds < 20);
    mill_consumer_close(m.consumer);
    fixture_close(&f);
}

static void test_queue_full_of_messages(void **state)
{
    static const char *const pairs[] = {"queued.min.messages", "1000", "batch.num.messages", "1000", NULL};
    (void)state;
    check_full_queue(pairs, 100000, 10); /* about 100 s without the wake-ups */
}

static void test_queue_full_of_bytes(void **state)
{
    static const char *const pairs[] = {"queued.max.messages.kbytes", "64", "batch.num.messages", "100", NULL};
    (void)state;
    check_full_queue(pairs, 4000, 1000); /* about 40 s */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_assigned_at_the_second_try),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_start_offsets),
        cmocka_unit_test(test_queue_full_of_messages),
        cmocka_unit_test(test_queue_full_of_bytes),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
