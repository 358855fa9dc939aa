/* SPDX-License-Identifier: Apache-2.0 */
/* Applied offsets: round trip through RocksDB, and a damaged one is refused with a hint instead of being read as
 * something. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/hash.h"
#include "engine/meta_internal.h"

struct fixture {
    char dir[64];
    struct mill_kv *kv;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct mill_error err;

    snprintf(f->dir, sizeof(f->dir), "/tmp/mill_meta_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    struct mill_kv_options options = {.path = f->dir};
    assert_int_equal(mill_kv_open(&options, &f->kv, &err), MILL_OK);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    mill_kv_close(f->kv);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void write_meta(struct mill_kv *kv, const struct mill__input_meta *meta)
{
    struct mill_kv_batch *batch = mill_kv_batch_new();
    struct mill_buffer scratch = {0};
    struct mill_error err;

    mill__meta_write(batch, "flights.departures", 3, meta, &scratch);
    assert_int_equal(mill_kv_write(kv, batch, &err), MILL_OK);
    mill_kv_batch_free(batch);
    mill_buffer_clear(&scratch);
}

static void test_round_trip(void **state)
{
    struct fixture *f = *state;
    struct mill__input_meta meta = {.state_hash = 7, .applied_offset = 1234, .newest_us = -5}, back = {0};
    struct mill_error err;

    for (int32_t p = 0; p < 40; p++) {
        struct mill__upstream *up = mill__upstreams_find(&meta.upstreams, (uint32_t)p % 3, p * 3);
        up->offset = p * INT64_C(1000000007);
        up->newest_us = p == 0 ? INT64_MIN : p;
        up->announced_us = p == 1 ? INT64_MIN : -p;
        up->is_idle = p % 2 == 0;
    }
    assert_int_equal(mill__meta_read(f->kv, "flights.departures", 3, &back, &err), 0);
    write_meta(f->kv, &meta);
    assert_int_equal(mill__meta_read(f->kv, "flights.departures", 2, &back, &err), 0);
    assert_int_equal(mill__meta_read(f->kv, "flights.departures", 3, &back, &err), 1);
    assert_int_equal(back.state_hash, 7);
    assert_int_equal(back.applied_offset, 1234);
    assert_int_equal(back.newest_us, -5);
    assert_int_equal(back.upstreams.count, 40);
    for (int32_t p = 0; p < 40; p++) {
        struct mill__upstream *up = mill__upstreams_find(&back.upstreams, (uint32_t)p % 3, p * 3);
        assert_int_equal(up->offset, p * INT64_C(1000000007));
        assert_true(up->newest_us == (p == 0 ? INT64_MIN : p));
        assert_true(up->announced_us == (p == 1 ? INT64_MIN : -p));
        assert_int_equal(up->is_idle, p % 2 == 0);
    }
    mill__upstreams_clear(&meta.upstreams);
    mill__upstreams_clear(&back.upstreams);
}

static void test_damage_is_seen(void **state)
{
    struct fixture *f = *state;
    struct mill__input_meta meta = {.state_hash = 7, .applied_offset = 1234, .newest_us = 99}, back = {0};
    struct mill_slice key = mill_slice_of("input/flights.departures/3");
    struct mill_buffer value = {0};
    struct mill_error err;

    mill__upstreams_find(&meta.upstreams, 0, 1)->offset = 5;
    write_meta(f->kv, &meta);
    assert_int_equal(mill_kv_get(f->kv, MILL_KV_META, key, &value, &err), 1);
    for (size_t i = 0; i < value.n; i++) {
        struct mill_kv_batch *batch = mill_kv_batch_new();
        value.p[i] ^= 0x10;
        mill_kv_batch_put(batch, MILL_KV_META, key, mill_buffer_slice(&value));
        assert_int_equal(mill_kv_write(f->kv, batch, &err), MILL_OK);
        assert_int_equal(mill__meta_read(f->kv, "flights.departures", 3, &back, &err), MILL_EDATA);
        assert_non_null(strstr(err.msg, "hint: "));
        value.p[i] ^= 0x10;
        mill_kv_batch_free(batch);
    }
    mill_buffer_clear(&value);
    mill__upstreams_clear(&meta.upstreams);
}

/* The least of those that are awake; where all sleep, the most; nothing while one has not spoken. */
static void test_announced(void **state)
{
    struct mill__upstreams upstreams = {0};
    bool is_idle;

    (void)state;
    mill__upstream_announce(mill__upstreams_find(&upstreams, 0, 0), 70, false);
    mill__upstreams_find(&upstreams, 0, 1);
    assert_true(mill__upstreams_complete(&upstreams, 0, UINT32_MAX, &is_idle) == INT64_MIN);
    assert_false(is_idle);
    mill__upstream_announce(mill__upstreams_find(&upstreams, 0, 1), INT64_MIN, true);
    assert_true(mill__upstreams_complete(&upstreams, 0, UINT32_MAX, &is_idle) == 70);
    assert_false(is_idle);
    mill__upstream_announce(mill__upstreams_find(&upstreams, 1, 1), 50, false);
    assert_true(mill__upstreams_complete(&upstreams, 0, UINT32_MAX, &is_idle) == 50);
    mill__upstream_announce(mill__upstreams_find(&upstreams, 1, 1), 40, false); /* never back */
    assert_true(mill__upstreams_complete(&upstreams, 0, UINT32_MAX, &is_idle) == 50);
    mill__upstream_announce(mill__upstreams_find(&upstreams, 1, 1), 50, true);
    mill__upstream_announce(mill__upstreams_find(&upstreams, 0, 0), 70, true);
    assert_true(mill__upstreams_complete(&upstreams, 0, UINT32_MAX, &is_idle) == 70);
    assert_true(is_idle);
    mill__upstreams_clear(&upstreams);
}

/* What an earlier version wrote cannot be told apart, so it is refused with what to do. */
static void test_earlier_version(void **state)
{
    struct fixture *f = *state;
    struct mill__input_meta meta = {.state_hash = 7, .applied_offset = 1234, .newest_us = 99}, back = {0};
    struct mill_slice key = mill_slice_of("input/flights.departures/3");
    struct mill_kv_batch *batch = mill_kv_batch_new();
    struct mill_buffer value = {0};
    struct mill_error err;

    write_meta(f->kv, &meta);
    assert_int_equal(mill_kv_get(f->kv, MILL_KV_META, key, &value, &err), 1);
    value.p[0] = 1;
    value.n -= 8;
    mill_buffer_add_u64(&value, mill_hash64(value.p, value.n));
    mill_kv_batch_put(batch, MILL_KV_META, key, mill_buffer_slice(&value));
    assert_int_equal(mill_kv_write(f->kv, batch, &err), MILL_OK);
    assert_int_equal(mill__meta_read(f->kv, "flights.departures", 3, &back, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, "earlier version"));
    assert_non_null(strstr(err.msg, "hint: "));
    mill_kv_batch_free(batch);
    mill_buffer_clear(&value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_damage_is_seen, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_earlier_version, set_up, tear_down),
        cmocka_unit_test(test_announced),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
