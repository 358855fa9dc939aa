/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill drift profile: makes the reference profile of a file of rows, or shows what one holds. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/timestamp.h"
#include "cli/drift.h"
#include "inference/inference.h"

struct profile {
    const char *input, *output, *view, *model, *model_version, *model_file, *time, *windows, *by;
    int64_t segments_max;
    struct mill_cli_drift_options options;
};
static struct profile given;

static const struct mill_cli_option profile_options[] = {
    {"input", 'i', MILL_CLI_STRING, &given.input, "FILE", "rows: .csv or .jsonl (rows.jsonl of an offline run too)", 0,
     0, NULL},
    {"output", 'o', MILL_CLI_STRING, &given.output, "FILE", "the profile (default: profile.mill beside the rows)", 0, 0,
     NULL},
    {"model", 0, MILL_CLI_STRING, &given.model, "NAME", "of the model that it belongs to", 0, 0, NULL},
    {"model-version", 0, MILL_CLI_STRING, &given.model_version, "V", "and its version", 0, 0, NULL},
    {"model-file", 0, MILL_CLI_STRING, &given.model_file, "FILE", "scores the rows, so that scores are monitored too",
     0, 0, NULL},
    {"features", 'f', MILL_CLI_STRING, &given.options.features, "A,B,...", "only these columns", 0, 0, NULL},
    {"categorical", 0, MILL_CLI_STRINGS, &given.options.categorical, "COLUMN",
     "a column of numbers that are categories", 0, 0, NULL},
    {"bins", 0, MILL_CLI_STRING, &given.options.bins, "BINS",
     "of PSI: quantile:10+atoms (default), uniform:N, edges:E1,E2,...", 0, 0, NULL},
    {"break-points", 0, MILL_CLI_INTEGER, &given.options.break_points, "N",
     "at most a feature (2000); exact where it has no more distinct values", 2, MILL_PROFILE_BREAKS_MAX, NULL},
    {"time", 0, MILL_CLI_STRING, &given.time, "COLUMN",
     "event time of the rows (default: event_time, where there is one)", 0, 0, NULL},
    {"windows", 0, MILL_CLI_STRING, &given.windows, "DURATION",
     "calibrate: what windows of this length give against the whole, for the rule 'calibrated'", 0, 0, NULL},
    {"by", 0, MILL_CLI_STRING, &given.by, "COLUMN", "count segments by this column", 0, 0, NULL},
    {"max-segments", 0, MILL_CLI_INTEGER, &given.segments_max, "N", "its most frequent values (20)", 1, 1000, NULL},
    {"view", 0, MILL_CLI_STRING, &given.view, "VIEW", "of a rows.jsonl: the rows of that feature view", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command profile_command = {
    .name = "drift profile",
    .arguments = "[PROFILE]",
    .summary = "Makes the reference profile of a file of rows: what live rows are compared with. With the name of a\n"
               "profile it shows what that holds.",
    .examples = "  tidemill drift profile --input train.csv --model churn --model-file model.json -o profile.mill\n"
                "  tidemill drift profile profile.mill --format json\n",
    .options = profile_options,
    .arguments_max = 1,
};

/* ---- show ---- */

static void show_text(const struct mill_profile *p, const char *path, struct mill_buffer *out)
{
    mill_buffer_printf(out, "%s: %llu rows, %u features%s%s%s%s\nsha256 %s\n", path, (unsigned long long)p->row_count,
                       p->feature_count, p->model[0] == '\0' ? "" : ", model ", p->model,
                       p->model_version[0] == '\0' ? "" : " version ", p->model_version, p->sha256);
    if (p->from_us != INT64_MIN) {
        char from[32], to[32];
        int n = (int)mill_timestamp_print(p->from_us, from), m = (int)mill_timestamp_print(p->to_us, to);
        mill_buffer_printf(out, "rows from %.*s to %.*s\n", n, from, m, to);
    }
    if (p->segment_by != NULL) {
        mill_buffer_printf(out, "%u segments by %s\n", p->segment_count, p->segment_by);
    }
    mill_buffer_printf(out, "\n%-32s %-12s %8s %8s %5s %12s %12s %12s %12s\n", "feature", "kind", "null %", "points",
                       "bins", "min", "max", "mean", "sd");
    for (uint32_t i = 0; i < p->feature_count; i++) {
        const struct mill_profile_feature *f = &p->features[i];
        double null_share = f->row_count == 0 ? 0 : 100 * (double)f->null_count / (double)f->row_count;
        if (f->kind == MILL_DRIFT_NUMERIC) {
            mill_buffer_printf(out, "%-32s %-12s %8.2f %8u %5u %12.5g %12.5g %12.5g %12.5g%s\n", f->name, "numeric",
                               null_share, f->break_count, f->bin_count, f->min, f->max, f->mean, f->stddev,
                               f->is_exact ? "" : "  (more distinct values than break-points)");
        } else {
            mill_buffer_printf(out, "%-32s %-12s %8.2f %8u\n", f->name, "categorical", null_share, f->level_count);
        }
    }
}

static void key_text(struct mill_json_writer *w, const char *key, const char *value)
{
    mill_json_write_key(w, key);
    mill_json_write_cstr(w, value);
}

static void key_number(struct mill_json_writer *w, const char *key, double value)
{
    mill_json_write_key(w, key);
    if (isnan(value)) {
        mill_json_write_null(w);
    } else {
        mill_json_write_double(w, value);
    }
}

static void key_count(struct mill_json_writer *w, const char *key, uint64_t value)
{
    mill_json_write_key(w, key);
    mill_json_write_int64(w, (int64_t)value);
}

static void show_feature_json(const struct mill_profile_feature *f, struct mill_json_writer *w)
{
    mill_json_write_key(w, f->name);
    mill_json_write_object_begin(w);
    key_text(w, "type", f->kind == MILL_DRIFT_NUMERIC ? "numeric" : "categorical");
    key_count(w, "rows", f->row_count);
    key_count(w, "nulls", f->null_count);
    if (f->kind == MILL_DRIFT_NUMERIC) {
        key_count(w, "break_points", f->break_count);
        mill_json_write_key(w, "exact");
        mill_json_write_bool(w, f->is_exact);
        key_count(w, "bins", f->bin_count);
        key_number(w, "min", f->min);
        key_number(w, "max", f->max);
        key_number(w, "mean", f->mean);
        key_number(w, "stddev", f->stddev);
    } else {
        key_count(w, "levels", f->level_count);
        key_count(w, "other_levels", f->other_levels);
    }
    key_count(w, "calibration_windows", f->calibration_count);
    mill_json_write_object_end(w);
}

static void show_json(const struct mill_profile *p, const char *path, struct mill_buffer *out)
{
    struct mill_json_writer w;

    mill_json_writer_init(&w, out, true);
    mill_json_write_object_begin(&w);
    key_text(&w, "path", path);
    key_text(&w, "sha256", p->sha256);
    key_text(&w, "model", p->model);
    key_text(&w, "model_version", p->model_version);
    key_count(&w, "rows", p->row_count);
    mill_json_write_key(&w, "features");
    mill_json_write_object_begin(&w);
    for (uint32_t i = 0; i < p->feature_count; i++) {
        show_feature_json(&p->features[i], &w);
    }
    mill_json_write_object_end(&w);
    mill_json_write_object_end(&w);
    mill_buffer_add_byte(out, '\n');
}

static int show(const struct mill_cli *cli, const char *path, struct mill_buffer *out, struct mill_error *err)
{
    struct mill_profile *profile;

    MILL_TRY(mill_profile_load(path, &profile, err));
    if (cli->json) {
        show_json(profile, path, out);
    } else {
        show_text(profile, path, out);
    }
    mill_profile_free(profile);
    return MILL_OK;
}

/* ---- make ---- */

/* The column of event times as microseconds, or NULL where there is none. */
static int read_times(const struct mill_cli_table *table, int64_t **ret_times, struct mill_error *err)
{
    const char *name = given.time == NULL ? "event_time" : given.time;
    const struct mill_cli_column *column = mill_cli_table_find(table, name);

    *ret_times = NULL;
    if (column == NULL || !column->is_text) {
        return given.time == NULL && given.windows == NULL
                   ? MILL_OK
                   : mill_fail(err, MILL_EUSAGE, "'%s' has no column '%s' of times; hint: --time COLUMN", given.input,
                               name);
    }
    int64_t *times = mill_calloc(table->row_count, sizeof(*times));
    for (size_t row = 0; row < table->row_count; row++) {
        if (!mill_bit_get(column->cells.valid, (uint32_t)row) ||
            mill_timestamp_parse(column->cells.at.s[row], &times[row]) < 0) {
            free(times);
            return mill_fail(err, MILL_EDATA, "'%s': row %zu has no event time in column '%s'", given.input, row + 1,
                             name);
        }
    }
    *ret_times = times;
    return MILL_OK;
}

/* Scores of all rows as a further column: the features are found by name, as in a feature service. */
static int add_scores(struct mill_cli_table *table, struct mill_error *err)
{
    struct mill_model *model;

    MILL_TRY(mill_model_load(given.model_file, &model, err));
    const struct mill_model_info *info = mill_model_info(model);
    int rc =
        info->feature_names == NULL || info->output_count != 1
            ? mill_fail(err, MILL_EDATA, "'%s': expected a model with named features and one output", given.model_file)
            : MILL_OK;
    const struct mill_cli_column **inputs = mill_calloc(info->feature_count, sizeof(const struct mill_cli_column *));
    for (uint32_t f = 0; f < info->feature_count && rc == MILL_OK; f++) {
        inputs[f] = mill_cli_table_find(table, info->feature_names[f]);
        if (inputs[f] == NULL || inputs[f]->is_text) {
            rc = mill_fail(err, MILL_EDATA, "'%s' has no column of numbers '%s', which the model takes", given.input,
                           info->feature_names[f]);
        }
    }
    double *row_values = mill_calloc(info->feature_count, sizeof(*row_values));
    double *scores = mill_calloc(table->row_capacity + 1, sizeof(*scores));
    for (size_t row = 0; row < table->row_count && rc == MILL_OK; row++) {
        for (uint32_t f = 0; f < info->feature_count; f++) {
            bool is_there = mill_bit_get(inputs[f]->cells.valid, (uint32_t)row);
            row_values[f] = is_there ? inputs[f]->cells.at.f[row] : (double)NAN;
        }
        mill_model_score_f64(model, row_values, 1, info->feature_count, info->feature_count, MILL_MODEL_PREDICTION,
                             &scores[row]);
    }
    if (rc == MILL_OK) {
        mill_cli_table_add_numbers(table, "score", scores);
    } else {
        free(scores);
    }
    free(row_values);
    free(inputs);
    mill_model_free(model);
    return rc;
}

static int fill_spec(struct mill_profile_spec *spec, struct mill_error *err)
{
    spec->model = given.model == NULL ? "" : given.model;
    spec->model_version = given.model_version == NULL ? "" : given.model_version;
    spec->segment_by = given.by;
    spec->segments_max = (uint32_t)given.segments_max;
    return given.windows == NULL ? MILL_OK
                                 : mill_duration_parse(mill_slice_of(given.windows), &spec->calibration_window_us, err);
}

static int build(struct mill_cli_table *table, struct mill_profile **ret_profile, struct mill_error *err)
{
    struct mill_profile_spec spec;
    struct mill_cli_column **picked, *by = NULL;
    struct mill_arena arena;
    int64_t *times = NULL;

    if (given.model_file != NULL) {
        MILL_TRY(add_scores(table, err));
    }
    if (given.by != NULL) {
        by = mill_cli_table_find(table, given.by);
        if (by == NULL) {
            return mill_fail(err, MILL_EUSAGE, "'%s' has no column '%s'", given.input, given.by);
        }
        mill_cli_table_make_text(table, by);
    }
    MILL_TRY(read_times(table, &times, err));
    given.options.not_picked = given.time;
    mill_arena_init(&arena, 0);
    int rc = mill_cli_drift_pick(&given.options, table, &arena, &spec, &picked, err);
    rc = rc == MILL_OK ? fill_spec(&spec, err) : rc;
    rc = rc == MILL_OK ? mill_cli_drift_build(&spec, table, picked, by, times, ret_profile, err) : rc;
    mill_arena_clear(&arena);
    free(times);
    return rc;
}

static int make(struct mill_buffer *path, struct mill_error *err)
{
    struct mill_cli_table_options options = {.view = given.view, .as_text = given.options.categorical};
    struct mill_buffer bytes = {0};
    struct mill_profile *profile;
    struct mill_cli_table table;

    MILL_TRY(mill_cli_drift_options_check(&given.options, err));
    MILL_TRY(mill_cli_table_read(given.input, &options, &table, err));
    int rc = build(&table, &profile, err);
    mill_cli_table_clear(&table);
    MILL_TRY(rc);
    if (given.output != NULL) {
        mill_buffer_add_string(path, given.output);
    } else {
        mill_file_beside(given.input, "profile.mill", path);
    }
    mill_profile_write(profile, &bytes);
    rc = mill_file_replace(mill_buffer_cstr(path), mill_buffer_slice(&bytes), err);
    mill_buffer_clear(&bytes);
    mill_profile_free(profile);
    return rc;
}

int mill_cli_drift_profile(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_error err = {0};
    struct mill_buffer out = {0}, path = {0};
    int status = 0;

    given.options.bins = "quantile:10+atoms";
    given.options.break_points = MILL_PROFILE_BREAKS_DEFAULT;
    given.segments_max = 20;
    if (!mill_cli_parse(&profile_command, argc, argv, &cli, &status)) {
        return status;
    }
    if ((given.input == NULL) == (cli.argument_count == 0)) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE,
                                  "expected rows to make a profile of, or a profile to show; hint: --input ROWS.csv");
    }
    mill_arena_init(&given.options.arena, 0);
    int rc = given.input != NULL ? make(&path, &err) : MILL_OK;
    rc = rc == MILL_OK ? show(&cli, given.input != NULL ? mill_buffer_cstr(&path) : cli.arguments[0], &out, &err) : rc;
    status = rc < 0 ? mill_cli_fail(&cli, &err) : mill_cli_write(&out);
    mill_buffer_clear(&out);
    mill_buffer_clear(&path);
    mill_arena_clear(&given.options.arena);
    return status;
}
