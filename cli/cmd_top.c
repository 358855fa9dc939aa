/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill top: what a running engine does, from its /metrics: rates, lag, watermarks, latency, state, errors. */
#include "cli/cli_internal.h"

#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

enum { NAMES_MAX = 256, HTTP_TIMEOUT_MS = 3000 };

static struct {
    const char *url;
    double interval;
    bool once;
} o = {.interval = 1};

static const struct mill_cli_option options[] = {
    {"url", 0, MILL_CLI_STRING, &o.url, "URL", "the engine's address (default: server.listen of the project)", 0, 0,
     NULL},
    {"interval", 'i', MILL_CLI_NUMBER, &o.interval, "SECONDS", "time between two looks (default: 1)", 0.1, 3600, NULL},
    {"once", '1', MILL_CLI_FLAG, &o.once, NULL, "one snapshot, then leave; so where the output is no terminal", 0, 0,
     NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "top",
    .arguments = "",
    .summary = "Shows what the running engine of a project does: rates over the last interval, lag, watermarks,\n"
               "latency, state and errors. Ctrl-C leaves.",
    .examples = "  tidemill top -c flights.yaml\n"
                "  tidemill top -c flights.yaml --once --format json\n",
    .options = options,
    .project = true,
};

static volatile sig_atomic_t stopped;

static void on_signal(int signal_number)
{
    (void)signal_number;
    stopped = 1;
}

/* ------------------------------------------------------------------------------------------------
 * One look
 * --------------------------------------------------------------------------------------------- */

struct look {
    struct mill_cli_scrape before, now;
    double seconds;
    bool ready;
    struct mill_buffer reason;
};

static int ask_ready(const char *base, struct look *look, struct mill_error *err)
{
    struct mill_buffer url = {0};
    long status = 0;
    mill_buffer_printf(&url, "%s/v2/health/ready", base);
    mill_buffer_reset(&look->reason);
    int rc = mill_cli_http_get(mill_buffer_cstr(&url), HTTP_TIMEOUT_MS, &look->reason, &status, err);
    look->ready = status == 200;
    mill_buffer_clear(&url);
    return rc;
}

/* The distinct values of a label in the series of that name. */
static unsigned list_values(const struct mill_cli_scrape *scrape, const char *name, const char *label,
                            struct mill_slice *values)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < scrape->count; i++) {
        if (strcmp(scrape->samples[i].name, name) != 0) {
            continue;
        }
        struct mill_slice value = mill_cli_sample_label(&scrape->samples[i], label);
        unsigned k = 0;
        while (k < count && !mill_slice_equal(values[k], value)) {
            k++;
        }
        if (k == count && count < NAMES_MAX) {
            values[count++] = value;
        }
    }
    return count;
}

static double rate(const struct look *look, const char *name, const char *label, struct mill_slice value)
{
    double grown =
        mill_cli_scrape_sum(&look->now, name, label, value) - mill_cli_scrape_sum(&look->before, name, label, value);
    return look->seconds > 0 && grown > 0 ? grown / look->seconds : 0;
}

/* The oldest watermark of a topic's partitions in seconds since 1970, NaN where there is none. */
static double watermark(const struct mill_cli_scrape *scrape, struct mill_slice topic)
{
    double oldest = NAN;
    for (uint32_t i = 0; i < scrape->count; i++) {
        const struct mill_cli_sample *s = &scrape->samples[i];
        if (strcmp(s->name, "mill_ingest_watermark_timestamp_seconds") == 0 &&
            mill_slice_equal(mill_cli_sample_label(s, "topic"), topic) && !(s->value >= oldest)) {
            oldest = s->value;
        }
    }
    return oldest;
}

/* ------------------------------------------------------------------------------------------------
 * Text
 * --------------------------------------------------------------------------------------------- */

static void print_count(struct mill_buffer *out, int width, double value)
{
    char digits[32], text[48];
    int n = snprintf(digits, sizeof(digits), "%.0f", isfinite(value) ? value : 0.0), used = 0;
    for (int i = 0; i < n && used < (int)sizeof(text) - 2; i++) {
        if (i > 0 && (n - i) % 3 == 0 && digits[i - 1] != '-') {
            text[used++] = ',';
        }
        text[used++] = digits[i];
    }
    text[used] = '\0';
    mill_buffer_printf(out, "%*s", width, text);
}

static void print_seconds(struct mill_buffer *out, double seconds)
{
    if (isnan(seconds)) {
        mill_buffer_add_string(out, "-");
    } else if (seconds < 0.001) {
        mill_buffer_printf(out, "%.0f us", seconds * 1e6);
    } else if (seconds < 1) {
        mill_buffer_printf(out, "%.1f ms", seconds * 1e3);
    } else {
        mill_buffer_printf(out, "%.1f s", seconds);
    }
}

static void print_bytes(struct mill_buffer *out, double bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned unit = 0;
    while (bytes >= 1024 && unit < 4) {
        bytes /= 1024;
        unit++;
    }
    mill_buffer_printf(out, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
}

static void print_watermark(struct mill_buffer *out, double seconds)
{
    char text[32];
    if (isnan(seconds) || fabs(seconds) > 2e11) {
        mill_buffer_printf(out, "  %-22s", "-");
        return;
    }
    size_t n = mill_timestamp_print((int64_t)seconds * MILL_US_PER_SECOND, text);
    mill_buffer_printf(out, "  %-22.*s", (int)n, text);
}

static void print_topics(const struct look *look, struct mill_buffer *out)
{
    struct mill_slice topics[NAMES_MAX];
    unsigned count = list_values(&look->now, "mill_ingest_records_total", "topic", topics);
    mill_buffer_printf(out, "%-32s %14s %11s %9s  %-22s %9s\n", "topic", "records", "records/s", "lag", "watermark",
                       "rejected");
    for (unsigned i = 0; i < count; i++) {
        mill_buffer_printf(out, "%-32.*s ", (int)topics[i].n, topics[i].p);
        print_count(out, 14, mill_cli_scrape_sum(&look->now, "mill_ingest_records_total", "topic", topics[i]));
        print_count(out, 12, rate(look, "mill_ingest_records_total", "topic", topics[i]));
        print_count(out, 10, mill_cli_scrape_sum(&look->now, "mill_ingest_lag_records", "topic", topics[i]));
        print_watermark(out, watermark(&look->now, topics[i]));
        print_count(out, 10, mill_cli_scrape_sum(&look->now, "mill_ingest_rejected_records_total", "topic", topics[i]));
        mill_buffer_add_byte(out, '\n');
    }
}

static void print_family(const struct look *look, struct mill_buffer *out, const char *title, const char *unit,
                         const char *name, const char *label)
{
    struct mill_slice values[NAMES_MAX];
    unsigned count = list_values(&look->now, name, label, values);
    if (count == 0) {
        return;
    }
    mill_buffer_printf(out, "\n%-32s %14s %9s/s\n", title, unit, unit);
    for (unsigned i = 0; i < count; i++) {
        mill_buffer_printf(out, "%-32.*s ", (int)values[i].n, values[i].p);
        print_count(out, 14, mill_cli_scrape_sum(&look->now, name, label, values[i]));
        print_count(out, 12, rate(look, name, label, values[i]));
        mill_buffer_add_byte(out, '\n');
    }
}

static double total(const struct look *look, const char *name)
{
    return mill_cli_scrape_sum(&look->now, name, NULL, mill_slice_of(""));
}

struct quantiles {
    double p50, p99;
    bool since_start; /* nothing was counted between the two looks */
};

static struct quantiles quantiles_of(const struct look *look, const char *name)
{
    static const struct mill_cli_scrape nothing;
    struct quantiles q = {.since_start = isnan(mill_cli_scrape_quantile(&look->before, &look->now, name, 0.5))};
    const struct mill_cli_scrape *before = q.since_start ? &nothing : &look->before;

    q.p50 = mill_cli_scrape_quantile(before, &look->now, name, 0.5);
    q.p99 = mill_cli_scrape_quantile(before, &look->now, name, 0.99);
    return q;
}

static void print_quantiles(const struct look *look, struct mill_buffer *out, const char *title, const char *name)
{
    struct quantiles q = quantiles_of(look, name);
    mill_buffer_printf(out, "%-10s p50 ", title);
    print_seconds(out, q.p50);
    mill_buffer_add_string(out, "  p99 ");
    print_seconds(out, q.p99);
    mill_buffer_add_string(out, q.since_start && !isnan(q.p50) ? "  (since the start)\n" : "\n");
}

static void print_rest(const struct look *look, struct mill_buffer *out)
{
    mill_buffer_add_byte(out, '\n');
    print_quantiles(look, out, "latency", "mill_event_latency_seconds");
    print_quantiles(look, out, "batch", "mill_batch_duration_seconds");
    mill_buffer_add_string(out, "state     ");
    print_count(out, 0, total(look, "mill_state_entities"));
    mill_buffer_add_string(out, " entities, ");
    print_bytes(out, total(look, "mill_state_bytes"));
    mill_buffer_add_string(out, ", cold reads ");
    print_count(out, 0, total(look, "mill_state_cold_reads"));
    mill_buffer_add_string(out, ", waiting for redis ");
    print_bytes(out, total(look, "mill_online_store_pending_bytes"));
    mill_buffer_add_string(out, "\nerrors    rejected ");
    print_count(out, 0, total(look, "mill_ingest_rejected_records_total"));
    mill_buffer_add_string(out, ", late dropped ");
    print_count(out, 0, total(look, "mill_late_dropped_total"));
    mill_buffer_add_string(out, ", undeliverable ");
    print_count(out, 0, total(look, "mill_undeliverable_records_total"));
    mill_buffer_add_string(out, ", quality warnings ");
    print_count(out, 0, total(look, "mill_data_quality_warnings_total"));
    mill_buffer_printf(out, "\nprocess   %.2f cores, ",
                       rate(look, "process_cpu_seconds_total", NULL, mill_slice_of("")));
    print_bytes(out, total(look, "process_resident_memory_bytes"));
    mill_buffer_add_byte(out, '\n');
}

static void print_text(const struct look *look, const char *base, struct mill_buffer *out)
{
    mill_buffer_printf(out, "%stidemill%s %s  ", mill_cli_color(STDOUT_FILENO, MILL_CLI_BOLD),
                       mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN), base);
    mill_buffer_printf(out, "%s%s%s", mill_cli_color(STDOUT_FILENO, look->ready ? MILL_CLI_GREEN : MILL_CLI_RED),
                       look->ready ? "ready" : "not ready", mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN));
    if (!look->ready) {
        mill_buffer_printf(out, " %.*s", (int)look->reason.n, look->reason.p == NULL ? "" : look->reason.p);
    } else {
        mill_buffer_add_byte(out, '\n');
    }
    mill_buffer_add_byte(out, '\n');
    print_topics(look, out);
    print_family(look, out, "view", "rows", "mill_feature_rows_total", "view");
    print_family(look, out, "model", "scores", "mill_scores_total", "model");
    print_rest(look, out);
}

/* ------------------------------------------------------------------------------------------------
 * JSON
 * --------------------------------------------------------------------------------------------- */

static void json_number(struct mill_json_writer *w, const char *key, double value)
{
    mill_json_write_key(w, key);
    if (isnan(value)) {
        mill_json_write_null(w);
    } else if (fabs(value) < 1e15 && floor(value) == value) {
        mill_json_write_int64(w, (int64_t)value);
    } else {
        mill_json_write_double(w, value);
    }
}

static void json_family(const struct look *look, struct mill_json_writer *w, const char *key, const char *unit,
                        const char *name, const char *label)
{
    struct mill_slice values[NAMES_MAX];
    char per_second[64];
    unsigned count = list_values(&look->now, name, label, values);

    snprintf(per_second, sizeof(per_second), "%s_per_second", unit);
    mill_json_write_key(w, key);
    mill_json_write_array_begin(w);
    for (unsigned i = 0; i < count; i++) {
        mill_json_write_object_begin(w);
        mill_json_write_key(w, label);
        mill_json_write_string(w, values[i]);
        json_number(w, unit, mill_cli_scrape_sum(&look->now, name, label, values[i]));
        json_number(w, per_second, rate(look, name, label, values[i]));
        if (strcmp(label, "topic") == 0) {
            json_number(w, "lag", mill_cli_scrape_sum(&look->now, "mill_ingest_lag_records", label, values[i]));
            json_number(w, "watermark_timestamp_seconds", watermark(&look->now, values[i]));
            json_number(w, "rejected",
                        mill_cli_scrape_sum(&look->now, "mill_ingest_rejected_records_total", label, values[i]));
        }
        mill_json_write_object_end(w);
    }
    mill_json_write_array_end(w);
}

static void json_quantiles(const struct look *look, struct mill_json_writer *w, const char *key, const char *name)
{
    struct quantiles q = quantiles_of(look, name);
    mill_json_write_key(w, key);
    mill_json_write_object_begin(w);
    json_number(w, "p50", q.p50);
    json_number(w, "p99", q.p99);
    mill_json_write_key(w, "since_start");
    mill_json_write_bool(w, q.since_start);
    mill_json_write_object_end(w);
}

static void print_json(const struct look *look, struct mill_buffer *out)
{
    struct mill_json_writer w;
    mill_json_writer_init(&w, out, false);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "ready");
    mill_json_write_bool(&w, look->ready);
    json_number(&w, "interval_seconds", look->seconds);
    json_family(look, &w, "topics", "records", "mill_ingest_records_total", "topic");
    json_family(look, &w, "views", "rows", "mill_feature_rows_total", "view");
    json_family(look, &w, "models", "scores", "mill_scores_total", "model");
    json_quantiles(look, &w, "event_latency_seconds", "mill_event_latency_seconds");
    json_quantiles(look, &w, "batch_duration_seconds", "mill_batch_duration_seconds");
    json_number(&w, "state_entities", total(look, "mill_state_entities"));
    json_number(&w, "state_bytes", total(look, "mill_state_bytes"));
    json_number(&w, "online_store_pending_bytes", total(look, "mill_online_store_pending_bytes"));
    json_number(&w, "late_dropped", total(look, "mill_late_dropped_total"));
    json_number(&w, "undeliverable", total(look, "mill_undeliverable_records_total"));
    json_number(&w, "cpu_cores", rate(look, "process_cpu_seconds_total", NULL, mill_slice_of("")));
    json_number(&w, "resident_bytes", total(look, "process_resident_memory_bytes"));
    mill_json_write_object_end(&w);
    mill_buffer_add_byte(out, '\n');
}

/* ------------------------------------------------------------------------------------------------
 * The loop
 * --------------------------------------------------------------------------------------------- */

static int look_once(const struct mill_cli *cli, const char *base, struct look *look, bool redraw)
{
    struct timespec pause = {(time_t)o.interval, (long)(fmod(o.interval, 1) * 1e9)};
    struct mill_buffer out = {0};
    struct mill_error err;

    nanosleep(&pause, NULL);
    if (stopped) {
        return 0;
    }
    if (mill_cli_scrape_read(base, &look->now, &err) < 0 || ask_ready(base, look, &err) < 0) {
        mill_cli_scrape_clear(&look->now);
        return mill_cli_fail(cli, &err);
    }
    look->seconds = (double)(look->now.at_ns - look->before.at_ns) / 1e9;
    if (redraw) {
        mill_buffer_add_string(&out, "\033[H\033[2J");
    }
    if (cli->json) {
        print_json(look, &out);
    } else {
        print_text(look, base, &out);
    }
    int status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    mill_cli_scrape_clear(&look->before);
    look->before = look->now;
    memset(&look->now, 0, sizeof(look->now));
    return status;
}

static int watch(const struct mill_cli *cli, const char *base)
{
    struct look look = {.seconds = 0};
    struct mill_error err;
    bool forever = !o.once && isatty(STDOUT_FILENO);
    int status = 0;

    if (mill_cli_scrape_read(base, &look.before, &err) < 0) {
        return mill_cli_fail(cli, &err);
    }
    do {
        status = look_once(cli, base, &look, forever && !cli->json && mill_terminal_has_color(STDOUT_FILENO));
    } while (forever && status == 0 && !stopped);
    mill_cli_scrape_clear(&look.before);
    mill_buffer_clear(&look.reason);
    return status;
}

int mill_cmd_top(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_buffer base = {0};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND}; /* the second one kills */
    int status;

    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    status = mill_cli_endpoint(&cli, o.url, &base);
    if (status == 0) {
        status = watch(&cli, mill_buffer_cstr(&base));
    }
    mill_buffer_clear(&base);
    return status;
}
