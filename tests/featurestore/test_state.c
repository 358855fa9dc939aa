/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Entity state at its limits: damaged and foreign bytes from the store, a full table, many entities through a small
 * cache, a failing store, and no allocation once a table has warmed up. What state means is test_table.c.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "kv_memory.h"
#include "table_fixture.h"

#define HOUR MILL_US_PER_HOUR

static struct mill_aggregate_spec aggregates[] = {
    {.name = "sum", .column = "x", .function = "sum", .window_us = HOUR},
    {.name = "max", .column = "x", .function = "max", .window_us = HOUR},
    {.name = "max_3h", .column = "x", .function = "max", .window_us = 3 * HOUR},
    {.name = "mean_3h", .column = "x", .function = "mean", .window_us = 3 * HOUR},
    {.name = "count", .column = "x", .function = "count"},
};

static struct fixture new_fixture(void)
{
    return (struct fixture){.spec = {.aggregates = aggregates, .aggregate_count = 5}};
}

static void flush_and_write(struct fixture *f, struct mill_kv *kv)
{
    struct mill_kv_batch batch = {{0}};
    mill_view_table_flush(f->table, &batch);
    assert_int_equal(mill_kv_write(kv, &batch, NULL), MILL_OK);
}

/* One entity with some history in kv, and the table closed. */
static void fill_store(struct mill_kv *kv)
{
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {.entities_max = 10, .kv = kv};

    fixture_open(&f, &options);
    for (int i = 0; i < 30; i++) {
        fixture_fold(&f, "a", i * HOUR / 7, i * 1.1);
        mill_view_table_advance(f.table, (i - 3) * HOUR / 7);
    }
    flush_and_write(&f, kv);
    fixture_close(&f);
}

static int try_lookup(struct fixture *f, struct mill_error *err)
{
    struct mill_view_rows *rows = fixture_row(f, "a", 5 * HOUR, NULL, true);
    return mill_view_lookup(f->table, rows, 0, err);
}

/* No bit of a stored state can flip, and no byte be lost, unnoticed; and the table goes on. */
static void test_damage(void **state)
{
    (void)state;
    struct mill_kv kv = {.fail_gets = 0};
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {.entities_max = 10, .kv = &kv};
    struct mill_error err = {0};

    fill_store(&kv);
    fixture_open(&f, &options);
    assert_int_equal(kv.entries.count, 1);
    struct kv_entry *entry = &kv.entries.at[0];
    for (size_t bit = 0; bit < entry->value_n * 8; bit++) {
        entry->value[bit / 8] ^= (char)(1 << (bit % 8));
        assert_int_equal(try_lookup(&f, &err), MILL_EDATA);
        assert_non_null(strstr(err.msg, "state of view 'v'"));
        entry->value[bit / 8] ^= (char)(1 << (bit % 8));
    }
    size_t n = entry->value_n;
    for (entry->value_n = 0; entry->value_n < n; entry->value_n++) {
        assert_int_equal(try_lookup(&f, &err), MILL_EDATA);
    }
    struct mill_view_table_stats stats;
    mill_view_table_stats(f.table, &stats);
    assert_int_equal(stats.entities, 0);
    assert_int_equal(try_lookup(&f, &err), MILL_OK);
    assert_int_equal(fixture_int(&f, "count"), 30);
    mill_view_table_stats(f.table, &stats);
    assert_true(stats.entities == 1 && stats.cold_reads == 1 && stats.evicted == 0);
    fixture_close(&f);
    kv_clear(&kv.entries);
}

static void test_other_definition(void **state)
{
    (void)state;
    struct mill_kv kv = {.fail_gets = 0};
    struct fixture f = {.spec = {.aggregates = aggregates, .aggregate_count = 4}};
    struct mill_view_table_options options = {.entities_max = 10, .kv = &kv};
    struct mill_error err = {0};

    fill_store(&kv);
    fixture_open(&f, &options);
    assert_int_equal(try_lookup(&f, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "written by another definition of the view; hint: "));
    fixture_close(&f);
    kv_clear(&kv.entries);
}

static void test_state_key(void **state)
{
    (void)state;
    struct mill_kv kv = {.fail_gets = 0};
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {
        .entities_max = 10, .kv = &kv, .view_id = 0xab12, .partition = 0x01020304};

    fixture_open(&f, &options);
    fixture_fold(&f, "xyz", 0, 1);
    flush_and_write(&f, &kv);
    assert_int_equal(kv.entries.at[0].key_n, 10);
    assert_memory_equal(kv.entries.at[0].key, "\xab\x12\x01\x02\x03\x04\x03xyz", 10);
    struct mill_kv_batch batch = {{0}};
    assert_int_equal(mill_view_table_flush(f.table, &batch), 0); /* clean now */
    fixture_close(&f);
    kv_clear(&kv.entries);
}

static void test_store_fails(void **state)
{
    (void)state;
    struct mill_kv kv = {.fail_gets = 0};
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {.entities_max = 10, .kv = &kv};
    struct mill_error err = {0};
    double x = 1;

    fill_store(&kv);
    fixture_open(&f, &options);
    kv.fail_gets = 2;
    assert_int_equal(fixture_try_fold(&f, "a", 5 * HOUR, &x, &err), MILL_EIO);
    assert_int_equal(fixture_try_fold(&f, "a", 5 * HOUR, &x, &err), MILL_EIO);
    assert_int_equal(fixture_try_fold(&f, "a", 5 * HOUR, &x, &err), MILL_OK); /* nothing happened before */
    assert_int_equal(fixture_int(&f, "count"), 31);
    fixture_close(&f);
    kv_clear(&kv.entries);
}

static int fold_number(struct fixture *f, uint32_t number, struct mill_error *err)
{
    char key[16];
    double x = number;
    snprintf(key, sizeof(key), "%u", number);
    return fixture_try_fold(f, key, f->next_offset, &x, err);
}

static void test_full_without_store(void **state)
{
    (void)state;
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {.entities_max = 3};
    struct mill_error err = {0};

    fixture_open(&f, &options);
    for (uint32_t i = 0; i < 3; i++) {
        assert_int_equal(fold_number(&f, i, &err), MILL_OK);
    }
    assert_int_equal(fold_number(&f, 3, &err), MILL_ERESOURCE);
    assert_non_null(strstr(err.msg, "view 'v' has 3 entities in memory and no offline store for more; hint: "));
    assert_int_equal(fold_number(&f, 2, &err), MILL_OK);
    fixture_close(&f);
}

/* Changed entities stay, up to twice the limit; two flushes later all may go. */
static void test_full_of_dirty(void **state)
{
    (void)state;
    struct mill_kv kv = {.fail_gets = 0};
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {.entities_max = 4, .kv = &kv};
    struct mill_view_table_stats stats;
    struct mill_error err = {0};

    fixture_open(&f, &options);
    for (uint32_t i = 0; i < 8; i++) {
        assert_int_equal(fold_number(&f, i, &err), MILL_OK);
    }
    assert_int_equal(fold_number(&f, 8, &err), MILL_ERESOURCE);
    assert_non_null(strstr(err.msg, "wait for a flush"));
    flush_and_write(&f, &kv);
    assert_int_equal(fold_number(&f, 8, &err), MILL_ERESOURCE); /* the batch might not have been written */
    flush_and_write(&f, &kv);
    for (uint32_t i = 8; i < 12; i++) {
        assert_int_equal(fold_number(&f, i, &err), MILL_OK);
    }
    mill_view_table_stats(f.table, &stats);
    assert_true(stats.entities <= 8 && stats.evicted >= 4);
    fixture_close(&f);
    kv_clear(&kv.entries);
}

/* Collisions, removals and reused slots of the map. */
static void test_many_entities(void **state)
{
    (void)state;
    enum { COUNT = 1500, ROUNDS = 4 };
    struct mill_kv kv = {.fail_gets = 0};
    struct fixture f = new_fixture();
    struct mill_view_table_options options = {.entities_max = 200, .kv = &kv};
    struct mill_view_table_stats stats;
    struct mill_error err = {0};
    uint64_t random = 5;

    fixture_open(&f, &options);
    for (uint32_t round = 0; round < ROUNDS; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            assert_int_equal(fold_number(&f, i, &err), MILL_OK);
            assert_int_equal(fixture_int(&f, "count"), round + 1);
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            if (i % 50 == 0 || (random >> 60) == 0) {
                flush_and_write(&f, &kv);
            }
        }
    }
    mill_view_table_stats(f.table, &stats);
    assert_true(stats.entities <= 400 && stats.evicted >= (ROUNDS * COUNT) - 400);
    assert_true(stats.cold_reads >= (ROUNDS - 1) * COUNT - 400);
    assert_true(stats.state_bytes > stats.entities * 64);
    fixture_close(&f);
    kv_clear(&kv.entries);
}

/* ---- no allocation in the steady state ---- */

static uint64_t allocation_count;

static void count_allocation(const volatile void *p, size_t n)
{
    (void)p;
    (void)n;
    allocation_count++;
}

static void ignore_free(const volatile void *p)
{
    (void)p;
}

/* Of the sanitizers' runtime; elsewhere the allocator's own statistics have to do. */
extern int __sanitizer_install_malloc_and_free_hooks(void (*malloc_hook)(const volatile void *, size_t),
                                                     void (*free_hook)(const volatile void *)) __attribute__((weak));

static uint64_t allocated(void)
{
    if (__sanitizer_install_malloc_and_free_hooks != NULL) {
        return allocation_count;
    }
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

static void fold_steadily(struct fixture *f, int64_t from, int64_t to)
{
    static const char *const keys[] = {"a", "b", "c", "d", "e"};
    for (int64_t i = from; i < to; i++) {
        double x = (double)(i * 7919 % 1000) / 7;
        struct mill_error err;
        int64_t t = i * MILL_US_PER_MINUTE - (i % 9 == 0 ? 5 * MILL_US_PER_MINUTE : 0); /* some out of order */
        assert_int_equal(fixture_try_fold(f, keys[i * 31 % 5], t, &x, &err), MILL_OK);
        mill_view_table_advance(f->table, (i - 10) * MILL_US_PER_MINUTE);
    }
}

static void test_no_allocation(void **state)
{
    (void)state;
    struct fixture f = new_fixture();

    if (__sanitizer_install_malloc_and_free_hooks != NULL) {
        __sanitizer_install_malloc_and_free_hooks(count_allocation, ignore_free);
    }
    fixture_open(&f, NULL);
    fold_steadily(&f, 0, 5000);
    uint64_t before = allocated();
    fold_steadily(&f, 5000, 20000);
    assert_int_equal(allocated() - before, 0);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_other_definition),
        cmocka_unit_test(test_state_key),
        cmocka_unit_test(test_store_fails),
        cmocka_unit_test(test_full_without_store),
        cmocka_unit_test(test_full_of_dirty),
        cmocka_unit_test(test_many_entities),
        cmocka_unit_test(test_no_allocation),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
