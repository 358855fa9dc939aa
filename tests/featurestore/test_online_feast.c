/* SPDX-License-Identifier: Apache-2.0 */
/* The Feast layout. Golden bytes were produced by Feast's own key_encoding_utils.py and redis.py with its protobuf
 * classes; tests/integration/test_feast_read.sh lets Feast's client read what this program writes as
 * "test_featurestore_online_feast write HOST:PORT". */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "featurestore/online_internal.h"
#include "online_rows.h"
#include "redis_server.h"

static struct redis_server server;
static uint64_t rng;
static struct mill_arena arena;

static const char *hex(struct mill_slice bytes)
{
    static char text[4096];
    text[0] = '\0';
    for (size_t i = 0; i < bytes.n; i++) {
        snprintf(text + 2 * i, 3, "%02x", (unsigned char)bytes.p[i]);
    }
    return text;
}

static struct mill_slice bytes_of(const char *digits, char *out)
{
    size_t n = strlen(digits) / 2;
    for (size_t i = 0; i < n; i++) {
        unsigned byte = 0;
        sscanf(digits + 2 * i, "%2x", &byte);
        out[i] = (char)byte;
    }
    return (struct mill_slice){out, n};
}

/* ------------------------------------------------------------------------------------------------
 * Golden bytes
 * --------------------------------------------------------------------------------------------- */

static void test_field_names(void **state)
{
    (void)state;
    static const struct {
        const char *text, *field;
    } cases[] = {
        {"", "00000000"},
        {"hello, world", "7fbb9b14"},
        {"driver_hourly_stats:conv_rate", "6160e3da"},
        {"driver_hourly_stats:acc_rate", "fa5e58ad"},
        {"driver_hourly_stats:avg_daily_trips", "18a5e5a3"},
        {"txn_stats:amount_sum_1h", "4ee538b5"},
        {"feature_view_1:feature_10", "266d5f39"},
        {"feature_view_1:feature_11", "c3379abf"},
        {"feature_view_1:feature_12", "7772b564"},
        {"feature_view_1:my-feature-view:feature1", "5369864a"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t field = mill__murmur3(cases[i].text, strlen(cases[i].text));
        assert_string_equal(hex((struct mill_slice){(const char *)&field, 4}), cases[i].field);
    }
}

static void check_key(const struct mill_entity *entity, const char *canonical, const char *project,
                      const char *expected)
{
    struct mill_field field = {"f", MILL_INT64};
    struct mill_online_view view = {"v", entity, &field, 1, 0};
    struct mill__feast_view *feast = NULL;
    struct mill_error err = {0};
    struct mill_buffer out = {0};
    char bytes[64];
    assert_int_equal(mill__feast_open(&view, 1, &feast, &err), 0);
    mill__feast_add_key(feast, entity, bytes_of(canonical, bytes), project, &out);
    assert_string_equal(hex(mill_buffer_slice(&out)), expected);
    mill_buffer_clear(&out);
    mill__feast_close(feast, 1);
}

static void test_keys(void **state)
{
    (void)state;
    struct mill_join_key driver[] = {{"driver_id", MILL_INT64}};
    struct mill_join_key pair[] = {{"user_id", MILL_STRING}, {"card_id", MILL_INT64}}; /* card_id sorts first */
    struct mill_join_key dummy[] = {{"__dummy_id", MILL_STRING}};
    struct mill_entity driver_entity = {"driver", driver, 1}, pair_entity = {"pair", pair, 2};
    struct mill_entity dummy_entity = {"dummy", dummy, 1}, none = {"none", NULL, 0};
    check_key(&driver_entity, "d20f", "", "0100000002000000090000006472697665725f69640400000008000000e903000000000000");
    check_key(&driver_entity, "d20f", "fraud",
              "0100000002000000090000006472697665725f69640400000008000000e9030000000000006672617564");
    check_key(&pair_entity, "037534320e", "",
              "020000000200000007000000636172645f69640200000007000000757365725f696404000000080000000700000000000000"
              "0200000003000000753432");
    check_key(&dummy_entity, "00", "", "01000000020000000a0000005f5f64756d6d795f69640200000000000000");
    check_key(&none, "", "p", "0000000070");
    check_key(&driver_entity, "01", "", "0100000002000000090000006472697665725f69640400000008000000ffffffffffffffff");
}

static void check_value(enum mill_type type, const void *value, const char *expected)
{
    struct mill_column column, back;
    struct mill_buffer out = {0};
    mill_column_init(&column, type, 1, &arena);
    mill_column_init(&back, type, 1, &arena);
    if (value != NULL) {
        size_t size = type == MILL_BOOL ? 1 : type == MILL_STRING ? sizeof(struct mill_slice) : 8;
        memcpy(column.at.raw, value, size);
        mill_bit_set(column.valid, 0);
    }
    mill__feast_add_value(&column, 0, &out);
    assert_string_equal(hex(mill_buffer_slice(&out)), expected);
    assert_true(mill__feast_read_value(mill_buffer_slice(&out), &back));
    assert_int_equal(mill_bit_get(back.valid, 0), expected[0] != '\0');
    mill_buffer_clear(&out);
}

static void test_values(void **state)
{
    (void)state;
    check_value(MILL_STRING, &(struct mill_slice){"abc", 3}, "1203616263");
    check_value(MILL_STRING, &(struct mill_slice){"", 0}, "1200");
    check_value(MILL_INT64, &(int64_t){150}, "209601");
    check_value(MILL_INT64, &(int64_t){0}, "2000");
    check_value(MILL_INT64, &(int64_t){-1}, "20ffffffffffffffffff01");
    check_value(MILL_FLOAT64, &(double){1.5}, "29000000000000f83f");
    check_value(MILL_FLOAT64, &(double){0.0}, "290000000000000000");
    check_value(MILL_FLOAT64, &(double){__builtin_nan("")}, "");
    check_value(MILL_BOOL, &(uint8_t){1}, "3801");
    check_value(MILL_BOOL, &(uint8_t){0}, "3800");
    check_value(MILL_TIMESTAMP, &(int64_t){INT64_C(1700000000123456)}, "4080e2cfaa06");
    check_value(MILL_TIMESTAMP, &(int64_t){-1}, "40ffffffffffffffffff01");
    for (int type = 0; type < MILL_TYPE_COUNT; type++) {
        check_value((enum mill_type)type, NULL, "");
    }
}

static void test_timestamps(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *bytes;
    } cases[] = {
        {INT64_C(1700000000000000), "0880e2cfaa06"},
        {INT64_C(1700000000123456), "0880e2cfaa06108094ef3a"},
        {0, ""},
        {-1000000, "08ffffffffffffffffff01"},
        {-1, "08ffffffffffffffffff0110988cebdc03"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct mill_buffer out = {0};
        int64_t back = 42;
        mill__feast_add_timestamp(cases[i].us, &out);
        assert_string_equal(hex(mill_buffer_slice(&out)), cases[i].bytes);
        assert_true(mill__feast_read_timestamp(mill_buffer_slice(&out), &back));
        assert_true(back == cases[i].us);
        mill_buffer_clear(&out);
    }
}

static void test_hostile_values(void **state)
{
    (void)state;
    static const char *const bad[] = {"20",     "2080", "20ffffffffffffffffff7f", "29000000", "1205616263",
                                      "380100", "1801", "12ffffffffffffffffff01", "1202fffe", "40ffffffffffffffff7f"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        for (int type = 0; type < MILL_TYPE_COUNT; type++) {
            char buffer[32];
            struct mill_slice bytes = bytes_of(bad[i], buffer);
            char *copy = mill_malloc(bytes.n);
            memcpy(copy, bytes.p, bytes.n);
            struct mill_column column;
            mill_column_init(&column, (enum mill_type)type, 1, &arena);
            assert_false(mill__feast_read_value((struct mill_slice){copy, bytes.n}, &column));
            assert_false(mill_bit_get(column.valid, 0));
            free(copy);
        }
    }
    int64_t us;
    char buffer[32];
    static const char *const bad_times[] = {"08", "1801", "10ffffffffffffffffff01", "08ffffffffffffffff7f"};
    for (size_t i = 0; i < sizeof(bad_times) / sizeof(bad_times[0]); i++) {
        assert_false(mill__feast_read_timestamp(bytes_of(bad_times[i], buffer), &us));
    }
}

static void test_collisions_are_refused(void **state)
{
    (void)state;
    /* Two names with one hash, found by trying. */
    uint32_t a = 0, b = 0;
    static uint32_t slots[1 << 20];
    char name[2][16] = {"", ""};
    for (uint32_t i = 1; b == 0 && i < (1u << 20); i++) {
        char text[24];
        int n = snprintf(text, sizeof(text), "v:c%u", i);
        uint32_t h = mill__murmur3(text, (size_t)n);
        for (uint32_t at = h & 0xfffff;; at = (at + 1) & 0xfffff) {
            if (slots[at] == 0) {
                slots[at] = i;
                break;
            }
            int m = snprintf(text, sizeof(text), "v:c%u", slots[at]);
            if (mill__murmur3(text, (size_t)m) == h) {
                a = slots[at];
                b = i;
                break;
            }
        }
    }
    assert_true(b != 0);
    snprintf(name[0], sizeof(name[0]), "c%u", a);
    snprintf(name[1], sizeof(name[1]), "c%u", b);
    struct mill_field fields[] = {{name[0], MILL_INT64}, {"other", MILL_INT64}, {name[1], MILL_INT64}};
    struct mill_join_key keys[] = {{"k", MILL_INT64}}, other_keys[] = {{"k", MILL_STRING}};
    struct mill_entity entity = {"e", keys, 1}, other = {"o", other_keys, 1};
    struct mill_online_view one = {"v", &entity, fields, 3, 0};
    struct mill_online_view apart[] = {{"v", &entity, fields, 2, 0}, {"v", &other, fields + 2, 1, 0}};
    struct mill__feast_view *feast = NULL;
    struct mill_error err = {0};
    assert_int_equal(mill__feast_open(&one, 1, &feast, &err), MILL_ECONFIG);
    assert_non_null(strstr(err.msg, name[0]));
    assert_non_null(strstr(err.msg, name[1]));
    assert_int_equal(mill__feast_open(apart, 2, &feast, &err), 0); /* other hashes: no harm */
    mill__feast_close(feast, 2);
}

/* ------------------------------------------------------------------------------------------------
 * Against a server
 * --------------------------------------------------------------------------------------------- */

static struct mill_field fields[] = {{"conv_rate", MILL_FLOAT64},     {"acc_rate", MILL_FLOAT64},
                                     {"avg_daily_trips", MILL_INT64}, {"name", MILL_STRING},
                                     {"active", MILL_BOOL},           {"seen", MILL_TIMESTAMP}};
enum { FIELDS = 6 };
static const struct mill_schema schema = {fields, FIELDS};
static const struct mill_join_key join_keys[] = {{"driver_id", MILL_INT64}};
static const struct mill_entity driver = {"driver", join_keys, 1};
#define SECONDS(n) (INT64_C(1000000) * (n))
static const struct mill_online_view views[] = {
    {"driver_hourly_stats", &driver, fields, 3, SECONDS(3600)},
    {"driver_more", &driver, fields + 3, 3, SECONDS(7200)},
};

static struct mill_online *open_online(uint32_t view_count)
{
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_online_options options = {
        .project = "fraud", .connection_string = server.socket, .layout = MILL_ONLINE_FEAST};
    if (mill_online_open(&options, views, view_count, &online, &err) < 0 ||
        mill_online_claim(online, 0, false, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return online;
}

static void sync_ok(struct mill_online *online)
{
    struct mill_error err = {0};
    if (mill_online_sync(online, true, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

static struct mill_slice key_of(int64_t driver_id)
{
    static struct mill_buffer out;
    mill_buffer_reset(&out);
    mill_buffer_add_zigzag(&out, driver_id);
    return mill_buffer_slice(&out);
}

/* The bytes that Feast wrote for the same row (live check of the reference). */
static void test_hash_is_feasts(void **state)
{
    (void)state;
    struct mill_online *online = open_online(1);
    struct mill_batch batch;
    mill_batch_init(&batch, &schema, 1, &arena);
    batch.row_count = 1;
    batch.event_time_us[0] = INT64_C(1700000000123456);
    mill_bit_set(batch.columns[0].valid, 0);
    batch.columns[0].at.f[0] = 0.5;
    mill_bit_set(batch.columns[2].valid, 0);
    mill_online_put(online, 0, 0, key_of(1001), &batch, 0, 0);
    sync_ok(online);

    static const struct {
        const char *field, *value;
    } expected[] = {{"5f74733a6472697665725f686f75726c795f7374617473", "0880e2cfaa06108094ef3a"},
                    {"6160e3da", "29000000000000e03f"},
                    {"fa5e58ad", ""},
                    {"18a5e5a3", "2000"}};
    char bytes[64], field[64];
    struct mill_slice key =
        bytes_of("0100000002000000090000006472697665725f69640400000008000000e9030000000000006672617564", bytes);
    assert_string_equal(redis_ask(&server, "HLEN %b", key.p, key.n), "4");
    assert_string_equal(redis_ask(&server, "TTL %b", key.p, key.n), "3600");
    for (size_t i = 0; i < 4; i++) {
        char value[64];
        struct mill_slice f = bytes_of(expected[i].field, field), v = bytes_of(expected[i].value, value);
        /* Redis compares the bytes for us. */
        char script[] = "return redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] and 1 or 0";
        assert_string_equal(redis_ask(&server, "EVAL %s 1 %b %b %b", script, key.p, key.n, f.p, f.n, v.p, v.n), "1");
    }
    mill_online_close(online);
}

static void test_rows_come_back(void **state)
{
    (void)state;
    struct mill_online *online = open_online(2);
    struct mill_error err = {0};
    struct mill_online_row row;
    struct mill_batch batch;
    test_fill_batch(&batch, &schema, 300, &rng, 0, -SECONDS(100), &arena);
    for (uint32_t i = 0; i < 300; i++) {
        mill_online_put(online, 0, 0, key_of((int64_t)i - 150), &batch, i, 0);
        mill_online_put(online, 1, 0, key_of((int64_t)i - 150), &batch, i, 3);
    }
    sync_ok(online);
    for (uint32_t i = 0; i < 300; i++) {
        for (uint32_t v = 0; v < 2; v++) {
            int rc = mill_online_get(online, v, key_of((int64_t)i - 150), &arena, &row, &err);
            if (rc != 1) {
                fail_msg("row %u: %d %s", i, rc, err.msg);
            }
            assert_true(test_row_equals(&row, &batch, i, 3 * v, 3, true));
            assert_int_equal(row.offset, -1);
        }
    }
    assert_int_equal(mill_online_get(online, 0, key_of(1000), &arena, &row, &err), 0);
    /* The hash lives as long as its longest-lived view. */
    struct mill_buffer key = {0};
    mill__feast_add_key(online->feast, &driver, key_of(7), "fraud", &key);
    assert_string_equal(redis_ask(&server, "TTL %b", key.p, key.n), "7200");
    mill_buffer_clear(&key);
    mill_online_close(online);
}

static int64_t time_in_redis(struct mill_online *online, int64_t *ret_trips)
{
    struct mill_error err = {0};
    struct mill_online_row row;
    assert_int_equal(mill_online_get(online, 0, key_of(1), &arena, &row, &err), 1);
    *ret_trips = row.values[2].at.i[0];
    return row.event_time_us;
}

/* Puts a row of this time and offset whose value says which it is; returns what is then in Redis. */
static int64_t put_and_read(struct mill_online *online, int64_t time_us, int64_t offset, int64_t trips)
{
    struct mill_batch batch;
    mill_batch_init(&batch, &schema, 1, &arena);
    batch.row_count = 1;
    batch.event_time_us[0] = time_us;
    batch.offset[0] = offset;
    batch.columns[2].at.i[0] = trips;
    mill_bit_set(batch.columns[2].valid, 0);
    mill_online_put(online, 0, 0, key_of(1), &batch, 0, 0);
    sync_ok(online);
    (void)time_in_redis(online, &trips);
    return trips;
}

static void test_newest_time_wins(void **state)
{
    (void)state;
    struct mill_online *online = open_online(1);
    assert_int_equal(put_and_read(online, SECONDS(100), 1, 1), 1);
    assert_int_equal(put_and_read(online, SECONDS(101), 2, 2), 2);
    assert_int_equal(put_and_read(online, SECONDS(101), 3, 3), 3); /* equal, but known to be the newer offset */
    assert_int_equal(put_and_read(online, SECONDS(101) - 1, 4, 4),
                     3); /* somebody else, as Feast, wrote the newer row */
    assert_int_equal(put_and_read(online, SECONDS(101) + 1, 5, 5), 5);
    mill_online_close(online);

    online = open_online(1); /* the next owner folds again what the first had written */
    assert_int_equal(put_and_read(online, SECONDS(101), 3, 33), 5);
    assert_int_equal(put_and_read(online, SECONDS(101) + 1, 5, 55), 5); /* Feast's rule: equal is skipped */
    assert_int_equal(put_and_read(online, SECONDS(101) + 1, 6, 6), 6);
    mill_online_close(online);
}

static void test_times_before_1970(void **state)
{
    (void)state;
    struct mill_online *online = open_online(1);
    assert_int_equal(put_and_read(online, -SECONDS(5) - 7, 1, 1), 1);
    assert_int_equal(put_and_read(online, -SECONDS(5) - 8, 2, 2), 1);
    assert_int_equal(put_and_read(online, -SECONDS(5) - 6, 3, 3), 3);
    assert_int_equal(put_and_read(online, -1, 4, 4), 4);
    assert_int_equal(put_and_read(online, -SECONDS(60000000000), 5, 5), 4); /* the year 68 */
    assert_int_equal(put_and_read(online, 0, 6, 6), 6);
    assert_int_equal(put_and_read(online, -1, 7, 7), 7); /* Feast: a stored time of zero never wins */
    assert_int_equal(put_and_read(online, SECONDS(250000000000), 8, 8), 8);
    assert_int_equal(put_and_read(online, SECONDS(250000000000) - 1, 9, 9), 8);
    mill_online_close(online);
}

static void test_zombie_is_fenced(void **state)
{
    (void)state;
    struct mill_error err = {0};
    struct mill_online *a = open_online(1);
    assert_int_equal(put_and_read(a, SECONDS(1), 1, 1), 1);
    struct mill_online *b = open_online(1);
    assert_int_equal(put_and_read(b, SECONDS(2), 2, 2), 2);
    struct mill_batch batch;
    test_fill_batch(&batch, &schema, 1, &rng, 3, SECONDS(3), &arena);
    mill_online_put(a, 0, 0, key_of(1), &batch, 0, 0);
    assert_int_equal(mill_online_sync(a, true, &err), MILL_EDATA);
    int64_t trips = 0;
    assert_true(time_in_redis(b, &trips) == SECONDS(2));
    mill_online_close(a);
    mill_online_close(b);
}

static int stop(void **state)
{
    (void)state;
    redis_server_clear(&server);
    return 0;
}

static int clean(void **state)
{
    (void)state;
    redis_ask(&server, "FLUSHALL");
    return 0;
}

static int after(void **state)
{
    (void)state;
    mill_arena_clear(&arena);
    return 0;
}

/* ------------------------------------------------------------------------------------------------
 * For tests/integration/test_feast_read.sh: 200 rows by formula, which test_feast_read.py repeats.
 * --------------------------------------------------------------------------------------------- */

static const struct mill_join_key trip_keys[] = {{"zone", MILL_STRING}, {"driver_id", MILL_INT64}};
static const struct mill_entity trip = {"trip", trip_keys, 2};
static const struct mill_online_view written_views[] = {
    {"driver_hourly_stats", &driver, fields, 3, 0},
    {"driver_more", &driver, fields + 3, 3, 0},
    {"trip_stats", &trip, fields, FIELDS, 0},
};

static void fill_by_formula(struct mill_batch *batch)
{
    batch->row_count = 200;
    for (uint32_t i = 0; i < 200; i++) {
        batch->offset[i] = i;
        batch->event_time_us[i] = SECONDS(1700000000) + INT64_C(1000001) * i;
        for (uint32_t c = 0; c < FIELDS; c++) {
            if ((i + c) % 5 != 0) {
                mill_bit_set(batch->columns[c].valid, i);
            }
        }
        batch->columns[0].at.f[i] = i / 7.0;
        batch->columns[1].at.f[i] = i % 11 == 0 ? __builtin_nan("") : -1e300 * i;
        batch->columns[2].at.i[i] = INT64_C(9007199254740993) * ((int64_t)i - 100);
        batch->columns[3].at.s[i] = mill_slice_of(mill_arena_printf(&arena, "Z\303\274rich %u", i));
        batch->columns[4].at.b[i] = i % 2;
        batch->columns[5].at.i[i] = SECONDS((int64_t)i * 10000000 - 1000000000);
    }
}

static int write_rows(const char *address)
{
    struct mill_error err = {0};
    struct mill_online *online = NULL;
    struct mill_online_options options = {
        .project = "fraud", .connection_string = address, .layout = MILL_ONLINE_FEAST};
    struct mill_batch batch;
    struct mill_buffer key = {0};
    mill_batch_init(&batch, &schema, 200, &arena);
    fill_by_formula(&batch);
    int rc = mill_online_open(&options, written_views, 3, &online, &err);
    if (rc == 0 && (rc = mill_online_claim(online, 0, false, &err)) == 0) {
        for (uint32_t i = 0; i < 200; i++) {
            mill_online_put(online, 0, 0, key_of((int64_t)i - 100), &batch, i, 0);
            mill_online_put(online, 1, 0, key_of((int64_t)i - 100), &batch, i, 3);
            mill_buffer_reset(&key);
            mill_buffer_add(&key, "\4zone", 5);
            mill_buffer_add_zigzag(&key, i);
            mill_online_put(online, 2, 0, mill_buffer_slice(&key), &batch, i, 0);
        }
        rc = mill_online_sync(online, true, &err);
    }
    if (rc < 0) {
        fprintf(stderr, "%s\n", err.msg);
    }
    mill_online_close(online);
    mill_buffer_clear(&key);
    mill_arena_clear(&arena);
    return rc == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        return write_rows(argv[2]);
    }
    if (!redis_server_init(&server)) {
        puts("skipped: redis-server is not installed");
        return 77;
    }
    rng = test_seed();
    redis_server_start(&server, NULL);
#define TEST(name) cmocka_unit_test_setup_teardown(name, clean, after)
    const struct CMUnitTest tests[] = {
        TEST(test_field_names),      TEST(test_keys),
        TEST(test_values),           TEST(test_timestamps),
        TEST(test_hostile_values),   TEST(test_collisions_are_refused),
        TEST(test_hash_is_feasts),   TEST(test_rows_come_back),
        TEST(test_newest_time_wins), TEST(test_times_before_1970),
        TEST(test_zombie_is_fenced),
    };
    return cmocka_run_group_tests(tests, NULL, stop);
}
