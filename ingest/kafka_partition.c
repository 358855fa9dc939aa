/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One topic partition that a consumer owns: its own fetch queue, so that a shard can take from the input whose event
 * time is due. Made and freed by kafka_consumer.c at rebalances; fetched from by the engine's shard thread.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/clock.h"
#include "ingest/kafka_internal.h"

struct mill_partition *mill__partition_new(struct mill_consumer *consumer, const char *topic_name, unsigned topic,
                                           int32_t number)
{
    struct mill_partition *partition = mill_calloc(1, sizeof(*partition));
    partition->consumer = consumer;
    partition->topic_name = mill_strdup(topic_name);
    partition->topic = topic;
    partition->number = number;
    partition->start_offset = -1;
    partition->last_offset = -1;
    return partition;
}

void mill__partition_free(struct mill_partition *partition)
{
    if (partition == NULL) {
        return;
    }
    if (partition->queue != NULL) {
        rd_kafka_queue_io_event_enable(partition->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(partition->queue);
    }
    free(partition->topic_name);
    free(partition);
}

void mill__partition_attach(struct mill_partition *partition)
{
    static const uint64_t one = 1;
    mill_assert(partition->queue == NULL);
    partition->queue = rd_kafka_queue_get_partition(partition->consumer->rk, partition->topic_name, partition->number);
    mill_assert(partition->queue != NULL);
    rd_kafka_queue_forward(partition->queue, NULL);
    rd_kafka_queue_io_event_enable(partition->queue, partition->consumer->event_fd, &one, sizeof(one));
}

bool mill__partition_is_ready(const struct mill_partition *partition)
{
    return partition->queue != NULL && !partition->paused && rd_kafka_queue_length(partition->queue) > 0;
}

/* An error in place of a message. Those that mean lost events end the consumer: nothing is skipped silently. */
static void take_error(struct mill_partition *partition, const rd_kafka_message_t *message)
{
    struct mill_consumer *consumer = partition->consumer;
    const char *text = rd_kafka_message_errstr(message);

    switch ((int)message->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        partition->at_end = true;
        partition->eof_offset = message->offset;
        partition->is_stalled = false;
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
        if (consumer->client.fatal.code == 0) {
            mill_fail(&consumer->client.fatal, MILL_EDATA,
                      "partition %" PRId32 " of topic '%s': the broker has no offset %" PRId64
                      " (retention passed it, or the topic was made anew): %s",
                      partition->number, partition->topic_name, partition->last_offset + 1, text);
        }
        return;
    case RD_KAFKA_RESP_ERR__BAD_MSG:
    case RD_KAFKA_RESP_ERR__BAD_COMPRESSION:
    case RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED:
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
        if (consumer->client.fatal.code == 0) {
            mill_fail(&consumer->client.fatal, MILL_EDATA,
                      "partition %" PRId32 " of topic '%s': cannot read past offset %" PRId64 ": %s", partition->number,
                      partition->topic_name, partition->last_offset, text);
        }
        return;
    default:
        mill__kafka_log(&consumer->client, LOG_WARNING, "partition %" PRId32 " of topic '%s': %s", partition->number,
                        partition->topic_name, text);
        return;
    }
}

static struct mill_slice schema_id_of(const rd_kafka_message_t *message)
{
    struct mill_slice value = {NULL, 0};
    rd_kafka_headers_t *headers;
    const void *p;
    size_t n;

    /* Messages without headers, nearly all, are told from a length; others are parsed by librdkafka here. */
    if (rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        rd_kafka_header_get_last(headers, "__value_schema_id", &p, &n) == RD_KAFKA_RESP_ERR_NO_ERROR && p != NULL) {
        value.p = p;
        value.n = n;
    }
    return value;
}

/* False where the message was not for us and is gone. */
static bool take(struct mill_partition *partition, rd_kafka_message_t *message, struct mill_record *ret_record)
{
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        take_error(partition, message);
        rd_kafka_message_destroy(message);
        return false;
    }
    /* A broker answers with whole record batches, and librdkafka may fetch again from an older position: both can
     * bring what is known already. */
    if (message->offset <= partition->last_offset) {
        rd_kafka_message_destroy(message);
        return false;
    }
    mill__kafka_record_of(message, ret_record);
    partition->last_offset = message->offset;
    partition->at_end = false;
    int64_t above_mean = (int64_t)(message->len + message->key_len) - partition->size_mean;
    partition->size_mean = (uint32_t)(partition->size_mean + above_mean / 16);
    return true;
}

void mill__kafka_record_of(struct rd_kafka_message_s *message, struct mill_record *ret_record)
{
    int64_t timestamp_ms = rd_kafka_message_timestamp(message, NULL);
    *ret_record = (struct mill_record){
        .key = {message->key, message->key_len},
        .value = {message->payload, message->len},
        .schema_id = schema_id_of(message),
        .offset = message->offset,
        .broker_time_us = timestamp_ms < 0 || timestamp_ms > INT64_MAX / 1000 ? -1 : timestamp_ms * 1000,
        .handle = message,
    };
}

/* The number of messages at which librdkafka finds the partition's queue full. */
static uint32_t full_length(const struct mill_partition *partition)
{
    const struct mill_consumer *consumer = partition->consumer;
    uint64_t by_bytes = consumer->queue_bytes_max / (partition->size_mean + 1) + 1;
    return by_bytes < consumer->queue_messages_max ? (uint32_t)by_bytes : consumer->queue_messages_max;
}

/* Any request to the partition's leader does it. Asking for the newest offset is the cheapest there is, and this call
 * does not wait for the answer where it is given no time (rd_kafka_query_watermark_offsets() would: behind a fetch that
 * waits at the broker, for all of fetch.wait.max.ms). */
static void wake_broker_thread(const struct mill_partition *partition)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic_name, partition->number)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_offsets_for_times(partition->consumer->rk, list, 0);
    rd_kafka_topic_partition_list_destroy(list);
}

/* librdkafka stops fetching a partition whose queue is full, and before 2.2 its broker thread then sleeps up to a
 * second unless something else wakes it: at full speed the queue is empty long before. So it is woken, but only after
 * the queue had been near full, and until it is seen to grow again (the first request may find no leader to go to). */
bool mill__partition_nudge(struct mill_partition *partition)
{
    enum { NUDGE_INTERVAL_NS = 5000000 };
    uint32_t full = full_length(partition);
    uint32_t queued = partition->queue == NULL ? 0 : (uint32_t)rd_kafka_queue_length(partition->queue);

    if (queued >= full / 2) {
        partition->is_stalled = true; /* or soon: the length at which librdkafka decides is seldom one that we see */
    } else if (queued > partition->queued) {
        partition->is_stalled = false;
    } else if (partition->is_stalled && queued < full / 4) {
        int64_t now_ns = mill_clock_mono_ns();
        if (now_ns - partition->nudged_ns >= NUDGE_INTERVAL_NS) {
            partition->nudged_ns = now_ns;
            wake_broker_thread(partition);
        }
    }
    partition->queued = queued;
    return partition->is_stalled && !partition->paused;
}

uint32_t mill_partition_fetch(struct mill_partition *partition, struct mill_record *records, uint32_t max)
{
    struct mill_consumer *consumer = partition->consumer;
    uint32_t count = 0;

    if (partition->queue == NULL || partition->paused) {
        return 0;
    }
    mill__partition_nudge(partition);
    while (count < max) {
        uint32_t want = max - count < MILL__KAFKA_FETCH_MAX ? max - count : MILL__KAFKA_FETCH_MAX;
        ssize_t n = rd_kafka_consume_batch_queue(partition->queue, 0, consumer->messages, want);
        if (n <= 0) {
            break;
        }
        for (ssize_t i = 0; i < n; i++) {
            count += take(partition, consumer->messages[i], &records[count]) ? 1 : 0;
        }
    }
    return count;
}

void mill_partition_release(struct mill_partition *partition, struct mill_record *records, uint32_t count)
{
    (void)partition; /* not touched: records may outlive their partition */
    for (uint32_t i = 0; i < count; i++) {
        if (records[i].handle != NULL) {
            rd_kafka_message_destroy(records[i].handle);
            records[i].handle = NULL;
        }
    }
}

bool mill_partition_is_at_end(const struct mill_partition *partition)
{
    return partition->at_end;
}

int64_t mill_partition_end_offset(const struct mill_partition *partition)
{
    int64_t low, high;
    if (rd_kafka_get_watermark_offsets(partition->consumer->rk, partition->topic_name, partition->number, &low,
                                       &high) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        high < 0) {
        return -1;
    }
    return high;
}

/* Not librdkafka's pause: that throws away what was fetched, and resuming may go back. A partition that is not taken
 * from fills its queue and is then not fetched either. */
void mill_partition_pause(struct mill_partition *partition, bool pause)
{
    partition->paused = pause;
}
