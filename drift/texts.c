/* SPDX-License-Identifier: Apache-2.0 */
/* Distinct texts with their counts, and values as texts: levels of categories and segments. */
#include <math.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/number.h"
#include "drift/profile_internal.h"

enum { TABLE_MIN = 64 };

void mill__texts_init(struct mill__texts *texts)
{
    *texts = (struct mill__texts){.mask = TABLE_MIN - 1};
    mill_arena_init(&texts->arena, 0);
    texts->table = mill_calloc(TABLE_MIN, sizeof(*texts->table));
}

void mill__texts_clear(struct mill__texts *texts)
{
    mill_arena_clear(&texts->arena);
    free(texts->texts);
    free(texts->hashes);
    free(texts->counts);
    free(texts->table);
}

static void grow_table(struct mill__texts *texts)
{
    uint32_t size = (texts->mask + 1) * 2;

    mill_assert(size > texts->mask); /* 2^31 different texts do not fit into memory */
    free(texts->table);
    texts->table = mill_calloc(size, sizeof(*texts->table));
    texts->mask = size - 1;
    for (uint32_t id = 0; id < texts->count; id++) {
        uint32_t at = (uint32_t)texts->hashes[id] & texts->mask;
        while (texts->table[at] != 0) {
            at = (at + 1) & texts->mask;
        }
        texts->table[at] = id + 1;
    }
}

static uint32_t add_new(struct mill__texts *texts, struct mill_slice text, uint64_t hash)
{
    if (texts->count == texts->capacity) {
        texts->capacity = texts->capacity == 0 ? TABLE_MIN : texts->capacity * 2;
        texts->texts = mill_realloc(texts->texts, texts->capacity * sizeof(*texts->texts));
        texts->hashes = mill_realloc(texts->hashes, texts->capacity * sizeof(*texts->hashes));
        texts->counts = mill_realloc(texts->counts, texts->capacity * sizeof(*texts->counts));
    }
    uint32_t id = texts->count++;
    texts->texts[id] = mill_arena_slice(&texts->arena, text);
    texts->hashes[id] = hash;
    texts->counts[id] = 1;
    return id;
}

uint32_t mill__texts_add(struct mill__texts *texts, struct mill_slice text)
{
    uint64_t hash = mill_hash64(text.p, text.n);
    uint32_t at = (uint32_t)hash & texts->mask;

    for (; texts->table[at] != 0; at = (at + 1) & texts->mask) {
        uint32_t id = texts->table[at] - 1;
        if (texts->hashes[id] == hash && mill_slice_equal(texts->texts[id], text)) {
            texts->counts[id]++;
            return id;
        }
    }
    uint32_t id = add_new(texts, text, hash);
    texts->table[at] = id + 1;
    if (texts->count > texts->mask / 2) {
        grow_table(texts);
    }
    return id;
}

bool mill__has_value(const struct mill_column *column, uint32_t row)
{
    return mill_bit_get(column->valid, row) && !(column->type == MILL_FLOAT64 && isnan(column->at.f[row]));
}

double mill__number_of(const struct mill_column *column, uint32_t row)
{
    switch (column->type) {
    case MILL_BOOL:
        return column->at.b[row];
    case MILL_INT64:
    case MILL_TIMESTAMP:
        return (double)column->at.i[row];
    case MILL_FLOAT64:
        return column->at.f[row] + 0.0;
    case MILL_STRING:
        break;
    }
    return (double)NAN;
}

struct mill_slice mill__level_text(const struct mill_column *column, uint32_t row, char *room)
{
    switch (column->type) {
    case MILL_BOOL:
        return mill_slice_of(column->at.b[row] ? "true" : "false");
    case MILL_INT64:
    case MILL_TIMESTAMP:
        return (struct mill_slice){room, mill_number_print_int64(column->at.i[row], room)};
    case MILL_FLOAT64:
        return (struct mill_slice){room, mill_number_print_double(column->at.f[row] + 0.0, room)};
    case MILL_STRING:
        break;
    }
    return column->at.s[row];
}
