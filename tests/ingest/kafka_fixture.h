/* SPDX-License-Identifier: Apache-2.0 */
/* A broker (the mock, or a real one), a producer and consumers that know what they must see; for the tests of the Kafka
 * client. Include cmocka.h first. */
#ifndef MILL_TEST_KAFKA_FIXTURE_H
#define MILL_TEST_KAFKA_FIXTURE_H

#include <stdatomic.h>

#include "ingest/kafka_internal.h"

enum { PARTITION_MAX = 8, TIMEOUT_MS = 30000 };

struct fixture {
    struct mill_mock_kafka *mock;
    struct mill_producer *producer;
    struct mill_kafka_options options;
    atomic_uint log_lines;
    int pad;                /* values are filled up with blanks to this length */
    unsigned failure_count; /* calls of on_failure */
    size_t failure_size;
    char failure_topic[64], failure_why[128];
};

/* A mock broker with one topic and a producer; pairs: librdkafka options or NULL. */
void fixture_open(struct fixture *f, const char *topic, int32_t partition_count, const char *const *pairs);
/* The same with a running cluster. */
void fixture_open_at(struct fixture *f, const char *brokers, const char *topic, int32_t partition_count,
                     const char *const *pairs);
void fixture_close(struct fixture *f);
/* Messages first..first+count-1 to each partition; the n-th is "p<partition>-<n>" and lands at offset n where the
 * topic holds nothing else. */
void fixture_produce(struct fixture *f, const char *topic, int partition_count, int first, int count);
void fixture_flush(struct fixture *f);

/* A member of a group, with the checks of one topic. */
struct member {
    struct mill_consumer *consumer;
    struct mill_partition *owned[PARTITION_MAX];
    int64_t start[PARTITION_MAX]; /* answer to `assigned`; -1: the group's */
    int64_t *next;                /* expected next offset per partition; members of a group share it */
    int64_t own_next[PARTITION_MAX];
    uint64_t count;
    int pad; /* as the fixture's */
    unsigned assigned_count, revoked_count, lost_count, owned_count;
    bool commit_on_revoke, resume; /* resume: `assigned` answers what is expected next, as the engine does */
    int refuse;                    /* what `assigned` returns */
    bool stumble;                  /* `assigned` fails inside and goes on: its error is filled, and it returns 0 */
};

/* m is zeroed or has start and the flags set by member_init. */
void member_init(struct member *m);
void member_open(struct member *m, const struct mill_kafka_options *options, const char *topic);
/* One poll and one fetch of everything; fails the test on an error. */
void member_poll(struct member *m, int timeout_ms);
void member_poll_until(struct member *m, uint64_t count);
/* Polls until the condition holds; fails the test after TIMEOUT_MS. */
#define member_poll_while(m, condition)                                                                                \
    do {                                                                                                               \
        int64_t deadline_ns_ = mill_clock_mono_ns() + TIMEOUT_MS * INT64_C(1000000);                                   \
        while (condition) {                                                                                            \
            assert_true(mill_clock_mono_ns() < deadline_ns_);                                                          \
            member_poll((m), 50);                                                                                      \
        }                                                                                                              \
    } while (0)

/* Fails the test with the error's text where rc is negative. */
void check(int rc, const struct mill_error *err);

#endif
