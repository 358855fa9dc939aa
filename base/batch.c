/* SPDX-License-Identifier: Apache-2.0 */
/* Batches of columns; see batch.h. */
#include "base/batch.h"

#include "base/error.h"

static const char *const type_names[MILL_TYPE_COUNT] = {
    [MILL_BOOL] = "bool",     [MILL_INT64] = "int64",         [MILL_FLOAT64] = "float64",
    [MILL_STRING] = "string", [MILL_TIMESTAMP] = "timestamp",
};

static const uint32_t type_sizes[MILL_TYPE_COUNT] = {
    [MILL_BOOL] = 1,
    [MILL_INT64] = sizeof(int64_t),
    [MILL_FLOAT64] = sizeof(double),
    [MILL_STRING] = sizeof(struct mill_slice),
    [MILL_TIMESTAMP] = sizeof(int64_t),
};

const char *mill_type_name(enum mill_type type)
{
    mill_assert((unsigned)type < MILL_TYPE_COUNT);
    return type_names[type];
}

int mill_schema_find(const struct mill_schema *schema, struct mill_slice name)
{
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (mill_slice_is(name, schema->fields[i].name)) {
            return (int)i;
        }
    }
    return -1;
}

void mill_column_init(struct mill_column *column, enum mill_type type, uint32_t row_capacity, struct mill_arena *arena)
{
    mill_assert(row_capacity > 0 && row_capacity <= MILL_BATCH_ROWS_MAX);
    column->type = type;
    column->valid = mill_arena_zarray(arena, uint64_t, mill_bit_words(row_capacity));
    column->at.raw = mill_arena_zalloc(arena, (size_t)row_capacity * type_sizes[type]);
}

void mill_batch_init(struct mill_batch *batch, const struct mill_schema *schema, uint32_t row_capacity,
                     struct mill_arena *arena)
{
    mill_assert(row_capacity > 0 && row_capacity <= MILL_BATCH_ROWS_MAX);
    *batch = (struct mill_batch){.schema = schema, .row_capacity = row_capacity, .arena = arena};
    batch->columns = mill_arena_array(arena, struct mill_column, schema->field_count);
    for (uint32_t c = 0; c < schema->field_count; c++) {
        mill_column_init(&batch->columns[c], schema->fields[c].type, row_capacity, arena);
    }
    batch->live = mill_arena_zarray(arena, uint64_t, mill_bit_words(row_capacity));
    batch->offset = mill_arena_zarray(arena, int64_t, row_capacity);
    batch->event_time_us = mill_arena_zarray(arena, int64_t, row_capacity);
}

void mill_column_write_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out)
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

void mill_column_read_value(struct mill_column *column, uint32_t row, struct mill_cursor *cursor)
{
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[row] = mill_cursor_byte(cursor);
        cursor->bad |= column->at.b[row] > 1;
        break;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        column->at.i[row] = mill_cursor_zigzag(cursor);
        break;
    case MILL_FLOAT64: {
        uint64_t bits = mill_cursor_u64(cursor);
        memcpy(&column->at.f[row], &bits, sizeof(bits));
        break;
    }
    case MILL_STRING: {
        uint64_t n = mill_cursor_varint(cursor);
        const char *p = mill_cursor_take(cursor, n);
        column->at.s[row] = p == NULL ? (struct mill_slice){"", 0} : (struct mill_slice){p, n};
        break;
    }
    }
    mill_bit_set(column->valid, row);
}
