/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A join as records, of which a save writes only what has changed. Ids and what stands under them:
 *
 *   'e' u32 partition u64 offset             a score:   zigzag time | 8 bytes score | key
 *   'l' u32 partition u64 offset             a label:   zigzag time | u8 label | key
 *   'p' u8 kind u64 start u64 counted        a pane:    mill_outcomes_write
 *   'w'                                      zigzag watermark
 *
 * Partition and offset are those of the origin, which no other score or label has; big-endian, so that a store that
 * sorts gets what comes in order. Other numbers are little-endian.
 */
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/timestamp.h"
#include "drift/join_internal.h"

enum { ID_MAX = 32 };

static size_t entry_id(const struct mill__join_entry *entry, char id[static ID_MAX])
{
    uint32_t partition = htobe32((uint32_t)entry->origin.partition);
    uint64_t offset = htobe64((uint64_t)entry->origin.offset);

    id[0] = entry->label < 0 ? 'e' : 'l';
    memcpy(id + 1, &partition, sizeof(partition));
    memcpy(id + 1 + sizeof(partition), &offset, sizeof(offset));
    return 1 + sizeof(partition) + sizeof(offset);
}

static size_t pane_id(const struct mill__join_pane *pane, char id[static ID_MAX])
{
    id[0] = 'p';
    id[1] = (char)pane->kind;
    memcpy(id + 2, &pane->start_us, sizeof(pane->start_us));
    memcpy(id + 2 + sizeof(pane->start_us), &pane->counted_us, sizeof(pane->counted_us));
    return 2 + sizeof(pane->start_us) + sizeof(pane->counted_us);
}

/* ------------------------------------------------------------------------------------------------
 * What changes
 * --------------------------------------------------------------------------------------------- */

void mill__join_note_entry(struct mill_join *join, struct mill__join_entry *entry)
{
    if (join->options.is_stored) {
        entry->fresh_at = join->fresh.count;
        mill__join_list_add(&join->fresh, entry);
    }
}

static void forget(struct mill_join *join, const char *id, size_t n)
{
    mill_buffer_add_byte(&join->gone, (uint8_t)n);
    mill_buffer_add(&join->gone, id, n);
}

void mill__join_forget_entry(struct mill_join *join, const struct mill__join_entry *entry)
{
    char id[ID_MAX];

    if (!join->options.is_stored) {
        return;
    }
    if (entry->fresh_at != UINT32_MAX) {
        join->fresh.at[entry->fresh_at] = NULL;
        return;
    }
    forget(join, id, entry_id(entry, id));
}

void mill__join_forget_pane(void *context, const struct mill__join_pane *pane)
{
    struct mill_join *join = context;
    char id[ID_MAX];

    if (pane->is_stored) {
        forget(join, id, pane_id(pane, id));
    }
}

/* ------------------------------------------------------------------------------------------------
 * Saving
 * --------------------------------------------------------------------------------------------- */

static void save_entry(const struct mill__join_entry *entry, const struct mill_join_store *store,
                       struct mill_buffer *bytes)
{
    char id[ID_MAX];

    mill_buffer_reset(bytes);
    mill_buffer_add_zigzag(bytes, entry->time_us);
    if (entry->label < 0) {
        mill_buffer_add(bytes, &entry->score, sizeof(entry->score));
    } else {
        mill_buffer_add_byte(bytes, (uint8_t)entry->label);
    }
    mill_buffer_add(bytes, entry->key, entry->key_size);
    store->put(store->context, (struct mill_slice){id, entry_id(entry, id)}, mill_buffer_slice(bytes));
}

static void save_panes(struct mill_join *join, const struct mill_join_store *store, struct mill_buffer *bytes)
{
    char id[ID_MAX];

    for (uint32_t i = 0; i < join->panes.count; i++) {
        struct mill__join_pane *pane = &join->panes.at[i];
        if (pane->is_dirty) {
            mill_buffer_reset(bytes);
            mill__join_pane_write(pane, bytes);
            store->put(store->context, (struct mill_slice){id, pane_id(pane, id)}, mill_buffer_slice(bytes));
            pane->is_dirty = false;
            pane->is_stored = true;
        }
    }
}

static void remove_gone(struct mill_join *join, const struct mill_join_store *store)
{
    struct mill_cursor c = mill_cursor_of(mill_buffer_slice(&join->gone));

    while (c.p < c.end) {
        size_t n = mill_cursor_byte(&c);
        store->remove(store->context, (struct mill_slice){mill_cursor_take(&c, n), n});
    }
    mill_buffer_reset(&join->gone);
}

void mill_join_save(struct mill_join *join, const struct mill_join_store *store)
{
    struct mill_buffer bytes = {0};

    mill_assert(join->options.is_stored);
    remove_gone(join, store);
    for (uint32_t i = 0; i < join->fresh.count; i++) {
        struct mill__join_entry *entry = join->fresh.at[i];
        if (entry != NULL) {
            save_entry(entry, store, &bytes);
            entry->fresh_at = UINT32_MAX;
        }
    }
    join->fresh.count = 0;
    save_panes(join, store, &bytes);
    if (join->is_moved) {
        mill_buffer_reset(&bytes);
        mill_buffer_add_zigzag(&bytes, join->watermark_us);
        store->put(store->context, mill_slice_of("w"), mill_buffer_slice(&bytes));
        join->is_moved = false;
    }
    mill_buffer_clear(&bytes);
}

/* ------------------------------------------------------------------------------------------------
 * Loading
 * --------------------------------------------------------------------------------------------- */

static bool is_time(int64_t us)
{
    return us >= MILL_TIMESTAMP_MIN && us <= MILL_TIMESTAMP_MAX;
}

static bool load_entry(struct mill_join *join, bool is_score, struct mill_cursor *id, struct mill_cursor *c)
{
    struct mill_join_origin origin = {(int32_t)be32toh(mill_cursor_u32(id)), (int64_t)be64toh(mill_cursor_u64(id))};
    int64_t time_us = mill_cursor_zigzag(c);
    uint64_t bits = is_score ? mill_cursor_u64(c) : mill_cursor_byte(c);
    double score;

    memcpy(&score, &bits, sizeof(score));
    if (id->bad || id->p != id->end || c->bad || !is_time(time_us) || (is_score ? isnan(score) : bits > 1)) {
        return false;
    }
    struct mill_slice key = {c->p, (size_t)(c->end - c->p)};
    struct mill__join_entry *entry = mill__join_entry_new(key, time_us, &origin);
    entry->score = is_score ? score : 0;
    entry->label = is_score ? -1 : (int)bits;
    entry->fresh_at = UINT32_MAX;
    mill__join_put(join, entry);
    return true;
}

/* Where a pane can begin; that of the first time may do so before it. */
static bool is_pane_time(int64_t start_us, int64_t pane_us)
{
    return start_us <= MILL_TIMESTAMP_MAX && start_us > MILL_TIMESTAMP_MIN - pane_us;
}

/* Whole panes whose numbers can be those of a part. */
static bool is_pane(const struct mill_join *join, const struct mill__join_count *pane)
{
    int64_t pane_us = join->options.pane_us;

    return (pane->kind == MILL_PART_SCORES || pane->kind == MILL_PART_OUTCOMES) &&
           is_pane_time(pane->start_us, pane_us) && is_pane_time(pane->counted_us, pane_us) &&
           pane->start_us % pane_us == 0 && pane->counted_us % pane_us == 0 && pane->counted_us >= pane->start_us &&
           (pane->counted_us - pane->start_us) / pane_us <= UINT32_MAX;
}

static bool load_pane(struct mill_join *join, struct mill_cursor *id, struct mill_slice bytes)
{
    struct mill__join_count count = {.kind = (enum mill_part_kind)mill_cursor_byte(id)};

    count.start_us = (int64_t)mill_cursor_u64(id);
    count.counted_us = (int64_t)mill_cursor_u64(id);
    if (id->bad || id->p != id->end || !is_pane(join, &count)) {
        return false;
    }
    struct mill_outcomes *outcomes = mill_outcomes_new();
    bool is_whole = mill_outcomes_merge(outcomes, bytes, 1, NULL) == MILL_OK;
    mill_outcomes_free(outcomes);
    if (is_whole) {
        struct mill__join_pane *pane = mill__join_panes_get(&join->panes, &count);
        is_whole = !pane->is_stored;
        pane->is_stored = true;
        mill_buffer_add_slice(&pane->bytes, is_whole ? bytes : (struct mill_slice){0});
    }
    return is_whole;
}

static bool load_watermark(struct mill_join *join, struct mill_cursor *id, struct mill_cursor *c)
{
    int64_t watermark_us = mill_cursor_zigzag(c);

    if (id->p != id->end || c->bad || c->p != c->end || !is_time(watermark_us)) {
        return false;
    }
    join->watermark_us = watermark_us;
    return true;
}

int mill_join_load(struct mill_join *join, struct mill_slice id, struct mill_slice bytes, struct mill_error *err)
{
    struct mill_cursor at = mill_cursor_of(id), c = mill_cursor_of(bytes);
    char kind = (char)mill_cursor_byte(&at);

    mill_assert(join->options.is_stored);
    bool is_good = kind == 'e' || kind == 'l' ? load_entry(join, kind == 'e', &at, &c)
                   : kind == 'p'              ? load_pane(join, &at, bytes)
                   : kind == 'w'              ? load_watermark(join, &at, &c)
                                              : false;
    return is_good ? MILL_OK : mill_fail(err, MILL_EDATA, "a stored record of a join of labels is damaged");
}
