/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Questions to a cluster that need neither a group nor a subscription: topics, offsets. Blocking, each with a
 * time-out; for start-up, commands and tests. The mill_kafka_... functions open a client for one question,
 * mill_kafka_admin keeps one for many.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "ingest/kafka_internal.h"

struct mill_kafka_admin {
    struct mill__kafka_client client; /* first: see there */
    struct rd_kafka_s *rk;
    char *brokers, *group;
};

int mill_kafka_admin_open(const struct mill_kafka_options *options, struct mill_kafka_admin **ret_admin,
                          struct mill_error *err)
{
    struct mill_kafka_admin *admin = mill_calloc(1, sizeof(*admin));
    rd_kafka_conf_t *conf;

    int rc = mill__kafka_conf_new(options, MILL__KAFKA_READER, &admin->client, &conf, err);
    if (rc == 0) {
        rc = mill__kafka_open(MILL__KAFKA_READER, conf, &admin->rk, err);
    }
    if (rc < 0) {
        free(admin);
        return rc;
    }
    admin->brokers = mill_strdup(options->brokers);
    admin->group = options->group == NULL ? NULL : mill_strdup(options->group);
    *ret_admin = admin;
    return 0;
}

void mill_kafka_admin_close(struct mill_kafka_admin *admin)
{
    if (admin == NULL) {
        return;
    }
    rd_kafka_destroy_flags(admin->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    free(admin->brokers);
    free(admin->group);
    free(admin);
}

static int refused(const struct mill_kafka_admin *admin, const char *topic, rd_kafka_resp_err_t resp_err,
                   struct mill_error *err)
{
    int code = mill__kafka_error_code(resp_err);
    if (code == MILL_ENOINPUT) {
        return mill_fail(err, code, "topic '%s' is not there on '%s'", topic, admin->brokers);
    }
    if (code == MILL_EUNAVAIL) {
        return mill_fail(err, code, "kafka at '%s' does not answer for topic '%s': %s", admin->brokers, topic,
                         rd_kafka_err2str(resp_err));
    }
    return mill_fail(err, code, "topic '%s' on '%s': %s", topic, admin->brokers, rd_kafka_err2str(resp_err));
}

int mill_kafka_admin_partition_count(struct mill_kafka_admin *admin, const char *topic, int timeout_ms,
                                     int32_t *ret_count, struct mill_error *err)
{
    const struct rd_kafka_metadata *metadata;
    rd_kafka_topic_t *handle = rd_kafka_topic_new(admin->rk, topic, NULL);

    if (handle == NULL) {
        return refused(admin, topic, rd_kafka_last_error(), err);
    }
    rd_kafka_resp_err_t resp_err = rd_kafka_metadata(admin->rk, 0, handle, &metadata, timeout_ms);
    rd_kafka_topic_destroy(handle);
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return refused(admin, topic, resp_err, err);
    }
    mill_assert(metadata->topic_cnt == 1);
    int32_t count = metadata->topics[0].partition_cnt;
    resp_err = metadata->topics[0].err;
    rd_kafka_metadata_destroy(metadata);
    if (resp_err == RD_KAFKA_RESP_ERR_NO_ERROR && count == 0) {
        resp_err = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    }
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return refused(admin, topic, resp_err, err);
    }
    *ret_count = count;
    return 0;
}

static int64_t deadline_of(int timeout_ms)
{
    return mill_clock_mono_ns() + timeout_ms * INT64_C(1000000);
}

/* Sleeps a little; false at the deadline. */
static bool may_retry(int64_t deadline_ns)
{
    const struct timespec pause = {0, 20000000};
    nanosleep(&pause, NULL);
    return mill_clock_mono_ns() < deadline_ns;
}

/* A broker is told of a new topic, or of its becoming the leader, a moment after the cluster says so. */
static bool is_settling(rd_kafka_resp_err_t resp_err)
{
    return resp_err == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || resp_err == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
}

int mill_kafka_admin_watermarks(struct mill_kafka_admin *admin, const char *topic, int32_t partition, int timeout_ms,
                                int64_t *ret_low, int64_t *ret_high, struct mill_error *err)
{
    int64_t deadline_ns = deadline_of(timeout_ms), low, high;
    rd_kafka_resp_err_t resp_err;

    do {
        resp_err = rd_kafka_query_watermark_offsets(admin->rk, topic, partition, &low, &high, timeout_ms);
    } while (is_settling(resp_err) && may_retry(deadline_ns));
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return refused(admin, topic, resp_err, err);
    }
    *ret_low = low;
    *ret_high = high;
    return 0;
}

int mill_kafka_admin_committed(struct mill_kafka_admin *admin, const char *topic, int32_t partition, int timeout_ms,
                               int64_t *ret_offset, struct mill_error *err)
{
    mill_assert(admin->group != NULL);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    rd_kafka_resp_err_t resp_err = rd_kafka_committed(admin->rk, list, timeout_ms);
    if (resp_err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        resp_err = list->elems[0].err;
    }
    int64_t offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        return refused(admin, topic, resp_err, err);
    }
    *ret_offset = offset < 0 ? -1 : offset;
    return 0;
}

/* ---- topics ---- */

/* Asks the cluster to make the topic and gives its answer. text gets the broker's words where there are any. */
static rd_kafka_resp_err_t request_topic(struct mill_kafka_admin *admin, rd_kafka_NewTopic_t *topic, int timeout_ms,
                                         char *text, size_t text_size)
{
    char ignored[64];
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(admin->rk, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_request_timeout(options, timeout_ms, ignored, sizeof(ignored));
    rd_kafka_AdminOptions_set_operation_timeout(options, timeout_ms, ignored, sizeof(ignored));
    rd_kafka_queue_t *queue = rd_kafka_queue_new(admin->rk);
    rd_kafka_CreateTopics(admin->rk, &topic, 1, options, queue);
    rd_kafka_AdminOptions_destroy(options);

    /* The request has its own time-out, after which this event comes too. */
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, -1);
    rd_kafka_resp_err_t resp_err = rd_kafka_event_error(event);
    const char *words = rd_kafka_event_error_string(event);
    if (resp_err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        size_t count;
        const rd_kafka_topic_result_t **results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        mill_assert(count == 1);
        resp_err = rd_kafka_topic_result_error(results[0]);
        words = rd_kafka_topic_result_error_string(results[0]);
    }
    snprintf(text, text_size, "%s", words != NULL ? words : rd_kafka_err2str(resp_err));
    rd_kafka_event_destroy(event);
    rd_kafka_queue_destroy(queue);
    return resp_err;
}

static int create(struct mill_kafka_admin *admin, const char *topic, int32_t partition_count, const char *const *config,
                  int timeout_ms, struct mill_error *err)
{
    char text[256];
    rd_kafka_NewTopic_t *new_topic = rd_kafka_NewTopic_new(topic, partition_count, -1, text, sizeof(text));
    if (new_topic == NULL) {
        return mill_fail(err, MILL_ECONFIG, "cannot create topic '%s': %s", topic, text);
    }
    for (unsigned i = 0; config != NULL && config[2 * i] != NULL; i++) {
        rd_kafka_NewTopic_set_config(new_topic, config[2 * i], config[2 * i + 1]);
    }
    rd_kafka_resp_err_t resp_err = request_topic(admin, new_topic, timeout_ms, text, sizeof(text));
    rd_kafka_NewTopic_destroy(new_topic);
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR && resp_err != RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS) {
        return mill_fail(err, mill__kafka_error_code(resp_err), "cannot create topic '%s' on '%s': %s", topic,
                         admin->brokers, text);
    }
    return 0;
}

/* A new topic can be used when each of its partitions answers. */
static int wait_usable(struct mill_kafka_admin *admin, const char *topic, int timeout_ms, struct mill_error *err)
{
    int64_t deadline_ns = deadline_of(timeout_ms), low, high;
    int32_t count = 0;
    int rc;

    do {
        rc = mill_kafka_admin_partition_count(admin, topic, timeout_ms, &count, err);
    } while (rc < 0 && may_retry(deadline_ns));
    for (int32_t i = 0; i < count && rc == 0; i++) {
        rc = mill_kafka_admin_watermarks(admin, topic, i, timeout_ms, &low, &high, err);
    }
    return rc;
}

int mill_kafka_admin_create_topic(struct mill_kafka_admin *admin, const char *topic, int32_t partition_count,
                                  const char *const *config, int timeout_ms, struct mill_error *err)
{
    int32_t count;
    int rc = mill_kafka_admin_partition_count(admin, topic, timeout_ms, &count, err);
    if (rc != MILL_ENOINPUT) {
        return rc;
    }
    MILL_TRY(create(admin, topic, partition_count, config, timeout_ms, err));
    return wait_usable(admin, topic, timeout_ms, err);
}

/* ---- one question, one client ---- */

int mill_kafka_create_topic(const struct mill_kafka_options *options, const char *topic, int32_t partition_count,
                            const char *const *config, int timeout_ms, struct mill_error *err)
{
    struct mill_kafka_admin *admin;
    MILL_TRY(mill_kafka_admin_open(options, &admin, err));
    int rc = mill_kafka_admin_create_topic(admin, topic, partition_count, config, timeout_ms, err);
    mill_kafka_admin_close(admin);
    return rc;
}

int mill_kafka_partition_count(const struct mill_kafka_options *options, const char *topic, int timeout_ms,
                               int32_t *ret_count, struct mill_error *err)
{
    struct mill_kafka_admin *admin;
    MILL_TRY(mill_kafka_admin_open(options, &admin, err));
    int rc = mill_kafka_admin_partition_count(admin, topic, timeout_ms, ret_count, err);
    mill_kafka_admin_close(admin);
    return rc;
}

int mill_kafka_watermarks(const struct mill_kafka_options *options, const char *topic, int32_t partition,
                          int timeout_ms, int64_t *ret_low, int64_t *ret_high, struct mill_error *err)
{
    struct mill_kafka_admin *admin;
    MILL_TRY(mill_kafka_admin_open(options, &admin, err));
    int rc = mill_kafka_admin_watermarks(admin, topic, partition, timeout_ms, ret_low, ret_high, err);
    mill_kafka_admin_close(admin);
    return rc;
}

int mill_kafka_committed(const struct mill_kafka_options *options, const char *topic, int32_t partition, int timeout_ms,
                         int64_t *ret_offset, struct mill_error *err)
{
    struct mill_kafka_admin *admin;
    MILL_TRY(mill_kafka_admin_open(options, &admin, err));
    int rc = mill_kafka_admin_committed(admin, topic, partition, timeout_ms, ret_offset, err);
    mill_kafka_admin_close(admin);
    return rc;
}
