/* SPDX-License-Identifier: Apache-2.0 */
/* Levels of categories: a value's slot by a hash table. Numbers are looked up as numbers, so the text of one is made
 * only where it is no level. What is unseen costs no memory. */
#include <math.h>

#include "base/hash.h"
#include "base/number.h"
#include "drift/count_internal.h"

static uint64_t bits_of_double(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof(bits));
    return bits;
}

/* murmur3's finaliser: numbers that follow one another must not fall into one another's places. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ x >> 33) * UINT64_C(0xff51afd7ed558ccd);
    return x ^ x >> 33;
}

/* The level's text as the column's type would have it; false where no value of that type has this text. */
static bool key_of_text(enum mill_type type, struct mill_slice text, uint64_t *ret_key)
{
    const char *end = text.p + text.n;
    int64_t i;
    double f;

    switch (type) {
    case MILL_BOOL:
        *ret_key = mill_slice_is(text, "true");
        return *ret_key || mill_slice_is(text, "false");
    case MILL_INT64:
    case MILL_TIMESTAMP:
        if (mill_number_parse_int64(text.p, end, &i) != end) {
            return false;
        }
        *ret_key = (uint64_t)i;
        return true;
    case MILL_FLOAT64:
        if (mill_slice_is(text, "inf") || mill_slice_is(text, "-inf")) {
            f = text.n == 3 ? (double)INFINITY : -(double)INFINITY;
        } else if (mill_number_parse_double(text.p, end, &f) != end) {
            return false;
        }
        *ret_key = bits_of_double(f);
        return true;
    case MILL_STRING:
        break;
    }
    *ret_key = mill_hash64(text.p, text.n);
    return true;
}

static uint64_t key_of_value(const struct mill_column *column, uint32_t row)
{
    switch (column->type) {
    case MILL_BOOL:
        return column->at.b[row] != 0;
    case MILL_INT64:
    case MILL_TIMESTAMP:
        return (uint64_t)column->at.i[row];
    case MILL_FLOAT64:
        return bits_of_double(column->at.f[row] + 0.0);
    case MILL_STRING:
        break;
    }
    return mill_hash64(column->at.s[row].p, column->at.s[row].n);
}

void mill__levels_init(struct mill__levels *levels, enum mill_type type, const struct mill_slice *texts, uint32_t count,
                       struct mill_arena *arena)
{
    uint32_t size = 16;

    while (size < 2 * count) {
        size *= 2;
    }
    *levels = (struct mill__levels){.type = type, .level_count = count, .mask = size - 1};
    levels->table = mill_arena_array(arena, struct mill__levels_entry, size);
    for (uint32_t i = 0; i < size; i++) {
        levels->table[i] = (struct mill__levels_entry){.slot = UINT32_MAX};
    }
    for (uint32_t i = 0; i < count; i++) {
        struct mill__levels_entry entry = {.text = texts[i], .slot = i};
        if (!key_of_text(type, texts[i], &entry.key)) {
            continue;
        }
        uint64_t at = mix(entry.key) & levels->mask;
        while (levels->table[at].slot != UINT32_MAX) {
            at = (at + 1) & levels->mask;
        }
        levels->table[at] = entry;
    }
}

static bool is_other(const struct mill__levels *levels, uint64_t hash)
{
    uint32_t low = 0, high = levels->other_hash_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (levels->other_hashes[middle] < hash) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < levels->other_hash_count && levels->other_hashes[low] == hash;
}

static uint32_t slot_of_rest(const struct mill__levels *levels, const struct mill_column *column, uint32_t row)
{
    char room[MILL_NUMBER_TEXT_MAX];

    if (levels->is_open) {
        return levels->level_count;
    }
    if (levels->other_hash_count > 0) {
        struct mill_slice text = mill__level_text(column, row, room);
        if (is_other(levels, mill_hash64(text.p, text.n))) {
            return levels->level_count;
        }
    }
    return levels->level_count + 1;
}

uint32_t mill__levels_find(const struct mill__levels *levels, const struct mill_column *column, uint32_t row)
{
    uint64_t key = key_of_value(column, row), at = mix(key) & levels->mask;

    mill_assert(column->type == levels->type);
    for (; levels->table[at].slot != UINT32_MAX; at = (at + 1) & levels->mask) {
        const struct mill__levels_entry *entry = &levels->table[at];
        if (entry->key == key && (column->type != MILL_STRING || mill_slice_equal(entry->text, column->at.s[row]))) {
            return entry->slot;
        }
    }
    return slot_of_rest(levels, column, row);
}
