/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inference: tree ensembles, loaded from their trainers' files and scored exactly.
 *
 * A model is immutable after load and may be scored by any number of threads at once. Margins are bit-equal to the
 * trainer's own (XGBoost: float32 in tree order). What a file holds that is not understood is an error that names the
 * node and the reason, never a guess.
 */
#ifndef MILL_INFERENCE_H
#define MILL_INFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/batch.h"
#include "base/buffer.h"
#include "base/error.h"
#include "base/slice.h"

struct mill_model;

enum mill_model_format {
    MILL_MODEL_XGBOOST_JSON,
    MILL_MODEL_XGBOOST_UBJSON,
    MILL_MODEL_LIGHTGBM,
    MILL_MODEL_ONNX,
    MILL_MODEL_CATBOOST
};

struct mill_model_info {
    enum mill_model_format format;
    const char *format_name; /* "xgboost json", ... */
    const char *trainer_version;
    const char *objective;
    char sha256[65];
    uint32_t tree_count, node_count, leaf_count, depth_max;
    uint32_t feature_count;
    const char *const *feature_names; /* feature_count of them, or NULL where the file has none */
    uint32_t output_count;            /* predictions a row: 1, classes or targets */
    uint32_t margin_count; /* margins a row; differs where classes become one (multi:softmax) or two columns */
    uint64_t memory_bytes;
    bool doubles; /* margins and predictions are doubles by nature (LightGBM, CatBoost), else floats */
    /* How missing values are treated: nodes that send them left, nodes to which zeros are missing too, and nodes that
     * test membership in a set of categories. */
    uint32_t missing_left_count, zero_missing_count, set_count;
};

/* A kernel that can run a model here, and what the tuner measured at load: nanoseconds of a row alone and of a row in a
 * tile of 64; 0 where there was nothing to choose from. */
struct mill_model_kernel_time {
    const char *name, *level;
    double single_ns, tile_row_ns;
};

/* By path (format by content and name) or from bytes (name: for messages and the format). */
int mill_model_load(const char *path, struct mill_model **ret_model, struct mill_error *err) MILL_MUST_CHECK;
int mill_model_load_bytes(struct mill_slice bytes, const char *name, struct mill_model **ret_model,
                          struct mill_error *err) MILL_MUST_CHECK;
void mill_model_free(struct mill_model *model);
const struct mill_model_info *mill_model_info(const struct mill_model *model);

/* The name of the kernel that scores a batch of that many rows: walk, scan-avx2, block-avx512, ... */
const char *mill_model_kernel(const struct mill_model *model, size_t row_count);

/* Fills at most max entries, returns how many there are. */
uint32_t mill_model_kernel_times(const struct mill_model *model, struct mill_model_kernel_time *times, uint32_t max);

enum mill_model_output { MILL_MODEL_MARGIN, MILL_MODEL_PREDICTION };

/* Dense rows: row r, feature f at rows[r * stride + f]; NaN is missing; stride >= column_count; features beyond
 * column_count are missing. out: row_count * output_count values (margin_count for margins), row-major. No allocation
 * after a thread's first call. The f64 variant casts as
 * the trainer does (XGBoost: to float first). */
void mill_model_score_f32(const struct mill_model *model, const float *rows, size_t row_count, size_t column_count,
                          size_t stride, enum mill_model_output output, float *out);
void mill_model_score_f64(const struct mill_model *model, const double *rows, size_t row_count, size_t column_count,
                          size_t stride, enum mill_model_output output, double *out);

/* The class of each row: the label that the file gives it (ONNX), else the number of the largest margin, from 0; of a
 * model with one margin, 1 where the margin is above 0 (above 0.5 where it is a probability itself). */
void mill_model_classify_f32(const struct mill_model *model, const float *rows, size_t row_count, size_t column_count,
                             size_t stride, int64_t *labels);

/* What each feature contributed to each margin of one row (TreeSHAP): for output k, contributions[k * (feature_count +
 * 1)
 * + f], and behind the features the bias; they add up to the margin. Needs the training weights of nodes, which
 * XGBoost, LightGBM and CatBoost files hold. Allocates; not for the hot path. */
int mill_model_explain(const struct mill_model *model, const double *row, size_t column_count, double *contributions,
                       struct mill_error *err) MILL_MUST_CHECK;

/* One test on the way of a row through a tree: left where value <= threshold (or where the set has the value). */
struct mill_model_step {
    uint32_t feature;
    bool is_set, left;
    double value, threshold;
};
/* The way of a row through a tree; fills at most step_max steps, returns how many there are. ret_leaf: the first value
 * of the leaf. */
uint32_t mill_model_path(const struct mill_model *model, const double *row, size_t column_count, uint32_t tree_index,
                         struct mill_model_step *steps, uint32_t step_max, double *ret_leaf);

/* The model as standalone C99: NAME.c and NAME.h with NAME_margin() and NAME_predict(), the same bits, no dependency
 * but libm. Appends. What cannot be written (linear leaves, scalers, rare links) is an error. */
int mill_model_emit_c(const struct mill_model *model, const char *name, struct mill_buffer *source,
                      struct mill_buffer *header, struct mill_error *err) MILL_MUST_CHECK;

/*
 * Replacing a model while threads score with it. A slot holds the one in use. Each thread that scores joins once and
 * brackets every batch with begin and end, which neither wait nor lock. swap() puts the next model in place and returns
 * the one before when no batch uses it any more: the caller's, to free at once. It may be called from any thread that
 * is not between begin and end itself; next must be another model than the one in the slot.
 */
struct mill_model_slot;
struct mill_model_reader;
struct mill_model_slot *mill_model_slot_new(struct mill_model *first);
/* After all readers have left. Returns the model in it, which is the caller's again. */
struct mill_model *mill_model_slot_free(struct mill_model_slot *slot);
struct mill_model *mill_model_slot_swap(struct mill_model_slot *slot, struct mill_model *next);
struct mill_model_reader *mill_model_slot_join(struct mill_model_slot *slot);
void mill_model_slot_leave(struct mill_model_reader *reader);
const struct mill_model *mill_model_begin(struct mill_model_reader *reader);
void mill_model_end(struct mill_model_reader *reader);

/* How a feature service feeds a model: position in the service -> feature of the model, by name. Where the model has no
 * names, by position (counts must be equal). Types (NULL where they are not known yet): a string feeds nothing, the
 * number of a category (a feature that some node tests against a set of categories) is an int64 or a bool. A mismatch
 * is an error that lists both sides. */
struct mill_model_input {
    uint32_t *column; /* per model feature: the batch column */
    uint32_t feature_count;
};
int mill_model_bind(const struct mill_model *model, const char *const *service_names,
                    const enum mill_type *service_types, const uint32_t *service_columns, uint32_t service_count,
                    struct mill_arena *arena, struct mill_model_input *ret_input,
                    struct mill_error *err) MILL_MUST_CHECK;
/* Scores rows from <= i < to of the batch (bool, int64, float64 columns; null is missing) into out[(i - from) *
 * output_count] (margin_count for margins). */
void mill_model_score(const struct mill_model *model, const struct mill_model_input *input,
                      const struct mill_batch *batch, uint32_t from, uint32_t to, enum mill_model_output output,
                      double *out);

#endif
