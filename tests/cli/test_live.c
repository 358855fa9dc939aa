/* SPDX-License-Identifier: Apache-2.0 */
/* healthcheck and top against a server of this process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "server/server.h"
#include "tests/cli/command.h"

static _Atomic bool ready;

static bool is_ready(void *context, struct mill_buffer *why)
{
    (void)context;
    if (!ready) {
        mill_buffer_add_string(why, "restoring");
    }
    return ready;
}

static struct mill_metrics *metrics;
static struct mill_server *server;
static struct mill_metric *records;
static char url[64];
static const double bounds[] = {0.001, 0.01, 0.1};

static int set_up(void **state)
{
    static const char *const labels[] = {"topic", "shop.orders", NULL};
    static const char *const zero[] = {"topic", "shop.orders", "partition", "0", NULL};
    static const char *const one[] = {"topic", "shop.orders", "partition", "1", NULL};
    static const char *const view[] = {"view", "user_orders", NULL};
    struct mill_error err;
    if (command_set_up(state) != 0) {
        return -1;
    }
    metrics = mill_metrics_new();
    records = mill_metrics_counter(metrics, "ingest_records_total", "Records.", labels);
    mill_counter_add(records, 12345);
    mill_gauge_set(mill_metrics_gauge(metrics, "ingest_lag_records", "Lag.", MILL_GAUGE_SUM, zero), 30);
    mill_gauge_set(mill_metrics_gauge(metrics, "ingest_lag_records", "Lag.", MILL_GAUGE_SUM, one), 12);
    mill_gauge_set(mill_metrics_gauge(metrics, "ingest_watermark_timestamp_seconds", "T.", MILL_GAUGE_MAX, zero), 90);
    mill_gauge_set(mill_metrics_gauge(metrics, "ingest_watermark_timestamp_seconds", "T.", MILL_GAUGE_MAX, one), 60);
    mill_counter_add(mill_metrics_counter(metrics, "feature_rows_total", "Rows.", view), 12000);
    mill_metrics_histogram(metrics, "event_latency_seconds", "L.", bounds, 3, NULL);
    struct mill_metric *batch = mill_metrics_histogram(metrics, "batch_duration_seconds", "B.", bounds, 3, NULL);
    for (int i = 0; i < 100; i++) {
        mill_histogram_observe(batch, i < 90 ? bounds[0] / 2 : (bounds[0] + bounds[1]) / 2);
    }
    struct mill_server_options options = {.listen = "127.0.0.1:0", .metrics = metrics, .is_ready = is_ready};
    assert_int_equal(mill_server_open(&options, &server, &err), 0);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u", mill_server_port(server));
    return 0;
}

static int tear_down(void **state)
{
    mill_server_close(server);
    mill_metrics_free(metrics);
    return command_tear_down(state);
}

static void write_project(unsigned port)
{
    char text[512];
    snprintf(text, sizeof(text),
             "project: shop\nserver: {listen: \"0.0.0.0:%u\"}\n"
             "sources:\n  - {name: orders, fields: {at: timestamp}, timestamp_field: at}\n",
             port);
    command_write_file("tidemill.yaml", text);
}

static void test_healthcheck(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    ready = false;
    command_run(&c, "healthcheck", "--url", url, NULL);
    assert_int_equal(c.status, 1);
    assert_non_null(strstr(mill_buffer_cstr(&c.out), "not ready: {\"ready\":false,\"reason\":\"restoring\"}"));
    command_run(&c, "healthcheck", "--live", "--url", url, NULL);
    assert_int_equal(c.status, 0);
    ready = true;
    write_project(mill_server_port(server)); /* an engine on all addresses is asked on the loopback */
    command_run(&c, "healthcheck", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    assert_true(json_is_true(json_object_get(root, "healthy")));
    json_decref(root);
    write_project(1);
    command_run(&c, "healthcheck", "--timeout", "500", NULL);
    assert_int_equal(c.status, 69);
    assert_non_null(strstr(mill_buffer_cstr(&c.err), "nobody answers at 'http://127.0.0.1:1/v2/health/ready'"));
    command_clear(&c);
}

static void test_top(void **state)
{
    struct command c = {.status = -1};
    (void)state;
    ready = true;
    command_run(&c, "top", "--url", url, "--once", "--interval", "0.2", "--format", "json", NULL);
    assert_int_equal(c.status, 0);
    json_t *root = json_loads(mill_buffer_cstr(&c.out), 0, NULL);
    json_t *topic = json_array_get(json_object_get(root, "topics"), 0);
    assert_true(json_is_true(json_object_get(root, "ready")));
    assert_string_equal(json_string_value(json_object_get(topic, "topic")), "shop.orders");
    assert_int_equal(json_integer_value(json_object_get(topic, "records")), 12345);
    assert_int_equal(json_integer_value(json_object_get(topic, "records_per_second")), 0);
    assert_int_equal(json_integer_value(json_object_get(topic, "lag")), 42);
    assert_int_equal(json_integer_value(json_object_get(topic, "watermark_timestamp_seconds")), 60);
    assert_true(json_is_null(json_object_get(json_object_get(root, "event_latency_seconds"), "p50")));
    /* Nothing came between the two scrapes: what was counted before them is shown, and is marked. */
    json_t *batch = json_object_get(root, "batch_duration_seconds");
    double p50 = json_real_value(json_object_get(batch, "p50")), p99 = json_real_value(json_object_get(batch, "p99"));
    assert_true(json_is_true(json_object_get(batch, "since_start")));
    assert_true(p50 > 0 && p50 <= bounds[0]);
    assert_true(p99 > bounds[0] && p99 <= bounds[1]);
    json_decref(root);

    command_run(&c, "top", "--url", url, "--interval", "0.1", NULL); /* no terminal: one snapshot */
    assert_int_equal(c.status, 0);
    assert_non_null(strstr(mill_buffer_cstr(&c.out), "shop.orders                              12,345"));
    assert_non_null(strstr(mill_buffer_cstr(&c.out), "1970-01-01T00:01:00Z"));
    assert_non_null(strstr(mill_buffer_cstr(&c.out), "(since the start)"));
    assert_null(strchr(mill_buffer_cstr(&c.out), '\033'));
    command_run(&c, "top", "--url", "http://127.0.0.1:1", "--once", NULL);
    assert_int_equal(c.status, 69);
    command_clear(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_healthcheck), cmocka_unit_test(test_top)};
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
