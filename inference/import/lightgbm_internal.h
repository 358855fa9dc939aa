/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the LightGBM importer share. */
#ifndef MILL_INFERENCE_IMPORT_LIGHTGBM_INTERNAL_H
#define MILL_INFERENCE_IMPORT_LIGHTGBM_INTERNAL_H

#include "base/number.h"
#include "inference/import/import_internal.h"

/* The lines of a tree that matter; the order of line_names in lightgbm_tree.c. */
enum mill__lgb_line {
    LGB_NUM_LEAVES,
    LGB_NUM_CAT,
    LGB_SPLIT_FEATURE,
    LGB_THRESHOLD,
    LGB_DECISION_TYPE,
    LGB_LEFT_CHILD,
    LGB_RIGHT_CHILD,
    LGB_LEAF_VALUE,
    LGB_LEAF_COUNT,
    LGB_INTERNAL_COUNT,
    LGB_CAT_BOUNDARIES,
    LGB_CAT_THRESHOLD,
    LGB_IS_LINEAR,
    LGB_LEAF_CONST,
    LGB_NUM_FEATURES,
    LGB_LEAF_FEATURES,
    LGB_LEAF_COEFF,
    LGB_LINES
};

struct mill__lgb_tree {
    const char *begin, *end;
    struct mill_slice lines[LGB_LINES]; /* p is NULL where the line is missing */
};

struct mill__lgb {
    struct mill__forest *forest;
    struct mill_error *err;
    struct mill__tree_builder builder;
    struct mill__lgb_tree tree;
    MILL__VECTOR(struct mill__raw_node) raw;
    MILL__VECTOR(uint32_t) words; /* cat_boundaries of the tree */
    int64_t class_count, per_iteration, feature_max;
    bool averages, covers_missing;
    struct mill_slice objective;
    struct mill__names names;
};

int mill__lgb_int(struct mill_slice text, int64_t least, int64_t most, int64_t *ret_value);
/* Where the line of that key goes, or NULL for lines that do not matter. */
struct mill_slice *mill__lgb_line(struct mill__lgb_tree *tree, struct mill_slice key);
int mill__lgb_add_tree(struct mill__lgb *x, uint32_t index);
int mill__lgb_apply_objective(struct mill__lgb *x);

#endif
