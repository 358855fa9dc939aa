/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the ONNX importer share: the graph walk finds the ensemble's node, the ensemble readers read it. */
#ifndef MILL_INFERENCE_IMPORT_ONNX_INTERNAL_H
#define MILL_INFERENCE_IMPORT_ONNX_INTERNAL_H

#include "inference/import/import_internal.h"
#include "inference/import/protobuf_internal.h"

struct mill__onnx_node {
    struct mill_slice message;
    struct mill_slice op, name, domain;
    struct mill_slice inputs[64], outputs[8];
    uint32_t input_count, output_count;
};

struct mill__onnx {
    struct mill_error *err;
    struct mill__forest *forest;
    struct mill__tree_builder builder;
    struct mill_slice graph;
    const struct mill__onnx_node *ensemble;
    uint32_t feature_count; /* width of the matrix that the ensemble reads; 0 where the graph does not say */
    bool is_classifier;
    bool positive;    /* no weight is below 0 */
    bool one_class;   /* two classes, weights for the first only: one score stands for both */
    bool one_id;      /* two classes, weights for one of them only */
    bool *has_target; /* per output: some leaf has a weight for it */
    bool *is_scored;  /* per output: every row gets a score for it; NULL where that is not asked */
    bool dense;       /* every leaf has a weight for every output */
    char transform[16];
    mill__doubles base, weights, splits, members;
    mill__ints labels;
    MILL__VECTOR(struct mill__raw_node) raw;
    mill__doubles vectors;
};

int mill__onnx_read_node(struct mill_slice message, struct mill__onnx_node *node, struct mill_error *err);
/* Attributes of a node by name. False/0 where it has none of that name; *err is filled on malformed ones. */
bool mill__onnx_find(const struct mill__onnx_node *node, const char *name, struct mill_slice *ret_message);
int mill__onnx_ints(struct mill__onnx *x, const struct mill__onnx_node *node, const char *name, mill__ints *out);
/* Floats, or a tensor under the same name or name_as_tensor; *ret_is_double (may be NULL) is set by double tensors. */
int mill__onnx_floats(struct mill__onnx *x, const struct mill__onnx_node *node, const char *name, mill__doubles *out,
                      bool *ret_is_double);
int mill__onnx_int(struct mill__onnx *x, const struct mill__onnx_node *node, const char *name, int64_t fallback,
                   int64_t *ret_value);
/* The string attribute, empty where it is missing. */
struct mill_slice mill__onnx_text(const struct mill__onnx_node *node, const char *name);

/* TreeEnsembleClassifier and TreeEnsembleRegressor (ai.onnx.ml 1 and 3); TreeEnsemble (5). */
int mill__onnx_ensemble(struct mill__onnx *x);
int mill__onnx_ensemble5(struct mill__onnx *x);
/* One test of mode LEQ LT GTE GT EQ NEQ MEMBER (0 to 6) into a raw node whose true and false branches are given. For
 * EQ, NEQ and MEMBER the n numbers are the set. */
int mill__onnx_test(struct mill__onnx *x, uint32_t mode, const double *numbers, uint32_t n, bool nan_is_true,
                    uint32_t if_true, uint32_t if_false, struct mill__raw_node *node);
/* Outputs, base values and the link, once the weights are known: `transform` NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or
 * PROBIT. */
int mill__onnx_outputs(struct mill__onnx *x, uint32_t target_count, bool vector_leaves);

#endif
