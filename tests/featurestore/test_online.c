/* SPDX-License-Identifier: Apache-2.0 */
/* The online store's packed layout against a real Redis: what is written comes back bit for bit, in the right order,
 * from the right owner and for as long as it should. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "featurestore/online_internal.h"
#include "online_fixture.h"

static void test_values_come_back(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(0);
    struct mill_error err = {0};
    struct mill_online_row got;
    fx_claim(online, 3);
    struct mill_batch batch = fx_batch(500, 0);
    batch.partition = 3;
    for (uint32_t i = 0; i < 500; i++) {
        mill_online_put(online, 0, 3, fx_key(i), &batch, i, 0);
        mill_online_put(online, 1, 3, fx_key(i), &batch, i, 5);
    }
    assert_true(mill_online_pending_bytes(online) > 100000);
    fx_sync(online);
    for (uint32_t i = 0; i < 500; i++) {
        fx_check_row(online, 0, i, &batch, i);
        fx_check_row(online, 1, i, &batch, i);
    }
    assert_int_equal(mill_online_get(online, 0, fx_key(500), &fx.arena, &got, &err), 0);
    assert_string_equal(redis_ask(&fx.server, "DBSIZE"), "1001"); /* rows and the fence */
    assert_string_equal(redis_ask(&fx.server, "EXISTS fs:flights:stats:%b", "\7\0\r\n\5\0\0\0", (size_t)8), "1");
    mill_online_close(online);
}

/* What was put last is what is there, whatever the order of batches, windows and answers. */
static void test_hundred_thousand_rows(void **state)
{
    (void)state;
    enum { ENTITIES = 5000, ROWS = 100000, BATCH = 1000 };
    static uint32_t newest[ENTITIES];
    struct mill_online *online = fx_open(0);
    struct mill_error err = {0};
    fx_claim(online, 0);
    memset(newest, 0xff, sizeof(newest));
    struct mill_batch batch = fx_batch(BATCH, 0);
    for (uint32_t from = 0; from < ROWS; from += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t entity = test_random(&fx.rng, ENTITIES);
            batch.offset[i] = from + i;
            batch.event_time_us[i] = from + i;
            newest[entity] = from + i;
            mill_online_put(online, 0, 0, fx_key(entity), &batch, i, 0);
        }
        int rc = mill_online_sync(online, false, &err);
        while (rc == 0 && mill_online_pending_bytes(online) > 1 << 20) {
            rc = mill_online_sync(online, true, &err);
        }
        assert_int_equal(rc, 0);
    }
    fx_sync(online);
    for (uint32_t entity = 0; entity < ENTITIES; entity += 3) {
        uint32_t row = newest[entity] % BATCH;
        if (newest[entity] != UINT32_MAX) {
            batch.offset[row] = batch.event_time_us[row] = newest[entity];
            fx_check_row(online, 0, entity, &batch, row);
        }
    }
    mill_online_close(online);
}

static void test_zombie_is_fenced(void **state)
{
    (void)state;
    struct mill_online *a = fx_open(0), *b = fx_open(0);
    struct mill_error err = {0};
    int32_t partition = -1;
    struct mill_batch batch = fx_batch(4, 10);
    fx_claim(a, 5);
    fx_claim(a, 6);
    mill_online_put(a, 0, 5, fx_key(1), &batch, 0, 0);
    fx_sync(a);
    fx_claim(b, 5);
    mill_online_put(b, 0, 5, fx_key(1), &batch, 1, 0);
    fx_sync(b);

    mill_online_put(a, 0, 5, fx_key(1), &batch, 2, 0); /* the zombie */
    mill_online_put(a, 0, 6, fx_key(2), &batch, 2, 0); /* still its own */
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "fenced: another owner has taken partition 5"));
    assert_true(mill_online_fenced(a, &partition));
    assert_int_equal(partition, 5);
    assert_false(mill_online_fenced(a, &partition));
    fx_check_row(b, 0, 1, &batch, 1);
    fx_check_row(b, 0, 2, &batch, 2);

    mill_online_put(a, 0, 5, fx_key(1), &batch, 3, 0);
    assert_int_equal(mill_online_pending_bytes(a), 0);
    fx_sync(a); /* told once */
    fx_claim(a, 5);
    mill_online_put(a, 0, 5, fx_key(1), &batch, 3, 0);
    fx_sync(a);
    fx_check_row(a, 0, 1, &batch, 3);
    mill_online_put(b, 0, 5, fx_key(1), &batch, 2, 0);
    assert_int_equal(mill_online_sync(b, true, &err), MILL_EDATA);
    fx_check_row(a, 0, 1, &batch, 3);

    /* Redis forgets everything: the older token still loses once the newer one has spoken. */
    fx_claim(b, 6);
    redis_ask(&fx.server, "FLUSHALL");
    mill_online_put(b, 0, 6, fx_key(9), &batch, 3, 0);
    fx_sync(b);
    assert_true(fx_is_lost(b));
    mill_online_put(a, 0, 6, fx_key(9), &batch, 1, 0);
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EDATA);
    fx_check_row(b, 0, 9, &batch, 3);
    mill_online_close(a);
    mill_online_close(b);
}

/* A caller may pass over "fenced". It must not, by that, pass over rows of other partitions that are still here. */
static void test_fenced_and_refused(void **state)
{
    (void)state;
    struct mill_online *a = fx_open(300), *b = fx_open(0);
    struct mill_error err = {0};
    struct mill_batch batch = fx_batch(2, 0);
    fx_claim(a, 5);
    fx_claim(a, 6);
    fx_claim(b, 5);
    redis_ask(&fx.server, "CONFIG SET maxmemory 1");
    mill_online_put(a, 0, 5, fx_key(1), &batch, 0, 0);
    mill_online_put(a, 0, 6, fx_key(2), &batch, 1, 0);
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EUNAVAIL);
    assert_true(mill_online_pending_bytes(a) > 0);
    redis_ask(&fx.server, "CONFIG SET maxmemory 0");
    int rc = MILL_EUNAVAIL;
    for (int i = 0; i < 400 && rc == MILL_EUNAVAIL; i++) {
        rc = mill_online_sync(a, true, &err);
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    assert_int_equal(rc, MILL_EDATA);
    assert_int_equal(mill_online_pending_bytes(a), 0);
    fx_check_row(b, 0, 2, &batch, 1);
    mill_online_close(a);
    mill_online_close(b);
}

/* ------------------------------------------------------------------------------------------------
 * Owners that follow each other. Each folds the same rows from some earlier point again, writes some of them and dies.
 * An entity's row in Redis never goes back.
 * --------------------------------------------------------------------------------------------- */

enum { HISTORY = 600, OLD_ENTITIES = 20, SOURCES = 3 };
static uint32_t history_entity[HISTORY];

static bool is_before(const struct mill_batch *batch, uint32_t a, uint32_t b)
{
    if (batch->event_time_us[a] != batch->event_time_us[b]) {
        return batch->event_time_us[a] < batch->event_time_us[b];
    }
    if (batch->row_partition[a] != batch->row_partition[b]) {
        return batch->row_partition[a] < batch->row_partition[b];
    }
    return batch->offset[a] < batch->offset[b];
}

/* A re-keyed partition: rows of three source partitions, each with offsets of its own, times out of order and often
 * equal. */
static struct mill_batch make_history(int32_t *row_partition)
{
    struct mill_batch batch = fx_batch(HISTORY, 0);
    int64_t next_offset[SOURCES] = {0};
    for (uint32_t i = 0; i < HISTORY; i++) {
        row_partition[i] = (int32_t)test_random(&fx.rng, SOURCES);
        batch.offset[i] = next_offset[row_partition[i]]++;
        batch.event_time_us[i] = (int64_t)(i / 4 + test_random(&fx.rng, 30)) - 100;
        history_entity[i] = test_random(&fx.rng, OLD_ENTITIES);
    }
    batch.row_partition = row_partition;
    return batch;
}

static uint32_t row_in_redis(struct mill_online *reader, const struct mill_batch *batch, uint32_t entity)
{
    struct mill_error err = {0};
    struct mill_online_row got;
    if (mill_online_get(reader, 0, fx_key(entity), &fx.arena, &got, &err) == 0) {
        return UINT32_MAX;
    }
    for (uint32_t i = 0; i < HISTORY; i++) {
        if (got.offset == batch->offset[i] && got.partition == batch->row_partition[i]) {
            assert_int_equal(history_entity[i], entity);
            assert_true(test_row_equals(&got, batch, i, 0, 5, false));
            return i;
        }
    }
    fail();
    return UINT32_MAX;
}

static void test_rows_never_go_back(void **state)
{
    (void)state;
    static int32_t row_partition[HISTORY];
    uint32_t seen[OLD_ENTITIES];
    memset(seen, 0xff, sizeof(seen));
    struct mill_batch batch = make_history(row_partition);
    struct mill_online *reader = fx_open(0);
    uint32_t reached = 0, kept = 0;
    for (uint32_t owners = 0; reached < HISTORY; owners++) {
        struct mill_online *online = fx_open(0);
        fx_claim(online, 2);
        /* Stored state may be older than what Redis has; folding goes on from there. */
        uint32_t from = reached - (reached == 0 ? 0 : test_random(&fx.rng, reached < 200 ? reached : 200));
        uint32_t to = from + 1 + test_random(&fx.rng, 250);
        to = to > HISTORY || owners > 12 ? HISTORY : to;
        uint32_t newest[OLD_ENTITIES];
        memset(newest, 0xff, sizeof(newest));
        for (uint32_t i = 0; i < to; i++) {
            uint32_t entity = history_entity[i];
            bool is_newest = newest[entity] == UINT32_MAX || is_before(&batch, newest[entity], i);
            newest[entity] = is_newest ? i : newest[entity];
            if (i < from || !is_newest) {
                continue;
            }
            mill_online_put(online, 0, 2, fx_key(entity), &batch, i, 0);
            if (test_random(&fx.rng, 8) == 0) {
                fx_sync(online);
                uint32_t now = row_in_redis(reader, &batch, entity);
                assert_true(now != UINT32_MAX);
                if (seen[entity] != UINT32_MAX) {
                    assert_false(is_before(&batch, now, seen[entity]));
                    kept += now != i;
                }
                seen[entity] = now;
            }
        }
        fx_sync(online);
        mill_online_close(online);
        reached = to > reached ? to : reached;
        for (uint32_t entity = 0; to == reached && entity < OLD_ENTITIES; entity++) {
            seen[entity] = row_in_redis(reader, &batch, entity);
            assert_int_equal(seen[entity], newest[entity]);
        }
    }
    assert_true(kept > 0); /* or the test has tested nothing */
    mill_online_close(reader);
}

/* The script by itself: what arrives twice or late, as from a connection that was given up. */
static const char *call_script(const char *token, const char *call, const char *compare, const char *value)
{
    return redis_ask(&fx.server, "EVAL %s 2 fence k %s %s %s 1 high:v:0 7 %s 0", mill__script_packed, token, call,
                     compare, value);
}

static void test_calls_by_hand(void **state)
{
    (void)state;
    assert_string_equal(call_script("5", "1", "0", "one"), "1"); /* nothing known of the fence: rows were lost */
    assert_string_equal(call_script("5", "2", "0", "two"), "0");
    assert_string_equal(call_script("5", "1", "0", "one"), "0"); /* again: done already */
    assert_string_equal(call_script("5", "2", "0", "other"), "0");
    assert_string_equal(redis_ask(&fx.server, "GET k"), "two");
    assert_string_equal(call_script("4", "3", "0", "zombie"), "-1");
    assert_string_equal(redis_ask(&fx.server, "GET k"), "two");
    assert_string_equal(call_script("5", "4", "0", "four"), "1"); /* call 3 is missing */
    assert_string_equal(call_script("6", "1", "0", "newer"), "1");
    assert_string_equal(call_script("6", "2", "1", "newest"), "0"); /* what is stored is no row: nothing to compare */
    assert_string_equal(redis_ask(&fx.server, "GET k"), "newest");
    assert_string_equal(redis_ask(&fx.server, "HMGET fence token call high:v:0"), "6 2 7");
}

static void test_ttl(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(0);
    struct mill_batch batch = fx_batch(200, 0);
    long least = 1L << 40, most = 0;
    fx_claim(online, 0);
    for (uint32_t i = 0; i < 200; i++) {
        mill_online_put(online, 0, 0, fx_key(i), &batch, i, 0);
        mill_online_put(online, 1, 0, fx_key(i), &batch, i, 5);
    }
    fx_sync(online);
    for (uint32_t i = 0; i < 200; i++) {
        assert_string_equal(redis_ask(&fx.server, "PTTL fs:flights:stats:%b", fx_key(i).p, fx_key(i).n), "-1");
        long ms = strtol(redis_ask(&fx.server, "PTTL fs:flights:more:%b", fx_key(i).p, fx_key(i).n), NULL, 10);
        least = ms < least ? ms : least;
        most = ms > most ? ms : most;
    }
    assert_in_range(least, 3600000 - 60000, 3600000 + 36000);
    assert_in_range(most, 3600000 + 300000, 3600000 + 360000);
    mill_online_close(online);
}

static void test_expired_row_is_gone(void **state)
{
    (void)state;
    struct mill_online_view view = {"brief", &fx_aircraft, fx_views[0].features, 5, 30000};
    struct mill_online_options options = {.project = "flights", .connection_string = fx.server.socket};
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_online_row got;
    struct mill_batch batch = fx_batch(1, 0);
    assert_int_equal(mill_online_open(&options, &view, 1, &online, &err), 0);
    fx_claim(online, 0);
    mill_online_put(online, 0, 0, fx_key(1), &batch, 0, 0);
    fx_sync(online);
    nanosleep(&(struct timespec){0, 60000000}, NULL);
    assert_int_equal(mill_online_get(online, 0, fx_key(1), &fx.arena, &got, &err), 0);
    mill_online_close(online);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FX_TEST(test_values_come_back),
        FX_TEST(test_hundred_thousand_rows),
        FX_TEST(test_zombie_is_fenced),
        FX_TEST(test_fenced_and_refused),
        FX_TEST(test_rows_never_go_back),
        FX_TEST(test_calls_by_hand),
        FX_TEST(test_ttl),
        FX_TEST(test_expired_row_is_gone),
    };
    return FX_RUN(tests);
}
