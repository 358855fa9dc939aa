/* SPDX-License-Identifier: Apache-2.0 */
/* Inputs of a shard: assignment, loading batches, giving them back; see shard_internal.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

/* How far apart in event time the upstream partitions of a re-keyed topic may be read with rows exact to the last
 * event. */
#define UPSTREAM_SKEW_US MILL_US_PER_HOUR

static void free_task(struct mill__shard *shard, struct mill__task *task)
{
    for (struct mill__task **at = &shard->tasks; *at != NULL; at = &(*at)->next) {
        if (*at == task) {
            *at = task->next;
            break;
        }
    }
    for (uint32_t v = 0; v < shard->plan->project->view_count; v++) {
        mill_view_table_close(task->tables[v]);
    }
    mill__rebuild_clear(&task->rebuild);
    free(task->tables);
    free(task);
    mill__shard_note_fences(shard);
}

static int new_task(struct mill__shard *shard, int32_t number, struct mill__task **ret_task, struct mill_error *err)
{
    const struct mill_project *project = shard->plan->project;
    struct mill__task *task = mill_calloc(1, sizeof(*task));

    task->number = number;
    task->tables = mill_calloc(project->view_count, sizeof(struct mill_view_table *));
    task->next = shard->tasks;
    shard->tasks = task;
    for (uint32_t v = 0; v < project->view_count; v++) {
        struct mill_view_table_options options = {
            .partition = number,
            .view_id = shard->engine->view_ids[v],
            .entities_max = project->engine.entities_max,
            .kv = shard->engine->kv,
            .keeps_rows = shard->online != NULL && project->views[v].online,
        };
        int rc = mill_view_table_open(shard->plan->views[v], &options, &task->tables[v], err);
        if (rc < 0) {
            free_task(shard, task);
            return rc;
        }
    }
    *ret_task = task;
    return MILL_OK;
}

static int find_task(struct mill__shard *shard, int32_t number, struct mill__task **ret_task, struct mill_error *err)
{
    for (struct mill__task *task = shard->tasks; task != NULL; task = task->next) {
        if (task->number == number) {
            *ret_task = task;
            return MILL_OK;
        }
    }
    return new_task(shard, number, ret_task, err);
}

/* State of another definition, or a topic that no longer reaches back to it, is never papered over. */
static int check_applied(struct mill__input *input, int64_t low, int64_t high, struct mill_error *err)
{
    const struct mill_project *project = input->shard->plan->project;
    const char *path = project->offline_store.options.path;
    int64_t applied = input->applied.applied_offset;

    if (input->applied.state_hash != input->shard->plan->state_hash) {
        return mill_fail(err, MILL_ECONFIG,
                         "the state in '%s' was made by other feature views than those of '%s'; hint: restore the old "
                         "definitions, or remove that directory to rebuild the state from the topics",
                         path, project->path);
    }
    if (applied + 1 < low) {
        return mill_fail(
            err, MILL_EDATA,
            "topic '%s' partition %d begins at offset %lld, but the stored state ends at %lld: the records between "
            "are gone and the state cannot be completed; hint: restore the records, or remove '%s' to start over",
            input->stage->topic, input->number, (long long)low, (long long)applied, path);
    }
    if (applied >= high) {
        return mill_fail(
            err, MILL_EDATA,
            "topic '%s' partition %d ends at offset %lld, but the stored state has %lld: the topic was made anew or "
            "truncated; hint: remove '%s' to start over",
            input->stage->topic, input->number, (long long)high, (long long)applied, path);
    }
    return MILL_OK;
}

/* All partitions of all earlier stages: one that has sent nothing yet holds windows open as well. */
static void list_upstreams(const struct mill__input *input, struct mill__upstreams *upstreams)
{
    for (uint32_t stage = 0; stage < input->stage->upstream_count; stage++) {
        for (int32_t p = 0; p < input->stage->upstream_partitions[stage]; p++) {
            mill__upstreams_find(upstreams, stage, p);
        }
    }
}

/* What waits in a join can be read again from its topic, which keeps it; and what has left the topic between two times
 * that a partition was here waits for nothing any more. So a join is not what keeps an engine from starting. */
static bool begins_anew(const struct mill__input *input, int64_t low, int64_t high)
{
    int64_t applied = input->applied.applied_offset;

    if (input->stage->joins == NULL || (applied + 1 >= low && applied < high)) {
        return false;
    }
    mill_log(MILL_LOG_WARNING, "drift",
             "topic '%s' partition %d has offsets %lld to %lld, but what is stored of it ends at %lld: monitor '%s' "
             "joins labels anew from what the topic has",
             input->stage->topic, input->number, (long long)low, (long long)high, (long long)applied,
             input->stage->joins->spec.name);
    return true;
}

/* Where to read on: behind what the stored state has, or from the beginning where there is none. */
static int find_position(struct mill__input *input, int64_t *ret_offset, struct mill_error *err)
{
    struct mill__shard *shard = input->shard;
    int64_t low, high;

    const struct mill__input_meta none = {
        .state_hash = shard->plan->state_hash, .applied_offset = -1, .newest_us = INT64_MIN};
    input->applied = none;
    MILL_TRY(mill__wait_for_offsets(shard->engine, shard, input->stage->topic, input->number, &low, &high, err));
    *ret_offset = low;
    int rc = 0;
    if (shard->engine->kv != NULL) {
        rc = mill__meta_read(shard->engine->kv, input->stage->topic, input->number, &input->applied, err);
    }
    if (rc > 0 && begins_anew(input, low, high)) {
        mill__upstreams_clear(&input->applied.upstreams);
        input->applied = none;
        rc = 0;
    }
    list_upstreams(input, &input->applied.upstreams);
    mill__upstreams_copy(&input->loaded, &input->applied.upstreams);
    if (rc <= 0) {
        return rc;
    }
    *ret_offset = input->applied.applied_offset + 1;
    return check_applied(input, low, high, err);
}

static void register_input_metrics(struct mill__input *input)
{
    char number[16];
    snprintf(number, sizeof(number), "%d", input->number);
    const char *labels[] = {"topic", input->stage->topic, "partition", number, NULL};
    struct mill_metrics *metrics = input->shard->engine->metrics;

    input->lag =
        mill_metrics_gauge(metrics, "ingest_lag_records",
                           "Records between what was applied and the end of the partition.", MILL_GAUGE_SUM, labels);
    input->watermark = mill_metrics_gauge(metrics, "ingest_watermark_timestamp_seconds",
                                          "Newest event time less the allowed lateness.", MILL_GAUGE_MAX, labels);
}

static void free_input(struct mill__input *input)
{
    struct mill__shard *shard = input->shard;

    for (struct mill__input **at = &shard->inputs; *at != NULL; at = &(*at)->next) {
        if (*at == input) {
            *at = input->next;
            break;
        }
    }
    mill_gauge_unset(input->lag);
    mill_gauge_unset(input->watermark);
    mill__pass_clear(&input->pass);
    if (input->stage->upstream_count == 0) {
        mill__admission_clear(&input->admission);
    }
    mill__contributors_clear(&input->contributors);
    mill__input_clear_join(input);
    mill__upstreams_clear(&input->loaded);
    mill__upstreams_clear(&input->applied.upstreams);
    free(input->records);
    free(input->origins);
    if (--input->task->input_count == 0) {
        free_task(shard, input->task);
    }
    free(input);
}

int mill__shard_assigned(void *context, struct mill_partition *partition, unsigned topic, int32_t number,
                         int64_t *ret_offset, void **ret_user, struct mill_error *err)
{
    struct mill__shard *shard = context;
    const struct mill__stage *stage = shard->plan->topics[topic];
    uint32_t capacity = shard->plan->project->engine.batch_rows;
    struct mill__task *task;

    MILL_TRY(find_task(shard, number, &task, err));
    struct mill__input *input = mill_calloc(1, sizeof(*input));
    input->shard = shard;
    input->task = task;
    input->stage = stage;
    input->partition = partition;
    input->number = number;
    input->records = mill_calloc(capacity, sizeof(*input->records));
    input->origins = mill_calloc(capacity, sizeof(*input->origins));
    input->next = shard->inputs;
    shard->inputs = input;
    task->input_count++;
    register_input_metrics(input);
    mill__pass_init(&input->pass, shard->plan, stage->flow, stage->index, stage->index, task->tables);
    int rc = find_position(input, ret_offset, err);
    rc = rc < 0 ? rc : mill__input_open_drift(input, err);
    rc = rc < 0 || stage->joins == NULL ? rc : mill__input_open_join(input, err);
    if (stage->upstream_count == 0) {
        mill__admission_init(&input->admission, &shard->plan->project->sources[stage->source],
                             input->applied.newest_us);
    }
    if (rc < 0) {
        free_input(input);
        return rc;
    }
    input->data_ns = input->assigned_ns = mill_clock_mono_ns();
    atomic_store_explicit(&shard->awake_count, 0, memory_order_relaxed);
    shard->flushed_ns = shard->plan->monitor_count > 0 ? 0 : shard->flushed_ns; /* due at once */
    mill__input_announce(input);
    mill__input_send_drift(input);
    if (stage->joins != NULL) {
        mill__input_send_joined(input);
    }
    *ret_user = input;
    mill_log(MILL_LOG_INFO, "engine", "shard %u takes topic '%s' partition %d from offset %lld", shard->index,
             stage->topic, number, (long long)*ret_offset);
    return MILL_OK;
}

static void give_back_records(struct mill__input *input)
{
    if (input->record_count > 0) {
        mill_partition_release(input->partition, input->records, input->record_count);
    }
    input->record_count = 0;
    input->is_loaded = false;
}

/* The last words of an input that leaves in order. False where its events could not be written. */
static bool write_last(struct mill__input *input)
{
    struct mill__shard *shard = input->shard;
    struct mill_error err;

    if (input->is_loaded) {
        mill__input_emit(input);
    }
    int rc = mill__shard_flush(shard, &err);
    if (rc < 0) {
        mill_log(MILL_LOG_WARNING, "engine",
                 "shard %u gives up topic '%s' partition %d with unwritten state (%s); its next owner "
                 "folds the tail again",
                 shard->index, input->stage->topic, input->number, err.msg);
    }
    return rc == MILL_OK;
}

/* A batch that the disk still refuses belongs to tables that are gone. Written later, it would meet those of a new
 * assignment, which have begun with what was on the disk before. */
static void drop_pending_batch(struct mill__shard *shard)
{
    if (shard->inputs == NULL) {
        mill_kv_batch_reset(shard->batch);
        shard->batch_is_pending = false;
    }
}

void mill__shard_revoked(void *context, struct mill_partition *partition, void *user, bool lost)
{
    struct mill__shard *shard = context;
    struct mill__input *input = user;

    mill_assert(input->partition == partition);
    bool may_write =
        !lost && !atomic_load_explicit(&shard->engine->leave, memory_order_relaxed) && shard->rc == MILL_OK;
    if (!may_write || !write_last(input)) {
        input->task->is_spoilt = true;
    }
    give_back_records(input);
    free_input(input);
    atomic_store_explicit(&shard->awake_count, 0, memory_order_relaxed);
    drop_pending_batch(shard);
}

/*
 * The event time that no upstream partition is behind, but for those that are more than an hour behind the newest: they
 * would keep every window of the others open. An event from a source's own topic says how far its partition is; one
 * that has come through another stage does not, since that stage waits for partitions of its own.
 */
static int64_t slowest_upstream(const struct mill__upstreams *upstreams)
{
    int64_t newest_us = INT64_MIN, slowest_us = INT64_MAX;

    for (uint32_t i = 0; i < upstreams->count; i++) {
        const struct mill__upstream *up = &upstreams->at[i];
        int64_t t = up->stage == 0 && up->newest_us > up->announced_us ? up->newest_us : up->announced_us;
        newest_us = up->newest_us > newest_us ? up->newest_us : newest_us;
        slowest_us = t < slowest_us ? t : slowest_us;
    }
    if (newest_us == INT64_MIN) {
        return INT64_MIN;
    }
    return slowest_us > newest_us - UPSTREAM_SKEW_US ? slowest_us : newest_us - UPSTREAM_SKEW_US;
}

static void count_admission(struct mill__input *input, uint64_t late_dropped, uint64_t late_applied)
{
    struct mill__shard *shard = input->shard;
    const struct mill__admission *admission = &input->admission;

    mill_counter_add(shard->metrics.late_dropped, admission->late_dropped - late_dropped);
    mill_counter_add(shard->metrics.late_applied, admission->late_applied - late_applied);
    mill_counter_add(shard->metrics.null_warnings, admission->warning_count);
    mill__admission_log(admission);
}

static int decode_source(struct mill__input *input, struct mill_error *err)
{
    struct mill__shard *shard = input->shard;
    uint64_t late_dropped = input->admission.late_dropped, late_applied = input->admission.late_applied;

    input->pass.batch.partition = input->number;
    int rc = mill_decoder_decode(shard->decoders[input->stage->source], input->records, input->record_count,
                                 &input->pass.batch, &input->pass.rejects, err);
    if (rc < 0) {
        return rc;
    }
    mill__admit(&input->admission, &input->pass.batch, &input->pass.rejects, input->pass.newest_before);
    count_admission(input, late_dropped, late_applied);
    return MILL_OK;
}

/* At-least-once delivery may bring an event twice: what its upstream partition has sent before is dropped here. */
static bool is_duplicate(struct mill__input *input, const struct mill__rekey_origin *origin, int64_t event_time_us)
{
    struct mill__upstream *up =
        mill__upstreams_find(&input->loaded, origin->upstream_stage, origin->upstream_partition);
    if (origin->upstream_offset <= up->offset) {
        return true;
    }
    up->offset = origin->upstream_offset;
    up->newest_us = event_time_us > up->newest_us ? event_time_us : up->newest_us;
    return false;
}

static void decode_rekeyed(struct mill__input *input)
{
    struct mill_batch *batch = &input->pass.batch;
    int32_t *partitions = mill_arena_zarray(batch->arena, int32_t, input->record_count);
    uint64_t duplicates = 0;

    batch->row_partition = partitions;
    batch->row_count = input->record_count;
    for (uint32_t row = 0; row < input->record_count; row++) {
        struct mill__rekey_origin *origin = &input->origins[row];
        input->pass.newest_before[row] = slowest_upstream(&input->loaded);
        if (mill__rekey_decode(input->stage, input->records[row].value, batch, row, origin) < 0) {
            mill_reject_row(&input->pass.rejects, batch, row, MILL_REJECT_INCOMPATIBLE,
                            "not a re-keyed record of this version and definition of the project");
        } else if (origin->kind == MILL__REKEY_ANNOUNCEMENT) {
            mill__upstream_announce(
                mill__upstreams_find(&input->loaded, origin->upstream_stage, origin->upstream_partition),
                origin->newest_us, origin->is_idle);
        } else if (is_duplicate(input, origin, batch->event_time_us[row])) {
            mill_bit_clear(batch->live, row);
            duplicates++;
        }
        partitions[row] = origin->source_partition;
    }
    mill_counter_add(input->shard->metrics.duplicates, duplicates);
}

int mill__input_load(struct mill__input *input, struct mill_error *err)
{
    struct mill__shard *shard = input->shard;

    if (input->record_count == 0) {
        input->record_count =
            mill_partition_fetch(input->partition, input->records, shard->plan->project->engine.batch_rows);
        if (input->record_count == 0) {
            return 0;
        }
        input->data_ns = mill_clock_mono_ns();
    }
    mill__pass_begin(&input->pass, input->record_count);
    if (input->stage->upstream_count == 0) {
        int rc = decode_source(input, err);
        mill__shard_set_trouble(shard, MILL__TROUBLE_REGISTRY, rc == MILL_EUNAVAIL);
        if (rc < 0) {
            return rc == MILL_EUNAVAIL ? 0 : rc;
        }
    } else {
        decode_rekeyed(input);
    }
    mill_counter_add(shard->metrics.records[mill__plan_topic_number(shard->plan, input->stage)], input->record_count);
    mill__shard_send_dead_letters(input);
    mill__input_read_labels(input);
    mill__pass_prepare(&input->pass);
    mill__pass_skip_dead(&input->pass);
    input->is_loaded = true;
    return 1;
}

static void note_upstream(struct mill__input *input, const struct mill__rekey_origin *origin, int64_t event_time_us)
{
    if (origin->kind == MILL__REKEY_NEITHER) {
        return;
    }
    struct mill__upstream *up =
        mill__upstreams_find(&input->applied.upstreams, origin->upstream_stage, origin->upstream_partition);
    if (origin->kind == MILL__REKEY_ANNOUNCEMENT) {
        mill__upstream_announce(up, origin->newest_us, origin->is_idle);
        return;
    }
    up->offset = origin->upstream_offset > up->offset ? origin->upstream_offset : up->offset;
    up->newest_us = event_time_us > up->newest_us ? event_time_us : up->newest_us;
    up->is_idle = false;
}

/* Rows from <= i < to are folded and sent. */
static void note_applied(struct mill__input *input, uint32_t from, uint32_t to)
{
    const struct mill_batch *batch = &input->pass.batch;

    for (uint32_t row = from; row < to; row++) {
        bool live = mill_bit_get(batch->live, row);
        int64_t t = batch->event_time_us[row];
        if (live && t > input->applied.newest_us) {
            input->applied.newest_us = t;
        }
        if (input->stage->upstream_count > 0) {
            note_upstream(input, &input->origins[row], live ? t : INT64_MIN);
        }
    }
    input->applied.applied_offset = input->records[to - 1].offset;
}

static void observe(struct mill__input *input, uint32_t from)
{
    struct mill__shard *shard = input->shard;
    int64_t produced_us = input->records[from].broker_time_us;

    if (produced_us >= 0 && input->stage->upstream_count == 0) {
        mill_histogram_observe(shard->metrics.latency_seconds, (double)(mill_clock_wall_us() - produced_us) / 1e6);
    }
    int64_t end = mill_partition_end_offset(input->partition);
    if (end >= 0) {
        int64_t lag = end - input->applied.applied_offset - 1;
        mill_gauge_set(input->lag, (double)(lag > 0 ? lag : 0));
    }
    if (input->applied.newest_us != INT64_MIN && input->stage->joins == NULL) {
        int64_t lateness_us = shard->plan->project->sources[input->stage->source].allowed_lateness_us;
        mill_gauge_set(input->watermark, (double)(input->applied.newest_us - lateness_us) / 1e6);
    }
}

static void note_moved(struct mill__shard *shard, uint32_t rows)
{
    int64_t now_ns = mill_clock_mono_ns();

    if (atomic_load_explicit(&shard->first_ns, memory_order_relaxed) == 0) {
        atomic_store_explicit(&shard->first_ns, now_ns, memory_order_relaxed);
    }
    atomic_store_explicit(&shard->last_ns, now_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&shard->moved, rows, memory_order_relaxed);
}

void mill__input_emit(struct mill__input *input)
{
    struct mill__sink sink = mill__shard_sink;
    uint32_t from = input->pass.emitted;
    uint32_t to = input->pass.stepped;

    sink.context = input;
    mill__pass_emit(&input->pass, &sink);
    if (to > from) {
        mill__input_send_labels(input, from, to);
        if (input->join.join != NULL) {
            mill__input_join_rows(input, from, to);
        }
        note_applied(input, from, to);
        observe(input, from);
        note_moved(input->shard, to - from);
    }
    if (to == input->pass.batch.row_count) {
        give_back_records(input);
    }
}
