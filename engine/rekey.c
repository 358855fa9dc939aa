/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of re-keyed records; see rekey_internal.h. Shard threads. */
#include "engine/rekey_internal.h"

#include "base/hash.h"
#include "base/number.h"

enum { REKEY_VERSION = 1 };

uint64_t mill__rekey_layout_hash(const struct mill_schema *schema, const struct mill__stage *stage)
{
    uint64_t hash = mill_hash64(stage->topic, strlen(stage->topic));
    for (uint32_t i = 0; i < stage->carried_count; i++) {
        const struct mill_field *field = &schema->fields[stage->carried[i]];
        hash = mill_hash64_seed(field->name, strlen(field->name), hash + (uint64_t)field->type);
    }
    return hash;
}

static void encode_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out)
{
    switch (column->type) {
    case MILL_BOOL:
        mill_buffer_add_byte(out, column->at.b[row]);
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        mill_buffer_add_zigzag(out, column->at.i[row]);
        break;
    case MILL_FLOAT64:
        mill_buffer_add(out, &column->at.f[row], sizeof(double));
        break;
    case MILL_STRING:
        mill_buffer_add_varint(out, column->at.s[row].n);
        mill_buffer_add_slice(out, column->at.s[row]);
        break;
    }
}

void mill__rekey_encode(const struct mill__stage *stage, const struct mill_batch *batch, uint32_t row,
                        const struct mill__rekey_origin *origin, struct mill_buffer *out)
{
    mill_buffer_add_byte(out, REKEY_VERSION);
    mill_buffer_add_u64(out, stage->carried_hash);
    mill_buffer_add_varint(out, (uint64_t)origin->source_partition);
    mill_buffer_add_varint(out, (uint64_t)origin->source_offset);
    mill_buffer_add_zigzag(out, batch->event_time_us[row]);
    mill_buffer_add_varint(out, (uint64_t)origin->upstream_partition);
    mill_buffer_add_varint(out, (uint64_t)origin->upstream_offset);

    uint32_t bitmap_size = (stage->carried_count + 7) / 8;
    mill_buffer_reserve(out, bitmap_size);
    size_t bitmap = out->n;
    memset(out->p + bitmap, 0, bitmap_size);
    out->n += bitmap_size;
    for (uint32_t i = 0; i < stage->carried_count; i++) {
        const struct mill_column *column = &batch->columns[stage->carried[i]];
        if (mill_bit_get(column->valid, row)) {
            out->p[bitmap + i / 8] = (char)((uint8_t)out->p[bitmap + i / 8] | 1u << (i % 8));
            encode_value(column, row, out);
        }
    }
}

static void decode_value(struct mill_cursor *c, struct mill_column *column, uint32_t row)
{
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[row] = mill_cursor_byte(c) != 0;
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        column->at.i[row] = mill_cursor_zigzag(c);
        break;
    case MILL_FLOAT64: {
        uint64_t bits = mill_cursor_u64(c);
        memcpy(&column->at.f[row], &bits, sizeof(bits));
        break;
    }
    case MILL_STRING: {
        uint64_t n = mill_cursor_varint(c);
        const char *p = mill_cursor_take(c, n);
        column->at.s[row] = (struct mill_slice){p, p == NULL ? 0 : n};
        break;
    }
    }
    mill_bit_set(column->valid, row);
}

/* A partition or offset: not negative, and of the type's range. */
static uint64_t bounded(struct mill_cursor *c, uint64_t max)
{
    uint64_t v = mill_cursor_varint(c);
    c->bad |= v > max;
    return v;
}

int mill__rekey_decode(const struct mill__stage *stage, struct mill_slice value, struct mill_batch *batch, uint32_t row,
                       struct mill__rekey_origin *ret_origin)
{
    struct mill_cursor c = mill_cursor_of(value);

    if (mill_cursor_byte(&c) != REKEY_VERSION || mill_cursor_u64(&c) != stage->carried_hash) {
        return MILL_EDATA;
    }
    ret_origin->source_partition = (int32_t)bounded(&c, INT32_MAX);
    ret_origin->source_offset = (int64_t)bounded(&c, INT64_MAX);
    batch->event_time_us[row] = mill_cursor_zigzag(&c);
    ret_origin->upstream_partition = (int32_t)bounded(&c, INT32_MAX);
    ret_origin->upstream_offset = (int64_t)bounded(&c, INT64_MAX);
    const char *bitmap = mill_cursor_take(&c, (stage->carried_count + 7) / 8);
    for (uint32_t i = 0; i < stage->carried_count && !c.bad; i++) {
        if ((uint8_t)bitmap[i / 8] >> (i % 8) & 1) {
            decode_value(&c, &batch->columns[stage->carried[i]], row);
        }
    }
    if (c.bad || c.p != c.end) {
        return MILL_EDATA;
    }
    batch->offset[row] = ret_origin->source_offset;
    mill_bit_set(batch->live, row);
    return MILL_OK;
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
        const struct mill_column *column = &batch->columns[stage->key_columns[0]];
        if (!mill_bit_get(column->valid, row)) {
            return false;
        }
        if (column->type == MILL_STRING) {
            mill_buffer_add_slice(out, column->at.s[row]);
        } else {
            out->n += mill_number_print_int64(column->at.i[row], mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX));
        }
    }
    uint32_t hash = mill_hash_murmur2(out->p + start, out->n - start) & 0x7fffffff;
    *ret_partition = partition_count > 0 ? (int32_t)(hash % (uint32_t)partition_count) : 0;
    return true;
}
