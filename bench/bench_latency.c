/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an event takes: produced to score consumed, and produced to feature readable in Redis.
 *
 *   bench_latency PROJECT.yaml RATE SECONDS     (an engine must be running on that project)
 *
 * One thread produces RATE events/s, evenly spaced; event time is the moment of production in microseconds. A second
 * thread consumes the scores topic and takes the difference. A third picks a fresh event every few milliseconds and
 * reads its user's row from Redis until it shows that event.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "engine/engine.h"

enum { USERS = 20000, SAMPLES_MAX = 1 << 22 };

static const struct mill_project *project;
static struct mill_kafka_options kafka;
static _Atomic bool is_done, is_measuring;
static _Atomic int64_t probe_time_us;
static _Atomic uint32_t probe_user;

struct samples {
    int64_t *us;
    size_t n;
};

static void add_sample(struct samples *s, int64_t us)
{
    if (s->n < SAMPLES_MAX) {
        s->us[s->n++] = us;
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s)
{
    if (s->n == 0) {
        printf("%-28s no samples\n", name);
        return;
    }
    qsort(s->us, s->n, sizeof(*s->us), by_value);
    printf("%-28s n %8zu  p50 %7.2f ms  p99 %7.2f ms  max %7.2f ms\n", name, s->n, (double)s->us[s->n / 2] / 1000,
           (double)s->us[s->n * 99 / 100] / 1000, (double)s->us[s->n - 1] / 1000);
}

static void die(const char *what, const struct mill_error *err)
{
    fprintf(stderr, "bench_latency: %s: %s\n", what, err->msg);
    exit(1);
}

/* "event_time":"2026-01-01T00:00:00.123456Z" of a score record. */
static int64_t event_time_of(struct mill_slice value)
{
    static const char name[] = "\"event_time\":\"";
    const char *p = memmem(value.p, value.n, name, sizeof(name) - 1);
    int64_t us = 0;

    if (p == NULL) {
        return 0;
    }
    p += sizeof(name) - 1;
    const char *end = memchr(p, '"', (size_t)(value.p + value.n - p));
    struct mill_slice text = {p, end == NULL ? 0 : (size_t)(end - p)};
    return mill_timestamp_parse(text, &us) == MILL_OK ? us : 0;
}

static void *consume(void *argument)
{
    struct samples *samples = argument;
    struct mill_record *records = calloc(1000, sizeof(*records));
    int32_t partitions[1000];
    struct mill_tail *tail;
    struct mill_error err;

    if (mill_tail_open(&kafka, project->output.scores_topic, false, &tail, &err) < 0) {
        die("scores", &err);
    }
    while (!atomic_load(&is_done)) {
        int n = mill_tail_next(tail, 50, records, partitions, 1000, &err);
        if (n < 0) {
            die("scores", &err);
        }
        int64_t now_us = mill_clock_wall_us();
        for (int i = 0; i < n; i++) {
            if (atomic_load(&is_measuring)) {
                add_sample(samples, now_us - event_time_of(records[i].value));
            }
        }
    }
    mill_tail_close(tail);
    free(records);
    return NULL;
}

static void nap_us(int64_t us)
{
    struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&ts, NULL);
}

static void *read_rows(void *argument)
{
    struct samples *samples = argument;
    const struct mill_view_spec *spec = &project->views[0].spec;
    struct mill_view *view;
    struct mill_online *online;
    struct mill_error err;
    struct mill_arena arena;

    if (mill_view_compile(spec, &view, &err) < 0) {
        die("view", &err);
    }
    struct mill_online_view online_view = {spec->name, &spec->entity, mill_view_schema(view)->fields,
                                           mill_view_output_count(view), spec->ttl_us};
    if (mill_online_open(&project->online_store.options, &online_view, 1, &online, &err) < 0) {
        die("redis", &err);
    }
    mill_arena_init(&arena, 0);
    while (!atomic_load(&is_done)) {
        int64_t wanted_us = atomic_load(&probe_time_us);
        char user[16];
        int n = snprintf(user, sizeof(user), "u%06u", atomic_load(&probe_user));
        struct mill_slice part = {user, (size_t)n};
        struct mill_buffer key = {0};
        if (wanted_us == 0 || mill_key_parse(&spec->entity, &part, 1, &key, &err) < 0) {
            nap_us(1000);
            continue;
        }
        struct mill_online_row row = {0};
        int64_t now_us;
        do {
            nap_us(200); /* resolution of this figure; without it the reads would take a core */
            mill_arena_reset(&arena);
            if (mill_online_get(online, 0, mill_buffer_slice(&key), &arena, &row, &err) < 0) {
                die("redis", &err);
            }
            now_us = mill_clock_wall_us();
        } while (row.event_time_us < wanted_us && now_us - wanted_us < 5000000 && !atomic_load(&is_done));
        if (!atomic_load(&is_done)) {
            add_sample(samples, now_us - wanted_us);
        }
        mill_buffer_clear(&key);
        nap_us(3000);
    }
    mill_online_close(online);
    mill_view_free(view);
    mill_arena_clear(&arena);
    return NULL;
}

static uint64_t next_random(void)
{
    static uint64_t random = 88172645463325252u;
    random ^= random << 13;
    random ^= random >> 7;
    return random ^= random << 17;
}

/* One event of now, of a random user. */
static int64_t produce(struct mill_producer *producer, unsigned topic, uint32_t *ret_user)
{
    uint64_t random = next_random();
    int64_t now_us = mill_clock_wall_us();
    char key[16], value[200];
    struct mill_error err;

    *ret_user = (uint32_t)(random % USERS);
    int key_n = snprintf(key, sizeof(key), "u%06u", *ret_user);
    int n = snprintf(
        value, sizeof(value),
        "{\"user_id\":\"%s\",\"ts\":%lld,\"amount\":%u.%02u,\"merchant\":\"m%03u\",\"country\":\"DE\",\"ok\":true}",
        key, (long long)now_us, (unsigned)(random >> 20) % 1000, (unsigned)(random >> 32) % 100,
        (unsigned)(random >> 40) % 500);
    int rc = mill_producer_send(producer, topic, -1, (struct mill_slice){key, (size_t)key_n},
                                (struct mill_slice){value, (size_t)n}, NULL, 0, -1, &err);
    if ((rc < 0 && rc != MILL_ERETRY) || mill_producer_poll(producer, 0, &err) < 0) {
        die("send", &err);
    }
    return now_us;
}

static void produce_all(long rate, long seconds)
{
    struct mill_producer *producer;
    struct mill_error err;
    uint32_t user;

    if (mill_producer_open(&kafka, NULL, NULL, &producer, &err) < 0) {
        die("producer", &err);
    }
    unsigned topic = mill_producer_topic(producer, project->sources[0].spec.topic);
    /* A second of events that do not count: a new broker takes its time to give the producer its identity. */
    for (long i = 0; i < rate; i++) {
        produce(producer, topic, &user);
        nap_us(i % 10 == 0 ? 2000 : 0);
    }
    if (mill_producer_flush(producer, 60000, &err) < 0) {
        die("flush", &err);
    }
    nap_us(3000000);
    atomic_store(&is_measuring, true);
    int64_t begin_ns = mill_clock_mono_ns();
    for (long i = 0; i < rate * seconds; i++) {
        int64_t wait_ns = begin_ns + i * 1000000000 / rate - mill_clock_mono_ns();
        if (wait_ns > 100000) {
            nap_us(wait_ns / 1000);
        }
        int64_t now_us = produce(producer, topic, &user);
        if (i % 16 == 0) {
            atomic_store(&probe_user, user);
            atomic_store(&probe_time_us, now_us);
        }
    }
    if (mill_producer_flush(producer, 10000, &err) < 0) {
        die("flush", &err);
    }
    mill_producer_close(producer, 1000);
}

int main(int argc, char **argv)
{
    struct mill_project_options options = {0};
    struct mill_problems problems = {0};
    struct mill_project *loaded;
    struct mill_error err;
    struct samples scores = {calloc(SAMPLES_MAX, sizeof(int64_t)), 0};
    struct samples rows = {calloc(SAMPLES_MAX, sizeof(int64_t)), 0};
    pthread_t consumer, reader;

    if (argc != 4) {
        fprintf(stderr, "usage: bench_latency PROJECT.yaml RATE SECONDS\n");
        return 64;
    }
    if (mill_project_load(argv[1], &options, &loaded, &problems, &err) < 0) {
        die(argv[1], &err);
    }
    project = loaded;
    kafka = (struct mill_kafka_options){.brokers = project->kafka.brokers,
                                        .group = "bench-latency",
                                        .client_id = "bench",
                                        .librdkafka = project->kafka.librdkafka};
    pthread_create(&consumer, NULL, consume, &scores);
    pthread_create(&reader, NULL, read_rows, &rows);
    nap_us(3000000);
    produce_all(strtol(argv[2], NULL, 10), strtol(argv[3], NULL, 10));
    nap_us(1000000);
    atomic_store(&is_done, true);
    pthread_join(consumer, NULL);
    pthread_join(reader, NULL);
    print_samples("produced -> score consumed", &scores);
    print_samples("produced -> readable in Redis", &rows);
    mill_project_free(loaded);
    mill_problems_clear(&problems);
    free(scores.us);
    free(rows.us);
    return 0;
}
