/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer of a shard: group membership, rebalances, waiting. One thread (the shard's) calls everything here but
 * mill_consumer_wake and mill_consumer_is_connected.
 *
 * A rebalance, eager: `revoked` for what we had, then `assigned` for what we got, both from mill_consumer_poll. Where
 * the caller has no offset of its own, the group's committed one is asked for before fetching starts; a broker that
 * does not answer only delays that (the assignment stays open), it never turns into a guess.
 */
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <syslog.h>
#include <unistd.h>

#include "base/clock.h"
#include "ingest/kafka_internal.h"

enum {
    SERVE_MAX = 100,             /* messages of the common queue served at a time */
    COMMITTED_TIMEOUT_MS = 1000, /* one attempt to ask for the group's offsets */
    CLOSE_TIMEOUT_MS = 10000,    /* leaving the group; then the process goes without good-bye */
    RECHECK_MS = 1000,           /* upper bound of one wait */
    NUDGE_MS = 5,                /* the same, while a partition waits for librdkafka to fetch again */
    REJOIN_INTERVAL_S = 60,      /* see may_rejoin */
};

static void fail(struct mill_consumer *consumer, int code, const char *what, const char *text)
{
    if (consumer->client.fatal.code == 0) {
        mill_fail(&consumer->client.fatal, code, "%s: %s", what, text);
    }
}

/* ---- rebalance ---- */

static int topic_index(const struct mill_consumer *consumer, const char *name)
{
    for (unsigned i = 0; i < consumer->topic_count; i++) {
        if (strcmp(consumer->topics[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int add_partition(struct mill_consumer *consumer, const rd_kafka_topic_partition_t *given)
{
    int topic = topic_index(consumer, given->topic);
    struct mill_error err = {0}; /* not fatal yet: whoever tried again and succeeded may have written to it */

    if (topic < 0) {
        return mill_fail(&consumer->client.fatal, MILL_EBUG, "topic '%s' was assigned but not subscribed to",
                         given->topic);
    }
    struct mill_partition *partition = mill__partition_new(consumer, given->topic, (unsigned)topic, given->partition);
    int rc = consumer->events.assigned(consumer->events.context, partition, partition->topic, partition->number,
                                       &partition->start_offset, &partition->user, &err);
    if (rc < 0) {
        mill__partition_free(partition);
        consumer->client.fatal = err;
        if (err.code == 0) {
            mill_fail(&consumer->client.fatal, rc, "partition %" PRId32 " of topic '%s' was refused", given->partition,
                      given->topic);
        }
        return rc;
    }
    consumer->partitions[consumer->partition_count++] = partition;
    return 0;
}

static void drop_partitions(struct mill_consumer *consumer, bool lost)
{
    for (unsigned i = 0; i < consumer->partition_count; i++) {
        struct mill_partition *partition = consumer->partitions[i];
        consumer->events.revoked(consumer->events.context, partition, partition->user, lost);
    }
    for (unsigned i = 0; i < consumer->partition_count; i++) {
        mill__partition_free(consumer->partitions[i]);
    }
    consumer->partition_count = 0;
    consumer->is_assigning = false;
}

static int compare_partitions(const void *a, const void *b)
{
    const struct mill_partition *x = *(struct mill_partition *const *)a, *y = *(struct mill_partition *const *)b;
    if (x->topic != y->topic) {
        return x->topic < y->topic ? -1 : 1;
    }
    return (x->number > y->number) - (x->number < y->number);
}

static void on_assign(struct mill_consumer *consumer, const rd_kafka_topic_partition_list_t *list)
{
    mill_assert(consumer->partition_count == 0);
    consumer->partitions =
        mill_realloc(consumer->partitions, sizeof(consumer->partitions[0]) * ((size_t)list->cnt + 1));
    for (int i = 0; i < list->cnt; i++) {
        if (add_partition(consumer, &list->elems[i]) < 0) {
            break; /* the error is in client.fatal; poll returns it, close gives back what we have */
        }
    }
    qsort(consumer->partitions, consumer->partition_count, sizeof(consumer->partitions[0]), compare_partitions);
    consumer->is_assigning = consumer->client.fatal.code == 0;
}

/* Called by librdkafka from inside mill_consumer_poll and mill_consumer_close. */
static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t event, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct mill_consumer *consumer = opaque;

    if (event == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        on_assign(consumer, list); /* rd_kafka_assign follows in finish_assignment() */
        return;
    }
    if (event != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
        mill__kafka_log(&consumer->client, LOG_WARNING, "rebalance: %s", rd_kafka_err2str(event));
    }
    drop_partitions(consumer, rd_kafka_assignment_lost(rk) != 0);
    rd_kafka_assign(rk, NULL);
}

/* Answer to mill_consumer_commit. Nothing hangs on it but what people see: say so, go on. */
static void on_commit(rd_kafka_t *rk, rd_kafka_resp_err_t resp_err, rd_kafka_topic_partition_list_t *list, void *opaque)
{
    const struct mill_consumer *consumer = opaque;
    (void)rk;
    (void)list;
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR && resp_err != RD_KAFKA_RESP_ERR__NO_OFFSET) {
        mill__kafka_log(&consumer->client, LOG_WARNING, "the group's offsets were not stored: %s",
                        rd_kafka_err2str(resp_err));
    }
}

/* Fills the start offsets that the caller left to the group. Returns 0, or an error to try again after. */
static rd_kafka_resp_err_t ask_committed(struct mill_consumer *consumer, int timeout_ms)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->partition_count);
    rd_kafka_resp_err_t resp_err = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (unsigned i = 0; i < consumer->partition_count; i++) {
        const struct mill_partition *partition = consumer->partitions[i];
        if (partition->start_offset == -1) {
            rd_kafka_topic_partition_list_add(list, partition->topic_name, partition->number);
        }
    }
    if (list->cnt > 0) {
        resp_err = rd_kafka_committed(consumer->rk, list, timeout_ms);
    }
    for (unsigned i = 0; i < consumer->partition_count && resp_err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        struct mill_partition *partition = consumer->partitions[i];
        const rd_kafka_topic_partition_t *answer =
            rd_kafka_topic_partition_list_find(list, partition->topic_name, partition->number);
        if (answer != NULL && answer->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
            resp_err = answer->err;
        } else if (answer != NULL) {
            partition->start_offset = answer->offset >= 0 ? answer->offset : RD_KAFKA_OFFSET_BEGINNING;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return resp_err;
}

static void start_fetching(struct mill_consumer *consumer)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->partition_count);

    for (unsigned i = 0; i < consumer->partition_count; i++) {
        struct mill_partition *partition = consumer->partitions[i];
        mill__partition_attach(partition);
        partition->last_offset = partition->start_offset >= 0 ? partition->start_offset - 1 : -1;
        rd_kafka_topic_partition_list_add(list, partition->topic_name, partition->number)->offset =
            partition->start_offset;
    }
    rd_kafka_resp_err_t resp_err = rd_kafka_assign(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    /* The group has answered: no need to wait for the first statistics to say so. */
    atomic_store_explicit(&consumer->client.connected, true, memory_order_relaxed);
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail(consumer, mill__kafka_error_code(resp_err), "cannot take the assigned partitions",
             rd_kafka_err2str(resp_err));
    }
}

static void finish_assignment(struct mill_consumer *consumer, int timeout_ms)
{
    if (!consumer->is_assigning) {
        return;
    }
    rd_kafka_resp_err_t resp_err = ask_committed(consumer, timeout_ms);
    if (resp_err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        consumer->is_assigning = false;
        start_fetching(consumer);
    } else if (mill__kafka_error_code(resp_err) == MILL_EUNAVAIL) {
        mill__kafka_log(&consumer->client, LOG_WARNING, "the group's offsets: %s", rd_kafka_err2str(resp_err));
    } else {
        fail(consumer, mill__kafka_error_code(resp_err), "the group's offsets", rd_kafka_err2str(resp_err));
    }
}

/* ---- open, close ---- */

static int subscribe(struct mill_consumer *consumer, struct mill_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->topic_count);
    for (unsigned i = 0; i < consumer->topic_count; i++) {
        rd_kafka_topic_partition_list_add(list, consumer->topics[i], RD_KAFKA_PARTITION_UA);
    }
    rd_kafka_resp_err_t resp_err = rd_kafka_subscribe(consumer->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return resp_err == RD_KAFKA_RESP_ERR_NO_ERROR
               ? 0
               : mill_fail(err, MILL_ECONFIG, "cannot subscribe: %s", rd_kafka_err2str(resp_err));
}

static uint64_t number_of(const rd_kafka_conf_t *conf, const char *name)
{
    char text[32];
    size_t size = sizeof(text);
    mill_assert(rd_kafka_conf_get(conf, name, text, &size) == RD_KAFKA_CONF_OK);
    return strtoull(text, NULL, 10);
}

static void disconnect(struct mill_consumer *consumer)
{
    if (consumer->queue != NULL) {
        rd_kafka_queue_io_event_enable(consumer->queue, -1, NULL, 0);
        rd_kafka_queue_destroy(consumer->queue);
        consumer->queue = NULL;
    }
    if (consumer->rk != NULL) {
        /* Left the group already, or there is nobody to say good-bye to: never wait for it here. */
        rd_kafka_destroy_flags(consumer->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
        consumer->rk = NULL;
    }
}

static void consumer_free(struct mill_consumer *consumer)
{
    disconnect(consumer);
    if (consumer->event_fd >= 0) {
        close(consumer->event_fd);
    }
    for (unsigned i = 0; i < consumer->topic_count; i++) {
        free(consumer->topics[i]);
    }
    free(consumer->topics);
    free(consumer->partitions);
    free(consumer);
}

/* conf is consumed. */
static int connect_with(struct mill_consumer *consumer, rd_kafka_conf_t *conf, struct mill_error *err)
{
    static const uint64_t one = 1;

    MILL_TRY(mill__kafka_open(MILL__KAFKA_CONSUMER, conf, &consumer->rk, err));
    rd_kafka_poll_set_consumer(consumer->rk);
    consumer->queue = rd_kafka_queue_get_consumer(consumer->rk);
    rd_kafka_queue_io_event_enable(consumer->queue, consumer->event_fd, &one, sizeof(one));
    return subscribe(consumer, err);
}

static int consumer_start(struct mill_consumer *consumer, const struct mill_kafka_options *options,
                          struct mill_error *err)
{
    rd_kafka_conf_t *conf;

    consumer->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (consumer->event_fd < 0) {
        return mill_fail(err, MILL_ERESOURCE, "cannot make an event descriptor: %s", strerror(errno));
    }
    MILL_TRY(mill__kafka_conf_new(options, MILL__KAFKA_CONSUMER, &consumer->client, &conf, err));
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
    rd_kafka_conf_set_offset_commit_cb(conf, on_commit);
    consumer->queue_messages_max = (uint32_t)number_of(conf, "queued.min.messages");
    consumer->queue_bytes_max = number_of(conf, "queued.max.messages.kbytes") * 1024;
    return connect_with(consumer, conf, err);
}

int mill_consumer_open(const struct mill_kafka_options *options, const char *const *topics, unsigned topic_count,
                       const struct mill_consumer_events *events, struct mill_consumer **ret_consumer,
                       struct mill_error *err)
{
    mill_assert(options->group != NULL && topic_count > 0);
    mill_assert(events->assigned != NULL && events->revoked != NULL);
    struct mill_consumer *consumer = mill_calloc(1, sizeof(*consumer));
    consumer->event_fd = -1;
    consumer->events = *events;
    consumer->topic_count = topic_count;
    consumer->topics = mill_calloc(topic_count, sizeof(consumer->topics[0]));
    for (unsigned i = 0; i < topic_count; i++) {
        consumer->topics[i] = mill_strdup(topics[i]);
    }
    int rc = consumer_start(consumer, options, err);
    if (rc < 0) {
        consumer_free(consumer);
        return rc;
    }
    *ret_consumer = consumer;
    return 0;
}

void mill_consumer_close(struct mill_consumer *consumer)
{
    if (consumer == NULL) {
        return;
    }
    int64_t deadline_ns = mill_clock_mono_ns() + CLOSE_TIMEOUT_MS * INT64_C(1000000);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(consumer->rk);
    rd_kafka_error_t *error = rd_kafka_consumer_close_queue(consumer->rk, queue);

    /* A separate queue and a deadline, since rd_kafka_consumer_close() of 2.0 can hang when an assignment arrives
     * meanwhile. on_rebalance() is called from in here. */
    while (error == NULL && !rd_kafka_consumer_closed(consumer->rk) && mill_clock_mono_ns() < deadline_ns) {
        rd_kafka_queue_poll_callback(queue, 100);
    }
    rd_kafka_error_destroy(error);
    drop_partitions(consumer, false); /* what no rebalance gave back: after a fatal error, or at the deadline */
    rd_kafka_queue_destroy(queue);
    consumer_free(consumer);
}

/* ---- fenced by ourselves ---- */

/*
 * A broker that does not answer for a session time-out: librdkafka forgets its member id to join anew. A static member
 * that stores offsets before it has a new id is taken by the broker for a second consumer of the same name, and
 * librdkafka 2.0 ends for good ("OffsetCommit failed: static consumer fenced"), though nobody else is there. So it does
 * over a heartbeat that the broker answers late. Where a second one is there, the next time within a minute is
 * believed.
 */
static bool may_rejoin(const struct mill_consumer *consumer)
{
    rd_kafka_resp_err_t cause = rd_kafka_fatal_error(consumer->rk, NULL, 0);

    return cause == RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID &&
           (consumer->rejoined_ns == 0 ||
            mill_clock_mono_ns() - consumer->rejoined_ns > REJOIN_INTERVAL_S * INT64_C(1000000000));
}

/* Begins anew, with what the group gives: the offsets come from the caller, so nothing is lost. */
static int rejoin(struct mill_consumer *consumer, struct mill_error *err)
{
    mill__kafka_log(&consumer->client, LOG_WARNING,
                    "the broker took this consumer for a second one of its own name; joining the group again");
    consumer->rejoined_ns = mill_clock_mono_ns();
    drop_partitions(consumer, true);
    rd_kafka_conf_t *conf = rd_kafka_conf_dup(rd_kafka_conf(consumer->rk));
    disconnect(consumer);
    consumer->client.fatal.code = 0;
    return connect_with(consumer, conf, err);
}

/* ---- poll ---- */

/* An error on the common queue concerns no partition: topics that are not there (yet), group trouble. librdkafka
 * tries again by itself, but for the one kind that it calls fatal (our name in the group was taken). */
static void take_common(struct mill_consumer *consumer, rd_kafka_message_t *message)
{
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
        fail(consumer, MILL_EBUG, "a message came outside of the assignment", rd_kafka_topic_name(message->rkt));
    } else if (message->err == RD_KAFKA_RESP_ERR__FATAL) {
        mill__kafka_note_fatal(consumer->rk, &consumer->client);
    } else {
        mill__kafka_log(&consumer->client, LOG_WARNING, "%s", rd_kafka_message_errstr(message));
    }
    rd_kafka_message_destroy(message);
}

static void serve(struct mill_consumer *consumer)
{
    for (int i = 0; i < SERVE_MAX; i++) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer->rk, 0);
        if (message == NULL) {
            return;
        }
        take_common(consumer, message);
    }
}

static bool any_ready(const struct mill_consumer *consumer)
{
    for (unsigned i = 0; i < consumer->partition_count; i++) {
        if (mill__partition_is_ready(consumer->partitions[i])) {
            return true;
        }
    }
    return false;
}

static void wait_event(struct mill_consumer *consumer, int64_t timeout_ns)
{
    struct pollfd fd = {.fd = consumer->event_fd, .events = POLLIN};
    int64_t timeout_ms = (timeout_ns + 999999) / 1000000, longest_ms = RECHECK_MS;
    uint64_t ignored;

    for (unsigned i = 0; i < consumer->partition_count; i++) {
        if (mill__partition_nudge(consumer->partitions[i])) {
            longest_ms = NUDGE_MS;
        }
    }
    if (poll(&fd, 1, (int)(timeout_ms > longest_ms ? longest_ms : timeout_ms)) > 0) {
        /* Emptied before the queues are looked at: what arrives later signals again. */
        ssize_t n = read(consumer->event_fd, &ignored, sizeof(ignored));
        (void)n;
    }
}

int mill_consumer_poll(struct mill_consumer *consumer, int timeout_ms, struct mill_error *err)
{
    int64_t deadline_ns = mill_clock_mono_ns() + timeout_ms * INT64_C(1000000);

    for (;;) {
        serve(consumer);
        int64_t left_ns = deadline_ns - mill_clock_mono_ns();
        finish_assignment(consumer, left_ns >= COMMITTED_TIMEOUT_MS * INT64_C(1000000) ? COMMITTED_TIMEOUT_MS : 100);
        if (consumer->client.fatal.code != 0 && may_rejoin(consumer)) {
            MILL_TRY(rejoin(consumer, err));
        }
        if (consumer->client.fatal.code != 0) {
            if (err != NULL) {
                *err = consumer->client.fatal;
            }
            return consumer->client.fatal.code;
        }
        if (any_ready(consumer)) {
            return 1;
        }
        if (atomic_exchange_explicit(&consumer->woken, false, memory_order_acquire) || left_ns <= 0) {
            return 0;
        }
        wait_event(consumer, left_ns);
    }
}

/* Pairs with the exchange in mill_consumer_poll: what the waker wrote before is seen after the poll returns. */
void mill_consumer_wake(struct mill_consumer *consumer)
{
    static const uint64_t one = 1;
    atomic_store_explicit(&consumer->woken, true, memory_order_release);
    ssize_t n = write(consumer->event_fd, &one, sizeof(one));
    (void)n; /* a full counter wakes just as well */
}

bool mill_consumer_is_connected(const struct mill_consumer *consumer)
{
    return atomic_load_explicit(&consumer->client.connected, memory_order_relaxed);
}

/* The offsets that the broker's partitions end at, in one request a broker: asked for one by one, each would wait for
 * the fetch that is on the way. */
static int query_ends(struct mill_consumer *consumer, rd_kafka_topic_partition_list_t *list, int timeout_ms,
                      struct mill_error *err)
{
    for (unsigned i = 0; i < consumer->partition_count; i++) {
        const struct mill_partition *partition = consumer->partitions[i];
        rd_kafka_topic_partition_list_add(list, partition->topic_name, partition->number)->offset = RD_KAFKA_OFFSET_END;
    }
    rd_kafka_resp_err_t resp_err = rd_kafka_offsets_for_times(consumer->rk, list, timeout_ms);
    for (int i = 0; i < list->cnt && resp_err == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        resp_err = list->elems[i].err;
    }
    return resp_err == RD_KAFKA_RESP_ERR_NO_ERROR
               ? MILL_OK
               : mill_fail(err, MILL_ERETRY, "the ends of partitions are not known: %s", rd_kafka_err2str(resp_err));
}

int mill_consumer_confirm_end(struct mill_consumer *consumer, int timeout_ms, struct mill_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)consumer->partition_count);
    bool are_there = true;

    for (unsigned i = 0; i < consumer->partition_count; i++) {
        are_there &= consumer->partitions[i]->at_end;
    }
    int rc = are_there && consumer->partition_count > 0 ? query_ends(consumer, list, timeout_ms, err) : MILL_OK;
    for (unsigned i = 0; i < consumer->partition_count && are_there && rc == MILL_OK; i++) {
        const struct mill_partition *partition = consumer->partitions[i];
        are_there = rd_kafka_topic_partition_list_find(list, partition->topic_name, partition->number)->offset <=
                    partition->eof_offset;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc < 0 ? rc : are_there;
}

void mill_consumer_commit(struct mill_consumer *consumer, const struct mill_partition *partition, int64_t next_offset)
{
    if (rd_kafka_assignment_lost(consumer->rk)) {
        return; /* the group would refuse it, and see may_rejoin */
    }
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, partition->topic_name, partition->number)->offset = next_offset;
    rd_kafka_resp_err_t resp_err = rd_kafka_commit(consumer->rk, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
    if (resp_err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        mill__kafka_log(&consumer->client, LOG_WARNING, "the group's offsets were not stored: %s",
                        rd_kafka_err2str(resp_err));
    }
}
