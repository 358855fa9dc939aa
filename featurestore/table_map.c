/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entities in memory: an open-addressing map (linear probing, at most half full, removal by moving back what follows,
 * so that there are no tombstones) from key to slot, and slots of one size in chunks.
 */
#include <stdlib.h>

#include "featurestore/table_internal.h"

enum { MAP_CAPACITY_MIN = 64, ENTITY_ALIGN = 64 };
enum { AHEAD_BUCKET = 16, AHEAD_ENTITY = 10, AHEAD_RINGS = 5, PREFETCHED_MAX = 1024 };

void mill__map_init(struct mill_view_table *table)
{
    table->map = mill_calloc(MAP_CAPACITY_MIN, sizeof(struct mill__map_entry));
    table->map_mask = MAP_CAPACITY_MIN - 1;
}

void mill__map_clear(struct mill_view_table *table)
{
    for (uint32_t slot = 0; slot < table->slot_count; slot++) {
        struct mill__entity *e = mill__entity_at(table, slot);
        if (e->used) {
            mill__entity_clear(table, e);
        }
    }
    free(table->chunks);
    free(table->map);
}

static uint32_t find_entry(const struct mill_view_table *table, struct mill_slice key, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);

    for (uint32_t i = (uint32_t)hash & table->map_mask;; i = (i + 1) & table->map_mask) {
        const struct mill__map_entry *entry = &table->map[i];
        if (entry->slot == 0) {
            return i;
        }
        if (entry->tag == tag) {
            const struct mill__entity *e = mill__entity_at(table, entry->slot - 1);
            if (e->hash == hash && mill_slice_equal(mill__entity_key(e), key)) {
                return i;
            }
        }
    }
}

struct mill__entity *mill__map_find(const struct mill_view_table *table, struct mill_slice key, uint64_t hash)
{
    const struct mill__map_entry *entry = &table->map[find_entry(table, key, hash)];
    return entry->slot == 0 ? NULL : mill__entity_at(table, entry->slot - 1);
}

static void grow_map(struct mill_view_table *table)
{
    struct mill__map_entry *old = table->map;
    uint32_t old_count = table->map_mask + 1;

    mill_assert(old_count <= UINT32_MAX / 4);
    table->map = mill_calloc((size_t)old_count * 2, sizeof(struct mill__map_entry));
    table->map_mask = old_count * 2 - 1;
    for (uint32_t i = 0; i < old_count; i++) {
        if (old[i].slot != 0) {
            uint32_t at = (uint32_t)mill__entity_at(table, old[i].slot - 1)->hash & table->map_mask;
            while (table->map[at].slot != 0) {
                at = (at + 1) & table->map_mask;
            }
            table->map[at] = old[i];
        }
    }
    free(old);
}

static void add_chunk(struct mill_view_table *table)
{
    mill_assert(table->entity_size % ENTITY_ALIGN == 0);
    size_t n;
    char *chunk = mill__pool_take(&table->pool, (size_t)MILL__ENTITIES_PER_CHUNK * table->entity_size, &n);
    memset(chunk, 0, n);
    if ((table->chunk_count & (table->chunk_count - 1)) == 0) { /* full at powers of two */
        size_t capacity = table->chunk_count == 0 ? 1 : (size_t)table->chunk_count * 2;
        table->chunks = mill_realloc(table->chunks, capacity * sizeof(char *));
    }
    table->chunks[table->chunk_count++] = chunk;
}

static uint32_t take_slot(struct mill_view_table *table)
{
    if (table->free_slot != 0) {
        uint32_t slot = table->free_slot - 1;
        table->free_slot = mill__entity_at(table, slot)->next_free;
        return slot;
    }
    if (table->slot_count == table->chunk_count * MILL__ENTITIES_PER_CHUNK) {
        add_chunk(table);
    }
    return table->slot_count++;
}

static void set_key(struct mill_view_table *table, struct mill__entity *e, struct mill_slice key)
{
    e->key_length = (uint32_t)key.n;
    char *p = e->key.bytes;
    if (key.n > MILL__KEY_INLINE) {
        size_t n;
        p = e->key.block = mill__pool_take(&table->pool, key.n, &n);
    }
    memcpy(p, key.p, key.n);
}

/* The entity that a hash most likely means: tags decide, keys are not compared. */
static struct mill__entity *guess(const struct mill_view_table *table, uint64_t hash)
{
    uint32_t tag = (uint32_t)(hash >> 32);

    for (uint32_t i = (uint32_t)hash & table->map_mask; table->map[i].slot != 0; i = (i + 1) & table->map_mask) {
        if (table->map[i].tag == tag) {
            return mill__entity_at(table, table->map[i].slot - 1);
        }
    }
    return NULL;
}

/* Functions that only prefetch must be inlined: gcc takes them for functions without effect and drops the calls. */
#define ALWAYS_INLINE static inline __attribute__((always_inline))

ALWAYS_INLINE void prefetch(const void *p, uint32_t size)
{
    const char *last = (const char *)p + size - 1;

    for (const char *line = p; line < last; line += 64) {
        __builtin_prefetch(line, 1);
    }
    __builtin_prefetch(last, 1);
}

ALWAYS_INLINE void prefetch_element(const struct mill__ring *ring, uint32_t index, uint32_t size)
{
    if (ring->capacity > 0) {
        prefetch(mill__ring_at(ring, index, size), size);
    }
}

/* The ends of its rings: where events and panes come and go. */
ALWAYS_INLINE void prefetch_rings(const struct mill_view_table *table, struct mill__entity *e)
{
    const struct mill_view *view = table->view;

    prefetch_element(&e->events, e->closed_count, view->record_size);
    prefetch_element(&e->events, e->events.count, view->record_size);
    for (uint32_t i = 0; i < view->pane_set_count; i++) {
        const struct mill__ring *panes = &mill__entity_panes(table, e)[i];
        prefetch_element(panes, 0, view->pane_sets[i].pane_size);
        prefetch_element(panes, panes->count > 0 ? panes->count - 1 : 0, view->pane_sets[i].pane_size);
        prefetch_element(panes, panes->count, view->pane_sets[i].pane_size);
    }
    for (uint32_t s = 0; s < view->span_count; s++) {
        const struct mill__ring *fronts = &mill__entity_spans(table, e)[s].fronts;
        prefetch_element(fronts, 0, (uint32_t)sizeof(int64_t) + view->spans[s].front_size);
    }
}

/* State of random entities is far away, and each step of the way to it (bucket, entity, rings) must have arrived before
 * the next can be asked for: so rows further ahead are further back on that way. */
void mill__map_prefetch(const struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row)
{
    uint32_t count = rows->batch->row_count;
    struct mill__entity *e;

    if (row + AHEAD_BUCKET < count) {
        __builtin_prefetch(&table->map[(uint32_t)rows->hashes[row + AHEAD_BUCKET] & table->map_mask]);
    }
    if (row + AHEAD_ENTITY < count && (e = guess(table, rows->hashes[row + AHEAD_ENTITY])) != NULL) {
        prefetch(e, table->entity_size < PREFETCHED_MAX ? table->entity_size : PREFETCHED_MAX);
    }
    if (row + AHEAD_RINGS < count && (e = guess(table, rows->hashes[row + AHEAD_RINGS])) != NULL) {
        prefetch_rings(table, e);
    }
}

void mill__map_prefetch_slots(const struct mill_view_table *table, const uint32_t *slots, uint32_t index,
                              uint32_t count)
{
    if (index + AHEAD_ENTITY < count) {
        prefetch(mill__entity_at(table, slots[index + AHEAD_ENTITY]),
                 table->entity_size < PREFETCHED_MAX ? table->entity_size : PREFETCHED_MAX);
    }
    if (index + AHEAD_RINGS < count) {
        prefetch_rings(table, mill__entity_at(table, slots[index + AHEAD_RINGS]));
    }
}

struct mill__entity *mill__map_add(struct mill_view_table *table, struct mill_slice key, uint64_t hash)
{
    mill_assert(key.n > 0 && key.n <= MILL_KEY_BYTES_MAX);
    if (table->entity_count * 2 >= table->map_mask) {
        grow_map(table);
    }
    uint32_t i = find_entry(table, key, hash);
    mill_assert(table->map[i].slot == 0);
    uint32_t slot = take_slot(table);
    struct mill__entity *e = mill__entity_at(table, slot);
    mill__entity_init(table, e);
    e->hash = hash;
    e->slot = slot;
    e->used = true;
    e->referenced = true;
    set_key(table, e, key);
    table->map[i] = (struct mill__map_entry){.tag = (uint32_t)(hash >> 32), .slot = slot + 1};
    table->entity_count++;
    return e;
}

void mill__map_remove(struct mill_view_table *table, struct mill__entity *e)
{
    uint32_t hole = find_entry(table, mill__entity_key(e), e->hash);
    uint32_t slot = table->map[hole].slot;
    mill_assert(slot == e->slot + 1 && !e->dirty);

    /* Whatever follows in the run moves back, unless it would pass its own place. */
    for (uint32_t i = (hole + 1) & table->map_mask; table->map[i].slot != 0; i = (i + 1) & table->map_mask) {
        uint32_t home = (uint32_t)mill__entity_at(table, table->map[i].slot - 1)->hash & table->map_mask;
        if (((i - home) & table->map_mask) >= ((i - hole) & table->map_mask)) {
            table->map[hole] = table->map[i];
            hole = i;
        }
    }
    table->map[hole] = (struct mill__map_entry){0};
    mill__entity_clear(table, e);
    e->next_free = table->free_slot;
    table->free_slot = slot;
    table->entity_count--;
}
