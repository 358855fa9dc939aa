/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Client options as a librdkafka configuration: our defaults, the user's pairs, what the engine relies on; the
 * callbacks for log lines, errors and statistics. Every Kafka client of this module is opened through here.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "base/suggest.h"
#include "ingest/kafka_internal.h"

struct property {
    const char *name, *value;
};

/* Defaults that a project may override. */
static const struct property all_defaults[] = {
    {"socket.nagle.disable", "true"},
    {"socket.keepalive.enable", "true"},
    /* A broker that comes back is found within two seconds, not ten. */
    {"reconnect.backoff.max.ms", "2000"},
};

static const struct property consumer_defaults[] = {
    /* One fetch request is under way per broker. A partition that was left out of it (its queue was full, or it has
     * just been assigned) waits for its answer: not long, please. */
    {"fetch.wait.max.ms", "50"},
    /* Per partition. librdkafka 2.0 may look at a full queue again only after a second; mill_partition_fetch wakes it
     * (see mill__partition_nudge), so a queue of a few batches is enough and memory stays small. */
    {"queued.min.messages", "32768"},
    {"queued.max.messages.kbytes", "16384"},
    /* After a crash without static membership, the group waits this long for the dead member. */
    {"session.timeout.ms", "10000"},
};

static const struct property producer_defaults[] = {
    {"linger.ms", "1"},
    {"queue.buffering.max.messages", "500000"},
    {"queue.buffering.max.kbytes", "131072"},
};

/* What the engine relies on: a project that names one of these keys is told why it may not. */
static const struct owned {
    const char *name, *why;
} owned[] = {
    {"bootstrap.servers", "write 'brokers' of the section 'kafka'"},
    {"metadata.broker.list", "write 'brokers' of the section 'kafka'"},
    {"group.id", "write 'group' of the section 'kafka'"},
    {"enable.auto.commit", "the engine stores offsets when state has been written"},
    {"auto.commit.enable", "the engine stores offsets when state has been written"},
    {"auto.commit.interval.ms", "the engine stores offsets when state has been written"},
    {"enable.auto.offset.store", "the engine stores offsets when state has been written"},
    {"auto.offset.reset", "an offset that the broker no longer has is an error, never a silent jump"},
    {"enable.partition.eof", "the engine needs to see the end of a partition"},
    {"partition.assignment.strategy", "inputs are merged by partition number, which range assignment keeps together"},
    {"group.protocol", "inputs are merged by partition number, which range assignment keeps together"},
    {"partitioner", "keys must land where Kafka's own clients put them"},
    {"enable.idempotence", "a retry must never write an event twice"},
    {"acks", "a record counts as written when all replicas have it"},
    {"request.required.acks", "a record counts as written when all replicas have it"},
    {"transactional.id", "the engine runs the transactions"},
    {"message.timeout.ms", "a broker that is down is waited for"},
    {"delivery.timeout.ms", "a broker that is down is waited for"},
    {"delivery.report.only.error", "the engine counts acknowledgements by itself"},
    {"statistics.interval.ms", "the engine reads the state of the connection from it"},
    {"enabled_events", "events are served by callbacks"},
    {"test.mock.num.brokers", "this would replace the cluster by a mock"},
};

static const struct property consumer_fixed[] = {
    {"enable.auto.commit", "false"},       {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},        {"enable.partition.eof", "true"},
    {"statistics.interval.ms", "1000"},    {"partition.assignment.strategy", "range"},
    {"allow.auto.create.topics", "false"},
};

static const struct property reader_fixed[] = {
    {"enable.auto.commit", "false"},
    {"enable.auto.offset.store", "false"},
    {"auto.offset.reset", "error"},
    {"allow.auto.create.topics", "false"},
};

static const struct property producer_fixed[] = {
    {"enable.idempotence", "true"},
    {"acks", "all"},
    {"message.timeout.ms", "0"},
    {"partitioner", "murmur2_random"},
    /* Successes are seen in the count of what is outstanding; a report each would cost more than the send. */
    {"delivery.report.only.error", "true"},
};

enum { TEXT_MAX = 512 };

/* librdkafka threads and the polling thread. */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    const struct mill__kafka_client *client = rd_kafka_opaque(rk);

    /* One set of pairs serves consumers and producers: that a property does nothing for one of them is no news. */
    if (strcmp(facility, "CONFWARN") == 0 && strstr(text, "will be ignored by this") != NULL) {
        return;
    }
    /* Brokers older than 0.11 make topics that are asked for. The mock is the last one of these. */
    if (strcmp(facility, "AUTOCREATE") == 0) {
        return;
    }
    mill__kafka_log(client, level, "%s: %s", facility, text);
}

void mill__kafka_note_fatal(struct rd_kafka_s *rk, struct mill__kafka_client *client)
{
    char text[TEXT_MAX];
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(rk, text, sizeof(text));
    if (cause != RD_KAFKA_RESP_ERR_NO_ERROR && client->fatal.code == 0) {
        mill_fail(&client->fatal, mill__kafka_error_code(cause), "kafka client: %s", text);
    }
}

/* Polling thread. Errors that librdkafka cannot cure end the client; everything else it retries by itself. */
static void on_error(rd_kafka_t *rk, int resp_err, const char *reason, void *opaque)
{
    struct mill__kafka_client *client = opaque;

    if (resp_err == RD_KAFKA_RESP_ERR__FATAL) {
        mill__kafka_note_fatal(rk, client);
        return;
    }
    if (resp_err == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        atomic_store_explicit(&client->connected, false, memory_order_relaxed);
    }
    mill__kafka_log(client, LOG_WARNING, "%s: %s", rd_kafka_err2str(resp_err), reason);
}

/* Polling thread, once a second. The document is librdkafka's own (STATISTICS.md): the state of a broker connection is
 * the only member "state" that is ever written in capitals. */
static int on_statistics(rd_kafka_t *rk, char *json, size_t n, void *opaque)
{
    struct mill__kafka_client *client = opaque;
    (void)rk;
    bool up = memmem(json, n, "\"state\":\"UP\"", 12) != NULL;
    atomic_store_explicit(&client->connected, up, memory_order_relaxed);
    return 0; /* librdkafka frees the text */
}

void mill__kafka_log(const struct mill__kafka_client *client, int syslog_level, const char *fmt, ...)
{
    if (client == NULL || client->on_log == NULL) {
        return;
    }
    char text[2 * TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof(text), fmt, args);
    va_end(args);
    client->on_log(client->log_context, syslog_level, text);
}

void mill__kafka_conf_set(struct rd_kafka_conf_s *conf, const char *name, const char *value)
{
    char text[TEXT_MAX];
    mill_assert(rd_kafka_conf_set(conf, name, value, text, sizeof(text)) == RD_KAFKA_CONF_OK);
}

static void set_all(rd_kafka_conf_t *conf, const struct property *properties, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        mill__kafka_conf_set(conf, properties[i].name, properties[i].value);
    }
}

#define SET_ALL(conf, table) set_all((conf), (table), sizeof(table) / sizeof((table)[0]))

static void set_defaults(rd_kafka_conf_t *conf, enum mill__kafka_role role)
{
    SET_ALL(conf, all_defaults);
    if (role == MILL__KAFKA_PRODUCER) {
        SET_ALL(conf, producer_defaults);
    } else {
        SET_ALL(conf, consumer_defaults);
    }
}

static void set_fixed(rd_kafka_conf_t *conf, enum mill__kafka_role role, const struct mill_kafka_options *options)
{
    mill_assert(options->brokers != NULL);
    mill__kafka_conf_set(conf, "bootstrap.servers", options->brokers);
    if (options->client_id != NULL) {
        mill__kafka_conf_set(conf, "client.id", options->client_id);
    }
    if (options->group != NULL && role != MILL__KAFKA_PRODUCER) {
        mill__kafka_conf_set(conf, "group.id", options->group);
    }
    switch (role) {
    case MILL__KAFKA_CONSUMER:
        SET_ALL(conf, consumer_fixed);
        break;
    case MILL__KAFKA_PRODUCER:
        SET_ALL(conf, producer_fixed);
        break;
    case MILL__KAFKA_READER:
        SET_ALL(conf, reader_fixed);
        break;
    }
}

/* The property that was meant, out of librdkafka's own table; NULL where none is near. */
static const char *nearest_property(rd_kafka_conf_t *conf, const char *name, char *text, size_t text_size)
{
    enum { NAMES_MAX = 512 };
    const char *names[NAMES_MAX];
    size_t dump_count = 0, count = 0;
    const char **dump = rd_kafka_conf_dump(conf, &dump_count);

    for (size_t i = 0; i + 1 < dump_count && count < NAMES_MAX; i += 2) {
        names[count++] = dump[i];
    }
    const char *found = mill_suggest(mill_slice_of(name), names, count);
    if (found != NULL) {
        snprintf(text, text_size, "%s", found);
    }
    rd_kafka_conf_dump_free(dump, dump_count);
    return found == NULL ? NULL : text;
}

static int check_pair(rd_kafka_conf_t *conf, const char *name, const char *value, struct mill_error *err)
{
    char text[TEXT_MAX];

    for (size_t i = 0; i < sizeof(owned) / sizeof(owned[0]); i++) {
        if (strcmp(name, owned[i].name) == 0) {
            return mill_fail(err, MILL_ECONFIG, "'%s' cannot be set: %s", name, owned[i].why);
        }
    }
    if (value == NULL) {
        return mill_fail(err, MILL_ECONFIG, "'%s' has no value", name);
    }
    switch (rd_kafka_conf_set(conf, name, value, text, sizeof(text))) {
    case RD_KAFKA_CONF_OK:
        return 0;
    case RD_KAFKA_CONF_UNKNOWN: {
        char nearest[128];
        bool found = nearest_property(conf, name, nearest, sizeof(nearest)) != NULL;
        return mill_fail(err, MILL_ECONFIG, "librdkafka has no property '%s'%s%s%s", name,
                         found ? "; hint: did you mean '" : "", found ? nearest : "", found ? "'?" : "");
    }
    case RD_KAFKA_CONF_INVALID:
    default:
        return mill_fail(err, MILL_ECONFIG, "'%s': librdkafka says: %s", name, text);
    }
}

static int set_pairs(rd_kafka_conf_t *conf, const char *const *pairs, unsigned *ret_index, struct mill_error *err)
{
    for (unsigned i = 0; pairs != NULL && pairs[2 * i] != NULL; i++) {
        int rc = check_pair(conf, pairs[2 * i], pairs[2 * i + 1], err);
        if (rc < 0) {
            if (ret_index != NULL) {
                *ret_index = i;
            }
            return rc;
        }
    }
    return 0;
}

int mill_kafka_check_options(const struct mill_kafka_options *options, unsigned *ret_index, struct mill_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int rc = set_pairs(conf, options->librdkafka, ret_index, err);
    rd_kafka_conf_destroy(conf);
    return rc;
}

int mill__kafka_conf_new(const struct mill_kafka_options *options, enum mill__kafka_role role,
                         struct mill__kafka_client *client, struct rd_kafka_conf_s **ret_conf, struct mill_error *err)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    set_defaults(conf, role);
    int rc = set_pairs(conf, options->librdkafka, NULL, err);
    if (rc < 0) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    set_fixed(conf, role, options);
    client->on_log = options->on_log;
    client->log_context = options->context;
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    if (role == MILL__KAFKA_CONSUMER) {
        rd_kafka_conf_set_stats_cb(conf, on_statistics);
    }
    *ret_conf = conf;
    return 0;
}

int mill__kafka_open(enum mill__kafka_role role, struct rd_kafka_conf_s *conf, struct rd_kafka_s **ret_rk,
                     struct mill_error *err)
{
    char text[TEXT_MAX];
    rd_kafka_type_t type = role == MILL__KAFKA_PRODUCER ? RD_KAFKA_PRODUCER : RD_KAFKA_CONSUMER;
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));

    if (rk == NULL) {
        rd_kafka_conf_destroy(conf);
        return mill_fail(err, MILL_ECONFIG, "kafka client: %s", text);
    }
    *ret_rk = rk;
    return 0;
}

/* A list, not all of librdkafka's 250 codes: what is not named here is an error of input or output that waiting does
 * not cure. */
int mill__kafka_error_code(int resp_err)
{
    static const struct {
        rd_kafka_resp_err_t resp_err;
        int code;
    } codes[] = {
        {RD_KAFKA_RESP_ERR__TRANSPORT, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__RESOLVE, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__TIMED_OUT, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__WAIT_COORD, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__WAIT_CACHE, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__DESTROY, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, MILL_EUNAVAIL},
        {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, MILL_ENOINPUT},
        {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, MILL_ENOINPUT},
        {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, MILL_ENOINPUT},
        {RD_KAFKA_RESP_ERR__AUTHENTICATION, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR__SSL, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_INVALID_CONFIG, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, MILL_ECONFIG},
        {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, MILL_EDATA},
        {RD_KAFKA_RESP_ERR__BAD_MSG, MILL_EDATA},
        {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, MILL_EDATA},
        {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, MILL_EDATA},
        {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, MILL_EDATA},
    };
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if ((int)codes[i].resp_err == resp_err) {
            return codes[i].code;
        }
    }
    return MILL_EIO;
}
