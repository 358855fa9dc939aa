/* SPDX-License-Identifier: Apache-2.0 */
/* The online store's packed layout and everything that a connection and a server can do to it. */
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

static void test_script_flush(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(0);
    struct mill_batch batch = fx_batch(2, 0);
    fx_claim(online, 0);
    mill_online_put(online, 0, 0, fx_key(1), &batch, 0, 0);
    fx_sync(online);
    redis_ask(&fx.server, "SCRIPT FLUSH");
    mill_online_put(online, 0, 0, fx_key(1), &batch, 1, 0);
    fx_sync(online);
    fx_check_row(online, 0, 1, &batch, 1);
    mill_online_close(online);
}

static void test_client_kill(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(0);
    struct mill_error err = {0};
    struct mill_batch batch = fx_batch(1000, 0);
    fx_claim(online, 0);
    assert_true(fx_is_lost(online)); /* the very first claim */
    for (uint32_t i = 0; i < 1000; i++) {
        mill_online_put(online, 0, 0, fx_key(i), &batch, i, 0);
        if (i % 100 == 50) {
            int rc = mill_online_sync(online, false, &err);
            assert_true(rc == 0 || rc == MILL_EUNAVAIL);
            redis_ask(&fx.server, "CLIENT KILL TYPE normal");
        }
    }
    redis_ask(&fx.server, "CLIENT KILL TYPE normal");
    fx_sync(online);
    redis_ask(&fx.server, "CLIENT KILL TYPE normal");
    for (uint32_t i = 0; i < 1000; i++) {
        fx_check_row(online, 0, i, &batch, i);
    }
    assert_false(fx_is_lost(online));
    mill_online_close(online);
}

static void test_redis_restarts_empty(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(300);
    struct mill_error err = {0};
    int32_t partition = -1;
    struct mill_batch batch = fx_batch(1000, 0);
    fx_claim(online, 4);
    assert_true(fx_is_lost(online));
    for (uint32_t i = 0; i < 300; i++) {
        mill_online_put(online, 0, 4, fx_key(i), &batch, i, 0);
    }
    fx_sync(online);
    assert_false(fx_is_lost(online));
    for (uint32_t i = 300; i < 600; i++) {
        mill_online_put(online, 0, 4, fx_key(i), &batch, i, 0);
        if (i == 450) {
            (void)!mill_online_sync(online, false, &err);
            redis_server_kill(&fx.server);
        }
    }
    assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
    uint64_t before = mill_online_pending_bytes(online);
    assert_true(before > 0);
    for (int i = 0; i < 20; i++) { /* away for long: told at once, and nobody spins */
        int64_t start = mill_clock_mono_ns();
        assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
        assert_true(mill_clock_mono_ns() - start < INT64_C(1000000000));
        assert_non_null(strstr(err.msg, fx.server.socket));
    }
    assert_int_equal(mill_online_pending_bytes(online), before);
    assert_int_equal(mill_online_sync(online, false, &err), MILL_EUNAVAIL);
    assert_int_equal(mill_online_claim(online, 9, false, &err), MILL_EUNAVAIL);
    redis_server_start(&fx.server, NULL);
    fx_sync_soon(online);
    assert_true(mill_online_lost(online, &partition));
    assert_int_equal(partition, 4);
    assert_false(fx_is_lost(online));
    fx_check_row(online, 0, 599, &batch, 599);
    for (uint32_t i = 0; i < 600; i++) { /* the rebuild */
        mill_online_put(online, 0, 4, fx_key(i), &batch, i, 0);
    }
    fx_sync(online);
    for (uint32_t i = 0; i < 600; i++) {
        fx_check_row(online, 0, i, &batch, i);
    }
    mill_online_close(online);
}

/* Redis comes back from a file: whole, nothing is lost; older than what was acknowledged, that is seen. */
static void test_redis_restarts_from_a_file(void **state)
{
    (void)state;
    static const char *const none[] = {NULL};
    for (int is_older = 0; is_older < 2; is_older++) {
        redis_ask(&fx.server, "FLUSHALL");
        struct mill_online *online = fx_open(2000);
        struct mill_batch batch = fx_batch(20, 0);
        fx_claim(online, 1);
        assert_true(fx_is_lost(online));
        for (uint32_t i = 0; i < 10; i++) {
            mill_online_put(online, 0, 1, fx_key(i), &batch, i, 0);
            fx_sync(online);
        }
        assert_string_equal(redis_ask(&fx.server, "SAVE"), "OK");
        if (is_older) {
            mill_online_put(online, 0, 1, fx_key(10), &batch, 10, 0);
            fx_sync(online);
        }
        redis_server_kill(&fx.server);
        redis_server_start(&fx.server, none);
        mill_online_put(online, 0, 1, fx_key(11), &batch, 11, 0);
        fx_sync(online);
        assert_int_equal(fx_is_lost(online), is_older);
        fx_check_row(online, 0, 9, &batch, 9);
        fx_check_row(online, 0, 11, &batch, 11);
        mill_online_close(online);
    }
}

/* A stopped Redis takes our bytes and does not answer; when it wakes up it reads those of every connection we had. */
static void test_redis_stops_and_goes_on(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(200);
    struct mill_error err = {0};
    struct mill_batch batch = fx_batch(4000, 0);
    fx_claim(online, 0);
    mill_online_put(online, 0, 0, fx_key(0), &batch, 0, 0);
    fx_sync(online);
    uint32_t row = 1;
    for (int round = 0; round < 3; round++) {
        kill(fx.server.pid, SIGSTOP);
        for (int i = 0; i < 10; i++, row += 100) {
            for (uint32_t k = 0; k < 100; k++) {
                mill_online_put(online, 0, 0, fx_key(k), &batch, row + k, 0);
            }
            int64_t start = mill_clock_mono_ns();
            int rc = mill_online_sync(online, false, &err);
            assert_true(rc == 0 || rc == MILL_EUNAVAIL);
            assert_true(mill_clock_mono_ns() - start < INT64_C(150000000)); /* not waiting */
        }
        assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
        assert_non_null(strstr(err.msg, "no answer for 200 ms"));
        kill(fx.server.pid, SIGCONT);
        fx_sync_soon(online);
        nanosleep(&(struct timespec){0, 20000000}, NULL);
        for (uint32_t k = 0; k < 100; k++) {
            fx_check_row(online, 0, k, &batch, row - 100 + k);
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
        struct mill_online *online = fx_open(300);
        struct mill_error err = {0};
        struct mill_batch batch = fx_batch(2, 10 * (int64_t)c);
        fx_claim(online, 0);
        redis_ask(&fx.server, cases[c].set);
        mill_online_put(online, 0, 0, fx_key(1), &batch, 1, 0);
        assert_int_equal(mill_online_sync(online, true, &err), MILL_EUNAVAIL);
        assert_non_null(strstr(err.msg, cases[c].text));
        redis_ask(&fx.server, cases[c].reset);
        fx_sync_soon(online);
        fx_check_row(online, 0, 1, &batch, 1);
        mill_online_close(online);
    }
}

static void test_foreign_keys_are_named(void **state)
{
    (void)state;
    struct mill_online *online = fx_open(0);
    struct mill_error err = {0};
    struct mill_online_row got;
    redis_ask(&fx.server, "LPUSH fs:flights:stats:%b x", fx_key(1).p, fx_key(1).n);
    assert_int_equal(mill_online_get(online, 0, fx_key(1), &fx.arena, &got, &err), MILL_EIO);
    assert_non_null(strstr(err.msg, "WRONGTYPE"));
    redis_ask(&fx.server, "SET fs:flights:stats:%b hello,a-string-that-is-long-enough-to-have-a-header", fx_key(2).p,
              fx_key(2).n);
    assert_int_equal(mill_online_get(online, 0, fx_key(2), &fx.arena, &got, &err), MILL_EDATA);
    assert_non_null(strstr(err.msg, "row of feature view 'stats'"));
    assert_int_equal(mill_online_get(online, 0, fx_key(3), &fx.arena, &got, &err), 0);

    /* A call that can never be done is an error of its own, not "fenced" and not "wait". */
    struct mill_batch batch = fx_batch(1, 0);
    fx_claim(online, 0);
    redis_ask(&fx.server, "DEL fence:flights:0");
    redis_ask(&fx.server, "LPUSH fence:flights:0 x");
    mill_online_put(online, 0, 0, fx_key(4), &batch, 0, 0);
    assert_int_equal(mill_online_sync(online, true, &err), MILL_EIO);
    assert_non_null(strstr(err.msg, "refuses a command: WRONGTYPE"));
    assert_true(mill_online_pending_bytes(online) > 0);
    redis_ask(&fx.server, "DEL fence:flights:0");
    fx_sync_soon(online);
    fx_check_row(online, 0, 4, &batch, 0);
    mill_online_close(online);
}

static int try_claim(const char *connection_string, const char *password, struct mill_error *err)
{
    struct mill_online *online = NULL;
    struct mill_online_options options = {
        .project = "flights", .connection_string = connection_string, .password = password, .timeout_ms = 300};
    int rc = mill_online_open(&options, fx_views, 2, &online, err);
    if (rc == 0) {
        rc = mill_online_claim(online, 0, false, err);
    }
    mill_online_close(online);
    return rc;
}

static void test_passwords(void **state)
{
    (void)state;
    struct mill_error err = {0};
    char text[256];
    redis_ask(&fx.server, "CONFIG SET requirepass s3cret");
    assert_int_equal(try_claim(fx.server.socket, NULL, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "refuses the password: NOAUTH"));
    assert_int_equal(try_claim(fx.server.socket, "wrong", &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "WRONGPASS"));
    assert_null(strstr(err.msg, "wrong"));
    assert_int_equal(try_claim(fx.server.socket, "s3cret", &err), 0);
    snprintf(text, sizeof(text), "%s,db=3,password=s3cret", fx.server.socket);
    assert_int_equal(try_claim(text, NULL, &err), 0);
    snprintf(text, sizeof(text), "%s,username=default,password=s3cret", fx.server.socket);
    assert_int_equal(try_claim(text, NULL, &err), 0);
    snprintf(text, sizeof(text), "%s,username=nobody,password=s3cret", fx.server.socket);
    assert_int_equal(try_claim(text, NULL, &err), MILL_ECONFIG);
    redis_server_kill(&fx.server);
    redis_server_start(&fx.server, NULL);
    assert_int_equal(try_claim(fx.server.socket, "s3cret", &err), MILL_ECONFIG);
    snprintf(text, sizeof(text), "%s,db=99", fx.server.socket);
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
        snprintf(text, sizeof(text), "CONFIG SET port %u", 20000 + test_random(&fx.rng, 20000));
        if (strcmp(redis_ask(&fx.server, text), "OK") == 0) {
            break;
        }
    }
    char address[96];
    snprintf(address, sizeof(address), "127.0.0.1:%s", redis_ask(&fx.server, "CONFIG GET port") + 5);
    if (try_claim(address, NULL, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    redis_ask(&fx.server, "CONFIG SET port 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FX_TEST(test_script_flush),
        FX_TEST(test_client_kill),
        FX_TEST(test_redis_restarts_empty),
        FX_TEST(test_redis_restarts_from_a_file),
        FX_TEST(test_redis_stops_and_goes_on),
        FX_TEST(test_server_is_not_ready),
        FX_TEST(test_foreign_keys_are_named),
        FX_TEST(test_passwords),
        FX_TEST(test_addresses),
        FX_TEST(test_over_tcp),
    };
    return FX_RUN(tests);
}
