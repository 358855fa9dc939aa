/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill model explain: contributions of the features to a row's margins, and its path through each tree. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/model.h"

static struct {
    const char *input;
    int64_t columns, row;
    bool paths;
} wish;

static const struct mill_cli_option options[] = {
    {"input", 0, MILL_CLI_STRING, &wish.input, "ROWS", "a .csv, .npy, .f32 or .f64 file", 0, 0, NULL},
    {"row", 0, MILL_CLI_INTEGER, &wish.row, "N", "which row of it, from 0 (default: 0)", 0, 1e15, NULL},
    {"columns", 0, MILL_CLI_INTEGER, &wish.columns, "N", "values a row of raw files", 1, 16777216, NULL},
    {"paths", 0, MILL_CLI_FLAG, &wish.paths, NULL, "also the tests of every tree that the row meets", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command command = {
    .name = "model explain",
    .arguments = "FILE",
    .summary =
        "Shows what each feature contributed to the margin of a row (TreeSHAP), largest first; contributions and\n"
        "bias add up to the margin.",
    .examples = "  tidemill model explain churn.json --input row.csv --paths\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
};

struct part {
    uint32_t feature;
    double value;
};

static int compare_parts(const void *a, const void *b)
{
    double x = fabs(((const struct part *)a)->value), y = fabs(((const struct part *)b)->value);
    return (x < y) - (x > y);
}

/* Values that are floats are shown with a float's digits. */
static bool is_float(double x)
{
    return !(x - (double)(float)x != 0);
}

/* Contributions to one margin that are not 0, largest first. */
static void print_output(const struct mill_model_info *info, const double *row, size_t columns,
                         const double *contributions, uint32_t k, struct mill_buffer *out)
{
    const double *of = contributions + (size_t)k * (info->feature_count + 1);
    struct part *parts = mill_malloc(((size_t)info->feature_count + 1) * sizeof(*parts));
    double sum = of[info->feature_count];
    uint32_t n = 0;
    for (uint32_t f = 0; f < info->feature_count; f++) {
        sum += of[f];
        if (of[f] != 0) {
            parts[n++] = (struct part){f, of[f]};
        }
    }
    qsort(parts, n, sizeof(*parts), compare_parts);
    if (info->margin_count > 1) {
        mill_buffer_printf(out, "output %u\n", k);
    }
    mill_buffer_printf(out, "  %+12.6f  margin\n  %+12.6f  bias\n", sum, of[info->feature_count]);
    for (uint32_t i = 0; i < n; i++) {
        char text[16];
        uint32_t f = parts[i].feature;
        mill_buffer_printf(out, "  %+12.6f  %s = ", parts[i].value, mill_cli_model_feature(info, f, text));
        mill_cli_model_number(out, f < columns ? row[f] : (double)NAN, !is_float(f < columns ? row[f] : 0));
        mill_buffer_add_string(out, "\n");
    }
    free(parts);
}

static void print_paths(const struct mill_model *model, const double *row, size_t columns, struct mill_buffer *out)
{
    const struct mill_model_info *info = mill_model_info(model);
    struct mill_model_step *steps = mill_malloc(((size_t)info->depth_max + 1) * sizeof(*steps));
    for (uint32_t t = 0; t < info->tree_count; t++) {
        double leaf = 0;
        uint32_t n = mill_model_path(model, row, columns, t, steps, info->depth_max + 1, &leaf);
        mill_buffer_printf(out, "tree %u: leaf ", t);
        mill_cli_model_number(out, leaf, info->doubles);
        mill_buffer_add_string(out, "\n");
        for (uint32_t i = 0; i < n; i++) {
            char text[16];
            mill_buffer_printf(out, "  %s = ", mill_cli_model_feature(info, steps[i].feature, text));
            mill_cli_model_number(out, steps[i].value, !is_float(steps[i].value));
            if (steps[i].is_set) {
                mill_buffer_printf(out, ": %s by its set\n", steps[i].left ? "left" : "right");
                continue;
            }
            mill_buffer_printf(out, ": %s of <= ", steps[i].left ? "left" : "right");
            mill_cli_model_number(out, steps[i].threshold, !is_float(steps[i].threshold));
            mill_buffer_add_string(out, "\n");
        }
    }
    free(steps);
}

static void write_number(struct mill_json_writer *w, const char *key, double value)
{
    mill_json_write_key(w, key);
    mill_json_write_double(w, value); /* null where it is not finite */
}

static void write_margins(struct mill_json_writer *w, const struct mill_model_info *info, const double *contributions)
{
    char text[16];
    mill_json_write_key(w, "margins");
    mill_json_write_array_begin(w);
    for (uint32_t k = 0; k < info->margin_count; k++) {
        const double *of = contributions + (size_t)k * (info->feature_count + 1);
        mill_json_write_object_begin(w);
        write_number(w, "bias", of[info->feature_count]);
        mill_json_write_key(w, "contributions");
        mill_json_write_object_begin(w);
        for (uint32_t f = 0; f < info->feature_count; f++) {
            write_number(w, mill_cli_model_feature(info, f, text), of[f]);
        }
        mill_json_write_object_end(w);
        mill_json_write_object_end(w);
    }
    mill_json_write_array_end(w);
}

static void write_steps(struct mill_json_writer *w, const struct mill_model_info *info,
                        const struct mill_model_step *steps, uint32_t n)
{
    char text[16];
    mill_json_write_key(w, "steps");
    mill_json_write_array_begin(w);
    for (uint32_t i = 0; i < n; i++) {
        mill_json_write_object_begin(w);
        mill_json_write_key(w, "feature");
        mill_json_write_cstr(w, mill_cli_model_feature(info, steps[i].feature, text));
        write_number(w, "value", steps[i].value);
        if (!steps[i].is_set) {
            write_number(w, "threshold", steps[i].threshold);
        }
        mill_json_write_key(w, "goes");
        mill_json_write_cstr(w, steps[i].left ? "left" : "right");
        mill_json_write_object_end(w);
    }
    mill_json_write_array_end(w);
}

static void write_paths(struct mill_json_writer *w, const struct mill_model *model, const double *row, size_t columns)
{
    const struct mill_model_info *info = mill_model_info(model);
    struct mill_model_step *steps = mill_malloc(((size_t)info->depth_max + 1) * sizeof(*steps));
    mill_json_write_key(w, "paths");
    mill_json_write_array_begin(w);
    for (uint32_t t = 0; t < info->tree_count; t++) {
        double leaf = 0;
        uint32_t n = mill_model_path(model, row, columns, t, steps, info->depth_max + 1, &leaf);
        mill_json_write_object_begin(w);
        write_number(w, "leaf", leaf);
        write_steps(w, info, steps, n);
        mill_json_write_object_end(w);
    }
    mill_json_write_array_end(w);
    free(steps);
}

static void print_json(const struct mill_model *model, const double *row, size_t columns, const double *contributions,
                       struct mill_buffer *out)
{
    struct mill_json_writer w;
    mill_json_writer_init(&w, out, true);
    mill_json_write_object_begin(&w);
    write_margins(&w, mill_model_info(model), contributions);
    if (wish.paths) {
        write_paths(&w, model, row, columns);
    }
    mill_json_write_object_end(&w);
    mill_buffer_add_string(out, "\n");
}

static int explain(const struct mill_cli *cli, const struct mill_model *model, const struct mill_cli_rows *rows)
{
    const struct mill_model_info *info = mill_model_info(model);
    struct mill_error err = {0};
    if ((size_t)wish.row >= rows->row_count) {
        return mill_cli_fail_with(cli, MILL_EUSAGE, "'--row %lld': '%s' has %zu rows", (long long)wish.row, wish.input,
                                  rows->row_count);
    }
    const double *row = rows->values + (size_t)wish.row * rows->column_count;
    double *contributions =
        mill_malloc((size_t)info->margin_count * ((size_t)info->feature_count + 1) * sizeof(double));
    if (mill_model_explain(model, row, rows->column_count, contributions, &err) < 0) {
        free(contributions);
        mill_error_prefix(&err, "'%s'", cli->arguments[0]);
        return mill_cli_fail(cli, &err);
    }
    struct mill_buffer out = {0};
    if (cli->json) {
        print_json(model, row, rows->column_count, contributions, &out);
    } else {
        for (uint32_t k = 0; k < info->margin_count; k++) {
            print_output(info, row, rows->column_count, contributions, k, &out);
        }
        if (wish.paths) {
            print_paths(model, row, rows->column_count, &out);
        }
    }
    int status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    free(contributions);
    return status;
}

int mill_cli_model_explain(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_model *model = NULL;
    struct mill_cli_rows rows = {0};
    struct mill_error err = {0};
    int status = 0;
    if (!mill_cli_parse(&command, argc, argv, &cli, &status)) {
        return status;
    }
    if (wish.input == NULL) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE, "'--input' is missing; hint: a .csv, .npy, .f32 or .f64 file");
    }
    if (mill_model_load(cli.arguments[0], &model, &err) < 0 ||
        mill_cli_rows_read(wish.input, wish.columns, mill_model_info(model), &rows, &err) < 0) {
        mill_model_free(model);
        return mill_cli_fail(&cli, &err);
    }
    status = explain(&cli, model, &rows);
    mill_cli_rows_clear(&rows);
    mill_model_free(model);
    return status;
}
