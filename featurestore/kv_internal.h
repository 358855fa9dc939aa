/* SPDX-License-Identifier: Apache-2.0 */
/* What the key-value store's two files share: the write batch (kv_batch.c), which is plain bytes so that the threads
 * that fill it need not know RocksDB, and its reading by the store (kv_rocksdb.c). */
#ifndef MILL_FEATURESTORE_KV_INTERNAL_H
#define MILL_FEATURESTORE_KV_INTERNAL_H

#include "featurestore/featurestore.h"

/* Records one behind the other: u8 family << 1 | is_delete, varint key length, key, and for a put varint value length,
 * value. */
struct mill_kv_batch {
    struct mill_buffer records;
    uint32_t count;
};

struct mill__kv_record {
    enum mill_kv_family family;
    bool is_delete;
    struct mill_slice key, value;
};

/* Free disk that writes leave alone. Constant; a test that wants to see disks full takes it away. */
extern uint64_t mill__kv_reserve_bytes;

/* Reads the record at the cursor; the caller reads mill_kv_batch.count of them. */
struct mill__kv_record mill__kv_batch_next(struct mill_cursor *cursor);

#endif
