/* SPDX-License-Identifier: Apache-2.0 */
/* Applied offsets in RocksDB; see meta_internal.h. Shard threads. */
#include "engine/meta_internal.h"

#include <stdlib.h>

#include "base/hash.h"

enum { META_VERSION = 2, UPSTREAMS_MAX = 65536 };

struct mill__upstream *mill__upstreams_find(struct mill__upstreams *upstreams, uint32_t stage, int32_t partition)
{
    for (uint32_t i = 0; i < upstreams->count; i++) {
        if (upstreams->at[i].partition == partition && upstreams->at[i].stage == stage) {
            return &upstreams->at[i];
        }
    }
    if (upstreams->count == upstreams->capacity) {
        upstreams->capacity = upstreams->capacity == 0 ? 16 : upstreams->capacity * 2;
        upstreams->at = mill_realloc(upstreams->at, upstreams->capacity * sizeof(*upstreams->at));
    }
    struct mill__upstream *added = &upstreams->at[upstreams->count++];
    *added = (struct mill__upstream){
        .stage = stage, .partition = partition, .offset = -1, .newest_us = INT64_MIN, .announced_us = INT64_MIN};
    return added;
}

void mill__upstream_announce(struct mill__upstream *up, int64_t newest_us, bool is_idle)
{
    up->announced_us = newest_us > up->announced_us ? newest_us : up->announced_us;
    up->is_idle = is_idle;
}

/* Whether all partitions of the source sleep, and how far the furthest of them is. */
static bool do_sources_sleep(const struct mill__upstreams *upstreams, uint32_t source, int64_t *ret_most_us)
{
    bool all = true;

    *ret_most_us = INT64_MIN;
    for (uint32_t i = 0; i < upstreams->count; i++) {
        const struct mill__upstream *up = &upstreams->at[i];
        if (up->stage == source) {
            all &= up->is_idle;
            *ret_most_us = up->announced_us > *ret_most_us ? up->announced_us : *ret_most_us;
        }
    }
    return all;
}

int64_t mill__upstreams_complete(const struct mill__upstreams *upstreams, uint32_t first, uint32_t end, bool *ret_idle)
{
    int64_t least_us = INT64_MAX, most_us;
    bool asleep = do_sources_sleep(upstreams, first, &most_us);

    *ret_idle = true;
    for (uint32_t i = 0; i < upstreams->count; i++) {
        const struct mill__upstream *up = &upstreams->at[i];
        bool sleeps = up->is_idle || (asleep && up->announced_us >= most_us);
        if (up->stage >= first && up->stage < end && !sleeps) {
            *ret_idle = false;
            least_us = up->announced_us < least_us ? up->announced_us : least_us;
        }
    }
    return *ret_idle ? most_us : least_us;
}

void mill__upstreams_clear(struct mill__upstreams *upstreams)
{
    free(upstreams->at);
    *upstreams = (struct mill__upstreams){0};
}

void mill__upstreams_copy(struct mill__upstreams *to, const struct mill__upstreams *from)
{
    for (uint32_t i = 0; i < from->count; i++) {
        *mill__upstreams_find(to, from->at[i].stage, from->at[i].partition) = from->at[i];
    }
}

static void put_key(struct mill_buffer *out, const char *topic, int32_t partition)
{
    mill_buffer_reset(out);
    mill_buffer_printf(out, "input/%s/%d", topic, partition);
}

static int damaged(const char *topic, int32_t partition, struct mill_error *err)
{
    return mill_fail(
        err, MILL_EDATA,
        "the stored position of topic '%s' partition %d is damaged; hint: remove the offline store's directory "
        "to rebuild its state from the topics",
        topic, partition);
}

static int decode(struct mill_slice bytes, const char *topic, int32_t partition, struct mill__input_meta *ret_meta,
                  struct mill_error *err)
{
    struct mill__input_meta meta = {0};
    uint64_t sum;

    if (bytes.n < sizeof(sum)) {
        return damaged(topic, partition, err);
    }
    bytes.n -= sizeof(sum);
    memcpy(&sum, bytes.p + bytes.n, sizeof(sum));
    struct mill_cursor c = mill_cursor_of(bytes);
    uint8_t version = mill_cursor_byte(&c);
    if (sum == mill_hash64(bytes.p, bytes.n) && version > 0 && version < META_VERSION) {
        return mill_fail(err, MILL_ECONFIG,
                         "the stored position of topic '%s' partition %d was written by an earlier version; hint: "
                         "remove the offline store's directory and delete the project's .rekey topics to rebuild the "
                         "state from the source topics",
                         topic, partition);
    }
    if (sum != mill_hash64(bytes.p, bytes.n) || version != META_VERSION) {
        return damaged(topic, partition, err);
    }
    meta.state_hash = mill_cursor_u64(&c);
    meta.applied_offset = mill_cursor_zigzag(&c);
    meta.newest_us = mill_cursor_zigzag(&c);
    uint64_t n = mill_cursor_varint(&c);
    for (uint64_t i = 0; i < n && n <= UPSTREAMS_MAX && !c.bad; i++) {
        uint32_t stage = (uint32_t)mill_cursor_varint(&c);
        struct mill__upstream *up = mill__upstreams_find(&meta.upstreams, stage, (int32_t)mill_cursor_varint(&c));
        up->offset = mill_cursor_zigzag(&c);
        up->newest_us = mill_cursor_zigzag(&c);
        up->announced_us = mill_cursor_zigzag(&c);
        up->is_idle = mill_cursor_byte(&c) != 0;
    }
    if (c.bad || c.p != c.end) {
        mill__upstreams_clear(&meta.upstreams);
        return damaged(topic, partition, err);
    }
    *ret_meta = meta;
    return 1;
}

int mill__meta_read(struct mill_kv *kv, const char *topic, int32_t partition, struct mill__input_meta *ret_meta,
                    struct mill_error *err)
{
    struct mill_buffer key = {0}, value = {0};

    put_key(&key, topic, partition);
    int rc = mill_kv_get(kv, MILL_KV_META, mill_buffer_slice(&key), &value, err);
    if (rc == 1) {
        rc = decode(mill_buffer_slice(&value), topic, partition, ret_meta, err);
    }
    mill_buffer_clear(&key);
    mill_buffer_clear(&value);
    return rc;
}

void mill__meta_write(struct mill_kv_batch *batch, const char *topic, int32_t partition,
                      const struct mill__input_meta *meta, struct mill_buffer *scratch)
{
    put_key(scratch, topic, partition);
    size_t key_size = scratch->n;

    mill_buffer_add_byte(scratch, META_VERSION);
    mill_buffer_add_u64(scratch, meta->state_hash);
    mill_buffer_add_zigzag(scratch, meta->applied_offset);
    mill_buffer_add_zigzag(scratch, meta->newest_us);
    mill_buffer_add_varint(scratch, meta->upstreams.count);
    for (uint32_t i = 0; i < meta->upstreams.count; i++) {
        const struct mill__upstream *up = &meta->upstreams.at[i];
        mill_buffer_add_varint(scratch, up->stage);
        mill_buffer_add_varint(scratch, (uint64_t)up->partition);
        mill_buffer_add_zigzag(scratch, up->offset);
        mill_buffer_add_zigzag(scratch, up->newest_us);
        mill_buffer_add_zigzag(scratch, up->announced_us);
        mill_buffer_add_byte(scratch, up->is_idle);
    }
    mill_buffer_add_u64(scratch, mill_hash64(scratch->p + key_size, scratch->n - key_size));
    struct mill_slice key = {scratch->p, key_size};
    struct mill_slice value = {scratch->p + key_size, scratch->n - key_size};
    mill_kv_batch_put(batch, MILL_KV_META, key, value);
}
