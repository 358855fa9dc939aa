/* SPDX-License-Identifier: Apache-2.0 */
/* The part of `tidemill drift status` that says how good the models are: of each monitor with labels, what its newest
 * window measures and estimates. */
#include <math.h>
#include <string.h>

#include "cli/drift.h"

enum { COLUMNS = 6, LINES_MAX = 256 };

static const struct {
    const char *metric, *title, *key;
} columns[COLUMNS] = {
    {"mill_model_performance_rows", "rows", "rows"},
    {"mill_model_auc", "auc", "auc"},
    {"mill_model_log_loss", "log loss", "log_loss"},
    {"mill_model_brier_score", "brier", "brier"},
    {"mill_model_accuracy", "accuracy", "accuracy"},
    {"mill_model_calibration_error", "calibration", "calibration_error"},
};

struct line {
    struct mill_slice monitor, model, kind;
    double values[COLUMNS];
};

struct lines {
    struct line at[LINES_MAX];
    uint32_t count;
};

/* NULL: more than anybody reads. */
static struct line *find_line(struct lines *lines, const struct mill_cli_sample *sample)
{
    struct line key = {.monitor = mill_cli_sample_label(sample, "monitor"),
                       .model = mill_cli_sample_label(sample, "model"),
                       .kind = mill_cli_sample_label(sample, "kind")};

    for (uint32_t i = 0; i < lines->count; i++) {
        if (mill_slice_equal(lines->at[i].monitor, key.monitor) && mill_slice_equal(lines->at[i].kind, key.kind)) {
            return &lines->at[i];
        }
    }
    if (lines->count == LINES_MAX) {
        return NULL;
    }
    for (unsigned c = 0; c < COLUMNS; c++) {
        key.values[c] = (double)NAN;
    }
    lines->at[lines->count] = key;
    return &lines->at[lines->count++];
}

static void collect(const struct mill_cli_scrape *scrape, struct lines *lines)
{
    lines->count = 0;
    for (uint32_t i = 0; i < scrape->count; i++) {
        for (unsigned c = 0; c < COLUMNS; c++) {
            struct line *line =
                strcmp(scrape->samples[i].name, columns[c].metric) == 0 ? find_line(lines, &scrape->samples[i]) : NULL;
            if (line != NULL) {
                line->values[c] = scrape->samples[i].value;
            }
        }
    }
}

void mill_cli_drift_performance_text(const struct mill_cli_scrape *scrape, struct mill_buffer *out)
{
    struct lines lines;

    collect(scrape, &lines);
    if (lines.count == 0) {
        return;
    }
    mill_buffer_printf(out, "\n%-28s %-10s", "performance of", "kind");
    for (unsigned c = 0; c < COLUMNS; c++) {
        mill_buffer_printf(out, " %11s", columns[c].title);
    }
    mill_buffer_add_byte(out, '\n');
    for (uint32_t i = 0; i < lines.count; i++) {
        const struct line *line = &lines.at[i];
        mill_buffer_printf(out, "%-28.*s %-10.*s %11.0f", MILL_SLICE_ARGS(line->monitor), MILL_SLICE_ARGS(line->kind),
                           line->values[0]);
        for (unsigned c = 1; c < COLUMNS; c++) {
            mill_cli_drift_number(out, line->values[c], 11);
        }
        mill_buffer_add_byte(out, '\n');
    }
}

void mill_cli_drift_performance_json(const struct mill_cli_scrape *scrape, struct mill_json_writer *w)
{
    struct lines lines;

    collect(scrape, &lines);
    mill_json_write_key(w, "performance");
    mill_json_write_array_begin(w);
    for (uint32_t i = 0; i < lines.count; i++) {
        const struct line *line = &lines.at[i];
        mill_json_write_object_begin(w);
        mill_cli_drift_json_label(w, "monitor", line->monitor);
        mill_cli_drift_json_label(w, "model", line->model);
        mill_cli_drift_json_label(w, "kind", line->kind);
        for (unsigned c = 0; c < COLUMNS; c++) {
            mill_cli_drift_json_number(w, columns[c].key, line->values[c]);
        }
        mill_json_write_object_end(w);
    }
    mill_json_write_array_end(w);
}
