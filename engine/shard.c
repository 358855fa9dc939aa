/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of a shard thread; see shard_internal.h. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

enum {
    POLL_IDLE_MS = 100,
    POLL_HOLDING_MS = 1,               /* scores wait for the acknowledgement of earlier ones */
    POLL_WAITING_MS = 2,               /* something is under way that no Kafka message will announce */
    ONLINE_PENDING_MAX = 16 << 20,     /* bytes that Redis has not acknowledged */
    PRODUCER_OUTSTANDING_MAX = 200000, /* records that Kafka has not acknowledged */
    GROUP_INPUTS_MAX = 256,
    RETRY_NS = 1000000000,
    CONFIRM_TIMEOUT_MS = 3000,
    EARLY_ROWS = 600,
    EARLY_SHARE = 25,
};

#define STARTING_NS (10 * INT64_C(1000000000))

void mill__shard_set_trouble(struct mill__shard *shard, enum mill__trouble which, bool on)
{
    unsigned old = atomic_load_explicit(&shard->trouble, memory_order_relaxed);
    unsigned new = on ? old | which : old & ~(unsigned)which;
    if (new != old) {
        atomic_store_explicit(&shard->trouble, new, memory_order_relaxed);
    }
}

/* Nothing new is taken in while what is already here cannot get out. */
static bool is_held_back(struct mill__shard *shard)
{
    return shard->batch_is_pending || mill_producer_outstanding(shard->producer) > PRODUCER_OUTSTANDING_MAX ||
           (shard->online != NULL && mill_online_pending_bytes(shard->online) > ONLINE_PENDING_MAX);
}

/* An empty input holds its group back while it has records that are not here yet, and for a while after its last one.
 */
static bool is_awaited(const struct mill__input *input, int64_t now_ns)
{
    const struct mill_source_config *source = &input->shard->plan->project->sources[input->stage->source];

    return !mill_partition_is_at_end(input->partition) || now_ns - input->data_ns < source->max_idle_us * 1000;
}

static int fill_group(struct mill__input **group, uint32_t count, struct mill_error *err)
{
    for (uint32_t i = 0; i < count; i++) {
        if (group[i]->is_loaded && !mill__pass_has_rows(&group[i]->pass)) {
            mill__input_emit(group[i]);
        }
        if (!group[i]->is_loaded) {
            int rc = mill__input_load(group[i], err);
            if (rc < 0) {
                return rc;
            }
        }
    }
    return MILL_OK;
}

static bool has_rows(const struct mill__input *input)
{
    return input->is_loaded && mill__pass_has_rows(&input->pass);
}

/* The input with the earliest head, and how far it may run before another one comes first. NULL: none, or one must be
 * waited for. */
static struct mill__input *pick(struct mill__input **group, uint32_t count, int64_t *ret_limit_us)
{
    struct mill__input *best = NULL;
    int64_t now_ns = count > 1 ? mill_clock_mono_ns() : 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!has_rows(group[i])) {
            if (count > 1 && !group[i]->is_loaded && is_awaited(group[i], now_ns)) {
                return NULL;
            }
        } else if (best == NULL || mill__pass_head_time(&group[i]->pass) < mill__pass_head_time(&best->pass)) {
            best = group[i];
        }
    }
    *ret_limit_us = INT64_MAX;
    for (uint32_t i = 0; best != NULL && i < count; i++) {
        if (group[i] != best && has_rows(group[i])) {
            int64_t t = mill__pass_head_time(&group[i]->pass);
            *ret_limit_us = t < *ret_limit_us ? t : *ret_limit_us;
        }
    }
    return best;
}

static int step_until(struct mill__input *input, int64_t limit_us, struct mill_error *err)
{
    do {
        MILL_TRY(mill__pass_step(&input->pass, err));
        mill__pass_skip_dead(&input->pass);
    } while (mill__pass_has_rows(&input->pass) && mill__pass_head_time(&input->pass) <= limit_us);
    return MILL_OK;
}

/* Folds what can be folded of a merge group. Everything stepped is sent before it returns, so nothing waits inside for
 * other inputs. */
static int run_group(struct mill__input **group, uint32_t count, struct mill_error *err)
{
    int64_t limit_us;
    uint32_t batches = 0;
    int rc = fill_group(group, count, err);

    while (rc == MILL_OK && batches < count) {
        struct mill__input *input = pick(group, count, &limit_us);
        if (input == NULL) {
            break;
        }
        rc = step_until(input, limit_us, err);
        if (rc == MILL_OK && !mill__pass_has_rows(&input->pass)) {
            batches++;
            rc = fill_group(group, count, err);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (group[i]->is_loaded) {
            mill__input_emit(group[i]);
        }
    }
    return rc;
}

static uint32_t collect_group(struct mill__input *leader, struct mill__input **group)
{
    uint32_t count = 0;

    for (struct mill__input *other = leader; other != NULL && count < GROUP_INPUTS_MAX; other = other->next) {
        if (other->number == leader->number && other->stage->merge_group == leader->stage->merge_group) {
            group[count++] = other;
        }
    }
    return count;
}

static bool is_leader(const struct mill__shard *shard, const struct mill__input *input)
{
    for (const struct mill__input *other = shard->inputs; other != input; other = other->next) {
        if (other->number == input->number && other->stage->merge_group == input->stage->merge_group) {
            return false;
        }
    }
    return true;
}

/* A table's memory is full of changed entities: they can go once they have been written, which the second flush makes
 * sure of. */
static int make_room(struct mill__shard *shard, struct mill_error *err)
{
    if (shard->engine->kv == NULL) {
        return MILL_ERESOURCE;
    }
    MILL_TRY(mill__shard_flush(shard, err));
    return mill__shard_flush(shard, err);
}

static int run_inputs(struct mill__shard *shard, struct mill_error *err)
{
    struct mill__input *group[GROUP_INPUTS_MAX];

    for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (!is_leader(shard, input)) {
            continue;
        }
        if (is_held_back(shard)) {
            MILL_TRY(mill__shard_sync_online(shard, err));
            continue;
        }
        int rc = mill__shard_claim(shard, input->task, err);
        if (rc == MILL_OK) {
            int64_t begin_ns = mill_clock_mono_ns();
            uint64_t moved = atomic_load_explicit(&shard->moved, memory_order_relaxed);
            rc = run_group(group, collect_group(input, group), err);
            if (atomic_load_explicit(&shard->moved, memory_order_relaxed) != moved) {
                mill_histogram_observe(shard->metrics.batch_seconds, (double)(mill_clock_mono_ns() - begin_ns) / 1e9);
            }
        }
        if (rc == MILL_ERESOURCE) {
            rc = make_room(shard, err);
        }
        if (rc < 0 && !mill_error_is_retriable(rc)) {
            return rc;
        }
        /* After each batch, so that Redis works on its rows while the next one is folded. */
        MILL_TRY(mill__shard_sync_online(shard, err));
    }
    return shard->rc;
}

/*
 * A write-back stops the shard for about 2 us a changed entity, which is what the slowest events of a stream wait for.
 * So where events come slowly enough it is made while it is small: EARLY_ROWS of them, and fewer than four times as
 * many, in an EARLY_SHARE-th of the interval. Where they come fast, entities change many times an interval, and waiting
 * pays. `scripts/bench latency`: p99 8 to 11 ms instead of 14, p99.9 16 to 20 instead of 53.
 * Not where a monitor counts: its counts are written whole each time, whatever has changed of them.
 */
static bool is_flush_due(const struct mill__shard *shard, int64_t now_ns)
{
    int64_t elapsed_ns = now_ns - shard->flushed_ns,
            interval_ns = shard->plan->project->engine.flush_interval_us * 1000;
    uint64_t rows = atomic_load_explicit(&shard->moved, memory_order_relaxed) - shard->flushed_moved;

    bool may_be_early = shard->plan->monitor_count == 0 && elapsed_ns >= interval_ns / EARLY_SHARE;

    return elapsed_ns >= interval_ns || (may_be_early && rows >= EARLY_ROWS && rows < 4 * EARLY_ROWS);
}

static int flush_if_due(struct mill__shard *shard, struct mill_error *err)
{
    int64_t now_ns = mill_clock_mono_ns();

    bool is_asked = atomic_load_explicit(&shard->engine->settle, memory_order_relaxed) !=
                    atomic_load_explicit(&shard->settled, memory_order_relaxed);

    if (!is_asked && !is_flush_due(shard, now_ns)) {
        return MILL_OK;
    }
    if (shard->batch_is_pending && now_ns - shard->disk_retry_ns < RETRY_NS) {
        return MILL_OK;
    }
    shard->disk_retry_ns = now_ns;
    int rc = mill__shard_flush(shard, err);
    return rc < 0 && !mill_error_is_retriable(rc) ? rc : MILL_OK;
}

/* Records may have been written that nobody has fetched yet: only the broker knows. */
static void answer_confirm(struct mill__shard *shard, bool at_end)
{
    uint32_t asked = atomic_load_explicit(&shard->engine->confirm, memory_order_relaxed);
    struct mill_error err;

    if (asked != atomic_load_explicit(&shard->confirmed, memory_order_relaxed)) {
        bool is_sure = at_end && mill_consumer_confirm_end(shard->consumer, CONFIRM_TIMEOUT_MS, &err) > 0;
        atomic_store_explicit(&shard->is_confirmed, is_sure, memory_order_relaxed);
        atomic_store_explicit(&shard->confirmed, asked, memory_order_release);
    }
}

static void note_end(struct mill__shard *shard)
{
    bool at_end = mill_producer_outstanding(shard->producer) == 0;
    uint32_t count = 0;

    for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        at_end &= !input->is_loaded && input->record_count == 0 && mill_partition_is_at_end(input->partition);
        count++;
    }
    atomic_store_explicit(&shard->input_count, count, memory_order_relaxed);
    atomic_store_explicit(&shard->is_at_end, at_end, memory_order_release);
    answer_confirm(shard, at_end);
}

static int poll_timeout_ms(struct mill__shard *shard, bool moved)
{
    if (moved) {
        return 0;
    }
    if (mill_producer_is_holding(shard->producer)) {
        return POLL_HOLDING_MS;
    }
    bool waiting = shard->online != NULL && mill_online_pending_bytes(shard->online) > 0;
    for (struct mill__input *input = shard->inputs; input != NULL && !waiting; input = input->next) {
        waiting = input->record_count > 0;
    }
    return waiting ? POLL_WAITING_MS : POLL_IDLE_MS;
}

/* A broker that is away says nothing about whether partitions sleep: their time counts from when it is back. */
static void note_connection(struct mill__shard *shard)
{
    bool is_connected = mill_consumer_is_connected(shard->consumer);

    mill__shard_set_trouble(shard, MILL__TROUBLE_KAFKA, !is_connected);
    for (struct mill__input *input = shard->inputs; !is_connected && input != NULL; input = input->next) {
        input->data_ns = mill_clock_mono_ns();
    }
}

/* Ready once it has partitions, and has asked the stores about them. A shard that gets none is ready, too, after a
 * while. */
static void note_started(struct mill__shard *shard, int64_t begin_ns)
{
    if (shard->inputs != NULL || mill_clock_mono_ns() - begin_ns > STARTING_NS) {
        mill__shard_set_trouble(shard, MILL__TROUBLE_STARTING, false);
    }
}

static int run_loop(struct mill__shard *shard, struct mill_error *err)
{
    int timeout_ms = 0;
    int64_t begin_ns = mill_clock_mono_ns();

    while (!atomic_load_explicit(&shard->engine->stop, memory_order_relaxed)) {
        int ready = mill_consumer_poll(shard->consumer, timeout_ms, err);
        if (ready < 0) {
            /* Told to stop while it waited for an assignment to be whole: an end like any other. */
            bool is_stopped = atomic_load_explicit(&shard->engine->stop, memory_order_relaxed);
            return is_stopped && (mill_error_is_retriable(ready) || ready == MILL_ENOINPUT) ? MILL_OK : ready;
        }
        note_connection(shard);
        uint64_t before = atomic_load_explicit(&shard->moved, memory_order_relaxed);
        MILL_TRY(run_inputs(shard, err));
        note_started(shard, begin_ns);
        MILL_TRY(mill_producer_poll(shard->producer, 0, err));
        MILL_TRY(mill__shard_rebuild(shard, err));
        MILL_TRY(flush_if_due(shard, err));
        note_end(shard);
        bool moved = atomic_load_explicit(&shard->moved, memory_order_relaxed) != before;
        timeout_ms = poll_timeout_ms(shard, moved);
        if (ready > 0 && !moved) {
            mill__nap_ms(POLL_WAITING_MS); /* messages wait for another input, or for a store: poll would not block */
        }
    }
    return MILL_OK;
}

/* An orderly end: what was folded gets out and is written. Tries for a while where a dependency is down. */
static int drain(struct mill__shard *shard, struct mill_error *err)
{
    int rc = MILL_ERETRY;

    for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (input->is_loaded) {
            mill__input_emit(input);
        }
    }
    while (shard->rc == MILL_OK && (rc = mill__shard_flush(shard, err)) < 0 && mill_error_is_retriable(rc)) {
        if (mill__engine_must_leave(shard->engine)) {
            mill_log(MILL_LOG_WARNING, "engine",
                     "shard %u leaves with unwritten state (%s); the next start folds the tail again", shard->index,
                     err->msg);
            return MILL_OK;
        }
        mill__nap_ms(100);
    }
    return shard->rc < 0 ? shard->rc : rc;
}

static int open_decoders(struct mill__shard *shard, struct mill_error *err)
{
    const struct mill_project *project = shard->plan->project;

    shard->decoders = mill_calloc(project->source_count, sizeof(struct mill_decoder *));
    for (uint32_t s = 0; s < project->source_count; s++) {
        MILL_TRY(mill_decoder_open(&project->sources[s].spec, &shard->decoders[s], err));
    }
    return MILL_OK;
}

static int open_consumer(struct mill__shard *shard, struct mill_error *err)
{
    struct mill_consumer_events events = {
        .context = shard, .assigned = mill__shard_assigned, .revoked = mill__shard_revoked};
    struct mill_arena arena;

    mill_arena_init(&arena, 0);
    const char **topics = mill_arena_array(&arena, const char *, shard->plan->topic_count);
    for (uint32_t t = 0; t < shard->plan->topic_count; t++) {
        topics[t] = shard->plan->topics[t]->topic;
    }
    struct mill_kafka_options kafka =
        mill__engine_member(shard->engine, mill_arena_printf(&arena, "%u", shard->index), &arena);
    int rc = mill_consumer_open(&kafka, topics, shard->plan->topic_count, &events, &shard->consumer, err);
    mill_arena_clear(&arena);
    return rc;
}

static int run_shard(struct mill__shard *shard, struct mill_error *err)
{
    shard->batch = mill_kv_batch_new();
    shard->flushed_ns = mill_clock_mono_ns();
    MILL_TRY(open_decoders(shard, err));
    MILL_TRY(mill__shard_open_outputs(shard, err));
    MILL_TRY(open_consumer(shard, err));
    MILL_TRY(run_loop(shard, err));
    return drain(shard, err);
}

static void close_shard(struct mill__shard *shard)
{
    mill_consumer_close(shard->consumer);
    mill__shard_close_outputs(shard);
    for (uint32_t s = 0; shard->decoders != NULL && s < shard->plan->project->source_count; s++) {
        mill_decoder_close(shard->decoders[s]);
    }
    free(shard->decoders);
    mill_kv_batch_free(shard->batch);
    mill_buffer_clear(&shard->text);
    mill_buffer_clear(&shard->key);
    mill_buffer_clear(&shard->scratch);
}

void *mill__shard_main(void *argument)
{
    struct mill__shard *shard = argument;
    struct mill_error err = {0};

    int rc = run_shard(shard, &err);
    if (rc < 0 && shard->rc == MILL_OK) {
        shard->rc = rc;
        shard->err = err;
    }
    if (shard->rc < 0) {
        atomic_store_explicit(&shard->engine->leave, true, memory_order_relaxed);
        mill_engine_stop(shard->engine);
    }
    close_shard(shard);
    return NULL;
}
