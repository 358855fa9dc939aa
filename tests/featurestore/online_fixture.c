/* SPDX-License-Identifier: Apache-2.0 */
#include "online_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

struct fx fx;

static struct mill_field fields[] = {{"count", MILL_INT64},   {"mean", MILL_FLOAT64},   {"late", MILL_BOOL},
                                     {"gate", MILL_STRING},   {"seen", MILL_TIMESTAMP}, {"max", MILL_FLOAT64},
                                     {"carrier", MILL_STRING}};
static const struct mill_schema schema = {fields, 7};
static const struct mill_join_key join_keys[] = {{"tailnum", MILL_STRING}};
const struct mill_entity fx_aircraft = {"aircraft", join_keys, 1};
const struct mill_online_view fx_views[2] = {
    {"stats", &fx_aircraft, fields, 5, 0},
    {"more", &fx_aircraft, fields + 5, 2, INT64_C(3600) * 1000000},
};

bool fx_begin(void)
{
    if (!redis_server_init(&fx.server)) {
        puts("skipped: redis-server is not installed");
        return false;
    }
    fx.rng = test_seed();
    redis_server_start(&fx.server, NULL);
    return true;
}

int fx_end(void **state)
{
    (void)state;
    redis_server_clear(&fx.server);
    return 0;
}

int fx_before_test(void **state)
{
    (void)state;
    if (fx.server.pid == 0) {
        redis_server_start(&fx.server, NULL); /* the test before failed while it was away */
    }
    redis_ask(&fx.server, "FLUSHALL");
    return 0;
}

int fx_after_test(void **state)
{
    (void)state;
    mill_arena_clear(&fx.arena);
    return 0;
}

struct mill_online *fx_open(int timeout_ms)
{
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_online_options options = {.project = "flights",
                                          .connection_string = fx.server.socket,
                                          .timeout_ms = timeout_ms,
                                          .window_bytes = 64 << 10};
    if (mill_online_open(&options, fx_views, 2, &online, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return online;
}

void fx_claim(struct mill_online *online, int32_t partition)
{
    struct mill_error err = {0};
    if (mill_online_claim(online, partition, false, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

void fx_sync(struct mill_online *online)
{
    struct mill_error err = {0};
    if (mill_online_sync(online, true, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_int_equal(mill_online_pending_bytes(online), 0);
}

/* As fx_sync, for a server that is just coming back. */
void fx_sync_soon(struct mill_online *online)
{
    struct mill_error err = {0};
    int rc = MILL_EUNAVAIL;
    for (int i = 0; i < 400 && rc == MILL_EUNAVAIL; i++) {
        rc = mill_online_sync(online, true, &err);
        nanosleep(&(struct timespec){0, rc == 0 ? 0 : 25000000}, NULL);
    }
    fx_sync(online);
}

bool fx_is_lost(struct mill_online *online)
{
    int32_t partition = -1;
    return mill_online_lost(online, &partition);
}

/* Canonical keys of one string part: its length, then bytes, NUL and CR LF among them. */
struct mill_slice fx_key(uint32_t entity)
{
    static char bytes[16];
    bytes[0] = 7;
    memcpy(bytes + 1, "\0\r\n", 3);
    memcpy(bytes + 4, &entity, 4);
    return (struct mill_slice){bytes, 8};
}

struct mill_batch fx_batch(uint32_t rows, int64_t first_offset)
{
    struct mill_batch batch;
    test_fill_batch(&batch, &schema, rows, &fx.rng, first_offset, first_offset * 1000000, &fx.arena);
    return batch;
}

void fx_check_row(struct mill_online *online, uint32_t view, uint32_t entity, const struct mill_batch *batch,
                  uint32_t row)
{
    struct mill_error err = {0};
    struct mill_online_row got;
    int rc = mill_online_get(online, view, fx_key(entity), &fx.arena, &got, &err);
    if (rc != 1) {
        fail_msg("entity %u: %d %s", entity, rc, err.msg);
    }
    assert_true(test_row_equals(&got, batch, row, view == 0 ? 0 : 5, fx_views[view].feature_count, false));
}
