/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rows that are served, kept with their entities: what the online store gets again when it has lost its memory. A
 * row is bytes here; online_row.c knows what they mean.
 */
#include "featurestore/table_internal.h"

void mill__entity_keep_row(struct mill_view_table *table, struct mill__entity *e, struct mill_slice bytes)
{
    size_t n;

    if (e->row_n != bytes.n) { /* most rows of a view have one size */
        mill__pool_give(&table->pool, e->row, e->row_n);
        e->row = bytes.n == 0 ? NULL : mill__pool_take(&table->pool, bytes.n, &n);
        e->row_n = (uint32_t)bytes.n;
    }
    if (bytes.n > 0) {
        memcpy(e->row, bytes.p, bytes.n);
    }
}

void mill_view_table_keep_row(struct mill_view_table *table, const struct mill_view_rows *rows, uint32_t row,
                              struct mill_slice bytes)
{
    struct mill__entity *e = mill__entity_at(table, rows->slots[row]);

    mill_assert(table->options.keeps_rows && bytes.n <= UINT32_MAX);
    mill_assert(e->used && e->hash == rows->hashes[row]);
    mill_assert(e->dirty || table->options.kv == NULL);
    mill__entity_keep_row(table, e, bytes);
}

struct walk {
    struct mill_view_table *table;
    struct mill_row_walk *position;
    bool (*each)(void *context, struct mill_slice key, struct mill_slice row);
    void *context;
    size_t prefix_n;
    bool is_paused;
    int rc;
    struct mill_error *err;
};

static bool on_stored(void *context, struct mill_slice key, struct mill_slice value)
{
    struct walk *w = context;
    struct mill_slice entity_key = {key.p + w->prefix_n, key.n - w->prefix_n}, row;

    w->rc = mill__state_row(w->table->view, value, &row, w->err);
    if (w->rc < 0) {
        return false;
    }
    if (row.n > 0 && !w->each(w->context, entity_key, row)) {
        mill_buffer_reset(&w->position->after);
        mill_buffer_add_slice(&w->position->after, key);
        w->is_paused = true;
    }
    return !w->is_paused;
}

static int walk_store(struct walk *w, struct mill_error *err)
{
    struct mill_slice prefix = mill__table_key_prefix(w->table);

    w->prefix_n = prefix.n;
    MILL_TRY(mill_kv_scan(w->table->options.kv, MILL_KV_STATE, prefix, mill_buffer_slice(&w->position->after),
                          on_stored, w, err));
    return w->rc;
}

static void walk_memory(struct walk *w)
{
    uint32_t *slot = &w->position->slot;

    while (*slot < w->table->slot_count && !w->is_paused) {
        const struct mill__entity *e = mill__entity_at(w->table, (*slot)++);
        if (e->used && e->row_n > 0) {
            struct mill_slice row = {e->row, e->row_n};
            w->is_paused = !w->each(w->context, mill__entity_key(e), row);
        }
    }
}

int mill_view_table_walk_rows(struct mill_view_table *table, struct mill_row_walk *walk,
                              bool (*each)(void *context, struct mill_slice key, struct mill_slice row), void *context,
                              struct mill_error *err)
{
    struct walk w = {.table = table, .position = walk, .each = each, .context = context, .err = err};

    if (table->options.kv == NULL) {
        walk_memory(&w);
    } else {
        MILL_TRY(walk_store(&w, err));
    }
    walk->is_done = !w.is_paused;
    return MILL_OK;
}
