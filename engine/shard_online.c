/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The shard and the fences of the online store. A task folds only while it holds its partition's token. When another
 * engine takes that, mostly this one has lost the partition in the group and hears of it at its next poll. Where it
 * keeps the partition, it waits long enough for the group to tell, claims again, and puts the rows of its state again,
 * since those of the meantime were dropped. Two engines that both think that they are right thus take turns, ever more
 * slowly.
 */
#include "base/clock.h"
#include "base/log.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

#define NS_PER_S INT64_C(1000000000)
/* The first wait is longer than a member needs to hear that it is none any more (heartbeat.interval.ms: 3 s). */
#define RECLAIM_FIRST_NS (5 * NS_PER_S)
#define RECLAIM_MAX_NS   (300 * NS_PER_S)
/* A token that was held so long counts as peace. */
#define HELD_LONG_NS (600 * NS_PER_S)

static struct mill__task *task_of(const struct mill__shard *shard, int32_t number)
{
    struct mill__task *task = shard->tasks;

    while (task != NULL && task->number != number) {
        task = task->next;
    }
    return task;
}

static int64_t reclaim_wait_ns(const struct mill__task *task)
{
    uint32_t doublings = task->fence_count > 8 ? 8 : task->fence_count - 1;
    int64_t wait_ns = RECLAIM_FIRST_NS << doublings;
    return wait_ns < RECLAIM_MAX_NS ? wait_ns : RECLAIM_MAX_NS;
}

void mill__shard_note_fences(struct mill__shard *shard)
{
    uint32_t count = 0;

    for (const struct mill__task *task = shard->tasks; task != NULL; task = task->next) {
        count += task->is_fenced;
    }
    mill_gauge_set(shard->metrics.fenced, count);
    mill__shard_set_trouble(shard, MILL__TROUBLE_FENCED, count > 0);
}

static void note_fenced(struct mill__task *task)
{
    int64_t now_ns = mill_clock_mono_ns();

    task->fence_count = now_ns - task->claimed_ns > HELD_LONG_NS ? 1 : task->fence_count + 1;
    task->is_claimed = false;
    task->is_fenced = true;
    task->fenced_ns = now_ns;
    mill__rebuild_clear(&task->rebuild);
    mill_log(MILL_LOG_ERROR, "redis",
             "another engine has taken partition %d of the online store; it is claimed again in %lld s if the group "
             "leaves it to this one",
             task->number, (long long)(reclaim_wait_ns(task) / NS_PER_S));
}

/* What the store has said since it was last asked. */
static void take_notes(struct mill__shard *shard)
{
    struct mill__task *task;
    int32_t number;

    while (mill_online_fenced(shard->online, &number)) {
        if ((task = task_of(shard, number)) != NULL) {
            note_fenced(task);
        }
    }
    mill__shard_note_fences(shard);
    while (mill_online_lost(shard->online, &number)) {
        if ((task = task_of(shard, number)) != NULL && task->is_claimed) {
            mill__rebuild_begin(shard, task);
        }
    }
}

int mill__shard_claim(struct mill__shard *shard, struct mill__task *task, struct mill_error *err)
{
    int64_t now_ns = mill_clock_mono_ns();

    if (shard->online == NULL || task->is_claimed) {
        return MILL_OK;
    }
    if (task->is_fenced &&
        (now_ns - task->fenced_ns < reclaim_wait_ns(task) || !mill_consumer_is_connected(shard->consumer))) {
        return mill_fail(err, MILL_ERETRY, "another engine has taken partition %d of the online store", task->number);
    }
    int rc = mill_online_claim(shard->online, task->number, task->is_fenced, err);
    mill__shard_set_trouble(shard, MILL__TROUBLE_REDIS, rc == MILL_EUNAVAIL);
    MILL_TRY(rc);
    if (task->is_fenced) {
        mill_log(MILL_LOG_WARNING, "redis",
                 "partition %d of the online store is claimed again: the group still gives it to this engine",
                 task->number);
    }
    task->is_claimed = true;
    task->is_fenced = false;
    task->claimed_ns = now_ns;
    take_notes(shard); /* before anything is folded: a first start has nothing to put again */
    return MILL_OK;
}

int mill__shard_sync_online(struct mill__shard *shard, struct mill_error *err)
{
    if (shard->online == NULL) {
        return MILL_OK;
    }
    int rc = mill_online_sync(shard->online, false, err);
    if (rc == MILL_EUNAVAIL) {
        mill_log(MILL_LOG_WARNING, "redis", "waiting for the online store: %s", err->msg);
    }
    take_notes(shard);
    mill__shard_set_trouble(shard, MILL__TROUBLE_REDIS, rc == MILL_EUNAVAIL);
    mill_gauge_set(shard->metrics.online_pending_bytes, (double)mill_online_pending_bytes(shard->online));
    return rc == MILL_EUNAVAIL || rc == MILL_EDATA ? MILL_OK : rc;
}

int mill__shard_settle_online(struct mill__shard *shard, struct mill_error *err)
{
    if (shard->online == NULL) {
        return MILL_OK;
    }
    int rc = mill_online_sync(shard->online, true, err);
    mill__shard_set_trouble(shard, MILL__TROUBLE_REDIS, rc == MILL_EUNAVAIL);
    take_notes(shard);
    return rc == MILL_EDATA ? MILL_OK : rc; /* fenced: all else is acknowledged */
}

void mill__shard_check_online(struct mill__shard *shard)
{
    for (const struct mill__task *task = shard->tasks; task != NULL && shard->online != NULL; task = task->next) {
        if (task->is_claimed) {
            mill_online_check(shard->online, task->number);
        }
    }
}
