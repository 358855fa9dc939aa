/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill model score, bench and compile. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/number.h"
#include "cli/model.h"

static const char *const output_words[] = {"margin", "prediction", NULL};
static const char *const format_words[] = {"text", "json", "npy", NULL};

static struct {
    const char *input, *batch, *directory, *name;
    int64_t columns;
    int output, format, emit;
} wish = {.output = 1, .directory = ".", .name = "model", .batch = "1,32,1024"};

static const struct mill_cli_option score_options[] = {
    {"input", 0, MILL_CLI_STRING, &wish.input, "ROWS", "a .csv, .npy, .f32 or .f64 file", 0, 0, NULL},
    {"columns", 0, MILL_CLI_INTEGER, &wish.columns, "N", "values a row of raw files (default: the model's features)", 1,
     16777216, NULL},
    {"output", 0, MILL_CLI_WORD, &wish.output, "margin|prediction", "what to compute", 0, 0, output_words},
    {"format", 0, MILL_CLI_WORD, &wish.format, "text|json|npy", "a line for each row, JSON, or a NumPy matrix", 0, 0,
     format_words},
    {.name = NULL},
};

static const struct mill_cli_command score_command = {
    .name = "model score",
    .arguments = "FILE",
    .summary = "Scores the rows of a file: one line for each, values separated by commas, in the shortest form that\n"
               "reads back to the same bits.",
    .examples = "  tidemill model score churn.json --input rows.csv --output prediction\n",
    .options = score_options,
    .arguments_min = 1,
    .arguments_max = 1,
};

static void print_text(struct mill_buffer *out, const double *values, size_t rows, size_t width, bool doubles)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t k = 0; k < width; k++) {
            mill_buffer_add_string(out, k == 0 ? "" : ",");
            mill_cli_model_number(out, values[r * width + k], doubles);
        }
        mill_buffer_add_string(out, "\n");
    }
}

static void print_json(struct mill_buffer *out, const double *values, size_t rows, size_t width, bool doubles)
{
    mill_buffer_printf(out, "{\"output\":\"%s\",\"rows\":%zu,\"columns\":%zu,\"values\":[", output_words[wish.output],
                       rows, width);
    for (size_t i = 0; i < rows * width; i++) {
        double v = values[i];
        mill_buffer_add_string(out, i == 0 ? "\n[" : i % width == 0 ? "],\n[" : ",");
        if (v - v != 0) {
            mill_json_append_double(out, v);
        } else {
            mill_cli_model_number(out, v, doubles);
        }
    }
    mill_buffer_add_string(out, rows * width > 0 ? "]]}\n" : "]}\n");
}

static void print_npy(struct mill_buffer *out, const double *values, size_t rows, size_t width, bool doubles)
{
    char header[118];
    int n = snprintf(header, sizeof(header), "{'descr': '<f%d', 'fortran_order': False, 'shape': (%zu, %zu), }",
                     doubles ? 8 : 4, rows, width);
    memset(header + n, ' ', sizeof(header) - (size_t)n);
    header[sizeof(header) - 1] = '\n';
    mill_buffer_add(out, "\x93NUMPY\x01\x00\x76\x00", 10);
    mill_buffer_add(out, header, sizeof(header));
    for (size_t i = 0; i < rows * width; i++) {
        float narrow = (float)values[i];
        if (doubles) {
            mill_buffer_add(out, &values[i], sizeof(values[i]));
        } else {
            mill_buffer_add(out, &narrow, sizeof(narrow));
        }
    }
}

static int score_file(const struct mill_cli *cli, const struct mill_model *model)
{
    const struct mill_model_info *info = mill_model_info(model);
    struct mill_cli_rows rows = {0};
    struct mill_error err = {0};
    if (mill_cli_rows_read(wish.input, wish.columns, info, &rows, &err) < 0) {
        return mill_cli_fail(cli, &err);
    }
    size_t width = wish.output == 0 ? info->margin_count : info->output_count;
    double *out = mill_malloc((rows.row_count * width + 1) * sizeof(*out));
    mill_model_score_f64(model, rows.values, rows.row_count, rows.column_count, rows.column_count,
                         wish.output == 0 ? MILL_MODEL_MARGIN : MILL_MODEL_PREDICTION, out);
    struct mill_buffer text = {0};
    void (*const printers[])(struct mill_buffer *, const double *, size_t, size_t, bool) = {print_text, print_json,
                                                                                            print_npy};
    printers[wish.format](&text, out, rows.row_count, width, info->doubles);
    int status = mill_cli_write(&text);
    mill_buffer_clear(&text);
    free(out);
    mill_cli_rows_clear(&rows);
    return status;
}

int mill_cli_model_score(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    int status = 0;
    if (!mill_cli_parse(&score_command, argc, argv, &cli, &status)) {
        return status;
    }
    cli.json = wish.format == 1;
    if (wish.input == NULL) {
        return mill_cli_fail_with(&cli, MILL_EUSAGE, "'--input' is missing; hint: a .csv, .npy, .f32 or .f64 file");
    }
    if (mill_model_load(cli.arguments[0], &model, &err) < 0) {
        return mill_cli_fail(&cli, &err);
    }
    status = score_file(&cli, model);
    mill_model_free(model);
    return status;
}

static const struct mill_cli_option bench_options[] = {
    {"batch", 0, MILL_CLI_STRING, &wish.batch, "N,N,...", "rows a call", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command bench_command = {
    .name = "model bench",
    .arguments = "FILE",
    .summary =
        "Measures how long a call takes for batches of the given sizes, on rows of small random numbers with 5 %\n"
        "missing: the least of 20 rounds, one thread.",
    .options = bench_options,
    .arguments_min = 1,
    .arguments_max = 1,
};

enum { BENCH_ROWS_MAX = 4096, BENCH_ROUNDS = 20 };

static double bench_ns(const struct mill_model *model, const float *rows, size_t row_count, size_t batch, float *out)
{
    size_t columns = mill_model_info(model)->feature_count;
    int64_t least = INT64_MAX;
    for (int round = 0; round < BENCH_ROUNDS; round++) {
        int64_t start = mill_clock_mono_ns();
        for (size_t first = 0; first + batch <= row_count; first += batch) {
            mill_model_score_f32(model, rows + first * columns, batch, columns, columns, MILL_MODEL_MARGIN, out);
        }
        int64_t took = mill_clock_mono_ns() - start;
        least = took < least ? took : least;
    }
    return (double)least / (double)(row_count / batch);
}

static int bench(const struct mill_cli *cli, const struct mill_model *model)
{
    const struct mill_model_info *info = mill_model_info(model);
    size_t columns = info->feature_count, n = (size_t)BENCH_ROWS_MAX * columns;
    float *rows = mill_malloc((n + 1) * sizeof(*rows));
    float *out = mill_malloc((size_t)BENCH_ROWS_MAX * info->margin_count * sizeof(*out));
    uint32_t seed = 1;
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        rows[i] = seed >> 8 & 1 ? (float)(seed >> 12 & 0xff) / 16 : (float)(int32_t)seed / 1e9f;
        rows[i] = (seed >> 16) % 20 == 0 ? __builtin_nanf("") : rows[i];
    }
    struct mill_buffer text = {0};
    int status = 0;
    mill_buffer_add_string(&text, cli->json ? "[" : "");
    for (const char *p = wish.batch; *p != 0 && status == 0;) {
        int64_t batch = 0;
        const char *stop = mill_number_parse_int64(p, p + strlen(p), &batch);
        if (stop == NULL || batch < 1 || batch > BENCH_ROWS_MAX || (*stop != 0 && *stop != ',')) {
            status = mill_cli_fail_with(cli, MILL_EUSAGE, "'--batch %s': expected numbers from 1 to %d", wish.batch,
                                        BENCH_ROWS_MAX);
            break;
        }
        double ns = bench_ns(model, rows, BENCH_ROWS_MAX, (size_t)batch, out);
        mill_buffer_printf(&text,
                           cli->json ? "%s{\"batch\":%lld,\"call_us\":%.3f,\"row_ns\":%.1f,\"kernel\":\"%s\"}"
                                     : "%s%6lld rows  %10.3f us a call  %9.1f ns a row  %s\n",
                           cli->json && p != wish.batch ? "," : "", (long long)batch, ns / 1e3, ns / (double)batch,
                           mill_model_kernel(model, (size_t)batch));
        p = stop + (*stop == ',');
    }
    mill_buffer_add_string(&text, cli->json ? "]\n" : "");
    if (status == 0) {
        status = mill_cli_write(&text);
    }
    mill_buffer_clear(&text);
    free(out);
    free(rows);
    return status;
}

int mill_cli_model_bench(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    int status = 0;
    if (!mill_cli_parse(&bench_command, argc, argv, &cli, &status)) {
        return status;
    }
    if (mill_model_load(cli.arguments[0], &model, &err) < 0) {
        return mill_cli_fail(&cli, &err);
    }
    status = bench(&cli, model);
    mill_model_free(model);
    return status;
}

static const char *const emit_words[] = {"c", NULL};

static const struct mill_cli_option compile_options[] = {
    {"emit", 0, MILL_CLI_WORD, &wish.emit, "c", "the language", 0, 0, emit_words},
    {"directory", 'o', MILL_CLI_STRING, &wish.directory, "DIR", "where to write (default: here)", 0, 0, NULL},
    {"name", 0, MILL_CLI_STRING, &wish.name, "NAME", "of the files and functions (default: model)", 0, 0, NULL},
    {.name = NULL},
};

static const struct mill_cli_command compile_command = {
    .name = "model compile",
    .arguments = "FILE",
    .summary =
        "Writes NAME.c and NAME.h, standalone C99 with NAME_margin() and NAME_predict(): the same bits, nothing\n"
        "needed but libm.",
    .examples = "  tidemill model compile churn.json --emit c -o src --name churn\n",
    .options = compile_options,
    .arguments_min = 1,
    .arguments_max = 1,
};

static int write_files(struct mill_slice source, struct mill_slice header, struct mill_error *err)
{
    struct mill_buffer path = {0};
    int rc = mill_file_make_dirs(wish.directory, err);
    mill_buffer_printf(&path, "%s/%s.c", wish.directory, wish.name);
    rc = rc < 0 ? rc : mill_file_replace(mill_buffer_cstr(&path), source, err);
    mill_buffer_reset(&path);
    mill_buffer_printf(&path, "%s/%s.h", wish.directory, wish.name);
    rc = rc < 0 ? rc : mill_file_replace(mill_buffer_cstr(&path), header, err);
    mill_buffer_clear(&path);
    return rc;
}

int mill_cli_model_compile(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    struct mill_buffer source = {0}, header = {0};
    int status = 0;
    if (!mill_cli_parse(&compile_command, argc, argv, &cli, &status)) {
        return status;
    }
    int rc = mill_model_load(cli.arguments[0], &model, &err);
    rc = rc < 0 ? rc : mill_model_emit_c(model, wish.name, &source, &header, &err);
    rc = rc < 0 ? rc : write_files(mill_buffer_slice(&source), mill_buffer_slice(&header), &err);
    if (rc < 0) {
        status = mill_cli_fail(&cli, &err);
    } else {
        printf("%s/%s.c: %zu bytes\n", wish.directory, wish.name, source.n);
    }
    mill_buffer_clear(&source);
    mill_buffer_clear(&header);
    mill_model_free(model);
    return status;
}
