/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the packed row reader (featurestore/online_row.c) and the values of the Feast layout. The input is a row
 * without its checksum, so that mutations reach what lies behind that check; a row that is taken must be the one that
 * writing its values gives. */
#include <stdlib.h>

#include "base/hash.h"
#include "featurestore/online_feast_internal.h"
#include "featurestore/online_row_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct mill_field fields[] = {{"b", MILL_BOOL},   {"i", MILL_INT64},   {"f", MILL_FLOAT64},
                                     {"s", MILL_STRING}, {"s2", MILL_STRING}, {"t", MILL_TIMESTAMP},
                                     {"s3", MILL_STRING}};
enum { FIELDS = 7 };

static void write_again(const struct mill__row_layout *layout, const struct mill_online_row *row,
                        struct mill_slice bytes, struct mill_arena *arena)
{
    int64_t offset = row->offset, event_time_us = row->event_time_us;
    struct mill_column columns[FIELDS];
    memcpy(columns, row->values, sizeof(columns));
    struct mill_batch batch = {.columns = columns,
                               .row_count = 1,
                               .row_capacity = 1,
                               .partition = row->partition,
                               .offset = &offset,
                               .event_time_us = &event_time_us,
                               .arena = arena};
    struct mill__row_origin origin = {event_time_us, offset, row->partition};
    size_t n = mill__row_size(layout, &batch, 0, 0);
    char *out = mill_malloc(n);
    mill__row_write(layout, &origin, &batch, 0, 0, out, n);
    mill_assert(mill_slice_equal((struct mill_slice){out, n}, bytes));
    free(out);
}

static void read_feast(struct mill_slice bytes, struct mill_arena *arena)
{
    for (int type = 0; type < MILL_TYPE_COUNT; type++) {
        struct mill_column column;
        mill_column_init(&column, (enum mill_type)type, 1, arena);
        bool taken = mill__feast_read_value(bytes, &column);
        mill_assert(taken || !mill_bit_get(column.valid, 0));
        if (taken && type == MILL_STRING && mill_bit_get(column.valid, 0)) {
            mill_assert(mill_utf8_is_valid(column.at.s[0]));
        }
    }
    int64_t us = 0, again = 1;
    if (mill__feast_read_timestamp(bytes, &us)) {
        struct mill_buffer out = {0};
        mill__feast_add_timestamp(us, &out);
        mill_assert(mill__feast_read_timestamp(mill_buffer_slice(&out), &again) && again == us);
        mill_buffer_clear(&out);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill__row_layout layout = mill__row_layout_of(fields, FIELDS);
    struct mill_arena arena = {0};
    struct mill_error err = {0};
    struct mill_online_row row;
    char *bytes = mill_malloc(size + MILL__ROW_CHECKSUM_BYTES);
    memcpy(bytes, data, size);
    if (size >= 16) {
        memcpy(bytes + 8, &layout.hash, sizeof(layout.hash));
    }
    uint64_t checksum = mill_hash64(bytes, size);
    memcpy(bytes + size, &checksum, sizeof(checksum));
    struct mill_slice whole = {bytes, size + sizeof(checksum)};
    if (mill__row_read(&layout, whole, &arena, &row, &err) == MILL_OK) {
        write_again(&layout, &row, whole, &arena);
    }
    read_feast((struct mill_slice){bytes, size}, &arena);
    mill_arena_clear(&arena);
    free(bytes);
    return 0;
}
