/* SPDX-License-Identifier: Apache-2.0 */
/* Feast's Redis layout: feast.types.Value and google.protobuf.Timestamp, the two protobuf messages in it. Written by
 * hand: one field each, and what is written must be what protobuf would write. */
#include <math.h>

#include "featurestore/online_feast_internal.h"

#include "base/timestamp.h"

/* Tag bytes: field number of the oneof << 3 | wire type (0 varint, 1 eight bytes, 2 counted bytes). */
enum {
    TAG_STRING = 2 << 3 | 2,
    TAG_INT64 = 4 << 3 | 0,
    TAG_DOUBLE = 5 << 3 | 1,
    TAG_BOOL = 7 << 3 | 0,
    TAG_UNIX_TIMESTAMP = 8 << 3 | 0,
    TAG_SECONDS = 1 << 3 | 0,
    TAG_NANOS = 2 << 3 | 0,
};

static int64_t seconds_of(int64_t us)
{
    return mill_timestamp_floor(us, MILL_US_PER_SECOND) / MILL_US_PER_SECOND;
}

static void add_number(unsigned char tag, int64_t value, struct mill_buffer *out)
{
    mill_buffer_add_byte(out, tag);
    mill_buffer_add_varint(out, (uint64_t)value);
}

void mill__feast_add_value(const struct mill_column *column, uint32_t row, struct mill_buffer *out)
{
    if (!mill_bit_get(column->valid, row)) {
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        add_number(TAG_BOOL, column->at.b[row] != 0, out);
        return;
    case MILL_INT64:
        add_number(TAG_INT64, column->at.i[row], out);
        return;
    case MILL_FLOAT64:
        if (!isnan(column->at.f[row])) {
            mill_buffer_add_byte(out, TAG_DOUBLE);
            mill_buffer_add(out, &column->at.f[row], sizeof(double));
        }
        return;
    case MILL_STRING:
        mill_buffer_add_byte(out, TAG_STRING);
        mill_buffer_add_varint(out, column->at.s[row].n);
        mill_buffer_add_slice(out, column->at.s[row]);
        return;
    case MILL_TIMESTAMP:
        add_number(TAG_UNIX_TIMESTAMP, seconds_of(column->at.i[row]), out);
        return;
    }
    mill_assert(false);
}

void mill__feast_add_timestamp(int64_t us, struct mill_buffer *out)
{
    int64_t seconds = seconds_of(us), nanos = (us - seconds * MILL_US_PER_SECOND) * 1000;
    if (seconds != 0) {
        add_number(TAG_SECONDS, seconds, out);
    }
    if (nanos != 0) {
        add_number(TAG_NANOS, nanos, out);
    }
}

/* The value after a tag byte that fits the type; marks the cursor bad otherwise. */
static void read_typed(struct mill_cursor *cursor, uint8_t tag, struct mill_column *column)
{
    static const uint8_t tags[MILL_TYPE_COUNT] = {[MILL_BOOL] = TAG_BOOL,
                                                  [MILL_INT64] = TAG_INT64,
                                                  [MILL_FLOAT64] = TAG_DOUBLE,
                                                  [MILL_STRING] = TAG_STRING,
                                                  [MILL_TIMESTAMP] = TAG_UNIX_TIMESTAMP};
    uint64_t bits = 0;
    if (tag != tags[column->type]) {
        cursor->bad = true;
        return;
    }
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[0] = mill_cursor_varint(cursor) != 0;
        return;
    case MILL_INT64:
        column->at.i[0] = (int64_t)mill_cursor_varint(cursor);
        return;
    case MILL_FLOAT64:
        bits = mill_cursor_u64(cursor);
        memcpy(&column->at.f[0], &bits, sizeof(bits));
        return;
    case MILL_STRING:
        column->at.s[0].n = (size_t)mill_cursor_varint(cursor);
        column->at.s[0].p = mill_cursor_take(cursor, column->at.s[0].n);
        cursor->bad = cursor->bad || !mill_utf8_is_valid(column->at.s[0]);
        return;
    case MILL_TIMESTAMP:
        cursor->bad = cursor->bad ||
                      __builtin_mul_overflow((int64_t)mill_cursor_varint(cursor), MILL_US_PER_SECOND, &column->at.i[0]);
        return;
    }
    mill_assert(false);
}

bool mill__feast_read_value(struct mill_slice bytes, struct mill_column *column)
{
    mill_bit_clear(column->valid, 0);
    if (bytes.n == 0) {
        return true;
    }
    struct mill_cursor cursor = mill_cursor_of(bytes);
    uint8_t tag = mill_cursor_byte(&cursor);
    read_typed(&cursor, tag, column);
    if (cursor.bad || cursor.p != cursor.end) {
        return false;
    }
    mill_bit_set(column->valid, 0);
    return true;
}

bool mill__feast_read_timestamp(struct mill_slice bytes, int64_t *ret_us)
{
    int64_t seconds = 0, nanos = 0;
    struct mill_cursor cursor = mill_cursor_of(bytes.n == 0 ? mill_slice_of("") : bytes);
    while (!cursor.bad && cursor.p != cursor.end) {
        uint8_t tag = mill_cursor_byte(&cursor);
        int64_t value = (int64_t)mill_cursor_varint(&cursor);
        seconds = tag == TAG_SECONDS ? value : seconds;
        nanos = tag == TAG_NANOS ? value : nanos;
        cursor.bad = cursor.bad || (tag != TAG_SECONDS && tag != TAG_NANOS);
    }
    const int64_t limit = INT64_MAX / MILL_US_PER_SECOND - 1;
    if (cursor.bad || seconds < -limit || seconds > limit || nanos < 0 || nanos > 999999999) {
        return false;
    }
    *ret_us = seconds * MILL_US_PER_SECOND + nanos / 1000;
    return true;
}
