/* SPDX-License-Identifier: Apache-2.0 */
/* Rows put again after Redis has lost them: the bytes that were put, only over older ones, not past their ttl; and the
 * mark that rows are missing, which outlives its owner. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "online_fixture.h"

enum { ROWS = 300 };

static struct mill_slice kept[ROWS];

static void put_all(struct mill_online *online, const struct mill_batch *batch)
{
    for (uint32_t i = 0; i < ROWS; i++) {
        kept[i] = mill_arena_slice(&fx.arena, mill_online_put(online, 0, 0, fx_key(i), batch, i, 0));
    }
    fx_sync(online);
}

static void restore(struct mill_online *online, uint32_t i)
{
    struct mill_error err = {0};
    assert_int_equal(mill_online_restore(online, 0, 0, fx_key(i), kept[i], 0, &err), 1);
}

static void test_rows_come_back(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(0);
    struct mill_batch batch = fx_batch(2 * ROWS, 0);

    fx_claim(online, 0);
    assert_true(fx_is_lost(online));
    put_all(online, &batch);
    redis_ask(&fx.server, "FLUSHALL");
    mill_online_check(online, 0); /* there was a call since the last look */
    mill_online_check(online, 0); /* there was none */
    fx_sync(online);
    assert_true(fx_is_lost(online));

    /* Of every third entity the stream has a newer row by now. */
    for (uint32_t i = 0; i < ROWS; i += 3) {
        mill_online_put(online, 0, 0, fx_key(i), &batch, ROWS + i, 0);
    }
    for (uint32_t i = 0; i < ROWS; i++) {
        restore(online, i);
    }
    mill_online_restored(online, 0);
    fx_sync(online);
    assert_false(fx_is_lost(online));
    for (uint32_t i = 0; i < ROWS; i++) {
        fx_check_row(online, 0, i, &batch, i % 3 == 0 ? ROWS + i : i);
    }
    mill_online_close(online);
}

/* Lost until somebody has put everything again. */
static void test_lost_outlives_its_owner(void **state)
{
    (void)state;
    struct mill_batch batch = fx_batch(ROWS, 0);
    struct mill_online *online = fx_open(0);
    struct mill_error err = {0};

    fx_claim(online, 0);
    assert_true(fx_is_lost(online));
    put_all(online, &batch);
    mill_online_close(online); /* gone before it was done */

    online = fx_open(0);
    fx_claim(online, 0);
    assert_true(fx_is_lost(online));
    for (uint32_t i = 0; i < ROWS; i++) {
        restore(online, i);
    }
    redis_ask(&fx.server, "FLUSHALL"); /* again, in the middle */
    mill_online_restored(online, 0);
    fx_sync(online);
    assert_true(fx_is_lost(online)); /* so it is not done */
    for (uint32_t i = 0; i < ROWS; i++) {
        restore(online, i);
    }
    mill_online_restored(online, 0);
    fx_sync(online);
    mill_online_close(online);

    online = fx_open(0);
    fx_claim(online, 0);
    assert_false(fx_is_lost(online));
    /* A caller that knows better is believed. */
    assert_int_equal(mill_online_claim(online, 0, true, &err), MILL_OK);
    assert_true(fx_is_lost(online));
    fx_check_row(online, 0, 7, &batch, 7);
    mill_online_close(online);
}

static void test_expired_and_damaged(void **state)
{
    (void)state;
    struct mill_batch batch = fx_batch(1, 0);
    struct mill_online *online = fx_open(0);
    struct mill_error err = {0};
    int64_t hour_us = INT64_C(3600000000), t = batch.event_time_us[0];

    fx_claim(online, 0);
    struct mill_slice row = mill_arena_slice(&fx.arena, mill_online_put(online, 1, 0, fx_key(0), &batch, 0, 5));
    assert_int_equal(mill_online_restore(online, 1, 0, fx_key(0), row, t + hour_us, &err), 1);
    assert_int_equal(mill_online_restore(online, 1, 0, fx_key(0), row, t + hour_us + 1, &err), 0);
    assert_int_equal(mill_online_restore(online, 0, 0, fx_key(0), row, 0, &err), MILL_EDATA); /* another view's */
    char *bytes = (char *)(uintptr_t)mill_arena_slice(&fx.arena, row).p;
    for (size_t i = 0; i < row.n; i++) {
        bytes[i] ^= 1;
        assert_int_equal(mill_online_restore(online, 1, 0, fx_key(0), (struct mill_slice){bytes, row.n}, 0, &err),
                         MILL_EDATA);
        assert_int_equal(mill_online_restore(online, 1, 0, fx_key(0), (struct mill_slice){row.p, i}, 0, &err),
                         MILL_EDATA);
        bytes[i] ^= 1;
    }
    fx_sync(online);
    mill_online_close(online);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FX_TEST(test_rows_come_back),
        FX_TEST(test_lost_outlives_its_owner),
        FX_TEST(test_expired_and_damaged),
    };
    return FX_RUN(tests);
}
