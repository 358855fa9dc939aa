/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The producer of a shard: idempotent, acks=all, waits for a broker as long as it takes. One thread calls everything
 * here. What can never be written is reported through on_failure, from poll or flush, never from inside send.
 *
 * Few records at a time (less than ROUND_MANY between two polls): a poll pushes them out without waiting for linger.ms,
 * and what comes while their acknowledgement is awaited is held here and pushed out together once it is in. For an
 * idempotent librdkafka (seen in 2.0.2) gives a partition no further request while five of its messages are in flight,
 * and until they are acknowledged its broker thread polls without pause, a core for every producer, as soon as
 * linger.ms has passed for one message that waits (rd_kafka_msgq_allow_wakeup_at then asks for a wake-up "now"). On a
 * machine that the broker shares, this makes acknowledgements slower still, up to seconds. Many records: librdkafka
 * gets them as they come, and batches them by linger.ms.
 */
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>

#include "base/clock.h"
#include "ingest/kafka_internal.h"

enum {
    HEADERS_MAX = 16,
    FIELDS_MAX = 6,
    ROUND_MANY = 512,  /* records between two polls from which on it is throughput that counts: nothing is held */
    HOLD_MAX = 8192,   /* records held at most */
    HOLD_MAX_MS = 500, /* and for how long: another partition may have lost its leader */
    PUSH_MS = 1,       /* how long a push may wait: librdkafka sends at once while it is waited for */
    HOLD_LOOK_MS = 1,  /* how often a poll that may wait looks for acknowledgements, which raise no event */
};

/* A message that librdkafka refused at once (too large, no such partition, a topic that is closed to us): kept until
 * the next poll. */
struct refusal {
    struct refusal *next;
    char *topic;
    const char *why;
    struct mill_slice value; /* behind this struct */
};

struct mill_producer {
    struct mill__kafka_client client; /* first: see there */
    struct rd_kafka_s *rk;
    rd_kafka_topic_t **topics;
    unsigned topic_count;
    uint32_t queue_messages_max;
    bool is_full;     /* the last send found no room */
    bool is_awaiting; /* acknowledgements, when last looked: send holds */
    uint32_t round;   /* records sent since the last poll, held ones among them */
    int64_t held_ns;  /* when the oldest held record came */
    struct mill__hold hold;
    struct refusal *refusals, **refusals_end;
    void (*on_failure)(void *context, const char *topic, struct mill_slice value, const char *why);
    void *failure_context;
};

static void on_delivery_report(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
    struct mill_producer *producer = opaque;
    (void)rk;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && producer->on_failure != NULL) {
        struct mill_slice value = {message->payload, message->len};
        producer->on_failure(producer->failure_context, rd_kafka_topic_name(message->rkt), value,
                             rd_kafka_err2str(message->err));
    }
}

static uint32_t queue_messages_max(const rd_kafka_conf_t *conf)
{
    char text[32];
    size_t size = sizeof(text);
    mill_assert(rd_kafka_conf_get(conf, "queue.buffering.max.messages", text, &size) == RD_KAFKA_CONF_OK);
    uint32_t max = (uint32_t)strtoul(text, NULL, 10);
    return max == 0 ? UINT32_MAX : max; /* 0: no limit */
}

int mill_producer_open(const struct mill_kafka_options *options,
                       void (*on_failure)(void *context, const char *topic, struct mill_slice value, const char *why),
                       void *context, struct mill_producer **ret_producer, struct mill_error *err)
{
    struct mill_producer *producer = mill_calloc(1, sizeof(*producer));
    rd_kafka_conf_t *conf;

    producer->on_failure = on_failure;
    producer->failure_context = context;
    producer->refusals_end = &producer->refusals;
    int rc = mill__kafka_conf_new(options, MILL__KAFKA_PRODUCER, &producer->client, &conf, err);
    if (rc == 0) {
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery_report);
        producer->queue_messages_max = queue_messages_max(conf);
        rc = mill__kafka_open(MILL__KAFKA_PRODUCER, conf, &producer->rk, err);
    }
    if (rc < 0) {
        free(producer);
        return rc;
    }
    *ret_producer = producer;
    return 0;
}

void mill_producer_close(struct mill_producer *producer, int timeout_ms)
{
    if (producer == NULL) {
        return;
    }
    if (mill_producer_flush(producer, timeout_ms, NULL) < 0) {
        producer->on_failure = NULL; /* the caller's limit: what is left was not refused, it was given up */
        rd_kafka_purge(producer->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    }
    for (unsigned i = 0; i < producer->topic_count; i++) {
        rd_kafka_topic_destroy(producer->topics[i]);
    }
    free(producer->topics);
    mill__hold_clear(&producer->hold);
    rd_kafka_destroy(producer->rk);
    free(producer);
}

unsigned mill_producer_topic(struct mill_producer *producer, const char *topic)
{
    for (unsigned i = 0; i < producer->topic_count; i++) {
        if (strcmp(rd_kafka_topic_name(producer->topics[i]), topic) == 0) {
            return i;
        }
    }
    rd_kafka_topic_t *handle = rd_kafka_topic_new(producer->rk, topic, NULL);
    mill_assert(handle != NULL);
    producer->topics = mill_realloc(producer->topics, sizeof(producer->topics[0]) * (producer->topic_count + 1));
    producer->topics[producer->topic_count] = handle;
    return producer->topic_count++;
}

static void refuse(struct mill_producer *producer, unsigned topic, struct mill_slice value, const char *why)
{
    struct refusal *refusal = mill_malloc(sizeof(*refusal) + value.n);
    char *copy = (char *)(refusal + 1);
    if (value.n > 0) {
        memcpy(copy, value.p, value.n);
    }
    *refusal = (struct refusal){
        .topic = mill_strdup(rd_kafka_topic_name(producer->topics[topic])), .why = why, .value = {copy, value.n}};
    *producer->refusals_end = refusal;
    producer->refusals_end = &refusal->next;
}

static void report_refusals(struct mill_producer *producer)
{
    while (producer->refusals != NULL) {
        struct refusal *refusal = producer->refusals;
        /* Unlinked first: the callback may send, and be refused again. */
        producer->refusals = refusal->next;
        if (producer->refusals == NULL) {
            producer->refusals_end = &producer->refusals;
        }
        if (producer->on_failure != NULL) {
            producer->on_failure(producer->failure_context, refusal->topic, refusal->value, refusal->why);
        }
        free(refusal->topic);
        free(refusal);
    }
}

static int fatal(const struct mill_producer *producer, struct mill_error *err)
{
    if (producer->client.fatal.code != 0 && err != NULL) {
        *err = producer->client.fatal;
    }
    return producer->client.fatal.code;
}

static int send_failed(struct mill_producer *producer, unsigned topic, struct mill_slice value,
                       rd_kafka_resp_err_t resp_err, struct mill_error *err)
{
    switch ((int)resp_err) {
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        producer->is_full = true;
        return mill_fail(err, MILL_ERETRY, "the producer's queue is full");
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION:
        refuse(producer, topic, value, rd_kafka_err2str(resp_err));
        return 0;
    case RD_KAFKA_RESP_ERR__FATAL:
        rd_kafka_poll(producer->rk, 0); /* brings the cause */
        return producer->client.fatal.code != 0 ? fatal(producer, err)
                                                : mill_fail(err, MILL_EIO, "the producer has failed for good");
    default:
        return mill_fail(err, mill__kafka_error_code(resp_err), "cannot send to topic '%s': %s",
                         rd_kafka_topic_name(producer->topics[topic]), rd_kafka_err2str(resp_err));
    }
}

/* librdkafka takes no const pointers, though it only copies. */
static void *unconst(const char *p)
{
    return (void *)(uintptr_t)p;
}

static int give(struct mill_producer *producer, const struct mill__held *record, struct mill_error *err)
{
    if (__builtin_expect(rd_kafka_produce(producer->topics[record->topic],
                                          record->partition < 0 ? RD_KAFKA_PARTITION_UA : record->partition,
                                          RD_KAFKA_MSG_F_COPY, unconst(record->value.p), record->value.n, record->key.p,
                                          record->key.n, NULL) == 0,
                         1)) {
        return 0;
    }
    return send_failed(producer, record->topic, record->value, rd_kafka_last_error(), err);
}

static int give_held(struct mill_producer *producer, struct mill_error *err)
{
    struct mill__held record;
    while (mill__hold_first(&producer->hold, &record)) {
        MILL_TRY(give(producer, &record, err));
        mill__hold_drop(&producer->hold, &record);
    }
    return 0;
}

/* The short way, for nearly all records: now, or when what is on its way is acknowledged. */
static int give_or_hold(struct mill_producer *producer, const struct mill__held *record, struct mill_error *err)
{
    producer->round++;
    if (!producer->is_awaiting) {
        return give(producer, record, err);
    }
    if (producer->round > ROUND_MANY || producer->hold.count >= HOLD_MAX) {
        MILL_TRY(give_held(producer, err));
        producer->is_awaiting = false; /* until the next poll */
        return give(producer, record, err);
    }
    if (producer->hold.count == 0) {
        producer->held_ns = mill_clock_mono_ns();
    }
    mill__hold_add(&producer->hold, record);
    return 0;
}

int mill_producer_send(struct mill_producer *producer, unsigned topic, int32_t partition, struct mill_slice key,
                       struct mill_slice value, const struct mill_header *headers, unsigned header_count,
                       int64_t timestamp_us, struct mill_error *err)
{
    mill_assert(topic < producer->topic_count && header_count <= HEADERS_MAX);
    if (__builtin_expect(header_count == 0 && timestamp_us < 0, 1)) {
        return give_or_hold(producer, &(struct mill__held){topic, partition, key, value}, err);
    }
    MILL_TRY(give_held(producer, err));
    rd_kafka_vu_t fields[FIELDS_MAX + HEADERS_MAX];
    unsigned n = 0;

    fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_RKT, .u.rkt = producer->topics[topic]};
    fields[n++] =
        (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition < 0 ? RD_KAFKA_PARTITION_UA : partition};
    fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_MSGFLAGS, .u.i = RD_KAFKA_MSG_F_COPY};
    fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {unconst(value.p), value.n}};
    fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_KEY, .u.mem = {unconst(key.p), key.n}};
    fields[n++] = (rd_kafka_vu_t){.vtype = RD_KAFKA_VTYPE_TIMESTAMP,
                                  .u.i64 = timestamp_us < 0 ? 0 : timestamp_us / 1000}; /* 0: now */
    for (unsigned i = 0; i < header_count; i++) {
        fields[n++] = (rd_kafka_vu_t){
            .vtype = RD_KAFKA_VTYPE_HEADER,
            .u.header = {headers[i].name, headers[i].value.p, (ssize_t)headers[i].value.n},
        };
    }
    rd_kafka_error_t *error = rd_kafka_produceva(producer->rk, fields, n);
    if (__builtin_expect(error == NULL, 1)) {
        return 0;
    }
    rd_kafka_resp_err_t resp_err = rd_kafka_error_code(error);
    rd_kafka_error_destroy(error);
    return send_failed(producer, topic, value, resp_err, err);
}

/* Acknowledgements raise no event (see delivery.report.only.error), so room is looked for every millisecond. */
static void wait_for_room(struct mill_producer *producer, int timeout_ms)
{
    int64_t deadline_ns = mill_clock_mono_ns() + timeout_ms * INT64_C(1000000);
    uint32_t enough = producer->queue_messages_max / 4 * 3;

    while ((uint32_t)rd_kafka_outq_len(producer->rk) > enough && producer->client.fatal.code == 0 &&
           mill_clock_mono_ns() < deadline_ns) {
        rd_kafka_poll(producer->rk, 1);
    }
    producer->is_full = false;
}

static bool may_give_held(const struct mill_producer *producer)
{
    return producer->hold.count > 0 && (rd_kafka_outq_len(producer->rk) == 0 ||
                                        mill_clock_mono_ns() - producer->held_ns > HOLD_MAX_MS * INT64_C(1000000));
}

/* The end of a round: see the top of this file. */
static int push(struct mill_producer *producer, struct mill_error *err)
{
    bool is_many = producer->round > ROUND_MANY, has_given = producer->round > 0 && !producer->is_awaiting;

    producer->round = 0;
    if (may_give_held(producer)) {
        has_given = true;
        int rc = give_held(producer, err);
        if (rc < 0 && rc != MILL_ERETRY) {
            return rc;
        }
    }
    if (has_given && !is_many) {
        rd_kafka_flush(producer->rk, PUSH_MS);
    }
    producer->is_awaiting = rd_kafka_outq_len(producer->rk) > 0;
    return 0;
}

int mill_producer_poll(struct mill_producer *producer, int timeout_ms, struct mill_error *err)
{
    int64_t deadline_ns = mill_clock_mono_ns() + timeout_ms * INT64_C(1000000), left_ms = timeout_ms;
    bool is_holding;

    if (producer->is_full) {
        wait_for_room(producer, timeout_ms);
        left_ms = 0;
    }
    do {
        MILL_TRY(push(producer, err));
        is_holding = producer->hold.count > 0;
        rd_kafka_poll(producer->rk, is_holding && left_ms > HOLD_LOOK_MS ? HOLD_LOOK_MS : (int)left_ms);
        left_ms = (deadline_ns - mill_clock_mono_ns()) / 1000000;
    } while (is_holding && left_ms > 0 && producer->client.fatal.code == 0);
    report_refusals(producer);
    return fatal(producer, err);
}

/* rd_kafka_flush() sends at once what lingers, but looks for the last acknowledgement every 10 ms only. Short calls of
 * it see it within one; after a while there is no hurry. */
static rd_kafka_resp_err_t flush_in_steps(struct mill_producer *producer, int timeout_ms)
{
    enum { HURRY_MS = 100 };
    int64_t begin_ns = mill_clock_mono_ns(), waited_ms = 0;
    rd_kafka_resp_err_t resp_err;

    do {
        int64_t left_ms = timeout_ms - waited_ms, step_ms = waited_ms < HURRY_MS ? 1 : HURRY_MS;
        resp_err = rd_kafka_flush(producer->rk, (int)(left_ms < step_ms ? left_ms : step_ms));
        waited_ms = (mill_clock_mono_ns() - begin_ns) / 1000000;
    } while (resp_err == RD_KAFKA_RESP_ERR__TIMED_OUT && waited_ms < timeout_ms && producer->client.fatal.code == 0);
    return resp_err;
}

int mill_producer_flush(struct mill_producer *producer, int timeout_ms, struct mill_error *err)
{
    report_refusals(producer);
    int rc = give_held(producer, err);
    if (rc < 0 && rc != MILL_ERETRY) {
        return rc;
    }
    rd_kafka_resp_err_t resp_err = flush_in_steps(producer, timeout_ms);
    producer->is_full = false;
    producer->is_awaiting = resp_err != RD_KAFKA_RESP_ERR_NO_ERROR;
    MILL_TRY(fatal(producer, err));
    if (resp_err == RD_KAFKA_RESP_ERR__TIMED_OUT || producer->hold.count > 0) {
        return mill_fail(err, MILL_ERETRY, "%u messages are not acknowledged after %d ms",
                         mill_producer_outstanding(producer), timeout_ms);
    }
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return mill_fail(err, mill__kafka_error_code(resp_err), "cannot flush the producer: %s",
                         rd_kafka_err2str(resp_err));
    }
    return 0;
}

uint32_t mill_producer_outstanding(const struct mill_producer *producer)
{
    return (uint32_t)rd_kafka_outq_len(producer->rk) + producer->hold.count;
}

bool mill_producer_is_holding(const struct mill_producer *producer)
{
    return producer->hold.count > 0;
}
