/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill model: finds the subcommand; inspect. */
#include "cli/model.h"

#include <math.h>
#include <stdio.h>

#include "base/number.h"

static const struct mill_cli_subcommand subcommands[] = {
    {"inspect", "what a model file holds, and how it will be scored here", mill_cli_model_inspect},
    {"score", "score the rows of a file", mill_cli_model_score},
    {"bench", "measure how fast a model is scored here", mill_cli_model_bench},
    {"explain", "what each feature contributed to a score", mill_cli_model_explain},
    {"compile", "write a model as standalone C", mill_cli_model_compile},
    {NULL, NULL, NULL},
};

int mill_cli_model(int argc, char **argv)
{
    return mill_cli_dispatch("model", subcommands, "FILE [OPTION...]",
                             "FILE is a model of XGBoost (JSON, UBJSON), LightGBM (text), CatBoost (JSON) or ONNX.\n",
                             argc, argv);
}

void mill_cli_model_number(struct mill_buffer *out, double value, bool as_double)
{
    if (isnan(value)) {
        mill_buffer_add_string(out, "nan");
    } else if (isinf(value)) {
        mill_buffer_add_string(out, value < 0 ? "-inf" : "inf");
    } else {
        char *to = mill_buffer_reserve(out, MILL_NUMBER_TEXT_MAX);
        out->n += as_double ? mill_number_print_double(value, to) : mill_number_print_float((float)value, to);
    }
}

const char *mill_cli_model_feature(const struct mill_model_info *info, uint32_t feature, char text[16])
{
    if (info->feature_names != NULL) {
        return info->feature_names[feature];
    }
    snprintf(text, 16, "f%u", feature);
    return text;
}

static void inspect_text(const struct mill_model *model, struct mill_buffer *out)
{
    const struct mill_model_info *info = mill_model_info(model);
    struct mill_model_kernel_time times[16];
    uint32_t n = mill_model_kernel_times(model, times, 16);
    mill_buffer_printf(out, "format      %s %s\nsha256      %s\nobjective   %s\n", info->format_name,
                       info->trainer_version, info->sha256, info->objective[0] == 0 ? "none" : info->objective);
    mill_buffer_printf(out, "trees       %u, depth %u, %u leaves\n", info->tree_count, info->depth_max,
                       info->leaf_count);
    mill_buffer_printf(out, "features    %u%s\n", info->feature_count,
                       info->feature_names == NULL ? ", without names" : "");
    for (uint32_t f = 0; info->feature_names != NULL && f < info->feature_count; f++) {
        mill_buffer_printf(out, "            %s\n", info->feature_names[f]);
    }
    mill_buffer_printf(out, "outputs     %u prediction%s, %u margin%s a row, %s\n", info->output_count,
                       info->output_count == 1 ? "" : "s", info->margin_count, info->margin_count == 1 ? "" : "s",
                       info->doubles ? "float64" : "float32");
    mill_buffer_printf(out, "missing     goes left in %u of %u nodes%s\n", info->missing_left_count, info->node_count,
                       info->zero_missing_count > 0 ? "; zeros are missing too in some" : "");
    mill_buffer_printf(out, "categories  tested in %u nodes\nmemory      %.1f KiB\n", info->set_count,
                       (double)info->memory_bytes / 1024);
    mill_buffer_printf(out, "kernels     1 row: %s, 32 rows: %s, 64 rows and more: %s\n", mill_model_kernel(model, 1),
                       mill_model_kernel(model, 32), mill_model_kernel(model, 64));
    for (uint32_t k = 0; k < n && k < 16; k++) {
        mill_buffer_printf(out, "            %-14s %-10s %10.0f ns alone, %8.0f ns a row of 64\n", times[k].name,
                           times[k].level, times[k].single_ns, times[k].tile_row_ns);
    }
}

static void write_uint(struct mill_json_writer *w, const char *key, uint64_t value)
{
    mill_json_write_key(w, key);
    mill_json_write_int64(w, (int64_t)value);
}

static void write_text(struct mill_json_writer *w, const char *key, const char *value)
{
    mill_json_write_key(w, key);
    mill_json_write_cstr(w, value);
}

static void inspect_json(const struct mill_model *model, struct mill_buffer *out)
{
    const struct mill_model_info *info = mill_model_info(model);
    struct mill_model_kernel_time times[16];
    uint32_t n = mill_model_kernel_times(model, times, 16);
    struct mill_json_writer w;
    mill_json_writer_init(&w, out, true);
    mill_json_write_object_begin(&w);
    write_text(&w, "format", info->format_name);
    write_text(&w, "trainer_version", info->trainer_version);
    write_text(&w, "sha256", info->sha256);
    write_text(&w, "objective", info->objective);
    write_uint(&w, "trees", info->tree_count);
    write_uint(&w, "nodes", info->node_count);
    write_uint(&w, "leaves", info->leaf_count);
    write_uint(&w, "depth", info->depth_max);
    write_uint(&w, "features", info->feature_count);
    if (info->feature_names != NULL) {
        mill_json_write_key(&w, "feature_names");
        mill_json_write_array_begin(&w);
        for (uint32_t f = 0; f < info->feature_count; f++) {
            mill_json_write_cstr(&w, info->feature_names[f]);
        }
        mill_json_write_array_end(&w);
    }
    write_uint(&w, "outputs", info->output_count);
    write_uint(&w, "margins", info->margin_count);
    write_uint(&w, "missing_left_nodes", info->missing_left_count);
    write_uint(&w, "zero_missing_nodes", info->zero_missing_count);
    write_uint(&w, "category_nodes", info->set_count);
    write_uint(&w, "memory_bytes", info->memory_bytes);
    write_text(&w, "kernel_1", mill_model_kernel(model, 1));
    write_text(&w, "kernel_32", mill_model_kernel(model, 32));
    write_text(&w, "kernel_64", mill_model_kernel(model, 64));
    mill_json_write_key(&w, "measured");
    mill_json_write_array_begin(&w);
    for (uint32_t k = 0; k < n && k < 16; k++) {
        mill_json_write_object_begin(&w);
        write_text(&w, "kernel", times[k].name);
        write_text(&w, "level", times[k].level);
        mill_json_write_key(&w, "single_ns");
        mill_json_write_double(&w, times[k].single_ns);
        mill_json_write_key(&w, "tile_row_ns");
        mill_json_write_double(&w, times[k].tile_row_ns);
        mill_json_write_object_end(&w);
    }
    mill_json_write_array_end(&w);
    mill_json_write_object_end(&w);
    mill_buffer_add_string(out, "\n");
}

static const struct mill_cli_command inspect_command = {
    .name = "model inspect",
    .arguments = "FILE",
    .summary = "Shows what a model file holds and which kernels score it here, with the times that decided it.",
    .arguments_min = 1,
    .arguments_max = 1,
};

int mill_cli_model_inspect(int argc, char **argv)
{
    struct mill_cli cli;
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    int status = 0;
    if (!mill_cli_parse(&inspect_command, argc, argv, &cli, &status)) {
        return status;
    }
    if (mill_model_load(cli.arguments[0], &model, &err) < 0) {
        return mill_cli_fail(&cli, &err);
    }
    struct mill_buffer out = {0};
    if (cli.json) {
        inspect_json(model, &out);
    } else {
        inspect_text(model, &out);
    }
    status = mill_cli_write(&out);
    mill_buffer_clear(&out);
    mill_model_free(model);
    return status;
}
