/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long an event takes: produced to score consumed, and produced to feature readable in Redis; beside it the floor,
 * the same events through Kafka alone.
 *
 *   bench_latency PROJECT.yaml FLOOR_TOPIC RATE SECONDS WARM_UP_SECONDS
 *
 * An engine must be running on that project; FLOOR_TOPIC and FLOOR_TOPIC.out must be there. The load is open loop:
 * event i is due at begin + i / RATE whatever happened to the others, a thread that wakes every millisecond sends all
 * that are due, and every latency counts from when the event was due. So a stall anywhere, in the generator too, is in
 * the figures of all events that it held up.
 *
 * The warm-up goes through the engine and is not counted: a broker that has just started compiles its code for the
 * first half minute. Then a third of SECONDS for the floor (generator, topic, reader; and generator, topic, relay,
 * topic, reader: the two hops that an event and its score make, with nothing computed in between), then SECONDS for the
 * engine.
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

enum { USERS = 20000, SAMPLES_MAX = 1 << 22, RECORDS_MAX = 1000, PROBES_MAX = 4096, PROBES_PER_S = 100 };

static const struct mill_project *project;
static struct mill_kafka_options kafka;

static void check(int rc, const char *what, const struct mill_error *err)
{
    if (rc < 0) {
        fprintf(stderr, "bench_latency: %s: %s\n", what, err->msg);
        exit(mill_error_exit_status(rc));
    }
}

static void nap_us(int64_t us)
{
    struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};
    nanosleep(&ts, NULL);
}

/* ---- samples ---- */

struct samples {
    int64_t *us;
    size_t n;
};

static void add_sample(struct samples *s, int64_t us)
{
    if (s->us == NULL) {
        s->us = calloc(SAMPLES_MAX, sizeof(*s->us));
    }
    if (s->n < SAMPLES_MAX) {
        s->us[s->n++] = us;
    }
}

static int by_value(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *s, size_t expected)
{
    if (s->n > 0) {
        qsort(s->us, s->n, sizeof(*s->us), by_value);
        printf("%-34s n %7zu  p50 %7.2f  p90 %7.2f  p99 %7.2f  p99.9 %7.2f  max %7.2f ms", name, s->n,
               (double)s->us[s->n / 2] / 1000, (double)s->us[s->n * 9 / 10] / 1000,
               (double)s->us[s->n * 99 / 100] / 1000, (double)s->us[s->n * 999 / 1000] / 1000,
               (double)s->us[s->n - 1] / 1000);
    }
    printf(s->n == expected ? "\n" : "  (of %zu)\n", expected);
    fflush(stdout);
    free(s->us);
    *s = (struct samples){0};
}

/* ---- readers of topics ---- */

/* One topic, read from its end; what is read may be sent on. */
struct reader {
    const char *topic, *relay_to;
    _Atomic int64_t from_us; /* events due earlier are not counted */
    struct samples samples;
    atomic_bool is_done;
    atomic_size_t count; /* of samples */
    pthread_barrier_t opened;
    pthread_t thread;
};

/* When the event was due: "event_time":"2026-01-01T00:00:00.123456Z" of a score, "ts":1767225600123456 of an event. */
static int64_t due_time_of(struct mill_slice value)
{
    static const char text[] = "\"event_time\":\"", number[] = "\"ts\":";
    const char *end = value.p + value.n, *p = memmem(value.p, value.n, text, sizeof(text) - 1);
    int64_t us = 0;

    if (p == NULL) {
        p = memmem(value.p, value.n, number, sizeof(number) - 1);
        return p == NULL ? 0 : strtoll(p + sizeof(number) - 1, NULL, 10);
    }
    p += sizeof(text) - 1;
    const char *quote = memchr(p, '"', (size_t)(end - p));
    struct mill_slice timestamp = {p, quote == NULL ? 0 : (size_t)(quote - p)};
    return mill_timestamp_parse(timestamp, &us) == MILL_OK ? us : 0;
}

static void take_records(struct reader *reader, struct mill_producer *relay, unsigned topic,
                         const struct mill_record *records, int n)
{
    int64_t now_us = mill_clock_wall_us();
    struct mill_error err;

    for (int i = 0; i < n; i++) {
        int64_t due_us = due_time_of(records[i].value);
        if (due_us >= reader->from_us) {
            add_sample(&reader->samples, now_us - due_us);
            atomic_fetch_add(&reader->count, 1);
        }
        if (relay != NULL) {
            check(mill_producer_send(relay, topic, -1, records[i].key, records[i].value, NULL, 0, -1, &err), "relay",
                  &err);
        }
    }
    if (relay != NULL) {
        check(mill_producer_poll(relay, 0, &err), "relay", &err);
    }
}

/* The engine may still be making its topics. */
static struct mill_tail *open_tail(const char *topic)
{
    struct mill_tail *tail = NULL;
    struct mill_error err;
    int rc = mill_tail_open(&kafka, topic, false, &tail, &err);

    for (int tries = 0; tries < 300 && rc == MILL_ENOINPUT; tries++) {
        nap_us(200000);
        rc = mill_tail_open(&kafka, topic, false, &tail, &err);
    }
    check(rc, topic, &err);
    return tail;
}

static void *read_topic(void *argument)
{
    struct reader *reader = argument;
    struct mill_record *records = calloc(RECORDS_MAX, sizeof(*records));
    int32_t partitions[RECORDS_MAX];
    struct mill_producer *relay = NULL;
    struct mill_tail *tail = open_tail(reader->topic);
    struct mill_error err;
    unsigned topic = 0;

    if (reader->relay_to != NULL) {
        check(mill_producer_open(&kafka, NULL, NULL, &relay, &err), reader->relay_to, &err);
        topic = mill_producer_topic(relay, reader->relay_to);
    }
    pthread_barrier_wait(&reader->opened);
    while (!atomic_load(&reader->is_done)) {
        int n = mill_tail_next(tail, 50, records, partitions, RECORDS_MAX, &err);
        check(n, reader->topic, &err);
        take_records(reader, relay, topic, records, n);
    }
    mill_producer_close(relay, 1000);
    mill_tail_close(tail);
    free(records);
    return NULL;
}

/* Returns when nothing that is sent from now on can be missed. */
static void start_reader(struct reader *reader)
{
    reader->from_us = INT64_MAX;
    pthread_barrier_init(&reader->opened, NULL, 2);
    pthread_create(&reader->thread, NULL, read_topic, reader);
    pthread_barrier_wait(&reader->opened);
}

/* Waits for the last of count samples, but not for ever. */
static void finish_reader(struct reader *reader, size_t count)
{
    for (int i = 0; i < 3000 && atomic_load(&reader->count) < count; i++) {
        nap_us(10000);
    }
    atomic_store(&reader->is_done, true);
    pthread_join(reader->thread, NULL);
    pthread_barrier_destroy(&reader->opened);
}

/* ---- rows of Redis ---- */

/* An event whose row is looked for in Redis until it shows the event or a later one of that user. */
struct probe {
    int64_t due_us;
    uint32_t user;
};

/* A ring from the generator to the thread that looks; no probe waits for another one. */
static struct {
    struct probe at[PROBES_MAX];
    atomic_uint head, tail;
    atomic_bool is_done;
    struct samples samples;
} probes;

static void add_probe(int64_t due_us, uint32_t user)
{
    unsigned head = atomic_load(&probes.head);
    if (head - atomic_load(&probes.tail) < PROBES_MAX) { /* full: seen in the count of samples */
        probes.at[head % PROBES_MAX] = (struct probe){due_us, user};
        atomic_store(&probes.head, head + 1);
    }
}

static struct mill_online *open_online(struct mill_view **ret_view)
{
    const struct mill_view_spec *spec = &project->views[0].spec;
    struct mill_online *online;
    struct mill_error err;

    check(mill_view_compile(spec, ret_view, &err), "view", &err);
    struct mill_online_view online_view = {spec->name, &spec->entity, mill_view_schema(*ret_view)->fields,
                                           mill_view_output_count(*ret_view), spec->ttl_us};
    check(mill_online_open(&project->online_store.options, &online_view, 1, &online, &err), "redis", &err);
    return online;
}

static bool is_readable(struct mill_online *online, struct mill_arena *arena, const struct probe *probe)
{
    const struct mill_entity *entity = &project->views[0].spec.entity;
    struct mill_online_row row = {0};
    struct mill_buffer key = {0};
    struct mill_error err;
    char user[16];
    int n = snprintf(user, sizeof(user), "u%06u", probe->user);
    struct mill_slice part = {user, (size_t)n};

    check(mill_key_parse(entity, &part, 1, &key, &err), "key", &err);
    mill_arena_reset(arena);
    check(mill_online_get(online, 0, mill_buffer_slice(&key), arena, &row, &err), "redis", &err);
    mill_buffer_clear(&key);
    return row.event_time_us >= probe->due_us;
}

static void *read_rows(void *argument)
{
    struct mill_view *view;
    struct mill_online *online = open_online(&view);
    struct mill_arena arena;
    struct probe open[PROBES_MAX];
    unsigned open_count = 0;

    (void)argument;
    mill_arena_init(&arena, 0);
    while (!atomic_load(&probes.is_done)) {
        unsigned tail = atomic_load(&probes.tail);
        for (; tail != atomic_load(&probes.head) && open_count < PROBES_MAX; tail++) {
            open[open_count++] = probes.at[tail % PROBES_MAX];
        }
        atomic_store(&probes.tail, tail);
        for (unsigned i = 0; i < open_count;) {
            if (is_readable(online, &arena, &open[i])) {
                add_sample(&probes.samples, mill_clock_wall_us() - open[i].due_us);
                open[i] = open[--open_count];
            } else {
                i++;
            }
        }
        nap_us(500); /* the resolution of this figure; without it the reads would take a core */
    }
    mill_online_close(online);
    mill_view_free(view);
    mill_arena_clear(&arena);
    return NULL;
}

/* ---- the generator ---- */

struct generator {
    struct mill_producer *producer;
    unsigned topic;
    uint64_t random;
    int64_t late_us_max; /* the longest that an event waited here */
};

static uint64_t next_random(struct generator *generator)
{
    generator->random ^= generator->random << 13;
    generator->random ^= generator->random >> 7;
    return generator->random ^= generator->random << 17;
}

/* An event of a random user; returns the user. */
static uint32_t send_event(struct generator *generator, int64_t due_us)
{
    uint64_t random = next_random(generator);
    uint32_t user = (uint32_t)(random % USERS);
    char key[16], value[200];
    struct mill_error err;

    int key_n = snprintf(key, sizeof(key), "u%06u", user);
    int n = snprintf(
        value, sizeof(value),
        "{\"user_id\":\"%s\",\"ts\":%lld,\"amount\":%u.%02u,\"merchant\":\"m%03u\",\"country\":\"DE\",\"ok\":true}",
        key, (long long)due_us, (unsigned)(random >> 20) % 1000, (unsigned)(random >> 32) % 100,
        (unsigned)(random >> 40) % 500);
    check(mill_producer_send(generator->producer, generator->topic, -1, (struct mill_slice){key, (size_t)key_n},
                             (struct mill_slice){value, (size_t)n}, NULL, 0, -1, &err),
          "send", &err);
    return user;
}

static void sleep_until(struct timespec *tick)
{
    tick->tv_nsec += 1000000;
    if (tick->tv_nsec >= 1000000000) {
        tick->tv_nsec -= 1000000000;
        tick->tv_sec++;
    }
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, tick, NULL);
}

/* count events, the first of them due now. */
static void generate(struct generator *generator, long rate, long count, bool with_probes)
{
    int64_t begin_us = mill_clock_wall_us();
    struct mill_error err;
    struct timespec tick;

    clock_gettime(CLOCK_MONOTONIC, &tick);
    generator->late_us_max = 0;
    for (long i = 0; i < count; sleep_until(&tick)) {
        int64_t now_us = mill_clock_wall_us(), due_us = begin_us + i * 1000000 / rate;
        generator->late_us_max = now_us - due_us > generator->late_us_max ? now_us - due_us : generator->late_us_max;
        for (; i < count && due_us <= now_us; due_us = begin_us + ++i * 1000000 / rate) {
            uint32_t user = send_event(generator, due_us);
            if (with_probes && i % (rate / PROBES_PER_S) == 0) {
                add_probe(due_us, user);
            }
        }
        check(mill_producer_poll(generator->producer, 0, &err), "send", &err);
    }
    check(mill_producer_flush(generator->producer, 60000, &err), "flush", &err);
}

/* ---- the three phases ---- */

static void measure_floor(struct generator *generator, const char *topic, const char *out_topic, long rate, long count)
{
    struct reader first = {.topic = topic, .relay_to = out_topic}, second = {.topic = out_topic};

    generator->topic = mill_producer_topic(generator->producer, topic);
    start_reader(&second);
    start_reader(&first);
    generate(generator, rate, rate, false); /* connections, topics, leaders */
    first.from_us = mill_clock_wall_us();
    second.from_us = first.from_us;
    generate(generator, rate, count, false);
    finish_reader(&first, (size_t)count);
    finish_reader(&second, (size_t)count);
    print_samples("kafka alone, one hop", &first.samples, (size_t)count);
    print_samples("kafka alone, two hops", &second.samples, (size_t)count);
}

static void measure_engine(struct generator *generator, long rate, long seconds, long warm_up_seconds,
                           const char *floor_topic, const char *floor_out_topic)
{
    struct reader scores = {.topic = project->output.scores_topic};
    pthread_t rows;

    unsigned topic = generator->topic = mill_producer_topic(generator->producer, project->sources[0].spec.topic);
    start_reader(&scores);
    pthread_create(&rows, NULL, read_rows, NULL);
    generate(generator, rate, rate * warm_up_seconds, false);
    measure_floor(generator, floor_topic, floor_out_topic, rate, rate * seconds / 3);
    generator->topic = topic;
    generate(generator, rate, rate, false);
    scores.from_us = mill_clock_wall_us();
    generate(generator, rate, rate * seconds, true);
    finish_reader(&scores, (size_t)(rate * seconds));
    atomic_store(&probes.is_done, true);
    pthread_join(rows, NULL);
    print_samples("produced -> score consumed", &scores.samples, (size_t)(rate * seconds));
    print_samples("produced -> readable in Redis", &probes.samples, (size_t)(PROBES_PER_S * seconds));
    printf("an event waited up to %.2f ms in the generator; this is in the figures\n",
           (double)generator->late_us_max / 1000);
}

int main(int argc, char **argv)
{
    struct mill_project_options options = {0};
    struct mill_problems problems = {0};
    struct generator generator = {.random = 88172645463325252u};
    struct mill_project *loaded;
    struct mill_error err;
    char out_topic[256];

    if (argc != 6 || strtol(argv[3], NULL, 10) < PROBES_PER_S) {
        fprintf(stderr,
                "usage: bench_latency PROJECT.yaml FLOOR_TOPIC RATE SECONDS WARM_UP_SECONDS (RATE at least %d)\n",
                PROBES_PER_S);
        return 64;
    }
    check(mill_project_load(argv[1], &options, &loaded, &problems, &err), argv[1], &err);
    project = loaded;
    kafka = (struct mill_kafka_options){.brokers = project->kafka.brokers,
                                        .group = "bench-latency",
                                        .client_id = "bench",
                                        .librdkafka = project->kafka.librdkafka};
    snprintf(out_topic, sizeof(out_topic), "%s.out", argv[2]);
    check(mill_producer_open(&kafka, NULL, NULL, &generator.producer, &err), "producer", &err);
    measure_engine(&generator, strtol(argv[3], NULL, 10), strtol(argv[4], NULL, 10), strtol(argv[5], NULL, 10), argv[2],
                   out_topic);
    mill_producer_close(generator.producer, 1000);
    mill_project_free(loaded);
    mill_problems_clear(&problems);
    return 0;
}
