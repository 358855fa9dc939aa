/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of rows: what came before there was a profile to count it against. Behind the head of every part (part.c):
 *
 *   varint how many fields; of each: byte type, varint length and name
 *   rows to the end: zigzag varint event time less that of the row before; bits of which values are there, field by
 *   field and the segment last; the values that are there: bool a byte, integers and times zigzag varint, doubles 8
 *   bytes, strings (segments too) varint length and bytes
 */
#include <stdlib.h>

#include "base/number.h"
#include "drift/count_internal.h"

void mill__rows_write(const struct mill_field *fields, uint32_t field_count, const struct mill_buffer *body,
                      struct mill_buffer *out)
{
    size_t begin = out->n;

    mill_buffer_add_byte(out, MILL__PART_VERSION);
    mill_buffer_add_byte(out, MILL__PART_ROWS);
    mill_buffer_add_u64(out, 0);
    mill_buffer_add_varint(out, field_count);
    for (uint32_t f = 0; f < field_count; f++) {
        mill_buffer_add_byte(out, (unsigned char)fields[f].type);
        mill_buffer_add_varint(out, strlen(fields[f].name));
        mill_buffer_add_string(out, fields[f].name);
    }
    mill_buffer_add(out, body->p, body->n);
    mill__part_finish(begin, out);
}

static void add_text(struct mill_buffer *out, struct mill_slice text)
{
    mill_buffer_add_varint(out, text.n);
    mill_buffer_add_slice(out, text);
}

void mill__rows_add(const struct mill_field *fields, uint32_t field_count, const struct mill_column *const *columns,
                    const struct mill_column *segment, int64_t step_us, uint32_t row, struct mill_buffer *body)
{
    uint32_t bytes = field_count / 8 + 1;
    bool has_segment = segment != NULL && mill__has_value(segment, row);
    char room[MILL_NUMBER_TEXT_MAX];

    mill_buffer_add_zigzag(body, step_us);
    memset(mill_buffer_reserve(body, bytes), 0, bytes);
    size_t bits = body->n;
    body->n += bytes;
    for (uint32_t f = 0; f <= field_count; f++) {
        mill_assert(f == field_count || columns[f]->type == fields[f].type);
        if (f == field_count ? has_segment : mill__has_value(columns[f], row)) {
            body->p[bits + f / 8] = (char)(body->p[bits + f / 8] | 1 << f % 8);
        }
    }
    for (uint32_t f = 0; f < field_count; f++) {
        if (mill__has_value(columns[f], row)) {
            mill_column_write_value(columns[f], row, body);
        }
    }
    if (has_segment) {
        add_text(body, mill__level_text(segment, row, room));
    }
}

static struct mill_slice take_text(struct mill_cursor *cursor)
{
    uint64_t n = mill_cursor_varint(cursor);
    const char *p = mill_cursor_take(cursor, n);
    return p == NULL ? (struct mill_slice){"", 0} : (struct mill_slice){p, n};
}

static void take_fields(struct mill__rows_reader *reader)
{
    uint64_t count = mill_cursor_varint(&reader->cursor);

    if (count > (size_t)(reader->cursor.end - reader->cursor.p) / 2) {
        reader->cursor.bad = true;
        return;
    }
    reader->field_count = (uint32_t)count;
    reader->fields = mill_arena_array(&reader->arena, struct mill_field, count);
    for (uint32_t f = 0; f < count; f++) {
        uint8_t type = mill_cursor_byte(&reader->cursor);
        struct mill_slice name = take_text(&reader->cursor);
        reader->cursor.bad |= type >= MILL_TYPE_COUNT || (name.n > 0 && memchr(name.p, 0, name.n) != NULL);
        reader->fields[f].name = mill_arena_strndup(&reader->arena, name.p, name.n);
        reader->fields[f].type = (enum mill_type)(type < MILL_TYPE_COUNT ? type : 0);
    }
}

int mill__rows_open(struct mill__rows_reader *reader, struct mill_slice body, struct mill_error *err)
{
    *reader = (struct mill__rows_reader){.cursor = mill_cursor_of(body)};
    mill_arena_init(&reader->arena, 0);
    take_fields(reader);
    if (reader->cursor.bad) {
        mill_arena_clear(&reader->arena);
        return mill_fail(err, MILL_EDATA, "a part of drift rows with damaged fields");
    }
    /* No more rows can follow than there are bytes for. */
    size_t most = (size_t)(reader->cursor.end - reader->cursor.p) / (2 + reader->field_count / 8);
    reader->capacity = most < 1 ? 1 : most < MILL__BLOCK_ROWS ? (uint32_t)most : MILL__BLOCK_ROWS;
    reader->columns = mill_arena_array(&reader->arena, struct mill_column, reader->field_count + (size_t)1);
    reader->pointers = mill_arena_array(&reader->arena, const struct mill_column *, reader->field_count + (size_t)1);
    reader->times = mill_arena_array(&reader->arena, int64_t, reader->capacity);
    for (uint32_t f = 0; f <= reader->field_count; f++) {
        enum mill_type type = f < reader->field_count ? reader->fields[f].type : MILL_STRING;
        mill_column_init(&reader->columns[f], type, reader->capacity, &reader->arena);
        reader->pointers[f] = &reader->columns[f];
    }
    return MILL_OK;
}

void mill__rows_close(struct mill__rows_reader *reader)
{
    mill_arena_clear(&reader->arena);
}

static void take_row(struct mill__rows_reader *reader, int64_t *time_us, uint32_t row)
{
    struct mill_cursor *cursor = &reader->cursor;
    uint32_t fields = reader->field_count;

    cursor->bad |= __builtin_add_overflow(*time_us, mill_cursor_zigzag(cursor), time_us);
    const char *bits = mill_cursor_take(cursor, fields / 8 + 1);
    reader->times[row] = *time_us;
    for (uint32_t f = 0; f <= fields && bits != NULL; f++) {
        if ((bits[f / 8] >> f % 8 & 1) != 0) {
            mill_column_read_value(&reader->columns[f], row, cursor);
        }
    }
}

int mill__rows_next(struct mill__rows_reader *reader, uint32_t *ret_count, struct mill_error *err)
{
    uint32_t n = 0;

    for (uint32_t f = 0; f <= reader->field_count; f++) {
        memset(reader->columns[f].valid, 0, mill_bit_words(reader->capacity) * sizeof(uint64_t));
    }
    for (; n < reader->capacity && reader->cursor.p != reader->cursor.end && !reader->cursor.bad; n++) {
        take_row(reader, &reader->time_us, n);
    }
    if (reader->cursor.bad) {
        return mill_fail(err, MILL_EDATA, "a part of drift rows with damaged rows");
    }
    *ret_count = n;
    return MILL_OK;
}
