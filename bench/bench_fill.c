/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fills a topic with payment-like events for the stream benchmarks: about 100 bytes of JSON (or the bare Avro body of
 * the same record), keyed by user, event time ascending, the same for the same seed.
 *
 *   {"user_id":"u012345","ts":1700000000123,"amount":12.34,"merchant":"m123","country":"DE","ok":true}
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "ingest/ingest.h"

enum { TIMEOUT_MS = 60000, TEXT_MAX = 256 };

static const char avro_schema[] =
    "{\"type\":\"record\",\"name\":\"Payment\",\"namespace\":\"tidemill.bench\",\"fields\":[\n"
    "  {\"name\":\"user_id\",\"type\":\"string\"},\n"
    "  {\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},\n"
    "  {\"name\":\"amount\",\"type\":\"double\"},\n"
    "  {\"name\":\"merchant\",\"type\":\"string\"},\n"
    "  {\"name\":\"country\",\"type\":\"string\"},\n"
    "  {\"name\":\"ok\",\"type\":\"boolean\"}]}\n";

struct arguments {
    const char *brokers, *topic, *schema_file;
    uint64_t events, seed, users, rate, event_rate;
    int32_t partitions;
    bool avro, wall_time;
};

struct event {
    char user[24], merchant[24];
    const char *country;
    int64_t time_ms;
    unsigned amount_cents;
    bool ok;
};

static void usage(FILE *out)
{
    fprintf(out, "usage: bench_fill --brokers HOST:PORT --topic NAME [--events 1000000] [--partitions 4] [--seed 1]\n"
                 "                  [--users 100000] [--event-rate 1000] [--format json|avro] [--schema FILE]\n"
                 "                  [--rate EVENTS_PER_SECOND] [--wall-time]\n"
                 "\n"
                 "  --event-rate   events per second of event time, which starts in November 2023\n"
                 "  --schema       write the Avro schema of the events there\n"
                 "  --rate         send so many a second; default: as fast as it goes\n"
                 "  --wall-time    event time is the time of sending\n");
}

static void check(int rc, const struct mill_error *err)
{
    if (rc < 0) {
        fprintf(stderr, "bench_fill: %s\n", err->msg);
        exit(mill_error_exit_status(rc));
    }
}

/* splitmix64: the n-th number of a seed without the ones before it. */
static uint64_t random_at(uint64_t seed, uint64_t n)
{
    uint64_t z = (seed * UINT64_C(0x2545f4914f6cdd1d)) + (n + 1) * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static void make_event(const struct arguments *a, uint64_t n, struct event *event)
{
    static const char countries[][3] = {"DE", "FR", "US", "GB", "IT", "ES", "NL", "PL"};
    uint64_t r = random_at(a->seed, n), s = random_at(~a->seed, n);

    snprintf(event->user, sizeof(event->user), "u%06" PRIu64, r % a->users);
    snprintf(event->merchant, sizeof(event->merchant), "m%03" PRIu64, (r >> 40) % 1000);
    event->country = countries[(s >> 3) % 8];
    event->amount_cents = (unsigned)((s >> 8) % 100000);
    event->ok = (s & 7) != 0;
    event->time_ms =
        a->wall_time ? mill_clock_wall_us() / 1000 : INT64_C(1700000000000) + (int64_t)(n * 1000 / a->event_rate);
}

static void write_json(const struct event *e, struct mill_buffer *out)
{
    char *p = mill_buffer_reserve(out, TEXT_MAX);
    out->n += (size_t)snprintf(p, TEXT_MAX,
                               "{\"user_id\":\"%s\",\"ts\":%" PRId64
                               ",\"amount\":%u.%02u,\"merchant\":\"%s\",\"country\":\"%s\",\"ok\":%s}",
                               e->user, e->time_ms, e->amount_cents / 100, e->amount_cents % 100, e->merchant,
                               e->country, e->ok ? "true" : "false");
}

static void write_avro_string(const char *text, struct mill_buffer *out)
{
    size_t n = strlen(text);
    mill_buffer_add_zigzag(out, (int64_t)n);
    mill_buffer_add(out, text, n);
}

static void write_avro(const struct event *e, struct mill_buffer *out)
{
    double amount = e->amount_cents / 100.0; /* the double nearest to the decimal that JSON shows */
    write_avro_string(e->user, out);
    mill_buffer_add_zigzag(out, e->time_ms);
    mill_buffer_add(out, &amount, sizeof(amount));
    write_avro_string(e->merchant, out);
    write_avro_string(e->country, out);
    mill_buffer_add_byte(out, e->ok);
}

static void write_schema(const char *path)
{
    FILE *file = fopen(path, "w");
    if (file == NULL || fputs(avro_schema, file) < 0 || fclose(file) != 0) {
        fprintf(stderr, "bench_fill: cannot write '%s'\n", path);
        exit(EX_CANTCREAT);
    }
}

static uint64_t number(const char *option, const char *text, uint64_t min)
{
    char *end;
    uint64_t value = strtoull(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value < min) {
        fprintf(stderr, "bench_fill: --%s wants a number from %" PRIu64 ", not '%s'\n", option, min, text);
        exit(EX_USAGE);
    }
    return value;
}

static struct arguments parse(int argc, char **argv)
{
    static const struct option options[] = {
        {"brokers", 1, NULL, 'b'}, {"topic", 1, NULL, 't'},  {"events", 1, NULL, 'n'}, {"partitions", 1, NULL, 'p'},
        {"seed", 1, NULL, 's'},    {"users", 1, NULL, 'u'},  {"rate", 1, NULL, 'r'},   {"event-rate", 1, NULL, 'e'},
        {"format", 1, NULL, 'f'},  {"schema", 1, NULL, 'a'}, {"help", 0, NULL, 'h'},   {"wall-time", 0, NULL, 'w'},
        {NULL, 0, NULL, 0},
    };
    struct arguments a = {.events = 1000000, .partitions = 4, .seed = 1, .users = 100000, .event_rate = 1000};
    int c, index = 0;

    while ((c = getopt_long(argc, argv, "", options, &index)) != -1) {
        const char *name = options[index].name;
        switch (c) {
        case 'b':
            a.brokers = optarg;
            break;
        case 't':
            a.topic = optarg;
            break;
        case 'n':
            a.events = number(name, optarg, 0);
            break;
        case 'p':
            a.partitions = (int32_t)number(name, optarg, 1);
            break;
        case 's':
            a.seed = number(name, optarg, 0);
            break;
        case 'u':
            a.users = number(name, optarg, 1);
            break;
        case 'r':
            a.rate = number(name, optarg, 1);
            break;
        case 'e':
            a.event_rate = number(name, optarg, 1);
            break;
        case 'a':
            a.schema_file = optarg;
            break;
        case 'w':
            a.wall_time = true;
            break;
        case 'f':
            a.avro = strcmp(optarg, "avro") == 0;
            if (!a.avro && strcmp(optarg, "json") != 0) {
                fprintf(stderr, "bench_fill: --format wants json or avro, not '%s'\n", optarg);
                exit(EX_USAGE);
            }
            break;
        case 'h':
            usage(stdout);
            exit(0);
        default:
            usage(stderr);
            exit(EX_USAGE);
        }
    }
    if (a.brokers == NULL || a.topic == NULL || optind != argc) {
        usage(stderr);
        exit(EX_USAGE);
    }
    return a;
}

static void on_failure(void *context, const char *topic, struct mill_slice value, const char *why)
{
    (void)context;
    fprintf(stderr, "bench_fill: topic '%s' refused %zu bytes: %s\n", topic, value.n, why);
    exit(EX_IOERR);
}

/* Sleeps until the n-th event is due. */
static void pace(struct mill_producer *producer, int64_t begin_ns, uint64_t n, uint64_t rate)
{
    int64_t due_ns = begin_ns + (int64_t)((double)n * 1e9 / (double)rate);
    int64_t wait_ns = due_ns - mill_clock_mono_ns();
    struct mill_error err = {0};

    if (wait_ns > 0) {
        const struct timespec pause = {wait_ns / 1000000000, wait_ns % 1000000000};
        check(mill_producer_poll(producer, 0, &err), &err);
        nanosleep(&pause, NULL);
    }
}

static void send(struct mill_producer *producer, unsigned topic, const struct event *event,
                 const struct mill_buffer *value)
{
    struct mill_error err = {0};
    int rc;

    while ((rc = mill_producer_send(producer, topic, -1, mill_slice_of(event->user), mill_buffer_slice(value), NULL, 0,
                                    -1, &err)) == MILL_ERETRY) {
        check(mill_producer_poll(producer, 1000, &err), &err);
    }
    check(rc, &err);
}

int main(int argc, char **argv)
{
    static const char *const fast[] = {"linger.ms", "20", NULL};
    static const char *const prompt[] = {"linger.ms", "0", NULL};
    struct arguments a = parse(argc, argv);
    struct mill_kafka_options options = {.brokers = a.brokers, .librdkafka = a.rate > 0 ? prompt : fast};
    struct mill_producer *producer;
    struct mill_buffer value = {0};
    struct mill_error err = {0};
    uint64_t bytes = 0;

    if (a.schema_file != NULL) {
        write_schema(a.schema_file);
    }
    check(mill_kafka_create_topic(&options, a.topic, a.partitions, NULL, TIMEOUT_MS, &err), &err);
    check(mill_producer_open(&options, on_failure, NULL, &producer, &err), &err);
    unsigned topic = mill_producer_topic(producer, a.topic);
    int64_t begin_ns = mill_clock_mono_ns();
    for (uint64_t n = 0; n < a.events; n++) {
        struct event event;
        if (a.rate > 0) {
            pace(producer, begin_ns, n, a.rate);
        }
        make_event(&a, n, &event);
        mill_buffer_reset(&value);
        a.avro ? write_avro(&event, &value) : write_json(&event, &value);
        send(producer, topic, &event, &value);
        bytes += value.n;
    }
    check(mill_producer_flush(producer, TIMEOUT_MS, &err), &err);
    double seconds = (double)(mill_clock_mono_ns() - begin_ns) / 1e9;
    printf("{\"bench\":\"fill\",\"format\":\"%s\",\"events\":%" PRIu64
           ",\"bytes_per_event\":%.1f,\"seconds\":%.3f,\"events_per_s\":%.0f}\n",
           a.avro ? "avro" : "json", a.events, a.events == 0 ? 0.0 : (double)bytes / (double)a.events, seconds,
           (double)a.events / seconds);
    mill_producer_close(producer, 0);
    mill_buffer_clear(&value);
    return 0;
}
