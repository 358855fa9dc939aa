/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the CatBoost importer share. */
#ifndef MILL_INFERENCE_IMPORT_CATBOOST_INTERNAL_H
#define MILL_INFERENCE_IMPORT_CATBOOST_INTERNAL_H

#include <stdio.h>

#include "inference/import/document_internal.h"
#include "inference/import/import_internal.h"

struct mill__cat_feature {
    int64_t flat; /* column of the input */
    bool nan_left;
    char *name;
};

struct mill__cat {
    struct mill__document d, trees_at;
    struct mill__forest *forest;
    struct mill__tree_builder builder;
    MILL__VECTOR(struct mill__cat_feature) features;
    MILL__VECTOR(struct mill__raw_node) raw;
    mill__doubles bias, values, weights;
    int64_t flat_max;
    bool has_trees, has_scale, oblivious, covers_missing;
    char loss[64];
};

/* Each reads the tree at the document's position and appends it to the forest. */
int mill__cat_oblivious_tree(struct mill__cat *x);
int mill__cat_nested_tree(struct mill__cat *x);

#endif
