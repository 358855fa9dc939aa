/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write-back: at least once means that nothing counts as applied before all that follows from it is acknowledged. So:
 * scores and forwarded events acknowledged by Kafka, rows by Redis, then state and applied offsets into RocksDB in one
 * batch. A crash before the last step folds the tail again and sends it again; a crash after it loses nothing.
 */
#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

enum { ACK_TIMEOUT_MS = 5000 };

/* Rows of a fenced task were dropped, so what they came from must be folded again after a crash. Of a spoilt task some
 * inputs are gone whose events are in its state, but their offsets could not be written. */
static bool is_writable(const struct mill__task *task)
{
    return !task->is_fenced && !task->is_spoilt;
}

static void fill_batch(struct mill__shard *shard)
{
    mill_kv_batch_reset(shard->batch);
    for (struct mill__task *task = shard->tasks; task != NULL; task = task->next) {
        for (uint32_t v = 0; is_writable(task) && v < shard->plan->project->view_count; v++) {
            mill_view_table_flush(task->tables[v], shard->batch);
        }
    }
    for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (input->applied.applied_offset >= 0 && is_writable(input->task)) {
            if (input->join.join != NULL) {
                mill__input_write_join(input);
            }
            mill__input_write_drift(input);
            mill__meta_write(shard->batch, input->stage->topic, input->number, &input->applied, &shard->scratch);
        }
    }
    shard->batch_is_pending = true;
}

/* A write that failed is tried again, after the store has been brought back, until it succeeds: nothing may pass it. */
static int write_batch(struct mill__shard *shard, struct mill_error *err)
{
    int rc = mill_kv_write(shard->engine->kv, shard->batch, err);
    if (rc < 0 && mill_kv_resume(shard->engine->kv, err) == MILL_OK) {
        rc = mill_kv_write(shard->engine->kv, shard->batch, err);
    }
    mill__shard_set_trouble(shard, MILL__TROUBLE_DISK, rc < 0);
    if (rc < 0) {
        mill_log(MILL_LOG_ERROR, "engine", "state cannot be written, consuming stops until it can: %s", err->msg);
        return rc == MILL_EIO ? MILL_ERETRY : rc;
    }
    shard->batch_is_pending = false;
    return MILL_OK;
}

static void sum_table_stats(struct mill__shard *shard)
{
    struct mill_view_table_stats sum = {0};

    for (struct mill__task *task = shard->tasks; task != NULL; task = task->next) {
        for (uint32_t v = 0; v < shard->plan->project->view_count; v++) {
            struct mill_view_table_stats stats;
            mill_view_table_stats(task->tables[v], &stats);
            sum.entities += stats.entities;
            sum.state_bytes += stats.state_bytes;
            sum.evicted += stats.evicted;
            sum.cold_reads += stats.cold_reads;
            sum.events_dropped += stats.events_dropped;
        }
    }
    mill_gauge_set(shard->metrics.entities, (double)sum.entities);
    mill_gauge_set(shard->metrics.state_bytes, (double)sum.state_bytes);
    mill_gauge_set(shard->metrics.evicted, (double)sum.evicted);
    mill_gauge_set(shard->metrics.cold_reads, (double)sum.cold_reads);
    mill_gauge_set(shard->metrics.events_dropped, (double)sum.events_dropped);
}

/* A row that has changed some views and not yet others: writing state now would fold it twice after a crash. */
static int check_no_half_row(const struct mill__shard *shard, struct mill_error *err)
{
    for (const struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (input->is_loaded && input->pass.step_use > 0) {
            return mill_fail(err, MILL_ERETRY, "an event waits for state that cannot be read");
        }
    }
    return MILL_OK;
}

/* What the inputs have said when they were assigned is acknowledged. */
static void note_awake(struct mill__shard *shard)
{
    uint32_t count = 0;

    for (const struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        count++;
    }
    atomic_store_explicit(&shard->awake_count, count, memory_order_release);
}

/* How far the inputs are, and the panes that this closes. */
static void tell_others(struct mill__shard *shard)
{
    for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (is_writable(input->task) && mill__input_may_go_on(input)) {
            if (input->join.join != NULL) {
                mill__input_send_joined(input);
            }
            mill__input_send_drift(input);
            mill__input_announce(input);
        }
    }
}

int mill__shard_flush(struct mill__shard *shard, struct mill_error *err)
{
    uint32_t settle = atomic_load_explicit(&shard->engine->settle, memory_order_relaxed);
    int64_t begin_ns = mill_clock_mono_ns();

    MILL_TRY(check_no_half_row(shard, err));
    if (!shard->batch_is_pending) {
        mill__shard_check_online(shard);
        MILL_TRY(mill_producer_flush(shard->producer, ACK_TIMEOUT_MS, err));
        note_awake(shard);
        MILL_TRY(mill__shard_settle_online(shard, err));
        tell_others(shard);
        MILL_TRY(mill_producer_flush(shard->producer, ACK_TIMEOUT_MS, err));
        if (shard->engine->kv != NULL) {
            fill_batch(shard);
        }
    }
    if (shard->batch_is_pending) {
        MILL_TRY(write_batch(shard, err));
    }
    for (struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (input->applied.applied_offset >= 0 && is_writable(input->task)) {
            mill_consumer_commit(shard->consumer, input->partition, input->applied.applied_offset + 1);
        }
    }
    sum_table_stats(shard);
    mill__shard_count_joins(shard);
    shard->flush_count++;
    atomic_store_explicit(&shard->settled, settle, memory_order_release);
    shard->flushed_ns = mill_clock_mono_ns();
    shard->flushed_moved = atomic_load_explicit(&shard->moved, memory_order_relaxed);
    mill_histogram_observe(shard->metrics.flush_seconds, (double)(shard->flushed_ns - begin_ns) / 1e9);
    return MILL_OK;
}
