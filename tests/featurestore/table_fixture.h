/* SPDX-License-Identifier: Apache-2.0 */
/* One view over events (key string, x float64, n int64), folded and looked up one row at a time. For tests of windows,
 * views and tables; include it after cmocka.h. */
#ifndef MILL_TEST_TABLE_FIXTURE_H
#define MILL_TEST_TABLE_FIXTURE_H

#include "featurestore/featurestore.h"

enum { FIXTURE_KEY, FIXTURE_X, FIXTURE_N, FIXTURE_COLUMNS };

static struct mill_field fixture_fields[FIXTURE_COLUMNS] = {
    {"key", MILL_STRING}, {"x", MILL_FLOAT64}, {"n", MILL_INT64}};
static const struct mill_schema fixture_schema = {fixture_fields, FIXTURE_COLUMNS};
static const struct mill_join_key fixture_keys[] = {{"key", MILL_STRING}};

struct fixture {
    struct mill_view_spec spec;
    struct mill_view *view;
    struct mill_view_table *table;
    struct mill_schema schema;
    struct mill_field fields[64];
    struct mill_arena arena;
    struct mill_batch batch;
    int64_t next_offset;
    struct mill_fold_result result;
};

static void fixture_open(struct fixture *f, const struct mill_view_table_options *options)
{
    struct mill_error err = {0};

    f->spec.name = "v";
    f->spec.entity = (struct mill_entity){"e", fixture_keys, 1};
    f->spec.source_schema = &fixture_schema;
    if (mill_view_compile(&f->spec, &f->view, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    memcpy(f->fields, fixture_fields, sizeof(fixture_fields));
    memcpy(f->fields + FIXTURE_COLUMNS, mill_view_schema(f->view)->fields,
           mill_view_schema(f->view)->field_count * sizeof(struct mill_field));
    f->schema = (struct mill_schema){f->fields, FIXTURE_COLUMNS + mill_view_schema(f->view)->field_count};
    mill_arena_init(&f->arena, 0);
    struct mill_view_table_options defaults = {.entities_max = 1000000};
    assert_int_equal(mill_view_table_open(f->view, options == NULL ? &defaults : options, &f->table, NULL), MILL_OK);
}

static void fixture_close(struct fixture *f)
{
    mill_view_table_close(f->table);
    mill_view_free(f->view);
    mill_arena_clear(&f->arena);
}

/* x NULL: null. */
static struct mill_view_rows *fixture_row(struct fixture *f, const char *key, int64_t t, const double *x, bool lookup)
{
    struct mill_view_use use = {.view = f->view, .lookup = lookup, .first_column = FIXTURE_COLUMNS};

    mill_arena_reset(&f->arena);
    mill_batch_init(&f->batch, &f->schema, 1, &f->arena);
    f->batch.row_count = 1;
    mill_bit_set(f->batch.live, 0);
    f->batch.event_time_us[0] = t;
    f->batch.offset[0] = f->next_offset;
    if (key != NULL) {
        mill_bit_set(f->batch.columns[FIXTURE_KEY].valid, 0);
        f->batch.columns[FIXTURE_KEY].at.s[0] = mill_slice_of(key);
    }
    if (x != NULL) {
        mill_bit_set(f->batch.columns[FIXTURE_X].valid, 0);
        f->batch.columns[FIXTURE_X].at.f[0] = *x;
        mill_bit_set(f->batch.columns[FIXTURE_N].valid, 0);
        f->batch.columns[FIXTURE_N].at.i[0] = (int64_t)*x;
    }
    return mill_view_prepare(&use, &f->batch);
}

static int fixture_try_fold(struct fixture *f, const char *key, int64_t t, const double *x, struct mill_error *err)
{
    struct mill_view_rows *rows = fixture_row(f, key, t, x, false);
    int rc = mill_view_fold(f->table, rows, 0, &f->result, err);
    if (rc == MILL_OK) {
        f->next_offset++;
        mill_view_finish(rows, 0, 1);
    }
    return rc;
}

static __attribute__((unused)) void fixture_fold(struct fixture *f, const char *key, int64_t t, double x)
{
    struct mill_error err = {0};
    if (fixture_try_fold(f, key, t, &x, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

static __attribute__((unused)) void fixture_lookup(struct fixture *f, const char *key, int64_t t)
{
    struct mill_error err = {0};
    struct mill_view_rows *rows = fixture_row(f, key, t, NULL, true);
    if (mill_view_lookup(f->table, rows, 0, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    mill_view_finish(rows, 0, 1);
}

static struct mill_column *fixture_column(struct fixture *f, const char *name)
{
    int c = mill_schema_find(mill_view_schema(f->view), mill_slice_of(name));
    assert_true(c >= 0);
    return &f->batch.columns[FIXTURE_COLUMNS + c];
}

static __attribute__((unused)) bool fixture_is_null(struct fixture *f, const char *name)
{
    return !mill_bit_get(fixture_column(f, name)->valid, 0);
}

static __attribute__((unused)) double fixture_double(struct fixture *f, const char *name)
{
    assert_false(fixture_is_null(f, name));
    return fixture_column(f, name)->at.f[0];
}

static __attribute__((unused)) int64_t fixture_int(struct fixture *f, const char *name)
{
    assert_false(fixture_is_null(f, name));
    return fixture_column(f, name)->at.i[0];
}

#endif
