/* SPDX-License-Identifier: Apache-2.0 */
/* base/metrics.h: merging and layout by golden text, promtool as the judge of the format, and owners that update
 * while a reader reads (for ThreadSanitizer). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/metrics.h"

static const double bounds[] = {0.01, 0.1, 1};

/* Text without the process_* families, which change from run to run and stand last. */
static const char *own_text(struct mill_metrics *m, struct mill_buffer *out)
{
    mill_buffer_reset(out);
    mill_metrics_write_prometheus(m, out);
    (void)mill_buffer_cstr(out);
    char *process = strstr(out->p, "# HELP process_");
    assert_non_null(process);
    *process = '\0';
    return out->p;
}

static void families_are_merged_and_sorted(void **state)
{
    (void)state;
    struct mill_metrics *m = mill_metrics_new();
    struct mill_buffer out = {0};
    static const char *const a[] = {"source", "a", NULL};
    static const char *const b[] = {"source", "b", "reason", "late", NULL};

    struct mill_metric *a1 = mill_metrics_counter(m, "records_total", "Records read.", a);
    struct mill_metric *a2 = mill_metrics_counter(m, "records_total", "Records read.", a);
    struct mill_metric *b1 = mill_metrics_counter(m, "records_total", "Records read.", b);
    struct mill_metric *least1 = mill_metrics_gauge(m, "least", "The least.", MILL_GAUGE_MIN, NULL);
    struct mill_metric *least2 = mill_metrics_gauge(m, "least", "The least.", MILL_GAUGE_MIN, NULL);
    struct mill_metric *most1 = mill_metrics_gauge(m, "most", "The most.", MILL_GAUGE_MAX, NULL);
    struct mill_metric *most2 = mill_metrics_gauge(m, "most", "The most.", MILL_GAUGE_MAX, NULL);
    struct mill_metric *sum1 = mill_metrics_gauge(m, "all", "All.\nBy \\ sum.", MILL_GAUGE_SUM, NULL);
    struct mill_metric *sum2 = mill_metrics_gauge(m, "all", "All.\nBy \\ sum.", MILL_GAUGE_SUM, NULL);
    struct mill_metric *unset = mill_metrics_gauge(m, "nobody", "Never set.", MILL_GAUGE_MIN, NULL);
    struct mill_metric *h1 = mill_metrics_histogram(m, "flush_seconds", "Time of a flush.", bounds, 3, a);
    struct mill_metric *h2 = mill_metrics_histogram(m, "flush_seconds", "Time of a flush.", bounds, 3, a);

    mill_counter_add(a1, 3);
    mill_counter_add(a2, 4);
    mill_counter_add(a2, UINT64_C(1) << 60);
    mill_counter_add(b1, 0);
    mill_gauge_set(least1, 7);
    mill_gauge_set(most1, -7);
    mill_gauge_set(most2, -8);
    mill_gauge_set(sum1, 1.5);
    mill_gauge_set(sum2, 1);
    mill_histogram_observe(h1, 0.01); /* a bound belongs to its bucket */
    mill_histogram_observe(h1, 0.011);
    mill_histogram_observe(h2, 0.5);
    mill_histogram_observe(h2, 5);
    mill_histogram_observe(h2, (double)NAN);

    assert_string_equal(own_text(m, &out), "# HELP mill_all All.\\nBy \\\\ sum.\n"
                                           "# TYPE mill_all gauge\n"
                                           "mill_all 2.5\n"
                                           "# HELP mill_flush_seconds Time of a flush.\n"
                                           "# TYPE mill_flush_seconds histogram\n"
                                           "mill_flush_seconds_bucket{source=\"a\",le=\"0.01\"} 1\n"
                                           "mill_flush_seconds_bucket{source=\"a\",le=\"0.1\"} 2\n"
                                           "mill_flush_seconds_bucket{source=\"a\",le=\"1.0\"} 3\n"
                                           "mill_flush_seconds_bucket{source=\"a\",le=\"+Inf\"} 4\n"
                                           "mill_flush_seconds_sum{source=\"a\"} 5.521\n"
                                           "mill_flush_seconds_count{source=\"a\"} 4\n"
                                           "# HELP mill_least The least.\n"
                                           "# TYPE mill_least gauge\n"
                                           "mill_least 7.0\n"
                                           "# HELP mill_most The most.\n"
                                           "# TYPE mill_most gauge\n"
                                           "mill_most -7.0\n"
                                           "# HELP mill_nobody Never set.\n"
                                           "# TYPE mill_nobody gauge\n"
                                           "# HELP mill_records_total Records read.\n"
                                           "# TYPE mill_records_total counter\n"
                                           "mill_records_total{source=\"a\"} 1152921504606846983\n"
                                           "mill_records_total{source=\"b\",reason=\"late\"} 0\n");
    assert_true(mill_gauge_value(unset) == 0 && mill_gauge_value(least2) == 0 && mill_gauge_value(least1) == 7);
    assert_true(mill_counter_value(a1) == 3);
    mill_gauge_set(least2, -INFINITY);
    mill_gauge_set(most2, INFINITY);
    mill_gauge_set(unset, -(double)NAN);
    assert_true(isnan(mill_gauge_value(unset)));
    own_text(m, &out);
    assert_non_null(strstr(out.p, "mill_least -Inf\n"));
    assert_non_null(strstr(out.p, "mill_most +Inf\n"));
    assert_non_null(strstr(out.p, "mill_nobody NaN\n"));
    mill_gauge_unset(least2);
    mill_gauge_unset(unset);
    own_text(m, &out);
    assert_non_null(strstr(out.p, "mill_least 7.0\n"));
    assert_null(strstr(out.p, "\nmill_nobody "));
    mill_buffer_clear(&out);
    mill_metrics_free(m);
    mill_metrics_free(NULL);
}

static void quantiles(void **state)
{
    (void)state;
    struct mill_metrics *m = mill_metrics_new();
    struct mill_metric *h = mill_metrics_histogram(m, "h", "H.", bounds, 3, NULL);
    assert_true(isnan(mill_histogram_quantile(h, 0.5)));
    for (unsigned i = 0; i < 10; i++) {
        mill_histogram_observe(h, 0.05);
    }
    assert_true(fabs(mill_histogram_quantile(h, 0) - 0.01) < 1e-12);
    assert_true(fabs(mill_histogram_quantile(h, 0.5) - 0.055) < 1e-12);
    assert_true(fabs(mill_histogram_quantile(h, 1) - 0.1) < 1e-12);
    for (unsigned i = 0; i < 10; i++) {
        mill_histogram_observe(h, 0.001);
    }
    assert_true(fabs(mill_histogram_quantile(h, 0.25) - 0.005) < 1e-12);
    assert_true(fabs(mill_histogram_quantile(h, 0.75) - 0.055) < 1e-12);
    for (unsigned i = 0; i < 80; i++) {
        mill_histogram_observe(h, 1000);
    }
    assert_true(mill_histogram_quantile(h, 0.99) == 1);
    assert_true(isnan(mill_histogram_quantile(h, 1.5)));
    mill_metrics_free(m);
}

static void collect(const char *name, const char *labels, double value, void *context)
{
    mill_buffer_printf(context, "%s%s=%g;", name, labels, value);
}

static void each_series(void **state)
{
    (void)state;
    struct mill_metrics *m = mill_metrics_new();
    struct mill_buffer out = {0};
    static const char *const labels[] = {"k", "a\"b\\c\nd", NULL};
    mill_counter_add(mill_metrics_counter(m, "x_total", "X.", labels), 2);
    mill_counter_add(mill_metrics_counter(m, "x_total", "X.", labels), 3);
    mill_gauge_set(mill_metrics_gauge(m, "g", "G.", MILL_GAUGE_SUM, NULL), 0.5);
    mill_histogram_observe(mill_metrics_histogram(m, "h", "H.", bounds, 3, NULL), 2);
    mill_metrics_each(m, collect, &out);
    assert_string_equal(mill_buffer_cstr(&out),
                        "mill_g=0.5;mill_h_count=1;mill_h_sum=2;mill_x_total{k=\"a\\\"b\\\\c\\nd\"}=5;");
    mill_buffer_clear(&out);
    mill_metrics_free(m);
}

/* The format's own checker, with labels that need escapes and with the process_* families. */
static void promtool_accepts(void **state)
{
    (void)state;
    if (system("command -v promtool >/dev/null 2>&1") != 0) {
        print_message("skipped: promtool is not installed\n");
        skip();
    }
    struct mill_metrics *m = mill_metrics_new();
    struct mill_buffer out = {0};
    static const char *const labels[] = {"view", "a\"b\\c\nd\xc3\xa9", "source", "", NULL};
    mill_counter_add(mill_metrics_counter(m, "records_total", "Records read.", labels), 2);
    mill_gauge_set(mill_metrics_gauge(m, "lag_records", "Behind.", MILL_GAUGE_SUM, labels), 1e300);
    mill_gauge_set(mill_metrics_gauge(m, "watermark_timestamp_seconds", "Newest.", MILL_GAUGE_MIN, NULL), NAN);
    mill_histogram_observe(mill_metrics_histogram(m, "flush_seconds", "Time of\na flush.", bounds, 3, labels), 2);
    mill_metrics_write_prometheus(m, &out);

    FILE *pipe = popen("promtool check metrics", "w");
    assert_non_null(pipe);
    assert_int_equal(fwrite(out.p, 1, out.n, pipe), out.n);
    assert_int_equal(pclose(pipe), 0);
    static const char *const process[] = {"process_cpu_seconds_total ",
                                          "process_open_fds ",
                                          "process_max_fds ",
                                          "process_virtual_memory_bytes ",
                                          "process_resident_memory_bytes ",
                                          "process_start_time_seconds "};
    for (size_t i = 0; i < sizeof(process) / sizeof(process[0]); i++) {
        char line_start[64];
        snprintf(line_start, sizeof(line_start), "\n%s", process[i]);
        const char *line = strstr(mill_buffer_cstr(&out), line_start);
        assert_non_null(line);
        assert_true(strtod(line + strlen(line_start), NULL) > 0);
    }
    mill_buffer_clear(&out);
    mill_metrics_free(m);
}

enum { OWNERS = 3, UPDATES = 60000 };

static void *own(void *context)
{
    struct mill_metrics *m = context;
    struct mill_metric *c = mill_metrics_counter(m, "shared_total", "Of all threads.", NULL);
    struct mill_metric *g = mill_metrics_gauge(m, "shared", "Of all threads.", MILL_GAUGE_SUM, NULL);
    struct mill_metric *h = mill_metrics_histogram(m, "shared_seconds", "Of all threads.", bounds, 3, NULL);
    for (unsigned i = 1; i <= UPDATES; i++) {
        mill_counter_add(c, 1);
        mill_gauge_set(g, i);
        mill_histogram_observe(h, i % 2 == 0 ? 0.25 : 2);
    }
    return NULL;
}

static void threads_update_while_one_reads(void **state)
{
    (void)state;
    struct mill_metrics *m = mill_metrics_new();
    struct mill_buffer out = {0};
    pthread_t owners[OWNERS];
    for (unsigned i = 0; i < OWNERS; i++) {
        assert_int_equal(pthread_create(&owners[i], NULL, own, m), 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        mill_buffer_reset(&out);
        mill_metrics_write_prometheus(m, &out);
    }
    for (unsigned i = 0; i < OWNERS; i++) {
        assert_int_equal(pthread_join(owners[i], NULL), 0);
    }
    own_text(m, &out);
    assert_non_null(strstr(out.p, "mill_shared_total 180000\n"));
    assert_non_null(strstr(out.p, "mill_shared 180000.0\n"));
    assert_non_null(strstr(out.p, "mill_shared_seconds_bucket{le=\"1.0\"} 90000\n"));
    assert_non_null(strstr(out.p, "mill_shared_seconds_count 180000\n"));
    assert_non_null(strstr(out.p, "mill_shared_seconds_sum 202500.0\n"));
    mill_buffer_clear(&out);
    mill_metrics_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(families_are_merged_and_sorted),
        cmocka_unit_test(quantiles),
        cmocka_unit_test(each_series),
        cmocka_unit_test(promtool_accepts),
        cmocka_unit_test(threads_update_while_one_reads),
    };
    return cmocka_run_group_tests_name("base/metrics", tests, NULL, NULL);
}
