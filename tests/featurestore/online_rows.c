/* SPDX-License-Identifier: Apache-2.0 */
#include "online_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/timestamp.h"

uint64_t test_seed(void)
{
    const char *text = getenv("MILL_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 10) : (uint64_t)mill_clock_wall_us();
    printf("seed %llu\n", (unsigned long long)seed);
    return seed;
}

uint32_t test_random(uint64_t *rng, uint32_t below)
{
    *rng = *rng * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*rng >> 33) % below;
}

static uint64_t random_bits(uint64_t *rng)
{
    return (uint64_t)test_random(rng, UINT32_C(1) << 31) << 33 ^ (uint64_t)test_random(rng, UINT32_C(1) << 31) << 12 ^
           test_random(rng, 4096);
}

static void fill_value(struct mill_column *column, uint32_t i, uint64_t *rng, struct mill_arena *arena)
{
    static const uint64_t special[] = {0,
                                       UINT64_C(0x8000000000000000),
                                       UINT64_C(0x7ff0000000000000),
                                       UINT64_C(0xfff0000000000000),
                                       UINT64_C(0x7ff8000000000000),
                                       UINT64_C(0xfff8000000000123),
                                       1};
    static const char letters[] = "a\0\n\"\\z";
    uint64_t bits = test_random(rng, 4) == 0 ? special[test_random(rng, 7)] : random_bits(rng);
    size_t n = test_random(rng, 10) == 0 ? 300 : test_random(rng, 20);
    char *p = mill_arena_alloc(arena, n);
    switch (column->type) {
    case MILL_BOOL:
        column->at.b[i] = bits & 1;
        return;
    case MILL_INT64:
        column->at.i[i] = (int64_t)bits;
        return;
    case MILL_TIMESTAMP:
        column->at.i[i] = (int64_t)(bits % UINT64_C(8000000000000000)) - INT64_C(4000000000000000);
        return;
    case MILL_FLOAT64:
        memcpy(&column->at.f[i], &bits, sizeof(bits));
        return;
    case MILL_STRING:
        for (size_t b = 0; b < n; b++) {
            p[b] = letters[test_random(rng, 6)];
        }
        column->at.s[i] = (struct mill_slice){p, n};
        return;
    }
}

void test_fill_batch(struct mill_batch *batch, const struct mill_schema *schema, uint32_t row_count, uint64_t *rng,
                     int64_t first_offset, int64_t first_time_us, struct mill_arena *arena)
{
    mill_batch_init(batch, schema, row_count, arena);
    batch->row_count = row_count;
    for (uint32_t i = 0; i < row_count; i++) {
        mill_bit_set(batch->live, i);
        batch->offset[i] = first_offset + i;
        batch->event_time_us[i] = first_time_us + INT64_C(1000000) * i;
        for (uint32_t c = 0; c < schema->field_count; c++) {
            if (test_random(rng, 5) != 0) {
                mill_bit_set(batch->columns[c].valid, i);
                fill_value(&batch->columns[c], i, rng, arena);
            }
        }
    }
}

static bool value_equals(const struct mill_column *got, const struct mill_column *want, uint32_t i, bool is_feast)
{
    bool is_null = !mill_bit_get(want->valid, i) || (is_feast && want->type == MILL_FLOAT64 && isnan(want->at.f[i]));
    if (got->type != want->type || mill_bit_get(got->valid, 0) == is_null) {
        return false;
    }
    switch (want->type) {
    case MILL_BOOL:
        return got->at.b[0] == (is_null ? 0 : want->at.b[i]);
    case MILL_TIMESTAMP:
        if (is_feast && !is_null) {
            return got->at.i[0] == mill_timestamp_floor(want->at.i[i], MILL_US_PER_SECOND);
        }
        return got->at.i[0] == want->at.i[i];
    case MILL_INT64:
        return got->at.i[0] == want->at.i[i];
    case MILL_FLOAT64:
        return is_null || memcmp(&got->at.f[0], &want->at.f[i], sizeof(double)) == 0;
    case MILL_STRING:
        return is_null || mill_slice_equal(got->at.s[0], want->at.s[i]);
    }
    return false;
}

bool test_row_equals(const struct mill_online_row *row, const struct mill_batch *batch, uint32_t i,
                     uint32_t first_column, uint32_t feature_count, bool is_feast)
{
    bool same = row->event_time_us == batch->event_time_us[i];
    if (!is_feast) {
        int32_t partition = batch->row_partition != NULL ? batch->row_partition[i] : batch->partition;
        same = same && row->offset == batch->offset[i] && row->partition == partition;
    }
    for (uint32_t f = 0; same && f < feature_count; f++) {
        same = value_equals(&row->values[f], &batch->columns[first_column + f], i, is_feast);
    }
    return same;
}
