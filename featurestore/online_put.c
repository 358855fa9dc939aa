/* SPDX-License-Identifier: Apache-2.0 */
/* Rows become script calls: up to 100 rows of one partition share a call, whose keys and arguments are gathered in two
 * buffers and joined when it is full. Nothing here allocates once the buffers have grown. */
#include "featurestore/online_internal.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/timestamp.h"

static struct mill__row_origin origin_of(const struct mill_batch *batch, uint32_t row)
{
    struct mill__row_origin origin = {batch->event_time_us[row], batch->offset[row],
                                      batch->row_partition != NULL ? batch->row_partition[row] : batch->partition};
    return origin;
}

static void put_packed(struct mill_online *online, uint32_t view, struct mill_slice key, struct mill_slice packed)
{
    struct mill_buffer *keys = &online->open.keys, *args = &online->open.args;
    size_t head = strlen(online->key_heads[view]);
    mill__resp_number(keys, '$', (int64_t)(head + key.n));
    mill_buffer_add(keys, online->key_heads[view], head);
    mill_buffer_add_slice(keys, key);
    mill_buffer_add(keys, "\r\n", 2);
    mill__resp_bytes(args, packed.p, packed.n);

    /* Keys that were written together must not expire together. The spread comes from the key, so that a repeat sends
     * the same bytes, and only lengthens: nothing is gone before its ttl. */
    int64_t ttl_ms = (online->views[view].ttl_us + 999) / 1000;
    if (ttl_ms > 0) {
        ttl_ms += (int64_t)(mill_hash64(key.p, key.n) % (uint64_t)(ttl_ms / 10 + 1));
    }
    mill__resp_int(args, ttl_ms);
    online->open.arg_count += 2;
}

static void put_feast(struct mill_online *online, uint32_t view, struct mill_slice key, const struct mill_batch *batch,
                      uint32_t row, uint32_t first_column)
{
    const struct mill__feast_view *feast = &online->feast[view];
    struct mill_buffer *args = &online->open.args, *scratch = &online->scratch;
    uint32_t feature_count = online->views[view].feature_count;
    mill_buffer_reset(scratch);
    mill__feast_add_key(feast, online->views[view].entity, key, online->project, scratch);
    mill__resp_bytes(&online->open.keys, scratch->p, scratch->n);

    int64_t time_us = batch->event_time_us[row];
    int64_t second = mill_timestamp_floor(time_us, MILL_US_PER_SECOND);
    mill__resp_int(args, (int64_t)feast->expire_s);
    mill__resp_int(args, second / MILL_US_PER_SECOND);
    mill__resp_int(args, (time_us - second) * 1000);
    mill__resp_int(args, 2 + 2 * (int64_t)feature_count);
    mill__resp_text(args, feast->time_field);
    mill_buffer_reset(scratch);
    mill__feast_add_timestamp(time_us, scratch);
    mill__resp_bytes(args, scratch->p, scratch->n);
    for (uint32_t f = 0; f < feature_count; f++) {
        mill__resp_bytes(args, &feast->fields[f], sizeof(feast->fields[f]));
        mill_buffer_reset(scratch);
        mill__feast_add_value(&batch->columns[first_column + f], row, scratch);
        mill__resp_bytes(args, scratch->p, scratch->n);
    }
    online->open.arg_count += 6 + 2 * feature_count;
}

void mill__online_add_row(struct mill_online *online, uint32_t fence, enum mill__call_mode mode, uint32_t view,
                          struct mill_slice key, const struct mill_batch *batch, uint32_t row, uint32_t first_column,
                          struct mill_slice packed)
{
    struct mill__row_origin origin = origin_of(batch, row);
    struct mill__online_high *high = mill__online_high_of(online, &online->fences[fence], view, origin.partition);

    if (online->open.row_count == MILL__CALL_ROWS_MAX ||
        online->open.keys.n + online->open.args.n >= MILL__CALL_BYTES_MAX ||
        (online->open.row_count > 0 && (online->open.fence != fence || online->open.mode != mode))) {
        mill__online_close_call(online);
    }
    online->open.fence = fence;
    online->open.mode = mode;
    online->open.row_count++;
    high->touched = true;
    high->now = origin.offset > high->now ? origin.offset : high->now;
    if (online->layout == MILL_ONLINE_PACKED) {
        put_packed(online, view, key, packed);
    } else {
        put_feast(online, view, key, batch, row, first_column);
    }
}

/* Beyond what earlier owners wrote, a row is known to be newer than what is there. */
static enum mill__call_mode mode_of(struct mill_online *online, uint32_t fence, uint32_t view,
                                    const struct mill__row_origin *origin)
{
    struct mill__online_high *high = mill__online_high_of(online, &online->fences[fence], view, origin->partition);
    return origin->offset <= high->before ? MILL__CALL_COMPARED : MILL__CALL_NEWS;
}

struct mill_slice mill_online_put(struct mill_online *online, uint32_t view, int32_t partition, struct mill_slice key,
                                  const struct mill_batch *batch, uint32_t row, uint32_t first_column)
{
    uint32_t fence = mill__online_find_fence(online, partition);
    const struct mill__row_layout *layout = &online->row_layouts[view];
    struct mill__row_origin origin = origin_of(batch, row);

    mill_assert(view < online->view_count && fence != UINT32_MAX && online->fences[fence].token[0] != '\0');
    mill_assert(key.n > 0 && row < batch->row_count);
    mill_buffer_reset(&online->packed);
    size_t size = mill__row_size(layout, batch, row, first_column);
    mill__row_write(layout, &origin, batch, row, first_column, mill_buffer_reserve(&online->packed, size), size);
    online->packed.n = size;
    struct mill_slice packed = mill_buffer_slice(&online->packed);
    if (online->fences[fence].is_owned) { /* if not, mill_online_sync says so */
        mill__online_add_row(online, fence, mode_of(online, fence, view, &origin), view, key, batch, row, first_column,
                             packed);
    }
    return packed;
}

/* ------------------------------------------------------------------------------------------------
 * The queue
 * --------------------------------------------------------------------------------------------- */

/* Forgets what has been acknowledged; moves the rest only when that is the smaller part. */
static void trim_queue(struct mill_online *online)
{
    size_t gone = (size_t)(online->acked - online->queue_base);
    if (gone > online->queue.n / 2 || gone == online->queue.n) {
        online->queue.n -= gone;
        if (online->queue.n > 0) {
            memmove(online->queue.p, online->queue.p + gone, online->queue.n);
        }
        online->queue_base = online->acked;
    }
}

static void remember_call(struct mill_online *online, struct mill__online_call call)
{
    if (online->call_count == online->call_capacity) {
        uint32_t capacity = online->call_capacity == 0 ? 64 : online->call_capacity * 2;
        struct mill__online_call *calls = mill_malloc(sizeof(*calls) * capacity);
        for (uint32_t i = 0; i < online->call_count; i++) {
            calls[i] = online->calls[(online->call_first + i) & (online->call_capacity - 1)];
        }
        free(online->calls);
        online->calls = calls;
        online->call_first = 0;
        online->call_capacity = capacity;
    }
    online->calls[(online->call_first + online->call_count++) & (online->call_capacity - 1)] = call;
}

static uint32_t count_touched(const struct mill__online_fence *fence)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < fence->high_count; i++) {
        n += fence->highs[i].touched;
    }
    return n;
}

static void add_touched(struct mill__online_fence *fence, struct mill_buffer *out)
{
    for (uint32_t i = 0; i < fence->high_count; i++) {
        struct mill__online_high *high = &fence->highs[i];
        if (high->touched) {
            mill__resp_text(out, high->field);
            mill__resp_int(out, high->now);
            high->touched = false;
        }
    }
}

static void queue_call(struct mill_online *online)
{
    struct mill__online_fence *fence = &online->fences[online->open.fence];
    struct mill_buffer *out = &online->queue;
    uint32_t touched = count_touched(fence);
    trim_queue(online);
    mill__resp_command(out, 3 + 1 + online->open.row_count + 4 + 2 * touched + online->open.arg_count);
    mill__resp_text(out, "EVALSHA");
    mill__resp_bytes(out, online->script_sha, MILL__SCRIPT_SHA_BYTES);
    mill__resp_int(out, 1 + online->open.row_count);
    mill__resp_text(out, fence->key);
    mill_buffer_add_slice(out, mill_buffer_slice(&online->open.keys));
    mill__resp_text(out, fence->token);
    mill__resp_int(out, (int64_t)++fence->last_call);
    mill__resp_int(out, (int)online->open.mode);
    mill__resp_int(out, touched);
    add_touched(fence, out);
    mill_buffer_add_slice(out, mill_buffer_slice(&online->open.args));
    remember_call(online, (struct mill__online_call){online->queue_base + out->n, online->open.fence});

    mill_buffer_reset(&online->open.keys);
    mill_buffer_reset(&online->open.args);
    online->open.row_count = online->open.arg_count = 0;
}

void mill__online_close_call(struct mill_online *online)
{
    if (online->open.row_count > 0) {
        queue_call(online);
    }
}

void mill__online_add_empty_call(struct mill_online *online, uint32_t fence, enum mill__call_mode mode)
{
    mill__online_close_call(online);
    online->open.fence = fence;
    online->open.mode = mode;
    queue_call(online);
}
