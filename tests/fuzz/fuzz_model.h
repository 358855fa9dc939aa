/* SPDX-License-Identifier: Apache-2.0 */
/* What the model fuzzers share: load, and where that works score rows of every kind in every batch shape, explain one
 * of them and write the model as C. */
#ifndef MILL_TESTS_FUZZ_MODEL_H
#define MILL_TESTS_FUZZ_MODEL_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "inference/inference.h"

enum { FUZZ_ROWS = 65, FUZZ_COLUMNS = 6 };

static void fuzz_score(const struct mill_model *model)
{
    static const float values[] = {0.0f, -0.0f, 1.0f, -1.0f, 5.0f, 1e30f, -1e30f, 1e-40f, INFINITY, -INFINITY, NAN};
    const struct mill_model_info *info = mill_model_info(model);
    size_t width = info->margin_count > info->output_count ? info->margin_count : info->output_count;
    if (width > 1000 || info->tree_count > 10000) {
        return;
    }
    float rows[FUZZ_ROWS * FUZZ_COLUMNS];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        rows[i] = values[(i * 7 + i / 11) % (sizeof(values) / sizeof(values[0]))];
    }
    float *out = mill_malloc(FUZZ_ROWS * width * sizeof(float));
    mill_model_score_f32(model, rows, FUZZ_ROWS, FUZZ_COLUMNS, FUZZ_COLUMNS, MILL_MODEL_MARGIN, out);
    mill_model_score_f32(model, rows, 9, FUZZ_COLUMNS, FUZZ_COLUMNS, MILL_MODEL_PREDICTION, out);
    mill_model_score_f32(model, rows, 1, FUZZ_COLUMNS, FUZZ_COLUMNS, MILL_MODEL_PREDICTION, out);
    free(out);
}

static void fuzz_explain(const struct mill_model *model)
{
    const struct mill_model_info *info = mill_model_info(model);
    static const double row[FUZZ_COLUMNS] = {0.5, -1, NAN, 1e30, 2, 3};
    struct mill_model_step steps[8];
    struct mill_buffer source = {0}, header = {0};
    struct mill_error err = {0};
    double leaf = 0;
    size_t n = (size_t)info->margin_count * ((size_t)info->feature_count + 1);
    if (n < 100000 && info->leaf_count < 10000) {
        double *contributions = mill_malloc(n * sizeof(*contributions));
        if (mill_model_explain(model, row, FUZZ_COLUMNS, contributions, &err) < 0) {
            mill_assert(err.msg[0] != 0);
        }
        free(contributions);
    }
    if (info->tree_count > 0 && info->feature_count < 100000) {
        mill_model_path(model, row, FUZZ_COLUMNS, info->tree_count - 1, steps, 8, &leaf);
    }
    if (info->node_count < 10000 && info->feature_count < 10000 && info->margin_count < 1000) {
        mill_assert(mill_model_emit_c(model, "m", &source, &header, &err) == 0 || err.msg[0] != 0);
    }
    mill_buffer_clear(&source);
    mill_buffer_clear(&header);
}

static int fuzz_model(const uint8_t *data, size_t size)
{
    static const char *const kernels[] = {"portable",      "scan-avx2", "block-avx2",  "block-avx512",
                                          "gather-avx512", "scan-vbmi", "perfect-vbmi"};
    struct mill_model *model = NULL;
    struct mill_error err = {0};
    /* One kernel at a time, by the length: measuring all of them would take most of the time. */
    setenv("MILL_KERNEL", kernels[size % (sizeof(kernels) / sizeof(kernels[0]))], 1);
    struct mill_slice bytes = {(const char *)data, size};
    if (mill_model_load_bytes(bytes, "fuzz", &model, &err) < 0) {
        mill_assert(err.code < 0 && err.msg[0] != 0);
        return 0;
    }
    fuzz_score(model);
    fuzz_explain(model);
    mill_model_free(model);
    return 0;
}

#endif
