/* SPDX-License-Identifier: Apache-2.0 */
/* tidemill model: inspect, score, bench, explain and compile model files. main.c calls the entry; the rest is shared by
 * the model_*.c files. */
#ifndef MILL_CLI_MODEL_H
#define MILL_CLI_MODEL_H

#include "cli/cli_internal.h"
#include "inference/inference.h"

int mill_cli_model(int argc, char **argv);

int mill_cli_model_inspect(int argc, char **argv);
int mill_cli_model_score(int argc, char **argv);
int mill_cli_model_bench(int argc, char **argv);
int mill_cli_model_explain(int argc, char **argv);
int mill_cli_model_compile(int argc, char **argv);

/* Rows of a file, as doubles (exact for floats); NaN where a value is missing. */
struct mill_cli_rows {
    double *values; /* row-major */
    size_t row_count, column_count;
};
/* By the name's ending: .csv (a first line of names is matched with the model's), .npy (float32 or float64), .f32 and
 * .f64 (raw). columns: how many a row has, 0 for as many as the model has features; any other count is an error. */
int mill_cli_rows_read(const char *path, int64_t columns, const struct mill_model_info *info,
                       struct mill_cli_rows *ret_rows, struct mill_error *err) MILL_MUST_CHECK;
void mill_cli_rows_clear(struct mill_cli_rows *rows);

/* A number in the shortest form that reads back to the same bits, as float or double; nan, inf and -inf as words. */
void mill_cli_model_number(struct mill_buffer *out, double value, bool as_double);
/* "name" of a feature, or "f3". */
const char *mill_cli_model_feature(const struct mill_model_info *info, uint32_t feature, char text[16]);

#endif
