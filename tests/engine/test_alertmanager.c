/* SPDX-License-Identifier: Apache-2.0 */
/* Alerts to a double of Alertmanager's API v2: what it is told, how often, and what happens where it does not answer.
 * The double refuses what the real one's openapi.yaml does not allow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <jansson.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/timestamp.h"
#include "engine/alertmanager_internal.h"

/* ---- the double ---- */

enum { REQUEST_MAX = 32 << 20 };

static struct {
    int socket;
    char url[64];
    pthread_t thread;
    atomic_bool stop;
    atomic_int failures_left; /* answers 500 to so many requests */
    pthread_mutex_t lock;
    json_t *alerts; /* of the last good request */
    int requests, refused;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool is_time(const json_t *value)
{
    int64_t us;
    const char *text = json_string_value(value);
    return text != NULL && mill_timestamp_parse(mill_slice_of(text), &us) == 0;
}

static bool is_string_map(const json_t *map)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)map, key, value)
    {
        if (!json_is_string(value)) {
            return false;
        }
    }
    return json_is_object(map);
}

static bool is_valid(const json_t *alerts)
{
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *a = json_array_get(alerts, i);
        if (!is_string_map(json_object_get(a, "labels")) || !is_string_map(json_object_get(a, "annotations")) ||
            !is_time(json_object_get(a, "startsAt")) || !is_time(json_object_get(a, "endsAt")) ||
            json_object_get(json_object_get(a, "labels"), "alertname") == NULL) {
            return false;
        }
    }
    return json_is_array(alerts);
}

/* The whole request, or NULL. */
static char *read_request(int fd)
{
    char *request = calloc(1, REQUEST_MAX);
    size_t n = 0;

    for (;;) {
        ssize_t got = recv(fd, request + n, REQUEST_MAX - 1 - n, 0);
        if (got <= 0) {
            free(request);
            return NULL;
        }
        n += (size_t)got;
        const char *length = strstr(request, "Content-Length: "), *body = strstr(request, "\r\n\r\n");
        if (length != NULL && body != NULL && (size_t)(request + n - body - 4) >= strtoul(length + 16, NULL, 10)) {
            return request;
        }
    }
}

static int judge(const char *request)
{
    json_error_t bad;

    if (atomic_load(&server.failures_left) > 0) {
        atomic_fetch_sub(&server.failures_left, 1);
        return 500;
    }
    json_t *alerts = json_loads(strstr(request, "\r\n\r\n") + 4, 0, &bad);
    if (strncmp(request, "POST /api/v2/alerts HTTP/1.1\r\n", 30) != 0 ||
        strstr(request, "Authorization: Basic bWlsbDpzM2NyZXQ=\r\n") == NULL ||
        strstr(request, "Content-Type: application/json\r\n") == NULL || alerts == NULL || !is_valid(alerts)) {
        server.refused++;
        json_decref(alerts);
        return 400;
    }
    json_decref(server.alerts);
    server.alerts = alerts;
    return 200;
}

static void serve_one(int fd)
{
    char head[128], *request = read_request(fd);

    if (request != NULL) {
        pthread_mutex_lock(&server.lock);
        server.requests++;
        int status = judge(request);
        pthread_mutex_unlock(&server.lock);
        int n = snprintf(head, sizeof(head), "HTTP/1.1 %d X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", status);
        assert_int_equal(send(fd, head, (size_t)n, MSG_NOSIGNAL), n);
        free(request);
    }
    close(fd);
}

static void *serve(void *context)
{
    (void)context;
    while (!atomic_load(&server.stop)) {
        struct pollfd wait = {.fd = server.socket, .events = POLLIN};
        if (poll(&wait, 1, 10) == 1) {
            serve_one(accept(server.socket, NULL, NULL));
        }
    }
    return NULL;
}

/* port 0: any. */
static void server_start(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    int yes = 1;

    server.socket = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(server.socket, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
    assert_int_equal(bind(server.socket, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(server.socket, 16), 0);
    assert_int_equal(getsockname(server.socket, (struct sockaddr *)&address, &size), 0);
    snprintf(server.url, sizeof(server.url), "http://mill:s3cret@127.0.0.1:%u/", ntohs(address.sin_port));
    atomic_store(&server.stop, false);
    atomic_store(&server.failures_left, 0);
    server.requests = server.refused = 0;
    assert_int_equal(pthread_create(&server.thread, NULL, serve, NULL), 0);
}

static void server_stop(void)
{
    atomic_store(&server.stop, true);
    pthread_join(server.thread, NULL);
    close(server.socket);
    assert_int_equal(server.refused, 0);
    json_decref(server.alerts);
    server.alerts = NULL;
}

static int server_requests(void)
{
    pthread_mutex_lock(&server.lock);
    int n = server.requests;
    pthread_mutex_unlock(&server.lock);
    return n;
}

/* The alert of that severity in the last request: 1 fires, 0 is over, -1 is not there. */
static int state_of(const char *severity)
{
    int state = -1;
    int64_t ends_us;

    pthread_mutex_lock(&server.lock);
    for (size_t i = 0; i < json_array_size(server.alerts); i++) {
        const json_t *a = json_array_get(server.alerts, i), *labels = json_object_get(a, "labels");
        if (strcmp(json_string_value(json_object_get(labels, "severity")), severity) == 0) {
            const char *ends = json_string_value(json_object_get(a, "endsAt"));
            assert_int_equal(mill_timestamp_parse(mill_slice_of(ends), &ends_us), 0);
            state = ends_us > mill_clock_wall_us() ? 1 : 0;
        }
    }
    pthread_mutex_unlock(&server.lock);
    return state;
}

static void wait_for(const char *severity, int state)
{
    for (int i = 0; i < 1000 && state_of(severity) != state; i++) {
        usleep(10000);
    }
    assert_int_equal(state_of(severity), state);
}

/* ---- alerts ---- */

static struct mill_profile_feature feature = {.name = "dep_delay", .kind = MILL_DRIFT_NUMERIC};
static struct mill_profile profile = {.features = &feature, .feature_count = 1};
static struct mill_drift_result result = {
    .feature = &feature, .segment = UINT32_MAX, .reason = "psi", .value = 0.3, .threshold = 0.25};
static struct mill_drift_report report = {.monitor = "late",
                                          .model = "late_arrival",
                                          .model_version = "1",
                                          .profile = &profile,
                                          .result_count = 1,
                                          .results = &result,
                                          .row_count = 1234,
                                          .performance_reason = "auc",
                                          .performance_value = 0.7,
                                          .performance_threshold = 0.78};

static struct mill_drift_alert alert_of(enum mill_alert_status status, enum mill_severity severity)
{
    return (struct mill_drift_alert){.id = "0123",
                                     .fingerprint = "00112233aabbccdd",
                                     .status = status,
                                     .severity = severity,
                                     .report = &report,
                                     .result = &result};
}

static struct mill__alertmanager *open_client(int64_t resend_us, int64_t keep_us)
{
    struct mill__alertmanager_options options = {
        .url = server.url, .project = "flights", .resend_us = resend_us, .keep_resolved_us = keep_us};
    struct mill__alertmanager *am;
    struct mill_error err;

    assert_int_equal(mill__alertmanager_open(&options, &am, &err), 0);
    return am;
}

static void put(struct mill__alertmanager *am, enum mill_alert_status status, enum mill_severity severity)
{
    struct mill_drift_alert alert = alert_of(status, severity);
    mill__alertmanager_put(am, &alert);
}

static void test_life_of_an_alert(void **state)
{
    (void)state;
    server_start(0);
    struct mill__alertmanager *am = open_client(50000, 200000);
    put(am, MILL_ALERT_FIRING, MILL_SEVERITY_MINOR);
    wait_for("warning", 1);
    pthread_mutex_lock(&server.lock);
    const json_t *a = json_array_get(server.alerts, 0), *labels = json_object_get(a, "labels");
    assert_string_equal(json_string_value(json_object_get(labels, "alertname")), "TidemillDrift");
    assert_string_equal(json_string_value(json_object_get(labels, "project")), "flights");
    assert_string_equal(json_string_value(json_object_get(labels, "monitor")), "late");
    assert_string_equal(json_string_value(json_object_get(labels, "model")), "late_arrival");
    assert_string_equal(json_string_value(json_object_get(labels, "feature")), "dep_delay");
    assert_null(json_object_get(labels, "segment"));
    assert_string_equal(json_string_value(json_object_get(json_object_get(a, "annotations"), "summary")),
                        "dep_delay of model late_arrival: psi 0.3, threshold 0.25");
    pthread_mutex_unlock(&server.lock);

    int before = server_requests();
    for (int i = 0; i < 1000 && server_requests() < before + 3; i++) { /* said again while it fires */
        usleep(10000);
    }
    assert_true(server_requests() >= before + 3);

    put(am, MILL_ALERT_ESCALATED, MILL_SEVERITY_MAJOR);
    wait_for("critical", 1);
    assert_int_equal(state_of("warning"), 0);
    put(am, MILL_ALERT_RESOLVED, MILL_SEVERITY_NONE);
    wait_for("critical", 0);
    usleep(500000); /* longer than resolved ones are kept: then there is nothing to say */
    int quiet = server_requests();
    usleep(300000);
    assert_int_equal(server_requests(), quiet);
    mill__alertmanager_close(am);
    server_stop();
}

static void test_trouble(void **state)
{
    (void)state;
    server_start(0);
    struct mill__alertmanager *am = open_client(10000000, 10000000);
    atomic_store(&server.failures_left, 2);
    put(am, MILL_ALERT_FIRING, MILL_SEVERITY_MAJOR);
    wait_for("critical", 1); /* after two answers of 500 */
    assert_true(server_requests() >= 3);
    mill__alertmanager_close(am);
    server_stop();
}

static void test_down_at_start(void **state)
{
    unsigned port = 0;

    (void)state;
    server_start(0); /* a port of our own */
    assert_int_equal(sscanf(server.url, "http://mill:s3cret@127.0.0.1:%u/", &port), 1);
    struct mill__alertmanager *am = open_client(10000000, 10000000);
    server_stop();
    put(am, MILL_ALERT_FIRING, MILL_SEVERITY_MAJOR);
    usleep(200000);
    server_start((uint16_t)port);
    wait_for("critical", 1);
    mill__alertmanager_close(am);
    server_stop();
}

static void test_sent_at_close(void **state)
{
    (void)state;
    server_start(0);
    struct mill__alertmanager *am = open_client(10000000, 10000000);
    put(am, MILL_ALERT_FIRING, MILL_SEVERITY_MINOR);
    mill__alertmanager_close(am);
    assert_int_equal(state_of("warning"), 1);
    server_stop();
}

static void test_performance_and_bounds(void **state)
{
    struct mill_drift_alert alert = alert_of(MILL_ALERT_FIRING, MILL_SEVERITY_MAJOR);

    (void)state;
    server_start(0);
    struct mill__alertmanager *am = open_client(10000000, 10000000);
    alert.result = NULL;
    mill__alertmanager_put(am, &alert);
    wait_for("critical", 1);
    pthread_mutex_lock(&server.lock);
    const json_t *a = json_array_get(server.alerts, 0);
    assert_string_equal(json_string_value(json_object_get(json_object_get(a, "labels"), "alertname")),
                        "TidemillPerformance");
    assert_string_equal(json_string_value(json_object_get(json_object_get(a, "annotations"), "summary")),
                        "performance of model late_arrival: auc 0.7, threshold 0.78");
    pthread_mutex_unlock(&server.lock);
    for (int i = 0; i < MILL__ALERTS_MAX + 100; i++) {
        snprintf(alert.fingerprint, sizeof(alert.fingerprint), "%016x", i);
        mill__alertmanager_put(am, &alert);
    }
    mill__alertmanager_close(am);
    pthread_mutex_lock(&server.lock);
    assert_true(json_array_size(server.alerts) <= MILL__ALERTS_MAX);
    pthread_mutex_unlock(&server.lock);
    json_decref(server.alerts);
    server.alerts = NULL;
    server_stop();
}

static void test_no_url(void **state)
{
    struct mill__alertmanager_options options = {.url = "ftp://x", .project = "p"};
    struct mill__alertmanager *am = NULL;
    struct mill_error err;

    (void)state;
    assert_int_equal(mill__alertmanager_open(&options, &am, &err), MILL_ECONFIG);
    assert_string_equal(err.msg, "alertmanager 'ftp://x': expected a URL such as http://127.0.0.1:9093");
    mill__alertmanager_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_an_alert), cmocka_unit_test(test_trouble),
        cmocka_unit_test(test_down_at_start),    cmocka_unit_test(test_sent_at_close),
        cmocka_unit_test(test_no_url),           cmocka_unit_test(test_performance_and_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
