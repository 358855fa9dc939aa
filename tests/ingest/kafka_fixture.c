/* SPDX-License-Identifier: Apache-2.0 */
/* See kafka_fixture.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/ingest/kafka_fixture.h"

enum { TEXT_MAX = 2048 };

void check(int rc, const struct mill_error *err)
{
    if (rc < 0) {
        fail_msg("%d: %s", rc, err->msg);
    }
}

static void count_log(void *context, int syslog_level, const char *text)
{
    struct fixture *f = context;
    if (getenv("MILL_TEST_LOG") != NULL) {
        print_message("log %d: %s\n", syslog_level, text);
    }
    atomic_fetch_add(&f->log_lines, 1);
}

static void note_failure(void *context, const char *topic, struct mill_slice value, const char *why)
{
    struct fixture *f = context;
    f->failure_count++;
    f->failure_size = value.n;
    snprintf(f->failure_topic, sizeof(f->failure_topic), "%s", topic);
    snprintf(f->failure_why, sizeof(f->failure_why), "%s", why);
}

static void open_producer(struct fixture *f, const char *brokers, const char *const *pairs)
{
    struct mill_error err = {0};
    f->options = (struct mill_kafka_options){
        .brokers = brokers, .group = "g", .client_id = "test", .librdkafka = pairs, .on_log = count_log, .context = f};
    check(mill_producer_open(&f->options, note_failure, f, &f->producer, &err), &err);
}

void fixture_open(struct fixture *f, const char *topic, int32_t partition_count, const char *const *pairs)
{
    struct mill_error err = {0};
    memset(f, 0, sizeof(*f));
    check(mill_mock_kafka_open(&f->mock, &err), &err);
    check(mill_mock_kafka_create_topic(f->mock, topic, partition_count, &err), &err);
    open_producer(f, mill_mock_kafka_brokers(f->mock), pairs);
}

void fixture_open_at(struct fixture *f, const char *brokers, const char *topic, int32_t partition_count,
                     const char *const *pairs)
{
    struct mill_error err = {0};
    memset(f, 0, sizeof(*f));
    open_producer(f, brokers, pairs);
    check(mill_kafka_create_topic(&f->options, topic, partition_count, NULL, TIMEOUT_MS, &err), &err);
}

void fixture_close(struct fixture *f)
{
    mill_producer_close(f->producer, 1000);
    mill_mock_kafka_close(f->mock);
}

void fixture_flush(struct fixture *f)
{
    struct mill_error err = {0};
    check(mill_producer_flush(f->producer, TIMEOUT_MS, &err), &err);
    assert_int_equal(mill_producer_outstanding(f->producer), 0);
}

void fixture_produce(struct fixture *f, const char *topic, int partition_count, int first, int count)
{
    const struct mill_slice no_key = {NULL, 0};
    struct mill_error err = {0};
    unsigned handle = mill_producer_topic(f->producer, topic);

    for (int n = first; n < first + count; n++) {
        for (int p = 0; p < partition_count; p++) {
            char text[TEXT_MAX];
            struct mill_slice value = {text, (size_t)snprintf(text, sizeof(text), "p%d-%-*d", p, f->pad, n)};
            int64_t time_us = INT64_C(1700000000000000) + n * INT64_C(1000);
            int rc;
            while ((rc = mill_producer_send(f->producer, handle, p, no_key, value, NULL, 0, time_us, &err)) ==
                   MILL_ERETRY) {
                check(mill_producer_poll(f->producer, 100, &err), &err);
            }
            check(rc, &err);
        }
    }
    fixture_flush(f);
}

/* ---- members ---- */

void member_init(struct member *m)
{
    memset(m, 0, sizeof(*m));
    m->next = m->own_next;
    for (int i = 0; i < PARTITION_MAX; i++) {
        m->start[i] = -1;
    }
}

static int on_assigned(void *context, struct mill_partition *partition, unsigned topic, int32_t number,
                       int64_t *ret_offset, void **ret_user, struct mill_error *err)
{
    struct member *m = context;
    assert_int_equal(topic, 0);
    assert_in_range(number, 0, PARTITION_MAX - 1);
    assert_null(m->owned[number]);
    if (m->refuse < 0) {
        return mill_fail(err, m->refuse, "not now");
    }
    if (m->stumble) {
        (void)mill_fail(err, MILL_EUNAVAIL, "tried again");
    }
    m->owned[number] = partition;
    m->assigned_count++;
    m->owned_count++;
    *ret_offset = m->resume ? m->next[number] : m->start[number];
    if (!m->resume && m->start[number] >= 0) {
        m->next[number] = m->start[number];
    }
    *ret_user = &m->owned[number];
    return 0;
}

static void on_revoked(void *context, struct mill_partition *partition, void *user, bool lost)
{
    struct member *m = context;
    struct mill_partition **slot = user;
    assert_ptr_equal(*slot, partition);
    if (m->commit_on_revoke) {
        mill_consumer_commit(m->consumer, partition, m->next[slot - m->owned]);
    }
    *slot = NULL;
    m->revoked_count++;
    m->owned_count--;
    m->lost_count += lost;
}

void member_open(struct member *m, const struct mill_kafka_options *options, const char *topic)
{
    const struct mill_consumer_events events = {m, on_assigned, on_revoked};
    struct mill_error err = {0};
    check(mill_consumer_open(options, &topic, 1, &events, &m->consumer, &err), &err);
}

static void check_record(struct member *m, int number, const struct mill_record *record)
{
    char text[TEXT_MAX];
    int n = snprintf(text, sizeof(text), "p%d-%-*" PRId64, number, m->pad, record->offset);
    assert_int_equal(record->offset, m->next[number]);
    assert_int_equal(record->value.n, n);
    assert_memory_equal(record->value.p, text, n);
    assert_null(record->key.p);
    assert_null(record->schema_id.p);
    assert_int_equal(record->broker_time_us, INT64_C(1700000000000000) + record->offset * 1000);
    m->next[number] = record->offset + 1;
    m->count++;
}

void member_poll(struct member *m, int timeout_ms)
{
    struct mill_record records[700];
    struct mill_error err = {0};

    check(mill_consumer_poll(m->consumer, timeout_ms, &err), &err);
    for (int i = 0; i < PARTITION_MAX; i++) {
        if (m->owned[i] != NULL) {
            uint32_t n = mill_partition_fetch(m->owned[i], records, 700);
            for (uint32_t r = 0; r < n; r++) {
                check_record(m, i, &records[r]);
            }
            mill_partition_release(m->owned[i], records, n);
        }
    }
}

void member_poll_until(struct member *m, uint64_t count)
{
    member_poll_while(m, m->count < count);
    assert_int_equal(m->count, count);
}
