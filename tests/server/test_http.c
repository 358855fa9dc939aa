/* SPDX-License-Identifier: Apache-2.0 */
/* The HTTP endpoint over real sockets: pages, errors, limits, and promtool's word on a live scrape. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <jansson.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "server/server.h"

struct fixture {
    struct mill_metrics *metrics;
    struct mill_server *server;
    _Atomic bool ready;
};

static bool is_ready(void *context, struct mill_buffer *why)
{
    struct fixture *f = context;
    if (!f->ready) {
        mill_buffer_add_string(why, "kafka is \"down\"");
    }
    return f->ready;
}

static int set_up(void **state)
{
    static const double bounds[] = {0.001, 0.1};
    static const char *const labels[] = {"topic", "a\\b\"c\n", NULL};
    struct fixture *f = mill_calloc(1, sizeof(*f));
    struct mill_error err;
    f->metrics = mill_metrics_new();
    mill_counter_add(mill_metrics_counter(f->metrics, "test_records_total", "Records read.", labels), 7);
    mill_gauge_set(mill_metrics_gauge(f->metrics, "test_lag", "Lag.", MILL_GAUGE_SUM, NULL), -1.5);
    mill_histogram_observe(mill_metrics_histogram(f->metrics, "test_duration_seconds", "Time.", bounds, 2, NULL), 0.05);
    struct mill_server_options options = {
        .listen = "127.0.0.1:0", .metrics = f->metrics, .is_ready = is_ready, .context = f};
    assert_int_equal(mill_server_open(&options, &f->server, &err), 0);
    assert_int_not_equal(mill_server_port(f->server), 0);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    mill_server_close(f->server);
    mill_metrics_free(f->metrics);
    free(f);
    return 0;
}

static int dial(const struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)mill_server_port(f->server))};
    struct timeval limit = {5, 0};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* Sends the bytes and reads until the server closes; returns the status, 0 where there was no answer. */
static int exchange(const struct fixture *f, const char *request, size_t size, struct mill_buffer *answer)
{
    int fd = dial(f), status = 0;
    mill_buffer_reset(answer);
    for (size_t sent = 0; sent < size;) {
        ssize_t n = send(fd, request + sent, size - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break; /* it hung up on us, which is an answer too */
        }
        sent += (size_t)n;
    }
    for (ssize_t n; (n = recv(fd, mill_buffer_reserve(answer, 65536), 65536, 0)) > 0;) {
        answer->n += (size_t)n;
    }
    close(fd);
    sscanf(mill_buffer_cstr(answer), "HTTP/1.1 %d", &status);
    return status;
}

static int ask(const struct fixture *f, const char *method, const char *path, struct mill_buffer *answer)
{
    char request[512];
    int n = snprintf(request, sizeof(request), "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);
    return exchange(f, request, (size_t)n, answer);
}

static const char *body_of(struct mill_buffer *answer)
{
    const char *body = strstr(mill_buffer_cstr(answer), "\r\n\r\n");
    assert_non_null(body);
    return body + 4;
}

static void assert_json(struct mill_buffer *answer, const char *key, json_t *expected)
{
    json_t *root = json_loads(body_of(answer), 0, NULL);
    assert_non_null(root);
    assert_non_null(strstr(mill_buffer_cstr(answer), "Content-Type: application/json\r\n"));
    assert_true(json_equal(json_object_get(root, key), expected));
    json_decref(expected);
    json_decref(root);
}

static void test_health(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer answer = {0};
    assert_int_equal(ask(f, "GET", "/health", &answer), 200);
    assert_json(&answer, "status", json_string("ok"));
    assert_int_equal(ask(f, "GET", "/v2/health/live", &answer), 200);
    assert_json(&answer, "live", json_true());
    f->ready = false;
    assert_int_equal(ask(f, "GET", "/v2/health/ready", &answer), 503);
    assert_json(&answer, "ready", json_false());
    assert_json(&answer, "reason", json_string("kafka is \"down\""));
    f->ready = true;
    assert_int_equal(ask(f, "GET", "/v2/health/ready?verbose=1", &answer), 200);
    assert_json(&answer, "ready", json_true());
    assert_int_equal(ask(f, "GET", "/version", &answer), 200);
    assert_json(&answer, "name", json_string("tidemill"));
    mill_buffer_clear(&answer);
}

static void test_errors(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer answer = {0};
    assert_int_equal(ask(f, "GET", "/", &answer), 404);
    assert_non_null(strstr(body_of(&answer), "\"error\""));
    assert_int_equal(ask(f, "GET", "/metricsx", &answer), 404);
    assert_int_equal(ask(f, "GET", "/%2e%2e/etc/passwd", &answer), 404);
    assert_int_equal(ask(f, "POST", "/health", &answer), 405);
    assert_non_null(strstr(mill_buffer_cstr(&answer), "Allow: GET, HEAD\r\n"));
    assert_int_equal(ask(f, "DELETE", "/metrics", &answer), 405);
    assert_int_equal(ask(f, "HEAD", "/metrics", &answer), 200);
    assert_string_equal(body_of(&answer), "");
    mill_buffer_clear(&answer);
}

/* Whatever comes, the server goes on. */
static void test_hostile_requests(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer answer = {0}, request = {0};
    static const char *const texts[] = {"\r\n\r\n", "GET\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n",
                                        "GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
                                        "GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        int fd = dial(f);
        assert_true(send(fd, texts[i], strlen(texts[i]), MSG_NOSIGNAL) > 0);
        close(fd); /* without waiting for the answer */
    }
    mill_buffer_add_string(&request, "GET /");
    for (int i = 0; i < 100000; i++) {
        mill_buffer_add_byte(&request, 'a');
    }
    mill_buffer_add_string(&request, " HTTP/1.1\r\nHost: x\r\n\r\n");
    int status = exchange(f, request.p, request.n, &answer);
    assert_true(status == 0 || (status >= 400 && status < 500));
    mill_buffer_reset(&request);
    mill_buffer_add_string(&request, "POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n");
    for (int i = 0; i < 100000; i++) {
        mill_buffer_add_byte(&request, 'a');
    }
    status = exchange(f, request.p, request.n, &answer);
    assert_true(status == 0 || status == 405);
    assert_int_equal(ask(f, "GET", "/health", &answer), 200);
    mill_buffer_clear(&answer);
    mill_buffer_clear(&request);
}

/* More connections than there is room for: the late ones wait, and room comes back. */
static void test_connection_limit(void **state)
{
    enum { MANY = 120 }; /* what is over the limit waits in the backlog */
    struct fixture *f = *state;
    struct mill_buffer answer = {0};
    int fds[MANY], status = 0;
    for (int i = 0; i < MANY; i++) {
        fds[i] = dial(f);
    }
    for (int i = 0; i < MANY; i++) {
        close(fds[i]);
    }
    for (int i = 0; i < 100 && status != 200; i++) {
        status = ask(f, "GET", "/health", &answer);
        usleep(10000);
    }
    assert_int_equal(status, 200);
    mill_buffer_clear(&answer);
}

static void test_metrics(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer answer = {0};
    assert_int_equal(ask(f, "GET", "/metrics", &answer), 200);
    assert_non_null(strstr(mill_buffer_cstr(&answer), "Content-Type: text/plain; version=0.0.4"));
    assert_int_equal(ask(f, "GET", "/metrics", &answer), 200);
    const char *body = body_of(&answer);
    assert_non_null(strstr(body, "mill_test_records_total{topic=\"a\\\\b\\\"c\\n\"} 7\n"));
    assert_non_null(strstr(body, "mill_http_requests_total{path=\"/metrics\"} 2\n"));
    assert_int_equal(body[strlen(body) - 1], '\n');
    mill_buffer_clear(&answer);
}

static void test_promtool(void **state)
{
    struct fixture *f = *state;
    struct mill_buffer answer = {0};
    if (system("command -v promtool >/dev/null") != 0) {
        print_message("promtool is not installed (Debian package prometheus); its check is left out\n");
        skip();
    }
    assert_int_equal(ask(f, "GET", "/metrics", &answer), 200);
    const char *body = body_of(&answer);
    FILE *pipe = popen("promtool check metrics", "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(body, 1, strlen(body), pipe), strlen(body));
    assert_int_equal(pclose(pipe), 0);
    mill_buffer_clear(&answer);
}

static void *scrape_often(void *context)
{
    struct fixture *f = context;
    struct mill_buffer answer = {0};
    for (int i = 0; i < 50; i++) {
        assert_int_equal(ask(f, "GET", i % 2 == 0 ? "/metrics" : "/v2/health/ready", &answer), 200);
    }
    mill_buffer_clear(&answer);
    return NULL;
}

static void test_many_clients(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[4];
    f->ready = true;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, scrape_often, f), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void test_listen_errors(void **state)
{
    struct fixture *f = *state;
    struct mill_server *server;
    struct mill_error err;
    char taken[64];
    static const char *const wrong[] = {"", "6566", ":6566", "127.0.0.1:", "127.0.0.1:99999"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct mill_server_options options = {.listen = wrong[i]};
        assert_int_equal(mill_server_open(&options, &server, &err), MILL_ECONFIG);
        assert_non_null(strstr(err.msg, "cannot listen on"));
    }
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", mill_server_port(f->server));
    struct mill_server_options options = {.listen = taken};
    assert_int_equal(mill_server_open(&options, &server, &err), MILL_EIO);
    assert_non_null(strstr(err.msg, "hint: another process has the port"));
    options.listen = "[::1]:0";
    if (mill_server_open(&options, &server, &err) == MILL_OK) { /* where the machine has IPv6 */
        assert_int_not_equal(mill_server_port(server), 0);
        mill_server_close(server);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_health, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_requests, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_connection_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_metrics, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_promtool, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_many_clients, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_listen_errors, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
