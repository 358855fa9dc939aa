/* SPDX-License-Identifier: Apache-2.0 */
/* The speed of light for the stream benchmark: consume with librdkafka, produce one small record per event, nothing
 * else. The same library, partitions and acknowledgements as the engine has, and none of its work. */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/clock.h"
#include "ingest/ingest.h"

enum { BATCH = 4096, TIMEOUT_MS = 60000 };

static void check(int rc, const struct mill_error *err)
{
    if (rc < 0) {
        fprintf(stderr, "bench_bare_loop: %s\n", err->msg);
        exit(mill_error_exit_status(rc));
    }
}

struct property {
    const char *name, *value;
};

/* extra: "key=value" of the command line, NULL at the end. */
static rd_kafka_t *open_client(rd_kafka_type_t type, const struct property *properties, size_t count, char **extra)
{
    char text[512] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool ok = true;

    for (size_t i = 0; i < count && ok; i++) {
        ok = rd_kafka_conf_set(conf, properties[i].name, properties[i].value, text, sizeof(text)) == RD_KAFKA_CONF_OK;
    }
    for (; *extra != NULL && ok; extra++) {
        char *name = strdup(*extra), *value = strchr(name, '=');
        ok = value != NULL;
        if (!ok) {
            snprintf(text, sizeof(text), "'%s' is not KEY=VALUE", *extra);
        } else {
            *value++ = '\0';
            ok = rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK;
        }
        free(name);
    }
    rd_kafka_t *rk = ok ? rd_kafka_new(type, conf, text, sizeof(text)) : NULL;
    if (rk == NULL) {
        fprintf(stderr, "bench_bare_loop: %s\n", text);
        exit(EX_CONFIG);
    }
    return rk;
}

static rd_kafka_t *open_consumer(const char *brokers, const char *topic, const char *group, char **extra)
{
    const struct property properties[] = {
        {"bootstrap.servers", brokers},
        {"group.id", group},
        {"enable.auto.commit", "false"},
        {"auto.offset.reset", "earliest"},
        /* Queues that never fill: librdkafka 2.0 may look at a full one again only after a second. */
        {"queued.min.messages", "1000000"},
        {"queued.max.messages.kbytes", "1048576"},
    };
    rd_kafka_t *rk = open_client(RD_KAFKA_CONSUMER, properties, sizeof(properties) / sizeof(properties[0]), extra);
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(topics, topic, RD_KAFKA_PARTITION_UA);
    rd_kafka_subscribe(rk, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return rk;
}

static rd_kafka_t *open_producer(const char *brokers)
{
    const struct property properties[] = {
        {"bootstrap.servers", brokers},
        {"enable.idempotence", "true"},
        {"acks", "all"},
        {"linger.ms", "5"},
        {"queue.buffering.max.messages", "1000000"},
        {"delivery.report.only.error", "true"},
        {"partitioner", "murmur2_random"},
    };
    char *none[] = {NULL};
    return open_client(RD_KAFKA_PRODUCER, properties, sizeof(properties) / sizeof(properties[0]), none);
}

/* The output has the partitions of the input. */
static void create_output(const char *brokers, const char *input, const char *output)
{
    const struct mill_kafka_options options = {.brokers = brokers};
    struct mill_error err = {0};
    int32_t partitions;
    check(mill_kafka_partition_count(&options, input, TIMEOUT_MS, &partitions, &err), &err);
    check(mill_kafka_create_topic(&options, output, partitions, NULL, TIMEOUT_MS, &err), &err);
}

static void echo(rd_kafka_t *producer, rd_kafka_topic_t *output, const rd_kafka_message_t *message)
{
    char value[128];
    /* About the size of a score record. */
    int n = snprintf(value, sizeof(value), "{\"model\":\"m\",\"version\":\"1\",\"offset\":%" PRId64 ",\"score\":0.5}",
                     message->offset);
    while (rd_kafka_produce(output, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, (size_t)n, message->key,
                            message->key_len, NULL) != 0) {
        rd_kafka_poll(producer, 1);
    }
}

int main(int argc, char **argv)
{
    if (argc < 6) {
        fprintf(stderr, "usage: bench_bare_loop BROKERS INPUT OUTPUT GROUP EVENTS [KEY=VALUE of the consumer...]\n");
        return EX_USAGE;
    }
    uint64_t wanted = strtoull(argv[5], NULL, 10), count = 0;
    create_output(argv[1], argv[2], argv[3]);
    rd_kafka_t *consumer = open_consumer(argv[1], argv[2], argv[4], argv + 6);
    rd_kafka_t *producer = open_producer(argv[1]);
    rd_kafka_topic_t *output = rd_kafka_topic_new(producer, argv[3], NULL);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    static rd_kafka_message_t *messages[BATCH];
    int64_t begin_ns = 0, cpu_ns = 0, idle_since_ns = mill_clock_mono_ns();

    while (count < wanted) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 10, messages, BATCH);
        for (ssize_t i = 0; i < n; i++) {
            if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
                if (count++ == 0) { /* the clock starts with the first event: joining the group is not the loop */
                    begin_ns = mill_clock_mono_ns();
                    cpu_ns = mill_clock_process_cpu_ns();
                }
                echo(producer, output, messages[i]);
            }
            rd_kafka_message_destroy(messages[i]);
        }
        rd_kafka_poll(producer, 0);
        if (n > 0) {
            idle_since_ns = mill_clock_mono_ns();
        } else if (mill_clock_mono_ns() - idle_since_ns > TIMEOUT_MS * INT64_C(1000000)) {
            fprintf(stderr, "bench_bare_loop: no event for 60 s after %" PRIu64 "\n", count);
            return EX_UNAVAILABLE;
        }
    }
    if (rd_kafka_flush(producer, TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fprintf(stderr, "bench_bare_loop: %d records are not acknowledged\n", rd_kafka_outq_len(producer));
        return EX_UNAVAILABLE;
    }
    double seconds = (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
    double cpu = (double)(mill_clock_process_cpu_ns() - cpu_ns) / 1e9;
    printf("{\"bench\":\"bare_loop\",\"events\":%" PRIu64
           ",\"seconds\":%.3f,\"events_per_s\":%.0f,\"cpu_s_per_million\":%.3f}\n",
           count, seconds, (double)count / seconds, cpu * 1e6 / (double)count);

    rd_kafka_queue_destroy(queue);
    rd_kafka_topic_destroy(output);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    rd_kafka_destroy(producer);
    return 0;
}
