/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Decoding, in nanoseconds per record, beside the libraries that people use for it:
 *   avro: 12 fields (4 strings, long, double, enum, int, 2 nullable doubles, boolean, nullable string), all wanted,
 * against avro-c: generic value read, then get_by_name and the getter of each field; json: 6 fields, all wanted,
 * against jansson: load, then object_get and the getter of each field; csv:  9 columns (5 strings, a time, an int, 2
 * doubles) of a file made up here; no peer. Both sides of a pair run by turns over the same records; the least and the
 * median of the rounds are printed. bench_decode [--rounds N]
 */
#include <avro.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/number.h"
#include "ingest/ingest.h"

enum { RECORDS = 4096, AVRO_FIELDS = 12, JSON_FIELDS = 6, ROUNDS_MAX = 1000, CSV_ROWS = 200000 };

static const char avro_schema[] =
    "{\"type\":\"record\",\"name\":\"Event\",\"namespace\":\"bench\",\"fields\":["
    "{\"name\":\"event_id\",\"type\":\"string\"},{\"name\":\"user_id\",\"type\":\"string\"},"
    "{\"name\":\"session\",\"type\":\"string\"},{\"name\":\"country\",\"type\":\"string\"},"
    "{\"name\":\"ts\",\"type\":{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},"
    "{\"name\":\"amount\",\"type\":\"double\"},"
    "{\"name\":\"kind\",\"type\":{\"type\":\"enum\",\"name\":\"Kind\",\"symbols\":[\"VIEW\",\"CLICK\",\"BUY\"]}},"
    "{\"name\":\"quantity\",\"type\":\"int\"},{\"name\":\"price\",\"type\":[\"null\",\"double\"]},"
    "{\"name\":\"discount\",\"type\":[\"null\",\"double\"]},{\"name\":\"mobile\",\"type\":\"boolean\"},"
    "{\"name\":\"campaign\",\"type\":[\"null\",\"string\"]}]}";

static struct mill_field avro_fields[AVRO_FIELDS] = {
    {"event_id", MILL_STRING}, {"user_id", MILL_STRING},   {"session", MILL_STRING}, {"country", MILL_STRING},
    {"ts", MILL_TIMESTAMP},    {"amount", MILL_FLOAT64},   {"kind", MILL_STRING},    {"quantity", MILL_INT64},
    {"price", MILL_FLOAT64},   {"discount", MILL_FLOAT64}, {"mobile", MILL_BOOL},    {"campaign", MILL_STRING},
};
static struct mill_field json_fields[JSON_FIELDS] = {
    {"event_id", MILL_STRING}, {"user", MILL_INT64},     {"ts", MILL_TIMESTAMP},
    {"amount", MILL_FLOAT64},  {"country", MILL_STRING}, {"mobile", MILL_BOOL},
};
static const enum mill_time_unit units[AVRO_FIELDS];
static volatile double sink;

static void *check(int rc, void *p, const char *what)
{
    if (rc != 0) {
        fprintf(stderr, "bench_decode: %s failed\n", what);
        exit(1);
    }
    return p;
}

/* ---- records ---- */

static uint64_t random_state = 88172645463325252u;

static uint64_t random_next(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void add_text(struct mill_buffer *b, const char *prefix, unsigned long long v)
{
    char text[64];
    int n = snprintf(text, sizeof(text), "%s%llx", prefix, v);
    mill_buffer_add_zigzag(b, n);
    mill_buffer_add(b, text, (size_t)n);
}

static void add_double(struct mill_buffer *b, double v)
{
    mill_buffer_add(b, &v, sizeof(v));
}

static void add_nullable_double(struct mill_buffer *b, bool has, double v)
{
    mill_buffer_add_zigzag(b, has);
    if (has) {
        add_double(b, v);
    }
}

static void add_avro(struct mill_buffer *b)
{
    uint64_t r = random_next();

    add_text(b, "ev-", r);
    add_text(b, "user-", r & 0xffffff);
    add_text(b, "session-", r >> 24);
    mill_buffer_add(b,
                    r & 1 ? "\x04"
                            "FR"
                          : "\x04"
                            "US",
                    3);
    mill_buffer_add_zigzag(b, INT64_C(1700000000000) + (int64_t)(r % 100000000));
    add_double(b, (double)(r % 100000) / 100);
    mill_buffer_add_zigzag(b, (int64_t)(r % 3));
    mill_buffer_add_zigzag(b, (int64_t)(r % 500));
    add_nullable_double(b, (r & 3) != 0, (double)(r % 1000));
    add_nullable_double(b, (r & 12) == 0, 0.25);
    mill_buffer_add_byte(b, r >> 5 & 1);
    mill_buffer_add_zigzag(b, r >> 7 & 1);
    if (r >> 7 & 1) {
        add_text(b, "cmp-", r & 0xfff);
    }
}

static void add_json(struct mill_buffer *b)
{
    uint64_t r = random_next();

    mill_buffer_printf(
        b,
        "{\"event_id\":\"ev-%08llx\",\"user\":%llu,\"ts\":%llu,\"amount\":%llu.%02llu,\"country\":\"%s\","
        "\"mobile\":%s}",
        (unsigned long long)(r >> 32), (unsigned long long)(r % 1000000),
        1700000000000ull + (unsigned long long)(r % 100000000), (unsigned long long)(r % 1000),
        (unsigned long long)(r >> 8) % 100, r & 1 ? "FR" : "US", r & 2 ? "true" : "false");
}

struct records {
    struct mill_buffer bytes;
    struct mill_record at[RECORDS];
};

static void make_records(struct records *records, void (*add)(struct mill_buffer *))
{
    size_t begin[RECORDS + 1];

    for (int i = 0; i < RECORDS; i++) {
        begin[i] = records->bytes.n;
        add(&records->bytes);
    }
    begin[RECORDS] = records->bytes.n;
    for (int i = 0; i < RECORDS; i++) {
        records->at[i] = (struct mill_record){
            .value = {records->bytes.p + begin[i], begin[i + 1] - begin[i]}, .offset = i, .broker_time_us = -1};
    }
}

/* ---- ours ---- */

struct ours {
    struct mill_decoder *decoder;
    struct mill_source_spec spec;
    struct mill_arena arena;
};

static void run_ours(void *context, const struct records *records)
{
    struct ours *ours = context;
    struct mill_batch batch;
    struct mill_rejects rejects;
    struct mill_error err;

    mill_arena_reset(&ours->arena);
    mill_batch_init(&batch, &ours->spec.schema, RECORDS, &ours->arena);
    mill_rejects_init(&rejects, &ours->arena);
    int rc = mill_decoder_decode(ours->decoder, records->at, RECORDS, &batch, &rejects, &err);
    if (rc < 0 || rejects.count > 0) {
        fprintf(stderr, "bench_decode: %s\n", rc < 0 ? err.msg : rejects.at[0].detail);
        exit(1);
    }
    sink += (double)batch.event_time_us[0];
}

static void open_ours(struct ours *ours, enum mill_format format, struct mill_field *fields, uint32_t count,
                      uint32_t timestamp)
{
    static const enum mill_time_unit millis[AVRO_FIELDS] = {MILL_TIME_TEXT, MILL_TIME_TEXT, MILL_TIME_MILLIS,
                                                            MILL_TIME_TEXT, MILL_TIME_TEXT, MILL_TIME_TEXT};
    struct mill_error err;

    ours->spec = (struct mill_source_spec){.name = "bench",
                                           .format = format,
                                           .schema = {fields, count},
                                           .time_unit = format == MILL_FORMAT_JSON ? millis : units,
                                           .timestamp_column = timestamp,
                                           .max_null_fraction = 1,
                                           .record_bytes_max = 1 << 20};
    if (format == MILL_FORMAT_AVRO) {
        ours->spec.avro_schema = mill_slice_of(avro_schema);
    }
    mill_arena_init(&ours->arena, 0);
    if (mill_decoder_open(&ours->spec, &ours->decoder, &err) < 0) {
        fprintf(stderr, "bench_decode: %s\n", err.msg);
        exit(1);
    }
}

/* ---- avro-c ---- */

struct avro_c {
    avro_value_t value;
    avro_reader_t reader;
};

static void read_avro_field(avro_value_t *record, const struct mill_field *field)
{
    avro_value_t v, branch;
    const char *text = NULL;
    size_t size = 0;
    double d = 0;
    int64_t l = 0;
    int32_t i = 0;

    check(avro_value_get_by_name(record, field->name, &v, NULL), NULL, field->name);
    if (avro_value_get_type(&v) == AVRO_UNION) {
        check(avro_value_get_current_branch(&v, &branch), NULL, field->name);
        v = branch;
    }
    switch ((int)avro_value_get_type(&v)) {
    case AVRO_STRING:
        avro_value_get_string(&v, &text, &size);
        sink += (double)size;
        break;
    case AVRO_INT64:
        avro_value_get_long(&v, &l);
        sink += (double)l;
        break;
    case AVRO_DOUBLE:
        avro_value_get_double(&v, &d);
        sink += d;
        break;
    case AVRO_INT32:
        avro_value_get_int(&v, &i);
        sink += i;
        break;
    case AVRO_ENUM:
        avro_value_get_enum(&v, &i);
        sink += i;
        break;
    case AVRO_BOOLEAN:
        avro_value_get_boolean(&v, &i);
        sink += i;
        break;
    default:
        break;
    }
}

static void run_avro_c(void *context, const struct records *records)
{
    struct avro_c *peer = context;

    for (int i = 0; i < RECORDS; i++) {
        avro_reader_memory_set_source(peer->reader, records->at[i].value.p, (int64_t)records->at[i].value.n);
        avro_value_reset(&peer->value);
        check(avro_value_read(peer->reader, &peer->value), NULL, "avro_value_read");
        for (int f = 0; f < AVRO_FIELDS; f++) {
            read_avro_field(&peer->value, &avro_fields[f]);
        }
    }
}

static void open_avro_c(struct avro_c *peer)
{
    avro_schema_t schema = NULL;

    check(avro_schema_from_json_length(avro_schema, strlen(avro_schema), &schema), NULL, "avro schema");
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    check(avro_generic_value_new(iface, &peer->value), NULL, "avro value");
    peer->reader = avro_reader_memory("", 0);
}

/* ---- jansson ---- */

static void run_jansson(void *context, const struct records *records)
{
    (void)context;
    for (int i = 0; i < RECORDS; i++) {
        json_t *root = json_loadb(records->at[i].value.p, records->at[i].value.n, 0, NULL);
        check(root == NULL, NULL, "json_loadb");
        sink += (double)json_string_length(json_object_get(root, "event_id"));
        sink += (double)json_integer_value(json_object_get(root, "user"));
        sink += (double)json_integer_value(json_object_get(root, "ts"));
        sink += json_real_value(json_object_get(root, "amount"));
        sink += (double)json_string_length(json_object_get(root, "country"));
        sink += json_boolean_value(json_object_get(root, "mobile"));
        json_decref(root);
    }
}

/* ---- rounds ---- */

static int compare_double(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

struct side {
    const char *name;
    void (*run)(void *context, const struct records *records);
    void *context;
    double ns[ROUNDS_MAX];
};

static void compare(const char *what, struct side *ours, struct side *peer, const struct records *records, int rounds)
{
    struct side *sides[2] = {ours, peer};

    for (int i = -1; i < rounds; i++) { /* the first round warms up */
        for (int s = 0; s < 2; s++) {
            int64_t from = mill_clock_thread_cpu_ns();
            sides[s]->run(sides[s]->context, records);
            if (i >= 0) {
                sides[s]->ns[i] = (double)(mill_clock_thread_cpu_ns() - from) / RECORDS;
            }
        }
    }
    for (int s = 0; s < 2; s++) {
        qsort(sides[s]->ns, (size_t)rounds, sizeof(double), compare_double);
        printf("%-5s %-9s min %7.1f  median %7.1f ns per record", what, sides[s]->name, sides[s]->ns[0],
               sides[s]->ns[rounds / 2]);
        printf(s == 0 ? "  (%.0f bytes avg)\n" : "\n", (double)records->bytes.n / RECORDS);
    }
    printf("%-5s ratio     %.1f (medians)\n", what, peer->ns[rounds / 2] / ours->ns[rounds / 2]);
}

/* ---- CSV ---- */

static char *make_csv(struct mill_schema *schema)
{
    static char path[] = "/tmp/bench_decode_XXXXXX.csv";
    static struct mill_field fields[] = {
        {"flight_id", MILL_STRING}, {"departed_at", MILL_TIMESTAMP}, {"carrier", MILL_STRING},
        {"flight", MILL_INT64},     {"tailnum", MILL_STRING},        {"origin", MILL_STRING},
        {"dest", MILL_STRING},      {"dep_delay", MILL_FLOAT64},     {"distance", MILL_FLOAT64}};
    FILE *f = fdopen(mkstemps(path, 4), "w");

    check(f == NULL, NULL, "temporary file");
    fputs("flight_id,departed_at,carrier,flight,tailnum,origin,dest,dep_delay,distance\n", f);
    for (int i = 0; i < CSV_ROWS; i++) {
        uint64_t r = random_next();
        fprintf(f, "UA%u-EWR-2013010110%02u,2013-01-%02uT%02u:%02uZ,UA,%u,N%05u,EWR,IAH,%d,%u\n", (unsigned)(r % 2000),
                (unsigned)(r % 60), (unsigned)(i / 10000) + 1, (unsigned)(i / 417) % 24, (unsigned)(r % 60),
                (unsigned)(r % 2000), (unsigned)(r >> 20) % 100000, (int)(r >> 40) % 100, (unsigned)(r >> 30) % 3000);
    }
    fclose(f);
    *schema = (struct mill_schema){fields, sizeof(fields) / sizeof(fields[0])};
    return path;
}

static double run_csv(const struct mill_source_spec *spec, const char *path, struct mill_arena *arena)
{
    struct mill_file_source *file;
    struct mill_rejects rejects;
    struct mill_batch batch;
    struct mill_error err;
    uint64_t rows = 0;
    int rc;

    int64_t from = mill_clock_thread_cpu_ns();
    if (mill_file_source_open(spec, path, &file, &err) < 0) {
        fprintf(stderr, "bench_decode: %s\n", err.msg);
        exit(1);
    }
    do {
        mill_arena_reset(arena);
        mill_batch_init(&batch, &spec->schema, MILL_BATCH_ROWS_MAX, arena);
        mill_rejects_init(&rejects, arena);
        rc = mill_file_source_next(file, &batch, &rejects, &err);
        check(rc == 0 && rejects.count > 0, NULL, "a row");
        rows += batch.row_count;
    } while (rc == 0);
    check(rc != MILL_EEND, NULL, "reading");
    mill_file_source_close(file);
    return (double)(mill_clock_thread_cpu_ns() - from) / (double)rows;
}

static void bench_csv(int rounds)
{
    static double ns[ROUNDS_MAX];
    struct mill_source_spec spec = {.name = "bench", .time_unit = units, .timestamp_column = 1, .max_null_fraction = 1};
    struct mill_arena arena;
    char *path = make_csv(&spec.schema);

    mill_arena_init(&arena, 0);
    rounds = rounds < 11 ? rounds : 11;
    for (int i = 0; i < rounds; i++) {
        ns[i] = run_csv(&spec, path, &arena);
    }
    qsort(ns, (size_t)rounds, sizeof(double), compare_double);
    printf("csv   tidemill  min %7.1f  median %7.1f ns per row  (9 columns, plain file)\n", ns[0], ns[rounds / 2]);
    mill_arena_clear(&arena);
    unlink(path);
}

int main(int argc, char **argv)
{
    static struct records avro_records, json_records;
    static struct side avro_sides[2], json_sides[2];
    static struct ours avro_ours, json_ours;
    static struct avro_c avro_peer;
    int64_t rounds = 101;

    if (argc == 3 && strcmp(argv[1], "--rounds") == 0) {
        (void)mill_number_parse_int64(argv[2], argv[2] + strlen(argv[2]), &rounds);
    }
    if ((argc != 1 && argc != 3) || rounds < 1 || rounds > ROUNDS_MAX) {
        fprintf(stderr, "usage: bench_decode [--rounds N], N from 1 to %d\n", ROUNDS_MAX);
        return 64;
    }
    make_records(&avro_records, add_avro);
    make_records(&json_records, add_json);
    open_ours(&avro_ours, MILL_FORMAT_AVRO, avro_fields, AVRO_FIELDS, 4);
    open_ours(&json_ours, MILL_FORMAT_JSON, json_fields, JSON_FIELDS, 2);
    open_avro_c(&avro_peer);
    avro_sides[0] = (struct side){.name = "tidemill", .run = run_ours, .context = &avro_ours};
    avro_sides[1] = (struct side){.name = "avro-c", .run = run_avro_c, .context = &avro_peer};
    json_sides[0] = (struct side){.name = "tidemill", .run = run_ours, .context = &json_ours};
    json_sides[1] = (struct side){.name = "jansson", .run = run_jansson};
    compare("avro", &avro_sides[0], &avro_sides[1], &avro_records, (int)rounds);
    compare("json", &json_sides[0], &json_sides[1], &json_records, (int)rounds);
    bench_csv((int)rounds);
    return 0;
}
