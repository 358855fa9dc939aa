/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libtidemill: scores tree ensembles (XGBoost, LightGBM, CatBoost, ONNX) with the bits of their trainers. This header
 * and the C library are all it needs.
 *
 * A scorer is immutable after load: any number of threads may use one at once, without locks. The first call of a
 * thread allocates its scratch, later ones allocate nothing.
 *
 * Functions that can fail return 0 or a negative code, fill *err (which may be NULL) and leave ret_ parameters as they
 * were. A broken precondition (a null pointer, an output index that is not there) aborts with a line that says which;
 * so does memory that has run out. Bytes of a model file, however malformed, do neither.
 */
#ifndef TIDEMILL_H
#define TIDEMILL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define MILL_SCORER_API __attribute__((visibility("default")))
#else
#define MILL_SCORER_API
#endif

struct mill_scorer;

enum mill_scorer_code {
    MILL_SCORER_EDATA = -2,     /* the bytes are no model that can be scored exactly */
    MILL_SCORER_ENOINPUT = -3,  /* no such file */
    MILL_SCORER_ERESOURCE = -6, /* larger than 1 GiB */
    MILL_SCORER_EIO = -7,       /* the file cannot be read */
    MILL_SCORER_ECONFIG = -9    /* MILL_KERNEL names no kernel */
};

struct mill_scorer_error {
    int code;
    char message[512]; /* one line: "model 'churn.json': xgboost json: tree 3: node 7 has two parents ..." */
};

/* MARGIN: sums of leaves, before the objective's link. PREDICTION: what the trainer's predict() returns (for ONNX the
 * outputs of the graph: both columns of a binary classifier). */
enum mill_scorer_output { MILL_SCORER_MARGIN, MILL_SCORER_PREDICTION };

/* From a file, or from bytes, which are not kept; name stands in messages. */
MILL_SCORER_API int mill_scorer_load(const char *path, struct mill_scorer **ret_scorer, struct mill_scorer_error *err);
MILL_SCORER_API int mill_scorer_load_bytes(const void *bytes, size_t size, const char *name,
                                           struct mill_scorer **ret_scorer, struct mill_scorer_error *err);
/* NULL is fine. No thread may be scoring with it. */
MILL_SCORER_API void mill_scorer_free(struct mill_scorer *scorer);

/* Columns that a row has. */
MILL_SCORER_API size_t mill_scorer_feature_count(const struct mill_scorer *scorer);
/* NULL where the file holds no names. Valid as long as the scorer. */
MILL_SCORER_API const char *mill_scorer_feature_name(const struct mill_scorer *scorer, size_t feature);
/* Values a row: classes, targets, or 1. */
MILL_SCORER_API size_t mill_scorer_width(const struct mill_scorer *scorer, enum mill_scorer_output output);
MILL_SCORER_API size_t mill_scorer_tree_count(const struct mill_scorer *scorer);
/* "xgboost json", "lightgbm", ...; the objective's name in the file; the file's SHA-256 in hex; the kernel that scores
 * a batch of that many rows. */
MILL_SCORER_API const char *mill_scorer_format(const struct mill_scorer *scorer);
MILL_SCORER_API const char *mill_scorer_objective(const struct mill_scorer *scorer);
MILL_SCORER_API const char *mill_scorer_sha256(const struct mill_scorer *scorer);
MILL_SCORER_API const char *mill_scorer_kernel(const struct mill_scorer *scorer, size_t row_count);

/* Row r, column c at rows[r * stride + c]; stride >= column_count. NaN is missing, and so are features from
 * column_count on; columns that the model does not have are ignored. out: row_count * mill_scorer_width() values,
 * row-major. Doubles are rounded to float first where the trainer does so (XGBoost, ONNX, CatBoost). */
MILL_SCORER_API void mill_scorer_score_f32(const struct mill_scorer *scorer, const float *rows, size_t row_count,
                                           size_t column_count, size_t stride, enum mill_scorer_output output,
                                           float *out);
MILL_SCORER_API void mill_scorer_score_f64(const struct mill_scorer *scorer, const double *rows, size_t row_count,
                                           size_t column_count, size_t stride, enum mill_scorer_output output,
                                           double *out);
/* The class of each row: the label that the file gives it (ONNX), else the number of the class. */
MILL_SCORER_API void mill_scorer_classify_f32(const struct mill_scorer *scorer, const float *rows, size_t row_count,
                                              size_t column_count, size_t stride, int64_t *labels);

/*
 * A slot holds the scorer that is in use now, and replaces it while threads score. Each thread that scores joins once
 * and brackets every batch with begin and end; neither waits or locks. swap() puts the next scorer in place and returns
 * the one before as soon as no batch uses it any more, so that it can be freed at once.
 */
struct mill_scorer_slot;
struct mill_scorer_reader;

MILL_SCORER_API struct mill_scorer_slot *mill_scorer_slot_new(struct mill_scorer *first);
/* After all readers have left. Returns the scorer in it, which is the caller's again. */
MILL_SCORER_API struct mill_scorer *mill_scorer_slot_free(struct mill_scorer_slot *slot);
/* next: any scorer but the one in the slot. From any thread that is not between begin and end itself. */
MILL_SCORER_API struct mill_scorer *mill_scorer_slot_swap(struct mill_scorer_slot *slot, struct mill_scorer *next);
MILL_SCORER_API struct mill_scorer_reader *mill_scorer_slot_join(struct mill_scorer_slot *slot);
MILL_SCORER_API void mill_scorer_slot_leave(struct mill_scorer_reader *reader);
/* The scorer in the slot; it lives until mill_scorer_end(). One batch at a time for each reader. */
MILL_SCORER_API const struct mill_scorer *mill_scorer_begin(struct mill_scorer_reader *reader);
MILL_SCORER_API void mill_scorer_end(struct mill_scorer_reader *reader);

#ifdef __cplusplus
}
#endif

#endif
