/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema registry client against a double: a thread that serves a few fixed answers over HTTP on 127.0.0.1 and
 * counts what it was asked. Down, slow, wrong and hostile registries; the cache; what the decoder makes of it.
 */
#include "tests/ingest/decode_fixture.h"

#include <dirent.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ingest/registry_internal.h"

/* ---- the double ---- */

struct answer {
    const char *path;
    int status;
    const char *body;
};

static struct {
    pthread_t thread;
    int socket;
    _Atomic bool stop;
    _Atomic int requests;
    const struct answer *answers; /* ends with a NULL path; others are 404 */
    const char *authorization;    /* what the header must be, or NULL */
    char url[64];
} server;

static void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t sent = send(fd, p, n, MSG_NOSIGNAL);
        if (sent <= 0) {
            return;
        }
        p += sent;
        n -= (size_t)sent;
    }
}

static void respond(int fd, const char *request)
{
    char path[256] = "", head[256];
    struct answer found = {"", 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}"};

    sscanf(request, "GET %255s HTTP/1.1", path);
    for (const struct answer *a = server.answers; a->path != NULL; a++) {
        found = strcmp(a->path, path) == 0 ? *a : found;
    }
    if (server.authorization != NULL && strstr(request, server.authorization) == NULL) {
        found = (struct answer){path, 401, "{}"};
    }
    int n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n",
                     found.status, strlen(found.body));
    send_all(fd, head, (size_t)n);
    send_all(fd, found.body, strlen(found.body));
}

static void serve_one(int fd)
{
    char request[4096];
    size_t n = 0;

    while (n < sizeof(request) - 1) {
        ssize_t got = recv(fd, request + n, sizeof(request) - 1 - n, 0);
        if (got <= 0) {
            return;
        }
        n += (size_t)got;
        request[n] = '\0';
        if (strstr(request, "\r\n\r\n") != NULL) {
            atomic_fetch_add(&server.requests, 1);
            respond(fd, request);
            return;
        }
    }
}

static void *serve(void *context)
{
    (void)context;
    while (!atomic_load(&server.stop)) {
        struct pollfd wait = {.fd = server.socket, .events = POLLIN};
        if (poll(&wait, 1, 20) == 1) {
            int fd = accept(server.socket, NULL, NULL);
            serve_one(fd);
            close(fd);
        }
    }
    return NULL;
}

static void server_start(const struct answer *answers)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);

    server.answers = answers;
    server.authorization = NULL;
    atomic_store(&server.stop, false);
    atomic_store(&server.requests, 0);
    server.socket = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server.socket, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.socket, 16), 0);
    assert_int_equal(getsockname(server.socket, (struct sockaddr *)&address, &size), 0);
    snprintf(server.url, sizeof(server.url), "http://127.0.0.1:%u", ntohs(address.sin_port));
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void server_stop(void)
{
    atomic_store(&server.stop, true);
    pthread_join(server.thread, NULL);
    close(server.socket);
}

/* ---- the client ---- */

#define RECORD(fields) "{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"R\\\",\\\"fields\\\":[" fields "]}"
#define TS                                                                                                             \
    "{\\\"name\\\":\\\"ts\\\",\\\"type\\\":{\\\"type\\\":\\\"long\\\",\\\"logicalType\\\":\\\"timestamp-millis\\\"}}"
#define FIELD(name, type) "{\\\"name\\\":\\\"" name "\\\",\\\"type\\\":\\\"" type "\\\"}"

static const struct answer answers[] = {
    {"/schemas/ids/1", 200, "{\"schema\":\"" RECORD(TS "," FIELD("v", "int")) "\"}"},
    {"/schemas/ids/2", 200,
     "{\"subject\":\"x\",\"schema\":\"" RECORD(FIELD("v", "long") "," TS) "\",\"schemaType\":\"AVRO\",\"id\":2}"},
    {"/schemas/ids/3", 200, "{\"schema\":\"syntax = \\\"proto3\\\";\",\"schemaType\":\"PROTOBUF\"}"},
    {"/schemas/ids/4", 200, "{\"schema\":\"" RECORD(FIELD("v", "string") "," TS) "\"}"},
    {"/schemas/ids/5", 200, "{\"schema\":\"{\"}"},
    {"/schemas/ids/6", 500, "{}"},
    {"/schemas/ids/7", 200, "<html>"},
    {"/schemas/ids/8", 200,
     "{\"schema\":\"" RECORD(
         TS "," FIELD("v", "long") "," FIELD("f", "n.F")) "\",\"references\":[{\"name\":\"n.F\",\"subject\":"
                                                          "\"a b/c\",\"version\":3}]}"},
    {"/subjects/a%20b%2Fc/versions/3", 200,
     "{\"subject\":\"a "
     "b/c\",\"version\":3,\"id\":80,\"schema\":\"{\\\"type\\\":\\\"record\\\",\\\"name\\\":\\\"n.F\\\","
     "\\\"fields\\\":[{\\\"name\\\":\\\"g\\\",\\\"type\\\":\\\"n.G\\\"}]}\",\"references\":[{\"name\":\"n.G\","
     "\"subject\":\"g\",\"version\":1}]}"},
    {"/subjects/g/versions/1", 200,
     "{\"schema\":\"{\\\"type\\\":\\\"fixed\\\",\\\"name\\\":\\\"n.G\\\",\\\"size\\\":2}\"}"},
    {"/schemas/ids/9", 200,
     "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"x\",\"subject\":\"loop\",\"version\":1}]}"},
    {"/subjects/loop/versions/1", 200,
     "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"x\",\"subject\":\"loop\",\"version\":1}]}"},
    {"/schemas/ids/10", 200,
     "{\"schema\":\"\\\"int\\\"\",\"references\":[{\"name\":\"x\",\"subject\":\"gone\",\"version\":1}]}"},
    {"/schemas/guids/01234567-89ab-cdef-0011-223344556677", 200,
     "{\"schema\":\"" RECORD(TS "," FIELD("v", "int")) "\"}"},
    {NULL, 0, NULL},
};

static struct mill__schema_id number(uint64_t id)
{
    struct mill__schema_id schema = {MILL__SCHEMA_NUMBER, 0, id};
    return schema;
}

static int fetch(const char *url, const char *cache, uint64_t id, char *text, size_t size, struct mill_error *err)
{
    const struct mill_slice *texts = NULL;
    struct mill__registry *registry;
    struct mill_arena arena;
    uint32_t count = 0;

    mill_arena_init(&arena, 0);
    assert_int_equal(mill__registry_open(url, NULL, cache, &registry, err), 0);
    int rc = mill__registry_fetch(registry, number(id), &arena, &texts, &count, err);
    text[0] = '\0';
    for (uint32_t i = 0; rc == 0 && i < count; i++) {
        size_t used = strlen(text);
        snprintf(text + used, size - used, "%s%.*s", i == 0 ? "" : " + ", (int)texts[i].n, texts[i].p);
    }
    mill__registry_close(registry);
    mill_arena_clear(&arena);
    return rc;
}

static void expect_fetch(uint64_t id, int code, const char *expected)
{
    struct mill_error err = {0};
    char text[1024], message[1024];

    int rc = fetch(server.url, NULL, id, text, sizeof(text), &err);
    snprintf(message, sizeof(message), "schema registry '%s'%s", server.url, expected);
    assert_int_equal(rc, code);
    assert_string_equal(rc == 0 ? text : err.msg, expected[0] == ' ' ? message : expected);
}

static void test_answers(void **state)
{
    (void)state;
    server_start(answers);
    expect_fetch(1, 0,
                 "{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"ts\",\"type\":{\"type\":\"long\","
                 "\"logicalType\":\"timestamp-millis\"}},{\"name\":\"v\",\"type\":\"int\"}]}");
    expect_fetch(3, MILL_EDATA, "schema '/schemas/ids/3' of the registry is not an avro schema");
    expect_fetch(6, MILL_EUNAVAIL, " answered '/schemas/ids/6' with status 500");
    expect_fetch(7, MILL_EUNAVAIL, " answered '/schemas/ids/7' with something that is no schema");
    expect_fetch(9, MILL_EDATA, "schema '/subjects/loop/versions/1' of the registry: references go in a circle");
    expect_fetch(10, MILL_EDATA,
                 "schema '/schemas/ids/10' of the registry refers to 'gone', version 1, which is not there");
    expect_fetch(77, MILL_ENOINPUT, " has no '/schemas/ids/77'");
    int asked = atomic_load(&server.requests);
    expect_fetch(UINT32_MAX, MILL_ENOINPUT, "schema id 4294967295 is larger than any registry gives out");
    assert_int_equal(atomic_load(&server.requests), asked);
    server_stop();
    struct mill_error err;
    char text[16];
    assert_int_equal(fetch(server.url, NULL, 1, text, sizeof(text), &err), MILL_EUNAVAIL);
    assert_non_null(strstr(err.msg, "cannot be reached: "));
}

static void test_references(void **state)
{
    struct mill_error err = {0};
    char text[2048];

    (void)state;
    server_start(answers);
    assert_int_equal(fetch(server.url, NULL, 8, text, sizeof(text), &err), 0);
    assert_int_equal(
        strncmp(text, "{\"type\":\"fixed\",\"name\":\"n.G\",\"size\":2} + {\"type\":\"record\",\"name\":\"n.F\"", 66),
        0);
    server_stop();
}

static void remove_files(const char *directory)
{
    DIR *dir = opendir(directory);
    const struct dirent *entry;
    char path[512];

    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", directory, entry->d_name);
            assert_int_equal(unlink(path), 0);
        }
    }
    closedir(dir);
}

/* What was fetched once is there while the registry is down; what it does not have is not kept. */
static void test_cache(void **state)
{
    char directory[] = "/tmp/test_registry_XXXXXX", inside[64], text[1024], again[1024], url[80];
    struct mill_error err = {0};

    (void)state;
    assert_non_null(mkdtemp(directory));
    snprintf(inside, sizeof(inside), "%s/made", directory);
    server_start(answers);
    assert_int_equal(fetch(server.url, inside, 8, text, sizeof(text), &err), 0);
    assert_int_equal(atomic_load(&server.requests), 3);
    assert_int_equal(fetch(server.url, inside, 8, again, sizeof(again), &err), 0);
    assert_int_equal(atomic_load(&server.requests), 3);
    assert_string_equal(text, again);
    assert_int_equal(fetch(server.url, inside, 77, again, sizeof(again), &err), MILL_ENOINPUT);
    assert_int_equal(fetch(server.url, inside, 77, again, sizeof(again), &err), MILL_ENOINPUT);
    assert_int_equal(atomic_load(&server.requests), 5);
    server_stop();
    assert_int_equal(fetch(server.url, inside, 8, again, sizeof(again), &err), 0);
    assert_string_equal(text, again);
    assert_int_equal(fetch(server.url, inside, 1, again, sizeof(again), &err), MILL_EUNAVAIL);
    /* another registry has other schemas under the same ids; a slash behind its URL means nothing */
    snprintf(url, sizeof(url), "%s/", server.url);
    assert_int_equal(fetch(url, inside, 8, again, sizeof(again), &err), 0);
    assert_int_equal(fetch("http://127.0.0.1:1", inside, 8, again, sizeof(again), &err), MILL_EUNAVAIL);
    /* a file that is no answer is as good as none */
    DIR *dir = opendir(inside);
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            snprintf(again, sizeof(again), "%s/%s", inside, entry->d_name);
            FILE *file = fopen(again, "w");
            fputs("[\"half of a", file);
            fclose(file);
        }
    }
    closedir(dir);
    assert_int_equal(fetch(server.url, inside, 8, again, sizeof(again), &err), MILL_EUNAVAIL);
    remove_files(inside);
    rmdir(inside);
    rmdir(directory);
}

static void test_open_and_auth(void **state)
{
    struct mill__registry *registry;
    const struct mill_slice *texts;
    struct mill_arena arena;
    struct mill_error err;
    uint32_t count;

    (void)state;
    assert_int_equal(mill__registry_open("ftp://x", NULL, NULL, &registry, &err), MILL_ECONFIG);
    assert_string_equal(err.msg, "schema registry 'ftp://x': expected a URL such as http://127.0.0.1:8081");
    server_start(answers);
    server.authorization = "Authorization: Basic dXNlcjpwYXNz\r\n"; /* user:pass */
    mill_arena_init(&arena, 0);
    assert_int_equal(mill__registry_open(server.url, "user:pass", NULL, &registry, &err), 0);
    assert_int_equal(mill__registry_fetch(registry, number(1), &arena, &texts, &count, &err), 0);
    mill__registry_close(registry);
    assert_int_equal(mill__registry_open(server.url, "user:wrong", NULL, &registry, &err), 0);
    assert_int_equal(mill__registry_fetch(registry, number(1), &arena, &texts, &count, &err), MILL_EUNAVAIL);
    assert_non_null(strstr(err.msg, "refuses access (status 401); hint: check its user and password"));
    assert_null(strstr(err.msg, "wrong"));
    mill__registry_close(registry);
    mill_arena_clear(&arena);
    server_stop();
}

/* ---- the decoder ---- */

static void open_decoder(struct fixture *f, enum mill_framing framing)
{
    fixture_init(f, MILL_FORMAT_AVRO, "ts:timestamp v:int64");
    f->spec.avro_schema = mill_slice_of("{\"type\":\"record\",\"name\":\"R\",\"fields\":[{\"name\":\"ts\",\"type\":"
                                        "{\"type\":\"long\",\"logicalType\":\"timestamp-millis\"}},{\"name\":\"v\","
                                        "\"type\":\"long\"}]}");
    f->spec.framing = framing;
    f->spec.registry_url = server.url;
    fixture_open(f);
}

#define PREFIX(id) "\0\0\0\0" id
#define EPOCH      "[\"1970-01-01T00:00:00Z\","

static void test_decoder(void **state)
{
    struct fixture f;

    (void)state;
    server_start(answers);
    open_decoder(&f, MILL_FRAMING_CONFLUENT);
    assert_int_equal(atomic_load(&server.requests), 0);
    fixture_expect(&f, PREFIX("\x01") "\x00\x0a", 7, EPOCH "5]");
    fixture_expect(&f, PREFIX("\x01") "\x00\x0c", 7, EPOCH "6]");
    assert_int_equal(atomic_load(&server.requests), 1);
    fixture_expect(&f, PREFIX("\x02") "\x0a\x00", 7, EPOCH "5]");
    fixture_expect(&f,
                   PREFIX("\x08") "\x00\x0a"
                                  "xy",
                   9, EPOCH "5]");
    fixture_expect(&f, PREFIX("\x03") "\x0a\x00", 7,
                   "incompatible: schema 3: schema '/schemas/ids/3' of the registry is not an avro schema");
    fixture_expect(&f, PREFIX("\x04") "\x0a\x00", 7,
                   "incompatible: schema 4: field 'v' was written as string, which cannot be read as long");
    fixture_expect(&f, PREFIX("\x05") "\x0a\x00", 7,
                   "incompatible: schema 5: avro schema: not JSON: unexpected end of the text");
    int asked = atomic_load(&server.requests);
    for (int i = 0; i < 3; i++) { /* asked for once */
        struct mill_record record = {.value = {PREFIX("\x4d") "\x00\x00", 7}};
        assert_int_equal(fixture_decode(&f, &record, 1), 0);
        assert_int_equal(f.rejects.at[0].reason, MILL_REJECT_UNKNOWN_SCHEMA);
        assert_non_null(strstr(f.rejects.at[0].detail, "schema 77: schema registry 'http://127.0.0.1:"));
    }
    assert_int_equal(atomic_load(&server.requests), asked + 1);
    /* the registry fails: nothing is decoded, and the next try does it */
    struct mill_record records[2] = {{.value = {PREFIX("\x01") "\x00\x0a", 7}},
                                     {.value = {PREFIX("\x06") "\x00\x0a", 7}}};
    assert_int_equal(fixture_decode(&f, records, 2), MILL_EUNAVAIL);
    assert_non_null(strstr(f.err.msg, "schema 6: schema registry 'http://127.0.0.1:"));
    assert_int_equal(f.batch.row_count, 0);
    static const struct answer healed[] = {
        {"/schemas/ids/6", 200, "{\"schema\":\"" RECORD(TS "," FIELD("v", "int")) "\"}"}, {NULL, 0, NULL}};
    server.answers = healed;
    assert_int_equal(fixture_decode(&f, records, 2), 0);
    assert_int_equal(f.batch.row_count, 2);
    assert_string_equal(fixture_row(&f, 1), EPOCH "5]");
    server_stop();
    /* known ids need no registry */
    fixture_expect(&f, PREFIX("\x02") "\x0a\x00", 7, EPOCH "5]");
    fixture_clear(&f);
}

static void test_guids(void **state)
{
    static const char guid[] = "\x01\x01\x23\x45\x67\x89\xab\xcd\xef\x00\x11\x22\x33\x44\x55\x66\x77\x00\x0a";
    struct fixture f;

    (void)state;
    server_start(answers);
    open_decoder(&f, MILL_FRAMING_CONFLUENT);
    fixture_expect(&f, guid, 19, EPOCH "5]");
    fixture_clear(&f);
    open_decoder(&f, MILL_FRAMING_CONFLUENT_HEADER);
    struct mill_record record = {.value = {guid + 17, 2}, .schema_id = {guid, 17}};
    assert_int_equal(fixture_decode(&f, &record, 1), 0);
    assert_string_equal(fixture_row(&f, 0), EPOCH "5]");
    server_stop();
    fixture_clear(&f);
}

/* A producer that makes ids up costs a bounded number of requests, and known ids go on being decoded. */
static void test_flood_of_ids(void **state)
{
    enum { COUNT = 4096 };
    static char values[COUNT][7];
    static struct mill_record records[COUNT];
    struct fixture f;

    (void)state;
    server_start(answers);
    open_decoder(&f, MILL_FRAMING_CONFLUENT);
    for (uint32_t round = 0; round < 4; round++) {
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t id = __builtin_bswap32(i % 512 == 0 ? 1 : 1000 + round * COUNT + i);
            memcpy(values[i] + 1, &id, 4);
            memcpy(values[i] + 5, "\x00\x0a", 2);
            records[i].value = (struct mill_slice){values[i], 7};
        }
        assert_int_equal(fixture_decode(&f, records, COUNT), 0);
        assert_int_equal(f.rejects.count, COUNT - COUNT / 512);
        assert_string_equal(fixture_row(&f, 512), EPOCH "5]");
        assert_int_equal(f.rejects.at[100].reason, MILL_REJECT_UNKNOWN_SCHEMA);
    }
    assert_true(atomic_load(&server.requests) < 500);
    assert_non_null(strstr(f.rejects.at[4000].detail, "not asked for: too many unknown schema ids lately"));
    server_stop();
    fixture_clear(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),       cmocka_unit_test(test_references), cmocka_unit_test(test_cache),
        cmocka_unit_test(test_open_and_auth), cmocka_unit_test(test_decoder),    cmocka_unit_test(test_guids),
        cmocka_unit_test(test_flood_of_ids),
    };
    setenv("no_proxy", "127.0.0.1", 1);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
