/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An online store that loses its rows while the engine runs, and one that another engine takes: in the end every
 * entity's row is there again, to the last bit, also of entities that have no further event. Two oracles: what Redis
 * had before, and what a second engine, which nobody disturbs, makes of the same topics. Real Redis, mock broker.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "../featurestore/redis_server.h"
#include "base/log.h"
#include "engine/engine.h"

enum { USERS = 300, MERCHANTS = 70, FIRST_EVENTS = 6000, MORE_EVENTS = 3000, PARTITIONS = 2 };

static const char project_text[] =
    "project: shop\n"
    "kafka:\n"
    "  brokers: [\"${SHOP_BROKERS}\"]\n"
    "  group: \"${SHOP_GROUP}\"\n"
    "  librdkafka: {session.timeout.ms: 6000, heartbeat.interval.ms: 300}\n"
    "online_store: {type: redis, connection_string: \"${SHOP_REDIS}\", layout: %s}\n"
    "offline_store: {type: %s}\n"
    "engine: {shards: 1, flush_interval: 200ms}\n"
    "entities:\n"
    "  - {name: user, join_keys: [user_id], value_type: STRING}\n"
    "  - {name: merchant, join_keys: [merchant], value_type: STRING}\n"
    "sources:\n"
    "  - name: events\n"
    "    topic: shop.events\n"
    "    key: user_id\n"
    "    message_format: json\n"
    "    fields: {user_id: string, ts: timestamp_millis, amount: float64, merchant: string, note: string}\n"
    "    timestamp_field: ts\n"
    "    allowed_lateness: 1m\n"
    "feature_views:\n"
    "  - name: user_stats\n"
    "    entities: [user]\n"
    "    source: events\n"
    "    features:\n"
    "      - {name: said, expr: note}\n" /* what state does not keep */
    "      - {name: amount_log, expr: log1p(amount)}\n"
    "    aggregations:\n"
    "      - {column: amount, function: [sum, mean, time_since_last], time_window: [1m, 24h]}\n"
    "  - name: merchant_stats\n"
    "    entities: [merchant]\n"
    "    source: events\n"
    "    aggregations:\n"
    "      - {column: amount, function: count, time_window: 1h}\n";

struct fixture {
    char dir[64], project_file[96];
    struct redis_server redis, reference;
    struct mill_mock_kafka *mock;
    struct mill_kafka_options kafka;
    struct mill_project *project;
    struct mill_engine *engine;
    pthread_t thread;
    int rc;
    int64_t next_event;
};

static const char *const more_redis[] = {"--enable-debug-command", "yes", NULL};

static int set_up(void **state)
{
    static const char *const topics[] = {"shop.events", "shop.merchant_stats.rekey"};
    struct fixture *f = calloc(1, sizeof(*f));
    struct mill_error err;

    snprintf(f->dir, sizeof(f->dir), "/tmp/mill_rebuild_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->project_file, sizeof(f->project_file), "%s/shop.yaml", f->dir);
    assert_true(redis_server_init(&f->redis) && redis_server_init(&f->reference));
    redis_server_start(&f->redis, more_redis);
    redis_server_start(&f->reference, more_redis);
    assert_int_equal(mill_mock_kafka_open(&f->mock, &err), MILL_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(mill_mock_kafka_create_topic(f->mock, topics[i], PARTITIONS, &err), MILL_OK);
    }
    assert_int_equal(mill_mock_kafka_create_topic(f->mock, "shop.dead_letter", 1, &err), MILL_OK);
    setenv("SHOP_BROKERS", mill_mock_kafka_brokers(f->mock), 1);
    f->kafka =
        (struct mill_kafka_options){.brokers = mill_mock_kafka_brokers(f->mock), .group = "test", .client_id = "test"};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];
    mill_mock_kafka_close(f->mock);
    redis_server_clear(&f->redis);
    redis_server_clear(&f->reference);
    snprintf(command, sizeof(command), "rm -rf '%s'", f->dir);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void write_project(const struct fixture *f, const char *layout, const char *store)
{
    FILE *file = fopen(f->project_file, "w");
    assert_non_null(file);
    fprintf(file, project_text, layout, store);
    fclose(file);
}

/* Events of the first so many users, every seventh of them late, with texts of all lengths. */
static void produce(struct fixture *f, int64_t count, int64_t users)
{
    struct mill_producer *producer;
    struct mill_error err;
    char text[300], key[24], note[100];

    assert_int_equal(mill_producer_open(&f->kafka, NULL, NULL, &producer, &err), MILL_OK);
    unsigned topic = mill_producer_topic(producer, "shop.events");
    for (int64_t end = f->next_event + count; f->next_event < end; f->next_event++) {
        long long i = f->next_event, user = i * 7919 % users;
        memset(note, 'a' + (int)(i % 26), sizeof(note));
        int n = snprintf(
            text, sizeof(text),
            "{\"user_id\":\"u%lld\",\"ts\":%lld,\"amount\":%lld.37,\"merchant\":\"m%lld\",\"note\":\"%.*s\"}", user,
            1700000000000 + i * 500 - (i % 7 == 0 ? 30000 : 0), i % 500, user * 31 % MERCHANTS, (int)(i % 90), note);
        int key_n = snprintf(key, sizeof(key), "u%lld", user);
        assert_int_equal(mill_producer_send(producer, topic, -1, (struct mill_slice){key, (size_t)key_n},
                                            (struct mill_slice){text, (size_t)n}, NULL, 0, -1, &err),
                         MILL_OK);
    }
    assert_int_equal(mill_producer_flush(producer, 10000, &err), MILL_OK);
    mill_producer_close(producer, 1000);
}

/* ---- the engine ---- */

static void open_engine(struct fixture *f, const struct redis_server *redis, const char *group, bool until_end)
{
    struct mill_project_options options = {0};
    struct mill_engine_options engine_options = {.until_end = until_end};
    struct mill_problems problems = {0};
    struct mill_error err;
    char path[96];

    setenv("SHOP_REDIS", redis->socket, 1);
    setenv("SHOP_GROUP", group, 1);
    snprintf(path, sizeof(path), "%s/%s", f->dir, group);
    setenv("MILL_OFFLINE_STORE_PATH", path, 1);
    int rc = mill_project_load(f->project_file, &options, &f->project, &problems, &err);
    for (uint32_t i = 0; i < problems.count; i++) {
        fprintf(stderr, "%u:%u: %s\n", problems.at[i].line, problems.at[i].col, problems.at[i].message);
    }
    mill_problems_clear(&problems);
    assert_int_equal(rc, MILL_OK);
    assert_int_equal(mill_engine_open(f->project, &engine_options, &f->engine, &err), MILL_OK);
}

static void *engine_main(void *argument)
{
    struct fixture *f = argument;
    struct mill_error err = {0};
    f->rc = mill_engine_run(f->engine, &err);
    if (f->rc < 0) {
        fprintf(stderr, "engine: %s\n", err.msg);
    }
    return NULL;
}

static void nap_ms(long ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000}, NULL);
}

static bool is_ready(struct fixture *f)
{
    struct mill_buffer why = {0};
    bool ready = mill_engine_is_ready(f->engine, &why);
    mill_buffer_clear(&why);
    return ready;
}

static void wait_ready(struct fixture *f, bool wanted, int seconds)
{
    for (int i = 0; i < seconds * 20 && is_ready(f) != wanted; i++) {
        nap_ms(50);
    }
    assert_int_equal(is_ready(f), wanted);
}

/* Until it runs: before that there is nothing to ask it. */
static void start_engine(struct fixture *f, const char *group)
{
    open_engine(f, &f->redis, group, false);
    assert_int_equal(pthread_create(&f->thread, NULL, engine_main, f), 0);
    wait_ready(f, true, 30);
}

static void stop_engine(struct fixture *f)
{
    mill_engine_stop(f->engine);
    pthread_join(f->thread, NULL);
    assert_int_equal(f->rc, MILL_OK);
    mill_engine_close(f->engine);
    mill_project_free(f->project);
}

static void wait_for_rows(struct fixture *f, uint64_t rows)
{
    struct mill_engine_summary summary = {0};
    for (int i = 0; i < 600 && summary.rows < rows; i++) {
        nap_ms(50);
        mill_engine_summarize(f->engine, &summary);
    }
    assert_int_equal(summary.rows, rows);
}

/* ---- what is in a Redis ---- */

struct dump {
    size_t count;
    char *text; /* per key a line: its name in hex, the digest of its value; sorted */
};

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *describe(redisContext *context, const redisReply *key)
{
    redisReply *digest = redisCommand(context, "DEBUG DIGEST-VALUE %b", key->str, key->len);
    struct mill_buffer line = {0};
    assert_true(digest != NULL && digest->type == REDIS_REPLY_ARRAY);
    for (size_t b = 0; b < key->len; b++) {
        mill_buffer_printf(&line, "%02x", (unsigned char)key->str[b]);
    }
    mill_buffer_printf(&line, " %s\n", digest->element[0]->str);
    char *copy = strdup(mill_buffer_cstr(&line));
    mill_buffer_clear(&line);
    freeReplyObject(digest);
    return copy;
}

static struct dump dump_redis(const struct redis_server *server)
{
    redisContext *context = redisConnectUnix(server->socket);
    redisReply *keys = redisCommand(context, "KEYS *");
    struct dump dump = {0};
    struct mill_buffer text = {0};
    assert_true(keys != NULL && keys->type == REDIS_REPLY_ARRAY);
    char **lines = calloc(keys->elements + 1, sizeof(char *));
    for (size_t i = 0; i < keys->elements; i++) {
        if (strncmp(keys->element[i]->str, "fence:", 6) != 0) {
            lines[dump.count++] = describe(context, keys->element[i]);
        }
    }
    qsort(lines, dump.count, sizeof(char *), compare_lines);
    for (size_t i = 0; i < dump.count; i++) {
        mill_buffer_add_string(&text, lines[i]);
        free(lines[i]);
    }
    free(lines);
    dump.text = strdup(mill_buffer_cstr(&text));
    mill_buffer_clear(&text);
    freeReplyObject(keys);
    redisFree(context);
    return dump;
}

static bool is_equal(const struct redis_server *server, const struct dump *wanted)
{
    struct dump now = dump_redis(server);
    bool equal = now.count == wanted->count && strcmp(now.text, wanted->text) == 0;
    free(now.text);
    return equal;
}

static void wait_for_dump(struct fixture *f, const struct dump *wanted, int seconds)
{
    bool equal = false;
    for (int i = 0; i < seconds * 20 && !equal; i++) {
        nap_ms(50);
        equal = is_equal(&f->redis, wanted);
    }
    assert_true(equal);
}

static bool is_missing_rows(const struct redis_server *server, int partition)
{
    return strcmp(redis_ask(server, "HEXISTS fence:shop:%d lost", partition), "1") == 0;
}

/* What a second engine makes of the same topics. */
static struct dump make_reference(struct fixture *f)
{
    struct mill_error err = {0};
    open_engine(f, &f->reference, "reference", true);
    assert_int_equal(mill_engine_run(f->engine, &err), MILL_OK);
    mill_engine_close(f->engine);
    mill_project_free(f->project);
    return dump_redis(&f->reference);
}

/* ---- tests ---- */

static void lose_and_rebuild(struct fixture *f, const char *layout, const char *store)
{
    write_project(f, layout, store);
    produce(f, FIRST_EVENTS, USERS);
    start_engine(f, "engine");
    wait_for_rows(f, 2 * FIRST_EVENTS);
    nap_ms(500); /* a flush or two: acknowledged */
    struct dump before = dump_redis(&f->redis);
    assert_int_equal(before.count, USERS + MERCHANTS);

    /* Nothing comes in any more, and all is there again. */
    redis_ask(&f->redis, "FLUSHALL");
    wait_for_dump(f, &before, 20);
    free(before.text);

    /* Lost in the middle of the stream, twice, and in the middle of the rebuild. */
    produce(f, MORE_EVENTS, USERS / 10);
    redis_ask(&f->redis, "FLUSHALL");
    produce(f, MORE_EVENTS, USERS / 10);
    redis_ask(&f->redis, "FLUSHALL");
    wait_for_rows(f, 2 * (FIRST_EVENTS + 2 * MORE_EVENTS));
    struct fixture second = *f; /* its own engine; the first one runs on */
    struct dump reference = make_reference(&second);
    assert_int_equal(reference.count, USERS + MERCHANTS);
    wait_for_dump(f, &reference, 20);
    nap_ms(500);
    assert_false(is_missing_rows(&f->redis, 0) || is_missing_rows(&f->redis, 1));
    stop_engine(f);

    /* Lost while no engine ran. */
    if (strcmp(store, "rocksdb") == 0) {
        redis_ask(&f->redis, "FLUSHALL");
        start_engine(f, "engine");
        wait_for_dump(f, &reference, 30);
        stop_engine(f);
    }
    free(reference.text);
}

static void test_packed(void **state)
{
    lose_and_rebuild(*state, "packed", "rocksdb");
}

static void test_feast(void **state)
{
    lose_and_rebuild(*state, "feast", "rocksdb");
}

static void test_without_offline_store(void **state)
{
    lose_and_rebuild(*state, "packed", "none");
}

/* As another engine that is assigned the partition. */
static void steal(struct fixture *f, int32_t partition)
{
    struct mill_online_options options = {.project = "shop", .connection_string = f->redis.socket};
    struct mill_online *online;
    struct mill_error err;
    assert_int_equal(mill_online_open(&options, NULL, 0, &online, &err), MILL_OK);
    assert_int_equal(mill_online_claim(online, partition, false, &err), MILL_OK);
    mill_online_close(online);
}

/* The thief does nothing, and the group leaves the partition where it is: it is claimed again, not at once and later
 * each time, and the rows of the meantime are there then. */
static void test_fenced_and_back(void **state)
{
    struct fixture *f = *state;
    write_project(f, "packed", "rocksdb");
    produce(f, FIRST_EVENTS, USERS);
    start_engine(f, "engine");
    wait_for_rows(f, 2 * FIRST_EVENTS);
    wait_ready(f, true, 20);
    steal(f, 0);
    steal(f, 1);
    wait_ready(f, false, 3); /* nothing is written, and still it finds out */
    produce(f, MORE_EVENTS, USERS);
    nap_ms(2500);
    assert_false(is_ready(f));
    wait_ready(f, true, 10);
    wait_for_rows(f, 2 * (FIRST_EVENTS + MORE_EVENTS));

    steal(f, 0);
    produce(f, MORE_EVENTS, USERS);
    wait_ready(f, false, 3);
    nap_ms(7000);
    assert_false(is_ready(f)); /* the second wait is longer than the first */
    wait_ready(f, true, 10);
    wait_for_rows(f, 2 * (FIRST_EVENTS + 2 * MORE_EVENTS));
    nap_ms(1000);
    stop_engine(f);

    struct dump reference = make_reference(f);
    assert_true(is_equal(&f->redis, &reference));
    free(reference.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_packed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_feast, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_offline_store, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fenced_and_back, set_up, tear_down),
    };
    mill_log_setup(
        &(struct mill_log_options){.level = getenv("MILL_TEST_LOG") != NULL ? MILL_LOG_INFO : MILL_LOG_ERROR});
    return system("command -v redis-server > /dev/null") == 0 ? cmocka_run_group_tests(tests, NULL, NULL) : 77;
}
