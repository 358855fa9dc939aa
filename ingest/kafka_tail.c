/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reader of a whole topic without a group: for tap, tests and benches. From the end means: from the end offsets as
 * they were during mill_tail_open, so that nothing sent afterwards is missed. A broker that dropped records before
 * they were read shows as a gap in the offsets, not as an error.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <syslog.h>

#include "ingest/kafka_internal.h"

enum { OPEN_TIMEOUT_MS = 10000 };

struct mill_tail {
    struct mill__kafka_client client; /* first: see there */
    rd_kafka_t *rk;
    rd_kafka_queue_t *queue;
    rd_kafka_message_t *messages[MILL__KAFKA_FETCH_MAX];
    uint32_t message_count; /* handed out by the last call */
};

static int start_offset(struct mill_kafka_admin *admin, const char *topic, int32_t partition, bool from_beginning,
                        int64_t *ret_offset, struct mill_error *err)
{
    int64_t low;
    if (from_beginning) {
        *ret_offset = RD_KAFKA_OFFSET_BEGINNING;
        return 0;
    }
    return mill_kafka_admin_watermarks(admin, topic, partition, OPEN_TIMEOUT_MS, &low, ret_offset, err);
}

/* All partitions of the topic with the offset to start at. */
static int start_list(const struct mill_kafka_options *options, const char *topic, bool from_beginning,
                      rd_kafka_topic_partition_list_t *list, struct mill_error *err)
{
    struct mill_kafka_admin *admin;
    int32_t count = 0;

    MILL_TRY(mill_kafka_admin_open(options, &admin, err));
    int rc = mill_kafka_admin_partition_count(admin, topic, OPEN_TIMEOUT_MS, &count, err);
    for (int32_t i = 0; i < count && rc == 0; i++) {
        rc = start_offset(admin, topic, i, from_beginning, &rd_kafka_topic_partition_list_add(list, topic, i)->offset,
                          err);
    }
    mill_kafka_admin_close(admin);
    return rc;
}

static int tail_start(struct mill_tail *tail, const struct mill_kafka_options *options,
                      const rd_kafka_topic_partition_list_t *list, struct mill_error *err)
{
    struct mill_kafka_options own = *options;
    rd_kafka_conf_t *conf;

    /* Never joined and nothing is stored under it, but librdkafka wants a name to assign partitions by hand. */
    own.group = "tidemill-reader";
    MILL_TRY(mill__kafka_conf_new(&own, MILL__KAFKA_READER, &tail->client, &conf, err));
    mill__kafka_conf_set(conf, "auto.offset.reset", "earliest");
    MILL_TRY(mill__kafka_open(MILL__KAFKA_READER, conf, &tail->rk, err));
    rd_kafka_poll_set_consumer(tail->rk);
    tail->queue = rd_kafka_queue_get_consumer(tail->rk);
    rd_kafka_resp_err_t resp_err = rd_kafka_assign(tail->rk, list);
    return resp_err == RD_KAFKA_RESP_ERR_NO_ERROR ? 0
                                                  : mill_fail(err, mill__kafka_error_code(resp_err),
                                                              "cannot read the topic: %s", rd_kafka_err2str(resp_err));
}

int mill_tail_open(const struct mill_kafka_options *options, const char *topic, bool from_beginning,
                   struct mill_tail **ret_tail, struct mill_error *err)
{
    struct mill_tail *tail = mill_calloc(1, sizeof(*tail));
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);

    int rc = start_list(options, topic, from_beginning, list, err);
    if (rc == 0) {
        rc = tail_start(tail, options, list, err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    if (rc < 0) {
        mill_tail_close(tail);
        return rc;
    }
    *ret_tail = tail;
    return 0;
}

static void release(struct mill_tail *tail)
{
    for (uint32_t i = 0; i < tail->message_count; i++) {
        rd_kafka_message_destroy(tail->messages[i]);
    }
    tail->message_count = 0;
}

void mill_tail_close(struct mill_tail *tail)
{
    if (tail == NULL) {
        return;
    }
    release(tail);
    if (tail->rk != NULL) {
        rd_kafka_queue_destroy(tail->queue);
        rd_kafka_destroy_flags(tail->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    }
    free(tail);
}

int mill_tail_next(struct mill_tail *tail, int timeout_ms, struct mill_record *records, int32_t *partitions,
                   uint32_t max, struct mill_error *err)
{
    rd_kafka_message_t *taken[MILL__KAFKA_FETCH_MAX];
    uint32_t want = max < MILL__KAFKA_FETCH_MAX ? max : MILL__KAFKA_FETCH_MAX;

    mill_assert(max > 0);
    release(tail);
    /* The batch call waits until the batch is full: wait for one message, then take what is there. */
    taken[0] = rd_kafka_consumer_poll(tail->rk, timeout_ms);
    if (taken[0] == NULL) {
        want = 0;
    } else if (want > 1) {
        ssize_t n = rd_kafka_consume_batch_queue(tail->queue, 0, taken + 1, want - 1);
        want = n < 0 ? 1 : 1 + (uint32_t)n;
    }
    for (uint32_t i = 0; i < want; i++) {
        if (taken[i]->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            mill__kafka_log(&tail->client, LOG_WARNING, "%s", rd_kafka_message_errstr(taken[i]));
            rd_kafka_message_destroy(taken[i]);
            continue;
        }
        mill__kafka_record_of(taken[i], &records[tail->message_count]);
        partitions[tail->message_count] = taken[i]->partition;
        tail->messages[tail->message_count++] = taken[i];
    }
    if (tail->client.fatal.code != 0) {
        if (err != NULL) {
            *err = tail->client.fatal;
        }
        return tail->client.fatal.code;
    }
    return (int)tail->message_count;
}
