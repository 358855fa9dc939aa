/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entities on their way to the key-value store and back.
 *
 * At most entities_max entities are in memory; beyond it CLOCK takes out one that was not touched lately. An entity can
 * only go once the store has it: changed entities wait for a flush, and flushed ones for the flush after it, because
 * the caller may write the batch of a flush until then. While nothing can go the table grows, up to twice its limit;
 * then folds of new entities are refused (MILL_ERESOURCE) until two flushes have passed.
 */
#include "featurestore/table_internal.h"

enum { CLOCK_STEPS = 64 };

/* view_id u16 BE | partition u32 BE | key */
static struct mill_slice state_key(struct mill_view_table *table, struct mill_slice key)
{
    uint32_t partition = (uint32_t)table->options.partition;
    struct mill_buffer *b = &table->key_buffer;

    mill_buffer_reset(b);
    mill_buffer_add_byte(b, (unsigned char)(table->options.view_id >> 8));
    mill_buffer_add_byte(b, (unsigned char)table->options.view_id);
    for (int shift = 24; shift >= 0; shift -= 8) {
        mill_buffer_add_byte(b, (unsigned char)(partition >> shift));
    }
    mill_buffer_add_slice(b, key);
    return mill_buffer_slice(b);
}

static bool note_first(void *context, struct mill_slice key, struct mill_slice value)
{
    (void)key;
    (void)value;
    *(bool *)context = true;
    return false;
}

struct mill_slice mill__table_key_prefix(struct mill_view_table *table)
{
    return state_key(table, (struct mill_slice){0});
}

/* A store without anything of this table need not be asked for every new entity. */
int mill__table_look_for_cold(struct mill_view_table *table, struct mill_error *err)
{
    if (table->options.kv == NULL) {
        return MILL_OK;
    }
    return mill_kv_scan(table->options.kv, MILL_KV_STATE, mill__table_key_prefix(table), (struct mill_slice){0},
                        note_first, &table->may_be_cold, err);
}

static bool try_evict(struct mill_view_table *table, struct mill__entity *e)
{
    if (!e->used || e->dirty || (e->flush_epoch != 0 && e->flush_epoch >= table->flush_epoch)) {
        return false;
    }
    if (e->referenced) {
        e->referenced = false;
        return false;
    }
    mill__map_remove(table, e);
    table->evicted++;
    table->may_be_cold = true;
    return true;
}

/* Turns the clock by at most so many slots. */
static bool evict_one(struct mill_view_table *table, uint32_t steps)
{
    for (uint32_t i = 0; i < steps; i++) {
        table->clock_hand = table->clock_hand + 1 < table->slot_count ? table->clock_hand + 1 : 0;
        if (try_evict(table, mill__entity_at(table, table->clock_hand))) {
            return true;
        }
    }
    return false;
}

int mill__table_make_room(struct mill_view_table *table, struct mill_error *err)
{
    uint32_t max = table->options.entities_max;

    if (table->entity_count < max) {
        return MILL_OK;
    }
    if (table->options.kv == NULL) {
        return mill_fail(err, MILL_ERESOURCE,
                         "view '%s' has %u entities in memory and no offline store for more; hint: configure "
                         "'offline_store' or raise 'entities_max'",
                         table->view->spec->name, (unsigned)table->entity_count);
    }
    /* Two steps down for one up, so that a table that had to grow gets back to its limit. */
    if (evict_one(table, CLOCK_STEPS) && table->entity_count >= max) {
        evict_one(table, CLOCK_STEPS);
    }
    if (table->entity_count < 2 * max || evict_one(table, 2 * table->slot_count)) {
        return MILL_OK;
    }
    return mill_fail(err, MILL_ERESOURCE,
                     "view '%s' has %u entities in memory that wait for a flush; hint: flush more often or raise "
                     "'entities_max'",
                     table->view->spec->name, (unsigned)table->entity_count);
}

int mill__table_find(struct mill_view_table *table, struct mill_slice key, uint64_t hash,
                     struct mill__entity **ret_entity, struct mill_error *err)
{
    struct mill__entity *e = mill__map_find(table, key, hash);

    if (e != NULL) {
        e->referenced = true;
    } else if (table->may_be_cold) {
        int found = mill_kv_get(table->options.kv, MILL_KV_STATE, state_key(table, key), &table->blob, err);
        MILL_TRY(found);
        if (found > 0) {
            MILL_TRY(mill__table_make_room(table, err));
            e = mill__map_add(table, key, hash);
            int rc = mill__entity_read_state(table, e, mill_buffer_slice(&table->blob), err);
            if (rc < 0) {
                mill__map_remove(table, e);
                return rc;
            }
            table->cold_reads++;
        }
    }
    *ret_entity = e;
    return MILL_OK;
}

int mill_view_reserve(struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row,
                      struct mill_error *err)
{
    struct mill_slice key = rows->keys[row];
    struct mill__entity *e;

    if (key.n == 0 || (!table->may_be_cold && table->entity_count < table->options.entities_max)) {
        return MILL_OK; /* a fold will find it here, or add it */
    }
    MILL_TRY(mill__table_find(table, key, rows->hashes[row], &e, err));
    if (e == NULL && !rows->lookup) {
        MILL_TRY(mill__table_make_room(table, err));
        mill__map_add(table, key, rows->hashes[row]); /* empty and clean: as good as not there, should no fold come */
    }
    return MILL_OK;
}

void mill__table_mark_dirty(struct mill_view_table *table, struct mill__entity *e)
{
    if (e->dirty || table->options.kv == NULL) {
        return;
    }
    e->dirty = true;
    if (table->dirty_count == table->dirty_capacity) {
        table->dirty_capacity = table->dirty_capacity == 0 ? 256 : table->dirty_capacity * 2;
        table->dirty = mill_realloc(table->dirty, (size_t)table->dirty_capacity * sizeof(uint32_t));
    }
    table->dirty[table->dirty_count++] = e->slot;
}

uint32_t mill_view_table_flush(struct mill_view_table *table, struct mill_kv_batch *batch)
{
    uint32_t count = table->dirty_count;

    mill_assert(count == 0 || table->options.kv != NULL);
    table->flush_epoch++;
    for (uint32_t i = 0; i < count; i++) {
        struct mill__entity *e = mill__entity_at(table, table->dirty[i]);
        mill_assert(e->used && e->dirty);
        mill__map_prefetch_slots(table, table->dirty, i, count);
        mill_buffer_reset(&table->blob);
        mill__entity_write(table, e, &table->blob);
        mill_kv_batch_put(batch, MILL_KV_STATE, state_key(table, mill__entity_key(e)), mill_buffer_slice(&table->blob));
        e->dirty = false;
        e->flush_epoch = table->flush_epoch;
    }
    table->dirty_count = 0;
    return count;
}
