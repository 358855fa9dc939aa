/* SPDX-License-Identifier: Apache-2.0 */
/* The importers: bytes of one format into a forest. Adding a format is one file and one line in model.c's table. */
#ifndef MILL_INFERENCE_IMPORT_IMPORT_INTERNAL_H
#define MILL_INFERENCE_IMPORT_IMPORT_INTERNAL_H

#include "base/error.h"
#include "base/slice.h"
#include "inference/forest_internal.h"

/* Each fills a forest that mill__forest_init() prepared; on failure the caller clears it. */
int mill__import_xgboost_json(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err);
int mill__import_xgboost_ubjson(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err);
int mill__import_lightgbm(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err);
int mill__import_catboost(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err);
int mill__import_onnx(struct mill_slice bytes, struct mill__forest *forest, struct mill_error *err);

/* A null-terminated heap copy. */
char *mill__copy_text(struct mill_slice text);

#endif
