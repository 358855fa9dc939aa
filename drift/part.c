/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts: what a pane counts, as bytes. Little-endian, varints as in base/buffer.h.
 *
 *   byte version, byte form, u64 identity (of the profile; 0 in parts of rows)
 *   form 1, counts: varint how many segments, then of each:
 *     varint segment less the one before (the first less 0); varint rows
 *     per feature: varint n; n slots: varint (slot less the one before, less 1) << 1 | (count > 1), [varint count - 2];
 *                  numeric: sum and square of the moments, zigzag varints of 128 bits
 *   form 2, rows: see part_rows.c
 *   u32 low half of XXH3 of all that
 *
 * Only slots that have something are written: a pane of few rows is small whatever the profile.
 */
#include "base/hash.h"
#include "drift/count_internal.h"

enum { HEAD = 2 + sizeof(uint64_t), TAIL = sizeof(uint32_t), CHUNK = 512 };

static unsigned hex_digit(char c)
{
    return (unsigned)(c <= '9' ? c - '0' : c - 'a' + 10);
}

uint64_t mill__profile_id(const struct mill_profile *profile)
{
    uint64_t id = 0;

    for (unsigned i = 0; i < 16; i++) {
        id = id << 4 | hex_digit(profile->sha256[i]);
    }
    return id;
}

static void add_wide(struct mill_buffer *out, const int64_t words[2])
{
    mill__i128 value = mill__wide_of(words);
    mill__u128 v = (mill__u128)value << 1 ^ (mill__u128)(value >> 127);

    while (v >= 0x80) {
        mill_buffer_add_byte(out, (unsigned char)((v & 0x7f) | 0x80));
        v >>= 7;
    }
    mill_buffer_add_byte(out, (unsigned char)v);
}

static void take_wide(struct mill_cursor *cursor, int64_t words[2])
{
    mill__u128 v = 0;
    uint8_t byte = 0x80;

    for (unsigned shift = 0; shift < 127 && (byte & 0x80) != 0; shift += 7) {
        byte = mill_cursor_byte(cursor);
        v |= (mill__u128)(byte & 0x7f) << shift;
    }
    cursor->bad |= (byte & 0x80) != 0;
    mill__wide_set(words, (mill__i128)(v >> 1) ^ -(mill__i128)(v & 1));
}

static void add_slot(struct mill_buffer *out, uint32_t gap, uint64_t count)
{
    mill_buffer_add_varint(out, (uint64_t)gap << 1 | (count > 1));
    if (count > 1) {
        mill_buffer_add_varint(out, count - 2);
    }
}

static void add_dense(struct mill_buffer *out, const uint32_t *counts, uint32_t slot_count)
{
    uint32_t used = 0, next = 0;

    for (uint32_t s = 0; s < slot_count; s++) {
        used += counts[s] != 0;
    }
    mill_buffer_add_varint(out, used);
    for (uint32_t s = 0; s < slot_count && used > 0; s++) {
        if (counts[s] != 0) {
            add_slot(out, s - next, counts[s]);
            next = s + 1;
            used--;
        }
    }
}

static void add_list(struct mill_buffer *out, const uint32_t *sorted, uint32_t n)
{
    uint32_t used = 0, next = 0;

    for (uint32_t i = 0; i < n; i++) {
        used += i == 0 || sorted[i] != sorted[i - 1];
    }
    mill_buffer_add_varint(out, used);
    for (uint32_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && sorted[end] == sorted[i]; end++) {
        }
        add_slot(out, sorted[i] - next, end - i);
        next = sorted[i] + 1;
    }
}

static void add_tally(struct mill__tally_pool *pool, const struct mill__tally *tally, struct mill_buffer *out)
{
    mill_buffer_add_varint(out, tally->row_count);
    for (uint32_t f = 0; f < pool->slotter->profile->feature_count; f++) {
        const struct mill__slot_feature *at = &pool->slotter->features[f];
        if (tally->dense != NULL) {
            add_dense(out, tally->dense + at->slot_begin, at->feature->slot_count);
        } else {
            memcpy(pool->sorted, tally->lists + (size_t)f * pool->list_rows, tally->list_count[f] * sizeof(uint32_t));
            mill__sort_u32(pool->sorted, pool->scratch, tally->list_count[f]);
            add_list(out, pool->sorted, tally->list_count[f]);
        }
        if (at->feature->kind == MILL_DRIFT_NUMERIC) {
            add_wide(out, tally->moments[f].sum);
            add_wide(out, tally->moments[f].square);
        }
    }
}

static void add_head(struct mill_buffer *out, enum mill__part_form form, uint64_t id)
{
    mill_buffer_add_byte(out, MILL__PART_VERSION);
    mill_buffer_add_byte(out, (unsigned char)form);
    mill_buffer_add_u64(out, id);
}

void mill__part_finish(size_t begin, struct mill_buffer *out)
{
    mill_buffer_add_u32(out, (uint32_t)mill_hash64(out->p + begin, out->n - begin));
}

void mill__part_write(struct mill__tally_pool *pool, struct mill__tally *const *tallies, struct mill_buffer *out)
{
    const struct mill_profile *profile = pool->slotter->profile;
    size_t begin = out->n;
    uint32_t used = 0, last = 0;

    add_head(out, MILL__PART_COUNTS, mill__profile_id(profile));
    for (uint32_t s = 0; s <= profile->segment_count; s++) {
        used += tallies[s] != NULL;
    }
    mill_buffer_add_varint(out, used);
    for (uint32_t s = 0; s <= profile->segment_count; s++) {
        if (tallies[s] != NULL) {
            mill_buffer_add_varint(out, s - last);
            add_tally(pool, tallies[s], out);
            last = s;
        }
    }
    mill__part_finish(begin, out);
}

int mill__part_open(struct mill_slice part, uint64_t *ret_id, struct mill_slice *ret_body, struct mill_error *err)
{
    uint32_t checksum;

    if (part.n < HEAD + TAIL || part.p[0] != MILL__PART_VERSION) {
        return mill_fail(err, MILL_EDATA, "not a part of drift counts of version %d", MILL__PART_VERSION);
    }
    memcpy(&checksum, part.p + part.n - TAIL, TAIL);
    if (checksum != (uint32_t)mill_hash64(part.p, part.n - TAIL)) {
        return mill_fail(err, MILL_EDATA, "a damaged part of drift counts: its checksum does not match");
    }
    int form = part.p[1];
    if (form != MILL__PART_COUNTS && form != MILL__PART_ROWS) {
        return mill_fail(err, MILL_EDATA, "a part of drift counts of form %d; expected 1 or 2", form);
    }
    memcpy(ret_id, part.p + 2, sizeof(*ret_id));
    *ret_body = (struct mill_slice){part.p + HEAD, part.n - HEAD - TAIL};
    return form;
}

struct walk {
    struct mill_cursor cursor;
    const struct mill__part_visitor *visitor;
    uint32_t segment;
    uint64_t row_count;
    bool is_refused;
};

/* Nearly all varints of slots are one byte. */
static inline uint64_t take_short(struct mill_cursor *cursor)
{
    if (__builtin_expect(cursor->p < cursor->end && (*cursor->p & 0x80) == 0, 1)) {
        return (unsigned char)*cursor->p++;
    }
    return mill_cursor_varint(cursor);
}

static void walk_slots(struct walk *walk, uint32_t f, const struct mill_profile_feature *feature)
{
    struct mill_cursor cursor = walk->cursor; /* in registers */
    uint64_t left = mill_cursor_varint(&cursor), values = walk->row_count, next = 0;
    uint64_t counts[CHUNK];
    uint32_t slots[CHUNK], n = 0;

    for (; left > 0 && !cursor.bad && !walk->is_refused; left--) {
        uint64_t code = take_short(&cursor), slot = next + (code >> 1);
        uint64_t count = (code & 1) == 0 ? 1 : take_short(&cursor) + 2;
        if (slot >= feature->slot_count || count > values || count == 0) {
            cursor.bad = true;
            break;
        }
        slots[n] = (uint32_t)slot;
        counts[n++] = count;
        values -= count;
        next = slot + 1;
        if (n == CHUNK || left == 1) {
            walk->is_refused |= !walk->visitor->counts(walk->visitor->context, walk->segment, f, slots, counts, n);
            n = 0;
        }
    }
    walk->cursor = cursor;
}

static void walk_feature(struct walk *walk, uint32_t f, const struct mill_profile_feature *feature)
{
    struct mill_drift_moments moments;

    walk_slots(walk, f, feature);
    if (feature->kind == MILL_DRIFT_NUMERIC && !walk->cursor.bad && !walk->is_refused) {
        take_wide(&walk->cursor, moments.sum);
        take_wide(&walk->cursor, moments.square);
        walk->is_refused |=
            walk->cursor.bad || !walk->visitor->moments(walk->visitor->context, walk->segment, f, &moments);
    }
}

int mill__part_walk(const struct mill_profile *profile, struct mill_slice body,
                    const struct mill__part_visitor *visitor, struct mill_error *err)
{
    struct walk walk = {.cursor = mill_cursor_of(body), .visitor = visitor};
    uint64_t left = mill_cursor_varint(&walk.cursor);

    for (bool is_first = true; left > 0 && !walk.cursor.bad && !walk.is_refused; left--, is_first = false) {
        uint64_t step = mill_cursor_varint(&walk.cursor);
        walk.row_count = mill_cursor_varint(&walk.cursor);
        if ((step == 0 && !is_first) || step > profile->segment_count - walk.segment || walk.row_count >> 48 != 0) {
            walk.cursor.bad = true;
            break;
        }
        walk.segment += (uint32_t)step;
        walk.is_refused = !visitor->rows(visitor->context, walk.segment, walk.row_count);
        for (uint32_t f = 0; f < profile->feature_count && !walk.cursor.bad && !walk.is_refused; f++) {
            walk_feature(&walk, f, &profile->features[f]);
        }
    }
    if (walk.cursor.bad || walk.is_refused || walk.cursor.p != walk.cursor.end) {
        return mill_fail(err, MILL_EDATA, "a part of drift counts that contradicts itself or its window");
    }
    return MILL_OK;
}
