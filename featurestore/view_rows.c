/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A view's vector work on a batch: expression features, conditions and keys before the folds, derivations after them.
 * All memory is the batch's arena.
 */
#include <stdatomic.h>

#include "base/hash.h"
#include "featurestore/key_internal.h"
#include "featurestore/view_internal.h"

/* Numbers the rows ever prepared, so that an entity can tell whether its newest row is of the batch at hand. Any thread
 * draws numbers; nothing else hangs on their order. */
static _Atomic uint64_t next_serial = 1;

/* The view's numbering over the batch's columns. A lookup's source columns are the hidden ones; others are not there,
 * and nothing that a lookup runs reads them. */
static void make_shadow(struct mill_view_rows *rows)
{
    const struct mill_view *view = rows->view;
    struct mill_batch *batch = rows->batch;

    rows->shadow = *batch;
    rows->shadow.schema = &view->shadow;
    rows->shadow.columns = mill_arena_zarray(batch->arena, struct mill_column, view->shadow.field_count);
    if (!rows->lookup) {
        memcpy(rows->shadow.columns, batch->columns, view->source_count * sizeof(struct mill_column));
    } else {
        for (uint32_t i = 0; i < view->hidden_count; i++) {
            rows->shadow.columns[view->hidden_source[i]] = *mill__rows_view_column(rows, view->output_count + i);
        }
    }
    memcpy(rows->shadow.columns + view->source_count, mill__rows_view_column(rows, 0),
           view->schema.field_count * sizeof(struct mill_column));
}

static void eval_columns(struct mill_view_rows *rows)
{
    const struct mill_view *view = rows->view;
    struct mill_batch *batch = rows->batch;

    for (uint32_t i = 0; i < view->spec->feature_count; i++) {
        mill_expr_eval(view->features[i], &rows->shadow, 0, batch->row_count, mill__rows_view_column(rows, i),
                       batch->arena);
    }
    rows->wheres = mill_arena_array(batch->arena, struct mill_column, view->where_count);
    for (uint32_t w = 0; w < view->where_count; w++) {
        mill_column_init(&rows->wheres[w], MILL_BOOL, batch->row_capacity, batch->arena);
        mill_expr_eval(view->wheres[w], &rows->shadow, 0, batch->row_count, &rows->wheres[w], batch->arena);
    }
}

static void encode_keys(struct mill_view_rows *rows, const uint32_t *key_columns)
{
    const struct mill_entity *entity = &rows->view->spec->entity;
    struct mill_batch *batch = rows->batch;
    const struct mill_column *parts[MILL_KEY_PARTS_MAX];
    size_t total = 0;

    for (uint32_t k = 0; k < entity->key_count; k++) {
        parts[k] = &batch->columns[key_columns[k]];
        mill_assert(parts[k]->type == entity->keys[k].type);
    }
    rows->keys = mill_arena_zarray(batch->arena, struct mill_slice, batch->row_count);
    rows->hashes = mill_arena_zarray(batch->arena, uint64_t, batch->row_count);
    rows->slots = rows->lookup ? NULL : mill_arena_array(batch->arena, uint32_t, batch->row_count);
    for (uint32_t row = 0; row < batch->row_count; row++) {
        if (mill_bit_get(batch->live, row)) {
            rows->keys[row].n = mill__key_size(entity, parts, row);
            total += rows->keys[row].n;
        }
    }
    char *p = mill_arena_alloc(batch->arena, total);
    for (uint32_t row = 0; row < batch->row_count; row++) {
        struct mill_slice *key = &rows->keys[row];
        key->p = p;
        if (key->n > 0) {
            p = mill__key_write(entity, parts, row, p);
            rows->hashes[row] = mill_hash64(key->p, key->n);
        }
    }
}

struct mill_view_rows *mill_view_prepare(const struct mill_view_use *use, struct mill_batch *batch)
{
    struct mill_view_rows *rows = mill_arena_zalloc(batch->arena, sizeof(*rows));

    mill_assert(use->first_column + use->view->schema.field_count <= batch->schema->field_count);
    rows->view = use->view;
    rows->lookup = use->lookup;
    rows->serial = atomic_fetch_add_explicit(&next_serial, 1, memory_order_relaxed);
    rows->first_column = use->first_column;
    rows->batch = batch;
    make_shadow(rows);
    if (!use->lookup) {
        eval_columns(rows);
    }
    encode_keys(rows, use->lookup ? use->key_columns : use->view->key_columns);
    return rows;
}

struct mill_slice mill_view_rows_key(const struct mill_view_rows *rows, uint32_t row)
{
    mill_assert(row < rows->batch->row_count);
    return rows->keys[row];
}

void mill_view_finish(struct mill_view_rows *rows, uint32_t from, uint32_t to)
{
    const struct mill_view *view = rows->view;
    uint32_t first = view->spec->feature_count + view->reading_count;

    mill_assert(from <= to && to <= rows->batch->row_count);
    for (uint32_t i = 0; i < view->spec->derivation_count; i++) {
        mill_expr_eval(view->derivations[i], &rows->shadow, from, to, mill__rows_view_column(rows, first + i),
                       rows->batch->arena);
    }
}
