/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the XGBoost importer share: the model as far as it was read, and one tree's arrays. */
#ifndef MILL_INFERENCE_IMPORT_XGBOOST_INTERNAL_H
#define MILL_INFERENCE_IMPORT_XGBOOST_INTERNAL_H

#include "inference/import/document_internal.h"
#include "inference/import/import_internal.h"

/* The arrays of one tree as they stand in the file; reused from tree to tree. */
struct mill__xgb_tree {
    uint32_t seen; /* a bit for each array that was read */
    mill__ints left, right, feature, default_left, split_type;
    mill__ints categories, category_nodes, category_begins, category_sizes;
    mill__floats condition, hessian, weights;
    int64_t node_count, vector_size;
    bool has_leaf_weights;            /* weights hold leaf_weights (3.2 and later), by leaf number */
    struct mill__document weights_at; /* where base_weights start, for vector leaves before 3.2 */
    bool has_base_weights;
    size_t byte_begin;
};

/* Trees in file order; their output and weight are known only at the end, since names come sorted. */
struct mill__xgb {
    struct mill__document d;
    struct mill__forest *forest;
    struct mill__tree_builder builder;
    struct mill__xgb_tree tree;
    MILL__VECTOR(struct mill__raw_node) raw;
    mill__doubles vectors;
    mill__ints tree_info;
    mill__floats weight_drop;
    mill__floats base_score;
    int64_t major, minor;
    int64_t class_count, target_count, feature_count;
    bool has_version, has_model_param, has_booster, has_objective, has_trees, has_gbtree;
    uint32_t covers_missing;
    /* Trees come before learner_model_param: where they start, to be read when all else is known. */
    struct mill__document trees_at;
    char objective[64];
    double scale_pos_weight;
};

/* Reads the tree at the document's position and appends it to the forest. index: for messages. */
int mill__xgb_read_tree(struct mill__xgb *x, uint32_t index);
void mill__xgb_tree_clear(struct mill__xgb_tree *tree);
/* Base scores to margins, and the link, by objective. */
int mill__xgb_apply_objective(struct mill__xgb *x);

#endif
