/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that entities keep: through flushes, eviction and the store, walked in steps; and state of the version that
 * had none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/hash.h"
#include "kv_memory.h"
#include "table_fixture.h"

enum { KEYS = 40 };

static const struct mill_aggregate_spec aggregates[] = {
    {.name = "x_sum_1h", .column = "x", .function = "sum", .window_us = MILL_US_PER_HOUR}};

struct seen {
    uint32_t count, stop_after;
    char rows[KEYS][32];
    bool twice;
};

/* Row "k7/3" is the third of key "k7". */
static bool see(void *context, struct mill_slice key, struct mill_slice row)
{
    struct seen *seen = context;
    long number = strtol(row.p + 1, NULL, 10); /* "k7/3": it ends at the slash */
    assert_in_range(number, 0, KEYS - 1);
    assert_memory_equal(key.p + 1, row.p, key.n - 1); /* its length, then "k7" */
    seen->twice |= seen->rows[number][0] != '\0';
    snprintf(seen->rows[number], sizeof(seen->rows[number]), "%.*s", (int)row.n, row.p);
    seen->count++;
    return seen->stop_after == 0 || seen->count % seen->stop_after != 0;
}

static void fold_and_keep(struct fixture *f, int key, int version, int64_t t)
{
    struct mill_error err;
    double x = version;
    char name[16], row[48];
    snprintf(name, sizeof(name), "k%d", key);
    struct mill_view_rows *rows = fixture_row(f, name, t, &x, false);
    assert_int_equal(mill_view_fold(f->table, rows, 0, &f->result, &err), MILL_OK);
    int n = snprintf(row, sizeof(row), "k%d/%d%.*s", key, version, version, "aaaaaaaaaaaaaaaaa");
    mill_view_table_keep_row(f->table, rows, 0, (struct mill_slice){row, (size_t)n});
}

static void flush(struct fixture *f, struct mill_kv *kv, struct mill_kv_batch *batch)
{
    mill_view_table_flush(f->table, batch);
    assert_int_equal(mill_kv_write(kv, batch, NULL), MILL_OK);
}

static void check_walk(struct fixture *f, const int *versions, uint32_t stop_after)
{
    struct mill_row_walk walk = {0};
    struct mill_error err;
    struct seen seen = {.stop_after = stop_after};
    uint32_t steps = 0;
    while (!walk.is_done) {
        assert_int_equal(mill_view_table_walk_rows(f->table, &walk, see, &seen, &err), MILL_OK);
        steps++;
    }
    mill_buffer_clear(&walk.after);
    assert_false(seen.twice);
    assert_int_equal(seen.count, KEYS);
    assert_true(stop_after == 0 ? steps == 1 : steps >= KEYS / stop_after);
    for (int k = 0; k < KEYS; k++) {
        char wanted[48];
        snprintf(wanted, sizeof(wanted), "k%d/%d%.*s", k, versions[k], versions[k], "aaaaaaaaaaaaaaaaa");
        assert_string_equal(seen.rows[k], wanted);
    }
}

/* Through a store with room for few entities in memory, and without a store. */
static void run_rounds(struct mill_kv *kv, uint32_t entities_max)
{
    struct mill_view_table_options options = {.entities_max = entities_max, .kv = kv, .keeps_rows = true};
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 1}};
    struct mill_kv_batch *batch = mill_kv_batch_new();
    int versions[KEYS] = {0};

    fixture_open(&f, &options);
    for (int round = 1; round <= 9; round++) {
        for (int k = 0; k < KEYS; k++) {
            if (round == 1 || (k * 7 + round) % 3 == 0) {
                versions[k] = round;
                fold_and_keep(&f, k, round, f.next_offset++ * MILL_US_PER_MINUTE);
            }
            if (kv != NULL && k % 8 == 7) {
                flush(&f, kv, batch);
                flush(&f, kv, batch);
            }
        }
        check_walk(&f, versions, round % 3 == 0 ? 0 : (uint32_t)round);
    }
    mill_kv_batch_free(batch);
    fixture_close(&f);
}

static void test_rounds(void **state)
{
    (void)state;
    struct mill_kv *kv = NULL;
    assert_int_equal(mill_kv_open(NULL, &kv, NULL), MILL_OK);
    run_rounds(kv, 10);
    mill_kv_close(kv);
    run_rounds(NULL, KEYS);
}

/* An entity that changes without a new row (its event was late) keeps the old one. */
static void test_changed_without_row(void **state)
{
    (void)state;
    struct mill_kv *kv = NULL;
    assert_int_equal(mill_kv_open(NULL, &kv, NULL), MILL_OK);
    struct mill_view_table_options options = {.entities_max = 10, .kv = kv, .keeps_rows = true};
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 1}};
    struct mill_kv_batch *batch = mill_kv_batch_new();
    struct seen seen = {0};
    struct mill_row_walk walk = {0};

    fixture_open(&f, &options);
    fold_and_keep(&f, 1, 5, MILL_US_PER_HOUR);
    flush(&f, kv, batch);
    fixture_close(&f);
    fixture_open(&f, &options);
    fixture_fold(&f, "k1", MILL_US_PER_MINUTE, 2);
    flush(&f, kv, batch);
    assert_int_equal(mill_view_table_walk_rows(f.table, &walk, see, &seen, NULL), MILL_OK);
    mill_buffer_clear(&walk.after);
    assert_string_equal(seen.rows[1], "k1/5aaaaa");
    mill_kv_batch_free(batch);
    fixture_close(&f);
    mill_kv_close(kv);
}

/* The bytes of version 1: the same without the row. */
static void test_state_of_version_1(void **state)
{
    (void)state;
    struct mill_kv *kv = NULL;
    assert_int_equal(mill_kv_open(NULL, &kv, NULL), MILL_OK);
    struct mill_view_table_options options = {.entities_max = 10, .kv = kv, .keeps_rows = true};
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 1}};
    struct mill_kv_batch *batch = mill_kv_batch_new();

    fixture_open(&f, &options);
    fixture_fold(&f, "k1", MILL_US_PER_MINUTE, 41);
    flush(&f, kv, batch);
    fixture_close(&f);

    struct kv_entry *e = &kv->entries.at[0];
    assert_int_equal(e->value[0], 2);
    assert_int_equal(e->value[5], 0); /* no row */
    memmove(e->value + 5, e->value + 6, e->value_n - 6);
    e->value_n--;
    e->value[0] = 1;
    uint32_t checksum = (uint32_t)mill_hash64(e->value, e->value_n - 4);
    memcpy(e->value + e->value_n - 4, &checksum, 4);

    fixture_open(&f, &options);
    fixture_fold(&f, "k1", 2 * MILL_US_PER_MINUTE, 1);
    assert_true(fixture_double(&f, "x_sum_1h") == 42);
    mill_kv_batch_free(batch);
    fixture_close(&f);
    mill_kv_close(kv);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rounds),
        cmocka_unit_test(test_changed_without_row),
        cmocka_unit_test(test_state_of_version_1),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
