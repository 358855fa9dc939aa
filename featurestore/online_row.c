/* SPDX-License-Identifier: Apache-2.0 */
/* The packed row: header, validity bits, one 8-byte slot per feature, string bytes, checksum; all little-endian. There
 * is one way to write a row, so equal rows are equal bytes, and the reader refuses everything else. */
#include "featurestore/online_row_internal.h"

#include "base/hash.h"

/* "TMR1" read as a little-endian number; the last letter is the version. */
static const uint32_t row_magic = UINT32_C(0x31524d54);

struct row_header {
    uint32_t magic;
    uint16_t feature_count, zero;
    uint64_t layout_hash;
    int64_t event_time_us, offset;
    int32_t partition;
    uint32_t string_bytes;
};
_Static_assert(sizeof(struct row_header) == MILL__ROW_HEADER_BYTES, "the header has no padding");
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "rows are written as the machine holds them");

/* Where the parts of a row of n features begin. */
static size_t slots_at(uint32_t n)
{
    return MILL__ROW_HEADER_BYTES + sizeof(uint64_t) * mill_bit_words(n);
}

static size_t strings_at(uint32_t n)
{
    return slots_at(n) + sizeof(uint64_t) * n;
}

struct mill__row_layout mill__row_layout_of(const struct mill_field *features, uint32_t feature_count)
{
    mill_assert(feature_count <= MILL__ROW_FEATURES_MAX);
    struct mill_buffer text = {0};
    for (uint32_t f = 0; f < feature_count; f++) {
        mill_buffer_add_byte(&text, (unsigned char)features[f].type);
        mill_buffer_add_varint(&text, strlen(features[f].name));
        mill_buffer_add_string(&text, features[f].name);
    }
    struct mill__row_layout layout = {features, feature_count, mill_hash64(text.p, text.n)};
    mill_buffer_clear(&text);
    return layout;
}

/* ------------------------------------------------------------------------------------------------
 * Write
 * --------------------------------------------------------------------------------------------- */

static size_t string_bytes(const struct mill__row_layout *layout, const struct mill_batch *batch, uint32_t row,
                           uint32_t first_column)
{
    size_t n = 0;
    for (uint32_t f = 0; f < layout->feature_count; f++) {
        const struct mill_column *column = &batch->columns[first_column + f];
        mill_assert(column->type == layout->features[f].type);
        if (column->type == MILL_STRING && mill_bit_get(column->valid, row)) {
            n += column->at.s[row].n;
        }
    }
    mill_assert(n <= UINT32_MAX);
    return n;
}

size_t mill__row_size(const struct mill__row_layout *layout, const struct mill_batch *batch, uint32_t row,
                      uint32_t first_column)
{
    return strings_at(layout->feature_count) + string_bytes(layout, batch, row, first_column) +
           MILL__ROW_CHECKSUM_BYTES;
}

/* The slot of a value that is there. A string's says where it ends in the string bytes; it begins where the one before
 * it ends. */
static uint64_t slot_of(const struct mill_column *column, uint32_t row, char *strings, size_t *string_end)
{
    uint64_t slot = 0;
    switch (column->type) {
    case MILL_BOOL:
        return column->at.b[row] != 0;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        return (uint64_t)column->at.i[row];
    case MILL_FLOAT64:
        memcpy(&slot, &column->at.f[row], sizeof(slot));
        return slot;
    case MILL_STRING:
        if (column->at.s[row].n > 0) {
            memcpy(strings + *string_end, column->at.s[row].p, column->at.s[row].n);
        }
        *string_end += column->at.s[row].n;
        return *string_end;
    }
    mill_assert(false);
    return 0;
}

void mill__row_write(const struct mill__row_layout *layout, const struct mill__row_origin *origin,
                     const struct mill_batch *batch, uint32_t row, uint32_t first_column, char *out, size_t size)
{
    uint32_t n = layout->feature_count;
    char *slots = out + slots_at(n), *strings = out + strings_at(n);
    memset(out + MILL__ROW_HEADER_BYTES, 0, (size_t)(strings - out) - MILL__ROW_HEADER_BYTES);
    size_t string_end = 0;
    for (uint32_t f = 0; f < n; f++) {
        const struct mill_column *column = &batch->columns[first_column + f];
        if (mill_bit_get(column->valid, row)) {
            uint64_t slot = slot_of(column, row, strings, &string_end);
            memcpy(slots + sizeof(slot) * f, &slot, sizeof(slot));
            out[MILL__ROW_HEADER_BYTES + f / 8] |= (char)(1 << f % 8);
        }
    }
    struct row_header header = {.magic = row_magic,
                                .feature_count = (uint16_t)n,
                                .layout_hash = layout->hash,
                                .event_time_us = origin->event_time_us,
                                .offset = origin->offset,
                                .partition = origin->partition,
                                .string_bytes = (uint32_t)string_end};
    memcpy(out, &header, sizeof(header));
    mill_assert(size == strings_at(n) + string_end + MILL__ROW_CHECKSUM_BYTES);
    uint64_t checksum = mill_hash64(out, size - MILL__ROW_CHECKSUM_BYTES);
    memcpy(out + size - MILL__ROW_CHECKSUM_BYTES, &checksum, sizeof(checksum));
}

/* ------------------------------------------------------------------------------------------------
 * Read
 * --------------------------------------------------------------------------------------------- */

static int check_envelope(const struct mill__row_layout *layout, struct mill_slice bytes, struct row_header *header,
                          struct mill_error *err)
{
    if (bytes.n < MILL__ROW_HEADER_BYTES + MILL__ROW_CHECKSUM_BYTES) {
        return mill_fail(err, MILL_EDATA, "row of %zu bytes is too short to be one", bytes.n);
    }
    memcpy(header, bytes.p, sizeof(*header));
    if (header->magic != row_magic) {
        return mill_fail(err, MILL_EDATA, "not a packed row of version 1: it begins with %02x%02x%02x%02x",
                         (unsigned char)bytes.p[0], (unsigned char)bytes.p[1], (unsigned char)bytes.p[2],
                         (unsigned char)bytes.p[3]);
    }
    uint64_t stored = 0;
    memcpy(&stored, bytes.p + bytes.n - MILL__ROW_CHECKSUM_BYTES, sizeof(stored));
    if (stored != mill_hash64(bytes.p, bytes.n - MILL__ROW_CHECKSUM_BYTES)) {
        return mill_fail(err, MILL_EDATA, "row is damaged: its checksum does not fit");
    }
    if (header->layout_hash != layout->hash || header->feature_count != layout->feature_count) {
        return mill_fail(err, MILL_EDATA,
                         "row was written for other features (%u of them, layout %016llx; expected %u, %016llx); hint: "
                         "read with the project file that it was written with",
                         header->feature_count, (unsigned long long)header->layout_hash, layout->feature_count,
                         (unsigned long long)layout->hash);
    }
    if (header->zero != 0 ||
        bytes.n != strings_at(layout->feature_count) + header->string_bytes + MILL__ROW_CHECKSUM_BYTES) {
        return mill_fail(err, MILL_EDATA, "row is damaged: %zu bytes do not fit its header", bytes.n);
    }
    return MILL_OK;
}

/* False where no value of the type has this slot. */
static bool read_slot(struct mill_column *column, uint64_t slot, struct mill_slice strings, size_t *string_end)
{
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[0] = slot == 1;
        return slot <= 1;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        column->at.i[0] = (int64_t)slot;
        return true;
    case MILL_FLOAT64:
        memcpy(&column->at.f[0], &slot, sizeof(slot));
        return true;
    case MILL_STRING:
        if (slot < *string_end || slot > strings.n) {
            return false;
        }
        column->at.s[0] = (struct mill_slice){strings.p + *string_end, (size_t)slot - *string_end};
        *string_end = (size_t)slot;
        return mill_utf8_is_valid(column->at.s[0]);
    }
    return false;
}

int mill__row_read(const struct mill__row_layout *layout, struct mill_slice bytes, struct mill_arena *arena,
                   struct mill_online_row *ret_row, struct mill_error *err)
{
    struct row_header header;
    MILL_TRY(check_envelope(layout, bytes, &header, err));
    uint32_t n = layout->feature_count;
    struct mill_slice strings = {bytes.p + strings_at(n), header.string_bytes};
    strings = mill_arena_slice(arena, strings);
    struct mill_column *columns = mill_arena_zarray(arena, struct mill_column, n);
    size_t string_end = 0;
    bool fits = true;
    for (uint32_t f = 0; f < n; f++) {
        uint64_t slot = 0;
        memcpy(&slot, bytes.p + slots_at(n) + sizeof(slot) * f, sizeof(slot));
        mill_column_init(&columns[f], layout->features[f].type, 1, arena);
        if ((bytes.p[MILL__ROW_HEADER_BYTES + f / 8] >> f % 8 & 1) != 0) {
            mill_bit_set(columns[f].valid, 0);
            fits = fits && read_slot(&columns[f], slot, strings, &string_end);
        } else {
            fits = fits && slot == 0;
        }
    }
    for (uint32_t bit = n; bit < 64 * mill_bit_words(n); bit++) {
        fits = fits && (bytes.p[MILL__ROW_HEADER_BYTES + bit / 8] >> bit % 8 & 1) == 0;
    }
    if (!fits || string_end != strings.n) {
        return mill_fail(err, MILL_EDATA, "row is damaged: a value does not fit its type");
    }
    *ret_row = (struct mill_online_row){header.event_time_us, header.offset, header.partition, columns};
    return MILL_OK;
}
