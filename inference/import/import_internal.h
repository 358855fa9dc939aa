/* SPDX-License-Identifier: Apache-2.0 */
/* The importers: bytes of one format into a forest. Adding a format is one file and one line in model.c's table. */
#ifndef MILL_INFERENCE_IMPORT_IMPORT_INTERNAL_H
#define MILL_INFERENCE_IMPORT_IMPORT_INTERNAL_H

#include "base/buffer.h"
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

/* Names as they are met, then all of them in one block: a short name in a block of its own would take many times its
 * bytes of the file. */
struct mill__names {
    struct mill_buffer text; /* each ended by a null byte */
    uint32_t count;
};
void mill__names_add(struct mill__names *names, struct mill_slice name);
/* The names as forest->feature_names; they are emptied. */
char **mill__names_take(struct mill__names *names);
void mill__names_clear(struct mill__names *names);

#endif
