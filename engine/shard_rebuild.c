/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An online store that has lost its rows gets them again from the state of the entities, while the stream goes on.
 *
 * Each entity's state holds the row that was served last, as bytes. First a flush brings those of all entities that
 * have changed to the key-value store; what is folded after it reaches the online store by itself. Then the store is
 * walked, view by view, as fast as the online store takes the rows: they go behind those of the stream in one queue,
 * and only a little of it at a time. The server compares, so that a row of the stream is never replaced by an older
 * one. Until the last row is acknowledged the fence says that rows are missing, so a next owner begins anew.
 */
#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

enum {
    PENDING_MAX = 1 << 20, /* bytes in the queue to the online store beyond which no row is added */
    STEP_ROWS = 1000,
};
#define NS_PER_S INT64_C(1000000000)
#define TELL_NS  (10 * NS_PER_S)

void mill__rebuild_clear(struct mill__rebuild *rebuild)
{
    mill_buffer_clear(&rebuild->walk.after);
    *rebuild = (struct mill__rebuild){0};
}

static bool has_folded(const struct mill__shard *shard, const struct mill__task *task)
{
    bool any = false;

    for (const struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        any |= input->task == task && input->applied.applied_offset >= 0;
    }
    return any;
}

void mill__rebuild_begin(struct mill__shard *shard, struct mill__task *task)
{
    mill__rebuild_clear(&task->rebuild);
    if (!has_folded(shard, task)) { /* the very first start */
        mill_online_restored(shard->online, task->number);
        return;
    }
    task->rebuild.is_wanted = true;
    task->rebuild.flush = shard->flush_count + 1;
    task->rebuild.begin_ns = task->rebuild.told_ns = mill_clock_mono_ns();
    shard->flushed_ns = 0; /* due at once */
}

/* The newest event time of a view's source in this task. */
static int64_t newest_of(const struct mill__shard *shard, const struct mill__task *task, uint32_t source)
{
    int64_t newest_us = INT64_MIN;

    for (const struct mill__input *input = shard->inputs; input != NULL; input = input->next) {
        if (input->task == task && input->stage->source == source && input->applied.newest_us > newest_us) {
            newest_us = input->applied.newest_us;
        }
    }
    return newest_us;
}

struct step {
    struct mill__shard *shard;
    struct mill__task *task;
    uint32_t online_view, left;
    int64_t newest_us;
};

/* A row of other features (derivations have changed since) comes with the entity's next event. */
static bool put_row(void *context, struct mill_slice key, struct mill_slice row)
{
    struct step *step = context;
    struct mill__rebuild *rebuild = &step->task->rebuild;
    struct mill_error err;

    int rc = mill_online_restore(step->shard->online, step->online_view, step->task->number, key, row, step->newest_us,
                                 &err);
    if (rc > 0) {
        rebuild->row_count++;
        mill_counter_add(step->shard->metrics.restored_rows, 1);
    } else {
        rebuild->skipped_count++;
    }
    return --step->left > 0 && mill_online_pending_bytes(step->shard->online) < PENDING_MAX;
}

static void tell_progress(struct mill__task *task, int64_t now_ns)
{
    if (now_ns - task->rebuild.told_ns >= TELL_NS) {
        task->rebuild.told_ns = now_ns;
        mill_log(MILL_LOG_INFO, "redis", "partition %d: %llu rows put again so far", task->number,
                 (unsigned long long)task->rebuild.row_count);
    }
}

static void finish(struct mill__shard *shard, struct mill__task *task)
{
    struct mill__rebuild *rebuild = &task->rebuild;

    mill_online_restored(shard->online, task->number);
    mill_log(MILL_LOG_WARNING, "redis",
             "rows of partition %d were missing in the online store: %llu put again from state in %.1f s, %llu expired "
             "or of other features",
             task->number, (unsigned long long)rebuild->row_count,
             (double)(mill_clock_mono_ns() - rebuild->begin_ns) / NS_PER_S, (unsigned long long)rebuild->skipped_count);
    mill__rebuild_clear(rebuild);
}

static int rebuild_task(struct mill__shard *shard, struct mill__task *task, struct mill_error *err)
{
    const struct mill_project *project = shard->plan->project;
    struct mill__rebuild *rebuild = &task->rebuild;
    struct step step = {.shard = shard, .task = task, .left = STEP_ROWS};

    while (rebuild->view < project->view_count && step.left > 0 &&
           mill_online_pending_bytes(shard->online) < PENDING_MAX) {
        const struct mill_view_config *view = &project->views[rebuild->view];
        if (view->online) {
            step.online_view = shard->engine->online_index[rebuild->view];
            step.newest_us = newest_of(shard, task, view->source);
            MILL_TRY(mill_view_table_walk_rows(task->tables[rebuild->view], &rebuild->walk, put_row, &step, err));
        }
        if (!view->online || rebuild->walk.is_done) {
            mill_buffer_reset(&rebuild->walk.after);
            rebuild->walk.slot = 0;
            rebuild->view++;
        }
    }
    tell_progress(task, mill_clock_mono_ns());
    if (rebuild->view == project->view_count) {
        finish(shard, task);
    }
    return MILL_OK;
}

int mill__shard_rebuild(struct mill__shard *shard, struct mill_error *err)
{
    uint32_t count = 0;
    int rc = MILL_OK;

    for (struct mill__task *task = shard->tasks; task != NULL; task = task->next) {
        if (task->rebuild.is_wanted && shard->flush_count >= task->rebuild.flush && rc >= 0) {
            rc = rebuild_task(shard, task, err);
        }
        count += task->rebuild.is_wanted;
    }
    mill_gauge_set(shard->metrics.rebuilding, count);
    if (count > 0 && rc >= 0) {
        rc = mill__shard_sync_online(shard, err);
    }
    return rc < 0 && mill_error_is_retriable(rc) ? MILL_OK : rc;
}
