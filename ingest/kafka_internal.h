/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kafka_*.c files share: client options turned into a librdkafka configuration, the consumer and its
 * partitions. librdkafka's own headers are included by those .c files only; here its types are names.
 */
#ifndef MILL_INGEST_KAFKA_INTERNAL_H
#define MILL_INGEST_KAFKA_INTERNAL_H

#include <stdatomic.h>

#include "base/buffer.h"
#include "ingest/ingest.h"

struct rd_kafka_s;
struct rd_kafka_conf_s;
struct rd_kafka_message_s;
struct rd_kafka_queue_s;

/* Starts each of our client objects: what librdkafka's callbacks get as their opaque pointer. */
struct mill__kafka_client {
    void (*on_log)(void *context, int syslog_level, const char *text);
    void *log_context;
    atomic_bool connected;   /* some broker connection is up; kept by the statistics callback, about once a second */
    struct mill_error fatal; /* code 0: none. Written by the thread that polls */
};

enum mill__kafka_role { MILL__KAFKA_CONSUMER, MILL__KAFKA_PRODUCER, MILL__KAFKA_READER /* no group, no statistics */ };

/* A configuration with our defaults, then the user's pairs, then what the engine relies on. client becomes the opaque
 * pointer of all callbacks. */
int mill__kafka_conf_new(const struct mill_kafka_options *options, enum mill__kafka_role role,
                         struct mill__kafka_client *client, struct rd_kafka_conf_s **ret_conf, struct mill_error *err);
/* Creates the librdkafka handle; conf is consumed either way. */
int mill__kafka_open(enum mill__kafka_role role, struct rd_kafka_conf_s *conf, struct rd_kafka_s **ret_rk,
                     struct mill_error *err);
/* Sets one property whose name and value are ours: a refusal is a bug of this file, not of the user. */
void mill__kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value);
/* Passes a line of our own to the log callback. */
void mill__kafka_log(const struct mill__kafka_client *client, int syslog_level, const char *fmt, ...) MILL_PRINTF(3, 4);
/* Notes the error that ended a client, so that the next poll returns it. */
void mill__kafka_note_fatal(struct rd_kafka_s *rk, struct mill__kafka_client *client);
/* The code that an error of librdkafka means to a caller: is it worth waiting for? */
int mill__kafka_error_code(int resp_err);

struct mill_partition {
    struct mill_consumer *consumer;
    struct rd_kafka_queue_s *queue; /* NULL until fetching has been started */
    char *topic_name;
    void *user;
    int64_t start_offset; /* first offset to read; -1: the group's committed offset, else the earliest */
    int64_t last_offset;  /* newest offset handed out, or start - 1 */
    int64_t nudged_ns;    /* see mill__partition_nudge */
    unsigned topic;
    int32_t number;
    uint32_t size_mean; /* bytes of a message, about */
    uint32_t queued;    /* length of the queue at the last fetch */
    bool paused, at_end, is_stalled;
    int64_t eof_offset; /* where the end was when we came there */
};

enum { MILL__KAFKA_FETCH_MAX = 1024 }; /* messages taken from librdkafka at a time */

struct mill_consumer {
    struct mill__kafka_client client; /* first: see there */
    struct rd_kafka_s *rk;
    struct rd_kafka_queue_s *queue; /* rebalances, errors, statistics */
    struct mill_consumer_events events;
    char **topics;
    unsigned topic_count;
    struct mill_partition **partitions;
    unsigned partition_count;
    bool is_assigning; /* partitions came; the group's offsets are still being asked for */
    atomic_bool woken;
    int event_fd;
    int64_t rejoined_ns;         /* when it began anew after being fenced by itself; 0: never */
    uint32_t queue_messages_max; /* queued.min.messages and queued.max.messages.kbytes: librdkafka stops fetching a */
    uint64_t queue_bytes_max;    /* partition above either */
    struct rd_kafka_message_s *messages[MILL__KAFKA_FETCH_MAX];
};

/* kafka_hold.c: records that wait before librdkafka gets them. A zeroed struct is empty. */
struct mill__hold {
    struct mill_buffer bytes;
    size_t taken; /* bytes of records that are gone; their place is reused once all are */
    uint32_t count;
};

struct mill__held {
    uint32_t topic; /* handle of the producer */
    int32_t partition;
    struct mill_slice key, value;
};

void mill__hold_add(struct mill__hold *hold, const struct mill__held *record);
/* The oldest one, in memory of hold until the next add; false where there is none. */
bool mill__hold_first(struct mill__hold *hold, struct mill__held *ret_record);
/* The oldest one, as mill__hold_first returned it, goes. */
void mill__hold_drop(struct mill__hold *hold, const struct mill__held *record);
void mill__hold_clear(struct mill__hold *hold);

/* kafka_partition.c */
struct mill_partition *mill__partition_new(struct mill_consumer *consumer, const char *topic_name, unsigned topic,
                                           int32_t number);
void mill__partition_free(struct mill_partition *partition);
/* Routes the partition's messages into a queue of its own that signals the consumer's event descriptor. Before the
 * assignment: what is fetched earlier would go to the common queue. */
void mill__partition_attach(struct mill_partition *partition);
/* True where a fetch may find something. */
bool mill__partition_is_ready(const struct mill_partition *partition);

/* Keeps librdkafka fetching after the queue had been full. True while that is not seen to have worked: ask again in a
 * few milliseconds. */
bool mill__partition_nudge(struct mill_partition *partition);
/* A message (not an error) as a record whose bytes live as long as the message. */
void mill__kafka_record_of(struct rd_kafka_message_s *message, struct mill_record *ret_record);

/* Tests: the mock's only broker stops and starts answering. */
int mill__mock_kafka_set_up(struct mill_mock_kafka *mock, bool up);
/* Tests: the next count requests of a kind (librdkafka's ApiKey) fail with an error (a code of librdkafka). */
void mill__mock_kafka_fail_requests(struct mill_mock_kafka *mock, int16_t api_key, int resp_err, unsigned count);

#endif
