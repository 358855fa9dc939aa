/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of re-keyed records; see rekey_internal.h. Shard threads. */
#include "engine/rekey_internal.h"

#include "base/hash.h"
#include "base/number.h"
#include "base/timestamp.h"

enum { REKEY_VERSION = 2, STAGES_MAX = 1024 };

uint64_t mill__rekey_layout_hash(const struct mill_schema *schema, const struct mill__stage *stage)
{
    uint64_t hash = mill_hash64(stage->topic, strlen(stage->topic));
    for (uint32_t i = 0; i < stage->carried_count; i++) {
        const struct mill_field *field = &schema->fields[stage->carried[i]];
        hash = mill_hash64_seed(field->name, strlen(field->name), hash + (uint64_t)field->type);
    }
    return hash;
}

static void encode_upstream(const struct mill__rekey_origin *origin, enum mill__rekey_kind kind,
                            struct mill_buffer *out)
{
    mill_buffer_add_byte(out, REKEY_VERSION);
    mill_buffer_add_byte(out, (uint8_t)kind);
    mill_buffer_add_varint(out, origin->upstream_stage);
    mill_buffer_add_varint(out, (uint64_t)origin->upstream_partition);
}

void mill__rekey_announce(const struct mill__rekey_origin *origin, struct mill_buffer *out)
{
    encode_upstream(origin, MILL__REKEY_ANNOUNCEMENT, out);
    mill_buffer_add_zigzag(out, origin->newest_us);
    mill_buffer_add_byte(out, origin->is_idle);
}

void mill__rekey_encode(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                        const struct mill__rekey_origin *origin, struct mill_buffer *out)
{
    encode_upstream(origin, MILL__REKEY_EVENT, out);
    mill_buffer_add_varint(out, (uint64_t)origin->upstream_offset);
    mill_buffer_add_u64(out, stage->carried_hash);
    mill_buffer_add_varint(out, (uint64_t)origin->source_partition);
    mill_buffer_add_varint(out, (uint64_t)origin->source_offset);
    mill_buffer_add_zigzag(out, batch->event_time_us[row]);

    uint32_t bitmap_size = (stage->carried_count + 7) / 8;
    mill_buffer_reserve(out, bitmap_size);
    size_t bitmap = out->n;
    memset(out->p + bitmap, 0, bitmap_size);
    out->n += bitmap_size;
    for (uint32_t i = 0; i < stage->carried_count; i++) {
        const struct mill_column *column = &batch->columns[stage->carried[i]];
        if (mill_bit_get(column->valid, row)) {
            out->p[bitmap + i / 8] = (char)((uint8_t)out->p[bitmap + i / 8] | 1u << (i % 8));
            mill_column_write_value(column, row, out);
        }
    }
}

/* A partition or offset: not negative, and of the type's range. */
static uint64_t bounded(struct mill_cursor *c, uint64_t max)
{
    uint64_t v = mill_cursor_varint(c);
    c->bad |= v > max;
    return v;
}

static void decode_announcement(struct mill_cursor *c, struct mill__rekey_origin *origin)
{
    origin->newest_us = mill_cursor_zigzag(c);
    origin->is_idle = mill_cursor_byte(c) != 0;
}

static void decode_event(const struct mill__stage *stage, struct mill_cursor *c, struct mill_batch *batch, uint32_t row,
                         struct mill__rekey_origin *origin)
{
    origin->upstream_offset = (int64_t)bounded(c, INT64_MAX);
    c->bad |= mill_cursor_u64(c) != stage->carried_hash;
    origin->source_partition = (int32_t)bounded(c, INT32_MAX);
    origin->source_offset = (int64_t)bounded(c, INT64_MAX);
    batch->event_time_us[row] = mill_cursor_zigzag(c);
    c->bad |= batch->event_time_us[row] < MILL_TIMESTAMP_MIN || batch->event_time_us[row] > MILL_TIMESTAMP_MAX;
    const char *bitmap = mill_cursor_take(c, (stage->carried_count + 7) / 8);
    for (uint32_t i = 0; i < stage->carried_count && !c->bad; i++) {
        if ((uint8_t)bitmap[i / 8] >> (i % 8) & 1) {
            mill_column_read_value(&batch->columns[stage->carried[i]], row, c);
        }
    }
}

/* A key, and a score or a label but not both. */
static bool is_meeting(const struct mill_batch *batch, uint32_t row)
{
    return mill_bit_get(batch->columns[MILL__JOIN_KEY].valid, row) &&
           mill_bit_get(batch->columns[MILL__JOIN_SCORE].valid, row) !=
               mill_bit_get(batch->columns[MILL__JOIN_LABEL].valid, row);
}

int mill__rekey_decode(const struct mill__stage *stage, struct mill_slice value, struct mill_batch *batch, uint32_t row,
                       struct mill__rekey_origin *ret_origin)
{
    struct mill_cursor c = mill_cursor_of(value);
    struct mill__rekey_origin origin = {0};

    *ret_origin = (struct mill__rekey_origin){.kind = MILL__REKEY_NEITHER};
    if (mill_cursor_byte(&c) != REKEY_VERSION) {
        return MILL_EDATA;
    }
    origin.kind = (enum mill__rekey_kind)bounded(&c, MILL__REKEY_ANNOUNCEMENT);
    origin.upstream_stage = (uint32_t)bounded(&c, STAGES_MAX);
    origin.upstream_partition = (int32_t)bounded(&c, INT32_MAX);
    if (origin.kind == MILL__REKEY_ANNOUNCEMENT) {
        decode_announcement(&c, &origin);
    } else {
        decode_event(stage, &c, batch, row, &origin);
        c.bad |= stage->joins != NULL && !is_meeting(batch, row);
    }
    if (c.bad || c.p != c.end || origin.upstream_stage >= stage->upstream_count) {
        return MILL_EDATA;
    }
    if (origin.kind == MILL__REKEY_EVENT) {
        batch->offset[row] = origin.source_offset;
        mill_bit_set(batch->live, row);
    }
    *ret_origin = origin;
    return MILL_OK;
}

bool mill__rekey_key_text(const struct mill_column *column, uint32_t row, struct mill_buffer *out)
{
    if (!mill_bit_get(column->valid, row)) {
        return false;
    }
    if (column->type == MILL_STRING) {
        mill_buffer_add_slice(out, column->at.s[row]);
    } else {
        out->n += mill_number_print_int64(column->at.i[row], mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX));
    }
    return true;
}

int32_t mill__rekey_partition(struct mill_slice key, int32_t partition_count)
{
    uint32_t hash = mill_hash_murmur2(key.p, key.n) & 0x7fffffff;
    return partition_count > 0 ? (int32_t)(hash % (uint32_t)partition_count) : 0;
}

bool mill__rekey_key(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                     int32_t partition_count, struct mill_buffer *out, int32_t *ret_partition)
{
    size_t start = out->n;

    if (stage->entity->key_count > 1) {
        if (!mill_key_encode(stage->entity, batch, stage->key_columns, row, out)) {
            return false;
        }
    } else {
        if (!mill__rekey_key_text(&batch->columns[stage->key_columns[0]], row, out)) {
            return false;
        }
    }
    *ret_partition = mill__rekey_partition((struct mill_slice){out->p + start, out->n - start}, partition_count);
    return true;
}
