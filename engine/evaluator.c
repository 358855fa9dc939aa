/* SPDX-License-Identifier: Apache-2.0 */
/* The thread of the evaluator; see evaluator_internal.h. */
#include <stdlib.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"

enum {
    POLL_MS = 100,
    FETCH_MAX = 500,
    ASK_TIMEOUT_MS = 10000,
    REFERENCES_MAX = 16,
    END_ROUNDS = 3,
    ASK_AGAIN_MS = 500
};
#define ASSIGNMENT_NS (10 * INT64_C(1000000000)) /* how long an end waits for partitions */

static int on_assigned(void *context, struct mill_partition *partition, unsigned topic, int32_t number,
                       int64_t *ret_offset, void **ret_user, struct mill_error *err)
{
    struct mill__evaluator *e = context;
    int64_t low, high;

    (void)topic;
    const char *panes = e->engine->project->output.drift_panes_topic;
    MILL_TRY(mill__wait_for_offsets(e->engine, NULL, panes, number, &low, &high, err));
    struct mill__slot *slot = mill__slot_new(e, partition, number, high);
    slot->next = e->slots;
    e->slots = slot;
    *ret_offset = low;
    *ret_user = slot;
    if (slot->watch_count > 0) {
        mill_log(MILL_LOG_INFO, "drift", "this process evaluates partition %d of topic '%s': %u monitors", number,
                 panes, slot->watch_count);
    }
    return MILL_OK;
}

static void on_revoked(void *context, struct mill_partition *partition, void *user, bool lost)
{
    struct mill__evaluator *e = context;
    struct mill__slot *slot = user;

    (void)partition;
    (void)lost; /* what was evaluated is acknowledged; what was not, the next owner evaluates */
    for (struct mill__slot **at = &e->slots; *at != NULL; at = &(*at)->next) {
        if (*at == slot) {
            *at = slot->next;
            break;
        }
    }
    mill__slot_free(slot);
}

static void on_undeliverable(void *context, const char *topic, struct mill_slice value, const char *why)
{
    (void)context;
    mill_log(MILL_LOG_ERROR, "kafka", "a record of %zu bytes for topic '%s' cannot be delivered: %s", value.n, topic,
             why);
}

/* ------------------------------------------------------------------------------------------------
 * References
 * --------------------------------------------------------------------------------------------- */

static void take_reference(struct mill__evaluator *e, const struct mill_record *record)
{
    struct mill_error err;

    for (uint32_t m = 0; m < e->plan->monitor_count; m++) {
        if (record->value.p != NULL && e->plan->monitors[m].profile == NULL &&
            mill_slice_is(record->key, e->plan->monitors[m].spec.name) &&
            mill__reference_offer(&e->engine->references, m, record->value, &err) < 0) {
            mill_log(MILL_LOG_ERROR, "drift", "the reference of monitor '%s' cannot be read: %s",
                     e->plan->monitors[m].spec.name, err.msg);
        }
    }
}

/* Takes what is there; waits up to timeout_ms for it. *ret_offset: of the last record. */
static int poll_references(struct mill__evaluator *e, int timeout_ms, int64_t *ret_offset, struct mill_error *err)
{
    struct mill_record records[REFERENCES_MAX];
    int32_t partitions[REFERENCES_MAX];

    int n = mill_tail_next(e->references, timeout_ms, records, partitions, REFERENCES_MAX, err);
    for (int i = 0; i < n; i++) {
        take_reference(e, &records[i]);
        *ret_offset = records[i].offset;
    }
    return n;
}

/* All that was published before, so that a monitor does not make its reference twice. */
static int read_references(struct mill__evaluator *e, struct mill_error *err)
{
    const char *topic = e->engine->project->output.drift_references_topic;
    int64_t low, high, offset = -1;

    MILL_TRY(mill_tail_open(&e->engine->kafka, topic, true, &e->references, err));
    MILL_TRY(mill_kafka_watermarks(&e->engine->kafka, topic, 0, ASK_TIMEOUT_MS, &low, &high, err));
    while (high > low && offset < high - 1) {
        int n = poll_references(e, ASK_TIMEOUT_MS, &offset, err);
        if (n <= 0) {
            return n < 0 ? n : mill_fail(err, MILL_EUNAVAIL, "topic '%s' cannot be read to its end", topic);
        }
    }
    return MILL_OK;
}

static bool makes_references(const struct mill__plan *plan)
{
    for (uint32_t m = 0; m < plan->monitor_count; m++) {
        if (plan->monitors[m].profile == NULL) {
            return true;
        }
    }
    return false;
}

/* ------------------------------------------------------------------------------------------------
 * The loop
 * --------------------------------------------------------------------------------------------- */

/* Takes what is there; true where there was something. */
static bool fetch(struct mill__slot *slot)
{
    struct mill_record records[FETCH_MAX];
    uint32_t count = mill_partition_fetch(slot->partition, records, FETCH_MAX);
    int64_t last = count > 0 ? records[count - 1].offset : -1;

    for (uint32_t i = 0; i < count; i++) {
        mill__slot_take(slot, records[i].key, records[i].value);
    }
    if (count > 0) {
        mill_partition_release(slot->partition, records, count);
    }
    if (!slot->is_restored && (last >= slot->end_offset - 1 || mill_partition_is_at_end(slot->partition))) {
        mill__slot_restore(slot);
    }
    return count > 0;
}

static int evaluate(struct mill__slot *slot, struct mill_error *err)
{
    for (uint32_t i = 0; slot->is_restored && i < slot->watch_count; i++) {
        if (slot->watches[i].has_news) {
            MILL_TRY(mill__watch_emit(&slot->watches[i], err));
        }
    }
    return MILL_OK;
}

/* One turn: what is there is taken and evaluated. *ret_moved: something was there. */
static int turn(struct mill__evaluator *e, bool *ret_moved, struct mill_error *err)
{
    int64_t offset;

    *ret_moved = false;
    int ready = mill_consumer_poll(e->consumer, POLL_MS, err);
    if (ready < 0) {
        return ready;
    }
    for (struct mill__slot *slot = e->slots; slot != NULL; slot = slot->next) {
        *ret_moved |= fetch(slot);
        MILL_TRY(evaluate(slot, err));
    }
    if (e->references != NULL) {
        int n = poll_references(e, 0, &offset, err);
        *ret_moved |= n > 0;
        if (n < 0 && !mill_error_is_retriable(n)) {
            return n;
        }
    }
    return mill_producer_poll(e->producer, 0, err);
}

/* is_sure: the broker is asked. */
static bool is_at_end(const struct mill__evaluator *e, bool is_sure)
{
    struct mill_error err;

    for (const struct mill__slot *slot = e->slots; slot != NULL; slot = slot->next) {
        if (!slot->is_restored || !mill_partition_is_at_end(slot->partition)) {
            return false;
        }
    }
    return !is_sure || mill_consumer_confirm_end(e->consumer, ASK_TIMEOUT_MS, &err) > 0;
}

/* The shards have sent their last: what is due is said before this process leaves. */
static bool is_done(struct mill__evaluator *e, bool moved, int *still, int64_t left_ns)
{
    bool waits = e->slots == NULL && e->engine->options.until_end && mill_clock_mono_ns() - left_ns < ASSIGNMENT_NS;

    *still = !moved && !waits && is_at_end(e, *still + 1 == END_ROUNDS) ? *still + 1 : 0;
    return *still >= END_ROUNDS || mill__engine_must_leave(e->engine);
}

static int run_loop(struct mill__evaluator *e, struct mill_error *err)
{
    int64_t left_ns = 0;
    int still = 0;

    for (;;) {
        bool moved;
        int rc = turn(e, &moved, err);
        if (rc < 0 && !(mill_error_is_retriable(rc) && mill__engine_must_leave(e->engine))) {
            return rc;
        }
        if (!atomic_load_explicit(&e->engine->shards_left, memory_order_acquire)) {
            if (atomic_load_explicit(&e->engine->leave, memory_order_relaxed)) {
                return MILL_OK;
            }
            continue;
        }
        left_ns = left_ns == 0 ? mill_clock_mono_ns() : left_ns;
        if (is_done(e, moved, &still, left_ns)) {
            return MILL_OK;
        }
    }
}

static int open_outputs(struct mill__evaluator *e, struct mill_error *err)
{
    const struct mill_output_config *output = &e->engine->project->output;

    MILL_TRY(mill_producer_open(&e->engine->kafka, on_undeliverable, NULL, &e->producer, err));
    e->reports_topic = mill_producer_topic(e->producer, output->drift_reports_topic);
    e->alerts_topic = mill_producer_topic(e->producer, output->drift_alerts_topic);
    e->retrain_topic = mill_producer_topic(e->producer, output->retrain_topic);
    e->panes_topic = mill_producer_topic(e->producer, output->drift_panes_topic);
    e->references_topic = mill_producer_topic(e->producer, output->drift_references_topic);
    return MILL_OK;
}

/* Kafka was there a moment ago; where it is not any more, it is waited for. */
int mill__evaluator_read_references(struct mill__evaluator *e, struct mill_error *err)
{
    int rc = MILL_OK;

    while (makes_references(e->plan) && (rc = read_references(e, err)) < 0 && mill_error_is_retriable(rc) &&
           !mill__engine_must_leave(e->engine)) {
        mill_log(MILL_LOG_WARNING, "drift", "waiting for references: %s", err->msg);
        mill_tail_close(e->references);
        e->references = NULL;
        mill__nap_ms(ASK_AGAIN_MS);
    }
    return rc;
}

static int open_consumer(struct mill__evaluator *e, struct mill_error *err)
{
    const struct mill_project *project = e->engine->project;
    struct mill_consumer_events events = {.context = e, .assigned = on_assigned, .revoked = on_revoked};
    struct mill_arena arena;

    mill_arena_init(&arena, 0);
    struct mill_kafka_options kafka = mill__engine_member(e->engine, "drift", &arena);
    kafka.group = mill_arena_printf(&arena, "%s.drift", project->kafka.group);
    int rc = mill_consumer_open(&kafka, &project->output.drift_panes_topic, 1, &events, &e->consumer, err);
    mill_arena_clear(&arena);
    return rc;
}

static int run(struct mill__evaluator *e, struct mill_error *err)
{
    MILL_TRY(open_outputs(e, err));
    MILL_TRY(open_consumer(e, err));
    return run_loop(e, err);
}

void *mill__evaluator_main(void *argument)
{
    struct mill__evaluator *e = argument;

    e->metrics = mill__drift_metrics_new(e->engine->metrics);
    e->rc = run(e, &e->err);
    if (e->rc < 0) {
        atomic_store_explicit(&e->engine->leave, true, memory_order_relaxed);
        mill_engine_stop(e->engine);
    }
    mill_consumer_close(e->consumer);
    mill_producer_close(e->producer, 10000);
    mill_tail_close(e->references);
    mill__drift_metrics_free(e->metrics);
    mill_buffer_clear(&e->key);
    mill_buffer_clear(&e->text);
    mill_buffer_clear(&e->gone);
    mill__cloud_headers_clear(&e->headers);
    return NULL;
}
