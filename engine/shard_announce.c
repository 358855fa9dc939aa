/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcements: how far an input is, said to every partition of the later stages of its flow, and of the topics where
 * what it sends meets labels or scores, once everything before is acknowledged (rekey_internal.h). So a later stage
 * knows how far its own input is complete from that input alone: no clock, no bound on how far partitions may be apart.
 * Called at each flush.
 *
 * Only inputs of sources sleep. A later stage whose upstreams all sleep is as far as the furthest of them, and says so
 * as it says any other time. One that comes to a new owner is awake until it has slept there: it may have records that
 * nobody has read. So that is said before anything is read. And others of the group, which come to their owners at the
 * same time, wait for it: until this process has said it of all partitions that there are, or for WAKE_NS, they say
 * nothing new. Else one that is quick would be the only one awake, and windows would end without the rows of the slow.
 */
#include "base/clock.h"
#include "engine/engine_internal.h"
#include "engine/shard_internal.h"

#define WAKE_NS      (10 * INT64_C(1000000000))
#define SAY_AGAIN_NS (3600 * INT64_C(1000000000)) /* so that retention does not make one that sleeps unknown */

/* A partition at its end that has had no event for that long: the one place where a wall clock has a say. A run until
 * the end waits for none once it is there. */
static bool is_idle(const struct mill__input *input)
{
    bool is_at_end = !input->is_loaded && input->record_count == 0 && mill_partition_is_at_end(input->partition);
    bool is_over = atomic_load_explicit(&input->shard->engine->settle, memory_order_relaxed) > 0;

    return is_at_end &&
           (is_over || mill_clock_mono_ns() - input->data_ns >= input->shard->plan->idle_timeout_us * 1000);
}

int64_t mill__input_complete(const struct mill__input *input, bool *ret_idle)
{
    if (input->stage->upstream_count > 0) {
        return mill__upstreams_complete(&input->applied.upstreams, 0, input->stage->upstream_count, ret_idle);
    }
    *ret_idle = is_idle(input);
    return input->applied.newest_us;
}

bool mill__input_may_go_on(const struct mill__input *input)
{
    return mill__engine_is_awake(input->shard->engine) || mill_clock_mono_ns() - input->assigned_ns > WAKE_NS;
}

static void announce_to(struct mill__input *input, const struct mill__stage *stage,
                        const struct mill__rekey_origin *origin)
{
    struct mill__shard *shard = input->shard;
    unsigned topic = shard->stage_topics[mill__plan_topic_number(shard->plan, stage)];

    mill_buffer_reset(&shard->text);
    mill__rekey_announce(origin, &shard->text);
    for (int32_t p = 0; p < shard->plan->partition_count; p++) {
        mill__shard_send(shard, topic, p, (struct mill_slice){0}, mill_buffer_slice(&shard->text));
    }
}

static void announce(struct mill__input *input, struct mill__rekey_origin *origin)
{
    const struct mill__stage *stage = input->stage;
    const struct mill__flow *flow = stage->flow;

    for (uint32_t s = stage->index + 1; flow->announces && s < flow->stage_count; s++) {
        announce_to(input, &flow->stages[s], origin);
    }
    for (uint32_t i = 0; i < stage->feed_count; i++) {
        origin->upstream_stage = stage->feeds[i].upstream;
        announce_to(input, stage->feeds[i].monitor->join, origin);
    }
}

void mill__input_announce(struct mill__input *input)
{
    struct mill__rekey_origin origin = {
        .kind = MILL__REKEY_ANNOUNCEMENT,
        .upstream_stage = input->stage->index,
        .upstream_partition = input->number,
    };
    const struct mill__stage *stage = input->stage;
    int64_t now_ns = mill_clock_mono_ns();
    bool is_due = !input->has_announced || now_ns - input->announced_ns > SAY_AGAIN_NS;
    bool has_later = stage->flow->announces && stage->index + 1 < stage->flow->stage_count;

    if (!has_later && stage->feed_count == 0) {
        return;
    }
    origin.newest_us = mill__input_complete(input, &origin.is_idle);
    origin.is_idle &= stage->upstream_count == 0;
    if (is_due || origin.newest_us != input->announced_us || origin.is_idle != input->announced_idle) {
        announce(input, &origin);
        input->has_announced = true;
        input->announced_ns = now_ns;
        input->announced_us = origin.newest_us;
        input->announced_idle = origin.is_idle;
        atomic_fetch_add_explicit(&input->shard->announced, 1, memory_order_relaxed);
    }
}
