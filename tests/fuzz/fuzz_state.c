/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stored entity state from hostile bytes. The input is a body, which gets a valid head and checksum (else nothing would
 * get past those), or, if its first byte is 0, a whole blob. What is accepted must be written and read back as the same
 * bytes, and must bear folds and lookups around the times in it.
 */
#include <stdlib.h>

#include "base/hash.h"
#include "featurestore/table_internal.h"

static struct mill_field source_fields[] = {{"key", MILL_STRING}, {"x", MILL_FLOAT64}, {"n", MILL_INT64}};
static const struct mill_schema source_schema = {source_fields, 3};
static const struct mill_join_key join_keys[] = {{"key", MILL_STRING}};
static const struct mill_feature_spec features[] = {{"x", {"x", 1}, 0, 0}};

#define AGGREGATE(column_, function_, window_, semantics_)                                                             \
    {                                                                                                                  \
        .name = #column_ "_" #function_ "_" #semantics_ #window_, .column = #column_, .function = #function_,          \
        .window_us = (window_), .semantics = MILL_WINDOW_##semantics_, .hop_us = (window_) / 10,                       \
    }

static const struct mill_aggregate_spec aggregates[] = {
    AGGREGATE(x, sum, 1000, EXACT),  AGGREGATE(x, max, 1000, EXACT),
    AGGREGATE(n, mean, 1000, HOP),   AGGREGATE(x, mean, 1000, HOP),
    AGGREGATE(x, min, 1000, HOP),    AGGREGATE(n, count, 0, EXACT),
    AGGREGATE(x, sum, 0, EXACT),     AGGREGATE(x, last, 0, EXACT),
    AGGREGATE(n, first, 0, CHRONON), AGGREGATE(key, time_since_last, 1000, HOP),
};
enum { AGGREGATE_COUNT = sizeof(aggregates) / sizeof(aggregates[0]), COLUMN_COUNT = 3 + 1 + AGGREGATE_COUNT };

static const struct mill_view_spec spec = {
    .name = "fuzz",
    .entity = {"e", join_keys, 1},
    .source_schema = &source_schema,
    .features = features,
    .feature_count = 1,
    .aggregates = aggregates,
    .aggregate_count = AGGREGATE_COUNT,
    .events_max = 50,
};
static struct mill_view *view;
static struct mill_field fields[COLUMN_COUNT];
static const struct mill_schema schema = {fields, COLUMN_COUNT};

static void set_up(void)
{
    mill_assert(mill_view_compile(&spec, &view, NULL) == MILL_OK);
    memcpy(fields, source_fields, sizeof(source_fields));
    memcpy(fields + 3, mill_view_schema(view)->fields, (COLUMN_COUNT - 3) * sizeof(struct mill_field));
}

static void touch(struct mill_view_table *table, int64_t t, bool lookup)
{
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_view_use use = {.view = view, .lookup = lookup, .first_column = 3};
    struct mill_fold_result result;

    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 1, &arena);
    batch.row_count = 1;
    mill_bit_set(batch.live, 0);
    batch.event_time_us[0] = t;
    for (uint32_t c = 0; c < 3; c++) {
        mill_bit_set(batch.columns[c].valid, 0);
    }
    batch.columns[0].at.s[0] = mill_slice_of("a");
    struct mill_view_rows *rows = mill_view_prepare(&use, &batch);
    int rc = lookup ? mill_view_lookup(table, rows, 0, NULL) : mill_view_fold(table, rows, 0, &result, NULL);
    mill_assert(rc == MILL_OK);
    mill_arena_clear(&arena);
}

static struct mill_view_table *open_table(struct mill__entity **ret_entity)
{
    struct mill_view_table_options options = {.entities_max = 10};
    struct mill_view_table *table;
    mill_assert(mill_view_table_open(view, &options, &table, NULL) == MILL_OK);
    *ret_entity = mill__map_add(table,
                                (struct mill_slice){"\x01"
                                                    "a",
                                                    2},
                                mill_hash64("\x01"
                                            "a",
                                            2));
    return table;
}

static void make_blob(const uint8_t *data, size_t size, struct mill_buffer *blob)
{
    if (size > 0 && data[0] == 0) {
        mill_buffer_add(blob, data + 1, size - 1);
        return;
    }
    mill_buffer_add_byte(blob, 1);
    mill_buffer_add_u32(blob, (uint32_t)mill_view_state_hash(view));
    mill_buffer_add(blob, data + (size > 0), size - (size > 0));
    mill_buffer_add_u32(blob, (uint32_t)mill_hash64(blob->p, blob->n));
}

static void check_round_trip(struct mill_view_table *table, struct mill__entity *e)
{
    struct mill_buffer first = {0}, second = {0};
    struct mill__entity *copy;
    struct mill_view_table *other = open_table(&copy);

    mill__entity_write(table, e, &first);
    mill_assert(mill__entity_read_state(other, copy, mill_buffer_slice(&first), NULL) == MILL_OK);
    mill__entity_write(other, copy, &second);
    mill_assert(mill_slice_equal(mill_buffer_slice(&first), mill_buffer_slice(&second)));
    mill_view_table_close(other);
    mill_buffer_clear(&first);
    mill_buffer_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct mill_buffer blob = {0};
    struct mill__entity *e;

    if (view == NULL) {
        set_up();
    }
    struct mill_view_table *table = open_table(&e);
    make_blob(data, size, &blob);
    if (mill__entity_read_state(table, e, mill_buffer_slice(&blob), NULL) == MILL_OK) {
        check_round_trip(table, e);
        int64_t t = e->newest.time_us;
        touch(table, t, true);
        touch(table, t, false);
        mill_view_table_advance(table, t);
        touch(table, t > 0 ? t - 500 : t + 500, false);
        touch(table, t > 0 ? t : t + 1000000, false);
        mill_view_table_advance(table, t > 0 ? t : t + 1000000);
        touch(table, t > 0 ? t - 2000 : t, false);
        touch(table, t, true);
    }
    mill_view_table_close(table);
    mill_buffer_clear(&blob);
    return 0;
}
