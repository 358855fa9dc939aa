/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of the packed layout share: a private Redis, two views of aircraft, random rows. */
#ifndef MILL_TESTS_ONLINE_FIXTURE_H
#define MILL_TESTS_ONLINE_FIXTURE_H

#include "online_rows.h"
#include "redis_server.h"

extern struct fx {
    struct redis_server server;
    uint64_t rng;
    struct mill_arena arena; /* lives as long as a test */
} fx;

extern const struct mill_entity fx_aircraft;
extern const struct mill_online_view fx_views[2]; /* five features, no ttl; two features, an hour */

/* False, with a line that says so, where there is no redis-server. */
bool fx_begin(void);
int fx_end(void **state);
int fx_before_test(void **state);
int fx_after_test(void **state);
#define FX_TEST(name) cmocka_unit_test_setup_teardown(name, fx_before_test, fx_after_test)
/* The exit status of main(). */
#define FX_RUN(tests) (fx_begin() ? cmocka_run_group_tests(tests, NULL, fx_end) : 77)

/* A store of both views with a window of 64 KiB; timeout 0: the default. */
struct mill_online *fx_open(int timeout_ms);
void fx_claim(struct mill_online *online, int32_t partition);
/* Waits until all is acknowledged. */
void fx_sync(struct mill_online *online);
/* The same for a server that is just coming back. */
void fx_sync_soon(struct mill_online *online);
bool fx_is_lost(struct mill_online *online);
/* The canonical key of an entity: one string part with NUL, CR and LF in it. Good until the next call. */
struct mill_slice fx_key(uint32_t entity);
struct mill_batch fx_batch(uint32_t rows, int64_t first_offset);
/* Redis has exactly this row of the batch. */
void fx_check_row(struct mill_online *online, uint32_t view, uint32_t entity, const struct mill_batch *batch,
                  uint32_t row);

#endif
