/* SPDX-License-Identifier: Apache-2.0 */
/* Feast's Redis layout, byte by byte (docs/redis.md): entity keys of version 3, hash fields, protobuf values. Pure
 * functions but mill__feast_open; any thread. Used by online_put.c and online_get.c. */
#ifndef MILL_FEATURESTORE_ONLINE_FEAST_INTERNAL_H
#define MILL_FEATURESTORE_ONLINE_FEAST_INTERNAL_H

#include "featurestore/featurestore.h"

/* A hash takes (view, feature) pairs as one HSET; Lua hands over at most some 8,000 arguments. */
enum { MILL__FEAST_FEATURES_MAX = 3000 };

struct mill__feast_view {
    struct mill_buffer key_head;            /* number, types and names of the join keys, sorted by name */
    uint32_t key_order[MILL_KEY_PARTS_MAX]; /* sorted place -> join key of the entity */
    uint32_t *fields;                       /* per feature: murmur3 of "view:feature", the name of its hash field */
    char *time_field;                       /* "_ts:view" */
    uint64_t expire_s;                      /* of the entity's hash, which other views share; 0: never */
};

/* Fails where two features of views with the same join keys have the same hash, or a view has too many. */
int mill__feast_open(const struct mill_online_view *views, uint32_t view_count, struct mill__feast_view **ret_views,
                     struct mill_error *err) MILL_MUST_CHECK;
void mill__feast_close(struct mill__feast_view *views, uint32_t view_count);

/* Appends the Redis key of an entity, given by its canonical key. */
void mill__feast_add_key(const struct mill__feast_view *view, const struct mill_entity *entity, struct mill_slice key,
                         const char *project, struct mill_buffer *out);
/* Appends a feast.types.Value; nothing for null and NaN. */
void mill__feast_add_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out);
/* Appends a google.protobuf.Timestamp; nothing for the epoch. */
void mill__feast_add_timestamp(int64_t us, struct mill_buffer *out);

/* Reads a Value of the column's type into row 0, null where it is empty. Strings stay in bytes. False where the bytes
 * are something else. */
bool mill__feast_read_value(struct mill_slice bytes, struct mill_column *column);
bool mill__feast_read_timestamp(struct mill_slice bytes, int64_t *ret_us);

uint32_t mill__murmur3(const void *p, size_t n);

#endif
