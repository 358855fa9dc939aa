/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What tests of the whole engine share: a directory, librdkafka's mock broker, a project file that may name
 * ${SHOP_BROKERS} and ${SHOP_STATE}, records in and out. Every call asserts that it worked.
 */
#ifndef MILL_TESTS_STREAM_FIXTURE_H
#define MILL_TESTS_STREAM_FIXTURE_H

#include "engine/engine.h"

struct stream {
    char dir[64], project_file[96];
    struct mill_mock_kafka *mock;
    struct mill_kafka_options kafka;
    struct mill_producer *producer;
};

/* topics: NULL-terminated, of `partitions` each. */
struct stream *stream_open(const char *const *topics, int32_t partitions);
void stream_close(struct stream *s);
void stream_create_topic(struct stream *s, const char *topic, int32_t partitions);
void stream_write_project(struct stream *s, const char *text);
/* ${SHOP_MODEL}: the bench's model with two inputs by other names, amount_half and amount_double, that can be of views
 * of later stages: they do not depend on the order in which events of several partitions arrive there, which an
 * aggregate would. */
void stream_write_model(const struct stream *s);
/* partition -1: by the key. */
void stream_send(struct stream *s, const char *topic, int32_t partition, const char *key, const char *text);
/* Waits until everything sent is acknowledged. */
void stream_sync(struct stream *s);
/* An engine over what is in the topics now, until the end. */
int stream_run(struct stream *s, struct mill_engine_summary *ret_summary, struct mill_error *err);
/* Calls each() for every record that the topic has. */
void stream_read(struct stream *s, const char *topic,
                 void (*each)(void *context, int32_t partition, const struct mill_record *record), void *context);
/* Records of the topic, and how many of them contain the text. */
int64_t stream_count(struct stream *s, const char *topic, const char *text, int64_t *ret_matching);

#endif
