/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift status: what the monitors of a running engine say, from its /metrics: the newest window of each
 * feature, worst first, and how good the models are. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/timestamp.h"
#include "cli/drift.h"

static const char *given_url;

static const struct mill_cli_option status_options[] = {
    {"url", 0, MILL_CLI_STRING, &given_url, "URL", "the engine's address (default: server.listen of the project)", 0, 0,
     NULL},
    {.name = NULL},
};

static const struct mill_cli_command status_command = {
    .name = "drift status",
    .arguments = "",
    .summary = "Shows what the drift monitors of a running engine say of their newest window, worst first,\n"
               "and how good the models are where labels come. An engine\n"
               "knows the monitors that it evaluates; where several processes run, ask each.",
    .examples = "  tidemill drift status -c flights.yaml\n",
    .options = status_options,
    .project = true,
};

/* One model, feature and segment. */
struct line {
    struct mill_slice monitor, model, feature, segment;
    double severity, psi, ks, pvalue, samples, null_ratio;
};

struct lines {
    struct line *at;
    uint32_t count, capacity;
};

static const struct {
    const char *metric;
    size_t offset;
} columns[] = {
    {"mill_drift_severity", offsetof(struct line, severity)},
    {"mill_drift_psi", offsetof(struct line, psi)},
    {"mill_drift_ks_statistic", offsetof(struct line, ks)},
    {"mill_drift_ks_pvalue", offsetof(struct line, pvalue)},
    {"mill_drift_window_samples", offsetof(struct line, samples)},
    {"mill_feature_null_ratio", offsetof(struct line, null_ratio)},
};

static struct line *find_line(struct lines *lines, const struct mill_cli_sample *sample)
{
    struct line key = {
        .monitor = mill_cli_sample_label(sample, "monitor"),
        .model = mill_cli_sample_label(sample, "model"),
        .feature = mill_cli_sample_label(sample, "feature"),
        .segment = mill_cli_sample_label(sample, "segment"),
        .severity = 0,
        .psi = (double)NAN,
        .ks = (double)NAN,
        .pvalue = (double)NAN,
        .samples = (double)NAN,
        .null_ratio = (double)NAN,
    };
    for (uint32_t i = 0; i < lines->count; i++) {
        struct line *line = &lines->at[i];
        if (mill_slice_equal(line->model, key.model) && mill_slice_equal(line->feature, key.feature) &&
            mill_slice_equal(line->segment, key.segment) && mill_slice_equal(line->monitor, key.monitor)) {
            return line;
        }
    }
    if (lines->count == lines->capacity) {
        lines->capacity = lines->capacity == 0 ? 64 : 2 * lines->capacity;
        lines->at = mill_realloc(lines->at, lines->capacity * sizeof(*lines->at));
    }
    lines->at[lines->count] = key;
    return &lines->at[lines->count++];
}

static void collect(const struct mill_cli_scrape *scrape, struct lines *lines)
{
    for (uint32_t i = 0; i < scrape->count; i++) {
        for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
            if (strcmp(scrape->samples[i].name, columns[c].metric) == 0) {
                struct line *line = find_line(lines, &scrape->samples[i]);
                memcpy((char *)line + columns[c].offset, &scrape->samples[i].value, sizeof(double));
            }
        }
    }
}

static int by_severity(const void *a, const void *b)
{
    const struct line *x = a, *y = b;

    if (x->severity != y->severity) {
        return (x->severity < y->severity) - (x->severity > y->severity);
    }
    double p = isnan(x->psi) ? -1 : x->psi, q = isnan(y->psi) ? -1 : y->psi;
    if (p != q) {
        return (p < q) - (p > q);
    }
    int by_model = mill_slice_compare(x->model, y->model);
    return by_model != 0 ? by_model : mill_slice_compare(x->feature, y->feature);
}

static enum mill_severity severity_of(const struct line *line)
{
    return line->severity >= 2 ? MILL_SEVERITY_MAJOR : line->severity >= 1 ? MILL_SEVERITY_MINOR : MILL_SEVERITY_NONE;
}

void mill_cli_drift_number(struct mill_buffer *out, double value, int width)
{
    if (isnan(value)) {
        mill_buffer_printf(out, " %*s", width, "-");
    } else {
        mill_buffer_printf(out, " %*.4g", width, value);
    }
}

static void write_text(const struct lines *lines, struct mill_buffer *out)
{
    static const enum mill_cli_color colors[] = {MILL_CLI_PLAIN, MILL_CLI_YELLOW, MILL_CLI_RED};

    if (lines->count == 0) {
        mill_buffer_add_string(out, "no window has been evaluated here yet\n");
        return;
    }
    mill_buffer_printf(out, "%-18s %-28s %-14s %-8s %10s %8s %8s %10s %8s\n", "model", "feature", "segment", "severity",
                       "samples", "psi", "ks", "p", "null");
    for (uint32_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->at[i];
        enum mill_severity severity = severity_of(line);
        mill_buffer_printf(out, "%-18.*s %-28.*s %-14.*s %s%-8s%s", MILL_SLICE_ARGS(line->model),
                           MILL_SLICE_ARGS(line->feature), MILL_SLICE_ARGS(line->segment),
                           mill_cli_color(STDOUT_FILENO, colors[severity]), mill_severity_name(severity),
                           mill_cli_color(STDOUT_FILENO, MILL_CLI_PLAIN));
        if (isnan(line->samples)) {
            mill_buffer_printf(out, " %10s", "-");
        } else {
            mill_buffer_printf(out, " %10.0f", line->samples);
        }
        mill_cli_drift_number(out, line->psi, 8);
        mill_cli_drift_number(out, line->ks, 8);
        mill_cli_drift_number(out, line->pvalue, 10);
        mill_cli_drift_number(out, line->null_ratio, 8);
        mill_buffer_add_byte(out, '\n');
    }
}

void mill_cli_drift_json_label(struct mill_json_writer *w, const char *key, struct mill_slice value)
{
    mill_json_write_key(w, key);
    mill_json_write_string(w, value);
}

void mill_cli_drift_json_number(struct mill_json_writer *w, const char *key, double value)
{
    mill_json_write_key(w, key);
    if (isnan(value)) {
        mill_json_write_null(w);
    } else {
        mill_json_write_double(w, value);
    }
}

static void write_json(const struct lines *lines, const struct mill_cli_scrape *scrape, struct mill_buffer *out)
{
    struct mill_json_writer w;

    mill_json_writer_init(&w, out, true);
    mill_json_write_object_begin(&w);
    mill_json_write_key(&w, "results");
    mill_json_write_array_begin(&w);
    for (uint32_t i = 0; i < lines->count; i++) {
        const struct line *line = &lines->at[i];
        mill_json_write_object_begin(&w);
        mill_cli_drift_json_label(&w, "monitor", line->monitor);
        mill_cli_drift_json_label(&w, "model", line->model);
        mill_cli_drift_json_label(&w, "feature", line->feature);
        mill_cli_drift_json_label(&w, "segment", line->segment);
        mill_json_write_key(&w, "severity");
        mill_json_write_cstr(&w, mill_severity_name(severity_of(line)));
        mill_cli_drift_json_number(&w, "samples", line->samples);
        mill_cli_drift_json_number(&w, "psi", line->psi);
        mill_cli_drift_json_number(&w, "ks_statistic", line->ks);
        mill_cli_drift_json_number(&w, "ks_pvalue", line->pvalue);
        mill_cli_drift_json_number(&w, "null_ratio", line->null_ratio);
        mill_json_write_object_end(&w);
    }
    mill_json_write_array_end(&w);
    mill_cli_drift_performance_json(scrape, &w);
    mill_json_write_object_end(&w);
    mill_buffer_add_byte(out, '\n');
}

int mill_cli_drift_status(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_error err = {0};
    struct mill_buffer base = {0}, out = {0};
    struct mill_cli_scrape scrape = {0};
    struct lines lines = {0};
    int status = 0;

    if (!mill_cli_parse(&status_command, argc, argv, &cli, &status)) {
        return status;
    }
    status = mill_cli_endpoint(&cli, given_url, &base);
    if (status == 0) {
        mill_arena_init(&scrape.arena, 0);
        if (mill_cli_scrape_read(mill_buffer_cstr(&base), &scrape, &err) < 0) {
            status = mill_cli_fail(&cli, &err);
        } else {
            collect(&scrape, &lines);
            if (lines.count > 0) {
                qsort(lines.at, lines.count, sizeof(*lines.at), by_severity);
            }
            if (cli.json) {
                write_json(&lines, &scrape, &out);
            } else {
                write_text(&lines, &out);
                mill_cli_drift_performance_text(&scrape, &out);
            }
            status = mill_cli_write(&out);
        }
        mill_cli_scrape_clear(&scrape);
    }
    free(lines.at);
    mill_buffer_clear(&base);
    mill_buffer_clear(&out);
    return status;
}
