/* SPDX-License-Identifier: Apache-2.0 */
/* What a loaded model is inside: the forest and the tables that kernels walk. Immutable after load. */
#ifndef MILL_INFERENCE_MODEL_INTERNAL_H
#define MILL_INFERENCE_MODEL_INTERNAL_H

#include "inference/forest_internal.h"
#include "inference/inference.h"
#include "inference/kernel/kernel_internal.h"

struct mill_model {
    struct mill_model_info info;
    struct mill__forest forest;
    struct mill__tables tables;
};

/* Whether predictions are anything else than margins. */
bool mill__link_changes(const struct mill__forest *forest);
/* Margin to prediction of one row, in place; row has room for margin_count and for output_count values. */
void mill__link_apply(const struct mill__forest *forest, double *row);

/* The one way to score: either out32 or out64. Any thread. */
void mill__score_rows(const struct mill_model *model, const struct mill__rows *rows, size_t row_count,
                      enum mill_model_output output, float *out32, double *out64);
/* Room for `count` doubles in the calling thread's scratch, behind what mill__score_rows() needs for a tile of `rows`
 * rows; valid until the thread scores another model or a larger tile. */
double *mill__behind(const struct mill_model *model, uint32_t rows, size_t count);
uint32_t mill__model_width(const struct mill_model *model, enum mill_model_output output);

/* A block of memory of the calling thread, grown when it is too small and kept until the thread ends: scores allocate
 * nothing after a thread's first. Aligned to 64 bytes. */
void *mill__scratch(size_t size);

#endif
