/* SPDX-License-Identifier: Apache-2.0 */
/* The online store's packed layout against a real Redis: what is written comes back bit for bit, in the right order,
 * from the right owner, and through everything that a connection and a server can do to us. */
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
#include "online_rows.h"
#include "redis_server.h"

static struct redis_server server;
static uint64_t rng;
static struct mill_arena arena;

static struct mill_field fields[] = {{"count", MILL_INT64},   {"mean", MILL_FLOAT64},   {"late", MILL_BOOL},
                                     {"gate", MILL_STRING},   {"seen", MILL_TIMESTAMP}, {"max", MILL_FLOAT64},
                                     {"carrier", MILL_STRING}};
enum { FIELDS = 7 };
static const struct mill_schema schema = {fields, FIELDS};
static const struct mill_join_key join_keys[] = {{"tailnum", MILL_STRING}};
static const struct mill_entity aircraft = {"aircraft", join_keys, 1};
static const struct mill_online_view views[] = {
    {"stats", &aircraft, fields, 5, 0},
    {"more", &aircraft, fields + 5, 2, INT64_C(3600) * 1000000},
};

static struct mill_online *open_online(int timeout_ms)
{
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_online_options options = {
        .project = "flights", .connection_string = server.socket, .timeout_ms = timeout_ms, .window_bytes = 64 << 10};
    if (mill_online_open(&options, views, 2, &online, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return online;
}

static void claim(struct mill_online *online, int32_t partition)
{
    struct mill_error err = {0};
    if (mill_online_claim(online, partition, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

static void sync_ok(struct mill_online *online)
{
    struct mill_error err = {0};
    if (mill_online_sync(online, true, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(mill_online_pending_bytes(online), 0);
}

/* As sync_ok, for a server that is just coming back. */
static void sync_soon(struct mill_online *online)
{
    struct mill_error err = {0};
    int rc = MILL_EUNAVAIL;
    for (int i = 0; i < 400 && rc == MILL_EUNAVAIL; i++) {
        rc = mill_online_sync(online, true, &err);
        nanosleep(&(struct timespec){0, rc == 0 ? 0 : 25000000}, NULL);
    }
    sync_ok(online);
}

static bool is_lost(struct mill_online *online)
{
    int32_t partition = -1;
    return mill_online_lost(online, &partition);
}

/* Canonical keys of one string part: its length, then bytes, NUL and CR LF among them. */
static struct mill_slice key_of(uint32_t entity)
{
    static char bytes[16];
    bytes[0] = 7;
    memcpy(bytes + 1, "\0\r\n", 3);
    memcpy(bytes + 4, &entity, 4);
    return (struct mill_slice){bytes, 8};
}

static struct mill_batch make_batch(uint32_t rows, int64_t first_offset)
{
    struct mill_batch batch;
    test_fill_batch(&batch, &schema, rows, &rng, first_offset, first_offset * 1000000, &arena);
    return batch;
}

static void check_row(struct mill_online *online, uint32_t view, uint32_t entity, const struct mill_batch *batch,
                      uint32_t row)
{
    struct mill_error err = {0};
    struct mill_online_row got;
    int rc = mill_online_get(online, view, key_of(entity), &arena, &got, &err);
    if (rc != 1) {
        fail_msg("entity %u: %d %s", entity, rc, err.msg);
    }
    assert_true(test_row_equals(&got, batch, row, view == 0 ? 0 : 5, views[view].feature_count, false));
}

/* ------------------------------------------------------------------------------------------------ */

static void test_values_come_back(void **state)
{
    (void)state;
    struct mill_online *online = open_online(0);
    struct mill_error err = {0};
    struct mill_online_row got;
    claim(online, 3);
    struct mill_batch batch = make_batch(500, 0);
    batch.partition = 3;
    for (uint32_t i = 0; i < 500; i++) {
        mill_online_put(online, 0, 3, key_of(i), &batch, i, 0);
        mill_online_put(online, 1, 3, key_of(i), &batch, i, 5);
    }
    assert_true(mill_online_pending_bytes(online) > 100000);
    sync_ok(online);
    for (uint32_t i = 0; i < 500; i++) {
        check_row(online, 0, i, &batch, i);
        check_row(online, 1, i, &batch, i);
    }
    assert_int_equal(mill_online_get(online, 0, key_of(500), &arena, &got, &err), 0);
    assert_string_equal(redis_ask(&server, "DBSIZE"), "1001"); /* rows and the fence */
    assert_string_equal(redis_ask(&server, "EXISTS fs:flights:stats:%b", "\7\0\r\n\5\0\0\0", (size_t)8), "1");
    mill_online_close(online);
}

/* What was put last is what is there, whatever the order of batches, windows and answers. */
static void test_hundred_thousand_rows(void **state)
{
    (void)state;
    enum { ENTITIES = 5000, ROWS = 100000, BATCH = 1000 };
    static uint32_t newest[ENTITIES];
    struct mill_online *online = open_online(0);
    struct mill_error err = {0};
    claim(online, 0);
    memset(newest, 0xff, sizeof(newest));
    struct mill_batch batch = make_batch(BATCH, 0);
    for (uint32_t from = 0; from < ROWS; from += BATCH) {
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t entity = test_random(&rng, ENTITIES);
            batch.offset[i] = from + i;
            batch.event_time_us[i] = from + i;
            newest[entity] = from + i;
            mill_online_put(online, 0, 0, key_of(entity), &batch, i, 0);
        }
        int rc = mill_online_sync(online, false, &err);
        while (rc == 0 && mill_online_pending_bytes(online) > 1 << 20) {
            rc = mill_online_sync(online, true, &err);
        }
        assert_int_equal(rc, 0);
    }
    sync_ok(online);
    for (uint32_t entity = 0; entity < ENTITIES; entity += 3) {
        uint32_t row = newest[entity] % BATCH;
        if (newest[entity] != UINT32_MAX) {
            batch.offset[row] = batch.event_time_us[row] = newest[entity];
            check_row(online, 0, entity, &batch, row);
        }
    }
    mill_online_close(online);
}

static void test_zombie_is_fenced(void **state)
{
    (void)state;
    struct mill_online *a = open_online(0), *b = open_online(0);
    struct mill_error err = {0};
    int32_t partition = -1;
    struct mill_batch batch = make_batch(4, 10);
    claim(a, 5);
    claim(a, 6);
    mill_online_put(a, 0, 5, key_of(1), &batch, 0, 0);
    sync_ok(a);
    claim(b, 5);
    mill_online_put(b, 0, 5, key_of(1), &batch, 1, 0);
    sync_ok(b);

    mill_online_put(a, 0, 5, key_of(1), &batch, 2, 0); /* the zombie */
    mill_online_put(a, 0, 6, key_of(2), &batch, 2, 0); /* still its own */
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "fenced: another owner has taken partition 5"));
    assert_true(mill_online_fenced(a, &partition));
    assert_int_equal(partition, 5);
    assert_false(mill_online_fenced(a, &partition));
    check_row(b, 0, 1, &batch, 1);
    check_row(b, 0, 2, &batch, 2);

    mill_online_put(a, 0, 5, key_of(1), &batch, 3, 0);
    assert_int_equal(mill_online_pending_bytes(a), 0);
    sync_ok(a); /* told once */
    claim(a, 5);
    mill_online_put(a, 0, 5, key_of(1), &batch, 3, 0);
    sync_ok(a);
    check_row(a, 0, 1, &batch, 3);
    mill_online_put(b, 0, 5, key_of(1), &batch, 2, 0);
    assert_int_equal(mill_online_sync(b, true, &err), MILL_EDATA);
    check_row(a, 0, 1, &batch, 3);

    /* Redis forgets everything: the older token still loses once the newer one has spoken. */
    claim(b, 6);
    redis_ask(&server, "FLUSHALL");
    mill_online_put(b, 0, 6, key_of(9), &batch, 3, 0);
    sync_ok(b);
    assert_true(is_lost(b));
    mill_online_put(a, 0, 6, key_of(9), &batch, 1, 0);
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EDATA);
    check_row(b, 0, 9, &batch, 3);
    mill_online_close(a);
    mill_online_close(b);
}

/* A caller may pass over "fenced". It must not, by that, pass over rows of other partitions that are still here. */
static void test_fenced_and_refused(void **state)
{
    (void)state;
    struct mill_online *a = open_online(300), *b = open_online(0);
    struct mill_error err = {0};
    struct mill_batch batch = make_batch(2, 0);
    claim(a, 5);
    claim(a, 6);
    claim(b, 5);
    redis_ask(&server, "CONFIG SET maxmemory 1");
    mill_online_put(a, 0, 5, key_of(1), &batch, 0, 0);
    mill_online_put(a, 0, 6, key_of(2), &batch, 1, 0);
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EUNAVAIL);
    assert_true(mill_online_pending_bytes(a) > 0);
    redis_ask(&server, "CONFIG SET maxmemory 0");
    int rc = MILL_EUNAVAIL;
    for (int i = 0; i < 400 && rc == MILL_EUNAVAIL; i++) {
        rc = mill_online_sync(a, true, &err);
        nanosleep(&(struct timespec){0, 10000000}, NULL);
    }
    assert_int_equal(rc, MILL_EDATA);
    assert_int_equal(mill_online_pending_bytes(a), 0);
    check_row(b, 0, 2, &batch, 1);
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
    struct mill_batch batch = make_batch(HISTORY, 0);
    int64_t next_offset[SOURCES] = {0};
    for (uint32_t i = 0; i < HISTORY; i++) {
        row_partition[i] = (int32_t)test_random(&rng, SOURCES);
        batch.offset[i] = next_offset[row_partition[i]]++;
        batch.event_time_us[i] = (int64_t)(i / 4 + test_random(&rng, 30)) - 100;
        history_entity[i] = test_random(&rng, OLD_ENTITIES);
    }
    batch.row_partition = row_partition;
    return batch;
}

static uint32_t row_in_redis(struct mill_online *reader, const struct mill_batch *batch, uint32_t entity)
{
    struct mill_error err = {0};
    struct mill_online_row got;
    if (mill_online_get(reader, 0, key_of(entity), &arena, &got, &err) == 0) {
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
    struct mill_online *reader = open_online(0);
    uint32_t reached = 0, kept = 0;
    for (uint32_t owners = 0; reached < HISTORY; owners++) {
        struct mill_online *online = open_online(0);
        claim(online, 2);
        /* Stored state may be older than what Redis has; folding goes on from there. */
        uint32_t from = reached - (reached == 0 ? 0 : test_random(&rng, reached < 200 ? reached : 200));
        uint32_t to = from + 1 + test_random(&rng, 250);
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
            mill_online_put(online, 0, 2, key_of(entity), &batch, i, 0);
            if (test_random(&rng, 8) == 0) {
                sync_ok(online);
                uint32_t now = row_in_redis(reader, &batch, entity);
                assert_true(now != UINT32_MAX);
                if (seen[entity] != UINT32_MAX) {
                    assert_false(is_before(&batch, now, seen[entity]));
                    kept += now != i;
                }
                seen[entity] = now;
            }
        }
        sync_ok(online);
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
    return redis_ask(&server, "EVAL %s 2 fence k %s %s %s 1 high:v:0 7 %s 0", mill__script_packed, token, call, compare,
                     value);
}

static void test_calls_by_hand(void **state)
{
    (void)state;
    assert_string_equal(call_script("5", "1", "0", "one"), "1"); /* nothing known of the fence: rows were lost */
    assert_string_equal(call_script("5", "2", "0", "two"), "0");
    assert_string_equal(call_script("5", "1", "0", "one"), "0"); /* again: done already */
    assert_string_equal(call_script("5", "2", "0", "other"), "0");
    assert_string_equal(redis_ask(&server, "GET k"), "two");
    assert_string_equal(call_script("4", "3", "0", "zombie"), "-1");
    assert_string_equal(redis_ask(&server, "GET k"), "two");
    assert_string_equal(call_script("5", "4", "0", "four"), "1"); /* call 3 is missing */
    assert_string_equal(call_script("6", "1", "0", "newer"), "1");
    assert_string_equal(call_script("6", "2", "1", "newest"), "0"); /* what is stored is no row: nothing to compare */
    assert_string_equal(redis_ask(&server, "GET k"), "newest");
    assert_string_equal(redis_ask(&server, "HMGET fence token call high:v:0"), "6 2 7");
}

/* ------------------------------------------------------------------------------------------------
 * Trouble
 * --------------------------------------------------------------------------------------------- */

static void test_script_flush(void **state)
{
    (void)state;
    struct mill_online *online = open_online(0);
    struct mill_batch batch = make_batch(2, 0);
    claim(online, 0);
    mill_online_put(online, 0, 0, key_of(1), &batch, 0, 0);
    sync_ok(online);
    redis_ask(&server, "SCRIPT FLUSH");
    mill_online_put(online, 0, 0, key_of(1), &batch, 1, 0);
    sync_ok(online);
    check_row(online, 0, 1, &batch, 1);
    mill_online_close(online);
}

static void test_client_kill(void **state)
{
    (void)state;
    struct mill_online *online = open_online(0);
    struct mill_error err = {0};
    struct mill_batch batch = make_batch(1000, 0);
    claim(online, 0);
    assert_true(is_lost(online)); /* the very first claim */
    for (uint32_t i = 0; i < 1000; i++) {
        mill_online_put(online, 0, 0, key_of(i), &batch, i, 0);
        if (i % 100 == 50) {
            int rc = mill_online_sync(online, false, &err);
            assert_true(rc == 0 || rc == MILL_EUNAVAIL);
            redis_ask(&server, "CLIENT KILL TYPE normal");
        }
    }
    redis_ask(&server, "CLIENT KILL TYPE normal");
    sync_ok(online);
    redis_ask(&server, "CLIENT KILL TYPE normal");
    for (uint32_t i = 0; i < 1000; i++) {
        check_row(online, 0, i, &batch, i);
    }
    assert_false(is_lost(online));
    mill_online_close(online);
}

static void test_redis_restarts_empty(void **state)
{
    (void)state;
    struct mill_online *online = open_online(300);
    struct mill_error err = {0};
    int32_t partition = -1;
    struct mill_batch batch = make_batch(1000, 0);
    claim(online, 4);
    assert_true(is_lost(online));
    for (uint32_t i = 0; i < 300; i++) {
        mill_online_put(online, 0, 4, key_of(i), &batch, i, 0);
    }
    sync_ok(online);
    assert_false(is_lost(online));
    for (uint32_t i = 300; i < 600; i++) {
        mill_online_put(online, 0, 4, key_of(i), &batch, i, 0);
        if (i == 450) {
            (void)!mill_online_sync(online, false, &err);
            redis_server_kill(&server);
        }
    }
    assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
    uint64_t before = mill_online_pending_bytes(online);
    assert_true(before > 0);
    for (int i = 0; i < 20; i++) { /* away for long: told at once, and nobody spins */
        int64_t start = mill_clock_mono_ns();
        assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
        assert_true(mill_clock_mono_ns() - start < INT64_C(1000000000));
        assert_non_null(strstr(err.msg, server.socket));
    }
    assert_int_equal(mill_online_pending_bytes(online), before);
    assert_int_equal(mill_online_sync(online, false, &err), MILL_EUNAVAIL);
    assert_int_equal(mill_online_claim(online, 9, &err), MILL_EUNAVAIL);
    redis_server_start(&server, NULL);
    sync_soon(online);
    assert_true(mill_online_lost(online, &partition));
    assert_int_equal(partition, 4);
    assert_false(is_lost(online));
    check_row(online, 0, 599, &batch, 599);
    for (uint32_t i = 0; i < 600; i++) { /* the rebuild */
        mill_online_put(online, 0, 4, key_of(i), &batch, i, 0);
    }
    sync_ok(online);
    for (uint32_t i = 0; i < 600; i++) {
        check_row(online, 0, i, &batch, i);
    }
    mill_online_close(online);
}

/* Redis comes back from a file: whole, nothing is lost; older than what was acknowledged, that is seen. */
static void test_redis_restarts_from_a_file(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    for (int is_older = 0; is_older < 2; is_older++) {
        redis_ask(&server, "FLUSHALL");
        struct mill_online *online = open_online(2000);
        struct mill_batch batch = make_batch(20, 0);
        claim(online, 1);
        assert_true(is_lost(online));
        for (uint32_t i = 0; i < 10; i++) {
            mill_online_put(online, 0, 1, key_of(i), &batch, i, 0);
            sync_ok(online);
        }
        assert_string_equal(redis_ask(&server, "SAVE"), "OK");
        if (is_older) {
            mill_online_put(online, 0, 1, key_of(10), &batch, 10, 0);
            sync_ok(online);
        }
        redis_server_kill(&server);
        redis_server_start(&server, none);
        mill_online_put(online, 0, 1, key_of(11), &batch, 11, 0);
        sync_ok(online);
        assert_int_equal(is_lost(online), is_older);
        check_row(online, 0, 9, &batch, 9);
        check_row(online, 0, 11, &batch, 11);
        mill_online_close(online);
    }
}

/* A stopped Redis takes our bytes and does not answer; when it wakes up it reads those of every connection we had. */
static void test_redis_stops_and_goes_on(void **state)
{
    (void)state;
    struct mill_online *online = open_online(200);
    struct mill_error err = {0};
    struct mill_batch batch = make_batch(4000, 0);
    claim(online, 0);
    mill_online_put(online, 0, 0, key_of(0), &batch, 0, 0);
    sync_ok(online);
    uint32_t row = 1;
    for (int round = 0; round < 3; round++) {
        kill(server.pid, SIGSTOP);
        for (int i = 0; i < 10; i++, row += 100) {
            for (uint32_t k = 0; k < 100; k++) {
                mill_online_put(online, 0, 0, key_of(k), &batch, row + k, 0);
            }
            int64_t start = mill_clock_mono_ns();
            int rc = mill_online_sync(online, false, &err);
            assert_true(rc == 0 || rc == MILL_EUNAVAIL);
            assert_true(mill_clock_mono_ns() - start < INT64_C(150000000)); /* not waiting */
        }
        assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
        assert_non_null(strstr(err.msg, "no answer for 200 ms"));
        kill(server.pid, SIGCONT);
        sync_soon(online);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
        for (uint32_t k = 0; k < 100; k++) {
            check_row(online, 0, k, &batch, row - 100 + k);
        }
    }
    mill_online_close(online);
}

static void test_server_is_not_ready(void **state)
{
    (void)state;
    static const struct {
        const char *set, *reset, *text;
    } cases[] = {
        {"CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0", "OOM "},
        {"REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE", "READONLY "},
    };
    for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++) {
        struct mill_online *online = open_online(300);
        struct mill_error err = {0};
        struct mill_batch batch = make_batch(2, 10 * (int64_t)c);
        claim(online, 0);
        redis_ask(&server, cases[c].set);
        mill_online_put(online, 0, 0, key_of(1), &batch, 1, 0);
        assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
        assert_non_null(strstr(err.msg, cases[c].text));
        redis_ask(&server, cases[c].reset);
        sync_soon(online);
        check_row(online, 0, 1, &batch, 1);
        mill_online_close(online);
    }
}

static void test_foreign_keys_are_named(void **state)
{
    (void)state;
    struct mill_online *online = open_online(0);
    struct mill_error err = {0};
    struct mill_online_row got;
    redis_ask(&server, "LPUSH fs:flights:stats:%b x", key_of(1).p, key_of(1).n);
    assert_int_equal(mill_online_get(online, 0, key_of(1), &arena, &got, &err), MILL_EIO);
    assert_non_null(strstr(err.msg, "WRONGTYPE"));
    redis_ask(&server, "SET fs:flights:stats:%b hello,a-string-that-is-long-enough-to-have-a-header", key_of(2).p,
              key_of(2).n);
    assert_int_equal(mill_online_get(online, 0, key_of(2), &arena, &got, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "row of feature view 'stats'"));
    assert_int_equal(mill_online_get(online, 0, key_of(3), &arena, &got, &err), 0);

    /* A call that can never be done is an error of its own, not "fenced" and not "wait". */
    struct mill_batch batch = make_batch(1, 0);
    claim(online, 0);
    redis_ask(&server, "DEL fence:flights:0");
    redis_ask(&server, "LPUSH fence:flights:0 x");
    mill_online_put(online, 0, 0, key_of(4), &batch, 0, 0);
    assert_int_equal(mill_online_sync(online, true, &err), MILL_EIO);
    assert_non_null(strstr(err.msg, "refuses a command: WRONGTYPE"));
    assert_true(mill_online_pending_bytes(online) > 0);
    redis_ask(&server, "DEL fence:flights:0");
    sync_soon(online);
    check_row(online, 0, 4, &batch, 0);
    mill_online_close(online);
}

static void test_ttl(void **state)
{
    (void)state;
    struct mill_online *online = open_online(0);
    struct mill_batch batch = make_batch(200, 0);
    long least = 1L << 40, most = 0;
    claim(online, 0);
    for (uint32_t i = 0; i < 200; i++) {
        mill_online_put(online, 0, 0, key_of(i), &batch, i, 0);
        mill_online_put(online, 1, 0, key_of(i), &batch, i, 5);
    }
    sync_ok(online);
    for (uint32_t i = 0; i < 200; i++) {
        assert_string_equal(redis_ask(&server, "PTTL fs:flights:stats:%b", key_of(i).p, key_of(i).n), "-1");
        long ms = strtol(redis_ask(&server, "PTTL fs:flights:more:%b", key_of(i).p, key_of(i).n), NULL, 10);
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
    struct mill_online_view view = {"brief", &aircraft, fields, 5, 30000};
    struct mill_online_options options = {.project = "flights", .connection_string = server.socket};
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_online_row got;
    struct mill_batch batch = make_batch(1, 0);
    assert_int_equal(mill_online_open(&options, &view, 1, &online, &err), 0);
    claim(online, 0);
    mill_online_put(online, 0, 0, key_of(1), &batch, 0, 0);
    sync_ok(online);
    nanosleep(&(struct timespec){0, 60000000}, NULL);
    assert_int_equal(mill_online_get(online, 0, key_of(1), &arena, &got, &err), 0);
    mill_online_close(online);
}

static int try_claim(const char *connection_string, const char *password, struct mill_error *err)
{
    struct mill_online *online = NULL;
    struct mill_online_options options = {
        .project = "flights", .connection_string = connection_string, .password = password, .timeout_ms = 300};
    int rc = mill_online_open(&options, views, 2, &online, err);
    if (rc == 0) {
        rc = mill_online_claim(online, 0, err);
    }
    mill_online_close(online);
    return rc;
}

static void test_passwords(void **state)
{
    (void)state;
    struct mill_error err = {0};
    char text[256];
    redis_ask(&server, "CONFIG SET requirepass s3cret");
    assert_int_equal(try_claim(server.socket, NULL, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "refuses the password: NOAUTH"));
    assert_int_equal(try_claim(server.socket, "wrong", &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "WRONGPASS"));
    assert_null(strstr(err.msg, "wrong"));
    assert_int_equal(try_claim(server.socket, "s3cret", &err), 0);
    snprintf(text, sizeof(text), "%s,db=3,password=s3cret", server.socket);
    assert_int_equal(try_claim(text, NULL, &err), 0);
    snprintf(text, sizeof(text), "%s,username=default,password=s3cret", server.socket);
    assert_int_equal(try_claim(text, NULL, &err), 0);
    snprintf(text, sizeof(text), "%s,username=nobody,password=s3cret", server.socket);
    assert_int_equal(try_claim(text, NULL, &err), MILL_ECONFIG);
    redis_server_kill(&server);
    redis_server_start(&server, NULL);
    assert_int_equal(try_claim(server.socket, "s3cret", &err), MILL_ECONFIG);
    snprintf(text, sizeof(text), "%s,db=99", server.socket);
    assert_int_equal(try_claim(text, NULL, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "DB index"));
}

static void test_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"localhost", "redis server 'localhost' is not 'host:port'"},
        {"", "redis server '' is not 'host:port'"},
        {":6379", "redis server ':6379' is not"},
        {"h:0", "a port from 1 to 65535"},
        {"h:65536", "a port from 1 to 65535"},
        {"h:63x", "a port from 1 to 65535"},
        {"h:6379,db=x", "redis option 'db' is 'x', expected a number from 0"},
        {"h:6379,ssl=true", "redis option 'ssl' is not supported; hint: run a TLS proxy"},
        {"h:6379,pasword=x", "redis option 'pasword' is unknown, expected db, username, password or ssl; hint: did you "
                             "mean 'password'?"},
        {"h:6379,i:6379", "redis clusters are not supported"},
    };
    struct mill_error err = {0};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        assert_int_equal(try_claim(cases[i].text, NULL, &err), MILL_ECONFIG);
        if (strstr(err.msg, cases[i].message) == NULL) {
            fail_msg("'%s': %s", cases[i].text, err.msg);
        }
    }
    assert_int_equal(try_claim("127.0.0.1:1", NULL, &err), MILL_EUNAVAIL);
    assert_string_equal(err.msg, "redis at '127.0.0.1:1': Connection refused");
    assert_int_equal(try_claim("[::1]:1,ssl=false", NULL, &err), MILL_EUNAVAIL);
    assert_int_equal(try_claim("/no/such/socket", NULL, &err), MILL_EUNAVAIL);
    assert_non_null(strstr(err.msg, "No such file"));
}

static void test_over_tcp(void **state)
{
    (void)state;
    struct mill_error err = {0};
    char text[64];
    for (int attempt = 0; attempt < 20; attempt++) { /* a port that is free */
        snprintf(text, sizeof(text), "CONFIG SET port %u", 20000 + test_random(&rng, 20000));
        if (strcmp(redis_ask(&server, text), "OK") == 0) {
            break;
        }
    }
    char address[96];
    snprintf(address, sizeof(address), "127.0.0.1:%s", redis_ask(&server, "CONFIG GET port") + 5);
    if (try_claim(address, NULL, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    redis_ask(&server, "CONFIG SET port 0");
}

/* ------------------------------------------------------------------------------------------------ */

static int stop(void **state)
{
    (void)state;
    redis_server_clear(&server);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    if (server.pid == 0) {
        redis_server_start(&server, NULL); /* the test before failed while it was away */
    }
    redis_ask(&server, "FLUSHALL");
    return 0;
}

static int after(void **state)
{
    (void)state;
    mill_arena_clear(&arena);
    return 0;
}

int main(void)
{
    if (!redis_server_init(&server)) {
        puts("skipped: redis-server is not installed");
        return 77;
    }
    rng = test_seed();
    redis_server_start(&server, NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, clean, after)
    const struct CMUnitTest tests[] = {
        TEST(test_values_come_back),
        TEST(test_hundred_thousand_rows),
        TEST(test_zombie_is_fenced),
        TEST(test_fenced_and_refused),
        TEST(test_rows_never_go_back),
        TEST(test_calls_by_hand),
        TEST(test_script_flush),
        TEST(test_client_kill),
        TEST(test_redis_restarts_empty),
        TEST(test_redis_restarts_from_a_file),
        TEST(test_redis_stops_and_goes_on),
        TEST(test_server_is_not_ready),
        TEST(test_foreign_keys_are_named),
        TEST(test_ttl),
        TEST(test_expired_row_is_gone),
        TEST(test_passwords),
        TEST(test_addresses),
        TEST(test_over_tcp),
    };
    return cmocka_run_group_tests(tests, NULL, stop);
}
