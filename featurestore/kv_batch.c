/* SPDX-License-Identifier: Apache-2.0 */
/* The write batch of the key-value store: records in a buffer that keeps its memory. Filled by views and the engine,
 * replayed into a RocksDB batch by kv_rocksdb.c. */
#include "featurestore/kv_internal.h"

#include <stdlib.h>

struct mill_kv_batch *mill_kv_batch_new(void)
{
    return mill_calloc(1, sizeof(struct mill_kv_batch));
}

void mill_kv_batch_free(struct mill_kv_batch *batch)
{
    if (batch != NULL) {
        mill_buffer_clear(&batch->records);
        free(batch);
    }
}

void mill_kv_batch_reset(struct mill_kv_batch *batch)
{
    mill_buffer_reset(&batch->records);
    batch->count = 0;
}

uint32_t mill_kv_batch_count(const struct mill_kv_batch *batch)
{
    return batch->count;
}

static void add_bytes(struct mill_buffer *records, struct mill_slice s)
{
    mill_buffer_add_varint(records, s.n);
    mill_buffer_add_slice(records, s);
}

void mill_kv_batch_put(struct mill_kv_batch *batch, enum mill_kv_family family, struct mill_slice key,
                       struct mill_slice value)
{
    mill_assert((unsigned)family < MILL_KV_FAMILY_COUNT && key.n > 0 && batch->count < UINT32_MAX);
    mill_buffer_add_byte(&batch->records, (unsigned char)(family << 1));
    add_bytes(&batch->records, key);
    add_bytes(&batch->records, value);
    batch->count++;
}

void mill_kv_batch_delete(struct mill_kv_batch *batch, enum mill_kv_family family, struct mill_slice key)
{
    mill_assert((unsigned)family < MILL_KV_FAMILY_COUNT && key.n > 0 && batch->count < UINT32_MAX);
    mill_buffer_add_byte(&batch->records, (unsigned char)(family << 1 | 1));
    add_bytes(&batch->records, key);
    batch->count++;
}

static struct mill_slice take_bytes(struct mill_cursor *cursor)
{
    size_t n = (size_t)mill_cursor_varint(cursor);
    return (struct mill_slice){mill_cursor_take(cursor, n), n};
}

struct mill__kv_record mill__kv_batch_next(struct mill_cursor *cursor)
{
    struct mill__kv_record record = {0};
    uint8_t tag = mill_cursor_byte(cursor);
    record.family = (enum mill_kv_family)(tag >> 1);
    record.is_delete = (tag & 1) != 0;
    record.key = take_bytes(cursor);
    if (!record.is_delete) {
        record.value = take_bytes(cursor);
    }
    mill_assert(!cursor->bad);
    return record;
}
