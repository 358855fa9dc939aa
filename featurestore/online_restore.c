/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows that Redis has lost, put again from the state that the caller kept. They go through the same calls as other
 * rows, compared on the server, so that it does not matter what the stream has written meanwhile.
 */
#include "base/timestamp.h"
#include "featurestore/online_internal.h"

static uint32_t claimed_fence(struct mill_online *online, int32_t partition)
{
    uint32_t fence = mill__online_find_fence(online, partition);
    mill_assert(fence != UINT32_MAX && online->fences[fence].token[0] != '\0');
    return fence;
}

/* Redis's clock would let it live for a whole ttl again. */
static bool is_expired(const struct mill_online_view *view, int64_t event_time_us, int64_t newest_us)
{
    int64_t end_us;
    return view->ttl_us > 0 && !__builtin_add_overflow(event_time_us, view->ttl_us, &end_us) && end_us < newest_us;
}

int mill_online_restore(struct mill_online *online, uint32_t view, int32_t partition, struct mill_slice key,
                        struct mill_slice row, int64_t newest_us, struct mill_error *err)
{
    const struct mill_online_view *config = &online->views[view];
    const struct mill_schema schema = {(struct mill_field *)(uintptr_t)config->features, config->feature_count};
    uint32_t fence = claimed_fence(online, partition);
    struct mill_online_row values;
    struct mill_batch batch;

    mill_assert(view < online->view_count && key.n > 0);
    mill_arena_reset(&online->arena);
    MILL_TRY(mill__row_read(&online->row_layouts[view], row, &online->arena, &values, err));
    if (!online->fences[fence].is_owned || is_expired(config, values.event_time_us, newest_us)) {
        return 0;
    }
    mill_batch_init(&batch, &schema, 1, &online->arena);
    batch.row_count = 1;
    batch.partition = values.partition;
    batch.offset[0] = values.offset;
    batch.event_time_us[0] = values.event_time_us;
    memcpy(batch.columns, values.values, config->feature_count * sizeof(*batch.columns));
    mill__online_add_row(online, fence, MILL__CALL_COMPARED, view, key, &batch, 0, 0, row);
    return 1;
}

void mill_online_restored(struct mill_online *online, int32_t partition)
{
    uint32_t fence = claimed_fence(online, partition);
    if (online->fences[fence].is_owned) {
        mill__online_add_empty_call(online, fence, MILL__CALL_RESTORED);
    }
}

void mill_online_check(struct mill_online *online, int32_t partition)
{
    uint32_t index = claimed_fence(online, partition);
    struct mill__online_fence *fence = &online->fences[index];
    if (!fence->is_owned) {
        return;
    }
    if (fence->last_call == fence->checked_call) {
        mill__online_add_empty_call(online, index, MILL__CALL_NEWS);
    }
    fence->checked_call = fence->last_call;
}
