/* SPDX-License-Identifier: Apache-2.0 */
/* Re-keyed records: round trip of every type and of nulls, refusal of anything else, placement by key. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "base/timestamp.h"
#include "engine/rekey_internal.h"

static struct mill_field fields[] = {
    {"flag", MILL_BOOL},   {"count", MILL_INT64},  {"delay", MILL_FLOAT64},
    {"name", MILL_STRING}, {"at", MILL_TIMESTAMP}, {"unused", MILL_FLOAT64},
};
static const struct mill_schema schema = {fields, 6};
static const struct mill_join_key name_key = {"name", MILL_STRING};
static const struct mill_join_key two_keys[] = {{"name", MILL_STRING}, {"count", MILL_INT64}};
static const struct mill_entity by_name = {"thing", &name_key, 1};
static const struct mill_entity by_both = {"pair", two_keys, 2};
static uint32_t carried[] = {0, 1, 2, 3, 4};

static struct mill__stage stage_of(const struct mill_entity *entity)
{
    struct mill__stage stage = {.topic = "p.v.rekey",
                                .upstream_count = 3,
                                .entity = entity,
                                .key_columns = {3, 1},
                                .carried = carried,
                                .carried_count = 5};
    stage.carried_hash = mill__rekey_layout_hash(&schema, &stage);
    return stage;
}

static void fill(struct mill_batch *batch, uint32_t row, unsigned seed)
{
    static const char *const names[] = {"", "N14228", "a long name with \0 in it", "\xc3\xa4"};
    struct mill_slice s = {names[seed % 4], seed % 4 == 2 ? 24 : strlen(names[seed % 4])};

    batch->columns[0].at.b[row] = seed & 1;
    batch->columns[1].at.i[row] = (int64_t)seed * -7919 + (seed % 3 == 0 ? INT64_MIN / 2 : 0);
    batch->columns[2].at.f[row] = seed % 5 == 0 ? -0.0 : (double)seed / 3;
    batch->columns[3].at.s[row] = s;
    batch->columns[4].at.i[row] = INT64_C(1357035420000000) + seed;
    for (uint32_t c = 0; c < 5; c++) {
        if ((seed >> c) % 3 != 0) {
            mill_bit_set(batch->columns[c].valid, row);
        }
    }
    batch->event_time_us[row] = -1 - (int64_t)seed * 1000003;
}

static void assert_same_row(const struct mill_batch *a, const struct mill_batch *b, uint32_t row)
{
    assert_int_equal(a->event_time_us[row], b->event_time_us[row]);
    for (uint32_t c = 0; c < 5; c++) {
        assert_int_equal(mill_bit_get(a->columns[c].valid, row), mill_bit_get(b->columns[c].valid, row));
        if (!mill_bit_get(a->columns[c].valid, row)) {
            continue;
        }
        if (c == 3) {
            assert_true(mill_slice_equal(a->columns[3].at.s[row], b->columns[3].at.s[row]));
        } else if (c == 0) {
            assert_int_equal(a->columns[0].at.b[row], b->columns[0].at.b[row]);
        } else {
            assert_memory_equal(&a->columns[c].at.i[row], &b->columns[c].at.i[row], 8);
        }
    }
}

static void test_round_trip(void **state)
{
    struct mill_arena arena;
    struct mill_batch in, out;
    struct mill_buffer bytes[64] = {{0}};
    struct mill__stage stage = stage_of(&by_name);

    (void)state;
    mill_arena_init(&arena, 0);
    mill_batch_init(&in, &schema, 64, &arena);
    mill_batch_init(&out, &schema, 64, &arena);
    for (uint32_t row = 0; row < 64; row++) {
        struct mill__rekey_origin origin = {.upstream_stage = row % 3,
                                            .upstream_partition = INT32_MAX - (int32_t)row,
                                            .source_partition = (int32_t)row,
                                            .source_offset = INT64_MAX - row,
                                            .upstream_offset = row * 5};
        struct mill__rekey_origin back;
        fill(&in, row, row);
        mill__rekey_encode(&stage, &in, row, &origin, &bytes[row]);
        assert_int_equal(mill__rekey_decode(&stage, mill_buffer_slice(&bytes[row]), &out, row, &back), MILL_OK);
        assert_int_equal(back.kind, MILL__REKEY_EVENT);
        assert_int_equal(back.source_partition, origin.source_partition);
        assert_int_equal(back.upstream_stage, origin.upstream_stage);
        assert_int_equal(back.source_offset, origin.source_offset);
        assert_int_equal(back.upstream_partition, origin.upstream_partition);
        assert_int_equal(back.upstream_offset, origin.upstream_offset);
        assert_int_equal(out.offset[row], origin.source_offset);
        assert_true(mill_bit_get(out.live, row));
        assert_same_row(&in, &out, row);
        assert_false(mill_bit_get(out.columns[5].valid, row));
    }
    for (uint32_t row = 0; row < 64; row++) {
        mill_buffer_clear(&bytes[row]);
    }
    mill_arena_clear(&arena);
}

static void test_refuses_other_bytes(void **state)
{
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_buffer bytes = {0};
    struct mill__stage stage = stage_of(&by_name), other = stage_of(&by_name);
    struct mill__rekey_origin back, origin = {.upstream_stage = 2,
                                              .upstream_partition = 1,
                                              .source_partition = 2,
                                              .source_offset = 3,
                                              .upstream_offset = 4};

    (void)state;
    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 1, &arena);
    fill(&batch, 0, 1);
    mill__rekey_encode(&stage, &batch, 0, &origin, &bytes);
    for (size_t n = 0; n < bytes.n; n++) {
        struct mill_slice cut = {bytes.p, n};
        assert_int_equal(mill__rekey_decode(&stage, cut, &batch, 0, &back), MILL_EDATA);
    }
    mill_buffer_add_byte(&bytes, 0);
    assert_int_equal(mill__rekey_decode(&stage, mill_buffer_slice(&bytes), &batch, 0, &back), MILL_EDATA);
    bytes.n--;
    other.carried_count = 4;
    other.carried_hash = mill__rekey_layout_hash(&schema, &other);
    assert_int_equal(mill__rekey_decode(&other, mill_buffer_slice(&bytes), &batch, 0, &back), MILL_EDATA);
    assert_int_equal(mill__rekey_decode(&stage, mill_buffer_slice(&bytes), &batch, 0, &back), MILL_OK);
    stage.upstream_count = 2; /* a stage hears of earlier ones only */
    assert_int_equal(mill__rekey_decode(&stage, mill_buffer_slice(&bytes), &batch, 0, &back), MILL_EDATA);
    stage.upstream_count = 3;
    bytes.p[0] = 1;
    assert_int_equal(mill__rekey_decode(&stage, mill_buffer_slice(&bytes), &batch, 0, &back), MILL_EDATA);
    assert_int_equal(back.kind, MILL__REKEY_NEITHER);
    mill_buffer_clear(&bytes);
    mill_arena_clear(&arena);
}

static void test_announcements(void **state)
{
    static const int64_t times[] = {INT64_MIN, -1, 0, INT64_C(1357035420000000), INT64_MAX};
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_buffer bytes = {0};
    struct mill__stage stage = stage_of(&by_name);

    (void)state;
    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 1, &arena);
    for (uint32_t i = 0; i < 5; i++) {
        struct mill__rekey_origin back, origin = {.upstream_stage = i % 3,
                                                  .upstream_partition = (int32_t)i * 100,
                                                  .newest_us = times[i],
                                                  .is_idle = i % 2 == 0};
        mill_buffer_reset(&bytes);
        mill__rekey_announce(&origin, &bytes);
        assert_int_equal(mill__rekey_decode(&stage, mill_buffer_slice(&bytes), &batch, 0, &back), MILL_OK);
        assert_int_equal(back.kind, MILL__REKEY_ANNOUNCEMENT);
        assert_int_equal(back.upstream_stage, origin.upstream_stage);
        assert_int_equal(back.upstream_partition, origin.upstream_partition);
        assert_true(back.newest_us == origin.newest_us);
        assert_int_equal(back.is_idle, origin.is_idle);
        assert_false(mill_bit_get(batch.live, 0));
        for (size_t n = 0; n < bytes.n; n++) {
            struct mill_slice cut = {bytes.p, n};
            assert_int_equal(mill__rekey_decode(&stage, cut, &batch, 0, &back), MILL_EDATA);
        }
    }
    mill_buffer_clear(&bytes);
    mill_arena_clear(&arena);
}

/* One key goes as its text, so that records meet those that producers keyed themselves; Kafka's own partitioner places
 * them. */
static void test_key_and_partition(void **state)
{
    struct mill_arena arena;
    struct mill_batch batch;
    struct mill_buffer key = {0};
    struct mill__stage one = stage_of(&by_name), two = stage_of(&by_both);
    int32_t partition = -1;

    (void)state;
    mill_arena_init(&arena, 0);
    mill_batch_init(&batch, &schema, 2, &arena);
    batch.columns[3].at.s[0] = mill_slice_of("N14228");
    mill_bit_set(batch.columns[3].valid, 0);
    assert_true(mill__rekey_key(&one, &batch, 0, 4, &key, &partition));
    assert_true(mill_slice_is(mill_buffer_slice(&key), "N14228"));
    assert_int_equal(partition, (mill_hash_murmur2("N14228", 6) & 0x7fffffff) % 4);
    mill_buffer_reset(&key);
    assert_false(mill__rekey_key(&two, &batch, 0, 4, &key, &partition));
    mill_bit_set(batch.columns[1].valid, 0);
    mill_buffer_reset(&key);
    assert_true(mill__rekey_key(&two, &batch, 0, 4, &key, &partition));
    assert_int_equal(key.n, 8); /* length, six letters, a zero */
    mill_buffer_reset(&key);
    assert_false(mill__rekey_key(&one, &batch, 1, 4, &key, &partition));
    mill_buffer_clear(&key);
    mill_arena_clear(&arena);
}

static int decode_meeting(const struct mill__stage *stage, int64_t time_us, unsigned valid)
{
    const struct mill__rekey_origin origin = {.upstream_partition = 1, .source_offset = 3, .upstream_offset = 4};
    struct mill__rekey_origin back;
    struct mill_arena arena;
    struct mill_batch in, out;
    struct mill_buffer bytes = {0};

    mill_arena_init(&arena, 0);
    mill_batch_init(&in, &mill__join_schema, 1, &arena);
    mill_batch_init(&out, &mill__join_schema, 1, &arena);
    in.event_time_us[0] = time_us;
    in.columns[MILL__JOIN_KEY].at.s[0] = mill_slice_of("k");
    in.columns[MILL__JOIN_SCORE].at.f[0] = 0.5;
    in.columns[MILL__JOIN_LABEL].at.i[0] = 1;
    for (uint32_t c = 0; c < MILL__JOIN_COLUMNS; c++) {
        if (valid >> c & 1) {
            mill_bit_set(in.columns[c].valid, 0);
        }
    }
    mill__rekey_encode(stage, &in, 0, &origin, &bytes);
    int rc = mill__rekey_decode(stage, mill_buffer_slice(&bytes), &out, 0, &back);
    assert_int_equal(back.kind, rc == MILL_OK ? MILL__REKEY_EVENT : MILL__REKEY_NEITHER);
    assert_int_equal(mill_bit_get(out.live, 0), rc == MILL_OK);
    mill_buffer_clear(&bytes);
    mill_arena_clear(&arena);
    return rc;
}

/* What a join asks of its records is asked where bytes become records: a time that there is, a key, a score or a label
 * but not both. */
static void test_meetings(void **state)
{
    static const unsigned key = 1u << MILL__JOIN_KEY, score = 1u << MILL__JOIN_SCORE, label = 1u << MILL__JOIN_LABEL;
    static uint32_t columns[] = {MILL__JOIN_KEY, MILL__JOIN_SCORE, MILL__JOIN_LABEL};
    const struct mill__plan_monitor monitor = {0};
    struct mill__stage stage = {
        .topic = "p.drift.join.m.0", .upstream_count = 2, .joins = &monitor, .carried = columns, .carried_count = 3};

    (void)state;
    stage.carried_hash = mill__rekey_layout_hash(&mill__join_schema, &stage);
    assert_int_equal(decode_meeting(&stage, MILL_TIMESTAMP_MIN, key | score), MILL_OK);
    assert_int_equal(decode_meeting(&stage, MILL_TIMESTAMP_MAX, key | label), MILL_OK);
    assert_int_equal(decode_meeting(&stage, MILL_TIMESTAMP_MIN - 1, key | score), MILL_EDATA);
    assert_int_equal(decode_meeting(&stage, MILL_TIMESTAMP_MAX + 1, key | label), MILL_EDATA);
    assert_int_equal(decode_meeting(&stage, INT64_MIN, key | label), MILL_EDATA);
    assert_int_equal(decode_meeting(&stage, 0, score), MILL_EDATA);
    assert_int_equal(decode_meeting(&stage, 0, label), MILL_EDATA);
    assert_int_equal(decode_meeting(&stage, 0, key), MILL_EDATA);
    assert_int_equal(decode_meeting(&stage, 0, key | score | label), MILL_EDATA);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_refuses_other_bytes),
        cmocka_unit_test(test_announcements), cmocka_unit_test(test_key_and_partition),
        cmocka_unit_test(test_meetings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
