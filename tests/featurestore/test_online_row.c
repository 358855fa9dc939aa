/* SPDX-License-Identifier: Apache-2.0 */
/* Packed rows: written out byte by byte once by hand, then round trips, one-bit damage and other layouts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "featurestore/online_row_internal.h"
#include "online_rows.h"

static uint64_t rng;

static struct mill_field fields[70];

static struct mill_schema every_type(uint32_t count)
{
    static char names[70][16];
    for (uint32_t f = 0; f < count; f++) {
        snprintf(names[f], sizeof(names[f]), "f%u", f);
        fields[f] = (struct mill_field){names[f], (enum mill_type)(f % MILL_TYPE_COUNT)};
    }
    return (struct mill_schema){fields, count};
}

static struct mill_slice write_row(const struct mill__row_layout *layout, const struct mill_batch *batch, uint32_t i,
                                   uint32_t first_column, struct mill_arena *arena)
{
    struct mill__row_origin origin = {batch->event_time_us[i], batch->offset[i], batch->partition};
    size_t n = mill__row_size(layout, batch, i, first_column);
    char *p = mill_arena_alloc(arena, n);
    mill__row_write(layout, &origin, batch, i, first_column, p, n);
    return (struct mill_slice){p, n};
}

/* docs/redis.md shows this row. */
static void test_bytes(void **state)
{
    (void)state;
    struct mill_arena arena = {0};
    struct mill_field two[] = {{"name", MILL_STRING}, {"late", MILL_BOOL}, {"mean", MILL_FLOAT64}};
    struct mill_schema schema = {two, 3};
    struct mill_batch batch;
    mill_batch_init(&batch, &schema, 1, &arena);
    batch.row_count = 1;
    batch.partition = 3;
    batch.offset[0] = 258;
    batch.event_time_us[0] = INT64_C(1700000000123456);
    batch.columns[0].at.s[0] = (struct mill_slice){"N1", 2};
    mill_bit_set(batch.columns[0].valid, 0);
    batch.columns[2].at.f[0] = 1.5;
    mill_bit_set(batch.columns[2].valid, 0);

    struct mill__row_layout layout = mill__row_layout_of(two, 3);
    struct mill_slice row = write_row(&layout, &batch, 0, 0, &arena);
    static const unsigned char expected[] = {
        'T',  'M',  'R',  '1',  3,    0,    0,    0,    /* three features */
        0xf3, 0xac, 0xac, 0x94, 0x8f, 0x85, 0x57, 0x7d, /* layout: Python's xxhash gives the same */
        0x40, 0x22, 0x20, 0x18, 0x24, 0x0a, 0x06, 0x00, /* event time 1700000000123456 */
        0x02, 0x01, 0,    0,    0,    0,    0,    0,    /* offset 258 */
        3,    0,    0,    0,    2,    0,    0,    0,    /* partition 3, 2 string bytes */
        0x05, 0,    0,    0,    0,    0,    0,    0,    /* features 0 and 2 are there */
        2,    0,    0,    0,    0,    0,    0,    0,    /* "N1" ends at 2 */
        0,    0,    0,    0,    0,    0,    0,    0,    /* null */
        0,    0,    0,    0,    0,    0,    0xf8, 0x3f, /* 1.5 */
        'N',  '1',                                      /* the string */
        0x7d, 0x30, 0x53, 0x2b, 0x39, 0x6c, 0x16, 0x09, /* checksum: the same */
    };
    assert_int_equal(row.n, sizeof(expected));
    assert_memory_equal(row.p, expected, sizeof(expected));
    mill_arena_clear(&arena);
}

static void test_round_trips(void **state)
{
    (void)state;
    struct mill_arena arena = {0};
    for (uint32_t count = 0; count <= 70; count += count < 5 ? 1 : 13) {
        struct mill_schema schema = every_type(70);
        struct mill_batch batch;
        test_fill_batch(&batch, &schema, 50, &rng, 1000, -5000000, &arena);
        batch.partition = 7;
        for (uint32_t first = 0; first + count <= 70; first += 5) {
            struct mill__row_layout layout = mill__row_layout_of(fields + first, count);
            for (uint32_t i = 0; i < 50; i++) {
                struct mill_error err = {0};
                struct mill_online_row row;
                struct mill_slice bytes = write_row(&layout, &batch, i, first, &arena);
                assert_int_equal(mill__row_read(&layout, bytes, &arena, &row, &err), 0);
                assert_true(test_row_equals(&row, &batch, i, first, count, false));
            }
        }
        mill_arena_reset(&arena);
    }
    mill_arena_clear(&arena);
}

/* A copy of its own, so that a read past the end is seen by the sanitizer. */
static int read_copy(const struct mill__row_layout *layout, struct mill_slice bytes, struct mill_error *err)
{
    struct mill_arena arena = {0};
    struct mill_online_row row;
    char *copy = mill_malloc(bytes.n);
    memcpy(copy, bytes.p, bytes.n);
    int rc = mill__row_read(layout, (struct mill_slice){copy, bytes.n}, &arena, &row, err);
    free(copy);
    mill_arena_clear(&arena);
    return rc;
}

static void test_damage_is_refused(void **state)
{
    (void)state;
    struct mill_arena arena = {0};
    struct mill_schema schema = every_type(9);
    struct mill_batch batch;
    struct mill_error err = {0};
    test_fill_batch(&batch, &schema, 1, &rng, 5, 6, &arena);
    struct mill__row_layout layout = mill__row_layout_of(fields, 9);
    struct mill_slice row = write_row(&layout, &batch, 0, 0, &arena);
    assert_int_equal(read_copy(&layout, row, &err), 0);
    char *bytes = (char *)(uintptr_t)row.p;
    for (size_t bit = 0; bit < row.n * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        assert_int_equal(read_copy(&layout, row, &err), MILL_EDATA);
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t n = 1; n < row.n; n++) {
        assert_int_equal(read_copy(&layout, (struct mill_slice){row.p, n}, &err), MILL_EDATA);
    }
    mill_arena_clear(&arena);
}

/* The same damage under a checksum that fits: the reader takes a row or refuses it, and what it takes is what writing
 * that row gives. */
static void test_only_one_way_to_write(void **state)
{
    (void)state;
    struct mill_arena arena = {0};
    struct mill_schema schema = every_type(9);
    struct mill_batch batch;
    struct mill__row_layout layout = mill__row_layout_of(fields, 9);
    uint32_t taken = 0, refused = 0;
    for (int round = 0; round < 3000; round++) {
        struct mill_error err = {0};
        test_fill_batch(&batch, &schema, 1, &rng, 5, 6, &arena);
        struct mill_slice row = write_row(&layout, &batch, 0, 0, &arena);
        char *bytes = (char *)(uintptr_t)row.p;
        for (uint32_t i = test_random(&rng, 4); i > 0; i--) {
            bytes[16 + test_random(&rng, (uint32_t)row.n - 24)] ^= (char)(1 << test_random(&rng, 8));
        }
        uint64_t checksum = mill_hash64(bytes, row.n - 8);
        memcpy(bytes + row.n - 8, &checksum, 8);
        struct mill_online_row read;
        if (mill__row_read(&layout, row, &arena, &read, &err) == 0) {
            struct mill_column *columns = mill_arena_array(&arena, struct mill_column, 9);
            memcpy(columns, read.values, sizeof(*columns) * 9);
            struct mill_batch again = batch;
            again.columns = columns;
            again.event_time_us[0] = read.event_time_us;
            again.offset[0] = read.offset;
            again.partition = read.partition;
            struct mill_slice rewritten = write_row(&layout, &again, 0, 0, &arena);
            assert_true(mill_slice_equal(row, rewritten));
            taken++;
        } else {
            refused++;
        }
        mill_arena_reset(&arena);
    }
    assert_true(taken > 300 && refused > 100);
    mill_arena_clear(&arena);
}

static void test_other_layouts_are_refused(void **state)
{
    (void)state;
    struct mill_arena arena = {0};
    struct mill_schema schema = every_type(9);
    struct mill_batch batch;
    struct mill_error err = {0};
    test_fill_batch(&batch, &schema, 1, &rng, 5, 6, &arena);
    struct mill__row_layout layout = mill__row_layout_of(fields, 9);
    struct mill_slice row = write_row(&layout, &batch, 0, 0, &arena);
    struct mill_field other[9];
    memcpy(other, fields, sizeof(other));
    other[1].type = MILL_TIMESTAMP; /* as wide as before, of another meaning */
    struct mill__row_layout types = mill__row_layout_of(other, 9);
    assert_int_equal(read_copy(&types, row, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "written for other features"));
    memcpy(other, fields, sizeof(other));
    other[8].name = "renamed";
    struct mill__row_layout names = mill__row_layout_of(other, 9);
    assert_int_equal(read_copy(&names, row, &err), MILL_EDATA);
    struct mill__row_layout fewer = mill__row_layout_of(fields, 8);
    assert_int_equal(read_copy(&fewer, row, &err), MILL_EDATA);
    mill_arena_clear(&arena);
}

int main(void)
{
    rng = test_seed();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_round_trips),
        cmocka_unit_test(test_damage_is_refused),
        cmocka_unit_test(test_only_one_way_to_write),
        cmocka_unit_test(test_other_layouts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
